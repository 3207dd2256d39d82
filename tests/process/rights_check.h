/* SPDX-License-Identifier: Apache-2.0 */
/* rights_check.h - a task of the walk: is all that it has as the model says? Between rounds, when all is quiet */
#pragma once
#include "rights_walker.h"

/* For whoever looks for a fault. */
static inline void say_port(uint32_t port, const struct ptl_port_counts *c)
{
        const struct ptl_space *space = &ptl_the_task.space;
        const struct ptl_receiver *r = ptl_receiver_of(space, names_of(port)[0]);
        const struct m_port *p = &me.model->ports[port];

        fprintf(stderr, "# port %u: made %u, send-once rights %u, queued %u, senders %u\n", port, c->made, c->once,
                c->queued, c->has_senders);
        fprintf(stderr, "#   the model has made %u, send-once rights %u, queued %u, senders %u\n", p->made, p->onces,
                p->queued, has_senders(me.model, port));
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
        CHECK_EQ(c.sequence, p->sequence);
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
