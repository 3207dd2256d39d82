/* SPDX-License-Identifier: Apache-2.0 */
/* What tasks see when names and ids are disputed after a restart, and when disks and tables of
 * descriptors are full. (A server that dies half-way through an introduction: lost_link_test.c.) */
#include "publisher.h"
#include "hog.h"
#include "server_half.h"
#include <sched.h>
#include <sys/mount.h>

/* ---- names and ids that two want ---- */

static void halt(pid_t pid)
{
        int status;

        CHECK(kill(pid, SIGSTOP) == 0);
        CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
}

API_TEST(a_stopped_owner_keeps_its_name)
{
        struct peer peer;

        start_publisher(&peer, "kept");
        halt(peer.pid);
        OUTCOME(ptl_name_publish("kept", new_port()), PTL_E_EXISTS);
        OUTCOME(ptl_name_withdraw("kept"), PTL_E_NOT_FOUND);
        CHECK(kill(peer.pid, SIGCONT) == 0);
        peer_end(&peer);
}

/* A server that came back knows names when their owners have called: one that is stopped is too
 * late. It loses the name, and nothing else; and it cannot take the name from who has it now. */
API_TEST(an_owner_that_comes_too_late_loses_its_name_alone)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "disputed"), mine = new_port();

        call_echo(echo);
        halt(peer.pid);
        kill_server();
        OK(ptl_name_publish("disputed", mine));
        CHECK(kill(peer.pid, SIGCONT) == 0);
        call_echo(echo);
        CHECK_EQ(look_up("disputed"), mine);
        end_echo(&peer, echo);
        CHECK_EQ(look_up("disputed"), mine); /* its end took nothing away */
}

static struct ptl_identity owner_of(const char *name)
{
        struct ptl_name_entry *e = NULL;
        struct ptl_identity owner = {.pid = 0};
        size_t n = 0;

        OK(ptl_server_list_names(&e, &n));
        for (size_t i = 0; i < n; i++)
                if (!strcmp(e[i].name, name))
                        owner = e[i].owner;
        free(e);
        return owner;
}

/* docs/protocol/server.md: a passport is worth something to the process that it names only. */
API_TEST(an_id_forged_after_a_restart_is_refused_and_its_owner_keeps_it)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "owned");
        struct ptl_identity before = owner_of("owned"), after;
        int passport = passport_of(&before);
        struct raw forger;

        call_echo(echo);
        halt(peer.pid);
        kill_server();
        OK(ptl_name_publish("other", new_port())); /* starts the next one */
        forger = raw_connect();
        raw_hello(&forger, passport);
        CHECK(!raw_is_same(forger.me.task, before.task));
        CHECK_EQ(forger.me.pid, getpid());
        CHECK(kill(peer.pid, SIGCONT) == 0);
        call_echo(echo); /* the link goes on */
        CHECK(tst_wait_until((after = owner_of("owned")).pid == peer.pid, RAW_MS));
        CHECK(raw_is_same(after.task, before.task));
        CHECK_EQ(after.start_time, before.start_time);
        raw_close(&forger);
        close(passport);
        call_echo(echo);
        end_echo(&peer, echo);
}

/* ---- two servers at once ---- */

TEST(of_starters_racing_for_a_dead_servers_socket_one_serves)
{
        enum { STARTERS = 12 };
        const char *path = tst_private_server();
        const char *const argv[] = {"--socket", path, "--background", NULL};
        pid_t pid = raw_server(path, NULL, NULL), starters[STARTERS], serving = 0;
        struct raw raw;
        int status;

        CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
        CHECK_EQ(raw_try_connect(path), -ECONNREFUSED);
        if (raw_race(starters, STARTERS))
                raw_exec(argv);
        for (int i = 0; i < STARTERS; i++) {
                CHECK(waitpid(starters[i], &status, 0) == starters[i]);
                CHECK_EQ(status, 0);
                raw = raw_task();
                CHECK(!serving || raw.msg.welcome.server.pid == serving);
                serving = raw.msg.welcome.server.pid;
                raw_close(&raw);
        }
        CHECK(kill(serving, SIGTERM) == 0);
        CHECK(tst_wait_until(access(path, F_OK) != 0, RAW_MS));
}

/* ---- a full disk ---- */

static const char *mount_full_disk(void)
{
        static char folder[100];

        if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0)
                SKIP("only root can mount a disk of its own");
        snprintf(folder, sizeof folder, "%s/disk", tst_temp_dir());
        CHECK(mkdir(folder, 0700) == 0);
        CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
        CHECK(mount("none", folder, "tmpfs", 0, "mode=700,size=64k,nr_inodes=1") == 0);
        return folder;
}

static void fill_disk(const char *folder)
{
        char path[128], zeros[4096] = "";
        int fd;

        snprintf(path, sizeof path, "%s/file", folder);
        fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        CHECK(fd >= 0);
        while (write(fd, zeros, sizeof zeros) > 0)
                ;
        CHECK_EQ(errno, ENOSPC);
        close(fd);
}

API_TEST(a_full_disk_is_no_server_and_one_that_fills_up_later_hurts_nobody)
{
        const char *folder = mount_full_disk();
        ptl_port p = new_send_port(), echo;
        struct peer peer;
        char path[120];

        snprintf(path, sizeof path, "%s/s", folder);
        CHECK(setenv("PORTOLAN_SOCKET", path, 1) == 0);
        CHECK_EQ(raw_run((const char *const[]){"--socket", path, NULL}), 1);
        OUTCOME(ptl_name_publish("p", p), PTL_E_NO_SERVER);
        put(p, "local");
        take(p, "local");
        CHECK(mount(NULL, folder, NULL, MS_REMOUNT, "size=64k,nr_inodes=3") == 0);
        OK(ptl_name_publish("p", p));
        fill_disk(folder);
        echo = start_echo(&peer, "echo");
        call_echo_of(echo, 3 << 20, 1); /* what messages need is not on that disk */
        CHECK_EQ(look_up("p"), p);
        end_echo(&peer, echo);
}

/* ---- full tables of descriptors ---- */

API_TEST(a_task_without_descriptors_says_so_and_works_when_it_has_some)
{
        struct ptl_region *r = NULL;
        ptl_port p = new_send_port();
        struct ptl_identity me;
        int fd = -1;

        hog();
        OUTCOME(ptl_name_publish("p", p), -EMFILE);
        OUTCOME(ptl_task_identity(&me), -EMFILE);
        OUTCOME(ptl_region_new(100, &r), -EMFILE);
        OUTCOME(ptl_descriptor(p, &fd), -EMFILE);
        put(p, "local");
        take(p, "local");
        unhog();
        OK(ptl_name_publish("p", p));
        OK(ptl_descriptor(p, &fd));
        CHECK_EQ(look_up("p"), p);
}

/* full NAME: has no descriptors until the case speaks; then answers as many requests as it is told. */
PEER(full)
{
        struct pollfd said = {.fd = 3, .events = POLLIN};
        ptl_port p = new_port();
        struct ptl_message m;

        OK(ptl_name_publish(argv[1], p));
        hog();
        peer_say(NULL, "full");
        while (poll(&said, 1, 0) == 0)
                OUTCOME(ptl_receive(p, &m, ptl_after_ms(10)), PTL_E_TIMEOUT);
        for (long long n = peer_hear_number(NULL); unhog(), n > 0; n--) {
                m = take_message(p);
                OK(ptl_reply(&m, m.data, m.size));
                ptl_message_release(&m);
        }
        peer_stay();
}

/* It closes each socket that it is given: that is no death, and what was sent waits. */
API_TEST(who_has_no_descriptors_is_met_when_it_has_some)
{
        struct peer peer;
        ptl_port p = PTL_NULL;
        char answer[2] = "";
        size_t n = 0;

        peer_start(&peer, "full", "full", NULL);
        peer_hear(&peer, "full");
        OK(ptl_name_look_up("full", &p, soon()));
        OUTCOME(ptl_call(p, "x", 1, NULL, &n, ptl_after_ms(100)), PTL_E_UNANSWERED);
        peer_say(&peer, "2");
        n = sizeof answer;
        OK(ptl_call(p, "y", 2, answer, &n, soon()));
        CHECK_STR_EQ(answer, "y");
        CHECK_EQ(look_up("full"), p);
        peer_end(&peer);
}

static pid_t start_poor_server(void)
{
        const char *const argv[] = {"--socket", getenv("PORTOLAN_SOCKET"), NULL};
        pid_t pid = fork();
        int fd;

        CHECK(pid >= 0);
        if (pid == 0) {
                CHECK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){FEW, FEW}) == 0);
                raw_exec(argv);
        }
        CHECK(tst_wait_until((fd = raw_try_connect(argv[1])) >= 0, RAW_MS));
        close(fd);
        return pid;
}

API_TEST(a_server_without_descriptors_tells_who_looks_up_and_serves_later)
{
        pid_t server = start_poor_server();
        ptl_port mine = new_port(), echo = PTL_NULL;
        struct raw crowd[FEW];
        struct peer peer;

        peer_start(&peer, "publisher", "echo", NULL);
        peer_hear(&peer, "published");
        OK(ptl_name_publish("mine", mine));
        for (int i = 0; i < FEW; i++)
                crowd[i] = raw_connect();
        CHECK(tst_wait_until(proc_descriptors(server) >= FEW - 1, RAW_MS));
        OUTCOME(ptl_name_look_up("echo", &echo, PTL_NOW), -EMFILE);
        CHECK_EQ(look_up("mine"), mine);
        for (int i = 0; i < FEW; i++)
                raw_close(&crowd[i]);
        CHECK(tst_wait_until(ptl_name_look_up("echo", &echo, PTL_NOW) == 0, RAW_MS));
        peer_end(&peer);
        OK(ptl_task_leave());
        raw_stop(server);
}
