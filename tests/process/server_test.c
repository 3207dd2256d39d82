/* SPDX-License-Identifier: Apache-2.0 */
/* process/server_test.c - what a real portoland answers: greeting, names, introductions, death */
#define _GNU_SOURCE
#include "server_raw.h"

static pid_t server;

static void stop_server(void) { raw_stop(server); }

static void use_server(void)
{
        server = raw_private_server();
        tst_at_end(stop_server);
}

/* A task in a process of its own that publishes @name and stays. With @heir, a child of it inherits
 * its socket and outlives it. */
static pid_t publisher(const char *name, bool heir)
{
        pid_t pid = fork();

        CHECK(pid >= 0);
        if (pid == 0) {
                struct raw raw = raw_task();

                raw_publish(&raw, name);
                if (heir && fork() == 0)
                        raw_publish(&raw, "heir");
                for (;;)
                        pause();
        }
        return pid;
}

static void kill_and_reap(pid_t pid)
{
        CHECK(kill(pid, SIGKILL) == 0);
        CHECK(waitpid(pid, NULL, 0) == pid);
}

/* ---- greeting ---- */

TEST(a_hello_is_welcomed_with_what_the_kernel_says_of_both)
{
        struct raw a, b;

        use_server();
        a = raw_task();
        CHECK_EQ(a.me.pid, getpid());
        CHECK_EQ(a.me.uid, geteuid());
        CHECK_EQ(a.me.gid, getegid());
        CHECK(a.me.start_time > 0);
        CHECK(a.me.task.high && a.me.task.low);
        CHECK_EQ(a.msg.welcome.protocol, PTL_SERVER_PROTOCOL);
        CHECK_EQ(a.msg.welcome.server.pid, server);
        CHECK(!a.msg.welcome.server.task.high && !a.msg.welcome.server.task.low);
        b = raw_task();
        CHECK(!raw_is_same(a.me.task, b.me.task));
        raw_close(&a);
        raw_close(&b);
}

TEST(another_protocol_is_answered_with_version_and_the_end)
{
        struct ptl_server_msg hello = {.type = PTL_SM_HELLO, .hello.protocol = 2};
        struct raw raw;

        use_server();
        raw = raw_connect();
        raw_expect_result(&raw, raw_send(&raw, hello), PTL_E_VERSION);
        raw_expect_end(&raw);
}

TEST(a_hello_of_another_shape_is_answered_with_version_too)
{
        struct ptl_server_head head = {
                .magic = PTL_SERVER_MAGIC, .type = PTL_SM_HELLO, .serial = 5, .body_size = 900};
        char packet[sizeof head + 900] = {0};
        struct raw raw;

        use_server();
        raw = raw_connect();
        memcpy(packet, &head, sizeof head);
        packet[sizeof head] = 99; /* the protocol */
        CHECK_EQ(ptl_socket_send(raw.socket, packet, sizeof packet, NULL, 0), 0);
        for (int i = 0; i < 2; i++) { /* and it talks on: the answer comes all the same */
                int r = ptl_socket_send(raw.socket, packet, sizeof packet, NULL, 0);

                CHECK(r == 0 || r == -EPIPE); /* the server may have hung up by now */
        }
        raw_expect_result(&raw, 5, PTL_E_VERSION);
        raw_expect_end(&raw);
}

static const struct broken_row {
        const char *name;
        bool after_hello;
        struct ptl_server_msg msg;
} broken_rows[] = {
        {"a request before HELLO", false, {.type = PTL_SM_STATUS}                                      },
        {"an answer before HELLO", false, {.type = PTL_SM_WELCOME}                                     },
        {"a second HELLO",         true,  {.type = PTL_SM_HELLO, .hello.protocol = PTL_SERVER_PROTOCOL}},
        {"an answer",              true,  {.type = PTL_SM_RESULT}                                      },
        {"an event",               true,  {.type = PTL_SM_TASK_DEAD}                                   },
        {"a field out of range",   true,  {.type = PTL_SM_LIST, .list.what = 9}                        },
};

TEST(who_breaks_the_protocol_is_disconnected_alone)
{
        struct raw witness;

        use_server();
        witness = raw_task();
        for (size_t i = 0; i < ARRAY_LEN(broken_rows); i++) {
                struct raw raw = broken_rows[i].after_hello ? raw_task() : raw_connect();

                fprintf(stderr, "# %s\n", broken_rows[i].name);
                raw_send(&raw, broken_rows[i].msg);
                raw_expect_end(&raw);
                raw_status(&witness);
        }
        raw_close(&witness);
}

TEST(garbage_and_packets_too_large_and_stray_descriptors_disconnect)
{
        char large[PTL_SERVER_PACKET_MAX + 1] = {0};
        struct raw a, b, c;

        use_server();
        a = raw_task();
        CHECK_EQ(ptl_socket_send(a.socket, "garbage", 7, NULL, 0), 0);
        raw_expect_end(&a);
        b = raw_task();
        CHECK_EQ(ptl_socket_send(b.socket, large, sizeof large, NULL, 0), 0);
        raw_expect_end(&b);
        c = raw_task();
        raw_send_fd(&c, (struct ptl_server_msg){.type = PTL_SM_STATUS}, 2);
        raw_expect_end(&c);
}

TEST(an_id_is_given_again_to_its_user_but_never_twice_at_once)
{
        struct raw a, b, c;
        int passport;

        use_server();
        a = raw_task();
        passport = raw_take_passport(&a);
        b = raw_connect();
        raw_hello(&b, passport);
        CHECK(!raw_is_same(a.me.task, b.me.task));
        raw_close(&a);
        while (raw_status(&b).tasks != 1)
                ;
        c = raw_connect();
        raw_hello(&c, passport);
        CHECK(raw_is_same(a.me.task, c.me.task));
        raw_close(&b);
        raw_close(&c);
        close(passport);
}

/* What a task makes itself, or got from another, is no passport. @change: a byte that is made wrong, or -1. */
static int copy_of_passport(int passport, int change, unsigned seals)
{
        char bytes[256];
        ssize_t n = pread(passport, bytes, sizeof bytes, 0);
        int fd = memfd_create("portolan-passport", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        CHECK(n > 0 && n < (ssize_t)sizeof bytes && change < n && fd >= 0);
        if (change >= 0)
                bytes[change] ^= 1;
        CHECK(write(fd, bytes, (size_t)n) == n);
        CHECK(fcntl(fd, F_ADD_SEALS, seals) == 0);
        return fd;
}

static void check_refused(int no_passport, struct ptl_task_id id)
{
        struct raw raw = raw_connect();

        raw_hello(&raw, no_passport);
        CHECK(!raw_is_same(raw.me.task, id));
        raw_close(&raw);
        close(no_passport);
}

TEST(what_is_no_passport_gives_a_new_id)
{
        const unsigned all = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
        struct raw a, b;
        struct stat st;
        int passport;

        use_server();
        a = raw_task();
        b = raw_task(); /* keeps the server from having nobody */
        passport = raw_take_passport(&a);
        CHECK_EQ((unsigned)fcntl(passport, F_GET_SEALS) & all, all);
        CHECK(fstat(passport, &st) == 0);
        raw_close(&a);
        while (raw_status(&b).tasks != 1)
                ;
        check_refused(copy_of_passport(passport, -1, all & ~(unsigned)F_SEAL_WRITE), a.me.task);
        check_refused(copy_of_passport(passport, -1, all & ~(unsigned)F_SEAL_SEAL), a.me.task);
        check_refused(copy_of_passport(passport, 0, all), a.me.task); /* the magic */
        check_refused(copy_of_passport(passport, 8 + offsetof(struct ptl_identity, pid), all), a.me.task);
        check_refused(copy_of_passport(passport, 8 + offsetof(struct ptl_identity, start_time), all), a.me.task);
        check_refused(open("/dev/null", O_RDONLY | O_CLOEXEC), a.me.task);
        check_refused(open("/", O_PATH | O_CLOEXEC), a.me.task);
        close(passport);
        raw_close(&b);
}

/* ---- names and introductions ---- */

TEST(a_look_up_introduces_both_over_one_socket)
{
        struct raw owner, looker;
        int mine, theirs;

        use_server();
        owner = raw_task();
        looker = raw_task();
        raw_publish(&owner, "echo");
        raw_expect(&looker, PTL_SM_FOUND, raw_ask_look_up(&looker, "echo", false));
        CHECK_EQ(looker.msg.found.kind, PTL_SM_KIND_PORT);
        CHECK_EQ(looker.msg.found.link, 1);
        CHECK_EQ(looker.msg.found.ticket, 9);
        CHECK_EQ(looker.msg.found.limit_messages, 7);
        CHECK_EQ(looker.msg.found.limit_bytes, 8);
        CHECK(memcmp(&looker.msg.found.owner, &owner.me, sizeof owner.me) == 0);
        mine = raw_take_fd(&looker);
        CHECK(raw_has_input(&owner)); /* the owner was told before */
        raw_expect(&owner, PTL_SM_INTRODUCTION, 0);
        CHECK(memcmp(&owner.msg.introduction.peer, &looker.me, sizeof looker.me) == 0);
        theirs = raw_take_fd(&owner);
        raw_check_connected(mine, theirs);
        close(mine);
        close(theirs);
        raw_close(&owner);
        raw_close(&looker);
}

TEST(tasks_are_introduced_once_and_never_to_themselves)
{
        struct raw a, b;

        use_server();
        a = raw_task();
        b = raw_task();
        raw_publish(&a, "a");
        raw_publish(&b, "b");
        raw_expect(&a, PTL_SM_FOUND, raw_ask_look_up(&a, "a", false));
        CHECK(a.msg.found.link == 0 && a.fd < 0);
        raw_expect(&b, PTL_SM_FOUND, raw_ask_look_up(&b, "a", false));
        CHECK(b.msg.found.link == 1 && b.fd >= 0);
        raw_expect(&a, PTL_SM_INTRODUCTION, 0);
        raw_expect(&b, PTL_SM_FOUND, raw_ask_look_up(&b, "a", false));
        CHECK(b.msg.found.link == 0 && b.fd < 0);
        raw_expect(&a, PTL_SM_FOUND, raw_ask_look_up(&a, "b", false)); /* the other way round */
        CHECK(a.msg.found.link == 0 && a.fd < 0);
        CHECK_EQ(raw_status(&a).introductions, 1);
        raw_close(&a);
        raw_close(&b);
}

TEST(an_introduction_asked_for_is_always_a_fresh_socket)
{
        struct raw a, b;
        int fds[4];

        use_server();
        a = raw_task();
        b = raw_task();
        for (int i = 0; i < 4; i += 2) {
                raw_expect(&a, PTL_SM_FOUND, raw_ask_introduce(&a, b.me.task));
                CHECK(a.msg.found.kind == PTL_SM_KIND_NONE && a.msg.found.link == 1);
                CHECK(raw_is_same(a.msg.found.owner.task, b.me.task));
                fds[i] = raw_take_fd(&a);
                raw_expect(&b, PTL_SM_INTRODUCTION, 0);
                fds[i + 1] = raw_take_fd(&b);
        }
        for (int i = 0; i < 4; i += 2)
                raw_check_connected(fds[i], fds[i + 1]);
        raw_expect_result(&a, raw_ask_introduce(&a, a.me.task), PTL_E_INVALID);
        raw_expect_result(&a, raw_ask_introduce(&a, (struct ptl_task_id){1, 2}), PTL_E_NOT_FOUND);
        for (int i = 0; i < 4; i++)
                close(fds[i]);
        raw_close(&a);
        raw_close(&b);
}

TEST(a_name_has_one_owner_who_alone_withdraws_it)
{
        struct raw a, b;

        use_server();
        a = raw_task();
        b = raw_task();
        raw_publish(&a, "n");
        raw_expect_result(&b, raw_ask_publish(&b, "n"), PTL_E_EXISTS);
        raw_expect_result(&a, raw_ask_publish(&a, "n"), PTL_E_EXISTS);
        raw_expect_result(&b, raw_send(&b, raw_named(PTL_SM_WITHDRAW, "n")), PTL_E_NOT_FOUND);
        raw_withdraw(&a, "n");
        raw_expect_result(&a, raw_send(&a, raw_named(PTL_SM_WITHDRAW, "n")), PTL_E_NOT_FOUND);
        raw_expect_result(&b, raw_ask_look_up(&b, "n", false), PTL_E_NOT_FOUND);
        raw_publish(&b, "n");
        raw_close(&a);
        raw_close(&b);
}

TEST(a_waiting_look_up_is_answered_when_the_name_comes)
{
        struct raw owner, looker;
        uint32_t first, second;

        use_server();
        owner = raw_task();
        looker = raw_task();
        first = raw_ask_look_up(&looker, "late", true);
        second = raw_ask_look_up(&looker, "late", true);
        CHECK_EQ(raw_status(&looker).names, 0); /* awaited is not published */
        raw_publish(&owner, "late");
        raw_expect(&looker, PTL_SM_FOUND, first);
        CHECK_EQ(looker.msg.found.link, 1);
        raw_expect(&looker, PTL_SM_FOUND, second);
        CHECK_EQ(looker.msg.found.link, 0);
        raw_expect(&owner, PTL_SM_INTRODUCTION, 0);
        raw_close(&owner);
        raw_close(&looker);
}

TEST(a_cancelled_look_up_is_never_answered)
{
        struct ptl_server_msg cancel = {.type = PTL_SM_CANCEL};
        struct raw owner, looker;

        use_server();
        owner = raw_task();
        looker = raw_task();
        cancel.cancel.serial = raw_ask_look_up(&looker, "late", true);
        raw_expect_result(&looker, raw_send(&looker, cancel), 0);
        raw_expect_result(&looker, raw_send(&looker, cancel), PTL_E_NOT_FOUND);
        raw_publish(&owner, "late");
        raw_status(&looker); /* and no FOUND before it */
        CHECK_EQ(raw_status(&owner).introductions, 0);
        raw_close(&owner);
        raw_close(&looker);
}

/* ---- death ---- */

TEST(a_killed_tasks_names_go_and_those_who_knew_it_are_told)
{
        struct ptl_task_id dead;
        struct raw raw;
        pid_t pid;

        use_server();
        raw = raw_task();
        pid = publisher("mortal", false);
        raw_expect(&raw, PTL_SM_FOUND, raw_ask_look_up(&raw, "mortal", true));
        dead = raw.msg.found.owner.task;
        kill_and_reap(pid);
        raw_expect(&raw, PTL_SM_TASK_DEAD, 0);
        CHECK(raw_is_same(raw.msg.task.id, dead));
        raw_expect_result(&raw, raw_ask_look_up(&raw, "mortal", false), PTL_E_NOT_FOUND);
        raw_expect_result(&raw, raw_ask_introduce(&raw, dead), PTL_E_NOT_FOUND);
        CHECK_EQ(raw_status(&raw).tasks, 1);
        raw_close(&raw);
}

TEST(a_child_that_inherited_the_socket_does_not_keep_a_dead_task_alive)
{
        struct ptl_task_id dead;
        struct raw raw;
        pid_t pid;

        use_server();
        raw = raw_task();
        pid = publisher("mortal", true);
        raw_expect(&raw, PTL_SM_FOUND, raw_ask_look_up(&raw, "heir", true));
        dead = raw.msg.found.owner.task;
        kill_and_reap(pid);
        raw_expect(&raw, PTL_SM_TASK_DEAD, 0);
        CHECK(raw_is_same(raw.msg.task.id, dead));
        CHECK_EQ(raw_status(&raw).names, 0);
        raw_close(&raw);
}

TEST(who_was_never_introduced_to_the_dead_is_not_told)
{
        struct raw a, b;

        use_server();
        a = raw_task();
        b = raw_task();
        raw_publish(&b, "b");
        raw_close(&b);
        while (raw_status(&a).tasks != 1) /* the only thing that comes */
                ;
        raw_close(&a);
}

TEST(a_dead_tasks_look_ups_are_dropped)
{
        struct raw a, b;

        use_server();
        a = raw_task();
        b = raw_task();
        raw_ask_look_up(&b, "late", true);
        raw_status(&b);
        raw_close(&b);
        while (raw_status(&a).tasks != 1)
                ;
        raw_publish(&a, "late");
        CHECK_EQ(raw_status(&a).introductions, 0);
        raw_close(&a);
}
