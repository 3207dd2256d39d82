/* SPDX-License-Identifier: Apache-2.0 */
/*
 * many_test.c - a million ports in one task: names, messages, and what a port costs
 *
 * Under sanitizers, whose memory is another, fewer ports, and no figure.
 */
#include "api.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum {
        PORTS = SANITIZED ? 50000 : 1000000,
        NAMES_MAX = 1048574, /* portolan/port.h */
        BYTES_EACH = 128,
};

static ptl_port ports[NAMES_MAX];
static uint32_t owners[1 << 20]; /* by the low 20 bits of a name: whose it is, plus 1 */

/* Bytes of this process's own that are in memory. */
static int64_t private_bytes(void)
{
        FILE *f = fopen("/proc/self/smaps_rollup", "re");
        char line[256];
        long long kb, sum = 0;

        CHECK(f);
        while (fgets(line, sizeof line, f))
                if (sscanf(line, "Private_Clean: %lld", &kb) == 1 ||
                    sscanf(line, "Private_Dirty: %lld", &kb) == 1)
                        sum += kb;
        fclose(f);
        return sum * 1024;
}

/* The arrays are in memory before anything is measured. */
static void touch_arrays(void)
{
        memset(ports, 0xff, sizeof ports);
        memset(owners, 0xff, sizeof owners);
        memset(owners, 0, sizeof owners);
}

static void make_ports(uint32_t n)
{
        for (uint32_t i = 0; i < n; i++)
                OK(ptl_port_new(&ports[i], NULL));
}

static void free_ports(uint32_t n)
{
        for (uint32_t i = 0; i < n; i++)
                OK(ptl_port_free(ports[i]));
}

/* No two that live share an index, so no two share a name. */
static void check_unique(uint32_t n)
{
        memset(owners, 0, sizeof owners);
        for (uint32_t i = 0; i < n; i++) {
                uint32_t *owner = &owners[ports[i] % ARRAY_LEN(owners)];

                CHECK(ports[i] != PTL_NULL);
                CHECK_EQ(*owner, 0);
                *owner = i + 1;
        }
}

API_TEST_TIMES(a_million_ports_have_names_of_their_own_at_128_bytes_each, 3)
{
        uint32_t names = statistics().names;
        int64_t before, bytes;

        touch_arrays();
        before = private_bytes();
        make_ports(PORTS);
        bytes = private_bytes() - before;
        fprintf(stderr, "# %.1f bytes a port\n", (double)bytes / PORTS);
        CHECK(SANITIZED || bytes <= (int64_t)BYTES_EACH * PORTS);
        CHECK_EQ(statistics().names - names, PORTS);
        check_unique(PORTS);
        free_ports(PORTS);
        CHECK_EQ(statistics().names, names);
}

API_TEST_TIMES(each_of_a_million_ports_receives_its_own_message, 3)
{
        enum { AT_A_TIME = 1000 }; /* queued; a message costs more than a port */

        touch_arrays();
        make_ports(PORTS);
        for (uint32_t i = 0; i < PORTS; i++)
                OK(ptl_right_make_send(ports[i]));
        for (uint32_t from = 0; from < PORTS; from += AT_A_TIME) {
                for (uint32_t i = from; i < from + AT_A_TIME; i++)
                        OK(ptl_send(ports[i], &i, sizeof i, PTL_NOW));
                for (uint32_t i = from + AT_A_TIME; i-- > from;) {
                        struct ptl_message m;
                        uint32_t told;

                        OK(ptl_receive(ports[i], &m, PTL_NOW));
                        CHECK_EQ(m.port, ports[i]);
                        CHECK_EQ(m.size, sizeof told);
                        memcpy(&told, m.data, sizeof told);
                        CHECK_EQ(told, i);
                        ptl_message_release(&m);
                }
        }
        for (uint32_t i = 0; i < PORTS; i++)
                CHECK_EQ(status_of(ports[i]).received, 1);
}

API_TEST_TIMES(ports_that_take_the_place_of_freed_ones_cost_nothing_more, 3)
{
        int64_t before, grown;

        touch_arrays();
        make_ports(PORTS);
        before = private_bytes();
        for (unsigned turn = 0; turn < 3; turn++) {
                ptl_port old = ports[turn];

                free_ports(PORTS);
                check_no_name(old);
                make_ports(PORTS);
                check_no_name(old);
        }
        check_unique(PORTS);
        grown = private_bytes() - before;
        fprintf(stderr, "# %.1f bytes a port more after three lives\n", (double)grown / PORTS);
        CHECK(SANITIZED || grown < PORTS); /* less than a byte each */
}

API_TEST_TIMES(beyond_the_last_name_a_port_is_refused_until_one_is_freed, 3)
{
        uint32_t n = 0;
        ptl_port more = 4242;
        int r = 0;

        if (SANITIZED)
                SKIP("a million ports are too many under sanitizers");
        while (n < NAMES_MAX && !(r = ptl_port_new(&ports[n], NULL)))
                n++;
        OK(r);
        CHECK_EQ(n, NAMES_MAX);
        OUTCOME(ptl_port_new(&more, NULL), PTL_E_QUOTA);
        CHECK_EQ(more, 4242);
        OK(ptl_port_free(ports[n / 2]));
        OK(ptl_port_new(&more, NULL));
        CHECK(more != ports[n / 2]);
        ports[n / 2] = more;
        check_unique(n);
        OUTCOME(ptl_port_new(&more, NULL), PTL_E_QUOTA);
}

/* What only some ports have goes with them: their places are taken by ports that have none of it. */
API_TEST(a_port_in_the_place_of_one_with_everything_has_nothing_of_it)
{
        enum { N = 300 };
        struct ptl_port_options odd = {.limit_messages = 3, .limit_bytes = 1000};
        ptl_port set = new_set(), p[N];

        for (unsigned i = 0; i < N; i++) {
                int fd;

                OK(ptl_port_new(&p[i], &odd));
                OK(ptl_right_make_send(p[i]));
                OK(ptl_set_add(set, p[i]));
                put(p[i], "left behind");
                if (i % 30 == 0)
                        OK(ptl_descriptor(p[i], &fd));
        }
        for (unsigned i = 0; i < N; i++) {
                OK(ptl_port_free(p[i]));
                OK(ptl_right_release(p[i])); /* the dead name */
        }
        check_empty(set);
        for (unsigned i = 0; i < N; i++) {
                struct ptl_port_status s = status_of(p[i] = new_port());

                CHECK_EQ(s.queued, 0);
                CHECK_EQ(s.received, 0);
                CHECK_EQ(s.set, PTL_NULL);
                CHECK_EQ(s.limit_messages, PTL_LIMIT_MESSAGES_DEFAULT);
                CHECK_EQ(s.limit_bytes, PTL_LIMIT_BYTES_DEFAULT);
                check_empty(p[i]);
        }
}
