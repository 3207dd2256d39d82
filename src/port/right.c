/* SPDX-License-Identifier: Apache-2.0 */
/* port/right.c - user references of send, send-once and dead rights */
#include "port/receiver.h"
#include "port/request.h"
#include "port/senders.h"
#include "port/handoff.h"

/* A remote right is given back by a frame; until that is written its entry stays. */
void ptl_right_give_back(struct ptl_entry *e)
{
        struct ptl_peer *peer = e->peer;

        e->rights = 0;
        ptl_held_remember(peer, e);
        e->name = ptl_name_after(e->name); /* the name is dead already */
        e->released++;
        if (e->flags & PTL_ENTRY_HANDED) {
                ptl_redeem_gave_up(peer, e);
                return;
        }
        ptl_control_entry(peer, e, PTL_ENTRY_RELEASE);
        ptl_control_flush(peer);
}

void ptl_once_unused(struct ptl_space *space, ptl_port port)
{
        struct ptl_receiver *r = ptl_receiver_anywhere(space, port);

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

/* The last send right that a port's own name carried. */
static void drop_own(struct ptl_space *space, struct ptl_entry *e)
{
        e->rights &= (uint8_t)~PTL_RIGHT_SEND;
        if (!e->rights) /* the receive right is in a message, the entry is kept for it */
                ptl_name_ends(space, e);
        ptl_senders_check(space, e->receiver);
}

void ptl_right_drop(struct ptl_space *space, struct ptl_entry *e, uint32_t count)
{
        bool local_once = e->rights & PTL_RIGHT_SEND_ONCE && !e->peer;

        if (count < e->references) {
                e->references -= (uint16_t)count;
                return;
        }
        e->references = 0;
        if (ptl_entry_receiver(e)) {
                drop_own(space, e);
                return;
        }
        ptl_name_ends(space, e);
        if (e->peer && e->transit) { /* the rest is under way to this task itself */
                e->under_way = e->rights;
                e->rights = 0;
                return;
        }
        e->rights = 0;
        if (e->peer && ptl_link_state(&e->peer->link) != PTL_LINK_DEAD) {
                ptl_right_give_back(e);
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
        e->rights = PTL_RIGHT_DEAD;
        e->flags &= (uint8_t)~PTL_ENTRY_ASKED;
        if (!ptl_request_fire(space, &e->notify_dead, PTL_NOTIFY_DEAD_NAME, ptl_entry_name(e)))
                return;
        if (e->references < PTL_REFERENCES_MAX) /* the notification carries one (Mach's rule, M-28) */
                e->references++;
}
