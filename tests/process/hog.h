/* SPDX-License-Identifier: Apache-2.0 */
/* hog.h - a process that has no descriptors left, and gets them back */
#pragma once
#include "tst.h"
#include <fcntl.h>
#include <sys/resource.h>

enum { FEW = 40 };

static int hogged[FEW];
static struct rlimit before_hog;

/* No descriptor is left to this process. */
static inline void hog(void)
{
        CHECK(getrlimit(RLIMIT_NOFILE, &before_hog) == 0);
        CHECK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){FEW, before_hog.rlim_max}) == 0);
        for (int i = 0; i < FEW && (hogged[i] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0; i++)
                ;
        CHECK_EQ(open("/dev/null", O_RDONLY | O_CLOEXEC), -1);
        CHECK_EQ(errno, EMFILE);
}

static inline void unhog(void)
{
        for (int i = 0; i < FEW && hogged[i] > 0; i++)
                hogged[i] = close(hogged[i]);
        CHECK(setrlimit(RLIMIT_NOFILE, &before_hog) == 0);
}
