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

/* A dead port takes nothing any more: the one who left a message with it hears of that too. */
static bool was_taken(struct ptl_task *task, const struct ptl_left *left)
{
        struct ptl_entry *e = ptl_space_entry(&task->space, left->port);

        if (!e || !(e->rights & PTL_RIGHT_SEND) || !e->peer)
                return true;
        ptl_window_refresh(e);
        if ((int32_t)(e->taken - left->sequence) < 0)
                return false;
        e->flags &= (uint8_t)~PTL_ENTRY_LEFT;
        return true;
}

void ptl_left_check(struct ptl_task *task)
{
        struct ptl_left **at = &task->space.lefts;

        while (*at) {
                struct ptl_left *left = *at;

                if (!was_taken(task, left)) {
                        at = &left->next;
                        continue;
                }
                *at = left->next;
                ptl_notify(&task->space, left->notify, PTL_NOTIFY_MESSAGE_ACCEPTED, left->port, NULL);
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
