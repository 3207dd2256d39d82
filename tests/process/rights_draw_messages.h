/* SPDX-License-Identifier: Apache-2.0 */
/* rights_draw_messages.h - the conductor draws what is sent and received (rights_draw.h) */
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

                *c = (struct m_item){.kind = once ? M_ONCE : p->state == M_DEAD ? M_DEAD_NAME : M_SEND, .port = item->port};
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

/* --- receiving --- */

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
        for (int32_t i = 0; i < o->count; i++) {
                struct m_message *q = queue_out(m, o->port, NULL);

                p->through -= q->through;
                left_ends(m, q, o->port, PTL_NOTIFY_MESSAGE_ACCEPTED);
                reply_received(w, seat, q);
                for (unsigned k = 0; k < q->n_items; k++)
                        item_received(m, seat, &q->items[k]);
                message_ends(m, q);
                look_for_senders(m, o->port);
        }
        return true;
}

/* --- the ward's rights --- */

static inline unsigned ward_of(struct walk *w, unsigned seat)
{
        unsigned ward = (seat + 1) % SEATS;

        return ward == w->victim || seat == w->victim ? SEATS : ward;
}

static inline bool draw_insert(struct walk *w, unsigned seat, struct order *o)
{
        struct model *m = w->model;
        unsigned ward = ward_of(w, seat);
        const struct order_item *i = &o->items[0];

        if (ward == SEATS || !chance(w, 8))
                return false;
        draw_items(w, seat, o);
        o->n_items = o->n_items > 1 ? 1 : o->n_items;
        if (!o->n_items || i->disposition == PTL_MAKE_SEND_ONCE || judge_items(m, seat, o) ||
            m->ports[i->port].state == M_DEAD || !touch_alone(m, i->port, seat))
                return false;
        if (i->once) {
                once_unname(m, i->once);
                once_name(m, i->once, ward);
                return true;
        }
        m->ports[i->port].made += i->disposition == PTL_MAKE_SEND;
        hold_add(m, ward, i->port, 1);
        if (i->disposition == PTL_MOVE_SEND)
                hold_drop(m, seat, i->port, 1);
        return true;
}

static inline bool draw_extract(struct walk *w, unsigned seat, struct order *o)
{
        struct model *m = w->model;
        unsigned ward = ward_of(w, seat);
        uint32_t port, how = PTL_MAKE_SEND;

        if (ward == SEATS || !chance(w, 8))
                return false;
        port = chance(w, 3) ? pick_own(w, ward) : 0;
        if (!port) {
                port = pick_held(w, ward);
                how = chance(w, 2) ? PTL_COPY_SEND : PTL_MOVE_SEND;
        }
        if (!port || !is_there(m, port) || m->holds[ward][port].asked || !touch_alone(m, port, seat) ||
            (m->ports[port].no_senders.notify && !touch(m, port, seat)))
                return false;
        o->items[o->n_items++] = (struct order_item){port, 0, how};
        m->ports[port].made += how == PTL_MAKE_SEND;
        hold_add(m, seat, port, 1);
        if (how == PTL_MOVE_SEND)
                hold_drop(m, ward, port, 1);
        return true;
}

/* --- all --- */

struct drawing {
        bool (*draw)(struct walk *w, unsigned seat, struct order *o);
        uint8_t kind, weight;
};

static const struct drawing drawings[] = {
        {draw_new,       O_NEW,       10},
        {draw_free,      O_FREE,      8 },
        {draw_make_send, O_MAKE_SEND, 5 },
        {draw_change,    O_CHANGE,    14},
        {draw_make_once, O_MAKE_ONCE, 5 },
        {draw_drop_once, O_DROP_ONCE, 5 },
        {draw_send,      O_SEND,      34},
        {draw_receive,   O_RECEIVE,   24},
        {draw_request,   O_REQUEST,   16},
        {draw_set_made,  O_SET_MADE,  1 },
        {draw_rename,    O_RENAME,    1 },
        {draw_deputy,    O_DEPUTY,    2 },
        {draw_fill,      O_FILL,      3 },
        {draw_grave,     O_GRAVE,     6 },
        {draw_insert,    O_INSERT,    2 },
        {draw_extract,   O_EXTRACT,   2 },
};

static inline const struct drawing *pick_drawing(struct walk *w)
{
        static uint32_t sum;
        const struct drawing *d = drawings;
        uint32_t at;

        if (!sum)
                for (size_t i = 0; i < ARRAY_LEN(drawings); i++)
                        sum += drawings[i].weight;
        for (at = pick(w, sum); at >= d->weight; d++)
                at -= d->weight;
        return d;
}

static inline struct order *next_order(struct seat *s, enum order_kind kind)
{
        struct order *o = &s->orders[s->n_orders++];

        *o = (struct order){.kind = (uint8_t)kind};
        return o;
}

/* False: nothing was found that may be done now. */
static inline bool draw_one(struct walk *w, unsigned seat)
{
        struct seat *s = &w->stage->seats[seat];

        for (int i = 0; i < 4 * TRIES; i++) {
                const struct drawing *d = pick_drawing(w);

                if (d->draw(w, seat, next_order(s, (enum order_kind)d->kind))) {
                        w->drawn[d->kind]++;
                        w->operations++;
                        return true;
                }
                s->n_orders--;
        }
        return false;
}
