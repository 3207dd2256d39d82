/* SPDX-License-Identifier: Apache-2.0 */
/* server/background.h - leaving the program that started the server */
#pragma once
#include <portolan/outcome.h>

/**
 * background_enter - go on as a daemon
 * @keep_fd: stays open in the daemon; a negative one for none
 * @ret_report: in the daemon, a pipe's end for background_report(), which it owns; in the starter
 *              negative
 *
 * The daemon is a grandchild with a session of its own, no terminal, "/" as its folder, no other
 * descriptor of its starter's, default signal dispositions, an empty signal mask.
 *
 * Return: in the daemon 0; in the starter, when the daemon has reported, what it reported, and
 * -ECHILD if it died before that; -errno if it could not be started.
 */
PTL_MUST_CHECK int background_enter(int keep_fd, int *ret_report);

/* The outcome that the starter is to get. @report: consumed; a negative one does nothing. */
void background_report(int report, int outcome);
