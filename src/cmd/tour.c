/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/tour.c - portolan tour: shows what ports, rights and messages do, on this machine */
#include "cmd/tour.h"
#include "base/cleanup.h"
#include "cmd/cmd.h"
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char help[] =
        "portolan tour [--quick] [--json] - what ports, rights and messages do, on this machine\n"
        "\n"
        "Examples:\n"
        "  portolan tour              about half a minute\n"
        "  portolan tour --quick      a few seconds: the same steps, fewer messages\n"
        "  portolan tour --json       one object a step, for programs\n"
        "\n"
        "Each step starts processes of its own and checks what they report. It needs no privileges "
        "and\n"
        "no network, uses a name server of its own and leaves nothing behind.\n"
        "\n"
        "Exit status: 0 every step was ok; 1 one was not; 4 no name server could be started;\n"
        "130 interrupted.\n";

static const struct tour_step *const steps[] = {
        &tour_hello,         &tour_stream,          &tour_call,    &tour_many, &tour_full,
        &tour_sender_killed, &tour_receiver_killed, &tour_figures,
};

/* Its name is of use to nobody once the tour has ended, so it need not be easy to find. */
static int make_folder(struct tour *t)
{
        const char *base = getenv("TMPDIR");
        char path[sizeof t->folder + 20], pid[16];

        if (!base || base[0] != '/' || strlen(base) > 30) /* socket addresses are short */
                base = "/tmp";
        snprintf(t->folder, sizeof t->folder, "%s/portolan-tour.XXXXXX", base);
        if (!mkdtemp(t->folder)) {
                int e = errno;

                t->folder[0] = 0;
                return cmd_failed(-e, "make a folder in %s", base);
        }
        snprintf(pid, sizeof pid, "%d", (int)getpid());
        setenv(TOUR_VARIABLE, pid, 1);
        snprintf(path, sizeof path, "%s/portolan.sock", t->folder);
        return setenv("PORTOLAN_SOCKET", path, 1) ? cmd_failed(-errno, "set PORTOLAN_SOCKET")
                                                  : CMD_OK;
}

/* The library starts the server that this process asks for; who it is is needed to end it. */
static int start_server(struct tour *t)
{
        struct ptl_server_status status;
        int r = ptl_server_get_status(&status);

        if (r)
                return cmd_failed(r, "start a name server at %s", getenv("PORTOLAN_SOCKET"));
        t->server = status.server.pid;
        return CMD_OK;
}

/* Not a child of ours: its end is seen through a pidfd. */
static void end_server(struct tour *t)
{
        int fd;

        if (t->server <= 1)
                return;
        fd = (int)syscall(SYS_pidfd_open, t->server, 0);
        kill(t->server, SIGTERM);
        if (fd >= 0 && poll(&(struct pollfd){fd, POLLIN, 0}, 1, 2000) == 0)
                kill(t->server, SIGKILL);
        if (fd >= 0)
                poll(&(struct pollfd){fd, POLLIN, 0}, 1, 2000);
        ptl_close(fd);
        t->server = 0;
}

static void remove_folder(struct tour *t)
{
        DIR *d = t->folder[0] ? opendir(t->folder) : NULL;

        if (!d)
                return;
        for (struct dirent *e; (e = readdir(d));)
                if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
                        unlinkat(dirfd(d), e->d_name, 0);
        closedir(d);
        rmdir(t->folder);
        t->folder[0] = 0;
}

/* May be called again. */
static void clean_up(struct tour *t)
{
        cast_fini(&t->cast);
        end_server(t);
        remove_folder(t);
}

static void run_step(struct tour *t, const struct tour_step *step)
{
        ptl_time begun = ptl_now();

        tour_begin_step(t, step);
        step->run(t);
        for (size_t i = 0; i < ACTORS_MAX; i++) { /* whoever a failed step has left on the stage */
                actor_kill(&t->cast.actors[i]);
                actor_end(&t->cast, &t->cast.actors[i], 0);
                actor_free(&t->cast.actors[i]);
        }
        tour_finish_step(t, (double)(ptl_now() - begun) / 1e9);
}

static int walk(struct tour *t)
{
        ptl_time begun = ptl_now();
        int status = make_folder(t);

        if (status == CMD_OK)
                status = start_server(t);
        if (status)
                return status;
        tour_print_head(t);
        for (size_t i = 0; i < PTL_ARRAY_LEN(steps) && !t->cast.interrupted; i++)
                run_step(t, steps[i]);
        clean_up(t);
        tour_print_end(t, (double)(ptl_now() - begun) / 1e9);
        return t->steps_failed ? CMD_FAILED : CMD_OK;
}

static int options(int argc, char **argv, struct tour *t)
{
        static const struct option list[] = {
                {"json",  no_argument, NULL, 'j'},
                {"quick", no_argument, NULL, 'q'},
                {NULL,    0,           NULL, 0  }
        };
        for (int c; (c = getopt_long(argc, argv, "", list, NULL)) != -1;) {
                if (c == '?')
                        return cmd_usage("tour", "it takes --quick and --json");
                t->is_json = t->is_json || c == 'j';
                t->is_quick = t->is_quick || c == 'q';
        }
        return optind < argc ? cmd_usage("tour", "it takes no arguments") : CMD_OK;
}

static int run(int argc, char **argv)
{
        struct tour t = {0};
        int status = options(argc, argv, &t), r;

        if (status)
                return status;
        t.paint = text_paint(stdout);
        t.is_tty = isatty(STDOUT_FILENO);
        r = cast_init(&t.cast);
        if (r)
                return cmd_failed(r, "listen for signals");
        status = walk(&t);
        clean_up(&t);
        return t.cast.interrupted ? 128 + t.cast.interrupted : status;
}

const struct command cmd_tour = {"tour", "see what ports, rights and messages do, on this machine",
                                 help, run};
