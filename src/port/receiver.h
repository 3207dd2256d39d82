/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port/receiver.h - a port at the task that receives from it: its queue, limits and set
 *
 * States: alive (an entry with PTL_RIGHT_RECEIVE points to it) → freed. Threads that wait on it hold
 * its name, not a pointer. The space's lock guards everything.
 */
#pragma once
#include "port/peer.h"
#include "port/space.h"
#include <portolan/message.h>

/* What a queued message's bytes are, and so how they are freed. */
enum ptl_bytes_kind {
        PTL_BYTES_CELL,   /* behind the struct */
        PTL_BYTES_BLOCK,  /* a block of the sender's pool: to be given back */
        PTL_BYTES_HOLD,   /* a frame in the sender's ring, read in place */
        PTL_BYTES_REGION, /* region `slot` of the message */
};

/* Rights in messages of this task to itself, beside enum ptl_frame_right_what. */
enum {
        PTL_CARRY_OWN = 100, /* a send right to a port of ours, by the port's name */
        PTL_CARRY_OWN_ONCE,  /* a send-once right to a port of ours, by the port's name */
        PTL_CARRY_HELD,      /* a right to another task's port, by name, counted in `transit` */
        PTL_CARRY_RECEIVE,   /* the receive right of a port of ours, by the port's name (port/mailed.c) */
        /* PTL_CARRY_OWN and what follows is by name: task/rename.c */
};

/* A message that has arrived and is not released: in a queue, or in the program's hands. */
struct ptl_queued {
        struct ptl_queued *next;
        struct ptl_peer *peer; /* who sent it; a reference. NULL: this task */
        void *data;
        uint64_t size;
        uint32_t kind;
        uint32_t grant; /* the right it came through, for counting it taken; 0: none */
        uint32_t units;
        uint32_t reply; /* the peer's send-once right for the reply, or a local name */
        uint32_t slot;  /* BLOCK, HOLD, REGION */
        ptl_port notify; /* left with a full port of this task: who is told when it is taken */
        uint32_t room;  /* bytes behind the struct */
        uint32_t epoch; /* of the space when it arrived */
        uint32_t serial; /* of the grant it came through */
        uint8_t bytes;  /* enum ptl_bytes_kind */
        uint8_t n_rights, n_regions;
        bool in_place;  /* REGION: the sender may still write it */
        uint8_t opened; /* the program has it: rights and regions are names and handles */
        bool left;          /* it was left with a full port of this task */
        bool local_counted; /* counts against the port's limit for this task's own sends */
        uint8_t unsettled;  /* rights in it that are not confirmed: it waits, with its sender's later ones */
        bool charged;       /* to its peer's account, as long as it is queued (port/quota.h) */
        bool reply_carried; /* its reply right is the last of those carried (port/moving.h) */
        uint8_t hops;       /* how often it was staged or sent again (likewise) */
        uint32_t settler;   /* of a message that came with its port: the holder's place + 1; 0: none */
        struct ptl_identity *attested; /* likewise: who sent it; NULL: its peer */
        union {
                struct ptl_frame_right *carried;      /* before opening */
                const struct ptl_right_item *rights;  /* after */
        };
        struct ptl_region_item *regions;
        _Alignas(16) char cell[];
};

enum { PTL_QUEUED_CELL = 1280 }; /* bytes behind the struct of most */

/* A message without bytes, rights or regions, with @room bytes behind it; NULL: no memory. */
struct ptl_queued *ptl_queued_new(struct ptl_space *space, size_t room);

/* The bytes of a plain message, which the program has at once: only what its release looks at is set. NULL:
 * too large, or no cell is at hand. */
static inline struct ptl_queued *ptl_queued_opened(struct ptl_space *space, struct ptl_peer *peer, size_t size)
{
        struct ptl_queued *q = space->cells;

        if (PTL_UNLIKELY(!q || size > PTL_QUEUED_CELL))
                return NULL;
        space->cells = q->next;
        space->n_cells--;
        q->peer = peer;
        q->epoch = space->epoch;
        q->bytes = PTL_BYTES_CELL;
        q->opened = 1;
        q->carried = NULL;
        q->regions = NULL;
        return q;
}

/* Room for @n rights: behind the bytes, or memory of its own. -ENOMEM. */
PTL_MUST_CHECK int ptl_queued_carry(struct ptl_queued *q, uint32_t n);

/* A right that came with a message becomes this task's at once, hidden until the message is opened: what
 * becomes of its port meanwhile is seen. */
struct ptl_frame_right ptl_carried_arrive(struct ptl_peer *peer, const struct ptl_frame_right *right);

/* The same for one that the program has at once, under the name that is filled. */
struct ptl_right_item ptl_carried_take(struct ptl_peer *peer, const struct ptl_frame_right *right);

/* It becomes the program's, under a name; PTL_NULL: no room. */
ptl_port ptl_carried_enter(struct ptl_space *space, const struct ptl_frame_right *carried);

/* Frees it and what it still owns: unopened rights are released, bytes given back. */
void ptl_queued_free(struct ptl_space *space, struct ptl_queued *q);

/* Turns it into the program's: makes names of the rights. Fills @message. */
void ptl_queued_open(struct ptl_space *space, struct ptl_queued *q, ptl_port port,
                     struct ptl_message *message);

struct ptl_set {
        ptl_port name;
        struct ptl_receiver *members; /* a ring; points to whose turn it is */
        int descriptor, poll; /* of ptl_descriptor(): eventfd and epoll set, or -EBADF */
};

/* What few ports have, made when it is first needed. */
struct ptl_receiver_more {
        struct ptl_set *set;
        struct ptl_receiver *set_next, *set_previous;
        uint64_t ticket; /* claims must show it; 0: not published */
        int descriptor, poll; /* of ptl_descriptor(): eventfd and epoll set, or -EBADF */
        ptl_port no_senders, port_destroyed; /* requests (port/request.h) */
        uint32_t sync;          /* no_senders: not before the make-send count is this */
        uint64_t sequence_base; /* `received` when the sequence number was 0 */
        struct ptl_settling *settling; /* how it came here (port/moving.h); NULL: it is from here */
        bool waits; /* for the port that its messages are for (struct ptl_early) */
        struct ptl_receiver *mailed_to; /* whose queue the receive right lies in; of space->doomed: the next */
};

/* What only this task's own use of the port counts, and its limit in bytes, is in its entry. */
struct ptl_receiver {
        ptl_port name;
        uint32_t queued;
        uint32_t limit_units;
        uint16_t limit_messages;
        bool internal;  /* the library's own, a thread's reply port or a task port: counts in no listing, and the
                         * program has no receive right */
        bool left;      /* a message of this task was left with it and is not taken */
        uint32_t grants; /* the first of its list: ptl_grant_id() */
        union {
                struct ptl_queued *head;
                struct ptl_receiver *next_free;
        };
        struct ptl_queued **tail;
        struct ptl_ticket *tickets; /* rights to it that were given on (port/handoff.h) */
        struct ptl_receiver_more *more; /* NULL: nothing of it */
        uint64_t received;
};

_Static_assert(PTL_LIMIT_MESSAGES_MAX <= UINT16_MAX, "limit_messages holds it");
_Static_assert(sizeof(struct ptl_receiver) + sizeof(struct ptl_entry) <= 120,
               "a port costs at most 128 bytes, the tables' chunks and malloc's headers included");

static inline uint32_t ptl_units(uint64_t bytes)
{
        uint64_t units;

        if (bytes <= 64)
                return 1;
        units = bytes / 64 + (bytes % 64 != 0);
        return units > UINT32_MAX / 4 ? UINT32_MAX / 4 : (uint32_t)units;
}

/* The window that a peer says it has for a right: no port's is wider. Words count units modulo 2^31 (wire/move.h). */
static inline void ptl_entry_set_window(struct ptl_entry *e, uint32_t messages, uint32_t units)
{
        e->limit_messages = (uint16_t)(messages < UINT16_MAX ? messages : UINT16_MAX);
        e->limit_units = units < UINT32_MAX / 4 ? units : UINT32_MAX / 4;
}

/* A limit of bytes as units of 64, at least one; 0 is the default. */
uint32_t ptl_limit_units(uint64_t bytes);

/* 0 and a name, PTL_E_QUOTA, -ENOMEM. */
PTL_MUST_CHECK int ptl_receiver_new(struct ptl_space *space, uint32_t limit_messages,
                                    uint64_t limit_bytes, ptl_port *ret_name);

/* Memory of ports goes back; none is alive. */
void ptl_receivers_fini(struct ptl_space *space);

/* Makes receiver->more, if it has none; NULL: no memory. */
struct ptl_receiver_more *ptl_receiver_more(struct ptl_receiver *receiver);

/* The set it is a member of, or NULL. */
static inline struct ptl_set *ptl_receiver_set(const struct ptl_receiver *receiver)
{
        return receiver->more ? receiver->more->set : NULL;
}

/* 0: not published. */
static inline uint64_t ptl_receiver_ticket(const struct ptl_receiver *receiver)
{
        return receiver->more ? receiver->more->ticket : 0;
}

static inline bool ptl_receiver_waits(const struct ptl_receiver *receiver)
{
        return receiver && receiver->more && receiver->more->waits;
}

/* Its eventfd, or -EBADF. */
static inline int ptl_receiver_descriptor(const struct ptl_receiver *receiver)
{
        return receiver->more ? receiver->more->descriptor : -EBADF;
}

static inline struct ptl_entry *ptl_receiver_entry(const struct ptl_space *space,
                                                   const struct ptl_receiver *receiver)
{
        return ptl_table_at(&space->entries, ptl_name_index(receiver->name));
}

/* Zero leaves that limit as it is; holders are told. */
void ptl_receiver_set_limit(struct ptl_space *space, struct ptl_receiver *receiver,
                            uint32_t limit_messages, uint64_t limit_bytes);

/* The receiver of a name with the receive right, else NULL. */
static inline struct ptl_receiver *ptl_receiver_of(const struct ptl_space *space, ptl_port name)
{
        struct ptl_entry *e = ptl_space_entry(space, name);

        return e && e->rights & PTL_RIGHT_RECEIVE ? e->receiver : NULL;
}

/* The entry of a port that the program receives from; 0, PTL_E_NAME, PTL_E_FORKED, PTL_E_RIGHT. */
PTL_MUST_CHECK static inline int ptl_receiver_look(const struct ptl_space *space, ptl_port name,
                                                   struct ptl_entry **ret_entry)
{
        int r = ptl_space_look(space, name, PTL_RIGHT_RECEIVE, ret_entry);

        return r ? r : (*ret_entry)->receiver->internal ? PTL_E_RIGHT : 0;
}

/* What the program has under a name: of what the library receives from, no receive right. */
static inline unsigned ptl_receiver_rights_shown(const struct ptl_entry *entry)
{
        bool hidden = entry->rights & PTL_RIGHT_RECEIVE && entry->receiver->internal;

        return hidden ? entry->rights & ~(unsigned)PTL_RIGHT_RECEIVE : entry->rights;
}

/* The port that the entry is this task's name of, also while its receive right is in a message; or NULL. */
static inline struct ptl_receiver *ptl_entry_receiver(const struct ptl_entry *e)
{
        return e->rights & PTL_RIGHT_RECEIVE || e->flags & PTL_ENTRY_MAILED ? e->receiver : NULL;
}

/* ... by a name that the library has kept; PTL_NULL has none. */
static inline struct ptl_receiver *ptl_receiver_anywhere(const struct ptl_space *space, ptl_port name)
{
        struct ptl_entry *e = ptl_table_at(&space->entries, ptl_name_index(name));

        return e && e->name == name ? ptl_entry_receiver(e) : NULL;
}

/* The first message leaves the queue without being taken; NULL: there is none. */
struct ptl_queued *ptl_receiver_unqueue(struct ptl_space *space, struct ptl_receiver *receiver);

/* ... and counts as before, since it goes to another queue of this task. */
struct ptl_queued *ptl_receiver_unqueue_still(struct ptl_receiver *receiver);

/* The port is another task's: as ptl_receiver_free(), but queue and grants are gone already, and the name keeps what
 * send right it has. */
void ptl_receiver_depart(struct ptl_space *space, struct ptl_receiver *receiver);

/* Destroys the port: queue, grants, membership; the entry loses the receive right. */
void ptl_receiver_free(struct ptl_space *space, struct ptl_receiver *receiver);

/* --- a receive right in a message (port/mailed.c) --- */

/* It goes into a message for @to; receiver->more exists. The message is put there next, or destroyed. */
void ptl_receiver_enclose(struct ptl_space *space, struct ptl_receiver *receiver, struct ptl_receiver *to);

/* Does the port wait, maybe through others, in its own queue, where nobody could ever receive it? */
bool ptl_receiver_is_in_itself(const struct ptl_receiver *receiver);

/* Sends the receive right to who asked for it, instead of destroying the port; false: nobody has, or it
 * cannot be (no memory, a circle): nothing happened. */
bool ptl_receiver_mail(struct ptl_space *space, struct ptl_receiver *receiver);

/* It is received: under the name it had, or PTL_NULL. */
ptl_port ptl_receiver_arrive(struct ptl_space *space, ptl_port name);

/* A message for @to came with receive rights. False: nobody could ever receive it, since @to waits in one of them. */
bool ptl_receiver_came(struct ptl_space *space, const struct ptl_queued *queued, struct ptl_receiver *to);

/* Its message is destroyed, and so the port. */
void ptl_receiver_doom(struct ptl_space *space, ptl_port name);

/* Puts a message at the end of the queue (consumed) and says so (space->ready). */
void ptl_receiver_put(struct ptl_space *space, struct ptl_receiver *receiver, struct ptl_queued *q);

/* Takes the first message that does not wait and counts it taken; NULL: none. */
struct ptl_queued *ptl_receiver_take(struct ptl_space *space, struct ptl_receiver *receiver);

/* A member of the set that has a message, members in turn; NULL: none. */
struct ptl_receiver *ptl_set_pick(struct ptl_set *set);
/* 0, -ENOMEM. */
PTL_MUST_CHECK int ptl_set_join(struct ptl_set *set, struct ptl_receiver *receiver);
void ptl_set_leave(struct ptl_receiver *receiver);

/* A notification of the library (PTL_NOTIFY_*), not queued yet; NULL: no memory. */
struct ptl_queued *ptl_notification_new(struct ptl_space *space, uint32_t kind, uint32_t value, const char *text);

/* Queues one; false: @notify is no port, or no memory. */
bool ptl_notify(struct ptl_space *space, ptl_port notify, uint32_t kind, uint32_t value,
                const char *text);

/* --- rights by name (port/right.c) --- */

/* Gives up @count references of the send, send-once or dead part. */
void ptl_right_drop(struct ptl_space *space, struct ptl_entry *entry, uint32_t count);

/* A send-once right to a port of this task: a new name, PTL_NULL: no room. */
ptl_port ptl_once_insert(struct ptl_space *space, struct ptl_receiver *receiver);

/* One of those was given up: its port is told. */
void ptl_once_unused(struct ptl_space *space, ptl_port port);

/* A right all of whose references are gone: back to its port's task. */
void ptl_right_give_back(struct ptl_entry *entry);

/* Turns a send or send-once right into a dead name and tells whoever asked. */
void ptl_right_kill(struct ptl_space *space, struct ptl_entry *entry);

#include "port/grant_inline.h"
#include "port/held_inline.h"
