/* SPDX-License-Identifier: Apache-2.0 */
/* base/table.c - see table.h */
#include "base/table.h"

void ptl_table_init(struct ptl_table *table, size_t element_size, uint32_t limit)
{
        *table = (struct ptl_table){.limit = limit, .element_size = (uint32_t)element_size, .fresh = 1};
}

void ptl_table_fini(struct ptl_table *table)
{
        for (uint32_t i = 0; i < table->length / PTL_TABLE_CHUNK; i++)
                free(table->chunks[i]);
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
        chunk = calloc(PTL_TABLE_CHUNK, table->element_size);
        if (!chunk)
                return false;
        table->chunks[n] = chunk;
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
