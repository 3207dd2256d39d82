/* SPDX-License-Identifier: Apache-2.0 */
/* link/socket.c - packets with descriptors over AF_UNIX sockets */
#define _GNU_SOURCE
#include "link/socket.h"
#include "base/cancel.h"
#include "base/cleanup.h"
#include <assert.h>
#include <string.h>
#include <sys/socket.h>

/* Room for as many descriptors as the kernel carries: so MSG_CTRUNC means that it could not make
 * one of them ours, never that a peer sent more than we expected. */
union control {
        struct cmsghdr head;
        char room[CMSG_SPACE(PTL_SOCKET_FDS_MAX * sizeof(int))];
};

int ptl_socket_pair(int ret_socks[2])
{
        int type = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;

        return socketpair(AF_UNIX, type, 0, ret_socks) < 0 ? -errno : 0;
}

static void attach(struct msghdr *m, union control *control, const int *fds, size_t n_fds)
{
        size_t bytes = n_fds * sizeof *fds;

        memset(control, 0, CMSG_SPACE(bytes));
        m->msg_control = control;
        m->msg_controllen = CMSG_SPACE(bytes);
        control->head.cmsg_level = SOL_SOCKET;
        control->head.cmsg_type = SCM_RIGHTS;
        control->head.cmsg_len = CMSG_LEN(bytes);
        memcpy(CMSG_DATA(&control->head), fds, bytes);
}

int ptl_socket_send(int sock, const void *data, size_t size, const int *fds, size_t n_fds)
{
        PTL_NO_CANCEL;
        struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
        union control control;
        ssize_t n;

        assert(size > 0 && n_fds <= PTL_SOCKET_FDS_MAX);
        if (n_fds)
                attach(&m, &control, fds, n_fds);
        do
                n = sendmsg(sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : 0;
}

int ptl_socket_discard(int fd)
{
        static const struct linger none;

        if (fd >= 0) /* of anything but a socket it is refused, and of no effect */
                (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
        return ptl_close(fd);
}

static void discard_all(int *fds, size_t n_fds)
{
        for (size_t i = 0; i < n_fds; i++)
                fds[i] = ptl_socket_discard(fds[i]);
}

/* The first @max_fds of one control message go to @ret_fds, the others are closed. */
static size_t detach(struct cmsghdr *c, int *ret_fds, size_t n_fds, size_t max_fds)
{
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        for (size_t i = 0; i < n; i++) {
                int fd;

                memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
                if (n_fds < max_fds)
                        ret_fds[n_fds++] = fd;
                else
                        ptl_socket_discard(fd);
        }
        return n_fds;
}

static size_t detach_all(struct msghdr *m, int *ret_fds, size_t max_fds)
{
        size_t n_fds = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
                        n_fds = detach(c, ret_fds, n_fds, max_fds);
        return n_fds;
}

/* One packet, into *m; the descriptors that are ours now are counted. */
static int take(int sock, struct msghdr *m, int flags, size_t *ret_size, int *ret_fds, size_t max_fds,
                size_t *ret_n_fds)
{
        ssize_t n;

        *ret_n_fds = 0;
        do
                n = recvmsg(sock, m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | flags);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        *ret_n_fds = detach_all(m, ret_fds, max_fds);
        *ret_size = (size_t)n;
        return 0;
}

static int refuse(int *fds, size_t *n_fds, int outcome)
{
        discard_all(fds, *n_fds);
        *n_fds = 0;
        return outcome;
}

int ptl_socket_receive(int sock, void *buffer, size_t room, size_t *ret_size, int *ret_fds,
                       size_t max_fds, size_t *ret_n_fds)
{
        PTL_NO_CANCEL;
        union control control;
        struct iovec part = {.iov_base = buffer, .iov_len = room};
        struct msghdr m = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof control};
        size_t unwanted;
        int r;

        if (!ret_n_fds)
                ret_n_fds = &unwanted;
        r = take(sock, &m, 0, ret_size, ret_fds, max_fds, ret_n_fds);
        if (r || !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
                return r;
        return refuse(ret_fds, ret_n_fds, m.msg_flags & MSG_TRUNC ? PTL_E_MALFORMED : PTL_E_LOST);
}

/* Room for two descriptors only: a packet of more must not fill this process's table each time. */
int ptl_socket_peek(int sock, void *buffer, size_t room, size_t *ret_size, int ret_fds[2],
                    size_t *ret_n_fds)
{
        PTL_NO_CANCEL;
        union control control;
        struct iovec part = {.iov_base = buffer, .iov_len = room};
        struct msghdr m = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = CMSG_SPACE(2 * sizeof(int))};
        int r = take(sock, &m, MSG_PEEK, ret_size, ret_fds, 2, ret_n_fds);

        if (r || !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
                return r;
        return refuse(ret_fds, ret_n_fds,
                      m.msg_flags & MSG_TRUNC || *ret_n_fds == 2 ? PTL_E_MALFORMED : PTL_E_LOST);
}

void ptl_socket_drop(int sock)
{
        char byte;
        size_t size;
        int r;

        /* Its descriptors come here to be discarded: the kernel would wait for sockets that linger. That the
         * other side has closed meanwhile is told once, instead of the packet. */
        do
                r = ptl_socket_receive(sock, &byte, sizeof byte, &size, NULL, 0, NULL);
        while (r == -ECONNRESET);
}
