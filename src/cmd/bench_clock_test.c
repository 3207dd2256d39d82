/* SPDX-License-Identifier: Apache-2.0 */
/* What is told about many samples. */
#include "cmd/bench_clock.h"
#include "tst.h"
#include <math.h>

static bool is_about(double found, double wanted) { return fabs(found - wanted) < 0.01; }

TEST(percentiles_of_different_samples_are_samples)
{
        uint32_t ticks[] = {70, 10, 50, 30, 90};
        struct bench_samples s = {.ticks = ticks, .count = ARRAY_LEN(ticks)};

        bench_samples_sort(&s);
        CHECK(is_about(bench_samples_at(&s, 0), 10));
        CHECK(is_about(bench_samples_at(&s, 0.5), 50));
        CHECK(is_about(bench_samples_at(&s, 1), 90));
}

TEST(samples_of_a_clock_that_goes_in_steps_are_spread_over_a_step)
{
        static uint32_t ticks[1000];
        struct bench_samples s = {.ticks = ticks, .count = ARRAY_LEN(ticks)};

        for (size_t i = 0; i < s.count; i++) /* evenly from 70 to 110, cut down to tens and centred */
                ticks[i] = (uint32_t)((70 + 40 * i / s.count) / 10 * 10 + 5);
        CHECK(fabs(bench_samples_at(&s, 0.5) - 90) < 0.1);
        CHECK(fabs(bench_samples_at(&s, 0.3) - 82) < 0.1);
        CHECK(fabs(bench_samples_at(&s, 0.99) - 109.6) < 0.1);
}

TEST(no_samples_and_equal_ones_are_no_trouble)
{
        uint32_t ticks[] = {40, 40, 40};
        struct bench_samples s = {.ticks = ticks};

        CHECK(is_about(bench_samples_at(&s, 0.5), 0));
        s.count = 1;
        CHECK(is_about(bench_samples_at(&s, 0.99), 40));
        s.count = 3;
        CHECK(is_about(bench_samples_at(&s, 0.01), 40));
}
