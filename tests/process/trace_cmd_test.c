/* SPDX-License-Identifier: Apache-2.0 */
/* trace_cmd_test.c - the messages of tasks that run already are seen, and they go on as before */
#include "cmd_run.h"
#include "proc.h"
#include "roles.h"
#include <fcntl.h>
#include <poll.h>

enum { MS = 5000 };

static struct run r;

/* busy FILE: calls "echo" until there is such a file; then says how often that was. */
PEER(busy)
{
        ptl_port echo = look_up("echo");
        long long calls = 0;

        (void)argc;
        call_echo(echo);
        peer_say(NULL, "busy");
        for (; access(argv[1], F_OK) != 0; calls += 100)
                for (int i = 0; i < 100; i++)
                        call_echo(echo);
        peer_say(NULL, "%lld", calls);
        peer_stay();
}

/* The next line; false: it has ended. */
static bool next_line(int fd, char line[513])
{
        ssize_t n;

        CHECK(poll(&(struct pollfd){fd, POLLIN, 0}, 1, (int)tst_deadline_ms(MS)) == 1);
        n = recv(fd, line, 512, 0);
        CHECK(n >= 0 || errno == ECONNRESET);
        line[n > 0 ? n : 0] = 0;
        return n > 0;
}

/* Reads on until one has both texts in it. */
static void find_line(int fd, const char *a, const char *b)
{
        int64_t end = tst_now_ms() + tst_deadline_ms(MS);
        char line[513];

        do {
                CHECK(tst_now_ms() < end);
                CHECK(next_line(fd, line));
                CHECK(line[strlen(line) - 1] == '\n' && strchr(line, '['));
        } while (!strstr(line, a) || !strstr(line, b));
}

static int open_trace(pid_t pid)
{
        int fd = -1;

        OK(ptl_task_trace(pid, &fd));
        return fd;
}

static bool is_watched_by(pid_t pid, uint32_t n)
{
        struct ptl_task_view *v = NULL;
        bool is;

        OK(ptl_task_inspect(pid, &v));
        is = v->traced == n;
        free(v);
        return is;
}

API_TEST(a_pair_in_full_traffic_is_seen_and_goes_on_and_keeps_nothing)
{
        char stop[128], calls[32], requests[32];
        struct peer echo, busy;
        int before[2], fds[2], fd;

        snprintf(stop, sizeof stop, "%s/stop", tst_temp_dir());
        start_echo(&echo, "echo");
        peer_start(&busy, "busy", stop, NULL);
        peer_hear(&busy, "busy");
        before[0] = proc_descriptors(busy.pid);
        before[1] = proc_descriptors(echo.pid);
        snprintf(calls, sizeof calls, "-> pid %d: #", (int)echo.pid);
        snprintf(requests, sizeof requests, "<- pid %d: #", (int)busy.pid);
        fds[0] = open_trace(busy.pid);
        fds[1] = open_trace(echo.pid);
        for (int i = 0; i < 100; i++) {
                find_line(fds[0], calls, "INLINE");
                find_line(fds[1], requests, "INLINE");
        }
        close(fds[0]);
        close(fds[1]);
        CHECK(tst_wait_until(proc_descriptors(busy.pid) == before[0], MS));
        CHECK(tst_wait_until(proc_descriptors(echo.pid) == before[1], MS));
        CHECK(tst_wait_until(is_watched_by(busy.pid, 0) && is_watched_by(echo.pid, 0), MS));
        CHECK((fd = open(stop, O_CREAT | O_CLOEXEC, 0600)) >= 0);
        close(fd);
        CHECK(peer_hear_number(&busy) > 0);
        peer_end(&busy);
        call_echo(look_up("echo"));
        end_echo(&echo, look_up("echo"));
}

API_TEST(the_tool_shows_both_of_a_pair)
{
        char ours[16], theirs[16], call[64], request[64];
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");

        snprintf(ours, sizeof ours, "%d", (int)getpid());
        snprintf(theirs, sizeof theirs, "%d", (int)peer.pid);
        snprintf(call, sizeof call, "-> pid %s: #", theirs);
        snprintf(request, sizeof request, "<- pid %s: #", ours);
        RUN_START(&r, NULL, "trace", ours, theirs);
        CHECK(tst_wait_until(is_watched_by(getpid(), 1) && is_watched_by(peer.pid, 1), MS));
        call_echo(echo);
        CHECK(run_until(&r, call, MS));
        CHECK(run_until(&r, request, MS));
        kill(r.pid, SIGKILL);
        CHECK_EQ(run_end(&r, MS), 128 + SIGKILL);
        CHECK(tst_wait_until(is_watched_by(getpid(), 0) && is_watched_by(peer.pid, 0), MS));
        end_echo(&peer, echo);
}

API_TEST(a_task_that_sleeps_is_watched_at_once_and_lets_go_of_who_has_gone)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        int fds, fd;

        call_echo(echo);
        fds = proc_descriptors(peer.pid);
        fd = open_trace(peer.pid);
        find_line(fd, "is watched by 1", "");
        call_echo(echo);
        find_line(fd, "<- pid ", "INLINE");
        find_line(fd, "-> pid ", "INLINE");
        CHECK(is_watched_by(peer.pid, 1));
        close(fd);
        CHECK(tst_wait_until(proc_descriptors(peer.pid) == fds,
                             MS)); /* though it says nothing meanwhile */
        CHECK(tst_wait_until(is_watched_by(peer.pid, 0), MS));
        end_echo(&peer, echo);
}

API_TEST(who_does_not_read_is_not_waited_for_and_is_told_what_it_missed)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        int fd = open_trace(peer.pid);
        char line[513];

        find_line(fd, "is watched", "");
        for (int i = 0; i < 5000; i++) /* more lines than a socket holds */
                call_echo(echo);
        do { /* empties it: what comes then was written after all of those */
                CHECK(next_line(fd, line));
        } while (poll(&(struct pollfd){fd, POLLIN, 0}, 1, 0) == 1);
        call_echo(echo);
        find_line(fd, "lines are missing here", "");
        find_line(fd, "-> pid ", "INLINE");
        close(fd);
        end_echo(&peer, echo);
}

API_TEST(four_may_watch_and_a_fifth_is_turned_away)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        int fds[5];
        char line[513];

        for (int i = 0; i < 4; i++) {
                fds[i] = open_trace(peer.pid);
                snprintf(line, sizeof line, "is watched by %d", i + 1);
                find_line(fds[i], line, "");
        }
        fds[4] = open_trace(peer.pid);
        CHECK(!next_line(fds[4], line));
        close(fds[4]);
        close(fds[1]);
        CHECK(tst_wait_until(is_watched_by(peer.pid, 3), MS));
        fds[1] = open_trace(peer.pid);
        find_line(fds[1], "is watched by 4", "");
        call_echo(echo);
        for (int i = 0; i < 4; i++) {
                find_line(fds[i], "-> pid", "INLINE");
                close(fds[i]);
        }
        end_echo(&peer, echo);
}

API_TEST(a_trace_ends_with_its_task_and_a_nonsense_watcher_harms_nobody)
{
        struct peer peer;
        char line[513];
        ptl_port echo = start_echo(&peer, "echo");
        int fd = open_trace(peer.pid);

        find_line(fd, "is watched", "");
        for (int i = 0; i < 10; i++)
                CHECK(send(fd, "nonsense", 8, MSG_NOSIGNAL) == 8); /* nobody reads it */
        CHECK(shutdown(fd, SHUT_WR) == 0);
        call_echo(echo);
        find_line(fd, "<- pid", "INLINE");
        peer_kill(&peer);
        while (next_line(fd, line))
                ;
        close(fd);
}

/* secret: is not dumpable. */
PEER(secret)
{
        (void)argc;
        (void)argv;
        CHECK(prctl(PR_SET_DUMPABLE, 0) == 0);
        OK(ptl_name_publish("secret", new_port()));
        peer_say(NULL, "ready");
        OUTCOME(ptl_receive(look_up("secret"), &(struct ptl_message){.size = 0}, PTL_FOREVER), 0);
}

API_TEST(who_cannot_be_debugged_shows_no_messages)
{
        struct peer peer;
        char line[513];
        int fd;

        peer_start(&peer, "secret", NULL);
        peer_hear(&peer, "ready");
        fd = open_trace(peer.pid);
        CHECK(!next_line(fd, line));
        close(fd);
        peer_kill(&peer);
}

/* forks: says whether a child of its, made while it is watched, writes lines or keeps the socket.
 */
PEER(forks)
{
        ptl_port p = new_port();
        int go[2], status;
        pid_t child;

        (void)argc;
        OK(ptl_name_publish("forks", p));
        peer_say(NULL, "ready");
        take(p, "fork");
        CHECK(pipe(go) == 0);
        child = fork();
        CHECK(child >= 0);
        if (child == 0) {
                put(new_send_port(), "own");
                close(go[1]);
                CHECK_EQ(read(go[0], &status, 1), 0);
                _exit(0);
        }
        peer_say(NULL, "forked");
        OK(ptl_task_leave());
        peer_stay();
        close(go[1]);
        CHECK(waitpid(child, &status, 0) == child && !status);
}

API_TEST(a_child_neither_writes_lines_nor_keeps_the_socket)
{
        char line[513];
        struct peer peer;
        ptl_port p;
        int fd;

        peer_start(&peer, "forks", NULL);
        peer_hear(&peer, "ready");
        p = look_up("forks");
        fd = open_trace(peer.pid);
        find_line(fd, "is watched", "");
        put(p, "fork");
        peer_hear(&peer, "forked");
        while (next_line(fd, line)) /* it left the library; the child lives */
                ;
        close(fd);
        peer_end(&peer);
}

TEST(of_processes_that_cannot_be_watched_it_is_said)
{
        tst_private_server();
        CHECK_EQ(RUN(&r, NULL, "trace", "1"), 1);
        CHECK(strstr(r.err_text, "knows no such task"));
        CHECK_EQ(RUN(&r, NULL, "trace", "1", "echo"), 1);
        CHECK_EQ(RUN(&r, NULL, "trace", "0"), 2);
        CHECK_EQ(RUN(&r, NULL, "trace", "--for", "soon", "1"), 2);
        CHECK_EQ(RUN(&r, NULL, "trace", "--for", "1", "/bin/true"), 2);
        CHECK_EQ(RUN(&r, NULL, "trace", "--", "/bin/true"), 0);
}

API_TEST(a_watch_ends_after_a_time_and_lines_go_to_a_file)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        char file[128], number[16], text[256] = "";
        FILE *f;

        call_echo(echo);
        snprintf(file, sizeof file, "%s/trace.log", tst_temp_dir());
        snprintf(number, sizeof number, "%d", (int)peer.pid);
        CHECK_EQ(RUN(&r, NULL, "trace", "--to", file, "--for", "300", number), 0);
        CHECK((f = fopen(file, "re")));
        CHECK(fgets(text, sizeof text, f));
        fclose(f);
        CHECK(strstr(text, "is watched"));
        end_echo(&peer, echo);
}
