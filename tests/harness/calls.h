/* SPDX-License-Identifier: Apache-2.0 */
/* calls.h - every call that takes a name, as a table: what each says to each kind of wrong name */
#pragma once
#include "api.h"

/* The kinds of names, as calls_names() makes them. */
enum {
        CALLS_NULL,
        CALLS_NEVER, /* no name of this task, ever */
        CALLS_STALE,
        CALLS_RECEIVE, /* the receive right only */
        CALLS_ONCE,
        CALLS_SET,
        CALLS_DEAD,
        CALLS_KINDS,
};

enum { CALLS_FINE = -100000 }; /* a right that the call takes, or where the manual is silent */

static const char *const calls_kind_names[CALLS_KINDS] = {
        "PTL_NULL", "a name never given", "a stale name", "a receive right", "a send-once right",
        "a set",    "a dead name"};

static ptl_port calls_good; /* carries receive and send */

static int calls_port_free(ptl_port p) { return ptl_port_free(p); }

static int calls_set_limit(ptl_port p)
{
        return ptl_port_set_limit(p, &(struct ptl_port_options){.limit_messages = 9});
}

static int calls_get_status(ptl_port p)
{
        struct ptl_port_status s;

        return ptl_port_get_status(p, &s);
}

static int calls_notify_dead(ptl_port p) { return ptl_right_notify_dead(p, calls_good); }

static int calls_notify_dead_at(ptl_port p)
{
        return p ? ptl_right_notify_dead(calls_good, p) : PTL_E_NAME; /* PTL_NULL cancels */
}

static int calls_add_to(ptl_port p)
{
        return p ? ptl_set_add(p, calls_good) : PTL_E_NAME; /* PTL_NULL takes it out */
}

static int calls_add_port(ptl_port p)
{
        ptl_port set = new_set();
        int outcome = ptl_set_add(set, p);

        OK(ptl_set_free(set));
        return outcome;
}

static int calls_add_to_none(ptl_port p) { return ptl_set_add(PTL_NULL, p); }

static int calls_send(ptl_port p) { return ptl_send(p, "x", 1, PTL_NOW); }

static int calls_send_message(ptl_port p)
{
        return ptl_send_message(p, &(struct ptl_outgoing){.kind = 1}, PTL_NOW);
}

static int calls_send_batch(ptl_port p)
{
        struct ptl_bytes b = {"x", 1};
        size_t sent = 77;
        int outcome = ptl_send_batch(p, &b, 1, &sent, PTL_NOW);

        CHECK_EQ(sent, 0);
        return outcome;
}

static int calls_loan(ptl_port p)
{
        struct ptl_loan loan;

        return ptl_loan_reserve(p, 100, &loan, PTL_NOW);
}

static int calls_with_reply(ptl_port p)
{
        struct ptl_outgoing out = {.reply = p};

        return p ? ptl_send_message(calls_good, &out, PTL_NOW) : PTL_E_NAME;
}

static int calls_leave_and_notify(ptl_port p)
{
        struct ptl_outgoing out = {.leave = 1, .notify = p};

        return p ? ptl_send_message(calls_good, &out, PTL_NOW) : PTL_E_NAME;
}

static int calls_with_right(ptl_port p, uint32_t disposition)
{
        struct ptl_right_item items[] = {
                {calls_good, PTL_MOVE_SEND},
                {p,          disposition  }
        };
        struct ptl_outgoing out = {.rights = items, .n_rights = 2};

        return ptl_send_message(calls_good, &out, PTL_NOW);
}

static int calls_copy_send(ptl_port p) { return calls_with_right(p, PTL_COPY_SEND); }
static int calls_move_send(ptl_port p) { return calls_with_right(p, PTL_MOVE_SEND); }
static int calls_make_send(ptl_port p) { return calls_with_right(p, PTL_MAKE_SEND); }
static int calls_make_send_once(ptl_port p) { return calls_with_right(p, PTL_MAKE_SEND_ONCE); }
static int calls_move_send_once(ptl_port p) { return calls_with_right(p, PTL_MOVE_SEND_ONCE); }

static int calls_receive(ptl_port p)
{
        struct ptl_message m;

        return ptl_receive(p, &m, PTL_NOW);
}

static int calls_receive_with(ptl_port p)
{
        struct ptl_message m;

        return ptl_receive_with(p, &m, PTL_IN_PLACE, PTL_NOW);
}

static int calls_receive_batch(ptl_port p)
{
        struct ptl_message m[2];
        size_t n;

        return ptl_receive_batch(p, m, 2, &n, 0, PTL_NOW);
}

static int calls_call(ptl_port p)
{
        char answer[8];
        size_t n = sizeof answer;

        return ptl_call(p, "x", 2, answer, &n, PTL_NOW);
}

static int calls_call_message(ptl_port p)
{
        struct ptl_message m;

        return ptl_call_message(p, &(struct ptl_outgoing){.kind = 1}, &m, 0, PTL_NOW);
}

static int calls_descriptor(ptl_port p)
{
        int fd;

        return p ? ptl_descriptor(p, &fd) : PTL_E_NAME;
}

static int calls_publish(ptl_port p) { return ptl_name_publish("calls", p); }
static int calls_watch(ptl_port p) { return ptl_name_watch("calls", p); }
static int calls_ref(ptl_port p) { return ptl_right_ref(p); }
static int calls_release(ptl_port p) { return ptl_right_release(p); }
static int calls_make(ptl_port p) { return ptl_right_make_send(p); }
static int calls_set_free(ptl_port p) { return ptl_set_free(p); }
static int calls_destroy(ptl_port p) { return ptl_right_destroy(p); }
static int calls_grow(ptl_port p) { return ptl_right_change(p, PTL_RIGHT_SEND, 1); }
static int calls_grow_dead(ptl_port p) { return ptl_right_change(p, PTL_RIGHT_DEAD, 1); }
static int calls_type(ptl_port p) { return ptl_right_type(p, &(uint32_t){0}); }
static int calls_counts(ptl_port p) { return ptl_port_get_counts(p, &(struct ptl_port_counts){.made = 0}); }
static int calls_set_made(ptl_port p) { return ptl_port_set_made(p, 1); }
static int calls_set_sequence(ptl_port p) { return ptl_port_set_sequence(p, 1); }

/* To a place that is taken: nothing changes. */
static int calls_rename(ptl_port p)
{
        int outcome = ptl_right_rename(p, calls_good);

        return outcome == PTL_E_EXISTS ? 0 : outcome;
}

static int calls_make_once(ptl_port p)
{
        ptl_port once;

        return ptl_right_make_once(p, &once);
}

static int calls_members(ptl_port p)
{
        ptl_port *list = NULL;
        size_t n;
        int outcome = ptl_set_get_members(p, &list, &n);

        free(list);
        return outcome;
}

static int calls_ask_senders(ptl_port p) { return ptl_right_request(p, PTL_NOTIFY_NO_SENDERS, 9, calls_good, NULL); }
static int calls_ask_dead(ptl_port p) { return ptl_right_request(p, PTL_NOTIFY_DEAD_NAME, 0, calls_good, NULL); }

static int calls_ask_destroyed(ptl_port p)
{
        return ptl_right_request(p, PTL_NOTIFY_PORT_DESTROYED, 0, PTL_NULL, NULL);
}

static int calls_ask_for(ptl_port p)
{
        return p ? ptl_right_request(calls_good, PTL_NOTIFY_NO_SENDERS, 9, p, NULL) : PTL_E_NAME; /* PTL_NULL cancels */
}

static const struct calls_row {
        const char *name;
        int (*call)(ptl_port);
        const char *expected; /* a letter for each kind, see calls_expected() */
} calls_rows[] = {
  /* PTL_NULL, never, stale, receive, send-once, set, dead */
        {"port_free",                    calls_port_free,        "NNNFRRR"},
        {"port_set_limit",               calls_set_limit,        "NNNFRRR"},
        {"port_get_status",              calls_get_status,       "NNNFFFF"},
        {"right_make_send",              calls_make,             "NNNFRRR"},
        {"right_ref",                    calls_ref,              "NNNRRRF"},
        {"right_release",                calls_release,          "NNNRFRF"},
        {"right_notify_dead of",         calls_notify_dead,      "NNNRFRF"},
        {"right_notify_dead at",         calls_notify_dead_at,   "NNNFRRR"},
        {"right_change, send",           calls_grow,             "NNNRRRR"},
        {"right_change, dead",           calls_grow_dead,        "NNNRRRF"},
        {"right_destroy",                calls_destroy,          "NNNFFFF"},
        {"right_type",                   calls_type,             "NNNFFFF"},
        {"right_rename",                 calls_rename,           "NNNFFFF"},
        {"right_make_once",              calls_make_once,        "NNNFRRR"},
        {"right_request, no senders",    calls_ask_senders,      "NNNFRRR"},
        {"right_request, dead name",     calls_ask_dead,         "NNNFFRD"},
        {"right_request, destroyed",     calls_ask_destroyed,    "NNNFRRR"},
        {"right_request at",             calls_ask_for,          "NNNFFRD"},
        {"port_get_counts",              calls_counts,           "NNNFRRR"},
        {"port_set_made",                calls_set_made,         "NNNFRRR"},
        {"port_set_sequence",            calls_set_sequence,     "NNNFRRR"},
        {"set_get_members",              calls_members,          "NNNRRFR"},
        {"set_free",                     calls_set_free,         "NNNRRFR"},
        {"set_add to",                   calls_add_to,           "NNNRRFR"},
        {"set_add of",                   calls_add_port,         "NNNFRRR"},
        {"set_add to none",              calls_add_to_none,      "NNNFRRR"},
        {"send",                         calls_send,             "NNNFFRD"},
        {"send_message",                 calls_send_message,     "NNNFFRD"},
        {"send_batch",                   calls_send_batch,       "NNNFFRD"},
        {"loan_reserve",                 calls_loan,             "NNNFFRD"},
        {"send_message, reply",          calls_with_reply,       "NNNFRRR"},
        {"send_message, notify",         calls_leave_and_notify, "NNNFRRR"},
        {"send_message, copy send",      calls_copy_send,        "NNNRRRF"},
        {"send_message, move send",      calls_move_send,        "NNNRRRF"},
        {"send_message, make send",      calls_make_send,        "NNNFRRR"},
        {"send_message, make send-once", calls_make_send_once,   "NNNFRRR"},
        {"send_message, move send-once", calls_move_send_once,   "NNNRFRF"},
        {"receive",                      calls_receive,          "NNNFRFR"},
        {"receive_with",                 calls_receive_with,     "NNNFRFR"},
        {"receive_batch",                calls_receive_batch,    "NNNFRFR"},
        {"call",                         calls_call,             "NNNFFRD"},
        {"call_message",                 calls_call_message,     "NNNFFRD"},
        {"descriptor",                   calls_descriptor,       "NNNFRFR"},
        {"name_publish",                 calls_publish,          "NNNFRRR"},
        {"name_watch",                   calls_watch,            "NNNFRRR"},
};

/* N: PTL_E_NAME, R: PTL_E_RIGHT, D: PTL_E_DEAD, F: fine, or the manual is silent. */
static inline int calls_expected(const struct calls_row *row, size_t kind)
{
        switch (row->expected[kind]) {
        case 'N':
                return PTL_E_NAME;
        case 'R':
                return PTL_E_RIGHT;
        case 'D':
                return PTL_E_DEAD;
        default:
                return CALLS_FINE;
        }
}

/* One name of each kind; sets calls_good. */
static inline void calls_names(ptl_port ret_names[CALLS_KINDS])
{
        struct ptl_right_item item = {.disposition = PTL_MAKE_SEND_ONCE};
        struct ptl_outgoing out = {.rights = &item, .n_rights = 1};
        struct ptl_message m;

        calls_good = new_send_port();
        ret_names[CALLS_NULL] = PTL_NULL;
        ret_names[CALLS_NEVER] = UINT32_MAX;
        ret_names[CALLS_RECEIVE] = item.port = new_port();
        OK(ptl_send_message(calls_good, &out, PTL_NOW));
        m = take_message(calls_good);
        ret_names[CALLS_ONCE] = m.rights[0].port;
        ptl_message_release(&m);
        ret_names[CALLS_SET] = new_set();
        ret_names[CALLS_DEAD] = new_send_port();
        OK(ptl_port_free(ret_names[CALLS_DEAD]));
        ret_names[CALLS_STALE] = stale_name(); /* last, so that no later name is like it */
}
