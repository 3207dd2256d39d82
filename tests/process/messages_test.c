/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between two processes and more: bytes, identity, order, full queues. */
#include "roles.h"
#include <pthread.h>

/* ---- bytes ---- */

API_TEST(calls_of_every_size_bring_the_same_bytes_back)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        const size_t large[] = {(1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20, 5 << 20, 20 << 20};

        for (size_t size = 0; size <= 1100; size++)
                call_echo_of(echo, size, (unsigned)size);
        for (size_t size = 1101; size <= 70000; size += 97)
                call_echo_of(echo, size, (unsigned)size);
        for (size_t power = 1024; power <= 65536; power *= 2)
                for (size_t size = power - 70; size <= power + 70; size++)
                        call_echo_of(echo, size, (unsigned)size);
        for (size_t i = 0; i < ARRAY_LEN(large); i++)
                call_echo_of(echo, large[i], (unsigned)i);
        call_echo_of(echo, 70000, 1);
        end_echo(&peer, echo);
}

API_TEST(an_empty_message_is_a_message)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        struct ptl_message m;

        for (uint32_t kind = 1; kind < 50; kind++) {
                OK(ptl_call_message(echo, &(struct ptl_outgoing){.kind = kind}, &m, 0, soon()));
                CHECK_EQ(m.size, 0);
                CHECK_EQ(m.kind, kind);
                ptl_message_release(&m);
        }
        end_echo(&peer, echo);
}

API_TEST(an_answer_may_overlap_its_request_anywhere)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        static unsigned char data[2 * 70000];
        const size_t sizes[] = {10, 500, 5000, 70000};

        for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
                for (size_t shift = 0; shift <= sizes[i]; shift += sizes[i] / 5) {
                        size_t n = sizes[i];

                        fill(data, n, 5);
                        OK(ptl_call(echo, data, n, data + shift, &n, soon()));
                        CHECK_EQ(n, sizes[i]);
                        CHECK(is_filled(data + shift, n, 5));
                        fill(data + shift, n, 6);
                        OK(ptl_call(echo, data + shift, n, data, &n, soon()));
                        CHECK(is_filled(data, n, 6));
                }
        end_echo(&peer, echo);
}

API_TEST(an_answer_that_does_not_fit_is_cut_and_its_size_told)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        static unsigned char data[100000], answer[100000];
        const size_t rows[][2] = {
                {1,      0    },
                {100,    99   },
                {5000,   10   },
                {100000, 70000}
        };

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                size_t n = rows[i][1];

                fill(data, rows[i][0], 1);
                memset(answer, 0xee, sizeof answer);
                OUTCOME(ptl_call(echo, data, rows[i][0], n ? answer : NULL, &n, soon()),
                        PTL_E_TOO_BIG);
                CHECK_EQ(n, rows[i][0]);
                CHECK(is_filled(answer, rows[i][1], 1));
                CHECK_EQ(answer[rows[i][1]], 0xee);
                call_echo(echo);
        }
        end_echo(&peer, echo);
}

/* stream NAME COUNT: sends numbered messages of many sizes as fast as it can. */
static size_t size_of_number(unsigned i) { return 4 + (i % 10 ? i * 37 % 900 : i * 7919 % 60000); }

PEER(stream)
{
        ptl_port p = look_up(argv[1]);
        unsigned count = (unsigned)atoi(argv[2]);
        unsigned char *data = malloc(70000);

        for (unsigned i = 0; i < count; i++) {
                size_t size = size_of_number(i);

                fill(data, size, i);
                memcpy(data, &i, 4);
                OK(ptl_send(p, data, size, PTL_FOREVER));
        }
        free(data);
        peer_stay();
}

static void check_number(const struct ptl_message *m, unsigned i)
{
        unsigned char first[4];
        unsigned number;

        CHECK(m->size >= 4);
        memcpy(&number, m->data, 4);
        CHECK_EQ(number, i);
        CHECK_EQ(m->size, size_of_number(i));
        fill(first, 4, i);
        unsigned char *copy = malloc(m->size);
        memcpy(copy, m->data, m->size);
        memcpy(copy, first, 4);
        CHECK(is_filled(copy, m->size, i));
        free(copy);
}

API_TEST(a_long_stream_arrives_whole_and_in_order)
{
        ptl_port p = new_port();
        struct peer peer;

        OK(ptl_name_publish("stream", p));
        peer_start(&peer, "stream", "stream", "6000", NULL);
        for (unsigned i = 0; i < 6000; i++) {
                struct ptl_message m = take_message(p);

                check_number(&m, i);
                ptl_message_release(&m);
        }
        check_empty(p);
        peer_end(&peer);
}

API_TEST(a_stream_received_in_batches_and_in_place_arrives_whole)
{
        ptl_port p = new_port();
        struct ptl_message m[16];
        struct peer peer;
        unsigned i = 0;
        size_t n;

        OK(ptl_name_publish("stream", p));
        peer_start(&peer, "stream", "stream", "4000", NULL);
        while (i < 4000) {
                OK(ptl_receive_batch(p, m, 16, &n, i % 3 ? PTL_IN_PLACE : 0, soon()));
                CHECK(n >= 1 && n <= 16);
                for (size_t k = 0; k < n; k++)
                        check_number(&m[k], i++);
                for (size_t k = n; k-- > 0;)
                        ptl_message_release(&m[k]);
        }
        peer_end(&peer);
}

API_TEST(messages_kept_and_released_in_any_order_stay_as_they_were)
{
        enum { N = 200 };
        static struct ptl_message m[N];
        struct ptl_port_options wide = {.limit_messages = 1000};
        struct peer peer;
        ptl_port p;

        OK(ptl_port_new(&p, &wide));
        OK(ptl_name_publish("stream", p));
        peer_start(&peer, "stream", "stream", "1000", NULL);
        for (unsigned round = 0; round < 5; round++) {
                for (unsigned i = 0; i < N; i++)
                        OK(ptl_receive_with(p, &m[i], i % 2 ? PTL_IN_PLACE : 0, soon()));
                for (unsigned k = 0; k < N; k++) {
                        unsigned i = k * 77 % N;

                        check_number(&m[i], round * N + i);
                        ptl_message_release(&m[i]);
                }
        }
        peer_end(&peer);
}

API_TEST(messages_larger_than_any_pool_can_be_queued)
{
        enum { SIZE = 3 << 20, N = 30 };
        unsigned char *data = malloc(SIZE);
        struct peer peer;
        ptl_port sink = start_sink(&peer, "sink", "100");
        int outcome = 0, sent = 0;

        CHECK(data);
        fill(data, SIZE, 1);
        while (sent < N && (outcome = ptl_send(sink, data, SIZE, PTL_NOW)) == 0)
                sent++;
        CHECK(outcome == 0 || outcome == PTL_E_FULL);
        CHECK(sent >= 20); /* the default limit is 64 MiB */
        peer_say(&peer, "take %d", sent);
        CHECK_EQ(peer_hear_number(&peer), SIZE);
        peer_end(&peer);
        free(data);
}

API_TEST(a_batch_and_loans_cross_processes_in_order)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo"), reply = new_port();
        struct ptl_bytes b[50];
        size_t sent;

        for (size_t i = 0; i < 50; i++)
                b[i] = (struct ptl_bytes){"no reply wanted", i % 16};
        for (int round = 0; round < 20; round++) {
                struct ptl_outgoing out = {.reply = reply, .kind = 4};
                size_t size = (size_t)round * 5000;
                struct ptl_loan loan;
                struct ptl_message m;

                OK(ptl_send_batch(echo, b, 50, &sent, soon()));
                CHECK_EQ(sent, 50);
                OK(ptl_loan_reserve(echo, size + 100, &loan, soon()));
                fill(loan.data, size, (unsigned)round);
                OK(ptl_loan_publish(&loan, size, &out, soon()));
                m = take_message(reply);
                CHECK_EQ(m.kind, 4);
                CHECK_EQ(m.size, size);
                CHECK(is_filled(m.data, size, (unsigned)round));
                ptl_message_release(&m);
        }
        end_echo(&peer, echo);
}

API_TEST(loans_held_while_others_are_sent_are_sent_when_published)
{
        enum { N = 40 };
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo"), reply = new_port();
        struct ptl_outgoing out = {.reply = reply};
        struct ptl_loan loan[N];

        for (unsigned i = 0; i < N; i++) {
                OK(ptl_loan_reserve(echo, 3000, &loan[i], soon()));
                fill(loan[i].data, 3000, i);
                call_echo_of(echo, 3000, i);
        }
        for (unsigned k = 0; k < N; k++) {
                unsigned i = k * 7 % N;
                struct ptl_message m;

                if (i % 3 == 0) {
                        ptl_loan_cancel(&loan[i]);
                        continue;
                }
                OK(ptl_loan_publish(&loan[i], 3000, &out, soon()));
                m = take_message(reply);
                CHECK(m.size == 3000 && is_filled(m.data, m.size, i));
                ptl_message_release(&m);
        }
        end_echo(&peer, echo);
}

API_TEST(loans_beyond_what_the_link_has_are_private_memory_and_arrive)
{
        enum { N = 60, SIZE = 1 << 20 };
        static struct ptl_loan loan[N];
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo"), reply = new_port();
        struct ptl_outgoing out = {.reply = reply};

        for (unsigned i = 0; i < N; i++) {
                OK(ptl_loan_reserve(echo, SIZE, &loan[i], PTL_NOW));
                CHECK(loan[i].size >= SIZE);
                fill(loan[i].data, 1000, i);
        }
        for (unsigned i = 0; i < N; i++) {
                struct ptl_message m;

                OK(ptl_loan_publish(&loan[i], SIZE, &out, soon()));
                m = take_message(reply);
                CHECK_EQ(m.size, SIZE);
                CHECK(is_filled(m.data, 1000, i));
                ptl_message_release(&m);
        }
        end_echo(&peer, echo);
}

/* Of two calls the first is not answered, the second finds no room. True: neither took ten times as
 * long as it may. */
static bool wait_twice(ptl_port sink, int ms)
{
        const int outcomes[] = {PTL_E_UNANSWERED, PTL_E_TIMEOUT};
        bool in_time = true;

        for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
                ptl_time start = ptl_now(), deadline = start + (int64_t)ms * 1000000;
                size_t n = 0;

                OUTCOME(ptl_call(sink, "x", 1, NULL, &n, deadline), outcomes[i]);
                CHECK(ptl_now() >= deadline);
                in_time &= ptl_now() <= start + tst_deadline_ms(10 * ms) * 1000000;
        }
        return in_time;
}

API_TEST(waits_for_another_task_end_at_their_deadline)
{
        enum { TRIES = 10 }; /* a busy machine holds some up */
        struct peer peer;
        ptl_port sink = start_sink(&peer, "sink", "1");
        const int rows[] = {2, 10, 50};

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                bool in_time = false;

                for (int k = 0; !in_time && k < TRIES; k++) {
                        in_time = wait_twice(sink, rows[i]);
                        sink_takes(&peer, 1);
                }
                CHECK(in_time);
        }
        peer_end(&peer);
}

/* ---- identity ---- */

PEER(introduces_itself)
{
        struct ptl_identity me;
        ptl_port p = look_up(argv[1]);

        OK(ptl_task_identity(&me));
        CHECK_EQ(me.pid, getpid());
        OK(ptl_send(p, &me, sizeof me, PTL_NOW));
        peer_stay();
}

static uint64_t start_time_of(pid_t pid)
{
        char path[64], text[512], *p;
        FILE *f;
        size_t n;

        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        CHECK((f = fopen(path, "re")));
        n = fread(text, 1, sizeof text - 1, f);
        fclose(f);
        text[n] = '\0';
        CHECK((p = strrchr(text, ')')));
        for (int field = 2; field < 22; field++)
                CHECK((p = strchr(p + 1, ' ')));
        return strtoull(p + 1, NULL, 10);
}

API_TEST(a_message_is_stamped_with_its_sender)
{
        ptl_port p = new_port();
        struct ptl_identity claimed, me;
        struct ptl_message m;
        struct peer peer[2];

        OK(ptl_task_identity(&me));
        OK(ptl_name_publish("who", p));
        for (int i = 0; i < 2; i++) {
                peer_start(&peer[i], "introduces_itself", "who", NULL);
                m = take_message(p);
                CHECK_EQ(m.size, sizeof claimed);
                memcpy(&claimed, m.data, sizeof claimed);
                CHECK_EQ(m.sender->pid, peer[i].pid);
                CHECK_EQ(m.sender->uid, getuid());
                CHECK_EQ(m.sender->gid, getgid());
                CHECK_EQ(m.sender->start_time, start_time_of(peer[i].pid));
                CHECK(memcmp(m.sender, &claimed, sizeof claimed) == 0);
                CHECK(m.sender->task.low != me.task.low || m.sender->task.high != me.task.high);
                ptl_message_release(&m);
        }
        peer_end(&peer[0]);
        peer_end(&peer[1]);
}

API_TEST(a_right_tells_whose_port_it_leads_to)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        struct ptl_port_status s = status_of(echo);

        CHECK_EQ(s.peer_pid, peer.pid);
        CHECK_EQ(s.rights, PTL_RIGHT_SEND);
        CHECK_EQ(s.references, 1);
        CHECK_EQ(s.queued, 0);
        end_echo(&peer, echo);
}

/* ---- order ---- */

PEER(counts)
{
        ptl_port p = look_up(argv[1]);
        unsigned n = (unsigned)atoi(argv[2]);

        for (unsigned i = 0; i < n; i++)
                OK(ptl_send(p, &i, sizeof i, PTL_FOREVER));
        peer_stay();
}

API_TEST(messages_of_each_of_four_senders_arrive_in_order)
{
        enum { SENDERS = 4, N = 1500 };
        ptl_port p = new_port_of(16, 0);
        struct peer peer[SENDERS];
        unsigned next[SENDERS] = {0};

        OK(ptl_name_publish("counts", p));
        for (int s = 0; s < SENDERS; s++)
                peer_start(&peer[s], "counts", "counts", "1500", NULL);
        for (int i = 0; i < SENDERS * N; i++) {
                struct ptl_message m = take_message(p);
                int s = 0;

                while (s < SENDERS && peer[s].pid != m.sender->pid)
                        s++;
                CHECK(s < SENDERS);
                CHECK_EQ(m.size, sizeof next[s]);
                CHECK(memcmp(m.data, &next[s], sizeof next[s]) == 0);
                next[s]++;
                ptl_message_release(&m);
        }
        for (int s = 0; s < SENDERS; s++) {
                CHECK_EQ(next[s], N);
                peer_end(&peer[s]);
        }
        check_empty(p);
}

/* ---- full queues ---- */

API_TEST(the_limit_of_another_tasks_port_is_exact_for_one_sender)
{
        struct peer peer;
        ptl_port sink = start_sink(&peer, "sink", "4");

        for (int round = 0; round < 3; round++) {
                for (int i = 0; i < 4; i++)
                        OK(ptl_send(sink, "x", 2, PTL_NOW));
                OUTCOME(ptl_send(sink, "x", 2, PTL_NOW), PTL_E_FULL);
                OUTCOME(ptl_send(sink, "x", 2, ptl_after_ms(3)), PTL_E_TIMEOUT);
                OUTCOME(ptl_send(sink, "x", 2, 1), PTL_E_TIMEOUT);
                sink_takes(&peer, 4);
        }
        peer_end(&peer);
}

API_TEST(the_byte_limit_of_another_tasks_port_is_exact_for_one_sender)
{
        struct peer peer;
        ptl_port sink;

        peer_start(&peer, "sink", "sink", "0", "640", NULL);
        peer_hear(&peer, "ready");
        sink = look_up("sink");
        for (int round = 0; round < 3; round++) {
                char data[1000] = {0};

                for (int i = 0; i < 5; i++)
                        OK(ptl_send(sink, data, 65, PTL_NOW));
                OUTCOME(ptl_send(sink, data, 1, PTL_NOW), PTL_E_FULL);
                sink_takes(&peer, 5);
                OK(ptl_send(sink, data, 1000, PTL_NOW));
                OUTCOME(ptl_send(sink, data, 1, PTL_NOW), PTL_E_FULL);
                sink_takes(&peer, 1);
        }
        peer_end(&peer);
}

API_TEST(a_sender_waiting_for_room_elsewhere_is_woken)
{
        struct peer peer;
        ptl_port sink = start_sink(&peer, "sink", "2");

        for (int i = 0; i < 2; i++)
                OK(ptl_send(sink, "x", 2, PTL_NOW));
        for (int i = 0; i < 50; i++) {
                OUTCOME(ptl_send(sink, "x", 2, PTL_NOW), PTL_E_FULL);
                peer_say(&peer, "take 1");
                OK(ptl_send(sink, "x", 2, soon()));
                peer_hear_number(&peer);
        }
        sink_takes(&peer, 2);
        peer_end(&peer);
}

API_TEST(a_stream_through_a_queue_of_one_arrives)
{
        ptl_port p = new_port_of(1, 0);
        struct peer peer;

        OK(ptl_name_publish("counts", p));
        peer_start(&peer, "counts", "counts", "1000", NULL);
        for (unsigned i = 0; i < 1000; i++) {
                struct ptl_message m = take_message(p);

                CHECK(memcmp(m.data, &i, sizeof i) == 0);
                ptl_message_release(&m);
        }
        peer_end(&peer);
}

API_TEST(a_message_can_be_left_with_another_tasks_port)
{
        struct peer peer;
        ptl_port sink = start_sink(&peer, "sink", "1"), n = new_port();
        struct ptl_outgoing out = {.data = "left!", .size = 6, .leave = 1, .notify = n};

        for (int round = 0; round < 10; round++) {
                OK(ptl_send(sink, "x", 2, PTL_NOW));
                OK(ptl_send_message(sink, &out, PTL_NOW));
                OUTCOME(ptl_send_message(sink, &out, PTL_NOW), PTL_E_FULL);
                OUTCOME(ptl_send(sink, "x", 2, PTL_NOW), PTL_E_FULL);
                sink_takes(&peer, 1);
                check_empty(n);
                peer_say(&peer, "take 1");
                CHECK_EQ(peer_hear_number(&peer), 6);
                CHECK_EQ(take_notification(n, PTL_NOTIFY_MESSAGE_ACCEPTED).value, sink);
                check_empty(n);
        }
        peer_end(&peer);
}

API_TEST(one_full_port_of_a_task_does_not_hold_up_its_others)
{
        struct peer peer;
        ptl_port sink = start_sink(&peer, "sink", "1"), mine = new_port();

        OK(ptl_send(sink, "x", 2, PTL_NOW));
        OUTCOME(ptl_send(sink, "x", 2, PTL_NOW), PTL_E_FULL);
        for (int i = 0; i < 10; i++) {
                put(mine, "goes on");
                take(mine, "goes on");
        }
        sink_takes(&peer, 1);
        peer_end(&peer);
}

/* ---- what the kernel says of a link's memory ---- */

/* Tries what a hostile peer would; returns how many memories there are, -1 if one may not look. */
static int check_sealed(pid_t pid)
{
        char path[64], link[256];
        int n = 0;
        DIR *d;

        snprintf(path, sizeof path, "/proc/%d/map_files", (int)pid);
        CHECK((d = opendir(path)));
        for (struct dirent *e; (e = readdir(d));) {
                ssize_t len = readlinkat(dirfd(d), e->d_name, link, sizeof link - 1);
                struct stat st;
                int fd;

                link[len > 0 ? len : 0] = '\0';
                if (!strstr(link, "memfd:portolan"))
                        continue;
                fd = openat(dirfd(d), e->d_name, O_RDWR | O_CLOEXEC);
                if (fd < 0 && errno == EPERM) {
                        closedir(d);
                        return -1;
                }
                CHECK(fd >= 0 && fstat(fd, &st) == 0);
                CHECK(ftruncate(fd, 0) == -1);
                CHECK_EQ(errno, EPERM);
                CHECK(ftruncate(fd, st.st_size + 4096) == -1);
                CHECK_EQ(errno, EPERM);
                CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
                CHECK_EQ(errno, EPERM);
                close(fd);
                n++;
        }
        closedir(d);
        return n;
}

API_TEST(x02_the_memory_of_a_link_can_be_neither_truncated_nor_mapped_for_writing)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        int here;

        call_echo_of(echo, 70000, 1);
        here = check_sealed(getpid());
        if (here < 0)
                SKIP("one may not look at another's mappings");
        CHECK_EQ(here, 3); /* an outbox each way, and our board */
        CHECK_EQ(check_sealed(peer.pid), 3);
        call_echo(echo);
        end_echo(&peer, echo);
}

API_TEST(x01_a_link_in_use_leaves_no_names_in_shared_memory_or_queues)
{
        const char *folders[] = {"/dev/shm", "/dev/mqueue"};
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");

        call_echo_of(echo, 70000, 1);
        for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
                DIR *d = opendir(folders[i]);

                for (struct dirent *e; d && (e = readdir(d));)
                        CHECK(!strstr(e->d_name, "ptl") && !strstr(e->d_name, "portolan"));
                if (d)
                        closedir(d);
        }
        end_echo(&peer, echo);
}

API_TEST(statistics_count_what_was_sent_and_received)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        struct ptl_task_statistics before, after;
        struct ptl_link_statistics link;
        size_t n = 0;

        call_echo(echo);
        before = statistics();
        for (int i = 0; i < 10; i++)
                call_echo_of(echo, 100, 1);
        after = statistics();
        CHECK_EQ(after.sent - before.sent, 10);
        CHECK_EQ(after.received - before.received, 10);
        CHECK_EQ(after.sent_bytes - before.sent_bytes, 1000);
        CHECK_EQ(after.received_bytes - before.received_bytes, 1000);
        CHECK_EQ(after.links, 1);
        CHECK_EQ(after.links_made, 1);
        CHECK_EQ(after.links_dead, 0);
        CHECK_EQ(after.lies, 0);
        CHECK(after.link_bytes > 0);
        OK(ptl_link_get_statistics(NULL, 0, &n));
        CHECK_EQ(n, 1);
        OK(ptl_link_get_statistics(&link, 1, &n));
        CHECK_EQ(link.peer.pid, peer.pid);
        CHECK_EQ(link.state, 1);
        CHECK(link.sent >= 11 && link.received >= 11);
        CHECK_EQ(link.lies, 0);
        CHECK(link.ring_bytes > 0);
        end_echo(&peer, echo);
}

API_TEST(statistics_of_links_say_how_many_there_are_beyond_the_room)
{
        struct peer a, b;
        ptl_port to_a = start_echo(&a, "a"), to_b = start_echo(&b, "b");
        struct ptl_link_statistics links[3];
        size_t n = 0;

        memset(links, 0x55, sizeof links);
        OK(ptl_link_get_statistics(links, 1, &n));
        CHECK_EQ(n, 2);
        CHECK(links[0].peer.pid == a.pid || links[0].peer.pid == b.pid);
        CHECK_EQ(links[1].lies, 0x5555555555555555);
        OK(ptl_link_get_statistics(links, 3, &n));
        CHECK_EQ(n, 2);
        CHECK(links[0].peer.pid != links[1].peer.pid);
        end_echo(&a, to_a);
        end_echo(&b, to_b);
}

API_TEST(a_trace_is_written_where_it_is_asked_for)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo"); /* untraced */
        char path[128], line[1024];
        int lines = 0;
        FILE *f;

        end_echo(&peer, echo);
        OK(ptl_task_leave());
        snprintf(path, sizeof path, "%s/trace", tst_temp_dir());
        setenv("PORTOLAN_TRACE", path, 1);
        peer_start(&peer, "echo", "echo", NULL);
        unsetenv("PORTOLAN_TRACE");
        echo = look_up("echo");
        for (int i = 0; i < 10; i++)
                call_echo(echo);
        end_echo(&peer, echo);
        CHECK((f = fopen(path, "re")));
        while (fgets(line, sizeof line, f)) {
                CHECK(strchr(line, '\n'));
                lines++;
        }
        fclose(f);
        CHECK(lines >= 20); /* each call, each reply */
}
