/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock_model.c - base/lock.c as shipped: one at a time, and nobody sleeps for ever
 *
 * lock.c is included with one round of spinning, so that every case reaches the sleeping half.
 */
#include "explore.h"
#include <string.h>

#define PTL_LOCK_SPINS 1
#include "base/futex.h"
#include "base/lock.h"

enum rule { UNLOCK_WAKES = 1, TAKEN_AS_CONTESTED = 2 };

static unsigned without(void)
{
        const unsigned *rules = model_scenario()->arg;

        return rules ? *rules : 0;
}

static uint64_t exchange(_Atomic uint32_t *word, uint32_t value)
{
        if (value == PTL_LOCK_CONTESTED && without() & TAKEN_AS_CONTESTED) {
                uint32_t seen = PTL_LOCK_FREE;

                if (ptl_cas(word, &seen, PTL_LOCK_HELD))
                        return PTL_LOCK_FREE;
        }
        return ptl_exchange(word, value);
}

#undef ptl_exchange
#define ptl_exchange(p, v) exchange(p, v)
#include "base/lock.c"

void ptl_futex_wait(_Atomic uint32_t *word, uint32_t value, ptl_time deadline)
{
        (void)deadline;
        model_futex_wait(word, value);
}

void ptl_futex_wake(_Atomic uint32_t *word, int count)
{
        if (!(without() & UNLOCK_WAKES))
                model_futex_wake(word, (unsigned)count);
}

static struct {
        struct ptl_lock lock;
        _Atomic uint32_t data; /* what the lock guards, through the store buffers */
        uint32_t inside;
} s;

static const struct model_region everything[] = {
        {&s,   sizeof s},
        {NULL, 0       }
};

static void reset(void)
{
        memset(&s, 0, sizeof s);
        model_name(&s.lock, sizeof s.lock, "lock");
        model_name(&s.data, sizeof s.data, "data");
}

static void once(void)
{
        uint32_t seen;

        ptl_lock(&s.lock);
        model_check(s.inside++ == 0);
        seen = ptl_load_relaxed(&s.data);
        ptl_store_relaxed(&s.data, seen + 1);
        s.inside--;
        ptl_unlock(&s.lock);
}

static void thread(unsigned self)
{
        once();
        if (self == 0)
                once();
}

static bool check(void)
{
        return ptl_load_relaxed(&s.data) == model_scenario()->nthreads + 1 &&
               ptl_load_relaxed(&s.lock.state) == PTL_LOCK_FREE;
}

static const unsigned no_wake = UNLOCK_WAKES, as_held = TAKEN_AS_CONTESTED;

/* clang-format off */
#define ALL        {MODEL_UNBOUNDED, MODEL_UNBOUNDED}
#define CASE(n, t) .name = n, .nthreads = t, .memory = MODEL_PSO, .state = everything, .reset = reset, \
                   .thread = thread, .check = check, .spins = PTL_LOCK_SPINS + 1
#define FAILS      .expect_failure = true

static const struct scenario cases[] = {
        {CASE("two_threads_exclude_each_other_and_both_get_in", 2), .quick = ALL, .deep = ALL},
        {CASE("three_threads_exclude_each_other_and_all_get_in", 3), .quick = {3, 3}, .deep = {6, 6}},
        {CASE("four_threads_exclude_each_other_and_all_get_in", 4), .quick = {2, 2}, .deep = {3, 3}},
        {CASE("without_the_wake_a_sleeper_never_gets_in", 2), FAILS, .arg = &no_wake},
        {CASE("a_sleeper_that_takes_it_as_held_forgets_the_others", 3), FAILS, .arg = &as_held,
         .deep = {4, 4}, .quick = {4, 4}},
        {CASE("without_undivided_exchange_it_is_no_lock", 2), FAILS, .mutations = MODEL_SPLIT_CAS},
        {.name = NULL},
};
/* clang-format on */

int main(int argc, char **argv) { return explore_main(argc, argv, cases); }
