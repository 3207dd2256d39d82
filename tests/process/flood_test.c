/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flood_test.c - who floods harms only itself
 *
 * One link is flooded: what comes on another, and the end of another peer, are seen all the same.
 *
 * A flooder sends as fast as it can to a port of ours. Meanwhile a quiet peer sends a line of time every
 * PAUSE_MS to another port, and is killed. Times are medians: one late turn on a busy machine is no fault.
 *
 * The name server is flooded by a task that never reads: its memory stays bounded, others are served.
 *
 *   FLOOD_ROUNDS    lines of time, and deaths, that are measured (7)
 *   FLOOD_REQUESTS  requests of the task that never reads (1000000)
 *   FLOOD_SERVED    percent of their rate at which others are to be served meanwhile (60)
 */
#include "proc.h"
#include "roles.h"
#include "server_raw.h"
#include <poll.h>
#include <stdlib.h>

enum { PAUSE_MS = 5, BAR_MS = 5, ROUNDS_MOST = 1000, BATCH = 16, SIZES = 4 };

static unsigned rounds(void)
{
        const char *s = getenv("FLOOD_ROUNDS");
        unsigned n = s ? (unsigned)atoi(s) : 7;

        return n < 1 ? 1 : n > ROUNDS_MOST ? ROUNDS_MOST : n;
}

/* flooder HOW: batches, plain messages of several sizes, rights and blocks, to "flooded", for ever. */
PEER(flooder)
{
        static char bytes[65536];
        static const size_t sizes[SIZES] = {1, 64, 5000, sizeof bytes};
        ptl_port to = look_up("flooded"), mine = new_port();
        struct ptl_right_item right = {.port = mine, .disposition = PTL_MAKE_SEND};
        struct ptl_outgoing rich = {.data = bytes, .size = 100, .rights = &right, .n_rights = 1};
        struct ptl_bytes batch[BATCH];
        int r = 0;

        for (unsigned i = 0; i < BATCH; i++)
                batch[i] = (struct ptl_bytes){bytes, 64};
        peer_say(NULL, "floods");
        for (unsigned i = 0; !r; i++) {
                if (!strcmp(argv[1], "batches"))
                        r = ptl_send_batch(to, batch, BATCH, NULL, PTL_FOREVER);
                else if (!strcmp(argv[1], "sizes"))
                        r = ptl_send(to, bytes, sizes[i % SIZES], PTL_FOREVER);
                else
                        r = ptl_send_message(to, &rich, PTL_FOREVER);
        }
        OUTCOME(r, PTL_E_DEAD); /* the flooded one has left */
}

/* Sends the time to "quiet" when it is told to, until it is killed. */
PEER(quiet_one)
{
        ptl_port to = look_up("quiet"), mine = new_port();
        char line[16];

        OK(ptl_name_publish(argv[1], mine));
        peer_say(NULL, "ready");
        while (peer_hear_line(NULL, line, sizeof line)) {
                ptl_time now = ptl_now();

                OK(ptl_send(to, &now, sizeof now, soon()));
        }
}

static int by_size(const void *a, const void *b)
{
        ptl_time x = *(const ptl_time *)a, y = *(const ptl_time *)b;

        return x < y ? -1 : x > y;
}

/* Ten times the bar: the machine may be busy. */
static void check_median(ptl_time *late, unsigned n, const char *what)
{
        qsort(late, n, sizeof *late, by_size);
        fprintf(stderr, "# %s: median %.2f ms, most %.2f ms of %u\n", what, (double)late[n / 2] / 1e6,
                (double)late[n - 1] / 1e6, n);
        CHECK(late[n / 2] < tst_deadline_ms(10 * BAR_MS) * 1000000);
}

/* Receives from @set, floods and all, until something comes for @port. */
static void receive_for(ptl_port set, ptl_port port, struct ptl_message *ret_message)
{
        for (;;) {
                OK(ptl_receive(set, ret_message, soon()));
                if (ret_message->port == port)
                        return;
                for (uint32_t i = 0; i < ret_message->n_rights; i++)
                        OK(ptl_right_release(ret_message->rights[i].port));
                ptl_message_release(ret_message);
        }
}

/* For about @ms. */
static void be_flooded(ptl_port set, int ms)
{
        ptl_time end = ptl_after_ms(ms);
        struct ptl_message m;

        while (ptl_now() < end) {
                OK(ptl_receive(set, &m, soon()));
                for (uint32_t i = 0; i < m.n_rights; i++)
                        OK(ptl_right_release(m.rights[i].port));
                ptl_message_release(&m);
        }
}

static void check_flood(const char *how)
{
        static ptl_time late[ROUNDS_MOST];
        ptl_port set = new_set(), flooded = new_port(), quiet = new_port(), dead = new_port(), right;
        struct peer flooder, peer;
        struct ptl_message m;
        ptl_time begun;

        OK(ptl_set_add(set, flooded));
        OK(ptl_set_add(set, quiet));
        OK(ptl_set_add(set, dead));
        OK(ptl_name_publish("flooded", flooded));
        OK(ptl_name_publish("quiet", quiet));
        peer_start(&flooder, "flooder", how, NULL);
        peer_hear(&flooder, "floods");
        be_flooded(set, 50);
        peer_start(&peer, "quiet_one", "q", NULL);
        peer_hear(&peer, "ready");
        for (unsigned i = 0; i < rounds(); i++) {
                be_flooded(set, PAUSE_MS);
                peer_say(&peer, "now");
                receive_for(set, quiet, &m);
                memcpy(&begun, m.data, sizeof begun);
                late[i] = ptl_now() - begun;
                ptl_message_release(&m);
        }
        check_median(late, rounds(), "a message of another link");
        peer_kill(&peer);
        for (unsigned i = 0; i < rounds(); i++) {
                char name[16];

                snprintf(name, sizeof name, "q%u", i);
                peer_start(&peer, "quiet_one", name, NULL);
                peer_hear(&peer, "ready");
                right = look_up(name);
                OK(ptl_right_notify_dead(right, dead));
                be_flooded(set, PAUSE_MS);
                begun = ptl_now();
                peer_kill(&peer);
                receive_for(set, dead, &m);
                late[i] = ptl_now() - begun;
                CHECK_EQ(m.kind, PTL_NOTIFY_DEAD_NAME);
                ptl_message_release(&m);
        }
        check_median(late, rounds(), "the death of another peer");
        OK(ptl_task_leave());
        peer_end(&flooder);
}

API_TEST(a_flood_of_batches_hides_neither_messages_nor_deaths) { check_flood("batches"); }
API_TEST(a_flood_of_messages_of_all_sizes_hides_neither_messages_nor_deaths) { check_flood("sizes"); }
API_TEST(a_flood_of_rights_hides_neither_messages_nor_deaths) { check_flood("rights"); }

/* ---- the server ---- */

/* asker: asks the server without reading until that takes no more for a while, or all is asked. */
PEER(asker)
{
        const char *s = getenv("FLOOD_REQUESTS");
        uint32_t sent = 0, all = s ? (uint32_t)atol(s) : 1000000;
        struct ptl_server_msg status = {.type = PTL_SM_STATUS};
        struct raw raw = raw_task();
        char packet[PTL_SERVER_PACKET_MAX];

        while (sent < all) {
                int r;

                status.serial = sent + 1;
                r = ptl_socket_send(raw.socket, packet, ptl_server_msg_encode(&status, packet), NULL, 0);
                if (r && poll(&(struct pollfd){raw.socket, POLLOUT, 0}, 1, 300) == 0)
                        break;
                sent += !r;
        }
        peer_say(NULL, "%u", sent);
        peer_stay();
        raw_close(&raw);
}

static struct ptl_server_status server_status(void)
{
        struct ptl_server_status s;

        OK(ptl_server_get_status(&s));
        return s;
}

static double status_calls_per_s(void)
{
        enum { CALLS = 2000 };
        ptl_time begun = ptl_now();

        for (int i = 0; i < CALLS; i++)
                server_status();
        return CALLS * 1e9 / (double)(ptl_now() - begun);
}

static double lower(double a, double b) { return a < b ? a : b; }

/* While one asks without reading: the rate at which others are served, in percent of that before or after,
 * whichever is less: a machine may become busier, or less busy, meanwhile. */
static double percent_served(pid_t server)
{
        enum { BOUND_KIB = 4096 }; /* its quota of output is 1 MiB */
        double before = status_calls_per_s(), during, alone;
        long memory = proc_resident_kib(server), grown;
        struct peer peer;
        long long sent;

        peer_start(&peer, "asker", NULL);
        sent = peer_hear_number(&peer);
        during = status_calls_per_s();
        grown = proc_resident_kib(server) - memory;
        CHECK(grown < tst_deadline_ms(BOUND_KIB)); /* sanitizers take more */
        peer_end(&peer);
        alone = lower(before, status_calls_per_s());
        fprintf(stderr, "# %lld requests taken in, %ld KiB; others served at %.0f of %.0f a second\n", sent,
                grown, during, alone);
        return 100 * during / alone;
}

API_TEST(a_task_that_asks_without_end_and_never_reads_costs_the_server_little)
{
        enum { TRIES = 5 };
        const char *s = getenv("FLOOD_SERVED");
        double wanted = s ? atof(s) : 60, most = 0;
        pid_t server = server_status().server.pid;

        for (int i = 0; i < TRIES && most < wanted; i++) {
                double percent = percent_served(server);

                most = percent > most ? percent : most;
        }
        CHECK(most >= wanted);
}
