/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port/deliver.h - what arrives: from frames in a peer's ring to queues, or straight to who waits
 *
 * The leader calls these with the space's lock held. Everything read is hostile: a frame that no
 * correct peer writes ends the link (PTL_E_MALFORMED); a right that is merely gone destroys its
 * message.
 */
#pragma once
#include "port/receiver.h"

/* Who waits for what, and how it wants it. */
struct ptl_want {
        struct ptl_receiver *receiver; /* this port ... */
        struct ptl_set *set;           /* ... or any member of this set; both NULL: nobody */
        bool in_place;
        struct ptl_queued *got; /* filled: what was delivered straight from a ring */
        struct ptl_receiver *from;
        /* Filled with `filled` by a plain frame; NULL: always a queued message. */
        struct ptl_message *fill;
        bool filled;
};

/* Was what is wanted delivered, one way or another? */
static inline bool ptl_want_is_met(const struct ptl_want *want)
{
        return want && (want->got || want->filled);
}

/**
 * ptl_deliver_run - take a run of plain frames for one port in place
 * @receiver: whose queue is empty; its frames that come next in the ring are taken, up to @max
 *
 * Ends at the first frame that is anything else, which ptl_deliver() takes. What was taken is counted
 * once, for all. Return: how many @messages were filled.
 */
size_t ptl_deliver_run(struct ptl_peer *peer, struct ptl_receiver *receiver,
                       struct ptl_message *messages, size_t max);

/**
 * ptl_deliver - take in what a peer's ring holds
 * @want:  NULL, or somebody whose queue is empty: the first message for it is not queued but handed
 *         over in want->got, and no more is read
 * @frames: at most so many
 *
 * Return: 0; PTL_E_MALFORMED (end the link); PTL_E_QUOTA (what was taken last was queued, and the peer has reached
 * a limit with it: it is to be held back, or peer->lenient is to be set).
 */
PTL_MUST_CHECK int ptl_deliver(struct ptl_peer *peer, struct ptl_want *want, unsigned frames);
