/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process/server_half.h - this process plays a name server that introduces one task to another
 *
 * It does so step by step, and can end after any of them. What comes after it is a true server, which
 * the tasks start.
 */
#pragma once
#include "proc.h"
#include "roles.h"
#include "server_raw.h"

struct half {
        int listener;
        int owner, looker; /* connections */
        struct peer owners, lookers;
        struct ptl_server_msg hello, publish, look_up; /* as they were last heard */
        int ends[2]; /* of the link that is being made: the owner's, the looker's */
};

static inline struct ptl_identity half_identity(const struct peer *peer, uint64_t id)
{
        return (struct ptl_identity){
                .task = {.high = 0x68616c66, .low = id},
                .pid = peer->pid,
                .uid = geteuid(),
                .gid = getegid(),
                .start_time = proc_start_time(peer->pid),
        };
}

/* One that names @owner, made by this process's user. */
static inline int passport_of(const struct ptl_identity *owner)
{
        uint32_t head[2] = {0x53544c50, sizeof head + sizeof *owner};
        int fd = memfd_create("portolan-passport", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        CHECK(fd >= 0 && write(fd, head, sizeof head) == sizeof head);
        CHECK(write(fd, owner, sizeof *owner) == sizeof *owner);
        CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0);
        return fd;
}

/* ---- its steps ---- */

static inline int half_accept(const struct half *h)
{
        int c;

        CHECK(poll(&(struct pollfd){h->listener, POLLIN, 0}, 1, (int)tst_deadline_ms(RAW_MS)) == 1);
        c = accept4(h->listener, NULL, NULL, SOCK_CLOEXEC);
        CHECK(c >= 0);
        return c;
}

static inline void half_welcome(const struct half *h, int connection, const struct peer *peer, uint64_t id)
{
        struct ptl_server_msg welcome = {
                .type = PTL_SM_WELCOME,
                .serial = h->hello.serial,
                .welcome = {.protocol = PTL_SERVER_PROTOCOL, .you = half_identity(peer, id)},
        };

        raw_say(connection, welcome, passport_of(&welcome.welcome.you));
        raw_hear(connection, PTL_SM_LODGE);
}

static inline void half_owner_connects(struct half *h) { h->owner = half_accept(h); }
static inline void half_owner_greets(struct half *h) { h->hello = raw_hear(h->owner, PTL_SM_HELLO); }
static inline void half_welcome_owner(struct half *h) { half_welcome(h, h->owner, &h->owners, 1); }
static inline void half_owner_publishes(struct half *h) { h->publish = raw_hear(h->owner, PTL_SM_PUBLISH); }

static inline void half_agree(struct half *h)
{
        raw_say(h->owner, (struct ptl_server_msg){.type = PTL_SM_RESULT, .serial = h->publish.serial}, -1);
}

static inline void half_looker_connects(struct half *h) { h->looker = half_accept(h); }
static inline void half_looker_greets(struct half *h) { h->hello = raw_hear(h->looker, PTL_SM_HELLO); }
static inline void half_welcome_looker(struct half *h) { half_welcome(h, h->looker, &h->lookers, 2); }
static inline void half_looker_asks(struct half *h) { h->look_up = raw_hear(h->looker, PTL_SM_LOOK_UP); }

static inline void half_make_ends(struct half *h)
{
        CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, h->ends) == 0);
}

static inline void half_tell_owner(struct half *h)
{
        struct ptl_server_msg msg = {
                .type = PTL_SM_INTRODUCTION,
                .introduction.peer = half_identity(&h->lookers, 2),
        };

        raw_say(h->owner, msg, ptl_steal_fd(&h->ends[0]));
}

static inline struct ptl_server_msg half_found(const struct half *h)
{
        return (struct ptl_server_msg){
                .type = PTL_SM_FOUND,
                .serial = h->look_up.serial,
                .found = {.kind = PTL_SM_KIND_PORT,
                          .link = 1,
                          .owner = half_identity(&h->owners, 1),
                          .ticket = h->publish.publish.ticket,
                          .limit_bytes = h->publish.publish.limit_bytes,
                          .limit_messages = h->publish.publish.limit_messages},
        };
}

static inline void half_tell_looker(struct half *h)
{
        raw_say(h->looker, half_found(h), ptl_steal_fd(&h->ends[1]));
}

/* Of the owner's death. */
static inline void half_tell_death(const struct half *h)
{
        raw_say(h->looker, (struct ptl_server_msg){.type = PTL_SM_TASK_DEAD, .task.id = {0x68616c66, 1}}, -1);
}

enum half_step {
        HALF_OWNER_CONNECTS,
        HALF_OWNER_GREETS,
        HALF_OWNER_IS_WELCOME,
        HALF_OWNER_PUBLISHES,
        HALF_OWNER_IS_ANSWERED,
        HALF_LOOKER_CONNECTS,
        HALF_LOOKER_GREETS,
        HALF_LOOKER_IS_WELCOME,
        HALF_LOOKER_ASKS,
        HALF_ENDS_ARE_MADE,
        HALF_OWNER_IS_TOLD,
        HALF_BOTH_ARE_TOLD,
};

static void (*const half_steps[])(struct half *h) = {
        [HALF_OWNER_CONNECTS] = half_owner_connects,
        [HALF_OWNER_GREETS] = half_owner_greets,
        [HALF_OWNER_IS_WELCOME] = half_welcome_owner,
        [HALF_OWNER_PUBLISHES] = half_owner_publishes,
        [HALF_OWNER_IS_ANSWERED] = half_agree,
        [HALF_LOOKER_CONNECTS] = half_looker_connects,
        [HALF_LOOKER_GREETS] = half_looker_greets,
        [HALF_LOOKER_IS_WELCOME] = half_welcome_looker,
        [HALF_LOOKER_ASKS] = half_looker_asks,
        [HALF_ENDS_ARE_MADE] = half_make_ends,
        [HALF_OWNER_IS_TOLD] = half_tell_owner,
        [HALF_BOTH_ARE_TOLD] = half_tell_looker,
};

/* Up to @last. The owner publishes "echo"; the looker's process does what @looker says. */
static inline struct half half_begin(const char *owner, const char *looker, enum half_step last)
{
        struct half h = {raw_listen(), -EBADF, -EBADF, .ends = {-EBADF, -EBADF}};

        peer_start(&h.owners, owner, "echo", NULL);
        for (int i = 0; i <= (int)last; i++) {
                if (i == HALF_LOOKER_CONNECTS)
                        peer_start(&h.lookers, looker, NULL);
                half_steps[i](&h);
        }
        if (last < HALF_LOOKER_CONNECTS)
                peer_start(&h.lookers, looker, NULL);
        return h;
}

static inline void half_die(struct half *h)
{
        h->listener = ptl_close(h->listener);
        h->owner = ptl_close(h->owner);
        h->looker = ptl_close(h->looker);
        h->ends[0] = ptl_close(h->ends[0]);
        h->ends[1] = ptl_close(h->ends[1]);
}

/* ---- true servers that are killed ---- */

/* The process that listens, or 0. */
static inline pid_t serving(void)
{
        int fd = raw_try_connect(getenv("PORTOLAN_SOCKET"));
        struct ucred who = {.pid = 0};
        socklen_t size = sizeof who;

        if (fd < 0)
                return 0;
        CHECK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0);
        close(fd);
        return who.pid;
}

/* Another may take over at once: one that was started in the same moment, and found the first
 * there. */
static inline void kill_server(void)
{
        pid_t pid = server_pid();

        CHECK(kill(pid, SIGKILL) == 0);
        CHECK(tst_wait_until(serving() != pid, RAW_MS));
}
