/* SPDX-License-Identifier: Apache-2.0 */
/* base/table.c - see table.h */
#include "base/table.h"
#include <errno.h>
#include <portolan/outcome.h>

void ptl_table_init_headed(struct ptl_table *table, size_t element_size, uint32_t limit, size_t header_size)
{
        *table = (struct ptl_table){.limit = limit,
                                    .element_size = (uint32_t)element_size,
                                    .header_size = (uint32_t)header_size,
                                    .fresh = 1};
}

void ptl_table_init(struct ptl_table *table, size_t element_size, uint32_t limit)
{
        ptl_table_init_headed(table, element_size, limit, 0);
}

void ptl_table_fini(struct ptl_table *table)
{
        for (uint32_t i = 0; i < table->length / PTL_TABLE_CHUNK; i++)
                free(table->chunks[i] - table->header_size);
        free(table->chunks);
        *table = (struct ptl_table){0};
}

/* The array of chunks doubles, so that growing stays linear. */
static bool add_chunk(struct ptl_table *table)
{
        uint32_t n = table->length / PTL_TABLE_CHUNK;
        char *chunk;

        if ((n & (n - 1)) == 0) {
                size_t room = n ? 2 * (size_t)n : 1;
                char **chunks = realloc(table->chunks, room * sizeof *chunks);

                if (!chunks)
                        return false;
                table->chunks = chunks;
        }
        chunk = calloc(1, table->header_size + PTL_TABLE_CHUNK * (size_t)table->element_size);
        if (!chunk)
                return false;
        table->chunks[n] = chunk + table->header_size;
        table->length += PTL_TABLE_CHUNK;
        return true;
}

bool ptl_table_extend(struct ptl_table *table, uint32_t index)
{
        if (index >= table->limit)
                return false;
        while (index >= table->length)
                if (!add_chunk(table))
                        return false;
        return true;
}

uint32_t ptl_table_take_fresh(struct ptl_table *table)
{
        if (!ptl_table_ensure(table, table->fresh))
                return 0;
        table->used++;
        return table->fresh++;
}

/* All up to @index exist; those below it become free, the lowest to be given out first. */
static int take_beyond(struct ptl_table *table, uint32_t index)
{
        if (!ptl_table_ensure(table, index))
                return -ENOMEM;
        table->used += index - table->fresh + 1;
        for (uint32_t i = index; i-- > table->fresh;)
                ptl_table_give(table, i);
        table->fresh = index + 1;
        return 0;
}

int ptl_table_take_at(struct ptl_table *table, uint32_t index)
{
        uint32_t *at = &table->free;

        if (index == 0 || index >= table->limit)
                return PTL_E_QUOTA;
        if (index >= table->fresh)
                return take_beyond(table, index);
        while (*at && *at != index)
                at = ptl_table_at(table, *at);
        if (!*at)
                return PTL_E_EXISTS;
        *at = *(uint32_t *)ptl_table_at(table, index);
        table->used++;
        return 0;
}
