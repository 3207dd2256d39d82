/* SPDX-License-Identifier: Apache-2.0 */
/* server/descriptor.c - descriptors that several packets may carry; what a region must be */
#define _GNU_SOURCE
#include "server/descriptor.h"
#include "base/cleanup.h"
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW };

struct descriptor *descriptor_new(int fd)
{
        struct descriptor *d = malloc(sizeof *d);

        if (d)
                *d = (struct descriptor){.refs = 1, .fd = fd};
        return d;
}

struct descriptor *descriptor_ref(struct descriptor *d)
{
        d->refs++;
        return d;
}

struct descriptor *descriptor_unref(struct descriptor *d)
{
        if (d && --d->refs == 0) {
                ptl_close(d->fd);
                free(d);
        }
        return NULL;
}

int descriptor_check_region(int fd, uint64_t size)
{
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
        struct statfs fs;
        struct stat st;
        int seals;

        /* The seals come first: only kernel memory has any, and a file of some FUSE file system
         * must not get the chance to let us wait for the answer to a stat. */
        seals = fcntl(fd, F_GET_SEALS);
        if (seals < 0 || (seals & SEALS) != SEALS)
                return PTL_E_MALFORMED;
        if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (fs.f_type != TMPFS_MAGIC) /* hugetlb: blocks are not counted per file there */
                return PTL_E_MALFORMED;
        if (size == 0 || size > (uint64_t)st.st_size)
                return PTL_E_MALFORMED;
        size = (size + page - 1) / page * page; /* no overflow: at most a file's size */
        return (uint64_t)st.st_blocks * 512 >= size ? 0 : PTL_E_MALFORMED;
}
