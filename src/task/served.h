/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task/served.h - messages that the library itself receives: requests to the task port, what children
 * say, and who asks for the bootstrap port (docs/protocol/task.md)
 *
 * They go to receivers of the library's own. When one is queued it is `due`; it is served where nothing
 * points into the name space: by a leader at the beginning of a round, by a look, by a receive.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <portolan/types.h>

struct ptl_receiver;
struct ptl_task;

struct ptl_served {
        ptl_port task_port; /* receiver of requests; PTL_NULL: not made yet */
        ptl_port nursery;   /* receiver of what children say */
        ptl_port children;  /* where the program is told of them; PTL_NULL: nowhere */
        ptl_port lender;    /* receiver of requests for the bootstrap port, which is another task's */
        ptl_port bootstrap; /* that: a reference of the library's; PTL_NULL: none */
        bool due;           /* something is queued */
        bool serving;
};

/* A receiver of the library's own, of which the program has no receive right. 0, PTL_E_QUOTA, -ENOMEM. */
PTL_MUST_CHECK int ptl_served_receiver(struct ptl_task *task, ptl_port *ret_port);

/* The task port, made if there is none, with one more reference of a send right. */
PTL_MUST_CHECK int ptl_served_task_port(struct ptl_task *task, ptl_port *ret_port);

/* A message was queued at a receiver of the library's own. The lock is held. */
void ptl_served_arrived(struct ptl_task *task, const struct ptl_receiver *receiver);

/* Serves what is due. The lock is held, and let go only as a send that does not wait lets it go. */
void ptl_served_serve(struct ptl_task *task);
