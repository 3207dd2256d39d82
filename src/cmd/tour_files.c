/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/tour_files.c - this machine's own files as one endless stream of real bytes */
#include "cmd/tour_files.h"
#include "base/cleanup.h"
#include <fcntl.h>
#include <fts.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct files {
        FTS *walk;
        int fd; /* of the file being read */
        uint64_t count, bytes, bytes_at_start_of_walk;
        uint64_t walks;
};

/* This program itself stands last, so that a machine with nothing else has something. */
static const char *const roots[] = {"/usr/lib", "/usr/bin", "/usr/share",     "/lib",
                                    "/bin",     "/etc",     "/proc/self/exe", NULL};

struct files *files_new(void)
{
        struct files *f = calloc(1, sizeof *f);

        if (f)
                f->fd = -EBADF;
        return f;
}

struct files *files_free(struct files *f)
{
        if (!f)
                return NULL;
        ptl_close(f->fd);
        if (f->walk)
                fts_close(f->walk);
        free(f);
        return NULL;
}

/* Links are not followed but where they are roots, as /lib is on merged systems. */
static void begin_walk(struct files *f)
{
        char *paths[PTL_ARRAY_LEN(roots)];

        if (f->walk)
                fts_close(f->walk);
        for (size_t i = 0; i < PTL_ARRAY_LEN(roots); i++)
                paths[i] = (char *)roots[i];
        f->walk = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR | FTS_XDEV, NULL);
        f->bytes_at_start_of_walk = f->bytes;
        f->walks++;
}

/* O_NONBLOCK and the second look: what was a file when fts saw it may be a FIFO by now. */
static int open_file(const char *path)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        struct stat st;

        if (fd >= 0 && (fstat(fd, &st) || !S_ISREG(st.st_mode)))
                fd = ptl_close(fd);
        return fd;
}

/* False when a whole walk has found nothing to read. */
static bool next_file(struct files *f)
{
        while (f->fd < 0) {
                FTSENT *e = f->walk ? fts_read(f->walk) : NULL;

                if (!e) {
                        if (f->walks && f->bytes == f->bytes_at_start_of_walk)
                                return false;
                        begin_walk(f);
                        if (!f->walk)
                                return false;
                } else if (e->fts_info == FTS_F && e->fts_statp->st_size > 0) {
                        f->fd = open_file(e->fts_path);
                        f->count += f->fd >= 0;
                }
        }
        return true;
}

size_t files_read(struct files *f, void *data, size_t size)
{
        size_t done = 0;

        while (done < size && next_file(f)) {
                ssize_t n = read(f->fd, (char *)data + done, size - done);

                if (n <= 0) { /* its end, or one that cannot be read after all */
                        f->fd = ptl_close(f->fd);
                        continue;
                }
                done += (size_t)n;
                f->bytes += (uint64_t)n;
        }
        return done;
}

uint64_t files_count(const struct files *f) { return f->count; }
