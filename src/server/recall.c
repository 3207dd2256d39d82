/* SPDX-License-Identifier: Apache-2.0 */
/* server/recall.c - see recall.h */
#define _GNU_SOURCE
#include "server/recall.h"
#include "server/passed.h"
#include "server/record.h"
#include <stdio.h>
#include <string.h>

#define JOURNAL_NAME "journal"

/* A record that is not about what is gone: a private copy. */
struct item {
        struct map_node node;
        struct list link; /* recall.tasks, names, watches; in the order of the numbers */
        uint32_t kind;
        struct client *task; /* made of it */
        union {
                struct record_key key;
                struct record_task task;
                struct record_name name;
                struct record_watch watch;
                struct record_change change;
        } of;
};

struct recall {
        struct map items;
        struct list of_kind[RECORD_STATE]; /* by kind */
};

/* ---- reading: which of the records hold ---- */

static uint64_t hash_of(const struct recall *r, uint32_t kind, struct record_key key)
{
        uint64_t whole[3] = {kind, key.number, key.cookie};

        return map_hash(&r->items, whole, sizeof whole);
}

static struct item *find(const struct recall *r, uint32_t kind, struct record_key key)
{
        for (struct map_node *n = map_first(&r->items, hash_of(r, kind, key)); n; n = map_next(n)) {
                struct item *i = PTL_CONTAINER(n, struct item, node);

                if (i->kind == kind && i->of.key.number == key.number && i->of.key.cookie == key.cookie)
                        return i;
        }
        return NULL;
}

static void drop(struct recall *r, struct item *i)
{
        map_remove(&r->items, &i->node);
        list_remove(&i->link);
        free(i);
}

/* Are sizes and texts as they must be? Its check says only that a server wrote it. */
static bool is_sound(const struct item *i, size_t size)
{
        size_t text;

        switch (i->kind) {
        case RECORD_TASK:
                return size == sizeof i->of.task && i->of.task.identity.pid > 0 && !i->of.task.identity.reserved &&
                       !i->of.task.key.cookie && memchr(i->of.task.command, 0, sizeof i->of.task.command);
        case RECORD_NAME:
                text = i->of.name.size;
                return text > 0 && text <= PTL_SERVER_NAME_MAX && !memchr(i->of.name.text, 0, text) &&
                       size == (offsetof(struct record_name, text) + text + 7) / 8 * 8 && !i->of.name.key.cookie &&
                       i->of.name.state <= RECORD_LEAVES && i->of.name.what.kind >= PTL_SM_KIND_PORT &&
                       i->of.name.what.kind <= PTL_SM_KIND_REGION;
        case RECORD_WATCH:
                text = i->of.watch.size;
                return text <= PTL_SERVER_NAME_MAX && i->of.watch.is_settled <= 1 &&
                       size == (offsetof(struct record_watch, prefix) + text + 7) / 8 * 8;
        case RECORD_STATE:
                return size == sizeof i->of.change && i->of.change.kind < RECORD_STATE && i->of.change.state <= RECORD_GONE;
        default:
                return false;
        }
}

static int apply_change(struct recall *r, const struct record_change *change)
{
        struct item *i = find(r, change->kind, change->key);

        if (!i)
                return PTL_E_MALFORMED;
        if (change->state == RECORD_GONE)
                drop(r, i);
        else if (change->kind == RECORD_NAME)
                i->of.name.state = change->state;
        else
                return PTL_E_MALFORMED;
        return 0;
}

/* Numbers rise; a name that stands there already was published again. */
static int apply_item(struct recall *r, struct item *i)
{
        struct item *old = find(r, i->kind, i->of.key);
        struct list *list = &r->of_kind[i->kind];

        if (old) {
                old->of = i->of;
                free(i);
                return 0;
        }
        if (i->kind != RECORD_WATCH && !list_is_empty(list) &&
            PTL_CONTAINER(list->previous, struct item, link)->of.key.number >= i->of.key.number)
                return PTL_E_MALFORMED;
        list_append(list, &i->link);
        map_add(&r->items, &i->node, hash_of(r, i->kind, i->of.key));
        return 0;
}

static int visit(void *arg, uint32_t kind, const void *body, size_t size)
{
        ptl_cleanup(ptl_freep) struct item *i = calloc(1, sizeof *i);
        int r;

        if (!i)
                return -ENOMEM;
        i->kind = kind;
        if (size > sizeof i->of)
                return PTL_E_MALFORMED;
        memcpy(&i->of, body, size);
        if (!is_sound(i, size))
                return PTL_E_MALFORMED;
        if (kind == RECORD_STATE)
                return apply_change(arg, &i->of.change);
        r = apply_item(arg, i);
        if (!r)
                (void)ptl_steal_ptr(&i);
        return r;
}

/* ---- making it true ---- */

static struct client *owner_of(const struct recall *r, uint64_t number)
{
        struct item *i = find(r, RECORD_TASK, (struct record_key){.number = number});

        return i ? i->task : NULL;
}

static int make_task(struct server *server, struct item *i)
{
        const struct record_task *t = &i->of.task;

        if (client_find(server, t->identity.task))
                return PTL_E_MALFORMED;
        i->task = client_recall(server, &t->identity, t->command, t->key.number);
        return i->task ? 0 : -ENOMEM;
}

static int make_name(struct recall *r, struct item *i)
{
        const struct record_name *n = &i->of.name;
        struct client *owner = owner_of(r, n->owner);
        struct name *name;

        if (!owner || name_is_known(owner->server, n->text, n->size))
                return PTL_E_MALFORMED;
        name = name_recall(owner, &n->what, n->text, n->size, n->key.number);
        if (!name)
                return -ENOMEM;
        name->state = n->state;
        return 0;
}

static int make_watch(struct recall *r, struct item *i)
{
        const struct record_watch *w = &i->of.watch;
        struct client *client = owner_of(r, w->key.number);

        if (!client)
                return PTL_E_MALFORMED;
        return watch_recall(client, w->key.cookie, w->prefix, w->size, w->is_settled) ? 0 : -ENOMEM;
}

static int make_all(struct recall *r, struct server *server)
{
        int e = 0;

        for (uint32_t kind = RECORD_TASK; kind <= RECORD_WATCH; kind++) {
                list_for_each(l, &r->of_kind[kind])
                {
                        struct item *i = PTL_CONTAINER(l, struct item, link);

                        if (!e && kind == RECORD_TASK)
                                e = make_task(server, i);
                        else if (!e)
                                e = kind == RECORD_NAME ? make_name(r, i) : make_watch(r, i);
                }
        }
        return e;
}

/* What the last server was about to tell is told now; some may hear it a second time. */
static void finish_names(struct server *server)
{
        struct roll_entry marker, *entry;

        roll_mark_start(&server->published, &marker);
        while ((entry = roll_advance(&server->published, &marker))) {
                struct name *name = PTL_CONTAINER(entry, struct name, in_published);

                if (name->state == RECORD_UNTOLD)
                        name_announce(name);
                else if (name->state == RECORD_LEAVES)
                        name_withdraw(name);
        }
        list_remove(&marker.link);
}

/* Who has died meanwhile, or is known not to be found any more. */
static void find_processes(struct server *server)
{
        struct roll_entry marker, *entry;

        roll_mark_start(&server->tasks, &marker);
        while ((entry = roll_advance(&server->tasks, &marker))) {
                struct client *c = PTL_CONTAINER(entry, struct client, in_tasks);

                if (client_find_process(c))
                        client_doom(c);
        }
        list_remove(&marker.link);
        client_bury_doomed(server);
        client_free_buried(server);
}

static int read_journal(struct server *server)
{
        struct recall r = {0};
        int e = map_init(&r.items);

        for (int i = 0; i < RECORD_STATE; i++)
                list_init(&r.of_kind[i]);
        if (!e)
                e = journal_read(&server->journal, visit, &r);
        if (!e)
                e = make_all(&r, server);
        for (int i = 0; i < RECORD_STATE; i++)
                while (!list_is_empty(&r.of_kind[i]))
                        drop(&r, list_first(&r.of_kind[i], struct item, link));
        map_fini(&r.items);
        return e;
}

/* ---- which journal ---- */

/* As if nothing had been read: nobody is told, and nothing is written. */
static void undo(struct server *server)
{
        journal_close(&server->journal);
        server_forget_all(server);
}

static int open_kept(struct server *server)
{
        ptl_cleanup(ptl_closep) int fd = -EBADF;
        int r = store_take(server->store, JOURNAL_NAME, &fd);

        if (r)
                return r;
        r = journal_open(&server->journal, fd);
        if (!r) {
                (void)ptl_steal_fd(&fd);
                r = read_journal(server);
                if (r)
                        undo(server);
        }
        if (r) {
                passed_complain(STORE_PREFIX JOURNAL_NAME, r);
                store_drop(server->store, JOURNAL_NAME);
        }
        return r;
}

static int make_new(struct server *server)
{
        int r = journal_create(&server->journal);

        if (!r)
                r = store_keep(server->store, JOURNAL_NAME, server->journal.fd);
        if (r)
                journal_close(&server->journal);
        return r;
}

void recall(struct server *server)
{
        int r = open_kept(server);

        if (!r) {
                finish_names(server);
                find_processes(server);
        } else if (server->store->is_there) {
                r = make_new(server);
                if (r)
                        fprintf(stderr, "portoland: keeping names over a restart: %s\n", ptl_outcome_text(r));
        }
}
