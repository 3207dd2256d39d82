/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task/restrain.h - peers that are held back: their rings are not read for a while (docs/protocol/quotas.md)
 *
 * States: READ → HELD (a message of it was queued, a limit is reached, and nobody here waits for it) → READ (room
 * again, or it is awaited, or the link ends). Who is held back is in no list of hot links and not armed; its socket is
 * watched. The task's lock guards everything; ptl_restrain() is the leader's, as reading rings is.
 */
#pragma once
#include "port/deliver.h"

struct ptl_task;

/**
 * ptl_restrain - a peer has reached a limit: hold it back, or read on
 * @want, @frames: of the ptl_deliver() that said so
 *
 * While it is awaited it is read on, @frames at most. Return: as ptl_deliver(), but never PTL_E_QUOTA.
 */
PTL_MUST_CHECK int ptl_restrain(struct ptl_task *task, struct ptl_peer *peer, struct ptl_want *want,
                                unsigned frames);

/* It is read again. Nothing happens to one that is not held back. */
void ptl_restrain_end(struct ptl_space *space, struct ptl_peer *peer);

/* This task waits for an answer of the peer's, or for room, or may do so from now on. */
void ptl_restrain_awaited(struct ptl_task *task, struct ptl_peer *peer);

/* The link ends: what its ring still holds is read, whatever the limits say. */
void ptl_restrain_forget(struct ptl_task *task, struct ptl_peer *peer);
