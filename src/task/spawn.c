/* SPDX-License-Identifier: Apache-2.0 */
/* task/spawn.c - see spawn.h */
#define _GNU_SOURCE
#include "task/spawn.h"
#include "base/cancel.h"
#include "base/cleanup.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

enum { STACK = 64 << 10 };

struct start {
        const char *program;
        char *const *arguments;
        char *stack; /* the lower of two: the server's */
        int pipe;
};

static bool is_program(const char *path) { return access(path, X_OK) == 0; }

/* portoland beside @file, or a level further up beside it in a build tree. */
static bool find_beside(const char *file, char *path, size_t room)
{
        static const char *const places[] = {"portoland", "../portoland", "../server/portoland",
                                             "src/server/portoland", "../libexec/portoland"};
        const char *slash = strrchr(file, '/');
        int folder = slash ? (int)(slash - file) : 0;

        for (size_t i = 0; slash && i < PTL_ARRAY_LEN(places); i++) {
                int n = snprintf(path, room, "%.*s/%s", folder, file, places[i]);

                if (n > 0 && (size_t)n < room && is_program(path))
                        return true;
        }
        return false;
}

/* PORTOLAND if it is set, and then nothing else; where it was installed; beside the library, beside
 * the program. */
static bool find(char *path, size_t room)
{
        const char *given = secure_getenv("PORTOLAND");
        char self[1024];
        Dl_info info;
        ssize_t n;

        if (given) {
                snprintf(path, room, "%s", given);
                return is_program(path);
        }
        snprintf(path, room, "%s", PTL_LIBEXEC);
        if (is_program(path))
                return true;
        if (dladdr((void *)(uintptr_t)&ptl_spawn_server, &info) && info.dli_fname &&
            find_beside(info.dli_fname, path, room))
                return true;
        n = readlink("/proc/self/exe", self, sizeof self - 1);
        if (n <= 0)
                return false;
        self[n] = 0;
        return find_beside(self, path, room);
}

/* As _exit(), which a sanitizer's runtime would take for the end of the program's own thread. */
static void leave(int status) { syscall(SYS_exit_group, status); }

/* The server itself. Shares memory with the program until it execs (CLONE_VFORK): it calls nothing that
 * could take a lock. */
static int server(void *arg)
{
        const struct start *s = arg;

        fcntl(s->pipe, F_SETFD, 0); /* its end tells of the server's */
        execve(s->program, s->arguments, environ);
        leave(127);
        return 127;
}

/* The process between: the kernel gives what execs an exit signal again, but this one never does. */
static int between(void *arg)
{
        struct start *s = arg;

        clone(server, s->stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, s);
        leave(0);
        return 0;
}

/* Signals wait meanwhile: a handler of the program must not run in a child. */
static int start_processes(struct start *s)
{
        ptl_cleanup(ptl_freep) char *stacks = aligned_alloc(64, 2 * STACK);
        sigset_t all, old;
        int pid, r = 0;

        if (!stacks)
                return -ENOMEM;
        s->stack = stacks;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        pid = clone(between, stacks + 2 * STACK, CLONE_VM | CLONE_VFORK, s);
        if (pid < 0)
                r = -errno;
        else
                while (waitpid(pid, NULL, __WCLONE) < 0 && errno == EINTR)
                        ;
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        return r;
}

int ptl_spawn_server(const char *path, int *ret_pipe)
{
        char program[1100];
        char *arguments[] = {program, (char *)"--background", (char *)"--idle-exit", (char *)"30",
                             (char *)"--socket", (char *)(uintptr_t)path, NULL};
        struct start s = {.program = program, .arguments = arguments};
        int ends[2], r;

        if (!find(program, sizeof program))
                return PTL_E_NO_SERVER;
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        s.pipe = ends[1];
        r = start_processes(&s);
        ptl_close(ends[1]);
        if (r)
                ptl_close(ends[0]);
        else
                *ret_pipe = ends[0];
        return r;
}

bool ptl_spawn_failed(int *pipe)
{
        PTL_NO_CANCEL;
        char byte;

        if (*pipe < 0)
                return true;
        if (read(*pipe, &byte, 1) == 0)
                *pipe = ptl_close(*pipe); /* ended: connecting once more tells how */
        return false;
}
