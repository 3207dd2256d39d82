/* SPDX-License-Identifier: Apache-2.0 */
/* Messages left with full ports of another task: what their sender is told, once (M-54). */
#include "counts.h"
#include "roles.h"

/* A sink with one message in its port and one left with it. */
static ptl_port leave_one(struct peer *ret_peer, ptl_port notify)
{
        struct ptl_outgoing out = {.data = "left!", .size = 6, .leave = 1, .notify = notify};
        ptl_port sink = start_sink(ret_peer, "sink", "1");

        put(sink, "fills it");
        OK(ptl_send_message(sink, &out, PTL_NOW));
        return sink;
}

static void sink_frees(struct peer *peer)
{
        peer_say(peer, "free");
        peer_hear(peer, "0");
}

API_TEST(m54_a_message_that_is_taken_is_told_with_the_name)
{
        ptl_port n = new_port(), sink;
        struct peer peer;

        sink = leave_one(&peer, n);
        sink_takes(&peer, 1);
        check_empty(n);
        sink_takes(&peer, 1);
        CHECK_EQ(take_notification(n, PTL_NOTIFY_MESSAGE_ACCEPTED).value, sink);
        check_empty(n);
        peer_end(&peer);
}

API_TEST(m54_a_name_that_was_given_up_is_told_as_null_and_only_when_it_is_taken)
{
        ptl_port n = new_port(), deleted = new_port(), sink;
        struct peer peer;

        sink = leave_one(&peer, n);
        ask(sink, PTL_NOTIFY_DEAD_NAME, 0, deleted);
        OK(ptl_right_release(sink));
        take_deleted(deleted, sink);
        check_no_name(sink);
        OUTCOME(ptl_send(sink, "x", 1, PTL_NOW), PTL_E_NAME);
        check_empty(n);
        sink_takes(&peer, 1);
        check_empty(n);
        sink_takes(&peer, 1);
        CHECK_EQ(take_notification(n, PTL_NOTIFY_MESSAGE_ACCEPTED).value, PTL_NULL);
        check_empty(n);
        CHECK_EQ(statistics().names, 2); /* it is given back now: nothing is left of it */
        peer_end(&peer);
}

API_TEST(m54_a_right_that_is_had_again_meanwhile_is_told_by_its_name)
{
        ptl_port n = new_port(), sink, again;
        struct peer peer;

        sink = leave_one(&peer, n);
        OK(ptl_right_release(sink));
        again = look_up("sink");
        check_rights(again, PTL_RIGHT_SEND, 1);
        OUTCOME(ptl_send(again, "x", 1, PTL_NOW), PTL_E_FULL); /* the window is what it was */
        sink_takes(&peer, 2);
        CHECK_EQ(take_notification(n, PTL_NOTIFY_MESSAGE_ACCEPTED).value, again);
        put(again, "goes on");
        sink_takes(&peer, 1);
        peer_end(&peer);
}

static const struct end_row {
        const char *name;
        bool released, killed;
} end_rows[] = {
        {"the port is freed",                         false, false},
        {"the port is freed, its name released",      true,  false},
        {"its task is killed",                        false, true },
        {"its task is killed, the name was released", true,  true },
};

API_TEST(m54_a_port_that_dies_first_is_told_as_a_send_once_right_unused)
{
        for (size_t i = 0; i < ARRAY_LEN(end_rows); i++) {
                ptl_port n = new_port(), sink;
                struct peer peer;

                sink = leave_one(&peer, n);
                if (end_rows[i].released)
                        OK(ptl_right_release(sink));
                if (end_rows[i].killed)
                        peer_kill(&peer);
                else
                        sink_frees(&peer);
                take_unused(n);
                if (end_rows[i].released) {
                        check_no_name(sink);
                } else {
                        check_rights(sink, PTL_RIGHT_DEAD, 1);
                        OK(ptl_right_release(sink));
                }
                CHECK_EQ(statistics().names, 1);
                OK(ptl_port_free(n));
                if (!end_rows[i].killed)
                        peer_end(&peer);
        }
}

API_TEST(a_message_left_that_carries_the_right_it_goes_through_is_told_as_null)
{
        ptl_port n = new_port(), sink;
        struct ptl_right_item item = {.disposition = PTL_MOVE_SEND};
        struct ptl_outgoing out = {.leave = 1, .notify = n, .rights = &item, .n_rights = 1};
        struct peer peer;

        item.port = sink = start_sink(&peer, "sink", "1");
        put(sink, "fills it");
        OK(ptl_send_message(sink, &out, PTL_NOW));
        check_no_name(sink);
        sink_takes(&peer, 2);
        CHECK_EQ(take_notification(n, PTL_NOTIFY_MESSAGE_ACCEPTED).value, PTL_NULL);
        peer_end(&peer);
}
