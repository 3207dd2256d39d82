/* SPDX-License-Identifier: Apache-2.0 */
/* server/descriptor_test.c - which descriptors may be published as a region */
#define _GNU_SOURCE
#include "server/descriptor.h"
#include "tst.h"
#include <fcntl.h>

enum {
        KEEP = F_SEAL_SHRINK | F_SEAL_GROW,
        MORE = F_SEAL_SEAL | F_SEAL_FUTURE_WRITE,
        M = PTL_E_MALFORMED
};

static const struct region_row {
        const char *name;
        unsigned pages, reserved; /* size of the file; pages that have memory */
        int seals;
        int64_t size; /* stated, relative to the file's */
        int expect;
} region_rows[] = {
        {"well formed",                          2, 2, KEEP,          0,                0},
        {"more seals than needed",               2, 2, KEEP | MORE,   0,                0},
        {"smaller than its file",                2, 2, KEEP,          -100,             0},
        {"reserved as far as it is stated",      2, 1, KEEP,          -4096,            0},
        {"not sealed",                           2, 2, 0,             0,                M},
        {"can still shrink",                     2, 2, F_SEAL_GROW,   0,                M},
        {"can still grow",                       2, 2, F_SEAL_SHRINK, 0,                M},
        {"larger than its file",                 2, 2, KEEP,          1,                M},
        {"far larger than its file",             2, 2, KEEP,          INT64_MAX - 8192, M},
        {"not reserved",                         2, 0, KEEP,          0,                M},
        {"half reserved",                        2, 1, KEEP,          0,                M},
        {"its last byte on a page not reserved", 2, 1, KEEP,          -4095,            M},
        {"of no size",                           2, 2, KEEP,          -8192,            M},
        {"an empty file",                        0, 0, KEEP,          0,                M},
};

TEST(only_sealed_and_reserved_memory_is_a_region)
{
        for (size_t i = 0; i < ARRAY_LEN(region_rows); i++) {
                const struct region_row *row = &region_rows[i];
                int fd = memfd_create("region", MFD_ALLOW_SEALING | MFD_CLOEXEC);
                int64_t size = (int64_t)row->pages * 4096;

                CHECK_ROW(i, row, fd >= 0 && ftruncate(fd, size) == 0);
                if (row->reserved)
                        CHECK_ROW(i, row, fallocate(fd, 0, 0, row->reserved * 4096) == 0);
                CHECK_ROW(i, row, fcntl(fd, F_ADD_SEALS, row->seals) == 0);
                CHECK_ROW(i, row,
                          descriptor_check_region(fd, (uint64_t)(size + row->size)) == row->expect);
                close(fd);
        }
}

TEST(what_is_no_memory_is_no_region)
{
        const char *paths[] = {"/dev/null", "/dev/zero", "/", "/proc/self/exe"};
        int ends[2];

        for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
                int fd = open(paths[i], O_RDONLY | O_CLOEXEC),
                    path = open(paths[i], O_PATH | O_CLOEXEC);

                CHECK(fd >= 0 && path >= 0);
                CHECK_EQ(descriptor_check_region(fd, 1), M);
                CHECK_EQ(descriptor_check_region(path, 1), M);
                close(fd);
                close(path);
        }
        CHECK(pipe2(ends, O_CLOEXEC) == 0);
        CHECK_EQ(descriptor_check_region(ends[0], 1), M);
        close(ends[0]);
        close(ends[1]);
}

TEST(huge_pages_are_refused)
{
        int fd = memfd_create("region", MFD_ALLOW_SEALING | MFD_CLOEXEC | MFD_HUGETLB);

        if (fd < 0)
                SKIP("no huge pages here");
        CHECK(ftruncate(fd, 2 << 20) == 0 && fcntl(fd, F_ADD_SEALS, KEEP) == 0);
        CHECK_EQ(descriptor_check_region(fd, 4096), M);
        close(fd);
}

TEST(a_descriptor_closes_with_its_last_reference)
{
        int fd = memfd_create("d", MFD_CLOEXEC);
        struct descriptor *d = descriptor_new(fd);

        CHECK(d && descriptor_ref(d) == d);
        CHECK(!descriptor_unref(d));
        CHECK(fcntl(fd, F_GETFD) >= 0);
        CHECK(!descriptor_unref(d));
        CHECK(fcntl(fd, F_GETFD) < 0);
        CHECK(!descriptor_unref(NULL));
}
