/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/map.h - a hash map whose nodes lie in the objects
 *
 * Keys are bytes that clients choose, so the hash is keyed (SipHash-1-3, a fresh key a map): nobody
 * outside can make names that collide. Adding cannot fail: a table that cannot grow becomes slow.
 */
#pragma once
#include <portolan/types.h>
#include <stddef.h>
#include <stdint.h>

struct map_node {
        struct map_node *next;
        uint64_t hash;
};

struct map {
        struct map_node **buckets;
        size_t n_buckets; /* a power of two */
        size_t n_nodes;
        uint64_t key[2];
};

/* Return: 0, -ENOMEM, or what getrandom(2) says. */
PTL_MUST_CHECK int map_init(struct map *map);

/* The nodes are their objects' and stay as they are. A zeroed map is allowed. */
void map_fini(struct map *map);

uint64_t map_hash(const struct map *map, const void *key, size_t size);

void map_add(struct map *map, struct map_node *node, uint64_t hash);
void map_remove(struct map *map, struct map_node *node);

/* The first node with this hash, and the next after one: the caller compares the keys. */
struct map_node *map_first(const struct map *map, uint64_t hash);
struct map_node *map_next(const struct map_node *node);

/* SipHash-1-3 of @size bytes; apart for its test. */
uint64_t map_siphash(const uint64_t key[2], const void *data, size_t size);
