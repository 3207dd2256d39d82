/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task/seek.h - links on demand for rights of third tasks, and what the server knows of the dead
 *
 * A task that is named by a ticket may be a stranger: the link with it begins as one that is lost
 * (task/relink.h). A question about a dead task (ASK) is answered when the server no longer knows it: all
 * introductions to it came before that (docs/protocol/handoff.md, H5).
 *
 * The task's lock is held in all of these.
 */
#pragma once
#include "task/task.h"

/* The link with a task that @granter has named, begun if need be; NULL: too many are, or no memory. */
struct ptl_peer *ptl_seek(struct ptl_task *task, struct ptl_task_id id, struct ptl_task_id granter);

/* A peer's ring was drained while claims are parked: its grants may be among what was read. */
void ptl_seek_drained(struct ptl_task *task, const struct ptl_peer *peer);

/* What is to be done for rights of third tasks by time: messages that waited too long, questions to the server. */
void ptl_seek_step(struct ptl_task *task);
ptl_time ptl_seek_due(const struct ptl_task *task);

/* An answer of the server's to nothing else. */
void ptl_seek_answer(struct ptl_task *task, const struct ptl_server_msg *msg);

/* The server is gone, with what it was asked. */
void ptl_seek_restart(struct ptl_task *task);
