/* SPDX-License-Identifier: Apache-2.0 */
/* peer.c - starts this program afresh in a role, and talks to it in lines */
#include "peer.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PEER_FD = 3, PEER_LINE_MAX = 512, PEER_ARGS_MAX = 12, PEER_PATIENCE_MS = 15000 };

extern const struct peer_role __start_tst_peers[] __attribute__((weak));
extern const struct peer_role __stop_tst_peers[] __attribute__((weak));
extern char **environ;
int tst_peer_main(int argc, char **argv);

__attribute__((noreturn, format(printf, 1, 2))) static void give_up(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        fputs("# peer: ", stderr);
        vfprintf(stderr, format, args);
        fputc('\n', stderr);
        va_end(args);
        abort();
}

static int patience_ms(void)
{
        const char *s = getenv("TST_TIMEOUT");
        int n = s ? atoi(s) : 0;

        return n > 20 ? PEER_PATIENCE_MS / 20 * n : PEER_PATIENCE_MS;
}

static int fd_of(const struct peer *peer) { return peer ? peer->fd : PEER_FD; }

void peer_start(struct peer *ret_peer, const char *role, ...)
{
        char *argv[PEER_ARGS_MAX + 4] = {(char *)"peer", (char *)"--peer", (char *)role};
        posix_spawn_file_actions_t actions;
        int pair[2], n = 3, failed;
        va_list args;

        va_start(args, role);
        while ((argv[n] = va_arg(args, char *)) && n < PEER_ARGS_MAX + 2)
                n++;
        va_end(args);
        argv[n] = NULL;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
                give_up("no socket for %s", role);
        /* its number must not be PEER_FD, or dup2() would leave it close-on-exec in old libcs */
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, pair[1], PEER_FD);
        failed = posix_spawn(&ret_peer->pid, "/proc/self/exe", &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        if (failed)
                give_up("cannot start %s: %s", role, strerror(failed));
        close(pair[1]);
        ret_peer->fd = pair[0];
}

void peer_say(struct peer *peer, const char *format, ...)
{
        char line[PEER_LINE_MAX];
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(line, sizeof line, format, args);
        va_end(args);
        if (n < 0 || n >= PEER_LINE_MAX)
                give_up("line too long: %s", line);
        /* with the NUL, so that an empty line is not the end */
        if (send(fd_of(peer), line, (size_t)n + 1, MSG_NOSIGNAL) != n + 1)
                give_up("cannot say: %s", line);
}

bool peer_hear_line(struct peer *peer, char *ret_line, size_t size)
{
        struct pollfd p = {.fd = fd_of(peer), .events = POLLIN};
        ssize_t n;
        int ready;

        /* A peer waits as long as the case lives: that has a deadline, and takes its socket along.
         */
        while ((ready = poll(&p, 1, peer ? patience_ms() : -1)) < 0 && errno == EINTR)
                ;
        if (ready != 1)
                give_up("the %s said nothing", peer ? "peer" : "case");
        n = recv(p.fd, ret_line, size - 1, 0);
        ret_line[n > 0 ? n : 0] = '\0';
        return n > 0;
}

void peer_hear(struct peer *peer, const char *expected)
{
        char line[PEER_LINE_MAX];

        if (!peer_hear_line(peer, line, sizeof line))
                give_up("the %s is gone, not: %s", peer ? "peer" : "case", expected);
        if (strcmp(line, expected) != 0)
                give_up("the %s said: %s; not: %s", peer ? "peer" : "case", line, expected);
}

long long peer_hear_number(struct peer *peer)
{
        char line[PEER_LINE_MAX], *end;
        long long n;

        if (!peer_hear_line(peer, line, sizeof line))
                give_up("the %s is gone, no number", peer ? "peer" : "case");
        n = strtoll(line, &end, 0);
        if (end == line || *end)
                give_up("not a number: %s", line);
        return n;
}

static int reap(pid_t pid)
{
        int status;

        for (int ms = 0; ms < patience_ms(); ms++) {
                if (waitpid(pid, &status, WNOHANG) == pid)
                        return status;
                nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
        give_up("%d does not end", (int)pid);
}

void peer_end(struct peer *peer)
{
        int status;

        close(peer->fd);
        status = reap(peer->pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                give_up("%d ended with status %#x", (int)peer->pid, (unsigned)status);
        *peer = (struct peer){.fd = -1};
}

void peer_kill(struct peer *peer)
{
        kill(peer->pid, SIGKILL);
        reap(peer->pid);
        close(peer->fd);
        *peer = (struct peer){.fd = -1};
}

void peer_stay(void)
{
        char line[PEER_LINE_MAX];

        while (recv(PEER_FD, line, sizeof line, 0) > 0)
                ;
}

int tst_peer_main(int argc, char **argv)
{
        for (const struct peer_role *r = __start_tst_peers; r < __stop_tst_peers; r++)
                if (!strcmp(r->name, argv[0])) {
                        r->run(argc, argv);
                        return 0;
                }
        give_up("no role %s", argv[0]);
}
