/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench.c - `portolan bench`: its options, and the order of things */
#define _GNU_SOURCE
#include "cmd/bench.h"
#include "cmd/bench_report.h"
#include "cmd/cmd.h"
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static const char help[] =
        "usage: portolan bench [OPTION]... [NAME]...\n"
        "\n"
        "Measures messages between two processes, beside a bare ring in shared memory and\n"
        "the kernel's own ways. Every message is checked.\n"
        "\n"
        "NAME (none: all of them)\n"
        "  call     a request and its answer, both sides awake: 8 to 1,024 bytes\n"
        "  send     messages one way, single and in batches\n"
        "  bulk     4 KiB to 1 MiB one way: read in place, copied, built in place\n"
        "  region   memory by reference: hand-over of 1 to 64 MiB\n"
        "  wake     a request and its answer, both sides asleep in between\n"
        "  idle     CPU time of who waits\n"
        "  links    the time until two tasks have met, the memory that takes\n"
        "  rights   a right in a message, its first use, a death told, a million rights' memory\n"
        "  kernel   pipe, socket and message queue at more sizes\n"
        "\n"
        "  --json             one object a line\n"
        "  --bars             then hold it against the project's goals\n"
        "  --seconds S        of one sample (0.1)\n"
        "  --repetitions N    of each, whose medians are printed (7, at most 64)\n"
        "  --quick            2 repetitions of 0.02 s: to see that it works\n"
        "\n"
        "placement: a cache line goes to the other CPU and back in under 65 ns (nearest),\n"
        "under 200 ns (near), or longer (far). On a virtual machine this changes within\n"
        "minutes; figures are kept apart by it. same-cpu: both processes on one CPU.\n"
        "ratio: of the p50 to the reference's for calls, of the rate for what goes one way.\n"
        "\n"
        "Exit status: 0; 1 if something failed, or a message arrived damaged; 2 usage.\n";

struct settings {
        struct bench_options options;
        bool json, bars;
        char *const *names; /* NULL-terminated */
};

enum { OPT_JSON = 256, OPT_BARS, OPT_SECONDS, OPT_REPETITIONS, OPT_QUICK, OPT_HELP, OPT_PEER, OPT_MEMBER };

static const struct option long_options[] = {
        {"json", no_argument, NULL, OPT_JSON},
        {"bars", no_argument, NULL, OPT_BARS},
        {"seconds", required_argument, NULL, OPT_SECONDS},
        {"repetitions", required_argument, NULL, OPT_REPETITIONS},
        {"quick", no_argument, NULL, OPT_QUICK},
        {"help", no_argument, NULL, OPT_HELP},
        {"peer", required_argument, NULL, OPT_PEER}, /* these two are for ourselves */
        {"member", required_argument, NULL, OPT_MEMBER},
        {0},
};

/* ---- groups ---- */

static bool is_wanted(const struct settings *settings, const char *group)
{
        if (!settings->names[0])
                return true;
        for (char *const *name = settings->names; *name; name++)
                if (!strcmp(*name, group))
                        return true;
        return false;
}

static int measure_cell(struct bench_pair *pair, size_t i, const struct settings *settings,
                        unsigned turn, struct bench_found *found)
{
        const struct bench_cell *cell = &bench_cells[i];

        if (!bench_measure(pair, cell, &settings->options, turn, &found[i]))
                return 0;
        fprintf(stderr, "portolan bench: %s, %llu bytes, %s%s: %s\n", cell->name,
                (unsigned long long)cell->size, bench_wait_name(cell->wait),
                cell->same_cpu ? ", same CPU" : "", pair->side.why);
        return -1;
}

/* Repetitions go round the cells, so that what changes with time meets all of them. */
static int measure_group(struct bench_pair *pair, const char *group, const struct settings *settings,
                         struct bench_found *found)
{
        for (unsigned turn = 0; turn < settings->options.repetitions; turn++)
                for (size_t i = 0; i < bench_cells_count; i++)
                        if (!strcmp(bench_cells[i].group, group) &&
                            measure_cell(pair, i, settings, turn, found))
                                return -1;
        return 0;
}

/* Each group has two processes of its own: what one leaves behind does not touch the next. */
static bool run_group(const char *group, const int cpus[2], const struct settings *settings,
                      struct bench_report *report, struct bench_found *found)
{
        struct bench_pair pair;
        bool is_good = bench_pair_start(&pair, cpus) == 0 &&
                       measure_group(&pair, group, settings, found) == 0;

        bench_pair_stop(&pair);
        if (ptl_task_leave() || !is_good)
                return false;
        bench_report_group(report, group, found, cpus[0] != cpus[1]);
        return true;
}

static int run_groups(const struct settings *settings, struct bench_report *report,
                      struct bench_found *found)
{
        int status = CMD_OK, cpus[2];

        bench_cpus(cpus);
        if (cpus[0] == cpus[1])
                fprintf(stderr, "portolan bench: only CPU %d may be used: same-cpu only\n", cpus[0]);
        for (const char *const *group = bench_groups; *group; group++)
                if (is_wanted(settings, *group) && !run_group(*group, cpus, settings, report, found))
                        status = CMD_FAILED;
        if (settings->bars)
                bench_report_bars(report);
        return status;
}

static int drive(const struct settings *settings)
{
        struct bench_found *found = calloc(bench_cells_count, sizeof *found);
        struct bench_report *report = calloc(1, sizeof *report);
        int status = CMD_FAILED;

        if (found && report) {
                report->json = settings->json;
                status = run_groups(settings, report, found);
        }
        free(found);
        free(report);
        return status;
}

static volatile sig_atomic_t driver; /* its pid */

static void pass_on(int signal_number) { kill((pid_t)driver, signal_number); }

/* The work is a child's, which may end in any way: this process stays to clean up behind it. */
static int drive_apart(const struct settings *settings)
{
        pid_t parent = getpid(), pid = fork();
        int status;

        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, (long)SIGKILL);
                exit(getppid() == parent ? drive(settings) : CMD_FAILED);
        }
        if (pid < 0)
                return CMD_FAILED;
        driver = pid;
        signal(SIGINT, pass_on);
        signal(SIGTERM, pass_on);
        while (waitpid(pid, &status, 0) != pid)
                if (errno != EINTR)
                        return CMD_FAILED;
        return WIFEXITED(status) ? WEXITSTATUS(status) : CMD_FAILED;
}

static int run(const struct settings *settings)
{
        struct bench_server server;
        int status = bench_server_start(&server) ? drive_apart(settings) : CMD_NO_SERVER;

        bench_server_stop(&server);
        return status;
}

/* ---- the command line ---- */

static bool parse_seconds(const char *text, double *ret)
{
        char *end;
        double seconds = strtod(text, &end);

        if (end == text || *end || !(seconds >= 0.001 && seconds <= 60)) {
                cmd_usage("bench", "--seconds wants 0.001 to 60, not '%s'", text);
                return false;
        }
        *ret = seconds;
        return true;
}

static bool take_option(struct settings *settings, int option)
{
        struct bench_options *o = &settings->options;
        uint64_t n;

        switch (option) {
        case OPT_JSON:
                return settings->json = true;
        case OPT_BARS:
                return settings->bars = true;
        case OPT_SECONDS:
                return parse_seconds(optarg, &o->seconds);
        case OPT_REPETITIONS:
                if (!cmd_option("bench", "--repetitions", optarg, 1, BENCH_REPETITIONS_MAX, &n))
                        return false;
                o->repetitions = (unsigned)n;
                return true;
        case OPT_QUICK:
                o->repetitions = 2;
                o->seconds = 0.02;
                o->tries = 2;
                return true;
        default:
                cmd_usage("bench", "what is meant?");
                return false;
        }
}

static bool are_groups(char *const *names)
{
        for (; *names; names++) {
                const char *const *group = bench_groups;

                while (*group && strcmp(*group, *names))
                        group++;
                if (!*group) {
                        cmd_usage("bench", "there is no benchmark '%s'", *names);
                        return false;
                }
        }
        return true;
}

int ptl_cmd_bench(int argc, char **argv)
{
        struct settings settings = {.options = {.seconds = 0.1, .repetitions = 7, .tries = 4}};
        int option;

        optind = 0; /* the tool's own options may have been read with getopt before */
        while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
                if (option == OPT_PEER)
                        return bench_peer_main(atoi(optarg));
                if (option == OPT_MEMBER)
                        return bench_member_main(atoi(optarg));
                if (option == OPT_HELP)
                        return fputs(help, stdout) < 0 ? CMD_FAILED : CMD_OK;
                if (!take_option(&settings, option))
                        return CMD_USAGE;
        }
        settings.names = argv + optind;
        settings.options.corrupt = getenv("PORTOLAN_BENCH_CORRUPT") != NULL;
        return are_groups(settings.names) ? run(&settings) : CMD_USAGE;
}
