/* SPDX-License-Identifier: Apache-2.0 */
/* task/send.h - the sending half of a call, and messages left with ports */
#pragma once
#include "task/task.h"

/* A message to be sent: what the caller gave, and what the library adds. */
struct ptl_sending {
        const void *data; /* NULL: it lies in `block` */
        size_t size;
        uint32_t kind;
        bool leave;
        ptl_port notify;
        ptl_port reply_port; /* a receive right to mint a send-once right from; PTL_NULL: none */
        const struct ptl_outgoing *extras; /* rights and regions; NULL: none */
        int block;                         /* a lent block of the right's link, or -1 */
        struct ptl_peer *block_peer;
        uint32_t minted; /* filled: the number of the send-once right, 0: none */
        struct ptl_peer *minted_peer;
};

/* Sends; waits until @deadline if the queue is full. The task's lock is held on entry and exit. Returns
 * as ptl_send_message(). */
PTL_MUST_CHECK int ptl_send_locked(struct ptl_task *task, ptl_port port, struct ptl_sending *s,
                                   ptl_time deadline);

/* What can be said of a message without looking a name up: 0, PTL_E_INVALID, PTL_E_TOO_BIG. */
PTL_MUST_CHECK int ptl_outgoing_check(const struct ptl_outgoing *out);

/* The quick way for plain bytes; false: nothing was done, go the long way. @reply: mint a send-once
 * right to it; NULL for none. Lock held. */
bool ptl_send_quick(struct ptl_task *task, ptl_port port, struct ptl_receiver *reply,
                    struct ptl_sending *sending);

/* Does the window of a right to another task's port have room for so many units? */
bool ptl_send_has_window(struct ptl_entry *entry, uint32_t units);

/* Lends a block of the link that @port is on. *ret_slot is -1 (and no peer) where there is no link: a
 * port of our own, a dead one. PTL_E_FULL, PTL_E_TIMEOUT, -ENOMEM. Lock held. */
PTL_MUST_CHECK int ptl_block_reserve(struct ptl_task *task, ptl_port port, size_t size,
                                     ptl_time deadline, int *ret_slot, struct ptl_peer **ret_peer);
/* Gives back the block, if slot is not -1, and the reference. */
void ptl_block_cancel(struct ptl_peer *peer, int slot);

/* Reports messages that were left with ports and have been taken since, or never will be. */
void ptl_left_check(struct ptl_task *task);
