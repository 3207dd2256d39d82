/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/record.h - what of tasks, names and watches is written into the journal, and when
 *
 *   a task   from its HELLO to its death, when all its names have gone
 *   a name   before its publisher is answered; before its withdrawal is answered; and again when those who
 *            watch have been told, so that none goes untold though it may be told twice
 *   a watch  before it is answered; and whether all that it had to tell lies in its task's socket (settled):
 *            if not, its task begins it anew, and hears of all that is there once more
 *
 * A task that the kernel does not name (no pid, no start time) could not be known again: it is not written,
 * nor what is its. What finds no room is not written either; it is then as without a journal.
 */
#pragma once
#include "server/record_body.h"
#include "server/watch.h"

/* Each does nothing for what is not written, or is so already. */
void record_task(struct client *client);
void record_task_gone(struct client *client);

void record_name(struct name *name);  /* published, or published again with another ticket */
void record_name_told(struct name *name);
void record_name_leaves(struct name *name);
void record_name_gone(struct name *name);

void record_watch(struct watch *watch); /* new, or with its backlog: whether it is settled may have changed */
void record_watches(struct client *client); /* all of a client */
void record_watch_gone(struct watch *watch);
