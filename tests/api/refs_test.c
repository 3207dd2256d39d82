/* SPDX-License-Identifier: Apache-2.0 */
/* User references, make-send counts, names: portolan/right.h within one task. */
#include "counts.h"

enum { MOST = 65535 };

/* --- user references (M-22, M-23, M-24, M-25, M-26) --- */

API_TEST(m22_references_go_from_1_to_65535_and_no_further)
{
        ptl_port p = new_send_port();

        OK(ptl_right_change(p, PTL_RIGHT_SEND, MOST - 1));
        check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, MOST);
        OUTCOME(ptl_right_change(p, PTL_RIGHT_SEND, 1), PTL_E_QUOTA);
        OUTCOME(ptl_right_change(p, PTL_RIGHT_SEND, INT32_MAX), PTL_E_QUOTA);
        OUTCOME(ptl_right_ref(p), PTL_E_QUOTA);
        OUTCOME(ptl_right_make_send(p), PTL_E_QUOTA);
        OUTCOME(ptl_right_change(p, PTL_RIGHT_SEND, -MOST - 1), PTL_E_INVALID);
        OUTCOME(ptl_right_change(p, PTL_RIGHT_SEND, INT32_MIN), PTL_E_INVALID);
        check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, MOST);
        CHECK_EQ(made_of(p), 1); /* what was refused was not made */
        OK(ptl_right_change(p, PTL_RIGHT_SEND, -MOST));
        check_rights(p, PTL_RIGHT_RECEIVE, 0);
        OUTCOME(ptl_right_change(p, PTL_RIGHT_SEND, 1), PTL_E_RIGHT);
}

static const struct fixed_row {
        const char *name;
        uint32_t right;
        int32_t delta;
        int outcome;
} fixed_rows[] = {
        {"a receive right checked",       PTL_RIGHT_RECEIVE,   0,         0            },
        {"a receive right grows",         PTL_RIGHT_RECEIVE,   1,         PTL_E_INVALID},
        {"a receive right below nothing", PTL_RIGHT_RECEIVE,   -2,        PTL_E_INVALID},
        {"a set checked",                 PTL_RIGHT_SET,       0,         0            },
        {"a set grows",                   PTL_RIGHT_SET,       1,         PTL_E_INVALID},
        {"a set below nothing",           PTL_RIGHT_SET,       -2,        PTL_E_INVALID},
        {"a send-once right checked",     PTL_RIGHT_SEND_ONCE, 0,         0            },
        {"a send-once right grows",       PTL_RIGHT_SEND_ONCE, 1,         PTL_E_INVALID},
        {"a send-once right far below",   PTL_RIGHT_SEND_ONCE, INT32_MIN, PTL_E_INVALID},
};

API_TEST(m22_rights_that_are_always_one_cannot_count)
{
        ptl_port receive = new_port(), set = new_set(), once = new_once(receive);

        for (size_t i = 0; i < ARRAY_LEN(fixed_rows); i++) {
                const struct fixed_row *row = &fixed_rows[i];
                ptl_port p = row->right == PTL_RIGHT_RECEIVE ? receive
                             : row->right == PTL_RIGHT_SET   ? set
                                                             : once;

                CHECK_ROW(i, row, ptl_right_change(p, row->right, row->delta) == row->outcome);
        }
        check_rights(receive, PTL_RIGHT_RECEIVE, 0);
        check_rights(set, PTL_RIGHT_SET, 1);
        check_rights(once, PTL_RIGHT_SEND_ONCE, 1);
        check_empty(receive);
}

API_TEST(m22_a_change_of_a_right_that_is_not_there_is_refused)
{
        ptl_port p = new_port(), set = new_set(), dead = new_send_port();

        OK(ptl_port_free(dead));
        OUTCOME(ptl_right_change(p, PTL_RIGHT_SEND, 0), PTL_E_RIGHT);
        OUTCOME(ptl_right_change(p, PTL_RIGHT_DEAD, 1), PTL_E_RIGHT);
        OUTCOME(ptl_right_change(set, PTL_RIGHT_RECEIVE, -1), PTL_E_RIGHT);
        OUTCOME(ptl_right_change(dead, PTL_RIGHT_SEND, -1), PTL_E_RIGHT);
        OUTCOME(ptl_right_change(p, 0, 0), PTL_E_INVALID);
        OUTCOME(ptl_right_change(p, PTL_RIGHT_SEND | PTL_RIGHT_RECEIVE, 0), PTL_E_INVALID);
        OUTCOME(ptl_right_change(p, PTL_RIGHT_ASKED, 0), PTL_E_INVALID);
        OUTCOME(ptl_right_change(PTL_NULL, PTL_RIGHT_SEND, 0), PTL_E_NAME);
        OUTCOME(ptl_right_change(stale_name(), PTL_RIGHT_SEND, 0), PTL_E_NAME);
}

API_TEST(m24_a_dead_name_may_grow_and_goes_at_its_last_reference)
{
        ptl_port p = new_send_port();

        OK(ptl_right_change(p, PTL_RIGHT_SEND, 2));
        OK(ptl_port_free(p));
        check_rights(p, PTL_RIGHT_DEAD, 3); /* M-27: it keeps its references */
        OK(ptl_right_change(p, PTL_RIGHT_DEAD, MOST - 3));
        OUTCOME(ptl_right_change(p, PTL_RIGHT_DEAD, 1), PTL_E_QUOTA);
        OK(ptl_right_change(p, PTL_RIGHT_DEAD, -MOST));
        check_no_name(p);
}

API_TEST(a_change_by_minus_one_gives_up_a_receive_right_a_set_and_a_send_once_right)
{
        ptl_port p = new_send_port(), set = new_set(), once = new_once(p);

        OK(ptl_right_change(once, PTL_RIGHT_SEND_ONCE, -1));
        take_unused(p);
        check_no_name(once);
        OK(ptl_set_add(set, p));
        OK(ptl_right_change(set, PTL_RIGHT_SET, -1));
        check_no_name(set);
        OK(ptl_right_change(p, PTL_RIGHT_RECEIVE, -1));
        check_rights(p, PTL_RIGHT_DEAD, 1);
}

API_TEST(a_right_that_comes_to_a_full_name_is_merged_and_one_that_is_discarded_takes_none)
{
        ptl_port p = new_send_port(), q = new_send_port();

        OK(ptl_right_change(p, PTL_RIGHT_SEND, MOST - 1));
        put_right(q, p, PTL_COPY_SEND);
        CHECK_EQ(take_right(q), p);
        check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, MOST);
        put_right(q, p, PTL_COPY_SEND);
        OK(ptl_port_free(q));
        check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, MOST);
        OK(ptl_right_change(p, PTL_RIGHT_SEND, -MOST));
        CHECK_EQ(counts_of(p).has_senders, 0);
}

API_TEST(m26_destroy_gives_up_all_that_a_name_carries)
{
        ptl_port p = new_send_port(), set = new_set(), once = new_once(p), dead = new_send_port();

        OK(ptl_right_change(p, PTL_RIGHT_SEND, 5));
        OK(ptl_right_destroy(once));
        take_unused(p);
        OK(ptl_right_destroy(p));
        check_no_name(p);
        OK(ptl_right_destroy(set));
        check_no_name(set);
        OK(ptl_right_ref(dead));
        OK(ptl_port_free(dead));
        OK(ptl_right_destroy(dead));
        check_no_name(dead);
        OUTCOME(ptl_right_destroy(p), PTL_E_NAME);
        OUTCOME(ptl_right_destroy(PTL_NULL), PTL_E_NAME);
}

/* --- make-send counts (M-30) --- */

API_TEST(m30_making_send_rights_counts_and_copying_and_moving_do_not)
{
        ptl_port p = new_port(), q = new_send_port();

        CHECK_EQ(made_of(p), 0);
        OK(ptl_right_make_send(p));
        OK(ptl_right_make_send(p));
        CHECK_EQ(made_of(p), 2);
        OK(ptl_right_ref(p));
        OK(ptl_right_release(p));
        put_right(q, p, PTL_COPY_SEND);
        put_right(q, p, PTL_MOVE_SEND);
        CHECK_EQ(made_of(p), 2);
        put_right(q, p, PTL_MAKE_SEND);
        CHECK_EQ(made_of(p), 3);
        put_right(q, p, PTL_MAKE_SEND_ONCE);
        CHECK_EQ(made_of(p), 3);
        for (int i = 0; i < 4; i++)
                (void)take_right(q);
        CHECK_EQ(made_of(p), 3);
        OK(ptl_port_set_made(p, 4000000000u));
        OK(ptl_right_make_send(p));
        CHECK_EQ(made_of(p), 4000000001u);
}

API_TEST(a_look_up_of_ones_own_name_makes_a_send_right)
{
        ptl_port p = new_port(), found = PTL_NULL;

        OK(ptl_name_publish("own", p));
        CHECK_EQ(made_of(p), 0);
        OK(ptl_name_look_up("own", &found, soon()));
        CHECK_EQ(found, p);
        CHECK_EQ(made_of(p), 1);
}

API_TEST(a_message_that_is_not_sent_makes_nothing)
{
        ptl_port p = new_port(), q = new_port_of(1, 0);
        struct ptl_right_item items[] = {
                {p,        PTL_MAKE_SEND},
                {PTL_NULL, PTL_MAKE_SEND}
        };
        struct ptl_outgoing out = {.rights = items, .n_rights = 2};

        OUTCOME(ptl_send_message(q, &out, PTL_NOW), PTL_E_NAME);
        put(q, "fills it");
        out.n_rights = 1;
        OUTCOME(ptl_send_message(q, &out, PTL_NOW), PTL_E_FULL);
        CHECK_EQ(made_of(p), 0);
        CHECK_EQ(counts_of(p).has_senders, 0);
}

/* --- a port's counts --- */

API_TEST(counts_tell_what_is_queued_taken_and_given_out)
{
        ptl_port p = new_port_of(7, 0), q = new_send_port(), once = new_once(p);
        struct ptl_port_counts c;

        put(p, "1");
        put(p, "2");
        take(p, "1");
        c = counts_of(p);
        CHECK_EQ(c.sequence, 1);
        CHECK_EQ(c.queued, 1);
        CHECK_EQ(c.limit_messages, 7);
        CHECK_EQ(c.once, 1);
        CHECK_EQ(c.has_senders, 1);
        CHECK_EQ(c.asked, 0);
        put_right(q, p, PTL_MAKE_SEND_ONCE);
        CHECK_EQ(counts_of(p).once, 2); /* one of them in a message */
        ask(q, PTL_NOTIFY_DEAD_NAME, 0, p);
        CHECK_EQ(counts_of(p).once, 3); /* one of them in a request */
        OK(ptl_right_release(once));
        OK(ptl_port_free(q));
        CHECK_EQ(counts_of(p).once, 0);
        OK(ptl_port_set_sequence(p, 100));
        CHECK_EQ(counts_of(p).sequence, 100);
        take(p, "2");
        CHECK_EQ(counts_of(p).sequence, 101);
        OK(ptl_port_set_sequence(p, UINT64_MAX));
        CHECK_EQ(counts_of(p).sequence, UINT64_MAX);
}

API_TEST(counts_are_of_receive_rights)
{
        struct ptl_port_counts c;
        ptl_port p = new_port(), once = new_once(p), set = new_set();

        OUTCOME(ptl_port_get_counts(once, &c), PTL_E_RIGHT);
        OUTCOME(ptl_port_get_counts(set, &c), PTL_E_RIGHT);
        OUTCOME(ptl_port_get_counts(p, NULL), PTL_E_INVALID);
        OUTCOME(ptl_port_get_counts(PTL_NULL, &c), PTL_E_NAME);
        OUTCOME(ptl_port_set_made(once, 1), PTL_E_RIGHT);
        OUTCOME(ptl_port_set_sequence(set, 1), PTL_E_RIGHT);
        OUTCOME(ptl_right_make_once(once, &p), PTL_E_RIGHT);
        OUTCOME(ptl_right_make_once(p, NULL), PTL_E_INVALID);
}

/* --- names --- */

static uint32_t listed(ptl_port p)
{
        struct ptl_right_entry *list = NULL;
        size_t n = 0;
        uint32_t type = 0;

        OK(ptl_right_names(&list, &n));
        for (size_t i = 0; i < n; i++)
                if (list[i].name == p) {
                        CHECK_EQ(type, 0); /* once */
                        type = list[i].type;
                }
        free(list);
        return type;
}

static uint32_t type_of(ptl_port p)
{
        uint32_t type = 0;

        OK(ptl_right_type(p, &type));
        return type;
}

API_TEST(names_are_listed_with_what_they_carry)
{
        ptl_port p = new_send_port(), set = new_set(), once = new_once(p), dead = new_send_port(),
                 n = new_port();

        OK(ptl_port_free(dead));
        ask(once, PTL_NOTIFY_DEAD_NAME, 0, n);
        CHECK_EQ(listed(p), PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND);
        CHECK_EQ(listed(set), PTL_RIGHT_SET);
        CHECK_EQ(listed(once), PTL_RIGHT_SEND_ONCE | PTL_RIGHT_ASKED);
        CHECK_EQ(listed(dead), PTL_RIGHT_DEAD);
        CHECK_EQ(listed(n), PTL_RIGHT_RECEIVE);
        CHECK_EQ(type_of(once), PTL_RIGHT_SEND_ONCE | PTL_RIGHT_ASKED);
        CHECK_EQ(type_of(p), PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND);
        OK(ptl_right_release(once));
        CHECK_EQ(listed(once), 0);
        OUTCOME(ptl_right_type(once, &(uint32_t){0}), PTL_E_NAME);
        OUTCOME(ptl_right_type(p, NULL), PTL_E_INVALID);
}

API_TEST(no_names_are_an_empty_list)
{
        struct ptl_right_entry *list = (struct ptl_right_entry *)&list;
        size_t n = 7;

        OK(ptl_right_names(&list, &n));
        CHECK_EQ(n, 0);
        CHECK(!list);
        OUTCOME(ptl_right_names(NULL, &n), PTL_E_INVALID);
        OUTCOME(ptl_right_names(&list, NULL), PTL_E_INVALID);
}

API_TEST(the_librarys_own_ports_are_not_listed)
{
        struct ptl_right_entry *list;
        ptl_port p = new_send_port();
        size_t n;
        char answer[4];
        size_t size = sizeof answer;

        OUTCOME(ptl_call(p, "x", 1, answer, &size, PTL_NOW),
                PTL_E_UNANSWERED); /* makes a reply port */
        OK(ptl_right_names(&list, &n));
        CHECK_EQ(n, 1);
        CHECK_EQ(list[0].name, p);
        free(list);
}

API_TEST(a_reply_right_that_nobody_was_given_is_not_listed_when_it_dies)
{
        ptl_port p = new_send_port(), reply = new_port();
        struct ptl_right_entry *list;
        struct ptl_message m;
        size_t n;

        OK(ptl_send_message(p, &(struct ptl_outgoing){.reply = reply}, PTL_NOW));
        OK(ptl_port_free(reply));
        OK(ptl_right_names(&list, &n));
        CHECK_EQ(n, 1);
        CHECK_EQ(list[0].name, p);
        free(list);
        m = take_message(p);
        OUTCOME(ptl_reply(&m, "", 0), PTL_E_DEAD);
        OK(ptl_right_names(&list, &n));
        CHECK_EQ(n, 2); /* the program has it now */
        free(list);
        ptl_message_release(&m);
}

API_TEST(members_of_a_set_are_listed)
{
        ptl_port set = new_set(), p = new_port(), q = new_port(), *list = &set;
        size_t n = 7;

        OK(ptl_set_get_members(set, &list, &n));
        CHECK_EQ(n, 0);
        CHECK(!list);
        OK(ptl_set_add(set, p));
        OK(ptl_set_add(set, q));
        OK(ptl_set_get_members(set, &list, &n));
        CHECK_EQ(n, 2);
        CHECK((list[0] == p && list[1] == q) || (list[0] == q && list[1] == p));
        free(list);
        OUTCOME(ptl_set_get_members(p, &list, &n), PTL_E_RIGHT);
        OUTCOME(ptl_set_get_members(set, NULL, &n), PTL_E_INVALID);
}

API_TEST(m20_a_name_can_be_chosen)
{
        ptl_port p = 0x12300007, set = 0xfff00001, dead = 0x00010010, again;

        OK(ptl_right_new(PTL_RIGHT_RECEIVE, &p));
        CHECK_EQ(p, 0x12300007);
        OK(ptl_right_make_send(p));
        put(p, "it works");
        take(p, "it works");
        OK(ptl_right_new(PTL_RIGHT_SET, &set));
        OK(ptl_set_add(set, p));
        OK(ptl_right_new(PTL_RIGHT_DEAD, &dead));
        check_rights(dead, PTL_RIGHT_DEAD, 1);
        again = p;
        OUTCOME(ptl_right_new(PTL_RIGHT_DEAD, &again), PTL_E_EXISTS);
        again = p ^ 0x00100000; /* the same place of the table */
        OUTCOME(ptl_right_new(PTL_RIGHT_DEAD, &again), PTL_E_EXISTS);
        OK(ptl_right_destroy(p));
        again = p;
        OK(ptl_right_new(PTL_RIGHT_RECEIVE, &again));
        CHECK_EQ(again, p);
        for (int i = 0; i < 1000; i++) /* what lay between is given out, and nothing twice */
                CHECK(new_port() != p);
}

/* Rights in messages, to a port that is gone and whose name another has. */
API_TEST(m20_a_chosen_name_is_not_taken_for_one_that_it_was_before)
{
        ptl_port p = new_send_port(), q = new_send_port(), name, once;

        put_right(q, p, PTL_COPY_SEND);
        put_right(q, p, PTL_MAKE_SEND_ONCE);
        put_right(q, p, PTL_COPY_SEND);
        OK(ptl_right_destroy(p));
        name = p;
        OK(ptl_right_new(PTL_RIGHT_RECEIVE, &name));
        CHECK_EQ(name, p);
        check_rights(take_right(q), PTL_RIGHT_DEAD, 1);
        once = take_right(q);
        check_rights(once, PTL_RIGHT_DEAD, 1);
        OK(ptl_port_free(q));
        CHECK_EQ(counts_of(p).has_senders, 0);
        CHECK_EQ(counts_of(p).once, 0);
        check_rights(p, PTL_RIGHT_RECEIVE, 0);
}

API_TEST(m20_names_that_cannot_be_are_refused)
{
        const ptl_port bad[] = {0xffffffff, 0x000fffff, 0x12300000, 0xfff00000};
        ptl_port p;

        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                p = bad[i];
                OUTCOME(ptl_right_new(PTL_RIGHT_RECEIVE, &p), PTL_E_INVALID);
                CHECK_EQ(p, bad[i]);
        }
        p = PTL_NULL;
        OUTCOME(ptl_right_new(PTL_RIGHT_SEND, &p), PTL_E_INVALID);
        OUTCOME(ptl_right_new(PTL_RIGHT_RECEIVE, NULL), PTL_E_INVALID);
        OK(ptl_right_new(PTL_RIGHT_DEAD, &p));
        check_rights(p, PTL_RIGHT_DEAD, 1);
}
