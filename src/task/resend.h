/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task/resend.h - messages through rights whose port moves: kept as they are sent, sent again (port/reroute.h)
 *
 * The task's lock is held in all of these.
 */
#pragma once
#include "port/reroute.h"
#include "task/send.h"

/* The frame of @s is out, and may not be counted (S1): as a commit, but a copy is kept. @bytes: of the message, which
 * are read; the caller's. s->way is filled. */
void ptl_resend_commit(struct ptl_task *task, struct ptl_entry *entry, struct ptl_sending *s, const void *bytes,
                       uint32_t units);

/* For struct ptl_ways. */
int ptl_resend(struct ptl_space *space, struct ptl_entry *entry, struct ptl_copy *copy);

/* Waits until what was sent is where the port is, or until @deadline: it was sent either way (S3). */
void ptl_resend_await(struct ptl_task *task, uint32_t way, ptl_time deadline);

/* A message in a block of the link that the right was on before: the block is one of its link's now. 0, PTL_E_FULL,
 * PTL_E_DEAD, -errno; then it is still where it was. */
PTL_MUST_CHECK int ptl_resend_relend(struct ptl_entry *entry, struct ptl_sending *s);
