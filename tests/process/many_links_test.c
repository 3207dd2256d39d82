/* SPDX-License-Identifier: Apache-2.0 */
/*
 * many_links_test.c - many tasks linked to one, the hub, which talks to one of them
 *
 * Half of the idle ones sleep in the library, half elsewhere; these do what they are told beside the
 * library, so that frames lie in their rings before the hub looks.
 *
 *   MANY_LINKS        how many are idle (30)
 *   MANY_LINKS_WAIT   how the hub and the busy one wait: spin, block (else adaptive)
 */
#include "proc.h"
#include "roles.h"
#include "task/task.h"
#include <time.h>

enum { LINKS_MAX = 4000, AT_ONCE = 32, CALLS = 2000, FRAMES = 3, ROUNDS = 40 };
enum { KIND_TELL = 50, KIND_USE };

static unsigned n_links;
static struct spoke {
        struct peer peer;
        ptl_port port;
        unsigned heard;
        long switches;
} spokes[LINKS_MAX];

static ptl_port hub;

/* ---- an idle one ---- */

static ptl_port mine, to_hub;

/* Through the right that the message carries, FRAMES messages; one, if it is a send-once right. */
static void use(const struct ptl_message *m)
{
        ptl_port right = m->rights[0].port;
        bool once = m->rights[0].disposition & PTL_RIGHT_SEND_ONCE;

        for (unsigned i = 0; i < (once ? 1 : FRAMES); i++)
                OK(ptl_send(right, m->data, m->size, soon()));
        if (!once)
                OK(ptl_right_release(right));
}

static void tell_hub(void)
{
        OK(ptl_send_message(to_hub, &(struct ptl_outgoing){.kind = KIND_TELL}, soon()));
}

static bool obey(ptl_time deadline)
{
        struct ptl_message m;
        uint32_t kind;

        OK(ptl_receive(mine, &m, deadline));
        kind = m.kind;
        if (kind == KIND_TELL)
                tell_hub();
        else if (kind == KIND_USE)
                use(&m);
        else if (m.reply)
                OK(ptl_reply(&m, m.data, m.size));
        ptl_message_release(&m);
        return kind != KIND_QUIT;
}

/* spoke HUB elsewhere|inside: gives the hub a right to its port, and obeys. */
PEER(spoke)
{
        char line[32];

        (void)argc;
        mine = new_port();
        to_hub = look_up(argv[1]);
        OK(ptl_send_message(
                to_hub,
                &(struct ptl_outgoing){
                        .rights = &(struct ptl_right_item){mine, PTL_MAKE_SEND},
                        .n_rights = 1,
        },
                soon()));
        if (!strcmp(argv[2], "inside")) {
                while (obey(PTL_FOREVER))
                        ;
                return;
        }
        while (peer_hear_line(NULL, line, sizeof line)) {
                if (!strcmp(line, "tell"))
                        tell_hub();
                else
                        obey(soon());
                peer_say(NULL, "done");
        }
}

/* ---- the hub ---- */

static bool is_inside(unsigned i) { return i % 2 == 0; }

static struct spoke *spoke_of(const struct ptl_message *m)
{
        for (unsigned i = 0; i < n_links; i++)
                if (spokes[i].peer.pid == m->sender->pid)
                        return &spokes[i];
        CHECK(!"a spoke");
        return NULL;
}

static void take_right(void)
{
        struct ptl_message m = take_message(hub);
        struct spoke *s = spoke_of(&m);

        CHECK_EQ(m.n_rights, 1);
        CHECK_EQ(s->port, PTL_NULL);
        s->port = m.rights[0].port;
        CHECK_EQ(status_of(s->port).peer_pid, s->peer.pid);
        ptl_message_release(&m);
}

static void start_spokes(unsigned n)
{
        hub = new_port();
        OK(ptl_name_publish("hub", hub));
        while (n_links < n) {
                unsigned from = n_links;

                for (; n_links < n && n_links < from + AT_ONCE; n_links++)
                        peer_start(&spokes[n_links].peer, "spoke", "hub",
                                   is_inside(n_links) ? "inside" : "elsewhere", NULL);
                for (unsigned i = from; i < n_links; i++)
                        take_right();
        }
}

static void end_spokes(void)
{
        for (unsigned i = 0; i < n_links; i++)
                if (is_inside(i))
                        OK(ptl_send_message(spokes[i].port, &(struct ptl_outgoing){.kind = KIND_QUIT},
                                            soon()));
        for (unsigned i = 0; i < n_links; i++)
                peer_end(&spokes[i].peer);
}

static unsigned links_wanted(void)
{
        const char *s = getenv("MANY_LINKS");
        unsigned n = s ? (unsigned)atoi(s) : 0;

        CHECK(n <= LINKS_MAX);
        return n < 2 ? 30 : n;
}

static void order(struct spoke *s, const char *what)
{
        peer_say(&s->peer, "%s", what);
        peer_hear(&s->peer, "done");
}

static void check_all_linked(unsigned n)
{
        struct ptl_link_statistics *links = calloc(n, sizeof *links);
        size_t count, open = 0;

        CHECK(links);
        OK(ptl_link_get_statistics(links, n, &count));
        CHECK_EQ(count, n);
        for (size_t i = 0; i < n; i++) {
                open += links[i].state == 1;
                CHECK_EQ(links[i].lies, 0);
                for (size_t k = 0; k < i; k++)
                        CHECK(links[k].peer.pid != links[i].peer.pid);
        }
        CHECK_EQ(open, n);
        free(links);
}

/* ---- what idle ones cost ---- */

static int compare(const void *a, const void *b)
{
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

        return (x > y) - (x < y);
}

static int64_t now_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The first that the hub does, which therefore waits in the same way. */
static ptl_port start_busy(struct peer *busy)
{
        const char *how = getenv("MANY_LINKS_WAIT");
        ptl_port echo;

        if (how)
                setenv("PORTOLAN_WAIT", how, 1);
        echo = start_echo(busy, "echo");
        unsetenv("PORTOLAN_WAIT"); /* idle ones do not spin */
        return echo;
}

/* The median of CALLS. */
static int64_t round_trip_ns(ptl_port echo)
{
        static int64_t took[CALLS];

        for (unsigned i = 0; i < CALLS; i++) {
                int64_t start = now_ns();

                call_echo_of(echo, 32, i);
                took[i] = now_ns() - start;
        }
        qsort(took, CALLS, sizeof *took, compare);
        return took[CALLS / 2];
}

/* The best median within @ms. Meanwhile links on which nothing comes go cold: after some 64 ms. */
static int64_t best_round_trip_ns(ptl_port echo, int64_t ms)
{
        int64_t end = tst_now_ms() + ms, best = INT64_MAX;

        do {
                int64_t t = round_trip_ns(echo);

                best = t < best ? t : best;
        } while (tst_now_ms() < end);
        return best;
}

/* How often it went to sleep: one that does not wake does not do that. */
static long sleeps_of(pid_t pid)
{
        char path[32], line[256];
        long n = -1;
        FILE *f;

        snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
        f = fopen(path, "re");
        CHECK(f);
        while (n < 0 && fgets(line, sizeof line, f))
                (void)!sscanf(line, "voluntary_ctxt_switches: %ld", &n);
        fclose(f);
        CHECK(n >= 0);
        return n;
}

static long ticks_of_all(void)
{
        long sum = 0;

        for (unsigned i = 0; i < n_links; i++)
                sum += proc_ticks(spokes[i].peer.pid);
        return sum;
}

/* Notes how often each has slept; true: no more often than when that was noted last. */
static bool nobody_woke(void)
{
        bool same = true;

        for (unsigned i = 0; i < n_links; i++) {
                long n = sleeps_of(spokes[i].peer.pid);

                same = same && n == spokes[i].switches;
                spokes[i].switches = n;
        }
        return same;
}

/* Also from what a task does some 100 ms after it was busy: it writes its board. */
static void wait_until_all_sleep(void)
{
        enum { QUIET_MS = 900 };
        int64_t late = tst_now_ms() + tst_deadline_ms(15000);

        for (unsigned i = 0; i < n_links; i++)
                CHECK(tst_wait_until(is_asleep(spokes[i].peer.pid, spokes[i].peer.pid), 5000));
        do {
                CHECK(tst_now_ms() < late);
                nanosleep(&(struct timespec){.tv_nsec = QUIET_MS * 1000000l}, NULL);
        } while (!nobody_woke());
}

API_TEST_TIMES(idle_links_cost_no_processor_while_one_is_busy, 6)
{
        int64_t alone, among;
        struct peer busy;
        ptl_port echo = start_busy(&busy);
        long ticks;

        alone = best_round_trip_ns(echo, 300);
        start_spokes(links_wanted());
        best_round_trip_ns(echo, 150);
        wait_until_all_sleep();
        ticks = ticks_of_all();
        among = best_round_trip_ns(echo, 1000);
        fprintf(stderr, "# round trip %" PRId64 " ns with one link, %" PRId64 " ns with %u: %.2f\n", alone,
                among, n_links + 1, (double)among / (double)alone);
        CHECK(ticks_of_all() - ticks <= 1);
        for (unsigned i = 0; i < n_links; i++)
                CHECK_EQ(sleeps_of(spokes[i].peer.pid), spokes[i].switches);
        check_all_linked(n_links + 1);
        end_spokes();
        end_echo(&busy, echo);
}

/* Few: two that spin take turns of ms where others want their CPUs. */
static void call_some(ptl_port echo)
{
        for (unsigned i = 0; i < CALLS / 20; i++)
                call_echo_of(echo, 32, i);
}

/* Where polling always finds something, too: nobody sleeps, and idle rings are not looked at for ever. */
API_TEST_TIMES(the_hub_polls_the_busy_link_only, 6)
{
        struct peer busy;
        ptl_port echo;

        setenv("PORTOLAN_WAIT", "spin", 1);
        echo = start_echo(&busy, "echo");
        unsetenv("PORTOLAN_WAIT");
        start_spokes(links_wanted());
        CHECK(tst_wait_until((call_some(echo), ptl_the_task.wait.hot == 1), 50000));
        end_spokes();
        end_echo(&busy, echo);
}

/* ---- idle ones that wake ---- */

/* One message of each, while the busy one is called; in a wait, for which a cold link must ring. */
static void hear_each(ptl_port echo, unsigned times)
{
        for (unsigned i = 0; i < n_links; i++) {
                struct ptl_message m;

                if (i % 8 == 0)
                        call_echo(echo);
                m = take_message(hub);
                CHECK_EQ(m.kind, KIND_TELL);
                spoke_of(&m)->heard++;
                ptl_message_release(&m);
        }
        for (unsigned i = 0; i < n_links; i++)
                CHECK_EQ(spokes[i].heard, times);
}

API_TEST_TIMES(frames_of_idle_ones_are_seen_when_they_wake, 6)
{
        enum { TIMES = 3 };
        struct peer busy;
        ptl_port echo = start_echo(&busy, "echo");

        start_spokes(links_wanted());
        for (unsigned t = 1; t <= TIMES; t++) {
                best_round_trip_ns(echo, 150);
                for (unsigned i = 0; i < n_links; i++)
                        if (is_inside(i))
                                OK(ptl_send_message(spokes[i].port,
                                                    &(struct ptl_outgoing){.kind = KIND_TELL}, soon()));
                        else
                                order(&spokes[i], "tell");
                hear_each(echo, t);
        }
        check_empty(hub);
        end_spokes();
        end_echo(&busy, echo);
}

/* ---- places used again ---- */

/* A right to @p goes to the spoke, which uses it at once: what it sends says @round and lies in its ring. */
static void have_used(struct spoke *s, ptl_port p, unsigned round, uint32_t how)
{
        OK(ptl_send_message(s->port,
                            &(struct ptl_outgoing){
                                    .kind = KIND_USE,
                                    .data = &round,
                                    .size = sizeof round,
                                    .rights = &(struct ptl_right_item){p, how},
                                    .n_rights = 1,
        },
                            soon()));
        order(s, "obey");
}

static void take_round(ptl_port p, unsigned round, unsigned n)
{
        while (n--) {
                struct ptl_message m = take_message(p);
                unsigned told;

                CHECK_EQ(m.port, p);
                CHECK_EQ(m.size, sizeof told);
                memcpy(&told, m.data, sizeof told);
                CHECK_EQ(told, round);
                ptl_message_release(&m);
        }
        check_empty(p);
}

API_TEST_TIMES(a_port_in_the_place_of_a_freed_one_gets_none_of_its_frames, 6)
{
        unsigned same_place = 0;
        uint64_t destroyed;

        start_spokes(links_wanted());
        destroyed = statistics().destroyed;
        for (unsigned i = 0; i < ROUNDS; i++) {
                uint32_t how = i / 2 % 2 ? PTL_MAKE_SEND_ONCE : PTL_MAKE_SEND;
                unsigned frames = how == PTL_MAKE_SEND ? FRAMES : 1;
                struct spoke *s = &spokes[(2 * i + 1) % (n_links & ~1u)];
                ptl_port old = new_port(), p;

                have_used(s, old, 2 * i, how);
                OK(ptl_port_free(old));
                p = new_port();
                CHECK(p != old);
                same_place += (p ^ old) % (1u << 20) == 0;
                have_used(s, p, 2 * i + 1, how);
                take_round(p, 2 * i + 1, frames);
                destroyed += frames;
                CHECK_EQ(statistics().destroyed, destroyed);
                OK(ptl_port_free(p));
        }
        CHECK(same_place > ROUNDS / 2);
        check_all_linked(n_links);
        end_spokes();
}

API_TEST_TIMES(a_late_answer_is_nobody_elses, 6)
{
        struct peer busy;
        ptl_port echo = start_echo(&busy, "echo");

        start_spokes(links_wanted());
        for (unsigned i = 0; i < ROUNDS; i++) {
                struct spoke *s = &spokes[(2 * i + 1) % (n_links & ~1u)];
                char answer[32];
                size_t n = sizeof answer;
                uint64_t destroyed = statistics().destroyed;

                OUTCOME(ptl_call(s->port, "late", 5, answer, &n, ptl_after_ms(1)), PTL_E_UNANSWERED);
                order(s, "obey"); /* its answer lies in its ring */
                call_echo_of(echo, 32, i);
                peer_say(&s->peer, "obey"); /* a call to the same one, behind it */
                n = sizeof answer;
                OK(ptl_call(s->port, "in time", 8, answer, &n, soon()));
                CHECK_EQ(n, 8);
                CHECK_STR_EQ(answer, "in time");
                peer_hear(&s->peer, "done");
                CHECK_EQ(statistics().destroyed, destroyed + 1);
        }
        check_all_linked(n_links + 1);
        end_spokes();
        end_echo(&busy, echo);
}
