/* SPDX-License-Identifier: Apache-2.0 */
/* task/receive.h - the receiving half of a call */
#pragma once
#include "task/task.h"

/* The next message for @want, whose receiver or set is that of @port. It is in *ret_queued, or, where
 * want->filled says so, where @want says. The lock is held on entry and exit. Returns as
 * ptl_receive_with(). */
PTL_MUST_CHECK int ptl_receive_wanted(struct ptl_task *task, ptl_port port, struct ptl_want *want,
                                      ptl_time deadline, struct ptl_queued **ret_queued,
                                      ptl_port *ret_from);

/* A right's name changes (task/rename.c): in a message that no program has yet, and with threads that wait
 * for one. */
struct ptl_renaming {
        ptl_port old, now;
        uint32_t mask; /* which bits of the old name count: all, or its index */
};
static inline bool ptl_is_renamed(ptl_port name, const struct ptl_renaming *n)
{
        return name && ((name ^ n->old) & n->mask) == 0;
}
void ptl_queued_rename(struct ptl_queued *q, const struct ptl_renaming *renaming);
void ptl_receive_rename(struct ptl_task *task, const struct ptl_renaming *renaming);

/* Fills what the program sees. */
void ptl_receive_open(struct ptl_task *task, struct ptl_queued *q, ptl_port from,
                      struct ptl_message *message);
