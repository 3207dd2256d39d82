/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/link_msg.h - what two linked tasks say on the socket between them
 *
 * One packet of a SOCK_SEQPACKET socket each. HELLO carries two descriptors (outbox, doorbell),
 * DESCRIPTORS those of one message, numbered by tickets; ACKNOWLEDGE says how many of those were taken in.
 */
#pragma once
#include <portolan/outcome.h>
#include <stddef.h>
#include <stdint.h>

enum { PTL_LINK_MAGIC = 0x4b4c5450, /* "PTLK" */ PTL_LINK_PROTOCOL = 1 };

enum ptl_link_type {
        PTL_LM_HELLO = 1,   /* value: feature bits */
        PTL_LM_DESCRIPTORS, /* value: ptl_link_msg_tickets(): of the first, counted from 1, and how many */
        PTL_LM_ACKNOWLEDGE, /* value: the highest ticket taken in */
};

struct ptl_link_msg {
        uint32_t magic;
        uint16_t type;
        uint16_t protocol;
        uint64_t value;
};

_Static_assert(sizeof(struct ptl_link_msg) == 16, "layout");

static inline uint64_t ptl_link_msg_tickets(uint64_t first, size_t count)
{
        return (uint64_t)count << 56 | first;
}
static inline uint64_t ptl_link_msg_ticket(uint64_t value) { return value & ~((uint64_t)0xff << 56); }
static inline uint64_t ptl_link_msg_count(uint64_t value) { return value >> 56; }

/* PTL_E_VERSION: a HELLO of another protocol; PTL_E_MALFORMED: anything else that is wrong. */
PTL_MUST_CHECK int ptl_link_msg_decode(const void *packet, size_t size, struct ptl_link_msg *ret_msg);

static inline struct ptl_link_msg ptl_link_msg(enum ptl_link_type type, uint64_t value)
{
        return (struct ptl_link_msg){PTL_LINK_MAGIC, (uint16_t)type, PTL_LINK_PROTOCOL, value};
}
