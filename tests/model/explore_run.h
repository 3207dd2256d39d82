/* SPDX-License-Identifier: Apache-2.0 */
/* explore_run.h - what the explorer's files share: the run. Internal to explore*.c */
#pragma once
#include "coroutine.h"
#include "explore.h"
#include "store_buffer.h"

enum {
        MODEL_STACK = 128 * 1024,
        MODEL_MAX_STEPS = 20000,
        NOBODY = MODEL_THREADS,
};

enum op_kind {
        OP_START,
        OP_LOAD,
        OP_KERNEL_LOAD,
        OP_STORE,
        OP_STORE_SEQ_CST,
        OP_EXCHANGE,
        OP_ADD,
        OP_CAS,
        OP_FENCE,
        OP_STEP,
        OP_SYSCALL,
        OP_PAUSE,
        OP_BLOCK,
        OP_REAP /* killed; what is left is to learn of it */
};

struct op {
        enum op_kind kind;
        bool release, seq_cst;
        struct span where;
        uint64_t value, expected, seen; /* seen: what a load, or an RMW, found */
        const char *what;
        bool (*cond)(void *);
        void *arg;
};

struct thread {
        struct coroutine co;
        struct op op;
        struct store_buffer buffer;
        bool done, killed, dead;
        uint64_t changes;       /* made by this thread, its drains too */
        uint64_t round_began;   /* changes of the others when the spin round began */
        unsigned fruitless;     /* rounds in a row without news */
        struct footprint round; /* what the round, or the condition it sleeps on, looked at */
        uintptr_t futex;        /* sleeps there */
        char *stack;
};

struct explorer {
        struct thread thread[MODEL_THREADS];
        struct coroutine scheduler;
        const struct scenario *sc;
        /* the search */
        struct model_bounds most;
        bool suppressed; /* a bound hid an alternative */
        bool tracing;
        /* the run */
        unsigned cur; /* the thread that runs or ran last; NOBODY at first */
        bool in_thread, failed, cut_off;
        unsigned preemptions, delays, crashes, steps, buffered;
        uint64_t changes;          /* by all threads */
        struct footprint *looking; /* collects the loads of a condition */
        char why[sizeof((struct outcome *)0)->why];
};

extern struct explorer ex;

static inline bool ex_fifo(void) { return ex.sc->memory != MODEL_PSO; }

static inline bool ex_mutated(unsigned t, enum model_mutation m)
{
        return (ex.sc->mutations & m) && (!ex.sc->mutate || (ex.sc->mutate >> t & 1));
}

static inline void ex_to_scheduler(void) { co_switch(&ex.thread[ex.cur].co, &ex.scheduler); }

static inline uint64_t ex_others_changes(unsigned t) { return ex.changes - ex.thread[t].changes; }

static inline bool ex_has_news(unsigned t)
{
        return ex_others_changes(t) != ex.thread[t].round_began;
}

static inline unsigned ex_max_steps(void)
{
        return ex.sc->max_steps ? ex.sc->max_steps : MODEL_MAX_STEPS;
}

/* explore.c */
void ex_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void ex_die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* Returns a number below n, replaying the trail first and then taking 0 at every new decision. */
unsigned ex_choose(unsigned n);
bool ex_replaying(void);
/* Whether t is killed before its next access (or after its last). */
bool ex_kill_by_choice(unsigned t);

/* explore_trace.c */
void ex_forget_names(void);
void ex_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Names are looked up in traces only: a macro. */
#define ex_say(...) (ex.tracing ? ex_print(__VA_ARGS__) : (void)0)
/* Returns a string good until the fourth call from now. */
const char *ex_name_of(struct span s);
void ex_say_op(unsigned t, const struct op *op);

/* explore_drain.c */
struct offer {
        unsigned t, i; /* thread, entry */
};

enum { MAX_OFFERS = MODEL_THREADS * MODEL_BUFFER };

uint64_t ex_memory_read(struct span s);
/* Memory as t sees it; its newest store that shares a byte with s, if any, holds all of s. */
uint64_t ex_load(unsigned t, struct span s);
/* Writing what is there already is no news to a spinning thread. */
void ex_memory_write(unsigned by, struct span s, uint64_t v);
void ex_changed(unsigned by);
void ex_drain(unsigned t, unsigned i);
void ex_buffer(unsigned t, struct span s, uint64_t v, bool release);
/* Drains what t's next step drains by itself. */
void ex_drain_own(unsigned t);
/* Chooses the drains just before self's step. */
void ex_interleave(unsigned self);
/* Drains one entry of any thread, by choice where the order can be seen. */
void ex_drain_any(bool looked_at);
/* The stores that could wake a sleeping thread; its own cannot end its spinning. */
unsigned ex_wakers(unsigned t, struct offer *ret);

/* explore_state.c */
void ex_forget_states(void);
/* Whether a run was in this state before; it is from now on. */
bool ex_been_here(void);
