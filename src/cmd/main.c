/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/main.c - portolan, the tool: finds the command that was meant */
#include "base/cleanup.h"
#include "cmd/bench.h"
#include "cmd/cmd.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct command bench = {
        "bench", "measure latency, throughput and CPU time on this machine", NULL, ptl_cmd_bench};

static const struct command *const commands[] = {&cmd_tour,   &cmd_send,  &cmd_receive,
                                                 &cmd_call,   &cmd_echo,  &cmd_ls,
                                                 &cmd_ports,  &cmd_doctor, &cmd_trace,
                                                 &bench};

static const char intro[] =
        "portolan - ports, rights and messages between the processes of this machine\n"
        "\n"
        "Try it in two terminals:\n"
        "  portolan receive box            wait for messages under the name \"box\"\n"
        "  portolan send box \"Hello!\"      ... and send it one\n"
        "or see what it can do, in half a minute:\n"
        "  portolan tour\n"
        "\n"
        "Commands:\n";

static const char outro[] =
        "\n"
        "'portolan COMMAND --help' shows examples and options of each.\n"
        "--version prints the version; listing commands take --json: one object a line.\n"
        "\n"
        "Environment:\n"
        "  PORTOLAN_SOCKET=PATH   use the name server at this socket\n"
        "  PORTOLAN_TRACE=1|FILE  print every message decoded ('portolan trace')\n"
        "  PORTOLAN_WAIT=spin|adaptive|block   how to wait for messages\n"
        "  NO_COLOR=1             no colours\n"
        "\n"
        "Exit status: 0 done; 1 it failed, and stderr says why; 2 the command line is wrong;\n"
        "3 a time passed; 4 no name server.\n";

static void print_help(FILE *f)
{
        fputs(intro, f);
        for (size_t i = 0; i < PTL_ARRAY_LEN(commands); i++)
                fprintf(f, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
        fputs(outro, f);
}

static const struct command *find(const char *name)
{
        for (size_t i = 0; i < PTL_ARRAY_LEN(commands); i++)
                if (!strcmp(commands[i]->name, name))
                        return commands[i];
        return NULL;
}

/* Letters to add, drop or change (Levenshtein) from @a to @b; words longer than a row are far. */
static size_t edits(const char *a, const char *b)
{
        size_t row[32], n = strlen(b);

        if (n >= PTL_ARRAY_LEN(row))
                return n;
        for (size_t j = 0; j <= n; j++)
                row[j] = j;
        for (; *a; a++) {
                size_t diagonal = row[0]++;

                for (size_t j = 1; j <= n; j++) {
                        size_t best = diagonal + (*a != b[j - 1]);

                        diagonal = row[j];
                        best = row[j] + 1 < best ? row[j] + 1 : best;
                        row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
                }
        }
        return row[n];
}

/* Other words that people type for what a command does. */
static const char *synonym(const char *name)
{
        static const char *const words[][2] = {
                {"recv",      "receive"},
                {"list",      "ls"     },
                {"demo",      "tour"   },
                {"check",     "doctor" },
                {"ps",        "ls"     },
                {"listen",    "receive"},
                {"request",   "call"   },
                {"benchmark", "bench"  },
                {"serve",     "echo"   },
                {"write",     "send"   },
                {"read",      "receive"},
                {"names",     "ls"     },
                {"inspect",   "ports"  },
                {"top",       "ports"  },
        };

        for (size_t i = 0; i < PTL_ARRAY_LEN(words); i++)
                if (!strcmp(words[i][0], name))
                        return words[i][1];
        return NULL;
}

static int unknown(const char *name)
{
        const char *nearest = synonym(name);
        size_t least = 3; /* farther than two letters is a guess */

        for (size_t i = 0; !nearest && least > 1 && i < PTL_ARRAY_LEN(commands); i++)
                least = least < edits(name, commands[i]->name) ? least
                                                               : edits(name, commands[i]->name);
        for (size_t i = 0; !nearest && least < 3 && i < PTL_ARRAY_LEN(commands); i++)
                if (edits(name, commands[i]->name) == least)
                        nearest = commands[i]->name;
        fprintf(stderr, "portolan: there is no command \"%s\".", name);
        if (nearest)
                fprintf(stderr, " Did you mean '%s'?", nearest);
        fputs("\nTry 'portolan --help'.\n", stderr);
        return CMD_USAGE;
}

static bool is_help(const char *s) { return !strcmp(s, "--help") || !strcmp(s, "-h"); }

/* Only before "--", and only for what is not another program's: trace passes the rest on. */
static bool wants_help(const struct command *c, int argc, char **argv)
{
        int last = c == &cmd_trace && argc > 2 ? 2 : argc;

        for (int i = 1; i < last && strcmp(argv[i], "--"); i++)
                if (is_help(argv[i]))
                        return c->help != NULL;
        return false;
}

static int run(const struct command *c, int argc, char **argv)
{
        char name[32];

        if (wants_help(c, argc, argv)) {
                fputs(c->help, stdout);
                return CMD_OK;
        }
        snprintf(name, sizeof name, "portolan %s", c->name);
        argv[0] = name; /* getopt's messages begin with it */
        return c->run(argc, argv);
}

static int dispatch(int argc, char **argv)
{
        const struct command *c;

        if (argc < 2 || is_help(argv[1]) || (!strcmp(argv[1], "help") && argc == 2)) {
                print_help(stdout);
                return CMD_OK;
        }
        if (!strcmp(argv[1], "--version")) {
                printf("portolan %s\n", ptl_version());
                return CMD_OK;
        }
        if (!strncmp(argv[1], "tour-", 5))
                return tour_role_main(argc - 1, argv + 1);
        if (!strcmp(argv[1], "help")) {
                c = find(argv[2]);
                return c ? run(c, 2, (char *[]){argv[2], (char[]){"--help"}, NULL})
                         : unknown(argv[2]);
        }
        c = find(argv[1]);
        return c ? run(c, argc - 1, argv + 1) : unknown(argv[1]);
}

int main(int argc, char **argv)
{
        int status = dispatch(argc, argv);

        /* a full disk or a closed pipe must not look like success */
        if ((fflush(stdout) || ferror(stdout)) && status == CMD_OK) {
                perror("portolan: cannot write to the standard output");
                return CMD_FAILED;
        }
        return status;
}
