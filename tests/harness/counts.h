/* SPDX-License-Identifier: Apache-2.0 */
/* counts.h - what tests of counting and of requests share (portolan/right.h) */
#pragma once
#include "api.h"

static inline struct ptl_port_counts counts_of(ptl_port p)
{
        struct ptl_port_counts c;

        OK(ptl_port_get_counts(p, &c));
        return c;
}

static inline uint32_t made_of(ptl_port p) { return counts_of(p).made; }

static inline ptl_port new_once(ptl_port p)
{
        ptl_port once = PTL_NULL;

        OK(ptl_right_make_once(p, &once));
        CHECK(once != PTL_NULL && once != p);
        return once;
}

/* Asks; there was no request before. */
static inline void ask(ptl_port p, uint32_t kind, uint32_t sync, ptl_port notify)
{
        ptl_port previous = 77;

        OK(ptl_right_request(p, kind, sync, notify, &previous));
        CHECK_EQ(previous, PTL_NULL);
}

static inline void take_no_senders(ptl_port notify, uint32_t made)
{
        CHECK_EQ(take_notification(notify, PTL_NOTIFY_NO_SENDERS).value, made);
        check_empty(notify);
}

static inline void take_deleted(ptl_port notify, ptl_port name)
{
        CHECK_EQ(take_notification(notify, PTL_NOTIFY_PORT_DELETED).value, name);
        check_empty(notify);
}

static inline void take_unused(ptl_port notify)
{
        take_notification(notify, PTL_NOTIFY_SEND_ONCE);
        check_empty(notify);
}

/* The receive right of @port comes, which was called @then when it was given up. */
static inline void take_destroyed_as(ptl_port notify, ptl_port then, ptl_port port)
{
        struct ptl_message m = take_message(notify);
        struct ptl_notification n;

        CHECK_EQ(m.kind, PTL_NOTIFY_PORT_DESTROYED);
        memcpy(&n, m.data, sizeof n);
        CHECK_EQ(n.value, then);
        CHECK_EQ(m.n_rights, 1);
        CHECK_EQ(m.rights[0].port, port);
        CHECK_EQ(m.rights[0].disposition, PTL_RIGHT_RECEIVE);
        ptl_message_release(&m);
        check_empty(notify);
}

static inline void take_destroyed(ptl_port notify, ptl_port port)
{
        take_destroyed_as(notify, port, port);
}

/* A message to @to with one right in it. */
static inline void put_right(ptl_port to, ptl_port port, uint32_t disposition)
{
        struct ptl_right_item item = {.port = port, .disposition = disposition};
        struct ptl_outgoing out = {.rights = &item, .n_rights = 1};

        OK(ptl_send_message(to, &out, soon()));
}

/* ... and what it is called where it is received. */
static inline ptl_port take_right(ptl_port from)
{
        struct ptl_message m = take_message(from);
        ptl_port name;

        CHECK_EQ(m.n_rights, 1);
        name = m.rights[0].port;
        ptl_message_release(&m);
        return name;
}
