/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd/bench_loop.h - the loops of both sides, written once for every way of sending
 *
 * A subject is a few functions; the loops are inlined into it together with them, so that the bare
 * ring pays no indirect call and the comparison is between what is sent through, not between loops.
 */
#pragma once
#include "base/cleanup.h"
#include "cmd/bench_side.h"

enum { BENCH_WINDOW = 64 }; /* messages between two looks at the clock, when they are small; 2^n */

#define BENCH_INLINE static inline __attribute__((always_inline))

/*
 * Those that return memory return NULL, the others not 0, once they have called bench_side_fail() or
 * the other side has failed.
 */
struct bench_ways {
        /* a request and its answer, which stays readable until asked() */
        const void *(*ask)(struct bench_side *side, const void *data, size_t size, size_t *ret_size);
        void (*asked)(struct bench_side *side);
        /* a message, readable until drop(); its answer */
        const void *(*take)(struct bench_side *side, size_t *ret_size);
        int (*answer)(struct bench_side *side, const void *data, size_t size);
        void (*drop)(struct bench_side *side);
        /* one message, or as many as the order's batch that lie one after the other */
        int (*put)(struct bench_side *side, const void *data, size_t size);
        int (*put_batch)(struct bench_side *side, const void *data, size_t size, unsigned count);
};

/* Damages one message, if that was ordered; one that begins a batch of any size. */
BENCH_INLINE void bench_maybe_corrupt(const struct bench_side *side, uint64_t number)
{
        if (PTL_UNLIKELY(side->order.flags & BENCH_CORRUPT) && number == 2 * BENCH_WINDOW)
                side->data[side->order.size / sizeof *side->data - 1] ^= 1u << 17;
}

BENCH_INLINE int bench_ask_one(struct bench_side *side, const struct bench_ways *ways,
                               uint64_t number)
{
        size_t size = 0;
        const void *answer;

        bench_stamp(side->data, side->order.size, number);
        bench_maybe_corrupt(side, number);
        answer = ways->ask(side, side->data, side->order.size, &size);
        if (PTL_UNLIKELY(!answer || !bench_is_whole(side, answer, size, number)))
                return bench_side_wrong(side, answer, size, number);
        ways->asked(side);
        return 0;
}

/* The driver's side of BENCH_CALL. The first eighth warms up. */
BENCH_INLINE int bench_ask_loop(struct bench_side *side, const struct bench_ways *ways)
{
        uint64_t span = (uint64_t)((double)side->order.duration_ns / side->ns_per_tick);
        uint64_t begin = bench_tick(), warm = begin + span / 8, end = begin + span;
        uint64_t number = 0, first = 0, before, now = begin;

        for (; now < end; number++) {
                before = bench_tick();
                if (PTL_UNLIKELY(bench_ask_one(side, ways, number)))
                        return -1;
                now = bench_tick();
                if (PTL_LIKELY(before >= warm))
                        bench_samples_add(&side->samples, now - before);
                else {
                        first = number + 1;
                        begin = now;
                }
        }
        bench_side_conclude(side, begin, now, number - first, 1);
        return bench_ask_one(side, ways, BENCH_LAST);
}

/* Whether this is the whole last message; that it is not @number is known. */
BENCH_INLINE bool bench_is_last(const struct bench_side *side, const void *data, size_t size)
{
        return data && bench_is_whole(side, data, size, BENCH_LAST);
}

/* The peer's side of BENCH_CALL. */
BENCH_INLINE int bench_answer_loop(struct bench_side *side, const struct bench_ways *ways)
{
        bool is_last = false;

        for (uint64_t number = 0; !is_last; number++) {
                size_t size = 0;
                const void *data = ways->take(side, &size);

                if (PTL_UNLIKELY(!data || !bench_is_whole(side, data, size, number))) {
                        is_last = bench_is_last(side, data, size);
                        if (!is_last)
                                return bench_side_wrong(side, data, size, number);
                }
                if (PTL_UNLIKELY(ways->answer(side, data, size)))
                        return -1;
                ways->drop(side);
        }
        return 0;
}

BENCH_INLINE int bench_put_some(struct bench_side *side, const struct bench_ways *ways,
                                uint64_t number, unsigned batch)
{
        size_t size = side->order.size, words = size / sizeof *side->data;

        for (unsigned i = 0; i < batch; i++)
                bench_stamp(side->data + i * words, size, number + i);
        bench_maybe_corrupt(side, number);
        return batch == 1 ? ways->put(side, side->data, size)
                          : ways->put_batch(side, side->data, size, batch);
}

/* The driver's side of BENCH_SEND. */
BENCH_INLINE int bench_put_loop(struct bench_side *side, const struct bench_ways *ways)
{
        uint64_t span = (uint64_t)((double)side->order.duration_ns / side->ns_per_tick);
        uint64_t end = bench_tick() + span, number = 0;
        unsigned batch = side->order.batch;
        unsigned window = side->order.size >= BENCH_SUM_FROM ? 1 : BENCH_WINDOW;

        do {
                if (PTL_UNLIKELY(bench_put_some(side, ways, number, batch)))
                        return -1;
                number += batch;
        } while ((number & (window - 1)) || bench_tick() < end);
        bench_stamp(side->data, side->order.size, BENCH_LAST);
        return ways->put(side, side->data, side->order.size);
}

/* The peer's side of BENCH_SEND. A sample is the time of a window of messages. */
BENCH_INLINE int bench_take_loop(struct bench_side *side, const struct bench_ways *ways)
{
        unsigned window = side->order.size >= BENCH_SUM_FROM ? 1 : BENCH_WINDOW;
        uint64_t begin = 0, before = 0, now, number;

        for (number = 0;; number++) {
                size_t size = 0;
                const void *data = ways->take(side, &size);

                if (PTL_UNLIKELY(!data || !bench_is_whole(side, data, size, number))) {
                        if (!bench_is_last(side, data, size))
                                return bench_side_wrong(side, data, size, number);
                        break;
                }
                ways->drop(side);
                if (number & (window - 1))
                        continue;
                now = bench_tick();
                if (before)
                        bench_samples_add(&side->samples, now - before);
                else
                        begin = now;
                before = now;
        }
        ways->drop(side);
        /* the first message began the time; the last was its end's sign */
        bench_side_conclude(side, begin, bench_tick(), number ? number - 1 : 0, window);
        return 0;
}

BENCH_INLINE int bench_loop(struct bench_side *side, const struct bench_ways *ways)
{
        if (side->order.shape == BENCH_CALL)
                return side->is_peer ? bench_answer_loop(side, ways) : bench_ask_loop(side, ways);
        return side->is_peer ? bench_take_loop(side, ways) : bench_put_loop(side, ways);
}
