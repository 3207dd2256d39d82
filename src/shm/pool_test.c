/* SPDX-License-Identifier: Apache-2.0 */
/* shm/pool_test.c - blocks never overlap, whatever order they come back in and whatever a peer
 * claims */
#include "shm/pool.h"
#include "tst.h"

enum { NOBODY = -1 };

/* A pool, the peer's words, and who owns each page according to the test. */
struct world {
        struct ptl_pool pool;
        _Atomic uint32_t returned[PTL_POOL_SLOTS];
        int owner[PTL_POOL_PAGES];
        size_t size[PTL_POOL_SLOTS]; /* 0: not in use */
        uint64_t seed;
};

static struct world *world_new(void)
{
        struct world *w = calloc(1, sizeof *w);

        CHECK(w);
        w->pool.returned = w->returned;
        for (int i = 0; i < PTL_POOL_PAGES; i++)
                w->owner[i] = NOBODY;
        w->seed = 1;
        return w;
}

static uint64_t dice(struct world *w)
{
        uint64_t x = w->seed += 0x9e3779b97f4a7c15;

        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
        x = (x ^ x >> 27) * 0x94d049bb133111eb;
        return x ^ x >> 31;
}

static void disown(struct world *w, unsigned slot)
{
        for (int i = 0; i < PTL_POOL_PAGES; i++)
                if (w->owner[i] == (int)slot)
                        w->owner[i] = NOBODY;
        w->size[slot] = 0;
}

static void own(struct world *w, unsigned slot, size_t size)
{
        uint32_t offset = ptl_pool_offset(&w->pool, slot);

        CHECK(slot < PTL_POOL_SLOTS);
        CHECK_EQ(w->size[slot], 0);
        CHECK(offset % PTL_POOL_PAGE == 0 && offset + size <= PTL_POOL_SIZE);
        for (size_t page = offset / PTL_POOL_PAGE; page * PTL_POOL_PAGE < offset + size; page++) {
                CHECK_EQ(w->owner[page], NOBODY); /* I5 */
                w->owner[page] = (int)slot;
        }
        w->size[slot] = size;
}

/* What the peer gave back is the pool's from then on. */
static void give_back(struct world *w, unsigned slot)
{
        ptl_store_release(&w->returned[slot], w->pool.slots[slot].uses);
        disown(w, slot);
}

/* -1: full */
static int reserve(struct world *w, size_t size)
{
        int slot = ptl_pool_reserve(&w->pool, size);

        CHECK(slot >= -1);
        if (slot >= 0)
                own(w, (unsigned)slot, size);
        return slot;
}

static int reserve_and_give(struct world *w, size_t size)
{
        int slot = reserve(w, size);

        if (slot >= 0)
                ptl_pool_give(&w->pool, (unsigned)slot);
        return slot;
}

static bool run_is_free(const struct world *w, size_t pages)
{
        size_t run = 0;

        for (int i = 0; i < PTL_POOL_PAGES && run < pages; i++)
                run = w->owner[i] == NOBODY ? run + 1 : 0;
        return run >= pages;
}

static unsigned in_use(const struct world *w)
{
        unsigned n = 0;

        for (int i = 0; i < PTL_POOL_SLOTS; i++)
                n += w->size[i] != 0;
        return n;
}

static size_t some_size(struct world *w)
{
        switch (dice(w) % 4) {
        case 0:
                return 1 + dice(w) % PTL_POOL_PAGE;
        case 1:
                return 1 + dice(w) % (16 * PTL_POOL_PAGE);
        case 2:
                return (1 + dice(w) % 64) * PTL_POOL_PAGE;
        default:
                return 1 + dice(w) % (dice(w) % 16 ? PTL_BLOCK_MAX / 8 : PTL_BLOCK_MAX);
        }
}

TEST(blocks_never_overlap_in_a_long_random_walk)
{
        struct world *w = world_new();
        unsigned taken = 0, refused = 0;

        for (int i = 0; i < 40000; i++) {
                unsigned slot = dice(w) % PTL_POOL_SLOTS;
                enum ptl_slot_state state = w->pool.slots[slot].state;

                if (dice(w) % 3 == 0) {
                        size_t size = some_size(w);
                        bool fits = in_use(w) < PTL_POOL_SLOTS &&
                                    run_is_free(w, (size + PTL_POOL_PAGE - 1) / PTL_POOL_PAGE);
                        int got = reserve(w, size);

                        CHECK_EQ(got >= 0, fits); /* all that came back can be had again, at once */
                        taken += got >= 0;
                        refused += got < 0;
                } else if (state == PTL_SLOT_LENT && w->size[slot]) {
                        if (dice(w) % 8) {
                                ptl_pool_give(&w->pool, slot);
                        } else {
                                ptl_pool_cancel(&w->pool, slot);
                                disown(w, slot);
                        }
                } else if (state == PTL_SLOT_OUT && w->size[slot]) {
                        give_back(w, slot);
                } else if (dice(w) % 16 == 0) {
                        ptl_pool_collect(&w->pool);
                }
        }
        CHECK(taken > 1000 && refused > 100);
        free(w);
}

TEST(blocks_come_back_in_any_order)
{
        struct world *w = world_new();

        for (int round = 0; round < 20; round++) {
                int slots[64];

                for (int i = 0; i < 64; i++)
                        CHECK((slots[i] = reserve_and_give(w, 16 * PTL_POOL_PAGE)) >= 0);
                CHECK_EQ(reserve(w, 1), -1);
                for (int i = 63; i > 0; i--) { /* shuffled */
                        int j = (int)(dice(w) % (unsigned)(i + 1)), s = slots[i];

                        slots[i] = slots[j];
                        slots[j] = s;
                }
                for (int i = 0; i < 64; i++) {
                        give_back(w, (unsigned)slots[i]);
                        CHECK_EQ(ptl_pool_collect(&w->pool), 1);
                }
                CHECK_EQ(ptl_pool_collect(&w->pool), 0);
                CHECK_EQ(w->pool.outstanding, 0);
        }
        free(w);
}

TEST(every_slot_can_be_in_use_and_no_more)
{
        struct world *w = world_new();

        for (int round = 0; round < 3; round++) {
                for (int i = 0; i < PTL_POOL_SLOTS; i++)
                        CHECK(reserve_and_give(w, 1) >= 0);
                CHECK_EQ(reserve(w, 1), -1); /* pages are left, slots are not */
                give_back(w, 100);
                CHECK_EQ(reserve_and_give(w, 1), 100);
                for (unsigned slot = 0; slot < PTL_POOL_SLOTS; slot++)
                        give_back(w, slot);
        }
        free(w);
}

TEST(two_of_the_largest_blocks_fill_the_pool)
{
        struct world *w = world_new();

        for (int round = 0; round < 5; round++) {
                int a = reserve_and_give(w, PTL_BLOCK_MAX), b = reserve_and_give(w, PTL_BLOCK_MAX);

                CHECK(a >= 0 && b >= 0);
                CHECK_EQ(reserve(w, 1), -1);
                give_back(w, (unsigned)(round % 2 ? a : b));
                a = round % 2 ? b : a;
                CHECK((b = reserve_and_give(w, PTL_BLOCK_MAX)) >= 0);
                give_back(w, (unsigned)a);
                give_back(w, (unsigned)b);
        }
        free(w);
}

TEST(largest_block_is_refused_while_no_run_is_long_enough)
{
        struct world *w = world_new();
        int slots[128];

        for (int i = 0; i < 128; i++)
                CHECK((slots[i] = reserve_and_give(w, 8 * PTL_POOL_PAGE)) >= 0);
        for (int i = 0; i < 128; i += 2) /* half of the pool is free, in pieces */
                give_back(w, (unsigned)slots[i]);
        CHECK_EQ(reserve(w, PTL_BLOCK_MAX), -1);
        CHECK_EQ(reserve(w, 8 * PTL_POOL_PAGE + 1), -1);
        for (int i = 0; i < 64; i++)
                CHECK(reserve_and_give(w, 8 * PTL_POOL_PAGE) >= 0); /* each piece is found */
        CHECK_EQ(reserve(w, 1), -1);
        free(w);
}

TEST(free_pages_on_both_sides_of_used_ones_are_no_run)
{
        struct world *w = world_new();

        for (int i = 0; i < 32; i++)
                CHECK_EQ(ptl_pool_offset(&w->pool,
                                         (unsigned)reserve_and_give(w, 32 * PTL_POOL_PAGE)),
                         i * 32 * PTL_POOL_PAGE);
        give_back(w, 1); /* pages 32 to 63, and */
        give_back(w, 4); /* 128 to 159: a whole word of the bitmap lies between, all used */
        CHECK_EQ(reserve(w, 33 * PTL_POOL_PAGE), -1);
        CHECK(reserve(w, 32 * PTL_POOL_PAGE) >= 0);
        CHECK(reserve(w, 32 * PTL_POOL_PAGE) >= 0);
        free(w);
}

TEST(sizes_are_rounded_up_to_whole_pages)
{
        static const size_t sizes[] = {PTL_POOL_PAGE, PTL_POOL_PAGE + 1, 1, PTL_POOL_PAGE - 1, 1};
        static const uint32_t pages[] = {0, 1, 3, 4, 5};
        struct world *w = world_new();

        for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
                CHECK_EQ(ptl_pool_offset(&w->pool, (unsigned)reserve(w, sizes[i])),
                         pages[i] * PTL_POOL_PAGE);
        free(w);
}

TEST(successive_blocks_go_round_the_pool)
{
        struct world *w = world_new();
        uint32_t last = 0;

        for (int i = 0; i < PTL_POOL_PAGES / 4; i++) {
                int slot = reserve_and_give(w, 4 * PTL_POOL_PAGE);

                CHECK(slot >= 0);
                CHECK(i == 0 || ptl_pool_offset(&w->pool, (unsigned)slot) > last);
                last = ptl_pool_offset(&w->pool, (unsigned)slot);
                give_back(w, (unsigned)slot);
        }
        free(w);
}

TEST(claims_of_any_other_use_count_free_nothing)
{
        struct world *w = world_new();
        int slot = reserve(w, 100);
        uint32_t uses = w->pool.slots[slot].uses + 1; /* what it will be given under */
        const uint32_t lies[] = {uses - 1, uses + 1, uses + 2, ~uses, UINT32_MAX, 0x80000000};

        for (int out = 0; out < 2; out++) {
                for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
                        ptl_store_release(&w->returned[slot], lies[i]);
                        CHECK_EQ(ptl_pool_collect(&w->pool), 0);
                        CHECK(w->pool.slots[slot].state != PTL_SLOT_FREE);
                }
                if (!out)
                        ptl_pool_give(&w->pool, (unsigned)slot);
        }
        give_back(w, (unsigned)slot);
        CHECK_EQ(ptl_pool_collect(&w->pool), 1);
        free(w);
}

TEST(block_being_filled_is_not_freed_by_a_claim)
{
        struct world *w = world_new();
        int slot = reserve(w, 100);

        ptl_store_release(&w->returned[slot],
                          w->pool.slots[slot].uses); /* guessed right, too early */
        CHECK_EQ(ptl_pool_collect(&w->pool), 0);
        for (int i = 1; i < PTL_POOL_SLOTS; i++)
                CHECK(reserve(w, 1) >= 0); /* own() sees it if that page is lent twice */
        CHECK_EQ(reserve(w, 1), -1);
        free(w);
}

TEST(stale_claim_does_not_free_the_next_use)
{
        struct world *w = world_new();

        for (int i = 0; i < 3 * PTL_POOL_SLOTS; i++) {
                int slot = reserve_and_give(w, 1);

                CHECK(slot >= 0);
                CHECK_EQ(ptl_pool_collect(&w->pool),
                         0); /* the word still has the last use's count */
                give_back(w, (unsigned)slot);
        }
        free(w);
}

TEST(lies_only_ever_free_blocks_that_are_out)
{
        struct world *w = world_new();
        bool lent[PTL_POOL_SLOTS] = {false};

        for (int i = 0; i < 20000; i++) {
                unsigned liar = dice(w) % PTL_POOL_SLOTS;
                int slot;

                ptl_store_release(&w->returned[liar], (uint32_t)(dice(w) % 64));
                slot = ptl_pool_reserve(&w->pool, some_size(w) / 16 + 1);
                for (unsigned s = 0; s < PTL_POOL_SLOTS; s++) {
                        if (w->pool.slots[s].state == PTL_SLOT_FREE || (int)s == slot)
                                disown(w, s); /* freed because of a claim, the liar's loss */
                        CHECK(!lent[s] || w->pool.slots[s].state == PTL_SLOT_LENT);
                        CHECK(!lent[s] || (int)s != slot);
                }
                if (slot < 0)
                        continue;
                own(w, (unsigned)slot, (size_t)w->pool.slots[slot].pages * PTL_POOL_PAGE);
                lent[slot] = dice(w) % 64 == 0 && i < 2000;
                if (!lent[slot])
                        ptl_pool_give(&w->pool, (unsigned)slot);
        }
        free(w);
}

TEST(cancelled_blocks_are_free_at_once)
{
        struct world *w = world_new();

        for (int i = 0; i < 1000; i++) {
                int slot = reserve(w, PTL_BLOCK_MAX);

                CHECK(slot >= 0);
                if (i % 2)
                        ptl_pool_give(&w->pool, (unsigned)slot);
                ptl_pool_cancel(&w->pool, (unsigned)slot);
                disown(w, (unsigned)slot);
                CHECK_EQ(w->pool.outstanding, 0);
        }
        free(w);
}

TEST(nothing_comes_back_while_the_peer_is_not_mapped)
{
        struct world *w = world_new();

        w->pool.returned = NULL;
        for (int i = 0; i < 2; i++)
                CHECK(reserve_and_give(w, PTL_BLOCK_MAX) >= 0);
        CHECK_EQ(reserve(w, 1), -1);
        CHECK_EQ(ptl_pool_collect(&w->pool), 0);
        w->pool.returned = w->returned;
        give_back(w, 0);
        CHECK_EQ(ptl_pool_collect(&w->pool), 1);
        free(w);
}

TEST(use_counts_may_wrap)
{
        struct world *w = world_new();

        for (int i = 0; i < PTL_POOL_SLOTS; i++) {
                w->pool.slots[i].uses = UINT32_MAX - 1;
                ptl_store_relaxed(&w->returned[i], UINT32_MAX - 1);
        }
        for (int i = 0; i < 4 * PTL_POOL_SLOTS; i++) {
                int slot = reserve_and_give(w, 1);

                CHECK(slot >= 0);
                CHECK_EQ(ptl_pool_collect(&w->pool), 0);
                give_back(w, (unsigned)slot);
        }
        free(w);
}
