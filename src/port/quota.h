/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port/quota.h - what each peer makes this task hold, and who is refused for it (docs/protocol/quotas.md)
 *
 * A link points to the account of the process at its other end, that to its user's, and that to the account of all.
 * What a link is charged counts in all three. Accounts live as long as something points to them; the count is
 * then 0. The space's lock guards everything.
 */
#pragma once
#include "base/limits.h"
#include <portolan/types.h>

struct ptl_peer;
struct ptl_queued;
struct ptl_space;

struct ptl_account {
        struct ptl_account *next;
        struct ptl_account *above; /* of the user, of all; a reference */
        uint32_t references;
        uint32_t scope; /* enum ptl_quota_scope */
        struct ptl_identity who; /* UID: its uid only */
        uint32_t refused;
        uint64_t use[PTL_QUOTA_KINDS];
};

/* Of a task: part of its space. */
struct ptl_quota_state {
        struct ptl_limits limits;
        struct ptl_account all;
        struct ptl_account *accounts; /* the others */
        uint64_t reserved; /* task/task.h says why */
        uint32_t own_uid;
        struct ptl_peer *restrained; /* those that are held back, chained */
        uint32_t n_refusals;
        struct ptl_quota_refusal refusals[PTL_QUOTA_REFUSALS]; /* in no order */
};

/* The task starts: @own_uid is its user. Limits are read; use is as it was. */
void ptl_quota_start(struct ptl_quota_state *quota, uint32_t own_uid);

/* In a child nobody has anything here. */
void ptl_quota_forked(struct ptl_quota_state *quota);

/* A limit's value now, for the account of a scope; PTL_QUOTA_UNLIMITED: none. */
uint64_t ptl_quota_limit(const struct ptl_quota_state *quota, uint32_t kind, const struct ptl_account *account);

/* --- links --- */

/* May a peer that asks for it have one more link? 0; else the number of the limit, which is remembered. */
uint32_t ptl_quota_admit(struct ptl_space *space, const struct ptl_identity *who);

/* Finds or makes the account of @who for a new link; -ENOMEM. */
PTL_MUST_CHECK int ptl_quota_open(struct ptl_peer *peer, const struct ptl_identity *who);

/* The link's memory goes. */
void ptl_quota_close(struct ptl_peer *peer);

/* --- things, one by one --- */

void ptl_quota_charge(struct ptl_peer *peer, enum ptl_quota kind, uint64_t n);
void ptl_quota_give(struct ptl_peer *peer, enum ptl_quota kind, uint64_t n);

/* Has the peer reached a limit of that kind? 0, or the limit's number, which is remembered as a refusal. */
uint32_t ptl_quota_refuses(struct ptl_peer *peer, enum ptl_quota kind);

/* Charges one, unless a limit is reached: then as ptl_quota_refuses(). */
PTL_MUST_CHECK uint32_t ptl_quota_take(struct ptl_peer *peer, enum ptl_quota kind);

/* --- queues --- */

/* A message of a peer's was queued. Returns whether the peer has reached a limit with it. */
bool ptl_quota_enqueue(struct ptl_queued *q);

/* It left the queue, taken or destroyed. Lets go who was held back and has room again (space->let_go). */
void ptl_quota_dequeue(struct ptl_space *space, struct ptl_queued *q);

/* The limit for which the peer is to be held back, 0: none. Nothing is remembered. */
uint32_t ptl_quota_reached(const struct ptl_peer *peer);

/* The value of the limit of that number, for the peer. */
uint64_t ptl_quota_value(const struct ptl_peer *peer, uint32_t limit);

/* It is held back for @limit: remembered. Returns whether that is news. */
bool ptl_quota_remember_restrained(struct ptl_peer *peer, uint32_t limit);

/* Everybody who is held back and has room now is let go: a limit was raised. */
void ptl_quota_review(struct ptl_space *space);

/* Does the peer hold a send-once right to a living port of this task, or is its word about a right awaited that
 * was given on (port/handoff.h)? */
bool ptl_quota_owes_answer(const struct ptl_peer *peer);

/* All that is remembered, the latest first; how many. @ret: PTL_QUOTA_REFUSALS of them. (task/quota.c) */
uint32_t ptl_quota_latest(const struct ptl_quota_state *quota, struct ptl_quota_refusal *ret);

/* The peer says that it refuses this task for its limit of that number; false: there is none. */
bool ptl_quota_told(struct ptl_peer *peer, uint32_t limit, uint64_t value);
