/* SPDX-License-Identifier: Apache-2.0 */
/* server/descriptor.h - descriptors that several packets may carry; what a region must be */
#pragma once
#include <portolan/outcome.h>
#include <stddef.h>
#include <stdint.h>

struct descriptor {
        unsigned refs;
        int fd;
};

/* @fd: consumed on success. Return: one reference; NULL without memory. */
struct descriptor *descriptor_new(int fd);
struct descriptor *descriptor_ref(struct descriptor *d);
/* @d: one reference, consumed; NULL is allowed. The last one closes. Return: NULL. */
struct descriptor *descriptor_unref(struct descriptor *d);

/**
 * descriptor_check_region - may this be published as a region?
 * @fd: borrowed; from a client, so anything
 * @size: what the client says
 *
 * It must be memory that cannot be taken away under those who map it: on tmpfs, sealed against
 * shrinking and growing, and reserved as far as @size says.
 *
 * Return: 0, PTL_E_MALFORMED, -errno.
 */
PTL_MUST_CHECK int descriptor_check_region(int fd, uint64_t size);

/* Is it memory that nobody can make smaller or larger? As above. */
PTL_MUST_CHECK int descriptor_check_fixed(int fd);

/* Is it memory of exactly @size, reserved, that only its maker can write (wire/board.h)? As above. */
PTL_MUST_CHECK int descriptor_check_board(int fd, uint64_t size);

/* How many there are. */
size_t descriptor_count(void);
