/* SPDX-License-Identifier: Apache-2.0 */
/* port/deliver.c - see deliver.h */
#include "port/deliver.h"
#include "link/trace_frame.h"
#include "port/handoff.h"
#include "port/moving.h"
#include "port/plain.h"
#include "port/regions.h"
#include "port/reroute.h"
#include <string.h>

static int lie(struct ptl_peer *peer)
{
        peer->link.lies++;
        peer->space->counters.lies++;
        return PTL_E_MALFORMED;
}

/* Nobody waits for a port that is gone (@r NULL): a want for a set has no receiver either. */
static bool is_wanted(const struct ptl_want *want, const struct ptl_receiver *r)
{
        return r && want && (want->receiver == r || (want->set && want->set == ptl_receiver_set(r))) && !r->head;
}

static bool block_is_valid(const struct ptl_frame_block *block)
{
        return block->slot < PTL_POOL_SLOTS && block->size <= PTL_BLOCK_MAX &&
               block->offset % PTL_POOL_PAGE == 0 &&
               block->offset <= PTL_POOL_SIZE - (uint32_t)block->size;
}

/* Where a message's bytes are, before anything of it is kept. */
struct arrival {
        struct ptl_frame *frame;
        const void *bytes; /* hostile */
        uint64_t size;
        int block;         /* slot to give back, or -1 */
        int region;        /* index of the region that is the bytes, or -1 */
        struct ptl_rich *rich;
};

/* Gives back what the peer lent for a message that nobody keeps. */
static void dismiss(struct ptl_peer *peer, const struct arrival *a)
{
        if (a->block >= 0)
                ptl_link_block_return(&peer->link, (uint32_t)a->block);
}

static struct ptl_queued *queued_for(struct ptl_peer *peer, struct arrival *a, bool in_place)
{
        bool keep = in_place && a->size > 0 && a->region < 0;
        int hold = keep && a->block < 0 ? ptl_hold_begin(&peer->link, a->frame->position) : -1;
        struct ptl_queued *q;

        keep = keep && (a->block >= 0 || hold >= 0);
        q = ptl_queued_new(peer->space, keep || a->region >= 0 ? 0 : a->size);
        if (!q) {
                if (hold >= 0)
                        ptl_hold_end(&peer->link, (unsigned)hold);
                return NULL;
        }
        q->peer = ptl_peer_ref(peer);
        q->size = a->size;
        if (keep) {
                q->data = (void *)(uintptr_t)a->bytes;
                q->bytes = a->block >= 0 ? PTL_BYTES_BLOCK : PTL_BYTES_HOLD;
                q->slot = (uint32_t)(a->block >= 0 ? a->block : hold);
        } else if (a->region < 0) {
                memcpy(q->data, a->bytes, a->size);
                dismiss(peer, a);
        }
        return q;
}

static bool is_given(const struct ptl_frame_right *right)
{
        return right->what == PTL_CARRY_GIVEN_SEND || right->what == PTL_CARRY_GIVEN_ONCE;
}

static int carry_rights(struct ptl_queued *q, const struct ptl_rich *rich)
{
        if (!rich->n_rights)
                return 0;
        if (ptl_queued_carry(q, rich->n_rights))
                return -ENOMEM;
        for (uint32_t i = 0; i < rich->n_rights; i++) {
                const struct ptl_frame_right *right = &rich->rights[i];

                q->carried[i] = is_given(right) ? ptl_redeem_arrive(q->peer, right,
                                                                    ptl_rich_given(rich, right->right), q)
                                                : ptl_carried_arrive(q->peer, right);
                q->n_rights++;
        }
        return 0;
}

/* Bytes that came as a region which the sender may still write: a copy of our own, unless the program
 * asked to read in place. */
static int own_bytes(struct ptl_queued *q, uint32_t index, bool in_place)
{
        struct ptl_region **region = &q->regions[index].region, *copy;
        int r;

        q->in_place = ptl_region_is_shared(*region);
        if (in_place || !q->in_place)
                return 0;
        r = ptl_region_copy(*region, &copy);
        if (r)
                return r;
        ptl_region_unref(q->peer->space, *region);
        *region = copy;
        q->in_place = false;
        return 0;
}

/* A region whose descriptor did not arrive is delivered as NULL: the program is to see it. */
static int carry_regions(struct ptl_queued *q, const struct ptl_rich *rich)
{
        if (!rich->n_regions)
                return 0;
        q->regions = calloc(rich->n_regions, sizeof *q->regions);
        if (!q->regions)
                return -ENOMEM;
        q->n_regions = (uint8_t)rich->n_regions;
        for (uint32_t i = 0; i < rich->n_regions; i++) {
                int r = ptl_region_import(q->peer, &rich->regions[i], &q->regions[i].region);

                q->regions[i].how = rich->regions[i].how;
                if (r == PTL_E_MALFORMED)
                        return r;
        }
        return 0;
}

static int bytes_are_region(struct ptl_queued *q, const struct arrival *a, bool in_place)
{
        int r;

        if (!q->regions[a->region].region)
                return PTL_E_LOST;
        r = own_bytes(q, (uint32_t)a->region, in_place);
        if (r)
                return r;
        q->bytes = PTL_BYTES_REGION;
        q->slot = (uint32_t)a->region;
        q->data = q->regions[a->region].region->data;
        return 0;
}

static int take_rich(struct ptl_queued *q, const struct arrival *a, bool in_place)
{
        int r = carry_rights(q, a->rich);

        if (!r)
                r = carry_regions(q, a->rich);
        return !r && a->region >= 0 ? bytes_are_region(q, a, in_place) : r;
}

/* 0; PTL_E_QUOTA: it is queued, and its sender has reached a limit with it. */
static int hand_over(uint32_t right, struct ptl_grant *g, struct ptl_queued *q, struct ptl_want *want)
{
        struct ptl_receiver *r = g->receiver;
        bool reached = false;

        if (is_wanted(want, r) && !q->unsettled) {
                if (g->kind == PTL_GRANT_SEND)
                        ptl_grant_took(q->peer, right, g, 1, q->units);
                r->received++;
                want->got = q;
                want->from = r;
        } else {
                q->grant = g->kind == PTL_GRANT_SEND ? right : 0;
                q->serial = g->serial;
                if (PTL_UNLIKELY(q->unsettled))
                        ptl_redeem_queued(q->peer->space, q, r->name);
                reached = ptl_quota_enqueue(q);
                ptl_receiver_put(q->peer->space, r, q);
        }
        return reached && !q->peer->lenient ? PTL_E_QUOTA : 0;
}

/* A message nobody can have: its port is dead, or memory is short. Its rights are given back. */
static int destroy(struct ptl_peer *peer, struct arrival *a)
{
        struct ptl_queued *q = ptl_queued_new(peer->space, 0);

        peer->space->counters.destroyed++;
        dismiss(peer, a);
        if (!q)
                return 0;
        q->peer = ptl_peer_ref(peer);
        q->reply = a->frame->head.token;
        if (a->rich && (carry_rights(q, a->rich) || carry_regions(q, a->rich) == PTL_E_MALFORMED)) {
                ptl_queued_free(peer->space, q);
                return lie(peer);
        }
        ptl_queued_free(peer->space, q);
        return 0;
}

/* A message that was destroyed here takes no room of the window, and ends the wait for a reply. */
static void account_lost(struct ptl_peer *peer, uint32_t right, struct ptl_grant *g, uint32_t units)
{
        if (!g->receiver)
                return;
        if (g->kind == PTL_GRANT_SEND && PTL_UNLIKELY(ptl_taken_is_marked(&peer->link, right)))
                ptl_stub_took(peer, right, units);
        else if (g->kind == PTL_GRANT_SEND)
                ptl_grant_took(peer, right, g, 1, units);
        else
                ptl_notify(peer->space, g->receiver->name, PTL_NOTIFY_SEND_ONCE, 0, NULL);
}

/* The right of before? It leads to a port then. */
static bool is_still(const struct ptl_grant *g, uint32_t serial) { return g->receiver && g->serial == serial; }

/* What a message holds that came behind its port (V7): no right of it is entered, its regions keep their numbers. */
static int leave_rights(struct ptl_queued *q, const struct ptl_rich *rich)
{
        if (rich->n_rights && !(q->carried = calloc(rich->n_rights, sizeof *q->carried)))
                return -ENOMEM;
        for (uint32_t i = 0; i < rich->n_rights; i++)
                q->carried[i].what = PTL_CARRY_DEAD;
        q->n_rights = (uint8_t)rich->n_rights;
        return carry_regions(q, rich);
}

static int message_behind(struct ptl_peer *peer, struct arrival *a, struct ptl_grant *g)
{
        struct ptl_queued *q = queued_for(peer, a, false);
        int r = 0;

        if (!q) {
                dismiss(peer, a);
                return 0;
        }
        q->kind = a->frame->head.aux;
        q->units = ptl_units(a->size);
        if (a->rich)
                r = leave_rights(q, a->rich);
        if (!r && a->region >= 0)
                r = bytes_are_region(q, a, false);
        if (!r)
                return ptl_stub_keep(peer, g, q) ? lie(peer) : 0;
        ptl_queued_free(peer->space, q);
        return r == PTL_E_MALFORMED ? lie(peer) : 0;
}

/* Its bytes lie in a region, maybe with those of others: they are copied out of that, behind the message's own regions,
 * since descriptors are named in order. */
static struct ptl_queued *packed_for(struct ptl_peer *peer, const struct arrival *a)
{
        struct ptl_queued *q = ptl_queued_new(peer->space, a->size);

        if (!q)
                return NULL;
        q->peer = ptl_peer_ref(peer);
        q->size = a->size;
        return q;
}

static int unpack(struct ptl_queued *q, const struct ptl_frame_region *last, uint32_t offset)
{
        struct ptl_region *region;
        int r = ptl_region_import(q->peer, last, &region);

        if (r)
                return r;
        memcpy(q->data, (const char *)region->data + offset, q->size);
        ptl_region_unref(q->peer->space, region);
        return 0;
}

/* A message that comes along with its port, or behind it for the dead. */
static int message_staged(struct ptl_peer *peer, struct arrival *a)
{
        bool packed = a->region >= 0;
        struct ptl_queued *q = packed ? packed_for(peer, a) : queued_for(peer, a, false);
        int r = 0;

        if (!q) {
                dismiss(peer, a);
                return ptl_settle_message(peer, NULL) ? lie(peer) : 0;
        }
        q->kind = a->frame->head.aux;
        q->units = ptl_units(a->size);
        a->region = -1;
        if (packed)
                a->rich->n_regions--;
        if (a->rich)
                r = take_rich(q, a, false);
        if (!r && packed)
                r = unpack(q, &a->rich->regions[a->rich->n_regions], a->rich->block.offset);
        if (!r)
                return ptl_settle_message(peer, q) ? lie(peer) : 0;
        ptl_queued_free(peer->space, q);
        if (r == PTL_E_MALFORMED)
                return lie(peer);
        return ptl_settle_message(peer, NULL) ? lie(peer) : 0;
}

/* Through no right of the port's, as far as its task can tell: it has moved, or is about to come. */
static int message_moving(struct ptl_peer *peer, struct arrival *a, struct ptl_grant *g)
{
        const struct ptl_frame_head *head = &a->frame->head;

        if (g && !(head->aux & PTL_KIND_LIBRARY))
                return message_behind(peer, a, g);
        if (!head->right && !head->token && ptl_settle_awaits(peer))
                return message_staged(peer, a);
        dismiss(peer, a);
        return lie(peer);
}

static int message(struct ptl_peer *peer, struct arrival *a, struct ptl_want *want)
{
        const struct ptl_frame_head *head = &a->frame->head;
        struct ptl_grant *g = ptl_grant_find(peer, head->right);
        uint32_t units = ptl_units(a->size);
        struct ptl_queued *q;
        bool in_place, kept = false;
        uint32_t serial;
        int r = 0;

        if (PTL_UNLIKELY(!g || g->kind == PTL_GRANT_MOVED))
                return message_moving(peer, a, g);
        if (PTL_UNLIKELY((g->receiver && !ptl_grant_may_arrive(peer, head->right, g)) ||
                         ptl_message_is_odd(head->aux, head->token))) {
                dismiss(peer, a);
                return lie(peer);
        }
        serial = g->serial;
        if (g->receiver)
                ptl_grant_arrived(g, units);
        in_place = want && want->in_place && is_wanted(want, g->receiver);
        q = PTL_LIKELY(g->receiver != NULL) ? queued_for(peer, a, in_place) : NULL;
        if (PTL_UNLIKELY(!q)) {
                r = destroy(peer, a);
        } else {
                q->kind = head->aux;
                q->units = units;
                q->reply = head->token;
                if (PTL_UNLIKELY(a->rich != NULL)) {
                        r = take_rich(q, a, in_place);
                        if (PTL_UNLIKELY(!r && !is_still(g, serial))) /* it has carried that right itself */
                                r = PTL_E_DEAD;
                        if (PTL_UNLIKELY(q->n_rights) && !r && !ptl_receiver_came(peer->space, q, g->receiver))
                                r = PTL_E_LOST; /* nobody could ever take it (Mach's rule, M-46) */
                }
                if (PTL_UNLIKELY(r)) {
                        ptl_queued_free(peer->space, q);
                        peer->space->counters.destroyed++;
                        r = r == PTL_E_MALFORMED ? lie(peer) : 0;
                } else {
                        r = hand_over(head->right, g, q, want);
                        kept = true;
                }
        }
        if (PTL_UNLIKELY(!kept && is_still(g, serial)))
                account_lost(peer, head->right, g, units);
        if (g->kind == PTL_GRANT_ONCE)
                ptl_grant_free(g);
        return r;
}

static int find_block(struct ptl_peer *peer, const struct ptl_frame_block *block, struct arrival *a)
{
        if (!block_is_valid(block))
                return PTL_E_MALFORMED;
        a->bytes = ptl_outbox_pool(&peer->link.peer) + block->offset;
        a->size = block->size;
        a->block = (int)block->slot;
        return 0;
}

static int message_block(struct ptl_peer *peer, struct ptl_frame *f, struct ptl_want *want)
{
        struct arrival a = {.frame = f, .block = -1, .region = -1};
        struct ptl_frame_block block;

        if (ptl_frame_body(f->body, f->length, &block, sizeof block) || find_block(peer, &block, &a))
                return lie(peer);
        return message(peer, &a, want);
}

static int message_rich(struct ptl_peer *peer, struct ptl_frame *f, struct ptl_want *want)
{
        struct arrival a = {.frame = f, .block = -1, .region = -1};
        struct ptl_rich rich;

        if (ptl_rich_decode(f->body, f->length, &rich))
                return lie(peer);
        a.rich = &rich;
        a.bytes = rich.bytes;
        a.size = rich.size;
        if (rich.where == PTL_WHERE_BLOCK && find_block(peer, &rich.block, &a))
                return lie(peer);
        if (rich.where == PTL_WHERE_REGION) {
                if (rich.block.slot != rich.n_regions - 1 || (rich.block.offset && f->head.right))
                        return lie(peer); /* the bytes' region comes last, and is its own unless it is staged */
                a.region = (int)rich.block.slot;
                a.size = rich.block.size;
        }
        return message(peer, &a, want);
}

static int claim(struct ptl_peer *peer, const struct ptl_frame *f)
{
        struct ptl_frame_claim body;
        struct ptl_receiver *r;

        if (ptl_frame_body(f->body, f->length, &body, sizeof body))
                return lie(peer);
        /* A ticket's low half is the port's name here, so finding it is one look. */
        r = ptl_receiver_anywhere(peer->space, (ptl_port)body.ticket);
        if (r && (!ptl_receiver_ticket(r) || ptl_receiver_ticket(r) != body.ticket))
                r = NULL;
        return ptl_grant_claim(peer, f->head.right, r) ? lie(peer) : 0;
}

/* A right that is dead keeps its name; what the peer keeps for it is given back by another entry. */
static void detach_dead(struct ptl_peer *peer, struct ptl_entry *e)
{
        ptl_held_clear(peer, e->remote, ptl_held_name(peer, e->remote));
        if (ptl_right_is_claimed(e->remote))
                ptl_claim_hide(peer, e->remote);
        e->flags &= (uint8_t)~(PTL_ENTRY_HANDED | PTL_ENTRY_UNCONFIRMED);
        e->released++;
        ptl_control_release(peer, e);
        e->released = 0;
        e->peer = NULL;
        if (e->rights)
                ptl_right_kill(peer->space, e);
        else
                e->under_way = PTL_RIGHT_DEAD;
        peer->space->room(peer->space); /* senders that wait are told by their next attempt */
        if (PTL_UNLIKELY(peer->space->ways.count))
                ptl_way_died(peer->space, e);
        ptl_peer_unref(peer);
}

static int dead(struct ptl_peer *peer, const struct ptl_frame *f)
{
        struct ptl_entry *e = ptl_held_entry(peer, f->head.right);

        if (e && e->flags & PTL_ENTRY_CLAIM)
                return lie(peer); /* what we have not claimed yet it cannot know */
        if (e && f->head.aux)
                (void)ptl_quota_told(peer, f->head.aux, 0);
        if (e)
                detach_dead(peer, e);
        else if (PTL_UNLIKELY(peer->space->ways.formers != NULL))
                ptl_former_refused(peer, f->head.right);
        if (peer->handoff)
                ptl_redeem_refused(peer, f->head.right);
        return 0;
}

/* It holds this task back, or no longer. Nothing depends on that but what the program is told. */
static int limit(struct ptl_peer *peer, const struct ptl_frame *f)
{
        struct ptl_frame_limit body;

        if (ptl_frame_body(f->body, f->length, &body, sizeof body) || !ptl_quota_name(f->head.aux) ||
            f->head.token > 1)
                return lie(peer);
        peer->restrains = f->head.token ? f->head.aux : 0;
        if (f->head.token)
                (void)ptl_quota_told(peer, f->head.aux, body.value);
        return 0;
}

static int window(struct ptl_peer *peer, const struct ptl_frame *f)
{
        struct ptl_entry *e = ptl_held_entry(peer, f->head.right);
        struct ptl_frame_window body;

        if (ptl_frame_body(f->body, f->length, &body, sizeof body))
                return lie(peer);
        if (e && f->kind == PTL_FRAME_CONFIRM) /* E6: the word was set back before this was written */
                e->flags &= (uint8_t)~(PTL_ENTRY_UNCONFIRMED | PTL_ENTRY_HANDED);
        if (e && (e->rights | e->under_way) & PTL_RIGHT_SEND && !(e->flags & PTL_ENTRY_HANDED)) {
                ptl_entry_set_window(e, body.limit_messages, body.limit_units);
                peer->space->room(peer->space);
        }
        if (f->kind == PTL_FRAME_CONFIRM && e && PTL_UNLIKELY(peer->space->ways.count))
                ptl_way_confirmed(peer->space, e);
        if (f->kind == PTL_FRAME_CONFIRM && peer->handoff)
                ptl_redeem_confirmed(peer, f->head.right, f->head.token);
        return 0;
}

static int release(struct ptl_peer *peer, const struct ptl_frame *f)
{
        struct ptl_grant *g = ptl_grant_find(peer, f->head.right);

        if (!g || g->kind == PTL_GRANT_PARKED || f->head.token == 0 || f->head.token > g->references)
                return lie(peer);
        ptl_grant_release(g, f->head.token);
        return 0;
}

/* Straight to the program, if it waits for this. */
static bool give_plain(struct ptl_peer *peer, const struct ptl_frame *f, struct ptl_want *want)
{
        struct ptl_ring_plain p = {.body = f->body,
                                   .rights = (uint64_t)f->head.token << 32 | f->head.right,
                                   .counts = (uint64_t)f->head.aux << 32 | f->head.sequence,
                                   .length = f->length};
        struct ptl_grant *g = want && want->fill ? ptl_plain_grant(peer, &p) : NULL;

        if (!g || !is_wanted(want, g->receiver) ||
            !ptl_plain_give(peer, g, &p, f->position, want->in_place, want->fill))
                return false;
        ptl_plain_count(peer, f->head.right, g, f->length);
        return want->filled = true;
}

/* What is said about rights of third tasks (handoff.h). */
static int handoff(struct ptl_peer *peer, const struct ptl_frame *f)
{
        int r = PTL_E_MALFORMED;

        if (f->kind == PTL_FRAME_GIVE)
                r = ptl_ticket_give(peer, f);
        else if (f->kind == PTL_FRAME_SETTLED)
                r = ptl_given_settled(peer, f);
        else if (f->kind == PTL_FRAME_WITHDRAW)
                r = ptl_ticket_withdraw(peer, f);
        else if (f->kind == PTL_FRAME_REDEEM)
                r = ptl_ticket_redeem(peer, f);
        else if (f->kind == PTL_FRAME_ASK)
                r = ptl_redeem_ask(peer, f);
        else if (f->kind == PTL_FRAME_READ_OUT)
                r = ptl_ticket_read_out(peer, f);
        return r ? lie(peer) : 0;
}

/* What is said about rights whose port moves (reroute.h). */
static int reroute(struct ptl_peer *peer, const struct ptl_frame *f)
{
        int r = f->kind == PTL_FRAME_MOVED ? ptl_way_moved(peer, f) : ptl_way_stays(peer, f);

        return r ? lie(peer) : 0;
}

static int frame(struct ptl_peer *peer, struct ptl_frame *f, struct ptl_want *want)
{
        struct arrival a = {.frame = f, .bytes = f->body, .size = f->length, .block = -1, .region = -1};

        if (PTL_LIKELY(f->kind == PTL_FRAME_INLINE))
                return give_plain(peer, f, want) ? 0 : message(peer, &a, want);
        switch (f->kind) {
        case PTL_FRAME_BLOCK:
                return message_block(peer, f, want);
        case PTL_FRAME_RICH:
                return message_rich(peer, f, want);
        case PTL_FRAME_CLAIM:
                return claim(peer, f);
        case PTL_FRAME_CONFIRM:
        case PTL_FRAME_WINDOW:
                return window(peer, f);
        case PTL_FRAME_DEAD:
                return dead(peer, f);
        case PTL_FRAME_RELEASE:
                return release(peer, f);
        case PTL_FRAME_RETIRE:
                ptl_region_forget(peer, f->head.right);
                return 0;
        case PTL_FRAME_GIVE:
        case PTL_FRAME_SETTLED:
        case PTL_FRAME_WITHDRAW:
        case PTL_FRAME_REDEEM:
        case PTL_FRAME_ASK:
        case PTL_FRAME_READ_OUT:
                return handoff(peer, f);
        case PTL_FRAME_LIMIT:
                return limit(peer, f);
        case PTL_FRAME_MOVED:
        case PTL_FRAME_STAYS:
                return reroute(peer, f);
        case PTL_FRAME_PASS:
        case PTL_FRAME_FORGET:
                break;
        case PTL_FRAME_MOVE:
        case PTL_FRAME_HOLDER:
        case PTL_FRAME_COUNT:
        case PTL_FRAME_QUEUED:
        case PTL_FRAME_COMMIT:
        case PTL_FRAME_ABANDON:
        case PTL_FRAME_BEHIND:
        case PTL_FRAME_DONE:
                return ptl_settle_frame(peer, f) ? lie(peer) : 0;
        case PTL_FRAME_CLAIM_MOVED:
                return ptl_settle_claim(peer, f) ? lie(peer) : 0;
        case PTL_FRAME_INLINE:
        case PTL_FRAME_NONE:
        case PTL_FRAME_PAD:
        case PTL_FRAME_GROW:
        case PTL_FRAME_KINDS:
                break;
        }
        return lie(peer);
}

size_t ptl_deliver_run(struct ptl_peer *peer, struct ptl_receiver *receiver,
                       struct ptl_message *messages, size_t max)
{
        struct ptl_ring_reader *rx = &peer->link.rx;
        struct ptl_grant *g, *last = NULL;
        struct ptl_ring_plain p;
        uint32_t right = 0, units = 0;
        size_t n = 0;

        for (; n < max && !ptl_trace_is_on() && ptl_ring_peek_plain(rx, &p); n++) {
                g = ptl_plain_grant(peer, &p);
                if (!g || g->receiver != receiver || g->kind != PTL_GRANT_SEND || (last && g != last) ||
                    !ptl_plain_give(peer, g, &p, rx->position, true, &messages[n]))
                        break;
                ptl_ring_advance_plain(rx, &p);
                ptl_grant_arrived(g, ptl_units(p.length));
                units += ptl_units(p.length);
                right = ptl_plain_right(&p);
                last = g;
        }
        if (last)
                ptl_grant_took(peer, right, last, (uint32_t)n, units);
        peer->link.frames_received += n;
        return n;
}

int ptl_deliver(struct ptl_peer *peer, struct ptl_want *want, unsigned frames)
{
        struct ptl_link *link = &peer->link;
        struct ptl_frame f;

        while (frames--) {
                int r = ptl_ring_peek(&link->rx, &f);

                if (r == PTL_E_EMPTY)
                        return 0;
                if (r)
                        return lie(peer);
                if (PTL_UNLIKELY(ptl_trace_is_on()))
                        ptl_trace_frame(&link->identity, false, &f.head, f.body);
                ptl_ring_advance(&link->rx, &f);
                link->frames_received++;
                r = frame(peer, &f, want);
                ptl_link_consume(link);
                if (r || ptl_want_is_met(want))
                        return r;
        }
        return 0;
}
