/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm/outbox.h - the memory one task writes for one peer; only file that maps shared memory
 *
 * A memfd, sparse at its full size, sealed after its owner has mapped it writable: whoever gets the
 * descriptor can map it read-only and no other way. The layout (docs/protocol/outbox.md) is fixed, so
 * a reader trusts nothing in the file to find its way. Sections begin on 64 KiB, the largest page.
 *
 *   head      version, then words that the owner stores and the peer polls, one line each
 *   routes    tasks that the owner moved ports to, reserved at the first
 *   names     news for rights that have no number here, reserved at the first
 *   taken     a word for each right the owner granted (two tables): messages and units dequeued, or where
 *             its port went (wire/move.h, docs/protocol/migration.md)
 *   rings     levels of 64 KiB, 256 KiB, 1 MiB, 4 MiB; one is in use; growing reserves the next
 *   pool      4 MiB of blocks for large payloads, reserved at first use
 *
 *   E6  release store of a right's word → the holder's acquire load: what it says was taken is taken.
 *   E8  release store of `moves` behind the word → the holder's acquire load: it finds the mark in the word.
 */
#pragma once
#include "base/atomic.h"
#include "wire/frame.h"
#include "wire/move.h"
#include <portolan/outcome.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        PTL_OUTBOX_MAGIC = 0x424f5450, /* "PTOB" */
        PTL_OUTBOX_VERSION = 2,
        PTL_OUTBOX_LEVELS = 4,
        PTL_POOL_SLOTS = 256,
        PTL_POOL_PAGE = 4096,
        PTL_TAKEN_ENTRIES = 1 << 20, /* a right's index has as many values (wire/frame.h) */
};

#define PTL_POOL_SIZE         (4u << 20)
#define PTL_OUTBOX_ROUTES     0x1000u /* struct ptl_move_route */
#define PTL_OUTBOX_NAMES      0x2000u /* struct ptl_move_name */
#define PTL_OUTBOX_TAKEN      0x10000u                              /* rights the owner chose */
#define PTL_OUTBOX_CLAIMED    (PTL_OUTBOX_TAKEN + PTL_TAKEN_ENTRIES * 8u) /* rights the peer chose */
#define PTL_OUTBOX_RINGS      (PTL_OUTBOX_CLAIMED + PTL_TAKEN_ENTRIES * 8u)
#define PTL_RINGS_SIZE        (0x10000u + 0x40000u + 0x100000u + 0x400000u)
#define PTL_OUTBOX_POOL       (PTL_OUTBOX_RINGS + PTL_RINGS_SIZE)
#define PTL_OUTBOX_SIZE       (PTL_OUTBOX_POOL + PTL_POOL_SIZE)

static inline uint64_t ptl_ring_level_size(unsigned level) { return (uint64_t)0x10000 << 2 * level; }
static inline uint64_t ptl_ring_level_offset(unsigned level)
{
        /* 64 KiB * (4^level - 1) / 3: the sum of the levels below */
        return PTL_OUTBOX_RINGS + (((uint64_t)1 << 2 * level) - 1) / 3 * 0x10000;
}

/* Words about waiting (shm/bell.h). Armings are counted: odd means "ring me, once for this number". */
struct ptl_bell_words {
        _Atomic uint32_t armed;   /* for frames */
        _Atomic uint32_t wanting; /* for room: ring space, window or block given back */
        _Atomic uint32_t cpu;     /* the CPU the owner last ran on */
        _Atomic uint32_t moves;   /* marks of words, and names: the peer looks at the words (E8) */
};

struct ptl_outbox_head {
        uint32_t magic;
        uint32_t version;
        uint64_t size;
        uint64_t features;
        uint64_t reserved[5];
        _Alignas(128) _Atomic uint64_t consumed; /* how far the owner has read the peer's ring */
        _Alignas(128) struct ptl_bell_words bell;
        _Alignas(128) _Atomic uint32_t returned[PTL_POOL_SLOTS]; /* blocks of the peer's given back */
        _Alignas(128) char end[];
};

_Static_assert(offsetof(struct ptl_outbox_head, consumed) == 128, "layout");
_Static_assert(offsetof(struct ptl_outbox_head, bell) == 256, "layout");
_Static_assert(offsetof(struct ptl_outbox_head, bell.moves) == 268, "layout");
_Static_assert(offsetof(struct ptl_outbox_head, returned) == 384, "layout");
_Static_assert(sizeof(struct ptl_outbox_head) <= PTL_OUTBOX_ROUTES, "the head is one page");
_Static_assert(PTL_OUTBOX_ROUTES + PTL_MOVE_ROUTES * sizeof(struct ptl_move_route) == PTL_OUTBOX_NAMES, "layout");
_Static_assert(PTL_OUTBOX_NAMES + PTL_MOVE_NAMES * sizeof(struct ptl_move_name) <= PTL_OUTBOX_TAKEN, "layout");

/* One side's view of one outbox. */
struct ptl_outbox {
        char *base; /* PTL_OUTBOX_SIZE bytes; NULL: not mapped */
};

static inline struct ptl_outbox_head *ptl_outbox_head(const struct ptl_outbox *box)
{
        return (struct ptl_outbox_head *)(void *)box->base;
}
static inline _Atomic uint64_t *ptl_outbox_taken(const struct ptl_outbox *box, bool claimed)
{
        return (_Atomic uint64_t *)(void *)(box->base +
                                            (claimed ? PTL_OUTBOX_CLAIMED : PTL_OUTBOX_TAKEN));
}
/* The word of a right, by its number in the owner's tables. */
static inline _Atomic uint64_t *ptl_outbox_word(const struct ptl_outbox *box, uint32_t right)
{
        return ptl_outbox_taken(box, ptl_right_is_claimed(right)) + ptl_right_index(right);
}
static inline void ptl_outbox_show(const struct ptl_outbox *mine, uint32_t right, uint64_t word)
{
        ptl_store_release(ptl_outbox_word(mine, right), word); /* E6, E8 */
}
static inline uint64_t ptl_outbox_look(const struct ptl_outbox *theirs, uint32_t right)
{
        return ptl_load_acquire(ptl_outbox_word(theirs, right)); /* E6 */
}

/* A word was marked, or a name stored: holders that publish from now on look. V1's fence is the caller's. */
static inline void ptl_outbox_count_move(const struct ptl_outbox *mine)
{
        _Atomic uint32_t *moves = &ptl_outbox_head(mine)->bell.moves;

        ptl_store_release(moves, ptl_load_relaxed(moves) + 1); /* E8; relaxed: our own word */
}
static inline struct ptl_move_route *ptl_outbox_route(const struct ptl_outbox *box, uint32_t route)
{
        return (struct ptl_move_route *)(void *)(box->base + PTL_OUTBOX_ROUTES) + route;
}
static inline struct ptl_move_name *ptl_outbox_name(const struct ptl_outbox *box, uint32_t place)
{
        return (struct ptl_move_name *)(void *)(box->base + PTL_OUTBOX_NAMES) + place;
}
static inline char *ptl_outbox_ring(const struct ptl_outbox *box, unsigned level)
{
        return box->base + ptl_ring_level_offset(level);
}
static inline char *ptl_outbox_pool(const struct ptl_outbox *box)
{
        return box->base + PTL_OUTBOX_POOL;
}

/**
 * ptl_outbox_create - make, reserve, map and seal an outbox of one's own
 * @ret_box: filled on success; ends with ptl_outbox_unmap()
 * @ret_fd:  filled on success: the descriptor to pass to the peer, then to be closed
 *
 * Reserved at once: the head, one page of each taken table, ring level 0. Marked MADV_DONTFORK.
 * Return: 0, -ENOMEM, -ENOSPC, -EMFILE, ...
 */
PTL_MUST_CHECK int ptl_outbox_create(struct ptl_outbox *ret_box, int *ret_fd);

/**
 * ptl_outbox_attach - map a peer's outbox read-only
 * @fd: borrowed
 *
 * Refuses anything but a memfd on tmpfs of the right size with at least the seals FUTURE_WRITE,
 * SHRINK, GROW and SEAL, as many blocks as a new outbox has, and this layout's version.
 * Return: 0, PTL_E_MALFORMED, PTL_E_VERSION, -errno.
 */
PTL_MUST_CHECK int ptl_outbox_attach(int fd, struct ptl_outbox *ret_box);

void ptl_outbox_unmap(struct ptl_outbox *box);

/* Reserves [offset, offset + size) of one's own outbox; 0, -ENOMEM, -ENOSPC. */
PTL_MUST_CHECK int ptl_outbox_reserve(const struct ptl_outbox *box, uint64_t offset, uint64_t size);

/* --- regions and any other shared memory: mapped here too --- */

/* @size rounded up to whole pages. */
size_t ptl_memory_round(size_t size);

/* A sealed (SHRINK, GROW, SEAL if @final) memfd of whole pages, reserved; mapped at *ret_data. */
PTL_MUST_CHECK int ptl_memory_create(size_t size, int *ret_fd, void **ret_data);

/* Maps @fd after checking that it is a tmpfs memfd sealed SHRINK|GROW of at least @size bytes and as
 * many blocks; @frozen: and sealed against all writing, then mapped copy-on-write. */
PTL_MUST_CHECK int ptl_memory_attach(int fd, size_t size, bool frozen, void **ret_data);

void ptl_memory_unmap(void *data, size_t size);

/* Puts a sealed memfd with the same bytes in place of private memory: whoever reads it sees no change. */
PTL_MUST_CHECK int ptl_memory_share(void *data, size_t size, int *ret_fd);

/* Unmaps *data and seals @fd against writing. Where somebody else can write it: maps it again, false. */
bool ptl_memory_freeze(int fd, void **data, size_t size);

/* Private anonymous memory for large copies; not mapped in a child. */
PTL_MUST_CHECK int ptl_memory_private(size_t size, void **ret_data);

/* --- memory that its maker alone writes: boards (wire/board.h) --- */

/* Makes @size bytes (whole pages), reserved, mapped writable, then sealed like an outbox. */
PTL_MUST_CHECK int ptl_board_memory_create(size_t size, int *ret_fd, void **ret_data);

/* Maps @fd read-only after the checks of ptl_outbox_attach(); PTL_E_MALFORMED, -errno. */
PTL_MUST_CHECK int ptl_board_memory_attach(int fd, size_t size, const void **ret_data);

/* --- memory that its maker may lose and find again: the server's journal (server/journal.h) --- */

/* Makes @size bytes (whole pages), sparse, mapped writable, of fixed size (SHRINK, GROW, SEAL). */
PTL_MUST_CHECK int ptl_kept_memory_create(size_t size, int *ret_fd, void **ret_data);

/* Maps @fd writable: memory on tmpfs with these seals, of exactly @size, made by this process' user.
 * Return: 0, PTL_E_MALFORMED, -errno. */
PTL_MUST_CHECK int ptl_kept_memory_attach(int fd, size_t size, void **ret_data);

/* Reserves a part of it; 0, -ENOSPC, -ENOMEM. */
PTL_MUST_CHECK int ptl_kept_memory_reserve(int fd, uint64_t offset, uint64_t size);

/* Gives the memory of whole pages back; they are zero then. */
void ptl_kept_memory_release(int fd, uint64_t offset, uint64_t size);
