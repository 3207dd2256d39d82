/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portolan/message.h - sending, receiving, calling
 *
 * A message is bytes, and with them rights, regions and a kind. It arrives whole or not at all.
 * Messages that one thread sends to one port arrive in the order sent; nothing is promised across
 * senders. There is no largest message, only quotas: small payloads travel in the ring, larger ones
 * in a block of the link's pool, the largest in memory of their own.
 *
 * Deadlines choose what a send does when the queue is full: PTL_FOREVER waits, a time waits until
 * then, PTL_NOW returns PTL_E_FULL at once, and struct ptl_outgoing.leave leaves one message with
 * the port.
 *
 * Cost: no system call in any of these while the peer is awake, the link is set up and the ring has
 * room. Thread-safe; waits are not cancellation points (cancellation is deferred until the call
 * returns); signals do not end a wait. Not async-signal-safe.
 */
#ifndef PORTOLAN_MESSAGE_H
#define PORTOLAN_MESSAGE_H

#include <portolan/region.h>
#include <portolan/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PTL_MESSAGE_RIGHTS_MAX  64u
#define PTL_MESSAGE_REGIONS_MAX 16u
#if SIZE_MAX > UINT32_MAX
#define PTL_MESSAGE_SIZE_MAX ((size_t)1 << 40)
#else
#define PTL_MESSAGE_SIZE_MAX (SIZE_MAX / 2) /* no object is larger; room to round up */
#endif

/* How a right goes into a message. */
enum ptl_disposition {
        PTL_COPY_SEND = 1,      /* a send right; the sender keeps its own */
        PTL_MOVE_SEND = 2,      /* one user reference of a send right, consumed on success */
        PTL_MAKE_SEND = 3,      /* a new send right to a port the sender receives from */
        PTL_MAKE_SEND_ONCE = 4, /* a new send-once right to a port the sender receives from */
        PTL_MOVE_SEND_ONCE = 5, /* a send-once right, consumed on success */
        PTL_MOVE_RECEIVE = 6,   /* the receive right itself, consumed on success: below */
};

/*
 * A receive right in a message (PTL_MOVE_RECEIVE): the port moves, with what is in its queue, to the task that
 * receives the message. Who sends to it sees nothing of that: rights to it stay as they are, nothing is lost, nothing
 * comes twice, and what goes through one right stays in order.
 *
 * Consumed on success: the receive right. Threads that wait for the port get what ptl_port_free() gives them, it leaves
 * its set, and its no-senders request is told PTL_NOTIFY_SEND_ONCE; a port-destroyed request stays with it in the same
 * task, and is told likewise if it goes to another, where in this version its published names are withdrawn, too. Send rights
 * under the same name stay, to where the port is then. What was received before stays the sender's: bytes, rights,
 * reply rights. The sequence number and the make-send count begin anew.
 *
 * The receiver finds an item with PTL_RIGHT_RECEIVE under a name of its own: the one that it has for a send right to
 * the port, else a new one; in the same task the name it had. The port is in no set; its limits are as they were.
 * Until the message is received the port queues what is sent to it. If the message is destroyed, so is the port.
 *
 * Other items of the message may be rights to the port (PTL_MAKE_SEND and the like): they lead to it where it is then.
 * The message's reply and notify may not be the port: PTL_E_RIGHT. A port that is sent to itself, or into a ring of ports each of which waits in the next one's queue, could never be received: it is destroyed, with
 * all of the ring, and the send succeeds (Mach, M-46).
 *
 * Another task: the send is over when the port is the other's. It waits, as for a full queue, for the link with that
 * task, for room there for all that is in the queue, and for a link with each task that holds a right to the port;
 * PTL_NOW: PTL_E_FULL, if it cannot be at once. Nothing is consumed then. Cost: a store for each holder, and a copy of
 * each queued message.
 */

struct ptl_right_item {
        ptl_port port;        /* to send: the sender's name. Received: the receiver's, its to release */
        uint32_t disposition; /* to send: enum ptl_disposition. Received: enum ptl_right */
};

struct ptl_region_item {
        struct ptl_region *region; /* sent isolated: consumed on success. Received: the receiver's */
        uint32_t how;              /* enum ptl_region_how */
        uint32_t reserved;
};

/* Kinds below 0x80000000 are the program's; the library's notifications lie above. */
#define PTL_KIND_NONE               0u
#define PTL_NOTIFY_DEAD_NAME        0x80000001u /* value: the name, now a dead name with one more reference */
#define PTL_NOTIFY_SEND_ONCE        0x80000002u /* a send-once right to this port was destroyed unused */
#define PTL_NOTIFY_MESSAGE_ACCEPTED 0x80000003u /* value: the name; the message left with it was taken. PTL_NULL: the
                                                   name was given up meanwhile */
#define PTL_NOTIFY_NAME_ADDED       0x80000004u /* text: the name */
#define PTL_NOTIFY_NAME_REMOVED     0x80000005u /* text: the name */
#define PTL_NOTIFY_PORT_DELETED     0x80000006u /* value: a name that ended while its port may live on */
#define PTL_NOTIFY_NO_SENDERS       0x80000007u /* value: the make-send count when no send right was left */
#define PTL_NOTIFY_PORT_DESTROYED   0x80000008u /* value: the name then; the receive right comes with it */
#define PTL_NOTIFY_CHILD            0x80000009u /* value: a child's task port (portolan/control.h) */

/* The bytes of a notification. */
struct ptl_notification {
        uint32_t value;
        uint32_t reserved;
        char text[256]; /* NUL-terminated */
};

/**
 * struct ptl_outgoing - everything a message may have; zero fields mean none
 * @data, @size:  borrowed; copied
 * @kind:         the program's, below 0x80000000; delivered as it is
 * @leave:        1: if the queue is full, leave the message with the port (one per right at a time)
 *                instead of waiting; @notify is told when it was taken (PTL_NOTIFY_MESSAGE_ACCEPTED), or
 *                that its port died with it (PTL_NOTIFY_SEND_ONCE), even if the right was given up meanwhile.
 *                A message that found room is sent as any other, and @notify hears nothing of it
 * @reply:        a name with the receive right: the receiver gets a send-once right to it as its
 *                reply right. PTL_NULL: no reply wanted
 * @notify:       with @leave: a name with the receive right, or PTL_NULL
 * @rights, @n_rights:   borrowed array; what is moved is consumed on success only. In any order: the last
 *                reference of a name can be moved by a message that copies it, too
 * @regions, @n_regions: borrowed array; what is isolated is consumed on success only
 */
struct ptl_outgoing {
        const void *data;
        size_t size;
        uint32_t kind;
        uint32_t leave;
        ptl_port reply;
        ptl_port notify;
        const struct ptl_right_item *rights;
        size_t n_rights;
        const struct ptl_region_item *regions;
        size_t n_regions;
};

/**
 * struct ptl_message - a received message; release it with ptl_message_release()
 * @data, @size: the bytes, 8-byte aligned; private to this task unless received in place
 * @port:        the name it was received on (of the port, also when received through a set)
 * @reply:       a send-once right for the reply, released with the message if unused; PTL_NULL if none
 *               was wanted, or if the sender has died since
 * @kind:        the sender's, or PTL_NOTIFY_*
 * @n_rights, @rights:   rights that came with it. They are the receiver's: releasing the message
 *                       does not release them, but the array is gone then
 * @n_regions, @regions: regions that came with it, the same way
 * @sender:      who sent it (for a notification and one's own message: this task)
 * @in_place:    1: @data lies in the sender's memory, which a hostile sender may still change
 * @opaque:      the library's
 */
struct ptl_message {
        const void *data;
        size_t size;
        ptl_port port;
        ptl_port reply;
        uint32_t kind;
        uint32_t in_place;
        uint32_t n_rights;
        uint32_t n_regions;
        const struct ptl_right_item *rights;
        const struct ptl_region_item *regions;
        const struct ptl_identity *sender;
        void *opaque[4];
};

/**
 * ptl_send - send bytes to a port
 * @port:     a send or send-once right (the latter consumed on success), or a receive right (one's
 *            own port)
 * @data:     borrowed, copied; may be NULL if @size is 0
 * @deadline: how long to wait while the queue is full
 *
 * The port may move to another task (its receive right was sent): the name stays, and messages follow in order. A
 * message that is sent just as it moves goes to the new task by itself; the call waits for that until @deadline. One that
 * was sent with PTL_NOW, or whose deadline passes, was sent (0) and goes on when this task next enters the library.
 *
 * Return: 0, or
 *   PTL_E_FULL     the queue is full, or the port is about to move, and @deadline is PTL_NOW;
 *   PTL_E_TIMEOUT  still full at @deadline;
 *   PTL_E_DEAD     the receiver is gone (the name is a dead name);
 *   PTL_E_NAME, PTL_E_RIGHT, PTL_E_FORKED  @port;
 *   PTL_E_INVALID  @data NULL with a @size;
 *   PTL_E_TOO_BIG  @size above PTL_MESSAGE_SIZE_MAX;
 *   -ENOMEM, -EMFILE, -ENOSPC  a message too large for the pool needs memory of its own.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_send(ptl_port port, const void *data, size_t size,
                                       ptl_time deadline);

/**
 * ptl_send_message - send with rights, regions, a kind, a reply port, or leave it with the port
 * @out: borrowed
 *
 * Return: as ptl_send(), and
 *   PTL_E_INVALID      a kind of the library's, an unknown disposition, a reserved field not 0;
 *   PTL_E_TOO_BIG      more than PTL_MESSAGE_RIGHTS_MAX rights, PTL_MESSAGE_REGIONS_MAX regions;
 *   PTL_E_NAME, PTL_E_RIGHT  also for @reply, @notify and the rights; for @port itself among these, if it is a
 *                      send-once right, which the message uses up;
 *   PTL_E_FULL         with @leave: one message is left with this right already; at PTL_NOW also: the task of a
 *                      right to a third task's port that is sent on has not answered yet;
 *   PTL_E_QUOTA        the peer may hold no more rights of this task.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_send_message(ptl_port port, const struct ptl_outgoing *out,
                                               ptl_time deadline);

struct ptl_bytes {
        const void *data;
        size_t size;
};

/**
 * ptl_send_batch - send several messages to one port with one publication
 * @messages: borrowed array of @count messages of at most 8 KiB each
 * @ret_sent: filled always: how many were sent, in order from the first. May be NULL
 * @deadline: how long to wait while the queue is full
 *
 * The receiver sees none before all that fit in one go are written, which saves a cache-line
 * transfer per message.
 *
 * Return: 0 (all were sent), as ptl_send() otherwise; PTL_E_TOO_BIG if one is above 8 KiB (then none
 * was sent).
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_send_batch(ptl_port port, const struct ptl_bytes *messages,
                                             size_t count, size_t *ret_sent, ptl_time deadline);

/**
 * struct ptl_loan - memory of the link to fill in place; a pool block, or private memory where that
 * does not fit
 */
struct ptl_loan {
        void *data;
        size_t size;
        ptl_port port;
        uint32_t reserved;
        void *opaque[2];
};

/**
 * ptl_loan_reserve - borrow memory to build a message in, without a copy
 * @port:     a send right
 * @size:     bytes, at most PTL_MESSAGE_SIZE_MAX
 * @ret_loan: filled on success; end it with ptl_loan_publish() or ptl_loan_cancel()
 * @deadline: how long to wait for a free block; afterwards private memory is lent, never PTL_E_FULL
 *
 * Return: 0, PTL_E_NAME, PTL_E_RIGHT, PTL_E_DEAD, PTL_E_FORKED, PTL_E_INVALID, PTL_E_TOO_BIG, -ENOMEM.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_loan_reserve(ptl_port port, size_t size, struct ptl_loan *ret_loan,
                                       ptl_time deadline);

/**
 * ptl_loan_publish - send what was built
 * @loan: consumed on success
 * @size: bytes of it to send, at most @loan->size
 * @out:  borrowed: kind, reply and rights as in ptl_send_message(), its data and size are ignored;
 *        NULL for none
 *
 * Return: as ptl_send_message(); PTL_E_INVALID if @size is larger than the loan.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_loan_publish(struct ptl_loan *loan, size_t size,
                                               const struct ptl_outgoing *out, ptl_time deadline);

/* Gives a loan back unused. @loan is zeroed; a zeroed loan is allowed. */
PTL_PUBLIC void ptl_loan_cancel(struct ptl_loan *loan);

/* For ptl_receive_with(). */
enum ptl_receive_flags {
        PTL_IN_PLACE = 1, /* @data may lie in the sender's outbox: no copy, but a hostile sender may
                             change it while it is read. Release soon: it holds room of the link */
};

/**
 * ptl_receive - take the next message of a port or set
 * @port:     a receive right or a set
 * @ret_message: filled on success; release it
 * @deadline: how long to wait for one
 *
 * Return: 0, or
 *   PTL_E_EMPTY    nothing is there and @deadline is PTL_NOW;
 *   PTL_E_TIMEOUT  nothing came before @deadline;
 *   PTL_E_DEAD     the port was freed, or left its set's last member, while waiting;
 *   PTL_E_NAME, PTL_E_FORKED;
 *   PTL_E_RIGHT    the name carries neither a receive right nor a set;
 *   PTL_E_INVALID  @ret_message NULL.
 *
 * A message that arrives when there is no memory to hold it is destroyed, which its sender's reply right
 * reports (CAVEATS.md). A wait that nobody can end is a wait until @deadline.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_receive(ptl_port port, struct ptl_message *ret_message,
                                          ptl_time deadline);

/* ptl_receive() with flags (enum ptl_receive_flags); PTL_E_INVALID for unknown ones. */
PTL_PUBLIC PTL_MUST_CHECK int ptl_receive_with(ptl_port port, struct ptl_message *ret_message,
                                               unsigned flags, ptl_time deadline);

/**
 * ptl_receive_batch - take up to @max messages that are there
 * @ret_messages: filled array of @max
 * @ret_count:    filled on success, 1 to @max
 *
 * Waits for the first message only. Each is to be released, in any order.
 * Return: as ptl_receive_with(); PTL_E_INVALID if @max is 0.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_receive_batch(ptl_port port, struct ptl_message *ret_messages,
                                                size_t max, size_t *ret_count, unsigned flags,
                                                ptl_time deadline);

/**
 * ptl_message_release - end a message's life
 * @message: consumed, zeroed. A reply right that is still in it is destroyed, which the caller on the
 *           other side sees as PTL_E_NO_REPLY. A zeroed message is allowed; NULL is allowed.
 */
PTL_PUBLIC void ptl_message_release(struct ptl_message *message);

/**
 * ptl_reply - answer a message: use up its reply right
 * @message: its reply right is consumed on success (@message->reply becomes PTL_NULL); it is still to
 *           be released
 *
 * Never waits for the caller: a reply right ignores queue limits; waits for room in the link, at most
 * 10 s for a peer that reads nothing, then PTL_E_FULL.
 *
 * Return: as ptl_send(); PTL_E_RIGHT if the message has no reply right; PTL_E_DEAD if the caller is
 * gone. (A caller that gave up is not told apart: its late reply is destroyed there.)
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_reply(struct ptl_message *message, const void *data, size_t size);

/* ptl_reply() with rights, regions and a kind; @out->leave must be 0. */
PTL_PUBLIC PTL_MUST_CHECK int ptl_reply_message(struct ptl_message *message,
                                                const struct ptl_outgoing *out);

/**
 * ptl_call - send a request and wait for its reply, both as bytes
 * @port:     a send right
 * @data, @size:  the request; borrowed
 * @answer:   filled with the reply's bytes; may be NULL if *@answer_size is 0. May be the same memory
 *            as @data: the request is copied before the answer is written
 * @answer_size: in: room at @answer; filled: bytes of the reply
 * @deadline: for request and reply together
 *
 * The reply's rights, if it has any, are released.
 *
 * Return: 0, or as ptl_send(), and
 *   PTL_E_UNANSWERED  the request was sent, the deadline passed: its reply right is dead, a late
 *                     reply is destroyed;
 *   PTL_E_NO_REPLY    the receiver dropped the request;
 *   PTL_E_DEAD        the receiver died, before or after it took the request;
 *   PTL_E_TOO_BIG     the reply is larger than the room; *@answer_size is its size, and the bytes
 *                     that fit are at @answer.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_call(ptl_port port, const void *data, size_t size, void *answer,
                                       size_t *answer_size, ptl_time deadline);

/**
 * ptl_call_message - call with everything a message may have
 * @out:       borrowed; its reply port and leave must be 0
 * @ret_reply: filled on success: the reply, to be released
 * @flags:     as in ptl_receive_with(), for the reply
 * Return: as ptl_call() but for PTL_E_TOO_BIG, and as ptl_send_message().
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_call_message(ptl_port port, const struct ptl_outgoing *out,
                                               struct ptl_message *ret_reply, unsigned flags,
                                               ptl_time deadline);

#ifdef __cplusplus
}
#endif
#endif
