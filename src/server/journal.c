/* SPDX-License-Identifier: Apache-2.0 */
/* server/journal.c - see journal.h */
#define _GNU_SOURCE
#include "server/journal.h"
#include "base/atomic.h"
#include "base/cleanup.h"
#include "server/map.h"
#include "shm/outbox.h"
#include <assert.h>
#include <string.h>
#include <sys/random.h>

enum {
        STEP = 64 << 10,              /* of reservations */
        SLACK = 64 << 10,             /* of what is no more, before all is written anew */
        FOR_ENDS = JOURNAL_AREA / 8,  /* of an area; as much garbage as a full one must have, too */
};

struct head {
        uint32_t magic, version;
        uint64_t size;
        uint64_t key[2];
        uint64_t check; /* of what stands before it */
        uint64_t reserved[3];
        _Atomic uint64_t word;
};

_Static_assert(offsetof(struct head, word) == 64, "layout");

/* As it stands in the file; to be hashed it has its place where its check is. */
struct record {
        uint64_t check;
        uint32_t size, kind;
        char body[JOURNAL_RECORD_MAX - 16];
};

_Static_assert(sizeof(struct record) == JOURNAL_RECORD_MAX, "layout");

static struct head *head_of(const struct journal *j) { return (struct head *)(void *)j->base; }

static uint64_t place_of(unsigned area, uint32_t used) { return JOURNAL_HEAD + (uint64_t)area * JOURNAL_AREA + used; }

static uint64_t check_of_head(const struct head *head)
{
        return map_siphash(head->key, head, offsetof(struct head, check));
}

static uint64_t check_of_record(const struct journal *j, uint64_t place, struct record *record)
{
        record->check = place;
        return map_siphash(j->key, record, record->size);
}

/* ---- the word ---- */

static uint64_t word_of(const struct journal *j, unsigned area, uint32_t used)
{
        uint64_t plain = (uint64_t)area << 63 | used;

        return plain | (map_siphash(j->key, &plain, sizeof plain) & 0x7fffffff) << 32;
}

static void commit(struct journal *j)
{
        ptl_store_release(&head_of(j)->word, word_of(j, j->area, j->used)); /* E1 */
}

static int load_word(struct journal *j)
{
        uint64_t word = ptl_load_acquire(&head_of(j)->word); /* E1 */

        j->area = word >> 63;
        j->used = (uint32_t)word;
        if (word != word_of(j, j->area, j->used) || j->used > JOURNAL_AREA || j->used % 8)
                return PTL_E_MALFORMED;
        return 0;
}

/* ---- making, opening ---- */

void journal_format(struct journal *ret_journal, char *base, int fd, const uint64_t key[2])
{
        struct head head = {.magic = JOURNAL_MAGIC, .version = JOURNAL_VERSION, .size = JOURNAL_SIZE, .key = {key[0], key[1]}};

        *ret_journal = (struct journal){.base = base, .fd = fd, .key = {key[0], key[1]}};
        head.check = check_of_head(&head);
        memcpy(base, &head, offsetof(struct head, word));
        commit(ret_journal);
}

int journal_check(struct journal *ret_journal, char *base, int fd)
{
        struct journal j = {.base = base, .fd = fd};
        struct head head;
        int r;

        memcpy(&head, base, offsetof(struct head, word));
        if (head.magic != JOURNAL_MAGIC)
                return PTL_E_MALFORMED;
        if (head.version != JOURNAL_VERSION) /* before the rest, which another version may have otherwise */
                return PTL_E_VERSION;
        if (head.size != JOURNAL_SIZE || head.check != check_of_head(&head))
                return PTL_E_MALFORMED;
        memcpy(j.key, head.key, sizeof j.key);
        r = load_word(&j);
        if (r)
                return r;
        j.base_used = j.used / 2; /* it may be half about what is no more: nobody knows here */
        j.reserved[j.area] = j.used;
        *ret_journal = j;
        return 0;
}

int journal_create(struct journal *ret_journal)
{
        ptl_cleanup(ptl_closep) int fd = -EBADF;
        uint64_t key[2];
        void *base;
        int r;

        if (getrandom(key, sizeof key, 0) != sizeof key)
                return -errno;
        r = ptl_kept_memory_create(JOURNAL_SIZE, &fd, &base);
        if (r)
                return r;
        r = ptl_kept_memory_reserve(fd, 0, JOURNAL_HEAD);
        if (r) {
                ptl_memory_unmap(base, JOURNAL_SIZE);
                return r;
        }
        journal_format(ret_journal, base, ptl_steal_fd(&fd), key);
        return 0;
}

int journal_open(struct journal *ret_journal, int fd)
{
        void *base;
        int r = ptl_kept_memory_attach(fd, JOURNAL_SIZE, &base);

        if (r)
                return r;
        r = journal_check(ret_journal, base, fd);
        if (r)
                ptl_memory_unmap(base, JOURNAL_SIZE);
        return r;
}

void journal_close(struct journal *j)
{
        if (j->base && j->fd >= 0)
                ptl_memory_unmap(j->base, JOURNAL_SIZE);
        j->base = NULL;
        j->fd = ptl_close(j->fd);
}

/* ---- reading ---- */

/* A private copy of the record at @used; 0 if it is what its check says. */
static int copy_record(const struct journal *j, uint32_t used, struct record *ret_record)
{
        const char *from = j->base + place_of(j->area, used);
        uint32_t left = j->used - used;
        uint64_t check;

        if (left < offsetof(struct record, body))
                return PTL_E_MALFORMED;
        memcpy(ret_record, from, offsetof(struct record, body));
        if (ret_record->size < offsetof(struct record, body) || ret_record->size > sizeof *ret_record ||
            ret_record->size > left || ret_record->size % 8)
                return PTL_E_MALFORMED;
        memcpy(ret_record->body, from + offsetof(struct record, body), ret_record->size - offsetof(struct record, body));
        check = ret_record->check;
        return check == check_of_record(j, place_of(j->area, used), ret_record) ? 0 : PTL_E_MALFORMED;
}

int journal_read(const struct journal *j, journal_visit *visit, void *arg)
{
        struct record record;

        for (uint32_t used = 0; used < j->used; used += record.size) {
                int r = copy_record(j, used, &record);

                if (!r)
                        r = visit(arg, record.kind, record.body, record.size - offsetof(struct record, body));
                if (r)
                        return r;
        }
        return 0;
}

/* ---- writing ---- */

static int reserve(struct journal *j, uint32_t size)
{
        uint32_t *reserved = &j->reserved[j->area], end = (j->used + size + STEP - 1) / STEP * STEP;
        int r;

        if (j->used + size <= *reserved)
                return 0;
        r = j->fd < 0 ? 0 : ptl_kept_memory_reserve(j->fd, place_of(j->area, *reserved), end - *reserved);
        if (!r)
                *reserved = end;
        return r;
}

int journal_append(struct journal *j, uint32_t kind, const void *body, size_t size, bool is_end)
{
        struct record record = {.kind = kind, .size = (uint32_t)(offsetof(struct record, body) + (size + 7) / 8 * 8)};
        uint64_t place;
        int r;

        if (!j->base)
                return 0;
        assert(record.size <= sizeof record);
        if (j->used + record.size > JOURNAL_AREA - (is_end ? 0 : FOR_ENDS))
                return PTL_E_FULL;
        r = reserve(j, record.size);
        if (r)
                return r;
        place = place_of(j->area, j->used);
        memcpy(record.body, body, size);
        record.check = check_of_record(j, place, &record);
        memcpy(j->base + place, &record, record.size);
        j->used += record.size;
        if (!j->is_draft)
                commit(j);
        return 0;
}

bool journal_wants_anew(const struct journal *j)
{
        uint32_t garbage = j->used - j->base_used;

        if (!j->base)
                return false;
        /* A full one is written anew only if that is worth its cost. */
        return j->is_behind || garbage > j->base_used + SLACK ||
               (j->used > JOURNAL_AREA - 2 * FOR_ENDS && garbage > FOR_ENDS);
}

/* What does not count any more, or was not needed after all. */
static void release(struct journal *j, unsigned area, uint32_t from)
{
        from = (from + STEP - 1) / STEP * STEP;
        if (j->fd >= 0)
                ptl_kept_memory_release(j->fd, place_of(area, from), JOURNAL_AREA - from);
        j->reserved[area] = from;
}

int journal_begin(struct journal *j)
{
        uint32_t size = j->used;
        int r;

        assert(!j->is_draft);
        j->area = !j->area;
        j->used = 0;
        r = reserve(j, size);
        if (r) {
                j->area = !j->area;
                j->used = size;
                return r;
        }
        j->is_draft = true;
        return 0;
}

void journal_finish(struct journal *j)
{
        assert(j->is_draft);
        commit(j);
        j->is_draft = j->is_behind = false;
        j->base_used = j->used;
        release(j, !j->area, 0); /* J2 */
        release(j, j->area, j->used);
}
