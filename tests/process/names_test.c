/* SPDX-License-Identifier: Apache-2.0 */
/* Names: publish, look up, withdraw, watch, list. */
#include "publisher.h"
#include <pthread.h>

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
        {"no byte",       0,    PTL_E_INVALID},
        {"the longest",   255,  0            },
        {"one too long",  256,  PTL_E_TOO_BIG},
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
        const char *names[] = {"a",        "A",  "a.b",  "a/b", " ",    "\xc3\xbc",
                               "\xff\xfe", "\n", "\x01", "..",  "%s%n", "name with spaces"};
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
