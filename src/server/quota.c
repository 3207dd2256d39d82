/* SPDX-License-Identifier: Apache-2.0 */
/* server/quota.c - how much of the server one client, and all together, may use */
#define _GNU_SOURCE
#include "server/quota.h"
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

struct quota quota_read(void)
{
        return (struct quota){
                .tasks = read_one("PORTOLAND_MAX_TASKS", QUOTA_TASKS),
                .names = read_one("PORTOLAND_MAX_NAMES", QUOTA_NAMES),
                .look_ups = read_one("PORTOLAND_MAX_LOOKUPS", QUOTA_LOOK_UPS),
                .watches = read_one("PORTOLAND_MAX_WATCHES", QUOTA_WATCHES),
        };
}
