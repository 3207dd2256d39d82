/* SPDX-License-Identifier: Apache-2.0 */
/* port/held_inline.h - the part of port/held.c that every call runs through */
#pragma once
#include "port/peer.h"

/* Where the name of a right stands, whoever chose its index; NULL: that index was not met yet. */
static inline ptl_port *ptl_held_name(struct ptl_peer *peer, uint32_t right)
{
        struct ptl_claim *c;

        if (PTL_LIKELY(!ptl_right_is_claimed(right)))
                return ptl_table_at_sized(&peer->held, ptl_right_index(right), sizeof(ptl_port));
        c = ptl_table_at_sized(&peer->claims, ptl_right_index(right), sizeof *c);
        return c ? &c->name : NULL;
}

/* A name for @right, which stands in *@at from then on; PTL_NULL: full. */
static inline ptl_port ptl_held_enter(struct ptl_peer *peer, ptl_port *at, unsigned rights, uint32_t right,
                                      struct ptl_entry **ret_entry)
{
        ptl_port name = at ? ptl_space_insert(peer->space, rights, ret_entry) : PTL_NULL;

        if (PTL_UNLIKELY(!name))
                return PTL_NULL;
        (*ret_entry)->peer = ptl_peer_ref(peer);
        (*ret_entry)->remote = right;
        peer->held.used += !ptl_right_is_claimed(right); /* claims are counted as they are chosen */
        return *at = name;
}

/* No name has @right any more, which stood in *@at. */
static inline void ptl_held_clear(struct ptl_peer *peer, uint32_t right, ptl_port *at)
{
        peer->held.used -= *at && !ptl_right_is_claimed(right);
        *at = PTL_NULL;
}

/* A send-once right the peer granted: always a name of its own. */
static inline ptl_port ptl_held_once(struct ptl_peer *peer, uint32_t right)
{
        ptl_port *at = ptl_table_at_sized(&peer->held, ptl_right_index(right), sizeof *at);
        struct ptl_entry *e;

        if (PTL_UNLIKELY(!at) && ptl_table_ensure(&peer->held, ptl_right_index(right)))
                at = ptl_held_name(peer, right);
        return ptl_held_enter(peer, at, PTL_RIGHT_SEND_ONCE, right, &e);
}

/* Forgets it: no name has it any more. */
static inline void ptl_held_forget(struct ptl_peer *peer, uint32_t right)
{
        ptl_port *name = ptl_held_name(peer, right);

        if (PTL_UNLIKELY(!name))
                return;
        ptl_held_clear(peer, right, name);
        if (PTL_UNLIKELY(ptl_right_is_claimed(right))) {
                ptl_claim_hide(peer, right);
                ptl_table_give(&peer->claims, ptl_right_index(right));
        }
}
