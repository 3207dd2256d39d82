/* SPDX-License-Identifier: Apache-2.0 */
/* What messages between processes carry: rights and regions. */
#include "roles.h"

/* ---- rights ---- */

enum { RIGHT_USE = 1, RIGHT_RETURN, RIGHT_RELEASE, RIGHT_STATUS, RIGHT_HOLD };

struct rights_answer {
        uint32_t name, disposition, rights, references;
        int32_t peer_pid;
};

static void use_right(struct ptl_message *m, const struct ptl_right_item *item, uint32_t kind)
{
        struct ptl_right_item back = {.port = item->port,
                                      .disposition = item->disposition == PTL_RIGHT_SEND_ONCE
                                                             ? PTL_MOVE_SEND_ONCE
                                                             : PTL_MOVE_SEND};
        struct ptl_outgoing out = {.rights = &back, .n_rights = kind == RIGHT_RETURN};
        struct ptl_port_status s = status_of(item->port);
        struct rights_answer a = {item->port, item->disposition, s.rights, s.references,
                                  s.peer_pid};

        if (kind == RIGHT_USE)
                OK(ptl_send(item->port, "used", 5, soon()));
        if (kind == RIGHT_RELEASE)
                OK(ptl_right_release(item->port));
        out.data = &a;
        out.size = sizeof a;
        if (m->reply)
                OK(ptl_reply_message(m, &out));
}

/* rights NAME: does with the rights in each message what its kind says, tells what they were. */
PEER(rights)
{
        ptl_port p = new_port();

        OK(ptl_name_publish(argv[1], p));
        for (;;) {
                struct ptl_right_item item = {.port = PTL_NULL};
                struct ptl_message m;

                OK(ptl_receive(p, &m, PTL_FOREVER));
                if (m.kind == KIND_QUIT) {
                        ptl_message_release(&m);
                        return;
                }
                for (uint32_t i = 0; i < m.n_rights; i++) {
                        item = m.rights[i];
                        use_right(&m, &item, m.kind);
                }
                if (!m.n_rights && m.reply)
                        OK(ptl_reply(&m, "", 0));
                ptl_message_release(&m);
        }
}

static ptl_port start_rights(struct peer *ret_peer, const char *name)
{
        peer_start(ret_peer, "rights", name, NULL);
        return look_up(name);
}

/* Sends the right and returns what the peer said of it. */
static struct ptl_message give(ptl_port peer, ptl_port port, uint32_t disposition, uint32_t kind,
                               struct rights_answer *ret_answer)
{
        struct ptl_right_item item = {.port = port, .disposition = disposition};
        struct ptl_outgoing out = {.kind = kind, .rights = &item, .n_rights = 1};
        struct ptl_message m;

        OK(ptl_call_message(peer, &out, &m, 0, soon()));
        CHECK_EQ(m.size, sizeof *ret_answer);
        memcpy(ret_answer, m.data, sizeof *ret_answer);
        return m;
}

static const struct give_row {
        const char *name;
        uint32_t disposition;
        uint32_t got;
        uint32_t references_left; /* of the one that was there */
} give_rows[] = {
        {"make send",      PTL_MAKE_SEND,      PTL_RIGHT_SEND,      1},
        {"copy send",      PTL_COPY_SEND,      PTL_RIGHT_SEND,      1},
        {"move send",      PTL_MOVE_SEND,      PTL_RIGHT_SEND,      0},
        {"make send-once", PTL_MAKE_SEND_ONCE, PTL_RIGHT_SEND_ONCE, 1},
};

API_TEST(a_right_in_a_message_can_be_used_by_its_receiver)
{
        struct peer peer;
        ptl_port them = start_rights(&peer, "rights");

        for (size_t i = 0; i < ARRAY_LEN(give_rows); i++) {
                const struct give_row *r = &give_rows[i];
                ptl_port p = new_send_port();
                struct rights_answer a;
                struct ptl_message m = give(them, p, r->disposition, RIGHT_USE, &a);

                ptl_message_release(&m);
                CHECK_ROW(i, r, a.disposition == r->got);
                CHECK_ROW(i, r, a.rights == r->got);
                CHECK_ROW(i, r, a.references == 1);
                CHECK_ROW(i, r, a.peer_pid == getpid());
                m = take_message(p);
                check_text(&m, "used");
                CHECK_EQ(m.sender->pid, peer.pid);
                ptl_message_release(&m);
                CHECK_ROW(i, r, status_of(p).references == r->references_left);
                check_empty(p);
        }
        OK(ptl_send_message(them, &(struct ptl_outgoing){.kind = KIND_QUIT}, soon()));
        peer_end(&peer);
}

API_TEST(a_right_that_goes_back_to_its_owner_has_its_own_name_again)
{
        struct peer peer;
        ptl_port them = start_rights(&peer, "rights");

        for (size_t i = 0; i < ARRAY_LEN(give_rows); i++) {
                const struct give_row *r = &give_rows[i];
                ptl_port p = new_send_port();
                struct rights_answer a;
                struct ptl_message m = give(them, p, r->disposition, RIGHT_RETURN, &a);

                CHECK_EQ(m.n_rights, 1);
                CHECK_ROW(i, r, m.rights[0].disposition == r->got);
                if (r->got == PTL_RIGHT_SEND) {
                        CHECK_ROW(i, r, m.rights[0].port == p);
                        CHECK_ROW(i, r, status_of(p).references == r->references_left + 1);
                } else {
                        put(m.rights[0].port, "once");
                        take(p, "once");
                }
                ptl_message_release(&m);
                check_empty(p);
        }
        OK(ptl_send_message(them, &(struct ptl_outgoing){.kind = KIND_QUIT}, soon()));
        peer_end(&peer);
}

API_TEST(a_send_once_right_released_by_another_task_tells_its_port)
{
        struct peer peer;
        ptl_port them = start_rights(&peer, "rights"), p = new_port();
        struct rights_answer a;
        struct ptl_message m = give(them, p, PTL_MAKE_SEND_ONCE, RIGHT_RELEASE, &a);

        ptl_message_release(&m);
        take_notification(p, PTL_NOTIFY_SEND_ONCE);
        check_empty(p);
        peer_kill(&peer);
}

API_TEST(a_send_once_right_whose_holder_dies_tells_its_port)
{
        struct peer peer;
        ptl_port them = start_rights(&peer, "rights"), p = new_port();
        struct rights_answer a;

        for (int i = 0; i < 3; i++) {
                struct ptl_message m = give(them, p, PTL_MAKE_SEND_ONCE, RIGHT_HOLD, &a);

                ptl_message_release(&m);
        }
        check_empty(p);
        peer_kill(&peer);
        for (int i = 0; i < 3; i++)
                take_notification(p, PTL_NOTIFY_SEND_ONCE);
        check_empty(p);
}

API_TEST(the_same_right_sent_twice_has_one_name_and_two_references)
{
        struct peer peer;
        ptl_port them = start_rights(&peer, "rights"), p = new_port();
        struct rights_answer first, second;
        struct ptl_message m = give(them, p, PTL_MAKE_SEND, RIGHT_HOLD, &first);

        ptl_message_release(&m);
        m = give(them, p, PTL_MAKE_SEND, RIGHT_HOLD, &second);
        ptl_message_release(&m);
        CHECK_EQ(first.name, second.name);
        CHECK_EQ(second.references, 2);
        peer_kill(&peer);
}

/* again LIMIT: gives a right to a port, takes what comes, gives it once more before it reads that it came back. */
PEER(again)
{
        ptl_port own = new_port(), given = new_port_of((uint32_t)atoi(argv[1]), 0), to;
        struct ptl_right_item item = {.port = given, .disposition = PTL_MAKE_SEND};
        struct ptl_outgoing out = {.rights = &item, .n_rights = 1};
        int n;

        to = look_up("case");
        OK(ptl_send_message(to, &out, soon()));
        n = (int)peer_hear_number(NULL);
        while (n--)
                take(given, "used");
        peer_say(NULL, "taken");
        peer_hear(NULL, "again"); /* nothing is read meanwhile */
        OK(ptl_send_message(to, &out, soon()));
        peer_say(NULL, "given");
        n = (int)peer_hear_number(NULL);
        while (n--)
                take(given, "used");
        peer_say(NULL, "taken");
        OK(ptl_port_free(own));
}

API_TEST(a_right_that_is_given_again_while_it_comes_back_has_its_window)
{
        enum { LIMIT = 4, FIRST = 6, THEN = 20 };
        ptl_port mine = new_port(), right;
        struct ptl_message m;
        struct peer peer;

        OK(ptl_name_publish("case", mine));
        peer_start(&peer, "again", "4", NULL);
        m = take_message(mine);
        right = m.rights[0].port;
        ptl_message_release(&m);
        peer_say(&peer, "%d", FIRST);
        for (int i = 0; i < FIRST; i++)
                OK(ptl_send(right, "used", 5, soon()));
        peer_hear(&peer, "taken");
        OK(ptl_right_release(right));
        peer_say(&peer, "again");
        peer_hear(&peer, "given");
        m = take_message(mine);
        right = m.rights[0].port;
        ptl_message_release(&m);
        check_rights(right, PTL_RIGHT_SEND, 1);
        peer_say(&peer, "%d", THEN);
        for (int i = 0; i < THEN; i++)
                OK(ptl_send(right, "used", 5, soon()));
        peer_hear(&peer, "taken");
        peer_end(&peer);
}

API_TEST(a_right_that_comes_to_a_full_name_takes_nothing_from_it)
{
        ptl_port mine = new_port(), right;
        struct ptl_message m;
        struct peer peer;

        OK(ptl_name_publish("case", mine));
        peer_start(&peer, "again", "4", NULL);
        m = take_message(mine);
        right = m.rights[0].port;
        ptl_message_release(&m);
        OK(ptl_right_change(right, PTL_RIGHT_SEND, 65534));
        peer_say(&peer, "0");
        peer_hear(&peer, "taken");
        peer_say(&peer, "again");
        peer_hear(&peer, "given");
        ptl_task_look();
        CHECK_EQ(status_of(mine).queued, 1);
        check_rights(right, PTL_RIGHT_SEND, 65535);
        OK(ptl_port_free(mine));
        check_rights(right, PTL_RIGHT_SEND, 65535);
        peer_say(&peer, "0");
        peer_hear(&peer, "taken");
        peer_end(&peer);
}

/* Whoever it goes to, this task or another. */
API_TEST(a_right_that_is_moved_and_copied_in_one_message_comes_twice)
{
        struct ptl_right_item items[] = {
                {.disposition = PTL_MOVE_SEND},
                {.disposition = PTL_COPY_SEND}
        };
        struct ptl_outgoing out = {.kind = RIGHT_STATUS, .rights = items, .n_rights = 2};
        ptl_port home = new_send_port();
        struct ptl_message m;
        struct peer peer;

        items[0].port = items[1].port = start_rights(&peer, "rights");
        OK(ptl_send_message(home, &out, soon()));
        check_no_name(items[0].port);
        m = take_message(home);
        CHECK_EQ(m.n_rights, 2);
        CHECK_EQ(m.rights[0].disposition, PTL_RIGHT_SEND);
        CHECK_EQ(m.rights[1].port, m.rights[0].port);
        check_rights(m.rights[0].port, PTL_RIGHT_SEND, 2);
        ptl_message_release(&m);
        peer_kill(&peer);
}

API_TEST(a_peers_own_right_sent_to_it_is_merged_with_its_port)
{
        struct peer peer;
        ptl_port them = start_rights(&peer, "rights");
        struct rights_answer a;
        struct ptl_message m = give(them, them, PTL_COPY_SEND, RIGHT_STATUS, &a);

        ptl_message_release(&m);
        CHECK_EQ(a.disposition, PTL_RIGHT_SEND);
        CHECK_EQ(a.rights, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND);
        CHECK_EQ(a.references, 1);
        CHECK_EQ(a.peer_pid, 0);
        check_rights(them, PTL_RIGHT_SEND, 1);
        peer_kill(&peer);
}

API_TEST(moving_the_last_right_to_its_owner_leaves_no_name)
{
        struct peer peer;
        ptl_port them = start_rights(&peer, "rights"), again;
        struct ptl_right_item item = {.port = them, .disposition = PTL_MOVE_SEND};
        struct ptl_outgoing out = {.kind = RIGHT_HOLD, .rights = &item, .n_rights = 1};

        OK(ptl_send_message(them, &out, soon()));
        check_no_name(them);
        again = look_up("rights");
        OK(ptl_send_message(again, &(struct ptl_outgoing){.kind = KIND_QUIT}, soon()));
        peer_end(&peer);
}

API_TEST(many_rights_travel_in_one_message)
{
        struct peer peer;
        ptl_port them = start_rights(&peer, "rights"), p[PTL_MESSAGE_RIGHTS_MAX];
        struct ptl_right_item items[PTL_MESSAGE_RIGHTS_MAX];
        struct ptl_outgoing out = {
                .kind = RIGHT_USE, .rights = items, .n_rights = PTL_MESSAGE_RIGHTS_MAX};

        for (size_t i = 0; i < PTL_MESSAGE_RIGHTS_MAX; i++) {
                p[i] = new_port();
                items[i] =
                        (struct ptl_right_item){p[i], i % 2 ? PTL_MAKE_SEND : PTL_MAKE_SEND_ONCE};
        }
        for (int round = 0; round < 20; round++) {
                OK(ptl_send_message(them, &out, soon()));
                for (size_t i = 0; i < PTL_MESSAGE_RIGHTS_MAX; i++)
                        take(p[i], "used");
        }
        peer_kill(&peer);
}

/* sends_home NAME: a request that carries a right gets no answer: its reply right is sent through that. */
PEER(sends_home)
{
        ptl_port p = new_port();
        struct ptl_message m;
        bool quit = false;

        OK(ptl_name_publish(argv[1], p));
        while (!quit) {
                struct ptl_right_item reply = {.disposition = PTL_MOVE_SEND_ONCE};

                OK(ptl_receive(p, &m, PTL_FOREVER));
                quit = m.kind == KIND_QUIT;
                if (m.n_rights) {
                        reply.port = m.reply;
                        OK(ptl_send_message(m.rights[0].port,
                                            &(struct ptl_outgoing){.rights = &reply, .n_rights = 1}, soon()));
                        m.reply = PTL_NULL;
                        OK(ptl_right_release(m.rights[0].port));
                } else if (m.reply) {
                        OK(ptl_reply(&m, m.data, m.size));
                }
                ptl_message_release(&m);
        }
}

/* The pause is for the right to come home within the call; where it comes later, its call is over already. */
API_TEST(a_reply_right_that_came_home_is_nothing_to_the_next_call)
{
        struct peer peer;
        ptl_port home = new_port(), server;
        struct ptl_right_item item = {home, PTL_MAKE_SEND};
        struct ptl_outgoing out = {.rights = &item, .n_rights = 1};
        struct ptl_message m, answer;

        peer_start(&peer, "sends_home", "server", NULL);
        server = look_up("server");
        for (unsigned i = 0; i < 4; i++) {
                OUTCOME(ptl_call_message(server, &out, &answer, 0, ptl_after_ms(100)), PTL_E_UNANSWERED);
                m = take_message(home);
                CHECK_EQ(m.n_rights, 1);
                if (i % 2)
                        OUTCOME(ptl_send(m.rights[0].port, "late", 5, PTL_NOW), PTL_E_DEAD);
                OK(ptl_right_release(m.rights[0].port));
                ptl_message_release(&m);
                for (unsigned n = 0; n < 3; n++)
                        call_echo_of(server, 10 + n, i);
        }
        end_echo(&peer, server);
}

/* visitor: looks "home" up and sends a right to a port of its own there. */
PEER(visitor)
{
        struct ptl_right_item item = {new_port(), PTL_MAKE_SEND};

        OK(ptl_send_message(look_up("home"), &(struct ptl_outgoing){.rights = &item, .n_rights = 1}, soon()));
        peer_stay();
}

static struct ptl_link_statistics only_link(void)
{
        struct ptl_link_statistics links[2];
        size_t n;

        OK(ptl_link_get_statistics(links, ARRAY_LEN(links), &n));
        CHECK_EQ(n, 1);
        return links[0];
}

API_TEST(rights_on_a_link_are_counted_whoever_chose_their_numbers)
{
        ptl_port home = new_port();
        struct ptl_message m;
        struct peer visitor;

        OK(ptl_name_publish("home", home));
        peer_start(&visitor, "visitor", NULL);
        m = take_message(home);
        CHECK_EQ(only_link().rights_granted, 1); /* it claimed that */
        CHECK_EQ(only_link().rights_held, 1);    /* and gave this */
        OK(ptl_right_release(m.rights[0].port));
        ptl_message_release(&m);
        CHECK_EQ(only_link().rights_held, 0);
        peer_kill(&visitor);
}

/* ---- regions ---- */

/* regions NAME: for each region that comes: says what it reads, writes, and looks again when told.
 */
PEER(regions)
{
        ptl_port p = new_port();

        OK(ptl_name_publish(argv[1], p));
        for (;;) {
                struct ptl_message m = {.size = 0};
                char *data, line[16];

                OK(ptl_receive(p, &m, PTL_FOREVER));
                CHECK_EQ(m.n_regions, 1);
                data = ptl_region_data(m.regions[0].region);
                CHECK(data);
                peer_say(NULL, "%s", data);
                CHECK(peer_hear_line(NULL, line, sizeof line));
                peer_say(NULL, "%s", data);
                strcpy(data, "peer wrote");
                OK(ptl_reply(&m, "", 0));
                ptl_region_free(m.regions[0].region);
                ptl_message_release(&m);
        }
}

static ptl_port start_regions(struct peer *ret_peer)
{
        peer_start(ret_peer, "regions", "regions", NULL);
        return look_up("regions");
}

static void send_region(ptl_port to, ptl_port reply, struct ptl_region *r, uint32_t how)
{
        struct ptl_region_item item = {.region = r, .how = how};
        struct ptl_outgoing out = {.reply = reply, .regions = &item, .n_regions = 1};

        OK(ptl_send_message(to, &out, soon()));
}

static void take_empty(ptl_port p)
{
        struct ptl_message m = take_message(p);

        CHECK_EQ(m.kind, 0);
        CHECK_EQ(m.size, 0);
        ptl_message_release(&m);
}

API_TEST(both_sides_see_what_is_written_to_a_volatile_region)
{
        struct peer peer;
        ptl_port them = start_regions(&peer), reply = new_port();
        struct ptl_region *r = NULL;
        char *data;

        OK(ptl_region_new(10000, &r));
        data = ptl_region_data(r);
        for (int round = 0; round < 5; round++) { /* the same one again and again */
                strcpy(data, "before");
                send_region(them, reply, r, PTL_REGION_VOLATILE);
                peer_hear(&peer, "before");
                strcpy(data, "after");
                peer_say(&peer, "look");
                peer_hear(&peer, "after");
                take_empty(reply);
                CHECK_STR_EQ(data, "peer wrote");
        }
        ptl_region_free(r);
        peer_kill(&peer);
}

API_TEST(a_receiver_does_not_see_later_writes_to_an_isolated_region)
{
        struct peer peer;
        ptl_port them = start_regions(&peer), reply = new_port();

        for (int published = 0; published < 2; published++) {
                struct ptl_region *r = NULL, *view = NULL;

                OK(ptl_region_new(10000, &r));
                if (published) { /* a view that stays writable when the region is given away */
                        OK(ptl_region_publish("view", r));
                        OK(ptl_region_look_up("view", &view, PTL_NOW));
                }
                strcpy(ptl_region_data(r), "before");
                send_region(them, reply, r, PTL_REGION_ISOLATED);
                if (!published)
                        peer_hear(&peer, "before");
                else
                        peer_hear(&peer, "before"), strcpy(ptl_region_data(view), "after");
                peer_say(&peer, "look");
                peer_hear(&peer, "before");
                take_empty(reply);
                if (published)
                        CHECK_STR_EQ(ptl_region_data(view), "after");
                ptl_region_free(view);
        }
        peer_kill(&peer);
}

API_TEST(a_copied_region_is_the_receivers_own_and_stays_the_senders)
{
        struct peer peer;
        ptl_port them = start_regions(&peer), reply = new_port();
        struct ptl_region *r = NULL;
        char *data;

        OK(ptl_region_new(10000, &r));
        data = ptl_region_data(r);
        for (int round = 0; round < 5; round++) { /* into the same memory again and again */
                strcpy(data, "before");
                send_region(them, reply, r, PTL_REGION_COPIED);
                peer_hear(&peer, "before");
                strcpy(data, "after");
                peer_say(&peer, "look");
                peer_hear(&peer, "before");
                take_empty(reply);
                CHECK_STR_EQ(data, "after");
        }
        ptl_region_free(r);
        peer_kill(&peer);
}

enum { ODD = 3 * 4096 - 100, PAGES = 3 * 4096 };

/* returns NAME: fills each region that comes, and what lies behind it in its last page, with 7, and answers
 * with a region: the same one. */
PEER(returns)
{
        ptl_port p = new_port();

        OK(ptl_name_publish(argv[1], p));
        for (;;) {
                struct ptl_message m = {.size = 0};
                struct ptl_region_item item = {.how = PTL_REGION_ISOLATED};
                struct ptl_outgoing out = {.regions = &item, .n_regions = 1};
                char *data;

                OK(ptl_receive(p, &m, PTL_FOREVER));
                CHECK_EQ(m.n_regions, 1);
                item.region = m.regions[0].region;
                data = ptl_region_data(item.region);
                for (size_t i = ODD; i < PAGES; i++) /* of what was there for others nothing is left */
                        CHECK_EQ(data[i], 0);
                fill(data, ODD, 7);
                memset(data + ODD, 7, PAGES - ODD);
                if (m.regions[0].how == PTL_REGION_COPIED)
                        item.how = PTL_REGION_VOLATILE;
                OK(ptl_reply_message(&m, &out));
                if (item.how == PTL_REGION_VOLATILE)
                        ptl_region_free(item.region);
                ptl_message_release(&m);
        }
}

API_TEST(a_region_is_passed_on_as_its_receiver_changed_it)
{
        struct ptl_region_item item = {.how = PTL_REGION_ISOLATED};
        struct ptl_outgoing out = {.regions = &item, .n_regions = 1};
        struct ptl_message m = {.size = 0};
        struct peer peer;
        ptl_port them;

        peer_start(&peer, "returns", "returns", NULL);
        them = look_up("returns");
        for (unsigned i = 0; i < 8; i++) {
                item.how = i % 2 ? PTL_REGION_COPIED : PTL_REGION_ISOLATED;
                OK(ptl_region_new(ODD, &item.region));
                fill(ptl_region_data(item.region), ODD, 1);
                OK(ptl_call_message(them, &out, &m, 0, soon()));
                CHECK_EQ(m.n_regions, 1);
                CHECK(is_filled(ptl_region_data(m.regions[0].region), ODD, 7));
                if (i % 2) {
                        CHECK(is_filled(ptl_region_data(item.region), ODD, 1));
                        ptl_region_free(item.region);
                }
                ptl_region_free(m.regions[0].region);
                ptl_message_release(&m);
        }
        peer_kill(&peer);
}

API_TEST(many_regions_travel_and_none_is_left_behind)
{
        struct peer peer;
        ptl_port echo = start_echo(&peer, "echo");

        for (int i = 0; i < 100; i++) {
                struct ptl_region *r = NULL;
                struct ptl_region_item item = {.how = i % 2 ? PTL_REGION_VOLATILE
                                                            : PTL_REGION_ISOLATED};
                struct ptl_outgoing out = {.regions = &item, .n_regions = 1, .kind = KIND_DROP};

                OK(ptl_region_new(5000, &r));
                item.region = r;
                OK(ptl_send_message(echo, &out, soon()));
                if (i % 2)
                        ptl_region_free(r);
        }
        call_echo(echo);
        end_echo(&peer, echo);
}

static int send_a_region(ptl_port to, ptl_time deadline)
{
        struct ptl_region_item item = {.how = PTL_REGION_VOLATILE};
        struct ptl_outgoing out = {.regions = &item, .n_regions = 1};
        int r;

        OK(ptl_region_new(5000, &item.region));
        r = ptl_send_message(to, &out, deadline);
        ptl_region_free(item.region);
        return r;
}

/* The sink is outside of the library until it is told to take something. */
API_TEST(descriptors_that_are_never_read_stop_no_other_links)
{
        enum { UNREAD = 32, OTHERS = 100 }; /* docs/protocol/link.md, T1 */
        struct peer deaf, other;
        ptl_port sink = start_sink(&deaf, "deaf", "100"), echo = start_echo(&other, "echo");

        call_echo(echo);
        for (int i = 0; i < UNREAD; i++)
                OK(send_a_region(sink, PTL_NOW));
        OUTCOME(send_a_region(sink, PTL_NOW), PTL_E_FULL);
        OUTCOME(send_a_region(sink, ptl_after_ms(5)), PTL_E_TIMEOUT);
        for (int i = 0; i < OTHERS; i++)
                OK(send_a_region(echo, soon()));
        OK(ptl_send(sink, "no descriptor", 14, PTL_NOW));
        call_echo(echo);
        sink_takes(&deaf, UNREAD + 1);
        OK(send_a_region(sink, soon()));
        sink_takes(&deaf, 1);
        peer_end(&deaf);
        end_echo(&other, echo);
}

enum { KEPT = 100 };

/* keeps NAME COUNT: receives so many messages before it releases any. */
PEER(keeps)
{
        static struct ptl_message m[KEPT];
        static struct ptl_region *regions[KEPT];
        ptl_port p = new_port();
        int n = atoi(argv[2]);

        OK(ptl_name_publish(argv[1], p));
        for (int i = 0; i < n; i++) {
                m[i] = take_message(p);
                regions[i] = m[i].n_regions ? m[i].regions[0].region : NULL;
        }
        for (int i = 0; i < n; i++) {
                if (regions[i])
                        CHECK_EQ(*(char *)ptl_region_data(regions[i]), (char)i);
                else
                        CHECK(is_filled(m[i].data, m[i].size, (unsigned)i));
                ptl_region_free(regions[i]);
                ptl_message_release(&m[i]);
        }
        peer_say(NULL, "had them");
        peer_stay();
}

API_TEST(a_receiver_may_keep_many_regions)
{
        struct peer peer;
        ptl_port keeps;

        peer_start(&peer, "keeps", "keeps", "100", NULL);
        keeps = look_up("keeps");
        for (int i = 0; i < KEPT; i++) {
                struct ptl_region_item item = {.how = PTL_REGION_VOLATILE};
                struct ptl_outgoing out = {.regions = &item, .n_regions = 1};

                OK(ptl_region_new(5000, &item.region));
                *(char *)ptl_region_data(item.region) = (char)i;
                OK(ptl_send_message(keeps, &out, soon()));
                ptl_region_free(item.region);
        }
        peer_hear(&peer, "had them");
        peer_end(&peer);
}

API_TEST(a_receiver_may_keep_many_large_messages)
{
        enum { N = 40, SIZE = 2 << 20 };
        unsigned char *data = malloc(SIZE);
        struct peer peer;
        ptl_port keeps;

        CHECK(data);
        peer_start(&peer, "keeps", "keeps", "40", NULL);
        keeps = look_up("keeps");
        for (unsigned i = 0; i < N; i++) {
                fill(data, SIZE, i);
                OK(ptl_send(keeps, data, SIZE, soon()));
        }
        peer_hear(&peer, "had them");
        peer_end(&peer);
        free(data);
}
