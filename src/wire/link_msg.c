/* SPDX-License-Identifier: Apache-2.0 */
/* wire/link_msg.c - see link_msg.h */
#include "wire/link_msg.h"
#include <string.h>

int ptl_link_msg_decode(const void *packet, size_t size, struct ptl_link_msg *ret_msg)
{
        struct ptl_link_msg msg;

        if (size != sizeof msg)
                return PTL_E_MALFORMED;
        memcpy(&msg, packet, sizeof msg);
        if (msg.magic != PTL_LINK_MAGIC || msg.type < PTL_LM_HELLO || msg.type > PTL_LM_ACKNOWLEDGE)
                return PTL_E_MALFORMED;
        if (msg.protocol != PTL_LINK_PROTOCOL)
                return msg.type == PTL_LM_HELLO ? PTL_E_VERSION : PTL_E_MALFORMED;
        *ret_msg = msg;
        return 0;
}
