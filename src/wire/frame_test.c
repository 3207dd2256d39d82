/* SPDX-License-Identifier: Apache-2.0 */
/* wire/frame_test.c - header words, lengths, right numbers; rich bodies, well formed and not */
#include "tst.h"
#include "wire/frame.h"
#include <portolan/message.h>
#include <portolan/region.h>

/* ---- the header's word ---- */

static const uint64_t positions[] = {0,
                                     8,
                                     56,
                                     64,
                                     65528,
                                     65536,
                                     ((uint64_t)1 << 34) - 8,
                                     (uint64_t)1 << 34,
                                     ((uint64_t)1 << 35) + 8,
                                     ((uint64_t)1 << 63) + 24,
                                     UINT64_MAX - 7};

TEST(words_give_back_length_and_kind_at_any_position)
{
        static const uint32_t lengths[] = {0, 1, 8192, PTL_FRAME_LENGTH_MAX};

        for (size_t p = 0; p < ARRAY_LEN(positions); p++)
                for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
                        for (unsigned kind = 0; kind < PTL_FRAME_KINDS; kind++) {
                                uint64_t word = ptl_frame_word(positions[p], lengths[i],
                                                               (enum ptl_frame_kind)kind);

                                CHECK_EQ(ptl_frame_length(word), lengths[i]);
                                CHECK_EQ(ptl_frame_kind_of(word), kind);
                                CHECK_EQ(word >> 32, ptl_frame_stamp(positions[p]) >> 32);
                        }
}

TEST(stamps_are_never_zero)
{
        for (size_t p = 0; p < ARRAY_LEN(positions); p++)
                CHECK(ptl_frame_stamp(positions[p]) >> 32 != 0);
        for (uint64_t p = 0; p < 1 << 20; p += 8) {
                CHECK(ptl_frame_stamp(p << 13) >> 32 != 0);
                CHECK(ptl_frame_word(p, 0, PTL_FRAME_NONE) != 0);
        }
}

TEST(stamps_of_positions_one_lap_apart_differ_on_every_level)
{
        for (unsigned level = 0; level < 4; level++)
                for (uint64_t lap = 1; lap < 1000; lap++)
                        for (size_t p = 0; p < ARRAY_LEN(positions); p++)
                                CHECK(ptl_frame_stamp(positions[p]) !=
                                      ptl_frame_stamp(positions[p] + (lap << (16 + 2 * level))));
}

TEST(stamps_of_all_words_of_a_lap_differ)
{
        for (size_t p = 0; p < ARRAY_LEN(positions); p++)
                for (uint64_t words = 1; words < 0x80000; words = words * 5 / 4 + 1)
                        CHECK(ptl_frame_stamp(positions[p]) !=
                              ptl_frame_stamp(positions[p] + words * 8));
}

/* ---- where a frame ends ---- */

static const struct end_row {
        const char *name;
        uint64_t position;
        uint32_t length;
        uint64_t end;
} ends[] = {
        {"bare head shares its line",      0,                       0,    24                      },
        {"half a line exactly",            0,                       8,    32                      },
        {"half a line from an odd word",   40,                      8,    72                      },
        {"more than half fills the line",  0,                       9,    64                      },
        {"one line exactly",               0,                       40,   64                      },
        {"one byte more fills two",        0,                       41,   128                     },
        {"two lines exactly",              0,                       104,  128                     },
        {"larger is not rounded to lines", 0,                       105,  136                     },
        {"larger ends on a word",          0,                       112,  136                     },
        {"one line behind an odd word",    8,                       40,   128                     },
        {"two lines from an odd word",     8,                       104,  192                     },
        {"large from an odd word",         8,                       8192, 8 + 8216                },
        {"beyond 2^34",                    ((uint64_t)1 << 34) + 8, 9,    ((uint64_t)1 << 34) + 64},
};

TEST(frames_end_where_the_rules_say)
{
        for (size_t i = 0; i < ARRAY_LEN(ends); i++)
                CHECK_ROW(i, &ends[i],
                          ptl_frame_end(ends[i].position, ends[i].length) == ends[i].end);
}

TEST(every_frame_ends_aligned_behind_its_last_byte)
{
        for (uint64_t position = 0; position < 128; position += 8)
                for (uint32_t length = 0; length <= 8192; length++) {
                        uint64_t last = position + PTL_FRAME_HEAD + length;
                        uint64_t end = ptl_frame_end(position, length);
                        uint64_t size = PTL_FRAME_HEAD + length;
                        uint64_t align = size > 32 && size <= 128 ? 64 : 8;

                        CHECK(end >= last && end - last < align && end % align == 0);
                }
}

/* ---- numbers of rights ---- */

TEST(right_numbers_keep_index_generation_and_table_apart)
{
        static const uint32_t indices[] = {0, 1, 0x1234, PTL_RIGHT_INDEX_MAX};
        static const uint32_t generations[] = {0, 1, 0x400, 0x7ff};

        CHECK_EQ(PTL_RIGHT_INDEX_MAX, (1 << 20) - 1);
        for (size_t i = 0; i < ARRAY_LEN(indices); i++)
                for (size_t g = 0; g < ARRAY_LEN(generations); g++) {
                        uint32_t right = ptl_right_make(indices[i], generations[g]);

                        CHECK_EQ(ptl_right_index(right), indices[i]);
                        CHECK_EQ(ptl_right_generation(right), generations[g]);
                        CHECK(!ptl_right_is_claimed(right));
                        right |= PTL_RIGHT_CLAIMED;
                        CHECK_EQ(ptl_right_index(right), indices[i]);
                        CHECK_EQ(ptl_right_generation(right), generations[g]);
                        CHECK(ptl_right_is_claimed(right));
                }
}

TEST(generations_wrap_at_eleven_bits)
{
        CHECK_EQ(ptl_right_make(7, 0x800), ptl_right_make(7, 0));
        CHECK_EQ(ptl_right_make(7, 0xffffffff), ptl_right_make(7, 0x7ff));
}

/* ---- bodies ---- */

TEST(bodies_of_fixed_size_are_taken_at_exactly_that_size)
{
        struct ptl_frame_window in = {3, 4}, out = {0, 0};

        CHECK_EQ(ptl_frame_body(&in, sizeof in, &out, sizeof out), 0);
        CHECK(out.limit_messages == 3 && out.limit_units == 4);
        CHECK_EQ(ptl_frame_body(&in, sizeof in - 1, &out, sizeof out), PTL_E_MALFORMED);
        CHECK_EQ(ptl_frame_body(&in, sizeof in + 1, &out, sizeof out), PTL_E_MALFORMED);
        CHECK_EQ(ptl_frame_body(&in, 0, &out, sizeof out), PTL_E_MALFORMED);
}

TEST(kinds_have_names_and_others_have_none)
{
        for (unsigned kind = 0; kind < PTL_FRAME_KINDS; kind++)
                for (unsigned other = 0; other <= kind; other++)
                        CHECK((kind == other) ==
                              !strcmp(ptl_frame_kind_name(kind), ptl_frame_kind_name(other)));
        CHECK_STR_EQ(ptl_frame_kind_name(PTL_FRAME_INLINE), "INLINE");
        CHECK_STR_EQ(ptl_frame_kind_name(PTL_FRAME_KINDS), "?");
        CHECK_STR_EQ(ptl_frame_kind_name(255), "?");
}

/* ---- rich bodies ---- */

enum { BODY = 4096, TAIL = 37 };

static _Alignas(8) unsigned char body[BODY];
static struct ptl_frame_given given[PTL_MESSAGE_RIGHTS_MAX];

/* Of head and items. */
static size_t head_of(const struct ptl_rich *rich)
{
        return ptl_rich_head_size(rich->n_rights, rich->n_regions) + rich->n_given * sizeof *given;
}

static struct ptl_rich rich_of(enum ptl_frame_where where, uint32_t n_rights, uint32_t n_regions)
{
        struct ptl_rich rich = {.where = where, .n_rights = n_rights, .n_regions = n_regions};

        for (uint32_t i = 0; i < n_rights; i++) {
                uint32_t what = PTL_CARRY_SEND + i % (PTL_CARRY_KINDS - PTL_CARRY_SEND);

                if (what == PTL_CARRY_COMMITTED) {
                        rich.rights[i] = (struct ptl_frame_right){.what = what, .right = i};
                        continue;
                }
                rich.rights[i] = what >= PTL_CARRY_GIVEN_SEND
                                         ? (struct ptl_frame_right){.what = what, .right = rich.n_given++}
                                         : (struct ptl_frame_right){.what = what,
                                                                    .right = ptl_right_make(i + 1, i),
                                                                    .limit_messages = i + 1,
                                                                    .limit_units = ~i};
        }
        for (uint32_t i = 0; i < rich.n_given; i++)
                given[i] = (struct ptl_frame_given){.owner = {i, ~(uint64_t)i}, .ticket = (uint64_t)i << 30};
        rich.given = given;
        for (uint32_t i = 0; i < n_regions; i++)
                rich.regions[i] = (struct ptl_frame_region){
                        .number = i,
                        .fresh = 1,
                        .how = i % 2 ? PTL_REGION_VOLATILE : PTL_REGION_ISOLATED,
                        .frozen = i % 2 == 0,
                        .size = i == 0 ? PTL_REGION_SIZE_MAX : i * 4096,
                        .ticket = (uint64_t)i << 40};
        if (where == PTL_WHERE_BLOCK)
                rich.block = (struct ptl_frame_block){.offset = 8192, .slot = 3, .size = 100000};
        if (where == PTL_WHERE_REGION)
                rich.block = (struct ptl_frame_block){.slot = n_regions - 1, .size = 4096};
        return rich;
}

/* Encodes into body[], with bytes behind if they go inline; returns the body's length. */
static uint32_t encode(const struct ptl_rich *rich)
{
        size_t size = head_of(rich);
        uint32_t tail = rich->where == PTL_WHERE_INLINE ? TAIL : 0;

        memset(body, 0xEE, sizeof body);
        ptl_rich_encode(rich, body);
        for (size_t i = size + tail; i < sizeof body; i++)
                CHECK_EQ(body[i], 0xEE);
        return (uint32_t)size + tail;
}

static void check_round_trip(enum ptl_frame_where where, uint32_t n_rights, uint32_t n_regions)
{
        struct ptl_rich in = rich_of(where, n_rights, n_regions), out;
        uint32_t length = encode(&in);

        memset(&out, 0x55, sizeof out);
        CHECK_EQ(ptl_rich_decode(body, length, &out), 0);
        CHECK(out.where == where && out.n_rights == n_rights && out.n_regions == n_regions);
        CHECK(!memcmp(&out.block, &in.block, sizeof in.block));
        CHECK(!memcmp(out.rights, in.rights, n_rights * sizeof *in.rights));
        CHECK(!memcmp(out.regions, in.regions, n_regions * sizeof *in.regions));
        CHECK_EQ(out.n_given, in.n_given);
        for (uint32_t i = 0; i < out.n_given; i++) {
                struct ptl_frame_given got = ptl_rich_given(&out, i);

                CHECK(!memcmp(&got, &given[i], sizeof got));
        }
        if (where == PTL_WHERE_INLINE) {
                CHECK(out.bytes == body + head_of(&in));
                CHECK_EQ(out.size, TAIL);
        }
}

TEST(rich_bodies_survive_the_round_trip)
{
        static const uint32_t rights[] = {0, 1, 5, 63, PTL_MESSAGE_RIGHTS_MAX};
        static const uint32_t regions[] = {0, 1, 2, PTL_MESSAGE_REGIONS_MAX};

        for (size_t i = 0; i < ARRAY_LEN(rights); i++)
                for (size_t j = 0; j < ARRAY_LEN(regions); j++) {
                        check_round_trip(PTL_WHERE_INLINE, rights[i], regions[j]);
                        check_round_trip(PTL_WHERE_BLOCK, rights[i], regions[j]);
                        if (regions[j])
                                check_round_trip(PTL_WHERE_REGION, rights[i], regions[j]);
                }
}

TEST(rich_body_with_all_items_fits_a_frame)
{
        CHECK(ptl_rich_head_size(PTL_MESSAGE_RIGHTS_MAX, PTL_MESSAGE_REGIONS_MAX + 1) + sizeof given <= 8192);
        CHECK_EQ(ptl_rich_head_size(0, 0), sizeof(struct ptl_frame_rich));
        CHECK_EQ(ptl_rich_head_size(2, 3), 24 + 2 * 16 + 3 * 32);
}

/* Offsets into a body of 2 rights and 2 regions. */
#define AT_HEAD(field)      offsetof(struct ptl_frame_rich, field)
#define AT_RIGHT(i, field)  (24 + (i)*16 + offsetof(struct ptl_frame_right, field))
#define AT_REGION(i, field) (56 + (i)*32 + offsetof(struct ptl_frame_region, field))

static const struct damage {
        const char *name;
        enum ptl_frame_where where;
        size_t at;    /* offset to store to */
        size_t bytes; /* how many, 0: none */
        uint64_t value;
        int longer; /* than it should be, or shorter */
        int outcome;
} damages[] = {
#define GOOD(name, where, longer)                                                                  \
        {                                                                                          \
                name, PTL_WHERE_##where, 0, 0, 0, longer, 0                                        \
        }
#define CUT(name, where, longer)                                                                   \
        {                                                                                          \
                name, PTL_WHERE_##where, 0, 0, 0, longer, PTL_E_MALFORMED                          \
        }
#define BAD(name, where, at, bytes, value)                                                         \
        {                                                                                          \
                name, PTL_WHERE_##where, at, bytes, value, 0, PTL_E_MALFORMED                      \
        }
        GOOD("untouched, inline", INLINE, 0),
        GOOD("untouched, block", BLOCK, 0),
        GOOD("untouched, region", REGION, 0),
        GOOD("no bytes inline", INLINE, -TAIL),
        CUT("items cut", INLINE, -TAIL - 1),
        CUT("head cut", BLOCK, -64 - 32 - 1),
        CUT("nothing there", BLOCK, -64 - 32 - 24),
        CUT("bytes behind a block", BLOCK, 1),
        CUT("bytes behind a region", REGION, 8),
        BAD("unknown where", INLINE, AT_HEAD(where), 1, 3),
        BAD("where 255", BLOCK, AT_HEAD(where), 1, 255),
        BAD("more rights than there are", BLOCK, AT_HEAD(n_rights), 1, 3),
        BAD("65 rights", INLINE, AT_HEAD(n_rights), 1, 65),
        BAD("255 rights", INLINE, AT_HEAD(n_rights), 1, 255),
        BAD("17 regions", INLINE, AT_HEAD(n_regions), 1, 17),
        BAD("255 regions", INLINE, AT_HEAD(n_regions), 1, 255),
        BAD("a ticket that no right names", INLINE, AT_HEAD(n_given), 1, 1),
        BAD("a receive right of no move", INLINE, AT_RIGHT(0, what), 4, PTL_CARRY_COMMITTED),
        BAD("a right given without a ticket", INLINE, AT_RIGHT(0, what), 4, PTL_CARRY_GIVEN_SEND),
        BAD("255 tickets", INLINE, AT_HEAD(n_given), 1, 255),
        BAD("reserved word", INLINE, AT_HEAD(reserved2), 4, 0x80000000),
        BAD("bytes in a region that is not there", REGION, AT_HEAD(block.slot), 4, 2),
        BAD("bytes in region -1", REGION, AT_HEAD(block.slot), 4, UINT32_MAX),
        BAD("more bytes than the region", REGION, AT_HEAD(block.size), 8, 4097),
        BAD("2^64-1 bytes in the region", REGION, AT_HEAD(block.size), 8, UINT64_MAX),
        BAD("bytes beyond the region's end", REGION, AT_HEAD(block.offset), 4, UINT32_MAX),
        BAD("right of kind 0", INLINE, AT_RIGHT(0, what), 4, 0),
        BAD("right of an unknown kind", INLINE, AT_RIGHT(1, what), 4, PTL_CARRY_KINDS),
        BAD("right of kind 2^32-1", INLINE, AT_RIGHT(1, what), 4, UINT32_MAX),
        BAD("granted right without an index", INLINE, AT_RIGHT(0, right), 4, 0x00100000),
        BAD("granted right in the other's table", INLINE, AT_RIGHT(1, right), 4, PTL_RIGHT_CLAIMED | 5),
        BAD("region neither fresh nor known", INLINE, AT_REGION(0, fresh), 4, 2),
        BAD("region passed in no way", INLINE, AT_REGION(0, how), 4, 0),
        BAD("region passed in unknown ways", INLINE, AT_REGION(1, how), 4, 4),
        BAD("region half frozen", INLINE, AT_REGION(0, frozen), 4, 2),
        BAD("empty region", INLINE, AT_REGION(0, size), 8, 0),
        BAD("region above the maximum", INLINE, AT_REGION(0, size), 8, PTL_REGION_SIZE_MAX + 1),
        BAD("region of 2^64-1 bytes", INLINE, AT_REGION(1, size), 8, UINT64_MAX),
#undef GOOD
#undef CUT
#undef BAD
};

TEST(malformed_rich_bodies_are_refused)
{
        for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
                const struct damage *row = &damages[i];
                struct ptl_rich rich = rich_of(row->where, 2, 2);
                uint32_t length = encode(&rich) + (uint32_t)row->longer;
                void *exact =
                        malloc(length ? length : 1); /* a sanitizer sees a read past its end */

                CHECK(exact && length <= sizeof body);
                memcpy(body + row->at, &row->value, row->bytes);
                memcpy(exact, body, length);
                CHECK_ROW(i, row, ptl_rich_decode(exact, length, &rich) == row->outcome);
                free(exact);
        }
}

/* All items are good; there are only too many for the decoder's arrays. */
TEST(one_item_more_than_a_message_may_carry_is_refused)
{
        struct ptl_frame_rich head = {.where = PTL_WHERE_INLINE,
                                      .n_rights = PTL_MESSAGE_RIGHTS_MAX + 1};
        struct ptl_frame_right right = {.what = PTL_CARRY_SEND};
        struct ptl_frame_region region = {.fresh = 1, .how = PTL_REGION_VOLATILE, .size = 1};
        struct ptl_rich rich;

        memcpy(body, &head, sizeof head);
        for (size_t i = 0; i <= PTL_MESSAGE_RIGHTS_MAX; i++)
                memcpy(body + sizeof head + i * sizeof right, &right, sizeof right);
        CHECK_EQ(ptl_rich_decode(body, sizeof body, &rich), PTL_E_MALFORMED);

        head.n_rights = 0;
        head.n_regions = PTL_MESSAGE_REGIONS_MAX + 1;
        memcpy(body, &head, sizeof head);
        for (size_t i = 0; i <= PTL_MESSAGE_REGIONS_MAX; i++)
                memcpy(body + sizeof head + i * sizeof region, &region, sizeof region);
        CHECK_EQ(ptl_rich_decode(body, sizeof body, &rich), PTL_E_MALFORMED);
}

TEST(rich_body_of_any_shorter_length_is_refused)
{
        struct ptl_rich rich = rich_of(PTL_WHERE_REGION, 3, 2);
        uint32_t length = encode(&rich);

        for (uint32_t n = 0; n < length; n++) {
                void *exact = malloc(n ? n : 1);

                CHECK(exact);
                memcpy(exact, body, n);
                CHECK_EQ(ptl_rich_decode(exact, n, &rich), PTL_E_MALFORMED);
                free(exact);
        }
}

/* ---- rights of a third task ---- */

TEST(rights_given_name_their_tickets_in_order_and_have_no_window)
{
        struct ptl_rich in = rich_of(PTL_WHERE_INLINE, 7, 0), out; /* the last two are GIVEN */

        CHECK_EQ(in.n_given, 2);
        CHECK_EQ(ptl_rich_decode(body, encode(&in), &out), 0);
        in.rights[6].right = 0;
        CHECK_EQ(ptl_rich_decode(body, encode(&in), &out), PTL_E_MALFORMED);
        in.rights[6].right = 1;
        in.rights[5].limit_units = 1;
        CHECK_EQ(ptl_rich_decode(body, encode(&in), &out), PTL_E_MALFORMED);
}

static struct {
        struct ptl_frame_give head;
        struct ptl_frame_give_item items[PTL_GIVE_MAX + 1];
} give;

static int decode_give(uint32_t length, struct ptl_give *ret)
{
        void *exact = malloc(length ? length : 1);
        int r;

        CHECK(exact);
        memcpy(exact, &give, length);
        r = ptl_give_decode(exact, length, ret);
        free(exact);
        return r;
}

TEST(tickets_are_taken_apart_as_they_were_made)
{
        uint64_t ticket = ptl_ticket_make(7, PTL_TICKETS_MAX, 0xfffff);

        CHECK_EQ(ptl_ticket_index(ticket), PTL_TICKETS_MAX);
        CHECK_EQ(ticket >> 32, 7);
        CHECK(ticket != ptl_ticket_make(7, PTL_TICKETS_MAX, 0));
        CHECK_EQ(ptl_ticket_make(7, 1, 1 << 20), ptl_ticket_make(7, 1, 0));
}

TEST(give_is_taken_whole_and_with_what_can_be_only)
{
        struct ptl_give out;

        give.head.grantee = (struct ptl_task_id){1, 2};
        for (uint32_t i = 0; i <= PTL_GIVE_MAX; i++)
                give.items[i] = (struct ptl_frame_give_item){.ticket = ptl_ticket_make(3, i + 1, 4),
                                                             .right = i,
                                                             .kind = i % 2 ? PTL_CARRY_ONCE : PTL_CARRY_SEND};
        for (uint32_t length = 0; length <= sizeof give; length++) {
                bool whole = length >= 32 && length % 16 == 0 && length <= 16 + 16 * PTL_GIVE_MAX;

                CHECK_EQ(decode_give(length, &out), whole ? 0 : PTL_E_MALFORMED);
                if (whole) {
                        CHECK(out.count == length / 16 - 1 && out.grantee.high == 1 && out.grantee.low == 2);
                        CHECK(!memcmp(out.items, give.items, out.count * sizeof *out.items));
                }
        }
        give.items[1].kind = PTL_CARRY_DEAD;
        CHECK_EQ(decode_give(48, &out), PTL_E_MALFORMED);
        CHECK_EQ(decode_give(32, &out), 0);
        give.items[0].ticket = ptl_ticket_make(3, 0, 4);
        CHECK_EQ(decode_give(32, &out), PTL_E_MALFORMED);
}

/* ---- a few rights ---- */

/* Granted ones and ones that come home, in turn. */
static struct ptl_rich few_of(uint32_t n_rights)
{
        struct ptl_rich rich = rich_of(PTL_WHERE_INLINE, n_rights < PTL_CARRY_DEAD ? n_rights : 4, 0);

        return rich;
}

static bool is_same(const struct ptl_few *few, const struct ptl_rich *rich)
{
        return few->n_rights == rich->n_rights && few->bytes == rich->bytes && few->size == rich->size &&
               !memcmp(few->rights, rich->rights, few->n_rights * sizeof *few->rights);
}

/* What ptl_few_decode() is for, of those that are well formed. */
static bool is_few(const struct ptl_rich *rich)
{
        bool plain = rich->where == PTL_WHERE_INLINE && !rich->n_regions && !rich->n_given;

        for (uint32_t i = 0; i < rich->n_rights; i++)
                plain = plain && rich->rights[i].what <= PTL_CARRY_BACK_ONCE;
        return plain && rich->n_rights >= 1 && rich->n_rights <= PTL_FEW_RIGHTS;
}

static void check_agree(const void *at, uint32_t length)
{
        struct ptl_few few;
        struct ptl_rich rich;
        bool good = ptl_rich_decode(at, length, &rich) == 0;

        CHECK_EQ(ptl_few_decode(at, length, &few), good && is_few(&rich));
        if (good && is_few(&rich))
                CHECK(is_same(&few, &rich));
}

TEST(a_few_rights_are_decoded_as_by_the_decoder_of_all)
{
        for (uint32_t n = 1; n <= PTL_FEW_RIGHTS; n++) {
                struct ptl_rich in = few_of(n);
                struct ptl_few few;
                uint32_t length = encode(&in);

                CHECK(ptl_few_decode(body, length, &few));
                for (uint32_t cut = 0; cut <= length; cut++)
                        check_agree(body, cut);
        }
}

/* Whatever one byte of its head and items is: both say the same of it. */
TEST(what_is_not_a_few_rights_is_left_to_the_decoder_of_all)
{
        for (uint32_t n = 1; n <= PTL_FEW_RIGHTS; n++) {
                struct ptl_rich in = few_of(n);
                uint32_t length = encode(&in);

                for (size_t i = 0; i < head_of(&in); i++)
                        for (unsigned value = 0; value < 256; value++) {
                                unsigned char was = body[i];

                                body[i] = (unsigned char)value;
                                check_agree(body, length);
                                body[i] = was;
                        }
        }
        for (uint32_t n = 0; n <= PTL_MESSAGE_RIGHTS_MAX; n++) {
                struct ptl_rich in = rich_of(PTL_WHERE_INLINE, n, n % 3);

                check_agree(body, encode(&in));
        }
}
