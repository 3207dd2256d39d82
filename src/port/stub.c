/* SPDX-License-Identifier: Apache-2.0 */
/* port/stub.c - what stays where a port was, for each of its holders (moving.h) */
#include "port/moving.h"
#include <string.h>

struct ptl_stub *ptl_stub_of(const struct ptl_peer *holder, uint32_t right)
{
        struct ptl_stub *s = holder->moving ? holder->moving->stubs : NULL;

        while (s && (s->right != right || s->state == PTL_STUB_STAYS))
                s = s->next_of_peer;
        return s;
}

bool ptl_stub_mark(struct ptl_peer *holder, const struct ptl_grant *g)
{
        struct ptl_stub *s = calloc(1, sizeof *s);

        if (!s)
                return false;
        s->right = ptl_grant_right(g);
        if (g->kind == PTL_GRANT_SEND)
                s->taken = ptl_taken_load(&holder->link, s->right);
        s->state = PTL_STUB_MARKED;
        s->kept_tail = &s->kept;
        s->next_of_peer = holder->moving->stubs;
        holder->moving->stubs = s;
        return true;
}

static void tell_later(struct ptl_peer *holder)
{
        holder->moving->tell = true;
        ptl_control_set_pending(holder, true);
}

void ptl_stubs_unmark(struct ptl_space *space)
{
        for (struct ptl_peer *p = space->peers; p; p = p->next)
                for (struct ptl_stub *s = p->moving ? p->moving->stubs : NULL; s; s = s->next_of_peer) {
                        const struct ptl_grant *g = ptl_grant_find(p, s->right);

                        if (s->state != PTL_STUB_MARKED)
                                continue;
                        /* Used up, or given back: so the index's next right begins. */
                        ptl_taken_store(&p->link, s->right, g ? s->taken : (struct ptl_taken){0});
                        s->state = PTL_STUB_STAYS;
                        tell_later(p);
                }
}

/* --- while the word is marked --- */

struct ptl_taken ptl_stub_taken(const struct ptl_peer *holder, uint32_t right)
{
        const struct ptl_stub *s = ptl_stub_of(holder, right);

        return s ? s->taken : (struct ptl_taken){0};
}

void ptl_stub_took(struct ptl_peer *holder, uint32_t right, uint32_t units)
{
        struct ptl_stub *s = ptl_stub_of(holder, right);

        if (!s)
                return;
        s->taken.messages++;
        s->taken.units += units;
}

/* --- routes --- */

int ptl_move_route(struct ptl_peer *holder, struct ptl_task_id to)
{
        const struct ptl_outbox *mine = &holder->link.mine;
        struct ptl_moving *m = ptl_moving_of(holder);

        if (!m)
                return -ENOMEM;
        for (uint32_t i = 0; i < m->routes; i++)
                if (ptl_task_is(ptl_outbox_route(mine, i)->task, to))
                        return (int)i;
        if (m->routes == PTL_MOVE_ROUTES)
                return -ENOSPC;
        if (!m->routes && ptl_outbox_reserve(mine, PTL_OUTBOX_ROUTES, PTL_OUTBOX_NAMES - PTL_OUTBOX_ROUTES))
                return -ENOMEM;
        ptl_outbox_route(mine, m->routes)->task = to; /* before a word leads there (E8) */
        return (int)m->routes++;
}

/* --- news --- */

static void begin(struct ptl_move *m, struct ptl_moved *moved, struct ptl_grant *g, struct ptl_stub *s)
{
        struct ptl_peer *holder = ptl_grant_peer(g);
        uint32_t route = (uint32_t)ptl_move_route(holder, m->to->link.identity.task); /* ptl_move_add() made it */

        s->count = g->kind == PTL_GRANT_SEND ? g->arrived : 0;
        s->state = PTL_STUB_MOVED;
        s->moved = moved;
        s->next = moved->stubs;
        moved->stubs = s;
        s->tell = true;
        ptl_grant_detach(m->space, g);
        g->kind = PTL_GRANT_MOVED;
        ptl_outbox_show(&holder->link.mine, s->right, ptl_word_moved(s->count, route)); /* M2: before COMMIT */
        tell_later(holder);
}

void ptl_stubs_begin(struct ptl_move *m, struct ptl_move_port_of *port)
{
        struct ptl_moved *moved = port->moved;

        moved->to = ptl_peer_ref(m->to);
        moved->holders = port->holders;
        moved->next = m->space->moved;
        m->space->moved = moved;
        for (struct ptl_stub *s = moved->stubs; s; s = s->next)
                *s->owner = s;
        ptl_tickets_moved(port->receiver);
        while (port->receiver->grants) {
                struct ptl_grant *g = ptl_grant_at(m->space, port->receiver->grants);
                struct ptl_stub *s = ptl_stub_of(ptl_grant_peer(g), ptl_grant_right(g));

                if (s)
                        begin(m, moved, g, s);
                else
                        ptl_grant_drop_spare(ptl_grant_peer(g)); /* the one that is not marked: ptl_move_stage() looked */
        }
}

/* --- what still comes --- */

static void drop_kept(struct ptl_space *space, struct ptl_stub *s)
{
        struct ptl_queued *q;

        while ((q = s->kept)) {
                s->kept = q->next;
                ptl_queued_free(space, q);
        }
        s->kept_tail = &s->kept;
        s->n_kept = 0;
}

int ptl_stub_keep(struct ptl_peer *holder, struct ptl_grant *g, struct ptl_queued *q)
{
        struct ptl_stub *s = ptl_stub_of(holder, ptl_grant_right(g));

        if (!s || s->n_kept > g->limit_messages) {
                ptl_queued_free(holder->space, q);
                return s ? PTL_E_MALFORMED : 0;
        }
        if (!s->moved) { /* the new receiver is dead */
                ptl_queued_free(holder->space, q);
                return 0;
        }
        q->next = NULL;
        *s->kept_tail = q;
        s->kept_tail = &q->next;
        s->n_kept++;
        return 0;
}

static void unlist(struct ptl_peer *holder, const struct ptl_stub *s)
{
        struct ptl_stub **at = &holder->moving->stubs;

        while (*at != s)
                at = &(*at)->next_of_peer;
        *at = s->next_of_peer;
}

/* The new receiver hears of it when its ring has room. */
static void is_done(struct ptl_space *space, struct ptl_stub *s)
{
        if (!s->moved) {
                drop_kept(space, s);
                free(s);
                return;
        }
        s->state = PTL_STUB_DONE;
        ptl_control_set_pending(s->moved->to, true);
        ptl_control_flush(s->moved->to);
}

void ptl_stub_released(struct ptl_peer *holder, struct ptl_grant *g)
{
        struct ptl_stub *s = ptl_stub_of(holder, ptl_grant_right(g));

        if (ptl_link_state(&holder->link) != PTL_LINK_DEAD) /* V6; else the news stands for whoever still reads it */
                ptl_taken_store(&holder->link, ptl_grant_right(g), (struct ptl_taken){0});
        if (!s)
                return;
        unlist(holder, s);
        drop_kept(holder->space, s); /* it has sent them again */
        is_done(holder->space, s);
}

void ptl_stub_done(struct ptl_moved *moved, uint32_t place)
{
        struct ptl_stub *s = calloc(1, sizeof *s);

        if (!s)
                return; /* the new receiver counts one too many until this task ends */
        s->moved = moved;
        s->place = place;
        s->kept_tail = &s->kept;
        s->next = moved->stubs;
        moved->stubs = s;
        is_done(moved->to->space, s);
}

/* --- who comes late --- */

struct ptl_stub *ptl_stub_wait(struct ptl_moved *moved, uint32_t place, uint32_t count, struct ptl_stub **owner)
{
        struct ptl_stub *s = calloc(1, sizeof *s);

        if (!s)
                return NULL;
        *s = (struct ptl_stub){.moved = moved, .owner = owner, .place = place, .count = count, .next = moved->stubs};
        s->kept_tail = &s->kept;
        moved->stubs = s;
        return s;
}

void ptl_stub_end(struct ptl_space *space, struct ptl_stub *s) { is_done(space, s); }

void ptl_stub_pass(struct ptl_stub *s, struct ptl_queued *q)
{
        q->next = NULL;
        *s->kept_tail = q;
        s->kept_tail = &q->next;
}

/* It has a grant without a port, whose word is marked until the new receiver knows by which number it will come. */
static int begin_late(struct ptl_peer *claimant, uint32_t right, struct ptl_stub *s, enum ptl_grant_kind kind)
{
        struct ptl_grant *g;
        int r = ptl_grant_redeem(claimant, right, NULL, kind, &g);

        if (r)
                return r;
        g->kind = PTL_GRANT_MOVED;
        g->marks = PTL_MARK_WINDOW; /* it is on the list of what is to be told already: harmless there */
        g->limit_messages = s->moved->limit_messages;
        g->limit_units = s->moved->limit_units;
        s->right = right | PTL_RIGHT_CLAIMED;
        s->kind = (uint8_t)kind;
        s->holder = claimant;
        s->state = PTL_STUB_LATE;
        s->next_of_peer = claimant->moving->stubs;
        claimant->moving->stubs = s;
        ptl_outbox_show(&claimant->link.mine, s->right, ptl_word_marked());
        ptl_outbox_count_move(&claimant->link.mine);
        return 0;
}

int ptl_stub_claim(struct ptl_peer *claimant, uint32_t right, struct ptl_stub *s, enum ptl_grant_kind kind)
{
        struct ptl_moved *moved = s->moved;
        int r;

        if (!moved || ptl_move_route(claimant, moved->to->link.identity.task) < 0) {
                is_done(claimant->space, s);
                return ptl_grant_claim_dead(claimant, right);
        }
        r = begin_late(claimant, right, s, kind);
        if (r) {
                is_done(claimant->space, s);
                return r;
        }
        ptl_control_set_pending(moved->to, true);
        ptl_control_flush(moved->to);
        ptl_control_flush(claimant);
        return 0;
}

/* The new receiver knows it: as any other holder from here on. */
static int introduce(struct ptl_moved *moved, struct ptl_stub *s)
{
        struct ptl_peer *holder = s->holder;
        struct ptl_grant *g = ptl_grant_find(holder, s->right);
        struct ptl_frame_head head = {.right = moved->number, .token = s->place};
        struct ptl_move_holder body = {.task = holder->link.identity.task,
                                       .number = s->right,
                                       .kind = s->kind == PTL_GRANT_ONCE ? PTL_CARRY_ONCE : PTL_CARRY_SEND,
                                       .references = 1};
        int route = ptl_move_route(holder, moved->to->link.identity.task);
        int e = ptl_control_write(&moved->to->link, PTL_FRAME_HOLDER, &head, &body, sizeof body);

        if (e)
                return e;
        s->state = PTL_STUB_MOVED;
        s->holder = NULL;
        ptl_outbox_show(&holder->link.mine, s->right, ptl_word_moved(s->count, (uint32_t)route));
        if (g)
                ptl_grant_mark(g, PTL_MARK_CONFIRM);
        s->tell = true;
        tell_later(holder);
        return 0;
}

/* --- rights that come home --- */

enum { OWN_LATER = 1 << 19 }; /* numbers of rights of this task's that the new receiver is told of after the move */

static bool introduce_own(struct ptl_moved *moved, uint32_t place, uint32_t number, bool once)
{
        struct ptl_frame_head head = {.right = moved->number, .token = place};
        struct ptl_move_holder body = {.task = moved->to->space->me->task,
                                       .number = number,
                                       .kind = once ? PTL_CARRY_ONCE : PTL_CARRY_SEND,
                                       .references = 1};
        int e;

        ptl_lock(&moved->to->link.lock);
        e = ptl_control_write(&moved->to->link, PTL_FRAME_HOLDER, &head, &body, sizeof body);
        ptl_unlock(&moved->to->link.lock);
        return !e;
}

/* A hidden name for it; PTL_NULL: no room. */
static ptl_port claim_own(struct ptl_moved *moved, uint32_t place, bool once)
{
        uint32_t number = ptl_right_make(OWN_LATER | (moved->own++ & (OWN_LATER - 1)), 0);
        struct ptl_space *space = moved->to->space;
        unsigned rights = once ? PTL_RIGHT_SEND_ONCE : PTL_RIGHT_SEND;
        struct ptl_entry *e;
        ptl_port name = ptl_space_insert(space, rights, &e);

        if (!name)
                return PTL_NULL;
        if (!introduce_own(moved, place, number, once) || !ptl_move_claim(moved->to, e, number)) {
                ptl_space_remove(space, e);
                return PTL_NULL;
        }
        e->limit_messages = moved->limit_messages;
        e->limit_units = moved->limit_units;
        e->transit = 1;
        e->references = 0;
        e->under_way = (uint8_t)rights;
        e->rights = 0;
        return name;
}

struct ptl_frame_right ptl_stub_home(struct ptl_peer *holder, struct ptl_grant *g, bool once)
{
        struct ptl_frame_right f = {.what = PTL_CARRY_DEAD};
        struct ptl_stub *s = ptl_stub_of(holder, ptl_grant_right(g));
        struct ptl_moved *moved = s ? s->moved : NULL;

        if (moved && s->state == PTL_STUB_MOVED)
                f.right = claim_own(moved, once ? s->place : moved->holders, once);
        if (f.right)
                f.what = PTL_CARRY_HELD;
        if (f.right && !once)
                moved->holders++;
        if (!once)
                return f;
        if (f.right) { /* its place is this task's */
                struct ptl_stub **at = &moved->stubs;

                while (*at != s)
                        at = &(*at)->next;
                *at = s->next;
                unlist(holder, s);
                drop_kept(holder->space, s);
                free(s);
                s = NULL;
        }
        ptl_grant_release(g, g->references); /* without a stub nothing is told */
        return f;
}

/* --- frames --- */

static int tell(struct ptl_peer *holder)
{
        struct ptl_stub **at = &holder->moving->stubs;

        while (*at) {
                struct ptl_stub *s = *at;
                struct ptl_frame_head head = {.right = s->right};
                bool stays = s->state == PTL_STUB_STAYS;
                int e = stays || s->tell ? ptl_control_write(&holder->link, stays ? PTL_FRAME_STAYS : PTL_FRAME_MOVED,
                                                             &head, NULL, 0)
                                         : 0;

                if (e)
                        return e;
                s->tell = false;
                if (stays) {
                        *at = s->next_of_peer;
                        free(s);
                } else {
                        at = &s->next_of_peer;
                }
        }
        holder->moving->tell = false;
        return 0;
}

/* What a dead holder had sent beyond the count, then its end. */
static int finish(struct ptl_moved *moved, struct ptl_stub *s)
{
        struct ptl_move m = {.space = moved->to->space, .to = moved->to};
        struct ptl_frame_head head = {.right = moved->number, .token = s->place};
        struct ptl_queued *q;

        while ((q = s->kept)) {
                int e;

                head.aux = s->count + 1;
                e = ptl_move_write(&m, q, PTL_FRAME_BEHIND, &head);
                if (e)
                        return e;
                s->count++;
                s->kept = q->next;
                ptl_queued_free(m.space, q);
        }
        head.aux = 0;
        return ptl_control_write(&moved->to->link, PTL_FRAME_DONE, &head, NULL, 0);
}

static int finish_all(struct ptl_moved *moved)
{
        struct ptl_stub **at = &moved->stubs;

        while (*at) {
                struct ptl_stub *s = *at;
                int e = s->state == PTL_STUB_LATE ? introduce(moved, s) : s->state == PTL_STUB_DONE ? finish(moved, s) : 0;

                if (e)
                        return e;
                if (s->state != PTL_STUB_DONE) {
                        at = &s->next;
                        continue;
                }
                *at = s->next;
                free(s);
        }
        return 0;
}

int ptl_moving_flush(struct ptl_peer *peer)
{
        struct ptl_moved **at = &peer->space->moved;
        int e = peer->moving->tell ? tell(peer) : 0;

        while (!e && *at) {
                struct ptl_moved *moved = *at;

                e = moved->to == peer ? finish_all(moved) : 0;
                if (moved->to == peer && !moved->stubs) {
                        *at = moved->next;
                        free(moved);
                        peer->references--; /* never the last: our caller has one */
                } else {
                        at = &moved->next;
                }
        }
        return e;
}

/* --- deaths --- */

static void holder_died(struct ptl_peer *holder)
{
        struct ptl_stub *s;

        while ((s = holder->moving->stubs)) {
                holder->moving->stubs = s->next_of_peer;
                if (s->state == PTL_STUB_MOVED || s->state == PTL_STUB_LATE)
                        is_done(holder->space, s);
                else
                        free(s);
        }
        holder->moving->tell = false;
}

/* Who was not told where to go is told that there is nothing any more. */
static void refuse_late(struct ptl_stub *s)
{
        struct ptl_grant *g = ptl_grant_find(s->holder, s->right);

        s->state = PTL_STUB_MOVED;
        ptl_taken_store(&s->holder->link, s->right, (struct ptl_taken){0});
        if (g)
                ptl_grant_mark(g, PTL_MARK_DEAD);
        s->holder = NULL;
}

/* Holders keep their stubs until they give their rights back. */
static void receiver_died(struct ptl_moved *moved)
{
        struct ptl_stub *s;

        while ((s = moved->stubs)) {
                moved->stubs = s->next;
                s->moved = NULL;
                drop_kept(moved->to->space, s);
                if (s->state == PTL_STUB_LATE)
                        refuse_late(s);
                if (s->state == PTL_STUB_DONE)
                        free(s);
        }
}

void ptl_stubs_peer_died(struct ptl_peer *peer)
{
        struct ptl_moved **at = &peer->space->moved;

        holder_died(peer);
        while (*at) {
                struct ptl_moved *moved = *at;

                if (moved->to != peer) {
                        at = &moved->next;
                        continue;
                }
                receiver_died(moved);
                *at = moved->next;
                free(moved);
                peer->references--; /* never the last: our caller has one */
        }
}
