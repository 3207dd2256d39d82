/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench_by_ring.c - what the reference ring does with an order */
#include "cmd/bench_loop.h"
#include "cmd/bench_pair.h"
#include <string.h>

enum { LARGE_FROM = 16384, THERE = 0, BACK = 1 };

/* Of this process: the pairs of rings by their size, and the pair that the order goes through. */
static struct {
        struct bench_ring put[2], take[2];
        struct bench_ring *to, *from;
        bool is_streaming;
} rings;

static int open_one(struct bench_side *side, struct bench_ring *ring, int is_large, int direction)
{
        uint64_t capacity = is_large ? BENCH_RING_LARGE : BENCH_RING_SMALL;
        uint64_t offset = (is_large ? 2 * BENCH_RING_SMALL : 0) + (uint64_t)direction * capacity;
        struct bench_control *control = side->control;
        int r = bench_ring_init(ring, control->ring_fd, offset, capacity,
                                &control->heads[2 * is_large + direction].position, &control->failed);

        return r ? bench_side_fail(side, "cannot map the reference ring: %s", strerror(-r)) : 0;
}

static int ring_open(struct bench_side *side)
{
        for (int large = 0; large < 2; large++)
                if (open_one(side, &rings.put[large], large, side->is_peer ? BACK : THERE) ||
                    open_one(side, &rings.take[large], large, side->is_peer ? THERE : BACK))
                        return -1;
        return 0;
}

static void ring_close(struct bench_side *side)
{
        for (int large = 0; large < 2; large++) {
                bench_ring_fini(&rings.put[large]);
                bench_ring_fini(&rings.take[large]);
        }
}

static inline int put(struct bench_side *side, const void *data, size_t size)
{
        return bench_ring_put(rings.to, data, size, rings.is_streaming) ? 0 : -1;
}

static inline int put_batch(struct bench_side *side, const void *data, size_t size, unsigned count)
{
        return bench_ring_put_batch(rings.to, data, size, count) ? 0 : -1;
}

static inline const void *take(struct bench_side *side, size_t *ret_size)
{
        return bench_ring_take(rings.from, ret_size);
}

static inline void drop(struct bench_side *side) { bench_ring_drop(rings.from); }

static inline const void *ask(struct bench_side *side, const void *data, size_t size,
                              size_t *ret_size)
{
        return put(side, data, size) ? NULL : take(side, ret_size);
}

/* ---- what it costs that the receiver copies ---- */

static inline const void *take_copied(struct bench_side *side, size_t *ret_size)
{
        const void *record = take(side, ret_size);

        if (PTL_UNLIKELY(!record))
                return NULL;
        memcpy(side->room, record, *ret_size);
        drop(side);
        return side->room;
}

static inline void dropped(struct bench_side *side) {}

static inline const void *ask_copied(struct bench_side *side, const void *data, size_t size,
                                     size_t *ret_size)
{
        return put(side, data, size) ? NULL : take_copied(side, ret_size);
}

static int ring_run(struct bench_side *side)
{
        static const struct bench_ways ways = {
                .ask = ask, .asked = drop, .take = take, .answer = put, .drop = drop,
                .put = put, .put_batch = put_batch,
        }, copied = {
                .ask = ask_copied, .asked = dropped, .take = take_copied, .answer = put, .drop = dropped,
                .put = put, .put_batch = put_batch,
        };
        bool is_large = side->order.size >= LARGE_FROM;

        rings.to = &rings.put[is_large];
        rings.from = &rings.take[is_large];
        rings.is_streaming = (side->order.flags & BENCH_STREAMING) != 0;
        return bench_loop(side, side->order.flags & BENCH_COPIED ? &copied : &ways);
}

const struct bench_subject_calls bench_ring_calls = {ring_open, ring_run, ring_close};
