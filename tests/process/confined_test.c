/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confined_test.c - the system calls that SECURITY.md lists are enough, for the library and
 * portoland
 *
 * The lists, here and in filter.h, are that page's. What is not in them ends the process, which says what it
 * was (the library) or ends by SIGSYS (the server). The page names the calls of x86-64. With a sanitizer, which
 * makes calls of its own, there is nothing to see.
 *
 *   CONFINED_ROUNDS   times that all is done under the library's filter (1)
 */
#include "roles.h"
#include "sanitizer.h"
#include "server_raw.h"

#if defined(__x86_64__)
#include "filter.h"

enum { LARGE = 3 << 20 };

/* clang-format off */

static const int steady_calls[] = {
        SYS_exit_group, SYS_write, SYS_futex, SYS_epoll_wait, SYS_timerfd_settime,
};

static const int server_calls[] = {
        /* start */
        SYS_geteuid, SYS_newfstatat, SYS_openat, SYS_flock, SYS_socket, SYS_connect, SYS_fchmod,
        SYS_umask, SYS_bind, SYS_listen, SYS_prlimit64, SYS_getpid, SYS_getegid, SYS_read,
        SYS_getrandom, SYS_epoll_create1, SYS_rt_sigprocmask, SYS_signalfd4, SYS_epoll_ctl,
        SYS_close, SYS_nanosleep, SYS_clock_nanosleep, SYS_unlink, SYS_mkdir, SYS_epoll_wait,
        /* running, leaving; telling that it is ready */
        SYS_accept4, SYS_getsockopt, SYS_pidfd_open, SYS_recvmsg, SYS_sendmsg, SYS_socketpair,
        SYS_fcntl, SYS_fstatfs, SYS_write, SYS_exit_group,
        /* passports */
        SYS_memfd_create, SYS_pread64,
        /* a descriptor that is no use */
        SYS_setsockopt,
};

/* How a program is loaded. */
static const int loader_calls[] = {
        SYS_execve, SYS_mprotect, SYS_pread64, SYS_fstat, SYS_set_tid_address, SYS_set_robust_list,
        SYS_rseq, SYS_arch_prctl, SYS_access,
};

/* clang-format on */

/* ---- the library ---- */

static unsigned char data[LARGE], answer[LARGE];

static void call_with(ptl_port echo, size_t size)
{
        size_t n = sizeof answer;

        OK(ptl_call(echo, data, size, answer, &n, soon()));
        CHECK_EQ(n, size);
}

static void send_region(ptl_port echo, uint32_t how)
{
        struct ptl_region_item item = {.how = how};
        struct ptl_message m;

        OK(ptl_region_new(LARGE, &item.region));
        OK(ptl_call_message(echo, &(struct ptl_outgoing){.regions = &item, .n_regions = 1}, &m, 0,
                            soon()));
        ptl_message_release(&m);
        if (how == PTL_REGION_VOLATILE)
                ptl_region_free(item.region);
}

static void use_messages(ptl_port echo)
{
        static const size_t sizes[] = {0, 64, 8000, 70000, 2 << 20, LARGE};

        for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
                call_with(echo, sizes[i]);
        send_region(echo, PTL_REGION_VOLATILE);
        send_region(echo, PTL_REGION_ISOLATED);
}

static void use_names(void)
{
        struct ptl_region *mine = NULL, *same = NULL;
        struct ptl_name_entry *entries;
        ptl_port p = new_port(), n = new_port();
        size_t count;

        OK(ptl_name_watch("mine", n));
        OK(ptl_name_publish("mine", p));
        take_notification(n, PTL_NOTIFY_NAME_ADDED);
        CHECK_EQ(look_up("mine"), p);
        OK(ptl_region_new(10000, &mine));
        OK(ptl_region_publish("memory", mine));
        OK(ptl_region_look_up("memory", &same, soon()));
        ptl_region_free(same);
        ptl_region_free(mine);
        OK(ptl_server_list_names(&entries, &count));
        free(entries);
        OK(ptl_name_withdraw("mine"));
}

static void use_descriptors(void)
{
        ptl_port p = new_send_port();
        struct ptl_message m;
        int fd = -1;

        OK(ptl_descriptor(p, &fd));
        OK(ptl_descriptor(PTL_NULL, &fd));
        put(p, "x");
        take(p, "x");
        OUTCOME(ptl_receive(p, &m, ptl_after_ms(20)), PTL_E_TIMEOUT);
        OK(ptl_port_free(p));
}

static int rounds(void)
{
        const char *s = getenv("CONFINED_ROUNDS");

        return s && atoi(s) > 0 ? atoi(s) : 1;
}

/* It is told who it is, as the kernel knows it, filter or not. */
static void check_identity(void)
{
        struct ptl_identity me;

        OK(ptl_task_identity(&me));
        CHECK_EQ(me.pid, getpid());
        CHECK_EQ(me.uid, geteuid());
        CHECK_EQ(me.gid, getegid());
}

PEER(confined)
{
        static const enum ptl_wait ways[] = {PTL_WAIT_BLOCK, PTL_WAIT_ADAPTIVE, PTL_WAIT_SPIN};
        ptl_port echo;

        confine_to_library();
        for (int i = 0; i < rounds() * (int)ARRAY_LEN(ways); i++) {
                OK(ptl_task_set_wait(ways[i % (int)ARRAY_LEN(ways)], 0));
                echo = look_up("echo");
                check_identity();
                use_messages(echo);
                use_names();
                use_descriptors();
                OK(ptl_task_leave());
        }
        _exit(0);
}

API_TEST(the_library_needs_no_system_call_that_is_not_listed)
{
        struct peer echo, peer;
        ptl_port p;

        need_no_sanitizer("a sanitizer makes system calls of its own");
        p = start_echo(&echo, "echo");
        peer_start(&peer, "confined", NULL);
        peer_end(&peer);
        end_echo(&echo, p);
}

/* A few calls are enough once everything is set up; the largest messages, which need memory, are
 * not in it. */
PEER(steady)
{
        static const enum ptl_wait ways[] = {PTL_WAIT_BLOCK, PTL_WAIT_ADAPTIVE};
        struct filter f = filter_new();
        ptl_port echo = look_up("echo");

        catch_forbidden();
        for (size_t i = 0; i < 200; i++)
                call_with(echo, i * 500);
        ALLOW(&f, steady_calls);
        allow_clock(&f);
        filter_install(&f, SECCOMP_RET_TRAP);
        for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
                OK(ptl_task_set_wait(ways[i], 0));
                for (size_t k = 0; k < 1000; k++)
                        call_with(echo, k % 200 * 500);
        }
        _exit(0);
}

API_TEST(where_all_is_set_up_four_system_calls_are_enough_for_messages)
{
        struct peer echo, peer;
        ptl_port p;

        need_no_sanitizer("a sanitizer makes system calls of its own");
        p = start_echo(&echo, "echo");
        peer_start(&peer, "steady", NULL);
        peer_end(&peer);
        end_echo(&echo, p);
}

/* ---- the server ---- */

__attribute__((noreturn)) static void be_confined_server(const char *path, int ready)
{
        const char *const argv[] = {"--socket", path, "--ready-fd", "9", NULL};
        struct filter f = filter_new();

        CHECK(dup2(ready, 9) == 9);
        ALLOW(&f, libc_calls);
        ALLOW(&f, loader_calls);
        ALLOW(&f, server_calls);
        allow_clock(&f);
        filter_install(&f, SECCOMP_RET_KILL_PROCESS);
        raw_exec(argv);
}

static pid_t start_confined_server(void)
{
        const char *path = tst_private_server();
        char text[8];
        int ends[2];
        pid_t pid;

        CHECK(pipe2(ends, O_CLOEXEC) == 0);
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
                be_confined_server(path, ends[1]);
        close(ends[1]);
        CHECK_EQ(read(ends[0], text, sizeof text), 6);
        close(ends[0]);
        return pid;
}

API_TEST(the_server_needs_no_system_call_that_is_not_listed)
{
        struct ptl_server_status s;
        struct peer echo;
        pid_t server;
        ptl_port p;

        need_no_sanitizer("a sanitizer makes system calls of its own");
        server = start_confined_server();
        p = start_echo(&echo, "echo");
        use_messages(p);
        use_names();
        OK(ptl_server_get_status(&s));
        CHECK_EQ(s.server.pid, server);
        end_echo(&echo, p);
        OK(ptl_task_leave());
        raw_stop(server);
}

#else

TEST(the_library_needs_no_system_call_that_is_not_listed) { SKIP("the list is x86-64's"); }

#endif
