/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task/carry.h - rights and regions on their way out
 *
 * Two steps, as everything that moves rights: check (may fail, changes nothing), then take.
 */
#pragma once
#include "port/handoff.h"
#include "port/moving.h"
#include "task/task.h"

/* May these rights go to @peer (NULL: this task)? @once: the send-once right that the message uses up, or NULL. 0, PTL_E_NAME, PTL_E_FORKED, PTL_E_RIGHT,
 * PTL_E_INVALID, PTL_E_TOO_BIG, PTL_E_FULL (a right is not confirmed yet, or its task has not answered). */
PTL_MUST_CHECK int ptl_carry_check(struct ptl_task *task, const struct ptl_peer *peer, const struct ptl_entry *once,
                                   const struct ptl_outgoing *out);

/* ... of the rights alone: of a message that was checked as it was sent first. */
PTL_MUST_CHECK int ptl_carry_check_rights(struct ptl_task *task, const struct ptl_peer *peer,
                                          const struct ptl_entry *once, const struct ptl_outgoing *out);

/* Behind their GIVE (S8): is the port of one of third tasks' rights about to move? Copied ones wait for the word. */
bool ptl_carry_is_unsure(struct ptl_task *task, const struct ptl_peer *peer, const struct ptl_outgoing *out);

/* Grants what is granted; fills one element a right. PTL_E_QUOTA, and then nothing is granted. */
PTL_MUST_CHECK int ptl_carry_grant(struct ptl_task *task, struct ptl_peer *peer,
                                   const struct ptl_outgoing *out, struct ptl_frame_right *ret);

/* Undoes ptl_carry_grant(). */
void ptl_carry_revoke(struct ptl_peer *peer, const struct ptl_frame_right *rights, size_t count);

/* Does a receive right go with it? */
bool ptl_carry_receives(const struct ptl_outgoing *out);
/* All of them to @move; as ptl_move_add(). */
PTL_MUST_CHECK int ptl_carry_add_moves(struct ptl_task *task, const struct ptl_outgoing *out, struct ptl_move *move);
/* How many other rights of the message are to ports that move with it; @move, if not NULL, is told which. They are
 * given to the peer as staged messages' are. */
uint32_t ptl_carry_along(struct ptl_task *task, const struct ptl_outgoing *out, struct ptl_move *move);
/* The tickets of all that is given, in the message's order. @thirds: of third tasks' rights. */
void ptl_carry_name_along(struct ptl_task *task, const struct ptl_peer *peer, const struct ptl_outgoing *out,
                          const struct ptl_move *move, const struct ptl_frame_given *thirds,
                          struct ptl_frame_given *ret);
/* What was staged is named in the message. */
void ptl_carry_name_moves(struct ptl_task *task, const struct ptl_outgoing *out, const struct ptl_move *move,
                          struct ptl_frame_right *rights);

/* What a message gives on of third tasks' rights (port/handoff.h). */
struct ptl_carry_giving {
        uint32_t owners;
        struct ptl_frame_given given[PTL_MESSAGE_RIGHTS_MAX]; /* in the order of the message's rights */
        struct ptl_giving of[];
};

/* How many rights of third tasks there are among them. */
uint32_t ptl_carry_given(struct ptl_task *task, const struct ptl_peer *peer, const struct ptl_outgoing *out);

/* Places and room to give @count of them on. 0, and then one of the next two is called; PTL_E_FULL, -ENOMEM. */
PTL_MUST_CHECK int ptl_carry_give(struct ptl_task *task, struct ptl_peer *peer, const struct ptl_outgoing *out,
                                  uint32_t count, struct ptl_carry_giving **ret_giving);
/* Undoes it; NULL: nothing. */
void ptl_carry_keep(struct ptl_carry_giving *giving);
/* Tells their tasks, before the message is published (H1); NULL: nothing. */
void ptl_carry_gave(struct ptl_peer *peer, struct ptl_carry_giving *giving);

/* The message is published: takes from the sender what was moved. */
void ptl_carry_commit(struct ptl_task *task, struct ptl_peer *peer, const struct ptl_outgoing *out);

/* To a port of this task itself: takes the rights, moved ones from their names. Cannot fail after the check. */
void ptl_carry_local(struct ptl_task *task, const struct ptl_outgoing *out, struct ptl_receiver *to,
                     struct ptl_frame_right *ret);
