/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link/socket.h - packets with descriptors over AF_UNIX sockets; the one place of SCM_RIGHTS
 *
 * All sockets are SOCK_SEQPACKET: a packet arrives whole or not at all. No call here blocks, raises
 * SIGPIPE, or leaves a received descriptor without FD_CLOEXEC. Thread-safe; async-signal-safe.
 */
#pragma once
#include <portolan/outcome.h>
#include <stddef.h>

enum { PTL_SOCKET_FDS_MAX = 253 }; /* SCM_MAX_FD: the kernel carries no more in one packet */

/**
 * ptl_socket_pair - two connected sockets, close-on-exec, non-blocking
 * @ret_socks: filled on success: two descriptors, the caller's
 *
 * Return: 0, -EMFILE, -ENFILE, -ENOMEM.
 */
PTL_MUST_CHECK int ptl_socket_pair(int ret_socks[2]);

/**
 * ptl_socket_send - send one packet
 * @data, @size: borrowed; 1 or more bytes (an empty packet would look like the end)
 * @fds, @n_fds: borrowed; at most PTL_SOCKET_FDS_MAX
 *
 * Return: 0, -EAGAIN (no room; poll for POLLOUT), -EPIPE or -ECONNRESET (the other side is gone),
 * -ETOOMANYREFS (too many descriptors of this user are under way: try again after a while, there is
 * nothing to poll for), -EMSGSIZE, -ENOBUFS, -ENOMEM. On failure nothing was sent.
 */
PTL_MUST_CHECK int ptl_socket_send(int sock, const void *data, size_t size, const int *fds,
                                   size_t n_fds);

/**
 * ptl_socket_receive - take one packet
 * @buffer, @room: filled
 * @ret_size: filled when the outcome is 0 or PTL_E_LOST; 0 at the end of file (an empty packet
 *            counts as that)
 * @ret_fds:  filled on success: the first @max_fds descriptors, the caller's; more are closed
 * @ret_n_fds: filled always; NULL is allowed when @max_fds is 0
 *
 * Return: 0, -EAGAIN (nothing there), -ECONNRESET, PTL_E_MALFORMED (the packet is larger than
 * @room: it was dropped with its descriptors), PTL_E_LOST (the bytes are there, but not all the
 * descriptors could be received, as at this process's limit; those that came were closed,
 * *ret_n_fds is 0).
 */
PTL_MUST_CHECK int ptl_socket_receive(int sock, void *buffer, size_t room, size_t *ret_size,
                                      int *ret_fds, size_t max_fds, size_t *ret_n_fds);

/**
 * ptl_socket_peek - look at the next packet, which stays
 * @buffer, @room, @ret_size: as of ptl_socket_receive()
 * @ret_fds:   filled on success: copies of its descriptors, two at most, the caller's
 *
 * Return: as ptl_socket_receive(), but: PTL_E_MALFORMED also if it has more than two descriptors, and
 * PTL_E_LOST only if this process had no place for those that it has.
 */
PTL_MUST_CHECK int ptl_socket_peek(int sock, void *buffer, size_t room, size_t *ret_size,
                                   int ret_fds[2], size_t *ret_n_fds);

/* Drops the next packet, with its descriptors. */
void ptl_socket_drop(int sock);

/*
 * Closes a descriptor that a peer sent and that is no use, without waiting for what a lingering socket has
 * not sent: that is the peer's affair. -1 and the like are allowed. Always -EBADF.
 */
int ptl_socket_discard(int fd);
static inline void ptl_socket_discardp(int *fd) { ptl_socket_discard(*fd); }
