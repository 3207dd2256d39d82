/* SPDX-License-Identifier: Apache-2.0 */
/* port/held.c - rights to a peer's ports that we hold: from their numbers to our names (peer.h) */
#include "port/peer.h"
#include "port/held_inline.h"
#include "port/receiver.h"

enum { RELEASE_AT = 1 << 15 };

struct ptl_entry *ptl_held_entry(struct ptl_peer *peer, uint32_t right)
{
        struct ptl_held *h = ptl_held_at(peer, right);
        struct ptl_entry *e = h ? ptl_space_hidden(peer->space, h->name) : NULL;

        return e && e->peer == peer && e->remote == right ? e : NULL;
}

/* One reference more to what the task has already, or has under way. */
static ptl_port add_reference(struct ptl_entry *e)
{
        if (!e->rights)
                e->rights = e->under_way;
        if (e->references < PTL_REFERENCES_MAX)
                e->references++;
        return ptl_entry_name(e);
}

/* The peer may have granted it again before it read that we gave it back: then its counts go on, and so do ours. */
void ptl_held_remember(struct ptl_peer *peer, const struct ptl_entry *e)
{
        struct ptl_held *h = ptl_right_is_claimed(e->remote) ? NULL : ptl_held_at(peer, e->remote);

        if (!h)
                return;
        h->chain = e->remote; /* where the peer chooses the index nothing is chained */
        h->ticket = (uint64_t)e->sent_units << 32 | e->sent;
}

static void go_on_counting(const struct ptl_held *h, struct ptl_entry *e)
{
        const struct ptl_outbox *theirs = &e->peer->link.peer;
        uint64_t seen;

        if (h->chain != e->remote)
                return;
        e->sent = e->taken = (uint32_t)h->ticket;
        e->sent_units = e->taken_units = (uint32_t)(h->ticket >> 32);
        if (!theirs->base)
                return;
        seen = ptl_load_acquire(ptl_outbox_taken(theirs, false) + ptl_right_index(e->remote)); /* E6 */
        if (e->sent - (uint32_t)seen > PTL_LIMIT_MESSAGES_MAX + 1)
                return; /* more cannot be under way: a word that is not believed */
        e->taken = (uint32_t)seen;
        e->taken_units = (uint32_t)(seen >> 32);
}

ptl_port ptl_held_send(struct ptl_peer *peer, uint32_t right, uint32_t limit_messages,
                       uint32_t limit_units)
{
        struct ptl_entry *e = ptl_held_entry(peer, right);
        ptl_port name;

        if (e) {
                /* Granted twice, held once here: the rest goes back with a RELEASE, at last in part. */
                if (++e->released >= RELEASE_AT)
                        ptl_control_release(peer, e);
                return add_reference(e);
        }
        if (!ptl_table_ensure(&peer->held, ptl_right_index(right)))
                return PTL_NULL;
        name = ptl_held_enter(peer, ptl_held_at(peer, right), PTL_RIGHT_SEND, right, &e);
        if (name) {
                e->limit_messages = limit_messages;
                e->limit_units = limit_units;
                go_on_counting(ptl_held_at(peer, right), e);
        }
        return name;
}

static struct ptl_entry *find_claim(struct ptl_peer *peer, uint64_t ticket)
{
        for (uint32_t i = 1; i < peer->claims.fresh; i++) {
                struct ptl_held *h = ptl_table_at(&peer->claims, i);
                struct ptl_entry *e = h && h->name && h->ticket == ticket
                                              ? ptl_space_hidden(peer->space, h->name)
                                              : NULL;

                if (e && e->peer == peer)
                        return e;
        }
        return NULL;
}

/* In another generation than the claims before it: what the peer still says of an earlier right is not
 * taken for news of this one. */
static uint32_t new_claim(struct ptl_peer *peer, uint32_t index)
{
        return ptl_right_make(index, peer->claimed_often++) | PTL_RIGHT_CLAIMED;
}

ptl_port ptl_held_claim(struct ptl_peer *peer, uint64_t ticket, uint32_t limit_messages,
                        uint32_t limit_units)
{
        struct ptl_entry *e = find_claim(peer, ticket);
        bool used = peer->claims.free != 0;
        struct ptl_held *h;
        uint32_t index;
        ptl_port name;

        if (e)
                return add_reference(e);
        index = ptl_table_take(&peer->claims);
        h = ptl_table_at(&peer->claims, index);
        if (!h)
                return PTL_NULL;
        name = ptl_held_enter(peer, h, PTL_RIGHT_SEND, new_claim(peer, index), &e);
        if (!name) {
                ptl_table_give(&peer->claims, index);
                return PTL_NULL;
        }
        h->ticket = ticket;
        e->limit_messages = limit_messages;
        e->limit_units = limit_units;
        if (used)
                e->flags |= PTL_ENTRY_UNCONFIRMED;
        ptl_control_entry(peer, e, PTL_ENTRY_CLAIM);
        return name;
}
