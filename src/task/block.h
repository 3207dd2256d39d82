/* SPDX-License-Identifier: Apache-2.0 */
/* task/block.h - blocks of a link's pool, lent to whoever fills them */
#pragma once
#include "task/task.h"

/* Lends a block of the link that @port is on. *ret_slot is -1 (and no peer) where there is no link: a
 * port of our own, a dead one. PTL_E_FULL, PTL_E_TIMEOUT, -ENOMEM. Lock held. */
PTL_MUST_CHECK int ptl_block_reserve(struct ptl_task *task, ptl_port port, size_t size,
                                     ptl_time deadline, int *ret_slot, struct ptl_peer **ret_peer);

/* Gives back the block, if slot is not -1, and the reference. */
void ptl_block_cancel(struct ptl_peer *peer, int slot);
