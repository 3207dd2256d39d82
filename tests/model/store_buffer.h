/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_buffer.h - the stores of one thread that memory has not seen yet, and which must go first
 *
 * Entries stand in program order. "k needs i" (i <= k): entry k cannot drain while i is buffered.
 *   fifo (TSO)   every earlier entry is needed
 *   else (PSO)   an earlier entry that shares a byte with k; all earlier ones if k is a release
 * Internal to explore.c.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { MODEL_BUFFER = 32, MODEL_FOOTPRINT = 6 };

struct span {
        uintptr_t at;
        size_t size;
};

struct store {
        struct span where;
        uint64_t value;
        bool release;
};

struct store_buffer {
        struct store e[MODEL_BUFFER];
        unsigned n;
};

/* The bytes a step looks at or changes; all: not known, so any. */
struct footprint {
        bool all;
        unsigned n;
        struct span span[MODEL_FOOTPRINT];
};

static inline bool span_overlaps(struct span a, struct span b)
{
        return a.at < b.at + b.size && b.at < a.at + a.size;
}

static inline bool span_contains(struct span outer, struct span inner)
{
        return outer.at <= inner.at && inner.at + inner.size <= outer.at + outer.size;
}

static inline bool footprint_overlaps(const struct footprint *fp, struct span s)
{
        for (unsigned i = 0; i < fp->n; i++)
                if (span_overlaps(fp->span[i], s))
                        return true;
        return fp->all;
}

static inline void footprint_add(struct footprint *fp, struct span s)
{
        for (unsigned i = 0; i < fp->n; i++)
                if (span_contains(fp->span[i], s))
                        return;
        if (fp->n == MODEL_FOOTPRINT)
                fp->all = true;
        else
                fp->span[fp->n++] = s;
}

static inline bool buffer_needs(const struct store_buffer *b, bool fifo, unsigned k, unsigned i)
{
        if (k == i || fifo || b->e[k].release)
                return true;
        for (unsigned j = i; j < k; j++)
                if (span_overlaps(b->e[j].where, b->e[k].where) && buffer_needs(b, fifo, j, i))
                        return true;
        return false;
}

/* Bit i: entry i goes before k does, or is k. */
static inline uint32_t buffer_needs_mask(const struct store_buffer *b, bool fifo, unsigned k)
{
        uint32_t mask = 0;

        for (unsigned i = 0; i <= k; i++)
                if (buffer_needs(b, fifo, k, i))
                        mask |= 1u << i;
        return mask;
}

static inline bool buffer_may_drain(const struct store_buffer *b, bool fifo, unsigned k)
{
        return buffer_needs_mask(b, fifo, k) == 1u << k;
}

/* Whether a new store has to wait behind one that is buffered. */
static inline bool buffer_holds_back(const struct store_buffer *b, bool fifo, struct span where,
                                     bool release)
{
        if (b->n && (fifo || release))
                return true;
        for (unsigned i = 0; i < b->n; i++)
                if (span_overlaps(b->e[i].where, where))
                        return true;
        return false;
}

static inline uint32_t buffer_all_mask(const struct store_buffer *b)
{
        return b->n ? UINT32_MAX >> (MODEL_BUFFER - b->n) : 0;
}

static inline void buffer_push(struct store_buffer *b, struct span where, uint64_t value,
                               bool release)
{
        b->e[b->n++] = (struct store){where, value, release};
}

static inline struct store buffer_take(struct store_buffer *b, unsigned i)
{
        struct store s = b->e[i];

        b->n--;
        memmove(&b->e[i], &b->e[i + 1], (b->n - i) * sizeof s);
        return s;
}

/* The newest entry that shares a byte with `where`, or -1: what a load by the owner meets. */
static inline int buffer_newest(const struct store_buffer *b, struct span where)
{
        for (int i = (int)b->n - 1; i >= 0; i--)
                if (span_overlaps(b->e[i].where, where))
                        return i;
        return -1;
}
