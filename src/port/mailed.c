/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port/mailed.c - a receive right in a message of this task to itself (port-destroyed)
 *
 * The port lives on: its queue stands, messages arrive, rights to it stay as they are. Its entry is
 * kept for it, so that it has the same name when it is received; until then the name is refused, or
 * carries what send right it had. Its receiver knows in whose queue it lies (`mailed_to`): no port
 * is mailed into a queue that only itself leads to, which nobody could ever receive from.
 */
#include "port/request.h"
#include "port/senders.h"

static bool is_circular(const struct ptl_receiver *r, const struct ptl_receiver *to)
{
        for (; to; to = to->more ? to->more->mailed_to : NULL)
                if (to == r)
                        return true;
        return false;
}

/* The notification with room for the right; NULL: no memory. */
static struct ptl_queued *envelope(struct ptl_space *space, const struct ptl_receiver *r)
{
        struct ptl_queued *q =
                ptl_notification_new(space, PTL_NOTIFY_PORT_DESTROYED, r->name, NULL);

        if (!q)
                return NULL;
        if (ptl_queued_carry(q, 1)) {
                ptl_queued_free(space, q);
                return NULL;
        }
        q->carried[0] = (struct ptl_frame_right){.what = PTL_CARRY_RECEIVE, .right = r->name};
        q->n_rights = 1;
        return q;
}

/* What a receive right loses that moves (Mach's rule, M-30, M-93). */
static void start_anew(struct ptl_space *space, struct ptl_receiver *r)
{
        struct ptl_entry *e = ptl_receiver_entry(space, r);

        e->made = 0;
        r->more->sequence_base = r->received;
        ptl_request_fire(space, &r->more->no_senders, PTL_NOTIFY_SEND_ONCE, 0);
        e->rights &= (uint8_t)~PTL_RIGHT_RECEIVE;
        e->flags |= PTL_ENTRY_MAILED;
        if (!e->rights)
                ptl_name_ends(space, e);
        space->ready(space, r); /* whoever waits for it here waits in vain */
}

bool ptl_receiver_mail(struct ptl_space *space, struct ptl_receiver *r)
{
        ptl_port request = r->more ? r->more->port_destroyed : PTL_NULL;
        struct ptl_receiver *to = ptl_receiver_anywhere(space, request);
        struct ptl_queued *q = to && !is_circular(r, to) ? envelope(space, r) : NULL;

        if (!q)
                return false;
        if (ptl_receiver_set(r))
                ptl_set_leave(r);
        r->more->port_destroyed = PTL_NULL;
        r->more->mailed_to = to;
        ptl_receiver_entry(space, to)->onces--;
        start_anew(space, r);
        ptl_receiver_put(space, to, q);
        return true;
}

ptl_port ptl_receiver_arrive(struct ptl_space *space, ptl_port name)
{
        struct ptl_receiver *r = ptl_receiver_anywhere(space, name);
        struct ptl_entry *e = r ? ptl_receiver_entry(space, r) : NULL;

        if (!e || !(e->flags & PTL_ENTRY_MAILED))
                return PTL_NULL;
        e->flags &= (uint8_t)~PTL_ENTRY_MAILED;
        e->rights |= PTL_RIGHT_RECEIVE;
        r->more->mailed_to = NULL;
        return name;
}

/* One inside another's queue inside another's ...: in a loop, so that no depth of them takes the
 * stack. */
void ptl_receiver_doom(struct ptl_space *space, ptl_port name)
{
        struct ptl_receiver *r = ptl_receiver_anywhere(space, name);

        if (!r || !(ptl_receiver_entry(space, r)->flags & PTL_ENTRY_MAILED))
                return;
        r->more->mailed_to = space->doomed;
        space->doomed = r;
        if (space->reaping)
                return;
        space->reaping = true;
        while ((r = space->doomed)) {
                space->doomed = r->more->mailed_to;
                r->more->mailed_to = NULL;
                space->dying(space, r);
                ptl_receiver_free(space, r);
        }
        space->reaping = false;
}
