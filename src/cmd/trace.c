/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/trace.c - portolan trace: run a program and have the library print its messages decoded */
#include "cmd/cmd.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
        "portolan trace [--to FILE] COMMAND [ARGUMENT...] - run COMMAND, see its messages decoded\n"
        "\n"
        "Examples:\n"
        "  portolan trace ./server\n"
        "  portolan trace --to calls.log portolan call mirror hi\n"
        "  portolan trace sh -c './server & ./client'     several at once: their lines are mixed\n"
        "\n"
        "The lines go to standard error; with --to they are appended to FILE. It is the same as\n"
        "setting PORTOLAN_TRACE=1 (or =FILE), and the processes that COMMAND starts inherit it.\n"
        "\n"
        "Exit status: COMMAND's own; 127 it is not there, 126 it cannot be run, 2 no COMMAND.\n";

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

static int run(int argc, char **argv)
{
        const char *file = NULL;
        int i = 1, status = CMD_OK;

        for (; i < argc && argv[i][0] == '-'; i++) {
                if (!strcmp(argv[i], "--to") && i + 1 < argc)
                        file = argv[++i];
                else if (!strncmp(argv[i], "--to=", 5))
                        file = argv[i] + 5;
                else if (strcmp(argv[i], "--"))
                        return cmd_usage("trace", "what '%s' means is not clear", argv[i]);
                else if (++i)
                        break;
        }
        if (i >= argc)
                return cmd_usage("trace", "it needs a COMMAND");
        if (file)
                status = trace_to(file);
        else
                setenv("PORTOLAN_TRACE", "1", 1);
        if (status)
                return status;
        execvp(argv[i], argv + i);
        status = errno == ENOENT ? 127 : 126; /* as shells do */
        cmd_failed(-errno, "run \"%s\"", argv[i]);
        return status;
}

const struct command cmd_trace = {"trace", "run a program and print its messages decoded", help,
                                  run};
