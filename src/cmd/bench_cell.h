/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench_cell.h - what there is to measure, one cell after the other, and what was found */
#pragma once
#include "cmd/bench_pair.h"
#include "cmd/bench_place.h"

enum { BENCH_REPETITIONS_MAX = 64, BENCH_CELLS_MAX = 96 };

/* What a cell is compared with, in the same two processes, in turns with it. */
enum bench_reference {
        BENCH_NO_REFERENCE,
        BENCH_BY_RING, /* the bare ring, the same messages in the same batches */
        BENCH_BY_HANDLE, /* the bare ring with a message of 64 bytes: what a reference to memory costs */
        BENCH_BY_COPY, /* the bare ring, one way, with messages of at most 1 MiB: what copying gives */
        BENCH_BY_PIPE,
        BENCH_BY_ITSELF, /* the same without the right, or with one that is there already */
};

/**
 * struct bench_cell - one line of the report for every placement that it met
 * @group:    what the command line selects
 * @name:     the line's "bench"
 * @same_cpu: both sides on one CPU
 */
struct bench_cell {
        const char *group, *name;
        enum bench_subject subject;
        enum bench_shape shape;
        enum bench_wait wait;
        enum bench_reference reference;
        uint64_t size;
        uint32_t batch, flags;
        bool same_cpu;
};

extern const struct bench_cell bench_cells[];
extern const size_t bench_cells_count;

/* The groups' names in order, NULL after the last. */
extern const char *const bench_groups[];

const char *bench_wait_name(enum bench_wait wait);

/* One repetition. */
struct bench_sample {
        struct bench_result subject, reference;
};

/* All repetitions of one cell, by placement. */
struct bench_found {
        size_t count[BENCH_PLACEMENTS];
        size_t noisy[BENCH_PLACEMENTS]; /* all of these, or none: others used the CPUs meanwhile */
        struct bench_sample samples[BENCH_PLACEMENTS][BENCH_REPETITIONS_MAX];
};

struct bench_options {
        double seconds; /* of one sample */
        unsigned repetitions;
        unsigned tries; /* to get one that is steady and undisturbed */
        bool corrupt;
};

/**
 * bench_measure - add one repetition of a cell
 * @turn: its number; what comes first alternates
 *
 * A sample whose placement changed while it was taken is dropped. One that was disturbed is taken
 * after the last try only, and counts as noisy until there is an undisturbed one.
 *
 * Return: 0 (also if nothing could be added); -1 with the reason in @pair->side.why.
 */
int bench_measure(struct bench_pair *pair, const struct bench_cell *cell,
                  const struct bench_options *options, unsigned turn, struct bench_found *found);

/* Medians of one cell at one placement; NaN where something does not apply. */
struct bench_row {
        const struct bench_cell *cell;
        enum bench_placement placement;
        size_t samples, noisy;
        double p50_ns, p99_ns, rate_per_s, bytes_per_s, cpu_ns_per_msg;
        double reference_p50_ns, reference_rate_per_s, reference_cpu_ns_per_msg;
        double ratio;        /* calls: of the p50, to the reference's; sends: of the rate */
        double cpu_ns_per_s; /* of an idle peer */
        double look_up_ns, memory_bytes; /* of links */
        double beyond_ns; /* a message takes more than its reference BENCH_BY_ITSELF */
        double owner_bytes, holder_bytes; /* of a right held */
};

/* Return: false if there is no sample at @placement. */
bool bench_row_make(const struct bench_cell *cell, const struct bench_found *found,
                    enum bench_placement placement, struct bench_row *ret_row);
