/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port/mailed.c - a receive right in a message that this task has: sent to a port of its own, or to who asked
 * for it when it was given up (port-destroyed)
 *
 * The port lives on: its queue stands, messages arrive, rights to it stay as they are. Its entry is
 * kept for it, so that it has the same name when it is received; until then the name is refused, or
 * carries what send right it had. Its receiver knows in whose queue it lies (`mailed_to`): no port
 * is mailed into a queue that only itself leads to, which nobody could ever receive from.
 */
#include "port/request.h"
#include "port/senders.h"

/* The way from a port through the messages that hold receive rights ends at one that is received (C6): it is as
 * long as there are ports one inside the other. */
static bool is_circular(const struct ptl_receiver *r, const struct ptl_receiver *to)
{
        for (; to; to = to->more ? to->more->mailed_to : NULL)
                if (to == r)
                        return true;
        return false;
}

bool ptl_receiver_is_in_itself(const struct ptl_receiver *r)
{
        return r->more && is_circular(r, r->more->mailed_to);
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

void ptl_receiver_enclose(struct ptl_space *space, struct ptl_receiver *r, struct ptl_receiver *to)
{
        if (ptl_receiver_set(r))
                ptl_set_leave(r);
        r->more->mailed_to = to;
        start_anew(space, r);
}

bool ptl_receiver_mail(struct ptl_space *space, struct ptl_receiver *r)
{
        ptl_port request = r->more ? r->more->port_destroyed : PTL_NULL;
        struct ptl_receiver *to = ptl_receiver_anywhere(space, request);
        struct ptl_queued *q = to && !is_circular(r, to) ? envelope(space, r) : NULL;

        if (!q)
                return false;
        r->more->port_destroyed = PTL_NULL;
        ptl_receiver_entry(space, to)->onces--;
        ptl_receiver_enclose(space, r, to);
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

bool ptl_receiver_came(struct ptl_space *space, const struct ptl_queued *q, struct ptl_receiver *to)
{
        for (unsigned i = 0; i < q->n_rights; i++) {
                struct ptl_receiver *r =
                        q->carried[i].what == PTL_CARRY_RECEIVE ? ptl_receiver_anywhere(space, q->carried[i].right) : NULL;

                if (r)
                        r->more->mailed_to = to;
        }
        return !ptl_receiver_is_in_itself(to);
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
