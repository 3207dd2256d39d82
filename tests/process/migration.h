/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migration.h - tasks that do with rights, receive rights too, what a case tells them (orders.h)
 *
 * Place 0 is a task's mailbox, published under its name. A task that is ASLEEP is in the library only while it does
 * what it was told, and so never enters it again ("Never again", docs/protocol/migration.md) until it is told something
 * else. One that ATTENDS is in the library all the time. At its end a task gives up all it has, and looks whether
 * descriptors or mappings are left.
 */
#pragma once
#include "not_yet.h"
#include "orders.h"
#include <stdarg.h>

static inline void attend(void)
{
        struct pollfd p = {.fd = 3, .events = POLLIN}; /* the line to the case (peer.c) */

        while (poll(&p, 1, 0) == 0)
                look_around();
}

/* task NAME WAY */
PEER(task)
{
        struct belongings before = belongings();
        bool attends = argc > 2 && !strcmp(argv[2], "attends");
        char line[256];

        pump = new_port();
        places[0] = new_port();
        OK(ptl_name_publish(argv[1], places[0]));
        peer_say(NULL, "is there");
        for (;;) {
                if (attends)
                        attend();
                if (!peer_hear_line(NULL, line, sizeof line))
                        break;
                obey(line);
        }
        leave_clean(before);
}

/* ---- the case's side ---- */

enum way { ASLEEP, ATTENDS };

static enum way way; /* how the tasks of this case are while they are told nothing */

/* A case for each way. */
#define EACH_WAY(fn)                                                                               \
        static void fn##_each(void);                                                               \
        API_TEST(fn##_asleep)                                                                      \
        {                                                                                          \
                not_yet(#fn "_asleep");                                                            \
                way = ASLEEP;                                                                      \
                fn##_each();                                                                       \
        }                                                                                          \
        API_TEST(fn##_attending)                                                                   \
        {                                                                                          \
                not_yet(#fn "_attending");                                                         \
                way = ATTENDS;                                                                     \
                fn##_each();                                                                       \
        }                                                                                          \
        static void fn##_each(void)

/* A case in which all must be in the library at some time: for an answer that nobody can do without. */
#define ATTENDING(fn)                                                                              \
        static void fn##_each(void);                                                               \
        API_TEST(fn)                                                                               \
        {                                                                                          \
                not_yet(#fn);                                                                      \
                way = ATTENDS;                                                                     \
                fn##_each();                                                                       \
        }                                                                                          \
        static void fn##_each(void)

static inline void start_task_as(struct peer *ret_task, const char *name, enum way its_way)
{
        peer_start(ret_task, "task", name, its_way == ATTENDS ? "attends" : "sleeps", NULL);
        peer_hear(ret_task, "is there");
}

static inline void start_task(struct peer *ret_task, const char *name) { start_task_as(ret_task, name, way); }

/* MIGRATION_TALK: every order, and what was said, to stderr. */
static inline bool is_overheard(void) { return getenv("MIGRATION_TALK") != NULL; }

__attribute__((format(printf, 2, 3))) static inline void tells(struct peer *t, const char *format, ...)
{
        char line[256];
        va_list args;

        va_start(args, format);
        vsnprintf(line, sizeof line, format, args);
        va_end(args);
        if (is_overheard())
                fprintf(stderr, "# %d: %s\n", (int)t->pid, line);
        peer_say(t, "%s", line);
}

/* Tells @t something, which then waits. What comes of it is heard by ends(). */
#define waits(t, ...)                                                                              \
        do {                                                                                       \
                tells(t, "!" __VA_ARGS__);                                                         \
                hears(__LINE__, t, "begins");                                                      \
                CHECK(tst_wait_until(is_asleep((t)->pid, (t)->pid), 5000));                        \
        } while (0)
#define ends(t, said) hears(__LINE__, t, said)

#define answers(t, said, ...)                                                                      \
        do {                                                                                       \
                tells(t, __VA_ARGS__);                                                             \
                hears(__LINE__, t, said);                                                          \
        } while (0)
#define does(t, ...) answers(t, "0", __VA_ARGS__)

static inline void hears(int line, struct peer *t, const char *expected)
{
        char said[SAID] = "(gone)";
        bool there = peer_hear_line(t, said, sizeof said);

        if (is_overheard())
                fprintf(stderr, "# %d:     %s\n", (int)t->pid, said);
        if (there && !strcmp(said, expected))
                return;
        fprintf(stderr, "# line %d: \"%s\", not \"%s\"\n", line, there ? said : "(gone)", expected);
        tst_fail(__FILE__, line, "answers", "what was said");
}

/* Asks again until it says so. */
static inline void comes_to_say(struct peer *t, const char *expected, const char *order)
{
        char said[SAID] = "";
        ptl_time late = ptl_after_ms(tst_deadline_ms(12000));

        do {
                peer_say(t, "%s", order);
                CHECK(peer_hear_line(t, said, sizeof said));
        } while (strcmp(said, expected) && ptl_now() < late);
        if (strcmp(said, expected))
                fprintf(stderr, "# %d: %s\n", (int)t->pid, order);
        CHECK_STR_EQ(said, expected);
}

/* ---- the scene of most cases ---- */

/* B has the port, D gets it, H sends to it; E is another. Place 1 of all is the port; B's 2 and 3 are D's and H's mailboxes. */
static struct peer b, d, e __attribute__((unused)), h;

/* @t has a right to @other's mailbox in @place, and has heard of it. */
static inline void meets(struct peer *t, int its_place, struct peer *other, const char *name)
{
        does(t, "look %d %s", its_place, name);
        does(t, "send %d hello", its_place);
        answers(other, "hello", "take 0");
}

/*
 * H has a send right to B's port, which holds @limit messages, and neither H nor D knows the other. B has heard of both: a
 * link that nobody has answered is a case of its own.
 */
static inline void start_with_limit(const char *limit)
{
        start_task(&b, "b");
        start_task(&d, "d");
        start_task(&h, "h");
        does(&b, "make 1 %s", limit);
        meets(&b, 2, &d, "d");
        meets(&b, 3, &h, "h");
        does(&b, "give 3 soon 1 make");
        answers(&h, "2", "store 0 1");
}

static inline void start_three(void) { start_with_limit("0"); }

static inline void moves(void)
{
        does(&b, "give 2 soon 1 receive");
        answers(&d, "1", "store 0 1");
}

static inline void end_three(void)
{
        peer_end(&h);
        peer_end(&d);
        peer_end(&b);
}
