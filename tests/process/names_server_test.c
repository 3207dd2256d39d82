/* SPDX-License-Identifier: Apache-2.0 */
/* Life with no name server, a strange one, or one that is killed. */
#include "publisher.h"
#include "server_raw.h"
#include <pthread.h>

/* ---- no server, or a strange one ---- */

static int call_list_names(void)
{
        struct ptl_name_entry *e;
        size_t n;

        return ptl_server_list_names(&e, &n);
}

static int call_list_tasks(void)
{
        struct ptl_task_entry *e;
        size_t n;

        return ptl_server_list_tasks(&e, &n);
}

static int call_list_links(void)
{
        struct ptl_link_entry *e;
        size_t n;

        return ptl_server_list_links(&e, &n);
}

static int call_status(void)
{
        struct ptl_server_status s;

        return ptl_server_get_status(&s);
}

static int call_identity(void)
{
        struct ptl_identity me;

        return ptl_task_identity(&me);
}

static int call_publish(void) { return ptl_name_publish("name", new_port()); }
static int call_withdraw(void) { return ptl_name_withdraw("name"); }
static int call_watch(void) { return ptl_name_watch("", new_port()); }

static int call_look_up(void)
{
        ptl_port p;

        return ptl_name_look_up("name", &p, ptl_after_ms(500));
}

static int call_region_look_up(void)
{
        struct ptl_region *r;

        return ptl_region_look_up("name", &r, PTL_NOW);
}

static int call_region_publish(void)
{
        struct ptl_region *r = NULL;
        int outcome;

        OK(ptl_region_new(10, &r));
        outcome = ptl_region_publish("name", r);
        CHECK(ptl_region_data(r) != NULL);
        ptl_region_free(r);
        return outcome;
}

static const struct server_call {
        const char *name;
        int (*call)(void);
} server_calls[] = {
        {"name_publish",      call_publish       },
        {"name_withdraw",     call_withdraw      },
        {"name_look_up",      call_look_up       },
        {"name_watch",        call_watch         },
        {"region_publish",    call_region_publish},
        {"region_look_up",    call_region_look_up},
        {"server_list_names", call_list_names    },
        {"server_list_tasks", call_list_tasks    },
        {"server_list_links", call_list_links    },
        {"server_get_status", call_status        },
        {"task_identity",     call_identity      },
};

static void check_server_calls(int expected)
{
        for (size_t i = 0; i < ARRAY_LEN(server_calls); i++) {
                int outcome = server_calls[i].call();

                if (outcome == expected || (server_calls[i].call == call_withdraw &&
                                            outcome == PTL_E_NOT_FOUND && expected))
                        continue;
                fprintf(stderr, "# %s: %s, not %s\n", server_calls[i].name,
                        ptl_outcome_name(outcome), ptl_outcome_name(expected));
                CHECK(!"the outcome"); /* others may wait as long */
        }
}

static void local_messages_work(void)
{
        ptl_port p = new_send_port(), set = new_set();

        OK(ptl_set_add(set, p));
        put(p, "local");
        take(set, "local");
}

API_TEST(x10_without_a_server_messages_within_the_task_work)
{
        setenv("PORTOLAND", "/nonexistent/portoland", 1);
        local_messages_work();
        check_server_calls(PTL_E_NO_SERVER);
        local_messages_work();
}

API_TEST(x10_a_server_that_cannot_be_started_is_no_server)
{
        setenv("PORTOLAND", "/bin/false", 1);
        local_messages_work();
        OUTCOME(call_publish(), PTL_E_NO_SERVER);
        local_messages_work();
}

API_TEST(x10_local_messages_start_no_server)
{
        local_messages_work();
        CHECK(access(getenv("PORTOLAN_SOCKET"), F_OK) != 0);
}

API_TEST(x10_a_server_that_comes_later_is_found)
{
        char *portoland = strdup(getenv("PORTOLAND"));

        setenv("PORTOLAND", "/nonexistent/portoland", 1);
        OUTCOME(call_publish(), PTL_E_NO_SERVER);
        setenv("PORTOLAND", portoland, 1);
        free(portoland);
        OK(call_publish());
        OK(call_look_up());
}

API_TEST(x10_several_tasks_that_start_at_once_start_one_server)
{
        enum { N = 8 };
        struct peer peer[N];
        struct ptl_server_status s;
        char name[16];

        for (int i = 0; i < N; i++) {
                snprintf(name, sizeof name, "p%d", i);
                peer_start(&peer[i], "publisher", name, NULL);
        }
        for (int i = 0; i < N; i++)
                peer_hear(&peer[i], "published");
        OK(ptl_server_get_status(&s));
        CHECK_EQ(s.tasks, N + 1);
        CHECK_EQ(s.names, N);
        for (int i = 0; i < N; i++)
                peer_end(&peer[i]);
}

/* A server that answers each HELLO with @reply, once per connection, and closes. */
struct fake {
        int listener;
        const void *reply;
        size_t size;
        int stop[2];
};

static void fake_answer(const struct fake *f)
{
        unsigned char packet[PTL_SERVER_PACKET_MAX], reply[PTL_SERVER_PACKET_MAX];
        struct ptl_server_head head;
        int c = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
        ssize_t n;

        if (c < 0)
                return;
        n = recv(c, packet, sizeof packet, 0);
        if (n >= (ssize_t)sizeof head) { /* the harness and impatient tasks connect and go */
                memcpy(&head, packet, sizeof head);
                CHECK_EQ(head.magic, PTL_SERVER_MAGIC);
                CHECK_EQ(head.type, PTL_SM_HELLO);
                memcpy(reply, f->reply, f->size);
                memcpy(reply + offsetof(struct ptl_server_head, serial), &head.serial, 4);
                (void)!send(c, reply, f->size, MSG_NOSIGNAL);
        }
        close(c);
}

static void *fake_serve(void *arg)
{
        struct fake *f = arg;
        fd_set set;

        for (;;) {
                FD_ZERO(&set);
                FD_SET(f->listener, &set);
                FD_SET(f->stop[0], &set);
                if (select((f->listener > f->stop[0] ? f->listener : f->stop[0]) + 1, &set, NULL,
                           NULL, NULL) < 0)
                        continue;
                if (FD_ISSET(f->stop[0], &set))
                        return NULL;
                fake_answer(f);
        }
}

/* All calls of the server say PTL_E_VERSION when the HELLO was answered with @body of @type. */
static void check_fake(unsigned type, const void *body, size_t size)
{
        struct ptl_server_head head = {
                .magic = PTL_SERVER_MAGIC, .type = (uint16_t)type, .body_size = (uint32_t)size};
        unsigned char reply[PTL_SERVER_PACKET_MAX];
        struct fake f = {.reply = reply, .size = sizeof head + size};
        pthread_t t;

        memcpy(reply, &head, sizeof head);
        memcpy(reply + sizeof head, body, size);
        f.listener = raw_listen();
        CHECK(pipe2(f.stop, O_CLOEXEC) == 0);
        CHECK(pthread_create(&t, NULL, fake_serve, &f) == 0);
        check_server_calls(PTL_E_VERSION);
        CHECK(write(f.stop[1], "x", 1) == 1);
        pthread_join(t, NULL);
        close(f.listener);
        close(f.stop[0]);
        close(f.stop[1]);
        local_messages_work();
}

API_TEST(a_server_that_refuses_our_version_is_told_so)
{
        struct ptl_sm_result result = {.outcome = PTL_E_VERSION};

        check_fake(PTL_SM_RESULT, &result, sizeof result);
}

API_TEST(a_server_that_welcomes_in_another_version_is_told_so)
{
        struct ptl_sm_welcome welcome = {.protocol = PTL_SERVER_PROTOCOL + 1, .version = "9.9"};

        welcome.you.pid = getpid();
        welcome.you.task.low = 1;
        check_fake(PTL_SM_WELCOME, &welcome, sizeof welcome);
}

/* ---- the server dies ---- */

static int fake_welcome(int listener)
{
        struct ptl_server_msg welcome = {
                .type = PTL_SM_WELCOME,
                .welcome = {.protocol = PTL_SERVER_PROTOCOL, .you = {.task.low = 1, .pid = getpid()}}};
        int c;

        do { /* impatient tasks connect and go */
                CHECK((c = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0);
        } while (recv(c, &(char){0}, 1, MSG_PEEK) == 0 && close(c) == 0);
        welcome.serial = raw_hear(c, PTL_SM_HELLO).serial;
        raw_say(c, welcome, -1);
        raw_hear(c, PTL_SM_LODGE);
        return c;
}

/* Agrees to a publication and ends with the same breath; what comes up in its place is told again. */
static void *fake_agree_and_end(void *arg)
{
        struct ptl_server_msg result = {.type = PTL_SM_RESULT}, again;
        int listener = *(int *)arg, c = fake_welcome(listener);

        result.serial = raw_hear(c, PTL_SM_PUBLISH).serial;
        raw_say(c, result, -1);
        close(c);
        c = fake_welcome(listener);
        again = raw_hear(c, PTL_SM_PUBLISH);
        CHECK(strcmp(again.name, "name") == 0);
        put((ptl_port)again.publish.ticket, "told again"); /* its low half is the port's name */
        close(c);
        return NULL;
}

/* Greeted, ends without an answer. */
static void *fake_end_at_hello(void *arg)
{
        int listener, c;

        CHECK(tst_wait_until(access(arg, F_OK) == 0, 5000)); /* the first server is on its way */
        listener = raw_listen();
        do {
                CHECK((c = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0);
        } while (recv(c, &(char){0}, 1, 0) == 0 && close(c) == 0);
        CHECK(unlink(getenv("PORTOLAN_SOCKET")) == 0);
        close(listener);
        close(c);
        return NULL;
}

API_TEST(x10_a_server_that_ends_while_it_is_greeted_is_started_again)
{
        char script[300], first[300];
        pthread_t t;
        FILE *f;

        snprintf(script, sizeof script, "%s/portoland", tst_temp_dir());
        snprintf(first, sizeof first, "%s/first", tst_temp_dir());
        CHECK((f = fopen(script, "we")));
        fprintf(f, "#!/bin/sh\nmkdir %s 2>/dev/null && exec sleep 3\nexec %s \"$@\"\n", first,
                getenv("PORTOLAND"));
        CHECK(fclose(f) == 0 && chmod(script, 0700) == 0);
        setenv("PORTOLAND", script, 1);
        CHECK(pthread_create(&t, NULL, fake_end_at_hello, first) == 0);
        OK(call_publish());
        pthread_join(t, NULL);
}

API_TEST(a_name_outlives_a_server_that_ends_with_its_answer)
{
        ptl_port p = new_send_port();
        int listener = raw_listen();
        pthread_t t;

        CHECK(pthread_create(&t, NULL, fake_agree_and_end, &listener) == 0);
        OK(ptl_name_publish("name", p));
        take(p, "told again");
        pthread_join(t, NULL);
        close(listener);
}

API_TEST(links_go_on_when_the_server_is_killed)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        pid_t server = server_pid();

        for (int i = 0; i < 3000; i++) {
                call_echo_of(echo, (size_t)i % 3000, (unsigned)i);
                if (i == 1000)
                        CHECK(kill(server, SIGKILL) == 0);
        }
        CHECK_EQ(statistics().links, 1);
        CHECK_EQ(statistics().links_dead, 0);
        end_echo(&peer, echo);
}

API_TEST(names_are_back_within_a_second_of_their_owners_next_call)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo"), mine = new_port(), p = PTL_NULL;
        ptl_time start;

        OK(ptl_name_publish("mine", mine));
        for (int round = 0; round < 3; round++) {
                CHECK(kill(server_pid(), SIGKILL) == 0);
                call_echo(echo); /* the owner's next call is its next receive */
                start = ptl_now();
                OK(ptl_name_look_up("echo", &p, ptl_after_ms(tst_deadline_ms(1000))));
                CHECK(ptl_now() - start < tst_deadline_ms(1000) * 1000000);
                call_echo(p);
                CHECK_EQ(look_up("mine"), mine);
                call_echo(echo);
        }
        end_echo(&peer, echo);
}

static size_t names_known(void)
{
        struct ptl_name_entry *e = NULL;
        size_t n = 0;

        OK(ptl_server_list_names(&e, &n));
        free(e);
        return n;
}

/* More than the socket to the server takes at once. */
API_TEST(a_thousand_names_of_one_task_are_all_back)
{
        enum { NAMES = 1000 };
        ptl_port p = new_port();
        char name[16];

        for (int i = 0; i < NAMES; i++) {
                snprintf(name, sizeof name, "name-%d", i);
                OK(ptl_name_publish(name, p));
        }
        CHECK(kill(server_pid(), SIGKILL) == 0);
        CHECK(tst_wait_until(names_known() == NAMES, 5000));
        CHECK_EQ(look_up("name-999"), p);
}

API_TEST(a_watch_and_a_waiting_look_up_outlive_the_server)
{
        ptl_port n = new_port(), p = new_port();
        struct peer peer;

        OK(ptl_name_watch("w.", n));
        CHECK(kill(server_pid(), SIGKILL) == 0);
        OK(ptl_name_publish("w.mine", p));
        take_name(n, PTL_NOTIFY_NAME_ADDED, "w.mine");
        start_publisher(&peer, "w.peer");
        take_name(n, PTL_NOTIFY_NAME_ADDED, "w.peer");
        peer_end(&peer);
}

PEER(waits_for_a_name)
{
        ptl_port p = PTL_NULL;

        OK(ptl_task_set_wait(PTL_WAIT_BLOCK, 0));
        OUTCOME(ptl_name_look_up("later", &p, PTL_NOW), PTL_E_NOT_FOUND);
        peer_say(NULL, "waits");
        OK(ptl_name_look_up("later", &p, soon()));
        put(p, "found");
        peer_stay();
}

API_TEST(a_look_up_that_waits_while_the_server_is_killed_gets_its_name)
{
        ptl_port p = new_port();
        struct peer peer;

        peer_start(&peer, "waits_for_a_name", NULL);
        peer_hear(&peer, "waits");
        CHECK(tst_wait_until(is_asleep(peer.pid, peer.pid), 5000));
        CHECK(kill(server_pid(), SIGKILL) == 0);
        OK(ptl_name_publish("later", p));
        take(p, "found");
        peer_end(&peer);
}

API_TEST(a_published_name_is_refused_to_others_after_a_restart_too)
{
        ptl_port p = new_port();
        struct peer peer;

        start_publisher(&peer, "kept");
        CHECK(kill(server_pid(), SIGKILL) == 0);
        tell(&peer, "withdraw"); /* its next call brings the name back, and takes it away */
        OK(ptl_name_publish("kept", p));
        CHECK_EQ(look_up("kept"), p);
        peer_end(&peer);
}

API_TEST(an_identity_outlives_the_server)
{
        struct ptl_identity before, after;

        OK(ptl_task_identity(&before));
        CHECK(kill(server_pid(), SIGKILL) == 0);
        OK(call_publish());
        OK(ptl_task_identity(&after));
        CHECK(memcmp(&before, &after, sizeof before) == 0);
}

API_TEST(when_all_are_killed_nothing_is_left_but_the_socket)
{
        struct peer peer[2];
        ptl_port echo = start_echo(&peer[0], "echo"), p = new_port();
        struct ptl_region *r = NULL;
        DIR *d;

        start_publisher(&peer[1], "other");
        OK(ptl_name_publish("mine", p));
        OK(ptl_region_new(100000, &r));
        OK(ptl_region_publish("region", r));
        call_echo_of(echo, 70000, 1);
        CHECK(kill(server_pid(), SIGKILL) == 0);
        peer_kill(&peer[0]);
        peer_kill(&peer[1]);
        ptl_region_free(r);
        OK(ptl_task_leave());
        CHECK((d = opendir(tst_temp_dir())));
        for (struct dirent *e; (e = readdir(d));)
                if (e->d_name[0] != '.' && strcmp(e->d_name, "portolan.sock") != 0) {
                        fprintf(stderr, "# left: %s\n", e->d_name);
                        CHECK(!"left");
                }
        closedir(d);
}

API_TEST(a_socket_that_a_killed_server_left_is_no_obstacle)
{
        for (int i = 0; i < 3; i++) {
                ptl_port p = new_port();

                OK(ptl_name_publish("again", p));
                CHECK_EQ(look_up("again"), p);
                CHECK(kill(server_pid(), SIGKILL) == 0);
                OK(ptl_task_leave());
        }
}

/* meets NAME: calls 25 times, each time as a new task. */
PEER(meets)
{
        for (int i = 0; i < 25; i++) {
                call_echo(look_up(argv[1]));
                OK(ptl_task_leave());
        }
        peer_say(NULL, "met");
        peer_stay();
}

API_TEST(tasks_that_meet_while_servers_are_killed_meet_all_the_same)
{
        enum { N = 3 };
        struct peer server, peer[N];
        ptl_port echo = start_echo(&server, "echo");

        for (int i = 0; i < N; i++)
                peer_start(&peer[i], "meets", "echo", NULL);
        for (int i = 0; i < 6; i++) {
                CHECK(kill(server_pid(), SIGKILL) == 0);
                call_echo(echo);
        }
        for (int i = 0; i < N; i++)
                peer_hear(&peer[i], "met");
        for (int i = 0; i < N; i++)
                peer_end(&peer[i]);
        end_echo(&server, echo);
}
