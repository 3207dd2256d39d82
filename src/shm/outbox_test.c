/* SPDX-License-Identifier: Apache-2.0 */
/* shm/outbox_test.c - what the seals forbid, which files a reader refuses, and what fork inherits
 */
#include "shm/outbox.h"
#include "tst.h"
#include <sys/time.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

enum {
        SIZE_SEALS = F_SEAL_SHRINK | F_SEAL_GROW,
        ALL_SEALS = SIZE_SEALS | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE,
        REGION = 3 * 4096,
};

static bool is_mapped(const void *at)
{
        unsigned char in_core;
        size_t page = (size_t)sysconf(_SC_PAGESIZE);

        return mincore((void *)((uintptr_t)at & ~(page - 1)), 1, &in_core) == 0;
}

/* The outcome; an attached outbox is unmapped again. */
static int attach(int fd)
{
        struct ptl_outbox box = {.base = NULL};
        int fds = tst_open_fds(false), maps = tst_shared_maps(false),
            r = ptl_outbox_attach(fd, &box);

        CHECK_EQ(tst_open_fds(false), fds);
        CHECK((r == 0) == (box.base != NULL)); /* filled on success */
        ptl_outbox_unmap(&box);
        CHECK_EQ(tst_shared_maps(false), maps);
        return r;
}

/* ---- one's own outbox ---- */

TEST(new_outbox_says_what_it_is_and_asks_for_nothing)
{
        const struct ptl_outbox_head *head;
        struct ptl_outbox box;
        int fd;

        CHECK_EQ(ptl_outbox_create(&box, &fd), 0);
        head = ptl_outbox_head(&box);
        CHECK_EQ(head->magic, PTL_OUTBOX_MAGIC);
        CHECK_EQ(head->version, PTL_OUTBOX_VERSION);
        CHECK_EQ(head->size, PTL_OUTBOX_SIZE);
        CHECK_EQ(ptl_load_relaxed(&head->consumed), 0);
        CHECK_EQ(ptl_load_relaxed(&head->bell.armed) & 1, 0);
        CHECK_EQ(ptl_load_relaxed(&head->bell.wanting) & 1, 0);
        CHECK_EQ(*(uint64_t *)(void *)ptl_outbox_ring(&box, 0), 0); /* nothing published */
        CHECK_EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        CHECK_EQ(attach(fd), 0);
        close(fd);
        ptl_outbox_unmap(&box);
        CHECK(!box.base);
        ptl_outbox_unmap(&box); /* nothing mapped: nothing to do */
}

TEST(sections_lie_one_behind_the_other_on_64k)
{
        uint64_t end = PTL_OUTBOX_RINGS;

        CHECK(PTL_OUTBOX_TAKEN >= sizeof(struct ptl_outbox_head));
        CHECK_EQ(PTL_OUTBOX_CLAIMED - PTL_OUTBOX_TAKEN, PTL_TAKEN_ENTRIES * 8);
        CHECK_EQ(PTL_OUTBOX_RINGS - PTL_OUTBOX_CLAIMED, PTL_TAKEN_ENTRIES * 8);
        for (unsigned level = 0; level < PTL_OUTBOX_LEVELS; level++) {
                CHECK_EQ(ptl_ring_level_offset(level), end);
                CHECK_EQ(end % 0x10000, 0);
                end += ptl_ring_level_size(level);
        }
        CHECK_EQ(end, PTL_OUTBOX_POOL);
        CHECK_EQ(PTL_OUTBOX_SIZE - PTL_OUTBOX_POOL, PTL_POOL_SIZE);
        CHECK_EQ(PTL_OUTBOX_CLAIMED % 0x10000 + PTL_OUTBOX_POOL % 0x10000, 0);
}

TEST(new_outbox_has_no_more_memory_than_it_needs)
{
        struct ptl_outbox box;
        struct stat st;
        int fd;

        CHECK_EQ(ptl_outbox_create(&box, &fd), 0);
        CHECK(fstat(fd, &st) == 0);
        CHECK_EQ(st.st_size, PTL_OUTBOX_SIZE);
        CHECK(st.st_blocks * 512 < 512 * 1024); /* with pages of 64 KiB; sparse beyond */
        close(fd);
        ptl_outbox_unmap(&box);
}

TEST(nobody_can_map_a_sealed_outbox_writable_or_write_to_it)
{
        struct ptl_outbox box;
        char path[64], byte = 1;
        int fd, again;

        CHECK_EQ(ptl_outbox_create(&box, &fd), 0);
        CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED &&
              errno == EPERM);
        CHECK(pwrite(fd, &byte, 1, 0) == -1 && errno == EPERM);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        again = open(path, O_RDWR | O_CLOEXEC); /* a peer may open it anew */
        CHECK(again >= 0);
        CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0) == MAP_FAILED);
        close(again);
        close(fd);
        ptl_outbox_unmap(&box);
}

TEST(reader_cannot_make_its_mapping_writable)
{
        struct ptl_outbox box, view;
        int fd;

        CHECK(ptl_outbox_create(&box, &fd) == 0 && ptl_outbox_attach(fd, &view) == 0);
        CHECK(mprotect(view.base, 4096, PROT_READ | PROT_WRITE) == -1 && errno == EACCES);
        close(fd);
        ptl_outbox_unmap(&view);
        ptl_outbox_unmap(&box);
}

TEST(sealed_outbox_keeps_its_size_its_pages_and_its_seals)
{
        struct ptl_outbox box;
        int fd;

        CHECK_EQ(ptl_outbox_create(&box, &fd), 0);
        CHECK(ftruncate(fd, 0) == -1 && errno == EPERM);
        CHECK(ftruncate(fd, PTL_OUTBOX_SIZE * 2) == -1 && errno == EPERM);
        CHECK(fallocate(fd, 0, PTL_OUTBOX_SIZE, 4096) == -1 && errno == EPERM);
        CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == -1 &&
              errno == EPERM);
        CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == -1 && errno == EPERM);
        CHECK_EQ(fcntl(fd, F_GET_SEALS) & ALL_SEALS, ALL_SEALS);
        close(fd);
        ptl_outbox_unmap(&box);
}

TEST(a_rights_word_and_the_count_of_marks_are_seen_where_the_tables_say)
{
        struct ptl_outbox box, view;
        struct ptl_right_word w;
        int fd;

        CHECK(ptl_outbox_create(&box, &fd) == 0 && ptl_outbox_attach(fd, &view) == 0);
        close(fd);
        CHECK_EQ(ptl_load_relaxed(&ptl_outbox_head(&view)->bell.moves), 0);
        ptl_outbox_show(&box, ptl_right_make(7, 3), ptl_word_moved(5, 9));
        ptl_outbox_show(&box, ptl_right_make(7, 1) | PTL_RIGHT_CLAIMED, ptl_word_marked());
        ptl_outbox_count_move(&box);
        ptl_outbox_count_move(&box);
        CHECK_EQ(ptl_load_acquire(&ptl_outbox_head(&view)->bell.moves), 2);
        CHECK_EQ(ptl_word_decode(ptl_outbox_look(&view, ptl_right_make(7, 3)), &w), 0);
        CHECK(w.state == PTL_WORD_MOVED && w.messages == 5 && w.route == 9);
        CHECK_EQ(ptl_outbox_look(&view, 7 | PTL_RIGHT_CLAIMED), ptl_word_marked());
        CHECK_EQ(ptl_outbox_look(&view, 8), ptl_word_open(0, 0));
        ptl_outbox_unmap(&view);
        ptl_outbox_unmap(&box);
}

TEST(routes_and_names_take_memory_only_when_they_are_reserved)
{
        struct ptl_outbox box, view;
        struct stat before, after;
        int fd;

        CHECK(ptl_outbox_create(&box, &fd) == 0 && ptl_outbox_attach(fd, &view) == 0);
        CHECK(fstat(fd, &before) == 0);
        CHECK_EQ(ptl_outbox_reserve(&box, PTL_OUTBOX_ROUTES, PTL_OUTBOX_NAMES - PTL_OUTBOX_ROUTES), 0);
        CHECK_EQ(ptl_outbox_reserve(&box, PTL_OUTBOX_NAMES, PTL_MOVE_NAMES * sizeof(struct ptl_move_name)), 0);
        CHECK(fstat(fd, &after) == 0);
        CHECK(after.st_blocks > before.st_blocks || sysconf(_SC_PAGESIZE) > 4096);
        ptl_outbox_route(&box, PTL_MOVE_ROUTES - 1)->task.high = 1;
        ptl_outbox_name(&box, PTL_MOVE_NAMES - 1)->word = 2;
        CHECK_EQ(ptl_outbox_route(&view, PTL_MOVE_ROUTES - 1)->task.high, 1);
        CHECK_EQ(ptl_outbox_name(&view, PTL_MOVE_NAMES - 1)->word, 2);
        CHECK_EQ(ptl_outbox_name(&view, 0)->task.high, 0);
        close(fd);
        ptl_outbox_unmap(&view);
        ptl_outbox_unmap(&box);
}

TEST(owner_writes_on_and_the_reader_sees_it)
{
        struct ptl_outbox box, view;
        int fd;

        CHECK(ptl_outbox_create(&box, &fd) == 0 && ptl_outbox_attach(fd, &view) == 0);
        close(fd);
        ptl_store_release(&ptl_outbox_head(&box)->consumed, 12345);
        ptl_store_release(&ptl_outbox_taken(&box, true)[3], 99);
        CHECK_EQ(ptl_load_acquire(&ptl_outbox_head(&view)->consumed), 12345);
        CHECK_EQ(ptl_load_acquire(&ptl_outbox_taken(&view, true)[3]), 99);
        CHECK_EQ(ptl_load_acquire(&ptl_outbox_taken(&view, false)[3]), 0);
        ptl_outbox_unmap(&box); /* the owner is gone: what it wrote can still be read */
        CHECK_EQ(ptl_load_acquire(&ptl_outbox_head(&view)->consumed), 12345);
        ptl_outbox_unmap(&view);
}

TEST(reserving_gives_memory_and_keeps_what_stands_there)
{
        static const struct range {
                const char *name;
                uint64_t offset, size;
        } ranges[] = {
                {"a level of the ring",       PTL_OUTBOX_RINGS + 0x10000,  0x40000      },
                {"the pool",                  PTL_OUTBOX_POOL,             PTL_POOL_SIZE},
                {"a page of the taken table", PTL_OUTBOX_TAKEN + 0x8000,   4096         },
                {"words across two pages",    PTL_OUTBOX_CLAIMED + 0x8ff8, 16           },
                {"pages from within a page",  PTL_OUTBOX_TAKEN + 0x20010,  8192         },
                {"what is reserved already",  PTL_OUTBOX_TAKEN + 0x8000,   4096         },
        };
        struct ptl_outbox box, view;
        int fd;

        if (tst_advice_is_ignored())
                SKIP("madvise does nothing here (qemu-user)");
        CHECK(ptl_outbox_create(&box, &fd) == 0 && ptl_outbox_attach(fd, &view) == 0);
        for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
                const struct range *row = &ranges[i];
                char *first = box.base + row->offset, *last = first + row->size - 1;
                struct stat before, after;

                CHECK(fstat(fd, &before) == 0);
                CHECK_ROW(i, row, ptl_outbox_reserve(&box, row->offset, row->size) == 0);
                CHECK(fstat(fd, &after) == 0);
                *first = 42; /* costs no block any more */
                *last = 43;
                CHECK(fstat(fd, &before) == 0);
                CHECK_ROW(i, row, before.st_blocks == after.st_blocks);
                CHECK_ROW(i, row, ptl_outbox_reserve(&box, row->offset, row->size) == 0);
                CHECK_ROW(i, row, *first == 42 && *last == 43);
                CHECK_ROW(i, row, view.base[row->offset] == 42);
        }
        close(fd);
        ptl_outbox_unmap(&view);
        ptl_outbox_unmap(&box);
}

TEST(outbox_that_cannot_be_made_leaves_nothing_behind)
{
        struct rlimit limit, none;
        struct ptl_outbox box = {.base = NULL};
        int fds = tst_open_fds(false), maps = tst_shared_maps(false), fd = -EBADF, r;

        CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
        CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
        r = ptl_outbox_create(&box, &fd);
        CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        CHECK_EQ(r, -EMFILE);
        CHECK(!box.base && fd == -EBADF);
        CHECK_EQ(tst_open_fds(false), fds);
        CHECK_EQ(tst_shared_maps(false), maps);
}

/* ---- which files a reader refuses ---- */

/* A memfd that is right in all but what the row says. */
static const struct fake {
        const char *name;
        unsigned flags; /* of memfd_create */
        int64_t size;   /* bytes more or less than it should have */
        int seals;
        bool reserved; /* the blocks of a new outbox are there */
        uint32_t magic, version;
        uint64_t claims; /* what its head says its size is, more or less */
        int outcome;
} fakes[] = {
#define GOOD_HEAD PTL_OUTBOX_MAGIC, PTL_OUTBOX_VERSION, 0
        {"all right",                      MFD_ALLOW_SEALING,   0,     ALL_SEALS,                                          true,  GOOD_HEAD,               0                                                   },
        {"sealed against all writing too", MFD_ALLOW_SEALING,   0,     ALL_SEALS | F_SEAL_WRITE,                           true,
                                                                 GOOD_HEAD,                                                                                                                                        0                                                   },
        {"no seal",                        MFD_ALLOW_SEALING,   0,     0,                                                  true,  GOOD_HEAD,               PTL_E_MALFORMED                                     },
        {"not sealable",                   0,                   0,     0,                                                  true,  GOOD_HEAD,               PTL_E_MALFORMED                                     },
        {"may be written",                 MFD_ALLOW_SEALING,   0,     ALL_SEALS & ~F_SEAL_FUTURE_WRITE,                   true,  GOOD_HEAD,
                                                                 PTL_E_MALFORMED                                                                                                                                                                                       },
        {"may shrink",                     MFD_ALLOW_SEALING,   0,     ALL_SEALS & ~F_SEAL_SHRINK,                         true,  GOOD_HEAD,
                                                                 PTL_E_MALFORMED                                                                                                                                                                                       },
        {"may grow",                       MFD_ALLOW_SEALING,   0,     ALL_SEALS & ~F_SEAL_GROW,                           true,  GOOD_HEAD,
                                                                 PTL_E_MALFORMED                                                                                                                                                                                       },
        {"more seals may come",            MFD_ALLOW_SEALING,   0,     ALL_SEALS & ~F_SEAL_SEAL,                           true,  GOOD_HEAD,
                                                                 PTL_E_MALFORMED                                                                                                                                                                                       },
        {"sparse",                         MFD_ALLOW_SEALING,   0,     ALL_SEALS,                                          false, GOOD_HEAD,               PTL_E_MALFORMED                                     },
        {"a page too small",               MFD_ALLOW_SEALING,   -4096, ALL_SEALS,                                          true,  GOOD_HEAD,               PTL_E_MALFORMED                                     },
        {"a byte too small",               MFD_ALLOW_SEALING,   -1,    ALL_SEALS,                                          true,  GOOD_HEAD,               PTL_E_MALFORMED                                     },
        {"a page too large",               MFD_ALLOW_SEALING,   4096,  ALL_SEALS,                                          true,  GOOD_HEAD,               PTL_E_MALFORMED                                     },
        {"claims to be larger",            MFD_ALLOW_SEALING,   0,     ALL_SEALS,                                          true,  PTL_OUTBOX_MAGIC,
                                                                 PTL_OUTBOX_VERSION,                                                                                                                                                                                     4096, PTL_E_MALFORMED},
        {"no magic",                 MFD_ALLOW_SEALING,                                    0,                                ALL_SEALS,                                                 true,                  0, PTL_OUTBOX_VERSION, 0,
                                                                 PTL_E_MALFORMED},
        {"the next version",              MFD_ALLOW_SEALING,                                0,                                              ALL_SEALS,                                                                                                true,                                                                                    PTL_OUTBOX_MAGIC,
                                                                 PTL_OUTBOX_VERSION + 1,                                                                                                 0, PTL_E_VERSION},
        {"the next version, larger",                            MFD_ALLOW_SEALING,                               0x100000,                                       ALL_SEALS,                                                                                        true,                                                                                PTL_OUTBOX_MAGIC,
                                                                 PTL_OUTBOX_VERSION + 1,                                  0x100000, PTL_E_VERSION},
        {"the version before",                        MFD_ALLOW_SEALING,    0,ALL_SEALS,true, PTL_OUTBOX_MAGIC, PTL_OUTBOX_VERSION - 1, 0, PTL_E_VERSION},
        {"version 0",                        MFD_ALLOW_SEALING,    0,ALL_SEALS,true,                                                                                                  PTL_OUTBOX_MAGIC,                                                                                                                 0,                                                                                                                       0, PTL_E_VERSION},
        {"huge pages",                      MFD_ALLOW_SEALING | MFD_HUGETLB, 0,  ALL_SEALS,                                                                             false,                                                                                                                                                                     GOOD_HEAD,
                                                                 PTL_E_MALFORMED             },
};

/* -1: this kernel has no huge pages. */
static int fake_fd(const struct fake *row)
{
        struct ptl_outbox_head head = {.magic = row->magic,
                                       .version = row->version,
                                       .size = PTL_OUTBOX_SIZE + row->claims};
        off_t size = (off_t)PTL_OUTBOX_SIZE + row->size;
        int fd = memfd_create("fake", MFD_CLOEXEC | row->flags);

        if (fd < 0 && row->flags & MFD_HUGETLB)
                return -1;
        CHECK(fd >= 0);
        if (row->flags & MFD_HUGETLB)
                size = (size + 0x3fffffff) & ~0x3fffffff; /* whole pages of any size */
        CHECK(ftruncate(fd, size) == 0);
        if (row->flags & MFD_HUGETLB)
                (void)!fallocate(fd, 0, 0,
                                 size); /* where there are any: refused for its kind alone */
        if (row->reserved)
                CHECK(fallocate(fd, 0, 0, 0x20000) == 0);
        if (!(row->flags & MFD_HUGETLB))
                CHECK(pwrite(fd, &head, sizeof head, 0) == sizeof head);
        if (row->flags & MFD_ALLOW_SEALING)
                CHECK(fcntl(fd, F_ADD_SEALS, row->seals) == 0);
        return fd;
}

TEST(files_that_are_no_outbox_are_refused)
{
        for (size_t i = 0; i < ARRAY_LEN(fakes); i++) {
                const struct fake *row = &fakes[i];
                int fd = fake_fd(row);

                if (fd < 0) {
                        fprintf(stderr, "# row %zu (%s) skipped: %s\n", i, row->name,
                                strerror(errno));
                        continue;
                }
                CHECK_ROW(i, row, attach(fd) == row->outcome);
                close(fd);
        }
}

TEST(descriptors_of_another_kind_are_refused)
{
        char path[128];
        int fds[8], ends[2], n = 0;

        snprintf(path, sizeof path, "%s/file", tst_temp_dir());
        CHECK((fds[n++] = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) >= 0);
        CHECK(ftruncate(fds[0], PTL_OUTBOX_SIZE) == 0);
        CHECK((fds[n++] = open(tst_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0);
        CHECK((fds[n++] = open(tst_temp_dir(), O_PATH | O_CLOEXEC)) >= 0);
        CHECK((fds[n++] = open("/dev/zero", O_RDWR | O_CLOEXEC)) >= 0);
        CHECK((fds[n++] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
        CHECK(pipe2(ends, O_CLOEXEC) == 0);
        fds[n++] = ends[0];
        fds[n++] = ends[1];
        for (int i = 0; i < n; i++) {
                CHECK_EQ(attach(fds[i]), PTL_E_MALFORMED);
                close(fds[i]);
        }
        CHECK_EQ(attach(-1), PTL_E_MALFORMED);
}

/* ---- fork ---- */

static void check_child(void (*child)(void *), void *arg)
{
        int status;
        pid_t pid = fork();

        CHECK(pid >= 0);
        if (pid == 0) {
                child(arg);
                _exit(0);
        }
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void check_unmapped(void *arg)
{
        for (void **at = arg; *at; at++)
                CHECK(!is_mapped(*at));
}

TEST(forked_child_has_none_of_it_mapped)
{
        struct ptl_outbox box, view;
        void *made, *view_of_it;
        int fd, region;

        if (tst_advice_is_ignored())
                SKIP("madvise does nothing here (qemu-user)");
        CHECK(ptl_outbox_create(&box, &fd) == 0 && ptl_outbox_attach(fd, &view) == 0);
        CHECK(ptl_memory_create(REGION, &region, &made) == 0);
        CHECK(ptl_memory_attach(region, REGION, false, &view_of_it) == 0);
        void *all[] = {box.base,
                       box.base + PTL_OUTBOX_POOL,
                       ptl_outbox_ring(&box, 0),
                       view.base,
                       ptl_outbox_ring(&view, 0),
                       made,
                       view_of_it,
                       NULL};
        for (void **at = all; *at; at++)
                CHECK(is_mapped(*at));
        check_child(check_unmapped, all);
        close(fd);
        close(region);
        ptl_memory_unmap(made, REGION);
        ptl_memory_unmap(view_of_it, REGION);
        ptl_outbox_unmap(&view);
        ptl_outbox_unmap(&box);
}

/* ---- regions ---- */

static int attach_region(int fd, size_t size, bool frozen)
{
        int fds = tst_open_fds(false), maps = tst_shared_maps(false), r;
        void *data = NULL;

        r = ptl_memory_attach(fd, size, frozen, &data);
        CHECK((r == 0) == (data != NULL));
        ptl_memory_unmap(data, size);
        CHECK_EQ(tst_open_fds(false), fds);
        CHECK_EQ(tst_shared_maps(false), maps);
        return r;
}

TEST(region_is_reserved_whole_pages_that_keep_their_size)
{
        void *data;
        struct stat st;
        int fd;

        CHECK_EQ(ptl_memory_create(REGION - 1, &fd, &data), 0);
        CHECK(fstat(fd, &st) == 0);
        CHECK(st.st_size >= REGION && st.st_size % sysconf(_SC_PAGESIZE) == 0);
        CHECK(st.st_blocks * 512 >= st.st_size);
        CHECK_EQ(fcntl(fd, F_GET_SEALS) & SIZE_SEALS, SIZE_SEALS);
        CHECK_EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        CHECK(ftruncate(fd, 0) == -1 && errno == EPERM);
        CHECK(ftruncate(fd, REGION * 2) == -1 && errno == EPERM);
        ((char *)data)[REGION - 1] = 1;
        ptl_memory_unmap(data, REGION - 1);
        close(fd);
        ptl_memory_unmap(NULL, REGION);
}

static void look_away(int sig) { (void)sig; }

TEST(signals_do_not_end_a_reservation)
{
        const size_t size = 64 << 20; /* long enough for many of them */
        struct sigaction action = {.sa_handler = look_away};
        struct itimerval often = {{.tv_usec = 1000}, {.tv_usec = 1000}}, never = {.it_value = {0}};
        struct stat st;
        void *data;
        int fd;

        CHECK(sigaction(SIGALRM, &action, NULL) == 0);
        CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
        CHECK_EQ(ptl_memory_create(size, &fd, &data), 0);
        CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
        CHECK(fstat(fd, &st) == 0 && st.st_blocks * 512 >= st.st_size);
        ptl_memory_unmap(data, size);
        close(fd);
}

TEST(volatile_region_is_the_same_memory_on_both_sides)
{
        char *mine, *theirs;
        int fd;

        CHECK_EQ(ptl_memory_create(REGION, &fd, (void **)&mine), 0);
        CHECK_EQ(ptl_memory_attach(fd, REGION, false, (void **)&theirs), 0);
        close(fd);
        mine[REGION - 1] = 1;
        theirs[0] = 2;
        CHECK(theirs[REGION - 1] == 1 && mine[0] == 2);
        ptl_memory_unmap(mine, REGION);
        ptl_memory_unmap(theirs, REGION);
}

TEST(frozen_region_needs_the_seal_and_is_the_readers_own)
{
        char *mine, *theirs, *again;
        int fd;

        CHECK_EQ(ptl_memory_create(REGION, &fd, (void **)&mine), 0);
        mine[5] = 1;
        CHECK_EQ(attach_region(fd, REGION, true), PTL_E_MALFORMED); /* its maker can still write */
        CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == -1 && errno == EBUSY);
        ptl_memory_unmap(mine, REGION);
        CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
        CHECK_EQ(ptl_memory_attach(fd, REGION, true, (void **)&theirs), 0);
        CHECK_EQ(ptl_memory_attach(fd, REGION, true, (void **)&again), 0);
        theirs[5] = 9; /* copy on write */
        CHECK(theirs[5] == 9 && again[5] == 1);
        close(fd);
        ptl_memory_unmap(theirs, REGION);
        ptl_memory_unmap(again, REGION);
}

static const struct bad_region {
        const char *name;
        unsigned flags;
        off_t size, reserved;
        int seals;
        bool frozen;
        int outcome;
} bad_regions[] = {
        {"all right",                  MFD_ALLOW_SEALING, REGION,        REGION,        SIZE_SEALS,                 false, 0              },
        {"larger than asked",          MFD_ALLOW_SEALING, 2 * REGION,    2 * REGION,    SIZE_SEALS,                 false, 0              },
        {"all right, frozen",          MFD_ALLOW_SEALING, REGION,        REGION,        SIZE_SEALS | F_SEAL_WRITE,  true,
         0                                                                                                                                },
        {"no seal",                    MFD_ALLOW_SEALING, REGION,        REGION,        0,                          false, PTL_E_MALFORMED},
        {"not sealable",               0,                 REGION,        REGION,        0,                          false, PTL_E_MALFORMED},
        {"may shrink",                 MFD_ALLOW_SEALING, REGION,        REGION,        F_SEAL_GROW,                false, PTL_E_MALFORMED},
        {"may grow",                   MFD_ALLOW_SEALING, REGION,        REGION,        F_SEAL_SHRINK,              false, PTL_E_MALFORMED},
        {"a page short",               MFD_ALLOW_SEALING, REGION - 4096, REGION - 4096, SIZE_SEALS,                 false,
         PTL_E_MALFORMED                                                                                                                  },
        {"a byte short",               MFD_ALLOW_SEALING, REGION - 1,    REGION - 1,    SIZE_SEALS,                 false,
         PTL_E_MALFORMED                                                                                                                  },
        {"a hole",                     MFD_ALLOW_SEALING, REGION,        REGION - 4096, SIZE_SEALS,                 false, PTL_E_MALFORMED},
        {"frozen, a hole",             MFD_ALLOW_SEALING, REGION,        4096,          SIZE_SEALS | F_SEAL_WRITE,  true,
         PTL_E_MALFORMED                                                                                                                  },
        {"frozen only for the future", MFD_ALLOW_SEALING, REGION,        REGION,
         SIZE_SEALS | F_SEAL_FUTURE_WRITE,                                                                          true,  PTL_E_MALFORMED},
        {"frozen, may shrink",         MFD_ALLOW_SEALING, REGION,        REGION,        F_SEAL_WRITE | F_SEAL_GROW, true,
         PTL_E_MALFORMED                                                                                                                  },
};

TEST(regions_that_could_fail_their_reader_are_refused)
{
        for (size_t i = 0; i < ARRAY_LEN(bad_regions); i++) {
                const struct bad_region *row = &bad_regions[i];
                int fd = memfd_create("fake", MFD_CLOEXEC | row->flags);

                CHECK(fd >= 0 && ftruncate(fd, row->size) == 0);
                CHECK(fallocate(fd, 0, 0, row->reserved) == 0);
                if (row->flags & MFD_ALLOW_SEALING)
                        CHECK(fcntl(fd, F_ADD_SEALS, row->seals) == 0);
                CHECK_ROW(i, row, attach_region(fd, REGION, row->frozen) == row->outcome);
                close(fd);
        }
}

TEST(regions_of_impossible_size_are_an_error_not_a_crash)
{
        static const size_t sizes[] = {
                0,
                SIZE_MAX,
                SIZE_MAX - 4095,
#if SIZE_MAX > UINT32_MAX /* else it is large, but possible */
                SIZE_MAX / 2,
#endif
        };

        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
                int fds = tst_open_fds(false), fd = -EBADF;
                void *data = NULL;

                CHECK(ptl_memory_create(sizes[i], &fd, &data) < 0);
                CHECK(fd == -EBADF && !data);
                CHECK_EQ(tst_open_fds(false), fds);
                CHECK(ptl_memory_private(sizes[i], &data) < 0);
        }
}

TEST(private_memory_is_clear_and_nobody_elses)
{
        size_t size = (4u << 20) + 1;
        char *data;

        CHECK_EQ(ptl_memory_private(size, (void **)&data), 0);
        CHECK(data[0] == 0 && data[size - 1] == 0);
        data[size - 1] = 1;
        ptl_memory_unmap(data, size);
}
