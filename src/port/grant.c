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

/* The words that say how much was taken are reserved a page at a time. */
bool ptl_grant_reserve_taken(struct ptl_peer *peer, uint32_t index, bool claimed)
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

uint32_t ptl_grant_send(struct ptl_peer *peer, struct ptl_receiver *receiver)
{
        struct ptl_grant *g = find_send(peer, receiver);

        if (g) {
                g->references++;
                return ptl_grant_right(g);
        }
        g = ptl_grant_new(peer, receiver, PTL_GRANT_SEND);
        if (!g)
                return 0;
        ptl_grant_show_taken(g);
        return ptl_grant_right(g);
}

int ptl_grant_claim(struct ptl_peer *peer, uint32_t index, struct ptl_receiver *receiver)
{
        struct ptl_grant *g;
        uint8_t pending;

        if (index == 0 || !ptl_table_ensure(&peer->claimed, index))
                return PTL_E_MALFORMED;
        g = ptl_table_at(&peer->claimed, index);
        /* One that was given back may still stand on the list of what is to be told. */
        pending = g->marks;
        if ((g->kind != PTL_GRANT_FREE && !(pending && g->references == 0)) ||
            !ptl_grant_reserve_taken(peer, index, true))
                return PTL_E_MALFORMED;
        g->generation = 0; /* claimed numbers carry none: the holder's ring orders their reuse */
        ptl_grant_start(g, peer, index | PTL_RIGHT_CLAIMED, PTL_GRANT_SEND, receiver);
        g->marks = pending ? PTL_MARK_WINDOW : 0; /* harmless beside what is marked next */
        ptl_grant_show_taken(g);
        ptl_grant_mark(g, receiver ? PTL_MARK_CONFIRM : PTL_MARK_DEAD);
        return 0;
}

void ptl_grant_abandon(struct ptl_grant *g) { ptl_grant_detach(g); }

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
