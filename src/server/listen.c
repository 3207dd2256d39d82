/* SPDX-License-Identifier: Apache-2.0 */
/* server/listen.c - the socket where clients knock, and who may open it */
#define _GNU_SOURCE
#include "server/listen.h"
#include "base/cleanup.h"
#include <fcntl.h>
#include <portolan/types.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

enum {
        BACKLOG = 4096, /* the kernel lowers it to net.core.somaxconn */
        LOCK_MS = 10000,
};

static int open_socket(void)
{
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        return fd < 0 ? -errno : fd;
}

static struct sockaddr_un address_of(const char *path)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        strncpy(address.sun_path, path, sizeof address.sun_path - 1);
        return address;
}

static int open_directory(const char *path)
{
        char directory[PTL_SERVER_PATH_SIZE];
        const char *slash = strrchr(path, '/');
        int fd;

        snprintf(directory, sizeof directory, "%.*s", slash == path ? 1 : (int)(slash - path),
                 path);
        fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int try_lock(const char *path, int *ret_lock)
{
        ptl_cleanup(ptl_closep) int fd = open_directory(path);

        if (fd < 0)
                return fd;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return -errno;
        *ret_lock = ptl_steal_fd(&fd);
        return 0;
}

/* Asks again and again instead of waiting in flock(): a holder that was stopped (SIGSTOP), or
 * somebody who locks a public folder for fun, must not hold up all who start a server for ever. */
static int lock(const char *path, int *ret_lock)
{
        ptl_time deadline = ptl_after_ms(LOCK_MS);
        int r;

        while ((r = try_lock(path, ret_lock)) == -EWOULDBLOCK) {
                if (ptl_now() > deadline)
                        return -ETIMEDOUT;
                nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
        }
        return r;
}

/* Is anybody there? Return: PTL_E_EXISTS, PTL_E_NOT_FOUND (the name of a dead one), -errno. */
static int knock(const char *path)
{
        ptl_cleanup(ptl_closep) int fd = open_socket();
        struct sockaddr_un address = address_of(path);

        if (fd < 0)
                return fd;
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN)
                return PTL_E_EXISTS; /* EAGAIN: its backlog is full */
        return errno == ECONNREFUSED ? PTL_E_NOT_FOUND : -errno;
}

/* Makes room for our socket. Only a socket that nobody answers is ever removed. */
static int clear(const char *path)
{
        struct stat st;
        int r;

        if (lstat(path, &st) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (!S_ISSOCK(st.st_mode))
                return PTL_E_REFUSED;
        r = knock(path);
        if (r != PTL_E_NOT_FOUND)
                return r == -EPROTOTYPE ? PTL_E_REFUSED : r; /* a stream: not one of ours */
        return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

/* The name has its mode from its first instant: a socket's own mode, less the umask, becomes that
 * of the file that bind() makes. */
static int bind_socket(int fd, const char *path, bool is_public)
{
        struct sockaddr_un address = address_of(path);
        mode_t mask;
        int r;

        if (fchmod(fd, is_public ? 0666 : 0600) < 0)
                return -errno;
        mask = umask(0);
        r = bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
        umask(mask);
        return r;
}

static int open_locked(const char *path, bool is_public, struct listener *ret_listener)
{
        ptl_cleanup(ptl_closep) int fd = -EBADF;
        struct stat st;
        int r = clear(path);

        if (r)
                return r;
        fd = open_socket();
        if (fd < 0)
                return fd;
        r = bind_socket(fd, path, is_public);
        if (r)
                return r;
        if (lstat(path, &st) < 0 || listen(fd, BACKLOG) < 0) {
                r = -errno;
                unlink(path);
                return r;
        }
        *ret_listener = (struct listener){.device = st.st_dev, .inode = st.st_ino};
        snprintf(ret_listener->path, sizeof ret_listener->path, "%s", path);
        ret_listener->socket = ptl_steal_fd(&fd);
        return 0;
}

static int make_directory(const char *path, bool is_public)
{
        char directory[PTL_SERVER_PATH_SIZE];
        const char *slash = strrchr(path, '/');

        if (!slash || slash == path)
                return slash ? 0 : PTL_E_INVALID;
        snprintf(directory, sizeof directory, "%.*s", (int)(slash - path), path);
        if (is_public && mkdir(directory, 0755) < 0 && errno != EEXIST)
                return -errno;
        return ptl_server_directory_make(path);
}

int listener_open(const char *path, bool is_public, struct listener *ret_listener)
{
        ptl_cleanup(ptl_closep) int held = -EBADF;
        int r;

        if (strlen(path) >= PTL_SERVER_PATH_SIZE)
                return PTL_E_TOO_BIG;
        r = make_directory(path, is_public);
        if (r == 0)
                r = lock(path, &held);
        return r ? r : open_locked(path, is_public, ret_listener);
}

static bool is_listening_seqpacket(int fd)
{
        int domain = 0, type = 0, is_listening = 0;
        socklen_t size = sizeof(int);

        return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX &&
               getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET &&
               getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) == 0 && is_listening;
}

int listener_adopt(int fd, struct listener *ret_listener)
{
        if (!is_listening_seqpacket(fd))
                return PTL_E_INVALID;
        if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
                return -errno;
        *ret_listener = (struct listener){.socket = fd};
        return 0;
}

int listener_lock(const struct listener *listener, int *ret_lock)
{
        *ret_lock = -EBADF;
        return listener->path[0] ? try_lock(listener->path, ret_lock) : 0;
}

void listener_withdraw(const struct listener *listener)
{
        struct stat st;

        if (listener->path[0] && lstat(listener->path, &st) == 0 && st.st_dev == listener->device &&
            st.st_ino == listener->inode)
                unlink(listener->path);
}

int listener_accept(const struct listener *listener)
{
        int fd = accept4(listener->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        return fd < 0 ? -errno : fd;
}
