/* SPDX-License-Identifier: Apache-2.0 */
/* shm/spare.c - see spare.h */
#include "shm/spare.h"
#include "shm/outbox.h"
#include <string.h>

/* Oldest first. */
static struct piece {
        void *data;
        size_t whole;
} pieces[PTL_SPARE_PIECES];
static unsigned n_pieces;
static size_t bytes;

static void remove_piece(unsigned i)
{
        bytes -= pieces[i].whole;
        n_pieces--;
        memmove(&pieces[i], &pieces[i + 1], (n_pieces - i) * sizeof pieces[0]);
}

static void drop_oldest(void)
{
        struct piece oldest = pieces[0];

        remove_piece(0);
        ptl_memory_unmap(oldest.data, oldest.whole);
}

int ptl_spare_take(size_t size, void **ret_data)
{
        size_t whole = ptl_memory_round(size);

        for (unsigned i = n_pieces; i-- > 0;) { /* the youngest is most likely in the cache */
                if (pieces[i].whole != whole)
                        continue;
                *ret_data = pieces[i].data;
                remove_piece(i);
                return 0;
        }
        return ptl_memory_private(size, ret_data);
}

void ptl_spare_give(void *data, size_t size)
{
        size_t whole = ptl_memory_round(size);

        if (whole > PTL_SPARE_BYTES) {
                ptl_memory_unmap(data, size);
                return;
        }
        while (n_pieces == PTL_SPARE_PIECES || bytes + whole > PTL_SPARE_BYTES)
                drop_oldest();
        pieces[n_pieces++] = (struct piece){data, whole};
        bytes += whole;
}

void ptl_spare_drop(void)
{
        while (n_pieces)
                drop_oldest();
}

void ptl_spare_forked(void)
{
        n_pieces = 0;
        bytes = 0;
}
