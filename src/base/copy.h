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

/* The same for what is mostly small, without a call: as few stores as can be, of which two may overlap. */
static inline void ptl_copy_small(void *to, const void *from, size_t size)
{
#ifndef PTL_MODEL
        typedef char block __attribute__((vector_size(16)));
        const char *f = from;
        char *t = to;
        block a, b, c, d;

        if (size - 8 <= 8) {
                uint64_t first, last;

                memcpy(&first, f, 8);
                memcpy(&last, f + size - 8, 8);
                memcpy(t, &first, 8);
                memcpy(t + size - 8, &last, 8);
                return;
        }
        if (size - 17 <= 64 - 17) {
                memcpy(&a, f, 16);
                memcpy(&d, f + size - 16, 16);
                memcpy(t + size - 16, &d, 16);
                if (size > 32) {
                        memcpy(&b, f + 16, 16);
                        if (size > 48) {
                                memcpy(&c, f + 32, 16);
                                memcpy(t + 32, &c, 16);
                        }
                        memcpy(t + 16, &b, 16);
                }
                memcpy(t, &a, 16);
                return;
        }
#endif
        ptl_copy_shared(to, from, size);
}

/* Copies past the cache and fences the streamed bytes before any later store. */
void ptl_copy_streaming(void *to, const void *from, size_t size);
