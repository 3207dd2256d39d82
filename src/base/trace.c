/* SPDX-License-Identifier: Apache-2.0 */
/* base/trace.c - see trace.h */
#define _GNU_SOURCE
#include "base/trace.h"
#include "base/cleanup.h"
#include "base/lock.h"
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { LINE_MAX_BYTES = 512 };

_Atomic uint32_t ptl_trace_asked;

static bool by_environment;
static int trace_fd = STDERR_FILENO;

/* Guards the watchers: lines are written with any lock of the task held, or none. The last of the
 * ranks. */
static struct ptl_lock lock;
static uint32_t n_watchers;
static struct watcher {
        int fd;
        uint64_t lost; /* lines, since the last that went through */
} watchers[PTL_TRACE_WATCHERS];

static void set_asked(void) { ptl_store_relaxed(&ptl_trace_asked, by_environment + n_watchers); }

void ptl_trace_start(void)
{
        const char *to = secure_getenv("PORTOLAN_TRACE");

        if (!to || !*to || !strcmp(to, "0") || by_environment)
                return;
        if (strcmp(to, "1")) {
                int fd = open(to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

                if (fd < 0)
                        return;
                trace_fd = fd;
        }
        by_environment = true;
        set_asked();
}

void ptl_trace_stop(void)
{
        if (trace_fd != STDERR_FILENO)
                ptl_close(trace_fd);
        trace_fd = STDERR_FILENO;
        by_environment = false;
        set_asked();
}

static size_t begin_line(char line[LINE_MAX_BYTES])
{
        ptl_time now = ptl_now();

        return (size_t)snprintf(line, LINE_MAX_BYTES, "%lld.%06lld [%d] ",
                                (long long)(now / 1000000000), (long long)(now / 1000 % 1000000),
                                (int)getpid());
}

/* Not send(), a cancellation point: the lock is held. Never waits, never raises SIGPIPE. */
static bool put(int fd, const char *line, size_t size)
{
        return syscall(SYS_sendto, fd, line, size, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0) ==
               (ssize_t)size;
}

static void tell(struct watcher *w, const char *line, size_t size)
{
        char lost[LINE_MAX_BYTES];
        size_t n;

        if (w->lost) {
                n = begin_line(lost);
                n += (size_t)snprintf(lost + n, sizeof lost - n, "%llu lines are missing here\n",
                                      (unsigned long long)w->lost);
                if (put(w->fd, lost, n))
                        w->lost = 0;
        }
        w->lost += w->lost || !put(w->fd, line, size);
}

void ptl_trace_line(const char *format, ...)
{
        char line[LINE_MAX_BYTES];
        size_t n = begin_line(line);
        va_list args;

        va_start(args, format);
        n += (size_t)vsnprintf(line + n, sizeof line - n - 1, format, args);
        va_end(args);
        if (n > sizeof line - 2)
                n = sizeof line - 2;
        line[n++] = '\n';
        if (by_environment)
                (void)!write(trace_fd, line, n);
        ptl_lock(&lock);
        for (uint32_t i = 0; i < n_watchers; i++)
                tell(&watchers[i], line, n);
        ptl_unlock(&lock);
}

bool ptl_trace_watch(int fd)
{
        bool has_room;

        ptl_lock(&lock);
        has_room = n_watchers < PTL_TRACE_WATCHERS;
        if (has_room)
                watchers[n_watchers++] = (struct watcher){.fd = fd};
        set_asked();
        ptl_unlock(&lock);
        return has_room;
}

static bool has_ended(int fd)
{
        struct pollfd p = {.fd = fd};

        return poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLERR);
}

int ptl_trace_take(bool all)
{
        int fd = -EBADF;

        ptl_lock(&lock);
        for (uint32_t i = 0; i < n_watchers && fd < 0; i++) {
                if (!all && !has_ended(watchers[i].fd))
                        continue;
                fd = watchers[i].fd;
                watchers[i] = watchers[--n_watchers];
        }
        set_asked();
        ptl_unlock(&lock);
        return fd;
}

uint32_t ptl_trace_watchers(void) { return n_watchers; }

void ptl_trace_forked(void)
{
        lock = (struct ptl_lock){0}; /* its holder may have been another thread */
        for (uint32_t i = 0; i < n_watchers; i++)
                ptl_close(watchers[i].fd);
        n_watchers = 0;
        set_asked();
}
