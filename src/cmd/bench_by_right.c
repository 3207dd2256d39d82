/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd/bench_by_right.c - what the library does with an order: messages that carry a right
 *
 * Each carries a send right: to a port of its sender's (granted), or of its receiver's (it comes home). The same
 * messages without (BENCH_WITHOUT) go the same way and are the reference.
 */
#include "cmd/bench_by_port.h"
#include "cmd/bench_loop.h"
#include "cmd/bench_pair.h"
#include <stdio.h>

/* Of this process. */
static struct {
        ptl_port port;            /* where the messages go */
        ptl_port own;             /* the driver's: what it gives */
        struct ptl_right_item item;
        struct ptl_message message;
        ptl_port got;             /* the name of the right that came */
        uint64_t count;           /* how often it did */
} rights;

static int right_open(struct bench_side *side)
{
        char name[96];

        snprintf(name, sizeof name, "%s.right", side->control->name);
        if (bench_port_meet(side, name, &rights.port))
                return -1;
        if (side->is_peer)
                return 0;
        return bench_outcome(side, ptl_port_new(&rights.own, NULL), "ptl_port_new") ||
                               bench_outcome(side, ptl_right_make_send(rights.own), "ptl_right_make_send")
                       ? -1
                       : 0;
}

static void right_close(struct bench_side *side)
{
        bench_port_part(side, rights.port);
        if (rights.own)
                ptl_port_free(rights.own);
}

/* ---- the driver ---- */

static struct ptl_outgoing outgoing(const struct bench_side *side, const void *data, size_t size)
{
        return (struct ptl_outgoing){
                .data = data, .size = size, .rights = &rights.item,
                .n_rights = !(side->order.flags & BENCH_WITHOUT),
        };
}

static inline const void *ask(struct bench_side *side, const void *data, size_t size, size_t *ret_size)
{
        struct ptl_outgoing out = outgoing(side, data, size);

        if (bench_outcome(side, ptl_call_message(rights.port, &out, &rights.message, 0, PTL_FOREVER), "ptl_call_message"))
                return NULL;
        *ret_size = rights.message.size;
        return rights.message.data;
}

static inline int put(struct bench_side *side, const void *data, size_t size)
{
        struct ptl_outgoing out = outgoing(side, data, size);

        return bench_outcome(side, ptl_send_message(rights.port, &out, PTL_FOREVER), "ptl_send_message");
}

/* ---- the peer ---- */

/* One name for all of them, which counts them. */
static bool is_right(const struct bench_side *side, const struct ptl_message *m)
{
        if (side->order.flags & BENCH_WITHOUT)
                return m->n_rights == 0;
        if (m->n_rights != 1 || !(m->rights[0].disposition & PTL_RIGHT_SEND))
                return false;
        if (!rights.count++)
                rights.got = m->rights[0].port;
        return m->rights[0].port == rights.got;
}

static inline const void *take(struct bench_side *side, size_t *ret_size)
{
        struct ptl_message *m = &rights.message;

        if (bench_outcome(side, ptl_receive(rights.port, m, PTL_FOREVER), "ptl_receive"))
                return NULL;
        if (PTL_UNLIKELY(!is_right(side, m))) {
                bench_side_fail(side, "a right did not arrive, or another one");
                return NULL;
        }
        *ret_size = m->size;
        return m->data;
}

static inline int answer(struct bench_side *side, const void *data, size_t size)
{
        return bench_outcome(side, ptl_reply(&rights.message, data, size), "ptl_reply");
}

static inline void drop(struct bench_side *side) { ptl_message_release(&rights.message); }

/* Gives back what came: each once, as far as a name counts. */
static int give_back(struct bench_side *side)
{
        struct ptl_port_status status;

        if (!rights.count)
                return 0;
        rights.count = 0;
        if (bench_outcome(side, ptl_port_get_status(rights.got, &status), "ptl_port_get_status"))
                return -1;
        return bench_outcome(side, ptl_right_change(rights.got, PTL_RIGHT_SEND, -(int32_t)status.references),
                             "ptl_right_change");
}

static int right_run(struct bench_side *side)
{
        static const struct bench_ways ways = {
                .ask = ask, .asked = drop, .take = take, .answer = answer, .drop = drop, .put = put,
        };
        bool is_home = side->order.flags & BENCH_HOME;

        rights.item = (struct ptl_right_item){is_home ? rights.port : rights.own, PTL_COPY_SEND};
        if (bench_set_wait(side) || bench_loop(side, &ways))
                return -1;
        return side->is_peer ? give_back(side) : 0;
}

const struct bench_subject_calls bench_right_calls = {right_open, right_run, right_close};
