/* SPDX-License-Identifier: Apache-2.0 */
/* process/server_list_test.c - watches, lists and regions of a real portoland */
#define _GNU_SOURCE
#include "server_raw.h"

enum { MANY = 3000 };

static pid_t server;

static void stop_server(void) { raw_stop(server); }

static void use_server(void)
{
        server = raw_private_server();
        tst_at_end(stop_server);
}

/* ---- watches ---- */

TEST(a_watch_tells_what_is_there_then_what_comes_and_goes)
{
        struct raw owner, watcher;

        use_server();
        owner = raw_task();
        watcher = raw_task();
        raw_publish(&owner, "a.1");
        raw_publish(&owner, "b.1");
        raw_publish(&owner, "a.2");
        raw_expect_result(&watcher, raw_ask_watch(&watcher, 5, "a."), 0);
        raw_expect_event(&watcher, PTL_SM_NAME_ADDED, 5, "a.1");
        raw_expect_event(&watcher, PTL_SM_NAME_ADDED, 5, "a.2");
        raw_publish(&owner, "a");
        raw_publish(&owner, "b.2");
        raw_publish(&owner, "a.3");
        raw_expect_event(&watcher, PTL_SM_NAME_ADDED, 5, "a.3");
        raw_withdraw(&owner, "b.1");
        raw_withdraw(&owner, "a.1");
        raw_expect_event(&watcher, PTL_SM_NAME_REMOVED, 5, "a.1");
        raw_close(&owner); /* its death withdraws the others */
        raw_expect_event(&watcher, PTL_SM_NAME_REMOVED, 5, "a.2");
        raw_expect_event(&watcher, PTL_SM_NAME_REMOVED, 5, "a.3");
        raw_close(&watcher);
}

TEST(an_empty_prefix_watches_all_and_unwatch_ends_it)
{
        struct ptl_server_msg unwatch = {.type = PTL_SM_UNWATCH, .watch.cookie = 1};
        struct raw raw;

        use_server();
        raw = raw_task();
        raw_expect_result(&raw, raw_ask_watch(&raw, 1, ""), 0);
        raw_publish(&raw, "x"); /* the answer comes before the event */
        raw_expect_event(&raw, PTL_SM_NAME_ADDED, 1, "x");
        raw_expect_result(&raw, raw_send(&raw, unwatch), 0);
        raw_publish(&raw, "y");
        raw_expect_result(&raw, raw_send(&raw, unwatch), PTL_E_NOT_FOUND);
        raw_close(&raw);
}

TEST(a_new_watch_replaces_the_one_of_its_cookie)
{
        struct raw raw;

        use_server();
        raw = raw_task();
        raw_publish(&raw, "a");
        raw_publish(&raw, "b");
        raw_expect_result(&raw, raw_ask_watch(&raw, 1, "a"), 0);
        raw_expect_event(&raw, PTL_SM_NAME_ADDED, 1, "a");
        raw_expect_result(&raw, raw_ask_watch(&raw, 2, "a"), 0);
        raw_expect_event(&raw, PTL_SM_NAME_ADDED, 2, "a");
        raw_expect_result(&raw, raw_ask_watch(&raw, 1, "b"), 0);
        raw_expect_event(&raw, PTL_SM_NAME_ADDED, 1, "b");
        raw_withdraw(&raw, "a");
        raw_expect_event(&raw, PTL_SM_NAME_REMOVED, 2, "a");
        raw_withdraw(&raw, "b");
        raw_expect_event(&raw, PTL_SM_NAME_REMOVED, 1, "b");
        raw_close(&raw);
}

static void publish_many(struct raw *raw)
{
        char name[32];

        for (int i = 0; i < MANY; i++) {
                snprintf(name, sizeof name, "n%d", i);
                raw_publish(raw, name);
        }
}

/* More than a socket holds, read only when names have come and gone: each name is told of as added
 * once, and as removed once if it went after that. */
TEST(a_watch_that_starts_slowly_misses_nothing_and_says_nothing_twice)
{
        static signed char is_there[MANY + 1];
        struct raw owner, watcher;
        char name[32];
        int n = 0;

        use_server();
        owner = raw_task();
        watcher = raw_task();
        publish_many(&owner);
        raw_expect_result(&watcher, raw_ask_watch(&watcher, 1, "n"), 0);
        for (int i = 0; i < MANY; i += 2) {
                snprintf(name, sizeof name, "n%d", i);
                raw_withdraw(&owner, name);
        }
        snprintf(name, sizeof name, "n%d", MANY);
        raw_publish(&owner, name);
        while (!is_there[MANY]) {
                CHECK(raw_receive(&watcher));
                int i = atoi(watcher.msg.name + 1), change = 1;
                if (watcher.msg.type == PTL_SM_NAME_REMOVED)
                        change = -1;
                else
                        CHECK_EQ(watcher.msg.type, PTL_SM_NAME_ADDED);
                is_there[i] += (signed char)change;
                CHECK(is_there[i] == 0 || is_there[i] == 1);
        }
        while (raw_status(&owner).names != MANY / 2 + 1 || raw_has_input(&watcher))
                if (raw_has_input(&watcher))
                        CHECK(raw_receive(&watcher));
        for (int i = 0; i < MANY; i++)
                n += is_there[i] == (i % 2);
        CHECK_EQ(n, MANY);
        raw_close(&owner);
        raw_close(&watcher);
}

/* ---- lists ---- */

static uint32_t ask_list(struct raw *raw, uint32_t what)
{
        return raw_send(raw, (struct ptl_server_msg){.type = PTL_SM_LIST, .list.what = what});
}

TEST(lists_show_names_tasks_and_links)
{
        struct raw a, b;
        uint32_t serial;

        use_server();
        a = raw_task();
        b = raw_task();
        raw_publish(&a, "one");
        serial = ask_list(&b, PTL_SM_LIST_NAMES);
        raw_expect(&b, PTL_SM_ITEM, serial);
        CHECK_STR_EQ(b.msg.name, "one");
        CHECK_EQ(b.msg.item.kind, PTL_SM_KIND_PORT);
        CHECK(memcmp(&b.msg.item.a, &a.me, sizeof a.me) == 0);
        raw_expect_result(&b, serial, 0);

        serial = ask_list(&b, PTL_SM_LIST_LINKS);
        raw_expect_result(&b, serial, 0);
        raw_expect(&b, PTL_SM_FOUND, raw_ask_look_up(&b, "one", false));
        serial = ask_list(&b, PTL_SM_LIST_LINKS);
        raw_expect(&b, PTL_SM_ITEM, serial);
        CHECK(raw_is_same(b.msg.item.a.task, b.me.task));
        CHECK(raw_is_same(b.msg.item.b.task, a.me.task));
        raw_expect_result(&b, serial, 0);

        serial = ask_list(&b, PTL_SM_LIST_TASKS);
        raw_expect(&b, PTL_SM_ITEM, serial);
        CHECK(b.msg.item.names == 1 && b.msg.item.links == 1);
        CHECK_STR_EQ(b.msg.item.command, "raw");
        raw_expect(&b, PTL_SM_ITEM, serial);
        CHECK(raw_is_same(b.msg.item.a.task, b.me.task));
        raw_expect_result(&b, serial, 0);
        raw_close(&a);
        raw_close(&b);
}

TEST(a_list_longer_than_any_queue_arrives_whole)
{
        struct raw owner, reader;
        uint32_t serials[2];

        use_server();
        owner = raw_task();
        reader = raw_task();
        publish_many(&owner);
        serials[0] = ask_list(&reader, PTL_SM_LIST_NAMES);
        serials[1] = ask_list(&reader, PTL_SM_LIST_NAMES);
        for (int i = 0; i < 2; i++) {
                for (int n = 0; n < MANY; n++)
                        raw_expect(&reader, PTL_SM_ITEM, serials[i]);
                raw_expect_result(&reader, serials[i], 0);
        }
        raw_close(&owner);
        raw_close(&reader);
}

/* ---- regions ---- */

enum { KEEP = F_SEAL_SHRINK | F_SEAL_GROW };

static int new_region(int seals)
{
        int fd = memfd_create("region", MFD_ALLOW_SEALING | MFD_CLOEXEC);

        CHECK(fd >= 0 && fallocate(fd, 0, 0, 4096) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0);
        return fd;
}

static uint32_t ask_publish_region(struct raw *raw, const char *name, int fd, uint64_t size)
{
        struct ptl_server_msg msg = raw_named(PTL_SM_PUBLISH, name);

        msg.publish.kind = PTL_SM_KIND_REGION;
        msg.publish.size = size;
        return raw_send_fd(raw, msg, fd);
}

TEST(a_published_region_is_found_as_the_same_memory_without_a_link)
{
        struct raw owner, looker;
        struct stat mine, theirs;
        int fd;

        use_server();
        owner = raw_task();
        looker = raw_task();
        fd = new_region(KEEP);
        raw_expect_result(&owner, ask_publish_region(&owner, "r", fd, 100), 0);
        CHECK(fstat(fd, &mine) == 0);
        close(fd);
        for (int i = 0; i < 2; i++) {
                raw_expect(&looker, PTL_SM_FOUND, raw_ask_look_up(&looker, "r", false));
                CHECK(looker.msg.found.kind == PTL_SM_KIND_REGION && !looker.msg.found.link);
                CHECK_EQ(looker.msg.found.size, 100);
                CHECK(looker.fd >= 0 && fstat(looker.fd, &theirs) == 0);
                CHECK_EQ(mine.st_ino, theirs.st_ino);
        }
        CHECK(!raw_has_input(&owner));
        raw_close(&owner); /* its regions go with it */
        while (raw_status(&looker).tasks != 1)
                ;
        raw_expect_result(&looker, raw_ask_look_up(&looker, "r", false), PTL_E_NOT_FOUND);
        raw_close(&looker);
}

TEST(a_region_that_is_none_is_refused_and_the_name_stays_free)
{
        struct raw raw;
        int unsealed, file;

        use_server();
        raw = raw_task();
        unsealed = new_region(F_SEAL_GROW);
        file = open("/dev/null", O_RDWR | O_CLOEXEC);
        CHECK(file >= 0);
        raw_expect_result(&raw, ask_publish_region(&raw, "r", unsealed, 100), PTL_E_MALFORMED);
        raw_expect_result(&raw, ask_publish_region(&raw, "r", file, 100), PTL_E_MALFORMED);
        raw_expect_result(&raw, ask_publish_region(&raw, "r", -1, 100), PTL_E_LOST);
        CHECK(fcntl(unsealed, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
        raw_expect_result(&raw, ask_publish_region(&raw, "r", unsealed, 4097), PTL_E_MALFORMED);
        raw_expect_result(&raw, ask_publish_region(&raw, "r", unsealed, 4096), 0);
        close(unsealed);
        close(file);
        raw_close(&raw);
}
