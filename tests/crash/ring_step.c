/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_step.c - kills a writer, then a reader, after every machine instruction of what they do
 *
 * After a writer's death the reader finds whole frames, in order, none lost that it could have seen
 * before, and then an empty ring, in which writing can go on. After a reader's death the writer
 * believes what it left, and everything not consumed is still there. All words behind the tail but
 * the tail's own are headers that would be believed at their place: payloads may look like that.
 */
#include "shm/ring.h"
#include "step.h"
#include "tst.h"

enum { PAGE = 4096, LEVEL0 = 0x10000, SMALL = 100, BOUNDARIES = 64 };

struct scene {
        struct ptl_outbox box, mine;           /* shared with the victim */
        struct ptl_outbox box_copy, mine_copy; /* what a death left */
        struct step_range ranges[2];           /* of box, in use */
        struct ptl_ring_writer w;
        struct ptl_ring_reader r;
        uint32_t sent; /* frames, before the act */
        unsigned adds; /* frames that the act publishes */
        bool at_once;  /* all of them with one store */
        unsigned seen; /* of these, at the last look: never fewer again */
        unsigned looks, looks_without, looks_with;
        uint32_t length;                 /* of the frames that the act publishes */
        uint64_t boundaries[BOUNDARIES]; /* where frames begin; the reader's act */
        char before[LEVEL0];
};

/* ---- frames that prove themselves ---- */

static uint64_t pattern(uint32_t n, uint32_t i) { return (uint64_t)(n + 1) * 0x100000001b3 ^ i; }

static void fill(char *body, uint32_t length, uint32_t n)
{
        for (uint32_t i = 0; i < length; i++)
                body[i] = (char)(pattern(n, i) >> 8 * (i % 8));
}

static struct ptl_frame_head head_of(uint32_t n)
{
        return (struct ptl_frame_head){.right = n, .aux = ~n};
}

static int put(struct ptl_ring_writer *w, uint32_t length)
{
        struct ptl_frame_head head = head_of(w->sequence);
        struct ptl_ring_slot slot;
        int r = ptl_ring_reserve(w, length, 0, &slot);

        if (r)
                return r;
        fill(slot.body, length, w->sequence);
        ptl_ring_publish(w, &slot, PTL_FRAME_INLINE, length, &head);
        return 0;
}

/* One frame, whole and next in order, or none. */
static bool take(struct ptl_ring_reader *r)
{
        static char want[PTL_INLINE_MAX];
        struct ptl_frame f;
        int e = ptl_ring_peek(r, &f);

        if (e) {
                CHECK_EQ(e, PTL_E_EMPTY);
                return false;
        }
        CHECK_EQ(f.kind, PTL_FRAME_INLINE);
        CHECK_EQ(f.head.right, r->sequence);
        CHECK_EQ(f.head.aux, ~r->sequence);
        fill(want, f.length, r->sequence);
        CHECK(!memcmp(f.body, want, f.length));
        ptl_ring_advance(r, &f);
        return true;
}

/* ---- the scene ---- */

static void scene_open(struct scene *s, uint64_t position)
{
        memset(s, 0, sizeof *s);
        CHECK(step_box_new(&s->box) && step_box_new(&s->mine));
        CHECK(step_box_new(&s->box_copy) && step_box_new(&s->mine_copy));
        s->ranges[0] = (struct step_range){PTL_OUTBOX_RINGS, LEVEL0};
        ptl_ring_writer_init(&s->w, &s->box);
        ptl_ring_reader_init(&s->r, &s->box, &s->mine);
        s->w.peer_consumed = s->r.consumed;
        s->w.position = s->w.consumed = s->r.position = position;
        s->w.limit = position + s->w.size;
        ptl_ring_consume(&s->r, position);
        s->length = SMALL;
        s->adds = 1;
}

static void scene_close(struct scene *s)
{
        ptl_outbox_unmap(&s->box);
        ptl_outbox_unmap(&s->mine);
        ptl_outbox_unmap(&s->box_copy);
        ptl_outbox_unmap(&s->mine_copy);
}

/* What is in the ring is there; behind its tail everything looks like a frame. */
static void scene_ready(struct scene *s)
{
        uint64_t mask = s->w.size - 1;

        for (uint64_t p = s->w.position + 8; p < s->r.position + s->w.size; p += 8)
                *(uint64_t *)(void *)(s->w.base + (p & mask)) =
                        ptl_frame_word(p, 8, p / 8 % 3 ? PTL_FRAME_INLINE : PTL_FRAME_PAD);
        s->sent = s->w.sequence;
        memcpy(s->before, s->w.base, sizeof s->before);
}

static void play(struct scene *s, step_fn *act, step_fn *look, unsigned at_least)
{
        unsigned points;
        int r;

        scene_ready(s);
        r = step_every_instruction(act, look, s, &points);
        if (r == -EPERM)
                SKIP("ptrace is not permitted");
        CHECK_EQ(r, 0);
        fprintf(stderr, "# %u points\n", points);
        CHECK(points >= at_least);
        scene_close(s);
}

/* The same reader, looking at the copy. */
static struct ptl_ring_reader reader_of_copy(const struct scene *s)
{
        struct ptl_ring_reader r = s->r;

        r.box = s->box_copy;
        r.base = ptl_outbox_ring(&s->box_copy, r.level);
        r.consumed = &ptl_outbox_head(&s->mine_copy)->consumed;
        return r;
}

/* ---- a writer dies ---- */

/* Somebody who writes on where the reader found the ring empty. */
static void check_usable(const struct scene *s, struct ptl_ring_reader *r)
{
        struct ptl_ring_writer w = s->w;

        w.box = s->box_copy;
        w.base = ptl_outbox_ring(&s->box_copy, r->level);
        w.peer_consumed = r->consumed;
        w.size = r->size;
        w.level = r->level;
        w.position = w.consumed = w.grown_at = r->position;
        w.limit = w.position + w.size;
        w.sequence = r->sequence;
        ptl_ring_consume(r, r->position);
        for (int i = 0; i < 3; i++) {
                CHECK_EQ(put(&w, SMALL), 0);
                CHECK(take(r));
                CHECK(!take(r));
        }
}

static void look_after_writer(void *arg)
{
        struct scene *s = arg;
        struct ptl_ring_reader r = reader_of_copy(s);
        unsigned seen;

        step_box_copy(&s->box_copy, &s->box, s->ranges, ARRAY_LEN(s->ranges));
        step_box_copy(&s->mine_copy, &s->mine, &(struct step_range){0, PAGE}, 1);
        while (take(&r))
                ;
        CHECK(r.sequence >= s->sent && r.sequence <= s->sent + s->adds);
        seen = r.sequence - s->sent;
        CHECK(seen >= s->seen); /* once seen, never unseen */
        CHECK(!s->at_once || seen == 0 || seen == s->adds);
        s->seen = seen;
        s->looks++;
        s->looks_without += seen == 0;
        s->looks_with += seen == s->adds;
        CHECK_EQ(*(const uint64_t *)(const void *)(r.base + (r.position & (r.size - 1))),
                 0); /* I1 */
        check_usable(s, &r);
}

static void check_both_seen(const struct scene *s)
{
        CHECK_EQ(s->seen, s->adds);
        CHECK(s->looks_without > 20 && s->looks_with > 0);
}

static void act_put(void *arg)
{
        struct scene *s = arg;

        CHECK(put(&s->w, s->length) == 0);
}

static struct scene scene;

TEST(writer_may_die_anywhere_in_a_send)
{
        struct scene *s = &scene;

        scene_open(s, 3 * LEVEL0 + 4096);
        CHECK(put(&s->w, 10) == 0 && put(&s->w, 500) == 0); /* not the empty ring */
        play(s, act_put, look_after_writer, 100);
        check_both_seen(s);
}

TEST(writer_may_die_anywhere_in_a_send_to_an_empty_ring)
{
        struct scene *s = &scene;

        scene_open(s, 0);
        play(s, act_put, look_after_writer, 100);
        check_both_seen(s);
}

/* @left bytes before the end of the lap */
static void die_at_the_end_of_a_lap(uint64_t left, uint32_t length)
{
        struct scene *s = &scene;

        scene_open(s, 4 * LEVEL0 - left);
        s->length = length;
        play(s, act_put, look_after_writer, 100);
        check_both_seen(s);
}

TEST(writer_may_die_anywhere_in_a_send_behind_a_pad) { die_at_the_end_of_a_lap(64, 200); }

TEST(writer_may_die_anywhere_in_a_send_behind_a_pad_in_the_last_word)
{
        die_at_the_end_of_a_lap(8, 16);
}

TEST(writer_may_die_anywhere_in_a_send_that_ends_the_lap) { die_at_the_end_of_a_lap(128, 104); }

TEST(writer_may_die_anywhere_in_the_send_that_fills_the_ring)
{
        struct scene *s = &scene;

        scene_open(s, 4 * LEVEL0);
        for (int i = 0; i < 7; i++)
                CHECK_EQ(put(&s->w, PTL_INLINE_MAX), 0);
        CHECK_EQ(put(&s->w, 6000), 0);
        s->length = (uint32_t)(s->w.limit - s->w.position) - PTL_RING_WORD - PTL_FRAME_HEAD;
        CHECK(s->length > 1000 && s->length % 8 == 0);
        play(s, act_put, look_after_writer, 100);
        check_both_seen(s);
}

static void act_batch(void *arg)
{
        struct scene *s = arg;
        struct ptl_ring_batch batch = {0};
        char body[SMALL * 3];

        for (unsigned i = 0; i < s->adds; i++) {
                struct ptl_frame_head head = head_of(s->w.sequence);
                uint32_t length = SMALL * i + SMALL / 2;

                fill(body, length, s->w.sequence);
                CHECK(ptl_ring_batch_add(&s->w, &batch, &head, body, length) == 0);
        }
        ptl_ring_batch_publish(&s->w, &batch);
}

static void die_in_a_batch(uint64_t position)
{
        struct scene *s = &scene;

        scene_open(s, position);
        CHECK(put(&s->w, 10) == 0);
        s->adds = 3;
        s->at_once = true;
        play(s, act_batch, look_after_writer, 200);
        check_both_seen(s);
}

TEST(writer_may_die_anywhere_in_a_batch) { die_in_a_batch(LEVEL0); }

TEST(writer_may_die_anywhere_in_a_batch_whose_first_is_behind_a_pad)
{
        die_in_a_batch(LEVEL0 - 64 - 64);
}

TEST(writer_may_die_anywhere_in_a_batch_that_wraps) { die_in_a_batch(LEVEL0 - 64 - 128 - 64); }

static void act_grow(void *arg)
{
        struct scene *s = arg;

        CHECK(ptl_ring_grow(&s->w) == 0);
        CHECK(put(&s->w, s->length) == 0);
}

static void die_growing(uint64_t position, uint32_t second)
{
        struct scene *s = &scene;
        uint64_t level1 = ptl_ring_level_size(1);

        scene_open(s, position);
        /* of the new level, what is written there: from the lap's start or from where it is */
        s->ranges[1] = (struct step_range){
                ptl_ring_level_offset(1) + (position & (level1 - 1)) / PAGE * PAGE, 3 * PAGE};
        CHECK(put(&s->w, 10) == 0 && put(&s->w, second) == 0);
        play(s, act_grow, look_after_writer, 150);
        check_both_seen(s);
}

TEST(writer_may_die_anywhere_while_the_ring_grows) { die_growing(LEVEL0 + 8192, 500); }

TEST(writer_may_die_anywhere_while_the_ring_grows_behind_a_pad)
{
        die_growing(2 * LEVEL0 - 8 - 568 - 64, 544); /* the frames before leave one word */
}

/* ---- a reader dies ---- */

static void act_read(void *arg)
{
        struct scene *s = arg;

        for (unsigned i = 0; i < s->adds; i++) {
                struct ptl_frame f;

                CHECK(ptl_ring_peek(&s->r, &f) == 0);
                ptl_ring_advance(&s->r, &f);
                ptl_ring_consume(&s->r, f.end);
        }
}

/* How many frames it gave back; a position that is no frame's beginning fails. */
static unsigned given_back(const struct scene *s, uint64_t consumed)
{
        for (unsigned i = 0; i <= s->sent; i++)
                if (s->boundaries[i] == consumed)
                        return i;
        CHECK(!"consumed is where a frame ends");
        return 0;
}

static void look_after_reader(void *arg)
{
        struct scene *s = arg;
        struct ptl_ring_reader r = reader_of_copy(s);
        struct ptl_ring_writer w = s->w;
        unsigned given;

        step_box_copy(&s->box_copy, &s->box, s->ranges, ARRAY_LEN(s->ranges));
        step_box_copy(&s->mine_copy, &s->mine, &(struct step_range){0, PAGE}, 1);
        CHECK(!memcmp(ptl_outbox_ring(&s->box_copy, 0), s->before, sizeof s->before));
        r.position = ptl_load_acquire(r.consumed);
        given = given_back(s, r.position);
        CHECK(given >= s->seen && given <= s->adds);
        s->seen = given;
        s->looks++;
        s->looks_without += given == 0;
        s->looks_with += given == s->adds;

        /* The writer goes on until the ring is full; what was not given back is still there. */
        w.box = s->box_copy;
        w.base = ptl_outbox_ring(&s->box_copy, 0);
        w.peer_consumed = r.consumed;
        CHECK_EQ(ptl_ring_refresh(&w), 0);
        while (put(&w, 3000) == 0)
                ;
        CHECK_EQ(put(&w, 3000), PTL_E_FULL);
        r.sequence = given;
        while (take(&r))
                ;
        CHECK_EQ(r.sequence, w.sequence);
        CHECK_EQ(r.position, w.position);
        check_usable(s, &r);
}

static void die_reading(uint64_t position, const uint32_t *lengths, unsigned n)
{
        struct scene *s = &scene;

        scene_open(s, position);
        s->boundaries[0] = position;
        for (unsigned i = 0; i < n; i++) {
                CHECK(put(&s->w, lengths[i]) == 0);
                s->boundaries[i + 1] = s->w.position;
        }
        s->adds = 3;
        play(s, act_read, look_after_reader, 100);
        check_both_seen(s);
}

TEST(reader_may_die_anywhere_while_it_takes_frames)
{
        die_reading(LEVEL0 + 64, (const uint32_t[]){0, 500, 40, 77, 3000}, 5);
}

TEST(reader_may_die_anywhere_while_it_follows_a_pad)
{
        die_reading(2 * LEVEL0 - 64 - 64, (const uint32_t[]){30, 200, 9, 8}, 4);
}

TEST(reader_may_die_anywhere_while_it_empties_a_full_ring)
{
        die_reading(5 * LEVEL0, (const uint32_t[]){8192, 8192, 8192, 8192, 8192, 8192, 8192, 7992},
                    8);
}
