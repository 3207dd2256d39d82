/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rights_receive.h - a task of the walk: what it receives, and whether all is as the model says
 *
 * Messages of several senders may have come in any order, those of one in the order sent; what the library
 * tells lies anywhere among them.
 */
#pragma once
#include "rights_walker.h"

enum { EXPECTED = 256 };

/* What an order to receive is to bring. */
struct expected {
        uint32_t n, at[EXPECTED];
        bool came[EXPECTED];
};

static inline void expect(const struct order *o, struct expected *e)
{
        uint32_t q = o->message;

        CHECK(o->count <= EXPECTED);
        *e = (struct expected){.n = (uint32_t)o->count};
        for (uint32_t i = 0; i < e->n; i++, q = me.model->messages[q].next)
                e->at[i] = q;
}

/* For whoever looks for a fault. */
static inline void say_expected(const struct expected *e, uint32_t kind, uint32_t value)
{
        fprintf(stderr, "# %#x of %#x came; expected are\n", kind, value);
        for (uint32_t i = 0; i < e->n; i++) {
                const struct m_message *q = &me.model->messages[e->at[i]];

                if (!e->came[i])
                        fprintf(stderr, "#   number %llu of seat %u, round %u; or %#x of %#x, port %u, name %#x\n",
                                (unsigned long long)q->number, q->sender, q->round, q->kind, q->value, q->about,
                                me.stage->tag_names[q->tag]);
        }
}

/* The first of its sender's that has not come. */
static inline const struct m_message *expected_from(struct expected *e, const struct walk_body *body)
{
        for (uint32_t i = 0; i < e->n; i++) {
                const struct m_message *q = &me.model->messages[e->at[i]];

                if (e->came[i] || !q->number || q->sender != body->sender)
                        continue;
                CHECK_EQ(q->number, body->number);
                e->came[i] = true;
                return q;
        }
        say_expected(e, 0, body->sender);
        CHECK(!"a message that is not expected");
        return NULL;
}

/* --- notifications --- */

static inline bool is_name_of(const struct m_message *q, ptl_port name)
{
        return q->tag && me.stage->tag_names[q->tag] == name;
}

static inline bool is_told(const struct m_message *q, uint32_t kind, uint32_t value)
{
        if (q->number || q->kind != kind)
                return false;
        switch (kind) {
        case PTL_NOTIFY_DEAD_NAME:
        case PTL_NOTIFY_PORT_DELETED:
                return is_name_of(q, value);
        case PTL_NOTIFY_NO_SENDERS:
                return q->value == value;
        case PTL_NOTIFY_PORT_DESTROYED:
                return me.mailed_as[q->items[0].port] == value;
        default:
                return true;
        }
}

static inline void receive_told(const struct ptl_message *m, struct expected *e)
{
        const struct m_message *q = NULL;
        struct ptl_notification told;

        CHECK_EQ(m->size, sizeof told);
        memcpy(&told, m->data, sizeof told);
        for (uint32_t i = 0; i < e->n && !q; i++)
                if (!e->came[i] && is_told(&me.model->messages[e->at[i]], m->kind, told.value)) {
                        q = &me.model->messages[e->at[i]];
                        e->came[i] = true;
                }
        if (!q)
                say_expected(e, m->kind, told.value);
        CHECK(q);
        CHECK_EQ(m->n_rights, q->n_items);
        if (!q->n_items)
                return;
        CHECK_EQ(m->rights[0].disposition, PTL_RIGHT_RECEIVE);
        CHECK_EQ(m->rights[0].port, me.mailed[q->items[0].port]);
        names_add(me.number, q->items[0].port, m->rights[0].port);
}

/* --- rights in messages --- */

static inline void receive_dead(const struct ptl_right_item *got)
{
        CHECK_EQ(got->disposition, PTL_RIGHT_DEAD);
        OK(ptl_right_release(got->port));
}

static inline void receive_right(const struct m_item *item, const struct ptl_right_item *got)
{
        if (item->dead) {
                receive_dead(got);
                if (item->kind != M_ONCE)
                        (void)names_tidy(item->port);
        } else if (item->kind == M_ONCE) {
                CHECK_EQ(got->disposition, PTL_RIGHT_SEND_ONCE);
                me.stage->once_names[item->once] = got->port;
        } else {
                CHECK_EQ(got->disposition, PTL_RIGHT_SEND);
                names_add(me.number, item->port, got->port);
        }
}

static inline void receive_sent(struct ptl_message *m, struct expected *e)
{
        const struct m_message *q;
        struct walk_body body;

        CHECK_EQ(m->size, sizeof body);
        memcpy(&body, m->data, sizeof body);
        q = expected_from(e, &body);
        CHECK_EQ(m->n_rights, q->n_items);
        for (uint32_t i = 0; i < q->n_items; i++)
                receive_right(&q->items[i], &m->rights[i]);
        if (q->has_reply)
                CHECK(m->reply != PTL_NULL);
        if (!q->reply || q->is_of_dead)
                CHECK_EQ(m->reply, PTL_NULL);
        if (!q->answered)
                return;
        body = body_of(q->answer);
        OK(ptl_reply(m, &body, sizeof body));
}

static inline void obey_receive(const struct order *o)
{
        ptl_port port = names_of(o->port)[0];
        struct expected e;
        struct ptl_message m;

        expect(o, &e);
        for (int32_t i = 0; i < o->count; i++) {
                OK(ptl_receive(port, &m, PTL_NOW)); /* it was queued when the round began */
                CHECK_EQ(m.port, port);
                if (m.kind >= PTL_NOTIFY_DEAD_NAME)
                        receive_told(&m, &e);
                else
                        receive_sent(&m, &e);
                ptl_message_release(&m);
        }
}

/* --- is all as the model says? --- */

/* For whoever looks for a fault. */
static inline void say_port(uint32_t port, const struct ptl_port_counts *c)
{
        const struct ptl_space *space = &ptl_the_task.space;
        const struct ptl_receiver *r = ptl_receiver_of(space, names_of(port)[0]);
        const struct m_port *p = &me.model->ports[port];

        fprintf(stderr, "# port %u: made %u, send-once rights %u, queued %u, senders %u; the model has %u, %u, %u, %u:\n", port,
                c->made, c->once, c->queued, c->has_senders, p->made, p->onces, p->queued, has_senders(me.model, port));
        fprintf(stderr, "#   asked %u, sync %u\n", c->asked, p->no_senders.sync);
        for (const struct ptl_grant *g = ptl_grant_at(space, r->grants); g; g = ptl_grant_at(space, g->next))
                fprintf(stderr, "#   grant %#x to pid %d: kind %u, references %u, marks %u\n", ptl_grant_right(g),
                        (int)ptl_grant_peer(g)->link.identity.pid, g->kind, g->references, g->marks);
        for (unsigned s = 0; s < SEATS; s++)
                if (me.model->holds[s][port].references)
                        fprintf(stderr, "#   seat %u, pid %d, holds %u\n", s, (int)me.stage->seats[s].pid,
                                me.model->holds[s][port].references);
        for (uint32_t i = 0, q = p->head; i < p->queued; i++, q = me.model->messages[q].next)
                fprintf(stderr, "#   message %u of round %u: of seat %u, or %#x\n", q, me.model->messages[q].round,
                        me.model->messages[q].sender, me.model->messages[q].kind);
}

static inline void check_own(uint32_t port)
{
        const struct m_port *p = &me.model->ports[port];
        ptl_port name = names_of(port)[0];
        struct ptl_port_counts c = counts_of(name);

        me.looks_at = port;
        if (c.made != p->made || c.once != p->onces || c.queued != p->queued ||
            c.has_senders != has_senders(me.model, port))
                say_port(port, &c);
        CHECK_EQ(c.made, p->made);
        CHECK_EQ(c.once, p->onces);
        CHECK_EQ(c.queued, p->queued);
        CHECK_EQ(c.has_senders, has_senders(me.model, port));
        CHECK_EQ(c.asked, (p->no_senders.notify ? 1 : 0) + (p->destroyed.notify ? 2 : 0));
        CHECK_EQ(is_asked(name), me.model->holds[me.number][port].asked != 0);
        check_rights(name, PTL_RIGHT_RECEIVE | (me.model->holds[me.number][port].references ? PTL_RIGHT_SEND : 0),
                     me.model->holds[me.number][port].references);
}

static inline unsigned links_with(unsigned seat)
{
        unsigned n = 0;

        for (const struct ptl_peer *p = ptl_the_task.space.peers; p; p = p->next)
                n += p->link.identity.pid == ptl_load_relaxed(&me.stage->seats[seat].pid);
        return n;
}

/* CAVEATS.md: one of those that its task gave, one of those that came otherwise, of each link; more, if messages
 * did not wait for what their rights are (H7). */
static inline void check_names(uint32_t port)
{
        const struct m_port *p = &me.model->ports[port];
        unsigned n = names_tidy(port), most = p->owner == me.number ? 1 : 2 * links_with(p->owner);

        CHECK(n <= most || p->state == M_DEAD || me.stage->slow);
}

static inline void check_held(uint32_t port)
{
        const struct m_hold *h = &me.model->holds[me.number][port];
        const struct m_port *p = &me.model->ports[port];
        uint32_t carries = p->state == M_DEAD ? PTL_RIGHT_DEAD : PTL_RIGHT_SEND;
        bool own = p->owner == me.number && p->state == M_LIVE, asked = false;
        const ptl_port *names = names_of(port);

        me.looks_at = port;
        for (unsigned i = 0; i < NAMES_EACH && names[i]; i++) {
                CHECK_EQ(look_up_name(names[i]).rights, carries | (own ? PTL_RIGHT_RECEIVE : 0));
                asked |= is_asked(names[i]);
        }
        check_names(port);
        CHECK_EQ(references_of(port), h->references);
        CHECK_EQ(asked, h->asked != 0);
}

static inline void check_once(uint32_t once)
{
        const struct m_once *o = &me.model->onces[once];
        ptl_port name = me.stage->once_names[once];

        CHECK_EQ(look_up_name(name).rights, o->dead ? PTL_RIGHT_DEAD : PTL_RIGHT_SEND_ONCE);
        CHECK_EQ(is_asked(name), o->asked != 0);
}

static inline size_t count_names(void)
{
        struct ptl_right_entry *all;
        size_t n;

        OK(ptl_right_names(&all, &n));
        free(all);
        return n;
}

static inline bool is_known(ptl_port name)
{
        const struct m_seat *s = &me.model->seats[me.number];

        if (name == me.desk || name == me.idle || name == me.ward)
                return true;
        for (uint32_t i = 0; i < s->onces.n; i++)
                if (me.stage->once_names[s->onces.at[i]] == name)
                        return true;
        for (uint32_t port = 1; port < PORTS; port++)
                for (unsigned i = 0; i < NAMES_EACH; i++)
                        if (names_of(port)[i] == name)
                                return true;
        return false;
}

/* For whoever looks for a fault. */
static inline void say_unknown(void)
{
        struct ptl_right_entry *all;
        size_t n;

        OK(ptl_right_names(&all, &n));
        for (size_t i = 0; i < n; i++)
                if (!is_known(all[i].name))
                        fprintf(stderr, "# nobody knows of %#x: rights %u, references %u\n", all[i].name, all[i].type,
                                look_up_name(all[i].name).references);
        free(all);
}

/* Names of all that the model knows of, and the few that it does not: desk, idle port, the ward's task port. */
static inline void check_everything(void)
{
        const struct m_seat *s = &me.model->seats[me.number];
        size_t names = 2 + (me.ward != PTL_NULL) + s->onces.n;

        for (uint32_t port = 1; port < PORTS; port++)
                names += names_tidy(port);
        for (uint32_t i = 0; i < s->own.n; i++)
                if (me.model->ports[s->own.at[i]].state == M_LIVE)
                        check_own(s->own.at[i]);
        for (uint32_t i = 0; i < s->held.n; i++)
                check_held(s->held.at[i]);
        for (uint32_t i = 0; i < s->onces.n; i++)
                check_once(s->onces.at[i]);
        if (count_names() != names)
                say_unknown();
        CHECK_EQ(count_names(), names);
        CHECK_EQ(statistics().lies, 0);
}
