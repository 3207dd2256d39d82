/* SPDX-License-Identifier: Apache-2.0 */
/* Port sets: receiving from several ports at once. */
#include "api.h"
#include <pthread.h>

API_TEST(a_set_receives_from_all_its_members)
{
        ptl_port set = new_set(), p[3];
        unsigned seen = 0;

        for (unsigned i = 0; i < 3; i++) {
                p[i] = new_send_port();
                OK(ptl_set_add(set, p[i]));
                CHECK_EQ(status_of(p[i]).set, set);
                OK(ptl_send(p[i], &i, sizeof i, PTL_NOW));
        }
        CHECK_EQ(status_of(set).rights, PTL_RIGHT_SET);
        for (unsigned i = 0; i < 3; i++) {
                struct ptl_message m = take_message(set);
                unsigned k;

                CHECK_EQ(m.size, sizeof k);
                memcpy(&k, m.data, sizeof k);
                CHECK(k < 3);
                CHECK_EQ(m.port, p[k]);
                seen |= 1u << k;
                ptl_message_release(&m);
        }
        CHECK_EQ(seen, 7);
        check_empty(set);
}

API_TEST(messages_queued_before_the_port_joined_come_through_the_set)
{
        ptl_port set = new_set(), p = new_send_port();

        put(p, "early");
        OK(ptl_set_add(set, p));
        take(set, "early");
        check_empty(set);
        check_empty(p);
}

API_TEST(a_member_can_still_be_received_from)
{
        ptl_port set = new_set(), p = new_send_port(), q = new_send_port();

        OK(ptl_set_add(set, p));
        OK(ptl_set_add(set, q));
        put(p, "p");
        put(q, "q");
        take(q, "q");
        take(set, "p");
        check_empty(set);
}

API_TEST(members_take_turns)
{
        enum { N = 50 };
        ptl_port set = new_set(), p[2];
        unsigned got[2] = {0};

        for (int i = 0; i < 2; i++) {
                p[i] = new_send_port();
                OK(ptl_set_add(set, p[i]));
                for (int k = 0; k < N; k++)
                        OK(ptl_send(p[i], "x", 2, PTL_NOW));
        }
        for (int k = 0; k < 10; k++) {
                struct ptl_message m = take_message(set);

                got[m.port == p[1]]++;
                ptl_message_release(&m);
        }
        CHECK_EQ(got[0], 5);
        CHECK_EQ(got[1], 5);
}

API_TEST(a_port_is_in_one_set_at_a_time)
{
        ptl_port a = new_set(), b = new_set(), p = new_send_port();

        OK(ptl_set_add(a, p));
        put(p, "moves");
        OK(ptl_set_add(b, p));
        CHECK_EQ(status_of(p).set, b);
        check_empty(a);
        take(b, "moves");
        OK(ptl_set_add(b, p));
        CHECK_EQ(status_of(p).set, b);
        OK(ptl_set_add(PTL_NULL, p));
        CHECK_EQ(status_of(p).set, PTL_NULL);
        put(p, "alone");
        check_empty(b);
        take(p, "alone");
        OK(ptl_set_add(PTL_NULL, p));
}

API_TEST(a_freed_set_leaves_its_members)
{
        ptl_port set = new_set(), p = new_send_port();
        struct ptl_message m;

        OK(ptl_set_add(set, p));
        put(p, "stays");
        OK(ptl_set_free(set));
        check_no_name(set);
        OUTCOME(ptl_receive(set, &m, PTL_NOW), PTL_E_NAME);
        CHECK_EQ(status_of(p).set, PTL_NULL);
        take(p, "stays");
        OUTCOME(ptl_set_free(set), PTL_E_NAME);
}

API_TEST(a_freed_member_leaves_its_set)
{
        ptl_port set = new_set(), p = new_send_port(), q = new_send_port();

        OK(ptl_set_add(set, p));
        OK(ptl_set_add(set, q));
        put(p, "dies");
        put(q, "lives");
        OK(ptl_port_free(p));
        take(set, "lives");
        check_empty(set);
}

struct waiter {
        ptl_port port;
        pid_t tid;
        int outcome;
        char text[16];
};

static void *wait_for_one(void *arg)
{
        struct waiter *w = arg;
        struct ptl_message m;

        __atomic_store_n(&w->tid, gettid(), __ATOMIC_RELEASE);
        w->outcome = ptl_receive(w->port, &m, soon());
        if (w->outcome)
                return NULL;
        snprintf(w->text, sizeof w->text, "%.*s", (int)m.size, (const char *)m.data);
        ptl_message_release(&m);
        return NULL;
}

static pthread_t start_waiter(struct waiter *w)
{
        pthread_t t;

        CHECK(pthread_create(&t, NULL, wait_for_one, w) == 0);
        CHECK(tst_wait_until(__atomic_load_n(&w->tid, __ATOMIC_ACQUIRE), 5000));
        CHECK(tst_wait_until(is_asleep(getpid(), w->tid), 5000));
        return t;
}

API_TEST(a_thread_waiting_on_a_set_gets_a_message_of_a_member)
{
        ptl_port p = new_send_port();
        struct waiter w = {.port = new_set()};
        pthread_t t;

        OK(ptl_set_add(w.port, p));
        t = start_waiter(&w);
        put(p, "wakes");
        pthread_join(t, NULL);
        OK(w.outcome);
        CHECK_STR_EQ(w.text, "wakes");
}

API_TEST(a_port_with_messages_that_joins_a_set_wakes_who_waits_there)
{
        ptl_port p = new_send_port();
        struct waiter w = {.port = new_set()};
        pthread_t t = start_waiter(&w);

        put(p, "joins");
        OK(ptl_set_add(w.port, p));
        pthread_join(t, NULL);
        OK(w.outcome);
        CHECK_STR_EQ(w.text, "joins");
}

API_TEST(freeing_a_set_ends_the_waits_on_it)
{
        struct waiter w = {.port = new_set()};
        pthread_t t = start_waiter(&w);

        OK(ptl_set_free(w.port));
        pthread_join(t, NULL);
        OUTCOME(w.outcome, PTL_E_DEAD);
}

API_TEST(freeing_a_port_ends_the_waits_on_it)
{
        struct waiter w = {.port = new_send_port()};
        pthread_t t = start_waiter(&w);

        OK(ptl_port_free(w.port));
        pthread_join(t, NULL);
        OUTCOME(w.outcome, PTL_E_DEAD);
}

API_TEST(a_set_may_have_many_members_and_none)
{
        enum { N = 2000 };
        static ptl_port p[N];
        ptl_port set = new_set();

        for (int i = 0; i < N; i++) {
                p[i] = new_port();
                OK(ptl_set_add(set, p[i]));
        }
        for (int i = N; i-- > 0; i -= 97) {
                put(p[i], "x");
                take(set, "x");
        }
        for (int i = 0; i < N; i++)
                OK(ptl_port_free(p[i]));
        check_empty(set);
        OK(ptl_set_free(set));
}
