/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/server.h - the state of one name server and its loop
 *
 * One thread, one epoll set. Each handler runs to its end and never blocks; clients that are to go
 * are only marked by it (client_doom) and buried when it has returned, so no handler ever holds a
 * client, name or look-up that vanishes under it.
 */
#pragma once
#include "server/journal.h"
#include "server/listen.h"
#include "server/map.h"
#include "server/quota.h"
#include "server/roll.h"
#include "server/store.h"
#include <portolan/portolan.h>

#ifndef PTL_VERSION
#define PTL_VERSION "0.1.0"
#endif

struct source { /* what an event of the epoll set points to */
        void (*run)(struct source *source, uint32_t events);
};


struct server {
        struct quota quota;
        struct listener listener;
        struct source listener_source, signal_source;
        int epoll;
        int signals;
        int reserve[QUOTA_RESERVE]; /* reserve.h */
        bool is_short;              /* of descriptors: the reserve is open */
        struct ptl_identity identity;

        struct list greeting; /* clients without HELLO, the oldest first */
        struct roll tasks;    /* clients with */
        struct map tasks_by_id, tasks_by_pid;
        struct list doomed;  /* to be buried when the handler returns */
        struct list buried;  /* to be freed when the round of events is over */
        struct list stalled; /* clients whose output is to be tried again at retry_at */

        struct map names;         /* published and awaited */
        struct roll published;    /* names */
        struct list watches;      /* of all clients */
        struct map introductions; /* by both ids */
        struct roll introduced;

        struct store *store;    /* what the service manager keeps for us */
        struct journal journal; /* among it: record.h writes it */
        ptl_time tidy_at;       /* not before is it written anew */

        size_t n_clients; /* connections, with HELLO or without, and absent tasks */
        size_t n_tasks;
        size_t n_published;
        uint64_t n_introductions; /* ever */
        uint64_t n_expelled;      /* ever: who broke the protocol or did not read */
        ptl_time started_at;
        ptl_time idle_exit_ns; /* 0: never */
        ptl_time leave_at;     /* if nobody is connected then */
        ptl_time accept_at;    /* PTL_NOW, or when to accept again */
        ptl_time retry_at;
        bool is_leaving;
};

/**
 * server_init - set up everything but the listener, which is consumed
 * @listener: consumed on success
 * @store: borrowed until server_fini()
 * Return: 0, -errno.
 */
PTL_MUST_CHECK int server_init(struct server *server, struct listener *listener, struct store *store);

/* Buries all clients; nothing is told to a journal that is closed. */
void server_forget_all(struct server *server);

/* Frees everything; the socket stays where it is unless listener_withdraw() was called. */
void server_fini(struct server *server);

/**
 * server_run - serve until SIGTERM, SIGINT, SIGHUP, or until nobody was connected for a while
 * @idle_exit_ns: how long; 0 for ever
 *
 * On return the socket's name is gone (unless systemd owns it or another server has it by now).
 * Return: 0, -errno.
 */
PTL_MUST_CHECK int server_run(struct server *server, ptl_time idle_exit_ns);

/* Adds, changes and removes what the loop waits for. */
PTL_MUST_CHECK int server_source_add(struct server *server, int fd, uint32_t events,
                                     struct source *source);
void server_source_change(struct server *server, int fd, uint32_t events, struct source *source);
void server_source_remove(struct server *server, int fd);
