/* SPDX-License-Identifier: Apache-2.0 */
/* server/store_test.c - memory that a service manager keeps: what it is told, and when */
#define _GNU_SOURCE
#include "server/store.h"
#include <fcntl.h>
#include <tst.h>

static int manager;

static void manager_open(const char *max)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};

        manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        snprintf(a.sun_path, sizeof a.sun_path, "%s/notify", tst_temp_dir());
        CHECK(manager >= 0 && bind(manager, (struct sockaddr *)&a, sizeof a) == 0);
        CHECK(setenv("NOTIFY_SOCKET", a.sun_path, 1) == 0);
        CHECK((max ? setenv("FDSTORE", max, 1) : unsetenv("FDSTORE")) == 0);
}

static void manager_close(struct store *store)
{
        store_fini(store);
        close(manager);
        unsetenv("NOTIFY_SOCKET");
}

/* The next datagram, and the descriptor with it; "" if there is none. */
static const char *hear(int *ret_fd)
{
        static char text[512];
        char control[CMSG_SPACE(sizeof(int))];
        struct iovec bytes = {text, sizeof text - 1};
        struct msghdr msg = {.msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        ssize_t n = recvmsg(manager, &msg, MSG_CMSG_CLOEXEC);

        text[n < 0 ? 0 : n] = 0;
        *ret_fd = -EBADF;
        if (n > 0 && CMSG_FIRSTHDR(&msg))
                memcpy(ret_fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof *ret_fd);
        return text;
}

static void hear_without(const char *expected)
{
        int fd;

        CHECK_STR_EQ(hear(&fd), expected);
        CHECK(fd < 0);
}

/* Memory that is so long, and of fixed size. */
static int memory(off_t size)
{
        int fd = memfd_create("kept", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        CHECK(fd >= 0 && ftruncate(fd, size) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
        return fd;
}

static void hear_with(const char *expected, off_t size)
{
        struct stat st;
        int fd;

        CHECK_STR_EQ(hear(&fd), expected);
        CHECK(fd >= 0 && fstat(fd, &st) == 0);
        CHECK_EQ(st.st_size, size);
        close(fd);
}

/* The caller's descriptor stays the caller's. */
static int keep(struct store *store, const char *name, off_t size)
{
        int fd = memory(size), r = store_keep(store, name, fd);

        CHECK(close(fd) == 0);
        return r;
}

TEST(what_is_kept_and_dropped_is_said_to_the_manager)
{
        struct store store;
        int fd;

        manager_open(NULL);
        store_init(&store);
        CHECK(store.is_there);
        CHECK_EQ(keep(&store, "queue-1", 100), 0);
        hear_with("FDSTORE=1\nFDNAME=portolan.queue-1\nFDPOLL=0", 100);
        CHECK_EQ(keep(&store, "queue-1", 200), PTL_E_EXISTS);
        CHECK_EQ(store_take(&store, "queue-1", &fd), PTL_E_NOT_FOUND); /* it went, it did not come back */
        store_drop(&store, "queue-1");
        hear_without("FDSTOREREMOVE=1\nFDNAME=portolan.queue-1");
        store_drop(&store, "queue-1");
        hear_without("");
        CHECK_EQ(keep(&store, "queue-1", 300), 0);
        hear_with("FDSTORE=1\nFDNAME=portolan.queue-1\nFDPOLL=0", 300);
        manager_close(&store);
}

TEST(what_came_back_is_taken_once_and_stays_kept)
{
        struct store store;
        int fd;

        manager_open(NULL);
        store_init(&store);
        CHECK_EQ(store_adopt(&store, "portolan.queue", memory(100)), 0);
        CHECK_EQ(keep(&store, "queue", 1), PTL_E_EXISTS);
        CHECK_EQ(store_take(&store, "queue", &fd), 0);
        CHECK(close(fd) == 0);
        CHECK_EQ(store_take(&store, "queue", &fd), PTL_E_NOT_FOUND);
        CHECK_EQ(store.n_kept, 1);
        store_drop(&store, "queue");
        hear_without("FDSTOREREMOVE=1\nFDNAME=portolan.queue");
        CHECK_EQ(store.n_kept, 0);
        manager_close(&store);
}

TEST(no_more_is_kept_than_the_manager_keeps)
{
        struct store store;

        manager_open("2");
        store_init(&store);
        CHECK_EQ(keep(&store, "a", 1), 0);
        CHECK_EQ(keep(&store, "b", 1), 0);
        CHECK_EQ(keep(&store, "c", 1), PTL_E_QUOTA);
        store_drop(&store, "a");
        CHECK_EQ(keep(&store, "c", 1), 0);
        manager_close(&store);
}

TEST(what_a_full_socket_does_not_take_is_said_later_and_in_order)
{
        struct store store;
        unsigned n = 0, heard = 0;
        char name[16];
        int fd;

        manager_open(NULL);
        store_init(&store);
        while (store.retry_at == PTL_FOREVER) {
                snprintf(name, sizeof name, "n%u", n++);
                CHECK_EQ(keep(&store, name, 1), 0);
                CHECK(n < 3000);
        }
        CHECK_EQ(keep(&store, "late", 1), 0);
        CHECK_EQ(keep(&store, "never", 1), 0);
        store_drop(&store, "never"); /* nobody has heard of it */
        store_drop(&store, "n0");
        for (const char *text; *(text = hear(&fd)); heard++) {
                snprintf(name, sizeof name, "n%u\n", heard);
                CHECK(strstr(text, name));
                close(fd);
        }
        CHECK_EQ(heard, n - 1);
        store_retry(&store);
        CHECK(store.retry_at == PTL_FOREVER);
        snprintf(name, sizeof name, "n%u\n", n - 1);
        CHECK(strstr(hear(&fd), name) && fd >= 0);
        close(fd);
        hear_with("FDSTORE=1\nFDNAME=portolan.late\nFDPOLL=0", 1);
        hear_without("FDSTOREREMOVE=1\nFDNAME=portolan.n0");
        hear_without("");
        manager_close(&store);
}

TEST(what_is_not_memory_of_fixed_size_or_has_no_proper_name_is_not_kept)
{
        static const char *const names[] = {"", "a b", "a:b", "a\nFDNAME=b", "\xc3\xa4", "a/b"};
        char name[STORE_NAME_MAX + 2];
        struct store store;
        int fd = memory(1), ends[2];

        manager_open(NULL);
        store_init(&store);
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                CHECK_EQ(store_keep(&store, names[i], fd), PTL_E_INVALID);
        memset(name, 'x', sizeof name);
        name[STORE_NAME_MAX + 1] = 0;
        CHECK_EQ(store_keep(&store, name, fd), PTL_E_INVALID);
        name[STORE_NAME_MAX] = 0;
        CHECK_EQ(store_keep(&store, name, fd), 0);
        CHECK(strlen(hear(&ends[0])) > STORE_NAME_MAX);
        close(ends[0]);
        CHECK(pipe2(ends, O_CLOEXEC) == 0);
        CHECK_EQ(store_keep(&store, "pipe", ends[0]), PTL_E_MALFORMED);
        CHECK_EQ(store_adopt(&store, "portolan.pipe", ends[0]), PTL_E_MALFORMED);
        CHECK_EQ(store_adopt(&store, "portolan.", fd), PTL_E_INVALID);
        CHECK_EQ(store_adopt(&store, "other", fd), PTL_E_INVALID);
        close(ends[0]);
        close(ends[1]);
        close(fd);
        hear_without("");
        manager_close(&store);
}

TEST(where_nobody_keeps_anything_all_is_well)
{
        struct store store;

        unsetenv("NOTIFY_SOCKET");
        store_init(&store);
        CHECK(!store.is_there);
        CHECK_EQ(keep(&store, "a", 1), 0);
        store_drop(&store, "a");
        CHECK_EQ(store.n_kept, 0);
        store_fini(&store);
        CHECK(setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1) == 0); /* nobody listens there */
        store_init(&store);
        CHECK_EQ(keep(&store, "a", 1), 0);
        store_drop(&store, "a");
        CHECK_EQ(store.n_kept, 0);
        store_fini(&store);
        unsetenv("NOTIFY_SOCKET");
}
