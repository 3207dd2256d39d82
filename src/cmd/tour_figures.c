/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd/tour_figures.c - tour: a few figures beside a pipe, a socket and a POSIX message queue
 *
 * Measured by what `portolan bench` is made of, in one short sample each: every message is checked
 * by its receiver.
 */
#include "base/cleanup.h"
#include "cmd/bench_pair.h"
#include "cmd/bench_place.h"
#include "cmd/tour.h"
#include "cmd/tour_spin.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SAMPLE_MS = 300, SAMPLE_MS_QUICK = 40, SAMPLE_MS_MOST = 2000, PATIENCE_MS = 10000 };
enum { SMALL = 64, LARGE = 64 << 10, QUEUE_MAX = 8 << 10 };

static const struct way {
        const char *name, *key;
        enum bench_subject subject;
        size_t large;
} ways[] = {
        {"Portolan",    "portolan", BENCH_PORT,   LARGE    },
        {"pipe",        "pipe",     BENCH_PIPE,   LARGE    },
        {"UNIX socket", "socket",   BENCH_SOCKET, LARGE    },
        {"POSIX mq",    "mq",       BENCH_QUEUE,  QUEUE_MAX},
};
enum { WAYS = PTL_ARRAY_LEN(ways) };

/* NaN: cannot be had here. */
struct figures {
        double polling_ns, sleeping_ns, messages_per_s, bytes_per_s;
};

/* ---- in the role: one of the two processes that are measured; the other is its child ---- */

struct stage {
        struct bench_pair pair;
        int ms, cpus[2];
};

/* On a busy machine a side may not have run at all before the time was over: then again, for longer. */
static void measure(struct stage *s, const struct bench_order *wanted, struct bench_result *ret)
{
        struct bench_order order = *wanted;
        int ms = s->ms;

        order.batch = 1;
        order.peer_cpu = s->pair.peer_cpu;
        do {
                order.duration_ns = (uint64_t)ms * 1000000;
                role_check(bench_pair_run(&s->pair, &order, ret) == 0, "%s", s->pair.side.why);
        } while (order.shape != BENCH_PROBE && !ret->messages && (ms *= 2) < SAMPLE_MS_MOST);
}

/* Two that poll on one CPU would wait for the scheduler: there is nothing to measure. */
static bool can_poll(const struct stage *s) { return s->cpus[0] != s->cpus[1]; }

static void report_line(struct stage *s)
{
        struct bench_order order = {.shape = BENCH_PROBE};
        struct bench_result result;

        if (!can_poll(s))
                return;
        measure(s, &order, &result);
        role_report("line", "%.1f", s->pair.side.result.p50_ns);
}

static void report_round_trip(struct stage *s, const struct way *way, enum bench_wait wait)
{
        struct bench_order order = {
                .subject = way->subject, .shape = BENCH_CALL, .wait = wait, .size = SMALL};
        struct bench_result result;

        measure(s, &order, &result);
        role_report(wait == BENCH_SPIN ? "polling" : "sleeping", "%.1f", result.p50_ns);
}

static void report_rate(struct stage *s, const struct way *way, size_t size, const char *key)
{
        struct bench_order order = {
                .subject = way->subject, .shape = BENCH_SEND, .wait = BENCH_ADAPTIVE, .size = size};
        struct bench_result result;

        order.flags = way->subject == BENCH_PORT && size >= LARGE ? BENCH_IN_PLACE : 0;
        measure(s, &order, &result);
        role_check(result.elapsed_ns, "no time passed");
        role_report(key, "%.1f", (double)result.messages * 1e9 / (double)result.elapsed_ns);
}

static bool is_there(const struct stage *s, const struct way *way)
{
        return way->subject != BENCH_QUEUE ||
               s->pair.side.control->kernel_fds[BENCH_KERNEL_FDS - 1] >= 0;
}

int role_figures(int argc, char **argv)
{
        const struct way *way = &ways[role_number(argv[0]) % WAYS];
        struct stage s = {.ms = (int)role_number(argv[1])};

        bench_cpus(s.cpus);
        role_check(bench_pair_start(&s.pair, s.cpus) == 0, "there is no second process");
        if (is_there(&s, way)) {
                report_line(&s);
                if (way->subject == BENCH_PORT && can_poll(&s))
                        report_round_trip(&s, way, BENCH_SPIN);
                report_round_trip(&s, way, BENCH_BLOCK);
                report_rate(&s, way, SMALL, "small");
                report_rate(&s, way, way->large, "large");
        }
        bench_pair_stop(&s.pair);
        return 0;
}

/* ---- in the tour ---- */

_Static_assert(BENCH_SOCKET - BENCH_PIPE == (int)SPIN_SOCKET &&
                       BENCH_QUEUE - BENCH_PIPE == (int)SPIN_QUEUE,
               "one order in both");

static bool measure_way(struct tour *t, size_t i, const int cpus[2], struct figures *ret,
                        double *line)
{
        int ms = t->is_quick ? SAMPLE_MS_QUICK : SAMPLE_MS;
        char number[16], time[16];
        struct actor *a;
        bool ok;

        snprintf(number, sizeof number, "%zu", i);
        snprintf(time, sizeof time, "%d", ms);
        a = ACTOR(&t->cast, "figures", number, time);
        ok = actor_end(&t->cast, a, PATIENCE_MS);
        ret->polling_ns = actor_number(a, "polling");
        ret->sleeping_ns = actor_number(a, "sleeping");
        ret->messages_per_s = actor_number(a, "small");
        ret->bytes_per_s = actor_number(a, "large") * (double)ways[i].large;
        *line = isnan(*line) ? actor_number(a, "line") : *line;
        tour_end_actor(t, a, 0);
        if (ok && ways[i].subject != BENCH_PORT && !isnan(ret->sleeping_ns))
                ret->polling_ns =
                        spin_measure(t, (enum spin_way)(ways[i].subject - BENCH_PIPE), cpus, ms);
        return ok;
}

static const char *number(char buffer[24], double value, int decimals, const char *unit)
{
        if (isnan(value))
                snprintf(buffer, 24, "-");
        else
                snprintf(buffer, 24, "%.*f%s", decimals, value, unit);
        return buffer;
}

static void print_head(struct tour *t)
{
        if (t->is_json)
                return;
        printf("%s          %-12s  %23s  %12s  %12s\n          %-12s  %11s %11s  %12s  %12s%s\n",
               t->paint->bold, "", "round trip of 64 bytes", "64 B one way", "64 KiB, too", "",
               "polling", "sleeping", "messages/s", "GB/s", t->paint->off);
}

static void show(struct tour *t, const struct way *way, const struct figures *f)
{
        char cell[4][24], key[40];

        if (!t->is_json) {
                printf("          %-12s  %11s %11s  %12s  %12s%s\n", way->name,
                       number(cell[0], f->polling_ns / 1e3, 2, " us"),
                       number(cell[1], f->sleeping_ns / 1e3, 1, " us"),
                       number(cell[2], f->messages_per_s / 1e6, 2, " M"),
                       number(cell[3], f->bytes_per_s / 1e9, 1, ""),
                       way->large < LARGE && !isnan(f->bytes_per_s) ? " *" : "");
                fflush(stdout);
                return;
        }
        snprintf(key, sizeof key, "%s_polling_ns", way->key);
        json_f64(&t->json, key, f->polling_ns, 0);
        snprintf(key, sizeof key, "%s_sleeping_ns", way->key);
        json_f64(&t->json, key, f->sleeping_ns, 0);
        snprintf(key, sizeof key, "%s_messages_per_s", way->key);
        json_f64(&t->json, key, f->messages_per_s, 0);
        snprintf(key, sizeof key, "%s_bytes_per_s", way->key);
        json_f64(&t->json, key, f->bytes_per_s, 0);
}

static void explain(struct tour *t, const int cpus[2], double line_ns, bool has_queue)
{
        if (!isnan(line_ns)) {
                tour_note(t, "CPUs %d and %d; a cache line goes there and back in %.0f ns: %s.",
                          cpus[0], cpus[1], line_ns,
                          bench_placement_name(bench_placement_of(line_ns)));
                tour_note(t,
                          "Polling: both look again and again, which takes two CPUs. That and GB/s "
                          "depend on how");
                tour_note(t,
                          "far these are from each other; sleeping is mostly the kernel's waking, "
                          "whatever the way.");
        } else {
                tour_note(t, "Both on CPU %d: there is no other, so nobody polls.", cpus[0]);
        }
        tour_note(t,
                  "One way, Portolan polls briefly before it sleeps, as is its default; the others "
                  "sleep.");
        tour_note(t, "One short sample each: 'portolan bench' measures properly.");
        if (has_queue)
                tour_note(t, "* in messages of 8 KiB, the most that everybody may send through a "
                             "POSIX mq");
        else
                tour_note(t, "POSIX message queues cannot be had here.");
}

static void run(struct tour *t)
{
        struct figures found[WAYS];
        double line_ns = NAN;
        bool ok = true;
        int cpus[2];

        bench_cpus(cpus);
        print_head(t);
        for (size_t i = 0; i < WAYS && !t->cast.interrupted; i++) {
                ok = measure_way(t, i, cpus, &found[i], &line_ns) && ok;
                show(t, ways + i, found + i);
        }
        if (t->cast.interrupted || !ok)
                return;
        explain(t, cpus, line_ns, !isnan(found[WAYS - 1].sleeping_ns));
        tour_number(t, "line_round_trip_ns", line_ns, 0);
        tour_result(t,
                    found[0].sleeping_ns > 0 && found[0].messages_per_s > 0 &&
                            found[0].bytes_per_s > 0,
                    "checked", "every message above", "was checked by its receiver");
}

const struct tour_step tour_figures = {"figures", "A few figures, beside what the kernel offers",
                                       "Two processes, each on a CPU of its own where there are "
                                       "two; receivers check every message.",
                                       run};
