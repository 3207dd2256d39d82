/* SPDX-License-Identifier: Apache-2.0 */
/* server/journal_test.c - records that are found again, all or none */
#define _GNU_SOURCE
#include "server/journal.h"
#include "base/cleanup.h"
#include "shm/outbox.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <tst.h>

enum { LONG = JOURNAL_RECORD_MAX - 16 };

struct seen {
        unsigned n;
        uint64_t sum;
};

static int count(void *arg, uint32_t kind, const void *body, size_t size)
{
        struct seen *seen = arg;
        uint64_t value;

        CHECK(size >= sizeof value);
        memcpy(&value, body, sizeof value);
        CHECK_EQ(kind, value % 7 + 1);
        seen->n++;
        seen->sum += value;
        return 0;
}

static int put(struct journal *j, uint64_t value, size_t size, bool is_end)
{
        uint64_t body[LONG / 8] = {value};

        return journal_append(j, (uint32_t)(value % 7) + 1, body, size, is_end);
}

static struct seen read_all(const struct journal *j)
{
        struct seen seen = {0};

        CHECK_EQ(journal_read(j, count, &seen), 0);
        return seen;
}

/* What a successor finds. */
static struct journal open_again(const struct journal *j)
{
        struct journal again;
        int fd = fcntl(j->fd, F_DUPFD_CLOEXEC, 0);

        CHECK(fd >= 0);
        CHECK_EQ(journal_open(&again, fd), 0);
        return again;
}

static uint64_t blocks(const struct journal *j)
{
        struct stat st;

        CHECK(fstat(j->fd, &st) == 0);
        return (uint64_t)st.st_blocks * 512;
}

TEST(what_was_appended_is_read_in_order_by_the_successor)
{
        struct journal j, next;
        struct seen seen;

        CHECK_EQ(journal_create(&j), 0);
        for (uint64_t i = 1; i <= 1000; i++)
                CHECK_EQ(put(&j, i, 8 + i % 400, false), 0);
        next = open_again(&j);
        journal_close(&j);
        seen = read_all(&next);
        CHECK(seen.n == 1000 && seen.sum == 1000 * 1001 / 2);
        CHECK_EQ(put(&next, 1001, 8, false), 0); /* it goes on */
        CHECK_EQ(read_all(&next).n, 1001);
        journal_close(&next);
}

TEST(what_is_written_anew_counts_when_it_is_finished)
{
        struct journal j, next;

        CHECK_EQ(journal_create(&j), 0);
        for (int lap = 0; lap < 3; lap++) {
                for (uint64_t i = 1; i <= 20; i++)
                        CHECK_EQ(put(&j, i, 8, false), 0);
                CHECK_EQ(journal_begin(&j), 0);
                for (uint64_t i = 1; i <= 3; i++)
                        CHECK_EQ(put(&j, 100 * i, 8, false), 0);
                next = open_again(&j); /* killed here */
                CHECK_EQ(read_all(&next).n, lap ? 23 : 20);
                journal_close(&next);
                journal_finish(&j);
                next = open_again(&j);
                CHECK_EQ(read_all(&next).sum, 600);
                journal_close(&next);
        }
        journal_close(&j);
}

TEST(much_that_is_no_more_asks_to_be_written_anew_and_gives_its_memory_back)
{
        struct journal j;
        uint64_t before;
        unsigned n = 0;

        CHECK_EQ(journal_create(&j), 0);
        before = blocks(&j);
        while (!journal_wants_anew(&j)) {
                CHECK_EQ(put(&j, 1, LONG, false), 0);
                CHECK(++n < 1000);
        }
        CHECK(n > 100);
        CHECK_EQ(journal_begin(&j), 0);
        CHECK_EQ(put(&j, 1, LONG, false), 0);
        journal_finish(&j);
        CHECK(!journal_wants_anew(&j));
        CHECK(blocks(&j) <= before + (64 << 10));
        journal_close(&j);
}

TEST(a_full_journal_refuses_and_has_room_for_ends)
{
        struct journal j, next;
        unsigned n = 0, ends = 0;

        CHECK_EQ(journal_create(&j), 0);
        while (put(&j, 1, LONG, false) == 0)
                n++;
        CHECK_EQ(put(&j, 1, LONG, false), PTL_E_FULL);
        CHECK(n >= JOURNAL_AREA / JOURNAL_RECORD_MAX * 3 / 4);
        while (put(&j, 1, 24, true) == 0)
                ends++;
        CHECK(ends >= JOURNAL_AREA / 8 / 40);
        next = open_again(&j);
        CHECK_EQ(read_all(&next).n, n + ends);
        journal_close(&next);
        journal_close(&j);
}

/* All that is in use, one bit after another: nothing is read that was not written. */
TEST(a_flipped_bit_is_noticed_wherever_it_is)
{
        static const uint32_t unused[] = {40, 64}; /* of the head */
        struct journal j, next;
        unsigned missed = 0;

        CHECK_EQ(journal_create(&j), 0);
        for (uint64_t i = 1; i <= 3; i++)
                CHECK_EQ(put(&j, i, 24, false), 0);
        for (uint32_t at = 0; at < JOURNAL_HEAD + j.used; at = at == 71 ? JOURNAL_HEAD : at + 1) {
                for (int bit = 0; bit < 8; bit++) {
                        struct seen seen = {0};
                        int fd = fcntl(j.fd, F_DUPFD_CLOEXEC, 0), r;

                        next = (struct journal){.fd = -EBADF};
                        j.base[at] ^= (char)(1 << bit);
                        r = journal_open(&next, fd);
                        if (!r)
                                r = journal_read(&next, count, &seen);
                        missed += r == 0 && !(at >= unused[0] && at < unused[1]);
                        CHECK(r == 0 || r == PTL_E_MALFORMED || (r == PTL_E_VERSION && at >= 4 && at < 8));
                        if (next.base)
                                journal_close(&next);
                        else
                                close(fd);
                        j.base[at] ^= (char)(1 << bit);
                }
        }
        CHECK_EQ(missed, 0);
        journal_close(&j);
}

TEST(a_record_in_anothers_place_is_noticed)
{
        struct journal j;
        struct seen seen = {0};
        char record[40];

        CHECK_EQ(journal_create(&j), 0);
        CHECK_EQ(put(&j, 1, 24, false), 0);
        CHECK_EQ(put(&j, 1, 24, false), 0);
        memcpy(record, j.base + JOURNAL_HEAD, sizeof record); /* the same bytes, but for the place */
        CHECK(memcmp(record, j.base + JOURNAL_HEAD + 40, sizeof record));
        memcpy(j.base + JOURNAL_HEAD + 40, record, sizeof record);
        CHECK_EQ(journal_read(&j, count, &seen), PTL_E_MALFORMED);
        journal_close(&j);
}

TEST(without_memory_nothing_is_lost)
{
        struct journal j;
        struct seen seen;

        CHECK_EQ(journal_create(&j), 0);
        CHECK_EQ(put(&j, 1, 24, false), 0);
        close(j.fd); /* reserving fails */
        j.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        while (put(&j, 1, LONG, false) == 0)
                ;
        seen = read_all(&j);
        CHECK(put(&j, 1, LONG, false) < 0);
        CHECK(journal_begin(&j) < 0);
        CHECK_EQ(read_all(&j).n, seen.n);
        journal_close(&j);
}
