/* SPDX-License-Identifier: Apache-2.0 */
/* task/resend.c - see resend.h */
#include "task/resend.h"
#include "port/regions.h"
#include "port/request.h"
#include "task/block.h"
#include "task/carry.h"
#include <string.h>

/* --- copies --- */

/* What the frame granted: it stands in our own ring as it was written. */
static int keep_granted(const struct ptl_sending *s, struct ptl_copy *c)
{
        struct ptl_copy_rights *r;
        struct ptl_rich rich;

        if (!s->extras || !s->extras->n_rights || ptl_rich_decode(s->frame, s->frame_length, &rich))
                return 0;
        r = c->granted = malloc(sizeof *r);
        if (!r)
                return -ENOMEM;
        r->n_rights = rich.n_rights;
        r->n_given = rich.n_given;
        memcpy(r->rights, rich.rights, rich.n_rights * sizeof *r->rights);
        for (uint32_t i = 0; i < rich.n_given; i++)
                r->given[i] = ptl_rich_given(&rich, i);
        return 0;
}

/* Room for all that the message is; what it carries is still the program's. NULL: no memory. */
static struct ptl_copy *copy_new(struct ptl_task *task, const struct ptl_sending *s)
{
        struct ptl_copy *c = calloc(1, sizeof *c);
        struct ptl_queued *q = c ? ptl_queued_new(&task->space, s->size) : NULL;
        const struct ptl_outgoing *out = s->extras;

        int r = q ? 0 : -ENOMEM;

        if (q)
                q->size = s->size;
        if (!r && out && out->n_rights)
                r = ptl_queued_carry(q, (uint32_t)out->n_rights);
        if (!r && out && out->n_regions) {
                q->regions = calloc(out->n_regions, sizeof *q->regions);
                r = q->regions ? 0 : -ENOMEM;
        }
        if (!r)
                r = keep_granted(s, c);
        if (!r) {
                c->queued = q;
                return c;
        }
        if (q)
                ptl_queued_free(&task->space, q);
        free(c);
        return NULL;
}

/* One that the program keeps; copied as it is now, or without memory as it will be. */
static struct ptl_region *keep_region(const struct ptl_region_item *item)
{
        struct ptl_region *copy;

        if (item->how == PTL_REGION_COPIED && !ptl_region_copy(item->region, &copy))
                return copy;
        return ptl_region_ref(item->region);
}

/* The program's references become the copy's. */
static void take_carried(struct ptl_task *task, struct ptl_queued *q, const struct ptl_outgoing *out)
{
        ptl_carry_local(task, out, NULL, q->carried);
        q->n_rights = (uint8_t)out->n_rights;
        for (size_t i = 0; i < out->n_regions; i++) {
                q->regions[i] = out->regions[i];
                if (out->regions[i].how != PTL_REGION_ISOLATED)
                        q->regions[i].region = keep_region(&out->regions[i]);
        }
        q->n_regions = (uint8_t)out->n_regions;
}

static void fill(struct ptl_task *task, struct ptl_copy *c, const struct ptl_sending *s, const void *bytes,
                 uint32_t units)
{
        struct ptl_queued *q = c->queued;

        if (s->size)
                memcpy(q->data, bytes, s->size);
        q->kind = s->kind;
        q->units = units;
        c->minted = s->minted;
        c->reply_port = s->minted ? s->reply_port : PTL_NULL;
        if (s->extras)
                take_carried(task, q, s->extras);
}

/* The program has the right no more; its entry stays until it is known what became of its message. */
static void hide_used(struct ptl_space *space, struct ptl_entry *e)
{
        ptl_name_ends(space, e);
        e->under_way = e->rights;
        e->rights = 0;
        e->references = 0;
}

void ptl_resend_commit(struct ptl_task *task, struct ptl_entry *e, struct ptl_sending *s, const void *bytes,
                       uint32_t units)
{
        struct ptl_copy *c = copy_new(task, s);
        uint32_t index = ptl_name_index(ptl_entry_name(e));

        if (!c) { /* as a message that nobody had to keep: if it is not counted it is lost */
                ptl_send_commit(task, e, s, units);
                return;
        }
        ptl_send_count(task, e, s->size, units);
        fill(task, c, s, bytes, units);
        e = ptl_table_at(&task->space.entries, index);
        if (e->rights & PTL_RIGHT_SEND_ONCE)
                hide_used(&task->space, e);
        s->way = ptl_way_keep(&task->space, e, c);
}

/* --- sending again --- */

/* As if the message had been received: under names, which the next step takes back. */
static void open_rights(struct ptl_space *space, const struct ptl_queued *q, struct ptl_right_item *items)
{
        for (unsigned i = 0; i < q->n_rights; i++) {
                struct ptl_entry *e;

                items[i].port = ptl_carried_enter(space, &q->carried[i]);
                e = ptl_space_entry(space, items[i].port);
                items[i].disposition = e && e->rights & PTL_RIGHT_SEND_ONCE ? PTL_MOVE_SEND_ONCE : PTL_MOVE_SEND;
        }
}

static int lend(struct ptl_peer *peer, const void *bytes, size_t size, int *ret_slot)
{
        struct ptl_link *link = &peer->link;
        int slot;

        ptl_lock(&link->lock);
        slot = ptl_link_state(link) == PTL_LINK_DEAD ? -EPIPE : ptl_link_block_reserve(link, size);
        if (slot >= 0)
                ptl_link_copy(link, ptl_link_block(link, (unsigned)slot), bytes, size);
        ptl_unlock(&link->lock);
        if (slot < 0)
                return slot == -1 ? PTL_E_FULL : slot == -EPIPE ? PTL_E_DEAD : slot;
        *ret_slot = slot;
        return 0;
}

static int write_block(struct ptl_task *task, struct ptl_entry *e, struct ptl_sending *s)
{
        struct ptl_peer *peer = e->peer;
        int r = lend(peer, s->data, s->size, &s->block);

        if (r)
                return r;
        s->block_peer = ptl_peer_ref(peer);
        r = ptl_send_write(task, e, s, NULL);
        ptl_block_cancel(peer, s->block);
        return r;
}

static int write_copy(struct ptl_task *task, struct ptl_entry *e, struct ptl_sending *s)
{
        if (s->size + ptl_send_head(s) <= PTL_INLINE_MAX)
                return ptl_send_write(task, e, s, NULL);
        return s->size <= PTL_BLOCK_MAX ? write_block(task, e, s) : ptl_send_write_region(task, e, s);
}

int ptl_resend(struct ptl_space *space, struct ptl_entry *e, struct ptl_copy *c)
{
        struct ptl_task *task = PTL_CONTAINER(space, struct ptl_task, space);
        struct ptl_queued *q = c->queued;
        struct ptl_right_item items[PTL_MESSAGE_RIGHTS_MAX];
        struct ptl_outgoing out = {
                .rights = items, .n_rights = q->n_rights, .regions = q->regions, .n_regions = q->n_regions};
        struct ptl_sending s = {.data = q->data, .size = q->size, .kind = q->kind, .block = -1};
        int r = 0;

        s.extras = q->n_rights || q->n_regions ? &out : NULL;
        s.reply_port = ptl_receiver_of(space, c->reply_port) ? c->reply_port : PTL_NULL;
        open_rights(space, q, items);
        if (q->n_rights)
                r = ptl_carry_check_rights(task, e->peer, NULL, &out);
        if (!r)
                r = write_copy(task, e, &s);
        if (!r) {
                c->minted = s.minted;
                (void)!keep_granted(&s, c); /* without memory: what it granted stays granted */
                ptl_send_count(task, e, 0, q->units);
                task->space.counters.sent--; /* it was counted */
        }
        ptl_carry_local(task, &out, NULL, q->carried);
        return r;
}

/* --- waiting --- */

static bool is_there(struct ptl_task *task, struct ptl_waiter *waiter)
{
        return !ptl_way_is_open(&task->space, *(uint32_t *)waiter->arg);
}

void ptl_resend_await(struct ptl_task *task, uint32_t way, ptl_time deadline)
{
        struct ptl_waiter w = {.kind = PTL_WAITS_ROOM, .check = is_there, .arg = &way};

        if (deadline != PTL_NOW && !is_there(task, &w))
                (void)!ptl_wait_for(task, &w, deadline);
}

int ptl_resend_relend(struct ptl_entry *e, struct ptl_sending *s)
{
        struct ptl_peer *before = s->block_peer;
        const void *bytes = s->data ? s->data : ptl_link_block(&before->link, (unsigned)s->block);
        int slot, r = lend(e->peer, bytes, s->size, &slot);

        if (r)
                return r;
        s->block_peer = ptl_peer_ref(e->peer);
        ptl_block_cancel(before, s->block);
        s->block = slot;
        return 0;
}
