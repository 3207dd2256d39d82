/* SPDX-License-Identifier: Apache-2.0 */
/* process/cmd_test.c - portolan, the tool, as its users run it */
#include "cmd_run.h"

static struct run r, server;

static bool says(const char *text)
{
        if (strstr(r.out_text, text) || strstr(r.err_text, text))
                return true;
        fprintf(stderr, "# \"%s\" is not in:\n%s%s", text, r.out_text, r.err_text);
        return false;
}

/* Waits until a name can be found, so that what comes next does not depend on who was first. */
static bool has_name(const char *name)
{
        char quoted[80];

        snprintf(quoted, sizeof quoted, "\"name\":\"%s\"", name);
        return RUN(&r, NULL, "ls", "--json") == 0 && strstr(r.out_text, quoted);
}

static void start(const char *const *arguments)
{
        run_start(&server, NULL, arguments);
        CHECK(tst_wait_until(has_name(arguments[1]), 5000));
}
#define START(...) start((const char *const[]){__VA_ARGS__, NULL})

static void stop(void)
{
        kill(server.pid, SIGTERM);
        CHECK_EQ(run_end(&server, 5000), 128 + SIGTERM);
}

/* ---- help and mistakes ---- */

TEST(help_begins_with_examples_and_lists_every_command)
{
        static const char *const commands[] = {"tour", "send",  "receive", "call",  "echo",
                                               "ls",   "ports", "doctor",  "trace", "bench"};

        CHECK_EQ(RUN(&r, NULL, "--help"), 0);
        for (size_t i = 0; i < ARRAY_LEN(commands); i++)
                CHECK(says(commands[i]));
        for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
                CHECK_EQ(RUN(&r, NULL, commands[i], "--help"), 0);
                CHECK(strstr(r.out_text, "xample") || strstr(r.out_text, "sage"));
        }
}

TEST(version_is_printed)
{
        CHECK_EQ(RUN(&r, NULL, "--version"), 0);
        CHECK(!strncmp(r.out_text, "portolan ", 9));
}

TEST(an_unknown_command_is_answered_with_the_nearest)
{
        CHECK_EQ(RUN(&r, NULL, "tuor"), 2);
        CHECK(says("Did you mean 'tour'?"));
        CHECK_EQ(RUN(&r, NULL, "recv"), 2);
        CHECK(says("'receive'"));
        CHECK_EQ(RUN(&r, NULL, "xylophone"), 2);
        CHECK(!strstr(r.err_text, "Did you mean"));
}

TEST(a_wrong_command_line_is_status_2)
{
        static const char *const rows[][5] = {
                {"send",       NULL       },
                {"send",       "--kind",    "x", "name", NULL},
                {"send",      "--nonsense",             "name", NULL},
                {"receive",       "a", "b", NULL},
                {"receive",        "a",                   "--count", "0", NULL},
                {"call",   NULL          },
                {"call",            "a",               "--timeout", "soon", NULL},
                {"ls",   "ships",NULL},
                {"doctor",            "who",                  NULL},
                {"tour",            "--slow",        NULL},
                {"trace", NULL},
                {"echo",            NULL                   },
                {"tour-nonsense",        NULL                          },
        };

        tst_private_server();
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                run_start(&r, NULL, rows[i]);
                CHECK_EQ(run_end(&r, 5000), 2);
                CHECK(r.err_text[0]);
        }
}

/* ---- sending and receiving ---- */

TEST(what_is_sent_is_received_with_its_sender)
{
        tst_private_server();
        START("receive", "box", "--count", "3");
        CHECK_EQ(RUN(&r, NULL, "send", "box", "one", "two\033[31m"), 0);
        CHECK_EQ(RUN(&r, "three\n", "send", "box", "--lines", "-", "--kind", "7"), 0);
        CHECK_EQ(run_end(&server, 5000), 0);
        CHECK(strstr(server.out_text, "] one\n"));
        CHECK(strstr(server.out_text, "] two\\x1b[31m\n"));
        CHECK(strstr(server.out_text, " kind 7] three\n"));
}

TEST(standard_input_is_one_message_or_a_message_a_line)
{
        tst_private_server();
        START("receive", "box", "--count", "4", "--json");
        CHECK_EQ(RUN(&r, "a\nb\nc", "send", "box", "--lines"), 0);
        CHECK_EQ(RUN(&r, "d\ne\n", "send", "box", "-"), 0);
        CHECK_EQ(run_end(&server, 5000), 0);
        CHECK(strstr(server.out_text, "\"text\":\"a\"}"));
        CHECK(strstr(server.out_text, "\"text\":\"c\"}"));
        CHECK(strstr(server.out_text, "\"size\":4,\"wants_reply\":false,\"text\":\"d\\ne\\n\"}"));
}

TEST(raw_prints_the_bytes_alone_and_hex_prints_digits)
{
        tst_private_server();
        START("receive", "box", "--count", "1", "--raw");
        CHECK_EQ(RUN(&r, "bytes", "send", "box"), 0);
        CHECK_EQ(run_end(&server, 5000), 0);
        CHECK_STR_EQ(server.out_text, "bytes");
        START("receive", "box", "--count", "1", "--hex");
        CHECK_EQ(RUN(&r, NULL, "send", "box", "\x01z"), 0);
        CHECK_EQ(run_end(&server, 5000), 0);
        CHECK(strstr(server.out_text, "] 017a\n"));
}

TEST(a_name_that_nobody_published_is_status_1_and_says_what_helps)
{
        tst_private_server();
        CHECK_EQ(RUN(&r, NULL, "send", "nobody", "x"), 1);
        CHECK_STR_EQ(r.err_text,
                     "portolan: cannot find \"nobody\": the name server does not know this name. "
                     "Is its server running? 'portolan ls' lists names.\n");
        CHECK_EQ(RUN(&r, NULL, "call", "nobody", "x"), 1);
}

TEST(a_name_that_does_not_come_in_time_is_status_3)
{
        tst_private_server();
        CHECK_EQ(RUN(&r, NULL, "call", "nobody", "x", "--timeout", "50"), 3);
        CHECK_EQ(RUN(&r, NULL, "receive", "box", "--timeout", "50"), 3);
}

TEST(a_name_is_waited_for_when_asked)
{
        tst_private_server();
        RUN_START(&server, NULL, "send", "late", "hello", "--wait", "10000");
        CHECK_EQ(RUN(&r, NULL, "receive", "late", "--count", "1", "--raw"), 0);
        CHECK_STR_EQ(r.out_text, "hello");
        CHECK_EQ(run_end(&server, 5000), 0);
}

TEST(a_second_receiver_of_a_name_is_refused)
{
        tst_private_server();
        START("receive", "box");
        CHECK_EQ(RUN(&r, NULL, "receive", "box"), 1);
        CHECK(says("the name is taken"));
        stop();
}

TEST(a_full_queue_is_status_1_without_waiting_and_3_with)
{
        tst_private_server();
        START("receive", "box", "--limit", "1");
        /* one that is stopped takes nothing; the first send makes the link */
        CHECK_EQ(RUN(&r, NULL, "send", "box", "first"), 0);
        CHECK(run_until(&server, "first", 5000));
        kill(server.pid, SIGSTOP);
        CHECK_EQ(RUN(&r, NULL, "send", "box", "2", "3", "4", "5", "--wait", "100"), 3);
        kill(server.pid, SIGCONT);
        stop();
}

/* ---- calls ---- */

TEST(a_call_prints_the_reply)
{
        tst_private_server();
        START("echo", "mirror");
        CHECK_EQ(RUN(&r, NULL, "call", "mirror", "who?"), 0);
        CHECK_STR_EQ(r.out_text, "who?\n");
        CHECK_EQ(RUN(&r, "from stdin\n", "call", "mirror", "-"), 0);
        CHECK_STR_EQ(r.out_text, "from stdin\n");
        CHECK_EQ(RUN(&r, NULL, "call", "mirror", "x", "--raw"), 0);
        CHECK_STR_EQ(r.out_text, "x");
        CHECK_EQ(RUN(&r, NULL, "call", "mirror", "x", "--json", "--kind", "9"), 0);
        CHECK(says("\"kind\":9") && says("\"text\":\"x\"}"));
        stop();
}

TEST(a_dropped_request_is_status_1)
{
        tst_private_server();
        START("receive", "deaf");
        CHECK_EQ(RUN(&r, NULL, "call", "deaf", "x"), 1);
        CHECK(says("dropped the request"));
        stop();
}

/* ---- lists, doctor, trace ---- */

TEST(ls_lists_names_and_tasks)
{
        char pid[32];

        tst_private_server();
        CHECK_EQ(RUN(&r, NULL, "ls"), 0);
        CHECK(says("No names are published") && says("Server "));
        START("echo", "mirror");
        snprintf(pid, sizeof pid, "\"pid\":%d", (int)server.pid);
        CHECK_EQ(RUN(&r, NULL, "ls"), 0);
        CHECK(says("NAME") && says("mirror") && says("port"));
        CHECK_EQ(RUN(&r, NULL, "ls", "names", "--json"), 0);
        CHECK(says("\"name\":\"mirror\"") && says(pid));
        CHECK_EQ(RUN(&r, NULL, "ls", "tasks", "--json"), 0);
        CHECK(says(pid) && says("\"command\":\"portolan\""));
        CHECK_EQ(RUN(&r, NULL, "ls", "links"), 0);
        stop();
}

TEST(doctor_tells_what_it_found_and_starts_nothing)
{
        const char *path = tst_private_server();
        int status = RUN(&r, NULL, "doctor", "--json");

        CHECK(status == 0 || status == 1);
        CHECK(says("\"check\":\"seals\"") && says("\"check\":\"socket\"") && says(path));
        CHECK_EQ(access(path, F_OK), -1);
        CHECK_EQ(RUN(&r, NULL, "ls"), 0);
        RUN(&r, NULL, "doctor");
        CHECK(says("version ") && says("sealed memory"));
}

TEST(no_server_is_status_4)
{
        tst_private_server();
        setenv("PORTOLAND", "/nonexistent/portoland", 1);
        CHECK_EQ(RUN(&r, NULL, "ls"), 4);
        CHECK(says("portolan doctor"));
}

TEST(trace_shows_messages_and_passes_the_status_on)
{
        char file[128];
        struct stat st;

        tst_private_server();
        START("echo", "mirror");
        CHECK_EQ(RUN(&r, NULL, "trace", getenv("PORTOLAN"), "call", "mirror", "hi"), 0);
        CHECK(r.err_text[0]);
        CHECK_STR_EQ(r.out_text, "hi\n");
        snprintf(file, sizeof file, "%s/trace.log", tst_temp_dir());
        CHECK_EQ(RUN(&r, NULL, "trace", "--to", file, getenv("PORTOLAN"), "call", "mirror", "hi"),
                 0);
        CHECK(!stat(file, &st) && st.st_size > 0);
        CHECK_EQ(RUN(&r, NULL, "trace", "/bin/sh", "-c", "exit 7"), 7);
        CHECK_EQ(RUN(&r, NULL, "trace", "/nonexistent"), 127);
        stop();
}
