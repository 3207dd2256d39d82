/* SPDX-License-Identifier: Apache-2.0 */
/* link/socket_test.c - packets, the descriptors they carry, and what goes wrong on the way */
#define _GNU_SOURCE
#include "base/cleanup.h"
#include "link/socket.h"
#include "tst.h"
#include <fcntl.h>

static int pair[2];

static void close_pair(void)
{
        pair[0] = ptl_close(pair[0]);
        pair[1] = ptl_close(pair[1]);
}

static void open_pair(void)
{
        CHECK_EQ(ptl_socket_pair(pair), 0);
        tst_at_end(close_pair);
}

static int new_file(void)
{
        int fd = memfd_create("socket_test", MFD_CLOEXEC);

        CHECK(fd >= 0);
        return fd;
}

static bool is_same_file(int a, int b)
{
        struct stat x, y;

        return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

TEST(a_packet_arrives_whole_and_alone)
{
        char buffer[16];
        size_t size;

        open_pair();
        CHECK_EQ(ptl_socket_send(pair[0], "one", 3, NULL, 0), 0);
        CHECK_EQ(ptl_socket_send(pair[0], "three", 5, NULL, 0), 0);
        CHECK_EQ(ptl_socket_receive(pair[1], buffer, sizeof buffer, &size, NULL, 0, NULL), 0);
        CHECK(size == 3 && !memcmp(buffer, "one", 3));
        CHECK_EQ(ptl_socket_receive(pair[1], buffer, sizeof buffer, &size, NULL, 0, NULL), 0);
        CHECK(size == 5 && !memcmp(buffer, "three", 5));
}

TEST(nothing_there_is_eagain_and_a_closed_peer_is_the_end)
{
        char buffer[16];
        size_t size = 99, n_fds = 99;
        int fd;

        open_pair();
        CHECK_EQ(ptl_socket_receive(pair[1], buffer, 16, &size, &fd, 1, &n_fds), -EAGAIN);
        CHECK_EQ(n_fds, 0);
        pair[0] = ptl_close(pair[0]);
        CHECK_EQ(ptl_socket_receive(pair[1], buffer, 16, &size, &fd, 1, &n_fds), 0);
        CHECK_EQ(size, 0);
        CHECK_EQ(ptl_socket_send(pair[1], "x", 1, NULL, 0), -EPIPE);
}

TEST(what_was_looked_at_is_dropped_though_its_sender_dies_in_between)
{
        char buffer[16];
        size_t size, n_fds;
        int fds[2];

        open_pair();
        CHECK_EQ(ptl_socket_send(pair[0], "one", 3, NULL, 0), 0);
        CHECK_EQ(ptl_socket_send(pair[1], "never read", 10, NULL, 0), 0); /* so that the end is a reset */
        CHECK_EQ(ptl_socket_peek(pair[1], buffer, sizeof buffer, &size, fds, &n_fds), 0);
        CHECK(size == 3 && !memcmp(buffer, "one", 3));
        pair[0] = ptl_close(pair[0]);
        ptl_socket_drop(pair[1]);
        CHECK_EQ(ptl_socket_receive(pair[1], buffer, sizeof buffer, &size, NULL, 0, NULL), 0);
        CHECK_EQ(size, 0);
}

TEST(both_ends_are_closed_on_exec_and_do_not_block)
{
        open_pair();
        for (int i = 0; i < 2; i++) {
                CHECK(fcntl(pair[i], F_GETFD) & FD_CLOEXEC);
                CHECK(fcntl(pair[i], F_GETFL) & O_NONBLOCK);
        }
}

TEST(descriptors_arrive_in_order_and_close_on_exec)
{
        int sent[3], got[3];
        size_t size, n_fds;
        char buffer[4];

        open_pair();
        for (int i = 0; i < 3; i++)
                sent[i] = new_file();
        CHECK_EQ(ptl_socket_send(pair[0], "abc", 3, sent, 3), 0);
        CHECK_EQ(ptl_socket_receive(pair[1], buffer, 4, &size, got, 3, &n_fds), 0);
        CHECK_EQ(n_fds, 3);
        for (int i = 0; i < 3; i++) {
                CHECK(is_same_file(sent[i], got[i]) && sent[i] != got[i]);
                CHECK(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
                close(sent[i]);
                close(got[i]);
        }
}

TEST(descriptors_beyond_what_was_asked_for_are_closed)
{
        int before, sent[3], got = -1;
        size_t size, n_fds;
        char buffer[4];

        open_pair();
        for (int i = 0; i < 3; i++)
                sent[i] = new_file();
        before = tst_open_fds(false);
        CHECK_EQ(ptl_socket_send(pair[0], "a", 1, sent, 3), 0);
        CHECK_EQ(ptl_socket_receive(pair[1], buffer, 4, &size, &got, 1, &n_fds), 0);
        CHECK(n_fds == 1 && is_same_file(got, sent[0]));
        close(got);
        CHECK_EQ(ptl_socket_send(pair[0], "a", 1, sent, 3), 0);
        CHECK_EQ(ptl_socket_receive(pair[1], buffer, 4, &size, NULL, 0, NULL), 0);
        CHECK_EQ(size, 1);
        CHECK_EQ(tst_open_fds(false), before);
        for (int i = 0; i < 3; i++)
                close(sent[i]);
}

TEST(as_many_descriptors_as_the_kernel_carries_go_in_one_packet)
{
        static int sent[PTL_SOCKET_FDS_MAX], got[PTL_SOCKET_FDS_MAX];
        size_t size, n_fds;
        char buffer[4];

        open_pair();
        for (int i = 0; i < PTL_SOCKET_FDS_MAX; i++)
                sent[i] = pair[0];
        CHECK_EQ(ptl_socket_send(pair[0], "a", 1, sent, PTL_SOCKET_FDS_MAX), 0);
        CHECK_EQ(ptl_socket_receive(pair[1], buffer, 4, &size, got, PTL_SOCKET_FDS_MAX, &n_fds), 0);
        CHECK_EQ(n_fds, PTL_SOCKET_FDS_MAX);
        for (int i = 0; i < PTL_SOCKET_FDS_MAX; i++)
                close(got[i]);
}

TEST(a_packet_larger_than_the_room_is_refused_and_its_descriptors_closed)
{
        int before, fd, got[2] = {-1, -1};
        size_t size, n_fds = 9;
        char buffer[4];

        open_pair();
        fd = new_file();
        before = tst_open_fds(false);
        CHECK_EQ(ptl_socket_send(pair[0], "12345", 5, &fd, 1), 0);
        CHECK_EQ(ptl_socket_receive(pair[1], buffer, 4, &size, got, 2, &n_fds), PTL_E_MALFORMED);
        CHECK(n_fds == 0 && got[0] < 0);
        CHECK_EQ(tst_open_fds(false), before);
        CHECK_EQ(ptl_socket_receive(pair[1], buffer, 4, &size, got, 2, &n_fds), -EAGAIN);
        close(fd);
}

TEST(descriptors_that_find_no_place_are_lost_and_the_bytes_are_not)
{
        int sent[3], got[3] = {-1, -1, -1}, before;
        struct rlimit limit, tight;
        size_t size, n_fds = 9;
        char buffer[4];

        open_pair();
        for (int i = 0; i < 3; i++)
                sent[i] = new_file();
        CHECK_EQ(ptl_socket_send(pair[0], "abc", 3, sent, 3), 0);
        before = tst_open_fds(false);
        CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        tight = limit;
        tight.rlim_cur = (rlim_t)sent[2] + 2; /* one of the three finds a place */
        CHECK(setrlimit(RLIMIT_NOFILE, &tight) == 0);
        CHECK_EQ(ptl_socket_receive(pair[1], buffer, 4, &size, got, 3, &n_fds), PTL_E_LOST);
        CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        CHECK(size == 3 && !memcmp(buffer, "abc", 3) && n_fds == 0);
        CHECK(got[0] < 0);
        CHECK_EQ(tst_open_fds(false), before);
        for (int i = 0; i < 3; i++)
                close(sent[i]);
}

TEST(a_full_socket_says_eagain_and_sends_nothing)
{
        char data[1000] = {0};
        size_t size;
        int n = 0, r;

        open_pair();
        while ((r = ptl_socket_send(pair[0], data, sizeof data, NULL, 0)) == 0)
                n++;
        CHECK_EQ(r, -EAGAIN);
        CHECK(n > 0);
        while (n--)
                CHECK_EQ(ptl_socket_receive(pair[1], data, sizeof data, &size, NULL, 0, NULL), 0);
        CHECK_EQ(ptl_socket_receive(pair[1], data, sizeof data, &size, NULL, 0, NULL), -EAGAIN);
}

TEST(a_descriptor_that_is_none_is_not_sent)
{
        size_t size;
        char buffer[4];
        int bad = -1;

        open_pair();
        CHECK_EQ(ptl_socket_send(pair[0], "a", 1, &bad, 1), -EBADF);
        CHECK_EQ(ptl_socket_receive(pair[1], buffer, 4, &size, NULL, 0, NULL), -EAGAIN);
}
