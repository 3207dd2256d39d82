/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/output.h - what a client has not taken yet
 *
 * Packets go into the socket as long as they fit; what does not waits here, in order and bounded.
 */
#pragma once
#include "server/descriptor.h"
#include "server/list.h"

struct output {
        struct list packets;
        size_t bytes;         /* of memory */
        unsigned descriptors; /* that wait */
};

void output_init(struct output *out);
void output_fini(struct output *out);

/* Puts what waits in @from before what waits in @to. */
void output_move(struct output *from, struct output *to);

/* True if @size bytes, with a descriptor or without, are within the quota. */
bool output_has_room(const struct output *out, size_t size, bool with_descriptor);

/**
 * output_put - send one packet, or keep it
 * @sock, @data, @size: borrowed; without a socket (negative) all is kept
 * @carried: borrowed; NULL for none
 *
 * Return: 0 (sent), -EAGAIN (kept: flush when the socket has room), -ETOOMANYREFS, -ENOBUFS,
 * -ENOMEM (kept: flush after a while, there is nothing to poll for), PTL_E_QUOTA (there is no
 * room), or other -errno: the connection is of no more use.
 */
PTL_MUST_CHECK int output_put(struct output *out, int sock, const void *data, size_t size,
                              struct descriptor *carried);

/* Return: 0 (nothing waits), or a negative value as of output_put(). */
PTL_MUST_CHECK int output_flush(struct output *out, int sock);

/* Which of those values mean that the same packet may go later, without a sign from the socket. */
bool output_is_for_later(int r);
