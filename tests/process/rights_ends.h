/* SPDX-License-Identifier: Apache-2.0 */
/* rights_ends.h - the reference: how ports, messages and tasks end, and who is told (rights_model.h) */
#pragma once
#include "rights_model.h"

/* --- who is touched by an end; nothing else changes --- */

static inline bool may_die(struct model *m, uint32_t port, unsigned seat);

static inline bool may_destroy(struct model *m, const struct m_message *q, unsigned seat)
{
        if (q->reply && !touch_queue(m, q->reply, seat))
                return false;
        if (q->left && !touch_queue(m, q->left, seat))
                return false;
        for (unsigned i = 0; i < q->n_items; i++) {
                uint32_t port = q->items[i].port;
                bool may = q->items[i].kind == M_SEND      ? touch(m, port, seat)
                           : q->items[i].kind == M_RECEIVE ? may_die(m, port, seat)
                                                           : touch_queue(m, port, seat);

                if (!may)
                        return false;
        }
        return true;
}

/* Whether a right that was asked about dies before who would be told of that makes a difference of one reference. */
static inline bool may_forget(struct model *m, uint32_t port, unsigned seat)
{
        const struct m_seat *s = &m->seats[m->ports[port].owner];
        unsigned owner = m->ports[port].owner;

        for (uint32_t i = 0; i < s->held.n; i++)
                if (m->holds[owner][s->held.at[i]].asked == port && !touch_queue(m, s->held.at[i], seat))
                        return false;
        for (uint32_t i = 0; i < s->onces.n; i++)
                if (m->onces[s->onces.at[i]].asked == port && !touch_queue(m, m->onces[s->onces.at[i]].port, seat))
                        return false;
        return true;
}

/* Every holder hears of it. Requests of the dying port's own are its owner's. */
static inline bool may_die(struct model *m, uint32_t port, unsigned seat)
{
        struct m_port *p = &m->ports[port];

        if (!touch_alone(m, port, seat) || (p->told && !may_forget(m, port, seat)))
                return false;
        for (unsigned s = 0; s < SEATS; s++)
                if (m->holds[s][port].asked && !touch_queue(m, m->holds[s][port].asked, seat))
                        return false;
        for (unsigned s = 0; p->onces && s < SEATS; s++)
                for (uint32_t i = 0; i < m->seats[s].onces.n; i++) {
                        const struct m_once *o = &m->onces[m->seats[s].onces.at[i]];

                        if (o->port == port && o->asked && !touch_queue(m, o->asked, seat))
                                return false;
                }
        for (uint32_t q = p->head, n = p->queued; n--; q = m->messages[q].next)
                if (!may_destroy(m, &m->messages[q], seat))
                        return false;
        return true;
}

/* --- ends --- */

static inline void port_dies(struct model *m, uint32_t port);

static inline struct m_message *queue_out(struct model *m, uint32_t port, uint32_t *ret_index)
{
        struct m_port *p = &m->ports[port];
        uint32_t index = p->head;

        p->head = m->messages[index].next;
        p->queued--;
        m->queued--;
        free_put(&m->free_messages, index);
        if (ret_index)
                *ret_index = index;
        return &m->messages[index];
}

static inline void item_destroyed(struct model *m, const struct m_item *item)
{
        switch ((enum m_item_kind)item->kind) {
        case M_SEND:
                m->ports[item->port].senders--;
                look_for_senders(m, item->port);
                break;
        case M_ONCE:
                once_unused(m, item->port);
                once_end(m, item->once);
                return;
        case M_RECEIVE:
                port_dies(m, item->port);
                break;
        case M_DEAD_NAME:
                break;
        }
        unmention(m, item->port);
}

/* Whoever left it with the port is told what became of it. A right that only the message kept is given back when
 * its sender sees that it was taken, which may be at any time in this round (rights.md, "Windows"). */
static inline void left_ends(struct model *m, const struct m_message *q, uint32_t port, uint32_t kind)
{
        if (!q->left)
                return;
        if (q->sender != m->ports[port].owner) {
                m->seats[q->sender].lefts -= m->seats[q->sender].life == q->life;
                m->closing[m->n_closing++] = port;
                m->ports[port].closed_round = m->round;
        }
        tell(m, q->left, kind, 0, 0, 0);
}

static inline void round_ends(struct model *m)
{
        while (m->n_closing) {
                uint32_t port = m->closing[--m->n_closing];

                m->ports[port].senders--;
                look_for_senders(m, port);
        }
}

/* What it kept of other ports' numbers. */
static inline void message_ends(struct model *m, const struct m_message *q)
{
        if (q->about)
                unmention(m, q->about);
        if (q->reply)
                unmention(m, q->reply);
        if (q->left)
                unmention(m, q->left);
}

static inline void queue_destroyed(struct model *m, uint32_t port)
{
        while (m->ports[port].queued) {
                struct m_message *q = queue_out(m, port, NULL);

                left_ends(m, q, port, PTL_NOTIFY_SEND_ONCE);
                if (q->reply)
                        once_unused(m, q->reply);
                for (unsigned i = 0; i < q->n_items; i++)
                        item_destroyed(m, &q->items[i]);
                message_ends(m, q);
        }
}

/* What tells of it carries one reference more. */
static inline void hold_dies(struct model *m, unsigned seat, uint32_t port)
{
        struct m_hold *h = &m->holds[seat][port];

        if (!h->references)
                name_ends(m, seat, port);
        else if (fire(m, &h->asked, PTL_NOTIFY_DEAD_NAME, 0, port, h->tag))
                hold_add(m, seat, port, 1);
}

static inline void onces_die(struct model *m, uint32_t port)
{
        for (unsigned s = 0; s < SEATS; s++)
                for (uint32_t i = 0; i < m->seats[s].onces.n; i++) {
                        struct m_once *o = &m->onces[m->seats[s].onces.at[i]];

                        if (o->port != port || o->dead)
                                continue;
                        o->dead = true;
                        fire(m, &o->asked, PTL_NOTIFY_DEAD_NAME, 0, port, o->tag);
                }
}

/* Requests that would have told @port: its owner's, all of them. */
static inline void requests_forget(struct model *m, uint32_t port)
{
        struct m_seat *s = &m->seats[m->ports[port].owner];
        unsigned seat = m->ports[port].owner;

        for (uint32_t i = 0; i < s->own.n; i++) {
                struct m_port *p = &m->ports[s->own.at[i]];

                p->no_senders.notify = p->no_senders.notify == port ? 0 : p->no_senders.notify;
                p->destroyed.notify = p->destroyed.notify == port ? 0 : p->destroyed.notify;
                if (m->holds[seat][s->own.at[i]].asked == port)
                        m->holds[seat][s->own.at[i]].asked = 0;
        }
        for (uint32_t i = 0; i < s->held.n; i++)
                if (m->holds[seat][s->held.at[i]].asked == port)
                        m->holds[seat][s->held.at[i]].asked = 0;
        for (uint32_t i = 0; i < s->onces.n; i++)
                if (m->onces[s->onces.at[i]].asked == port)
                        m->onces[s->onces.at[i]].asked = 0;
}

/* The port's task destroys it, or does not live. */
static inline void port_dies(struct model *m, uint32_t port)
{
        struct m_port *p = &m->ports[port];

        if (p->state == M_DEAD) /* it lay in the queue of one that ended with it */
                return;
        fire(m, &p->no_senders.notify, PTL_NOTIFY_SEND_ONCE, 0, 0, 0);
        fire(m, &p->destroyed.notify, PTL_NOTIFY_SEND_ONCE, 0, 0, 0);
        p->state = M_DEAD;
        p->published = false;
        own_out(m, port);
        m->alive--;
        for (unsigned s = 0; s < SEATS; s++)
                hold_dies(m, s, port);
        queue_destroyed(m, port);
        onces_die(m, port);
        if (p->told)
                requests_forget(m, port);
        unmention(m, port);
}

/* --- a receive right that is given up --- */

static inline bool is_circular(const struct model *m, uint32_t port, uint32_t to)
{
        for (; to; to = m->ports[to].mailed_to)
                if (to == port)
                        return true;
        return false;
}

static inline bool is_mailed(const struct model *m, uint32_t port)
{
        uint32_t to = m->ports[port].destroyed.notify;

        return to && is_there(m, to) && !is_circular(m, port, to);
}

static inline void port_mailed(struct model *m, uint32_t port)
{
        struct m_port *p = &m->ports[port];
        uint32_t to = p->destroyed.notify;
        struct m_message *q;

        p->made = 0;
        p->sequence = 0;
        fire(m, &p->no_senders.notify, PTL_NOTIFY_SEND_ONCE, 0, 0, 0);
        p->state = M_MAILED;
        name_ends(m, p->owner, port);
        fire(m, &p->destroyed.notify, PTL_NOTIFY_PORT_DESTROYED, 0, 0, 0);
        p->mailed_to = to;
        q = &m->messages[m->ports[to].tail];
        q->n_items = 1;
        q->items[0] = (struct m_item){.kind = M_RECEIVE, .port = port};
        p->mentions++;
}

/*
 * Taken from a message, by who is to receive from it now. This is the place of a receive right that moves to
 * another task, when a disposition says so (migration.md): it is mailed without a request then, and `owner`
 * changes here.
 */
static inline void port_arrives(struct model *m, uint32_t port, unsigned seat)
{
        struct m_port *p = &m->ports[port];

        if (p->owner != seat) {
                own_out(m, port);
                p->owner = (uint8_t)seat;
                list_put(&m->seats[seat].own, port, &p->own_at);
        }
        p->state = M_LIVE;
        p->mailed_to = 0;
}

/* --- a task dies --- */

/* Its ports, and what it holds of others that are watched. */
static inline bool may_end(struct model *m, unsigned seat)
{
        struct m_seat *s = &m->seats[seat];

        for (uint32_t i = 0; i < s->own.n; i++)
                if (!may_die(m, s->own.at[i], seat))
                        return false;
        for (uint32_t i = 0; i < s->held.n; i++)
                if (!touch(m, s->held.at[i], seat))
                        return false;
        for (uint32_t i = 0; i < s->onces.n; i++)
                if (!touch_queue(m, m->onces[s->onces.at[i]].port, seat))
                        return false;
        return true;
}

static inline void drop_holds(struct model *m, unsigned seat)
{
        struct m_seat *s = &m->seats[seat];

        while (s->held.n) {
                uint32_t port = s->held.at[s->held.n - 1];

                hold_drop(m, seat, port, m->holds[seat][port].references);
        }
        while (s->onces.n) {
                uint32_t once = s->onces.at[s->onces.n - 1];

                once_unname(m, once);
                if (!m->onces[once].dead)
                        once_unused(m, m->onces[once].port);
                once_end(m, once);
        }
}

/* Nothing is told to it any more: its ports are dead first. */
static inline void seat_ends(struct model *m, unsigned seat)
{
        struct m_seat *s = &m->seats[seat];

        s->life++;
        s->lefts = 0;
        for (uint32_t i = 0; i < s->own.n; i++)
                m->ports[s->own.at[i]].state = M_ENDING;
        while (s->own.n)
                port_dies(m, s->own.at[s->own.n - 1]);
        drop_holds(m, seat);
}
