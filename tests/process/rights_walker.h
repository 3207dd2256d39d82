/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rights_walker.h - a task of the walk: does what its orders say, and compares
 *
 * A port may have several names here, where the documents allow for that (CAVEATS.md). An order says nothing
 * of names: a reference that is given up or moved is one of a name that nobody asked about, if there is one, so
 * that a name that was asked about ends with the last reference to its port.
 */
#pragma once
#include "counts.h"
#include "rights_quiet.h"

enum { MOST_ITEMS = PTL_MESSAGE_RIGHTS_MAX + 1, LARGE = 12000 };

static struct {
        struct stage *stage;
        struct model *model;
        struct seat *seat;
        unsigned number;
        ptl_port hub, desk, ward;
        ptl_port idle; /* nothing is ever sent to it */
        uint32_t at, looks_at; /* the order that is obeyed, the port compared: for whoever looks for a fault */
        uint32_t tags[PORTS], once_tags[ONCES];
        ptl_port mailed[PORTS], mailed_as[PORTS]; /* names of ports in messages: of the right, as was said then */
} me;

/* --- names --- */

static inline ptl_port *names_of(uint32_t port) { return me.stage->names[me.number][port]; }

static inline struct ptl_port_status look_up_name(ptl_port name)
{
        struct ptl_port_status s = {.rights = 0};

        if (!name || ptl_port_get_status(name, &s))
                s.rights = 0;
        return s;
}

static inline bool is_asked(ptl_port name)
{
        uint32_t type = 0;

        return ptl_right_type(name, &type) == 0 && type & PTL_RIGHT_ASKED;
}

/* Those that are still there. */
static inline unsigned names_tidy(uint32_t port)
{
        ptl_port *names = names_of(port);
        unsigned n = 0;

        for (unsigned i = 0; i < NAMES_EACH; i++)
                if (look_up_name(names[i]).rights)
                        names[n++] = names[i];
        for (unsigned i = n; i < NAMES_EACH; i++)
                names[i] = PTL_NULL;
        return n;
}

/* Of another seat only where it does not touch the port in this round. */
static inline void names_add(unsigned seat, uint32_t port, ptl_port name)
{
        ptl_port *names = me.stage->names[seat][port];
        unsigned n = 0;

        while (n < NAMES_EACH && names[n] && names[n] != name)
                n++;
        CHECK(n < NAMES_EACH);
        if (names[n] == name)
                return;
        names[n] = name;
        me.seat->splits += n > 0;
}

static inline uint32_t references_of(uint32_t port)
{
        const ptl_port *names = names_of(port);
        uint32_t sum = 0;

        for (unsigned i = 0; i < NAMES_EACH && names[i]; i++) {
                struct ptl_port_status s = look_up_name(names[i]);

                sum += s.rights & (PTL_RIGHT_SEND | PTL_RIGHT_DEAD) ? s.references : 0;
        }
        return sum;
}

static inline ptl_port any_name(uint32_t port, uint32_t which)
{
        ptl_port first = names_of(port)[0];
        unsigned n = names_tidy(port);

        if (!n)
                fprintf(stderr, "# no name for port %u, which was %#x\n", port, first);
        CHECK(n > 0);
        return names_of(port)[which % n];
}

/* One with a reference that is not among @taken; where there is none, one that there is. */
static inline ptl_port name_to_take(uint32_t port, const struct ptl_right_item *taken, size_t n_taken)
{
        const ptl_port *names = names_of(port);
        ptl_port found = PTL_NULL;

        (void)names_tidy(port);
        CHECK(names[0] != PTL_NULL);
        for (unsigned i = 0; i < NAMES_EACH && names[i]; i++) {
                uint32_t left = look_up_name(names[i]).references;

                for (size_t k = 0; k < n_taken; k++)
                        left -= left && taken[k].port == names[i] && taken[k].disposition == PTL_MOVE_SEND;
                if (left && (!found || is_asked(found)))
                        found = names[i];
        }
        return found ? found : names[0];
}

static inline void give_up(uint32_t port, uint32_t count)
{
        while (count) {
                ptl_port name = name_to_take(port, NULL, 0);
                struct ptl_port_status s = look_up_name(name);
                uint32_t n = count < s.references ? count : s.references;
                uint32_t right = s.rights & PTL_RIGHT_DEAD ? PTL_RIGHT_DEAD : PTL_RIGHT_SEND;

                CHECK(n > 0);
                if (n == 1)
                        OK(ptl_right_release(name));
                else
                        OK(ptl_right_change(name, right, -(int32_t)n));
                count -= n;
        }
        (void)names_tidy(port);
}

/* --- sending --- */

static inline ptl_port target_of(const struct order *o)
{
        return o->once ? me.stage->once_names[o->once] : any_name(o->port, o->value);
}

static inline size_t fill_items(const struct order *o, struct ptl_right_item items[MOST_ITEMS])
{
        size_t n = 0;

        for (; n < o->n_items; n++) {
                const struct order_item *i = &o->items[n];

                items[n].disposition = i->disposition;
                if (i->once)
                        items[n].port = me.stage->once_names[i->once];
                else if (i->disposition == PTL_MOVE_SEND)
                        items[n].port = name_to_take(i->port, items, n);
                else
                        items[n].port = any_name(i->port, o->value);
        }
        switch ((enum order_spoil)o->spoil) {
        case SPOIL_NOTHING:
                return n;
        case SPOIL_STALE: /* of no life of any name: too high a place */
                items[n] = (struct ptl_right_item){.port = 0x000ffffe, .disposition = PTL_COPY_SEND};
                return n + 1;
        case SPOIL_KIND:
                items[n] = (struct ptl_right_item){.port = me.desk, .disposition = PTL_MOVE_SEND_ONCE};
                return n + 1;
        case SPOIL_DISPOSITION:
                items[n] = (struct ptl_right_item){.port = me.desk, .disposition = 77};
                return n + 1;
        case SPOIL_COUNT:
                for (; n < MOST_ITEMS; n++)
                        items[n] = (struct ptl_right_item){.port = me.desk, .disposition = PTL_MAKE_SEND};
                return n;
        }
        return n;
}

static inline uint64_t count_items(const struct order *o)
{
        uint64_t sum = 0;

        for (unsigned i = 0; i < o->n_items; i++)
                sum = sum * 70001 + (o->items[i].once ? look_up_name(me.stage->once_names[o->items[i].once]).references
                                                      : references_of(o->items[i].port));
        return sum;
}

static inline void tidy_items(const struct order *o)
{
        for (unsigned i = 0; i < o->n_items; i++)
                if (!o->items[i].once)
                        (void)names_tidy(o->items[i].port);
}

static inline struct walk_body body_of(uint32_t message)
{
        uint64_t number = me.model->messages[message].number;

        return (struct walk_body){.number = number, .message = message, .sender = me.number};
}

static inline void obey_send(const struct order *o)
{
        struct walk_body body = body_of(o->message);
        struct ptl_right_item items[MOST_ITEMS];
        char bytes[LARGE];
        struct ptl_outgoing out = {.data = bytes,
                                   .size = o->how ? LARGE : sizeof body,
                                   .kind = 1,
                                   .reply = o->reply ? names_of(o->reply)[0] : PTL_NULL,
                                   .rights = items};
        uint64_t before = o->outcome ? count_items(o) : 0;

        memcpy(bytes, &body, sizeof body);
        if (o->how)
                fill(bytes + sizeof body, LARGE - sizeof body, body.message);
        out.n_rights = fill_items(o, items);
        OUTCOME(ptl_send_message(target_of(o), &out, soon()), o->outcome);
        if (o->outcome)
                CHECK(count_items(o) == before); /* nothing was consumed */
        tidy_items(o);
        if (!o->once)
                (void)names_tidy(o->port);
}

static inline void obey_grave(const struct order *o)
{
        struct ptl_right_item items[MOST_ITEMS];
        struct ptl_outgoing out = {.kind = 1, .rights = items};
        int r;

        out.n_rights = fill_items(o, items);
        r = ptl_send_message(names_of(o->port)[0], &out, soon());
        OUTCOME(r, r ? PTL_E_DEAD : 0);
}

/* The window is used up, then sends are refused and consume nothing, then one is left with the port. */
static inline void obey_fill(const struct order *o)
{
        uint32_t message = o->message;
        struct walk_body body;
        struct ptl_right_item items[MOST_ITEMS];
        struct ptl_outgoing out = {.data = &body, .size = sizeof body, .kind = 1};
        ptl_port to = any_name(o->port, o->value);
        uint64_t before;

        for (int32_t i = 0; i < o->count; i++, message = me.model->messages[message].next) {
                body = body_of(message);
                OK(ptl_send_message(to, &out, PTL_NOW));
        }
        body = body_of(message);
        before = count_items(o);
        out.rights = items;
        out.n_rights = fill_items(o, items);
        OUTCOME(ptl_send_message(to, &out, PTL_NOW), PTL_E_FULL);
        OUTCOME(ptl_send_message(to, &out, ptl_after_ms(0)), PTL_E_TIMEOUT);
        CHECK(count_items(o) == before);
        out.n_rights = 0;
        out.leave = 1;
        out.notify = names_of(o->notify)[0];
        OK(ptl_send_message(to, &out, PTL_NOW));
        out.n_rights = o->n_items;
        OUTCOME(ptl_send_message(to, &out, PTL_NOW), PTL_E_FULL);
        CHECK(count_items(o) == before);
}

/* A name that this task has given up names nothing: not to send to, not to send. */
static inline void obey_deputy(const struct order *o)
{
        ptl_port stale[NAMES_EACH];
        struct ptl_right_item item = {.disposition = PTL_COPY_SEND};
        struct ptl_outgoing out = {.kind = 1, .rights = &item, .n_rights = 1};
        unsigned n = names_tidy(o->port);

        memcpy(stale, names_of(o->port), sizeof stale);
        give_up(o->port, (uint32_t)o->count);
        CHECK_EQ(names_tidy(o->port), 0);
        for (unsigned i = 0; i < n; i++) {
                item.port = stale[i];
                OUTCOME(ptl_send(stale[i], "", 1, PTL_NOW), PTL_E_NAME);
                OUTCOME(ptl_send_message(me.hub, &out, PTL_NOW), PTL_E_NAME);
                OUTCOME(ptl_right_release(stale[i]), PTL_E_NAME);
        }
}

/* --- ports and rights --- */

static inline void obey_new(const struct order *o)
{
        struct ptl_port_options options = {.limit_messages = (uint32_t)o->count};

        memset(names_of(o->port), 0, sizeof(ptl_port) * NAMES_EACH);
        OK(ptl_port_new(&names_of(o->port)[0], &options));
}

/* @value: 1: it is to be mailed. */
static inline void obey_free(const struct order *o)
{
        ptl_port name = names_of(o->port)[0];

        me.mailed[o->port] = me.mailed_as[o->port] = o->value ? name : PTL_NULL;
        if (o->how == 0)
                OK(ptl_port_free(name));
        else if (o->how == 1)
                OK(ptl_right_change(name, PTL_RIGHT_RECEIVE, -1));
        else
                OK(ptl_right_destroy(name));
        (void)names_tidy(o->port);
}

static inline void obey_change(const struct order *o)
{
        ptl_port name = any_name(o->port, o->value);
        uint32_t right = look_up_name(name).rights & PTL_RIGHT_DEAD ? PTL_RIGHT_DEAD : PTL_RIGHT_SEND;

        if (o->count < 0)
                give_up(o->port, (uint32_t)-o->count);
        else if (o->count == 1)
                OUTCOME(ptl_right_ref(name), o->outcome);
        else
                OUTCOME(ptl_right_change(name, right, o->count), o->outcome);
}

static inline ptl_port asked_name(uint32_t port)
{
        const ptl_port *names = names_of(port);

        (void)names_tidy(port);
        for (unsigned i = 0; i < NAMES_EACH && names[i]; i++)
                if (is_asked(names[i]))
                        return names[i];
        return names[0];
}

static inline void obey_request(const struct order *o)
{
        ptl_port about = o->once ? me.stage->once_names[o->once] : asked_name(o->port), previous = 77;
        ptl_port notify = o->notify_once ? me.stage->once_names[o->notify_once]
                          : o->notify    ? names_of(o->notify)[0]
                                         : PTL_NULL;

        OUTCOME(ptl_right_request(about, o->value, (uint32_t)o->count, notify, o->wants_previous ? &previous : NULL),
                o->outcome);
        if (o->outcome)
                return;
        if (o->wants_previous) {
                CHECK_EQ(previous != PTL_NULL, o->previous != 0);
                if (o->previous)
                        me.stage->once_names[o->previous] = previous;
        }
        if (!o->tag)
                return;
        me.stage->tag_names[o->tag] = about;
        if (o->once)
                me.once_tags[o->once] = o->tag;
        else
                me.tags[o->port] = o->tag;
}

static inline void renamed(ptl_port *at, ptl_port old, ptl_port now)
{
        if (*at == old)
                *at = now;
}

static inline void obey_rename(const struct order *o)
{
        ptl_port *at = o->once ? &me.stage->once_names[o->once] : &names_of(o->port)[0];
        ptl_port old = *at, now = (o->value << 20) | (3000 + (o->value >> 12) % 512);
        int r;

        if (!look_up_name(old).rights)
                return;
        r = ptl_right_rename(old, now);
        if (r == PTL_E_EXISTS || r == PTL_E_BUSY) /* that place is another's, or was till now */
                return;
        OK(r);
        *at = now;
        if (is_asked(now))
                renamed(&me.stage->tag_names[o->once ? me.once_tags[o->once] : me.tags[o->port]], old, now);
        if (!o->once)
                renamed(&me.mailed[o->port], old, now);
        OUTCOME(ptl_right_release(old), PTL_E_NAME);
}

/* --- the ward's rights, by its task port --- */

static inline void poke(bool on)
{
        struct seat *ward = &me.stage->seats[(me.number + 1) % SEATS];

        ptl_store_release(&ward->poked, on);
        if (on)
                stage_wake(&ward->go);
}

static inline void obey_insert(const struct order *o)
{
        const struct order_item *i = &o->items[0];
        unsigned ward = (me.number + 1) % SEATS;
        struct ptl_right_item items[MOST_ITEMS];
        ptl_port name = PTL_NULL;

        (void)fill_items(o, items);
        poke(true);
        OK(ptl_task_insert(me.ward, PTL_NULL, items, &name, soon()));
        poke(false);
        if (i->once)
                me.stage->once_names[i->once] = name;
        else
                names_add(ward, i->port, name);
        tidy_items(o);
}

static inline void obey_extract(const struct order *o)
{
        const struct order_item *i = &o->items[0];
        const ptl_port *names = me.stage->names[(me.number + 1) % SEATS][i->port];
        uint32_t rights = 0, references = 0;
        ptl_port got = PTL_NULL, name = PTL_NULL;

        poke(true);
        for (unsigned k = 0; k < NAMES_EACH && names[k]; k++)
                if (!ptl_task_get_right(me.ward, names[k], &rights, &references, soon()))
                        name = names[k];
        OK(ptl_task_extract(me.ward, name, (enum ptl_disposition)i->disposition, &got, soon()));
        poke(false);
        names_add(me.number, i->port, got);
}
