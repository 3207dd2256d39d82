/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port/peer.h - a linked task, and the rights that lie between it and us
 *
 * Rights are numbered per link in the table of the port's task (wire/frame.h): `granted` where we
 * chose the index, `claimed` where the peer did. Frames name a right by that number; a number that is
 * not in our table is refused, so there is nothing a peer could forge.
 */
#pragma once
#include "base/chains.h"
#include "base/table.h"
#include "link/link.h"
#include "port/space.h"
#include "wire/frame.h"

enum ptl_grant_kind {
        PTL_GRANT_FREE,
        PTL_GRANT_SEND,
        PTL_GRANT_ONCE,
        PTL_GRANT_PARKED, /* claimed, and the grant was not read yet (port/handoff.h) */
        PTL_GRANT_MOVED,  /* its port is another task's (port/moving.h) */
};

/* What is still to be written to the peer about a grant. */
enum ptl_grant_marks {
        PTL_MARK_CONFIRM = 1,
        PTL_MARK_WINDOW = 2,
        PTL_MARK_DEAD = 4,
        PTL_MARK_SAME = 8, /* with CONFIRM: says which other right to this port the peer has */
        PTL_MARK_MERGED = 16, /* nothing to be written: that was said, and the peer is likely to give this one back */
};

/*
 * A right to a port of ours that the peer holds. Whose, and its number, are known by its place in its chunk.
 * What of `arrived` the program has dequeued is the right's word in our outbox: ptl_taken_load().
 */
struct ptl_grant {
        uint32_t pending_next; /* index, of the chain of grants with marks; while free, base/table.h's chain */
        uint16_t generation;
        uint8_t kind;  /* enum ptl_grant_kind */
        uint8_t marks; /* enum ptl_grant_marks */
        uint32_t references; /* times it was granted; releases give them back */
        uint32_t serial;     /* of its lives */
        uint32_t arrived, arrived_units; /* messages that came through it */
        uint32_t limit_units;            /* the widest window the peer was ever told: this ... */
        uint16_t limit_messages;         /* ... and this */
        uint8_t place;                   /* in its chunk */
        struct ptl_receiver *receiver;   /* NULL: the port is dead */
        uint32_t next, previous;         /* of the receiver's grants: ptl_grant_id(); 0: none */
};

_Static_assert(sizeof(void *) != 8 || sizeof(struct ptl_grant) == 48,
               "with its word in the outbox a right costs its port's task at most 64 bytes");

/* What a chunk of a link's grants begins with (base/table.h). */
struct ptl_grant_chunk {
        struct ptl_peer *peer;
        uint32_t first; /* number of its first element, without a generation */
        uint32_t id;    /* in space->grant_chunks; 0: nothing of it was used yet */
};

enum { PTL_GRANT_CHUNKS_MAX = 1 << 24 }; /* of a task: an id and a place make 32 bits */

/* A send-once right that went with a message: it may be gone when its number is looked for again. */
struct ptl_minted {
        struct ptl_grant *grant;
        struct ptl_peer *peer;
        uint32_t right;
};

/* A claim of ours, by the index that we chose. */
struct ptl_claim {
        uint32_t chain; /* base/table.h, base/chains.h */
        ptl_port name;
        uint64_t ticket; /* that it was looked up by; of one that is redeemed (port/handoff.h): 0 */
};

/* What was sent through a right that was given back: the last one of its index. */
struct ptl_given_back {
        uint32_t chain; /* base/table.h, base/chains.h */
        uint32_t right;
        uint32_t sent, sent_units;
};

struct ptl_handoff;
struct ptl_moving;
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
        struct ptl_table granted, claimed; /* struct ptl_grant, chunks headed by struct ptl_grant_chunk */
        struct ptl_grant *spare; /* of `granted`: a reply right used up, still in its port's list; NULL: none */
        uint32_t spare_right;    /* the number of its next life */
        struct ptl_table held;   /* ptl_port: our name of a right, by the index that the peer chose; 0: none */
        struct ptl_table claims; /* struct ptl_claim, index chosen by us */
        struct ptl_chains by_ticket; /* of claims: rights that were looked up */
        uint32_t claimed_often;      /* claims made: the next one's generation */
        struct ptl_table given_back; /* struct ptl_given_back */
        struct ptl_chains by_index;  /* of those */
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
        struct ptl_moving *moving;   /* of receive rights that moved; NULL: there never were any */
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

/* An element in which a right can begin: its chunk is known by an id. @claimed: which table, where it exists. NULL: no
 * memory. */
struct ptl_grant *ptl_grant_place(struct ptl_peer *peer, uint32_t index, bool claimed);

/* The chunks are known no more: the link's memory goes. */
void ptl_grants_fini(struct ptl_peer *peer);

/* A fresh index for a send-once right to @receiver; NULL: the table is full. */
struct ptl_grant *ptl_grant_fresh_once(struct ptl_peer *peer, struct ptl_receiver *receiver);

/* The spare index is free as any other. */
void ptl_grant_drop_spare(struct ptl_peer *peer);

/* The same generation? */
static inline bool ptl_grant_is(const struct ptl_grant *grant, uint32_t right)
{
        return (grant->generation & PTL_RIGHT_GENERATION_MASK) == ptl_right_generation(right);
}

/* The grant a frame names, or NULL. */
static inline struct ptl_grant *ptl_grant_find(struct ptl_peer *peer, uint32_t right)
{
        bool claimed = ptl_right_is_claimed(right);
        struct ptl_grant *g =
                ptl_table_at_sized(claimed ? &peer->claimed : &peer->granted, ptl_right_index(right), sizeof *g);

        if (PTL_UNLIKELY(!g || g->kind == PTL_GRANT_FREE || !ptl_grant_is(g, right)))
                return NULL;
        return g;
}

/* The peer claims @right, an index and a generation, with a ticket for @receiver (NULL: refused or dead). */
PTL_MUST_CHECK int ptl_grant_claim(struct ptl_peer *peer, uint32_t right,
                                   struct ptl_receiver *receiver);

/* The peer claims what is dead, or was not given to it. */
PTL_MUST_CHECK int ptl_grant_claim_dead(struct ptl_peer *peer, uint32_t right);

/* The page of its word is reserved; a send-once right may have none yet. */
bool ptl_grant_reserve_word(const struct ptl_grant *grant);

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

static inline struct ptl_grant_chunk *ptl_grant_chunk(const struct ptl_grant *grant)
{
        return (struct ptl_grant_chunk *)(void *)(uintptr_t)(grant - grant->place) - 1;
}
static inline struct ptl_peer *ptl_grant_peer(const struct ptl_grant *grant) { return ptl_grant_chunk(grant)->peer; }

/* Without the generation. */
static inline uint32_t ptl_grant_index(const struct ptl_grant *grant)
{
        return ptl_grant_chunk(grant)->first + grant->place;
}
static inline uint32_t ptl_grant_right(const struct ptl_grant *grant)
{
        return ptl_right_make(ptl_grant_index(grant), grant->generation);
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
/* A claim of @ticket (0: it is not to be found by one): its number, in another generation than the claims before it; 0:
 * full. */
uint32_t ptl_claim_take(struct ptl_peer *peer, uint64_t ticket);
/* It is not found by its ticket any more: its right is given up, or dead. */
void ptl_claim_hide(struct ptl_peer *peer, uint32_t right);
void ptl_held_init(struct ptl_peer *peer);
void ptl_held_fini(struct ptl_peer *peer);
/* The entry of a right of the peer's, even one that is under way (ptl_space_hidden()), or NULL. */
struct ptl_entry *ptl_held_entry(struct ptl_peer *peer, uint32_t right);
/* (ptl_held_once, _forget: port/held_inline.h.) */

/* --- telling the peer (port/control.c) --- */

/* The entry has something to write: a CLAIM or a RELEASE. */
void ptl_control_entry(struct ptl_peer *peer, struct ptl_entry *entry, unsigned flag);

/* Its CLAIM is not written any more. */
void ptl_control_forget(struct ptl_peer *peer, struct ptl_entry *entry);

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
