/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task/spawn.h - starting portoland without disturbing the program
 *
 * The child has no exit signal: no SIGCHLD reaches the program's handlers, and its wait(-1) does not
 * see it.
 */
#pragma once
#include <portolan/outcome.h>

/* Starts `portoland --background --idle-exit 30 --socket PATH`; 0 and the PID of the process that ends
 * when the server listens. PTL_E_NO_SERVER: there is no portoland to start. */
PTL_MUST_CHECK int ptl_spawn_server(const char *path, int *ret_pid);

/* Has the starter ended, and with a failure? Reaps it, and zeroes *pid, if it ended. */
int ptl_spawn_failed(int *pid);
