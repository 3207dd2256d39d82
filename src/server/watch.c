/* SPDX-License-Identifier: Apache-2.0 */
/* server/watch.c - clients that want to know which names come and go */
#define _GNU_SOURCE
#include "server/watch.h"
#include "server/record.h"
#include "server/scan.h"
#include <string.h>

static struct watch *find(const struct client *client, uint64_t cookie)
{
        list_for_each(at, &client->watches)
        {
                struct watch *watch = PTL_CONTAINER(at, struct watch, of_client);

                if (watch->cookie == cookie)
                        return watch;
        }
        return NULL;
}

static void drop(struct watch *watch)
{
        if (watch->scan)
                scan_drop(watch->scan);
        list_remove(&watch->of_client);
        list_remove(&watch->of_server);
        record_watch_gone(watch);
        watch->client->n_watches--;
        free(watch);
}

static struct watch *new_watch(struct client *client, uint64_t cookie, const char *prefix, size_t size)
{
        struct watch *watch = calloc(1, sizeof *watch + size);

        if (!watch)
                return NULL;
        watch->client = client;
        watch->cookie = cookie;
        watch->size = size;
        memcpy(watch->prefix, prefix, size);
        return watch;
}

static void enter(struct watch *watch)
{
        list_append(&watch->client->watches, &watch->of_client);
        list_append(&watch->client->server->watches, &watch->of_server);
        watch->client->n_watches++;
}

/* Recalled, and now asked for again: it goes on where it was. */
static bool is_same(const struct watch *old, const struct ptl_server_msg *msg)
{
        return old->is_unconfirmed && !old->begins_anew && old->size == msg->name_size && !memcmp(old->prefix, msg->name, old->size);
}

static int start(struct client *client, const struct ptl_server_msg *msg)
{
        struct watch *old = find(client, msg->watch.cookie), *watch;

        if (old && is_same(old, msg)) {
                old->is_unconfirmed = false;
                return 0;
        }
        if (!old && client->n_watches >= client->server->quota.watches)
                return PTL_E_QUOTA;
        watch = new_watch(client, msg->watch.cookie, msg->name, msg->name_size);
        if (!watch)
                return -ENOMEM;
        watch->scan = scan_new_watch(watch);
        if (!watch->scan) {
                free(watch);
                return -ENOMEM;
        }
        if (old)
                drop(old);
        enter(watch);
        record_watch(watch);
        return 0;
}

struct watch *watch_recall(struct client *client, uint64_t cookie, const char *prefix, size_t size, bool is_settled)
{
        struct watch *watch = new_watch(client, cookie, prefix, size);

        if (!watch)
                return NULL;
        watch->is_recorded = watch->is_unconfirmed = true;
        watch->is_settled = is_settled;
        watch->begins_anew = !is_settled;
        enter(watch);
        return watch;
}

void watch_drop_unconfirmed(struct client *client)
{
        for (struct list *l = client->watches.next, *next; l != &client->watches; l = next) {
                struct watch *watch = PTL_CONTAINER(l, struct watch, of_client);

                next = l->next;
                if (watch->is_unconfirmed)
                        drop(watch);
        }
}

void watch_start(struct client *client, const struct ptl_server_msg *msg)
{
        int r = start(client, msg);

        /* The answer goes before the events: what comes after it is of the new watch. */
        client_answer(client, msg->serial, r);
        if (r == 0)
                scan_run(client);
}

int watch_stop(struct client *client, uint64_t cookie)
{
        struct watch *watch = find(client, cookie);

        if (!watch)
                return PTL_E_NOT_FOUND;
        drop(watch);
        return 0;
}

void watch_drop_all(struct client *client)
{
        struct watch *watch;

        while ((watch = list_first(&client->watches, struct watch, of_client)))
                drop(watch);
}

bool watch_is_for(const struct watch *watch, const struct name *name)
{
        return !name_is_hidden(name) && name->size >= watch->size &&
               !memcmp(name->text, watch->prefix, watch->size);
}

void watch_tell(const struct watch *watch, enum ptl_server_type event, const struct name *name)
{
        struct ptl_server_msg msg = {
                .type = event, .watch.cookie = watch->cookie, .name_size = name->size};

        memcpy(msg.name, name->text, name->size);
        client_send(watch->client, &msg, NULL);
}

static void tell_all(struct server *server, enum ptl_server_type event, const struct name *name)
{
        list_for_each(at, &server->watches)
        {
                struct watch *watch = PTL_CONTAINER(at, struct watch, of_server);

                if (watch->scan && !scan_has_passed(watch->scan, &name->in_published))
                        continue; /* coming: the scan will see it; going: it will not */
                if (!watch_is_for(watch, name))
                        continue;
                watch_tell(watch, event, name);
                if (PTL_UNLIKELY(!list_is_empty(&watch->client->output.packets)))
                        record_watch(watch); /* what waits in our memory a successor would not know of */
        }
}

void watch_tell_added(struct server *server, const struct name *name)
{
        tell_all(server, PTL_SM_NAME_ADDED, name);
}

void watch_tell_removed(struct server *server, const struct name *name)
{
        tell_all(server, PTL_SM_NAME_REMOVED, name);
}
