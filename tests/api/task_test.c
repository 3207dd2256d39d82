/* SPDX-License-Identifier: Apache-2.0 */
/* The task: its identity and counters, what it leaves, and that it is quiet unless asked. */
#include "api.h"

API_TEST(an_identity_does_not_change)
{
        struct ptl_identity a, b;

        OK(ptl_task_identity(&a));
        (void)new_port();
        OK(ptl_task_identity(&b));
        CHECK(memcmp(&a, &b, sizeof a) == 0);
        CHECK_EQ(a.pid, getpid());
        CHECK_EQ(a.reserved, 0);
        CHECK(a.start_time != 0);
}

API_TEST(counters_count_ones_own_messages)
{
        ptl_port p = new_send_port();
        struct ptl_task_statistics before = statistics(), after;

        for (int i = 0; i < 10; i++)
                OK(ptl_send(p, "12345", 5, PTL_NOW));
        after = statistics();
        CHECK_EQ(after.sent - before.sent, 10);
        CHECK_EQ(after.sent_bytes - before.sent_bytes, 50);
        CHECK_EQ(after.received, before.received);
        for (int i = 0; i < 4; i++) {
                struct ptl_message m = take_message(p);

                ptl_message_release(&m);
        }
        after = statistics();
        CHECK_EQ(after.received - before.received, 4);
        CHECK_EQ(after.received_bytes - before.received_bytes, 20);
        CHECK_EQ(after.destroyed, before.destroyed);
        OK(ptl_port_free(p));
        CHECK_EQ(statistics().destroyed - before.destroyed, 6);
        CHECK_EQ(after.links, 0);
        CHECK_EQ(after.link_bytes, 0);
}

API_TEST(counters_count_names)
{
        uint32_t before = statistics().names;
        ptl_port p = new_port(), s = new_set();

        CHECK_EQ(statistics().names, before + 2);
        OK(ptl_right_make_send(p));
        CHECK_EQ(statistics().names, before + 2);
        OK(ptl_port_free(p)); /* a dead name is a name */
        CHECK_EQ(statistics().names, before + 2);
        OK(ptl_right_release(p));
        OK(ptl_set_free(s));
        CHECK_EQ(statistics().names, before);
}

API_TEST(a_task_without_links_lists_none)
{
        struct ptl_link_statistics l;
        size_t n = 77;

        OK(ptl_link_get_statistics(&l, 1, &n));
        CHECK_EQ(n, 0);
        n = 77;
        OK(ptl_link_get_statistics(NULL, 0, &n));
        CHECK_EQ(n, 0);
}

API_TEST(a_task_that_was_never_one_can_leave)
{
        OK(ptl_task_leave());
        OK(ptl_task_leave());
}

API_TEST(leaving_forgets_names_sets_and_messages)
{
        ptl_port p = new_send_port(), set = new_set();
        struct ptl_message m;

        OK(ptl_set_add(set, p));
        put(p, "lost");
        OK(ptl_task_leave());
        check_no_name(p);
        check_no_name(set);
        OUTCOME(ptl_receive(set, &m, PTL_NOW), PTL_E_NAME);
        p = new_send_port();
        put(p, "anew");
        take(p, "anew");
}

API_TEST(a_region_outlives_leaving)
{
        struct ptl_region *r = NULL;

        OK(ptl_region_new(5000, &r));
        OK(ptl_task_leave());
        memset(ptl_region_data(r), 1, 5000);
        ptl_region_free(r);
}

API_TEST(a_descriptor_is_one_for_each_port)
{
        ptl_port p = new_port(), q = new_port();
        int a = -1, b = -1, again = -1, task = -1;

        OK(ptl_descriptor(p, &a));
        OK(ptl_descriptor(q, &b));
        OK(ptl_descriptor(PTL_NULL, &task));
        CHECK(a != b && a != task && b != task);
        OK(ptl_descriptor(p, &again));
        CHECK_EQ(again, a);
        OK(ptl_descriptor(PTL_NULL, &again));
        CHECK_EQ(again, task);
        OK(ptl_port_free(p));
        CHECK(fcntl(a, F_GETFD) == -1);
        CHECK(fcntl(b, F_GETFD) & FD_CLOEXEC);
}

/* What a small program of calls prints to stderr. */
static size_t stderr_of_calls(char *text, size_t size)
{
        int fds[2], saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
        ssize_t n;
        ptl_port p;

        CHECK(pipe2(fds, O_CLOEXEC) == 0);
        fflush(stderr);
        dup2(fds[1], STDERR_FILENO);
        p = new_send_port();
        put(p, "x");
        take(p, "x");
        OK(ptl_name_publish("traced", p));
        CHECK(ptl_name_publish("traced", p) == PTL_E_EXISTS);
        OUTCOME(ptl_send(PTL_NULL, "x", 1, PTL_NOW), PTL_E_NAME);
        OK(ptl_task_leave());
        fflush(stderr);
        dup2(saved, STDERR_FILENO);
        close(saved);
        fcntl(fds[0], F_SETFL, O_NONBLOCK);
        n = read(fds[0], text, size - 1);
        close(fds[0]);
        close(fds[1]);
        text[n > 0 ? n : 0] = '\0';
        return n > 0 ? (size_t)n : 0;
}

API_TEST(the_library_prints_nothing_unasked)
{
        char text[4096];

        unsetenv("PORTOLAN_TRACE");
        if (stderr_of_calls(text, sizeof text))
                fprintf(stderr, "# printed: %s\n", text);
        CHECK_STR_EQ(text, "");
}
