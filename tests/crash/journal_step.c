/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_step.c - kills the server after every machine instruction of what it writes into its journal
 *
 * After the death its successor reads all records of before the update, or all of after it, and goes on.
 */
#include "server/journal.h"
#include "shm/outbox.h"
#include "step.h"
#include "tst.h"

enum { SIZE = 40, FILL = 30, ANEW = 4 };

struct scene {
        struct journal journal;
        char *memory, *copy; /* the first is shared with the victim */
        int fd;
        uint64_t before, after; /* sums of what is read */
        bool was_after;
        unsigned looks_before, looks_after;
};

static uint64_t sum_of(const struct journal *j);

static void put(struct journal *j, uint64_t value)
{
        uint64_t body[SIZE / 8] = {value, ~value, value, ~value, value};

        CHECK(journal_append(j, (uint32_t)value, body, sizeof body, value % 2) == 0);
}

static int add(void *arg, uint32_t kind, const void *body, size_t size)
{
        uint64_t value[SIZE / 8];

        CHECK_EQ(size, sizeof value);
        memcpy(value, body, size);
        CHECK(value[0] == kind && value[1] == ~value[0] && value[4] == value[0]);
        *(uint64_t *)arg = *(uint64_t *)arg * 31 + value[0];
        return 0;
}

static uint64_t sum_of(const struct journal *j)
{
        uint64_t sum = 0;

        CHECK_EQ(journal_read(j, add, &sum), 0);
        return sum;
}

static char *empty(void)
{
        char *p = mmap(NULL, JOURNAL_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        CHECK(p != MAP_FAILED);
        return p;
}

static void scene_open(struct scene *s)
{
        void *memory;

        *s = (struct scene){.copy = empty(), .fd = -EBADF};
        CHECK_EQ(ptl_kept_memory_create(JOURNAL_SIZE, &s->fd, &memory), 0); /* what is given back is gone at once */
        s->memory = memory;
        journal_format(&s->journal, s->memory, s->fd, (const uint64_t[]){1, 2});
        for (uint64_t i = 0; i < FILL; i++)
                put(&s->journal, i);
}

static void scene_close(struct scene *s)
{
        close(s->fd);
        CHECK(munmap(s->memory, JOURNAL_SIZE) == 0 && munmap(s->copy, JOURNAL_SIZE) == 0);
}

/* The head, and what is in use of both areas. */
static void copy(struct scene *s)
{
        static const size_t parts[] = {0, JOURNAL_HEAD, JOURNAL_HEAD + JOURNAL_AREA};

        for (size_t i = 0; i < ARRAY_LEN(parts); i++)
                memcpy(s->copy + parts[i], s->memory + parts[i], 8192);
}

static void look(void *arg)
{
        struct scene *s = arg;
        struct journal j;
        uint64_t sum;

        copy(s);
        CHECK_EQ(journal_check(&j, s->copy, -EBADF), 0);
        sum = sum_of(&j);
        CHECK(sum == s->before || sum == s->after);
        CHECK(sum == s->after || !s->was_after); /* once written, never unwritten */
        s->was_after = sum == s->after;
        s->looks_before += sum == s->before;
        s->looks_after += sum == s->after;
        put(&j, 77); /* its successor goes on, and writes all anew */
        CHECK_EQ(sum_of(&j), sum * 31 + 77);
        CHECK_EQ(journal_begin(&j), 0);
        put(&j, 5);
        journal_finish(&j);
        CHECK_EQ(sum_of(&j), 5);
        memset(s->copy + JOURNAL_HEAD, 0, 8192);
        memset(s->copy + JOURNAL_HEAD + JOURNAL_AREA, 0, 8192);
}

static void play(struct scene *s, step_fn *act)
{
        unsigned points;
        int r;

        s->before = sum_of(&s->journal);
        r = step_every_instruction(act, look, s, &points);
        if (r == -EPERM)
                SKIP("ptrace is not permitted");
        CHECK_EQ(r, 0);
        fprintf(stderr, "# %u points\n", points);
        CHECK(s->was_after && s->looks_before > 100 && s->looks_after > 0);
        scene_close(s);
}

static struct scene scene;

static void append_one(void *arg) { put(&((struct scene *)arg)->journal, 1000); }

TEST(it_may_die_anywhere_in_an_append)
{
        struct scene *s = &scene;

        scene_open(s);
        s->after = sum_of(&s->journal) * 31 + 1000;
        play(s, append_one);
}

TEST(it_may_die_anywhere_in_the_first_append)
{
        struct scene *s = &scene;

        scene_open(s);
        journal_format(&s->journal, s->memory, s->fd, (const uint64_t[]){3, 4});
        s->after = 1000;
        play(s, append_one);
}

static void write_anew(void *arg)
{
        struct scene *s = arg;

        CHECK(journal_begin(&s->journal) == 0);
        for (uint64_t i = 0; i < ANEW; i++)
                put(&s->journal, 200 + i);
        journal_finish(&s->journal);
}

static void die_writing_anew(struct scene *s)
{
        for (uint64_t i = 0; i < ANEW; i++)
                s->after = s->after * 31 + 200 + i;
        play(s, write_anew);
}

TEST(it_may_die_anywhere_while_all_is_written_anew)
{
        scene_open(&scene);
        die_writing_anew(&scene);
}

TEST(it_may_die_anywhere_while_all_is_written_anew_back_into_the_first_area)
{
        struct scene *s = &scene;

        scene_open(s);
        write_anew(s);
        for (uint64_t i = 0; i < FILL; i++)
                put(&s->journal, 300 + i);
        die_writing_anew(s);
}
