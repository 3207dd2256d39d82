/* SPDX-License-Identifier: Apache-2.0 */
/* server/watch.c - clients that want to know which names come and go */
#define _GNU_SOURCE
#include "server/watch.h"
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
        watch->client->n_watches--;
        free(watch);
}

static int start(struct client *client, const struct ptl_server_msg *msg)
{
        struct watch *old = find(client, msg->watch.cookie), *watch;

        if (!old && client->n_watches >= client->server->quota.watches)
                return PTL_E_QUOTA;
        watch = calloc(1, sizeof *watch + msg->name_size);
        if (!watch)
                return -ENOMEM;
        watch->client = client;
        watch->cookie = msg->watch.cookie;
        watch->size = msg->name_size;
        memcpy(watch->prefix, msg->name, watch->size);
        watch->scan = scan_new_watch(watch);
        if (!watch->scan) {
                free(watch);
                return -ENOMEM;
        }
        if (old)
                drop(old);
        list_append(&client->watches, &watch->of_client);
        list_append(&client->server->watches, &watch->of_server);
        client->n_watches++;
        return 0;
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
                const struct watch *watch = PTL_CONTAINER(at, struct watch, of_server);

                if (watch->scan && !scan_has_passed(watch->scan, &name->in_published))
                        continue; /* coming: the scan will see it; going: it will not */
                if (watch_is_for(watch, name))
                        watch_tell(watch, event, name);
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
