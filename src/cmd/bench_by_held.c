/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd/bench_by_held.c - what the library does with an order: many rights held on one link, and their memory
 *
 * The driver makes as many ports and gives the peer a send right to each. Measured are the pages that each process
 * has more afterwards, its outbox's included; of the driver behind the making of the ports. That tells once: what
 * the tables have taken they use again for the next order.
 */
#include "cmd/bench_by_port.h"
#include "cmd/bench_loop.h"
#include "cmd/bench_pair.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RIGHTS = 1000000, RIGHTS_IN_A_HURRY = 100000, HURRY_NS = 50000000, AT_ONCE = PTL_MESSAGE_RIGHTS_MAX };
enum note_kind { NOTE_KEEP = 1, NOTE_MEASURE, NOTE_END };

/* Of this process. */
static struct {
        ptl_port port;
        ptl_port *names;
        size_t count;
        double owner_bytes, holder_bytes; /* found by the first order; 0: none was yet */
} held;

static int open_held(struct bench_side *side)
{
        char name[96];

        snprintf(name, sizeof name, "%s.held", side->control->name);
        held.names = calloc(RIGHTS, sizeof *held.names);
        if (!held.names)
                return bench_side_fail(side, "no memory for names");
        memset(held.names, 0xff, RIGHTS * sizeof *held.names); /* in memory before anything is measured */
        return bench_port_meet(side, name, &held.port);
}

static void close_held(struct bench_side *side)
{
        bench_port_part(side, held.port);
        free(held.names);
}

static double bytes_held(void)
{
        FILE *f = fopen("/proc/self/smaps_rollup", "re");
        unsigned long long kib, sum = 0;
        char line[256];

        while (f && fgets(line, sizeof line, f))
                if (sscanf(line, "Private_Clean: %llu", &kib) == 1 || sscanf(line, "Private_Dirty: %llu", &kib) == 1 ||
                    sscanf(line, "Shared_Dirty: %llu", &kib) == 1)
                        sum += kib;
        if (f)
                fclose(f);
        return (double)sum * 1024;
}

/* ---- the driver ---- */

static int tell(struct bench_side *side, enum note_kind kind, struct ptl_right_item *items, size_t count, double *ret)
{
        struct ptl_outgoing out = {.kind = kind, .rights = items, .n_rights = count};
        struct ptl_message m;
        int r = 0;

        if (bench_outcome(side, ptl_call_message(held.port, &out, &m, 0, PTL_FOREVER), "ptl_call_message"))
                return -1;
        if (m.size == sizeof *ret)
                memcpy(ret, m.data, sizeof *ret);
        else
                r = bench_side_fail(side, "an answer of %zu bytes", m.size);
        ptl_message_release(&m);
        return r;
}

static int make_ports(struct bench_side *side, size_t count)
{
        for (held.count = 0; held.count < count; held.count++)
                if (bench_outcome(side, ptl_port_new(&held.names[held.count], NULL), "ptl_port_new"))
                        return -1;
        return 0;
}

static int give(struct bench_side *side)
{
        struct ptl_right_item items[AT_ONCE];
        double got = 0;

        for (size_t i = 0; i < held.count;) {
                size_t n = 0;

                for (; n < AT_ONCE && i < held.count; i++)
                        items[n++] = (struct ptl_right_item){held.names[i], PTL_MAKE_SEND};
                if (tell(side, NOTE_KEEP, items, n, &got))
                        return -1;
        }
        return got == (double)held.count ? 0 : bench_side_fail(side, "%.0f of %zu rights arrived", got, held.count);
}

static void free_ports(void)
{
        while (held.count)
                ptl_port_free(held.names[--held.count]);
}

static int drive(struct bench_side *side)
{
        size_t count = side->order.duration_ns < HURRY_NS ? RIGHTS_IN_A_HURRY : RIGHTS;
        double ours, theirs, after = 0, unused;
        uint64_t begin, end;
        int r;

        if (make_ports(side, count) || tell(side, NOTE_MEASURE, NULL, 0, &theirs))
                return -1;
        ours = bytes_held();
        begin = bench_tick();
        r = give(side);
        end = bench_tick();
        if (!r)
                r = tell(side, NOTE_MEASURE, NULL, 0, &after);
        if (held.owner_bytes == 0) {
                held.owner_bytes = (bytes_held() - ours) / (double)count;
                held.holder_bytes = (after - theirs) / (double)count;
        }
        side->result.owner_bytes = held.owner_bytes;
        side->result.holder_bytes = held.holder_bytes;
        bench_samples_add(&side->samples, (end - begin) / (count / AT_ONCE));
        bench_side_conclude(side, begin, end, count, AT_ONCE);
        if (!r)
                r = tell(side, NOTE_END, NULL, 0, &unused);
        free_ports();
        return r;
}

/* ---- the peer ---- */

/* All of them are rights, and no two have one name. */
static int keep(struct bench_side *side, const struct ptl_message *m)
{
        for (uint32_t i = 0; i < m->n_rights && held.count < RIGHTS; i++) {
                if (m->rights[i].disposition != PTL_RIGHT_SEND || (held.count && m->rights[i].port == held.names[held.count - 1]))
                        return bench_side_fail(side, "right %zu did not arrive", held.count);
                held.names[held.count++] = m->rights[i].port;
        }
        return 0;
}

static int take_one(struct bench_side *side, uint32_t *ret_kind)
{
        struct ptl_message m;
        double value;
        int r;

        if (bench_outcome(side, ptl_receive(held.port, &m, PTL_FOREVER), "ptl_receive"))
                return -1;
        *ret_kind = m.kind;
        r = keep(side, &m);
        value = m.kind == NOTE_MEASURE ? bytes_held() : (double)held.count;
        while (m.kind == NOTE_END && held.count)
                ptl_right_release(held.names[--held.count]);
        if (!r)
                r = bench_outcome(side, ptl_reply(&m, &value, sizeof value), "ptl_reply");
        ptl_message_release(&m);
        return r;
}

static int serve(struct bench_side *side)
{
        uint32_t kind = 0;
        int r = 0;

        while (!r && kind != NOTE_END)
                r = take_one(side, &kind);
        return r;
}

static int run_held(struct bench_side *side)
{
        if (bench_set_wait(side))
                return -1;
        return side->is_peer ? serve(side) : drive(side);
}

const struct bench_subject_calls bench_held_calls = {open_held, run_held, close_held};
