/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/text.h - text for people: colours where they are wanted, tables, bytes that may be anything
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What switches a colour on; all are "" where none is wanted. */
struct paint {
        const char *bold, *dim, *red, *green, *yellow, *off;
};

/* Colours for @f: only on a terminal that has some, and not if NO_COLOR is set (no-color.org). */
const struct paint *text_paint(FILE *f);

/* Prints bytes of unknown origin so that they cannot command the terminal: \n, \x1b, ... */
void text_escaped(FILE *f, const void *data, size_t size);

/*
 * Length of the UTF-8 sequence at @data, 0 if there is none: the shortest form, no surrogates,
 * nothing above U+10FFFF (RFC 3629, 4). @left is at least 1.
 */
size_t text_utf8_length(const void *data, size_t left);

/* 1536 -> "1.5 KiB"; in @buffer, which is returned. */
const char *text_size(char buffer[24], uint64_t bytes);

/* 93784 s -> "1 d 2 h"; in @buffer, which is returned. */
const char *text_span(char buffer[24], uint64_t ns);

enum { TABLE_COLUMNS_MAX = 16 };

/**
 * struct table - cells that are collected first, so that columns fit
 *
 * A zeroed one with @columns (at most TABLE_COLUMNS_MAX) set is empty. Cells are added row by row;
 * a last column of any width is not padded.
 */
struct table {
        size_t columns;
        char **cells; /* its own */
        size_t count, room;
        bool has_failed; /* no memory: prints nothing but that */
};

void table_add(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A text that comes from others: without its control characters. */
void table_add_text(struct table *t, const char *text);

/* The first row, and so the number of columns; @names ends with NULL. */
void table_head(struct table *t, const char *const *names);

/* Empties it. */
void table_free(struct table *t);

/* The first row is the heading. Columns named in the bit mask @right are right-aligned. Empties @t.
 */
void table_print(struct table *t, FILE *f, unsigned right);
