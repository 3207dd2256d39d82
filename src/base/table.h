/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/table.h - an array that grows and whose elements never move, with a free list
 *
 * Elements live in chunks of 256 and begin zeroed. Index 0 is never given out, so it can mean none. A
 * chunk may begin with a header of the caller's, zeroed too, right before its first element. Callers
 * lock.
 */
#pragma once
#include "base/cleanup.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef PTL_TABLE_CHUNK /* a model's tables are smaller than that */
#define PTL_TABLE_CHUNK 256
#endif

struct ptl_table {
        char **chunks;
        uint32_t length; /* elements that exist, whole chunks */
        uint32_t limit;  /* highest index + 1 that may be given out */
        uint32_t element_size;
        uint32_t free;   /* first free index, 0: none; chained through the elements' first 4 bytes */
        uint32_t fresh;  /* lowest index never given out */
        uint32_t used;
        uint32_t header_size; /* of each chunk */
};

void ptl_table_init(struct ptl_table *table, size_t element_size, uint32_t limit);

/* @header_size: of each chunk; keeps the elements' alignment. */
void ptl_table_init_headed(struct ptl_table *table, size_t element_size, uint32_t limit, size_t header_size);
void ptl_table_fini(struct ptl_table *table);

/* The element, where the caller knows its size; NULL for 0 and for what does not exist. */
static inline void *ptl_table_at_sized(const struct ptl_table *table, uint32_t index, size_t element_size)
{
        if (PTL_UNLIKELY(index == 0 || index >= table->length))
                return NULL;
        return table->chunks[index / PTL_TABLE_CHUNK] + index % PTL_TABLE_CHUNK * element_size;
}

static inline void *ptl_table_at(const struct ptl_table *table, uint32_t index)
{
        return ptl_table_at_sized(table, index, table->element_size);
}

uint32_t ptl_table_take_fresh(struct ptl_table *table);

/* Takes an element: one given back last, else a fresh one. Returns its index, 0 if none is left or
 * memory is short. What an element held when it was given back is still in it, but for its first
 * four bytes. */
static inline uint32_t ptl_table_take(struct ptl_table *table)
{
        uint32_t index = table->free;

        if (PTL_UNLIKELY(!index))
                return ptl_table_take_fresh(table);
        table->free = *(uint32_t *)ptl_table_at(table, index);
        table->used++;
        return index;
}

static inline void ptl_table_give(struct ptl_table *table, uint32_t index)
{
        *(uint32_t *)ptl_table_at(table, index) = table->free;
        table->free = index;
        table->used--;
}

/* Takes element @index, which then is as with ptl_table_take(). 0, PTL_E_EXISTS (it is not free), PTL_E_QUOTA (beyond
 * the limit), -ENOMEM. Looks through the free list; what lies between is made, too. */
int ptl_table_take_at(struct ptl_table *table, uint32_t index);

bool ptl_table_extend(struct ptl_table *table, uint32_t index);

/* Makes @index exist though it was not taken (tables whose indices another side chooses). */
static inline bool ptl_table_ensure(struct ptl_table *table, uint32_t index)
{
        return PTL_LIKELY(index < table->length && index < table->limit) || ptl_table_extend(table, index);
}
