/* SPDX-License-Identifier: Apache-2.0 */
/* port/given.c - rights to a peer's ports that we give on (handoff.h: the granter); what all roles share */
#include "port/handoff.h"
#include <string.h>

struct ptl_handoff *ptl_handoff_of(struct ptl_peer *peer)
{
        struct ptl_handoff *h = peer->handoff;

        if (h)
                return h;
        h = peer->handoff = calloc(1, sizeof *h);
        if (!h)
                return NULL;
        h->link = ++peer->space->handoffs;
        h->redeems_tail = &h->redeems;
        ptl_table_init(&h->given, sizeof(struct ptl_given), PTL_TICKETS_MAX + 1);
        return h;
}

void ptl_handoff_free(struct ptl_peer *peer)
{
        struct ptl_handoff *h = peer->handoff;

        if (!h)
                return;
        ptl_table_fini(&h->given);
        free(h->asks);
        free(h);
        peer->handoff = NULL;
}

/* --- giving --- */

static void drop_items(struct ptl_giving *giving, uint32_t count)
{
        for (uint32_t i = 0; i < count; i++)
                ptl_table_give(&giving->owner->handoff->given, ptl_ticket_index(giving->give.items[i].ticket));
}

static int take_items(struct ptl_handoff *h, struct ptl_giving *giving)
{
        for (uint32_t i = 0; i < giving->count; i++) {
                uint32_t index = ptl_table_take(&h->given);
                struct ptl_given *g = ptl_table_at(&h->given, index);

                if (!g) {
                        drop_items(giving, i);
                        return PTL_E_FULL;
                }
                giving->give.items[i].ticket = ptl_ticket_make(h->link, index, g->generation);
        }
        return 0;
}

static uint32_t length_of(const struct ptl_giving *giving)
{
        return (uint32_t)(sizeof(struct ptl_frame_give) + giving->count * sizeof(struct ptl_frame_give_item));
}

/* As data, it leaves the reserve to control frames. */
static int reserve(struct ptl_giving *giving)
{
        struct ptl_ring_writer *tx = &giving->owner->link.tx;
        int r = ptl_ring_reserve(tx, length_of(giving), PTL_RING_RESERVE, &giving->slot);

        if (r == PTL_E_FULL && !ptl_ring_grow(tx))
                r = ptl_ring_reserve(tx, length_of(giving), PTL_RING_RESERVE, &giving->slot);
        if (r == PTL_E_MALFORMED)
                ptl_link_accuse(&giving->owner->link); /* it ends, and the right with it */
        return r ? PTL_E_FULL : 0;
}

int ptl_given_reserve(struct ptl_peer *grantee, struct ptl_giving *giving)
{
        struct ptl_peer *owner = giving->owner;
        struct ptl_handoff *h = ptl_handoff_of(owner);
        int r;

        if (!h)
                return -ENOMEM;
        giving->give.grantee = grantee->link.identity.task;
        r = take_items(h, giving);
        if (r)
                return r;
        ptl_lock(&owner->link.lock);
        r = ptl_link_state(&owner->link) == PTL_LINK_OPEN ? reserve(giving) : PTL_E_FULL; /* H2 */
        ptl_unlock(&owner->link.lock);
        if (r)
                drop_items(giving, giving->count);
        return r;
}

void ptl_given_cancel(struct ptl_giving *giving) { drop_items(giving, giving->count); }

void ptl_given_commit(struct ptl_peer *grantee, struct ptl_giving *giving)
{
        struct ptl_link *link = &giving->owner->link;
        struct ptl_frame_give head = {.grantee = giving->give.grantee};

        for (uint32_t i = 0; i < giving->count; i++) {
                struct ptl_given *g = ptl_table_at(&giving->owner->handoff->given,
                                                   ptl_ticket_index(giving->give.items[i].ticket));

                g->used = true;
                g->withdraw = false;
                g->grantee = grantee;
        }
        ptl_lock(&link->lock);
        memcpy(giving->slot.body, &head, sizeof head);
        memcpy((char *)giving->slot.body + sizeof head, giving->give.items,
               giving->count * sizeof *giving->give.items);
        ptl_ring_publish(&link->tx, &giving->slot, PTL_FRAME_GIVE, length_of(giving),
                         &(struct ptl_frame_head){.right = 0});
        link->frames_sent++;
        ptl_link_bell(link);
        ptl_unlock(&link->lock);
}

/* --- and what becomes of it --- */

/* The element of a ticket whose low half a frame names, or NULL. */
static struct ptl_given *find(struct ptl_handoff *h, uint32_t low)
{
        struct ptl_given *g = h ? ptl_table_at(&h->given, ptl_ticket_index(low)) : NULL;

        return g && g->used && (uint32_t)ptl_ticket_make(0, ptl_ticket_index(low), g->generation) == low ? g
                                                                                                        : NULL;
}

int ptl_given_settled(struct ptl_peer *peer, const struct ptl_frame *f)
{
        struct ptl_given *g = find(peer->handoff, f->head.right);

        if (!g || f->length)
                return PTL_E_MALFORMED;
        peer->handoff->n_withdraw -= g->withdraw;
        g->used = g->withdraw = false;
        g->generation++;
        ptl_table_give(&peer->handoff->given, ptl_ticket_index(f->head.right));
        peer->space->room(peer->space);
        return 0;
}

static void withdraw_from(struct ptl_peer *owner, const struct ptl_peer *grantee)
{
        struct ptl_handoff *h = owner->handoff;

        for (uint32_t i = 1; h && i < h->given.fresh; i++) {
                struct ptl_given *g = ptl_table_at(&h->given, i);

                if (!g->used || g->grantee != grantee)
                        continue;
                g->grantee = NULL;
                g->withdraw = true;
                h->n_withdraw++;
                ptl_control_set_pending(owner, true);
        }
}

void ptl_given_withdraw(struct ptl_space *space, struct ptl_frame_given given)
{
        for (struct ptl_peer *p = space->peers; p; p = p->next) {
                bool is_its = p->handoff && p->handoff->link == given.ticket >> 32;
                struct ptl_given *g = is_its ? find(p->handoff, (uint32_t)given.ticket) : NULL;

                if (!g || g->withdraw)
                        continue;
                g->grantee = NULL;
                g->withdraw = true;
                p->handoff->n_withdraw++;
                ptl_control_set_pending(p, true);
                ptl_control_flush(p);
        }
}

void ptl_given_grantee_died(struct ptl_peer *peer)
{
        for (struct ptl_peer *p = peer->space->peers; p; p = p->next)
                if (p != peer && p->handoff) {
                        withdraw_from(p, peer);
                        ptl_control_flush(p);
                }
}

int ptl_given_flush(struct ptl_peer *peer)
{
        struct ptl_handoff *h = peer->handoff;

        for (uint32_t i = 1; h->n_withdraw && i < h->given.fresh; i++) {
                struct ptl_given *g = ptl_table_at(&h->given, i);
                struct ptl_frame_head head = {.right = (uint32_t)ptl_ticket_make(0, i, g->generation)};
                int r;

                if (!g->withdraw)
                        continue;
                r = ptl_control_write(&peer->link, PTL_FRAME_WITHDRAW, &head, NULL, 0);
                if (r)
                        return r;
                g->withdraw = false;
                h->n_withdraw--;
        }
        return 0;
}

/* --- all roles --- */

int ptl_handoff_flush(struct ptl_peer *peer)
{
        int r = ptl_given_flush(peer);

        if (!r)
                r = ptl_ticket_flush(peer);
        return r ? r : ptl_redeem_flush(peer);
}

void ptl_handoff_peer_died(struct ptl_peer *peer)
{
        if (peer->handoff) {
                ptl_redeem_peer_died(peer);
                ptl_redeem_granter_died(peer);
        }
        ptl_given_grantee_died(peer);
        ptl_ticket_peer_died(peer);
}

void ptl_handoff_forked(struct ptl_space *space)
{
        space->granters = NULL;
        space->parked = NULL;
        space->waiting = NULL;
        space->asks = 0;
        space->looking = false;
}
