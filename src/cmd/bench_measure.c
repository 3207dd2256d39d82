/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench_measure.c - one repetition of a cell: probes around it, the reference in turns with it */
#include "cmd/bench_cell.h"
#include <time.h>

enum {
        HANDLE_SIZE = 64,
        MEETINGS = 20,       /* of a repetition of "links" */
        MEMBERS = 16,        /* tasks that are linked to for their memory */
        IDLE_TIMES = 10,     /* as long as other samples: little is measured of a little */
        SETTLE_NS = 100000000, /* when others are here: perhaps they go */
};

/* ---- orders ---- */

static uint64_t duration_ns(const struct bench_cell *cell, const struct bench_options *options)
{
        double ns = options->seconds * 1e9;

        return (uint64_t)(cell->shape == BENCH_IDLE ? IDLE_TIMES * ns : ns);
}

static int peer_cpu(const struct bench_pair *pair, const struct bench_cell *cell)
{
        return cell->same_cpu ? pair->driver_cpu : pair->peer_cpu;
}

static struct bench_order subject_order(const struct bench_pair *pair, const struct bench_cell *cell,
                                        const struct bench_options *options)
{
        return (struct bench_order){
                .subject = cell->subject,
                .shape = cell->shape,
                .wait = cell->wait,
                .flags = cell->flags | (options->corrupt ? BENCH_CORRUPT : 0),
                .size = cell->size,
                .duration_ns = duration_ns(cell, options),
                .batch = cell->batch,
                .peer_cpu = peer_cpu(pair, cell),
        };
}

static struct bench_order reference_order(const struct bench_pair *pair, const struct bench_cell *cell,
                                          const struct bench_options *options, bool is_far)
{
        struct bench_order order = subject_order(pair, cell, options);

        if (cell->reference == BENCH_BY_ITSELF) {
                order.flags |= BENCH_WITHOUT;
                return order;
        }
        order.flags = is_far && cell->size >= BENCH_SUM_FROM ? BENCH_STREAMING : 0;
        order.subject = cell->reference == BENCH_BY_PIPE ? BENCH_PIPE : BENCH_RING;
        if (cell->reference == BENCH_BY_HANDLE) {
                order.size = HANDLE_SIZE;
                order.flags = 0;
        }
        if (cell->reference == BENCH_BY_COPY) {
                order.shape = BENCH_SEND;
                order.size = order.size < BENCH_SIZE_MAX ? order.size : BENCH_SIZE_MAX;
        }
        return order;
}

static int probe(struct bench_pair *pair, const struct bench_cell *cell, enum bench_placement *ret)
{
        struct bench_order order = {.shape = BENCH_PROBE, .peer_cpu = peer_cpu(pair, cell)};
        struct bench_result result;

        *ret = BENCH_SAME_CPU;
        if (cell->same_cpu || pair->driver_cpu == pair->peer_cpu)
                return 0;
        if (bench_pair_run(pair, &order, &result))
                return -1;
        *ret = bench_placement_of(pair->side.result.p50_ns);
        return 0;
}

/* ---- links ---- */

/* Several meetings; the medians of both times. */
static int run_meetings(struct bench_pair *pair, const struct bench_order *meet,
                        struct bench_result *ret)
{
        struct bench_order renew = *meet;
        double whole[MEETINGS], look_up[MEETINGS];
        struct bench_result one;

        *ret = (struct bench_result){0};
        renew.shape = BENCH_RENEW;
        for (int i = 0; i < MEETINGS; i++) {
                if (bench_pair_run(pair, &renew, &one) || bench_pair_run(pair, meet, &one))
                        return -1;
                whole[i] = (double)one.elapsed_ns;
                look_up[i] = (double)one.look_up_ns;
                ret->elapsed_ns += one.elapsed_ns;
                ret->cpu_ns += one.cpu_ns;
        }
        ret->messages = MEETINGS;
        ret->p50_ns = bench_median(whole, MEETINGS);
        ret->p99_ns = whole[MEETINGS - 1]; /* put in order by the median */
        ret->look_up_ns = (uint64_t)bench_median(look_up, MEETINGS);
        return bench_link_memory(&pair->side, MEMBERS, &ret->memory_bytes);
}

/* ---- a sample ---- */

static int run_subject(struct bench_pair *pair, const struct bench_cell *cell,
                       const struct bench_options *options, struct bench_sample *sample)
{
        struct bench_order order = subject_order(pair, cell, options);

        if (cell->shape == BENCH_MEET)
                return run_meetings(pair, &order, &sample->subject);
        return bench_pair_run(pair, &order, &sample->subject);
}

static int run_reference(struct bench_pair *pair, const struct bench_cell *cell,
                         const struct bench_options *options, bool is_far,
                         struct bench_sample *sample)
{
        struct bench_order order = reference_order(pair, cell, options, is_far);

        if (cell->reference == BENCH_NO_REFERENCE)
                return 0;
        return bench_pair_run(pair, &order, &sample->reference);
}

/* On a busy machine a side may not have run at all before the time was over. */
static bool is_empty(const struct bench_cell *cell, const struct bench_sample *sample)
{
        return (cell->shape != BENCH_IDLE && !sample->subject.messages) ||
               (cell->reference != BENCH_NO_REFERENCE && !sample->reference.messages);
}

/* Return: 1 if it is to be tried again, 0, -1. */
static int try_sample(struct bench_pair *pair, const struct bench_cell *cell,
                      const struct bench_options *options, bool reference_first,
                      struct bench_sample *sample, enum bench_placement *ret_placement)
{
        enum bench_placement between, after;
        bool is_far;

        if (probe(pair, cell, ret_placement))
                return -1;
        is_far = *ret_placement == BENCH_FAR;
        if ((reference_first && run_reference(pair, cell, options, is_far, sample)) ||
            (!reference_first && run_subject(pair, cell, options, sample)) ||
            probe(pair, cell, &between) ||
            (reference_first && run_subject(pair, cell, options, sample)) ||
            (!reference_first && run_reference(pair, cell, options, is_far, sample)) ||
            probe(pair, cell, &after))
                return -1;
        return between != *ret_placement || after != *ret_placement || is_empty(cell, sample);
}

/* An undisturbed sample displaces the noisy ones. */
static void add(struct bench_found *found, enum bench_placement placement,
                const struct bench_sample *sample, bool is_noisy)
{
        size_t *count = &found->count[placement], *noisy = &found->noisy[placement];

        if (!is_noisy && *noisy)
                *count = *noisy = 0;
        if ((is_noisy && *count > *noisy) || *count == BENCH_REPETITIONS_MAX)
                return;
        found->samples[placement][(*count)++] = *sample;
        *noisy += is_noisy;
}

static bool is_possible(const struct bench_pair *pair, const struct bench_cell *cell)
{
        bool is_alone = pair->driver_cpu == pair->peer_cpu;

        /* who polls for another on the same CPU waits for the scheduler's next tick */
        if (is_alone && !cell->same_cpu && cell->shape != BENCH_IDLE && cell->shape != BENCH_MEET)
                return false;
        return cell->subject != BENCH_QUEUE || pair->side.control->kernel_fds[BENCH_KERNEL_FDS - 1] >= 0;
}

int bench_measure(struct bench_pair *pair, const struct bench_cell *cell,
                  const struct bench_options *options, unsigned turn, struct bench_found *found)
{
        int cpus[2] = {pair->driver_cpu, peer_cpu(pair, cell)};
        enum bench_placement placement;
        struct bench_load load;

        for (unsigned left = options->tries; left-- && is_possible(pair, cell);) {
                struct bench_sample sample = {0};
                bool is_noisy;
                int r;

                bench_load_begin(&load, cpus);
                r = try_sample(pair, cell, options, turn % 2 == 0, &sample, &placement);
                if (r < 0)
                        return -1;
                is_noisy = bench_load_is_foreign(&load, cpus,
                                                 sample.subject.cpu_ns + sample.reference.cpu_ns);
                if (r == 0 && (!is_noisy || left == 0)) {
                        add(found, placement, &sample, is_noisy);
                        return 0;
                }
                if (is_noisy)
                        nanosleep(&(struct timespec){.tv_nsec = SETTLE_NS}, NULL);
        }
        return 0;
}
