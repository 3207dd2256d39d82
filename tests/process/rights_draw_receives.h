/* SPDX-License-Identifier: Apache-2.0 */
/* rights_draw_receives.h - the conductor draws what is received (rights_draw.h) */
#pragma once
#include "rights_draw_sends.h"

/* Who dies takes nothing that was left: its sender may hear of either first (CAVEATS.md). */
static inline bool may_receive(struct model *m, const struct m_message *q, unsigned seat)
{
        if (q->left && seat == m->dying)
                return false;
        if ((q->left && !touch_queue(m, q->left, seat)) || (q->reply && !touch_queue(m, q->reply, seat)))
                return false;
        for (unsigned i = 0; i < q->n_items; i++)
                if (q->items[i].kind == M_SEND ? !touch(m, q->items[i].port, seat)
                                               : !touch_queue(m, q->items[i].port, seat))
                        return false;
        return true;
}

/* Is what came in the round of @index of one sender? Then it came in order. */
static inline bool is_of_one(const struct model *m, uint32_t index, uint32_t left)
{
        const struct m_message *first = &m->messages[index], *q = first;

        for (; left-- && q->round == first->round; q = &m->messages[q->next])
                if (!q->number || q->sender != first->sender || q->life != first->life)
                        return false;
        return true;
}

/* How many there are that may be received, some @most: all of a round, or where one sent all of them some. */
static inline uint32_t count_ready(struct model *m, uint32_t port, unsigned seat, uint32_t most)
{
        const struct m_port *p = &m->ports[port];
        uint32_t n = 0, may = 0, round = 0;
        bool in_order = false;

        for (uint32_t q = p->head; n < p->queued; q = m->messages[q].next, n++) {
                const struct m_message *next = &m->messages[q];

                if (next->round != round) {
                        in_order = is_of_one(m, q, p->queued - n);
                        may = n;
                } else if (in_order) {
                        may = n;
                }
                round = next->round;
                if (round == m->round || may >= most || !may_receive(m, next, seat))
                        return may;
        }
        return n;
}

static inline void item_received(struct model *m, unsigned seat, struct m_item *item)
{
        struct m_port *p = &m->ports[item->port];

        item->dead = !is_there(m, item->port);
        switch ((enum m_item_kind)item->kind) {
        case M_SEND:
                if (!item->dead)
                        hold_add(m, seat, item->port, 1);
                p->senders--;
                break;
        case M_ONCE:
                if (item->dead)
                        once_end(m, item->once);
                else
                        once_name(m, item->once, seat);
                return;
        case M_RECEIVE:
                item->dead = false;
                port_arrives(m, item->port, seat);
                break;
        case M_DEAD_NAME:
                item->dead = true;
                break;
        }
        unmention(m, item->port);
}

/* Answered, or its reply right is destroyed with it; nothing of the dead is answered. */
static inline void reply_received(struct walk *w, unsigned seat, struct m_message *q)
{
        struct model *m = w->model;

        if (m->seats[q->sender].life != q->life) {
                q->is_of_dead = q->sender != m->dying; /* else its death may not be seen yet */
                return;
        }
        if (!q->reply || !is_there(m, q->reply))
                return;
        q->has_reply = true;
        q->answered = chance(w, 2);
        if (!q->answered) {
                once_unused(m, q->reply);
                return;
        }
        m->ports[q->reply].onces--;
        q->answer = post(w, seat, q->reply, false);
}

static inline bool draw_receive(struct walk *w, unsigned seat, struct order *o)
{
        struct model *m = w->model;
        struct m_port *p;

        o->port = chance(w, 3) ? m->seats[seat].hub : pick_own(w, seat);
        p = &m->ports[o->port];
        if (!o->port || !p->queued || !touch(m, o->port, seat))
                return false;
        o->message = p->head;
        o->count = (int32_t)count_ready(m, o->port, seat, 1 + pick(w, 12));
        if (!o->count || o->count > 200)
                return false;
        p->received_round = m->round;
        o->how = (uint8_t)pick(w, 3);
        for (int32_t i = 0; i < o->count; i++) {
                struct m_message *q = queue_out(m, o->port, NULL);

                p->through -= q->through;
                p->sequence++;
                left_ends(m, q, o->port, PTL_NOTIFY_MESSAGE_ACCEPTED);
                reply_received(w, seat, q);
                for (unsigned k = 0; k < q->n_items; k++)
                        item_received(m, seat, &q->items[k]);
                message_ends(m, q);
                look_for_senders(m, o->port);
        }
        return true;
}
