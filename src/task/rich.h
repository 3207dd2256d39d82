/* SPDX-License-Identifier: Apache-2.0 */
/* task/rich.h - a message with one right, the straight way: from the program to the ring */
#pragma once
#include "task/quick.h"

/**
 * ptl_rich_send - one that carries a right of this task's or of its reader's, and bytes that fit the ring
 * @reply, @ret_minted: as of ptl_quick_send()
 *
 * Does all or nothing; where it does nothing (NONE), the long way says why. The task's lock is held.
 */
enum ptl_quick ptl_rich_send(struct ptl_task *task, ptl_port port, const struct ptl_outgoing *out,
                             struct ptl_receiver *reply, struct ptl_minted *ret_minted);
