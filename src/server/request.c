/* SPDX-License-Identifier: Apache-2.0 */
/* server/request.c - what a client asks for, one packet at a time */
#define _GNU_SOURCE
#include "server/request.h"
#include "server/greet.h"
#include "server/inspect.h"
#include "server/introduce.h"
#include "server/name.h"
#include "server/record.h"
#include "server/scan.h"
#include "server/trace.h"
#include "server/watch.h"
#include <string.h>
#include <sys/resource.h>

enum { OWN_DESCRIPTORS = 6 + QUOTA_RESERVE }; /* standard ones, listener, epoll set, signals */

static void handle_publish(struct client *client, const struct ptl_server_msg *msg, int *fd)
{
        struct name *name;
        int r = name_publish(client, msg, fd, &name);

        /* The answer to a request goes before the events that it causes, here and below. */
        client_answer(client, msg->serial, r);
        if (r == 0)
                name_announce(name);
}

static void handle_withdraw(struct client *client, const struct ptl_server_msg *msg)
{
        struct name *name = name_find_own(client, msg);

        if (name)
                record_name_leaves(name); /* before the answer: it is not to be there again after that */
        client_answer(client, msg->serial, name ? 0 : PTL_E_NOT_FOUND);
        if (name)
                name_withdraw(name);
}

static void handle_introduce(struct client *client, const struct ptl_server_msg *msg)
{
        struct client *other = client_find(client->server, msg->task.id);
        struct ptl_server_msg answer = {.type = PTL_SM_FOUND, .serial = msg->serial};
        struct descriptor *end = NULL;
        int r = PTL_E_NOT_FOUND;

        if (other == client)
                r = PTL_E_INVALID;
        else if (other)
                r = introduce(client, other, &end);
        if (r) {
                client_answer(client, msg->serial, r);
                return;
        }
        answer.found.link = 1;
        answer.found.owner = other->identity;
        client_send(client, &answer, end);
        descriptor_unref(end);
}

/* Its own, each connection's socket and pidfd, and what it holds or has still to send. */
static uint32_t descriptors_of(const struct server *server)
{
        return (uint32_t)(OWN_DESCRIPTORS + (server->journal.base != NULL) + 2 * server->n_clients + descriptor_count());
}

static uint32_t descriptors_max(void)
{
        struct rlimit r;

        if (getrlimit(RLIMIT_NOFILE, &r))
                return 0;
        return r.rlim_cur > UINT32_MAX ? UINT32_MAX : (uint32_t)r.rlim_cur;
}

static void handle_status(struct client *client, const struct ptl_server_msg *msg)
{
        const struct server *server = client->server;
        struct ptl_server_msg answer = {
                .type = PTL_SM_STATUS_REPLY,
                .serial = msg->serial,
                .status = {.server = server->identity,
                           .version = PTL_VERSION,
                           .protocol = PTL_SERVER_PROTOCOL,
                           .tasks = (uint32_t)server->n_tasks,
                           .names = (uint32_t)server->n_published,
                           .tasks_max = (uint32_t)server->quota.tasks,
                           .names_max = (uint32_t)server->quota.names,
                           .look_ups_max = (uint32_t)server->quota.look_ups,
                           .descriptors = descriptors_of(server),
                           .descriptors_max = descriptors_max(),
                           .introductions = server->n_introductions,
                           .uptime_ns = (uint64_t)(ptl_now() - server->started_at)},
        };

        client_send(client, &answer, NULL);
}

/* Let in to look, it wants more: there must be room for it by now. */
static bool is_refused(struct client *client, const struct ptl_server_msg *msg)
{
        bool wants_more = msg->type == PTL_SM_PUBLISH || msg->type == PTL_SM_LOOK_UP ||
                          msg->type == PTL_SM_INTRODUCE || msg->type == PTL_SM_WATCH;

        if (!client->only_looks || !wants_more)
                return false;
        client->only_looks =
                client->server->is_short || client->server->n_tasks > client->server->quota.tasks;
        if (client->only_looks)
                client_answer(client, msg->serial, PTL_E_QUOTA);
        return client->only_looks;
}

static void handle(struct client *client, const struct ptl_server_msg *msg, int *fd)
{
        switch ((int)msg->type) {
        case PTL_SM_PUBLISH:
                handle_publish(client, msg, fd);
                return;
        case PTL_SM_WITHDRAW:
                handle_withdraw(client, msg);
                return;
        case PTL_SM_LOOK_UP:
                look_up(client, msg);
                return;
        case PTL_SM_CANCEL:
                client_answer(client, msg->serial, look_up_cancel(client, msg->cancel.serial));
                return;
        case PTL_SM_INTRODUCE:
                handle_introduce(client, msg);
                return;
        case PTL_SM_WATCH:
                watch_start(client, msg);
                return;
        case PTL_SM_UNWATCH:
                client_answer(client, msg->serial, watch_stop(client, msg->watch.cookie));
                return;
        case PTL_SM_LIST:
                scan_start_list(client, msg);
                return;
        case PTL_SM_STATUS:
                handle_status(client, msg);
                return;
        case PTL_SM_LODGE:
                client_answer(client, msg->serial, inspect_lodge(client, fd));
                return;
        case PTL_SM_INSPECT:
                inspect(client, msg);
                return;
        case PTL_SM_TRACE:
                inspect_trace(client, msg);
                return;
        case PTL_SM_ASSERTED:
                client_answer(client, msg->serial, 0);
                name_withdraw_unconfirmed(client);
                watch_drop_unconfirmed(client);
                return;
        default:
                client_expel(client); /* a second HELLO, or what only a server says */
        }
}

void request_handle(struct client *client, const void *packet, size_t size, int *fd)
{
        struct ptl_server_msg msg;

        if (client->state == CLIENT_GREETING) {
                greet(client, packet, size, *fd);
                return;
        }
        if (ptl_server_msg_decode(packet, size, &msg)) {
                client_expel(client);
                return;
        }
        trace_message(client, "->", &msg);
        if (*fd >= 0 && msg.type != PTL_SM_PUBLISH && msg.type != PTL_SM_LODGE)
                client_expel(client); /* nothing else carries a descriptor */
        else if (!is_refused(client, &msg))
                handle(client, &msg, fd);
}
