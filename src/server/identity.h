/* SPDX-License-Identifier: Apache-2.0 */
/* server/identity.h - who a process is, as the kernel says */
#pragma once
#include <portolan/outcome.h>

/**
 * identity_of_peer - who connected
 * @sock: borrowed; an accepted connection
 * @ret_who: filled on success; its task id is 0
 * @ret_pidfd: filled on success: readable when that process has ended, the caller's; or -EBADF
 * where the kernel cannot name it (another PID name space on an old kernel)
 *
 * Return: 0, -ESRCH (ended already), -errno.
 */
PTL_MUST_CHECK int identity_of_peer(int sock, struct ptl_identity *ret_who, int *ret_pidfd);

/**
 * identity_find_process - the process of a recorded identity, if it lives
 * @ret_pidfd: filled on success, the caller's
 *
 * Return: 0, -ESRCH (it has ended, or its number is another's by now), -errno.
 */
PTL_MUST_CHECK int identity_find_process(const struct ptl_identity *who, int *ret_pidfd);

/* This process; its task id is 0. */
struct ptl_identity identity_of_self(void);

/* 128 random bits. Return: 0, -errno. */
PTL_MUST_CHECK int identity_new_task(struct ptl_task_id *ret_id);

static inline _Bool identity_is_same_task(struct ptl_task_id a, struct ptl_task_id b)
{
        return a.high == b.high && a.low == b.low;
}
