/* SPDX-License-Identifier: Apache-2.0 */
/* task/receive.h - the receiving half of a call */
#pragma once
#include "task/task.h"

/* The next message of a port or set, private or in place. The task's lock is held on entry and exit.
 * Returns as ptl_receive_with(). */
PTL_MUST_CHECK int ptl_receive_locked(struct ptl_task *task, ptl_port port, bool in_place,
                                      ptl_time deadline, struct ptl_queued **ret_queued,
                                      ptl_port *ret_from);

/* The same for a caller that knows the receiver or set, or gives a sink (port/deliver.h): then, if
 * want->sunk, *ret_queued is not filled. */
PTL_MUST_CHECK int ptl_receive_wanted(struct ptl_task *task, ptl_port port, struct ptl_want *want,
                                      ptl_time deadline, struct ptl_queued **ret_queued,
                                      ptl_port *ret_from);

/* Fills what the program sees. */
void ptl_receive_open(struct ptl_task *task, struct ptl_queued *q, ptl_port from,
                      struct ptl_message *message);
