/* SPDX-License-Identifier: Apache-2.0 */
/* task/loan.c - messages built in place */
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
        if (PTL_UNLIKELY(peer_of(loan) && s.block_peer != peer_of(loan))) { /* its port has moved: lent anew */
                loan->opaque[0] = s.block_peer;
                loan->opaque[1] = (void *)(intptr_t)s.block;
                loan->data = s.block < 0 ? NULL : ptl_link_block(&s.block_peer->link, (unsigned)s.block);
        }
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
