/* SPDX-License-Identifier: Apache-2.0 */
/* port/redeem.c - rights of third tasks that come in messages (handoff.h: the grantee) */
#include "base/clock.h"
#include "port/handoff.h"
#include "port/moving.h"
#include <string.h>

/* --- messages that wait (H7) --- */

void ptl_redeem_queued(struct ptl_space *space, const struct ptl_queued *q, ptl_port port)
{
        struct ptl_waiting **at = &space->waiting, *w = *at;

        while (w && w->queued != q)
                w = *(at = &w->next);
        if (w)
                w->port = port;
}

/* Before its first right: it waits from here on. */
static bool begin_wait(struct ptl_space *space, struct ptl_queued *q)
{
        struct ptl_waiting **at = &space->waiting, *w;

        if (q->unsettled)
                return true;
        w = malloc(sizeof *w);
        if (!w)
                return false;
        *w = (struct ptl_waiting){.queued = q, .until = ptl_after_ms(PTL_REDEEM_PATIENCE_MS)};
        while (*at)
                at = &(*at)->next;
        *at = w;
        return true;
}

/* Its port, where there is one: PTL_NULL: it is in no queue (yet). */
static ptl_port end_wait(struct ptl_space *space, struct ptl_queued *q)
{
        struct ptl_waiting **at = &space->waiting, *w;
        ptl_port port;

        while (*at && (*at)->queued != q)
                at = &(*at)->next;
        w = *at;
        if (!w)
                return PTL_NULL;
        *at = w->next;
        port = w->port;
        free(w);
        return port;
}

static void is_ready(struct ptl_space *space, struct ptl_queued *q)
{
        struct ptl_receiver *r = ptl_receiver_of(space, end_wait(space, q));

        q->unsettled = 0;
        if (r)
                space->ready(space, r);
}

static void settled(struct ptl_space *space, struct ptl_queued *q)
{
        if (q && q->unsettled && --q->unsettled == 0)
                is_ready(space, q);
}

/* Its rights have names of their own from now on, whatever is answered. */
static void let_go(struct ptl_space *space, const struct ptl_queued *q)
{
        for (struct ptl_peer *p = space->peers; p; p = p->next)
                for (struct ptl_redeem *r = p->handoff ? p->handoff->redeems : NULL; r; r = r->next)
                        if (r->waits == q)
                                r->waits = NULL;
}

void ptl_redeem_forget(struct ptl_space *space, struct ptl_queued *q)
{
        let_go(space, q);
        q->unsettled = 0;
        (void)end_wait(space, q);
}

ptl_time ptl_redeem_due(const struct ptl_space *space)
{
        return space->waiting ? space->waiting->until : PTL_FOREVER;
}

void ptl_redeem_step(struct ptl_space *space)
{
        while (space->waiting && ptl_deadline_passed(space->waiting->until)) {
                struct ptl_queued *q = space->waiting->queued;

                let_go(space, q);
                is_ready(space, q);
        }
}

/* --- claims --- */

static struct ptl_entry *entry_of(const struct ptl_peer *peer, const struct ptl_redeem *r)
{
        return ptl_table_at(&peer->space->entries, r->entry);
}

static struct ptl_redeem *find(const struct ptl_peer *peer, uint32_t number)
{
        struct ptl_redeem *r = peer->handoff->redeems;

        while (r && r->number != number)
                r = r->next;
        return r;
}

/* A name under which it is hidden until the message is opened, and a claim that is to be written. */
static ptl_port claim(struct ptl_peer *owner, struct ptl_redeem *r, unsigned rights)
{
        uint32_t number = ptl_claim_take(owner, 0);
        struct ptl_entry *e;
        ptl_port name;

        if (!number)
                return PTL_NULL;
        r->number = number;
        name = ptl_held_enter(owner, ptl_held_name(owner, number), rights, number, &e);
        if (!name) {
                ptl_held_forget(owner, number);
                return PTL_NULL;
        }
        e->flags |= PTL_ENTRY_HANDED | PTL_ENTRY_UNCONFIRMED;
        r->entry = ptl_entry_index(e);
        *owner->handoff->redeems_tail = r;
        owner->handoff->redeems_tail = &r->next;
        ptl_control_entry(owner, e, PTL_ENTRY_CLAIM);
        e->transit++;
        ptl_right_drop(owner->space, e, 1);
        return name;
}

/* @peer brought it, and may bring as many as an honest task gives to one. */
static struct ptl_frame_right redeem(struct ptl_peer *peer, struct ptl_peer *owner, const struct ptl_frame_redeem *what,
                                     unsigned rights, struct ptl_queued *q)
{
        struct ptl_frame_right f = {.what = PTL_CARRY_DEAD};
        struct ptl_handoff *h = ptl_handoff_of(peer);
        struct ptl_redeem *r = h && ptl_handoff_of(owner) && h->brought < PTL_TICKETS_MAX ? calloc(1, sizeof *r) : NULL;

        if (!r)
                return f;
        r->claim = *what;
        r->waits = q;
        r->granter = peer;
        f.right = begin_wait(owner->space, q) ? claim(owner, r, rights) : PTL_NULL;
        if (!f.right) {
                free(r);
                if (!q->unsettled)
                        (void)end_wait(owner->space, q);
                return f;
        }
        f.what = PTL_CARRY_HELD;
        h->brought++;
        q->unsettled++;
        ptl_control_flush(owner);
        return f;
}

/* A right to a port of this task, over another link than its own (H11). */
static struct ptl_frame_right redeem_own(const struct ptl_peer *from, const struct ptl_frame_redeem *what)
{
        struct ptl_frame_right f = {.what = PTL_CARRY_DEAD};
        uint8_t carries = PTL_GRANT_FREE;
        struct ptl_receiver *r = ptl_settle_take_own(from->space, what, &carries);

        if (!r)
                r = ptl_ticket_take_own(from, what, &carries);
        if (!r)
                return f;
        f.right = r->name;
        f.what = carries == PTL_GRANT_ONCE ? PTL_CARRY_OWN_ONCE : PTL_CARRY_OWN;
        if (carries == PTL_GRANT_ONCE)
                ptl_receiver_entry(from->space, r)->onces++;
        return f;
}

struct ptl_frame_right ptl_redeem_arrive(struct ptl_peer *peer, const struct ptl_frame_right *right,
                                         struct ptl_frame_given given, struct ptl_queued *q)
{
        struct ptl_frame_redeem what = {.ticket = given.ticket, .granter = peer->link.identity.task};
        unsigned rights = right->what == PTL_CARRY_GIVEN_ONCE ? PTL_RIGHT_SEND_ONCE : PTL_RIGHT_SEND;
        struct ptl_space *space = peer->space;
        struct ptl_peer *owner;

        if (ptl_task_is(given.owner, space->me->task))
                return redeem_own(peer, &what);
        owner = space->seek(space, given.owner, what.granter);
        return owner ? redeem(peer, owner, &what, rights, q) : (struct ptl_frame_right){.what = PTL_CARRY_DEAD};
}

int ptl_redeem_write(struct ptl_peer *peer, const struct ptl_entry *e)
{
        struct ptl_frame_head head = {.right = e->remote & ~PTL_RIGHT_CLAIMED};
        struct ptl_redeem *r = find(peer, e->remote);
        int outcome;

        if (!r)
                return 0;
        if (peer->handoff->redeems_out == PTL_REDEEMS_MAX)
                return PTL_E_FULL;
        outcome = ptl_control_write(&peer->link, PTL_FRAME_REDEEM, &head, &r->claim, sizeof r->claim);
        if (outcome)
                return outcome;
        r->written = true;
        peer->handoff->redeems_out++;
        return 0;
}

void ptl_redeem_gave_up(struct ptl_peer *peer, const struct ptl_entry *e)
{
        struct ptl_redeem *r = find(peer, e->remote);

        if (r)
                r->gave_up = true;
}

/* --- answers --- */

static bool is_same_task(const struct ptl_peer *a, const struct ptl_peer *b)
{
        return ptl_task_is(a->link.identity.task, b->link.identity.task);
}

/* Is a right of @granter's asked for over another link with the same task? What is said on this one would
 * overtake it. */
static bool is_asked_for_elsewhere(const struct ptl_peer *peer, struct ptl_task_id granter)
{
        for (const struct ptl_peer *p = peer->space->peers; p; p = p->next)
                for (const struct ptl_redeem *r = p != peer && p->handoff && is_same_task(p, peer)
                                                          ? p->handoff->redeems
                                                          : NULL;
                     r; r = r->next)
                        if (ptl_task_is(r->claim.granter, granter))
                                return true;
        return false;
}

/* READ_OUT may have waited for this on another link. */
static void answer_elsewhere(struct ptl_peer *peer)
{
        for (struct ptl_peer *p = peer->space->peers; p; p = p->next)
                if (p != peer && p->handoff && p->handoff->n_asks && is_same_task(p, peer)) {
                        ptl_control_set_pending(p, true);
                        ptl_control_flush(p);
                }
}

/* Settled: it is in no list any more. */
static void redeem_free(struct ptl_peer *owner, struct ptl_redeem *r)
{
        if (r->granter)
                r->granter->handoff->brought--;
        free(r);
        answer_elsewhere(owner);
}

/* Takes it from the list; NULL: there was none. The caller frees it. */
static struct ptl_redeem *take(struct ptl_peer *peer, uint32_t number)
{
        struct ptl_handoff *h = peer->handoff;
        struct ptl_redeem **at = &h->redeems, *r;

        while (*at && ((*at)->number != number || !(*at)->written))
                at = &(*at)->next;
        r = *at;
        if (!r)
                return NULL;
        *at = r->next;
        if (!*at)
                h->redeems_tail = at;
        h->redeems_out--;
        if (h->redeems_out == PTL_REDEEMS_MAX - 1 && peer->pending_entries)
                ptl_control_set_pending(peer, true);
        return r;
}

/* What was given up before the answer goes back now. */
static void release_late(struct ptl_peer *peer, const struct ptl_redeem *r)
{
        struct ptl_entry *e = entry_of(peer, r);

        e->flags &= (uint8_t)~(PTL_ENTRY_HANDED | PTL_ENTRY_UNCONFIRMED);
        ptl_control_entry(peer, e, PTL_ENTRY_RELEASE);
        ptl_control_flush(peer);
}

/* The message gets the name that the task has for this port already; the new right goes back. */
static void merge(struct ptl_queued *q, struct ptl_entry *e, struct ptl_entry *same)
{
        ptl_port name = ptl_entry_name(e);

        for (unsigned i = 0; i < q->n_rights; i++)
                if (q->carried[i].what == PTL_CARRY_HELD && q->carried[i].right == name)
                        q->carried[i].right = ptl_entry_name(same);
        same->transit++;
        e->transit--;
        e->under_way = 0;
        ptl_right_give_back(e);
}

static struct ptl_entry *find_same(struct ptl_peer *peer, uint32_t token, const struct ptl_entry *e)
{
        struct ptl_entry *same = token ? ptl_held_entry(peer, token) : NULL;

        return same && same != e && !(same->flags & PTL_ENTRY_HANDED) &&
                               (same->rights | same->under_way) & PTL_RIGHT_SEND
                       ? same
                       : NULL;
}

void ptl_redeem_confirmed(struct ptl_peer *peer, uint32_t right, uint32_t token)
{
        struct ptl_redeem *r = take(peer, right);
        struct ptl_entry *e, *same;

        if (!r)
                return;
        e = entry_of(peer, r);
        if (r->gave_up) {
                release_late(peer, r);
        } else if (r->waits && !e->rights && e->under_way & PTL_RIGHT_SEND) {
                same = find_same(peer, token, e);
                if (same)
                        merge(r->waits, e, same);
        }
        settled(peer->space, r->waits);
        peer->space->room(peer->space); /* who waits to use it, or to send it on */
        redeem_free(peer, r);
}

void ptl_redeem_refused(struct ptl_peer *peer, uint32_t right)
{
        struct ptl_redeem *r = take(peer, right);

        if (!r)
                return;
        if (r->gave_up)
                release_late(peer, r);
        settled(peer->space, r->waits);
        peer->space->room(peer->space);
        redeem_free(peer, r);
}

/* --- the port's task asks what is left of a dead one --- */

int ptl_redeem_ask(struct ptl_peer *peer, const struct ptl_frame *f)
{
        struct ptl_handoff *h = ptl_handoff_of(peer);
        struct ptl_task_id id;

        if (ptl_frame_body(f->body, f->length, &id, sizeof id))
                return PTL_E_MALFORMED;
        if (h && !h->asks)
                h->asks = calloc(PTL_ASKS_MAX, sizeof *h->asks);
        if (!h || !h->asks)
                return 0; /* the ticket stays until this task ends */
        for (uint32_t i = 0; i < h->n_asks; i++)
                if (ptl_task_is(h->asks[i].granter, id) && !h->asks[i].answered)
                        return 0;
        if (h->n_asks == PTL_ASKS_MAX)
                return PTL_E_MALFORMED;
        h->asks[h->n_asks++] = (struct ptl_asked){.granter = id, .again_at = PTL_NOW};
        peer->space->asks++;
        peer->space->rethink(peer->space); /* the leader is to ask the server */
        return 0;
}

void ptl_redeem_answered(struct ptl_peer *peer, struct ptl_asked *asked)
{
        asked->answered = true;
        peer->space->asks--;
        ptl_control_set_pending(peer, true);
        ptl_control_flush(peer);
}

int ptl_redeem_flush(struct ptl_peer *peer)
{
        struct ptl_handoff *h = peer->handoff;

        for (uint32_t i = 0; i < h->n_asks;) {
                int r;

                if (!h->asks[i].answered || is_asked_for_elsewhere(peer, h->asks[i].granter)) {
                        i++;
                        continue;
                }
                r = ptl_control_write(&peer->link, PTL_FRAME_READ_OUT, &(struct ptl_frame_head){.right = 0},
                                      &h->asks[i].granter, sizeof h->asks[i].granter);
                if (r)
                        return r;
                h->asks[i] = h->asks[--h->n_asks];
        }
        return 0;
}

/* --- the port's task dies --- */

static void drop_asks(struct ptl_peer *peer)
{
        struct ptl_handoff *h = peer->handoff;

        for (uint32_t i = 0; i < h->n_asks; i++)
                peer->space->asks -= !h->asks[i].answered;
        h->n_asks = 0;
}

void ptl_redeem_peer_died(struct ptl_peer *peer)
{
        struct ptl_handoff *h = peer->handoff;

        drop_asks(peer);
        while (h->redeems) {
                struct ptl_redeem *r = h->redeems;
                struct ptl_entry *e = entry_of(peer, r);

                h->redeems = r->next;
                e->flags &= (uint8_t)~(PTL_ENTRY_HANDED | PTL_ENTRY_UNCONFIRMED);
                if (r->gave_up) {
                        ptl_space_remove(peer->space, e);
                        peer->references--; /* never the last: our caller has one */
                }
                settled(peer->space, r->waits);
                redeem_free(peer, r);
        }
        h->redeems_tail = &h->redeems;
        h->redeems_out = 0;
}

void ptl_redeem_granter_died(struct ptl_peer *peer)
{
        for (struct ptl_peer *p = peer->space->peers; p && peer->handoff->brought; p = p->next)
                for (struct ptl_redeem *r = p->handoff ? p->handoff->redeems : NULL; r; r = r->next)
                        if (r->granter == peer)
                                r->granter = NULL;
        peer->handoff->brought = 0;
}
