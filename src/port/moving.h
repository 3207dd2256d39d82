/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port/moving.h - receive rights that go to another task, with their queues (docs/protocol/migration.md)
 *
 * Three roles, a file each: the old receiver (move.c) marks every holder's word, takes what lies in the rings,
 * tells the new receiver all and commits; what stays of the port there is a stub for each holder (stub.c); the
 * new receiver (settle.c) keeps what is staged until it is committed, and answers the holders' claims. How the
 * holders are led on is port/reroute.h. The space's lock guards everything.
 */
#pragma once
#include "port/handoff.h"
#include "port/receiver.h"
#include "wire/move.h"

enum {
        PTL_MOVES_TOGETHER = 64, /* ports in one message and in the queues that go with it */
        PTL_MOVES_STAGED = 64,   /* on one link, not committed */
        PTL_NO_PLACE = UINT32_MAX, /* of a message that came through no holder's right */
};

/* --- the old receiver --- */

/* A port that went to another task. */
struct ptl_moved {
        struct ptl_moved *next; /* all of the space */
        struct ptl_peer *to;    /* a reference */
        uint32_t number;        /* of the move, on that link */
        uint32_t holders;       /* that were told of */
        uint32_t own;           /* rights of this task's that it was told of later */
        uint32_t limit_units;   /* as the port was here: holders who come late are told so */
        uint16_t limit_messages;
        struct ptl_stub *stubs; /* those that are not done */
};

enum ptl_stub_state {
        PTL_STUB_WAITS,  /* for who has no number here yet: of a ticket, or of a holder that an earlier receiver told of */
        PTL_STUB_LATE,   /* that has asked: the new receiver is to be told by which number, then it is */
        PTL_STUB_MARKED, /* the word is, and what follows is not settled */
        PTL_STUB_STAYS,  /* STAYS is to be written */
        PTL_STUB_MOVED,  /* the port is another task's */
        PTL_STUB_DONE,   /* that task is to be told so; the holder is gone */
};

/* A holder's right, as long as its port moves and after that: what stays of it here. */
struct ptl_stub {
        struct ptl_stub *next;         /* of the move */
        struct ptl_stub *next_of_peer; /* of the holder's link; not when DONE */
        struct ptl_moved *moved; /* NULL: the new receiver is dead */
        struct ptl_stub **owner; /* WAITS: who knows it so; from the commit on */
        struct ptl_peer *holder; /* LATE */
        uint32_t right; /* its number on the holder's link */
        uint32_t place; /* among the move's holders */
        uint8_t state;  /* enum ptl_stub_state */
        uint8_t kind;   /* LATE: enum ptl_grant_kind */
        bool tell;      /* MOVED is to be written to the holder */
        struct ptl_taken taken; /* what the word said before it was marked */
        uint32_t count; /* messages of it that were counted here; those kept are beyond */
        uint32_t n_kept; /* messages that came behind the count, as long as only a death could need them: */
        struct ptl_queued *kept, **kept_tail;
};

/* What a link has of all this, from the first time on. */
struct ptl_moving {
        uint32_t sent;          /* the last move to the peer */
        uint32_t came;          /* ... and from it */
        struct ptl_stub *stubs; /* the peer is the holder */
        uint32_t routes;        /* in our outbox to it */
        bool look;              /* a word was marked since its ring was looked at */
        bool tell;              /* there are stubs with something to write to it */
        struct ptl_settling *awaits; /* QUEUED came: the next message is for it */
        struct ptl_move_queued queued;
        uint32_t place;
        uint32_t behind; /* its number; 0: QUEUED */
};

/* NULL: no memory. */
struct ptl_moving *ptl_moving_of(struct ptl_peer *peer);
void ptl_moving_free(struct ptl_peer *peer);

/* A right to one of the ports, that goes in the same message. */
struct ptl_move_along {
        struct ptl_receiver *receiver;
        uint64_t ticket; /* filled as it is staged */
        bool once, moved; /* moved: one of this task's */
};

/* A move under way: all of it happens under one hold of the lock. */
struct ptl_move {
        struct ptl_space *space;
        struct ptl_peer *to;
        uint32_t given; /* rights of these ports in messages that go along */
        uint32_t n_along;
        struct ptl_move_along along[PTL_MESSAGE_RIGHTS_MAX];
        bool packs; /* bytes of messages go in a region, since the ring is no place for so many: */
        struct ptl_region *bag;
        uint64_t bag_size, bag_used;
        uint32_t count;
        struct ptl_move_port_of {
                struct ptl_receiver *receiver;
                struct ptl_moved *moved;
                uint32_t number;
                uint32_t holders, messages; /* staged */
                uint32_t onces; /* send-once rights that this task has, but for those in messages that go along */
                uint32_t own_place, onces_place; /* of this task's own rights: of them and of the first send-once one */
        } ports[PTL_MOVES_TOGETHER];
};

/**
 * ptl_move_add - the receive right of a port is to go along, with those in its queue
 * @receiver: of this task; its name carries the receive right, or it lies in a message that goes along
 *
 * Return: 0; PTL_E_QUOTA (too many together); PTL_E_FULL (a holder's link is not up yet, a right in the queue is
 * not confirmed): nothing happened.
 */
PTL_MUST_CHECK int ptl_move_add(struct ptl_move *move, struct ptl_receiver *receiver);

/* Is there room for all that is to be written, and for @more bytes on the link? 0, PTL_E_FULL, PTL_E_QUOTA (there
 * never can be), -ENOMEM. */
PTL_MUST_CHECK int ptl_move_room(struct ptl_move *move, uint32_t more);

/* Takes in all that a peer had published by now. Whoever may take from rings calls this. */
void ptl_move_read(struct ptl_peer *peer);

/* Memory for what the ring does not hold. 0, -errno. */
PTL_MUST_CHECK int ptl_move_pack(struct ptl_move *move);
/* It is not needed any more. */
void ptl_move_end(struct ptl_move *move);

/* Marks every holder's word and takes in what lies in their rings (V1). Whoever may take from rings calls this. */
void ptl_move_mark(struct ptl_move *move);

/* The words are open again. */
void ptl_move_unmark(struct ptl_move *move);

/* Tells the new receiver of ports, holders and messages; what fails is taken back (ABANDON). 0, PTL_E_FULL,
 * -errno. The link's lock is held. */
PTL_MUST_CHECK int ptl_move_stage(struct ptl_move *move);

/* News into every holder's word, then COMMIT: from here on the ports are the new receiver's. The link's lock is
 * held. */
void ptl_move_commit(struct ptl_move *move);

/* What this task had of them is gone, or a right to the new receiver's ports. */
void ptl_move_depart(struct ptl_move *move);

/* What is to be said to holders and to the new receiver is written, as far as there is room. */
void ptl_move_tell(struct ptl_move *move);

/* The number of the move that takes @receiver away. */
uint32_t ptl_move_number(const struct ptl_move *move, const struct ptl_receiver *receiver);

/* A right without a task becomes one to a port of @to's, that is claimed by @number of ours. False: no room. */
bool ptl_move_claim(struct ptl_peer *to, struct ptl_entry *entry, uint32_t number);

/* The place of the new receiver's task in our outbox to @holder; below 0: no place, or no memory. */
int ptl_move_route(struct ptl_peer *holder, struct ptl_task_id to);

/* Writes a message of this task's, with what it carries, behind a frame that says what it is. 0, PTL_E_FULL, -errno;
 * the link's lock is held. */
PTL_MUST_CHECK int ptl_move_write(struct ptl_move *move, const struct ptl_queued *queued, enum ptl_frame_kind kind,
                                  const struct ptl_frame_head *head);

/* What of @queued cannot be twice is the new receiver's now; it is destroyed. */
void ptl_move_consume(struct ptl_space *space, struct ptl_queued *queued);

/* --- its stubs --- */

/* The right's word is about to be marked. False: no memory. */
bool ptl_stub_mark(struct ptl_peer *holder, const struct ptl_grant *grant);
/* What the word said, as long as it is marked; one more was taken meanwhile. */
struct ptl_taken ptl_stub_taken(const struct ptl_peer *holder, uint32_t right);
void ptl_stub_took(struct ptl_peer *holder, uint32_t right, uint32_t units);
/* That of a right whose word is marked, or whose port has moved; NULL: none. */
struct ptl_stub *ptl_stub_of(const struct ptl_peer *holder, uint32_t right);
/* News into the word of each of the port's holders; they are stubs from here on. */
void ptl_stubs_begin(struct ptl_move *move, struct ptl_move_port_of *port);
/* What is marked still is open again, and its holders are told. */
void ptl_stubs_unmark(struct ptl_space *space);

/* A message came through a right that has moved on: it is kept (consumed), for its sender may die; no right of it
 * was entered (V7). 0, PTL_E_MALFORMED (beyond the window). */
PTL_MUST_CHECK int ptl_stub_keep(struct ptl_peer *holder, struct ptl_grant *grant, struct ptl_queued *queued);

/* The holder gave its last reference back: the grant is free. */
void ptl_stub_released(struct ptl_peer *holder, struct ptl_grant *grant);

/* A right of @holder's comes home, and its port has moved: it is this task's to the new receiver's port, and what is said
 * of it in the message. A send-once right is the holder's no more. */
struct ptl_frame_right ptl_stub_home(struct ptl_peer *holder, struct ptl_grant *grant, bool once);

/* A holder of this task itself has gone without a claim. */
void ptl_stub_done(struct ptl_moved *moved, uint32_t place);

/* One that WAITS: its place among the move's holders. NULL: no memory. */
struct ptl_stub *ptl_stub_wait(struct ptl_moved *moved, uint32_t place, uint32_t count, struct ptl_stub **owner);
/* It is asked for, by @right of @claimant's (consumed). 0, PTL_E_MALFORMED. */
PTL_MUST_CHECK int ptl_stub_claim(struct ptl_peer *claimant, uint32_t right, struct ptl_stub *stub,
                                  enum ptl_grant_kind kind);
/* A message for the dead that belongs to it (consumed); its end (consumed). */
void ptl_stub_pass(struct ptl_stub *stub, struct ptl_queued *queued);
void ptl_stub_end(struct ptl_space *space, struct ptl_stub *stub);

/* --- the new receiver --- */

/* A holder that the old receiver told of. */
struct ptl_settler {
        struct ptl_move_holder told; /* its counts go on until it claims */
        uint32_t claims;             /* rights that it has here instead */
        uint32_t right;              /* the first of them, on its link */
        uint32_t has;                /* messages of it that came here or were staged, once that is known */
        bool counted;                /* it counts as a sender without a grant */
        bool dead;                   /* this task knows so: its rings were read out */
        bool done;                   /* nothing more is told of it */
        struct ptl_stub *stub;       /* the port has moved on, and it has not claimed */
        struct ptl_queued *behind, **behind_tail; /* told of while it is not known to be dead */
        uint32_t n_behind;
};

/* A port that another task sends here, or has sent. */
struct ptl_settling {
        struct ptl_settling *next; /* all of the space */
        struct ptl_peer *from;     /* NULL: the old receiver is dead */
        struct ptl_task_id task;   /* which it is */
        uint32_t number;           /* of the move */
        struct ptl_receiver *receiver; /* NULL: the port is dead, or has moved on */
        struct ptl_table settlers; /* index: place + 1 */
        uint32_t holders, messages; /* told of */
        bool committed;
        bool named; /* the message that carries it has come */
};

/* A claim of a port that is not committed yet: what comes through it waits in a port that nobody knows. */
struct ptl_early {
        struct ptl_early *next;
        struct ptl_peer *claimant;    /* NULL: it is dead */
        struct ptl_task_id task;      /* which it is */
        uint32_t right;               /* as it was claimed */
        uint32_t arrived;             /* of a dead one: messages that came */
        struct ptl_move_claim claim;
        ptl_port room; /* that port's name */
};

/* Frames of a peer's; 0 or PTL_E_MALFORMED. */
PTL_MUST_CHECK int ptl_settle_frame(struct ptl_peer *peer, const struct ptl_frame *frame);
PTL_MUST_CHECK int ptl_settle_claim(struct ptl_peer *peer, const struct ptl_frame *frame);

/* More of @task's was read: claims that came ahead of its word are judged. @all: its ring was read to the end, or it
 * is dead. */
void ptl_settle_look_again(struct ptl_space *space, struct ptl_task_id task, bool all);

/* A right to a port of this task that came along with the port: as ptl_ticket_take_own(). */
struct ptl_receiver *ptl_settle_take_own(struct ptl_space *space, const struct ptl_frame_redeem *claim,
                                         uint8_t *ret_carries);

/* Does it count as a holder, though it has no grant here? */
static inline bool ptl_settler_waits(const struct ptl_settler *h)
{
        return !h->claims && !h->done && !(h->told.kind == PTL_CARRY_ONCE && h->has);
}
static inline struct ptl_settler *ptl_settler_at(const struct ptl_settling *s, uint32_t place)
{
        return place < s->holders ? ptl_table_at(&s->settlers, place + 1) : NULL;
}

/* How many send-once rights to the port they have that have not claimed. */
uint32_t ptl_settle_onces(const struct ptl_receiver *receiver);

/* The port for which the next message without a right is staged; NULL: none. */
struct ptl_settling *ptl_settle_awaits(struct ptl_peer *peer);
/* That message has come (consumed); NULL: it was lost for want of memory. 0, PTL_E_MALFORMED. */
PTL_MUST_CHECK int ptl_settle_message(struct ptl_peer *peer, struct ptl_queued *queued);

/* A message of @peer's carries the receive right of move @number: the port's name here; PTL_NULL: none. */
ptl_port ptl_settle_name(struct ptl_peer *peer, uint32_t number);

/* A message that was staged is taken. */
void ptl_settle_taken(struct ptl_receiver *receiver, const struct ptl_queued *queued);

/* The port dies: who claims it is told. */
void ptl_settle_receiver_died(struct ptl_space *space, struct ptl_receiver *receiver);

/* --- all roles --- */

/* Writes what is pending; the link's lock is held. 0, or why not all could be written. */
PTL_MUST_CHECK int ptl_moving_flush(struct ptl_peer *peer);

/* The peer is dead: before its grants are released and its names die. */
void ptl_stubs_peer_died(struct ptl_peer *peer);
void ptl_settle_peer_died(struct ptl_peer *peer);
void ptl_moving_peer_died(struct ptl_peer *peer);

/* This task leaves: all its links are gone. */
void ptl_moving_drop(struct ptl_space *space);

void ptl_moving_forked(struct ptl_space *space);
