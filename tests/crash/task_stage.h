/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_stage.h - a victim that dies at any instruction of an act, and the survivor it had a link
 * with
 *
 * Three processes a worker, all forked before any of them used the library:
 *   the worker    knows the library not at all; walks the victim (task_walk.h) and kills it
 *   the survivor  one for all points: what a death spoils is met by the next victim
 *   the victim    a new one for each point. A copy made by fork() at the place where the act begins
 *                 would be cheaper and would prove nothing: a forked child is another task, whose
 *                 links are unusable. A new one costs some 5 ms, so each point has its own, on two
 *                 CPUs, and the quick run visits every 7th instruction from an offset that moves on
 *                 each day. The full run has STEP_STRIDE=1. The number of points is printed.
 *
 * An instruction in a loop is visited in each of its first TURNS turns and then now and then: what
 * differs between the later ones is how much of a block, which nobody sees yet, has been copied.
 *
 * The victim counts in shared memory what it has begun and what it has done; whatever happened to
 * it, the survivor must have got all that was done, whole and in order, and what was begun at most.
 */
#pragma once
#include "api.h"
#include "task_walk.h"
#include <sched.h>
#include <semaphore.h>
#include <sys/time.h>

enum { KIND_HELLO = 1, KIND_READY, KIND_PART, KIND_REQUEST };
enum { SMALL = 64, BLOCK = 20000, KEPT_MAX = 512, ANSWER = 7 };
enum ask { ASK_POKE = 1, ASK_COLLECT, ASK_END };

/* What a survivor may need to learn of the death and to have settled it; a point where it takes longer is
 * visited again, since others may have had the CPU. Time is no reason to fail until it is ten times that. */
enum { BAR_MS = 10, DEADLINE_MS = 10 * BAR_MS, TRIES = 4, STAGE_MS = 15000 };

struct scene;

/* What a third task has seen, which some scenes have (task_third.h). */
struct third_account {
        _Atomic uint32_t used;       /* messages through rights to its port */
        _Atomic uint32_t onces;      /* send-once rights to it that died unused */
        _Atomic uint32_t no_senders; /* times its last sender had gone */
        _Atomic uint32_t deads;      /* rights of its own that became dead names */
        _Atomic uint32_t names, links;
};

/* What all share. */
struct stage {
        const struct scene *scene;
        struct third_account third;
        pid_t third_pid;
        char third_name[32];
        sem_t victim, survivor, worker; /* whom it wakes */
        uint32_t ask;
        _Atomic uint32_t phase;
        _Atomic uint32_t begun, done;         /* messages to the survivor */
        _Atomic uint32_t answering, answered; /* its request */
        _Atomic uint32_t inside;              /* the survivor is in the library, or about to be */
        _Atomic int64_t killed_ns;
        int64_t late_ns; /* from the last kill to the news of it */
        pid_t survivor_pid;
        char name[32];
};

/* The survivor's account of one victim. */
struct play {
        struct stage *stage;
        ptl_port port, notify, set; /* its own, for all victims */
        ptl_port victim;            /* a right to the victim's port */
        ptl_port gift;              /* a port made for this victim */
        ptl_port kept[KEPT_MAX];    /* rights that came */
        unsigned n_kept;
        uint32_t received, dead_names, onces, onces_expected;
        uint64_t links_made;
        uint32_t links; /* before the victim came */
        struct third_account third; /* likewise */
};

/* One thing to be killed in. Calls that are NULL do nothing. */
struct scene {
        const char *name;
        size_t size;                      /* bytes of what the act sends or is sent */
        uint32_t limit;                   /* messages, of the survivor's port; 0: default */
        bool first;                       /* the act is the first thing sent on the link */
        bool serves;                      /* the survivor answers requests as they come */
        bool inside;                      /* it waits in the library while the victim acts */
        bool spins;                       /* both wait by polling, on different CPUs */
        bool drops;                       /* the request is dropped unanswered */
        bool writes_board;                /* the victim's board is due in the act */
        bool sleeps;                      /* the act sleeps until the survivor is poked */
        void (*prepare)(struct stage *);  /* victim: the survivor takes all of this */
        void (*before)(struct play *);    /* survivor: once it took that */
        void (*begin)(struct stage *);    /* victim: the last thing before the act */
        void (*act)(struct stage *);      /* victim: every instruction of it */
        void (*proof)(struct stage *);    /* victim: that the act was what it is meant to be */
        void (*meanwhile)(struct play *); /* survivor, instead of only waiting inside */
        void (*poke)(struct play *);      /* survivor: what the sleeping act waits for */
        void (*third)(struct stage *);    /* what a third task does, for all victims */
        void (*meet)(struct stage *);     /* survivor: finds it */
        void (*took)(struct play *, ptl_port); /* survivor: a right came, its to release */
        bool (*settled)(const struct play *);  /* survivor: the third has seen what it must */
};

static ptl_port to, mine; /* the victim's: a right to the survivor's port, and a port of its own */

/* Waits for one's turn; false if it does not come. */
static inline bool turn(sem_t *s, int ms)
{
        struct timespec end;

        clock_gettime(CLOCK_MONOTONIC, &end);
        end.tv_nsec += ms % 1000 * 1000000L;
        end.tv_sec += ms / 1000 + end.tv_nsec / 1000000000;
        end.tv_nsec %= 1000000000;
        while (sem_clockwait(s, CLOCK_MONOTONIC, &end) != 0)
                if (errno != EINTR)
                        return false;
        return true;
}

/* ---- the victim ---- */

struct part {
        uint32_t sequence, size;
};

static inline void make_part(void *data, size_t size, uint32_t sequence)
{
        struct part part = {sequence, (uint32_t)size};

        fill(data, size, sequence);
        memcpy(data, &part, sizeof part);
}

static inline bool is_part(const void *data, size_t size, uint32_t sequence)
{
        static unsigned char want[2 * BLOCK];

        CHECK(size >= sizeof(struct part) && size <= sizeof want);
        make_part(want, size, sequence);
        return !memcmp(data, want, size);
}

/* The parts that the act sends, and its answer; made before it, since it is to be all library. */
static unsigned char ready[3][BLOCK], ready_answer[BLOCK];

static inline void make_ready(const struct stage *s)
{
        for (uint32_t i = 0; i < 3; i++)
                make_part(ready[i], s->scene->size, ptl_load_relaxed(&s->begun) + i);
        make_part(ready_answer, s->scene->size, ANSWER);
}

/* @out has everything but the bytes; NULL for only these. */
static inline int send_data(struct stage *s, const void *data, size_t size,
                            const struct ptl_outgoing *out, ptl_time deadline)
{
        struct ptl_outgoing all = out ? *out : (struct ptl_outgoing){.kind = 0};
        uint32_t n = ptl_load_relaxed(&s->begun);
        int r;

        all.data = data;
        all.size = size;
        ptl_store_release(&s->begun, n + 1);
        r = out ? ptl_send_message(to, &all, deadline) : ptl_send(to, data, size, deadline);
        if (r)
                ptl_store_release(&s->begun, n);
        else
                ptl_store_release(&s->done, n + 1);
        return r;
}

static inline int send_part(struct stage *s, size_t size, const struct ptl_outgoing *out,
                            ptl_time deadline)
{
        static unsigned char data[BLOCK];

        make_part(data, size, ptl_load_relaxed(&s->begun));
        return send_data(s, data, size, out, deadline);
}

static inline void say_hello(struct stage *s)
{
        struct ptl_right_item item = {.disposition = PTL_MAKE_SEND};

        mine = new_port_of(4, 0);
        OK(ptl_right_release(mine));
        item.port = mine;
        OK(send_part(s, SMALL,
                     &(struct ptl_outgoing){.kind = KIND_HELLO, .rights = &item, .n_rights = 1},
                     soon()));
        if (s->scene->prepare)
                s->scene->prepare(s);
        OK(send_part(s, SMALL, &(struct ptl_outgoing){.kind = KIND_READY}, soon()));
        CHECK(turn(&s->victim, STAGE_MS));
}

/* The survivor's HELLO is taken in: else that would be part of some walks and not of others. */
static inline bool is_met(void)
{
        const struct ptl_peer *peer = ptl_the_task.space.peers;

        ptl_task_look();
        return peer && ptl_link_state(&peer->link) == PTL_LINK_OPEN;
}

__attribute__((noreturn)) static inline void be_victim(struct stage *s)
{
        const struct scene *scene = s->scene;

        walk_allow();
        if (scene->spins)
                OK(ptl_task_set_wait(PTL_WAIT_SPIN, 0));
        to = PTL_NULL;
        OK(ptl_name_look_up(s->name, &to, soon()));
        if (!scene->first)
                say_hello(s);
        if (scene->begin)
                scene->begin(s);
        make_ready(s);
        if (!scene->first)
                CHECK(tst_wait_until(is_met(), STAGE_MS));
        /* By the clock it would be written in some walks and not in others. */
        ptl_the_task.board.due = scene->writes_board ? PTL_NOW : PTL_FOREVER;
        walk_stop();
        ptl_store_release(&s->phase, WALK_WITHIN);
        scene->act(s);
        ptl_store_release(&s->phase, WALK_AFTER);
        walk_stop();
        if (scene->proof)
                scene->proof(s);
        _exit(0);
}

/* ---- the survivor ---- */

static inline void keep(struct play *p, ptl_port right)
{
        CHECK(p->n_kept < KEPT_MAX);
        p->kept[p->n_kept++] = right;
}

static inline void took_rights(struct play *p, const struct ptl_message *m)
{
        for (uint32_t i = 0; i < m->n_regions; i++)
                ptl_region_free(m->regions[i].region);
        if (m->kind == KIND_HELLO) { /* the first right to its port */
                CHECK(m->n_rights == 1 && !p->victim);
                p->victim = m->rights[0].port;
                OK(ptl_right_notify_dead(p->victim, p->notify));
                return;
        }
        for (uint32_t i = 0; i < m->n_rights; i++)
                if (m->rights[i].port == p->port)
                        OK(ptl_right_release(p->port)); /* come home */
                else if (p->stage->scene->took)
                        p->stage->scene->took(p, m->rights[i].port);
                else
                        keep(p, m->rights[i].port);
}

static inline void heard_of_death(struct play *p)
{
        int64_t killed = ptl_load_acquire(&p->stage->killed_ns), late = ptl_now() - killed;

        CHECK(killed != 0); /* nobody is dead before it dies */
        p->stage->late_ns = late;
}

static inline void took_dead_name(struct play *p, const struct ptl_message *m)
{
        struct ptl_notification n;

        heard_of_death(p);
        memcpy(&n, m->data, sizeof n);
        CHECK_EQ(m->kind, PTL_NOTIFY_DEAD_NAME);
        CHECK_EQ(n.value, p->victim);
        p->dead_names++;
        CHECK_EQ(p->dead_names, 1);
        check_rights(p->victim, PTL_RIGHT_DEAD, status_of(p->victim).references);
        OK(ptl_right_release(p->victim));
}

/* Takes account of one message. Returns its kind. */
static inline uint32_t took(struct play *p, struct ptl_message *m)
{
        uint32_t kind = m->kind;

        if (m->port == p->notify) {
                took_dead_name(p, m);
        } else if (kind == PTL_NOTIFY_SEND_ONCE) {
                CHECK_EQ(m->port, p->port);
                p->onces++;
        } else {
                CHECK_EQ(m->port, p->port);
                CHECK(is_part(m->data, m->size, p->received));
                p->received++;
                took_rights(p, m);
                if (m->reply && p->stage->scene->serves) {
                        int r = ptl_reply(m, m->data, m->size);

                        CHECK(r == 0 || r == PTL_E_DEAD);
                }
        }
        ptl_message_release(m);
        return kind;
}

static inline void take_some(struct play *p, unsigned n)
{
        struct ptl_message m;

        while (n--) {
                OK(ptl_receive(p->port, &m, soon()));
                took(p, &m);
        }
}

/* A part for the victim; @how has all but its bytes. */
static inline int give(struct play *p, size_t size, ptl_time deadline, const struct ptl_outgoing *how)
{
        static unsigned char data[BLOCK];
        struct ptl_outgoing out = how ? *how : (struct ptl_outgoing){.kind = 0};

        make_part(data, size, 0);
        out.data = data;
        out.size = size;
        return ptl_send_message(p->victim, &out, deadline);
}

static inline void take_until_ready(struct play *p)
{
        struct ptl_message m;

        do
                OK(ptl_receive(p->port, &m, soon()));
        while (took(p, &m) != KIND_READY);
}

static inline bool is_over(const struct play *p)
{
        struct ptl_task_statistics s = statistics();

        return s.links == p->links && s.links_made > p->links_made && (!p->victim || p->dead_names == 1) &&
               p->onces >= p->onces_expected;
}

/* Until the link has ended and all that must come of it has come. */
static inline void collect(struct play *p)
{
        ptl_time end = soon();
        struct ptl_message m;

        while (!is_over(p)) {
                bool told =
                        !p->victim || p->dead_names; /* then there is nothing that must wake us */
                int r = ptl_receive(p->set, &m, told ? ptl_after_ms(2) : end);

                if (!told || r != PTL_E_TIMEOUT)
                        OK(r);
                CHECK(ptl_now() < end);
                if (r == 0)
                        took(p, &m);
        }
        if (!p->victim) /* nobody promised to tell; it is seen at the next look */
                heard_of_death(p);
        while (ptl_receive(p->set, &m, PTL_NOW) == 0)
                took(p, &m);
}

/* What the third is to see comes to it while we look at our links, too; and rights of its come with a message
 * only when it has confirmed them. */
static inline void wait_for_third(struct play *p)
{
        const struct stage *s = p->stage;
        ptl_time end = soon();
        struct ptl_message m;

        while (p->received < ptl_load_acquire(&s->done) || status_of(p->port).queued || !s->scene->settled(p)) {
                int r = ptl_receive(p->set, &m, ptl_after_ms(2));

                CHECK(ptl_now() < end);
                if (r == PTL_E_TIMEOUT)
                        continue;
                OK(r);
                took(p, &m);
        }
}

struct baseline {
        int descriptors, maps;
        uint32_t names, links;
        uint64_t lies, link_bytes;
};

static inline struct baseline measure(void)
{
        struct ptl_task_statistics s = statistics();

        return (struct baseline){tst_open_fds(false), tst_shared_maps(false), s.names, s.links, s.lies, s.link_bytes};
}

/* Nothing is lost, nothing is left. */
static inline void settle(struct play *p, const struct baseline *base)
{
        const struct stage *s = p->stage;
        struct baseline now;

        if (s->scene->settled)
                wait_for_third(p);
        CHECK(p->received >= ptl_load_acquire(&s->done));
        CHECK(p->received <= ptl_load_acquire(&s->begun));
        CHECK_EQ(p->onces, p->onces_expected);
        while (p->n_kept)
                OK(ptl_right_release(p->kept[--p->n_kept]));
        if (p->victim)
                OK(ptl_right_release(p->victim));
        if (p->gift)
                OK(ptl_port_free(p->gift));
        check_rights(p->port, PTL_RIGHT_RECEIVE, 0);
        CHECK_EQ(status_of(p->port).queued, 0);
        now = measure();
        CHECK_EQ(now.links, base->links);
        CHECK_EQ(now.link_bytes, base->link_bytes);
        CHECK_EQ(now.names, base->names);
        CHECK_EQ(now.lies, base->lies);
        CHECK_EQ(now.descriptors, base->descriptors);
        CHECK_EQ(now.maps, base->maps);
}

static inline void play_one(struct play *p)
{
        const struct scene *scene = p->stage->scene;
        struct baseline base = measure();

        p->links_made = statistics().links_made;
        p->links = base.links;
        p->third = p->stage->third;
        if (!scene->first) {
                take_until_ready(p);
                if (scene->before)
                        scene->before(p);
                sem_post(&p->stage->victim);
        }
        ptl_store_release(&p->stage->inside, scene->inside || scene->meanwhile);
        if (scene->meanwhile)
                scene->meanwhile(p);
        while (!scene->inside && !scene->meanwhile) {
                CHECK(turn(&p->stage->survivor, STAGE_MS));
                if (p->stage->ask == ASK_COLLECT)
                        break;
                scene->poke(p);
        }
        collect(p);
        settle(p, &base);
        sem_post(&p->stage->worker);
}

__attribute__((noreturn)) static inline void be_survivor(struct stage *s)
{
        struct ptl_port_options options = {.limit_messages = s->scene->limit};
        ptl_port port, notify, set;

        if (s->scene->spins)
                OK(ptl_task_set_wait(PTL_WAIT_SPIN, 0));
        OK(ptl_port_new(&port, &options));
        notify = new_port();
        set = new_set();
        OK(ptl_set_add(set, port));
        OK(ptl_set_add(set, notify));
        OK(ptl_name_publish(s->name, port));
        if (s->scene->meet)
                s->scene->meet(s);
        for (;;) {
                struct play p = {.stage = s, .port = port, .notify = notify, .set = set};

                sem_post(&s->worker);
                CHECK(turn(&s->survivor, STAGE_MS));
                if (s->ask == ASK_END)
                        break;
                play_one(&p);
        }
        OK(ptl_task_leave());
        _exit(0);
}

/* ---- the worker ---- */

struct worker {
        struct stage *stage;
        struct walk walk;
        struct walk_trace trace;
        unsigned points, missed;
        unsigned long offset; /* where the victim stood, from the program's start (addr2line) */
        int64_t slowest_ns; /* of the points, each at its best */
        unsigned late;      /* points where not each try was within the bar */
        unsigned sleeps;   /* times this victim was seen asleep */
        const char *doing; /* for who reads why it failed */
        unsigned at;
};

__attribute__((noreturn)) static inline void fail_at(const struct worker *w, const char *why)
{
        fprintf(stderr, "# %s: %s, %s instruction %u (at %u: %#lx), begun %u, done %u\n",
                w->stage->scene->name, why, w->doing, w->at, w->walk.steps, w->offset,
                ptl_load_relaxed(&w->stage->begun), ptl_load_relaxed(&w->stage->done));
        tst_fail(__FILE__, __LINE__, __func__, why);
}

static inline void ask(struct worker *w, enum ask what)
{
        w->stage->ask = what;
        sem_post(&w->stage->survivor);
}

/* Waits for the survivor's word, and notices if that is its last. */
static inline void hear_survivor(struct worker *w)
{
        int64_t end = tst_now_ms() + tst_deadline_ms(2 * STAGE_MS);

        while (!turn(&w->stage->worker, 50)) {
                if (waitpid(w->stage->survivor_pid, NULL, WNOHANG) != 0)
                        fail_at(w, "the survivor ended");
                if (tst_now_ms() > end)
                        fail_at(w, "the survivor does not go on");
        }
}

static inline void begin_victim(struct worker *w)
{
        struct stage *s = w->stage;
        enum walk_end end;
        pid_t pid;

        w->sleeps = 0;
        ptl_store_relaxed(&s->phase, WALK_BEFORE);
        ptl_store_relaxed(&s->begun, 0);
        ptl_store_relaxed(&s->done, 0);
        ptl_store_relaxed(&s->answering, 0);
        ptl_store_relaxed(&s->answered, 0);
        ptl_store_relaxed(&s->inside, 0);
        ptl_store_release(&s->killed_ns, 0);
        ask(w, ASK_POKE); /* a new play */
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
                be_victim(s);
        end = walk_begin(&w->walk, pid, &s->phase, STAGE_MS);
        if (end == WALK_DENIED)
                _exit(TST_SKIPPED);
        if (end != WALK_THERE)
                fail_at(w, "the victim does not begin");
        if (s->scene->inside || s->scene->meanwhile)
                CHECK(tst_wait_until(
                        ptl_load_acquire(&s->inside) &&
                                (s->scene->spins || is_asleep(s->survivor_pid, s->survivor_pid)),
                        STAGE_MS));
}

static inline void end_victim(struct worker *w)
{
        struct stage *s = w->stage;

        w->offset = walk_offset(&w->walk);
        ptl_store_release(&s->killed_ns, ptl_now());
        walk_kill(&w->walk);
        if (!s->scene->inside && !s->scene->meanwhile)
                ask(w, ASK_COLLECT);
        hear_survivor(w); /* its verdict */
        hear_survivor(w); /* it is ready for the next */
}

/* Wakes who sleeps in its act, if that is ours to do; once, since it may take a while. */
static inline void wake_victim(struct worker *w)
{
        if (!w->sleeps++ && w->stage->scene->poke)
                ask(w, ASK_POKE);
        if (w->sleeps > STAGE_MS)
                fail_at(w, "the victim sleeps on");
}

/* The act without a death in it: that it works, and is what its name says. */
static inline void rehearse(struct worker *w)
{
        enum walk_end end;

        w->doing = "rehearsing,";
        begin_victim(w);
        while ((end = walk_free(&w->walk)) == WALK_ASLEEP)
                wake_victim(w);
        /* it ends by itself, so its death may be heard of from here on */
        ptl_store_release(&w->stage->killed_ns, ptl_now());
        while (end == WALK_DONE && !WIFEXITED(w->walk.status))
                end = walk_free(&w->walk);
        if (end != WALK_DONE)
                fail_at(w, "the victim failed");
        end_victim(w);
}

/*
 * Is led through all of the act, and dies behind it. Of several ways the shortest is the map:
 * others led through what is done once a ms, where most victims do not come.
 */
static inline void die_after(struct worker *w)
{
        struct walk_trace trace = {0};
        enum walk_end end;

        w->doing = "killed behind the last";
        begin_victim(w);
        while ((end = walk_record(&w->walk, &trace)) == WALK_ASLEEP)
                wake_victim(w);
        if (end != WALK_DONE)
                fail_at(w, "the victim failed");
        w->points++;
        end_victim(w);
        if (w->trace.n && w->trace.n <= trace.n) {
                free(trace.places);
                return;
        }
        free(w->trace.places);
        w->trace = trace;
}

/* Dies while it sleeps in the act. */
static inline void die_asleep(struct worker *w)
{
        w->doing = "killed in its sleep,";
        begin_victim(w);
        if (walk_free(&w->walk) != WALK_ASLEEP)
                fail_at(w, "the victim does not sleep");
        w->points++;
        end_victim(w);
}

/* Returns whether it came there at all. */
static inline bool die_once_at(struct worker *w, unsigned at, const struct walk_trace *trace)
{
        enum walk_end end;

        w->doing = "killed at";
        w->at = at;
        begin_victim(w);
        while ((end = walk_to(&w->walk, trace, at)) == WALK_ASLEEP)
                wake_victim(w);
        if (end == WALK_LOST)
                fail_at(w, "the victim failed");
        end_victim(w);
        return end == WALK_THERE;
}

/*
 * Who does not come there took a shorter way: the trace led through what is done once a ms. Slower,
 * step by step, it is likely to come there, too. News that are late because others had the CPU are
 * not late each time.
 */
static inline void die_at(struct worker *w, unsigned at)
{
        int64_t best_ns;

        if (die_once_at(w, at, &w->trace) || die_once_at(w, at, NULL))
                w->points++;
        else
                w->missed++;
        best_ns = w->stage->late_ns;
        w->late += best_ns > BAR_MS * 1000000;
        for (unsigned tries = 1; best_ns > BAR_MS * 1000000 && tries < TRIES; tries++) {
                die_once_at(w, at, &w->trace);
                if (w->stage->late_ns < best_ns)
                        best_ns = w->stage->late_ns;
        }
        if (best_ns > tst_deadline_ms(DEADLINE_MS) * 1000000)
                fail_at(w, "the survivor heard of it too late");
        if (best_ns > w->slowest_ns)
                w->slowest_ns = best_ns;
}
