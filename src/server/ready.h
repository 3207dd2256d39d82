/* SPDX-License-Identifier: Apache-2.0 */
/* server/ready.h - telling whoever started the server that it listens */
#pragma once

/* sd_notify(3) by hand: "READY=1", "STOPPING=1". Does nothing where nobody asked to be told. */
void ready_notify_systemd(const char *state);

/* Writes "READY\n" to @fd and closes it; does nothing for a negative one. */
void ready_notify_fd(int fd);
