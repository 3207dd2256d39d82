/* SPDX-License-Identifier: Apache-2.0 */
/* self_model.c - the explorer itself, on programs whose outcomes are known (litmus tests) */
#include "base/atomic.h"
#include "explore.h"
#include <string.h>

static struct {
        _Atomic uint32_t x, y, flag, lock;
        _Atomic uint64_t wide;
        uint32_t r[MODEL_THREADS][2]; /* what threads loaded */
        uint32_t kernel;              /* as an eventfd: changed by system calls only */
        uint32_t inside, count;       /* plain */
        bool learnt;
} s;

static const struct model_region everything[] = {
        {&s,   sizeof s},
        {NULL, 0       }
};

static void reset(void)
{
        memset(&s, 0, sizeof s);
        model_name(&s.x, sizeof s.x, "x");
        model_name(&s.y, sizeof s.y, "y");
        model_name(&s.flag, sizeof s.flag, "flag");
        model_name(&s.lock, sizeof s.lock, "lock");
        model_name(&s.wide, sizeof s.wide, "wide");
}

/* ---- store buffering: each stores its own and looks at the other's ---- */

enum sb { SB_PLAIN, SB_FENCE, SB_EXCHANGE, SB_SEQ_CST, SB_SEQ_CST_LOAD };

static void sb(_Atomic uint32_t *mine, _Atomic uint32_t *other, uint32_t *ret, enum sb how)
{
        if (how == SB_EXCHANGE)
                (void)ptl_exchange(mine, 1);
        else if (how == SB_SEQ_CST)
                ptl_store_seq_cst(mine, 1);
        else
                ptl_store_release(mine, 1);
        if (how == SB_FENCE)
                ptl_fence_seq_cst();
        *ret = how == SB_SEQ_CST_LOAD ? ptl_load_seq_cst(other) : ptl_load_acquire(other);
}

static void sb_thread(unsigned self)
{
        enum sb how = *(const enum sb *)model_scenario()->arg;

        if (self == 0)
                sb(&s.x, &s.y, &s.r[0][0], how);
        else
                sb(&s.y, &s.x, &s.r[1][0], how);
}

static bool sb_check(void) { return s.r[0][0] || s.r[1][0]; }

static const enum sb sb_plain = SB_PLAIN, sb_fence = SB_FENCE, sb_exchange = SB_EXCHANGE,
                     sb_seq_cst = SB_SEQ_CST, sb_seq_cst_load = SB_SEQ_CST_LOAD;

/* ---- message passing: data, then flag ---- */

static void mp_thread(unsigned self)
{
        bool release = model_scenario()->arg;

        if (self == 0) {
                ptl_store_relaxed(&s.x, 42);
                if (release)
                        ptl_store_release(&s.flag, 1);
                else
                        ptl_store_relaxed(&s.flag, 1);
                return;
        }
        s.r[1][0] = ptl_load_acquire(&s.flag);
        s.r[1][1] = ptl_load_relaxed(&s.x);
}

static bool mp_check(void) { return !s.r[1][0] || s.r[1][1] == 42; }

static void mp_spin_thread(unsigned self)
{
        if (self == 0) {
                ptl_store_relaxed(&s.x, 42);
                ptl_store_release(&s.flag, 1);
                return;
        }
        while (!ptl_load_acquire(&s.flag))
                ptl_pause();
        model_check(ptl_load_relaxed(&s.x) == 42);
}

static void copy_thread(unsigned self)
{
        static const char text[11] = "0123456789";
        char got[sizeof text];

        if (self == 0) {
                model_write(&s.r, text, sizeof text);
                ptl_store_release(&s.flag, 1);
                return;
        }
        if (!ptl_load_acquire(&s.flag))
                return;
        model_read(got, &s.r, sizeof got);
        model_check(!memcmp(got, text, sizeof text));
}

/* A later relaxed store passes a release store: visible in PSO alone. */
static void pass_thread(unsigned self)
{
        if (self == 0) {
                ptl_store_release(&s.x, 1);
                ptl_store_relaxed(&s.y, 1);
                return;
        }
        s.r[1][0] = ptl_load_acquire(&s.y);
        s.r[1][1] = ptl_load_acquire(&s.x);
}

static bool pass_check(void) { return !s.r[1][0] || s.r[1][1]; }

/* ---- forwarding (n6 of Owens, Sarkar, Sewell 2009) and memory order of writes (2+2W) ---- */

static void n6_thread(unsigned self)
{
        if (self == 0) {
                ptl_store_release(&s.x, 1);
                s.r[0][0] = ptl_load_acquire(&s.x);
                s.r[0][1] = ptl_load_acquire(&s.y);
        } else {
                ptl_store_release(&s.y, 1);
                ptl_store_release(&s.x, 2);
        }
}

static bool n6_check(void)
{
        return !(s.r[0][0] == 1 && s.r[0][1] == 0 && ptl_load_relaxed(&s.x) == 1);
}

static void ww_thread(unsigned self)
{
        ptl_store_relaxed(self ? &s.y : &s.x, 1);
        ptl_store_relaxed(self ? &s.x : &s.y, 2);
}

static bool ww_check(void) { return ptl_load_relaxed(&s.x) != 1 || ptl_load_relaxed(&s.y) != 1; }

/* Two readers agree on the order of two writers: memory is one. */
static void iriw_thread(unsigned self)
{
        if (self < 2) {
                ptl_store_release(self ? &s.y : &s.x, 1);
                return;
        }
        s.r[self][0] = ptl_load_acquire(self == 2 ? &s.x : &s.y);
        s.r[self][1] = ptl_load_acquire(self == 2 ? &s.y : &s.x);
}

static bool iriw_check(void) { return !(s.r[2][0] && !s.r[2][1] && s.r[3][0] && !s.r[3][1]); }

/* A load wider than the buffered store waits for it; a narrower one is served from it. */
static void partial_thread(unsigned self)
{
        _Atomic uint32_t *half = (_Atomic uint32_t *)(void *)&s.wide;

        if (self == 1) {
                ptl_store_relaxed(&half[1], 7);
                return;
        }
        ptl_store_relaxed(&half[0], 5);
        model_check((uint32_t)ptl_load_relaxed(&s.wide) == 5);
        ptl_store_relaxed(&s.wide, UINT64_C(0x900000008));
        model_check(ptl_load_relaxed(&half[0]) == 8);
}

static void add_thread(unsigned self)
{
        uint32_t old = 0;

        (void)self;
        (void)ptl_add(&s.x, 1);
        while (!ptl_cas(&s.y, &old, old + 1))
                ;
}

static bool add_check(void) { return ptl_load_relaxed(&s.x) == 3 && ptl_load_relaxed(&s.y) == 3; }

/* ---- Dekker ---- */

static void dekker_thread(unsigned self)
{
        _Atomic uint32_t *mine = self ? &s.y : &s.x, *other = self ? &s.x : &s.y;

        ptl_store_relaxed(mine, 1);
        ptl_fence_seq_cst();
        while (ptl_load_acquire(other)) {
                if (ptl_load_relaxed(&s.flag) == self) {
                        ptl_pause();
                        continue;
                }
                ptl_store_release(mine, 0);
                while (ptl_load_acquire(&s.flag) != self)
                        ptl_pause();
                ptl_store_relaxed(mine, 1);
                ptl_fence_seq_cst();
        }
        model_check(s.inside++ == 0);
        model_step("inside");
        s.inside--;
        s.count++;
        ptl_store_release(&s.flag, !self);
        ptl_store_release(mine, 0);
}

static bool dekker_check(void) { return s.count == 2; }

/* ---- sleeping ---- */

static bool signalled(void *arg)
{
        (void)arg;
        return s.kernel > 0;
}

/* Arms after looking: what is published between is never announced. */
static void lost_thread(unsigned self)
{
        if (self == 0) {
                ptl_store_release(&s.x, 1);
                ptl_fence_seq_cst();
                if (ptl_load_acquire(&s.flag)) {
                        model_syscall("signal");
                        s.kernel++;
                }
                return;
        }
        if (ptl_load_acquire(&s.x))
                return;
        ptl_store_seq_cst(&s.flag, 1);
        model_block_until(signalled, NULL);
}

/*
 * Counted arming: arm, then look again, then sleep; the publisher disarms and signals if it finds
 * the consumer armed. Both need the full fence between their store and their load.
 */
static void armed_consumer(void)
{
        uint32_t taken = 0;

        while (taken < 2) {
                ptl_store_relaxed(&s.flag, 1);
                ptl_fence_seq_cst();
                if (ptl_load_acquire(&s.x) == taken) {
                        model_block_until(signalled, NULL);
                        s.kernel--;
                }
                ptl_store_relaxed(&s.flag, 0);
                taken = ptl_load_acquire(&s.x);
        }
        s.count = taken;
}

static void armed_thread(unsigned self)
{
        if (self == 1) {
                armed_consumer();
                return;
        }
        for (uint32_t i = 1; i <= 2; i++) {
                ptl_store_release(&s.x, i);
                ptl_fence_seq_cst();
                if (ptl_load_relaxed(&s.flag) && ptl_exchange(&s.flag, 0)) {
                        model_syscall("signal");
                        s.kernel++;
                }
        }
}

static bool armed_check(void) { return s.count == 2; }

/* The three-state futex lock; `arg`: the unlock forgets to wake. */
static void futex_thread(unsigned self)
{
        uint32_t free_state = 0;

        (void)self;
        if (!ptl_cas(&s.lock, &free_state, 1))
                while (ptl_exchange(&s.lock, 2))
                        model_futex_wait(&s.lock, 2);
        model_check(s.inside++ == 0);
        model_step("inside");
        s.inside--;
        s.count++;
        if (ptl_exchange(&s.lock, 0) == 2 && !model_scenario()->arg)
                model_futex_wake(&s.lock, 1);
}

static bool futex_check(void) { return s.count == 3; }

static void spin_thread(unsigned self)
{
        (void)self;
        while (ptl_exchange(&s.lock, 1))
                ptl_pause();
        s.count++;
        if (!model_scenario()->arg)
                ptl_store_release(&s.lock, 0);
}

static bool spin_check(void) { return s.count == model_scenario()->nthreads; }

/* Gives up spinning after three rounds and sleeps. */
static void adaptive_thread(unsigned self)
{
        if (self == 0) {
                model_syscall("signal");
                s.kernel++;
                return;
        }
        for (int i = 0; i < 3; i++) {
                if (ptl_load_acquire(&s.x))
                        return;
                ptl_pause();
        }
        model_block_until(signalled, NULL);
}

static void endless_thread(unsigned self)
{
        (void)self;
        while (!ptl_load_acquire(&s.x))
                ;
}

static void wild_thread(unsigned self)
{
        static char *volatile nowhere;

        (void)self;
        if (ptl_add(&s.x, 1) == 1)
                *nowhere = 1;
}

static void choose_thread(unsigned self)
{
        (void)self;
        model_check(!(model_choose(3) == 2 && model_choose(3) == 1));
}

/* ---- crashes: thread 1 stores data, then flag, and may die anywhere ---- */

static void crash_thread(unsigned self)
{
        if (self == 1) {
                ptl_store_relaxed(&s.x, 42);
                ptl_store_release(&s.flag, 1);
                ptl_store_relaxed(&s.y, 1);
                return;
        }
        if (ptl_load_acquire(&s.flag))
                model_check(ptl_load_relaxed(&s.x) == 42);
}

/* All stores of the dead are in memory when the reaper looks, in an order that release kept. */
static void crash_reap(unsigned self)
{
        model_check(self == 1 && model_dead(1));
        s.learnt = true;
        s.r[1][0] = ptl_load_relaxed(&s.flag);
        s.r[1][1] = ptl_load_relaxed(&s.x);
        model_check(!s.r[1][0] || s.r[1][1] == 42);
}

static bool crash_check(void)
{
        if (s.learnt != model_dead(1))
                return false;
        return !s.learnt || s.r[1][0] == ptl_load_relaxed(&s.flag);
}

/* Some run kills between the two stores: x alone is there. */
static bool crash_between(void) { return !(s.learnt && s.r[1][1] == 42 && s.r[1][0] == 0); }

/* Some run kills a thread that has stored all, and the store is still on its way: a survivor that
 * does not wait to learn of the death may see it late. */
static void late_thread(unsigned self)
{
        if (self == 1) {
                ptl_store_relaxed(&s.x, 1);
                s.inside = 1; /* plain: tells that the store was made */
                model_step("work");
                return;
        }
        model_step("look");
        s.r[0][0] = s.inside;
        s.r[0][1] = ptl_load_relaxed(&s.x);
}

static bool late_check(void) { return !(model_dead(1) && s.r[0][0] && !s.r[0][1]); }

/* A lock that dies with its holder, with and without a reaper that opens it. */
static void orphan_thread(unsigned self)
{
        (void)self;
        while (ptl_exchange(&s.lock, self + 1))
                ptl_pause();
        ptl_store_release(&s.lock, 0);
}

static void robust_thread(unsigned self)
{
        uint32_t seen = 0;

        while (!ptl_cas(&s.lock, &seen, self + 1)) {
                seen = 0;
                ptl_pause();
        }
        model_check(s.inside == 0 || model_dead(s.inside - 1));
        s.inside = self + 1;
        model_step("inside");
        s.inside = 0;
        ptl_store_release(&s.lock, 0);
}

static void robust_reap(unsigned self)
{
        uint32_t seen = self + 1;

        ptl_cas(&s.lock, &seen, 0);
}

static bool lock_is_free(void) { return ptl_load_relaxed(&s.lock) == 0; }

static bool one_ended(void *arg)
{
        (void)arg;
        return model_ended(1);
}

static void join_thread(unsigned self)
{
        if (self == 1) {
                ptl_store_relaxed(&s.x, 1);
                ptl_store_relaxed(&s.y, 1);
                s.inside = 2;
                return;
        }
        model_block_until(one_ended, NULL);
        model_check(s.inside != 2 || (ptl_load_relaxed(&s.x) && ptl_load_relaxed(&s.y)));
}

/* ---- what is a step: `arg` says that x is ---- */

static const struct model_region flag_only[] = {
        {&s.flag, sizeof s.flag},
        {NULL,    0            }
};
static const struct model_region flag_and_x[] = {
        {&s.flag, sizeof s.flag},
        {&s.x,    sizeof s.x   },
        {NULL,    0            }
};

static void coarse_thread(unsigned self)
{
        (void)self;
        ptl_store_release(&s.flag, self);
        ptl_store_release(&s.x, ptl_load_acquire(&s.x) + 1);
}

static bool coarse_check(void) { return ptl_load_relaxed(&s.x) == 2; }

/* Relaxed accesses of what is a step are none either: a release store publishes them. */
static void published_thread(unsigned self)
{
        if (self == 0) {
                ptl_store_relaxed(&s.x, 1);
                ptl_store_release(&s.flag, 1);
                ptl_store_relaxed(&s.x, 2);
        } else if (ptl_load_acquire(&s.flag)) {
                model_check(ptl_load_relaxed(&s.x) == 2);
        }
}

/* clang-format off */
#define ALL              {MODEL_UNBOUNDED, MODEL_UNBOUNDED}
#define COMPLETE         .quick = ALL, .deep = ALL
#define FAILS            .expect_failure = true
#define CASE(n, threads) .name = n, .nthreads = threads, .reset = reset

static const struct scenario cases[] = {
        {CASE("sb_is_fine_under_sc", 2), .memory = MODEL_SC, .thread = sb_thread, .check = sb_check,
         .arg = &sb_plain, COMPLETE},
        {CASE("sb_is_found_under_tso", 2), .thread = sb_thread, .check = sb_check, .arg = &sb_plain,
         FAILS},
        {CASE("sb_is_found_under_pso", 2), .memory = MODEL_PSO, .thread = sb_thread,
         .check = sb_check, .arg = &sb_plain, FAILS},
        {CASE("sb_with_fences_is_fine_under_tso", 2), .thread = sb_thread, .check = sb_check,
         .arg = &sb_fence, COMPLETE},
        {CASE("sb_with_fences_is_fine_under_pso", 2), .memory = MODEL_PSO, .thread = sb_thread,
         .check = sb_check, .arg = &sb_fence, COMPLETE},
        {CASE("sb_with_the_fences_dropped_is_found", 2), .thread = sb_thread, .check = sb_check,
         .arg = &sb_fence, .mutations = MODEL_DROP_FENCES, FAILS},
        {CASE("sb_with_one_fence_dropped_is_found", 2), .thread = sb_thread, .check = sb_check,
         .arg = &sb_fence, .mutations = MODEL_DROP_FENCES, .mutate = 1 << 1, FAILS},
        {CASE("sb_with_exchange_is_fine", 2), .memory = MODEL_PSO, .thread = sb_thread,
         .check = sb_check, .arg = &sb_exchange, COMPLETE},
        {CASE("sb_with_seq_cst_stores_is_fine", 2), .memory = MODEL_PSO, .thread = sb_thread,
         .check = sb_check, .arg = &sb_seq_cst, COMPLETE},
        {CASE("sb_with_seq_cst_stores_weakened_is_found", 2), .thread = sb_thread,
         .check = sb_check, .arg = &sb_seq_cst, .mutations = MODEL_WEAK_SEQ_CST, FAILS},
        {CASE("sb_with_seq_cst_loads_alone_is_found", 2), .thread = sb_thread, .check = sb_check,
         .arg = &sb_seq_cst_load, FAILS},
        {CASE("sb_with_seq_cst_loads_that_drain_is_fine", 2), .thread = sb_thread,
         .check = sb_check, .arg = &sb_seq_cst_load, .seq_cst_load_drains = true, COMPLETE},
        {CASE("mp_relaxed_is_fine_under_tso", 2), .thread = mp_thread, .check = mp_check, COMPLETE},
        {CASE("mp_relaxed_is_found_under_pso", 2), .memory = MODEL_PSO, .thread = mp_thread,
         .check = mp_check, FAILS},
        {CASE("mp_release_is_fine_under_pso", 2), .memory = MODEL_PSO, .thread = mp_thread,
         .check = mp_check, .arg = "release", COMPLETE},
        {CASE("mp_release_weakened_is_found_under_pso", 2), .memory = MODEL_PSO,
         .thread = mp_thread, .check = mp_check, .arg = "release", .mutations = MODEL_WEAK_RELEASE,
         FAILS},
        {CASE("mp_with_a_spinning_reader_ends", 2), .memory = MODEL_PSO, .thread = mp_spin_thread,
         COMPLETE},
        {CASE("copied_data_is_whole_after_release", 2), .memory = MODEL_PSO, .thread = copy_thread,
         COMPLETE},
        {CASE("copied_data_is_torn_without_release", 2), .memory = MODEL_PSO, .thread = copy_thread,
         .mutations = MODEL_WEAK_RELEASE, FAILS},
        {CASE("release_is_not_passed_under_tso", 2), .thread = pass_thread, .check = pass_check,
         COMPLETE},
        {CASE("release_is_passed_by_a_later_store_under_pso", 2), .memory = MODEL_PSO,
         .thread = pass_thread, .check = pass_check, FAILS},
        {CASE("owner_reads_its_store_before_others_do", 2), .thread = n6_thread, .check = n6_check,
         FAILS},
        {CASE("crossed_writes_are_fine_under_tso", 2), .thread = ww_thread, .check = ww_check,
         COMPLETE},
        {CASE("crossed_writes_are_found_under_pso", 2), .memory = MODEL_PSO, .thread = ww_thread,
         .check = ww_check, FAILS},
        {CASE("readers_agree_on_the_order_of_writers", 4), .memory = MODEL_PSO,
         .thread = iriw_thread, .check = iriw_check, COMPLETE},
        {CASE("overlapping_accesses_forward_or_drain", 2), .memory = MODEL_PSO,
         .thread = partial_thread, COMPLETE},
        {CASE("add_and_cas_count_every_thread", 3), .thread = add_thread, .check = add_check,
         COMPLETE},
        {CASE("split_add_and_cas_are_found", 3), .thread = add_thread, .check = add_check,
         .mutations = MODEL_SPLIT_CAS, FAILS},
        {CASE("dekker_with_fences_excludes",2), .thread = dekker_thread, .check = dekker_check,
         .memory = MODEL_PSO, .quick = {3, 3}, .deep = {6, 6}},
        {CASE("dekker_without_fences_is_found", 2), .thread = dekker_thread, .check = dekker_check,
         .mutations = MODEL_DROP_FENCES, FAILS},
        {CASE("arming_after_the_look_loses_a_wake_up", 2), .thread = lost_thread, FAILS},
        {CASE("counted_arming_loses_none", 2), .thread = armed_thread, .check = armed_check,
         .memory = MODEL_PSO, .quick = {4, 4}, .deep = ALL, .state = everything},
        {CASE("counted_arming_needs_the_publishers_fence", 2), .thread = armed_thread,
         .check = armed_check, .mutations = MODEL_DROP_FENCES, .mutate = 1 << 0, FAILS},
        {CASE("counted_arming_needs_the_consumers_fence", 2), .thread = armed_thread,
         .check = armed_check, .mutations = MODEL_DROP_FENCES, .mutate = 1 << 1, FAILS},
        {CASE("futex_lock_excludes_and_wakes", 3), .thread = futex_thread, .check = futex_check},
        {CASE("futex_lock_that_never_wakes_is_found", 3), .thread = futex_thread,
         .check = futex_check, .arg = "never", FAILS},
        {CASE("spin_lock_lets_all_in", 3), .thread = spin_thread, .check = spin_check, COMPLETE,
         .state = everything},
        {CASE("spin_lock_never_opened_is_a_deadlock", 3), .thread = spin_thread, .arg = "never",
         FAILS},
        {CASE("spinning_that_gives_up_is_no_deadlock", 2), .thread = adaptive_thread, .spins = 3,
         COMPLETE},
        {CASE("loop_without_pause_is_a_livelock", 1), .thread = endless_thread, FAILS},
        {CASE("wild_access_fails_the_run", 2), .thread = wild_thread, FAILS},
        {CASE("every_choice_is_taken", 1), .thread = choose_thread, FAILS},
        {CASE("reaper_sees_all_stores_of_the_dead", 2), .memory = MODEL_PSO, .thread = crash_thread,
         .crashes = 1, .may_crash = {[1] = true}, .on_death = crash_reap, .check = crash_check,
         COMPLETE},
        {CASE("reaper_in_one_step_sees_all_stores_of_the_dead", 2), .thread = crash_thread,
         .crashes = 1, .may_crash = {[1] = true}, .on_death = crash_reap, .check = crash_check,
         .death_is_one_step = true, COMPLETE},
        {CASE("kill_between_two_stores_is_found", 2), .thread = crash_thread, .crashes = 1,
         .may_crash = {[1] = true}, .on_death = crash_reap, .check = crash_between, FAILS},
        {CASE("store_of_the_dead_may_come_late", 2), .thread = late_thread, .crashes = 1,
         .may_crash = {[1] = true}, .check = late_check, FAILS},
        {CASE("lock_of_the_dead_is_a_deadlock", 2), .thread = orphan_thread, .crashes = 1,
         .may_crash = {[1] = true}, FAILS},
        {CASE("lock_of_the_dead_is_opened_by_the_reaper", 3), .thread = robust_thread, .crashes = 2,
         .may_crash = {false, true, true}, .on_death = robust_reap, .state = everything,
         .check = lock_is_free},
        {CASE("end_of_a_thread_shows_all_its_stores", 2), .memory = MODEL_PSO,
         .thread = join_thread, .crashes = 1, .may_crash = {[1] = true}, COMPLETE},
        {CASE("what_is_no_step_is_undivided_with_the_step_before_it", 2), .memory = MODEL_SC, .thread = coarse_thread,
         .check = coarse_check, .steps = flag_only, COMPLETE},
        {CASE("what_is_a_step_is_divided", 2), .memory = MODEL_SC, .thread = coarse_thread, .check = coarse_check,
         .steps = flag_and_x, FAILS},
        {CASE("what_is_relaxed_is_no_step", 2), .memory = MODEL_SC, .thread = published_thread, .steps = flag_and_x,
         COMPLETE},
        {CASE("without_bounds_states_are_still_told_apart", 3), .memory = MODEL_SC, .thread = add_thread,
         .check = add_check, .mutations = MODEL_SPLIT_CAS, .state = everything, .quick = ALL, .deep = ALL, FAILS},
        {.name = NULL},
};
/* clang-format on */

int main(int argc, char **argv) { return explore_main(argc, argv, cases); }
