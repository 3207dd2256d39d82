/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd/tour.h - the tour: steps, what they show, and the roles their processes play
 *
 * A step starts actors (cmd/actor.h), lets them meet by name, and shows what they report. All of a
 * tour use a name server of their own, in a folder of mode 0700 that is gone afterwards.
 */
#pragma once
#include "cmd/actor.h"
#include "cmd/json.h"
#include "cmd/text.h"
#include <stdbool.h>

struct tour {
        struct cast cast;
        bool is_json, is_quick, is_tty;
        const struct paint *paint;
        struct json json; /* the step's object */
        bool is_step_ok;
        int quarters; /* of the progress that was shown */
        unsigned steps, steps_failed;
        char folder[64]; /* of the private server's socket; "" before it is made */
        pid_t server;    /* 0: not running */
};

struct tour_step {
        const char *key; /* of the step in JSON */
        const char *title;
        const char *about; /* what it shows: lines of at most 90 characters */
        void (*run)(struct tour *t);
};

extern const struct tour_step tour_hello, tour_stream, tour_call, tour_many, tour_full,
        tour_sender_killed, tour_receiver_killed, tour_figures;

/**
 * tour_result - show one result of a step
 * @ok:     whether it is as it must be; false fails the step and the tour
 * @key:    of the value in JSON
 * @label:  what it is, for people
 * @format: the value
 */
void tour_result(struct tour *t, bool ok, const char *key, const char *label, const char *format,
                 ...) __attribute__((format(printf, 5, 6)));

/* A remark below the results. Not in JSON. */
void tour_note(struct tour *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A number for machines only: what tour_result() said in words. */
void tour_number(struct tour *t, const char *key, double value, int decimals);

/* Ends an actor; if it failed, says why as a result that is not ok. Frees it. */
bool tour_end_actor(struct tour *t, struct actor *a, int ms);

/* A bar that overwrites itself, on a terminal; elsewhere a line at every quarter. */
void tour_progress(struct tour *t, double done, const char *text);

void tour_print_head(struct tour *t);
void tour_begin_step(struct tour *t, const struct tour_step *step);
void tour_finish_step(struct tour *t, double seconds);
void tour_print_end(struct tour *t, double seconds);

/* ---- inside of a role ---- */

#define TOUR_VARIABLE "PORTOLAN_TOUR" /* the tour's process id, in the environment of its roles */

enum { ROLE_DEADLINE_MS = 10000 }; /* what answers in microseconds has failed after so long */

typedef int role_function(int argc, char **argv); /* argv[0]: its first argument */
role_function role_hello_producer, role_hello_consumer, role_stream_producer, role_stream_consumer,
        role_server, role_client, role_collector, role_sender, role_full_receiver, role_full_sender,
        role_doomed_sender, role_survivor, role_doomed_receiver, role_blocked_sender, role_figures,
        role_figure_near, role_figure_far;

/* A line KEY=VALUE to the tour. */
void role_report(const char *key, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* If @outcome is not 0: reports that @what failed, and ends this process. */
void role_must(int outcome, const char *what);

/* If not @condition: reports @what as an error, and ends this process. */
void role_check(bool condition, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Waits for the tour's next cue. False: there will be none. */
bool role_await_cue(char *cue, size_t size);

/* A port published under a name; a right to one that is found by name. Both or else the end. */
ptl_port role_publish(const char *name, uint32_t limit_messages);
ptl_port role_find(const char *name);

/* A number among the arguments, which the tour itself has written. */
uint64_t role_number(const char *text);
