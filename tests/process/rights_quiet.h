/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rights_quiet.h - when everything that was said has come to its end: the barrier between rounds
 *
 * After a round each seat looks, and says what it has seen: whether anything is still to be written, read,
 * asked or answered by it, and how many frames it has ever written to and read from each other seat. If all
 * are quiet, and of each pair one has read as many as the other had written, then nothing was under way at
 * the moment that these counts describe: they grow only, and who is quiet writes nothing unless it reads. Else
 * all look once more.
 *
 * It reads the library's own tables: what the documents call settled is what is in none of them.
 */
#pragma once
#include "port/handoff.h"
#include "rights_orders.h"
#include "task/left.h"
#include "task/task.h"
#include <stdarg.h>

struct quiet {
        struct stage *stage;
        unsigned seat;
        struct seat *says;
};

__attribute__((format(printf, 2, 3))) static inline void is_not_quiet(const struct quiet *q, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vsnprintf(q->says->why, sizeof q->says->why, format, args);
        va_end(args);
        q->says->is_quiet = false;
}

static inline unsigned seat_of(const struct quiet *q, const struct ptl_peer *p)
{
        unsigned i = 0;

        for (; i < SEATS; i++)
                if (q->stage->seats[i].lives && ptl_load_relaxed(&q->stage->seats[i].pid) == p->link.identity.pid)
                        break;
        return i;
}

static inline void look_at_handoff(const struct quiet *q, unsigned of, const struct ptl_handoff *h)
{
        if (h->redeems)
                is_not_quiet(q, "asks seat %u for a right", of);
        if (h->given.used || h->n_withdraw)
                is_not_quiet(q, "%u rights given of seat %u's are not asked for", h->given.used, of);
        if (h->asks_out || h->n_asks || h->ask)
                is_not_quiet(q, "asks seat %u of the dead, or is asked", of);
        if (h->granter && h->granter->used)
                is_not_quiet(q, "%u tickets of seat %u's stand", h->granter->used, of);
}

static inline void look_at_peer(const struct quiet *q, struct ptl_peer *p)
{
        unsigned of = seat_of(q, p);

        if (of == SEATS) {
                is_not_quiet(q, "a link with pid %d", (int)p->link.identity.pid);
                return;
        }
        q->says->frames.sent[of] += p->link.frames_sent;
        q->says->frames.received[of] += p->link.frames_received;
        if (ptl_link_state(&p->link) != PTL_LINK_OPEN)
                is_not_quiet(q, "the link with seat %u is not open", of);
        else if (ptl_ring_ready(&p->link.rx))
                is_not_quiet(q, "seat %u is to be read", of);
        if (p->pending)
                is_not_quiet(q, "something is to be written to seat %u", of);
        if (p->handoff)
                look_at_handoff(q, of, p->handoff);
}

static inline uint32_t count_lefts(const struct ptl_space *space)
{
        uint32_t n = 0;

        for (const struct ptl_left *l = space->lefts; l; l = l->next)
                n++;
        return n;
}

/* What this seat has seen. */
static inline void quiet_measure(const struct quiet *q)
{
        struct ptl_space *space = &ptl_the_task.space;
        uint32_t lefts = count_lefts(space);

        q->says->is_quiet = true;
        q->says->frames = (struct seat_frames){.sent = {0}};
        for (struct ptl_peer *p = space->peers; p; p = p->next)
                look_at_peer(q, p);
        if (space->waiting || space->parked || space->asks)
                is_not_quiet(q, "messages wait for rights, or questions for answers");
        for (const struct ptl_granter *g = space->granters; g; g = g->next)
                if (!g->peer)
                        is_not_quiet(q, "%u tickets of a dead task", g->used);
        if (ptl_the_task.server.lost_links)
                is_not_quiet(q, "a link is lost");
        if (lefts != q->stage->model.seats[q->seat].lefts)
                is_not_quiet(q, "%u messages are left, not %u", lefts, q->stage->model.seats[q->seat].lefts);
}

static inline void quiet_look(ptl_port nobody)
{
        struct ptl_message m;

        ptl_task_look();
        if (nobody)
                OUTCOME(ptl_receive(nobody, &m, PTL_NOW), PTL_E_EMPTY);
}

/* The conductor's: @ret_why: the first that is not. */
static inline bool all_are_quiet(struct stage *stage, char *ret_why, size_t size)
{
        for (unsigned i = 0; i < SEATS; i++) {
                const struct seat *s = &stage->seats[i];

                if (!s->lives)
                        continue;
                if (!s->is_quiet) {
                        snprintf(ret_why, size, "seat %u: %s", i, s->why);
                        return false;
                }
                for (unsigned k = 0; k < SEATS; k++) {
                        const struct seat *other = &stage->seats[k];

                        if (k == i || !other->lives || s->frames.sent[k] == other->frames.received[i])
                                continue;
                        snprintf(ret_why, size, "of %llu frames from seat %u to %u %llu were read",
                                 (unsigned long long)s->frames.sent[k], i, k,
                                 (unsigned long long)other->frames.received[i]);
                        return false;
                }
        }
        return true;
}
