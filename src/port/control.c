/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port/control.c - telling a peer what changed about a right
 *
 * A control frame states the condition of one table entry. What cannot be written now stays a mark in
 * that entry, so there is no queue that a peer who reads nothing could make grow.
 */
#include "port/moving.h"
#include "port/regions.h"
#include "port/reroute.h"
#include <string.h>

void ptl_control_entry(struct ptl_peer *peer, struct ptl_entry *entry, unsigned flag)
{
        if (!(entry->flags & (PTL_ENTRY_CLAIM | PTL_ENTRY_RELEASE))) {
                entry->pending_next = peer->pending_entries;
                peer->pending_entries = ptl_entry_index(entry);
        }
        entry->flags |= (uint8_t)flag;
        ptl_control_set_pending(peer, true);
}

void ptl_control_forget(struct ptl_peer *peer, struct ptl_entry *entry)
{
        uint32_t *at = &peer->pending_entries;

        while (*at != ptl_entry_index(entry))
                at = &((struct ptl_entry *)ptl_table_at(&peer->space->entries, *at))->pending_next;
        *at = entry->pending_next;
        entry->flags &= (uint8_t)~PTL_ENTRY_CLAIM;
}

/* An entry without a name carries the RELEASE until it is written. */
void ptl_control_release(struct ptl_peer *peer, struct ptl_entry *e)
{
        struct ptl_entry *carrier;

        if (!ptl_space_insert(peer->space, PTL_RIGHT_DEAD, &carrier))
                return;
        carrier->peer = ptl_peer_ref(peer);
        carrier->remote = e->remote;
        carrier->released = e->released;
        carrier->rights = 0;
        e->released = 0;
        ptl_control_entry(peer, carrier, PTL_ENTRY_RELEASE);
        ptl_control_flush(peer);
}

int ptl_control_write(struct ptl_link *link, enum ptl_frame_kind kind, const struct ptl_frame_head *head,
                      const void *body, uint32_t length)
{
        struct ptl_ring_slot slot;
        int r = ptl_ring_reserve(&link->tx, length, 0, &slot);

        if (r == PTL_E_MALFORMED)
                ptl_link_accuse(link);
        if (r)
                return r;
        ptl_copy_shared(slot.body, body, length);
        ptl_ring_publish(&link->tx, &slot, kind, length, head);
        link->frames_sent++;
        return 0;
}

static int write_claim(struct ptl_peer *peer, const struct ptl_entry *e)
{
        const struct ptl_claim *c = ptl_table_at(&peer->claims, ptl_right_index(e->remote));
        struct ptl_frame_claim body = {.ticket = c->ticket};
        struct ptl_frame_head head = {.right = e->remote & ~PTL_RIGHT_CLAIMED};

        int r;

        if (e->flags & PTL_ENTRY_HANDED)
                return ptl_redeem_write(peer, e);
        r = ptl_way_write(peer, e);
        if (r != PTL_E_EMPTY)
                return r;
        return ptl_control_write(&peer->link, PTL_FRAME_CLAIM, &head, &body, sizeof body);
}

static int write_release(struct ptl_peer *peer, const struct ptl_entry *e)
{
        struct ptl_frame_head head = {.right = e->remote, .token = e->released};

        return ptl_control_write(&peer->link, PTL_FRAME_RELEASE, &head, NULL, 0);
}

/* The entry at the head of the list; claims before releases. 0: go on; else the ring is full. */
static int flush_entry(struct ptl_peer *peer, struct ptl_entry *e)
{
        uint32_t next = e->pending_next;

        if (e->flags & PTL_ENTRY_CLAIM) {
                int r = write_claim(peer, e);

                if (r)
                        return r;
                e->flags &= (uint8_t)~PTL_ENTRY_CLAIM;
        }
        if (e->flags & PTL_ENTRY_RELEASE) {
                int r = write_release(peer, e);

                if (r)
                        return r;
                if (!ptl_held_entry(peer, e->remote)) /* else only some references went back */
                        ptl_held_forget(peer, e->remote);
                ptl_space_remove(peer->space, e);
                peer->pending_entries = next;
                ptl_peer_unref(peer);
                return 0;
        }
        peer->pending_entries = next;
        return 0;
}

static int write_window(struct ptl_link *link, struct ptl_grant *g, enum ptl_frame_kind kind)
{
        struct ptl_frame_window body = {0};
        struct ptl_frame_head head = {.right = ptl_grant_right(g)};
        int r;

        if (g->marks & PTL_MARK_SAME)
                head.token = ptl_grant_same(g);
        if (g->receiver) {
                body.limit_messages = g->receiver->limit_messages;
                body.limit_units = g->receiver->limit_units;
        } else if (g->kind == PTL_GRANT_MOVED) { /* as it was when the port was here */
                body.limit_messages = g->limit_messages;
                body.limit_units = g->limit_units;
        }
        r = ptl_control_write(link, kind, &head, &body, sizeof body);
        if (!r && head.token)
                g->marks |= PTL_MARK_MERGED;
        return r;
}

static int write_grant(struct ptl_link *link, struct ptl_grant *g)
{
        struct ptl_frame_head head = {.right = ptl_grant_right(g)};

        /* Given back meanwhile, or not judged: nobody to tell. Who has used a send-once right right behind its claim waits
         * for the answer still (port/reroute.h). */
        if (g->kind == PTL_GRANT_PARKED || ptl_receiver_waits(g->receiver) ||
            (g->references == 0 && !(g->kind == PTL_GRANT_ONCE && g->marks & PTL_MARK_CONFIRM)))
                return 0;
        if (g->marks & PTL_MARK_DEAD) {
                head.aux = ptl_grant_refused(g);
                return ptl_control_write(link, PTL_FRAME_DEAD, &head, NULL, 0);
        }
        return write_window(link, g,
                            g->marks & PTL_MARK_CONFIRM ? PTL_FRAME_CONFIRM : PTL_FRAME_WINDOW);
}

static int flush_grants(struct ptl_peer *peer, int claimed)
{
        struct ptl_table *table = claimed ? &peer->claimed : &peer->granted;

        while (peer->pending_grants[claimed]) {
                struct ptl_grant *g = ptl_table_at(table, peer->pending_grants[claimed]);
                int r = write_grant(&peer->link, g);

                if (r)
                        return r;
                peer->pending_grants[claimed] = g->pending_next;
                g->marks &= PTL_MARK_MERGED;
                if (g->references == 0) {
                        g->marks = 0;
                        ptl_grant_free(g);
                }
        }
        return 0;
}

static int flush_retired(struct ptl_peer *peer)
{
        for (uint32_t i = 0; i < PTL_REGIONS_PER_LINK && peer->n_retire; i++) {
                struct ptl_frame_head head = {.right = i};
                int r;

                if (!(peer->retire[i / 8] >> i % 8 & 1))
                        continue;
                r = ptl_control_write(&peer->link, PTL_FRAME_RETIRE, &head, NULL, 0);
                if (r)
                        return r;
                peer->retire[i / 8] &= (uint8_t)~(1u << i % 8);
                peer->n_retire--;
                ptl_region_number_free(peer, i);
        }
        return 0;
}

/* Whether it is held back, if that is not what it was told last. */
static int flush_limit(struct ptl_peer *peer)
{
        uint32_t number = peer->restrained ? peer->restrained : peer->told;
        struct ptl_frame_head head = {.token = peer->restrained != 0, .aux = number};
        struct ptl_frame_limit body;
        int r;

        if (peer->told == peer->restrained)
                return 0;
        body.value = ptl_quota_value(peer, number);
        r = ptl_control_write(&peer->link, PTL_FRAME_LIMIT, &head, &body, sizeof body);
        if (!r)
                peer->told = peer->restrained;
        return r;
}

void ptl_control_flush(struct ptl_peer *peer)
{
        struct ptl_link *link = &peer->link;
        int r = 0;

        if (ptl_link_state(link) == PTL_LINK_DEAD)
                return;
        ptl_peer_ref(peer);
        ptl_lock(&link->lock);
        while (!r && peer->pending_entries)
                r = flush_entry(peer, ptl_table_at(&peer->space->entries, peer->pending_entries));
        if (!r)
                r = flush_grants(peer, 0);
        if (!r)
                r = flush_grants(peer, 1);
        if (!r)
                r = flush_retired(peer);
        if (!r && peer->handoff)
                r = ptl_handoff_flush(peer);
        if (!r && peer->moving)
                r = ptl_moving_flush(peer);
        if (!r)
                r = flush_limit(peer);
        if (!r)
                ptl_control_set_pending(peer, false);
        ptl_link_bell(link);
        ptl_unlock(&link->lock);
        if (!peer->hot && !peer->watched_open && ptl_link_state(link) == PTL_LINK_OPEN)
                peer->space->opened(peer->space, peer);
        if (PTL_UNLIKELY(r)) /* it waits for room: who sleeps must ask the peer for that */
                peer->space->rethink(peer->space);
        ptl_peer_unref(peer);
}
