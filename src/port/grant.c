/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port/grant.c - rights to our ports that a peer holds (peer.h)
 *
 * FREE → granted (SEND, ONCE) → the holder gives every reference back, or uses the ONCE up → FREE.
 * Killing the port or abandoning the call in between only clears `receiver`: the index stays taken, so
 * a late frame can never meet another right (docs/protocol/rights.md, R3).
 */
#include "port/peer.h"
#include "port/grant_inline.h"
#include "port/receiver.h"
#include "port/senders.h"

/* The words that say how much was taken are reserved a page at a time. */
static bool reserve_taken(struct ptl_peer *peer, uint32_t index, bool claimed)
{
        enum { A_PAGE = 4096 / sizeof(uint64_t) };
        uint64_t base = claimed ? PTL_OUTBOX_CLAIMED : PTL_OUTBOX_TAKEN;

        uint32_t page = index / A_PAGE;
        uint8_t *bits = &peer->taken_reserved[claimed][page / 8];

        if (page == 0 || *bits >> page % 8 & 1) /* page 0 from the beginning */
                return true;
        if (ptl_outbox_reserve(&peer->link.mine, base + (uint64_t)page * 4096, 4096))
                return false;
        *bits |= (uint8_t)(1u << page % 8);
        return true;
}

static struct ptl_grant *find_send(struct ptl_peer *peer, const struct ptl_receiver *receiver)
{
        for (struct ptl_grant *g = receiver->grants; g; g = g->next)
                if (g->peer == peer && g->kind == PTL_GRANT_SEND && !ptl_right_is_claimed(g->number))
                        return g;
        return NULL;
}

static void start(struct ptl_grant *g, struct ptl_peer *peer, uint32_t number,
                  struct ptl_receiver *receiver, enum ptl_grant_kind kind)
{
        g->number = number;
        g->kind = (uint8_t)kind;
        g->marks = 0;
        g->references = 1;
        g->serial++;
        g->arrived = g->arrived_units = g->taken = g->taken_units = g->fenced = 0;
        g->limit_messages = receiver ? receiver->limit_messages : 0;
        g->limit_units = receiver ? receiver->limit_units : 0;
        g->peer = peer;
        g->receiver = NULL;
        if (!receiver)
                return;
        ptl_grant_attach(g, receiver);
        if (kind == PTL_GRANT_SEND)
                ptl_senders_add(peer->space, receiver);
}

static struct ptl_grant *grant_new(struct ptl_peer *peer, struct ptl_receiver *receiver)
{
        uint32_t index = ptl_table_take(&peer->granted);
        struct ptl_grant *g = ptl_table_at(&peer->granted, index);

        if (!g)
                return NULL;
        if (!reserve_taken(peer, index, false)) {
                ptl_table_give(&peer->granted, index);
                return NULL;
        }
        start(g, peer, index, receiver, PTL_GRANT_SEND);
        return g;
}

void ptl_grant_drop_spare(struct ptl_peer *peer)
{
        struct ptl_grant *g = peer->spare;

        if (!g)
                return;
        peer->spare = NULL;
        ptl_grant_detach(g);
        ptl_table_give(&peer->granted, g->number);
}

struct ptl_grant *ptl_grant_fresh_once(struct ptl_peer *peer, struct ptl_receiver *receiver)
{
        struct ptl_grant *g;
        uint32_t index;

        ptl_grant_drop_spare(peer);
        index = ptl_table_take(&peer->granted);
        g = ptl_table_at(&peer->granted, index);
        if (PTL_UNLIKELY(!g))
                return NULL;
        g->number = index;
        g->marks = 0;
        g->peer = peer;
        ptl_grant_attach(g, receiver);
        return g;
}

uint32_t ptl_grant_send(struct ptl_peer *peer, struct ptl_receiver *receiver)
{
        struct ptl_grant *g = find_send(peer, receiver);

        if (g) {
                g->references++;
                return ptl_grant_right(g);
        }
        g = grant_new(peer, receiver);
        if (!g)
                return 0;
        ptl_grant_show_taken(g);
        return ptl_grant_right(g);
}

/* Too many rights, or too much left behind by rights that were given back: the limit's number, or 0. */
static uint32_t claim_refused(struct ptl_peer *peer)
{
        uint32_t refused = ptl_quota_refuses(peer, PTL_QUOTA_RIGHTS);

        return refused ? refused : ptl_quota_refuses(peer, PTL_QUOTA_ORPHANS);
}

/* The index is the peer's choice. It is told whether there is a right. */
static int claim(struct ptl_peer *peer, uint32_t right, struct ptl_receiver *receiver, enum ptl_grant_kind kind,
                 struct ptl_grant **ret_grant)
{
        uint32_t index = ptl_right_index(right);
        struct ptl_grant *g;
        uint32_t refused = receiver ? claim_refused(peer) : 0;
        uint8_t pending;

        if (refused)
                receiver = NULL;
        if (!ptl_right_is_granted(right) || !ptl_table_ensure(&peer->claimed, index))
                return PTL_E_MALFORMED;
        g = ptl_table_at(&peer->claimed, index);
        /* One that was given back may still stand on the list of what is to be told. */
        pending = g->marks;
        if ((g->kind != PTL_GRANT_FREE && !(pending && g->references == 0)) ||
            !reserve_taken(peer, index, true))
                return PTL_E_MALFORMED;
        if (g->kind == PTL_GRANT_FREE) /* else it still counts */
                ptl_quota_charge(peer, PTL_QUOTA_RIGHTS, 1);
        g->generation = (uint16_t)ptl_right_generation(right);
        start(g, peer, index | PTL_RIGHT_CLAIMED, receiver, kind);
        g->limit_units = receiver ? g->limit_units : refused; /* ptl_grant_refused() */
        g->marks = pending ? PTL_MARK_WINDOW : 0; /* harmless beside what is marked next */
        ptl_grant_show_taken(g);
        ptl_grant_mark(g, receiver ? PTL_MARK_CONFIRM : PTL_MARK_DEAD);
        *ret_grant = g;
        return 0;
}

int ptl_grant_claim(struct ptl_peer *peer, uint32_t right, struct ptl_receiver *receiver)
{
        struct ptl_grant *g;
        int r = claim(peer, right, receiver, PTL_GRANT_SEND, &g);

        if (!r && g->receiver)
                ptl_receiver_entry(peer->space, g->receiver)->made++;
        return r;
}

int ptl_grant_redeem(struct ptl_peer *peer, uint32_t right, struct ptl_receiver *receiver,
                     enum ptl_grant_kind kind, struct ptl_grant **ret_grant)
{
        return claim(peer, right, receiver, kind, ret_grant);
}

int ptl_grant_park(struct ptl_peer *peer, uint32_t right)
{
        struct ptl_grant *g;
        int r = claim(peer, right, NULL, PTL_GRANT_SEND, &g);

        if (r)
                return r;
        g->kind = PTL_GRANT_PARKED;
        g->marks = PTL_MARK_WINDOW; /* it is on the list of what is to be told already: harmless there */
        return 0;
}

void ptl_grant_unpark(struct ptl_grant *g)
{
        g->kind = PTL_GRANT_FREE;
        ptl_quota_give(g->peer, PTL_QUOTA_RIGHTS, 1); /* claimed anew at once */
}

uint32_t ptl_grant_same(const struct ptl_grant *grant)
{
        const unsigned unanswered = PTL_MARK_CONFIRM | PTL_MARK_SAME; /* redeemed: the peer keeps it from use */
        uint32_t merged = 0;

        for (const struct ptl_grant *g = grant->receiver ? grant->receiver->grants : NULL; g; g = g->next) {
                if (g == grant || g->peer != grant->peer || g->kind != PTL_GRANT_SEND || !g->references ||
                    (g->marks & unanswered) == unanswered)
                        continue;
                if (!(g->marks & PTL_MARK_MERGED))
                        return ptl_grant_right(g);
                merged = ptl_grant_right(g); /* unless what it was to be merged with was gone */
        }
        return merged;
}

void ptl_grant_abandon(struct ptl_grant *g) { ptl_grant_detach(g); }

/* What is queued still is no window's any more: from now on the peer has it in all. Another serial, so that
 * it is known for that when it is taken. */
static void leave_orphans(struct ptl_grant *g)
{
        uint64_t cost;

        if (g->kind != PTL_GRANT_SEND || !g->receiver)
                return;
        cost = ptl_orphan_cost(g->arrived - g->taken, g->arrived_units - g->taken_units);
        g->peer->orphans += cost;
        ptl_quota_charge(g->peer, PTL_QUOTA_ORPHANS, cost * 64);
        g->serial++;
}

void ptl_grant_revoke(struct ptl_grant *g)
{
        if (--g->references)
                return;
        if (g->kind == PTL_GRANT_SEND && g->receiver)
                ptl_senders_undo(g->peer->space, g->receiver);
        ptl_grant_free(g);
}

void ptl_grant_release(struct ptl_grant *g, uint32_t count)
{
        struct ptl_space *space = g->peer->space;
        struct ptl_receiver *r = g->receiver;
        bool was_send = g->kind == PTL_GRANT_SEND;

        if (count < g->references) {
                g->references -= count;
                return;
        }
        g->marks &= (uint8_t)~PTL_MARK_MERGED;
        leave_orphans(g);
        ptl_grant_free(g);
        if (r && was_send)
                ptl_senders_gone(space, r);
        else if (r)
                ptl_notify(space, r->name, PTL_NOTIFY_SEND_ONCE, 0, NULL);
}

void ptl_grant_mark(struct ptl_grant *g, unsigned mark)
{
        struct ptl_peer *peer = g->peer;

        if (!(g->marks & ~PTL_MARK_MERGED)) {
                uint32_t *head = &peer->pending_grants[ptl_right_is_claimed(g->number)];

                g->pending_next = *head;
                *head = ptl_right_index(g->number);
        }
        g->marks |= (uint8_t)mark;
        ptl_control_set_pending(peer, true);
}
