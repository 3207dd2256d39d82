/* SPDX-License-Identifier: Apache-2.0 */
/* port/depart.c - what this task had of a port that is another task's now (moving.h: the old receiver) */
#include "port/move_parts.h"
#include "port/request.h"
#include "port/senders.h"

/* --- what this task had --- */

bool ptl_move_claim(struct ptl_peer *to, struct ptl_entry *e, uint32_t number)
{
        struct ptl_move_claim body = {.task = to->space->me->task, .number = number};
        uint32_t index = ptl_table_take(&to->claims), right;
        struct ptl_claim *h = ptl_table_at(&to->claims, index);
        struct ptl_frame_head head;
        int r;

        if (!h)
                return false;
        right = ptl_right_make(index, to->claimed_often++);
        head = (struct ptl_frame_head){.right = right};
        ptl_lock(&to->link.lock);
        r = ptl_move_put(to, PTL_FRAME_CLAIM_MOVED, &head, &body, sizeof body);
        ptl_unlock(&to->link.lock);
        if (r) {
                ptl_table_give(&to->claims, index);
                return false;
        }
        h->name = ptl_entry_name(e);
        h->ticket = 0;
        e->peer = ptl_peer_ref(to);
        e->remote = right | PTL_RIGHT_CLAIMED;
        e->flags |= PTL_ENTRY_UNCONFIRMED;
        return true;
}

/* The port's name: what it has of send rights is the new receiver's from now on. */
static void turn_own(struct ptl_move *m, const struct ptl_move_port_of *p, ptl_port name)
{
        struct ptl_entry *e = ptl_table_at(&m->space->entries, ptl_name_index(name)), was = *e;
        struct ptl_receiver *r = p->receiver;
        uint32_t limit_messages = r->limit_messages, limit_units = r->limit_units;

        ptl_receiver_depart(m->space, r);
        e->receiver = NULL;
        e->transit = e->under_way = 0;
        e->pending_next = e->remote = 0;
        e->sent = e->sent_units = e->taken = e->taken_units = 0;
        e->limit_bytes = 0;
        if (p->own_place == PTL_NO_PLACE) {
                ptl_name_ends(m->space, e);
                ptl_space_remove(m->space, e);
                return;
        }
        e->sent = was.own;
        e->sent_units = was.own_units;
        e->limit_messages = (uint16_t)limit_messages;
        e->limit_units = limit_units;
        if (!ptl_move_claim(m->to, e, PTL_OWN_NUMBER)) {
                e->peer = NULL;
                if (e->rights)
                        ptl_right_kill(m->space, e);
                else
                        e->under_way = PTL_RIGHT_DEAD;
                return;
        }
}

static void items_of(struct ptl_move *m, struct ptl_queued *q, struct ptl_entry *e, ptl_port name)
{
        for (unsigned i = 0; q && i < q->n_rights; i++)
                if (q->carried[i].what == PTL_CARRY_OWN && q->carried[i].right == name) {
                        q->carried[i].what = PTL_CARRY_HELD;
                        e->transit++;
                }
        (void)m;
}

/* Send rights in messages that stay here: by the name of the right that it is now. */
static void turn_items(struct ptl_move *m, ptl_port name)
{
        struct ptl_entry *e = ptl_table_at(&m->space->entries, ptl_name_index(name));

        for (uint32_t i = 1; i < m->space->entries.fresh; i++) {
                struct ptl_receiver *r = ptl_entry_receiver(ptl_table_at(&m->space->entries, i));

                for (struct ptl_queued *q = r ? r->head : NULL; q; q = q->next)
                        items_of(m, q, e, name);
        }
        if (!e->rights && e->transit)
                e->under_way = PTL_RIGHT_SEND;
}

/* A send-once right is as good as it was, at the new receiver. */
static void turn_once(struct ptl_move *m, struct ptl_entry *e, uint32_t number)
{
        e->remote = 0;
        if (!ptl_move_claim(m->to, e, number))
                ptl_right_kill(m->space, e);
}

/* One in a message gets a name that it is hidden under. */
static void turn_once_item(struct ptl_move *m, struct ptl_frame_right *c, uint32_t number)
{
        struct ptl_entry *e;
        ptl_port name = ptl_space_insert(m->space, PTL_RIGHT_SEND_ONCE, &e);

        c->what = PTL_CARRY_DEAD;
        if (!name)
                return;
        if (!ptl_move_claim(m->to, e, number)) {
                ptl_space_remove(m->space, e);
                return;
        }
        e->transit = 1;
        e->references = 0;
        e->under_way = PTL_RIGHT_SEND_ONCE;
        e->rights = 0;
        c->what = PTL_CARRY_HELD;
        c->right = name;
}

/* Returns how many there were; requests that would have told the port have none of these. */
static uint32_t turn_onces(struct ptl_move *m, ptl_port name)
{
        uint32_t number = PTL_OWN_NUMBER;

        for (uint32_t i = 1; i < m->space->entries.fresh; i++) {
                struct ptl_entry *e = ptl_table_at(&m->space->entries, i);
                struct ptl_receiver *r = ptl_entry_receiver(e);

                if (e->rights == PTL_RIGHT_SEND_ONCE && !e->peer && e->remote == name)
                        turn_once(m, e, ++number);
                for (struct ptl_queued *q = r ? r->head : NULL; q; q = q->next)
                        for (unsigned k = 0; k < q->n_rights; k++)
                                if (q->carried[k].what == PTL_CARRY_OWN_ONCE && q->carried[k].right == name)
                                        turn_once_item(m, &q->carried[k], ++number);
        }
        return number - PTL_OWN_NUMBER;
}

static void consume_item(struct ptl_space *space, struct ptl_frame_right *c)
{
        struct ptl_receiver *r = ptl_receiver_anywhere(space, c->right);
        struct ptl_entry *e = c->what == PTL_CARRY_HELD ? ptl_space_hidden(space, c->right) : NULL;

        if (c->what == PTL_CARRY_OWN_ONCE && r)
                ptl_receiver_entry(space, r)->onces--;
        if (e && (e->rights | e->under_way) & PTL_RIGHT_SEND_ONCE) {
                struct ptl_peer *peer = e->peer;

                ptl_name_ends(space, e);
                if (peer)
                        ptl_held_forget(peer, e->remote);
                ptl_space_remove(space, e);
                if (peer)
                        ptl_peer_unref(peer);
                c->what = PTL_CARRY_DEAD;
        }
        if (c->what == PTL_CARRY_OWN_ONCE || c->what == PTL_CARRY_RECEIVE)
                c->what = PTL_CARRY_DEAD;
}

void ptl_move_consume(struct ptl_space *space, struct ptl_queued *q)
{
        struct ptl_entry *e = q->reply && !q->peer ? ptl_space_entry(space, q->reply) : NULL;
        struct ptl_receiver *r = e ? ptl_receiver_anywhere(space, e->remote) : NULL;

        for (unsigned i = 0; i < q->n_rights; i++)
                consume_item(space, &q->carried[i]);
        if (r)
                ptl_receiver_entry(space, r)->onces--;
        if (e)
                ptl_space_remove(space, e);
        q->reply = 0;
        ptl_notify(space, q->notify, PTL_NOTIFY_MESSAGE_ACCEPTED, PTL_NULL, NULL); /* it needs its sender no more */
        ptl_queued_free(space, q);
}

/* The message has moved the name's send right, too: nothing is left of it. */
static void give_up_unused(struct ptl_move *m, ptl_port name, uint32_t place)
{
        struct ptl_entry *e = ptl_table_at(&m->space->entries, ptl_name_index(name));

        if (place == PTL_NO_PLACE || ptl_entry_name(e) != name || e->rights || e->transit)
                return;
        e->rights = PTL_RIGHT_SEND;
        e->references = 1;
        ptl_right_drop(m->space, e, 1);
}

static void depart(struct ptl_move *m, struct ptl_move_port_of *p)
{
        ptl_port name = p->receiver->name;
        uint32_t n = p->onces ? turn_onces(m, name) : 0;

        if (p->onces)
                ptl_requests_forget(m->space, name);
        m->space->dying(m->space, p->receiver); /* its published names are withdrawn, for now */
        turn_own(m, p, name);
        if (p->own_place != PTL_NO_PLACE)
                turn_items(m, name);
        give_up_unused(m, name, p->own_place);
        for (; n < p->onces; n++) /* of requests: as if they were given up unused */
                ptl_stub_done(p->moved, p->onces_place + n);
}

void ptl_move_tell(struct ptl_move *m)
{
        struct ptl_peer *next;

        for (struct ptl_peer *p = m->space->peers; p; p = next) {
                next = p->next;
                if (p->moving && ptl_control_is_pending(p))
                        ptl_control_flush(p);
        }
}

void ptl_move_depart(struct ptl_move *m)
{
        struct ptl_queued *q;

        for (uint32_t i = 0; i < m->count; i++)
                while ((q = ptl_receiver_unqueue(m->space, m->ports[i].receiver)))
                        ptl_move_consume(m->space, q);
        for (uint32_t i = 0; i < m->count; i++)
                depart(m, &m->ports[i]);
}
