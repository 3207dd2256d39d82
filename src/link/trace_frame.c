/* SPDX-License-Identifier: Apache-2.0 */
/* link/trace_frame.c - see trace_frame.h */
#include "link/trace_frame.h"
#include <stdio.h>
#include <string.h>

enum { SHOWN = 32 };

/* Printable bytes as they are, others as dots. */
static void show_bytes(char *to, const void *bytes, uint32_t size)
{
        const unsigned char *b = bytes;
        uint32_t n = size < SHOWN ? size : SHOWN;

        for (uint32_t i = 0; i < n; i++)
                to[i] = (char)(b[i] >= ' ' && b[i] < 127 ? b[i] : '.');
        strcpy(to + n, size > SHOWN ? "..." : "");
}

static void show_rich(char *to, size_t room, const void *body, uint32_t length)
{
        struct ptl_rich rich;

        if (ptl_rich_decode(body, length, &rich))
                snprintf(to, room, " malformed");
        else
                snprintf(to, room, " rights=%u given=%u regions=%u bytes=%llu", rich.n_rights, rich.n_given,
                         rich.n_regions,
                         (unsigned long long)(rich.where == PTL_WHERE_INLINE ? rich.size
                                                                            : rich.block.size));
}

static void show_body(char *to, size_t room, unsigned kind, const void *body, uint32_t length)
{
        struct ptl_frame_block block;
        struct ptl_frame_claim claim;
        struct ptl_frame_redeem redeem;
        char bytes[SHOWN + 4];

        *to = 0;
        if (kind == PTL_FRAME_INLINE) {
                show_bytes(bytes, body, length);
                snprintf(to, room, " \"%s\"", bytes);
        } else if (kind == PTL_FRAME_RICH) {
                show_rich(to, room, body, length);
        } else if (kind == PTL_FRAME_BLOCK && !ptl_frame_body(body, length, &block, sizeof block)) {
                snprintf(to, room, " slot=%u offset=%u bytes=%llu", block.slot, block.offset,
                         (unsigned long long)block.size);
        } else if (kind == PTL_FRAME_CLAIM && !ptl_frame_body(body, length, &claim, sizeof claim)) {
                snprintf(to, room, " ticket=%llx", (unsigned long long)claim.ticket);
        } else if (kind == PTL_FRAME_REDEEM && !ptl_frame_body(body, length, &redeem, sizeof redeem)) {
                snprintf(to, room, " ticket=%llx granter=%llx", (unsigned long long)redeem.ticket,
                         (unsigned long long)redeem.granter.high);
        } else if (kind == PTL_FRAME_GIVE) {
                snprintf(to, room, " rights=%u", length / (uint32_t)sizeof(struct ptl_frame_give_item) - 1);
        }
}

void ptl_trace_frame(const struct ptl_identity *peer, bool sent, const struct ptl_frame_head *head,
                     const void *body)
{
        unsigned kind = ptl_frame_kind_of(head->word);
        uint32_t length = ptl_frame_length(head->word);
        char what[160];

        show_body(what, sizeof what, kind, body, length);
        ptl_trace_line("%s pid %d: #%u %s right=%x reply=%x aux=%x length=%u%s", sent ? "->" : "<-",
                       (int)peer->pid, head->sequence, ptl_frame_kind_name(kind), head->right,
                       head->token, head->aux, length, what);
}
