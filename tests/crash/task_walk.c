/* SPDX-License-Identifier: Apache-2.0 */
/* task_walk.c - see task_walk.h */
#define _GNU_SOURCE
#include "task_walk.h"
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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
        struct sigaction action = {.sa_handler =
                                           on_tick}; /* no SA_RESTART: it is to end the wait */
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

/* ---- registers ---- */

#if defined(__x86_64__)
#define PC(regs) ((regs).rip)
enum { BREAK = 0xcc, BREAK_MASK = 0xff, BREAK_LENGTH = 1 }; /* int3; the pc is behind it then */
#elif defined(__aarch64__)
#define PC(regs) ((regs).pc)
enum { BREAK = (int)0xd4200000, BREAK_MASK = -1, BREAK_LENGTH = 0 }; /* brk #0 */
#else
#error "walks on x86-64 and aarch64 only"
#endif

static bool read_registers(const struct walk *w, struct user_regs_struct *regs)
{
        struct iovec all = {.iov_base = regs, .iov_len = sizeof *regs};

        return ptrace(PTRACE_GETREGSET, w->pid, (void *)(uintptr_t)NT_PRSTATUS, &all) == 0;
}

static bool write_registers(const struct walk *w, struct user_regs_struct *regs)
{
        struct iovec all = {.iov_base = regs, .iov_len = sizeof *regs};

        return ptrace(PTRACE_SETREGSET, w->pid, (void *)(uintptr_t)NT_PRSTATUS, &all) == 0;
}

unsigned long walk_offset(const struct walk *w)
{
        struct user_regs_struct regs;

        if (w->sleeping || !WIFSTOPPED(w->status) || !read_registers(w, &regs))
                return 0;
        return PC(regs) - (unsigned long)(uintptr_t)__executable_start;
}

/* False where code cannot be written, as in the vDSO. The victim's copy of it is its own. */
static bool set_breakpoint(struct walk *w, unsigned long address)
{
        long word;

        errno = 0;
        w->code = ptrace(PTRACE_PEEKTEXT, w->pid, (void *)address, NULL);
        word = (w->code & ~(long)(unsigned)BREAK_MASK) | (unsigned)BREAK;
        if (errno || ptrace(PTRACE_POKETEXT, w->pid, (void *)address, (void *)word) < 0)
                return false;
        w->breakpoint = address;
        return true;
}

/* Takes the breakpoint away, and stands where it was. False: it was another's. */
static bool clear_breakpoint(struct walk *w)
{
        struct user_regs_struct regs;
        unsigned long address = w->breakpoint;

        w->breakpoint = 0;
        if (!read_registers(w, &regs) || PC(regs) != address + BREAK_LENGTH)
                return false;
        PC(regs) = address;
        return write_registers(w, &regs) &&
               ptrace(PTRACE_POKETEXT, w->pid, (void *)address, (void *)w->code) == 0;
}

/* ---- steps ---- */

static enum walk_end go_on(struct walk *w, int how)
{
        if (w->sleeping || ptrace(how, w->pid, NULL, NULL) == 0)
                return next_stop(w);
        return WALK_LOST;
}

/* The instructions between walk_stop() and the function are not counted; they come before it. */
static enum walk_end one_step(struct walk *w)
{
        enum walk_end end = go_on(w, PTRACE_SINGLESTEP);

        if (end != WALK_THERE)
                return end;
        if (!is_stopped_by(w, SIGTRAP))
                return WALK_LOST;
        if (ptl_load_acquire(w->phase) == WALK_AFTER)
                return WALK_DONE;
        w->steps += ptl_load_acquire(w->phase) == WALK_WITHIN;
        return WALK_THERE;
}

/* Runs until it stops at a breakpoint (THERE), or itself, behind the function (DONE). */
static enum walk_end run(struct walk *w)
{
        enum walk_end end = go_on(w, PTRACE_CONT);

        if (end != WALK_THERE)
                return end;
        if (is_stopped_by(w, SIGTRAP))
                return w->breakpoint && clear_breakpoint(w) ? WALK_THERE : WALK_LOST;
        if (is_stopped_by(w, SIGSTOP) && ptl_load_acquire(w->phase) == WALK_AFTER)
                return WALK_DONE;
        return WIFEXITED(w->status) && WEXITSTATUS(w->status) == 0 ? WALK_DONE : WALK_LOST;
}

static enum walk_end timed_run(struct walk *w)
{
        enum walk_end end;

        tick(true);
        end = run(w);
        tick(false);
        return end;
}

enum walk_end walk_free(struct walk *w) { return timed_run(w); }

/* ---- the trace ---- */

static unsigned times_before(const struct walk_trace *t, unsigned long address)
{
        for (unsigned i = t->n; i-- > 0;)
                if (t->places[i].address == address)
                        return t->places[i].times + 1;
        return 0;
}

static bool add_place(struct walk_trace *t, const struct walk *w)
{
        struct user_regs_struct regs;
        struct walk_place *place;

        if ((t->n & (t->n - 1)) == 0) { /* room doubles at powers of two */
                place = realloc(t->places, (t->n ? 2 * (size_t)t->n : 1) * sizeof *place);
                if (!place)
                        return false;
                t->places = place;
        }
        if (!read_registers(w, &regs))
                return false;
        place = &t->places[t->n];
        place->address = PC(regs);
        place->times = times_before(t, place->address);
        t->n++;
        return true;
}

enum walk_end walk_record(struct walk *w, struct walk_trace *trace)
{
        enum walk_end end = WALK_THERE;

        tick(true);
        while (end == WALK_THERE) {
                end = one_step(w);
                if (end == WALK_THERE && w->steps > trace->n && !add_place(trace, w))
                        end = WALK_LOST;
        }
        tick(false);
        return end;
}

/* Sets a breakpoint at the last place before @steps that is met for the first time there. */
static void shorten(struct walk *w, const struct walk_trace *t, unsigned steps)
{
        unsigned i = steps < t->n ? steps : t->n;

        while (i-- > 0)
                if (t->places[i].times == 0 && set_breakpoint(w, t->places[i].address)) {
                        w->steps = i + 1; /* once there */
                        return;
                }
}

enum walk_end walk_to(struct walk *w, const struct walk_trace *trace, unsigned steps)
{
        enum walk_end end = WALK_THERE;

        if (w->steps == 0 && trace)
                shorten(w, trace, steps);
        if (w->breakpoint)
                end = timed_run(w);
        tick(true);
        while (end == WALK_THERE && (w->steps < steps || ptl_load_acquire(w->phase) == WALK_BEFORE))
                end = one_step(w);
        tick(false);
        return end;
}

void walk_kill(struct walk *w)
{
        kill(w->pid, SIGKILL);
        while (!WIFEXITED(w->status) && !WIFSIGNALED(w->status))
                if (waitpid(w->pid, &w->status, 0) < 0 && errno != EINTR)
                        return;
}
