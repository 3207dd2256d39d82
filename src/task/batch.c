/* SPDX-License-Identifier: Apache-2.0 */
/* task/batch.c - many messages with one publication */
#include "link/trace_frame.h"
#include "task/resend.h"
#include "task/window.h"

static void count(struct ptl_task *task, struct ptl_entry *e, const struct ptl_bytes *messages, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                e->sent_units += ptl_units(messages[i].size);
                task->space.counters.sent_bytes += messages[i].size;
        }
        e->sent += (uint32_t)n;
        task->space.counters.sent += n;
        e->peer->link.frames_sent += n;
}

/* Writes as many as fit; *sent advances. The link's lock is held. */
static int write_some(struct ptl_task *task, struct ptl_entry *e, const struct ptl_bytes *messages, size_t n,
                      size_t *ret_written)
{
        const struct ptl_frame_head head = {.right = e->remote};
        struct ptl_ring_writer *tx = &e->peer->link.tx;
        struct ptl_ring_batch batch = {0};
        size_t fit = ptl_window_fitting(e, messages, n), i = 0;
        int r = 0;

        if (fit < n) {
                ptl_window_refresh(e);
                fit = ptl_window_fitting(e, messages, n);
        }
        while (!r && i < fit) {
                r = ptl_ring_batch_add(tx, &batch, &head, messages[i].data, (uint32_t)messages[i].size);
                if (!r)
                        i += 1 + ptl_ring_batch_run(tx, &batch, &head, &messages[i + 1], fit - i - 1);
        }
        ptl_ring_batch_publish(tx, &batch);
        *ret_written = i;
        if (PTL_UNLIKELY(r == PTL_E_MALFORMED)) {
                ptl_link_accuse(&e->peer->link);
                return PTL_E_DEAD;
        }
        return r ? r : i < n ? PTL_E_FULL : 0;
}

/* They may not be counted: each is kept. */
static void keep(struct ptl_task *task, struct ptl_entry *e, const struct ptl_bytes *messages, size_t n, uint32_t *ret_way)
{
        for (size_t i = 0; i < n; i++) {
                struct ptl_sending s = {.data = messages[i].data, .size = messages[i].size, .block = -1};

                ptl_resend_commit(task, e, &s, s.data, ptl_units(s.size));
                *ret_way = s.way;
        }
        e->peer->link.frames_sent += n;
}

/* As many as fit now, with one publication. The task's lock is held. PTL_E_RIGHT: the plain way must do it. */
static int batch_some(struct ptl_task *task, ptl_port port, const struct ptl_bytes *messages, size_t n,
                      size_t *sent, uint32_t *ret_way)
{
        struct ptl_entry *e;
        struct ptl_link *link;
        size_t written = 0;
        int r = ptl_space_look(&task->space, port, PTL_RIGHT_SEND, &e);

        if (r)
                return r;
        if (!e->peer || e->flags & (PTL_ENTRY_CLAIM | PTL_ENTRY_UNCONFIRMED))
                return PTL_E_RIGHT;
        link = &e->peer->link;
        ptl_lock(&link->lock);
        if (ptl_link_state(link) == PTL_LINK_DEAD) {
                r = PTL_E_DEAD;
        } else {
                r = write_some(task, e, messages, n, &written);
                ptl_link_bell(link);
        }
        ptl_unlock(&link->lock);
        if (PTL_UNLIKELY(written && ptl_way_is_unsure(e)))
                keep(task, e, messages, written, ret_way);
        else
                count(task, e, messages, written);
        *sent += written;
        return r;
}

static int check_batch(const struct ptl_bytes *messages, size_t count)
{
        if (!messages && count)
                return PTL_E_INVALID;
        for (size_t i = 0; i < count; i++) {
                if (messages[i].size > PTL_INLINE_MAX)
                        return PTL_E_TOO_BIG;
                if (!messages[i].data && messages[i].size)
                        return PTL_E_INVALID;
        }
        return 0;
}

int ptl_send_batch(ptl_port port, const struct ptl_bytes *messages, size_t count, size_t *ret_sent,
                   ptl_time deadline)
{
        struct ptl_task *task;
        size_t sent = 0;
        uint32_t way = 0;
        int r = ptl_task_enter(&task);

        if (!r)
                r = check_batch(messages, count);
        if (!r) {
                ptl_lock(&task->space.lock);
                while (!r && sent < count) {
                        r = ptl_trace_is_on() ? PTL_E_RIGHT
                                         : batch_some(task, port, &messages[sent], count - sent, &sent, &way);
                        if (r != PTL_E_FULL && r != PTL_E_RIGHT)
                                continue;
                        /* Full, or a port that takes no batches: the next one the plain way. */
                        struct ptl_sending s = {.data = messages[sent].data,
                                                .size = messages[sent].size,
                                                .block = -1};
                        r = ptl_send_locked(task, port, &s, deadline);
                        sent += !r;
                }
                if (PTL_UNLIKELY(way))
                        ptl_resend_await(task, way, deadline);
                ptl_unlock(&task->space.lock);
        }
        if (ret_sent)
                *ret_sent = sent;
        return r;
}
