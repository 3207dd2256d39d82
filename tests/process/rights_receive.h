/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rights_receive.h - a task of the walk: what it receives, and whether that is what the model says
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

        CHECK(m->size == sizeof body || m->size == LARGE);
        memcpy(&body, m->data, sizeof body);
        CHECK(m->size != LARGE || is_filled((const char *)m->data + sizeof body, LARGE - sizeof body, body.message));
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

/* At once, since they were queued when the round began. */
static inline void take_messages(const struct order *o, ptl_port port, struct ptl_message *ret_messages)
{
        size_t n = 0, more;

        while (n < (size_t)o->count) {
                more = 1;
                if (o->how == 0)
                        OK(ptl_receive(port, &ret_messages[n], PTL_NOW));
                else if (o->how == 1)
                        OK(ptl_receive_with(port, &ret_messages[n], PTL_IN_PLACE, PTL_NOW));
                else
                        OK(ptl_receive_batch(port, &ret_messages[n], (size_t)o->count - n, &more, 0, PTL_NOW));
                n += more;
        }
}

static inline void obey_receive(const struct order *o)
{
        ptl_port port = names_of(o->port)[0];
        struct ptl_message m[EXPECTED];
        struct expected e;

        expect(o, &e);
        take_messages(o, port, m);
        for (int32_t i = 0; i < o->count; i++) {
                CHECK_EQ(m[i].port, port);
                if (m[i].kind >= PTL_NOTIFY_DEAD_NAME)
                        receive_told(&m[i], &e);
                else
                        receive_sent(&m[i], &e);
                ptl_message_release(&m[i]);
        }
}
