/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_model.c - shm/ring.c on a ring of 256 bytes: order, wrap, exact fill, batches, growth, death
 *
 * ring.c is included as shipped; macros let a case take one of its rules out (enum rule). The ring
 * begins full of words that would pass for the headers of the next lap, and every payload is made
 * of such words too, so whatever the reader believes that was not published ends the run.
 */
#include "base/copy.h"
#include "explore.h"
#include "shm/outbox.h"
#include "wire/frame.h"
#include <stdio.h>
#include <string.h>

enum {
        SIZE = 256,
        FRAMES = 6,
        LEVEL0 = PTL_OUTBOX_RINGS,
        LEVEL1 = PTL_OUTBOX_RINGS + 0x10000,
        TOUCHED = 1024, /* bytes of level 1 that a case can reach */
};

enum rule {
        TAIL_IS_CLEARED = 1,
        A_WORD_IS_KEPT_FREE = 2,
        PAD_COMES_LAST = 4,
        ORDER_OF_RESERVATIONS = 8,
        FIRST_OF_BATCH_COMES_LAST = 16,
        READ_BEFORE_CONSUMED = 32,
};

struct plan {
        uint64_t start;           /* position of both sides at first */
        uint32_t length[FRAMES];  /* of the frames' bodies; ends with 0 */
        unsigned batch;           /* this many at a time */
        unsigned late;            /* the reader gives back after so many frames; 0: each */
        bool grows;               /* a full ring grows */
        unsigned without;         /* enum rule */
};

static const struct plan *plan(void) { return model_scenario()->arg; }
static bool keeps(enum rule rule) { return !(plan()->without & rule); }

/* ---- shm/ring.c, with hooks ---- */

static bool pad_follows;
static _Atomic uint64_t *held_word;
static uint64_t held_value;

static void publish_store(_Atomic uint64_t *word, uint64_t value)
{
        if (pad_follows && !keeps(PAD_COMES_LAST)) {
                pad_follows = false;
                held_word = word;
                held_value = value;
                return;
        }
        ptl_store_release(word, value);
        if (held_word)
                ptl_store_release(held_word, held_value);
        held_word = NULL;
}

static void clear_store(_Atomic uint64_t *word, uint64_t value)
{
        if (keeps(TAIL_IS_CLEARED))
                ptl_store_relaxed(word, value);
}

#undef ptl_store_relaxed
#undef ptl_store_release
#define ptl_store_relaxed(p, v) clear_store(p, v)
#define ptl_store_release(p, v) publish_store(p, v)
static uint32_t data_reserve; /* the shipped reserve is larger than this ring */
#define PTL_RING_RESERVE data_reserve
#include "shm/ring.h"
#include "shm/ring.c"
#undef ptl_store_relaxed
#undef ptl_store_release
#define ptl_store_relaxed(p, v) PTL_STORE_(p, v, RELAXED)
#define ptl_store_release(p, v) PTL_STORE_(p, v, RELEASE)

int ptl_outbox_reserve(const struct ptl_outbox *box, uint64_t offset, uint64_t size)
{
        (void)box;
        model_check(offset == LEVEL1 && size == ptl_ring_level_size(1));
        return 0;
}

/* ---- the two sides ---- */

static _Alignas(4096) char outbox[PTL_OUTBOX_SIZE]; /* mostly never touched */

static struct {
        _Atomic uint64_t consumed;
        struct ptl_ring_writer w;
        struct ptl_ring_reader r;
        unsigned published, got; /* frames, once the call has returned */
} s;

static const struct model_region everything[] = {
        {&s,              sizeof s         },
        {outbox + LEVEL0, SIZE             },
        {outbox + LEVEL1, TOUCHED          },
        {&pad_follows,    sizeof pad_follows},
        {&held_word,      sizeof held_word },
        {&held_value,     sizeof held_value},
        {NULL,            0                }
};

/* What stands at a position of a payload: a header for the same place one lap later. */
static uint64_t bait(uint64_t position) { return ptl_frame_word(position + SIZE, 8, PTL_FRAME_INLINE); }

static _Atomic uint64_t *ring_word(uint64_t position)
{
        return (_Atomic uint64_t *)(void *)(outbox + LEVEL0 + position % SIZE);
}

static void name_words(void)
{
        static char names[SIZE / 8][12];

        for (unsigned i = 0; i < SIZE / 8; i++) {
                snprintf(names[i], sizeof names[i], "ring[%u]", 8 * i);
                model_name(outbox + LEVEL0 + 8 * i, 8, names[i]);
        }
        model_name(&s.consumed, sizeof s.consumed, "consumed");
}

static void reset(void)
{
        uint64_t start = plan()->start;
        uint64_t *ring = (uint64_t *)(void *)(outbox + LEVEL0);

        memset(&s, 0, sizeof s);
        memset(outbox + LEVEL1, 0, TOUCHED);
        held_word = NULL;
        held_value = 0;
        pad_follows = false;
        for (unsigned i = 0; i < SIZE / 8; i++) { /* positions of the lap to come */
                uint64_t at = start - start % SIZE + 8 * i;

                ring[i] = bait(at < start ? at : at - SIZE);
        }
        ring[start % SIZE / 8] = 0; /* I1 */
        s.consumed = start;
        s.w = (struct ptl_ring_writer){.base = outbox + LEVEL0,
                                       .size = SIZE,
                                       .position = start,
                                       .consumed = start,
                                       .limit = start + SIZE,
                                       .box = {outbox},
                                       .peer_consumed = &s.consumed};
        s.r = (struct ptl_ring_reader){.base = outbox + LEVEL0,
                                       .size = SIZE,
                                       .position = start,
                                       .box = {outbox},
                                       .consumed = &s.consumed};
        name_words();
}

static unsigned frames(void)
{
        unsigned n = 0;

        while (n < FRAMES && plan()->length[n])
                n++;
        return n;
}

static void make_body(uint64_t position, uint32_t length, char *to)
{
        for (uint32_t i = 0; i < length; i += 8) {
                uint64_t word = bait(position + PTL_FRAME_HEAD + i);

                memcpy(to + i, &word, 8);
        }
}

static int reserve(uint32_t length, struct ptl_ring_slot *slot)
{
        if (!keeps(A_WORD_IS_KEPT_FREE)) {
                model_check(ptl_ring_refresh(&s.w) == 0);
                s.w.limit += 8;
        }
        return ptl_ring_reserve(&s.w, length, 0, slot);
}

/* Reserves, waiting for room; false: the reader is dead, so there will be none. */
static bool reserve_or_wait(uint32_t length, struct ptl_ring_slot *slot)
{
        int r;

        while ((r = reserve(length, slot)) == PTL_E_FULL) {
                if (plan()->grows && s.w.level == 0 && ptl_ring_grow(&s.w) == 0)
                        continue;
                if (model_dead(1))
                        return false;
                ptl_pause();
        }
        model_check(r == 0);
        return true;
}

static void publish(const struct ptl_ring_slot *slot, uint32_t length, uint32_t k)
{
        struct ptl_frame_head head = {.right = 100 + k, .aux = k};
        char body[SIZE] = {0};

        make_body(slot->position, length, body);
        ptl_copy_shared(slot->body, body, length);
        pad_follows = slot->pad != slot->position;
        ptl_ring_publish(&s.w, slot, PTL_FRAME_INLINE, length, &head);
        pad_follows = false;
        s.published++;
}

/* Two reservations at once, published in the wrong order: what the ring's rule forbids. */
static void publish_reversed(const uint32_t *length)
{
        struct ptl_ring_slot first = {0}, second = {0};

        model_check(ptl_ring_reserve(&s.w, length[0], 0, &first) == 0);
        s.w.position = first.end;
        model_check(ptl_ring_reserve(&s.w, length[1], 0, &second) == 0);
        publish(&second, length[1], 1);
        publish(&first, length[0], 0);
}

static bool write_batch(unsigned from, unsigned n)
{
        struct ptl_ring_batch batch = {0};

        for (unsigned k = from; k < from + n;) {
                struct ptl_frame_head head = {.right = 100 + k, .aux = k};
                uint32_t length = plan()->length[k];
                uint64_t left = SIZE - s.w.position % SIZE;
                uint64_t at = s.w.position + (PTL_FRAME_HEAD + length > left ? left : 0);
                char body[SIZE] = {0};
                int r;

                make_body(at, length, body);
                r = ptl_ring_batch_add(&s.w, &batch, &head, body, length);
                if (r == 0) {
                        if (k++ == from && !keeps(FIRST_OF_BATCH_COMES_LAST))
                                ptl_store_release(ring_word(batch.position), batch.first_word);
                        continue;
                }
                model_check(r == PTL_E_FULL);
                ptl_ring_batch_publish(&s.w, &batch);
                s.published = k;
                if (model_dead(1))
                        return false;
                ptl_pause();
        }
        ptl_ring_batch_publish(&s.w, &batch);
        s.published = from + n;
        return true;
}

static void writer(void)
{
        unsigned n = frames(), k = 0;
        struct ptl_ring_slot slot = {0};

        if (!keeps(ORDER_OF_RESERVATIONS)) {
                publish_reversed(plan()->length);
                k = 2;
        }
        while (k < n && plan()->batch) {
                if (!write_batch(k, plan()->batch))
                        return;
                k += plan()->batch;
        }
        for (; k < n; k++) {
                if (!reserve_or_wait(plan()->length[k], &slot))
                        return;
                publish(&slot, plan()->length[k], k);
        }
}

/* A frame is the one that was to come, whole, and stays so while it is read. */
static void read_frame(const struct ptl_frame *f, unsigned k)
{
        char body[SIZE] = {0}, expected[SIZE] = {0};

        model_check(f->kind == PTL_FRAME_INLINE && f->length == plan()->length[k]);
        model_check(f->head.aux == k && f->head.right == 100 + k && f->head.sequence == k);
        if (!keeps(READ_BEFORE_CONSUMED))
                ptl_ring_consume(&s.r, f->end);
        model_read(body, f->body, f->length);
        make_body(f->position, f->length, expected);
        model_check(!memcmp(body, expected, f->length));
}

static void reader(void)
{
        unsigned n = frames(), late = plan()->late ? plan()->late : 1;

        while (s.got < n) {
                bool writer_dead = model_dead(0);
                struct ptl_frame f = {0};
                int r = ptl_ring_peek(&s.r, &f);

                if (r == PTL_E_EMPTY) {
                        if (writer_dead) /* before the look: all that it published was there */
                                return;
                        ptl_pause();
                        continue;
                }
                model_check(r == 0);
                read_frame(&f, s.got);
                ptl_ring_advance(&s.r, &f);
                if (++s.got % late == 0 || s.got == n)
                        ptl_ring_consume(&s.r, s.r.position);
        }
}

static void thread(unsigned self) { self ? reader() : writer(); }

static bool check(void)
{
        if (!model_dead(1) && s.got < s.published)
                return false;
        return model_dead(0) || model_dead(1) || s.got == frames();
}

/* ---- liars ---- */

/* The reader says it has read what was not written, or less than before. */
static void lying_reader(unsigned self)
{
        static const uint64_t lies[] = {0, 64, 72, 128, 256, 4096, UINT64_MAX, INT64_MAX};

        if (self) {
                for (int i = 0; i < 3; i++)
                        ptl_store_release(&s.consumed, lies[model_choose(PTL_ARRAY_LEN(lies))]);
                return;
        }
        for (unsigned k = 0; k < frames(); k++) {
                uint64_t before = s.w.consumed;
                struct ptl_ring_slot slot = {0};
                int r = ptl_ring_reserve(&s.w, plan()->length[k], 0, &slot);

                model_check(r == 0 || r == PTL_E_FULL || r == PTL_E_MALFORMED);
                model_check(s.w.consumed >= before && s.w.consumed <= s.w.position);
                if (r)
                        return;
                model_check(slot.end + 8 <= s.w.consumed + SIZE);
                publish(&slot, plan()->length[k], k);
        }
}

/* The writer stores what it likes where it likes: the reader stays within the ring, and ends. */
static void lie(void)
{
        static const uint32_t lengths[] = {8, 232, 240, PTL_FRAME_LENGTH_MAX};
        static const unsigned kinds[] = {PTL_FRAME_PAD, PTL_FRAME_GROW, PTL_FRAME_INLINE, 0, 0x99};
        uint64_t at = 64 * model_choose(3);
        uint64_t word = ptl_frame_word(at, lengths[model_choose(PTL_ARRAY_LEN(lengths))],
                                       (enum ptl_frame_kind)kinds[model_choose(PTL_ARRAY_LEN(kinds))]);
        uint32_t head[4] = {1, 0, at != 0, model_choose(2) ? 1 : 77}; /* sequence; aux: a level? */
        char *to = outbox + LEVEL0 + at % SIZE;

        memcpy(to + 8, head, sizeof head);
        ptl_store_release(ring_word(at), word);
}

static void lying_writer(unsigned self)
{
        if (self == 0) {
                lie();
                lie();
                return;
        }
        for (int i = 0; i < 4; i++) {
                struct ptl_frame f = {0};
                uint64_t before = s.r.position;
                int r = ptl_ring_peek(&s.r, &f);

                model_check(s.r.level < PTL_OUTBOX_LEVELS && s.r.position >= before);
                if (r == PTL_E_EMPTY) {
                        model_step("look again");
                        continue;
                }
                if (r)
                        return;
                model_check((const char *)f.body >= s.r.base);
                model_check((const char *)f.body + f.length <= s.r.base + s.r.size);
                model_check(f.end > f.position);
                ptl_ring_advance(&s.r, &f);
                ptl_ring_consume(&s.r, s.r.position);
        }
}

/* ---- cases ---- */

/* With its head a body of 40 bytes is a line and one of 104 two, however frames are aligned. */
static const struct plan order = {.length = {40, 40, 40}};
static const struct plan laps = {.start = 128, .length = {40, 40, 40, 40}, .late = 2};
static const struct plan exact = {.length = {40, 40, 40, 40}, .late = 3};
static const struct plan packed = {.start = 512, .length = {224, 40}};
static const struct plan wrap = {.start = 448, .length = {72, 40, 40}};
static const struct plan batch = {.start = 192, .length = {40, 40, 40, 40}, .batch = 2};
static const struct plan batch_wrap = {.start = 448, .length = {72, 40}, .batch = 2};
static const struct plan grow = {.start = 64, .length = {40, 40, 40, 40}, .late = 2, .grows = true};
static const struct plan deaths = {.start = 448, .length = {72, 40}};
static const struct plan deaths_batch = {.start = 128, .length = {40, 40}, .batch = 2};
static const struct plan liars = {.length = {40, 40, 104, 40}};

static const struct plan uncleared = {.start = 128, .length = {40, 40, 40}, .without = TAIL_IS_CLEARED};
static const struct plan no_word = {
        .length = {40, 40, 40, 40}, .late = 3, .without = A_WORD_IS_KEPT_FREE};
static const struct plan pad_first = {
        .start = 448, .length = {72, 40}, .without = PAD_COMES_LAST};
static const struct plan reversed = {.length = {40, 40}, .without = ORDER_OF_RESERVATIONS};
static const struct plan batch_first = {
        .start = 128, .length = {40, 40}, .batch = 2, .without = FIRST_OF_BATCH_COMES_LAST};
static const struct plan consumed_early = {
        .length = {104, 40, 40, 40}, .without = READ_BEFORE_CONSUMED};

/* clang-format off */
#define PLAIN(n, p) .name = n, .nthreads = 2, .state = everything, .arg = &(p), .reset = reset
#define CASE(n, p)  PLAIN(n, p), .memory = MODEL_PSO, .thread = thread, .check = check
#define FAILS       .expect_failure = true
#define BOUNDS      .quick = {2, 1}, .deep = {2, 2}
#define DIES(t)     .crashes = 1, .may_crash = {[t] = true}

static const struct scenario cases[] = {
        {CASE("frames_arrive_whole_and_in_order", order), BOUNDS},
        {PLAIN("frames_arrive_in_order_on_x86", order), .memory = MODEL_TSO, .thread = thread,
         .check = check, BOUNDS},
        {CASE("old_frames_and_payloads_pass_for_no_header", laps), BOUNDS},
        {CASE("a_full_ring_keeps_a_word_free_and_goes_on", exact), BOUNDS},
        {CASE("a_frame_may_fill_the_ring_to_its_last_word_but_one", packed), BOUNDS},
        {CASE("a_pad_leads_to_a_frame_that_is_there", wrap), BOUNDS},
        {CASE("a_batch_shows_at_once_what_its_first_frame_leads_to", batch), BOUNDS},
        {CASE("a_batch_may_begin_behind_a_pad", batch_wrap), BOUNDS},
        {CASE("a_ring_grows_while_it_is_read", grow), BOUNDS},
        {CASE("a_killed_writer_leaves_whole_frames", deaths), DIES(0), .quick = {2, 1}, .deep = {2, 2}},
        {CASE("a_killed_writer_leaves_a_batch_or_nothing", deaths_batch), DIES(0), .quick = {2, 1}, .deep = {2, 2}},
        {CASE("a_killed_reader_stops_nobody", deaths), DIES(1), .quick = {2, 1}, .deep = {2, 2}},
        {PLAIN("a_lying_reader_gets_no_unread_byte_overwritten", liars), .memory = MODEL_PSO,
         .thread = lying_reader, .quick = {1, 1}, .deep = {2, 1}},
        {PLAIN("a_lying_writer_leads_the_reader_nowhere", liars), .memory = MODEL_PSO,
         .thread = lying_writer, .quick = {1, 1}, .deep = {2, 1}},

        {CASE("without_release_a_frame_is_torn", order), FAILS, .mutations = MODEL_WEAK_RELEASE,
         .mutate = 1 << 0},
        {CASE("without_a_cleared_tail_old_bytes_pass_for_a_frame", uncleared), FAILS},
        {CASE("without_a_free_word_the_oldest_frame_is_lost", no_word), FAILS},
        {CASE("a_pad_published_first_leads_astray", pad_first), FAILS},
        {CASE("reservations_published_in_reverse_lose_a_frame", reversed), FAILS},
        {CASE("a_batch_published_in_order_leads_astray", batch_first), FAILS},
        {CASE("what_is_consumed_before_it_is_read_is_overwritten", consumed_early), FAILS},
        {.name = NULL},
};
/* clang-format on */

int main(int argc, char **argv) { return explore_main(argc, argv, cases); }
