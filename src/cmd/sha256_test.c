/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/sha256_test.c - digests of FIPS 180-4's examples, and of the same bytes in any pieces */
#include "cmd/sha256.h"
#include "tst.h"

static const struct {
        const char *name, *text, *digest;
        unsigned times;
} rows[] = {
        {"nothing",    "",                                                         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 1     },
        {"abc",        "abc",                                                      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 1     },
        {"two blocks", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",                                                                           1     },
        {"a million",  "aaaaaaaaaa",
         "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",                                                                           100000},
};

static void check_rows(void)
{
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                uint8_t digest[SHA256_SIZE];
                char hex[SHA256_HEX_SIZE];
                struct sha256 s;

                sha256_init(&s);
                for (unsigned n = 0; n < rows[i].times; n++)
                        sha256_add(&s, rows[i].text, strlen(rows[i].text));
                sha256_end(&s, digest);
                sha256_hex(digest, hex);
                CHECK_ROW(i, &rows[i], !strcmp(hex, rows[i].digest));
        }
}

TEST(digests_are_those_of_the_standard) { check_rows(); }

TEST(portable_code_gives_the_same_digests)
{
        sha256_use_portable();
        check_rows();
}

TEST(pieces_of_any_size_give_the_same_digest)
{
        enum { ALL = 1000 };
        uint8_t data[ALL], whole[SHA256_SIZE], pieces[SHA256_SIZE];
        struct sha256 s;

        for (size_t i = 0; i < ALL; i++)
                data[i] = (uint8_t)(i * 7);
        sha256_init(&s);
        sha256_add(&s, data, ALL);
        sha256_end(&s, whole);
        for (size_t step = 1; step < 200; step++) {
                sha256_init(&s);
                for (size_t i = 0; i < ALL; i += step)
                        sha256_add(&s, data + i, i + step < ALL ? step : ALL - i);
                sha256_end(&s, pieces);
                CHECK(!memcmp(whole, pieces, SHA256_SIZE));
        }
}
