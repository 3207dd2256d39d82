/* SPDX-License-Identifier: Apache-2.0 */
/* server/name.c - names: who published what, and who waits for it */
#define _GNU_SOURCE
#include "server/name.h"
#include "server/introduce.h"
#include "server/record.h"
#include "server/watch.h"
#include <string.h>

struct look_up {
        struct list of_client, of_name;
        struct client *client;
        struct name *name;
        uint32_t serial;
};

static struct name *find_text(const struct server *server, const char *text, size_t size)
{
        uint64_t hash = map_hash(&server->names, text, size);

        for (struct map_node *n = map_first(&server->names, hash); n; n = map_next(n)) {
                struct name *name = PTL_CONTAINER(n, struct name, in_names);

                if (name->size == size && !memcmp(name->text, text, size))
                        return name;
        }
        return NULL;
}

static struct name *find(const struct server *server, const struct ptl_server_msg *msg)
{
        return find_text(server, msg->name, msg->name_size);
}

bool name_is_known(const struct server *server, const char *text, size_t size)
{
        return find_text(server, text, size);
}

static struct name *new_name(struct server *server, const char *text, size_t size)
{
        struct name *name = calloc(1, sizeof *name + size);

        if (!name)
                return NULL;
        list_init(&name->in_published.link);
        list_init(&name->of_owner);
        list_init(&name->look_ups);
        name->size = size;
        memcpy(name->text, text, size);
        map_add(&server->names, &name->in_names, map_hash(&server->names, name->text, name->size));
        return name;
}

/* Finds a name or makes it, unknown still: it is to get an owner or a look-up at once. */
static struct name *obtain(struct server *server, const struct ptl_server_msg *msg)
{
        struct name *name = find(server, msg);

        return name ? name : new_name(server, msg->name, msg->name_size);
}

static void forget_if_unknown(struct server *server, struct name *name)
{
        if (name->owner || !list_is_empty(&name->look_ups))
                return;
        map_remove(&server->names, &name->in_names);
        free(name);
}

static int take_region(const struct ptl_sm_publish *what, int *fd, struct descriptor **ret_region)
{
        int r;

        *ret_region = NULL;
        if (what->kind != PTL_SM_KIND_REGION)
                return *fd < 0 ? 0 : PTL_E_MALFORMED;
        if (*fd < 0)
                return PTL_E_LOST;
        r = descriptor_check_region(*fd, what->size);
        if (r)
                return r;
        *ret_region = descriptor_new(*fd);
        if (!*ret_region)
                return -ENOMEM;
        *fd = -EBADF;
        return 0;
}

/* @region: consumed */
static void give(struct name *name, struct client *owner, const struct ptl_sm_publish *what, struct descriptor *region)
{
        struct server *server = owner->server;

        name->owner = owner;
        name->what = *what;
        name->region = region;
        list_append(&owner->names, &name->of_owner);
        owner->n_names++;
        owner->n_regions += region != NULL;
        server->n_published++;
        roll_add(&server->published, &name->in_published);
}

struct name *name_recall(struct client *owner, const struct ptl_sm_publish *what, const char *text, size_t size,
                         uint64_t number)
{
        struct name *name = new_name(owner->server, text, size);

        if (!name)
                return NULL;
        owner->server->published.last = number - 1;
        give(name, owner, what, NULL);
        name->is_recorded = name->is_unconfirmed = true;
        return name;
}

/* Its owner has come back, and says what it has. */
static int confirm(struct name *name, const struct ptl_sm_publish *what, int *fd)
{
        struct descriptor *region;
        int r = take_region(what, fd, &region);

        if (r)
                return r;
        name->is_unconfirmed = false;
        list_remove(&name->of_owner); /* behind those that are not confirmed */
        list_append(&name->owner->names, &name->of_owner);
        name->owner->n_regions += region != NULL;
        name->region = region;
        if (memcmp(&name->what, what, sizeof *what)) {
                name->what = *what;
                record_name(name);
        }
        return 0;
}

/* An exec, or a passport that was lost: the owner will not come back, and this is its process. */
static bool is_heir(const struct client *client, const struct client *owner)
{
        const struct ptl_identity *a = &client->identity, *b = &owner->identity;

        return client_is_absent(owner) && a->pid == b->pid && a->uid == b->uid && a->start_time == b->start_time;
}

int name_publish(struct client *client, const struct ptl_server_msg *msg, int *fd,
                 struct name **ret_name)
{
        struct server *server = client->server;
        struct name *name = *ret_name = find(server, msg);
        struct descriptor *region;
        int r;

        if (name && name->owner == client && name->is_unconfirmed && name->what.kind == msg->publish.kind)
                return confirm(name, &msg->publish, fd);
        if (name && name->owner && !is_heir(client, name->owner) && !(name->owner == client && name->is_unconfirmed))
                return PTL_E_EXISTS;
        if (client->n_names >= server->quota.names)
                return PTL_E_QUOTA;
        r = take_region(&msg->publish, fd, &region);
        if (r)
                return r;
        if (name && name->owner)
                name_withdraw(name);
        name = obtain(server, msg);
        if (!name) {
                descriptor_unref(region);
                return -ENOMEM;
        }
        give(name, client, &msg->publish, region);
        name->state = list_is_empty(&server->watches) ? RECORD_TOLD : RECORD_UNTOLD;
        record_name(name);
        *ret_name = name;
        return 0;
}

void name_withdraw(struct name *name)
{
        struct client *owner = name->owner;
        struct server *server = owner->server;

        watch_tell_removed(server, name);
        list_remove(&name->in_published.link);
        list_remove(&name->of_owner);
        owner->n_names--;
        owner->n_regions -= name->region != NULL;
        server->n_published--;
        record_name_gone(name);
        name->owner = NULL;
        name->is_unconfirmed = false;
        name->region = descriptor_unref(name->region);
        forget_if_unknown(server, name);
}

void name_withdraw_unconfirmed(struct client *client)
{
        struct name *name;

        while ((name = list_first(&client->names, struct name, of_owner)) && name->is_unconfirmed)
                name_withdraw(name);
}

struct name *name_find_own(const struct client *client, const struct ptl_server_msg *msg)
{
        struct name *name = find(client->server, msg);

        return name && name->owner == client ? name : NULL;
}

void name_withdraw_all(struct client *client)
{
        struct name *name;

        while ((name = list_first(&client->names, struct name, of_owner)))
                name_withdraw(name);
}

static void answer_found(struct client *client, uint32_t serial, const struct name *name)
{
        struct descriptor *carried = NULL;
        struct ptl_server_msg msg = {
                .type = PTL_SM_FOUND,
                .serial = serial,
                .found = {.kind = name->what.kind,
                          .owner = name->owner->identity,
                          .ticket = name->what.ticket,
                          .limit_bytes = name->what.limit_bytes,
                          .limit_messages = name->what.limit_messages,
                          .size = name->what.size},
        };
        int r = 0;

        if (name->region)
                carried = client_has_room_for_descriptor(client) ? descriptor_ref(name->region)
                                                                 : NULL;
        else if (!introduction_is_made(client, name->owner))
                r = introduce(client, name->owner, &carried);
        if (name->region && !carried)
                r = PTL_E_QUOTA;
        msg.found.link = carried && !name->region;
        if (r)
                client_answer(client, serial, r);
        else
                client_send(client, &msg, carried);
        descriptor_unref(carried);
}

static int park(struct client *client, const struct ptl_server_msg *msg)
{
        struct look_up *l;

        if (client->n_look_ups >= client->server->quota.look_ups)
                return PTL_E_QUOTA;
        l = calloc(1, sizeof *l);
        if (!l)
                return -ENOMEM;
        l->name = obtain(client->server, msg);
        if (!l->name) {
                free(l);
                return -ENOMEM;
        }
        l->client = client;
        l->serial = msg->serial;
        list_append(&client->look_ups, &l->of_client);
        list_append(&l->name->look_ups, &l->of_name);
        client->n_look_ups++;
        return 0;
}

/* Leaves the name, even if that is unknown from now on. */
static void unpark(struct look_up *l)
{
        list_remove(&l->of_client);
        list_remove(&l->of_name);
        l->client->n_look_ups--;
        free(l);
}

/* Has it an owner, and the memory if it is a region's? */
static bool is_ready(const struct name *name)
{
        return name->owner && (name->region || name->what.kind != PTL_SM_KIND_REGION);
}

void look_up(struct client *client, const struct ptl_server_msg *msg)
{
        const struct name *name = find(client->server, msg);
        int r = PTL_E_NOT_FOUND;

        if (name && is_ready(name)) {
                answer_found(client, msg->serial, name);
                return;
        }
        if (msg->look_up.wait)
                r = park(client, msg);
        if (r)
                client_answer(client, msg->serial, r);
}

static void drop(struct look_up *l)
{
        struct server *server = l->client->server;
        struct name *name = l->name;

        unpark(l);
        forget_if_unknown(server, name);
}

int look_up_cancel(struct client *client, uint32_t serial)
{
        list_for_each(at, &client->look_ups)
        {
                struct look_up *l = PTL_CONTAINER(at, struct look_up, of_client);

                if (l->serial == serial) {
                        drop(l);
                        return 0;
                }
        }
        return PTL_E_NOT_FOUND;
}

void look_up_drop_all(struct client *client)
{
        struct look_up *l;

        while ((l = list_first(&client->look_ups, struct look_up, of_client)))
                drop(l);
}

void name_announce(struct name *name)
{
        struct look_up *l;

        if (name->state == RECORD_UNTOLD)
                watch_tell_added(name->owner->server, name);
        record_name_told(name);
        while ((l = list_first(&name->look_ups, struct look_up, of_name))) {
                struct client *client = l->client;
                uint32_t serial = l->serial;

                unpark(l);
                answer_found(client, serial, name);
        }
}
