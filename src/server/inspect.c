/* SPDX-License-Identifier: Apache-2.0 */
/* server/inspect.c - see inspect.h */
#define _GNU_SOURCE
#include "server/inspect.h"
#include "link/socket.h"
#include "server/name.h"
#include "wire/board.h"
#include <string.h>

/* The newest task of a process that has a board; of several without, any. */
static struct client *find_process(const struct server *server, int32_t pid)
{
        uint64_t hash = map_hash(&server->tasks_by_pid, &pid, sizeof pid);
        struct client *found = NULL;

        for (struct map_node *n = map_first(&server->tasks_by_pid, hash); n; n = map_next(n)) {
                struct client *c = PTL_CONTAINER(n, struct client, by_pid);

                if (c->identity.pid != pid || c->state != CLIENT_TASK)
                        continue;
                if (!found || (c->board && !found->board) ||
                    (!c->board == !found->board && c->in_tasks.number > found->in_tasks.number))
                        found = c;
        }
        return found;
}

/* What a process has is no secret to those who may see it; that it is there is none to anybody. */
static int find_seen(struct client *viewer, int32_t pid, struct client **ret_task)
{
        *ret_task = pid > 0 ? find_process(viewer->server, pid) : NULL;
        if (!*ret_task)
                return PTL_E_NOT_FOUND;
        return client_may_see(viewer, (*ret_task)->identity.uid) ? 0 : PTL_E_REFUSED;
}

int inspect_lodge(struct client *client, int *fd)
{
        struct descriptor *board;
        int r;

        if (*fd < 0)
                return PTL_E_LOST;
        r = descriptor_check_board(*fd, PTL_BOARD_SIZE);
        if (r)
                return r;
        board = descriptor_new(*fd);
        if (!board)
                return -ENOMEM;
        *fd = -EBADF;
        descriptor_unref(client->board);
        client->board = board;
        return 0;
}

/* Descriptors that the server has open for a task, about. */
static uint32_t descriptors_of(const struct client *client)
{
        uint32_t n =
                (client->socket >= 0) + (client->process >= 0) + (client->board != NULL) + client->output.descriptors;

        return n + (uint32_t)client->n_regions;
}

/* A process may be several tasks: what the server holds for it is held for all of them. */
static void add_held(struct ptl_sm_view *v, const struct client *c)
{
        v->names += (uint32_t)c->n_names;
        v->links += (uint32_t)c->n_introductions;
        v->look_ups += (uint32_t)c->n_look_ups;
        v->watches += (uint32_t)c->n_watches;
        v->output_bytes += (uint32_t)c->output.bytes;
        v->output_descriptors += c->output.descriptors;
        v->descriptors += descriptors_of(c);
}

static struct ptl_sm_view view_of(const struct client *task)
{
        const struct server *server = task->server;
        int32_t pid = task->identity.pid;
        uint64_t hash = map_hash(&server->tasks_by_pid, &pid, sizeof pid);
        struct ptl_sm_view v = {.task = task->identity, .has_board = task->board != NULL};

        memcpy(v.command, task->command, sizeof v.command);
        for (struct map_node *n = map_first(&server->tasks_by_pid, hash); n; n = map_next(n)) {
                const struct client *c = PTL_CONTAINER(n, struct client, by_pid);

                if (c->identity.pid == pid)
                        add_held(&v, c);
        }
        return v;
}

void inspect(struct client *client, const struct ptl_server_msg *msg)
{
        struct ptl_server_msg answer = {.type = PTL_SM_VIEW, .serial = msg->serial};
        struct client *task;
        int r = find_seen(client, msg->process.pid, &task);

        if (!r && task->board && !client_has_room_for_descriptor(client))
                r = PTL_E_QUOTA;
        if (r) {
                client_answer(client, msg->serial, r);
                return;
        }
        answer.view = view_of(task);
        client_send(client, &answer, task->board);
}

static int make_ends(struct descriptor *ret_ends[2])
{
        int socks[2], r = ptl_socket_pair(socks);

        if (r)
                return r;
        for (int i = 0; i < 2; i++) {
                ret_ends[i] = descriptor_new(socks[i]);
                if (!ret_ends[i]) {
                        ptl_close(socks[i]);
                        r = -ENOMEM;
                }
        }
        if (r)
                for (int i = 0; i < 2; i++)
                        descriptor_unref(ret_ends[i]);
        return r;
}

void inspect_trace(struct client *client, const struct ptl_server_msg *msg)
{
        struct ptl_server_msg answer = {.type = PTL_SM_TRACING, .serial = msg->serial};
        struct ptl_server_msg event = {.type = PTL_SM_WATCHED};
        struct descriptor *ends[2];
        struct client *task;
        int r = find_seen(client, msg->process.pid, &task);

        if (!r &&
            (!client_has_room_for_descriptor(client) || !client_has_room_for_descriptor(task)))
                r = PTL_E_QUOTA;
        if (!r)
                r = client->server->is_short ? -EMFILE : make_ends(ends);
        if (r) {
                client_answer(client, msg->serial, r);
                return;
        }
        client_send(client, &answer, ends[0]);
        client_send(task, &event, ends[1]);
        descriptor_unref(ends[0]);
        descriptor_unref(ends[1]);
}
