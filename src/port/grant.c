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
#include "port/moving.h"
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

/* An id for its chunk, by which the lists of receivers lead to it. */
static bool register_chunk(struct ptl_peer *peer, struct ptl_grant_chunk *chunk, uint32_t first)
{
        struct ptl_table *all = &peer->space->grant_chunks;
        uint32_t id = ptl_table_take(all);
        struct ptl_grant **grants = ptl_table_at(all, id);

        if (!grants)
                return false;
        *grants = (struct ptl_grant *)(void *)(chunk + 1);
        *chunk = (struct ptl_grant_chunk){.peer = peer, .first = first, .id = id};
        return true;
}

struct ptl_grant *ptl_grant_place(struct ptl_peer *peer, uint32_t index, bool claimed)
{
        struct ptl_grant *g = ptl_table_at(claimed ? &peer->claimed : &peer->granted, index);
        struct ptl_grant_chunk *chunk;

        if (!g)
                return NULL;
        g->place = (uint8_t)(index % PTL_TABLE_CHUNK);
        chunk = ptl_grant_chunk(g);
        if (PTL_LIKELY(chunk->id) ||
            register_chunk(peer, chunk, (index - g->place) | (claimed ? PTL_RIGHT_CLAIMED : 0)))
                return g;
        return NULL;
}

static void forget_chunks(struct ptl_peer *peer, const struct ptl_table *table)
{
        for (uint32_t i = 0; i < table->length; i += PTL_TABLE_CHUNK) {
                const struct ptl_grant_chunk *chunk =
                        ptl_grant_chunk((struct ptl_grant *)(void *)table->chunks[i / PTL_TABLE_CHUNK]);

                if (chunk->id)
                        ptl_table_give(&peer->space->grant_chunks, chunk->id);
        }
}

void ptl_grants_fini(struct ptl_peer *peer)
{
        forget_chunks(peer, &peer->granted);
        forget_chunks(peer, &peer->claimed);
        ptl_table_fini(&peer->granted);
        ptl_table_fini(&peer->claimed);
}

static struct ptl_grant *find_send(struct ptl_peer *peer, const struct ptl_receiver *receiver)
{
        struct ptl_space *space = peer->space;

        for (struct ptl_grant *g = ptl_grant_at(space, receiver->grants); g; g = ptl_grant_at(space, g->next))
                if (g->kind == PTL_GRANT_SEND && ptl_grant_peer(g) == peer &&
                    !ptl_right_is_claimed(ptl_grant_index(g)))
                        return g;
        return NULL;
}

/* Its messages are counted from zero, for a holder that starts at zero too. */
static void start(struct ptl_peer *peer, struct ptl_grant *g, struct ptl_receiver *receiver, enum ptl_grant_kind kind)
{
        g->kind = (uint8_t)kind;
        g->marks = 0;
        g->references = 1;
        g->serial++;
        g->arrived = g->arrived_units = 0;
        g->limit_messages = receiver ? receiver->limit_messages : 0;
        g->limit_units = receiver ? receiver->limit_units : 0;
        g->receiver = NULL;
        ptl_taken_store(&peer->link, ptl_grant_index(g), (struct ptl_taken){0});
        if (!receiver)
                return;
        ptl_grant_attach(peer->space, g, receiver);
        if (kind == PTL_GRANT_SEND)
                ptl_senders_add(peer->space, receiver);
}

static struct ptl_grant *grant_new(struct ptl_peer *peer, struct ptl_receiver *receiver)
{
        uint32_t index = ptl_table_take(&peer->granted);
        struct ptl_grant *g = index ? ptl_grant_place(peer, index, false) : NULL;

        if (!g || !reserve_taken(peer, index, false)) {
                if (index)
                        ptl_table_give(&peer->granted, index);
                return NULL;
        }
        start(peer, g, receiver, PTL_GRANT_SEND);
        return g;
}

void ptl_grant_drop_spare(struct ptl_peer *peer)
{
        struct ptl_grant *g = peer->spare;

        if (!g)
                return;
        peer->spare = NULL;
        ptl_grant_detach(peer->space, g);
        ptl_table_give(&peer->granted, ptl_grant_index(g));
}

struct ptl_grant *ptl_grant_fresh_once(struct ptl_peer *peer, struct ptl_receiver *receiver)
{
        struct ptl_grant *g;
        uint32_t index;

        ptl_grant_drop_spare(peer);
        index = ptl_table_take(&peer->granted);
        g = index ? ptl_grant_place(peer, index, false) : NULL;
        if (PTL_UNLIKELY(!g)) {
                if (index)
                        ptl_table_give(&peer->granted, index);
                return NULL;
        }
        g->marks = 0;
        ptl_grant_attach(peer->space, g, receiver);
        return g;
}

uint32_t ptl_grant_send(struct ptl_peer *peer, struct ptl_receiver *receiver)
{
        struct ptl_grant *g = find_send(peer, receiver);

        if (g) {
                g->references++;
                return ptl_grant_right(g);
        }
        return ptl_grant_number(grant_new(peer, receiver));
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
        g = ptl_grant_place(peer, index, true);
        if (!g)
                return PTL_E_MALFORMED;
        /* One that was given back may still stand on the list of what is to be told. */
        pending = g->marks;
        if ((g->kind != PTL_GRANT_FREE && !(pending && g->references == 0)) ||
            !reserve_taken(peer, index, true))
                return PTL_E_MALFORMED;
        if (g->kind == PTL_GRANT_FREE) /* else it still counts */
                ptl_quota_charge(peer, PTL_QUOTA_RIGHTS, 1);
        g->generation = (uint16_t)ptl_right_generation(right);
        start(peer, g, receiver, kind);
        g->limit_units = receiver ? g->limit_units : refused; /* ptl_grant_refused() */
        g->marks = pending ? PTL_MARK_WINDOW : 0; /* harmless beside what is marked next */
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
        ptl_quota_give(ptl_grant_peer(g), PTL_QUOTA_RIGHTS, 1); /* claimed anew at once */
}

uint32_t ptl_grant_same(const struct ptl_grant *grant)
{
        const unsigned unanswered = PTL_MARK_CONFIRM | PTL_MARK_SAME; /* redeemed: the peer keeps it from use */
        const struct ptl_peer *peer = ptl_grant_peer(grant);
        const struct ptl_space *space = peer->space;
        uint32_t merged = 0;

        for (const struct ptl_grant *g = ptl_grant_at(space, grant->receiver ? grant->receiver->grants : 0); g;
             g = ptl_grant_at(space, g->next)) {
                if (g == grant || ptl_grant_peer(g) != peer || g->kind != PTL_GRANT_SEND || !g->references ||
                    (g->marks & unanswered) == unanswered)
                        continue;
                if (!(g->marks & PTL_MARK_MERGED))
                        return ptl_grant_right(g);
                merged = ptl_grant_right(g); /* unless what it was to be merged with was gone */
        }
        return merged;
}

bool ptl_grant_reserve_word(const struct ptl_grant *g)
{
        uint32_t index = ptl_grant_index(g);

        return reserve_taken(ptl_grant_peer(g), ptl_right_index(index), ptl_right_is_claimed(index));
}

void ptl_grant_abandon(struct ptl_grant *g) { ptl_grant_detach(ptl_grant_peer(g)->space, g); }

int ptl_grant_claim_dead(struct ptl_peer *peer, uint32_t right)
{
        struct ptl_grant *g;

        return claim(peer, right, NULL, PTL_GRANT_SEND, &g);
}

/* What is queued still is no window's any more: from now on the peer has it in all. Another serial, so that
 * it is known for that when it is taken. */
static void leave_orphans(struct ptl_grant *g)
{
        struct ptl_peer *peer = ptl_grant_peer(g);
        struct ptl_taken taken;
        uint64_t cost;

        if (g->kind != PTL_GRANT_SEND || !g->receiver)
                return;
        taken = ptl_taken_is_marked(&peer->link, ptl_grant_index(g)) ? ptl_stub_taken(peer, ptl_grant_right(g))
                                                                     : ptl_taken_load(&peer->link, ptl_grant_index(g));
        cost = ptl_orphan_cost(g->arrived - taken.messages, ptl_units_queued(g, taken));
        peer->orphans += cost;
        ptl_quota_charge(peer, PTL_QUOTA_ORPHANS, cost * 64);
        g->serial++;
}

void ptl_grant_revoke(struct ptl_grant *g)
{
        if (--g->references)
                return;
        if (g->kind == PTL_GRANT_SEND && g->receiver)
                ptl_senders_undo(ptl_grant_peer(g)->space, g->receiver);
        ptl_grant_free(g);
}

/* A thread that waits for the answer is told whether it was a death. */
void ptl_grant_release(struct ptl_grant *g, uint32_t count)
{
        struct ptl_peer *peer = ptl_grant_peer(g);
        struct ptl_space *space = peer->space;
        struct ptl_receiver *r = g->receiver;
        bool was_send = g->kind == PTL_GRANT_SEND, is_dead = ptl_link_state(&peer->link) == PTL_LINK_DEAD;

        if (count < g->references) {
                g->references -= count;
                return;
        }
        g->marks &= (uint8_t)~PTL_MARK_MERGED;
        if (PTL_UNLIKELY(g->kind == PTL_GRANT_MOVED))
                ptl_stub_released(ptl_grant_peer(g), g);
        leave_orphans(g);
        ptl_grant_free(g);
        if (r && was_send)
                ptl_senders_gone(space, r);
        else if (r)
                ptl_notify(space, r->name, PTL_NOTIFY_SEND_ONCE, r->internal && is_dead, NULL);
}

void ptl_grant_mark(struct ptl_grant *g, unsigned mark)
{
        struct ptl_peer *peer = ptl_grant_peer(g);
        uint32_t index = ptl_grant_index(g);

        if (!(g->marks & ~PTL_MARK_MERGED)) {
                uint32_t *head = &peer->pending_grants[ptl_right_is_claimed(index)];

                g->pending_next = *head;
                *head = ptl_right_index(index);
        }
        g->marks |= (uint8_t)mark;
        ptl_control_set_pending(peer, true);
}
