/* SPDX-License-Identifier: Apache-2.0 */
/* server/passport.c - see passport.h */
#define _GNU_SOURCE
#include "server/passport.h"
#include "base/cleanup.h"
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum {
        MAGIC = 0x53544c50, /* "PLTS" */
        SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE,
};

struct passport {
        uint32_t magic, size;
        struct ptl_identity who;
};

int passport_issue(const struct ptl_identity *who, int *ret_fd)
{
        const struct passport p = {.magic = MAGIC, .size = sizeof p, .who = *who};
        ptl_cleanup(ptl_closep) int fd =
                memfd_create("portolan-passport", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = write(fd, &p, sizeof p);
        if (n != sizeof p)
                return n < 0 ? -errno : -ENOSPC;
        if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
                return -errno;
        *ret_fd = ptl_steal_fd(&fd);
        return 0;
}

bool passport_check(int fd, const struct ptl_identity *who, struct ptl_task_id *ret_id)
{
        struct passport p;
        struct statfs fs;
        struct stat st;
        int seals;

        if (fd < 0)
                return false;
        seals = fcntl(fd, F_GET_SEALS); /* first: see descriptor.c */
        if (seals < 0 || (seals & SEALS) != SEALS || fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC)
                return false;
        if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || st.st_size != sizeof p)
                return false;
        if (pread(fd, &p, sizeof p, 0) != sizeof p || p.magic != MAGIC || p.size != sizeof p)
                return false;
        if (!who->pid || p.who.pid != who->pid || p.who.uid != who->uid || p.who.start_time != who->start_time)
                return false;
        *ret_id = p.who.task;
        return true;
}
