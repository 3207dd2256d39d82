/* SPDX-License-Identifier: Apache-2.0 */
/* task/left.c - see left.h */
#include "task/left.h"
#include "task/window.h"

/* The message is on its way: it is the one that is left with this right. */
void ptl_left_add(struct ptl_task *task, struct ptl_entry *e, struct ptl_left *left,
                  ptl_port notify)
{
        *left = (struct ptl_left){.next = task->space.lefts,
                                  .port = ptl_entry_name(e),
                                  .notify = notify,
                                  .sequence = e->sent};
        e->flags |= PTL_ENTRY_LEFT;
        task->space.lefts = left;
        ptl_wait_rethink(task); /* a leader that sleeps has not asked to be told */
}

/* The right is needed no more for the message; who gave it up meanwhile gives it back only now. */
static void let_go(struct ptl_space *space, struct ptl_entry *e)
{
        e->flags &= (uint8_t)~PTL_ENTRY_LEFT;
        e->transit--;
        if (e->rights || e->transit)
                return;
        e->rights = e->under_way;
        e->under_way = 0;
        e->references = 1;
        ptl_right_drop(space, e, 1);
}

/* What is to be told of the message: PTL_KIND_NONE as long as it is neither taken nor destroyed. A
 * dead port takes nothing any more: its message is destroyed with it. */
static uint32_t fate(struct ptl_task *task, const struct ptl_left *left, ptl_port *ret_value)
{
        struct ptl_entry *e = ptl_space_hidden(&task->space, left->port);
        bool dead = !e || !e->peer;

        *ret_value = PTL_NULL;
        if (!dead) {
                ptl_window_refresh(e);
                if ((int32_t)(e->taken - left->sequence) < 0)
                        return PTL_KIND_NONE;
                *ret_value = e->rights ? left->port : PTL_NULL;
        }
        if (e)
                let_go(&task->space, e);
        return dead ? PTL_NOTIFY_SEND_ONCE : PTL_NOTIFY_MESSAGE_ACCEPTED;
}

void ptl_left_check(struct ptl_task *task)
{
        struct ptl_left **at = &task->space.lefts;

        while (*at) {
                struct ptl_left *left = *at;
                ptl_port value;
                uint32_t told = fate(task, left, &value);

                if (told == PTL_KIND_NONE) {
                        at = &left->next;
                        continue;
                }
                *at = left->next;
                ptl_notify(&task->space, left->notify, told, value, NULL);
                free(left);
        }
}

/* May a message that finds the queue full be left with the port? One for each right. */
int ptl_left_may(struct ptl_task *task, const struct ptl_entry *e, bool leave)
{
        if (leave && e->flags & PTL_ENTRY_LEFT)
                ptl_left_check(task); /* the last one may have been taken */
        return leave && !(e->flags & PTL_ENTRY_LEFT) ? 0 : PTL_E_FULL;
}
