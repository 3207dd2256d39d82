/* SPDX-License-Identifier: Apache-2.0 */
/* Names: publish, look up, withdraw, watch, list; and life with no server, or another. */
#include "roles.h"
#include "wire/server_msg.h"
#include <pthread.h>
#include <sys/stat.h>

/* publisher NAME: publishes a port, says "published", and obeys: withdraw, free, leave, publish. */
PEER(publisher)
{
        ptl_port p = new_port();
        char line[32];

        OK(ptl_name_publish(argv[1], p));
        peer_say(NULL, "published");
        while (peer_hear_line(NULL, line, sizeof line)) {
                if (!strcmp(line, "withdraw"))
                        OK(ptl_name_withdraw(argv[1]));
                else if (!strcmp(line, "free"))
                        OK(ptl_port_free(p));
                else if (!strcmp(line, "leave"))
                        OK(ptl_task_leave());
                else if (!strcmp(line, "take"))
                        take(p, "text");
                else
                        CHECK(!"a command");
                peer_say(NULL, "done");
        }
}

static void start_publisher(struct peer *ret_peer, const char *name)
{
        peer_start(ret_peer, "publisher", name, NULL);
        peer_hear(ret_peer, "published");
}

static void tell(struct peer *peer, const char *command)
{
        peer_say(peer, "%s", command);
        peer_hear(peer, "done");
}

static void check_unknown(const char *name)
{
        ptl_port p = 4242;

        OUTCOME(ptl_name_look_up(name, &p, PTL_NOW), PTL_E_NOT_FOUND);
        CHECK_EQ(p, 4242);
}

API_TEST(x10_names_work_with_no_daemon_started_beforehand)
{
        struct peer peer;
        ptl_port p;

        start_publisher(&peer, "first");
        p = look_up("first");
        put(p, "text");
        tell(&peer, "take");
        peer_end(&peer);
}

API_TEST(a_name_that_nobody_published_is_not_found)
{
        struct ptl_region *r = (struct ptl_region *)&r;

        check_unknown("nobody");
        OUTCOME(ptl_region_look_up("nobody", &r, PTL_NOW), PTL_E_NOT_FOUND);
        CHECK(r == (struct ptl_region *)&r);
        OUTCOME(ptl_name_withdraw("nobody"), PTL_E_NOT_FOUND);
}

API_TEST(a_look_up_waits_until_its_deadline_for_a_name)
{
        ptl_time deadline = ptl_after_ms(30);
        ptl_port p = 4242;

        OUTCOME(ptl_name_look_up("nobody", &p, deadline), PTL_E_TIMEOUT);
        CHECK(ptl_now() >= deadline);
        CHECK(ptl_now() <= deadline + tst_deadline_ms(1000) * 1000000);
        CHECK_EQ(p, 4242);
        OUTCOME(ptl_name_look_up("nobody", &p, 1), PTL_E_TIMEOUT);
        check_unknown("nobody");
}

static void *publish_later(void *arg)
{
        ptl_port *p = arg;

        OK(ptl_name_publish("later", *p));
        return NULL;
}

API_TEST(a_waiting_look_up_gets_a_name_when_it_is_published)
{
        struct peer peer;
        ptl_port p = PTL_NULL;

        peer_start(&peer, "publisher", "soon", NULL); /* whichever is first */
        OK(ptl_name_look_up("soon", &p, soon()));
        peer_hear(&peer, "published");
        check_rights(p, PTL_RIGHT_SEND, 1);
        peer_end(&peer);
}

API_TEST(a_waiting_look_up_gets_the_name_that_another_thread_publishes)
{
        ptl_port p = new_port(), found = PTL_NULL;
        pthread_t t;

        check_unknown("later");
        CHECK(pthread_create(&t, NULL, publish_later, &p) == 0);
        OK(ptl_name_look_up("later", &found, soon()));
        CHECK_EQ(found, p);
        pthread_join(t, NULL);
}

API_TEST(two_look_ups_give_one_name_with_two_references)
{
        struct peer peer;
        ptl_port p;

        start_publisher(&peer, "twice");
        p = look_up("twice");
        check_rights(p, PTL_RIGHT_SEND, 1);
        CHECK_EQ(look_up("twice"), p);
        check_rights(p, PTL_RIGHT_SEND, 2);
        CHECK_EQ(status_of(p).peer_pid, peer.pid);
        OK(ptl_right_release(p));
        OK(ptl_right_release(p));
        check_no_name(p);
        p = look_up("twice");
        put(p, "text");
        tell(&peer, "take");
        peer_end(&peer);
}

API_TEST(looking_up_ones_own_port_adds_a_send_right_to_its_name)
{
        ptl_port p = new_port();

        OK(ptl_name_publish("own", p));
        CHECK_EQ(look_up("own"), p);
        check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
        CHECK_EQ(look_up("own"), p);
        check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 2);
        put(p, "text");
        take(p, "text");
}

API_TEST(a_second_publisher_is_refused_while_the_first_lives)
{
        ptl_port p = new_port(), q = new_port();
        struct ptl_region *r = NULL;
        struct peer peer;

        OK(ptl_region_new(1, &r));
        start_publisher(&peer, "taken");
        OUTCOME(ptl_name_publish("taken", p), PTL_E_EXISTS);
        OUTCOME(ptl_region_publish("taken", r), PTL_E_EXISTS);
        OUTCOME(ptl_name_withdraw("taken"), PTL_E_NOT_FOUND);
        CHECK_EQ(status_of(look_up("taken")).peer_pid, peer.pid);
        OK(ptl_name_publish("mine", p));
        OUTCOME(ptl_name_publish("mine", q), PTL_E_EXISTS);
        peer_kill(&peer);
        CHECK(tst_wait_until(ptl_name_publish("taken", p) == 0, 1000));
        ptl_region_free(r);
}

static const struct name_row {
        const char *name;
        size_t size;
        int expected;
} name_rows[] = {
        {"no byte", 0,    PTL_E_INVALID},
        {"the longest", 255,  0        },
        {"one too long", 256,  PTL_E_TOO_BIG},
        {"much too long", 5000, PTL_E_TOO_BIG},
};

API_TEST(names_have_1_to_255_bytes)
{
        static char name[5001];
        struct ptl_region *r = NULL, *ret = NULL;
        ptl_port p = new_port(), q = PTL_NULL;

        OK(ptl_region_new(1, &r));
        for (size_t i = 0; i < ARRAY_LEN(name_rows); i++) {
                const struct name_row *row = &name_rows[i];
                bool fine = row->expected == 0;

                memset(name, 'n', sizeof name);
                name[row->size] = '\0';
                CHECK_ROW(i, row, ptl_name_publish(name, p) == row->expected);
                CHECK_ROW(i, row, ptl_name_look_up(name, &q, PTL_NOW) == row->expected);
                CHECK_ROW(i, row, ptl_name_withdraw(name) == row->expected);
                CHECK_ROW(i, row, ptl_region_publish(name, r) == row->expected);
                CHECK_ROW(i, row, ptl_region_look_up(name, &ret, PTL_NOW) == row->expected);
                CHECK_ROW(i, row, ptl_name_watch(name, p) == (row->size ? row->expected : 0));
                CHECK_ROW(i, row, ptl_name_withdraw(name) == row->expected);
                if (fine)
                        ret = ptl_region_free(ret);
        }
        OUTCOME(ptl_name_publish(NULL, p), PTL_E_INVALID);
        OUTCOME(ptl_name_look_up(NULL, &q, PTL_NOW), PTL_E_INVALID);
        OUTCOME(ptl_name_withdraw(NULL), PTL_E_INVALID);
        OUTCOME(ptl_region_publish(NULL, r), PTL_E_INVALID);
        OUTCOME(ptl_region_publish("a", NULL), PTL_E_INVALID);
        OUTCOME(ptl_region_look_up(NULL, &ret, PTL_NOW), PTL_E_INVALID);
        ptl_region_free(r);
}

API_TEST(names_are_bytes_and_case_matters)
{
        const char *names[] = {"a",   "A",    "a.b", "a/b", " ",       "\xc3\xbc",
                               "\xff\xfe", "\n", "\x01", "..", "%s%n", "name with spaces"};
        ptl_port p[ARRAY_LEN(names)];

        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                p[i] = new_port();
                OK(ptl_name_publish(names[i], p[i]));
        }
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                CHECK_EQ(look_up(names[i]), p[i]);
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                OK(ptl_name_withdraw(names[i]));
                check_unknown(names[i]);
        }
}

API_TEST(a_withdrawn_name_is_not_found_and_its_rights_stay_valid)
{
        struct peer peer;
        ptl_port p;

        start_publisher(&peer, "going");
        p = look_up("going");
        tell(&peer, "withdraw");
        check_unknown("going");
        check_rights(p, PTL_RIGHT_SEND, 1);
        put(p, "text");
        tell(&peer, "take");
        OK(ptl_name_publish("going", new_port()));
        peer_end(&peer);
}

API_TEST(a_name_goes_with_its_port)
{
        struct peer peer;
        ptl_port p;

        start_publisher(&peer, "freed");
        p = look_up("freed");
        tell(&peer, "free");
        CHECK(tst_wait_until(ptl_name_publish("freed", new_port()) == 0, 1000));
        CHECK(tst_wait_until(ptl_send(p, "x", 1, PTL_NOW) == PTL_E_DEAD, 1000));
        peer_end(&peer);
}

API_TEST(a_name_goes_with_its_task)
{
        struct peer peer;

        start_publisher(&peer, "left");
        tell(&peer, "leave");
        CHECK(tst_wait_until(ptl_name_publish("left", new_port()) == 0, 1000));
        peer_end(&peer);
}

API_TEST(a_name_whose_owner_died_is_not_found)
{
        struct peer peer;
        ptl_port p = PTL_NULL;

        start_publisher(&peer, "dies");
        peer_kill(&peer);
        CHECK(tst_wait_until(ptl_name_look_up("dies", &p, PTL_NOW) == PTL_E_NOT_FOUND, 1000));
}

API_TEST(a_port_may_have_several_names)
{
        ptl_port p = new_port();

        OK(ptl_name_publish("one", p));
        OK(ptl_name_publish("two", p));
        CHECK_EQ(look_up("one"), p);
        CHECK_EQ(look_up("two"), p);
        OK(ptl_name_withdraw("one"));
        check_unknown("one");
        CHECK_EQ(look_up("two"), p);
}

API_TEST(messages_sent_before_the_owner_looked_wait_for_it)
{
        struct peer peer;
        ptl_port p;

        start_publisher(&peer, "early");
        p = look_up("early"); /* the peer is outside of the library and stays there */
        for (int i = 0; i < 20; i++)
                OK(ptl_send(p, "text", 5, PTL_NOW));
        for (int i = 0; i < 20; i++)
                tell(&peer, "take");
        peer_end(&peer);
}

/* ---- watches ---- */

static void take_name(ptl_port n, uint32_t kind, const char *name)
{
        struct ptl_notification got = take_notification(n, kind);

        CHECK_STR_EQ(got.text, name);
}

API_TEST(a_watch_tells_of_names_that_come_and_go)
{
        ptl_port n = new_port();
        struct peer peer;

        OK(ptl_name_publish("w.there", new_port()));
        OK(ptl_name_publish("other", new_port()));
        OK(ptl_name_watch("w.", n));
        take_name(n, PTL_NOTIFY_NAME_ADDED, "w.there");
        start_publisher(&peer, "w.peer");
        take_name(n, PTL_NOTIFY_NAME_ADDED, "w.peer");
        OK(ptl_name_withdraw("w.there"));
        take_name(n, PTL_NOTIFY_NAME_REMOVED, "w.there");
        peer_kill(&peer);
        take_name(n, PTL_NOTIFY_NAME_REMOVED, "w.peer");
        check_empty(n);
}

API_TEST(a_watch_of_everything_reports_what_is_there_once_each)
{
        ptl_port n = new_port(), p = new_port();
        unsigned seen = 0;

        for (int i = 0; i < 5; i++) {
                char name[8] = {(char)('a' + i)};

                OK(ptl_name_publish(name, p));
        }
        OK(ptl_name_watch("", n));
        for (int i = 0; i < 5; i++) {
                struct ptl_notification got = take_notification(n, PTL_NOTIFY_NAME_ADDED);

                CHECK(got.text[0] >= 'a' && got.text[0] <= 'e' && !got.text[1]);
                CHECK(!(seen & 1u << (got.text[0] - 'a')));
                seen |= 1u << (got.text[0] - 'a');
        }
        check_empty(n);
}

API_TEST(a_new_watch_replaces_the_old_and_null_cancels)
{
        ptl_port n = new_port(), p = new_port();

        OK(ptl_name_watch("a", n));
        OK(ptl_name_watch("b", n));
        OK(ptl_name_publish("a1", p));
        OK(ptl_name_publish("b1", p));
        take_name(n, PTL_NOTIFY_NAME_ADDED, "b1");
        OK(ptl_name_watch(NULL, n));
        OK(ptl_name_publish("b2", p));
        OK(ptl_name_withdraw("b1"));
        check_unknown("b1"); /* a round trip: what was to come has come */
        check_empty(n);
}

API_TEST(two_ports_can_watch_the_same_names)
{
        ptl_port n[2] = {new_port(), new_port()};

        OK(ptl_name_watch("same", n[0]));
        OK(ptl_name_watch("same", n[1]));
        OK(ptl_name_publish("same", new_port()));
        take_name(n[0], PTL_NOTIFY_NAME_ADDED, "same");
        take_name(n[1], PTL_NOTIFY_NAME_ADDED, "same");
        OK(ptl_port_free(n[0]));
        OK(ptl_name_withdraw("same"));
        take_name(n[1], PTL_NOTIFY_NAME_REMOVED, "same");
}

API_TEST(a_watch_tells_a_name_of_255_bytes_whole)
{
        ptl_port n = new_port();
        char name[256];

        memset(name, 'n', 255);
        name[255] = '\0';
        OK(ptl_name_watch("nnn", n));
        OK(ptl_name_publish(name, new_port()));
        take_name(n, PTL_NOTIFY_NAME_ADDED, name);
}

/* ---- regions under names ---- */

/* writes NAME: maps the region, checks and writes, says so. */
PEER(writes)
{
        struct ptl_region *r = NULL;

        OK(ptl_region_look_up(argv[1], &r, soon()));
        CHECK_EQ(ptl_region_size(r), 5000);
        CHECK_STR_EQ(ptl_region_data(r), "from the publisher");
        strcpy(ptl_region_data(r), "from the peer");
        ptl_region_free(r);
}

API_TEST(a_region_can_be_found_by_name_and_is_shared)
{
        struct ptl_region *r = NULL;
        struct peer peer;

        OK(ptl_region_new(5000, &r));
        strcpy(ptl_region_data(r), "from the publisher");
        OK(ptl_region_publish("region", r));
        peer_start(&peer, "writes", "region", NULL);
        peer_end(&peer);
        CHECK_STR_EQ(ptl_region_data(r), "from the peer");
        ptl_region_free(r);
}

API_TEST(a_published_region_survives_its_publishers_mapping)
{
        struct ptl_region *r = NULL, *again = NULL;
        struct peer peer;

        OK(ptl_region_new(5000, &r));
        strcpy(ptl_region_data(r), "from the publisher");
        OK(ptl_region_publish("region", r));
        ptl_region_free(r);
        peer_start(&peer, "writes", "region", NULL);
        peer_end(&peer);
        OK(ptl_region_look_up("region", &again, PTL_NOW));
        CHECK_STR_EQ(ptl_region_data(again), "from the peer");
        OK(ptl_name_withdraw("region"));
        CHECK_STR_EQ(ptl_region_data(again), "from the peer");
        ptl_region_free(again);
        OUTCOME(ptl_region_look_up("region", &again, PTL_NOW), PTL_E_NOT_FOUND);
}

API_TEST(a_port_is_no_region_and_a_region_no_port)
{
        struct ptl_region *r = NULL, *ret = NULL;
        ptl_port p = 4242;

        OK(ptl_region_new(10, &r));
        OK(ptl_region_publish("region", r));
        OK(ptl_name_publish("port", new_port()));
        OUTCOME(ptl_name_look_up("region", &p, PTL_NOW), PTL_E_RIGHT);
        OUTCOME(ptl_name_look_up("region", &p, soon()), PTL_E_RIGHT);
        CHECK_EQ(p, 4242);
        OUTCOME(ptl_region_look_up("port", &ret, PTL_NOW), PTL_E_RIGHT);
        CHECK(ret == NULL);
        ptl_region_free(r);
}

/* ---- lists ---- */

API_TEST(the_server_lists_names_tasks_and_links)
{
        struct ptl_name_entry *names = NULL;
        struct ptl_task_entry *tasks = NULL;
        struct ptl_link_entry *links = NULL;
        size_t n = 0;
        struct peer peer;
        ptl_port p;

        start_publisher(&peer, "listed");
        p = look_up("listed");
        OK(ptl_server_list_names(&names, &n));
        CHECK_EQ(n, 1);
        CHECK_STR_EQ(names[0].name, "listed");
        CHECK_EQ(names[0].kind, PTL_NAME_PORT);
        CHECK_EQ(names[0].owner.pid, peer.pid);
        free(names);
        OK(ptl_server_list_tasks(&tasks, &n));
        CHECK_EQ(n, 2);
        for (size_t i = 0; i < n; i++) {
                CHECK(tasks[i].identity.pid == peer.pid || tasks[i].identity.pid == getpid());
                CHECK_EQ(tasks[i].links, 1);
                CHECK_EQ(tasks[i].names, tasks[i].identity.pid == peer.pid);
                CHECK(strnlen(tasks[i].command, 16) < 16);
        }
        free(tasks);
        OK(ptl_server_list_links(&links, &n));
        CHECK_EQ(n, 1);
        CHECK(links[0].a.pid == peer.pid || links[0].b.pid == peer.pid);
        CHECK(links[0].a.pid == getpid() || links[0].b.pid == getpid());
        free(links);
        OK(ptl_right_release(p));
        peer_end(&peer);
}

API_TEST(the_server_lists_more_than_one_packet_holds)
{
        enum { N = 300 };
        struct ptl_name_entry *names = NULL;
        ptl_port p = new_port();
        char name[256];
        size_t n = 0;

        memset(name, 'x', 255);
        name[255] = '\0';
        for (int i = 0; i < N; i++) {
                memcpy(name, (char[]){(char)('A' + i / 20), (char)('A' + i % 20)}, 2);
                OK(ptl_name_publish(name, p));
        }
        OK(ptl_server_list_names(&names, &n));
        CHECK_EQ(n, N);
        free(names);
}

API_TEST(the_server_tells_how_it_is)
{
        struct ptl_server_status s;
        const char *path = getenv("PORTOLAN_SOCKET");

        memset(&s, 0xff, sizeof s);
        OK(ptl_name_publish("one", new_port()));
        OK(ptl_server_get_status(&s));
        CHECK_STR_EQ(s.socket, path);
        CHECK_STR_EQ(s.version, ptl_version());
        CHECK_EQ(s.protocol, 1);
        CHECK_EQ(s.tasks, 1);
        CHECK_EQ(s.names, 1);
        CHECK_EQ(s.introductions, 0);
        CHECK(s.server.pid > 0 && s.server.pid != getpid());
        CHECK_EQ(s.server.uid, getuid());
        CHECK(s.uptime_ns > 0 && s.uptime_ns < 60ull * 1000000000);
}

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

        return ptl_name_look_up("name", &p, soon());
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
        unsigned wrong = 0;

        for (size_t i = 0; i < ARRAY_LEN(server_calls); i++) {
                int outcome = server_calls[i].call();

                if (outcome == expected || (server_calls[i].call == call_withdraw &&
                                            outcome == PTL_E_NOT_FOUND && expected))
                        continue;
                fprintf(stderr, "# %s: %s, not %s\n", server_calls[i].name,
                        ptl_outcome_name(outcome), ptl_outcome_name(expected));
                wrong++;
        }
        CHECK_EQ(wrong, 0);
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
        check_server_calls(PTL_E_NO_SERVER);
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

/* All calls of the server say @expected when the HELLO was answered with @body of @type. */
static void check_fake(unsigned type, const void *body, size_t size, int expected)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        struct ptl_server_head head = {
                .magic = PTL_SERVER_MAGIC, .type = (uint16_t)type, .body_size = (uint32_t)size};
        unsigned char reply[PTL_SERVER_PACKET_MAX];
        struct fake f = {.reply = reply, .size = sizeof head + size};
        pthread_t t;

        memcpy(reply, &head, sizeof head);
        memcpy(reply + sizeof head, body, size);
        snprintf(a.sun_path, sizeof a.sun_path, "%s", getenv("PORTOLAN_SOCKET"));
        f.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        CHECK(f.listener >= 0 && pipe2(f.stop, O_CLOEXEC) == 0);
        unlink(a.sun_path);
        CHECK(bind(f.listener, (struct sockaddr *)&a, sizeof a) == 0);
        CHECK(listen(f.listener, 16) == 0);
        CHECK(pthread_create(&t, NULL, fake_serve, &f) == 0);
        check_server_calls(expected);
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

        check_fake(PTL_SM_RESULT, &result, sizeof result, PTL_E_VERSION);
}

API_TEST(a_server_that_welcomes_in_another_version_is_told_so)
{
        struct ptl_sm_welcome welcome = {.protocol = PTL_SERVER_PROTOCOL + 1, .version = "9.9"};

        welcome.you.pid = getpid();
        welcome.you.task.low = 1;
        check_fake(PTL_SM_WELCOME, &welcome, sizeof welcome, PTL_E_VERSION);
}

/* ---- the server dies ---- */

static pid_t server_pid(void)
{
        struct ptl_server_status s;

        OK(ptl_server_get_status(&s));
        return s.server.pid;
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
                CHECK_EQ(p, echo);
                CHECK_EQ(look_up("mine"), mine);
                call_echo(echo);
        }
        end_echo(&peer, echo);
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
