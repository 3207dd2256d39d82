/* SPDX-License-Identifier: Apache-2.0 */
/* A receive right in a message of a task to itself (PTL_MOVE_RECEIVE). */
#include "counts.h"

static int send_rights(ptl_port to, const struct ptl_right_item *items, size_t n)
{
        return ptl_send_message(to, &(struct ptl_outgoing){.rights = items, .n_rights = n}, PTL_NOW);
}

static ptl_port take_receive(ptl_port from)
{
        struct ptl_message m = take_message(from);
        ptl_port name;

        CHECK_EQ(m.n_rights, 1);
        CHECK_EQ(m.rights[0].disposition, PTL_RIGHT_RECEIVE);
        name = m.rights[0].port;
        ptl_message_release(&m);
        return name;
}

API_TEST(a_receive_right_comes_with_its_queue_under_the_name_it_had)
{
        ptl_port p = new_send_port(), q = new_send_port();

        put(p, "1");
        put_right(q, p, PTL_MOVE_RECEIVE);
        check_rights(p, PTL_RIGHT_SEND, 1);
        put(p, "2");
        OUTCOME(ptl_receive(p, &(struct ptl_message){.size = 0}, PTL_NOW), PTL_E_RIGHT);
        CHECK_EQ(take_receive(q), p);
        check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
        take(p, "1");
        take(p, "2");
}

API_TEST(m30_m93_its_counts_begin_anew_and_no_senders_is_cancelled)
{
        ptl_port p = new_send_port(), q = new_send_port(), n = new_port(), s = new_set();

        put(p, "x");
        take(p, "x");
        ask(p, PTL_NOTIFY_NO_SENDERS, 0, n);
        OK(ptl_set_add(s, p));
        put_right(q, p, PTL_MOVE_RECEIVE);
        take_unused(n);
        CHECK_EQ(take_receive(q), p);
        CHECK_EQ(counts_of(p).made, 0);
        CHECK_EQ(counts_of(p).sequence, 0);
        CHECK_EQ(status_of(p).set, PTL_NULL);
}

API_TEST(a_message_that_is_destroyed_destroys_the_port)
{
        ptl_port p = new_send_port(), q = new_send_port(), asked = new_port();

        put_right(q, p, PTL_MOVE_RECEIVE);
        ask(p, PTL_NOTIFY_DEAD_NAME, 0, asked);
        OK(ptl_port_free(q));
        take_dead_name(asked, p);
        check_rights(p, PTL_RIGHT_DEAD, 2);
}

API_TEST(m46_a_port_that_is_sent_to_itself_is_destroyed_and_the_send_succeeds)
{
        ptl_port p = new_send_port(), once = new_once(p);

        put_right(p, p, PTL_MOVE_RECEIVE);
        check_rights(p, PTL_RIGHT_DEAD, 1);
        check_rights(once, PTL_RIGHT_DEAD, 1);
        p = new_port();
        put_right(new_once(p), p, PTL_MOVE_RECEIVE);
        check_no_name(p);
}

API_TEST(m46_ports_that_wait_in_each_other_are_destroyed)
{
        ptl_port ring[5], asked = new_port(), r = new_send_port();

        for (size_t i = 0; i < ARRAY_LEN(ring); i++)
                ring[i] = new_send_port();
        put_right(ring[0], r, PTL_MOVE_RECEIVE);
        for (size_t i = 0; i < ARRAY_LEN(ring); i++)
                put_right(ring[(i + 1) % ARRAY_LEN(ring)], ring[i], PTL_MOVE_RECEIVE);
        for (size_t i = 0; i < ARRAY_LEN(ring); i++)
                check_rights(ring[i], PTL_RIGHT_DEAD, 1);
        check_rights(r, PTL_RIGHT_DEAD, 1);
        check_empty(asked);
}

API_TEST(other_rights_to_the_port_go_with_it)
{
        ptl_port p = new_send_port(), q = new_send_port();
        struct ptl_right_item items[] = {{p, PTL_MOVE_RECEIVE}, {p, PTL_MAKE_SEND}, {p, PTL_MOVE_SEND}, {p, PTL_MAKE_SEND_ONCE}};
        struct ptl_message m;

        OK(send_rights(q, items, ARRAY_LEN(items)));
        check_no_name(p);
        m = take_message(q);
        CHECK_EQ(m.n_rights, 4);
        for (unsigned i = 0; i < 3; i++)
                CHECK_EQ(m.rights[i].port, p);
        put(m.rights[3].port, "once");
        ptl_message_release(&m);
        check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 2);
        take(p, "once");
}

API_TEST(bad_items_with_a_receive_right_consume_nothing)
{
        ptl_port p = new_send_port(), q = new_send_port(), s = new_set(), full = new_port_of(1, 0);
        const struct {
                const char *name;
                struct ptl_right_item items[2];
                size_t n;
                int outcome;
        } rows[] = {
                {"no name", {{stale_name(), PTL_MOVE_RECEIVE}}, 1, PTL_E_NAME},
                {"a set", {{s, PTL_MOVE_RECEIVE}}, 1, PTL_E_RIGHT},
                {"a send-once right", {{new_once(p), PTL_MOVE_RECEIVE}}, 1, PTL_E_RIGHT},
                {"twice", {{p, PTL_MOVE_RECEIVE}, {p, PTL_MOVE_RECEIVE}}, 2, PTL_E_RIGHT},
                {"a bad item behind it", {{p, PTL_MOVE_RECEIVE}, {q, 7}}, 2, PTL_E_INVALID},
        };
        struct ptl_right_item item = {p, PTL_MOVE_RECEIVE};
        struct ptl_outgoing out = {.rights = &item, .n_rights = 1, .reply = p};

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                CHECK_ROW(i, &rows[i], send_rights(q, rows[i].items, rows[i].n) == rows[i].outcome);
                check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
        }
        OUTCOME(ptl_send_message(q, &out, PTL_NOW), PTL_E_RIGHT);
        put(full, "x");
        OUTCOME(send_rights(full, &item, 1), PTL_E_FULL);
        check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
        check_empty(p);
        check_empty(q);
}
