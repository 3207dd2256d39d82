/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to processes in real life: storms of forks, orphans, exec, a library loaded twice or
 * unloaded, threads that end anywhere, and descriptors that somebody else keeps open.
 *
 *   FORK_STORM   how many children (240)
 */
#include "proc.h"
#include "roles.h"
#include "task/task.h"
#include <dlfcn.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>

static void reap_well(pid_t pid)
{
        int status;

        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static pthread_t start_thread(void *(*run)(void *), void *arg)
{
        pthread_t t;

        CHECK(pthread_create(&t, NULL, run, arg) == 0);
        return t;
}

/* ---- storms of forks ---- */

enum { STORM = 240, AT_ONCE = 8 };

static bool stop;

static void *call_on_and_on(void *arg)
{
        ptl_port echo = *(ptl_port *)arg;

        for (unsigned i = 0; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); i++)
                call_echo_of(echo, i % 2000, i);
        return NULL;
}

__attribute__((noreturn)) static void be_short(unsigned i, ptl_port parents)
{
        if (i % 4 > 0)
                OUTCOME(ptl_send(parents, "x", 1, PTL_NOW), PTL_E_FORKED);
        if (i % 4 > 1)
                call_echo_of(look_up("echo"), i * 20, i);
        if (i % 4 > 2)
                kill(getpid(), SIGKILL);
        _exit(0);
}

static void reap_short(unsigned i, pid_t pid)
{
        int status;

        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_EQ(status, i % 4 > 2 ? SIGKILL : 0);
}

static uint32_t count_tasks(void)
{
        struct ptl_server_status s;

        OK(ptl_server_get_status(&s));
        return s.tasks;
}

API_TEST_TIMES(a_storm_of_forks_in_traffic_harms_nobody_and_leaves_nothing, 2)
{
        const char *s = getenv("FORK_STORM");
        unsigned storm = s && *s ? (unsigned)atoi(s) : STORM;
        pid_t pid[AT_ONCE];
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        pthread_t t;
        int fds;

        call_echo(echo);
        fds = proc_descriptors(peer.pid);
        t = start_thread(call_on_and_on, &echo);
        for (unsigned i = 0; i < storm; i += AT_ONCE) {
                for (unsigned k = 0; k < AT_ONCE; k++)
                        if ((pid[k] = fork()) == 0)
                                be_short(i + k, echo);
                for (unsigned k = 0; k < AT_ONCE; k++)
                        reap_short(i + k, pid[k]);
        }
        __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
        pthread_join(t, NULL);
        call_echo(echo);
        CHECK(tst_wait_until(proc_descriptors(peer.pid) == fds, 5000));
        CHECK(tst_wait_until(count_tasks() == 2, 5000));
        CHECK_EQ(statistics().links_dead, 0);
        CHECK_EQ(statistics().lies, 0);
        end_echo(&peer, echo);
}

/* ---- children that outlive what their parent was ---- */

/* The server may hear of the former owner's end a little later than we. */
static void inherit(const char *name, ptl_port port)
{
        int outcome = 0;

        CHECK(tst_wait_until((outcome = ptl_name_publish(name, port)) != PTL_E_EXISTS, 5000));
        OK(outcome);
}

/* Answers one call on @name, which was another task's. */
static void answer_one(const char *name)
{
        ptl_port p = new_port();
        struct ptl_message m;

        inherit(name, p);
        peer_say(NULL, "published");
        m = take_message(p);
        OK(ptl_reply(&m, m.data, m.size));
        ptl_message_release(&m);
}

PEER(answers_one)
{
        answer_one(argv[1]);
        peer_stay();
}

/* has_a_child: publishes a port, forks. The child takes the name over when we are dead. */
PEER(has_a_child)
{
        pid_t me = getpid(), pid;

        OK(ptl_name_publish("shared", new_port()));
        pid = fork();
        if (pid == 0) {
                CHECK(tst_wait_until(getppid() != me, 15000));
                answer_one("shared");
                peer_stay();
                _exit(0);
        }
        peer_say(NULL, "%d", (int)pid);
        for (;;)
                pause();
}

API_TEST(a_child_that_outlives_its_parent_is_a_task_of_its_own)
{
        ptl_port n = new_port(), theirs, heirs;
        struct peer peer;
        pid_t child;

        peer_start(&peer, "has_a_child", NULL);
        child = (pid_t)peer_hear_number(&peer);
        theirs = look_up("shared");
        put(theirs, "never read");
        OK(ptl_right_notify_dead(theirs, n));
        CHECK(kill(peer.pid, SIGKILL) == 0);
        take_dead_name(n, theirs);
        peer_hear(&peer, "published");
        heirs = look_up("shared");
        CHECK(heirs != theirs);
        CHECK_EQ(status_of(heirs).peer_pid, child);
        call_echo(heirs);
        OUTCOME(ptl_send(theirs, "x", 1, PTL_NOW), PTL_E_DEAD);
        peer_kill(&peer);
}

/* execs: publishes a port, forks a child that lives on, and becomes another program. */
PEER(execs)
{
        const char *const program[] = {"peer", "--peer", "answers_one", "shared", NULL};
        ptl_port p = new_port();
        pid_t pid;

        OK(ptl_name_publish("shared", p));
        take(p, "hello");
        pid = fork();
        if (pid == 0)
                for (;;)
                        pause();
        peer_say(NULL, "%d", (int)pid);
        peer_hear(NULL, "exec");
        execv("/proc/self/exe", (char **)(uintptr_t)program);
        CHECK(!"exec");
}

API_TEST(an_exec_ends_the_task_though_a_forked_child_lives_on)
{
        ptl_port n = new_port(), before, after;
        struct peer peer;
        pid_t child;

        peer_start(&peer, "execs", NULL);
        before = look_up("shared");
        put(before, "hello");
        child = (pid_t)peer_hear_number(&peer);
        OK(ptl_right_notify_dead(before, n));
        peer_say(&peer, "exec");
        take_dead_name(n, before);
        peer_hear(&peer, "published");
        CHECK(kill(child, 0) == 0);
        after = look_up("shared");
        CHECK(after != before);
        CHECK_EQ(status_of(after).peer_pid, peer.pid); /* the same process, another task */
        call_echo(after);
        CHECK(kill(child, SIGKILL) == 0);
        peer_end(&peer);
}

/* ---- names of those before ---- */

/* The names of each generation of a family; none may mean anything to the next ones. */
static void have_descendants(ptl_port *names, int generation, int generations)
{
        pid_t pid;

        names[generation] = new_send_port();
        for (int i = 0; i < generation; i++)
                for (int k = 0; k < 50; k++) {
                        ptl_port mine = new_send_port();

                        CHECK(mine != names[i]);
                        if (k % 2)
                                OK(ptl_port_free(mine));
                }
        for (int i = 0; i < generation; i++) {
                int outcome = ptl_send(names[i], "stale", 6, PTL_NOW);

                CHECK(outcome == PTL_E_FORKED || (outcome == PTL_E_NAME && i < generation - 1));
        }
        if (generation + 1 == generations)
                return;
        pid = fork();
        if (pid == 0) {
                have_descendants(names, generation + 1, generations);
                _exit(0);
        }
        reap_well(pid);
        check_empty(names[generation]);
}

API_TEST(no_name_of_an_ancestor_is_ever_a_descendants_own)
{
        ptl_port names[6];

        have_descendants(names, 0, ARRAY_LEN(names));
}

API_TEST(a_child_that_no_handler_saw_has_none_of_its_parents_names)
{
        ptl_port p = new_send_port();
        pid_t pid = _Fork();

        if (pid == 0) {
                for (int i = 0; i < 1000; i++)
                        CHECK(new_port() != p);
                OUTCOME(ptl_send(p, "x", 1, PTL_NOW), PTL_E_FORKED);
                _exit(0);
        }
        reap_well(pid);
        check_empty(p);
}

/* ---- the library twice, and unloaded ---- */

#define LIBRARY(X)                                                                                 \
        X(port_new)                                                                                \
        X(name_publish)                                                                            \
        X(name_look_up)                                                                            \
        X(send)                                                                                    \
        X(receive)                                                                                 \
        X(call)                                                                                    \
        X(message_release)                                                                         \
        X(task_identity)                                                                           \
        X(task_leave)

/* The shared library, beside the one that this program is linked with. */
struct library {
        void *handle;
#define LIBRARY_MEMBER(name) __typeof__(&ptl_##name) name;
        LIBRARY(LIBRARY_MEMBER)
};

static void library_symbol(const struct library *l, const char *name, void *ret_function)
{
        void *found = dlsym(l->handle, name);

        CHECK(found);
        memcpy(ret_function, &found, sizeof found);
}

static struct library library_open(void)
{
        char path[PATH_MAX] = "", *slash;
        struct library l;

        CHECK(readlink("/proc/self/exe", path, sizeof path - 64) > 0);
        CHECK((slash = strrchr(path, '/')));
        strcpy(slash, "/../libportolan.so.0");
        l.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!l.handle)
                fprintf(stderr, "# %s\n", dlerror());
        CHECK(l.handle);
#define LIBRARY_SYMBOL(name) library_symbol(&l, "ptl_" #name, &l.name);
        LIBRARY(LIBRARY_SYMBOL)
        CHECK(l.send != ptl_send);
        return l;
}

static void library_close(const struct library *l)
{
        OK(l->task_leave());
        CHECK(dlclose(l->handle) == 0);
}

static void check_two_tasks(const struct library *l)
{
        struct ptl_identity a, b;

        OK(ptl_task_identity(&a));
        OK(l->task_identity(&b));
        CHECK_EQ(a.pid, b.pid);
        CHECK(a.task.high != b.task.high || a.task.low != b.task.low);
}

API_TEST(two_copies_of_the_library_in_one_process_are_two_tasks)
{
        struct library l = library_open();
        ptl_port p = new_port(), q = PTL_NULL, to_p = PTL_NULL, to_q;
        struct ptl_message m;
        pid_t pid;

        check_two_tasks(&l);
        OK(l.port_new(&q, NULL));
        OK(ptl_name_publish("p", p));
        OK(l.name_publish("q", q));
        to_q = look_up("q");
        OK(l.name_look_up("p", &to_p, soon()));
        for (int i = 0; i < 100; i++) {
                put(to_q, "to the other");
                OK(l.receive(q, &m, soon()));
                check_text(&m, "to the other");
                l.message_release(&m);
                OK(l.send(to_p, "from it", 8, soon()));
                take(p, "from it");
        }
        pid = fork();
        if (pid == 0) {
                OUTCOME(ptl_send(to_q, "x", 1, PTL_NOW), PTL_E_FORKED);
                OUTCOME(l.send(to_p, "x", 1, PTL_NOW), PTL_E_FORKED);
                check_two_tasks(&l);
                exit(0); /* with the destructors of both */
        }
        reap_well(pid);
        put(to_q, "goes on");
        OK(l.receive(q, &m, soon()));
        l.message_release(&m);
        OK(ptl_right_notify_dead(to_q, p));
        library_close(&l);
        take_dead_name(p, to_q);
}

struct user {
        const struct library *library;
        ptl_port port;
        pid_t tid;
        int ready, go[2];
};

/* Leaves something with the library that is to be freed when this thread ends. */
static void *call_and_end(void *arg)
{
        struct user *u = arg;
        char answer[8];
        size_t n = sizeof answer;
        ptl_port echo = PTL_NULL;

        OK(u->library->name_look_up("echo", &echo, soon()));
        OK(u->library->call(echo, "hello", 6, answer, &n, soon()));
        CHECK_STR_EQ(answer, "hello");
        __atomic_store_n(&u->ready, 1, __ATOMIC_RELEASE);
        CHECK_EQ(read(u->go[0], answer, 1), 0);
        return NULL;
}

static void *wait_and_end(void *arg)
{
        struct user *u = arg;
        struct ptl_message m;

        __atomic_store_n(&u->tid, gettid(), __ATOMIC_RELEASE);
        OUTCOME(u->library->receive(u->port, &m, ptl_after_ms(300)), PTL_E_TIMEOUT);
        return NULL;
}

/* Its code is needed by threads that wait in it or end, by fork() and exec(), whoever unloads it.
 */
API_TEST(a_library_that_is_closed_in_use_stays)
{
        struct library l = library_open();
        struct user caller = {.library = &l}, waiter = {.library = &l};
        struct ptl_identity before, after;
        struct peer peer;
        pthread_t t[2];
        pid_t pid;

        start_echo(&peer, "echo");
        OK(l.task_identity(&before));
        OK(l.port_new(&waiter.port, NULL));
        CHECK(pipe2(caller.go, O_CLOEXEC) == 0);
        t[0] = start_thread(call_and_end, &caller);
        CHECK(tst_wait_until(__atomic_load_n(&caller.ready, __ATOMIC_ACQUIRE), 5000));
        t[1] = start_thread(wait_and_end, &waiter);
        CHECK(tst_wait_until(__atomic_load_n(&waiter.tid, __ATOMIC_ACQUIRE), 5000));
        CHECK(tst_wait_until(is_asleep(getpid(), waiter.tid), 5000));
        CHECK(dlclose(l.handle) == 0);
        close(caller.go[1]);
        CHECK(pthread_join(t[0], NULL) == 0 && pthread_join(t[1], NULL) == 0);
        close(caller.go[0]);
        pid = fork();
        if (pid == 0)
                exit(0);
        reap_well(pid);
        l = library_open();
        OK(l.task_identity(&after));
        CHECK(memcmp(&before, &after, sizeof after) == 0); /* it was there all the time */
        library_close(&l);
        end_echo(&peer, look_up("echo"));
}

/* ---- threads that end ---- */

static void *call_and_exit(void *arg)
{
        call_echo(*(ptl_port *)arg);
        pthread_exit(NULL);
}

static void *call_and_be_cancelled(void *arg)
{
        call_echo(*(ptl_port *)arg);
        for (;;)
                pause();
        return NULL;
}

API_TEST(threads_that_end_give_back_what_their_calls_needed)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        uint32_t internal = ptl_the_task.space.internal, names = statistics().names;

        for (int i = 0; i < 50; i++) {
                pthread_t t[2] = {start_thread(call_and_exit, &echo),
                                  start_thread(call_and_be_cancelled, &echo)};

                pthread_cancel(t[1]); /* before, in or after its call */
                CHECK(pthread_join(t[0], NULL) == 0 && pthread_join(t[1], NULL) == 0);
        }
        CHECK_EQ(ptl_the_task.space.internal, internal);
        CHECK_EQ(statistics().names, names);
        end_echo(&peer, echo);
}

static void exit_thread(int signal) { pthread_exit(NULL); }

struct lost {
        const char *kind;
        ptl_port port; /* full of one message */
        pid_t tid;
};

/* Waits for what never comes. */
static void *wait_for_ever(void *arg)
{
        struct lost *lost = arg;
        struct ptl_message m;
        ptl_port p;
        size_t n = 0;

        __atomic_store_n(&lost->tid, gettid(), __ATOMIC_RELEASE);
        if (!strcmp(lost->kind, "receive"))
                (void)!ptl_receive(new_port(), &m, PTL_FOREVER);
        else if (!strcmp(lost->kind, "send"))
                (void)!ptl_send(lost->port, "x", 1, PTL_FOREVER);
        else if (!strcmp(lost->kind, "call"))
                (void)!ptl_call(new_send_port(), "x", 1, NULL, &n, PTL_FOREVER);
        else
                (void)!ptl_name_look_up("nobody", &p, PTL_FOREVER);
        CHECK(!"returned");
        return NULL;
}

/* loses_a_thread KIND: a thread ends inside the library, which is then unusable; and the process
 * ends. */
PEER(loses_a_thread)
{
        struct lost lost = {.kind = argv[1], .port = new_port_of(1, 0)};
        pthread_t t;

        CHECK(signal(SIGUSR1, exit_thread) != SIG_ERR);
        put(lost.port, "fills it");
        OK(ptl_name_publish("doomed", lost.port));
        t = start_thread(wait_for_ever, &lost);
        CHECK(tst_wait_until(__atomic_load_n(&lost.tid, __ATOMIC_ACQUIRE), 5000));
        peer_say(NULL, "%d", (int)lost.tid);
        peer_hear(NULL, "lose it");
        CHECK(pthread_kill(t, SIGUSR1) == 0);
        CHECK(pthread_join(t, NULL) == 0);
        exit(0);
}

/* The only living peer has answered to our claim. */
static bool has_answered(ptl_port looks)
{
        struct ptl_link_statistics links[8];
        size_t n;

        check_empty(looks);
        OK(ptl_link_get_statistics(links, ARRAY_LEN(links), &n));
        for (size_t i = 0; i < n && i < ARRAY_LEN(links); i++)
                if (links[i].state == 1 && links[i].received > 0)
                        return true;
        return false;
}

/* The thread that is lost makes its process' link to us first. It is to sleep then, not to be lost with a lock of
 * the C library's, which the end of its process would wait for. */
API_TEST(a_process_that_lost_a_thread_in_a_wait_can_end_and_is_seen_to)
{
        static const char *const kinds[] = {"receive", "send", "call", "look up"};

        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
                ptl_port n = new_port(), theirs;
                struct peer peer;
                pid_t tid;

                peer_start(&peer, "loses_a_thread", kinds[i], NULL);
                tid = (pid_t)peer_hear_number(&peer);
                theirs = look_up("doomed");
                OK(ptl_right_notify_dead(theirs, n));
                CHECK(tst_wait_until(has_answered(n), 5000));
                CHECK(tst_wait_until(is_asleep(peer.pid, tid), 5000));
                peer_say(&peer, "lose it");
                take_dead_name(n, theirs);
                peer_end(&peer);
        }
}

/* ---- epoll sees no ghosts ---- */

/* A child that lives until @ret_hold closes. With _Fork() no handler of ours sees it, and it keeps
 * copies of all our descriptors. */
static pid_t start_keeper(pid_t (*fork_it)(void), int *ret_hold)
{
        int ends[2];
        pid_t pid;
        char c;

        CHECK(pipe2(ends, O_CLOEXEC) == 0);
        pid = fork_it();
        CHECK(pid >= 0);
        if (pid == 0) {
                close(ends[1]);
                (void)!read(ends[0], &c, 1);
                _exit(0);
        }
        close(ends[0]);
        *ret_hold = ends[1];
        return pid;
}

/* It may be readable for nothing, but not for ever. */
static void check_quiet(int fd, ptl_port port)
{
        struct pollfd p = {.fd = fd, .events = POLLIN};
        uint64_t sleeps;
        struct ptl_message m;

        CHECK(tst_wait_until(ptl_receive(port, &m, PTL_NOW) == PTL_E_EMPTY && poll(&p, 1, 20) == 0,
                             5000));
        sleeps = statistics().sleeps;
        OUTCOME(ptl_receive(port, &m, ptl_after_ms(100)), PTL_E_TIMEOUT);
        CHECK(statistics().sleeps - sleeps < 20);
}

static void check_ghosts(pid_t (*fork_it)(void))
{
        ptl_port n = new_port(), q = new_port(), echo;
        struct ptl_server_status s;
        struct peer peer;
        int task = -1, port = -1, hold;
        pid_t pid;

        echo = start_echo(&peer, "echo");
        call_echo(echo);
        OK(ptl_descriptor(PTL_NULL, &task));
        OK(ptl_descriptor(q, &port));
        put(q, "rings"); /* its descriptor is readable when it goes */
        pid = start_keeper(fork_it, &hold);
        OK(ptl_port_free(q));
        check_quiet(task, n);
        OK(ptl_right_notify_dead(echo, n));
        peer_kill(&peer);
        take_dead_name(n, echo);
        check_quiet(task, n);
        OK(ptl_server_get_status(&s));
        CHECK(kill(s.server.pid, SIGKILL) == 0);
        check_quiet(task, n);
        close(hold);
        reap_well(pid);
}

API_TEST(what_a_forked_child_keeps_open_does_not_ring_here) { check_ghosts(fork); }

API_TEST(what_a_child_that_no_handler_saw_keeps_open_does_not_ring_here) { check_ghosts(_Fork); }
