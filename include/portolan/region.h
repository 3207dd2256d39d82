/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portolan/region.h - memory that travels by reference
 *
 * A region is a sealed memfd, reserved before it is shown to anyone (no SIGBUS, no /dev/shm limit),
 * mapped in each task that has it. It is found by name (portolan/name.h) or sent in a message
 * (struct ptl_region_item):
 *
 *   PTL_REGION_VOLATILE  both sides see the same memory; the sender may still write. The fastest:
 *                        once its memory has travelled on a link, only a reference does.
 *   PTL_REGION_ISOLATED  the receiver's pages are its own from the moment it has them: nothing the
 *                        sender does afterwards changes them. The region is consumed by the send. Its
 *                        pages are frozen (sealed against writing, no copy) where the sender alone
 *                        has them, else copied once. The faster way from some MiB on.
 *   PTL_REGION_COPIED    the receiver's pages are its own as well, and the sender keeps the region:
 *                        they are copied once, when the receiving task takes the message in. What the
 *                        sender writes before is seen: it leaves the memory alone until it knows (an
 *                        answer; PTL_NOTIFY_MESSAGE_ACCEPTED). The faster way for less, above all for
 *                        memory that has travelled before: no system call on either side, since the
 *                        receiver's library keeps up to 16 MiB of freed copies for the next ones.
 *
 * Thread safety: calls may be made from any thread; one region is to be freed once, by its owner.
 * Fork: regions are not mapped in a child. Not async-signal-safe.
 */
#ifndef PORTOLAN_REGION_H
#define PORTOLAN_REGION_H

#include <portolan/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ptl_region;

enum ptl_region_how { PTL_REGION_VOLATILE = 1, PTL_REGION_ISOLATED = 2, PTL_REGION_COPIED = 3 };

#define PTL_REGION_SIZE_MAX ((uint64_t)1 << 40) /* 1 TiB; memory and quotas end earlier */

/**
 * ptl_region_new - create a region of zeroed memory
 * @size:       bytes, 1 to PTL_REGION_SIZE_MAX; rounded up to whole pages
 * @ret_region: filled on success; the caller's
 *
 * Return: 0, PTL_E_INVALID (size 0), PTL_E_TOO_BIG, -ENOMEM, -ENOSPC (memory cannot be reserved),
 * -EMFILE. Cost: three system calls and the kernel's zeroing of the pages (≈ 0.25 ms per MiB).
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_region_new(size_t size, struct ptl_region **ret_region);

/* The memory; its size in bytes as asked for. A region that was sent isolated is consumed: its handle
 * must not be used any more. */
PTL_PUBLIC void *ptl_region_data(const struct ptl_region *region);
PTL_PUBLIC size_t ptl_region_size(const struct ptl_region *region);

/**
 * ptl_region_free - unmap a region and give up its descriptor
 * @region: consumed; NULL is allowed
 *
 * Others who have the region keep it.
 * Return: always NULL, so that `r = ptl_region_free(r)` leaves nothing behind.
 */
PTL_PUBLIC struct ptl_region *ptl_region_free(struct ptl_region *region);

#ifdef __cplusplus
}
#endif
#endif
