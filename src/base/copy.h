/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/copy.h - copying into and out of shared memory
 *
 * Small copies go through the cache. Streaming copies go past it: slower when the reader shares a
 * cache, up to ten times faster when it does not (PEERS: near and far). The instructions are chosen
 * at run time; the baseline is x86-64.
 */
#pragma once
#include "base/atomic.h"
#include "base/cleanup.h"
#include <stddef.h>
#include <string.h>

/*
 * Copies into memory a peer reads. Plain stores: they become visible through the release store that
 * publishes them. Under PTL_MODEL each 8 bytes are a relaxed store that the explorer may delay.
 */
#ifdef PTL_MODEL
void ptl_copy_shared(void *to, const void *from, size_t size);
#else
static inline void ptl_copy_shared(void *to, const void *from, size_t size)
{
        if (size) /* memcpy() wants pointers even for nothing */
                memcpy(to, from, size);
}
#endif

/* The same for what is mostly small: two loads that may overlap, then two stores, without a call. */
static inline void ptl_copy_small(void *to, const void *from, size_t size)
{
#ifndef PTL_MODEL
        const char *f = from;
        char *t = to;

        if (PTL_LIKELY(size >= 8 && size <= 16)) {
                uint64_t head, tail;

                memcpy(&head, f, 8);
                memcpy(&tail, f + size - 8, 8);
                memcpy(t, &head, 8);
                memcpy(t + size - 8, &tail, 8);
                return;
        }
#endif
        ptl_copy_shared(to, from, size);
}

/* Copies past the cache and fences the streamed bytes before any later store. */
void ptl_copy_streaming(void *to, const void *from, size_t size);
