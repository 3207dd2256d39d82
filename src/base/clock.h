/* SPDX-License-Identifier: Apache-2.0 */
/* base/clock.h - monotonic nanoseconds, and a cheaper tick for polling loops */
#pragma once
#include <portolan/types.h>
#include <stdbool.h>
#include <time.h>

/* Deadlines: PTL_NOW has passed, PTL_FOREVER never does. */
static inline bool ptl_deadline_passed(ptl_time deadline)
{
        return deadline != PTL_FOREVER && (deadline <= 0 || ptl_now() >= deadline);
}

/* Milliseconds until a deadline for poll-like calls: rounded up, -1 for never. */
int ptl_deadline_ms(ptl_time deadline);

/* As ptl_now(), up to some ms late, at a tenth of its cost. */
ptl_time ptl_now_roughly(void);

/* Time left, never negative. */
struct timespec ptl_deadline_left(ptl_time deadline);
