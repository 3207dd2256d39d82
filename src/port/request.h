/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port/request.h - who is told what becomes of a right: requests, and the send-once rights they
 * hold
 *
 * A request is the name of a port of this task in a word of the thing that it is about:
 * `notify_dead` of an entry, `no_senders` and `port_destroyed` of a receiver. It holds a send-once
 * right to that port, which has no name of its own but is counted (`onces`), and is used up by
 * exactly one notification. When the port dies its requests are gone (PTL_NULL).
 * docs/protocol/counting.md has the rules. The space's lock is held.
 */
#pragma once
#include "port/receiver.h"

/* The request at @slot is used up by a notification; none: nothing happens. False: nobody heard it.
 */
bool ptl_request_fire(struct ptl_space *space, ptl_port *slot, uint32_t kind, uint32_t value);

/* A right to @receiver's port becomes a request; the one that was there is not told (PTL_NULL:
 * none). */
ptl_port ptl_request_swap(struct ptl_space *space, ptl_port *slot, struct ptl_receiver *receiver);

/* A swap of who is told of @entry's port's death. */
ptl_port ptl_request_dead(struct ptl_space *space, struct ptl_entry *entry,
                          struct ptl_receiver *receiver);

/* What a swap gave back is given up: told that it is (PTL_NOTIFY_SEND_ONCE), or silently. */
void ptl_request_end(struct ptl_space *space, ptl_port request, bool told);

/* @port dies: all requests that would tell it are gone. Looks at every name. */
void ptl_requests_forget(struct ptl_space *space, ptl_port port);

/* The name of @entry is about to be gone though its port may live: who asked about its end is told.
 */
static inline void ptl_name_ends(struct ptl_space *space, struct ptl_entry *entry)
{
        if (PTL_UNLIKELY(entry->notify_dead != PTL_NULL))
                ptl_request_fire(space, &entry->notify_dead, PTL_NOTIFY_PORT_DELETED,
                                 ptl_entry_name(entry));
}
