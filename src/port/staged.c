/* SPDX-License-Identifier: Apache-2.0 */
/* port/staged.c - a queued message on its way to the new receiver, with what it carries (moving.h) */
#include "port/move_parts.h"
#include "port/regions.h"
#include <string.h>

/* A message as it goes to the new receiver. */
struct outgoing {
        struct ptl_move *move;
        const struct ptl_queued *q;
        struct ptl_rich rich;
        struct ptl_frame_given given[PTL_MESSAGE_RIGHTS_MAX];
        bool reply;
};

/* A third task's right: it is told before the message goes (H1). */
static int give(struct outgoing *o, struct ptl_peer *owner, uint32_t right, bool once, struct ptl_frame_right *f)
{
        struct ptl_giving giving = {.owner = owner, .count = 1};
        int e;

        giving.give.items[0] =
                (struct ptl_frame_give_item){.right = right, .kind = once ? PTL_CARRY_ONCE : PTL_CARRY_SEND};
        e = ptl_given_reserve(o->move->to, &giving);
        if (e)
                return e;
        f->what = once ? PTL_CARRY_GIVEN_ONCE : PTL_CARRY_GIVEN_SEND;
        f->right = o->rich.n_given;
        o->given[o->rich.n_given++] = (struct ptl_frame_given){ptl_move_task_of(owner), giving.give.items[0].ticket};
        ptl_given_commit(o->move->to, &giving);
        return 0;
}

/* One of the new receiver's own goes home; a third task's is given. */
static int carry_remote(struct outgoing *o, struct ptl_peer *owner, uint32_t right, bool once, struct ptl_frame_right *f)
{
        if (!owner || ptl_link_state(&owner->link) == PTL_LINK_DEAD)
                return 0;
        if (owner != o->move->to)
                return give(o, owner, right, once, f);
        f->what = once ? PTL_CARRY_BACK_ONCE : PTL_CARRY_BACK_SEND;
        f->right = right;
        return 0;
}

static int carry_along(struct outgoing *o, const struct ptl_receiver *r, bool once, struct ptl_frame_right *f)
{
        struct ptl_frame_given *given = &o->given[o->rich.n_given];

        f->what = once ? PTL_CARRY_GIVEN_ONCE : PTL_CARRY_GIVEN_SEND;
        f->right = o->rich.n_given++;
        given->owner = ptl_move_task_of(o->move->to);
        return ptl_move_put_given(o->move, r, once, &given->ticket);
}

/* A right to a port of this task. */
static int carry_own(struct outgoing *o, struct ptl_receiver *r, bool once, struct ptl_frame_right *f)
{
        struct ptl_peer *to = o->move->to;
        struct ptl_grant *g;

        if (!r)
                return 0;
        if (ptl_move_takes(o->move, r))
                return carry_along(o, r, once, f);
        f->right = once ? ptl_grant_once(to, r, &g) : ptl_grant_send(to, r);
        f->what = !f->right ? PTL_CARRY_DEAD : once ? PTL_CARRY_ONCE : PTL_CARRY_SEND;
        f->limit_messages = r->limit_messages;
        f->limit_units = r->limit_units;
        return f->right ? 0 : PTL_E_QUOTA;
}

static int carry(struct outgoing *o, const struct ptl_frame_right *c, struct ptl_frame_right *f)
{
        struct ptl_space *space = o->move->space;
        struct ptl_receiver *r = ptl_receiver_anywhere(space, c->right);
        struct ptl_entry *e;

        *f = (struct ptl_frame_right){.what = PTL_CARRY_DEAD};
        switch (c->what) {
        case PTL_CARRY_OWN:
        case PTL_CARRY_OWN_ONCE:
                return carry_own(o, r, c->what == PTL_CARRY_OWN_ONCE, f);
        case PTL_CARRY_RECEIVE:
                f->right = r ? ptl_move_number(o->move, r) : 0;
                f->what = f->right ? PTL_CARRY_COMMITTED : PTL_CARRY_DEAD;
                return 0;
        case PTL_CARRY_HELD:
                e = ptl_space_hidden(space, c->right);
                if (!e || (e->rights | e->under_way) & PTL_RIGHT_DEAD)
                        return 0;
                return carry_remote(o, e->peer, e->remote, (e->rights | e->under_way) & PTL_RIGHT_SEND_ONCE, f);
        default:
                return 0;
        }
}

/* The right to answer it: the last of its rights. */
static int carry_reply(struct outgoing *o)
{
        struct ptl_frame_right *f = &o->rich.rights[o->rich.n_rights];
        const struct ptl_queued *q = o->q;
        struct ptl_entry *e;

        if (!q->reply || o->rich.n_rights == PTL_MESSAGE_RIGHTS_MAX)
                return 0;
        *f = (struct ptl_frame_right){.what = PTL_CARRY_DEAD};
        o->rich.n_rights++;
        o->reply = true;
        if (q->peer)
                return carry_remote(o, q->peer, q->reply, true, f);
        e = ptl_space_entry(o->move->space, q->reply);
        return e ? carry_own(o, ptl_receiver_anywhere(o->move->space, e->remote), true, f) : 0;
}

static int carry_all(struct outgoing *o)
{
        int e = 0;

        for (unsigned i = 0; !e && i < o->q->n_rights; i++) {
                e = carry(o, &o->q->carried[i], &o->rich.rights[i]);
                o->rich.n_rights += !e;
        }
        if (o->q->reply_carried) {
                o->reply = true;
                return e;
        }
        return e ? e : carry_reply(o);
}

/* Bytes that the ring does not hold: in a block. */
static int put_in_block(struct ptl_move *m, const struct ptl_queued *q, struct ptl_frame_block *ret)
{
        struct ptl_link *link = &m->to->link;
        int slot = q->size > PTL_BLOCK_MAX ? -1 : ptl_link_block_reserve(link, q->size);

        if (slot < -1)
                return slot;
        if (slot < 0)
                return q->size > PTL_BLOCK_MAX ? PTL_E_QUOTA : PTL_E_FULL;
        ptl_link_copy(link, ptl_link_block(link, (unsigned)slot), q->data, q->size);
        *ret = (struct ptl_frame_block){ptl_pool_offset(link->pool, (unsigned)slot), (uint32_t)slot, q->size};
        ptl_pool_give(link->pool, (unsigned)slot);
        return 0;
}

static int export_regions(struct outgoing *o)
{
        struct ptl_region *regions[PTL_LINK_TOGETHER];
        const struct ptl_queued *q = o->q;
        uint32_t n = 0;

        for (uint32_t i = 0; i < q->n_regions; i++) {
                bool bytes = q->bytes == PTL_BYTES_REGION && i == q->slot;

                if (!q->regions[i].region)
                        continue; /* its descriptor did not arrive here */
                o->rich.regions[n].how = bytes ? PTL_REGION_VOLATILE : q->regions[i].how;
                regions[n++] = q->regions[i].region;
        }
        o->rich.n_regions = n;
        if (o->move->bag && ptl_move_packs(q)) {
                struct ptl_move *m = o->move;

                memcpy((char *)m->bag->data + m->bag_used, q->data, q->size);
                o->rich.where = PTL_WHERE_REGION;
                o->rich.block = (struct ptl_frame_block){.offset = (uint32_t)m->bag_used, .slot = n, .size = q->size};
                m->bag_used += (q->size + 63) / 64 * 64;
                o->rich.regions[n].how = PTL_REGION_VOLATILE;
                regions[n++] = m->bag;
                o->rich.n_regions = n;
        }
        if (q->bytes == PTL_BYTES_REGION) {
                o->rich.where = PTL_WHERE_REGION;
                o->rich.block = (struct ptl_frame_block){.slot = n - 1, .size = q->size}; /* the last */
        }
        return n ? ptl_regions_export(o->move->to, regions, n, o->rich.regions) : 0;
}

static int write_rich(struct outgoing *o, const struct ptl_frame_head *head)
{
        struct ptl_link *link = &o->move->to->link;
        size_t size = ptl_rich_head_size(o->rich.n_rights, o->rich.n_regions) +
                      o->rich.n_given * sizeof *o->given;
        bool in_line = o->rich.where == PTL_WHERE_INLINE && size + o->q->size <= PTL_INLINE_MAX;
        uint32_t length = (uint32_t)(size + (in_line ? o->q->size : 0));
        struct ptl_ring_slot slot;
        int e = 0;

        if (!in_line && o->rich.where == PTL_WHERE_INLINE) {
                o->rich.where = PTL_WHERE_BLOCK;
                e = put_in_block(o->move, o->q, &o->rich.block);
        }
        if (!e)
                e = ptl_ring_reserve(&link->tx, length, 0, &slot);
        if (e)
                return e;
        o->rich.given = o->given;
        ptl_rich_encode(&o->rich, slot.body);
        if (in_line && o->q->size)
                ptl_copy_shared((char *)slot.body + size, o->q->data, o->q->size);
        ptl_ring_publish(&link->tx, &slot, PTL_FRAME_RICH, length, head);
        link->frames_sent++;
        return 0;
}

static int write_plain(struct outgoing *o, const struct ptl_frame_head *head)
{
        struct ptl_link *link = &o->move->to->link;
        struct ptl_frame_block block;
        int e;

        if (o->q->size <= PTL_INLINE_MAX)
                return ptl_control_write(link, PTL_FRAME_INLINE, head, o->q->data, (uint32_t)o->q->size);
        e = put_in_block(o->move, o->q, &block);
        return e ? e : ptl_control_write(link, PTL_FRAME_BLOCK, head, &block, sizeof block);
}

int ptl_move_write(struct ptl_move *m, const struct ptl_queued *q, enum ptl_frame_kind kind,
                   const struct ptl_frame_head *head)
{
        struct ptl_frame_head of_message = {.aux = q->kind};
        struct ptl_move_queued body = {.hops = q->hops + 1u};
        struct outgoing o = {.move = m, .q = q};
        struct ptl_link *link = &m->to->link;
        int e;

        body.sender = q->attested ? *q->attested : q->peer ? q->peer->link.identity : *m->space->me;
        body.sender.reserved = 0;
        e = carry_all(&o);
        if (!e)
                e = export_regions(&o);
        body.reply = o.reply;
        if (!e)
                e = ptl_control_write(link, kind, head, &body, sizeof body);
        if (!e)
                e = o.rich.n_rights || o.rich.n_regions ? write_rich(&o, &of_message) : write_plain(&o, &of_message);
        return e;
}
