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
#include <sched.h>
#include <stdio.h>
#include <string.h>

enum { SAMPLE_MS = 300, SAMPLE_MS_QUICK = 40, SMALL = 64, LARGE = 64 << 10, QUEUE_MAX = 8 << 10 };

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

struct stage {
        struct tour *t;
        struct bench_pair pair;
        int ms, cpus[2];
        bool has_failed; /* the two processes understand each other no longer */
};

/* One order; false if it could not be carried out. */
static bool measure(struct stage *s, const struct bench_order *wanted, struct bench_result *ret)
{
        struct bench_order order = *wanted;

        cast_listen(&s->t->cast, 0);
        if (s->has_failed || s->t->cast.interrupted)
                return false;
        order.batch = 1;
        order.duration_ns = (uint64_t)s->ms * 1000000;
        order.peer_cpu = s->pair.peer_cpu;
        s->has_failed = bench_pair_run(&s->pair, &order, ret) != 0;
        if (s->has_failed)
                tour_result(s->t, false, "error", "measuring", "%s", s->pair.side.why);
        return !s->has_failed;
}

static double round_trip(struct stage *s, const struct way *way, enum bench_wait wait)
{
        struct bench_order order = {
                .subject = way->subject, .shape = BENCH_CALL, .wait = wait, .size = SMALL};
        struct bench_result result;

        return measure(s, &order, &result) ? result.p50_ns : NAN;
}

static double rate(struct stage *s, const struct way *way, size_t size)
{
        struct bench_order order = {
                .subject = way->subject, .shape = BENCH_SEND, .wait = BENCH_ADAPTIVE, .size = size};
        struct bench_result result;

        order.flags = way->subject == BENCH_PORT && size >= LARGE ? BENCH_IN_PLACE : 0;
        if (!measure(s, &order, &result) || !result.elapsed_ns)
                return NAN;
        return (double)result.messages / ((double)result.elapsed_ns / 1e9);
}

/* Two that poll on one CPU would wait for the scheduler: there is nothing to measure. */
static double polling(struct stage *s, const struct way *way)
{
        if (s->cpus[0] == s->cpus[1])
                return NAN;
        if (way->subject == BENCH_PORT)
                return round_trip(s, way, BENCH_SPIN);
        return spin_measure(s->t, (enum spin_way)(way->subject - BENCH_PIPE), s->cpus, s->ms);
}
_Static_assert(BENCH_SOCKET - BENCH_PIPE == (int)SPIN_SOCKET &&
                       BENCH_QUEUE - BENCH_PIPE == (int)SPIN_QUEUE,
               "one order in both");

static struct figures measure_way(struct stage *s, const struct way *way)
{
        struct figures f = {NAN, NAN, NAN, NAN};

        if (way->subject == BENCH_QUEUE &&
            s->pair.side.control->kernel_fds[BENCH_KERNEL_FDS - 1] < 0)
                return f;
        f.polling_ns = polling(s, way);
        f.sleeping_ns = round_trip(s, way, BENCH_BLOCK);
        f.messages_per_s = rate(s, way, SMALL);
        f.bytes_per_s = rate(s, way, way->large) * (double)way->large;
        return f;
}

/* ---- what is shown ---- */

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

static void explain(struct stage *s, double line_ns, const struct figures *found)
{
        struct tour *t = s->t;

        if (!isnan(line_ns)) {
                tour_note(t, "CPUs %d and %d; a cache line goes there and back in %.0f ns: %s.",
                          s->cpus[0], s->cpus[1], line_ns,
                          bench_placement_name(bench_placement_of(line_ns)));
                tour_note(t,
                          "Polling: both look again and again, which takes two CPUs. That and GB/s "
                          "depend on how");
                tour_note(t,
                          "far these are from each other; sleeping is mostly the kernel's waking, "
                          "whatever the way.");
        } else {
                tour_note(t, "Both on CPU %d: there is no other, so nobody polls.", s->cpus[0]);
        }
        tour_note(t,
                  "One way, Portolan polls briefly before it sleeps, as is its default; the others "
                  "sleep.");
        tour_note(t, "One sample of %d ms each: 'portolan bench' measures properly.", s->ms);
        if (!isnan(found[WAYS - 1].bytes_per_s))
                tour_note(t, "* in messages of 8 KiB, the most that everybody may send through a "
                             "POSIX mq");
        else
                tour_note(t, "POSIX message queues cannot be had here.");
}

/* There and back; NaN on one CPU. */
static double probe_line(struct stage *s)
{
        struct bench_order order = {.shape = BENCH_PROBE};
        struct bench_result result;

        if (s->cpus[0] == s->cpus[1] || !measure(s, &order, &result))
                return NAN;
        return s->pair.side.result.p50_ns;
}

static void measure_all(struct stage *s)
{
        struct figures found[WAYS];
        double line_ns = probe_line(s);
        bool ok = true;

        print_head(s->t);
        for (size_t i = 0; i < WAYS; i++) {
                found[i] = measure_way(s, ways + i);
                show(s->t, ways + i, found + i);
        }
        explain(s, line_ns, found);
        tour_number(s->t, "line_round_trip_ns", line_ns, 0);
        ok = !isnan(found[0].sleeping_ns) && found[0].messages_per_s > 0 &&
             found[0].bytes_per_s > 0;
        if (!s->has_failed && !s->t->cast.interrupted)
                tour_result(s->t, ok, "checked", "every message above",
                            "was checked by its receiver");
}

static void run(struct tour *t)
{
        struct stage s = {.t = t, .ms = t->is_quick ? SAMPLE_MS_QUICK : SAMPLE_MS};
        cpu_set_t before;
        bool is_known = sched_getaffinity(0, sizeof before, &before) == 0;

        bench_cpus(s.cpus);
        if (bench_pair_start(&s.pair, s.cpus))
                tour_result(t, false, "error", "measuring", "no second process");
        else
                measure_all(&s);
        bench_pair_stop(&s.pair);
        if (is_known) /* this process was one of the two */
                sched_setaffinity(0, sizeof before, &before);
}

const struct tour_step tour_figures = {"figures", "A few figures, beside what the kernel offers",
                                       "Two processes, each on a CPU of its own where there are "
                                       "two; receivers check every message.",
                                       run};
