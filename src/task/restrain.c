/* SPDX-License-Identifier: Apache-2.0 */
/* task/restrain.c - see restrain.h */
#include "task/restrain.h"
#include "base/cancel.h"
#include "base/trace.h"
#include "task/task.h"

/* Q1: what could be waited for must not lie unread. */
static bool is_awaited(const struct ptl_task *task, const struct ptl_peer *peer)
{
        for (const struct ptl_waiter *w = task->wait.waits_room ? task->wait.waiters : NULL; w; w = w->next)
                if (w->kind == PTL_WAITS_ROOM && w->from == peer)
                        return true;
        return ptl_quota_owes_answer(peer);
}

static void tell(struct ptl_peer *peer)
{
        ptl_control_set_pending(peer, true);
        ptl_control_flush(peer);
}

static void begin(struct ptl_task *task, struct ptl_peer *peer, uint32_t limit)
{
        ptl_wait_cool(task, peer);
        peer->restrained = limit;
        peer->restrained_next = task->space.quota.restrained;
        task->space.quota.restrained = peer;
        if (ptl_quota_remember_restrained(peer, limit))
                ptl_board_event(task); /* it is to be seen even if this task never comes back here */
        if (ptl_trace_is_on())
                ptl_trace_line("pid %d is held back: %s", (int)peer->link.identity.pid, ptl_quota_name(limit));
        tell(peer);
}

int ptl_restrain(struct ptl_task *task, struct ptl_peer *peer, struct ptl_want *want, unsigned frames)
{
        uint32_t limit = ptl_quota_reached(peer);
        int r;

        if (limit && !is_awaited(task, peer)) {
                begin(task, peer, limit);
                return 0;
        }
        peer->lenient = true; /* for this turn; then it is asked again */
        r = ptl_deliver(peer, want, frames);
        peer->lenient = false;
        return r;
}

/* Off the list, if it is on it. */
static void forget(struct ptl_space *space, struct ptl_peer *peer)
{
        struct ptl_peer **at = &space->quota.restrained;

        while (*at && *at != peer)
                at = &(*at)->restrained_next;
        if (*at)
                *at = peer->restrained_next;
        peer->restrained = 0;
}

void ptl_restrain_end(struct ptl_space *space, struct ptl_peer *peer)
{
        struct ptl_task *task = PTL_CONTAINER(space, struct ptl_task, space);

        if (!peer->restrained)
                return;
        forget(space, peer);
        if (ptl_trace_is_on())
                ptl_trace_line("pid %d is held back no more", (int)peer->link.identity.pid);
        tell(peer);
        space->opened(space, peer);
        if (task->wait.pollable) /* nobody rings for what lies there already */
                ptl_event_raise(task->wait.kick);
}

void ptl_restrain_awaited(struct ptl_task *task, struct ptl_peer *peer)
{
        if (PTL_UNLIKELY(peer->restrained) && is_awaited(task, peer))
                ptl_restrain_end(&task->space, peer);
}

void ptl_restrain_forget(struct ptl_task *task, struct ptl_peer *peer)
{
        forget(&task->space, peer);
        peer->lenient = true;
}
