/* SPDX-License-Identifier: Apache-2.0 */
/* task/board.c - see board.h */
#include "task/board.h"
#include "base/cleanup.h"
#include "base/trace.h"
#include "shm/outbox.h"
#include "task/statistics.h"
#include "task/task.h"
#include "task/window.h"
#include <limits.h>
#include <string.h>
#include <sys/timerfd.h>

enum {
        NS_PER_MS = 1000000,
        EVERY_MS = 100,
        TICK_MS = 10,         /* how late the cheap clock may be */
        SHARE_OF_LOOKS = 100, /* one part of so many of the time */
        SHARE_OF_EVENTS = 20,
        SMALL = 512, /* a task of so few names and (eight times) links writes at every event */
        SEEN_ENTRIES =
                1 << 16, /* names that are looked at for a writing; the rest is only counted */
        SEEN_PEERS = 1 << 12,
        SEEN_NAMES = 1 << 12,
        SLOTS = 2 * PTL_VIEW_PORTS,
};

/* Rows in the making: where the row of a name is, by a hash with linear probing. */
struct rows {
        struct ptl_board *board;
        uint32_t n;
        uint16_t at[SLOTS]; /* row + 1 */
};

static uint32_t slot_of(ptl_port name) { return name * 2654435761u >> 16 & (SLOTS - 1); }

static void remember(struct rows *rows, ptl_port name)
{
        uint32_t s = slot_of(name);

        while (rows->at[s])
                s = (s + 1) % SLOTS;
        rows->at[s] = (uint16_t)(rows->n + 1);
}

static struct ptl_port_view *row_of(const struct rows *rows, ptl_port name)
{
        for (uint32_t s = slot_of(name); rows->at[s]; s = (s + 1) % SLOTS) {
                struct ptl_port_view *row = &rows->board->ports[rows->at[s] - 1];

                if (row->name == name)
                        return row;
        }
        return NULL;
}

/* --- ports --- */

static void view_receiver(struct ptl_port_view *v, const struct ptl_entry *e)
{
        const struct ptl_receiver *r = e->receiver;
        const struct ptl_set *set = ptl_receiver_set(r);

        v->queued = r->queued;
        v->limit_messages = r->limit_messages;
        v->limit_bytes = e->limit_bytes;
        v->received = r->received;
        v->set = set ? set->name : PTL_NULL;
        v->is_published = ptl_receiver_ticket(r) != 0;
}

static void view_sender(struct ptl_port_view *v, struct ptl_entry *e)
{
        ptl_window_refresh(e);
        v->peer_pid = e->peer->link.identity.pid;
        v->in_flight = e->sent - e->taken;
        v->in_flight_units = e->sent_units - e->taken_units;
        v->window = e->limit_messages;
        v->window_units = e->limit_units;
}

static void add_port(struct rows *rows, struct ptl_entry *e)
{
        struct ptl_port_view v = {
                .name = ptl_entry_name(e), .rights = e->rights, .references = e->references};

        if (e->rights & PTL_RIGHT_RECEIVE)
                view_receiver(&v, e);
        else if (e->peer && e->rights & (PTL_RIGHT_SEND | PTL_RIGHT_SEND_ONCE))
                view_sender(&v, e);
        remember(rows, v.name);
        rows->board->ports[rows->n++] = v;
}

static bool is_shown(const struct ptl_entry *e)
{
        return e->rights && !(e->flags & PTL_ENTRY_FORKED) &&
               !(e->rights & PTL_RIGHT_RECEIVE && e->receiver->internal);
}

/* What is full or filling comes first: it is what one looks for. */
static bool is_pressing(const struct ptl_entry *e)
{
        if (e->rights & PTL_RIGHT_RECEIVE)
                return e->receiver->queued > 0;
        return e->peer && e->rights & PTL_RIGHT_SEND && e->sent != e->taken;
}

static void add_ports(struct rows *rows, const struct ptl_space *space, bool pressing)
{
        uint32_t n = space->entries.fresh < SEEN_ENTRIES ? space->entries.fresh : SEEN_ENTRIES;

        for (uint32_t i = 1; i < n && rows->n < PTL_VIEW_PORTS; i++) {
                struct ptl_entry *e = ptl_table_at(&space->entries, i);

                if (is_shown(e) && is_pressing(e) == pressing &&
                    (pressing ||
                     !row_of(rows, ptl_entry_name(e)))) /* a window may move meanwhile */
                        add_port(rows, e);
        }
}

static void name_ports(const struct rows *rows, const struct ptl_published *p)
{
        for (int i = 0; p && i < SEEN_NAMES; p = p->next, i++) {
                struct ptl_port_view *row = p->body.kind == PTL_SM_KIND_PORT
                                                    ? row_of(rows, (ptl_port)p->body.ticket)
                                                    : NULL;

                if (row)
                        memcpy(row->published, p->name,
                               strnlen(p->name, sizeof row->published - 1));
        }
}

static void write_ports(struct ptl_task *task, struct ptl_board *board)
{
        uint32_t names = task->space.entries.used - task->space.internal;
        struct rows rows = {.board = board};

        add_ports(&rows, &task->space, true);
        add_ports(&rows, &task->space, false);
        name_ports(&rows, task->server.published);
        board->head.n_ports = rows.n;
        board->head.ports_missing = names > rows.n ? names - rows.n : 0;
}

/* --- peers --- */

static uint32_t waits_of(const struct ptl_link *link)
{
        if (!link->peer.base)
                return PTL_PEER_UNKNOWN;
        /* relaxed: a hint */
        return ptl_load_relaxed(&ptl_outbox_head(&link->peer)->bell.armed) % 2 ? PTL_PEER_ASLEEP
                                                                               : PTL_PEER_AWAKE;
}

/* Bytes in the ring we write that the peer says it has not read; believed as far as it can be. */
static uint32_t unread_by(const struct ptl_link *link)
{
        const struct ptl_ring_writer *w = &link->tx;
        uint64_t consumed = w->consumed;

        if (w->peer_consumed)
                consumed = ptl_load_relaxed(w->peer_consumed); /* relaxed: a figure */
        if (consumed < w->consumed || consumed > w->position)
                consumed = w->consumed;
        return (uint32_t)(w->position - consumed);
}

static struct ptl_peer_view view_peer(struct ptl_peer *p)
{
        struct ptl_link_statistics s;
        struct ptl_peer_view v;

        ptl_lock(&p->link.lock); /* the sending half */
        s = ptl_link_statistics_of(p);
        v = (struct ptl_peer_view){
                .peer = s.peer,
                .sent = s.sent,
                .received = s.received,
                .bells_rung = s.bells_rung,
                .bells_heard = s.bells_heard,
                .lies = s.lies,
                .ring_bytes = s.ring_bytes,
                .ring_used = unread_by(&p->link),
                .pool_bytes = s.pool_bytes,
                .rights_granted = s.rights_granted,
                .rights_held = s.rights_held,
                .distance_ns = s.distance_ns,
                .state = s.state,
                .waits = waits_of(&p->link),
                .descriptors = (uint32_t)(p->link.tickets_sent - p->link.tickets_acknowledged),
                .has_input = p->link.peer.base && !p->reaped && ptl_ring_ready(&p->link.rx),
                .restrained = p->restrained,
                .restrains = p->restrains,
        };
        ptl_unlock(&p->link.lock);
        return v;
}

static void write_liars(const struct ptl_task_board *b)
{
        uint32_t n = b->n_liars < PTL_BOARD_LIARS ? b->n_liars : PTL_BOARD_LIARS;

        memcpy(b->memory->peers, b->liars, n * sizeof *b->liars);
        b->memory->head.n_peers = n;
}

/* Those that lied and are gone, those that lied, then the newest. */
static void write_peers(struct ptl_task *task)
{
        struct ptl_board *board = task->board.memory;
        uint32_t shown = 0, n = 0;

        write_liars(&task->board);
        for (int lie = 1; lie >= 0; lie--) {
                n = 0;
                for (struct ptl_peer *p = task->space.peers; p && n < SEEN_PEERS;
                     p = p->next, n++) {
                        if ((p->link.lies > 0) != lie || board->head.n_peers == PTL_VIEW_PEERS)
                                continue;
                        board->peers[board->head.n_peers++] = view_peer(p);
                        shown++;
                }
        }
        board->head.peers_missing = n - shown;
}

void ptl_board_remember(struct ptl_task *task, struct ptl_peer *peer)
{
        struct ptl_task_board *b = &task->board;

        if (peer->link.lies)
                b->liars[b->n_liars++ % PTL_BOARD_LIARS] = view_peer(peer);
}

/* --- all of it --- */

static void write_head(const struct ptl_task *task, struct ptl_board_head *h)
{
        const struct ptl_waiter *w = task->wait.waiters;

        h->how = (uint32_t)task->wait.how;
        h->traced = ptl_trace_watchers();
        h->statistics = ptl_statistics_of(task);
        h->n_refusals = ptl_quota_latest(&task->space.quota, h->refusals);
        memcpy(h->use, task->space.quota.all.use, sizeof h->use);
        for (h->waiting = 0; w; w = w->next)
                h->waiting++;
}

static void write_board(struct ptl_task *task)
{
        struct ptl_task_board *b = &task->board;
        ptl_time begun = ptl_now(), cost;

        ptl_board_begin(b->memory);
        b->memory->head.written = begun;
        write_head(task, &b->memory->head);
        write_ports(task, b->memory);
        write_peers(task);
        ptl_board_end(b->memory);
        cost = ptl_now() - begun;
        b->soon = begun + SHARE_OF_EVENTS * cost;
        b->due = begun + SHARE_OF_LOOKS * cost;
        if (b->due < begun + (ptl_time)EVERY_MS * NS_PER_MS)
                b->due = begun + (ptl_time)EVERY_MS * NS_PER_MS;
}

/* Without one every sleep has a time. */
static void make_timer(struct ptl_task *task)
{
        struct ptl_task_board *b = &task->board;

        b->is_armed = false;
        b->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (b->timer >= 0 && ptl_wait_watch_timer(task, b->timer))
                b->timer = ptl_close(b->timer);
}

static bool arm_timer(struct ptl_task_board *b, ptl_time after)
{
        struct itimerspec when = {.it_value = {.tv_sec = after / 1000000000, .tv_nsec = after % 1000000000}};

        return timerfd_settime(b->timer, 0, &when, NULL) == 0;
}

void ptl_board_lodge(struct ptl_task *task)
{
        struct ptl_server_msg msg = {.type = PTL_SM_LODGE};
        ptl_cleanup(ptl_closep) int fd = -EBADF;
        void *memory;

        ptl_board_drop(task, false);
        if (ptl_board_memory_create(PTL_BOARD_SIZE, &fd, &memory))
                return;
        task->board.memory = memory;
        task->board.memory->head.magic = PTL_BOARD_MAGIC;
        task->board.memory->head.version = PTL_BOARD_VERSION_NOW;
        task->board.memory->head.size = PTL_BOARD_SIZE;
        make_timer(task);
        write_board(task);
        ptl_server_tell_with(task, &msg, fd);
}

void ptl_board_drop(struct ptl_task *task, bool forked)
{
        struct ptl_task_board *b = &task->board;

        if (b->timer > 0) /* closed, it leaves the epoll set; a child's is not the parent's */
                b->timer = ptl_close(b->timer);
        if (!forked)
                ptl_memory_unmap(b->memory, PTL_BOARD_SIZE);
        b->memory = NULL;
        if (forked)
                b->n_liars = 0;
}

/* Its writing costs less than the system calls that events are made of. Not by the time it took: a
 * task that was preempted meanwhile may never come back to write again. */
static bool is_small(const struct ptl_task *task)
{
        uint32_t size = task->space.entries.fresh;

        for (const struct ptl_peer *p = task->space.peers; p && size <= SMALL; p = p->next)
                size += 8;
        return size <= SMALL;
}

void ptl_board_event(struct ptl_task *task)
{
        struct ptl_task_board *b = &task->board;

        if (!b->memory)
                return;
        if (is_small(task) || ptl_now() >= b->soon)
                write_board(task);
        else
                b->due = PTL_NOW; /* at the next look */
}

int ptl_board_look(struct ptl_task *task, int timeout_ms)
{
        struct ptl_task_board *b = &task->board;
        ptl_time now, ms;

        if (!b->memory)
                return timeout_ms;
        now = ptl_now_roughly();
        if (now >= b->due - (ptl_time)TICK_MS * NS_PER_MS) {
                write_board(task);
                return timeout_ms;
        }
        if (timeout_ms == 0 || b->is_armed)
                return timeout_ms;
        if (b->timer > 0 && b->due != PTL_FOREVER)
                b->is_armed = arm_timer(b, b->due - now);
        if (b->is_armed)
                return timeout_ms;
        ms = (b->due - now) / NS_PER_MS + 1;
        return ms < INT_MAX && (timeout_ms < 0 || timeout_ms > ms) ? (int)ms : timeout_ms;
}
