/* SPDX-License-Identifier: Apache-2.0 */
/* server/greet.c - the first packet of a connection: version, quota, task id */
#define _GNU_SOURCE
#include "server/greet.h"
#include "link/socket.h"
#include "server/descriptor.h"
#include "server/identity.h"
#include "server/passport.h"
#include "server/reserve.h"
#include "server/trace.h"
#include <string.h>

/*
 * A HELLO of another protocol may be longer than ours and carry what we do not know. All of them
 * begin alike: the head, and the number of the protocol as the first word of the body.
 */
static bool is_foreign_hello(const void *packet, size_t size, uint32_t *ret_serial)
{
        struct ptl_server_head head;
        uint32_t protocol;

        if (size < sizeof head + sizeof protocol)
                return false;
        memcpy(&head, packet, sizeof head);
        memcpy(&protocol, (const char *)packet + sizeof head, sizeof protocol);
        *ret_serial = head.serial;
        return head.magic == PTL_SERVER_MAGIC && head.type == PTL_SM_HELLO &&
               protocol != PTL_SERVER_PROTOCOL;
}

/* What it has sent beside is read first: a socket closed with bytes unread takes our answer along.
 */
static void turn_away(struct client *client, uint32_t serial, int outcome)
{
        char packet[PTL_SERVER_PACKET_MAX];
        size_t size;

        client_answer(client, serial, outcome);
        for (int i = 0; i < QUOTA_ROUND_PACKETS; i++)
                if (ptl_socket_receive(client->socket, packet, sizeof packet, &size, NULL, 0, NULL))
                        break;
        client_doom(client);
}

/* Who would see who has the descriptors (reserve.h). */
static bool may_use_reserve(const struct client *client, const struct ptl_sm_hello *hello)
{
        uint32_t uid = client->identity.uid;

        return hello->features & PTL_SM_LOOKS && (uid == 0 || uid == client->server->identity.uid);
}

/* The id on its passport, if no living task has it; else a new one. */
static int choose_id(const struct client *client, int passport, struct ptl_task_id *ret_id)
{
        return passport_check(passport, &client->identity, ret_id) && !client_find(client->server, *ret_id)
                       ? 0
                       : identity_new_task(ret_id);
}

static int admit(struct client *client, const struct ptl_sm_hello *hello, int passport)
{
        size_t most = client->server->quota.tasks + (hello->features & PTL_SM_LOOKS ? QUOTA_LOOKERS : 0);

        if (client->server->n_tasks >= most)
                return PTL_E_QUOTA;
        return choose_id(client, passport, &client->identity.task);
}

/* Without memory or descriptors for one it goes without: the next server will give it a new id. */
static struct descriptor *new_passport(const struct client *client)
{
        struct descriptor *d;
        int fd;

        if (client->server->is_short || passport_issue(&client->identity, &fd))
                return NULL;
        d = descriptor_new(fd);
        if (!d)
                ptl_close(fd);
        return d;
}

static void welcome(struct client *client, uint32_t serial, uint64_t features)
{
        struct descriptor *passport = new_passport(client);
        struct ptl_server_msg msg = {
                .type = PTL_SM_WELCOME,
                .serial = serial,
                .welcome = {.protocol = PTL_SERVER_PROTOCOL,
                            .features = features,
                            .you = client->identity,
                            .server = client->server->identity,
                            .version = PTL_VERSION},
        };

        client_send(client, &msg, passport);
        descriptor_unref(passport);
}

/* The absent task whose passport it shows, or NULL. */
static struct client *find_absent(const struct client *client, int passport)
{
        struct ptl_task_id id;
        struct client *c = passport_check(passport, &client->identity, &id) ? client_find(client->server, id) : NULL;

        return c && client_is_absent(c) ? c : NULL;
}

/* It was a task all the time: no quota is asked. WELCOME goes before what has waited for it. */
static void welcome_back(struct client *client, struct client *absent, const struct ptl_server_msg *msg)
{
        client->identity.task = absent->identity.task;
        memcpy(client->command, msg->hello.command, sizeof client->command);
        welcome(client, msg->serial, PTL_SM_RECALLED);
        if (client->state != CLIENT_DOOMED)
                client_return(absent, client);
}

void greet(struct client *client, const void *packet, size_t size, int passport)
{
        struct ptl_server_msg msg;
        struct client *absent;
        uint32_t serial;
        int r;

        if (is_foreign_hello(packet, size, &serial)) {
                turn_away(client, serial, PTL_E_VERSION);
                return;
        }
        if (ptl_server_msg_decode(packet, size, &msg) || msg.type != PTL_SM_HELLO) {
                client_expel(client);
                return;
        }
        trace_message(client, "->", &msg);
        reserve_fill(client->server); /* others may have left in this round */
        if (client->server->is_short && !may_use_reserve(client, &msg.hello)) {
                turn_away(client, msg.serial, PTL_E_QUOTA);
                return;
        }
        absent = find_absent(client, passport);
        if (absent) {
                welcome_back(client, absent, &msg);
                return;
        }
        r = admit(client, &msg.hello, passport);
        if (r) {
                client_answer(client, msg.serial, r); /* it may ask again when others have left */
                return;
        }
        client->only_looks =
                client->server->is_short || client->server->n_tasks >= client->server->quota.tasks;
        memcpy(client->command, msg.hello.command, sizeof client->command);
        client_promote(client);
        welcome(client, msg.serial, 0);
}
