/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/input.c - standard input, line by line or as a whole */
#include "cmd/input.h"
#include "base/cleanup.h"
#include "cmd/cmd.h"
#include <stdio.h>
#include <stdlib.h>

int input_lines(input_use *use, void *context)
{
        ptl_cleanup(ptl_freep) char *line = NULL;
        size_t room = 0;
        int status = CMD_OK;

        for (ssize_t n; status == CMD_OK && (n = getline(&line, &room, stdin)) > 0;) {
                if (line[n - 1] == '\n')
                        n--;
                status = use(line, (size_t)n, context);
        }
        if (status == CMD_OK && ferror(stdin))
                return cmd_failed(-EIO, "read standard input");
        return status;
}

int input_whole(input_use *use, void *context)
{
        ptl_cleanup(ptl_freep) char *data = NULL;
        size_t room = 0, size = 0;

        for (;;) {
                if (size == room) {
                        char *more = realloc(data, room ? 2 * room : 65536);

                        if (!more)
                                return cmd_failed(-ENOMEM, "read standard input");
                        data = more;
                        room = room ? 2 * room : 65536;
                }
                size_t n = fread(data + size, 1, room - size, stdin);
                if (n == 0)
                        break;
                size += n;
        }
        if (ferror(stdin))
                return cmd_failed(-EIO, "read standard input");
        return use(data, size, context);
}
