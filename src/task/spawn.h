/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task/spawn.h - starting portoland without disturbing the program
 *
 * The server is nobody's child: a process between us and it ends at once, and has no exit signal. So no
 * SIGCHLD reaches the program's handlers and its wait(-1) sees nothing.
 */
#pragma once
#include <portolan/outcome.h>
#include <stdbool.h>

/* Starts `portoland --background --idle-exit 30 --socket PATH`; 0 and a pipe's reading end that tells when
 * it ended. PTL_E_NO_SERVER: there is no portoland to start. */
PTL_MUST_CHECK int ptl_spawn_server(const char *path, int *ret_pipe);

/* Has what was started ended without a server being there (asked twice: once may be the moment at which
 * it went to the background)? Closes the pipe then. */
bool ptl_spawn_failed(int *pipe);
