/* SPDX-License-Identifier: Apache-2.0 */
/* server/record.c - see record.h */
#define _GNU_SOURCE
#include "server/record.h"
#include <string.h>

enum { PAUSE_MS = 1000 }; /* after all could not be written anew for want of memory */

/* ---- what is written ---- */

static int write_task(struct journal *j, const struct client *c)
{
        struct record_task r = {.key.number = c->in_tasks.number, .identity = c->identity};

        memcpy(r.command, c->command, sizeof r.command);
        return journal_append(j, RECORD_TASK, &r, sizeof r, false);
}

static int write_name(struct journal *j, const struct name *name)
{
        struct record_name r = {.key.number = name->in_published.number,
                                .owner = name->owner->in_tasks.number,
                                .what = name->what,
                                .state = name->state,
                                .size = (uint32_t)name->size};

        memcpy(r.text, name->text, name->size);
        return journal_append(j, RECORD_NAME, &r, offsetof(struct record_name, text) + name->size, false);
}

static int write_watch(struct journal *j, const struct watch *watch)
{
        struct record_watch r = {.key = {watch->client->in_tasks.number, watch->cookie},
                                 .size = (uint32_t)watch->size,
                                 .is_settled = watch->is_settled};

        memcpy(r.prefix, watch->prefix, watch->size);
        return journal_append(j, RECORD_WATCH, &r, offsetof(struct record_watch, prefix) + watch->size, false);
}

/* ---- all anew ---- */

static bool is_to_be_known(const struct client *c) { return c->identity.pid > 0 && c->identity.start_time; }

static bool is_settled(const struct watch *watch)
{
        return !watch->scan && !watch->begins_anew && list_is_empty(&watch->client->output.packets);
}

/* What finds no room is left out. */
static void write_all_of(struct journal *j, struct client *c)
{
        c->is_recorded = is_to_be_known(c) && write_task(j, c) == 0;
        list_for_each(at, &c->watches)
        {
                struct watch *watch = PTL_CONTAINER(at, struct watch, of_client);

                watch->is_settled = is_settled(watch);
                watch->is_recorded = c->is_recorded && write_watch(j, watch) == 0;
        }
}

/* Tasks before names, both in the order of their numbers. */
static void write_all(struct server *server)
{
        struct roll_entry marker, *entry;

        roll_mark_start(&server->tasks, &marker);
        while ((entry = roll_advance(&server->tasks, &marker)))
                write_all_of(&server->journal, PTL_CONTAINER(entry, struct client, in_tasks));
        list_remove(&marker.link);
        roll_mark_start(&server->published, &marker);
        while ((entry = roll_advance(&server->published, &marker))) {
                struct name *name = PTL_CONTAINER(entry, struct name, in_published);

                name->is_recorded = name->owner->is_recorded && write_name(&server->journal, name) == 0;
        }
        list_remove(&marker.link);
}

/* After each record, when all stands as the record says. */
static void tidy(struct server *server)
{
        struct journal *j = &server->journal;

        if (PTL_LIKELY(!journal_wants_anew(j)) || ptl_now() < server->tidy_at)
                return;
        if (journal_begin(j)) {
                server->tidy_at = ptl_after_ms(PAUSE_MS);
                return;
        }
        write_all(server);
        journal_finish(j);
}

/* ---- one at a time ---- */

static void record(struct server *server, int r, bool *is_recorded)
{
        *is_recorded = r == 0;
        tidy(server);
}

static void change(struct server *server, uint32_t kind, struct record_key key, uint32_t state)
{
        struct record_change c = {.key = key, .kind = kind, .state = state};

        if (journal_append(&server->journal, RECORD_STATE, &c, sizeof c, true))
                server->journal.is_behind = true;
        tidy(server);
}

void record_task(struct client *c)
{
        if (c->server->journal.base && is_to_be_known(c))
                record(c->server, write_task(&c->server->journal, c), &c->is_recorded);
}

void record_task_gone(struct client *c)
{
        if (!c->is_recorded)
                return;
        c->is_recorded = false;
        change(c->server, RECORD_TASK, (struct record_key){.number = c->in_tasks.number}, RECORD_GONE);
}

void record_name(struct name *name)
{
        struct client *owner = name->owner;

        if (owner->is_recorded)
                record(owner->server, write_name(&owner->server->journal, name), &name->is_recorded);
}

static void change_name(struct name *name, enum record_state state)
{
        name->state = state;
        if (name->is_recorded)
                change(name->owner->server, RECORD_NAME, (struct record_key){.number = name->in_published.number}, state);
}

void record_name_told(struct name *name)
{
        if (name->state == RECORD_UNTOLD)
                change_name(name, RECORD_TOLD);
}

void record_name_leaves(struct name *name) { change_name(name, RECORD_LEAVES); }

void record_name_gone(struct name *name)
{
        bool was_recorded = name->is_recorded;

        name->is_recorded = false;
        if (was_recorded)
                change(name->owner->server, RECORD_NAME, (struct record_key){.number = name->in_published.number}, RECORD_GONE);
}

void record_watch(struct watch *watch)
{
        struct server *server = watch->client->server;
        bool was_settled = watch->is_settled;

        watch->is_settled = is_settled(watch);
        if (watch->client->is_recorded && (!watch->is_recorded || watch->is_settled != was_settled))
                record(server, write_watch(&server->journal, watch), &watch->is_recorded);
}

void record_watches(struct client *c)
{
        list_for_each(at, &c->watches)
                record_watch(PTL_CONTAINER(at, struct watch, of_client));
}

void record_watch_gone(struct watch *watch)
{
        struct client *c = watch->client;

        if (!watch->is_recorded)
                return;
        watch->is_recorded = false;
        change(c->server, RECORD_WATCH, (struct record_key){c->in_tasks.number, watch->cookie}, RECORD_GONE);
}
