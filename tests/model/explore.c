/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explore.c - see explore.h: the search, a run of it, and the scheduler's side
 *
 * A thread has stopped before the access in its `op`; step() performs the access and lets the
 * thread run on to the next.
 */
#include "explore.h"
#include "explore_run.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
        MAX_CHOICES = 1 << 16,
        CLEAN_STACK = 2048,
};

struct explorer ex;

static _Alignas(64) char stacks[MODEL_THREADS][MODEL_STACK];

/* The choices of this run; below `replay` they are given. */
static struct {
        unsigned char pick, n;
} trail[MAX_CHOICES];
static unsigned depth, replay;

bool ex_replaying(void) { return depth < replay; }

/* ---- failing ---- */

__attribute__((format(printf, 1, 2))) void ex_fail(const char *format, ...)
{
        va_list ap;

        if (ex.failed)
                return; /* the first reason counts */
        ex.failed = true;
        va_start(ap, format);
        vsnprintf(ex.why, sizeof ex.why, format, ap);
        va_end(ap);
}

void model_fail(const char *format, ...)
{
        char text[sizeof ex.why];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof text, format, ap);
        va_end(ap);
        if (!ex.in_thread) {
                ex_fail("%s", text);
                return;
        }
        ex_fail("T%u: %s", ex.cur, text);
        ex_to_scheduler(); /* for good */
}

__attribute__((noreturn, format(printf, 1, 2))) void ex_die(const char *format, ...)
{
        va_list ap;

        fprintf(stderr, "explore: %s: ", ex.sc ? ex.sc->name : "");
        va_start(ap, format);
        vfprintf(stderr, format, ap);
        va_end(ap);
        fputc('\n', stderr);
        exit(2);
}

/* An assertion or a wild access in the code under test fails the run, not the program. */
static void on_signal(int sig)
{
        if (ex.in_thread)
                model_fail("died of signal %d (%s)", sig, strsignal(sig));
        signal(sig, SIG_DFL);
        raise(sig);
}

static void catch_signals(void)
{
        static const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
        struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_NODEFER};

        for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
                sigaction(fatal[i], &sa, NULL);
}

/* ---- choices ---- */

unsigned ex_choose(unsigned n)
{
        if (n <= 1)
                return 0;
        if (n > UINT8_MAX || depth == MAX_CHOICES)
                ex_die("too many choices (%u) or too long a run (%u choices)", n, depth);
        if (depth == replay) {
                trail[depth].pick = 0;
                trail[depth].n = (unsigned char)n;
                replay++;
        }
        if (trail[depth].n != n)
                ex_die("not deterministic: choice %u has %u alternatives, had %u", depth, n,
                       trail[depth].n);
        return trail[depth++].pick;
}

static bool next_trail(void)
{
        while (replay && trail[replay - 1].pick + 1 == trail[replay - 1].n)
                replay--;
        if (!replay)
                return false;
        trail[replay - 1].pick++;
        return true;
}

unsigned model_choose(unsigned n)
{
        unsigned pick = ex_choose(n);

        if (ex.in_thread)
                ex_say("T%u chooses %u of %u", ex.cur, pick, n);
        else
                ex_say("   chooses %u of %u", pick, n);
        return pick;
}

/* ---- the scheduler's side ---- */

static void thread_main(void)
{
        struct thread *me = &ex.thread[ex.cur];

        if (me->dead)
                ex.sc->on_death(ex.cur);
        else
                ex.sc->thread(ex.cur);
        me->done = true;
        ex_to_scheduler();
        abort(); /* a finished thread is not resumed */
}

/* Starts t on a clean stack, so that equal states hash equal. */
static void start(unsigned t)
{
        char *stack = ex.thread[t].stack;

        if (ex.sc->state)
                memset(stack + MODEL_STACK - CLEAN_STACK, 0, CLEAN_STACK);
        co_start(&ex.thread[t].co, stack, MODEL_STACK, thread_main);
}

bool ex_kill_by_choice(unsigned t)
{
        struct thread *it = &ex.thread[t];

        if (ex.crashes >= ex.sc->crashes || !ex.sc->may_crash[t] || it->killed || !ex_choose(2))
                return false;
        ex.crashes++;
        it->killed = true;
        it->done = false;
        it->futex = 0;
        it->op = (struct op){.kind = OP_REAP};
        ex_say("T%u KILLED, %u stores buffered", t, it->buffer.n);
        return true;
}

static void resume(unsigned t)
{
        ex.cur = t;
        ex.in_thread = true;
        co_switch(&ex.scheduler, &ex.thread[t].co);
        ex.in_thread = false;
        if (ex.failed)
                return;
        if (ex.thread[t].done) {
                ex_changed(t);
                ex_say("T%u ends", t);
        }
        if (!ex.thread[t].killed)
                ex_kill_by_choice(t);
}

static bool condition_holds(struct thread *t)
{
        bool holds;

        t->round = (struct footprint){0};
        ex.looking = &t->round;
        holds = t->op.cond(t->op.arg);
        ex.looking = NULL;
        return holds;
}

static bool ready(unsigned t)
{
        struct thread *it = &ex.thread[t];

        if (it->done)
                return false;
        if (it->op.kind == OP_PAUSE)
                return it->fruitless <= ex.sc->spins || ex_has_news(t);
        if (it->op.kind == OP_BLOCK)
                return condition_holds(it);
        return true;
}

/* Drains until t is ready. Returns whether it is: a drain may be the wrong one, or not enough. */
static bool wake(unsigned t)
{
        struct offer o[MAX_OFFERS];

        while (!ready(t)) {
                unsigned n = ex_wakers(t, o), pick;

                if (!n)
                        return false;
                pick = ex_choose(n);
                ex_drain(o[pick].t, o[pick].i);
        }
        return true;
}

static unsigned candidates(unsigned *ret, bool *ret_free)
{
        struct offer o[MAX_OFFERS];
        unsigned n = 0, asleep[MODEL_THREADS], nasleep = 0;
        bool goes_on = ex.cur != NOBODY && ready(ex.cur);

        *ret_free = !goes_on || ex.thread[ex.cur].op.kind == OP_PAUSE ||
                    ex.thread[ex.cur].op.kind == OP_REAP;
        if (goes_on)
                ret[n++] = ex.cur; /* choice 0: carry on */
        for (unsigned i = 1; i <= ex.sc->nthreads; i++) {
                unsigned t = (ex.cur + i) % ex.sc->nthreads;

                if (ex.thread[t].done || (t == ex.cur && goes_on))
                        continue;
                if (ready(t))
                        ret[n++] = t;
                else if (ex_wakers(t, o))
                        asleep[nasleep++] = t;
        }
        for (unsigned i = 0; i < nasleep; i++)
                ret[n++] = asleep[i];
        return n;
}

/* Returns who takes the next step, or NOBODY. */
static unsigned pick_thread(void)
{
        unsigned next[MODEL_THREADS], n, pick;
        bool is_free;

        n = candidates(next, &is_free);
        if (!n)
                return NOBODY;
        if (!is_free && n > 1 && ex.preemptions >= ex.most.preemptions) {
                ex.suppressed = true;
                n = 1;
        }
        pick = next[ex_choose(n)];
        ex.preemptions += !is_free && pick != ex.cur;
        return pick;
}

static void reap(unsigned t)
{
        struct thread *it = &ex.thread[t];

        it->dead = true;
        ex_changed(t);
        if (!ex.sc->on_death || ex.sc->death_is_one_step) {
                it->done = true;
                ex.cur = t;
                if (ex.sc->on_death)
                        ex.sc->on_death(t);
        } else {
                start(t);
                it->round = (struct footprint){0};
                it->round_began = ex_others_changes(t);
                it->fruitless = 0;
        }
}

/* Performs the access; the thread learns of it in resume(). */
static void perform(unsigned t, struct op *op)
{
        struct thread *it = &ex.thread[t];

        switch (op->kind) {
        case OP_STORE:
        case OP_STORE_SEQ_CST:
                ex_memory_write(t, op->where, op->value);
                break;
        case OP_LOAD:
        case OP_KERNEL_LOAD: /* a full barrier came before, unless it was taken out */
                op->seen = ex_load(t, op->where);
                break;
        case OP_EXCHANGE:
                op->seen = ex_memory_read(op->where);
                ex_memory_write(t, op->where, op->value);
                break;
        case OP_ADD:
                op->seen = ex_memory_read(op->where);
                ex_memory_write(t, op->where, op->seen + op->value);
                break;
        case OP_CAS:
                op->seen = ex_memory_read(op->where);
                if (op->seen == op->expected)
                        ex_memory_write(t, op->where, op->value);
                break;
        case OP_STEP:
        case OP_SYSCALL:
        case OP_BLOCK:
                ex_changed(t);
                break;
        case OP_PAUSE:
                it->round = (struct footprint){0};
                it->round_began = ex_others_changes(t);
                break;
        case OP_REAP:
        case OP_FENCE:
        case OP_START:
                break;
        }
        if (op->where.size)
                footprint_add(&it->round, op->where);
}

static void step(unsigned t)
{
        struct op *op = &ex.thread[t].op;

        if (op->kind == OP_START) { /* up to the first access: nothing anyone can see */
                resume(t);
                if (ex.failed || ex.thread[t].done || ex.thread[t].killed || !ready(t))
                        return;
        }
        ex_interleave(t);
        ex_drain_own(t);
        perform(t, op);
        if (ex.tracing)
                ex_say_op(t, op);
        if (op->kind == OP_REAP)
                reap(t);
        if (!ex.thread[t].done)
                resume(t);
}

/* ---- one run ---- */

static bool all_done(void)
{
        for (unsigned t = 0; t < ex.sc->nthreads; t++)
                if (!ex.thread[t].done)
                        return false;
        return true;
}

static void report_deadlock(void)
{
        for (unsigned t = 0; t < ex.sc->nthreads; t++) {
                const struct thread *it = &ex.thread[t];

                if (it->done)
                        continue;
                if (it->futex)
                        ex_say("T%u sleeps on futex %s", t,
                               ex_name_of((struct span){it->futex, 4}));
                else
                        ex_say("T%u %s", t, it->op.kind == OP_PAUSE ? "spins" : "is blocked");
        }
        ex_fail("deadlock or lost wake-up: all live threads wait and nothing is left to drain");
}

static void schedule(void)
{
        unsigned t;

        if (++ex.steps > ex_max_steps()) {
                ex_fail("livelock: more than %u steps", ex.steps - 1);
                return;
        }
        ex.cut_off = ex_been_here();
        if (ex.cut_off)
                return;
        t = pick_thread();
        if (t != NOBODY && wake(t))
                step(t);
        else if (t == NOBODY && ex.buffered)
                ex_drain_any(true);
        else if (t == NOBODY)
                report_deadlock();
}

static void set_up(void)
{
        depth = ex.preemptions = ex.delays = ex.crashes = ex.steps = ex.buffered = 0;
        ex_forget_names();
        ex.changes = 0;
        ex.failed = ex.cut_off = ex.in_thread = false;
        ex.why[0] = '\0';
        ex.cur = NOBODY;
        ex.sc->reset();
        for (unsigned t = 0; t < ex.sc->nthreads; t++) {
                struct thread *it = &ex.thread[t];

                it->stack = stacks[t];
                it->op = (struct op){.kind = OP_START};
                it->buffer.n = it->fruitless = 0;
                it->round.n = 0;
                it->round.all = it->done = it->killed = it->dead = false;
                it->changes = it->round_began = it->futex = 0;
                start(t);
        }
}

/* Returns whether all went well. */
static bool run_once(void)
{
        set_up();
        while (!ex.failed && !ex.cut_off && !all_done())
                schedule();
        while (!ex.failed && !ex.cut_off && ex.buffered)
                ex_drain_any(false);
        if (!ex.failed && !ex.cut_off && ex.sc->check && !ex.sc->check())
                ex_fail("check() says no");
        return !ex.failed;
}

/* ---- the search ---- */

static void search(struct outcome *o)
{
        replay = 0;
        ex.suppressed = false;
        ex_forget_states();
        do {
                o->ok = run_once();
                o->schedules++;
                o->cut_off += ex.cut_off;
                o->steps += ex.steps;
                o->longest = ex.steps > o->longest ? ex.steps : o->longest;
        } while (o->ok && next_trail());
        o->bounds = ex.most;
        o->complete = o->ok && !ex.suppressed;
        ex_forget_states();
}

static void print_trace(const char *expected_why)
{
        printf("# a failing schedule of %s:\n", ex.sc->name);
        ex.tracing = true;
        run_once();
        ex.tracing = false;
        printf("#   => %s\n", ex.why);
        if (strcmp(ex.why, expected_why))
                printf("#   NOT DETERMINISTIC: the first time it was: %s\n", expected_why);
        fflush(stdout);
}

/* Step by step, so that the first failure is a short one; where there is no bound in the end, that is soon. */
static unsigned next_level(unsigned level, unsigned last)
{
        enum { SHORT = 3 };

        return level >= SHORT && last == MODEL_UNBOUNDED ? last : level + 1;
}

struct outcome explore(const struct scenario *sc, struct model_bounds max, bool print)
{
        struct outcome o = {.ok = true};
        unsigned last;

        if (sc->nthreads < 1 || sc->nthreads > MODEL_THREADS)
                ex_die("%s: 1 to %d threads", sc->name, MODEL_THREADS);
        if (sc->steps && sc->memory != MODEL_SC)
                ex_die("%s: steps are of MODEL_SC", sc->name);
        if (sc->memory == MODEL_SC)
                max.delays = 0;
        last = max.preemptions > max.delays ? max.preemptions : max.delays;
        ex.sc = sc;
        catch_signals();
        for (unsigned level = 0; o.ok && !o.complete; level = next_level(level, last)) {
                ex.most.preemptions = level < max.preemptions ? level : max.preemptions;
                ex.most.delays = level < max.delays ? level : max.delays;
                search(&o);
                if (level == last)
                        break;
        }
        if (!o.ok) {
                memcpy(o.why, ex.why, sizeof o.why);
                if (print)
                        print_trace(o.why);
        }
        return o;
}

struct outcome explore_expect_failure(const struct scenario *sc, struct model_bounds max,
                                      bool print)
{
        struct outcome o = explore(sc, max, print);

        o.ok = !o.ok;
        if (!o.ok)
                snprintf(o.why, sizeof o.why, "no schedule fails, and one should");
        return o;
}
