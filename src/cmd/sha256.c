/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/sha256.c - SHA-256 (FIPS 180-4), portable and with x86's SHA extensions */
#include "cmd/sha256.h"
#include <endian.h>
#include <stdio.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

/* FIPS 180-4, 4.2.2: the first 32 bits of the fractional parts of cube roots of primes. */
static const uint32_t k[64] __attribute__((aligned(16))) = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
        0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
        0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
        0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
        0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
        0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
        0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2};

typedef void blocks_function(uint32_t state[8], const uint8_t *data, size_t blocks);

static uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void schedule(uint32_t w[64], const uint8_t *data)
{
        for (int i = 0; i < 16; i++) {
                memcpy(&w[i], data + 4 * i, 4);
                w[i] = be32toh(w[i]);
        }
        for (int i = 16; i < 64; i++) {
                uint32_t a = w[i - 15], b = w[i - 2];

                w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 7] +
                       (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
        }
}

/* Round @i; the eight variables change places by their index instead of moving. */
static inline void one_round(uint32_t s[8], int i, uint32_t word)
{
#define V(n) s[((n)-i) & 7]
        uint32_t t = V(7) + (rotate(V(4), 6) ^ rotate(V(4), 11) ^ rotate(V(4), 25)) +
                     ((V(4) & V(5)) ^ (~V(4) & V(6))) + k[i] + word;

        V(3) += t;
        V(7) = t + (rotate(V(0), 2) ^ rotate(V(0), 13) ^ rotate(V(0), 22)) +
               ((V(0) & V(1)) ^ (V(0) & V(2)) ^ (V(1) & V(2)));
#undef V
}

static void block_portable(uint32_t state[8], const uint8_t *data)
{
        uint32_t w[64], s[8];

        schedule(w, data);
        memcpy(s, state, sizeof s);
#pragma GCC unroll 8
        for (int i = 0; i < 64; i++)
                one_round(s, i, w[i]);
        for (int i = 0; i < 8; i++)
                state[i] += s[i];
}

static void blocks_portable(uint32_t state[8], const uint8_t *data, size_t blocks)
{
        for (; blocks; blocks--, data += 64)
                block_portable(state, data);
}

#if defined(__x86_64__)
#define SHA_TARGET __attribute__((target("sha,sse4.1,ssse3")))

/*
 * Four rounds; w[i % 4] holds the words of rounds 4i to 4i+3. What the next groups need of the
 * schedule is computed on the way (Intel, "SHA Extensions", 2013).
 */
SHA_TARGET static inline void four_rounds(int i, __m128i w[4], __m128i *abef, __m128i *cdgh)
{
        __m128i *now = &w[i & 3], *next = &w[(i + 1) & 3], *before = &w[(i + 3) & 3];
        __m128i t = _mm_add_epi32(*now, _mm_load_si128((const __m128i *)(const void *)(k + 4 * i)));

        *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, t);
        if (i >= 3 && i < 15) {
                *next = _mm_add_epi32(*next, _mm_alignr_epi8(*now, *before, 4));
                *next = _mm_sha256msg2_epu32(*next, *now);
        }
        *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(t, 0x0e));
        if (i >= 1 && i < 13)
                *before = _mm_sha256msg1_epu32(*before, *now);
}

SHA_TARGET static void block_sha(__m128i *abef, __m128i *cdgh, const uint8_t *data)
{
        const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
        __m128i w[4], abef_before = *abef, cdgh_before = *cdgh;

        for (int i = 0; i < 4; i++)
                w[i] = _mm_shuffle_epi8(
                        _mm_loadu_si128((const __m128i *)(const void *)(data + 16 * i)),
                        big_endian);
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++)
                four_rounds(i, w, abef, cdgh);
        *abef = _mm_add_epi32(*abef, abef_before);
        *cdgh = _mm_add_epi32(*cdgh, cdgh_before);
}

SHA_TARGET static void blocks_sha(uint32_t state[8], const uint8_t *data, size_t blocks)
{
        __m128i t = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)state), 0xb1);
        __m128i s = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)(state + 4)),
                                      0x1b);
        __m128i abef = _mm_alignr_epi8(t, s, 8), cdgh = _mm_blend_epi16(s, t, 0xf0);

        for (; blocks; blocks--, data += 64)
                block_sha(&abef, &cdgh, data);
        t = _mm_shuffle_epi32(abef, 0x1b);
        s = _mm_shuffle_epi32(cdgh, 0xb1);
        _mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(t, s, 0xf0));
        _mm_storeu_si128((__m128i *)(void *)(state + 4), _mm_alignr_epi8(s, t, 8));
}

/* By CPUID: __builtin_cpu_supports() of these compilers does not know "sha". */
static int has_sha(void)
{
        unsigned a, b, c, d;

        if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSE4_1) || !(c & bit_SSSE3))
                return 0;
        return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

static blocks_function *fastest(void) { return has_sha() ? blocks_sha : blocks_portable; }
#else
static blocks_function *fastest(void) { return blocks_portable; }
#endif

static blocks_function *blocks;

void sha256_use_portable(void) { blocks = blocks_portable; }

const char *sha256_how(void)
{
        return fastest() == blocks_portable ? "portable code" : "SHA instructions";
}

void sha256_init(struct sha256 *s)
{
        /* FIPS 180-4, 5.3.3 */
        *s = (struct sha256){
                .state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                          0x1f83d9ab, 0x5be0cd19}
        };
        if (!blocks)
                blocks = fastest();
}

void sha256_add(struct sha256 *s, const void *data, size_t size)
{
        const uint8_t *p = data;
        size_t have = s->length % 64;

        s->length += size;
        if (have) {
                size_t n = size < 64 - have ? size : 64 - have;

                memcpy(s->rest + have, p, n);
                if (have + n < 64)
                        return;
                blocks(s->state, s->rest, 1);
                p += n;
                size -= n;
        }
        blocks(s->state, p, size / 64);
        if (size % 64)
                memcpy(s->rest, p + size / 64 * 64, size % 64);
}

void sha256_end(struct sha256 *s, uint8_t ret_digest[SHA256_SIZE])
{
        static const uint8_t padding[64] = {0x80};
        uint64_t bits = htobe64(s->length * 8);

        sha256_add(s, padding, 1 + (119 - s->length % 64) % 64);
        sha256_add(s, &bits, 8);
        for (int i = 0; i < 8; i++) {
                uint32_t word = htobe32(s->state[i]);

                memcpy(ret_digest + 4 * i, &word, 4);
        }
}

void sha256_hex(const uint8_t digest[SHA256_SIZE], char ret_hex[SHA256_HEX_SIZE])
{
        for (int i = 0; i < SHA256_SIZE; i++)
                snprintf(ret_hex + 2 * i, 3, "%02x", digest[i]);
}
