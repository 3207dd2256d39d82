/* SPDX-License-Identifier: Apache-2.0 */
/* port/right.c - user references of send, send-once and dead rights */
#include "port/receiver.h"

/* A remote right is given back by a frame; until that is written its entry stays. */
static void give_back(struct ptl_entry *e)
{
        struct ptl_peer *peer = e->peer;

        e->rights = 0;
        e->generation = (e->generation + 1) % PTL_NAME_GENERATIONS; /* the name is dead already */
        e->released++;
        ptl_control_entry(peer, e, PTL_ENTRY_RELEASE);
        ptl_control_flush(peer);
}

void ptl_once_unused(struct ptl_space *space, ptl_port port)
{
        struct ptl_receiver *r = ptl_receiver_of(space, port);

        if (!r)
                return;
        ptl_receiver_entry(space, r)->onces--;
        ptl_notify(space, port, PTL_NOTIFY_SEND_ONCE, 0, NULL);
}

ptl_port ptl_once_insert(struct ptl_space *space, struct ptl_receiver *receiver)
{
        struct ptl_entry *e;
        ptl_port name = ptl_space_insert(space, PTL_RIGHT_SEND_ONCE, &e);

        if (name) {
                e->remote = receiver->name;
                ptl_receiver_entry(space, receiver)->onces++;
        }
        return name;
}

void ptl_right_drop(struct ptl_space *space, struct ptl_entry *e, uint32_t count)
{
        unsigned counted = PTL_RIGHT_SEND | PTL_RIGHT_SEND_ONCE | PTL_RIGHT_DEAD;
        bool local_once = e->rights & PTL_RIGHT_SEND_ONCE && !e->peer;

        if (count < e->references) {
                e->references -= (uint16_t)count;
                return;
        }
        e->references = 0;
        if (e->peer && e->transit) { /* the rest is under way to this task itself */
                e->under_way = e->rights;
                e->rights = 0;
                return;
        }
        e->rights &= (uint8_t)~counted;
        if (e->rights) /* it is our own port: the receive right stays */
                return;
        e->notify_dead = PTL_NULL;
        if (e->peer && ptl_link_state(&e->peer->link) != PTL_LINK_DEAD) {
                give_back(e);
                return;
        }
        if (e->peer) {
                ptl_held_forget(e->peer, e->remote);
                ptl_peer_unref(e->peer);
        }
        if (local_once)
                ptl_once_unused(space, e->remote);
        ptl_space_remove(space, e);
}

void ptl_right_kill(struct ptl_space *space, struct ptl_entry *e)
{
        ptl_port name = ptl_entry_name(e), notify = e->notify_dead;

        e->rights = PTL_RIGHT_DEAD;
        e->notify_dead = PTL_NULL;
        if (!notify || !ptl_notify(space, notify, PTL_NOTIFY_DEAD_NAME, name, NULL))
                return;
        if (e->references < PTL_REFERENCES_MAX) /* the notification carries one (Mach's rule, M-28) */
                e->references++;
}
