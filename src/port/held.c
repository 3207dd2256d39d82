/* SPDX-License-Identifier: Apache-2.0 */
/* port/held.c - rights to a peer's ports that we hold: from their numbers to our names (peer.h) */
#include "port/peer.h"
#include "port/held_inline.h"
#include "port/receiver.h"
#include "port/reroute.h"

enum { RELEASE_AT = 1 << 15 };

static uint64_t ticket_of(const void *claim) { return ((const struct ptl_claim *)claim)->ticket; }

static uint64_t index_of(const void *given_back)
{
        return ptl_right_index(((const struct ptl_given_back *)given_back)->right);
}

void ptl_held_init(struct ptl_peer *peer)
{
        ptl_table_init(&peer->held, sizeof(ptl_port), PTL_RIGHT_INDEX_MAX);
        ptl_table_init(&peer->claims, sizeof(struct ptl_claim), PTL_RIGHT_INDEX_MAX);
        ptl_chains_init(&peer->by_ticket, &peer->claims, ticket_of);
        ptl_table_init(&peer->given_back, sizeof(struct ptl_given_back), PTL_RIGHT_INDEX_MAX);
        ptl_chains_init(&peer->by_index, &peer->given_back, index_of);
}

void ptl_held_fini(struct ptl_peer *peer)
{
        ptl_chains_fini(&peer->by_index);
        ptl_table_fini(&peer->given_back);
        ptl_chains_fini(&peer->by_ticket);
        ptl_table_fini(&peer->claims);
        ptl_table_fini(&peer->held);
}

struct ptl_entry *ptl_held_entry(struct ptl_peer *peer, uint32_t right)
{
        const ptl_port *name = ptl_held_name(peer, right);
        struct ptl_entry *e = name ? ptl_space_hidden(peer->space, *name) : NULL;

        return e && e->peer == peer && e->remote == right ? e : NULL;
}

/* One reference more to what the task has already, or has under way. */
static ptl_port add_reference(struct ptl_entry *e)
{
        if (!e->rights) {
                e->rights = e->under_way;
                e->under_way = 0;
        }
        if (e->references < PTL_REFERENCES_MAX)
                e->references++;
        return ptl_entry_name(e);
}

/* --- rights given back --- */

static struct ptl_given_back *find_given_back(struct ptl_peer *peer, uint32_t right)
{
        return ptl_table_at(&peer->given_back, ptl_chains_find(&peer->by_index, ptl_right_index(right)));
}

/* A place to remember @right in; NULL: no memory. */
static struct ptl_given_back *add_given_back(struct ptl_peer *peer, uint32_t right)
{
        uint32_t index = ptl_table_take(&peer->given_back);
        struct ptl_given_back *b = ptl_table_at(&peer->given_back, index);

        if (!b)
                return NULL;
        b->right = right;
        if (ptl_chains_add(&peer->by_index, index))
                return b;
        ptl_table_give(&peer->given_back, index);
        return NULL;
}

static void drop_given_back(struct ptl_peer *peer, uint32_t right)
{
        uint32_t index = ptl_chains_find(&peer->by_index, ptl_right_index(right));

        if (!index)
                return;
        ptl_chains_remove(&peer->by_index, index);
        ptl_table_give(&peer->given_back, index);
}

/* The peer may have granted it again before it read that we gave it back: then its counts go on, and so do
 * ours. A right that nothing was sent through begins at zero by itself. */
void ptl_held_remember(struct ptl_peer *peer, const struct ptl_entry *e)
{
        struct ptl_given_back *b;

        if (ptl_right_is_claimed(e->remote)) {
                ptl_claim_hide(peer, e->remote);
                return;
        }
        if (!e->sent) {
                drop_given_back(peer, e->remote);
                return;
        }
        b = find_given_back(peer, e->remote);
        if (!b)
                b = add_given_back(peer, e->remote);
        if (b)
                *b = (struct ptl_given_back){b->chain, e->remote, e->sent, e->sent_units};
}

static void go_on_counting(struct ptl_entry *e)
{
        const struct ptl_outbox *theirs = &e->peer->link.peer;
        const struct ptl_given_back *b = find_given_back(e->peer, e->remote);
        struct ptl_right_word seen;

        if (!b || b->right != e->remote)
                return;
        e->sent = e->taken = b->sent;
        e->sent_units = e->taken_units = b->sent_units;
        if (!theirs->base)
                return;
        if (ptl_word_decode(ptl_outbox_look(theirs, e->remote), &seen) || seen.state != PTL_WORD_OPEN || /* E6 */
            e->sent - seen.messages > PTL_LIMIT_MESSAGES_MAX + 1)
                return; /* more cannot be under way: a word that is not believed */
        e->taken = seen.messages;
        e->taken_units -= (e->taken_units - seen.units) & PTL_WORD_UNITS_MASK;
}

/* --- rights that the peer grants --- */

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
        e = PTL_UNLIKELY(peer->space->ways.formers != NULL) ? ptl_former_again(peer, right) : NULL;
        if (e) /* of before its port moved */
                return add_reference(e);
        if (!ptl_table_ensure(&peer->held, ptl_right_index(right)))
                return PTL_NULL;
        name = ptl_held_enter(peer, ptl_held_name(peer, right), PTL_RIGHT_SEND, right, &e);
        if (name) {
                ptl_entry_set_window(e, limit_messages, limit_units);
                go_on_counting(e);
        }
        return name;
}

/* --- rights that we claim --- */

static struct ptl_entry *find_claim(struct ptl_peer *peer, uint64_t ticket)
{
        const struct ptl_claim *c = ptl_table_at(&peer->claims, ptl_chains_find(&peer->by_ticket, ticket));
        struct ptl_entry *e = c ? ptl_space_hidden(peer->space, c->name) : NULL;

        return e && e->peer == peer ? e : NULL;
}

/* In another generation than the claims before it: what the peer still says of an earlier right is not
 * taken for news of this one. */
uint32_t ptl_claim_take(struct ptl_peer *peer, uint64_t ticket)
{
        uint32_t index = ptl_table_take(&peer->claims);
        struct ptl_claim *c = ptl_table_at(&peer->claims, index);

        if (!c)
                return 0;
        c->name = PTL_NULL;
        c->ticket = ticket;
        if (ticket && !ptl_chains_add(&peer->by_ticket, index)) {
                ptl_table_give(&peer->claims, index);
                return 0;
        }
        return ptl_right_make(index, peer->claimed_often++) | PTL_RIGHT_CLAIMED;
}

void ptl_claim_hide(struct ptl_peer *peer, uint32_t right)
{
        const struct ptl_claim *c = ptl_table_at(&peer->claims, ptl_right_index(right));

        if (c && c->ticket)
                ptl_chains_remove(&peer->by_ticket, ptl_right_index(right));
}

ptl_port ptl_held_claim(struct ptl_peer *peer, uint64_t ticket, uint32_t limit_messages,
                        uint32_t limit_units)
{
        struct ptl_entry *e = find_claim(peer, ticket);
        uint32_t number;
        ptl_port name;

        if (e)
                return add_reference(e);
        number = ptl_claim_take(peer, ticket);
        if (!number)
                return PTL_NULL;
        name = ptl_held_enter(peer, ptl_held_name(peer, number), PTL_RIGHT_SEND, number, &e);
        if (!name) {
                ptl_held_forget(peer, number);
                return PTL_NULL;
        }
        ptl_entry_set_window(e, limit_messages, limit_units);
        e->flags |= PTL_ENTRY_UNCONFIRMED;
        ptl_control_entry(peer, e, PTL_ENTRY_CLAIM);
        return name;
}
