/* SPDX-License-Identifier: Apache-2.0 */
/* server/quota.h - how much of the server one client, and all together, may use */
#pragma once
#include <stddef.h>

/*
 * What exceeds a quota of requests is refused with PTL_E_QUOTA and harms nobody's connection. Who
 * exceeds the quota of his output by not reading is disconnected, but never for introductions:
 * those are refused to the one who asks for them.
 */
enum {
        QUOTA_TASKS = 4096,    /* PORTOLAND_MAX_TASKS: all together */
        QUOTA_NAMES = 65536,   /* PORTOLAND_MAX_NAMES: published by one task */
        QUOTA_LOOK_UPS = 1024, /* PORTOLAND_MAX_LOOKUPS: waiting, of one task */
        QUOTA_WATCHES = 64,    /* PORTOLAND_MAX_WATCHES: of one task */
        QUOTA_LOOKERS = 4,     /* beyond QUOTA_TASKS: who only looks can see who uses it up */
        QUOTA_RESERVE = 4,     /* descriptors, for them too: a connection, its process, and its start time */
        QUOTA_LISTS = 16,      /* under way at once, of one task */
        QUOTA_GREETINGS = 64,  /* connections that have not said HELLO; the oldest makes way */
        QUOTA_OUTPUT_BYTES = 1 << 20, /* that a client has not taken, beside its socket's buffer */
        QUOTA_OUTPUT_FDS = 64,        /* descriptors among them */
        QUOTA_OUTPUT_PAUSE = 1 << 18, /* bytes from which on no more of its requests are read */
        QUOTA_ROUND_PACKETS = 32,     /* requests of one client before the others have their turn */
        QUOTA_ROUND_ITEMS = 64,       /* items of one client's lists, likewise */
        QUOTA_ROUND_ACCEPTS = 64,
};

struct quota {
        size_t tasks, names, look_ups, watches;
};

/* The defaults, or what the files of limits (docs/limits.md), or the environment say. */
struct quota quota_read(void);
