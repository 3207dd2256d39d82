/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/trace.h - a decoded line for each frame that is sent or received, where somebody asked for
 * it
 *
 * PORTOLAN_TRACE asks from the start. Watchers come and go while the task runs (ptl_task_trace()):
 * each reads lines from a socket that is never waited for. What it has no room for is counted, and
 * the next line that it takes says how many those were.
 */
#pragma once
#include "base/atomic.h"
#include <portolan/types.h>
#include <stdbool.h>

enum { PTL_TRACE_WATCHERS = 4 };

extern _Atomic uint32_t ptl_trace_asked;

static inline bool ptl_trace_is_on(void)
{
        return ptl_load_relaxed(&ptl_trace_asked) !=
               0; /* relaxed: who sees it late writes a line less */
}

/* Reads PORTOLAN_TRACE: unset or "0": off; "1": stderr; else a file to append to. */
void ptl_trace_start(void);

/* Closes the trace's file, if it has one of its own. */
void ptl_trace_stop(void);

/* Writes "time pid text" as one line, in one write(). */
void ptl_trace_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- watchers: the task's lock is held --- */

/* @fd: a socket of packets, consumed if true; false: there are as many as there may be. */
bool ptl_trace_watch(int fd);

/* One that has closed its side, or @all: any. It is no watcher from now on, and the caller's to
 * close; -EBADF: none. */
int ptl_trace_take(bool all);

uint32_t ptl_trace_watchers(void);

/* In a child after fork: the parent's watchers are none of its own. */
void ptl_trace_forked(void);
