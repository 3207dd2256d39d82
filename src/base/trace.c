/* SPDX-License-Identifier: Apache-2.0 */
/* base/trace.c - see trace.h */
#define _GNU_SOURCE
#include "base/trace.h"
#include "base/cleanup.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool ptl_trace_on;
static int trace_fd = STDERR_FILENO;

void ptl_trace_start(void)
{
        const char *to = secure_getenv("PORTOLAN_TRACE");

        if (!to || !*to || !strcmp(to, "0") || ptl_trace_on)
                return;
        if (strcmp(to, "1")) {
                int fd = open(to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

                if (fd < 0)
                        return;
                trace_fd = fd;
        }
        ptl_trace_on = true;
}

void ptl_trace_stop(void)
{
        if (trace_fd != STDERR_FILENO)
                ptl_close(trace_fd);
        trace_fd = STDERR_FILENO;
        ptl_trace_on = false;
}

void ptl_trace_line(const char *format, ...)
{
        char line[512];
        ptl_time now = ptl_now();
        int n = snprintf(line, sizeof line, "%lld.%06lld [%d] ", (long long)(now / 1000000000),
                         (long long)(now / 1000 % 1000000), (int)getpid());
        va_list args;

        va_start(args, format);
        n += vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
        va_end(args);
        if ((size_t)n > sizeof line - 2)
                n = sizeof line - 2;
        line[n++] = '\n';
        (void)!write(trace_fd, line, (size_t)n);
}
