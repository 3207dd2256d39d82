/* SPDX-License-Identifier: Apache-2.0 */
/* shm/outbox.c - see outbox.h; every mmap of the library is here */
#define _GNU_SOURCE
#include "shm/outbox.h"
#include "base/cancel.h"
#include "base/cleanup.h"
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <string.h>
#include <sys/vfs.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum {
        SIZE_SEALS = F_SEAL_SHRINK | F_SEAL_GROW,
        OUTBOX_SEALS = SIZE_SEALS | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE,
        BLOCK = 512, /* unit of st_blocks */
        FIRST_TAKEN = 4096,
        PIECE_MIN = 64 << 10, /* of a reservation that signals interrupt */
};

size_t ptl_memory_round(size_t size)
{
        size_t page = (size_t)sysconf(_SC_PAGESIZE);

        return (size + page - 1) & ~(page - 1);
}

static int map(int fd, size_t size, int protection, int flags, void **ret_data)
{
        void *data = mmap(NULL, size, protection, flags, fd, 0);

        if (data == MAP_FAILED)
                return -errno;
        *ret_data = data;
        return 0;
}

/* tmpfs ends with EINTR at any signal and takes back what the call had reserved: one that is too long for
 * the signals that come is made in smaller pieces. */
static int reserve(int fd, uint64_t offset, uint64_t size)
{
        uint64_t piece = size;

        do {
                uint64_t bytes = piece < size ? piece : size;

                if (fallocate(fd, 0, (off_t)offset, (off_t)bytes) == 0) {
                        offset += bytes;
                        size -= bytes;
                } else if (errno != EINTR) {
                        return -errno;
                } else if (piece > PIECE_MIN) {
                        piece = ptl_memory_round(piece / 2);
                }
        } while (size);
        return 0;
}

/* What a new outbox has reserved, and what its reader insists on. */
static int reserve_first(int fd)
{
        int r = reserve(fd, 0, sizeof(struct ptl_outbox_head));

        if (!r)
                r = reserve(fd, PTL_OUTBOX_TAKEN, FIRST_TAKEN);
        if (!r)
                r = reserve(fd, PTL_OUTBOX_CLAIMED, FIRST_TAKEN);
        return r ? r : reserve(fd, ptl_ring_level_offset(0), ptl_ring_level_size(0));
}

enum { FIRST_BYTES = 3 * 4096 + 0x10000 };

static int memfd(const char *name, size_t size, int *ret_fd)
{
        ptl_cleanup(ptl_closep) int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
                return -errno;
        *ret_fd = ptl_steal_fd(&fd);
        return 0;
}

/* Populating now costs one call; later it would cost a fault per page on the first lap. */
static void populate(const struct ptl_outbox *box)
{
        madvise(box->base, 4096, MADV_POPULATE_WRITE);
        madvise(ptl_outbox_ring(box, 0), ptl_ring_level_size(0), MADV_POPULATE_WRITE);
}

int ptl_outbox_create(struct ptl_outbox *ret_box, int *ret_fd)
{
        PTL_NO_CANCEL;
        ptl_cleanup(ptl_closep) int fd = -EBADF;
        struct ptl_outbox box;
        void *base = NULL;
        int r = memfd("portolan-outbox", PTL_OUTBOX_SIZE, &fd);

        if (!r)
                r = reserve_first(fd);
        if (!r)
                r = map(fd, PTL_OUTBOX_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, &base);
        if (r)
                return r;
        if (fcntl(fd, F_ADD_SEALS, OUTBOX_SEALS) < 0) {
                r = -errno;
                munmap(base, PTL_OUTBOX_SIZE);
                return r;
        }
        madvise(base, PTL_OUTBOX_SIZE, MADV_DONTFORK);
        box.base = base;
        populate(&box);
        *ptl_outbox_head(&box) = (struct ptl_outbox_head){.magic = PTL_OUTBOX_MAGIC,
                                                          .version = PTL_OUTBOX_VERSION,
                                                          .size = PTL_OUTBOX_SIZE,
                                                          .bell.cpu = UINT32_MAX};
        *ret_box = box;
        *ret_fd = ptl_steal_fd(&fd);
        return 0;
}

/* Is @fd memory that nobody can take away under its reader? */
static int check_sealed(int fd, int seals, uint64_t size, uint64_t blocks_bytes)
{
        struct statfs fs;
        struct stat st;
        int have = fcntl(fd, F_GET_SEALS);

        if (have < 0) /* EBADF: it was opened as a path only */
                return errno == EINVAL || errno == EBADF ? PTL_E_MALFORMED : -errno;
        if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
                return -errno;
        if ((have & seals) != seals || (unsigned long)fs.f_type != TMPFS_MAGIC ||
            (uint64_t)st.st_size < size || (uint64_t)st.st_blocks * BLOCK < blocks_bytes)
                return PTL_E_MALFORMED;
        return 0;
}

int ptl_outbox_attach(int fd, struct ptl_outbox *ret_box)
{
        struct ptl_outbox_head head;
        void *base = NULL;
        int r = check_sealed(fd, OUTBOX_SEALS, PTL_OUTBOX_SIZE, FIRST_BYTES);
        struct stat st;

        if (!r && fstat(fd, &st) < 0)
                r = -errno;
        if (!r)
                r = map(fd, PTL_OUTBOX_SIZE, PROT_READ, MAP_SHARED, &base);
        if (r)
                return r;
        madvise(base, PTL_OUTBOX_SIZE, MADV_DONTFORK);
        memcpy(&head, base, offsetof(struct ptl_outbox_head, consumed));
        if (head.magic != PTL_OUTBOX_MAGIC)
                r = PTL_E_MALFORMED;
        else if (head.version != PTL_OUTBOX_VERSION) /* before the size: another layout has another */
                r = PTL_E_VERSION;
        else if (head.size != PTL_OUTBOX_SIZE || (uint64_t)st.st_size != PTL_OUTBOX_SIZE)
                r = PTL_E_MALFORMED;
        if (r) {
                munmap(base, PTL_OUTBOX_SIZE);
                return r;
        }
        ret_box->base = base;
        return 0;
}

void ptl_outbox_unmap(struct ptl_outbox *box)
{
        if (box->base)
                munmap(box->base, PTL_OUTBOX_SIZE);
        box->base = NULL;
}

int ptl_outbox_reserve(const struct ptl_outbox *box, uint64_t offset, uint64_t size)
{
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), from = offset & ~(page - 1);

        if (madvise(box->base + from, offset + size - from, MADV_POPULATE_WRITE) == 0)
                return 0;
        if (errno != EINVAL)
                return errno == EFAULT ? -ENOSPC : -errno;
        /* A kernel before 5.14. As good as relaxed: pages are touched, what stands there stays. */
        for (uint64_t at = from; at < offset + size; at += page)
                ptl_add((_Atomic uint32_t *)(void *)(box->base + at), 0);
        return 0;
}

int ptl_board_memory_create(size_t size, int *ret_fd, void **ret_data)
{
        PTL_NO_CANCEL;
        ptl_cleanup(ptl_closep) int fd = -EBADF;
        void *data = NULL;
        int r = memfd("portolan-board", size, &fd);

        if (!r)
                r = reserve(fd, 0, size);
        if (!r)
                r = map(fd, size, PROT_READ | PROT_WRITE, MAP_SHARED, &data);
        if (!r && fcntl(fd, F_ADD_SEALS, OUTBOX_SEALS) < 0) {
                r = -errno;
                munmap(data, size);
        }
        if (r)
                return r;
        madvise(data, size, MADV_DONTFORK);
        *ret_data = data;
        *ret_fd = ptl_steal_fd(&fd);
        return 0;
}

int ptl_board_memory_attach(int fd, size_t size, const void **ret_data)
{
        void *data = NULL;
        int r = check_sealed(fd, OUTBOX_SEALS, size, size);

        if (!r)
                r = map(fd, size, PROT_READ, MAP_SHARED, &data);
        if (r)
                return r;
        madvise(data, size, MADV_DONTFORK);
        *ret_data = data;
        return 0;
}

int ptl_memory_create(size_t size, int *ret_fd, void **ret_data)
{
        PTL_NO_CANCEL;
        ptl_cleanup(ptl_closep) int fd = -EBADF;
        size_t whole = ptl_memory_round(size);
        void *data = NULL;
        int r = memfd("portolan-region", whole, &fd);

        if (!r)
                r = reserve(fd, 0, whole);
        if (!r && fcntl(fd, F_ADD_SEALS, SIZE_SEALS) < 0)
                r = -errno;
        if (!r)
                r = map(fd, whole, PROT_READ | PROT_WRITE, MAP_SHARED, &data);
        if (r)
                return r;
        madvise(data, whole, MADV_DONTFORK);
        *ret_data = data;
        *ret_fd = ptl_steal_fd(&fd);
        return 0;
}

int ptl_memory_attach(int fd, size_t size, bool frozen, void **ret_data)
{
        size_t whole = ptl_memory_round(size);
        int seals = SIZE_SEALS | (frozen ? F_SEAL_WRITE : 0);
        int r = check_sealed(fd, seals, whole, whole);

        if (!r)
                r = map(fd, whole, PROT_READ | PROT_WRITE, frozen ? MAP_PRIVATE : MAP_SHARED, ret_data);
        if (!r)
                madvise(*ret_data, whole, MADV_DONTFORK);
        return r;
}

int ptl_memory_share(void *data, size_t size, int *ret_fd)
{
        size_t whole = ptl_memory_round(size);
        void *shared;
        int r = ptl_memory_create(size, ret_fd, &shared);

        if (r)
                return r;
        memcpy(shared, data, size);
        if (mmap(data, whole, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, *ret_fd, 0) == MAP_FAILED) {
                r = -errno;
                *ret_fd = ptl_close(*ret_fd);
        } else {
                madvise(data, whole, MADV_DONTFORK);
        }
        ptl_memory_unmap(shared, size);
        return r;
}

bool ptl_memory_freeze(int fd, void **data, size_t size)
{
        size_t whole = ptl_memory_round(size);
        void *at = *data;

        munmap(at, whole);
        *data = NULL;
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0)
                return true;
        if (mmap(at, whole, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0) == at) {
                madvise(at, whole, MADV_DONTFORK);
                *data = at;
        }
        return false;
}

void ptl_memory_unmap(void *data, size_t size)
{
        if (data)
                munmap(data, ptl_memory_round(size));
}

int ptl_memory_private(size_t size, void **ret_data)
{
        int r = map(-1, ptl_memory_round(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, ret_data);

        if (r)
                return r;
        madvise(*ret_data, ptl_memory_round(size), MADV_HUGEPAGE);
        madvise(*ret_data, ptl_memory_round(size), MADV_DONTFORK);
        return 0;
}

enum { KEPT_SEALS = SIZE_SEALS | F_SEAL_SEAL };

int ptl_kept_memory_create(size_t size, int *ret_fd, void **ret_data)
{
        ptl_cleanup(ptl_closep) int fd = -EBADF;
        int r = memfd("portolan-kept", size, &fd);

        if (!r && fcntl(fd, F_ADD_SEALS, KEPT_SEALS) < 0)
                r = -errno;
        if (!r)
                r = map(fd, size, PROT_READ | PROT_WRITE, MAP_SHARED, ret_data);
        if (!r)
                *ret_fd = ptl_steal_fd(&fd);
        return r;
}

int ptl_kept_memory_attach(int fd, size_t size, void **ret_data)
{
        int r = check_sealed(fd, KEPT_SEALS, size, 0);
        struct stat st;

        if (r)
                return r;
        if (fstat(fd, &st) < 0)
                return -errno;
        /* Sealed against all writing it is nothing of this kind. */
        if ((uint64_t)st.st_size != size || st.st_uid != geteuid() || fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE)
                return PTL_E_MALFORMED;
        return map(fd, size, PROT_READ | PROT_WRITE, MAP_SHARED, ret_data);
}

int ptl_kept_memory_reserve(int fd, uint64_t offset, uint64_t size) { return reserve(fd, offset, size); }

void ptl_kept_memory_release(int fd, uint64_t offset, uint64_t size)
{
        (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size);
}
