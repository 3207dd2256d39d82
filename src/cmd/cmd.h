/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/cmd.h - what the commands of the tool share: their table, exit statuses, errors, numbers */
#pragma once
#include <portolan/portolan.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit statuses; `portolan --help` promises them. */
enum {
        CMD_OK = 0,
        CMD_FAILED = 1,    /* the operation's outcome was a failure; a line on stderr says which */
        CMD_USAGE = 2,     /* the command line makes no sense */
        CMD_TIMEOUT = 3,   /* a time that the command line or a default set has passed */
        CMD_NO_SERVER = 4, /* no name server is reachable and none could be started */
};

/**
 * struct command - one word after `portolan`
 * @name:    the word
 * @summary: one line of `portolan --help`
 * @help:    what `portolan NAME --help` prints: examples, options, exit statuses; NULL if the
 * command prints its own
 * @run:     argv[0] is "portolan NAME", as getopt's messages want it. Returns an exit status
 */
struct command {
        const char *name;
        const char *summary;
        const char *help;
        int (*run)(int argc, char **argv);
};

extern const struct command cmd_tour, cmd_send, cmd_receive, cmd_call, cmd_echo, cmd_ls, cmd_ports,
        cmd_doctor, cmd_trace;

/* `portolan tour-ROLE ...`: the processes that the tour starts. */
int tour_role_main(int argc, char **argv);

/**
 * cmd_failed - say on stderr what could not be done, why, and what helps
 * @outcome: what a function of the library returned, not 0
 * @format:  what was to be done, to stand after "cannot "
 *
 * Return: the exit status that belongs to the outcome.
 */
int cmd_failed(int outcome, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Says on stderr what is wrong with the command line of @command. Return: CMD_USAGE. */
int cmd_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/**
 * cmd_number - read a whole number from the command line
 * @text:    decimal, or hexadecimal after 0x
 * Return: whether @text is one within @least and @most; else @ret is as it was.
 */
bool cmd_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret);

/* As cmd_number(), with a sentence on stderr: "portolan send: --kind wants ...". */
bool cmd_option(const char *command, const char *option, const char *text, uint64_t least,
                uint64_t most, uint64_t *ret);

/* "forever" or milliseconds; 0 is PTL_NOW. Counts from now. */
bool cmd_deadline(const char *command, const char *option, const char *text, ptl_time *ret);
