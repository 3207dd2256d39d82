/* SPDX-License-Identifier: Apache-2.0 */
/* task/ports.c - ports, rights and sets: the public calls (portolan/port.h) */
#include "port/request.h"
#include "task/task.h"
#include <string.h>

static bool options_are_valid(const struct ptl_port_options *o)
{
        return !o || (o->limit_messages <= PTL_LIMIT_MESSAGES_MAX && !o->reserved);
}

int ptl_port_new(ptl_port *ret_port, const struct ptl_port_options *options)
{
        struct ptl_task *task;
        int r;

        if (!ret_port || !options_are_valid(options))
                return PTL_E_INVALID;
        r = ptl_task_begin(&task);
        if (r)
                return r;
        return ptl_task_end(task, ptl_receiver_new(&task->space, options ? options->limit_messages : 0,
                                            options ? options->limit_bytes : 0, ret_port));
}

int ptl_port_free(ptl_port port)
{
        struct ptl_task *task;
        struct ptl_entry *e;
        int r = ptl_task_begin(&task);

        if (r)
                return r;
        r = ptl_receiver_look(&task->space, port, &e);
        if (!r)
                ptl_port_give_up(task, e);
        return ptl_task_end(task, r);
}

void ptl_port_give_up(struct ptl_task *task, struct ptl_entry *e)
{
        if (ptl_receiver_mail(&task->space, e->receiver))
                return;
        ptl_names_watch_end(task, ptl_entry_name(e));
        if (ptl_receiver_ticket(e->receiver)) { /* those who claimed it already are to be told */
                ptl_wait_catch_up(task);
                ptl_names_of_port_end(task, ptl_receiver_ticket(e->receiver));
        }
        ptl_receiver_free(&task->space, e->receiver);
}

int ptl_port_set_limit(ptl_port port, const struct ptl_port_options *options)
{
        struct ptl_task *task;
        struct ptl_entry *e;
        int r;

        if (!options || !options_are_valid(options))
                return PTL_E_INVALID;
        r = ptl_task_begin(&task);
        if (r)
                return r;
        r = ptl_receiver_look(&task->space, port, &e);
        if (!r)
                ptl_receiver_set_limit(&task->space, e->receiver, options->limit_messages,
                                       options->limit_bytes);
        return ptl_task_end(task, r);
}

int ptl_port_get_status(ptl_port port, struct ptl_port_status *ret_status)
{
        struct ptl_task *task;
        struct ptl_entry *e;
        int r;

        if (!ret_status)
                return PTL_E_INVALID;
        r = ptl_task_begin(&task);
        if (r)
                return r;
        r = ptl_space_look(&task->space, port, ~0u, &e);
        if (!r && !ptl_receiver_rights_shown(e))
                r = PTL_E_NAME;
        if (!r) {
                uint32_t rights = ptl_receiver_rights_shown(e);

                *ret_status = (struct ptl_port_status){.rights = rights, .references = e->references};
                if (e->peer)
                        ret_status->peer_pid = e->peer->link.identity.pid;
                if (rights & PTL_RIGHT_RECEIVE) {
                        struct ptl_receiver *receiver = e->receiver;
                        struct ptl_set *set = ptl_receiver_set(receiver);

                        ret_status->queued = receiver->queued;
                        ret_status->limit_messages = receiver->limit_messages;
                        ret_status->limit_bytes = e->limit_bytes;
                        ret_status->set = set ? set->name : PTL_NULL;
                        ret_status->received = receiver->received;
                }
        }
        return ptl_task_end(task, r);
}

int ptl_right_make_send(ptl_port port)
{
        struct ptl_task *task;
        struct ptl_entry *e;
        int r = ptl_task_begin(&task);

        if (r)
                return r;
        r = ptl_receiver_look(&task->space, port, &e);
        if (!r && e->references == PTL_REFERENCES_MAX)
                r = PTL_E_QUOTA;
        if (!r) {
                e->rights |= PTL_RIGHT_SEND;
                e->references++;
                e->made++;
        }
        return ptl_task_end(task, r);
}

int ptl_right_ref(ptl_port port)
{
        struct ptl_task *task;
        struct ptl_entry *e;
        int r = ptl_task_begin(&task);

        if (r)
                return r;
        r = ptl_space_look(&task->space, port, PTL_RIGHT_SEND | PTL_RIGHT_DEAD, &e);
        if (!r && e->references == PTL_REFERENCES_MAX)
                r = PTL_E_QUOTA;
        if (!r)
                e->references++;
        return ptl_task_end(task, r);
}

int ptl_right_release(ptl_port port)
{
        struct ptl_task *task;
        struct ptl_entry *e;
        int r = ptl_task_begin(&task);

        if (r)
                return r;
        r = ptl_space_look(&task->space, port,
                           PTL_RIGHT_SEND | PTL_RIGHT_SEND_ONCE | PTL_RIGHT_DEAD, &e);
        if (!r)
                ptl_right_drop(&task->space, e, 1);
        return ptl_task_end(task, r);
}

int ptl_right_notify_dead(ptl_port port, ptl_port notify)
{
        struct ptl_task *task;
        struct ptl_entry *e, *n;
        int r = ptl_task_begin(&task);

        if (r)
                return r;
        r = ptl_space_look(&task->space, port,
                           PTL_RIGHT_SEND | PTL_RIGHT_SEND_ONCE | PTL_RIGHT_DEAD, &e);
        if (!r && notify)
                r = ptl_receiver_look(&task->space, notify, &n);
        if (!r) {
                ptl_port previous = ptl_request_dead(&task->space, e, notify ? n->receiver : NULL);

                ptl_request_end(&task->space, previous, false);
                if (e->rights & PTL_RIGHT_DEAD)
                        ptl_right_kill(&task->space, e); /* dead already: told at once */
        }
        return ptl_task_end(task, r);
}

int ptl_set_make(struct ptl_space *space, ptl_port *ret_set)
{
        struct ptl_set *set = calloc(1, sizeof *set);
        struct ptl_entry *e;

        if (!set)
                return -ENOMEM;
        set->descriptor = set->poll = -EBADF;
        set->name = ptl_space_insert(space, PTL_RIGHT_SET, &e);
        if (!set->name) {
                free(set);
                return PTL_E_QUOTA;
        }
        e->set = set;
        *ret_set = set->name;
        return 0;
}

int ptl_set_new(ptl_port *ret_set)
{
        struct ptl_task *task;
        int r;

        if (!ret_set)
                return PTL_E_INVALID;
        r = ptl_task_begin(&task);
        return r ? r : ptl_task_end(task, ptl_set_make(&task->space, ret_set));
}

int ptl_set_free(ptl_port set)
{
        struct ptl_task *task;
        struct ptl_entry *e;
        int r = ptl_task_begin(&task);

        if (r)
                return r;
        r = ptl_space_look(&task->space, set, PTL_RIGHT_SET, &e);
        if (!r)
                ptl_set_give_up(task, e);
        return ptl_task_end(task, r);
}

void ptl_set_give_up(struct ptl_task *task, struct ptl_entry *e)
{
        struct ptl_set *s = e->set;

        while (s->members)
                ptl_set_leave(s->members);
        ptl_space_remove(&task->space, e);
        ptl_wait_forget_set(task, s);
        ptl_close(s->descriptor);
        ptl_close(s->poll);
        free(s);
}

int ptl_set_add(ptl_port set, ptl_port port)
{
        struct ptl_task *task;
        struct ptl_entry *e, *s = NULL;
        int r = ptl_task_begin(&task);

        if (r)
                return r;
        r = ptl_receiver_look(&task->space, port, &e);
        if (!r && set)
                r = ptl_space_look(&task->space, set, PTL_RIGHT_SET, &s);
        if (!r && s)
                r = ptl_set_join(s->set, e->receiver);
        else if (!r && ptl_receiver_set(e->receiver))
                ptl_set_leave(e->receiver);
        if (!r && e->receiver->head)
                task->space.ready(&task->space, e->receiver);
        return ptl_task_end(task, r);
}
