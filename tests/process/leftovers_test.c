/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leftovers_test.c - after SIGKILL of everything nothing is left behind but the server's socket
 *
 * Eight tasks in the middle of their traffic and their name server are killed. Where it is
 * permitted (root, or user name spaces) the case has /tmp, /dev/shm, /dev/mqueue and /run to
 * itself, so that it sees whatever was left there and nothing of others'; elsewhere it looks for
 * what bears our name.
 */
#include "base/atomic.h"
#include "roles.h"
#include <sched.h>
#include <sys/mount.h>

enum { TASKS = 8, LISTED_MAX = 64, ENOUGH = 500, LARGE = 70000, REGION = 1 << 16 };

/* What the tasks tell, in memory. */
static struct world {
        _Atomic int server;
        _Atomic unsigned sent[TASKS], received[TASKS];
} * world;

/* ---- places ---- */

static void write_text(const char *path, const char *format, unsigned id)
{
        char text[64];
        int fd = open(path, O_WRONLY | O_CLOEXEC), n = snprintf(text, sizeof text, format, id);

        if (fd < 0)
                return;
        if (write(fd, text, (size_t)n) != n)
                fprintf(stderr, "# %s: %s\n", path, strerror(errno));
        close(fd);
}

static bool mount_fresh(const char *type, const char *at)
{
        return mount("none", at, type, 0, NULL) == 0;
}

/* A program below a place that is to be empty could not be started any more. */
static bool are_programs_elsewhere(void)
{
        char self[512] = "";
        const char *places[] = {getenv("PORTOLAND"), self};

        if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
                return false;
        for (size_t i = 0; i < ARRAY_LEN(places); i++)
                if (places[i] &&
                    (!strncmp(places[i], "/tmp/", 5) || !strncmp(places[i], "/run/", 5)))
                        return false;
        return true;
}

/* True if the places where something could be left are the case's own and empty. */
static bool has_places_to_itself(void)
{
        unsigned uid = getuid(), gid = getgid();

        if (!are_programs_elsewhere())
                return false;
        if (unshare(CLONE_NEWNS | CLONE_NEWIPC) != 0) {
                if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC) != 0)
                        return false;
                write_text("/proc/self/setgroups", "deny", 0);
                write_text("/proc/self/uid_map", uid ? "%1$u %1$u 1" : "0 0 1", uid);
                write_text("/proc/self/gid_map", gid ? "%1$u %1$u 1" : "0 0 1", gid);
        }
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
                return false;
        mount_fresh("mqueue", "/dev/mqueue"); /* not everywhere */
        return mount_fresh("tmpfs", "/tmp") && mount_fresh("tmpfs", "/dev/shm") &&
               mount_fresh("tmpfs", "/run");
}

/* Prints and counts what lies at @path, but for @but; folders too. */
static int left_at(const char *path, const char *but, const char *like)
{
        DIR *d = opendir(path);
        int n = 0;

        if (!d)
                return 0;
        for (struct dirent *e; (e = readdir(d));) {
                if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
                    !strcmp(e->d_name, but) || (like && !strstr(e->d_name, like)))
                        continue;
                fprintf(stderr, "# left: %s/%s\n", path, e->d_name);
                n++;
        }
        closedir(d);
        return n;
}

/* System V's tables, which have a line of headings. */
static int rows_of(const char *path)
{
        FILE *f = fopen(path, "re");
        int c, n = -1;

        if (!f)
                return 0;
        while ((c = getc(f)) != EOF)
                n += c == '\n';
        fclose(f);
        return n;
}

/* ---- processes ---- */

/* Does a process name @wanted on its command line, as a server does its socket? */
static bool names(const char *pid, const char *wanted)
{
        char path[300], text[4096], *at = text;
        size_t n;
        FILE *f;

        snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
        if (!(f = fopen(path, "re")))
                return false;
        n = fread(text, 1, sizeof text - 1, f);
        fclose(f);
        for (text[n] = '\0'; at < text + n; at += strlen(at) + 1)
                if (strstr(at, wanted))
                        return true;
        return false;
}

/* Does a process see the same files as this one? In another name space @socket is another one. */
static bool is_in_our_place(const char *pid)
{
        struct stat ours, its;
        char path[300];

        snprintf(path, sizeof path, "/proc/%s/ns/mnt", pid);
        return stat("/proc/self/ns/mnt", &ours) == 0 && stat(path, &its) == 0 &&
               ours.st_dev == its.st_dev && ours.st_ino == its.st_ino;
}

/* Servers of @socket that run; each gets the signal. */
static int signal_servers(const char *socket, int sig)
{
        DIR *d = opendir("/proc");
        int n = 0;

        CHECK(d);
        for (struct dirent *e; (e = readdir(d));)
                if (atoi(e->d_name) && names(e->d_name, socket) && is_in_our_place(e->d_name)) {
                        kill(atoi(e->d_name), sig);
                        n++;
                }
        closedir(d);
        return n;
}

/* Children of @parent but @but: orphans of ours go to the program that started the case. */
static int children_of(pid_t parent, pid_t but)
{
        char path[64];
        int pid, n = 0;
        FILE *f;

        snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
        f = fopen(path, "re");
        while (f && fscanf(f, "%d", &pid) == 1)
                n += pid != but;
        if (f)
                fclose(f);
        return n;
}

static bool is_gone(pid_t pid) { return kill(pid, 0) != 0 && errno == ESRCH; }

/* ---- tasks ---- */

static void name_of(char *name, size_t size, unsigned i) { snprintf(name, size, "left-%u", i); }

/* Something of everything: frames, blocks, memory, rights, replies. */
static int send_something(ptl_port to, ptl_port mine, unsigned n)
{
        static unsigned char data[LARGE];
        struct ptl_right_item right = {mine, n % 2 ? PTL_MAKE_SEND : PTL_MAKE_SEND_ONCE};
        struct ptl_region_item region = {.how = PTL_REGION_ISOLATED};
        struct ptl_outgoing out = {.data = data, .size = n % 3 ? 64 : LARGE};
        int r;

        if (n % 5 == 0) {
                out.rights = &right;
                out.n_rights = 1;
        }
        if (n % 16 == 0) {
                OK(ptl_region_new(REGION, &region.region));
                out.regions = &region;
                out.n_regions = 1;
        }
        out.reply = n % 7 ? PTL_NULL : mine;
        r = ptl_send_message(to, &out, PTL_NOW);
        if (r && out.n_regions)
                ptl_region_free(region.region);
        return r;
}

static void take_all(ptl_port mine, unsigned i)
{
        struct ptl_message m;

        while (ptl_receive(mine, &m, ptl_after_ms(1)) == 0) {
                for (uint32_t k = 0; k < m.n_rights; k++)
                        ptl_right_release(m.rights[k].port);
                for (uint32_t k = 0; k < m.n_regions; k++)
                        ptl_region_free(m.regions[k].region);
                ptl_message_release(&m);
                ptl_store_relaxed(&world->received[i], ptl_load_relaxed(&world->received[i]) + 1);
                if (ptl_load_relaxed(&world->received[i]) % 8 == 0)
                        return;
        }
}

__attribute__((noreturn)) static void be_task(unsigned i)
{
        struct ptl_server_status status;
        ptl_port mine = new_port(), to[TASKS];
        char name[32];

        name_of(name, sizeof name, i);
        OK(ptl_name_publish(name, mine));
        OK(ptl_server_get_status(&status));
        ptl_store_release(&world->server, status.server.pid);
        for (unsigned k = 0; k < TASKS; k++) {
                name_of(name, sizeof name, k);
                to[k] = look_up(name);
        }
        for (unsigned n = 0;; n++) {
                unsigned k = (i + 1 + n % (TASKS - 1)) % TASKS;
                int r = send_something(to[k], mine, n);

                if (r == 0)
                        ptl_store_relaxed(&world->sent[i], ptl_load_relaxed(&world->sent[i]) + 1);
                if (r || n % 8 == 0)
                        take_all(mine, i);
                if (r && r != PTL_E_FULL && r != PTL_E_DEAD && r != PTL_E_QUOTA && r != -EMFILE)
                        OK(r);
        }
}

/* ---- the case ---- */

static bool are_busy(void)
{
        for (unsigned i = 0; i < TASKS; i++)
                if (ptl_load_relaxed(&world->sent[i]) < ENOUGH ||
                    ptl_load_relaxed(&world->received[i]) < ENOUGH)
                        return false;
        return true;
}

/* Starts tasks, and kills them and their server, which dies after @server_at of them. */
static void live_and_die(const char *socket, unsigned server_at)
{
        pid_t pids[TASKS];
        int server, status;

        memset(world, 0, sizeof *world);
        for (unsigned i = 0; i < TASKS; i++) {
                pids[i] = fork();
                CHECK(pids[i] >= 0);
                if (pids[i] == 0)
                        be_task(i);
        }
        CHECK(tst_wait_until(are_busy(), 15000));
        server = ptl_load_acquire(&world->server);
        CHECK(server > 1 && signal_servers(socket, 0) >= 1);
        for (unsigned i = 0; i < TASKS; i++) {
                if (i == server_at)
                        kill(server, SIGKILL);
                kill(pids[i], SIGKILL);
        }
        for (unsigned i = 0; i < TASKS; i++) {
                CHECK(waitpid(pids[i], &status, 0) == pids[i]);
                CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        }
        CHECK(tst_wait_until(is_gone(server), 5000));
        /* who lived a moment longer than the server may have started another */
        CHECK(tst_wait_until(signal_servers(socket, SIGKILL) == 0, 5000));
        CHECK(tst_wait_until(children_of(getppid(), getpid()) == 0, 5000));
        CHECK_EQ(children_of(getpid(), 0), 0);
}

static void check_nothing_left(bool alone, const char *folder, const char *socket)
{
        const char *like = alone ? NULL : "portolan";

        CHECK_EQ(left_at(folder, socket, NULL), 0);
        CHECK_EQ(left_at("/dev/shm", "", like), 0);
        CHECK_EQ(left_at("/dev/mqueue", "", like), 0);
        if (alone) {
                CHECK_EQ(left_at("/run", "", NULL), 0);
                CHECK_EQ(rows_of("/proc/sysvipc/shm"), 0);
                CHECK_EQ(rows_of("/proc/sysvipc/sem"), 0);
                CHECK_EQ(rows_of("/proc/sysvipc/msg"), 0);
        }
}

static void start_clean(void)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        struct ptl_task_entry *tasks;
        size_t n;

        call_echo_of(echo, 64, 1);
        call_echo_of(echo, LARGE, 2);
        OUTCOME(ptl_name_look_up("left-0", &(ptl_port){0}, PTL_NOW), PTL_E_NOT_FOUND);
        OK(ptl_server_list_tasks(&tasks, &n));
        CHECK_EQ(n, 2);
        free(tasks);
        end_echo(&peer, echo);
        OK(ptl_task_leave());
}

static void make_world(void)
{
        world = mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                     0);
        CHECK(world != MAP_FAILED);
}

TEST_TIMES(nothing_is_left_of_a_killed_server_and_its_tasks_but_the_socket, 3)
{
        bool alone = has_places_to_itself();
        const char *socket = tst_private_server();
        char folder[128];

        if (!alone)
                fprintf(stderr, "# no name space of its own: looks for our name only\n");
        snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(socket, '/') - socket), socket);
        make_world();
        for (unsigned round = 0; round < 3; round++) {
                live_and_die(socket, round * (TASKS - 1) / 2);
                check_nothing_left(alone, folder, strrchr(socket, '/') + 1);
                if (alone)
                        CHECK_EQ(left_at("/tmp", strrchr(folder, '/') + 1, NULL), 0);
        }
        start_clean();
        munmap(world, sizeof *world);
}

/* Where the library puts its socket by itself: /tmp/portolan-UID, or a run-time folder. */
static void default_place(bool alone, char *ret_folder, size_t size)
{
        unsetenv("PORTOLAN_SOCKET");
        if (alone) {
                unsetenv("XDG_RUNTIME_DIR");
                snprintf(ret_folder, size, "/tmp/portolan-%u", (unsigned)getuid());
                return;
        }
        if (access("/run/portolan/portolan.sock", F_OK) == 0)
                SKIP("there is a system's server");
        setenv("XDG_RUNTIME_DIR", tst_temp_dir(), 1);
        snprintf(ret_folder, size, "%s/portolan", tst_temp_dir());
}

TEST_TIMES(nothing_is_left_in_the_places_used_by_default, 3)
{
        bool alone = has_places_to_itself();
        char folder[128], above[128];

        default_place(alone, folder, sizeof folder);
        snprintf(above, sizeof above, "%.*s", (int)(strrchr(folder, '/') - folder), folder);
        make_world();
        live_and_die(folder, TASKS - 1);
        check_nothing_left(alone, folder, "portolan.sock");
        CHECK_EQ(left_at(above, strrchr(folder, '/') + 1, NULL), 0);
        start_clean();
        munmap(world, sizeof *world);
}
