/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/actor.c - the processes that play the tour's roles: start, hear, tell, kill */
#include "cmd/actor.h"
#include "base/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int cast_init(struct cast *c)
{
        sigset_t set;

        *c = (struct cast){.signals = -EBADF};
        sigemptyset(&set);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGHUP);
        if (sigprocmask(SIG_BLOCK, &set, NULL))
                return -errno;
        signal(SIGPIPE, SIG_IGN); /* an actor may die before its cue */
        c->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        return c->signals < 0 ? -errno : 0;
}

void cast_fini(struct cast *c)
{
        for (size_t i = 0; i < ACTORS_MAX; i++) {
                actor_kill(&c->actors[i]);
                actor_end(c, &c->actors[i], 0);
                actor_free(&c->actors[i]);
        }
        c->signals = ptl_close(c->signals);
}

static struct actor *find_free(struct cast *c)
{
        for (size_t i = 0; i < ACTORS_MAX; i++)
                if (!c->actors[i].pid)
                        return &c->actors[i];
        return NULL;
}

/* Where there is no /proc, as the kernel was told. */
static const char *this_program(void)
{
        if (access("/proc/self/exe", X_OK) == 0)
                return "/proc/self/exe";
        return (const char *)getauxval(AT_EXECFN); // NOLINT: the kernel's pointer
}

/*
 * The descriptors to keep are moved up first: one of them may stand where another is to go. All but
 * the copies are close-on-exec.
 */
static int spawn_with(pid_t *ret_pid, char **argv, const int *fds, size_t n)
{
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, all;
        int r;

        sigemptyset(&none);
        sigfillset(&all);
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        for (size_t i = 0; i < n; i++)
                posix_spawn_file_actions_adddup2(&actions, fds[i], i < 2 ? (int)i : (int)i + 1);
        r = posix_spawn(ret_pid, this_program(), &actions, &attributes, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
        return -r;
}

static int spawn_apart(pid_t *ret_pid, char **argv, int in, int out, const int *keep)
{
        enum { ABOVE = 64 };
        int fds[2 + ACTOR_KEEP_MAX], r = 0;
        size_t n = 0;

        for (size_t i = 0; !r && i < 2 + ACTOR_KEEP_MAX; i++) {
                int fd = i == 0 ? in : i == 1 ? out : keep ? keep[i - 2] : -1;

                if (fd < 0)
                        break;
                fds[n] = fcntl(fd, F_DUPFD_CLOEXEC, ABOVE);
                if (fds[n] < 0)
                        r = -errno;
                else
                        n++;
        }
        if (!r)
                r = spawn_with(ret_pid, argv, fds, n);
        while (n)
                ptl_close(fds[--n]);
        return r;
}

static int start(struct actor *a, char **argv, const int *keep)
{
        ptl_cleanup(ptl_closep) int in = -EBADF, out = -EBADF, cues = -EBADF, reports = -EBADF;
        int p[2], r;

        if (pipe2(p, O_CLOEXEC))
                return -errno;
        in = p[0], cues = p[1];
        if (pipe2(p, O_CLOEXEC))
                return -errno;
        reports = p[0], out = p[1];
        if (fcntl(reports, F_SETFL, O_NONBLOCK))
                return -errno;
        r = spawn_apart(&a->pid, argv, in, out, keep);
        if (r)
                return r;
        a->cues = ptl_steal_fd(&cues);
        a->reports = ptl_steal_fd(&reports);
        return 0;
}

struct actor *actor_start(struct cast *c, const char *const *words, const int *keep)
{
        char role[40], *argv[ACTOR_ARGUMENTS_MAX + 3] = {(char[]){"portolan"}, role};
        struct actor *a = find_free(c);
        int r = a ? 0 : -ENOSPC;

        snprintf(role, sizeof role, "tour-%s", words[0]);
        for (size_t i = 1; i <= ACTOR_ARGUMENTS_MAX && words[i]; i++)
                argv[i + 1] = (char *)words[i];
        if (!r) {
                *a = (struct actor){.role = words[0]};
                r = start(a, argv, keep);
        }
        if (r) {
                fprintf(stderr, "portolan tour: cannot start the %s: %s\n", words[0], strerror(-r));
                return NULL;
        }
        return a;
}

/* False when it has no more to say. */
static bool hear(struct actor *a)
{
        ssize_t n;

        if (a->room - a->size < 4096) {
                char *more = realloc(a->text, a->room + 65536);

                if (!more)
                        return false;
                a->text = more;
                a->room += 65536;
        }
        n = read(a->reports, a->text + a->size, a->room - a->size - 1);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR;
        a->size += (size_t)n;
        a->text[a->size] = 0;
        return n > 0;
}

static void hear_signal(struct cast *c)
{
        struct signalfd_siginfo info;

        if (read(c->signals, &info, sizeof info) == sizeof info)
                c->interrupted = (int)info.ssi_signo;
}

void cast_listen(struct cast *c, int ms)
{
        struct pollfd p[ACTORS_MAX + 1];

        for (size_t i = 0; i < ACTORS_MAX; i++)
                p[i] = (struct pollfd){c->actors[i].pid ? c->actors[i].reports : -1, POLLIN, 0};
        p[ACTORS_MAX] = (struct pollfd){c->signals, POLLIN, 0};
        if (poll(p, ACTORS_MAX + 1, ms) <= 0)
                return;
        for (size_t i = 0; i < ACTORS_MAX; i++)
                if (p[i].revents && !hear(&c->actors[i]))
                        c->actors[i].reports = ptl_close(c->actors[i].reports);
        if (p[ACTORS_MAX].revents)
                hear_signal(c);
}

/* The last line that begins with KEY= and is complete. */
static const char *find_value(const struct actor *a, const char *key)
{
        size_t n = strlen(key);
        const char *found = NULL;

        for (const char *line = a->text; line && *line;) {
                const char *end = strchr(line, '\n');

                if (end && !strncmp(line, key, n) && line[n] == '=')
                        found = line + n + 1;
                line = end ? end + 1 : NULL;
        }
        return found;
}

bool actor_await(struct cast *c, struct actor *a, const char *key, int ms)
{
        ptl_time end = ptl_after_ms(ms);

        while (a && !find_value(a, key)) {
                ptl_time left = end - ptl_now();

                if (left <= 0 || a->reports < 0 || c->interrupted)
                        return false;
                cast_listen(c, (int)(left / 1000000) + 1);
        }
        return a;
}

bool actor_text(const struct actor *a, const char *key, char *ret, size_t size)
{
        const char *value = a ? find_value(a, key) : NULL;

        snprintf(ret, size, "%.*s", value ? (int)strcspn(value, "\n") : 0, value ? value : "");
        return value;
}

double actor_number(const struct actor *a, const char *key)
{
        const char *value = a ? find_value(a, key) : NULL;

        return value ? strtod(value, NULL) : NAN;
}

void actor_cue(struct actor *a, const char *cue)
{
        char line[64];
        int n = snprintf(line, sizeof line, "%s\n", cue);

        /* one that is gone needs none; its end tells */
        if (a && write(a->cues, line, (size_t)n) != n)
                return;
}

ptl_time actor_kill(struct actor *a)
{
        ptl_time now = ptl_now();

        if (a && a->pid && !a->has_ended)
                kill(a->pid, SIGKILL);
        return now;
}

static bool reap(struct actor *a, int flags)
{
        if (!a->has_ended)
                a->has_ended = waitpid(a->pid, &a->status, flags) == a->pid;
        return a->has_ended;
}

bool actor_end(struct cast *c, struct actor *a, int ms)
{
        ptl_time end = ptl_after_ms(ms);

        if (!a || !a->pid)
                return false;
        a->cues = ptl_close(a->cues);
        while (a->reports >= 0 && ptl_now() < end && !c->interrupted)
                cast_listen(c, (int)((end - ptl_now()) / 1000000) + 1);
        /* its output closes with its end, a moment before it can be reaped */
        a->is_late = a->reports >= 0;
        if (a->is_late)
                actor_kill(a);
        while (!reap(a, 0) && errno == EINTR)
                ;
        return WIFEXITED(a->status) && WEXITSTATUS(a->status) == 0;
}

const char *actor_fault(const struct actor *a, char buffer[160])
{
        if (!a)
                return "could not be started";
        if (actor_text(a, "error", buffer, 160))
                return buffer;
        if (!a->has_ended || a->is_late)
                snprintf(buffer, 160, "the %s took too long", a->role);
        else if (WIFSIGNALED(a->status))
                snprintf(buffer, 160, "the %s died: %s", a->role, strsignal(WTERMSIG(a->status)));
        else
                snprintf(buffer, 160, "the %s ended with status %d", a->role,
                         WEXITSTATUS(a->status));
        return buffer;
}

void actor_free(struct actor *a)
{
        if (!a || !a->pid)
                return;
        ptl_close(a->cues);
        ptl_close(a->reports);
        free(a->text);
        *a = (struct actor){0};
}
