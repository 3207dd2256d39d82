/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench_row.c - from the repetitions of a cell to the figures of a line: medians */
#include "cmd/bench_cell.h"
#include <math.h>

typedef double figure_fn(const struct bench_sample *s);

static double per(double value, double of) { return of > 0 ? value / of : NAN; }

static double p50(const struct bench_sample *s) { return s->subject.p50_ns; }
static double p99(const struct bench_sample *s) { return s->subject.p99_ns; }
static double its_p50(const struct bench_sample *s) { return s->reference.p50_ns; }
static double look_up(const struct bench_sample *s) { return (double)s->subject.look_up_ns; }
static double memory(const struct bench_sample *s) { return s->subject.memory_bytes; }
static double owner(const struct bench_sample *s) { return s->subject.owner_bytes; }
static double holder(const struct bench_sample *s) { return s->subject.holder_bytes; }

static double rate_of(const struct bench_result *r)
{
        return per((double)r->messages * 1e9, (double)r->elapsed_ns);
}

static double rate(const struct bench_sample *s) { return rate_of(&s->subject); }
static double its_rate(const struct bench_sample *s) { return rate_of(&s->reference); }

static double cpu(const struct bench_sample *s)
{
        return per((double)s->subject.cpu_ns, (double)s->subject.messages);
}

static double its_cpu(const struct bench_sample *s)
{
        return per((double)s->reference.cpu_ns, (double)s->reference.messages);
}

static double idle_cpu(const struct bench_sample *s)
{
        return per((double)s->subject.cpu_ns * 1e9, (double)s->subject.elapsed_ns);
}

static double median(const struct bench_found *found, enum bench_placement placement,
                     figure_fn *figure)
{
        double values[BENCH_REPETITIONS_MAX];
        size_t count = found->count[placement];

        for (size_t i = 0; i < count; i++)
                values[i] = figure(&found->samples[placement][i]);
        return bench_median(values, count);
}

/* Compared with the copying ring: bytes in a second. */
static double ratio(const struct bench_row *row)
{
        const struct bench_cell *cell = row->cell;

        if (cell->reference == BENCH_NO_REFERENCE)
                return NAN;
        if (cell->reference == BENCH_BY_COPY)
                return row->bytes_per_s / (row->reference_rate_per_s * BENCH_SIZE_MAX);
        return cell->shape == BENCH_SEND ? row->rate_per_s / row->reference_rate_per_s
                                         : row->p50_ns / row->reference_p50_ns;
}

/* Of one message: a stream's is its place in a window's time, which who sends slower makes longer. */
static double beyond(const struct bench_row *row)
{
        return row->cell->reference == BENCH_BY_ITSELF ? row->p50_ns - row->reference_p50_ns : NAN;
}

static void make_reference(struct bench_row *row, const struct bench_found *found)
{
        if (row->cell->reference == BENCH_NO_REFERENCE)
                return;
        row->reference_p50_ns = median(found, row->placement, its_p50);
        row->reference_rate_per_s = median(found, row->placement, its_rate);
        row->reference_cpu_ns_per_msg = median(found, row->placement, its_cpu);
        row->ratio = ratio(row);
        row->beyond_ns = beyond(row);
}

static void make_messages(struct bench_row *row, const struct bench_found *found)
{
        row->p50_ns = median(found, row->placement, p50);
        row->p99_ns = median(found, row->placement, p99);
        row->rate_per_s = median(found, row->placement, rate);
        if (row->cell->subject == BENCH_REGION) /* few and long: a mean would be one disturbance's */
                row->rate_per_s = 1e9 / row->p50_ns;
        row->bytes_per_s = row->rate_per_s * (double)row->cell->size;
        row->cpu_ns_per_msg = median(found, row->placement, cpu);
}

bool bench_row_make(const struct bench_cell *cell, const struct bench_found *found,
                    enum bench_placement placement, struct bench_row *ret_row)
{
        if (!found->count[placement])
                return false;
        *ret_row = (struct bench_row){
                .cell = cell, .placement = placement,
                .samples = found->count[placement], .noisy = found->noisy[placement],
                .p50_ns = NAN, .p99_ns = NAN, .rate_per_s = NAN, .bytes_per_s = NAN,
                .cpu_ns_per_msg = NAN, .reference_p50_ns = NAN, .reference_rate_per_s = NAN,
                .reference_cpu_ns_per_msg = NAN, .ratio = NAN, .cpu_ns_per_s = NAN,
                .look_up_ns = NAN, .memory_bytes = NAN, .beyond_ns = NAN, .owner_bytes = NAN, .holder_bytes = NAN,
        };
        if (cell->shape == BENCH_IDLE)
                ret_row->cpu_ns_per_s = median(found, placement, idle_cpu);
        else
                make_messages(ret_row, found);
        if (cell->shape == BENCH_MEET) {
                ret_row->look_up_ns = median(found, placement, look_up);
                ret_row->memory_bytes = median(found, placement, memory);
        }
        if (cell->subject == BENCH_HELD) {
                ret_row->owner_bytes = median(found, placement, owner);
                ret_row->holder_bytes = median(found, placement, holder);
        }
        make_reference(ret_row, found);
        return true;
}
