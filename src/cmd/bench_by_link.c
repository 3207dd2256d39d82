/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench_by_link.c - what the library does with an order: two tasks meet; what their link costs */
#define _GNU_SOURCE
#include "cmd/bench_by_port.h"
#include "cmd/bench_loop.h"
#include "cmd/bench_pair.h"
#include "cmd/cmd.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MEMBERS_MAX = 64, MEETING_MS = 10000, NAME_SIZE = 96 };

/* Of this process. */
static struct {
        unsigned renewals; /* both sides count: the name of the peer's port ends in it */
        ptl_port port;
} links;

static int link_open(struct bench_side *side) { return 0; } /* BENCH_RENEW does */

static void link_close(struct bench_side *side)
{
        if (links.port)
                bench_port_part(side, links.port);
}

static void name_now(const struct bench_side *side, char ret_name[NAME_SIZE])
{
        snprintf(ret_name, NAME_SIZE, "%s.%u", side->control->name, links.renewals);
}

/* The peer dies as a task, registers as a new one, and publishes a port. */
static int renew(struct bench_side *side)
{
        char name[NAME_SIZE];

        links.renewals++;
        if (!side->is_peer) {
                if (links.port)
                        ptl_right_release(links.port);
                links.port = PTL_NULL;
                return 0;
        }
        if (bench_outcome(side, ptl_task_leave(), "ptl_task_leave"))
                return -1;
        name_now(side, name);
        return bench_port_meet(side, name, &links.port);
}

static int answer_one(struct bench_side *side)
{
        struct ptl_message m;
        int r;

        if (bench_outcome(side, ptl_receive(links.port, &m, PTL_FOREVER), "ptl_receive"))
                return -1;
        r = bench_outcome(side, ptl_reply(&m, m.data, m.size), "ptl_reply");
        ptl_message_release(&m);
        return r;
}

static int ask_one(struct bench_side *side, ptl_port port)
{
        uint64_t number = 1, answer = 0;
        size_t size = sizeof answer;

        if (bench_outcome(side, ptl_call(port, &number, sizeof number, &answer, &size, PTL_FOREVER),
                          "ptl_call"))
                return -1;
        return answer == number ? 0 : bench_side_fail(side, "the first answer is not the request");
}

/* From knowing nothing but a name to the first answer. */
static int meet(struct bench_side *side)
{
        ptl_time begin = ptl_now();
        char name[NAME_SIZE];

        if (side->is_peer)
                return answer_one(side);
        name_now(side, name);
        if (bench_port_meet(side, name, &links.port))
                return -1;
        side->result.look_up_ns = (uint64_t)(ptl_now() - begin);
        if (ask_one(side, links.port))
                return -1;
        side->result.elapsed_ns = (uint64_t)(ptl_now() - begin);
        side->result.messages = 1;
        return 0;
}

static int link_run(struct bench_side *side)
{
        if (bench_set_wait(side))
                return -1;
        return side->order.shape == BENCH_RENEW ? renew(side) : meet(side);
}

const struct bench_subject_calls bench_link_calls = {link_open, link_run, link_close};

/* ---- memory ---- */

static void member_name(char ret_name[NAME_SIZE], pid_t driver, int number)
{
        snprintf(ret_name, NAME_SIZE, "bench.%d.member.%d", (int)driver, number);
}

/* What a member was taught: what to give, whom, and where to say that it has. */
static struct {
        struct ptl_right_item gift;
        ptl_port grantee;
        int done;
} taught;

static int member_learn(const struct ptl_message *m)
{
        if (m->n_rights != 2 || m->size != sizeof(uint64_t))
                return -1;
        taught.gift = (struct ptl_right_item){m->rights[0].port, PTL_COPY_SEND};
        taught.grantee = m->rights[1].port;
        taught.done = (int)*(const uint64_t *)m->data;
        return 0;
}

static int member_obey(const struct ptl_message *m)
{
        struct ptl_outgoing out = {
                .data = m->data, .size = m->size, .rights = &taught.gift, .n_rights = m->kind == BENCH_MEMBER_GIVE,
        };

        if (m->kind == BENCH_MEMBER_LEARN)
                return member_learn(m);
        if (m->kind != BENCH_MEMBER_GIVE && m->kind != BENCH_MEMBER_SAY)
                return 0;
        return ptl_send_message(taught.grantee, &out, ptl_after_ms(MEETING_MS)) || write(taught.done, "", 1) != 1 ? -1 : 0;
}

int bench_member_main(int number)
{
        struct ptl_message m;
        char name[NAME_SIZE];
        ptl_port port;

        member_name(name, getppid(), number);
        if (ptl_port_new(&port, NULL) || ptl_name_publish(name, port))
                return CMD_FAILED;
        while (ptl_receive(port, &m, PTL_FOREVER) == 0) {
                int r = member_obey(&m);

                if (!r && m.reply)
                        r = ptl_reply(&m, m.data, m.size);
                ptl_message_release(&m);
                if (r)
                        return CMD_FAILED;
        }
        return CMD_OK;
}

/* Shared memory of the whole machine: the kernel counts memfds there, and only what has pages. */
static uint64_t shared_bytes(void)
{
        FILE *f = fopen("/proc/meminfo", "re");
        unsigned long long kib = 0;
        char line[128];

        while (f && fgets(line, sizeof line, f))
                if (sscanf(line, "Shmem: %llu kB", &kib) == 1)
                        break;
        if (f)
                fclose(f);
        return kib * 1024;
}

int bench_member_meet(struct bench_side *side, int number, ptl_port *ret_port)
{
        char name[NAME_SIZE];

        member_name(name, getpid(), number);
        if (bench_outcome(side, ptl_name_look_up(name, ret_port, ptl_after_ms(MEETING_MS)), "ptl_name_look_up"))
                return -1;
        return ask_one(side, *ret_port);
}

static int meet_members(struct bench_side *side, ptl_port *ports, unsigned count)
{
        for (unsigned i = 0; i < count; i++)
                if (bench_member_meet(side, (int)i, &ports[i]))
                        return -1;
        return 0;
}

static void end_members(const pid_t *pids, unsigned count)
{
        for (unsigned i = 0; i < count; i++)
                if (pids[i] > 0) {
                        kill(pids[i], SIGKILL);
                        waitpid(pids[i], NULL, 0);
                }
}

int bench_link_memory(struct bench_side *side, unsigned count, double *ret_bytes)
{
        ptl_port ports[MEMBERS_MAX] = {0};
        pid_t pids[MEMBERS_MAX] = {0};
        uint64_t before = shared_bytes(), after;
        int r;

        count = count < MEMBERS_MAX ? count : MEMBERS_MAX;
        for (unsigned i = 0; i < count; i++)
                pids[i] = bench_start_again("--member", (int)i);
        r = meet_members(side, ports, count);
        after = shared_bytes();
        *ret_bytes = after > before ? (double)(after - before) / count : 0;
        for (unsigned i = 0; i < count; i++)
                if (ports[i])
                        ptl_right_release(ports[i]);
        end_members(pids, count);
        return r;
}
