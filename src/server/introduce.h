/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/introduce.h - introductions: two tasks get one end each of a fresh socket
 *
 * The server remembers a pair as long as both live: to tell each of the other's death, and not to
 * connect them a second time at every look-up. Who has lost the link asks for another (INTRODUCE).
 */
#pragma once
#include "server/client.h"

bool introduction_is_made(const struct client *a, const struct client *b); /* or a is b */

/**
 * introduce - connect two tasks
 * @asker: will get the socket with its answer, from the caller
 * @other: is sent INTRODUCTION with its end
 * @ret_socket: filled on success: the asker's end, the caller's
 *
 * Return: 0, PTL_E_QUOTA (one of them does not read), -errno. On failure nothing was sent.
 */
PTL_MUST_CHECK int introduce(struct client *asker, struct client *other,
                             struct descriptor **ret_socket);

/* Tells all who were introduced to this client that it is dead. */
void introduction_end_all(struct client *client);

struct introduction_side {
        struct list of_client;
        struct introduction *whole;
        struct client *client;
};

struct introduction {
        struct map_node in_introductions;
        struct roll_entry in_introduced;
        struct introduction_side side[2];
};
