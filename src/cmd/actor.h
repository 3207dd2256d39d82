/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd/actor.h - the processes that play the tour's roles: start, hear, tell, kill
 *
 * An actor is this program executed anew as `portolan tour-ROLE ARGUMENTS`. It inherits no memory
 * and no descriptors but three: its standard output, on which it reports lines KEY=VALUE to the
 * tour, its standard input, from which it takes the tour's cues, and standard error. What the
 * actors say to each other goes through what they find by name.
 *
 * Every wait has a deadline, and ends at once when the tour is interrupted. An actor dies with the
 * tour, however the tour ends.
 */
#pragma once
#include <portolan/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { ACTORS_MAX = 16, ACTOR_ARGUMENTS_MAX = 12, ACTOR_KEEP_MAX = 4 };

struct actor {
        const char *role;
        pid_t pid; /* 0: this place is free */
        int cues, reports;
        char *text; /* all reports so far, NUL-terminated; its own */
        size_t size, room;
        bool has_ended, is_late;
        int status; /* as waitpid() told, once it has ended */
};

struct cast {
        struct actor actors[ACTORS_MAX];
        int signals;     /* signalfd: SIGINT, SIGTERM, SIGHUP */
        int interrupted; /* by this signal, 0: not */
};

/* Blocks the signals that end a tour, and hears them instead. Return: 0 or -errno. */
int cast_init(struct cast *c);

/* Kills and reaps whoever is left. */
void cast_fini(struct cast *c);

/**
 * actor_start - execute this program anew in a role
 * @words: the role and its arguments, NULL-terminated
 * @keep:  descriptors the actor gets as 3, 4, ...; ends with a negative one; NULL: none
 * Return: NULL if it could not be started; said on stderr.
 */
struct actor *actor_start(struct cast *c, const char *const *words, const int *keep);
#define ACTOR(c, ...) actor_start((c), (const char *const[]){__VA_ARGS__, NULL}, NULL)

/* Hears what all actors report, for at most @ms. Returns at the first news. */
void cast_listen(struct cast *c, int ms);

/* Waits until the actor has reported @key. False: it ended before, it took too long. NULL is false.
 */
bool actor_await(struct cast *c, struct actor *a, const char *key, int ms);

/* The last value reported for a key, in @ret; false and "" if there is none. */
bool actor_text(const struct actor *a, const char *key, char *ret, size_t size);
double actor_number(const struct actor *a, const char *key); /* NaN if there is none */

/* A line to its standard input. */
void actor_cue(struct actor *a, const char *cue);

/* SIGKILL. Return: when. */
ptl_time actor_kill(struct actor *a);

/* Closes its input, waits for its end at most @ms, then kills it. Return: whether it ended with 0.
 */
bool actor_end(struct cast *c, struct actor *a, int ms);

/* Why an actor that was ended failed: its report "error", a signal, a status, a deadline. */
const char *actor_fault(const struct actor *a, char buffer[160]);

/* Forgets an actor that has ended. NULL is allowed. */
void actor_free(struct actor *a);
