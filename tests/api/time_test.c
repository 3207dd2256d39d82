/* SPDX-License-Identifier: Apache-2.0 */
/* Time: what deadlines are, and that calls keep to them. */
#include "api.h"

enum { MS = 1000000 };

API_TEST(x04_now_is_the_monotonic_clock)
{
        struct timespec before, after;
        ptl_time now;

        clock_gettime(CLOCK_MONOTONIC, &before);
        now = ptl_now();
        clock_gettime(CLOCK_MONOTONIC, &after);
        CHECK(now >= before.tv_sec * (int64_t)1000000000 + before.tv_nsec);
        CHECK(now <= after.tv_sec * (int64_t)1000000000 + after.tv_nsec);
        CHECK(ptl_now() >= now);
}

API_TEST(x04_a_time_in_milliseconds_is_that_far_from_now)
{
        const int64_t rows[] = {0, 1, 1000, 86400000, (int64_t)1 << 40};

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                ptl_time before = ptl_now();
                ptl_time t = ptl_after_ms(rows[i]);

                CHECK(t >= before + rows[i] * MS);
                CHECK(t <= ptl_now() + rows[i] * MS);
        }
}

API_TEST(x04_a_time_too_far_away_is_forever)
{
        const int64_t rows[] = {INT64_MAX, INT64_MAX - 1, INT64_MAX / MS, INT64_MAX / MS + 1,
                                INT64_MAX / 2};

        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
                CHECK_EQ(ptl_after_ms(rows[i]), PTL_FOREVER);
}

API_TEST(x04_a_negative_time_in_milliseconds_counts_as_zero)
{
        const int64_t rows[] = {-1, -1000, INT64_MIN, INT64_MIN + 1};

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                ptl_time before = ptl_now();
                ptl_time t = ptl_after_ms(rows[i]);

                CHECK(t >= before && t <= ptl_now());
                CHECK(t != PTL_NOW);
        }
}

API_TEST(x04_a_deadline_in_the_past_is_a_timeout_at_once)
{
        ptl_port p = new_port_of(1, 0);
        struct ptl_message m;
        const ptl_time rows[] = {1, ptl_now() - 1, ptl_after_ms(0), -1, INT64_MIN};

        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
                OUTCOME(ptl_receive(p, &m, rows[i]), PTL_E_TIMEOUT);
        put(p, "fills it");
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
                OUTCOME(ptl_send(p, "x", 1, rows[i]), PTL_E_TIMEOUT);
        take(p, "fills it");
        check_empty(p);
}

API_TEST(x04_a_deadline_in_the_past_still_does_what_needs_no_wait)
{
        ptl_port p = new_send_port();
        struct ptl_message m;

        OK(ptl_send(p, "a", 2, 1));
        OK(ptl_receive(p, &m, 1));
        check_text(&m, "a");
        ptl_message_release(&m);
}

API_TEST(x04_now_tells_at_once_what_it_would_wait_for)
{
        ptl_port p = new_port_of(1, 0);
        struct ptl_message m;
        ptl_time before = ptl_now();

        OUTCOME(ptl_receive(p, &m, PTL_NOW), PTL_E_EMPTY);
        put(p, "fills it");
        OUTCOME(ptl_send(p, "x", 1, PTL_NOW), PTL_E_FULL);
        CHECK(ptl_now() - before < tst_deadline_ms(1000) * MS);
}

static void wait_to_receive(ptl_port p, ptl_time deadline)
{
        struct ptl_message m;

        OUTCOME(ptl_receive(p, &m, deadline), PTL_E_TIMEOUT);
}

static void wait_to_send(ptl_port p, ptl_time deadline)
{
        OUTCOME(ptl_send(p, "x", 1, deadline), PTL_E_TIMEOUT);
}

static void wait_for_a_reply(ptl_port p, ptl_time deadline)
{
        size_t n = 0;
        int outcome = ptl_call(p, "x", 1, NULL, &n, deadline);

        OUTCOME(outcome, PTL_E_UNANSWERED);
}

/* Not before the deadline; not later than ten times the wait, but for a few that a busy machine
 * held up. */
static void check_wait(void (*wait)(ptl_port, ptl_time), ptl_port p, int ms)
{
        enum { TRIES = 10 };
        bool in_time = false;

        for (int i = 0; !in_time && i < TRIES; i++) {
                ptl_time start = ptl_now(), deadline = start + (int64_t)ms * MS;

                wait(p, deadline);
                CHECK(ptl_now() >= deadline);
                in_time = ptl_now() <= start + tst_deadline_ms(10 * ms) * MS;
        }
        CHECK(in_time);
}

API_TEST(x04_waits_end_not_before_their_deadline_and_soon_after)
{
        const struct {
                enum ptl_wait how;
                uint32_t poll_ns;
        } modes[] = {
                {PTL_WAIT_ADAPTIVE, 0      },
                {PTL_WAIT_ADAPTIVE, 10 * MS},
                {PTL_WAIT_SPIN,     0      },
                {PTL_WAIT_MEMORY,   0      },
                {PTL_WAIT_BLOCK,    0      }
        };
        const int rows[] = {5, 20, 60};

        for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
                ptl_port empty = new_send_port(), full = new_port_of(1, 0);

                OK(ptl_task_set_wait(modes[i].how, modes[i].poll_ns));
                put(full, "fills it");
                for (size_t j = 0; j < ARRAY_LEN(rows); j++) {
                        check_wait(wait_to_receive, empty, rows[j]);
                        check_wait(wait_to_send, full, rows[j]);
                        check_wait(wait_for_a_reply, empty, rows[j]);
                        ptl_port_free(empty);
                        ptl_right_release(empty);
                        empty = new_send_port();
                }
        }
        OK(ptl_task_set_wait(PTL_WAIT_ADAPTIVE, 0));
}

API_TEST(x04_a_set_without_members_waits_until_the_deadline)
{
        check_wait(wait_to_receive, new_set(), 20);
}
