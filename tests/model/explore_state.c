/* SPDX-License-Identifier: Apache-2.0 */
/* explore_state.c - states seen before */
#include "explore_run.h"
#include "state_set.h"

static struct state_set seen;

void ex_forget_states(void) { state_set_clear(&seen); }

static uint64_t hash_footprint(uint64_t h, const struct footprint *fp)
{
        h = hash_word(h, fp->n << 1 | fp->all);
        return hash_bytes(h, fp->span, fp->n * sizeof *fp->span);
}

static uint64_t hash_buffer(uint64_t h, const struct store_buffer *b)
{
        h = hash_word(h, b->n);
        for (unsigned i = 0; i < b->n; i++) {
                h = hash_word(h, b->e[i].where.at);
                h = hash_word(h, b->e[i].where.size << 1 | b->e[i].release);
                h = hash_word(h, b->e[i].value);
        }
        return h;
}

/* A stopped thread is its access and its stack: the registers it keeps were pushed there. */
static uint64_t hash_thread(uint64_t h, unsigned t)
{
        const struct thread *it = &ex.thread[t];
        const char *sp = co_sp(&it->co), *end = it->stack + MODEL_STACK;

        h = hash_word(h, (uint64_t)it->op.kind << 8 | (unsigned)ex_has_news(t) << 4 |
                                 (unsigned)it->op.release << 3 | (unsigned)it->done << 2 |
                                 (unsigned)it->killed << 1 | it->dead);
        h = hash_buffer(h, &it->buffer);
        if (it->done || it->op.kind == OP_START)
                return h;
        h = hash_word(h, it->op.where.at);
        h = hash_word(h, it->op.where.size << 32 | it->fruitless << 1 | it->op.seq_cst);
        h = hash_word(h, it->op.value);
        h = hash_word(h, it->op.expected);
        h = hash_word(h, (uintptr_t)it->op.cond);
        h = hash_word(h, (uintptr_t)it->op.arg);
        h = hash_word(h, it->futex);
        h = hash_footprint(h, &it->round);
        return it->killed && !it->dead ? h : hash_bytes(h, sp, (size_t)(end - sp));
}

/* What the bounds count is part of a state, and who runs: it may go on for nothing. Without bounds neither is. */
static uint64_t hash_bounds(void)
{
        if (ex.most.preemptions == MODEL_UNBOUNDED && (ex.sc->memory == MODEL_SC || ex.most.delays == MODEL_UNBOUNDED))
                return hash_word(0, ex.crashes);
        return hash_word(ex.preemptions, (uint64_t)ex.delays << 32 | ex.crashes << 8 | ex.cur);
}

bool ex_been_here(void)
{
        uint64_t h = hash_bounds();

        if (!ex.sc->state || !COROUTINE_STACK_IS_VISIBLE || ex_replaying() || ex.tracing)
                return false;
        for (unsigned t = 0; t < ex.sc->nthreads; t++)
                h = hash_thread(h, t);
        for (const struct model_region *r = ex.sc->state; r->bytes; r++)
                h = hash_bytes(h, (const void *)(uintptr_t)r->at, r->bytes);
        return state_set_seen(&seen, h);
}
