/* SPDX-License-Identifier: Apache-2.0 */
/* server/ready.c - telling whoever started the server that it listens */
#define _GNU_SOURCE
#include "server/ready.h"
#include "base/cleanup.h"
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

void ready_notify_systemd(const char *state)
{
        ptl_cleanup(ptl_closep) int fd = -EBADF;
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        const char *path = getenv("NOTIFY_SOCKET");
        size_t size = path ? strlen(path) : 0;

        if (size < 2 || size > sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
                return;
        memcpy(address.sun_path, path, size);
        if (path[0] == '@')
                address.sun_path[0] = 0; /* the abstract name space */
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd >= 0) /* who does not listen has not asked */
                (void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
                              (struct sockaddr *)&address,
                              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
}

void ready_notify_fd(int fd)
{
        static const char text[] = "READY\n";

        if (fd < 0)
                return;
        (void)!write(fd, text, sizeof text - 1);
        ptl_close(fd);
}
