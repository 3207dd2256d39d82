/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/name.h - names: who published what, and who waits for it
 *
 * A name can be in three states:
 *
 *   unknown    not in the map
 *   awaited    in the map, without an owner, with at least one look-up that waits
 *   published  in the map, with an owner; nobody waits, but for a region that was recalled from the journal,
 *              whose memory its owner will bring
 *
 *   unknown  --LOOK_UP wait--> awaited          awaited --last CANCEL or death--> unknown
 *   unknown, awaited --PUBLISH--> published     published --WITHDRAW, owner's death--> unknown
 */
#pragma once
#include "server/client.h"

struct name {
        struct map_node in_names;
        struct roll_entry in_published;
        struct list of_owner;
        struct list look_ups; /* that wait, the oldest first */
        struct client *owner; /* NULL: awaited */
        struct ptl_sm_publish what;
        struct descriptor *region; /* NULL for a port, and until a recalled region's owner is back */
        bool is_recorded;          /* in the journal */
        bool is_unconfirmed;       /* recalled from it; its owner has not published it again */
        uint32_t state;            /* as in the journal, enum record_state */
        size_t size;
        char text[]; /* not terminated */
};

/* Names that begin with byte 1 are found by who knows them, and shown to nobody. */
static inline bool name_is_hidden(const struct name *name) { return name->text[0] == '\1'; }

/**
 * name_publish - make a name this client's
 * @msg: PUBLISH
 * @fd: consumed on success if a region is published; -EBADF if none came
 * @ret_name: filled on success: to be given to name_announce() when the publisher has its answer
 *
 * Return: 0, PTL_E_EXISTS, PTL_E_QUOTA, PTL_E_LOST, PTL_E_MALFORMED, -errno.
 */
PTL_MUST_CHECK int name_publish(struct client *client, const struct ptl_server_msg *msg, int *fd,
                                struct name **ret_name);

/* Tells those who watch for it, if they were not told by now, and answers those who wait for it. */
void name_announce(struct name *name);

/* Is there an entry of that name? */
bool name_is_known(const struct server *server, const char *text, size_t size);

/* A name that the journal tells of, and that is not known. NULL: no memory. */
struct name *name_recall(struct client *owner, const struct ptl_sm_publish *what, const char *text, size_t size,
                         uint64_t number);

/* The client is back and has published all that it has: what else was recalled of it is withdrawn. */
void name_withdraw_unconfirmed(struct client *client);

/* The name in @msg, if this client published it; else NULL. */
struct name *name_find_own(const struct client *client, const struct ptl_server_msg *msg);

/* @name: published; consumed. Tells those who watch for it. */
void name_withdraw(struct name *name);
void name_withdraw_all(struct client *client);

/* LOOK_UP: answers it, or parks it. */
void look_up(struct client *client, const struct ptl_server_msg *msg);

/* Return: 0, PTL_E_NOT_FOUND (no look-up of this serial waits). */
PTL_MUST_CHECK int look_up_cancel(struct client *client, uint32_t serial);
void look_up_drop_all(struct client *client);
