/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between two processes and more: bytes, rights, regions, identity, order, full queues. */
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
        const size_t rows[][2] = {{1, 0}, {100, 99}, {5000, 10}, {100000, 70000}};

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

/* ---- rights ---- */

enum { RIGHT_USE = 1, RIGHT_RETURN, RIGHT_RELEASE, RIGHT_STATUS, RIGHT_HOLD };

struct rights_answer {
        uint32_t name, disposition, rights, references;
        int32_t peer_pid;
};

static void use_right(struct ptl_message *m, const struct ptl_right_item *item, uint32_t kind)
{
        struct ptl_right_item back = {.port = item->port,
                                      .disposition = item->disposition == PTL_RIGHT_SEND_ONCE
                                                             ? PTL_MOVE_SEND_ONCE
                                                             : PTL_MOVE_SEND};
        struct ptl_outgoing out = {.rights = &back, .n_rights = kind == RIGHT_RETURN};
        struct ptl_port_status s = status_of(item->port);
        struct rights_answer a = {item->port, item->disposition, s.rights, s.references,
                                  s.peer_pid};

        if (kind == RIGHT_USE)
                OK(ptl_send(item->port, "used", 5, soon()));
        if (kind == RIGHT_RELEASE)
                OK(ptl_right_release(item->port));
        out.data = &a;
        out.size = sizeof a;
        if (m->reply)
                OK(ptl_reply_message(m, &out));
}

/* rights NAME: does with the rights in each message what its kind says, tells what they were. */
PEER(rights)
{
        ptl_port p = new_port();

        OK(ptl_name_publish(argv[1], p));
        for (;;) {
                struct ptl_right_item item = {.port = PTL_NULL};
                struct ptl_message m;

                OK(ptl_receive(p, &m, PTL_FOREVER));
                if (m.kind == KIND_QUIT)
                        return;
                for (uint32_t i = 0; i < m.n_rights; i++) {
                        item = m.rights[i];
                        use_right(&m, &item, m.kind);
                }
                if (!m.n_rights && m.reply)
                        OK(ptl_reply(&m, "", 0));
                ptl_message_release(&m);
        }
}

static ptl_port start_rights(struct peer *ret_peer, const char *name)
{
        peer_start(ret_peer, "rights", name, NULL);
        return look_up(name);
}

/* Sends the right and returns what the peer said of it. */
static struct ptl_message give(ptl_port peer, ptl_port port, uint32_t disposition, uint32_t kind,
                               struct rights_answer *ret_answer)
{
        struct ptl_right_item item = {.port = port, .disposition = disposition};
        struct ptl_outgoing out = {.kind = kind, .rights = &item, .n_rights = 1};
        struct ptl_message m;

        OK(ptl_call_message(peer, &out, &m, 0, soon()));
        CHECK_EQ(m.size, sizeof *ret_answer);
        memcpy(ret_answer, m.data, sizeof *ret_answer);
        return m;
}

static const struct give_row {
        const char *name;
        uint32_t disposition;
        uint32_t got;
        uint32_t references_left; /* of the one that was there */
} give_rows[] = {
        {"make send",      PTL_MAKE_SEND,      PTL_RIGHT_SEND,      1},
        {"copy send",      PTL_COPY_SEND,      PTL_RIGHT_SEND,      1},
        {"move send",      PTL_MOVE_SEND,      PTL_RIGHT_SEND,      0},
        {"make send-once", PTL_MAKE_SEND_ONCE, PTL_RIGHT_SEND_ONCE, 1},
};

API_TEST(a_right_in_a_message_can_be_used_by_its_receiver)
{
        struct peer peer;
        ptl_port them = start_rights(&peer, "rights");

        for (size_t i = 0; i < ARRAY_LEN(give_rows); i++) {
                const struct give_row *r = &give_rows[i];
                ptl_port p = new_send_port();
                struct rights_answer a;
                struct ptl_message m = give(them, p, r->disposition, RIGHT_USE, &a);

                ptl_message_release(&m);
                CHECK_ROW(i, r, a.disposition == r->got);
                CHECK_ROW(i, r, a.rights == r->got);
                CHECK_ROW(i, r, a.references == 1);
                CHECK_ROW(i, r, a.peer_pid == getpid());
                m = take_message(p);
                check_text(&m, "used");
                CHECK_EQ(m.sender->pid, peer.pid);
                ptl_message_release(&m);
                CHECK_ROW(i, r, status_of(p).references == r->references_left);
                check_empty(p);
        }
        OK(ptl_send_message(them, &(struct ptl_outgoing){.kind = KIND_QUIT}, soon()));
        peer_end(&peer);
}

API_TEST(a_right_that_goes_back_to_its_owner_has_its_own_name_again)
{
        struct peer peer;
        ptl_port them = start_rights(&peer, "rights");

        for (size_t i = 0; i < ARRAY_LEN(give_rows); i++) {
                const struct give_row *r = &give_rows[i];
                ptl_port p = new_send_port();
                struct rights_answer a;
                struct ptl_message m = give(them, p, r->disposition, RIGHT_RETURN, &a);

                CHECK_EQ(m.n_rights, 1);
                CHECK_ROW(i, r, m.rights[0].disposition == r->got);
                if (r->got == PTL_RIGHT_SEND) {
                        CHECK_ROW(i, r, m.rights[0].port == p);
                        CHECK_ROW(i, r, status_of(p).references == r->references_left + 1);
                } else {
                        put(m.rights[0].port, "once");
                        take(p, "once");
                }
                ptl_message_release(&m);
                check_empty(p);
        }
        OK(ptl_send_message(them, &(struct ptl_outgoing){.kind = KIND_QUIT}, soon()));
        peer_end(&peer);
}

API_TEST(a_send_once_right_released_by_another_task_tells_its_port)
{
        struct peer peer;
        ptl_port them = start_rights(&peer, "rights"), p = new_port();
        struct rights_answer a;
        struct ptl_message m = give(them, p, PTL_MAKE_SEND_ONCE, RIGHT_RELEASE, &a);

        ptl_message_release(&m);
        take_notification(p, PTL_NOTIFY_SEND_ONCE);
        check_empty(p);
        peer_kill(&peer);
}

API_TEST(a_send_once_right_whose_holder_dies_tells_its_port)
{
        struct peer peer;
        ptl_port them = start_rights(&peer, "rights"), p = new_port();
        struct rights_answer a;

        for (int i = 0; i < 3; i++) {
                struct ptl_message m = give(them, p, PTL_MAKE_SEND_ONCE, RIGHT_HOLD, &a);

                ptl_message_release(&m);
        }
        check_empty(p);
        peer_kill(&peer);
        for (int i = 0; i < 3; i++)
                take_notification(p, PTL_NOTIFY_SEND_ONCE);
        check_empty(p);
}

API_TEST(the_same_right_sent_twice_has_one_name_and_two_references)
{
        struct peer peer;
        ptl_port them = start_rights(&peer, "rights"), p = new_port();
        struct rights_answer first, second;
        struct ptl_message m = give(them, p, PTL_MAKE_SEND, RIGHT_HOLD, &first);

        ptl_message_release(&m);
        m = give(them, p, PTL_MAKE_SEND, RIGHT_HOLD, &second);
        ptl_message_release(&m);
        CHECK_EQ(first.name, second.name);
        CHECK_EQ(second.references, 2);
        peer_kill(&peer);
}

API_TEST(a_peers_own_right_sent_to_it_is_merged_with_its_port)
{
        struct peer peer;
        ptl_port them = start_rights(&peer, "rights");
        struct rights_answer a;
        struct ptl_message m = give(them, them, PTL_COPY_SEND, RIGHT_STATUS, &a);

        ptl_message_release(&m);
        CHECK_EQ(a.disposition, PTL_RIGHT_SEND);
        CHECK_EQ(a.rights, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND);
        CHECK_EQ(a.references, 1);
        CHECK_EQ(a.peer_pid, 0);
        check_rights(them, PTL_RIGHT_SEND, 1);
        peer_kill(&peer);
}

API_TEST(moving_the_last_right_to_its_owner_leaves_no_name)
{
        struct peer peer;
        ptl_port them = start_rights(&peer, "rights"), again;
        struct ptl_right_item item = {.port = them, .disposition = PTL_MOVE_SEND};
        struct ptl_outgoing out = {.kind = RIGHT_HOLD, .rights = &item, .n_rights = 1};

        OK(ptl_send_message(them, &out, soon()));
        check_no_name(them);
        again = look_up("rights");
        OK(ptl_send_message(again, &(struct ptl_outgoing){.kind = KIND_QUIT}, soon()));
        peer_end(&peer);
}

API_TEST(a_right_to_a_third_tasks_port_is_not_supported_and_not_consumed)
{
        struct peer a, b;
        ptl_port to_a = start_echo(&a, "a"), to_b = start_rights(&b, "b"), mine = new_send_port();
        const uint32_t rows[] = {PTL_COPY_SEND, PTL_MOVE_SEND};
        uint32_t names = statistics().names;

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct ptl_right_item items[] = {
                        {mine, PTL_MOVE_SEND}, {mine, PTL_MAKE_SEND_ONCE}, {to_a, rows[i]}};
                struct ptl_outgoing out = {.kind = RIGHT_USE, .rights = items, .n_rights = 3};

                OUTCOME(ptl_send_message(to_b, &out, soon()), PTL_E_UNSUPPORTED);
                check_rights(to_a, PTL_RIGHT_SEND, 1);
                check_rights(mine, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
                CHECK_EQ(statistics().names, names);
                check_empty(mine);
        }
        call_echo(to_a);
        OK(ptl_send_message(to_b, &(struct ptl_outgoing){.kind = KIND_QUIT}, soon()));
        peer_end(&b);
        end_echo(&a, to_a);
}

API_TEST(many_rights_travel_in_one_message)
{
        struct peer peer;
        ptl_port them = start_rights(&peer, "rights"), p[PTL_MESSAGE_RIGHTS_MAX];
        struct ptl_right_item items[PTL_MESSAGE_RIGHTS_MAX];
        struct ptl_outgoing out = {
                .kind = RIGHT_USE, .rights = items, .n_rights = PTL_MESSAGE_RIGHTS_MAX};

        for (size_t i = 0; i < PTL_MESSAGE_RIGHTS_MAX; i++) {
                p[i] = new_port();
                items[i] = (struct ptl_right_item){p[i], i % 2 ? PTL_MAKE_SEND : PTL_MAKE_SEND_ONCE};
        }
        for (int round = 0; round < 20; round++) {
                OK(ptl_send_message(them, &out, soon()));
                for (size_t i = 0; i < PTL_MESSAGE_RIGHTS_MAX; i++)
                        take(p[i], "used");
        }
        peer_kill(&peer);
}

/* ---- regions ---- */

/* regions NAME: for each region that comes: says what it reads, writes, and looks again when told. */
PEER(regions)
{
        ptl_port p = new_port();

        OK(ptl_name_publish(argv[1], p));
        for (;;) {
                struct ptl_message m = {.size = 0};
                char *data, line[16];

                OK(ptl_receive(p, &m, PTL_FOREVER));
                if (m.kind == KIND_QUIT)
                        return;
                CHECK_EQ(m.n_regions, 1);
                data = ptl_region_data(m.regions[0].region);
                CHECK(data);
                peer_say(NULL, "%s", data);
                CHECK(peer_hear_line(NULL, line, sizeof line));
                peer_say(NULL, "%s", data);
                strcpy(data, "peer wrote");
                OK(ptl_reply(&m, "", 0));
                ptl_region_free(m.regions[0].region);
                ptl_message_release(&m);
        }
}

static ptl_port start_regions(struct peer *ret_peer)
{
        peer_start(ret_peer, "regions", "regions", NULL);
        return look_up("regions");
}

static void send_region(ptl_port to, ptl_port reply, struct ptl_region *r, uint32_t how)
{
        struct ptl_region_item item = {.region = r, .how = how};
        struct ptl_outgoing out = {.reply = reply, .regions = &item, .n_regions = 1};

        OK(ptl_send_message(to, &out, soon()));
}

static void take_empty(ptl_port p)
{
        struct ptl_message m = take_message(p);

        CHECK_EQ(m.kind, 0);
        CHECK_EQ(m.size, 0);
        ptl_message_release(&m);
}

API_TEST(both_sides_see_what_is_written_to_a_volatile_region)
{
        struct peer peer;
        ptl_port them = start_regions(&peer), reply = new_port();
        struct ptl_region *r = NULL;
        char *data;

        OK(ptl_region_new(10000, &r));
        data = ptl_region_data(r);
        for (int round = 0; round < 5; round++) { /* the same one again and again */
                strcpy(data, "before");
                send_region(them, reply, r, PTL_REGION_VOLATILE);
                peer_hear(&peer, "before");
                strcpy(data, "after");
                peer_say(&peer, "look");
                peer_hear(&peer, "after");
                take_empty(reply);
                CHECK_STR_EQ(data, "peer wrote");
        }
        ptl_region_free(r);
        peer_kill(&peer);
}

API_TEST(a_receiver_does_not_see_later_writes_to_an_isolated_region)
{
        struct peer peer;
        ptl_port them = start_regions(&peer), reply = new_port();

        for (int published = 0; published < 2; published++) {
                struct ptl_region *r = NULL, *view = NULL;

                OK(ptl_region_new(10000, &r));
                if (published) { /* a view that stays writable when the region is given away */
                        OK(ptl_region_publish("view", r));
                        OK(ptl_region_look_up("view", &view, PTL_NOW));
                }
                strcpy(ptl_region_data(r), "before");
                send_region(them, reply, r, PTL_REGION_ISOLATED);
                if (!published)
                        peer_hear(&peer, "before");
                else
                        peer_hear(&peer, "before"), strcpy(ptl_region_data(view), "after");
                peer_say(&peer, "look");
                peer_hear(&peer, "before");
                take_empty(reply);
                if (published)
                        CHECK_STR_EQ(ptl_region_data(view), "after");
                ptl_region_free(view);
        }
        peer_kill(&peer);
}

API_TEST(many_regions_travel_and_none_is_left_behind)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");

        for (int i = 0; i < 100; i++) {
                struct ptl_region *r = NULL;
                struct ptl_region_item item = {.how = i % 2 ? PTL_REGION_VOLATILE
                                                            : PTL_REGION_ISOLATED};
                struct ptl_outgoing out = {.regions = &item, .n_regions = 1, .kind = KIND_DROP};

                OK(ptl_region_new(5000, &r));
                item.region = r;
                OK(ptl_send_message(echo, &out, soon()));
                if (i % 2)
                        ptl_region_free(r);
        }
        call_echo(echo);
        end_echo(&peer, echo);
}

/* ---- what the kernel says of a link's memory ---- */

static int check_sealed(pid_t pid)
{
        char path[64], link[256];
        int n = 0;
        DIR *d;

        snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
        CHECK((d = opendir(path)));
        for (struct dirent *e; (e = readdir(d));) {
                ssize_t len = readlinkat(dirfd(d), e->d_name, link, sizeof link - 1);
                struct stat st;
                int fd;

                link[len > 0 ? len : 0] = '\0';
                if (!strstr(link, "memfd:"))
                        continue;
                fd = openat(dirfd(d), e->d_name, O_RDWR | O_CLOEXEC);
                if (fd < 0)
                        continue;
                CHECK(fstat(fd, &st) == 0);
                CHECK(ftruncate(fd, 0) == -1);
                CHECK_EQ(errno, EPERM);
                CHECK(ftruncate(fd, st.st_size + 4096) == -1);
                CHECK_EQ(errno, EPERM);
                CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
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

        call_echo_of(echo, 70000, 1);
        CHECK(check_sealed(getpid()) + check_sealed(peer.pid) > 0);
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
