/* SPDX-License-Identifier: Apache-2.0 */
/* server/greet.h - the first packet of a connection */
#pragma once
#include "server/client.h"

/* Welcomes a client that says HELLO, refuses one of another protocol, expels all else. @passport: the descriptor
 * that came with it, borrowed; or -EBADF. */
void greet(struct client *client, const void *packet, size_t size, int passport);
