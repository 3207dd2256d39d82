/* SPDX-License-Identifier: Apache-2.0 */
/* server/trace.c - with PORTOLAN_TRACE=1, every message in one line on stderr */
#define _GNU_SOURCE
#include "server/trace.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_on;

void trace_init(void)
{
        const char *value = getenv("PORTOLAN_TRACE");

        is_on = value && value[0] && value[0] != '0';
}

static void print_start(const struct client *client)
{
        fprintf(stderr, "portoland: %" PRId64 ".%06u pid %d ", (int64_t)(ptl_now() / 1000000000),
                (unsigned)(ptl_now() % 1000000000 / 1000), client->identity.pid);
}

/* A name may hold any byte: what a terminal would not show as itself becomes a dot. */
static void print_name(const struct ptl_server_msg *msg)
{
        fputs(" \"", stderr);
        for (size_t i = 0; i < msg->name_size; i++)
                fputc(msg->name[i] >= ' ' && msg->name[i] <= '~' ? msg->name[i] : '.', stderr);
        fputc('"', stderr);
}

void trace_message(const struct client *client, const char *arrow, const struct ptl_server_msg *msg)
{
        if (!is_on)
                return;
        print_start(client);
        fprintf(stderr, "%s %s #%u", arrow, ptl_server_type_name(msg->type), msg->serial);
        if (msg->name_size)
                print_name(msg);
        if (msg->type == PTL_SM_RESULT)
                fprintf(stderr, " %s", ptl_outcome_name(msg->result.outcome));
        if (msg->type == PTL_SM_FOUND)
                fprintf(stderr, " kind %u link %u of pid %d", msg->found.kind, msg->found.link,
                        msg->found.owner.pid);
        fputc('\n', stderr);
}

void trace_note(const struct client *client, const char *what)
{
        if (!is_on)
                return;
        print_start(client);
        fprintf(stderr, "%s\n", what);
}
