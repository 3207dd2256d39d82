/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/chains.h - finds elements of a table (base/table.h) by a key of 64 bits
 *
 * A hash with chains: an element's first four bytes, which the table uses while it is free, are its
 * chain's while it is in here. Others choose keys, so the hash is keyed by chance (multiplication by a
 * secret: who chooses keys does not know which meet). Grows, never shrinks. Callers lock.
 */
#pragma once
#include "base/table.h"

struct ptl_chains {
        const struct ptl_table *elements;
        uint64_t (*key_of)(const void *element);
        uint32_t *heads; /* indices of elements; NULL: there never was one */
        uint32_t n_heads; /* a power of two */
        uint32_t used;
        uint64_t secret;
};

/* @elements: borrowed, outlives the chains. @key_of: as long as an element is in here it says the same. */
void ptl_chains_init(struct ptl_chains *chains, const struct ptl_table *elements,
                     uint64_t (*key_of)(const void *element));
void ptl_chains_fini(struct ptl_chains *chains);

/* Element @index, which is taken and is not in here. False: no memory, and it is not. (Where there is none to
 * grow with, the chains become longer.) */
bool ptl_chains_add(struct ptl_chains *chains, uint32_t index);

/* Takes it out; one that is not in here is left alone. */
void ptl_chains_remove(struct ptl_chains *chains, uint32_t index);

/* The element with that key that was added last; 0: none. */
uint32_t ptl_chains_find(const struct ptl_chains *chains, uint64_t key);
