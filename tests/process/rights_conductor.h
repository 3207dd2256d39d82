/* SPDX-License-Identifier: Apache-2.0 */
/* rights_conductor.h - starts the walkers, has them obey, waits until all is quiet, ends them */
#pragma once
#include "rights_draw_all.h"
#include "rights_log.h"
#include "rights_quiet.h"

enum { BARRIER_MS = 15000, MANY_LOOKS = 16 };

struct conductor {
        struct walk walk;
        struct stage *stage;
        struct model *model;
        struct peer peers[SEATS];
        char path[128];
        FILE *log; /* NULL: none */
        uint64_t digest;
        uint32_t rounds, waves, kills, stops, checks;
};

/* --- commands --- */

static inline void check_that_all_live(struct conductor *c, unsigned but)
{
        for (unsigned i = 0; i < SEATS; i++) {
                siginfo_t info = {.si_pid = 0};

                if (i == but || !c->stage->seats[i].lives)
                        continue;
                (void)waitid(P_PID, (id_t)c->peers[i].pid, &info, WEXITED | WNOHANG | WNOWAIT);
                if (info.si_pid)
                        fprintf(stderr, "# seat %u has ended; WALK_SEED=%llu, round %u\n", i,
                                (unsigned long long)c->walk.seed, c->model->round);
                CHECK(!info.si_pid);
        }
}

enum { EVERYBODY = 0xffffu };
_Static_assert(EVERYBODY == (1u << SEATS) - 1, "a bit each");

/* Those in @who do it, a bit each; who dies of it does not say when. */
static inline void command_some(struct conductor *c, enum seat_command what, unsigned victim, uint32_t who)
{
        ptl_time late = ptl_after_ms(tst_deadline_ms(4 * BARRIER_MS));
        uint32_t n = 0, left;

        for (unsigned i = 0; i < SEATS; i++)
                n += c->stage->seats[i].lives && who >> i & 1 && i != victim;
        ptl_store_release(&c->stage->running, n);
        for (unsigned i = 0; i < SEATS; i++) {
                struct seat *s = &c->stage->seats[i];

                if (!s->lives || !(who >> i & 1))
                        continue;
                s->command = what;
                (void)ptl_add(&s->go, 1);
                stage_wake(&s->go);
        }
        while ((left = ptl_load_acquire(&c->stage->running))) {
                stage_wait(&c->stage->running, left, 200);
                if (ptl_load_acquire(&c->stage->running) != left)
                        continue;
                check_that_all_live(c, victim);
                CHECK(ptl_after_ms(0) < late);
        }
}

static inline void command(struct conductor *c, enum seat_command what, unsigned victim)
{
        command_some(c, what, victim, EVERYBODY);
}

static inline void barrier(struct conductor *c)
{
        ptl_time late = ptl_after_ms(tst_deadline_ms(BARRIER_MS));
        char why[300] = "";
        unsigned looks = 0;

        do {
                if (ptl_after_ms(0) >= late)
                        fprintf(stderr, "# WALK_SEED=%llu, round %u: %s\n", (unsigned long long)c->walk.seed,
                                c->model->round, why);
                CHECK(ptl_after_ms(0) < late);
                if (looks++ > MANY_LOOKS)
                        tst_nap(); /* it is the server, or a death, that is waited for */
                command(c, S_LOOK, SEATS);
                c->waves++;
        } while (!all_are_quiet(c->stage, why, sizeof why));
        c->model->round++;
        for (unsigned i = 0; i < SEATS; i++)
                c->stage->seats[i].n_orders = 0;
}

static inline struct order *order(struct conductor *c, unsigned seat, enum order_kind kind, uint32_t port,
                                  int32_t count)
{
        struct order *o = next_order(&c->stage->seats[seat], kind);

        o->port = port;
        o->count = count;
        return o;
}

/* Before they are obeyed. */
static inline void note_orders(struct conductor *c)
{
        for (unsigned i = 0; i < SEATS; i++)
                for (uint32_t n = 0; n < c->stage->seats[i].n_orders; n++) {
                        const struct order *o = &c->stage->seats[i].orders[n];

                        c->digest = log_digest(c->digest, o);
                        if (c->log)
                                log_order(c->log, c->model->round, i, n, o);
                }
}

static inline void obey_all(struct conductor *c)
{
        note_orders(c);
        command(c, S_ORDERS, SEATS);
        barrier(c);
}

/* --- births --- */

static inline void seat_start(struct conductor *c, unsigned seat)
{
        struct seat *s = &c->stage->seats[seat];
        struct model *m = c->model;
        char number[8];

        snprintf(number, sizeof number, "%u", seat);
        memset(c->stage->names[seat], 0, sizeof c->stage->names[seat]);
        *s = (struct seat){.lives = true};
        peer_start(&c->peers[seat], "rights", c->path, number, NULL);
        ptl_store_relaxed(&s->pid, c->peers[seat].pid);
        m->seats[seat].hub = port_new(m, seat, 0);
        m->ports[m->seats[seat].hub].published = true;
        order(c, seat, O_PUBLISH, m->seats[seat].hub, 0);
}

static inline void looks_up(struct conductor *c, unsigned seat, unsigned other)
{
        uint32_t hub = c->model->seats[other].hub;

        order(c, seat, O_LOOK_UP, hub, (int32_t)other);
        hold_add(c->model, seat, hub, 1);
        c->model->ports[hub].made++;
}

/*
 * They may look each other up at once: then there are two links between them. Who is not in @whom has no link with
 * the newcomer before a right of one of them comes to the other.
 */
static inline void meet(struct conductor *c, unsigned seat, bool at_once, uint32_t whom)
{
        for (unsigned i = 0; i < SEATS; i++)
                if (i != seat && whom >> i & 1)
                        looks_up(c, seat, i);
        if (!at_once)
                obey_all(c);
        for (unsigned i = 0; i < SEATS; i++)
                if (i != seat && whom >> i & 1)
                        looks_up(c, i, seat);
        obey_all(c);
}

static inline void show_wards(struct conductor *c, unsigned first, unsigned n)
{
        for (unsigned i = first; i < first + n; i++)
                order(c, i % SEATS, O_SHOW, 0, (int32_t)((i + SEATS - 1) % SEATS));
        obey_all(c);
        for (unsigned i = first; i < first + n; i++)
                order(c, (i + SEATS - 1) % SEATS, O_TAKE_WARD, 0, 0);
        obey_all(c);
}

static inline void replace(struct conductor *c, unsigned seat)
{
        siginfo_t info = {.si_pid = 0};

        CHECK(tst_wait_until(waitid(P_PID, (id_t)c->peers[seat].pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
                                     info.si_pid,
                             BARRIER_MS));
        CHECK_EQ(info.si_status, SIGKILL);
        peer_kill(&c->peers[seat]);
        c->stage->seats[seat].lives = false;
        c->kills++;
        barrier(c);
        order(c, (seat + SEATS - 1) % SEATS, O_DROP_WARD, 0, 0);
        seat_start(c, seat);
        obey_all(c);
        meet(c, seat, chance(&c->walk, 3), pick(&c->walk, UINT32_MAX));
        show_wards(c, seat, 2);
}

/* --- the beginning and the end --- */

static inline void conductor_begin(struct conductor *c, uint64_t seed, uint32_t target)
{
        *c = (struct conductor){.walk = {.seed = seed, .target = target, .victim = SEATS, .stopped = SEATS}};
        c->walk.state = (seed + 1) * 0x9e3779b97f4a7c15;
        snprintf(c->path, sizeof c->path, "%s/stage", tst_temp_dir());
        (void)unlink(c->path);
        c->stage = c->walk.stage = stage_map(c->path, true);
        c->model = c->walk.model = &c->stage->model;
        if (getenv("WALK_LOG"))
                CHECK((c->log = fopen(getenv("WALK_LOG"), "ae")));
        model_init(c->model);
        for (unsigned i = 0; i < SEATS; i++)
                seat_start(c, i);
        obey_all(c);
        for (unsigned i = 0; i < SEATS; i++) {
                for (unsigned k = 0; k < SEATS; k++)
                        if (k != i)
                                looks_up(c, i, k);
                obey_all(c);
        }
        show_wards(c, 0, SEATS);
}

static inline void conductor_end(struct conductor *c)
{
        for (unsigned i = 0; i < SEATS; i++)
                order(c, i, O_EMPTY, 0, 0);
        for (unsigned i = 0; i < SEATS; i++)
                c->model->seats[i].lefts = 0;
        obey_all(c);
        for (unsigned i = 0; i < SEATS; i++) {
                c->stage->seats[i].command = S_QUIT;
                (void)ptl_add(&c->stage->seats[i].go, 1);
                stage_wake(&c->stage->seats[i].go);
        }
        for (unsigned i = 0; i < SEATS; i++)
                peer_end(&c->peers[i]);
        if (c->log)
                fclose(c->log);
        munmap(c->stage, sizeof *c->stage);
}
