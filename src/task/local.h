/* SPDX-License-Identifier: Apache-2.0 */
/* task/local.h - messages of a task to its own ports: no link, no ring, straight into the queue */
#pragma once
#include "task/send.h"

/* @once: through this send-once right, which ignores the limit; or NULL. Returns as ptl_send_message(). */
PTL_MUST_CHECK int ptl_local_send(struct ptl_task *task, struct ptl_receiver *receiver, const struct ptl_entry *once,
                                  struct ptl_sending *sending);

/* Uses up a send-once right of this task to a port of its own. */
PTL_MUST_CHECK int ptl_local_send_once(struct ptl_task *task, struct ptl_entry *entry,
                                       struct ptl_sending *sending);
