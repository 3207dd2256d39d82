/* SPDX-License-Identifier: Apache-2.0 */
/* task/local.c - see local.h */
#include "task/local.h"
#include "port/regions.h"
#include "port/request.h"
#include "task/carry.h"
#include <string.h>

static bool local_fits(const struct ptl_receiver *r, const struct ptl_entry *own, uint32_t units)
{
        return own->own < r->limit_messages && (!own->own || own->own_units + units <= r->limit_units);
}

/* Room for what the message carries, before anything is taken from the sender. */
static int local_room(struct ptl_queued *q, const struct ptl_outgoing *out)
{
        if (out->n_rights && ptl_queued_carry(q, (uint32_t)out->n_rights))
                return -ENOMEM;
        if (out->n_regions) {
                q->regions = calloc(out->n_regions, sizeof *q->regions);
                if (!q->regions)
                        return -ENOMEM;
        }
        return 0;
}

/* Isolated from whoever else sees it: the handle itself moves if nobody does, else a copy is made. */
static int local_regions(struct ptl_task *task, struct ptl_queued *q, const struct ptl_outgoing *out)
{
        for (size_t i = 0; i < out->n_regions; i++) {
                struct ptl_region *region = out->regions[i].region;
                int r = 0;

                q->regions[i] = out->regions[i];
                if (out->regions[i].how == PTL_REGION_VOLATILE)
                        ptl_region_ref(region);
                else if (out->regions[i].how == PTL_REGION_COPIED || region->references > 1 ||
                         ptl_region_is_shared(region))
                        r = ptl_region_copy(region, &q->regions[i].region);
                if (r) {
                        while (i--)
                                if (q->regions[i].region != out->regions[i].region ||
                                    out->regions[i].how == PTL_REGION_VOLATILE)
                                        ptl_region_unref(&task->space, q->regions[i].region);
                        return r;
                }
        }
        return 0;
}

/* What was copied in order to be isolated is given up by the sender, as if it had moved. */
static void local_consume(struct ptl_task *task, struct ptl_queued *q, const struct ptl_outgoing *out)
{
        for (size_t i = 0; i < out->n_regions; i++)
                if (out->regions[i].how == PTL_REGION_ISOLATED && q->regions[i].region != out->regions[i].region)
                        ptl_region_unref(&task->space, out->regions[i].region);
}

/* The message is not sent after all: its reply right never was. */
static void unmint(struct ptl_task *task, struct ptl_queued *q)
{
        struct ptl_entry *e = q->reply ? ptl_space_entry(&task->space, q->reply) : NULL;

        q->reply = PTL_NULL;
        if (!e)
                return;
        ptl_space_entry(&task->space, e->remote)->onces--;
        ptl_space_remove(&task->space, e);
}

static int local_message(struct ptl_task *task, struct ptl_receiver *to, struct ptl_sending *s,
                         struct ptl_queued **ret_queued)
{
        struct ptl_queued *q = ptl_queued_new(&task->space, s->size);
        int r = q ? 0 : -ENOMEM;

        if (r)
                return r;
        if (s->size)
                memcpy(q->data, s->data, s->size);
        q->size = s->size;
        q->kind = s->kind;
        q->units = ptl_units(s->size);
        if (s->extras)
                r = local_room(q, s->extras);
        if (!r && s->reply_port) {
                q->reply = ptl_once_insert(&task->space, ptl_receiver_of(&task->space, s->reply_port));
                s->minted = q->reply;
                if (q->reply) /* a name that nobody was given */
                        ptl_space_entry(&task->space, q->reply)->under_way = PTL_RIGHT_SEND_ONCE;
                r = q->reply ? 0 : PTL_E_QUOTA;
        }
        if (!r && s->extras)
                r = local_regions(task, q, s->extras);
        if (r) {
                unmint(task, q);
                s->minted = 0;
                ptl_queued_free(&task->space, q);
                return r;
        }
        if (s->extras) {
                local_consume(task, q, s->extras);
                ptl_carry_local(task, s->extras, to, q->carried);
                q->n_rights = (uint8_t)s->extras->n_rights;
                q->n_regions = (uint8_t)s->extras->n_regions;
        }
        *ret_queued = q;
        return 0;
}

int ptl_local_send(struct ptl_task *task, struct ptl_receiver *receiver, const struct ptl_entry *once,
                   struct ptl_sending *s)
{
        struct ptl_entry *own = ptl_receiver_entry(&task->space, receiver);
        uint32_t units = ptl_units(s->size);
        struct ptl_queued *q;
        bool left;
        int r = s->extras ? ptl_carry_check(task, NULL, once, s->extras) : 0;

        if (r)
                return r;
        left = !once && !local_fits(receiver, own, units);
        if (left && (!s->leave || receiver->left))
                return PTL_E_FULL;
        r = local_message(task, receiver, s, &q);
        if (r)
                return r;
        if (PTL_UNLIKELY(ptl_receiver_is_in_itself(receiver))) { /* nobody could ever take it (Mach's rule, M-46) */
                task->space.counters.destroyed++;
                ptl_queued_free(&task->space, q);
                return 0;
        }
        if (!once) {
                q->local_counted = true;
                own->own++;
                own->own_units += units;
        }
        if (left) {
                receiver->left = q->left = true;
                q->notify = s->notify;
        }
        ptl_receiver_put(&task->space, receiver, q);
        return 0;
}

int ptl_local_send_once(struct ptl_task *task, struct ptl_entry *e, struct ptl_sending *s)
{
        struct ptl_receiver *receiver = ptl_receiver_anywhere(&task->space, e->remote);
        uint32_t index = ptl_entry_index(e);
        int r;

        if (!e->remote) { /* a caller of this task that gave up: its late reply is destroyed */
                task->space.counters.destroyed++;
                ptl_name_ends(&task->space, e);
                ptl_space_remove(&task->space, e);
                return 0;
        }
        if (!receiver)
                return PTL_E_DEAD;
        r = ptl_local_send(task, receiver, e, s);
        if (r)
                return r;
        e = ptl_table_at(&task->space.entries, index);
        receiver = ptl_receiver_anywhere(&task->space, e->remote); /* it may have died in the message */
        if (receiver)
                ptl_receiver_entry(&task->space, receiver)->onces--;
        ptl_name_ends(&task->space, e);
        ptl_space_remove(&task->space, e);
        return 0;
}
