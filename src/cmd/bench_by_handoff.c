/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd/bench_by_handoff.c - what the library does with an order: first use of a right to a third task's port
 *
 * A member, the giver, has a right to the peer's port and is told to send it to the driver; it sleeps again before the
 * driver looks. Timed is from then until the peer has answered what was sent through the right. The reference is
 * the same with a message that carries none, and a right that the driver has already.
 *
 * For a new link (BENCH_FRESH) the driver gives the peer a right to the port of a member that has met the driver
 * only; timed is until the peer says that it has been answered through it.
 */
#include "cmd/bench_by_port.h"
#include "cmd/bench_loop.h"
#include "cmd/bench_pair.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MEETING_MS = 10000, LEAST_TURNS = 5, MEMBER = 100000, ASLEEP_NS = 300000, NAME_SIZE = 96 };

enum note_kind { NOTE_ECHO = 1, NOTE_USE, NOTE_USE_KEPT, NOTE_KEEP, NOTE_END };

/* Of this process. */
static struct {
        ptl_port port; /* the peer's */
        ptl_port kept; /* the peer: a right that it was given before */
        ptl_port member_port, mine;
        pid_t member;
        int members; /* started ever */
        int done[2]; /* a pipe: the giver writes a byte when it has given */
} handoff;

static int open_handoff(struct bench_side *side)
{
        char name[NAME_SIZE];

        snprintf(name, sizeof name, "%s.handoff", side->control->name);
        if (bench_port_meet(side, name, &handoff.port))
                return -1;
        handoff.done[0] = handoff.done[1] = -EBADF;
        return side->is_peer ? 0 : bench_outcome(side, ptl_port_new(&handoff.mine, NULL), "ptl_port_new");
}

static void close_handoff(struct bench_side *side)
{
        bench_port_part(side, handoff.port);
        if (handoff.mine)
                ptl_port_free(handoff.mine);
}

/* ---- the driver ---- */

static int call_through(struct bench_side *side, ptl_port port, uint64_t number, uint32_t kind,
                        struct ptl_right_item *items, size_t count)
{
        struct ptl_outgoing out = {
                .data = &number, .size = sizeof number, .kind = kind, .rights = items, .n_rights = count,
        };
        struct ptl_message m;
        bool is_right;

        if (bench_outcome(side, ptl_call_message(port, &out, &m, 0, ptl_after_ms(MEETING_MS)), "ptl_call_message"))
                return -1;
        is_right = m.size == sizeof number && *(const uint64_t *)m.data == number;
        ptl_message_release(&m);
        return is_right ? 0 : bench_side_fail(side, "answer %llu is another's", (unsigned long long)number);
}

static void end_member(void)
{
        if (handoff.member_port)
                ptl_right_release(handoff.member_port);
        handoff.member_port = PTL_NULL;
        if (handoff.member > 0) {
                kill(handoff.member, SIGKILL);
                waitpid(handoff.member, NULL, 0);
        }
        handoff.member = -1;
}

/* Another one, which knows the driver and nobody else. */
static int exchange_member(struct bench_side *side)
{
        int number = MEMBER + handoff.members++;

        end_member();
        handoff.member = bench_start_again("--member", number);
        return bench_member_meet(side, number, &handoff.member_port);
}

/* The giver learns of the peer's port and of the driver's. The pipe has the same number there. */
static int begin_giver(struct bench_side *side)
{
        struct ptl_right_item items[] = {
                {handoff.port, PTL_COPY_SEND},
                {handoff.mine, PTL_MAKE_SEND},
        };

        if (pipe(handoff.done))
                return bench_side_fail(side, "no pipe");
        return exchange_member(side) || call_through(side, handoff.member_port, (uint64_t)handoff.done[1],
                                                     BENCH_MEMBER_LEARN, items, PTL_ARRAY_LEN(items))
                       ? -1
                       : 0;
}

static void end_giver(void)
{
        end_member();
        handoff.done[0] = ptl_close(handoff.done[0]);
        handoff.done[1] = ptl_close(handoff.done[1]);
}

static int take_and_use(struct bench_side *side, uint64_t number, bool is_kept, ptl_port *ret_used)
{
        struct ptl_message m;
        int r;

        if (bench_outcome(side, ptl_receive(handoff.mine, &m, ptl_after_ms(MEETING_MS)), "ptl_receive"))
                return -1;
        if (m.size != sizeof number || *(const uint64_t *)m.data != number || m.n_rights != !is_kept)
                r = bench_side_fail(side, "what the giver sent arrived damaged");
        else
                r = call_through(side, is_kept ? handoff.port : m.rights[0].port, number, NOTE_ECHO, NULL, 0);
        *ret_used = m.n_rights ? m.rights[0].port : PTL_NULL;
        ptl_message_release(&m);
        return r;
}

static int turn_given(struct bench_side *side, uint64_t number, uint64_t *ret_took)
{
        bool is_kept = side->order.flags & BENCH_WITHOUT;
        struct ptl_outgoing out = {
                .data = &number, .size = sizeof number, .kind = is_kept ? BENCH_MEMBER_SAY : BENCH_MEMBER_GIVE,
        };
        ptl_port used = PTL_NULL;
        uint64_t begin;
        char byte;
        int r;

        if (bench_outcome(side, ptl_send_message(handoff.member_port, &out, PTL_FOREVER), "ptl_send_message"))
                return -1;
        if (read(handoff.done[0], &byte, 1) != 1)
                return bench_side_fail(side, "the giver is gone");
        nanosleep(&(struct timespec){.tv_nsec = ASLEEP_NS}, NULL); /* it goes to sleep, and may need our CPU for that */
        begin = bench_tick();
        r = take_and_use(side, number, is_kept, &used);
        *ret_took = bench_tick() - begin;
        if (used)
                ptl_right_release(used);
        return r;
}

static int turn_new(struct bench_side *side, uint64_t number, uint64_t *ret_took)
{
        bool is_kept = side->order.flags & BENCH_WITHOUT;
        struct ptl_right_item item;
        uint64_t begin;
        int r;

        if (exchange_member(side))
                return -1;
        item = (struct ptl_right_item){handoff.member_port, PTL_COPY_SEND};
        if (call_through(side, handoff.port, number, is_kept ? NOTE_KEEP : NOTE_ECHO, &item, is_kept))
                return -1;
        begin = bench_tick();
        r = call_through(side, handoff.port, number, is_kept ? NOTE_USE_KEPT : NOTE_USE, &item, !is_kept);
        *ret_took = bench_tick() - begin;
        return r;
}

static int drive(struct bench_side *side)
{
        ptl_time end = ptl_now() + (ptl_time)side->order.duration_ns;
        bool is_new = side->order.flags & BENCH_FRESH;
        uint64_t elapsed = 0, number = 1, took = 0;

        if (!is_new && begin_giver(side))
                return -1;
        for (; ptl_now() < end || number <= LEAST_TURNS; number++) {
                if (is_new ? turn_new(side, number, &took) : turn_given(side, number, &took))
                        return -1;
                bench_samples_add(&side->samples, took);
                elapsed += took;
        }
        bench_side_conclude(side, 0, elapsed, number - 1, 1);
        return call_through(side, handoff.port, number, NOTE_END, NULL, 0);
}

/* ---- the peer ---- */

static void keep(ptl_port port)
{
        if (handoff.kept)
                ptl_right_release(handoff.kept);
        handoff.kept = port;
}

static int obey(struct bench_side *side, const struct ptl_message *m, uint64_t number)
{
        bool carries = m->kind == NOTE_USE || m->kind == NOTE_KEEP;

        if (m->n_rights != carries || (carries && m->rights[0].disposition != PTL_RIGHT_SEND))
                return bench_side_fail(side, "a right did not arrive");
        if (carries)
                keep(m->rights[0].port); /* and gives back the one before */
        return carries || m->kind == NOTE_USE_KEPT ? call_through(side, handoff.kept, number, 0, NULL, 0) : 0;
}

static int take_one(struct bench_side *side, uint32_t *ret_kind)
{
        struct ptl_message m;
        uint64_t number = 0;
        int r;

        if (bench_outcome(side, ptl_receive(handoff.port, &m, PTL_FOREVER), "ptl_receive"))
                return -1;
        if (m.size == sizeof number)
                number = *(const uint64_t *)m.data;
        r = obey(side, &m, number);
        if (!r)
                r = bench_outcome(side, ptl_reply(&m, &number, sizeof number), "ptl_reply");
        *ret_kind = m.kind;
        ptl_message_release(&m);
        return r;
}

static int serve(struct bench_side *side)
{
        uint32_t kind = 0;
        int r = 0;

        while (!r && kind != NOTE_END)
                r = take_one(side, &kind);
        keep(PTL_NULL);
        return r;
}

static int run_handoff(struct bench_side *side)
{
        int r;

        if (bench_set_wait(side))
                return -1;
        r = side->is_peer ? serve(side) : drive(side);
        if (!side->is_peer)
                end_giver();
        return r;
}

const struct bench_subject_calls bench_handoff_calls = {open_handoff, run_handoff, close_handoff};
