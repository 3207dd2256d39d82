/* SPDX-License-Identifier: Apache-2.0 */
/* server/trace.h - with PORTOLAN_TRACE=1, every message in one line on stderr */
#pragma once
#include "server/client.h"

void trace_init(void); /* reads the environment */

/* @arrow: "->" from the client, "<-" to it. */
void trace_message(const struct client *client, const char *arrow,
                   const struct ptl_server_msg *msg);

void trace_note(const struct client *client, const char *what);
