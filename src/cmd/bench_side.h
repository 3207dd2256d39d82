/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd/bench_side.h - one of the two processes of a benchmark, and what it checks
 *
 * The driver is the command itself; the peer is another process of the same program. The driver
 * writes an order into a page that both have (bench_pair.h); then each does its side of it.
 *
 * Every message is checked by whoever receives it: its first word is its number, its last word the
 * number inverted, and from 4 KiB on the sum of all words is compared. So no figure comes from
 * messages that were lost, torn, repeated, or read before they were whole.
 */
#pragma once
#include "base/atomic.h"
#include "cmd/bench_clock.h"
#include <stdbool.h>

enum {
        BENCH_SUM_FROM = 4096,      /* bytes; below, the body is not worth a look */
        BENCH_SIZE_MAX = 1 << 20,   /* of a message that is copied */
        BENCH_BATCH_MAX = 64,
        BENCH_WHY_SIZE = 200,
};

/* The number of the message that ends a run. */
#define BENCH_LAST UINT64_MAX

enum bench_subject {
        BENCH_RING,   /* the reference: a bare ring */
        BENCH_PORT,   /* the library */
        BENCH_PIPE,
        BENCH_SOCKET, /* AF_UNIX, stream */
        BENCH_QUEUE,  /* POSIX message queue */
        BENCH_REGION, /* the library, memory by reference */
        BENCH_LINK,   /* the library, making links */
        BENCH_RIGHT,  /* messages with a right */
        BENCH_HANDOFF, /* the first use of a third task's right */
        BENCH_DEATH,  /* the news of a death */
        BENCH_HELD,   /* many rights, and their memory */
        BENCH_SUBJECTS,
};

enum bench_shape {
        BENCH_CALL, /* a message there, one back */
        BENCH_SEND, /* messages one way */
        BENCH_IDLE, /* nothing is sent */
        BENCH_PROBE,
        BENCH_MEET, /* a task finds another; BENCH_RENEW: the other becomes a new task first */
        BENCH_RENEW,
        BENCH_QUIT,
};

enum bench_wait { BENCH_SPIN, BENCH_ADAPTIVE, BENCH_BLOCK };

enum bench_flags {
        BENCH_IN_PLACE = 1,  /* the receiver reads where the sender wrote */
        BENCH_LOAN = 2,      /* the sender builds where the receiver reads */
        BENCH_STREAMING = 4, /* the reference copies past the cache */
        BENCH_CORRUPT = 8,   /* damage one message: a test that the checks are real */
        BENCH_ISOLATED = 16, /* regions: the receiver's pages are its own */
        BENCH_FRESH = 32,    /* regions: each has new memory; rights: each comes over a new link */
        BENCH_COPIED = 64,   /* the ring, a region: the receiver copies, too */
        BENCH_WITHOUT = 128, /* rights: the same without, or with one that is there already */
        BENCH_HOME = 256,    /* rights: to the receiver's own port */
};

/* What both are to do. */
struct bench_order {
        uint32_t subject, shape, wait, flags;
        uint64_t size;
        uint64_t duration_ns;
        uint32_t batch;
        int32_t peer_cpu;
};

/* What one side found. Percentiles are of the side that can tell; 0 in the other. */
struct bench_result {
        double p50_ns, p99_ns;
        uint64_t messages, elapsed_ns, cpu_ns;
        uint64_t look_up_ns;     /* of BENCH_MEET: until the name was found */
        double memory_bytes;     /* of a link, likewise */
        double owner_bytes, holder_bytes; /* of BENCH_HELD: of a right, at its port's task and at its holder's */
};

struct bench_control;

struct bench_side {
        struct bench_control *control; /* shared with the other side */
        double ns_per_tick;
        bool is_peer;
        struct bench_order order;      /* a private copy */
        uint64_t *data;                /* what is sent: room for BENCH_SIZE_MAX */
        uint64_t *room;                /* for what is received: the same */
        uint64_t sum;                  /* of all words of a message of this order */
        struct bench_samples samples;
        struct bench_result result;
        bool is_open[BENCH_SUBJECTS];
        char why[BENCH_WHY_SIZE];      /* of the failure */
};

/* Allocates. Return: false if there is no memory. */
bool bench_side_init(struct bench_side *side, struct bench_control *control, bool is_peer);
void bench_side_fini(struct bench_side *side);

/* Fills @side->data for its order, and what is expected of it. */
void bench_side_fill(struct bench_side *side);

/* Takes percentiles from the samples, @each messages a sample, and empties them. */
void bench_side_conclude(struct bench_side *side, uint64_t begin, uint64_t end, uint64_t messages,
                         unsigned each);

/* Remembers why this side cannot go on. Return: -1. */
int bench_side_fail(struct bench_side *side, const char *format, ...)
        __attribute__((format(printf, 2, 3), cold));

/* bench_side_fail() for a message that is not the one that was sent. */
int bench_side_wrong(struct bench_side *side, const void *data, size_t size, uint64_t number)
        __attribute__((cold));

/* Whether the other side failed; looked at by those who poll. */
bool bench_side_is_over(const struct bench_side *side);

uint64_t bench_sum(const uint64_t *words, size_t count);

static inline void bench_stamp(uint64_t *words, size_t size, uint64_t number)
{
        words[size / sizeof *words - 1] = ~number; /* of a message of one word: overwritten */
        words[0] = number;
}

static inline bool bench_is_whole(const struct bench_side *side, const void *data, size_t size,
                                  uint64_t number)
{
        const uint64_t *words = data;
        size_t count = side->order.size / sizeof *words;

        return size == side->order.size && words[0] == number &&
               (count == 1 || words[count - 1] == ~number) &&
               (side->order.size < BENCH_SUM_FROM || bench_sum(words, count) == side->sum);
}
