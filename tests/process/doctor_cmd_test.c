/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_cmd_test.c - a limit that is hit is found, and the process that it comes from is named */
#include "cmd_run.h"
#include "link_raw.h"
#include "roles.h"

static struct run r;

/* The doctor's line about @check is one of @verdict (NULL: any but ok) that names @pid (0: nobody). */
static bool finds(const char *check, const char *verdict, pid_t pid)
{
        char key[64], judged[64], named[32];
        char *line, *rest = r.out_text;
        bool found = false, is_judged;

        snprintf(key, sizeof key, "\"check\":\"%s\"", check);
        snprintf(judged, sizeof judged, "\"verdict\":\"%s\"", verdict ? verdict : "ok");
        snprintf(named, sizeof named, ",\"pid\":%d}", (int)pid);
        RUN(&r, NULL, "doctor", "--json");
        while ((line = strsep(&rest, "\n")))
                if (strstr(line, key)) {
                        fprintf(stderr, "# %s\n", line);
                        is_judged = !strstr(line, judged) == !verdict;
                        found = is_judged && !strstr(line, "\"pid\":") == !pid && (!pid || strstr(line, named));
                }
        return found;
}

/* With @variable, one of its limits, set. */
static pid_t start_server(const char *variable, const char *value)
{
        const char *path = tst_private_server();
        pid_t pid;

        CHECK(setenv(variable, value, 1) == 0);
        pid = raw_server(path, NULL, NULL);
        CHECK(unsetenv(variable) == 0);
        return pid;
}

TEST(nothing_is_found_where_nobody_listens_and_nothing_is_started)
{
        const char *path = tst_private_server();

        CHECK(finds("names", "ok", 0));
        CHECK(finds("full_queues", "ok", 0));
        CHECK(access(path, F_OK) != 0);
}

TEST(limits_of_the_server_come_from_the_files_of_limits_and_its_own_variables_are_stronger)
{
        struct ptl_server_status s;
        pid_t pid;

        CHECK(setenv("PORTOLAND_MAX_WATCHES", "9", 1) == 0);
        pid = start_server("PORTOLAN_LIMITS", "server.names=5,server.tasks=unlimited,server.watches=7,server.look_ups=2K");
        CHECK(unsetenv("PORTOLAND_MAX_WATCHES") == 0);
        OK(ptl_server_get_status(&s));
        CHECK_EQ(s.server.pid, pid);
        CHECK_EQ(s.names_max, 5);
        CHECK_EQ(s.tasks_max, UINT32_MAX);
        CHECK_EQ(s.look_ups_max, 2048);
        OK(ptl_task_leave());
        CHECK(kill(pid, SIGKILL) == 0);
        CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

/* names N: publishes names until it is refused, says so, and takes one back when it hears a line.
 */
PEER(names)
{
        char name[32], line[16];
        ptl_port p = new_port();
        int n = atoi(argv[1]);

        (void)argc;
        for (int i = 0; i < n; i++) {
                snprintf(name, sizeof name, "name.%d", i);
                OK(ptl_name_publish(name, p));
        }
        OUTCOME(ptl_name_publish("one.more", p), PTL_E_QUOTA);
        peer_say(NULL, "full");
        CHECK(peer_hear_line(NULL, line, sizeof line));
        for (int i = 1; i < n; i++) {
                snprintf(name, sizeof name, "name.%d", i);
                OK(ptl_name_withdraw(name));
        }
        peer_say(NULL, "mended");
        peer_stay();
}

TEST(who_has_used_up_its_names_is_named)
{
        pid_t server = start_server("PORTOLAND_MAX_NAMES", "5");
        struct peer full, other;

        peer_start(&other, "echo", "echo", NULL);
        peer_start(&full, "names", "5", NULL);
        peer_hear(&full, "full");
        CHECK(finds("names", "problem", full.pid));
        CHECK_EQ(WEXITSTATUS(r.status), 1);
        peer_say(&full, "mend it");
        peer_hear(&full, "mended");
        CHECK(finds("names", "ok", 0));
        peer_end(&full);
        peer_kill(&other);
        raw_stop(server);
}

TEST(who_has_used_up_the_tasks_is_named_though_nobody_else_can_connect)
{
        pid_t server = start_server("PORTOLAND_MAX_TASKS", "3");
        struct raw few[3], one_more;
        uint32_t serial;

        for (int i = 0; i < 3; i++)
                few[i] = raw_task();
        one_more = raw_connect();
        serial =
                raw_send(&one_more, (struct ptl_server_msg){.type = PTL_SM_HELLO,
                                                            .hello.protocol = PTL_SERVER_PROTOCOL});
        raw_expect_result(&one_more, serial, PTL_E_QUOTA);
        CHECK(finds("tasks", "problem", getpid()));
        raw_close(&few[1]);
        raw_close(&few[2]);
        CHECK(tst_wait_until(raw_status(&few[0]).tasks == 1, RAW_MS));
        CHECK(finds("tasks", "ok", 0));
        raw_close(&few[0]);
        raw_close(&one_more);
        raw_stop(server);
}

TEST(who_was_let_in_to_look_gets_nothing_else_while_there_is_no_room)
{
        pid_t server = start_server("PORTOLAND_MAX_TASKS", "1");
        struct ptl_server_msg hello = {
                .type = PTL_SM_HELLO,
                .hello = {.protocol = PTL_SERVER_PROTOCOL, .features = PTL_SM_LOOKS},
        };
        struct raw one = raw_task(), lookers[5];
        uint32_t serial;

        for (int i = 0; i < 5; i++) {
                lookers[i] = raw_connect();
                serial = raw_send(&lookers[i], hello);
                if (i < 4)
                        raw_expect(&lookers[i], PTL_SM_WELCOME, serial);
                else
                        raw_expect_result(&lookers[i], serial, PTL_E_QUOTA);
        }
        CHECK_EQ(raw_status(&lookers[0]).tasks, 5);
        raw_expect_result(&lookers[0], raw_ask_publish(&lookers[0], "x"), PTL_E_QUOTA);
        raw_expect_result(&lookers[0], raw_ask_look_up(&lookers[0], "x", true), PTL_E_QUOTA);
        raw_expect_result(&lookers[0], raw_ask_watch(&lookers[0], 1, ""), PTL_E_QUOTA);
        raw_expect_result(&lookers[0], raw_ask_introduce(&lookers[0], one.me.task), PTL_E_QUOTA);
        raw_close(&one);
        for (int i = 1; i < 5; i++)
                raw_close(&lookers[i]);
        CHECK(tst_wait_until(raw_status(&lookers[0]).tasks == 1, RAW_MS));
        raw_publish(&lookers[0], "x"); /* there is room for it now */
        raw_close(&lookers[0]);
        raw_stop(server);
}

TEST(who_waits_for_too_many_names_is_named)
{
        pid_t server = start_server("PORTOLAND_MAX_LOOKUPS", "2");
        struct raw raw = raw_task();

        raw_ask_look_up(&raw, "a", true);
        raw_ask_look_up(&raw, "b", true);
        raw_expect_result(&raw, raw_ask_look_up(&raw, "c", true), PTL_E_QUOTA);
        CHECK(finds("look_ups", "problem", getpid()));
        raw_close(&raw);
        raw_stop(server);
}

/* The limit is this process's too, and of what it starts: enough for the doctor. */
TEST(who_holds_the_most_of_the_servers_descriptors_is_named_when_they_run_out)
{
        enum { FEW = 40 };
        const struct rlimit few = {FEW, FEW};
        struct raw raws[FEW];
        pid_t server;
        int n = 0;

        tst_private_server();
        CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
        server = raw_server(getenv("PORTOLAN_SOCKET"), NULL, NULL);
        raws[n++] = raw_task();
        CHECK(finds("server_descriptors", "ok", 0));
        while (raw_status(&raws[0]).descriptors < FEW - 10)
                raws[n++] = raw_task();
        CHECK(finds("server_descriptors", NULL, getpid())); /* the doctor's own connections count, too */
        while (n)
                raw_close(&raws[--n]);
        raw_stop(server);
}

/* Else it is told that there is no room. */
static bool is_welcome(struct raw *raw)
{
        struct ptl_server_msg hello = {
                .type = PTL_SM_HELLO,
                .hello = {.protocol = PTL_SERVER_PROTOCOL, .command = "raw"},
        };

        raw_send(raw, hello);
        CHECK(raw_receive(raw));
        if (raw->msg.type != PTL_SM_WELCOME)
                CHECK_EQ(raw->msg.result.outcome, PTL_E_QUOTA);
        return raw->msg.type == PTL_SM_WELCOME;
}

/* Tasks as many as there can be, and then some who knock in vain: before the doctor's turn. */
TEST(who_holds_the_servers_descriptors_is_named_though_none_is_left)
{
        enum { LIMIT = 32 };
        const char *const argv[] = {"--socket", tst_private_server(), NULL};
        struct raw raws[LIMIT], late[LIMIT];
        pid_t server = fork();
        int n = 0, fd;

        CHECK(server >= 0);
        if (server == 0) {
                CHECK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){LIMIT, LIMIT}) == 0);
                raw_exec(argv);
        }
        CHECK(tst_wait_until((fd = raw_try_connect(argv[1])) >= 0, RAW_MS));
        close(fd);
        do
                raws[n] = raw_connect();
        while (is_welcome(&raws[n]) && ++n < LIMIT);
        CHECK(n > 2 && n < LIMIT);
        raw_close(&raws[n]);
        for (int i = 0; i < LIMIT; i++)
                late[i] = raw_connect();
        CHECK(finds("server_descriptors", "problem", getpid()));
        CHECK_EQ(WEXITSTATUS(r.status), 1);
        for (int i = 0; i < LIMIT; i++)
                raw_close(&late[i]);
        while (n)
                raw_close(&raws[--n]);
        CHECK(tst_wait_until(finds("server_descriptors", "ok", 0), RAW_MS));
        raw_stop(server);
}

TEST(who_takes_nothing_from_the_server_is_named)
{
        pid_t server = start_server("PORTOLAND_MAX_NAMES", "5000");
        struct raw deaf, busy;
        char name[32];

        deaf = raw_task();
        busy = raw_task();
        CHECK(finds("server_output", "ok", 0));
        raw_expect_result(&deaf, raw_ask_watch(&deaf, 1, ""), 0);
        for (int i = 0; i < 2000; i++) { /* more than a socket holds */
                snprintf(name, sizeof name, "a.name.of.a.long.list.%d", i);
                raw_publish(&busy, name);
        }
        CHECK(finds("server_output", "note", getpid()));
        raw_close(&deaf);
        raw_close(&busy);
        raw_stop(server);
}

API_TEST(who_takes_nothing_from_its_port_is_named_and_a_stopped_one_is_a_problem)
{
        struct peer peer;
        ptl_port p = start_sink(&peer, "sink", "4");
        int status;

        while (ptl_send(p, "x", 1, PTL_NOW) == 0)
                ;
        do /* our board is written where we wait */
                OUTCOME(ptl_send(p, "x", 1, ptl_after_ms(150)), PTL_E_TIMEOUT);
        while (!finds("full_queues", "note", peer.pid));
        CHECK(kill(peer.pid, SIGSTOP) == 0);
        CHECK(waitpid(peer.pid, &status, WUNTRACED) == peer.pid && WIFSTOPPED(status));
        CHECK(finds("full_queues", "problem", peer.pid));
        CHECK(kill(peer.pid, SIGCONT) == 0);
        sink_takes(&peer, 4);
        OK(ptl_send(p, "x", 1, soon()));
        sink_takes(&peer, 1);
        peer_end(&peer);
}

API_TEST(who_reads_no_descriptors_is_named)
{
        struct ptl_region_item item = {.how = PTL_REGION_VOLATILE};
        struct ptl_outgoing out = {.regions = &item, .n_regions = 1};
        struct peer peer;
        ptl_port p = start_sink(&peer, "sink", "100");
        int n = 0, outcome;

        CHECK(finds("link_descriptors", "ok", 0));
        do {
                OK(ptl_region_new(4096, &item.region));
                outcome = ptl_send_message(p, &out, PTL_NOW);
                n += !outcome;
                ptl_region_free(item.region);
        } while (!outcome);
        OUTCOME(outcome, PTL_E_FULL);
        do /* our board is written where we wait */
                OUTCOME(ptl_call(p, "x", 1, NULL, &(size_t){0}, ptl_after_ms(150)), PTL_E_UNANSWERED);
        while (n++ < 90 && !finds("link_descriptors", "note", peer.pid));
        CHECK(finds("link_descriptors", "note", peer.pid));
        peer_kill(&peer);
}

TEST(who_lied_is_named)
{
        struct link_raw l;

        start_victim();
        CHECK(finds("lies", "ok", 0));
        l = link_raw_open();
        link_raw_message(&l, 77 | PTL_RIGHT_CLAIMED, 0); /* a right it never claimed */
        link_raw_judge(&l, LIE, "a right never claimed");
        CHECK(tst_wait_until(finds("lies", "note", getpid()), 10000));
        end_victim();
}
