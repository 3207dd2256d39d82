/* SPDX-License-Identifier: Apache-2.0 */
/* server/identity.c - who a process is, as the kernel says */
#define _GNU_SOURCE
#include "server/identity.h"
#include "base/cleanup.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

/* Field 22 of /proc/PID/stat; 0 where that cannot be read. Field 2 is in parentheses and may hold
 * anything, parentheses too: so count from the last one. */
static uint64_t start_time(pid_t pid)
{
        ptl_cleanup(ptl_closep) int fd = -EBADF;
        char path[32], text[1024];
        uint64_t start = 0;
        ssize_t n;
        char *p;

        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (n <= 0)
                return 0;
        text[n] = 0;
        p = strrchr(text, ')');
        for (int field = 2; p && field < 22; field++)
                p = strchr(p + 1, ' ');
        return p && sscanf(p, " %" SCNu64, &start) == 1 ? start : 0;
}

static int peer_pidfd(int sock, pid_t pid, int *ret_pidfd)
{
        socklen_t size = sizeof *ret_pidfd;

        if (getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, ret_pidfd, &size) == 0)
                return 0;
        *ret_pidfd = -EBADF;
        if (pid <= 0)
                return 0;
        /* An older kernel: if the peer has ended by now, its number may be another's. That other is
         * then watched in its place; names are still the socket's, which closes. */
        *ret_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        return *ret_pidfd < 0 ? -errno : 0;
}

int identity_of_peer(int sock, struct ptl_identity *ret_who, int *ret_pidfd)
{
        struct ucred cred;
        socklen_t size = sizeof cred;
        int pidfd, r;

        if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
                return -errno;
        r = peer_pidfd(sock, cred.pid, &pidfd);
        if (r)
                return r;
        *ret_who = (struct ptl_identity){
                .pid = cred.pid,
                .uid = cred.uid,
                .gid = cred.gid,
                .start_time = cred.pid > 0 ? start_time(cred.pid) : 0,
        };
        *ret_pidfd = pidfd;
        return 0;
}

int identity_find_process(const struct ptl_identity *who, int *ret_pidfd)
{
        ptl_cleanup(ptl_closep) int fd = (int)syscall(SYS_pidfd_open, who->pid, 0);

        if (fd < 0) /* EINVAL: the number is a thread's now */
                return errno == EINVAL ? -ESRCH : -errno;
        /* Behind the opening: if the number was given away before it, the time is another's. */
        if (!who->start_time || start_time(who->pid) != who->start_time)
                return -ESRCH;
        *ret_pidfd = ptl_steal_fd(&fd);
        return 0;
}

struct ptl_identity identity_of_self(void)
{
        return (struct ptl_identity){
                .pid = getpid(),
                .uid = geteuid(),
                .gid = getegid(),
                .start_time = start_time(getpid()),
        };
}

int identity_new_task(struct ptl_task_id *ret_id)
{
        do
                if (getrandom(ret_id, sizeof *ret_id, 0) != sizeof *ret_id)
                        return -errno;
        while (!ret_id->high && !ret_id->low); /* all zero means none */
        return 0;
}
