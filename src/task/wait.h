/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task/wait.h - polling, sleeping, and who does it for the others
 *
 * Of the threads that wait one is the leader: it polls the hot links, drains rings into queues and
 * sleeps on the task's epoll set. The others sleep on a word of their own until their port has
 * something, or until they are made leader. Whoever leaves a wait, for whatever reason, hands
 * leadership on under the task's lock (docs/protocol/link.md, "Waiting").
 *
 * Invariants:
 *   W1  while threads wait, one of them leads or has been signalled to;
 *   W2  the leader sleeps only after every hot link was armed and looked at, in that order; cold links
 *       are armed and were looked at after that;
 *   W3  what the leader's polling reads without the lock (its list of hot links, reader positions) is
 *       changed by the leader only.
 */
#pragma once
#include "base/clock.h"
#include "port/deliver.h"

struct ptl_task;
struct ptl_waiter;

enum ptl_waiter_kind { PTL_WAITS_MESSAGE, PTL_WAITS_ROOM, PTL_WAITS_ANSWER };

/* What a waiter waits for. Called with the lock held: has it happened? */
typedef bool ptl_wait_check(struct ptl_task *task, struct ptl_waiter *waiter);
/* Called without the lock while polling: is it worth looking? NULL: no hint. */
typedef bool ptl_wait_hint(const struct ptl_waiter *waiter);

struct ptl_waiter {
        struct ptl_waiter *next, **previous;
        enum ptl_waiter_kind kind;
        ptl_wait_check *check;
        ptl_wait_hint *hint;
        struct ptl_want want; /* of PTL_WAITS_MESSAGE */
        ptl_port port; /* the name of that port or set, which may be freed while we wait */
        const struct ptl_peer *from; /* of PTL_WAITS_ROOM: whose room; not to be looked into */
        void *arg;
        _Atomic uint32_t signal; /* 0: sleep on; 1: look again */
};

enum { PTL_WAIT_CALLS = 32 }; /* calls between two readings of the clock for the look at the epoll set */

struct ptl_wait_state {
        int epoll, kick;
        enum ptl_wait how;
        uint32_t poll_max_ns, poll_ns; /* the bound, and what lately paid */
        uint32_t cpus;
        struct ptl_waiter *waiters; /* all of them, the leader too */
        struct ptl_waiter *leader;
        struct ptl_waiter *wanted; /* it is to lead next: what it waits for needs that (task/send.c) */
        uint32_t waits_room;     /* waiters of PTL_WAITS_ROOM */
        _Atomic uint32_t poke;   /* tells a polling leader to look again */
        uint32_t stalled;        /* links with stalled_until */
        bool heat_later;         /* a link waits to become hot */
        bool polling;            /* the leader reads hot_peers without the lock */
        bool asleep;             /* the leader sleeps, or is about to, in the kernel */
        bool polled;             /* ptl_wait_poll() polled in vain: sleep next */
        bool pollable;           /* a descriptor was given out: stay armed */
        bool long_way;           /* that, or requests are due: the straight way (quick.h) is not to be taken */
        uint32_t hot, hot_room;  /* length and room of hot_peers */
        struct ptl_peer **hot_peers;
        uint32_t turn;           /* which hot link is looked at first */
        ptl_time looked;         /* when the epoll set was last looked at */
        bool looked_now;         /* since `looked` was set */
        uint64_t polls_won;      /* polls that ended with a message */
        uint32_t since_look;     /* messages since the clock was last read for that */
};

PTL_MUST_CHECK int ptl_wait_init(struct ptl_wait_state *wait);
void ptl_wait_fini(struct ptl_wait_state *wait);

/**
 * ptl_wait_for - wait until waiter->check() says so
 * @waiter: kind, check, and what they need are set; the caller's, for the time of the call
 *
 * The lock is held on entry and exit, not in between. Progress is made for every thread meanwhile.
 * Return: 0, PTL_E_TIMEOUT.
 */
PTL_MUST_CHECK int ptl_wait_for(struct ptl_task *task, struct ptl_waiter *waiter, ptl_time deadline);

/**
 * ptl_wait_poll - poll without the machinery of leaders, where this is the only thread
 *
 * Return: a link with something in its ring. NULL: polling does not pay, or no longer: ptl_wait_for()
 * goes on, and does not poll again before it sleeps.
 */
struct ptl_peer *ptl_wait_poll(struct ptl_wait_state *wait, ptl_time deadline);

/* Who waits never sleeps. */
static inline bool ptl_wait_spins(const struct ptl_wait_state *wait)
{
        return wait->how == PTL_WAIT_SPIN || wait->how == PTL_WAIT_MEMORY;
}

/* All peers that are polled run on this CPU, or there is no other: polling would only keep them from
 * running. */
bool ptl_wait_poll_is_pointless(struct ptl_wait_state *wait);

static inline void ptl_wait_poll_won(struct ptl_wait_state *wait)
{
        wait->polls_won++;
        wait->poll_ns = wait->poll_max_ns;
}

/* Polls the only hot link for about a microsecond: what the answer of a peer that is awake takes. NULL: no
 * answer yet, or there is more to poll than that. */
static inline struct ptl_peer *ptl_wait_glance(struct ptl_wait_state *wait)
{
        enum { LOOKS = 32 };
        struct ptl_peer *peer;

        if (PTL_UNLIKELY(wait->hot != 1 || wait->how == PTL_WAIT_BLOCK))
                return NULL;
        peer = wait->hot_peers[0];
        if (ptl_ring_ready(&peer->link.rx))
                return peer;
        if (PTL_UNLIKELY(ptl_wait_poll_is_pointless(wait)))
                return NULL;
        for (unsigned k = 0; k < LOOKS; k++) {
                ptl_pause();
                if (PTL_UNLIKELY(ptl_ring_ready(&peer->link.rx))) {
                        ptl_wait_poll_won(wait);
                        return peer;
                }
        }
        return NULL;
}

/* Polls where that pays, else sleeps once; NULL also when something else happened. */
struct ptl_peer *ptl_wait_frame(struct ptl_task *task, ptl_time deadline);

/* Polls like that, and takes in what comes; whether @want is met. */
bool ptl_wait_quick(struct ptl_task *task, struct ptl_want *want, ptl_time deadline);

/* One look at everything without waiting: drains rings and the epoll set. The lock is held. Does
 * nothing if another thread leads. */
void ptl_wait_look(struct ptl_task *task, struct ptl_want *want);

/* Takes from the rings of hot links without a system call; whether there was anything. */
bool ptl_wait_drain(struct ptl_task *task, struct ptl_want *want);

/* Messages of one port that lie behind each other in the only hot link's ring, in place. */
size_t ptl_wait_run(struct ptl_task *task, ptl_port port, struct ptl_message *messages, size_t max);

/* Takes in what newcomers have sent by now. The lock is held. */
void ptl_wait_catch_up(struct ptl_task *task);

void ptl_wait_tick_slow(struct ptl_task *task, struct ptl_wait_state *wait, struct ptl_want *want);

/* Now and then, for a thread that never sleeps: looks at the epoll set if that was a ms ago, and then at
 * the rings, for @want if it is given. */
static inline void ptl_wait_tick(struct ptl_task *task, struct ptl_wait_state *wait,
                                 struct ptl_want *want)
{
        if (PTL_UNLIKELY(++wait->since_look >= PTL_WAIT_CALLS))
                ptl_wait_tick_slow(task, wait, want);
}

/* Counts a call that leaves the tick to the long way: is it time for that? */
static inline bool ptl_wait_tick_due(struct ptl_wait_state *wait)
{
        if (PTL_UNLIKELY(wait->since_look >= PTL_WAIT_CALLS - 1))
                return true;
        wait->since_look++;
        return false;
}

/* @waiter cannot go on unless it leads: whoever does lets it. */
void ptl_wait_want_lead(struct ptl_task *task, struct ptl_waiter *waiter);

/* The leader may sleep on assumptions that no longer hold (a new sender waits for room, a retry is due
 * earlier): it looks again. */
void ptl_wait_rethink(struct ptl_task *task);

/* From now on this link is polled. */
void ptl_wait_heat(struct ptl_task *task, struct ptl_peer *peer);

/* ... and from now on it is not: it is held back (task/restrain.h). */
void ptl_wait_cool(struct ptl_task *task, struct ptl_peer *peer);

/* Adds or removes a link's descriptors; @peer NULL: the server's socket. */
PTL_MUST_CHECK int ptl_wait_watch(struct ptl_task *task, struct ptl_peer *peer);
void ptl_wait_unwatch(struct ptl_task *task, struct ptl_peer *peer);

/* Of a link's socket alone: it is lost, or goes on over @fd (task/relink.h). */
PTL_MUST_CHECK int ptl_wait_watch_socket(struct ptl_task *task, struct ptl_peer *peer, int fd);
void ptl_wait_unwatch_socket(struct ptl_task *task, struct ptl_peer *peer, int fd);

/* The timer that the board is written by (board.h): an edge each time. */
PTL_MUST_CHECK int ptl_wait_watch_timer(struct ptl_task *task, int fd);

/* A watcher's socket (watched.h): ptl_watched_look() is called when its other side has closed. */
PTL_MUST_CHECK int ptl_wait_watch_end(struct ptl_task *task, int fd);
void ptl_wait_unwatch_end(struct ptl_task *task, int fd);

/* Somebody waits for what has just happened: signals them. */
void ptl_wait_signal_receiver(struct ptl_task *task, struct ptl_receiver *receiver);
void ptl_wait_forget_set(struct ptl_task *task, const struct ptl_set *set);
void ptl_wait_signal_kind(struct ptl_task *task, enum ptl_waiter_kind kind);

/* Arms every hot link: a descriptor is given out. */
void ptl_wait_arm_all(struct ptl_task *task);

/* Arms every link, if a descriptor was given out and nothing is there. Returns false if something came
 * meanwhile: look again. */
bool ptl_wait_stay_armed(struct ptl_task *task);
