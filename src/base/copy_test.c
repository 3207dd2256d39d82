/* SPDX-License-Identifier: Apache-2.0 */
/* base/copy_test.c - every byte arrives, none beside; reads stay inside the source */
#include "base/copy.h"
#include "tst.h"

enum { SMALL = 300, LINE = 64, BIG = 1 << 20, GUARD = 0xA5 };

typedef void copy_fn(void *to, const void *from, size_t size);

static void shared(void *to, const void *from, size_t size) { ptl_copy_shared(to, from, size); }

static void small(void *to, const void *from, size_t size) { ptl_copy_small(to, from, size); }

static unsigned char pattern(size_t i) { return (unsigned char)(i * 7 + (i >> 8) * 13 + 1); }

/* @size bytes that end at a page nobody may touch. */
static unsigned char *fenced(size_t size)
{
        size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (size + page - 1) / page * page;
        char *at = mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                        0);

        CHECK(at != MAP_FAILED && mprotect(at + whole, page, PROT_NONE) == 0);
        return (unsigned char *)at + whole - size;
}

static void check_copied(const unsigned char *box, size_t box_size, size_t at, size_t size)
{
        for (size_t i = 0; i < box_size; i++)
                CHECK_EQ(box[i], i < at || i >= at + size ? GUARD : pattern(i - at));
}

static void all_small(copy_fn *copy)
{
        static unsigned char box[SMALL + 4 * LINE] __attribute__((aligned(LINE)));
        static const size_t skews[] = {0, 1, 8, 33};
        unsigned char *source = fenced(SMALL + LINE);

        for (size_t size = 0; size <= SMALL; size++)
                for (size_t at = 0; at < LINE; at += size % 8 ? 7 : 1)
                        for (size_t k = 0; k < ARRAY_LEN(skews); k++) {
                                /* ends at the fence, or skewed from it */
                                unsigned char *from = source + SMALL + LINE - size - skews[k];

                                for (size_t i = 0; i < size; i++)
                                        from[i] = pattern(i);
                                memset(box, GUARD, LINE + size + 2 * LINE);
                                copy(box + LINE + at, from, size);
                                check_copied(box, LINE + at + size + LINE, LINE + at, size);
                        }
}

TEST(shared_copy_of_every_small_size_and_alignment_is_exact) { all_small(shared); }

TEST(small_copy_of_every_small_size_and_alignment_is_exact) { all_small(small); }

TEST(streaming_copy_of_every_small_size_and_alignment_is_exact) { all_small(ptl_copy_streaming); }

TEST(streaming_copies_of_large_blocks_are_exact)
{
        static const size_t skews[] = {0, 1, 24, 63};
        unsigned char *source = fenced(BIG + LINE), *to = fenced(BIG + 4 * LINE),
                      *want = malloc(BIG + LINE);

        CHECK(want);
        for (size_t i = 0; i < BIG + LINE; i++)
                want[i] = pattern(i);
        for (size_t size = 4096; size <= BIG; size *= 2)
                for (size_t k = 0; k < ARRAY_LEN(skews) * 3; k++) {
                        size_t n = size - 1 + k % 3, skew = skews[k / 3];
                        unsigned char *from = source + BIG + LINE - n;

                        memcpy(from, want, n);
                        memset(to, GUARD, n + 2 * LINE);
                        ptl_copy_streaming(to + skew, from, n);
                        CHECK(!memcmp(to + skew, want, n));
                        for (size_t i = 0; i < skew; i++)
                                CHECK_EQ(to[i], GUARD);
                        for (size_t i = skew + n; i < n + 2 * LINE; i++)
                                CHECK_EQ(to[i], GUARD);
                }
        free(want);
}
