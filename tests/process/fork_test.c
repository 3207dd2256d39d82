/* SPDX-License-Identifier: Apache-2.0 */
/* fork(): the child is a task of its own; what was its parent's says so; the parent goes on. */
#include "calls.h"
#include "roles.h"
#include <pthread.h>

static void reap_well(pid_t pid)
{
        int status;

        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

API_TEST(every_call_with_a_parents_name_says_it_is_the_parents)
{
        ptl_port names[CALLS_KINDS];
        pid_t pid;

        calls_names(names);
        pid = fork();
        if (pid == 0) {
                unsigned wrong = 0;
                ptl_port parents[] = {names[CALLS_RECEIVE], calls_good, names[CALLS_ONCE],
                                      names[CALLS_SET], names[CALLS_DEAD]};

                calls_good = new_send_port();
                for (size_t i = 0; i < ARRAY_LEN(calls_rows); i++)
                        for (size_t k = 0; k < ARRAY_LEN(parents); k++) {
                                int outcome = calls_rows[i].call(parents[k]);

                                if (outcome == PTL_E_FORKED)
                                        continue;
                                fprintf(stderr, "# %s: %s, not PTL_E_FORKED\n", calls_rows[i].name,
                                        ptl_outcome_name(outcome));
                                wrong++;
                        }
                CHECK_EQ(wrong, 0);
                check_rights(calls_good, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
                _exit(0);
        }
        reap_well(pid);
        put(calls_good, "goes on");
        take(calls_good, "goes on");
}

API_TEST(a_parents_name_is_refused_whatever_the_child_has_made_before)
{
        ptl_port p = new_send_port();
        pid_t pid = fork();

        if (pid == 0) {
                for (int i = 0; i < 20000; i++) {
                        ptl_port mine = new_port();

                        CHECK(mine != p);
                        if (i % 2)
                                OK(ptl_port_free(mine));
                }
                OUTCOME(ptl_send(p, "x", 1, PTL_NOW), PTL_E_FORKED);
                _exit(0);
        }
        reap_well(pid);
        check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
        check_empty(p);
}

API_TEST(a_child_works_as_a_task_of_its_own)
{
        struct ptl_identity me;
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo"), p = new_port();
        pid_t pid;

        OK(ptl_task_identity(&me));
        OK(ptl_name_publish("parent", p));
        call_echo(echo);
        pid = fork();
        if (pid == 0) {
                struct ptl_identity child;
                ptl_port mine = new_send_port(), parent = look_up("parent"), e = look_up("echo");

                OK(ptl_task_identity(&child));
                CHECK_EQ(child.pid, getpid());
                CHECK(child.task.high != me.task.high || child.task.low != me.task.low);
                put(mine, "local");
                take(mine, "local");
                for (int i = 0; i < 100; i++)
                        call_echo_of(e, (size_t)i * 100, (unsigned)i);
                put(parent, "hello");
                CHECK_EQ(statistics().links, 2);
                OK(ptl_name_publish("child", mine));
                take(mine, "from the parent");
                _exit(0);
        }
        struct ptl_message m = take_message(p);
        check_text(&m, "hello");
        CHECK_EQ(m.sender->pid, pid);
        ptl_message_release(&m);
        put(look_up("child"), "from the parent");
        call_echo(echo);
        reap_well(pid);
        call_echo(echo);
        end_echo(&peer, echo);
}

API_TEST(a_child_that_never_calls_the_library_disturbs_nothing)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo"), n = new_port();
        int hold[2];
        pid_t pid;

        call_echo(echo);
        CHECK(pipe2(hold, O_CLOEXEC) == 0);
        pid = fork();
        if (pid == 0) {
                char c;

                close(hold[1]);
                close(peer.fd); /* or the peer could not see us end */
                (void)!read(hold[0], &c, 1);
                _exit(0);
        }
        close(hold[0]);
        call_echo(echo);
        OK(ptl_right_notify_dead(echo, n));
        peer_kill(&peer); /* its death is seen though the child inherited our descriptors */
        struct ptl_message m;
        OK(ptl_receive(n, &m, ptl_after_ms(tst_deadline_ms(1000))));
        CHECK_EQ(m.kind, PTL_NOTIFY_DEAD_NAME);
        ptl_message_release(&m);
        close(hold[1]);
        reap_well(pid);
}

/* forks and dies: its child lives on; the parent's death must be seen all the same. */
PEER(forks_and_dies)
{
        ptl_port p = new_port(), there = look_up(argv[1]);
        struct ptl_right_item item = {.port = p, .disposition = PTL_MAKE_SEND};
        struct ptl_outgoing out = {.rights = &item, .n_rights = 1};

        OK(ptl_send_message(there, &out, PTL_NOW));
        peer_hear(NULL, "die");
        if (fork() == 0) {
                for (;;)
                        pause();
        }
        kill(getpid(), SIGKILL);
}

API_TEST(a_death_is_seen_though_a_forked_child_lives_on)
{
        ptl_port p = new_port(), n = new_port(), theirs;
        struct ptl_message m;
        struct peer peer;

        OK(ptl_name_publish("p", p));
        peer_start(&peer, "forks_and_dies", "p", NULL);
        m = take_message(p);
        CHECK_EQ(m.n_rights, 1);
        theirs = m.rights[0].port;
        ptl_message_release(&m);
        OK(ptl_right_notify_dead(theirs, n));
        peer_say(&peer, "die");
        OK(ptl_receive(n, &m, ptl_after_ms(tst_deadline_ms(1000))));
        CHECK_EQ(m.kind, PTL_NOTIFY_DEAD_NAME);
        ptl_message_release(&m);
        peer_kill(&peer);
}

API_TEST(a_child_has_none_of_its_parents_descriptors_and_mappings)
{
        struct peer peer;
        int fds = tst_open_fds(false), maps = tst_shared_maps(false);
        ptl_port echo;
        pid_t pid;

        peer_start(&peer, "echo", "echo", NULL);
        fds++; /* the socket to talk to the peer */
        echo = look_up("echo");
        call_echo_of(echo, 70000, 1);
        pid = fork();
        if (pid == 0) {
                CHECK_EQ(tst_shared_maps(false), maps);
                CHECK_EQ(tst_open_fds(false), fds);
                _exit(0);
        }
        reap_well(pid);
        end_echo(&peer, echo);
}

API_TEST(a_region_is_not_mapped_in_a_child)
{
        struct ptl_region *r = NULL;
        int maps = tst_shared_maps(false);
        pid_t pid;

        OK(ptl_region_new(100000, &r));
        pid = fork();
        if (pid == 0) {
                CHECK_EQ(tst_shared_maps(false), maps);
                _exit(0);
        }
        reap_well(pid);
        memset(ptl_region_data(r), 1, 100000);
        ptl_region_free(r);
}

static int stop;

static void *call_on_and_on(void *arg)
{
        ptl_port echo = *(ptl_port *)arg;

        for (unsigned i = 0; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); i++)
                call_echo_of(echo, i % 2000, i);
        return NULL;
}

API_TEST(forks_in_the_midst_of_another_threads_calls_harm_neither)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        pthread_t t;

        CHECK(pthread_create(&t, NULL, call_on_and_on, &echo) == 0);
        for (int i = 0; i < 40; i++) {
                pid_t pid = fork();

                if (pid == 0) {
                        ptl_port mine;

                        OUTCOME(ptl_send(echo, "x", 1, PTL_NOW), PTL_E_FORKED);
                        mine = look_up("echo");
                        call_echo_of(mine, 3000, 2);
                        _exit(0);
                }
                reap_well(pid);
        }
        __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
        pthread_join(t, NULL);
        end_echo(&peer, echo);
}

API_TEST(a_child_of_a_child_is_a_task_too)
{
        ptl_port p = new_port();
        pid_t pid;

        OK(ptl_name_publish("p", p));
        pid = fork();
        if (pid == 0) {
                ptl_port mine = new_send_port();

                put(mine, "x");
                pid = fork();
                if (pid == 0) {
                        OUTCOME(ptl_send(mine, "x", 1, PTL_NOW), PTL_E_FORKED);
                        put(look_up("p"), "from the grandchild");
                        _exit(0);
                }
                reap_well(pid);
                take(mine, "x");
                put(look_up("p"), "from the child");
                _exit(0);
        }
        take(p, "from the grandchild");
        take(p, "from the child");
        reap_well(pid);
}

API_TEST(a_child_may_exit_as_programs_do)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        pid_t pid;

        call_echo(echo);
        pid = fork();
        if (pid == 0)
                exit(0); /* with atexit handlers and destructors */
        reap_well(pid);
        call_echo(echo);
        end_echo(&peer, echo);
}

API_TEST(a_child_that_leaves_leaves_its_parent_alone)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo"), p = new_port();
        pid_t pid;

        OK(ptl_name_publish("mine", p));
        call_echo(echo);
        pid = fork();
        if (pid == 0) {
                OK(ptl_task_leave());
                call_echo(look_up("echo"));
                OK(ptl_task_leave());
                _exit(0);
        }
        reap_well(pid);
        CHECK_EQ(look_up("mine"), p);
        call_echo(echo);
        end_echo(&peer, echo);
}

API_TEST(an_executed_program_inherits_no_descriptor_of_ours)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        int fds[2];
        char line[256];
        pid_t pid;
        FILE *f;

        call_echo(echo);
        CHECK(pipe2(fds, O_CLOEXEC) == 0);
        pid = vfork();
        if (pid == 0) {
                dup2(fds[1], 1);
                execl("/bin/ls", "ls", "-l", "/proc/self/fd", (char *)NULL);
                _exit(1);
        }
        close(fds[1]);
        CHECK((f = fdopen(fds[0], "r")));
        while (fgets(line, sizeof line, f)) {
                char *arrow = strstr(line, " -> ");

                if (!arrow ||
                    (arrow[-2] == ' ' && arrow[-1] <= '2')) /* a terminal may be a socket */
                        continue;
                CHECK(!strstr(line, "memfd:") && !strstr(line, "socket:") &&
                      !strstr(line, "eventpoll") && !strstr(line, "eventfd"));
        }
        fclose(f);
        CHECK(waitpid(pid, NULL, 0) == pid);
        call_echo(echo);
        end_echo(&peer, echo);
}
