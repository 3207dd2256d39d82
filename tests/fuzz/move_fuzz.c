/* SPDX-License-Identifier: Apache-2.0 */
/* move_fuzz.c - the bodies of a receive right's frames, and its words: the first byte says which */
#include "wire/frame.h"
#include "wire/move.h"
#include <portolan/port.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
        if (!condition)
                abort();
}

/* What is let through can be written again, bit for bit. */
static void word(const uint8_t *data, size_t size)
{
        struct ptl_right_word w;
        uint64_t bits;

        if (size != sizeof bits)
                return;
        memcpy(&bits, data, sizeof bits);
        if (ptl_word_decode(bits, &w))
                return;
        if (w.state == PTL_WORD_OPEN)
                must(bits == ptl_word_open(w.messages, w.units));
        else if (w.state == PTL_WORD_MARKED)
                must(bits == ptl_word_marked());
        else
                must(w.route < PTL_MOVE_ROUTES && bits == ptl_word_moved(w.messages, w.route));
}

static void holder(const uint8_t *data, size_t size)
{
        struct ptl_move_holder h;

        if (ptl_move_holder_decode(data, size, &h))
                return;
        must(h.references > 0 && (h.task.high || h.task.low));
        must(h.kind == PTL_CARRY_SEND ||
             (h.kind == PTL_CARRY_ONCE && h.references == 1 && h.count.count <= 1));
        must(h.count.count - h.count.taken <= PTL_LIMIT_MESSAGES_MAX + 1);
}

static void others(unsigned which, const uint8_t *data, size_t size)
{
        struct ptl_move_port port;
        struct ptl_move_count count;
        struct ptl_move_queued queued;
        struct ptl_move_commit commit;
        struct ptl_move_claim claim;
        struct ptl_move_route route;
        struct ptl_task_id task;

        switch (which) {
        case 2:
                must(ptl_move_port_decode(data, size, &port) ||
                     port.limit_messages <= PTL_LIMIT_MESSAGES_MAX);
                break;
        case 3:
                must(ptl_move_count_decode(data, size, &count) ||
                     !(count.units >> 31 | count.taken_units >> 31));
                break;
        case 4:
                must(ptl_move_queued_decode(data, size, &queued) ||
                     (queued.hops < PTL_MOVE_HOPS && queued.reply <= 1));
                break;
        case 5:
                must(ptl_move_commit_decode(data, size, &commit) || size == sizeof commit);
                break;
        case 6:
                must(ptl_move_claim_decode(data, size, &claim) ||
                     ptl_right_index((uint32_t)claim.number));
                break;
        case 7:
                must(ptl_move_route_decode(data, size, &route) || route.task.high ||
                     route.task.low);
                break;
        default:
                must(ptl_move_pass_decode(data, size, &task) || task.high || task.low);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (!size)
                return 0;
        if (data[0] % 9 == 0)
                word(data + 1, size - 1);
        else if (data[0] % 9 == 1)
                holder(data + 1, size - 1);
        else
                others(data[0] % 9, data + 1, size - 1);
        return 0;
}
