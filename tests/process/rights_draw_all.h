/* SPDX-License-Identifier: Apache-2.0 */
/* rights_draw_all.h - the conductor draws one of all that there is to do; among it, what a task does to its ward */
#pragma once
#include "rights_draw_receives.h"

/* --- the ward's rights --- */

static inline unsigned ward_of(struct walk *w, unsigned seat)
{
        unsigned ward = (seat + 1) % SEATS;

        return ward == w->victim || ward == w->stopped || seat == w->victim ? SEATS : ward;
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
        {draw_new,          O_NEW,          10},
        {draw_free,         O_FREE,         8 },
        {draw_make_send,    O_MAKE_SEND,    5 },
        {draw_change,       O_CHANGE,       14},
        {draw_make_once,    O_MAKE_ONCE,    5 },
        {draw_drop_once,    O_DROP_ONCE,    5 },
        {draw_send,         O_SEND,         34},
        {draw_receive,      O_RECEIVE,      24},
        {draw_request,      O_REQUEST,      16},
        {draw_set_made,     O_SET_MADE,     1 },
        {draw_set_sequence, O_SET_SEQUENCE, 1 },
        {draw_rename,       O_RENAME,       1 },
        {draw_deputy,       O_DEPUTY,       2 },
        {draw_fill,         O_FILL,         3 },
        {draw_grave,        O_GRAVE,        6 },
        {draw_insert,       O_INSERT,       2 },
        {draw_extract,      O_EXTRACT,      2 },
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
