/* SPDX-License-Identifier: Apache-2.0 */
/* Regions within one task; and that memory of ours is sealed, reserved and nameless.
 */
#include "api.h"

#ifdef __has_feature /* clang's way of saying it */
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

static struct ptl_region *new_region(size_t size)
{
        struct ptl_region *r = NULL;

        OK(ptl_region_new(size, &r));
        CHECK(r && ptl_region_data(r));
        CHECK_EQ(ptl_region_size(r), size);
        return r;
}

static struct ptl_message send_region(ptl_port p, struct ptl_region *r, uint32_t how)
{
        struct ptl_region_item item = {.region = r, .how = how};
        struct ptl_outgoing out = {.regions = &item, .n_regions = 1};

        OK(ptl_send_message(p, &out, PTL_NOW));
        return take_message(p);
}

static struct ptl_region *take_region(struct ptl_message *m)
{
        struct ptl_region *r;

        CHECK_EQ(m->n_regions, 1);
        r = m->regions[0].region;
        CHECK(r != NULL);
        ptl_message_release(m);
        return r;
}

TEST(a_region_is_zeroed_and_writable_to_its_last_byte)
{
        const size_t sizes[] = {1, 4095, 4096, 4097, 100000, 8 << 20};

        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
                struct ptl_region *r = new_region(sizes[i]);
                unsigned char *data = ptl_region_data(r);

                for (size_t k = 0; k < sizes[i]; k += 61)
                        CHECK_EQ(data[k], 0);
                CHECK_EQ(data[sizes[i] - 1], 0);
                memset(data, 0xff, sizes[i]);
                CHECK(ptl_region_free(r) == NULL);
        }
}

TEST(sizes_that_no_region_has_are_refused)
{
        struct ptl_region *r = (struct ptl_region *)&r;

        OUTCOME(ptl_region_new(0, &r), PTL_E_INVALID);
#if SIZE_MAX > UINT32_MAX /* else no such size can be asked for */
        OUTCOME(ptl_region_new(PTL_REGION_SIZE_MAX + 1, &r), PTL_E_TOO_BIG);
        OUTCOME(ptl_region_new(SIZE_MAX, &r), PTL_E_TOO_BIG);
#else
        CHECK(ptl_region_new(SIZE_MAX, &r) < 0);
#endif
        CHECK(r == (struct ptl_region *)&r);
}

TEST(x02_memory_that_cannot_be_reserved_is_an_outcome_not_a_signal)
{
        struct rlimit small = {.rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY};
        struct ptl_region *r = (struct ptl_region *)&r;
        int outcome;

        signal(SIGXFSZ, SIG_IGN);
        CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
        outcome = ptl_region_new(64 << 20, &r);
        if (outcome == 0) { /* the kernel does not count memfds: nothing to refuse */
                memset(ptl_region_data(r), 1, 64 << 20);
                ptl_region_free(r);
                return;
        }
        CHECK(outcome < 0);
        CHECK(r == (struct ptl_region *)&r);
}

TEST(x02_running_out_of_address_space_is_an_outcome)
{
        struct rlimit small = {.rlim_cur = 256 << 20, .rlim_max = RLIM_INFINITY};
        struct ptl_region *r = (struct ptl_region *)&r;

#ifdef SANITIZED
        SKIP("a sanitizer needs the address space");
#endif
        CHECK(setrlimit(RLIMIT_AS, &small) == 0);
        OUTCOME(ptl_region_new(512 << 20, &r), -ENOMEM);
        CHECK(r == (struct ptl_region *)&r);
}

TEST(running_out_of_descriptors_is_an_outcome)
{
        struct rlimit before, none;
        struct ptl_region *r = (struct ptl_region *)&r;

        CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
        none = before;
        none.rlim_cur = 0;
        CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
        OUTCOME(ptl_region_new(100, &r), -EMFILE);
        CHECK(r == (struct ptl_region *)&r);
        CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
}

API_TEST(a_volatile_region_is_the_same_memory)
{
        ptl_port p = new_send_port();
        struct ptl_region *a = new_region(5000), *b, *c;
        struct ptl_message m;

        strcpy(ptl_region_data(a), "before");
        m = send_region(p, a, PTL_REGION_VOLATILE);
        CHECK_EQ(m.regions[0].how, PTL_REGION_VOLATILE);
        b = take_region(&m);
        CHECK_EQ(ptl_region_size(b), 5000);
        CHECK_STR_EQ(ptl_region_data(b), "before");
        strcpy(ptl_region_data(a), "after");
        CHECK_STR_EQ(ptl_region_data(b), "after");
        strcpy(ptl_region_data(b), "back");
        CHECK_STR_EQ(ptl_region_data(a), "back");
        m = send_region(p, a, PTL_REGION_VOLATILE);
        c = take_region(&m);
        CHECK_STR_EQ(ptl_region_data(c), "back");
        ptl_region_free(a);
        strcpy(ptl_region_data(b), "without the first");
        CHECK_STR_EQ(ptl_region_data(c), "without the first");
        ptl_region_free(b);
        ptl_region_free(c);
}

API_TEST(an_isolated_region_is_given_away)
{
        ptl_port p = new_send_port();
        struct ptl_region *a = new_region(5000), *b;
        struct ptl_message m;

        fill(ptl_region_data(a), 5000, 1);
        m = send_region(p, a, PTL_REGION_ISOLATED);
        b = take_region(&m);
        CHECK_EQ(ptl_region_size(b), 5000);
        CHECK(is_filled(ptl_region_data(b), 5000, 1));
        fill(ptl_region_data(b), 5000, 2);
        CHECK(is_filled(ptl_region_data(b), 5000, 2));
        ptl_region_free(b);
}

API_TEST(an_isolated_region_does_not_show_what_others_write_later)
{
        ptl_port p = new_send_port();
        struct ptl_region *a = new_region(3 * 4096), *view, *b;
        struct ptl_message m = send_region(p, a, PTL_REGION_VOLATILE);

        view = take_region(&m);
        fill(ptl_region_data(a), 3 * 4096, 1);
        m = send_region(p, a, PTL_REGION_ISOLATED);
        b = take_region(&m);
        fill(ptl_region_data(view), 3 * 4096, 2);
        CHECK(is_filled(ptl_region_data(b), 3 * 4096, 1));
        fill(ptl_region_data(b), 3 * 4096, 3);
        CHECK(is_filled(ptl_region_data(view), 3 * 4096, 2));
        ptl_region_free(view);
        ptl_region_free(b);
}

API_TEST(a_copied_region_stays_with_its_sender)
{
        ptl_port p = new_send_port();
        struct ptl_region *a = new_region(5000), *b;
        struct ptl_message m;

        for (unsigned i = 1; i < 4; i++) {
                fill(ptl_region_data(a), 5000, i);
                m = send_region(p, a, PTL_REGION_COPIED);
                CHECK_EQ(m.regions[0].how, PTL_REGION_COPIED);
                b = take_region(&m);
                CHECK_EQ(ptl_region_size(b), 5000);
                fill(ptl_region_data(a), 5000, 9);
                CHECK(is_filled(ptl_region_data(b), 5000, i));
                fill(ptl_region_data(b), 5000, 8);
                CHECK(is_filled(ptl_region_data(a), 5000, 9));
                ptl_region_free(b);
        }
        ptl_region_free(a);
}

API_TEST(a_region_in_a_message_that_dies_unread_is_freed)
{
        ptl_port p = new_send_port();
        struct ptl_region *r = new_region(5000);
        struct ptl_region_item item = {.region = r, .how = PTL_REGION_VOLATILE};
        struct ptl_outgoing out = {.regions = &item, .n_regions = 1};

        for (int i = 0; i < 50; i++)
                OK(ptl_send_message(p, &out, PTL_NOW));
        OK(ptl_port_free(p)); /* the harness counts what is left */
        ptl_region_free(r);
}

/* ---- what the kernel lets one do with our memory ---- */

/* Calls @look for each open descriptor of memory of ours; returns how many. */
static int each_memory(void (*look)(int fd))
{
        DIR *d = opendir("/proc/self/fd");
        int n = 0;

        CHECK(d);
        for (struct dirent *e; (e = readdir(d));) {
                char link[256];
                ssize_t len = readlinkat(dirfd(d), e->d_name, link, sizeof link - 1);

                if (len < 0)
                        continue;
                link[len] = '\0';
                if (!strstr(link, "memfd:"))
                        continue;
                look(atoi(e->d_name));
                n++;
        }
        closedir(d);
        return n;
}

static void cannot_be_resized(int fd)
{
        struct stat st;

        CHECK(fstat(fd, &st) == 0);
        CHECK(st.st_size > 0);
        CHECK(ftruncate(fd, 0) == -1);
        CHECK_EQ(errno, EPERM);
        CHECK(ftruncate(fd, st.st_size + 4096) == -1);
        CHECK_EQ(errno, EPERM);
        CHECK(ftruncate(fd, st.st_size / 2) == -1);
        CHECK_EQ(errno, EPERM);
}

static void is_closed_on_exec(int fd) { CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC); }

static void is_reserved(int fd)
{
        struct stat st;

        CHECK(fstat(fd, &st) == 0);
        CHECK(st.st_blocks * 512 >= st.st_size);
}

TEST(x02_a_region_cannot_be_truncated_and_is_reserved)
{
        struct ptl_region *r = new_region(100000);

        CHECK(each_memory(cannot_be_resized) > 0);
        each_memory(is_reserved);
        each_memory(is_closed_on_exec);
        ptl_region_free(r);
}

TEST(x02_a_punched_hole_is_no_signal)
{
        struct ptl_region *r = new_region(100000);
        unsigned char *data = ptl_region_data(r);
        char path[64];
        DIR *d = opendir("/proc/self/fd");

        memset(data, 1, 100000);
        for (struct dirent *e; (e = readdir(d));) {
                ssize_t len = readlinkat(dirfd(d), e->d_name, path, sizeof path - 1);

                path[len > 0 ? len : 0] = '\0';
                if (strstr(path, "memfd:"))
                        (void)!fallocate(atoi(e->d_name), 3 /* punch, keep size */, 0, 50000);
        }
        closedir(d);
        for (size_t i = 0; i < 100000; i++)
                CHECK(data[i] <= 1);
        ptl_region_free(r);
}

static int entries(const char *path)
{
        DIR *d = opendir(path);
        int n = 0;

        if (!d)
                return 0;
        while (readdir(d))
                n++;
        closedir(d);
        return n;
}

API_TEST(x01_nothing_of_ours_has_a_name_in_shared_memory_or_queues)
{
        int shm = entries("/dev/shm"), mq = entries("/dev/mqueue");
        struct ptl_region *r = new_region(100000);
        ptl_port p = new_send_port(), q = PTL_NULL;

        OK(ptl_name_publish("x01", p));
        OK(ptl_name_look_up("x01", &q, PTL_NOW));
        OK(ptl_region_publish("x01.region", r));
        put(q, "works");
        CHECK_EQ(entries("/dev/shm"), shm);
        CHECK_EQ(entries("/dev/mqueue"), mq);
        take(p, "works");
        ptl_region_free(r);
}
