/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rights_model.h - the reference beside the walk: who holds what, what is queued, who is told what
 *
 * It knows nothing of links, numbers, tickets and names: a port is one of `ports`, a seat (a task, and who
 * comes in its place) holds so many references to it, a message lies in the queue of a port with the rights
 * in it. All that the library's documents promise about counts follows from these few tables
 * (docs/protocol/counting.md, rights.md, handoff.md; portolan/right.h).
 *
 * Tasks of a round run beside each other, so what two of them do in one round must come to the same in
 * whatever order it happens. touch() says so: it keeps a port that one of them touches alone from the others
 * for the rest of the round. What is sent in a round is received in later ones.
 */
#pragma once
#include "tst.h"
#include <portolan/portolan.h>

enum {
        SEATS = 16,
        PORTS = 1 << 14,
        ONCES = 1 << 14,
        MESSAGES = 1 << 16,
        ITEMS = 4,
        REFERENCES = 65535,
        MANY = SEATS, /* touched by more than one seat */
};

/* The numbers of something; which place one has is its own to know. */
struct m_list {
        uint32_t n, at[PORTS];
};

/* Numbers that are free, the one that is free for longest first: who looks at what there was can do so for a
 * while. */
struct m_free {
        uint32_t first, n, at[MESSAGES];
};

enum m_state { M_NOTHING, M_LIVE, M_MAILED, M_ENDING, M_DEAD };

struct m_request {
        uint32_t notify; /* a port; 0: nothing is asked */
        uint32_t sync;
};

struct m_port {
        uint8_t state; /* enum m_state */
        uint8_t owner; /* the seat that has the receive right, or had it when it was mailed (port_arrives()) */
        bool published;
        uint16_t limit; /* 0: more than the walk queues; else as many messages for each sender */
        uint64_t sequence; /* messages taken */
        uint32_t made, onces;
        uint32_t senders; /* holders, and rights in messages */
        uint32_t through; /* queued messages that came through a send right */
        uint32_t told;    /* requests that are to tell this port */
        struct m_request no_senders, destroyed;
        uint32_t head, tail, queued;
        uint32_t mailed_to;
        uint32_t mentions; /* what knows this number still */
        uint32_t own_at;   /* in its owner's list */
        uint32_t received_round; /* its owner takes messages in this one */
        uint32_t closed_round; /* in this one nobody may touch it alone any more */
        uint32_t touched_round;
        uint8_t touched_by;
        bool touched_alone;
};

/* What a seat holds of a port. */
struct m_hold {
        uint16_t references;
        uint32_t asked; /* a port of the seat's; 0: DEAD_NAME is not asked for */
        uint32_t tag;   /* of that request */
        uint32_t at;    /* in the seat's list */
};

struct m_once {
        uint8_t seat;
        bool named, dead; /* named: not in a message */
        uint32_t port, asked, tag, at;
};

enum m_item_kind { M_SEND, M_ONCE, M_DEAD_NAME, M_RECEIVE };

struct m_item {
        uint8_t kind; /* enum m_item_kind */
        bool dead;    /* when it was received */
        uint32_t port, once;
};

struct m_message {
        uint64_t number; /* 0: of the library */
        uint32_t next, round;
        uint8_t sender;
        uint32_t life; /* of the sender's seat */
        bool through;
        uint8_t n_items;
        struct m_item items[ITEMS];
        uint32_t reply; /* the sender's port; 0: none */
        uint32_t left;  /* who is told that it was taken; 0: it was not left */
        /* of the library */
        uint32_t kind, value, about, tag;
        /* when it was received */
        bool has_reply, answered, is_of_dead;
        uint32_t answer;
};

struct m_seat {
        uint32_t life;
        uint32_t hub; /* its published port */
        uint32_t lefts;
        struct m_list own, held, onces;
};

struct model {
        uint32_t round, tags;
        unsigned dying; /* the seat that dies at the end of this round; SEATS: none */
        uint64_t number;
        uint64_t told[16]; /* notifications by kind */
        uint32_t alive, queued;
        uint32_t n_closing, closing[PORTS]; /* ports that lose a holder at the end of the round */
        struct m_free free_ports, free_onces, free_messages;
        struct m_port ports[PORTS];
        struct m_once onces[ONCES];
        struct m_message messages[MESSAGES];
        struct m_hold holds[SEATS][PORTS];
        struct m_seat seats[SEATS];
};

/* --- lists --- */

static inline void list_put(struct m_list *l, uint32_t what, uint32_t *ret_at)
{
        *ret_at = l->n;
        l->at[l->n++] = what;
}

static inline void free_put(struct m_free *f, uint32_t what) { f->at[(f->first + f->n++) % MESSAGES] = what; }

static inline uint32_t free_take(struct m_free *f)
{
        uint32_t what = f->at[f->first];

        CHECK(f->n);
        f->first = (f->first + 1) % MESSAGES;
        f->n--;
        return what;
}

static inline void own_out(struct model *m, uint32_t port)
{
        struct m_list *l = &m->seats[m->ports[port].owner].own;
        uint32_t at = m->ports[port].own_at, last = l->at[--l->n];

        l->at[at] = last;
        m->ports[last].own_at = at;
}

static inline void held_out(struct model *m, unsigned seat, uint32_t port)
{
        struct m_list *l = &m->seats[seat].held;
        uint32_t at = m->holds[seat][port].at, last = l->at[--l->n];

        l->at[at] = last;
        m->holds[seat][last].at = at;
}

static inline void once_out(struct model *m, uint32_t once)
{
        struct m_list *l = &m->seats[m->onces[once].seat].onces;
        uint32_t at = m->onces[once].at, last = l->at[--l->n];

        l->at[at] = last;
        m->onces[last].at = at;
}

static inline void model_init(struct model *m)
{
        m->round = 1;
        for (uint32_t i = 1; i < PORTS; i++)
                free_put(&m->free_ports, i);
        for (uint32_t i = 1; i < ONCES; i++)
                free_put(&m->free_onces, i);
        for (uint32_t i = 1; i < MESSAGES; i++)
                free_put(&m->free_messages, i);
}

/* --- ports --- */

static inline bool is_there(const struct model *m, uint32_t port)
{
        return m->ports[port].state == M_LIVE || m->ports[port].state == M_MAILED;
}

static inline bool has_senders(const struct model *m, uint32_t port)
{
        return m->ports[port].published || m->ports[port].senders || m->ports[port].through;
}

static inline void unmention(struct model *m, uint32_t port)
{
        CHECK(m->ports[port].mentions);
        if (--m->ports[port].mentions == 0)
                free_put(&m->free_ports, port);
}

static inline uint32_t port_new(struct model *m, unsigned seat, uint16_t limit)
{
        uint32_t port = free_take(&m->free_ports);

        CHECK(!m->ports[port].mentions);
        m->ports[port] = (struct m_port){.state = M_LIVE,
                                         .owner = (uint8_t)seat,
                                         .limit = limit,
                                         .mentions = 1,
                                         .touched_round = m->round,
                                         .touched_by = (uint8_t)seat};
        list_put(&m->seats[seat].own, port, &m->ports[port].own_at);
        m->alive++;
        return port;
}

/* --- what two tasks may do in one round --- */

/* Something is put into its queue, or its rights change, where nobody is told of that. */
static inline bool touch_queue(struct model *m, uint32_t port, unsigned seat)
{
        struct m_port *p = &m->ports[port];

        if (p->touched_round != m->round) {
                p->touched_round = m->round;
                p->touched_by = (uint8_t)seat;
                p->touched_alone = false;
                return true;
        }
        if (p->touched_alone)
                return p->touched_by == seat;
        if (p->touched_by != seat)
                p->touched_by = MANY;
        return true;
}

static inline bool touch_alone(struct model *m, uint32_t port, unsigned seat)
{
        struct m_port *p = &m->ports[port];

        if (p->closed_round == m->round || !touch_queue(m, port, seat) || p->touched_by != seat)
                return false;
        p->touched_alone = true;
        return true;
}

/* Who holds it changes: where somebody is to be told that nobody does, one task alone may do that. */
static inline bool touch(struct model *m, uint32_t port, unsigned seat)
{
        uint32_t notify = m->ports[port].no_senders.notify;

        if (!notify)
                return touch_queue(m, port, seat);
        return touch_alone(m, port, seat) && touch_queue(m, notify, seat);
}

/* --- messages --- */

static inline struct m_message *message_new(struct model *m, uint32_t to, uint32_t *ret_index)
{
        uint32_t index = free_take(&m->free_messages);
        struct m_message *q = &m->messages[index];
        struct m_port *p = &m->ports[to];

        *q = (struct m_message){.round = m->round};
        if (p->head)
                m->messages[p->tail].next = index;
        else
                p->head = index;
        p->tail = index;
        p->queued++;
        m->queued++;
        if (ret_index)
                *ret_index = index;
        return q;
}

/* A notification; false: nobody is there to hear it. */
static inline bool tell(struct model *m, uint32_t notify, uint32_t kind, uint32_t value, uint32_t about, uint32_t tag)
{
        struct m_message *q;

        if (!notify || !is_there(m, notify))
                return false;
        q = message_new(m, notify, NULL);
        q->kind = kind;
        q->value = value;
        q->about = about;
        q->tag = tag;
        if (about)
                m->ports[about].mentions++;
        m->told[kind & 15]++;
        return true;
}

/* A request's send-once right goes with it. */
static inline bool fire(struct model *m, uint32_t *notify, uint32_t kind, uint32_t value, uint32_t about, uint32_t tag)
{
        uint32_t to = *notify;

        *notify = 0;
        if (!to || !is_there(m, to))
                return false;
        m->ports[to].onces--;
        m->ports[to].told--;
        return tell(m, to, kind, value, about, tag);
}

static inline void request_set(struct model *m, uint32_t *slot, uint32_t notify)
{
        *slot = notify;
        if (!notify)
                return;
        m->ports[notify].onces++;
        m->ports[notify].told++;
}

/* counting.md, C1: in the step in which the last one goes. */
static inline void look_for_senders(struct model *m, uint32_t port)
{
        struct m_port *p = &m->ports[port];

        if (is_there(m, port) && p->no_senders.notify && p->made >= p->no_senders.sync && !has_senders(m, port))
                fire(m, &p->no_senders.notify, PTL_NOTIFY_NO_SENDERS, p->made, 0, 0);
}

/* --- send rights --- */

static inline void hold_add(struct model *m, unsigned seat, uint32_t port, uint32_t count)
{
        struct m_hold *h = &m->holds[seat][port];

        if (!h->references) {
                m->ports[port].senders++;
                m->ports[port].mentions++;
                list_put(&m->seats[seat].held, port, &h->at);
        }
        h->references = (uint16_t)(h->references + count > REFERENCES ? REFERENCES : h->references + count);
}

/* The name stays only as long as it carries something. */
static inline void name_ends(struct model *m, unsigned seat, uint32_t port)
{
        struct m_hold *h = &m->holds[seat][port];
        const struct m_port *p = &m->ports[port];

        if (!h->references && !(p->state == M_LIVE && p->owner == seat))
                fire(m, &h->asked, PTL_NOTIFY_PORT_DELETED, 0, port, h->tag);
}

static inline void hold_drop(struct model *m, unsigned seat, uint32_t port, uint32_t count)
{
        struct m_hold *h = &m->holds[seat][port];

        h->references = (uint16_t)(h->references - count);
        if (h->references)
                return;
        held_out(m, seat, port);
        name_ends(m, seat, port);
        m->ports[port].senders--;
        look_for_senders(m, port);
        unmention(m, port);
}

/* --- send-once rights --- */

static inline uint32_t once_new(struct model *m, uint32_t port)
{
        uint32_t once = free_take(&m->free_onces);

        m->onces[once] = (struct m_once){.port = port};
        m->ports[port].mentions++;
        return once;
}

static inline void once_name(struct model *m, uint32_t once, unsigned seat)
{
        struct m_once *o = &m->onces[once];

        o->seat = (uint8_t)seat;
        o->named = true;
        list_put(&m->seats[seat].onces, once, &o->at);
}

/* Used, moved into a message, or given up. */
static inline void once_unname(struct model *m, uint32_t once)
{
        struct m_once *o = &m->onces[once];

        once_out(m, once);
        o->named = false;
        fire(m, &o->asked, PTL_NOTIFY_PORT_DELETED, 0, o->port, o->tag);
}

static inline void once_end(struct model *m, uint32_t once)
{
        unmention(m, m->onces[once].port);
        free_put(&m->free_onces, once);
}

/* Destroyed: its port is told. */
static inline void once_unused(struct model *m, uint32_t port)
{
        if (!is_there(m, port))
                return;
        m->ports[port].onces--;
        tell(m, port, PTL_NOTIFY_SEND_ONCE, 0, 0, 0);
}
