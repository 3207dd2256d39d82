/* SPDX-License-Identifier: Apache-2.0 */
/* rights_rounds.h - the rounds of the walk: what is drawn, who does it when, and who dies or is stopped meanwhile */
#pragma once
#include "rights_conductor.h"

enum {
        STOP_MS = PTL_REDEEM_PATIENCE_MS + 100,
        SLOW_MS = PTL_REDEEM_PATIENCE_MS - 100, /* from here on rights may have names of their own (H7) */
};

/* One in so many rounds; 0: none. */
struct rounds {
        uint32_t kill_in, stop_in;
};

static inline void draw_fate(struct conductor *c, const struct rounds *often)
{
        struct walk *w = &c->walk;

        w->victim = w->stopped = SEATS;
        if (often->stop_in && chance(w, often->stop_in))
                w->stopped = pick(w, SEATS);
        else if (often->kill_in && chance(w, often->kill_in))
                w->victim = pick(w, SEATS);
        if (w->victim < SEATS && !may_end(c->model, w->victim))
                w->victim = SEATS;
        c->model->dying = w->victim;
        w->grave = w->victim < SEATS ? c->model->seats[w->victim].hub : 0;
}

static inline void draw_round(struct conductor *c)
{
        struct walk *w = &c->walk;

        for (unsigned i = 0; i < SEATS; i++) {
                for (uint32_t n = 1 + pick(w, O_BATCH - 1); n-- && draw_one(w, i);)
                        ;
                if (i != w->victim)
                        continue;
                next_order(&c->stage->seats[i], O_DIE);
                seat_ends(c->model, i);
        }
        round_ends(c->model);
}

/* Who comes later reads, and is read, later. */
static inline void obey_in_two(struct conductor *c)
{
        uint32_t first = chance(&c->walk, 2) ? EVERYBODY : pick(&c->walk, EVERYBODY);

        command_some(c, S_ORDERS, c->walk.victim, first);
        command_some(c, S_ORDERS, c->walk.victim, EVERYBODY & ~first);
}

/* One task does nothing for so long that messages with rights to its ports do not wait for its word. */
static inline void obey_without(struct conductor *c, unsigned stopped)
{
        uint32_t others = EVERYBODY & ~(1u << stopped);
        ptl_time until;

        CHECK(kill(c->peers[stopped].pid, SIGSTOP) == 0);
        command_some(c, S_ORDERS, SEATS, others);
        for (until = ptl_after_ms(STOP_MS); ptl_now() < until; tst_nap())
                command_some(c, S_LOOK, SEATS, others);
        CHECK(kill(c->peers[stopped].pid, SIGCONT) == 0);
        command_some(c, S_ORDERS, SEATS, 1u << stopped);
        c->stops++;
}

static inline void do_round(struct conductor *c, const struct rounds *often)
{
        ptl_time begun = ptl_now();

        draw_fate(c, often);
        draw_round(c);
        note_orders(c);
        if (c->walk.stopped < SEATS)
                obey_without(c, c->walk.stopped);
        else
                obey_in_two(c);
        if (c->walk.victim < SEATS)
                replace(c, c->walk.victim);
        else
                barrier(c);
        c->rounds++;
        c->stage->slow += ptl_now() - begun > (ptl_time)SLOW_MS * 1000000;
}

static inline void check_all(struct conductor *c)
{
        for (unsigned i = 0; i < SEATS; i++)
                order(c, i, O_CHECK, 0, 0);
        obey_all(c);
        c->checks++;
}
