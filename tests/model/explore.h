/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explore.h - runs small scenarios of the shipped source under every schedule, store buffer and
 * crash point
 *
 * Threads are coroutines. Under PTL_MODEL each access of base/atomic.h stops its thread; the
 * explorer then decides who goes on, which buffered stores reach memory first, and who is killed.
 * Runs are enumerated depth first: a list of choices is replayed and the last choice that has an
 * alternative is bumped. So a scenario must be deterministic: same choices, same run.
 *
 * MEMORY. Every thread has a store buffer. A relaxed or release store either reaches memory at
 * once or stays buffered (a *delay*); stores that must not pass a buffered one queue behind it at
 * no cost. Draining is a choice at any later time. The owner reads its own newest value. fence,
 * exchange, add, cas and a seq_cst store empty the own buffer and act in the same step.
 *   MODEL_TSO  buffers are first in, first out (x86-64)
 *   MODEL_PSO  relaxed stores to different bytes leave in any order; a release store only after
 *              all earlier stores of its thread; a later relaxed store may pass it (as on ARM)
 *   MODEL_SC   no buffers
 * A seq_cst *load* does not drain: it is a plain mov on x86-64, and C11 orders it after earlier
 * seq_cst stores only, which have drained already. Set seq_cst_load_drains for the stronger rule.
 *
 * BOUNDS. explore() proves: no run with at most p preemptions (taking the turn from a thread that
 * could go on) and at most d delayed stores (stores queued behind one are free) fails. The number
 * of drains and their places are not bounded. p and d grow step by step, so the first failure
 * found is a short one (unbounded: to 3, then to the end). When neither bound suppressed a run, the outcome is `complete`: *all*
 * schedules. Left out because they change nothing any thread or check can see: a drain at a place
 * where it commutes with all that follows; a preemption before a store that stays buffered.
 *
 * KILLS. A killed thread stops before its next access, for good. Its buffered stores have retired,
 * so hardware still drains them (x86 as ARM): they stay in the buffer as ordinary choices and are
 * in memory before anyone can *learn* of the death (the kernel's exit path orders that): before
 * on_death() runs and before model_dead() is true. Learning comes late at the explorer's choice.
 * on_death() runs as a thread in the dead one's place, its accesses are steps like any others';
 * with death_is_one_step it runs alone and undivided.
 *
 * SLEEPING. ptl_pause(): the thread looks again only after another thread changed something (memory
 * by store or drain, a model_step, its end). Give `spins` if the code under test stops spinning
 * after so many rounds. All asleep and nothing to drain is a failure: deadlock or lost wake-up.
 *
 * STEPS. With scenario.steps, what several threads may look at is given, and memory is MODEL_SC: a step is
 * then a load_acquire, a release or seq_cst store, or an RMW of that memory. All else is undivided with the
 * step before it: memory that only one thread uses at a time (a task's tables, its locks), and what a
 * release store publishes. For scenarios about what is said, of tasks whose rings have models of their own.
 *
 * NOT MODELLED. Loads are not reordered (acquire = relaxed), so a missing acquire stays unseen; a
 * store is seen by all other threads at once; an RMW is a full barrier (on ARM acq_rel is less);
 * ptl_fence_store() arrives here as a full fence. Plain C accesses are undivided with the atomic
 * step before them and skip the buffers: use model_write() for data whose order is the question.
 * One mapping per object: two addresses of one byte are two bytes here.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODEL_THREADS = 4 };
#define MODEL_UNBOUNDED (~0u)

enum model_memory { MODEL_TSO, MODEL_PSO, MODEL_SC };

/* Rules that the explorer takes out by itself, to show that a scenario needs them. */
enum model_mutation {
        MODEL_DROP_FENCES = 1,   /* ptl_fence_*() does nothing */
        MODEL_WEAK_RELEASE = 2,  /* a release store is a relaxed one */
        MODEL_WEAK_SEQ_CST = 4,  /* a seq_cst store is a release one */
        MODEL_SPLIT_CAS = 8,     /* exchange, add and cas: a load, then a store, two steps */
        MODEL_LOST_SYSCALLS = 16 /* model_syscall() and futex calls do not drain */
};

struct model_bounds {
        unsigned preemptions, delays;
};

struct model_region {
        const volatile void *at;
        size_t bytes;
};

struct scenario {
        const char *name; /* one sentence, in words_and_underscores; NULL ends a list */
        unsigned nthreads;
        enum model_memory memory;
        unsigned crashes; /* how many threads may be killed in one run */
        bool may_crash[MODEL_THREADS];
        bool death_is_one_step;
        bool seq_cst_load_drains;
        bool expect_failure; /* explore_main: a failing schedule is what the case wants */
        unsigned spins;      /* pauses in a row before a thread sleeps; 0: each pause sleeps */
        unsigned max_steps;  /* of one run, more is reported as a livelock; 0: 20,000 */
        unsigned mutations;  /* enum model_mutation */
        unsigned mutate;     /* bit t: in thread t only; 0: in all */
        struct model_bounds quick, deep; /* {0, 0}: 2 and 2; 3 and 3 */
        const void *arg;                 /* the scenario's own, see model_scenario() */
        /*
         * ALL memory the threads, conditions and check() share or keep outside their stacks, plain
         * variables too. If given (ends with bytes = 0), a run that reaches a state already seen
         * is cut off: sound when the list is complete, no thread keeps state in malloc'd memory,
         * and up to collisions of a 64-bit hash. NULL: every run goes to its end. x86-64 only.
         */
        const struct model_region *state;
        const struct model_region *steps; /* ends with bytes = 0; NULL: every access is a step. See STEPS */
        void (*reset)(void); /* before every run; names are registered here */
        void (*thread)(unsigned self);
        void (*on_death)(unsigned self); /* what the reaper does once it knows; may be NULL */
        bool (*check)(void);             /* alone, after all ended and drained; may be NULL */
};

struct outcome {
        bool ok;
        bool complete;           /* no bound suppressed a run: all schedules were seen */
        unsigned long schedules; /* runs, over all bounds up to the last */
        unsigned long cut_off;   /* of these, ended early in a state already seen */
        unsigned long steps;
        unsigned longest;           /* steps of the longest run */
        struct model_bounds bounds; /* where it failed, or the largest explored */
        char why[200];              /* empty if ok */
};

/* Explores up to `max`. On a failure returns at once and, if `print`, writes the failing schedule
 * to stdout, each line after "# ". Not reentrant. */
struct outcome explore(const struct scenario *sc, struct model_bounds max, bool print);

/* ok = a failing schedule was found within `max`; it is printed if `print`. */
struct outcome explore_expect_failure(const struct scenario *sc, struct model_bounds max,
                                      bool print);

/*
 * Runs a list as TAP cases. Arguments: NAME... (only these), --deep, --trace (print the failing
 * schedules of expect_failure cases too), -p N, -d N (bounds for all). Returns the exit status:
 * 0; 1 a case failed; 2 usage.
 */
int explore_main(int argc, char **argv, const struct scenario *list);

/* What scenarios use, from their threads unless said otherwise. */

const struct scenario *model_scenario(void); /* the one being run; anywhere */
unsigned model_self(void);                   /* in a thread: its number */
bool model_in_thread(void);                  /* else in the explorer: reset, conditions, check; anywhere */

/* Names `bytes` at `p` in traces. From reset(); the string is borrowed. Anywhere. */
void model_name(const volatile void *p, size_t bytes, const char *name);
/* Ends the run as failed. In reset(), check(), on_death in one step: returns. */
void model_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define MODEL_STRING_(x) #x
#define MODEL_LINE_(x)   MODEL_STRING_(x)
#define model_check(c)                                                                             \
        ((c) ? (void)0 : model_fail("%s", __FILE__ ":" MODEL_LINE_(__LINE__) ": " #c))
/* A line in the trace of a failing run, no step. Anywhere. */
void model_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* 0 .. n-1 (n <= 255), every value in some run. In check() too. */
unsigned model_choose(unsigned n);
/* A step: others may run before it. What follows, up to the next access, is undivided with it. */
void model_step(const char *what);
/* A step in the kernel: a model_step that empties the own buffer, as its locks do. */
void model_syscall(const char *what);
/*
 * Sleeps until cond(arg). cond runs in the explorer, any number of times, without effects; it
 * reads words that threads store to with ptl_load_*, kernel state (plain variables changed after
 * a model_step or model_syscall) directly. No time-out: model_choose(2) first.
 */
void model_block_until(bool (*cond)(void *), void *arg);
/* FUTEX_WAIT: compares and sleeps in one step. Returns whether it slept (and was woken). */
bool model_futex_wait(const volatile void *word, uint32_t expected);
/* FUTEX_WAKE: returns how many were woken; with more sleepers than `n`, any n of them. */
unsigned model_futex_wake(const volatile void *word, unsigned n);
/* Data through the store buffer, in words where aligned; each word is a step, relaxed. */
void model_write(volatile void *to, const void *from, size_t bytes);
void model_read(void *to, const volatile void *from, size_t bytes);

/* Whether thread t was killed and the world may know. Threads, conditions, check. */
bool model_dead(unsigned t);
/* Whether thread t returned or is dead (its on_death returned too), its stores all drained. */
bool model_ended(unsigned t);
