/* SPDX-License-Identifier: Apache-2.0 */
/* server/client.c - one connection: its life, what comes from it and what goes to it */
#define _GNU_SOURCE
#include "server/client.h"
#include "link/socket.h"
#include "server/identity.h"
#include "server/introduce.h"
#include "server/name.h"
#include "server/record.h"
#include "server/request.h"
#include "server/scan.h"
#include "server/trace.h"
#include "server/watch.h"
#include <string.h>
#include <sys/epoll.h>

enum { RETRY_NS = 20 * 1000 * 1000 };

static bool is_stalled(const struct client *c) { return !list_is_empty(&c->in_stalled); }

static void update_interest(struct client *c)
{
        bool has_output = !list_is_empty(&c->output.packets);
        uint32_t interest = 0;

        if (c->state == CLIENT_DOOMED || client_is_absent(c))
                return;
        /* Answers are bounded by this, so only events can fill a queue up to its quota. */
        if (c->output.bytes < QUOTA_OUTPUT_PAUSE && c->output.descriptors < QUOTA_OUTPUT_FDS / 2)
                interest |= EPOLLIN;
        if (!is_stalled(c) && (has_output || !list_is_empty(&c->scans)))
                interest |= EPOLLOUT;
        if (interest != c->interest)
                server_source_change(c->server, c->socket, interest, &c->socket_source);
        c->interest = interest;
}

static void stall(struct client *c)
{
        if (is_stalled(c))
                return;
        if (list_is_empty(&c->server->stalled))
                c->server->retry_at = ptl_now() + RETRY_NS;
        list_append(&c->server->stalled, &c->in_stalled);
}

/* What output_put() and output_flush() say. */
static void note_output(struct client *c, int r)
{
        if (output_is_for_later(r))
                stall(c);
        else if (r == PTL_E_QUOTA)
                client_expel(c);
        else if (r != 0 && r != -EAGAIN)
                client_doom(c);
        if (c->n_watches && list_is_empty(&c->output.packets))
                record_watches(c); /* what they told has gone out */
        update_interest(c);
}

void client_send(struct client *c, const struct ptl_server_msg *msg, struct descriptor *carried)
{
        char packet[PTL_SERVER_PACKET_MAX];
        size_t size;

        if (c->state == CLIENT_DOOMED)
                return;
        trace_message(c, "<-", msg);
        size = ptl_server_msg_encode(msg, packet);
        note_output(c, output_put(&c->output, c->socket, packet, size, carried));
}

void client_answer(struct client *c, uint32_t serial, int outcome)
{
        struct ptl_server_msg msg = {
                .type = PTL_SM_RESULT, .serial = serial, .result.outcome = outcome};

        client_send(c, &msg, NULL);
}

bool client_has_room_for_descriptor(const struct client *c)
{
        return output_has_room(&c->output, sizeof(struct ptl_server_msg), true);
}

bool client_may_see(const struct client *viewer, uint32_t uid)
{
        uint32_t me = viewer->identity.uid;

        return me == uid || me == 0 || me == viewer->server->identity.uid;
}

struct client *client_find(const struct server *server, struct ptl_task_id id)
{
        uint64_t hash = map_hash(&server->tasks_by_id, &id, sizeof id);

        for (struct map_node *n = map_first(&server->tasks_by_id, hash); n; n = map_next(n)) {
                struct client *c = PTL_CONTAINER(n, struct client, by_id);

                if (identity_is_same_task(c->identity.task, id))
                        return c;
        }
        return NULL;
}

/* A server that is short of descriptors keeps none, as if it had had no place for it. */
static void handle_packet(struct client *c, const void *packet, size_t size, int *fd)
{
        if (c->server->is_short)
                *fd = ptl_socket_discard(*fd);
        request_handle(c, packet, size, fd);
}

void client_hear(struct client *c)
{
        for (int i = 0; i < QUOTA_ROUND_PACKETS && c->state != CLIENT_DOOMED; i++) {
                ptl_cleanup(ptl_socket_discardp) int fd = -EBADF;
                char packet[PTL_SERVER_PACKET_MAX];
                size_t size = 0, n_fds;
                int r = ptl_socket_receive(c->socket, packet, sizeof packet, &size, &fd, 1, &n_fds);

                if (r == -EAGAIN || r == -ENOMEM || r == -ENOBUFS)
                        return;
                if (r == PTL_E_MALFORMED)
                        client_expel(c);
                else if (r < 0 || size == 0)
                        client_doom(c);
                else
                        handle_packet(c, packet, size, &fd);
                if (!(c->interest & EPOLLIN))
                        return; /* it is to read first */
        }
}

static void run_socket(struct source *source, uint32_t events)
{
        struct client *c = PTL_CONTAINER(source, struct client, socket_source);

        if (c->state == CLIENT_DOOMED)
                return;
        if (events & (EPOLLHUP | EPOLLERR)) {
                client_doom(c);
                return;
        }
        if (events & EPOLLOUT) {
                note_output(c, output_flush(&c->output, c->socket));
                scan_run(c);
        }
        if (events & EPOLLIN)
                client_hear(c);
        update_interest(c);
}

/* The process has ended. Its socket may be open still, in a child that inherited it. */
static void run_process(struct source *source, uint32_t events)
{
        (void)events;
        client_doom(PTL_CONTAINER(source, struct client, process_source));
}

void client_retry_stalled(struct server *server)
{
        struct list again;
        struct client *c;

        list_init(&again);
        if (!list_is_empty(&server->stalled)) { /* those who stall again come into a new list */
                list_insert(server->stalled.previous, &again);
                list_remove(&server->stalled);
        }
        while ((c = list_first(&again, struct client, in_stalled))) {
                list_remove(&c->in_stalled);
                if (c->state != CLIENT_DOOMED)
                        note_output(c, output_flush(&c->output, c->socket));
        }
}

static void free_client(struct client *c)
{
        ptl_close(c->socket);
        ptl_close(c->process);
        output_fini(&c->output);
        free(c);
}

static int watch_descriptors(struct client *c)
{
        int r;

        if (c->process >= 0) {
                r = server_source_add(c->server, c->process, EPOLLIN, &c->process_source);
                if (r)
                        return r;
        }
        c->interest = EPOLLIN;
        r = server_source_add(c->server, c->socket, c->interest, &c->socket_source);
        if (r && c->process >= 0)
                server_source_remove(c->server, c->process);
        return r;
}

static struct client *allocate(struct server *server, int socket)
{
        struct client *c = calloc(1, sizeof *c);

        if (!c)
                return NULL;
        c->server = server;
        c->socket = socket;
        c->process = -EBADF;
        c->socket_source.run = run_socket;
        c->process_source.run = run_process;
        output_init(&c->output);
        struct list *lists[] = {&c->in_state, &c->in_stalled, &c->in_tasks.link, &c->names,
                                &c->look_ups, &c->watches,    &c->introductions, &c->scans};
        for (size_t i = 0; i < PTL_ARRAY_LEN(lists); i++)
                list_init(lists[i]);
        return c;
}

int client_new(struct server *server, int socket)
{
        struct client *c = allocate(server, socket);
        int r;

        if (!c)
                return -ENOMEM;
        r = identity_of_peer(socket, &c->identity, &c->process);
        if (r == 0)
                r = watch_descriptors(c);
        if (r) {
                c->socket = -EBADF; /* still the caller's */
                free_client(c);
                return r;
        }
        list_append(&server->greeting, &c->in_state);
        server->n_clients++;
        return 0;
}

static void enter_tasks(struct client *c)
{
        struct server *server = c->server;
        struct ptl_task_id id = c->identity.task;

        c->state = CLIENT_TASK;
        list_remove(&c->in_state);
        roll_add(&server->tasks, &c->in_tasks);
        map_add(&server->tasks_by_id, &c->by_id, map_hash(&server->tasks_by_id, &id, sizeof id));
        map_add(&server->tasks_by_pid, &c->by_pid,
                map_hash(&server->tasks_by_pid, &c->identity.pid, sizeof c->identity.pid));
        server->n_tasks++;
}

void client_promote(struct client *c)
{
        enter_tasks(c);
        record_task(c);
}

struct client *client_recall(struct server *server, const struct ptl_identity *identity, const char command[16],
                             uint64_t number)
{
        struct client *c = allocate(server, -EBADF);

        if (!c)
                return NULL;
        c->identity = *identity;
        memcpy(c->command, command, sizeof c->command);
        c->is_recorded = true;
        server->tasks.last = number - 1;
        server->n_clients++;
        enter_tasks(c);
        return c;
}

int client_find_process(struct client *c)
{
        int r = identity_find_process(&c->identity, &c->process);

        return r ? r : server_source_add(c->server, c->process, EPOLLIN, &c->process_source);
}

void client_return(struct client *absent, struct client *c)
{
        struct server *server = c->server;

        absent->identity = c->identity;
        memcpy(absent->command, c->command, sizeof absent->command);
        absent->socket = ptl_steal_fd(&c->socket);
        absent->interest = c->interest;
        server_source_change(server, absent->socket, absent->interest, &absent->socket_source);
        output_move(&c->output, &absent->output); /* WELCOME, if it could not be sent yet */
        client_doom(c);
        note_output(absent, output_flush(&absent->output, absent->socket));
}

void client_doom(struct client *c)
{
        if (c->state == CLIENT_DOOMED)
                return;
        c->state = CLIENT_DOOMED;
        list_remove(&c->in_state);
        list_append(&c->server->doomed, &c->in_state);
}

void client_expel(struct client *c)
{
        if (c->state == CLIENT_DOOMED)
                return;
        c->server->n_expelled++;
        trace_note(c, "expelled");
        client_doom(c);
}

static void leave_tasks(struct client *c)
{
        if (list_is_empty(&c->in_tasks.link))
                return; /* it never said HELLO */
        list_remove(&c->in_tasks.link);
        map_remove(&c->server->tasks_by_id, &c->by_id);
        map_remove(&c->server->tasks_by_pid, &c->by_pid);
        c->server->n_tasks--;
}

static void bury(struct client *c)
{
        struct server *server = c->server;

        trace_note(c, "is gone");
        list_remove(&c->in_state);
        list_remove(&c->in_stalled);
        /* Out of the set before they are closed: copies of the socket elsewhere would keep it in.
         */
        server_source_remove(server, c->socket);
        if (c->process >= 0)
                server_source_remove(server, c->process);
        c->socket = ptl_close(c->socket);
        c->process = ptl_close(c->process);
        output_fini(&c->output);
        c->board = descriptor_unref(c->board);
        scan_drop_all(c);
        watch_drop_all(c);
        look_up_drop_all(c);
        name_withdraw_all(c);
        leave_tasks(c);
        record_task_gone(c);
        introduction_end_all(c);
        server->n_clients--;
        if (server->n_clients == 0)
                server->leave_at = ptl_now() + server->idle_exit_ns;
        list_append(&server->buried, &c->in_state);
}

void client_bury_doomed(struct server *server)
{
        struct client *c;

        /* To be told of a death can be the death of one who does not read: hence the loop. */
        while ((c = list_first(&server->doomed, struct client, in_state)))
                bury(c);
}

void client_free_buried(struct server *server)
{
        struct client *c;

        while ((c = list_first(&server->buried, struct client, in_state))) {
                list_remove(&c->in_state);
                free_client(c);
        }
}
