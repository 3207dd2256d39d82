/* SPDX-License-Identifier: Apache-2.0 */
/* Ports and rights within one task: what names carry, count and become. */
#include "api.h"

API_TEST(a_new_port_carries_the_receive_right_and_the_default_limits)
{
        struct ptl_port_status s = status_of(new_port());

        CHECK_EQ(s.rights, PTL_RIGHT_RECEIVE);
        CHECK_EQ(s.references, 0);
        CHECK_EQ(s.queued, 0);
        CHECK_EQ(s.limit_messages, PTL_LIMIT_MESSAGES_DEFAULT);
        CHECK_EQ(s.limit_bytes, PTL_LIMIT_BYTES_DEFAULT);
        CHECK_EQ(s.set, PTL_NULL);
        CHECK_EQ(s.peer_pid, 0);
        CHECK_EQ(s.received, 0);
}

API_TEST(options_choose_the_limits_and_zero_is_the_default)
{
        const struct {
                uint32_t messages;
                uint64_t bytes;
        } rows[] = {
                {1,                      0      },
                {0,                      64     },
                {PTL_LIMIT_MESSAGES_MAX, 1 << 30},
                {3,                      1000   },
                {0,                      0      }
        };

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct ptl_port_status s = status_of(new_port_of(rows[i].messages, rows[i].bytes));

                CHECK_EQ(s.limit_messages,
                         rows[i].messages ? rows[i].messages : PTL_LIMIT_MESSAGES_DEFAULT);
                CHECK_EQ(s.limit_bytes, rows[i].bytes ? rows[i].bytes : PTL_LIMIT_BYTES_DEFAULT);
        }
}

API_TEST(options_out_of_range_are_refused_and_nothing_is_made)
{
        const struct ptl_port_options rows[] = {{.limit_messages = PTL_LIMIT_MESSAGES_MAX + 1},
                                                {.limit_messages = UINT32_MAX}};
        ptl_port kept = new_port();
        uint32_t names = statistics().names;

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                ptl_port p = 4242;

                OUTCOME(ptl_port_new(&p, &rows[i]), PTL_E_INVALID);
                CHECK_EQ(p, 4242);
                OUTCOME(ptl_port_set_limit(kept, &rows[i]), PTL_E_INVALID);
        }
        CHECK_EQ(statistics().names, names);
        CHECK_EQ(status_of(kept).limit_messages, PTL_LIMIT_MESSAGES_DEFAULT);
}

API_TEST(a_freed_port_leaves_no_name)
{
        ptl_port p = new_port();
        uint32_t names = statistics().names;

        OK(ptl_port_free(p));
        check_no_name(p);
        OUTCOME(ptl_port_free(p), PTL_E_NAME);
        CHECK_EQ(statistics().names, names - 1);
}

API_TEST(a_freed_port_that_carried_send_rights_is_a_dead_name)
{
        ptl_port p = new_send_port();

        OK(ptl_right_make_send(p));
        check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 2);
        OK(ptl_port_free(p));
        check_rights(p, PTL_RIGHT_DEAD, 2);
        OUTCOME(ptl_send(p, "x", 1, PTL_NOW), PTL_E_DEAD);
        OK(ptl_right_ref(p));
        check_rights(p, PTL_RIGHT_DEAD, 3);
        for (int i = 0; i < 3; i++)
                OK(ptl_right_release(p));
        check_no_name(p);
        OUTCOME(ptl_right_release(p), PTL_E_NAME);
}

API_TEST(releasing_the_last_send_right_keeps_the_receive_right)
{
        ptl_port p = new_send_port();

        OK(ptl_right_ref(p));
        OK(ptl_right_release(p));
        check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
        OK(ptl_right_release(p));
        check_rights(p, PTL_RIGHT_RECEIVE, 0);
        OUTCOME(ptl_right_release(p), PTL_E_RIGHT);
        OUTCOME(ptl_right_ref(p), PTL_E_RIGHT);
        OK(ptl_right_make_send(p));
        check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
}

API_TEST(a_name_counts_to_65535_references_and_no_further)
{
        ptl_port p = new_send_port();

        for (unsigned i = 1; i < 65535; i++)
                OK(i % 2 ? ptl_right_ref(p) : ptl_right_make_send(p));
        check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 65535);
        OUTCOME(ptl_right_ref(p), PTL_E_QUOTA);
        OUTCOME(ptl_right_make_send(p), PTL_E_QUOTA);
        check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 65535);
        OK(ptl_right_release(p));
        OK(ptl_right_ref(p));
        OK(ptl_port_free(p));
        check_rights(p, PTL_RIGHT_DEAD, 65535);
        OUTCOME(ptl_right_ref(p), PTL_E_QUOTA);
        for (unsigned i = 0; i < 65535; i++)
                OK(ptl_right_release(p));
        check_no_name(p);
}

API_TEST(a_stale_name_is_refused_for_4096_lives_of_its_entry)
{
        ptl_port first = new_port();

        OK(ptl_port_free(first));
        for (int i = 0; i < 4094; i++) {
                ptl_port p = new_port();

                CHECK(p != first);
                check_no_name(first);
                OUTCOME(ptl_port_free(first), PTL_E_NAME);
                OK(ptl_port_free(p));
        }
}

API_TEST(a_hundred_thousand_ports_live_side_by_side)
{
        enum { N = 100000 };
        ptl_port *p = calloc(N, sizeof *p);

        CHECK(p);
        for (int i = 0; i < N; i++)
                p[i] = new_port();
        put(p[0], "first");
        put(p[N - 1], "last");
        take(p[N - 1], "last");
        take(p[0], "first");
        CHECK(statistics().names >= N);
        for (int i = 0; i < N; i++)
                OK(ptl_port_free(p[i]));
        check_no_name(p[N / 2]);
        free(p);
}

API_TEST(a_task_may_have_1048574_names_and_no_more)
{
        enum { N = 1048574 };
        ptl_port *p = calloc(N + 1, sizeof *p), more = 4242;
        size_t n = 0;
        int outcome;

        CHECK(p);
        while (n <= N && (outcome = ptl_port_new(&p[n], NULL)) == 0)
                n++;
        OUTCOME(outcome, PTL_E_QUOTA);
        CHECK_EQ(n, N);
        OUTCOME(ptl_set_new(&more), PTL_E_QUOTA);
        CHECK_EQ(more, 4242);
        OK(ptl_port_free(p[N / 3]));
        p[N / 3] = new_port();
        put(p[N / 3], "a");
        take(p[N / 3], "a");
        for (size_t i = 0; i < N; i++)
                OK(ptl_port_free(p[i]));
        free(p);
}

API_TEST(a_send_once_right_has_a_name_of_its_own_and_counts_one)
{
        ptl_port p = new_port(), carrier = new_send_port();
        struct ptl_right_item item = {.port = p, .disposition = PTL_MAKE_SEND_ONCE};
        struct ptl_outgoing out = {.rights = &item, .n_rights = 1};
        struct ptl_message m;

        OK(ptl_send_message(carrier, &out, PTL_NOW));
        m = take_message(carrier);
        CHECK_EQ(m.n_rights, 1);
        item = m.rights[0];
        ptl_message_release(&m);
        CHECK_EQ(item.disposition, PTL_RIGHT_SEND_ONCE);
        CHECK(item.port != p);
        check_rights(item.port, PTL_RIGHT_SEND_ONCE, 1);
        OUTCOME(ptl_right_ref(item.port), PTL_E_RIGHT);
        OK(ptl_send(item.port, "once", 5, PTL_NOW));
        check_no_name(item.port);
        OUTCOME(ptl_send(item.port, "twice", 6, PTL_NOW), PTL_E_NAME);
        take(p, "once");
        check_empty(p);
}

/* A send-once right to @p, of this task. */
static ptl_port new_send_once(ptl_port p)
{
        ptl_port carrier = new_send_port();
        struct ptl_right_item item = {.port = p, .disposition = PTL_MAKE_SEND_ONCE};
        struct ptl_outgoing out = {.rights = &item, .n_rights = 1};
        struct ptl_message m;

        OK(ptl_send_message(carrier, &out, PTL_NOW));
        m = take_message(carrier);
        CHECK_EQ(m.n_rights, 1);
        item = m.rights[0];
        ptl_message_release(&m);
        OK(ptl_right_release(carrier));
        OK(ptl_port_free(carrier));
        return item.port;
}

API_TEST(a_send_once_right_given_up_unused_tells_its_port)
{
        ptl_port p = new_port(), once = new_send_once(p);

        OK(ptl_right_release(once));
        check_no_name(once);
        take_notification(p, PTL_NOTIFY_SEND_ONCE);
        check_empty(p);
}

API_TEST(a_send_once_right_ignores_the_queue_limit)
{
        ptl_port p = new_port_of(1, 64), once = new_send_once(p);

        put(p, "fills it");
        OUTCOME(ptl_send(p, "x", 1, PTL_NOW), PTL_E_FULL);
        OK(ptl_send(once, "once", 5, PTL_NOW));
        take(p, "fills it");
        take(p, "once");
        check_empty(p);
}

API_TEST(a_send_once_right_to_a_freed_port_is_a_dead_name)
{
        ptl_port p = new_port(), once = new_send_once(p);

        OK(ptl_port_free(p));
        check_rights(once, PTL_RIGHT_DEAD, 1);
        OUTCOME(ptl_send(once, "x", 1, PTL_NOW), PTL_E_DEAD);
        OK(ptl_right_release(once));
        check_no_name(once);
}

API_TEST(freeing_a_port_destroys_the_send_once_rights_queued_on_it)
{
        ptl_port p = new_send_port(), q = new_port();
        struct ptl_right_item items[3];
        struct ptl_outgoing out = {.rights = items, .n_rights = 3, .reply = q};

        for (int i = 0; i < 3; i++)
                items[i] = (struct ptl_right_item){q, PTL_MAKE_SEND_ONCE};
        OK(ptl_send_message(p, &out, PTL_NOW));
        OK(ptl_send_message(p, &out, PTL_NOW));
        check_empty(q);
        OK(ptl_port_free(p));
        for (int i = 0; i < 8; i++)
                take_notification(q, PTL_NOTIFY_SEND_ONCE);
        check_empty(q);
        check_rights(p, PTL_RIGHT_DEAD, 1);
}

API_TEST(freeing_a_port_gives_back_the_send_rights_queued_on_it)
{
        ptl_port p = new_send_port(), q = new_send_port();
        struct ptl_right_item items[] = {
                {q, PTL_COPY_SEND},
                {q, PTL_MAKE_SEND},
                {q, PTL_MOVE_SEND}
        };
        struct ptl_outgoing out = {.rights = items, .n_rights = 3};

        OK(ptl_right_ref(q));
        OK(ptl_send_message(p, &out, PTL_NOW));
        check_rights(q, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
        OK(ptl_port_free(p));
        check_rights(q, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
        put(q, "works");
        take(q, "works");
}

API_TEST(a_port_queued_on_itself_can_be_freed)
{
        ptl_port p = new_send_port();
        struct ptl_right_item items[] = {
                {p, PTL_COPY_SEND     },
                {p, PTL_MAKE_SEND_ONCE}
        };
        struct ptl_outgoing out = {.rights = items, .n_rights = 2, .reply = p};

        OK(ptl_send_message(p, &out, PTL_NOW));
        OK(ptl_port_free(p));
        check_rights(p, PTL_RIGHT_DEAD, 1);
        OK(ptl_right_release(p));
        check_no_name(p);
}

API_TEST(a_dead_name_is_told_once_and_gains_a_reference)
{
        ptl_port p = new_send_port(), n = new_port();

        OK(ptl_right_notify_dead(p, n));
        check_empty(n);
        OK(ptl_port_free(p));
        take_dead_name(n, p);
        check_rights(p, PTL_RIGHT_DEAD, 2);
        check_empty(n);
}

API_TEST(a_name_that_is_dead_already_is_told_at_once)
{
        ptl_port p = new_send_port(), n = new_port();

        OK(ptl_port_free(p));
        OK(ptl_right_notify_dead(p, n));
        take_dead_name(n, p);
        check_rights(p, PTL_RIGHT_DEAD, 2);
        check_empty(n);
}

API_TEST(a_new_request_for_a_dead_name_replaces_the_old)
{
        ptl_port p = new_send_port(), first = new_port(), second = new_port();

        OK(ptl_right_notify_dead(p, first));
        OK(ptl_right_notify_dead(p, second));
        OK(ptl_port_free(p));
        take_dead_name(second, p);
        check_empty(first);
        check_rights(p, PTL_RIGHT_DEAD, 2);
}

API_TEST(a_request_for_a_dead_name_can_be_cancelled)
{
        ptl_port p = new_send_port(), n = new_port();

        OK(ptl_right_notify_dead(p, n));
        OK(ptl_right_notify_dead(p, PTL_NULL));
        OK(ptl_port_free(p));
        check_empty(n);
        check_rights(p, PTL_RIGHT_DEAD, 1);
}

API_TEST(a_released_name_is_told_deleted_and_not_dead)
{
        ptl_port p = new_port(), n = new_port(), once = new_send_once(p);

        OK(ptl_right_notify_dead(once, n));
        OK(ptl_right_release(once));
        CHECK_EQ(take_notification(n, PTL_NOTIFY_PORT_DELETED).value, once);
        OK(ptl_port_free(p));
        check_empty(n);
}

API_TEST(a_send_once_name_is_told_dead)
{
        ptl_port p = new_port(), n = new_port(), once = new_send_once(p);

        OK(ptl_right_notify_dead(once, n));
        OK(ptl_port_free(p));
        take_dead_name(n, once);
        check_rights(once, PTL_RIGHT_DEAD, 2);
}

API_TEST(a_dead_name_whose_listener_is_gone_is_told_to_nobody)
{
        ptl_port p = new_send_port(), n = new_port();

        OK(ptl_right_notify_dead(p, n));
        OK(ptl_port_free(n));
        OK(ptl_port_free(p));
        check_rights(p, PTL_RIGHT_DEAD, 1);
}

API_TEST(notifications_ignore_the_queue_limit)
{
        ptl_port n = new_port_of(1, 64), p[20];

        put(n, "fills it");
        for (size_t i = 0; i < ARRAY_LEN(p); i++) {
                p[i] = new_send_port();
                OK(ptl_right_notify_dead(p[i], n));
                OK(ptl_port_free(p[i]));
        }
        take(n, "fills it");
        for (size_t i = 0; i < ARRAY_LEN(p); i++)
                take_dead_name(n, p[i]);
        check_empty(n);
}

API_TEST(a_notification_comes_from_this_task)
{
        ptl_port p = new_port(), once = new_send_once(p);
        struct ptl_identity me;
        struct ptl_message m;

        OK(ptl_task_identity(&me));
        OK(ptl_right_release(once));
        m = take_message(p);
        CHECK_EQ(m.kind, PTL_NOTIFY_SEND_ONCE);
        CHECK_EQ(m.port, p);
        CHECK_EQ(m.reply, PTL_NULL);
        CHECK_EQ(m.n_rights, 0);
        CHECK_EQ(m.sender->pid, me.pid);
        CHECK(m.sender->task.high == me.task.high && m.sender->task.low == me.task.low);
        ptl_message_release(&m);
}

API_TEST(status_counts_what_is_queued_and_what_was_taken)
{
        ptl_port p = new_send_port();

        for (int i = 0; i < 5; i++)
                put(p, "x");
        CHECK_EQ(status_of(p).queued, 5);
        CHECK_EQ(status_of(p).received, 0);
        for (int i = 0; i < 3; i++)
                take(p, "x");
        CHECK_EQ(status_of(p).queued, 2);
        CHECK_EQ(status_of(p).received, 3);
        CHECK_EQ(status_of(p).peer_pid, 0);
}
