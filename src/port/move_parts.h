/* SPDX-License-Identifier: Apache-2.0 */
/* port/move_parts.h - what the files of the old receiver share (moving.h): move.c, stage.c, staged.c, depart.c */
#pragma once
#include "port/moving.h"

enum {
        PTL_PACKED_FROM = 256, /* bytes of a message: more go in the region beside the ring, if there is one */
        PTL_OWN_NUMBER = 1,    /* of this task's own send right, as a holder; then those of its send-once rights */
};

static inline struct ptl_task_id ptl_move_task_of(const struct ptl_peer *peer) { return peer->link.identity.task; }

static inline bool ptl_move_takes(const struct ptl_move *m, const struct ptl_receiver *r)
{
        for (uint32_t i = 0; i < m->count; i++)
                if (m->ports[i].receiver == r)
                        return true;
        return false;
}

static inline bool ptl_move_is_marked(const struct ptl_grant *g)
{
        const _Atomic uint64_t *word = ptl_taken_word(&ptl_grant_peer(g)->link, ptl_grant_index(g));

        return ptl_load_relaxed(word) == ptl_word_marked(); /* relaxed: our own */
}

/* The first, and the one after @g. */
static inline struct ptl_grant *ptl_move_first(const struct ptl_move *m, const struct ptl_receiver *r)
{
        return ptl_grant_at(m->space, r->grants);
}
static inline struct ptl_grant *ptl_move_after(const struct ptl_move *m, const struct ptl_grant *g)
{
        return ptl_grant_at(m->space, g->next);
}

/* Do its bytes lie in the region with others', if there is one? */
static inline bool ptl_move_packs(const struct ptl_queued *q)
{
        return q->size > PTL_PACKED_FROM && q->bytes != PTL_BYTES_REGION;
}

static inline bool ptl_move_is_thirds(const struct ptl_move *m, const struct ptl_peer *owner)
{
        return owner && owner != m->to && ptl_link_state(&owner->link) != PTL_LINK_DEAD;
}

/* There is room: ptl_move_room(). */
static inline int ptl_move_put(struct ptl_peer *to, enum ptl_frame_kind kind, const struct ptl_frame_head *head, const void *body,
               uint32_t length)
{
        return ptl_control_write(&to->link, kind, head, body, length);
}

/* A right to one of the ports that this task gives the new receiver, which is a holder by that: its ticket is filled. */
PTL_MUST_CHECK int ptl_move_put_given(struct ptl_move *move, const struct ptl_receiver *receiver, bool once,
                                      uint64_t *ret_ticket);

/* Has every holder's word been marked? Else one came, or went, while the rings were read. */
bool ptl_move_all_are_marked(const struct ptl_move *move);
