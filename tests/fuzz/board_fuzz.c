/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/board_fuzz.c - a board that anyone may have written: refused, or bounded in every word
 *
 * An input is the head, then two rows of ports, then two of peers; what is missing is zero.
 */
#define _GNU_SOURCE
#include "wire/board.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(const uint8_t **data, size_t *size, void *to, size_t room)
{
        size_t n = *size < room ? *size : room;

        memcpy(to, *data, n);
        *data += n;
        *size -= n;
}

static bool is_bounded(const struct ptl_board *b)
{
        if (b->head.n_ports > PTL_VIEW_PORTS || b->head.n_peers > PTL_VIEW_PEERS ||
            b->head.how > PTL_WAIT_MEMORY || b->head.n_refusals > PTL_QUOTA_REFUSALS)
                return false;
        for (uint32_t i = 0; i < b->head.n_refusals; i++)
                if (!ptl_quota_name(b->head.refusals[i].limit))
                        return false;
        for (uint32_t i = 0; i < b->head.n_ports; i++)
                if (strnlen(b->ports[i].published, PTL_VIEW_NAME) == PTL_VIEW_NAME ||
                    b->ports[i].rights >= 32)
                        return false;
        for (uint32_t i = 0; i < b->head.n_peers; i++)
                if (b->peers[i].state > 2 || b->peers[i].waits > PTL_PEER_ASLEEP ||
                    (b->peers[i].restrained && !ptl_quota_name(b->peers[i].restrained)))
                        return false;
        return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct ptl_board *board = calloc(1, sizeof *board), *copy = malloc(sizeof *copy);
        enum ptl_view_board how;

        if (!board || !copy)
                abort();
        take(&data, &size, &board->head, sizeof board->head);
        take(&data, &size, board->ports, 2 * sizeof *board->ports);
        take(&data, &size, board->peers, 2 * sizeof *board->peers);
        how = ptl_board_copy(board, copy);
        if (memcmp(board, copy, sizeof *board) != 0 || how == PTL_BOARD_UNSTEADY ||
            (how == PTL_BOARD_TORN) != (board->head.sequence % 2))
                abort();
        if (ptl_board_check(copy) == 0 && !is_bounded(copy))
                abort();
        free(board);
        free(copy);
        return 0;
}
