/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench_cell.c - the table of what there is to measure */
#include "cmd/bench_cell.h"

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)

/* A call copies both ways; in place both sides read where the other wrote, as the reference does. */
#define CALL(how, bytes)                                                                           \
        {.group = "call", .name = "call", .subject = BENCH_PORT, .shape = BENCH_CALL, .wait = how, \
         .reference = BENCH_BY_RING, .size = bytes, .batch = 1}
#define IN_PLACE(bytes)                                                                            \
        {.group = "call", .name = "call-in-place", .subject = BENCH_PORT, .shape = BENCH_CALL,     \
         .wait = BENCH_SPIN, .reference = BENCH_BY_RING, .size = bytes, .batch = 1,                \
         .flags = BENCH_IN_PLACE}
/* What of a copied call is the copying: the ring, whose receivers copy like ours. */
#define RING_COPIED(bytes)                                                                         \
        {.group = "call", .name = "ring-copied", .subject = BENCH_RING, .shape = BENCH_CALL,       \
         .wait = BENCH_SPIN, .reference = BENCH_BY_RING, .size = bytes, .batch = 1,                \
         .flags = BENCH_COPIED}
#define SEND(bytes, many, label)                                                                   \
        {.group = "send", .name = label, .subject = BENCH_PORT, .shape = BENCH_SEND,               \
         .wait = BENCH_SPIN, .reference = BENCH_BY_RING, .size = bytes, .batch = many,             \
         .flags = BENCH_IN_PLACE}
#define BULK(label, bytes, how)                                                                    \
        {.group = "bulk", .name = label, .subject = BENCH_PORT, .shape = BENCH_SEND,               \
         .wait = BENCH_SPIN, .reference = BENCH_BY_RING, .size = bytes, .batch = 1, .flags = how}
#define REGION(label, bytes, how, against)                                                         \
        {.group = "region", .name = label, .subject = BENCH_REGION, .shape = BENCH_CALL,           \
         .wait = BENCH_SPIN, .reference = against, .size = bytes, .batch = 1, .flags = how}
#define WAKE(in, label, how, same)                                                                 \
        {.group = in, .name = label, .subject = BENCH_PORT, .shape = BENCH_CALL, .wait = how, \
         .reference = BENCH_BY_PIPE, .size = 64, .batch = 1, .same_cpu = same}
#define KERNEL(in, label, by, what, bytes, against, same)                                          \
        {.group = in, .name = label, .subject = by, .shape = what, .wait = BENCH_BLOCK,            \
         .reference = against, .size = bytes, .batch = 1, .same_cpu = same}
#define KERNEL_CALLS(in, bytes)                                                                    \
        KERNEL(in, "pipe-call", BENCH_PIPE, BENCH_CALL, bytes, BENCH_BY_RING, false),              \
        KERNEL(in, "socket-call", BENCH_SOCKET, BENCH_CALL, bytes, BENCH_BY_RING, false)
#define KERNEL_SENDS(in, bytes)                                                                    \
        KERNEL(in, "pipe-send", BENCH_PIPE, BENCH_SEND, bytes, BENCH_BY_RING, false),              \
        KERNEL(in, "socket-send", BENCH_SOCKET, BENCH_SEND, bytes, BENCH_BY_RING, false)
#define QUEUE_CALL(in, bytes) KERNEL(in, "mq-call", BENCH_QUEUE, BENCH_CALL, bytes, BENCH_BY_RING, false)
#define QUEUE_SEND(in, bytes) KERNEL(in, "mq-send", BENCH_QUEUE, BENCH_SEND, bytes, BENCH_BY_RING, false)
#define KERNEL_WAKES(same)                                                                         \
        KERNEL("wake", "pipe-wake", BENCH_PIPE, BENCH_CALL, 64, BENCH_NO_REFERENCE, same),         \
        KERNEL("wake", "socket-wake", BENCH_SOCKET, BENCH_CALL, 64, BENCH_BY_PIPE, same),          \
        KERNEL("wake", "mq-wake", BENCH_QUEUE, BENCH_CALL, 64, BENCH_BY_PIPE, same)

#define RIGHT(label, what, how)                                                                    \
        {.group = "rights", .name = label, .subject = BENCH_RIGHT, .shape = what, .wait = BENCH_SPIN, \
         .reference = BENCH_BY_ITSELF, .size = 64, .batch = 1, .flags = how}
#define FIRST_USE(label, waits, how)                                                               \
        {.group = "rights", .name = label, .subject = BENCH_HANDOFF, .shape = BENCH_CALL, .wait = waits, \
         .reference = BENCH_BY_ITSELF, .size = 8, .batch = 1, .flags = how}

const struct bench_cell bench_cells[] = {
        CALL(BENCH_SPIN, 8),
        CALL(BENCH_SPIN, 64),
        CALL(BENCH_SPIN, 256),
        CALL(BENCH_SPIN, 1024),
        IN_PLACE(64),
        IN_PLACE(256),
        IN_PLACE(1024),
        RING_COPIED(64),
        RING_COPIED(1024),
        CALL(BENCH_ADAPTIVE, 8),
        CALL(BENCH_ADAPTIVE, 64),
        CALL(BENCH_ADAPTIVE, 256),
        CALL(BENCH_ADAPTIVE, 1024),
        WAKE("call", "call", BENCH_BLOCK, true),
        KERNEL_CALLS("call", 64),
        QUEUE_CALL("call", 64),

        SEND(64, 1, "send"),
        SEND(64, 16, "send-batch16"),
        SEND(64, 64, "send-batch64"),
        SEND(40, 64, "send-batch64"),
        KERNEL_SENDS("send", 64),
        QUEUE_SEND("send", 64),

        BULK("bulk", KIB(4), BENCH_IN_PLACE),
        BULK("bulk", KIB(64), BENCH_IN_PLACE),
        BULK("bulk", MIB(1), BENCH_IN_PLACE),
        BULK("bulk-copied", KIB(64), 0),
        BULK("bulk-copied", MIB(1), 0),
        BULK("bulk-loan", KIB(64), BENCH_IN_PLACE | BENCH_LOAN),
        BULK("bulk-loan", MIB(1), BENCH_IN_PLACE | BENCH_LOAN),
        KERNEL_SENDS("bulk", KIB(64)),
        KERNEL_SENDS("bulk", MIB(1)),

        REGION("region-again", MIB(1), 0, BENCH_BY_HANDLE),
        REGION("region-again", MIB(64), 0, BENCH_BY_HANDLE),
        REGION("region-first", MIB(1), BENCH_FRESH, BENCH_BY_HANDLE),
        REGION("region-copied", MIB(1), BENCH_COPIED, BENCH_BY_COPY),
        REGION("region-copied", MIB(4), BENCH_COPIED, BENCH_BY_COPY),
        REGION("region-copied", MIB(16), BENCH_COPIED, BENCH_BY_COPY),
        REGION("region-isolated", MIB(1), BENCH_ISOLATED, BENCH_BY_COPY),
        REGION("region-isolated", MIB(4), BENCH_ISOLATED, BENCH_BY_COPY),
        REGION("region-isolated", MIB(16), BENCH_ISOLATED, BENCH_BY_COPY),
        REGION("region-isolated", MIB(64), BENCH_ISOLATED, BENCH_BY_COPY),

        WAKE("wake", "wake", BENCH_BLOCK, true),
        WAKE("wake", "wake", BENCH_ADAPTIVE, true),
        KERNEL_WAKES(true),
        WAKE("wake", "wake", BENCH_BLOCK, false),
        WAKE("wake", "wake", BENCH_ADAPTIVE, false),
        KERNEL_WAKES(false),

        {.group = "idle", .name = "idle", .subject = BENCH_PORT, .shape = BENCH_IDLE,
         .wait = BENCH_ADAPTIVE, .size = 8, .batch = 1},
        {.group = "idle", .name = "idle", .subject = BENCH_PORT, .shape = BENCH_IDLE,
         .wait = BENCH_BLOCK, .size = 8, .batch = 1},

        {.group = "links", .name = "links", .subject = BENCH_LINK, .shape = BENCH_MEET,
         .wait = BENCH_ADAPTIVE, .size = 8, .batch = 1},

        RIGHT("right-send", BENCH_SEND, 0),
        RIGHT("right-send-home", BENCH_SEND, BENCH_HOME),
        RIGHT("right-call", BENCH_CALL, 0),
        RIGHT("right-call-home", BENCH_CALL, BENCH_HOME),
        FIRST_USE("right-first", BENCH_SPIN, 0),
        FIRST_USE("right-first-new-link", BENCH_ADAPTIVE, BENCH_FRESH),
        {.group = "rights", .name = "death-notice", .subject = BENCH_DEATH, .shape = BENCH_CALL,
         .wait = BENCH_BLOCK, .size = 8, .batch = 1},
        {.group = "rights", .name = "rights-held", .subject = BENCH_HELD, .shape = BENCH_CALL,
         .wait = BENCH_ADAPTIVE, .size = 8, .batch = 1},

        KERNEL_CALLS("kernel", 8),
        QUEUE_CALL("kernel", 8),
        KERNEL_CALLS("kernel", KIB(1)),
        QUEUE_CALL("kernel", KIB(1)),
        KERNEL_CALLS("kernel", KIB(64)),
        KERNEL_SENDS("kernel", KIB(4)),
        QUEUE_SEND("kernel", KIB(4)),
};

const size_t bench_cells_count = PTL_ARRAY_LEN(bench_cells);
_Static_assert(PTL_ARRAY_LEN(bench_cells) <= BENCH_CELLS_MAX, "room for what is found");

const char *const bench_groups[] = {"call", "send", "bulk",  "region", "wake",
                                    "idle", "links", "rights", "kernel", NULL};

const char *bench_wait_name(enum bench_wait wait)
{
        static const char *const names[] = {"spin", "adaptive", "block"};

        return names[wait];
}
