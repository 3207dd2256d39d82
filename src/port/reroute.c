/* SPDX-License-Identifier: Apache-2.0 */
/* port/reroute.c - see reroute.h */
#include "port/reroute.h"
#include "port/regions.h"
#include "port/request.h"
#include "port/senders.h"

static struct ptl_task_id id_of(const struct ptl_peer *peer) { return peer->link.identity.task; }

static struct ptl_entry *entry_of(const struct ptl_space *space, const struct ptl_way *way)
{
        return ptl_table_at(&space->entries, way->entry);
}

/* What the right was, or is again when the program has it back. */
static unsigned rights_of(const struct ptl_entry *e) { return e->rights | e->under_way; }

/* --- copies --- */

static void copy_free(struct ptl_space *space, struct ptl_copy *c)
{
        ptl_queued_free(space, c->queued);
        free(c->granted);
        free(c);
}

/* A right that the message has taken along: the program's reference, or the right itself, is used up. */
static void forget_carried(struct ptl_space *space, struct ptl_frame_right *f)
{
        struct ptl_entry *e = f->what == PTL_CARRY_HELD ? ptl_space_hidden(space, f->right) : NULL;
        struct ptl_receiver *own = f->what == PTL_CARRY_OWN_ONCE ? ptl_receiver_anywhere(space, f->right) : NULL;

        if (own) /* the one it was counted with was granted */
                ptl_receiver_entry(space, own)->onces--;
        if (own || (e && e->peer && e->under_way & PTL_RIGHT_SEND_ONCE))
                f->what = PTL_CARRY_DEAD;
        if (f->what != PTL_CARRY_DEAD || !e)
                return;
        ptl_held_forget(e->peer, e->remote);
        ptl_peer_unref(e->peer);
        ptl_space_remove(space, e);
}

/* It was counted: what it carries is its receiver's. */
static void copy_counted(struct ptl_space *space, struct ptl_copy *c)
{
        for (unsigned i = 0; i < c->queued->n_rights; i++)
                forget_carried(space, &c->queued->carried[i]);
        copy_free(space, c);
}

/* A thread's reply port is told that it was a death: ptl_grant_release(). */
static bool is_internal(const struct ptl_space *space, ptl_port port)
{
        const struct ptl_receiver *r = ptl_receiver_anywhere(space, port);

        return r && r->internal;
}

/* Nobody will have it: its rights die, and who waits for the answer is told. What was sent dies where it is. */
static void copy_destroyed(struct ptl_space *space, struct ptl_copy *c)
{
        if (c->sent) {
                copy_counted(space, c);
                return;
        }
        space->counters.destroyed++;
        if (c->reply_port)
                ptl_notify(space, c->reply_port, PTL_NOTIFY_SEND_ONCE, is_internal(space, c->reply_port), NULL);
        copy_free(space, c);
}

/* Takes back what @peer was granted for it, which it has not entered (V7). */
static void copy_unsend(struct ptl_peer *peer, struct ptl_copy *c)
{
        struct ptl_grant *g = c->minted ? ptl_grant_find(peer, c->minted) : NULL;
        struct ptl_copy_rights *r = c->granted;

        if (c->minted && !(g && g->receiver)) /* answered, or given up */
                c->reply_port = PTL_NULL;
        if (g)
                ptl_grant_free(g);
        c->minted = 0;
        c->sent = false;
        for (uint32_t i = 0; r && i < r->n_rights; i++)
                if (r->rights[i].what == PTL_CARRY_SEND || r->rights[i].what == PTL_CARRY_ONCE) {
                        g = ptl_grant_find(peer, r->rights[i].right);
                        if (g)
                                ptl_grant_revoke(g);
                }
        for (uint32_t i = 0; r && i < r->n_given; i++)
                ptl_given_withdraw(peer->space, r->given[i]);
        for (uint32_t i = 0; r && i < r->n_rights; i++) /* its number went with GIVE (H10) */
                if (r->rights[i].what == PTL_CARRY_GIVEN_ONCE)
                        forget_carried(peer->space, &c->queued->carried[i]);
        free(r);
        c->granted = NULL;
}

/* --- ways --- */

struct ptl_way *ptl_way_of(const struct ptl_space *space, const struct ptl_entry *e)
{
        struct ptl_way *way = space->ways.first;

        while (way && way->entry != ptl_name_index(e->name))
                way = way->next;
        return way;
}

/* It keeps the right, though the program give it up. NULL: no memory. */
static struct ptl_way *way_new(struct ptl_space *space, struct ptl_entry *e, enum ptl_way_state state)
{
        struct ptl_way *way = calloc(1, sizeof *way);

        if (!way)
                return NULL;
        way->entry = ptl_name_index(e->name);
        way->serial = ++space->ways.serial ? space->ways.serial : ++space->ways.serial;
        way->state = (uint8_t)state;
        way->tail = &way->copies;
        way->next = space->ways.first;
        space->ways.first = way;
        space->ways.count++;
        e->transit++;
        e->flags |= PTL_ENTRY_UNCONFIRMED;
        return way;
}

static void unlist(struct ptl_space *space, struct ptl_way *way)
{
        struct ptl_way **at = &space->ways.first;

        while (*at != way)
                at = &(*at)->next;
        *at = way->next;
        space->ways.count--;
}

/* RELEASE, with a carrier of its own, once nothing can come any more that would count (S5). */
static void former_release(struct ptl_former **at)
{
        struct ptl_former *former = *at;

        *at = former->next;
        while (former->references && ptl_link_state(&former->peer->link) != PTL_LINK_DEAD) {
                uint32_t some = former->references < UINT16_MAX ? former->references : UINT16_MAX;
                struct ptl_entry carried = {.remote = former->right, .released = (uint16_t)some};

                former->references -= some;
                ptl_control_release(former->peer, &carried);
        }
        ptl_peer_unref(former->peer);
        free(former);
}

/* The way is at its end: its stubs are to go. */
static void release_formers(struct ptl_space *space, uint32_t serial)
{
        struct ptl_former **at = &space->ways.formers;

        while (*at) {
                if ((*at)->serial == serial)
                        (*at)->serial = 0;
                if ((*at)->serial || !(*at)->told)
                        at = &(*at)->next;
                else
                        former_release(at);
        }
}

/* A send-once right that was used is no more. */
static void used_up(struct ptl_space *space, struct ptl_entry *e)
{
        struct ptl_peer *peer = e->peer;

        if (peer)
                ptl_held_forget(peer, e->remote);
        ptl_space_remove(space, e);
        if (peer)
                ptl_peer_unref(peer);
}

/* The right was given up meanwhile: now it goes back. */
static void let_go(struct ptl_space *space, struct ptl_entry *e)
{
        if (--e->transit || e->rights)
                return;
        e->rights = e->under_way;
        e->under_way = 0;
        e->references = 1;
        ptl_right_drop(space, e, 1);
}

/* Frees the way, whose copies are gone; the right is what it is. */
static void way_end(struct ptl_space *space, struct ptl_way *way)
{
        struct ptl_entry *e = entry_of(space, way);
        uint32_t serial = way->serial;
        bool used = way->used;

        unlist(space, way);
        free(way);
        e->flags &= (uint8_t)~PTL_ENTRY_UNCONFIRMED;
        if (used)
                used_up(space, e);
        else
                let_go(space, e);
        release_formers(space, serial);
        space->room(space); /* who waits to send through it */
}

static void drop_copies(struct ptl_space *space, struct ptl_way *way, void (*drop)(struct ptl_space *, struct ptl_copy *))
{
        while (way->copies) {
                struct ptl_copy *c = way->copies;

                way->copies = c->next;
                drop(space, c);
        }
        way->tail = &way->copies;
        way->unsent = 0;
}

/* All that was sent is counted, or will be. */
static void way_counted(struct ptl_space *space, struct ptl_way *way)
{
        drop_copies(space, way, copy_counted);
        way_end(space, way);
}

/* --- the word --- */

/* False: nothing a receiver may say. */
static bool look(const struct ptl_entry *e, struct ptl_right_word *ret_word)
{
        struct ptl_link *link = &e->peer->link;

        *ret_word = (struct ptl_right_word){.state = PTL_WORD_OPEN};
        if (!link->peer.base)
                return true;
        return ptl_word_decode(ptl_outbox_look(&link->peer, e->remote), ret_word) == 0; /* E8 */
}

/* Between what is known to be taken and what was sent. */
static bool count_is_valid(const struct ptl_entry *e, const struct ptl_way *way, uint32_t count)
{
        if (rights_of(e) & PTL_RIGHT_SEND_ONCE)
                return count <= (uint32_t)(way && way->used);
        return count - e->taken <= e->sent - e->taken;
}

/* Those up to @count are the old receiver's. The others are to be sent again, numbered as if nothing were missing. */
static void sort_copies(struct ptl_space *space, struct ptl_way *way, struct ptl_entry *e, uint32_t count)
{
        struct ptl_copy **at = &way->copies;

        way->unsent = 0;
        while (*at) {
                struct ptl_copy *c = *at;

                if (c->sent && (int32_t)(c->number - count) <= 0) {
                        *at = c->next;
                        copy_counted(space, c);
                        continue;
                }
                if (c->sent) {
                        copy_unsend(e->peer, c);
                        e->sent_units -= c->queued->units;
                }
                way->unsent++;
                at = &c->next;
        }
        way->tail = at;
        if (rights_of(e) & PTL_RIGHT_SEND)
                e->sent = count;
}

/* --- from one receiver to the next --- */

static struct ptl_former *former_find(const struct ptl_space *space, const struct ptl_peer *peer, uint32_t right)
{
        struct ptl_former *former = space->ways.formers;

        while (former && (former->peer != peer || former->right != right))
                former = former->next;
        return former;
}

/* The right is no more at its peer. Without memory the peer keeps its former until this task ends. */
static void leave(struct ptl_space *space, const struct ptl_way *way, struct ptl_entry *e)
{
        struct ptl_peer *from = e->peer;
        struct ptl_former *former = ptl_link_state(&from->link) == PTL_LINK_DEAD ? NULL : malloc(sizeof *former);

        *ptl_held_name(from, e->remote) = PTL_NULL;
        if (ptl_right_is_claimed(e->remote))
                ptl_claim_hide(from, e->remote);
        if (former) {
                *former = (struct ptl_former){.next = space->ways.formers,
                                          .peer = ptl_peer_ref(from),
                                          .right = e->remote,
                                          .references = e->released + 1u,
                                          .name = ptl_entry_name(e),
                                          .serial = way->serial};
                space->ways.formers = former;
        }
        e->released = 0;
        e->peer = NULL;
        ptl_peer_unref(from);
}

/* Whose port cannot be reached any more. */
static void kill(struct ptl_space *space, struct ptl_way *way, struct ptl_entry *e)
{
        if (e->peer)
                leave(space, way, e);
        drop_copies(space, way, copy_destroyed);
        e->flags &= (uint8_t)~PTL_ENTRY_UNCONFIRMED;
        if (e->rights)
                ptl_right_kill(space, e);
        else
                e->under_way = PTL_RIGHT_DEAD;
        way_end(space, way);
}

/* An index at @to, and a claim that is to be written; false: no place. */
static bool claim(struct ptl_space *space, struct ptl_way *way, struct ptl_entry *e, struct ptl_peer *to,
                  struct ptl_move_claim what)
{
        uint32_t number = ptl_claim_take(to, 0);

        if (!number)
                return false;
        if (e->peer)
                leave(space, way, e);
        *ptl_held_name(to, number) = ptl_entry_name(e);
        e->peer = ptl_peer_ref(to);
        e->remote = number;
        e->flags |= PTL_ENTRY_UNCONFIRMED; /* S7 */
        way->state = PTL_WAY_CLAIMING;
        way->confirmed = false;
        way->claim = what;
        ptl_control_entry(to, e, PTL_ENTRY_CLAIM);
        ptl_control_flush(to);
        return true;
}

/* Sends what is to be sent again, in order, as far as it can be now. */
static void send_copies(struct ptl_space *space, struct ptl_way *way)
{
        struct ptl_entry *e = entry_of(space, way);

        if (e->flags & PTL_ENTRY_CLAIM)
                return;
        for (struct ptl_copy *c = way->copies; c && way->unsent; c = c->next) {
                if (c->sent)
                        continue;
                if (space->ways.send(space, e, c)) /* no room, no memory; or a death, which settles it */
                        return;
                c->sent = true;
                c->number = rights_of(e) & PTL_RIGHT_SEND ? e->sent : 1;
                way->unsent--;
        }
}

/* What was sent again through a confirmed right: the word says of it what it says of any. */
static void settle_sent(struct ptl_space *space, struct ptl_way *way);

/* The word says where the port is, and how many it took along; @what: as the right is known there. False: a lie. */
static bool follow(struct ptl_space *space, struct ptl_way *way, struct ptl_entry *e, const struct ptl_right_word *word,
                   struct ptl_move_claim what)
{
        struct ptl_peer *from = e->peer, *to;
        struct ptl_move_route route;

        if (ptl_move_route_decode(ptl_outbox_route(&from->link.peer, word->route), sizeof route, &route) ||
            !count_is_valid(e, way, word->messages))
                return false;
        if (ptl_task_is(route.task, space->me->task)) {
                way->state = PTL_WAY_MARKED; /* the port is about to be this task's own: ptl_reroute_take() */
                return true;
        }
        sort_copies(space, way, e, word->messages);
        if (way->used && !way->unsent) { /* it was counted: nobody has anything of it */
                way_end(space, way);
                return true;
        }
        to = ++way->hops > PTL_MOVE_HOPS ? NULL : space->seek(space, route.task, id_of(from));
        if (!to || !claim(space, way, e, to, what))
                kill(space, way, e); /* S9, and who cannot be reached */
        else
                send_copies(space, way);
        return true;
}

static bool go_on(struct ptl_space *space, struct ptl_way *way, struct ptl_entry *e, const struct ptl_right_word *word)
{
        return follow(space, way, e, word, (struct ptl_move_claim){id_of(e->peer), e->remote});
}

/* News of a right that its new receiver moved on before it had read the claim (a name). Each place is read once. */
static bool find_name(const struct ptl_peer *peer, const struct ptl_way *way, struct ptl_right_word *ret_word)
{
        const struct ptl_outbox *theirs = &peer->link.peer;

        if (!theirs->base || !ptl_load_acquire(&ptl_outbox_head(theirs)->bell.moves)) /* E8 */
                return false;
        for (uint32_t i = 0; i < PTL_MOVE_NAMES; i++) {
                struct ptl_move_name name = *ptl_outbox_name(theirs, i);

                if (name.word && ptl_task_is(name.task, way->claim.task) && name.number == way->claim.number)
                        return ptl_word_decode(name.word, ret_word) == 0 && ret_word->state == PTL_WORD_MOVED;
        }
        return false;
}

/* It is claimed at the next one as it is here: it has no number of its own yet. False: a lie. */
static bool go_on_by_name(struct ptl_space *space, struct ptl_way *way, struct ptl_entry *e)
{
        struct ptl_right_word word;

        return !find_name(e->peer, way, &word) || follow(space, way, e, &word, way->claim);
}

/* A way whose word is to be believed. False: a lie. */
static bool judge(struct ptl_space *space, struct ptl_way *way)
{
        struct ptl_entry *e = entry_of(space, way);
        struct ptl_right_word word;

        if (!look(e, &word))
                return false;
        switch (word.state) {
        case PTL_WORD_OPEN:
                if (way->unsent)
                        send_copies(space, way);
                if (!way->unsent)
                        settle_sent(space, way);
                return true;
        case PTL_WORD_MARKED:
                way->state = PTL_WAY_MARKED;
                return true;
        case PTL_WORD_MOVED:
                return go_on(space, way, e, &word);
        }
        return true;
}

/* Behind the last of them, as behind each publication: not marked, so they are counted. */
static void settle_sent(struct ptl_space *space, struct ptl_way *way)
{
        struct ptl_entry *e = entry_of(space, way);
        struct ptl_right_word word;

        if (look(e, &word) && word.state == PTL_WORD_OPEN)
                way_counted(space, way);
        else
                way->state = PTL_WAY_MARKED;
}

static void accuse(struct ptl_peer *peer) { ptl_link_accuse(&peer->link); }

static void step(struct ptl_space *space, struct ptl_way *way)
{
        struct ptl_entry *e = entry_of(space, way);
        struct ptl_peer *peer = e->peer;

        if (!peer || peer->link.accused)
                return;
        if (way->state == PTL_WAY_MARKED || way->confirmed) {
                ptl_peer_ref(peer);
                if (!judge(space, way))
                        accuse(peer);
                ptl_peer_unref(peer);
        } else if (way->state == PTL_WAY_CLAIMING) {
                send_copies(space, way);
                ptl_peer_ref(peer);
                if (!go_on_by_name(space, way, e))
                        accuse(peer);
                ptl_peer_unref(peer);
        }
}

void ptl_ways_step(struct ptl_space *space)
{
        uint32_t last = space->ways.serial;
        struct ptl_way *way = space->ways.first, *next;

        for (; way; way = next) {
                next = way->next;
                if ((int32_t)(way->serial - last) <= 0)
                        step(space, way);
        }
}

/* --- sending --- */

bool ptl_way_is_unsure(const struct ptl_entry *e)
{
        struct ptl_right_word word;

        if (!e->peer)
                return false;
        if (e->flags & PTL_ENTRY_UNCONFIRMED)
                return true;
        if (!ptl_link_is_careful(&e->peer->link))
                return false;
        if (!look(e, &word))
                accuse(e->peer);
        return word.state != PTL_WORD_OPEN;
}

/* The one it has, or a new one; NULL: no memory. */
static struct ptl_way *way_get(struct ptl_space *space, struct ptl_entry *e)
{
        bool unconfirmed = e->flags & PTL_ENTRY_UNCONFIRMED;
        struct ptl_way *way = unconfirmed ? ptl_way_of(space, e) : NULL;

        return way ? way : way_new(space, e, unconfirmed ? PTL_WAY_WATCHED : PTL_WAY_MARKED);
}

void ptl_way_mark(struct ptl_space *space, struct ptl_entry *e) { (void)way_get(space, e); }

uint32_t ptl_way_keep(struct ptl_space *space, struct ptl_entry *e, struct ptl_copy *c)
{
        struct ptl_way *way = way_get(space, e);

        if (!way) {
                copy_counted(space, c);
                if (!(rights_of(e) & PTL_RIGHT_SEND))
                        used_up(space, e);
                return 0;
        }
        c->next = NULL;
        c->sent = true;
        c->number = rights_of(e) & PTL_RIGHT_SEND ? e->sent : 1;
        way->used = !(rights_of(e) & PTL_RIGHT_SEND);
        *way->tail = c;
        way->tail = &c->next;
        return way->serial;
}

/* Through a claim that is not confirmed messages go as ever. */
int ptl_way_check(struct ptl_space *space, struct ptl_entry *e)
{
        struct ptl_way *way = ptl_way_of(space, e);
        ptl_port before = ptl_entry_name(e);

        if (!way)
                return 0;
        step(space, way);
        if (!ptl_space_entry(space, before))
                return PTL_E_NAME;
        if (e->rights & PTL_RIGHT_DEAD)
                return PTL_E_DEAD;
        way = ptl_way_of(space, e);
        if (!way)
                return 0;
        return way->state == PTL_WAY_MARKED || way->unsent ? PTL_E_FULL : 0;
}

int ptl_way_check_carried(const struct ptl_space *space, const struct ptl_entry *e)
{
        const struct ptl_way *way = e->flags & PTL_ENTRY_UNCONFIRMED ? ptl_way_of(space, e) : NULL;

        return way && way->state != PTL_WAY_WATCHED ? PTL_E_FULL : 0;
}

static struct ptl_way *find(const struct ptl_space *space, uint32_t serial)
{
        struct ptl_way *way = space->ways.first;

        while (way && way->serial != serial)
                way = way->next;
        return way;
}

/* The new receiver has not been handed our outbox, and never will be if this task does not enter the library again (M5). */
static bool is_out_of_reach(const struct ptl_space *space, const struct ptl_way *way)
{
        const struct ptl_entry *e = entry_of(space, way);

        return way->state == PTL_WAY_CLAIMING && e->peer && ptl_link_is_lost(&e->peer->link) &&
               ptl_link_state(&e->peer->link) == PTL_LINK_INTRODUCED;
}

bool ptl_way_is_open(struct ptl_space *space, uint32_t serial)
{
        struct ptl_way *way = find(space, serial);

        if (way)
                step(space, way);
        way = find(space, serial);
        return way && (way->state == PTL_WAY_MARKED || way->unsent || is_out_of_reach(space, way));
}

/* --- frames --- */

/* News of a name, which one of ours may go by. */
static int name(struct ptl_peer *peer, uint32_t place)
{
        if (place >= PTL_MOVE_NAMES)
                return PTL_E_MALFORMED;
        ptl_ways_step(peer->space);
        return 0;
}

/* Is its claim, if it is one, confirmed, so that its word is its own (S7)? */
static bool is_confirmed(const struct ptl_entry *e, const struct ptl_way *way)
{
        return !(e->flags & PTL_ENTRY_UNCONFIRMED) || (way && (way->state == PTL_WAY_MARKED || way->confirmed));
}

/* Such a right of the peer's, or NULL. */
static struct ptl_entry *confirmed_entry(struct ptl_peer *peer, uint32_t right)
{
        struct ptl_entry *e = ptl_held_entry(peer, right);

        return e && is_confirmed(e, ptl_way_of(peer->space, e)) ? e : NULL;
}

int ptl_way_moved(struct ptl_peer *peer, const struct ptl_frame *f)
{
        struct ptl_space *space = peer->space;
        struct ptl_former *former = former_find(space, peer, f->head.right);
        struct ptl_entry *e = former ? NULL : confirmed_entry(peer, f->head.right);
        struct ptl_way *way = e ? ptl_way_of(space, e) : NULL;
        struct ptl_right_word word;

        if (f->length)
                return PTL_E_MALFORMED;
        peer->link.moves_read++;
        if (f->head.right == 0)
                return name(peer, f->head.aux);
        if (e && (!look(e, &word) || word.state != PTL_WORD_MOVED))
                return PTL_E_MALFORMED;
        if (e && !way)
                way = way_new(space, e, PTL_WAY_MARKED);
        if (e && !way)
                return 0; /* no memory: found behind the next publication */
        if (e && !go_on(space, way, e, &word))
                return PTL_E_MALFORMED;
        former = former_find(space, peer, f->head.right);
        if (former)
                former->told = true;
        release_formers(space, 0);
        return 0;
}

int ptl_way_stays(struct ptl_peer *peer, const struct ptl_frame *f)
{
        struct ptl_space *space = peer->space;
        struct ptl_entry *e = confirmed_entry(peer, f->head.right);
        struct ptl_way *way = e && e->flags & PTL_ENTRY_UNCONFIRMED ? ptl_way_of(space, e) : NULL;

        if (f->length || f->head.right == 0)
                return PTL_E_MALFORMED;
        peer->link.moves_read++;
        return way && !judge(space, way) ? PTL_E_MALFORMED : 0;
}

void ptl_way_confirmed(struct ptl_space *space, struct ptl_entry *e)
{
        struct ptl_way *way = ptl_way_of(space, e);

        if (!way)
                return;
        e->flags |= PTL_ENTRY_UNCONFIRMED; /* until it is at its end */
        way->confirmed = true;
        step(space, way);
}

void ptl_way_died(struct ptl_space *space, struct ptl_entry *e)
{
        struct ptl_way *way = ptl_way_of(space, e);

        if (!way)
                return;
        drop_copies(space, way, copy_destroyed);
        way_end(space, way);
}

int ptl_way_write(struct ptl_peer *peer, const struct ptl_entry *e)
{
        struct ptl_way *way = e->flags & PTL_ENTRY_UNCONFIRMED ? ptl_way_of(peer->space, e) : NULL;
        struct ptl_frame_head head = {.right = e->remote & ~PTL_RIGHT_CLAIMED};

        if (!way || way->state != PTL_WAY_CLAIMING)
                return PTL_E_EMPTY;
        return ptl_control_write(&peer->link, PTL_FRAME_CLAIM_MOVED, &head, &way->claim, sizeof way->claim);
}

void ptl_former_refused(struct ptl_peer *peer, uint32_t right)
{
        struct ptl_former *former = former_find(peer->space, peer, right);

        if (former)
                former->told = true;
        release_formers(peer->space, 0);
}

struct ptl_entry *ptl_former_again(struct ptl_peer *peer, uint32_t right)
{
        struct ptl_former *former = former_find(peer->space, peer, right);
        struct ptl_entry *e = former ? ptl_space_hidden(peer->space, former->name) : NULL;

        if (e)
                former->references++;
        return e;
}

/* --- deaths --- */

/* What the dead one's outbox says of a right, behind all it has written (S6). */
static void look_behind(struct ptl_peer *peer, struct ptl_entry *e)
{
        struct ptl_way *way = ptl_way_of(peer->space, e);
        struct ptl_right_word word;

        if (way && way->state == PTL_WAY_CLAIMING && !way->confirmed) {
                (void)go_on_by_name(peer->space, way, e);
                return;
        }
        if (!is_confirmed(e, way) || !look(e, &word) || word.state != PTL_WORD_MOVED)
                return;
        if (!way)
                way = way_new(peer->space, e, PTL_WAY_MARKED);
        if (way)
                (void)go_on(peer->space, way, e, &word); /* what lies dies with it */
}

static void look_behind_all(struct ptl_peer *peer, const struct ptl_table *table, uint32_t claimed)
{
        for (uint32_t i = 1; i < table->length; i++) {
                struct ptl_entry *e = ptl_space_hidden(peer->space, *ptl_held_name(peer, i | claimed));

                if (e && e->peer == peer)
                        look_behind(peer, e);
        }
}

static void drop_formers(struct ptl_peer *peer)
{
        struct ptl_former **at = &peer->space->ways.formers;

        while (*at) {
                struct ptl_former *former = *at;

                if (former->peer != peer) {
                        at = &former->next;
                        continue;
                }
                *at = former->next;
                free(former);
                peer->references--; /* never the last: our caller has one */
        }
}

void ptl_ways_peer_settled(struct ptl_space *space)
{
        struct ptl_way *way = space->ways.first, *next;

        for (; way; way = next) {
                struct ptl_entry *e = entry_of(space, way);

                next = way->next;
                if (!e->peer)
                        ptl_way_died(space, e);
        }
}

void ptl_ways_peer_died(struct ptl_peer *peer)
{
        const struct ptl_outbox *theirs = &peer->link.peer;

        if (theirs->base && ptl_load_acquire(&ptl_outbox_head(theirs)->bell.moves)) { /* E8 */
                look_behind_all(peer, &peer->held, 0);
                look_behind_all(peer, &peer->claims, PTL_RIGHT_CLAIMED);
        }
        drop_formers(peer);
}

void ptl_way_renamed(struct ptl_space *space, uint32_t index, const struct ptl_entry *e)
{
        for (struct ptl_way *way = space->ways.first; way; way = way->next)
                if (way->entry == index)
                        way->entry = ptl_name_index(e->name);
        for (struct ptl_former *former = space->ways.formers; former; former = former->next)
                if (ptl_name_index(former->name) == index)
                        former->name = ptl_entry_name(e);
}

void ptl_ways_forked(struct ptl_space *space)
{
        space->ways.first = NULL;
        space->ways.formers = NULL;
        space->ways.count = 0;
}

/* --- for the task that a port comes to, or leaves --- */

void ptl_reroute_own(struct ptl_space *space, struct ptl_entry *e, struct ptl_peer *peer, struct ptl_move_claim what)
{
        struct ptl_way *way = way_new(space, e, PTL_WAY_CLAIMING);

        if (way && claim(space, way, e, peer, what))
                return;
        if (way) {
                kill(space, way, e);
        } else if (e->rights) {
                ptl_right_kill(space, e);
        } else {
                e->under_way = PTL_RIGHT_DEAD;
        }
}

/* One that was frozen as it was sent is not mapped here: as one that is received it is. */
static void map_regions(struct ptl_space *space, struct ptl_queued *q)
{
        for (unsigned i = 0; i < q->n_regions; i++) {
                struct ptl_region *region = q->regions[i].region;

                if (region && !region->data && ptl_memory_attach(region->fd, region->size, true, &region->data))
                        q->regions[i].region = ptl_region_unref(space, region);
        }
}

struct ptl_queued *ptl_reroute_take(struct ptl_peer *before, uint32_t right, uint32_t count)
{
        struct ptl_space *space = before->space;
        struct ptl_entry *e = ptl_held_entry(before, right);
        struct ptl_way *way = e ? ptl_way_of(space, e) : NULL;
        struct ptl_queued *first = NULL, **tail = &first;

        if (!way)
                return NULL;
        sort_copies(space, way, e, count);
        while (way->copies) {
                struct ptl_copy *c = way->copies;
                struct ptl_receiver *reply = ptl_receiver_anywhere(space, c->reply_port);

                way->copies = c->next;
                map_regions(space, c->queued);
                if (reply) {
                        c->queued->reply = ptl_once_insert(space, reply);
                        if (c->queued->reply) /* a name that nobody was given */
                                ptl_space_entry(space, c->queued->reply)->transit = 1;
                }
                *tail = c->queued;
                tail = &c->queued->next;
                free(c->granted);
                free(c);
        }
        way->tail = &way->copies;
        unlist(space, way);
        release_formers(space, way->serial);
        e->flags &= (uint8_t)~PTL_ENTRY_UNCONFIRMED;
        e->transit--;
        free(way);
        return first;
}
