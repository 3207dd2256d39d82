/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm/ring_inline.h - the part of shm/ring.h that every message runs through
 *
 * Only ring.h includes it. What is rare (no room, PAD, GROW) stands in ring.c.
 */
#pragma once

static inline _Atomic uint64_t *ptl_ring_word_at(const struct ptl_ring_writer *w, uint64_t position)
{
        return (_Atomic uint64_t *)(void *)(w->base + (position & (w->size - 1)));
}

/* Where a frame of @length goes from @from: behind a PAD if it would not lie in one piece (I4). */
static inline uint64_t ptl_ring_frame_place(const struct ptl_ring_writer *w, uint64_t from, uint32_t length)
{
        uint64_t left = w->size - (from & (w->size - 1));

        return PTL_FRAME_HEAD + length > left ? from + left : from;
}

/* Up to where a frame at @at needs room. Published shorter than reserved it may fill whole lines, and
 * so end beyond where the longer one would have ended. */
static inline uint64_t ptl_ring_frame_room(uint64_t at, uint32_t length)
{
        const uint32_t two_lines = 128 - PTL_FRAME_HEAD;
        uint64_t end = ptl_frame_end(at, length), lines;

        if (length <= two_lines)
                return end;
        lines = ptl_frame_end(at, two_lines);
        return end > lines ? end : lines;
}

/* Looks at the reader's position, and at a place behind a PAD, where the quick way finds no room. */
PTL_MUST_CHECK int ptl_ring_reserve_slow(struct ptl_ring_writer *w, uint32_t length, uint32_t reserve,
                                         struct ptl_ring_slot *ret_slot);

/* Is there room for a frame at @at? Two lines more than it: never less than ptl_ring_frame_room(). */
static inline bool ptl_ring_has_room(uint64_t at, uint64_t size, uint64_t limit, size_t length,
                                     uint32_t reserve)
{
        uint64_t offset = at & (size - 1), room = PTL_FRAME_HEAD + length + 128;

        return PTL_LIKELY(at + room + PTL_RING_WORD + reserve <= limit && offset + room <= size);
}

/* ... at the tail, by what is known of the reader? No line of its is looked at. */
static inline bool ptl_ring_fits(const struct ptl_ring_writer *w, uint32_t length, uint32_t reserve)
{
        return ptl_ring_has_room(w->position, w->size, w->limit, length, reserve);
}

/* Where the body of a frame that fits goes. */
static inline char *ptl_ring_body(const struct ptl_ring_writer *w)
{
        return w->base + (w->position & (w->size - 1)) + PTL_FRAME_HEAD;
}

static inline int ptl_ring_reserve(struct ptl_ring_writer *w, uint32_t length, uint32_t reserve,
                                   struct ptl_ring_slot *ret_slot)
{
        if (PTL_UNLIKELY(!ptl_ring_fits(w, length, reserve)))
                return ptl_ring_reserve_slow(w, length, reserve, ret_slot);
        *ret_slot = (struct ptl_ring_slot){
                .pad = w->position,
                .position = w->position,
                .end = ptl_frame_end(w->position, length),
                .body = ptl_ring_body(w),
        };
        return 0;
}

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the words of a head are laid out for little-endian machines"
#endif

/* Two fields of a head in one store: a vector of both would have to wait for their own ones. */
static inline void ptl_ring_put_word(_Atomic uint64_t *to, uint32_t low, uint32_t high)
{
        uint64_t word = (uint64_t)high << 32 | low;

        ptl_copy_shared((void *)to, &word, sizeof word);
}

/* All of a head but the word that publishes it. */
static inline void ptl_ring_write_head(struct ptl_ring_writer *w, uint64_t position, const struct ptl_frame_head *head)
{
        _Atomic uint64_t *words = ptl_ring_word_at(w, position);

        ptl_ring_put_word(words + 1, head->right, head->token);
        ptl_ring_put_word(words + 2, w->sequence++, head->aux);
}

static inline void ptl_ring_clear_tail(struct ptl_ring_writer *w, uint64_t position)
{
        ptl_store_relaxed(ptl_ring_word_at(w, position), 0); /* relaxed: ordered by the publishing store, E1 */
}

/* The frame's own word, and before its PAD if one leads to it: the PAD last, so it leads nowhere
 * unpublished. The tail word of a frame behind a PAD was never cleared, so it is stored either way. */
static inline void ptl_ring_publish_word(struct ptl_ring_writer *w, uint64_t pad, uint64_t position, uint64_t word)
{
        ptl_store_release(ptl_ring_word_at(w, position), word); /* E1 */
        if (PTL_UNLIKELY(pad != position))
                ptl_store_release(ptl_ring_word_at(w, pad), ptl_frame_word(pad, 0, PTL_FRAME_PAD)); /* E1 */
}

static inline void ptl_ring_publish(struct ptl_ring_writer *w, const struct ptl_ring_slot *slot,
                      enum ptl_frame_kind kind, uint32_t length, const struct ptl_frame_head *head)
{
        uint64_t end = ptl_frame_end(slot->position, length);

        ptl_ring_write_head(w, slot->position, head);
        ptl_ring_clear_tail(w, end); /* I1: before the word that leads there */
        w->position = end;
        ptl_ring_publish_word(w, slot->pad, slot->position, ptl_frame_word(slot->position, length, kind));
}

/*
 * Writes the body of a frame that fits, and clears its tail (I1).
 *
 * Of a frame of two lines the one that the reader polls is stored to last: it would be taken back while the
 * other is on its way here, and have to come twice. Of a larger one it comes first, else it would be asked
 * for when the others are here already (docs/benchmarks.md).
 */
static inline void ptl_ring_write_small(struct ptl_ring_writer *w, const char *data, uint32_t length)
{
        enum { LINE = 64 };
        uint32_t left = LINE - (uint32_t)(w->position & (LINE - 1));
        uint32_t polled = left > PTL_FRAME_HEAD ? left - (uint32_t)PTL_FRAME_HEAD : 0;
        char *body = ptl_ring_body(w);

        ptl_ring_clear_tail(w, ptl_frame_end(w->position, length));
        if (length > polled)
                ptl_copy_small(body + polled, data + polled, length - polled);
        ptl_copy_small(body, data, length < polled ? length : polled);
}

/* Would a frame of @length lie within a line? */
static inline bool ptl_ring_fits_line(const struct ptl_ring_writer *w, uint32_t length)
{
        enum { LINE = 64 };

        return (w->position & (LINE - 1)) + PTL_FRAME_HEAD + length <= LINE;
}

/* All of a frame that fits, within a line: no order in which it is stored is better than another. */
static inline void ptl_ring_write_line(struct ptl_ring_writer *w, const void *data, uint32_t length,
                                       uint32_t right, uint32_t token)
{
        uint64_t at = w->position, end = ptl_frame_end(at, length);
        _Atomic uint64_t *words = ptl_ring_word_at(w, at);

        ptl_ring_clear_tail(w, end); /* I1: before the word that leads there */
        ptl_copy_small(words + PTL_FRAME_HEAD / sizeof *words, data, length);
        ptl_ring_put_word(words + 1, right, token);
        ptl_ring_put_word(words + 2, w->sequence++, 0);
        w->position = end;
        ptl_store_release(words, ptl_frame_word(at, length, PTL_FRAME_INLINE)); /* E1 */
}

/* Head and publication of a frame that fits, whose body is written and whose tail is clear. */
static inline void ptl_ring_publish_here(struct ptl_ring_writer *w, enum ptl_frame_kind kind, uint32_t length,
                                         const struct ptl_frame_head *head)
{
        uint64_t at = w->position;
        _Atomic uint64_t *word = ptl_ring_word_at(w, at);

        w->position = ptl_frame_end(at, length);
        ptl_ring_write_head(w, at, head);
        ptl_store_release(word, ptl_frame_word(at, length, kind)); /* E1 */
}

static inline int ptl_ring_batch_add(struct ptl_ring_writer *w, struct ptl_ring_batch *batch,
                                     const struct ptl_frame_head *head, const void *body, uint32_t length)
{
        uint64_t before = w->position, at = before, word;
        _Atomic uint64_t *words;

        if (PTL_UNLIKELY(!ptl_ring_fits(w, length, PTL_RING_RESERVE))) {
                struct ptl_ring_slot slot;
                int r = ptl_ring_reserve_slow(w, length, PTL_RING_RESERVE, &slot);

                if (r)
                        return r;
                at = slot.position;
        }
        words = ptl_ring_word_at(w, at);
        word = ptl_frame_word(at, length, PTL_FRAME_INLINE);
        ptl_copy_small(words + PTL_FRAME_HEAD / sizeof *words, body, length);
        ptl_ring_write_head(w, at, head);
        if (batch->count++ == 0) {
                batch->pad = before;
                batch->position = at;
                batch->first_word = word;
        } else {
                /* Unreachable before the first is published: its word still is clear (I1). */
                ptl_ring_publish_word(w, before, at, word);
        }
        w->position = ptl_frame_end(at, length);
        return 0;
}

static inline const _Atomic uint64_t *ptl_ring_next_word(const struct ptl_ring_reader *r)
{
        return (const _Atomic uint64_t *)(const void *)(r->base + (r->position & (r->size - 1)));
}

/* The second line is asked for before the first is looked at: one behind the other they would cost two
 * transfers. Of larger frames the hardware does it better (docs/benchmarks.md). */
static inline void ptl_ring_prefetch(const char *frame, uint32_t length)
{
        enum { LINE = 64 };
        uint32_t size = (uint32_t)PTL_FRAME_HEAD + length;

        if (size > LINE && size <= 2 * LINE)
                __builtin_prefetch(frame + LINE);
}

/* In a stream of frames, what comes some frames later is asked for while this one is dealt with. Between
 * questions and answers it would take lines from who is about to write them. */
static inline void ptl_ring_prefetch_ahead(const struct ptl_ring_reader *r)
{
        enum { AHEAD = 256 };

        __builtin_prefetch(r->base + ((r->position + AHEAD) & (r->size - 1)));
}

/* Copies and bounds the head behind @word, which has the right stamp. */
static inline int ptl_ring_look(const struct ptl_ring_reader *r, uint64_t word, struct ptl_frame *frame)
{
        uint64_t offset = r->position & (r->size - 1);
        const char *at = r->base + offset;
        const _Atomic uint64_t *words = (const _Atomic uint64_t *)(const void *)(at + PTL_RING_WORD);
        uint64_t rights, counts;

        frame->kind = (enum ptl_frame_kind)ptl_frame_kind_of(word);
        frame->length = ptl_frame_length(word);
        if (PTL_UNLIKELY(frame->kind == PTL_FRAME_NONE || frame->kind >= PTL_FRAME_KINDS ||
                         frame->length > PTL_INLINE_MAX ||
                         offset + PTL_FRAME_HEAD + frame->length > r->size))
                return PTL_E_MALFORMED;
        ptl_ring_prefetch(at, frame->length);
        /* The one copy, as it was stored, in words; what it says is used from here. */
        rights = ptl_load_relaxed(words); /* relaxed: behind E1 */
        counts = ptl_load_relaxed(words + 1); /* relaxed: behind E1 */
        frame->head = (struct ptl_frame_head){.word = word,
                                              .right = (uint32_t)rights,
                                              .token = (uint32_t)(rights >> 32),
                                              .sequence = (uint32_t)counts,
                                              .aux = (uint32_t)(counts >> 32)};
        frame->body = at + PTL_FRAME_HEAD;
        frame->position = r->position;
        frame->end = ptl_frame_end(r->position, frame->length);
        return 0;
}

static inline int ptl_ring_in_sequence(const struct ptl_ring_reader *r, const struct ptl_frame *frame)
{
        return PTL_LIKELY(frame->head.sequence == r->sequence) ? 0 : PTL_E_MALFORMED;
}

/* Follows PAD and GROW. */
PTL_MUST_CHECK int ptl_ring_peek_slow(struct ptl_ring_reader *r, struct ptl_frame *ret_frame);

static inline int ptl_ring_peek(struct ptl_ring_reader *r, struct ptl_frame *ret_frame)
{
        uint64_t word = ptl_load_acquire(ptl_ring_next_word(r)); /* E1 */
        unsigned kind = ptl_frame_kind_of(word);

        if (PTL_UNLIKELY((word ^ ptl_frame_stamp(r->position)) >> 32))
                return PTL_E_EMPTY;
        if (PTL_UNLIKELY(kind == PTL_FRAME_PAD || kind == PTL_FRAME_GROW))
                return ptl_ring_peek_slow(r, ret_frame);
        if (PTL_UNLIKELY(ptl_ring_look(r, word, ret_frame)))
                return PTL_E_MALFORMED;
        return ptl_ring_in_sequence(r, ret_frame);
}

/* A frame of kind INLINE: the words behind its first as they were stored, its bytes where they lie. */
struct ptl_ring_plain {
        const char *body;
        uint64_t rights; /* token << 32 | right */
        uint64_t counts; /* aux << 32 | sequence */
        uint32_t length;
};

/* The next frame, if it is one of those and all right; what else it may be, ptl_ring_peek() says. */
static inline bool ptl_ring_peek_plain(const struct ptl_ring_reader *r, struct ptl_ring_plain *ret)
{
        const uint64_t all_but_length = ~(uint64_t)0xffffff00;
        uint64_t offset = r->position & (r->size - 1), left = r->size - offset;
        uint64_t expected = ptl_frame_stamp(r->position) | PTL_FRAME_INLINE;
        const _Atomic uint64_t *words = (const _Atomic uint64_t *)(const void *)(r->base + offset);
        uint32_t sequence = r->sequence;
        uint64_t word = ptl_load_acquire(words); /* E1 */

        ret->length = ptl_frame_length(word);
        if (PTL_UNLIKELY(((word ^ expected) & all_but_length) ||
                         ret->length > PTL_INLINE_MAX || PTL_FRAME_HEAD + ret->length > left))
                return false;
        ret->body = (const char *)(const void *)words + PTL_FRAME_HEAD;
        ptl_ring_prefetch(ret->body - PTL_FRAME_HEAD, ret->length);
        ret->rights = ptl_load_relaxed(words + 1); /* relaxed: behind E1 */
        ret->counts = ptl_load_relaxed(words + 2); /* relaxed: behind E1 */
        return (uint32_t)ret->counts == sequence;
}

static inline void ptl_ring_advance_plain(struct ptl_ring_reader *r, const struct ptl_ring_plain *plain)
{
        r->position = ptl_frame_end(r->position, plain->length);
        r->sequence++;
}
