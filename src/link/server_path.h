/* SPDX-License-Identifier: Apache-2.0 */
/* link/server_path.h - where the name server's socket is; the library and portoland agree on it */
#pragma once
#include <portolan/outcome.h>

#define PTL_SERVER_PATH_SYSTEM "/run/portolan/portolan.sock"

enum { PTL_SERVER_PATH_SIZE = 108 }; /* of sun_path, with the NUL */

enum ptl_server_kind {
        PTL_SERVER_GIVEN,  /* PORTOLAN_SOCKET names it */
        PTL_SERVER_SYSTEM, /* the system's, run by root or by systemd: nobody starts it on demand */
        PTL_SERVER_OWN,    /* this user's, started on demand */
};

/**
 * ptl_server_path - which server this process is to use
 * @ret_path: filled on success, NUL-terminated
 * @ret_kind: filled on success
 *
 * PORTOLAN_SOCKET if it is set and not empty; else the system's when a socket is there; else the
 * user's own: $XDG_RUNTIME_DIR/portolan/portolan.sock if that folder is a real one of this user's,
 * else /tmp/portolan-UID/portolan.sock. In a set-uid program the environment is not believed.
 * Touches nothing. Not async-signal-safe (getenv).
 *
 * Return: 0, PTL_E_TOO_BIG (the path does not fit a socket address).
 */
PTL_MUST_CHECK int ptl_server_path(char ret_path[PTL_SERVER_PATH_SIZE],
                                   enum ptl_server_kind *ret_kind);

/* The user's own, whatever PORTOLAN_SOCKET says and whether the system has one. Return: as above.
 */
PTL_MUST_CHECK int ptl_server_path_own(char ret_path[PTL_SERVER_PATH_SIZE]);

/**
 * ptl_server_directory_make - make the folder of a server's socket, one level
 * @path: borrowed; the socket's path
 *
 * A new folder has mode 0700. One that is there is taken as it is, except that the folder of the
 * user's own socket must be a real folder (no symbolic link) of this user's with mode 0700: in /tmp
 * anybody could have put one there.
 *
 * Return: 0, PTL_E_REFUSED (not such a folder), PTL_E_INVALID (no folder in @path), PTL_E_TOO_BIG,
 * -errno.
 */
PTL_MUST_CHECK int ptl_server_directory_make(const char *path);
