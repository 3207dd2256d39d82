/* SPDX-License-Identifier: Apache-2.0 */
/* task/rights.c - counting and destroying rights, lists of them: the public calls
 * (portolan/right.h) */
#include "port/moving.h"
#include "port/request.h"
#include "port/senders.h"
#include "task/task.h"

static bool is_internal(const struct ptl_entry *e)
{
        return e->rights & PTL_RIGHT_RECEIVE && e->receiver->internal;
}

/* Enters and finds a name that carries one of @rights; what fails leaves again. */
static int enter_with(ptl_port port, unsigned rights, struct ptl_task **ret_task,
                      struct ptl_entry **ret_entry)
{
        int r = ptl_task_begin(ret_task);

        if (r)
                return r;
        r = ptl_space_look(&(*ret_task)->space, port, rights, ret_entry);
        if (!r && is_internal(*ret_entry))
                r = PTL_E_RIGHT;
        return r ? ptl_task_end(*ret_task, r) : 0;
}

/* --- making --- */

static int make(struct ptl_task *task, uint32_t right, ptl_port *ret_name)
{
        struct ptl_space *space = &task->space;

        if (right == PTL_RIGHT_RECEIVE)
                return ptl_receiver_new(space, 0, 0, ret_name);
        if (right == PTL_RIGHT_SET)
                return ptl_set_make(space, ret_name);
        *ret_name = ptl_space_insert(space, PTL_RIGHT_DEAD, NULL);
        return *ret_name ? 0 : PTL_E_QUOTA;
}

int ptl_right_new(uint32_t right, ptl_port *inout_name)
{
        ptl_port name = inout_name ? *inout_name : PTL_NULL;
        struct ptl_task *task;
        int r;

        if (!inout_name ||
            (right != PTL_RIGHT_RECEIVE && right != PTL_RIGHT_SET && right != PTL_RIGHT_DEAD) ||
            (name && !ptl_name_may_be(name)))
                return PTL_E_INVALID;
        r = ptl_task_begin(&task);
        if (r)
                return r;
        if (name)
                r = ptl_name_choose(task, name);
        if (!r)
                r = make(task, right, &name);
        if (!r)
                *inout_name = name;
        return ptl_task_end(task, r);
}

int ptl_right_make_once(ptl_port port, ptl_port *ret_once)
{
        struct ptl_task *task;
        struct ptl_entry *e;
        ptl_port once;
        int r;

        if (!ret_once)
                return PTL_E_INVALID;
        r = enter_with(port, PTL_RIGHT_RECEIVE, &task, &e);
        if (r)
                return r;
        once = ptl_once_insert(&task->space, e->receiver);
        if (once)
                *ret_once = once;
        return ptl_task_end(task, once ? 0 : PTL_E_QUOTA);
}

/* --- giving up --- */

/* What may be done to a right's references: only send rights and dead names have more than one. */
static int check_change(const struct ptl_entry *e, uint32_t right, int64_t delta)
{
        int64_t now = right & (PTL_RIGHT_SEND | PTL_RIGHT_DEAD) ? e->references : 1;
        int64_t most = right & (PTL_RIGHT_SEND | PTL_RIGHT_DEAD) ? PTL_REFERENCES_MAX : 1;

        if (!(e->rights & right))
                return PTL_E_RIGHT;
        if (now + delta < 0 || (most == 1 && delta > 0))
                return PTL_E_INVALID;
        return now + delta > most ? PTL_E_QUOTA : 0;
}

static void change(struct ptl_task *task, struct ptl_entry *e, uint32_t right, int32_t delta)
{
        if (delta == 0)
                return;
        if (right == PTL_RIGHT_RECEIVE)
                ptl_port_give_up(task, e);
        else if (right == PTL_RIGHT_SET)
                ptl_set_give_up(task, e);
        else if (delta < 0)
                ptl_right_drop(&task->space, e, (uint32_t) - (int64_t)delta);
        else
                e->references = (uint16_t)(e->references + delta);
}

int ptl_right_change(ptl_port port, uint32_t right, int32_t delta)
{
        struct ptl_task *task;
        struct ptl_entry *e;
        int r;

        if (!right || right & (right - 1) || right > PTL_RIGHT_DEAD)
                return PTL_E_INVALID;
        r = enter_with(port, ~0u, &task, &e);
        if (r)
                return r;
        r = check_change(e, right, delta);
        if (!r)
                change(task, e, right, delta);
        return ptl_task_end(task, r);
}

int ptl_right_destroy(ptl_port port)
{
        struct ptl_task *task;
        struct ptl_entry *e;
        int r = enter_with(port, ~0u, &task, &e);

        if (r)
                return r;
        if (e->rights & PTL_RIGHT_SET) {
                ptl_set_give_up(task, e);
        } else if (e->rights & PTL_RIGHT_RECEIVE) {
                e->rights = PTL_RIGHT_RECEIVE; /* both go at once: nobody is to be told of the one
                                                  alone */
                e->references = 0;
                ptl_port_give_up(task, e);
        } else {
                ptl_right_drop(&task->space, e, e->references);
        }
        return ptl_task_end(task, 0);
}

/* --- what there is --- */

static uint32_t type_of(const struct ptl_entry *e)
{
        return e->rights | (e->notify_dead ? PTL_RIGHT_ASKED : 0u);
}

int ptl_right_type(ptl_port port, uint32_t *ret_type)
{
        struct ptl_task *task;
        struct ptl_entry *e;
        int r;

        if (!ret_type)
                return PTL_E_INVALID;
        r = enter_with(port, ~0u, &task, &e);
        if (r)
                return r;
        *ret_type = type_of(e);
        return ptl_task_end(task, 0);
}

/* The reply right of a message that this task sent itself and has not taken, dead or not. */
static bool is_in_message(const struct ptl_entry *e)
{
        return e->rights & (PTL_RIGHT_SEND_ONCE | PTL_RIGHT_DEAD) && !e->peer && e->under_way;
}

static bool is_given(const struct ptl_entry *e)
{
        return e->rights && !is_internal(e) && !is_in_message(e);
}

static size_t list_names(const struct ptl_space *space, struct ptl_right_entry *list)
{
        size_t n = 0;

        for (uint32_t i = 1; i < space->entries.fresh; i++) {
                const struct ptl_entry *e = ptl_table_at(&space->entries, i);

                if (is_given(e))
                        list[n++] = (struct ptl_right_entry){ptl_entry_name(e), type_of(e)};
        }
        return n;
}

int ptl_right_names(struct ptl_right_entry **ret_entries, size_t *ret_count)
{
        struct ptl_right_entry *list;
        struct ptl_task *task;
        int r;

        if (!ret_entries || !ret_count)
                return PTL_E_INVALID;
        r = ptl_task_begin(&task);
        if (r)
                return r;
        list = malloc(((size_t)task->space.entries.used + 1) * sizeof *list);
        if (!list)
                return ptl_task_end(task, -ENOMEM);
        *ret_count = list_names(&task->space, list);
        *ret_entries = *ret_count ? list : NULL;
        if (!*ret_count)
                free(list);
        return ptl_task_end(task, 0);
}

static size_t list_members(const struct ptl_set *set, ptl_port *list)
{
        const struct ptl_receiver *m = set->members;
        size_t n = 0;

        if (m)
                do {
                        if (list)
                                list[n] = m->name;
                        n++;
                        m = m->more->set_next;
                } while (m != set->members);
        return n;
}

int ptl_set_get_members(ptl_port set, ptl_port **ret_ports, size_t *ret_count)
{
        ptl_port *list = NULL;
        struct ptl_task *task;
        struct ptl_entry *e;
        size_t n;
        int r;

        if (!ret_ports || !ret_count)
                return PTL_E_INVALID;
        r = enter_with(set, PTL_RIGHT_SET, &task, &e);
        if (r)
                return r;
        n = list_members(e->set, NULL);
        if (n && !(list = malloc(n * sizeof *list)))
                return ptl_task_end(task, -ENOMEM);
        *ret_count = list_members(e->set, list);
        *ret_ports = list;
        return ptl_task_end(task, 0);
}

/* --- a port's counts --- */

int ptl_port_get_counts(ptl_port port, struct ptl_port_counts *ret_counts)
{
        const struct ptl_receiver_more *m;
        const struct ptl_receiver *receiver;
        struct ptl_task *task;
        struct ptl_entry *e;
        int r;

        if (!ret_counts)
                return PTL_E_INVALID;
        r = enter_with(port, PTL_RIGHT_RECEIVE, &task, &e);
        if (r)
                return r;
        receiver = e->receiver;
        m = receiver->more;
        *ret_counts = (struct ptl_port_counts){
                .sequence = receiver->received - (m ? m->sequence_base : 0),
                .made = e->made,
                .queued = receiver->queued,
                .limit_messages = receiver->limit_messages,
                .once = e->onces,
                .has_senders = ptl_senders_any(&task->space, receiver),
                .asked = m ? (m->no_senders ? 1u : 0u) | (m->port_destroyed ? 2u : 0u) : 0,
        };
        for (const struct ptl_grant *g = ptl_grant_at(&task->space, receiver->grants); g;
             g = ptl_grant_at(&task->space, g->next))
                ret_counts->once += g->kind == PTL_GRANT_ONCE;
        ret_counts->once += ptl_settle_onces(receiver);
        return ptl_task_end(task, 0);
}

int ptl_port_set_made(ptl_port port, uint32_t made)
{
        struct ptl_task *task;
        struct ptl_entry *e;
        int r = enter_with(port, PTL_RIGHT_RECEIVE, &task, &e);

        if (r)
                return r;
        e->made = made;
        ptl_senders_check(&task->space, e->receiver);
        return ptl_task_end(task, 0);
}

int ptl_port_set_sequence(ptl_port port, uint64_t sequence)
{
        struct ptl_receiver_more *m;
        struct ptl_task *task;
        struct ptl_entry *e;
        int r = enter_with(port, PTL_RIGHT_RECEIVE, &task, &e);

        if (r)
                return r;
        m = ptl_receiver_more(e->receiver);
        if (m)
                m->sequence_base = e->receiver->received - sequence;
        return ptl_task_end(task, m ? 0 : -ENOMEM);
}
