/* SPDX-License-Identifier: Apache-2.0 */
/* server/ready.c - telling whoever started the server that it listens, and what it is to keep */
#define _GNU_SOURCE
#include "server/ready.h"
#include "base/cleanup.h"
#include "link/socket.h"
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* NOTIFY_SOCKET: a path, or @ for the abstract name space. Return: the address' size, 0: none. */
static socklen_t address_of(struct sockaddr_un *ret_address)
{
        const char *path = getenv("NOTIFY_SOCKET");
        size_t size = path ? strlen(path) : 0;

        *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
        if (size < 2 || size > sizeof ret_address->sun_path || (path[0] != '/' && path[0] != '@'))
                return 0;
        memcpy(ret_address->sun_path, path, size);
        if (path[0] == '@')
                ret_address->sun_path[0] = 0;
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
}

bool ready_is_asked_for(void)
{
        struct sockaddr_un address;

        return address_of(&address) > 0;
}

int ready_notify_systemd(const char *state, int fd)
{
        ptl_cleanup(ptl_closep) int sock = -EBADF;
        struct sockaddr_un address;
        socklen_t size = address_of(&address);

        if (!size)
                return 0;
        sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (sock < 0 || connect(sock, (struct sockaddr *)&address, size) < 0)
                return -errno;
        return ptl_socket_send(sock, state, strlen(state), &fd, fd >= 0);
}

void ready_notify_fd(int fd)
{
        static const char text[] = "READY\n";

        if (fd < 0)
                return;
        (void)!write(fd, text, sizeof text - 1);
        ptl_close(fd);
}
