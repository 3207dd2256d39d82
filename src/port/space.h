/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port/space.h - the name space: what each name of this task carries
 *
 * A name is an index (20 bits) and the generation of its table entry (12 bits). An entry is FREE or
 * carries rights (enum ptl_right). Everything here and in the rest of port/ is guarded by the space's
 * lock, the task's lock of DESIGN.md; it ranks before any link's lock.
 */
#pragma once
#include "base/lock.h"
#include "base/table.h"
#include "port/quota.h"
#include <portolan/outcome.h>
#include <portolan/port.h>
#include <portolan/task.h>

struct ptl_peer;
struct ptl_receiver;
struct ptl_set;
struct ptl_queued;
struct ptl_left;
struct ptl_granter;
struct ptl_parked;
struct ptl_waiting;
struct ptl_way;
struct ptl_former;
struct ptl_copy;
struct ptl_moved;
struct ptl_settling;
struct ptl_early;

enum {
        PTL_NAME_INDEX_BITS = 20,
        PTL_NAME_GENERATIONS = 1 << 12,
        PTL_REFERENCES_MAX = 65535,
};

enum ptl_entry_flags {
        PTL_ENTRY_HANDED = 1,  /* redeemed, and not confirmed: kept from use (port/handoff.h) */
        PTL_ENTRY_RELEASE = 2, /* given up; stays until its RELEASE frame is written */
        PTL_ENTRY_FORKED = 4,  /* was the parent's when this process was forked */
        PTL_ENTRY_LEFT = 8,    /* a message is left with the port */
        PTL_ENTRY_CLAIM = 16,  /* a claim: its CLAIM frame is still to be written */
        PTL_ENTRY_UNCONFIRMED = 32, /* its claim is not confirmed: the word may be that of its index's earlier right;
                                       or its port moves (port/reroute.h): messages go the long way */
        PTL_ENTRY_MAILED = 64,  /* this task's port, whose receive right is in a message (port/mailed.c) */
        PTL_ENTRY_ASKED = 128,  /* send-once: `notify_dead` is set, so that its use is told: the long way */
};

struct ptl_entry {
        union {
                uint32_t chain;  /* while free: base/table.h's */
                uint32_t remote; /* send, once: the right's number at the port's task; local once: its name */
                uint32_t onces;  /* receive: send-once rights to it in this task */
        };
        ptl_port name;  /* its own; while free, the next one's. PTL_NULL: it never was given out */
        uint8_t rights; /* enum ptl_right; 0: free, or kept for what `flags` says */
        uint8_t flags;
        uint16_t references; /* of the send, send-once or dead part */
        ptl_port notify_dead;
        struct ptl_peer *peer; /* the port's task; NULL: this one */
        union {
                struct ptl_receiver *receiver;
                struct ptl_set *set;
                struct { /* of a right to another task's port */
                        uint16_t transit;  /* references in messages of this task to itself */
                        uint8_t under_way; /* no other references: the rights to have them back with. A reply
                                            * right to this task's own port: still in its message */
                        uint32_t pending_next; /* index; chain of entries with something to write to their peer */
                };
        };
        union {
                struct { /* what was sent through this right, and what the receiver has taken of it */
                        uint32_t sent, sent_units, taken, taken_units;
                };
                struct { /* receive */
                        uint32_t own, own_units; /* queued messages of this task's own sends */
                        uint32_t made;           /* make-send count */
                        uint32_t senders; /* other send rights than the name's own (docs/protocol/counting.md) */
                };
        };
        union {
                struct { /* of a right to another task's port */
                        uint16_t released; /* references to give back (RELEASE) */
                        uint16_t limit_messages;
                        uint32_t limit_units;
                };
                uint64_t limit_bytes; /* receive: as it was asked for */
        };
};

_Static_assert(sizeof(void *) != 8 || sizeof(struct ptl_entry) == 56,
               "with its place in a link's table a right costs its holder at most 64 bytes");

/* Rights that we hold and whose ports move (port/reroute.h). */
struct ptl_ways {
        struct ptl_way *first;
        struct ptl_former *formers;
        uint32_t serial;
        uint32_t count; /* ways */
        uint32_t unsure; /* of the message that was sent last by the straight way, and may have to be sent again */
        /* Called with the lock held: publishes a copy anew through @entry; 0, PTL_E_FULL, ... */
        int (*send)(struct ptl_space *space, struct ptl_entry *entry, struct ptl_copy *copy);
        uint64_t reserved[3]; /* a line */
};

struct ptl_space {
        struct ptl_lock lock;
        struct ptl_table entries;
        struct ptl_entry *spare; /* freed last and made ready for the next name; NULL: none */
        struct ptl_table receivers; /* memory for ports: what is free in it is chained */
        struct ptl_receiver *receivers_free;
        struct ptl_queued *cells; /* free cells for small messages */
        uint32_t n_cells;
        struct ptl_table grant_chunks; /* struct ptl_grant *: where lists of grants go on (port/peer.h) */
        struct ptl_peer *peers; /* all linked tasks */
        struct ptl_granter *granters; /* who gave rights to our ports on */
        struct ptl_parked *parked;    /* claims whose grants are still to be read */
        struct ptl_waiting *waiting;  /* messages with rights that are not confirmed, oldest first */
        uint32_t handoffs;            /* links that had to do with rights of third tasks, ever */
        uint32_t asks;                /* questions about dead tasks that are not answered */
        bool looking;                 /* a granter's link is being looked at */
        struct ptl_left *lefts; /* messages left with ports, to be reported when taken */
        struct ptl_receiver *doomed; /* mailed ports whose message was destroyed: to be destroyed in turn */
        bool reaping;                /* somebody up the stack does that */
        bool leaving;                /* all names go: nothing needs to be told that another is gone */
        struct ptl_task_statistics counters;
        const struct ptl_identity *me; /* as the server knows this task */
        uint32_t epoch;    /* counts starts of the task: what is of another is not touched */
        uint32_t pending;  /* peers to whom something is to be written (port/control.c) */
        uint32_t internal; /* names that are the library's own */
        /* Called with the lock held when a message was put into a receiver's queue, or it died. */
        void (*ready)(struct ptl_space *space, struct ptl_receiver *receiver);
        /* ... when a sender that waits for room should try again. */
        void (*room)(struct ptl_space *space);
        /* ... when a link was found open by a sender: it is to be looked at. */
        void (*opened)(struct ptl_space *space, struct ptl_peer *peer);
        /* Does the name server give out rights to this port? */
        bool (*published)(struct ptl_space *space, const struct ptl_receiver *receiver);
        /* ... when a right of @id's was given by @granter: the link with it, begun if need be, or NULL. */
        struct ptl_peer *(*seek)(struct ptl_space *space, struct ptl_task_id id, struct ptl_task_id granter);
        /* ... when a port is to die that nobody gave up just now: its names are to be withdrawn. */
        void (*dying)(struct ptl_space *space, struct ptl_receiver *receiver);
        /* ... when something waits for room that did not when the leader went to sleep. */
        void (*rethink)(struct ptl_space *space);
        /* ... when a peer that was held back is to be read again (task/restrain.h). */
        void (*let_go)(struct ptl_space *space, struct ptl_peer *peer);
        struct ptl_ways ways;
        /* Receive rights that move (port/moving.h): */
        struct ptl_moved *moved;         /* ports that went */
        struct ptl_settling *settlings;  /* ports that come, or came */
        struct ptl_early *early;         /* claims of ports that are not committed yet */
        /* ... when a port that came here has the name of a right that was here. */
        void (*renamed)(struct ptl_space *space, ptl_port old, ptl_port now);
        uint64_t moving_reserved[4]; /* a line, with those above */
        struct ptl_quota_state quota;
        uint64_t reserved; /* task/task.h says why */
};

_Static_assert(sizeof(void *) != 8 || sizeof(struct ptl_ways) % 64 == 0, "what lies behind it lies in its lines as it did");

void ptl_space_init(struct ptl_space *space);

/* The child's side of fork(): every name becomes the parent's, to be refused; nothing is sent. @quiet: no other
 * thread was at work on the space at that time; else the cells are left alone, half linked as they may be. */
void ptl_space_fork(struct ptl_space *space, bool quiet);

static inline uint32_t ptl_name_index(ptl_port name)
{
        return name & ((1u << PTL_NAME_INDEX_BITS) - 1);
}

/* Can a name be like that? */
static inline bool ptl_name_may_be(ptl_port name)
{
        uint32_t index = ptl_name_index(name);

        return index > 0 && index < (1u << PTL_NAME_INDEX_BITS) - 1;
}

/* The entry, if the name is alive; else NULL. */
static inline struct ptl_entry *ptl_space_entry(const struct ptl_space *space, ptl_port name)
{
        struct ptl_entry *e = ptl_table_at_sized(&space->entries, ptl_name_index(name), sizeof *e);

        if (PTL_UNLIKELY(!e || e->name != name || !e->rights))
                return NULL;
        return e;
}

/* Also an entry all of whose references are under way (rights 0): nobody has its name meanwhile. */
static inline struct ptl_entry *ptl_space_hidden(const struct ptl_space *space, ptl_port name)
{
        struct ptl_entry *e = ptl_table_at(&space->entries, ptl_name_index(name));

        if (!e || e->name != name)
                return NULL;
        return e->rights || (e->under_way && !(e->flags & PTL_ENTRY_RELEASE)) ? e : NULL;
}

/* Why ptl_space_entry() found nothing: PTL_E_FORKED or PTL_E_NAME. */
int ptl_space_why_not(const struct ptl_space *space, ptl_port name);

/* Looks a name up that must carry one of @rights; 0, PTL_E_NAME, PTL_E_FORKED, PTL_E_RIGHT. */
PTL_MUST_CHECK int ptl_space_look(const struct ptl_space *space, ptl_port name, unsigned rights,
                                  struct ptl_entry **ret_entry);

static inline ptl_port ptl_entry_name(const struct ptl_entry *entry) { return entry->name; }
static inline uint32_t ptl_entry_index(const struct ptl_entry *entry) { return ptl_name_index(entry->name); }

/* The name of an entry's next life: its generation is one more, modulo PTL_NAME_GENERATIONS. */
static inline ptl_port ptl_name_after(ptl_port name) { return name + (1u << PTL_NAME_INDEX_BITS); }

/* What every name begins with: no rights yet, one reference. */
static inline void ptl_entry_clear(struct ptl_entry *entry, ptl_port name)
{
        *entry = (struct ptl_entry){.name = name, .references = 1};
}

/* An entry that is nobody's, cleared; NULL at the table's limit. */
static inline struct ptl_entry *ptl_space_vacant(struct ptl_space *space)
{
        struct ptl_entry *e = space->spare;
        uint32_t index;

        space->spare = NULL;
        if (PTL_LIKELY(e != NULL))
                return e;
        index = ptl_table_take(&space->entries);
        e = ptl_table_at(&space->entries, index);
        if (e)
                ptl_entry_clear(e, e->name ? e->name : index);
        return e;
}

/* A new entry with @rights and one reference, everything else zero; PTL_NULL at the table's limit. */
static inline ptl_port ptl_space_insert(struct ptl_space *space, unsigned rights,
                                        struct ptl_entry **ret_entry)
{
        struct ptl_entry *e = ptl_space_vacant(space);

        if (PTL_UNLIKELY(!e))
                return PTL_NULL;
        e->rights = (uint8_t)rights;
        if (ret_entry)
                *ret_entry = e;
        return ptl_entry_name(e);
}

/* The next name given out is @name. 0, PTL_E_EXISTS, PTL_E_QUOTA (no name can be like that), -ENOMEM. */
PTL_MUST_CHECK int ptl_space_choose(struct ptl_space *space, ptl_port name);

/* The name is dead from now on; the entry is free. */
static inline void ptl_space_remove(struct ptl_space *space, struct ptl_entry *entry)
{
        ptl_entry_clear(entry, ptl_name_after(entry->name));
        if (PTL_LIKELY(!space->spare))
                space->spare = entry;
        else
                ptl_table_give(&space->entries, ptl_entry_index(entry));
}

/* Names that are given out. */
static inline uint32_t ptl_space_names(const struct ptl_space *space)
{
        return space->entries.used - (space->spare != NULL);
}
