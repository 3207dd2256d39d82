/* SPDX-License-Identifier: Apache-2.0 */
/* task/loan.c - messages built in place, and batches */
#include "link/trace_frame.h"
#include "task/block.h"
#include "task/send.h"
#include "task/window.h"
#include <string.h>

/* opaque[0]: the peer whose block it is, NULL for private memory; opaque[1]: the slot. */
static struct ptl_peer *peer_of(const struct ptl_loan *loan) { return loan->opaque[0]; }
static int slot_of(const struct ptl_loan *loan)
{
        return peer_of(loan) ? (int)(intptr_t)loan->opaque[1] : -1;
}

static int lend_private(struct ptl_loan *loan)
{
        loan->data = malloc(loan->size ? loan->size : 1);
        return loan->data ? 0 : -ENOMEM;
}

static int lend(struct ptl_task *task, struct ptl_loan *loan, ptl_time deadline)
{
        struct ptl_peer *peer = NULL;
        int slot = -1, r = 0;

        if (loan->size && loan->size <= PTL_BLOCK_MAX)
                r = ptl_block_reserve(task, loan->port, loan->size, deadline, &slot, &peer);
        if (r == PTL_E_FULL || r == PTL_E_TIMEOUT)
                r = 0;
        if (r || slot < 0)
                return r ? r : lend_private(loan);
        loan->opaque[0] = peer;
        loan->opaque[1] = (void *)(intptr_t)slot;
        loan->data = ptl_link_block(&peer->link, (unsigned)slot);
        return 0;
}

int ptl_loan_reserve(ptl_port port, size_t size, struct ptl_loan *ret_loan, ptl_time deadline)
{
        struct ptl_loan loan = {.size = size, .port = port};
        struct ptl_entry *e;
        struct ptl_task *task;
        int r = ptl_task_enter(&task);

        if (r)
                return r;
        if (!ret_loan)
                return PTL_E_INVALID;
        if (size > PTL_MESSAGE_SIZE_MAX)
                return PTL_E_TOO_BIG;
        loan.reserved = task->space.epoch;
        ptl_lock(&task->space.lock);
        r = ptl_space_look(&task->space, port,
                           PTL_RIGHT_SEND | PTL_RIGHT_SEND_ONCE | PTL_RIGHT_RECEIVE | PTL_RIGHT_DEAD, &e);
        if (!r && e->rights & PTL_RIGHT_DEAD)
                r = PTL_E_DEAD;
        if (!r)
                r = lend(task, &loan, deadline);
        ptl_unlock(&task->space.lock);
        if (!r)
                *ret_loan = loan;
        return r;
}

int ptl_loan_publish(struct ptl_loan *loan, size_t size, const struct ptl_outgoing *out,
                     ptl_time deadline)
{
        struct ptl_sending s = {.size = size};
        struct ptl_task *task;
        int r = ptl_task_enter(&task);

        if (!r)
                r = loan && loan->data && size <= loan->size ? out ? ptl_outgoing_check(out) : 0 : PTL_E_INVALID;
        if (!r && loan->reserved != task->space.epoch)
                r = PTL_E_FORKED;
        if (r)
                return r;
        if (out) {
                s.kind = out->kind;
                s.leave = out->leave;
                s.notify = out->notify;
                s.reply_port = out->reply;
                s.extras = out->n_rights || out->n_regions ? out : NULL;
        }
        s.block = slot_of(loan);
        s.block_peer = peer_of(loan);
        s.data = peer_of(loan) ? NULL : loan->data;
        ptl_lock(&task->space.lock);
        r = ptl_send_locked(task, loan->port, &s, deadline);
        if (!r && peer_of(loan)) {
                loan->opaque[1] = (void *)(intptr_t)-1; /* the block is the receiver's now */
                ptl_block_cancel(peer_of(loan), -1);
        }
        ptl_unlock(&task->space.lock);
        if (r)
                return r;
        if (!peer_of(loan))
                free(loan->data);
        memset(loan, 0, sizeof *loan);
        return 0;
}

void ptl_loan_cancel(struct ptl_loan *loan)
{
        struct ptl_task *task = &ptl_the_task;

        if (!loan || !loan->data)
                return;
        if (!peer_of(loan)) {
                free(loan->data);
        } else if (loan->reserved == task->space.epoch) { /* else the parent's, or left behind */
                ptl_lock(&task->space.lock);
                ptl_block_cancel(peer_of(loan), slot_of(loan));
                ptl_unlock(&task->space.lock);
        }
        memset(loan, 0, sizeof *loan);
}

/* --- batches --- */

/* As many as fit now, with one publication. Lock held; *sent advances. */
static int batch_some(struct ptl_task *task, ptl_port port, const struct ptl_bytes *messages,
                      size_t count, size_t *sent)
{
        struct ptl_ring_batch batch = {0};
        struct ptl_frame_head head = {0};
        struct ptl_entry *e;
        struct ptl_link *link;
        int r = ptl_space_look(&task->space, port, PTL_RIGHT_SEND, &e);

        if (r || !e->peer)
                return r ? r : PTL_E_RIGHT;
        link = &e->peer->link;
        head.right = e->remote;
        if (e->flags & PTL_ENTRY_CLAIM)
                return PTL_E_RIGHT; /* its claim is not written: the plain way does that */
        ptl_lock(&link->lock);
        if (ptl_link_state(link) == PTL_LINK_DEAD)
                r = PTL_E_DEAD;
        while (!r && *sent < count) {
                const struct ptl_bytes *m = &messages[*sent];
                uint32_t units = ptl_units(m->size);

                if (!ptl_window_has_room(e, units))
                        r = PTL_E_FULL;
                else
                        r = ptl_ring_batch_add(&link->tx, &batch, &head, m->data, (uint32_t)m->size);
                if (r)
                        break;
                e->sent++;
                e->sent_units += units;
                task->space.counters.sent_bytes += m->size;
                ++*sent;
        }
        task->space.counters.sent += batch.count;
        link->frames_sent += batch.count;
        ptl_ring_batch_publish(&link->tx, &batch);
        ptl_link_bell(link);
        ptl_unlock(&link->lock);
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
        int r = ptl_task_enter(&task);

        if (!r)
                r = check_batch(messages, count);
        if (!r) {
                ptl_lock(&task->space.lock);
                while (!r && sent < count) {
                        r = ptl_trace_on ? PTL_E_RIGHT
                                         : batch_some(task, port, messages, count, &sent);
                        if (r != PTL_E_FULL && r != PTL_E_RIGHT)
                                continue;
                        /* Full, or a port that takes no batches: the next one the plain way. */
                        struct ptl_sending s = {.data = messages[sent].data,
                                                .size = messages[sent].size,
                                                .block = -1};
                        r = ptl_send_locked(task, port, &s, deadline);
                        sent += !r;
                }
                ptl_unlock(&task->space.lock);
        }
        if (ret_sent)
                *ret_sent = sent;
        return r;
}
