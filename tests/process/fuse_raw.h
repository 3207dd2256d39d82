/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process/fuse_raw.h - a file whose file system answers nothing, once it has been opened
 *
 * The file system is a child that speaks the kernel's protocol on /dev/fuse (linux/fuse.h), mounted
 * on a file in a mount name space of this case. What is asked behind the open hangs until the child
 * ends, but for what comes when a descriptor is closed: CAVEATS.md says what that can do.
 */
#pragma once
#include "tst.h"
#include <linux/fuse.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/uio.h>

enum { FUSE_BUFFER = 1 << 16, FUSE_FILE_SIZE = 1 << 30 };

static inline void fuse_answer(int device, uint64_t unique, int error, const void *body,
                               size_t size)
{
        struct fuse_out_header head = {
                .len = (uint32_t)(sizeof head + size), .error = error, .unique = unique};
        struct iovec parts[] = {
                {&head,                   sizeof head},
                {(void *)(uintptr_t)body, size       },
        };

        (void)!writev(device, parts, 2); /* who asked may have gone */
}

static inline void fuse_answer_attributes(int device, uint64_t unique)
{
        struct fuse_attr_out out = {
                .attr = {.ino = FUSE_ROOT_ID,
                         .mode = S_IFREG | 0666,
                         .nlink = 1,
                         .size = FUSE_FILE_SIZE}
        };

        fuse_answer(device, unique, 0, &out,
                    sizeof out); /* valid for no time: asked for at each fstat() */
}

static inline void fuse_greet(int device, uint64_t unique, const struct fuse_init_in *in)
{
        struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
                                    .minor = FUSE_KERNEL_MINOR_VERSION,
                                    .max_write = 4096};

        if (in->minor < out.minor)
                out.minor = in->minor;
        fuse_answer(device, unique, 0, &out, sizeof out);
}

/* The child. */
__attribute__((noreturn)) static inline void fuse_serve(int device)
{
        static char buffer[FUSE_BUFFER] __attribute__((aligned(8)));
        const struct fuse_in_header *in = (const void *)buffer;
        struct fuse_open_out opened = {.open_flags = FOPEN_DIRECT_IO};
        bool hangs = false;

        while (read(device, buffer, sizeof buffer) >= (ssize_t)sizeof *in || errno == EINTR)
                switch (in->opcode) {
                case FUSE_INIT:
                        fuse_greet(device, in->unique, (const void *)(in + 1));
                        break;
                case FUSE_GETATTR:
                        if (!hangs)
                                fuse_answer_attributes(device, in->unique);
                        break;
                case FUSE_OPEN:
                        fuse_answer(device, in->unique, 0, &opened, sizeof opened);
                        hangs = true;
                        break;
                case FUSE_FLUSH:
                        fuse_answer(device, in->unique, 0, NULL, 0);
                        break;
                default:
                        break;
                }
        _exit(0);
}

/* A file of our own to mount it on, in a name space of our own, where nobody else sees it. */
static inline void fuse_mount(int device, const char *path)
{
        char options[64];
        int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

        CHECK(fd >= 0);
        close(fd);
        snprintf(options, sizeof options, "fd=%d,rootmode=100000,user_id=%d,group_id=%d", device,
                 (int)geteuid(), (int)getegid());
        if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("hangs", path, "fuse", MS_NOSUID | MS_NODEV, options) != 0)
                SKIP("a FUSE file system cannot be mounted here");
}

/* A descriptor of the file; the file system ends with the case. */
static inline int fuse_open(void)
{
        char path[100];
        int device = open("/dev/fuse", O_RDWR | O_CLOEXEC), fd;
        pid_t pid;

        if (device < 0)
                SKIP("there is no /dev/fuse");
        snprintf(path, sizeof path, "%s/hangs", tst_temp_dir());
        fuse_mount(device, path);
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
                fuse_serve(device);
        close(device);
        fd = open(path, O_RDWR | O_CLOEXEC);
        CHECK(fd >= 0);
        return fd;
}
