/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/inspect.h - boards that tasks lodge, and who may look at them
 *
 * A task lodges one board; another replaces it. The server never reads it: it hands the descriptor,
 * which nobody but the task can write through, to whoever may see the task (client_may_see()).
 */
#pragma once
#include "server/client.h"

/**
 * inspect_lodge - LODGE: keep a task's board
 * @fd: consumed on success; -EBADF if none came
 *
 * Return: 0, PTL_E_LOST (no descriptor came), PTL_E_MALFORMED (it is no board), -errno.
 */
PTL_MUST_CHECK int inspect_lodge(struct client *client, int *fd);

/* INSPECT: answers it. */
void inspect(struct client *client, const struct ptl_server_msg *msg);

/* TRACE: a fresh socket, one end to the asker, the other to the task. Answers it. */
void inspect_trace(struct client *client, const struct ptl_server_msg *msg);
