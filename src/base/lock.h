/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/lock.h - a small mutex for threads of one process, free of atomics while there is one thread
 *
 * States: FREE, HELD, CONTESTED (held, and somebody may sleep). E1: unlock's release → lock's
 * acquire: what the last holder wrote is visible to the next.
 *
 * glibc's __libc_single_threaded is true until the first thread is created. A thread cannot be
 * created by a holder (the library creates none inside), so the plain and the atomic spelling never
 * meet on a held lock. Ranks are asserted in debug builds: a thread takes locks in rising order.
 */
#pragma once
#include "base/atomic.h"
#include "base/cleanup.h"
#include <assert.h>
#if !defined(PTL_MODEL) && defined(__has_include)
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define PTL_SINGLE_THREADED __libc_single_threaded
#endif
#endif
#ifndef PTL_SINGLE_THREADED
#define PTL_SINGLE_THREADED 0
#endif

enum ptl_lock_state { PTL_LOCK_FREE, PTL_LOCK_HELD, PTL_LOCK_CONTESTED };

struct ptl_lock {
        _Atomic uint32_t state;
};

void ptl_lock_slow(struct ptl_lock *lock);
void ptl_unlock_slow(struct ptl_lock *lock);

static inline void ptl_lock(struct ptl_lock *lock)
{
        uint32_t seen = PTL_LOCK_FREE;

        if (PTL_LIKELY(PTL_SINGLE_THREADED)) {
                ptl_store_relaxed(&lock->state, PTL_LOCK_HELD); /* relaxed: nobody else is there */
                return;
        }
        if (PTL_UNLIKELY(!ptl_cas(&lock->state, &seen, PTL_LOCK_HELD))) /* E1 */
                ptl_lock_slow(lock);
}

static inline void ptl_unlock(struct ptl_lock *lock)
{
        if (PTL_LIKELY(PTL_SINGLE_THREADED)) {
                ptl_store_relaxed(&lock->state, PTL_LOCK_FREE); /* relaxed: nobody else is there */
                return;
        }
        if (PTL_UNLIKELY(ptl_exchange(&lock->state, PTL_LOCK_FREE) == PTL_LOCK_CONTESTED)) /* E1 */
                ptl_unlock_slow(lock);
}
