/* SPDX-License-Identifier: Apache-2.0 */
/* port/deliver.c - see deliver.h */
#include "port/deliver.h"
#include "link/trace_frame.h"
#include "port/regions.h"
#include <string.h>

static int lie(struct ptl_peer *peer)
{
        peer->link.lies++;
        peer->space->counters.lies++;
        return PTL_E_MALFORMED;
}

static bool is_wanted(const struct ptl_want *want, const struct ptl_receiver *r)
{
        return want && (want->receiver == r || (want->set && want->set == r->set)) && !r->head;
}

/* A message within its window? A reply right has none. One more than the window may come, the message that
 * may be left with the port; and one may be larger than the window of bytes, which with another left behind
 * it makes two. */
static inline bool may_arrive(const struct ptl_grant *g)
{
        uint32_t queued = g->arrived - g->taken;

        return g->kind == PTL_GRANT_ONCE ||
               (queued <= g->limit_messages &&
                (queued < 2 || g->arrived_units - g->taken_units <= g->limit_units));
}

static inline void count_arrival(struct ptl_grant *g, uint32_t units)
{
        if (g->kind == PTL_GRANT_ONCE)
                return;
        g->arrived++;
        g->arrived_units += units;
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

static int carry_rights(struct ptl_queued *q, const struct ptl_rich *rich)
{
        if (!rich->n_rights)
                return 0;
        q->carried = calloc(rich->n_rights, sizeof *q->carried);
        if (!q->carried)
                return -ENOMEM;
        for (uint32_t i = 0; i < rich->n_rights; i++)
                q->carried[i] = ptl_carried_arrive(q->peer, &rich->rights[i]);
        q->n_rights = (uint8_t)rich->n_rights;
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

static int take_rich(struct ptl_queued *q, const struct arrival *a, bool in_place)
{
        int r = carry_rights(q, a->rich);

        if (!r)
                r = carry_regions(q, a->rich);
        if (!r && a->region >= 0) {
                struct ptl_region *region = q->regions[a->region].region;

                if (!region)
                        return PTL_E_LOST;
                r = own_bytes(q, (uint32_t)a->region, in_place);
                if (r)
                        return r;
                q->bytes = PTL_BYTES_REGION;
                q->slot = (uint32_t)a->region;
                q->data = q->regions[a->region].region->data;
        }
        return r;
}

static void hand_over(struct ptl_grant *g, struct ptl_queued *q, struct ptl_want *want)
{
        struct ptl_receiver *r = g->receiver;

        if (is_wanted(want, r)) {
                if (g->kind == PTL_GRANT_SEND)
                        ptl_grant_taken(g, q->units);
                r->received++;
                want->got = q;
                want->from = r;
        } else {
                q->grant = g->kind == PTL_GRANT_SEND ? ptl_grant_right(g) : 0;
                q->serial = g->serial;
                ptl_receiver_put(g->peer->space, r, q);
        }
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
static void account_lost(struct ptl_grant *g, uint32_t units)
{
        if (!g->receiver)
                return;
        if (g->kind == PTL_GRANT_SEND)
                ptl_grant_taken(g, units);
        else
                ptl_notify(g->peer->space, g->receiver->name, PTL_NOTIFY_SEND_ONCE, 0, NULL);
}

static int message(struct ptl_peer *peer, struct arrival *a, struct ptl_want *want)
{
        const struct ptl_frame_head *head = &a->frame->head;
        struct ptl_grant *g = ptl_grant_find(peer, head->right);
        uint32_t units = ptl_units(a->size);
        struct ptl_queued *q;
        bool in_place, kept = false;
        int r = 0;

        if (PTL_UNLIKELY(!g || head->aux & 0x80000000u ||
                         (g->receiver && !may_arrive(g)) ||
                         (head->token && !ptl_right_is_granted(head->token)))) {
                dismiss(peer, a);
                return lie(peer);
        }
        if (g->receiver)
                count_arrival(g, units);
        in_place = want && want->in_place && is_wanted(want, g->receiver);
        q = PTL_LIKELY(g->receiver != NULL) ? queued_for(peer, a, in_place) : NULL;
        if (PTL_UNLIKELY(!q)) {
                r = destroy(peer, a);
        } else {
                q->kind = head->aux;
                q->units = units;
                q->reply = head->token;
                if (PTL_UNLIKELY(a->rich != NULL))
                        r = take_rich(q, a, in_place);
                if (PTL_UNLIKELY(r)) {
                        ptl_queued_free(peer->space, q);
                        peer->space->counters.destroyed++;
                        r = r == PTL_E_MALFORMED ? lie(peer) : 0;
                } else {
                        hand_over(g, q, want);
                        kept = true;
                }
        }
        if (PTL_UNLIKELY(!kept))
                account_lost(g, units);
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
                if (rich.block.slot != rich.n_regions - 1) /* the bytes' region comes last */
                        return lie(peer);
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
        r = ptl_receiver_of(peer->space, (ptl_port)body.ticket);
        if (r && (!r->ticket || r->ticket != body.ticket))
                r = NULL;
        return ptl_grant_claim(peer, f->head.right, r) ? lie(peer) : 0;
}

/* A right that is dead keeps its name; what the peer keeps for it is given back by another entry. */
static void detach_dead(struct ptl_peer *peer, struct ptl_entry *e)
{
        struct ptl_held *h =
                ptl_table_at(ptl_right_is_claimed(e->remote) ? &peer->claims : &peer->held,
                             ptl_right_index(e->remote));

        h->name = PTL_NULL;
        e->released++;
        ptl_control_release(peer, e);
        e->released = 0;
        e->peer = NULL;
        if (e->rights)
                ptl_right_kill(peer->space, e);
        else
                e->under_way = PTL_RIGHT_DEAD;
        peer->space->room(peer->space); /* senders that wait are told by their next attempt */
        ptl_peer_unref(peer);
}

static int dead(struct ptl_peer *peer, const struct ptl_frame *f)
{
        struct ptl_entry *e = ptl_held_entry(peer, f->head.right);

        if (e && e->flags & PTL_ENTRY_CLAIM)
                return lie(peer); /* what we have not claimed yet it cannot know */
        if (e)
                detach_dead(peer, e);
        return 0;
}

static int window(struct ptl_peer *peer, const struct ptl_frame *f)
{
        struct ptl_entry *e = ptl_held_entry(peer, f->head.right);
        struct ptl_frame_window body;

        if (ptl_frame_body(f->body, f->length, &body, sizeof body))
                return lie(peer);
        if (e && (e->rights | e->under_way) & PTL_RIGHT_SEND) {
                e->limit_messages = body.limit_messages;
                e->limit_units = body.limit_units;
                peer->space->room(peer->space);
        }
        return 0;
}

static int release(struct ptl_peer *peer, const struct ptl_frame *f)
{
        struct ptl_grant *g = ptl_grant_find(peer, f->head.right);

        if (!g || f->head.token == 0 || f->head.token > g->references)
                return lie(peer);
        ptl_grant_release(g, f->head.token);
        return 0;
}

/* A plain frame as a message: read in place where that is wanted and possible, else copied. */
static inline struct ptl_queued *queued_plain(struct ptl_peer *peer, const struct ptl_frame *f,
                                              bool in_place)
{
        int hold = in_place && f->length ? ptl_hold_begin(&peer->link, f->position) : -1;
        struct ptl_queued *q = ptl_queued_new(peer->space, hold >= 0 ? 0 : f->length);

        if (PTL_UNLIKELY(!q)) {
                if (hold >= 0)
                        ptl_hold_end(&peer->link, (unsigned)hold);
                return NULL;
        }
        if (hold >= 0) {
                q->data = (void *)(uintptr_t)f->body;
                q->bytes = PTL_BYTES_HOLD;
                q->slot = (uint32_t)hold;
        } else {
                memcpy(q->data, f->body, f->length);
        }
        q->size = f->length;
        q->peer = ptl_peer_ref(peer);
        return q;
}

/*
 * A plain frame read in place needs no message of ours: what the program gets says where it lies.
 * opaque: NULL, the peer, the hold's slot, the epoch.
 */
static inline bool fill(struct ptl_peer *peer, const struct ptl_frame *f, struct ptl_receiver *r,
                        struct ptl_message *m)
{
        int hold = f->length ? ptl_hold_begin(&peer->link, f->position) : -1;

        if (PTL_UNLIKELY(hold < 0))
                return false;
        *m = (struct ptl_message){
                .data = f->body,
                .size = f->length,
                .port = r->internal ? PTL_NULL : r->name,
                .reply = f->head.token ? ptl_held_once(peer, f->head.token) : PTL_NULL,
                .kind = f->head.aux,
                .in_place = 1,
                .sender = &peer->link.identity,
                .opaque = {NULL, ptl_peer_ref(peer), (void *)(intptr_t)hold,
                           (void *)(uintptr_t)peer->space->epoch},
        };
        return true;
}

void ptl_filled_release(struct ptl_space *space, struct ptl_message *m)
{
        struct ptl_peer *peer = m->opaque[1];

        if (!peer || (uint32_t)(uintptr_t)m->opaque[3] != space->epoch)
                return;
        ptl_hold_end(&peer->link, (unsigned)(intptr_t)m->opaque[2]);
        ptl_peer_unref(peer);
}

static inline void sink(struct ptl_frame *f, struct ptl_want *want)
{
        memcpy(want->sink, f->body, f->length < want->sink_room ? f->length : want->sink_room);
        want->sunk_size = f->length;
        want->sunk = true;
}

/*
 * What most frames are: bytes in the ring for the port that is waited for. Everything that is not plain
 * about it is left to message(), with nothing done.
 */
static inline bool plain(struct ptl_peer *peer, struct ptl_frame *f, struct ptl_want *want)
{
        struct ptl_grant *g = ptl_grant_find(peer, f->head.right);
        uint32_t units = ptl_units(f->length), token = f->head.token;
        struct ptl_queued *q = NULL;

        if (PTL_UNLIKELY(!g || !is_wanted(want, g->receiver) || f->head.aux & 0x80000000u ||
                         (token && !ptl_right_is_granted(token))))
                return false;
        if (g->kind == PTL_GRANT_ONCE && want->sink && !token) {
                sink(f, want);
                ptl_grant_free(g);
                return true;
        }
        if (PTL_UNLIKELY(!may_arrive(g)))
                return false; /* message() says what that is */
        want->filled = want->fill && fill(peer, f, g->receiver, want->fill);
        if (!want->filled) {
                q = queued_plain(peer, f, want->in_place);
                if (PTL_UNLIKELY(!q))
                        return false;
                q->kind = f->head.aux;
                q->units = units;
                q->reply = token;
                want->got = q;
                want->from = g->receiver;
        }
        count_arrival(g, units);
        g->receiver->received++;
        if (g->kind == PTL_GRANT_ONCE)
                ptl_grant_free(g);
        else
                ptl_grant_taken(g, units);
        return true;
}

static int frame(struct ptl_peer *peer, struct ptl_frame *f, struct ptl_want *want)
{
        struct arrival a = {.frame = f, .bytes = f->body, .size = f->length, .block = -1, .region = -1};

        if (PTL_LIKELY(f->kind == PTL_FRAME_INLINE))
                return want && plain(peer, f, want) ? 0 : message(peer, &a, want);
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
        case PTL_FRAME_INLINE:
        case PTL_FRAME_NONE:
        case PTL_FRAME_PAD:
        case PTL_FRAME_GROW:
        case PTL_FRAME_KINDS:
                break;
        }
        return lie(peer);
}

/* Is this a plain message through a send right to @r, within its window? */
static inline struct ptl_grant *plain_grant(struct ptl_peer *peer, const struct ptl_frame *f,
                                            const struct ptl_receiver *r)
{
        struct ptl_grant *g = ptl_grant_find(peer, f->head.right);

        return f->kind == PTL_FRAME_INLINE && g && g->receiver == r && g->kind == PTL_GRANT_SEND &&
                               !f->head.token && !(f->head.aux & 0x80000000u) && may_arrive(g)
                       ? g
                       : NULL;
}

size_t ptl_deliver_run(struct ptl_peer *peer, struct ptl_receiver *receiver,
                       struct ptl_message *messages, size_t max)
{
        struct ptl_ring_reader *rx = &peer->link.rx;
        struct ptl_grant *g = NULL, *last = NULL;
        uint32_t units = 0;
        struct ptl_frame f;
        size_t n = 0;

        for (; n < max && !ptl_trace_on && ptl_ring_ready(rx); n++) {
                if (ptl_ring_peek(rx, &f))
                        break; /* met again, and judged, by ptl_deliver() */
                g = plain_grant(peer, &f, receiver);
                if (!g || (last && g != last) || !fill(peer, &f, receiver, &messages[n]))
                        break;
                ptl_ring_advance(rx, &f);
                count_arrival(g, ptl_units(f.length));
                g->taken += last != NULL; /* all but the first, which is counted and shown below */
                units += ptl_units(f.length);
                last = g;
        }
        if (last)
                ptl_grant_taken(last, units);
        peer->link.frames_received += n;
        receiver->received += n;
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
                if (PTL_UNLIKELY(ptl_trace_on))
                        ptl_trace_frame(&link->identity, false, &f.head, f.body);
                ptl_ring_advance(&link->rx, &f);
                link->frames_received++;
                r = frame(peer, &f, want);
                ptl_link_consume(link);
                        __builtin_prefetch(link->rx.base + ((link->rx.position + 256) & (link->rx.size - 1)));
                if (r || ptl_want_is_met(want))
                        return r;
        }
        return 0;
}
