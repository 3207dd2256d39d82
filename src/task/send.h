/* SPDX-License-Identifier: Apache-2.0 */
/* task/send.h - the sending half of a call */
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
