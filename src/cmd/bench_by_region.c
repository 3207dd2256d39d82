/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd/bench_by_region.c - what the library does with an order: memory by reference
 *
 * Timed is the hand-over: from the send until the answer of a receiver that has looked at the first
 * and the last word of the region. Making the memory, writing and reading all of it, are outside.
 */
#include "cmd/bench_by_port.h"
#include "cmd/bench_loop.h"
#include "cmd/bench_pair.h"

enum { LEAST_TURNS = 5 };

/* The bytes of the message that carries the region. */
struct note {
        uint64_t number;
        uint64_t sum; /* of the region's words; 0: not to be looked at */
};

static ptl_port port; /* of this process */

static int region_open(struct bench_side *side)
{
        return bench_port_meet(side, side->control->name, &port);
}

static void region_close(struct bench_side *side) { bench_port_part(side, port); }

/* ---- the driver ---- */

static void fill(struct ptl_region *region, struct note *note, bool is_summed)
{
        size_t size = ptl_region_size(region);
        uint64_t *words = ptl_region_data(region);

        for (size_t i = 0; i < size / sizeof *words; i++)
                words[i] = UINT64_C(0x9e3779b97f4a7c15) * (i + 1);
        bench_stamp(words, size, note->number);
        note->sum = is_summed ? bench_sum(words, size / sizeof *words) : 0;
}

static uint32_t how(const struct bench_side *side)
{
        return side->order.flags & BENCH_ISOLATED ? PTL_REGION_ISOLATED
               : side->order.flags & BENCH_COPIED ? PTL_REGION_COPIED
                                                  : PTL_REGION_VOLATILE;
}

static int call(struct bench_side *side, const struct note *note, struct ptl_region *region)
{
        struct ptl_region_item item = {.region = region, .how = how(side)};
        struct ptl_outgoing out = {
                .data = note, .size = sizeof *note, .regions = &item, .n_regions = region != NULL,
        };
        struct ptl_message reply;

        if (bench_outcome(side, ptl_call_message(port, &out, &reply, 0, PTL_FOREVER),
                          "ptl_call_message"))
                return -1;
        ptl_message_release(&reply);
        return 0;
}

/* A call with nothing: the peer has read and freed what it had. */
static int settle(struct bench_side *side) { return call(side, &(struct note){0}, NULL); }

/* Sends @region, timed. On success an isolated one is the receiver's. */
static int hand_over(struct bench_side *side, const struct note *note, struct ptl_region *region,
                     uint64_t *elapsed)
{
        uint64_t begin, took;

        if (settle(side))
                return -1;
        begin = bench_tick();
        if (call(side, note, region))
                return -1;
        took = bench_tick() - begin;
        bench_samples_add(&side->samples, took);
        *elapsed += took;
        return 0;
}

static int turn_fresh(struct bench_side *side, struct note *note, uint64_t *elapsed)
{
        struct ptl_region *region;
        int r;

        if (bench_outcome(side, ptl_region_new(side->order.size, &region), "ptl_region_new"))
                return -1;
        fill(region, note, true);
        r = hand_over(side, note, region, elapsed);
        if (r || !(side->order.flags & BENCH_ISOLATED))
                ptl_region_free(region);
        return r;
}

static int turn_again(struct bench_side *side, struct note *note, struct ptl_region *region,
                      uint64_t *elapsed)
{
        if (side->order.flags & BENCH_COPIED) {
                fill(region, note, true);
                return hand_over(side, note, region, elapsed);
        }
        bench_stamp(ptl_region_data(region), ptl_region_size(region), note->number);
        note->sum = 0;
        return hand_over(side, note, region, elapsed);
}

static int drive(struct bench_side *side, struct ptl_region *region)
{
        ptl_time end = ptl_now() + (ptl_time)side->order.duration_ns;
        struct note note = {.number = 1};
        uint64_t elapsed = 0;

        for (; ptl_now() < end || note.number <= LEAST_TURNS; note.number++)
                if (region ? turn_again(side, &note, region, &elapsed) : turn_fresh(side, &note, &elapsed))
                        return -1;
        bench_side_conclude(side, 0, elapsed, note.number - 1, 1);
        return call(side, &(struct note){.number = BENCH_LAST}, NULL);
}

static int drive_with_one(struct bench_side *side)
{
        struct note note = {.number = 1};
        struct ptl_region *region;
        uint64_t unused = 0;
        int r;

        if (bench_outcome(side, ptl_region_new(side->order.size, &region), "ptl_region_new"))
                return -1;
        fill(region, &note, true);
        r = hand_over(side, &note, region, &unused); /* its first journey is not this order's */
        side->samples.count = 0;
        if (!r)
                r = drive(side, region);
        ptl_region_free(region);
        return r;
}

/* ---- the peer ---- */

static bool is_stamped(const struct bench_side *side, const struct ptl_region *region,
                       const struct note *note)
{
        const uint64_t *words = ptl_region_data(region);
        size_t count = side->order.size / sizeof *words;

        return words && ptl_region_size(region) == side->order.size && words[0] == note->number &&
               words[count - 1] == ~note->number;
}

/* Looks, answers, and only then reads the rest. */
static int take_region(struct bench_side *side, struct ptl_message *m, const struct note *note)
{
        struct ptl_region *region = m->regions[0].region;
        bool is_right = is_stamped(side, region, note);
        int r = bench_outcome(side, ptl_reply(m, note, sizeof *note), "ptl_reply");

        if (is_right && note->sum)
                is_right = bench_sum(ptl_region_data(region), side->order.size / 8) == note->sum;
        ptl_region_free(region);
        if (!is_right)
                return bench_side_fail(side, "region %llu arrived damaged",
                                       (unsigned long long)note->number);
        return r;
}

static int take_message(struct bench_side *side, bool *ret_is_last)
{
        struct ptl_message m;
        struct note note = {0};
        int r;

        if (bench_outcome(side, ptl_receive(port, &m, PTL_FOREVER), "ptl_receive"))
                return -1;
        if (m.size == sizeof note)
                note = *(const struct note *)m.data;
        *ret_is_last = note.number == BENCH_LAST;
        if (m.size != sizeof note)
                r = bench_side_fail(side, "a note of %zu bytes", m.size);
        else if (m.n_regions)
                r = take_region(side, &m, &note);
        else
                r = bench_outcome(side, ptl_reply(&m, &note, sizeof note), "ptl_reply");
        ptl_message_release(&m);
        return r;
}

static int serve(struct bench_side *side)
{
        bool is_last = false;
        int r = 0;

        while (!r && !is_last)
                r = take_message(side, &is_last);
        return r;
}

static int region_run(struct bench_side *side)
{
        if (bench_set_wait(side))
                return -1;
        if (side->is_peer)
                return serve(side);
        return side->order.flags & (BENCH_FRESH | BENCH_ISOLATED) ? drive(side, NULL)
                                                                  : drive_with_one(side);
}

const struct bench_subject_calls bench_region_calls = {region_open, region_run, region_close};
