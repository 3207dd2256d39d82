/* SPDX-License-Identifier: Apache-2.0 */
/* port/ticket.c - rights to our ports that were given on and not asked for yet (handoff.h: the port's task) */
#include "port/deliver.h"
#include "port/handoff.h"
#include "port/moving.h"
#include "port/senders.h"

enum { LOOK_FRAMES = 64 }; /* a turn of the leader's: a claim makes nobody wait for longer than that */

static struct ptl_task_id id_of(const struct ptl_peer *peer) { return peer->link.identity.task; }

/* --- tickets --- */

static struct ptl_granter *granter_of(struct ptl_peer *peer)
{
        struct ptl_handoff *h = ptl_handoff_of(peer);
        struct ptl_granter *g;

        if (!h || h->granter)
                return h ? h->granter : NULL;
        g = calloc(1, sizeof *g);
        if (!g)
                return NULL;
        g->id = id_of(peer);
        g->peer = peer;
        ptl_table_init(&g->tickets, sizeof(struct ptl_ticket), PTL_TICKETS_MAX + 1);
        g->next = peer->space->granters;
        peer->space->granters = g;
        return h->granter = g;
}

/* Those of the dead that nobody waits for any more. */
static void tidy(struct ptl_space *space)
{
        struct ptl_granter **at = &space->granters;

        while (*at) {
                struct ptl_granter *g = *at;

                if (g->peer || g->used) {
                        at = &g->next;
                        continue;
                }
                *at = g->next;
                ptl_table_fini(&g->tickets);
                free(g);
        }
}

/* One of @granter's tickets was asked for: if it is dead that may have been its last, and nobody else comes by. Who
 * looks at a link does not expect others' tickets to go; a death that makes it look tidies up behind it. */
static void tidy_behind(struct ptl_space *space, const struct ptl_granter *granter)
{
        if (!granter->peer && !granter->used && !space->looking)
                tidy(space);
}

static void attach(struct ptl_ticket *t, struct ptl_receiver *receiver)
{
        t->receiver = receiver;
        t->next = receiver->tickets;
        t->previous = &receiver->tickets;
        if (t->next)
                t->next->previous = &t->next;
        receiver->tickets = t;
}

static void detach(struct ptl_ticket *t)
{
        if (!t->receiver)
                return;
        *t->previous = t->next;
        if (t->next)
                t->next->previous = t->previous;
        t->receiver = NULL;
}

void ptl_tickets_port_died(struct ptl_receiver *receiver)
{
        while (receiver->tickets)
                detach(receiver->tickets);
}

struct ptl_task_id ptl_ticket_granter(const struct ptl_space *space, const struct ptl_ticket *t)
{
        const struct ptl_granter *g = space->granters;

        while (ptl_table_at(&g->tickets, t->index) != t)
                g = g->next;
        return g->id;
}

void ptl_tickets_moved(struct ptl_receiver *receiver)
{
        ptl_tickets_port_died(receiver); /* each has its stub by now */
}

static void free_ticket(struct ptl_granter *granter, struct ptl_ticket *t)
{
        t->state = PTL_TICKET_FREE;
        granter->used--;
}

/* A right that was given on is no more, or is counted elsewhere by now. */
static void uncount(struct ptl_space *space, struct ptl_receiver *receiver, uint8_t carries)
{
        if (receiver && carries == PTL_GRANT_SEND)
                ptl_senders_gone(space, receiver);
}

static void unused(struct ptl_space *space, struct ptl_receiver *receiver, uint8_t carries)
{
        if (receiver && carries == PTL_GRANT_ONCE)
                ptl_notify(space, receiver->name, PTL_NOTIFY_SEND_ONCE, 0, NULL);
}

/* Nobody will ask for it any more: the granter is to be told, by tell(). What it counted is the caller's to uncount. */
static void settle(struct ptl_granter *granter, struct ptl_ticket *t)
{
        detach(t);
        if (!granter->peer) {
                free_ticket(granter, t);
                return;
        }
        t->state = PTL_TICKET_SETTLED;
        t->settled_next = granter->settled;
        granter->settled = t->index;
        ptl_control_set_pending(granter->peer, true);
}

static void tell(struct ptl_granter *granter)
{
        if (granter->peer)
                ptl_control_flush(granter->peer);
}

/* As a right that is given up unused. */
static void cancel(struct ptl_space *space, struct ptl_granter *granter, struct ptl_ticket *t)
{
        struct ptl_receiver *receiver = t->receiver;
        struct ptl_stub *stub = t->stub;
        uint8_t carries = t->carries;

        t->stub = NULL;
        settle(granter, t);
        if (stub)
                ptl_stub_end(space, stub);
        tell(granter);
        unused(space, receiver, carries);
        uncount(space, receiver, carries);
}

static struct ptl_ticket *find(const struct ptl_space *space, const struct ptl_frame_redeem *claim,
                               struct ptl_granter **ret_granter)
{
        for (struct ptl_granter *g = space->granters; g; g = g->next) {
                struct ptl_ticket *t = ptl_task_is(g->id, claim->granter)
                                               ? ptl_table_at(&g->tickets, ptl_ticket_index(claim->ticket))
                                               : NULL;

                if (t && t->state == PTL_TICKET_OPEN && t->ticket == claim->ticket) {
                        *ret_granter = g;
                        return t;
                }
        }
        return NULL;
}

/* --- claims --- */

/* The claim of a free index is judged: @t: its ticket, or NULL. */
static int judge(struct ptl_peer *claimant, uint32_t right, struct ptl_granter *granter, struct ptl_ticket *t)
{
        bool good = t && ptl_task_is(t->grantee, id_of(claimant));
        struct ptl_receiver *receiver = good ? t->receiver : NULL;
        uint8_t carries = good ? t->carries : PTL_GRANT_SEND;
        struct ptl_stub *stub = good ? t->stub : NULL;
        struct ptl_grant *g;
        int r;

        if (stub) { /* its port has moved on */
                t->stub = NULL;
                settle(granter, t);
                return ptl_stub_claim(claimant, right, stub, (enum ptl_grant_kind)carries);
        }
        if (good) /* its place in the port's list is the grant's from here on */
                settle(granter, t);
        r = ptl_grant_redeem(claimant, right, receiver, (enum ptl_grant_kind)carries, &g);
        if (!r && g->receiver && carries == PTL_GRANT_SEND)
                ptl_grant_mark(g, PTL_MARK_SAME);
        if (r || !g->receiver)
                unused(claimant->space, receiver, carries);
        uncount(claimant->space, receiver, carries); /* the grant was counted before */
        /* The granter is told at the next look: nobody waits for that, and it may have to be woken, on the CPU of who
         * waits for this. */
        if (good)
                tidy_behind(claimant->space, granter);
        return r;
}

/* Takes in what a granter has written; false: it could not be read to the end. */
static bool read_peer(struct ptl_peer *peer)
{
        struct ptl_frame next;
        int r;

        if (ptl_link_state(&peer->link) == PTL_LINK_INTRODUCED) {
                ptl_lock(&peer->link.lock);
                ptl_link_bell_introduced(&peer->link); /* its HELLO is there: H2 */
                ptl_unlock(&peer->link.lock);
        }
        if (!peer->link.peer.base || peer->restrained)
                return false;
        if (!peer->hot && !peer->watched_open)
                peer->space->opened(peer->space, peer);
        r = ptl_deliver(peer, NULL, LOOK_FRAMES);
        if (r == PTL_E_QUOTA) /* with its next message it is held back, and read when it is let go */
                return false;
        if (r) {
                ptl_link_accuse(&peer->link); /* the leader ends it */
                return true;
        }
        return ptl_ring_peek(&peer->link.rx, &next) != 0;
}

/* Looks at a granter's links but for @busy, one of whose frames is being taken in: those behind it wait for it. False:
 * not all could be read. What is found is in the tickets. */
static bool look_at(struct ptl_space *space, struct ptl_task_id granter, const struct ptl_peer *busy)
{
        bool all = true;

        if (space->looking)
                return false;
        space->looking = true;
        for (struct ptl_peer *p = space->peers; p; p = p->next)
                if (p != busy && ptl_task_is(id_of(p), granter) && ptl_link_state(&p->link) != PTL_LINK_DEAD && !p->link.accused)
                        all &= read_peer(p);
        space->looking = false;
        return all;
}


/* There is no place for it: dead, for the limit of that number (0: for none). */
static int refuse(struct ptl_peer *claimant, uint32_t right, uint32_t limit)
{
        int r = judge(claimant, right, NULL, NULL);
        struct ptl_grant *g = r ? NULL : ptl_grant_find(claimant, right | PTL_RIGHT_CLAIMED);

        if (g)
                g->limit_units = limit; /* ptl_grant_refused() */
        return r;
}

static int park(struct ptl_peer *claimant, uint32_t right, const struct ptl_frame_redeem *claim)
{
        struct ptl_handoff *h = ptl_handoff_of(claimant);
        uint32_t limit = ptl_quota_take(claimant, PTL_QUOTA_PARKED);
        struct ptl_parked *p;
        int r;

        if (limit)
                return refuse(claimant, right, limit);
        p = h && h->parked < PTL_REDEEMS_MAX ? malloc(sizeof *p) : NULL;
        r = p ? ptl_grant_park(claimant, right) : refuse(claimant, right, 0);
        if (!p || r) {
                ptl_quota_give(claimant, PTL_QUOTA_PARKED, 1);
                free(p);
                return r;
        }
        *p = (struct ptl_parked){claimant->space->parked, claimant, right, *claim};
        claimant->space->parked = p;
        h->parked++;
        return 0;
}

int ptl_ticket_redeem(struct ptl_peer *peer, const struct ptl_frame *f)
{
        struct ptl_granter *granter = NULL;
        struct ptl_frame_redeem claim;
        struct ptl_ticket *t;
        bool all = true;

        if (ptl_frame_body(f->body, f->length, &claim, sizeof claim) || ptl_right_is_claimed(f->head.right))
                return PTL_E_MALFORMED;
        t = find(peer->space, &claim, &granter);
        if (!t && !ptl_task_is(claim.granter, id_of(peer))) {
                all = look_at(peer->space, claim.granter, peer);
                t = find(peer->space, &claim, &granter);
        }
        return t || all ? judge(peer, f->head.right, granter, t) : park(peer, f->head.right, &claim); /* H3 */
}

/* The claim is judged now: as if it came only now. */
static void unpark(struct ptl_parked **at, struct ptl_granter *granter, struct ptl_ticket *t)
{
        struct ptl_parked *p = *at;
        struct ptl_grant *g = ptl_grant_find(p->claimant, p->right | PTL_RIGHT_CLAIMED);

        *at = p->next;
        p->claimant->handoff->parked--;
        ptl_quota_give(p->claimant, PTL_QUOTA_PARKED, 1);
        if (g) {
                ptl_grant_unpark(g);
                (void)!judge(p->claimant, p->right, granter, t); /* it could be claimed before */
                ptl_control_flush(p->claimant);
        }
        free(p);
}

void ptl_tickets_look_again(struct ptl_space *space, struct ptl_task_id id)
{
        struct ptl_parked **at = &space->parked;
        bool any = false, all;

        for (const struct ptl_parked *p = space->parked; p; p = p->next)
                any |= ptl_task_is(p->claim.granter, id);
        if (!any || space->looking)
                return;
        all = look_at(space, id, NULL);
        while (*at) {
                struct ptl_granter *granter = NULL;
                struct ptl_ticket *t = find(space, &(*at)->claim, &granter);

                if (ptl_task_is((*at)->claim.granter, id) && (t || all))
                        unpark(at, granter, t);
                else
                        at = &(*at)->next;
        }
}

/* A claim that came ahead of this ticket. */
static void unpark_for(struct ptl_space *space, struct ptl_granter *granter, struct ptl_ticket *t)
{
        for (struct ptl_parked **at = &space->parked; *at; at = &(*at)->next)
                if ((*at)->claim.ticket == t->ticket && ptl_task_is((*at)->claim.granter, granter->id) &&
                    ptl_task_is(id_of((*at)->claimant), t->grantee)) {
                        unpark(at, granter, t);
                        return;
                }
}

/* --- the granter --- */

/* Of a port that has moved on: its giver gives again where that is; this ticket nobody asks for. */
static int skip_item(struct ptl_granter *granter, const struct ptl_frame_give_item *item)
{
        uint32_t index = ptl_ticket_index(item->ticket);
        struct ptl_ticket *t = ptl_table_ensure(&granter->tickets, index) ? ptl_table_at(&granter->tickets, index) : NULL;

        if (!t || t->state != PTL_TICKET_FREE)
                return PTL_E_MALFORMED;
        *t = (struct ptl_ticket){.index = index, .state = PTL_TICKET_OPEN, .ticket = item->ticket};
        granter->used++;
        settle(granter, t);
        return 0;
}

static int take_item(struct ptl_peer *peer, struct ptl_granter *granter, struct ptl_task_id grantee,
                     const struct ptl_frame_give_item *item)
{
        uint8_t carries = item->kind == PTL_CARRY_SEND ? PTL_GRANT_SEND : PTL_GRANT_ONCE;
        struct ptl_grant *g = ptl_grant_find(peer, item->right);
        uint32_t index = ptl_ticket_index(item->ticket);
        struct ptl_receiver *receiver;
        struct ptl_ticket *t;

        if (g && g->kind == PTL_GRANT_MOVED)
                return skip_item(granter, item); /* V7 */
        if (!g || g->kind != carries || !g->references || !ptl_table_ensure(&granter->tickets, index))
                return PTL_E_MALFORMED;
        t = ptl_table_at(&granter->tickets, index);
        if (t->state != PTL_TICKET_FREE)
                return PTL_E_MALFORMED;
        receiver = g->receiver;
        if (carries == PTL_GRANT_ONCE)
                ptl_grant_free(g); /* H10 */
        *t = (struct ptl_ticket){.index = index,
                                 .state = PTL_TICKET_OPEN,
                                 .ticket = item->ticket,
                                 .grantee = grantee,
                                 .carries = carries};
        granter->used++;
        if (receiver)
                attach(t, receiver);
        if (receiver && carries == PTL_GRANT_SEND)
                ptl_senders_add(peer->space, receiver);
        unpark_for(peer->space, granter, t);
        return 0;
}

int ptl_ticket_give(struct ptl_peer *peer, const struct ptl_frame *f)
{
        struct ptl_granter *granter = granter_of(peer);
        struct ptl_give give;
        int r = 0;

        if (ptl_give_decode(f->body, f->length, &give))
                return PTL_E_MALFORMED;
        if (!granter) /* no memory: who asks for one of these is told that it is dead */
                return 0;
        for (uint32_t i = 0; !r && i < give.count; i++)
                r = take_item(peer, granter, give.grantee, &give.items[i]);
        return r;
}

int ptl_ticket_withdraw(struct ptl_peer *peer, const struct ptl_frame *f)
{
        struct ptl_granter *granter = peer->handoff ? peer->handoff->granter : NULL;
        struct ptl_ticket *t = granter ? ptl_table_at(&granter->tickets, ptl_ticket_index(f->head.right)) : NULL;

        if (f->length)
                return PTL_E_MALFORMED;
        if (t && t->state == PTL_TICKET_OPEN && (uint32_t)t->ticket == f->head.right)
                cancel(peer->space, granter, t);
        return 0;
}

/* Given to this task itself, over another link with the dead one (H11), which is read to its end now. */
static void look_at_own(struct ptl_space *space, struct ptl_granter *granter, struct ptl_ticket *t)
{
        uint64_t ticket = t->ticket;

        (void)look_at(space, granter->id, NULL);
        if (t->state == PTL_TICKET_OPEN && t->ticket == ticket)
                cancel(space, granter, t);
}

/* H5: what a dead granter gave stays, and its grantees are asked. */
static void ask_grantees(struct ptl_space *space, struct ptl_granter *granter)
{
        for (uint32_t i = 1; i < granter->tickets.length; i++) {
                struct ptl_ticket *t = ptl_table_at(&granter->tickets, i);
                struct ptl_peer *p;

                if (t->state == PTL_TICKET_OPEN && ptl_task_is(t->grantee, space->me->task))
                        look_at_own(space, granter, t);
                if (t->state != PTL_TICKET_OPEN || t->asked)
                        continue;
                p = space->seek(space, t->grantee, granter->id);
                if (!p || !ptl_handoff_of(p)) {
                        cancel(space, granter, t);
                        continue;
                }
                p->handoff->ask = true;
                ptl_control_set_pending(p, true);
                ptl_control_flush(p);
        }
}

static void granter_died(struct ptl_space *space, struct ptl_granter *granter)
{
        granter->peer = NULL;
        granter->settled = 0;
        for (uint32_t i = 1; i < granter->tickets.length; i++) {
                struct ptl_ticket *t = ptl_table_at(&granter->tickets, i);

                if (t->state == PTL_TICKET_SETTLED)
                        free_ticket(granter, t);
        }
        ask_grantees(space, granter);
}

/* --- the grantee --- */

static void cancel_of(struct ptl_space *space, struct ptl_granter *granter, struct ptl_task_id grantee)
{
        for (uint32_t i = 1; i < granter->tickets.length; i++) {
                struct ptl_ticket *t = ptl_table_at(&granter->tickets, i);

                if (t->state == PTL_TICKET_OPEN && ptl_task_is(t->grantee, grantee))
                        cancel(space, granter, t);
        }
}

int ptl_ticket_read_out(struct ptl_peer *peer, const struct ptl_frame *f)
{
        struct ptl_space *space = peer->space;
        struct ptl_task_id id;

        if (ptl_frame_body(f->body, f->length, &id, sizeof id))
                return PTL_E_MALFORMED;
        if (!peer->handoff || !peer->handoff->asks_out)
                return 0;
        peer->handoff->asks_out--;
        for (struct ptl_granter *g = space->granters; g; g = g->next)
                if (!g->peer && ptl_task_is(g->id, id))
                        cancel_of(space, g, id_of(peer));
        tidy(space);
        if (peer->handoff->ask) /* one more may be asked */
                ptl_control_set_pending(peer, true);
        return 0;
}

/* Is it the end of the task, as far as we are concerned, or of a link that never was one? */
bool ptl_is_end_of_task(const struct ptl_peer *peer)
{
        if (!peer->link.peer.base && !peer->known_dead && !peer->link.refused && !peer->link.accused)
                return false;
        for (const struct ptl_peer *p = peer->space->peers; p; p = p->next)
                if (p != peer && ptl_link_state(&p->link) != PTL_LINK_DEAD && ptl_task_is(id_of(p), id_of(peer)))
                        return false;
        return true;
}

static void drop_parked(struct ptl_peer *claimant)
{
        struct ptl_parked **at = &claimant->space->parked;

        while (*at) {
                struct ptl_parked *p = *at;

                if (p->claimant != claimant) {
                        at = &p->next;
                        continue;
                }
                *at = p->next;
                ptl_quota_give(claimant, PTL_QUOTA_PARKED, 1);
                free(p);
        }
}

void ptl_ticket_peer_died(struct ptl_peer *peer)
{
        struct ptl_space *space = peer->space;
        struct ptl_granter *granter = peer->handoff ? peer->handoff->granter : NULL;

        drop_parked(peer);
        if (ptl_is_end_of_task(peer)) /* H6 */
                for (struct ptl_granter *g = space->granters; g; g = g->next)
                        cancel_of(space, g, id_of(peer));
        if (granter) {
                peer->handoff->granter = NULL;
                granter_died(space, granter);
        }
        tidy(space);
        ptl_tickets_look_again(space, id_of(peer));
}

void ptl_tickets_drop(struct ptl_space *space)
{
        for (struct ptl_granter *g = space->granters; g; g = g->next)
                for (uint32_t i = 1; i < g->tickets.length; i++) {
                        struct ptl_ticket *t = ptl_table_at(&g->tickets, i);

                        if (t->state == PTL_TICKET_OPEN)
                                cancel(space, g, t);
                }
        tidy(space);
}

struct ptl_receiver *ptl_ticket_take_own(const struct ptl_peer *from, const struct ptl_frame_redeem *claim,
                                         uint8_t *ret_carries)
{
        struct ptl_space *space = from->space;
        struct ptl_granter *granter = NULL;
        struct ptl_ticket *t = find(space, claim, &granter);
        struct ptl_receiver *receiver;

        if (!t) {
                (void)look_at(space, claim->granter, from);
                t = find(space, claim, &granter);
        }
        if (!t || !ptl_task_is(t->grantee, space->me->task))
                return NULL;
        if (t->stub) { /* of a port that has moved on: a dead name */
                cancel(space, granter, t);
                return NULL;
        }
        receiver = t->receiver;
        *ret_carries = t->carries;
        settle(granter, t);
        tidy_behind(space, granter);
        return receiver;
}

/* --- what is to be written --- */

static int flush_settled(struct ptl_peer *peer, struct ptl_granter *granter)
{
        while (granter->settled) {
                struct ptl_ticket *t = ptl_table_at(&granter->tickets, granter->settled);
                struct ptl_frame_head head = {.right = (uint32_t)t->ticket};
                int r = ptl_control_write(&peer->link, PTL_FRAME_SETTLED, &head, NULL, 0);

                if (r)
                        return r;
                granter->settled = t->settled_next;
                free_ticket(granter, t);
        }
        return 0;
}

/* Has this dead task given the peer something that it was not asked about? Marks it asked. */
static bool is_to_ask(struct ptl_granter *granter, struct ptl_task_id grantee, bool mark)
{
        bool any = false;

        for (uint32_t i = 1; i < granter->tickets.length; i++) {
                struct ptl_ticket *t = ptl_table_at(&granter->tickets, i);

                if (t->state != PTL_TICKET_OPEN || t->asked || !ptl_task_is(t->grantee, grantee))
                        continue;
                any = true;
                t->asked = t->asked || mark;
        }
        return any;
}

static int flush_asks(struct ptl_peer *peer)
{
        struct ptl_handoff *h = peer->handoff;

        for (struct ptl_granter *g = peer->space->granters; g; g = g->next) {
                int r;

                if (g->peer || !is_to_ask(g, id_of(peer), false))
                        continue;
                if (h->asks_out == PTL_ASKS_MAX)
                        return 0; /* h->ask stays: the next answer's turn */
                r = ptl_control_write(&peer->link, PTL_FRAME_ASK, &(struct ptl_frame_head){.right = 0}, &g->id,
                                      sizeof g->id);
                if (r)
                        return r;
                h->asks_out++;
                (void)is_to_ask(g, id_of(peer), true);
        }
        h->ask = false;
        return 0;
}

int ptl_ticket_flush(struct ptl_peer *peer)
{
        struct ptl_handoff *h = peer->handoff;
        int r = h->granter ? flush_settled(peer, h->granter) : 0;

        return r || !h->ask ? r : flush_asks(peer);
}
