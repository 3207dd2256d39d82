/* SPDX-License-Identifier: Apache-2.0 */
/* task/carry.c - see carry.h */
#include "task/carry.h"
#include "port/handoff.h"
#include "port/regions.h"
#include "port/reroute.h"
#include "port/request.h"
#include "port/senders.h"

/* What right a disposition needs. */
static unsigned needs(uint32_t disposition)
{
        switch ((enum ptl_disposition)disposition) {
        case PTL_COPY_SEND:
        case PTL_MOVE_SEND:
                return PTL_RIGHT_SEND | PTL_RIGHT_DEAD;
        case PTL_MAKE_SEND:
        case PTL_MAKE_SEND_ONCE:
        case PTL_MOVE_RECEIVE:
                return PTL_RIGHT_RECEIVE;
        case PTL_MOVE_SEND_ONCE:
                return PTL_RIGHT_SEND_ONCE | PTL_RIGHT_DEAD;
        }
        return 0;
}

static bool is_move(const struct ptl_right_item *item)
{
        return item->disposition == PTL_MOVE_SEND || item->disposition == PTL_MOVE_SEND_ONCE;
}

/* How many references of this item's name the message moves. */
static size_t moved(const struct ptl_outgoing *out, ptl_port port)
{
        size_t n = 0;

        for (size_t i = 0; i < out->n_rights; i++)
                n += is_move(&out->rights[i]) && out->rights[i].port == port;
        return n;
}

static bool moves_receive(const struct ptl_outgoing *out, ptl_port port)
{
        for (size_t i = 0; i < out->n_rights; i++)
                if (out->rights[i].disposition == PTL_MOVE_RECEIVE && out->rights[i].port == port)
                        return true;
        return false;
}

/* The port that a right of the message is to, if that port moves with it; else NULL. */
static struct ptl_receiver *along(struct ptl_task *task, const struct ptl_outgoing *out,
                                  const struct ptl_right_item *item)
{
        const struct ptl_entry *e = ptl_space_entry(&task->space, item->port);
        struct ptl_receiver *r = NULL;

        if (item->disposition == PTL_MOVE_RECEIVE || !e)
                return NULL;
        if (e->rights & PTL_RIGHT_RECEIVE)
                r = e->receiver;
        else if (e->rights & PTL_RIGHT_SEND_ONCE && !e->peer)
                r = ptl_receiver_anywhere(&task->space, e->remote);
        return r && moves_receive(out, r->name) ? r : NULL;
}

/* Who answers the message, or hears that it was taken, is not who is no more here. */
static int check_receive(const struct ptl_outgoing *out, const struct ptl_right_item *item, struct ptl_entry *e)
{
        for (size_t i = 0; i < out->n_rights; i++)
                if (&out->rights[i] != item && out->rights[i].port == item->port &&
                    out->rights[i].disposition == PTL_MOVE_RECEIVE)
                        return PTL_E_RIGHT; /* there is one */
        if (out->reply == item->port || out->notify == item->port)
                return PTL_E_RIGHT;
        return ptl_receiver_more(e->receiver) ? 0 : -ENOMEM;
}

/* A living right to a port of neither this task's nor @peer's? (Over another link with the same task, too.) */
static bool is_thirds(const struct ptl_entry *e, const struct ptl_peer *peer)
{
        return e->peer && e->peer != peer && !(e->rights & PTL_RIGHT_DEAD);
}

/* What is not confirmed is not sent on (H8), nor what is about to move; an own claim may go home: all come by
 * themselves. */
static int check_remote(struct ptl_space *space, struct ptl_entry *e, const struct ptl_peer *peer)
{
        if (e->flags & PTL_ENTRY_HANDED)
                return PTL_E_FULL;
        if (PTL_LIKELY(!(e->flags & PTL_ENTRY_UNCONFIRMED)) || !e->peer || e->rights & PTL_RIGHT_DEAD)
                return 0;
        return is_thirds(e, peer) ? PTL_E_FULL : ptl_way_check_carried(space, e);
}

static int check_right(struct ptl_task *task, const struct ptl_peer *peer, const struct ptl_entry *once,
                       const struct ptl_outgoing *out, const struct ptl_right_item *item)
{
        unsigned rights = needs(item->disposition);
        struct ptl_entry *e;
        int r;

        if (!rights)
                return PTL_E_INVALID;
        r = ptl_space_look(&task->space, item->port, rights, &e);
        if (r)
                return r;
        if (rights == PTL_RIGHT_RECEIVE && e->receiver->internal)
                return PTL_E_RIGHT; /* the library's: a task port */
        if (item->disposition == PTL_MOVE_RECEIVE)
                return check_receive(out, item, e);
        if (e == once || (is_move(item) && moved(out, item->port) > e->references))
                return PTL_E_RIGHT;
        return peer ? check_remote(&task->space, e, peer) : 0;
}

static int check_region(const struct ptl_outgoing *out, size_t i)
{
        const struct ptl_region_item *item = &out->regions[i];

        if (!item->region || item->reserved || item->how < PTL_REGION_VOLATILE || item->how > PTL_REGION_COPIED)
                return PTL_E_INVALID;
        if (!item->region->data)
                return PTL_E_RIGHT;
        for (size_t k = 0; k < i; k++)
                if (out->regions[k].region == item->region)
                        return PTL_E_INVALID; /* twice in one message */
        return 0;
}

int ptl_carry_check_rights(struct ptl_task *task, const struct ptl_peer *peer, const struct ptl_entry *once,
                           const struct ptl_outgoing *out)
{
        int r = 0;

        for (size_t i = 0; !r && i < out->n_rights; i++)
                r = check_right(task, peer, once, out, &out->rights[i]);
        return r;
}

int ptl_carry_check(struct ptl_task *task, const struct ptl_peer *peer, const struct ptl_entry *once,
                    const struct ptl_outgoing *out)
{
        int r;

        if (out->n_rights > PTL_MESSAGE_RIGHTS_MAX || out->n_regions > PTL_MESSAGE_REGIONS_MAX)
                return PTL_E_TOO_BIG;
        if ((out->n_rights && !out->rights) || (out->n_regions && !out->regions))
                return PTL_E_INVALID;
        r = ptl_carry_check_rights(task, peer, once, out);
        for (size_t i = 0; !r && i < out->n_regions; i++)
                r = check_region(out, i);
        return r;
}

static uint32_t grant(struct ptl_peer *peer, struct ptl_receiver *receiver, struct ptl_frame_right *f,
                      bool once)
{
        struct ptl_grant *minted;

        f->what = once ? PTL_CARRY_ONCE : PTL_CARRY_SEND;
        f->right = once ? ptl_grant_once(peer, receiver, &minted) : ptl_grant_send(peer, receiver);
        f->limit_messages = receiver->limit_messages;
        f->limit_units = receiver->limit_units;
        return f->right;
}

/* 0 is returned only where a grant was needed and the peer's table is full. @given: counts. */
static uint32_t fill_right(struct ptl_task *task, struct ptl_peer *peer, const struct ptl_outgoing *out,
                           const struct ptl_right_item *item, struct ptl_frame_right *f, uint32_t *given)
{
        struct ptl_entry *e = ptl_space_entry(&task->space, item->port);
        bool once = item->disposition == PTL_MAKE_SEND_ONCE || item->disposition == PTL_MOVE_SEND_ONCE;

        if (item->disposition == PTL_MOVE_RECEIVE) {
                *f = (struct ptl_frame_right){.what = PTL_CARRY_COMMITTED}; /* ptl_carry_name_moves() */
                return 1;
        }
        if (PTL_UNLIKELY(along(task, out, item) != NULL)) {
                *f = (struct ptl_frame_right){.what = once ? PTL_CARRY_GIVEN_ONCE : PTL_CARRY_GIVEN_SEND, .right = *given};
                ++*given;
                return 1;
        }
        if (ptl_entry_receiver(e))
                return grant(peer, e->receiver, f, once);
        if (e->rights & PTL_RIGHT_SEND_ONCE && !e->peer) { /* a send-once right to our own port */
                struct ptl_receiver *r = ptl_receiver_anywhere(&task->space, e->remote);

                if (r)
                        return grant(peer, r, f, true); /* its count goes with ptl_carry_commit() */
        }
        *f = (struct ptl_frame_right){.what = PTL_CARRY_DEAD};
        if (e->peer == peer && !(e->rights & PTL_RIGHT_DEAD)) {
                f->what = once ? PTL_CARRY_BACK_ONCE : PTL_CARRY_BACK_SEND;
                f->right = e->remote;
        } else if (is_thirds(e, peer)) {
                f->what = once ? PTL_CARRY_GIVEN_ONCE : PTL_CARRY_GIVEN_SEND;
                f->right = (*given)++;
        }
        return 1;
}

void ptl_carry_revoke(struct ptl_peer *peer, const struct ptl_frame_right *rights, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                bool granted = rights[i].what == PTL_CARRY_SEND || rights[i].what == PTL_CARRY_ONCE;
                struct ptl_grant *g = granted ? ptl_grant_find(peer, rights[i].right) : NULL;

                if (g)
                        ptl_grant_revoke(g);
        }
}

int ptl_carry_grant(struct ptl_task *task, struct ptl_peer *peer, const struct ptl_outgoing *out,
                    struct ptl_frame_right *ret)
{
        uint32_t given = 0;

        for (size_t i = 0; i < out->n_rights; i++) {
                if (fill_right(task, peer, out, &out->rights[i], &ret[i], &given))
                        continue;
                ptl_carry_revoke(peer, ret, i);
                return PTL_E_QUOTA;
        }
        return 0;
}

/* --- receive rights --- */

bool ptl_carry_receives(const struct ptl_outgoing *out)
{
        for (size_t i = 0; i < out->n_rights; i++)
                if (out->rights[i].disposition == PTL_MOVE_RECEIVE)
                        return true;
        return false;
}

int ptl_carry_add_moves(struct ptl_task *task, const struct ptl_outgoing *out, struct ptl_move *move)
{
        int r = 0;

        for (size_t i = 0; !r && i < out->n_rights; i++)
                if (out->rights[i].disposition == PTL_MOVE_RECEIVE)
                        r = ptl_move_add(move, ptl_receiver_of(&task->space, out->rights[i].port));
        return r;
}

uint32_t ptl_carry_along(struct ptl_task *task, const struct ptl_outgoing *out, struct ptl_move *move)
{
        uint32_t n = 0;

        for (size_t i = 0; i < out->n_rights; i++) {
                const struct ptl_right_item *item = &out->rights[i];
                struct ptl_receiver *r = along(task, out, item);

                if (!r)
                        continue;
                if (move)
                        move->along[n] = (struct ptl_move_along){
                                .receiver = r,
                                .once = item->disposition == PTL_MAKE_SEND_ONCE || item->disposition == PTL_MOVE_SEND_ONCE,
                                .moved = item->disposition == PTL_MOVE_SEND_ONCE};
                n++;
        }
        if (move)
                move->n_along = n;
        return n;
}

void ptl_carry_name_along(struct ptl_task *task, const struct ptl_peer *peer, const struct ptl_outgoing *out,
                          const struct ptl_move *move, const struct ptl_frame_given *thirds, struct ptl_frame_given *ret)
{
        uint32_t n = 0;

        for (size_t i = 0; i < out->n_rights; i++) {
                if (along(task, out, &out->rights[i]))
                        *ret++ = (struct ptl_frame_given){peer->link.identity.task, move->along[n++].ticket};
                else if (is_thirds(ptl_space_entry(&task->space, out->rights[i].port), peer))
                        *ret++ = *thirds++;
        }
}

void ptl_carry_name_moves(struct ptl_task *task, const struct ptl_outgoing *out, const struct ptl_move *move,
                          struct ptl_frame_right *rights)
{
        for (size_t i = 0; i < out->n_rights; i++)
                if (out->rights[i].disposition == PTL_MOVE_RECEIVE)
                        rights[i].right = ptl_move_number(move, ptl_receiver_of(&task->space, out->rights[i].port));
}

/* --- rights of third tasks --- */

/* A send-once right went with its GIVE, and cannot be had back: if that is not counted it dies. */
bool ptl_carry_is_unsure(struct ptl_task *task, const struct ptl_peer *peer, const struct ptl_outgoing *out)
{
        bool any = false, once = false;

        for (size_t i = 0; i < out->n_rights; i++) {
                struct ptl_entry *e = ptl_space_entry(&task->space, out->rights[i].port);

                if (!is_thirds(e, peer))
                        continue;
                once |= (e->rights & PTL_RIGHT_SEND_ONCE) != 0;
                if (!ptl_way_is_unsure(e) || e->rights & PTL_RIGHT_SEND_ONCE)
                        continue;
                any = true;
                ptl_way_mark(&task->space, e);
        }
        return any && !once;
}

uint32_t ptl_carry_given(struct ptl_task *task, const struct ptl_peer *peer, const struct ptl_outgoing *out)
{
        uint32_t n = 0;

        for (size_t i = 0; i < out->n_rights; i++)
                n += is_thirds(ptl_space_entry(&task->space, out->rights[i].port), peer);
        return n;
}

static struct ptl_giving *giving_of(struct ptl_carry_giving *all, struct ptl_peer *owner)
{
        struct ptl_giving *g = all->of;

        while (g < all->of + all->owners && g->owner != owner)
                g++;
        if (g == all->of + all->owners) {
                g->owner = owner;
                g->count = 0;
                all->owners++;
        }
        return g;
}

/* Who is to be told what. */
static void sort_by_owner(struct ptl_task *task, const struct ptl_peer *peer, const struct ptl_outgoing *out,
                          struct ptl_carry_giving *all)
{
        for (size_t i = 0; i < out->n_rights; i++) {
                const struct ptl_entry *e = ptl_space_entry(&task->space, out->rights[i].port);
                struct ptl_giving *g;

                if (!is_thirds(e, peer))
                        continue;
                g = giving_of(all, e->peer);
                g->give.items[g->count++] = (struct ptl_frame_give_item){
                        .right = e->remote,
                        .kind = e->rights & PTL_RIGHT_SEND_ONCE ? PTL_CARRY_ONCE : PTL_CARRY_SEND};
        }
}

/* Tickets in the order of the message's rights. */
static void name_tickets(struct ptl_task *task, const struct ptl_peer *peer, const struct ptl_outgoing *out,
                         struct ptl_carry_giving *all)
{
        uint32_t n = 0;

        for (uint32_t k = 0; k < all->owners; k++)
                all->of[k].count = 0;
        for (size_t i = 0; i < out->n_rights; i++) {
                const struct ptl_entry *e = ptl_space_entry(&task->space, out->rights[i].port);
                struct ptl_giving *g;

                if (!is_thirds(e, peer))
                        continue;
                g = giving_of(all, e->peer);
                all->given[n++] = (struct ptl_frame_given){.owner = e->peer->link.identity.task,
                                                           .ticket = g->give.items[g->count++].ticket};
        }
}

int ptl_carry_give(struct ptl_task *task, struct ptl_peer *peer, const struct ptl_outgoing *out, uint32_t count,
                   struct ptl_carry_giving **ret_giving)
{
        struct ptl_carry_giving *all = malloc(sizeof *all + count * sizeof *all->of);

        if (!all)
                return -ENOMEM;
        all->owners = 0;
        sort_by_owner(task, peer, out, all);
        for (uint32_t k = 0; k < all->owners; k++) {
                int r = ptl_given_reserve(peer, &all->of[k]);

                if (!r)
                        continue;
                all->owners = k;
                ptl_carry_keep(all);
                return r;
        }
        name_tickets(task, peer, out, all);
        *ret_giving = all;
        return 0;
}

void ptl_carry_keep(struct ptl_carry_giving *all)
{
        for (uint32_t k = 0; all && k < all->owners; k++)
                ptl_given_cancel(&all->of[k]);
        free(all);
}

void ptl_carry_gave(struct ptl_peer *peer, struct ptl_carry_giving *all)
{
        for (uint32_t k = 0; all && k < all->owners; k++)
                ptl_given_commit(peer, &all->of[k]);
        free(all);
}

/* A send-once right that went home, or was given on: its number is the peer's again. */
static void forget_once(struct ptl_task *task, struct ptl_entry *e)
{
        struct ptl_peer *peer = e->peer;

        ptl_name_ends(&task->space, e);
        if (!peer) {
                struct ptl_receiver *r = ptl_receiver_anywhere(&task->space, e->remote);

                if (r)
                        ptl_receiver_entry(&task->space, r)->onces--;
        }
        if (peer)
                ptl_held_forget(peer, e->remote);
        ptl_space_remove(&task->space, e);
        if (peer)
                ptl_peer_unref(peer);
}

void ptl_carry_commit(struct ptl_task *task, struct ptl_peer *peer, const struct ptl_outgoing *out)
{
        for (size_t i = 0; i < out->n_rights; i++) {
                struct ptl_entry *e = ptl_space_entry(&task->space, out->rights[i].port);

                if (e && out->rights[i].disposition == PTL_MAKE_SEND)
                        e->made++;
                if (!e || !is_move(&out->rights[i]))
                        continue;
                if (e->rights & PTL_RIGHT_SEND_ONCE)
                        forget_once(task, e);
                else
                        ptl_right_drop(&task->space, e, 1);
        }
        for (size_t i = 0; peer && i < out->n_regions; i++)
                if (out->regions[i].how == PTL_REGION_ISOLATED)
                        ptl_region_unref(&task->space, out->regions[i].region);
}

/* A reference leaves its name and travels in a message to this task itself. */
static struct ptl_frame_right take_held(struct ptl_space *space, struct ptl_entry *e, bool move)
{
        struct ptl_frame_right f = {.what = PTL_CARRY_HELD, .right = ptl_entry_name(e)};

        e->transit++;
        if (move)
                ptl_right_drop(space, e, 1);
        return f;
}

static struct ptl_frame_right take_own(struct ptl_space *space, struct ptl_entry *e, uint32_t how,
                                       struct ptl_receiver *to)
{
        struct ptl_frame_right f = {.what = PTL_CARRY_OWN, .right = ptl_entry_name(e)};

        if (how == PTL_MOVE_RECEIVE) {
                f.what = PTL_CARRY_RECEIVE;
                ptl_receiver_enclose(space, e->receiver, to);
                return f;
        }
        if (how == PTL_MAKE_SEND_ONCE) {
                f.what = PTL_CARRY_OWN_ONCE;
                e->onces++;
                return f;
        }
        ptl_senders_add(space, e->receiver); /* C2: before the name's own goes */
        e->made += how == PTL_MAKE_SEND;
        if (how == PTL_MOVE_SEND)
                ptl_right_drop(space, e, 1);
        return f;
}

static struct ptl_frame_right take_local(struct ptl_space *space, const struct ptl_right_item *item,
                                         struct ptl_receiver *to)
{
        struct ptl_entry *e = ptl_space_entry(space, item->port);
        struct ptl_frame_right f = {.what = PTL_CARRY_DEAD};

        if (!e)
                return f;
        if (ptl_entry_receiver(e))
                return take_own(space, e, item->disposition, to);
        if (e->rights & PTL_RIGHT_DEAD) {
                if (is_move(item))
                        ptl_right_drop(space, e, 1);
                return f;
        }
        if (e->peer)
                return take_held(space, e, is_move(item));
        f = (struct ptl_frame_right){.what = PTL_CARRY_OWN_ONCE, .right = e->remote};
        ptl_name_ends(space, e);
        ptl_space_remove(space, e);
        return f;
}

/* Copies before what is moved, which may be the last reference of the same name. */
void ptl_carry_local(struct ptl_task *task, const struct ptl_outgoing *out, struct ptl_receiver *to,
                     struct ptl_frame_right *ret)
{
        for (size_t i = 0; i < out->n_rights; i++)
                if (!is_move(&out->rights[i]) && out->rights[i].disposition != PTL_MOVE_RECEIVE)
                        ret[i] = take_local(&task->space, &out->rights[i], to);
        for (size_t i = 0; i < out->n_rights; i++)
                if (is_move(&out->rights[i]))
                        ret[i] = take_local(&task->space, &out->rights[i], to);
        for (size_t i = 0; i < out->n_rights; i++)
                if (out->rights[i].disposition == PTL_MOVE_RECEIVE)
                        ret[i] = take_local(&task->space, &out->rights[i], to);
}
