/* SPDX-License-Identifier: Apache-2.0 */
/* Send rights that other tasks hold: counted until they are given back, or their holders die. */
#include "counts.h"
#include "roles.h"

static const char *told(ptl_port held, ptl_port ping, const char *line)
{
        struct ptl_right_item item = {held, !strcmp(line, "move") ? PTL_MOVE_SEND : PTL_COPY_SEND};
        struct ptl_outgoing out = {.data = "back", .size = 5, .rights = &item, .n_rights = 1};
        struct ptl_message m = {.size = 0};

        if (!strcmp(line, "release"))
                OK(ptl_right_release(held));
        else if (!strcmp(line, "ping")) /* what was done before is seen before it */
                put(ping, "ping");
        else if (!strcmp(line, "put"))
                put(held, "put");
        else if (!strcmp(line, "back") || !strcmp(line, "move"))
                OK(ptl_send_message(held, &out, soon()));
        else if (!strcmp(line, "call"))
                OK(ptl_call_message(held, &(struct ptl_outgoing){.size = 0}, &m, 0, soon()));
        else
                CHECK(!"a command");
        ptl_message_release(&m);
        return "done";
}

/*
 * holder NAME [FOUND]: gets a right and one to ping, in a message; with FOUND the first is looked
 * up. Does with it as told, line by line.
 */
PEER(holder)
{
        ptl_port p = new_port(), held, ping;
        struct ptl_message m;
        char line[64];

        OK(ptl_name_publish(argv[1], p));
        m = take_message(p);
        CHECK_EQ(m.n_rights, 2);
        held = argc > 2 ? look_up(argv[2]) : m.rights[0].port;
        ping = m.rights[1].port;
        ptl_message_release(&m);
        put(ping, "has it");
        while (peer_hear_line(NULL, line, sizeof line))
                peer_say(NULL, "%s", told(held, ping, line));
}

struct scene {
        ptl_port port, notify, ping;
};

static struct scene new_scene(void) { return (struct scene){new_port(), new_port(), new_port()}; }

/* A task that has a right to the scene's port, and has said so. */
static void start_holder(struct peer *ret_peer, const struct scene *s, const char *name,
                         uint32_t how)
{
        struct ptl_right_item items[] = {
                {s->port, how          },
                {s->ping, PTL_MAKE_SEND}
        };
        struct ptl_outgoing out = {.rights = items, .n_rights = 2};
        ptl_port to;

        peer_start(ret_peer, "holder", name, NULL);
        to = look_up(name);
        OK(ptl_send_message(to, &out, soon()));
        take(s->ping, "has it");
}

static void tell(struct peer *peer, const char *command)
{
        peer_say(peer, "%s", command);
        peer_hear(peer, "done");
}

/* All that the holder did until now has been seen. */
static void settle(struct peer *peer, const struct scene *s)
{
        tell(peer, "ping");
        take(s->ping, "ping");
}

API_TEST(m93_a_holder_that_gives_its_right_back_is_counted_no_more)
{
        struct scene s = new_scene();
        struct peer peer;

        start_holder(&peer, &s, "holder", PTL_MAKE_SEND);
        ask(s.port, PTL_NOTIFY_NO_SENDERS, 0, s.notify);
        CHECK_EQ(counts_of(s.port).has_senders, 1);
        settle(&peer, &s);
        check_empty(s.notify);
        tell(&peer, "release");
        take_no_senders(s.notify, 1);
        CHECK_EQ(counts_of(s.port).has_senders, 0);
        peer_end(&peer);
}

API_TEST(m93_a_holder_that_is_killed_gives_back_all_it_held)
{
        struct scene s = new_scene();
        struct peer peer;

        OK(ptl_right_make_send(s.port));
        start_holder(&peer, &s, "holder", PTL_MOVE_SEND);
        ask(s.port, PTL_NOTIFY_NO_SENDERS, 0, s.notify);
        settle(&peer, &s);
        check_empty(s.notify);
        peer_kill(&peer);
        take_no_senders(s.notify, 1);
}

API_TEST(m93_of_several_holders_the_last_one_is_told)
{
        struct scene s = new_scene();
        struct peer a, b, c;

        start_holder(&a, &s, "a", PTL_MAKE_SEND);
        start_holder(&b, &s, "b", PTL_MAKE_SEND);
        start_holder(&c, &s, "c", PTL_MAKE_SEND);
        OK(ptl_right_make_send(s.port));
        ask(s.port, PTL_NOTIFY_NO_SENDERS, 0, s.notify);
        tell(&a, "release");
        settle(&a, &s);
        check_empty(s.notify);
        OK(ptl_right_release(s.port));
        check_empty(s.notify);
        tell(&c, "release");
        settle(&c, &s);
        check_empty(s.notify);
        peer_kill(&b);
        take_no_senders(s.notify, 4);
        peer_end(&a);
        peer_end(&c);
}

API_TEST(m93_a_right_that_is_looked_up_is_made_and_counts_beyond_the_name)
{
        struct scene s = new_scene();
        struct ptl_right_item items[] = {
                {s.ping, PTL_MAKE_SEND},
                {s.ping, PTL_MAKE_SEND}
        };
        struct ptl_outgoing out = {.rights = items, .n_rights = 2};
        struct peer peer;

        OK(ptl_name_publish("found", s.port));
        peer_start(&peer, "holder", "holder", "found", NULL);
        OK(ptl_send_message(look_up("holder"), &out, soon()));
        take(s.ping, "has it");
        settle(&peer, &s);
        CHECK_EQ(made_of(s.port), 1);
        ask(s.port, PTL_NOTIFY_NO_SENDERS, 0, s.notify);
        OK(ptl_name_withdraw("found"));
        check_empty(s.notify);
        tell(&peer, "release");
        take_no_senders(s.notify, 1);
        peer_end(&peer);
}

API_TEST(a_message_of_a_holder_that_is_dead_is_taken_before_the_end_is_told)
{
        struct scene s = new_scene();
        struct peer peer;

        start_holder(&peer, &s, "holder", PTL_MAKE_SEND);
        ask(s.port, PTL_NOTIFY_NO_SENDERS, 0, s.notify);
        tell(&peer, "put");
        tell(&peer, "put");
        peer_kill(&peer);
        for (int i = 0; i < 2; i++) {
                check_empty(s.notify);
                take(s.port, "put");
        }
        take_no_senders(s.notify, 1);
}

static const struct home_row {
        const char *command;
        bool is_killed;
} home_rows[] = {
        {"back", false},
        {"back", true },
        {"move", false},
        {"move", true },
};

API_TEST(a_right_that_comes_home_is_counted_all_the_way)
{
        for (size_t i = 0; i < ARRAY_LEN(home_rows); i++) {
                const struct home_row *row = &home_rows[i];
                struct scene s = new_scene();
                struct ptl_message m;
                struct peer peer;

                start_holder(&peer, &s, "holder", PTL_MAKE_SEND);
                ask(s.port, PTL_NOTIFY_NO_SENDERS, 0, s.notify);
                tell(&peer, row->command);
                if (!strcmp(row->command, "back"))
                        tell(&peer, "release");
                if (row->is_killed)
                        peer_kill(&peer);
                else
                        settle(&peer, &s);
                check_empty(s.notify);
                m = take_message(s.port);
                check_empty(s.notify); /* the right is the name's now */
                CHECK_EQ(m.n_rights, 1);
                CHECK_EQ(m.rights[0].port, s.port);
                ptl_message_release(&m);
                check_rights(s.port, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
                OK(ptl_right_release(s.port));
                take_no_senders(s.notify, 1);
                if (!row->is_killed)
                        peer_end(&peer);
        }
}

API_TEST(a_right_sent_to_a_task_that_dies_before_it_looks_is_given_up)
{
        struct scene s = new_scene();
        struct peer peer;
        ptl_port to;

        start_holder(&peer, &s, "holder", PTL_MAKE_SEND_ONCE);
        to = look_up("holder");
        OK(ptl_right_make_send(s.port));
        put_right(to, s.port, PTL_MOVE_SEND); /* it never receives again */
        ask(s.port, PTL_NOTIFY_NO_SENDERS, 0, s.notify);
        settle(&peer, &s);
        check_empty(s.notify);
        peer_kill(&peer);
        take_no_senders(s.notify, 1);
}

API_TEST(a_right_in_a_message_that_could_not_be_sent_was_never_made)
{
        struct scene s = new_scene();
        struct ptl_right_item items[] = {
                {s.port,   PTL_MAKE_SEND},
                {PTL_NULL, PTL_COPY_SEND}
        };
        struct ptl_outgoing out = {.rights = items, .n_rights = 2};
        struct peer peer;
        ptl_port to = start_sink(&peer, "sink", "1");

        OUTCOME(ptl_send_message(to, &out, PTL_NOW), PTL_E_NAME);
        put(to, "fills it");
        out.n_rights = 1;
        OUTCOME(ptl_send_message(to, &out, PTL_NOW), PTL_E_FULL);
        CHECK_EQ(made_of(s.port), 0);
        ask(s.port, PTL_NOTIFY_NO_SENDERS, 0, s.notify);
        take_no_senders(s.notify, 0);
        peer_end(&peer);
}

API_TEST(m92_holders_of_a_port_that_is_mailed_notice_nothing)
{
        struct scene s = new_scene();
        struct peer peer;

        start_holder(&peer, &s, "holder", PTL_MAKE_SEND);
        ask(s.port, PTL_NOTIFY_PORT_DESTROYED, 0, s.notify);
        tell(&peer, "put");
        settle(&peer, &s);
        OK(ptl_port_free(s.port));
        tell(&peer, "put");
        tell(&peer, "back"); /* a right comes home to a port in the mail */
        settle(&peer, &s);
        take_destroyed(s.notify, s.port);
        take(s.port, "put");
        take(s.port, "put");
        CHECK_EQ(take_right(s.port), s.port);
        tell(&peer, "put");
        take(s.port, "put");
        peer_end(&peer);
}

API_TEST(m92_a_name_stays_published_while_its_port_is_in_the_mail)
{
        struct scene s = new_scene();
        struct peer peer;

        OK(ptl_name_publish("found", s.port));
        ask(s.port, PTL_NOTIFY_PORT_DESTROYED, 0, s.notify);
        OK(ptl_port_free(s.port));
        struct ptl_right_item items[] = {
                {s.ping, PTL_MAKE_SEND},
                {s.ping, PTL_MAKE_SEND}
        };
        struct ptl_outgoing out = {.rights = items, .n_rights = 2};

        peer_start(&peer, "holder", "holder", "found", NULL);
        OK(ptl_send_message(look_up("holder"), &out, soon()));
        take(s.ping, "has it");
        tell(&peer, "put");
        settle(&peer, &s);
        take_destroyed(s.notify, s.port);
        take(s.port, "put");
        peer_end(&peer);
}

API_TEST(who_is_told_is_a_port_of_this_task)
{
        struct scene s = new_scene();
        struct ptl_message m;
        struct peer peer;

        start_holder(&peer, &s, "holder", PTL_MAKE_SEND);
        peer_say(&peer, "call");
        m = take_message(s.port);
        OUTCOME(ptl_right_request(s.port, PTL_NOTIFY_NO_SENDERS, 0, m.reply, NULL),
                PTL_E_UNSUPPORTED);
        check_rights(m.reply, PTL_RIGHT_SEND_ONCE, 1);
        ask(m.reply, PTL_NOTIFY_DEAD_NAME, 0, s.notify);
        ptl_port reply = m.reply;
        OK(ptl_reply(&m, "", 0)); /* used up: the long way, which tells so */
        take_deleted(s.notify, reply);
        ptl_message_release(&m);
        peer_hear(&peer, "done");
        peer_end(&peer);
}

API_TEST(m12_a_right_to_another_tasks_port_goes_on_under_another_name)
{
        enum { NAME = 0x0ab00000 | 700 };
        ptl_port n = new_port(), home = new_send_port(), sink;
        struct ptl_outgoing out = {.data = "left!", .size = 6, .leave = 1, .notify = n};
        struct peer peer;

        sink = start_sink(&peer, "sink", "1");
        put(sink, "fills it");
        OK(ptl_send_message(sink, &out, PTL_NOW));
        put_right(home, sink, PTL_COPY_SEND);
        ask(sink, PTL_NOTIFY_DEAD_NAME, 0, n);
        OK(ptl_right_rename(sink, NAME));
        check_no_name(sink);
        CHECK_EQ(take_right(home), NAME);
        check_rights(NAME, PTL_RIGHT_SEND, 2);
        CHECK_EQ(look_up("sink"), NAME); /* still the same right */
        sink_takes(&peer, 2);
        CHECK_EQ(take_notification(n, PTL_NOTIFY_MESSAGE_ACCEPTED).value, NAME);
        put(NAME, "goes on");
        peer_kill(&peer);
        take_dead_name(n, NAME);
        check_rights(NAME, PTL_RIGHT_DEAD, 4);
}

/* Descriptors under way are few: a message that finds no room for its own fails when its rights are
 * granted. */
API_TEST(a_right_that_was_granted_with_a_message_which_then_failed_was_never_there)
{
        struct scene s = new_scene();
        struct ptl_right_item items[] = {
                {s.port, PTL_MAKE_SEND     },
                {s.port, PTL_MAKE_SEND_ONCE},
                {s.port, PTL_MAKE_SEND     }
        };
        struct ptl_region_item region = {.how = PTL_REGION_VOLATILE};
        struct ptl_outgoing out = {.regions = &region, .n_regions = 1};
        struct peer peer;
        ptl_port to = start_sink(&peer, "sink", "256");
        int r = 0;

        kill(peer.pid, SIGSTOP);
        while (!r) {
                OK(ptl_region_new(4096, &region.region));
                r = ptl_send_message(to, &out, PTL_NOW);
                if (!r)
                        ptl_region_free(region.region);
        }
        OUTCOME(r, PTL_E_FULL);
        out.rights = items;
        out.n_rights = ARRAY_LEN(items);
        OUTCOME(ptl_send_message(to, &out, PTL_NOW), PTL_E_FULL);
        ptl_region_free(region.region);
        CHECK_EQ(made_of(s.port), 0);
        CHECK_EQ(counts_of(s.port).once, 0);
        ask(s.port, PTL_NOTIFY_NO_SENDERS, 0, s.notify);
        take_no_senders(s.notify, 0);
        kill(peer.pid, SIGCONT);
        peer_end(&peer);
}

API_TEST(a_right_to_another_tasks_port_that_is_discarded_takes_nothing_from_a_full_name)
{
        ptl_port home = new_send_port(), sink;
        struct peer peer;

        sink = start_sink(&peer, "sink", "1");
        OK(ptl_right_change(sink, PTL_RIGHT_SEND, 65534));
        put_right(home, sink, PTL_COPY_SEND);
        OK(ptl_right_destroy(home));
        check_rights(sink, PTL_RIGHT_SEND, 65535);
        OK(ptl_right_change(sink, PTL_RIGHT_SEND, -65535));
        check_no_name(sink);
        peer_end(&peer);
}
