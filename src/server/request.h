/* SPDX-License-Identifier: Apache-2.0 */
/* server/request.h - what a client asks for, one packet at a time */
#pragma once
#include "server/client.h"

/* @fd: borrowed; the descriptor that came along, or -EBADF; -EBADF on return if it was taken. */
void request_handle(struct client *client, const void *packet, size_t size, int *fd);
