/* SPDX-License-Identifier: Apache-2.0 */
/* port/grant_inline.h - the part of port/grant.c that every call runs through */
#pragma once
#include "port/peer.h"
#include "port/receiver.h"

/* What the program has dequeued of the messages that came through a right; units modulo 2^31 (wire/move.h). */
struct ptl_taken {
        uint32_t messages, units;
};

static inline uint32_t ptl_units_queued(const struct ptl_grant *g, struct ptl_taken taken)
{
        return (g->arrived_units - taken.units) & PTL_WORD_UNITS_MASK;
}

/* Its word in our outbox, for a number with or without its generation: the two tables lie side by side. */
static inline _Atomic uint64_t *ptl_taken_word(const struct ptl_link *link, uint32_t right)
{
        _Static_assert(PTL_OUTBOX_CLAIMED == PTL_OUTBOX_TAKEN + PTL_RIGHT_CLAIMED * sizeof(uint64_t), "layout");
        return ptl_outbox_taken(&link->mine, false) + (right & (PTL_RIGHT_CLAIMED | PTL_RIGHT_INDEX_MAX));
}

/* Its port is about to move: what was taken is kept elsewhere (port/moving.h). */
static inline bool ptl_taken_is_marked(const struct ptl_link *link, uint32_t right)
{
        return ptl_load_relaxed(ptl_taken_word(link, right)) & PTL_WORD_MOVES; /* relaxed: we alone store it */
}

/* These two are all that reads and writes the word of a right whose port stays: it is OPEN. Of a send-once right there
 * is none. */
static inline struct ptl_taken ptl_taken_load(const struct ptl_link *link, uint32_t right)
{
        uint64_t word = ptl_load_relaxed(ptl_taken_word(link, right)); /* relaxed: we alone store it */

        return (struct ptl_taken){(uint32_t)word, (uint32_t)(word >> 32)};
}

static inline void ptl_taken_store(const struct ptl_link *link, uint32_t right, struct ptl_taken taken)
{
        /* E6 (rights.md): what was taken is taken before the sender counts it so */
        ptl_store_release(ptl_taken_word(link, right), ptl_word_open(taken.messages, taken.units));
}

/* A grant in the lists of receivers: its chunk's id and its place. */
static inline uint32_t ptl_grant_id(const struct ptl_grant *g)
{
        return ptl_grant_chunk(g)->id * PTL_TABLE_CHUNK + g->place;
}

static inline struct ptl_grant *ptl_grant_at(const struct ptl_space *space, uint32_t id)
{
        struct ptl_grant **first = ptl_table_at(&space->grant_chunks, id / PTL_TABLE_CHUNK);

        return first ? *first + id % PTL_TABLE_CHUNK : NULL;
}

static inline void ptl_grant_attach(struct ptl_space *space, struct ptl_grant *g, struct ptl_receiver *receiver)
{
        struct ptl_grant *next = ptl_grant_at(space, receiver->grants);
        uint32_t id = ptl_grant_id(g);

        g->receiver = receiver;
        g->next = receiver->grants;
        g->previous = 0;
        if (next)
                next->previous = id;
        receiver->grants = id;
}

static inline void ptl_grant_detach(struct ptl_space *space, struct ptl_grant *g)
{
        struct ptl_grant *next, *previous;

        if (!g->receiver)
                return;
        next = ptl_grant_at(space, g->next);
        previous = ptl_grant_at(space, g->previous);
        if (next)
                next->previous = g->previous;
        if (previous)
                previous->next = g->next;
        else
                g->receiver->grants = g->next;
        g->receiver = NULL;
}

/* A send-once right to @receiver: its number; 0: the table is full. It has no window: nothing is counted. */
PTL_ALWAYS_INLINE uint32_t ptl_grant_once(struct ptl_peer *peer, struct ptl_receiver *receiver,
                                          struct ptl_grant **ret_grant)
{
        struct ptl_grant *g = peer->spare;
        uint32_t right = peer->spare_right;

        if (PTL_LIKELY(g && g->receiver == receiver))
                peer->spare = NULL;
        else if (!(g = ptl_grant_fresh_once(peer, receiver)))
                return 0;
        else
                right = ptl_grant_right(g);
        g->kind = PTL_GRANT_ONCE;
        g->references = 1;
        g->serial++;
        *ret_grant = g;
        return right;
}

/* Ends a grant: the index is free, what still arrives through it is destroyed. */
static inline void ptl_grant_free(struct ptl_grant *g)
{
        struct ptl_peer *peer = ptl_grant_peer(g);
        uint32_t index = ptl_grant_index(g);

        ptl_grant_detach(peer->space, g);
        if (PTL_UNLIKELY(g->marks)) {
                /* On the list of things to tell: freed when that list comes to it. */
                g->references = 0;
                return;
        }
        g->kind = PTL_GRANT_FREE;
        if (PTL_UNLIKELY(ptl_right_is_claimed(index))) { /* the holder chooses when this one is used again */
                ptl_quota_give(peer, PTL_QUOTA_RIGHTS, 1);
                return;
        }
        g->generation++;
        ptl_table_give(&peer->granted, index);
}

/* The answer to a call came through @g, whose number is @right, and which is used up: kept for the next call on that
 * port. */
static inline void ptl_grant_answered(struct ptl_peer *peer, struct ptl_grant *g, uint32_t right)
{
        if (PTL_UNLIKELY(g->marks || peer->spare)) {
                ptl_grant_free(g);
                return;
        }
        g->kind = PTL_GRANT_FREE;
        g->generation++;
        peer->spare = g;
        peer->spare_right = right + (1u << PTL_RIGHT_GENERATION_SHIFT); /* modulo 2^32, as generations count */
}

/* Of a window of @limit messages: about a quarter, a power of two. */
static inline uint32_t ptl_window_quarter(uint32_t limit)
{
        return 1u << (31 - __builtin_clz(limit / 4 | 1));
}

/* The program has dequeued @messages of @units in all that came through @g, whose number is @right. */
static inline void ptl_grant_took(struct ptl_peer *peer, uint32_t right, const struct ptl_grant *g, uint32_t messages,
                                  uint32_t units)
{
        struct ptl_link *link = &peer->link;
        struct ptl_taken then, now;

        if (PTL_UNLIKELY(!link->peer.base))
                return;
        then = ptl_taken_load(link, right);
        now = (struct ptl_taken){then.messages + messages, then.units + units};
        ptl_taken_store(link, right, now);
        /* A sender that sleeps for the window is not missed once in a quarter of it, which leaves it
         * room enough; and mostly not in between either. */
        if ((then.messages ^ now.messages) >= ptl_window_quarter(g->limit_messages) || now.messages == g->arrived)
                ptl_fence_seq_cst(); /* E3 */
        if (PTL_UNLIKELY(ptl_bell_room_due(&ptl_outbox_head(&link->peer)->bell, &link->ringer)))
                ptl_link_ring(link);
}
