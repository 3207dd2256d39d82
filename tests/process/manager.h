/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process/manager.h - a service manager with a file descriptor store, as far as portoland sees one
 *
 * It listens at the server's place, starts the server with the socket and with what it keeps, and takes in what
 * that tells it, when a test asks for it: all datagrams that have come, in their order.
 */
#pragma once
#include "server_raw.h"

enum { KEPT_MAX = 64, PASSED_FIRST = 3 };

struct kept_fd {
        char name[256];
        int fd;
};

struct manager {
        int listener, notify;
        unsigned max; /* 0: it refuses all */
        unsigned refused, ready, dropped;
        const char *fdstore; /* FDSTORE for the server; NULL: as before systemd 254 */
        struct kept_fd kept[KEPT_MAX];
        unsigned n;
        pid_t server;
        int errors; /* what the server says on stderr; a pipe's end */
};

static inline void manager_open(struct manager *m, bool is_abstract)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        socklen_t size = sizeof a;
        char name[100];

        *m = (struct manager){.max = KEPT_MAX, .errors = -EBADF};
        (void)tst_private_server();
        m->listener = raw_listen();
        m->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        snprintf(name, sizeof name, "%s%s/notify", is_abstract ? "@" : "", tst_temp_dir());
        CHECK_EQ(setenv("NOTIFY_SOCKET", name, 1), 0);
        snprintf(a.sun_path, sizeof a.sun_path, "%s", name);
        if (is_abstract) {
                a.sun_path[0] = 0;
                size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
        }
        CHECK(m->notify >= 0 && bind(m->notify, (struct sockaddr *)&a, size) == 0);
}

/* ---- the store ---- */

static inline struct kept_fd *manager_find(struct manager *m, const char *name)
{
        for (unsigned i = 0; i < m->n; i++)
                if (!strcmp(m->kept[i].name, name))
                        return &m->kept[i];
        return NULL;
}

/* @fd: consumed */
static inline void manager_add(struct manager *m, const char *name, int fd)
{
        CHECK(fd >= 0 && m->n < KEPT_MAX);
        snprintf(m->kept[m->n].name, sizeof m->kept[0].name, "%s", name);
        m->kept[m->n++].fd = fd;
}

static inline void manager_drop(struct manager *m, const char *name)
{
        struct kept_fd *k;

        m->dropped++;
        while ((k = manager_find(m, name))) {
                close(k->fd);
                *k = m->kept[--m->n];
        }
}

/* ---- what the server says ---- */

static inline void manager_obey(struct manager *m, char *text, int fd)
{
        bool keep = false, drop = false;
        char *name = NULL, *line;

        while ((line = strsep(&text, "\n"))) {
                keep |= !strcmp(line, "FDSTORE=1");
                drop |= !strcmp(line, "FDSTOREREMOVE=1");
                m->ready += !strcmp(line, "READY=1");
                if (!strncmp(line, "FDNAME=", 7))
                        name = line + 7;
        }
        CHECK(!(keep && drop) && (!keep || fd >= 0) && (!(keep || drop) || name));
        if (drop)
                manager_drop(m, name);
        if (keep && m->n < m->max) {
                manager_add(m, name, ptl_steal_fd(&fd));
        } else {
                m->refused += keep;
                ptl_close(fd);
        }
}

/* One datagram, if there is one. */
static inline bool manager_take(struct manager *m)
{
        char text[1024] = "", control[CMSG_SPACE(sizeof(int))];
        struct iovec bytes = {text, sizeof text - 1};
        struct msghdr msg = {.msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        struct cmsghdr *c;
        int fd = -EBADF;

        if (recvmsg(m->notify, &msg, MSG_CMSG_CLOEXEC) < 0) {
                CHECK_EQ(errno, EAGAIN);
                return false;
        }
        c = CMSG_FIRSTHDR(&msg);
        if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
                memcpy(&fd, CMSG_DATA(c), sizeof fd);
        manager_obey(m, text, fd);
        return true;
}

static inline void manager_hear(struct manager *m)
{
        while (manager_take(m))
                ;
}

/* ---- the server ---- */

static inline void manager_pass(const struct manager *m, int listener)
{
        char names[KEPT_MAX * 64] = "portoland.socket", number[16];
        int moved[KEPT_MAX + 1], last = PASSED_FIRST + (int)m->n;

        /* Out of the way first, then each to its place. */
        moved[0] = fcntl(listener, F_DUPFD, last + 1);
        for (unsigned i = 0; i < m->n; i++) {
                moved[i + 1] = fcntl(m->kept[i].fd, F_DUPFD, last + 1);
                CHECK(strlen(names) + strlen(m->kept[i].name) + 2 < sizeof names);
                strcat(strcat(names, ":"), m->kept[i].name);
        }
        for (unsigned i = 0; i <= m->n; i++)
                CHECK(moved[i] >= 0 && dup2(moved[i], PASSED_FIRST + (int)i) >= 0 && close(moved[i]) == 0);
        snprintf(number, sizeof number, "%d", (int)getpid());
        setenv("LISTEN_PID", number, 1);
        snprintf(number, sizeof number, "%u", m->n + 1);
        setenv("LISTEN_FDS", number, 1);
        setenv("LISTEN_FDNAMES", names, 1);
        if (m->fdstore)
                setenv("FDSTORE", m->fdstore, 1);
}

static inline void manager_launch(struct manager *m)
{
        const char *const argv[] = {NULL};
        int ends[2];

        CHECK(pipe2(ends, O_CLOEXEC) == 0);
        ptl_close(m->errors);
        m->errors = ends[0];
        m->server = fork();
        CHECK(m->server >= 0);
        if (m->server == 0) {
                int errors = fcntl(ends[1], F_DUPFD_CLOEXEC, 200);

                CHECK(errors >= 0 && dup2(errors, STDERR_FILENO) >= 0);
                manager_pass(m, m->listener);
                raw_exec(argv);
        }
        close(ends[1]);
}

/* Returns when the server is ready. */
static inline void manager_start(struct manager *m)
{
        unsigned before = m->ready;

        manager_launch(m);
        while (m->ready == before) {
                CHECK(poll(&(struct pollfd){m->notify, POLLIN, 0}, 1, (int)tst_deadline_ms(RAW_MS)) == 1);
                manager_take(m);
        }
}

static inline void manager_reap(struct manager *m)
{
        CHECK(waitpid(m->server, NULL, 0) == m->server);
        m->server = 0;
        manager_hear(m);
}

static inline void manager_kill(struct manager *m)
{
        CHECK(kill(m->server, SIGKILL) == 0);
        manager_reap(m);
}

static inline void manager_restart(struct manager *m)
{
        manager_kill(m);
        manager_start(m);
}

/* All that the server has said on stderr; it is dead. */
static inline void manager_read_errors(struct manager *m, char *ret_text, size_t size)
{
        ssize_t n, all = 0;

        while ((n = read(m->errors, ret_text + all, size - 1 - (size_t)all)) > 0)
                all += n;
        ret_text[all] = 0;
}

static inline void manager_close(struct manager *m)
{
        if (m->server)
                manager_kill(m);
        while (m->n)
                close(m->kept[--m->n].fd);
        ptl_close(m->errors);
        close(m->listener);
        close(m->notify);
        unsetenv("NOTIFY_SOCKET");
}
