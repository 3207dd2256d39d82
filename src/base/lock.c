/* SPDX-License-Identifier: Apache-2.0 */
/* base/lock.c - the sleeping half of lock.h */
#include "base/lock.h"
#include "base/futex.h"

#ifndef PTL_LOCK_SPINS
#define PTL_LOCK_SPINS 100 /* tests/model/ needs fewer */
#endif

void ptl_lock_slow(struct ptl_lock *lock)
{
        for (int i = 0; i < PTL_LOCK_SPINS; i++) {
                uint32_t seen = PTL_LOCK_FREE;

                if (ptl_cas(&lock->state, &seen, PTL_LOCK_HELD)) /* E1 */
                        return;
                ptl_pause();
        }
        /* From here the lock is taken as CONTESTED: its holder cannot know whether others sleep. */
        while (ptl_exchange(&lock->state, PTL_LOCK_CONTESTED) != PTL_LOCK_FREE) /* E1 */
                ptl_futex_wait(&lock->state, PTL_LOCK_CONTESTED, PTL_FOREVER);
}

void ptl_unlock_slow(struct ptl_lock *lock) { ptl_futex_wake(&lock->state, 1); }
