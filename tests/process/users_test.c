/* SPDX-License-Identifier: Apache-2.0 */
/*
 * users_test.c - tasks of several users and in several name spaces, on one public server
 *
 * A host publishes a port and answers each request with the identity that it saw; a guest visits
 * it. Each goes to its place (another user, name spaces of its own) before its first call. Only
 * root can make these places: elsewhere the cases are skipped.
 *
 *   USERS_ROUNDS   visits of each guest: six requests, of all sizes and with regions (1)
 */
#include "roles.h"
#include "sanitizer.h"
#include "server_raw.h"
#include <sched.h>
#include <sys/mount.h>
#if defined(__x86_64__)
#include "filter.h"
#endif

enum { HOSTS_UID = 12345, GUESTS_UID = 12346, LARGE = 3 << 20 };

/* ---- places ---- */

static void be_user(uid_t uid) { CHECK(setgid(uid + 100) == 0 && setuid(uid) == 0); }
static void enter_hosts_home(void) { be_user(HOSTS_UID); }
static void enter_guests_home(void) { be_user(GUESTS_UID); }

/* Mounts made from here on are seen by nobody else. */
static void leave_mounts(void)
{
        CHECK(unshare(CLONE_NEWNS) == 0);
        CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
}

static void cover(const char *path, const char *options)
{
        CHECK(mount("none", path, "tmpfs", 0, options) == 0);
}

static void enter_network(void)
{
        leave_mounts();
        CHECK(unshare(CLONE_NEWNET) == 0);
}

static void enter_small_shm(void)
{
        leave_mounts();
        cover("/dev/shm", "size=1m");
}

static void enter_no_shm(void)
{
        leave_mounts();
        cover("/dev", "size=64k");
        CHECK(access("/dev/shm", F_OK) != 0);
}

static void enter_no_proc(void)
{
        leave_mounts();
        cover("/proc", "size=64k");
        CHECK(access("/proc/self", F_OK) != 0);
}

/* The process that goes on is another one, with PID 1; this one says its true PID and waits for it.
 */
static void enter_pids(void)
{
        int status, said[2];
        pid_t pid;

        CHECK(unshare(CLONE_NEWPID) == 0 && pipe2(said, O_CLOEXEC) == 0);
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                CHECK_EQ(getpid(), 1);
                close(said[1]);
                CHECK_EQ(read(said[0], &status, 1), 0); /* both write into one socket: the PID first */
                close(said[0]);
                return;
        }
        peer_say(NULL, "%d", (int)pid);
        close(said[0]);
        close(said[1]);
        CHECK(waitpid(pid, &status, 0) == pid);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/* Of the file systems that programs find everywhere a MiB, of the kernel what SECURITY.md lists, of the machine
 * nothing else, as in a container that somebody drew tight. */
static void enter_next_to_nothing(void)
{
        leave_mounts();
        CHECK(unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) == 0);
        enter_pids();
        cover("/dev/shm", "size=1m");
        cover("/proc", "size=64k");
}

static void confine(void)
{
#if defined(__x86_64__)
        confine_to_library();
#endif
}

static void enter_hosts_nothing(void)
{
        enter_next_to_nothing();
        be_user(HOSTS_UID);
}

static void enter_guests_nothing(void)
{
        enter_next_to_nothing();
        be_user(GUESTS_UID);
}

static const struct place {
        const char *name;
        void (*enter)(void);
} places[] = {
        {"host's user",        enter_hosts_home },
        {"guest's user",       enter_guests_home},
        {"network and mounts", enter_network    },
        {"/dev/shm of a MiB",  enter_small_shm  },
        {"no /dev/shm",        enter_no_shm     },
        {"no /proc",           enter_no_proc    },
        {"PIDs of its own",    enter_pids       },
        {"host's nothing",     enter_hosts_nothing },
        {"guest's nothing",    enter_guests_nothing},
};

/* Goes there and says the PID that others see. */
static void enter(const char *name)
{
        for (size_t i = 0; i < ARRAY_LEN(places); i++)
                if (!strcmp(name, places[i].name))
                        places[i].enter();
        if (getpid() != 1)
                peer_say(NULL, "%d", (int)getpid());
        if (strstr(name, "nothing"))
                confine();
}

/* ---- hosts and guests ---- */

static bool is_same(const struct ptl_identity *a, const struct ptl_identity *b)
{
        return !memcmp(a, b, sizeof *a);
}

static void take_regions(struct ptl_message *m)
{
        for (uint32_t i = 0; i < m->n_regions; i++) {
                struct ptl_region *r = m->regions[i].region;

                CHECK(r && is_filled(ptl_region_data(r), ptl_region_size(r), 3));
                ptl_region_free(r);
        }
}

/* host PLACE: answers with who it saw. */
PEER(host)
{
        struct ptl_message m;
        bool quit = false;
        ptl_port p;

        enter(argv[1]);
        p = new_port();
        OK(ptl_name_publish("host", p));
        peer_say(NULL, "open");
        while (!quit) {
                OK(ptl_receive(p, &m, PTL_FOREVER));
                CHECK(is_filled(m.data, m.size, 2));
                take_regions(&m);
                quit = m.kind == KIND_QUIT;
                if (m.reply)
                        OK(ptl_reply(&m, m.sender, sizeof *m.sender));
                ptl_message_release(&m);
        }
}

static pid_t start_host(struct peer *ret_peer, const char *place)
{
        pid_t pid;

        peer_start(ret_peer, "host", place, NULL);
        pid = (pid_t)peer_hear_number(ret_peer);
        peer_hear(ret_peer, "open");
        return pid;
}

/* One request; returns who answered. The host must have seen us as we are. */
static struct ptl_identity ask(ptl_port host, const struct ptl_outgoing *out)
{
        struct ptl_identity me, answers;
        struct ptl_message m;

        OK(ptl_task_identity(&me));
        OK(ptl_call_message(host, out, &m, 0, soon()));
        CHECK_EQ(m.size, sizeof me);
        CHECK(is_same(m.data, &me));
        answers = *m.sender;
        ptl_message_release(&m);
        return answers;
}

static void ask_with_region(ptl_port host, uint32_t how)
{
        struct ptl_region_item item = {.how = how};

        OK(ptl_region_new(LARGE, &item.region));
        fill(ptl_region_data(item.region), LARGE, 3);
        ask(host, &(struct ptl_outgoing){.regions = &item, .n_regions = 1});
        if (how == PTL_REGION_VOLATILE)
                ptl_region_free(item.region);
}

static struct ptl_identity visit_once(ptl_port host)
{
        static unsigned char data[LARGE];
        static const size_t sizes[] = {0, 32, 100000, LARGE};
        struct ptl_identity seen = {.pid = 0};

        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
                fill(data, sizes[i], 2);
                seen = ask(host, &(struct ptl_outgoing){.data = data, .size = sizes[i]});
        }
        ask_with_region(host, PTL_REGION_VOLATILE);
        ask_with_region(host, PTL_REGION_ISOLATED);
        return seen;
}

/* In the ring, in a block, in memory of its own, and by reference. */
static struct ptl_identity visit(ptl_port host)
{
        const char *s = getenv("USERS_ROUNDS");
        struct ptl_identity seen = visit_once(host);

        for (int i = s ? atoi(s) : 1; i > 1; i--)
                CHECK_EQ(visit_once(host).pid, seen.pid);
        return seen;
}

/* guest PLACE: visits the host and says whom it saw, and as whom it was seen. */
PEER(guest)
{
        struct ptl_identity host, me;

        enter(argv[1]);
        host = visit(look_up("host"));
        OK(ptl_task_identity(&me));
        peer_say(NULL, "%d", (int)host.pid);
        peer_say(NULL, "%u %u", host.uid, host.gid);
        peer_say(NULL, "%d", (int)me.pid);
        peer_say(NULL, "%u %u", me.uid, me.gid);
        peer_stay();
}

static void end_host(struct peer *host)
{
        OK(ptl_send_message(look_up("host"), &(struct ptl_outgoing){.kind = KIND_QUIT}, soon()));
        peer_end(host);
}

/* ---- the server ---- */

static void need(int flags)
{
        int status;
        pid_t pid;

        if (geteuid() != 0)
                SKIP("only root can be other users and make name spaces");
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
                _exit(unshare(flags) != 0);
        CHECK(waitpid(pid, &status, 0) == pid);
        if (status)
                SKIP("name spaces cannot be made here");
}

static pid_t start_server(void)
{
        pid_t pid = raw_server(tst_private_server(), "--public", NULL);

        CHECK(chmod(tst_temp_dir(), 0755) == 0);
        return pid;
}

/* The server goes on in name spaces of its own; this process stays where it is. */
static pid_t start_server_in(int flags, void (*enter_it)(void))
{
        const char *path = flags == CLONE_NEWNS ? "/proc/self/ns/mnt" : "/proc/self/ns/pid";
        int home = open(path, O_RDONLY | O_CLOEXEC);
        pid_t pid;

        CHECK(home >= 0);
        enter_it();
        pid = start_server();
        CHECK(setns(home, flags) == 0);
        close(home);
        return pid;
}

/* ---- users ---- */

API_TEST(two_users_see_each_other_as_the_kernel_does)
{
        struct peer host, guest;
        pid_t server, hosts_pid;

        need(0);
        server = start_server();
        hosts_pid = start_host(&host, "host's user");
        peer_start(&guest, "guest", "guest's user", NULL);
        CHECK_EQ(peer_hear_number(&guest), guest.pid);
        CHECK_EQ(peer_hear_number(&guest), hosts_pid);
        peer_hear(&guest, "12345 12445");
        CHECK_EQ(peer_hear_number(&guest), guest.pid);
        peer_hear(&guest, "12346 12446");
        peer_end(&guest);
        CHECK_EQ(visit(look_up("host")).uid, HOSTS_UID); /* root is a guest, too */
        end_host(&host);
        raw_stop(server);
}

/* ---- limits ---- */

enum { GIFTS = 12, LIMIT = 16 };

/* giver PLACE: sends so many messages to the pile. */
PEER(giver)
{
        ptl_port pile;

        enter(argv[1]);
        pile = look_up("pile");
        for (int i = 0; i < GIFTS; i++)
                OK(ptl_send(pile, &i, sizeof i, soon()));
        peer_say(NULL, "sent");
        peer_stay();
}

static void start_giver(struct peer *ret_peer, const char *place)
{
        peer_start(ret_peer, "giver", place, NULL);
        CHECK_EQ(peer_hear_number(ret_peer), ret_peer->pid);
        peer_hear(ret_peer, "sent");
}

/* Messages that all tasks of a user have in our queues. */
static uint64_t queued_of(uid_t uid)
{
        struct ptl_quota_use uses[8];
        uint64_t messages = 0;
        size_t n;

        OK(ptl_quota_get_use(uses, ARRAY_LEN(uses), &n));
        for (size_t i = 0; i < n; i++)
                if (uses[i].scope == PTL_QUOTA_UID && uses[i].uid == uid)
                        messages += uses[i].use[PTL_QUOTA_MESSAGES];
        return messages;
}

static bool come_to_be_queued(ptl_port pile, uint32_t n)
{
        return tst_wait_until((ptl_task_look(), status_of(pile).queued == n), 5000);
}

API_TEST(tasks_that_reach_their_users_limit_together_hold_back_no_other_user)
{
        const uint32_t limit = PTL_QUOTA_LIMIT(PTL_QUOTA_MESSAGES, PTL_QUOTA_UID);
        struct ptl_quota_refusal refusals[PTL_QUOTA_REFUSALS];
        struct peer one, two, other;
        struct ptl_message m;
        ptl_port pile;
        pid_t server;
        size_t n;

        need(0);
        server = start_server();
        pile = new_port();
        OK(ptl_name_publish("pile", pile));
        OK(ptl_quota_set(limit, LIMIT));
        start_giver(&one, "guest's user");
        start_giver(&two, "guest's user");
        CHECK(come_to_be_queued(pile, LIMIT));
        start_giver(&other, "host's user");
        CHECK(come_to_be_queued(pile, LIMIT + GIFTS));
        CHECK_EQ(queued_of(GUESTS_UID), LIMIT);
        CHECK_EQ(queued_of(HOSTS_UID), GIFTS);
        OK(ptl_quota_get_refusals(refusals, ARRAY_LEN(refusals), &n));
        CHECK(n > 0);
        for (size_t i = 0; i < n; i++) {
                CHECK_EQ(refusals[i].limit, limit);
                CHECK_EQ(refusals[i].uid, GUESTS_UID);
                CHECK(refusals[i].is_ours && refusals[i].use >= LIMIT);
        }
        OK(ptl_quota_set(limit, PTL_QUOTA_UNLIMITED));
        CHECK(come_to_be_queued(pile, 3 * GIFTS));
        for (int i = 0; i < 3 * GIFTS; i++) {
                m = take_message(pile);
                ptl_message_release(&m);
        }
        peer_end(&one);
        peer_end(&two);
        peer_end(&other);
        raw_stop(server);
}

API_TEST(a_user_cannot_take_the_name_of_another_nor_withdraw_it)
{
        struct peer host;
        pid_t server, pid;
        int status;

        need(0);
        server = start_server();
        start_host(&host, "host's user");
        pid = fork();
        if (pid == 0) {
                be_user(GUESTS_UID);
                OUTCOME(ptl_name_publish("host", new_port()), PTL_E_EXISTS);
                OUTCOME(ptl_name_withdraw("host"), PTL_E_NOT_FOUND);
                _exit(0);
        }
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_EQ(status, 0);
        visit(look_up("host"));
        end_host(&host);
        raw_stop(server);
}

static pid_t start_server_of(uid_t uid)
{
        const char *const argv[] = {"--socket", tst_private_server(), "--public", NULL};
        pid_t pid;
        int fd;

        CHECK(chmod(tst_temp_dir(), 0777) == 0);
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                be_user(uid);
                raw_exec(argv);
        }
        CHECK(tst_wait_until((fd = raw_try_connect(argv[1])) >= 0, RAW_MS));
        close(fd);
        return pid;
}

/* Who runs the server can forge identities and read regions: only root and we ourselves may. */
API_TEST(the_server_of_another_user_is_refused)
{
        struct ptl_identity me;
        pid_t server, pid;
        struct peer host;
        int status;

        need(0);
        server = start_server_of(HOSTS_UID);
        start_host(&host, "host's user");
        pid = fork();
        if (pid == 0) {
                be_user(GUESTS_UID);
                OUTCOME(ptl_task_identity(&me), PTL_E_REFUSED);
                OUTCOME(ptl_name_publish("mine", new_port()), PTL_E_REFUSED);
                _exit(0);
        }
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_EQ(status, 0);
        peer_kill(&host);
        raw_stop(server);
}

/* ---- name spaces ---- */

/* A host and a guest, each in such a place of its own, and we outside of both. */
static void check_place(const char *place)
{
        struct ptl_identity seen;
        struct peer host, guest;
        ptl_port n, p;
        pid_t hosts_pid, guests_pid;

        hosts_pid = start_host(&host, place);
        seen = visit(look_up("host"));
        CHECK_EQ(seen.pid, hosts_pid);
        CHECK_EQ(seen.uid, 0);
        CHECK(seen.start_time > 0);
        peer_start(&guest, "guest", place, NULL);
        guests_pid = (pid_t)peer_hear_number(&guest);
        CHECK_EQ(peer_hear_number(&guest), hosts_pid);
        peer_hear(&guest, "0 0");
        CHECK_EQ(peer_hear_number(&guest), guests_pid);
        peer_hear(&guest, "0 0");
        peer_end(&guest);
        n = new_port();
        p = look_up("host");
        OK(ptl_right_notify_dead(p, n));
        CHECK(kill(hosts_pid, SIGKILL) == 0);
        take_dead_name(n, p);
        peer_kill(&host);
}

static void check_place_with(const char *place, int flags)
{
        pid_t server;

        need(flags);
        server = start_server();
        check_place(place);
        raw_stop(server);
}

API_TEST(tasks_meet_across_networks_and_mounts)
{
        check_place_with("network and mounts", CLONE_NEWNS | CLONE_NEWNET);
}

API_TEST(a_dev_shm_of_a_mebibyte_limits_nothing)
{
        check_place_with("/dev/shm of a MiB", CLONE_NEWNS);
}
API_TEST(no_dev_shm_is_needed) { check_place_with("no /dev/shm", CLONE_NEWNS); }
API_TEST(a_task_needs_no_proc)
{
        need_no_sanitizer("a sanitizer reads /proc");
        check_place_with("no /proc", CLONE_NEWNS);
}

API_TEST(a_task_in_a_pid_name_space_has_the_servers_pid_for_it)
{
        check_place_with("PIDs of its own", CLONE_NEWPID);
}

API_TEST(a_server_without_proc_knows_no_start_times_and_all_else)
{
        struct ptl_identity me, seen;
        pid_t server, hosts_pid;
        struct peer host;

        need_no_sanitizer("a sanitizer reads /proc");
        need(CLONE_NEWNS);
        server = start_server_in(CLONE_NEWNS, enter_no_proc);
        hosts_pid = start_host(&host, "host's user");
        seen = visit(look_up("host"));
        CHECK_EQ(seen.pid, hosts_pid);
        CHECK_EQ(seen.uid, HOSTS_UID);
        CHECK_EQ(seen.start_time, 0);
        OK(ptl_task_identity(&me));
        CHECK_EQ(me.start_time, 0);
        end_host(&host);
        raw_stop(server);
}

/* Each is seen with its own user's identity, and the PID that the server has for it. */
API_TEST(two_users_who_have_next_to_nothing_meet)
{
        struct peer host, guest;
        pid_t server, hosts_pid, guests_pid;

        need_no_sanitizer("a sanitizer reads /proc and makes system calls of its own");
        need(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS);
        server = start_server();
        hosts_pid = start_host(&host, "host's nothing");
        peer_start(&guest, "guest", "guest's nothing", NULL);
        guests_pid = (pid_t)peer_hear_number(&guest);
        CHECK_EQ(peer_hear_number(&guest), hosts_pid);
        peer_hear(&guest, "12345 12445");
        CHECK_EQ(peer_hear_number(&guest), guests_pid);
        peer_hear(&guest, "12346 12446");
        peer_end(&guest);
        end_host(&host);
        raw_stop(server);
}

static void leave_pids(void) { CHECK(unshare(CLONE_NEWPID) == 0); }

/* Who has no number there is number 0. */
API_TEST(a_server_in_a_pid_name_space_serves_those_outside_of_it)
{
        struct ptl_identity me, seen;
        pid_t server, hosts_pid;
        struct peer host;
        ptl_port n, p;

        need(CLONE_NEWPID);
        server = start_server_in(CLONE_NEWPID, leave_pids);
        OK(ptl_task_identity(&me));
        CHECK_EQ(me.pid, 0);
        CHECK_EQ(me.start_time, 0);
        hosts_pid = start_host(&host, "host's user");
        n = new_port();
        p = look_up("host");
        seen = visit(p);
        CHECK_EQ(seen.pid, 0);
        CHECK_EQ(seen.uid, HOSTS_UID);
        OK(ptl_right_notify_dead(p, n));
        CHECK(kill(hosts_pid, SIGKILL) == 0);
        take_dead_name(n, p);
        peer_kill(&host);
        raw_stop(server);
}
