/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rights_orders.h - what the conductor tells the walkers, and where all of them can see it
 *
 * One file mapped by all: the model, which the conductor alone changes, and only while no walker runs; a seat
 * for each walker with its orders for a round. A walker compares what happens with what the orders and the
 * model's messages say, and aborts where it differs.
 *
 * What a name is, is the library's to say: each seat writes into `names` which it has for a port.
 */
#pragma once
#include "base/atomic.h"
#include "base/futex.h"
#include "rights_model.h"
#include "roles.h"
#include <linux/futex.h>
#include <sys/syscall.h>

enum order_kind {
        O_NEW,
        O_FREE,      /* `how`: by which call */
        O_MAKE_SEND,
        O_CHANGE,    /* references, `count` more or less */
        O_MAKE_ONCE,
        O_DROP_ONCE,
        O_SEND,      /* `how`: 1: bytes that do not fit in the ring */
        O_RECEIVE,   /* `count` messages, from `message` on; `how`: by which call */
        O_REQUEST,
        O_SET_MADE,
        O_SET_SEQUENCE,
        O_RENAME,
        O_DEPUTY,    /* gives all references up, then names the right still */
        O_FILL,      /* sends as many as the limit, then is refused, then leaves one */
        O_INSERT,
        O_EXTRACT,
        O_GRAVE,     /* sends to who dies in this round: done, or PTL_E_DEAD */
        O_DIE,
        /* births and ends, one by one */
        O_PUBLISH,   /* the hub and the desk */
        O_LOOK_UP,   /* the hub of seat `count` */
        O_SHOW,      /* its task port, to seat `count` */
        O_TAKE_WARD, /* the task port of who showed it */
        O_DROP_WARD,
        O_CHECK,
        O_EMPTY,     /* gives everything up */
        ORDERS,
};

static const char *const order_names[] = {
        [O_NEW] = "new",
        [O_FREE] = "free",
        [O_MAKE_SEND] = "make send",
        [O_CHANGE] = "change",
        [O_MAKE_ONCE] = "make once",
        [O_DROP_ONCE] = "drop once",
        [O_SEND] = "send",
        [O_RECEIVE] = "receive",
        [O_REQUEST] = "request",
        [O_SET_MADE] = "set made",
        [O_SET_SEQUENCE] = "set sequence",
        [O_RENAME] = "rename",
        [O_DEPUTY] = "deputy",
        [O_FILL] = "fill",
        [O_INSERT] = "insert",
        [O_EXTRACT] = "extract",
        [O_GRAVE] = "send to the dying",
        [O_DIE] = "die",
        [O_PUBLISH] = "publish",
        [O_LOOK_UP] = "look up",
        [O_SHOW] = "show",
        [O_TAKE_WARD] = "take ward",
        [O_DROP_WARD] = "drop ward",
        [O_CHECK] = "check",
        [O_EMPTY] = "empty",
};

enum { O_BATCH = 96, NAMES_EACH = 12, TAGS = 1 << 21, HUB_LIMIT = 1024 };

struct order_item {
        uint32_t port, once, disposition;
};

/* What is wrong with a message that is refused. */
enum order_spoil { SPOIL_NOTHING, SPOIL_STALE, SPOIL_KIND, SPOIL_DISPOSITION, SPOIL_COUNT };

struct order {
        uint8_t kind, how, n_items, spoil;
        bool wants_previous;
        int32_t outcome;
        uint32_t port, once; /* what it is about; once: instead of the port */
        uint32_t notify, notify_once, previous;
        uint32_t message, reply, value, tag;
        int32_t count;
        struct order_item items[ITEMS];
};

enum seat_command { S_ORDERS, S_LOOK, S_QUIT };

/* Frames to each other seat and from it, as one walker counted them when it last looked. */
struct seat_frames {
        uint64_t sent[SEATS], received[SEATS];
};

struct seat {
        _Atomic uint32_t go; /* counts commands */
        _Atomic uint32_t poked; /* somebody wants something of this seat's task port */
        _Atomic int32_t pid;
        uint32_t command, n_orders;
        bool lives, is_quiet;
        struct seat_frames frames;
        uint32_t done, splits; /* orders of this round; names beyond the one that there should be */
        char why[200]; /* not quiet */
        struct order orders[O_BATCH];
};

struct stage {
        struct model model;
        _Atomic uint32_t running; /* seats that have not done what they were told */
        uint32_t slow;            /* rounds that took so long that rights may have names of their own (H7) */
        struct seat seats[SEATS];
        ptl_port names[SEATS][PORTS][NAMES_EACH]; /* of one's own port: the first is its */
        ptl_port once_names[ONCES];
        ptl_port tag_names[TAGS]; /* what a right was called when its DEAD_NAME was asked for, or since */
};

/* The bytes of a message. */
struct walk_body {
        uint64_t number;
        uint32_t message;
        uint32_t sender;
};

static inline struct stage *stage_map(const char *path, bool create)
{
        int fd = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_EXCL : 0), 0600);
        void *p;

        CHECK(fd >= 0);
        CHECK(!create || ftruncate(fd, sizeof(struct stage)) == 0);
        p = mmap(NULL, sizeof(struct stage), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        CHECK(p != MAP_FAILED);
        close(fd);
        return p;
}

/* Between processes, unlike the library's own; spurious returns are allowed. */
static inline void stage_wait(_Atomic uint32_t *word, uint32_t value, long ms)
{
        struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

        syscall(SYS_futex, word, FUTEX_WAIT, value, &t, NULL, 0);
}

static inline void stage_wake(_Atomic uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0); }
