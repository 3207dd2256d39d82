/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd/bench_by_death.c - what the library does with an order: the news of a peer's death, told to who sleeps
 *
 * A member's port is looked up, and its end is asked to be told of. The driver sleeps; the peer kills the member and
 * says when. Timed is from that moment until the driver has the notification.
 */
#include "cmd/bench_by_port.h"
#include "cmd/bench_loop.h"
#include "cmd/bench_pair.h"
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

enum { MEETING_MS = 10000, LEAST_TURNS = 5, ASLEEP_NS = 2000000, MEMBER = 200000, NAME_SIZE = 96 };

/* Of this process. */
static struct {
        ptl_port port, notify;
        int members; /* started ever */
} deaths;

static int open_deaths(struct bench_side *side)
{
        char name[NAME_SIZE];

        snprintf(name, sizeof name, "%s.death", side->control->name);
        if (bench_port_meet(side, name, &deaths.port))
                return -1;
        return side->is_peer ? 0 : bench_outcome(side, ptl_port_new(&deaths.notify, NULL), "ptl_port_new");
}

static void close_deaths(struct bench_side *side)
{
        bench_port_part(side, deaths.port);
        if (deaths.notify)
                ptl_port_free(deaths.notify);
}

/* ---- the driver ---- */

static int await_news(struct bench_side *side, ptl_port port)
{
        struct ptl_message m;
        bool is_right;

        if (bench_outcome(side, ptl_receive(deaths.notify, &m, ptl_after_ms(MEETING_MS)), "ptl_receive"))
                return -1;
        is_right = m.kind == PTL_NOTIFY_DEAD_NAME && m.size == sizeof(struct ptl_notification) &&
                   ((const struct ptl_notification *)m.data)->value == port;
        ptl_message_release(&m);
        return is_right ? 0 : bench_side_fail(side, "another notification came than of that death");
}

/* Ticks between the kill, as the peer says, and the news. */
static int watch(struct bench_side *side, ptl_port port, pid_t member)
{
        uint64_t victim = (uint64_t)member, now, killed = 0;
        size_t size = sizeof killed;

        if (bench_outcome(side, ptl_right_notify_dead(port, deaths.notify), "ptl_right_notify_dead") ||
            bench_outcome(side, ptl_send(deaths.port, &victim, sizeof victim, PTL_FOREVER), "ptl_send") ||
            await_news(side, port))
                return -1;
        now = bench_tick();
        if (bench_outcome(side, ptl_call(deaths.port, &victim, sizeof victim, &killed, &size, ptl_after_ms(MEETING_MS)),
                          "ptl_call"))
                return -1;
        bench_samples_add(&side->samples, now > killed ? now - killed : 0);
        side->result.elapsed_ns += now > killed ? now - killed : 0;
        return 0;
}

static int turn(struct bench_side *side)
{
        int number = MEMBER + deaths.members++, r;
        pid_t member = bench_start_again("--member", number);
        ptl_port port = PTL_NULL;

        r = bench_member_meet(side, number, &port);
        if (!r)
                r = watch(side, port, member);
        if (member > 0) {
                kill(member, SIGKILL);
                waitpid(member, NULL, 0);
        }
        if (port) { /* dead: its own reference, and the notification's */
                ptl_right_release(port);
                ptl_right_release(port);
        }
        return r;
}

static int drive(struct bench_side *side)
{
        ptl_time end = ptl_now() + (ptl_time)side->order.duration_ns;
        const uint64_t none = 0;
        uint64_t turns = 0;

        for (; ptl_now() < end || turns < LEAST_TURNS; turns++)
                if (turn(side))
                        return -1;
        bench_side_conclude(side, 0, side->result.elapsed_ns, turns, 1);
        return bench_outcome(side, ptl_send(deaths.port, &none, sizeof none, PTL_FOREVER), "ptl_send");
}

/* ---- the peer ---- */

/* Told whom: waits until the driver is asleep, for as long as it may take to be. */
static uint64_t kill_it(pid_t victim)
{
        uint64_t when;

        nanosleep(&(struct timespec){.tv_nsec = ASLEEP_NS}, NULL);
        when = bench_tick();
        kill(victim, SIGKILL);
        return when;
}

static int serve(struct bench_side *side)
{
        uint64_t victim = 1, when = 0;

        while (victim) {
                struct ptl_message m;

                if (bench_outcome(side, ptl_receive(deaths.port, &m, PTL_FOREVER), "ptl_receive"))
                        return -1;
                victim = m.size == sizeof victim ? *(const uint64_t *)m.data : 0;
                if (m.reply && ptl_reply(&m, &when, sizeof when))
                        victim = 0;
                else if (!m.reply && victim)
                        when = kill_it((pid_t)victim);
                ptl_message_release(&m);
        }
        return 0;
}

static int run_deaths(struct bench_side *side)
{
        if (bench_set_wait(side))
                return -1;
        return side->is_peer ? serve(side) : drive(side);
}

const struct bench_subject_calls bench_death_calls = {open_deaths, run_deaths, close_deaths};
