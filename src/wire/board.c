/* SPDX-License-Identifier: Apache-2.0 */
/* wire/board.c - see board.h */
#include "wire/board.h"
#include "base/cleanup.h"
#include <stdbool.h>
#include <string.h>

enum { TRIES = 64, WORDS = PTL_BOARD_SIZE / 8 };

enum {
        RIGHTS = PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND | PTL_RIGHT_SEND_ONCE | PTL_RIGHT_SET |
                 PTL_RIGHT_DEAD
};

/* Word by word: no compiler turns that into reading one twice. */
static void copy_words(const struct ptl_board *board, struct ptl_board *ret)
{
        const _Atomic uint64_t *from = (const _Atomic uint64_t *)(const void *)board;
        char *to = (char *)ret;

        for (size_t i = 0; i < WORDS; i++) {
                uint64_t word = ptl_load_relaxed(from + i); /* relaxed: between E1 and E2 */

                memcpy(to + 8 * i, &word, sizeof word);
        }
}

enum ptl_view_board ptl_board_copy(const struct ptl_board *board, struct ptl_board *ret_copy)
{
        uint32_t first = 0;
        bool moved = false;

        for (int i = 0; i < TRIES; i++) {
                uint32_t before = ptl_load_acquire(&board->head.sequence), after; /* E1 */

                if (i == 0)
                        first = before;
                moved |= before != first;
                if (before % 2 && i < TRIES - 1) {
                        ptl_pause();
                        continue;
                }
                copy_words(board, ret_copy);
                ptl_fence_seq_cst();                             /* E2 */
                after = ptl_load_relaxed(&board->head.sequence); /* relaxed: the fence orders it */
                if (before % 2 == 0 && after == before)
                        return PTL_BOARD_WHOLE;
                moved |= after != before;
        }
        return moved ? PTL_BOARD_UNSTEADY : PTL_BOARD_TORN;
}

static bool is_port_valid(const struct ptl_port_view *p)
{
        return p->name && p->rights && !(p->rights & ~(uint32_t)RIGHTS) && p->is_published <= 1 &&
               memchr(p->published, 0, sizeof p->published);
}

static bool is_peer_valid(const struct ptl_peer_view *p)
{
        return p->state <= 2 && p->waits <= PTL_PEER_ASLEEP && p->has_input <= 1 &&
               !p->peer.reserved && p->restrained <= PTL_QUOTA_LIMITS && p->restrains <= PTL_QUOTA_LIMITS;
}

static bool is_refusal_valid(const struct ptl_quota_refusal *r)
{
        return r->limit >= 1 && r->limit <= PTL_QUOTA_LIMITS && r->is_ours <= 1 && !r->reserved;
}

static bool is_head_valid(const struct ptl_board_head *h)
{
        /* relaxed: a private copy */
        return h->size == PTL_BOARD_SIZE && h->how <= PTL_WAIT_MEMORY &&
               ptl_load_relaxed(&h->asleep) <= 1 && h->n_ports <= PTL_VIEW_PORTS &&
               h->n_peers <= PTL_VIEW_PEERS && h->n_refusals <= PTL_QUOTA_REFUSALS;
}

int ptl_board_check(const struct ptl_board *copy)
{
        const struct ptl_board_head *h = &copy->head;

        if (h->magic != PTL_BOARD_MAGIC)
                return PTL_E_MALFORMED;
        if (h->version != PTL_BOARD_VERSION_NOW) /* before the rest: another layout has another */
                return PTL_E_VERSION;
        if (!is_head_valid(h))
                return PTL_E_MALFORMED;
        for (uint32_t i = 0; i < h->n_refusals; i++)
                if (!is_refusal_valid(&h->refusals[i]))
                        return PTL_E_MALFORMED;
        for (uint32_t i = 0; i < h->n_ports; i++)
                if (!is_port_valid(&copy->ports[i]))
                        return PTL_E_MALFORMED;
        for (uint32_t i = 0; i < h->n_peers; i++)
                if (!is_peer_valid(&copy->peers[i]))
                        return PTL_E_MALFORMED;
        return 0;
}
