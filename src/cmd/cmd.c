/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/cmd.c - what the commands of the tool share: errors that help, numbers */
#include "cmd/cmd.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a person can do about an outcome; NULL where its text says all there is. */
static const char *advice(int outcome)
{
        switch (outcome) {
        case PTL_E_NOT_FOUND:
                return "Is its server running? 'portolan ls' lists names.";
        case PTL_E_FULL:
                return "Its receiver is slow or stopped; --wait MS waits for room.";
        case PTL_E_TIMEOUT:
        case PTL_E_UNANSWERED:
                return "A longer time, or 'forever', may help; 'portolan ls tasks' shows who "
                       "lives.";
        case PTL_E_DEAD:
                return "Start it again; 'portolan ls' lists names.";
        case PTL_E_NO_REPLY:
                return "It took the request and dropped it: look into its own messages.";
        case PTL_E_EXISTS:
                return "'portolan ls' tells whose it is; it is free when that process ends.";
        case PTL_E_NO_SERVER:
                return "'portolan doctor' tells where it was looked for and how to start one.";
        case PTL_E_REFUSED:
                return "'portolan doctor' tells whose server it is.";
        case PTL_E_RIGHT:
                return "The name may be a region's, not a port's: see 'portolan ls'.";
        case PTL_E_VERSION:
                return "Restart the name server, so that both come from one installation.";
        case -EMFILE:
        case -ENOMEM:
        case -ENOSPC:
                return "'portolan doctor' lists the limits of this place.";
        default:
                return NULL;
        }
}

static int exit_status(int outcome)
{
        switch (outcome) {
        case PTL_E_TIMEOUT:
        case PTL_E_UNANSWERED:
                return CMD_TIMEOUT;
        case PTL_E_NO_SERVER:
                return CMD_NO_SERVER;
        default:
                return CMD_FAILED;
        }
}

int cmd_failed(int outcome, const char *format, ...)
{
        const char *help = advice(outcome);
        va_list arguments;

        fflush(stdout); /* what was printed before comes before */
        fputs("portolan: cannot ", stderr);
        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
        fprintf(stderr, ": %s%s%s\n", ptl_outcome_text(outcome), help ? ". " : "",
                help ? help : "");
        return exit_status(outcome);
}

int cmd_usage(const char *command, const char *format, ...)
{
        va_list arguments;

        fprintf(stderr, "portolan %s: ", command);
        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
        fprintf(stderr, "\nTry 'portolan %s --help'.\n", command);
        return CMD_USAGE;
}

bool cmd_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret)
{
        bool is_hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
        unsigned long long n;
        char *end;

        /* strtoull takes signs, spaces and octal, which nobody means here */
        if (text[0] < '0' || text[0] > '9')
                return false;
        errno = 0;
        n = strtoull(text, &end, is_hex ? 16 : 10);
        if (errno || *end || n < least || n > most)
                return false;
        *ret = n;
        return true;
}

bool cmd_option(const char *command, const char *option, const char *text, uint64_t least,
                uint64_t most, uint64_t *ret)
{
        if (cmd_number(text, least, most, ret))
                return true;
        cmd_usage(command, "%s wants a number from %llu to %llu, not '%s'", option,
                  (unsigned long long)least, (unsigned long long)most, text);
        return false;
}

bool cmd_deadline(const char *command, const char *option, const char *text, ptl_time *ret)
{
        uint64_t ms;

        if (!strcmp(text, "forever")) {
                *ret = PTL_FOREVER;
                return true;
        }
        if (!cmd_number(text, 0, INT32_MAX, &ms)) {
                cmd_usage(command, "%s wants milliseconds or 'forever', not '%s'", option, text);
                return false;
        }
        *ret = ms ? ptl_after_ms((int64_t)ms) : PTL_NOW;
        return true;
}
