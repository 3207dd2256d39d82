/* SPDX-License-Identifier: Apache-2.0 */
/* selftest/faulty.c - cases that must fail, each for one reason; selftest.sh looks that they do */
#include "tst.h"

TEST(check_fails) { CHECK(1 == 2); }

TEST(values_differ) { CHECK_EQ(1u, -1); }

TEST(strings_differ) { CHECK_STR_EQ("a", "b"); }

TEST(child_fails)
{
        pid_t pid = fork();

        if (pid == 0)
                CHECK(!"in the child");
        CHECK(waitpid(pid, NULL, 0) == pid);
}

TEST(hangs)
{
        if (fork() == 0 && setsid() >= 0) /* out of the group: found as an orphan */
                fprintf(stderr, "# daemon %d\n", (int)getpid());
        for (;;)
                pause();
}

TEST(crashes) { raise(SIGSEGV); }

TEST(exits) { exit(3); }

TEST(leaks_a_descriptor) { CHECK(dup(STDERR_FILENO) >= 0); }

TEST(leaks_a_mapping)
{
        CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

TEST(passes_and_prints) { puts("ok 1 - not a case"); }

static void close_it(void) { close(STDERR_FILENO); }

TEST(passes_with_an_end)
{
        tst_at_end(close_it);
        tst_keeps(-1, 0);
}

TEST(skips) { SKIP("for a reason"); }

TEST(leaves_a_folder_and_a_daemon)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        const char *path = tst_private_server();
        int ready[2];
        char c;

        fprintf(stderr, "# folder %s\n", tst_temp_dir());
        CHECK(pipe(ready) == 0);
        if (fork() == 0 && setsid() >= 0 && fork() == 0) {
                int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

                snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
                CHECK(bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 5) == 0);
                CHECK(write(ready[1], &(pid_t){getpid()}, sizeof(pid_t)) == sizeof(pid_t));
                for (;;)
                        pause();
        }
        pid_t daemon_pid;
        CHECK(read(ready[0], &daemon_pid, sizeof daemon_pid) == sizeof daemon_pid);
        fprintf(stderr, "# daemon %d\n", (int)daemon_pid);
        c = 0;
        CHECK(tst_wait_until(++c == 3, 1000));
        CHECK(!tst_wait_until(false, 5));
        abort();
}
