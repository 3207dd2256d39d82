/* SPDX-License-Identifier: Apache-2.0 */
/* server/map.c - a hash map whose nodes lie in the objects */
#define _GNU_SOURCE
#include "server/map.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { BUCKETS_FIRST = 64 };

struct sip {
        uint64_t a, b, c, d;
};

static uint64_t rotate(uint64_t x, int n) { return x << n | x >> (64 - n); }

static void sip_round(struct sip *s)
{
        s->a += s->b;
        s->b = rotate(s->b, 13) ^ s->a;
        s->a = rotate(s->a, 32);
        s->c += s->d;
        s->d = rotate(s->d, 16) ^ s->c;
        s->a += s->d;
        s->d = rotate(s->d, 21) ^ s->a;
        s->c += s->b;
        s->b = rotate(s->b, 17) ^ s->c;
        s->c = rotate(s->c, 32);
}

static void sip_word(struct sip *s, uint64_t word)
{
        s->d ^= word;
        sip_round(s);
        s->a ^= word;
}

/* Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), one round a word, three at the
 * end. Words are read in native order: the hash never leaves this process. */
uint64_t map_siphash(const uint64_t key[2], const void *data, size_t size)
{
        struct sip s = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                        key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
        const char *p = data;
        uint64_t word;

        for (size_t left = size; left >= sizeof word; left -= sizeof word, p += sizeof word) {
                memcpy(&word, p, sizeof word);
                sip_word(&s, word);
        }
        word = 0;
        memcpy(&word, p, size % sizeof word);
        sip_word(&s, word | (uint64_t)size << 56);
        s.c ^= 0xff;
        for (int i = 0; i < 3; i++)
                sip_round(&s);
        return s.a ^ s.b ^ s.c ^ s.d;
}

int map_init(struct map *map)
{
        *map = (struct map){.n_buckets = BUCKETS_FIRST};
        if (getrandom(map->key, sizeof map->key, 0) != sizeof map->key)
                return -errno;
        map->buckets = calloc(map->n_buckets, sizeof *map->buckets);
        return map->buckets ? 0 : -ENOMEM;
}

void map_fini(struct map *map)
{
        free(map->buckets);
        *map = (struct map){0};
}

uint64_t map_hash(const struct map *map, const void *key, size_t size)
{
        return map_siphash(map->key, key, size);
}

static struct map_node **bucket_of(const struct map *map, uint64_t hash)
{
        return &map->buckets[hash & (map->n_buckets - 1)];
}

static void link_node(struct map *map, struct map_node *node)
{
        struct map_node **bucket = bucket_of(map, node->hash);

        node->next = *bucket;
        *bucket = node;
}

static void grow(struct map *map)
{
        struct map bigger = {.n_buckets = map->n_buckets * 2};

        bigger.buckets = calloc(bigger.n_buckets, sizeof *bigger.buckets);
        if (!bigger.buckets)
                return; /* longer chains, nothing worse */
        for (size_t i = 0; i < map->n_buckets; i++)
                for (struct map_node *node = map->buckets[i], *next; node; node = next) {
                        next = node->next;
                        link_node(&bigger, node);
                }
        free(map->buckets);
        map->buckets = bigger.buckets;
        map->n_buckets = bigger.n_buckets;
}

void map_add(struct map *map, struct map_node *node, uint64_t hash)
{
        if (map->n_nodes >= map->n_buckets)
                grow(map);
        node->hash = hash;
        link_node(map, node);
        map->n_nodes++;
}

void map_remove(struct map *map, struct map_node *node)
{
        struct map_node **at = bucket_of(map, node->hash);

        while (*at && *at != node)
                at = &(*at)->next;
        assert(*at);
        *at = node->next;
        node->next = NULL;
        map->n_nodes--;
}

struct map_node *map_first(const struct map *map, uint64_t hash)
{
        struct map_node *node = *bucket_of(map, hash);

        while (node && node->hash != hash)
                node = node->next;
        return node;
}

struct map_node *map_next(const struct map_node *node)
{
        uint64_t hash = node->hash;
        struct map_node *next = node->next;

        while (next && next->hash != hash)
                next = next->next;
        return next;
}
