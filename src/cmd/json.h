/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd/json.h - prints JSON for machines: one object a line
 *
 *   struct json j;
 *   json_begin(&j, stdout);
 *   json_string(&j, "name", "echo");
 *   json_u64(&j, "pid", 17);
 *   json_end(&j);                          {"name":"echo","pid":17}
 *
 * Keys are the program's own and are printed as they are; values may be anything. Bytes that are
 * not UTF-8 are printed as U+FFFD: JSON has no other place for them. Not thread-safe.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
        FILE *file;   /* borrowed */
        bool is_next; /* a member was printed: a comma is due */
};

void json_begin(struct json *j, FILE *file);

/* Closes the object, ends the line and flushes it: a reader at a pipe's end sees each at once. */
void json_end(struct json *j);

void json_string(struct json *j, const char *key, const char *value); /* NULL prints null */
void json_bytes(struct json *j, const char *key, const void *value, size_t size);
void json_hex(struct json *j, const char *key, const void *value, size_t size); /* "0a1b" */
void json_u64(struct json *j, const char *key, uint64_t value);
void json_i64(struct json *j, const char *key, int64_t value);
void json_f64(struct json *j, const char *key, double value, int decimals); /* NaN, inf: null */
void json_bool(struct json *j, const char *key, bool value);
