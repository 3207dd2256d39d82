/* SPDX-License-Identifier: Apache-2.0 */
/* server/quota.c - how much of the server one client, and all together, may use */
#define _GNU_SOURCE
#include "server/quota.h"
#include "base/limits.h"
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

/* What is no number is the default: a mistyped variable must not leave users without a server. */
static size_t read_one(const char *variable, size_t by_default)
{
        const char *text = getenv(variable);
        unsigned long value;
        char *end;

        if (!text || text[0] < '0' || text[0] > '9')
                return by_default;
        errno = 0;
        value = strtoul(text, &end, 10);
        return errno || *end || value > UINT32_MAX ? by_default : value;
}

/* What the files of limits say, or else the compiled default; counts go to tasks as 32 bits. */
static size_t set_or(const struct ptl_limits *limits, enum ptl_limit_server which, size_t by_default)
{
        uint64_t value = limits->server[which].value;

        if (!value)
                return by_default;
        return value < UINT32_MAX ? (size_t)value : UINT32_MAX;
}

struct quota quota_read(void)
{
        struct ptl_limits l;

        ptl_limits_read_all(&l);
        return (struct quota){
                .tasks = read_one("PORTOLAND_MAX_TASKS", set_or(&l, PTL_LIMIT_SERVER_TASKS, QUOTA_TASKS)),
                .names = read_one("PORTOLAND_MAX_NAMES", set_or(&l, PTL_LIMIT_SERVER_NAMES, QUOTA_NAMES)),
                .look_ups = read_one("PORTOLAND_MAX_LOOKUPS", set_or(&l, PTL_LIMIT_SERVER_LOOK_UPS, QUOTA_LOOK_UPS)),
                .watches = read_one("PORTOLAND_MAX_WATCHES", set_or(&l, PTL_LIMIT_SERVER_WATCHES, QUOTA_WATCHES)),
        };
}
