/* SPDX-License-Identifier: Apache-2.0 */
/* shm/ring.c - see ring.h for invariants I1-I4 and edges E1-E2 */
#include "shm/ring.h"
#include "base/cleanup.h"
#include <assert.h>
#include <string.h>

void ptl_ring_writer_init(struct ptl_ring_writer *w, const struct ptl_outbox *box)
{
        *w = (struct ptl_ring_writer){
                .base = ptl_outbox_ring(box, 0),
                .size = ptl_ring_level_size(0),
                .limit = ptl_ring_level_size(0),
                .box = *box,
        };
}

int ptl_ring_refresh(struct ptl_ring_writer *w)
{
        uint64_t seen;

        if (!w->peer_consumed)
                return 0;
        seen = ptl_load_acquire(w->peer_consumed); /* E2 */
        if (seen - w->consumed > w->position - w->consumed)
                return PTL_E_MALFORMED; /* backwards, or past the tail */
        w->consumed = seen;
        w->limit = (seen > w->grown_at ? seen : w->grown_at) + w->size;
        return 0;
}

int ptl_ring_reserve_slow(struct ptl_ring_writer *w, uint32_t length, uint32_t reserve,
                          struct ptl_ring_slot *ret_slot)
{
        uint64_t at = ptl_ring_frame_place(w, w->position, length), room = ptl_ring_frame_room(at, length);

        assert(length <= PTL_INLINE_MAX);
        room += PTL_RING_WORD + reserve;
        if (room > w->limit) { /* I2 */
                int r = ptl_ring_refresh(w);

                if (r)
                        return r;
                if (room > w->limit)
                        return PTL_E_FULL;
        }
        *ret_slot = (struct ptl_ring_slot){
                .pad = w->position,
                .position = at,
                .end = ptl_frame_end(at, length),
                .body = w->base + (at & (w->size - 1)) + PTL_FRAME_HEAD,
        };
        return 0;
}

/*
 * Everything in registers, and as few stores as can be: each has a place in the store queue, one to the
 * stack too, and so decides how many lines can be on their way to this CPU at a time. Twice the stores
 * halve the rate (docs/benchmarks.md).
 */
size_t ptl_ring_batch_run(struct ptl_ring_writer *w, struct ptl_ring_batch *batch,
                          const struct ptl_frame_head *head, const struct ptl_bytes *bodies, size_t n)
{
        uint64_t at = w->position, size = w->size, limit = w->limit;
        uint64_t rights = (uint64_t)head->token << 32 | head->right, aux = (uint64_t)head->aux << 32;
        uint32_t sequence = w->sequence;
        char *base = w->base;
        size_t i = 0;

        if (!batch->count)
                return 0;
        for (; i < n; i++) {
                size_t length = bodies[i].size;
                char *frame = base + (at & (size - 1));
                uint64_t counts = aux | sequence;
                _Atomic uint64_t *word;

                if (!ptl_ring_has_room(at, size, limit, length, PTL_RING_RESERVE))
                        break;
                ptl_copy_small(frame + PTL_FRAME_HEAD, bodies[i].data, length);
                ptl_copy_shared(frame + PTL_RING_WORD, &rights, sizeof rights);
                ptl_copy_shared(frame + 2 * PTL_RING_WORD, &counts, sizeof counts);
                sequence++;
                word = (_Atomic uint64_t *)(void *)frame;
                /* Unreachable before the batch's first is published. */
                ptl_store_release(word, ptl_frame_word(at, (uint32_t)length, PTL_FRAME_INLINE)); /* E1 */
                at = ptl_frame_end(at, (uint32_t)length);
        }
        w->position = at;
        w->sequence = sequence;
        batch->count += (uint32_t)i;
        return i;
}

void ptl_ring_batch_publish(struct ptl_ring_writer *w, struct ptl_ring_batch *batch)
{
        if (!batch->count)
                return;
        ptl_ring_clear_tail(w, w->position); /* I1 */
        ptl_ring_publish_word(w, batch->pad, batch->position, batch->first_word);
        batch->count = 0;
}

int ptl_ring_grow(struct ptl_ring_writer *w)
{
        unsigned next = w->level + 1;
        struct ptl_frame_head head = {.aux = next};
        struct ptl_ring_slot slot;
        int r;

        if (next >= PTL_OUTBOX_LEVELS)
                return PTL_E_FULL;
        r = ptl_ring_reserve(w, 0, 0, &slot);
        if (!r)
                r = ptl_outbox_reserve(&w->box, ptl_ring_level_offset(next), ptl_ring_level_size(next));
        if (r)
                return r;
        /* The new level was never written, so its tail word is clear already (I1): nothing to clear in
         * the old one, which ends with this frame. */
        ptl_ring_write_head(w, slot.position, &head);
        w->sequence--; /* GROW is not counted: the reader follows it inside peek */
        ptl_ring_publish_word(w, slot.pad, slot.position, ptl_frame_word(slot.position, 0, PTL_FRAME_GROW));
        w->level = next;
        w->base = ptl_outbox_ring(&w->box, next);
        w->size = ptl_ring_level_size(next);
        w->position = w->grown_at = slot.end;
        w->limit = w->grown_at + w->size;
        return 0;
}

void ptl_ring_reader_init(struct ptl_ring_reader *r, const struct ptl_outbox *peer,
                          const struct ptl_outbox *mine)
{
        *r = (struct ptl_ring_reader){
                .base = ptl_outbox_ring(peer, 0),
                .size = ptl_ring_level_size(0),
                .box = *peer,
                .consumed = &ptl_outbox_head(mine)->consumed,
        };
}

/* None at the ring's start: that would never end. */
static int follow_pad(struct ptl_ring_reader *r)
{
        uint64_t offset = r->position & (r->size - 1);

        r->position += r->size - offset;
        return offset ? 0 : PTL_E_MALFORMED;
}

/* Bounded: a level is left once, upwards. */
static int follow_grow(struct ptl_ring_reader *r, const struct ptl_frame *frame)
{
        if (frame->head.aux != r->level + 1 || frame->head.aux >= PTL_OUTBOX_LEVELS)
                return PTL_E_MALFORMED;
        r->level++;
        r->base = ptl_outbox_ring(&r->box, r->level);
        r->size = ptl_ring_level_size(r->level);
        r->position = frame->end;
        return 0;
}

int ptl_ring_peek_slow(struct ptl_ring_reader *r, struct ptl_frame *ret_frame)
{
        int e;

        do {
                uint64_t word = ptl_load_acquire(ptl_ring_next_word(r)); /* E1 */

                e = 0;
                if ((word ^ ptl_frame_stamp(r->position)) >> 32)
                        return PTL_E_EMPTY;
                if (ptl_frame_kind_of(word) == PTL_FRAME_PAD) {
                        e = follow_pad(r);
                } else {
                        e = ptl_ring_look(r, word, ret_frame);
                        if (e || ret_frame->kind != PTL_FRAME_GROW)
                                return e ? e : ptl_ring_in_sequence(r, ret_frame);
                        e = follow_grow(r, ret_frame);
                }
        } while (!e);
        return e;
}
