/* SPDX-License-Identifier: Apache-2.0 */
/* port/grant_inline.h - the part of port/grant.c that every call runs through */
#pragma once
#include "port/peer.h"
#include "port/receiver.h"

static inline void ptl_grant_attach(struct ptl_grant *g, struct ptl_receiver *receiver)
{
        g->receiver = receiver;
        g->next = receiver->grants;
        g->prev = &receiver->grants;
        if (g->next)
                g->next->prev = &g->next;
        receiver->grants = g;
}

static inline void ptl_grant_detach(struct ptl_grant *g)
{
        if (!g->receiver)
                return;
        *g->prev = g->next;
        if (g->next)
                g->next->prev = g->prev;
        g->receiver = NULL;
}

/* Starts the count of what was taken at zero, for a holder that starts at zero too. */
static inline void ptl_grant_show_taken(const struct ptl_grant *g)
{
        bool claimed = ptl_right_is_claimed(g->number);
        _Atomic uint64_t *word =
                ptl_outbox_taken(&g->peer->link.mine, claimed) + ptl_right_index(g->number);

        /* E6 (rights.md): what was taken is taken before the sender counts it so */
        ptl_store_release(word, (uint64_t)g->taken_units << 32 | g->taken);
}

/* A send-once right to @receiver; NULL: the table is full. It has no window: nothing is counted. */
PTL_ALWAYS_INLINE struct ptl_grant *ptl_grant_once(struct ptl_peer *peer, struct ptl_receiver *receiver)
{
        struct ptl_grant *g = peer->spare;

        if (PTL_LIKELY(g && g->receiver == receiver))
                peer->spare = NULL;
        else if (!(g = ptl_grant_fresh_once(peer, receiver)))
                return NULL;
        g->kind = PTL_GRANT_ONCE;
        g->references = 1;
        g->serial++;
        return g;
}

/* Ends a grant: the index is free, what still arrives through it is destroyed. */
static inline void ptl_grant_free(struct ptl_grant *g)
{
        bool claimed = ptl_right_is_claimed(g->number);

        ptl_grant_detach(g);
        if (PTL_UNLIKELY(g->marks)) {
                /* On the list of things to tell: freed when that list comes to it. */
                g->references = 0;
                return;
        }
        g->kind = PTL_GRANT_FREE;
        if (PTL_UNLIKELY(claimed)) { /* the holder chooses when this index is used again */
                ptl_quota_give(g->peer, PTL_QUOTA_RIGHTS, 1);
                return;
        }
        g->generation++;
        ptl_table_give(&g->peer->granted, ptl_right_index(g->number));
}

/* The answer to a call came through @g, which is used up: kept for the next call on that port. */
static inline void ptl_grant_answered(struct ptl_grant *g)
{
        struct ptl_peer *peer = g->peer;

        if (PTL_UNLIKELY(g->marks || peer->spare)) {
                ptl_grant_free(g);
                return;
        }
        g->kind = PTL_GRANT_FREE;
        g->generation++;
        peer->spare = g;
}

/* The program has dequeued a message of @units that came through it. */
static inline void ptl_grant_taken(struct ptl_grant *g, uint32_t units)
{
        struct ptl_link *link = &g->peer->link;

        if (PTL_UNLIKELY(!link->peer.base))
                return;
        g->taken++;
        g->taken_units += units;
        ptl_grant_show_taken(g);
        /* A sender that sleeps for the window is not missed once in a quarter of it, which leaves it
         * room enough; and mostly not in between either. */
        if (g->taken - g->fenced >= g->limit_messages / 4 || g->taken == g->arrived) {
                g->fenced = g->taken;
                ptl_fence_seq_cst(); /* E3 */
        }
        if (PTL_UNLIKELY(ptl_bell_room_due(&ptl_outbox_head(&link->peer)->bell, &link->ringer)))
                ptl_link_ring(link);
}

