/* SPDX-License-Identifier: Apache-2.0 */
/* base/cleanup.h - scope-bound ownership (CONTRIBUTING.md, "Ownership") */
#pragma once
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Runs fn(&variable) when the variable leaves scope; fn accepts the "owns nothing" value. */
#define ptl_cleanup(fn) __attribute__((cleanup(fn)))

/* Moves a value out of an owning variable, leaving "owns nothing" behind. */
#define ptl_steal_ptr(p)                                                                           \
        ({                                                                                         \
                __typeof__(*(p)) stolen_ = *(p);                                                   \
                *(p) = NULL;                                                                       \
                stolen_;                                                                           \
        })

static inline int ptl_steal_fd(int *fd)
{
        int stolen = *fd;

        *fd = -EBADF;
        return stolen;
}

static inline void ptl_freep(void *p) { free(*(void **)p); }

static inline int ptl_close(int fd)
{
        if (fd >= 0)
                syscall(SYS_close, fd); /* close() is a cancellation point (base/cancel.h) */
        return -EBADF;
}

static inline void ptl_closep(int *fd) { ptl_close(*fd); }

#define PTL_ARRAY_LEN(a) (sizeof(a) / sizeof *(a))
#ifdef PTL_COVERAGE /* a condition is counted where its words stand: not in a macro of ours */
#define PTL_LIKELY
#define PTL_UNLIKELY
#else
#define PTL_LIKELY(x)    __builtin_expect(!!(x), 1)
#define PTL_UNLIKELY(x)  __builtin_expect(!!(x), 0)
#endif
#define PTL_COLD         __attribute__((cold, noinline))
#define PTL_ALWAYS_INLINE static inline __attribute__((always_inline))
#define PTL_CONTAINER(p, type, member) ((type *)(void *)((char *)(p) - offsetof(type, member)))
