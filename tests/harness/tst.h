/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tst.h - the test harness: every case in its own process, under a deadline, checked for leaks
 *
 * TEST(name) { ... } registers a case through a linker section. A program of cases speaks TAP:
 *   prog            every case, each in its own process; what a case prints goes to stderr
 *   prog NAME       that case in this process, without a deadline (gdb, rr)
 *   prog --list     their names
 *
 * A case fails when a CHECK fails in it or in any process it forked, when it ends by a signal or
 * with a status, at its deadline, and when it leaves descriptors open or shared mappings mapped.
 * However it ends, the program then kills what the case left running (its process group, and all
 * who were orphaned on the way, daemons too) and removes its temporary folder.
 *
 * TST_TIMEOUT is the deadline of a case in seconds (20); tst_deadline_ms() and tst_wait_until()
 * stretch in proportion, so slow builds (sanitizers, qemu) set one variable.
 */
#pragma once
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TST_SKIPPED = 77, TST_SECONDS = 20, TST_AT_END_MAX = 8 };

struct tst_case {
        const char *name;
        void (*run)(void);
        unsigned times;         /* this many times the usual deadline */
} __attribute__((aligned(32))); /* as the compiler would align it: the section is an array */

/* What a case tells the process that started it; in memory they share. */
struct tst_report {
        char dir[64]; /* the temporary folder, "" if it has none */
        char why[160];
        int failed; /* a CHECK failed, in whatever process */
};

extern const struct tst_case __start_tst_cases[], __stop_tst_cases[];

/* peer.c defines it: this program started afresh as `prog --peer ROLE ...`, see peer.h. */
int tst_peer_main(int argc, char **argv) __attribute__((weak));

static struct tst_report *tst_report;
static void (*tst_at_end_list[TST_AT_END_MAX])(void);
static int tst_kept_fds, tst_kept_maps;

#define TEST_TIMES(fn, n)                                                                          \
        static void fn(void);                                                                      \
        static const struct tst_case tst_case_##fn                                                 \
                __attribute__((used, section("tst_cases"))) = {#fn, fn, n};                        \
        static void fn(void)

#define TEST(fn) TEST_TIMES(fn, 1)

#define CHECK(cond)                                                                                \
        do {                                                                                       \
                if (!(cond))                                                                       \
                        tst_fail(__FILE__, __LINE__, __func__, "CHECK(" #cond ")");                \
        } while (0)

/* Integers, enums and booleans; both values are printed. For pointers: CHECK(p == q). */
#define CHECK_EQ(a, b)                                                                             \
        tst_check_eq(__FILE__, __LINE__, __func__, "CHECK_EQ(" #a ", " #b ")", (intmax_t)(a),      \
                     (intmax_t)(b))

#define CHECK_STR_EQ(a, b)                                                                         \
        tst_check_str_eq(__FILE__, __LINE__, __func__, "CHECK_STR_EQ(" #a ", " #b ")", (a), (b))

/* In a loop over a table whose rows have a member name. */
#define CHECK_ROW(i, row, cond)                                                                    \
        do {                                                                                       \
                if (!(cond)) {                                                                     \
                        fprintf(stderr, "# row %zu (%s):\n", (size_t)(i), (row)->name);            \
                        tst_fail(__FILE__, __LINE__, __func__, "CHECK(" #cond ")");                \
                }                                                                                  \
        } while (0)

#define SKIP(why) tst_skip(why)

#ifndef ARRAY_LEN
#define ARRAY_LEN(a) (sizeof(a) / sizeof *(a))
#endif

/* True as soon as @cond is, false if it is not within @ms (stretched by TST_TIMEOUT). */
#define tst_wait_until(cond, ms)                                                                   \
        __extension__({                                                                            \
                int64_t tst_end_ = tst_now_ms() + tst_deadline_ms(ms);                             \
                bool tst_met_;                                                                     \
                while (!(tst_met_ = !!(cond)) && tst_now_ms() < tst_end_)                          \
                        tst_nap();                                                                 \
                tst_met_;                                                                          \
        })

__attribute__((noreturn)) static inline void tst_fail(const char *file, int line, const char *func,
                                                      const char *what)
{
        fprintf(stderr, "# %s:%d: %s: %s\n", file, line, func, what);
        if (tst_report)
                tst_report->failed = 1;
        abort();
}

static inline void tst_check_eq(const char *file, int line, const char *func, const char *what,
                                intmax_t a, intmax_t b)
{
        if (a == b)
                return;
        fprintf(stderr, "# %jd (%#jx) is not %jd (%#jx)\n", a, (uintmax_t)a, b, (uintmax_t)b);
        tst_fail(file, line, func, what);
}

static inline void tst_check_str_eq(const char *file, int line, const char *func, const char *what,
                                    const char *a, const char *b)
{
        if (a == b || (a && b && !strcmp(a, b)))
                return;
        fprintf(stderr, "# \"%s\" is not \"%s\"\n", a ? a : "(null)", b ? b : "(null)");
        tst_fail(file, line, func, what);
}

__attribute__((noreturn)) static inline void tst_skip(const char *why)
{
        if (tst_report)
                snprintf(tst_report->why, sizeof tst_report->why, "%s", why);
        exit(TST_SKIPPED);
}

/* Called when the case has returned and before it is checked for leaks, the last one first. */
static inline void tst_at_end(void (*call)(void))
{
        for (int i = 0; i < TST_AT_END_MAX; i++)
                if (!tst_at_end_list[i]) {
                        tst_at_end_list[i] = call;
                        return;
                }
        tst_fail(__FILE__, __LINE__, __func__, "too many");
}

/* This case leaves so many on purpose: what a library keeps for the life of the process. */
static inline void tst_keeps(int descriptors, int shared_mappings)
{
        tst_kept_fds = descriptors;
        tst_kept_maps = shared_mappings;
}

static inline int64_t tst_now_ms(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void tst_nap(void) { nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL); }

static inline unsigned tst_timeout_seconds(void)
{
        const char *s = getenv("TST_TIMEOUT");
        int n = s ? atoi(s) : 0;

        return n > 0 ? (unsigned)n : TST_SECONDS;
}

/* @ms as on the machine it was thought out for; longer where TST_TIMEOUT says so, never shorter. */
static inline int64_t tst_deadline_ms(int64_t ms)
{
        unsigned s = tst_timeout_seconds();

        return s > TST_SECONDS ? ms * s / TST_SECONDS : ms;
}

/*
 * Whether madvise() says yes to advice that no kernel knows: qemu-user does, and does nothing. What rests
 * on advice (MADV_DONTFORK, MADV_POPULATE_WRITE) cannot be tested there.
 */
static inline bool tst_advice_is_ignored(void)
{
        void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        bool ignored = page != MAP_FAILED && madvise(page, 4096, 9999) == 0;

        if (page != MAP_FAILED)
                munmap(page, 4096);
        return ignored;
}

/* The case's own empty folder; the same at each call. Removed when the case has ended. */
static inline const char *tst_temp_dir(void)
{
        const char *base = getenv("TMPDIR");

        CHECK(tst_report);
        if (tst_report->dir[0])
                return tst_report->dir;
        if (!base || strlen(base) > 40) /* socket addresses are short */
                base = "/tmp";
        char dir[sizeof tst_report->dir];
        snprintf(dir, sizeof dir, "%s/tst.XXXXXX", base);
        CHECK(mkdtemp(dir));
        memcpy(tst_report->dir, dir, sizeof dir);
        return tst_report->dir;
}

/*
 * From here on this case talks to a name server of its own: PORTOLAN_SOCKET names a socket in its
 * temporary folder, where nobody listens yet. Who does when the case has ended is killed. Returns
 * the socket's path.
 */
static inline const char *tst_private_server(void)
{
        static char path[sizeof tst_report->dir + 16];

        snprintf(path, sizeof path, "%s/portolan.sock", tst_temp_dir());
        CHECK(setenv("PORTOLAN_SOCKET", path, 1) == 0);
        return path;
}

/* ---- leaks ---- */

static inline int tst_open_fds(bool print)
{
        DIR *d = opendir("/proc/self/fd");
        int n = 0;

        if (!d)
                return 0;
        for (struct dirent *e; (e = readdir(d));) {
                char link[128];
                ssize_t len;

                if (e->d_name[0] == '.' || atoi(e->d_name) == dirfd(d))
                        continue;
                n++;
                if (!print || (len = readlinkat(dirfd(d), e->d_name, link, sizeof link)) < 0)
                        continue;
                fprintf(stderr, "#   %s -> %.*s\n", e->d_name, (int)len, link);
        }
        closedir(d);
        return n;
}

/* Mappings that are shared, or of a memfd; a sanitizer's own are neither. */
static inline int tst_shared_maps(bool print)
{
        FILE *f = fopen("/proc/self/maps", "re");
        char line[512];
        int n = 0;

        if (!f)
                return 0;
        while (fgets(line, sizeof line, f)) {
                const char *perms = strchr(line, ' ');

                if (!perms || (perms[4] != 's' && !strstr(line, "/memfd:")))
                        continue;
                n++;
                if (print)
                        fprintf(stderr, "#   %s", line);
        }
        fclose(f);
        return n;
}

/* ---- running a case ---- */

__attribute__((noreturn)) static inline void tst_run_one(const struct tst_case *c)
{
        int fds = tst_open_fds(false), maps = tst_shared_maps(false), leaked;

        c->run();
        for (int i = TST_AT_END_MAX; i-- > 0;)
                if (tst_at_end_list[i])
                        tst_at_end_list[i]();
        leaked = tst_open_fds(false) - fds - tst_kept_fds;
        if (leaked) {
                fprintf(stderr, "# %s leaked %d descriptors; open are:\n", c->name, leaked);
                tst_open_fds(true);
                exit(1);
        }
        leaked = tst_shared_maps(false) - maps - tst_kept_maps;
        if (leaked) {
                fprintf(stderr, "# %s leaked %d shared mappings; mapped are:\n", c->name, leaked);
                tst_shared_maps(true);
                exit(1);
        }
        exit(0);
}

/* Removes @name below the open folder @at, and all that is in it if it is a folder. */
static inline void tst_remove(int at, const char *name)
{
        int fd;
        DIR *d;

        if (unlinkat(at, name, 0) == 0)
                return;
        fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        d = fd < 0 ? NULL : fdopendir(fd);
        if (!d)
                return;
        for (struct dirent *e; (e = readdir(d));)
                if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
                        tst_remove(fd, e->d_name);
        closedir(d);
        unlinkat(at, name, AT_REMOVEDIR);
}

/* Kills who listens on @path, if it is a process of ours that is not this one or its parent. */
static inline void tst_kill_listener(const char *path)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
        struct ucred who;
        socklen_t len = sizeof who;

        snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
        for (size_t i = 0; i < ARRAY_LEN(types); i++) {
                int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

                if (fd < 0)
                        return;
                if (!connect(fd, (struct sockaddr *)&a, sizeof a) &&
                    !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) && who.pid > 1 &&
                    who.pid != getpid() && who.pid != getppid() && who.uid == getuid())
                        kill(who.pid, SIGKILL);
                close(fd);
        }
}

/* Kills and reaps all children, orphans that the kernel gave us included; bounded. */
static inline void tst_kill_children(void)
{
        int64_t end = tst_now_ms() + tst_deadline_ms(5000);
        char path[64];

        snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
        while (tst_now_ms() < end) {
                FILE *f = fopen(path, "re");
                pid_t ended;
                int pid;

                while (f && fscanf(f, "%d", &pid) == 1)
                        kill(pid, SIGKILL);
                if (f)
                        fclose(f);
                while ((ended = waitpid(-1, NULL, WNOHANG | __WALL)) > 0)
                        ;
                if (ended < 0 || !f) /* none left, or no way to know */
                        return;
                tst_nap();
        }
}

static inline void tst_clean_up(void)
{
        char path[sizeof tst_report->dir + 16];

        if (tst_report->dir[0]) {
                snprintf(path, sizeof path, "%s/portolan.sock", tst_report->dir);
                tst_kill_listener(path);
        }
        tst_kill_children();
        if (tst_report->dir[0])
                tst_remove(AT_FDCWD, tst_report->dir);
        memset(tst_report, 0, sizeof *tst_report);
}

/* Waits for @pid until @end, reaping whoever else ends; false when it is too late. */
static inline bool tst_wait_for(pid_t pid, int64_t end, int *ret_status)
{
        sigset_t chld;
        pid_t ended;

        sigemptyset(&chld);
        sigaddset(&chld, SIGCHLD);
        for (;;) {
                while ((ended = waitpid(-1, ret_status, WNOHANG)) > 0)
                        if (ended == pid)
                                return true;
                int64_t left = end - tst_now_ms();
                if (left <= 0)
                        return false;
                /* a lost wake-up costs a little time, no more */
                left = left < 200 ? left : 200;
                sigtimedwait(&chld, NULL, &(struct timespec){.tv_nsec = (long)left * 1000000});
        }
}

/* Prints the case's line. Returns whether it did not fail. */
static inline bool tst_fork_one(const struct tst_case *c, unsigned n)
{
        unsigned limit = tst_timeout_seconds() * c->times;
        sigset_t chld, before;
        char how[64] = "";
        bool in_time;
        int status = 0;
        pid_t pid;

        sigemptyset(&chld);
        sigaddset(&chld, SIGCHLD);
        sigprocmask(SIG_BLOCK, &chld, &before);
        pid = fork();
        if (pid < 0) {
                printf("not ok %u - %s (fork: %s)\n", n, c->name, strerror(errno));
                return false;
        }
        if (pid == 0) {
                setpgid(0, 0); /* so a hung case takes its children with it */
                sigprocmask(SIG_SETMASK, &before, NULL);
                dup2(STDERR_FILENO, STDOUT_FILENO); /* stdout is for TAP */
                if (!getenv("TST_CORE"))
                        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
                tst_run_one(c);
        }
        setpgid(pid, pid); /* whoever comes first */
        in_time = tst_wait_for(pid, tst_now_ms() + (int64_t)limit * 1000, &status);
        kill(-pid, SIGKILL);

        bool skipped = in_time && WIFEXITED(status) && WEXITSTATUS(status) == TST_SKIPPED;
        bool ok = in_time && WIFEXITED(status) && (WEXITSTATUS(status) == 0 || skipped);
        if (!in_time)
                snprintf(how, sizeof how, " (still running after %u s)", limit);
        else if (WIFSIGNALED(status))
                snprintf(how, sizeof how, " (%s)", strsignal(WTERMSIG(status)));
        else if (!ok)
                snprintf(how, sizeof how, " (status %d)", WEXITSTATUS(status));
        else if (tst_report->failed)
                snprintf(how, sizeof how, " (in a child)");
        ok = ok && !tst_report->failed;
        if (ok && skipped)
                printf("ok %u - %s # SKIP %s\n", n, c->name, tst_report->why);
        else
                printf("%s %u - %s%s\n", ok ? "ok" : "not ok", n, c->name, how);
        fflush(stdout);
        tst_clean_up();
        sigprocmask(SIG_SETMASK, &before, NULL);
        return ok;
}

static pid_t tst_in_process; /* the process whose exit ends the case */

static inline void tst_clean_up_at_exit(void)
{
        if (getpid() == tst_in_process)
                tst_clean_up();
}

/* For a debugger: no fork, no deadline; exits with the case's status. */
static inline void tst_run_named(const char *name)
{
        for (const struct tst_case *c = __start_tst_cases; c < __stop_tst_cases; c++)
                if (!strcmp(c->name, name)) {
                        tst_in_process = getpid();
                        atexit(tst_clean_up_at_exit);
                        tst_run_one(c);
                }
        fprintf(stderr, "no case %s; --list names them\n", name);
        exit(2);
}

int main(int argc, char **argv)
{
        unsigned n = 0, failed = 0;

        if (argc > 2 && !strcmp(argv[1], "--peer") && tst_peer_main)
                return tst_peer_main(argc - 2, argv + 2);
        if (argc > 1 && !strcmp(argv[1], "--list")) {
                for (const struct tst_case *c = __start_tst_cases; c < __stop_tst_cases; c++)
                        puts(c->name);
                return 0;
        }
        tst_report = mmap(NULL, sizeof *tst_report, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (tst_report == MAP_FAILED)
                return 2;
        prctl(PR_SET_CHILD_SUBREAPER, 1L); /* a case's daemons become our children, not init's */
        if (argc > 1)
                tst_run_named(argv[1]);
        printf("1..%td\n", __stop_tst_cases - __start_tst_cases);
        fflush(stdout);
        for (const struct tst_case *c = __start_tst_cases; c < __stop_tst_cases; c++)
                failed += !tst_fork_one(c, ++n);
        return failed != 0;
}
