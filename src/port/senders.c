/* SPDX-License-Identifier: Apache-2.0 */
/* port/senders.c - see senders.h */
#include "port/senders.h"
#include "port/request.h"

/* A message that came through a send right holds it until it is taken: so who waits for the end of
 * all senders has had what they sent. A send-once right is none. */
static bool holds_sender(const struct ptl_queued *q) { return q->grant || q->local_counted || q->settler; }

bool ptl_senders_any(struct ptl_space *space, const struct ptl_receiver *r)
{
        const struct ptl_entry *e = ptl_receiver_entry(space, r);

        if (e->senders || e->rights & PTL_RIGHT_SEND || space->published(space, r))
                return true;
        for (const struct ptl_queued *q = r->head; q; q = q->next)
                if (holds_sender(q))
                        return true;
        return false;
}

void ptl_senders_look(struct ptl_space *space, struct ptl_receiver *r)
{
        struct ptl_receiver_more *m = r->more;
        uint32_t made = ptl_receiver_entry(space, r)->made;

        if (!m || !m->no_senders || made < m->sync || ptl_senders_any(space, r))
                return;
        ptl_request_fire(space, &m->no_senders, PTL_NOTIFY_NO_SENDERS, made);
}
