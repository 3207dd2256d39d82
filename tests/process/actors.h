/* SPDX-License-Identifier: Apache-2.0 */
/*
 * actors.h - tasks that do with rights what a case tells them
 *
 * An actor waits in the library for orders: messages to the port that it has published, each answered when
 * it is done. It keeps rights in places, by number. What comes as KIND_STORE is kept in the place that the
 * message says; other kinds below KIND_ORDERS are counted.
 */
#pragma once
#include "roles.h"

enum {
        KIND_ORDERS = 0x4f524400,
        KIND_STORE,   /* not answered: rights, kept from that place on */
        KIND_LOOK,    /* looks `name` up, keeps it in `place` */
        KIND_PORT,    /* makes a port, keeps its receive right in `place` */
        KIND_GIVE,    /* sends the right in `place` through the one in `to`, to be kept in `there` */
        KIND_TRY_GIVE, /* the same, if there is room now */
        KIND_USE,     /* sends "used" through the right in `place` */
        KIND_TRY,     /* the same, if there is room now */
        KIND_RELEASE, /* gives up the right in `place`; of a port: frees it */
        KIND_STATUS,  /* says what there is in `place` */
        KIND_TAKE,    /* takes a message from the port in `place`: its kind is said */
        PLACES = 256,
};

struct order {
        uint32_t place, to, there, disposition;
        char name[16];
};

struct report {
        int32_t outcome;
        uint32_t port, rights, references, stored, got, links;
        int32_t pid; /* the port's task; of KIND_TAKE: the sender */
        uint64_t kind, lies, destroyed;
        int32_t senders[8]; /* of the first messages that were no orders, in turn; below 0: of KIND_STORE */
};

struct actor_places {
        ptl_port of[PLACES];
        uint32_t stored, got, n_senders;
        int32_t senders[8];
};

static inline void actor_note(struct actor_places *places, const struct ptl_message *m)
{
        if (places->n_senders < ARRAY_LEN(places->senders))
                places->senders[places->n_senders++] = m->kind == KIND_STORE ? -m->sender->pid : m->sender->pid;
}

static inline void actor_store(struct actor_places *places, const struct ptl_message *m)
{
        uint32_t place;

        CHECK(m->size == sizeof place && m->n_rights <= PLACES);
        memcpy(&place, m->data, sizeof place);
        for (uint32_t i = 0; i < m->n_rights; i++)
                places->of[(place + i) % PLACES] = m->rights[i].port;
        places->stored += m->n_rights;
}

static inline int actor_give(struct actor_places *places, const struct order *o, ptl_time deadline)
{
        struct ptl_right_item item = {.port = places->of[o->place], .disposition = o->disposition};
        struct ptl_outgoing out = {.data = &o->there,
                                   .size = sizeof o->there,
                                   .kind = KIND_STORE,
                                   .rights = &item,
                                   .n_rights = 1};

        return ptl_send_message(places->of[o->to], &out, deadline);
}

static inline int actor_release(ptl_port p)
{
        struct ptl_port_status s;
        int r = ptl_port_get_status(p, &s);

        if (r)
                return r;
        return s.rights & PTL_RIGHT_RECEIVE ? ptl_port_free(p) : ptl_right_release(p);
}

static inline int actor_take(ptl_port p, struct report *ret)
{
        struct ptl_message m;
        int r = ptl_receive(p, &m, soon());

        if (r)
                return r;
        ret->kind = m.kind;
        ret->pid = m.sender->pid;
        ptl_message_release(&m);
        return 0;
}

static inline int actor_obey(struct actor_places *places, uint32_t kind, const struct order *o, struct report *ret)
{
        switch (kind) {
        case KIND_LOOK:
                return ptl_name_look_up(o->name, &places->of[o->place], soon());
        case KIND_PORT:
                return ptl_port_new(&places->of[o->place], NULL);
        case KIND_GIVE:
                return actor_give(places, o, soon());
        case KIND_TRY_GIVE:
                return actor_give(places, o, PTL_NOW);
        case KIND_USE:
                return ptl_send(places->of[o->place], "used", 5, soon());
        case KIND_TRY:
                return ptl_send(places->of[o->place], "used", 5, PTL_NOW);
        case KIND_RELEASE:
                return actor_release(places->of[o->place]);
        case KIND_TAKE:
                return actor_take(places->of[o->place], ret);
        default:
                return 0;
        }
}

static inline void actor_report(const struct actor_places *places, uint32_t place, struct report *ret)
{
        struct ptl_task_statistics counters = statistics();
        struct ptl_port_status s = {.rights = 0};

        if (places->of[place] && !ptl_port_get_status(places->of[place], &s)) {
                ret->port = places->of[place];
                ret->rights = s.rights;
                ret->references = s.references;
                if (s.peer_pid)
                        ret->pid = s.peer_pid;
        }
        ret->stored = places->stored;
        ret->got = places->got;
        ret->links = counters.links;
        ret->lies = counters.lies;
        ret->destroyed = counters.destroyed;
        memcpy(ret->senders, places->senders, sizeof ret->senders);
}

/* actor NAME */
PEER(actor)
{
        static struct actor_places places;
        struct ptl_message m;
        bool quit = false;

        places.of[0] = new_port_of(1024, 0);
        OK(ptl_name_publish(argv[1], places.of[0]));
        while (!quit) {
                OK(ptl_receive(places.of[0], &m, PTL_FOREVER));
                if (m.kind <= KIND_STORE || m.kind >= KIND_ORDERS + 64)
                        actor_note(&places, &m);
                if (m.kind == KIND_STORE) {
                        actor_store(&places, &m);
                } else if (m.kind > KIND_STORE && m.kind < KIND_ORDERS + 64) {
                        struct report report = {.outcome = 0};
                        struct order o;

                        CHECK_EQ(m.size, sizeof o);
                        memcpy(&o, m.data, sizeof o);
                        report.outcome = actor_obey(&places, m.kind, &o, &report);
                        actor_report(&places, o.place, &report);
                        OK(ptl_reply(&m, &report, sizeof report));
                } else {
                        places.got++;
                        quit = m.kind == KIND_QUIT;
                }
                ptl_message_release(&m);
        }
}

/* --- the case's side --- */

struct actor {
        struct peer peer;
        ptl_port port;
        char name[16];
};

static inline void actor_start(struct actor *a, const char *name)
{
        snprintf(a->name, sizeof a->name, "%s", name);
        peer_start(&a->peer, "actor", name, NULL);
        a->port = look_up(name);
}

static inline void actor_end(struct actor *a)
{
        OK(ptl_send_message(a->port, &(struct ptl_outgoing){.kind = KIND_QUIT}, soon()));
        peer_end(&a->peer);
}

/* What came of it, whatever that was. */
static inline struct report tell(struct actor *a, uint32_t kind, struct order o)
{
        struct ptl_outgoing out = {.data = &o, .size = sizeof o, .kind = kind};
        struct report report;
        struct ptl_message m;

        OK(ptl_call_message(a->port, &out, &m, 0, soon()));
        CHECK_EQ(m.size, sizeof report);
        memcpy(&report, m.data, sizeof report);
        ptl_message_release(&m);
        return report;
}

static inline struct report order(struct actor *a, uint32_t kind, struct order o)
{
        struct report report = tell(a, kind, o);

        OK(report.outcome);
        return report;
}

/* @a looks @of up, and keeps that in @place. */
static inline void looks_up(struct actor *a, const struct actor *of, uint32_t place)
{
        struct order o = {.place = place};

        snprintf(o.name, sizeof o.name, "%s", of->name);
        order(a, KIND_LOOK, o);
}

static inline struct report reports(struct actor *a, uint32_t place)
{
        return order(a, KIND_STATUS, (struct order){.place = place});
}

/* Until @count rights were stored: each report is asked for after what came before it was taken in. */
static inline struct report has_stored(struct actor *a, uint32_t place, uint32_t count)
{
        ptl_time late = soon();
        struct report report;

        do {
                report = reports(a, place);
                CHECK(ptl_after_ms(0) < late);
        } while (report.stored < count);
        CHECK_EQ(report.stored, count);
        return report;
}

/* Until @count other messages were sent to it. */
static inline struct report has_got(struct actor *a, uint32_t count)
{
        ptl_time late = ptl_after_ms(tst_deadline_ms(15000)); /* a death may take 5 s to be known (link.md, L6) */
        struct report report;

        do {
                report = reports(a, 0);
                CHECK(ptl_after_ms(0) < late);
        } while (report.got < count);
        CHECK_EQ(report.got, count);
        return report;
}

static inline void gives(struct actor *a, uint32_t place, uint32_t to, uint32_t there, uint32_t disposition)
{
        order(a, KIND_GIVE, (struct order){.place = place, .to = to, .there = there, .disposition = disposition});
}

static inline void uses(struct actor *a, uint32_t place)
{
        order(a, KIND_USE, (struct order){.place = place});
}
