/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/reserve.h - descriptors that are kept, so that a full server can be asked who fills it
 *
 *   held --accept() finds no descriptor--> open --a round ends and all can be had again--> held
 *
 * While it is open the server is short: what is free is for connections that only look, of root or of the
 * server's own user. Others are told so (greet.c), and nothing else takes a descriptor for longer than it
 * is passed on.
 */
#pragma once
#include "server/server.h"

/* They are none yet (-EBADF). Holds them, or is short from the start. */
void reserve_init(struct server *server);
void reserve_fini(struct server *server);

/* Lets go of them; false if they were let go of already. */
bool reserve_open(struct server *server);

/* At the end of a round, and before somebody is turned away: holds them again if there are as many. */
void reserve_fill(struct server *server);
