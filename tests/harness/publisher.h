/* SPDX-License-Identifier: Apache-2.0 */
/* publisher.h - a peer that publishes a port and does what it is told */
#pragma once
#include "roles.h"

/* publisher NAME: publishes a port, says "published", and obeys: withdraw, free, leave, take. */
PEER(publisher)
{
        ptl_port p = new_port();
        char line[32];

        OK(ptl_name_publish(argv[1], p));
        peer_say(NULL, "published");
        while (peer_hear_line(NULL, line, sizeof line)) {
                if (!strcmp(line, "withdraw"))
                        OK(ptl_name_withdraw(argv[1]));
                else if (!strcmp(line, "free"))
                        OK(ptl_port_free(p));
                else if (!strcmp(line, "leave"))
                        OK(ptl_task_leave());
                else if (!strcmp(line, "take"))
                        take(p, "text");
                else
                        CHECK(!"a command");
                peer_say(NULL, "done");
        }
}

static inline void start_publisher(struct peer *ret_peer, const char *name)
{
        peer_start(ret_peer, "publisher", name, NULL);
        peer_hear(ret_peer, "published");
}

static inline void tell(struct peer *peer, const char *command)
{
        peer_say(peer, "%s", command);
        peer_hear(peer, "done");
}

static inline void take_name(ptl_port n, uint32_t kind, const char *name)
{
        struct ptl_notification got = take_notification(n, kind);

        CHECK_STR_EQ(got.text, name);
}
