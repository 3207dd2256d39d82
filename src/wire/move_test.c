/* SPDX-License-Identifier: Apache-2.0 */
/* wire/move_test.c - words of rights, and the bodies of a receive right's frames: read back, or
 * refused */
#include "tst.h"
#include "wire/frame.h"
#include "wire/move.h"
#include <portolan/port.h>
#include <string.h>

/* ---- the word of a right ---- */

TEST(an_open_word_says_what_was_taken)
{
        struct ptl_right_word w;

        CHECK_EQ(ptl_word_decode(ptl_word_open(UINT32_MAX, 0x7fffffff), &w), 0);
        CHECK_EQ(w.state, PTL_WORD_OPEN);
        CHECK_EQ(w.messages, UINT32_MAX);
        CHECK_EQ(w.units, 0x7fffffff);
}

TEST(units_that_wrap_do_not_reach_the_mark)
{
        struct ptl_right_word w;

        CHECK_EQ(ptl_word_decode(ptl_word_open(7, 0x80000001u), &w), 0);
        CHECK_EQ(w.state, PTL_WORD_OPEN);
        CHECK_EQ(w.units, 1);
}

TEST(a_marked_word_says_nothing_else)
{
        struct ptl_right_word w;

        CHECK_EQ(ptl_word_decode(ptl_word_marked(), &w), 0);
        CHECK_EQ(w.state, PTL_WORD_MARKED);
        for (unsigned bit = 0; bit < 62; bit++)
                CHECK_EQ(ptl_word_decode(ptl_word_marked() | (uint64_t)1 << bit, &w),
                         PTL_E_MALFORMED);
}

TEST(a_moved_word_says_count_and_route)
{
        struct ptl_right_word w;

        CHECK_EQ(ptl_word_decode(ptl_word_moved(0xfedcba98, PTL_MOVE_ROUTES - 1), &w), 0);
        CHECK_EQ(w.state, PTL_WORD_MOVED);
        CHECK_EQ(w.messages, 0xfedcba98);
        CHECK_EQ(w.route, PTL_MOVE_ROUTES - 1);
        CHECK_EQ(ptl_word_decode(ptl_word_moved(0, PTL_MOVE_ROUTES), &w), PTL_E_MALFORMED);
        CHECK_EQ(ptl_word_decode(ptl_word_moved(0, 0) | (uint64_t)1 << 61, &w), PTL_E_MALFORMED);
}

/* ---- bodies ---- */

#define TASK                                                                                       \
        {                                                                                          \
                1, 2                                                                               \
        }
#define ONCE   PTL_CARRY_ONCE
#define SEND   PTL_CARRY_SEND
#define WINDOW (PTL_LIMIT_MESSAGES_MAX + 1)

static const struct holder_row {
        const char *name;
        struct ptl_move_holder body;
        int outcome;
} holders[] = {
        {"send",                  {TASK, 5, {0, 0}, SEND, 3, {9, 9, 4, 4}},          0              },
        {"claimed, a generation", {TASK, 0xfff00001, {0, 0}, SEND, 1, {0}},          0              },
        {"count wrapped",         {TASK, 5, {0, 0}, SEND, 3, {2, 2, UINT32_MAX, 1}}, 0              },
        {"a full window",         {TASK, 5, {0, 0}, SEND, 3, {WINDOW, 0, 0, 0}},     0              },
        {"once",                  {TASK, 5, {0, 0}, ONCE, 1, {0}},                   0              },
        {"once, used",            {TASK, 5, {0, 0}, ONCE, 1, {1, 0, 0, 0}},          0              },
        {"ticket",                {TASK, ~0ull, {0, 1}, SEND, 1, {0}},               0              },
        {"no task",               {{0, 0}, 5, {0, 0}, SEND, 1, {0}},                 PTL_E_MALFORMED},
        {"index 0",               {TASK, 0xfff00000, {0, 0}, SEND, 1, {0}},          PTL_E_MALFORMED},
        {"number too large",      {TASK, (1ull << 32) + 5, {0, 0}, SEND, 1, {0}},    PTL_E_MALFORMED},
        {"ticket 0",              {TASK, 0, {0, 1}, SEND, 1, {0}},                   PTL_E_MALFORMED},
        {"kind 0",                {TASK, 5, {0, 0}, 0, 1, {0}},                      PTL_E_MALFORMED},
        {"kind behind the last",  {TASK, 5, {0, 0}, ONCE + 1, 1, {0}},               PTL_E_MALFORMED},
        {"no reference",          {TASK, 5, {0, 0}, SEND, 0, {0}},                   PTL_E_MALFORMED},
        {"more taken than came",  {TASK, 5, {0, 0}, SEND, 1, {4, 4, 5, 4}},          PTL_E_MALFORMED},
        {"more than a window",    {TASK, 5, {0, 0}, SEND, 1, {WINDOW + 1, 0, 0, 0}}, PTL_E_MALFORMED},
        {"units with the mark",   {TASK, 5, {0, 0}, SEND, 1, {1, 1u << 31, 1, 0}},   PTL_E_MALFORMED},
        {"taken units with it",   {TASK, 5, {0, 0}, SEND, 1, {1, 0, 1, 1u << 31}},   PTL_E_MALFORMED},
        {"once, twice",           {TASK, 5, {0, 0}, ONCE, 2, {0}},                   PTL_E_MALFORMED},
        {"once, used twice",      {TASK, 5, {0, 0}, ONCE, 1, {2, 0, 0, 0}},          PTL_E_MALFORMED},
        {"once, with units",      {TASK, 5, {0, 0}, ONCE, 1, {1, 1, 0, 0}},          PTL_E_MALFORMED},
        {"once, taken",           {TASK, 5, {0, 0}, ONCE, 1, {1, 0, 1, 0}},          PTL_E_MALFORMED},
        {"once, units taken",     {TASK, 5, {0, 0}, ONCE, 1, {1, 0, 0, 1}},          PTL_E_MALFORMED},
};

TEST(holders_are_read_back_or_refused)
{
        for (size_t i = 0; i < ARRAY_LEN(holders); i++) {
                struct ptl_move_holder got;
                int r = ptl_move_holder_decode(&holders[i].body, sizeof got, &got);

                CHECK_ROW(i, &holders[i], r == holders[i].outcome);
                CHECK_ROW(i, &holders[i], r || memcmp(&got, &holders[i].body, sizeof got) == 0);
        }
}

static const struct port_row {
        const char *name;
        struct ptl_move_port body;
        int outcome;
} ports[] = {
        {"plain",              {16, 1024, 0, {0, 0}},                            0              },
        {"published, widest",  {PTL_LIMIT_MESSAGES_MAX, 0x7fffffff, 99, {0, 0}}, 0              },
        {"too many messages",  {PTL_LIMIT_MESSAGES_MAX + 1, 1024, 0, {0, 0}},    PTL_E_MALFORMED},
        {"too many units",     {16, 0x80000000u, 0, {0, 0}},                     PTL_E_MALFORMED},
        {"reserved",           {16, 1024, 0, {1, 0}},                            PTL_E_MALFORMED},
        {"reserved, the last", {16, 1024, 0, {0, 1}},                            PTL_E_MALFORMED},
};

TEST(ports_are_read_back_or_refused)
{
        for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
                struct ptl_move_port got;
                int r = ptl_move_port_decode(&ports[i].body, sizeof got, &got);

                CHECK_ROW(i, &ports[i], r == ports[i].outcome);
                CHECK_ROW(i, &ports[i], r || memcmp(&got, &ports[i].body, sizeof got) == 0);
        }
}

TEST(counts_are_bounded_as_in_a_holder)
{
        struct ptl_move_count good = {5, 6, 5, 6}, bad = {5, 6, 6, 6}, got;

        CHECK_EQ(ptl_move_count_decode(&good, sizeof good, &got), 0);
        CHECK_EQ(got.count, 5);
        CHECK_EQ(ptl_move_count_decode(&bad, sizeof bad, &got), PTL_E_MALFORMED);
}

TEST(a_message_that_was_sent_on_too_often_is_refused)
{
        struct ptl_move_queued body = {.hops = PTL_MOVE_HOPS - 1, .reply = 1}, got;

        CHECK_EQ(ptl_move_queued_decode(&body, sizeof body, &got), 0);
        CHECK_EQ(got.hops, PTL_MOVE_HOPS - 1);
        body.hops++;
        CHECK_EQ(ptl_move_queued_decode(&body, sizeof body, &got), PTL_E_MALFORMED);
        body = (struct ptl_move_queued){.reply = 2};
        CHECK_EQ(ptl_move_queued_decode(&body, sizeof body, &got), PTL_E_MALFORMED);
        body = (struct ptl_move_queued){.sender = {.reserved = 1}};
        CHECK_EQ(ptl_move_queued_decode(&body, sizeof body, &got), PTL_E_MALFORMED);
}

TEST(a_claim_names_a_task_and_a_right_that_can_be)
{
        struct ptl_move_claim body = {TASK, 5}, got;

        CHECK_EQ(ptl_move_claim_decode(&body, sizeof body, &got), 0);
        CHECK_EQ(got.number, 5);
        body.number = 0;
        CHECK_EQ(ptl_move_claim_decode(&body, sizeof body, &got), PTL_E_MALFORMED);
        body = (struct ptl_move_claim){
                {0, 0},
                5
        };
        CHECK_EQ(ptl_move_claim_decode(&body, sizeof body, &got), PTL_E_MALFORMED);
}

TEST(routes_and_passes_name_a_task)
{
        struct ptl_move_route route =
                                      {
                                              .task = {0, 1}
        },
                              got;
        struct ptl_task_id task = {0, 0}, to;

        CHECK_EQ(ptl_move_route_decode(&route, sizeof route, &got), 0);
        CHECK_EQ(got.task.low, 1);
        route.reserved[1] = 1;
        CHECK_EQ(ptl_move_route_decode(&route, sizeof route, &got), PTL_E_MALFORMED);
        route = (struct ptl_move_route){0};
        CHECK_EQ(ptl_move_route_decode(&route, sizeof route, &got), PTL_E_MALFORMED);
        CHECK_EQ(ptl_move_pass_decode(&task, sizeof task, &to), PTL_E_MALFORMED);
        task.high = 1;
        CHECK_EQ(ptl_move_pass_decode(&task, sizeof task, &to), 0);
        CHECK_EQ(to.high, 1);
}

TEST(bodies_of_another_length_are_refused)
{
        union {
                struct ptl_move_port port;
                struct ptl_move_count count;
                struct ptl_move_holder holder;
                struct ptl_move_queued queued;
                struct ptl_move_commit commit;
                struct ptl_move_claim claim;
                struct ptl_move_route route;
                struct ptl_task_id task;
        } got;
        struct ptl_move_holder body[2] = {holders[0].body, holders[0].body};

        for (int more = -1; more <= 1; more += 2) {
                CHECK_EQ(ptl_move_port_decode(body, sizeof got.port + more, &got.port),
                         PTL_E_MALFORMED);
                CHECK_EQ(ptl_move_count_decode(body, sizeof got.count + more, &got.count),
                         PTL_E_MALFORMED);
                CHECK_EQ(ptl_move_holder_decode(body, sizeof got.holder + more, &got.holder),
                         PTL_E_MALFORMED);
                CHECK_EQ(ptl_move_queued_decode(body, sizeof got.queued + more, &got.queued),
                         PTL_E_MALFORMED);
                CHECK_EQ(ptl_move_commit_decode(body, sizeof got.commit + more, &got.commit),
                         PTL_E_MALFORMED);
                CHECK_EQ(ptl_move_claim_decode(body, sizeof got.claim + more, &got.claim),
                         PTL_E_MALFORMED);
                CHECK_EQ(ptl_move_route_decode(body, sizeof got.route + more, &got.route),
                         PTL_E_MALFORMED);
                CHECK_EQ(ptl_move_pass_decode(body, sizeof got.task + more, &got.task),
                         PTL_E_MALFORMED);
        }
        CHECK_EQ(ptl_move_commit_decode(body, sizeof got.commit, &got.commit), 0);
}
