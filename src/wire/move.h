/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/move.h - a receive right on its way: the bodies of its frames, and the news that stands in
 * an outbox
 *
 * docs/protocol/migration.md has the byte tables and says who writes what when. Layouts are native;
 * what a peer wrote is read once into a private copy, which the decoders bound.
 */
#pragma once
#include <portolan/outcome.h>
#include <portolan/types.h>
#include <stddef.h>
#include <stdint.h>

enum {
        PTL_MOVE_ROUTES = 128, /* in an outbox: tasks that its owner moved ports to */
        PTL_MOVE_NAMES = 384,  /* ... and news for rights that have no number there */
        PTL_MOVE_HOPS = 64,    /* as often a message is sent on, then it is destroyed */
};

/* The word of a right in the outbox of the port's task. */
enum ptl_word_state {
        PTL_WORD_OPEN,   /* so much was taken: what it always says */
        PTL_WORD_MARKED, /* the port is about to move: what is published now may not be counted */
        PTL_WORD_MOVED, /* so many messages of this right were counted; the others go to the route's
                           task */
};

struct ptl_right_word {
        enum ptl_word_state state;
        uint32_t messages; /* OPEN: taken. MOVED: the count */
        uint32_t units;    /* OPEN: taken, modulo 2^31 */
        uint32_t route;    /* MOVED: below PTL_MOVE_ROUTES */
};

#define PTL_WORD_MOVES      ((uint64_t)1 << 63)
#define PTL_WORD_HAS_MOVED  ((uint64_t)1 << 62)
#define PTL_WORD_UNITS_MASK 0x7fffffffu

static inline uint64_t ptl_word_open(uint32_t messages, uint32_t units)
{
        return (uint64_t)(units & PTL_WORD_UNITS_MASK) << 32 | messages;
}
static inline uint64_t ptl_word_marked(void) { return PTL_WORD_MOVES; }
static inline uint64_t ptl_word_moved(uint32_t count, uint32_t route)
{
        return PTL_WORD_MOVES | PTL_WORD_HAS_MOVED | (uint64_t)route << 32 | count;
}

/* PTL_E_MALFORMED: bits that no owner sets. */
PTL_MUST_CHECK static inline int ptl_word_decode(uint64_t word, struct ptl_right_word *ret_word)
{
        uint32_t high = (uint32_t)(word >> 32);

        *ret_word = (struct ptl_right_word){.messages = (uint32_t)word};
        if (!(word & PTL_WORD_MOVES)) {
                ret_word->units = high;
                return 0;
        }
        if (!(word & PTL_WORD_HAS_MOVED)) {
                ret_word->state = PTL_WORD_MARKED;
                return word == ptl_word_marked() ? 0 : PTL_E_MALFORMED;
        }
        ret_word->state = PTL_WORD_MOVED;
        ret_word->route = high & 0x3fffffff;
        return ret_word->route < PTL_MOVE_ROUTES ? 0 : PTL_E_MALFORMED;
}

/* --- tables in the outbox --- */

struct ptl_move_route {
        struct ptl_task_id task; /* the new receiver */
        uint64_t reserved[2];
};

/* News for a ticket that was not redeemed, or a right of an earlier receiver's that nobody claimed
 * here. */
struct ptl_move_name {
        struct ptl_task_id task; /* granter, or that receiver */
        uint64_t number;         /* ticket, or the right's number there */
        uint64_t word;           /* stored last; 0: free */
};

/* --- bodies of frames --- */

struct ptl_move_port {
        uint32_t limit_messages, limit_units;
        uint64_t ticket; /* under which it is published; 0: it is not */
        uint64_t reserved[2];
};

/* How far a right had come at the old receiver. */
struct ptl_move_count {
        uint32_t count, units; /* arrived */
        uint32_t taken, taken_units;
};

struct ptl_move_holder {
        struct ptl_task_id task;
        uint64_t number; /* of the right at the old receiver; with a granter: the ticket */
        struct ptl_task_id granter; /* zero: none */
        uint32_t kind;              /* PTL_CARRY_SEND, PTL_CARRY_ONCE (wire/frame.h) */
        uint32_t references;
        struct ptl_move_count count; /* send-once: count is 1 if it was used, all others 0 */
};

struct ptl_move_queued {
        uint32_t hops;
        uint32_t reply; /* 1: the last right item of the message is its reply right */
        struct ptl_identity sender;
};

struct ptl_move_commit {
        uint32_t holders, messages; /* that were staged */
};

struct ptl_move_claim {
        struct ptl_task_id task; /* the receiver before the reader */
        uint64_t number;         /* of the right there */
};

_Static_assert(sizeof(struct ptl_move_route) == 32, "layout");
_Static_assert(sizeof(struct ptl_move_name) == 32, "layout");
_Static_assert(sizeof(struct ptl_move_port) == 32, "layout");
_Static_assert(sizeof(struct ptl_move_count) == 16, "layout");
_Static_assert(sizeof(struct ptl_move_holder) == 64, "layout");
_Static_assert(sizeof(struct ptl_move_queued) == 48, "layout");
_Static_assert(sizeof(struct ptl_move_commit) == 8, "layout");
_Static_assert(sizeof(struct ptl_move_claim) == 24, "layout");

/*
 * Each reads a body once. Return: 0, or PTL_E_MALFORMED for what no correct peer writes: another
 * length, a field out of its range, reserved bytes that are not 0. Nothing is filled then.
 */
PTL_MUST_CHECK int ptl_move_port_decode(const void *body, size_t length, struct ptl_move_port *ret);
PTL_MUST_CHECK int ptl_move_count_decode(const void *body, size_t length,
                                         struct ptl_move_count *ret);
PTL_MUST_CHECK int ptl_move_holder_decode(const void *body, size_t length,
                                          struct ptl_move_holder *ret);
PTL_MUST_CHECK int ptl_move_queued_decode(const void *body, size_t length,
                                          struct ptl_move_queued *ret);
PTL_MUST_CHECK int ptl_move_commit_decode(const void *body, size_t length,
                                          struct ptl_move_commit *ret);
PTL_MUST_CHECK int ptl_move_pass_decode(const void *body, size_t length, struct ptl_task_id *ret);
PTL_MUST_CHECK int ptl_move_claim_decode(const void *body, size_t length,
                                         struct ptl_move_claim *ret);
PTL_MUST_CHECK int ptl_move_route_decode(const void *body, size_t length,
                                         struct ptl_move_route *ret);
