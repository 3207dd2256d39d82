/* SPDX-License-Identifier: Apache-2.0 */
/* link_msg_test.c - packets of a link's socket: what is read back, what is refused */
#include "wire/link_msg.h"
#include "tst.h"
#include <string.h>

static const struct row {
        const char *name;
        struct ptl_link_msg msg;
        size_t size;
        int outcome;
} rows[] = {
        {"hello",                     {PTL_LINK_MAGIC, PTL_LM_HELLO, 1, 0},              16, 0              },
        {"descriptors",               {PTL_LINK_MAGIC, PTL_LM_DESCRIPTORS, 1, 5},        16, 0              },
        {"acknowledge",               {PTL_LINK_MAGIC, PTL_LM_ACKNOWLEDGE, 1, ~0ull},    16, 0              },
        {"hello of another protocol", {PTL_LINK_MAGIC, PTL_LM_HELLO, 2, 0},              16, PTL_E_VERSION  },
        {"others of another protocol", {PTL_LINK_MAGIC, PTL_LM_ACKNOWLEDGE, 2, 0},       16, PTL_E_MALFORMED},
        {"another magic",             {PTL_LINK_MAGIC + 1, PTL_LM_HELLO, 1, 0},          16, PTL_E_MALFORMED},
        {"type 0",                    {PTL_LINK_MAGIC, 0, 1, 0},                         16, PTL_E_MALFORMED},
        {"type behind the last",      {PTL_LINK_MAGIC, PTL_LM_ACKNOWLEDGE + 1, 1, 0},    16, PTL_E_MALFORMED},
        {"cut",                       {PTL_LINK_MAGIC, PTL_LM_HELLO, 1, 0},              15, PTL_E_MALFORMED},
        {"longer",                    {PTL_LINK_MAGIC, PTL_LM_HELLO, 1, 0},              17, PTL_E_MALFORMED},
        {"empty",                     {PTL_LINK_MAGIC, PTL_LM_HELLO, 1, 0},              0,  PTL_E_MALFORMED},
};

TEST(packets_are_read_back_or_refused)
{
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                char packet[32] = {0};
                struct ptl_link_msg msg;

                memcpy(packet, &rows[i].msg, sizeof msg);
                CHECK_ROW(i, &rows[i],
                          ptl_link_msg_decode(packet, rows[i].size, &msg) == rows[i].outcome);
                CHECK_ROW(i, &rows[i],
                          rows[i].outcome || memcmp(&msg, &rows[i].msg, sizeof msg) == 0);
        }
}

TEST(tickets_and_their_count_share_a_value)
{
        uint64_t value = ptl_link_msg_tickets(((uint64_t)1 << 56) - 1, 17);

        CHECK_EQ(ptl_link_msg_ticket(value), ((uint64_t)1 << 56) - 1);
        CHECK_EQ(ptl_link_msg_count(value), 17);
}
