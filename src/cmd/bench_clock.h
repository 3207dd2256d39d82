/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench_clock.h - ticks that cost little, CPU time, and what is told about many samples */
#pragma once
#include "base/clock.h"
#include <stddef.h>
#include <stdint.h>

/* Where nothing cheaper is known a tick is a nanosecond. The fence keeps what is measured inside. */
static inline uint64_t bench_tick(void)
{
#if defined(__x86_64__)
        __builtin_ia32_lfence();
        return __builtin_ia32_rdtsc();
#else
        return (uint64_t)ptl_now();
#endif
}

/* Measures the tick for 30 ms. Return: nanoseconds of one. */
double bench_clock_calibrate(void);

/* CPU time of this process so far, in user and kernel mode. */
uint64_t bench_cpu_ns(void);

enum { BENCH_SAMPLES_MAX = 100000 };

/* Samples in ticks; what does not fit is not kept. */
struct bench_samples {
        uint32_t *ticks; /* room for BENCH_SAMPLES_MAX */
        size_t count;
};

static inline void bench_samples_add(struct bench_samples *s, uint64_t ticks)
{
        if (s->count < BENCH_SAMPLES_MAX)
                s->ticks[s->count++] = ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
}

/* Puts the samples in order. */
void bench_samples_sort(struct bench_samples *s);

/* What @share (0 to 1) of the samples, which are sorted, do not exceed; 0 if there is none. The clock may go in
 * steps (of 10 ns in some virtual machines, 38 ticks): equal samples are taken as spread evenly over one. */
double bench_samples_at(const struct bench_samples *s, double share);

/* The median of @values, which are put in order; NaN if there is none. */
double bench_median(double *values, size_t count);
