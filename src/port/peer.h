/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port/peer.h - a linked task, and the rights that lie between it and us
 *
 * Rights are numbered per link in the table of the port's task (wire/frame.h): `granted` where we
 * chose the index, `claimed` where the peer did. Frames name a right by that number; a number that is
 * not in our table is refused, so there is nothing a peer could forge.
 */
#pragma once
#include "base/table.h"
#include "link/link.h"
#include "port/space.h"
#include "wire/frame.h"

enum ptl_grant_kind {
        PTL_GRANT_FREE,
        PTL_GRANT_SEND,
        PTL_GRANT_ONCE,
        PTL_GRANT_PARKED,  /* claimed, and the grant was not read yet (port/handoff.h) */
        PTL_GRANT_TICKET,  /* given on, and not claimed yet: of a granter's tickets */
        PTL_GRANT_SETTLED, /* no longer, and its granter is not told yet: likewise */
};

/* What is still to be written to the peer about a grant. */
enum ptl_grant_marks {
        PTL_MARK_CONFIRM = 1,
        PTL_MARK_WINDOW = 2,
        PTL_MARK_DEAD = 4,
        PTL_MARK_SAME = 8, /* with CONFIRM: says which other right to this port the peer has */
        PTL_MARK_MERGED = 16, /* nothing to be written: that was said, and the peer is likely to give this one back */
};

/* A right to a port of ours that the peer holds. */
struct ptl_grant {
        uint32_t number; /* its own, without the generation; while free, base/table.h's chain */
        uint16_t generation;
        uint8_t kind;  /* enum ptl_grant_kind */
        uint8_t marks; /* enum ptl_grant_marks */
        uint32_t references; /* times it was granted; releases give them back */
        uint32_t serial;     /* of its lives */
        uint32_t arrived, arrived_units; /* messages that came through it */
        uint32_t taken, taken_units;     /* of those, dequeued by the program */
        uint32_t fenced; /* `taken` when a sender that waits for room was last looked for behind a fence */
        uint32_t limit_messages, limit_units; /* the widest window the peer was ever told */
        uint32_t pending_next; /* number, of the chain of grants with marks */
        struct ptl_receiver *receiver; /* NULL: the port is dead */
        struct ptl_grant *next, **prev; /* of the receiver's grants */
        struct ptl_peer *peer;
};

/* A right to the peer's port that we hold: which name it has. */
struct ptl_held {
        uint32_t chain; /* base/table.h, where we choose the index; else the send right given back last, or 0 */
        ptl_port name;
        uint64_t ticket; /* of a claim; else what was sent through that right: units << 32 | messages */
};

struct ptl_handoff;
struct ptl_region;

/* A link that ended before the peer had answered on it (task/relink.h). */
struct ptl_relink {
        bool lost;
        uint32_t serial;        /* of the INTRODUCE under way; 0: none is */
        uint32_t tries;         /* INTRODUCEs since this server is there */
        ptl_time again_at;      /* when to ask, if none is under way */
        uint32_t server;        /* which of the task's servers introduced the peer, counted */
        ptl_time unknown_until; /* the server does not know the peer: it is dead then; 0: it does */
};

enum { PTL_REGIONS_PER_LINK = 256 };
_Static_assert(PTL_TAKEN_ENTRIES == PTL_RIGHT_INDEX_MAX + 1, "each right has a word that says what was taken");

struct ptl_peer {
        struct ptl_link link;
        struct ptl_space *space;
        struct ptl_peer *next; /* all peers of the task */
        uint32_t references;   /* the task's list, entries, queued and held messages */
        struct ptl_table granted, claimed; /* struct ptl_grant */
        struct ptl_grant *spare; /* of `granted`: a reply right used up, still in its port's list; NULL: none */
        struct ptl_table held;             /* struct ptl_held, index chosen by the peer */
        struct ptl_table claims;           /* struct ptl_held, index chosen by us */
        uint32_t claimed_often;            /* claims made: the next one's generation */
        uint32_t pending_grants[2];        /* heads: granted, claimed */
        uint32_t pending_entries;          /* head */
        uint64_t orphans; /* cost of queued messages whose rights were given back: ptl_orphan_cost() */
        uint8_t taken_reserved[2][PTL_TAKEN_ENTRIES / 512 / 8]; /* pages, a bit each */
        struct ptl_region *regions_in[PTL_REGIONS_PER_LINK];
        struct ptl_region *regions_out[PTL_REGIONS_PER_LINK];
        uint8_t retire[PTL_REGIONS_PER_LINK / 8]; /* numbers whose RETIRE is to be written */
        uint32_t n_retire;
        bool pending; /* any of these is not empty */
        /* waiting (task/wait.c) */
        bool hot, watched, reaped, heat_later;
        bool watched_open; /* it was hot once, so it was looked at since it opened */
        uint32_t idle; /* sleeps since a frame came */
        ptl_time stalled_until; /* what its socket holds could not be taken in; 0: nothing keeps us */
        struct ptl_relink relink;
        struct ptl_handoff *handoff; /* of rights of third tasks; NULL: there never were any */
        bool known_dead; /* the server says so */
        /* limits (port/quota.h); each is the number of one, 0 for none */
        struct ptl_account *account;
        uint32_t restrained; /* it is held back for this one: its ring is not read (task/restrain.h) */
        struct ptl_peer *restrained_next; /* others that are */
        uint32_t told;       /* this it was told last */
        uint32_t restrains;  /* it holds this task back for this one, it says */
        bool lenient;        /* its messages are queued, whatever limit is reached */
};

/* Consumes @socket on success; one reference, the caller's. */
PTL_MUST_CHECK int ptl_peer_new(struct ptl_space *space, int socket,
                                const struct ptl_identity *identity, struct ptl_peer **ret_peer);
static inline struct ptl_peer *ptl_peer_ref(struct ptl_peer *peer)
{
        peer->references++;
        return peer;
}
void ptl_peer_free(struct ptl_peer *peer);
static inline void ptl_peer_unref(struct ptl_peer *peer)
{
        if (PTL_UNLIKELY(--peer->references == 0))
                ptl_peer_free(peer);
}

/**
 * ptl_peer_died - settle everything that lay between us and a dead peer
 *
 * Its outbox must have been drained. Names of its ports become dead names and their owners are told;
 * what it held of ours is released.
 */
void ptl_peer_died(struct ptl_peer *peer);

/* --- what we granted (port/grant.c) --- */

/* Grants a right to @receiver; the number with its generation, 0: the table is full. A send right is
 * granted once per port and peer and counted. (ptl_grant_once, _free, _taken: port/grant_inline.h.) */
uint32_t ptl_grant_send(struct ptl_peer *peer, struct ptl_receiver *receiver);

/* A fresh index for a send-once right to @receiver; NULL: the table is full. */
struct ptl_grant *ptl_grant_fresh_once(struct ptl_peer *peer, struct ptl_receiver *receiver);

/* The spare index is free as any other. */
void ptl_grant_drop_spare(struct ptl_peer *peer);

/* The grant a frame names, or NULL. */
static inline struct ptl_grant *ptl_grant_find(struct ptl_peer *peer, uint32_t right)
{
        bool claimed = ptl_right_is_claimed(right);
        struct ptl_grant *g =
                ptl_table_at_sized(claimed ? &peer->claimed : &peer->granted, ptl_right_index(right), sizeof *g);

        if (PTL_UNLIKELY(!g || g->kind == PTL_GRANT_FREE ||
                         (g->generation & PTL_RIGHT_GENERATION_MASK) != ptl_right_generation(right)))
                return NULL;
        return g;
}

/* The peer claims @right, an index and a generation, with a ticket for @receiver (NULL: refused or dead). */
PTL_MUST_CHECK int ptl_grant_claim(struct ptl_peer *peer, uint32_t right,
                                   struct ptl_receiver *receiver);

/* The port, or the call it was for, is given up; what still arrives is destroyed. The index stays taken
 * until the holder uses the right or gives it back. */
void ptl_grant_abandon(struct ptl_grant *grant);

/* What messages keep of this task's memory while they are queued, in units of 64 bytes: more than
 * PTL_ORPHANS_MAX of those whose rights are gone, and the peer gets no rights by ticket. */
static inline uint64_t ptl_orphan_cost(uint32_t messages, uint32_t units)
{
        return (uint64_t)messages * 24 + units; /* a cell, and the bytes */
}

/* Takes back a reference that was granted with a message which is not sent after all. */
void ptl_grant_revoke(struct ptl_grant *grant);
/* The peer redeems a right that was given on: no new one is made. @receiver as above. */
PTL_MUST_CHECK int ptl_grant_redeem(struct ptl_peer *peer, uint32_t right, struct ptl_receiver *receiver,
                                    enum ptl_grant_kind kind, struct ptl_grant **ret_grant);

/* The claim's grant is looked for: it may come to be a right. The index is one that could be claimed. */
PTL_MUST_CHECK int ptl_grant_park(struct ptl_peer *peer, uint32_t right);
void ptl_grant_unpark(struct ptl_grant *grant);

/* Another send right to the same port that the grant's peer holds; 0: none. */
uint32_t ptl_grant_same(const struct ptl_grant *grant);

/* Gives back @count references; the last frees it. */
void ptl_grant_release(struct ptl_grant *grant, uint32_t count);

/* A claim that was refused at a limit: which one goes with its DEAD. 0: it has lived. */
static inline uint32_t ptl_grant_refused(const struct ptl_grant *grant)
{
        return grant->limit_messages ? 0 : grant->limit_units; /* no port has a limit of 0 */
}

/* Remembers that the peer is to be told. */
void ptl_grant_mark(struct ptl_grant *grant, unsigned mark);

static inline uint32_t ptl_grant_right(const struct ptl_grant *grant)
{
        return ptl_right_make(grant->number, grant->generation);
}

/* ... 0: there is none */
static inline uint32_t ptl_grant_number(const struct ptl_grant *grant)
{
        return grant ? ptl_grant_right(grant) : 0;
}

/* --- what we hold (port/held.c) --- */

/* A send right the peer granted: the name it has or gets, with one more reference; PTL_NULL: full. */
ptl_port ptl_held_send(struct ptl_peer *peer, uint32_t right, uint32_t limit_messages,
                       uint32_t limit_units);
/* A right by ticket: chooses an index and leaves a CLAIM to be written. Same ticket, same name. */
ptl_port ptl_held_claim(struct ptl_peer *peer, uint64_t ticket, uint32_t limit_messages,
                        uint32_t limit_units);
/* The last reference to a send right is given back. */
void ptl_held_remember(struct ptl_peer *peer, const struct ptl_entry *entry);
/* The entry of a right of the peer's, even one that is under way (ptl_space_hidden()), or NULL. */
struct ptl_entry *ptl_held_entry(struct ptl_peer *peer, uint32_t right);
/* (ptl_held_once, _forget: port/held_inline.h.) */

/* --- telling the peer (port/control.c) --- */

/* The entry has something to write: a CLAIM or a RELEASE. */
void ptl_control_entry(struct ptl_peer *peer, struct ptl_entry *entry, unsigned flag);

/* Writes a control frame; PTL_E_FULL. The link's lock is held. */
PTL_MUST_CHECK int ptl_control_write(struct ptl_link *link, enum ptl_frame_kind kind,
                                     const struct ptl_frame_head *head, const void *body, uint32_t length);

/* Gives e->released references back now; the right stays. Leaves them counted if memory is short. */
void ptl_control_release(struct ptl_peer *peer, struct ptl_entry *entry);

/* Writes what is pending, as far as the ring has room, and rings. The space's lock is held. */
void ptl_control_flush(struct ptl_peer *peer);
static inline bool ptl_control_is_pending(const struct ptl_peer *peer) { return peer->pending; }

/* Something is to be written to the peer, which then is counted in space->pending; or all was. */
static inline void ptl_control_set_pending(struct ptl_peer *peer, bool pending)
{
        pending = pending && ptl_link_state(&peer->link) != PTL_LINK_DEAD;
        peer->space->pending += (uint32_t)pending - (uint32_t)peer->pending;
        peer->pending = pending;
}
