/* SPDX-License-Identifier: Apache-2.0 */
/* task/wait.c - see wait.h for the leader, and invariants W1-W3 */
#define _GNU_SOURCE
#include "task/wait.h"
#include "base/cancel.h"
#include "base/futex.h"
#include "base/trace.h"
#include "port/reroute.h"
#include "task/left.h"
#include "task/relink.h"
#include "task/seek.h"
#include "task/restrain.h"
#include "task/task.h"
#include "task/watched.h"
#include <linux/membarrier.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum {
        POLL_DEFAULT_NS = 50000,
        POLL_FLOOR_NS = 2000,
        LOOK_NS = 1000000,   /* a thread that never sleeps looks at the epoll set this often */
        LOOKS_BETWEEN_CLOCKS = 32,
        LOOKS_BETWEEN_HINTS = 8, /* each takes the line from the peer that counts there */
        LOOKS_FOR_ROOM = 512,    /* then an attempt, whatever the hint says */
        FRAMES_A_TURN = 64,
        TURNS_OF_A_LOOK = 16, /* enough for what a ring of the first level holds */
        STALL_MS = 20,
        COLD_AFTER = 64,     /* sleeps, or ms of polling, without a frame */
        EVENTS = 64,
};

/* What an epoll event is about: a peer (64-byte aligned) and which of its descriptors. */
enum { TAG_BELL, TAG_SOCKET, TAG_SERVER, TAG_KICK, TAG_MASK = 3 };
enum { TAG_WATCHER = TAG_KICK | 4, TAG_TIMER = TAG_KICK | 8 }; /* of no peer either */

int ptl_wait_init(struct ptl_wait_state *w)
{
        struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = TAG_KICK};
        long cpus;

        *w = (struct ptl_wait_state){.epoll = epoll_create1(EPOLL_CLOEXEC),
                                     .kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                                     .poll_max_ns = POLL_DEFAULT_NS,
                                     .poll_ns = POLL_DEFAULT_NS,
                                     .cpus = 1};
        if (w->epoll < 0 || w->kick < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->kick, &ev) < 0) {
                int r = -errno;

                ptl_wait_fini(w);
                return r;
        }
        /* Of the machine, not of our affinity: a peer may be pinned to another than we are. */
        cpus = sysconf(_SC_NPROCESSORS_ONLN);
        w->cpus = cpus > 0 ? (uint32_t)cpus : 1;
        return 0;
}

void ptl_wait_fini(struct ptl_wait_state *w)
{
        w->epoll = ptl_close(w->epoll);
        w->kick = ptl_close(w->kick);
        free(w->hot_peers);
        w->hot_peers = NULL;
        w->hot = w->hot_room = 0;
}

/* --- who waits --- */

static void join(struct ptl_wait_state *w, struct ptl_waiter *waiter)
{
        ptl_store_relaxed(&waiter->signal, 0); /* relaxed: not shared yet */
        waiter->next = w->waiters;
        waiter->previous = &w->waiters;
        if (waiter->next)
                waiter->next->previous = &waiter->next;
        w->waiters = waiter;
        w->waits_room += waiter->kind == PTL_WAITS_ROOM;
}

/* E7: what was done under the lock → the waiter that sees its signal and takes the lock. */
static void signal_waiter(struct ptl_task *task, struct ptl_waiter *waiter)
{
        struct ptl_wait_state *w = &task->wait;

        ptl_store_release(&waiter->signal, 1); /* E7 */
        if (w->leader != waiter) {
                ptl_futex_wake(&waiter->signal, 1);
                return;
        }
        ptl_store_release(&w->poke, 1); /* E7 */
        if (w->asleep)
                ptl_event_raise(w->kick);
}

void ptl_wait_rethink(struct ptl_task *task)
{
        if (task->wait.leader)
                signal_waiter(task, task->wait.leader);
}

void ptl_wait_want_lead(struct ptl_task *task, struct ptl_waiter *waiter)
{
        if (task->wait.wanted)
                return; /* one after the other: it asks again */
        task->wait.wanted = waiter;
        ptl_wait_rethink(task);
}

/* W1: to who has asked for it. */
static bool hand_over(struct ptl_task *task)
{
        struct ptl_wait_state *w = &task->wait;
        struct ptl_waiter *to = w->wanted;

        w->wanted = NULL;
        if (!to || to == w->leader)
                return false;
        w->leader = to;
        signal_waiter(task, to);
        ptl_futex_wake(&to->signal, 1);
        return true;
}

/* W1: leadership goes to any other waiter, which looks for itself when it is signalled. */
static void leave(struct ptl_task *task, struct ptl_waiter *waiter)
{
        struct ptl_wait_state *w = &task->wait;

        *waiter->previous = waiter->next;
        if (waiter->next)
                waiter->next->previous = waiter->previous;
        w->waits_room -= waiter->kind == PTL_WAITS_ROOM;
        if (w->wanted == waiter)
                w->wanted = NULL;
        if (w->leader != waiter)
                return;
        w->leader = NULL;
        if (w->waiters) {
                w->leader = w->waiters;
                signal_waiter(task, w->waiters);
                ptl_futex_wake(&w->waiters->signal, 1);
        } else if (w->pollable) {
                ptl_wait_arm_all(task);
        }
}

void ptl_wait_signal_receiver(struct ptl_task *task, struct ptl_receiver *r)
{
        const struct ptl_set *set = ptl_receiver_set(r);

        for (struct ptl_waiter *x = task->wait.waiters; x; x = x->next)
                if (x->kind == PTL_WAITS_MESSAGE &&
                    (x->want.receiver == r || (set && x->want.set == set))) {
                        if (ptl_receiver_of(&task->space, r->name) != r)
                                x->want.receiver = NULL; /* it is being freed */
                        signal_waiter(task, x);
                }
}

void ptl_wait_forget_set(struct ptl_task *task, const struct ptl_set *set)
{
        for (struct ptl_waiter *x = task->wait.waiters; x; x = x->next)
                if (x->kind == PTL_WAITS_MESSAGE && x->want.set == set) {
                        x->want.set = NULL;
                        signal_waiter(task, x);
                }
}

void ptl_wait_signal_kind(struct ptl_task *task, enum ptl_waiter_kind kind)
{
        for (struct ptl_waiter *x = task->wait.waiters; x; x = x->next)
                if (x->kind == kind)
                        signal_waiter(task, x);
}

/* --- hot and cold links --- */

void ptl_wait_heat(struct ptl_task *task, struct ptl_peer *peer)
{
        struct ptl_wait_state *w = &task->wait;

        peer->idle = 0;
        if (peer->hot || peer->restrained || ptl_link_state(&peer->link) != PTL_LINK_OPEN)
                return;
        if (w->hot == w->hot_room) {
                uint32_t room = w->hot_room ? 2 * w->hot_room : 16;
                struct ptl_peer **grown;

                grown = w->polling ? NULL : realloc(w->hot_peers, room * sizeof *grown);
                if (!grown) { /* W3: the array is being read; the leader does it when it is not */
                        peer->heat_later = w->heat_later = true;
                        ptl_store_release(&w->poke, 1); /* E7 */
                        return;
                }
                w->hot_peers = grown;
                w->hot_room = room;
        }
        w->hot_peers[w->hot++] = peer;
        peer->hot = peer->watched_open = true;
        ptl_store_release(&w->poke, 1); /* E7: a polling leader takes the list anew */
}

static void cool(struct ptl_wait_state *w, struct ptl_peer *peer)
{
        if (!peer->hot)
                return;
        for (uint32_t i = 0; i < w->hot; i++) {
                if (w->hot_peers[i] == peer) {
                        w->hot_peers[i] = w->hot_peers[--w->hot];
                        break;
                }
        }
        peer->hot = false;
}

void ptl_wait_cool(struct ptl_task *task, struct ptl_peer *peer) { cool(&task->wait, peer); }

static struct ptl_bell_words *bell_of(struct ptl_peer *peer)
{
        return &ptl_outbox_head(&peer->link.mine)->bell;
}

static void arm(struct ptl_wait_state *w, struct ptl_peer *peer)
{
        ptl_bell_arm(bell_of(peer), &peer->link.sleeper);
        if (w->waits_room || ptl_control_is_pending(peer) || peer->space->lefts || peer->space->ways.count)
                ptl_bell_want(bell_of(peer), &peer->link.sleeper);
}

static void disarm(struct ptl_peer *peer)
{
        ptl_bell_disarm(bell_of(peer), &peer->link.sleeper);
        ptl_bell_unwant(bell_of(peer), &peer->link.sleeper);
}

/* --- the epoll set --- */

static int add(const struct ptl_wait_state *w, int fd, uint32_t events, uint64_t data)
{
        struct epoll_event ev = {.events = events, .data.u64 = data};

        return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

int ptl_wait_watch_socket(struct ptl_task *task, struct ptl_peer *peer, int fd)
{
        return add(&task->wait, fd, EPOLLIN | EPOLLRDHUP, (uint64_t)(uintptr_t)peer | TAG_SOCKET);
}

void ptl_wait_unwatch_socket(struct ptl_task *task, struct ptl_peer *peer, int fd)
{
        epoll_ctl(task->wait.epoll, EPOLL_CTL_DEL, fd, NULL);
        task->wait.stalled -= peer->stalled_until != 0;
        peer->stalled_until = 0;
}

/* Our own limits keep us from taking in what the socket holds, which stays readable: not a reason to wake
 * up all the time. */
static void stall(struct ptl_task *task, struct ptl_peer *peer)
{
        ptl_wait_unwatch_socket(task, peer, peer->link.socket);
        peer->stalled_until = ptl_after_ms(STALL_MS);
        task->wait.stalled++;
}

static void end_stalls(struct ptl_task *task)
{
        for (struct ptl_peer *p = task->space.peers; p; p = p->next) {
                if (!p->stalled_until || !ptl_deadline_passed(p->stalled_until))
                        continue;
                ptl_wait_unwatch_socket(task, p, p->link.socket);
                if (ptl_wait_watch_socket(task, p, p->link.socket))
                        stall(task, p);
        }
}

/* When something is to be done that nothing wakes us for. */
static ptl_time due(const struct ptl_task *task)
{
        ptl_time first = ptl_server_due(task), other = task->space.handoffs ? ptl_seek_due(task) : PTL_FOREVER;

        first = other < first ? other : first;
        for (const struct ptl_peer *p = task->wait.stalled ? task->space.peers : NULL; p; p = p->next)
                if (p->stalled_until && p->stalled_until < first)
                        first = p->stalled_until;
        return first;
}

int ptl_wait_watch(struct ptl_task *task, struct ptl_peer *peer)
{
        struct ptl_wait_state *w = &task->wait;
        uint64_t data = (uint64_t)(uintptr_t)peer;
        int r;

        if (!peer)
                return add(w, task->server.socket, EPOLLIN, TAG_SERVER);
        r = add(w, peer->link.bell, EPOLLIN | EPOLLET, data | TAG_BELL);
        if (r)
                return r;
        if (!ptl_link_is_lost(&peer->link))
                r = ptl_wait_watch_socket(task, peer, peer->link.socket);
        if (r) {
                epoll_ctl(w->epoll, EPOLL_CTL_DEL, peer->link.bell, NULL);
                return r;
        }
        peer->watched = true; /* cold, and armed since before the peer knew of us (link.c) */
        return 0;
}

void ptl_wait_unwatch(struct ptl_task *task, struct ptl_peer *peer)
{
        struct ptl_wait_state *w = &task->wait;

        if (!peer) {
                epoll_ctl(w->epoll, EPOLL_CTL_DEL, task->server.socket, NULL);
                return;
        }
        cool(w, peer);
        if (!peer->watched)
                return;
        epoll_ctl(w->epoll, EPOLL_CTL_DEL, peer->link.bell, NULL);
        ptl_wait_unwatch_socket(task, peer, peer->link.socket);
        peer->watched = false;
}

int ptl_wait_watch_timer(struct ptl_task *task, int fd)
{
        return add(&task->wait, fd, EPOLLIN | EPOLLET, TAG_TIMER);
}

int ptl_wait_watch_end(struct ptl_task *task, int fd) { return add(&task->wait, fd, 0, TAG_WATCHER); }

void ptl_wait_unwatch_end(struct ptl_task *task, int fd)
{
        epoll_ctl(task->wait.epoll, EPOLL_CTL_DEL, fd, NULL);
}

static void drain(struct ptl_task *task, struct ptl_peer *peer, struct ptl_want *want, unsigned frames)
{
        int r;

        if (!peer->link.peer.base || peer->reaped)
                return;
        r = ptl_deliver(peer, want, frames);
        if (PTL_UNLIKELY(r) && r == PTL_E_QUOTA)
                r = ptl_restrain(task, peer, want, frames);
        if (r == 0) {
                if (PTL_UNLIKELY(ptl_control_is_pending(peer)))
                        ptl_control_flush(peer);
                if (PTL_UNLIKELY(task->space.parked || task->space.early))
                        ptl_seek_drained(task, peer);
                return;
        }
        ptl_task_unlink(task, peer);
}

static bool is_ready(const struct ptl_peer *peer)
{
        return peer->link.peer.base && !peer->reaped && ptl_ring_ready(&peer->link.rx);
}

static void socket_event(struct ptl_task *task, struct ptl_peer *peer)
{
        struct ptl_link *link = &peer->link;
        bool was_open = ptl_link_state(link) == PTL_LINK_OPEN, unanswered;
        int r;

        ptl_lock(&link->lock);
        r = ptl_link_input(link);
        ptl_unlock(&link->lock);
        unanswered = ptl_link_state(link) == PTL_LINK_INTRODUCED && !link->accused && !link->refused;
        if (r == 0) {
                if (!was_open && ptl_link_state(link) == PTL_LINK_OPEN)
                        ptl_wait_heat(task, peer);
                ptl_wait_signal_kind(task, PTL_WAITS_ROOM); /* acknowledged descriptors are room */
                return;
        }
        if (r < 0) {
                stall(task, peer); /* our own limits: it is tried again */
                return;
        }
        if (r == PTL_E_MALFORMED || link->accused) {
                link->lies++;
                task->space.counters.lies++;
        }
        if (!unanswered || !ptl_relink_begin(task, peer))
                ptl_task_unlink(task, peer);
}

static void event(struct ptl_task *task, const struct epoll_event *ev)
{
        struct ptl_peer *peer = (struct ptl_peer *)(uintptr_t)(ev->data.u64 & ~(uint64_t)TAG_MASK);

        switch (ev->data.u64 & TAG_MASK) {
        case TAG_BELL:
                if (peer->reaped)
                        return;
                peer->link.bells_heard++;
                if (ptl_link_state(&peer->link) == PTL_LINK_INTRODUCED)
                        socket_event(task, peer); /* its HELLO came before its first ring */
                else
                        ptl_wait_heat(task, peer);
                if (!peer->reaped && ptl_control_is_pending(peer))
                        ptl_control_flush(peer); /* a ring for room */
                return;
        case TAG_SOCKET:
                if (!peer->reaped)
                        socket_event(task, peer);
                return;
        case TAG_SERVER:
                ptl_server_input(task);
                return;
        default: /* TAG_KICK: somebody signalled */
                if (ev->data.u64 == TAG_WATCHER)
                        ptl_watched_look(task);
                else if (ev->data.u64 == TAG_TIMER)
                        ptl_board_timer(&task->board);
                return;
        }
}

/* What is still to be written to whoever, as far as there is room. */
static void flush_pending(struct ptl_task *task)
{
        for (struct ptl_peer *p = task->space.pending ? task->space.peers : NULL; p; p = p->next)
                if (ptl_control_is_pending(p))
                        ptl_control_flush(p);
}

/* Takes edges in. The lock is held but for the sleep. Peers that die here are kept until the batch is
 * through, since a later event may name them. */
static void collect(struct ptl_task *task, int timeout_ms)
{
        PTL_NO_CANCEL;
        struct ptl_wait_state *w = &task->wait;
        struct epoll_event events[EVENTS];
        int epoll = w->epoll, n;

        timeout_ms = ptl_board_look(task, timeout_ms);
        if (timeout_ms) {
                ptl_board_sleeps(&task->board, true);
                w->asleep = true;
                ptl_unlock(&task->space.lock);
        }
        n = epoll_wait(epoll, events, EVENTS, timeout_ms);
        if (timeout_ms) {
                ptl_lock(&task->space.lock);
                w->asleep = false;
                ptl_board_sleeps(&task->board, false);
                task->space.counters.sleeps++;
        }
        w->looked_now = true;
        w->since_look = 0;
        for (int i = 0; i < n; i++) {
                uint64_t data = events[i].data.u64;

                if ((data & TAG_MASK) <= TAG_SOCKET)
                        ptl_peer_ref((struct ptl_peer *)(uintptr_t)(data & ~(uint64_t)TAG_MASK));
        }
        for (int i = 0; i < n; i++)
                event(task, &events[i]);
        for (int i = 0; i < n; i++) {
                uint64_t data = events[i].data.u64;

                if ((data & TAG_MASK) <= TAG_SOCKET)
                        ptl_peer_unref((struct ptl_peer *)(uintptr_t)(data & ~(uint64_t)TAG_MASK));
        }
        if (n > 0 && w->waits_room)
                ptl_wait_signal_kind(task, PTL_WAITS_ROOM);
        if (PTL_UNLIKELY(task->space.lefts != NULL))
                ptl_left_check(task);
        if (PTL_UNLIKELY(task->server.state == PTL_SERVER_CONNECTING || task->server.lost_links))
                ptl_server_step(task);
        if (PTL_UNLIKELY(w->stalled))
                end_stalls(task);
        if (PTL_UNLIKELY(task->space.handoffs))
                ptl_seek_step(task);
        if (PTL_UNLIKELY(task->space.ways.count))
                ptl_ways_step(&task->space);
}

/* --- one turn of the leader --- */

/* Links that could not become hot while the leader read the list. */
static void heat_late(struct ptl_task *task)
{
        task->wait.heat_later = false;
        for (struct ptl_peer *p = task->space.peers; p; p = p->next)
                if (p->heat_later) {
                        p->heat_later = false;
                        ptl_wait_heat(task, p);
                }
}

/* Drains every hot link that has something, from a new one each turn. Returns whether one had. */
static bool drain_hot(struct ptl_task *task, struct ptl_want *want)
{
        struct ptl_wait_state *w = &task->wait;
        bool any = false;

        for (uint32_t i = 0; i < w->hot && !ptl_want_is_met(want); i++) {
                struct ptl_peer *peer = w->hot_peers[(w->turn + i) % w->hot];

                if (!is_ready(peer))
                        continue;
                any = true;
                peer->idle = 0;
                drain(task, peer, want, FRAMES_A_TURN);
        }
        w->turn++;
        return any;
}

/* Nothing but messages is looked for: the program asks for the rest by itself. */
static bool is_memory_enough(const struct ptl_wait_state *w)
{
        return w->how == PTL_WAIT_MEMORY && w->hot;
}

/* Was the epoll set looked at within the last ms? The time of a look is taken at the first question after
 * it: a task that sleeps after every message then reads no clock at all. */
static bool looked_lately(struct ptl_wait_state *w)
{
        ptl_time now;

        if (is_memory_enough(w))
                return true;
        now = ptl_now();
        if (w->looked_now) {
                w->looked_now = false;
                w->looked = now;
        }
        return now - w->looked < LOOK_NS;
}

/* Links on which nothing came for long are armed and left alone until they ring. */
static void age_links(struct ptl_task *task)
{
        struct ptl_wait_state *w = &task->wait;

        for (uint32_t i = 0; i < w->hot;) {
                struct ptl_peer *peer = w->hot_peers[i];

                if (++peer->idle < COLD_AFTER || w->hot == 1) {
                        i++;
                        continue;
                }
                arm(w, peer);
                ptl_fence_seq_cst(); /* E3 */
                if (is_ready(peer)) {
                        peer->idle = 0;
                        i++;
                        continue;
                }
                cool(w, peer);
        }
}

void ptl_wait_tick_slow(struct ptl_task *task, struct ptl_wait_state *w, struct ptl_want *want)
{
        if (w->leader)
                return;
        w->since_look = 0;
        if (looked_lately(w))
                return;
        collect(task, 0);
        flush_pending(task);
        age_links(task); /* polling that always finds something never comes to it otherwise */
        if (!ptl_want_is_met(want))
                drain_hot(task, want);
}

/* Cold links that have something, found without a system call. */
static void heat_ready(struct ptl_task *task)
{
        for (struct ptl_peer *p = task->space.peers; p; p = p->next)
                if (!p->hot && is_ready(p))
                        ptl_wait_heat(task, p); /* but not who is held back */
}

void ptl_wait_look(struct ptl_task *task, struct ptl_want *want)
{
        struct ptl_wait_state *w = &task->wait;

        if (w->leader)
                return;
        if (drain_hot(task, want) && ptl_want_is_met(want))
                return;
        if (!is_memory_enough(w) && (w->pollable || w->looked_now || !looked_lately(w))) {
                collect(task, 0);
                flush_pending(task);
                w->looked = ptl_now(); /* from here, not from the next question */
                w->looked_now = false;
        } else {
                heat_ready(task);
        }
        for (int i = 0; i < TURNS_OF_A_LOOK && !ptl_want_is_met(want) && drain_hot(task, want); i++)
                ;
        ptl_served_serve(task);
}

bool ptl_wait_drain(struct ptl_task *task, struct ptl_want *want)
{
        return !task->wait.leader && drain_hot(task, want);
}

size_t ptl_wait_run(struct ptl_task *task, ptl_port port, struct ptl_message *messages, size_t max)
{
        struct ptl_receiver *r = ptl_receiver_of(&task->space, port);
        struct ptl_wait_state *w = &task->wait;

        if (w->leader || w->hot != 1 || !r || r->head || !is_ready(w->hot_peers[0]))
                return 0;
        return ptl_deliver_run(w->hot_peers[0], r, messages, max);
}

void ptl_wait_catch_up(struct ptl_task *task)
{
        if (task->wait.leader)
                return;
        for (int i = 0; i < 4; i++) { /* an introduction, its HELLO, its first frames */
                collect(task, 0);
                drain_hot(task, NULL);
        }
        ptl_served_serve(task);
}

bool ptl_wait_poll_is_pointless(struct ptl_wait_state *w)
{
        uint32_t cpu = (uint32_t)sched_getcpu();
        bool elsewhere = w->hot == 0;

        for (uint32_t i = 0; i < w->hot; i++) {
                struct ptl_peer *peer = w->hot_peers[i];

                ptl_link_show_cpu(&peer->link, cpu);
                elsewhere |= ptl_link_peer_cpu(&peer->link) != cpu;
        }
        return w->cpus == 1 || !elsewhere;
}

/*
 * Polls without the lock, which the list of hot links allows for (W3). Returns true when there is
 * something to look at with the lock.
 */
static bool poll_hot(struct ptl_task *task, const struct ptl_waiter *waiter, ptl_time until)
{
        struct ptl_wait_state *w = &task->wait;
        struct ptl_peer *const *peers = w->hot_peers;
        uint32_t n = w->hot;

        for (unsigned k = 1;; k++) {
                for (uint32_t i = 0; i < n; i++)
                        if (ptl_ring_ready(&peers[i]->link.rx))
                                return true;
                if (waiter->hint && k % LOOKS_BETWEEN_HINTS == 0 &&
                    (waiter->hint(waiter) || k >= LOOKS_FOR_ROOM))
                        return true;
                if (ptl_load_relaxed(&w->poke)) /* relaxed: the lock is taken next */
                        return true;
                ptl_pause();
                if (k % LOOKS_BETWEEN_CLOCKS == 0 && ptl_now() >= until)
                        return false;
        }
}

static ptl_time earlier(ptl_time a, ptl_time b) { return a < b ? a : b; }

/* Polling paid if it ended the wait, or if the sleep after it was shorter than the longest poll. */
static void adapt(struct ptl_wait_state *w, ptl_time slept)
{
        if (slept <= w->poll_max_ns)
                w->poll_ns = w->poll_max_ns;
        else if (w->poll_ns > POLL_FLOOR_NS)
                w->poll_ns /= 2;
}

/*
 * Who gives room back looks at `wanting` behind a fence only once in a quarter (shm/bell.h): a sleeper for
 * room makes up for the fences in between, by one on every CPU that runs a task. Where the kernel refuses,
 * a sender may sleep until the next quarter is given back.
 */
static void barrier_others(void)
{
        syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
}

/* W2: arm, fence, look; then it is safe to sleep. */
static bool arm_and_look(struct ptl_task *task, struct ptl_waiter *waiter)
{
        struct ptl_wait_state *w = &task->wait;
        bool room = w->waits_room || task->space.lefts || task->space.ways.count, pending = task->space.pending;

        for (uint32_t i = 0; i < w->hot; i++)
                arm(w, w->hot_peers[i]);
        for (struct ptl_peer *p = room || pending ? task->space.peers : NULL; p; p = p->next)
                if (!p->hot && (room || ptl_control_is_pending(p)))
                        arm(w, p); /* cold links too may be what is waited for */
        ptl_fence_seq_cst(); /* E3 */
        if (room || pending)
                barrier_others();
        flush_pending(task);
        if (PTL_UNLIKELY(task->space.lefts != NULL))
                ptl_left_check(task);
        if (PTL_UNLIKELY(task->space.ways.count))
                ptl_ways_step(&task->space);
        for (uint32_t i = 0; i < w->hot; i++)
                if (is_ready(w->hot_peers[i]))
                        return false;
        return !ptl_load_relaxed(&w->poke) && /* relaxed: stored under the lock that we hold */
               !(waiter->hint && waiter->hint(waiter)) && !waiter->check(task, waiter);
}

static void disarm_hot(struct ptl_wait_state *w)
{
        if (w->pollable)
                return;
        for (uint32_t i = 0; i < w->hot; i++)
                disarm(w->hot_peers[i]);
}

static void sleep_now(struct ptl_task *task, struct ptl_waiter *waiter, ptl_time deadline)
{
        struct ptl_wait_state *w = &task->wait;
        bool polls = w->how == PTL_WAIT_ADAPTIVE;
        ptl_time begun = 0;

        if (!arm_and_look(task, waiter)) {
                disarm_hot(w);
                return;
        }
        if (polls)
                begun = ptl_now();
        collect(task, ptl_deadline_ms(earlier(deadline, due(task))));
        if (polls)
                adapt(w, ptl_now() - begun);
        age_links(task);
        disarm_hot(w);
}

static struct ptl_peer *first_ready(const struct ptl_wait_state *w)
{
        for (uint32_t i = 0; i < w->hot; i++)
                if (is_ready(w->hot_peers[i]))
                        return w->hot_peers[i];
        return NULL;
}

/* As sleep_now(), where frames are all that anybody waits for. */
static struct ptl_peer *sleep_for_frame(struct ptl_task *task, ptl_time deadline)
{
        struct ptl_wait_state *w = &task->wait;
        struct ptl_peer *peer;

        for (uint32_t i = 0; i < w->hot; i++)
                arm(w, w->hot_peers[i]);
        ptl_fence_seq_cst(); /* E3 */
        peer = first_ready(w);
        if (!peer) {
                collect(task, ptl_deadline_ms(earlier(deadline, due(task))));
                age_links(task);
                /* Who came to watch meanwhile is to see the very next frame: the long way shows it. */
                peer = ptl_trace_is_on() ? NULL : first_ready(w);
        }
        disarm_hot(w);
        return peer;
}

struct ptl_peer *ptl_wait_frame(struct ptl_task *task, ptl_time deadline)
{
        struct ptl_wait_state *w = &task->wait;
        struct ptl_peer *peer = w->how == PTL_WAIT_BLOCK ? NULL : ptl_wait_poll(w, deadline);

        /* Who spins never sleeps; what was polled for in vain is told to adapt(): the long way does both. */
        if (peer || w->polled || ptl_wait_spins(w) || task->space.pending || task->space.lefts || task->space.ways.count)
                return peer;
        return sleep_for_frame(task, deadline);
}

/* One round: poll, and if that brought nothing, sleep. The lock is held on entry and exit. */
static void lead(struct ptl_task *task, struct ptl_waiter *waiter, ptl_time deadline)
{
        struct ptl_wait_state *w = &task->wait;
        struct ptl_want *want = waiter->kind == PTL_WAITS_MESSAGE ? &waiter->want : NULL;
        bool spin = ptl_wait_spins(w), found = false, polled = w->polled;

        ptl_store_relaxed(&w->poke, 0); /* relaxed: under the lock */
        w->polled = false;
        if (PTL_UNLIKELY(task->served.due)) {
                ptl_served_serve(task);
                return;
        }
        if (PTL_UNLIKELY(w->heat_later))
                heat_late(task);
        if (++w->since_look % 8 == 0 && !looked_lately(w)) {
                collect(task, 0); /* whatever polling finds, newcomers and deaths are seen */
                age_links(task);
        }
        if (drain_hot(task, want))
                return;
        if (spin || (w->how == PTL_WAIT_ADAPTIVE && !polled && w->hot && !ptl_wait_poll_is_pointless(w))) {
                ptl_time until = ptl_now() + (spin ? LOOK_NS : w->poll_ns);

                w->polling = true;
                ptl_unlock(&task->space.lock);
                found = poll_hot(task, waiter, earlier(until, deadline));
                ptl_lock(&task->space.lock);
                w->polling = false;
                if (PTL_UNLIKELY(w->waits_room > (waiter->kind == PTL_WAITS_ROOM)))
                        ptl_wait_signal_kind(task, PTL_WAITS_ROOM); /* theirs are not our hints */
        }
        if (found) {
                ptl_wait_poll_won(w);
                drain_hot(task, want);
        } else if (spin) {
                if (is_memory_enough(w) && waiter->kind == PTL_WAITS_MESSAGE)
                        return;
                collect(task, 0);
                age_links(task);
        } else if (!ptl_deadline_passed(deadline)) {
                sleep_now(task, waiter, deadline);
        }
}

/* Rounds of looks between clock readings are short enough for a peer's death to be seen in time. */
struct ptl_peer *ptl_wait_poll(struct ptl_wait_state *w, ptl_time deadline)
{
        bool spin = ptl_wait_spins(w);
        ptl_time until = 0;

        w->polled = false;
        for (unsigned k = 1;; k++) {
                for (uint32_t i = 0; i < w->hot; i++) {
                        if (!ptl_ring_ready(&w->hot_peers[i]->link.rx))
                                continue;
                        if (k > 1)
                                ptl_wait_poll_won(w);
                        return w->hot_peers[i];
                }
                if (k == 1 && ptl_wait_poll_is_pointless(w))
                        return NULL;
                ptl_pause();
                if (k % LOOKS_BETWEEN_CLOCKS)
                        continue;
                if (!until)
                        until = earlier(ptl_now() + (spin ? LOOK_NS : w->poll_ns), deadline);
                else if (ptl_now() >= until)
                        break;
        }
        w->polled = true;
        return NULL;
}

bool ptl_wait_quick(struct ptl_task *task, struct ptl_want *want, ptl_time deadline)
{
        struct ptl_wait_state *w = &task->wait;
        struct ptl_peer *peer;

        if (!PTL_SINGLE_THREADED || w->waiters || w->how == PTL_WAIT_BLOCK || w->polled)
                return false;
        while (w->hot && !task->served.due && (peer = ptl_wait_poll(w, deadline))) {
                peer->idle = 0;
                drain(task, peer, want, FRAMES_A_TURN);
                if (ptl_want_is_met(want)) {
                        if (PTL_UNLIKELY(w->pollable))
                                ptl_wait_arm_all(task);
                        return true;
                }
                if (want->receiver ? want->receiver->head != NULL : true)
                        return false; /* queued meanwhile, or a port freed: look there */
        }
        return false;
}

/* Sleeps until signalled; E7. */
static void follow(struct ptl_task *task, struct ptl_waiter *waiter, ptl_time deadline)
{
        ptl_unlock(&task->space.lock);
        while (!ptl_load_acquire(&waiter->signal) && !ptl_deadline_passed(deadline)) /* E7 */
                ptl_futex_wait(&waiter->signal, 0, deadline);
        ptl_lock(&task->space.lock);
        ptl_store_relaxed(&waiter->signal, 0); /* relaxed: under the lock */
}

int ptl_wait_for(struct ptl_task *task, struct ptl_waiter *waiter, ptl_time deadline)
{
        struct ptl_wait_state *w = &task->wait;
        bool done;

        join(w, waiter);
        if (waiter->kind == PTL_WAITS_ROOM && w->asleep)
                ptl_wait_rethink(task); /* the leader sleeps without having asked for room */
        while (!(done = waiter->check(task, waiter)) && !ptl_deadline_passed(deadline)) {
                if (!w->leader)
                        w->leader = waiter;
                if (w->leader == waiter && !hand_over(task)) {
                        lead(task, waiter, deadline);
                        continue;
                }
                follow(task, waiter, deadline);
        }
        leave(task, waiter);
        return done ? 0 : PTL_E_TIMEOUT;
}

void ptl_wait_arm_all(struct ptl_task *task)
{
        struct ptl_wait_state *w = &task->wait;

        for (uint32_t i = 0; i < w->hot; i++)
                arm(w, w->hot_peers[i]);
        ptl_fence_seq_cst(); /* E3 */
        for (uint32_t i = 0; i < w->hot; i++)
                if (is_ready(w->hot_peers[i])) {
                        ptl_event_raise(w->kick); /* it came before the arming: nobody rings for it */
                        return;
                }
}

bool ptl_wait_stay_armed(struct ptl_task *task)
{
        struct ptl_wait_state *w = &task->wait;

        if (!w->pollable || w->leader)
                return true;
        ptl_wait_arm_all(task);
        for (uint32_t i = 0; i < w->hot; i++)
                if (is_ready(w->hot_peers[i]))
                        return false;
        return true;
}
