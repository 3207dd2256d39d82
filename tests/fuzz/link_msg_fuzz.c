/* SPDX-License-Identifier: Apache-2.0 */
/* link_msg_fuzz.c - a packet that anyone may have written to a link's socket */
#include "wire/link_msg.h"
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct ptl_link_msg msg;

        /* What is let through is of a known type and of this protocol. */
        if (ptl_link_msg_decode(data, size, &msg) == 0 &&
            (size != sizeof msg || msg.magic != PTL_LINK_MAGIC || msg.protocol != PTL_LINK_PROTOCOL ||
             msg.type < PTL_LM_HELLO || msg.type > PTL_LM_ACKNOWLEDGE))
                abort();
        return 0;
}
