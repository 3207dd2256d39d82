/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm/pool.h - blocks of an outbox for payloads that are large or built in place
 *
 * The allocator is private to the owner: a bitmap of 4 KiB pages and 256 slots. A block in the peer's
 * hands is named by its slot; the peer gives it back by storing the slot's use count in its own outbox
 * (`returned`). Allocation goes round the pool, so that successive blocks spill from L2 to the shared
 * cache (PEERS: a bulk ring that fits L2 is slow).
 *
 *   FREE → reserve → LENT (being filled) → give → OUT (peer reads) → returned[slot] == uses → FREE
 *
 * I5  a page belongs to at most one slot that is not FREE; a page of an OUT slot is not stored to.
 * E4  release store of returned[slot] → acquire load by the owner: the peer's loads of the block came
 *     before the owner stores there again.
 * The peer's word is believed only when it equals the count that this use was given out under.
 */
#pragma once
#include "base/atomic.h"
#include "shm/outbox.h"
#include <portolan/outcome.h>

enum { PTL_POOL_PAGES = PTL_POOL_SIZE / PTL_POOL_PAGE, PTL_POOL_WORDS = PTL_POOL_PAGES / 64 };

/* The largest block: half of the pool, so that one can be filled while the other is read. */
#define PTL_BLOCK_MAX (PTL_POOL_SIZE / 2)

enum ptl_slot_state { PTL_SLOT_FREE, PTL_SLOT_LENT, PTL_SLOT_OUT };

struct ptl_pool_slot {
        uint16_t page, pages;
        uint32_t uses; /* counts times it was given; the value the peer returns */
        enum ptl_slot_state state;
};

struct ptl_pool {
        uint64_t used[PTL_POOL_WORDS];
        struct ptl_pool_slot slots[PTL_POOL_SLOTS];
        uint32_t next_page, next_slot; /* where to look first */
        uint32_t oldest;               /* slot to ask first whether it came back */
        uint32_t outstanding;          /* slots that are OUT */
        const _Atomic uint32_t *returned; /* in the peer's outbox; NULL until it is mapped */
};

/**
 * ptl_pool_reserve - take a block
 * @size: bytes, 1 to PTL_BLOCK_MAX
 * Return: the slot's number, or -1: no room now.
 */
int ptl_pool_reserve(struct ptl_pool *pool, size_t size);

/* The slot's bytes begin here, from the pool's start. */
static inline uint32_t ptl_pool_offset(const struct ptl_pool *pool, unsigned slot)
{
        return (uint32_t)pool->slots[slot].page * PTL_POOL_PAGE;
}

void ptl_pool_give(struct ptl_pool *pool, unsigned slot);   /* LENT → OUT */
void ptl_pool_cancel(struct ptl_pool *pool, unsigned slot); /* LENT → FREE */

/* Frees every block that came back; returns how many. */
unsigned ptl_pool_collect(struct ptl_pool *pool);
