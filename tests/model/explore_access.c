/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explore_access.c - the threads' side: what base/atomic.h and scenarios call
 *
 * Each stops the thread *before* the access, with the access in ex.thread[cur].op. A store that
 * stays buffered does not: no other thread can tell when that happens. (A load that the own buffer
 * serves does: the own store may drain, and another's overwrite it, before the load.)
 */
#include "base/atomic.h"
#include "explore_run.h"
#include <string.h>

enum { MAX_IDLE = 1000000 }; /* pauses outside a thread, where nobody else can run */

static void count_step(void)
{
        if (++ex.steps > ex_max_steps())
                model_fail("livelock: more than %u steps (a loop without ptl_pause?)",
                           ex.steps - 1);
}

static uint64_t do_op(struct op op)
{
        struct op *mine = &ex.thread[ex.cur].op;

        if (!ex.in_thread) { /* alone: nothing to wait for */
                if (op.kind == OP_BLOCK && !op.cond(op.arg))
                        ex_die("blocks outside a thread, where nobody can wake it");
                return op.kind == OP_KERNEL_LOAD ? ex_memory_read(op.where) : 0;
        }
        *mine = op;
        ex_to_scheduler();
        return mine->seen;
}

static struct span span(const volatile void *p, size_t size)
{
        return (struct span){(uintptr_t)p, size};
}

/* Can another thread tell when it is done? (explore.h, STEPS) */
static bool is_step(struct span where, enum ptl_model_order order)
{
        const struct model_region *r = ex.sc->steps;

        if (!r)
                return true;
        if (order == PTL_MODEL_RELAXED)
                return false;
        while (r->bytes && !span_contains((struct span){(uintptr_t)r->at, r->bytes}, where))
                r++;
        return r->bytes;
}

uint64_t ptl_model_load(const volatile void *p, size_t size, enum ptl_model_order order)
{
        struct span where = span(p, size);
        bool seq_cst = order == PTL_MODEL_SEQ_CST;

        if (!ex.in_thread) {
                if (ex.looking)
                        footprint_add(ex.looking, where);
                return ex_memory_read(where);
        }
        if (!is_step(where, order))
                return ex_memory_read(where);
        return do_op((struct op){.kind = OP_LOAD, .where = where, .seq_cst = seq_cst});
}

/* Who is alone can delay a store, but nobody would see it; buffered stores of the others would. */
static bool alone(void)
{
        for (unsigned t = 0; t < ex.sc->nthreads; t++)
                if (t != ex.cur && (!ex.thread[t].done || ex.thread[t].buffer.n))
                        return false;
        return true;
}

static bool delay_by_choice(void)
{
        if (ex.sc->memory == MODEL_SC || alone())
                return false;
        if (ex.delays >= ex.most.delays) {
                ex.suppressed = true;
                return false;
        }
        if (!ex_choose(2))
                return false;
        ex.delays++;
        return true;
}

static void store(struct span where, uint64_t value, bool release)
{
        struct store_buffer *b = &ex.thread[ex.cur].buffer;
        enum op_kind kind = OP_STORE;

        if (b->n == MODEL_BUFFER) {
                kind = OP_STORE_SEQ_CST; /* full: make room; real buffers are longer, not endless */
        } else if (buffer_holds_back(b, ex_fifo(), where, release)) {
                if (ex_kill_by_choice(ex.cur))
                        ex_to_scheduler(); /* for good */
                count_step();
                ex_buffer(ex.cur, where, value, release);
                return;
        } else if (delay_by_choice()) {
                count_step();
                ex_buffer(ex.cur, where, value, release);
                return;
        }
        do_op((struct op){.kind = kind, .where = where, .value = value, .release = release});
}

void ptl_model_store(volatile void *p, size_t size, uint64_t value, enum ptl_model_order order)
{
        struct span where = span(p, size);

        if (!ex.in_thread || !is_step(where, order)) {
                memcpy((void *)where.at, &value, size);
                return;
        }
        if (order == PTL_MODEL_SEQ_CST && ex_mutated(ex.cur, MODEL_WEAK_SEQ_CST))
                order = PTL_MODEL_RELEASE;
        if (order == PTL_MODEL_RELEASE && ex_mutated(ex.cur, MODEL_WEAK_RELEASE))
                order = PTL_MODEL_RELAXED;
        if (order == PTL_MODEL_SEQ_CST)
                do_op((struct op){.kind = OP_STORE_SEQ_CST, .where = where, .value = value});
        else
                store(where, value, order == PTL_MODEL_RELEASE);
}

/* kind is OP_EXCHANGE, OP_ADD or OP_CAS. Returns the old value. */
static uint64_t modify(enum op_kind kind, struct span where, uint64_t value, uint64_t expected)
{
        struct op op = {.kind = kind, .where = where, .value = value, .expected = expected};
        bool divided = ex.in_thread && is_step(where, PTL_MODEL_SEQ_CST);
        uint64_t old;

        if (divided && !ex_mutated(ex.cur, MODEL_SPLIT_CAS))
                return do_op(op);
        old = divided ? do_op((struct op){.kind = OP_LOAD, .where = where})
                           : ex_memory_read(where);
        if (kind == OP_CAS && old != expected)
                return old;
        ptl_model_store((volatile void *)where.at, where.size, value + (kind == OP_ADD ? old : 0),
                        PTL_MODEL_SEQ_CST);
        return old;
}

uint64_t ptl_model_exchange(volatile void *p, size_t size, uint64_t value)
{
        return modify(OP_EXCHANGE, span(p, size), value, 0);
}

uint64_t ptl_model_add(volatile void *p, size_t size, uint64_t value)
{
        return modify(OP_ADD, span(p, size), value, 0);
}

static uint64_t low_bytes(uint64_t v, size_t size)
{
        return size < sizeof v ? v & ((UINT64_C(1) << 8 * size) - 1) : v;
}

_Bool ptl_model_cas(volatile void *p, size_t size, uint64_t *expected, uint64_t want)
{
        uint64_t wanted = low_bytes(*expected, size);
        uint64_t old = modify(OP_CAS, span(p, size), want, wanted);

        *expected = old;
        return old == wanted;
}

void ptl_model_fence(void)
{
        if (ex.in_thread && !ex.sc->steps && !ex_mutated(ex.cur, MODEL_DROP_FENCES))
                do_op((struct op){.kind = OP_FENCE});
}

void ptl_model_pause(void)
{
        static unsigned idle;
        struct thread *me = &ex.thread[ex.cur];

        if (!ex.in_thread) {
                if (++idle == MAX_IDLE)
                        ex_die("spins outside a thread, where nobody can release it");
                return;
        }
        idle = 0;
        me->fruitless = ex_others_changes(ex.cur) == me->round_began ? me->fruitless + 1 : 0;
        do_op((struct op){.kind = OP_PAUSE});
}

const struct scenario *model_scenario(void) { return ex.sc; }

unsigned model_self(void) { return ex.cur; }

bool model_in_thread(void) { return ex.in_thread; }

void model_step(const char *what) { do_op((struct op){.kind = OP_STEP, .what = what}); }

void model_syscall(const char *what) { do_op((struct op){.kind = OP_SYSCALL, .what = what}); }

void model_block_until(bool (*cond)(void *), void *arg)
{
        do_op((struct op){.kind = OP_BLOCK, .cond = cond, .arg = arg});
}

static bool futex_woken(void *arg)
{
        const struct thread *t = arg;

        return !t->futex;
}

bool model_futex_wait(const volatile void *word, uint32_t expected)
{
        struct op op = {.kind = OP_KERNEL_LOAD, .where = span(word, sizeof expected)};

        op.what = "futex_wait";
        if (do_op(op) != expected)
                return false;
        ex.thread[ex.cur].futex = (uintptr_t)word;
        model_block_until(futex_woken, &ex.thread[ex.cur]);
        return true;
}

unsigned model_futex_wake(const volatile void *word, unsigned n)
{
        unsigned woken = 0;

        model_syscall("futex_wake");
        for (; woken < n; woken++) {
                unsigned asleep[MODEL_THREADS], k = 0, pick;

                for (unsigned t = 0; t < ex.sc->nthreads; t++)
                        if (ex.thread[t].futex == (uintptr_t)word)
                                asleep[k++] = t;
                if (!k)
                        break;
                pick = asleep[n - woken < k ? ex_choose(k) : 0]; /* enough for all: no choice */
                ex.thread[pick].futex = 0;
                ex_say("        wakes T%u", pick);
        }
        return woken;
}

/* The largest aligned word at `offset` of both sides. */
static size_t word_at(const volatile void *shared, size_t offset, size_t bytes)
{
        size_t size = sizeof(uint64_t);

        while (size > bytes - offset || ((uintptr_t)shared + offset) % size)
                size /= 2;
        return size;
}

void model_write(volatile void *to, const void *from, size_t bytes)
{
        for (size_t i = 0, size; i < bytes; i += size) {
                uint64_t v = 0;

                size = word_at(to, i, bytes);
                memcpy(&v, (const char *)from + i, size);
                ptl_model_store((volatile char *)to + i, size, v, PTL_MODEL_RELAXED);
        }
}

void model_read(void *to, const volatile void *from, size_t bytes)
{
        for (size_t i = 0, size; i < bytes; i += size) {
                size = word_at(from, i, bytes);
                uint64_t v =
                        ptl_model_load((const volatile char *)from + i, size, PTL_MODEL_RELAXED);
                memcpy((char *)to + i, &v, size);
        }
}

bool model_dead(unsigned t) { return ex.thread[t].dead; }

bool model_ended(unsigned t)
{
        if (ex.thread[t].buffer.n && ex.looking)
                ex.looking->all = true; /* its drains matter to the condition */
        return ex.thread[t].done && !ex.thread[t].buffer.n;
}
