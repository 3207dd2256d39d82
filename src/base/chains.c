/* SPDX-License-Identifier: Apache-2.0 */
/* base/chains.c - see chains.h */
#include "base/chains.h"
#include <sys/random.h>

enum { FIRST_HEADS = 16 };

void ptl_chains_init(struct ptl_chains *chains, const struct ptl_table *elements,
                     uint64_t (*key_of)(const void *element))
{
        *chains = (struct ptl_chains){.elements = elements, .key_of = key_of};
}

void ptl_chains_fini(struct ptl_chains *chains)
{
        free(chains->heads);
        *chains = (struct ptl_chains){0};
}

/* Each bit of the key reaches the high ones of the first product; those spread again, since keys that follow upon each
 * other would lie in steps. */
static uint32_t *head_of(const struct ptl_chains *chains, uint64_t key)
{
        uint64_t h = key * chains->secret;

        h = (h ^ h >> 32) * 0x9e3779b97f4a7c15u;
        return &chains->heads[(h >> 32) & (chains->n_heads - 1)];
}

static uint32_t *chain_of(const struct ptl_chains *chains, uint32_t index)
{
        return ptl_table_at(chains->elements, index);
}

static void link_in(struct ptl_chains *chains, uint32_t index)
{
        uint32_t *chain = chain_of(chains, index), *head = head_of(chains, chains->key_of(chain));

        *chain = *head;
        *head = index;
}

/* What no other task can know; where there is no chance to be had, at least something that differs. */
static uint64_t new_secret(const struct ptl_chains *chains)
{
        uint64_t secret;

        if (getrandom(&secret, sizeof secret, GRND_NONBLOCK) != sizeof secret)
                secret = (uint64_t)(uintptr_t)chains * 0x9e3779b97f4a7c15u;
        return secret | 1;
}

/* Twice as many heads; they stay as they are if there is no memory. */
static bool grow(struct ptl_chains *chains)
{
        uint32_t n = chains->n_heads, *old = chains->heads;
        uint32_t *heads = calloc(n ? 2 * (size_t)n : FIRST_HEADS, sizeof *heads);

        if (!heads)
                return false;
        if (!n)
                chains->secret = new_secret(chains);
        chains->heads = heads;
        chains->n_heads = n ? 2 * n : FIRST_HEADS;
        for (uint32_t i = 0; i < n; i++)
                for (uint32_t index = old[i], next; index; index = next) {
                        next = *chain_of(chains, index);
                        link_in(chains, index);
                }
        free(old);
        return true;
}

bool ptl_chains_add(struct ptl_chains *chains, uint32_t index)
{
        if (chains->used >= chains->n_heads && !grow(chains) && !chains->heads)
                return false;
        link_in(chains, index);
        chains->used++;
        return true;
}

void ptl_chains_remove(struct ptl_chains *chains, uint32_t index)
{
        uint32_t *at;

        if (!chains->heads)
                return;
        at = head_of(chains, chains->key_of(chain_of(chains, index)));
        while (*at && *at != index)
                at = chain_of(chains, *at);
        if (!*at)
                return;
        *at = *chain_of(chains, index);
        chains->used--;
}

uint32_t ptl_chains_find(const struct ptl_chains *chains, uint64_t key)
{
        uint32_t index = chains->heads ? *head_of(chains, key) : 0;

        while (index && chains->key_of(chain_of(chains, index)) != key)
                index = *chain_of(chains, index);
        return index;
}
