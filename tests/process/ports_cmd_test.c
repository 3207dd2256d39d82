/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ports_cmd_test.c - portolan ports: what others may see of a task, whatever state it is in
 *
 * The figures are a task's own word. The hostile cases lodge memory that no task would write; the
 * tool is to say so, and whoever may not look is to be refused.
 */
#include "cmd_run.h"
#include "link_raw.h"
#include "roles.h"
#include "wire/board.h"
#include <pthread.h>

static struct run r;

static bool says(const char *text)
{
        if (strstr(r.out_text, text) || strstr(r.err_text, text))
                return true;
        fprintf(stderr, "# \"%s\" is not in:\n%s%s", text, r.out_text, r.err_text);
        return false;
}

static int ports(pid_t pid, const char *option)
{
        char number[16];

        snprintf(number, sizeof number, "%d", (int)pid);
        return option ? RUN(&r, NULL, "ports", number, option) : RUN(&r, NULL, "ports", number);
}

static struct ptl_task_view *look(pid_t pid)
{
        struct ptl_task_view *v = NULL;

        OK(ptl_task_inspect(pid, &v));
        return v;
}

static void halt(pid_t pid)
{
        int status;

        CHECK(kill(pid, SIGSTOP) == 0);
        CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
}

/* What stands in a board, by hand: true if it is as it should be. The view is freed. */
static bool is_port(pid_t pid, const char *published, uint32_t queued, uint64_t received)
{
        struct ptl_task_view *v = look(pid);
        bool found = false;

        for (uint32_t i = 0; i < v->n_ports; i++)
                found |= !strcmp(v->ports[i].published, published) &&
                         v->ports[i].queued == queued && v->ports[i].received == received &&
                         v->ports[i].is_published && v->ports[i].rights & PTL_RIGHT_RECEIVE;
        free(v);
        return found;
}

static bool has_peer(pid_t pid, pid_t peer, uint64_t received)
{
        struct ptl_task_view *v = look(pid);
        bool found = false;

        for (uint32_t i = 0; i < v->n_peers; i++)
                found |= v->peers[i].peer.pid == peer && v->peers[i].received >= received &&
                         v->peers[i].state == 1;
        free(v);
        return found;
}

/* ---- tasks in every state ---- */

API_TEST(a_task_that_sleeps_shows_all_that_it_did)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");

        for (int i = 0; i < 10; i++)
                call_echo(echo);
        CHECK(tst_wait_until(is_port(peer.pid, "echo", 0, 10), 5000));
        CHECK(has_peer(peer.pid, getpid(), 10));
        CHECK_EQ(ports(peer.pid, NULL), 0);
        CHECK(says("asleep in the library") && says("PUBLISHED") && says("echo") && says("PEER"));
        end_echo(&peer, echo);
}

API_TEST(a_stopped_task_can_be_looked_into)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");
        char text[64];

        call_echo(echo);
        CHECK(tst_wait_until(is_port(peer.pid, "echo", 0, 1), 5000));
        halt(peer.pid);
        CHECK_EQ(ports(peer.pid, "--json"), 0);
        CHECK(says("\"process\":\"stopped\"") && says("\"state\":\"stopped\""));
        CHECK(says("\"figures\":\"whole\"") && says("\"published\":\"echo\""));
        snprintf(text, sizeof text, "\"peer_pid\":%d,", (int)getpid());
        CHECK(says(text));
        CHECK_EQ(ports(peer.pid, NULL), 0);
        CHECK(says(": stopped (waits: "));
        CHECK(kill(peer.pid, SIGCONT) == 0);
        end_echo(&peer, echo);
}

/* stuck: never comes back into the library once it has published. */
PEER(stuck)
{
        ptl_port p = new_port_of(4, 0);

        OK(ptl_name_publish("stuck", p));
        peer_say(NULL, "stuck");
        for (volatile bool for_ever = true; for_ever;)
                ;
}

static bool has_in_flight(uint32_t n)
{
        struct ptl_task_view *v = look(getpid());
        bool found = v->n_ports == 1 && v->ports[0].in_flight == n && v->ports[0].window == n;

        free(v);
        return found;
}

API_TEST(a_task_that_is_stuck_in_its_own_code_can_be_looked_into_and_who_waits_for_it_says_so)
{
        struct peer peer;
        ptl_port p;

        peer_start(&peer, "stuck", NULL);
        peer_hear(&peer, "stuck");
        CHECK(is_port(peer.pid, "stuck", 0, 0));
        CHECK_EQ(ports(peer.pid, NULL), 0);
        CHECK(says("in its own code") && says("0/4") && says("stuck"));
        p = look_up("stuck");
        for (int i = 0; i < 4; i++)
                OK(ptl_send(p, "x", 1, PTL_NOW));
        OUTCOME(ptl_send(p, "x", 1, ptl_after_ms(1)), PTL_E_TIMEOUT);
        CHECK(tst_wait_until(has_in_flight(4),
                             5000)); /* looking writes our own board, sooner or later */
        CHECK_EQ(ports(getpid(), NULL), 0);
        CHECK(says("4/4"));
        peer_kill(&peer);
}

API_TEST(a_task_that_is_busy_in_the_library_shows_what_it_does_now)
{
        struct peer peer;
        ptl_port echo;
        struct ptl_task_view *v;
        uint64_t first, now;

        OK(ptl_task_set_wait(PTL_WAIT_SPIN, 0));
        echo = start_echo(&peer, "echo");
        call_echo(echo);
        v = look(getpid());
        first = v->statistics.sent;
        free(v);
        for (int64_t end = tst_now_ms() + tst_deadline_ms(5000);;) {
                for (int i = 0; i < 1000; i++)
                        call_echo(echo);
                v = look(peer.pid); /* not our own: to ask writes our board */
                now = v->statistics.sent;
                free(v);
                if (now > first + 1000)
                        break;
                CHECK(tst_now_ms() < end);
        }
        end_echo(&peer, echo);
}

API_TEST(who_is_dead_or_never_was_is_not_found)
{
        struct ptl_task_view *v = NULL;
        struct peer peer;
        pid_t pid;

        start_echo(&peer, "echo");
        pid = peer.pid;
        peer_kill(&peer);
        CHECK(tst_wait_until(ptl_task_inspect(pid, &v) == PTL_E_NOT_FOUND || (free(v), false),
                             5000));
        CHECK_EQ(ports(pid, NULL), 1);
        CHECK(says("knows no such task"));
        OUTCOME(ptl_task_inspect(0, &v), PTL_E_INVALID);
        OUTCOME(ptl_task_inspect(-5, &v), PTL_E_INVALID);
        OUTCOME(ptl_task_inspect(getpid(), NULL), PTL_E_INVALID);
}

API_TEST(more_ports_than_rows_are_counted_and_full_ones_come_first)
{
        enum { MANY = PTL_VIEW_PORTS + 100 };
        struct ptl_task_view *v;
        ptl_port last = PTL_NULL;

        for (int i = 0; i < MANY; i++)
                last = new_send_port();
        put(last, "x");
        v = look(getpid());
        free(v); /* the first was asked for before we were a task of the server's */
        v = look(getpid());
        CHECK_EQ(v->n_ports, PTL_VIEW_PORTS);
        CHECK_EQ(v->ports_missing, MANY - PTL_VIEW_PORTS);
        CHECK_EQ(v->ports[0].name, last);
        CHECK_EQ(v->ports[0].queued, 1);
        free(v);
        CHECK_EQ(ports(getpid(), NULL), 0);
        CHECK(says("and 100 more"));
}

TEST(a_peers_lies_are_shown_after_its_link_is_over)
{
        struct ptl_task_view *v;
        struct link_raw l;
        uint64_t lies = 0;

        start_victim();
        l = link_raw_open();
        link_raw_message(&l, 77 | PTL_RIGHT_CLAIMED, 0); /* a right it never claimed */
        link_raw_judge(&l, LIE, "a right never claimed");
        CHECK(tst_wait_until((v = look(patient.pid))->statistics.lies == 1 || (free(v), false),
                             RAW_MS));
        for (uint32_t i = 0; i < v->n_peers; i++)
                if (v->peers[i].state == 2)
                        lies += v->peers[i].lies;
        CHECK_EQ(lies, 1);
        CHECK_EQ(v->peers[0].peer.pid, getpid());
        free(v);
        CHECK_EQ(ports(patient.pid, "--json"), 0);
        CHECK(says("\"link\":\"dead\"") && says("\"lies\":1,\"unread"));
        end_victim();
}

API_TEST(a_child_has_a_board_of_its_own)
{
        pid_t child;
        int status;

        OK(ptl_name_publish("parent", new_port()));
        child = fork();
        CHECK(child >= 0);
        if (child == 0) {
                OK(ptl_name_publish("child", new_port()));
                CHECK(is_port(getpid(), "child", 0, 0));
                CHECK(!is_port(getpid(), "parent", 0, 0));
                CHECK(is_port(getppid(), "parent", 0, 0));
                OK(ptl_task_leave());
                _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child);
        CHECK_EQ(status, 0);
}

/* ---- who may look ---- */

enum { OTHERS_UID = 12345 };

/* other: is another user, and looks at the PID it is given. */
PEER(other)
{
        struct ptl_task_view *v;
        pid_t pid = atoi(argv[1]);
        int fd;

        CHECK(setgid(OTHERS_UID) == 0 && setuid(OTHERS_UID) == 0);
        OUTCOME(ptl_task_inspect(pid, &v), PTL_E_REFUSED);
        OUTCOME(ptl_task_trace(pid, &fd), PTL_E_REFUSED);
        OK(ptl_task_inspect(getpid(), &v));
        free(v);
        peer_say(NULL, "refused");
        peer_stay();
}

API_TEST(another_user_is_refused_and_root_is_not)
{
        struct ptl_task_view *v;
        char number[16];
        struct peer peer;
        pid_t server;

        if (geteuid() != 0)
                SKIP("only root can be other users");
        server = raw_server(tst_private_server(), "--public", NULL);
        CHECK(chmod(tst_temp_dir(), 0755) == 0);
        OK(ptl_name_publish("mine", new_port()));
        snprintf(number, sizeof number, "%d", (int)getpid());
        peer_start(&peer, "other", number, NULL);
        peer_hear(&peer, "refused");
        v = look(peer.pid);
        CHECK_EQ(v->identity.uid, OTHERS_UID);
        free(v);
        peer_end(&peer);
        OK(ptl_task_leave());
        raw_stop(server);
}

/* ---- boards that no task writes ---- */

enum { NEEDED = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | 0x10 /* F_SEAL_FUTURE_WRITE */ };

/* A board by hand, mapped; NULL: not asked for. */
static int board_of(size_t size, bool reserve, int seals, struct ptl_board **ret)
{
        int fd = memfd_create("board", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
        CHECK(!reserve || fallocate(fd, 0, 0, (off_t)size) == 0);
        if (ret) {
                *ret = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
                CHECK(*ret != MAP_FAILED);
        }
        CHECK(!seals || fcntl(fd, F_ADD_SEALS, seals) == 0);
        return fd;
}

static int lodge(struct raw *raw, int fd)
{
        uint32_t serial = raw_send_fd(raw, (struct ptl_server_msg){.type = PTL_SM_LODGE}, fd);

        ptl_close(fd);
        raw_expect(raw, PTL_SM_RESULT, serial);
        return raw->msg.result.outcome;
}

static void make_good(struct ptl_board *b)
{
        b->head.magic = PTL_BOARD_MAGIC;
        b->head.version = PTL_BOARD_VERSION_NOW;
        b->head.size = PTL_BOARD_SIZE;
        b->head.statistics.sent = 4711;
}

/* The library's task of this process leaves after each look, so the raw one is the only one of its
 * PID. */
PEER(looker)
{
        char line[16];

        (void)argc;
        while (peer_hear_line(NULL, line, sizeof line)) {
                struct ptl_task_view *v = look(atoi(argv[1]));

                if (v->board == PTL_BOARD_NONE || v->board >= PTL_BOARD_VERSION)
                        CHECK(!v->n_ports && !v->n_peers && !v->ports);
                else
                        CHECK_EQ(v->statistics.sent, 4711);
                peer_say(NULL, "%u", v->board);
                free(v);
        }
}

static struct peer looker;

static uint32_t seen(void)
{
        peer_say(&looker, "look");
        return (uint32_t)peer_hear_number(&looker);
}

static struct raw begin_hostile(void)
{
        char number[16];

        snprintf(number, sizeof number, "%d", (int)getpid());
        tst_private_server();
        peer_start(&looker, "looker", number, NULL);
        OK(ptl_server_get_status(&(struct ptl_server_status){.tasks = 0})); /* starts the server */
        OK(ptl_task_leave());
        return raw_task();
}

TEST(memory_that_could_be_taken_away_or_written_by_others_is_no_board)
{
        struct raw raw = begin_hostile();

        CHECK_EQ(seen(), PTL_BOARD_NONE);
        CHECK_EQ(ports(getpid(), NULL), 1);
        CHECK(says("it keeps no figures"));
        CHECK_EQ(lodge(&raw, -1), PTL_E_LOST);
        CHECK_EQ(lodge(&raw, board_of(PTL_BOARD_SIZE, true, 0, NULL)), PTL_E_MALFORMED);
        CHECK_EQ(lodge(&raw, board_of(PTL_BOARD_SIZE, true, F_SEAL_SHRINK | F_SEAL_GROW, NULL)),
                 PTL_E_MALFORMED);
        CHECK_EQ(lodge(&raw, board_of(PTL_BOARD_SIZE, true, NEEDED & ~F_SEAL_SHRINK, NULL)),
                 PTL_E_MALFORMED);
        CHECK_EQ(lodge(&raw, board_of(PTL_BOARD_SIZE, false, NEEDED, NULL)), PTL_E_MALFORMED);
        CHECK_EQ(lodge(&raw, board_of(PTL_BOARD_SIZE / 2, true, NEEDED, NULL)), PTL_E_MALFORMED);
        CHECK_EQ(lodge(&raw, board_of(PTL_BOARD_SIZE * 2, true, NEEDED, NULL)), PTL_E_MALFORMED);
        CHECK_EQ(lodge(&raw, open("/dev/null", O_RDONLY | O_CLOEXEC)), PTL_E_MALFORMED);
        CHECK_EQ(lodge(&raw, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), PTL_E_MALFORMED);
        CHECK_EQ(seen(), PTL_BOARD_NONE);
        raw_close(&raw);
        peer_end(&looker);
}

TEST(a_board_full_of_nonsense_is_called_that_and_a_new_one_replaces_it)
{
        struct raw raw = begin_hostile();
        struct ptl_board *b;

        CHECK_EQ(lodge(&raw, board_of(PTL_BOARD_SIZE, true, NEEDED, &b)), 0);
        CHECK_EQ(seen(), PTL_BOARD_MALFORMED); /* zeros */
        memset(b, 0xff, sizeof *b);
        CHECK_EQ(seen(), PTL_BOARD_MALFORMED);
        CHECK_EQ(ports(getpid(), NULL), 1);
        CHECK(says("none that a correct program writes"));
        memset(b, 0, sizeof *b);
        make_good(b);
        b->head.version = 9;
        CHECK_EQ(seen(), PTL_BOARD_VERSION);
        make_good(b);
        CHECK_EQ(seen(), PTL_BOARD_WHOLE);
        munmap(b, sizeof *b);
        CHECK_EQ(lodge(&raw, board_of(PTL_BOARD_SIZE, true, NEEDED, &b)), 0);
        CHECK_EQ(seen(), PTL_BOARD_MALFORMED); /* the new one is looked at */
        munmap(b, sizeof *b);
        raw_close(&raw);
        peer_end(&looker);
}

TEST(a_task_stopped_while_it_writes_is_said_to_be)
{
        struct raw raw = begin_hostile();
        struct ptl_board *b;

        CHECK_EQ(lodge(&raw, board_of(PTL_BOARD_SIZE, true, NEEDED, &b)), 0);
        make_good(b);
        ptl_board_begin(b);
        CHECK_EQ(seen(), PTL_BOARD_TORN);
        CHECK_EQ(ports(getpid(), NULL), 0);
        CHECK(says("It was stopped while it wrote"));
        ptl_board_end(b);
        CHECK_EQ(seen(), PTL_BOARD_WHOLE);
        munmap(b, sizeof *b);
        raw_close(&raw);
        peer_end(&looker);
}

/* Two copies of the library in one process, say, of which one has asked the server for little. */
TEST(of_several_tasks_of_a_process_the_newest_that_has_a_board_is_shown)
{
        struct raw with = begin_hostile(), without, newest;
        struct ptl_board *b;

        without = raw_task();
        CHECK_EQ(seen(), PTL_BOARD_NONE);
        CHECK_EQ(lodge(&with, board_of(PTL_BOARD_SIZE, true, NEEDED, &b)), 0);
        make_good(b);
        CHECK_EQ(seen(), PTL_BOARD_WHOLE);
        munmap(b, sizeof *b);
        newest = raw_task();
        CHECK_EQ(seen(), PTL_BOARD_WHOLE);
        CHECK_EQ(lodge(&newest, board_of(PTL_BOARD_SIZE, true, NEEDED, NULL)), 0);
        CHECK_EQ(seen(), PTL_BOARD_MALFORMED); /* the newest's, which is zeros */
        CHECK_EQ(lodge(&without, board_of(PTL_BOARD_SIZE, true, NEEDED, &b)), 0);
        make_good(b);
        CHECK_EQ(seen(), PTL_BOARD_MALFORMED); /* lodged later, but of an older task */
        munmap(b, sizeof *b);
        raw_close(&newest);
        CHECK(tst_wait_until(seen() == PTL_BOARD_WHOLE, RAW_MS));
        raw_close(&with);
        raw_close(&without);
        peer_end(&looker);
}

static _Atomic bool stop;

/* Never at rest: as fast as it can, every word that is counted by. */
static void *flip(void *arg)
{
        struct ptl_board *b = arg;

        for (uint32_t i = 1; !atomic_load(&stop); i++) {
                atomic_store(&b->head.sequence, i);
                __atomic_store_n(&b->head.n_ports, i % 3 ? 0 : 1, __ATOMIC_RELAXED);
                __atomic_store_n(&b->ports[0].rights, i % 5 ? 1 : UINT32_MAX, __ATOMIC_RELAXED);
                __atomic_store_n(&b->ports[0].name, i, __ATOMIC_RELAXED);
        }
        return NULL;
}

TEST(a_board_that_changes_under_its_reader_harms_nobody)
{
        struct raw raw = begin_hostile();
        struct ptl_board *b;
        pthread_t t;

        CHECK_EQ(lodge(&raw, board_of(PTL_BOARD_SIZE, true, NEEDED, &b)), 0);
        make_good(b);
        CHECK(pthread_create(&t, NULL, flip, b) == 0);
        for (int i = 0; i < 20; i++) {
                uint32_t how = seen(); /* any of these; the looker checks what it is given */

                CHECK(how == PTL_BOARD_WHOLE || how == PTL_BOARD_UNSTEADY ||
                      how == PTL_BOARD_TORN || how == PTL_BOARD_MALFORMED);
        }
        ports(getpid(), NULL);
        CHECK(says("raw"));
        atomic_store(&stop, true);
        pthread_join(t, NULL);
        munmap(b, sizeof *b);
        raw_close(&raw);
        peer_end(&looker);
}

/* ---- the command line ---- */

TEST(a_wrong_command_line_is_status_2)
{
        tst_private_server();
        CHECK_EQ(RUN(&r, NULL, "ports"), 2);
        CHECK_EQ(RUN(&r, NULL, "ports", "echo"), 2);
        CHECK_EQ(RUN(&r, NULL, "ports", "0"), 2);
        CHECK_EQ(RUN(&r, NULL, "ports", "1", "2"), 2);
        CHECK_EQ(RUN(&r, NULL, "ports", "1", "--nonsense"), 2);
        CHECK(says("portolan ports --help"));
}
