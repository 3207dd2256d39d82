/* SPDX-License-Identifier: Apache-2.0 */
/* rest.c - what two tasks' tables say when all that was written has been read (spaces.h) */
#include "spaces.h"

/* The holder's entry of a right of @owner's, by its number there. */
static struct ptl_entry *entry_at(unsigned holder, unsigned owner, uint32_t right)
{
        struct ptl_peer *p = spaces_peer(holder, owner);

        return p ? ptl_held_entry(p, right) : NULL;
}

static bool is_of_kind(const struct ptl_entry *e, const struct ptl_grant *g)
{
        unsigned rights = e->rights | e->under_way;

        return rights & (g->kind == PTL_GRANT_SEND ? PTL_RIGHT_SEND : PTL_RIGHT_SEND_ONCE);
}

static void check_grant(unsigned owner, unsigned holder, const struct ptl_grant *g)
{
        const struct ptl_entry *e = entry_at(holder, owner, ptl_grant_right(g));

        model_check(g->kind == PTL_GRANT_SEND || g->kind == PTL_GRANT_ONCE);
        model_check(g->references > 0 && g->receiver); /* what is dead was told so, and given back */
        model_check(!(g->marks & ~PTL_MARK_MERGED));
        if (!e)
                model_fail("%u counts a right %#x of %u's, who has none", owner, ptl_grant_right(g), holder);
        else if (!is_of_kind(e, g) || g->references != 1u + e->released)
                model_fail("%u and %u do not agree about a right", owner, holder);
}

static uint32_t check_table(unsigned owner, unsigned holder, const struct ptl_table *t)
{
        uint32_t n = 0;

        for (uint32_t i = 1; i < t->length; i++) {
                const struct ptl_grant *g = ptl_table_at(t, i);

                if (g->kind == PTL_GRANT_FREE)
                        continue;
                check_grant(owner, holder, g);
                n++;
        }
        return n;
}

/* Entries of rights to @owner's ports, all of which must be grants there. */
static uint32_t entries_of(unsigned holder, unsigned owner)
{
        const struct ptl_space *space = spaces_space(holder);
        uint32_t n = 0;

        for (uint32_t i = 1; i < space->entries.fresh; i++) {
                const struct ptl_entry *e = ptl_table_at(&space->entries, i);

                if (!e->peer || e->peer != spaces_peer(holder, owner) || e == space->spare)
                        continue;
                model_check(!(e->flags & (PTL_ENTRY_CLAIM | PTL_ENTRY_RELEASE | PTL_ENTRY_HANDED)));
                model_check((e->rights | e->under_way) & (PTL_RIGHT_SEND | PTL_RIGHT_SEND_ONCE));
                n++;
        }
        return n;
}

static void check_link(unsigned owner, unsigned holder)
{
        const struct ptl_peer *p = spaces_peer(owner, holder);
        const struct ptl_handoff *h = p->handoff;

        if (check_table(owner, holder, &p->granted) + check_table(owner, holder, &p->claimed) !=
            entries_of(holder, owner))
                model_fail("%u has a right of %u's that is not counted", holder, owner);
        model_check(!p->pending && !p->pending_entries && !p->pending_grants[0] && !p->pending_grants[1]);
        model_check(!p->link.lies && !p->link.accused && !p->orphans);
        if (!h)
                return;
        model_check(!h->given.used && !h->n_withdraw && !h->parked && !h->ask && !h->asks_out);
        model_check(!h->redeems && !h->redeems_out && !h->brought && !h->n_asks);
        model_check(!h->granter || (!h->granter->used && !h->granter->settled));
}

/* Send rights that other tasks' grants stand for. */
uint32_t spaces_senders(unsigned owner, const struct ptl_receiver *port)
{
        const struct ptl_space *space = spaces_space(owner);
        uint32_t n = 0;

        for (const struct ptl_grant *g = ptl_grant_at(space, port->grants); g; g = ptl_grant_at(space, g->next))
                n += g->kind == PTL_GRANT_SEND;
        return n;
}

bool spaces_has(unsigned task, unsigned owner, const struct ptl_receiver *port)
{
        const struct ptl_space *space = spaces_space(owner);

        for (const struct ptl_grant *g = ptl_grant_at(space, port->grants); g; g = ptl_grant_at(space, g->next))
                if (ptl_grant_peer(g) == spaces_peer(owner, task)) {
                        const struct ptl_entry *e = entry_at(task, owner, ptl_grant_right(g));

                        if (e && e->rights)
                                return true;
                }
        return false;
}

static void check_ports(unsigned task)
{
        const struct ptl_space *space = spaces_space(task);

        for (uint32_t i = 1; i < space->entries.fresh; i++) {
                const struct ptl_entry *e = ptl_table_at(&space->entries, i);

                if (!(e->rights & PTL_RIGHT_RECEIVE))
                        continue;
                model_check(e->senders == spaces_senders(task, e->receiver));
                model_check(!e->receiver->tickets);
        }
}

void spaces_at_rest(unsigned task)
{
        const struct ptl_space *space = spaces_space(task);

        model_check(!space->counters.lies && !space->parked && !space->waiting && !space->asks);
        model_check(!space->pending && !space->looking);
        for (const struct ptl_granter *g = space->granters; g; g = g->next)
                model_check(g->peer && !g->used);
        check_ports(task);
        for (unsigned other = 0; other < SPACES; other++)
                if (spaces_peer(task, other)) {
                        model_check(!model_dead(other)); /* its end was settled */
                        check_link(task, other);
                }
}
