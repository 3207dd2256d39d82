/* SPDX-License-Identifier: Apache-2.0 */
/* port/held_inline.h - the part of port/held.c that every call runs through */
#pragma once
#include "port/peer.h"

static inline struct ptl_held *ptl_held_at(struct ptl_peer *peer, uint32_t right)
{
        return ptl_table_at_sized(ptl_right_is_claimed(right) ? &peer->claims : &peer->held,
                                  ptl_right_index(right), sizeof(struct ptl_held));
}

/* A name for @right, which @held then knows; PTL_NULL: full. */
static inline ptl_port ptl_held_enter(struct ptl_peer *peer, struct ptl_held *held, unsigned rights,
                                      uint32_t right, struct ptl_entry **ret_entry)
{
        ptl_port name = held ? ptl_space_insert(peer->space, rights, ret_entry) : PTL_NULL;

        if (PTL_UNLIKELY(!name))
                return PTL_NULL;
        (*ret_entry)->peer = ptl_peer_ref(peer);
        (*ret_entry)->remote = right;
        held->name = name;
        return name;
}

/* A send-once right the peer granted: always a name of its own. */
static inline ptl_port ptl_held_once(struct ptl_peer *peer, uint32_t right)
{
        struct ptl_held *h = ptl_table_at_sized(&peer->held, ptl_right_index(right), sizeof *h);
        struct ptl_entry *e;

        if (PTL_UNLIKELY(!h)) {
                if (!ptl_table_ensure(&peer->held, ptl_right_index(right)))
                        return PTL_NULL;
                h = ptl_held_at(peer, right);
        }
        return ptl_held_enter(peer, h, PTL_RIGHT_SEND_ONCE, right, &e);
}

/* Forgets it: no name has it any more. */
static inline void ptl_held_forget(struct ptl_peer *peer, uint32_t right)
{
        struct ptl_held *h = ptl_held_at(peer, right);

        if (PTL_UNLIKELY(!h))
                return;
        h->name = PTL_NULL;
        if (ptl_right_is_claimed(right))
                ptl_table_give(&peer->claims, ptl_right_index(right));
}
