/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portolan/control.h - task ports: what one task may do to the rights of another; what children inherit
 *
 * Each task has a *task port*. Its library receives from it, the program does not: who holds a send right
 * to it may put rights into the task's name space, and take rights out of it. The right is given away as
 * any other: by sending it in a message. Nobody has it but the task itself, and a parent that asked for
 * those of its children.
 *
 * The functions below send requests as messages and wait for the answers; a program may send such
 * messages by itself (struct ptl_task_request). The other task serves them whenever one of its threads is
 * in the library, waits included: the library starts no threads. One that is in its own code answers
 * later. @task may be one's own task port: then nothing is sent.
 *
 * Thread safety: any thread. Fork: a child is a task of its own, with a task port of its own. Not
 * async-signal-safe. Cost: a call and its reply.
 */
#ifndef PORTOLAN_CONTROL_H
#define PORTOLAN_CONTROL_H

#include <portolan/message.h>
#include <portolan/port.h>
#include <portolan/right.h>
#include <portolan/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * ptl_task_port - this task's own task port
 * @ret_task: filled on success: a send right, one reference more each time; the caller's
 *
 * Whoever is sent a copy may do with this task's rights as the task itself can.
 *
 * Return: 0, PTL_E_INVALID (@ret_task NULL), PTL_E_QUOTA, -ENOMEM.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_task_port(ptl_port *ret_task);

/**
 * ptl_task_insert - put a right into a task's name space
 * @task:     a send right to its task port
 * @name:     that it is to have there (bounds as in ptl_right_new()); PTL_NULL: any
 * @right:    borrowed; as in a message: what is moved is consumed on success
 * @ret_name: filled on success: the name that it has there. A send right merges with the one the task
 *            holds for that port, as if it had come in a message
 * @deadline: for the request to be sent and answered
 *
 * Return: 0, PTL_E_INVALID, PTL_E_NAME, PTL_E_RIGHT, PTL_E_FORKED (@task or @right; nothing was consumed),
 * PTL_E_DEAD, PTL_E_FULL, PTL_E_TIMEOUT (not sent: nothing was consumed), PTL_E_UNANSWERED (sent, and
 * not answered in time: the right may get there), PTL_E_NO_REPLY, PTL_E_MALFORMED (the answer of a port
 * that is no task port); with a @name, after which the right is gone: PTL_E_EXISTS (the task has that right
 * under another name, or another right under @name), PTL_E_INVALID, PTL_E_QUOTA, -ENOMEM (there).
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_task_insert(ptl_port task, ptl_port name,
                                              const struct ptl_right_item *right, ptl_port *ret_name,
                                              ptl_time deadline);

/**
 * ptl_task_extract - take a right out of a task's name space
 * @task:        a send right to its task port
 * @name:        the right's name there
 * @disposition: enum ptl_disposition: how the task is to send it: copied, moved, or made from a receive
 *               right
 * @ret_port:    filled on success: the right's name here; the caller's. A dead name if the port has died
 *               meanwhile
 * @deadline:    as above
 *
 * A task port cannot be made from its receive right, which is the library's; a send right to it that the
 * task holds can be copied.
 *
 * Return: 0, PTL_E_INVALID, PTL_E_NAME, PTL_E_RIGHT (@task here; @name there), and the others of
 * ptl_task_insert(). PTL_E_NO_REPLY also says that a right to a third task's port cannot be sent on yet,
 * since that task has not answered (CAVEATS.md): nothing was moved. PTL_E_UNANSWERED: a right that comes
 * late is given back.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_task_extract(ptl_port task, ptl_port name,
                                               enum ptl_disposition disposition, ptl_port *ret_port,
                                               ptl_time deadline);

/**
 * ptl_task_release - give up user references that a task holds
 * @name:  there: a send, send-once or dead right
 * @count: references, 1 to what it has
 *
 * Return: as ptl_right_release(), PTL_E_INVALID (@count), and the others of ptl_task_insert().
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_task_release(ptl_port task, ptl_port name, uint32_t count,
                                               ptl_time deadline);

/**
 * ptl_task_get_right - what a name carries there
 * @ret_rights:     filled on success: enum ptl_right flags. Of the task's own task port: PTL_RIGHT_SEND
 * @ret_references: filled on success; may be NULL
 *
 * Return: 0, PTL_E_NAME (there), and the others of ptl_task_insert().
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_task_get_right(ptl_port task, ptl_port name, uint32_t *ret_rights,
                                                 uint32_t *ret_references, ptl_time deadline);

/* --- what those functions send --- */

/* Kinds of requests to a task port. What else is sent to one is destroyed; with a reply right it is
 * answered PTL_E_INVALID. */
enum ptl_task_request_kind {
        PTL_TASK_INSERT = 1,    /* carries one right; @name: that it is to have, or PTL_NULL */
        PTL_TASK_EXTRACT = 2,   /* @value: the disposition. The answer carries the right */
        PTL_TASK_RELEASE = 3,   /* @value: references */
        PTL_TASK_GET_RIGHT = 4,
};

/* The bytes of a request, and of its answer, whose kind is the request's. */
struct ptl_task_request {
        ptl_port name;
        uint32_t value;
};

struct ptl_task_answer {
        int32_t outcome;
        ptl_port name;       /* INSERT: the right's */
        uint32_t rights;     /* GET_RIGHT */
        uint32_t references; /* GET_RIGHT */
};

/* --- parents and children --- */

/**
 * ptl_task_watch_children - get the task ports of the children that are made from now on
 * @notify: a name with the receive right: where PTL_NOTIFY_CHILD is put for each child process that
 *          becomes a task; its value is the name of a send right to that child's task port, the
 *          receiver's. PTL_NULL: children made from now on say nothing
 *
 * Children are told through their environment (PORTOLAN_PARENT), over fork and exec alike; so call this
 * before they are made, and not while another thread reads or changes the environment. A child says what
 * it is at its first call of the library; one that does not use the library is no task. Its children's
 * children do not. A process that is not this one's child, or not alive, is not believed.
 *
 * Return: 0, PTL_E_NAME, PTL_E_RIGHT, PTL_E_FORKED, PTL_E_QUOTA, PTL_E_NO_SERVER, PTL_E_VERSION,
 * PTL_E_REFUSED, -ENOMEM, -errno.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_task_watch_children(ptl_port notify);

/**
 * ptl_task_set_bootstrap - the port that this process and its children begin with
 * @port: a name with the receive right; or with a send right to another task's port, of which this task then
 *        keeps one reference and gives copies to who asks, until another port is set; or PTL_NULL for none
 *
 * Inherited over fork and exec, through the environment (PORTOLAN_BOOTSTRAP, a name that is not listed
 * and not to be guessed): the same caution as above. The right to send to it is whoever's inherits it, so
 * set it before what is not trusted is started, or clear it.
 *
 * Return: as ptl_task_watch_children(); PTL_E_RIGHT also for a task port of one's own.
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_task_set_bootstrap(ptl_port port);

/**
 * ptl_task_get_bootstrap - a send right to the bootstrap port that was set here or inherited
 * @ret_port: filled on success: one reference; the caller's
 * @deadline: as in ptl_name_look_up()
 *
 * A setuid program has none (secure_getenv()). Another task's port is asked for from the task that set it: it
 * answers when one of its threads is in the library, and must live.
 *
 * Return: 0, PTL_E_NOT_FOUND (none, or its task is dead), PTL_E_INVALID, those of ptl_name_look_up(), and
 * where the port is another task's than who set it, those of ptl_task_extract().
 */
PTL_PUBLIC PTL_MUST_CHECK int ptl_task_get_bootstrap(ptl_port *ret_port, ptl_time deadline);

#ifdef __cplusplus
}
#endif
#endif
