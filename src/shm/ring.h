/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm/ring.h - the record ring of an outbox: one writer, one reader that can write nothing here
 *
 * Positions count bytes for ever; a frame at position p lies at p modulo the level's size. The reader
 * sees frame after frame because each publishes itself: its first word carries p's stamp.
 *
 *   writer:  [room?] → clear word at the new tail → store head and body → store word (publish)
 *   reader:  word has the stamp of its position? → copy head, bound it → body → advance → consumed
 *
 * Invariants, true also after a SIGKILL of either side between any two instructions:
 *   I1  the word at the writer's tail is clear, so the reader never runs past the last frame that was
 *       published, whatever older frames or payloads lie behind it;
 *   I2  at most (size - 8) bytes are published and not consumed: the tail word is nobody's frame;
 *   I3  bytes from the reader's position to the tail are never stored to, except the tail word;
 *   I4  a frame lies in one piece: PAD skips to the ring's start, and is published after the frame
 *       it leads to.
 * Ordering edges:
 *   E1  publish: release store of the word → acquire load of it: head, body and the cleared next word
 *       are visible to whoever saw the word;
 *   E2  consume: release store of `consumed` → acquire load of it by the writer: the reader's loads
 *       of what it consumed came before the writer stores there again.
 *
 * The reader's `consumed` is hostile to the writer: believed between its last value and the tail.
 * Everything in the ring is hostile to the reader: ptl_ring_peek() returns a bounded private copy.
 *
 * Callers serialise: one thread at a time per side (the link's lock; the leader).
 */
#pragma once
#include "base/atomic.h"
#include "base/cleanup.h"
#include "base/copy.h"
#include "shm/outbox.h"
#include "wire/frame.h"
#include <portolan/message.h>
#include <portolan/outcome.h>

enum {
        PTL_RING_WORD = 8,
        PTL_RING_SMALL = 128 - PTL_FRAME_HEAD, /* bytes of a body that is written small */
        PTL_INLINE_MAX = 8192,   /* bytes of a frame's body: at most an eighth of the smallest level */
};

#ifndef PTL_RING_RESERVE /* a model's ring is smaller than that */
#define PTL_RING_RESERVE 2048 /* bytes: room that data leaves to control frames */
#endif

struct ptl_ring_writer {
        char *base; /* of the level in use */
        uint64_t size;
        uint64_t position;   /* tail: where the next frame goes */
        uint64_t limit;      /* position that must not be passed: consumed + size */
        uint64_t consumed;   /* last believed value */
        uint32_t sequence;
        uint32_t level;
        uint64_t grown_at;   /* where the level in use began: older bytes take none of its room */
        struct ptl_outbox box;
        const _Atomic uint64_t *peer_consumed; /* NULL until the peer's outbox is mapped */
};

/* A reservation: what lies between ptl_ring_reserve() and ptl_ring_publish(). */
struct ptl_ring_slot {
        uint64_t pad;      /* position of a PAD word to publish, when it differs from position */
        uint64_t position; /* of the frame */
        uint64_t end;
        void *body;
};

void ptl_ring_writer_init(struct ptl_ring_writer *w, const struct ptl_outbox *box);

/* Looks at the reader's position again; PTL_E_MALFORMED if it went backwards or past the tail. */
PTL_MUST_CHECK int ptl_ring_refresh(struct ptl_ring_writer *w);

/**
 * ptl_ring_reserve - find room for a frame
 * @length:  bytes of its body, at most PTL_INLINE_MAX
 * @reserve: bytes to leave free behind it: PTL_RING_RESERVE for data, 0 for control frames
 * @ret_slot: filled on success. Nothing is visible yet; simply dropping it is allowed
 *
 * Return: 0, PTL_E_FULL, PTL_E_MALFORMED (the reader lies about its position).
 */
PTL_MUST_CHECK static inline int ptl_ring_reserve(struct ptl_ring_writer *w, uint32_t length, uint32_t reserve,
                                    struct ptl_ring_slot *ret_slot);

/**
 * ptl_ring_publish - make a reserved frame visible (E1)
 * @head: right, token and aux; word and sequence are filled here
 * @length: bytes of the body that were written; at most the reserved length, and the frame then ends
 *          where that length ends
 */
static inline void ptl_ring_publish(struct ptl_ring_writer *w, const struct ptl_ring_slot *slot,
                      enum ptl_frame_kind kind, uint32_t length, const struct ptl_frame_head *head);

/*
 * A batch: frames written one behind the other, of which the first is published last, so that the
 * reader touches none of their lines before all are there.
 */
struct ptl_ring_batch {
        uint64_t first_word, pad, position; /* of the first frame */
        uint32_t count;
};

/* Adds a frame; same returns as ptl_ring_reserve(). On PTL_E_FULL publish what there is. */
PTL_MUST_CHECK static inline int ptl_ring_batch_add(struct ptl_ring_writer *w, struct ptl_ring_batch *batch,
                                                    const struct ptl_frame_head *head, const void *body,
                                                    uint32_t length);
/* Adds frames with the same head as long as there is room straight behind the last: how many of @n. */
size_t ptl_ring_batch_run(struct ptl_ring_writer *w, struct ptl_ring_batch *batch,
                          const struct ptl_frame_head *head, const struct ptl_bytes *bodies, size_t n);
void ptl_ring_batch_publish(struct ptl_ring_writer *w, struct ptl_ring_batch *batch);

/**
 * ptl_ring_grow - go on in the next larger level
 *
 * Writes a GROW frame into the reserve of the level in use. What the reader has not consumed stays
 * where it is; the old level is not used again.
 * Return: 0, PTL_E_FULL (no larger level, or no room for the frame), -ENOMEM, -ENOSPC.
 */
PTL_MUST_CHECK int ptl_ring_grow(struct ptl_ring_writer *w);

struct ptl_ring_reader {
        const char *base;
        uint64_t size;
        uint64_t position; /* of the next frame */
        uint32_t sequence;
        uint32_t level;
        struct ptl_outbox box;      /* the peer's, read-only */
        _Atomic uint64_t *consumed; /* in our own outbox */
};

struct ptl_frame {
        struct ptl_frame_head head; /* a private copy; word's length and kind are bounded */
        enum ptl_frame_kind kind;
        uint32_t length;
        const void *body; /* in the ring: hostile */
        uint64_t position, end;
};

void ptl_ring_reader_init(struct ptl_ring_reader *r, const struct ptl_outbox *peer,
                          const struct ptl_outbox *mine);

/* Is a frame there? A load of one word that stays cached until the writer stores to it. */
static inline bool ptl_ring_ready(const struct ptl_ring_reader *r)
{
        const _Atomic uint64_t *word =
                (const _Atomic uint64_t *)(const void *)(r->base + (r->position & (r->size - 1)));

        /* relaxed: a hint; ptl_ring_peek() loads it again with E1 */
        return ((ptl_load_relaxed(word) ^ ptl_frame_stamp(r->position)) >> 32) == 0;
}

/**
 * ptl_ring_peek - copy and bound the next frame's head
 *
 * Follows PAD and GROW by itself (that moves the reader's position).
 * Return: 0, PTL_E_EMPTY, PTL_E_MALFORMED (the writer lies: the link is to be given up).
 */
PTL_MUST_CHECK static inline int ptl_ring_peek(struct ptl_ring_reader *r,
                                               struct ptl_frame *ret_frame);

/* Moves past a frame. Its body stays readable until ptl_ring_consume() gives its bytes back. */
static inline void ptl_ring_advance(struct ptl_ring_reader *r, const struct ptl_frame *frame)
{
        r->position = frame->end;
        r->sequence++;
}

/* Gives everything before @position back to the writer (E2). */
static inline void ptl_ring_consume(struct ptl_ring_reader *r, uint64_t position)
{
        ptl_store_release(r->consumed, position); /* E2 */
}

#include "shm/ring_inline.h"
