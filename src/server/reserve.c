/* SPDX-License-Identifier: Apache-2.0 */
/* server/reserve.c - see reserve.h */
#define _GNU_SOURCE
#include "server/reserve.h"
#include "base/cleanup.h"
#include <fcntl.h>

static void let_go(struct server *server)
{
        for (int i = 0; i < QUOTA_RESERVE; i++)
                server->reserve[i] = ptl_close(server->reserve[i]);
}

/* All or none: a few of them are better used than kept. */
static bool hold(struct server *server)
{
        for (int i = 0; i < QUOTA_RESERVE; i++) {
                server->reserve[i] = fcntl(server->epoll, F_DUPFD_CLOEXEC, 0);
                if (server->reserve[i] < 0) {
                        let_go(server);
                        return false;
                }
        }
        return true;
}

void reserve_init(struct server *server)
{
        server->is_short = !hold(server);
}

void reserve_fini(struct server *server) { let_go(server); }

bool reserve_open(struct server *server)
{
        if (server->is_short)
                return false;
        let_go(server);
        server->is_short = true;
        return true;
}

void reserve_fill(struct server *server)
{
        if (server->is_short)
                server->is_short = !hold(server);
}
