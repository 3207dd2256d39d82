/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/json.c - prints JSON for machines: one object a line */
#include "cmd/json.h"
#include "cmd/text.h"
#include <inttypes.h>
#include <string.h>

void json_begin(struct json *j, FILE *file)
{
        *j = (struct json){.file = file};
        putc('{', file);
}

void json_end(struct json *j)
{
        fputs("}\n", j->file);
        fflush(j->file);
}

static void print_key(struct json *j, const char *key)
{
        fprintf(j->file, "%s\"%s\":", j->is_next ? "," : "", key);
        j->is_next = true;
}

static void print_character(FILE *f, const unsigned char *s, size_t n)
{
        if (n == 0)
                fputs("\\ufffd", f);
        else if (s[0] == '"' || s[0] == '\\')
                fprintf(f, "\\%c", s[0]);
        else if (s[0] == '\n')
                fputs("\\n", f);
        else if (s[0] < 0x20 || s[0] == 0x7f)
                fprintf(f, "\\u%04x", s[0]);
        else
                fwrite(s, 1, n, f);
}

void json_bytes(struct json *j, const char *key, const void *value, size_t size)
{
        const unsigned char *s = value;

        print_key(j, key);
        putc('"', j->file);
        for (size_t i = 0, n; i < size; i += n ? n : 1) {
                n = text_utf8_length(s + i, size - i);
                print_character(j->file, s + i, n);
        }
        putc('"', j->file);
}

void json_string(struct json *j, const char *key, const char *value)
{
        if (value) {
                json_bytes(j, key, value, strlen(value));
                return;
        }
        print_key(j, key);
        fputs("null", j->file);
}

void json_hex(struct json *j, const char *key, const void *value, size_t size)
{
        const unsigned char *s = value;

        print_key(j, key);
        putc('"', j->file);
        for (size_t i = 0; i < size; i++)
                fprintf(j->file, "%02x", s[i]);
        putc('"', j->file);
}

void json_u64(struct json *j, const char *key, uint64_t value)
{
        print_key(j, key);
        fprintf(j->file, "%" PRIu64, value);
}

void json_i64(struct json *j, const char *key, int64_t value)
{
        print_key(j, key);
        fprintf(j->file, "%" PRId64, value);
}

void json_f64(struct json *j, const char *key, double value, int decimals)
{
        print_key(j, key);
        if (__builtin_isfinite(value))
                fprintf(j->file, "%.*f", decimals, value);
        else
                fputs("null", j->file);
}

void json_bool(struct json *j, const char *key, bool value)
{
        print_key(j, key);
        fputs(value ? "true" : "false", j->file);
}
