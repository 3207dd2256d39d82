/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench_pair.c - starting the two processes, and the driver's side of an order */
#define _GNU_SOURCE
#include "cmd/bench_pair.h"
#include "cmd/bench_place.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum {
        RING_BYTES = 2 * (BENCH_RING_SMALL + BENCH_RING_LARGE),
        NAP_NS = 50000,
        NICE = -15,
        HANG_NS_PER_NS = 50, /* an order may take so many times what it should ... */
        HANG_NS = 2000000000, /* ... and this */
};

/* ---- starting ---- */

static int memory_new(const char *name, size_t size)
{
        int fd = memfd_create(name, 0); /* not MFD_CLOEXEC: the peer inherits it */

        if (fd < 0)
                return -errno;
        if (!ftruncate(fd, (off_t)size))
                return fd;
        close(fd);
        return -ENOMEM;
}

static void become(const char *word, int number, pid_t parent)
{
        char digits[16];
        char *argv[] = {(char[]){"portolan"}, (char[]){"bench"}, (char *)(uintptr_t)word, digits, NULL};

        snprintf(digits, sizeof digits, "%d", number);
        prctl(PR_SET_PDEATHSIG, (long)SIGKILL);
        if (getppid() == parent) /* who died before that tells nobody */
                execv("/proc/self/exe", argv);
        _exit(127);
}

pid_t bench_start_again(const char *word, int number)
{
        pid_t parent = getpid(), pid = fork();

        if (pid == 0)
                become(word, number, parent);
        return pid;
}

static int map_control(struct bench_pair *pair)
{
        struct bench_control *control;

        pair->control_fd = memory_new("bench-control", sizeof *control);
        pair->ring_fd = memory_new("bench-ring", RING_BYTES);
        if (pair->control_fd < 0 || pair->ring_fd < 0)
                return -1;
        control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, pair->control_fd, 0);
        if (control == MAP_FAILED || !bench_side_init(&pair->side, control, false))
                return -1;
        control->ring_fd = pair->ring_fd;
        control->ns_per_tick = pair->side.ns_per_tick = bench_clock_calibrate();
        snprintf(control->name, sizeof control->name, "bench.%d", (int)getpid());
        bench_kernel_open(control->kernel_fds);
        return 0;
}

int bench_pair_start(struct bench_pair *pair, const int cpus[2])
{
        *pair = (struct bench_pair){.control_fd = -1, .ring_fd = -1, .peer = -1,
                                    .driver_cpu = cpus[0], .peer_cpu = cpus[1]};
        setpriority(PRIO_PROCESS, 0, NICE); /* both sides alike; who may not goes on without */
        if (map_control(pair) || (pair->peer = bench_start_again("--peer", pair->control_fd)) < 0) {
                fprintf(stderr, "portolan bench: cannot start a second process: %s\n", strerror(errno));
                return -1;
        }
        return 0;
}

static void end_peer(struct bench_pair *pair)
{
        if (pair->peer <= 0)
                return;
        kill(pair->peer, SIGKILL); /* if it has not quit: all it has is memory */
        waitpid(pair->peer, NULL, 0);
        pair->peer = -1;
}

void bench_pair_stop(struct bench_pair *pair)
{
        struct bench_control *control = pair->side.control;

        end_peer(pair);
        bench_side_close(&pair->side);
        bench_side_fini(&pair->side);
        if (control) {
                bench_kernel_close(control->kernel_fds);
                munmap(control, sizeof *control);
        }
        ptl_close(pair->control_fd);
        ptl_close(pair->ring_fd);
}

/* ---- an order ---- */

/* Whether the peer failed or is gone; then @side.why says how. */
static bool is_lost(struct bench_pair *pair)
{
        struct bench_control *control = pair->side.control;
        int status;

        if (ptl_load_acquire(&control->failed)) { /* E4 */
                bench_side_fail(&pair->side, "%.*s", BENCH_WHY_SIZE - 1, control->why);
                return true;
        }
        if (pair->peer > 0 && waitpid(pair->peer, &status, WNOHANG) == pair->peer) {
                pair->peer = -1;
                bench_side_fail(&pair->side, "the second process ended with %s %d",
                                WIFSIGNALED(status) ? "signal" : "status",
                                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
                return true;
        }
        return false;
}

/* Return: 0 once @word is @value, -1 if the peer is lost or hangs. */
static int wait_for(struct bench_pair *pair, const _Atomic uint32_t *word, uint32_t value)
{
        ptl_time end = ptl_now() + HANG_NS + HANG_NS_PER_NS * (ptl_time)pair->side.order.duration_ns;

        while (ptl_load_acquire(word) != value) { /* E2, E3: as the caller asks for */
                if (is_lost(pair))
                        return -1;
                if (ptl_now() > end)
                        return bench_side_fail(&pair->side, "the second process does not answer");
                nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
        }
        return 0;
}

static void give_order(struct bench_pair *pair, const struct bench_order *order)
{
        pair->side.control->order = *order;
        ptl_store_release(&pair->side.control->ordered, ++pair->orders); /* E1 */
}

/* Where both can tell, percentiles and rates are the driver's for calls and the peer's for sends. */
static void merge(const struct bench_pair *pair, struct bench_result *ret)
{
        const struct bench_result *mine = &pair->side.result, *its = &pair->side.control->result;

        *ret = mine->messages || !its->messages ? *mine : *its;
        ret->cpu_ns = mine->cpu_ns + its->cpu_ns;
}

static int carry_out(struct bench_pair *pair)
{
        if (bench_pin(pair->driver_cpu))
                return bench_side_fail(&pair->side, "cannot use CPU %d", pair->driver_cpu);
        if (bench_side_prepare(&pair->side) ||
            wait_for(pair, &pair->side.control->begun, pair->orders)) /* E2 */
                return -1;
        if (bench_side_run(&pair->side))
                return -1;
        return wait_for(pair, &pair->side.control->done, pair->orders); /* E3 */
}

/* The peer's reason, if it has one, is the cause of ours. */
static void find_cause(struct bench_pair *pair)
{
        char mine[BENCH_WHY_SIZE];

        memcpy(mine, pair->side.why, sizeof mine);
        pair->side.why[0] = '\0';
        ptl_store_release(&pair->side.control->failed, 1); /* E4, for a peer that polls */
        nanosleep(&(struct timespec){.tv_nsec = 1000 * NAP_NS}, NULL);
        if (!pair->side.control->why[0] || !is_lost(pair))
                memcpy(pair->side.why, mine, sizeof mine);
}

int bench_pair_run(struct bench_pair *pair, const struct bench_order *order,
                   struct bench_result *ret)
{
        give_order(pair, order);
        if (carry_out(pair)) {
                find_cause(pair);
                return -1;
        }
        merge(pair, ret);
        return 0;
}
