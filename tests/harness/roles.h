/* SPDX-License-Identifier: Apache-2.0 */
/* roles.h - peers that several programs of tests need, and how to start them */
#pragma once
#include "api.h"
#include "peer.h"

enum { KIND_ECHO = 0, KIND_QUIT = 99, KIND_DROP = 98, KIND_DIE = 97, KIND_KEEP = 96 };

static inline ptl_port look_up(const char *name)
{
        ptl_port p = PTL_NULL;

        OK(ptl_name_look_up(name, &p, soon()));
        CHECK(p != PTL_NULL);
        return p;
}

/* echo NAME [LIMIT]: answers each request with its bytes and kind, unless its kind says otherwise.
 */
PEER(echo)
{
        ptl_port p = new_port_of(argc > 2 ? (uint32_t)atoi(argv[2]) : 0, 0);
        struct ptl_message m;
        bool quit = false;

        OK(ptl_name_publish(argv[1], p));
        while (!quit) {
                OK(ptl_receive(p, &m, PTL_FOREVER));
                struct ptl_outgoing out = {.data = m.data, .size = m.size, .kind = m.kind};

                quit = m.kind == KIND_QUIT;
                if (m.kind == KIND_DIE)
                        kill(getpid(), SIGKILL);
                if (m.kind == KIND_KEEP)
                        continue; /* never released: the caller waits on */
                if (m.reply && m.kind != KIND_DROP)
                        OK(ptl_reply_message(&m, &out));
                for (uint32_t i = 0; i < m.n_regions; i++)
                        ptl_region_free(m.regions[i].region);
                ptl_message_release(&m);
        }
}

static inline pid_t server_pid(void)
{
        struct ptl_server_status s;

        OK(ptl_server_get_status(&s));
        return s.server.pid;
}

static inline ptl_port start_echo(struct peer *ret_peer, const char *name)
{
        peer_start(ret_peer, "echo", name, NULL);
        return look_up(name);
}

static inline void end_echo(struct peer *peer, ptl_port port)
{
        OK(ptl_send_message(port, &(struct ptl_outgoing){.kind = KIND_QUIT}, soon()));
        peer_end(peer);
}

/* One call with @size bytes, whose answer must be the same. */
static inline void call_echo_of(ptl_port port, size_t size, unsigned seed)
{
        unsigned char small[256], *data = size > sizeof small / 2 ? malloc(2 * size) : small;
        size_t n = size;

        CHECK(data);
        fill(data, size, seed);
        OK(ptl_call(port, data, size, data + size, &n, soon()));
        CHECK_EQ(n, size);
        CHECK(is_filled(data + size, size, seed));
        if (data != small)
                free(data);
}

static inline void call_echo(ptl_port port) { call_echo_of(port, 32, 1); }

/*
 * sink NAME MESSAGES [BYTES]: a port that is received from only as told: "take N" takes N messages
 * and says how many bytes the last had; "free" frees the port;
 * "leave" leaves the library.
 */
PEER(sink)
{
        ptl_port p =
                new_port_of((uint32_t)atoi(argv[2]), argc > 3 ? strtoull(argv[3], NULL, 0) : 0);
        char line[64];

        OK(ptl_name_publish(argv[1], p));
        peer_say(NULL, "ready");
        while (peer_hear_line(NULL, line, sizeof line)) {
                struct ptl_message m = {.size = 0};
                size_t size = 0;
                int n = 0;

                if (sscanf(line, "take %d", &n) == 1)
                        while (n-- > 0) {
                                OK(ptl_receive(p, &m, soon()));
                                size = m.size;
                                ptl_message_release(&m);
                        }
                else if (!strcmp(line, "free"))
                        OK(ptl_port_free(p));
                else if (!strcmp(line, "leave"))
                        OK(ptl_task_leave());
                else
                        CHECK(!"a command");
                peer_say(NULL, "%zu", size);
        }
}

static inline ptl_port start_sink(struct peer *ret_peer, const char *name, const char *limit)
{
        peer_start(ret_peer, "sink", name, limit, NULL);
        peer_hear(ret_peer, "ready");
        return look_up(name);
}

static inline void sink_takes(struct peer *peer, int n)
{
        peer_say(peer, "take %d", n);
        peer_hear_number(peer);
}
