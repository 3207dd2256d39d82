/* SPDX-License-Identifier: Apache-2.0 */
/* shm/ring.c - see ring.h for invariants I1-I4 and edges E1-E2 */
#include "shm/ring.h"
#include "base/cleanup.h"
#include <assert.h>
#include <string.h>

static _Atomic uint64_t *word_at(const struct ptl_ring_writer *w, uint64_t position)
{
        return (_Atomic uint64_t *)(void *)(w->base + (position & (w->size - 1)));
}

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

/* Where a frame of @length goes from @from: behind a PAD if it would not lie in one piece (I4). */
static uint64_t frame_place(const struct ptl_ring_writer *w, uint64_t from, uint32_t length)
{
        uint64_t left = w->size - (from & (w->size - 1));

        return PTL_FRAME_HEAD + length > left ? from + left : from;
}

/* Up to where a frame at @at needs room. Published shorter than reserved it may fill whole lines, and
 * so end beyond where the longer one would have ended. */
static uint64_t frame_room(uint64_t at, uint32_t length)
{
        const uint32_t two_lines = 128 - PTL_FRAME_HEAD;
        uint64_t end = ptl_frame_end(at, length), lines;

        if (length <= two_lines)
                return end;
        lines = ptl_frame_end(at, two_lines);
        return end > lines ? end : lines;
}

int ptl_ring_reserve(struct ptl_ring_writer *w, uint32_t length, uint32_t reserve,
                     struct ptl_ring_slot *ret_slot)
{
        uint64_t at = frame_place(w, w->position, length), room = frame_room(at, length);

        assert(length <= PTL_INLINE_MAX);
        room += PTL_RING_WORD + reserve;
        if (PTL_UNLIKELY(room > w->limit)) { /* I2 */
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

/* All of a head but the word that publishes it. */
static void write_head(struct ptl_ring_writer *w, uint64_t position, const struct ptl_frame_head *head)
{
        struct ptl_frame_head copy = *head;
        char *to = w->base + (position & (w->size - 1));

        copy.sequence = w->sequence++;
        ptl_copy_shared(to + PTL_RING_WORD, (char *)&copy + PTL_RING_WORD,
                        sizeof copy - PTL_RING_WORD);
}

static void clear_tail(struct ptl_ring_writer *w, uint64_t position)
{
        ptl_store_relaxed(word_at(w, position), 0); /* relaxed: ordered by the publishing store, E1 */
}

/* The frame's own word, and before its PAD if one leads to it: the PAD last, so it leads nowhere
 * unpublished. The tail word of a frame behind a PAD was never cleared, so it is stored either way. */
static void publish_word(struct ptl_ring_writer *w, uint64_t pad, uint64_t position, uint64_t word)
{
        ptl_store_release(word_at(w, position), word); /* E1 */
        if (PTL_UNLIKELY(pad != position))
                ptl_store_release(word_at(w, pad), ptl_frame_word(pad, 0, PTL_FRAME_PAD)); /* E1 */
}

void ptl_ring_publish(struct ptl_ring_writer *w, const struct ptl_ring_slot *slot,
                      enum ptl_frame_kind kind, uint32_t length, const struct ptl_frame_head *head)
{
        uint64_t end = ptl_frame_end(slot->position, length);

        write_head(w, slot->position, head);
        clear_tail(w, end); /* I1: before the word that leads there */
        w->position = end;
        publish_word(w, slot->pad, slot->position, ptl_frame_word(slot->position, length, kind));
}

int ptl_ring_batch_add(struct ptl_ring_writer *w, struct ptl_ring_batch *batch,
                       const struct ptl_frame_head *head, const void *body, uint32_t length)
{
        uint64_t before = w->position, word;
        struct ptl_ring_slot slot;
        int r;

        r = ptl_ring_reserve(w, length, PTL_RING_RESERVE, &slot);
        if (r)
                return r;
        ptl_copy_shared(slot.body, body, length);
        write_head(w, slot.position, head);
        word = ptl_frame_word(slot.position, length, PTL_FRAME_INLINE);
        if (batch->count++ == 0) {
                batch->pad = before;
                batch->position = slot.position;
                batch->first_word = word;
        } else {
                /* Unreachable before the first is published: its word still is clear (I1). */
                publish_word(w, slot.pad, slot.position, word);
        }
        batch->end = w->position = slot.end;
        return 0;
}

void ptl_ring_batch_publish(struct ptl_ring_writer *w, struct ptl_ring_batch *batch)
{
        if (!batch->count)
                return;
        clear_tail(w, batch->end); /* I1 */
        publish_word(w, batch->pad, batch->position, batch->first_word);
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
        write_head(w, slot.position, &head);
        w->sequence--; /* GROW is not counted: the reader follows it inside peek */
        publish_word(w, slot.pad, slot.position, ptl_frame_word(slot.position, 0, PTL_FRAME_GROW));
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

/* One look; PAD and GROW move the position and are followed by the caller's next look. */
static int look(struct ptl_ring_reader *r, struct ptl_frame *frame, bool *ret_again)
{
        uint64_t offset = r->position & (r->size - 1);
        const char *at = r->base + offset;
        uint64_t word = ptl_load_acquire((const _Atomic uint64_t *)(const void *)at); /* E1 */

        *ret_again = false;
        if ((word ^ ptl_frame_stamp(r->position)) >> 32)
                return PTL_E_EMPTY;
        frame->kind = (enum ptl_frame_kind)ptl_frame_kind_of(word);
        frame->length = ptl_frame_length(word);
        if (PTL_UNLIKELY(frame->kind == PTL_FRAME_PAD)) {
                r->position += r->size - offset;
                *ret_again = true;
                return offset ? 0 : PTL_E_MALFORMED; /* none at the start: that would never end */
        }
        if (PTL_UNLIKELY(frame->kind == PTL_FRAME_NONE || frame->kind >= PTL_FRAME_KINDS ||
                         frame->length > PTL_INLINE_MAX ||
                         offset + PTL_FRAME_HEAD + frame->length > r->size))
                return PTL_E_MALFORMED;
        memcpy(&frame->head, at, sizeof frame->head); /* the one copy; what it says is used from here */
        frame->head.word = word;
        frame->body = at + PTL_FRAME_HEAD;
        frame->position = r->position;
        frame->end = ptl_frame_end(r->position, frame->length);
        return 0;
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

int ptl_ring_peek(struct ptl_ring_reader *r, struct ptl_frame *ret_frame)
{
        bool again;
        int e;

        do {
                e = look(r, ret_frame, &again);
                if (!e && !again && ret_frame->kind == PTL_FRAME_GROW) {
                        e = follow_grow(r, ret_frame);
                        again = true;
                }
        } while (!e && again);
        if (!e && PTL_UNLIKELY(ret_frame->head.sequence != r->sequence))
                return PTL_E_MALFORMED;
        return e;
}
