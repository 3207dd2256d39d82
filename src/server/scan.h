/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/scan.h - long answers: lists, and the names that a new watch tells of
 *
 * They may be longer than any queue, so they are made as the client reads them, a few items each
 * time its socket has room. Members that come or go meanwhile are in them or not; each is at most
 * once.
 */
#pragma once
#include "server/watch.h"

/* LIST: answers it, with items first or a refusal. */
void scan_start_list(struct client *client, const struct ptl_server_msg *msg);

/* For a watch that is being made. Return: NULL without memory. */
struct scan *scan_new_watch(struct watch *watch);

void scan_drop(struct scan *scan);
void scan_drop_all(struct client *client);

/* Sends on, as far as the socket has room. */
void scan_run(struct client *client);

bool scan_has_passed(const struct scan *scan, const struct roll_entry *entry);
