/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm/ring_hostile_test.c - a writer that puts anything at all into its ring, and the reader's
 * bounds
 *
 * The memory is ours, with nothing mapped around the rings, so that a read outside of them kills
 * the test; and each frame that the reader accepts is checked to lie in its level.
 */
#include "shm/ring.h"
#include "tst.h"

enum { RINGS_SIZE = PTL_OUTBOX_POOL - PTL_OUTBOX_RINGS, ROUNDS = 1000000 };

static struct ptl_outbox box;
static _Atomic uint64_t consumed;
static uint64_t seed = 1;

static uint64_t dice(void)
{
        uint64_t x = seed += 0x9e3779b97f4a7c15;

        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
        x = (x ^ x >> 27) * 0x94d049bb133111eb;
        return x ^ x >> 31;
}

/* An outbox of which only [from, to) can be touched. */
static void open_box(uint64_t from, uint64_t to)
{
        box.base = mmap(NULL, PTL_OUTBOX_SIZE, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        CHECK(box.base != MAP_FAILED);
        CHECK(mprotect(box.base + from, to - from, PROT_READ | PROT_WRITE) == 0);
}

static struct ptl_ring_reader reader_at(unsigned level, uint64_t position)
{
        return (struct ptl_ring_reader){.base = ptl_outbox_ring(&box, level),
                                        .size = ptl_ring_level_size(level),
                                        .position = position,
                                        .level = level,
                                        .box = box,
                                        .consumed = &consumed};
}

static char *at(const struct ptl_ring_reader *r, uint64_t position)
{
        return (char *)(uintptr_t)r->base + (position & (r->size - 1));
}

/* Stores as much of a head as lies before the end of the level. */
static void put(const struct ptl_ring_reader *r, uint64_t word, uint32_t sequence, uint32_t aux)
{
        struct ptl_frame_head head = {.word = word, .sequence = sequence, .aux = aux};
        uint64_t left = r->size - (r->position & (r->size - 1));

        memcpy(at(r, r->position), &head, left < sizeof head ? left : sizeof head);
}

static void check_bounded(const struct ptl_ring_reader *r, const struct ptl_frame *f)
{
        const char *body = f->body;

        CHECK(f->kind > PTL_FRAME_GROW && f->kind < PTL_FRAME_KINDS);
        CHECK_EQ(f->kind, ptl_frame_kind_of(f->head.word));
        CHECK_EQ(f->length, ptl_frame_length(f->head.word));
        CHECK(f->length <= PTL_INLINE_MAX);
        CHECK(r->level < PTL_OUTBOX_LEVELS && r->base == ptl_outbox_ring(&box, r->level) &&
              r->size == ptl_ring_level_size(r->level));
        CHECK(body >= r->base + PTL_FRAME_HEAD && body + f->length <= r->base + r->size);
        CHECK(f->position == r->position && f->position % 8 == 0);
        CHECK(f->end > f->position && f->end % 8 == 0);
        CHECK((f->end - 1) / r->size == f->position / r->size); /* in one piece, its filling too */
        CHECK_EQ(f->head.sequence, r->sequence);
}

/* ---- one lie each ---- */

static const struct lie {
        const char *name;
        uint64_t position;
        uint32_t length;
        unsigned kind;
        uint32_t aux;
        int outcome;
        int64_t stamp_off; /* the stamp is of a position so many words away */
        uint32_t sequence_off;
} lies[] = {
        {"a good frame",                   64,          10,                   PTL_FRAME_INLINE, 0,          0,               0,     0           },
        {"the longest frame",              64,          PTL_INLINE_MAX,       PTL_FRAME_RICH,   0,          0,               0,     0           },
        {"too long by one",                64,          PTL_INLINE_MAX + 1,   PTL_FRAME_INLINE, 0,          PTL_E_MALFORMED, 0,     0           },
        {"as long as a word can say",      0,           PTL_FRAME_LENGTH_MAX, PTL_FRAME_INLINE, 0,          PTL_E_MALFORMED,
         0,                                                                                                                         0           },
        {"no kind",                        64,          0,                    PTL_FRAME_NONE,   0,          PTL_E_MALFORMED, 0,     0           },
        {"no kind, some length",           64,          9,                    PTL_FRAME_NONE,   0,          PTL_E_MALFORMED, 0,     0           },
        {"the kind after the last",        64,          0,                    PTL_FRAME_KINDS,  0,          PTL_E_MALFORMED, 0,     0           },
        {"kind 255",                       64,          0,                    255,              0,          PTL_E_MALFORMED, 0,     0           },
        {"up to the end",                  65536 - 128, 104,                  PTL_FRAME_INLINE, 0,          0,               0,     0           },
        {"beyond the end by one",          65536 - 128, 105,                  PTL_FRAME_INLINE, 0,          PTL_E_MALFORMED, 0,     0           },
        {"head beyond the end",            65536 - 16,  0,                    PTL_FRAME_INLINE, 0,          PTL_E_MALFORMED, 0,     0           },
        {"head beyond the end, last word", 65536 - 8,   0,                    PTL_FRAME_DEAD,   0,          PTL_E_MALFORMED, 0,     0           },
        {"growth beyond the end",          65536 - 8,   0,                    PTL_FRAME_GROW,   1,          PTL_E_MALFORMED, 0,     0           },
        {"pad at the start",               65536,       0,                    PTL_FRAME_PAD,    0,          PTL_E_MALFORMED, 0,     0           },
        {"growth to the same level",       64,          0,                    PTL_FRAME_GROW,   0,          PTL_E_MALFORMED, 0,     0           },
        {"growth over a level",            64,          0,                    PTL_FRAME_GROW,   2,          PTL_E_MALFORMED, 0,     0           },
        {"growth to level 4",              64,          0,                    PTL_FRAME_GROW,   4,          PTL_E_MALFORMED, 0,     0           },
        {"growth to level 2^32-1",         64,          0,                    PTL_FRAME_GROW,   UINT32_MAX, PTL_E_MALFORMED, 0,     0           },
        {"growth, nothing there",          64,          0,                    PTL_FRAME_GROW,   1,          PTL_E_EMPTY,     0,     0           },
        {"stamp of the word before",       64,          10,                   PTL_FRAME_INLINE, 0,          PTL_E_EMPTY,     -1,    0           },
        {"stamp of the word behind",       64,          10,                   PTL_FRAME_INLINE, 0,          PTL_E_EMPTY,     1,     0           },
        {"stamp of the lap before",        65536 + 64,  10,                   PTL_FRAME_INLINE, 0,          PTL_E_EMPTY,     -8192, 0           },
        {"stamp of the next lap",          64,          10,                   PTL_FRAME_INLINE, 0,          PTL_E_EMPTY,     8192,  0           },
        {"a frame doubled",                64,          10,                   PTL_FRAME_INLINE, 0,          PTL_E_MALFORMED, 0,     (uint32_t)-1},
        {"a frame left out",               64,          10,                   PTL_FRAME_INLINE, 0,          PTL_E_MALFORMED, 0,     1           },
        {"a frame from far away",          64,          10,                   PTL_FRAME_INLINE, 0,          PTL_E_MALFORMED, 0,     0x80000000  },
};

TEST(each_lie_of_a_writer_is_refused)
{
        open_box(PTL_OUTBOX_RINGS, PTL_OUTBOX_POOL);
        for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
                const struct lie *row = &lies[i];
                struct ptl_ring_reader r = reader_at(0, row->position);
                struct ptl_frame f;

                r.sequence = 1000;
                put(&r,
                    ptl_frame_word(row->position + (uint64_t)row->stamp_off * 8, row->length,
                                   (enum ptl_frame_kind)row->kind),
                    r.sequence + row->sequence_off, row->aux);
                CHECK_ROW(i, row, ptl_ring_peek(&r, &f) == row->outcome);
                if (!row->outcome)
                        check_bounded(&r, &f);
                memset(at(&r, r.position), 0, 8);
        }
        munmap(box.base, PTL_OUTBOX_SIZE);
}

TEST(last_level_cannot_grow)
{
        struct ptl_ring_reader r;
        struct ptl_frame f;

        open_box(PTL_OUTBOX_RINGS, PTL_OUTBOX_POOL);
        r = reader_at(PTL_OUTBOX_LEVELS - 1, 64);
        put(&r, ptl_frame_word(64, 0, PTL_FRAME_GROW), 0, PTL_OUTBOX_LEVELS);
        CHECK_EQ(ptl_ring_peek(&r, &f), PTL_E_MALFORMED);
        munmap(box.base, PTL_OUTBOX_SIZE);
}

TEST(pads_that_lead_to_pads_are_not_followed_for_ever)
{
        struct ptl_ring_reader r;
        struct ptl_frame f;

        open_box(PTL_OUTBOX_RINGS, PTL_OUTBOX_POOL);
        r = reader_at(0, 4 * 65536);
        put(&r, ptl_frame_word(r.position, 0, PTL_FRAME_PAD), 0, 0);
        r.position = 3 * 65536 + 64;
        put(&r, ptl_frame_word(r.position, 0, PTL_FRAME_PAD), 0, 0);
        CHECK_EQ(ptl_ring_peek(&r, &f), PTL_E_MALFORMED);
        munmap(box.base, PTL_OUTBOX_SIZE);
}

/* ---- all lies at once ---- */

static uint64_t some_position(void)
{
        static const uint64_t bases[] = {0, (uint64_t)1 << 34, (uint64_t)1 << 35,
                                         (uint64_t)1 << 60};
        uint64_t p = bases[dice() % ARRAY_LEN(bases)] + dice() % 0x1000000 / 8 * 8;

        /* often near the end of a lap, where mistakes live */
        return dice() % 2 ? p : (p | 0xffff) + 1 - (1 + dice() % 40) * 8;
}

/* A word that the reader believes half of; lengths are mostly near the limits. */
static uint64_t some_word(const struct ptl_ring_reader *r)
{
        uint64_t left = r->size - (r->position & (r->size - 1));
        uint32_t length = (uint32_t)dice() & PTL_FRAME_LENGTH_MAX;

        switch (dice() % 8) {
        case 0:
                return dice();
        case 1:
                break;
        case 2:
                length = PTL_INLINE_MAX - 4 + (uint32_t)(dice() % 8);
                break;
        case 3:
                length = (uint32_t)(left - PTL_FRAME_HEAD - 4 + dice() % 8) & PTL_FRAME_LENGTH_MAX;
                break;
        default:
                length %= 200;
                break;
        }
        return ptl_frame_stamp(r->position) | (uint64_t)length << 8 |
               dice() % (dice() % 16 ? PTL_FRAME_KINDS : 256);
}

static void check_progress(const struct ptl_ring_reader *before, const struct ptl_ring_reader *r)
{
        CHECK(r->level >= before->level && r->level < PTL_OUTBOX_LEVELS);
        CHECK(r->position >= before->position);
        CHECK(r->position - before->position <= 2 * 0x555555); /* each level's end, at most */
        CHECK_EQ(r->position % 8, 0);
}

static void random_words(unsigned levels, bool grows)
{
        struct ptl_ring_reader r = reader_at(0, 0), before;
        unsigned accepted = 0, refused = 0;
        struct ptl_frame f;

        for (int i = 0; i < ROUNDS; i++) {
                uint64_t word = some_word(&r);
                int e;

                if (!grows && ptl_frame_kind_of(word) == PTL_FRAME_GROW)
                        word++;
                put(&r, word, dice() % 16 ? r.sequence : (uint32_t)dice(),
                    (uint32_t)(dice() % 4 ? r.level + 1 : dice()));
                before = r;
                e = ptl_ring_peek(&r, &f);
                check_progress(&before, &r);
                CHECK(e == 0 || e == PTL_E_EMPTY || e == PTL_E_MALFORMED);
                if (e == 0) {
                        check_bounded(&r, &f);
                        ptl_ring_advance(&r, &f);
                        accepted++;
                } else if (e == PTL_E_MALFORMED || dice() % 16 == 0) {
                        r = reader_at((unsigned)(dice() % levels), some_position());
                        r.sequence = (uint32_t)dice();
                        refused++;
                }
        }
        CHECK(accepted > ROUNDS / 20 && refused > ROUNDS / 20);
}

TEST(random_words_never_lead_the_reader_out_of_its_levels)
{
        open_box(PTL_OUTBOX_RINGS, PTL_OUTBOX_POOL);
        random_words(PTL_OUTBOX_LEVELS, true);
        munmap(box.base, PTL_OUTBOX_SIZE);
}

TEST(random_words_never_lead_the_reader_into_the_next_level)
{
        open_box(PTL_OUTBOX_RINGS, ptl_ring_level_offset(1)); /* reading there would be a fault */
        random_words(1, false);
        munmap(box.base, PTL_OUTBOX_SIZE);
}

TEST(head_is_a_copy_that_the_writer_cannot_change)
{
        struct ptl_frame f, copy;
        struct ptl_ring_reader r;

        open_box(PTL_OUTBOX_RINGS, PTL_OUTBOX_POOL);
        r = reader_at(0, 64);
        put(&r, ptl_frame_word(64, 40, PTL_FRAME_INLINE), 0, 7);
        CHECK_EQ(ptl_ring_peek(&r, &f), 0);
        copy = f;
        memset(r.box.base + PTL_OUTBOX_RINGS, 0xff, 4096);
        CHECK(!memcmp(&f, &copy, sizeof f) && f.head.aux == 7);
        munmap(box.base, PTL_OUTBOX_SIZE);
}
