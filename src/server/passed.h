/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/passed.h - the descriptors that the service manager passes at the start: socket and store
 *
 * sd_listen_fds_with_names(3): LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES. The socket is known by what it is, what was
 * kept by its name and by what it is. Whatever else came is refused with a line on stderr, and closed; what
 * bears a name of ours is dropped from the store, too, or it would come again at each start.
 */
#pragma once
#include "server/listen.h"
#include "server/store.h"

/**
 * passed_adopt - take over what was passed, and its variables out of the environment
 * @store: gets what was kept
 * @ret_listener: filled on success
 *
 * Return: 0, PTL_E_NOT_FOUND (no socket), PTL_E_INVALID (no socket, but something that is none of ours).
 */
PTL_MUST_CHECK int passed_adopt(struct store *store, struct listener *ret_listener);

/* Says that something called @name is refused. */
void passed_complain(const char *name, int outcome);
