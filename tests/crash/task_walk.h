/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_walk.h - leads a process to any instruction of a function, and kills it there
 *
 * One victim is led through instruction by instruction, which leaves a trace: which instruction
 * came when. For those after it this is a map: they run up to a breakpoint at the nearest
 * instruction that the function had not come to before, and go on from there step by step. Where
 * nothing but time differs (a poll that ended earlier) the two ways differ a little, too.
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
        unsigned long breakpoint; /* where one is set; 0: nowhere */
        long code;                /* what it stands on */
};

/* Element k: what was to be executed next when k instructions had been. */
struct walk_trace {
        unsigned n;
        struct walk_place {
                unsigned long address;
                unsigned times; /* it had been come to before */
        } * places;
};

/* In the victim: lets the parent trace it, or ends it; and stops it, where the walk is to begin and
 * where the function has returned. */
void walk_allow(void);
void walk_stop(void);

/* Waits for child @pid to stop itself. */
enum walk_end walk_begin(struct walk *w, pid_t pid, const _Atomic uint32_t *phase, int ms);

/* Each of these is called again after WALK_ASLEEP. */

/* Goes through the function step by step and adds to @trace, which begins as zero. */
enum walk_end walk_record(struct walk *w, struct walk_trace *trace);

/* Goes on until @steps instructions have been executed; @trace NULL: step by step from the start.
 */
enum walk_end walk_to(struct walk *w, const struct walk_trace *trace, unsigned steps);

/* Goes on without stopping, until the function has returned, or the process has ended. */
enum walk_end walk_free(struct walk *w);

/* Where it stands, as an offset from the program's start (for addr2line); 0: not known. */
unsigned long walk_offset(const struct walk *w);

/* SIGKILL, and reaps it. */
void walk_kill(struct walk *w);
