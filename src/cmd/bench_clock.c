/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench_clock.c - see bench_clock.h */
#include "cmd/bench_clock.h"
#include <math.h>
#include <stdlib.h>

enum { CALIBRATION_NS = 30000000 };

double bench_clock_calibrate(void)
{
        ptl_time begin = ptl_now(), now;
        uint64_t first = bench_tick(), last;

        do {
                now = ptl_now();
                last = bench_tick();
        } while (now - begin < CALIBRATION_NS);
        return (double)(now - begin) / (double)(last - first);
}

uint64_t bench_cpu_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int compare_ticks(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return (x > y) - (x < y);
}

void bench_samples_sort(struct bench_samples *s)
{
        qsort(s->ticks, s->count, sizeof *s->ticks, compare_ticks);
}

/* The least by which two of them differ. */
static uint32_t step(const struct bench_samples *s)
{
        uint32_t least = UINT32_MAX;

        for (size_t i = 1; i < s->count; i++) {
                uint32_t gap = s->ticks[i] - s->ticks[i - 1];

                if (gap && gap < least)
                        least = gap;
        }
        return least == UINT32_MAX ? 0 : least;
}

double bench_samples_at(const struct bench_samples *s, double share)
{
        size_t rank = (size_t)((double)(s->count - (s->count > 0)) * share), first = rank, end = rank;
        double within;

        if (!s->count)
                return 0;
        while (first > 0 && s->ticks[first - 1] == s->ticks[rank])
                first--;
        while (end < s->count && s->ticks[end] == s->ticks[rank])
                end++;
        within = ((double)(rank - first) + 0.5) / (double)(end - first) - 0.5;
        return s->ticks[rank] + within * step(s);
}

static int compare_doubles(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

double bench_median(double *values, size_t count)
{
        if (count == 0)
                return NAN;
        qsort(values, count, sizeof *values, compare_doubles);
        return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}
