/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task/quick.h - the straight way: what most messages are, from the program to the ring and back
 *
 * Plain bytes through a right with room, on an open link with nothing pending, by a task with one thread
 * and nobody who waits. Each function does all or nothing; where it does nothing, the long way says why.
 * The task's lock is held.
 */
#pragma once
#include "link/trace_frame.h"
#include "port/plain.h"
#include "port/rich.h"
#include "task/send.h"
#include "task/task.h"
#include "task/window.h"

enum ptl_quick {
        PTL_QUICK_NONE,   /* the long way */
        PTL_QUICK_SENT,
        PTL_QUICK_UNSURE, /* sent, and its port may move: it may have to be sent again (task/resend.h) */
};

/* The frame is out: the right counts it, or is used up. */
PTL_ALWAYS_INLINE void ptl_quick_commit(struct ptl_task *task, struct ptl_entry *e, size_t size, uint32_t units)
{
        struct ptl_peer *peer = e->peer;

        task->space.counters.sent++;
        task->space.counters.sent_bytes += size;
        if (e->rights == PTL_RIGHT_SEND) {
                e->sent++;
                e->sent_units += units;
                return;
        }
        ptl_held_forget(peer, e->remote);
        ptl_space_remove(&task->space, e);
        ptl_peer_unref(peer);
}

/* More than a line; a function of its own, so that what calls it needs no frame for it. */
static __attribute__((noinline)) void ptl_quick_write_lines(struct ptl_link *link, const void *data,
                                                            uint32_t size, uint32_t right, uint32_t token)
{
        const struct ptl_frame_head head = {.right = right, .token = token};
        struct ptl_ring_writer *tx = &link->tx;

        if (size <= PTL_RING_SMALL) {
                ptl_ring_write_small(tx, data, size);
        } else {
                ptl_link_copy(link, ptl_ring_body(tx), data, size);
                ptl_ring_clear_tail(tx, ptl_frame_end(tx->position, size)); /* I1 */
        }
        ptl_ring_publish_here(tx, PTL_FRAME_INLINE, size, &head);
}

PTL_ALWAYS_INLINE void ptl_quick_write(struct ptl_link *link, const void *data, uint32_t size, uint32_t right,
                                       uint32_t token)
{
        if (ptl_ring_fits_line(&link->tx, size))
                ptl_ring_write_line(&link->tx, data, size, right, token);
        else
                ptl_quick_write_lines(link, data, size, right, token);
}

/**
 * ptl_quick_send - a plain message
 * @reply:      a send-once right to this is minted and goes with it; NULL: none
 * @ret_minted: filled on success if @reply is given: that right; its peer is borrowed
 */
PTL_ALWAYS_INLINE enum ptl_quick ptl_quick_send(struct ptl_task *task, ptl_port port, const void *data, size_t size,
                                                struct ptl_receiver *reply, struct ptl_minted *ret_minted)
{
        struct ptl_entry *e = ptl_space_entry(&task->space, port);
        struct ptl_peer *peer = e ? e->peer : NULL;
        struct ptl_grant *minted = NULL;
        struct ptl_link *link;
        uint32_t units, token = 0;

        if (PTL_UNLIKELY(!peer || e->flags || size > PTL_INLINE_MAX || ptl_trace_is_on() ||
                         ptl_control_is_pending(peer) || !(reply ? peer->hot : peer->watched_open)))
                return PTL_QUICK_NONE;
        units = ptl_units(size);
        if (PTL_UNLIKELY(e->rights != PTL_RIGHT_SEND_ONCE &&
                         (e->rights != PTL_RIGHT_SEND || !ptl_window_fits(e, units))))
                return PTL_QUICK_NONE;
        link = &peer->link;
        ptl_lock(&link->lock);
        if (PTL_UNLIKELY(ptl_link_state(link) != PTL_LINK_OPEN ||
                         !ptl_ring_fits(&link->tx, (uint32_t)size, PTL_RING_RESERVE) ||
                         (reply && !(token = ptl_grant_once(peer, reply, &minted))))) {
                ptl_unlock(&link->lock);
                return PTL_QUICK_NONE;
        }
        ptl_quick_write(link, data, (uint32_t)size, e->remote, token);
        ptl_link_bell(link);
        link->frames_sent++;
        if (reply)
                *ret_minted = (struct ptl_minted){minted, peer, token};
        if (PTL_UNLIKELY(ptl_link_open_is_careful(link)) && /* S1 */
            ptl_send_was_unsure(task, e, data, size, reply ? reply->name : PTL_NULL, token)) {
                ptl_unlock(&link->lock);
                return PTL_QUICK_UNSURE;
        }
        ptl_unlock(&link->lock);
        ptl_quick_commit(task, e, size, units);
        return PTL_QUICK_SENT;
}

/* A link with something in its ring, for the only thread, which waits for @receiver; NULL: the long way. */
static inline struct ptl_peer *ptl_quick_wait(struct ptl_task *task, const struct ptl_receiver *receiver,
                                              ptl_time deadline)
{
        struct ptl_wait_state *w = &task->wait;
        struct ptl_peer *peer;

        if (PTL_UNLIKELY(receiver->head || deadline == PTL_NOW || !PTL_SINGLE_THREADED || w->waiters ||
                         w->long_way || ptl_trace_is_on() || ptl_wait_tick_due(w)))
                return NULL;
        peer = ptl_wait_glance(w);
        if (!peer)
                peer = ptl_wait_frame(task, deadline);
        return PTL_LIKELY(!receiver->head) ? peer : NULL;
}

static inline void ptl_quick_count(struct ptl_task *task, struct ptl_peer *peer, size_t size)
{
        peer->idle = 0;
        task->space.counters.received++;
        task->space.counters.received_bytes += size;
}

/**
 * ptl_quick_receive - the next message for @receiver, if it is plain, or with a few rights, and in a ring
 *
 * Where it returns false, the long way goes on, and does not poll again.
 */
static inline bool ptl_quick_receive(struct ptl_task *task, struct ptl_receiver *receiver, bool in_place,
                                     struct ptl_message *m, ptl_time deadline)
{
        struct ptl_peer *peer = ptl_quick_wait(task, receiver, deadline);

        if (PTL_UNLIKELY(!peer || !(ptl_plain_take(peer, receiver, in_place, m) ||
                                    ptl_rich_take(peer, receiver, m))))
                return false;
        ptl_quick_count(task, peer, m->size);
        return true;
}

/* Who has something in its ring, if it is @from, that is to answer to @receiver. */
static inline struct ptl_peer *ptl_quick_wait_answer(struct ptl_task *task, const struct ptl_peer *from,
                                                     const struct ptl_receiver *receiver, ptl_time deadline)
{
        struct ptl_peer *peer = ptl_quick_wait(task, receiver, deadline);

        return PTL_LIKELY(peer == from) ? peer : NULL;
}

/* The answer that comes through @minted, a right to @receiver; as ptl_quick_receive(). */
static inline bool ptl_quick_receive_answer(struct ptl_task *task, const struct ptl_minted *minted,
                                            const struct ptl_receiver *receiver, void *answer, size_t room,
                                            size_t *ret_size, ptl_time deadline)
{
        struct ptl_peer *peer = ptl_quick_wait_answer(task, minted->peer, receiver, deadline);

        if (PTL_UNLIKELY(!peer || !ptl_plain_take_answer(minted, answer, room, ret_size)))
                return false;
        ptl_quick_count(task, peer, *ret_size);
        return true;
}

/* The same as a message. */
static inline bool ptl_quick_receive_answer_message(struct ptl_task *task, const struct ptl_minted *minted,
                                                    const struct ptl_receiver *receiver, bool in_place,
                                                    struct ptl_message *m, ptl_time deadline)
{
        struct ptl_peer *peer = ptl_quick_wait_answer(task, minted->peer, receiver, deadline);

        if (PTL_UNLIKELY(!peer || !ptl_plain_take_answer_message(minted, in_place, m)))
                return false;
        ptl_quick_count(task, peer, m->size);
        return true;
}
