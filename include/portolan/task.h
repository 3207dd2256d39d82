/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portolan/task.h - this task: who it is, how it waits, what it has done
 *
 * A process becomes a task at its first call that needs to be one. The library starts no threads,
 * installs no signal handlers, writes nothing to stderr unless PORTOLAN_TRACE asks, and never exits.
 * All descriptors it opens are close-on-exec.
 *
 * PORTOLAN_TRACE=1 writes a decoded line per frame to stderr; PORTOLAN_TRACE=PATH appends them to
 * PATH. (Of a task that runs already: ptl_task_trace().) PORTOLAN_WAIT=spin|adaptive|block|memory sets
 * the way of waiting. PORTOLAN_LIMITS sets what others may make this task hold (portolan/quota.h).
 */
#ifndef PORTOLAN_TASK_H
#define PORTOLAN_TASK_H

#include <portolan/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * ptl_task_identity - who this task is, as others see it
 * @ret_identity: filled on success
 *
 * Connects to the name server if that was not done yet.
 * Return: 0, PTL_E_INVALID, PTL_E_QUOTA (the server is full), PTL_E_NO_SERVER, PTL_E_VERSION,
 * PTL_E_REFUSED, -errno.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_task_identity(struct ptl_identity *ret_identity);

/* How this task waits. */
enum ptl_wait {
        PTL_WAIT_ADAPTIVE = 0, /* poll for a bounded time that pays, then sleep; the default */
        PTL_WAIT_SPIN = 1,     /* poll; looks for deaths and newcomers every ms */
        PTL_WAIT_BLOCK = 2,    /* sleep at once */
        PTL_WAIT_MEMORY = 3,   /* poll the links that are in use, and make no system call: see below */
};

/**
 * ptl_task_set_wait - choose how all threads of this task wait
 * @how:      enum ptl_wait
 * @poll_ns:  for PTL_WAIT_ADAPTIVE: the longest time to poll before sleeping, 0 for the default
 *            (50 µs), at most 10 ms; ignored otherwise
 *
 * Adaptive waiting polls no longer than polling has paid lately, and not at all where the peer last
 * ran on this CPU or there is only one CPU.
 *
 * PTL_WAIT_MEMORY is for a program that gives up system calls (seccomp), or whose every microsecond
 * counts. Sending, receiving and calling through links that are in use then make none, but where a peer
 * has to be woken, a send waits for room for over a ms, or memory for a message is not at hand. What
 * only the kernel can tell waits for ptl_task_look(): that a peer died, that a newcomer wants to meet,
 * what the name server says. Give such waits a deadline: who has died does not answer. While no link
 * is in use it waits as PTL_WAIT_SPIN does.
 *
 * Return: 0, PTL_E_INVALID.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_task_set_wait(enum ptl_wait how, uint32_t poll_ns);

/**
 * ptl_task_look - take in what the kernel has to tell: deaths, newcomers, what the name server said
 *
 * Does not wait. Needed with PTL_WAIT_MEMORY only: every other way of waiting does it by itself. Costs
 * a few system calls. Nothing happens before the first other call of this library.
 */
PTL_PUBLIC void ptl_task_look(void);

/**
 * ptl_descriptor - a descriptor that polls readable when there may be something to receive
 * @port: a receive right or set; PTL_NULL for "anything in this task"
 * @ret_fd: filled on success; owned by the library, valid until the port is freed; do not close,
 *          read or write it. Add it to poll(), epoll, libuv, GLib, asyncio for reading.
 *
 * Readable means: call ptl_receive(@port, …, PTL_NOW) until it says PTL_E_EMPTY, which also arms the
 * descriptor again (on the port itself for a port's descriptor, on the set for a set's). It may be readable for nothing. From this call on every peer rings this task
 * whenever it sends while the task is outside of the library.
 *
 * Return: 0, PTL_E_NAME, PTL_E_RIGHT, PTL_E_INVALID, PTL_E_FORKED, -errno.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_descriptor(ptl_port port, int *ret_fd);

/**
 * struct ptl_task_statistics - counters since the task began; all are of this task
 */
struct ptl_task_statistics {
        uint64_t sent;            /* messages handed to a ring or queue */
        uint64_t received;        /* messages delivered to the program */
        uint64_t sent_bytes;
        uint64_t received_bytes;
        uint64_t bells_rung;      /* system calls made to wake a peer */
        uint64_t sleeps;          /* times a thread slept in the kernel */
        uint64_t polls_won;       /* waits ended by polling */
        uint64_t waits_full;      /* sends that had to wait for room */
        uint64_t rings_grown;
        uint64_t links_made;
        uint64_t links_dead;
        uint64_t lies;            /* frames or control messages of peers that were refused */
        uint64_t destroyed;       /* messages destroyed undelivered */
        uint32_t links;           /* now */
        uint32_t names;           /* rights in the table now */
        uint64_t link_bytes;      /* shared memory that this task's outboxes have reserved */
};

/**
 * ptl_task_get_statistics - read the counters
 * Return: 0, PTL_E_INVALID. No system call.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_task_get_statistics(struct ptl_task_statistics *ret_statistics);

struct ptl_link_statistics {
        struct ptl_identity peer;
        uint64_t sent, received;   /* frames */
        uint64_t bells_rung, bells_heard;
        uint64_t lies;
        uint32_t ring_bytes;       /* of the outbox this task writes, now */
        uint32_t pool_bytes;       /* reserved of its block pool, now */
        uint32_t rights_granted;   /* to the peer */
        uint32_t rights_held;      /* from the peer */
        uint32_t distance_ns;      /* measured time of one cache-line transfer; 0: not known yet */
        uint32_t state;            /* 0 introduced, 1 open, 2 dead */
};

/**
 * ptl_link_get_statistics - counters of each link of this task
 * @entries: borrowed array, filled; may be NULL if @max is 0
 * @max:     its length
 * @ret_count: filled: how many links there are (may exceed @max)
 * Return: 0, PTL_E_INVALID.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_link_get_statistics(struct ptl_link_statistics *entries, size_t max,
                                                  size_t *ret_count);

/**
 * ptl_task_leave - close every link and forget every name now, as if this process had died
 *
 * Peers get dead names. The next call makes this process a new task. Not while another thread is in
 * the library. Messages still held stay readable, and keep their link's memory, until the process ends.
 * Return: 0, PTL_E_BUSY (another thread waits in the library).
 */
PTL_PUBLIC int ptl_task_leave(void);

#ifdef __cplusplus
}
#endif
#endif
