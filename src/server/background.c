/* SPDX-License-Identifier: Apache-2.0 */
/* server/background.c - leaving the program that started the server */
#define _GNU_SOURCE
#include "server/background.h"
#include "base/cleanup.h"
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void close_range_inclusive(unsigned first, unsigned last)
{
        if (first <= last)
                (void)syscall(SYS_close_range, first, last, 0);
}

/* All but two, and but what is below them on the way: 0, 1 and 2. */
static void close_others(int keep_a, int keep_b)
{
        unsigned low = (unsigned)(keep_a < keep_b ? keep_a : keep_b);
        unsigned high = (unsigned)(keep_a < keep_b ? keep_b : keep_a);

        if (keep_a < 0 || keep_b < 0) { /* one of them is none */
                low = high;
                if ((int)high < 0)
                        return;
        }
        close_range_inclusive(3, low - 1);
        if (low != high)
                close_range_inclusive(low + 1, high - 1);
        close_range_inclusive(high + 1, ~0U);
}

static void reset_signals(void)
{
        sigset_t none;

        for (int s = 1; s < NSIG; s++)
                signal(s, SIG_DFL); /* those that cannot be changed refuse, and need not be */
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

static int null_streams(void)
{
        int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        for (int i = 0; i < 3; i++)
                if (dup2(fd, i) < 0)
                        return -errno;
        if (fd > 2)
                close(fd);
        else
                fcntl(fd, F_SETFD, 0); /* dup2 onto itself left the flag */
        return 0;
}

/* Above 2, so that it is not where a stream belongs (the starter may have closed its own). */
static int move_up(int fd)
{
        int up = fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 3);

        return fd >= 0 && up < 0 ? -errno : up;
}

/* In the starter: the daemon's word, or that it died before it gave it. */
static int wait_for_report(int report, pid_t child)
{
        int outcome;
        ssize_t n;

        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
                ;
        do
                n = read(report, &outcome, sizeof outcome);
        while (n < 0 && errno == EINTR);
        return n == sizeof outcome ? outcome : -ECHILD;
}

/* In the child. What goes wrong here the starter sees by the pipe that closes. */
static int become_daemon(int report, int keep_fd)
{
        pid_t pid;

        setsid();
        pid = fork(); /* no session leader: it can never get a terminal */
        if (pid != 0)
                _exit(pid < 0);
        reset_signals();
        report = move_up(report);
        if (report < 0 || null_streams() < 0 || chdir("/") < 0)
                _exit(EXIT_FAILURE);
        close_others(report, keep_fd);
        return report;
}

int background_enter(int keep_fd, int *ret_report)
{
        int ends[2], r;
        pid_t pid;

        *ret_report = -EBADF;
        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        pid = fork();
        if (pid == 0) {
                *ret_report = become_daemon(ends[1], keep_fd);
                return 0;
        }
        r = pid < 0 ? -errno : 0;
        ptl_close(ends[1]);
        if (pid > 0)
                r = wait_for_report(ends[0], pid);
        ptl_close(ends[0]);
        return r;
}

void background_report(int report, int outcome)
{
        if (report < 0)
                return;
        (void)!write(report, &outcome, sizeof outcome);
        ptl_close(report);
}
