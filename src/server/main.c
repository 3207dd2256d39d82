/* SPDX-License-Identifier: Apache-2.0 */
/* server/main.c - portoland, the name server: its options and its start */
#define _GNU_SOURCE
#include "base/cleanup.h"
#include "server/background.h"
#include "server/passed.h"
#include "server/ready.h"
#include "server/recall.h"
#include "server/server.h"
#include "server/trace.h"
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { EXIT_USAGE = 2 };

static const char usage[] =
        "usage: portoland [OPTION]...\n"
        "\n"
        "The name server of Portolan: registers names and introduces tasks to each other.\n"
        "Usually nobody starts it by hand: the library does, or systemd.\n"
        "\n"
        "  --socket PATH        listen there; else at $PORTOLAN_SOCKET, else at this user's\n"
        "                       own place, $XDG_RUNTIME_DIR/portolan/portolan.sock or\n"
        "                       /tmp/portolan-UID/portolan.sock\n"
        "  --public             let other users connect (mode 0666); root's server under\n"
        "                       /run/portolan always does\n"
        "  --idle-exit SECONDS  leave when nobody was connected that long; 0, the default:\n"
        "                       never\n"
        "  --background         return when the server listens, and leave it running\n"
        "  --foreground         stay (the default)\n"
        "  --ready-fd N         write READY and a newline to descriptor N when it listens\n"
        "  --help, --version\n"
        "\n"
        "If a server listens there already, that is success and there is nothing to do.\n"
        "Environment: PORTOLAND_MAX_TASKS, PORTOLAND_MAX_NAMES, PORTOLAND_MAX_LOOKUPS,\n"
        "PORTOLAND_MAX_WATCHES (quotas); PORTOLAN_TRACE=1 prints every message.\n";

struct options {
        char socket[PTL_SERVER_PATH_SIZE];
        ptl_time idle_exit_ns;
        int ready_fd;
        bool is_public, is_background;
};

enum {
        OPT_SOCKET = 256,
        OPT_PUBLIC,
        OPT_IDLE,
        OPT_BACKGROUND,
        OPT_FOREGROUND,
        OPT_READY,
        OPT_HELP,
        OPT_VERSION
};

static const struct option long_options[] = {
        {"socket",     required_argument, NULL, OPT_SOCKET    },
        {"public",     no_argument,       NULL, OPT_PUBLIC    },
        {"idle-exit",  required_argument, NULL, OPT_IDLE      },
        {"background", no_argument,       NULL, OPT_BACKGROUND},
        {"foreground", no_argument,       NULL, OPT_FOREGROUND},
        {"ready-fd",   required_argument, NULL, OPT_READY     },
        {"help",       no_argument,       NULL, OPT_HELP      },
        {"version",    no_argument,       NULL, OPT_VERSION   },
        {NULL,         0,                 NULL, 0             },
};

static void complain(const char *what, int outcome)
{
        fprintf(stderr, "portoland: %s: %s\n", what, ptl_outcome_text(outcome));
}

__attribute__((noreturn)) static void fail_usage(const char *why)
{
        fprintf(stderr, "portoland: %s\ntry 'portoland --help'\n", why);
        exit(EXIT_USAGE);
}

static long parse_number(const char *text, long max, const char *why)
{
        char *end;
        long value;

        errno = 0;
        value = strtol(text, &end, 10);
        if (errno || end == text || *end || value < 0 || value > max)
                fail_usage(why);
        return value;
}

/* Absolute: a daemon's folder is "/". */
static int set_socket(struct options *options, const char *path)
{
        char absolute[PATH_MAX + PTL_SERVER_PATH_SIZE], folder[PATH_MAX];

        if (strlen(path) >= PTL_SERVER_PATH_SIZE)
                return PTL_E_TOO_BIG;
        if (path[0] == '/')
                snprintf(absolute, sizeof absolute, "%s", path);
        else if (getcwd(folder, sizeof folder))
                snprintf(absolute, sizeof absolute, "%s/%s", folder, path);
        else
                return -errno;
        if (strlen(absolute) >= sizeof options->socket)
                return PTL_E_TOO_BIG;
        memcpy(options->socket, absolute, strlen(absolute) + 1);
        return 0;
}

/* Where nothing is said: never the system's socket, that one is systemd's or root's to open. */
static int set_default_socket(struct options *options)
{
        const char *given = getenv("PORTOLAN_SOCKET");

        return given && given[0] ? set_socket(options, given)
                                 : ptl_server_path_own(options->socket);
}

static void apply_option(struct options *options, int option, const char *value)
{
        switch (option) {
        case OPT_SOCKET:
                if (!value[0] || set_socket(options, value))
                        fail_usage("--socket: not a path of at most 107 bytes");
                break;
        case OPT_PUBLIC:
                options->is_public = true;
                break;
        case OPT_IDLE:
                options->idle_exit_ns =
                        parse_number(value, INT32_MAX, "--idle-exit: not a number of seconds") *
                        (ptl_time)1000000000;
                break;
        case OPT_BACKGROUND:
        case OPT_FOREGROUND:
                options->is_background = option == OPT_BACKGROUND;
                break;
        case OPT_READY:
                options->ready_fd =
                        (int)parse_number(value, INT_MAX, "--ready-fd: not a descriptor's number");
                break;
        case OPT_HELP:
                fputs(usage, stdout);
                exit(EXIT_SUCCESS);
        case OPT_VERSION:
                puts("portoland " PTL_VERSION);
                exit(EXIT_SUCCESS);
        default:
                fputs("try 'portoland --help'\n", stderr);
                exit(EXIT_USAGE);
        }
}

static void parse_options(int argc, char **argv, struct options *ret_options)
{
        static const char system_folder[] = "/run/portolan/";
        int option;

        *ret_options = (struct options){.ready_fd = -EBADF};
        while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0)
                apply_option(ret_options, option, optarg);
        if (optind < argc)
                fail_usage("takes no arguments but options");
        if (!ret_options->socket[0] && set_default_socket(ret_options))
                fail_usage("PORTOLAN_SOCKET: not a path of at most 107 bytes");
        if (geteuid() == 0 && !strncmp(ret_options->socket, system_folder, strlen(system_folder)))
                ret_options->is_public = true;
}

/* A descriptor or two for each task: ask for all that we may have. */
static void raise_descriptor_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int start(const struct options *options, struct server *server, struct store *store)
{
        struct listener listener;
        int r;

        store_init(store);
        r = passed_adopt(store, &listener);
        if (r == PTL_E_NOT_FOUND)
                r = listener_open(options->socket, options->is_public, &listener);
        if (r)
                return r;
        r = server_init(server, &listener, store);
        if (r) {
                listener_withdraw(&listener);
                ptl_close(listener.socket);
                return r;
        }
        recall(server);
        return 0;
}

static int serve(struct server *server, const struct options *options)
{
        int r;

        (void)ready_notify_systemd("READY=1", -EBADF);
        r = server_run(server, options->idle_exit_ns);
        (void)ready_notify_systemd("STOPPING=1", -EBADF);
        if (r)
                complain("waiting for events", r);
        server_fini(server);
        store_fini(server->store);
        return r ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Somebody who listens there already is as good as if we did. */
static int report_start(const struct options *options, int report, int outcome)
{
        int told = outcome == PTL_E_EXISTS ? 0 : outcome;

        if (told && report < 0)
                complain(options->socket, told);
        if (told == 0)
                ready_notify_fd(options->ready_fd);
        background_report(report, told);
        return told ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
        static struct server server; /* large: the ring of retired ids */
        static struct store store;
        struct options options;
        int report = -EBADF, r, status;

        parse_options(argc, argv, &options);
        if (options.ready_fd >= 0)
                (void)fcntl(options.ready_fd, F_SETFD, FD_CLOEXEC);
        if (options.is_background) {
                r = background_enter(options.ready_fd, &report);
                if (r)
                        complain(options.socket, r);
                if (report < 0)
                        return r ? EXIT_FAILURE : EXIT_SUCCESS;
                unsetenv("NOTIFY_SOCKET"); /* of the program that started us: what it says there is its own affair */
        }
        trace_init();
        raise_descriptor_limit();
        r = start(&options, &server, &store);
        status = report_start(&options, report, r);
        return r ? status : serve(&server, &options);
}
