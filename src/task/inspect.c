/* SPDX-License-Identifier: Apache-2.0 */
/* task/inspect.c - looking into another task (portolan/inspect.h) */
#define _GNU_SOURCE
#include "base/cancel.h"
#include "shm/outbox.h"
#include "task/task.h"
#include <string.h>
#include <time.h>

enum { TRIES = 50, NAP_NS = 1000000 };

/* Asks about a process; the answer's descriptor is the caller's. */
static int ask(struct ptl_request *request)
{
        struct ptl_task *task;
        int r = ptl_task_enter(&task);

        if (r)
                return r;
        ptl_lock(&task->space.lock);
        r = ptl_server_ask(task, request, PTL_NOW);
        ptl_unlock(&task->space.lock);
        if (r)
                return r == PTL_E_TIMEOUT ? PTL_E_NO_SERVER : r;
        if (request->answer.type != PTL_SM_RESULT)
                return 0;
        r = request->answer.result.outcome;
        return r ? r : PTL_E_MALFORMED;
}

/* A view and the copy that its tables point into, in one piece of memory. */
struct whole {
        struct ptl_task_view view;
        _Alignas(64) struct ptl_board copy;
};

static void fill_from_server(struct ptl_task_view *v, const struct ptl_sm_view *s)
{
        *v = (struct ptl_task_view){.identity = s->task,
                                    .board = PTL_BOARD_NONE,
                                    .names = s->names,
                                    .links = s->links,
                                    .look_ups = s->look_ups,
                                    .watches = s->watches,
                                    .output_bytes = s->output_bytes,
                                    .output_descriptors = s->output_descriptors,
                                    .descriptors = s->descriptors};
        memcpy(v->command, s->command, sizeof v->command);
}

static void fill_from_board(struct whole *w)
{
        const struct ptl_board_head *h = &w->copy.head;
        ptl_time now = ptl_now();

        w->view.is_asleep = ptl_load_relaxed(&h->asleep); /* relaxed: a private copy */
        w->view.how = h->how;
        w->view.statistics = h->statistics;
        w->view.written = h->written;
        w->view.age_ns = h->written > 0 && h->written < now ? (uint64_t)(now - h->written) : 0;
        w->view.waiting = h->waiting;
        w->view.traced = h->traced;
        w->view.n_ports = h->n_ports;
        w->view.ports_missing = h->ports_missing;
        w->view.n_peers = h->n_peers;
        w->view.peers_missing = h->peers_missing;
        w->view.ports = w->copy.ports;
        w->view.peers = w->copy.peers;
        memcpy(w->view.quota_use, h->use, sizeof h->use);
        w->view.n_refusals = h->n_refusals;
        w->view.refusals = w->copy.head.refusals;
}

/* Its owner may be writing just now, or have been stopped there: it is given some ms. */
static void read_board(struct whole *w, const struct ptl_board *board)
{
        int r;

        for (int i = 0; i < TRIES; i++) {
                if (i)
                        nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
                w->view.board = (uint32_t)ptl_board_copy(board, &w->copy);
                if (w->view.board == PTL_BOARD_WHOLE)
                        break;
        }
        r = ptl_board_check(&w->copy);
        if (r)
                w->view.board = r == PTL_E_VERSION ? PTL_BOARD_VERSION : PTL_BOARD_MALFORMED;
        else
                fill_from_board(w);
}

static int attach(struct whole *w, int fd)
{
        PTL_NO_CANCEL;
        const void *memory;
        int r = ptl_board_memory_attach(fd, PTL_BOARD_SIZE, &memory);

        if (r == PTL_E_MALFORMED)
                w->view.board = PTL_BOARD_MALFORMED;
        if (r)
                return r == PTL_E_MALFORMED ? 0 : r;
        read_board(w, memory);
        ptl_memory_unmap((void *)(uintptr_t)memory, PTL_BOARD_SIZE);
        return 0;
}

int ptl_task_trace(int32_t pid, int *ret_fd)
{
        struct ptl_request request = {
                .msg = {.type = PTL_SM_TRACE, .process.pid = pid},
                .fd = -EBADF,
                .answer_fd = -EBADF,
        };
        int r;

        if (pid <= 0 || !ret_fd)
                return PTL_E_INVALID;
        r = ask(&request);
        ptl_cleanup(ptl_closep) int fd = request.answer_fd;
        if (r)
                return r;
        if (request.answer.type != PTL_SM_TRACING)
                return PTL_E_MALFORMED;
        if (fd < 0)
                return PTL_E_LOST;
        *ret_fd = ptl_steal_fd(&fd);
        return 0;
}

int ptl_task_inspect(int32_t pid, struct ptl_task_view **ret_view)
{
        struct ptl_request request = {
                .msg = {.type = PTL_SM_INSPECT, .process.pid = pid},
                .fd = -EBADF,
                .answer_fd = -EBADF
        };
        ptl_cleanup(ptl_freep) struct whole *w = NULL;
        int r;

        if (pid <= 0 || !ret_view)
                return PTL_E_INVALID;
        r = ask(&request);
        ptl_cleanup(ptl_closep) int fd = request.answer_fd;
        if (r)
                return r;
        if (request.answer.type != PTL_SM_VIEW)
                return PTL_E_MALFORMED;
        if (request.answer.view.has_board && fd < 0)
                return PTL_E_LOST;
        w = aligned_alloc(64, (sizeof *w + 63) / 64 * 64);
        if (!w)
                return -ENOMEM;
        fill_from_server(&w->view, &request.answer.view);
        r = fd < 0 ? 0 : attach(w, fd);
        if (!r)
                *ret_view = &ptl_steal_ptr(&w)->view;
        return r;
}
