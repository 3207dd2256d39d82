/* SPDX-License-Identifier: Apache-2.0 */
/* port/settle.c - a port comes from another task (moving.h: the new receiver) */
#include "port/moving.h"
#include "port/reroute.h"
#include "port/request.h"
#include "port/senders.h"
#include <string.h>

static struct ptl_task_id id_of(const struct ptl_peer *peer) { return peer->link.identity.task; }

static struct ptl_settling *find(const struct ptl_peer *from, uint32_t number)
{
        struct ptl_settling *s = from->space->settlings;

        while (s && (s->from != from || s->number != number))
                s = s->next;
        return s;
}

/* --- life --- */

static void drop_behind(struct ptl_space *space, struct ptl_settler *h)
{
        struct ptl_queued *q;

        while ((q = h->behind)) {
                h->behind = q->next;
                ptl_queued_free(space, q);
        }
        h->behind_tail = &h->behind;
        h->n_behind = 0;
}

static bool is_over(const struct ptl_settling *s)
{
        for (uint32_t i = 0; i < s->holders; i++)
                if (ptl_settler_at(s, i)->stub)
                        return false;
        if (!s->from)
                return !s->receiver;
        for (uint32_t i = 0; i < s->holders; i++)
                if (!ptl_settler_at(s, i)->done)
                        return false;
        return !s->receiver && s->committed;
}

/* Somebody may still claim it: told at once that there is nothing, not when the server says that the old receiver is
 * unknown. */
static bool is_awaited(const struct ptl_settling *s)
{
        for (uint32_t i = 0; i < s->holders; i++)
                if (!ptl_settler_at(s, i)->claims && !ptl_settler_at(s, i)->dead)
                        return true;
        return false;
}

/* Nobody needs what is known of it any more. */
static void tidy(struct ptl_space *space)
{
        enum { REMEMBERED = 64 };
        struct ptl_settling **at = &space->settlings;
        unsigned n = 0;

        while (*at) {
                struct ptl_settling *s = *at;

                if (!is_over(s) || (is_awaited(s) && n++ < REMEMBERED && !space->leaving)) {
                        at = &s->next;
                        continue;
                }
                *at = s->next;
                for (uint32_t i = 0; i < s->holders; i++)
                        drop_behind(space, ptl_settler_at(s, i));
                ptl_table_fini(&s->settlers);
                free(s);
        }
}

void ptl_settle_receiver_died(struct ptl_space *space, struct ptl_receiver *r)
{
        (void)space;
        r->more->settling->receiver = NULL; /* what is known goes when nothing more can be told */
        r->more->settling = NULL;
}

static void destroy(struct ptl_space *space, struct ptl_settling *s)
{
        if (s->receiver)
                ptl_receiver_doom(space, s->receiver->name);
}

/* A name that nobody knows keeps the port until its message is opened. */
static struct ptl_receiver *receiver_new(struct ptl_space *space, uint32_t messages, uint64_t bytes)
{
        struct ptl_receiver *r;
        struct ptl_entry *e;
        ptl_port name;

        if (ptl_receiver_new(space, messages, bytes, &name))
                return NULL;
        r = ptl_receiver_of(space, name);
        e = ptl_receiver_entry(space, r);
        e->rights = 0;
        e->flags |= PTL_ENTRY_MAILED;
        if (ptl_receiver_more(r))
                return r;
        ptl_receiver_free(space, r);
        return NULL;
}

static uint32_t staged(const struct ptl_peer *from)
{
        uint32_t n = 0;

        for (const struct ptl_settling *s = from->space->settlings; s; s = s->next)
                n += s->from == from && !s->committed;
        return n;
}

static int begin(struct ptl_peer *peer, const struct ptl_frame *f)
{
        struct ptl_moving *m = ptl_moving_of(peer);
        struct ptl_move_port body;
        struct ptl_settling *s;

        if (ptl_move_port_decode(f->body, f->length, &body) || (m && f->head.right <= m->came) ||
            staged(peer) == PTL_MOVES_STAGED)
                return PTL_E_MALFORMED;
        s = m ? calloc(1, sizeof *s) : NULL;
        if (!s)
                return 0; /* what is told of it is ignored, and its claims are refused */
        m->came = f->head.right;
        s->from = peer;
        s->task = id_of(peer);
        s->number = f->head.right;
        ptl_table_init(&s->settlers, sizeof(struct ptl_settler), PTL_RIGHT_INDEX_MAX);
        s->receiver = receiver_new(peer->space, body.limit_messages, (uint64_t)body.limit_units * 64);
        if (s->receiver)
                s->receiver->more->settling = s;
        s->next = peer->space->settlings;
        peer->space->settlings = s;
        return 0;
}

/* --- holders --- */

static void count(struct ptl_space *space, struct ptl_settling *s, struct ptl_settler *h)
{
        h->counted = s->receiver && h->told.kind == PTL_CARRY_SEND;
        if (h->counted)
                ptl_senders_add(space, s->receiver);
}

static void uncount(struct ptl_space *space, struct ptl_settling *s, struct ptl_settler *h)
{
        bool counted = h->counted;

        h->counted = false;
        if (counted && s->receiver)
                ptl_senders_gone(space, s->receiver);
}

/* One that had no number there has one by now. */
static int known_by(const struct ptl_settling *s, struct ptl_settler *h, const struct ptl_move_holder *body)
{
        if (!s->committed || h->claims || h->done || body->kind != h->told.kind)
                return PTL_E_MALFORMED;
        h->told.task = body->task;
        h->told.number = body->number;
        h->told.granter = body->granter;
        h->told.references = body->references;
        return 0;
}

static int holder(struct ptl_peer *peer, struct ptl_settling *s, const struct ptl_frame *f)
{
        struct ptl_move_holder body;
        struct ptl_settler *h;

        if (ptl_move_holder_decode(f->body, f->length, &body) || f->head.token > s->holders)
                return PTL_E_MALFORMED;
        if (f->head.token < s->holders)
                return known_by(s, ptl_settler_at(s, f->head.token), &body);
        if (!ptl_table_ensure(&s->settlers, s->holders + 1))
                return PTL_E_MALFORMED;
        h = ptl_table_at(&s->settlers, ++s->holders);
        *h = (struct ptl_settler){.told = body, .has = body.count.count};
        h->behind_tail = &h->behind;
        if (s->committed)
                count(peer->space, s, h);
        return 0;
}

static int recount(struct ptl_settling *s, const struct ptl_frame *f)
{
        struct ptl_settler *h = ptl_settler_at(s, f->head.token);
        struct ptl_move_count body;

        if (!h || s->committed || ptl_move_count_decode(f->body, f->length, &body))
                return PTL_E_MALFORMED;
        h->told.count = body;
        h->has = body.count;
        return 0;
}

/* --- messages --- */

static int queued(struct ptl_peer *peer, struct ptl_settling *s, const struct ptl_frame *f)
{
        bool behind = f->kind == PTL_FRAME_BEHIND;

        if (ptl_move_queued_decode(f->body, f->length, &peer->moving->queued) || s->committed != behind ||
            (!behind && f->head.token == PTL_NO_PLACE ? false : !ptl_settler_at(s, f->head.token)))
                return PTL_E_MALFORMED;
        peer->moving->awaits = s;
        peer->moving->place = f->head.token;
        peer->moving->behind = behind ? f->head.aux : 0;
        return 0;
}

struct ptl_settling *ptl_settle_awaits(struct ptl_peer *peer) { return peer->moving ? peer->moving->awaits : NULL; }

static void put(struct ptl_space *space, struct ptl_settling *s, struct ptl_queued *q)
{
        if (q->unsettled)
                ptl_redeem_queued(space, q, s->receiver->name);
        if (!ptl_receiver_came(space, q, s->receiver)) {
                ptl_queued_free(space, q);
                return;
        }
        (void)ptl_quota_enqueue(q);
        ptl_receiver_put(space, s->receiver, q);
}

/* N3: one above what this task has of the holder, once nothing else can come of it; N6. */
static void take_behind(struct ptl_space *space, struct ptl_settling *s, struct ptl_settler *h)
{
        struct ptl_queued *q;

        while ((q = h->behind) && h->dead) {
                h->behind = q->next;
                h->n_behind--;
                if (h->stub) { /* D is a stub as well */
                        ptl_stub_pass(h->stub, q);
                        continue;
                }
                if (q->slot != h->has + 1 || !s->receiver) { /* a repeat */
                        ptl_queued_free(space, q);
                        continue;
                }
                q->slot = 0;
                h->has++;
                put(space, s, q);
        }
        if (!h->behind)
                h->behind_tail = &h->behind;
        if (!h->done || h->behind)
                return;
        uncount(space, s, h);
        if (h->stub) {
                ptl_stub_end(space, h->stub);
                h->stub = NULL;
        }
        if (h->told.kind == PTL_CARRY_ONCE && !h->claims && !h->has && s->receiver && s->committed) {
                h->has = 1;
                ptl_notify(space, s->receiver->name, PTL_NOTIFY_SEND_ONCE, 0, NULL);
        }
}

static int keep_behind(struct ptl_peer *peer, struct ptl_settling *s, struct ptl_queued *q)
{
        struct ptl_settler *h = ptl_settler_at(s, peer->moving->place);

        q->slot = peer->moving->behind; /* of a message in a cell it says nothing else */
        if (h->done || h->n_behind > PTL_LIMIT_MESSAGES_MAX) {
                ptl_queued_free(peer->space, q);
                return PTL_E_MALFORMED;
        }
        q->next = NULL;
        *h->behind_tail = q;
        h->behind_tail = &q->next;
        h->n_behind++;
        if (!h->dead)
                (void)peer->space->seek(peer->space, h->told.task, id_of(peer));
        take_behind(peer->space, s, h);
        return 0;
}

int ptl_settle_message(struct ptl_peer *peer, struct ptl_queued *q)
{
        struct ptl_moving *m = peer->moving;
        struct ptl_settling *s = m->awaits;

        m->awaits = NULL;
        s->messages += !m->behind;
        if (!q)
                return 0;
        q->hops = (uint8_t)m->queued.hops;
        q->reply_carried = m->queued.reply && q->n_rights;
        q->attested = malloc(sizeof *q->attested);
        if (q->attested)
                *q->attested = m->queued.sender;
        if (m->behind)
                return keep_behind(peer, s, q);
        if (!s->receiver) {
                ptl_queued_free(peer->space, q);
                return 0;
        }
        q->settler = m->place == PTL_NO_PLACE || ptl_settler_at(s, m->place)->told.kind == PTL_CARRY_ONCE ? 0 : m->place + 1;
        put(peer->space, s, q);
        return 0;
}

void ptl_settle_taken(struct ptl_receiver *r, const struct ptl_queued *q)
{
        struct ptl_settler *h = r->more && r->more->settling ? ptl_settler_at(r->more->settling, q->settler - 1) : NULL;

        if (!h)
                return;
        h->told.count.taken++;
        h->told.count.taken_units += q->units;
}

ptl_port ptl_settle_name(struct ptl_peer *peer, uint32_t number)
{
        struct ptl_settling *s = find(peer, number);

        if (!s || s->named || !(s->committed || ptl_settle_awaits(peer)))
                return PTL_NULL;
        s->named = true;
        return s->receiver ? s->receiver->name : PTL_NULL;
}

/* --- this task's own rights to the port become its own --- */

/* What lies in messages of this task's is the port's by now, by its name. */
static void turn_items(struct ptl_space *space, ptl_port old, const struct ptl_receiver *to)
{
        for (uint32_t i = 1; i < space->entries.fresh; i++) {
                struct ptl_receiver *r = ptl_entry_receiver(ptl_table_at(&space->entries, i));

                for (struct ptl_queued *q = r ? r->head : NULL; q; q = q->next)
                        for (unsigned k = 0; !q->opened && k < q->n_rights; k++) {
                                if (q->carried[k].what != PTL_CARRY_HELD || q->carried[k].right != old)
                                        continue;
                                q->carried[k].what = PTL_CARRY_OWN;
                                ptl_senders_add(space, to);
                        }
        }
}

/* The name that this task has for a send right to the port becomes the port's: it is hidden until the message is
 * opened, but for that right. */
static void adopt_name(struct ptl_space *space, struct ptl_settling *s, struct ptl_entry *e)
{
        struct ptl_receiver *r = s->receiver;
        struct ptl_entry *hidden = ptl_receiver_entry(space, r), was = *hidden;
        ptl_port old = r->name;

        e->receiver = r;
        e->onces = was.onces;
        e->own = was.own;
        e->own_units = was.own_units;
        e->made = was.made;
        e->senders = was.senders;
        e->limit_bytes = was.limit_bytes;
        e->flags = PTL_ENTRY_MAILED;
        r->name = ptl_entry_name(e);
        hidden->flags &= (uint8_t)~PTL_ENTRY_MAILED;
        hidden->receiver = NULL;
        ptl_space_remove(space, hidden);
        space->renamed(space, old, r->name);
}

/* What was sent behind the count. */
static void adopt_messages(struct ptl_settling *s, struct ptl_queued *q)
{
        while (q) {
                struct ptl_queued *next = q->next;

                ptl_receiver_put(s->from->space, s->receiver, q);
                q = next;
        }
}

/* The RELEASE that is written for it has an entry of its own. */
static void forget_number(struct ptl_peer *from, uint32_t right)
{
        *ptl_held_name(from, right) = PTL_NULL;
        if (ptl_right_is_claimed(right))
                ptl_claim_hide(from, right);
}

static void adopt_send(struct ptl_space *space, struct ptl_settling *s, struct ptl_settler *h, struct ptl_entry *e)
{
        struct ptl_queued *behind = ptl_reroute_take(e->peer, e->remote, h->told.count.count);
        struct ptl_peer *from = e->peer;
        ptl_port name = ptl_entry_name(e);
        bool in_messages = e->transit != 0;

        e->released++;
        ptl_control_release(from, e);
        e->released = 0;
        forget_number(from, e->remote);
        if (e->flags & PTL_ENTRY_CLAIM)
                ptl_control_forget(from, e);
        e->peer = NULL;
        ptl_peer_unref(from);
        adopt_name(space, s, e);
        if (in_messages)
                turn_items(space, name, s->receiver);
        adopt_messages(s, behind);
        h->claims++;
}

static void adopt_once(struct ptl_space *space, struct ptl_settling *s, struct ptl_settler *h, struct ptl_entry *e)
{
        struct ptl_queued *behind = ptl_reroute_take(e->peer, e->remote, h->told.count.count);
        struct ptl_peer *from = e->peer;

        e->released = 1;
        ptl_control_release(from, e);
        e->released = 0;
        forget_number(from, e->remote);
        e->flags &= (uint8_t)~(PTL_ENTRY_HANDED | PTL_ENTRY_UNCONFIRMED);
        e->peer = NULL;
        e->remote = s->receiver->name;
        ptl_receiver_entry(space, s->receiver)->onces++;
        ptl_peer_unref(from);
        adopt_messages(s, behind);
        h->claims++;
}

static void adopt(struct ptl_peer *from, struct ptl_settling *s, struct ptl_settler *h)
{
        struct ptl_space *space = from->space;
        struct ptl_entry *e;

        if (!s->receiver || h->claims || h->told.granter.high || h->told.granter.low ||
            !ptl_task_is(h->told.task, space->me->task))
                return;
        e = ptl_held_entry(from, (uint32_t)h->told.number);
        if (!e || (e->rights | e->under_way) & PTL_RIGHT_DEAD)
                return; /* given up: the old receiver says so (DONE) */
        if (h->told.kind == PTL_CARRY_ONCE)
                adopt_once(space, s, h, e);
        else if (!ptl_receiver_entry(space, s->receiver)->rights)
                adopt_send(space, s, h, e);
}

/* --- commit, or not --- */

static int commit(struct ptl_peer *peer, struct ptl_settling *s, const struct ptl_frame *f)
{
        struct ptl_move_commit body;

        if (ptl_move_commit_decode(f->body, f->length, &body) || s->committed || peer->moving->awaits ||
            body.holders != s->holders || body.messages != s->messages)
                return PTL_E_MALFORMED;
        s->committed = true;
        for (uint32_t i = 0; i < s->holders; i++)
                adopt(peer, s, ptl_settler_at(s, i));
        for (uint32_t i = 0; i < s->holders; i++)
                if (!ptl_settler_at(s, i)->claims)
                        count(peer->space, s, ptl_settler_at(s, i));
        ptl_settle_look_again(peer->space, s->task, false);
        return 0;
}

static void refuse(struct ptl_space *space, struct ptl_settling *s)
{
        destroy(space, s);
        s->committed = true; /* for good: its claims meet no port */
        for (uint32_t i = 0; i < s->holders; i++)
                ptl_settler_at(s, i)->done = true;
        ptl_settle_look_again(space, s->task, false);
}

static int done(struct ptl_peer *peer, struct ptl_settling *s, const struct ptl_frame *f)
{
        struct ptl_settler *h = ptl_settler_at(s, f->head.token);

        if (!h || h->done || !s->committed || f->length)
                return PTL_E_MALFORMED;
        h->done = true;
        if (!h->behind)
                h->dead = true; /* nothing is to be waited for */
        take_behind(peer->space, s, h);
        return 0;
}

static int abandoned(struct ptl_peer *peer, struct ptl_settling *s, const struct ptl_frame *f)
{
        if (s->committed || f->length)
                return PTL_E_MALFORMED;
        refuse(peer->space, s);
        return 0;
}

static int told(struct ptl_peer *peer, struct ptl_settling *s, const struct ptl_frame *f)
{
        if (f->kind == PTL_FRAME_HOLDER)
                return holder(peer, s, f);
        if (f->kind == PTL_FRAME_COUNT)
                return recount(s, f);
        if (f->kind == PTL_FRAME_QUEUED || f->kind == PTL_FRAME_BEHIND)
                return queued(peer, s, f);
        if (f->kind == PTL_FRAME_COMMIT)
                return commit(peer, s, f);
        if (f->kind == PTL_FRAME_ABANDON)
                return abandoned(peer, s, f);
        return f->kind == PTL_FRAME_DONE ? done(peer, s, f) : PTL_E_MALFORMED;
}

int ptl_settle_frame(struct ptl_peer *peer, const struct ptl_frame *f)
{
        struct ptl_settling *s = find(peer, f->head.right);
        int r;

        if (f->kind == PTL_FRAME_MOVE)
                return begin(peer, f);
        if (!s) /* no memory for it, or over */
                return !peer->moving || f->head.right > peer->moving->came ? PTL_E_MALFORMED : 0;
        if (peer->moving->awaits)
                return PTL_E_MALFORMED;
        r = told(peer, s, f);
        tidy(peer->space);
        return r;
}

/* --- claims --- */

/* Those of several moves of one right, should there be, the latest. */
static struct ptl_settling *find_claimed(const struct ptl_space *space, struct ptl_task_id claimant,
                                         const struct ptl_move_claim *claim, struct ptl_settler **ret)
{
        for (struct ptl_settling *s = space->settlings; s; s = s->next)
                for (uint32_t i = 0; ptl_task_is(s->task, claim->task) && i < s->holders; i++) {
                        struct ptl_settler *h = ptl_settler_at(s, i);

                        if (h->told.number != claim->number || h->told.granter.high || h->told.granter.low ||
                            !ptl_task_is(h->told.task, claimant) || h->claims >= h->told.references)
                                continue;
                        *ret = h;
                        return s;
                }
        return NULL;
}

/* Its messages that came with the port count for its right here from now on. */
static void take_over(struct ptl_settling *s, uint32_t place, struct ptl_grant *g)
{
        struct ptl_peer *peer = ptl_grant_peer(g);

        for (struct ptl_queued *q = s->receiver->head; q; q = q->next) {
                if (q->settler != place + 1)
                        continue;
                ptl_quota_dequeue(peer->space, q);
                ptl_peer_unref(q->peer);
                q->peer = ptl_peer_ref(peer);
                q->settler = 0;
                q->grant = ptl_grant_right(g);
                q->serial = g->serial;
                (void)ptl_quota_enqueue(q);
        }
}

static uint32_t place_of(const struct ptl_settling *s, const struct ptl_settler *h)
{
        uint32_t place = 0;

        while (ptl_settler_at(s, place) != h)
                place++;
        return place;
}

/* N2: the counts go on, with what an early one has brought while it waited. */
static void go_on(struct ptl_settling *s, struct ptl_settler *h, struct ptl_grant *g)
{
        const struct ptl_move_count *c = &h->told.count;
        bool first = h->claims++ == 0;
        struct ptl_link *link = &ptl_grant_peer(g)->link;
        struct ptl_taken taken = ptl_taken_load(link, ptl_grant_index(g));

        g->arrived += c->count;
        g->arrived_units += c->units;
        taken.messages += first ? c->taken : c->count;
        taken.units += first ? c->taken_units : c->units;
        ptl_taken_store(link, ptl_grant_index(g), taken); /* before CONFIRM: E6 */
        if (!first)
                return;
        h->right = ptl_grant_right(g);
        take_over(s, place_of(s, h), g);
}

static int settle(struct ptl_peer *claimant, uint32_t right, struct ptl_settling *s, struct ptl_settler *h)
{
        bool once = h->told.kind == PTL_CARRY_ONCE;
        struct ptl_receiver *receiver = once && h->has ? NULL : s->receiver; /* used before */
        enum ptl_grant_kind kind = once ? PTL_GRANT_ONCE : PTL_GRANT_SEND;
        struct ptl_stub *stub = h->stub;
        struct ptl_grant *g;
        int r;

        if (stub) { /* the port has moved on */
                h->stub = NULL;
                h->claims++;
                return ptl_stub_claim(claimant, right, stub, kind);
        }
        r = ptl_grant_redeem(claimant, right, receiver, kind, &g);
        if (r || !g->receiver)
                return r;
        if (once)
                h->claims++;
        else
                go_on(s, h, g);
        ptl_grant_mark(g, PTL_MARK_SAME);
        uncount(claimant->space, s, h); /* the grant was counted before */
        return 0;
}

static int early(struct ptl_peer *claimant, uint32_t right, const struct ptl_move_claim *claim)
{
        struct ptl_space *space = claimant->space;
        struct ptl_early *p = malloc(sizeof *p);
        struct ptl_receiver *room = p ? receiver_new(space, PTL_LIMIT_MESSAGES_MAX, 0) : NULL;
        struct ptl_grant *g;
        int r = ptl_grant_redeem(claimant, right, room, PTL_GRANT_SEND, &g);

        if (r || !room || !g->receiver) {
                if (room)
                        ptl_receiver_doom(space, room->name);
                free(p);
                return r;
        }
        room->more->waits = true;
        *p = (struct ptl_early){.next = space->early,
                                .claimant = claimant,
                                .task = id_of(claimant),
                                .right = right | PTL_RIGHT_CLAIMED,
                                .claim = *claim,
                                .room = room->name};
        space->early = p;
        return 0;
}

/* N1: what the old receiver has written by now is looked at. Where there is no link with it, one may be under way: the
 * server says behind that that it does not know the task. False: not all could be read. */
static bool look_at(struct ptl_peer *claimant, struct ptl_task_id task)
{
        struct ptl_space *space = claimant->space;
        bool known = false, all = true;
        struct ptl_peer *next;

        if (space->looking)
                return false;
        space->looking = true;
        for (struct ptl_peer *p = space->peers; p; p = next) {
                next = p->next;
                if (!ptl_task_is(id_of(p), task) || ptl_link_state(&p->link) == PTL_LINK_DEAD)
                        continue;
                known = true;
                ptl_move_read(p); /* news was published behind all that is said of it (V4): a ring holds no more */
                all &= p->link.peer.base != NULL;
        }
        space->looking = false;
        return known ? all : !space->seek(space, task, id_of(claimant));
}

int ptl_settle_claim(struct ptl_peer *peer, const struct ptl_frame *f)
{
        struct ptl_move_claim claim;
        struct ptl_settler *h = NULL;
        struct ptl_settling *s;
        bool all = true;

        if (ptl_move_claim_decode(f->body, f->length, &claim) || ptl_right_is_claimed(f->head.right))
                return PTL_E_MALFORMED;
        s = find_claimed(peer->space, id_of(peer), &claim, &h);
        if ((!s || !s->committed) && !ptl_task_is(claim.task, id_of(peer))) { /* N1 */
                all = look_at(peer, claim.task);
                s = find_claimed(peer->space, id_of(peer), &claim, &h);
        }
        if (s && s->committed)
                return settle(peer, f->head.right, s, h);
        if (s || !all)
                return early(peer, f->head.right, &claim);
        return ptl_grant_claim_dead(peer, f->head.right);
}

/* What waited goes to the port, in order; the grant with it. */
static void move_in(struct ptl_space *space, struct ptl_early *p, struct ptl_settling *s, struct ptl_settler *h)
{
        struct ptl_receiver *room = ptl_receiver_anywhere(space, p->room);
        struct ptl_grant *g = p->claimant ? ptl_grant_find(p->claimant, p->right) : NULL;
        struct ptl_queued *q;

        if (!p->claimant)
                h->has += p->arrived; /* N4 */
        if (g && g->receiver == room) {
                ptl_grant_detach(space, g);
                ptl_grant_attach(space, g, s->receiver);
                ptl_senders_add(space, s->receiver);
                ptl_senders_undo(space, room);
                g->limit_messages = s->receiver->limit_messages;
                g->limit_units = s->receiver->limit_units;
                go_on(s, h, g);
                ptl_grant_mark(g, PTL_MARK_CONFIRM | PTL_MARK_SAME);
                uncount(space, s, h);
        }
        while ((q = ptl_receiver_unqueue_still(room))) {
                if (q->unsettled)
                        ptl_redeem_queued(space, q, s->receiver->name);
                if (ptl_receiver_came(space, q, s->receiver))
                        ptl_receiver_put(space, s->receiver, q);
                else
                        ptl_queued_free(space, q);
        }
}

static void end_early(struct ptl_space *space, struct ptl_early *p, struct ptl_settling *s, struct ptl_settler *h)
{
        struct ptl_receiver *room = ptl_receiver_anywhere(space, p->room);

        room->more->waits = false;
        if (s && s->receiver)
                move_in(space, p, s, h);
        ptl_receiver_doom(space, p->room); /* what is there still is destroyed, and its holder told */
        if (p->claimant)
                ptl_control_flush(p->claimant);
        free(p);
}

void ptl_settle_look_again(struct ptl_space *space, struct ptl_task_id task, bool all)
{
        struct ptl_early **at = &space->early;

        while (*at) {
                struct ptl_early *p = *at;
                struct ptl_settler *h = NULL;
                struct ptl_settling *s = ptl_task_is(p->claim.task, task)
                                                 ? find_claimed(space, p->task, &p->claim, &h)
                                                 : NULL;

                if (!ptl_task_is(p->claim.task, task) || !(s ? s->committed : all)) {
                        at = &p->next;
                        continue;
                }
                *at = p->next;
                end_early(space, p, s, h);
        }
}

struct ptl_receiver *ptl_settle_take_own(struct ptl_space *space, const struct ptl_frame_redeem *claim,
                                         uint8_t *ret_carries)
{
        for (struct ptl_settling *s = space->settlings; s; s = s->next)
                for (uint32_t i = 0; i < s->holders; i++) {
                        struct ptl_settler *h = ptl_settler_at(s, i);

                        if (h->claims || h->told.number != claim->ticket || !s->receiver ||
                            !ptl_task_is(h->told.granter, claim->granter) || !ptl_task_is(s->task, claim->granter) ||
                            !ptl_task_is(h->told.task, space->me->task))
                                continue;
                        h->claims++;
                        *ret_carries = h->told.kind == PTL_CARRY_ONCE ? PTL_GRANT_ONCE : PTL_GRANT_SEND;
                        if (!h->counted && h->told.kind == PTL_CARRY_SEND)
                                ptl_senders_add(space, s->receiver);
                        h->counted = false; /* it is the message's now */
                        return s->receiver;
                }
        return NULL;
}

uint32_t ptl_settle_onces(const struct ptl_receiver *r)
{
        const struct ptl_settling *s = r->more ? r->more->settling : NULL;
        uint32_t n = 0;

        for (uint32_t i = 0; s && i < s->holders; i++) {
                const struct ptl_settler *h = ptl_settler_at(s, i);

                n += h->told.kind == PTL_CARRY_ONCE && ptl_settler_waits(h);
        }
        return n;
}

/* --- deaths --- */

/* N4: what it had sent here was read out. */
static void holder_died(struct ptl_peer *peer, struct ptl_settling *s, struct ptl_settler *h)
{
        const struct ptl_grant *g = h->right ? ptl_grant_find(peer, h->right) : NULL;

        if (h->dead || !ptl_task_is(h->told.task, id_of(peer)))
                return;
        h->dead = true;
        if (g)
                h->has = g->arrived;
        if (!s->from)
                h->done = true; /* nobody else knows of it */
        take_behind(peer->space, s, h);
}

static void old_receiver_died(struct ptl_peer *peer, struct ptl_settling *s)
{
        s->from = NULL;
        if (!s->committed) {
                refuse(peer->space, s);
                return;
        }
        if (!s->named) {
                destroy(peer->space, s);
                return;
        }
        for (uint32_t i = 0; i < s->holders; i++) {
                struct ptl_settler *h = ptl_settler_at(s, i);

                /* Who was to be told by it of a number never comes. */
                if (ptl_task_is(h->told.task, s->task) || h->told.granter.high || h->told.granter.low)
                        h->dead = true;
                if (h->dead)
                        h->done = true;
                take_behind(peer->space, s, h);
                if (!h->done && !h->claims) /* N7: a death known to the server releases what it had */
                        (void)peer->space->seek(peer->space, h->told.task, s->task);
        }
}

/* What it had sent stays, for the port may be committed yet. */
static void early_died(struct ptl_peer *claimant)
{
        for (struct ptl_early *p = claimant->space->early; p; p = p->next) {
                const struct ptl_grant *g = p->claimant == claimant ? ptl_grant_find(claimant, p->right) : NULL;

                if (p->claimant != claimant)
                        continue;
                p->arrived = g ? g->arrived : 0;
                p->claimant = NULL;
        }
}

void ptl_settle_peer_died(struct ptl_peer *peer)
{
        struct ptl_space *space = peer->space;

        early_died(peer);
        for (struct ptl_settling *s = space->settlings; s; s = s->next) {
                for (uint32_t i = 0; ptl_is_end_of_task(peer) && i < s->holders; i++)
                        holder_died(peer, s, ptl_settler_at(s, i));
                if (s->from == peer)
                        old_receiver_died(peer, s);
        }
        tidy(space);
        ptl_settle_look_again(space, id_of(peer), true);
}

/* --- all roles --- */

void ptl_moving_peer_died(struct ptl_peer *peer)
{
        if (peer->moving)
                ptl_stubs_peer_died(peer);
        if (peer->space->settlings || peer->space->early)
                ptl_settle_peer_died(peer);
}

static void drop_settler(struct ptl_space *space, struct ptl_settler *h)
{
        h->dead = true;
        if (h->stub)
                ptl_stub_end(space, h->stub);
        h->stub = NULL;
}

void ptl_moving_drop(struct ptl_space *space)
{
        while (space->early)
                ptl_settle_look_again(space, space->early->claim.task, true);
        for (struct ptl_settling *s = space->settlings; s; s = s->next) {
                if (s->receiver)
                        s->receiver->more->settling = NULL;
                s->receiver = NULL;
                for (uint32_t i = 0; i < s->holders; i++)
                        drop_settler(space, ptl_settler_at(s, i));
        }
        tidy(space);
}

void ptl_moving_forked(struct ptl_space *space)
{
        space->moved = NULL;
        space->settlings = NULL;
        space->early = NULL;
}
