/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task/relink.h - links that ended before the peer had answered on them
 *
 * Such an end is no death: the peer may never have got its end of the socket, which closes with a server
 * that dies between the two halves of an introduction. What the program holds through the link stays, and
 * the name server (the next one, if need be) is asked for another socket, until the peer answers or is
 * known to be dead (docs/protocol/link.md, "A lost link").
 *
 * The task's lock is held in all of these.
 */
#pragma once
#include "task/task.h"

/* The link's socket ended unanswered. False: nothing is lost with it, it may simply be forgotten. */
PTL_MUST_CHECK bool ptl_relink_begin(struct ptl_task *task, struct ptl_peer *peer);

/* A link that never had a socket (task/seek.h): the server is asked for one. */
void ptl_relink_seek(struct ptl_task *task, struct ptl_peer *peer);

/* The link goes on over @fd, which @server made and which is taken if that works. False: it is still lost. */
bool ptl_relink_join(struct ptl_task *task, struct ptl_peer *peer, int *fd, uint32_t server);

/* The peer is gone for good: nobody is asked for it any more. */
void ptl_relink_end(struct ptl_task *task, struct ptl_peer *peer);

/* Asks the server for those whose time has come. */
void ptl_relink_step(struct ptl_task *task);
ptl_time ptl_relink_due(const struct ptl_task *task);

/* An answer of the server's to none of the requests that threads wait for. */
void ptl_relink_answer(struct ptl_task *task, const struct ptl_server_msg *msg, int *fd);

/* The server is gone, with what it was asked: the next one is asked anew. */
void ptl_relink_restart(struct ptl_task *task);
