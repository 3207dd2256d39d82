/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process/hostile_peer_test.c - a peer that puts anything at all into its outbox
 *
 * Whatever it writes, the victim lives, answers others, and has ended at most that one link. What
 * comes on the socket is hostile_socket_test.c's.
 *
 *   HOSTILE_MUTATIONS   of the long loop (4000)
 *   HOSTILE_SEED        of its choices (else the time); printed
 */
#define _GNU_SOURCE
#include "link_raw.h"
#include "proc.h"
#include "sanitizer.h"

/* ---- one lie each ---- */

static void *at_tail(struct link_raw *l)
{
        return l->tx.base + (l->tx.position & (l->tx.size - 1));
}

/* A header at the tail, as it is given. */
static void put_head(struct link_raw *l, struct ptl_frame_head head)
{
        uint64_t word = head.word;
        char *at = at_tail(l);

        memcpy(at + sizeof word, (char *)&head + sizeof word, sizeof head - sizeof word);
        ptl_store_release((_Atomic uint64_t *)(void *)at, word); /* E1, as an honest writer would */
        link_raw_ring(l);
}

static void put_kind(struct link_raw *l, unsigned kind, uint32_t length, uint32_t sequence,
                     uint32_t aux)
{
        put_head(l, (struct ptl_frame_head){.word = ptl_frame_stamp(l->tx.position) |
                                                    (uint64_t)length << 8 | kind,
                                            .right = RIGHT,
                                            .sequence = l->tx.sequence + sequence,
                                            .aux = aux});
}

static void no_kind(struct link_raw *l) { put_kind(l, PTL_FRAME_NONE, 0, 0, 0); }
static void kind_after_the_last(struct link_raw *l) { put_kind(l, PTL_FRAME_KINDS, 0, 0, 0); }
static void kind_255(struct link_raw *l) { put_kind(l, 255, 0, 0, 0); }
static void too_long(struct link_raw *l)
{
        put_kind(l, PTL_FRAME_INLINE, PTL_INLINE_MAX + 1, 0, 0);
}
static void longest(struct link_raw *l) { put_kind(l, PTL_FRAME_RICH, PTL_FRAME_LENGTH_MAX, 0, 0); }
static void doubled(struct link_raw *l) { put_kind(l, PTL_FRAME_INLINE, 8, (uint32_t)-1, 0); }
static void left_out(struct link_raw *l) { put_kind(l, PTL_FRAME_INLINE, 8, 1, 0); }
static void grow_nowhere(struct link_raw *l) { put_kind(l, PTL_FRAME_GROW, 0, 0, 0); }
static void grow_too_far(struct link_raw *l) { put_kind(l, PTL_FRAME_GROW, 0, 0, 2); }
static void library_kind(struct link_raw *l) { put_kind(l, PTL_FRAME_INLINE, 8, 0, 0x80000000u); }

/* Words that are no frame of this position: nothing is there. An honest frame then overwrites them.
 */
static void stamp_of_the_next(struct link_raw *l)
{
        put_head(l, (struct ptl_frame_head){
                            .word = ptl_frame_word(l->tx.position + 8, 8, PTL_FRAME_INLINE)});
}
static void stamp_of_the_next_lap(struct link_raw *l)
{
        put_head(l, (struct ptl_frame_head){.word = ptl_frame_word(l->tx.position + l->tx.size, 8,
                                                                   PTL_FRAME_INLINE)});
}
static void stamp_without_its_bit(struct link_raw *l)
{
        put_head(l,
                 (struct ptl_frame_head){
                         .word = ptl_frame_word(l->tx.position, 8, PTL_FRAME_INLINE) & INT64_MAX});
}

/* The ring's start, where a pad would lead to itself. */
static void pad_without_end(struct link_raw *l)
{
        uint64_t left = l->tx.size - l->tx.position;
        char body[5000] = "";

        for (; left; left = l->tx.size - l->tx.position)
                CHECK(link_raw_frame(l, PTL_FRAME_RETIRE, (struct ptl_frame_head){.right = 300},
                                     body,
                                     left > sizeof body ? 3000 : (uint32_t)left - PTL_FRAME_HEAD));
        put_kind(l, PTL_FRAME_PAD, 0, 0, 0);
}

/* Each position of the payload is a header that would be right there, were it one. */
static void believable_payload(struct link_raw *l)
{
        uint64_t words[1000], at = l->tx.position + PTL_FRAME_HEAD;

        for (size_t i = 0; i < ARRAY_LEN(words); i++)
                words[i] = ptl_frame_word(at + 8 * i, 3, (enum ptl_frame_kind)255);
        for (int i = 0; i < 40; i++) /* several laps */
                CHECK(link_raw_frame(l, PTL_FRAME_INLINE, (struct ptl_frame_head){.right = RIGHT},
                                     words, sizeof words));
}

static void unknown_right(struct link_raw *l) { link_raw_message(l, 2 | PTL_RIGHT_CLAIMED, 0); }
static void never_granted(struct link_raw *l) { link_raw_message(l, 1, 0); }
static void right_0(struct link_raw *l) { link_raw_message(l, 0, 0); }
static void right_beyond(struct link_raw *l) { link_raw_message(l, UINT32_MAX, 0); }
static void other_generation(struct link_raw *l) { link_raw_message(l, RIGHT | 1u << PTL_RIGHT_GENERATION_SHIFT, 0); }

static void with_head(struct link_raw *l, enum ptl_frame_kind kind, uint32_t right, uint32_t token)
{
        link_raw_frame(l, kind, (struct ptl_frame_head){.right = right, .token = token}, "12345678",
                       kind == PTL_FRAME_INLINE ? 8 : 0);
}

static void claimed_token(struct link_raw *l) { with_head(l, PTL_FRAME_INLINE, RIGHT, RIGHT); }
static void token_without_index(struct link_raw *l)
{
        with_head(l, PTL_FRAME_INLINE, RIGHT, 1u << PTL_RIGHT_GENERATION_SHIFT);
}
static void release_none(struct link_raw *l) { with_head(l, PTL_FRAME_RELEASE, RIGHT, 0); }
static void release_two(struct link_raw *l) { with_head(l, PTL_FRAME_RELEASE, RIGHT, 2); }
static void release_all(struct link_raw *l) { with_head(l, PTL_FRAME_RELEASE, RIGHT, UINT32_MAX); }
static void release_unknown(struct link_raw *l) { with_head(l, PTL_FRAME_RELEASE, 9, 1); }
static void release_twice(struct link_raw *l)
{
        with_head(l, PTL_FRAME_RELEASE, RIGHT, 1);
        with_head(l, PTL_FRAME_RELEASE, RIGHT, 1);
}
static void say_limit(struct link_raw *l, uint32_t limit, uint32_t token, uint32_t length)
{
        link_raw_frame(l, PTL_FRAME_LIMIT, (struct ptl_frame_head){.token = token, .aux = limit}, "12345678", length);
}
static void limit_none(struct link_raw *l) { say_limit(l, 0, 1, 8); }
static void limit_unknown(struct link_raw *l) { say_limit(l, UINT32_MAX, 1, 8); }
static void limit_token(struct link_raw *l) { say_limit(l, 1, 2, 8); }
static void limit_short(struct link_raw *l) { say_limit(l, 1, 1, 4); }
static void limit_unreached(struct link_raw *l)
{
        say_limit(l, 1, 1, 8);
        say_limit(l, 1, 0, 8);
}
static void use_after_release(struct link_raw *l)
{
        with_head(l, PTL_FRAME_RELEASE, RIGHT, 1);
        link_raw_message(l, RIGHT, 0);
}

static void claim_0(struct link_raw *l) { link_raw_claim(l, 0, l->ticket); }
static void claim_twice(struct link_raw *l) { link_raw_claim(l, 1, l->ticket); }
static void claim_beyond(struct link_raw *l) { link_raw_claim(l, PTL_RIGHT_INDEX_MAX, l->ticket); }
static void claim_short(struct link_raw *l) { with_head(l, PTL_FRAME_CLAIM, 2, 0); }
/* Answered with DEAD: it may have been right once. What comes through it is destroyed. */
static void claim_forged(struct link_raw *l)
{
        link_raw_claim(l, 2, l->ticket ^ (uint64_t)1 << 40);
        link_raw_message(l, 2 | PTL_RIGHT_CLAIMED, 0);
}
static void claim_without_secret(struct link_raw *l)
{
        link_raw_claim(l, 2, (uint32_t)l->ticket);
        link_raw_message(l, 2 | PTL_RIGHT_CLAIMED, 0);
}

static void window_of(struct link_raw *l, enum ptl_frame_kind kind, uint32_t right)
{
        struct ptl_frame_window w = {UINT32_MAX, UINT32_MAX};

        link_raw_frame(l, kind, (struct ptl_frame_head){.right = right}, &w, sizeof w);
}
static void window_unknown(struct link_raw *l) { window_of(l, PTL_FRAME_WINDOW, 77); }
static void confirm_unasked(struct link_raw *l)
{
        window_of(l, PTL_FRAME_CONFIRM, 3 | PTL_RIGHT_CLAIMED);
}
static void window_without_body(struct link_raw *l) { with_head(l, PTL_FRAME_WINDOW, 77, 0); }
static void dead_unknown(struct link_raw *l) { with_head(l, PTL_FRAME_DEAD, UINT32_MAX, 0); }
static void retire_unknown(struct link_raw *l) { with_head(l, PTL_FRAME_RETIRE, 3, 0); }
static void retire_beyond(struct link_raw *l) { with_head(l, PTL_FRAME_RETIRE, UINT32_MAX, 0); }

/* ---- blocks, carried rights, regions ---- */

static void block(struct link_raw *l, uint32_t offset, uint32_t slot, uint64_t size)
{
        struct ptl_frame_block b = {offset, slot, size};

        link_raw_frame(l, PTL_FRAME_BLOCK, (struct ptl_frame_head){.right = RIGHT}, &b, sizeof b);
}
static void block_beyond(struct link_raw *l) { block(l, PTL_POOL_SIZE, 0, 1); }
static void block_at_the_end(struct link_raw *l) { block(l, PTL_POOL_SIZE - 4096, 0, 4096); }
static void block_over_the_end(struct link_raw *l) { block(l, PTL_POOL_SIZE - 4096, 0, 4097); }
static void block_overflows(struct link_raw *l) { block(l, 4096, 0, UINT64_MAX - 4095); }
static void block_size_wraps(struct link_raw *l) { block(l, 0, 0, (uint64_t)1 << 32); }
static void block_unaligned(struct link_raw *l) { block(l, 8, 0, 10); }
static void block_slot_beyond(struct link_raw *l) { block(l, 0, PTL_POOL_SLOTS, 10); }
static void block_of_a_hole(struct link_raw *l) { block(l, 0, 255, 2 << 20); }
static void block_cut(struct link_raw *l) { with_head(l, PTL_FRAME_BLOCK, RIGHT, 0); }

static void rich(struct link_raw *l, const struct ptl_rich *r, uint32_t kind)
{
        char body[2048] __attribute__((aligned(8))) = "";

        ptl_rich_encode(r, body);
        link_raw_frame(l, PTL_FRAME_RICH, (struct ptl_frame_head){.right = RIGHT, .aux = kind},
                       body, (uint32_t)ptl_rich_head_size(r->n_rights, r->n_regions));
}

static void carry(struct link_raw *l, uint32_t what, uint32_t right)
{
        struct ptl_rich r = {
                .n_rights = 1, .rights[0] = {what, right, 1, 1}
        };

        rich(l, &r, 0);
}
static void carry_kind_0(struct link_raw *l) { carry(l, 0, 1); }
static void carry_kind_6(struct link_raw *l) { carry(l, PTL_CARRY_KINDS, 1); }
static void carry_number_0(struct link_raw *l) { carry(l, PTL_CARRY_SEND, 0); }
static void carry_claimed(struct link_raw *l) { carry(l, PTL_CARRY_ONCE, RIGHT); }
static void carry_back_unknown(struct link_raw *l) { carry(l, PTL_CARRY_BACK_SEND, 99); }
static void carry_back_twice(struct link_raw *l) { carry(l, PTL_CARRY_BACK_ONCE, RIGHT); }
static void carry_the_largest(struct link_raw *l) { carry(l, PTL_CARRY_SEND, ~PTL_RIGHT_CLAIMED); }
static void carry_one_number_twice(struct link_raw *l)
{
        struct ptl_rich r = {.n_rights = 3};

        for (int i = 0; i < 3; i++)
                r.rights[i] =
                        (struct ptl_frame_right){i ? PTL_CARRY_ONCE : PTL_CARRY_SEND, 6, 1, 1};
        rich(l, &r, 0);
}
/* The same once-right for the reply, and carried, and carried again under another generation. */
static void carry_generations(struct link_raw *l)
{
        for (uint32_t i = 0; i < 8; i++)
                carry(l, i & 1 ? PTL_CARRY_ONCE : PTL_CARRY_SEND, ptl_right_make(6, i / 2));
        with_head(l, PTL_FRAME_DEAD, ptl_right_make(6, 3), 0);
}

static void region(struct link_raw *l, struct ptl_frame_region item, bool is_the_bytes)
{
        struct ptl_rich r = {.n_regions = 1, .regions[0] = item};

        if (is_the_bytes) {
                r.where = PTL_WHERE_REGION;
                r.block.size = item.size;
        }
        rich(l, &r, 0);
}
static const struct ptl_frame_region one_page = {.how = PTL_REGION_VOLATILE, .size = 4096};

static void region_never_sent(struct link_raw *l) { region(l, one_page, false); }
static void region_of_the_bytes_never_sent(struct link_raw *l) { region(l, one_page, true); }
static void region_number_beyond(struct link_raw *l)
{
        struct ptl_frame_region item = one_page;

        item.number = 256;
        region(l, item, false);
}
static void region_ticket_unknown(struct link_raw *l)
{
        struct ptl_frame_region item = one_page;

        item.fresh = 1;
        item.ticket = UINT64_MAX;
        region(l, item, false);
}
static void region_ticket_0(struct link_raw *l)
{
        struct ptl_frame_region item = one_page;

        item.fresh = 1;
        region(l, item, true);
}
static void region_too_large(struct link_raw *l)
{
        struct ptl_frame_region item = one_page;

        item.size = UINT64_MAX;
        region(l, item, false);
}
static void region_frozen_stale(struct link_raw *l)
{
        struct ptl_frame_region item = one_page;

        item.frozen = 1;
        region(l, item, false);
}
static void rich_counts(struct link_raw *l)
{
        struct ptl_frame_rich head = {.n_rights = 255, .n_regions = 255};

        link_raw_frame(l, PTL_FRAME_RICH, (struct ptl_frame_head){.right = RIGHT}, &head,
                       sizeof head);
}

static const struct lie {
        const char *name;
        void (*tell)(struct link_raw *l);
        enum verdict verdict;
} lies[] = {
        {"no kind",                            no_kind,                        LIE  },
        {"the kind after the last",            kind_after_the_last,            LIE  },
        {"kind 255",                           kind_255,                       LIE  },
        {"too long by one",                    too_long,                       LIE  },
        {"as long as a word can say",          longest,                        LIE  },
        {"a frame doubled",                    doubled,                        LIE  },
        {"a frame left out",                   left_out,                       LIE  },
        {"growth to level 0",                  grow_nowhere,                   LIE  },
        {"growth over a level",                grow_too_far,                   LIE  },
        {"a kind of the library's own",        library_kind,                   LIE  },
        {"the stamp of the word behind",       stamp_of_the_next,              LIVES},
        {"the stamp of the next lap",          stamp_of_the_next_lap,          LIVES},
        {"a stamp without its bit",            stamp_without_its_bit,          LIVES},
        {"a pad that leads to itself",         pad_without_end,                LIE  },
        {"headers in a payload",               believable_payload,             LIVES},
        {"a right never claimed",              unknown_right,                  LIE  },
        {"a right never granted",              never_granted,                  LIE  },
        {"right 0",                            right_0,                        LIE  },
        {"a right beyond the table",           right_beyond,                   LIE  },
        {"a right of another generation",      other_generation,               LIE  },
        {"a token of the victim's choice",     claimed_token,                  LIE  },
        {"a token without index",              token_without_index,            LIE  },
        {"release of no reference",            release_none,                   LIE  },
        {"release of one too many",            release_two,                    LIE  },
        {"release of 2^32-1",                  release_all,                    LIE  },
        {"release of a right never granted",   release_unknown,                LIE  },
        {"release, twice",                     release_twice,                  LIE  },
        {"use after release",                  use_after_release,              LIE  },
        {"claim of index 0",                   claim_0,                        LIE  },
        {"claim of an index in use",           claim_twice,                    LIE  },
        {"claim beyond the table",             claim_beyond,                   LIE  },
        {"limit 0",                            limit_none,                     LIE  },
        {"limit 2^32-1",                       limit_unknown,                  LIE  },
        {"a limit both reached and not",       limit_token,                    LIE  },
        {"a limit without its value",          limit_short,                    LIE  },
        {"a limit that nobody has reached",    limit_unreached,                LIVES},
        {"claim without a body",               claim_short,                    LIE  },
        {"claim with a forged ticket",         claim_forged,                   LIVES},
        {"claim with half a ticket",           claim_without_secret,           LIVES},
        {"window of a right we do not hold",   window_unknown,                 LIVES},
        {"confirmation that nobody asked for", confirm_unasked,                LIVES},
        {"window without a body",              window_without_body,            LIE  },
        {"death of a right nobody holds",      dead_unknown,                   LIVES},
        {"retirement of no region",            retire_unknown,                 LIVES},
        {"retirement beyond the table",        retire_beyond,                  LIVES},
        {"a block beyond the pool",            block_beyond,                   LIE  },
        {"the last page of the pool",          block_at_the_end,               LIVES},
        {"a block over the pool's end",        block_over_the_end,             LIE  },
        {"a block whose end overflows",        block_overflows,                LIE  },
        {"a block of 2^32 bytes",              block_size_wraps,               LIE  },
        {"a block between pages",              block_unaligned,                LIE  },
        {"a block of slot 256",                block_slot_beyond,              LIE  },
        {"a block that was never reserved",    block_of_a_hole,                LIVES},
        {"a block without its place",          block_cut,                      LIE  },
        {"a carried right of kind 0",          carry_kind_0,                   LIE  },
        {"a carried right of kind 6",          carry_kind_6,                   LIE  },
        {"a carried right without number",     carry_number_0,                 LIE  },
        {"a carried right of the other table", carry_claimed,                  LIE  },
        {"a right home that never left",       carry_back_unknown,             LIVES},
        {"a send right home as send-once",     carry_back_twice,               LIVES},
        {"the largest number of a right",      carry_the_largest,              LIVES},
        {"one number for three rights",        carry_one_number_twice,         LIVES},
        {"one number in eight generations",    carry_generations,              LIVES},
        {"a region that was never sent",       region_never_sent,              LIVES},
        {"bytes in a region never sent",       region_of_the_bytes_never_sent, LIVES},
        {"a region of number 256",             region_number_beyond,           LIE  },
        {"a region under a ticket unknown",    region_ticket_unknown,          LIVES},
        {"a region under ticket 0",            region_ticket_0,                LIVES},
        {"a region of 2^64-1 bytes",           region_too_large,               LIE  },
        {"a frozen region that is not fresh",  region_frozen_stale,            LIE  },
        {"255 rights and 255 regions in 24 B", rich_counts,                    LIE  },
};

/* In rounds, so that each meets each of the victim's ways of receiving. */
TEST(each_lie_in_a_ring_ends_its_link_and_no_other)
{
        enum { ROUNDS = 5 };

        start_victim();
        for (size_t i = 0; i < ROUNDS * ARRAY_LEN(lies); i++) {
                const struct lie *lie = &lies[i % ARRAY_LEN(lies)];
                struct link_raw l = link_raw_open();

                link_raw_ping(&l);
                lie->tell(&l);
                link_raw_judge(&l, lie->verdict, lie->name);
        }
        end_victim();
}

/* ---- many at random ---- */

static uint64_t seed;

static uint64_t dice(void)
{
        uint64_t x = seed += 0x9e3779b97f4a7c15; /* splitmix64 */

        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
        x = (x ^ x >> 27) * 0x94d049bb133111eb;
        return x ^ x >> 31;
}

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
        const char *s = getenv(variable);

        return s && *s ? strtoull(s, NULL, 0) : otherwise;
}

/* Something that may get past the first checks, or any number. */
static uint64_t likely(void)
{
        static const uint64_t numbers[] = {0,
                                           0,
                                           1,
                                           2,
                                           3,
                                           4,
                                           6,
                                           8,
                                           64,
                                           255,
                                           256,
                                           4096,
                                           8192,
                                           RIGHT,
                                           2 | PTL_RIGHT_CLAIMED,
                                           0x100007,
                                           PTL_POOL_SIZE - 4096,
                                           INT32_MAX,
                                           UINT32_MAX,
                                           (uint64_t)1 << 32,
                                           UINT64_MAX};
        uint64_t n = dice() % 16;

        return n ? numbers[dice() % ARRAY_LEN(numbers)] : dice() >> dice() % 64;
}

/* A rich body whose counts fit its length, mostly. */
static uint32_t random_rich(char *body)
{
        struct ptl_rich r = {
                .where = (enum ptl_frame_where)(dice() % 3),
                .n_rights = (uint32_t)(dice() % 4),
                .n_regions = (uint32_t)(dice() % 3),
                .block = {(uint32_t)likely(), (uint32_t)(dice() % 3), likely()}
        };

        for (uint32_t i = 0; i < r.n_rights; i++)
                r.rights[i] =
                        (struct ptl_frame_right){(uint32_t)(1 + dice() % 5), (uint32_t)likely(),
                                                 (uint32_t)likely(), (uint32_t)likely()};
        for (uint32_t i = 0; i < r.n_regions; i++)
                r.regions[i] = (struct ptl_frame_region){.number = (uint32_t)(dice() % 4),
                                                         .fresh = dice() % 2,
                                                         .how = (uint32_t)(1 + dice() % 3),
                                                         .size = 4096,
                                                         .ticket = dice() % 4};
        ptl_rich_encode(&r, body);
        return (uint32_t)ptl_rich_head_size(r.n_rights, r.n_regions) + (uint32_t)(dice() % 64);
}

static uint32_t random_body(char *body, enum ptl_frame_kind kind)
{
        static const uint32_t lengths[PTL_FRAME_KINDS] = {[PTL_FRAME_BLOCK] = 16,
                                                          [PTL_FRAME_CLAIM] = 8,
                                                          [PTL_FRAME_CONFIRM] = 8,
                                                          [PTL_FRAME_WINDOW] = 8};

        for (size_t i = 0; i < 1024; i += 8) {
                uint64_t word = likely();

                memcpy(body + i, &word, 8);
        }
        if (kind == PTL_FRAME_RICH)
                return random_rich(body);
        return kind == PTL_FRAME_INLINE || dice() % 32 == 0 ? (uint32_t)(dice() % 1024)
                                                            : lengths[kind];
}

/* A frame that is right in its ring, of contents that may be wrong. */
static bool mutate_contents(struct link_raw *l)
{
        enum ptl_frame_kind kind = (enum ptl_frame_kind)(PTL_FRAME_INLINE + dice() % 9);
        struct ptl_frame_head head = {.right = dice() % 4 ? (uint32_t)RIGHT : (uint32_t)likely(),
                                      .token = dice() % 2 ? 0 : (uint32_t)likely(),
                                      .aux = dice() % 8 ? 0 : (uint32_t)likely()};
        char body[1024] __attribute__((aligned(8)));
        uint32_t length = random_body(body, kind);

        if (kind == PTL_FRAME_CLAIM) {
                head.right = (uint32_t)(2 + dice() % 16);
                if (dice() % 4)
                        memcpy(body, &l->ticket, 8);
        }
        return link_raw_frame(l, kind, head, body, length);
}

/* A header at the tail, of which some bits are wrong. */
static void mutate_header(struct link_raw *l)
{
        struct ptl_frame_head head = {
                .word = ptl_frame_word(l->tx.position, (uint32_t)(dice() % 64), PTL_FRAME_INLINE),
                .right = RIGHT,
                .sequence = l->tx.sequence};

        if (dice() % 2)
                head.word ^= (uint64_t)1 << dice() % 64;
        else
                head.sequence ^= (uint32_t)1 << dice() % 32;
        put_head(l, head);
}

/* Words anywhere: in the head, in what was written already, in what was not. */
static void mutate_words(struct link_raw *l)
{
        bool in_head = dice() % 4 == 0;
        char *base = in_head ? l->mine.base : l->tx.base;
        uint64_t room = in_head ? sizeof(struct ptl_outbox_head) : l->tx.size;

        for (uint64_t n = 1 + dice() % 64; n--;) {
                uint64_t at = dice() % 2 ? dice() : l->tx.position - dice() % 4096;
                char *word = base + (at % room & ~(uint64_t)7);

                ptl_store_relaxed((_Atomic uint64_t *)(void *)word,
                                  likely()); /* relaxed: a race is meant */
        }
        link_raw_ring(l);
}

/* False: the link is over. */
static bool mutate(struct link_raw *l)
{
        switch (dice() % 8) {
        case 0:
                mutate_header(l);
                break;
        case 1:
                mutate_words(l);
                break;
        default:
                if (!mutate_contents(l))
                        return false;
        }
        return !link_raw_is_over(l);
}

/* The victim's replies are taken, so that it has room for more. */
static void forget_replies(struct link_raw *l)
{
        struct ptl_frame f;

        while (ptl_ring_peek(&l->rx, &f) == 0)
                ptl_ring_advance(&l->rx, &f);
        link_raw_consume(l);
}

/* The tables that a peer can make grow end with its link (SECURITY.md). A sanitizer keeps what is freed. */
static void check_memory(long before_kib)
{
        enum { BOUND_KIB = 64 << 10 };
        long grown = proc_resident_kib(patient.pid) - before_kib;

        fprintf(stderr, "# the victim has %ld KiB more than at its first link\n", grown);
        CHECK(HAS_SANITIZER || grown < BOUND_KIB);
}

/* As many as are asked for take as long as they take. */
TEST_TIMES(whatever_stands_in_an_outbox_harms_its_owner_only, 1000)
{
        uint64_t mutations = number_from("HOSTILE_MUTATIONS", 4000), links = 0;
        long memory;

        seed = number_from("HOSTILE_SEED", (uint64_t)time(NULL));
        fprintf(stderr, "# HOSTILE_SEED=%ju HOSTILE_MUTATIONS=%ju\n", (uintmax_t)seed,
                (uintmax_t)mutations);
        start_victim();
        memory = proc_resident_kib(patient.pid);
        while (mutations) {
                struct link_raw l = link_raw_open();

                for (int i = 0; i < 256 && mutations && mutations-- && mutate(&l); i++)
                        forget_replies(&l);
                link_raw_close(&l);
                if (++links % 64 == 0)
                        check_victim();
        }
        check_victim();
        check_memory(memory);
        end_victim();
}
