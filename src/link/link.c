/* SPDX-License-Identifier: Apache-2.0 */
/* link/link.c - see link.h: life of a link and what its socket says */
#define _GNU_SOURCE
#include "link/link.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "link/socket.h"
#include "wire/link_msg.h"
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

static void set_state(struct ptl_link *link, enum ptl_link_state state)
{
        ptl_store_relaxed(&link->state, state); /* relaxed: stored under the locks that order it */
}

static bool is_hung_up(int r) { return r == -EPIPE || r == -ECONNRESET; }

static int send_hello(const struct ptl_link *link, int socket)
{
        struct ptl_link_msg hello = ptl_link_msg(PTL_LM_HELLO, 0);
        int fds[2] = {link->outbox, link->bell};
        int r = ptl_socket_send(socket, &hello, sizeof hello, fds, 2);

        /* A peer that has died already may have left messages: its HELLO lies in the socket. */
        return is_hung_up(r) ? 0 : r;
}

int ptl_link_init(struct ptl_link *link, int socket, const struct ptl_identity *identity)
{
        int r;

        *link = (struct ptl_link){.identity = *identity,
                                  .socket = socket,
                                  .bell = -EBADF,
                                  .peer_bell = -EBADF,
                                  .outbox = -EBADF,
                                  .cpu = UINT32_MAX};
        for (int i = 0; i < PTL_LINK_DESCRIPTORS; i++)
                link->inbox[i] = -EBADF;
        set_state(link, PTL_LINK_INTRODUCED);
        r = ptl_outbox_create(&link->mine, &link->outbox);
        if (!r) {
                link->bell = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK); /* readable for ever: edges tell */
                /* Armed before the peer can publish: a link is born cold, looked at since its arming. */
                ptl_bell_arm(&ptl_outbox_head(&link->mine)->bell, &link->sleeper);
                r = link->bell < 0 ? -errno : socket < 0 ? 0 : send_hello(link, socket);
        }
        if (!r) {
                ptl_ring_writer_init(&link->tx, &link->mine);
                return 0;
        }
        link->socket = -EBADF; /* still the caller's */
        ptl_link_fini(link);
        return r;
}

static void close_inbox(struct ptl_link *link)
{
        for (int i = 0; i < PTL_LINK_DESCRIPTORS; i++)
                link->inbox[i] = ptl_socket_discard(link->inbox[i]);
}

/* --- until the peer has answered --- */

static void unkeep(struct ptl_link *link, uint64_t first, size_t count)
{
        for (size_t i = 0; i < count; i++)
                link->kept[first - 1 + i] = ptl_close(link->kept[first - 1 + i]);
}

/* Copies of descriptors that are about to be sent. */
static int keep(struct ptl_link *link, uint64_t first, const int *fds, size_t count)
{
        if (!link->kept)
                link->kept = calloc(PTL_LINK_DESCRIPTORS, sizeof *link->kept);
        if (!link->kept)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++) {
                int copy = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);

                if (copy < 0) {
                        int r = -errno;

                        unkeep(link, first, i);
                        return r;
                }
                link->kept[first - 1 + i] = copy;
        }
        return 0;
}

/* Nothing has to be carried again. */
static void forget_kept(struct ptl_link *link)
{
        link->outbox = ptl_close(link->outbox);
        if (!link->kept)
                return;
        unkeep(link, 1, link->tickets_sent);
        free(link->kept);
        link->kept = NULL;
}

/* The peer's tickets, too, begin anew: it sends on the next socket what it had sent on this one. */
void ptl_link_lose(struct ptl_link *link)
{
        link->socket = ptl_close(link->socket);
        close_inbox(link);
        link->tickets_taken = link->tickets_used = 0;
}

/* HELLO last: with it the peer may read the frames that name the tickets, and nothing can fail behind it. */
int ptl_link_rejoin(struct ptl_link *link, int socket)
{
        int r = 0;

        for (uint64_t t = 1; !r && t <= link->tickets_sent; t++) {
                struct ptl_link_msg msg = ptl_link_msg(PTL_LM_DESCRIPTORS, ptl_link_msg_tickets(t, 1));

                r = ptl_socket_send(socket, &msg, sizeof msg, &link->kept[t - 1], 1);
                if (is_hung_up(r)) /* as in send_hello() */
                        r = 0;
        }
        if (!r)
                r = send_hello(link, socket);
        if (!r)
                link->socket = socket;
        return r;
}

void ptl_link_fini(struct ptl_link *link)
{
        forget_kept(link);
        close_inbox(link);
        link->socket = ptl_close(link->socket);
        link->bell = ptl_close(link->bell);
        link->peer_bell = ptl_close(link->peer_bell);
        ptl_outbox_unmap(&link->mine);
        ptl_outbox_unmap(&link->peer);
        free(link->pool);
        link->pool = NULL;
}

void ptl_link_kill(struct ptl_link *link) { set_state(link, PTL_LINK_DEAD); }

void ptl_link_ring(struct ptl_link *link)
{
        ptl_event_nudge(link->peer_bell);
        link->bells_rung++;
}

void ptl_link_accuse(struct ptl_link *link)
{
        if (!link->accused)
                shutdown(link->socket, SHUT_RDWR);
        link->accused = true;
}

/* E5: our publication came before this look; the peer's HELLO comes before its first look at us. */
void ptl_link_bell_introduced(struct ptl_link *link)
{
        int r = ptl_link_state(link) == PTL_LINK_INTRODUCED ? ptl_link_input(link) : 0;

        if (r == PTL_E_MALFORMED)
                ptl_link_accuse(link);
        else if (link->refused)
                shutdown(link->socket, SHUT_RDWR); /* what was read is gone: the leader meets the end */
        if (link->peer.base && ptl_bell_due(&ptl_outbox_head(&link->peer)->bell, &link->ringer))
                ptl_link_ring(link);
}

/*
 * The doorbell is the peer's choice, and we write to it. Of the kernel's objects without a file type
 * none but an eventfd takes an 8-byte zero as more than an error: no SIGPIPE, no file, no device. What
 * the kernel knows is enough: a file system of the peer's (FUSE) that is asked may never answer.
 */
static bool is_anonymous(int fd)
{
        struct statx st;

        return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) == 0 &&
               (st.stx_mode & S_IFMT) == 0;
}

static int take_hello(struct ptl_link *link, int *fds, size_t n_fds)
{
        int r;

        if (ptl_link_state(link) != PTL_LINK_INTRODUCED || n_fds != 2 || !is_anonymous(fds[1]))
                return PTL_E_MALFORMED;
        r = ptl_outbox_attach(fds[0], &link->peer);
        if (r)
                return r;
        link->peer_bell = ptl_steal_fd(&fds[1]);
        ptl_ring_reader_init(&link->rx, &link->peer, &link->mine);
        link->tx.peer_consumed = &ptl_outbox_head(&link->peer)->consumed;
        if (link->pool)
                link->pool->returned = ptl_outbox_head(&link->peer)->returned;
        set_state(link, PTL_LINK_OPEN);
        forget_kept(link);
        return 0;
}

/* Tickets of one packet follow each other. Descriptors that did not arrive leave their places empty. */
static int take_descriptors(struct ptl_link *link, uint64_t value, int *fds, size_t n_fds)
{
        uint64_t first = ptl_link_msg_ticket(value), count = ptl_link_msg_count(value);

        if (first != link->tickets_taken + 1 || count == 0 || count > PTL_LINK_TOGETHER ||
            first + count - 1 - link->tickets_used > PTL_LINK_DESCRIPTORS)
                return PTL_E_MALFORMED; /* out of order, or more than we acknowledged */
        for (uint64_t i = 0; i < count; i++)
                if (n_fds == count)
                        link->inbox[(first + i) % PTL_LINK_DESCRIPTORS] = ptl_steal_fd(&fds[i]);
        link->tickets_taken += count;
        return 0;
}

static int take_acknowledge(struct ptl_link *link, uint64_t ticket)
{
        if (ptl_link_state(link) == PTL_LINK_INTRODUCED || /* it has not read what would name one */
            ticket > link->tickets_sent || ticket < link->tickets_acknowledged)
                return PTL_E_MALFORMED;
        link->tickets_acknowledged = ticket;
        return 0;
}

static int take_packet(struct ptl_link *link, const struct ptl_link_msg *msg, int *fds, size_t n_fds)
{
        switch ((enum ptl_link_type)msg->type) {
        case PTL_LM_HELLO:
                return take_hello(link, fds, n_fds);
        case PTL_LM_DESCRIPTORS:
                return take_descriptors(link, msg->value, fds, n_fds);
        case PTL_LM_ACKNOWLEDGE:
                return n_fds ? PTL_E_MALFORMED : take_acknowledge(link, msg->value);
        }
        return PTL_E_MALFORMED;
}

/*
 * The peer has not answered yet: its HELLO, if that comes next. It stays in the socket until it is taken
 * in, since our own limits may keep us from that for a while. PTL_E_EMPTY: something else comes next.
 */
static int take_answer(struct ptl_link *link)
{
        char packet[sizeof(struct ptl_link_msg) + 1];
        struct ptl_link_msg msg;
        size_t size = 0, n_fds = 0;
        int fds[2], lost, r;

        lost = ptl_socket_peek(link->socket, packet, sizeof packet, &size, fds, &n_fds);
        if (lost < 0)
                return lost;
        r = ptl_link_msg_decode(packet, size, &msg);
        if (r == PTL_E_MALFORMED || (!r && msg.type != PTL_LM_HELLO))
                r = PTL_E_EMPTY;
        else if (!r)
                r = lost == PTL_E_LOST ? -EMFILE : lost ? lost : take_hello(link, fds, n_fds);
        for (size_t k = 0; k < n_fds; k++)
                ptl_socket_discard(fds[k]);
        if (r >= 0 && r != PTL_E_EMPTY)
                ptl_socket_drop(link->socket);
        return r;
}

/* The next packet, whatever it is. */
static int take_next(struct ptl_link *link)
{
        char packet[sizeof(struct ptl_link_msg) + 1];
        int fds[PTL_LINK_TOGETHER];
        struct ptl_link_msg msg;
        size_t size = 0, n_fds = 0;
        int r = ptl_socket_receive(link->socket, packet, sizeof packet, &size, fds, PTL_LINK_TOGETHER,
                                   &n_fds);

        if (!r && size == 0)
                return PTL_E_DEAD;
        if (!r || r == PTL_E_LOST)
                r = ptl_link_msg_decode(packet, size, &msg);
        if (!r)
                r = take_packet(link, &msg, fds, n_fds);
        for (size_t k = 0; k < n_fds; k++)
                ptl_socket_discard(fds[k]);
        /* Versions were compared in the first HELLO: there is no other. */
        return r == PTL_E_VERSION ? PTL_E_MALFORMED : r;
}

int ptl_link_input(struct ptl_link *link)
{
        bool reset = false;

        if (ptl_link_is_lost(link))
                return 0;
        for (int i = 0; i < 4 * PTL_LINK_DESCRIPTORS; i++) { /* bounded: others want their turn */
                int r = ptl_link_state(link) == PTL_LINK_INTRODUCED ? take_answer(link) : PTL_E_EMPTY;

                if (r == PTL_E_EMPTY)
                        r = take_next(link);
                if (r == -EAGAIN)
                        return 0;
                if (r == -ECONNRESET) {
                        if (reset)
                                return PTL_E_DEAD;
                        reset = true; /* told once, and maybe before what had arrived */
                        continue;
                }
                link->refused |= r > 0 && r != PTL_E_DEAD;
                if (r)
                        return r;
        }
        return 0;
}

/* What reading the clock twice costs by itself. */
static uint32_t clock_cost(void)
{
        static _Atomic uint32_t known;
        uint32_t cost = ptl_load_relaxed(&known); /* relaxed: all find about the same */

        for (int i = 0; !cost && i < 64; i++) {
                ptl_time begun = ptl_now();
                uint32_t ns = (uint32_t)(ptl_now() - begun);

                cost = i && cost < ns ? cost : ns ? ns : 1;
                ptl_store_relaxed(&known, cost); /* relaxed: as above */
        }
        return cost;
}

/*
 * How far away is the peer? The word that says the oldest block came back was looked at in vain before;
 * if it says so now, the line came from the peer's cache, and the load took as long as that takes. The
 * longest of the last few is believed: to take far for near costs ten times more than the other way
 * round (PEERS).
 */
static void sample_distance(struct ptl_link *link)
{
        const struct ptl_pool *pool = link->pool;
        uint32_t cost = clock_cost(), longest = 0, seen;
        ptl_time begun;

        if (!pool->returned || pool->slots[pool->oldest].state != PTL_SLOT_OUT)
                return;
        begun = ptl_now();
        seen = ptl_load_acquire(&pool->returned[pool->oldest]); /* E4; here only timed */
        begun = ptl_now() - begun - cost;
        if (seen != pool->slots[pool->oldest].uses || begun > 3000)
                return; /* not back yet, or we were interrupted */
        link->samples[link->n_samples++ % PTL_LINK_SAMPLES] = (uint16_t)(begun > 1 ? begun : 1);
        for (int i = 0; i < PTL_LINK_SAMPLES; i++)
                longest = link->samples[i] > longest ? link->samples[i] : longest;
        link->distance_ns = link->n_samples < PTL_LINK_SAMPLES ? 0 : longest;
}

/* The pool's memory is reserved half a MiB at a time, as far as blocks reach. */
static int reserve_pool(struct ptl_link *link, unsigned slot)
{
        enum { STEP = 512 << 10 };
        uint32_t end = ptl_pool_offset(link->pool, slot) +
                       (uint32_t)link->pool->slots[slot].pages * PTL_POOL_PAGE;
        uint32_t want = (end + STEP - 1) / STEP * STEP;
        int r;

        if (want <= link->pool_reserved)
                return 0;
        r = ptl_outbox_reserve(&link->mine, PTL_OUTBOX_POOL + link->pool_reserved,
                               want - link->pool_reserved);
        if (!r)
                link->pool_reserved = want;
        return r;
}

int ptl_link_block_reserve(struct ptl_link *link, size_t size)
{
        int slot, r;

        if (!link->pool) {
                link->pool = calloc(1, sizeof *link->pool);
                if (!link->pool)
                        return -ENOMEM;
                if (link->peer.base)
                        link->pool->returned = ptl_outbox_head(&link->peer)->returned;
        }
        sample_distance(link);
        slot = ptl_pool_reserve(link->pool, size);
        if (slot < 0)
                return -1;
        r = reserve_pool(link, (unsigned)slot);
        if (r) {
                ptl_pool_cancel(link->pool, (unsigned)slot);
                return r;
        }
        return slot;
}

void ptl_link_copy_large(const struct ptl_link *link, void *to, const void *from, size_t size)
{
        enum { STREAM_UNKNOWN = 16384 };
        bool known = link->distance_ns != 0, near = known && link->distance_ns < PTL_NEAR_NS;

        if (!near && size >= (known ? (size_t)PTL_STREAM_FAR : (size_t)STREAM_UNKNOWN))
                ptl_copy_streaming(to, from, size);
        else
                ptl_copy_shared(to, from, size);
}

void ptl_link_block_return(struct ptl_link *link, uint32_t slot)
{
        _Atomic uint32_t *word = &ptl_outbox_head(&link->mine)->returned[slot];

        /* relaxed: our own word. The release is E4 of shm/pool.h. */
        ptl_store_release(word, ptl_load_relaxed(word) + 1);
        ptl_fence_seq_cst(); /* E3: a sender may sleep for want of a block */
        if (ptl_bell_room_due(&ptl_outbox_head(&link->peer)->bell, &link->ringer))
                ptl_link_ring(link);
}

/* A peer that has not answered may not have this socket at all: then the next one carries them. */
static int send_introduced(struct ptl_link *link, const struct ptl_link_msg *msg, const int *fds, size_t count)
{
        uint64_t first = link->tickets_sent + 1;
        int r = keep(link, first, fds, count);

        if (r || ptl_link_is_lost(link))
                return r;
        r = ptl_socket_send(link->socket, msg, sizeof *msg, fds, count);
        if (is_hung_up(r))
                return 0;
        if (r)
                unkeep(link, first, count);
        return r;
}

int ptl_link_descriptors_send(struct ptl_link *link, const int *fds, size_t count,
                              uint64_t *ret_first)
{
        uint64_t first = link->tickets_sent + 1;
        struct ptl_link_msg msg = ptl_link_msg(PTL_LM_DESCRIPTORS, ptl_link_msg_tickets(first, count));
        int r;

        if (first + count - 1 - link->tickets_acknowledged > PTL_LINK_DESCRIPTORS)
                return PTL_E_FULL;
        r = ptl_link_state(link) == PTL_LINK_INTRODUCED
                    ? send_introduced(link, &msg, fds, count)
                    : ptl_socket_send(link->socket, &msg, sizeof msg, fds, count);
        if (r == -EAGAIN || r == -ETOOMANYREFS)
                return PTL_E_FULL;
        if (is_hung_up(r))
                return PTL_E_DEAD;
        if (!r) {
                *ret_first = first;
                link->tickets_sent += count;
        }
        return r;
}

/* Frames name tickets in order: what came before this one and was not named never will be. */
static void acknowledge(struct ptl_link *link, uint64_t ticket)
{
        struct ptl_link_msg ack = ptl_link_msg(PTL_LM_ACKNOWLEDGE, ticket);

        for (uint64_t t = link->tickets_used + 1; t < ticket; t++) {
                int *place = &link->inbox[t % PTL_LINK_DESCRIPTORS];

                *place = ptl_socket_discard(*place);
        }
        link->tickets_used = ticket;
        (void)!ptl_socket_send(link->socket, &ack, sizeof ack, NULL, 0);
}

int ptl_link_descriptor_take(struct ptl_link *link, uint64_t ticket, int *ret_fd)
{
        int *place = &link->inbox[ticket % PTL_LINK_DESCRIPTORS];

        if (ticket == 0 || ticket > link->tickets_taken ||
            link->tickets_taken - ticket >= PTL_LINK_DESCRIPTORS)
                return PTL_E_LOST;
        *ret_fd = ptl_steal_fd(place);
        acknowledge(link, ticket);
        return *ret_fd < 0 ? PTL_E_LOST : 0;
}
