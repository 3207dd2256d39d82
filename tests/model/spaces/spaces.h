/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spaces.h - two or three tasks in one program, for models of what tasks say to each other about rights
 *
 * Thread t of the explorer is task t, with a name space of its own and links with the others: peers as
 * shipped, whose outboxes are ordinary memory. All of port/ and task/send.c, carry.c and window.c is the
 * shipped source. Stand-ins, each true to its contract and no more: link/link.c (sockets: a HELLO is there as
 * soon as its task has made its half of the link), the server (who is introduced to whom, who is dead),
 * memory of regions (there are none), the leader's loop (spaces_wait() below; who sleeps and is rung, and
 * store buffers, are the affair of other models).
 *
 * A step is a frame published, a frame looked at, or a word with the server (explore.h, STEPS). A task that is
 * killed is so between any two of its steps. The others learn of it when the explorer likes, each by itself:
 * then it reads the ring out and settles the death, as ptl_task_unlink() does.
 *
 * One link at most for each two tasks. Memory of a task's comes from an arena of its own, so that a run which
 * reaches a state seen before is cut off.
 */
#pragma once
#include "explore.h"
#include "port/handoff.h"
#include "port/request.h"
#include "port/senders.h"
#include "task/task.h"

enum {
        SPACES = 3,
        SPACES_RING = 1024, /* bytes of each ring, in which data leaves PTL_RING_RESERVE */
};

/* What a message says. */
struct note {
        uint32_t sender; /* task */
        uint32_t number; /* of its messages to that port, from 0 */
        uint32_t tag;    /* the scenario's */
};

/* Of the scenarios: state, for its regions, and what is a step. Filled by spaces_reset(). */
extern struct model_region spaces_state[];
extern const struct model_region spaces_steps[], spaces_steps_of_windows[];
/* ... one more piece of state, the scenario's own: before spaces_reset(). */
void spaces_keep(const void *state, size_t bytes);

/* --- before the run --- */

void spaces_reset(unsigned tasks);

/* The last call in reset(). */
void spaces_begin(void);

/* A task runs in reset() and check() as its own: its memory is taken from its arena. */
void spaces_act_as(unsigned task);

/* The ring of links that are made from now on: a power of two, at least 128 for control frames, 512 for data. Without
 * room what is to be said stays a mark. */
void spaces_small_ring(unsigned from, unsigned to, uint32_t bytes);

/* A link that is open at both ends. */
void spaces_link(unsigned a, unsigned b);

/* @a was introduced to @b and has made its half; @b has not read of it yet. */
void spaces_introduce(unsigned a, unsigned b);

/* A port of @task's; its receiver. */
struct ptl_receiver *spaces_port(unsigned task);

/* @holder has a send right to that port of @owner's; its name. */
ptl_port spaces_grant(unsigned owner, struct ptl_receiver *port, unsigned holder);

/* --- tasks, in their threads --- */

struct ptl_space *spaces_space(unsigned task);
/* The link of @task's with @other, dead or not; NULL: none. */
struct ptl_peer *spaces_peer(unsigned task, unsigned other);

/* One attempt to send, as ptl_send_message(): 0, PTL_E_FULL, PTL_E_DEAD, PTL_E_NAME ... @right: PTL_NULL, or what it
 * carries. */
int spaces_send(ptl_port to, struct note note, ptl_port right, enum ptl_disposition how);

/* Takes in one thing that happened (which one is chosen): frames, an introduction, a death, room in a ring.
 * Sleeps until there is something; false: nothing will ever be, for anybody. */
bool spaces_wait(void);

/* Takes in one thing that happened, if there is any, or none: that is chosen. In a thread. */
void spaces_look(void);

/* A reference is given up, as ptl_right_release(). */
void spaces_drop(ptl_port name);

/* Looks a port of @owner's up that has that ticket: a name at once, and a CLAIM under way. */
ptl_port spaces_claim(unsigned owner, uint64_t ticket, const struct ptl_receiver *port);

/* What @other sends is not read until @task finds the time to: claims of its rights are parked. */
void spaces_hold_back(unsigned task, unsigned other);

/* @task's patience with messages that wait for an answer may end at any time (H7). */
void spaces_hurry(unsigned task);

/* The next message of a port, opened; false: none. Filled: what it says, and the name of the right it carried:
 * PTL_NULL: none. Notifications: their kind is filled, else it is 0. */
bool spaces_receive(struct ptl_receiver *port, struct note *ret_note, ptl_port *ret_right, uint32_t *ret_kind);

/* A request for NO_SENDERS: told to @notify when made >= @sync and none is left. */
void spaces_ask_no_senders(struct ptl_receiver *port, struct ptl_receiver *notify, uint32_t sync);

/* @task has settled that @other is dead, or never had a link with it. */
bool spaces_knows_dead(unsigned task, unsigned other);

/* --- rules that can be taken out --- */

enum spaces_rule {
        SPACES_GIVE_FIRST = 1,       /* H1 */
        SPACES_READ_OUT_FIRST = 2,   /* a dead peer's ring is read before its death is settled */
        SPACES_PARKING = 4,          /* H3: claims wait for the granter's ring to be read */
        SPACES_ASKED_BEHIND = 8,     /* H5: READ_OUT comes behind what was asked for */
        SPACES_GRANTEES_ASKED = 16,  /* H5: the dead granter's grantees are asked */
        SPACES_WITHDRAWN = 32,       /* H6: a dead grantee's tickets are withdrawn */
        SPACES_INDEX_KEPT = 64,      /* H9: an index of `given` is used again after SETTLED only */
        SPACES_UNCONFIRMED_KEPT = 128, /* H8: what is not confirmed is neither used nor given back */
        SPACES_SERVER_ASKED = 256,   /* H5: the granter's introductions come before the answer */
        SPACES_GENERATIONS = 512,    /* a claim is of another generation than the one before it */
        SPACES_WORD_OF_ITS_OWN = 1024, /* the taken word is believed after CONFIRM only */
        SPACES_COUNT_GOES_ON = 2048, /* R9 */
        SPACES_GIVEN_AT_ALL = 4096,  /* a ticket that is sent was given: the sender lies */
};

/* Taken out of this scenario? To be defined by the model. */
bool spaces_without(enum spaces_rule rule);

/* --- told to the model, which defines it --- */

/* Something was put into the queue of a port, or it died. */
void spaces_ready(unsigned task, struct ptl_receiver *port);

/* @task's message is published, in the same step: its spaces_send() has not returned, and may never. */
void spaces_published(unsigned task);

/* --- behind the run --- */

/* Everybody who lives takes in what is left, deaths too, and then does what its program does with that. Then
 * what was said of rights has come to rest: fails the run where tables of two tasks do not agree, where something
 * is still under way, or was taken for a lie. */
void spaces_settle(void (*program)(unsigned self));

/* The same of one task, all of whose frames were read (rest.c). */
void spaces_at_rest(unsigned task);

/* How many send rights to @port of @owner's are counted. */
uint32_t spaces_senders(unsigned owner, const struct ptl_receiver *port);

/* Does @task have a right to @port of @owner's: a name that lives? */
bool spaces_has(unsigned task, unsigned owner, const struct ptl_receiver *port);
