/* SPDX-License-Identifier: Apache-2.0 */
/* port/space.c - see space.h */
#include "port/space.h"
#include "port/receiver.h"
#include <string.h>

void ptl_space_init(struct ptl_space *space)
{
        *space = (struct ptl_space){0};
        ptl_table_init(&space->entries, sizeof(struct ptl_entry), (1u << PTL_NAME_INDEX_BITS) - 1);
        ptl_table_init(&space->receivers, sizeof(struct ptl_receiver), 1u << PTL_NAME_INDEX_BITS);
        ptl_table_init(&space->grant_chunks, sizeof(struct ptl_grant *), PTL_GRANT_CHUNKS_MAX);
}

int ptl_space_why_not(const struct ptl_space *space, ptl_port name)
{
        struct ptl_entry *e = ptl_table_at(&space->entries, ptl_name_index(name));

        if (e && e->flags & PTL_ENTRY_FORKED && e->name == name)
                return PTL_E_FORKED;
        return PTL_E_NAME;
}

int ptl_space_look(const struct ptl_space *space, ptl_port name, unsigned rights,
                   struct ptl_entry **ret_entry)
{
        struct ptl_entry *e = ptl_space_entry(space, name);

        if (!e)
                return ptl_space_why_not(space, name);
        if (!(e->rights & rights))
                return PTL_E_RIGHT;
        *ret_entry = e;
        return 0;
}

int ptl_space_choose(struct ptl_space *space, ptl_port name)
{
        uint32_t index = ptl_name_index(name);
        struct ptl_entry *spare = space->spare;
        int r;

        space->spare = NULL;
        if (spare)
                ptl_table_give(&space->entries, ptl_entry_index(spare));
        r = ptl_table_take_at(&space->entries, index);
        if (r)
                return r;
        space->spare = ptl_table_at(&space->entries, index);
        ptl_entry_clear(space->spare, name);
        return 0;
}

void ptl_space_fork(struct ptl_space *space, bool quiet)
{
        struct ptl_table *t = &space->entries;

        t->free = 0;
        t->used = 0;
        space->spare = NULL; /* it has no rights: given back with the others */
        /* Downwards, so that low indices are given out first again. */
        for (uint32_t i = t->fresh - 1; i > 0; i--) {
                struct ptl_entry *e = ptl_table_at(t, i);

                bool named = e->rights != 0;

                /* A grandparent's name, or one given up just now: what takes its place has another. */
                if (!named && e->flags)
                        e->name = ptl_name_after(e->name);
                e->rights = 0;
                e->flags = named ? PTL_ENTRY_FORKED : 0;
                if (named)
                        continue; /* never given out here: it stays refused as the parent's */
                t->used++;
                ptl_table_give(t, i);
        }
        space->receivers.fresh = 1; /* the parent's ports are none here: their memory is used again */
        space->receivers.used = 0;
        space->receivers_free = NULL;
        space->grant_chunks.fresh = 1; /* its links are none here either, and never freed */
        space->grant_chunks.used = space->grant_chunks.free = 0;
        if (!quiet) {
                space->cells = NULL;
                space->n_cells = 0;
        }
        space->lefts = NULL;
        space->doomed = NULL;
        space->reaping = false;
        space->pending = 0;
        memset(&space->counters, 0, sizeof space->counters);
        ptl_quota_forked(&space->quota);
        space->lock = (struct ptl_lock){0};
}
