/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd/bench_ring.h - the reference: what a bare ring between two processes that trust each other does
 *
 * A record is a header word, its bytes, and what rounds it up. It is published by its header, which
 * holds its size plus one; 0 says that nothing is there yet. Publishing clears the header behind it
 * first. The memory is mapped twice, one after the other, so that a record never wraps.
 *
 *   E1  put: release store of a header    -> take: acquire load of it       the record's bytes
 *   E2  take: release store of the head   -> put: acquire load of it        that room may be reused
 *
 * There are no rights, no limits but room, nobody is ever asleep, and a peer is believed: what ports
 * add to this is their cost.
 */
#pragma once
#include "base/atomic.h"
#include "base/cleanup.h"
#include "base/copy.h"
#include <stdbool.h>

enum {
        BENCH_RING_SMALL = 256 << 10, /* bytes: fits the second-level cache */
        BENCH_RING_LARGE = 4 << 20,   /* does not: bulk would be slower if it did (PEERS) */
        BENCH_RING_SPARE = 72,        /* a header and the rounding of the next record */
        BENCH_RING_LOOK = 1024,       /* polls between two looks at whether the other side lives */
};

/* One direction as one side sees it. */
struct bench_ring {
        uint8_t *data;                /* twice @capacity bytes */
        uint64_t capacity;            /* a power of two */
        _Atomic uint64_t *head;       /* shared: how far it has been taken */
        const _Atomic uint32_t *over; /* shared: not 0 if a side gave up */
        uint64_t position;            /* where this side puts or takes next */
        uint64_t seen;                /* putting: the last value of @head; taking: what is in it */
        uint64_t pending;             /* taking: bytes of the record that is being read */
};

/* Maps @capacity bytes of @fd at @offset. Return: 0, -errno. */
int bench_ring_init(struct bench_ring *ring, int fd, uint64_t offset, uint64_t capacity,
                    _Atomic uint64_t *head, const _Atomic uint32_t *over);
void bench_ring_fini(struct bench_ring *ring);

static inline uint64_t bench_ring_need(size_t size)
{
        uint64_t need = sizeof(uint64_t) + ((size + 7) & ~UINT64_C(7));

        return size < 4096 ? need : (need + 63) & ~UINT64_C(63);
}

static inline _Atomic uint64_t *bench_ring_header(const struct bench_ring *ring, uint64_t position)
{
        return (_Atomic uint64_t *)(void *)(ring->data + (position & (ring->capacity - 1)));
}

static inline bool bench_ring_has_room(const struct bench_ring *ring, uint64_t need)
{
        return ring->position + need + BENCH_RING_SPARE - ring->seen <= ring->capacity;
}

static inline bool bench_ring_is_over(const struct bench_ring *ring, unsigned polls)
{
        /* relaxed: nothing is read because of it */
        return polls % BENCH_RING_LOOK == 0 && ptl_load_relaxed(ring->over);
}

static inline bool bench_ring_wait_room(struct bench_ring *ring, uint64_t need)
{
        for (unsigned polls = 1;; polls++) {
                ring->seen = ptl_load_acquire(ring->head); /* E2 */
                if (bench_ring_has_room(ring, need))
                        return true;
                if (bench_ring_is_over(ring, polls))
                        return false;
                ptl_pause();
        }
}

static inline uint64_t bench_ring_wait_record(struct bench_ring *ring, const _Atomic uint64_t *header)
{
        uint64_t word;

        if (ring->seen != ring->position) {
                ring->seen = ring->position;
                ptl_store_release(ring->head, ring->position); /* E2 */
        }
        for (unsigned polls = 1; !(word = ptl_load_acquire(header)); polls++) { /* E1 */
                if (bench_ring_is_over(ring, polls))
                        return 0;
                ptl_pause();
        }
        return word;
}

/* Return: false if a side gave up. */
static inline bool bench_ring_put(struct bench_ring *ring, const void *data, size_t size,
                                  bool is_streaming)
{
        uint64_t need = bench_ring_need(size);
        _Atomic uint64_t *header = bench_ring_header(ring, ring->position);

        if (PTL_UNLIKELY(!bench_ring_has_room(ring, need)) && !bench_ring_wait_room(ring, need))
                return false;
        if (PTL_UNLIKELY(is_streaming))
                ptl_copy_streaming((void *)(header + 1), data, size);
        else
                memcpy((void *)(header + 1), data, size);
        ring->position += need;
        /* relaxed: E1's release comes after it */
        ptl_store_relaxed(bench_ring_header(ring, ring->position), 0);
        ptl_store_release(header, size + 1); /* E1 */
        return true;
}

/* Puts @count records that lie one after the other; the first is published last, so that the other
 * side touches no line of theirs before all are written. Return: false if a side gave up. */
static inline bool bench_ring_put_batch(struct bench_ring *ring, const void *data, size_t size,
                                        unsigned count)
{
        uint64_t need = bench_ring_need(size), end = ring->position + count * need;
        _Atomic uint64_t *first = bench_ring_header(ring, ring->position);
        const char *from = data;

        if (PTL_UNLIKELY(!bench_ring_has_room(ring, count * need)) &&
            !bench_ring_wait_room(ring, count * need))
                return false;
        memcpy((void *)(first + 1), from, size);
        for (uint64_t at = ring->position + need; at != end; at += need) {
                _Atomic uint64_t *header = bench_ring_header(ring, at);

                memcpy((void *)(header + 1), from += size, size);
                ptl_store_relaxed(header, size + 1); /* relaxed: E1 of the first publishes it */
        }
        ptl_store_relaxed(bench_ring_header(ring, end), 0); /* relaxed: as above */
        ring->position = end;
        ptl_store_release(first, size + 1); /* E1 */
        return true;
}

/* The next record, readable until bench_ring_drop(). Return: NULL if a side gave up. */
static inline const void *bench_ring_take(struct bench_ring *ring, size_t *ret_size)
{
        const _Atomic uint64_t *header = bench_ring_header(ring, ring->position);
        uint64_t word = ptl_load_acquire(header); /* E1 */

        if (!word && !(word = bench_ring_wait_record(ring, header)))
                return NULL;
        *ret_size = word - 1;
        ring->pending = bench_ring_need(word - 1);
        return (const void *)(header + 1);
}

/* Room is given back an eighth of the ring at a time, and when there is nothing else to do. */
static inline void bench_ring_drop(struct bench_ring *ring)
{
        ring->position += ring->pending;
        if (ring->position - ring->seen < ring->capacity / 8)
                return;
        ring->seen = ring->position;
        ptl_store_release(ring->head, ring->position); /* E2 */
}
