/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_play.h - a case for each scene of task_stage.h: who plays it, at which points, what is told of it
 *
 *   STEP_STRIDE   visit every so manieth instruction; 1 is the full run (else 7, or what fits into
 *                 SECONDS_EACH)
 *   STEP_OFFSET   and begin with this one (else it moves on each day)
 */
#pragma once
#include "task/task.h"
#include "task_stage.h"
#include <sys/prctl.h>

enum {
        WORKERS_MAX = 2,
        PATIENCE = 15,
        STRIDE = 7,
        SECONDS_EACH = 2,
        REHEARSALS = 3,
        TURNS = 16,
        TURNS_BETWEEN = 61
};

struct tally {
        unsigned points, missed, late, longest, stride;
        int64_t slowest_ns;
};

static inline unsigned number_from(const char *variable, unsigned otherwise)
{
        const char *s = getenv(variable);

        return s && *s ? (unsigned)strtoul(s, NULL, 0) : otherwise;
}

static inline void pin_to(int which)
{
        cpu_set_t all, one;

        CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
                if (CPU_ISSET(cpu, &all) && which-- % CPU_COUNT(&all) == 0) {
                        CPU_ZERO(&one);
                        CPU_SET(cpu, &one);
                        CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
                        return;
                }
}

static inline struct stage *new_stage(const struct scene *scene, unsigned worker)
{
        struct stage *s =
                mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        CHECK(s != MAP_FAILED);
        s->scene = scene;
        snprintf(s->name, sizeof s->name, "step-%u", worker);
        CHECK(sem_init(&s->victim, 1, 0) == 0 && sem_init(&s->survivor, 1, 0) == 0 &&
              sem_init(&s->worker, 1, 0) == 0);
        return s;
}

static inline void start_third(struct stage *s, unsigned worker)
{
        pid_t pid;

        snprintf(s->third_name, sizeof s->third_name, "third-%u", worker);
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0); /* where the case fails */
                s->scene->third(s);
                _exit(0);
        }
        s->third_pid = pid;
        CHECK(turn(&s->worker, STAGE_MS));
}

static inline void start_survivor(struct worker *w, unsigned worker)
{
        pid_t pid;

        if (w->stage->scene->third)
                start_third(w->stage, worker);
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                if (w->stage->scene->spins) /* a peer on one's own CPU is not polled */
                        pin_to((int)worker + 1);
                be_survivor(w->stage);
        }
        w->stage->survivor_pid = pid;
        hear_survivor(w);
        pin_to((int)worker);
}

static inline void end_survivor(struct worker *w)
{
        int status;

        ask(w, ASK_END);
        CHECK(waitpid(w->stage->survivor_pid, &status, 0) == w->stage->survivor_pid && status == 0);
        if (!w->stage->scene->third)
                return;
        CHECK(kill(w->stage->third_pid, SIGKILL) == 0);
        CHECK(waitpid(w->stage->third_pid, &status, 0) == w->stage->third_pid && WIFSIGNALED(status));
}

/* See task_stage.h. */
static inline bool is_worth_it(const struct walk_place *place)
{
        return place->times < TURNS || place->times % TURNS_BETWEEN == 0;
}

/* The numbers of instructions to die at; the caller frees them. */
static inline unsigned *choose_points(const struct walk_trace *t, unsigned *ret_n)
{
        unsigned *at = malloc((t->n + 1) * sizeof *at), n = 0;

        CHECK(at);
        for (unsigned i = 0; i < t->n; i++)
                if (i == 0 || is_worth_it(&t->places[i - 1]))
                        at[n++] = i;
        *ret_n = n;
        return at;
}

/* Every so manieth of @n: what fits into a worker's time if one takes @ns. */
static inline unsigned stride_for(unsigned n, int64_t ns, unsigned workers)
{
        unsigned stride = number_from("STEP_STRIDE", 0);

        if (stride)
                return stride;
        stride = (unsigned)(n * ns / (SECONDS_EACH * 1000000000LL * workers)) + 1;
        return stride > STRIDE ? stride : STRIDE;
}

static inline void work(const struct scene *scene, unsigned worker, unsigned workers, struct tally *tally)
{
        struct worker w = {.stage = new_stage(scene, worker), .doing = "starting,"};
        unsigned stride, n, *at, missed = 0;
        int64_t one_ns = 0;

        start_survivor(&w, worker);
        for (unsigned i = 0; i < REHEARSALS; i++) {
                int64_t begun = ptl_now();

                rehearse(&w);
                if (i == 0 || ptl_now() - begun < one_ns)
                        one_ns = ptl_now() - begun;
        }
        if (scene->sleeps)
                die_asleep(&w);
        for (unsigned i = 0; i < REHEARSALS; i++)
                die_after(&w);
        at = choose_points(&w.trace, &n);
        stride = stride_for(n, one_ns, workers);
        for (unsigned i = number_from("STEP_OFFSET", (unsigned)(time(NULL) / 86400)) % stride +
                          stride * worker;
             i < n; i += stride * workers) {
                die_at(&w, at[i]);
                if (w.missed == missed)
                        continue;
                missed = w.missed; /* the others made it a longer way in all rehearsals: one more */
                die_after(&w);
                free(at);
                at = choose_points(&w.trace, &n);
        }
        end_survivor(&w);
        *tally = (struct tally){w.points, w.missed, w.late, w.trace.n, stride, w.slowest_ns};
        free(at);
        free(w.trace.places);
}

static inline void add_up(const struct scene *scene, const struct tally *tallies, unsigned n)
{
        struct tally all = {0};

        for (unsigned i = 0; i < n; i++) {
                all.points += tallies[i].points;
                all.missed += tallies[i].missed;
                all.late += tallies[i].late;
                if (tallies[i].longest > all.longest)
                        all.longest = tallies[i].longest;
                if (tallies[i].stride > all.stride)
                        all.stride = tallies[i].stride;
                if (tallies[i].slowest_ns > all.slowest_ns)
                        all.slowest_ns = tallies[i].slowest_ns;
        }
        fprintf(stderr,
                "# %s: %u points (and %u missed), every %u of %u instructions; heard of in %.1f "
                "ms (%u visited again)\n",
                scene->name, all.points, all.missed, all.stride, all.longest,
                (double)all.slowest_ns / 1e6, all.late);
        CHECK(all.points > 2 && all.points > 4 * all.missed);
}

static inline void play(const struct scene *scene)
{
        struct tally *tallies =
                mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        unsigned workers = scene->spins ? 1 : WORKERS_MAX;
        pid_t pids[WORKERS_MAX];
        int status;

        CHECK(tallies != MAP_FAILED);
        tst_private_server();
        for (unsigned i = 0; i < workers; i++) {
                pids[i] = fork();
                CHECK(pids[i] >= 0);
                if (pids[i] == 0) {
                        if (!scene->spins)
                                pin_to((int)i);
                        work(scene, i, workers, &tallies[i]);
                        _exit(0);
                }
        }
        for (unsigned i = 0; i < workers; i++) {
                CHECK(waitpid(pids[i], &status, 0) == pids[i]);
                if (WIFEXITED(status) && WEXITSTATUS(status) == TST_SKIPPED)
                        SKIP("ptrace is not permitted");
                CHECK_EQ(status, 0);
        }
        add_up(scene, tallies, workers);
        munmap(tallies, 4096);
}

/* A case for each scene; the fields of the scene follow its name. */
#define SCENE(fn, ...)                                                                             \
        TEST_TIMES(fn, PATIENCE)                                                                   \
        {                                                                                          \
                static const struct scene scene = {.name = #fn, __VA_ARGS__};                      \
                                                                                                   \
                play(&scene);                                                                      \
        }
