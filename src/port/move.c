/* SPDX-License-Identifier: Apache-2.0 */
/* port/move.c - a receive right goes to another task (moving.h: the old receiver) */
#include "port/deliver.h"
#include "port/move_parts.h"
#include "port/regions.h"
#include "port/request.h"
#include "port/senders.h"
#include <string.h>

enum {
        MARK_ROUNDS = 8,   /* holders that came while others were looked at are marked in the next */
        TURN = 64,         /* frames between two looks how far a ring was read */
        PACK_FROM = 128 << 10, /* bytes in messages of ... */
        /* PTL_PACKED_FROM, that go in a region beside the ring */
        MARGIN = PTL_INLINE_MAX + 256, /* of a ring: what lies unused before its end */
};

struct ptl_moving *ptl_moving_of(struct ptl_peer *peer)
{
        if (!peer->moving)
                peer->moving = calloc(1, sizeof *peer->moving);
        return peer->moving;
}

void ptl_moving_free(struct ptl_peer *peer)
{
        if (!peer->moving)
                return;
        free(peer->moving);
        peer->moving = NULL;
}

/* --- which ports, and whether they can go --- */

uint32_t ptl_move_number(const struct ptl_move *m, const struct ptl_receiver *r)
{
        for (uint32_t i = 0; i < m->count; i++)
                if (m->ports[i].receiver == r)
                        return m->ports[i].number;
        return 0;
}

/* Has the holder our outbox, or a socket in which it lies? Then it will find the news, whatever becomes of us. */
static bool is_reached(const struct ptl_peer *peer)
{
        return ptl_link_state(&peer->link) != PTL_LINK_DEAD && !ptl_link_is_lost(&peer->link) && !peer->link.accused;
}

/* 0, PTL_E_FULL, PTL_E_QUOTA, -ENOMEM. */
static int check_holders(struct ptl_move *m, struct ptl_receiver *r)
{
        for (struct ptl_grant *g = ptl_move_first(m, r), *next; g; g = next) {
                struct ptl_peer *peer = ptl_grant_peer(g);

                next = ptl_move_after(m, g);
                if (g->kind == PTL_GRANT_FREE) {
                        ptl_grant_drop_spare(peer); /* nobody holds it */
                        continue;
                }
                if (!is_reached(peer))
                        return PTL_E_FULL;
                if (!ptl_moving_of(peer) || !ptl_grant_reserve_word(g))
                        return -ENOMEM;
                if (ptl_move_route(peer, ptl_move_task_of(m->to)) < 0)
                        return PTL_E_QUOTA;
        }
        return 0;
}

static int check_queue(struct ptl_move *m, struct ptl_receiver *r)
{
        for (const struct ptl_queued *q = r->head; q; q = q->next) {
                if (q->unsettled)
                        return PTL_E_FULL;
                for (unsigned i = 0; i < q->n_rights; i++) {
                        struct ptl_receiver *inner = q->carried[i].what == PTL_CARRY_RECEIVE
                                                             ? ptl_receiver_anywhere(m->space, q->carried[i].right)
                                                             : NULL;
                        int e = inner ? ptl_move_add(m, inner) : 0;

                        if (e)
                                return e;
                }
        }
        return 0;
}

/* Ports within come before those they lie in. Bounded: each port lies in one queue. */
int ptl_move_add(struct ptl_move *m, struct ptl_receiver *r)
{
        int e;

        if (ptl_move_takes(m, r))
                return 0;
        e = check_holders(m, r);
        if (!e)
                e = check_queue(m, r);
        if (e)
                return e;
        if (m->count == PTL_MOVES_TOGETHER)
                return PTL_E_QUOTA;
        m->ports[m->count++] = (struct ptl_move_port_of){.receiver = r};
        return 0;
}

/* --- room --- */

/* In the end, whatever lies between: with GROW where that helps. */
static int ring_room(struct ptl_peer *peer, uint64_t bytes)
{
        struct ptl_ring_writer *tx = &peer->link.tx;
        int e = 0;

        ptl_lock(&peer->link.lock);
        if (ptl_ring_refresh(tx)) {
                ptl_link_accuse(&peer->link);
                e = PTL_E_FULL; /* until its death is settled */
        }
        bytes += MARGIN;
        while (!e && tx->position + bytes > tx->limit) {
                if (!tx->peer_consumed || ptl_ring_grow(tx))
                        e = tx->peer_consumed && bytes + PTL_RING_RESERVE > ptl_ring_level_size(PTL_OUTBOX_LEVELS - 1)
                                    ? PTL_E_QUOTA
                                    : PTL_E_FULL;
        }
        ptl_unlock(&peer->link.lock);
        return e;
}

static uint64_t frame_bytes(uint64_t length) { return ptl_frame_end(0, (uint32_t)length); }

/* With QUEUED before it, and a holder for each right that goes along. */
static uint64_t message_bytes(const struct ptl_move *m, const struct ptl_queued *q)
{
        bool packed = m->packs && ptl_move_packs(q), plain = !q->n_rights && !q->n_regions && !q->reply && !packed;
        uint64_t rights = plain ? 0 : q->n_rights + 1u;
        uint64_t head = plain ? 0
                              : ptl_rich_head_size((uint32_t)rights, q->n_regions + 1u) +
                                        rights * sizeof(struct ptl_frame_given);
        bool in_line = !packed && q->size + head <= PTL_INLINE_MAX;

        return frame_bytes(sizeof(struct ptl_move_queued)) +
               frame_bytes(head + (in_line ? q->size : sizeof(struct ptl_frame_block))) +
               rights * frame_bytes(sizeof(struct ptl_move_holder));
}

/* How much there is to pack, and whether the ring is better left alone with it. */
static void look_for_bytes(struct ptl_move *m)
{
        m->bag_size = 0;
        for (uint32_t k = 0; k < m->count; k++)
                for (const struct ptl_queued *q = m->ports[k].receiver->head; q; q = q->next)
                        if (ptl_move_packs(q))
                                m->bag_size += (q->size + 63) / 64 * 64;
        m->packs = m->bag_size >= PACK_FROM;
}

int ptl_move_pack(struct ptl_move *m)
{
        void *data;
        int fd, e;

        if (!m->packs)
                return 0;
        if (m->bag_size > UINT32_MAX)
                return PTL_E_QUOTA; /* offsets have 32 bits */
        e = ptl_memory_create(m->bag_size, &fd, &data);
        if (e)
                return e;
        e = ptl_region_wrap(fd, data, m->bag_size, &m->bag);
        if (!e)
                return 0;
        ptl_memory_unmap(data, m->bag_size);
        ptl_close(fd);
        return e;
}

void ptl_move_end(struct ptl_move *m)
{
        m->bag = m->bag ? ptl_region_unref(m->space, m->bag) : NULL;
}

static uint64_t port_bytes(const struct ptl_move *m, const struct ptl_receiver *r)
{
        const struct ptl_entry *e = ptl_receiver_entry(m->space, r);
        uint64_t holder = frame_bytes(sizeof(struct ptl_move_holder)), claim = frame_bytes(sizeof(struct ptl_move_claim));
        uint64_t bytes = frame_bytes(sizeof(struct ptl_move_port)) + frame_bytes(sizeof(struct ptl_move_commit)) +
                         (1 + e->onces) * (holder + claim);

        for (const struct ptl_grant *g = ptl_move_first(m, r); g; g = ptl_move_after(m, g))
                bytes += holder;
        for (const struct ptl_ticket *t = r->tickets; t; t = t->next)
                bytes += holder;
        bytes += r->more && r->more->settling ? r->more->settling->holders * holder : 0;
        for (const struct ptl_queued *q = r->head; q; q = q->next)
                bytes += message_bytes(m, q);
        return bytes;
}

/* The task that has the port of a right in a message, if it is a third one. */
static struct ptl_peer *owner_of(const struct ptl_move *m, const struct ptl_frame_right *c)
{
        struct ptl_entry *e = c->what == PTL_CARRY_HELD ? ptl_space_hidden(m->space, c->right) : NULL;

        return e && !((e->rights | e->under_way) & PTL_RIGHT_DEAD) && ptl_move_is_thirds(m, e->peer) ? e->peer : NULL;
}

/* GIVE goes to each owner's ring before the message goes to the new receiver's (H1, H2). */
static int owners_room(struct ptl_move *m)
{
        enum { GIVE = 128 };

        for (struct ptl_peer *p = m->space->peers; p; p = p->next) {
                uint64_t bytes = 0;
                int e;

                for (uint32_t k = 0; p != m->to && k < m->count; k++)
                        for (const struct ptl_queued *q = m->ports[k].receiver->head; q; q = q->next) {
                                bytes += q->peer == p && q->reply ? GIVE : 0;
                                for (unsigned i = 0; i < q->n_rights; i++)
                                        bytes += owner_of(m, &q->carried[i]) == p ? GIVE : 0;
                        }
                if (!bytes || !ptl_move_is_thirds(m, p))
                        continue;
                e = ptl_link_state(&p->link) == PTL_LINK_OPEN ? ring_room(p, bytes + PTL_RING_RESERVE) : PTL_E_FULL;
                if (e)
                        return e;
        }
        return 0;
}

int ptl_move_room(struct ptl_move *m, uint32_t more)
{
        uint64_t bytes = more + PTL_RING_RESERVE + PTL_MESSAGE_RIGHTS_MAX * frame_bytes(sizeof(struct ptl_move_holder));
        int e;

        if (!is_reached(m->to))
                return PTL_E_FULL;
        if (!ptl_moving_of(m->to))
                return -ENOMEM;
        look_for_bytes(m);
        for (uint32_t i = 0; i < m->count; i++)
                bytes += port_bytes(m, m->ports[i].receiver);
        e = ring_room(m->to, bytes);
        return e ? e : owners_room(m);
}

/* --- 2 mark, 3 take --- */

/* How often MOVED or STAYS is to follow is remembered with each mark (V2). */
static bool mark(struct ptl_grant *g)
{
        struct ptl_peer *peer = ptl_grant_peer(g);

        if (g->kind != PTL_GRANT_SEND && g->kind != PTL_GRANT_ONCE)
                return false;
        if (ptl_move_is_marked(g) || !ptl_moving_of(peer) || !ptl_grant_reserve_word(g))
                return false;
        if (!ptl_stub_mark(peer, g))
                return false;
        ptl_outbox_show(&peer->link.mine, ptl_grant_index(g), ptl_word_marked());
        ptl_outbox_count_move(&peer->link.mine);
        peer->moving->look = true;
        return true;
}

static bool mark_all(struct ptl_move *m)
{
        bool any = false;

        for (uint32_t i = 0; i < m->count; i++)
                for (struct ptl_grant *g = ptl_move_first(m, m->ports[i].receiver); g; g = ptl_move_after(m, g))
                        any |= mark(g);
        return any;
}

/* All that was published before the mark could be seen lies within what the rings can hold. Who is held back is
 * read, too: what lies there would be nobody's. */
void ptl_move_read(struct ptl_peer *peer)
{
        struct ptl_link *link = &peer->link;
        bool lenient = peer->lenient;
        uint64_t until;
        int e = 0;

        if (ptl_link_state(link) == PTL_LINK_INTRODUCED) {
                ptl_lock(&link->lock);
                ptl_link_bell_introduced(link);
                ptl_unlock(&link->lock);
        }
        if (!link->peer.base || peer->reaped || link->accused)
                return;
        if (!peer->hot && !peer->watched_open)
                peer->space->opened(peer->space, peer);
        peer->lenient = true;
        until = link->rx.position + PTL_RINGS_SIZE;
        while (!e && ptl_ring_ready(&link->rx) && link->rx.position < until)
                e = ptl_deliver(peer, NULL, TURN);
        peer->lenient = lenient;
        if (e)
                ptl_link_accuse(link); /* the leader ends it */
}

static void read_marked(struct ptl_space *space)
{
        struct ptl_peer *next;

        for (struct ptl_peer *p = space->peers; p; p = next) {
                next = p->next;
                if (!p->moving || !p->moving->look)
                        continue;
                p->moving->look = false;
                ptl_move_read(p);
        }
}

/* Claims that came ahead of what the receiver before says of them are holders, too. */
static void read_former(struct ptl_move *m)
{
        for (uint32_t i = 0; m->space->early && i < m->count; i++) {
                const struct ptl_receiver *r = m->ports[i].receiver;
                struct ptl_settling *s = r->more ? r->more->settling : NULL;

                if (!s || !s->from)
                        continue;
                ptl_move_read(s->from);
                ptl_settle_look_again(m->space, s->task, false);
        }
}

void ptl_move_mark(struct ptl_move *m)
{
        read_former(m);
        for (unsigned round = 0; round < MARK_ROUNDS && mark_all(m); round++) {
                ptl_fence_seq_cst(); /* E8, V1: whoever has not seen the mark has published before we look */
                read_marked(m->space);
                read_former(m);
        }
}

bool ptl_move_all_are_marked(const struct ptl_move *m)
{
        for (uint32_t i = 0; i < m->count; i++)
                for (const struct ptl_grant *g = ptl_move_first(m, m->ports[i].receiver); g; g = ptl_move_after(m, g))
                        if (g->kind != PTL_GRANT_FREE && !ptl_move_is_marked(g))
                                return false;
        return true;
}

void ptl_move_unmark(struct ptl_move *m) { ptl_stubs_unmark(m->space); }

/* --- 6, 7: news, then commit --- */

void ptl_move_commit(struct ptl_move *m)
{
        for (uint32_t i = 0; i < m->count; i++)
                ptl_stubs_begin(m, &m->ports[i]);
        ptl_stubs_unmark(m->space); /* of those that were used up meanwhile */
        for (uint32_t i = 0; i < m->count; i++) {
                const struct ptl_move_port_of *p = &m->ports[i];
                struct ptl_move_commit body = {p->holders, p->messages};
                struct ptl_frame_head head = {.right = p->number};

                (void)!ptl_move_put(m->to, PTL_FRAME_COMMIT, &head, &body, sizeof body);
        }
}
