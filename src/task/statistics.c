/* SPDX-License-Identifier: Apache-2.0 */
/* task/statistics.c - counters, identity, ways of waiting, descriptors (portolan/task.h) */
#define _GNU_SOURCE
#include "task/statistics.h"
#include "task/task.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum { POLL_MAX_NS = 10000000, POLL_DEFAULT_NS = 50000 };

static uint32_t ring_bytes(const struct ptl_link *link)
{
        uint64_t sum = 0;

        for (unsigned i = 0; i <= link->tx.level; i++)
                sum += ptl_ring_level_size(i);
        return (uint32_t)sum;
}

struct ptl_task_statistics ptl_statistics_of(const struct ptl_task *task)
{
        struct ptl_task_statistics s = task->space.counters;

        s.polls_won = task->wait.polls_won;
        s.names = ptl_space_names(&task->space) - task->space.internal;
        for (struct ptl_peer *p = task->space.peers; p; p = p->next) {
                s.links++;
                s.bells_rung += p->link.bells_rung;
                s.link_bytes += 3 * 4096 + ring_bytes(&p->link) + p->link.pool_reserved;
        }
        return s;
}

int ptl_task_get_statistics(struct ptl_task_statistics *ret_statistics)
{
        struct ptl_task *task;
        int r;

        if (!ret_statistics)
                return PTL_E_INVALID;
        r = ptl_task_enter(&task);
        if (r)
                return r;
        ptl_lock(&task->space.lock);
        *ret_statistics = ptl_statistics_of(task);
        ptl_unlock(&task->space.lock);
        return 0;
}

struct ptl_link_statistics ptl_link_statistics_of(const struct ptl_peer *p)
{
        const struct ptl_link *link = &p->link;

        return (struct ptl_link_statistics){
                .peer = link->identity,
                .sent = link->frames_sent,
                .received = link->frames_received,
                .bells_rung = link->bells_rung,
                .bells_heard = link->bells_heard,
                .lies = link->lies,
                .ring_bytes = ring_bytes(link),
                .pool_bytes = link->pool_reserved,
                .rights_granted = p->granted.used - (p->spare != NULL) + (uint32_t)p->account->use[PTL_QUOTA_RIGHTS],
                .rights_held = p->held.used + p->claims.used,
                .distance_ns = link->distance_ns,
                .state = ptl_link_state(link),
        };
}

int ptl_link_get_statistics(struct ptl_link_statistics *entries, size_t max, size_t *ret_count)
{
        struct ptl_task *task;
        size_t n = 0;
        int r;

        if ((!entries && max) || !ret_count)
                return PTL_E_INVALID;
        r = ptl_task_enter(&task);
        if (r)
                return r;
        ptl_lock(&task->space.lock);
        for (struct ptl_peer *p = task->space.peers; p; p = p->next, n++)
                if (n < max)
                        entries[n] = ptl_link_statistics_of(p);
        ptl_unlock(&task->space.lock);
        *ret_count = n;
        return 0;
}

int ptl_task_set_wait(enum ptl_wait how, uint32_t poll_ns)
{
        struct ptl_task *task;
        int r;

        if ((unsigned)how > PTL_WAIT_MEMORY || (how == PTL_WAIT_ADAPTIVE && poll_ns > POLL_MAX_NS))
                return PTL_E_INVALID;
        r = ptl_task_enter(&task);
        if (r)
                return r;
        ptl_lock(&task->space.lock);
        task->wait.how = how;
        if (how == PTL_WAIT_ADAPTIVE)
                task->wait.poll_max_ns = task->wait.poll_ns = poll_ns ? poll_ns : POLL_DEFAULT_NS;
        ptl_unlock(&task->space.lock);
        return 0;
}

void ptl_task_look(void)
{
        struct ptl_task *task = &ptl_the_task;

        if (!task->started || !ptl_load_relaxed(task->alive)) /* relaxed: as in ptl_task_enter() */
                return;
        ptl_lock(&task->space.lock);
        ptl_wait_catch_up(task);
        ptl_unlock(&task->space.lock);
}

static int watch(int set, int fd)
{
        struct epoll_event ev = {.events = EPOLLIN};

        return epoll_ctl(set, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

/* An epoll set of its own: readable when the task's is, or when this port has queued messages. */
static int port_descriptor(struct ptl_task *task, int *event, int *poll, bool has_message)
{
        ptl_cleanup(ptl_closep) int e = -EBADF, p = -EBADF;
        int r;

        if (*poll >= 0)
                return 0;
        e = eventfd(has_message, EFD_CLOEXEC | EFD_NONBLOCK);
        p = e < 0 ? -1 : epoll_create1(EPOLL_CLOEXEC);
        if (p < 0)
                return -errno;
        r = watch(p, task->wait.epoll);
        if (!r)
                r = watch(p, e);
        if (r)
                return r;
        *event = ptl_steal_fd(&e);
        *poll = ptl_steal_fd(&p);
        return 0;
}

static int descriptor(struct ptl_task *task, ptl_port port, int *ret_fd)
{
        struct ptl_receiver_more *more;
        struct ptl_entry *e;
        int r;

        if (!port) {
                *ret_fd = task->wait.epoll;
                return 0;
        }
        r = ptl_space_look(&task->space, port, PTL_RIGHT_RECEIVE | PTL_RIGHT_SET, &e);
        if (!r && !(e->rights & PTL_RIGHT_SET))
                r = ptl_receiver_look(&task->space, port, &e);
        if (r)
                return r;
        if (e->rights & PTL_RIGHT_SET) {
                r = port_descriptor(task, &e->set->descriptor, &e->set->poll, true);
                *ret_fd = e->set->poll;
        } else {
                more = ptl_receiver_more(e->receiver);
                if (!more)
                        return -ENOMEM;
                r = port_descriptor(task, &more->descriptor, &more->poll, e->receiver->head != NULL);
                *ret_fd = more->poll;
        }
        return r;
}

int ptl_descriptor(ptl_port port, int *ret_fd)
{
        struct ptl_task *task;
        int r;

        if (!ret_fd)
                return PTL_E_INVALID;
        r = ptl_task_enter(&task);
        if (r)
                return r;
        ptl_lock(&task->space.lock);
        r = descriptor(task, port, ret_fd);
        if (!r) {
                task->wait.pollable = task->wait.long_way = true;
                ptl_wait_arm_all(task);
        }
        ptl_unlock(&task->space.lock);
        return r;
}
