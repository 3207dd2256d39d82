/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port/handoff.h - rights of third tasks in messages (docs/protocol/handoff.md)
 *
 * Three roles, a file each: the granter (given.c) tells the port's task that another is to have a right
 * which it holds; the port's task (ticket.c) keeps that as a ticket; the grantee (redeem.c) asks for it.
 * The space's lock guards everything.
 */
#pragma once
#include "port/receiver.h"

enum {
        PTL_REDEEMS_MAX = 1024, /* written on a link and not answered; parked at the other end */
        PTL_ASKS_MAX = 64,      /* dead tasks asked about on a link and not answered */
        PTL_SOUGHT_MAX = 64,    /* links begun on one granter's word that nobody has answered */
        PTL_REDEEM_PATIENCE_MS = 1000, /* a message waits so long for the answers about its rights */
};

/* --- the granter's side --- */

/* A right to the peer's port that we gave on; the element of a ticket's index. */
struct ptl_given {
        uint32_t chain; /* base/table.h */
        uint32_t generation;
        bool used;
        bool withdraw; /* WITHDRAW is to be written */
        struct ptl_peer *grantee; /* NULL: dead */
};

/* What a message gives on of one task's rights. */
struct ptl_giving {
        struct ptl_peer *owner;
        uint32_t count;
        struct ptl_ring_slot slot;
        struct ptl_give give;
};

/**
 * ptl_given_reserve - places and room for a GIVE; no effect that could be seen
 * @giving: owner, and of each item right and kind, are set; the tickets are filled
 *
 * Return: 0, PTL_E_FULL, -ENOMEM, PTL_E_DEAD (the reader lies about its ring).
 */
PTL_MUST_CHECK int ptl_given_reserve(struct ptl_peer *grantee, struct ptl_giving *giving);
void ptl_given_cancel(struct ptl_giving *giving);
/* Takes a ticket back whose message is not sent, or not counted. */
void ptl_given_withdraw(struct ptl_space *space, struct ptl_frame_given given);
/* Writes GIVE. Nothing was written to the owner's ring since ptl_given_reserve(). */
void ptl_given_commit(struct ptl_peer *grantee, struct ptl_giving *giving);

/* --- the port's task's side --- */

enum ptl_ticket_state {
        PTL_TICKET_FREE,
        PTL_TICKET_OPEN,    /* given on, and not claimed yet */
        PTL_TICKET_SETTLED, /* no longer, and its granter is not told yet */
};

/* A right that a task gave on and nobody has asked for yet. It stands in its port's list. */
struct ptl_ticket {
        uint32_t index; /* the low part of `ticket` */
        uint8_t state;   /* enum ptl_ticket_state */
        uint8_t carries; /* enum ptl_grant_kind */
        bool asked;      /* the granter is dead; the grantee was asked */
        uint32_t settled_next;
        uint64_t ticket;
        struct ptl_task_id grantee;
        struct ptl_receiver *receiver; /* NULL: the port is dead */
        struct ptl_ticket *next, **previous; /* of the receiver's tickets */
        struct ptl_stub *stub; /* the port has moved on (port/moving.h) */
};

/* A task that has given rights to our ports on, over one link. */
struct ptl_granter {
        struct ptl_granter *next;
        struct ptl_task_id id;
        struct ptl_peer *peer; /* NULL: dead */
        struct ptl_table tickets; /* struct ptl_ticket, the index is the granter's choice */
        uint32_t used;
        uint32_t settled; /* head of those whose SETTLED is to be written */
};

/* A claim whose grant could not be looked for yet. */
struct ptl_parked {
        struct ptl_parked *next;
        struct ptl_peer *claimant;
        uint32_t right; /* as it was claimed */
        struct ptl_frame_redeem claim;
};

/* --- the grantee's side --- */

/* A right that came by ticket and that its port's task has not confirmed. */
struct ptl_redeem {
        struct ptl_redeem *next;
        uint32_t entry;  /* its index in the name space */
        uint32_t number; /* as claimed */
        struct ptl_frame_redeem claim;
        struct ptl_queued *waits; /* the message that brought it, if that waits; else NULL */
        struct ptl_peer *granter; /* the link it came by; NULL: it is gone */
        bool written, gave_up;    /* gave_up: RELEASE follows the answer */
};

/* A message with such rights. */
struct ptl_waiting {
        struct ptl_waiting *next;
        struct ptl_queued *queued;
        ptl_port port; /* in whose queue it is; PTL_NULL: in none yet */
        ptl_time until;
};

/* The peer asks whether all of a dead task's was read. */
struct ptl_asked {
        struct ptl_task_id granter;
        uint32_t serial;  /* of the question to the server; 0: none is under way */
        bool answered;    /* READ_OUT is to be written */
        ptl_time again_at;
};

/* What a link has of all this, from the first time on. */
struct ptl_handoff {
        struct ptl_table given; /* struct ptl_given: rights to the peer's ports */
        uint32_t link;          /* high half of its tickets */
        uint32_t n_withdraw;
        struct ptl_granter *granter; /* what the peer gave */
        uint32_t parked;             /* its claims */
        bool ask;                    /* there are granters to ask it about */
        uint32_t asks_out;
        struct ptl_redeem *redeems, **redeems_tail; /* rights to the peer's ports */
        uint32_t redeems_out;
        uint32_t brought; /* rights that came from the peer and are not confirmed, PTL_TICKETS_MAX at most */
        struct ptl_asked *asks; /* PTL_ASKS_MAX */
        uint32_t n_asks;
        struct ptl_task_id sought_for; /* the granter on whose word the link was begun */
};

/* NULL: no memory. */
struct ptl_handoff *ptl_handoff_of(struct ptl_peer *peer);
void ptl_handoff_free(struct ptl_peer *peer);

static inline bool ptl_task_is(struct ptl_task_id a, struct ptl_task_id b)
{
        return a.high == b.high && a.low == b.low;
}

/* --- frames; return 0 or PTL_E_MALFORMED --- */

PTL_MUST_CHECK int ptl_ticket_give(struct ptl_peer *peer, const struct ptl_frame *frame);
PTL_MUST_CHECK int ptl_given_settled(struct ptl_peer *peer, const struct ptl_frame *frame);
PTL_MUST_CHECK int ptl_ticket_withdraw(struct ptl_peer *peer, const struct ptl_frame *frame);
PTL_MUST_CHECK int ptl_ticket_redeem(struct ptl_peer *peer, const struct ptl_frame *frame);
PTL_MUST_CHECK int ptl_redeem_ask(struct ptl_peer *peer, const struct ptl_frame *frame);
PTL_MUST_CHECK int ptl_ticket_read_out(struct ptl_peer *peer, const struct ptl_frame *frame);

/* The port's task answers for @right, which we redeemed: @token: another right of ours to the same port, or 0.
 * A dead one's entry was settled before. */
void ptl_redeem_confirmed(struct ptl_peer *peer, uint32_t right, uint32_t token);
void ptl_redeem_refused(struct ptl_peer *peer, uint32_t right);

/* --- rights in messages --- */

/* A right GIVEN in @queued, which @peer sent: as ptl_carried_arrive(). */
struct ptl_frame_right ptl_redeem_arrive(struct ptl_peer *peer, const struct ptl_frame_right *right,
                                         struct ptl_frame_given given, struct ptl_queued *queued);

/* @queued was put into the queue of @port. */
void ptl_redeem_queued(struct ptl_space *space, const struct ptl_queued *queued, ptl_port port);

/* It is destroyed before it was ready. */
void ptl_redeem_forget(struct ptl_space *space, struct ptl_queued *queued);

/* A right that is not confirmed is given up: its RELEASE waits. */
void ptl_redeem_gave_up(struct ptl_peer *peer, const struct ptl_entry *entry);

/* Messages that waited too long are ready. When the next one will have. */
void ptl_redeem_step(struct ptl_space *space);
ptl_time ptl_redeem_due(const struct ptl_space *space);

/* --- the port's task, beside frames --- */

/* All that @granter has written by now was read, or it is dead: claims of its grants that are parked are judged. */
void ptl_tickets_look_again(struct ptl_space *space, struct ptl_task_id granter);

/* The port dies: who asks for one of these is told then. */
void ptl_tickets_port_died(struct ptl_receiver *receiver);

/* Who gave it. */
struct ptl_task_id ptl_ticket_granter(const struct ptl_space *space, const struct ptl_ticket *ticket);

/* The port has moved on: its tickets are known to the new receiver, each by its stub. */
void ptl_tickets_moved(struct ptl_receiver *receiver);

/* Is the end of this link that of its task, as far as we are concerned, and no end of a link that never was one? */
bool ptl_is_end_of_task(const struct ptl_peer *peer);

/* This task leaves: all its links are gone. */
void ptl_tickets_drop(struct ptl_space *space);

/* A ticket for this task itself, which @from's message brings: the port's receiver and which right, or NULL. It is
 * used up; a send right stays counted, as one in a message of this task's (port/senders.h). */
struct ptl_receiver *ptl_ticket_take_own(const struct ptl_peer *from, const struct ptl_frame_redeem *claim,
                                         uint8_t *ret_carries);

/* --- a file each, for the others --- */

void ptl_given_grantee_died(struct ptl_peer *peer);
void ptl_ticket_peer_died(struct ptl_peer *peer);
void ptl_redeem_peer_died(struct ptl_peer *peer);
void ptl_redeem_granter_died(struct ptl_peer *peer);
PTL_MUST_CHECK int ptl_given_flush(struct ptl_peer *peer);
PTL_MUST_CHECK int ptl_ticket_flush(struct ptl_peer *peer);
PTL_MUST_CHECK int ptl_redeem_flush(struct ptl_peer *peer);

/* A dead task's links are all settled: who asked about it may be told. */
void ptl_redeem_answered(struct ptl_peer *peer, struct ptl_asked *asked);

/* --- what others call --- */

/* Writes what is pending beside claims and releases, which ptl_control_flush() does. The link's lock is
 * held. 0, or why not all could be written. */
PTL_MUST_CHECK int ptl_handoff_flush(struct ptl_peer *peer);
PTL_MUST_CHECK int ptl_redeem_write(struct ptl_peer *peer, const struct ptl_entry *entry);

/* The peer is dead: before its grants are released and its names die. */
void ptl_handoff_peer_died(struct ptl_peer *peer);

/* In a child: nothing of it is the child's. */
void ptl_handoff_forked(struct ptl_space *space);
