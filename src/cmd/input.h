/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/input.h - standard input, line by line or as a whole */
#pragma once
#include <stddef.h>

/* Returns an exit status; other than CMD_OK ends the reading. @data is borrowed for the call. */
typedef int input_use(const void *data, size_t size, void *context);

/* Each line of standard input, without its newline. Return: the first status that is not CMD_OK. */
int input_lines(input_use *use, void *context);

/* All of standard input at once. Return: what @use returned, or CMD_FAILED with a message. */
int input_whole(input_use *use, void *context);
