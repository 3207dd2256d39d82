/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task/server.h - this task's connection to the name server
 *
 * States: OFF (nothing asked for yet, or given up) → CONNECTING (a retry is due at `retry_at`) →
 * GREETING (HELLO sent) → READY; any → CONNECTING when the server goes away while names are published,
 * links are lost or requests are pending. ptl_server_step() takes the next step and never blocks; packets are read by
 * the leader. The task's lock guards everything.
 */
#pragma once
#include "wire/server_msg.h"
#include <portolan/types.h>
#include <stdbool.h>

struct ptl_task;

enum ptl_server_state {
        PTL_SERVER_OFF,
        PTL_SERVER_CONNECTING,
        PTL_SERVER_GREETING,
        PTL_SERVER_READY,
};

/* A request under way; on the stack of the thread that waits for it. */
struct ptl_request {
        struct ptl_request *next;
        struct ptl_server_msg msg;    /* what is asked; the serial is filled when it is sent */
        int fd;                       /* borrowed, goes with it; -EBADF none */
        struct ptl_server_msg answer; /* RESULT, FOUND, STATUS_REPLY */
        int answer_fd;                /* the caller's when done */
        uint32_t server;              /* ptl_server.welcomes when it came */
        bool sent, done;
        int outcome; /* when done: 0, or why there is no answer */
        struct ptl_published *publishes; /* kept from the moment the server agrees; else the caller's */
        /* Called for each ITEM; with NULL when the list begins again, at another server. */
        int (*item)(struct ptl_request *request, const struct ptl_sm_item *item, const char *name);
        void *arg;
};

/* A name this task has published: published again when a server comes back. */
struct ptl_published {
        struct ptl_published *next;
        struct ptl_sm_publish body;
        uint32_t serial; /* of the last PUBLISH that nobody waits for */
        int fd;          /* of a region: our own copy */
        bool untold;     /* to a server that came back */
        char name[PTL_SERVER_NAME_MAX + 1];
};

struct ptl_watch {
        struct ptl_watch *next;
        ptl_port notify;
        uint64_t cookie;
        bool untold;
        char prefix[PTL_SERVER_NAME_MAX + 1];
};

struct ptl_server {
        enum ptl_server_state state;
        int socket;
        uint32_t serial;
        ptl_time retry_at, give_up_at;
        int passport; /* what the next server will know us by (SM_WELCOME); -EBADF none */
        int starter; /* a pipe that ends with the portoland we started; -EBADF none */
        int starts; /* of portoland, in this attempt to connect */
        struct ptl_identity identity; /* the server's */
        struct ptl_request *requests;
        struct ptl_published *published;
        struct ptl_watch *watches;
        bool untold;   /* some of these */
        bool recalled; /* by the server: it is to hear when all of these were told (SM_ASSERTED) */
        uint32_t welcomes;   /* counts the servers that this task has come to */
        uint32_t lost_links; /* for which it is to be asked (task/relink.h) */
        char path[108];
};

void ptl_server_init(struct ptl_server *server);
/* @forked: in a child: only closes. */
void ptl_server_fini(struct ptl_task *task, bool forked);

/* Takes whatever step is due. */
void ptl_server_step(struct ptl_task *task);

/* Reads what the server sent; the leader calls it. */
void ptl_server_input(struct ptl_task *task);

/**
 * ptl_server_ask - send a request and wait for its answer
 * @deadline: for LOOK_UP with wait; others wait at most 10 s
 *
 * The lock is held on entry and exit. The server is found, and started if need be.
 * Return: 0 (the answer is there; a RESULT's outcome is not looked at), PTL_E_TIMEOUT, PTL_E_NO_SERVER,
 * PTL_E_VERSION, PTL_E_REFUSED, PTL_E_MALFORMED, -errno.
 */
PTL_MUST_CHECK int ptl_server_ask(struct ptl_task *task, struct ptl_request *request,
                                  ptl_time deadline);

/* Tells the server something that no thread waits for, if it is there. The serial; 0: it was not sent. */
uint32_t ptl_server_tell(struct ptl_task *task, struct ptl_server_msg *msg);

/* Is it there? Looks for one, and starts one, if nothing was asked of it yet. */
bool ptl_server_is_ready(struct ptl_task *task);

/* The same with a descriptor, borrowed. */
uint32_t ptl_server_tell_with(struct ptl_task *task, struct ptl_server_msg *msg, int fd);

/* When ptl_server_step() has something to do; PTL_FOREVER: never by time alone. */
ptl_time ptl_server_due(const struct ptl_task *task);
