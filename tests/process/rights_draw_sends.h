/* SPDX-License-Identifier: Apache-2.0 */
/* rights_draw_sends.h - the conductor draws what is sent, and what is refused (rights_draw.h) */
#pragma once
#include "rights_draw.h"

/* --- what goes into a message --- */

static inline bool is_among(const struct order *o, uint32_t once)
{
        for (unsigned i = 0; i < o->n_items; i++)
                if (o->items[i].once == once)
                        return true;
        return o->once == once;
}

static inline bool draw_item_once(struct walk *w, unsigned seat, struct order *o)
{
        uint32_t once = pick_once(w, seat);
        const struct m_once *about = &w->model->onces[once];

        if (!once || about->dead || is_among(o, once) || !touch_queue(w->model, about->port, seat))
                return false;
        o->items[o->n_items++] = (struct order_item){about->port, once, PTL_MOVE_SEND_ONCE};
        return true;
}

static inline bool draw_item_own(struct walk *w, unsigned seat, struct order *o)
{
        static const uint32_t hows[] = {PTL_MAKE_SEND, PTL_MAKE_SEND, PTL_MAKE_SEND_ONCE, PTL_COPY_SEND, PTL_MOVE_SEND};
        uint32_t port = pick_own(w, seat), how = hows[pick(w, ARRAY_LEN(hows))];

        if (!port || !touch(w->model, port, seat))
                return false;
        o->items[o->n_items++] = (struct order_item){port, 0, how};
        return true;
}

static inline bool draw_item_held(struct walk *w, unsigned seat, struct order *o)
{
        uint32_t port = pick_held(w, seat);

        if (!port || !touch(w->model, port, seat))
                return false;
        o->items[o->n_items++] = (struct order_item){port, 0, chance(w, 2) ? PTL_MOVE_SEND : PTL_COPY_SEND};
        if (o->n_items < ITEMS && chance(w, 6)) { /* the same once more */
                o->items[o->n_items] = o->items[o->n_items - 1];
                o->items[o->n_items++].disposition = chance(w, 2) ? PTL_MOVE_SEND : PTL_COPY_SEND;
        }
        return true;
}

static inline void draw_items(struct walk *w, unsigned seat, struct order *o)
{
        for (unsigned n = pick(w, ITEMS); n-- && o->n_items < ITEMS;) {
                uint32_t of = pick(w, 10);

                if (of < 4)
                        (void)draw_item_own(w, seat, o);
                else if (of < 8)
                        (void)draw_item_held(w, seat, o);
                else
                        (void)draw_item_once(w, seat, o);
        }
}

/* More is moved than there is, or what is not held is copied. */
static inline int judge_items(const struct model *m, unsigned seat, const struct order *o)
{
        for (unsigned i = 0; i < o->n_items; i++) {
                const struct order_item *item = &o->items[i];
                uint32_t moved = 0;

                if (item->disposition != PTL_COPY_SEND && item->disposition != PTL_MOVE_SEND)
                        continue;
                for (unsigned k = 0; k < o->n_items; k++)
                        moved += o->items[k].port == item->port && o->items[k].disposition == PTL_MOVE_SEND;
                if (!m->holds[seat][item->port].references ||
                    (item->disposition == PTL_MOVE_SEND && moved > m->holds[seat][item->port].references))
                        return PTL_E_RIGHT;
        }
        return 0;
}

static inline int judge_spoil(const struct order *o)
{
        static const int outcomes[] = {[SPOIL_STALE] = PTL_E_NAME,
                                       [SPOIL_KIND] = PTL_E_RIGHT,
                                       [SPOIL_DISPOSITION] = PTL_E_INVALID,
                                       [SPOIL_COUNT] = PTL_E_TOO_BIG};

        return outcomes[o->spoil];
}

/* Those that are moved leave their names when all that is added is there (counting.md, C2). */
static inline void carry(struct model *m, unsigned seat, const struct order *o, struct m_message *q)
{
        for (unsigned i = 0; i < o->n_items; i++) {
                const struct order_item *item = &o->items[i];
                struct m_port *p = &m->ports[item->port];
                bool once = item->once || item->disposition == PTL_MAKE_SEND_ONCE;
                struct m_item *c = &q->items[q->n_items++];

                *c = (struct m_item){.port = item->port};
                c->kind = once ? M_ONCE : p->state == M_DEAD ? M_DEAD_NAME : M_SEND;
                if (once) {
                        c->once = item->once ? item->once : once_new(m, item->port);
                        p->onces += !item->once;
                        continue;
                }
                p->mentions++;
                p->senders += c->kind == M_SEND;
                p->made += item->disposition == PTL_MAKE_SEND;
        }
        for (unsigned i = 0; i < o->n_items; i++)
                if (o->items[i].once)
                        once_unname(m, o->items[i].once);
                else if (o->items[i].disposition == PTL_MOVE_SEND)
                        hold_drop(m, seat, o->items[i].port, 1);
}

/* --- where it goes --- */

static inline uint32_t count_from(const struct model *m, uint32_t port, unsigned seat)
{
        const struct m_port *p = &m->ports[port];
        uint32_t n = 0;

        for (uint32_t i = 0, q = p->head; i < p->queued; i++, q = m->messages[q].next)
                n += m->messages[q].through && m->messages[q].sender == seat;
        return n;
}

static inline bool has_room(const struct model *m, uint32_t port, unsigned seat)
{
        const struct m_port *p = &m->ports[port];

        if (p->limit && p->received_round == m->round && p->owner != seat)
                return false; /* it may still hold what is taken in this round */
        return m->queued < QUEUED_MAX && (p->limit ? count_from(m, port, seat) == 0 : p->queued < QUEUE_MAX);
}

/* Has looked it up: not all do. */
static inline bool knows_hub(const struct model *m, unsigned seat, uint32_t hub)
{
        return m->holds[seat][hub].references;
}

/* A hub, a right that is held, an own port, a send-once right. */
static inline bool draw_target(struct walk *w, unsigned seat, struct order *o)
{
        struct model *m = w->model;
        uint32_t of = pick(w, 20);

        if (of < 6) {
                uint32_t of_seat = pick(w, SEATS), hub = m->seats[of_seat].hub;

                o->port = of_seat == seat || knows_hub(m, seat, hub) ? hub : pick_held(w, seat);
        } else if (of < 10) {
                o->port = pick_own(w, seat);
        } else if (of < 17) {
                o->port = pick_held(w, seat);
        } else {
                o->once = pick_once(w, seat);
                o->port = m->onces[o->once].port;
                return o->once && touch_queue(m, o->port, seat);
        }
        return o->port && has_room(m, o->port, seat) && touch(m, o->port, seat);
}

static inline uint32_t post(struct walk *w, unsigned seat, uint32_t to, bool through)
{
        struct model *m = w->model;
        uint32_t index;
        struct m_message *q = message_new(m, to, &index);

        q->number = ++m->number;
        q->sender = (uint8_t)seat;
        q->life = m->seats[seat].life;
        q->through = through;
        m->ports[to].through += through;
        return index;
}

static inline bool draw_send(struct walk *w, unsigned seat, struct order *o)
{
        struct model *m = w->model;
        struct m_message *q;

        if (!draw_target(w, seat, o))
                return false;
        draw_items(w, seat, o);
        o->value = pick(w, 60);
        o->how = chance(w, 40);
        o->spoil = (uint8_t)(chance(w, 25) && o->n_items < ITEMS ? 1 + pick(w, 4) : SPOIL_NOTHING);
        if (chance(w, 8))
                o->reply = pick_own(w, seat);
        if (o->reply && !touch_queue(m, o->reply, seat))
                return false;
        if (o->spoil == SPOIL_COUNT)
                o->outcome = PTL_E_TOO_BIG;
        else if (o->once ? m->onces[o->once].dead : m->ports[o->port].state == M_DEAD)
                o->outcome = PTL_E_DEAD;
        else
                o->outcome = judge_items(m, seat, o);
        if (!o->outcome)
                o->outcome = judge_spoil(o);
        w->refused += o->outcome != 0;
        if (o->outcome)
                return true;
        o->message = post(w, seat, o->port, !o->once);
        q = &m->messages[o->message];
        if (o->once) {
                once_unname(m, o->once);
                m->ports[o->port].onces--;
                once_end(m, o->once);
        }
        carry(m, seat, o, q);
        q->reply = o->reply;
        if (o->reply) {
                m->ports[o->reply].onces++;
                m->ports[o->reply].mentions++;
        }
        return true;
}

/* As many as a port takes of one sender, what is refused then, and one that is left with it. */
static inline bool draw_fill(struct walk *w, unsigned seat, struct order *o)
{
        struct model *m = w->model;
        struct m_message *q;
        uint32_t index;

        o->port = chance(w, 3) ? pick_own(w, seat) : pick_held(w, seat);
        if (!o->port || !is_there(m, o->port) || !m->ports[o->port].limit || !has_room(m, o->port, seat) ||
            !touch(m, o->port, seat))
                return false;
        o->notify = pick_own(w, seat);
        if (!o->notify || !touch_queue(m, o->notify, seat))
                return false;
        draw_items(w, seat, o);
        if (judge_items(m, seat, o))
                return false;
        o->count = m->ports[o->port].limit;
        o->message = index = post(w, seat, o->port, true);
        for (int32_t i = 0; i < o->count; i++)
                index = post(w, seat, o->port, true);
        q = &m->messages[index];
        q->left = o->notify;
        m->ports[o->notify].mentions++;
        if (m->ports[o->port].owner != seat) {
                m->seats[seat].lefts++;
                m->ports[o->port].senders++;
        }
        return true;
}

/* What was copied comes to nothing, whether it is sent in time or not, and whether or not that was read. */
static inline bool draw_grave(struct walk *w, unsigned seat, struct order *o)
{
        if (w->victim == SEATS || seat == w->victim || !knows_hub(w->model, seat, w->grave) || !chance(w, 3))
                return false;
        o->port = w->grave;
        for (unsigned n = pick(w, ITEMS); n-- && o->n_items < ITEMS - 1;)
                if (draw_item_held(w, seat, o))
                        o->items[o->n_items - 1].disposition = PTL_COPY_SEND;
        for (unsigned i = 0; i < o->n_items; i++) {
                struct m_port *p = &w->model->ports[o->items[i].port];

                if (o->items[i].disposition != PTL_COPY_SEND || p->no_senders.notify)
                        return false;
                p->closed_round = w->model->round; /* the copy is a sender until its end is seen */
        }
        return true;
}
