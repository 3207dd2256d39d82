/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.h - what tests of the public API share: checks that print outcomes, and short spellings
 *
 * API_TEST(name) { ... } is a TEST with a name server of its own, that leaves the library when it
 * returns: whatever is open or mapped then leaked.
 */
#pragma once
#include "tst.h"
#include <portolan/portolan.h>

#define API_TEST_TIMES(fn, n)                                                                      \
        static void fn##_body(void);                                                               \
        TEST_TIMES(fn, n)                                                                          \
        {                                                                                          \
                api_begin();                                                                       \
                fn##_body();                                                                       \
        }                                                                                          \
        static void fn##_body(void)

#define API_TEST(fn) API_TEST_TIMES(fn, 1)

/* What a call returned; both outcomes are printed by name. */
#define OUTCOME(call, expected) api_outcome(__FILE__, __LINE__, __func__, #call, (call), (expected))
#define OK(call)                OUTCOME(call, 0)

static inline void api_outcome(const char *file, int line, const char *func, const char *what,
                               int got, int expected)
{
        if (got == expected)
                return;
        fprintf(stderr, "# %s, not %s, from\n", ptl_outcome_name(got), ptl_outcome_name(expected));
        tst_fail(file, line, func, what);
}

static inline void api_leave(void) { OK(ptl_task_leave()); }

static inline void api_begin(void)
{
        tst_private_server();
        tst_at_end(api_leave);
}

/* Later than anything that is expected to happen at all, and before the deadline of a case. */
static inline ptl_time soon(void) { return ptl_after_ms(tst_deadline_ms(12000)); }

static inline ptl_port new_port(void)
{
        ptl_port p = PTL_NULL;

        OK(ptl_port_new(&p, NULL));
        CHECK(p != PTL_NULL);
        return p;
}

/* A port of this task whose name carries a send right, too. */
static inline ptl_port new_send_port(void)
{
        ptl_port p = new_port();

        OK(ptl_right_make_send(p));
        return p;
}

static inline ptl_port new_port_of(uint32_t messages, uint64_t bytes)
{
        struct ptl_port_options o = {.limit_messages = messages, .limit_bytes = bytes};
        ptl_port p = PTL_NULL;

        OK(ptl_port_new(&p, &o));
        OK(ptl_right_make_send(p));
        return p;
}

static inline ptl_port new_set(void)
{
        ptl_port p = PTL_NULL;

        OK(ptl_set_new(&p));
        CHECK(p != PTL_NULL);
        return p;
}

/* A name that was valid and is not. */
static inline ptl_port stale_name(void)
{
        ptl_port p = new_port();

        OK(ptl_port_free(p));
        return p;
}

static inline struct ptl_port_status status_of(ptl_port p)
{
        struct ptl_port_status s = {.rights = 0};

        OK(ptl_port_get_status(p, &s));
        return s;
}

static inline void check_rights(ptl_port p, uint32_t rights, uint32_t references)
{
        struct ptl_port_status s = status_of(p);

        CHECK_EQ(s.rights, rights);
        CHECK_EQ(s.references, references);
}

static inline void check_no_name(ptl_port p)
{
        struct ptl_port_status s;

        OUTCOME(ptl_port_get_status(p, &s), PTL_E_NAME);
}

static inline void put(ptl_port p, const char *text)
{
        OK(ptl_send(p, text, strlen(text) + 1, soon()));
}

static inline struct ptl_message take_message(ptl_port p)
{
        struct ptl_message m = {.size = 0};

        OK(ptl_receive(p, &m, soon()));
        return m;
}

static inline void check_text(const struct ptl_message *m, const char *text)
{
        CHECK_EQ(m->size, strlen(text) + 1);
        CHECK_STR_EQ((const char *)m->data, text);
}

static inline void take(ptl_port p, const char *text)
{
        struct ptl_message m = take_message(p);

        check_text(&m, text);
        ptl_message_release(&m);
}

static inline void check_empty(ptl_port p)
{
        struct ptl_message m;

        OUTCOME(ptl_receive(p, &m, PTL_NOW), PTL_E_EMPTY);
}

/* The next message of @p is the notification @kind. Returns its bytes. */
static inline struct ptl_notification take_notification(ptl_port p, uint32_t kind)
{
        struct ptl_message m = take_message(p);
        struct ptl_notification n;

        CHECK_EQ(m.kind, kind);
        CHECK_EQ(m.size, sizeof n);
        memcpy(&n, m.data, sizeof n);
        ptl_message_release(&m);
        return n;
}

static inline void take_dead_name(ptl_port notify, ptl_port name)
{
        CHECK_EQ(take_notification(notify, PTL_NOTIFY_DEAD_NAME).value, name);
}

/* Bytes that depend on their place and on @seed, so that mixed or shifted ones are seen. */
static inline void fill(void *data, size_t size, unsigned seed)
{
        unsigned char *b = data;

        for (size_t i = 0; i < size; i++)
                b[i] = (unsigned char)((i * 31 + (i >> 8) * 7 + seed * 131) & 0xff);
}

static inline bool is_filled(const void *data, size_t size, unsigned seed)
{
        const unsigned char *b = data;

        for (size_t i = 0; i < size; i++)
                if (b[i] != (unsigned char)((i * 31 + (i >> 8) * 7 + seed * 131) & 0xff))
                        return false;
        return true;
}

static inline struct ptl_task_statistics statistics(void)
{
        struct ptl_task_statistics s = {.sent = 0};

        OK(ptl_task_get_statistics(&s));
        return s;
}

/* Whether thread @tid (or process, if they are the same) of @pid sleeps in the kernel. */
static inline bool is_asleep(pid_t pid, pid_t tid)
{
        char path[64], text[512], *end;
        size_t n;
        FILE *f;

        snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)pid, (int)tid);
        if (!(f = fopen(path, "re")))
                return false;
        n = fread(text, 1, sizeof text - 1, f);
        fclose(f);
        text[n] = '\0';
        end = strrchr(text, ')');
        return end && end[1] == ' ' && end[2] == 'S';
}
