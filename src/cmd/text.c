/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/text.c - text for people: colours where they are wanted, tables, bytes that may be anything
 */
#include "cmd/text.h"
#include "base/cleanup.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct paint *text_paint(FILE *f)
{
        static const struct paint plain = {"", "", "", "", "", ""};
        static const struct paint rich = {"\033[1m",  "\033[2m",  "\033[31m",
                                          "\033[32m", "\033[33m", "\033[0m"};
        const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

        if (!isatty(fileno(f)) || (none && none[0]) || !term || !strcmp(term, "dumb"))
                return &plain;
        return &rich;
}

size_t text_utf8_length(const void *data, size_t left)
{
        const unsigned char *s = data;
        size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;

        if (n == 1)
                return 1;
        if (s[0] < 0xc2 || s[0] > 0xf4 || left < n)
                return 0;
        for (size_t i = 1; i < n; i++)
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
        if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
            (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
                return 0;
        return n;
}

/* C0, DEL and C1, the last as UTF-8 spells it: a terminal obeys all of them. */
static bool is_control(const unsigned char *s, size_t n)
{
        return n == 1 ? s[0] < 0x20 || s[0] == 0x7f : n == 2 && s[0] == 0xc2 && s[1] < 0xa0;
}

void text_escaped(FILE *f, const void *data, size_t size)
{
        const unsigned char *s = data;

        for (size_t i = 0, n; i < size; i += n) {
                n = text_utf8_length(s + i, size - i);
                if (s[i] == '\\' || s[i] == '\n' || s[i] == '\t')
                        fprintf(f, "\\%c", s[i] == '\n' ? 'n' : s[i] == '\t' ? 't' : '\\');
                else if (n && !is_control(s + i, n))
                        fwrite(s + i, 1, n, f);
                else
                        for (size_t k = i, end = i + (n ? n : 1); k < end; k++)
                                fprintf(f, "\\x%02x", s[k]);
                n = n ? n : 1;
        }
}

const char *text_size(char buffer[24], uint64_t bytes)
{
        static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
        double n = (double)bytes;
        size_t u = 0;

        while (n >= 1024 && u < 6) {
                n /= 1024;
                u++;
        }
        /* whole numbers need no ".0" */
        snprintf(buffer, 24, "%.*f %s", n < 100 && n != (double)(uint64_t)n, n, units[u]);
        return buffer;
}

const char *text_span(char buffer[24], uint64_t ns)
{
        uint64_t s = ns / 1000000000u;

        if (ns < 1000000000u)
                snprintf(buffer, 24, "%" PRIu64 " ms", ns / 1000000u);
        else if (s < 60)
                snprintf(buffer, 24, "%" PRIu64 " s", s);
        else if (s < 3600)
                snprintf(buffer, 24, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
        else if (s < 86400)
                snprintf(buffer, 24, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
        else
                snprintf(buffer, 24, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s / 3600 % 24);
        return buffer;
}

static bool table_grow(struct table *t)
{
        size_t room = t->room ? 2 * t->room : 64;
        char **cells;

        if (t->count < t->room)
                return true;
        cells = reallocarray(t->cells, room, sizeof *cells);
        if (!cells)
                return false;
        t->cells = cells;
        t->room = room;
        return true;
}

void table_add(struct table *t, const char *format, ...)
{
        va_list arguments;
        char *cell;

        va_start(arguments, format);
        if (!table_grow(t) || vasprintf(&cell, format, arguments) < 0)
                t->has_failed = true;
        else
                t->cells[t->count++] = cell;
        va_end(arguments);
}

/* Characters, not bytes: UTF-8's continuation bytes take no column. */
static size_t width(const char *s)
{
        size_t n = 0;

        for (; *s; s++)
                n += (*s & 0xc0) != 0x80;
        return n;
}

static void print_row(const struct table *t, FILE *f, char **row, const size_t *widths,
                      unsigned right)
{
        for (size_t c = 0; c < t->columns; c++) {
                int pad = (int)(widths[c] - width(row[c]));

                if (right & 1u << c)
                        fprintf(f, "%*s%s", pad, "", row[c]);
                else
                        fprintf(f, "%s%*s", row[c], c + 1 < t->columns ? pad : 0, "");
                fputs(c + 1 < t->columns ? "  " : "\n", f);
        }
}

void table_add_text(struct table *t, const char *text)
{
        ptl_cleanup(ptl_freep) char *safe = NULL;
        size_t size;
        FILE *f = open_memstream(&safe, &size);

        if (f)
                text_escaped(f, text, strlen(text));
        if (!f || fclose(f))
                t->has_failed = true;
        else
                table_add(t, "%s", safe);
}

void table_head(struct table *t, const char *const *names)
{
        for (t->columns = 0; names[t->columns]; t->columns++)
                table_add(t, "%s", names[t->columns]);
}

void table_free(struct table *t)
{
        for (size_t i = 0; i < t->count; i++)
                free(t->cells[i]);
        free(t->cells);
        *t = (struct table){.columns = t->columns};
}

void table_print(struct table *t, FILE *f, unsigned right)
{
        const struct paint *paint = text_paint(f);
        size_t widths[TABLE_COLUMNS_MAX] = {0};

        for (size_t i = 0; i < t->count; i++)
                if (width(t->cells[i]) > widths[i % t->columns])
                        widths[i % t->columns] = width(t->cells[i]);
        for (size_t row = 0; row + t->columns <= t->count && !t->has_failed; row += t->columns) {
                fputs(row ? "" : paint->bold, f);
                print_row(t, f, t->cells + row, widths, right);
                fputs(row ? "" : paint->off, f);
        }
        if (t->has_failed)
                fputs("(no memory for the table)\n", f);
        table_free(t);
}
