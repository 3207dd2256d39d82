/* SPDX-License-Identifier: Apache-2.0 */
/* port/request.c - see request.h */
#include "port/request.h"

bool ptl_request_fire(struct ptl_space *space, ptl_port *slot, uint32_t kind, uint32_t value)
{
        struct ptl_receiver *r = ptl_receiver_anywhere(space, *slot);

        *slot = PTL_NULL;
        if (!r)
                return false;
        ptl_receiver_entry(space, r)->onces--;
        return ptl_notify(space, r->name, kind, value, NULL);
}

ptl_port ptl_request_swap(struct ptl_space *space, ptl_port *slot, struct ptl_receiver *receiver)
{
        ptl_port previous = *slot;

        *slot = receiver ? receiver->name : PTL_NULL;
        if (receiver)
                ptl_receiver_entry(space, receiver)->onces++;
        return previous;
}

ptl_port ptl_request_dead(struct ptl_space *space, struct ptl_entry *e,
                          struct ptl_receiver *receiver)
{
        bool asked = receiver && e->rights & PTL_RIGHT_SEND_ONCE;

        e->flags = (uint8_t)((e->flags & ~PTL_ENTRY_ASKED) | (asked ? PTL_ENTRY_ASKED : 0));
        return ptl_request_swap(space, &e->notify_dead, receiver);
}

void ptl_request_end(struct ptl_space *space, ptl_port request, bool told)
{
        struct ptl_receiver *r = ptl_receiver_anywhere(space, request);

        if (told)
                ptl_request_fire(space, &request, PTL_NOTIFY_SEND_ONCE, 0);
        else if (r)
                ptl_receiver_entry(space, r)->onces--;
}

static void forget(ptl_port *slot, ptl_port port)
{
        if (*slot == port)
                *slot = PTL_NULL;
}

void ptl_requests_forget(struct ptl_space *space, ptl_port port)
{
        for (uint32_t i = 1; i < space->entries.fresh; i++) {
                struct ptl_entry *e = ptl_table_at(&space->entries, i);
                struct ptl_receiver *r = ptl_entry_receiver(e);

                if (e->rights)
                        forget(&e->notify_dead, port);
                if (r && r->more) {
                        forget(&r->more->no_senders, port);
                        forget(&r->more->port_destroyed, port);
                }
        }
}
