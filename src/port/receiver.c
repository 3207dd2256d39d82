/* SPDX-License-Identifier: Apache-2.0 */
/* port/receiver.c - see receiver.h: queues and sets */
#include "port/receiver.h"
#include <string.h>

uint32_t ptl_limit_units(uint64_t bytes)
{
        uint64_t units = (bytes ? bytes : PTL_LIMIT_BYTES_DEFAULT) / 64;

        return units < 1 ? 1 : units > UINT32_MAX / 4 ? UINT32_MAX / 4 : (uint32_t)units;
}

int ptl_receiver_new(struct ptl_space *space, uint32_t limit_messages, uint64_t limit_bytes,
                     ptl_port *ret_name)
{
        struct ptl_receiver *r = malloc(sizeof *r);
        struct ptl_entry *e;
        ptl_port name;

        if (!r)
                return -ENOMEM;
        name = ptl_space_insert(space, PTL_RIGHT_RECEIVE, &e);
        if (!name) {
                free(r);
                return PTL_E_QUOTA;
        }
        *r = (struct ptl_receiver){
                .name = name,
                .limit_messages = limit_messages ? limit_messages : PTL_LIMIT_MESSAGES_DEFAULT,
                .limit_units = ptl_limit_units(limit_bytes),
                .limit_bytes = limit_bytes ? limit_bytes : PTL_LIMIT_BYTES_DEFAULT,
                .descriptor = -EBADF,
                .poll = -EBADF,
        };
        r->tail = &r->head;
        e->references = 0;
        e->receiver = r;
        *ret_name = name;
        return 0;
}

/* What is enforced only grows: a holder keeps to the old limit until it has read of the new one. */
void ptl_receiver_set_limit(struct ptl_space *space, struct ptl_receiver *r, uint32_t limit_messages, uint64_t limit_bytes)
{
        if (limit_messages)
                r->limit_messages = limit_messages;
        if (limit_bytes) {
                r->limit_units = ptl_limit_units(limit_bytes);
                r->limit_bytes = limit_bytes;
        }
        for (struct ptl_grant *g = r->grants; g; g = g->next) {
                if (g->kind != PTL_GRANT_SEND)
                        continue;
                if (g->limit_messages < r->limit_messages)
                        g->limit_messages = r->limit_messages;
                if (g->limit_units < r->limit_units)
                        g->limit_units = r->limit_units;
                ptl_grant_mark(g, PTL_MARK_WINDOW);
                ptl_control_flush(g->peer);
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

static void empty_queue(struct ptl_space *space, struct ptl_receiver *r)
{
        struct ptl_queued *q = r->head;

        r->head = NULL;
        r->tail = &r->head;
        r->queued = 0;
        while (q) {
                struct ptl_queued *next = q->next;

                space->counters.destroyed++;
                ptl_queued_free(space, q);
                q = next;
        }
}

/* Every holder is told; their indices stay taken until they give them back. */
static void kill_grants(struct ptl_receiver *r)
{
        while (r->grants) {
                struct ptl_grant *g = r->grants;

                *g->prev = g->next;
                if (g->next)
                        g->next->prev = g->prev;
                g->receiver = NULL;
                ptl_grant_mark(g, PTL_MARK_DEAD);
                ptl_control_flush(g->peer);
        }
}

void ptl_receiver_free(struct ptl_space *space, struct ptl_receiver *r)
{
        struct ptl_entry *e = ptl_space_entry(space, r->name);

        if (r->set)
                ptl_set_leave(r);
        e->rights &= (uint8_t)~PTL_RIGHT_RECEIVE;
        e->receiver = NULL;
        if (e->rights) /* send rights of our own become a dead name */
                ptl_right_kill(space, e);
        else
                ptl_space_remove(space, e);
        empty_queue(space, r);
        kill_grants(r);
        if (r->onces)
                kill_onces(space, r->name);
        space->internal -= r->internal;
        space->ready(space, r);
        ptl_close(r->descriptor);
        ptl_close(r->poll);
        free(r);
}

void ptl_receiver_put(struct ptl_space *space, struct ptl_receiver *r, struct ptl_queued *q)
{
        q->next = NULL;
        *r->tail = q;
        r->tail = &q->next;
        r->queued++;
        space->ready(space, r);
}

struct ptl_queued *ptl_receiver_take(struct ptl_space *space, struct ptl_receiver *r)
{
        struct ptl_queued *q = r->head;

        if (!q)
                return NULL;
        r->head = q->next;
        if (!r->head)
                r->tail = &r->head;
        r->queued--;
        r->received++;
        if (q->notify)
                ptl_notify(space, q->notify, PTL_NOTIFY_MESSAGE_ACCEPTED, r->name, NULL);
        if (q->left)
                r->left = false;
        if (q->local_counted) {
                r->local--;
                r->local_units -= q->units;
                space->room(space); /* a sender of this task may wait for it */
        }
        if (q->grant) {
                struct ptl_grant *g = ptl_grant_find(q->peer, q->grant);

                if (g && g->serial == q->serial)
                        ptl_grant_taken(g, q->units);
        }
        return q;
}

struct ptl_receiver *ptl_set_pick(struct ptl_set *set)
{
        struct ptl_receiver *first = set->members, *r = first;

        if (!r)
                return NULL;
        do {
                if (r->head) {
                        set->members = r->set_next; /* the next one's turn */
                        return r;
                }
                r = r->set_next;
        } while (r != first);
        return NULL;
}

void ptl_set_join(struct ptl_set *set, struct ptl_receiver *r)
{
        if (r->set)
                ptl_set_leave(r);
        r->set = set;
        if (!set->members) {
                set->members = r->set_next = r->set_previous = r;
                return;
        }
        r->set_next = set->members;
        r->set_previous = set->members->set_previous;
        r->set_next->set_previous = r->set_previous->set_next = r;
}

void ptl_set_leave(struct ptl_receiver *r)
{
        struct ptl_set *set = r->set;

        if (r->set_next == r)
                set->members = NULL;
        else if (set->members == r)
                set->members = r->set_next;
        r->set_next->set_previous = r->set_previous;
        r->set_previous->set_next = r->set_next;
        r->set = NULL;
}

bool ptl_notify(struct ptl_space *space, ptl_port notify, uint32_t kind, uint32_t value,
                const char *text)
{
        struct ptl_receiver *r = ptl_receiver_of(space, notify);
        struct ptl_notification body = {.value = value};
        struct ptl_queued *q;

        if (!r)
                return false;
        q = ptl_queued_new(space, sizeof body);
        if (!q)
                return false;
        if (text)
                strncpy(body.text, text, sizeof body.text - 1);
        memcpy(q->data, &body, sizeof body);
        q->size = sizeof body;
        q->kind = kind;
        ptl_receiver_put(space, r, q);
        return true;
}
