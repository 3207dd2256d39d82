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
