/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench_server.c - a name server for the benchmarks alone */
#define _GNU_SOURCE
#include "cmd/bench_pair.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { READY_MS = 10000 };

static bool is_program(const char *path) { return access(path, X_OK) == 0; }

/* $PORTOLAND; else beside this program, installed or in the build tree; else where it is installed. */
static void find_program(char ret_path[PATH_MAX])
{
        const char *given = getenv("PORTOLAND");
        static const char *const beside[] = {"portoland", "../server/portoland", "../libexec/portoland"};
        char self[PATH_MAX / 2] = "";
        char *slash;

        snprintf(ret_path, PATH_MAX, "%s", given && given[0] ? given : PTL_LIBEXEC);
        if (given && given[0])
                return;
        if (readlink("/proc/self/exe", self, sizeof self - 1) < 0 || !(slash = strrchr(self, '/')))
                return;
        *slash = '\0';
        for (size_t i = 0; i < PTL_ARRAY_LEN(beside); i++) {
                char path[PATH_MAX];

                snprintf(path, sizeof path, "%s/%s", self, beside[i]);
                if (is_program(path)) {
                        memcpy(ret_path, path, sizeof path);
                        return;
                }
        }
}

static bool make_folder(struct bench_server *server)
{
        const char *base = getenv("TMPDIR");
        char socket[BENCH_PATH_SIZE + 8];

        if (!base || strlen(base) > 40) /* socket addresses are short */
                base = "/tmp";
        snprintf(server->folder, sizeof server->folder, "%s/portolan-bench.XXXXXX", base);
        if (!mkdtemp(server->folder)) {
                server->folder[0] = '\0';
                return false;
        }
        snprintf(socket, sizeof socket, "%s/socket", server->folder);
        return setenv("PORTOLAN_SOCKET", socket, 1) == 0;
}

static pid_t start(const char *program, int ready_fd)
{
        pid_t parent = getpid(), pid = fork();
        char digits[16];

        if (pid)
                return pid;
        prctl(PR_SET_PDEATHSIG, (long)SIGKILL);
        if (getppid() != parent)
                _exit(127);
        fcntl(ready_fd, F_SETFD, 0L);
        snprintf(digits, sizeof digits, "%d", ready_fd);
        execl(program, program, "--foreground", "--ready-fd", digits, (char *)NULL);
        fprintf(stderr, "portolan bench: cannot start %s (PORTOLAND names another)\n", program);
        _exit(127);
}

/* The server writes a line when it listens; it has gone if the pipe ends. */
static bool is_ready(int fd)
{
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char c;

        return poll(&p, 1, READY_MS) == 1 && read(fd, &c, 1) == 1;
}

bool bench_server_start(struct bench_server *server)
{
        char program[PATH_MAX];
        bool listens;
        int ends[2];

        *server = (struct bench_server){.pid = -1};
        find_program(program);
        if (!make_folder(server) || pipe2(ends, O_CLOEXEC)) {
                perror("portolan bench: a temporary folder");
                return false;
        }
        server->pid = start(program, ends[1]);
        close(ends[1]);
        listens = server->pid > 0 && is_ready(ends[0]);
        close(ends[0]);
        return listens;
}

/* Whatever the server keeps there lies in the folder itself. */
static void remove_folder(const char *path)
{
        DIR *folder = opendir(path);

        if (folder) {
                for (struct dirent *e; (e = readdir(folder));)
                        unlinkat(dirfd(folder), e->d_name, 0);
                closedir(folder);
        }
        rmdir(path);
}

void bench_server_stop(struct bench_server *server)
{
        if (server->pid > 0) {
                kill(server->pid, SIGTERM);
                waitpid(server->pid, NULL, 0);
        }
        if (server->folder[0])
                remove_folder(server->folder);
        *server = (struct bench_server){.pid = -1};
}
