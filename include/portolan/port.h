/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portolan/port.h - ports, the rights to them, and port sets
 *
 * A port is a finite queue of messages with one receiver. A task holds rights to ports under names
 * (ptl_port) of its own name space. A name carries one or more of:
 *
 *   receive    take messages out; exactly one task has it; dies with the task
 *   send       put messages in; counted by user references
 *   send-once  put one message in, then it is gone; ignores the queue limit; if it is destroyed
 *              unused, the port is told (PTL_NOTIFY_SEND_ONCE)
 *   set        a group of receive rights to receive from together
 *   dead name  what a send right becomes when its port is gone; counted like it
 *
 * Send and receive rights to one port share one name.
 *
 * Thread safety: every function may be called from any thread on any name. Fork: a child has none of
 * its parent's names (PTL_E_FORKED). Not async-signal-safe. Cost: a look-up in a private table, no
 * system call, unless said otherwise.
 */
#ifndef PORTOLAN_PORT_H
#define PORTOLAN_PORT_H

#include <portolan/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a name carries; flags. */
enum ptl_right {
        PTL_RIGHT_RECEIVE = 1,
        PTL_RIGHT_SEND = 2,
        PTL_RIGHT_SEND_ONCE = 4,
        PTL_RIGHT_SET = 8,
        PTL_RIGHT_DEAD = 16,
        PTL_RIGHT_ASKED = 32, /* in ptl_right_type() and ptl_right_names() only: PTL_NOTIFY_DEAD_NAME was asked for */
};

#define PTL_LIMIT_MESSAGES_DEFAULT 256u
#define PTL_LIMIT_MESSAGES_MAX     65535u
#define PTL_LIMIT_BYTES_DEFAULT    (64u << 20)

/**
 * struct ptl_port_options - how a new port is made; zero fields mean the default
 * @limit_messages: messages that may be queued before a sender waits, 1 to PTL_LIMIT_MESSAGES_MAX
 * @limit_bytes:    bytes that may be queued before a sender waits, counted in units of 64 bytes a
 *                  message; one message above it is let in when the queue is empty
 *
 * The limit is exact for one sending task. With several, each may fill it until the receiver has
 * looked (CAVEATS.md).
 */
struct ptl_port_options {
        uint32_t limit_messages;
        uint32_t reserved;
        uint64_t limit_bytes;
};

/**
 * ptl_port_new - create a port
 * @ret_port: filled on success: a name that carries the receive right
 * @options:  borrowed; NULL for all defaults
 *
 * Return: 0, PTL_E_INVALID (@ret_port NULL, an option out of range), PTL_E_QUOTA (this task's table
 * is at its limit, 1,048,574 names), -ENOMEM.
 * Cost: under 200 ns; no system call once the table has room.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_port_new(ptl_port *ret_port,
                                           const struct ptl_port_options *options);

/**
 * ptl_port_free - destroy a port: give up the receive right
 * @port: a name with the receive right
 *
 * Queued messages are destroyed with the rights they carry (their senders' send-once rights report
 * it). Holders of send rights get dead names. If the name also carried send rights it becomes a dead
 * name here too. Threads waiting on the port return PTL_E_DEAD. Where the receive right was asked for
 * (PTL_NOTIFY_PORT_DESTROYED, portolan/right.h) it is sent there instead: the port lives on, and its
 * queue, names and holders stay as they are.
 *
 * Return: 0, PTL_E_NAME, PTL_E_RIGHT (no receive right), PTL_E_FORKED.
 */
PTL_PUBLIC int ptl_port_free(ptl_port port);

/**
 * ptl_port_set_limit - change how much a port may queue
 * @port:    a name with the receive right
 * @options: borrowed; zero fields leave that limit as it is
 *
 * Messages beyond a smaller limit stay queued. Senders learn of it through their links; until then
 * they keep to the old limit.
 *
 * Return: 0, PTL_E_NAME, PTL_E_RIGHT, PTL_E_INVALID, PTL_E_FORKED.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_port_set_limit(ptl_port port,
                                                 const struct ptl_port_options *options);

/**
 * struct ptl_port_status - what ptl_port_get_status() tells
 * @rights:         enum ptl_right flags
 * @references:     user references of the send, send-once or dead part
 * @queued:         messages that this task's queue for the port holds now (receive right only);
 *                  messages still in the links' rings are not counted
 * @limit_messages, @limit_bytes: as in struct ptl_port_options (receive right only)
 * @set:            the set it is a member of, or PTL_NULL
 * @peer_pid:       for a send or send-once right to another task's port: that task's PID, else 0
 * @received:       messages ever taken from it by this task (receive right only)
 */
struct ptl_port_status {
        uint32_t rights;
        uint32_t references;
        uint32_t queued;
        uint32_t limit_messages;
        uint64_t limit_bytes;
        ptl_port set;
        int32_t peer_pid;
        uint64_t received;
};

/**
 * ptl_port_get_status - what a name carries
 * @ret_status: filled on success
 *
 * Return: 0, PTL_E_NAME, PTL_E_INVALID (@ret_status NULL), PTL_E_FORKED.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_port_get_status(ptl_port port, struct ptl_port_status *ret_status);

/**
 * ptl_right_make_send - add a send right to a port one receives from
 * @port: a name with the receive right; it gains one user reference of a send right, and its make-send
 *        count one
 *
 * Return: 0, PTL_E_NAME, PTL_E_RIGHT, PTL_E_QUOTA (65,535 references), PTL_E_FORKED.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_right_make_send(ptl_port port);

/**
 * ptl_right_ref - add a user reference to a send right or dead name
 *
 * Return: 0, PTL_E_NAME, PTL_E_RIGHT (neither), PTL_E_QUOTA (65,535 references), PTL_E_FORKED.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_right_ref(ptl_port port);

/**
 * ptl_right_release - give up one user reference of a send, send-once or dead right
 *
 * The last reference frees the name (unless it carries the receive right too). A send-once right
 * that is given up unused tells its port so.
 *
 * Return: 0, PTL_E_NAME, PTL_E_RIGHT (the name carries only a receive right or a set), PTL_E_FORKED.
 */
PTL_PUBLIC int ptl_right_release(ptl_port port);

/**
 * ptl_right_notify_dead - ask to be told when a port dies
 * @port:   a name with a send or send-once right
 * @notify: a name with the receive right: where PTL_NOTIFY_DEAD_NAME is put
 *
 * One request a name; a new one replaces the old, PTL_NULL cancels, and neither tells anybody. If @port
 * is a dead name already the notification is queued at once. If the name ends first (its last reference is
 * released or moved, its send-once right is used) PTL_NOTIFY_PORT_DELETED is queued instead. Notifications
 * ignore the queue limit of @notify. ptl_right_request() is the same with a send-once right, and swaps.
 *
 * Return: 0, PTL_E_NAME, PTL_E_RIGHT, PTL_E_FORKED, -ENOMEM.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_right_notify_dead(ptl_port port, ptl_port notify);

/**
 * ptl_set_new - create an empty port set
 * @ret_set: filled on success: the set's name, to be used in ptl_receive()
 *
 * Return: 0, PTL_E_INVALID, PTL_E_QUOTA, -ENOMEM.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_set_new(ptl_port *ret_set);

/**
 * ptl_set_free - destroy a set; its members stay, members of no set
 *
 * Return: 0, PTL_E_NAME, PTL_E_RIGHT (not a set), PTL_E_FORKED.
 */
PTL_PUBLIC int ptl_set_free(ptl_port set);

/**
 * ptl_set_add - make a port a member of a set; it leaves the set it was in
 * @set:  a set, or PTL_NULL to take the port out of its set
 * @port: a name with the receive right
 *
 * Messages queued on the port are received through the set from then on, members in turn. Receiving
 * from the port itself stays allowed.
 *
 * Return: 0, PTL_E_NAME, PTL_E_RIGHT, PTL_E_FORKED, -ENOMEM.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_set_add(ptl_port set, ptl_port port);

#ifdef __cplusplus
}
#endif
#endif
