/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portolan/inspect.h - look into another task: its ports, peers and counters, and its messages
 *
 * Each task keeps a board: a page of figures about itself that it alone can write and that the name server
 * lends to who may see it. So a task can be looked into while it is stopped, or stuck in its own code.
 * What stands there is what that task says of itself; only its identity comes from the kernel.
 *
 * Who may: the task's own user, root, and the user that the server runs as.
 *
 * Thread-safe; not async-signal-safe. Fork: as portolan/name.h.
 */
#ifndef PORTOLAN_INSPECT_H
#define PORTOLAN_INSPECT_H

#include <portolan/port.h>
#include <portolan/quota.h>
#include <portolan/task.h>
#include <portolan/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
        PTL_VIEW_PORTS = 512, /* most ports and peers that a board shows */
        PTL_VIEW_PEERS = 96,
        PTL_VIEW_NAME = 32, /* bytes of a port's published name, the NUL with them; a longer one is cut */
};

/* One name of the task. In shared memory too: the layout is fixed (docs/protocol/statistics.md). */
struct ptl_port_view {
        ptl_port name;
        uint32_t rights;     /* enum ptl_right */
        uint32_t references; /* of the send, send-once or dead part */
        ptl_port set;        /* the set it is in, or PTL_NULL */
        uint32_t queued;     /* receive: messages that wait in the task */
        uint32_t limit_messages;
        uint32_t in_flight;  /* send: messages sent through it and not yet taken by the receiver */
        uint32_t window;     /* send: how many of these there may be */
        uint64_t limit_bytes;
        uint64_t received;   /* receive: messages taken so far */
        uint32_t in_flight_units, window_units; /* the same in units of 64 bytes */
        int32_t peer_pid;    /* whose port it is; 0: the task's own */
        uint32_t is_published; /* 1: under `published`, or under a name that is not shown */
        char published[PTL_VIEW_NAME]; /* "" if it is not known */
};

enum ptl_peer_waits {
        PTL_PEER_UNKNOWN = 0, /* it has not shown its side of the link yet */
        PTL_PEER_AWAKE = 1,   /* it polls, or works */
        PTL_PEER_ASLEEP = 2,  /* it sleeps, or asked to be rung */
};

/* One link of the task. In shared memory too. */
struct ptl_peer_view {
        struct ptl_identity peer;
        uint64_t sent, received; /* frames */
        uint64_t bells_rung, bells_heard;
        uint64_t lies;           /* of this peer that were refused */
        uint32_t ring_bytes;     /* of the ring that the task writes for the peer */
        uint32_t ring_used;      /* of those, not read by the peer */
        uint32_t pool_bytes;
        uint32_t rights_granted, rights_held;
        uint32_t distance_ns;
        uint32_t state;          /* 0 introduced, 1 open, 2 dead */
        uint32_t waits;          /* enum ptl_peer_waits */
        uint32_t descriptors;    /* sent to the peer and not acknowledged */
        uint32_t has_input;      /* 1: the peer has written what the task has not read */
        uint32_t restrained;     /* number of the limit for which the task holds it back (quota.h); 0: it does not */
        uint32_t restrains;      /* of the limit for which it says that it holds the task back */
};

enum ptl_view_board {
        PTL_BOARD_WHOLE = 0,
        PTL_BOARD_NONE = 1,      /* the task has lodged none: only what the server knows is filled */
        PTL_BOARD_TORN = 2,      /* it was stopped while it wrote: parts may be of different times */
        PTL_BOARD_UNSTEADY = 3,  /* it changed at every look: likewise */
        PTL_BOARD_VERSION = 4,   /* of another version: likewise not shown */
        PTL_BOARD_MALFORMED = 5, /* no correct program writes such a one: not shown */
};

/**
 * struct ptl_task_view - what is known of a task
 *
 * @is_asleep and what stands from @how on is the task's own word, and zero unless @board is WHOLE, TORN or
 * UNSTEADY.
 */
struct ptl_task_view {
        struct ptl_identity identity;
        char command[16];        /* comm of that process when it connected; not to be trusted */
        uint32_t board;          /* enum ptl_view_board */
        uint32_t is_asleep;      /* 1: its leading thread sleeps in the library, right now */
        /* what the server holds for it; for all tasks of its process, if there are several */
        uint32_t names, links, look_ups, watches;
        uint32_t output_bytes;       /* messages of the server that it has not taken, beside its socket's buffer */
        uint32_t output_descriptors; /* among them */
        uint32_t descriptors;        /* of the server's, used for it */
        uint32_t how;                /* enum ptl_wait */
        struct ptl_task_statistics statistics;
        ptl_time written;        /* when the task last wrote its board */
        uint64_t age_ns;         /* how long ago that was */
        uint32_t waiting;        /* threads that waited in the library then */
        uint32_t traced;         /* who watch its messages (ptl_task_trace()) */
        uint32_t n_ports, ports_missing; /* rows, and ports for which there was none */
        uint32_t n_peers, peers_missing;
        const struct ptl_port_view *ports; /* in the same memory as the struct */
        const struct ptl_peer_view *peers;
        uint64_t quota_use[PTL_QUOTA_KINDS]; /* what others make it hold, in all, by enum ptl_quota */
        uint32_t n_refusals;
        const struct ptl_quota_refusal *refusals; /* the latest first */
};

/**
 * ptl_task_inspect - look into a task
 * @pid:      in the server's PID name space
 * @ret_view: filled on success: the caller's, to be freed with free()
 *
 * Asks the server only: the task takes no part and does not notice. Its board is as old as the last time
 * it was at leisure in the library, at most some 100 ms while it uses it (`age_ns`).
 *
 * Return: 0, PTL_E_NOT_FOUND (the server knows no such task), PTL_E_REFUSED (another user's),
 * PTL_E_INVALID, PTL_E_QUOTA (the server is full), PTL_E_NO_SERVER, PTL_E_VERSION, PTL_E_LOST (no
 * descriptor could be received), -errno.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_task_inspect(int32_t pid, struct ptl_task_view **ret_view);

/**
 * ptl_task_trace - see a running task's messages, decoded
 * @pid:    in the server's PID name space
 * @ret_fd: filled on success: a socket, the caller's, non-blocking. Each packet that comes is a line of text with
 *          its newline, at most 512 bytes. It ends (0 bytes) when the task does. Closing it ends the trace
 *
 * The task begins at its next look at its descriptors, within a ms if it is busy in the library, and at its
 * next call if it is not in it. Lines that find the socket full are dropped and counted in a later line:
 * the task never waits. A line shows the first 32 bytes of a message. A task that is not dumpable (prctl(2))
 * shows nothing: the socket ends at once. Four may watch a task at once; more get a socket that ends at once.
 *
 * Return: as ptl_task_inspect(), and PTL_E_QUOTA (the server can pass no descriptor to it now).
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_task_trace(int32_t pid, int *ret_fd);

#ifdef __cplusplus
}
#endif
#endif
