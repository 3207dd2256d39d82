/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process/filter.h - a process that may make the system calls of SECURITY.md's list, and no others
 *
 * The lists are that page's. What is not in them ends the process, which says what it was. The page names the
 * calls of x86-64.
 */
#pragma once
#include "tst.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>

enum { CALLS_MAX = 100 };

/* ---- what is allowed ---- */

/* clang-format off */

/* malloc() and stdio of the C library. */
static const int libc_calls[] = {
        SYS_brk, SYS_mmap, SYS_munmap, SYS_madvise, SYS_getrandom,
};

/* How the harness talks, and how it ends. */
static const int harness_calls[] = {
        SYS_sendto, SYS_recvfrom, SYS_ppoll, SYS_write, SYS_exit_group, SYS_clock_gettime, SYS_poll,
};

/* The library, but for starting a server. */
static const int library_calls[] = {
        /* first call of a task */
        SYS_mmap, SYS_madvise, SYS_epoll_create1, SYS_eventfd2, SYS_epoll_ctl, SYS_getpid,
        SYS_geteuid, SYS_getegid, SYS_openat, SYS_read, SYS_sched_getaffinity,
        /* connecting, names */
        SYS_newfstatat, SYS_socket, SYS_connect, SYS_getsockopt, SYS_sendmsg, SYS_recvmsg,
        SYS_close, SYS_getrandom, SYS_fcntl,
        /* links, regions, large messages */
        SYS_memfd_create, SYS_ftruncate, SYS_fallocate, SYS_fstatfs, SYS_munmap, SYS_statx,
        SYS_timerfd_create, SYS_timerfd_settime, SYS_prlimit64,
        /* a descriptor that is no use */
        SYS_setsockopt,
        /* sleeping, ringing */
        SYS_write, SYS_membarrier, SYS_futex, SYS_epoll_wait,
};

/* clang-format on */

struct filter {
        struct sock_filter code[2 * CALLS_MAX + 2];
        unsigned short n;
};

static inline void filter_add(struct filter *f, uint16_t code, uint8_t skip, uint32_t k)
{
        CHECK(f->n < ARRAY_LEN(f->code));
        f->code[f->n++] = (struct sock_filter){.code = code, .jf = skip, .k = k};
}

static inline void filter_allow(struct filter *f, const int *calls, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                filter_add(f, BPF_JMP | BPF_JEQ | BPF_K, 1, (uint32_t)calls[i]);
                filter_add(f, BPF_RET | BPF_K, 0, SECCOMP_RET_ALLOW);
        }
}

#define ALLOW(f, calls) filter_allow(f, calls, ARRAY_LEN(calls))

static inline struct filter filter_new(void)
{
        struct filter f = {.n = 0};

        filter_add(&f, BPF_LD | BPF_W | BPF_ABS, 0, offsetof(struct seccomp_data, nr));
        return f;
}

static inline void filter_install(struct filter *f, uint32_t otherwise)
{
        struct sock_fprog program = {.filter = f->code};

        filter_add(f, BPF_RET | BPF_K, 0, otherwise);
        program.len = f->n;
        CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

/* Where the vDSO has no clock. */
static inline void allow_clock(struct filter *f)
{
        filter_add(f, BPF_JMP | BPF_JEQ | BPF_K, 1, SYS_clock_gettime);
        filter_add(f, BPF_RET | BPF_K, 0, SECCOMP_RET_ALLOW);
}

static inline void on_forbidden(int sig, siginfo_t *info, void *context)
{
        static char text[] = "# system call 000 is not listed\n";

        for (int i = 0, n = info->si_syscall; i < 3; i++, n /= 10)
                text[16 - i] = (char)('0' + n % 10);
        (void)!write(STDERR_FILENO, text, sizeof text - 1);
        _exit(99);
}

static inline void catch_forbidden(void)
{
        struct sigaction action = {.sa_sigaction = on_forbidden, .sa_flags = SA_SIGINFO};

        CHECK(sigaction(SIGSYS, &action, NULL) == 0);
}

/* From here on this process makes no system call but the library's, the C library's and the harness'. */
static inline void confine_to_library(void)
{
        struct filter f = filter_new();

        catch_forbidden();
        ALLOW(&f, libc_calls);
        ALLOW(&f, harness_calls);
        ALLOW(&f, library_calls);
        filter_install(&f, SECCOMP_RET_TRAP);
}
