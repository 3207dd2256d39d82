/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task/watched.h - others see this task's messages while it runs (ptl_task_trace())
 *
 * The server passes the end of a fresh socket (WATCHED); the task notices at its next look at the
 * epoll set, and from then on a line goes into it for each frame (base/trace.h). The socket is in
 * the epoll set for its end alone: its other side may write what it likes. The task's lock is held.
 */
#pragma once

struct ptl_task;

/* @fd: consumed on success; else to be closed, which tells the watcher. */
void ptl_watched_begin(struct ptl_task *task, int *fd);

/* Lets go of those that have closed. */
void ptl_watched_look(struct ptl_task *task);

/* Of all: the task leaves. */
void ptl_watched_end(struct ptl_task *task);
