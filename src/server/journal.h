/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/journal.h - what must outlive the server, in memory that its successor can check
 *
 * A sparse memfd of fixed size: a head, and two areas for records. One word says which area counts and how
 * much of it. A record is written behind what counts, then the word is stored; all records anew are written
 * into the other area, then the word is stored. So at any instant the journal says what it said before an
 * update or what it says after, and a SIGKILL cannot make it say anything else.
 *
 *   head    0 magic u32 · 4 version u32 · 8 size u64 · 16 key (2 × u64) · 32 check u64
 *           64 the word: bit 63 area · 32–62 check · 0–31 bytes that count
 *   record  0 check u64 · 8 size u32, of the whole, a multiple of 8 · 12 kind u32 · 16 body
 *
 * Checks are SipHash-1-3 with the journal's key; a record's goes over its place in the file, size, kind and body.
 *
 * Invariants, also after SIGKILL at any instruction:
 *   J1  what the word counts was written before it was stored; nothing of it is written again while it counts
 *   J2  the other area is touched only between journal_begin() and the store of the word, and after that store
 *
 * E1: the word's release store -> the successor's acquire load: the records that it counts.
 * Only one process at a time has a journal open: the service manager starts a server when its last one is dead.
 */
#pragma once
#include <portolan/outcome.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        JOURNAL_MAGIC = 0x4a4c5450, /* "PTLJ" */
        JOURNAL_VERSION = 1,
        JOURNAL_RECORD_MAX = 512,
};

#define JOURNAL_HEAD 0x10000u /* of the file: the largest page */
#define JOURNAL_AREA (32u << 20)
#define JOURNAL_SIZE (JOURNAL_HEAD + 2 * JOURNAL_AREA)

struct journal {
        char *base;  /* NULL: none, and all that is written is lost */
        int fd;      /* -EBADF: memory that needs no reserving (tests) */
        uint64_t key[2];
        unsigned area; /* the one that is written to */
        bool is_draft; /* and does not count yet */
        bool is_behind; /* something could not be written: all is to be written anew */
        uint32_t used, base_used; /* bytes of it; when it was last written anew */
        uint32_t reserved[2]; /* bytes of each that have memory */
};

/* Called for each record, in their order; ends the reading with what it returns unless that is 0. */
typedef int journal_visit(void *arg, uint32_t kind, const void *body, size_t size);

/**
 * journal_create - a new one, empty
 * Return: 0, -ENOMEM, -ENOSPC, -EMFILE, ...
 */
PTL_MUST_CHECK int journal_create(struct journal *ret_journal);

/**
 * journal_open - go on with one that was left behind
 * @fd: consumed on success; anything
 *
 * Checks what it is, not its records: journal_read() does.
 * Return: 0, PTL_E_MALFORMED, PTL_E_VERSION, -errno.
 */
PTL_MUST_CHECK int journal_open(struct journal *ret_journal, int fd);

/* Leaves it as it is. */
void journal_close(struct journal *journal);

/* Of memory that is mapped already, @base of JOURNAL_SIZE bytes; @fd borrowed. Apart for tests. */
void journal_format(struct journal *ret_journal, char *base, int fd, const uint64_t key[2]);
PTL_MUST_CHECK int journal_check(struct journal *ret_journal, char *base, int fd);

/**
 * journal_read - all records that count
 *
 * Each is copied before it is checked. Return: 0, PTL_E_MALFORMED (one of them, or the word, is damaged), what
 * @visit returned.
 */
PTL_MUST_CHECK int journal_read(const struct journal *journal, journal_visit *visit, void *arg);

/**
 * journal_append - one more record
 * @size: of @body; at most JOURNAL_RECORD_MAX - 16. Padded with zeros
 * @is_end: it says that something is no more. For these an eighth of an area is kept free
 *
 * Return: 0, PTL_E_FULL, -ENOMEM, -ENOSPC. Without a journal: 0.
 */
PTL_MUST_CHECK int journal_append(struct journal *journal, uint32_t kind, const void *body, size_t size,
                                  bool is_end);

/* Is most of it about what is no more, or is it behind? Then all records are to be written anew. */
bool journal_wants_anew(const struct journal *journal);

/**
 * journal_begin - write all records anew: then append them, then journal_finish(), from which on these count
 *
 * Reserves as much as is written now, so that what was written finds room again.
 * Return: 0, -ENOMEM, -ENOSPC: nothing has changed.
 */
PTL_MUST_CHECK int journal_begin(struct journal *journal);
void journal_finish(struct journal *journal);
