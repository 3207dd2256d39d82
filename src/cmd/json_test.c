/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/json_test.c - whatever the values are, a line is one JSON object */
#include "cmd/json.h"
#include "tst.h"
#include <math.h>

static char *text;
static size_t size;

static struct json begin(void)
{
        struct json j;
        FILE *f = open_memstream(&text, &size);

        CHECK(f);
        json_begin(&j, f);
        return j;
}

static void ends_as(struct json *j, const char *expected)
{
        json_end(j);
        fclose(j->file);
        CHECK_STR_EQ(text, expected);
        free(text);
}

TEST(members_are_separated_by_commas_and_the_line_ends)
{
        struct json j = begin();

        json_string(&j, "s", "echo");
        json_u64(&j, "u", UINT64_MAX);
        json_i64(&j, "i", INT64_MIN);
        json_f64(&j, "f", 1.25, 2);
        json_bool(&j, "b", true);
        json_hex(&j, "h", "\x01\xff", 2);
        ends_as(&j,
                "{\"s\":\"echo\",\"u\":18446744073709551615,\"i\":-9223372036854775808,\"f\":1.25,"
                "\"b\":true,\"h\":\"01ff\"}\n");
}

TEST(an_empty_object_has_no_members)
{
        struct json j = begin();

        ends_as(&j, "{}\n");
}

TEST(what_has_no_value_is_null)
{
        struct json j = begin();

        json_string(&j, "s", NULL);
        json_f64(&j, "n", NAN, 1);
        json_f64(&j, "i", INFINITY, 1);
        ends_as(&j, "{\"s\":null,\"n\":null,\"i\":null}\n");
}

TEST(strings_are_escaped)
{
        static const struct {
                const char *name, *value, *expected;
        } rows[] = {
                {"quotes",              "a\"b\\c",                                 "a\\\"b\\\\c"                 },
                {"line ends",           "a\nb\tc",                                 "a\\nb\\u0009c"               },
                {"controls",            "\x01\x1b\x7f",                            "\\u0001\\u001b\\u007f"       },
                {"UTF-8",               "\xc2\xb5s \xe2\x82\xac \xf0\x9f\x9a\xa2",
                 "\xc2\xb5s \xe2\x82\xac \xf0\x9f\x9a\xa2"                                                       },
                {"a lone continuation", "a\x80z",                                  "a\\ufffdz"                   },
                {"an overlong form",    "\xc0\xaf",                                "\\ufffd\\ufffd"              },
                {"a surrogate",         "\xed\xa0\x80",                            "\\ufffd\\ufffd\\ufffd"       },
                {"above U+10FFFF",      "\xf4\x90\x80\x80",                        "\\ufffd\\ufffd\\ufffd\\ufffd"},
                {"cut short",           "\xe2\x82",                                "\\ufffd\\ufffd"              },
        };

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct json j = begin();
                char expected[128];

                json_string(&j, "s", rows[i].value);
                json_end(&j);
                fclose(j.file);
                snprintf(expected, sizeof expected, "{\"s\":\"%s\"}\n", rows[i].expected);
                CHECK_ROW(i, &rows[i], !strcmp(text, expected));
                free(text);
        }
}

TEST(bytes_may_contain_nul)
{
        struct json j = begin();

        json_bytes(&j, "s", "a\0b", 3);
        ends_as(&j, "{\"s\":\"a\\u0000b\"}\n");
}
