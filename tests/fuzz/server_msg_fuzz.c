/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/server_msg_fuzz.c - a packet of any bytes: refused, or the same again when it is encoded */
#define _GNU_SOURCE
#include "wire/server_msg.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char packet[PTL_SERVER_PACKET_MAX];
        struct ptl_server_msg msg;

        if (ptl_server_msg_decode(data, size, &msg))
                return 0;
        if (msg.name_size > PTL_SERVER_NAME_MAX || strlen(msg.name) != msg.name_size ||
            !strcmp(ptl_server_type_name(msg.type), "?"))
                abort();
        if (ptl_server_msg_encode(&msg, packet) != size || memcmp(packet, data, size))
                abort();
        return 0;
}
