/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench_peer.c - carrying out orders; and the process that does nothing else */
#include "cmd/bench_pair.h"
#include "cmd/bench_place.h"
#include "cmd/cmd.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { NAP_NS = 50000, PATIENCE_S = 20 };

static const struct bench_subject_calls *const subjects[BENCH_SUBJECTS] = {
        [BENCH_RING] = &bench_ring_calls,     [BENCH_PORT] = &bench_port_calls,
        [BENCH_PIPE] = &bench_pipe_calls,     [BENCH_SOCKET] = &bench_socket_calls,
        [BENCH_QUEUE] = &bench_queue_calls,   [BENCH_REGION] = &bench_region_calls,
        [BENCH_LINK] = &bench_link_calls,     [BENCH_RIGHT] = &bench_right_calls,
        [BENCH_HANDOFF] = &bench_handoff_calls, [BENCH_DEATH] = &bench_death_calls,
        [BENCH_HELD] = &bench_held_calls,
};

int bench_side_prepare(struct bench_side *side)
{
        enum bench_subject subject;

        side->order = side->control->order;
        side->result = (struct bench_result){0};
        side->why[0] = '\0';
        if (side->order.shape == BENCH_PROBE || side->order.shape == BENCH_QUIT)
                return 0;
        subject = (enum bench_subject)side->order.subject;
        bench_side_fill(side);
        if (!side->is_open[subject] && subjects[subject]->open(side))
                return -1;
        side->is_open[subject] = true;
        return 0;
}

/* A lost wake-up must not hang the command: this process ends, and the other one with it. */
static void give_up(int signal_number)
{
        static const char text[] = "portolan bench: a message did not arrive in time\n";

        if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
                _exit(CMD_TIMEOUT);
        _exit(CMD_FAILED);
}

int bench_side_run(struct bench_side *side)
{
        uint64_t before = bench_cpu_ns();
        int r;

        signal(SIGALRM, give_up);
        alarm(PATIENCE_S + (unsigned)(side->order.duration_ns / 1000000000));
        r = side->order.shape == BENCH_PROBE ? bench_probe(side)
                                             : subjects[side->order.subject]->run(side);
        alarm(0);
        side->result.cpu_ns = bench_cpu_ns() - before;
        return r;
}

void bench_side_close(struct bench_side *side)
{
        for (int i = 0; i < BENCH_SUBJECTS; i++) {
                if (side->is_open[i])
                        subjects[i]->close(side);
                side->is_open[i] = false;
        }
}

/* ---- the peer ---- */

static void await_order(const struct bench_control *control, uint32_t number)
{
        while (ptl_load_acquire(&control->ordered) != number) /* E1 */
                nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
}

static int carry_out(struct bench_side *side, uint32_t number)
{
        struct bench_control *control = side->control;

        if (bench_pin(control->order.peer_cpu))
                return bench_side_fail(side, "cannot use CPU %d", (int)control->order.peer_cpu);
        if (bench_side_prepare(side))
                return -1;
        ptl_store_release(&control->begun, number); /* E2 */
        if (side->order.shape == BENCH_QUIT)
                return 0;
        if (bench_side_run(side))
                return -1;
        control->result = side->result;
        ptl_store_release(&control->done, number); /* E3 */
        return 0;
}

static int serve(struct bench_side *side)
{
        uint32_t number = 0;

        do {
                await_order(side->control, ++number);
                if (carry_out(side, number)) {
                        memcpy(side->control->why, side->why, sizeof side->why);
                        ptl_store_release(&side->control->failed, 1); /* E4 */
                        return CMD_FAILED;
                }
        } while (side->order.shape != BENCH_QUIT);
        return CMD_OK;
}

int bench_peer_main(int control_fd)
{
        struct bench_control *control;
        struct bench_side side;
        int status = CMD_FAILED;

        control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, control_fd, 0);
        if (control == MAP_FAILED)
                return CMD_USAGE;
        if (bench_side_init(&side, control, true)) {
                side.ns_per_tick = control->ns_per_tick;
                status = serve(&side);
                bench_side_close(&side);
        }
        bench_side_fini(&side);
        munmap(control, sizeof *control);
        return status;
}
