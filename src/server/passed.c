/* SPDX-License-Identifier: Apache-2.0 */
/* server/passed.c - see passed.h */
#define _GNU_SOURCE
#include "server/passed.h"
#include "base/cleanup.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { FIRST = 3 /* SD_LISTEN_FDS_START */, NAME_MAX_SYSTEMD = 255 };

struct passed {
        int n;
        char *names; /* what is left of LISTEN_FDNAMES; NULL: there is none */
        bool has_listener, has_foreign;
};

static long read_number(const char *variable)
{
        const char *text = getenv(variable);
        char *end;
        long value;

        if (!text)
                return 0;
        errno = 0;
        value = strtol(text, &end, 10);
        return errno || *end || end == text ? 0 : value;
}

static int count_names(const char *names)
{
        int n = 1;

        for (; *names; names++)
                n += *names == ':';
        return n;
}

/* A list that does not fit the descriptors names none of them. */
static struct passed read_environment(void)
{
        const char *names = getenv("LISTEN_FDNAMES");
        struct passed passed = {0};
        long n = read_number("LISTEN_FDS");

        if (read_number("LISTEN_PID") == (long)getpid() && n > 0 && n <= INT_MAX - FIRST) {
                passed.n = (int)n;
                passed.names = names && count_names(names) == passed.n ? strdup(names) : NULL;
        }
        unsetenv("LISTEN_PID");
        unsetenv("LISTEN_FDS");
        unsetenv("LISTEN_FDNAMES");
        return passed;
}

void passed_complain(const char *name, int outcome)
{
        fprintf(stderr, "portoland: passed descriptor '%.*s': %s: refused\n", NAME_MAX_SYSTEMD, name,
                ptl_outcome_text(outcome));
}

static bool is_of_store(const char *name) { return !strncmp(name, STORE_PREFIX, sizeof STORE_PREFIX - 1); }

static int adopt(struct passed *passed, struct store *store, const char *name, int fd, struct listener *ret_listener)
{
        int r;

        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
                return -errno;
        if (is_of_store(name))
                return store_adopt(store, name, fd);
        if (passed->has_listener)
                return PTL_E_EXISTS;
        r = listener_adopt(fd, ret_listener);
        passed->has_listener = r == 0;
        return r;
}

static void refuse(struct passed *passed, struct store *store, const char *name, int fd, int outcome)
{
        passed_complain(name, outcome);
        ptl_close(fd);
        passed->has_foreign = passed->has_foreign || !is_of_store(name);
        if (is_of_store(name) && outcome != PTL_E_EXISTS)
                store_disown(store, name);
}

int passed_adopt(struct store *store, struct listener *ret_listener)
{
        struct passed passed = read_environment();
        char *names = passed.names; /* strsep() moves the other */

        for (int i = 0; i < passed.n; i++) {
                const char *name = passed.names ? strsep(&passed.names, ":") : "";
                int r = adopt(&passed, store, name, FIRST + i, ret_listener);

                if (r == -EBADF)
                        break; /* there are fewer than was said */
                if (r)
                        refuse(&passed, store, name, FIRST + i, r);
        }
        free(names);
        if (passed.has_listener)
                return 0;
        return passed.has_foreign ? PTL_E_INVALID : PTL_E_NOT_FOUND;
}
