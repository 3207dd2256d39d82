/* SPDX-License-Identifier: Apache-2.0 */
/* task/left.h - messages left with full ports: one for each right, reported when they are taken */
#pragma once
#include "task/task.h"

/* A message that was left with another task's port. */
struct ptl_left {
        struct ptl_left *next;
        ptl_port port, notify; /* the first may be hidden by now: its name given up */
        uint32_t sequence; /* of the right: taken when `taken` has reached it */
};

/* May a message that finds the queue full be left with the port? 0, PTL_E_FULL. */
PTL_MUST_CHECK int ptl_left_may(struct ptl_task *task, const struct ptl_entry *entry, bool leave);

/* It is on its way: the one that is left with this right, which it keeps (`transit`, counted by the caller).
 * Takes @left over. */
void ptl_left_add(struct ptl_task *task, struct ptl_entry *entry, struct ptl_left *left,
                  ptl_port notify);

/* Reports messages that were left with ports and have been taken since, or never will be. */
void ptl_left_check(struct ptl_task *task);
