/* SPDX-License-Identifier: Apache-2.0 */
/* port/stage.c - ports, holders and messages as the new receiver is told of them (moving.h: the old receiver) */
#include "port/move_parts.h"
#include <string.h>

/* --- 4, 5: the new receiver is told --- */

static int put_port(struct ptl_move *m, struct ptl_move_port_of *p)
{
        struct ptl_move_port body = {.limit_messages = p->receiver->limit_messages,
                                     .limit_units = p->receiver->limit_units};
        struct ptl_frame_head head;

        head = (struct ptl_frame_head){.right = p->number};
        return ptl_move_put(m->to, PTL_FRAME_MOVE, &head, &body, sizeof body);
}

static int put_holder(struct ptl_move *m, struct ptl_move_port_of *p, const struct ptl_move_holder *body)
{
        struct ptl_frame_head head = {.right = p->number, .token = p->holders};
        int e = ptl_move_put(m->to, PTL_FRAME_HOLDER, &head, body, sizeof *body);

        p->holders += !e;
        return e;
}

static int put_holders(struct ptl_move *m, struct ptl_move_port_of *p)
{
        for (const struct ptl_grant *g = ptl_move_first(m, p->receiver); g; g = ptl_move_after(m, g)) {
                struct ptl_peer *peer = ptl_grant_peer(g);
                struct ptl_move_holder body = {.task = ptl_move_task_of(peer),
                                               .number = ptl_grant_right(g),
                                               .kind = g->kind == PTL_GRANT_ONCE ? PTL_CARRY_ONCE : PTL_CARRY_SEND,
                                               .references = g->references};
                struct ptl_stub *s;
                int e;

                if (g->kind == PTL_GRANT_FREE)
                        continue;
                s = ptl_stub_of(peer, ptl_grant_right(g)); /* it was marked */
                if (!s)
                        return PTL_E_FULL;
                if (g->kind == PTL_GRANT_SEND)
                        body.count = (struct ptl_move_count){g->arrived, g->arrived_units & PTL_WORD_UNITS_MASK,
                                                             s->taken.messages, s->taken.units & PTL_WORD_UNITS_MASK};
                s->place = p->holders;
                e = put_holder(m, p, &body);
                if (e)
                        return e;
        }
        return 0;
}

static int put_waiting(struct ptl_move *m, struct ptl_move_port_of *p, const struct ptl_move_holder *body,
                       struct ptl_stub **owner)
{
        return ptl_stub_wait(p->moved, p->holders, body->count.count, owner) ? put_holder(m, p, body) : -ENOMEM;
}

/* Who has a ticket that was not redeemed. */
static int put_tickets(struct ptl_move *m, struct ptl_move_port_of *p)
{
        int e = 0;

        for (struct ptl_ticket *t = p->receiver->tickets; !e && t; t = t->next) {
                struct ptl_move_holder body = {.task = t->grantee,
                                               .number = t->ticket,
                                               .granter = ptl_ticket_granter(m->space, t),
                                               .kind = t->carries == PTL_GRANT_ONCE ? PTL_CARRY_ONCE : PTL_CARRY_SEND,
                                               .references = 1};

                e = put_waiting(m, p, &body, &t->stub);
        }
        return e;
}

/* Who was told of to this task, and has not claimed here: known by what it is known by there. */
static int put_settlers(struct ptl_move *m, struct ptl_move_port_of *p)
{
        struct ptl_settling *s = p->receiver->more ? p->receiver->more->settling : NULL;
        int e = 0;

        for (uint32_t i = 0; s && !e && i < s->holders; i++) {
                struct ptl_settler *h = ptl_settler_at(s, i);
                struct ptl_move_holder body = h->told;

                if (!ptl_settler_waits(h))
                        continue;
                if (!body.granter.high && !body.granter.low)
                        body.granter = s->task;
                e = put_waiting(m, p, &body, &h->stub);
        }
        return e;
}

/* This task itself: what its name has of send rights, and what lies in its messages (B claims them as anybody). */
static uint32_t others_that_send(const struct ptl_move *m, const struct ptl_receiver *r)
{
        const struct ptl_settling *s = r->more ? r->more->settling : NULL;
        uint32_t n = 0;

        for (const struct ptl_grant *g = ptl_move_first(m, r); g; g = ptl_move_after(m, g))
                n += g->kind == PTL_GRANT_SEND;
        for (const struct ptl_ticket *t = r->tickets; t; t = t->next)
                n += t->carries == PTL_GRANT_SEND;
        for (uint32_t i = 0; s && i < s->holders; i++)
                n += ptl_settler_at(s, i)->counted;
        return n;
}

/* Rights to the port in messages that go along are the new receiver's (carry_along()). */
static uint32_t rights_along(const struct ptl_move *m, const struct ptl_receiver *r, uint32_t what)
{
        uint32_t n = 0;

        for (uint32_t k = 0; k < m->count; k++)
                for (const struct ptl_queued *q = m->ports[k].receiver->head; q; q = q->next) {
                        const struct ptl_entry *e = q->reply && !q->peer && what == PTL_CARRY_OWN_ONCE
                                                            ? ptl_space_entry(m->space, q->reply)
                                                            : NULL;

                        n += e && e->remote == r->name;
                        for (unsigned i = 0; i < q->n_rights; i++)
                                n += q->carried[i].what == what && q->carried[i].right == r->name;
                }
        return n;
}

static bool has_own_send(const struct ptl_move *m, const struct ptl_receiver *r)
{
        const struct ptl_entry *e = ptl_receiver_entry(m->space, r);

        return e->rights & PTL_RIGHT_SEND ||
               e->senders > others_that_send(m, r) + rights_along(m, r, PTL_CARRY_OWN);
}

static int put_own(struct ptl_move *m, struct ptl_move_port_of *p)
{
        const struct ptl_entry *e = ptl_receiver_entry(m->space, p->receiver);
        struct ptl_move_holder body = {.task = m->space->me->task,
                                       .number = PTL_OWN_NUMBER,
                                       .kind = PTL_CARRY_SEND,
                                       .references = 1,
                                       .count = {.count = e->own, .units = e->own_units & PTL_WORD_UNITS_MASK}};
        int r = 0;

        p->own_place = PTL_NO_PLACE;
        if (has_own_send(m, p->receiver)) {
                p->own_place = p->holders;
                r = put_holder(m, p, &body);
        }
        p->onces_place = p->holders;
        body.kind = PTL_CARRY_ONCE;
        body.count = (struct ptl_move_count){0};
        p->onces = e->onces - rights_along(m, p->receiver, PTL_CARRY_OWN_ONCE);
        for (uint32_t i = 0; i < m->n_along; i++)
                p->onces -= m->along[i].moved && m->along[i].receiver == p->receiver;
        for (uint32_t i = 0; !r && i < p->onces; i++) {
                body.number = PTL_OWN_NUMBER + 1 + i;
                r = put_holder(m, p, &body);
        }
        return r;
}

/* A right to a port that goes along: one that this task gives the new receiver, which is a holder by that. */
int ptl_move_put_given(struct ptl_move *m, const struct ptl_receiver *r, bool once, uint64_t *ret_ticket)
{
        struct ptl_move_holder body = {.task = ptl_move_task_of(m->to),
                                       .number = (uint64_t)UINT32_MAX << 32 | ++m->given,
                                       .granter = m->space->me->task,
                                       .kind = once ? PTL_CARRY_ONCE : PTL_CARRY_SEND,
                                       .references = 1};
        struct ptl_move_port_of *p = m->ports;

        while (p->receiver != r)
                p++;
        *ret_ticket = body.number;
        return put_holder(m, p, &body);
}

/* Of a holder that was told of to this task and has not claimed. */
static uint32_t settler_place(const struct ptl_move_port_of *p, uint32_t index)
{
        struct ptl_settler *h = ptl_settler_at(p->receiver->more->settling, index);

        for (const struct ptl_stub *s = p->moved->stubs; s; s = s->next)
                if (s->owner == &h->stub)
                        return s->place;
        return PTL_NO_PLACE;
}

/* Through whose right a message came. */
static uint32_t place_of(const struct ptl_move_port_of *p, const struct ptl_queued *q)
{
        const struct ptl_grant *g;
        const struct ptl_stub *s;

        if (q->local_counted)
                return p->own_place;
        if (q->settler)
                return settler_place(p, q->settler - 1);
        g = q->grant && q->peer ? ptl_grant_find(q->peer, q->grant) : NULL;
        s = g && g->serial == q->serial ? ptl_stub_of(q->peer, q->grant) : NULL;
        return s ? s->place : PTL_NO_PLACE; /* else its right was given back */
}

static int put_queue(struct ptl_move *m, struct ptl_move_port_of *p)
{
        for (const struct ptl_queued *q = p->receiver->head; q; q = q->next) {
                struct ptl_frame_head head = {.right = p->number, .token = place_of(p, q)};
                int e;

                if (q->hops + 1 >= PTL_MOVE_HOPS)
                        continue; /* destroyed with this task's: docs/protocol/migration.md, "Crossed" */
                e = ptl_move_write(m, q, PTL_FRAME_QUEUED, &head);
                if (e)
                        return e;
                p->messages++;
        }
        return 0;
}

/* Those that were not told of are no move. */
static void abandon(struct ptl_move *m)
{
        for (uint32_t i = 0; i < m->count && m->ports[i].moved; i++) {
                struct ptl_frame_head head = {.right = m->ports[i].number};

                (void)!ptl_move_put(m->to, PTL_FRAME_ABANDON, &head, NULL, 0);
        }
}

/* What the news needs: nothing of it may fail. */
static int prepare(struct ptl_move *m, struct ptl_move_port_of *p)
{
        p->moved = calloc(1, sizeof *p->moved);
        if (!p->moved)
                return -ENOMEM;
        p->number = ++m->to->moving->sent;
        p->moved->number = p->number;
        p->moved->limit_messages = p->receiver->limit_messages;
        p->moved->limit_units = p->receiver->limit_units;
        p->holders = p->messages = 0;
        return 0;
}

static void drop_prepared(struct ptl_move *m)
{
        for (uint32_t i = 0; i < m->count; i++) {
                struct ptl_moved *moved = m->ports[i].moved;
                struct ptl_stub *s;

                while (moved && (s = moved->stubs)) {
                        moved->stubs = s->next;
                        free(s);
                }
                free(moved);
                m->ports[i].moved = NULL;
        }
}

static int put_ports(struct ptl_move *m)
{
        int e = 0;

        for (uint32_t i = 0; !e && i < m->count; i++)
                e = prepare(m, &m->ports[i]);
        for (uint32_t i = 0; !e && i < m->count; i++) {
                e = put_port(m, &m->ports[i]);
                if (!e)
                        e = put_holders(m, &m->ports[i]);
                if (!e)
                        e = put_tickets(m, &m->ports[i]);
                if (!e)
                        e = put_settlers(m, &m->ports[i]);
                if (!e)
                        e = put_own(m, &m->ports[i]);
        }
        for (uint32_t i = 0; !e && i < m->n_along; i++)
                e = ptl_move_put_given(m, m->along[i].receiver, m->along[i].once, &m->along[i].ticket);
        for (uint32_t i = 0; !e && i < m->count; i++)
                e = put_queue(m, &m->ports[i]);
        return e;
}

int ptl_move_stage(struct ptl_move *m)
{
        int e;

        if (!ptl_move_all_are_marked(m))
                return PTL_E_FULL;
        e = put_ports(m);
        if (e) {
                abandon(m);
                drop_prepared(m);
        }
        return e;
}
