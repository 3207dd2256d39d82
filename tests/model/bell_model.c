/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bell_model.c - who sleeps is rung: frames, ring room, windows, and the reserve of control frames
 *
 * As shipped: shm/bell.h, shm/ring.c, link/link.c (bell, consume, holds), port/grant.c
 * (ptl_grant_took), task/window.c (ptl_window_has_room). The sleeping side does what
 * task/wait.c does (W2): arm, fence, look, sleep on an edge of its eventfd, disarm.
 *
 * One link: thread 0 writes (side `a`), thread 1 reads (side `b`).
 */
#include "explore.h"
#include "fake_events.h"
#include "port/receiver.h"
#include "task/window.h"
#include <string.h>

enum {
        SIZE = 512, /* of the ring; a quarter is two frames */
        LINE = 64,
        FRAME = 40, /* bytes of a body: a line with the head */
        BELL_A = FAKE_EVENT_FIRST,
        BELL_B,
        INDEX = 1,
};

struct plan {
        unsigned frames;    /* thread 0 sends so many */
        unsigned prefilled; /* in the ring, or through the window, at first */
        uint32_t length;    /* of a body; 0: FRAME */
        uint32_t reserve;   /* that data leaves */
        bool flag;          /* rule taken out: armed is a flag, not a count */
        uint32_t limit_messages, limit_units, units; /* of the window */
        uint32_t lowered;   /* the holder was told this limit since */
};

static const struct plan *plan(void) { return model_scenario()->arg; }

static _Alignas(4096) char outbox_a[PTL_OUTBOX_SIZE], outbox_b[PTL_OUTBOX_SIZE];

static struct {
        struct ptl_peer a, b;
        struct ptl_entry entry;
        struct ptl_grant grant;
        unsigned armings, got;
        bool remembered, control_came;
} s;

#define HEAD(box) ((struct ptl_outbox_head *)(void *)(box))

static const struct model_region everything[] = {
        {&s,                           sizeof s                                           },
        {&fake_events,                 sizeof fake_events                                 },
        {outbox_a + 128,               offsetof(struct ptl_outbox_head, returned) - 128   },
        {outbox_b + 128,               offsetof(struct ptl_outbox_head, returned) - 128   },
        {outbox_a + PTL_OUTBOX_RINGS,  SIZE                                               },
        {outbox_b + PTL_OUTBOX_TAKEN,  2 * sizeof(uint64_t)                               },
        {NULL,                         0                                                  }
};

static bool has_edge(void *arg) { return fake_event_is_raised(*(const unsigned *)arg); }

static void sleep_on(unsigned i)
{
        static unsigned which[2] = {0, 1};

        model_block_until(has_edge, &which[i]);
        fake_events.heard[i] = fake_events.raised[i];
}

/* ---- setting up ---- */

static void link_up(struct ptl_peer *p, char *mine, char *peer, int peer_bell)
{
        p->references = 1;
        p->link.mine.base = mine;
        p->link.peer.base = peer;
        p->link.peer_bell = peer_bell;
        p->link.state = PTL_LINK_OPEN;
}

static void put(uint32_t length, uint32_t reserve, enum ptl_frame_kind kind, int *ret)
{
        struct ptl_ring_slot slot;

        *ret = ptl_ring_reserve(&s.a.link.tx, length, reserve, &slot);
        if (!*ret)
                ptl_ring_publish(&s.a.link.tx, &slot, kind, length, &(struct ptl_frame_head){0});
}

static uint32_t length(void) { return plan()->length ? plan()->length : FRAME; }

static void reset_window(void)
{
        s.entry = (struct ptl_entry){.peer = &s.a,
                                     .remote = INDEX,
                                     .rights = PTL_RIGHT_SEND,
                                     .limit_messages = plan()->lowered ? plan()->lowered
                                                                       : plan()->limit_messages,
                                     .limit_units = plan()->limit_units,
                                     .sent = plan()->prefilled,
                                     .sent_units = plan()->prefilled * plan()->units};
        s.grant = (struct ptl_grant){.kind = PTL_GRANT_SEND,
                                     .references = 1,
                                     .arrived = plan()->prefilled,
                                     .limit_messages = plan()->limit_messages,
                                     .limit_units = plan()->limit_units};
}

static void reset(void)
{
        char *ring = outbox_a + PTL_OUTBOX_RINGS;
        struct ptl_outbox box_a = {outbox_a}, box_b = {outbox_b};

        memset(&s, 0, sizeof s);
        memset(&fake_events, 0, sizeof fake_events);
        memset(outbox_a, 0, sizeof(struct ptl_outbox_head));
        memset(outbox_b, 0, sizeof(struct ptl_outbox_head));
        memset(ring, 0, SIZE);
        memset(outbox_b + PTL_OUTBOX_TAKEN, 0, 16);
        link_up(&s.a, outbox_a, outbox_b, BELL_B);
        link_up(&s.b, outbox_b, outbox_a, BELL_A);
        ptl_ring_writer_init(&s.a.link.tx, &box_a);
        s.a.link.tx.size = s.a.link.tx.limit = SIZE;
        s.a.link.tx.peer_consumed = &HEAD(outbox_b)->consumed;
        ptl_ring_reader_init(&s.b.link.rx, &box_a, &box_b);
        s.b.link.rx.size = SIZE;
        reset_window();
        for (unsigned i = 0; i < plan()->prefilled && !plan()->limit_messages; i++) {
                int r;

                put(FRAME, 0, PTL_FRAME_INLINE, &r);
                model_check(r == 0);
        }
        model_name(&HEAD(outbox_a)->bell.wanting, 4, "a.wanting");
        model_name(&HEAD(outbox_b)->bell.armed, 4, "b.armed");
        model_name(&HEAD(outbox_b)->consumed, 8, "b.consumed");
        model_name(outbox_b + PTL_OUTBOX_TAKEN + 8, 8, "b.taken");
        model_name(ring, SIZE, "ring");
}

/* ---- frames: the reader sleeps ---- */

static void arm(void)
{
        s.armings++;
        if (plan()->flag)
                ptl_store_relaxed(&HEAD(outbox_b)->bell.armed, 1);
        else
                ptl_bell_arm(&HEAD(outbox_b)->bell, &s.b.link.sleeper);
}

static void disarm(void)
{
        if (plan()->flag)
                ptl_store_relaxed(&HEAD(outbox_b)->bell.armed, 0);
        else
                ptl_bell_disarm(&HEAD(outbox_b)->bell, &s.b.link.sleeper);
}

/* What ptl_link_bell() would be without counts: it remembers that it rang until it sees 0. */
static void bell_by_flag(void)
{
        bool armed;

        ptl_fence_seq_cst();
        armed = ptl_load_relaxed(&HEAD(outbox_b)->bell.armed);
        if (armed && !s.remembered)
                ptl_link_ring(&s.a.link);
        s.remembered = armed;
}

static void sender(void)
{
        for (unsigned i = 0; i < plan()->frames; i++) {
                int r;

                put(length(), 0, PTL_FRAME_INLINE, &r);
                model_check(r == 0);
                if (plan()->flag)
                        bell_by_flag();
                else
                        ptl_link_bell(&s.a.link);
        }
}

static bool take_frames(void)
{
        struct ptl_frame f = {0};
        bool any = false;

        while (ptl_ring_peek(&s.b.link.rx, &f) == 0) {
                ptl_ring_advance(&s.b.link.rx, &f);
                s.got++;
                any = true;
        }
        return any;
}

static void sleeper(void)
{
        while (s.got < plan()->frames) {
                bool writer_dead = model_dead(0);

                if (take_frames())
                        continue;
                if (writer_dead)
                        return;
                arm();
                ptl_fence_seq_cst(); /* E3 */
                if (!ptl_ring_ready(&s.b.link.rx))
                        sleep_on(1);
                disarm();
        }
}

static void frames_thread(unsigned self) { self ? sleeper() : sender(); }

/* The socket hangs up: an edge of its own. */
static void hang_up(unsigned self)
{
        (void)self;
        fake_event_raise(1);
}

static bool frames_check(void)
{
        return model_dead(0) || (s.got == plan()->frames && fake_events.raised[1] <= s.armings);
}

/* ---- room: the writer sleeps ---- */

static void want(void) { ptl_bell_want(&HEAD(outbox_a)->bell, &s.a.link.sleeper); }
static void unwant(void) { ptl_bell_unwant(&HEAD(outbox_a)->bell, &s.a.link.sleeper); }

/* Tries until it works, asleep in between. */
static void sleep_until(bool (*attempt)(void))
{
        while (!attempt()) {
                bool done;

                want();
                ptl_fence_seq_cst(); /* E3 */
                done = attempt();
                if (!done)
                        sleep_on(0);
                unwant();
                if (done)
                        return;
        }
}

static bool write_one(void)
{
        int r;

        put(length(), plan()->reserve, PTL_FRAME_INLINE, &r);
        model_check(r == 0 || r == PTL_E_FULL);
        return r == 0;
}

static void room_thread(unsigned self)
{
        if (self == 0) {
                for (unsigned i = 0; i < plan()->frames; i++)
                        sleep_until(write_one);
                return;
        }
        while (s.got < plan()->prefilled + plan()->frames) {
                struct ptl_frame f = {0};

                if (ptl_ring_peek(&s.b.link.rx, &f)) {
                        ptl_pause(); /* it polls: never armed, never rung */
                        continue;
                }
                ptl_ring_advance(&s.b.link.rx, &f);
                s.got++;
                ptl_link_consume(&s.b.link);
        }
}

/* ---- windows: the writer sleeps until the program has taken something ---- */

static bool has_window(void) { return ptl_window_has_room(&s.entry, plan()->units); }

static void window_thread(unsigned self)
{
        if (self == 0) {
                for (unsigned i = 0; i < plan()->frames; i++) {
                        sleep_until(has_window);
                        s.entry.sent++;
                        s.entry.sent_units += plan()->units;
                }
                return;
        }
        for (unsigned i = 0; i < plan()->prefilled; i++)
                ptl_grant_took(&s.b, INDEX, &s.grant, 1, plan()->units);
}

static bool window_check(void) { return s.entry.sent == plan()->prefilled + plan()->frames; }

/* ---- control frames ---- */

/*
 * The reader reads its first message in place until a control frame comes (it waits for a CONFIRM,
 * say), so nothing of the ring is given back. The writer fills the ring with data, then has that
 * control frame to write.
 */
static bool write_control(void)
{
        int r;

        put(0, 0, PTL_FRAME_RELEASE, &r);
        return r == 0;
}

static void control_thread(unsigned self)
{
        int hold = -1;

        if (self == 0) {
                while (write_one())
                        ;
                sleep_until(write_control);
                return;
        }
        while (!s.control_came) {
                struct ptl_frame f = {0};

                if (ptl_ring_peek(&s.b.link.rx, &f)) {
                        ptl_pause();
                        continue;
                }
                if (hold < 0)
                        hold = ptl_hold_begin(&s.b.link, f.position);
                s.control_came = f.kind == PTL_FRAME_RELEASE;
                ptl_ring_advance(&s.b.link.rx, &f);
                ptl_link_consume(&s.b.link);
        }
        ptl_hold_end(&s.b.link, (unsigned)hold);
}

static bool control_check(void)
{
        return s.control_came && ptl_load_relaxed(&HEAD(outbox_b)->consumed) == s.b.link.rx.position;
}

/* ---- cases ---- */

static const struct plan three = {.frames = 3}, two = {.frames = 2};
static const struct plan flag = {.frames = 3, .flag = true};
static const struct plan room = {.frames = 2, .prefilled = 7};
static const struct plan room_large = {.frames = 1, .prefilled = 7, .length = 180};
static const struct plan room_most = {.frames = 1, .prefilled = 7, .length = 380};
static const struct plan window = {
        .frames = 2, .prefilled = 8, .limit_messages = 8, .limit_units = 100, .units = 1};
static const struct plan window_one = {
        .frames = 1, .prefilled = 1, .limit_messages = 1, .limit_units = 100, .units = 1};
static const struct plan window_units = {
        .frames = 1, .prefilled = 1, .limit_messages = 16, .limit_units = 100, .units = 80};
static const struct plan window_lowered = {
        .frames = 1, .prefilled = 2, .limit_messages = 16, .limit_units = 100, .units = 1,
        .lowered = 1};
static const struct plan control = {.reserve = LINE + 8};
static const struct plan no_reserve = {.length = 480}; /* fills the ring */

/* clang-format off */
#define ALL            {MODEL_UNBOUNDED, MODEL_UNBOUNDED}
#define CASE(n, p)     .name = n, .nthreads = 2, .state = everything, .arg = &(p), .reset = reset
#define FRAMES_        .thread = frames_thread, .check = frames_check
#define ROOM           .thread = room_thread
#define WINDOW         .thread = window_thread, .check = window_check
#define CONTROL        .thread = control_thread, .check = control_check
#define FAILS          .expect_failure = true
#define NO_FENCE_IN(t) .mutations = MODEL_DROP_FENCES, .mutate = 1 << (t)
#define PSO            .memory = MODEL_PSO

static const struct scenario cases[] = {
        {CASE("no_frame_comes_while_its_reader_sleeps_unrung", three), FRAMES_, .quick = {3, 3},
         .deep = {4, 4}},
        {CASE("nor_where_stores_pass_each_other", two), FRAMES_, PSO, .quick = {3, 3}, .deep = {4, 4}},
        {CASE("a_writer_killed_before_it_rang_leaves_no_sleeper", two), FRAMES_, .crashes = 1,
         .may_crash = {[0] = true}, .on_death = hang_up, .deep = {4, 4}},
        {CASE("a_sender_that_sleeps_for_ring_room_is_rung", room), ROOM, .quick = {2, 2},
         .deep = {3, 3}},
        {CASE("also_when_it_needs_nearly_half_a_ring", room_large), ROOM, .quick = {2, 2},
         .deep = {3, 3}},
        {CASE("a_sender_that_sleeps_for_its_window_is_rung", window), WINDOW, .quick = {3, 3},
         .deep = {5, 5}},
        {CASE("also_when_the_window_is_one_message", window_one), WINDOW, .quick = ALL, .deep = ALL},
        {CASE("data_leaves_room_for_control_frames", control), CONTROL, .quick = {1, 1},
         .deep = {2, 2}},

        {CASE("without_the_ringers_fence_a_wake_up_is_lost", two), FRAMES_, FAILS, NO_FENCE_IN(0)},
        {CASE("without_the_sleepers_fence_a_wake_up_is_lost", two), FRAMES_, FAILS, NO_FENCE_IN(1)},
        {CASE("a_flag_instead_of_a_count_loses_a_wake_up", flag), FRAMES_, FAILS, .quick = {4, 2}},
        {CASE("without_the_fence_each_quarter_a_sender_sleeps_on", room), ROOM, FAILS, NO_FENCE_IN(1)},
        {CASE("without_the_senders_fence_it_sleeps_on", room), ROOM, FAILS, NO_FENCE_IN(0)},
        {CASE("a_sender_that_needs_most_of_the_ring_is_missed", room_most), ROOM, FAILS},
        {CASE("without_the_fence_each_quarter_window_a_sender_sleeps_on", window), WINDOW, FAILS,
         NO_FENCE_IN(1)},
        {CASE("without_a_reserve_control_frames_stand_behind_data_for_ever", no_reserve), CONTROL,
         FAILS},

        {CASE("a_window_full_of_units_rings_too", window_units), WINDOW},
        {CASE("a_window_that_was_lowered_rings_too", window_lowered), WINDOW},
        {.name = NULL},
};
/* clang-format on */

int main(int argc, char **argv) { return explore_main(argc, argv, cases); }
