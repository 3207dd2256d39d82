/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/atomic.h - the only spelling of atomics in the tree
 *
 * Each operation names its order; each use outside src/base cites an ordering edge (E1, pairs with
 * ...) or says why relaxed is enough (scripts/check-atomics.py). Operands are _Atomic uint32_t or
 * _Atomic uint64_t.
 *
 * With PTL_MODEL every access is handed to the explorer in tests/model/, which runs the shipped
 * source under every schedule and keeps a store buffer per thread; so a fence that is missing here
 * is a failure there.
 */
#pragma once
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2,
               "atomics in shared memory must be lock-free");

#ifdef PTL_MODEL

enum ptl_model_order { PTL_MODEL_RELAXED, PTL_MODEL_ACQUIRE, PTL_MODEL_RELEASE, PTL_MODEL_SEQ_CST };

uint64_t ptl_model_load(const volatile void *p, size_t size, enum ptl_model_order order);
void ptl_model_store(volatile void *p, size_t size, uint64_t value, enum ptl_model_order order);
uint64_t ptl_model_exchange(volatile void *p, size_t size, uint64_t value);
uint64_t ptl_model_add(volatile void *p, size_t size, uint64_t value);
_Bool ptl_model_cas(volatile void *p, size_t size, uint64_t *seen, uint64_t want);
void ptl_model_fence(void);
void ptl_model_pause(void); /* a spinning thread yields: others run before it looks again */

#define PTL_LOAD_(p, order)                                                                        \
        ((__typeof__(*(p) + 0))ptl_model_load((p), sizeof *(p), PTL_MODEL_##order))
#define PTL_STORE_(p, v, order) ptl_model_store((p), sizeof *(p), (uint64_t)(v), PTL_MODEL_##order)

#define ptl_load_relaxed(p)     PTL_LOAD_(p, RELAXED)
#define ptl_load_acquire(p)     PTL_LOAD_(p, ACQUIRE)
#define ptl_load_seq_cst(p)     PTL_LOAD_(p, SEQ_CST)
#define ptl_store_relaxed(p, v) PTL_STORE_(p, v, RELAXED)
#define ptl_store_release(p, v) PTL_STORE_(p, v, RELEASE)
#define ptl_store_seq_cst(p, v) PTL_STORE_(p, v, SEQ_CST)
/* Statement expressions: their value may go unused without a warning. */
#define ptl_exchange(p, v)                                                                         \
        ({ (__typeof__(*(p) + 0))ptl_model_exchange((p), sizeof *(p), (uint64_t)(v)); })
#define ptl_add(p, v) ({ (__typeof__(*(p) + 0))ptl_model_add((p), sizeof *(p), (uint64_t)(v)); })
#define ptl_cas(p, seen, want)                                                                     \
        ({                                                                                         \
                uint64_t seen_ = *(seen);                                                          \
                _Bool won_ = ptl_model_cas((p), sizeof *(p), &seen_, (uint64_t)(want));            \
                *(seen) = (__typeof__(*(seen)))seen_;                                              \
                won_;                                                                              \
        })
#define ptl_fence_seq_cst() ptl_model_fence()
#define ptl_fence_store()   ptl_model_fence()
#define ptl_pause()         ptl_model_pause()

#else

#define ptl_load_relaxed(p)     atomic_load_explicit((p), memory_order_relaxed)
#define ptl_load_acquire(p)     atomic_load_explicit((p), memory_order_acquire)
#define ptl_load_seq_cst(p)     atomic_load_explicit((p), memory_order_seq_cst)
#define ptl_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define ptl_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define ptl_store_seq_cst(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)

/* All three are acq_rel (exchange, cas) or stronger; exchange returns the old value. */
#define ptl_exchange(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define ptl_add(p, v)      atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
/* On failure *seen holds the current value, loaded with acquire. */
#define ptl_cas(p, seen, want)                                                                     \
        atomic_compare_exchange_strong_explicit((p), (seen), (want), memory_order_acq_rel,         \
                                                memory_order_acquire)

/* A store before it is seen by all before any load after it. ThreadSanitizer does not model it:
 * what it needs to know is carried by the acquire and release accesses beside it. */
static inline void ptl_fence_seq_cst(void) { atomic_thread_fence(memory_order_seq_cst); }

/* Streaming (non-temporal) stores before it are seen before any store after it. */
static inline void ptl_fence_store(void)
{
#if defined(__x86_64__)
        __builtin_ia32_sfence();
#else
        atomic_thread_fence(memory_order_release);
#endif
}

static inline void ptl_pause(void)
{
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
        __asm__ volatile("yield" ::: "memory");
#endif
}

#endif
