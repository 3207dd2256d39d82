/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task/rename.c - ptl_right_rename(): another name for a right, everywhere in this task
 *
 * No other task knows our names, but for the name in a published port's ticket, which is why that
 * one keeps its name. Here they stand in entries, requests, messages that are not received, and
 * with threads that wait: all is looked through, since nothing points back from a name to who has
 * it.
 */
#include "port/request.h"
#include "port/reroute.h"
#include "task/left.h"
#include "task/receive.h"
#include "task/task.h"

static void change(ptl_port *at, const struct ptl_renaming *n)
{
        if (ptl_is_renamed(*at, n))
                *at = n->now;
}

void ptl_queued_rename(struct ptl_queued *q, const struct ptl_renaming *n)
{
        if (!q || q->opened)
                return;
        change(&q->notify, n);
        for (unsigned i = 0; i < q->n_rights; i++)
                if (q->carried[i].what >= PTL_CARRY_OWN) /* the others are numbers of a peer's */
                        change(&q->carried[i].right, n);
}

static void in_receiver(struct ptl_receiver *r, const struct ptl_renaming *n)
{
        change(&r->name, n);
        if (r->more) {
                change(&r->more->no_senders, n);
                change(&r->more->port_destroyed, n);
        }
        for (struct ptl_queued *q = r->head; q; q = q->next)
                ptl_queued_rename(q, n);
}

static void in_entries(struct ptl_space *space, const struct ptl_renaming *n)
{
        for (uint32_t i = 1; i < space->entries.fresh; i++) {
                struct ptl_entry *e = ptl_table_at(&space->entries, i);
                struct ptl_receiver *r = ptl_entry_receiver(e);

                if (r)
                        in_receiver(r, n);
                if (!e->rights)
                        continue;
                change(&e->notify_dead, n);
                if (e->rights == PTL_RIGHT_SEND_ONCE && !e->peer)
                        change(&e->remote, n);
        }
}

static void in_task(struct ptl_task *task, const struct ptl_renaming *n)
{
        for (struct ptl_way *way = task->space.ways.first; way; way = way->next)
                for (struct ptl_copy *c = way->copies; c; c = c->next) {
                        change(&c->reply_port, n);
                        ptl_queued_rename(c->queued, n);
                }
        for (struct ptl_left *l = task->space.lefts; l; l = l->next) {
                change(&l->port, n);
                change(&l->notify, n);
        }
        for (struct ptl_watch *w = task->server.watches; w; w = w->next)
                change(&w->notify, n);
        change(&task->served.children, n);
        change(&task->served.bootstrap, n);
        ptl_receive_rename(task, n);
}

static void everywhere(struct ptl_task *task, const struct ptl_renaming *n)
{
        in_entries(&task->space, n);
        in_task(task, n);
}

void ptl_right_renamed(struct ptl_space *space, ptl_port old, ptl_port now)
{
        everywhere(PTL_CONTAINER(space, struct ptl_task, space), &(struct ptl_renaming){old, now, ~0u});
}

/* What still knows rights that had this place, dead and gone, must not take the next one for them.
 * (A name that the library chooses is not like any of 4,095 before it.) */
static void forget_place(struct ptl_task *task, uint32_t index)
{
        everywhere(task, &(struct ptl_renaming){index, PTL_NULL, (1u << PTL_NAME_INDEX_BITS) - 1});
}

int ptl_name_choose(struct ptl_task *task, ptl_port name)
{
        uint32_t index = ptl_name_index(name);
        bool is_used = index < task->space.entries.fresh;
        int r = ptl_space_choose(&task->space, name);

        if (!r && is_used)
                forget_place(task, index);
        return r;
}

/* May the name be another? Nothing may be on its way to a peer that says so by the entry's place.
 */
static int check(struct ptl_task *task, ptl_port old, struct ptl_entry **ret_entry)
{
        struct ptl_entry *e;
        int r = ptl_space_look(&task->space, old, ~0u, &e);

        if (r)
                return r;
        if (e->rights & PTL_RIGHT_RECEIVE && e->receiver->internal)
                return PTL_E_RIGHT;
        if (ptl_entry_receiver(e) && ptl_receiver_ticket(e->receiver))
                return PTL_E_BUSY;
        if (e->peer && e->flags & (PTL_ENTRY_CLAIM | PTL_ENTRY_RELEASE))
                ptl_control_flush(e->peer);
        if (e->flags & (PTL_ENTRY_CLAIM | PTL_ENTRY_RELEASE))
                return PTL_E_BUSY;
        *ret_entry = e;
        return 0;
}

/* The entry takes its new place. */
static void move(struct ptl_task *task, struct ptl_entry *e, struct ptl_renaming *n)
{
        struct ptl_entry *to = ptl_space_vacant(&task->space);

        n->now = ptl_entry_name(to);
        ptl_way_renamed(&task->space, ptl_name_index(ptl_entry_name(e)), to);
        *to = *e;
        to->name = n->now;
        if (to->peer)
                *ptl_held_name(to->peer, to->remote) = n->now;
        if (to->rights & PTL_RIGHT_SET)
                to->set->name = n->now;
        ptl_space_remove(&task->space, e);
}

int ptl_right_rename_locked(struct ptl_task *task, ptl_port old, ptl_port name)
{
        struct ptl_renaming n = {.old = old, .mask = ~0u};
        struct ptl_entry *e;
        int r;

        if (!ptl_name_may_be(name))
                return PTL_E_INVALID;
        r = check(task, old, &e);
        if (!r)
                r = ptl_name_choose(task, name);
        if (!r) {
                move(task, e, &n);
                everywhere(task, &n);
        }
        return r;
}

int ptl_right_rename(ptl_port old, ptl_port name)
{
        struct ptl_task *task;
        int r = ptl_name_may_be(name) ? ptl_task_enter(&task) : PTL_E_INVALID;

        if (r)
                return r;
        ptl_lock(&task->space.lock);
        r = ptl_right_rename_locked(task, old, name);
        ptl_unlock(&task->space.lock);
        return r;
}
