/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer.h - a second process for a case: this program started afresh in a role
 *
 * PEER(role) { ... } is what that process does, with argc and argv[1...] as given to peer_start().
 * It ends well when the function returns. Both sides talk in lines, over a socket that is no part
 * of what is tested: peer_say() and peer_hear(), with the peer's own end where @peer is NULL.
 */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

struct peer {
        pid_t pid;
        int fd;
};

struct peer_role {
        const char *name;
        void (*run)(int argc, char **argv);
} __attribute__((aligned(32)));

#define PEER(fn)                                                                                   \
        static void peer_##fn(int argc, char **argv);                                              \
        static const struct peer_role peer_role_##fn                                               \
                __attribute__((used, section("tst_peers"))) = {#fn, peer_##fn};                    \
        static void peer_##fn(int argc, char **argv)

/* Starts a process in @role; strings follow, and NULL. */
void peer_start(struct peer *ret_peer, const char *role, ...) __attribute__((sentinel));

/* Sends a line; never blocks for long. */
void peer_say(struct peer *peer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Waits for a line; the case fails if it is not @expected, or does not come. */
void peer_hear(struct peer *peer, const char *expected);

/* Waits for a line that is a number. */
long long peer_hear_number(struct peer *peer);

/* Waits for a line; false if the other side has closed. */
bool peer_hear_line(struct peer *peer, char *ret_line, size_t size);

/* Closes the socket and waits for the peer to end; the case fails unless it ended well. */
void peer_end(struct peer *peer);

/* SIGKILL, and waits for it. */
void peer_kill(struct peer *peer);

/* In a peer: waits until the other side has called peer_end(). */
void peer_stay(void);
