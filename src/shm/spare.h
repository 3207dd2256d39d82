/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm/spare.h - private memory that is used again
 *
 * For a MiB of new memory the kernel takes longer (50 µs: 256 faults, each of which clears a page) than a
 * copy into it. So pieces that were freed are kept for the next ones of the same size, the oldest given
 * up first. One list for the process; the caller sees to it that one thread at a time is here.
 */
#pragma once
#include "base/cleanup.h"
#include <portolan/types.h>
#include <stddef.h>

enum { PTL_SPARE_PIECES = 16, PTL_SPARE_BYTES = 16 << 20 };

/* @size bytes rounded up to whole pages, with what stood there before; 0, -ENOMEM. */
PTL_MUST_CHECK int ptl_spare_take(size_t size, void **ret_data);

/* Memory of ptl_spare_take(), the same @size. */
void ptl_spare_give(void *data, size_t size);

/* The kernel has all of it back. */
void ptl_spare_drop(void);

/* In a child, where none of it is mapped. */
void ptl_spare_forked(void);
