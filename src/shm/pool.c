/* SPDX-License-Identifier: Apache-2.0 */
/* shm/pool.c - see pool.h for states, I5 and E4 */
#include "shm/pool.h"
#include <assert.h>
#include <string.h>

static bool page_used(const struct ptl_pool *pool, uint32_t page)
{
        return pool->used[page / 64] >> page % 64 & 1;
}

static void mark(struct ptl_pool *pool, uint32_t page, uint32_t pages, bool used)
{
        for (; pages--; page++) {
                if (used)
                        pool->used[page / 64] |= 1ull << page % 64;
                else
                        pool->used[page / 64] &= ~(1ull << page % 64);
        }
}

/* First page of a free run of @pages in [from, to), or -1. */
static int find_run(const struct ptl_pool *pool, uint32_t from, uint32_t to, uint32_t pages)
{
        uint32_t run = 0;

        for (uint32_t page = from; page < to; page++) {
                if (page % 64 == 0 && pool->used[page / 64] == UINT64_MAX) {
                        run = 0;
                        page += 63;
                        continue;
                }
                run = page_used(pool, page) ? 0 : run + 1;
                if (run == pages)
                        return (int)(page + 1 - pages);
        }
        return -1;
}

static int find_slot(const struct ptl_pool *pool)
{
        for (uint32_t i = 0; i < PTL_POOL_SLOTS; i++) {
                uint32_t slot = (pool->next_slot + i) % PTL_POOL_SLOTS;

                if (pool->slots[slot].state == PTL_SLOT_FREE)
                        return (int)slot;
        }
        return -1;
}

static bool came_back(const struct ptl_pool *pool, uint32_t slot)
{
        return pool->returned && pool->slots[slot].state == PTL_SLOT_OUT &&
               ptl_load_acquire(&pool->returned[slot]) == pool->slots[slot].uses; /* E4 */
}

static void release(struct ptl_pool *pool, uint32_t slot)
{
        struct ptl_pool_slot *s = &pool->slots[slot];

        pool->outstanding -= s->state == PTL_SLOT_OUT;
        mark(pool, s->page, s->pages, false);
        s->state = PTL_SLOT_FREE;
}

/* Blocks mostly come back in the order they went: asking the oldest costs one line. */
static void collect_oldest(struct ptl_pool *pool)
{
        while (pool->oldest != pool->next_slot) {
                if (pool->slots[pool->oldest].state != PTL_SLOT_FREE) {
                        if (!came_back(pool, pool->oldest))
                                return;
                        release(pool, pool->oldest);
                }
                pool->oldest = (pool->oldest + 1) % PTL_POOL_SLOTS;
        }
}

unsigned ptl_pool_collect(struct ptl_pool *pool)
{
        unsigned n = 0;

        for (uint32_t slot = 0; slot < PTL_POOL_SLOTS && pool->outstanding; slot++) {
                if (came_back(pool, slot)) {
                        release(pool, slot);
                        n++;
                }
        }
        return n;
}

static int take(struct ptl_pool *pool, uint32_t pages)
{
        int slot = find_slot(pool), page = find_run(pool, pool->next_page, PTL_POOL_PAGES, pages);

        if (page < 0)
                page = find_run(pool, 0, PTL_POOL_PAGES, pages);
        if (slot < 0 || page < 0)
                return -1;
        mark(pool, (uint32_t)page, pages, true);
        pool->next_page = ((uint32_t)page + pages) % PTL_POOL_PAGES;
        pool->next_slot = ((uint32_t)slot + 1) % PTL_POOL_SLOTS;
        pool->slots[slot].page = (uint16_t)page;
        pool->slots[slot].pages = (uint16_t)pages;
        pool->slots[slot].state = PTL_SLOT_LENT;
        return slot;
}

int ptl_pool_reserve(struct ptl_pool *pool, size_t size)
{
        uint32_t pages = (uint32_t)((size + PTL_POOL_PAGE - 1) / PTL_POOL_PAGE);
        int slot;

        assert(size > 0 && size <= PTL_BLOCK_MAX);
        collect_oldest(pool);
        slot = take(pool, pages);
        if (slot < 0 && ptl_pool_collect(pool))
                slot = take(pool, pages);
        return slot;
}

void ptl_pool_give(struct ptl_pool *pool, unsigned slot)
{
        assert(pool->slots[slot].state == PTL_SLOT_LENT);
        pool->slots[slot].state = PTL_SLOT_OUT;
        pool->slots[slot].uses++; /* here: the peer counts what it gives back, not what was cancelled */
        pool->outstanding++;
}

void ptl_pool_cancel(struct ptl_pool *pool, unsigned slot) { release(pool, slot); }
