/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task/window.h - how much a send right to another task's port may have under way
 *
 * The sender counts what it sent through the right; the receiver's task publishes what its program took
 * (E6, docs/protocol/rights.md). The task's lock guards the entry.
 */
#pragma once
#include "port/space.h"
#include <portolan/message.h>

/* Room for one more of @units, with @queued messages of @queued_units under way? */
static inline bool ptl_window_admits(const struct ptl_entry *e, uint32_t queued, uint32_t queued_units,
                                     uint32_t units)
{
        return queued < e->limit_messages && (queued == 0 || queued_units + units <= e->limit_units);
}

/* By what is known of the receiver's count: no line of its memory is looked at. */
static inline bool ptl_window_fits(const struct ptl_entry *e, uint32_t units)
{
        return ptl_window_admits(e, e->sent - e->taken, e->sent_units - e->taken_units, units);
}

/* How many of @messages, in turn: the same rule. */
size_t ptl_window_fitting(const struct ptl_entry *entry, const struct ptl_bytes *messages, size_t n);

/* Looks at the receiver's count again. */
void ptl_window_refresh(struct ptl_entry *entry);

/* Is there room for a message of so many units? Looks again if there seems to be none. */
bool ptl_window_has_room(struct ptl_entry *entry, uint32_t units);
