/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: several in the library at once, waiting for different things; cancellation. */
#include "roles.h"
#include <pthread.h>

enum { THREADS = 4 };

static pthread_t start_thread(void *(*run)(void *), void *arg)
{
        pthread_t t;

        CHECK(pthread_create(&t, NULL, run, arg) == 0);
        return t;
}

/* ---- each gets its own ---- */

/* deals COUNT: sends numbers to ports t0 ... t3 in turn. */
PEER(deals)
{
        ptl_port p[THREADS];
        unsigned count = (unsigned)atoi(argv[1]);
        char name[8];

        for (int i = 0; i < THREADS; i++) {
                snprintf(name, sizeof name, "t%d", i);
                p[i] = look_up(name);
        }
        for (unsigned i = 0; i < count; i++)
                OK(ptl_send(p[i * 7 % THREADS], &i, sizeof i, PTL_FOREVER));
        peer_stay();
}

struct receiver {
        ptl_port port;
        unsigned index, count;
};

static void *receive_own(void *arg)
{
        struct receiver *r = arg;
        unsigned last = 0;

        for (unsigned n = 0; n < r->count; n++) {
                struct ptl_message m = take_message(r->port);
                unsigned i;

                CHECK_EQ(m.size, sizeof i);
                memcpy(&i, m.data, sizeof i);
                CHECK_EQ(i * 7 % THREADS, r->index);
                CHECK(n == 0 || i > last);
                CHECK_EQ(m.port, r->port);
                last = i;
                ptl_message_release(&m);
        }
        return NULL;
}

API_TEST(threads_that_receive_from_different_ports_get_their_own)
{
        enum { COUNT = 4000 };
        struct receiver r[THREADS];
        pthread_t t[THREADS];
        struct peer peer;
        char name[8];

        for (unsigned i = 0; i < THREADS; i++) {
                r[i] = (struct receiver){new_port(), i, COUNT / THREADS};
                snprintf(name, sizeof name, "t%u", i);
                OK(ptl_name_publish(name, r[i].port));
                t[i] = start_thread(receive_own, &r[i]);
        }
        peer_start(&peer, "deals", "4000", NULL);
        for (int i = 0; i < THREADS; i++)
                pthread_join(t[i], NULL);
        for (int i = 0; i < THREADS; i++)
                check_empty(r[i].port);
        peer_end(&peer);
}

struct shared {
        ptl_port port;
        unsigned *seen;
        unsigned count;
        unsigned got;
};

static void *receive_shared(void *arg)
{
        struct shared *s = arg;

        while (__atomic_fetch_add(&s->got, 1, __ATOMIC_RELAXED) < s->count) {
                struct ptl_message m = take_message(s->port);
                unsigned i;

                memcpy(&i, m.data, sizeof i);
                CHECK(i < s->count);
                CHECK_EQ(__atomic_fetch_add(&s->seen[i], 1, __ATOMIC_RELAXED), 0);
                ptl_message_release(&m);
        }
        return NULL;
}

API_TEST(threads_that_receive_from_one_set_share_its_messages)
{
        enum { COUNT = 4000 };
        static unsigned seen[COUNT];
        struct shared s = {.port = new_set(), .seen = seen, .count = COUNT};
        pthread_t t[THREADS];
        struct peer peer;

        for (int i = 0; i < THREADS; i++) {
                char name[8];
                ptl_port p = new_port();

                snprintf(name, sizeof name, "t%d", i);
                OK(ptl_name_publish(name, p));
                OK(ptl_set_add(s.port, p));
                t[i] = start_thread(receive_shared, &s);
        }
        peer_start(&peer, "deals", "4000", NULL);
        for (int i = 0; i < THREADS; i++)
                pthread_join(t[i], NULL);
        for (int i = 0; i < COUNT; i++)
                CHECK_EQ(seen[i], 1);
        check_empty(s.port);
        peer_end(&peer);
}

/* ---- calls ---- */

static void *serve(void *arg)
{
        ptl_port p = *(ptl_port *)arg;
        struct ptl_message m;
        int outcome;

        while ((outcome = ptl_receive(p, &m, PTL_FOREVER)) == 0) {
                if (m.kind == KIND_QUIT) {
                        ptl_message_release(&m);
                        return NULL;
                }
                OK(ptl_reply(&m, m.data, m.size));
                ptl_message_release(&m);
        }
        OUTCOME(outcome, 0);
        return NULL;
}

PEER(serves_in_threads)
{
        ptl_port p = new_port();
        pthread_t t[THREADS];

        OK(ptl_name_publish(argv[1], p));
        for (int i = 0; i < THREADS; i++)
                t[i] = start_thread(serve, &p);
        for (int i = 0; i < THREADS; i++)
                pthread_join(t[i], NULL);
}

struct caller {
        ptl_port port;
        unsigned seed, calls;
};

static void *call(void *arg)
{
        struct caller *c = arg;

        for (unsigned i = 0; i < c->calls; i++)
                call_echo_of(c->port, i % 50 == 0 ? 40000 : i % 500, c->seed + i);
        return NULL;
}

API_TEST(calls_of_four_threads_to_four_threads_get_their_own_answers)
{
        struct caller c[THREADS];
        pthread_t t[THREADS];
        struct peer peer;
        ptl_port server;

        peer_start(&peer, "serves_in_threads", "server", NULL);
        server = look_up("server");
        for (unsigned i = 0; i < THREADS; i++) {
                c[i] = (struct caller){server, i * 1000, 1000};
                t[i] = start_thread(call, &c[i]);
        }
        for (int i = 0; i < THREADS; i++)
                pthread_join(t[i], NULL);
        for (int i = 0; i < THREADS; i++)
                OK(ptl_send_message(server, &(struct ptl_outgoing){.kind = KIND_QUIT}, soon()));
        peer_end(&peer);
}

API_TEST(calls_of_four_threads_within_the_task_get_their_own_answers)
{
        ptl_port server = new_send_port();
        struct caller c[THREADS];
        pthread_t t[THREADS], s[2];

        for (int i = 0; i < 2; i++)
                s[i] = start_thread(serve, &server);
        for (unsigned i = 0; i < THREADS; i++) {
                c[i] = (struct caller){server, i * 1000, 1000};
                t[i] = start_thread(call, &c[i]);
        }
        for (int i = 0; i < THREADS; i++)
                pthread_join(t[i], NULL);
        for (int i = 0; i < 2; i++)
                OK(ptl_send_message(server, &(struct ptl_outgoing){.kind = KIND_QUIT}, soon()));
        for (int i = 0; i < 2; i++)
                pthread_join(s[i], NULL);
}

static void *call_to_own_peer(void *arg)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, arg);

        for (unsigned i = 0; i < 500; i++)
                call_echo_of(echo, i * 3, i);
        end_echo(&peer, echo);
        return NULL;
}

API_TEST(threads_that_talk_to_different_peers_do_not_mix)
{
        static char names[THREADS][8];
        pthread_t t[THREADS];

        for (int i = 0; i < THREADS; i++) {
                snprintf(names[i], sizeof names[i], "echo%d", i);
                t[i] = start_thread(call_to_own_peer, names[i]);
        }
        for (int i = 0; i < THREADS; i++)
                pthread_join(t[i], NULL);
}

/* ---- who leaves a wait hands it on ---- */

static bool stop;

static void *wait_briefly_again_and_again(void *arg)
{
        ptl_port p = new_port();
        struct ptl_message m;

        while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
                OUTCOME(ptl_receive(p, &m, ptl_after_ms(1)), PTL_E_TIMEOUT);
        return NULL;
}

API_TEST(a_thread_that_leaves_its_wait_leaves_no_other_waiting)
{
        const enum ptl_wait modes[] = {PTL_WAIT_ADAPTIVE, PTL_WAIT_BLOCK, PTL_WAIT_SPIN};
        pthread_t brief[2];
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");

        for (int i = 0; i < 2; i++)
                brief[i] = start_thread(wait_briefly_again_and_again, NULL);
        for (size_t k = 0; k < ARRAY_LEN(modes); k++) {
                ptl_time start = ptl_now();

                OK(ptl_task_set_wait(modes[k], 0));
                for (unsigned i = 0; i < 400; i++)
                        call_echo_of(echo, i, i); /* each within its deadline of 5 s */
                CHECK(ptl_now() - start < tst_deadline_ms(4000) * 1000000);
        }
        __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
        for (int i = 0; i < 2; i++)
                pthread_join(brief[i], NULL);
        end_echo(&peer, echo);
}

struct sleeper {
        ptl_port port;
        pid_t tid;
        int outcome;
        ptl_time deadline;
        bool ended;
};

static void *sleep_on_port(void *arg)
{
        struct sleeper *s = arg;
        struct ptl_message m;

        __atomic_store_n(&s->tid, gettid(), __ATOMIC_RELEASE);
        s->outcome = ptl_receive(s->port, &m, s->deadline);
        if (s->outcome == 0)
                ptl_message_release(&m);
        __atomic_store_n(&s->ended, true, __ATOMIC_RELEASE);
        return NULL;
}

/* Asleep, or where the machine is so slow that nobody saw it asleep: timed out already. */
static bool has_slept(const struct sleeper *s)
{
        return is_asleep(getpid(), s->tid) || __atomic_load_n(&s->ended, __ATOMIC_ACQUIRE);
}

static pthread_t start_sleeper(struct sleeper *s)
{
        pthread_t t = start_thread(sleep_on_port, s);

        CHECK(tst_wait_until(__atomic_load_n(&s->tid, __ATOMIC_ACQUIRE), 5000));
        CHECK(tst_wait_until(has_slept(s), 5000));
        return t;
}

API_TEST(when_the_first_waiter_times_out_the_second_still_gets_its_message)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");

        call_echo(echo);
        for (int round = 0; round < 20; round++) {
                struct sleeper first = {.port = new_port(), .deadline = ptl_after_ms(20)};
                struct sleeper second = {.port = new_port(), .deadline = soon()};
                struct ptl_outgoing out = {.reply = second.port};
                pthread_t t1 = start_sleeper(&first), t2 = start_sleeper(&second);
                ptl_time start;

                pthread_join(t1, NULL);
                OUTCOME(first.outcome, PTL_E_TIMEOUT);
                start = ptl_now();
                OK(ptl_send_message(echo, &out, soon()));
                pthread_join(t2, NULL);
                OK(second.outcome);
                CHECK(ptl_now() - start < tst_deadline_ms(1000) * 1000000);
        }
        end_echo(&peer, echo);
}

API_TEST(a_message_for_a_sleeping_thread_reaches_it_from_another_threads_call)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");

        for (int round = 0; round < 100; round++) {
                struct sleeper s = {.port = new_port(), .deadline = soon()};
                struct ptl_outgoing out = {.reply = s.port};
                pthread_t t = start_sleeper(&s);

                OK(ptl_send_message(echo, &out, soon()));
                call_echo(echo); /* this thread may take both off the link */
                pthread_join(t, NULL);
                OK(s.outcome);
        }
        end_echo(&peer, echo);
}

API_TEST(a_port_freed_under_many_waiters_wakes_them_all)
{
        for (int round = 0; round < 10; round++) {
                struct sleeper s[THREADS];
                pthread_t t[THREADS];
                ptl_port p = new_port(), other = new_port();

                for (int i = 0; i < THREADS; i++) {
                        s[i] = (struct sleeper){.port = p, .deadline = soon()};
                        t[i] = start_sleeper(&s[i]);
                }
                OK(ptl_port_free(p));
                for (int i = 0; i < THREADS; i++) {
                        pthread_join(t[i], NULL);
                        OUTCOME(s[i].outcome, PTL_E_DEAD);
                }
                put(other, "works");
                take(other, "works");
        }
}

API_TEST(one_cannot_leave_while_another_thread_waits)
{
        struct sleeper s = {.port = new_port(), .deadline = soon()};
        pthread_t t = start_sleeper(&s);

        OUTCOME(ptl_task_leave(), PTL_E_BUSY);
        put(s.port, "wakes");
        pthread_join(t, NULL);
        OK(s.outcome);
        OK(ptl_task_leave());
}

/* ---- cancellation ---- */

struct cancelled {
        struct sleeper s;
        int (*wait)(struct cancelled *c);
        ptl_port full, echo;
        bool returned;
};

static int cancelled_receive(struct cancelled *c)
{
        struct ptl_message m;
        int outcome = ptl_receive(c->s.port, &m, c->s.deadline);

        if (outcome == 0)
                ptl_message_release(&m);
        return outcome;
}

static int cancelled_send(struct cancelled *c) { return ptl_send(c->full, "x", 1, c->s.deadline); }

static int cancelled_call(struct cancelled *c)
{
        size_t n = 0;

        return ptl_call(c->s.port, "x", 1, NULL, &n, c->s.deadline);
}

static int cancelled_look_up(struct cancelled *c)
{
        ptl_port p;

        return ptl_name_look_up("nobody", &p, c->s.deadline);
}

static void *wait_and_be_cancelled(void *arg)
{
        struct cancelled *c = arg;

        __atomic_store_n(&c->s.tid, gettid(), __ATOMIC_RELEASE);
        c->s.outcome = c->wait(c);
        __atomic_store_n(&c->returned, true, __ATOMIC_RELEASE);
        for (;;)
                pause(); /* a cancellation point */
        return NULL;
}

static const struct cancel_row {
        const char *name;
        int (*wait)(struct cancelled *c);
        int expected;
} cancel_rows[] = {
        {"receive", cancelled_receive, PTL_E_TIMEOUT   },
        {"send",    cancelled_send,    PTL_E_TIMEOUT   },
        {"call",    cancelled_call,    PTL_E_UNANSWERED},
        {"look up", cancelled_look_up, PTL_E_TIMEOUT   },
};

API_TEST(x09_cancellation_waits_until_the_call_returns)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");

        for (size_t i = 0; i < ARRAY_LEN(cancel_rows); i++) {
                const struct cancel_row *r = &cancel_rows[i];
                struct cancelled c = {.wait = r->wait, .full = new_port_of(1, 0)};
                void *result;
                pthread_t t;

                c.s.port = new_send_port();
                c.s.deadline = ptl_after_ms(150);
                put(c.full, "fills it");
                t = start_thread(wait_and_be_cancelled, &c);
                CHECK(tst_wait_until(__atomic_load_n(&c.s.tid, __ATOMIC_ACQUIRE), 5000));
                CHECK(tst_wait_until(is_asleep(getpid(), c.s.tid), 5000));
                CHECK(pthread_cancel(t) == 0);
                call_echo(echo); /* usable meanwhile */
                CHECK(pthread_join(t, &result) == 0);
                CHECK_ROW(i, r, result == PTHREAD_CANCELED);
                CHECK_ROW(i, r, c.returned);
                CHECK_ROW(i, r, c.s.outcome == r->expected);
                call_echo(echo); /* and afterwards */
                take(c.full, "fills it");
        }
        end_echo(&peer, echo);
}

API_TEST(x09_a_cancelled_receiver_still_gets_its_message)
{
        struct cancelled c = {.wait = cancelled_receive};
        void *result;
        pthread_t t;

        c.s.port = new_port();
        c.s.deadline = soon();
        t = start_thread(wait_and_be_cancelled, &c);
        CHECK(tst_wait_until(__atomic_load_n(&c.s.tid, __ATOMIC_ACQUIRE), 5000));
        CHECK(tst_wait_until(is_asleep(getpid(), c.s.tid), 5000));
        CHECK(pthread_cancel(t) == 0);
        put(c.s.port, "message");
        CHECK(pthread_join(t, &result) == 0);
        CHECK(result == PTHREAD_CANCELED);
        CHECK(c.returned);
        OK(c.s.outcome);
        check_empty(c.s.port);
}

/* ---- everything at once ---- */

static void *make_and_free(void *arg)
{
        unsigned seed = (unsigned)(uintptr_t)arg;

        for (unsigned i = 0; i < 3000; i++) {
                ptl_port p = new_send_port(), set = new_set();

                OK(ptl_set_add(set, p));
                put(p, "x");
                if ((i + seed) % 3)
                        take(set, "x");
                OK(ptl_set_free(set));
                OK(ptl_port_free(p));
                OK(ptl_right_release(p));
                check_no_name(p);
        }
        return NULL;
}

API_TEST(threads_that_make_and_free_ports_do_not_meet)
{
        uint32_t names = statistics().names;
        pthread_t t[THREADS];

        for (uintptr_t i = 0; i < THREADS; i++)
                t[i] = start_thread(make_and_free, (void *)i);
        for (int i = 0; i < THREADS; i++)
                pthread_join(t[i], NULL);
        CHECK_EQ(statistics().names, names);
}

static void *count_references(void *arg)
{
        ptl_port p = *(ptl_port *)arg;

        for (int i = 0; i < 20000; i++) {
                OK(ptl_right_ref(p));
                OK(ptl_right_release(p));
        }
        return NULL;
}

API_TEST(references_are_counted_right_by_many_threads)
{
        ptl_port p = new_send_port();
        pthread_t t[THREADS];

        for (int i = 0; i < THREADS; i++)
                t[i] = start_thread(count_references, &p);
        for (int i = 0; i < THREADS; i++)
                pthread_join(t[i], NULL);
        check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
}

static void *send_numbers(void *arg)
{
        struct caller *c = arg;

        for (unsigned i = 0; i < c->calls; i++) {
                unsigned v[2] = {c->seed, i};

                OK(ptl_send(c->port, v, sizeof v, PTL_FOREVER));
        }
        return NULL;
}

API_TEST(messages_of_each_thread_arrive_in_its_order)
{
        ptl_port p = new_port_of(8, 0);
        struct caller c[THREADS];
        pthread_t t[THREADS];
        unsigned next[THREADS] = {0};

        for (unsigned i = 0; i < THREADS; i++) {
                c[i] = (struct caller){p, i, 2000};
                t[i] = start_thread(send_numbers, &c[i]);
        }
        for (int n = 0; n < THREADS * 2000; n++) {
                struct ptl_message m = take_message(p);
                unsigned v[2];

                CHECK_EQ(m.size, sizeof v);
                memcpy(v, m.data, sizeof v);
                CHECK(v[0] < THREADS);
                CHECK_EQ(v[1], next[v[0]]++);
                ptl_message_release(&m);
        }
        for (int i = 0; i < THREADS; i++)
                pthread_join(t[i], NULL);
        check_empty(p);
}
