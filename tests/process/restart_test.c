/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restart_test.c - the name server dies under a thousand tasks
 *
 * Some are processes that run the library, half of which sleep in it and half elsewhere; the others
 * are bare connections of this process, each with a passport and a name.
 *
 *   RESTART_PROCESSES   how many are processes (50), of RESTART_TASKS (1000)
 *   RESTART_MS          how soon all names must be back, in the best of three rounds (10000)
 */
#include "roles.h"
#include "server_raw.h"

enum { TASKS_MAX = 4000, AT_ONCE = 32, ROUNDS = 3, SECOND = 1000 };

static unsigned n_processes, n_raws;
static struct owner {
        struct peer peer;
        ptl_port port;
} owners[TASKS_MAX];
static struct raw raws[TASKS_MAX];
static ptl_port dead; /* where deaths of the owners' ports are told */

/* ---- owners ---- */

/* Takes a message; false: it was told to quit. */
static bool obey(ptl_port p, ptl_time deadline)
{
        struct ptl_message m;
        bool goes_on;

        OK(ptl_receive(p, &m, deadline));
        goes_on = m.kind != KIND_QUIT;
        if (m.reply)
                OK(ptl_reply(&m, m.data, m.size));
        ptl_message_release(&m);
        return goes_on;
}

/* owner NAME inside|elsewhere: publishes a port; answers, or does what it is told. */
PEER(owner)
{
        struct ptl_server_status s;
        ptl_port p = new_port();
        char line[32];

        (void)argc;
        OK(ptl_name_publish(argv[1], p));
        peer_say(NULL, "published");
        if (!strcmp(argv[2], "inside")) {
                while (obey(p, PTL_FOREVER))
                        ;
                return;
        }
        while (peer_hear_line(NULL, line, sizeof line)) {
                if (!strcmp(line, "call"))
                        OK(ptl_server_get_status(&s));
                else
                        obey(p, soon());
                peer_say(NULL, "done");
        }
}

static bool is_inside(unsigned i) { return i % 2 == 0; }

static const char *name_of(const char *kind, unsigned i)
{
        static char name[32];

        snprintf(name, sizeof name, "%s.%u", kind, i);
        return name;
}

static void start_processes(unsigned n)
{
        while (n_processes < n) {
                unsigned from = n_processes;

                for (; n_processes < n && n_processes < from + AT_ONCE; n_processes++)
                        peer_start(&owners[n_processes].peer, "owner",
                                   name_of("process", n_processes),
                                   is_inside(n_processes) ? "inside" : "elsewhere", NULL);
                for (unsigned i = from; i < n_processes; i++)
                        peer_hear(&owners[i].peer, "published");
        }
        for (unsigned i = 0; i < n; i++) {
                owners[i].port = look_up(name_of("process", i));
                OK(ptl_right_notify_dead(owners[i].port, dead));
        }
}

static void start_raws(unsigned n)
{
        for (; n_raws < n; n_raws++) {
                raws[n_raws] = raw_task();
                raw_publish(&raws[n_raws], name_of("raw", n_raws));
        }
}

/* As a task of the library does it: again, if the server ends or lets it go before WELCOME
 * (server.md). */
static bool connect_again(struct raw *raw, int passport)
{
        int fd = raw_try_connect(getenv("PORTOLAN_SOCKET"));

        *raw = (struct raw){.socket = fd, .fd = -EBADF, .passport = -EBADF};
        if (fd >= 0 && raw_try_hello(raw, passport))
                return true;
        raw_close(raw);
        return false;
}

/* Each under its old id. */
static void bring_raw_back(unsigned i)
{
        struct ptl_task_id before = raws[i].me.task;
        int passport = raw_take_passport(&raws[i]);

        raw_expect_end(&raws[i]);
        CHECK(tst_wait_until(connect_again(&raws[i], passport), RAW_MS));
        close(passport);
        CHECK(raw_is_same(raws[i].me.task, before));
        raw_publish(&raws[i], name_of("raw", i));
}

/* ---- the names there are ---- */

struct names {
        struct ptl_name_entry *entries;
        size_t n;
};

static int compare(const void *a, const void *b)
{
        return strcmp(((const struct ptl_name_entry *)a)->name,
                      ((const struct ptl_name_entry *)b)->name);
}

static struct names list(void)
{
        struct names names = {NULL, 0};

        OK(ptl_server_list_names(&names.entries, &names.n));
        if (names.n)
                qsort(names.entries, names.n, sizeof *names.entries, compare);
        return names;
}

/* Under the same owners, too. */
static bool are_back(const struct names *before)
{
        struct names now = list();
        bool same = now.n == before->n;

        for (size_t i = 0; same && i < now.n; i++)
                same = !strcmp(now.entries[i].name, before->entries[i].name) &&
                       raw_is_same(now.entries[i].owner.task, before->entries[i].owner.task);
        free(now.entries);
        return same;
}

static bool is_nobody_left(void)
{
        struct ptl_server_status s;

        OK(ptl_server_get_status(&s));
        return s.names == 0 && s.tasks == 1;
}

/* ---- the case ---- */

static unsigned wanted(const char *variable, unsigned otherwise)
{
        const char *s = getenv(variable);

        return s && *s ? (unsigned)atoi(s) : otherwise;
}

/* Three a link, two a bare task; processes inherit it. */
static void raise_limit(unsigned tasks)
{
        struct rlimit limit;

        CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        if (limit.rlim_max < 4 * tasks + 100)
                SKIP("too few descriptors are allowed");
        limit.rlim_cur = limit.rlim_max;
        CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void kill_server(void)
{
        struct ptl_server_status s;

        OK(ptl_server_get_status(&s));
        CHECK(kill(s.server.pid, SIGKILL) == 0);
}

static void use_rights(void)
{
        for (unsigned i = 0; i < n_processes; i++)
                if (is_inside(i)) {
                        call_echo(owners[i].port);
                } else {
                        put(owners[i].port, "obey");
                        peer_say(&owners[i].peer, "obey");
                        peer_hear(&owners[i].peer, "done");
                }
        check_empty(dead);
}

/* Returns how long it took until all names were back, in ns. */
static ptl_time restart(void)
{
        struct names before = list();
        ptl_time start, took;

        CHECK_EQ(before.n, n_processes + n_raws);
        kill_server();
        start = ptl_now();
        for (unsigned i = 0; i < n_processes; i++)
                if (!is_inside(i))
                        peer_say(&owners[i].peer, "call");
        for (unsigned i = 0; i < n_raws; i++)
                bring_raw_back(i);
        for (unsigned i = 0; i < n_processes; i++)
                if (!is_inside(i))
                        peer_hear(&owners[i].peer, "done");
        CHECK(tst_wait_until(are_back(&before), 20 * SECOND));
        took = ptl_now() - start;
        fprintf(stderr, "# %zu names were back after %" PRId64 " ms\n", before.n, took / 1000000);
        use_rights();
        free(before.entries);
        return took;
}

static void end_all(void)
{
        for (unsigned i = 0; i < n_processes; i++)
                if (is_inside(i))
                        OK(ptl_send_message(owners[i].port,
                                            &(struct ptl_outgoing){.kind = KIND_QUIT}, soon()));
        for (unsigned i = 0; i < n_processes; i++)
                peer_end(&owners[i].peer);
        for (unsigned i = 0; i < n_raws; i++)
                raw_close(&raws[i]);
}

static void check_folder(void)
{
        DIR *d = opendir(tst_temp_dir());
        int n = 0;

        CHECK(d);
        for (struct dirent *e; (e = readdir(d));)
                n += e->d_name[0] != '.';
        closedir(d);
        CHECK_EQ(n, 1); /* the socket */
}

static bool names_our_socket(const char *pid)
{
        const char *path = getenv("PORTOLAN_SOCKET");
        char file[300], arguments[1024];
        FILE *f;
        size_t n;

        snprintf(file, sizeof file, "/proc/%s/cmdline", pid);
        if (!(f = fopen(file, "re")))
                return false;
        n = fread(arguments, 1, sizeof arguments, f);
        fclose(f);
        return memmem(arguments, n, path, strlen(path)) != NULL;
}

/* Starters that found another there are gone. */
static bool is_one_server(void)
{
        DIR *d = opendir("/proc");
        int n = 0;

        CHECK(d);
        for (struct dirent *e; (e = readdir(d));)
                n += e->d_name[0] >= '1' && e->d_name[0] <= '9' && names_our_socket(e->d_name);
        closedir(d);
        return n == 1;
}

API_TEST_TIMES(all_names_of_a_thousand_tasks_are_back_after_a_restart, 6)
{
        unsigned tasks = wanted("RESTART_TASKS", 1000), processes = wanted("RESTART_PROCESSES", 50);
        ptl_time best = PTL_FOREVER;

        CHECK(tasks <= TASKS_MAX);
        raise_limit(tasks);
        dead = new_port();
        start_processes(processes < tasks ? processes : tasks);
        start_raws(tasks - n_processes);
        for (unsigned i = 0; i < ROUNDS; i++) {
                ptl_time took = restart();

                best = took < best ? took : best;
        }
        CHECK(best < tst_deadline_ms(wanted("RESTART_MS", 10 * SECOND)) * 1000000);
        end_all();
        CHECK(tst_wait_until(is_nobody_left() && is_one_server(), 5000));
        check_folder();
}
