/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/limits.h - limits by name: compiled defaults, and the texts that set them (docs/limits.md)
 *
 * A text is hostile to nobody but its own process; it is still bounded everywhere, and whatever it says, every limit
 * has a value from 1 on.
 */
#pragma once
#include <portolan/outcome.h>
#include <portolan/quota.h>
#include <stdbool.h>

#define PTL_LIMITS_SYSTEM_PATH "/etc/portolan/limits"

enum { PTL_LIMITS_FAULTS = 8, PTL_LIMITS_FILE_MAX = 64 << 10 };

struct ptl_limit {
        uint64_t value; /* 0: the default, where that is reckoned anew each time (port/quota.c) */
        uint32_t origin; /* enum ptl_quota_origin */
};

/* Of portoland: named in the same places, so that one file says all (server/quota.c). */
enum ptl_limit_server {
        PTL_LIMIT_SERVER_TASKS,
        PTL_LIMIT_SERVER_NAMES,
        PTL_LIMIT_SERVER_LOOK_UPS,
        PTL_LIMIT_SERVER_WATCHES,
        PTL_LIMIT_SERVER_KINDS
};

struct ptl_limits {
        struct ptl_limit at[PTL_QUOTA_KINDS][PTL_QUOTA_SCOPES];
        struct ptl_limit server[PTL_LIMIT_SERVER_KINDS]; /* 0: not set */
        uint32_t n_faults; /* all; PTL_LIMITS_FAULTS are kept */
        struct ptl_quota_fault faults[PTL_LIMITS_FAULTS];
};

/* Every limit as it was compiled; no faults. */
void ptl_limits_init(struct ptl_limits *limits);

/* The limit of a number, or NULL. */
struct ptl_limit *ptl_limits_find(struct ptl_limits *limits, uint32_t limit);

/**
 * ptl_limits_parse - take in a text of lines, or of items between @separator
 * @text:      @size bytes; need not end in NUL
 * @separator: '\n' or ','
 * @path:      borrowed; what faults are said to be in
 */
void ptl_limits_parse(struct ptl_limits *limits, const char *text, size_t size, char separator,
                      enum ptl_quota_origin origin, const char *path);

/* Takes in a file, if it is there. Whatever is wrong with it is a fault. */
void ptl_limits_read(struct ptl_limits *limits, enum ptl_quota_origin origin, const char *path);

/* All of it in turn: defaults, the machine's file, the user's, the environment. */
void ptl_limits_read_all(struct ptl_limits *limits);
