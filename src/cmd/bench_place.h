/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd/bench_place.h - where the two processes are, and who else is there
 *
 * On a virtual machine the host moves the processors: the way of a cache line between two of them
 * changes within minutes, by a factor of ten. So it is measured beside everything else.
 */
#pragma once
#include "cmd/bench_side.h"

enum bench_placement {
        BENCH_NEAREST, /* a line goes there and back in under 65 ns */
        BENCH_NEAR,    /* under 200 ns: one third-level cache */
        BENCH_FAR,
        BENCH_SAME_CPU,
        BENCH_PLACEMENTS,
};

const char *bench_placement_name(enum bench_placement placement);
enum bench_placement bench_placement_of(double round_trip_ns);

/* The first two CPUs that this process may use, the same twice if there is one. Ask before pinning. */
void bench_cpus(int ret_cpus[2]);

/* Return: 0, -errno. */
int bench_pin(int cpu);

/* One side of a line going to and fro; the driver's result is in p50_ns. Return: 0 or -1. */
int bench_probe(struct bench_side *side);

/* How much of the two CPUs went to others, in ticks of /proc/stat. */
struct bench_load {
        uint64_t busy, stolen; /* since boot */
        ptl_time when;
};

void bench_load_begin(struct bench_load *load, const int cpus[2]);

/* Whether others used more than a tenth of them since, given what both sides used themselves. */
bool bench_load_is_foreign(const struct bench_load *load, const int cpus[2], uint64_t own_cpu_ns);
