/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task/board.h - this task's board: what others may see of it, also when it is stuck (wire/board.h)
 *
 * States: none → lodged (made and sent to the server that has just welcomed us) → none (the server is gone, the
 * task leaves, a child after fork). A board is made anew for each server, so no descriptor is kept.
 *
 * Nothing on the path of a message touches it. It is written
 *   - when it is made, and after each answer of the server (names are published, links come): at once,
 *     and by tasks of many names or links for at most a twentieth of the time;
 *   - at looks at the epoll set, that is at each sleep and at the tick of who never sleeps: every 100 ms, and
 *     for at most a hundredth of the time. A sleeper whose last words are younger is woken by a timer when
 *     they are due, once, so a task that sleeps for long has written all there is to say. (A sleep with a time
 *     of its own would cost each sleep half a microsecond; the timer is set once in 100 ms.)
 *
 * The task's lock guards everything.
 */
#pragma once
#include "base/clock.h"
#include "wire/board.h"

struct ptl_peer;
struct ptl_task;

enum { PTL_BOARD_LIARS = 8 };

struct ptl_task_board {
        struct ptl_board *memory; /* NULL: none */
        ptl_time due;             /* when a look writes it again */
        ptl_time soon;            /* when an event may */
        int timer;                /* a timerfd in the epoll set; 0 or less: none */
        bool is_armed;            /* it will wake a sleeper when the board is due */
        uint32_t n_liars;         /* ever */
        struct ptl_peer_view liars[PTL_BOARD_LIARS]; /* peers that lied, whose links are over; the last ones */
};

/* Makes it, writes it, tells the server; without memory or descriptors the task goes without. */
void ptl_board_lodge(struct ptl_task *task);

/* @forked: in a child it is not mapped. */
void ptl_board_drop(struct ptl_task *task, bool forked);

/* Something happened that is to be seen even if the task never comes back into the library. */
void ptl_board_event(struct ptl_task *task);

/* A look at the epoll set begins that may last @timeout_ms (-1: for ever): how long it is to last. */
int ptl_board_look(struct ptl_task *task, int timeout_ms);

/* The timer has fired. */
static inline void ptl_board_timer(struct ptl_task_board *board) { board->is_armed = false; }

/* A link is over: what its peer told is remembered if there were lies in it. */
void ptl_board_remember(struct ptl_task *task, struct ptl_peer *peer);

static inline void ptl_board_sleeps(const struct ptl_task_board *board, bool asleep)
{
        if (board->memory)
                ptl_store_relaxed(&board->memory->head.asleep, asleep); /* relaxed: a hint, alone */
}
