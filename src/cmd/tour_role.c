/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/tour_role.c - what all roles of the tour need: reports, cues, names */
#include "base/cleanup.h"
#include "cmd/cmd.h"
#include "cmd/tour.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const struct {
        const char *name;
        role_function *play;
} roles[] = {
        {"hello-producer",  role_hello_producer },
        {"hello-consumer",  role_hello_consumer },
        {"stream-producer", role_stream_producer},
        {"stream-consumer", role_stream_consumer},
        {"server",          role_server         },
        {"client",          role_client         },
        {"collector",       role_collector      },
        {"sender",          role_sender         },
        {"full-receiver",   role_full_receiver  },
        {"full-sender",     role_full_sender    },
        {"doomed-sender",   role_doomed_sender  },
        {"survivor",        role_survivor       },
        {"doomed-receiver", role_doomed_receiver},
        {"blocked-sender",  role_blocked_sender },
        {"figures",         role_figures        },
        {"figure-near",     role_figure_near    },
        {"figure-far",      role_figure_far     },
};

void role_report(const char *key, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        printf("%s=", key);
        vprintf(format, arguments);
        putchar('\n');
        fflush(stdout);
        va_end(arguments);
}

void role_must(int outcome, const char *what)
{
        if (outcome == 0)
                return;
        role_report("error", "%s: %s (%s)", what, ptl_outcome_text(outcome),
                    ptl_outcome_name(outcome));
        exit(CMD_FAILED);
}

void role_check(bool condition, const char *format, ...)
{
        char text[120];
        va_list arguments;

        if (condition)
                return;
        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        role_report("error", "%s", text);
        exit(CMD_FAILED);
}

bool role_await_cue(char *cue, size_t size)
{
        if (!fgets(cue, (int)size, stdin))
                return false;
        cue[strcspn(cue, "\n")] = 0;
        return true;
}

ptl_port role_publish(const char *name, uint32_t limit_messages)
{
        struct ptl_port_options options = {.limit_messages = limit_messages};
        ptl_port port;

        role_must(ptl_port_new(&port, &options), "make a port");
        role_must(ptl_name_publish(name, port), "publish a name");
        return port;
}

ptl_port role_find(const char *name)
{
        ptl_port port;

        role_must(ptl_name_look_up(name, &port, ptl_after_ms(ROLE_DEADLINE_MS)), "find a name");
        return port;
}

uint64_t role_number(const char *text) { return strtoull(text, NULL, 10); }

int tour_role_main(int argc, char **argv)
{
        const char *tour = getenv(TOUR_VARIABLE);

        /* the tour ends each role; should it be killed itself, the kernel does, or the clock */
        prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL);
        if (tour && role_number(tour) != (uint64_t)getppid()) /* it was killed before that line */
                return CMD_FAILED;
        alarm(90);
        signal(SIGPIPE, SIG_IGN);
        for (size_t i = 0; i < PTL_ARRAY_LEN(roles); i++)
                if (!strcmp(roles[i].name, argv[0] + 5))
                        return roles[i].play(argc - 1, argv + 1);
        return cmd_usage("tour", "'%s' is not for people", argv[0]);
}
