/* SPDX-License-Identifier: Apache-2.0 */
/* base/lock_test.c - one holder at a time, a sleeper is woken, one thread costs no atomics */
#include "base/lock.h"
#include "tst.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/syscall.h>

enum { THREADS = 4, ROUNDS = 20000 };

static struct ptl_lock lock;
static unsigned counter, mirror; /* plain: the lock guards them, and TSan watches */

static void *count(void *arg)
{
        (void)arg;
        for (int i = 0; i < ROUNDS; i++) {
                ptl_lock(&lock);
                CHECK_EQ(counter, mirror);
                counter++;
                if (i % 64 == 0)
                        sched_yield(); /* holds it for long now and then: others sleep */
                mirror++;
                ptl_unlock(&lock);
        }
        return NULL;
}

TEST(one_thread_at_a_time_holds_the_lock)
{
        pthread_t threads[THREADS];

        for (int i = 0; i < THREADS; i++)
                CHECK(pthread_create(&threads[i], NULL, count, NULL) == 0);
        for (int i = 0; i < THREADS; i++)
                CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK_EQ(counter, THREADS * ROUNDS);
        CHECK_EQ(ptl_load_acquire(&lock.state), PTL_LOCK_FREE);
}

static _Atomic uint32_t entered;

static void *enter(void *arg)
{
        (void)arg;
        ptl_lock(&lock);
        ptl_add(&entered, 1);
        ptl_unlock(&lock);
        return NULL;
}

static void *hold_while_others_come(void *arg)
{
        pthread_t threads[THREADS];

        (void)arg;
        ptl_lock(&lock);
        for (int i = 0; i < THREADS; i++)
                CHECK(pthread_create(&threads[i], NULL, enter, NULL) == 0);
        CHECK(tst_wait_until(ptl_load_acquire(&lock.state) == PTL_LOCK_CONTESTED, 5000));
        CHECK_EQ(ptl_load_acquire(&entered), 0);
        ptl_unlock(&lock);
        for (int i = 0; i < THREADS; i++)
                CHECK(pthread_join(threads[i], NULL) == 0);
        return NULL;
}

TEST(all_who_sleep_on_a_lock_are_woken_in_turn)
{
        pthread_t holder;

        /* In a thread, so that the lock is never taken while the process is single-threaded. */
        CHECK(pthread_create(&holder, NULL, hold_while_others_come, NULL) == 0);
        CHECK(pthread_join(holder, NULL) == 0);
        CHECK_EQ(ptl_load_acquire(&entered), THREADS);
        CHECK_EQ(ptl_load_acquire(&lock.state), PTL_LOCK_FREE);
}

TEST(lock_works_alone_and_still_when_threads_come)
{
        pthread_t thread;

        for (int i = 0; i < 3; i++) { /* no thread yet: the plain path */
                ptl_lock(&lock);
                CHECK_EQ(ptl_load_relaxed(&lock.state), PTL_LOCK_HELD);
                ptl_unlock(&lock);
                CHECK_EQ(ptl_load_relaxed(&lock.state), PTL_LOCK_FREE);
        }
        CHECK(pthread_create(&thread, NULL, count, NULL) == 0);
        count(NULL);
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK_EQ(counter, 2 * ROUNDS);
}

/* From here on a futex call ends this process. */
static bool forbid_futex(void)
{
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {ARRAY_LEN(code), code};

        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
               prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST(lock_that_nobody_wants_takes_no_system_call)
{
        pthread_t thread;

        CHECK(pthread_create(&thread, NULL, enter, NULL) == 0); /* the atomic path from now on */
        CHECK(pthread_join(thread, NULL) == 0);
        if (!forbid_futex())
                SKIP("no seccomp filters here");
        for (int i = 0; i < 100; i++) {
                ptl_lock(&lock);
                CHECK_EQ(ptl_load_relaxed(&lock.state), PTL_LOCK_HELD);
                ptl_unlock(&lock);
                CHECK_EQ(ptl_load_relaxed(&lock.state), PTL_LOCK_FREE);
        }
}
