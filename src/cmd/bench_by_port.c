/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench_by_port.c - what the library does with an order: bytes through a port */
#include "cmd/bench_by_port.h"
#include "cmd/bench_loop.h"
#include "cmd/bench_pair.h"
#include <stdio.h>
#include <string.h>

enum { MEETING_MS = 10000 };

/* Of this process. */
static struct {
        ptl_port port;
        unsigned flags;                               /* enum ptl_receive_flags */
        struct ptl_message messages[BENCH_BATCH_MAX]; /* taken; of a batch, the rest is to come */
        size_t next, count;
} ports;

int bench_outcome(struct bench_side *side, int outcome, const char *what)
{
        if (PTL_LIKELY(outcome == 0))
                return 0;
        return bench_side_fail(side, "%s: %s", what, ptl_outcome_text(outcome));
}

int bench_set_wait(struct bench_side *side)
{
        static const enum ptl_wait how[] = {
                [BENCH_SPIN] = PTL_WAIT_SPIN,
                [BENCH_ADAPTIVE] = PTL_WAIT_ADAPTIVE,
                [BENCH_BLOCK] = PTL_WAIT_BLOCK,
        };

        return bench_outcome(side, ptl_task_set_wait(how[side->order.wait], 0), "ptl_task_set_wait");
}

int bench_port_meet(struct bench_side *side, const char *name, ptl_port *ret_port)
{
        if (!side->is_peer)
                return bench_outcome(side, ptl_name_look_up(name, ret_port, ptl_after_ms(MEETING_MS)),
                                     "ptl_name_look_up");
        if (bench_outcome(side, ptl_port_new(ret_port, NULL), "ptl_port_new"))
                return -1;
        return bench_outcome(side, ptl_name_publish(name, *ret_port), "ptl_name_publish");
}

void bench_port_part(const struct bench_side *side, ptl_port port)
{
        if (side->is_peer)
                ptl_port_free(port); /* and with it its name */
        else
                ptl_right_release(port);
}

static int port_open(struct bench_side *side)
{
        return bench_port_meet(side, side->control->name, &ports.port);
}

static void port_close(struct bench_side *side)
{
        bench_port_part(side, ports.port);
}

/* ---- one message ---- */

static inline const void *ask(struct bench_side *side, const void *data, size_t size,
                              size_t *ret_size)
{
        *ret_size = BENCH_SIZE_MAX;
        return bench_outcome(side, ptl_call(ports.port, data, size, side->room, ret_size, PTL_FOREVER),
                             "ptl_call")
                       ? NULL
                       : side->room;
}

static inline void asked(struct bench_side *side) {}

/* The reply read where the server wrote it, as the reference ring's client reads it. */
static inline const void *ask_in_place(struct bench_side *side, const void *data, size_t size,
                                       size_t *ret_size)
{
        struct ptl_outgoing out = {.data = data, .size = size};
        struct ptl_message *m = &ports.messages[0];

        if (bench_outcome(side, ptl_call_message(ports.port, &out, m, PTL_IN_PLACE, PTL_FOREVER),
                          "ptl_call_message"))
                return NULL;
        *ret_size = m->size;
        return m->data;
}

static inline void asked_in_place(struct bench_side *side)
{
        ptl_message_release(&ports.messages[0]);
}

static inline const void *take(struct bench_side *side, size_t *ret_size)
{
        struct ptl_message *m = &ports.messages[0];

        if (bench_outcome(side, ptl_receive_with(ports.port, m, ports.flags, PTL_FOREVER), "ptl_receive"))
                return NULL;
        *ret_size = m->size;
        return m->data;
}

static inline int answer(struct bench_side *side, const void *data, size_t size)
{
        return bench_outcome(side, ptl_reply(&ports.messages[0], data, size), "ptl_reply");
}

static inline void drop(struct bench_side *side) { ptl_message_release(&ports.messages[0]); }

static inline int put(struct bench_side *side, const void *data, size_t size)
{
        return bench_outcome(side, ptl_send(ports.port, data, size, PTL_FOREVER), "ptl_send");
}

static int put_loan(struct bench_side *side, const void *data, size_t size)
{
        struct ptl_loan loan;

        if (bench_outcome(side, ptl_loan_reserve(ports.port, size, &loan, PTL_FOREVER),
                          "ptl_loan_reserve"))
                return -1;
        memcpy(loan.data, data, size); /* stands for a program that makes its data there */
        if (!bench_outcome(side, ptl_loan_publish(&loan, size, NULL, PTL_FOREVER), "ptl_loan_publish"))
                return 0;
        ptl_loan_cancel(&loan);
        return -1;
}

/* ---- batches ---- */

static inline int put_batch(struct bench_side *side, const void *data, size_t size, unsigned count)
{
        struct ptl_bytes bytes[BENCH_BATCH_MAX];

        for (unsigned i = 0; i < count; i++)
                bytes[i] = (struct ptl_bytes){(const char *)data + i * size, size};
        return bench_outcome(side, ptl_send_batch(ports.port, bytes, count, NULL, PTL_FOREVER),
                             "ptl_send_batch");
}

static inline const void *take_of_batch(struct bench_side *side, size_t *ret_size)
{
        if (ports.next == ports.count) {
                ports.next = 0;
                if (bench_outcome(side,
                                  ptl_receive_batch(ports.port, ports.messages, BENCH_BATCH_MAX,
                                                    &ports.count, ports.flags, PTL_FOREVER),
                                  "ptl_receive_batch"))
                        return NULL;
        }
        *ret_size = ports.messages[ports.next].size;
        return ports.messages[ports.next].data;
}

static inline void drop_of_batch(struct bench_side *side)
{
        ptl_message_release(&ports.messages[ports.next++]);
}

/* ---- orders ---- */

/* Nothing is sent but the message that ends it; what counts is the CPU time until then. */
static int idle(struct bench_side *side, const struct bench_ways *ways)
{
        ptl_time begin = ptl_now();
        uint64_t ns = side->order.duration_ns;

        if (!side->is_peer) {
                nanosleep(&(struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)}, NULL);
                side->result.elapsed_ns = (uint64_t)(ptl_now() - begin);
                bench_stamp(side->data, side->order.size, BENCH_LAST);
                return ways->put(side, side->data, side->order.size);
        }
        size_t size = 0;
        const void *data = ways->take(side, &size);
        if (!bench_is_last(side, data, size))
                return bench_side_wrong(side, data, size, BENCH_LAST);
        ways->drop(side);
        return 0;
}

static int port_run(struct bench_side *side)
{
        static const struct bench_ways single = {
                .ask = ask, .asked = asked, .take = take, .answer = answer, .drop = drop, .put = put,
        }, in_place = {
                .ask = ask_in_place, .asked = asked_in_place, .take = take, .answer = answer,
                .drop = drop, .put = put,
        }, batched = {
                .take = take_of_batch, .drop = drop_of_batch, .put = put, .put_batch = put_batch,
        }, loaned = {
                .take = take, .drop = drop, .put = put_loan,
        };

        ports.flags = side->order.flags & BENCH_IN_PLACE ? PTL_IN_PLACE : 0;
        ports.next = ports.count = 0;
        if (bench_set_wait(side))
                return -1;
        if (side->order.shape == BENCH_IDLE)
                return idle(side, &single);
        if (side->order.flags & BENCH_LOAN)
                return side->is_peer ? bench_take_loop(side, &loaned) : bench_put_loop(side, &loaned);
        if (side->order.batch > 1)
                return side->is_peer ? bench_take_loop(side, &batched) : bench_put_loop(side, &batched);
        return bench_loop(side, ports.flags ? &in_place : &single);
}

const struct bench_subject_calls bench_port_calls = {port_open, port_run, port_close};
