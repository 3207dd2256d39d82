/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port/reroute.h - rights that we hold and whose port moves to another task (docs/protocol/migration.md, "A holder")
 *
 * A right whose port stays has nothing of this. One whose word was seen MARKED behind a publication, whose claim
 * is not confirmed, or whose port moved has a *way*:
 *
 *                  sent through a claim that is not confirmed
 *   (none) ───────────────────────────> WATCHED ──CONFIRM──> (none)
 *      │ look behind a publication: MARKED  │
 *      v                                    v
 *   MARKED ──word OPEN──> (none)        word MOVED at CONFIRM
 *      │ word MOVED                         │
 *      └──────────────> CLAIMING <──────────┘   CLAIM_MOVED at the new receiver; again, if it moved on from there
 *                          │ CONFIRM, all sent again
 *                          └──> (none), and RELEASE to those it was at before (struct ptl_former), once MOVED was read
 *
 * What was published and may not be counted is kept as a copy, a message of this task to itself, and sent again or
 * forgotten (S4): nothing is ever read back from a ring, so room in it is taken back as ever (S2). Only the one
 * publication behind which the mark was seen may not be counted (V1), and what goes through a claim before CONFIRM.
 *
 * The space's lock guards everything. Nothing of a receiver's is believed: words, routes and counts are read once
 * and bounded; task ids lead to links that are counted as those of hand-off.
 */
#pragma once
#include "port/handoff.h"
#include "port/receiver.h"
#include "wire/move.h"

enum ptl_way_state { PTL_WAY_WATCHED, PTL_WAY_MARKED, PTL_WAY_CLAIMING };

/* A message that was published through the right. */
struct ptl_copy {
        struct ptl_copy *next;
        struct ptl_queued *queued; /* carries its rights as a message of this task to itself does; no reply */
        uint32_t number;           /* of the messages sent through the right */
        bool sent;                 /* to the port's task as it is now known */
        ptl_port reply_port;       /* where the answer is to go; PTL_NULL: none */
        uint32_t minted;           /* what it granted there for the reply; 0: nothing */
        struct ptl_copy_rights *granted; /* ... and for its rights; NULL: nothing */
};

/* What a publication granted and gave. */
struct ptl_copy_rights {
        uint32_t n_rights, n_given;
        struct ptl_frame_right rights[PTL_MESSAGE_RIGHTS_MAX];
        struct ptl_frame_given given[PTL_MESSAGE_RIGHTS_MAX]; /* tickets */
};

struct ptl_way {
        struct ptl_way *next;
        uint32_t entry;  /* its index in the name space */
        uint32_t serial; /* of all ways: who waits for one knows it by that */
        uint8_t state;   /* enum ptl_way_state */
        uint8_t hops;
        bool used;      /* a send-once right that the program has no more */
        bool confirmed; /* CLAIMING: it is; some copies are not sent yet */
        uint32_t unsent;
        struct ptl_copy *copies, **tail;
        struct ptl_move_claim claim; /* CLAIMING: as it is asked for */
};

/* A right as a receiver before knows it. */
struct ptl_former {
        struct ptl_former *next;
        struct ptl_peer *peer; /* a reference */
        uint32_t right, references;
        ptl_port name;   /* what it is now */
        uint32_t serial; /* of the way; 0: that is at its end */
        bool told;       /* its MOVED was read */
};

struct ptl_way *ptl_way_of(const struct ptl_space *space, const struct ptl_entry *entry);

/* Behind a publication through @entry (S1): may the message not be counted? */
bool ptl_way_is_unsure(const struct ptl_entry *entry);

/* The copy, consumed, is kept until it is known. The way's serial; 0: no memory, it was as good as counted. */
uint32_t ptl_way_keep(struct ptl_space *space, struct ptl_entry *entry, struct ptl_copy *copy);

/* The word was seen marked behind a GIVE of the right (S8): it waits. */
void ptl_way_mark(struct ptl_space *space, struct ptl_entry *entry);

/* Before a message goes through a careful right: 0; PTL_E_FULL; PTL_E_DEAD. The right may be another task's then. */
PTL_MUST_CHECK int ptl_way_check(struct ptl_space *space, struct ptl_entry *entry);

/* May the right be sent in a message? As above. */
PTL_MUST_CHECK int ptl_way_check_carried(const struct ptl_space *space, const struct ptl_entry *entry);

/* Is what was sent on that way not where the port is? Looks again. */
bool ptl_way_is_open(struct ptl_space *space, uint32_t serial);

/* Goes on with all ways as far as there is room. */
void ptl_ways_step(struct ptl_space *space);

/* --- frames; return 0 or PTL_E_MALFORMED --- */

PTL_MUST_CHECK int ptl_way_moved(struct ptl_peer *peer, const struct ptl_frame *frame);
PTL_MUST_CHECK int ptl_way_stays(struct ptl_peer *peer, const struct ptl_frame *frame);

/* The claim @entry is confirmed; @token as of CONFIRM. The entry may be gone then. */
void ptl_way_confirmed(struct ptl_space *space, struct ptl_entry *entry);

/* The right is dead, and so what was kept for it. The entry may be gone then. */
void ptl_way_died(struct ptl_space *space, struct ptl_entry *entry);

/* --- what others call --- */

/* CLAIM_MOVED for the entry, if that is what it is to have; PTL_E_EMPTY: it has no such way. */
PTL_MUST_CHECK int ptl_way_write(struct ptl_peer *peer, const struct ptl_entry *entry);

/* The peer refuses a claim of a right that moved on from it before it was confirmed: it is given back now. */
void ptl_former_refused(struct ptl_peer *peer, uint32_t right);

/* The entry that a right of @peer's became which moved on and was not given back yet; NULL: none. One more
 * reference of it is to be given back. */
struct ptl_entry *ptl_former_again(struct ptl_peer *peer, uint32_t right);

/* The peer is dead: rights of its that moved live on (S6). Before anything else is settled. */
void ptl_ways_peer_died(struct ptl_peer *peer);
/* Its names died: so do their ways. */
void ptl_ways_peer_settled(struct ptl_space *space);

/* The entry has another place. */
void ptl_way_renamed(struct ptl_space *space, uint32_t index, const struct ptl_entry *entry);

/* In a child: nothing of it is the child's. */
void ptl_ways_forked(struct ptl_space *space);

/* --- for the task that a port comes to, or leaves --- */

/* A right without a peer, hidden or not, is one to @peer's port from now on, to be claimed by @claim. */
void ptl_reroute_own(struct ptl_space *space, struct ptl_entry *entry, struct ptl_peer *peer, struct ptl_move_claim claim);

/* What this task sent beyond @count through a right whose port is its own now: messages of this task's own, in
 * order. The way is forgotten, the entry is the caller's. */
struct ptl_queued *ptl_reroute_take(struct ptl_peer *before, uint32_t right, uint32_t count);
