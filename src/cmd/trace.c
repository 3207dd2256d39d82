/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/trace.c - portolan trace: the messages of a program it runs, or of processes that run already
 */
#define _GNU_SOURCE
#include "base/cleanup.h"
#include "cmd/process.h"
#include "cmd/text.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { PROCESSES = 16, LINE = 512 };

static const char help[] =
        "portolan trace [--to FILE] COMMAND [ARGUMENT...] - run COMMAND, see its messages decoded\n"
        "portolan trace [--to FILE] [--for MS] PID [PID...] - see those of processes that run "
        "already\n"
        "\n"
        "Examples:\n"
        "  portolan trace ./server\n"
        "  portolan trace --to calls.log portolan call mirror hi\n"
        "  portolan trace sh -c './server & ./client'     several at once: their lines are mixed\n"
        "  portolan trace 1234 1235                       a running pair, until ^C or both end\n"
        "  portolan trace --for 1000 1234                 for a second\n"
        "\n"
        "Of a COMMAND the lines go to standard error, and it is the same as setting "
        "PORTOLAN_TRACE=1 (or\n"
        "=FILE): the processes that it starts inherit it. Of running processes they go to standard "
        "output;\n"
        "a process is slower while it is watched, and waits for nobody: lines that do not fit are "
        "counted\n"
        "instead. With --to they are appended to FILE. A COMMAND whose name is a number: put -- "
        "before it.\n"
        "\n"
        "Exit status: COMMAND's own; 127 it is not there, 126 it cannot be run, 2 no COMMAND.\n"
        "Of running processes: 0 seen; 1 no such task, or not permitted; 4 no name server.\n";

/* ---- a command ---- */

/* A path that stays right where COMMAND or its children change their folder; and may be written. */
static int trace_to(const char *file)
{
        char path[PATH_MAX];
        int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

        if (fd < 0)
                return cmd_failed(-errno, "write \"%s\"", file);
        close(fd);
        if (!realpath(file, path))
                return cmd_failed(-errno, "find \"%s\"", file);
        return setenv("PORTOLAN_TRACE", path, 1) ? cmd_failed(-errno, "set PORTOLAN_TRACE")
                                                 : CMD_OK;
}

static int run_command(char **argv, const char *file)
{
        int status = CMD_OK;

        if (file)
                status = trace_to(file);
        else
                setenv("PORTOLAN_TRACE", "1", 1);
        if (status)
                return status;
        execvp(argv[0], argv);
        status = errno == ENOENT ? 127 : 126; /* as shells do */
        cmd_failed(-errno, "run \"%s\"", argv[0]);
        return status;
}

/* ---- running processes ---- */

struct watch {
        struct pollfd sockets[PROCESSES];
        nfds_t n;
        FILE *to;
        ptl_time end;
};

/* All that has come; false: that one has ended. What stands in a line is its process's word. */
static bool take_lines(const struct watch *w, int fd)
{
        char line[LINE];
        ssize_t n;

        while ((n = recv(fd, line, sizeof line, MSG_DONTWAIT)) > 0) {
                size_t size = (size_t)n - (line[n - 1] == '\n');

                text_escaped(w->to, line, size);
                fputc('\n', w->to);
        }
        return n < 0 && errno == EAGAIN;
}

static int milliseconds_left(const struct watch *w)
{
        ptl_time left = w->end - ptl_now();

        if (w->end == PTL_FOREVER)
                return -1;
        return left <= 0 ? 0 : (int)((left + 999999) / 1000000);
}

/* Until all have ended, or the time is over, or nobody reads what is written. */
static int watch(struct watch *w)
{
        while (w->n) {
                int r = poll(w->sockets, w->n, milliseconds_left(w));

                if (r == 0 || (r < 0 && errno != EINTR))
                        break;
                for (nfds_t i = w->n; r > 0 && i-- > 0;) {
                        if (!w->sockets[i].revents || take_lines(w, w->sockets[i].fd))
                                continue;
                        ptl_close(w->sockets[i].fd);
                        w->sockets[i] = w->sockets[--w->n];
                }
                if (fflush(w->to))
                        return cmd_failed(-errno, "write what is seen");
        }
        return CMD_OK;
}

static int watch_processes(char **argv, int argc, struct watch *w)
{
        int status = CMD_OK;

        for (int i = 0; i < argc && status == CMD_OK; i++) {
                uint64_t pid;
                int fd, r;

                if (!cmd_number(argv[i], 1, INT32_MAX, &pid) || i >= PROCESSES)
                        return cmd_usage("trace", "'%s' is no PID, or one too many", argv[i]);
                r = ptl_task_trace((int32_t)pid, &fd);
                if (r)
                        status = process_failed(r, (int32_t)pid, "trace");
                else
                        w->sockets[w->n++] = (struct pollfd){.fd = fd, .events = POLLIN};
        }
        if (status == CMD_OK)
                status = watch(w);
        while (w->n)
                ptl_close(w->sockets[--w->n].fd);
        return status;
}

static int open_and_watch(char **argv, int argc, const char *file, ptl_time end)
{
        struct watch w = {.to = stdout, .end = end};
        int status;

        if (file && !(w.to = fopen(file, "ae")))
                return cmd_failed(-errno, "write \"%s\"", file);
        status = watch_processes(argv, argc, &w);
        if (file && fclose(w.to) && status == CMD_OK)
                status = cmd_failed(-errno, "write \"%s\"", file);
        return status;
}

/* ---- the command line ---- */

/* The value of an option, "--to FILE" or "--to=FILE"; NULL: it is another. */
static const char *value_of(const char *option, char **argv, int argc, int *i)
{
        size_t n = strlen(option);

        if (strncmp(argv[*i], option, n))
                return NULL;
        if (argv[*i][n] == '=')
                return argv[*i] + n + 1;
        return !argv[*i][n] && *i + 1 < argc ? argv[++*i] : NULL;
}

static int run(int argc, char **argv)
{
        const char *file = NULL, *text;
        ptl_time end = PTL_FOREVER;
        bool is_command = false;
        uint64_t number;
        int i = 1;

        for (; i < argc && argv[i][0] == '-' && !is_command; i++) {
                if (!strcmp(argv[i], "--"))
                        is_command = true;
                else if ((text = value_of("--to", argv, argc, &i)))
                        file = text;
                else if (!(text = value_of("--for", argv, argc, &i)))
                        return cmd_usage("trace", "what '%s' means is not clear", argv[i]);
                else if (!cmd_deadline("trace", "--for", text, &end))
                        return CMD_USAGE;
        }
        if (i >= argc)
                return cmd_usage("trace", "it needs a COMMAND, or a PID");
        if (!is_command && cmd_number(argv[i], 0, UINT64_MAX, &number))
                return open_and_watch(argv + i, argc - i, file, end);
        if (end != PTL_FOREVER)
                return cmd_usage("trace", "--for is for processes that run already");
        return run_command(argv + i, file);
}

const struct command cmd_trace = {
        "trace", "run a program, or watch a process, and print its messages decoded", help, run};
