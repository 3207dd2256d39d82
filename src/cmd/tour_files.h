/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/tour_files.h - this machine's own files as one endless stream of real bytes */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct files;

/* Return: NULL if there is no memory. */
struct files *files_new(void);
struct files *files_free(struct files *f);

/**
 * files_read - the next bytes of the stream
 *
 * Regular files that this user may read, one after the other, below /usr and the like; when all
 * were read, from the beginning again. Return: how many bytes; fewer than @size only if no file at
 * all can be read.
 */
size_t files_read(struct files *f, void *data, size_t size);

/* Files begun so far; a repeated one counts again. */
uint64_t files_count(const struct files *f);
