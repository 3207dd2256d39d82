/* SPDX-License-Identifier: Apache-2.0 */
/* link/server_path.c - where the name server's socket is */
#define _GNU_SOURCE
#include "link/server_path.h"
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

__attribute__((format(printf, 2, 3))) static int print(char ret_path[PTL_SERVER_PATH_SIZE],
                                                       const char *format, ...)
{
        char path[PTL_SERVER_PATH_SIZE];
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vsnprintf(path, sizeof path, format, arguments);
        va_end(arguments);
        if (n < 0 || (size_t)n >= sizeof path)
                return PTL_E_TOO_BIG;
        memcpy(ret_path, path, sizeof path);
        return 0;
}

/* A real folder (not a link to one) that belongs to this user. */
static bool is_ours(const char *path, struct stat *st)
{
        return lstat(path, st) == 0 && S_ISDIR(st->st_mode) && st->st_uid == geteuid();
}

int ptl_server_path_own(char ret_path[PTL_SERVER_PATH_SIZE])
{
        const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
        struct stat st;

        if (runtime && runtime[0] == '/' && is_ours(runtime, &st))
                return print(ret_path, "%s/portolan/portolan.sock", runtime);
        return print(ret_path, "/tmp/portolan-%u/portolan.sock", (unsigned)geteuid());
}

int ptl_server_path(char ret_path[PTL_SERVER_PATH_SIZE], enum ptl_server_kind *ret_kind)
{
        const char *given = secure_getenv("PORTOLAN_SOCKET");
        struct stat st;

        if (given && given[0]) {
                *ret_kind = PTL_SERVER_GIVEN;
                return print(ret_path, "%s", given);
        }
        if (stat(PTL_SERVER_PATH_SYSTEM, &st) == 0 && S_ISSOCK(st.st_mode)) {
                *ret_kind = PTL_SERVER_SYSTEM;
                return print(ret_path, "%s", PTL_SERVER_PATH_SYSTEM);
        }
        *ret_kind = PTL_SERVER_OWN;
        return ptl_server_path_own(ret_path);
}

static bool is_own(const char *path)
{
        char own[PTL_SERVER_PATH_SIZE];

        return ptl_server_path_own(own) == 0 && strcmp(path, own) == 0;
}

int ptl_server_directory_make(const char *path)
{
        const char *slash = strrchr(path, '/');
        char directory[PTL_SERVER_PATH_SIZE];
        struct stat st;
        int r;

        if (!slash)
                return PTL_E_INVALID;
        r = print(directory, "%.*s", slash == path ? 1 : (int)(slash - path), path);
        if (r)
                return r;
        if (mkdir(directory, 0700) < 0 && errno != EEXIST)
                return -errno;
        if (is_own(path))
                return is_ours(directory, &st) && (st.st_mode & 0777) == 0700 ? 0 : PTL_E_REFUSED;
        if (stat(directory, &st) < 0)
                return -errno;
        return S_ISDIR(st.st_mode) ? 0 : PTL_E_REFUSED;
}
