/* SPDX-License-Identifier: Apache-2.0 */
/* server/descriptor.c - descriptors that several packets may carry; what a region must be */
#define _GNU_SOURCE
#include "server/descriptor.h"
#include "base/cleanup.h"
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

enum {
        SEALS = F_SEAL_SHRINK | F_SEAL_GROW,
        BOARD_SEALS = SEALS | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE,
};

static size_t count;

size_t descriptor_count(void) { return count; }

struct descriptor *descriptor_new(int fd)
{
        struct descriptor *d = malloc(sizeof *d);

        if (d) {
                *d = (struct descriptor){.refs = 1, .fd = fd};
                count++;
        }
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
                count--;
        }
        return NULL;
}

static int check_seals(int fd, int needed, struct stat *ret_stat)
{
        struct statfs fs;
        int seals;

        /* The seals come first: only kernel memory has any, and a file of some FUSE file system
         * must not get the chance to let us wait for the answer to a stat. */
        seals = fcntl(fd, F_GET_SEALS);
        if (seals < 0 || (seals & needed) != needed)
                return PTL_E_MALFORMED;
        if (fstatfs(fd, &fs) < 0 || fstat(fd, ret_stat) < 0)
                return -errno;
        /* hugetlb: blocks are not counted per file there */
        return fs.f_type == TMPFS_MAGIC ? 0 : PTL_E_MALFORMED;
}

int descriptor_check_fixed(int fd)
{
        struct stat st;

        return check_seals(fd, SEALS, &st);
}

static int check(int fd, uint64_t size, int needed)
{
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
        struct stat st;
        int r = check_seals(fd, needed, &st);

        if (r)
                return r;
        if (size == 0 || size > (uint64_t)st.st_size)
                return PTL_E_MALFORMED;
        size = (size + page - 1) / page * page; /* no overflow: at most a file's size */
        return (uint64_t)st.st_blocks * 512 >= size ? 0 : PTL_E_MALFORMED;
}

int descriptor_check_region(int fd, uint64_t size) { return check(fd, size, SEALS); }

int descriptor_check_board(int fd, uint64_t size)
{
        struct stat st;
        int r = check(fd, size, BOARD_SEALS);

        if (r)
                return r;
        if (fstat(fd, &st) < 0)
                return -errno;
        return (uint64_t)st.st_size == size ? 0 : PTL_E_MALFORMED;
}
