/* SPDX-License-Identifier: Apache-2.0 */
/* process/server_start_test.c - how portoland starts, leaves, and what it leaves behind */
#define _GNU_SOURCE
#include "server_raw.h"
#include <limits.h>
#include <sys/file.h>

enum { STARTERS = 20 };

/* How many files are in the socket's folder. */
static int count_files(void)
{
        DIR *d = opendir(tst_temp_dir());
        int n = -2;

        CHECK(d);
        while (readdir(d))
                n++;
        closedir(d);
        return n;
}

static int start_in_background(const char *path, const char *idle)
{
        const char *const argv[] = {"--socket", path, "--background", idle ? "--idle-exit" : NULL,
                                    idle,       NULL};

        return raw_run(argv);
}

static pid_t server_pid(void)
{
        struct raw raw = raw_task();
        pid_t pid = raw.msg.welcome.server.pid;

        raw_close(&raw);
        return pid;
}

static void end_daemon(pid_t pid)
{
        CHECK(kill(pid, SIGTERM) == 0);
        CHECK(tst_wait_until(access(getenv("PORTOLAN_SOCKET"), F_OK) != 0, RAW_MS));
}

/* ---- one server ---- */

TEST(of_twenty_racing_starters_one_serves_and_all_their_clients_meet_there)
{
        const char *path = tst_private_server();
        pid_t first = 0, starters[STARTERS], pid;
        int ends[2], status;

        raw_program();
        CHECK(pipe2(ends, O_CLOEXEC) == 0);
        if (raw_race(starters, STARTERS)) {
                CHECK_EQ(start_in_background(path, NULL), 0);
                pid = server_pid();
                CHECK_EQ(write(ends[1], &pid, sizeof pid), sizeof pid);
                _exit(0);
        }
        for (int i = 0; i < STARTERS; i++) {
                CHECK(waitpid(starters[i], &status, 0) == starters[i]);
                CHECK_EQ(status, 0);
                CHECK_EQ(read(ends[0], &pid, sizeof pid), sizeof pid);
                CHECK(!first || pid == first);
                first = pid;
        }
        CHECK_EQ(count_files(), 1);
        close(ends[0]);
        close(ends[1]);
        end_daemon(first);
}

static int lock_folder(void)
{
        int fd = open(tst_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0);
        return fd;
}

/* What a starter does to a stale socket, and one who leaves to his own, they do under the lock. */
TEST(nobody_opens_a_socket_while_another_has_the_folder_locked)
{
        const char *path = tst_private_server();
        int fd = lock_folder(), status;
        pid_t pid = fork();

        CHECK(pid >= 0);
        if (pid == 0)
                _exit(start_in_background(path, NULL));
        CHECK(!tst_wait_until(access(path, F_OK) == 0, 200));
        CHECK(flock(fd, LOCK_UN) == 0); /* the child has a copy of the descriptor */
        close(fd);
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_EQ(status, 0);
        end_daemon(server_pid());
}

TEST(an_idle_server_stays_while_somebody_is_about_to_start_one)
{
        pid_t pid = raw_server(tst_private_server(), "--idle-exit", "1");
        int fd = lock_folder(), status;

        CHECK(!tst_wait_until(waitpid(pid, &status, WNOHANG) != 0, 1500));
        CHECK_EQ(server_pid(), pid);
        close(fd);
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_EQ(status, 0);
        CHECK_EQ(count_files(), 0);
}

TEST(starting_where_somebody_serves_is_success_and_changes_nothing)
{
        pid_t server = raw_private_server();
        const char *const foreground[] = {"--socket", getenv("PORTOLAN_SOCKET"), NULL};

        CHECK_EQ(raw_run(foreground), 0);
        CHECK_EQ(start_in_background(getenv("PORTOLAN_SOCKET"), NULL), 0);
        CHECK_EQ(server_pid(), server);
        raw_stop(server);
}

TEST(a_killed_server_leaves_only_its_socket_and_the_next_takes_over)
{
        const char *path = tst_private_server();
        pid_t pid = raw_server(path, NULL, NULL);
        struct raw raw = raw_task();
        struct ptl_task_id mine = raw.me.task;
        int passport = raw_take_passport(&raw);

        raw_publish(&raw, "n");
        CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
        raw_expect_end(&raw);
        CHECK_EQ(count_files(), 1);
        CHECK_EQ(raw_try_connect(path), -ECONNREFUSED);
        pid = raw_server(path, NULL, NULL);
        raw = raw_connect();
        raw_hello(&raw, passport); /* the id survives the restart, the names are published again */
        CHECK(raw_is_same(raw.me.task, mine));
        close(passport);
        raw_publish(&raw, "n");
        raw_close(&raw);
        raw_stop(pid);
}

TEST(what_is_no_socket_of_ours_is_refused_and_stays)
{
        const char *path = tst_private_server();
        const char *const argv[] = {"--socket", path, NULL};
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        struct stat st;
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

        CHECK(fd >= 0 && write(fd, "precious", 8) == 8);
        close(fd);
        CHECK_EQ(raw_run(argv), 1);
        CHECK(stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 8);
        CHECK(unlink(path) == 0 && symlink("/dev/null", path) == 0);
        CHECK_EQ(raw_run(argv), 1);
        CHECK(lstat(path, &st) == 0 && S_ISLNK(st.st_mode));
        CHECK(unlink(path) == 0);

        snprintf(a.sun_path, sizeof a.sun_path, "%s", path); /* a server of another kind */
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0 && !bind(fd, (struct sockaddr *)&a, sizeof a) && !listen(fd, 5));
        CHECK_EQ(start_in_background(path, NULL), 1);
        CHECK(lstat(path, &st) == 0 && S_ISSOCK(st.st_mode));
        close(fd);
}

TEST(a_terminated_server_removes_its_own_socket_only)
{
        const char *path = tst_private_server();
        pid_t pid = raw_server(path, NULL, NULL);

        raw_stop(pid);
        CHECK_EQ(count_files(), 0);
        pid = raw_server(path, NULL, NULL);
        CHECK(unlink(path) == 0);
        pid_t next = raw_server(path, NULL, NULL);
        raw_stop(pid);
        CHECK_EQ(server_pid(), next);
        raw_stop(next);
        CHECK_EQ(count_files(), 0);
}

/* ---- leaving when idle ---- */

TEST(an_idle_server_leaves_nothing_behind_and_a_used_one_stays)
{
        pid_t pid = raw_server(tst_private_server(), "--idle-exit", "1");
        struct raw raw = raw_task();
        int64_t start = tst_now_ms();
        int status;

        CHECK(tst_wait_until(tst_now_ms() > start + 1500, 3000));
        raw_status(&raw); /* longer than the idle time, and it is there */
        raw_close(&raw);
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_EQ(status, 0);
        CHECK_EQ(count_files(), 0);
}

/* Says hello, starting a server as often as it takes. */
static void insist(const char *path)
{
        struct ptl_server_msg hello = {.type = PTL_SM_HELLO, .hello.protocol = PTL_SERVER_PROTOCOL};

        for (;;) {
                struct raw raw = {.socket = raw_try_connect(path), .fd = -EBADF};
                char packet[PTL_SERVER_PACKET_MAX];
                bool welcome = false;

                if (raw.socket >= 0 &&
                    ptl_socket_send(raw.socket, packet, ptl_server_msg_encode(&hello, packet), NULL,
                                    0) == 0)
                        welcome = raw_receive(&raw);
                raw_close(&raw);
                if (welcome)
                        return;
                CHECK_EQ(start_in_background(path, "1"), 0);
        }
}

TEST(clients_that_come_as_the_server_leaves_find_one)
{
        const char *path = tst_private_server();
        pid_t pids[8];
        int status;

        raw_program();
        for (int i = 0; i < 8; i++) {
                pids[i] = fork();
                CHECK(pids[i] >= 0);
                if (pids[i])
                        continue;
                for (int n = 0; n < 3; n++) { /* each time about when the server wants to go */
                        int64_t next = tst_now_ms() + 995 + 3 * i;

                        insist(path);
                        CHECK(tst_wait_until(tst_now_ms() >= next, 3000));
                }
                _exit(0);
        }
        for (int i = 0; i < 8; i++) {
                CHECK(waitpid(pids[i], &status, 0) == pids[i]);
                CHECK_EQ(status, 0);
        }
        CHECK(tst_wait_until(count_files() == 0, RAW_MS));
}

/* ---- the background ---- */

TEST(a_daemon_holds_nothing_of_its_starter)
{
        const char *path = tst_private_server();
        char proc[64], where[PATH_MAX] = "", byte;
        int ends[2];
        pid_t pid;

        raw_program();
        CHECK(pipe(ends) == 0); /* inherited, on purpose */
        signal(SIGUSR1, SIG_IGN);
        CHECK_EQ(start_in_background(path, NULL), 0);
        signal(SIGUSR1, SIG_DFL);
        pid = server_pid();
        close(ends[1]);
        CHECK_EQ(read(ends[0], &byte, 1), 0); /* the end: nobody has the other one */
        close(ends[0]);
        CHECK(getsid(pid) != getsid(0) && getsid(pid) != pid && getpgid(pid) != getpgid(0));
        snprintf(proc, sizeof proc, "/proc/%d/cwd", (int)pid);
        CHECK(readlink(proc, where, sizeof where - 1) > 0);
        CHECK_STR_EQ(where, "/");
        for (int i = 0; i < 3; i++) {
                memset(where, 0, sizeof where);
                snprintf(proc, sizeof proc, "/proc/%d/fd/%d", (int)pid, i);
                CHECK(readlink(proc, where, sizeof where - 1) > 0);
                CHECK_STR_EQ(where, "/dev/null");
        }
        end_daemon(pid);
}

TEST(a_daemon_starts_with_standard_streams_closed)
{
        const char *path = tst_private_server();
        pid_t pid = fork();
        int status;

        CHECK(pid >= 0);
        if (pid == 0) {
                const char *const argv[] = {"--socket", path, "--background", NULL};

                for (int i = 0; i < 3; i++)
                        close(i);
                raw_exec(argv);
        }
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_EQ(status, 0);
        end_daemon(server_pid());
}

TEST(a_daemon_that_cannot_listen_is_reported_as_failure)
{
        char path[128];

        snprintf(path, sizeof path, "%s/no/such/folder/s", tst_temp_dir());
        CHECK_EQ(start_in_background(path, NULL), 1);
}

/* ---- systemd ---- */

static int listening_socket(const char *path)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
        CHECK(fd >= 0 && !bind(fd, (struct sockaddr *)&a, sizeof a) && !listen(fd, 5));
        return fd;
}

TEST(a_socket_that_systemd_passes_is_served_and_left_in_place)
{
        const char *path = tst_private_server();
        int fd = listening_socket(path), status;
        struct raw early = raw_connect(); /* before the server is there */
        pid_t pid = fork();

        CHECK(pid >= 0);
        if (pid == 0) {
                const char *const argv[] = {"--socket", "/nowhere/s", "--idle-exit", "1", NULL};
                char text[16];

                snprintf(text, sizeof text, "%d", (int)getpid());
                setenv("LISTEN_PID", text, 1);
                setenv("LISTEN_FDS", "1", 1);
                CHECK(fd == 3 ? fcntl(fd, F_SETFD, 0) == 0 : dup2(fd, 3) == 3);
                raw_exec(argv);
        }
        raw_hello(&early, -EBADF);
        CHECK_EQ(early.msg.welcome.server.pid, pid);
        raw_close(&early);
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_EQ(status, 0);
        CHECK(access(path, F_OK) == 0);
        close(fd);
}

TEST(systemd_is_told_when_the_server_is_ready_and_when_it_stops)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        char text[64] = "";
        pid_t pid;

        snprintf(a.sun_path, sizeof a.sun_path, "%s/notify", tst_temp_dir());
        CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
        CHECK(setenv("NOTIFY_SOCKET", a.sun_path, 1) == 0);
        pid = raw_private_server();
        CHECK(recv(fd, text, sizeof text - 1, 0) > 0); /* what is to be kept: store_test.c */
        CHECK_STR_EQ(text, "FDSTORE=1\nFDNAME=portolan.journal\nFDPOLL=0");
        memset(text, 0, sizeof text);
        CHECK_EQ(recv(fd, text, sizeof text - 1, 0), 7);
        CHECK_STR_EQ(text, "READY=1");
        raw_stop(pid);
        CHECK_EQ(recv(fd, text, sizeof text - 1, 0), 10);
        CHECK_STR_EQ(text, "STOPPING=1");
        close(fd);
}

/* ---- who may connect ---- */

static unsigned mode_of(const char *path)
{
        struct stat st;

        CHECK(lstat(path, &st) == 0);
        return st.st_mode & 0777;
}

TEST(the_socket_is_for_its_user_unless_it_is_public)
{
        const char *path = tst_private_server();
        pid_t pid;

        umask(0);
        pid = raw_server(path, NULL, NULL);
        CHECK_EQ(mode_of(path), 0600);
        raw_stop(pid);
        umask(0777);
        pid = raw_server(path, "--public", NULL);
        umask(022);
        CHECK_EQ(mode_of(path), 0666);
        raw_stop(pid);
}

/* Another user's task; exits with 0 if it sees itself alone, and could look up @name. */
static void be_another(const char *name)
{
        struct raw raw;
        uint32_t serial;

        CHECK(setgid(12345) == 0 && setuid(12345) == 0);
        raw = raw_task();
        CHECK(raw.me.uid == 12345 && raw.me.gid == 12345);
        for (uint32_t what = PTL_SM_LIST_NAMES; what <= PTL_SM_LIST_TASKS; what++) {
                serial = raw_send(&raw,
                                  (struct ptl_server_msg){.type = PTL_SM_LIST, .list.what = what});
                if (what == PTL_SM_LIST_TASKS) {
                        raw_expect(&raw, PTL_SM_ITEM, serial);
                        CHECK(raw_is_same(raw.msg.item.a.task, raw.me.task));
                }
                raw_expect_result(&raw, serial, 0);
        }
        raw_expect(&raw, PTL_SM_FOUND, raw_ask_look_up(&raw, name, false));
        CHECK(raw.fd >= 0);
        raw_close(&raw);
        _exit(0);
}

TEST(other_users_meet_on_a_public_server_and_do_not_see_each_other_listed)
{
        struct raw raw;
        pid_t pid, server;
        int status;

        if (geteuid() != 0)
                SKIP("only root can be another user");
        server = raw_server(tst_private_server(), "--public", NULL);
        CHECK(chmod(tst_temp_dir(), 0755) == 0);
        raw = raw_task();
        raw_publish(&raw, "meeting");
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
                be_another("meeting");
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_EQ(status, 0);
        raw_expect(&raw, PTL_SM_INTRODUCTION, 0);
        CHECK_EQ(raw.msg.introduction.peer.uid, 12345);
        raw_expect(&raw, PTL_SM_TASK_DEAD, 0);
        raw_close(&raw);
        raw_stop(server);
}

/* As good as a passport can be that its bearer makes itself: right in all but in who made it. */
static int forged_passport(int own, struct ptl_task_id id)
{
        enum { TASK = 8 }; /* where the identity lies, which begins with the task id */
        char bytes[256];
        ssize_t n = pread(own, bytes, sizeof bytes, 0);
        int fd = memfd_create("portolan-passport", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        CHECK(n > TASK + (ssize_t)sizeof id && fd >= 0);
        memcpy(bytes + TASK, &id, sizeof id);
        CHECK(write(fd, bytes, (size_t)n) == n);
        CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0);
        return fd;
}

static void try_passport(int passport, struct ptl_task_id id)
{
        struct raw raw = raw_connect();

        raw_hello(&raw, passport);
        CHECK(!raw_is_same(raw.me.task, id));
        raw_close(&raw);
}

/* Another user, with the stolen passport of a dead task, and with one that it has forged. */
__attribute__((noreturn)) static void be_an_impostor(int stolen, struct ptl_task_id dead)
{
        struct raw raw;
        int own;

        CHECK(setuid(12345) == 0);
        try_passport(stolen, dead);
        raw = raw_task();
        own = raw_take_passport(&raw);
        raw_close(&raw);
        try_passport(forged_passport(own, dead), dead);
        _exit(0);
}

TEST(an_id_of_another_users_task_is_not_given_again)
{
        struct ptl_task_id dead;
        int status, passport;
        pid_t pid, server;
        struct raw raw;

        if (geteuid() != 0)
                SKIP("only root can be another user");
        server = raw_server(tst_private_server(), "--public", NULL);
        CHECK(chmod(tst_temp_dir(), 0755) == 0);
        raw = raw_task();
        dead = raw.me.task;
        passport = raw_take_passport(&raw);
        raw_close(&raw);
        raw_stop(server);
        server = raw_server(getenv("PORTOLAN_SOCKET"), "--public", NULL); /* it knows nobody */
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
                be_an_impostor(passport, dead);
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_EQ(status, 0);
        raw = raw_connect();
        raw_hello(&raw, passport);
        CHECK(raw_is_same(raw.me.task, dead)); /* its bearer has it again */
        raw_close(&raw);
        close(passport);
        raw_stop(server);
}

/* ---- options ---- */

TEST(options_that_make_no_sense_are_refused_with_status_2)
{
        const char *const bad[][3] = {
                {"--nonsense",  NULL,   NULL},
                {"argument",    NULL,   NULL},
                {"--socket",    "",     NULL},
                {"--idle-exit", "soon", NULL},
                {"--idle-exit", "-1",   NULL},
                {"--ready-fd",  "x",    NULL},
        };
        const char *const help[] = {"--help", NULL}, *const version[] = {"--version", NULL};

        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                CHECK_EQ(raw_run(bad[i]), 2);
        CHECK_EQ(raw_run(help), 0);
        CHECK_EQ(raw_run(version), 0);
}
