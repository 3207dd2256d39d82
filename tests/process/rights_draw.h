/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rights_draw.h - the conductor draws what a seat is to do next, and does it to the model
 *
 * Each draw_*() either fills the order and changes the model, or returns false and changes nothing but who has
 * touched what in this round (rights_model.h). All chance comes from one seed, so that a seed draws the same
 * orders again.
 */
#pragma once
#include "rights_ends.h"
#include "rights_orders.h"

enum { QUEUE_MAX = 96, QUEUED_MAX = 16000, NARROW = 3, HELD_MANY = 220, ONCES_MANY = 120, TRIES = 6 };

struct walk {
        struct stage *stage;
        struct model *model;
        uint64_t seed, state;
        uint32_t target; /* ports alive that are aimed at */
        unsigned stopped; /* who does nothing for a while; SEATS: nobody */
        unsigned victim; /* who dies in this round; SEATS: nobody */
        uint32_t grave;  /* its hub */
        uint64_t drawn[ORDERS], refused, operations;
};

static inline uint32_t pick(struct walk *w, uint32_t n)
{
        w->state ^= w->state >> 12;
        w->state ^= w->state << 25;
        w->state ^= w->state >> 27;
        return (uint32_t)((w->state * 0x2545f4914f6cdd1d) >> 33) % n;
}

static inline bool chance(struct walk *w, uint32_t in) { return pick(w, in) == 0; }

/* --- whom it is about; 0: none was found --- */

static inline uint32_t pick_own(struct walk *w, unsigned seat)
{
        const struct m_list *own = &w->model->seats[seat].own;

        for (int i = 0; own->n && i < TRIES; i++) {
                uint32_t port = own->at[pick(w, own->n)];

                if (w->model->ports[port].state == M_LIVE && !w->model->ports[port].published)
                        return port;
        }
        return 0;
}

/* Not a living hub: those are never given up. */
static inline uint32_t pick_held(struct walk *w, unsigned seat)
{
        const struct m_list *held = &w->model->seats[seat].held;

        for (int i = 0; held->n && i < TRIES; i++) {
                uint32_t port = held->at[pick(w, held->n)];

                if (!w->model->ports[port].published)
                        return port;
        }
        return 0;
}

static inline uint32_t pick_once(struct walk *w, unsigned seat)
{
        const struct m_list *onces = &w->model->seats[seat].onces;

        return onces->n ? onces->at[pick(w, onces->n)] : 0;
}

/* --- ports and rights --- */

static inline bool draw_new(struct walk *w, unsigned seat, struct order *o)
{
        struct model *m = w->model;

        if (m->alive >= w->target || m->free_ports.n < PORTS / 16)
                return false;
        o->count = chance(w, 12) ? NARROW : 0;
        o->port = port_new(m, seat, (uint16_t)o->count);
        return true;
}

/* All references at once, without a word. */
static inline void hold_vanishes(struct model *m, unsigned seat, uint32_t port)
{
        struct m_hold *h = &m->holds[seat][port];

        if (!h->references)
                return;
        h->references = 0;
        held_out(m, seat, port);
        m->ports[port].senders--;
        unmention(m, port);
}

static inline bool draw_free(struct walk *w, unsigned seat, struct order *o)
{
        struct model *m = w->model;
        uint32_t port = pick_own(w, seat);

        if (!port || (m->alive < w->target && !chance(w, 3)))
                return false;
        o->how = (uint8_t)pick(w, 3);
        o->port = port;
        o->value = is_mailed(m, port);
        if (o->value ? !touch(m, port, seat) || !touch_queue(m, m->ports[port].destroyed.notify, seat)
                     : !may_die(m, port, seat))
                return false;
        if (o->how == 2)
                hold_vanishes(m, seat, port);
        if (o->value)
                port_mailed(m, port);
        else
                port_dies(m, port);
        return true;
}

static inline bool draw_make_send(struct walk *w, unsigned seat, struct order *o)
{
        struct model *m = w->model;

        o->port = pick_own(w, seat);
        if (!o->port || !touch(m, o->port, seat))
                return false;
        if (m->holds[seat][o->port].references == REFERENCES) {
                o->outcome = PTL_E_QUOTA;
                return true;
        }
        m->ports[o->port].made++;
        hold_add(m, seat, o->port, 1);
        return true;
}

/* Seldom up to the limit of references and beyond it: of an own port, which has one name. */
static inline int32_t pick_change(struct walk *w, uint32_t references, bool own)
{
        int32_t most = REFERENCES - (int32_t)references;

        if (chance(w, 3))
                return own && chance(w, 30) ? most + (int32_t)pick(w, 2) : 1 + (int32_t)pick(w, 3);
        return -(int32_t)(chance(w, 3) ? references : 1 + pick(w, references < 4 ? references : 4));
}

static inline bool draw_change(struct walk *w, unsigned seat, struct order *o)
{
        struct model *m = w->model;
        uint32_t references;

        o->port = pick_held(w, seat);
        if (!o->port || !touch(m, o->port, seat))
                return false;
        references = m->holds[seat][o->port].references;
        o->count = pick_change(w, references, m->ports[o->port].owner == seat && is_there(m, o->port));
        o->value = 0;
        if (o->count == 0)
                return false;
        if (o->count < 0)
                hold_drop(m, seat, o->port, (uint32_t)-o->count);
        else if (references + (uint32_t)o->count > REFERENCES)
                o->outcome = PTL_E_QUOTA;
        else
                hold_add(m, seat, o->port, (uint32_t)o->count);
        return true;
}

static inline bool draw_deputy(struct walk *w, unsigned seat, struct order *o)
{
        struct model *m = w->model;

        o->port = pick_held(w, seat);
        if (!o->port || (m->ports[o->port].owner == seat && is_there(m, o->port)) || !touch(m, o->port, seat))
                return false;
        o->count = m->holds[seat][o->port].references;
        hold_drop(m, seat, o->port, (uint32_t)o->count);
        return true;
}

static inline bool draw_make_once(struct walk *w, unsigned seat, struct order *o)
{
        struct model *m = w->model;

        o->port = pick_own(w, seat);
        if (!o->port || m->seats[seat].onces.n > ONCES_MANY)
                return false;
        o->once = once_new(m, o->port);
        once_name(m, o->once, seat);
        m->ports[o->port].onces++;
        return true;
}

static inline bool draw_drop_once(struct walk *w, unsigned seat, struct order *o)
{
        struct model *m = w->model;
        uint32_t port;

        o->once = pick_once(w, seat);
        port = m->onces[o->once].port;
        if (!o->once || !touch_queue(m, port, seat))
                return false;
        once_unname(m, o->once);
        if (!m->onces[o->once].dead)
                once_unused(m, port);
        once_end(m, o->once);
        return true;
}

static inline bool draw_set_made(struct walk *w, unsigned seat, struct order *o)
{
        o->port = pick_own(w, seat);
        if (!o->port || !touch(w->model, o->port, seat))
                return false;
        o->value = pick(w, 40);
        w->model->ports[o->port].made = o->value;
        look_for_senders(w->model, o->port);
        return true;
}

static inline bool draw_set_sequence(struct walk *w, unsigned seat, struct order *o)
{
        o->port = pick_own(w, seat);
        o->value = pick(w, 1u << 20);
        w->model->ports[o->port].sequence = o->value;
        return o->port;
}

/* What a name is, the model does not know. */
static inline bool draw_rename(struct walk *w, unsigned seat, struct order *o)
{
        bool is_once = chance(w, 3);

        if (!chance(w, 4))
                return false;
        o->once = is_once ? pick_once(w, seat) : 0;
        o->port = is_once ? 0 : chance(w, 2) ? pick_own(w, seat) : pick_held(w, seat);
        o->value = pick(w, 1u << 30);
        return (o->once || o->port) && touch_queue(w->model, is_once ? w->model->onces[o->once].port : o->port, seat);
}

/* --- requests --- */

/* Who is to be told: a port of the seat's, as itself or by a send-once right; or nobody. */
static inline bool draw_notify(struct walk *w, unsigned seat, struct order *o)
{
        struct model *m = w->model;

        if (chance(w, 8))
                return true;
        if (chance(w, 3)) {
                const struct m_once *once;

                o->notify_once = pick_once(w, seat);
                once = &m->onces[o->notify_once];
                if (!o->notify_once || o->notify_once == o->once || !touch_queue(m, once->port, seat))
                        return false;
                if (once->dead)
                        o->outcome = PTL_E_DEAD;
                else if (m->ports[once->port].owner != seat)
                        o->outcome = PTL_E_UNSUPPORTED;
                else
                        o->notify = once->port;
                return true;
        }
        o->notify = pick_own(w, seat);
        return o->notify && touch_queue(m, o->notify, seat);
}

/* The right becomes the request's, whose count is that of request_set(). */
static inline void consume_once(struct model *m, uint32_t once)
{
        if (!once)
                return;
        m->ports[m->onces[once].port].onces--;
        once_unname(m, once);
        once_end(m, once);
}

static inline void swap_request(struct walk *w, unsigned seat, struct order *o, uint32_t *slot)
{
        struct model *m = w->model;
        uint32_t previous;

        consume_once(m, o->outcome ? 0 : o->notify_once);
        previous = *slot;
        request_set(m, slot, o->notify);
        if (!previous)
                return;
        m->ports[previous].told--;
        if (!o->wants_previous) {
                m->ports[previous].onces--;
                tell(m, previous, PTL_NOTIFY_SEND_ONCE, 0, 0, 0);
                return;
        }
        o->previous = once_new(m, previous);
        once_name(m, o->previous, seat);
}

static inline bool draw_request_port(struct walk *w, unsigned seat, struct order *o)
{
        struct model *m = w->model;
        struct m_port *p;

        o->port = pick_own(w, seat);
        if (!o->port || !touch_alone(m, o->port, seat) || !draw_notify(w, seat, o))
                return false;
        p = &m->ports[o->port];
        if (p->no_senders.notify && !touch_queue(m, p->no_senders.notify, seat))
                return false;
        if (p->destroyed.notify && !touch_queue(m, p->destroyed.notify, seat))
                return false;
        if (o->outcome)
                return true;
        if (o->value == PTL_NOTIFY_PORT_DESTROYED) {
                swap_request(w, seat, o, &p->destroyed.notify);
                return true;
        }
        o->count = (int32_t)(p->made + pick(w, 3));
        swap_request(w, seat, o, &p->no_senders.notify);
        p->no_senders.sync = (uint32_t)o->count;
        look_for_senders(m, o->port);
        return true;
}

static inline uint32_t new_tag(struct model *m)
{
        if (++m->tags % TAGS == 0)
                m->tags++;
        return m->tags % TAGS;
}

static inline bool draw_request_dead(struct walk *w, unsigned seat, struct order *o)
{
        struct model *m = w->model;
        struct m_hold *h;
        bool dead;

        o->port = chance(w, 4) ? pick_own(w, seat) : pick_held(w, seat);
        if (!o->port || !touch(m, o->port, seat) || !draw_notify(w, seat, o))
                return false;
        h = &m->holds[seat][o->port];
        if (h->asked && !touch_queue(m, h->asked, seat))
                return false;
        dead = m->ports[o->port].state == M_DEAD;
        o->count = dead ? (int32_t)pick(w, 2) : 0;
        if (dead && h->references == REFERENCES)
                return false;
        if (!o->outcome && dead && (!o->count || !o->notify))
                o->outcome = PTL_E_DEAD;
        if (o->outcome)
                return true;
        swap_request(w, seat, o, &h->asked);
        if (o->notify)
                o->tag = h->tag = new_tag(m);
        if (dead)
                hold_dies(m, seat, o->port);
        return true;
}

static inline bool draw_request_once(struct walk *w, unsigned seat, struct order *o)
{
        struct model *m = w->model;
        struct m_once *about;

        o->once = pick_once(w, seat);
        about = &m->onces[o->once];
        if (!o->once || about->dead || !touch_queue(m, about->port, seat) || !draw_notify(w, seat, o))
                return false;
        if (about->asked && !touch_queue(m, about->asked, seat))
                return false;
        if (o->outcome)
                return true;
        swap_request(w, seat, o, &about->asked);
        if (o->notify)
                o->tag = about->tag = new_tag(m);
        return true;
}

static inline bool draw_request(struct walk *w, unsigned seat, struct order *o)
{
        static const uint32_t kinds[] = {PTL_NOTIFY_NO_SENDERS, PTL_NOTIFY_NO_SENDERS, PTL_NOTIFY_PORT_DESTROYED,
                                         PTL_NOTIFY_DEAD_NAME,  PTL_NOTIFY_DEAD_NAME,  PTL_NOTIFY_DEAD_NAME};

        o->value = kinds[pick(w, ARRAY_LEN(kinds))];
        o->wants_previous = chance(w, 2);
        if (o->value != PTL_NOTIFY_DEAD_NAME)
                return draw_request_port(w, seat, o);
        return chance(w, 4) ? draw_request_once(w, seat, o) : draw_request_dead(w, seat, o);
}
