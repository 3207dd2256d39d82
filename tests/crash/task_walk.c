/* SPDX-License-Identifier: Apache-2.0 */
/* task_walk.c - see task_walk.h */
#define _GNU_SOURCE
#include "task_walk.h"
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_PERMITTED = 99, TICK_US = 1000, LOOKS_ASLEEP = 2, PATIENCE_TICKS = 10000 };

extern const char __executable_start[];

void walk_allow(void)
{
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
                _exit(NOT_PERMITTED);
}

void walk_stop(void) { raise(SIGSTOP); }

/* 'S', 'R', 't', ...; 0: gone. */
static char state_of(pid_t pid)
{
        char path[64], text[256], *end;
        size_t n;
        FILE *f;

        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        if (!(f = fopen(path, "re")))
                return 0;
        n = fread(text, 1, sizeof text - 1, f);
        fclose(f);
        text[n] = '\0';
        end = strrchr(text, ')');
        return end && end[1] ? end[2] : 0;
}

static void on_tick(int sig) { (void)sig; }

/* The tick repeats: one that comes just before the wait begins is followed by another. */
static void tick(bool on)
{
        struct sigaction action = {.sa_handler = on_tick}; /* no SA_RESTART: it is to end the wait */
        struct itimerval every = {.it_interval.tv_usec = on ? TICK_US : 0,
                                  .it_value.tv_usec = on ? TICK_US : 0};

        if (on)
                sigaction(SIGALRM, &action, NULL);
        setitimer(ITIMER_REAL, &every, NULL);
}

/* Waits for the next stop. A nap within a system call is shorter than what counts as asleep. */
static enum walk_end next_stop(struct walk *w)
{
        unsigned asleep = 0;

        for (unsigned ticks = 0; ticks < PATIENCE_TICKS; ticks++) {
                pid_t pid = waitpid(w->pid, &w->status, 0);

                if (pid == w->pid) {
                        w->sleeping = false;
                        return WALK_THERE;
                }
                if (pid < 0 && errno != EINTR)
                        return WALK_LOST;
                asleep = state_of(w->pid) == 'S' ? asleep + 1 : 0;
                if (asleep == LOOKS_ASLEEP) {
                        w->sleeping = true;
                        return WALK_ASLEEP;
                }
        }
        return WALK_LOST;
}

static bool is_stopped_by(const struct walk *w, int sig)
{
        return WIFSTOPPED(w->status) && WSTOPSIG(w->status) == sig;
}

enum walk_end walk_begin(struct walk *w, pid_t pid, const _Atomic uint32_t *phase, int ms)
{
        pid_t got = 0;

        *w = (struct walk){.pid = pid, .phase = phase};
        for (tick(true); ms > 0 && got != pid; ms -= got != pid)
                got = waitpid(pid, &w->status, 0);
        tick(false);
        if (got == pid && WIFEXITED(w->status) && WEXITSTATUS(w->status) == NOT_PERMITTED)
                return WALK_DENIED;
        if (got != pid || !is_stopped_by(w, SIGSTOP))
                return WALK_LOST;
        ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(uintptr_t)PTRACE_O_EXITKILL);
        return WALK_THERE;
}

static enum walk_end one_step(struct walk *w)
{
        bool within;
        enum walk_end end;

        if (!w->sleeping && ptrace(PTRACE_SINGLESTEP, w->pid, NULL, NULL) < 0)
                return WALK_LOST;
        end = next_stop(w);
        if (end != WALK_THERE)
                return end;
        if (!is_stopped_by(w, SIGTRAP))
                return WALK_LOST;
        within = ptl_load_acquire(w->phase) == WALK_WITHIN;
        w->steps += within;
        return within || ptl_load_acquire(w->phase) == WALK_BEFORE ? WALK_THERE : WALK_DONE;
}

/* The instructions between walk_stop() and the function are not counted; they come before it. */
enum walk_end walk_on(struct walk *w, unsigned steps)
{
        enum walk_end end = WALK_THERE;

        tick(true);
        while (end == WALK_THERE && (w->steps < steps || ptl_load_acquire(w->phase) == WALK_BEFORE))
                end = one_step(w);
        tick(false);
        return end;
}

enum walk_end walk_free(struct walk *w)
{
        enum walk_end end;

        if (!w->sleeping && ptrace(PTRACE_CONT, w->pid, NULL, NULL) < 0)
                return WALK_LOST;
        tick(true);
        end = next_stop(w);
        tick(false);
        if (end != WALK_THERE)
                return end;
        return WIFEXITED(w->status) && WEXITSTATUS(w->status) == 0 ? WALK_DONE : WALK_LOST;
}

unsigned long walk_place(const struct walk *w)
{
        struct user_regs_struct regs = {0};
        struct iovec all = {.iov_base = &regs, .iov_len = sizeof regs};

        if (w->sleeping || !WIFSTOPPED(w->status) ||
            ptrace(PTRACE_GETREGSET, w->pid, (void *)(uintptr_t)NT_PRSTATUS, &all) < 0)
                return 0;
#if defined(__x86_64__)
        return regs.rip - (unsigned long)(uintptr_t)__executable_start;
#elif defined(__aarch64__)
        return regs.pc - (unsigned long)(uintptr_t)__executable_start;
#else
        return 0;
#endif
}

void walk_kill(struct walk *w)
{
        kill(w->pid, SIGKILL);
        while (!WIFEXITED(w->status) && !WIFSIGNALED(w->status))
                if (waitpid(w->pid, &w->status, 0) < 0 && errno != EINTR)
                        return;
}
