/* SPDX-License-Identifier: Apache-2.0 */
/* task/start.c - becoming a task, forking, leaving; links come and go (task.h) */
#define _GNU_SOURCE
#include "base/cancel.h"
#include "link/trace_frame.h"
#include "port/handoff.h"
#include "port/moving.h"
#include "port/regions.h"
#include "shm/spare.h"
#include "task/call.h"
#include "task/family.h"
#include "task/left.h"
#include "task/relink.h"
#include "task/resend.h"
#include "task/seek.h"
#include "task/restrain.h"
#include "task/task.h"
#include "task/watched.h"
#include <linux/membarrier.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

struct ptl_task ptl_the_task;

static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;

static void raise_descriptors(const struct ptl_receiver_more *more)
{
        if (more->descriptor >= 0)
                ptl_event_raise(more->descriptor);
        if (more->set && more->set->descriptor >= 0)
                ptl_event_raise(more->set->descriptor);
}

/* Called with the lock held: a queue has something, or its port is gone. */
static void on_ready(struct ptl_space *space, struct ptl_receiver *receiver)
{
        struct ptl_task *task = PTL_CONTAINER(space, struct ptl_task, space);

        if (PTL_UNLIKELY(receiver->internal))
                ptl_served_arrived(task, receiver);
        if (PTL_UNLIKELY(task->wait.waiters != NULL)) {
                ptl_wait_signal_receiver(task, receiver);
                if (task->wait.waits_room)
                        ptl_wait_signal_kind(task, PTL_WAITS_ROOM);
        }
        if (PTL_UNLIKELY(task->wait.pollable))
                ptl_event_raise(task->wait.kick);
        if (PTL_UNLIKELY(receiver->more != NULL))
                raise_descriptors(receiver->more);
}

static void on_room(struct ptl_space *space)
{
        struct ptl_task *task = PTL_CONTAINER(space, struct ptl_task, space);

        if (task->wait.waits_room)
                ptl_wait_signal_kind(task, PTL_WAITS_ROOM);
}

static void on_opened(struct ptl_space *space, struct ptl_peer *peer)
{
        struct ptl_task *task = PTL_CONTAINER(space, struct ptl_task, space);

        ptl_wait_heat(task, peer);
        if (task->wait.asleep)
                ptl_wait_rethink(task);
}

static struct ptl_peer *on_seek(struct ptl_space *space, struct ptl_task_id id, struct ptl_task_id granter)
{
        return ptl_seek(PTL_CONTAINER(space, struct ptl_task, space), id, granter);
}

static void on_rethink(struct ptl_space *space)
{
        ptl_wait_rethink(PTL_CONTAINER(space, struct ptl_task, space));
}

/* A word that the kernel clears in a child: forks that pass our handlers by are noticed by it. */
static int make_alive(struct ptl_task *task)
{
        _Atomic uint32_t *word = (void *)task->alive;

        if (!word) {
                word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                if (word == MAP_FAILED)
                        return -errno;
                madvise((void *)word, 4096, MADV_WIPEONFORK);
                task->alive = word;
        }
        ptl_store_relaxed(word, 1); /* relaxed: read by this process's threads after its start */
        return 0;
}

static void choose_wait(struct ptl_wait_state *w)
{
        const char *how = secure_getenv("PORTOLAN_WAIT");

        if (how && !strcmp(how, "spin"))
                w->how = PTL_WAIT_SPIN;
        else if (how && !strcmp(how, "block"))
                w->how = PTL_WAIT_BLOCK;
        else if (how && !strcmp(how, "memory"))
                w->how = PTL_WAIT_MEMORY;
}

static void before_fork(void)
{
        pthread_mutex_lock(&starting);
        ptl_lock(&ptl_the_task.space.lock);
}

static void parent_after_fork(void)
{
        ptl_unlock(&ptl_the_task.space.lock);
        pthread_mutex_unlock(&starting);
}

/*
 * The child is a new task. The outboxes are not mapped in it (MADV_DONTFORK); descriptors it has copies
 * of are closed, so that they neither keep links alive nor haunt the parent's epoll set.
 */
static void close_descriptors(struct ptl_space *space, bool quiet)
{
        for (uint32_t i = 1; i < space->entries.fresh; i++) {
                struct ptl_entry *e = ptl_table_at(&space->entries, i);

                if (e->rights & PTL_RIGHT_RECEIVE) {
                        struct ptl_receiver_more *more = e->receiver->more;

                        if (!more)
                                continue;
                        ptl_close(more->descriptor);
                        ptl_close(more->poll);
                        if (quiet)
                                free(more);
                        e->receiver->more = NULL;
                } else if (e->rights & PTL_RIGHT_SET) {
                        ptl_close(e->set->descriptor);
                        ptl_close(e->set->poll);
                }
        }
}

static void forget_all(bool quiet)
{
        struct ptl_task *task = &ptl_the_task;
        struct ptl_peer *peer = task->space.peers;

        task->space.peers = NULL;
        while (peer) {
                struct ptl_peer *next = peer->next;

                peer->link.mine.base = peer->link.peer.base = NULL;
                ptl_link_kill(&peer->link);
                ptl_link_fini(&peer->link);
                peer = next; /* its tables are small and stay: names may point to it, never used */
        }
        ptl_trace_forked();
        ptl_server_fini(task, true);
        ptl_wait_fini(&task->wait);
        ptl_regions_forked();
        close_descriptors(&task->space, quiet);
        ptl_handoff_forked(&task->space);
        ptl_ways_forked(&task->space);
        ptl_moving_forked(&task->space);
        ptl_space_fork(&task->space, quiet);
        ptl_call_forked();
        task->served = (struct ptl_served){0};
        task->started = false;
}

static void child_after_fork(void)
{
        if (ptl_the_task.started)
                forget_all(true); /* before_fork() holds the lock */
        else
                ptl_the_task.space.lock = (struct ptl_lock){0};
        pthread_mutex_unlock(&starting);
}

static void register_fork(void)
{
        static bool registered;

        if (!registered)
                registered = pthread_atfork(before_fork, parent_after_fork, child_after_fork) == 0;
}

static int start_locked(struct ptl_task *task)
{
        int r;

        if (task->started && task->alive && !ptl_load_relaxed(task->alive)) /* relaxed: see enter */
                forget_all(false); /* by a bare clone(): late, but before anything is used */
        if (task->started)
                return 0;
        if (!task->space.epoch)
                ptl_space_init(&task->space);
        r = make_alive(task);
        if (!r)
                r = ptl_wait_init(&task->wait);
        if (r)
                return r;
        ptl_trace_start();
        choose_wait(&task->wait);
        ptl_server_init(&task->server);
        register_fork();
        syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0); /* see task/wait.c */
        task->space.ready = on_ready;
        task->space.room = on_room;
        task->space.rethink = on_rethink;
        task->space.opened = on_opened;
        task->space.published = ptl_names_has_port;
        task->space.seek = on_seek;
        task->space.ways.send = ptl_resend;
        task->space.me = &task->identity;
        task->space.renamed = ptl_right_renamed;
        task->space.dying = ptl_names_port_dies;
        task->space.let_go = ptl_restrain_end;
        task->identity = (struct ptl_identity){.pid = getpid(), .uid = geteuid(), .gid = getegid()};
        ptl_quota_start(&task->space.quota, task->identity.uid);
        task->space.epoch++;
        task->started = true;
        return 0;
}

int ptl_task_start(void)
{
        uint32_t epoch;
        bool is_new;
        int r;

        pthread_mutex_lock(&starting);
        epoch = ptl_the_task.space.epoch;
        r = start_locked(&ptl_the_task);
        is_new = ptl_the_task.space.epoch != epoch;
        pthread_mutex_unlock(&starting);
        if (!r && is_new)
                ptl_family_report();
        return r;
}

struct ptl_peer *ptl_task_find_peer(const struct ptl_task *task, struct ptl_task_id id)
{
        struct ptl_peer *oldest = NULL;

        for (struct ptl_peer *p = task->space.peers; p; p = p->next)
                if (p->link.identity.task.high == id.high && p->link.identity.task.low == id.low &&
                    ptl_link_state(&p->link) != PTL_LINK_DEAD)
                        oldest = p;
        return oldest;
}

int ptl_task_link(struct ptl_task *task, int socket, const struct ptl_identity *identity, uint32_t server,
                  struct ptl_peer **ret_peer)
{
        struct ptl_peer *peer;
        int r = ptl_peer_new(&task->space, socket, identity, &peer);

        if (r)
                return r;
        r = ptl_wait_watch(task, peer);
        if (r) {
                peer->link.socket = -EBADF; /* not consumed */
                ptl_peer_unref(peer);
                return r;
        }
        peer->relink.server = server;
        peer->next = task->space.peers;
        task->space.peers = peer;
        task->space.counters.links_made++;
        ptl_quota_charge(peer, PTL_QUOTA_LINKS, 1);
        if (ptl_trace_is_on())
                ptl_trace_line("link with pid %d", (int)identity->pid);
        ptl_board_event(task);
        *ret_peer = peer;
        return 0;
}

static void forget(struct ptl_task *task, struct ptl_peer *peer)
{
        struct ptl_peer **at = &task->space.peers;

        while (*at && *at != peer)
                at = &(*at)->next;
        if (!*at)
                return;
        *at = peer->next;
        ptl_quota_give(peer, PTL_QUOTA_LINKS, 1);
}

/* What a dead peer had published is delivered first: whole messages only are in its ring. It may have
 * died before we first looked at its socket, where its HELLO lies. */
static void drain_rest(struct ptl_peer *peer)
{
        if (ptl_link_state(&peer->link) == PTL_LINK_INTRODUCED) {
                ptl_lock(&peer->link.lock);
                (void)!ptl_link_input(&peer->link);
                ptl_unlock(&peer->link.lock);
        }
        /* Bounded by what its rings can hold: one that lives on may go on writing. */
        if (peer->link.peer.base && !peer->link.lies)
                (void)!ptl_deliver(peer, NULL, PTL_RINGS_SIZE / PTL_FRAME_HEAD);
}

void ptl_task_unlink(struct ptl_task *task, struct ptl_peer *peer)
{
        if (peer->reaped)
                return;
        if (ptl_trace_is_on())
                ptl_trace_line("link with pid %d ends", (int)peer->link.identity.pid);
        peer->reaped = true;
        ptl_relink_end(task, peer);
        ptl_restrain_forget(task, peer);
        ptl_peer_ref(peer);
        drain_rest(peer);
        ptl_lock(&peer->link.lock);
        ptl_link_kill(&peer->link); /* under both locks: senders look under either */
        ptl_unlock(&peer->link.lock);
        ptl_wait_unwatch(task, peer);
        ptl_peer_died(peer);
        forget(task, peer);
        ptl_peer_unref(peer); /* the list's */
        ptl_wait_signal_kind(task, PTL_WAITS_ROOM);
        ptl_left_check(task);
        ptl_board_remember(task, peer);
        ptl_board_event(task);
        ptl_peer_unref(peer);
}

static void free_names(struct ptl_space *space)
{
        space->leaving = true;
        for (uint32_t i = 1; i < space->entries.fresh; i++) {
                struct ptl_entry *e = ptl_table_at(&space->entries, i);

                if (e->rights & PTL_RIGHT_RECEIVE)
                        ptl_receiver_free(space, e->receiver);
        }
        for (uint32_t i = 1; i < space->entries.fresh; i++) {
                struct ptl_entry *e = ptl_table_at(&space->entries, i);

                if (e->rights & PTL_RIGHT_SET) {
                        ptl_close(e->set->descriptor);
                        ptl_close(e->set->poll);
                        free(e->set);
                }
                if (e->rights)
                        ptl_space_remove(space, e);
        }
        space->leaving = false;
}

static void leave_locked(struct ptl_task *task)
{
        ptl_board_drop(task, false);
        task->leaving = true;
        while (task->space.peers)
                ptl_task_unlink(task, task->space.peers);
        ptl_tickets_drop(&task->space);
        task->leaving = false;
        ptl_watched_end(task);
        ptl_server_fini(task, false);
        ptl_moving_drop(&task->space);
        free_names(&task->space);
        ptl_receivers_fini(&task->space);
        ptl_call_left();
        ptl_spare_drop();
        ptl_wait_fini(&task->wait);
        while (task->space.cells) {
                struct ptl_queued *q = task->space.cells;

                task->space.cells = q->next;
                free(q);
        }
        task->space.n_cells = 0;
        task->board = (struct ptl_task_board){0};
        task->served = (struct ptl_served){0};
        task->started = false;
}

int ptl_task_leave(void)
{
        struct ptl_task *task = &ptl_the_task;
        int r = 0;

        if (!task->started)
                return 0;
        ptl_lock(&task->space.lock);
        if (task->wait.waiters)
                r = PTL_E_BUSY;
        else
                leave_locked(task);
        ptl_unlock(&task->space.lock);
        return r;
}

/* At exit: peers learn of it from the kernel anyway; memory checkers like it tidy. */
__attribute__((destructor)) static void at_exit(void)
{
        struct ptl_task *task = &ptl_the_task;

        /* relaxed: as in ptl_task_enter() */
        if (task->started && task->alive && ptl_load_relaxed(task->alive) && !task->wait.waiters)
                (void)ptl_task_leave();
        ptl_trace_stop();
}

const char *ptl_version(void) { return PTL_VERSION; }
