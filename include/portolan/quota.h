/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portolan/quota.h - what others can make this task hold: limits, use, and who was refused for them
 *
 * Each task counts by itself what each process, each user and all together make it hold. At a limit the one
 * thing is refused, where its sender still waits, and remembered with limit and culprit; no link ends for it, and
 * nothing that was sent is lost. docs/limits.md has the names, the defaults, and the file and variable that set
 * limits; docs/protocol/quotas.md what each side sees.
 *
 * Thread-safe; not async-signal-safe; no system call. Fork: the child counts from nothing and reads the
 * limits anew.
 */
#ifndef PORTOLAN_QUOTA_H
#define PORTOLAN_QUOTA_H

#include <portolan/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is counted. */
enum ptl_quota {
        PTL_QUOTA_LINKS = 0,    /* links; only those that others ask for are refused */
        PTL_QUOTA_RIGHTS = 1,   /* rights that others took by name */
        PTL_QUOTA_MESSAGES = 2, /* messages that wait in queues */
        PTL_QUOTA_BYTES = 3,    /* their bytes, and 1,536 for each */
        PTL_QUOTA_CARRIED = 4,  /* rights in them */
        PTL_QUOTA_REGIONS = 5,  /* regions in them */
        PTL_QUOTA_PARKED = 6,   /* rights handed on by others, whose giver has not said so yet */
        PTL_QUOTA_ORPHANS = 7,  /* bytes of messages whose sender gave its right back */
        PTL_QUOTA_KINDS = 8
};

/* Whose use is counted together. */
enum ptl_quota_scope {
        PTL_QUOTA_TASK = 0, /* one process */
        PTL_QUOTA_UID = 1,  /* one user; a limit that nobody has set leaves out this task's own, and root */
        PTL_QUOTA_ALL = 2,
        PTL_QUOTA_SCOPES = 3
};

/* A limit's number, from 1 to PTL_QUOTA_LIMITS; 0 means none. */
#define PTL_QUOTA_LIMIT(kind, scope) ((uint32_t)(1 + (kind) * PTL_QUOTA_SCOPES + (scope)))
#define PTL_QUOTA_LIMITS             ((uint32_t)(PTL_QUOTA_KINDS * PTL_QUOTA_SCOPES))

#define PTL_QUOTA_UNLIMITED UINT64_MAX

/* Where a limit comes from; the later ones are stronger. */
enum ptl_quota_origin {
        PTL_QUOTA_BY_DEFAULT = 0,
        PTL_QUOTA_BY_SYSTEM = 1,      /* /etc/portolan/limits */
        PTL_QUOTA_BY_USER = 2,        /* the user's file */
        PTL_QUOTA_BY_ENVIRONMENT = 3, /* PORTOLAN_LIMITS */
        PTL_QUOTA_BY_CALL = 4         /* ptl_quota_set() */
};

/**
 * ptl_quota_name - a limit's name: "messages.task"
 * Return: a static string, NULL if there is no such limit. Async-signal-safe.
 */
PTL_PUBLIC const char *ptl_quota_name(uint32_t limit);

/**
 * ptl_quota_get - a limit in force
 * @value:      filled on success: from 1 to PTL_QUOTA_UNLIMITED
 * @ret_origin: filled on success: enum ptl_quota_origin; may be NULL
 *
 * Return: 0, PTL_E_INVALID (there is no such limit), -errno.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_quota_get(uint32_t limit, uint64_t *ret_value, uint32_t *ret_origin);

/**
 * ptl_quota_set - set a limit of this task
 * @value: from 1 to PTL_QUOTA_UNLIMITED
 *
 * Takes nothing away from those who have more already; lets go who was held back and is below it now.
 * Return: 0, PTL_E_INVALID, -errno.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_quota_set(uint32_t limit, uint64_t value);

/* What one process, one user, or all make this task hold now. */
struct ptl_quota_use {
        uint32_t scope;   /* enum ptl_quota_scope */
        int32_t pid;      /* of PTL_QUOTA_TASK: as ptl_identity.pid */
        uint32_t uid;     /* of PTL_QUOTA_TASK and _UID */
        uint32_t refused; /* things of it that were refused, since it is known here */
        uint64_t use[PTL_QUOTA_KINDS]; /* by enum ptl_quota */
};

/**
 * ptl_quota_get_use - who makes this task hold how much
 * @entries:   borrowed array, filled: first all, then users, then processes; may be NULL if @max is 0
 * @ret_count: filled on success: how many there are (may exceed @max)
 *
 * Whoever has no link and no message here is not known.
 * Return: 0, PTL_E_INVALID, -errno.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_quota_get_use(struct ptl_quota_use *entries, size_t max, size_t *ret_count);

/**
 * struct ptl_quota_refusal - a limit that was reached, and who reached it
 *
 * In shared memory too: the layout is fixed (docs/protocol/statistics.md).
 */
struct ptl_quota_refusal {
        uint32_t limit;    /* its number: ptl_quota_name() */
        uint32_t is_ours;  /* 1: this task refused @pid. 0: @pid refused this task, and says for which limit */
        int32_t pid;
        uint32_t uid;
        uint64_t value;    /* of the limit, the last time */
        uint64_t use;      /* what was held in its scope, the last time; 0 where it is not ours to know */
        uint64_t count;    /* things refused */
        ptl_time first, last;
        uint64_t reserved;
};

enum { PTL_QUOTA_REFUSALS = 16 }; /* remembered, 4 of one process; the one that is longest silent makes way */

/**
 * ptl_quota_get_refusals - the last refusals, by limit and culprit; the latest first
 * @entries:   borrowed array, filled; may be NULL if @max is 0
 * @ret_count: filled on success: how many are remembered, at most PTL_QUOTA_REFUSALS
 *
 * Return: 0, PTL_E_INVALID, -errno.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_quota_get_refusals(struct ptl_quota_refusal *entries, size_t max,
                                                     size_t *ret_count);

/* Why something in a file or variable was not believed. */
enum ptl_quota_fault_why {
        PTL_QUOTA_NO_EQUALS = 1, /* no "NAME = VALUE" */
        PTL_QUOTA_NO_NAME = 2,   /* no limit has this name */
        PTL_QUOTA_NO_VALUE = 3,  /* no number from 1 on, with K, M or G, and not "unlimited" */
        PTL_QUOTA_UNREADABLE = 4, /* the file is there and cannot be read */
        PTL_QUOTA_NOT_SAFE = 5,  /* another's, writable by others, or no regular file: not believed */
        PTL_QUOTA_TOO_LONG = 6,  /* larger than 64 KiB: not believed */
        PTL_QUOTA_FAULT_KINDS = 7
};

struct ptl_quota_fault {
        uint32_t origin; /* enum ptl_quota_origin */
        uint32_t why;    /* enum ptl_quota_fault_why */
        uint32_t line;   /* counted from 1; 0: the whole file */
        char text[48];   /* how it begins */
        char path[108];  /* of the file, cut; of the variable, its name */
};

/**
 * ptl_quota_get_faults - what was not understood of the files and the variable, when this task began
 * @entries:   borrowed array, filled; may be NULL if @max is 0
 * @ret_count: filled on success: how many there were; the first 8 are remembered
 *
 * The limits that they were to set are as they were without them.
 * Return: 0, PTL_E_INVALID, -errno.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_quota_get_faults(struct ptl_quota_fault *entries, size_t max,
                                                   size_t *ret_count);

#ifdef __cplusplus
}
#endif
#endif
