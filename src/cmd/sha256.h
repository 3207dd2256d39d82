/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd/sha256.h - SHA-256 (FIPS 180-4), so that the tour can prove that a stream arrived as it left
 *
 * Uses the processor's SHA instructions where it has them. Not for secrets: nothing is wiped.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { SHA256_SIZE = 32, SHA256_HEX_SIZE = 65 };

struct sha256 {
        uint32_t state[8];
        uint64_t length; /* bytes so far */
        uint8_t rest[64];
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t size);
void sha256_end(struct sha256 *s, uint8_t ret_digest[SHA256_SIZE]);
void sha256_hex(const uint8_t digest[SHA256_SIZE], char ret_hex[SHA256_HEX_SIZE]);

/* "SHA instructions" or "portable code": what sha256_add() runs on this machine. */
const char *sha256_how(void);

/* For tests: portable code from now on. */
void sha256_use_portable(void);
