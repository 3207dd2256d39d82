/* SPDX-License-Identifier: Apache-2.0 */
/* A right gets another name, and everything of this task that knew it by the old one goes on
 * (M-12). */
#include "counts.h"
#include <pthread.h>

enum { PLACE = 700, NAME = 0x0ab00000 | PLACE, OTHER = NAME + 1 };

static void renamed(ptl_port old, ptl_port name)
{
        OK(ptl_right_rename(old, name));
        check_no_name(old);
}

API_TEST(m12_a_port_is_renamed_with_its_queue_and_its_senders)
{
        ptl_port p = new_send_port(), once = new_once(p), set = new_set();

        OK(ptl_set_add(set, p));
        put(p, "before");
        renamed(p, NAME);
        check_rights(NAME, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
        put(NAME, "after");
        put(once, "once");
        take(NAME, "before");
        take(set, "after");
        struct ptl_message m = take_message(set);
        CHECK_EQ(m.port, NAME);
        ptl_message_release(&m);
        renamed(set, OTHER);
        CHECK_EQ(status_of(NAME).set, OTHER);
        put(NAME, "by the set");
        take(OTHER, "by the set");
        OK(ptl_port_free(NAME));
        check_rights(NAME, PTL_RIGHT_DEAD, 1);
        renamed(NAME, NAME - 5);
        check_rights(NAME - 5, PTL_RIGHT_DEAD, 1);
}

API_TEST(m12_requests_go_on_under_the_new_names)
{
        ptl_port p = new_send_port(), n = new_port(), once = new_once(p);

        ask(p, PTL_NOTIFY_DEAD_NAME, 0, n);
        ask(p, PTL_NOTIFY_NO_SENDERS, 0, n);
        ask(once, PTL_NOTIFY_DEAD_NAME, 0, n);
        renamed(p, NAME);
        renamed(n, OTHER);
        renamed(once, NAME + 2);
        OK(ptl_right_release(NAME));
        take_no_senders(OTHER, 1);
        OK(ptl_right_release(NAME + 2));
        take_deleted(OTHER, NAME + 2);
        take_unused(NAME);
        OK(ptl_right_make_send(NAME));
        OK(ptl_port_free(NAME));
        take_dead_name(OTHER, NAME);
        CHECK_EQ(counts_of(OTHER).once, 0);
}

API_TEST(m12_rights_in_messages_arrive_under_the_new_name)
{
        ptl_port p = new_send_port(), q = new_send_port(), n = new_port(), once;

        put_right(q, p, PTL_MOVE_SEND);
        put_right(q, p, PTL_MAKE_SEND_ONCE);
        ask(p, PTL_NOTIFY_PORT_DESTROYED, 0, n);
        renamed(p, NAME);
        OK(ptl_right_make_send(NAME));
        OK(ptl_port_free(NAME));
        renamed(NAME, OTHER); /* in the mail, by its send right */
        CHECK_EQ(take_right(q), OTHER);
        once = take_right(q);
        put(once, "through the mail");
        take_destroyed_as(n, NAME, OTHER);
        take(OTHER, "through the mail");
        check_rights(OTHER, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 2);
}

API_TEST(m12_what_cannot_be_a_name_is_refused_and_changes_nothing)
{
        ptl_port p = new_send_port(), q = new_port(), published = new_port();

        OUTCOME(ptl_right_rename(p, PTL_NULL), PTL_E_INVALID);
        OUTCOME(ptl_right_rename(p, UINT32_MAX), PTL_E_INVALID);
        OUTCOME(ptl_right_rename(p, q), PTL_E_EXISTS);
        OUTCOME(ptl_right_rename(p, p), PTL_E_EXISTS);
        OUTCOME(ptl_right_rename(stale_name(), NAME), PTL_E_NAME);
        OK(ptl_name_publish("published", published));
        OUTCOME(ptl_right_rename(published, NAME), PTL_E_BUSY);
        put(p, "as it was");
        take(p, "as it was");
        check_rights(q, PTL_RIGHT_RECEIVE, 0);
        check_no_name(NAME);
}

struct reader {
        ptl_port port;
        pid_t tid;
        struct ptl_message message;
};

static void *reads(void *arg)
{
        struct reader *r = arg;

        __atomic_store_n(&r->tid, gettid(), __ATOMIC_RELEASE);
        OK(ptl_receive(r->port, &r->message, PTL_FOREVER));
        return NULL;
}

API_TEST(m12_a_thread_that_waits_to_receive_goes_on)
{
        ptl_port p = new_send_port();
        struct reader r = {.port = p};
        pthread_t t;

        CHECK(pthread_create(&t, NULL, reads, &r) == 0);
        CHECK(tst_wait_until(__atomic_load_n(&r.tid, __ATOMIC_ACQUIRE) != 0, 5000));
        CHECK(tst_wait_until(is_asleep(getpid(), r.tid), 5000));
        renamed(p, NAME);
        put(NAME, "hello");
        CHECK(pthread_join(t, NULL) == 0);
        CHECK_EQ(r.message.port, NAME);
        check_text(&r.message, "hello");
        ptl_message_release(&r.message);
}

API_TEST(m12_a_port_that_watches_names_goes_on)
{
        ptl_port n = new_port(), p = new_port();

        OK(ptl_name_watch("seen", n));
        renamed(n, NAME);
        OK(ptl_name_publish("seen", p));
        CHECK_STR_EQ(take_notification(NAME, PTL_NOTIFY_NAME_ADDED).text, "seen");
        OK(ptl_port_free(NAME));
}
