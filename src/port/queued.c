/* SPDX-License-Identifier: Apache-2.0 */
/* port/queued.c - messages between arrival and release (receiver.h) */
#include "port/handoff.h"
#include "port/moving.h"
#include "port/regions.h"
#include "port/senders.h"
#include <string.h>

enum { CELL = PTL_QUEUED_CELL, CELLS_KEPT = 128 };

struct ptl_queued *ptl_queued_new(struct ptl_space *space, size_t room)
{
        struct ptl_queued *q = space->cells;

        if (PTL_LIKELY(room <= CELL && q)) {
                space->cells = q->next;
                space->n_cells--;
                room = CELL;
        } else {
                room = room < CELL ? CELL : room;
                q = malloc(sizeof *q + room);
                if (!q)
                        return NULL;
        }
        memset(q, 0, sizeof *q);
        q->data = q->cell;
        q->room = (uint32_t)room;
        q->epoch = space->epoch;
        return q;
}

/* Behind the bytes in the cell, if there is room: rights begin at the cell's end. */
static void *carried_in_cell(struct ptl_queued *q, uint32_t n)
{
        uint64_t used = q->bytes == PTL_BYTES_CELL ? q->size : 0, size = (uint64_t)n * sizeof *q->carried;
        uint64_t room = q->room & ~(uint64_t)15;

        return size <= room && used <= room - size ? q->cell + room - size : NULL;
}

int ptl_queued_carry(struct ptl_queued *q, uint32_t n)
{
        q->carried = carried_in_cell(q, n);
        if (PTL_UNLIKELY(!q->carried))
                q->carried = malloc(n * sizeof *q->carried);
        return q->carried ? 0 : -ENOMEM;
}

static void carried_free(struct ptl_queued *q)
{
        const char *at = (const char *)q->carried;

        if (PTL_UNLIKELY(at && (at < q->cell || at >= q->cell + q->room)))
                free(q->carried);
}

static void cell_free(struct ptl_space *space, struct ptl_queued *q)
{
        if (q->room != CELL || space->n_cells >= CELLS_KEPT) {
                free(q);
                return;
        }
        q->next = space->cells;
        space->cells = q;
        space->n_cells++;
}

static void bytes_free(struct ptl_queued *q)
{
        switch ((enum ptl_bytes_kind)q->bytes) {
        case PTL_BYTES_CELL:
        case PTL_BYTES_REGION: /* goes with the region */
                break;
        case PTL_BYTES_BLOCK:
                ptl_link_block_return(&q->peer->link, q->slot);
                break;
        case PTL_BYTES_HOLD:
                ptl_hold_end(&q->peer->link, q->slot);
                break;
        }
}

/* A send right to a port of ours comes home. */
static ptl_port own_send(struct ptl_space *space, ptl_port port)
{
        struct ptl_receiver *r = ptl_receiver_anywhere(space, port);
        struct ptl_entry *e = r ? ptl_receiver_entry(space, r) : NULL;

        if (!e)
                return PTL_NULL;
        e->senders--; /* the one in the message is the name's now */
        e->rights |= PTL_RIGHT_SEND;
        if (e->references < PTL_REFERENCES_MAX)
                e->references++;
        return port;
}

/* A reference that was under way in a message to ourselves arrives. */
static ptl_port held_again(struct ptl_space *space, ptl_port name)
{
        struct ptl_entry *e = ptl_space_hidden(space, name);

        if (!e)
                return PTL_NULL;
        e->transit--;
        if (!e->rights) {
                e->rights = e->under_way;
                e->under_way = 0;
        }
        if (e->references < PTL_REFERENCES_MAX)
                e->references++;
        return name;
}

/* A right the peer granted, under the name it will have. @added: a reference of that name is its. */
static struct ptl_frame_right hide(struct ptl_space *space, ptl_port name, bool added)
{
        struct ptl_entry *e = ptl_space_entry(space, name);
        struct ptl_frame_right f = {.what = e ? PTL_CARRY_HELD : PTL_CARRY_DEAD, .right = name};

        if (!e)
                return f;
        e->transit++;
        if (added)
                ptl_right_drop(space, e, 1);
        return f;
}

static struct ptl_frame_right send_arrives(struct ptl_peer *peer, const struct ptl_frame_right *c)
{
        struct ptl_entry *e = ptl_held_entry(peer, c->right);
        bool is_full = e && e->references == PTL_REFERENCES_MAX;

        return hide(peer->space, ptl_held_send(peer, c->right, c->limit_messages, c->limit_units), !is_full);
}

struct ptl_frame_right ptl_carried_arrive(struct ptl_peer *peer, const struct ptl_frame_right *c)
{
        struct ptl_frame_right f = {.what = PTL_CARRY_DEAD};
        struct ptl_grant *g = ptl_grant_find(peer, c->right);

        switch (c->what) {
        case PTL_CARRY_SEND:
                return send_arrives(peer, c);
        case PTL_CARRY_ONCE:
                return hide(peer->space, ptl_held_once(peer, c->right), true);
        case PTL_CARRY_BACK_SEND:
                if (g && PTL_UNLIKELY(g->kind == PTL_GRANT_MOVED))
                        return ptl_stub_home(peer, g, false);
                if (g && g->receiver && g->kind == PTL_GRANT_SEND) {
                        f = (struct ptl_frame_right){.what = PTL_CARRY_OWN, .right = g->receiver->name};
                        ptl_senders_add(peer->space, g->receiver);
                }
                return f;
        case PTL_CARRY_BACK_ONCE:
                if (g && PTL_UNLIKELY(g->kind == PTL_GRANT_MOVED))
                        return ptl_stub_home(peer, g, true);
                if (!g || g->kind != PTL_GRANT_ONCE)
                        return f;
                if (g->receiver) {
                        f = (struct ptl_frame_right){.what = PTL_CARRY_OWN_ONCE,
                                                     .right = g->receiver->name};
                        ptl_receiver_entry(peer->space, g->receiver)->onces++;
                }
                ptl_grant_free(g);
                return f;
        case PTL_CARRY_COMMITTED:
                f.right = ptl_settle_name(peer, c->right);
                f.what = f.right ? PTL_CARRY_RECEIVE : PTL_CARRY_DEAD;
                return f;
        default:
                return f;
        }
}

/* The name a right has that came in a message, now that the program gets it; PTL_NULL: it is dead. */
static ptl_port enter_right(struct ptl_space *space, const struct ptl_frame_right *c)
{
        struct ptl_receiver *r;

        switch (c->what) {
        case PTL_CARRY_OWN:
                return own_send(space, c->right);
        case PTL_CARRY_OWN_ONCE:
                r = ptl_receiver_anywhere(space, c->right);
                if (r)
                        ptl_receiver_entry(space, r)->onces--; /* it was counted while under way */
                return r ? ptl_once_insert(space, r) : PTL_NULL;
        case PTL_CARRY_HELD:
                return held_again(space, c->right);
        case PTL_CARRY_RECEIVE:
                return ptl_receiver_arrive(space, c->right);
        default:
                return PTL_NULL;
        }
}

/* As the program sees it; @receives: it came with the receive right. */
static struct ptl_right_item item_of(const struct ptl_space *space, ptl_port name, bool receives)
{
        const struct ptl_entry *e = ptl_space_entry(space, name);
        unsigned rights = e ? e->rights & ~(unsigned)PTL_RIGHT_RECEIVE : 0;

        return (struct ptl_right_item){.port = name, .disposition = receives ? PTL_RIGHT_RECEIVE : rights};
}

ptl_port ptl_carried_enter(struct ptl_space *space, const struct ptl_frame_right *c)
{
        ptl_port name = enter_right(space, c);

        return name ? name : ptl_space_insert(space, PTL_RIGHT_DEAD, NULL);
}

struct ptl_right_item ptl_carried_take(struct ptl_peer *peer, const struct ptl_frame_right *c)
{
        struct ptl_space *space = peer->space;
        struct ptl_frame_right f;
        ptl_port name;

        if (PTL_LIKELY(c->what == PTL_CARRY_SEND)) {
                name = ptl_held_send(peer, c->right, c->limit_messages, c->limit_units);
        } else if (c->what == PTL_CARRY_ONCE) {
                name = ptl_held_once(peer, c->right);
        } else {
                f = ptl_carried_arrive(peer, c);
                name = enter_right(space, &f);
        }
        if (PTL_UNLIKELY(!name))
                name = ptl_space_insert(space, PTL_RIGHT_DEAD, NULL);
        return item_of(space, name, false);
}

/* A reference that was under way is given up: no name gets it, not even one that has all it can count. */
static void discard_held(struct ptl_space *space, ptl_port name)
{
        struct ptl_entry *e = ptl_space_hidden(space, name);
        bool full = e && e->references == PTL_REFERENCES_MAX;

        if (!e)
                return;
        (void)held_again(space, name);
        if (!full)
                ptl_right_drop(space, e, 1);
}

static void discard_right(struct ptl_space *space, const struct ptl_frame_right *c)
{
        struct ptl_receiver *r = ptl_receiver_anywhere(space, c->right);

        switch (c->what) {
        case PTL_CARRY_OWN:
                if (r)
                        ptl_senders_gone(space, r);
                break;
        case PTL_CARRY_OWN_ONCE:
                ptl_once_unused(space, c->right);
                break;
        case PTL_CARRY_HELD:
                discard_held(space, c->right);
                break;
        case PTL_CARRY_RECEIVE:
                ptl_receiver_doom(space, c->right);
                break;
        default:
                break;
        }
}

static void discard_rights(struct ptl_space *space, struct ptl_queued *q)
{
        for (unsigned i = 0; i < q->n_rights; i++)
                discard_right(space, &q->carried[i]);
}

/* The reply right as a name; PTL_NULL: none, or its port is dead. */
static ptl_port enter_reply(struct ptl_space *space, struct ptl_queued *q)
{
        struct ptl_entry *e;

        if (PTL_UNLIKELY(q->reply_carried)) {
                q->reply_carried = false;
                return enter_right(space, &q->carried[--q->n_rights]);
        }
        if (!q->reply)
                return PTL_NULL;
        if (!q->peer) {
                e = ptl_space_entry(space, q->reply);
                if (e)
                        e->under_way = 0;
                return q->reply;
        }
        if (PTL_UNLIKELY(ptl_link_state(&q->peer->link) == PTL_LINK_DEAD))
                return PTL_NULL;
        return ptl_held_once(q->peer, q->reply);
}

void ptl_queued_free(struct ptl_space *space, struct ptl_queued *q)
{
        if (PTL_UNLIKELY(q->unsettled) && !q->opened)
                ptl_redeem_forget(space, q);
        if (!q->opened) {
                ptl_port reply = enter_reply(space, q);
                struct ptl_entry *e = ptl_space_entry(space, reply);

                if (e)
                        ptl_right_drop(space, e, 1);
                discard_rights(space, q);
                for (unsigned i = 0; i < q->n_regions; i++)
                        ptl_region_unref(space, q->regions[i].region);
        } else if (q->bytes == PTL_BYTES_REGION) {
                ptl_region_unref(space, q->regions[q->slot].region);
        }
        bytes_free(q);
        carried_free(q);
        if (q->regions)
                free(q->regions);
        if (PTL_UNLIKELY(q->attested != NULL)) {
                free(q->attested);
                q->attested = NULL; /* of a free cell it always is: ptl_queued_opened() */
        }
        if (q->peer)
                ptl_peer_unref(q->peer);
        cell_free(space, q);
}

/* In place: an item as it is received is no larger than as it was carried. */
static void open_rights(struct ptl_space *space, struct ptl_queued *q)
{
        struct ptl_right_item *items = (struct ptl_right_item *)(void *)q->carried;

        _Static_assert(sizeof *items <= sizeof *q->carried, "opened in place");
        for (unsigned i = 0; i < q->n_rights; i++) {
                struct ptl_frame_right c = q->carried[i];
                ptl_port name = ptl_carried_enter(space, &c);

                items[i] = item_of(space, name, c.what == PTL_CARRY_RECEIVE && name == c.right);
        }
}

void ptl_queued_open(struct ptl_space *space, struct ptl_queued *q, ptl_port port,
                     struct ptl_message *m)
{
        *m = (struct ptl_message){
                .data = q->data,
                .size = q->size,
                .port = port,
                .reply = enter_reply(space, q),
                .kind = q->kind,
                .in_place = q->bytes == PTL_BYTES_BLOCK || q->bytes == PTL_BYTES_HOLD || q->in_place,
                .sender = q->attested ? q->attested : q->peer ? &q->peer->link.identity : NULL,
                .opaque = {q},
        };
        if (PTL_UNLIKELY(q->n_rights)) {
                open_rights(space, q);
                m->rights = q->rights;
                m->n_rights = q->n_rights;
        }
        m->n_regions = q->n_regions;
        m->regions = q->regions;
        if (q->bytes == PTL_BYTES_REGION) /* the last region is the bytes: the library's */
                m->n_regions--;
        q->opened = 1;
}
