/* SPDX-License-Identifier: Apache-2.0 */
/* link_limits_test.c - links where a task's own memory or descriptors are short: nothing is lost by it */
#include "hog.h"
#include "link_raw.h"
#include "sanitizer.h"

/* ---- a HELLO that cannot be taken in ---- */

static struct rlimit before_hunger;

/* No mapping of an outbox's size can be made. */
static void hunger(void)
{
        CHECK(getrlimit(RLIMIT_AS, &before_hunger) == 0);
        CHECK(setrlimit(RLIMIT_AS, &(struct rlimit){1 << 20, before_hunger.rlim_max}) == 0);
}

static void eat(void) { CHECK(setrlimit(RLIMIT_AS, &before_hunger) == 0); }

/* All descriptors are taken but one. */
static void hog_most(void)
{
        hog();
        hogged[0] = close(hogged[0]);
}

static const struct want {
        const char *name;
        void (*begin)(void), (*end)(void);
} wants[] = {
        {"descriptors",   hog,      unhog},
        {"a descriptor",  hog_most, unhog},
        {"address space", hunger,   eat  },
};

/* poor NAME: answers what comes, and lacks wants[N] while it is told so; says how often it has slept. */
PEER(poor)
{
        const struct pollfd said = {.fd = 3, .events = POLLIN};
        ptl_port p = new_port();
        char line[32];

        OK(ptl_name_publish(argv[1], p));
        for (struct ptl_message m;;) {
                struct pollfd now = said;
                int n, r = ptl_receive(p, &m, ptl_after_ms(10));

                if (!r) {
                        OK(ptl_reply(&m, m.data, m.size));
                        ptl_message_release(&m);
                        continue;
                }
                OUTCOME(r, PTL_E_TIMEOUT);
                if (poll(&now, 1, 0) == 0)
                        continue;
                if (!peer_hear_line(NULL, line, sizeof line))
                        break;
                if (sscanf(line, "lack %d", &n) == 1)
                        wants[n].begin();
                else if (sscanf(line, "have %d", &n) == 1)
                        wants[n].end();
                peer_say(NULL, "%lld", (long long)statistics().sleeps);
        }
}

static long long ask_poor(struct peer *peer, const char *what, size_t i)
{
        peer_say(peer, "%s %zu", what, i);
        return peer_hear_number(peer);
}

static void hello_waits(struct peer *peer, size_t i)
{
        struct link_raw l = link_raw_find("poor");
        long long before_all;

        link_raw_meet(&l);
        before_all = ask_poor(peer, "lack", i);
        link_raw_say_hello(&l, l.bell = eventfd(0, EFD_CLOEXEC));
        link_raw_join(&l);
        CHECK(link_raw_claim(&l, 1, l.ticket));
        for (int k = 0; k < 20; k++)
                ask_poor(peer, "sleeps", i);
        CHECK(!link_raw_is_over(&l));
        CHECK_ROW(i, &wants[i], ask_poor(peer, "have", i) - before_all < 1000); /* they did not wake it */
        link_raw_ping(&l);
        link_raw_close(&l);
}

API_TEST(a_hello_that_cannot_be_taken_in_waits)
{
        struct peer peer;

        need_no_sanitizer("it needs address space");
        peer_start(&peer, "poor", "poor", NULL);
        call_echo(look_up("poor"));
        for (size_t i = 0; i < ARRAY_LEN(wants); i++)
                hello_waits(&peer, i);
        peer_end(&peer);
}

/* ---- how many links others can make it have ---- */

enum { OF_PROCESS = 32, PLACES = 64, SHARE = 4 };

/* Whether the other side says HELLO, or closes. */
static bool is_taken(const struct link_raw *l)
{
        struct pollfd p = {.fd = l->socket, .events = POLLIN};

        CHECK(poll(&p, 1, (int)tst_deadline_ms(RAW_MS)) == 1);
        return !link_raw_is_over(l);
}

/* Links of this process, each of a task of its own, until one is refused; how many were taken. */
static unsigned take_all(const char *name, struct link_raw *links, unsigned max)
{
        unsigned n = 0;

        for (bool taken = true; taken && n < max; n += taken) {
                links[n] = link_raw_find(name);
                taken = is_taken(&links[n]);
                if (!taken)
                        link_raw_close(&links[n]);
        }
        return n;
}

/* Its last link ends; another has the place. */
static void check_place_is_free(const char *name, struct link_raw *last)
{
        struct link_raw again;

        link_raw_close(last);
        CHECK(tst_wait_until(({
                                     again = link_raw_find(name);
                                     bool taken = is_taken(&again);
                                     link_raw_close(&again);
                                     taken;
                             }),
                             RAW_MS));
}

PEER(calls_victim)
{
        call_echo(look_up(argv[1]));
}

static void check_others_can_call(const char *name)
{
        struct peer other;

        peer_start(&other, "calls_victim", name, NULL);
        peer_end(&other);
}

API_TEST(one_process_has_so_many_links_and_others_have_theirs)
{
        static struct link_raw links[OF_PROCESS];
        struct peer peer;
        unsigned n;

        peer_start(&peer, "poor", "poor", NULL);
        call_echo(look_up("poor"));
        n = take_all("poor", links, OF_PROCESS);
        CHECK_EQ(n, OF_PROCESS - 1); /* and one is this task's own */
        check_others_can_call("poor");
        check_place_is_free("poor", &links[--n]);
        while (n)
                link_raw_close(&links[--n]);
        peer_end(&peer);
}

/* few NAME: as poor, with PLACES descriptors in all; at the end it still has some. */
PEER(few)
{
        ptl_port p = new_port();
        struct ptl_message m;
        int fd[PLACES / SHARE];

        CHECK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){PLACES, PLACES}) == 0);
        OK(ptl_name_publish(argv[1], p));
        while (poll(&(struct pollfd){.fd = 3, .events = POLLIN}, 1, 0) == 0)
                if (ptl_receive(p, &m, ptl_after_ms(10)) == 0) {
                        OK(ptl_reply(&m, m.data, m.size));
                        ptl_message_release(&m);
                }
        peer_hear(NULL, "open");
        for (int i = 0; i < PLACES / SHARE / 2; i++)
                CHECK((fd[i] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
        for (int i = 0; i < PLACES / SHARE / 2; i++)
                close(fd[i]);
        peer_say(NULL, "opened");
}

/* calls_late NAME: there is no place for its link at first. */
PEER(calls_late)
{
        ptl_port p = look_up(argv[1]);
        size_t n = 0;

        OUTCOME(ptl_call(p, "x", 1, NULL, &n, ptl_after_ms(50)), PTL_E_UNANSWERED);
        peer_say(NULL, "unanswered");
        call_echo(p);
}

API_TEST(links_leave_some_descriptors_to_the_program)
{
        static struct link_raw links[OF_PROCESS];
        struct peer peer, late;
        unsigned n;

        peer_start(&peer, "few", "few", NULL);
        call_echo(look_up("few"));
        n = take_all("few", links, OF_PROCESS);
        CHECK_EQ(n, PLACES / SHARE - 1);
        peer_start(&late, "calls_late", "few", NULL);
        peer_hear(&late, "unanswered");
        link_raw_close(&links[--n]);
        peer_end(&late);
        peer_say(&peer, "open");
        peer_hear(&peer, "opened");
        while (n)
                link_raw_close(&links[--n]);
        peer_end(&peer);
}
