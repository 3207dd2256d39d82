/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task/window.h - how much a send right to another task's port may have under way
 *
 * The sender counts what it sent through the right; the receiver's task publishes what its program took
 * (E6, docs/protocol/rights.md). The task's lock guards the entry.
 */
#pragma once
#include "port/space.h"

/* By what is known of the receiver's count: no line of its memory is looked at. */
static inline bool ptl_window_fits(const struct ptl_entry *e, uint32_t units)
{
        uint32_t queued = e->sent - e->taken;

        return queued < e->limit_messages &&
               (queued == 0 || e->sent_units - e->taken_units + units <= e->limit_units);
}

/* Looks at the receiver's count again. */
void ptl_window_refresh(struct ptl_entry *entry);

/* Is there room for a message of so many units? Looks again if there seems to be none. */
bool ptl_window_has_room(struct ptl_entry *entry, uint32_t units);
