/* SPDX-License-Identifier: Apache-2.0 */
/* server/scan.c - long answers: lists, and the names that a new watch tells of */
#define _GNU_SOURCE
#include "server/scan.h"
#include "server/introduce.h"
#include "server/record.h"
#include <string.h>

struct scan {
        struct list of_client;
        struct client *client;
        struct roll *roll;
        struct roll_entry marker;
        uint64_t passed;     /* number of the last entry seen */
        struct watch *watch; /* or NULL: a list */
        uint32_t serial, what;
};

static struct scan *new_scan(struct client *client, struct roll *roll)
{
        struct scan *scan = calloc(1, sizeof *scan);

        if (!scan)
                return NULL;
        scan->client = client;
        scan->roll = roll;
        roll_mark_start(roll, &scan->marker);
        list_append(&client->scans, &scan->of_client);
        return scan;
}

struct scan *scan_new_watch(struct watch *watch)
{
        struct scan *scan = new_scan(watch->client, &watch->client->server->published);

        if (scan)
                scan->watch = watch;
        return scan;
}

void scan_drop(struct scan *scan)
{
        if (scan->watch)
                scan->watch->scan = NULL;
        else
                scan->client->n_lists--;
        list_remove(&scan->marker.link);
        list_remove(&scan->of_client);
        free(scan);
}

void scan_drop_all(struct client *client)
{
        struct scan *scan;

        while ((scan = list_first(&client->scans, struct scan, of_client)))
                scan_drop(scan);
}

bool scan_has_passed(const struct scan *scan, const struct roll_entry *entry)
{
        return entry->number <= scan->passed;
}

static struct roll *roll_of(struct server *server, uint32_t what)
{
        if (what == PTL_SM_LIST_NAMES)
                return &server->published;
        return what == PTL_SM_LIST_TASKS ? &server->tasks : &server->introduced;
}

static int start_list(struct client *client, const struct ptl_server_msg *msg)
{
        struct scan *scan;

        if (client->n_lists >= QUOTA_LISTS)
                return PTL_E_QUOTA;
        scan = new_scan(client, roll_of(client->server, msg->list.what));
        if (!scan)
                return -ENOMEM;
        scan->serial = msg->serial;
        scan->what = msg->list.what;
        client->n_lists++;
        return 0;
}

void scan_start_list(struct client *client, const struct ptl_server_msg *msg)
{
        int r = start_list(client, msg);

        if (r)
                client_answer(client, msg->serial, r);
        else
                scan_run(client);
}

static bool fill_name(struct client *viewer, struct roll_entry *entry, struct ptl_server_msg *msg)
{
        const struct name *name = PTL_CONTAINER(entry, struct name, in_published);

        if (name_is_hidden(name) || !client_may_see(viewer, name->owner->identity.uid))
                return false;
        msg->item.kind = name->what.kind;
        msg->item.a = name->owner->identity;
        msg->item.size = name->what.size;
        memcpy(msg->item.command, name->owner->command, sizeof msg->item.command);
        memcpy(msg->name, name->text, name->size);
        msg->name_size = name->size;
        return true;
}

static bool fill_task(struct client *viewer, struct roll_entry *entry, struct ptl_server_msg *msg)
{
        const struct client *task = PTL_CONTAINER(entry, struct client, in_tasks);

        if (!client_may_see(viewer, task->identity.uid))
                return false;
        msg->item.a = task->identity;
        msg->item.links = (uint32_t)task->n_introductions;
        msg->item.names = (uint32_t)task->n_names;
        memcpy(msg->item.command, task->command, sizeof msg->item.command);
        return true;
}

/* A pair is shown to either side's user: each side knows the other anyway. */
static bool fill_link(struct client *viewer, struct roll_entry *entry, struct ptl_server_msg *msg)
{
        const struct introduction *i = PTL_CONTAINER(entry, struct introduction, in_introduced);

        msg->item.a = i->side[0].client->identity;
        msg->item.b = i->side[1].client->identity;
        return client_may_see(viewer, msg->item.a.uid) || client_may_see(viewer, msg->item.b.uid);
}

static void send_item(const struct scan *scan, struct roll_entry *entry)
{
        struct ptl_server_msg msg = {
                .type = PTL_SM_ITEM, .serial = scan->serial, .item.what = scan->what};
        bool is_visible;

        if (scan->what == PTL_SM_LIST_NAMES)
                is_visible = fill_name(scan->client, entry, &msg);
        else if (scan->what == PTL_SM_LIST_TASKS)
                is_visible = fill_task(scan->client, entry, &msg);
        else
                is_visible = fill_link(scan->client, entry, &msg);
        if (is_visible)
                client_send(scan->client, &msg, NULL);
}

/* One entry, or the end. */
static void step(struct scan *scan)
{
        struct roll_entry *entry = roll_advance(scan->roll, &scan->marker);
        const struct name *name;

        if (!entry) {
                struct client *client = scan->client;

                if (!scan->watch)
                        client_answer(client, scan->serial, 0);
                scan_drop(scan);
                record_watches(client);
                return;
        }
        scan->passed = entry->number;
        if (!scan->watch) {
                send_item(scan, entry);
                return;
        }
        name = PTL_CONTAINER(entry, struct name, in_published);
        if (watch_is_for(scan->watch, name))
                watch_tell(scan->watch, PTL_SM_NAME_ADDED, name);
}

void scan_run(struct client *client)
{
        struct scan *scan;

        /* What is left goes on when the socket has room, which the loop waits for. */
        for (int i = 0; i < QUOTA_ROUND_ITEMS && list_is_empty(&client->output.packets); i++) {
                scan = client->state == CLIENT_DOOMED
                               ? NULL
                               : list_first(&client->scans, struct scan, of_client);
                if (!scan)
                        return;
                step(scan);
        }
}
