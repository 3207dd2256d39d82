/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_model.c - shm/pool.c as shipped: no page is in two hands, and what came back is used again
 *
 * The pool's 1,024 pages are narrowed to four by marking the others used. Owner and peer hand slots
 * over through words with release and acquire, as the ring does (E1); returned[] is as in the outbox.
 * E4's release orders loads before a store, which this explorer never swaps: the case in which the
 * peer gives back first and reads then stands for it.
 */
#include "base/atomic.h"
#include "explore.h"
#include "shm/pool.h"
#include <string.h>

enum { PAGES = 4, BLOCKS = 6 };

struct plan {
        unsigned blocks;
        uint16_t pages[BLOCKS];
        bool reversed;  /* the peer gives two back, the later one first */
        bool returns_early; /* rule taken out: the peer gives back what it still reads */
        bool no_count;  /* rule taken out: the peer's word is a flag, not the count of the use */
        unsigned slots; /* so many exist; 0: all */
        bool no_reuse;  /* the peer keeps all; the owner gives up when the pool says it is full */
};

static const struct plan *plan(void) { return model_scenario()->arg; }

static struct {
        struct ptl_pool pool;
        _Atomic uint32_t returned[PTL_POOL_SLOTS];
        _Atomic uint32_t frame[BLOCKS];      /* slot + 1: published */
        _Atomic uint64_t bytes[PTL_POOL_PAGES]; /* one word for each page */
} s;

static const struct model_region everything[] = {
        {&s.pool,     sizeof s.pool             },
        {s.returned,  8 * sizeof s.returned[0]  }, /* slots beyond are not reached */
        {s.frame,     sizeof s.frame            },
        {s.bytes,     PAGES * sizeof s.bytes[0] },
        {NULL,        0                         }
};

static unsigned slots(void) { return plan()->slots ? plan()->slots : PTL_POOL_SLOTS; }

static void reset(void)
{
        memset(&s, 0, sizeof s);
        memset(s.pool.used, 0xff, sizeof s.pool.used);
        s.pool.used[0] = ~((UINT64_C(1) << PAGES) - 1);
        s.pool.returned = s.returned;
        for (unsigned i = slots(); i < PTL_POOL_SLOTS; i++)
                s.pool.slots[i].state = PTL_SLOT_LENT;
        model_name(s.returned, sizeof s.returned, "returned");
        model_name(s.frame, sizeof s.frame, "frame");
        model_name(s.bytes, sizeof s.bytes, "bytes");
}

/* I5: the slots that are not FREE share no page. */
static void check_disjoint(void)
{
        uint64_t seen = 0;

        for (unsigned i = 0; i < slots(); i++) {
                const struct ptl_pool_slot *slot = &s.pool.slots[i];
                uint64_t mine = ((UINT64_C(1) << slot->pages) - 1) << slot->page;

                if (slot->state == PTL_SLOT_FREE)
                        continue;
                model_check(slot->page + slot->pages <= PAGES && !(seen & mine));
                seen |= mine;
        }
        model_check((s.pool.used[0] & ((UINT64_C(1) << PAGES) - 1)) == seen);
}

static void owner(void)
{
        for (unsigned k = 0; k < plan()->blocks; k++) {
                int slot;

                while ((slot = ptl_pool_reserve(&s.pool, plan()->pages[k] * PTL_POOL_PAGE)) < 0) {
                        if (plan()->no_reuse || model_ended(1))
                                return;
                        ptl_pause();
                }
                check_disjoint();
                for (unsigned p = 0; p < plan()->pages[k]; p++)
                        ptl_store_relaxed(&s.bytes[s.pool.slots[slot].page + p], 100 * k + p);
                if (k % 4 == 3) { /* some are never published */
                        ptl_pool_cancel(&s.pool, (unsigned)slot);
                        ptl_store_release(&s.frame[k], UINT32_MAX);
                        continue;
                }
                ptl_pool_give(&s.pool, (unsigned)slot);
                ptl_store_release(&s.frame[k], (unsigned)slot + 1 + s.pool.slots[slot].page * 1000);
        }
}

/* As ptl_link_block_return(). */
static void give_back(unsigned slot)
{
        _Atomic uint32_t *word = &s.returned[slot];

        ptl_store_release(word, plan()->no_count ? 1 : ptl_load_relaxed(word) + 1);
}

static void read_block(unsigned k, uint32_t frame)
{
        unsigned page = (frame - 1) / 1000;

        for (unsigned p = 0; p < plan()->pages[k]; p++)
                model_check(ptl_load_relaxed(&s.bytes[page + p]) == 100 * k + p);
}

static void peer(void)
{
        unsigned kept = UINT32_MAX;

        for (unsigned k = 0; k < plan()->blocks; k++) {
                uint32_t frame;

                while (!(frame = ptl_load_acquire(&s.frame[k]))) {
                        if (model_ended(0))
                                return;
                        ptl_pause();
                }
                if (frame == UINT32_MAX || plan()->no_reuse)
                        continue;
                if (plan()->returns_early)
                        give_back((frame - 1) % 1000);
                read_block(k, frame);
                if (plan()->returns_early)
                        continue;
                if (plan()->reversed && k == 0) {
                        kept = (frame - 1) % 1000;
                        continue;
                }
                give_back((frame - 1) % 1000);
                if (kept != UINT32_MAX)
                        give_back(kept);
                kept = UINT32_MAX;
        }
}

static void thread(unsigned self) { self ? peer() : owner(); }

static bool check(void)
{
        unsigned live = 0;

        ptl_pool_collect(&s.pool);
        for (unsigned i = 0; i < slots(); i++)
                live += s.pool.slots[i].state != PTL_SLOT_FREE;
        return model_dead(0) || model_dead(1) || (live == 0) == !plan()->no_reuse;
}

/* Any value in returned[]: at worst the liar's own blocks come back early. */
static void liar(unsigned self)
{
        if (self == 0) {
                owner();
                return;
        }
        for (int i = 0; i < 3; i++)
                ptl_store_release(&s.returned[model_choose(3)], model_choose(3));
}

static const struct plan go_round = {.blocks = 5, .pages = {2, 1, 2, 1, 3}};
static const struct plan lied_to = {.blocks = 5, .pages = {2, 1, 2, 1, 3}, .no_reuse = true};
static const struct plan reversed = {.blocks = 4, .pages = {2, 2, 2, 2}, .reversed = true};
static const struct plan few_slots = {.blocks = 4, .pages = {1, 2, 1, 1}, .slots = 2};
static const struct plan full = {.blocks = 4, .pages = {2, 2, 2, 2}, .no_reuse = true};
static const struct plan early = {.blocks = 3, .pages = {2, 2, 2}, .returns_early = true};
static const struct plan flag = {.blocks = 3, .pages = {4, 4, 4}, .slots = 1, .no_count = true};

/* clang-format off */
#define PLAIN(n, p) .name = n, .nthreads = 2, .state = everything, .memory = MODEL_PSO, .arg = &(p), \
                    .reset = reset
#define CASE(n, p)  PLAIN(n, p), .thread = thread, .check = check
#define FAILS       .expect_failure = true

static const struct scenario cases[] = {
        {CASE("blocks_go_round_and_no_page_is_in_two_hands", go_round), .deep = {3, 2}},
        {CASE("blocks_come_back_in_any_order", reversed), .deep = {3, 2}},
        {CASE("a_slot_is_used_again_under_its_next_count", few_slots), .deep = {3, 2}},
        {CASE("a_pool_that_nobody_gives_back_to_is_full", full), .deep = {3, 2}},
        {CASE("a_killed_peer_stops_nobody", go_round), .crashes = 1, .may_crash = {[1] = true},
         .quick = {1, 1}, .deep = {1, 2}},
        {CASE("a_killed_owner_stops_nobody", go_round), .crashes = 1, .may_crash = {[0] = true},
         .quick = {1, 1}, .deep = {1, 2}},
        {PLAIN("a_lying_peer_frees_no_page_twice", lied_to), .thread = liar, .quick = {1, 1},
         .deep = {1, 2}},
        {CASE("what_is_given_back_while_it_is_read_is_overwritten", early), FAILS},
        {CASE("without_release_in_the_frame_a_block_is_torn", go_round), FAILS,
         .mutations = MODEL_WEAK_RELEASE, .mutate = 1 << 0},
        {CASE("a_flag_instead_of_a_count_loses_blocks", flag), FAILS},
        {.name = NULL},
};
/* clang-format on */

int main(int argc, char **argv) { return explore_main(argc, argv, cases); }
