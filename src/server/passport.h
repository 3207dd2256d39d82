/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/passport.h - a task's identity in a form that the next server instance can check
 *
 * A memfd that holds the identity and is sealed against every change. The kernel vouches for who made
 * it: the owner of its inode. So nobody but this server's user can issue one, nothing has to be kept
 * on disk, and one that was stolen names a process that the thief is not (docs/adr/0007).
 */
#pragma once
#include <portolan/types.h>
#include <portolan/outcome.h>
#include <stdbool.h>

/* @ret_fd: filled on success, the caller's. Return: 0, -errno. */
PTL_MUST_CHECK int passport_issue(const struct ptl_identity *who, int *ret_fd);

/**
 * passport_check - was this issued to the process that shows it, by a server of our user?
 * @fd:     borrowed; from a client, so anything
 * @who:    the process, as the kernel attests it now
 * @ret_id: filled on success: the id it had
 */
bool passport_check(int fd, const struct ptl_identity *who, struct ptl_task_id *ret_id);
