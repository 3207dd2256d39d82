/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/process.c - see process.h */
#include "cmd/process.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Field 3 of /proc/PID/stat. */
static const char *state_name(char letter)
{
        switch (letter) {
        case 'R':
                return "running";
        case 'S':
        case 'I':
                return "sleeping";
        case 'D':
                return "waiting for a device";
        case 'T':
                return "stopped";
        case 't':
                return "stopped by a debugger";
        case 'Z':
        case 'X':
                return "ended";
        default:
                return NULL;
        }
}

/* Field 2 is in parentheses and may hold anything: so what follows is counted from the last one. */
const char *process_state(const struct ptl_identity *who)
{
        char path[32], text[1024] = "", letter = 0;
        const char *rest;
        uint64_t start = 0;
        FILE *f;

        snprintf(path, sizeof path, "/proc/%" PRId32 "/stat", who->pid);
        f = fopen(path, "re");
        if (!f)
                return NULL;
        if (!fgets(text, sizeof text, f))
                text[0] = 0;
        fclose(f);
        rest = strrchr(text, ')');
        if (!rest || sscanf(rest, ") %c", &letter) != 1)
                return NULL;
        for (int field = 2; rest && field < 22; field++)
                rest = strchr(rest + 1, ' ');
        if (!rest || sscanf(rest, " %" SCNu64, &start) != 1 || start != who->start_time)
                return NULL;
        return state_name(letter);
}

int process_failed(int outcome, int32_t pid, const char *what)
{
        const char *why;

        if (outcome == PTL_E_NOT_FOUND)
                why = "the name server knows no such task. 'portolan ls tasks' lists them";
        else if (outcome == PTL_E_REFUSED)
                why = "it is another user's. Root and the name server's user may";
        else
                return cmd_failed(outcome, "%s process %" PRId32, what, pid);
        fprintf(stderr, "portolan: cannot %s process %" PRId32 ": %s.\n", what, pid, why);
        return CMD_FAILED;
}
