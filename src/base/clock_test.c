/* SPDX-License-Identifier: Apache-2.0 */
/* base/clock_test.c - deadlines: never early, rounded up, saturating; no test waits for time */
#include "base/clock.h"
#include "tst.h"
#include <limits.h>

enum { MS = 1000000, S = 1000000000 };

static int64_t ms_rounded_up(ptl_time ns) { return ns <= 0 ? 0 : (ns + MS - 1) / MS; }

TEST(time_never_goes_backwards)
{
        ptl_time last = ptl_now();

        CHECK(last > 0);
        for (int i = 0; i < 100000; i++) {
                ptl_time now = ptl_now();

                CHECK(now >= last);
                last = now;
        }
}

TEST(the_cheap_clock_is_the_same_one_a_little_late)
{
        ptl_time rough = ptl_now_roughly(), now = ptl_now();

        CHECK(rough <= now);
        CHECK(tst_wait_until(ptl_now_roughly() > now, 1000));
}

TEST(now_is_the_monotonic_clock)
{
        struct timespec before, after;
        ptl_time now;

        clock_gettime(CLOCK_MONOTONIC, &before);
        now = ptl_now();
        clock_gettime(CLOCK_MONOTONIC, &after);
        CHECK(now >= (ptl_time)before.tv_sec * S + before.tv_nsec);
        CHECK(now <= (ptl_time)after.tv_sec * S + after.tv_nsec);
}

TEST(after_ms_is_so_far_from_now)
{
        static const int64_t far[] = {1, 2, 999, 1000, 86400000, INT32_MAX};

        for (size_t i = 0; i < ARRAY_LEN(far); i++) {
                ptl_time before = ptl_now(), then = ptl_after_ms(far[i]), after = ptl_now();

                CHECK(then >= before + far[i] * MS && then <= after + far[i] * MS);
        }
}

TEST(after_no_or_negative_time_has_passed_when_looked_at)
{
        static const int64_t past[] = {0, -1, -1000, INT64_MIN};

        for (size_t i = 0; i < ARRAY_LEN(past); i++) {
                ptl_time then = ptl_after_ms(past[i]);

                CHECK(then > PTL_NOW); /* a time in the past, not "never wait": other outcome */
                CHECK(ptl_deadline_passed(then));
                CHECK_EQ(ptl_deadline_ms(then), 0);
        }
}

TEST(after_ms_saturates_at_forever)
{
        CHECK_EQ(ptl_after_ms(INT64_MAX), PTL_FOREVER);
        CHECK_EQ(ptl_after_ms(INT64_MAX / MS), PTL_FOREVER);
        CHECK(ptl_after_ms(INT64_MAX / MS / 2) < PTL_FOREVER);
}

static const struct deadline_row {
        const char *name;
        ptl_time deadline;
        bool passed;
} deadlines[] = {
        {"now",             PTL_NOW,         true },
        {"negative",        -1,              true },
        {"most negative",   INT64_MIN,       true },
        {"just after boot", 1,               true },
        {"forever",         PTL_FOREVER,     false},
        {"nearly forever",  PTL_FOREVER - 1, false},
};

TEST(deadlines_pass_when_they_should)
{
        for (size_t i = 0; i < ARRAY_LEN(deadlines); i++) {
                const struct deadline_row *row = &deadlines[i];

                CHECK_ROW(i, row, ptl_deadline_passed(row->deadline) == row->passed);
        }
}

TEST(milliseconds_left_are_rounded_up)
{
        static const ptl_time far[] = {100 * (ptl_time)S, 100 * (ptl_time)S + 1,
                                       100 * (ptl_time)S + MS - 1, 3600 * (ptl_time)S + MS / 2};

        for (size_t i = 0; i < ARRAY_LEN(far); i++) {
                ptl_time before = ptl_now(), deadline = before + far[i];
                int ms = ptl_deadline_ms(deadline);

                CHECK(ms <= ms_rounded_up(far[i]));
                CHECK(ms >= ms_rounded_up(deadline - ptl_now()));
        }
}

TEST(milliseconds_left_fit_poll)
{
        CHECK_EQ(ptl_deadline_ms(PTL_FOREVER), -1);
        CHECK_EQ(ptl_deadline_ms(PTL_FOREVER - 1), INT_MAX);
        CHECK_EQ(ptl_deadline_ms(ptl_now() + (ptl_time)INT_MAX * MS * 2), INT_MAX);
        CHECK_EQ(ptl_deadline_ms(PTL_NOW), 0);
        CHECK_EQ(ptl_deadline_ms(1), 0);
        CHECK_EQ(ptl_deadline_ms(INT64_MIN), 0);
}

static void check_left(ptl_time deadline, ptl_time least, ptl_time most)
{
        struct timespec t = ptl_deadline_left(deadline);
        ptl_time left = (ptl_time)t.tv_sec * S + t.tv_nsec;

        CHECK(t.tv_sec >= 0 && t.tv_nsec >= 0 && t.tv_nsec < S);
        CHECK(left >= least && left <= most);
}

TEST(time_left_is_never_negative)
{
        ptl_time now = ptl_now();

        check_left(PTL_NOW, 0, 0);
        check_left(1, 0, 0);
        check_left(INT64_MIN, 0, 0);
        check_left(now, 0, 0);
        check_left(now + 3600 * (ptl_time)S + 5, 1, 3600 * (ptl_time)S + 5);
}
