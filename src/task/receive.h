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

/* Fills what the program sees. */
void ptl_receive_open(struct ptl_task *task, struct ptl_queued *q, ptl_port from,
                      struct ptl_message *message);
