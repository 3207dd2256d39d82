/* SPDX-License-Identifier: Apache-2.0 */
/* state_set.h - a set of 64-bit hashes, and the hash; internal to explore.c */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { STATE_SET_MOST = 1 << 25 }; /* slots, 256 MiB; when half full nothing more is added */

struct state_set {
        uint64_t *slot; /* 0: free */
        size_t slots, used;
};

static inline uint64_t hash_word(uint64_t h, uint64_t word)
{
        h = (h ^ word) * UINT64_C(0x9fb21c651e98df25);
        return h ^ h >> 32;
}

static inline uint64_t hash_bytes(uint64_t h, const void *p, size_t bytes)
{
        const char *at = p;
        uint64_t word;

        for (; bytes >= sizeof word; bytes -= sizeof word, at += sizeof word) {
                memcpy(&word, at, sizeof word);
                h = hash_word(h, word);
        }
        if (bytes) {
                word = 0;
                memcpy(&word, at, bytes);
                h = hash_word(h, word);
        }
        return h;
}

static inline void state_set_clear(struct state_set *s)
{
        free(s->slot);
        *s = (struct state_set){0};
}

/* Returns whether h was free to take, that is: not in the set before. */
static inline bool state_set_put(struct state_set *s, uint64_t h)
{
        size_t i = h & (s->slots - 1);

        while (s->slot[i] && s->slot[i] != h)
                i = (i + 1) & (s->slots - 1);
        if (s->slot[i])
                return false;
        s->slot[i] = h;
        s->used++;
        return true;
}

static inline bool state_set_grow(struct state_set *s)
{
        struct state_set big = {.slots = s->slots ? s->slots * 2 : 1 << 12};

        if (big.slots > STATE_SET_MOST)
                return false;
        big.slot = calloc(big.slots, sizeof *big.slot);
        if (!big.slot)
                return false;
        for (size_t i = 0; i < s->slots; i++)
                if (s->slot[i])
                        state_set_put(&big, s->slot[i]);
        free(s->slot);
        *s = big;
        return true;
}

/* Adds h. Returns whether it was there before; when full, "no" for what is new, which is sound. */
static inline bool state_set_seen(struct state_set *s, uint64_t h)
{
        h += !h;
        if (s->used * 2 >= s->slots && !state_set_grow(s)) {
                size_t i = h & (s->slots - 1);

                if (!s->slots)
                        return false;
                while (s->slot[i] && s->slot[i] != h)
                        i = (i + 1) & (s->slots - 1);
                return s->slot[i];
        }
        return !state_set_put(s, h);
}
