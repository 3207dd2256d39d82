/* SPDX-License-Identifier: Apache-2.0 */
/* port/peer.c - life of a linked task (peer.h) */
#include "port/moving.h"
#include "port/regions.h"
#include "port/reroute.h"

int ptl_peer_new(struct ptl_space *space, int socket, const struct ptl_identity *identity,
                 struct ptl_peer **ret_peer)
{
        struct ptl_peer *peer = aligned_alloc(64, (sizeof *peer + 63) / 64 * 64);
        int r;

        if (!peer)
                return -ENOMEM;
        *peer = (struct ptl_peer){.space = space, .references = 1};
        r = ptl_quota_open(peer, identity);
        if (!r)
                r = ptl_link_init(&peer->link, socket, identity);
        if (r) {
                ptl_quota_close(peer);
                free(peer);
                return r;
        }
        ptl_table_init_headed(&peer->granted, sizeof(struct ptl_grant), PTL_RIGHT_INDEX_MAX,
                              sizeof(struct ptl_grant_chunk));
        ptl_table_init_headed(&peer->claimed, sizeof(struct ptl_grant), PTL_RIGHT_INDEX_MAX,
                              sizeof(struct ptl_grant_chunk));
        ptl_held_init(peer);
        *ret_peer = peer;
        return 0;
}

void ptl_peer_free(struct ptl_peer *peer)
{
        ptl_regions_drop(peer);
        ptl_handoff_free(peer);
        ptl_moving_free(peer);
        ptl_quota_close(peer);
        ptl_link_fini(&peer->link);
        ptl_grants_fini(peer);
        ptl_held_fini(peer);
        free(peer);
}

static void release_granted(struct ptl_table *table)
{
        for (uint32_t i = 1; i < table->length; i++) {
                struct ptl_grant *g = ptl_table_at(table, i);

                if (g->kind == PTL_GRANT_FREE)
                        continue;
                g->marks = 0;
                ptl_grant_release(g, g->references);
        }
}

/* Those of one table: the holder chose their index (PTL_RIGHT_CLAIMED), or the peer did (0). */
static void kill_held(struct ptl_peer *peer, const struct ptl_table *table, uint32_t claimed)
{
        for (uint32_t i = 1; i < table->length; i++) {
                ptl_port *name = ptl_held_name(peer, i | claimed);
                struct ptl_entry *e = ptl_space_hidden(peer->space, *name);

                if (!e || e->peer != peer)
                        continue;
                ptl_held_clear(peer, i | claimed, name);
                e->flags &= (uint8_t)~PTL_ENTRY_CLAIM;
                e->peer = NULL;
                if (e->rights)
                        ptl_right_kill(peer->space, e);
                else
                        e->under_way = PTL_RIGHT_DEAD;
                peer->references--; /* never the last: our caller has one */
        }
}

/* Entries that only waited for their RELEASE to be written. */
static void drop_pending(struct ptl_peer *peer)
{
        while (peer->pending_entries) {
                struct ptl_entry *e =
                        ptl_table_at(&peer->space->entries, peer->pending_entries);

                peer->pending_entries = e->pending_next;
                if (e->flags & PTL_ENTRY_RELEASE) {
                        ptl_space_remove(peer->space, e);
                        peer->references--; /* never the last: our caller has one */
                } else {
                        e->flags &= (uint8_t)~PTL_ENTRY_CLAIM;
                }
        }
        peer->pending_grants[0] = peer->pending_grants[1] = 0;
        peer->n_retire = 0;
        ptl_control_set_pending(peer, false);
}

void ptl_peer_died(struct ptl_peer *peer)
{
        ptl_peer_ref(peer);
        ptl_link_kill(&peer->link);
        drop_pending(peer);
        ptl_ways_peer_died(peer);
        ptl_moving_peer_died(peer);
        if (peer->space->handoffs)
                ptl_handoff_peer_died(peer);
        ptl_grant_drop_spare(peer);
        release_granted(&peer->granted);
        release_granted(&peer->claimed);
        kill_held(peer, &peer->held, 0);
        kill_held(peer, &peer->claims, PTL_RIGHT_CLAIMED);
        if (peer->space->ways.count)
                ptl_ways_peer_settled(peer->space);
        peer->space->counters.links_dead++;
        ptl_peer_unref(peer);
}
