/* SPDX-License-Identifier: Apache-2.0 */
/* base/limits.c - see limits.h */
#define _GNU_SOURCE
#include "base/limits.h"
#include "base/cancel.h"
#include "base/cleanup.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define K (UINT64_C(1) << 10)
#define M (UINT64_C(1) << 20)
#define G (UINT64_C(1) << 30)

static const struct kind {
        const char *name;
        uint64_t by_default[PTL_QUOTA_SCOPES];
} kinds[PTL_QUOTA_KINDS] = {
        [PTL_QUOTA_LINKS] = {"links",    {32, 0, 0}              }, /* of RLIMIT_NOFILE, as it is then */
        [PTL_QUOTA_RIGHTS] = {"rights",   {256 * K, 512 * K, M}   },
        [PTL_QUOTA_MESSAGES] = {"messages", {64 * K, 256 * K, M}    },
        [PTL_QUOTA_BYTES] = {"bytes",    {256 * M, 512 * M, G}   },
        [PTL_QUOTA_CARRIED] = {"carried",  {64 * K, 128 * K, 256 * K}},
        [PTL_QUOTA_REGIONS] = {"regions",  {4 * K, 8 * K, 16 * K}  },
        [PTL_QUOTA_PARKED] = {"parked",   {64, 256, K}            },
        [PTL_QUOTA_ORPHANS] = {"orphans",  {64 * M, 128 * M, 256 * M}},
};

#define NAME(kind, scope) [(kind) * PTL_QUOTA_SCOPES + (scope)]
#define NAMES(kind, text)                                                                                    \
        NAME(kind, PTL_QUOTA_TASK) = text ".task", NAME(kind, PTL_QUOTA_UID) = text ".uid",                  \
        NAME(kind, PTL_QUOTA_ALL) = text ".all"

const char *ptl_quota_name(uint32_t limit)
{
        static const char *const names[PTL_QUOTA_KINDS * PTL_QUOTA_SCOPES] = {
                NAMES(PTL_QUOTA_LINKS, "links"),       NAMES(PTL_QUOTA_RIGHTS, "rights"),
                NAMES(PTL_QUOTA_MESSAGES, "messages"), NAMES(PTL_QUOTA_BYTES, "bytes"),
                NAMES(PTL_QUOTA_CARRIED, "carried"),   NAMES(PTL_QUOTA_REGIONS, "regions"),
                NAMES(PTL_QUOTA_PARKED, "parked"),     NAMES(PTL_QUOTA_ORPHANS, "orphans"),
        };

        return limit >= 1 && limit <= PTL_QUOTA_LIMITS ? names[limit - 1] : NULL;
}

void ptl_limits_init(struct ptl_limits *limits)
{
        memset(limits, 0, sizeof *limits);
        for (size_t k = 0; k < PTL_QUOTA_KINDS; k++)
                for (size_t s = 0; s < PTL_QUOTA_SCOPES; s++)
                        limits->at[k][s].value = kinds[k].by_default[s];
}

struct ptl_limit *ptl_limits_find(struct ptl_limits *limits, uint32_t limit)
{
        if (limit < 1 || limit > PTL_QUOTA_LIMITS)
                return NULL;
        return &limits->at[(limit - 1) / PTL_QUOTA_SCOPES][(limit - 1) % PTL_QUOTA_SCOPES];
}

/* --- texts --- */

struct text {
        const char *at, *end;
};

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static struct text trimmed(struct text t)
{
        while (t.at < t.end && is_blank(*t.at))
                t.at++;
        while (t.at < t.end && is_blank(t.end[-1]))
                t.end--;
        return t;
}

static bool is_word(struct text t, const char *word)
{
        size_t size = strlen(word);

        return (size_t)(t.end - t.at) == size && !memcmp(t.at, word, size);
}

/* Up to @c, which is taken, too; all of it if there is none. */
static struct text cut(struct text *rest, char c)
{
        const char *found = memchr(rest->at, c, (size_t)(rest->end - rest->at));
        struct text t = {rest->at, found ? found : rest->end};

        rest->at = found ? found + 1 : rest->end;
        return t;
}

static struct ptl_limit *find_name(struct ptl_limits *limits, struct text name)
{
        static const char *const of_server[PTL_LIMIT_SERVER_KINDS] = {
                [PTL_LIMIT_SERVER_TASKS] = "server.tasks",
                [PTL_LIMIT_SERVER_NAMES] = "server.names",
                [PTL_LIMIT_SERVER_LOOK_UPS] = "server.look_ups",
                [PTL_LIMIT_SERVER_WATCHES] = "server.watches",
        };

        for (size_t i = 0; i < PTL_LIMIT_SERVER_KINDS; i++)
                if (is_word(name, of_server[i]))
                        return &limits->server[i];
        for (uint32_t i = 1; i <= PTL_QUOTA_LIMITS; i++)
                if (is_word(name, ptl_quota_name(i)))
                        return ptl_limits_find(limits, i);
        return NULL;
}

static uint64_t unit_of(char c)
{
        switch (c) {
        case 'K':
                return K;
        case 'M':
                return M;
        case 'G':
                return G;
        default:
                return 0;
        }
}

/* 0: it is none. */
static uint64_t value_of(struct text t)
{
        uint64_t n = 0, unit = 1;

        if (is_word(t, "unlimited"))
                return PTL_QUOTA_UNLIMITED;
        if (t.at < t.end && unit_of(t.end[-1]))
                unit = unit_of(*--t.end);
        if (t.at == t.end)
                return 0;
        for (; t.at < t.end; t.at++) {
                uint64_t digit = (uint64_t)(unsigned char)*t.at - '0';

                if (digit > 9 || __builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, digit, &n))
                        return 0;
        }
        return __builtin_mul_overflow(n, unit, &n) ? 0 : n;
}

static void add_fault(struct ptl_limits *limits, struct text text, uint32_t line,
                      enum ptl_quota_fault_why why, enum ptl_quota_origin origin, const char *path)
{
        struct ptl_quota_fault *f;
        size_t size = (size_t)(text.end - text.at);

        if (limits->n_faults++ >= PTL_LIMITS_FAULTS)
                return;
        f = &limits->faults[limits->n_faults - 1];
        *f = (struct ptl_quota_fault){.origin = origin, .why = why, .line = line};
        if (size)
                memcpy(f->text, text.at, size < sizeof f->text ? size : sizeof f->text - 1);
        strncpy(f->path, path, sizeof f->path - 1);
}

/* What is wrong with an item, or 0: it holds. */
static enum ptl_quota_fault_why take_item(struct ptl_limits *limits, struct text item,
                                          enum ptl_quota_origin origin)
{
        bool has_equals = memchr(item.at, '=', (size_t)(item.end - item.at)) != NULL;
        struct text name = cut(&item, '=');
        struct ptl_limit *limit;
        uint64_t value;

        if (!has_equals)
                return PTL_QUOTA_NO_EQUALS;
        limit = find_name(limits, trimmed(name));
        if (!limit)
                return PTL_QUOTA_NO_NAME;
        value = value_of(trimmed(item));
        if (!value)
                return PTL_QUOTA_NO_VALUE;
        *limit = (struct ptl_limit){.value = value, .origin = origin};
        return 0;
}

void ptl_limits_parse(struct ptl_limits *limits, const char *text, size_t size, char separator,
                      enum ptl_quota_origin origin, const char *path)
{
        struct text rest = {text, text + size};

        for (uint32_t line = 1; rest.at < rest.end; line++) {
                struct text whole = cut(&rest, separator), item = trimmed(cut(&whole, '#'));
                enum ptl_quota_fault_why why;

                if (item.at == item.end)
                        continue;
                why = take_item(limits, item, origin);
                if (why)
                        add_fault(limits, item, line, why, origin, path);
        }
}

/* --- files --- */

/* Only root and this user may say what this process may be made to hold. */
static enum ptl_quota_fault_why check_file(int fd)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return PTL_QUOTA_UNREADABLE;
        if (!S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()) || st.st_mode & 022)
                return PTL_QUOTA_NOT_SAFE;
        return st.st_size > PTL_LIMITS_FILE_MAX ? PTL_QUOTA_TOO_LONG : 0;
}

static ssize_t read_all(int fd, char *to, size_t room)
{
        size_t n = 0;

        while (n < room) {
                ssize_t got = read(fd, to + n, room - n);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -1;
                if (got == 0)
                        break;
                n += (size_t)got;
        }
        return (ssize_t)n;
}

static enum ptl_quota_fault_why read_file(struct ptl_limits *limits, int fd, enum ptl_quota_origin origin,
                                          const char *path)
{
        enum ptl_quota_fault_why why = check_file(fd);
        ptl_cleanup(ptl_freep) char *text = why ? NULL : malloc(PTL_LIMITS_FILE_MAX + 1);
        ssize_t size;

        if (why || !text)
                return why ? why : PTL_QUOTA_UNREADABLE;
        size = read_all(fd, text, PTL_LIMITS_FILE_MAX + 1);
        if (size < 0)
                return PTL_QUOTA_UNREADABLE;
        if (size > PTL_LIMITS_FILE_MAX) /* it grew meanwhile */
                return PTL_QUOTA_TOO_LONG;
        ptl_limits_parse(limits, text, (size_t)size, '\n', origin, path);
        return 0;
}

void ptl_limits_read(struct ptl_limits *limits, enum ptl_quota_origin origin, const char *path)
{
        PTL_NO_CANCEL;
        /* NONBLOCK: a FIFO of that name is no reason to wait for ever. */
        ptl_cleanup(ptl_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        enum ptl_quota_fault_why why;

        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
                return;
        why = fd < 0 ? PTL_QUOTA_UNREADABLE : read_file(limits, fd, origin, path);
        if (why)
                add_fault(limits, (struct text){NULL, NULL}, 0, why, origin, path);
}

static void read_user(struct ptl_limits *limits)
{
        const char *config = secure_getenv("XDG_CONFIG_HOME"), *home = secure_getenv("HOME");
        char path[4096];
        int n = -1;

        if (config && config[0] == '/')
                n = snprintf(path, sizeof path, "%s/portolan/limits", config);
        else if (home && home[0] == '/')
                n = snprintf(path, sizeof path, "%s/.config/portolan/limits", home);
        if (n > 0 && (size_t)n < sizeof path)
                ptl_limits_read(limits, PTL_QUOTA_BY_USER, path);
}

void ptl_limits_read_all(struct ptl_limits *limits)
{
        const char *said = secure_getenv("PORTOLAN_LIMITS");

        ptl_limits_init(limits);
        ptl_limits_read(limits, PTL_QUOTA_BY_SYSTEM, PTL_LIMITS_SYSTEM_PATH);
        read_user(limits);
        if (said)
                ptl_limits_parse(limits, said, strlen(said), ',', PTL_QUOTA_BY_ENVIRONMENT, "PORTOLAN_LIMITS");
}
