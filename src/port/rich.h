/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port/rich.h - frames with a few rights and bytes in the ring, for the port that is waited for
 *
 * As port/plain.h: all or nothing, and what is not that simple (regions, blocks, rights of third tasks, no
 * window, lies) is left in the ring for ptl_deliver() to judge, which checks the same and more. The
 * space's lock is held, and the caller is the leader or nobody leads.
 */
#pragma once
#include "port/receiver.h"

/* The next frame into @m, if it is one of those and for @receiver, whose queue is empty. */
bool ptl_rich_take(struct ptl_peer *peer, struct ptl_receiver *receiver, struct ptl_message *m);
