/* SPDX-License-Identifier: Apache-2.0 */
/* server/ready.h - telling whoever started the server that it listens, and what it is to keep */
#pragma once

#include <portolan/outcome.h>
#include <stdbool.h>

/* Is there somebody who wants to be told (NOTIFY_SOCKET)? */
bool ready_is_asked_for(void);

/**
 * ready_notify_systemd - sd_notify(3) by hand: "READY=1", "STOPPING=1", what store.h says
 * @fd: borrowed, goes with it; or negative
 *
 * Return: 0 (also where nobody asked), -EAGAIN (there is no room), -errno (nobody listens).
 */
int ready_notify_systemd(const char *state, int fd);

/* Writes "READY\n" to @fd and closes it; does nothing for a negative one. */
void ready_notify_fd(int fd);
