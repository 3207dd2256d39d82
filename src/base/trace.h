/* SPDX-License-Identifier: Apache-2.0 */
/* base/trace.h - PORTOLAN_TRACE: a decoded line for each frame that is sent or received */
#pragma once
#include <portolan/types.h>
#include <stdbool.h>

extern bool ptl_trace_on;

/* Reads PORTOLAN_TRACE: unset or "0": off; "1": stderr; else a file to append to. */
void ptl_trace_start(void);

/* Closes the trace's file, if it has one of its own. */
void ptl_trace_stop(void);

/* Writes "time pid text" as one line, in one write(). */
void ptl_trace_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
