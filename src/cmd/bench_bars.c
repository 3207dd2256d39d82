/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench_bars.c - the project's goals, held against what was found */
#include "cmd/bench_report.h"
#include "cmd/json.h"
#include "cmd/text.h"
#include <math.h>
#include <string.h>

enum { /* placements, as a set */
        NEAR = 1 << BENCH_NEAREST | 1 << BENCH_NEAR,
        FAR = 1 << BENCH_FAR,
        ACROSS = NEAR | FAR,
        SAME = 1 << BENCH_SAME_CPU,
        ANY = ACROSS | SAME,
};

typedef double figure_fn(const struct bench_report *report, const struct bench_row *row);

/* For figures that are to be low @limit is the most, else the least. */
struct bar {
        const char *bench;
        uint64_t size;
        uint32_t batch; /* 0: any */
        int wait;       /* -1: any */
        unsigned placements;
        const char *figure;
        figure_fn *get;
        bool is_low;
        double limit;
};

#define FIGURE(name, expression)                                                                   \
        static double name(const struct bench_report *report, const struct bench_row *row)         \
        {                                                                                          \
                return expression;                                                                 \
        }

FIGURE(ratio, row->ratio)
FIGURE(p50_us, row->p50_ns / 1e3)
FIGURE(tail, row->p99_ns / row->p50_ns)
FIGURE(rate_m, row->rate_per_s / 1e6)
FIGURE(giga, row->bytes_per_s / 1e9)
FIGURE(cpu_ratio, row->cpu_ns_per_msg / row->reference_cpu_ns_per_msg)
FIGURE(idle_ms, row->cpu_ns_per_s / 1e6)
FIGURE(memory_kib, row->memory_bytes / 1024)
FIGURE(beyond_ns, row->beyond_ns)
FIGURE(beyond_us, row->beyond_ns / 1e3)
FIGURE(p99_ms, row->p99_ns / 1e6)
FIGURE(owner_bytes, row->owner_bytes)
FIGURE(holder_bytes, row->holder_bytes)

/* Against the row that is the same but spins. */
static double to_spinning(const struct bench_report *report, const struct bench_row *row)
{
        for (size_t i = 0; i < report->count; i++) {
                const struct bench_row *other = &report->rows[i];

                if (other->cell->wait == BENCH_SPIN && other->placement == row->placement &&
                    other->cell->size == row->cell->size && !strcmp(other->cell->name, row->cell->name))
                        return row->p50_ns / other->p50_ns;
        }
        return NAN;
}

/* Isolated regions: frozen, or copied, whichever is faster. */
static double isolated_giga(const struct bench_report *report, const struct bench_row *row)
{
        double best = giga(report, row);

        for (size_t i = 0; i < report->count; i++) {
                const struct bench_row *other = &report->rows[i];

                if (!strcmp(other->cell->name, "region-copied") && other->placement == row->placement &&
                    other->cell->size == row->cell->size && giga(report, other) > best)
                        best = giga(report, other);
        }
        return best;
}

#define MOST(what, fn, limit_)  .figure = what, .get = fn, .is_low = true, .limit = limit_
#define LEAST(what, fn, limit_) .figure = what, .get = fn, .is_low = false, .limit = limit_
#define CALL(size_)             .bench = "call", .size = size_, .wait = BENCH_SPIN
#define ISOLATED(size_)                                                                            \
        .bench = "region-isolated", .size = size_, .wait = -1, .placements = ACROSS,               \
        LEAST("GB/s, or copied", isolated_giga, 20)
#define KIB                     1024
#define MIB                     1048576

static const struct bar bars[] = {
        {CALL(8), .placements = ACROSS, MOST("p50, of the ring's", ratio, 1.5)},
        {CALL(64), .placements = ACROSS, MOST("p50, of the ring's", ratio, 1.25)},
        {CALL(256), .placements = ACROSS, MOST("p50, of the ring's", ratio, 1.25)},
        {CALL(1024), .placements = ACROSS, MOST("p50, of the ring's", ratio, 1.25)},
        {.bench = "call-in-place", .size = 1024, .wait = -1, .placements = ACROSS,
         MOST("p50, of the ring's", ratio, 1.25)},
        {CALL(64), .placements = NEAR, MOST("p50, us", p50_us, 0.30)},
        {CALL(64), .placements = FAR, MOST("p50, us", p50_us, 1.0)},
        {CALL(64), .placements = ACROSS, MOST("p99, of the p50", tail, 2)},
        {.bench = "call", .size = 64, .wait = BENCH_ADAPTIVE, .placements = ACROSS,
         MOST("p50, of spinning's", to_spinning, 1.1)},
        {.bench = "send", .size = 64, .wait = -1, .placements = NEAR, LEAST("M/s", rate_m, 14)},
        {.bench = "send", .size = 64, .wait = -1, .placements = ACROSS, LEAST("rate, of the ring's", ratio, 0.9)},
        {.bench = "send-batch64", .size = 64, .wait = -1, .placements = NEAR, LEAST("M/s", rate_m, 25)},
        {.bench = "send-batch64", .size = 64, .wait = -1, .placements = FAR, LEAST("M/s", rate_m, 6)},
        {.bench = "send-batch64", .size = 40, .wait = -1, .placements = NEAR, LEAST("M/s", rate_m, 40)},
        {.bench = "bulk", .size = 64 * KIB, .wait = -1, .placements = NEAR, LEAST("GB/s", giga, 30)},
        {.bench = "bulk", .size = 64 * KIB, .wait = -1, .placements = FAR, LEAST("GB/s", giga, 20)},
        {.bench = "bulk", .size = MIB, .wait = -1, .placements = NEAR, LEAST("GB/s", giga, 30)},
        {.bench = "bulk", .size = MIB, .wait = -1, .placements = FAR, LEAST("GB/s", giga, 20)},
        {.bench = "region-again", .size = MIB, .wait = -1, .placements = ACROSS, MOST("p50, us", p50_us, 2)},
        {.bench = "region-again", .size = 64 * MIB, .wait = -1, .placements = ACROSS, MOST("p50, us", p50_us, 2)},
        {.bench = "region-first", .size = MIB, .wait = -1, .placements = ACROSS, MOST("p50, us", p50_us, 60)},
        {ISOLATED(MIB)},
        {ISOLATED(4 * MIB)},
        {ISOLATED(16 * MIB)},
        {ISOLATED(64 * MIB)},
        {.bench = "wake", .size = 64, .wait = BENCH_BLOCK, .placements = SAME, MOST("p50, us", p50_us, 4.7)},
        {.bench = "wake", .size = 64, .wait = BENCH_BLOCK, .placements = SAME, MOST("p50, of a pipe's", ratio, 1)},
        {.bench = "wake", .size = 64, .wait = BENCH_BLOCK, .placements = ACROSS, MOST("p50, of a pipe's", ratio, 1.1)},
        {.bench = "wake", .size = 64, .wait = BENCH_BLOCK, .placements = ACROSS, MOST("CPU, of a pipe's", cpu_ratio, 1.1)},
        {.bench = "idle", .size = 8, .wait = -1, .placements = ANY, MOST("ms of CPU a second", idle_ms, 1)},
        {.bench = "links", .size = 8, .wait = -1, .placements = ANY, MOST("p50, us", p50_us, 400)},
        {.bench = "links", .size = 8, .wait = -1, .placements = ANY, MOST("KiB a link", memory_kib, 256)},
        {.bench = "right-send", .size = 64, .wait = -1, .placements = ACROSS, MOST("ns more with a right", beyond_ns, 150)},
        {.bench = "right-send-home", .size = 64, .wait = -1, .placements = ACROSS, MOST("ns more with a right", beyond_ns, 150)},
        {.bench = "right-call", .size = 64, .wait = -1, .placements = ACROSS, MOST("ns more with a right", beyond_ns, 150)},
        {.bench = "right-call-home", .size = 64, .wait = -1, .placements = ACROSS, MOST("ns more with a right", beyond_ns, 150)},
        {.bench = "right-first", .size = 8, .wait = -1, .placements = ACROSS, MOST("us more at its first use", beyond_us, 3)},
        {.bench = "right-first-new-link", .size = 8, .wait = -1, .placements = ACROSS,
         MOST("us more at its first use", beyond_us, 300)},
        {.bench = "death-notice", .size = 8, .wait = -1, .placements = ANY, MOST("p99, ms", p99_ms, 2)},
        {.bench = "rights-held", .size = 8, .wait = -1, .placements = ANY, MOST("bytes at the port's task", owner_bytes, 64)},
        {.bench = "rights-held", .size = 8, .wait = -1, .placements = ANY, MOST("bytes at the holder", holder_bytes, 64)},
};

static bool concerns(const struct bar *bar, const struct bench_row *row)
{
        return !strcmp(bar->bench, row->cell->name) && bar->size == row->cell->size &&
               (bar->wait < 0 || bar->wait == (int)row->cell->wait) &&
               (bar->placements >> row->placement & 1);
}

static void print_json(const struct bar *bar, const struct bench_row *row, double value, bool pass)
{
        struct json j;

        json_begin(&j, stdout);
        json_string(&j, "bar", bar->figure);
        json_string(&j, "bench", row->cell->name);
        json_u64(&j, "size", row->cell->size);
        json_string(&j, "placement", bench_placement_name(row->placement));
        json_string(&j, "wait", bench_wait_name(row->cell->wait));
        json_f64(&j, bar->is_low ? "most" : "least", bar->limit, 3);
        json_f64(&j, "found", value, 3);
        json_bool(&j, "pass", pass);
        json_bool(&j, "noisy", row->noisy != 0);
        json_end(&j);
}

static void print_line(const struct bar *bar, const struct bench_row *row, double value, bool pass)
{
        const struct paint *paint = text_paint(stdout);
        char size[24];

        printf("%s%s%s  %s %s, %s, %s: %s %.2f, wanted %s %.2f%s\n", pass ? paint->green : paint->red,
               pass ? "pass" : "MISS", paint->off, row->cell->name, text_size(size, row->cell->size),
               bench_wait_name(row->cell->wait), bench_placement_name(row->placement), bar->figure,
               value, bar->is_low ? "at most" : "at least", bar->limit,
               row->noisy ? " (but others used the CPUs)" : "");
}

/* Return: whether it was missed. */
static bool hold(const struct bench_report *report, const struct bar *bar,
                 const struct bench_row *row)
{
        double value = bar->get(report, row);
        bool pass = bar->is_low ? value <= bar->limit : value >= bar->limit;

        if (isnan(value))
                return false;
        (report->json ? print_json : print_line)(bar, row, value, pass);
        return !pass;
}

unsigned bench_report_bars(const struct bench_report *report)
{
        unsigned missed = 0;

        for (size_t b = 0; b < PTL_ARRAY_LEN(bars); b++)
                for (size_t i = 0; i < report->count; i++)
                        if (concerns(&bars[b], &report->rows[i]))
                                missed += hold(report, &bars[b], &report->rows[i]);
        return missed;
}
