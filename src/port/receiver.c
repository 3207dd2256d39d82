/* SPDX-License-Identifier: Apache-2.0 */
/* port/receiver.c - see receiver.h: queues and sets */
#include "port/receiver.h"
#include "port/moving.h"
#include "port/request.h"
#include "port/senders.h"
#include <string.h>

uint32_t ptl_limit_units(uint64_t bytes)
{
        uint64_t units = (bytes ? bytes : PTL_LIMIT_BYTES_DEFAULT) / 64;

        return units < 1 ? 1 : units > UINT32_MAX / 4 ? UINT32_MAX / 4 : (uint32_t)units;
}

/* One that was freed last, else a fresh one. */
static struct ptl_receiver *memory_take(struct ptl_space *space)
{
        struct ptl_receiver *r = space->receivers_free;

        if (!r)
                return ptl_table_at(&space->receivers, ptl_table_take_fresh(&space->receivers));
        space->receivers_free = r->next_free;
        return r;
}

static void memory_give(struct ptl_space *space, struct ptl_receiver *r)
{
        r->next_free = space->receivers_free;
        space->receivers_free = r;
}

void ptl_receivers_fini(struct ptl_space *space)
{
        struct ptl_table *t = &space->receivers;
        uint32_t size = t->element_size, limit = t->limit;

        ptl_table_fini(t);
        ptl_table_init(t, size, limit);
        space->receivers_free = NULL;
}

struct ptl_receiver_more *ptl_receiver_more(struct ptl_receiver *r)
{
        if (!r->more) {
                r->more = calloc(1, sizeof *r->more);
                if (r->more)
                        r->more->descriptor = r->more->poll = -EBADF;
        }
        return r->more;
}

int ptl_receiver_new(struct ptl_space *space, uint32_t limit_messages, uint64_t limit_bytes,
                     ptl_port *ret_name)
{
        struct ptl_receiver *r = memory_take(space);
        struct ptl_entry *e;
        ptl_port name;

        if (!r)
                return -ENOMEM;
        name = ptl_space_insert(space, PTL_RIGHT_RECEIVE, &e);
        if (!name) {
                memory_give(space, r);
                return PTL_E_QUOTA;
        }
        *r = (struct ptl_receiver){
                .name = name,
                .limit_messages = (uint16_t)(limit_messages ? limit_messages : PTL_LIMIT_MESSAGES_DEFAULT),
                .limit_units = ptl_limit_units(limit_bytes),
        };
        r->tail = &r->head;
        e->references = 0;
        e->limit_bytes = limit_bytes ? limit_bytes : PTL_LIMIT_BYTES_DEFAULT;
        e->receiver = r;
        *ret_name = name;
        return 0;
}

/* What is enforced only grows: a holder keeps to the old limit until it has read of the new one. */
void ptl_receiver_set_limit(struct ptl_space *space, struct ptl_receiver *r, uint32_t limit_messages, uint64_t limit_bytes)
{
        if (limit_messages)
                r->limit_messages = (uint16_t)limit_messages;
        if (limit_bytes) {
                r->limit_units = ptl_limit_units(limit_bytes);
                ptl_receiver_entry(space, r)->limit_bytes = limit_bytes;
        }
        for (struct ptl_grant *g = ptl_grant_at(space, r->grants); g; g = ptl_grant_at(space, g->next)) {
                if (g->kind != PTL_GRANT_SEND)
                        continue;
                if (g->limit_messages < r->limit_messages)
                        g->limit_messages = r->limit_messages;
                if (g->limit_units < r->limit_units)
                        g->limit_units = r->limit_units;
                ptl_grant_mark(g, PTL_MARK_WINDOW);
                ptl_control_flush(ptl_grant_peer(g));
        }
        space->room(space); /* senders of this task */
}

/* This task's own send-once rights to a port that dies become dead names. */
static void kill_onces(struct ptl_space *space, ptl_port port)
{
        for (uint32_t i = 1; i < space->entries.fresh; i++) {
                struct ptl_entry *e = ptl_table_at(&space->entries, i);

                if (e->rights == PTL_RIGHT_SEND_ONCE && !e->peer && e->remote == port)
                        ptl_right_kill(space, e);
        }
}

/* A message leaves the queue. The grant it came through, or NULL: it was an orphan, and is none any more. */
static struct ptl_grant *grant_of(const struct ptl_queued *q)
{
        struct ptl_grant *g = ptl_grant_find(q->peer, q->grant);
        uint64_t cost = ptl_orphan_cost(1, q->units), *orphans = &q->peer->orphans;

        if (PTL_LIKELY(g && g->serial == q->serial))
                return g;
        cost = cost < *orphans ? cost : *orphans;
        *orphans -= cost;
        ptl_quota_give(q->peer, PTL_QUOTA_ORPHANS, cost * 64);
        return NULL;
}

static void empty_queue(struct ptl_space *space, struct ptl_receiver *r)
{
        struct ptl_queued *q = r->head;

        r->head = NULL;
        r->tail = &r->head;
        r->queued = 0;
        while (q) {
                struct ptl_queued *next = q->next;

                space->counters.destroyed++;
                if (q->grant)
                        (void)grant_of(q);
                ptl_notify(space, q->notify, PTL_NOTIFY_SEND_ONCE, 0, NULL); /* it was left, and never taken */
                ptl_quota_dequeue(space, q);
                ptl_queued_free(space, q);
                q = next;
        }
}

struct ptl_queued *ptl_receiver_unqueue_still(struct ptl_receiver *r)
{
        struct ptl_queued *q = r->head;

        if (!q)
                return NULL;
        r->head = q->next;
        if (!r->head)
                r->tail = &r->head;
        r->queued--;
        return q;
}

struct ptl_queued *ptl_receiver_unqueue(struct ptl_space *space, struct ptl_receiver *r)
{
        struct ptl_queued *q = ptl_receiver_unqueue_still(r);

        if (!q)
                return NULL;
        if (q->grant)
                (void)grant_of(q);
        ptl_quota_dequeue(space, q);
        return q;
}

/* Every holder is told; their indices stay taken until they give them back. */
static void kill_grants(struct ptl_space *space, struct ptl_receiver *r)
{
        struct ptl_grant *g;

        while ((g = ptl_grant_at(space, r->grants))) {
                if (g->kind == PTL_GRANT_FREE) {
                        ptl_grant_drop_spare(ptl_grant_peer(g)); /* nobody holds it */
                        continue;
                }
                ptl_grant_detach(space, g);
                ptl_grant_mark(g, PTL_MARK_DEAD);
                ptl_control_flush(ptl_grant_peer(g));
        }
        ptl_tickets_port_died(r);
}

static void more_free(struct ptl_receiver_more *more)
{
        if (!more)
                return;
        ptl_close(more->descriptor);
        ptl_close(more->poll);
        free(more);
}

/* The name of a port that dies: send rights of our own become a dead name. */
static void end_name(struct ptl_space *space, struct ptl_entry *e)
{
        e->rights &= (uint8_t)~PTL_RIGHT_RECEIVE;
        e->flags &= (uint8_t)~PTL_ENTRY_MAILED;
        e->receiver = NULL;
        if (e->rights) {
                ptl_right_kill(space, e);
                return;
        }
        ptl_name_ends(space, e);
        ptl_space_remove(space, e);
}

/* Send-once rights that its requests held are destroyed unused. */
static void end_requests(struct ptl_space *space, struct ptl_receiver *r)
{
        if (!r->more)
                return;
        ptl_request_fire(space, &r->more->no_senders, PTL_NOTIFY_SEND_ONCE, 0);
        ptl_request_fire(space, &r->more->port_destroyed, PTL_NOTIFY_SEND_ONCE, 0);
}

void ptl_receiver_free(struct ptl_space *space, struct ptl_receiver *r)
{
        struct ptl_entry *e = ptl_receiver_entry(space, r);
        bool has_onces;

        if (ptl_receiver_set(r))
                ptl_set_leave(r);
        end_requests(space, r);
        has_onces = e->onces > 0 && !space->leaving; /* but for those of its own requests */
        end_name(space, e);
        empty_queue(space, r);
        kill_grants(space, r);
        if (has_onces) {
                kill_onces(space, r->name);
                ptl_requests_forget(space, r->name);
        }
        if (r->more && r->more->settling)
                ptl_settle_receiver_died(space, r);
        space->internal -= r->internal;
        space->ready(space, r);
        more_free(r->more);
        memory_give(space, r);
}

void ptl_receiver_depart(struct ptl_space *space, struct ptl_receiver *r)
{
        struct ptl_entry *e = ptl_receiver_entry(space, r);

        if (ptl_receiver_set(r))
                ptl_set_leave(r);
        end_requests(space, r);
        e->rights &= (uint8_t)~PTL_RIGHT_RECEIVE;
        e->flags &= (uint8_t)~PTL_ENTRY_MAILED;
        if (r->more && r->more->settling)
                ptl_settle_receiver_died(space, r);
        space->ready(space, r); /* who waits for it waits in vain */
        more_free(r->more);
        memory_give(space, r);
}

void ptl_receiver_put(struct ptl_space *space, struct ptl_receiver *r, struct ptl_queued *q)
{
        q->next = NULL;
        *r->tail = q;
        r->tail = &q->next;
        r->queued++;
        space->ready(space, r);
}

/* Does an earlier one of the same sender wait? */
static bool is_behind(const struct ptl_receiver *r, const struct ptl_queued *q)
{
        for (const struct ptl_queued *p = r->head; p != q; p = p->next)
                if (p->unsettled && p->peer == q->peer)
                        return true;
        return false;
}

/* Where the first message hangs that does not wait (docs/protocol/handoff.md, H7). */
static struct ptl_queued **find_ready(struct ptl_receiver *r)
{
        struct ptl_queued **at = &r->head;

        while (*at && ((*at)->unsettled || is_behind(r, *at)))
                at = &(*at)->next;
        return at;
}

static bool has_ready(struct ptl_receiver *r)
{
        return r->head && (PTL_LIKELY(!r->head->unsettled) || *find_ready(r));
}

struct ptl_queued *ptl_receiver_take(struct ptl_space *space, struct ptl_receiver *r)
{
        struct ptl_queued *q = r->head, **at = &r->head;

        if (!q)
                return NULL;
        if (PTL_UNLIKELY(q->unsettled)) {
                at = find_ready(r);
                q = *at;
                if (!q)
                        return NULL;
        }
        *at = q->next;
        if (!*at)
                r->tail = at;
        r->queued--;
        r->received++;
        ptl_quota_dequeue(space, q);
        if (q->notify)
                ptl_notify(space, q->notify, PTL_NOTIFY_MESSAGE_ACCEPTED, r->name, NULL);
        if (q->left)
                r->left = false;
        if (q->local_counted) {
                struct ptl_entry *e = ptl_receiver_entry(space, r);

                e->own--;
                e->own_units -= q->units;
                space->room(space); /* a sender of this task may wait for it */
        }
        if (q->grant) {
                struct ptl_grant *g = grant_of(q);

                if (g)
                        ptl_grant_took(q->peer, q->grant, g, 1, q->units);
        }
        if (PTL_UNLIKELY(q->settler))
                ptl_settle_taken(r, q);
        if (q->grant || q->local_counted || q->settler)
                ptl_senders_check(space, r); /* this message may have held the last one */
        return q;
}

struct ptl_receiver *ptl_set_pick(struct ptl_set *set)
{
        struct ptl_receiver *first = set->members, *r = first;

        if (!r)
                return NULL;
        do {
                if (has_ready(r)) {
                        set->members = r->more->set_next; /* the next one's turn */
                        return r;
                }
                r = r->more->set_next;
        } while (r != first);
        return NULL;
}

int ptl_set_join(struct ptl_set *set, struct ptl_receiver *r)
{
        struct ptl_receiver_more *m = ptl_receiver_more(r);

        if (!m)
                return -ENOMEM;
        if (m->set)
                ptl_set_leave(r);
        m->set = set;
        if (!set->members) {
                set->members = m->set_next = m->set_previous = r;
                return 0;
        }
        m->set_next = set->members;
        m->set_previous = set->members->more->set_previous;
        m->set_next->more->set_previous = m->set_previous->more->set_next = r;
        return 0;
}

void ptl_set_leave(struct ptl_receiver *r)
{
        struct ptl_receiver_more *m = r->more;
        struct ptl_set *set = m->set;

        if (m->set_next == r)
                set->members = NULL;
        else if (set->members == r)
                set->members = m->set_next;
        m->set_next->more->set_previous = m->set_previous;
        m->set_previous->more->set_next = m->set_next;
        m->set = NULL;
}

struct ptl_queued *ptl_notification_new(struct ptl_space *space, uint32_t kind, uint32_t value, const char *text)
{
        struct ptl_notification body = {.value = value};
        struct ptl_queued *q = ptl_queued_new(space, sizeof body);

        if (!q)
                return NULL;
        if (text)
                strncpy(body.text, text, sizeof body.text - 1);
        memcpy(q->data, &body, sizeof body);
        q->size = sizeof body;
        q->kind = kind;
        return q;
}

bool ptl_notify(struct ptl_space *space, ptl_port notify, uint32_t kind, uint32_t value,
                const char *text)
{
        struct ptl_receiver *r = ptl_receiver_anywhere(space, notify);
        struct ptl_queued *q = r ? ptl_notification_new(space, kind, value, text) : NULL;

        if (!q)
                return false;
        ptl_receiver_put(space, r, q);
        return true;
}
