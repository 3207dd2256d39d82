/* SPDX-License-Identifier: Apache-2.0 */
/* task/family.h - what a child inherits and says (docs/protocol/task.md) */
#pragma once
#include "task/task.h"

/* A new task: says to its parent that it is there, if that wants to know. The lock is not held. */
void ptl_family_report(void);

/* Does @m carry one send right, and does it come from a living child of this process? */
bool ptl_family_is_child(const struct ptl_message *m);
