/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd/tour_spin.c - round trips through the kernel's ways by two processes that never sleep
 *
 * What a pipe costs whose ends are polled: the part of a sleeping pipe's time that is not waking.
 * `portolan bench` measures the kernel's ways as they are used; this is for a fair first column.
 */
#include "cmd/tour_spin.h"
#include "base/cleanup.h"
#include "cmd/bench_clock.h"
#include "cmd/bench_place.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <mqueue.h>
#include <portolan/portolan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { SIZE = 64, TRIPS_MAX = 1 << 20, IN = 3, OUT = 4, SPIN_MS = 10000 };

/* ---- in the two roles: descriptors 3 and 4 are theirs ---- */

static bool goes_on(ssize_t n, ptl_time end)
{
        role_check(n > 0 || errno == EAGAIN || errno == EINTR, "%s",
                   n ? strerror(errno) : "the other end is closed");
        return n <= 0 && ptl_now() < end;
}

static void put(enum spin_way way, const void *data, ptl_time end)
{
        ssize_t n;

        do
                n = way == SPIN_QUEUE ? mq_send(OUT, data, SIZE, 0) ? -1 : SIZE
                                      : write(OUT, data, SIZE);
        while (goes_on(n, end));
}

static bool take(enum spin_way way, void *data, ptl_time end)
{
        ssize_t n;

        do
                n = way == SPIN_QUEUE ? mq_receive(IN, data, SIZE, NULL) : read(IN, data, SIZE);
        while (goes_on(n, end));
        role_check(n <= 0 || n == SIZE, "%zd bytes came together", n);
        return n == SIZE;
}

static void settle(char **argv) { role_must(bench_pin(atoi(argv[1])), "use that CPU"); }

/* Echoes until the other stops. */
int role_figure_far(int argc, char **argv)
{
        enum spin_way way = (enum spin_way)atoi(argv[0]);
        ptl_time end = ptl_after_ms(SPIN_MS);
        uint64_t words[SIZE / 8];

        settle(argv);
        while (take(way, words, end) && words[0]) {
                words[0] = ~words[0];
                put(way, words, end);
        }
        return 0;
}

int role_figure_near(int argc, char **argv)
{
        enum spin_way way = (enum spin_way)atoi(argv[0]);
        ptl_time stop = ptl_after_ms(atoi(argv[2])), end = ptl_after_ms(SPIN_MS), then;
        double *took = calloc(TRIPS_MAX, sizeof *took);
        uint64_t words[SIZE / 8] = {0};
        size_t n = 0;

        role_check(took, "no memory");
        settle(argv);
        for (then = ptl_now(); n < TRIPS_MAX && then < stop; n++) {
                ptl_time now;

                words[0] = n + 1;
                put(way, words, end);
                role_check(take(way, words, end) && words[0] == ~(uint64_t)(n + 1),
                           "a wrong answer");
                now = ptl_now();
                took[n] = (double)(now - then);
                then = now;
        }
        words[0] = 0;
        put(way, words, end);
        role_check(n, "no time");
        role_report("p50", "%.1f", bench_median(took, n));
        free(took);
        return 0;
}

/* ---- in the tour ---- */

/* Its name is gone again before anybody could care. */
static int queue_open(void)
{
        struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = SIZE};
        char name[40];
        mqd_t queue;

        snprintf(name, sizeof name, "/portolan-tour-%d", (int)getpid());
        queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK, 0600, &attributes);
        if (queue != (mqd_t)-1)
                mq_unlink(name);
        return (int)queue;
}

/* ends[0], [1]: in and out of the one; [2], [3]: of the other. */
static bool make_ends(enum spin_way way, int ends[4])
{
        int pair[2];

        switch (way) {
        case SPIN_PIPE:
                if (pipe2(pair, O_NONBLOCK | O_CLOEXEC))
                        return false;
                ends[0] = pair[0], ends[3] = pair[1];
                if (pipe2(pair, O_NONBLOCK | O_CLOEXEC))
                        return false;
                ends[2] = pair[0], ends[1] = pair[1];
                return true;
        case SPIN_SOCKET:
                if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair))
                        return false;
                ends[0] = pair[0], ends[2] = pair[1];
                ends[1] = fcntl(pair[0], F_DUPFD_CLOEXEC, 0);
                ends[3] = fcntl(pair[1], F_DUPFD_CLOEXEC, 0);
                return ends[1] >= 0 && ends[3] >= 0;
        case SPIN_QUEUE:
                ends[0] = queue_open(), ends[1] = queue_open();
                ends[2] = fcntl(ends[1], F_DUPFD_CLOEXEC, 0);
                ends[3] = fcntl(ends[0], F_DUPFD_CLOEXEC, 0);
                return ends[2] >= 0 && ends[3] >= 0;
        default:
                return false;
        }
}

static struct actor *start(struct tour *t, const char *role, enum spin_way way, int cpu, int ms,
                           const int ends[2])
{
        char text[3][16];

        snprintf(text[0], sizeof text[0], "%d", (int)way);
        snprintf(text[1], sizeof text[1], "%d", cpu);
        snprintf(text[2], sizeof text[2], "%d", ms);
        return actor_start(&t->cast, (const char *const[]){role, text[0], text[1], text[2], NULL},
                           (const int[]){ends[0], ends[1], -1});
}

double spin_measure(struct tour *t, enum spin_way way, const int cpus[2], int ms)
{
        int ends[4] = {-EBADF, -EBADF, -EBADF, -EBADF};
        double p50 = NAN;

        if (cpus[0] != cpus[1] && make_ends(way, ends)) {
                struct actor *far = start(t, "figure-far", way, cpus[1], ms, ends + 2);
                struct actor *near = start(t, "figure-near", way, cpus[0], ms, ends);

                if (actor_end(&t->cast, near, SPIN_MS))
                        p50 = actor_number(near, "p50");
                actor_free(near);
                actor_kill(far);
                actor_end(&t->cast, far, SPIN_MS);
                actor_free(far);
        }
        for (size_t i = 0; i < PTL_ARRAY_LEN(ends); i++)
                ptl_close(ends[i]);
        return p50;
}
