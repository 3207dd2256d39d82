/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/text_test.c - columns fit, and nothing that is printed can command a terminal */
#include "cmd/cmd.h"
#include "cmd/text.h"
#include "tst.h"

TEST(bytes_that_could_command_a_terminal_are_escaped)
{
        static const struct {
                const char *name, *bytes, *expected;
        } rows[] = {
                {"plain",       "hello",     "hello"        },
                {"escape",      "\x1b[31m",  "\\x1b[31m"    },
                {"line ends",   "a\nb\tc\\", "a\\nb\\tc\\\\"},
                {"UTF-8",       "\xc3\xa9",  "\xc3\xa9"     },
                {"C1 in UTF-8", "\xc2\x9b",  "\\xc2\\x9b"   },
                {"C1 alone",    "\x9b",      "\\x9b"        },
        };

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                size_t size;
                char *text;
                FILE *f = open_memstream(&text, &size);

                text_escaped(f, rows[i].bytes, strlen(rows[i].bytes));
                fclose(f);
                CHECK_ROW(i, &rows[i], !strcmp(text, rows[i].expected));
                free(text);
        }
}

TEST(columns_are_as_wide_as_their_widest_cell)
{
        struct table t = {.columns = 3};
        size_t size;
        char *text;
        FILE *f = open_memstream(&text, &size);

        for (size_t i = 0; i < 6; i++)
                table_add(&t, "%s",
                          ((const char *[]){"NAME", "PID", "IS", "\xc3\xa9t\xc3\xa9s!", "7",
                                            "x"})[i]);
        setenv("NO_COLOR", "1", 1);
        table_print(&t, stdout, 0); /* empties it */
        for (size_t i = 0; i < 6; i++)
                table_add(&t, "%s",
                          ((const char *[]){"NAME", "PID", "IS", "\xc3\xa9t\xc3\xa9s!", "7",
                                            "x"})[i]);
        table_print(&t, f, 1 << 1);
        fclose(f);
        CHECK_STR_EQ(text, "NAME   PID  IS\n\xc3\xa9t\xc3\xa9s!    7  x\n");
        free(text);
}

TEST(sizes_and_spans_are_short)
{
        char b[24];

        CHECK_STR_EQ(text_size(b, 0), "0 B");
        CHECK_STR_EQ(text_size(b, 1536), "1.5 KiB");
        CHECK_STR_EQ(text_size(b, 64 << 20), "64 MiB");
        CHECK_STR_EQ(text_size(b, UINT64_MAX), "16 EiB");
        CHECK_STR_EQ(text_span(b, 12000000), "12 ms");
        CHECK_STR_EQ(text_span(b, 3723000000000), "1 h 2 min");
}

TEST(numbers_are_decimal_or_hexadecimal_and_nothing_else)
{
        uint64_t n = 5;

        CHECK(cmd_number("0", 0, 9, &n) && n == 0);
        CHECK(cmd_number("0x1f", 0, 99, &n) && n == 31);
        CHECK(cmd_number("010", 0, 99, &n) && n == 10);
        CHECK(cmd_number("18446744073709551615", 0, UINT64_MAX, &n) && n == UINT64_MAX);
        n = 5;
        CHECK(!cmd_number("", 0, 9, &n) && !cmd_number("-1", 0, 9, &n) &&
              !cmd_number(" 1", 0, 9, &n));
        CHECK(!cmd_number("1k", 0, 9, &n) && !cmd_number("10", 0, 9, &n));
        CHECK(!cmd_number("18446744073709551616", 0, UINT64_MAX, &n));
        CHECK(n == 5);
}
