/* SPDX-License-Identifier: Apache-2.0 */
/* task/window.c - see window.h */
#include "task/window.h"
#include "port/receiver.h"

/* Believes the receiver's count only between its last value and what was sent. */
static void believe(struct ptl_entry *e, const struct ptl_right_word *word)
{
        uint32_t units = (word->units - e->taken_units) & PTL_WORD_UNITS_MASK;

        if (word->messages - e->taken > e->sent - e->taken)
                return;
        e->taken = word->messages;
        if (units <= e->sent_units - e->taken_units)
                e->taken_units += units;
}

void ptl_window_refresh(struct ptl_entry *e)
{
        struct ptl_link *link = &e->peer->link;
        struct ptl_right_word word;

        if (!link->peer.base || e->flags & PTL_ENTRY_UNCONFIRMED)
                return;
        if (!ptl_word_decode(ptl_outbox_look(&link->peer, e->remote), &word) && /* E6 */
            word.state == PTL_WORD_OPEN)
                believe(e, &word);
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
