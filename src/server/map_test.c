/* SPDX-License-Identifier: Apache-2.0 */
/* server/map_test.c - the map and the roll */
#define _GNU_SOURCE
#include "server/map.h"
#include "server/roll.h"
#include "tst.h"

struct item {
        struct map_node node;
        struct roll_entry entry;
        uint64_t key;
};

static struct item *find(const struct map *map, uint64_t key)
{
        struct map_node *n = map_first(map, map_hash(map, &key, sizeof key));

        for (; n; n = map_next(n))
                if (PTL_CONTAINER(n, struct item, node)->key == key)
                        return PTL_CONTAINER(n, struct item, node);
        return NULL;
}

/* The key and the inputs of the reference implementation: bytes 0, 1, 2, ... */
TEST(the_hash_is_siphash_1_3)
{
        const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
        unsigned char data[8];

        for (unsigned char i = 0; i < sizeof data; i++)
                data[i] = i;
        CHECK(map_siphash(key, data, 0) == 0xabac0158050fc4dc);
        CHECK(map_siphash(key, data, 1) == 0xc9f49bf37d57ca93);
        CHECK(map_siphash(key, data, 8) == 0x369095118d299a8e);
}

TEST(a_hundred_thousand_keys_are_found_until_they_are_removed)
{
        enum { N = 100000 };
        struct item *items = calloc(N, sizeof *items);
        struct map map;

        CHECK(items && map_init(&map) == 0);
        for (uint64_t i = 0; i < N; i++) {
                items[i].key = i;
                CHECK(!find(&map, i));
                map_add(&map, &items[i].node, map_hash(&map, &i, sizeof i));
        }
        CHECK_EQ(map.n_nodes, N);
        CHECK(map.n_buckets >= N / 2);
        for (uint64_t i = 0; i < N; i += 2)
                map_remove(&map, &items[i].node);
        for (uint64_t i = 0; i < N; i++)
                CHECK(find(&map, i) == (i % 2 ? &items[i] : NULL));
        CHECK_EQ(map.n_nodes, N / 2);
        map_fini(&map);
        free(items);
}

TEST(keys_of_one_hash_are_all_found)
{
        struct item items[3] = {{.key = 1}, {.key = 2}, {.key = 3}};
        struct map map;
        int seen = 0;

        CHECK(map_init(&map) == 0);
        for (int i = 0; i < 3; i++)
                map_add(&map, &items[i].node, 42);
        for (struct map_node *n = map_first(&map, 42); n; n = map_next(n))
                seen |= 1 << PTL_CONTAINER(n, struct item, node)->key;
        CHECK_EQ(seen, 1 << 1 | 1 << 2 | 1 << 3);
        map_remove(&map, &items[1].node);
        CHECK(!map_first(&map, 42 + map.n_buckets)); /* same bucket, another hash */
        map_fini(&map);
}

TEST(a_roll_call_sees_who_stays_once_and_who_comes_while_it_lasts)
{
        struct item items[4] = {{.key = 0}, {.key = 1}, {.key = 2}, {.key = 3}};
        struct roll_entry marker, other;
        struct roll roll;

        roll_init(&roll);
        for (int i = 0; i < 3; i++)
                roll_add(&roll, &items[i].entry);
        roll_mark_start(&roll, &marker);
        roll_mark_start(&roll, &other);
        CHECK(roll_advance(&roll, &marker) == &items[0].entry);
        list_remove(&items[0].entry.link); /* seen, then gone */
        list_remove(&items[1].entry.link); /* gone unseen */
        roll_add(&roll, &items[3].entry);
        CHECK(roll_advance(&roll, &marker) == &items[2].entry);
        CHECK(roll_advance(&roll, &other) == &items[2].entry);
        CHECK(roll_advance(&roll, &marker) == &items[3].entry);
        CHECK(roll_advance(&roll, &marker) == NULL);
        CHECK(roll_advance(&roll, &marker) == NULL);
        CHECK(items[3].entry.number > items[2].entry.number);
}
