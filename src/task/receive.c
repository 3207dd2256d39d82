/* SPDX-License-Identifier: Apache-2.0 */
/* task/receive.c - receiving: from the port's queue, else straight from a ring */
#include "task/receive.h"
#include "base/cancel.h"
#include "task/quick.h"
#include <string.h>

enum { KNOWN_FLAGS = PTL_IN_PLACE };

/* Which port or set; done anew after each time the lock was let go. */
static int resolve(struct ptl_task *task, ptl_port port, struct ptl_want *want)
{
        struct ptl_entry *e;
        int r = ptl_space_look(&task->space, port, PTL_RIGHT_RECEIVE | PTL_RIGHT_SET, &e);

        want->receiver = NULL;
        want->set = NULL;
        if (PTL_UNLIKELY(r))
                return r;
        if (PTL_LIKELY(e->rights & PTL_RIGHT_RECEIVE))
                want->receiver = e->receiver;
        else
                want->set = e->set;
        return 0;
}

/* From the queue, or what was delivered straight to us. NULL also when that is in want->fill: of a set,
 * another member may have a message too, which stays where it is. */
static struct ptl_queued *take(struct ptl_task *task, struct ptl_want *want, ptl_port *ret_from)
{
        struct ptl_queued *q = want->got;
        struct ptl_receiver *r;

        if (want->filled)
                return NULL;
        r = q ? want->from : want->receiver ? want->receiver : ptl_set_pick(want->set);
        if (q)
                want->got = NULL;
        else if (r)
                q = ptl_receiver_take(&task->space, r);
        if (q)
                *ret_from = r->name;
        return q;
}

struct message_wait {
        struct ptl_waiter waiter;
        struct ptl_queued *queued;
        ptl_port from;
        int outcome;
};

static bool message_check(struct ptl_task *task, struct ptl_waiter *waiter)
{
        struct message_wait *w = PTL_CONTAINER(waiter, struct message_wait, waiter);
        struct ptl_want *want = &waiter->want;

        if (w->queued || want->filled)
                return true;
        if (!want->got && resolve(task, waiter->port, want)) {
                w->outcome = PTL_E_DEAD; /* it was there when we began to wait */
                return true;
        }
        w->queued = take(task, want, &w->from);
        return w->queued != NULL;
}

void ptl_receive_rename(struct ptl_task *task, const struct ptl_renaming *n)
{
        for (struct ptl_waiter *x = task->wait.waiters; x; x = x->next) {
                struct message_wait *w = PTL_CONTAINER(x, struct message_wait, waiter);

                if (x->kind != PTL_WAITS_MESSAGE)
                        continue;
                if (ptl_is_renamed(x->port, n))
                        x->port = n->now;
                if (ptl_is_renamed(w->from, n))
                        w->from = n->now;
                ptl_queued_rename(w->queued, n);
                ptl_queued_rename(x->want.got, n);
        }
}

/* Nothing is there, says who looked; if the task is to stay armed, look once more behind the arming. */
static struct ptl_queued *look(struct ptl_task *task, struct ptl_want *want, ptl_port *ret_from)
{
        struct ptl_queued *q;

        do {
                ptl_wait_look(task, want);
                q = take(task, want, ret_from);
        } while (!q && !want->filled && !ptl_wait_stay_armed(task));
        return q;
}

static int wait_for_message(struct ptl_task *task, ptl_port port, struct ptl_want *want,
                            ptl_time deadline, struct ptl_queued **ret_queued, ptl_port *ret_from)
{
        struct message_wait w = {.waiter = {.kind = PTL_WAITS_MESSAGE,
                                            .check = message_check,
                                            .port = port,
                                            .want = *want}};
        int r = ptl_wait_for(task, &w.waiter, deadline);

        if (!r)
                r = w.outcome;
        if (r)
                return r;
        want->filled = w.waiter.want.filled;
        *ret_queued = w.queued;
        *ret_from = w.from;
        return 0;
}

/* An eventfd of ours that says "something may be there" is emptied when nothing is. */
static void quiet(int fd)
{
        if (PTL_UNLIKELY(fd >= 0))
                ptl_event_clear(fd);
}

static struct ptl_queued *look_now(struct ptl_task *task, struct ptl_want *want, ptl_port *ret_from)
{
        quiet(want->receiver ? ptl_receiver_descriptor(want->receiver) : want->set->descriptor);
        return look(task, want, ret_from);
}

int ptl_receive_wanted(struct ptl_task *task, ptl_port port, struct ptl_want *want, ptl_time deadline,
                       struct ptl_queued **ret_queued, ptl_port *ret_from)
{
        struct ptl_queued *q;
        int r;

        q = take(task, want, ret_from);
        if (!q) {
                ptl_wait_tick(task, &task->wait, want);
                if (want->got)
                        q = take(task, want, ret_from);
        }
        if (PTL_LIKELY(q || ptl_want_is_met(want))) {
                task->wait.polled = false; /* it was there */
        } else if (PTL_UNLIKELY(deadline != PTL_FOREVER && ptl_deadline_passed(deadline))) {
                q = look_now(task, want, ret_from);
                if (!q && !ptl_want_is_met(want))
                        return deadline == PTL_NOW ? PTL_E_EMPTY : PTL_E_TIMEOUT;
        } else {
                if (PTL_LIKELY(ptl_wait_quick(task, want, deadline))) {
                        q = take(task, want, ret_from);
                } else {
                        r = wait_for_message(task, port, want, deadline, &q, ret_from);
                        if (r)
                                return r;
                }
        }
        task->space.counters.received++;
        task->space.counters.received_bytes += want->filled ? want->fill->size : q->size;
        *ret_queued = q;
        return 0;
}

/* One message into @message. The lock is held. */
static int receive_one(struct ptl_task *task, ptl_port port, struct ptl_want *want, ptl_time deadline,
                       struct ptl_message *message)
{
        struct ptl_queued *q = NULL;
        ptl_port from = PTL_NULL;
        int r;

        ptl_served_serve(task);
        r = resolve(task, port, want);
        if (PTL_LIKELY(!r) && PTL_UNLIKELY(want->receiver && want->receiver->internal))
                r = PTL_E_RIGHT;
        if (PTL_UNLIKELY(r))
                return r;
        want->fill = message;
        r = ptl_receive_wanted(task, port, want, deadline, &q, &from);
        if (PTL_LIKELY(!r) && !want->filled)
                ptl_receive_open(task, q, from, message);
        return r;
}

void ptl_receive_open(struct ptl_task *task, struct ptl_queued *q, ptl_port from,
                      struct ptl_message *message)
{
        ptl_queued_open(&task->space, q, from, message);
        if (!message->sender)
                message->sender = &task->identity;
}

static int receive_long(struct ptl_task *task, ptl_port port, bool in_place, struct ptl_message *message,
                        ptl_time deadline)
{
        struct ptl_want want = {.in_place = in_place};

        return receive_one(task, port, &want, deadline, message);
}

int ptl_receive_with(ptl_port port, struct ptl_message *ret_message, unsigned flags,
                     ptl_time deadline)
{
        struct ptl_receiver *receiver;
        struct ptl_task *task;
        int r = ptl_task_enter(&task);

        if (PTL_UNLIKELY(r))
                return r;
        if (PTL_UNLIKELY(!ret_message || flags & ~(unsigned)KNOWN_FLAGS))
                return PTL_E_INVALID;
        ptl_lock(&task->space.lock);
        receiver = ptl_receiver_of(&task->space, port);
        if (PTL_UNLIKELY(!receiver || receiver->internal ||
                         !ptl_quick_receive(task, receiver, flags & PTL_IN_PLACE, ret_message, deadline)))
                r = receive_long(task, port, flags & PTL_IN_PLACE, ret_message, deadline);
        ptl_unlock(&task->space.lock);
        return r;
}

int ptl_receive(ptl_port port, struct ptl_message *ret_message, ptl_time deadline)
{
        return ptl_receive_with(port, ret_message, 0, deadline);
}

/* The next one that is there now, queued or in a ring, into @message. */
static bool receive_more(struct ptl_task *task, ptl_port port, bool in_place,
                         struct ptl_message *message)
{
        struct ptl_want want = {.in_place = in_place, .fill = message};
        struct ptl_queued *q;
        ptl_port from;

        if (resolve(task, port, &want))
                return false;
        q = take(task, &want, &from);
        if (!q && ptl_wait_drain(task, &want))
                q = take(task, &want, &from);
        if (q)
                ptl_receive_open(task, q, from, message);
        return q || want.filled;
}

int ptl_receive_batch(ptl_port port, struct ptl_message *ret_messages, size_t max, size_t *ret_count,
                      unsigned flags, ptl_time deadline)
{
        struct ptl_want want = {.in_place = flags & PTL_IN_PLACE};
        struct ptl_task *task;
        size_t n = 1;
        int r = ptl_task_enter(&task);

        if (r)
                return r;
        if (!ret_messages || !ret_count || max == 0 || flags & ~(unsigned)KNOWN_FLAGS)
                return PTL_E_INVALID;
        ptl_lock(&task->space.lock);
        r = receive_one(task, port, &want, deadline, &ret_messages[0]);
        if (!r && want.in_place)
                n += ptl_wait_run(task, port, &ret_messages[1], max - 1);
        while (!r && n < max && receive_more(task, port, want.in_place, &ret_messages[n]))
                n++;
        for (size_t i = 1; !r && i < n; i++) {
                task->space.counters.received++;
                task->space.counters.received_bytes += ret_messages[i].size;
        }
        ptl_unlock(&task->space.lock);
        if (!r)
                *ret_count = n;
        return r;
}

/* What the task holds for it, and the right to answer it. */
static void release(struct ptl_task *task, struct ptl_message *message)
{
        struct ptl_entry *e = message->reply ? ptl_space_entry(&task->space, message->reply) : NULL;
        struct ptl_queued *q = message->opaque[0];

        if (PTL_UNLIKELY(e != NULL))
                ptl_right_drop(&task->space, e, 1);
        if (q)
                ptl_queued_free(&task->space, q);
        else
                ptl_plain_release(message);
}

void ptl_message_release(struct ptl_message *message)
{
        struct ptl_task *task = &ptl_the_task;
        struct ptl_queued *q;

        if (PTL_UNLIKELY(!message))
                return;
        q = message->opaque[0];
        /* Of another life of this process: its link, and what lay in it, are gone. */
        if (PTL_LIKELY(task->started && (q ? q->epoch == task->space.epoch
                                           : ptl_plain_is_held(&task->space, message)))) {
                ptl_lock(&task->space.lock);
                release(task, message);
                ptl_unlock(&task->space.lock);
        }
        *message = (struct ptl_message){0};
}
