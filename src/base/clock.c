/* SPDX-License-Identifier: Apache-2.0 */
/* base/clock.c - see clock.h */
#define _GNU_SOURCE
#include "base/clock.h"
#include <limits.h>

enum { NS_PER_MS = 1000000, NS_PER_S = 1000000000 };

ptl_time ptl_now(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (ptl_time)t.tv_sec * NS_PER_S + t.tv_nsec;
}

ptl_time ptl_now_roughly(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
        return (ptl_time)t.tv_sec * NS_PER_S + t.tv_nsec;
}

ptl_time ptl_after_ms(int64_t milliseconds)
{
        ptl_time now = ptl_now();

        if (milliseconds <= 0)
                return now;
        if (milliseconds > (PTL_FOREVER - now) / NS_PER_MS)
                return PTL_FOREVER;
        return now + milliseconds * NS_PER_MS;
}

static ptl_time left(ptl_time deadline)
{
        ptl_time now;

        if (deadline <= 0)
                return 0;
        now = ptl_now();
        return deadline > now ? deadline - now : 0;
}

int ptl_deadline_ms(ptl_time deadline)
{
        ptl_time ns;

        if (deadline == PTL_FOREVER)
                return -1;
        ns = left(deadline);
        if (ns > (ptl_time)(INT_MAX - 1) * NS_PER_MS)
                return INT_MAX;
        return (int)((ns + NS_PER_MS - 1) / NS_PER_MS);
}

struct timespec ptl_deadline_left(ptl_time deadline)
{
        ptl_time ns = left(deadline);

        return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}
