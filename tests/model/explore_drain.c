/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explore_drain.c - memory, and which buffered stores reach it before a step
 *
 * Drains are lazy: before a step, only those stores are offered that the step could notice, and
 * those that these wait for or race with (mark). Any other drain commutes with the step, so it is
 * as good later.
 */
#include "explore_run.h"
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are copied from low bytes");

/* ---- memory ---- */

uint64_t ex_memory_read(struct span s)
{
        uint64_t v = 0;

        memcpy(&v, (const void *)s.at, s.size);
        return v;
}

void ex_changed(unsigned by)
{
        ex.changes++;
        ex.thread[by].changes++;
}

void ex_memory_write(unsigned by, struct span s, uint64_t v)
{
        uint64_t old = ex_memory_read(s);

        memcpy((void *)s.at, &v, s.size);
        if (ex_memory_read(s) != old)
                ex_changed(by);
}

void ex_drain(unsigned t, unsigned i)
{
        struct store s = buffer_take(&ex.thread[t].buffer, i);

        ex.buffered--;
        ex_memory_write(t, s.where, s.value);
        ex_say("        T%u's %s = 0x%jx reaches memory", t, ex_name_of(s.where),
               (uintmax_t)s.value);
}

void ex_buffer(unsigned t, struct span s, uint64_t v, bool release)
{
        buffer_push(&ex.thread[t].buffer, s, v, release);
        ex.buffered++;
        ex_say("T%u %s %s <- 0x%jx (buffered)", t, release ? "store release" : "store",
               ex_name_of(s), (uintmax_t)v);
}

uint64_t ex_load(unsigned t, struct span s)
{
        const struct store_buffer *b = &ex.thread[t].buffer;
        int i = buffer_newest(b, s);
        uint64_t v = 0;

        if (i < 0)
                return ex_memory_read(s);
        memcpy(&v, (const char *)&b->e[i].value + (s.at - b->e[i].where.at), s.size);
        return v;
}

/* ---- which drains matter ---- */

struct marks {
        uint32_t mask[MODEL_THREADS];
};

static bool empties_buffer(unsigned t, const struct op *op)
{
        switch (op->kind) {
        case OP_SYSCALL:
        case OP_KERNEL_LOAD:
                return !ex_mutated(t, MODEL_LOST_SYSCALLS);
        case OP_STORE_SEQ_CST:
        case OP_EXCHANGE:
        case OP_ADD:
        case OP_CAS:
        case OP_FENCE:
        case OP_REAP:
                return true;
        case OP_LOAD:
                return op->seq_cst && ex.sc->seq_cst_load_drains;
        case OP_START:
        case OP_STORE:
        case OP_STEP:
        case OP_PAUSE:
        case OP_BLOCK:
                return false;
        }
        return false;
}

/* The entries of the own buffer that thread t's next step drains by itself. */
static uint32_t own_drains(unsigned t)
{
        const struct thread *me = &ex.thread[t];
        int newest;

        if (!me->buffer.n)
                return 0;
        if (empties_buffer(t, &me->op))
                return buffer_all_mask(&me->buffer);
        if (me->op.kind != OP_LOAD && me->op.kind != OP_KERNEL_LOAD)
                return 0;
        newest = buffer_newest(&me->buffer, me->op.where);
        if (newest < 0 || span_contains(me->buffer.e[newest].where, me->op.where))
                return 0;
        return buffer_needs_mask(&me->buffer, ex_fifo(), (unsigned)newest);
}

void ex_drain_own(unsigned t)
{
        uint32_t mask;

        while ((mask = own_drains(t)))
                ex_drain(t, (unsigned)__builtin_ctz(mask)); /* in program order */
}

static bool races(const struct marks *m, unsigned t, struct span s)
{
        for (unsigned u = 0; u < ex.sc->nthreads; u++)
                for (unsigned i = 0; u != t && i < ex.thread[u].buffer.n; i++)
                        if ((m->mask[u] >> i & 1) &&
                            span_overlaps(ex.thread[u].buffer.e[i].where, s))
                                return true;
        return false;
}

static bool mark_more(struct marks *m)
{
        bool more = false;

        for (unsigned t = 0; t < ex.sc->nthreads; t++) {
                const struct store_buffer *b = &ex.thread[t].buffer;

                for (unsigned i = 0; i < b->n; i++) {
                        uint32_t add = 0;

                        if ((m->mask[t] >> i & 1) || races(m, t, b->e[i].where))
                                add = buffer_needs_mask(b, ex_fifo(), i) & ~m->mask[t];
                        m->mask[t] |= add;
                        more |= add != 0;
                }
        }
        return more;
}

/*
 * Marks the buffered stores whose order with a step matters: those of threads other than `self`
 * that share a byte with fp, those of self that the step drains, and to a fixed point what these
 * wait for and what races with them.
 */
static struct marks mark(unsigned self, const struct footprint *fp)
{
        struct marks m = {{0}};

        for (unsigned t = 0; t < ex.sc->nthreads; t++)
                for (unsigned i = 0; t != self && i < ex.thread[t].buffer.n; i++)
                        if (footprint_overlaps(fp, ex.thread[t].buffer.e[i].where))
                                m.mask[t] |= 1u << i;
        if (self != NOBODY)
                m.mask[self] = own_drains(self);
        while (mark_more(&m))
                ;
        return m;
}

static unsigned offers(const struct marks *m, struct offer *ret)
{
        unsigned n = 0;

        for (unsigned t = 0; t < ex.sc->nthreads; t++)
                for (unsigned i = 0; i < ex.thread[t].buffer.n; i++)
                        if ((m->mask[t] >> i & 1) &&
                            buffer_may_drain(&ex.thread[t].buffer, ex_fifo(), i))
                                ret[n++] = (struct offer){t, i};
        return n;
}

static bool marks_others(const struct marks *m, unsigned self)
{
        for (unsigned t = 0; t < ex.sc->nthreads; t++)
                if (t != self && m->mask[t])
                        return true;
        return false;
}

static bool step_notices(unsigned self, const struct footprint *fp, struct span s)
{
        uint32_t mask = own_drains(self);

        for (; mask; mask &= mask - 1)
                if (span_overlaps(ex.thread[self].buffer.e[__builtin_ctz(mask)].where, s))
                        return true;
        return footprint_overlaps(fp, s);
}

static struct footprint footprint_of(const struct op *op)
{
        struct footprint fp = {.all = op->kind == OP_REAP && ex.sc->on_death &&
                                      ex.sc->death_is_one_step};

        if (op->where.size)
                footprint_add(&fp, op->where);
        return fp;
}

/* Chooses the drains just before self's step. A last drain that the step cannot notice would be
 * as good after it, so the step is not offered there. */
void ex_interleave(unsigned self)
{
        struct footprint fp = footprint_of(&ex.thread[self].op);
        unsigned step = 1;

        while (ex.buffered) {
                struct marks m = mark(self, &fp);
                struct offer o[MAX_OFFERS];
                unsigned n, pick;
                struct span where;

                if (!marks_others(&m, self))
                        return;
                n = offers(&m, o);
                pick = ex_choose(n + step);
                if (step && pick == 0)
                        return;
                pick -= step;
                where = ex.thread[o[pick].t].buffer.e[o[pick].i].where;
                step = o[pick].t != self && step_notices(self, &fp, where);
                ex_drain(o[pick].t, o[pick].i);
        }
}

/* Of stores that do not race the order does not matter when nobody looks. */
void ex_drain_any(bool looked_at)
{
        struct footprint all = {.all = true};
        struct marks m = mark(NOBODY, &all);
        struct offer o[MAX_OFFERS];
        unsigned n = offers(&m, o), pick;
        bool race = looked_at;

        for (unsigned t = 0; t < ex.sc->nthreads; t++)
                for (unsigned i = 0; i < ex.thread[t].buffer.n; i++)
                        race |= races(&m, t, ex.thread[t].buffer.e[i].where);
        pick = race ? ex_choose(n) : 0;
        ex_drain(o[pick].t, o[pick].i);
}

unsigned ex_wakers(unsigned t, struct offer *ret)
{
        const struct thread *it = &ex.thread[t];
        struct footprint any = {.all = true};
        bool pause = it->op.kind == OP_PAUSE;
        struct marks m;

        if (!ex.buffered)
                return 0;
        m = mark(pause ? t : NOBODY, pause && !it->round.n ? &any : &it->round);
        return offers(&m, ret);
}
