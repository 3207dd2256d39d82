/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A random walk over all that makes, moves and ends send rights, beside a reference of a few
 * numbers that says after each step whether the port's task must be told that none is left.
 * WALK_SEED repeats one, WALK_STEPS makes it longer.
 */
#include "counts.h"
#include "roles.h"

enum { HOLDERS = 3, STEPS = 1500, QUEUE_MAX = 40 };

/* walker NAME: holds rights to one port, as many references as it is given; the first message
 * brings one to ping. */
PEER(walker)
{
        ptl_port p = new_port(), ping, held = PTL_NULL;
        char line[32];

        OK(ptl_name_publish(argv[1], p));
        ping = take_right(p);
        put(ping, "ping");
        while (peer_hear_line(NULL, line, sizeof line)) {
                if (!strcmp(line, "get"))
                        held = take_right(p);
                else if (!strcmp(line, "put"))
                        put(held, "message");
                else if (!strcmp(line, "back"))
                        put_right(held, held, PTL_COPY_SEND);
                else if (!strcmp(line, "move"))
                        put_right(held, held, PTL_MOVE_SEND);
                else if (!strcmp(line, "release"))
                        OK(ptl_right_release(held));
                put(ping, "ping"); /* behind what was done, in the same ring */
        }
}

enum in_queue { MESSAGE, HOME };

static struct walk {
        struct peer peers[HOLDERS];
        ptl_port to[HOLDERS];
        ptl_port port, notify, ping, carrier;
        unsigned started;
        /* The reference. */
        uint32_t own, carried, held[HOLDERS], made, sync;
        enum in_queue queue[QUEUE_MAX];
        size_t queued;
        bool asked;
        unsigned long told;
} w;

static uint64_t state;

static unsigned pick(unsigned n)
{
        state = state * 6364136223846793005u + 1442695040888963407u;
        return (unsigned)(state >> 33) % n;
}

static void start(unsigned i)
{
        char name[32];

        snprintf(name, sizeof name, "walker%u", w.started++);
        peer_start(&w.peers[i], "walker", name, NULL);
        w.to[i] = look_up(name);
        put_right(w.to[i], w.ping, PTL_MAKE_SEND);
        take(w.ping, "ping");
}

static void tell(unsigned i, const char *command)
{
        peer_say(&w.peers[i], "%s", command);
        take(w.ping, "ping");
}

static void queued(enum in_queue what) { w.queue[w.queued++] = what; }

static bool is_there_a_sender(void)
{
        return w.own || w.carried || w.held[0] || w.held[1] || w.held[HOLDERS - 1] || w.queued;
}

static void check_step(void)
{
        bool must = w.asked && w.made >= w.sync && !is_there_a_sender();
        struct ptl_port_counts c;

        if (must) {
                take_no_senders(w.notify, w.made);
                w.asked = false;
                w.told++;
        }
        check_empty(w.notify);
        c = counts_of(w.port);
        CHECK_EQ(c.made, w.made);
        CHECK_EQ(c.has_senders, is_there_a_sender());
        CHECK_EQ(c.asked, w.asked);
        CHECK_EQ(status_of(w.port).references, w.own);
}

/* ---- the steps: each false if it cannot be now ---- */

static bool make(unsigned i)
{
        (void)i;
        OK(ptl_right_make_send(w.port));
        w.own++;
        w.made++;
        return true;
}

static bool release(unsigned i)
{
        (void)i;
        if (!w.own)
                return false;
        OK(ptl_right_release(w.port));
        w.own--;
        return true;
}

static bool carry(unsigned i)
{
        static const uint32_t hows[] = {PTL_COPY_SEND, PTL_MOVE_SEND, PTL_MAKE_SEND};
        uint32_t how = hows[i % 3];

        if (how != PTL_MAKE_SEND && !w.own)
                return false;
        put_right(w.carrier, w.port, how);
        w.carried++;
        w.own -= how == PTL_MOVE_SEND;
        w.made += how == PTL_MAKE_SEND;
        return true;
}

static bool arrive(unsigned i)
{
        (void)i;
        if (!w.carried)
                return false;
        CHECK_EQ(take_right(w.carrier), w.port);
        w.carried--;
        w.own++;
        return true;
}

static bool discard(unsigned i)
{
        (void)i;
        OK(ptl_right_destroy(w.carrier));
        w.carrier = new_send_port();
        w.carried = 0;
        return true;
}

static bool give(unsigned i)
{
        uint32_t how = w.own && pick(2) ? PTL_MOVE_SEND : PTL_MAKE_SEND;

        put_right(w.to[i], w.port, how);
        tell(i, "get");
        w.held[i]++;
        w.own -= how == PTL_MOVE_SEND;
        w.made += how == PTL_MAKE_SEND;
        return true;
}

static bool holder_gives_back(unsigned i)
{
        if (!w.held[i])
                return false;
        tell(i, "release");
        w.held[i]--;
        return true;
}

static bool holder_puts(unsigned i)
{
        if (!w.held[i] || w.queued == QUEUE_MAX)
                return false;
        tell(i, "put");
        queued(MESSAGE);
        return true;
}

static bool holder_sends_home(unsigned i)
{
        bool move = pick(2);

        if (!w.held[i] || w.queued == QUEUE_MAX)
                return false;
        tell(i, move ? "move" : "back");
        w.held[i] -= move;
        queued(HOME);
        return true;
}

/* Perhaps with a right on its way to it. */
static bool holder_dies(unsigned i)
{
        ptl_port gone = w.to[i];

        if (pick(8))
                return false;
        if (pick(2)) {
                put_right(w.to[i], w.port, PTL_MAKE_SEND);
                w.made++;
        }
        ask(gone, PTL_NOTIFY_DEAD_NAME, 0, w.ping);
        peer_kill(&w.peers[i]);
        take_dead_name(w.ping, gone);
        OK(ptl_right_destroy(gone));
        w.held[i] = 0;
        start(i);
        return true;
}

static bool put_own(unsigned i)
{
        (void)i;
        if (!w.own || w.queued == QUEUE_MAX)
                return false;
        put(w.port, "message");
        queued(MESSAGE);
        return true;
}

static bool receive(unsigned i)
{
        (void)i;
        if (!w.queued)
                return false;
        if (w.queue[0] == HOME)
                CHECK_EQ(take_right(w.port), w.port);
        else
                take(w.port, "message");
        w.own += w.queue[0] == HOME;
        memmove(w.queue, w.queue + 1, --w.queued * sizeof *w.queue);
        return true;
}

/* The right of the previous request is had back and given up, which may come before what the new
 * one tells. */
static bool request(unsigned i)
{
        ptl_port previous = PTL_NULL, notify = pick(4) ? w.notify : PTL_NULL;

        w.sync = w.made + i; /* as many as there were, or some more */
        OK(ptl_right_request(w.port, PTL_NOTIFY_NO_SENDERS, w.sync, notify, &previous));
        CHECK_EQ(previous != PTL_NULL, w.asked);
        w.asked = notify != PTL_NULL;
        check_step();
        if (previous) {
                OK(ptl_right_release(previous));
                take_unused(w.notify);
        }
        return true;
}

static bool (*const grow[])(unsigned) = {make,
                                         release,
                                         carry,
                                         arrive,
                                         give,
                                         holder_puts,
                                         holder_sends_home,
                                         receive,
                                         request,
                                         put_own,
                                         holder_gives_back,
                                         holder_dies};
static bool (*const shrink[])(unsigned) = {
        release, release, discard, holder_gives_back, holder_gives_back, receive,
        receive, request, arrive,  holder_dies};

/* Rights come and go, and now and then all go. */
static bool step(void)
{
        static bool shrinks;
        unsigned i = pick(HOLDERS);

        shrinks = shrinks ? is_there_a_sender() : pick(20) == 0;
        return shrinks ? shrink[pick(ARRAY_LEN(shrink))](i) : grow[pick(ARRAY_LEN(grow))](i);
}

API_TEST(every_step_of_a_random_walk_counts_as_the_reference_does)
{
        const char *seed = getenv("WALK_SEED"), *n = getenv("WALK_STEPS");
        long count = n ? atol(n) : STEPS;

        state = seed ? strtoull(seed, NULL, 0) : (uint64_t)ptl_now();
        fprintf(stderr, "# WALK_SEED=%llu\n", (unsigned long long)state);
        w = (struct walk){.port = new_port(),
                          .notify = new_port(),
                          .ping = new_port(),
                          .carrier = new_send_port()};
        for (unsigned i = 0; i < HOLDERS; i++)
                start(i);
        for (long i = 0; i < count;) {
                if (!step())
                        continue;
                check_step();
                i++;
        }
        fprintf(stderr, "# told %lu times\n", w.told);
        CHECK(w.told > (unsigned long)count / 400);
        for (unsigned i = 0; i < HOLDERS; i++)
                peer_end(&w.peers[i]);
}
