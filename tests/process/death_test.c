/* SPDX-License-Identifier: Apache-2.0 */
/* Death: of a receiver, a sender, a caller, a server, at any moment; and leaving, which is like it.
 */
#include "roles.h"
#include <pthread.h>

enum { SECOND = 1000 };

/* Within a second of the event, at most. */
static ptl_time within_a_second(void) { return ptl_after_ms(tst_deadline_ms(SECOND)); }

API_TEST(a_caller_whose_server_is_killed_learns_it_within_a_second)
{
        const enum ptl_wait modes[] = {PTL_WAIT_ADAPTIVE, PTL_WAIT_SPIN, PTL_WAIT_BLOCK};

        for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
                struct ptl_outgoing out = {.kind = KIND_DIE};
                struct peer peer;
                ptl_port echo = start_echo(&peer, "echo");
                struct ptl_message m;
                ptl_time start;

                OK(ptl_task_set_wait(modes[i], 0));
                call_echo(echo);
                start = ptl_now();
                OUTCOME(ptl_call_message(echo, &out, &m, 0, soon()), PTL_E_DEAD);
                CHECK(ptl_now() - start < tst_deadline_ms(SECOND) * 1000000);
                check_rights(echo, PTL_RIGHT_DEAD, 1);
                OUTCOME(ptl_send(echo, "x", 1, PTL_NOW), PTL_E_DEAD);
                OK(ptl_right_release(echo));
                peer_kill(&peer);
        }
}

static void *kill_after_it_took(void *arg)
{
        struct peer *peer = arg;

        CHECK(tst_wait_until(is_asleep(peer->pid, peer->pid), 5000));
        kill(peer->pid, SIGKILL);
        return NULL;
}

API_TEST(a_caller_learns_of_a_death_after_the_request_was_taken)
{
        struct ptl_outgoing out = {.kind = KIND_KEEP};
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        struct ptl_message m;
        ptl_time start;
        pthread_t t;

        CHECK(pthread_create(&t, NULL, kill_after_it_took, &peer) == 0);
        OUTCOME(ptl_call_message(echo, &out, &m, 0, soon()), PTL_E_DEAD);
        start = ptl_now();
        pthread_join(t, NULL);
        CHECK(ptl_now() - start < tst_deadline_ms(SECOND) * 1000000);
        peer_kill(&peer);
}

API_TEST(a_caller_learns_of_a_death_before_the_request_was_taken)
{
        struct peer peer;
        ptl_port sink = start_sink(&peer, "sink", "4");
        size_t n = 0;
        pthread_t t;

        CHECK(pthread_create(&t, NULL, kill_after_it_took, &peer) == 0);
        OUTCOME(ptl_call(sink, "x", 1, NULL, &n, soon()), PTL_E_DEAD);
        pthread_join(t, NULL);
        peer_kill(&peer);
}

API_TEST(a_dropped_request_is_no_reply_and_its_server_lives)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        struct ptl_message m;

        for (int i = 0; i < 50; i++) {
                OUTCOME(ptl_call_message(echo, &(struct ptl_outgoing){.kind = KIND_DROP}, &m, 0,
                                         soon()),
                        PTL_E_NO_REPLY);
                call_echo(echo);
        }
        end_echo(&peer, echo);
}

API_TEST(a_request_to_a_port_that_is_freed_unread_ends)
{
        struct peer peer;
        ptl_port sink = start_sink(&peer, "sink", "4");
        struct ptl_outgoing out = {.reply = new_port()};

        OK(ptl_send_message(sink, &out, PTL_NOW));
        OK(ptl_right_notify_dead(sink, out.reply));
        peer_say(&peer, "free");
        peer_hear_number(&peer);
        for (int i = 0, seen = 0; i < 2; i++) {
                struct ptl_message m = take_message(out.reply);

                CHECK(m.kind == PTL_NOTIFY_SEND_ONCE || m.kind == PTL_NOTIFY_DEAD_NAME);
                seen += m.kind == PTL_NOTIFY_DEAD_NAME;
                ptl_message_release(&m);
                CHECK(i == 0 || seen == 1);
        }
        OUTCOME(ptl_send(sink, "x", 1, PTL_NOW), PTL_E_DEAD);
        peer_end(&peer);
}

/* late NAME LISTENER: replies when told, too late, and tells the listener when that was destroyed.
 */
PEER(late)
{
        ptl_port p = new_port(), q = new_port(), listener = look_up(argv[2]);
        struct ptl_message m;
        char line[16];

        OK(ptl_name_publish(argv[1], p));
        while (peer_hear_line(NULL, line, sizeof line)) {
                struct ptl_right_item item = {.port = q, .disposition = PTL_MAKE_SEND_ONCE};
                struct ptl_outgoing out = {
                        .data = "late", .size = 5, .rights = &item, .n_rights = 1};

                m = take_message(p);
                OK(ptl_reply_message(&m, &out));
                ptl_message_release(&m);
                take_notification(q, PTL_NOTIFY_SEND_ONCE);
                put(listener, "destroyed");
        }
}

API_TEST(a_late_reply_is_destroyed_with_what_it_carries)
{
        ptl_port listener = new_port(), late;
        struct peer peer;
        size_t n = 0;

        OK(ptl_name_publish("listener", listener));
        peer_start(&peer, "late", "late", "listener", NULL);
        late = look_up("late");
        OUTCOME(ptl_call(late, "x", 1, NULL, &n, PTL_NOW), PTL_E_UNANSWERED);
        peer_say(&peer, "answer");
        take(listener, "destroyed"); /* this thread's reply port is made, once */
        for (int i = 0; i < 10; i++) {
                uint64_t destroyed = statistics().destroyed;
                uint32_t names = statistics().names;

                OUTCOME(ptl_call(late, "x", 1, NULL, &n, ptl_after_ms(2)), PTL_E_UNANSWERED);
                peer_say(&peer, "answer");
                take(listener, "destroyed");
                CHECK_EQ(statistics().destroyed, destroyed + 1);
                CHECK_EQ(statistics().names, names);
        }
        peer_end(&peer);
}

API_TEST(the_death_of_a_receiver_is_told_to_who_asked)
{
        struct peer peer;
        ptl_port sink = start_sink(&peer, "sink", "4"), n = new_port();
        struct ptl_message m;

        OK(ptl_right_notify_dead(sink, n));
        peer_kill(&peer);
        OK(ptl_receive(n, &m, within_a_second()));
        CHECK_EQ(m.kind, PTL_NOTIFY_DEAD_NAME);
        ptl_message_release(&m);
        check_rights(sink, PTL_RIGHT_DEAD, 2);
        OUTCOME(ptl_send(sink, "x", 1, PTL_FOREVER), PTL_E_DEAD);
        CHECK_EQ(statistics().links_dead, 1);
}

API_TEST(a_freed_port_and_a_task_that_leaves_are_told_as_well)
{
        const char *commands[] = {"free", "leave"};

        for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
                struct peer peer;
                ptl_port sink = start_sink(&peer, "sink", "4"), n = new_port();

                OK(ptl_right_notify_dead(sink, n));
                check_empty(n);
                peer_say(&peer, "%s", commands[i]);
                take_dead_name(n, sink);
                check_rights(sink, PTL_RIGHT_DEAD, 2);
                peer_hear_number(&peer);
                peer_end(&peer);
        }
}

API_TEST(all_rights_to_a_dead_tasks_ports_die)
{
        struct peer peer;
        ptl_port sink = start_sink(&peer, "sink", "4"), n = new_port();

        for (int i = 0; i < 3; i++)
                CHECK_EQ(look_up("sink"), sink);
        OK(ptl_right_notify_dead(sink, n));
        peer_kill(&peer);
        take_dead_name(n, sink);
        check_rights(sink, PTL_RIGHT_DEAD, 5);
        for (int i = 0; i < 5; i++)
                OK(ptl_right_release(sink));
        check_no_name(sink);
}

API_TEST(a_sender_that_waits_for_room_learns_of_the_death)
{
        struct peer peer;
        ptl_port sink = start_sink(&peer, "sink", "1");
        pthread_t t;

        OK(ptl_send(sink, "x", 1, PTL_NOW));
        CHECK(pthread_create(&t, NULL, kill_after_it_took, &peer) == 0);
        OUTCOME(ptl_send(sink, "x", 1, soon()), PTL_E_DEAD);
        pthread_join(t, NULL);
        peer_kill(&peer);
}

PEER(sends_and_dies)
{
        ptl_port p = look_up(argv[1]);

        for (unsigned i = 0; i < 100; i++)
                OK(ptl_send(p, &i, sizeof i, PTL_NOW));
        kill(getpid(), SIGKILL);
}

API_TEST(what_a_killed_task_had_sent_arrives)
{
        ptl_port p = new_port();
        struct peer peer;

        OK(ptl_name_publish("p", p));
        peer_start(&peer, "sends_and_dies", "p", NULL);
        CHECK(waitpid(peer.pid, NULL, 0) == peer.pid);
        for (unsigned i = 0; i < 100; i++) {
                struct ptl_message m = take_message(p);

                CHECK_EQ(m.size, sizeof i);
                CHECK(memcmp(m.data, &i, sizeof i) == 0);
                CHECK_EQ(m.sender->pid, peer.pid);
                ptl_message_release(&m);
        }
        check_empty(p);
        close(peer.fd);
}

/* floods NAME: messages of all sizes, each whole or not at all, until killed. */
PEER(floods)
{
        ptl_port p = look_up(argv[1]), tell = new_port();
        static unsigned char data[1 << 20];
        struct ptl_right_item item = {.port = tell, .disposition = PTL_MAKE_SEND};

        for (unsigned i = 0;; i++) {
                size_t size = i % 50 == 0 ? (size_t)i * 7919 % sizeof data : i * 31 % 3000;
                struct ptl_outgoing out = {.data = data,
                                           .size = size,
                                           .kind = i % 251,
                                           .rights = &item,
                                           .n_rights = i == 0};

                fill(data, size, i % 251);
                OK(ptl_send_message(p, &out, PTL_FOREVER));
        }
}

API_TEST(a_sender_killed_in_mid_stream_leaves_whole_messages_only)
{
        for (int round = 0; round < 12; round++) {
                ptl_port p = new_port(), n = new_port(), set = new_set();
                struct peer peer;
                bool dead = false;
                int got = 0;

                OK(ptl_name_publish("flood", p));
                OK(ptl_set_add(set, p));
                OK(ptl_set_add(set, n));
                peer_start(&peer, "floods", "flood", NULL);
                while (!dead) {
                        struct ptl_message m = take_message(set);

                        if (m.kind == PTL_NOTIFY_DEAD_NAME) {
                                dead = true;
                        } else {
                                CHECK(is_filled(m.data, m.size, m.kind));
                                if (m.n_rights)
                                        OK(ptl_right_notify_dead(m.rights[0].port, n));
                                if (++got == 30 + 41 * round)
                                        kill(peer.pid, SIGKILL);
                        }
                        ptl_message_release(&m);
                }
                struct ptl_message m;
                while (ptl_receive(p, &m, PTL_NOW) == 0) {
                        CHECK(is_filled(m.data, m.size, m.kind));
                        ptl_message_release(&m);
                }
                peer_kill(&peer);
                OK(ptl_port_free(p));
                OK(ptl_port_free(n));
                OK(ptl_set_free(set));
        }
}

API_TEST(a_server_survives_the_death_of_its_callers)
{
        struct peer server;
        ptl_port echo = start_echo(&server, "echo");

        for (int i = 0; i < 20; i++) {
                pid_t pid = fork(); /* a task of its own, as soon as it looks the name up */

                if (pid == 0) {
                        ptl_port p = look_up("echo");

                        for (;;)
                                call_echo_of(p, 5000, 1);
                }
                call_echo(echo);
                CHECK(tst_wait_until(statistics().sent > (uint64_t)i, 1000));
                kill(pid, SIGKILL);
                CHECK(waitpid(pid, NULL, 0) == pid);
                call_echo_of(echo, 40000, (unsigned)i);
        }
        end_echo(&server, echo);
}

API_TEST(rights_a_dead_task_held_are_given_back)
{
        ptl_port p = new_port();
        struct ptl_task_statistics before;

        OK(ptl_name_publish("p", p));
        before = statistics();
        for (int i = 0; i < 10; i++) {
                struct peer peer;
                struct ptl_message m;

                peer_start(&peer, "sends_and_dies", "p", NULL);
                for (int k = 0; k < 100; k++) {
                        m = take_message(p);
                        ptl_message_release(&m);
                }
                CHECK(waitpid(peer.pid, NULL, 0) == peer.pid);
                close(peer.fd);
        }
        /* any call with a wait looks after links */
        CHECK(tst_wait_until(ptl_receive(p, &(struct ptl_message){.size = 0}, ptl_after_ms(1)) ==
                                             PTL_E_TIMEOUT &&
                                     statistics().links == before.links,
                             2000));
        CHECK_EQ(statistics().links_dead, 10);
        CHECK_EQ(statistics().names, before.names);
}

API_TEST(leaving_forgets_every_name_and_the_next_call_is_a_new_task)
{
        struct ptl_identity before, after;
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo"), p = new_send_port(), again;

        OK(ptl_task_identity(&before));
        put(p, "lost");
        call_echo(echo);
        OK(ptl_task_leave());
        check_no_name(p);
        check_no_name(echo);
        OK(ptl_task_identity(&after));
        CHECK(before.task.high != after.task.high || before.task.low != after.task.low);
        CHECK_EQ(after.pid, getpid());
        again = look_up("echo");
        call_echo(again);
        end_echo(&peer, again);
        OK(ptl_task_leave());
        OK(ptl_task_leave());
}

API_TEST(a_stopped_peer_is_not_taken_for_dead)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo"), n = new_port();
        size_t size = 0;

        call_echo(echo);
        OK(ptl_right_notify_dead(echo, n));
        CHECK(kill(peer.pid, SIGSTOP) == 0);
        OUTCOME(ptl_call(echo, "x", 1, NULL, &size, ptl_after_ms(300)), PTL_E_UNANSWERED);
        check_empty(n);
        check_rights(echo, PTL_RIGHT_SEND, 1);
        CHECK(kill(peer.pid, SIGCONT) == 0);
        call_echo(echo);
        end_echo(&peer, echo);
}

API_TEST(a_stopped_peer_stalls_nobody_else)
{
        struct peer stopped, other;
        ptl_port a = start_echo(&stopped, "a"), b = start_echo(&other, "b");

        call_echo(a);
        CHECK(kill(stopped.pid, SIGSTOP) == 0);
        for (int i = 0; i < 200; i++) {
                call_echo_of(b, 3000, 1);
                (void)!ptl_send(a, "x", 1, PTL_NOW);
        }
        CHECK(kill(stopped.pid, SIGCONT) == 0);
        call_echo(a);
        end_echo(&other, b);
        end_echo(&stopped, a);
}

API_TEST(a_reply_port_hears_of_the_death_of_who_should_have_replied)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo"), reply = new_port();
        struct ptl_outgoing out = {.kind = KIND_KEEP, .reply = reply};

        for (int i = 0; i < 3; i++)
                OK(ptl_send_message(echo, &out, soon()));
        call_echo(echo); /* it has taken them */
        check_empty(reply);
        peer_kill(&peer);
        for (int i = 0; i < 3; i++)
                take_notification(reply, PTL_NOTIFY_SEND_ONCE);
        check_empty(reply);
}

PEER(asks)
{
        struct ptl_outgoing out = {.reply = new_port()};

        OK(ptl_send_message(look_up(argv[1]), &out, PTL_NOW));
        peer_stay();
}

API_TEST(a_reply_to_a_dead_caller_is_refused_and_not_consumed)
{
        ptl_port p = new_port(), n = new_port(), reply;
        struct peer peer;
        struct ptl_message m;

        OK(ptl_name_publish("p", p));
        peer_start(&peer, "asks", "p", NULL);
        m = take_message(p);
        reply = m.reply;
        CHECK(reply != PTL_NULL);
        OK(ptl_right_notify_dead(reply, n));
        peer_kill(&peer);
        take_dead_name(n, reply);
        check_rights(reply, PTL_RIGHT_DEAD, 2);
        OUTCOME(ptl_reply(&m, "x", 1), PTL_E_DEAD);
        CHECK_EQ(m.reply, reply);
        ptl_message_release(&m);
        check_rights(reply, PTL_RIGHT_DEAD, 1);
        OK(ptl_right_release(reply));
}

API_TEST(a_loan_for_a_dead_peer_is_refused_and_can_be_cancelled)
{
        struct peer peer;
        ptl_port sink = start_sink(&peer, "sink", "4"), n = new_port();
        struct ptl_loan loan, more;

        OK(ptl_right_notify_dead(sink, n));
        OK(ptl_loan_reserve(sink, 10000, &loan, PTL_NOW));
        peer_kill(&peer);
        take_dead_name(n, sink);
        memset(loan.data, 1, 10000);
        OUTCOME(ptl_loan_publish(&loan, 10000, NULL, PTL_NOW), PTL_E_DEAD);
        OUTCOME(ptl_loan_reserve(sink, 10000, &more, PTL_NOW), PTL_E_DEAD);
        ptl_loan_cancel(&loan);
}

API_TEST(a_message_received_from_a_dead_peer_stays_readable)
{
        for (unsigned flags = 0; flags <= PTL_IN_PLACE; flags++) {
                ptl_port p = new_port();
                struct ptl_message m[2];
                struct peer peer;

                OK(ptl_name_publish("p", p));
                peer_start(&peer, "sends_and_dies", "p", NULL);
                CHECK(waitpid(peer.pid, NULL, 0) == peer.pid);
                close(peer.fd);
                OK(ptl_receive_with(p, &m[0], flags, soon()));
                for (unsigned i = 1; i < 100; i++) {
                        OK(ptl_receive_with(p, &m[1], flags, soon()));
                        CHECK(memcmp(m[1].data, &i, sizeof i) == 0);
                        ptl_message_release(&m[1]);
                }
                OUTCOME(ptl_receive(p, &m[1], ptl_after_ms(5)), PTL_E_TIMEOUT);
                CHECK(memcmp(m[0].data, &(unsigned){0}, sizeof(unsigned)) == 0);
                ptl_message_release(&m[0]);
                OK(ptl_port_free(p));
        }
}

/* Sends two to "mine"; when told to, frees its port "gone" and sends another, in one breath. */
PEER(frees_and_sends)
{
        ptl_port gone = new_port(), mine;

        OK(ptl_name_publish("gone", gone));
        mine = look_up("mine");
        put(mine, "warms");
        put(mine, "warms");
        peer_hear(NULL, "go");
        OK(ptl_port_free(gone));
        put(mine, "after");
        peer_say(NULL, "sent");
        peer_stay();
}

/* The link is polled after this, and there are cells for a notification and for a message beside it. */
static void warm(ptl_port mine)
{
        struct ptl_message m[2];

        for (int i = 0; i < 2; i++)
                m[i] = take_message(mine);
        for (int i = 0; i < 2; i++)
                ptl_message_release(&m[i]);
}

/* The one look is ptl_wait_look(): the tick, which some other calls bring, comes 32 calls after a look. */
API_TEST(a_notification_and_a_message_that_one_look_finds_both_arrive)
{
        for (unsigned flags = 0; flags <= PTL_IN_PLACE; flags++) {
                ptl_port mine = new_port(), n = new_port(), set = new_set(), gone;
                struct ptl_message m;
                struct peer peer;
                int fd;

                OK(ptl_set_add(set, mine));
                OK(ptl_set_add(set, n));
                OK(ptl_descriptor(PTL_NULL, &fd)); /* from now on each look is a whole one */
                OK(ptl_name_publish("mine", mine));
                peer_start(&peer, "frees_and_sends", NULL);
                gone = look_up("gone");
                OK(ptl_right_notify_dead(gone, n));
                warm(mine);
                check_empty(set);
                peer_say(&peer, "go");
                peer_hear(&peer, "sent");
                for (int i = 0; i < 2; i++) {
                        OK(ptl_receive_with(set, &m, flags, PTL_NOW));
                        CHECK(m.port == mine ? m.size == 6 : m.kind == PTL_NOTIFY_DEAD_NAME);
                        ptl_message_release(&m);
                }
                check_empty(set);
                peer_end(&peer);
                OK(ptl_port_free(mine));
                OK(ptl_port_free(n));
                OK(ptl_set_free(set));
        }
}

/* fat MIB: lives with so much resident memory, which the kernel frees before it closes descriptors. */
PEER(fat)
{
        size_t size = (size_t)atol(argv[1]) << 20;
        char *memory = malloc(size);
        ptl_port p = new_port();

        CHECK(memory);
        memset(memory, 1, size);
        OK(ptl_name_publish("fat", p));
        peer_say(NULL, "fat");
        peer_stay();
        free(memory);
}

/* DEATH_MIB: its resident memory (16). From when the kernel has freed that, ten times the bar. */
API_TEST(a_death_is_told_soon_after_the_kernel_has_freed_the_memory)
{
        enum { BAR_MS = 10 };
        const char *mib = getenv("DEATH_MIB");
        ptl_port p, n = new_port();
        ptl_time killed, ended, told;
        struct peer peer;
        siginfo_t info;

        peer_start(&peer, "fat", mib ? mib : "16", NULL);
        peer_hear(&peer, "fat");
        p = look_up("fat");
        OK(ptl_right_notify_dead(p, n));
        killed = ptl_now();
        CHECK(kill(peer.pid, SIGKILL) == 0);
        CHECK(waitid(P_PID, (id_t)peer.pid, &info, WEXITED | WNOWAIT) == 0);
        ended = ptl_now();
        take_dead_name(n, p);
        told = ptl_now();
        fprintf(stderr, "# %s MiB: the kernel took %.2f ms, the notification %.2f ms more\n", mib ? mib : "16",
                (double)(ended - killed) / 1e6, (double)(told - ended) / 1e6);
        CHECK(told - ended < tst_deadline_ms(10 * BAR_MS) * 1000000);
        peer_kill(&peer);
}
