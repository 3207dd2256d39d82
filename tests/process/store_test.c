/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_test.c - a name server that is killed under a service manager finds again what it knew
 *
 *   STORE_ROUNDS   how often it is killed at a random moment (100)
 *   STORE_SEED     which moments
 */
#include "manager.h"
#include "publisher.h"
#include "server/record_body.h"

static struct manager manager;
#define M (&manager)

enum { TEXT = 4096 };

static void start(void)
{
        manager_open(M, false);
        manager_start(M);
}

/* The same task at the server that is there now, which knows of it or not. */
static bool come_back(struct raw *raw)
{
        struct ptl_task_id id = raw->me.task;
        int passport = raw_take_passport(raw);

        raw_close(raw);
        *raw = raw_connect();
        raw_hello(raw, passport);
        close(passport);
        CHECK(raw_is_same(raw->me.task, id));
        return raw->msg.welcome.features & PTL_SM_RECALLED;
}

static void assert_all(struct raw *raw)
{
        raw_expect_result(raw, raw_send(raw, (struct ptl_server_msg){.type = PTL_SM_ASSERTED}), 0);
}

static void check_there(struct raw *raw, const char *name, const struct raw *owner)
{
        raw_expect(raw, PTL_SM_FOUND, raw_ask_look_up(raw, name, false));
        CHECK(raw_is_same(raw->msg.found.owner.task, owner->me.task));
        CHECK_EQ(raw->msg.found.ticket, 9);
        CHECK_EQ(raw->msg.found.limit_messages, 7);
}

static void check_absent(struct raw *raw, const char *name)
{
        raw_expect_result(raw, raw_ask_look_up(raw, name, false), PTL_E_NOT_FOUND);
}

/* A task in a process of its own: says that it has published @name, and stays until it is killed. */
static pid_t publish_elsewhere(const char *name)
{
        int ends[2];
        pid_t pid;
        char byte;

        CHECK(pipe2(ends, O_CLOEXEC) == 0);
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                struct raw raw = raw_task();

                raw_publish(&raw, name);
                CHECK_EQ(write(ends[1], "x", 1), 1);
                for (;;)
                        pause();
        }
        CHECK_EQ(read(ends[0], &byte, 1), 1);
        close(ends[0]);
        close(ends[1]);
        return pid;
}

static void end(pid_t pid)
{
        CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
}

/* ---- names ---- */

TEST(names_are_there_before_any_owner_has_come_back)
{
        struct raw owner, other;

        start();
        owner = raw_task();
        raw_publish(&owner, "one");
        raw_publish(&owner, "two");
        raw_publish(&owner, "withdrawn");
        raw_withdraw(&owner, "withdrawn");
        manager_restart(M);
        other = raw_task();
        check_there(&other, "one", &owner);
        CHECK_EQ(other.msg.found.link, 1);
        check_there(&other, "two", &owner);
        check_absent(&other, "withdrawn");
        CHECK_EQ(raw_status(&other).names, 2);
        manager_restart(M); /* and once more, without anybody having come */
        come_back(&other);
        check_there(&other, "two", &owner);
        raw_close(&owner);
        raw_close(&other);
        manager_close(M);
}

TEST(who_looks_a_name_up_is_connected_with_an_owner_that_comes_back_later)
{
        struct raw owner, other;
        int end;

        start();
        owner = raw_task();
        raw_publish(&owner, "name");
        manager_restart(M);
        other = raw_task();
        check_there(&other, "name", &owner);
        end = raw_take_fd(&other);
        CHECK_EQ(ptl_socket_send(end, "early", 5, NULL, 0), 0); /* before its owner has heard of it */
        CHECK(come_back(&owner));
        raw_expect(&owner, PTL_SM_INTRODUCTION, 0);
        CHECK(raw_is_same(owner.msg.introduction.peer.task, other.me.task));
        char text[8];
        size_t size;
        CHECK_EQ(ptl_socket_receive(owner.fd, text, sizeof text, &size, NULL, 0, NULL), 0);
        CHECK(size == 5 && !memcmp(text, "early", 5));
        raw_check_connected(end, owner.fd);
        close(end);
        raw_close(&owner);
        raw_close(&other);
        manager_close(M);
}

TEST(who_comes_back_goes_on_with_its_names_and_loses_those_it_does_not_say_again)
{
        struct raw owner, other;

        start();
        owner = raw_task();
        raw_publish(&owner, "kept");
        raw_publish(&owner, "given.up");
        raw_publish(&owner, "kept.too");
        manager_restart(M);
        come_back(&owner);
        raw_publish(&owner, "kept.too");
        raw_publish(&owner, "kept");
        raw_expect_result(&owner, raw_ask_publish(&owner, "kept"), PTL_E_EXISTS); /* once is enough */
        assert_all(&owner);
        other = raw_task();
        check_there(&other, "kept", &owner);
        check_absent(&other, "given.up");
        manager_restart(M);
        come_back(&other);
        check_there(&other, "kept.too", &owner);
        check_absent(&other, "given.up");
        raw_close(&owner);
        raw_close(&other);
        manager_close(M);
}

TEST(a_name_said_again_with_another_ticket_has_that_one)
{
        struct ptl_server_msg again = raw_named(PTL_SM_PUBLISH, "name");
        struct raw owner, other;

        start();
        owner = raw_task();
        raw_publish(&owner, "name");
        manager_restart(M);
        come_back(&owner);
        again.publish = (struct ptl_sm_publish){.kind = PTL_SM_KIND_PORT, .limit_messages = 1, .ticket = 77};
        raw_expect_result(&owner, raw_send(&owner, again), 0);
        manager_restart(M);
        other = raw_task();
        raw_expect(&other, PTL_SM_FOUND, raw_ask_look_up(&other, "name", false));
        CHECK_EQ(other.msg.found.ticket, 77);
        CHECK_EQ(other.msg.found.limit_messages, 1);
        raw_close(&owner);
        raw_close(&other);
        manager_close(M);
}

/* An exec, or a passport that was lost: the process is the same, the task is not. */
TEST(a_process_gets_its_names_again_under_another_id)
{
        struct raw owner, again, other;

        start();
        owner = raw_task();
        raw_publish(&owner, "name");
        manager_restart(M);
        again = raw_task();
        CHECK(!raw_is_same(owner.me.task, again.me.task));
        raw_publish(&again, "name");
        other = raw_task();
        check_there(&other, "name", &again);
        raw_close(&owner);
        raw_close(&again);
        raw_close(&other);
        manager_close(M);
}

TEST(a_stranger_does_not_get_the_name_of_an_owner_that_has_not_come_back)
{
        struct raw other;
        pid_t owner;

        start();
        owner = publish_elsewhere("name");
        manager_restart(M);
        other = raw_task();
        raw_expect_result(&other, raw_ask_publish(&other, "name"), PTL_E_EXISTS);
        end(owner);
        while (raw_status(&other).names) /* the server hears of the death from the kernel */
                tst_nap();
        raw_publish(&other, "name");
        raw_close(&other);
        manager_close(M);
}

/* ---- deaths and watches ---- */

TEST(an_owner_that_died_meanwhile_is_gone_and_who_watched_is_told)
{
        struct raw watcher, other;
        pid_t owner;

        start();
        watcher = raw_task();
        raw_expect_result(&watcher, raw_ask_watch(&watcher, 5, "w."), 0);
        raw_publish(&watcher, "w.own");
        raw_expect_event(&watcher, PTL_SM_NAME_ADDED, 5, "w.own");
        owner = publish_elsewhere("w.dead");
        raw_expect_event(&watcher, PTL_SM_NAME_ADDED, 5, "w.dead");
        (void)raw_status(&watcher); /* else the server may die before it knows that it has told it */
        manager_kill(M);
        end(owner);
        manager_start(M);
        other = raw_task();
        check_absent(&other, "w.dead");
        raw_publish(&other, "w.new");
        come_back(&watcher);
        raw_expect_event(&watcher, PTL_SM_NAME_REMOVED, 5, "w.dead");
        raw_expect_event(&watcher, PTL_SM_NAME_ADDED, 5, "w.new");
        raw_expect_result(&watcher, raw_ask_watch(&watcher, 5, "w."), 0); /* goes on: nothing is told again */
        raw_publish(&watcher, "w.own");
        assert_all(&watcher);
        raw_withdraw(&other, "w.new");
        raw_expect_event(&watcher, PTL_SM_NAME_REMOVED, 5, "w.new");
        CHECK(!raw_has_input(&watcher));
        raw_close(&watcher);
        raw_close(&other);
        manager_close(M);
}

TEST(an_owner_that_dies_after_the_restart_is_heard_of_though_it_has_not_come_back)
{
        struct raw watcher;
        pid_t owner;

        start();
        owner = publish_elsewhere("name");
        manager_restart(M);
        watcher = raw_task();
        raw_expect_result(&watcher, raw_ask_watch(&watcher, 1, ""), 0);
        raw_expect_event(&watcher, PTL_SM_NAME_ADDED, 1, "name");
        raw_expect(&watcher, PTL_SM_FOUND, raw_ask_look_up(&watcher, "name", false));
        end(owner);
        raw_expect_event(&watcher, PTL_SM_NAME_REMOVED, 1, "name");
        raw_expect(&watcher, PTL_SM_TASK_DEAD, 0);
        raw_close(&watcher);
        manager_close(M);
}

/* More than its socket takes: what waits in the server's memory is lost with that. */
TEST(a_watcher_that_did_not_read_hears_of_all_names_again)
{
        enum { MANY = 2000 };
        struct raw watcher, other;
        unsigned told = 0;
        char name[16];

        start();
        watcher = raw_task();
        other = raw_task();
        raw_expect_result(&watcher, raw_ask_watch(&watcher, 1, ""), 0);
        for (unsigned i = 0; i < MANY; i++) {
                snprintf(name, sizeof name, "many.%u", i);
                raw_publish(&other, name);
        }
        (void)raw_status(&other); /* the last of them was told, too */
        manager_restart(M);
        CHECK(come_back(&watcher));
        raw_expect_result(&watcher, raw_ask_watch(&watcher, 1, ""), 0);
        for (; told < MANY; told++) {
                snprintf(name, sizeof name, "many.%u", told);
                raw_expect_event(&watcher, PTL_SM_NAME_ADDED, 1, name);
        }
        assert_all(&watcher);
        CHECK(come_back(&other));
        raw_publish(&other, "many.0");
        assert_all(&other);
        for (unsigned i = 1; i < MANY; i++) {
                snprintf(name, sizeof name, "many.%u", i);
                raw_expect_event(&watcher, PTL_SM_NAME_REMOVED, 1, name);
        }
        raw_close(&watcher);
        raw_close(&other);
        manager_close(M);
}

TEST(a_watch_that_is_not_said_again_is_dropped)
{
        struct raw watcher, other;

        start();
        watcher = raw_task();
        raw_expect_result(&watcher, raw_ask_watch(&watcher, 1, ""), 0);
        manager_restart(M);
        come_back(&watcher);
        assert_all(&watcher);
        other = raw_task();
        raw_publish(&other, "name");
        (void)raw_status(&watcher); /* fails if an event goes before it */
        raw_close(&watcher);
        raw_close(&other);
        manager_close(M);
}

/* A task ends by closing its connection: nothing of it is there after a restart, though its process lives. */
TEST(a_task_that_left_is_not_recalled)
{
        struct raw owner, other;

        start();
        owner = raw_task();
        other = raw_task();
        raw_publish(&owner, "name");
        raw_close(&owner);
        while (raw_status(&other).tasks > 1)
                tst_nap();
        manager_restart(M);
        come_back(&other);
        check_absent(&other, "name");
        CHECK_EQ(raw_status(&other).tasks, 1);
        raw_close(&other);
        manager_close(M);
}

static int new_region(void)
{
        int fd = memfd_create("region", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        CHECK(fd >= 0 && ftruncate(fd, 4096) == 0 && pwrite(fd, "memory", 6, 0) == 6);
        CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
        return fd;
}

TEST(a_regions_name_waits_for_its_owner_to_bring_the_memory_again)
{
        struct ptl_server_msg region = raw_named(PTL_SM_PUBLISH, "region");
        struct raw owner, other;
        char text[8] = "";
        uint32_t serial;
        int fd;

        start();
        fd = new_region();
        region.publish = (struct ptl_sm_publish){.kind = PTL_SM_KIND_REGION, .size = 4096};
        owner = raw_task();
        raw_expect_result(&owner, raw_send_fd(&owner, region, fd), 0);
        manager_restart(M);
        other = raw_task();
        check_absent(&other, "region");
        serial = raw_ask_look_up(&other, "region", true);
        (void)raw_status(&other); /* it waits */
        come_back(&owner);
        raw_expect_result(&owner, raw_send_fd(&owner, region, -1), PTL_E_LOST);
        raw_expect_result(&owner, raw_send_fd(&owner, region, fd), 0);
        raw_expect(&other, PTL_SM_FOUND, serial);
        CHECK(pread(other.fd, text, 6, 0) == 6 && !strcmp(text, "memory"));
        close(fd);
        raw_close(&owner);
        raw_close(&other);
        manager_close(M);
}

/* ---- who stops it, and how it is asked ---- */

TEST(a_server_that_is_told_to_stop_leaves_all_to_its_successor)
{
        struct raw owner, other;
        int status;

        manager_open(M, true); /* the abstract name space */
        manager_start(M);
        owner = raw_task();
        raw_publish(&owner, "name");
        CHECK(kill(M->server, SIGTERM) == 0 && waitpid(M->server, &status, 0) == M->server);
        CHECK_EQ(status, 0);
        manager_hear(M);
        manager_start(M);
        other = raw_task();
        check_there(&other, "name", &owner);
        raw_close(&owner);
        raw_close(&other);
        manager_close(M);
}

TEST(a_manager_that_keeps_nothing_leaves_all_as_it_was_without_one)
{
        struct raw owner, other;

        manager_open(M, false);
        M->max = 0;
        manager_start(M);
        CHECK_EQ(M->refused, 1);
        owner = raw_task();
        raw_publish(&owner, "name");
        manager_restart(M);
        other = raw_task();
        check_absent(&other, "name");
        CHECK(!come_back(&owner));
        raw_publish(&owner, "name");
        check_there(&other, "name", &owner);
        raw_close(&owner);
        raw_close(&other);
        manager_close(M);
}

TEST(a_manager_that_says_it_keeps_none_is_not_asked)
{
        manager_open(M, false);
        M->fdstore = "0";
        manager_start(M);
        manager_kill(M);
        CHECK_EQ(M->refused + M->n, 0);
        manager_close(M);
}

TEST(nothing_is_asked_of_whoever_started_the_program_that_starts_a_server)
{
        const char *const argv[] = {"--background", NULL};
        struct raw raw;

        manager_open(M, false);
        close(M->listener);
        CHECK(unlink(getenv("PORTOLAN_SOCKET")) == 0);
        CHECK_EQ(raw_run(argv), 0);
        raw = raw_task();
        CHECK(!manager_take(M));
        CHECK(kill(raw.msg.welcome.server.pid, SIGTERM) == 0);
        raw_expect_end(&raw);
        CHECK(tst_wait_until(access(getenv("PORTOLAN_SOCKET"), F_OK) != 0, RAW_MS));
        CHECK(!manager_take(M));
        M->listener = -1;
        close(M->notify);
        unsetenv("NOTIFY_SOCKET");
}

/* ---- what is damaged, foreign, too much ---- */

static int journal_fd(void)
{
        struct kept_fd *k = manager_find(M, "portolan.journal");

        CHECK(k);
        return k->fd;
}

/* The server starts without what it was given, says so, has it dropped, and keeps anew. */
static void check_refused(struct raw *owner)
{
        struct raw other;
        char text[TEXT];

        M->dropped = 0;
        manager_start(M);
        CHECK_EQ(M->dropped, 1);
        CHECK_EQ(M->n, 1);
        other = raw_task();
        check_absent(&other, "name");
        CHECK(!come_back(owner));
        raw_publish(owner, "name");
        manager_kill(M);
        manager_read_errors(M, text, sizeof text);
        CHECK(strstr(text, "portolan.journal") && strstr(text, "refused"));
        manager_start(M);
        come_back(&other);
        check_there(&other, "name", owner);
        manager_kill(M);
        raw_close(&other);
}

static void replace_journal(int fd)
{
        manager_drop(M, "portolan.journal");
        manager_add(M, "portolan.journal", fd);
}

static int sealed_copy(size_t size, int seals)
{
        int fd = memfd_create("journal", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        static char bytes[1 << 17];

        CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
        for (size_t at = 0; at < sizeof bytes && at < size; at += sizeof bytes) {
                ssize_t n = pread(journal_fd(), bytes, sizeof bytes, 0);

                CHECK(n > 0 && pwrite(fd, bytes, size < (size_t)n ? size : (size_t)n, 0) > 0);
        }
        CHECK(fcntl(fd, F_ADD_SEALS, seals) == 0);
        return fd;
}

static void flip(off_t at)
{
        char byte;

        CHECK(pread(journal_fd(), &byte, 1, at) == 1);
        byte ^= 0x10;
        CHECK(pwrite(journal_fd(), &byte, 1, at) == 1);
}

TEST_TIMES(a_damaged_journal_is_refused_and_replaced, 4)
{
        enum { ALL = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW, RECORDS = 0x10000 };
        static const off_t places[] = {
                0, 4, 8, 17, 33, 64, 68, 71,                      /* magic, version, size, key, check, word */
                RECORDS, RECORDS + 8, RECORDS + 12, RECORDS + 20, /* the first record */
                RECORDS + 88 + 16 + 70,                           /* the text of the second's name */
        };
        struct stat st;
        struct raw owner;

        start();
        owner = raw_task();
        raw_publish(&owner, "name");
        manager_kill(M);
        for (size_t i = 0; i < ARRAY_LEN(places); i++) {
                flip(places[i]);
                check_refused(&owner);
        }
        CHECK(fstat(journal_fd(), &st) == 0);
        replace_journal(sealed_copy((size_t)st.st_size, F_SEAL_SHRINK | F_SEAL_GROW)); /* not all seals */
        check_refused(&owner);
        replace_journal(sealed_copy((size_t)st.st_size - 4096, ALL));
        check_refused(&owner);
        replace_journal(sealed_copy((size_t)st.st_size, ALL | F_SEAL_WRITE));
        check_refused(&owner);
        replace_journal(open("/dev/null", O_RDWR | O_CLOEXEC));
        check_refused(&owner);
        replace_journal(sealed_copy((size_t)st.st_size, ALL)); /* a true copy is as good */
        manager_start(M);
        CHECK(come_back(&owner));
        raw_close(&owner);
        manager_close(M);
}

/* The journal as the server has left it; what a test adds is as if the server had. */
static struct journal open_journal(void)
{
        struct journal j;
        int fd = fcntl(journal_fd(), F_DUPFD_CLOEXEC, 0);

        CHECK(fd >= 0);
        CHECK_EQ(journal_open(&j, fd), 0);
        return j;
}

static void append(const void *body, size_t size, uint32_t kind)
{
        struct journal j = open_journal();

        CHECK_EQ(journal_append(&j, kind, body, size, false), 0);
        journal_close(&j);
}

static void append_state(uint32_t kind, uint64_t number, uint32_t state)
{
        struct record_change change = {.key.number = number, .kind = kind, .state = state};

        append(&change, sizeof change, RECORD_STATE);
}

/* Killed between an answer and telling those who watch. */
TEST(what_was_not_told_of_a_name_is_told_after_the_restart)
{
        enum { HERE = 1, LEAVES, LEFT }; /* their numbers, as they were published */
        struct raw watcher, owner;

        start();
        watcher = raw_task();
        owner = raw_task();
        raw_expect_result(&watcher, raw_ask_watch(&watcher, 1, ""), 0);
        raw_publish(&owner, "here");
        raw_publish(&owner, "leaves");
        raw_publish(&owner, "left");
        (void)raw_status(&owner);
        manager_kill(M);
        append_state(RECORD_NAME, HERE, RECORD_UNTOLD);
        append_state(RECORD_NAME, LEAVES, RECORD_LEAVES);
        append_state(RECORD_NAME, LEFT, RECORD_GONE);
        manager_start(M);
        CHECK(come_back(&watcher));
        raw_expect_event(&watcher, PTL_SM_NAME_ADDED, 1, "here");
        raw_expect_event(&watcher, PTL_SM_NAME_REMOVED, 1, "leaves");
        CHECK_EQ(raw_status(&watcher).names, 1);
        check_absent(&watcher, "leaves");
        check_absent(&watcher, "left");
        check_there(&watcher, "here", &owner);
        raw_close(&watcher);
        raw_close(&owner);
        manager_close(M);
}

/* The number of a process that ended is given to others. */
TEST(another_process_with_an_owners_pid_is_not_taken_for_it)
{
        enum { TASK = 10, NAME = 10 };
        struct record_task task = {
                .key.number = TASK, .identity = {.task = {1, 2}, .pid = getpid(), .uid = getuid(), .start_time = 1}};
        struct record_name name = {.key.number = NAME, .owner = TASK, .what.kind = PTL_SM_KIND_PORT, .size = 4, .text = "dead"};
        struct raw other;

        start();
        manager_kill(M);
        append(&task, sizeof task, RECORD_TASK);
        append(&name, offsetof(struct record_name, text) + 4, RECORD_NAME);
        manager_start(M);
        other = raw_task();
        check_absent(&other, "dead");
        CHECK_EQ(raw_status(&other).tasks, 1);
        raw_close(&other);
        manager_close(M);
}

TEST_TIMES(records_that_contradict_each_other_are_refused, 2)
{
        static const struct {
                const char *name;
                uint32_t kind;
                size_t size;
                union {
                        struct record_task task;
                        struct record_name name;
                        struct record_watch watch;
                        struct record_change change;
                } of;
        } bad[] = {
                {"an unknown kind", 5, 24, {.change = {.state = 1}}},
                {"a kind of 0", 0, 24, {.change = {.state = 1}}},
                {"a change of what is not there", RECORD_STATE, 24, {.change = {{77, 0}, RECORD_NAME, RECORD_GONE}}},
                {"a change of a change", RECORD_STATE, 24, {.change = {{1, 0}, RECORD_STATE, RECORD_GONE}}},
                {"a state that there is not", RECORD_STATE, 24, {.change = {{1, 0}, RECORD_NAME, 4}}},
                {"a task that is told", RECORD_STATE, 24, {.change = {{1, 0}, RECORD_TASK, RECORD_TOLD}}},
                {"a change that is short", RECORD_STATE, 16, {.change = {{1, 0}, RECORD_NAME, RECORD_GONE}}},
                {"a name without its task", RECORD_NAME, 72, {.name = {{5, 0}, 77, {.kind = PTL_SM_KIND_PORT}, .size = 1, .text = "x"}}},
                {"a name twice", RECORD_NAME, 72, {.name = {{5, 0}, 1, {.kind = PTL_SM_KIND_PORT}, .size = 4, .text = "name"}}},
                {"a number that falls", RECORD_NAME, 72, {.name = {{0, 0}, 1, {.kind = PTL_SM_KIND_PORT}, .size = 1, .text = "x"}}},
                {"a name without text", RECORD_NAME, 64, {.name = {{5, 0}, 1, {.kind = PTL_SM_KIND_PORT}, .size = 0}}},
                {"a text with a NUL", RECORD_NAME, 72, {.name = {{5, 0}, 1, {.kind = PTL_SM_KIND_PORT}, .size = 2, .text = "x"}}},
                {"a text longer than its record", RECORD_NAME, 72, {.name = {{5, 0}, 1, {.kind = PTL_SM_KIND_PORT}, .size = 9, .text = "xxxxxxxxx"}}},
                {"a text too long", RECORD_NAME, 320, {.name = {{5, 0}, 1, {.kind = PTL_SM_KIND_PORT}, .size = 256, .text = "x"}}},
                {"a name of no kind", RECORD_NAME, 72, {.name = {{5, 0}, 1, .size = 1, .text = "x"}}},
                {"a name in no state", RECORD_NAME, 72, {.name = {{5, 0}, 1, {.kind = PTL_SM_KIND_PORT}, 3, 1, "x"}}},
                {"a task without a pid", RECORD_TASK, 72, {.task = {.key.number = 5}}},
                {"a command without an end", RECORD_TASK, 72,
                 {.task = {.key.number = 5, .identity.pid = 1, .command = "0123456789abcdef"}}},
                {"a watch without its task", RECORD_WATCH, 24, {.watch = {{77, 1}, 0, 1, ""}}},
                {"a watch longer than its record", RECORD_WATCH, 24, {.watch = {{1, 1}, 1, 1, ""}}},
                {"a watch that is settled twice", RECORD_WATCH, 24, {.watch = {{1, 1}, 0, 2, ""}}},
        };
        struct raw owner;

        start();
        owner = raw_task();
        raw_publish(&owner, "name");
        manager_kill(M);
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                fprintf(stderr, "# %s\n", bad[i].name);
                append(&bad[i].of, bad[i].size, bad[i].kind);
                check_refused(&owner);
        }
        raw_close(&owner);
        manager_close(M);
}

TEST(what_is_none_of_ours_is_refused_by_name_and_all_else_is_there)
{
        struct raw owner, other;
        char text[TEXT];
        int pipe_ends[2], copy;

        start();
        owner = raw_task();
        raw_publish(&owner, "name");
        manager_kill(M);
        CHECK(pipe2(pipe_ends, O_CLOEXEC) == 0);
        manager_add(M, "somebody.else", pipe_ends[0]);
        manager_add(M, "portolan.kept", new_region()); /* of a later version, perhaps: stays */
        manager_add(M, "portolan.pipe", pipe_ends[1]);
        manager_add(M, "portolan.no/name", new_region());
        copy = fcntl(journal_fd(), F_DUPFD_CLOEXEC, 0);
        manager_add(M, "portolan.journal", copy); /* twice */
        manager_start(M);
        CHECK(manager_find(M, "somebody.else") && manager_find(M, "portolan.kept"));
        CHECK(!manager_find(M, "portolan.pipe"));
        other = raw_task();
        check_there(&other, "name", &owner);
        CHECK(raw_status(&other).descriptors < 40);
        manager_kill(M);
        manager_read_errors(M, text, sizeof text);
        CHECK(strstr(text, "'somebody.else'") && strstr(text, "'portolan.pipe'") && strstr(text, "'portolan.no/name'") &&
              strstr(text, "'portolan.journal'") && !strstr(text, "'portolan.kept'"));
        raw_close(&owner);
        raw_close(&other);
        manager_close(M);
}

/* ---- at any moment ---- */

static unsigned long setting(const char *variable, unsigned long by_default)
{
        const char *text = getenv(variable);

        return text ? strtoul(text, NULL, 10) : by_default;
}

static uint64_t next_random(uint64_t *state)
{
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        return *state >> 33;
}

enum { NAMES = 12, STEPS = 60 };

/* What one task does: publishes or withdraws names, the next before the last is answered. */
struct walk {
        uint64_t random;
        bool is_there[NAMES];        /* as of all that was answered */
        unsigned which[STEPS], sent, answered;
        struct raw raw;
};

static void name_of(unsigned which, char name[16]) { snprintf(name, 16, "walk.%u", which); }

/* Sends as long as the server lives; whether a step publishes or withdraws follows from those before. */
static void send_steps(struct walk *w)
{
        bool is_there[NAMES];

        memcpy(is_there, w->is_there, sizeof is_there);
        for (w->sent = 0; w->sent < STEPS; w->sent++) {
                unsigned which = w->which[w->sent] = (unsigned)(next_random(&w->random) % NAMES);
                char packet[PTL_SERVER_PACKET_MAX], name[16];
                struct ptl_server_msg msg;

                name_of(which, name);
                msg = raw_named(is_there[which] ? PTL_SM_WITHDRAW : PTL_SM_PUBLISH, name);
                is_there[which] = !is_there[which];
                if (msg.type == PTL_SM_PUBLISH)
                        msg.publish = (struct ptl_sm_publish){.kind = PTL_SM_KIND_PORT, .limit_messages = 7, .ticket = 9};
                msg.serial = ++w->raw.serial;
                msg.name_size = strlen(name);
                CHECK_EQ(ptl_socket_send(w->raw.socket, packet, ptl_server_msg_encode(&msg, packet), NULL, 0), 0);
        }
}

/* What its names' introductions and deaths tell it is passed over. */
static bool take_answer(struct walk *w)
{
        do
                if (!raw_receive(&w->raw))
                        return false;
        while (!w->raw.msg.serial);
        CHECK_EQ(w->raw.msg.type, PTL_SM_RESULT);
        CHECK_EQ(w->raw.msg.result.outcome, 0);
        return true;
}

static void take_step(struct walk *w) { w->is_there[w->which[w->answered++]] ^= true; }

/* What the server knows is what it knew after some step, and no earlier one than the last that it answered. */
static unsigned find_step(const struct walk *w, struct raw *other)
{
        bool found[NAMES], expected[NAMES];

        for (unsigned i = 0; i < NAMES; i++) {
                char name[16];

                name_of(i, name);
                CHECK(raw_ask_look_up(other, name, false) && raw_receive(other));
                found[i] = other->msg.type == PTL_SM_FOUND;
        }
        memcpy(expected, w->is_there, sizeof expected);
        for (unsigned step = w->answered; step <= w->sent; step++) {
                if (!memcmp(found, expected, sizeof found))
                        return step;
                if (step < w->sent)
                        expected[w->which[step]] ^= true;
        }
        CHECK(!"a state that there was");
        return 0;
}

/* Says all that it has once more. */
static void say_again(struct walk *w)
{
        char name[16];

        CHECK(come_back(&w->raw));
        for (unsigned i = 0; i < NAMES; i++) {
                name_of(i, name);
                if (w->is_there[i]) {
                        (void)raw_ask_publish(&w->raw, name);
                        CHECK(take_answer(w));
                }
        }
        raw_send(&w->raw, (struct ptl_server_msg){.type = PTL_SM_ASSERTED});
        CHECK(take_answer(w));
}

static void one_round(struct walk *w)
{
        unsigned kill_after = (unsigned)(next_random(&w->random) % STEPS), step;
        struct raw other;

        w->answered = 0;
        send_steps(w);
        while (w->answered < kill_after) {
                CHECK(take_answer(w));
                take_step(w);
        }
        manager_kill(M);
        while (take_answer(w)) /* what it had said before it died */
                take_step(w);
        manager_start(M);
        other = raw_task();
        step = find_step(w, &other);
        while (w->answered < step)
                take_step(w);
        raw_close(&other);
        say_again(w);
}

TEST_TIMES(killed_at_any_moment_it_knows_what_it_said_that_it_did, 4)
{
        struct walk walk = {.random = setting("STORE_SEED", 1)};

        start();
        walk.raw = raw_task();
        for (unsigned long i = setting("STORE_ROUNDS", 100); i; i--)
                one_round(&walk);
        raw_close(&walk.raw);
        manager_close(M);
}

/* ---- the library ---- */

/* owner: publishes a port, watches, and then is in its own code until it is told to go on. */
PEER(owner)
{
        ptl_port port = new_port(), notify = new_port();
        struct ptl_server_status status;
        struct ptl_message m;
        char line[32];

        (void)argc;
        (void)argv;
        OK(ptl_name_publish("owner", port));
        OK(ptl_name_publish("owner.gone", new_port()));
        OK(ptl_name_watch("dead", notify));
        take_name(notify, PTL_NOTIFY_NAME_ADDED, "dead");
        OK(ptl_server_get_status(&status)); /* the server knows that all was told */
        peer_say(NULL, "published");
        CHECK(peer_hear_line(NULL, line, sizeof line));
        take(port, "x"); /* sent before its receiver knew of the sender */
        OK(ptl_receive(port, &m, soon()));
        OK(ptl_reply(&m, m.data, m.size));
        ptl_message_release(&m);
        take_name(notify, PTL_NOTIFY_NAME_REMOVED, "dead");
        OK(ptl_name_withdraw("owner.gone"));
        peer_say(NULL, "answered");
        peer_stay();
}

PEER(doomed)
{
        (void)argc;
        (void)argv;
        OK(ptl_name_publish("dead", new_port()));
        peer_say(NULL, "published");
        peer_stay();
}

/* The next packet that is neither of a board nor the end. */
static struct ptl_server_msg hear(int connection, enum ptl_server_type type)
{
        struct raw raw = {.socket = connection, .fd = -EBADF};

        do
                CHECK(raw_receive(&raw));
        while (raw.msg.type == PTL_SM_LODGE);
        ptl_close(raw.fd);
        CHECK_STR_EQ(ptl_server_type_name(raw.msg.type), ptl_server_type_name(type));
        return raw.msg;
}

static int welcome(int listener, uint64_t features)
{
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct ptl_server_msg hello, msg = {.type = PTL_SM_WELCOME};

        CHECK(connection >= 0);
        hello = hear(connection, PTL_SM_HELLO);
        msg.serial = hello.serial;
        msg.welcome = (struct ptl_sm_welcome){
                .protocol = PTL_SERVER_PROTOCOL, .features = features, .you = {.task = {1, 2}, .pid = 5}, .version = "0"};
        raw_say(connection, msg, -1);
        return connection;
}

static void answer(int connection, uint32_t serial)
{
        raw_say(connection, (struct ptl_server_msg){.type = PTL_SM_RESULT, .serial = serial}, -1);
}

TEST(a_library_says_that_it_has_said_all_behind_what_it_was_just_asking)
{
        struct ptl_server_msg first, second;
        struct peer peer;
        int listener, connection;

        (void)tst_private_server();
        listener = raw_listen();
        peer_start(&peer, "publisher", "name", NULL);
        connection = welcome(listener, 0);
        first = hear(connection, PTL_SM_PUBLISH);
        close(connection); /* it dies before it answers; its successor has it in its journal */
        connection = welcome(listener, PTL_SM_RECALLED);
        second = hear(connection, PTL_SM_PUBLISH);
        CHECK_EQ(first.publish.ticket, second.publish.ticket);
        (void)hear(connection, PTL_SM_ASSERTED);
        answer(connection, second.serial);
        peer_hear(&peer, "published");
        close(connection); /* and once more, with nothing under way but what is to be said again */
        peer_say(&peer, "withdraw");
        connection = welcome(listener, PTL_SM_RECALLED);
        first = hear(connection, PTL_SM_WITHDRAW);
        (void)hear(connection, PTL_SM_ASSERTED);
        answer(connection, first.serial);
        peer_hear(&peer, "done");
        peer_end(&peer);
        close(connection);
        close(listener);
}

TEST(a_program_in_its_own_code_is_found_called_and_told_after_a_restart)
{
        struct peer owner, doomed;
        struct ptl_server_status status;
        char answer[8];
        size_t n = sizeof answer;
        ptl_port port;

        start();
        peer_start(&doomed, "doomed", NULL);
        peer_hear(&doomed, "published");
        peer_start(&owner, "owner", NULL);
        peer_hear(&owner, "published");
        manager_kill(M);
        peer_kill(&doomed);
        manager_start(M);
        OK(ptl_name_look_up("owner", &port, PTL_NOW));
        OUTCOME(ptl_name_look_up("dead", &port, PTL_NOW), PTL_E_NOT_FOUND);
        OK(ptl_name_look_up("owner.gone", &port, PTL_NOW));
        OK(ptl_name_look_up("owner", &port, PTL_NOW));
        put(port, "x");
        peer_say(&owner, "go on");
        OK(ptl_call(port, "hello", 6, answer, &n, soon()));
        peer_hear(&owner, "answered");
        OUTCOME(ptl_name_look_up("owner.gone", &port, PTL_NOW), PTL_E_NOT_FOUND);
        manager_restart(M);
        OK(ptl_name_look_up("owner", &port, PTL_NOW));
        OK(ptl_server_get_status(&status));
        CHECK_EQ(status.names, 1);
        peer_end(&owner);
        OK(ptl_task_leave());
        manager_close(M);
}
