/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/listen.h - the socket where clients knock, and who may open it
 *
 * At most one server listens at a path. Whoever opens or leaves a socket holds an exclusive
 * flock(2) on the folder it is in: no file but the socket ever exists. The kernel gives the lock
 * back when its holder dies.
 */
#pragma once
#include "link/server_path.h"
#include <stdbool.h>
#include <sys/types.h>

struct listener {
        int socket;
        char path[PTL_SERVER_PATH_SIZE]; /* "" if systemd opened it: then it is not ours to remove
                                          */
        dev_t device;                    /* of the socket's name, as we made it */
        ino_t inode;
};

/**
 * listener_open - become the server at a path
 * @path: borrowed, absolute
 * @is_public: let other users connect: the socket's mode is 0666 instead of 0600
 * @ret_listener: filled on success
 *
 * The socket of a server that is dead is replaced. A new folder has mode 0700, for a public socket
 * 0755.
 *
 * Return: 0, PTL_E_EXISTS (a server listens there: nothing to do), PTL_E_REFUSED (what is there is
 * no socket, or the folder is not as it must be), PTL_E_TOO_BIG, PTL_E_INVALID, -ETIMEDOUT
 * (somebody keeps the folder locked), -errno.
 */
PTL_MUST_CHECK int listener_open(const char *path, bool is_public, struct listener *ret_listener);

/* A socket that systemd passed; @fd: consumed on success. Return: 0, PTL_E_INVALID (not a listening
 * SOCK_SEQPACKET of AF_UNIX), -errno. */
PTL_MUST_CHECK int listener_adopt(int fd, struct listener *ret_listener);

/**
 * listener_lock - keep others from opening a socket here
 * @ret_lock: filled on success: a descriptor; closing it unlocks. -EBADF for systemd's socket:
 * there is nothing to lock, systemd keeps those who wait Return: 0, -EWOULDBLOCK (another has it:
 * do not wait), -errno.
 */
PTL_MUST_CHECK int listener_lock(const struct listener *listener, int *ret_lock);

/* Removes the socket's name, if it still is the one that we made. */
void listener_withdraw(const struct listener *listener);

/* An accepted connection, close-on-exec and non-blocking, or -errno. */
PTL_MUST_CHECK int listener_accept(const struct listener *listener);
