/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port/senders.h - how many send rights to a port of this task there are, and who is told when none
 * is left
 *
 * The receiver's task counts them, nobody else: a name of its own that carries one (`rights`), and
 * in `senders` one for each link's holder, whatever it holds of references, and one for each that
 * lies in a message. Counted when a right is made, moved and given back, never per message. The
 * rules, and why no order of events tells too early, are in docs/protocol/counting.md. The space's
 * lock is held.
 */
#pragma once
#include "port/receiver.h"

/* Is there a send right to the port? Those that queued messages came through count, too. */
bool ptl_senders_any(struct ptl_space *space, const struct ptl_receiver *receiver);

/* A reason to think that the last one is gone: tells who asked if so (C1). */
void ptl_senders_look(struct ptl_space *space, struct ptl_receiver *receiver);

static inline void ptl_senders_check(struct ptl_space *space, struct ptl_receiver *receiver)
{
        if (PTL_UNLIKELY(receiver->more && receiver->more->no_senders))
                ptl_senders_look(space, receiver);
}

/* One more holder, or one in a message. */
static inline void ptl_senders_add(struct ptl_space *space, const struct ptl_receiver *receiver)
{
        ptl_receiver_entry(space, receiver)->senders++;
}

/* ... that was never given out after all: nothing is told. */
static inline void ptl_senders_undo(struct ptl_space *space, const struct ptl_receiver *receiver)
{
        ptl_receiver_entry(space, receiver)->senders--;
}

static inline void ptl_senders_gone(struct ptl_space *space, struct ptl_receiver *receiver)
{
        ptl_receiver_entry(space, receiver)->senders--;
        ptl_senders_check(space, receiver);
}
