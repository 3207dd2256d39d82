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
        bool leads; /* the thread may take from rings, though another waits, too */
        struct ptl_move *move; /* receive rights that go with it; NULL: none */
        uint32_t minted; /* filled: the number of the send-once right, 0: none */
        struct ptl_peer *minted_peer;
        const void *frame;     /* filled: the body of what was published, in our own ring; ... */
        uint32_t frame_length;
        uint32_t way; /* filled: the message may have to be sent again (task/resend.h); 0: no */
};

/* Sends; waits until @deadline if the queue is full. The task's lock is held on entry and exit. Returns
 * as ptl_send_message(). */
PTL_MUST_CHECK int ptl_send_locked(struct ptl_task *task, ptl_port port, struct ptl_sending *s,
                                   ptl_time deadline);

/* A plain message is out by the straight way, on a link with moves under way: if the port of its right may be one of
 * them it is counted and kept, and its way is ways.unsure; else false. The link's lock is held. @minted: for its reply, or 0. */
bool ptl_send_was_unsure(struct ptl_task *task, struct ptl_entry *entry, const void *data, size_t size,
                         ptl_port reply_port, uint32_t minted);

/* --- for messages that are sent again (task/resend.h) --- */

/* Writes the frame and rings; as one attempt of ptl_send_locked(). Of the right nothing is counted or taken. */
PTL_MUST_CHECK int ptl_send_write(struct ptl_task *task, struct ptl_entry *entry, struct ptl_sending *s,
                                  struct ptl_region *bytes);
/* ... with its bytes in a region of their own. */
PTL_MUST_CHECK int ptl_send_write_region(struct ptl_task *task, struct ptl_entry *entry, struct ptl_sending *s);

/* Bytes in the frame before those of the message, at most. */
size_t ptl_send_head(const struct ptl_sending *s);

/* The frame is out: the right counts it ... */
void ptl_send_count(struct ptl_task *task, struct ptl_entry *entry, size_t size, uint32_t units);
/* ... or is used up, and what the message carries is taken from the program. */
void ptl_send_commit(struct ptl_task *task, struct ptl_entry *entry, struct ptl_sending *s, uint32_t units);

/* What can be said of a message without looking a name up: 0, PTL_E_INVALID, PTL_E_TOO_BIG. */
PTL_MUST_CHECK int ptl_outgoing_check(const struct ptl_outgoing *out);
