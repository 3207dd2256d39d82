/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crowd_test.c - sixteen tasks call each other while one of them is killed or stopped all the time
 *
 * Every EVERY_MS one of them is killed and replaced, or stopped and continued; those who are left
 * go on. For each right they hold to a killed task's port they are told once; of one that was only
 * stopped, never. Each request is answered, or its end is told. At the end nothing is left.
 *
 * Every other task has one thread, which asks and answers in turn; the others have two, of which
 * one calls and one answers.
 *
 *   CROWD_SEED      of the choices (else the time); printed
 *   CROWD_SECONDS   how long (2)
 */
#include "base/atomic.h"
#include "roles.h"
#include <pthread.h>
#include <time.h>

enum { PLACES = 16, LIVES = 8192, EVERY_MS = 50, PATIENCE = 30, LARGE = 20000, UNDER_WAY = 8 };
enum life_state { UNBORN, LIVING, KILLED };
enum stage { CALLING, ANSWERING, READY }; /* at the end: answers only; its books are right */

/* A life: one task in one place, from its start to its end. In memory that all share. */
struct life {
        _Atomic uint32_t state; /* KILLED before the signal is sent */
        _Atomic uint32_t stage; /* enum stage */
        _Atomic uint32_t calls; /* that it ended, whatever their outcome */
        _Atomic int32_t pid;
};

static struct crowd {
        _Atomic uint32_t current[PLACES]; /* whose life it is */
        _Atomic uint32_t ended;           /* enum stage that all have come to */
        _Atomic uint32_t stop;            /* call no more */
        struct life lives[LIVES];
} * crowd;

/* ---- chance ---- */

static uint64_t chance;

static uint32_t random_below(uint32_t n)
{
        chance ^= chance << 13; /* xorshift64 */
        chance ^= chance >> 7;
        chance ^= chance << 17;
        return (uint32_t)((chance >> 32) % n);
}

static unsigned number_from(const char *variable, unsigned otherwise)
{
        const char *s = getenv(variable);

        return s && *s ? (unsigned)strtoul(s, NULL, 0) : otherwise;
}

/* ---- a task ---- */

static unsigned me;                              /* its life; two threads if odd */
static ptl_port mine, notify, answers, everyone; /* everyone: the set of the three */
static _Atomic uint32_t held[LIVES];             /* its rights to others' ports */
static uint8_t told[LIVES];                      /* of their deaths */
static unsigned asked, ended;                    /* requests of its one thread */

static void port_name(char *name, size_t size, unsigned life)
{
        snprintf(name, size, "crowd-%u", life);
}

/* A right to a port of @life's; PTL_NULL: it has no name (yet, or any more). */
static ptl_port right_to(unsigned life)
{
        ptl_port port = ptl_load_acquire(&held[life]);
        char name[32];
        int r;

        if (port)
                return port;
        port_name(name, sizeof name, life);
        r = ptl_name_look_up(name, &port, PTL_NOW);
        if (r == PTL_E_NOT_FOUND)
                return PTL_NULL;
        OK(r);
        ptl_store_release(&held[life], port);
        OK(ptl_right_notify_dead(port, notify));
        return port;
}

static void took_dead_name(const struct ptl_message *m)
{
        struct ptl_notification n;
        unsigned life = 0;

        CHECK_EQ(m->kind, PTL_NOTIFY_DEAD_NAME);
        memcpy(&n, m->data, sizeof n);
        while (life < LIVES && ptl_load_acquire(&held[life]) != n.value)
                life++;
        CHECK(life < LIVES); /* a right that it holds */
        CHECK_EQ(ptl_load_acquire(&crowd->lives[life].state), KILLED);
        CHECK_EQ(told[life], 0);
        told[life] = 1;
        OK(ptl_right_release(n.value)); /* the name itself is kept: nobody gets it meanwhile */
}

static void took_answer(const struct ptl_message *m)
{
        if (m->kind != PTL_NOTIFY_SEND_ONCE)
                CHECK(is_filled(m->data, m->size, m->kind));
        ended++;
        CHECK(ended <= asked);
        ptl_store_relaxed(&crowd->lives[me].calls, ended);
}

static bool is_killed(int32_t pid)
{
        for (unsigned i = 0; i < LIVES; i++)
                if (ptl_load_acquire(&crowd->lives[i].pid) == pid)
                        return ptl_load_acquire(&crowd->lives[i].state) == KILLED;
        return false;
}

static void answer(struct ptl_message *m)
{
        int r;

        CHECK(is_filled(m->data, m->size, m->kind));
        if (!m->reply) { /* its sender did not live until it was taken */
                CHECK(is_killed(m->sender->pid));
                return;
        }
        r = ptl_reply_message(
                m, &(struct ptl_outgoing){.data = m->data, .size = m->size, .kind = m->kind});
        CHECK(r == 0 || r == PTL_E_DEAD);
}

/* Takes what there is, or waits for it until @deadline. */
static bool take_one(ptl_time deadline)
{
        struct ptl_message m;
        int r = ptl_receive(everyone, &m, deadline);

        if (r == PTL_E_EMPTY || r == PTL_E_TIMEOUT)
                return false;
        OK(r);
        if (m.port == notify)
                took_dead_name(&m);
        else if (m.port == answers)
                took_answer(&m);
        else
                answer(&m);
        ptl_message_release(&m);
        return true;
}

static unsigned someone(void) { return ptl_load_acquire(&crowd->current[random_below(PLACES)]); }

static size_t make_request(unsigned char *data, unsigned *ret_seed)
{
        size_t size = random_below(8) ? random_below(300) : random_below(LARGE);

        *ret_seed = random_below(1000);
        fill(data, size, *ret_seed);
        return size;
}

/* One thread: asks without waiting, answers meanwhile. */
static void ask_one(void)
{
        static unsigned char data[LARGE];
        unsigned life = someone(), seed;
        ptl_port to = life == me || asked - ended >= UNDER_WAY ? PTL_NULL : right_to(life);
        struct ptl_outgoing out = {.data = data, .reply = answers};
        int r;

        if (!to)
                return;
        out.size = make_request(data, &seed);
        out.kind = seed;
        r = ptl_send_message(to, &out, PTL_NOW);
        asked += r == 0;
        if (r != PTL_E_FULL && r != PTL_E_DEAD)
                OK(r);
}

/* Two threads: this one calls. */
static void call_one(void)
{
        static unsigned char data[LARGE];
        unsigned life = someone(), seed;
        ptl_port to = life == me ? PTL_NULL : right_to(life);
        struct ptl_outgoing out = {.data = data};
        struct ptl_message m;
        int r;

        if (!to)
                return;
        out.size = make_request(data, &seed);
        out.kind = seed;
        r = ptl_call_message(to, &out, &m, 0, soon());
        if (r == PTL_E_DEAD) {
                CHECK_EQ(ptl_load_acquire(&crowd->lives[life].state), KILLED);
        } else {
                OK(r);
                CHECK(m.size == out.size && m.kind == seed && is_filled(m.data, m.size, seed));
                ptl_message_release(&m);
        }
        ptl_store_relaxed(&crowd->lives[me].calls, ptl_load_relaxed(&crowd->lives[me].calls) + 1);
}

static void *call_all_the_time(void *arg)
{
        (void)arg;
        while (!ptl_load_acquire(&crowd->stop))
                call_one();
        ptl_store_release(&crowd->lives[me].stage, ANSWERING);
        return NULL;
}

/* Of all killed tasks whose right it holds it has been told. */
static bool was_told_all(void)
{
        for (unsigned i = 0; i < LIVES; i++)
                if (ptl_load_acquire(&held[i]) && !told[i] &&
                    ptl_load_acquire(&crowd->lives[i].state) == KILLED)
                        return false;
        return true;
}

/* Answers those who still ask until all have said that they do not. */
static void serve_to_the_end(void)
{
        ptl_time end = ptl_after_ms(tst_deadline_ms(15000));

        while (ptl_load_acquire(&crowd->ended) < ANSWERING || !was_told_all() || ended < asked) {
                take_one(ptl_after_ms(1));
                if (ended == asked && ptl_load_acquire(&crowd->stop) && me % 2 == 0)
                        ptl_store_release(&crowd->lives[me].stage, ANSWERING);
                CHECK(ptl_load_acquire(&crowd->stop) == 0 || ptl_now() < end);
                if (!ptl_load_acquire(&crowd->stop))
                        end = ptl_after_ms(tst_deadline_ms(15000));
        }
        while (take_one(PTL_NOW))
                ;
}

static void open_ports(void)
{
        char name[32];

        notify = new_port();
        answers = new_port();
        mine = new_port();
        everyone = new_set();
        OK(ptl_set_add(everyone, mine));
        OK(ptl_set_add(everyone, notify));
        OK(ptl_set_add(everyone, answers));
        port_name(name, sizeof name, me);
        OK(ptl_name_publish(name, mine));
}

/* Everything it had is accounted for. */
static void close_ports(void)
{
        uint32_t dead = 0;

        for (unsigned i = 0; i < LIVES; i++)
                if (held[i]) {
                        dead += told[i];
                        check_rights(held[i], told[i] ? PTL_RIGHT_DEAD : PTL_RIGHT_SEND, 1);
                        OK(ptl_right_release(held[i]));
                }
        CHECK_EQ(statistics().names, 4); /* three ports and the set */
        CHECK_EQ(statistics().lies, 0);
        CHECK(statistics().links_dead >= dead);
        ptl_store_release(&crowd->lives[me].stage, READY);
        CHECK(tst_wait_until(ptl_load_acquire(&crowd->ended) == READY, 15000));
        OK(ptl_task_leave());
}

__attribute__((noreturn)) static void be_task(unsigned life)
{
        bool threads = life % 2;
        pthread_t caller;

        me = life;
        ptl_store_release(&crowd->lives[life].pid, getpid());
        chance += life * 0x9e3779b97f4a7c15u;
        open_ports();
        if (threads)
                CHECK(pthread_create(&caller, NULL, call_all_the_time, NULL) == 0);
        while (!threads && !ptl_load_acquire(&crowd->stop)) {
                ask_one();
                while (take_one(asked - ended >= UNDER_WAY ? ptl_after_ms(1) : PTL_NOW))
                        ;
        }
        serve_to_the_end();
        if (threads)
                pthread_join(caller, NULL);
        close_ports();
        _exit(0);
}

/* ---- the case, which uses no library ---- */

static pid_t pids[PLACES];
static unsigned n_lives, n_killed, n_stopped;
static int stopped = -1; /* the place whose task is stopped now */

static void give_birth(unsigned place)
{
        unsigned life = n_lives++;
        pid_t pid;

        CHECK(n_lives < LIVES);
        ptl_store_release(&crowd->lives[life].state, LIVING);
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
                be_task(life);
        pids[place] = pid;
        ptl_store_release(&crowd->current[place], life);
}

static void replace(unsigned place)
{
        unsigned life = ptl_load_relaxed(&crowd->current[place]);
        int status;

        ptl_store_release(&crowd->lives[life].state, KILLED);
        kill(pids[place], SIGKILL);
        CHECK(waitpid(pids[place], &status, 0) == pids[place]);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* it had not failed before */
        n_killed++;
        give_birth(place);
}

static void let_go_on(void)
{
        if (stopped >= 0)
                kill(pids[stopped], SIGCONT);
        stopped = -1;
}

static void disturb(void)
{
        unsigned place = random_below(PLACES);

        let_go_on();
        if (random_below(2)) {
                replace(place);
                return;
        }
        kill(pids[place], SIGSTOP);
        stopped = (int)place;
        n_stopped++;
}

static bool have_called(void)
{
        for (unsigned i = 0; i < PLACES; i++)
                if (!ptl_load_relaxed(&crowd->lives[ptl_load_relaxed(&crowd->current[i])].calls))
                        return false;
        return true;
}

static bool have_come_to(enum stage stage)
{
        for (unsigned i = 0; i < PLACES; i++)
                if (ptl_load_acquire(&crowd->lives[ptl_load_relaxed(&crowd->current[i])].stage) <
                    stage)
                        return false;
        return true;
}

static void nobody_failed(void)
{
        for (unsigned i = 0; i < PLACES; i++)
                CHECK(waitpid(pids[i], NULL, WNOHANG) == 0);
}

/* The survivors' books are closed by themselves; an exit status says if they were right. */
static void end_all(void)
{
        int status;

        ptl_store_release(&crowd->stop, 1);
        for (enum stage stage = ANSWERING; stage <= READY; stage++) {
                CHECK(tst_wait_until((nobody_failed(), have_come_to(stage)), 20000));
                ptl_store_release(&crowd->ended, stage);
        }
        for (unsigned i = 0; i < PLACES; i++) {
                CHECK(waitpid(pids[i], &status, 0) == pids[i]);
                CHECK_EQ(status, 0);
        }
}

static void nothing_is_left(void)
{
        struct ptl_task_entry *tasks;
        struct ptl_name_entry *names;
        DIR *d = opendir(tst_temp_dir());
        size_t n;

        OK(ptl_server_list_tasks(&tasks, &n));
        CHECK_EQ(n, 1);
        free(tasks);
        OK(ptl_server_list_names(&names, &n));
        CHECK_EQ(n, 0);
        free(names);
        OK(ptl_task_leave());
        CHECK(d);
        for (struct dirent *e; (e = readdir(d));)
                CHECK(e->d_name[0] == '.' || !strcmp(e->d_name, "portolan.sock"));
        closedir(d);
}

TEST_TIMES(a_crowd_goes_on_while_some_of_it_die_and_some_are_stopped, PATIENCE)
{
        unsigned seconds = number_from("CROWD_SECONDS", 2);
        unsigned seed = number_from("CROWD_SEED", (unsigned)time(NULL));
        uint64_t calls = 0;
        int64_t end;

        fprintf(stderr, "# CROWD_SEED=%u\n", seed);
        chance = seed * 2654435761u + 1;
        tst_private_server();
        crowd = mmap(NULL, sizeof *crowd, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                     0);
        CHECK(crowd != MAP_FAILED);
        for (unsigned i = 0; i < PLACES; i++)
                give_birth(i);
        CHECK(tst_wait_until(have_called(), 15000));
        for (end = tst_now_ms() + seconds * 1000; tst_now_ms() < end;) {
                nanosleep(&(struct timespec){.tv_nsec = EVERY_MS * 1000000}, NULL); /* the pace */
                nobody_failed();
                disturb();
        }
        let_go_on();
        CHECK(tst_wait_until((nobody_failed(), have_called()), 15000));
        end_all();
        nothing_is_left();
        for (unsigned i = 0; i < n_lives; i++)
                calls += crowd->lives[i].calls;
        fprintf(stderr, "# %u killed, %u stopped, %" PRIu64 " calls\n", n_killed, n_stopped, calls);
        munmap(crowd, sizeof *crowd);
}
