/* SPDX-License-Identifier: Apache-2.0 */
/* task/requests.c - ptl_right_request(): checked whole, then committed */
#include "port/request.h"
#include "port/senders.h"
#include "task/task.h"

/* What is asked for, as far as it is known. */
struct request {
        uint32_t kind, sync;
        struct ptl_entry *about;
        struct ptl_receiver *listener; /* NULL: cancels */
        struct ptl_entry *once;        /* that is to be consumed; NULL: the right is made */
};

/* Who is to be told. */
static int check_notify(const struct ptl_space *space, ptl_port notify, struct request *q)
{
        struct ptl_entry *e;
        int r;

        q->listener = NULL;
        q->once = NULL;
        if (!notify)
                return 0;
        r = ptl_space_look(space, notify, ~0u, &e);
        if (r)
                return r;
        if (e->rights & PTL_RIGHT_DEAD)
                return PTL_E_DEAD;
        if (e->rights & PTL_RIGHT_RECEIVE) {
                q->listener = e->receiver;
                return e->receiver->internal ? PTL_E_RIGHT : 0;
        }
        if (!(e->rights & PTL_RIGHT_SEND_ONCE))
                return PTL_E_RIGHT;
        if (e->peer)
                return PTL_E_UNSUPPORTED;
        q->once = e;
        q->listener = ptl_receiver_anywhere(space, e->remote);
        return q->listener ? 0 : PTL_E_DEAD;
}

/* What it is about. */
static int check_about(const struct ptl_space *space, ptl_port port, struct request *q)
{
        bool dead_name = q->kind == PTL_NOTIFY_DEAD_NAME;
        unsigned rights = dead_name ? ~0u & ~(unsigned)PTL_RIGHT_SET : PTL_RIGHT_RECEIVE;
        int r = ptl_space_look(space, port, rights, &q->about);

        if (r)
                return r;
        if (q->about == q->once)
                return PTL_E_INVALID; /* it is consumed before it could be asked about */
        if (q->about->rights & PTL_RIGHT_RECEIVE)
                return q->about->receiver->internal ? PTL_E_RIGHT : 0;
        if (!(q->about->rights & PTL_RIGHT_DEAD))
                return 0;
        if (!q->sync || !q->listener)
                return PTL_E_DEAD;
        return q->about->references == PTL_REFERENCES_MAX ? PTL_E_QUOTA : 0;
}

/* Where the request stands; NULL: no memory. */
static ptl_port *slot_of(const struct request *q)
{
        static ptl_port none;
        struct ptl_receiver_more *m;

        if (q->kind == PTL_NOTIFY_DEAD_NAME)
                return &q->about->notify_dead;
        m = q->listener ? ptl_receiver_more(q->about->receiver) : q->about->receiver->more;
        if (!m)
                return q->listener ? NULL : &none; /* nothing to cancel */
        return q->kind == PTL_NOTIFY_NO_SENDERS ? &m->no_senders : &m->port_destroyed;
}

/* A name for the right of the request that is there, while it still holds that right. */
static int name_previous(struct ptl_space *space, ptl_port request, ptl_port *ret_name)
{
        struct ptl_receiver *r = ptl_receiver_anywhere(space, request);

        *ret_name = r ? ptl_once_insert(space, r) : PTL_NULL;
        return r && !*ret_name ? PTL_E_QUOTA : 0;
}

/* The name's right becomes the request's: its count stays. */
static void consume_once(struct ptl_space *space, struct request *q)
{
        if (!q->once)
                return;
        ptl_receiver_entry(space, q->listener)->onces--;
        ptl_name_ends(space, q->once);
        ptl_space_remove(space, q->once);
}

static void commit(struct ptl_space *space, struct request *q, ptl_port *slot, bool named)
{
        ptl_port previous;

        consume_once(space, q);
        if (q->kind == PTL_NOTIFY_DEAD_NAME)
                previous = ptl_request_dead(space, q->about, q->listener);
        else
                previous = ptl_request_swap(space, slot, q->listener);
        ptl_request_end(space, previous, !named); /* a name has its right, or nobody */
        if (q->kind == PTL_NOTIFY_NO_SENDERS && q->listener) {
                q->about->receiver->more->sync = q->sync;
                ptl_senders_check(space, q->about->receiver);
        }
        if (q->about->rights & PTL_RIGHT_DEAD)
                ptl_right_kill(space, q->about);
}

static int request(struct ptl_space *space, ptl_port port, ptl_port notify, struct request *q,
                   ptl_port *ret_previous)
{
        ptl_port *slot, previous = PTL_NULL;
        int r = check_notify(space, notify, q);

        if (!r)
                r = check_about(space, port, q);
        if (r)
                return r;
        slot = slot_of(q);
        if (!slot)
                return -ENOMEM;
        if (ret_previous)
                r = name_previous(space, *slot, &previous);
        if (r)
                return r;
        commit(space, q, slot, ret_previous != NULL);
        if (ret_previous)
                *ret_previous = previous;
        return 0;
}

int ptl_right_request(ptl_port port, uint32_t kind, uint32_t sync, ptl_port notify,
                      ptl_port *ret_previous)
{
        struct request q = {.kind = kind, .sync = sync};
        struct ptl_task *task;
        int r;

        if (kind != PTL_NOTIFY_DEAD_NAME && kind != PTL_NOTIFY_NO_SENDERS &&
            kind != PTL_NOTIFY_PORT_DESTROYED)
                return PTL_E_INVALID;
        if (kind == PTL_NOTIFY_PORT_DESTROYED && sync)
                return PTL_E_INVALID;
        r = ptl_task_enter(&task);
        if (r)
                return r;
        ptl_lock(&task->space.lock);
        r = request(&task->space, port, notify, &q, ret_previous);
        ptl_unlock(&task->space.lock);
        return r;
}
