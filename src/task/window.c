/* SPDX-License-Identifier: Apache-2.0 */
/* task/window.c - see window.h */
#include "task/window.h"
#include "port/receiver.h"

/* Believes the receiver's count only between its last value and what was sent. */
void ptl_window_refresh(struct ptl_entry *e)
{
        struct ptl_link *link = &e->peer->link;
        bool claimed = ptl_right_is_claimed(e->remote);
        uint64_t seen;
        uint32_t messages;

        if (!link->peer.base || e->flags & PTL_ENTRY_UNCONFIRMED)
                return;
        /* E6 */
        seen = ptl_load_acquire(ptl_outbox_taken(&link->peer, claimed) + ptl_right_index(e->remote));
        messages = (uint32_t)seen;
        if (messages - e->taken > e->sent - e->taken)
                return;
        e->taken = messages;
        if ((uint32_t)(seen >> 32) - e->taken_units <= e->sent_units - e->taken_units)
                e->taken_units = (uint32_t)(seen >> 32);
}

size_t ptl_window_fitting(const struct ptl_entry *e, const struct ptl_bytes *messages, size_t n)
{
        uint32_t queued = e->sent - e->taken, units = e->sent_units - e->taken_units;
        size_t i = 0;

        for (; i < n && ptl_window_admits(e, queued, units, ptl_units(messages[i].size)); i++) {
                queued++;
                units += ptl_units(messages[i].size);
        }
        return i;
}

bool ptl_window_has_room(struct ptl_entry *e, uint32_t units)
{
        if (PTL_LIKELY(ptl_window_fits(e, units)))
                return true;
        ptl_window_refresh(e);
        return ptl_window_fits(e, units);
}
