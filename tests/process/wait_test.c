/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting: every way of it delivers; descriptors for poll(); signals. */
#include "roles.h"
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/time.h>

static const struct wait_row {
        const char *name;
        enum ptl_wait how;
        uint32_t poll_ns;
} wait_rows[] = {
        {"adaptive",           PTL_WAIT_ADAPTIVE, 0       },
        {"adaptive, long",     PTL_WAIT_ADAPTIVE, 10000000},
        {"adaptive, shortest", PTL_WAIT_ADAPTIVE, 1       },
        {"spin",               PTL_WAIT_SPIN,     0       },
        {"block",              PTL_WAIT_BLOCK,    0       },
        {"memory",             PTL_WAIT_MEMORY,   0       },
};

API_TEST(every_way_of_waiting_delivers)
{
        static const char *const peers[] = {"adaptive", "spin", "block", "memory"};

        for (size_t k = 0; k < ARRAY_LEN(peers); k++) {
                struct peer peer;
                ptl_port echo;

                setenv("PORTOLAN_WAIT", peers[k], 1);
                echo = start_echo(&peer, "echo");
                for (size_t i = 0; i < ARRAY_LEN(wait_rows); i++) {
                        OK(ptl_task_set_wait(wait_rows[i].how, wait_rows[i].poll_ns));
                        for (unsigned n = 0; n < 60; n++)
                                call_echo_of(echo, n * 10, n);
                }
                end_echo(&peer, echo);
        }
}

API_TEST(a_waiter_that_blocks_sleeps_and_uses_no_processor)
{
        struct timespec before, after;
        ptl_port p = new_port();
        struct ptl_message m;

        OK(ptl_task_set_wait(PTL_WAIT_BLOCK, 0));
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
        OUTCOME(ptl_receive(p, &m, ptl_after_ms(200)), PTL_E_TIMEOUT);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
        CHECK((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec <
              50000000);
        CHECK(statistics().sleeps > 0);
}

API_TEST(an_adaptive_waiter_sleeps_soon)
{
        struct timespec before, after;
        ptl_port p = new_port();
        struct ptl_message m;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
        OUTCOME(ptl_receive(p, &m, ptl_after_ms(200)), PTL_E_TIMEOUT);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
        CHECK((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec <
              50000000);
}

/* Deaths, and who is new here, are seen when the program looks: not before. */
API_TEST(who_watches_memory_alone_looks_when_it_wants_to)
{
        ptl_port n = new_port(), meeting = new_port(), dies;
        struct peer stays, doomed, newcomer;
        struct ptl_message m;
        ptl_port echo;

        OK(ptl_name_publish("meeting", meeting));
        echo = start_echo(&stays, "echo");
        call_echo_of(echo, 8, 0);
        dies = start_echo(&doomed, "doomed");
        call_echo_of(dies, 8, 0);
        OK(ptl_right_notify_dead(dies, n));
        OK(ptl_task_set_wait(PTL_WAIT_MEMORY, 0));
        call_echo_of(echo, 8, 0);

        peer_kill(&doomed);
        peer_start(&newcomer, "sends_to", "meeting", NULL);
        peer_hear(&newcomer, "sent");
        call_echo_of(echo, 8, 0);
        OUTCOME(ptl_receive(n, &m, ptl_after_ms(20)), PTL_E_TIMEOUT);
        OUTCOME(ptl_receive(meeting, &m, ptl_after_ms(20)), PTL_E_TIMEOUT);
        OUTCOME(ptl_receive(n, &m, PTL_NOW), PTL_E_EMPTY);

        CHECK(tst_wait_until((ptl_task_look(), ptl_receive(n, &m, PTL_NOW)) == 0, 5000));
        CHECK_EQ(m.kind, PTL_NOTIFY_DEAD_NAME);
        ptl_message_release(&m);
        CHECK(tst_wait_until((ptl_task_look(), ptl_receive(meeting, &m, PTL_NOW)) == 0, 5000));
        check_text(&m, "here");
        ptl_message_release(&m);

        OK(ptl_task_set_wait(PTL_WAIT_ADAPTIVE, 0));
        peer_end(&newcomer);
        end_echo(&stays, echo);
}

PEER(sends_to)
{
        put(look_up(argv[1]), "here");
        peer_say(NULL, "sent");
        peer_stay();
}

/* late NAME MS: answers each request after so long. */
PEER(late)
{
        struct timespec pause = {.tv_nsec = atoi(argv[2]) * 1000000L};
        ptl_port p = new_port();
        struct ptl_message m;

        OK(ptl_name_publish(argv[1], p));
        while (true) {
                OK(ptl_receive(p, &m, PTL_FOREVER));
                nanosleep(&pause, NULL);
                OK(ptl_reply(&m, m.data, m.size));
                ptl_message_release(&m);
        }
}

static void pin_here(void)
{
        cpu_set_t one;

        CPU_ZERO(&one);
        CPU_SET((size_t)sched_getcpu(), &one);
        CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
}

/* The pause is what a faulty waiter would sleep through; nothing depends on its length. */
static void check_spinner(void)
{
        ptl_port late, p = new_port();
        struct ptl_outgoing out = {.reply = p};
        struct ptl_message m;
        struct peer peer;
        uint64_t sleeps;

        peer_start(&peer, "late", "late", "50", NULL);
        late = look_up("late");
        call_echo(late); /* each has shown on which CPU it runs */
        sleeps = statistics().sleeps;
        for (int i = 0; i < 3; i++) {
                call_echo(late);
                OK(ptl_send_message(late, &out, soon()));
                m = take_message(p);
                ptl_message_release(&m);
        }
        CHECK_EQ(statistics().sleeps, sleeps);
        peer_kill(&peer);
}

API_TEST(who_spins_never_sleeps)
{
        OK(ptl_task_set_wait(PTL_WAIT_SPIN, 0));
        check_spinner();
}

API_TEST(who_spins_on_its_peers_cpu_does_not_sleep_either)
{
        pin_here(); /* the peer inherits it */
        OK(ptl_task_set_wait(PTL_WAIT_SPIN, 0));
        check_spinner();
}

/* Now and then an answer comes between two polls, and is nobody's. */
API_TEST(a_poll_that_ends_with_a_message_is_counted)
{
        static const char *const pauses[] = {"0", "20"}; /* the only thread's poll; the leader's */

        OK(ptl_task_set_wait(PTL_WAIT_SPIN, 0));
        for (size_t i = 0; i < ARRAY_LEN(pauses); i++) {
                struct peer peer;
                uint64_t won;
                ptl_port late;

                peer_start(&peer, "late", "late", pauses[i], NULL);
                late = look_up("late");
                won = statistics().polls_won;
                for (int n = 0; n < 100 && statistics().polls_won == won; n++)
                        call_echo(late);
                CHECK(statistics().polls_won > won);
                peer_kill(&peer);
                OK(ptl_right_release(late));
        }
}

/* ---- descriptors ---- */

static bool is_readable(int fd, int ms)
{
        struct pollfd p = {.fd = fd, .events = POLLIN};

        return poll(&p, 1, ms) == 1;
}

static int patience(void) { return (int)tst_deadline_ms(5000); }

/* It may be readable for nothing, but not for ever. */
static void check_quiet(ptl_port p, int fd)
{
        struct ptl_message m;
        int outcome;

        for (int i = 0; i < 20; i++) {
                while ((outcome = ptl_receive(p, &m, PTL_NOW)) == 0)
                        ptl_message_release(&m);
                OUTCOME(outcome, PTL_E_EMPTY);
                if (!is_readable(fd, 5))
                        return;
        }
        CHECK(!"quiet");
}

enum { OF_PORT, OF_SET, OF_TASK };

static int descriptor_of(int what, ptl_port port, ptl_port set)
{
        const ptl_port of[] = {port, set, PTL_NULL};
        int fd = -1;

        OK(ptl_descriptor(of[what], &fd));
        CHECK(fd >= 0);
        CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        return fd;
}

API_TEST(descriptors_of_port_set_and_task_tell_of_messages_of_others)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");

        for (int what = OF_PORT; what <= OF_TASK; what++) {
                ptl_port p = new_port(), set = new_set();
                struct ptl_outgoing out = {.reply = p};
                struct ptl_message m;
                int fd;

                OK(ptl_set_add(set, p));
                fd = descriptor_of(what, p, set);
                for (int i = 0; i < 20; i++) {
                        check_quiet(what == OF_PORT ? p : set, fd);
                        OK(ptl_send_message(echo, &out, soon()));
                        CHECK(is_readable(fd, patience()));
                        m = take_message(set);
                        ptl_message_release(&m);
                }
                check_quiet(what == OF_PORT ? p : set, fd);
                OK(ptl_set_free(set));
                OK(ptl_port_free(p));
        }
        end_echo(&peer, echo);
}

API_TEST(descriptors_tell_of_the_tasks_own_messages)
{
        for (int what = OF_PORT; what <= OF_TASK; what++) {
                ptl_port p = new_port(), set = new_set();
                int fd;

                OK(ptl_set_add(set, p));
                fd = descriptor_of(what, p, set);
                for (int i = 0; i < 20; i++) {
                        check_quiet(what == OF_PORT ? p : set, fd);
                        put(p, "own");
                        CHECK(is_readable(fd, patience()));
                        take(set, "own");
                }
                OK(ptl_set_free(set));
                OK(ptl_port_free(p));
        }
}

API_TEST(a_descriptor_asked_for_late_is_readable_at_once)
{
        ptl_port p = new_port();
        int fd, same;

        put(p, "early");
        fd = descriptor_of(OF_PORT, p, PTL_NULL);
        CHECK(is_readable(fd, patience()));
        OK(ptl_descriptor(p, &same));
        CHECK_EQ(same, fd);
        take(p, "early");
        check_quiet(p, fd);
}

API_TEST(a_descriptor_stays_readable_while_messages_are_left)
{
        ptl_port p = new_port();
        int fd = descriptor_of(OF_PORT, p, PTL_NULL);

        put(p, "1");
        put(p, "2");
        take(p, "1");
        CHECK(is_readable(fd, patience()));
        take(p, "2");
        check_quiet(p, fd);
}

API_TEST(the_descriptor_of_a_port_is_quiet_about_others)
{
        ptl_port p = new_port(), q = new_port();
        int fd = descriptor_of(OF_PORT, p, PTL_NULL);

        check_quiet(p, fd);
        put(q, "elsewhere");
        check_quiet(p, fd);
        take(q, "elsewhere");
}

API_TEST(a_descriptor_tells_of_a_death)
{
        struct peer peer;
        ptl_port sink = start_sink(&peer, "sink", "1"), n = new_port();
        int fd = descriptor_of(OF_PORT, n, PTL_NULL);

        OK(ptl_right_notify_dead(sink, n));
        check_quiet(n, fd);
        peer_kill(&peer);
        do {
                struct ptl_message m;

                CHECK(is_readable(fd, patience()));
                if (ptl_receive(n, &m, PTL_NOW) == 0) {
                        CHECK_EQ(m.kind, PTL_NOTIFY_DEAD_NAME);
                        ptl_message_release(&m);
                        break;
                }
        } while (true);
}

API_TEST(a_descriptor_tells_of_a_first_message_of_a_new_peer)
{
        ptl_port p = new_port();
        int fd = descriptor_of(OF_PORT, p, PTL_NULL);

        OK(ptl_name_publish("p", p));
        check_quiet(p, fd);
        for (int i = 0; i < 5; i++) {
                pid_t pid = fork();
                struct ptl_message m;
                int outcome;

                if (pid == 0) {
                        put(look_up("p"), "new");
                        _exit(0);
                }
                do {
                        CHECK(is_readable(fd, patience()));
                        outcome = ptl_receive(p, &m, PTL_NOW);
                } while (outcome == PTL_E_EMPTY);
                OK(outcome);
                check_text(&m, "new");
                ptl_message_release(&m);
                CHECK(waitpid(pid, NULL, 0) == pid);
        }
}

API_TEST(epoll_takes_a_descriptor_edge_or_level)
{
        const uint32_t rows[] = {EPOLLIN, EPOLLIN | EPOLLET};
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                ptl_port p = new_port();
                struct ptl_outgoing out = {.reply = p};
                struct epoll_event ev = {.events = rows[i]};
                int ep = epoll_create1(EPOLL_CLOEXEC), fd = descriptor_of(OF_PORT, p, PTL_NULL);
                struct ptl_message m;
                int outcome;

                CHECK(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0);
                for (int n = 0; n < 200; n++) {
                        check_empty(p);
                        OK(ptl_send_message(echo, &out, soon()));
                        do {
                                CHECK(epoll_wait(ep, &ev, 1, patience()) == 1);
                                outcome = ptl_receive(p, &m, PTL_NOW);
                        } while (outcome == PTL_E_EMPTY);
                        OK(outcome);
                        ptl_message_release(&m);
                }
                close(ep);
                OK(ptl_port_free(p));
        }
        end_echo(&peer, echo);
}

API_TEST(no_message_is_lost_between_empty_and_poll)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");

        for (int what = OF_PORT; what <= OF_TASK; what++) {
                ptl_port p = new_port(), set = new_set();
                struct ptl_outgoing out = {.reply = p};
                int fd;

                OK(ptl_set_add(set, p));
                fd = descriptor_of(what, p, set);
                for (int round = 0; round < 2000; round++) {
                        struct ptl_message m;
                        int outcome;

                        OK(ptl_send_message(echo, &out, soon()));
                        for (int spin = 0; spin < round % 64 * 20; spin++)
                                __asm__ volatile("");
                        while ((outcome = ptl_receive(set, &m, PTL_NOW)) == PTL_E_EMPTY)
                                CHECK(is_readable(fd, patience()));
                        OK(outcome);
                        ptl_message_release(&m);
                }
                OK(ptl_port_free(p));
        }
        end_echo(&peer, echo);
}

/* ---- signals ---- */

static int signals;

static void count_signal(int number)
{
        __atomic_fetch_add(&signals, 1, __ATOMIC_RELAXED);
        (void)ptl_now(); /* async-signal-safe, as these are */
        (void)ptl_version();
        (void)ptl_outcome_text(PTL_E_DEAD);
        (void)ptl_outcome_name(-ENOMEM);
}

static void start_storm(void)
{
        struct sigaction a = {.sa_handler = count_signal}; /* no SA_RESTART */
        struct itimerval t = {
                {0, 700},
                {0, 700}
        };

        CHECK(sigaction(SIGALRM, &a, NULL) == 0);
        CHECK(setitimer(ITIMER_REAL, &t, NULL) == 0);
}

static void end_storm(void)
{
        CHECK(setitimer(ITIMER_REAL,
                        &(struct itimerval){
                                {0, 0},
                                {0, 0}
        },
                        NULL) == 0);
        CHECK(__atomic_load_n(&signals, __ATOMIC_RELAXED) > 5);
}

API_TEST(x09_signals_do_not_end_waits_early)
{
        ptl_port empty = new_send_port(), full = new_port_of(1, 0), unknown = PTL_NULL;
        struct ptl_message m;
        size_t n = 0;

        put(full, "fills it");
        start_storm();
        for (size_t i = 0; i < ARRAY_LEN(wait_rows); i++) {
                ptl_time deadline;

                OK(ptl_task_set_wait(wait_rows[i].how, wait_rows[i].poll_ns));
                deadline = ptl_after_ms(30);
                OUTCOME(ptl_receive(empty, &m, deadline), PTL_E_TIMEOUT);
                CHECK(ptl_now() >= deadline);
                deadline = ptl_after_ms(30);
                OUTCOME(ptl_send(full, "x", 1, deadline), PTL_E_TIMEOUT);
                CHECK(ptl_now() >= deadline);
                deadline = ptl_after_ms(30);
                OUTCOME(ptl_call(empty, "x", 1, NULL, &n, deadline), PTL_E_UNANSWERED);
                CHECK(ptl_now() >= deadline);
                OK(ptl_receive(empty, &m, PTL_NOW));
                ptl_message_release(&m);
                deadline = ptl_after_ms(30);
                OUTCOME(ptl_name_look_up("unknown", &unknown, deadline), PTL_E_TIMEOUT);
                CHECK(ptl_now() >= deadline);
        }
        end_storm();
}

API_TEST(x09_calls_under_a_storm_of_signals_all_succeed)
{
        struct peer peer;
        ptl_port echo;

        start_storm();
        echo = start_echo(&peer, "echo"); /* starts the server, too */
        for (size_t i = 0; i < ARRAY_LEN(wait_rows); i++) {
                OK(ptl_task_set_wait(wait_rows[i].how, wait_rows[i].poll_ns));
                for (unsigned n = 0; n < 200; n++)
                        call_echo_of(echo, n * 100, n);
        }
        for (int i = 0; i < 50; i++) {
                ptl_port p = new_port();

                OK(ptl_name_publish("stormy", p));
                CHECK_EQ(look_up("stormy"), p);
                OK(ptl_name_withdraw("stormy"));
        }
        end_storm();
        end_echo(&peer, echo);
}

API_TEST(x09_a_full_queue_under_a_storm_of_signals_loses_nothing)
{
        struct peer peer;
        ptl_port sink;

        start_storm();
        sink = start_sink(&peer, "sink", "2");
        for (int i = 0; i < 2; i++)
                OK(ptl_send(sink, "x", 1, PTL_NOW));
        for (int i = 0; i < 30; i++) {
                OUTCOME(ptl_send(sink, "x", 1, ptl_after_ms(3)), PTL_E_TIMEOUT);
                peer_say(&peer, "take 1");
                OK(ptl_send(sink, "x", 1, soon()));
                peer_hear_number(&peer);
        }
        end_storm();
        peer_end(&peer);
}

API_TEST(x09_the_library_installs_no_handlers_and_starts_no_threads)
{
        struct sigaction before[NSIG], after;
        struct peer peer;
        ptl_port echo;
        DIR *d;
        int threads = 0;

        for (int s = 1; s < NSIG; s++)
                if (sigaction(s, NULL, &before[s]) != 0)
                        before[s].sa_handler = SIG_ERR;
        echo = start_echo(&peer, "echo");
        call_echo_of(echo, 70000, 1);
        for (int s = 1; s < NSIG; s++) {
                if (before[s].sa_handler == SIG_ERR)
                        continue;
                CHECK(sigaction(s, NULL, &after) == 0);
                CHECK(after.sa_handler == before[s].sa_handler);
        }
        CHECK((d = opendir("/proc/self/task")));
        for (struct dirent *e; (e = readdir(d));)
                threads += e->d_name[0] != '.';
        closedir(d);
        CHECK_EQ(threads, 1);
        end_echo(&peer, echo);
}

API_TEST(x09_a_peers_end_raises_no_sigpipe)
{
        for (int i = 0; i < 10; i++) {
                struct peer peer;
                ptl_port sink = start_sink(&peer, "sink", "100");
                int outcome;

                peer_kill(&peer);
                CHECK(tst_wait_until((outcome = ptl_send(sink, "x", 1, PTL_NOW)) == PTL_E_DEAD,
                                     1000));
                OK(ptl_right_release(sink));
        }
}
