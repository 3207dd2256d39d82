/* SPDX-License-Identifier: Apache-2.0 */
/* task/spawn.c - see spawn.h */
#define _GNU_SOURCE
#include "task/spawn.h"
#include "base/cancel.h"
#include "base/cleanup.h"
#include <dlfcn.h>
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

/* Shares the caller's memory until it execs (CLONE_VFORK): calls nothing that could take a lock. */
static int child(void *arg)
{
        const struct start *s = arg;

        execve(s->program, s->arguments, environ);
        _exit(127);
}

/* Signals wait meanwhile: a handler of the program must not run in the child. */
static int start_process(struct start *s, int *ret_pid)
{
        ptl_cleanup(ptl_freep) char *stack = malloc(STACK);
        sigset_t all, old;
        int pid;

        if (!stack)
                return -ENOMEM;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        pid = clone(child, (char *)((uintptr_t)(stack + STACK) & ~(uintptr_t)63),
                    CLONE_VM | CLONE_VFORK, s);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (pid < 0)
                return -errno;
        *ret_pid = pid;
        return 0;
}

int ptl_spawn_server(const char *path, int *ret_pid)
{
        char program[1100];
        char *arguments[] = {program, (char *)"--background", (char *)"--idle-exit", (char *)"30",
                             (char *)"--socket", (char *)(uintptr_t)path, NULL};
        struct start s = {.program = program, .arguments = arguments};

        if (!find(program, sizeof program))
                return PTL_E_NO_SERVER;
        return start_process(&s, ret_pid);
}

int ptl_spawn_failed(int *pid)
{
        PTL_NO_CANCEL;
        int status = 0, r = waitpid(*pid, &status, __WALL | WNOHANG);

        if (r == 0)
                return 0;
        *pid = 0;
        return r < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}
