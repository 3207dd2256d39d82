/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench_by_kernel.c - what the kernel's ways do with an order: pipe, AF_UNIX stream, message queue */
#define _GNU_SOURCE
#include "cmd/bench_loop.h"
#include "cmd/bench_pair.h"
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Their places in bench_control.kernel_fds; each is followed by the one for the way back. */
enum { PIPE_READ = 0, PIPE_WRITE = 2, SOCKET_DRIVER = 4, SOCKET_PEER = 5, QUEUE = 6 };
enum { QUEUE_LENGTH = 10, QUEUE_MESSAGE = 8192 }; /* what the kernel allows everybody */

static void stay_open_in_peer(int fd) { fcntl(fd, F_SETFD, 0L); }

static int queue_open(int direction)
{
        struct mq_attr attributes = {.mq_maxmsg = QUEUE_LENGTH, .mq_msgsize = QUEUE_MESSAGE};
        char name[64];
        mqd_t queue;

        snprintf(name, sizeof name, "/portolan-bench-%d-%d", (int)getpid(), direction);
        queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
        if (queue == (mqd_t)-1)
                return -1;
        mq_unlink(name);
        stay_open_in_peer((int)queue); /* a descriptor, on Linux */
        return (int)queue;
}

void bench_kernel_open(int32_t fds[BENCH_KERNEL_FDS])
{
        for (int i = 0; i < BENCH_KERNEL_FDS; i++)
                fds[i] = -1;
        for (int direction = 0; direction < 2; direction++) {
                int ends[2];

                if (!pipe(ends)) {
                        fds[PIPE_READ + direction] = ends[0];
                        fds[PIPE_WRITE + direction] = ends[1];
                }
                fds[QUEUE + direction] = queue_open(direction);
        }
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, &fds[SOCKET_DRIVER]))
                fds[SOCKET_DRIVER] = fds[SOCKET_PEER] = -1;
}

void bench_kernel_close(int32_t fds[BENCH_KERNEL_FDS])
{
        for (int i = 0; i < BENCH_KERNEL_FDS; i++)
                fds[i] = ptl_close(fds[i]);
}

/* Of this process: where the order's messages go and come from. */
static int to, from;

static int choose(struct bench_side *side, int put, int take)
{
        to = put;
        from = take;
        return to >= 0 && from >= 0 ? 0 : bench_side_fail(side, "the kernel has none");
}

/* ---- streams ---- */

static int stream_put(struct bench_side *side, const void *data, size_t size)
{
        const char *next = data;

        while (size) {
                ssize_t n = write(to, next, size);

                if (n < 0 && errno != EINTR)
                        return bench_side_fail(side, "write: %s", strerror(errno));
                next += n > 0 ? n : 0;
                size -= n > 0 ? (size_t)n : 0;
        }
        return 0;
}

static const void *stream_take(struct bench_side *side, size_t *ret_size)
{
        char *room = (char *)side->room;
        size_t have = 0;

        while (have < side->order.size) {
                ssize_t n = read(from, room + have, side->order.size - have);

                if (n == 0 || (n < 0 && errno != EINTR)) {
                        bench_side_fail(side, "read: %s", n ? strerror(errno) : "end of file");
                        return NULL;
                }
                have += n > 0 ? (size_t)n : 0;
        }
        *ret_size = have;
        return room;
}

static const void *stream_ask(struct bench_side *side, const void *data, size_t size,
                              size_t *ret_size)
{
        return stream_put(side, data, size) ? NULL : stream_take(side, ret_size);
}

static void nothing(struct bench_side *side) {}

static int stream_run(struct bench_side *side)
{
        static const struct bench_ways ways = {
                .ask = stream_ask, .asked = nothing, .take = stream_take, .answer = stream_put,
                .drop = nothing, .put = stream_put,
        };

        return bench_loop(side, &ways);
}

static int pipe_run(struct bench_side *side)
{
        const int32_t *fds = side->control->kernel_fds;
        int mine = side->is_peer, its = !side->is_peer;

        return choose(side, fds[PIPE_WRITE + mine], fds[PIPE_READ + its]) ? -1 : stream_run(side);
}

static int socket_run(struct bench_side *side)
{
        int fd = side->control->kernel_fds[side->is_peer ? SOCKET_PEER : SOCKET_DRIVER];

        return choose(side, fd, fd) ? -1 : stream_run(side);
}

/* ---- message queues ---- */

static int queue_put(struct bench_side *side, const void *data, size_t size)
{
        while (mq_send((mqd_t)to, data, size, 0))
                if (errno != EINTR)
                        return bench_side_fail(side, "mq_send: %s", strerror(errno));
        return 0;
}

static const void *queue_take(struct bench_side *side, size_t *ret_size)
{
        ssize_t n;

        while ((n = mq_receive((mqd_t)from, (char *)side->room, BENCH_SIZE_MAX, NULL)) < 0)
                if (errno != EINTR) {
                        bench_side_fail(side, "mq_receive: %s", strerror(errno));
                        return NULL;
                }
        *ret_size = (size_t)n;
        return side->room;
}

static const void *queue_ask(struct bench_side *side, const void *data, size_t size,
                             size_t *ret_size)
{
        return queue_put(side, data, size) ? NULL : queue_take(side, ret_size);
}

static int queue_run(struct bench_side *side)
{
        static const struct bench_ways ways = {
                .ask = queue_ask, .asked = nothing, .take = queue_take, .answer = queue_put,
                .drop = nothing, .put = queue_put,
        };
        const int32_t *fds = side->control->kernel_fds;

        return choose(side, fds[QUEUE + side->is_peer], fds[QUEUE + !side->is_peer])
                       ? -1
                       : bench_loop(side, &ways);
}

static int kernel_open(struct bench_side *side) { return 0; } /* bench_kernel_open() did */

const struct bench_subject_calls bench_pipe_calls = {kernel_open, pipe_run, nothing};
const struct bench_subject_calls bench_socket_calls = {kernel_open, socket_run, nothing};
const struct bench_subject_calls bench_queue_calls = {kernel_open, queue_run, nothing};
