/* SPDX-License-Identifier: Apache-2.0 */
/* step.c - see step.h */
#define _GNU_SOURCE
#include "step.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_PERMITTED = 99 };

/* Where the victim is; only points within its function are looked at. */
enum phase { BEFORE, WITHIN, AFTER };

static _Noreturn void be_victim(step_fn *victim, void *scene, _Atomic uint32_t *phase)
{
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
                _exit(NOT_PERMITTED);
        raise(SIGSTOP);
        ptl_store_release(phase, WITHIN);
        victim(scene);
        ptl_store_release(phase, AFTER);
        _exit(0);
}

/* Steps until the victim has ended; its wait status. */
static int step_to_the_end(pid_t pid, step_fn *look, void *scene, _Atomic uint32_t *phase,
                           unsigned *points)
{
        int status;

        if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
                return status;
        ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(uintptr_t)PTRACE_O_EXITKILL);
        while (WIFSTOPPED(status)) {
                int sig = WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == SIGSTOP
                                  ? 0
                                  : WSTOPSIG(status);

                if (ptl_load_acquire(phase) == WITHIN) {
                        look(scene);
                        ++*points;
                }
                if (ptrace(PTRACE_SINGLESTEP, pid, NULL, (void *)(uintptr_t)sig) < 0 ||
                    waitpid(pid, &status, 0) != pid)
                        return -1;
        }
        look(scene);
        ++*points;
        return status;
}

int step_every_instruction(step_fn *victim, step_fn *look, void *scene, unsigned *ret_points)
{
        _Atomic uint32_t *phase = mmap(NULL, sizeof *phase, PROT_READ | PROT_WRITE,
                                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        int status = -1;
        pid_t pid;

        *ret_points = 0;
        if (phase == MAP_FAILED)
                return -errno;
        pid = fork();
        if (pid == 0)
                be_victim(victim, scene, phase);
        if (pid > 0)
                status = step_to_the_end(pid, look, scene, phase, ret_points);
        munmap(phase, sizeof *phase);
        if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_PERMITTED)
                return -EPERM;
        return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

bool step_box_new(struct ptl_outbox *ret_box)
{
        void *base = mmap(NULL, PTL_OUTBOX_SIZE, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        ret_box->base = base == MAP_FAILED ? NULL : base;
        return ret_box->base;
}

void step_box_copy(const struct ptl_outbox *to, const struct ptl_outbox *from,
                   const struct step_range *ranges, unsigned n)
{
        for (; n--; ranges++)
                memcpy(to->base + ranges->offset, from->base + ranges->offset, ranges->size);
}
