/* SPDX-License-Identifier: Apache-2.0 */
/* port/rich.c - see rich.h */
#include "port/rich.h"
#include "port/plain.h"

/* A right that its own message carries is for message() in deliver.c to judge. */
static bool carries_itself(const struct ptl_frame *f, const struct ptl_few *few)
{
        for (uint32_t i = 0; i < few->n_rights; i++)
                if (few->rights[i].what == PTL_CARRY_BACK_ONCE && few->rights[i].right == f->head.right)
                        return true;
        return false;
}

/* The right it comes through, if it may come and is for @receiver. */
static struct ptl_grant *grant_of(struct ptl_peer *peer, const struct ptl_receiver *receiver, const struct ptl_frame *f)
{
        struct ptl_grant *g = ptl_grant_find(peer, f->head.right);

        return g && g->receiver == receiver && ptl_grant_may_arrive(peer, f->head.right, g) &&
                               !ptl_message_is_odd(f->head.aux, f->head.token)
                       ? g
                       : NULL;
}

/* A cell with the bytes and room for the rights; NULL: none is at hand that is large enough. */
static struct ptl_queued *cell_for(struct ptl_peer *peer, const struct ptl_few *few)
{
        struct ptl_queued *q = ptl_queued_opened(peer->space, peer, few->size + few->n_rights * sizeof *q->rights);

        if (PTL_LIKELY(q != NULL))
                ptl_copy_small(q->cell + few->n_rights * sizeof *q->rights, few->bytes, few->size);
        return q;
}

/* Nothing fails from here on. The rights come first in the cell: both keep their alignment. */
static void fill(struct ptl_peer *peer, struct ptl_queued *q, const struct ptl_few *few, struct ptl_message *m)
{
        struct ptl_right_item *items = (struct ptl_right_item *)(void *)q->cell;

        _Static_assert(sizeof *items == 8, "bytes behind them are aligned");
        for (uint32_t i = 0; i < few->n_rights; i++)
                items[i] = ptl_carried_take(peer, &few->rights[i]);
        m->rights = items;
        m->n_rights = few->n_rights;
        m->data = q->cell + few->n_rights * sizeof *items;
        m->size = few->size;
        m->in_place = 0;
        m->n_regions = 0;
        m->regions = NULL;
        m->sender = &peer->link.identity;
        m->opaque[0] = q;
}

bool ptl_rich_take(struct ptl_peer *peer, struct ptl_receiver *receiver, struct ptl_message *m)
{
        struct ptl_link *link = &peer->link;
        struct ptl_queued *q;
        struct ptl_grant *g;
        struct ptl_few few;
        struct ptl_frame f;

        if (ptl_ring_peek(&link->rx, &f) || f.kind != PTL_FRAME_RICH || !ptl_few_decode(f.body, f.length, &few) ||
            carries_itself(&f, &few))
                return false;
        g = grant_of(peer, receiver, &f);
        q = g ? cell_for(peer, &few) : NULL;
        if (PTL_UNLIKELY(!q))
                return false;
        ptl_peer_ref(peer);
        m->reply = f.head.token ? ptl_held_once(peer, f.head.token) : PTL_NULL;
        m->port = receiver->internal ? PTL_NULL : receiver->name;
        m->kind = f.head.aux;
        fill(peer, q, &few, m);
        receiver->received++;
        ptl_plain_count(peer, f.head.right, g, few.size);
        ptl_ring_advance(&link->rx, &f);
        link->frames_received++;
        ptl_link_consume(link);
        return true;
}
