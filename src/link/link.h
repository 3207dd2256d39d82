/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link/link.h - two tasks connected: an outbox each way, a socket, a doorbell each way
 *
 * States (docs/protocol/link.md):
 *   INTRODUCED  our outbox exists and our HELLO is under way; frames may be written, nothing read.
 *               LOST while it has no socket: the last one ended before the peer had answered on it
 *   OPEN        the peer's HELLO came: its outbox is mapped, its doorbell known
 *   DEAD        the peer is gone or lied; what it had published may still be read, nothing is sent
 *
 * A task sends its HELLO before it first looks at the peer's ring. So while we are INTRODUCED, looking
 * at the socket after a publication tells: no HELLO yet means the peer's first look is still to come.
 *
 * The link's lock guards the sending half (writer, pool, ringer, tickets); the receiving half belongs
 * to the task's leader under the task's lock. Rank: the task's lock before the link's.
 */
#pragma once
#include "base/lock.h"
#include "shm/bell.h"
#include "shm/outbox.h"
#include "shm/pool.h"
#include "shm/ring.h"
#include <portolan/types.h>

enum ptl_link_state { PTL_LINK_INTRODUCED, PTL_LINK_OPEN, PTL_LINK_DEAD };

enum {
        PTL_LINK_DESCRIPTORS = 32, /* under way and not acknowledged, at most */
        PTL_LINK_HOLDS = 128,      /* frames read in place and not released, at most */
        PTL_LINK_TOGETHER = 17,    /* descriptors in one packet: a message's regions and its bytes */
        PTL_LINK_SAMPLES = 4,      /* times of cache-line transfers that are remembered */
        PTL_STREAM_FAR = 2048,     /* bytes from which copies go past the cache to a peer that is not near */
        PTL_NEAR_NS = 110,         /* a cache-line transfer that took no longer is near */
};

/* Frames that the program reads in place; their bytes are not given back yet. */
struct ptl_holds {
        uint64_t start[PTL_LINK_HOLDS];
        bool done[PTL_LINK_HOLDS];
        uint32_t first, count;
};

struct ptl_link {
        struct ptl_lock lock;
        _Atomic uint32_t state; /* enum ptl_link_state; stored under both locks */
        struct ptl_ring_writer tx;
        struct ptl_bell_ringer ringer;
        struct ptl_pool *pool; /* NULL until the first block */
        uint32_t pool_reserved; /* bytes */
        uint32_t distance_ns;   /* of a cache line between us; 0: not known */
        uint16_t samples[4];    /* PTL_LINK_SAMPLES */
        uint32_t n_samples;
        uint32_t moves_read; /* frames MOVED and STAYS; the task's lock guards it */
        uint64_t tickets_sent, tickets_acknowledged;
        uint64_t frames_sent, bells_rung;

        struct ptl_ring_reader rx;
        struct ptl_bell_sleeper sleeper;
        struct ptl_holds holds;
        uint64_t room_mark; /* `consumed` when the peer was last looked at for wanting room */
        uint64_t tickets_taken, tickets_used; /* arrived; named by a frame */
        int inbox[PTL_LINK_DESCRIPTORS]; /* descriptors that came, by ticket modulo; -EBADF none */
        uint64_t frames_received, bells_heard, lies;
        uint32_t cpu; /* what we last published */
        bool accused; /* ptl_link_accuse() */
        bool refused; /* what the peer said ends it: no lie, maybe, but an answer */

        struct ptl_outbox mine, peer; /* peer.base NULL until OPEN */
        struct ptl_identity identity;
        int socket, bell, peer_bell;
        /* Until the peer has answered: what another socket would have to carry again. */
        int outbox; /* descriptor of `mine` */
        int *kept;  /* copies of what was sent under the tickets from 1 on; NULL: none */
};

/**
 * ptl_link_init - begin a link on a socket that the name server made
 * @socket:   consumed on success; -EBADF: the link is LOST until ptl_link_rejoin()
 * @identity: the peer, as attested; borrowed
 *
 * Makes our outbox and doorbell and sends HELLO. State INTRODUCED after it.
 * A peer that has closed its end is met by ptl_link_input(), behind what it had said.
 * Return: 0, -ENOMEM, -EMFILE, ...
 */
PTL_MUST_CHECK int ptl_link_init(struct ptl_link *link, int socket,
                                 const struct ptl_identity *identity);

/**
 * ptl_link_lose - the socket ended, and the peer had not answered on it
 *
 * An INTRODUCED link only, whose socket is in no epoll set any more. Frames may be written as before.
 */
void ptl_link_lose(struct ptl_link *link);

static inline bool ptl_link_is_lost(const struct ptl_link *link) { return link->socket < 0; }

/**
 * ptl_link_rejoin - go on over another socket that the name server made
 * @socket: consumed on success
 *
 * A LOST link only; it is INTRODUCED after it. The peer, which has read nothing of ours, finds all that was
 * written and sent. On failure it has been shown nothing. The link's lock is held.
 * Return: 0, -EAGAIN, -ETOOMANYREFS, -ENOMEM, ...
 */
PTL_MUST_CHECK int ptl_link_rejoin(struct ptl_link *link, int socket);

/* Closes descriptors and unmaps. Nobody may use the link or read in place any more. */
void ptl_link_fini(struct ptl_link *link);

/**
 * ptl_link_input - take in what the socket holds
 * Return: 0 (nothing more now), PTL_E_DEAD (the peer closed its end), PTL_E_MALFORMED, PTL_E_VERSION,
 * -errno (our own limits; try again later). The caller holds both locks.
 */
PTL_MUST_CHECK int ptl_link_input(struct ptl_link *link);

static inline enum ptl_link_state ptl_link_state(const struct ptl_link *link)
{
        /* relaxed: a hint outside the locks; they order what follows */
        return (enum ptl_link_state)ptl_load_relaxed(&link->state);
}

/* Marks the link dead; closes nothing yet. */
void ptl_link_kill(struct ptl_link *link);

/* The peer's own words cannot be: the leader finds the socket shut, counts the lie and ends the link. */
void ptl_link_accuse(struct ptl_link *link);

/* Rings the peer's doorbell: one system call. */
void ptl_link_ring(struct ptl_link *link);

/* The peer has not shown its doorbell: look whether it has by now (E5, link.md). */
void ptl_link_bell_introduced(struct ptl_link *link);

/*
 * After publishing: ring if the peer sleeps. The link's lock is held. The fence is E3 of shm/bell.h.
 */
static inline void ptl_link_bell(struct ptl_link *link)
{
        ptl_fence_seq_cst(); /* E3 */
        if (PTL_UNLIKELY(!link->peer.base))
                ptl_link_bell_introduced(link);
        else if (PTL_UNLIKELY(ptl_bell_due(&ptl_outbox_head(&link->peer)->bell, &link->ringer)))
                ptl_link_ring(link);
}

/* Behind that: has the peer marked words of rights that its frames did not explain yet? Then who has published
 * looks at the word (S1 of docs/protocol/migration.md). */
static inline bool ptl_link_open_is_careful(const struct ptl_link *link)
{
        return ptl_load_acquire(&ptl_outbox_head(&link->peer)->bell.moves) != link->moves_read; /* E8 */
}
static inline bool ptl_link_is_careful(const struct ptl_link *link)
{
        return PTL_LIKELY(link->peer.base != NULL) && ptl_link_open_is_careful(link);
}

/* Publishes our CPU, if it changed, for the peer's same-CPU rule. */
static inline void ptl_link_show_cpu(struct ptl_link *link, uint32_t cpu)
{
        if (PTL_UNLIKELY(link->cpu != cpu)) {
                link->cpu = cpu;
                /* relaxed: a hint about where to poll */
                ptl_store_relaxed(&ptl_outbox_head(&link->mine)->bell.cpu, cpu);
        }
}
static inline uint32_t ptl_link_peer_cpu(const struct ptl_link *link)
{
        return ptl_load_relaxed(&ptl_outbox_head(&link->peer)->bell.cpu); /* relaxed: a hint */
}

/* --- reading in place --- */

/* Remembers that the frame at @start is being read; returns a slot, or -1: copy it instead. */
static inline int ptl_hold_begin(struct ptl_link *link, uint64_t start)
{
        struct ptl_holds *h = &link->holds;
        unsigned slot = (h->first + h->count) % PTL_LINK_HOLDS;

        /* Half of the ring stays free of them, so that control frames and others get through. */
        if (h->count == PTL_LINK_HOLDS ||
            (h->count && start - h->start[h->first] > link->rx.size / 2))
                return -1;
        h->start[slot] = start;
        h->done[slot] = false;
        h->count++;
        return (int)slot;
}

/* The peer wants room: look with a fence once a quarter of the ring, which cannot miss a sleeper that
 * needs less than half of it, and without one every time, which is free and mostly enough. */
static inline void ptl_link_offer_room(struct ptl_link *link, uint64_t consumed)
{
        const struct ptl_bell_words *peer = &ptl_outbox_head(&link->peer)->bell;

        if (consumed - link->room_mark >= link->rx.size / 4) {
                link->room_mark = consumed;
                ptl_fence_seq_cst(); /* E3 */
        }
        if (PTL_UNLIKELY(ptl_bell_room_due(peer, &link->ringer)))
                ptl_link_ring(link);
}

/* Gives back to the peer what has been read and is not held, and rings it if it waits for that. */
static inline void ptl_link_consume(struct ptl_link *link)
{
        struct ptl_holds *h = &link->holds;
        uint64_t upto = h->count ? h->start[h->first] : link->rx.position;

        ptl_ring_consume(&link->rx, upto);
        ptl_link_offer_room(link, upto);
}

static inline void ptl_hold_end(struct ptl_link *link, unsigned slot)
{
        struct ptl_holds *h = &link->holds;

        h->done[slot] = true;
        while (h->count && h->done[h->first]) {
                h->first = (h->first + 1) % PTL_LINK_HOLDS;
                h->count--;
        }
        ptl_link_consume(link);
}

/* --- blocks --- */

/* Takes a block; the slot's number, -1: none now, or -ENOMEM and the like below -1. */
int ptl_link_block_reserve(struct ptl_link *link, size_t size);
static inline void *ptl_link_block(const struct ptl_link *link, unsigned slot)
{
        return ptl_outbox_pool(&link->mine) + ptl_pool_offset(link->pool, slot);
}

void ptl_link_copy_large(const struct ptl_link *link, void *to, const void *from, size_t size);

/* Copies into shared memory, past the cache where that is faster for this peer and size. */
static inline void ptl_link_copy(const struct ptl_link *link, void *to, const void *from, size_t size)
{
        if (PTL_LIKELY(size < PTL_STREAM_FAR))
                ptl_copy_small(to, from, size);
        else
                ptl_link_copy_large(link, to, from, size);
}

/* Gives a block of the peer's back. The task's lock is held. */
void ptl_link_block_return(struct ptl_link *link, uint32_t slot);

/* --- descriptors --- */

/* Sends descriptors, all or none; fills the ticket of the first, the others follow. PTL_E_FULL: too many
 * under way; -EMFILE: none is left for the copies that are kept until the peer answers. @count: 1 to
 * PTL_LINK_TOGETHER. Link's lock held. */
PTL_MUST_CHECK int ptl_link_descriptors_send(struct ptl_link *link, const int *fds, size_t count,
                                             uint64_t *ret_first);

/* Takes the descriptor that came under @ticket; PTL_E_LOST if it did not come. */
PTL_MUST_CHECK int ptl_link_descriptor_take(struct ptl_link *link, uint64_t ticket, int *ret_fd);
