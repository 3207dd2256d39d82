/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/store.h - memory that the service manager keeps for us, by name, while we are dead
 *
 * systemd's file descriptor store, spoken by sd_notify(3)'s datagrams: FDSTORE=1 hands a copy of a descriptor
 * over, FDSTOREREMOVE=1 has it dropped; at our start all come back beside the listening socket (passed.h).
 * systemd does not answer, so what it accepts is not known: whoever keeps something must be able to go on when
 * it is not there. It takes datagrams in their order, and before it looks at our death: so what was sent is
 * kept though we die at once, and there is nothing to wait for (BARRIER=1).
 *
 *   (nothing) --store_keep--> TO_KEEP --datagram sent--> KEPT --store_drop--> TO_DROP --datagram sent--> (nothing)
 *
 * What a full socket does not take is sent at the next call or after a while. Without NOTIFY_SOCKET nothing
 * is kept anywhere, and all this does nothing.
 */
#pragma once
#include "server/list.h"
#include <portolan/types.h>
#include <portolan/outcome.h>

enum {
        STORE_MAX = 4096,     /* as in portoland.service; systemd from 254 on says it in FDSTORE */
        STORE_NAME_MAX = 200, /* of the 255 that systemd takes, with our prefix */
};

#define STORE_PREFIX "portolan."

struct store {
        bool is_there; /* somebody keeps things for us */
        size_t max, n_kept;
        struct list kept;  /* struct kept */
        ptl_time retry_at; /* PTL_FOREVER: all was said */
};

/* Looks whether there is one. */
void store_init(struct store *store);
void store_fini(struct store *store);

/**
 * store_adopt - the service manager has given back what an earlier server had kept
 * @name: with the prefix
 * @fd: consumed on success
 *
 * Return: 0, PTL_E_EXISTS (there are two of that name), PTL_E_INVALID (no name of ours), PTL_E_MALFORMED (no
 * memory of fixed size), -errno.
 */
PTL_MUST_CHECK int store_adopt(struct store *store, const char *name, int fd);

/**
 * store_keep - have a descriptor kept
 * @name: 1 to STORE_NAME_MAX of ASCII letters, digits, '-', '_' and '.', without the prefix
 * @fd: borrowed; a memfd of fixed size (F_SEAL_SHRINK, F_SEAL_GROW)
 *
 * What replaces something is kept under another name, and then that dropped: there is no exchange in one step.
 * Return: 0 (also where nobody keeps anything), PTL_E_INVALID, PTL_E_MALFORMED, PTL_E_EXISTS, PTL_E_QUOTA, -ENOMEM,
 * -EMFILE.
 */
PTL_MUST_CHECK int store_keep(struct store *store, const char *name, int fd);

/**
 * store_take - what came back under a name; it stays kept
 * @ret_fd: filled on success, the caller's
 *
 * Return: 0, PTL_E_NOT_FOUND: none came, or it was taken.
 */
PTL_MUST_CHECK int store_take(struct store *store, const char *name, int *ret_fd);

/* Has what is kept under a name dropped, if anything is. */
void store_drop(struct store *store, const char *name);

/* What was passed as @name, with the prefix, and not adopted: has it dropped. */
void store_disown(struct store *store, const char *name);

/* Says again what could not be said. */
void store_retry(struct store *store);
