/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/watch.h - clients that want to know which names come and go
 *
 * A new watch first tells of the names that are there, as fast as its client reads (server/scan.h).
 * Until that is done it tells of a name's coming or going only if it has passed the name: each name
 * is told of as added once, and as removed only after that.
 */
#pragma once
#include "server/name.h"

struct scan;

struct watch {
        struct list of_client, of_server;
        struct client *client;
        struct scan *scan; /* NULL when all that was there has been told */
        uint64_t cookie;
        bool is_recorded;    /* in the journal */
        bool is_settled;     /* as it says there: all was told that there was to tell */
        bool is_unconfirmed; /* recalled from it; its client has not asked for it again */
        bool begins_anew;    /* and was not settled: when its client asks it hears of all once more */
        size_t size;
        char prefix[]; /* not terminated */
};

/* WATCH: answers it; replaces a watch with the same cookie, but goes on with a settled one that was recalled. */
void watch_start(struct client *client, const struct ptl_server_msg *msg);

/* Return: 0, PTL_E_NOT_FOUND. */
PTL_MUST_CHECK int watch_stop(struct client *client, uint64_t cookie);
void watch_drop_all(struct client *client);

/* A watch that the journal tells of. NULL: no memory. */
struct watch *watch_recall(struct client *client, uint64_t cookie, const char *prefix, size_t size, bool is_settled);

/* The client is back and has said what it watches: what else was recalled of it is dropped. */
void watch_drop_unconfirmed(struct client *client);

bool watch_is_for(const struct watch *watch, const struct name *name);

void watch_tell(const struct watch *watch, enum ptl_server_type event, const struct name *name);

/* Tell all whom it concerns. Cost: a comparison for each watch there is. */
void watch_tell_added(struct server *server, const struct name *name);
void watch_tell_removed(struct server *server, const struct name *name);
