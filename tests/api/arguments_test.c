/* SPDX-License-Identifier: Apache-2.0 */
/* Every call with every argument wrong in turn: the outcome of the manual, and nothing consumed. */
#include "calls.h"

struct snapshot {
        struct ptl_port_status status[CALLS_KINDS];
        int outcome[CALLS_KINDS];
        struct ptl_port_status good;
        uint32_t names;
};

static struct snapshot look(const ptl_port names[CALLS_KINDS])
{
        struct snapshot s;

        memset(&s, 0, sizeof s);
        for (size_t i = 0; i < CALLS_KINDS; i++)
                s.outcome[i] = ptl_port_get_status(names[i], &s.status[i]);
        s.good = status_of(calls_good);
        s.names = statistics().names;
        return s;
}

static bool is_same_status(const struct ptl_port_status *a, const struct ptl_port_status *b)
{
        return a->rights == b->rights && a->references == b->references && a->queued == b->queued &&
               a->limit_messages == b->limit_messages && a->limit_bytes == b->limit_bytes &&
               a->set == b->set && a->received == b->received;
}

static bool is_same(const struct snapshot *a, const struct snapshot *b)
{
        for (size_t i = 0; i < CALLS_KINDS; i++)
                if (a->outcome[i] != b->outcome[i] || !is_same_status(&a->status[i], &b->status[i]))
                        return false;
        return is_same_status(&a->good, &b->good) && a->names == b->names;
}

API_TEST(a_wrong_name_is_refused_by_every_call_and_changes_nothing)
{
        ptl_port names[CALLS_KINDS];
        unsigned wrong = 0;

        calls_names(names);
        (void)!calls_call(PTL_NULL); /* the thread's reply port may be made, once */
        for (size_t i = 0; i < ARRAY_LEN(calls_rows); i++)
                for (size_t k = 0; k < CALLS_KINDS; k++) {
                        const struct calls_row *r = &calls_rows[i];
                        struct snapshot before, after;
                        int outcome;

                        if (calls_expected(r, k) == CALLS_FINE)
                                continue;
                        before = look(names);
                        outcome = r->call(names[k]);
                        after = look(names);
                        if (outcome == calls_expected(r, k) && is_same(&before, &after))
                                continue;
                        fprintf(stderr, "# %s with %s: %s, not %s%s\n", r->name,
                                calls_kind_names[k], ptl_outcome_name(outcome),
                                ptl_outcome_name(calls_expected(r, k)),
                                is_same(&before, &after) ? "" : "; something changed");
                        wrong++;
                }
        CHECK_EQ(wrong, 0);
        check_empty(calls_good);
}

API_TEST(a_null_result_is_refused)
{
        ptl_port p = new_send_port();
        struct ptl_message m[1];
        size_t n = 1;

        OUTCOME(ptl_port_new(NULL, NULL), PTL_E_INVALID);
        OUTCOME(ptl_set_new(NULL), PTL_E_INVALID);
        OUTCOME(ptl_port_get_status(p, NULL), PTL_E_INVALID);
        OUTCOME(ptl_receive(p, NULL, PTL_NOW), PTL_E_INVALID);
        OUTCOME(ptl_receive_with(p, NULL, 0, PTL_NOW), PTL_E_INVALID);
        OUTCOME(ptl_receive_batch(p, NULL, 1, &n, 0, PTL_NOW), PTL_E_INVALID);
        OUTCOME(ptl_receive_batch(p, m, 1, NULL, 0, PTL_NOW), PTL_E_INVALID);
        OUTCOME(ptl_loan_reserve(p, 1, NULL, PTL_NOW), PTL_E_INVALID);
        OUTCOME(ptl_region_new(1, NULL), PTL_E_INVALID);
        OUTCOME(ptl_descriptor(p, NULL), PTL_E_INVALID);
        OUTCOME(ptl_task_identity(NULL), PTL_E_INVALID);
        OUTCOME(ptl_task_get_statistics(NULL), PTL_E_INVALID);
        OUTCOME(ptl_link_get_statistics(NULL, 0, NULL), PTL_E_INVALID);
        OUTCOME(ptl_link_get_statistics(NULL, 1, &n), PTL_E_INVALID);
        OUTCOME(ptl_call(p, "x", 1, NULL, NULL, PTL_NOW), PTL_E_INVALID);
        OUTCOME(ptl_call_message(p, &(struct ptl_outgoing){.kind = 0}, NULL, 0, PTL_NOW),
                PTL_E_INVALID);
        OUTCOME(ptl_name_look_up("a", NULL, PTL_NOW), PTL_E_INVALID);
        OUTCOME(ptl_region_look_up("a", NULL, PTL_NOW), PTL_E_INVALID);
        OUTCOME(ptl_server_list_names(NULL, &n), PTL_E_INVALID);
        OUTCOME(ptl_server_list_tasks(NULL, &n), PTL_E_INVALID);
        OUTCOME(ptl_server_list_links(NULL, &n), PTL_E_INVALID);
        OUTCOME(ptl_server_get_status(NULL), PTL_E_INVALID);
        check_empty(p);
}

API_TEST(data_that_is_null_with_a_size_is_refused)
{
        ptl_port p = new_send_port();
        struct ptl_outgoing out = {.size = 1};
        struct ptl_bytes b[] = {
                {"x",  1},
                {NULL, 1}
        };
        struct ptl_message m;
        size_t n = 0, sent = 77;

        OUTCOME(ptl_send(p, NULL, 1, PTL_NOW), PTL_E_INVALID);
        OUTCOME(ptl_send_message(p, &out, PTL_NOW), PTL_E_INVALID);
        OUTCOME(ptl_send_message(p, NULL, PTL_NOW), PTL_E_INVALID);
        OUTCOME(ptl_send_batch(p, b, 2, &sent, PTL_NOW), PTL_E_INVALID);
        CHECK_EQ(sent, 0);
        OUTCOME(ptl_call(p, NULL, 1, NULL, &n, PTL_NOW), PTL_E_INVALID);
        OUTCOME(ptl_call_message(p, &out, &m, 0, PTL_NOW), PTL_E_INVALID);
        n = 4;
        OUTCOME(ptl_call(p, "x", 1, NULL, &n, PTL_NOW), PTL_E_INVALID);
        CHECK_EQ(n, 4);
        check_empty(p);
}

API_TEST(messages_beyond_the_largest_size_are_refused)
{
        ptl_port p = new_send_port();
        const size_t sizes[] = {PTL_MESSAGE_SIZE_MAX + 1, SIZE_MAX, SIZE_MAX - 63};
        struct ptl_message m;

        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
                struct ptl_outgoing out = {.data = "x", .size = sizes[i]};
                struct ptl_bytes b[] = {
                        {"x", 1       },
                        {"x", sizes[i]}
                };
                struct ptl_loan loan;
                size_t n = 0, sent = 77;

                OUTCOME(ptl_send(p, "x", sizes[i], PTL_NOW), PTL_E_TOO_BIG);
                OUTCOME(ptl_send_message(p, &out, PTL_NOW), PTL_E_TOO_BIG);
                OUTCOME(ptl_send_batch(p, b, 2, &sent, PTL_NOW), PTL_E_TOO_BIG);
                CHECK_EQ(sent, 0);
                OUTCOME(ptl_call(p, "x", sizes[i], NULL, &n, PTL_NOW), PTL_E_TOO_BIG);
                OUTCOME(ptl_call_message(p, &out, &m, 0, PTL_NOW), PTL_E_TOO_BIG);
                OUTCOME(ptl_loan_reserve(p, sizes[i], &loan, PTL_NOW), PTL_E_TOO_BIG);
        }
        check_empty(p);
}

API_TEST(kinds_of_the_library_are_refused)
{
        ptl_port p = new_send_port();
        const uint32_t kinds[] = {0x80000000u, PTL_NOTIFY_DEAD_NAME, PTL_NOTIFY_NAME_REMOVED,
                                  UINT32_MAX};
        struct ptl_message m;

        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
                struct ptl_outgoing out = {.kind = kinds[i]};

                OUTCOME(ptl_send_message(p, &out, PTL_NOW), PTL_E_INVALID);
                OUTCOME(ptl_call_message(p, &out, &m, 0, PTL_NOW), PTL_E_INVALID);
        }
        check_empty(p);
        OK(ptl_send_message(p, &(struct ptl_outgoing){.kind = 0x7fffffffu}, PTL_NOW));
        m = take_message(p);
        CHECK_EQ(m.kind, 0x7fffffffu);
        ptl_message_release(&m);
}

API_TEST(dispositions_that_do_not_exist_are_refused)
{
        ptl_port p = new_send_port();
        const uint32_t rows[] = {0, 7, 16, UINT32_MAX};

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct ptl_right_item items[] = {
                        {p, PTL_MOVE_SEND},
                        {p, rows[i]      }
                };
                struct ptl_outgoing out = {.rights = items, .n_rights = 2};

                OUTCOME(ptl_send_message(p, &out, PTL_NOW), PTL_E_INVALID);
                check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
        }
        check_empty(p);
}

API_TEST(too_many_rights_are_refused_and_as_many_as_allowed_travel)
{
        ptl_port p = new_send_port(), q = new_send_port();
        struct ptl_right_item items[PTL_MESSAGE_RIGHTS_MAX + 1];
        struct ptl_outgoing out = {.rights = items, .n_rights = ARRAY_LEN(items)};
        struct ptl_message m;

        for (size_t i = 0; i < ARRAY_LEN(items); i++)
                items[i] = (struct ptl_right_item){q, PTL_COPY_SEND};
        OUTCOME(ptl_send_message(p, &out, PTL_NOW), PTL_E_TOO_BIG);
        out.n_rights = SIZE_MAX;
        OUTCOME(ptl_send_message(p, &out, PTL_NOW), PTL_E_TOO_BIG);
        check_empty(p);
        out.n_rights = PTL_MESSAGE_RIGHTS_MAX;
        OK(ptl_send_message(p, &out, PTL_NOW));
        m = take_message(p);
        CHECK_EQ(m.n_rights, PTL_MESSAGE_RIGHTS_MAX);
        for (size_t i = 0; i < m.n_rights; i++) {
                CHECK_EQ(m.rights[i].port, q);
                CHECK_EQ(m.rights[i].disposition, PTL_RIGHT_SEND);
        }
        ptl_message_release(&m);
        check_rights(q, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, PTL_MESSAGE_RIGHTS_MAX + 1);
}

API_TEST(too_many_regions_are_refused_and_as_many_as_allowed_travel)
{
        ptl_port p = new_send_port();
        struct ptl_region_item items[PTL_MESSAGE_REGIONS_MAX + 1];
        struct ptl_outgoing out = {.regions = items, .n_regions = ARRAY_LEN(items)};
        struct ptl_message m;

        for (size_t i = 0; i < ARRAY_LEN(items); i++) {
                items[i] = (struct ptl_region_item){.how = PTL_REGION_VOLATILE};
                OK(ptl_region_new(100 + i, &items[i].region));
        }
        OUTCOME(ptl_send_message(p, &out, PTL_NOW), PTL_E_TOO_BIG);
        check_empty(p);
        out.n_regions = PTL_MESSAGE_REGIONS_MAX;
        OK(ptl_send_message(p, &out, PTL_NOW));
        m = take_message(p);
        CHECK_EQ(m.n_regions, PTL_MESSAGE_REGIONS_MAX);
        for (size_t i = 0; i < m.n_regions; i++) {
                CHECK_EQ(ptl_region_size(m.regions[i].region), 100 + i);
                ptl_region_free(m.regions[i].region);
        }
        ptl_message_release(&m);
        for (size_t i = 0; i < ARRAY_LEN(items); i++)
                ptl_region_free(items[i].region);
}

API_TEST(region_items_that_make_no_sense_are_refused)
{
        ptl_port p = new_send_port();
        struct ptl_region *r = NULL;

        OK(ptl_region_new(1, &r));
        const struct ptl_region_item rows[] = {
                {NULL, PTL_REGION_VOLATILE, 0},
                {r,    0,                   0},
                {r,    4,                   0},
                {r,    UINT32_MAX,          0},
                {r,    PTL_REGION_VOLATILE, 1}
        };

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct ptl_outgoing out = {.regions = &rows[i], .n_regions = 1};

                OUTCOME(ptl_send_message(p, &out, PTL_NOW), PTL_E_INVALID);
                CHECK(ptl_region_data(r) != NULL);
        }
        check_empty(p);
        ptl_region_free(r);
}

API_TEST(arrays_that_are_null_with_a_length_are_refused)
{
        ptl_port p = new_send_port();
        size_t sent = 77;

        OUTCOME(ptl_send_message(p, &(struct ptl_outgoing){.n_rights = 1}, PTL_NOW), PTL_E_INVALID);
        OUTCOME(ptl_send_message(p, &(struct ptl_outgoing){.n_regions = 1}, PTL_NOW),
                PTL_E_INVALID);
        OUTCOME(ptl_send_batch(p, NULL, 1, &sent, PTL_NOW), PTL_E_INVALID);
        CHECK_EQ(sent, 0);
        check_empty(p);
}

API_TEST(flags_that_do_not_exist_are_refused)
{
        ptl_port p = new_send_port();
        struct ptl_message m;
        size_t n;

        put(p, "stays");
        OUTCOME(ptl_receive_with(p, &m, 2, PTL_NOW), PTL_E_INVALID);
        OUTCOME(ptl_receive_with(p, &m, ~0u, PTL_NOW), PTL_E_INVALID);
        OUTCOME(ptl_receive_batch(p, &m, 1, &n, 2, PTL_NOW), PTL_E_INVALID);
        OUTCOME(ptl_call_message(p, &(struct ptl_outgoing){.kind = 0}, &m, 2, PTL_NOW),
                PTL_E_INVALID);
        take(p, "stays");
        check_empty(p);
}

API_TEST(a_batch_of_none_is_refused_by_the_receiver)
{
        ptl_port p = new_send_port();
        struct ptl_message m;
        size_t n = 77;

        put(p, "stays");
        OUTCOME(ptl_receive_batch(p, &m, 0, &n, 0, PTL_NOW), PTL_E_INVALID);
        CHECK_EQ(n, 77);
        take(p, "stays");
}

API_TEST(a_call_chooses_its_reply_port_itself)
{
        ptl_port p = new_send_port(), q = new_port();
        struct ptl_message m;

        OUTCOME(ptl_call_message(p, &(struct ptl_outgoing){.reply = q}, &m, 0, PTL_NOW),
                PTL_E_INVALID);
        OUTCOME(ptl_call_message(p, &(struct ptl_outgoing){.leave = 1}, &m, 0, PTL_NOW),
                PTL_E_INVALID);
        check_empty(p);
}

API_TEST(leave_is_zero_or_one)
{
        ptl_port p = new_send_port();

        OUTCOME(ptl_send_message(p, &(struct ptl_outgoing){.leave = 2}, PTL_NOW), PTL_E_INVALID);
        check_empty(p);
}

API_TEST(ways_of_waiting_that_do_not_exist_are_refused)
{
        OUTCOME(ptl_task_set_wait((enum ptl_wait)4, 0), PTL_E_INVALID);
        OUTCOME(ptl_task_set_wait(PTL_WAIT_ADAPTIVE, 10000001), PTL_E_INVALID);
        OK(ptl_task_set_wait(PTL_WAIT_ADAPTIVE, 10000000));
        OK(ptl_task_set_wait(PTL_WAIT_SPIN, 0));
        OK(ptl_task_set_wait(PTL_WAIT_MEMORY, UINT32_MAX));
        OK(ptl_task_set_wait(PTL_WAIT_BLOCK, UINT32_MAX));
        OK(ptl_task_set_wait(PTL_WAIT_ADAPTIVE, 0));
}

API_TEST(a_message_without_a_reply_right_cannot_be_answered)
{
        ptl_port p = new_send_port();
        struct ptl_message m;

        put(p, "no reply wanted");
        m = take_message(p);
        CHECK_EQ(m.reply, PTL_NULL);
        OUTCOME(ptl_reply(&m, "x", 1), PTL_E_RIGHT);
        OUTCOME(ptl_reply_message(&m, &(struct ptl_outgoing){.kind = 0}), PTL_E_RIGHT);
        check_text(&m, "no reply wanted");
        ptl_message_release(&m);
}

API_TEST(a_wrong_reply_keeps_the_reply_right)
{
        ptl_port p = new_send_port(), q = new_port();
        struct ptl_message m;

        OK(ptl_send_message(p, &(struct ptl_outgoing){.reply = q}, PTL_NOW));
        m = take_message(p);
        CHECK(m.reply != PTL_NULL);
        OUTCOME(ptl_reply(&m, NULL, 1), PTL_E_INVALID);
        OUTCOME(ptl_reply(&m, "x", PTL_MESSAGE_SIZE_MAX + 1), PTL_E_TOO_BIG);
        OUTCOME(ptl_reply_message(&m, &(struct ptl_outgoing){.leave = 1}), PTL_E_INVALID);
        OUTCOME(ptl_reply_message(&m, &(struct ptl_outgoing){.kind = 0x80000000u}), PTL_E_INVALID);
        check_rights(m.reply, PTL_RIGHT_SEND_ONCE, 1);
        OK(ptl_reply(&m, "well", 5));
        CHECK_EQ(m.reply, PTL_NULL);
        OUTCOME(ptl_reply(&m, "again", 6), PTL_E_RIGHT);
        ptl_message_release(&m);
        take(q, "well");
        check_empty(q);
}

API_TEST(releasing_nothing_is_allowed)
{
        struct ptl_message m;
        struct ptl_loan loan;

        memset(&m, 0, sizeof m);
        memset(&loan, 0, sizeof loan);
        ptl_message_release(NULL);
        ptl_message_release(&m);
        ptl_loan_cancel(&loan);
        CHECK(ptl_region_free(NULL) == NULL);
}
