/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process/server_raw.h - a name server in a process of its own, and clients made of bare packets
 *
 * The server's program is $PORTOLAND. A raw client says exactly what a test tells it to, right or
 * wrong; what does not come within the deadline fails the test.
 */
#pragma once
#include "base/cleanup.h"
#include "link/socket.h"
#include "tst.h"
#include "wire/server_msg.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>

enum { RAW_MS = 5000, RAW_TASKS_MAX = 8 };

struct raw {
        int socket;
        int fd; /* that came with the last message; closed by the next receive */
        uint32_t serial;
        int passport; /* that came with WELCOME; -EBADF none */
        struct ptl_server_msg msg; /* the last one received */
        struct ptl_identity me;
};

/* ---- the server ---- */

static inline const char *raw_program(void)
{
        const char *program = getenv("PORTOLAND");

        if (!program)
                SKIP("PORTOLAND does not name the server's program");
        return program;
}

/* In a child: becomes the server. @argv: without its name, at most 7, NULL-terminated. */
__attribute__((noreturn)) static inline void raw_exec(const char *const *argv)
{
        const char *all[16] = {raw_program()};

        for (int i = 0; i < 14 && argv[i]; i++)
                all[i + 1] = argv[i];
        execv(all[0], (char **)(uintptr_t)all);
        perror(all[0]);
        _exit(127);
}

/* Starts it at @path in the foreground and returns when it listens, or has found one that does. */
static inline pid_t raw_server(const char *path, const char *option, const char *value)
{
        const char *const argv[] = {"--socket", path, "--ready-fd", "9", option, value, NULL};
        char text[8] = "";
        int ends[2];
        pid_t pid;

        CHECK(pipe2(ends, O_CLOEXEC) == 0);
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                CHECK(dup2(ends[1], 9) == 9);
                raw_exec(argv);
        }
        close(ends[1]);
        CHECK_EQ(read(ends[0], text, sizeof text), 6);
        CHECK_STR_EQ(text, "READY\n");
        close(ends[0]);
        return pid;
}

static inline pid_t raw_private_server(void)
{
        return raw_server(tst_private_server(), NULL, NULL);
}

/* Runs it with @argv and returns its exit status. */
static inline int raw_run(const char *const *argv)
{
        pid_t pid = fork();
        int status;

        CHECK(pid >= 0);
        if (pid == 0)
                raw_exec(argv);
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
        return WEXITSTATUS(status);
}

static inline void raw_stop(pid_t server)
{
        int status;

        CHECK(kill(server, SIGTERM) == 0);
        CHECK(waitpid(server, &status, 0) == server);
        CHECK_EQ(status, 0);
}

/*
 * Forks @n children that begin at once: returns true in each of them when all are there, false in the
 * parent when they were let go.
 */
static inline bool raw_race(pid_t *ret_pids, int n)
{
        int go[2];
        char byte;

        CHECK(pipe2(go, O_CLOEXEC) == 0);
        for (int i = 0; i < n; i++) {
                ret_pids[i] = fork();
                CHECK(ret_pids[i] >= 0);
                if (ret_pids[i])
                        continue;
                close(go[1]);
                CHECK_EQ(read(go[0], &byte, 1), 0);
                close(go[0]);
                return true;
        }
        close(go[0]);
        close(go[1]);
        return false;
}

/* ---- a client ---- */

static inline int raw_try_connect(const char *path)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        CHECK(fd >= 0);
        snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
        if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
                return fd;
        int r = -errno;
        close(fd);
        return r;
}

static inline struct raw raw_connect(void)
{
        struct raw raw = {.socket = raw_try_connect(getenv("PORTOLAN_SOCKET")), .fd = -EBADF, .passport = -EBADF};

        CHECK(raw.socket >= 0);
        return raw;
}

static inline void raw_close(struct raw *raw)
{
        raw->socket = ptl_close(raw->socket);
        raw->fd = ptl_close(raw->fd);
        raw->passport = ptl_close(raw->passport);
}

/* Gives the message the next serial. */
static inline uint32_t raw_send_fd(struct raw *raw, struct ptl_server_msg msg, int fd)
{
        char packet[PTL_SERVER_PACKET_MAX];
        size_t size;
        int r;

        msg.serial = ++raw->serial;
        if (!msg.name_size)
                msg.name_size = strlen(msg.name);
        size = ptl_server_msg_encode(&msg, packet);
        while ((r = ptl_socket_send(raw->socket, packet, size, &fd, fd >= 0)) == -EAGAIN)
                CHECK(poll(&(struct pollfd){raw->socket, POLLOUT, 0}, 1,
                           (int)tst_deadline_ms(RAW_MS)) == 1);
        CHECK_EQ(r, 0);
        return msg.serial;
}

static inline uint32_t raw_send(struct raw *raw, struct ptl_server_msg msg)
{
        return raw_send_fd(raw, msg, -1);
}

/* True if a packet came, false at the end of the connection. */
static inline bool raw_receive(struct raw *raw)
{
        char packet[PTL_SERVER_PACKET_MAX];
        size_t size = 0, n_fds;
        int r;

        raw->fd = ptl_close(raw->fd);
        CHECK(poll(&(struct pollfd){raw->socket, POLLIN, 0}, 1, (int)tst_deadline_ms(RAW_MS)) == 1);
        r = ptl_socket_receive(raw->socket, packet, sizeof packet, &size, &raw->fd, 1, &n_fds);
        if (r == -ECONNRESET || (r == 0 && size == 0))
                return false;
        CHECK_EQ(r, 0);
        CHECK_EQ(ptl_server_msg_decode(packet, size, &raw->msg), 0);
        return true;
}

static inline bool raw_has_input(const struct raw *raw)
{
        return poll(&(struct pollfd){raw->socket, POLLIN, 0}, 1, 0) == 1;
}

static inline void raw_expect(struct raw *raw, enum ptl_server_type type, uint32_t serial)
{
        CHECK(raw_receive(raw));
        CHECK_STR_EQ(ptl_server_type_name(raw->msg.type), ptl_server_type_name(type));
        CHECK_EQ(raw->msg.serial, serial);
}

static inline void raw_expect_result(struct raw *raw, uint32_t serial, int outcome)
{
        raw_expect(raw, PTL_SM_RESULT, serial);
        CHECK_EQ(raw->msg.result.outcome, outcome);
}

static inline void raw_expect_end(struct raw *raw)
{
        CHECK(!raw_receive(raw));
        raw_close(raw);
}

/* @passport: of an earlier life, borrowed; -EBADF none. False: the server ended, or let the connection go. */
static inline bool raw_try_hello(struct raw *raw, int passport)
{
        struct ptl_server_msg hello = {
                .type = PTL_SM_HELLO,
                .serial = ++raw->serial,
                .hello = {.protocol = PTL_SERVER_PROTOCOL, .command = "raw"},
        };
        char packet[PTL_SERVER_PACKET_MAX];
        size_t size = ptl_server_msg_encode(&hello, packet);
        int r = ptl_socket_send(raw->socket, packet, size, &passport, passport >= 0);

        if (r == -EPIPE || r == -ECONNRESET || (r == 0 && !raw_receive(raw)))
                return false;
        CHECK_EQ(r, 0);
        CHECK_STR_EQ(ptl_server_type_name(raw->msg.type), ptl_server_type_name(PTL_SM_WELCOME));
        CHECK_EQ(raw->msg.serial, hello.serial);
        raw->me = raw->msg.welcome.you;
        raw->passport = ptl_steal_fd(&raw->fd);
        return true;
}

static inline void raw_hello(struct raw *raw, int passport) { CHECK(raw_try_hello(raw, passport)); }

/* For a later life; the caller closes it. */
static inline int raw_take_passport(struct raw *raw)
{
        int fd = raw->passport;

        CHECK(fd >= 0);
        raw->passport = -EBADF;
        return fd;
}

static inline struct raw raw_task(void)
{
        struct raw raw = raw_connect();

        raw_hello(&raw, -EBADF);
        return raw;
}

static inline struct ptl_server_msg raw_named(enum ptl_server_type type, const char *name)
{
        struct ptl_server_msg msg = {.type = type};

        snprintf(msg.name, sizeof msg.name, "%s", name);
        return msg;
}

/* ---- requests ---- */

static inline uint32_t raw_ask_publish(struct raw *raw, const char *name)
{
        struct ptl_server_msg msg = raw_named(PTL_SM_PUBLISH, name);

        msg.publish = (struct ptl_sm_publish){
                .kind = PTL_SM_KIND_PORT, .limit_messages = 7, .limit_bytes = 8, .ticket = 9};
        return raw_send(raw, msg);
}

static inline void raw_publish(struct raw *raw, const char *name)
{
        raw_expect_result(raw, raw_ask_publish(raw, name), 0);
}

static inline uint32_t raw_ask_look_up(struct raw *raw, const char *name, bool wait)
{
        struct ptl_server_msg msg = raw_named(PTL_SM_LOOK_UP, name);

        msg.look_up.wait = wait;
        return raw_send(raw, msg);
}

static inline void raw_withdraw(struct raw *raw, const char *name)
{
        raw_expect_result(raw, raw_send(raw, raw_named(PTL_SM_WITHDRAW, name)), 0);
}

static inline uint32_t raw_ask_introduce(struct raw *raw, struct ptl_task_id id)
{
        return raw_send(raw, (struct ptl_server_msg){.type = PTL_SM_INTRODUCE, .task.id = id});
}

static inline uint32_t raw_ask_watch(struct raw *raw, uint64_t cookie, const char *prefix)
{
        struct ptl_server_msg msg = raw_named(PTL_SM_WATCH, prefix);

        msg.watch.cookie = cookie;
        return raw_send(raw, msg);
}

static inline void raw_expect_event(struct raw *raw, enum ptl_server_type type, uint64_t cookie,
                                    const char *name)
{
        raw_expect(raw, type, 0);
        CHECK_EQ(raw->msg.watch.cookie, cookie);
        CHECK_STR_EQ(raw->msg.name, name);
}

/* The server has done all that was asked of it before: it answers in the order of one client. */
static inline struct ptl_sm_status raw_status(struct raw *raw)
{
        raw_expect(raw, PTL_SM_STATUS_REPLY,
                   raw_send(raw, (struct ptl_server_msg){.type = PTL_SM_STATUS}));
        return raw->msg.status;
}

/* Takes the descriptor of the last message. */
static inline int raw_take_fd(struct raw *raw)
{
        CHECK(raw->fd >= 0);
        return ptl_steal_fd(&raw->fd);
}

static inline bool raw_is_same(struct ptl_task_id a, struct ptl_task_id b)
{
        return a.high == b.high && a.low == b.low;
}

/* The two are ends of one socket. */
static inline void raw_check_connected(int a, int b)
{
        char text[8];
        size_t size;

        CHECK_EQ(ptl_socket_send(a, "ping", 4, NULL, 0), 0);
        CHECK_EQ(ptl_socket_receive(b, text, sizeof text, &size, NULL, 0, NULL), 0);
        CHECK(size == 4 && !memcmp(text, "ping", 4));
        CHECK_EQ(ptl_socket_send(b, "pong", 4, NULL, 0), 0);
        CHECK_EQ(ptl_socket_receive(a, text, sizeof text, &size, NULL, 0, NULL), 0);
        CHECK(size == 4 && !memcmp(text, "pong", 4));
}

/* ---- a server that the test plays ---- */

/* A listener where the server's is to be. */
static inline int raw_listen(void)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        snprintf(a.sun_path, sizeof a.sun_path, "%s", getenv("PORTOLAN_SOCKET"));
        CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 16) == 0);
        return fd;
}

/* What the client of @connection says next, which is of @type. A descriptor with it is closed. */
static inline struct ptl_server_msg raw_hear(int connection, enum ptl_server_type type)
{
        struct raw raw = {.socket = connection, .fd = -EBADF};

        CHECK(raw_receive(&raw));
        CHECK_STR_EQ(ptl_server_type_name(raw.msg.type), ptl_server_type_name(type));
        ptl_close(raw.fd);
        return raw.msg;
}

/* @fd: passed and closed, or negative. */
static inline void raw_say(int connection, struct ptl_server_msg msg, int fd)
{
        char packet[PTL_SERVER_PACKET_MAX];
        size_t size = ptl_server_msg_encode(&msg, packet);

        CHECK_EQ(ptl_socket_send(connection, packet, size, &fd, fd >= 0), 0);
        ptl_close(fd);
}
