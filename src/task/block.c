/* SPDX-License-Identifier: Apache-2.0 */
/* task/block.c - see block.h */
#include "task/block.h"
#include "task/restrain.h"

struct block_wait {
        struct ptl_waiter waiter;
        ptl_port port;
        size_t size;
        int slot;
        int outcome;
        bool done;
        struct ptl_peer *peer;
};

/* A block of the link that @port is on; outcome PTL_E_FULL: none now. */
static bool block_check(struct ptl_task *task, struct ptl_waiter *waiter)
{
        struct block_wait *w = PTL_CONTAINER(waiter, struct block_wait, waiter);
        struct ptl_entry *e = ptl_space_entry(&task->space, w->port);
        struct ptl_link *link;

        if (w->done)
                return true;
        w->done = true;
        w->outcome = 0;
        w->slot = -1;
        if (!e || !e->peer || e->rights & PTL_RIGHT_DEAD)
                return true; /* the attempt to send will say why */
        w->waiter.from = e->peer;
        ptl_restrain_awaited(task, e->peer);
        link = &e->peer->link;
        ptl_lock(&link->lock);
        w->slot = ptl_link_state(link) == PTL_LINK_DEAD ? -1 : ptl_link_block_reserve(link, w->size);
        ptl_unlock(&link->lock);
        if (w->slot == -1 && ptl_link_state(link) != PTL_LINK_DEAD)
                w->outcome = PTL_E_FULL;
        else if (w->slot < -1)
                w->outcome = w->slot;
        else if (w->slot >= 0)
                w->peer = ptl_peer_ref(e->peer);
        w->done = w->outcome != PTL_E_FULL;
        return w->done;
}

/* Blocks come back in any order: a few looks apart, asking again is what tells. */
static bool block_hint(const struct ptl_waiter *waiter)
{
        (void)waiter;
        return false;
}

int ptl_block_reserve(struct ptl_task *task, ptl_port port, size_t size, ptl_time deadline,
                      int *ret_slot, struct ptl_peer **ret_peer)
{
        struct block_wait w = {
                .waiter = {.kind = PTL_WAITS_ROOM, .check = block_check, .hint = block_hint},
                .port = port,
                .size = size};

        if (!block_check(task, &w.waiter)) {
                if (deadline == PTL_NOW)
                        return PTL_E_FULL;
                task->space.counters.waits_full++;
                if (ptl_wait_for(task, &w.waiter, deadline))
                        return PTL_E_TIMEOUT;
        }
        if (w.outcome)
                return w.outcome;
        *ret_slot = w.slot;
        *ret_peer = w.peer;
        return 0;
}

void ptl_block_cancel(struct ptl_peer *peer, int slot)
{
        ptl_lock(&peer->link.lock);
        if (slot >= 0)
                ptl_pool_cancel(peer->link.pool, (unsigned)slot);
        ptl_unlock(&peer->link.lock);
        ptl_peer_unref(peer);
}
