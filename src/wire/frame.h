/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/frame.h - what lies in an outbox ring: frames, byte by byte
 *
 * A frame is a 24-byte header and a body, 8-byte aligned. Its first word publishes it. Native byte
 * order: both readers are on one machine. docs/protocol/ring.md has the byte tables; rights.md says
 * what each kind does to a right.
 */
#pragma once
#include <portolan/outcome.h>
#include <portolan/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ptl_frame_kind {
        PTL_FRAME_NONE,   /* a clear word: nothing published */
        PTL_FRAME_PAD,    /* only its first word exists: the next frame is at the ring's start */
        PTL_FRAME_GROW,   /* aux: level. The next frame is in that ring level, at this frame's end */
        PTL_FRAME_INLINE, /* a message; body: the bytes */
        PTL_FRAME_BLOCK,  /* a message; body: struct ptl_frame_block */
        PTL_FRAME_RICH,   /* a message; body: struct ptl_frame_rich and items, then maybe the bytes */
        PTL_FRAME_CLAIM,  /* right: index and generation the holder chose. Body: struct ptl_frame_claim */
        PTL_FRAME_CONFIRM, /* right: one the reader claimed and has. token: another right of the reader's to
                              the same port, if it redeemed this one; 0: none. Body: struct
                              ptl_frame_window. A claim that is refused is answered with DEAD */
        PTL_FRAME_WINDOW, /* right: one the reader holds. Body: struct ptl_frame_window */
        PTL_FRAME_DEAD,   /* right: one the reader holds: its port is gone. aux: number of the limit for which its
                             claim was refused; 0: not for one */
        PTL_FRAME_RELEASE, /* right: one the reader granted. token: how many references come back */
        PTL_FRAME_RETIRE, /* right: number of a region that the writer had sent: forget it */
        /* A right of a third task (docs/protocol/handoff.md): */
        PTL_FRAME_GIVE,     /* the reader's rights that the writer gives on. Body: struct ptl_frame_give, items */
        PTL_FRAME_SETTLED,  /* right: low half of a ticket that the reader gave: nobody will ask for it any more */
        PTL_FRAME_WITHDRAW, /* right: low half of a ticket that the writer gave: who was to have it is dead */
        PTL_FRAME_REDEEM,   /* right: index and generation the holder chose. Body: struct ptl_frame_redeem */
        PTL_FRAME_ASK,      /* is all read that a dead task left for the reader? Body: its struct ptl_task_id */
        PTL_FRAME_READ_OUT, /* it is. Body: its struct ptl_task_id */
        PTL_FRAME_LIMIT, /* aux: number of a limit that the reader has reached at the writer's (quota.h). token: 1:
                            its ring is not read for that; 0: it is read again. Body: struct ptl_frame_limit */
        /* A receive right that moves (docs/protocol/migration.md; bodies: wire/move.h): */
        PTL_FRAME_MOVED,  /* right: one of the reader's, whose word in the writer's outbox tells where its port
                             went; 0: the name at place `aux` does */
        PTL_FRAME_STAYS,  /* right: one of the reader's whose word was marked: its port has not gone */
        PTL_FRAME_MOVE,   /* right: the writer's number of a move to the reader, here and below */
        PTL_FRAME_HOLDER, /* token: a holder's place in the move, here and below */
        PTL_FRAME_COUNT,
        PTL_FRAME_QUEUED, /* the next frame is the message */
        PTL_FRAME_COMMIT, /* the port is the reader's */
        PTL_FRAME_ABANDON,
        PTL_FRAME_BEHIND, /* a message beyond the count of a dead holder, number aux: the next frame is the message */
        PTL_FRAME_DONE,   /* nothing more comes for this holder */
        PTL_FRAME_PASS,   /* the right that waits for a message goes on to that task */
        PTL_FRAME_CLAIM_MOVED, /* right: index and generation the holder chose, as of CLAIM */
        PTL_FRAME_FORGET,      /* right: place of a name that the writer needs no more */
        PTL_FRAME_KINDS
};

/* Set in kinds of messages that are the library's own: notifications, which never travel. */
#define PTL_KIND_LIBRARY 0x80000000u

/* In the high byte of `kind` nothing; a frame's length is 24 bits. */
#define PTL_FRAME_LENGTH_MAX ((1u << 24) - 1)

struct ptl_frame_head {
        uint64_t word;  /* stamp << 32 | length << 8 | kind; the last store of a publication */
        uint32_t right; /* enum ptl_frame_kind says what it names */
        uint32_t token; /* of a message: send-once right for the reply, 0 for none */
        uint32_t sequence; /* counts frames of this ring, PAD and GROW left out */
        uint32_t aux;   /* of a message: its kind (portolan/message.h) */
};

#define PTL_FRAME_HEAD sizeof(struct ptl_frame_head)

/* The bytes of a message lie in the sender's block pool. */
struct ptl_frame_block {
        uint32_t offset; /* from the pool's start */
        uint32_t slot;   /* to be given back */
        uint64_t size;
};

/* Where the bytes of a rich message are. */
enum ptl_frame_where { PTL_WHERE_INLINE, PTL_WHERE_BLOCK, PTL_WHERE_REGION };

struct ptl_frame_rich {
        uint8_t where; /* enum ptl_frame_where */
        uint8_t n_rights;
        uint8_t n_regions;
        uint8_t n_given; /* as many as rights GIVEN */
        uint32_t reserved2;
        struct ptl_frame_block block; /* WHERE_BLOCK; WHERE_REGION: offset 0, slot: which region item,
                                         size: the bytes */
}; /* then n_rights ptl_frame_right, n_regions ptl_frame_region, n_given ptl_frame_given, the bytes if inline */

enum ptl_frame_right_what {
        PTL_CARRY_SEND = 1,  /* the writer grants a send right to a port of its own */
        PTL_CARRY_ONCE,      /* the writer grants a send-once right to a port of its own */
        PTL_CARRY_BACK_SEND, /* a send right that the reader had granted comes home: copied */
        PTL_CARRY_BACK_ONCE, /* a send-once right that the reader had granted comes home: moved */
        PTL_CARRY_DEAD,      /* a right whose port is dead */
        PTL_CARRY_GIVEN_SEND, /* a send right to a third task's port, by ticket */
        PTL_CARRY_GIVEN_ONCE, /* a send-once right to a third task's port, by ticket */
        PTL_CARRY_COMMITTED,  /* a receive right; right: the writer's number of its move to the reader */
        PTL_CARRY_KINDS
};

struct ptl_frame_right {
        uint32_t what;
        uint32_t right;          /* granted: by the writer. Back: by the reader. Given: which ptl_frame_given */
        uint32_t limit_messages; /* granted: the window */
        uint32_t limit_units;
};

struct ptl_frame_region {
        uint32_t number;  /* the writer's, for this link */
        uint32_t fresh;   /* 1: its descriptor travels on the socket under `ticket`; 0: sent before */
        uint32_t how;     /* enum ptl_region_how */
        uint32_t frozen;  /* 1: sealed against writing, by the writer; 0: the reader copies */
        uint64_t size;    /* bytes */
        uint64_t ticket;  /* numbers descriptors of one socket, in order */
};

/* Where a right GIVEN is to be redeemed. */
struct ptl_frame_given {
        struct ptl_task_id owner; /* the port's task */
        uint64_t ticket;
};

struct ptl_frame_claim {
        uint64_t ticket;
};

struct ptl_frame_give {
        struct ptl_task_id grantee;
}; /* then 1 to 64 ptl_frame_give_item */

struct ptl_frame_give_item {
        uint64_t ticket;
        uint32_t right; /* the writer's, in the reader's table */
        uint32_t kind;  /* PTL_CARRY_SEND, PTL_CARRY_ONCE */
};

struct ptl_frame_redeem {
        uint64_t ticket;
        struct ptl_task_id granter;
};

struct ptl_frame_window {
        uint32_t limit_messages;
        uint32_t limit_units;
};

struct ptl_frame_limit {
        uint64_t value;
};

_Static_assert(sizeof(struct ptl_frame_head) == 24, "layout");
_Static_assert(sizeof(struct ptl_frame_block) == 16, "layout");
_Static_assert(sizeof(struct ptl_frame_rich) == 24, "layout");
_Static_assert(sizeof(struct ptl_frame_right) == 16, "layout");
_Static_assert(sizeof(struct ptl_frame_region) == 32, "layout");
_Static_assert(sizeof(struct ptl_frame_given) == 24, "layout");
_Static_assert(sizeof(struct ptl_frame_give) == 16, "layout");
_Static_assert(sizeof(struct ptl_frame_give_item) == 16, "layout");
_Static_assert(sizeof(struct ptl_frame_redeem) == 24, "layout");

/*
 * A right's number on a link, in the receiver's table: 20 bits of index, one bit that says which of
 * two tables (the index was chosen by the granter, or by the holder with a claim), 11 bits of
 * generation, which whoever chose the index changes before it is used again.
 */
#define PTL_RIGHT_INDEX_BITS 20u
#define PTL_RIGHT_INDEX_MAX  ((1u << PTL_RIGHT_INDEX_BITS) - 1)
#define PTL_RIGHT_CLAIMED    (1u << PTL_RIGHT_INDEX_BITS)
#define PTL_RIGHT_GENERATION_SHIFT (PTL_RIGHT_INDEX_BITS + 1)
#define PTL_RIGHT_GENERATION_MASK  (UINT32_MAX >> PTL_RIGHT_GENERATION_SHIFT)

static inline uint32_t ptl_right_make(uint32_t index, uint32_t generation)
{
        return generation << PTL_RIGHT_GENERATION_SHIFT | index;
}
static inline uint32_t ptl_right_index(uint32_t right) { return right & PTL_RIGHT_INDEX_MAX; }
static inline uint32_t ptl_right_generation(uint32_t right) { return right >> PTL_RIGHT_GENERATION_SHIFT; }
static inline bool ptl_right_is_claimed(uint32_t right) { return right & PTL_RIGHT_CLAIMED; }

/* Can it be a number of the granter's choice? */
static inline bool ptl_right_is_granted(uint32_t right)
{
        return !ptl_right_is_claimed(right) && ptl_right_index(right) != 0;
}

/* The header's first word. A stamp is never 0, so a clear word is never a header. */
static inline uint64_t ptl_frame_stamp(uint64_t position)
{
        return ((position >> 3 & 0x7fffffff) | 0x80000000u) << 32;
}
static inline uint64_t ptl_frame_word(uint64_t position, uint32_t length, enum ptl_frame_kind kind)
{
        return ptl_frame_stamp(position) | (uint64_t)length << 8 | kind;
}
static inline uint32_t ptl_frame_length(uint64_t word) { return (uint32_t)word >> 8; }
static inline unsigned ptl_frame_kind_of(uint64_t word) { return word & 0xff; }

/*
 * Where the frame after this one begins. A frame of more than half a line and up to two fills whole
 * lines, so that its transfer takes no line twice. A larger one would touch one line more for that; a
 * smaller one shares its line with the next, whose clear word then costs no line of its own.
 */
static inline uint64_t ptl_frame_end(uint64_t position, uint32_t length)
{
        uint64_t past = PTL_FRAME_HEAD + length - 33 <= 128 - 33 ? 63 : 7; /* 33 to 128 bytes: whole lines */

        return (position + PTL_FRAME_HEAD + length + past) & ~past;
}

/*
 * A ticket: low half: index in the granter's table for the link (12 bits) and its generation; high half:
 * which of the granter's links.
 */
#define PTL_TICKET_INDEX_BITS 12u
#define PTL_TICKETS_MAX       ((1u << PTL_TICKET_INDEX_BITS) - 1) /* the highest index; 0 is none */

static inline uint64_t ptl_ticket_make(uint32_t link, uint32_t index, uint32_t generation)
{
        return (uint64_t)link << 32 | (uint32_t)(generation << PTL_TICKET_INDEX_BITS | index);
}
static inline uint32_t ptl_ticket_index(uint64_t ticket) { return (uint32_t)ticket & PTL_TICKETS_MAX; }

enum { PTL_GIVE_MAX = 64 }; /* in a frame: as many as a message carries rights */

/* The body of GIVE, decoded: a private copy. */
struct ptl_give {
        struct ptl_task_id grantee;
        uint32_t count;
        struct ptl_frame_give_item items[PTL_GIVE_MAX];
};

/* A rich body, decoded: a private copy. */
struct ptl_rich {
        enum ptl_frame_where where;
        uint32_t n_rights, n_regions, n_given;
        struct ptl_frame_block block;
        struct ptl_frame_right rights[64];
        struct ptl_frame_region regions[17]; /* the program's, and maybe the bytes */
        const void *given; /* n_given ptl_frame_given: encoding, the writer's; decoded, still hostile */
        const void *bytes; /* WHERE_INLINE: into the body, still hostile */
        uint32_t size;
};

/* Bytes before the inline payload of a rich body without rights GIVEN, each of which adds a ptl_frame_given. */
size_t ptl_rich_head_size(uint32_t n_rights, uint32_t n_regions);

/* Writes head and items; the payload follows. @to is 8-byte aligned and has room for them. */
void ptl_rich_encode(const struct ptl_rich *rich, void *to);

/**
 * ptl_rich_decode - read a body that the peer wrote, reading each byte once
 * Return: 0, PTL_E_MALFORMED (counts, enums, sizes or reserved fields that no correct peer writes).
 */
PTL_MUST_CHECK int ptl_rich_decode(const void *body, uint32_t length, struct ptl_rich *ret_rich);

enum { PTL_FEW_RIGHTS = 4 };

/* A rich body that is a few rights of the writer's or the reader's, and bytes behind them: a private copy. */
struct ptl_few {
        uint32_t n_rights; /* 1 to PTL_FEW_RIGHTS */
        struct ptl_frame_right rights[PTL_FEW_RIGHTS];
        const void *bytes; /* into the body, still hostile */
        uint32_t size;
};

/* Where the bytes of such a body begin. */
static inline uint32_t ptl_few_head_size(uint32_t n_rights)
{
        return (uint32_t)(sizeof(struct ptl_frame_rich) + n_rights * sizeof(struct ptl_frame_right));
}

/**
 * ptl_few_decode - the same for those that are no more than that, reading each byte once
 * Return: false if it is anything else: what, ptl_rich_decode() says.
 */
bool ptl_few_decode(const void *body, uint32_t length, struct ptl_few *ret_few);

/* What right @index GIVEN of a decoded body names: reads it once. */
struct ptl_frame_given ptl_rich_given(const struct ptl_rich *rich, uint32_t index);

/**
 * ptl_give_decode - read the body of GIVE, reading each byte once
 * Return: 0, PTL_E_MALFORMED (no item, too many, a part of one; an index, a kind that cannot be).
 */
PTL_MUST_CHECK int ptl_give_decode(const void *body, uint32_t length, struct ptl_give *ret_give);

/* Reads a fixed-size body; PTL_E_MALFORMED if the length is not exactly right. */
PTL_MUST_CHECK int ptl_frame_body(const void *body, uint32_t length, void *ret, size_t size);

/* "INLINE", "CLAIM", ...; "?" for none. */
const char *ptl_frame_kind_name(unsigned kind);
