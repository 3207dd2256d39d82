/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portolan/right.h - counting rights, and being told what becomes of them
 *
 * User references. Send rights and dead names count 1 to 65,535 references in their name; receive
 * rights, send-once rights and sets always have one. What would go beyond is PTL_E_QUOTA and
 * changes nothing; a right that arrives in a message at a name that is full is merged with it and
 * counts no more.
 *
 * Make-send count. Each port counts the send rights made from its receive right:
 * ptl_right_make_send(), PTL_MAKE_SEND in a message, a look-up of its published name by whatever
 * task. Copying and moving do not count.
 *
 * Requests. ptl_right_request() asks for one notification about a right. A request holds a
 * send-once right to the port that is to be told and uses it up by exactly one message: the
 * notification, or PTL_NOTIFY_SEND_ONCE (PTL_NOTIFY_PORT_DELETED for a dead name) if that can never
 * come. A new request takes the place of the old one, whose send-once right is given back to the
 * caller. A notification ignores the queue limit; it is lost only if there is no memory for it.
 *
 *   PTL_NOTIFY_DEAD_NAME of any right but a set: told when its port has died and the name is a dead
 *     name, which has one more reference then (none at 65,535)
 *   PTL_NOTIFY_NO_SENDERS of a receive right: told when no send right to the port is left anywhere
 *     and the make-send count is at least @sync
 *   PTL_NOTIFY_PORT_DESTROYED of a receive right: told when that is given up; it comes with the
 *     notification, its queue and all
 *
 * What counts as a send right: a name of this task's that carries one; one for each other task that
 * holds any; each that lies in a message, sent and not received; a message in the queue that came
 * through one; and the name server's, while the port is published. A task's death gives up all it
 * held.
 *
 * The race guard: a program that gives out another right while the notification is under way finds
 * its make-send count above the notification's value: the notification is about rights before that
 * one. It asks again with @sync as the count it knows, and is told at once if all of those are
 * gone, too.
 *
 * Limits of this version: @notify must be a port of this task (PTL_E_UNSUPPORTED): a receive right
 * cannot move to another task yet.
 *
 * Thread-safe; a child made by fork() has none of its parent's names (PTL_E_FORKED). Not
 * async-signal-safe. No system call; a look-up in a private table, unless said otherwise.
 */
#ifndef PORTOLAN_RIGHT_H
#define PORTOLAN_RIGHT_H

#include <portolan/port.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * ptl_right_new - make a receive right, a set or a dead name, under a chosen name if need be
 * @right:      PTL_RIGHT_RECEIVE (a port with default limits), PTL_RIGHT_SET (empty) or
 *              PTL_RIGHT_DEAD (one reference)
 * @inout_name: PTL_NULL: filled on success. Else the name that it is to have. Its low 20 bits must
 *              be above 0 and below 1,048,575, the others are free. Choosing names beyond those in
 *              use costs memory for the names between (64 bytes each)
 *
 * A chosen name may be one that was used before. The library takes nothing of then for it, a right
 * in a message for instance; a program that still has the name from then does. If its place in the
 * table was used before, this looks at every entry of the table and every message in this task's
 * queues.
 *
 * Return: 0, PTL_E_INVALID (@inout_name NULL, another right, a name outside of these bounds),
 * PTL_E_EXISTS (a name with these low 20 bits is in use, not quite given up yet, or the parent's),
 * PTL_E_QUOTA (the table is full), -ENOMEM. On failure *@inout_name is as it was.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_right_new(uint32_t right, ptl_port *inout_name);

/**
 * ptl_right_make_once - a send-once right to a port one receives from
 * @port:     a name with the receive right
 * @ret_once: filled on success: a name of its own
 *
 * Return: 0, PTL_E_NAME, PTL_E_RIGHT, PTL_E_INVALID (@ret_once NULL), PTL_E_QUOTA, PTL_E_FORKED.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_right_make_once(ptl_port port, ptl_port *ret_once);

/**
 * ptl_right_change - add to or take from the user references of one of a name's rights
 * @right: one of enum ptl_right: which of the rights the name carries
 * @delta: send rights and dead names: any that leaves 0 to 65,535; 0 left gives the right up. The
 *         others: 0, or -1, which gives it up: a port is destroyed as by ptl_port_free(), a set as
 *         by ptl_set_free(), a send-once right tells its port
 *
 * A @delta of 0 only checks that the name carries the right. Unlike ptl_right_release() this tells
 * a right whose port has died meanwhile from one that lives.
 *
 * Return: 0, PTL_E_NAME, PTL_E_FORKED,
 *   PTL_E_RIGHT    the name does not carry @right;
 *   PTL_E_INVALID  @right is no single right; a @delta that would leave less than 0, or that this
 *                  right cannot have;
 *   PTL_E_QUOTA    it would leave more than 65,535.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_right_change(ptl_port port, uint32_t right, int32_t delta);

/**
 * ptl_right_destroy - give up all that a name carries, at once
 *
 * Return: 0, PTL_E_NAME, PTL_E_FORKED; PTL_E_RIGHT for a name of the library's own.
 */
PTL_PUBLIC int ptl_right_destroy(ptl_port port);

/**
 * ptl_right_rename - give a right another name
 * @old:  any name of this task; refused afterwards
 * @name: that it is to have; bounds as in ptl_right_new()
 *
 * Requests, sets, queued messages and threads that wait to receive go on with the new name. A
 * message that the program has, and a call of another thread that sends to @old meanwhile, know
 * only the old one.
 *
 * Cost: looks at every entry of the table and every message in this task's queues.
 * Return: 0, PTL_E_NAME and PTL_E_FORKED (@old), PTL_E_RIGHT (a name of the library's own),
 *   PTL_E_INVALID  @name is outside of the bounds;
 *   PTL_E_EXISTS   a name with the same low 20 bits as @name is in use (@old itself, too);
 *   PTL_E_BUSY     the port is or was published: the name server knows its name; or what is to be
 *                  said of the right to its port's task cannot be written yet;
 *   -ENOMEM.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_right_rename(ptl_port old, ptl_port name);

/**
 * ptl_right_type - what a name carries
 * @ret_type: filled on success: enum ptl_right flags, PTL_RIGHT_ASKED among them
 *
 * Return: 0, PTL_E_NAME, PTL_E_FORKED, PTL_E_INVALID (@ret_type NULL).
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_right_type(ptl_port port, uint32_t *ret_type);

/* A row of ptl_right_names(). */
struct ptl_right_entry {
        ptl_port name;
        uint32_t type; /* as ptl_right_type() */
};

/**
 * ptl_right_names - all names of this task, as of one moment
 * @ret_entries: filled on success: an array, the caller's, to be freed with free(); NULL: none
 * @ret_count:   filled on success
 *
 * Cost: looks at every entry of the table.
 * Return: 0, PTL_E_INVALID (an argument NULL), -ENOMEM.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_right_names(struct ptl_right_entry **ret_entries,
                                              size_t *ret_count);

/**
 * ptl_set_get_members - the ports in a set, as of one moment, in no order
 * @ret_ports: filled on success: an array, the caller's, to be freed with free(); NULL: none
 * @ret_count: filled on success
 *
 * Return: 0, PTL_E_NAME, PTL_E_FORKED, PTL_E_RIGHT (not a set), PTL_E_INVALID (an argument NULL),
 * -ENOMEM.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_set_get_members(ptl_port set, ptl_port **ret_ports,
                                                  size_t *ret_count);

/**
 * ptl_right_request - ask to be told what becomes of a right
 * @port:         the right that it is about
 * @kind:         PTL_NOTIFY_DEAD_NAME, PTL_NOTIFY_NO_SENDERS or PTL_NOTIFY_PORT_DESTROYED
 * @sync:         NO_SENDERS: not before the make-send count is at least this. DEAD_NAME: not 0: if
 *                the name is dead already, tell at once. PORT_DESTROYED: 0
 * @notify:       who is told: a send-once right to a port of this task, consumed on success; or a
 *                name with the receive right, from which one is made; PTL_NULL cancels
 * @ret_previous: filled on success: the send-once right of the request whose place this one takes,
 *                the caller's now, under a new name; PTL_NULL if there was none, or if its port is
 *                dead. NULL: that right is destroyed, which its port is told
 *
 * A condition that holds already is told at once, and then there is no request. A request ends with
 * its notification; ask again to be told again.
 *
 * Giving up a receive right that PORT_DESTROYED was asked for sends it to @notify's port under the
 * name it had (with PTL_RIGHT_RECEIVE as its disposition). Until it is received there, the name is
 * refused, or carries the send right it has. Its make-send count and sequence number are 0 then,
 * and a request for NO_SENDERS is cancelled. If the notification is destroyed, so is the port. If
 * @notify's queue lies itself in such a message that only this port leads to, the port is destroyed
 * at once.
 *
 * Return: 0, PTL_E_NAME and PTL_E_FORKED (@port, @notify),
 *   PTL_E_RIGHT        @port does not carry what @kind is of; @notify carries neither;
 *   PTL_E_INVALID      another @kind; a @sync that is not 0 for PORT_DESTROYED; @notify is a
 *                      send-once right, and is @port;
 *   PTL_E_DEAD         DEAD_NAME of a dead name with @sync 0 or @notify PTL_NULL; @notify is a dead
 *                      name;
 *   PTL_E_UNSUPPORTED  @notify is a send-once right to another task's port;
 *   PTL_E_QUOTA        no name is left for *@ret_previous; or DEAD_NAME of a dead name with 65,535
 *                      references;
 *   -ENOMEM.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_right_request(ptl_port port, uint32_t kind, uint32_t sync,
                                                ptl_port notify, ptl_port *ret_previous);

/**
 * struct ptl_port_counts - what ptl_port_get_counts() tells of a receive right
 * @sequence:       messages taken from it since it was made, moved, or this was set
 * @made:           its make-send count
 * @queued:         messages in this task's queue for it; those in the links' rings do not count
 * @limit_messages: as in struct ptl_port_options
 * @once:           send-once rights to it, anywhere; those that requests hold count
 * @has_senders:    1: there is a send right to it, as a request for NO_SENDERS counts them
 * @asked:          bits: 1 a request for NO_SENDERS is there, 2 one for PORT_DESTROYED
 * @reserved:       0
 */
struct ptl_port_counts {
        uint64_t sequence;
        uint32_t made;
        uint32_t queued;
        uint32_t limit_messages;
        uint32_t once;
        uint32_t has_senders;
        uint32_t asked;
        uint32_t reserved[2];
};

/**
 * ptl_port_get_counts - the counts of a port one receives from, as of one moment
 * @ret_counts: filled on success
 *
 * Cost: looks at each task's rights to the port, and at its queue.
 * Return: 0, PTL_E_NAME, PTL_E_RIGHT (no receive right), PTL_E_FORKED, PTL_E_INVALID (@ret_counts
 * NULL).
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_port_get_counts(ptl_port port,
                                                  struct ptl_port_counts *ret_counts);

/**
 * ptl_port_set_made - set the make-send count
 *
 * A request for NO_SENDERS that waited only for the count is told.
 * Return: 0, PTL_E_NAME, PTL_E_RIGHT (no receive right), PTL_E_FORKED.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_port_set_made(ptl_port port, uint32_t made);

/**
 * ptl_port_set_sequence - set the sequence number that the next message is counted from
 *
 * Return: 0, PTL_E_NAME, PTL_E_RIGHT (no receive right), PTL_E_FORKED, -ENOMEM.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_port_set_sequence(ptl_port port, uint64_t sequence);

#ifdef __cplusplus
}
#endif
#endif
