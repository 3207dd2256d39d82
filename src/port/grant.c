/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port/grant.c - rights to our ports that a peer holds (peer.h)
 *
 * FREE → granted (SEND, ONCE) → the holder gives every reference back, or uses the ONCE up → FREE.
 * Killing the port or abandoning the call in between only clears `receiver`: the index stays taken, so
 * a late frame can never meet another right (docs/protocol/rights.md, R3).
 */
#include "port/peer.h"
#include "port/receiver.h"

static struct ptl_table *table_of(struct ptl_peer *peer, bool claimed)
{
        return claimed ? &peer->claimed : &peer->granted;
}

static void attach(struct ptl_grant *g, struct ptl_receiver *receiver)
{
        g->receiver = receiver;
        g->next = receiver->grants;
        g->prev = &receiver->grants;
        if (g->next)
                g->next->prev = &g->next;
        receiver->grants = g;
}

static void detach(struct ptl_grant *g)
{
        if (!g->receiver)
                return;
        *g->prev = g->next;
        if (g->next)
                g->next->prev = g->prev;
        g->receiver = NULL;
}

/* The words that say how much was taken are reserved a page at a time. */
static bool reserve_taken(struct ptl_peer *peer, uint32_t index, bool claimed)
{
        enum { A_PAGE = 4096 / sizeof(uint64_t) };
        uint64_t base = claimed ? PTL_OUTBOX_CLAIMED : PTL_OUTBOX_TAKEN;

        return index < A_PAGE || index % A_PAGE ||
               !ptl_outbox_reserve(&peer->link.mine, base + index * sizeof(uint64_t), 4096);
}

static void start(struct ptl_grant *g, struct ptl_peer *peer, uint32_t number,
                  enum ptl_grant_kind kind, struct ptl_receiver *receiver)
{
        g->number = number;
        g->kind = (uint8_t)kind;
        g->marks = 0;
        g->references = 1;
        g->arrived = g->arrived_units = g->taken = g->taken_units = 0;
        g->limit_messages = receiver ? receiver->limit_messages : 0;
        g->limit_units = receiver ? receiver->limit_units : 0;
        g->peer = peer;
        if (receiver)
                attach(g, receiver);
        else
                g->receiver = NULL;
}

/* Starts the count of what was taken at zero, for a holder that starts at zero too. */
static void show_taken(const struct ptl_grant *g)
{
        bool claimed = ptl_right_is_claimed(g->number);
        _Atomic uint64_t *word =
                ptl_outbox_taken(&g->peer->link.mine, claimed) + ptl_right_index(g->number);

        /* E6 (rights.md): what was taken is taken before the sender counts it so */
        ptl_store_release(word, (uint64_t)g->taken_units << 32 | g->taken);
}

static struct ptl_grant *grant_new(struct ptl_peer *peer, struct ptl_receiver *receiver,
                                   enum ptl_grant_kind kind)
{
        uint32_t index = ptl_table_take(&peer->granted);
        struct ptl_grant *g = ptl_table_at(&peer->granted, index);

        if (PTL_UNLIKELY(!g))
                return NULL;
        if (PTL_UNLIKELY(!reserve_taken(peer, index, false))) {
                ptl_table_give(&peer->granted, index);
                return NULL;
        }
        start(g, peer, index, kind, receiver);
        return g;
}

static struct ptl_grant *find_send(struct ptl_peer *peer, const struct ptl_receiver *receiver)
{
        for (struct ptl_grant *g = receiver->grants; g; g = g->next)
                if (g->peer == peer && g->kind == PTL_GRANT_SEND && !ptl_right_is_claimed(g->number))
                        return g;
        return NULL;
}

uint32_t ptl_grant_send(struct ptl_peer *peer, struct ptl_receiver *receiver)
{
        struct ptl_grant *g = find_send(peer, receiver);

        if (g) {
                g->references++;
                return ptl_grant_right(g);
        }
        g = grant_new(peer, receiver, PTL_GRANT_SEND);
        if (!g)
                return 0;
        show_taken(g);
        return ptl_grant_right(g);
}

uint32_t ptl_grant_once(struct ptl_peer *peer, struct ptl_receiver *receiver)
{
        struct ptl_grant *g = grant_new(peer, receiver, PTL_GRANT_ONCE);

        return PTL_LIKELY(g != NULL) ? ptl_grant_right(g) : 0;
}

int ptl_grant_claim(struct ptl_peer *peer, uint32_t index, struct ptl_receiver *receiver)
{
        struct ptl_grant *g;

        if (index == 0 || !ptl_table_ensure(&peer->claimed, index))
                return PTL_E_MALFORMED;
        g = ptl_table_at(&peer->claimed, index);
        if (g->kind != PTL_GRANT_FREE || !reserve_taken(peer, index, true))
                return PTL_E_MALFORMED;
        g->generation = 0; /* claimed numbers carry none: the holder's ring orders their reuse */
        start(g, peer, index | PTL_RIGHT_CLAIMED, PTL_GRANT_SEND, receiver);
        show_taken(g);
        ptl_grant_mark(g, receiver ? PTL_MARK_CONFIRM : PTL_MARK_DEAD);
        return 0;
}

void ptl_grant_abandon(struct ptl_grant *g) { detach(g); }

void ptl_grant_free(struct ptl_grant *g)
{
        bool claimed = ptl_right_is_claimed(g->number);

        detach(g);
        if (PTL_UNLIKELY(g->marks)) {
                /* On the list of things to tell: freed when that list comes to it. */
                g->references = 0;
                return;
        }
        g->kind = PTL_GRANT_FREE;
        if (claimed)
                return; /* the holder chooses when this index is used again */
        g->generation++;
        ptl_table_give(table_of(g->peer, claimed), ptl_right_index(g->number));
}

void ptl_grant_release(struct ptl_grant *g, uint32_t count)
{
        if (count < g->references) {
                g->references -= count;
                return;
        }
        if (g->kind == PTL_GRANT_ONCE && g->receiver)
                ptl_notify(g->peer->space, g->receiver->name, PTL_NOTIFY_SEND_ONCE, 0, NULL);
        ptl_grant_free(g);
}

void ptl_grant_taken(struct ptl_grant *g, uint32_t units)
{
        struct ptl_link *link = &g->peer->link;
        uint32_t step = g->limit_messages / 4;

        if (PTL_UNLIKELY(!link->peer.base))
                return;
        g->taken++;
        g->taken_units += units;
        show_taken(g);
        /* A sender that sleeps for the window is not missed once in a quarter of it, which leaves it
         * room enough; and mostly not in between either. */
        if (step <= 1 || g->taken % step == 0)
                ptl_fence_seq_cst(); /* E3 */
        if (PTL_UNLIKELY(ptl_bell_room_due(&ptl_outbox_head(&link->peer)->bell, &link->ringer)))
                ptl_link_ring(link);
}

void ptl_grant_mark(struct ptl_grant *g, unsigned mark)
{
        struct ptl_peer *peer = g->peer;

        if (!g->marks) {
                uint32_t *head = &peer->pending_grants[ptl_right_is_claimed(g->number)];

                g->pending_next = *head;
                *head = ptl_right_index(g->number);
        }
        g->marks |= (uint8_t)mark;
}
