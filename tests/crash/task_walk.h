/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_walk.h - leads a process through a function instruction by instruction, and kills it there
 *
 * Unlike step.h nothing is copied: the process is really killed, and those it had links with really
 * lose it. What lies between two stops is one machine instruction: a repeated one (rep movsb) and a
 * system call are one each, and a system call that sleeps is a place of its own.
 */
#pragma once
#include "base/atomic.h"
#include <stdbool.h>
#include <sys/types.h>

/* Where the victim is, in memory it shares with who walks it. Only WITHIN counts. */
enum walk_phase { WALK_BEFORE, WALK_WITHIN, WALK_AFTER };

enum walk_end {
        WALK_THERE,  /* as far as was asked for */
        WALK_ASLEEP, /* it sleeps in a system call, which has not returned */
        WALK_DONE,   /* the function has returned, or the process ended well */
        WALK_LOST,   /* it ended by itself, or by a signal, or does not come */
        WALK_DENIED, /* ptrace is not permitted here */
};

struct walk {
        pid_t pid;
        const _Atomic uint32_t *phase;
        unsigned steps; /* instructions of the function that were executed */
        bool sleeping;  /* in a system call; do not ask ptrace anything */
        int status;
};

/* In the victim: lets the parent trace it, or ends it; then, where the walk is to begin, stops it. */
void walk_allow(void);
void walk_stop(void);

/* Waits for child @pid to stop itself. */
enum walk_end walk_begin(struct walk *w, pid_t pid, const _Atomic uint32_t *phase, int ms);

/* Goes on until @steps instructions have been executed. */
enum walk_end walk_on(struct walk *w, unsigned steps);

/* Goes on without stopping, until the process has ended. */
enum walk_end walk_free(struct walk *w);

/* Where it stands, as an offset from the program's start (for addr2line); 0: not known. */
unsigned long walk_place(const struct walk *w);

/* SIGKILL, and reaps it. */
void walk_kill(struct walk *w);
