/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/board.h - what a task writes about itself for others to see, and how that is read
 *
 * A board is 64 KiB of sealed memory that one task writes and the name server lends out read-only: a head, a
 * table of ports, a table of peers (docs/protocol/statistics.md has every byte). It is written between
 * two steps of `sequence`: odd while that lasts, so a reader knows when what it copied is torn. A reader
 * believes nothing that stands in it: it copies once, bounds the copy and uses that.
 */
#pragma once
#include "base/atomic.h"
#include <portolan/inspect.h>
#include <portolan/outcome.h>

enum {
        PTL_BOARD_MAGIC = 0x53425450, /* "PTBS" */
        PTL_BOARD_VERSION_NOW = 2,
        PTL_BOARD_SIZE = 0x10000,
        PTL_BOARD_PORTS_AT = 0x1000,
        PTL_BOARD_PEERS_AT = 0xd000,
};

struct ptl_board_head {
        uint32_t magic;
        uint32_t version;
        uint32_t size;
        _Atomic uint32_t sequence; /* odd: being written */
        _Atomic uint32_t asleep;   /* outside of the sequence: a thread sleeps in the kernel for all */
        uint32_t how;              /* enum ptl_wait */
        int64_t written;           /* CLOCK_MONOTONIC, ns */
        uint32_t waiting;          /* threads that wait in the library */
        uint32_t traced;
        uint32_t n_ports, ports_missing;
        uint32_t n_peers, peers_missing;
        struct ptl_task_statistics statistics;
        uint32_t n_refusals;
        uint32_t reserved;
        uint64_t use[PTL_QUOTA_KINDS]; /* what others make it hold, in all */
        uint64_t reserved2;
        struct ptl_quota_refusal refusals[PTL_QUOTA_REFUSALS];
};

struct ptl_board {
        union {
                struct ptl_board_head head;
                char page[PTL_BOARD_PORTS_AT];
        };
        struct ptl_port_view ports[PTL_VIEW_PORTS];
        struct ptl_peer_view peers[PTL_VIEW_PEERS];
};

_Static_assert(sizeof(struct ptl_task_statistics) == 120, "layout");
_Static_assert(sizeof(struct ptl_port_view) == 96, "layout");
_Static_assert(offsetof(struct ptl_port_view, published) == 64, "layout");
_Static_assert(sizeof(struct ptl_peer_view) == 128, "layout");
_Static_assert(offsetof(struct ptl_peer_view, ring_bytes) == 80, "layout");
_Static_assert(offsetof(struct ptl_board_head, statistics) == 56, "layout");
_Static_assert(offsetof(struct ptl_board_head, use) == 184, "layout");
_Static_assert(offsetof(struct ptl_board_head, refusals) == 256, "layout");
_Static_assert(sizeof(struct ptl_quota_refusal) == 64, "layout");
_Static_assert(sizeof(struct ptl_board_head) <= PTL_BOARD_PORTS_AT, "layout");
_Static_assert(offsetof(struct ptl_board, ports) == PTL_BOARD_PORTS_AT, "layout");
_Static_assert(offsetof(struct ptl_board, peers) == PTL_BOARD_PEERS_AT, "layout");
_Static_assert(sizeof(struct ptl_board) == PTL_BOARD_SIZE, "layout");

/* --- writing --- */

/*
 * E1: ptl_board_end()'s release → ptl_board_copy()'s acquire: who reads an even number sees all that was
 *     written before it.
 * E2: ptl_board_begin()'s fence → ptl_board_copy()'s fence: who sees a byte of a later writing sees its odd
 *     number afterwards.
 */
static inline void ptl_board_begin(struct ptl_board *board)
{
        uint32_t last = ptl_load_relaxed(&board->head.sequence); /* relaxed: we alone write it */

        ptl_store_relaxed(&board->head.sequence, last | 1); /* relaxed: the fence orders it */
        ptl_fence_seq_cst(); /* E2 */
}

static inline void ptl_board_end(struct ptl_board *board)
{
        uint32_t odd = ptl_load_relaxed(&board->head.sequence); /* relaxed: we alone write it */

        ptl_store_release(&board->head.sequence, odd + 1); /* E1 */
}

/* --- reading --- */

/**
 * ptl_board_copy - take a copy of a board that its owner may be writing
 * @board:    hostile; PTL_BOARD_SIZE bytes that cannot be taken away
 * @ret_copy: filled always
 *
 * Tries a bounded number of times: it never waits for the owner, who may be stopped.
 * Return: PTL_BOARD_WHOLE; PTL_BOARD_TORN (it was in the middle of one writing all the time),
 * PTL_BOARD_UNSTEADY (it went on writing).
 */
enum ptl_view_board ptl_board_copy(const struct ptl_board *board, struct ptl_board *ret_copy);

/**
 * ptl_board_check - may a copy be used?
 * Every count, enum and text in it is bounded then; a torn one passes if each row does.
 * Return: 0, PTL_E_VERSION, PTL_E_MALFORMED.
 */
PTL_MUST_CHECK int ptl_board_check(const struct ptl_board *copy);
