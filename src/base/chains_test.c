/* SPDX-License-Identifier: Apache-2.0 */
/* chains_test.c - elements are found by their keys, however many there are */
#include "base/chains.h"
#include <tst.h>

struct element {
        uint32_t chain;
        uint32_t number;
        uint64_t key;
};

static uint64_t key_of(const void *element) { return ((const struct element *)element)->key; }

struct both {
        struct ptl_table table;
        struct ptl_chains chains;
};

static void both_init(struct both *b)
{
        ptl_table_init(&b->table, sizeof(struct element), 1 << 24);
        ptl_chains_init(&b->chains, &b->table, key_of);
}

static void both_fini(struct both *b)
{
        ptl_chains_fini(&b->chains);
        ptl_table_fini(&b->table);
}

static uint32_t add(struct both *b, uint64_t key, uint32_t number)
{
        uint32_t index = ptl_table_take(&b->table);
        struct element *e = ptl_table_at(&b->table, index);

        CHECK(e);
        e->key = key;
        e->number = number;
        CHECK(ptl_chains_add(&b->chains, index));
        return index;
}

static void take_out(struct both *b, uint32_t index)
{
        ptl_chains_remove(&b->chains, index);
        ptl_table_give(&b->table, index);
}

/* Keys as tickets are: a small part that differs, and one that does not. */
static uint64_t key(uint32_t i) { return (uint64_t)0xabad1dea << 32 | i; }

TEST(nothing_is_found_where_nothing_is)
{
        struct both b;

        both_init(&b);
        CHECK_EQ(ptl_chains_find(&b.chains, 0), 0);
        CHECK_EQ(ptl_chains_find(&b.chains, key(1)), 0);
        add(&b, key(1), 1);
        CHECK_EQ(ptl_chains_find(&b.chains, key(2)), 0);
        both_fini(&b);
}

TEST(each_of_many_is_found_by_its_key_and_not_after_it_was_taken_out)
{
        enum { N = 100000 };
        static uint32_t at[N];
        struct both b;

        both_init(&b);
        for (uint32_t i = 0; i < N; i++)
                at[i] = add(&b, key(i), i);
        CHECK_EQ(b.chains.used, N);
        for (uint32_t i = 0; i < N; i += 2)
                take_out(&b, at[i]);
        for (uint32_t i = 0; i < N; i++)
                CHECK_EQ(ptl_chains_find(&b.chains, key(i)), i % 2 ? at[i] : 0);
        CHECK_EQ(b.chains.used, N / 2);
        both_fini(&b);
}

/* Ten million steps or so; one list of all would take ten thousand million. */
TEST(finding_one_of_many_takes_no_longer_than_one_of_few)
{
        enum { N = 1000000, LONGEST = 64 };
        struct both b;
        uint32_t longest = 0;

        both_init(&b);
        for (uint32_t i = 0; i < N; i++)
                add(&b, (uint64_t)i << 32, i); /* low halves the same */
        for (uint32_t i = 0; i < N; i++)
                CHECK(ptl_chains_find(&b.chains, (uint64_t)i << 32) != 0);
        for (uint32_t i = 0; i < b.chains.n_heads; i++) {
                uint32_t n = 0;

                for (uint32_t k = b.chains.heads[i]; k; n++)
                        k = *(uint32_t *)ptl_table_at(&b.table, k);
                longest = n > longest ? n : longest;
        }
        CHECK(longest <= LONGEST);
        both_fini(&b);
}

TEST(of_two_with_one_key_the_later_is_found_and_then_the_earlier)
{
        struct both b;
        uint32_t first, second;

        both_init(&b);
        first = add(&b, key(7), 1);
        second = add(&b, key(7), 2);
        CHECK_EQ(ptl_chains_find(&b.chains, key(7)), second);
        take_out(&b, second);
        CHECK_EQ(ptl_chains_find(&b.chains, key(7)), first);
        both_fini(&b);
}

TEST(what_is_not_in_a_chain_is_left_alone)
{
        struct both b;
        uint32_t in, out;

        both_init(&b);
        out = ptl_table_take(&b.table);
        ptl_chains_remove(&b.chains, out); /* nothing ever was */
        in = add(&b, 0, 1);
        ptl_chains_remove(&b.chains, out); /* of the same key */
        ptl_chains_remove(&b.chains, out);
        CHECK_EQ(b.chains.used, 1);
        CHECK_EQ(ptl_chains_find(&b.chains, 0), in);
        both_fini(&b);
}
