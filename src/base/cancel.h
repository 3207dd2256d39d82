/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/cancel.h - system calls of the library are no cancellation points
 *
 * A thread that is cancelled inside would take the locks it holds with it. PTL_NO_CANCEL holds a
 * cancellation back to the end of the scope; calls on the path of a message go to the kernel directly,
 * which is no cancellation point.
 */
#pragma once
#include "base/cleanup.h"
#include <pthread.h>
#include <stdint.h>
#include <sys/syscall.h>

static inline int ptl_cancel_hold(void)
{
        int old;

        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
        return old;
}

static inline void ptl_cancel_restore(const int *old) { pthread_setcancelstate(*old, NULL); }

#define PTL_NO_CANCEL                                                                              \
        __attribute__((unused)) ptl_cleanup(ptl_cancel_restore) const int cancel_state_ =          \
                ptl_cancel_hold()

/* An eventfd that does not block: a full counter has rung already, an empty one has nothing. */
static inline void ptl_event_raise(int fd)
{
        uint64_t one = 1;

        syscall(SYS_write, fd, &one, sizeof one);
}
/* Wakes whoever watches for edges of an eventfd that is readable for ever. Adding nothing cannot fill
 * its counter, so it does not block, whatever its other holders did to it. */
static inline void ptl_event_nudge(int fd)
{
        uint64_t zero = 0;

        syscall(SYS_write, fd, &zero, sizeof zero);
}
static inline void ptl_event_clear(int fd)
{
        uint64_t count;

        syscall(SYS_read, fd, &count, sizeof count);
}
