/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/client.h - one connection: a task, or about to become one
 *
 *   accepted -> GREETING --HELLO--> TASK
 *                   \                 \
 *                    `---- doom -------`--> DOOMED --handler returns--> buried -> freed
 *
 *   (journal) -> TASK, absent --its HELLO with its passport--> TASK
 *
 * A client is doomed when its socket hangs up, its process ends, it breaks the protocol, or it does
 * not read. From then on nothing is sent to it; being buried is its death as others see it.
 *
 * An absent task is known from the journal of the server before, and has not come back yet: it has no socket.
 * What is sent to it waits in its output. Else it is a task like others.
 */
#pragma once
#include "server/output.h"
#include "server/server.h"
#include "wire/server_msg.h"

enum client_state { CLIENT_GREETING, CLIENT_TASK, CLIENT_DOOMED };

struct client {
        struct server *server;
        enum client_state state;
        struct source socket_source, process_source;
        int socket;  /* -EBADF: it is absent */
        int process; /* pidfd, or -EBADF */
        uint32_t interest;
        struct ptl_identity identity;
        char command[16];
        bool only_looks;   /* it was let in beyond the quota, to look */
        bool is_recorded;  /* in the journal */

        struct list in_state;       /* server->greeting, doomed or buried */
        struct list in_stalled;     /* server->stalled */
        struct roll_entry in_tasks; /* server->tasks */
        struct map_node by_id;      /* server->tasks_by_id */
        struct map_node by_pid;     /* server->tasks_by_pid */
        struct descriptor *board;   /* that it lodged (wire/board.h), or NULL */

        struct list names, look_ups, watches, introductions, scans;
        size_t n_names, n_look_ups, n_watches, n_introductions, n_lists, n_regions;
        struct output output;
};

/**
 * client_new - take in a connection
 * @socket: consumed on success
 * Return: 0, -ESRCH (the process has ended already), -errno.
 */
PTL_MUST_CHECK int client_new(struct server *server, int socket);

/* A HELLO was accepted: from now on it is a task, with the id in its identity. */
void client_promote(struct client *client);

/* A task that the journal tells of; its process is looked for by client_find_process(). NULL: no memory. */
struct client *client_recall(struct server *server, const struct ptl_identity *identity, const char command[16],
                             uint64_t number);

/* Return: 0, -ESRCH (it has ended, or its pid is another's), -errno. */
PTL_MUST_CHECK int client_find_process(struct client *absent);

static inline bool client_is_absent(const struct client *client)
{
        return client->socket < 0 && client->state == CLIENT_TASK;
}

/* @absent has come back, over the connection that @client is, and was welcomed there: takes that over. What is
 * left of @client is doomed. */
void client_return(struct client *absent, struct client *client);

/* Takes in what it has said by now, as far as its turn goes. */
void client_hear(struct client *client);

/* To be buried when the current handler returns. Does nothing the second time. */
void client_doom(struct client *client);

/* Doomed, because it did what no correct program does; counted. */
void client_expel(struct client *client);

/* Buries all the doomed: withdraws their names, tells those who knew them. */
void client_bury_doomed(struct server *server);

/* Frees the buried; none of the events of this round may still point to them. */
void client_free_buried(struct server *server);

/* Tries again what could not be sent for lack of memory or places for descriptors. */
void client_retry_stalled(struct server *server);

/* The living task with an id, or NULL. */
struct client *client_find(const struct server *server, struct ptl_task_id id);

/**
 * client_send - send a message, now or when the client reads
 * @carried: borrowed, NULL for none
 *
 * Cannot fail for the caller: if there is no room for it the client is doomed.
 */
void client_send(struct client *client, const struct ptl_server_msg *msg,
                 struct descriptor *carried);

/* RESULT to the request @serial. */
void client_answer(struct client *client, uint32_t serial, int outcome);

/* True if a small message with a descriptor can be sent without dooming the client. */
bool client_has_room_for_descriptor(const struct client *client);

/* May @viewer see in lists what belongs to @uid? */
bool client_may_see(const struct client *viewer, uint32_t uid);
