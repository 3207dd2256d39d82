/* SPDX-License-Identifier: Apache-2.0 */
/* process/server_hostile_test.c - clients that do not read, flood, hoard, lie: harm to themselves
 * only */
#define _GNU_SOURCE
#include "proc.h"
#include "server_raw.h"

enum { FLOOD = 20000, CROWD = 100 };

static pid_t server;

static void stop_server(void) { raw_stop(server); }

static void use_server(void)
{
        server = raw_private_server();
        tst_at_end(stop_server);
}

/* ---- who does not read ---- */

TEST(introductions_to_an_owner_who_does_not_read_are_refused_to_the_looker)
{
        struct raw owner, looker;
        int made = 0, taken = 0;

        use_server();
        owner = raw_task();
        looker = raw_task();
        for (;;) {
                CHECK(raw_ask_introduce(&looker, owner.me.task));
                CHECK(raw_receive(&looker));
                if (looker.msg.type == PTL_SM_RESULT)
                        break;
                CHECK(looker.msg.type == PTL_SM_FOUND && looker.fd >= 0);
                made++;
        }
        CHECK_EQ(looker.msg.result.outcome, PTL_E_QUOTA);
        CHECK_EQ(raw_status(&looker).tasks, 2);
        for (; taken < made; taken++) { /* it wakes up: nothing was lost, nothing comes twice */
                raw_expect(&owner, PTL_SM_INTRODUCTION, 0);
                CHECK(owner.fd >= 0);
        }
        raw_status(&owner);
        raw_expect(&looker, PTL_SM_FOUND, raw_ask_introduce(&looker, owner.me.task));
        raw_expect(&owner, PTL_SM_INTRODUCTION, 0);
        raw_close(&owner);
        raw_close(&looker);
}

TEST(a_look_up_of_an_owner_who_does_not_read_fails_and_can_be_repeated)
{
        struct raw owner, hoarder, looker;

        use_server();
        owner = raw_task();
        hoarder = raw_task();
        looker = raw_task();
        raw_publish(&owner, "n");
        do {
                raw_ask_introduce(&hoarder, owner.me.task);
                CHECK(raw_receive(&hoarder));
        } while (hoarder.msg.type == PTL_SM_FOUND);
        raw_expect_result(&looker, raw_ask_look_up(&looker, "n", true), PTL_E_QUOTA);
        raw_send(&owner, (struct ptl_server_msg){.type = PTL_SM_STATUS});
        do
                CHECK(raw_receive(&owner));
        while (owner.msg.type != PTL_SM_STATUS_REPLY); /* behind all the introductions */
        raw_expect(&looker, PTL_SM_FOUND, raw_ask_look_up(&looker, "n", true));
        CHECK(looker.msg.found.link == 1 && looker.fd >= 0); /* nothing had been remembered */
        raw_close(&owner);
        raw_close(&hoarder);
        raw_close(&looker);
}

TEST(a_watcher_who_does_not_read_is_disconnected_and_nobody_else)
{
        struct raw sleeper, owner;
        char name[PTL_SERVER_NAME_MAX + 1];
        int n = 0;

        use_server();
        sleeper = raw_task();
        owner = raw_task();
        raw_expect_result(&sleeper, raw_ask_watch(&sleeper, 1, ""), 0);
        memset(name, 'x', sizeof name - 1);
        name[sizeof name - 1] = 0;
        for (; raw_status(&owner).tasks == 2; n++) {
                CHECK(n < FLOOD);
                raw_publish(&owner, name);
                raw_withdraw(&owner, name);
        }
        while (raw_receive(&sleeper)) /* what it had been sent is there still */
                n--;
        raw_close(&sleeper);
        raw_close(&owner);
}

TEST(a_flood_of_requests_without_reading_is_answered_in_the_end_and_locks_nobody_out)
{
        struct ptl_server_msg status = {.type = PTL_SM_STATUS};
        struct raw flooder, other;
        uint32_t sent = 0, got = 0;
        char packet[PTL_SERVER_PACKET_MAX];

        use_server();
        flooder = raw_task();
        other = raw_task();
        for (;;) { /* until the server reads no more of it */
                size_t size;
                int r;

                status.serial = sent + 1;
                size = ptl_server_msg_encode(&status, packet);
                r = ptl_socket_send(flooder.socket, packet, size, NULL, 0);
                if (r == 0) {
                        sent++;
                        continue;
                }
                CHECK_EQ(r, -EAGAIN);
                if (poll(&(struct pollfd){flooder.socket, POLLOUT, 0}, 1, 200) == 0)
                        break;
        }
        CHECK(sent > 1000);
        raw_status(&other);
        while (got < sent)
                raw_expect(&flooder, PTL_SM_STATUS_REPLY, ++got);
        raw_close(&flooder);
        raw_close(&other);
}

/* ---- quotas ---- */

TEST(quotas_refuse_and_never_disconnect)
{
        struct ptl_server_msg cancel = {.type = PTL_SM_CANCEL};
        struct raw raw, late;

        CHECK(!setenv("PORTOLAND_MAX_NAMES", "2", 1) && !setenv("PORTOLAND_MAX_LOOKUPS", "2", 1));
        CHECK(!setenv("PORTOLAND_MAX_WATCHES", "2", 1) && !setenv("PORTOLAND_MAX_TASKS", "1", 1));
        use_server();
        raw = raw_task();
        raw_publish(&raw, "1");
        raw_publish(&raw, "2");
        raw_expect_result(&raw, raw_ask_publish(&raw, "3"), PTL_E_QUOTA);
        raw_withdraw(&raw, "1");
        raw_publish(&raw, "3");

        cancel.cancel.serial = raw_ask_look_up(&raw, "a", true);
        raw_ask_look_up(&raw, "b", true);
        raw_expect_result(&raw, raw_ask_look_up(&raw, "c", true), PTL_E_QUOTA);
        raw_expect_result(&raw, raw_send(&raw, cancel), 0);
        raw_ask_look_up(&raw, "c", true);

        raw_expect_result(&raw, raw_ask_watch(&raw, 1, "w"), 0);
        raw_expect_result(&raw, raw_ask_watch(&raw, 2, "w"), 0);
        raw_expect_result(&raw, raw_ask_watch(&raw, 3, "w"), PTL_E_QUOTA);
        raw_expect_result(&raw, raw_ask_watch(&raw, 2, "v"), 0); /* replaced: no more than before */

        late = raw_connect();
        struct ptl_server_msg hello = {.type = PTL_SM_HELLO, .hello.protocol = PTL_SERVER_PROTOCOL};
        raw_expect_result(&late, raw_send(&late, hello), PTL_E_QUOTA);
        raw_close(&raw);
        do { /* the same connection, when there is room */
                raw_send(&late, hello);
                CHECK(raw_receive(&late));
        } while (late.msg.type == PTL_SM_RESULT && late.msg.result.outcome == PTL_E_QUOTA);
        CHECK_EQ(late.msg.type, PTL_SM_WELCOME);
        raw_close(&late);
}

/* More than may be silent have spoken by the time the server comes to them: all are heard. */
TEST(all_who_greet_at_once_are_welcomed)
{
        struct ptl_server_msg hello = {.type = PTL_SM_HELLO, .hello.protocol = PTL_SERVER_PROTOCOL};
        struct raw crowd[CROWD];
        int status;

        use_server();
        CHECK(kill(server, SIGSTOP) == 0);
        CHECK(waitpid(server, &status, WUNTRACED) == server && WIFSTOPPED(status));
        for (int i = 0; i < CROWD; i++) {
                crowd[i] = raw_connect();
                raw_send(&crowd[i], hello);
        }
        CHECK(kill(server, SIGCONT) == 0);
        for (int i = 0; i < CROWD; i++) {
                raw_expect(&crowd[i], PTL_SM_WELCOME, 1);
                raw_close(&crowd[i]);
        }
}

TEST(silent_connections_lock_nobody_out)
{
        struct raw silent[CROWD], raw;
        int closed = 0;

        use_server();
        for (int i = 0; i < CROWD; i++)
                silent[i] = raw_connect();
        raw = raw_task();
        raw_status(&raw);
        for (int i = 0; i < CROWD; i++) {
                closed += raw_has_input(&silent[i]);
                raw_close(&silent[i]);
        }
        CHECK(closed > 0 && closed < CROWD); /* the oldest made way */
        raw_close(&raw);
}

/* A server that may have few descriptors, as another user if @uid is not ours. */
static pid_t poor_server(rlim_t limit, uid_t uid)
{
        const char *const argv[] = {"--socket", tst_private_server(), NULL};
        pid_t pid;
        int fd;

        raw_program();
        CHECK(chmod(tst_temp_dir(), 0777) == 0);
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) { /* a limit cannot be raised again, so it is only the child's */
                CHECK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){limit, limit}) == 0);
                CHECK(setuid(uid) == 0);
                raw_exec(argv);
        }
        CHECK(tst_wait_until((fd = raw_try_connect(argv[1])) >= 0, RAW_MS));
        close(fd);
        return pid;
}

/* 0: WELCOME. */
static int greet(struct raw *raw, uint64_t features)
{
        struct ptl_server_msg hello = {
                .type = PTL_SM_HELLO,
                .hello = {.protocol = PTL_SERVER_PROTOCOL, .features = features, .command = "raw"},
        };
        uint32_t serial = raw_send(raw, hello);

        CHECK(raw_receive(raw));
        CHECK_EQ(raw->msg.serial, serial);
        if (raw->msg.type == PTL_SM_WELCOME)
                return 0;
        CHECK_EQ(raw->msg.type, PTL_SM_RESULT);
        return raw->msg.result.outcome;
}

enum { ROOM = 4, PLENTY = 64 }; /* in a full server: tasks beside the first */

/* Descriptors that count against a limit: those that a process inherited may have numbers beyond it. */
static rlim_t descriptors_below(pid_t pid, int limit)
{
        char path[64];
        rlim_t n = 0;

        for (int fd = 0; fd < limit; fd++) {
                snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
                n += readlink(path, &(char){0}, 1) >= 0;
        }
        return n;
}

/* One task, and room for ROOM more: with these it has no descriptor left but its reserve. */
static pid_t narrow_server(struct raw *ret_first)
{
        enum { BUSY = 6 + 4 + 2 }; /* its own, the reserve, a task's */
        pid_t pid = poor_server(PLENTY, geteuid());
        struct rlimit limit;

        *ret_first = raw_task();
        CHECK(tst_wait_until(raw_status(ret_first).descriptors == BUSY, RAW_MS));
        limit.rlim_cur = limit.rlim_max = descriptors_below(pid, PLENTY) + 2 * ROOM;
        CHECK(prlimit(pid, RLIMIT_NOFILE, &limit, NULL) == 0);
        return pid;
}

static void fill_up(struct raw *crowd)
{
        for (int i = 0; i < ROOM; i++)
                crowd[i] = raw_task();
}

TEST(without_descriptors_who_greets_is_told_so_and_who_only_looks_is_let_in)
{
        struct raw first, crowd[ROOM], silent[ROOM], late, looker;
        pid_t pid = narrow_server(&first);

        fill_up(crowd);
        for (int i = 0; i < ROOM; i++) /* more than the reserve can hold */
                silent[i] = raw_connect();
        late = raw_connect();
        CHECK_EQ(greet(&late, 0), PTL_E_QUOTA);
        raw_expect_end(&late);
        looker = raw_connect();
        CHECK_EQ(greet(&looker, PTL_SM_LOOKS), 0);
        CHECK_EQ(raw_status(&looker).tasks, 1 + ROOM + 1);
        raw_expect_result(&looker, raw_ask_publish(&looker, "x"), PTL_E_QUOTA);
        raw_publish(&first, "y"); /* who is in is served */
        raw_expect_result(&looker, raw_ask_look_up(&looker, "y", false), PTL_E_QUOTA);
        raw_expect_result(&crowd[0], raw_ask_look_up(&crowd[0], "y", false), -EMFILE);
        for (int i = 0; i < ROOM; i++)
                raw_close(&silent[i]);
        raw_close(&crowd[1]);
        raw_close(&crowd[2]);
        raw_close(&looker);
        CHECK(tst_wait_until(raw_status(&first).tasks == ROOM - 1, RAW_MS));
        raw_expect(&crowd[0], PTL_SM_FOUND, raw_ask_look_up(&crowd[0], "y", false));
        late = raw_task();
        raw_close(&late);
        raw_close(&crowd[0]);
        raw_close(&crowd[3]);
        raw_close(&first);
        raw_stop(pid);
}

TEST(while_its_reserve_is_used_the_server_lets_clients_wait_and_does_not_spin)
{
        struct raw first, crowd[ROOM], lookers[2], late;
        pid_t pid = narrow_server(&first);
        int64_t start;
        long ticks;

        fill_up(crowd);
        for (int i = 0; i < 2; i++) {
                lookers[i] = raw_connect();
                CHECK_EQ(greet(&lookers[i], PTL_SM_LOOKS), 0);
        }
        late = raw_connect();
        raw_send(&late, (struct ptl_server_msg){.type = PTL_SM_HELLO,
                                                .hello.protocol = PTL_SERVER_PROTOCOL});
        ticks = proc_ticks(pid);
        start = tst_now_ms();
        CHECK(poll(&(struct pollfd){late.socket, POLLIN, 0}, 1, 500) == 0);
        CHECK((proc_ticks(pid) - ticks) * 1000 / sysconf(_SC_CLK_TCK) < (tst_now_ms() - start) / 2);
        for (int i = 0; i < ROOM; i++)
                raw_close(&crowd[i]);
        CHECK(raw_receive(&late));
        while (late.msg.type == PTL_SM_RESULT) { /* some of them had left when it came in, not enough */
                CHECK_EQ(late.msg.result.outcome, PTL_E_QUOTA);
                raw_close(&late);
                late = raw_connect();
                raw_send(&late, (struct ptl_server_msg){.type = PTL_SM_HELLO,
                                                        .hello.protocol = PTL_SERVER_PROTOCOL});
                CHECK(raw_receive(&late));
        }
        CHECK_EQ(late.msg.type, PTL_SM_WELCOME);
        for (int i = 0; i < 2; i++)
                raw_close(&lookers[i]);
        raw_close(&late);
        raw_close(&first);
        raw_stop(pid);
}

/* Their user is neither root nor the server's: the reserve is not for them. */
TEST(the_reserve_is_for_root_and_the_servers_user)
{
        struct raw first, crowd[ROOM], looker;
        pid_t pid, child;
        int status;

        if (geteuid() != 0)
                SKIP("only root can be another user");
        pid = narrow_server(&first);
        fill_up(crowd);
        CHECK(chmod(getenv("PORTOLAN_SOCKET"), 0666) == 0);
        child = fork();
        if (child == 0) {
                CHECK(setuid(12345) == 0);
                looker = raw_connect();
                CHECK_EQ(greet(&looker, PTL_SM_LOOKS), PTL_E_QUOTA);
                raw_expect_end(&looker);
                _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child);
        CHECK_EQ(status, 0);
        for (int i = 0; i < ROOM; i++)
                raw_close(&crowd[i]);
        raw_close(&first);
        raw_stop(pid);
}

TEST(a_region_that_finds_no_descriptor_is_lost_and_the_publisher_stays)
{
        struct ptl_server_msg msg = raw_named(PTL_SM_PUBLISH, "");
        pid_t pid = poor_server(32, geteuid());
        struct raw raw;
        int fd, r = 0;

        raw = raw_task();
        fd = memfd_create("region", MFD_ALLOW_SEALING | MFD_CLOEXEC);
        CHECK(fd >= 0 && fallocate(fd, 0, 0, 4096) == 0);
        CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
        msg.publish = (struct ptl_sm_publish){.kind = PTL_SM_KIND_REGION, .size = 4096};
        for (int i = 0; r == 0; i++) {
                CHECK(i < 40);
                msg.name_size = (size_t)snprintf(msg.name, sizeof msg.name, "r%d", i);
                raw_expect(&raw, PTL_SM_RESULT, raw_send_fd(&raw, msg, fd));
                r = raw.msg.result.outcome;
        }
        CHECK_EQ(r, PTL_E_LOST);
        raw_withdraw(&raw, "r0");
        raw_expect_result(&raw, raw_send_fd(&raw, msg, fd), 0);
        close(fd);
        raw_close(&raw);
        raw_stop(pid);
}

/* The kernel counts the descriptors that a user has in sockets (ETOOMANYREFS beyond the limit). */
TEST(descriptors_that_the_kernel_does_not_take_yet_are_delivered_later)
{
        enum { ASKED = 100 };
        int found = 0, refused = 0, introduced = 0;
        struct raw owner, looker;
        long ticks;

        if (geteuid() != 0)
                SKIP("only root can be another user, and root has no such limit");
        /* A user of this run's own: what another run's server has under way would count as well. */
        pid_t pid = poor_server(40, 20000 + (uid_t)getpid() % 40000);
        owner = raw_task();
        looker = raw_task();
        for (int i = 0; i < ASKED; i++)
                raw_ask_introduce(&looker, owner.me.task);
        ticks = proc_ticks(pid);
        CHECK(tst_wait_until(raw_has_input(&looker), RAW_MS));
        poll(NULL, 0, 300); /* it waits for us, without spinning */
        CHECK((proc_ticks(pid) - ticks) * 1000 / sysconf(_SC_CLK_TCK) < 150);
        while (found + refused < ASKED || introduced < found) {
                CHECK(tst_wait_until(raw_has_input(&owner) || raw_has_input(&looker), RAW_MS));
                if (raw_has_input(&owner)) {
                        raw_expect(&owner, PTL_SM_INTRODUCTION, 0);
                        CHECK(owner.fd >= 0);
                        introduced++;
                }
                if (!raw_has_input(&looker))
                        continue;
                CHECK(raw_receive(&looker));
                if (looker.msg.type == PTL_SM_FOUND)
                        found++;
                else
                        refused++; /* QUOTA, or -EMFILE */
        }
        CHECK(found > 20 && introduced == found);
        raw_close(&owner);
        raw_close(&looker);
        raw_stop(pid);
}

/* ---- random clients ---- */

static uint32_t random_next(uint64_t *state)
{
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        return (uint32_t)(*state >> 33);
}

/* Mostly well formed, with few names, ids and serials, so that they meet. */
static void send_random(struct raw *raw, uint64_t *state, const struct ptl_task_id *ids, int region)
{
        struct ptl_server_msg msg = {.type = PTL_SM_PUBLISH + random_next(state) % 9,
                                     .serial = random_next(state) % 8};
        char packet[PTL_SERVER_PACKET_MAX];
        size_t size;
        int fd = -1;

        if (msg.type <= PTL_SM_LOOK_UP || (msg.type == PTL_SM_WATCH && random_next(state) % 2))
                msg.name_size =
                        (size_t)snprintf(msg.name, sizeof msg.name, "n%u", random_next(state) % 6);
        if (msg.type == PTL_SM_PUBLISH)
                msg.publish.kind = 1 + random_next(state) % 2;
        if (msg.type == PTL_SM_PUBLISH && msg.publish.kind == PTL_SM_KIND_REGION) {
                msg.publish.size = 4096;
                fd = region;
        }
        if (msg.type == PTL_SM_LOOK_UP)
                msg.look_up.wait = random_next(state) % 2;
        if (msg.type == PTL_SM_CANCEL)
                msg.cancel.serial = random_next(state) % 8;
        if (msg.type == PTL_SM_INTRODUCE)
                msg.task.id = ids[random_next(state) % 4];
        if (msg.type == PTL_SM_WATCH || msg.type == PTL_SM_UNWATCH)
                msg.watch.cookie = random_next(state) % 3;
        if (msg.type == PTL_SM_LIST)
                msg.list.what = 1 + random_next(state) % 3;
        size = ptl_server_msg_encode(&msg, packet);
        if (random_next(state) % 500 == 0)
                packet[random_next(state) % size] ^= (char)random_next(state);
        (void)!ptl_socket_send(raw->socket, packet, size, &fd, fd >= 0);
}

/* At most @max messages; a new task takes the place of one that was disconnected. */
static void read_some(struct raw *raw, uint32_t max)
{
        while (max-- && raw_has_input(raw))
                if (!raw_receive(raw)) {
                        raw_close(raw);
                        *raw = raw_task();
                        return;
                }
}

TEST_TIMES(clients_that_do_anything_leave_a_server_that_works, 3)
{
        enum { CLIENTS = 4 };
        struct raw clients[CLIENTS], witness;
        struct ptl_task_id ids[CLIENTS];
        uint64_t state = 1;
        int region;

        use_server();
        region = memfd_create("region", MFD_ALLOW_SEALING | MFD_CLOEXEC);
        CHECK(region >= 0 && fallocate(region, 0, 0, 4096) == 0);
        CHECK(fcntl(region, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
        for (int i = 0; i < CLIENTS; i++)
                clients[i] = raw_task();
        for (int n = 0; n < FLOOD; n++) {
                struct raw *raw = &clients[random_next(&state) % CLIENTS];

                for (int i = 0; i < CLIENTS; i++)
                        ids[i] = clients[i].me.task;
                send_random(raw, &state, ids, region);
                if (random_next(&state) % 3 == 0)
                        read_some(raw, random_next(&state) % 40);
                if (random_next(&state) % 700 == 0) {
                        raw_close(raw);
                        *raw = raw_task();
                }
        }
        witness = raw_task();
        for (int i = 0; i < CLIENTS; i++)
                raw_close(&clients[i]);
        while (raw_status(&witness).tasks != 1)
                ;
        CHECK_EQ(raw_status(&witness).names, 0);
        raw_close(&witness);
        close(region);
}
