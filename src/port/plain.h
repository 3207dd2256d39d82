/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port/plain.h - plain frames: bytes in the ring, for the port that is waited for
 *
 * What most messages are, from the ring to the program in one go. Each function does all or nothing:
 * what is not plain about a frame, lies included, is left in the ring for ptl_deliver() to judge. The
 * space's lock is held, and the caller is the leader or nobody leads.
 */
#pragma once
#include "port/moving.h"
#include <string.h>

/* A message within its window? A reply right has none. One more than the window may come, the message that
 * may be left with the port; and one may be larger than the window of bytes, which with another left behind
 * it makes two. */
static inline bool ptl_grant_may_arrive(const struct ptl_peer *peer, uint32_t right, const struct ptl_grant *g)
{
        struct ptl_taken taken;
        uint32_t queued;

        if (g->kind == PTL_GRANT_ONCE)
                return true;
        taken = PTL_UNLIKELY(ptl_taken_is_marked(&peer->link, right)) ? ptl_stub_taken(peer, right)
                                                                      : ptl_taken_load(&peer->link, right);
        queued = g->arrived - taken.messages;
        return queued <= g->limit_messages && (queued < 2 || ptl_units_queued(g, taken) <= g->limit_units);
}

static inline void ptl_grant_arrived(struct ptl_grant *g, uint32_t units)
{
        if (g->kind == PTL_GRANT_ONCE)
                return;
        g->arrived++;
        g->arrived_units += units;
}

/* A kind or a reply right that no correct peer sends. */
static inline bool ptl_message_is_odd(uint32_t kind, uint32_t reply)
{
        return kind & PTL_KIND_LIBRARY || (reply && !ptl_right_is_granted(reply));
}

static inline uint32_t ptl_plain_right(const struct ptl_ring_plain *p) { return (uint32_t)p->rights; }
static inline uint32_t ptl_plain_token(const struct ptl_ring_plain *p) { return (uint32_t)(p->rights >> 32); }
static inline uint32_t ptl_plain_kind(const struct ptl_ring_plain *p) { return (uint32_t)(p->counts >> 32); }

/* The right it comes through, unless something about it is for message() in deliver.c to judge: a kind or
 * a reply right that no program sends, no window. */
static inline struct ptl_grant *ptl_plain_grant(struct ptl_peer *peer, const struct ptl_ring_plain *p)
{
        struct ptl_grant *g = ptl_grant_find(peer, ptl_plain_right(p));

        if (PTL_UNLIKELY(!g || !ptl_grant_may_arrive(peer, ptl_plain_right(p), g) ||
                         ptl_message_is_odd(ptl_plain_kind(p), ptl_plain_token(p))))
                return NULL;
        return g;
}

/* Read in place, it needs no memory of ours. opaque: NULL, the peer, the hold's slot, the epoch. */
static inline bool ptl_plain_hold(struct ptl_peer *peer, const struct ptl_ring_plain *p, uint64_t position,
                                  struct ptl_message *m)
{
        int hold = p->length ? ptl_hold_begin(&peer->link, position) : -1;

        if (PTL_UNLIKELY(hold < 0))
                return false;
        m->data = p->body;
        m->in_place = 1;
        m->opaque[0] = NULL;
        m->opaque[1] = peer;
        m->opaque[2] = (void *)(intptr_t)hold;
        m->opaque[3] = (void *)(uintptr_t)peer->space->epoch;
        return true;
}

/* Is a message without a cell one that is read in place, and of this life of the process? */
static inline bool ptl_plain_is_held(const struct ptl_space *space, const struct ptl_message *m)
{
        return m->opaque[1] && (uint32_t)(uintptr_t)m->opaque[3] == space->epoch;
}

/* The program is done with it. */
static inline void ptl_plain_release(struct ptl_message *m)
{
        struct ptl_peer *peer = m->opaque[1];

        ptl_hold_end(&peer->link, (unsigned)(intptr_t)m->opaque[2]);
        ptl_peer_unref(peer);
}

/* Copied into a cell. opaque: the cell. */
static inline bool ptl_plain_copy(struct ptl_peer *peer, const struct ptl_ring_plain *p, struct ptl_message *m)
{
        struct ptl_queued *q = ptl_queued_opened(peer->space, peer, p->length);

        if (PTL_UNLIKELY(!q))
                return false;
        ptl_copy_small(q->cell, p->body, p->length);
        m->data = q->cell;
        m->in_place = 0;
        m->opaque[0] = q;
        return true;
}

/**
 * ptl_plain_give - a plain frame becomes the program's
 * @g:        the right it came through, as ptl_plain_grant() found it; its port has an empty queue
 * @position: of the frame
 * @m:        filled on success
 *
 * Return: false if there is no cell, or no more can be read in place: nothing was done.
 */
static inline bool ptl_plain_give(struct ptl_peer *peer, struct ptl_grant *g, const struct ptl_ring_plain *p,
                                  uint64_t position, bool in_place, struct ptl_message *m)
{
        struct ptl_receiver *receiver = g->receiver;
        uint32_t token = ptl_plain_token(p);

        if (PTL_UNLIKELY(!(in_place ? ptl_plain_hold(peer, p, position, m) : ptl_plain_copy(peer, p, m))))
                return false;
        ptl_peer_ref(peer);
        m->size = p->length;
        m->port = receiver->internal ? PTL_NULL : receiver->name;
        m->reply = token ? ptl_held_once(peer, token) : PTL_NULL;
        m->kind = ptl_plain_kind(p);
        m->n_rights = m->n_regions = 0;
        m->rights = NULL;
        m->regions = NULL;
        m->sender = &peer->link.identity;
        receiver->received++;
        return true;
}

/* It has left the ring through @g. */
static inline void ptl_plain_count(struct ptl_peer *peer, uint32_t right, struct ptl_grant *g, uint32_t length)
{
        if (PTL_UNLIKELY(g->kind == PTL_GRANT_ONCE)) {
                ptl_grant_free(g);
                return;
        }
        ptl_grant_arrived(g, ptl_units(length));
        ptl_grant_took(peer, right, g, 1, ptl_units(length));
}

static inline void ptl_plain_leave(struct ptl_link *link, const struct ptl_ring_plain *p)
{
        ptl_ring_advance_plain(&link->rx, p);
        link->frames_received++;
        ptl_link_consume(link);
}

/* The next frame into @m, if it is plain and for @receiver, whose queue is empty. */
static inline bool ptl_plain_take(struct ptl_peer *peer, const struct ptl_receiver *receiver,
                                  bool in_place, struct ptl_message *m)
{
        struct ptl_ring_plain p;
        struct ptl_grant *g;

        if (PTL_UNLIKELY(!ptl_ring_peek_plain(&peer->link.rx, &p)))
                return false;
        g = ptl_plain_grant(peer, &p);
        if (PTL_UNLIKELY(!g || g->receiver != receiver ||
                         !ptl_plain_give(peer, g, &p, peer->link.rx.position, in_place, m)))
                return false;
        ptl_plain_count(peer, ptl_plain_right(&p), g, p.length);
        ptl_plain_leave(&peer->link, &p);
        if (!ptl_plain_token(&p))
                ptl_ring_prefetch_ahead(&peer->link.rx);
        return true;
}

/* The next frame, if it is the plain answer through the send-once right that was minted. */
static inline bool ptl_plain_peek_answer(const struct ptl_minted *minted, struct ptl_ring_plain *ret)
{
        const struct ptl_grant *g = minted->grant;

        return PTL_LIKELY(ptl_ring_peek_plain(&minted->peer->link.rx, ret) && ret->rights == minted->right &&
                          g->kind == PTL_GRANT_ONCE && ptl_grant_is(g, minted->right) &&
                          !(ptl_plain_kind(ret) & PTL_KIND_LIBRARY));
}

/* It has left the ring, and the right it came through is used up. */
static inline void ptl_plain_leave_answer(const struct ptl_minted *minted, const struct ptl_ring_plain *p)
{
        ptl_grant_answered(minted->peer, minted->grant, minted->right);
        ptl_plain_leave(&minted->peer->link, p);
}

/**
 * ptl_plain_take_answer - the next frame, if it is the plain answer through the send-once right @minted
 * @room:     of @to
 * @ret_size: filled on success: the answer's, of which at most @room bytes were copied
 */
static inline bool ptl_plain_take_answer(const struct ptl_minted *minted, void *to, size_t room, size_t *ret_size)
{
        struct ptl_ring_plain p;

        if (PTL_UNLIKELY(!ptl_plain_peek_answer(minted, &p)))
                return false;
        ptl_copy_small(to, p.body, p.length < room ? p.length : room);
        *ret_size = p.length;
        ptl_plain_leave_answer(minted, &p);
        return true;
}

/* The same as a message. */
static inline bool ptl_plain_take_answer_message(const struct ptl_minted *minted, bool in_place, struct ptl_message *m)
{
        struct ptl_peer *peer = minted->peer;
        struct ptl_ring_plain p;

        if (PTL_UNLIKELY(!ptl_plain_peek_answer(minted, &p) ||
                         !ptl_plain_give(peer, minted->grant, &p, peer->link.rx.position, in_place, m)))
                return false;
        ptl_plain_leave_answer(minted, &p);
        return true;
}
