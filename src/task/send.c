/* SPDX-License-Identifier: Apache-2.0 */
/* task/send.c - sending: find the right, look at its window, write the frame */
#include "task/send.h"
#include "link/trace_frame.h"
#include "port/regions.h"
#include "port/request.h"
#include "task/block.h"
#include "task/carry.h"
#include "task/left.h"
#include "task/local.h"
#include "task/quick.h"
#include "task/resend.h"
#include "task/restrain.h"
#include "task/window.h"
#include <string.h>

static int check_reply(struct ptl_task *task, const struct ptl_sending *s)
{
        struct ptl_entry *e;

        if (s->reply_port) {
                int r = ptl_space_look(&task->space, s->reply_port, PTL_RIGHT_RECEIVE, &e);

                if (r)
                        return r;
        }
        return s->notify ? ptl_receiver_look(&task->space, s->notify, &e) : 0;
}

/* --- to another task --- */

static int mint_reply(struct ptl_task *task, struct ptl_peer *peer, struct ptl_sending *s)
{
        struct ptl_grant *minted;

        if (!s->reply_port)
                return 0;
        s->minted = ptl_grant_once(peer, ptl_receiver_of(&task->space, s->reply_port), &minted);
        if (PTL_UNLIKELY(!s->minted))
                return PTL_E_QUOTA;
        s->minted_peer = peer;
        ptl_wait_heat(task, peer); /* the answer will come there */
        return 0;
}

/* A reader that lies about how far it has read is as good as dead. */
static int judge_room(struct ptl_link *link, int r)
{
        if (PTL_LIKELY(r != PTL_E_MALFORMED))
                return r;
        ptl_link_accuse(link);
        return PTL_E_DEAD;
}

/* Room in the ring: in a larger level before the caller has to wait. */
static int reserve(struct ptl_task *task, struct ptl_link *link, uint32_t length,
                   struct ptl_ring_slot *slot)
{
        int r = ptl_ring_reserve(&link->tx, length, PTL_RING_RESERVE, slot);

        if (PTL_LIKELY(r != PTL_E_FULL))
                return judge_room(link, r);
        if (!link->tx.peer_consumed || ptl_ring_grow(&link->tx))
                return PTL_E_FULL;
        task->space.counters.rings_grown++;
        return judge_room(link, ptl_ring_reserve(&link->tx, length, PTL_RING_RESERVE, slot));
}

static void publish(struct ptl_link *link, const struct ptl_ring_slot *slot, enum ptl_frame_kind kind,
                    uint32_t length, const struct ptl_frame_head *head, struct ptl_sending *s)
{
        s->frame = slot->body;
        s->frame_length = length;
        ptl_ring_publish(&link->tx, slot, kind, length, head);
        link->frames_sent++;
        if (PTL_UNLIKELY(ptl_trace_is_on())) {
                struct ptl_frame_head shown = *head;

                shown.word = ptl_frame_word(slot->position, length, kind);
                shown.sequence = link->tx.sequence - 1;
                ptl_trace_frame(&link->identity, true, &shown, slot->body);
        }
}

static int write_plain(struct ptl_task *task, struct ptl_entry *e, struct ptl_sending *s)
{
        struct ptl_link *link = &e->peer->link;
        bool block = s->block >= 0;
        uint32_t length = block ? sizeof(struct ptl_frame_block) : (uint32_t)s->size;
        struct ptl_frame_head head = {.right = e->remote, .aux = s->kind};
        struct ptl_ring_slot slot;
        int r = reserve(task, link, length, &slot);

        if (PTL_UNLIKELY(r))
                return r;
        r = mint_reply(task, e->peer, s);
        if (PTL_UNLIKELY(r))
                return r;
        head.token = s->minted;
        if (PTL_UNLIKELY(block)) {
                struct ptl_frame_block body = {.offset = ptl_pool_offset(link->pool, (unsigned)s->block),
                                               .slot = (uint32_t)s->block,
                                               .size = s->size};

                ptl_pool_give(link->pool, (unsigned)s->block);
                ptl_copy_shared(slot.body, &body, sizeof body);
                s->block = -1;
        } else {
                ptl_link_copy(link, slot.body, s->data, s->size);
        }
        publish(link, &slot, block ? PTL_FRAME_BLOCK : PTL_FRAME_INLINE, length, &head, s);
        return 0;
}

/* The bytes of a message larger than the pool, as a region of its own. */
static int wrap_bytes(const struct ptl_sending *s, struct ptl_region **ret_region)
{
        void *data;
        int fd, r = ptl_memory_create(s->size, &fd, &data);

        if (r)
                return r;
        memcpy(data, s->data, s->size);
        r = ptl_region_wrap(fd, data, s->size, ret_region);
        if (r) {
                ptl_memory_unmap(data, s->size);
                ptl_close(fd);
        }
        return r;
}

static int export_regions(struct ptl_peer *peer, const struct ptl_sending *s, struct ptl_region *bytes,
                          struct ptl_rich *rich)
{
        struct ptl_region *regions[PTL_LINK_TOGETHER];
        uint32_t n = 0;
        int r;

        for (size_t i = 0; s->extras && i < s->extras->n_regions; i++) {
                rich->regions[n].how = s->extras->regions[i].how;
                regions[n++] = s->extras->regions[i].region;
        }
        if (bytes) {
                rich->where = PTL_WHERE_REGION;
                rich->block.slot = n;
                rich->block.size = s->size;
                rich->regions[n].how = PTL_REGION_VOLATILE;
                regions[n++] = bytes;
        }
        rich->n_regions = n;
        r = n ? ptl_regions_export(peer, regions, n, rich->regions) : 0;
        for (uint32_t i = 0; !r && i < n; i++) /* nothing can fail from here on */
                if (rich->regions[i].how == PTL_REGION_ISOLATED && rich->regions[i].fresh)
                        rich->regions[i].frozen = ptl_region_freeze(regions[i]);
        return r;
}

/* The link's lock is held; the slot is reserved: nothing can fail behind the exports. */
static int fill_rich(struct ptl_task *task, struct ptl_entry *e, struct ptl_sending *s,
                     struct ptl_region *bytes, struct ptl_rich *rich, struct ptl_carry_giving **ret_giving)
{
        struct ptl_peer *peer = e->peer;
        int r = s->extras ? ptl_carry_grant(task, peer, s->extras, rich->rights) : 0;

        if (r)
                return r;
        rich->n_rights = s->extras ? (uint32_t)s->extras->n_rights : 0;
        if (PTL_UNLIKELY(rich->n_given))
                r = ptl_carry_give(task, peer, s->extras, rich->n_given, ret_giving);
        if (!r)
                r = mint_reply(task, peer, s);
        if (!r)
                r = export_regions(peer, s, bytes, rich);
        if (!r)
                return 0;
        ptl_carry_keep(*ret_giving);
        ptl_carry_revoke(peer, rich->rights, rich->n_rights);
        if (s->minted)
                ptl_grant_free(ptl_grant_find(peer, s->minted));
        s->minted = 0;
        return r;
}

/* Undoes fill_rich(). */
static void take_back(struct ptl_peer *peer, struct ptl_sending *s, const struct ptl_rich *rich)
{
        ptl_regions_unexport(peer, rich->regions, rich->n_regions);
        ptl_carry_revoke(peer, rich->rights, rich->n_rights);
        if (s->minted)
                ptl_grant_free(ptl_grant_find(peer, s->minted));
        s->minted = 0;
}

/* Writes what is given on; true: the port of one of those rights moves, and what was given is taken back (S8). */
static bool give(struct ptl_task *task, struct ptl_peer *peer, const struct ptl_outgoing *out,
                 struct ptl_carry_giving *giving)
{
        struct ptl_frame_given given[PTL_MESSAGE_RIGHTS_MAX];
        uint32_t n = ptl_carry_given(task, peer, out);

        memcpy(given, giving->given, n * sizeof *given);
        ptl_carry_gave(peer, giving);
        if (PTL_LIKELY(!ptl_carry_is_unsure(task, peer, out)))
                return false;
        for (uint32_t i = 0; i < n; i++)
                ptl_given_withdraw(&task->space, given[i]);
        return true;
}

/* From here on a lent block is the reader's. */
static void place_block(struct ptl_link *link, struct ptl_sending *s, struct ptl_rich *rich)
{
        if (s->block < 0)
                return;
        rich->where = PTL_WHERE_BLOCK;
        rich->block = (struct ptl_frame_block){ptl_pool_offset(link->pool, (unsigned)s->block), (uint32_t)s->block,
                                               s->size};
        ptl_pool_give(link->pool, (unsigned)s->block);
        s->block = -1;
}

/* The message goes straight behind the COMMIT of its ports; all that may fail is before that. */
static int write_moves(struct ptl_task *task, struct ptl_entry *e, struct ptl_sending *s, struct ptl_rich *rich,
                       struct ptl_carry_giving *giving, uint32_t length, struct ptl_frame_head *head)
{
        struct ptl_frame_given given[PTL_MESSAGE_RIGHTS_MAX], thirds[PTL_MESSAGE_RIGHTS_MAX];
        uint32_t n = giving ? ptl_carry_given(task, e->peer, s->extras) : 0;
        struct ptl_link *link = &e->peer->link;
        struct ptl_ring_slot slot;
        int r;

        if (giving)
                memcpy(thirds, giving->given, n * sizeof *thirds);
        (void)ptl_carry_along(task, s->extras, s->move);
        if (giving && give(task, e->peer, s->extras, giving)) {
                r = PTL_E_FULL;
        } else {
                r = ptl_move_stage(s->move);
                for (uint32_t i = 0; r && i < n; i++)
                        ptl_given_withdraw(&task->space, thirds[i]);
        }
        if (r) {
                take_back(e->peer, s, rich);
                return r;
        }
        ptl_carry_name_along(task, e->peer, s->extras, s->move, thirds, given);
        rich->given = given;
        ptl_move_commit(s->move);
        place_block(link, s, rich);
        ptl_carry_name_moves(task, s->extras, s->move, rich->rights);
        (void)!ptl_ring_reserve(&link->tx, length, 0, &slot); /* ptl_move_room() looked */
        ptl_rich_encode(rich, slot.body);
        if (rich->where == PTL_WHERE_INLINE && s->size)
                ptl_copy_shared((char *)slot.body + length - s->size, s->data, s->size);
        head->token = s->minted;
        publish(link, &slot, PTL_FRAME_RICH, length, head, s);
        return 0;
}

static int write_rich(struct ptl_task *task, struct ptl_entry *e, struct ptl_sending *s,
                      struct ptl_region *bytes)
{
        size_t n_rights = s->extras ? s->extras->n_rights : 0;
        size_t n_regions = (s->extras ? s->extras->n_regions : 0) + (bytes != NULL);
        uint32_t n_given = (n_rights ? ptl_carry_given(task, e->peer, s->extras) : 0) +
                           (PTL_UNLIKELY(s->move != NULL) ? ptl_carry_along(task, s->extras, NULL) : 0);
        size_t head_size = ptl_rich_head_size((uint32_t)n_rights, (uint32_t)n_regions) +
                           n_given * sizeof(struct ptl_frame_given);
        uint32_t length = (uint32_t)(head_size + (bytes || s->block >= 0 ? 0 : s->size));
        struct ptl_link *link = &e->peer->link;
        struct ptl_frame_head head = {.right = e->remote, .aux = s->kind};
        struct ptl_carry_giving *giving = NULL;
        struct ptl_rich rich;
        struct ptl_ring_slot slot;
        int r;

        rich.n_rights = rich.n_regions = 0;
        rich.n_given = n_given;
        rich.where = PTL_WHERE_INLINE;
        rich.block = (struct ptl_frame_block){0};
        r = reserve(task, link, length, &slot);
        if (!r)
                r = fill_rich(task, e, s, bytes, &rich, &giving);
        if (r)
                return r;
        if (PTL_UNLIKELY(s->move != NULL))
                return write_moves(task, e, s, &rich, giving, length, &head);
        place_block(link, s, &rich);
        rich.given = giving ? giving->given : NULL;
        ptl_rich_encode(&rich, slot.body);
        if (rich.where == PTL_WHERE_INLINE && s->size)
                ptl_copy_shared((char *)slot.body + head_size, s->data, s->size);
        head.token = s->minted;
        if (PTL_UNLIKELY(giving != NULL) && give(task, e->peer, s->extras, giving)) {
                take_back(e->peer, s, &rich);
                return PTL_E_FULL;
        }
        publish(link, &slot, PTL_FRAME_RICH, length, &head, s);
        return 0;
}

int ptl_send_write(struct ptl_task *task, struct ptl_entry *e, struct ptl_sending *s, struct ptl_region *bytes)
{
        struct ptl_link *link = &e->peer->link;
        int r;

        if (PTL_UNLIKELY(ptl_control_is_pending(e->peer)))
                ptl_control_flush(e->peer); /* claims go before what is sent through them */
        if (PTL_UNLIKELY(e->flags & PTL_ENTRY_CLAIM))
                return PTL_E_FULL;
        ptl_lock(&link->lock);
        if (PTL_UNLIKELY(ptl_link_state(link) == PTL_LINK_DEAD))
                r = PTL_E_DEAD;
        else if (PTL_UNLIKELY((s->extras && (s->extras->n_rights || s->extras->n_regions)) || bytes))
                r = write_rich(task, e, s, bytes);
        else
                r = write_plain(task, e, s);
        if (PTL_LIKELY(!r))
                ptl_link_bell(link);
        ptl_unlock(&link->lock);
        /* To be looked at from the time it opens; and where an answer is waited for it is polled. */
        if (PTL_UNLIKELY(!e->peer->hot && (!e->peer->watched_open || s->reply_port)) &&
            ptl_link_state(link) == PTL_LINK_OPEN)
                task->space.opened(&task->space, e->peer);
        ptl_restrain_awaited(task, e->peer); /* it may owe an answer from now on */
        return r;
}

void ptl_send_count(struct ptl_task *task, struct ptl_entry *e, size_t size, uint32_t units)
{
        task->space.counters.sent++;
        task->space.counters.sent_bytes += size;
        if ((e->rights | e->under_way) & PTL_RIGHT_SEND) {
                e->sent++;
                e->sent_units += units;
        }
}

void ptl_send_commit(struct ptl_task *task, struct ptl_entry *e, struct ptl_sending *s, uint32_t units)
{
        struct ptl_peer *peer = e->peer;

        ptl_send_count(task, e, s->size, units);
        ptl_peer_ref(peer);
        if (e->rights & PTL_RIGHT_SEND_ONCE) {
                ptl_name_ends(&task->space, e);
                ptl_held_forget(peer, e->remote);
                ptl_space_remove(&task->space, e);
                ptl_peer_unref(peer);
        }
        if (s->extras)
                ptl_carry_commit(task, peer, s->extras);
        ptl_peer_unref(peer);
}

static int send_moves(struct ptl_task *task, struct ptl_entry *e, struct ptl_sending *s,
                      struct ptl_region *bytes);

static int send_remote(struct ptl_task *task, struct ptl_entry *e, struct ptl_sending *s,
                       struct ptl_region *bytes)
{
        uint32_t units = ptl_units(s->size), index = ptl_name_index(ptl_entry_name(e));
        struct ptl_left *left = NULL;
        const void *data;
        int r = PTL_UNLIKELY(e->flags & PTL_ENTRY_UNCONFIRMED) ? ptl_way_check(&task->space, e) : 0;

        if (PTL_LIKELY(!r) && PTL_UNLIKELY(s->block >= 0 && s->block_peer != e->peer))
                r = ptl_resend_relend(e, s); /* its port has moved meanwhile */
        if (PTL_UNLIKELY(r))
                return r;
        data = s->block >= 0 && !s->data ? ptl_link_block(&s->block_peer->link, (unsigned)s->block) : s->data;
        if (s->extras) {
                r = ptl_carry_check(task, e->peer, e->rights & PTL_RIGHT_SEND_ONCE ? e : NULL, s->extras);
                if (r)
                        return r;
        }
        if (PTL_UNLIKELY(e->flags & PTL_ENTRY_HANDED))
                return PTL_E_FULL; /* until its port's task has confirmed it */
        if (PTL_UNLIKELY(s->extras && !s->move && ptl_carry_receives(s->extras)))
                return send_moves(task, e, s, bytes);
        if (e->rights & PTL_RIGHT_SEND && PTL_UNLIKELY(!ptl_window_has_room(e, units))) {
                r = ptl_left_may(task, e, s->leave);
                if (r)
                        return r;
                left = malloc(sizeof *left);
                if (!left)
                        return -ENOMEM;
        }
        r = ptl_send_write(task, e, s, bytes);
        if (PTL_UNLIKELY(r)) {
                free(left);
                return r;
        }
        if (PTL_UNLIKELY(left != NULL))
                e->transit++; /* the message keeps the right, though the program give it up with it */
        if (PTL_UNLIKELY(ptl_way_is_unsure(e)) && !s->move)
                ptl_resend_commit(task, e, s, data, units);
        else
                ptl_send_commit(task, e, s, units);
        if (PTL_UNLIKELY(left != NULL))
                ptl_left_add(task, ptl_table_at(&task->space.entries, index), left, s->notify);
        return 0;
}

/* Does that port move, too? A message with receive rights cannot be sent again: where it goes must be known. (Through
 * a claim that is not confirmed it is as good as the claim: what is refused destroys it, and the ports in it.) */
static bool is_leaving(const struct ptl_entry *e)
{
        return !(e->flags & PTL_ENTRY_UNCONFIRMED) && ptl_way_is_unsure(e);
}

/* What the message itself takes of the ring, at most. */
static uint32_t message_room(const struct ptl_sending *s)
{
        size_t head = ptl_send_head(s), length = head + s->size <= PTL_INLINE_MAX ? head + s->size : head;

        return (uint32_t)ptl_frame_end(0, (uint32_t)length);
}

/* What the rings hold is taken, so that all else may be other than it was: the message is looked at anew. */
static int take_and_send(struct ptl_task *task, ptl_port port, struct ptl_sending *s, struct ptl_region *bytes)
{
        struct ptl_entry *e;
        int r;

        ptl_move_mark(s->move);
        e = ptl_space_entry(&task->space, port);
        if (!e || e->peer != s->move->to || e->rights & PTL_RIGHT_DEAD || is_leaving(e))
                return PTL_E_FULL; /* the next attempt says why */
        s->move->count = 0;
        r = ptl_carry_add_moves(task, s->extras, s->move);
        if (!r)
                r = ptl_move_room(s->move, message_room(s));
        if (!r)
                r = ptl_move_pack(s->move);
        return r ? r : send_remote(task, e, s, bytes);
}

/* A message with receive rights: docs/protocol/migration.md, "The old receiver". Only who may take from rings can
 * settle which messages are whose: another thread that leads is asked to let this one. */
static int send_moves(struct ptl_task *task, struct ptl_entry *e, struct ptl_sending *s, struct ptl_region *bytes)
{
        struct ptl_move move = {.space = &task->space, .to = ptl_peer_ref(e->peer)};
        ptl_port port = ptl_entry_name(e);
        bool has_room = !(e->rights & PTL_RIGHT_SEND) || s->leave || ptl_window_has_room(e, ptl_units(s->size));
        int r = is_leaving(e) || !has_room ? PTL_E_FULL : 0; /* before anybody's word is marked */

        if (!r)
                r = ptl_carry_add_moves(task, s->extras, &move);
        if (!r)
                r = ptl_move_room(&move, message_room(s));
        if (!r && task->wait.leader && !s->leads)
                r = PTL_E_BUSY;
        if (!r) {
                s->move = &move;
                r = take_and_send(task, port, s, bytes);
                if (r)
                        ptl_move_unmark(&move);
                else
                        ptl_move_depart(&move);
                ptl_move_tell(&move);
                ptl_move_end(&move);
                s->move = NULL;
        }
        ptl_peer_unref(move.to);
        return r;
}

/* One attempt; PTL_E_FULL: nothing happened, try again when there is room. */
static int attempt(struct ptl_task *task, ptl_port port, struct ptl_sending *s,
                   struct ptl_region *bytes)
{
        struct ptl_entry *e;
        int r = ptl_space_look(&task->space, port,
                               PTL_RIGHT_SEND | PTL_RIGHT_SEND_ONCE | PTL_RIGHT_RECEIVE | PTL_RIGHT_DEAD,
                               &e);

        if (PTL_LIKELY(!r) && PTL_UNLIKELY(s->reply_port || s->notify))
                r = check_reply(task, s);
        if (PTL_UNLIKELY(r))
                return r;
        if (PTL_LIKELY(e->peer && !(e->rights & PTL_RIGHT_DEAD)))
                return send_remote(task, e, s, bytes);
        if (e->rights & PTL_RIGHT_DEAD)
                return PTL_E_DEAD;
        if (ptl_entry_receiver(e)) {
                r = ptl_local_send(task, e->receiver, NULL, s);
                if (!r) {
                        task->space.counters.sent++;
                        task->space.counters.sent_bytes += s->size;
                }
                return r;
        }
        return ptl_local_send_once(task, e, s);
}

/* --- waiting for room --- */

struct room_wait {
        struct ptl_waiter waiter;
        ptl_port port;
        struct ptl_sending *sending;
        struct ptl_region *bytes;
        int outcome;
        bool done; /* the check is asked again after it said yes */
        /* For the hint: words of the peer's, as they were before the attempt. */
        const _Atomic uint64_t *consumed, *taken;
        uint64_t saw_consumed, saw_taken;
        uint32_t enough; /* messages to be taken before another attempt is worth while */
};

static void remember_words(struct ptl_task *task, struct room_wait *w)
{
        struct ptl_entry *e = ptl_space_entry(&task->space, w->port);
        struct ptl_link *link = e && e->peer ? &e->peer->link : NULL;

        w->consumed = w->taken = NULL;
        w->waiter.from = e ? e->peer : NULL;
        if (e && e->peer)
                ptl_restrain_awaited(task, e->peer);
        if (!link || !link->peer.base)
                return;
        w->consumed = &ptl_outbox_head(&link->peer)->consumed;
        w->taken = ptl_outbox_word(&link->peer, e->remote);
        w->saw_consumed = ptl_load_relaxed(w->consumed); /* relaxed: hints */
        w->saw_taken = ptl_load_relaxed(w->taken);       /* relaxed: hints */
        w->enough = e->limit_messages / 8 + 1;
}

static bool room_check(struct ptl_task *task, struct ptl_waiter *waiter)
{
        struct room_wait *w = PTL_CONTAINER(waiter, struct room_wait, waiter);

        if (w->done)
                return true;
        remember_words(task, w);
        w->sending->leads = task->wait.leader == waiter;
        w->outcome = attempt(task, w->port, w->sending, w->bytes);
        if (PTL_UNLIKELY(w->outcome == PTL_E_BUSY)) {
                w->outcome = PTL_E_FULL;
                ptl_wait_want_lead(task, waiter);
        }
        w->done = w->outcome != PTL_E_FULL;
        return w->done;
}

/* The peer cannot be unlinked while we poll (W3: only the leader unlinks), so its words are there. */
static bool room_hint(const struct ptl_waiter *waiter)
{
        const struct room_wait *w = PTL_CONTAINER(waiter, struct room_wait, waiter);
        uint64_t taken;

        if (!w->consumed)
                return false;
        taken = ptl_load_relaxed(w->taken); /* relaxed: a hint, as below */
        return ptl_load_relaxed(w->consumed) - w->saw_consumed >= 8192 || (taken ^ w->saw_taken) & PTL_WORD_MOVES ||
               (uint32_t)taken - (uint32_t)w->saw_taken >= w->enough;
}

static int wait_and_send(struct ptl_task *task, ptl_port port, struct ptl_sending *s,
                         struct ptl_region *bytes, ptl_time deadline)
{
        struct room_wait w = {.waiter = {.kind = PTL_WAITS_ROOM, .check = room_check, .hint = room_hint},
                              .port = port,
                              .sending = s,
                              .bytes = bytes};

        task->space.counters.waits_full++;
        return ptl_wait_for(task, &w.waiter, deadline) ? PTL_E_TIMEOUT : w.outcome;
}

/* Does what the peer says of its room begin with a frame of its that we have not read? */
static bool is_to_be_heard(struct ptl_task *task, ptl_port port)
{
        struct ptl_entry *e = ptl_space_entry(&task->space, port);

        return e && e->peer &&
               (ptl_link_state(&e->peer->link) == PTL_LINK_INTRODUCED || e->flags & PTL_ENTRY_UNCONFIRMED);
}

static int try_or_wait(struct ptl_task *task, ptl_port port, struct ptl_sending *s,
                        struct ptl_region *bytes, ptl_time deadline)
{
        int r = attempt(task, port, s, bytes);

        if (PTL_UNLIKELY(r == PTL_E_BUSY))
                r = PTL_E_FULL;
        if (PTL_UNLIKELY(r == PTL_E_FULL) &&
            (is_to_be_heard(task, port) || (s->extras && s->extras->n_rights))) {
                ptl_wait_catch_up(task); /* its HELLO or CONFIRM may be there, and with it what it has taken */
                r = attempt(task, port, s, bytes);
                r = r == PTL_E_BUSY ? PTL_E_FULL : r;
        }
        if (PTL_LIKELY(r != PTL_E_FULL) || deadline == PTL_NOW || s->leave)
                return r;
        return wait_and_send(task, port, s, bytes, deadline);
}

static int send_or_wait(struct ptl_task *task, ptl_port port, struct ptl_sending *s,
                        struct ptl_region *bytes, ptl_time deadline)
{
        int r = try_or_wait(task, port, s, bytes, deadline);

        if (PTL_UNLIKELY(!r && s->way))
                ptl_resend_await(task, s->way, deadline);
        return r;
}

/* --- large payloads --- */

/* Copies into a block without the task's lock, so that other threads go on meanwhile. */
static int send_block(struct ptl_task *task, ptl_port port, struct ptl_sending *s, ptl_time deadline)
{
        struct ptl_peer *peer = NULL;
        int r = ptl_block_reserve(task, port, s->size, deadline, &s->block, &peer);

        if (r)
                return r;
        if (s->block < 0) /* a port of our own, or a dead one */
                return send_or_wait(task, port, s, NULL, deadline);
        ptl_unlock(&task->space.lock);
        ptl_link_copy(&peer->link, ptl_link_block(&peer->link, (unsigned)s->block), s->data, s->size);
        ptl_lock(&task->space.lock);
        s->block_peer = peer;
        r = send_or_wait(task, port, s, NULL, deadline);
        ptl_block_cancel(s->block_peer, s->block);
        return r;
}

static int send_region(struct ptl_task *task, ptl_port port, struct ptl_sending *s, ptl_time deadline)
{
        struct ptl_entry *e = ptl_space_entry(&task->space, port);
        struct ptl_region *bytes = NULL;
        int r = 0;

        if (e && e->peer) {
                ptl_unlock(&task->space.lock);
                r = wrap_bytes(s, &bytes);
                ptl_lock(&task->space.lock);
        }
        if (!r)
                r = send_or_wait(task, port, s, bytes, deadline);
        ptl_region_unref(&task->space, bytes);
        return r;
}

int ptl_send_write_region(struct ptl_task *task, struct ptl_entry *e, struct ptl_sending *s)
{
        struct ptl_region *bytes = NULL;
        int r = wrap_bytes(s, &bytes);

        if (!r)
                r = ptl_send_write(task, e, s, bytes);
        ptl_region_unref(&task->space, bytes);
        return r;
}

size_t ptl_send_head(const struct ptl_sending *s)
{
        const struct ptl_outgoing *out = s->extras;

        return out ? ptl_rich_head_size((uint32_t)out->n_rights, (uint32_t)out->n_regions) +
                             out->n_rights * sizeof(struct ptl_frame_given)
                   : 0;
}

int ptl_send_locked(struct ptl_task *task, ptl_port port, struct ptl_sending *s, ptl_time deadline)
{
        size_t head = ptl_send_head(s);

        if (PTL_LIKELY(s->size + head <= PTL_INLINE_MAX) || s->block >= 0)
                return send_or_wait(task, port, s, NULL, deadline);
        if (s->size <= PTL_BLOCK_MAX)
                return send_block(task, port, s, deadline);
        return send_region(task, port, s, deadline);
}

bool ptl_send_was_unsure(struct ptl_task *task, struct ptl_entry *e, const void *data, size_t size,
                         ptl_port reply_port, uint32_t minted)
{
        struct ptl_sending s = {.data = data,
                                .size = size,
                                .reply_port = reply_port,
                                .block = -1,
                                .minted = minted};

        if (!ptl_way_is_unsure(e))
                return false;
        ptl_resend_commit(task, e, &s, data, ptl_units(size));
        task->space.ways.unsure = s.way;
        return true;
}

/* --- the public calls --- */

int ptl_send(ptl_port port, const void *data, size_t size, ptl_time deadline)
{
        struct ptl_task *task;
        enum ptl_quick quick;
        int r = ptl_task_enter(&task);

        if (PTL_UNLIKELY(r))
                return r;
        if (PTL_UNLIKELY(size > PTL_MESSAGE_SIZE_MAX))
                return PTL_E_TOO_BIG;
        if (PTL_UNLIKELY(!data && size))
                return PTL_E_INVALID;
        ptl_lock(&task->space.lock);
        ptl_wait_tick(task, &task->wait, NULL);
        quick = ptl_quick_send(task, port, data, size, NULL, NULL);
        if (PTL_UNLIKELY(quick == PTL_QUICK_UNSURE))
                ptl_resend_await(task, task->space.ways.unsure, deadline);
        else if (PTL_UNLIKELY(quick == PTL_QUICK_NONE))
                r = ptl_send_locked(task, port,
                                    &(struct ptl_sending){.data = data, .size = size, .block = -1},
                                    deadline);
        ptl_unlock(&task->space.lock);
        return r;
}
