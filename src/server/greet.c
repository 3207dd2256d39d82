/* SPDX-License-Identifier: Apache-2.0 */
/* server/greet.c - the first packet of a connection: version, quota, task id */
#define _GNU_SOURCE
#include "server/greet.h"
#include "link/socket.h"
#include "server/identity.h"
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
static void refuse_version(struct client *client, uint32_t serial)
{
        char packet[PTL_SERVER_PACKET_MAX];
        size_t size;

        client_answer(client, serial, PTL_E_VERSION);
        for (int i = 0; i < QUOTA_ROUND_PACKETS; i++)
                if (ptl_socket_receive(client->socket, packet, sizeof packet, &size, NULL, 0, NULL))
                        break;
        client_doom(client);
}

static bool belongs_to_another(const struct server *server, struct ptl_task_id id, uint32_t uid)
{
        uint64_t n =
                server->n_retired < SERVER_RETIRED_MAX ? server->n_retired : SERVER_RETIRED_MAX;

        for (uint64_t i = 0; i < n; i++)
                if (identity_is_same_task(server->retired[i].id, id) &&
                    server->retired[i].uid != uid)
                        return true;
        return false;
}

/* The id it had, if no living task has it and we know of no other user who had; else a new one. */
static int choose_id(const struct client *client, struct ptl_task_id previous,
                     struct ptl_task_id *ret_id)
{
        bool is_given = previous.high || previous.low;

        if (!is_given || client_find(client->server, previous) ||
            belongs_to_another(client->server, previous, client->identity.uid))
                return identity_new_task(ret_id);
        *ret_id = previous;
        return 0;
}

static int admit(struct client *client, const struct ptl_sm_hello *hello)
{
        if (client->server->n_tasks >= client->server->quota.tasks)
                return PTL_E_QUOTA;
        return choose_id(client, hello->previous, &client->identity.task);
}

static void welcome(struct client *client, uint32_t serial)
{
        struct ptl_server_msg msg = {
                .type = PTL_SM_WELCOME,
                .serial = serial,
                .welcome = {.protocol = PTL_SERVER_PROTOCOL,
                            .you = client->identity,
                            .server = client->server->identity,
                            .version = PTL_VERSION},
        };

        client_send(client, &msg, NULL);
}

void greet(struct client *client, const void *packet, size_t size)
{
        struct ptl_server_msg msg;
        uint32_t serial;
        int r;

        if (is_foreign_hello(packet, size, &serial)) {
                refuse_version(client, serial);
                return;
        }
        if (ptl_server_msg_decode(packet, size, &msg) || msg.type != PTL_SM_HELLO) {
                client_expel(client);
                return;
        }
        trace_message(client, "->", &msg);
        r = admit(client, &msg.hello);
        if (r) {
                client_answer(client, msg.serial, r); /* it may ask again when others have left */
                return;
        }
        memcpy(client->command, msg.hello.command, sizeof client->command);
        client_promote(client);
        welcome(client, msg.serial);
}
