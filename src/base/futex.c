/* SPDX-License-Identifier: Apache-2.0 */
/* base/futex.c - see futex.h */
#define _GNU_SOURCE
#include "base/futex.h"
#include "base/clock.h"
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

void ptl_futex_wait(_Atomic uint32_t *word, uint32_t value, ptl_time deadline)
{
        struct timespec left = ptl_deadline_left(deadline);

        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, deadline == PTL_FOREVER ? NULL : &left,
                NULL, 0);
}

void ptl_futex_wake(_Atomic uint32_t *word, int count)
{
        syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}
