/* SPDX-License-Identifier: Apache-2.0 */
/* Rights that are given on count as senders all the way (docs/protocol/counting.md): the case has the port. */
#include "actors.h"
#include "counts.h"

enum { OF_CASE = 1, OF_C, ONCE };

static struct actor a, c;
static ptl_port port, notify;

/* A has the only send right to the case's port, and knows C. */
static void start(void)
{
        struct ptl_right_item item;
        uint32_t place = OF_CASE;

        port = new_port();
        notify = new_port();
        actor_start(&a, "a");
        actor_start(&c, "c");
        looks_up(&a, &c, OF_C);
        item = (struct ptl_right_item){.port = port, .disposition = PTL_MAKE_SEND};
        OK(ptl_send_message(a.port,
                            &(struct ptl_outgoing){.data = &place,
                                                   .size = sizeof place,
                                                   .kind = KIND_STORE,
                                                   .rights = &item,
                                                   .n_rights = 1},
                            soon()));
        has_stored(&a, OF_CASE, 1);
        ask(port, PTL_NOTIFY_NO_SENDERS, 0, notify);
}

static void end(void)
{
        actor_end(&a);
        actor_end(&c);
}

API_TEST(a_right_that_nobody_has_asked_for_yet_is_a_sender)
{
        start();
        CHECK(kill(c.peer.pid, SIGSTOP) == 0);
        gives(&a, OF_CASE, OF_C, OF_CASE, PTL_MOVE_SEND); /* answered behind GIVE and RELEASE */
        CHECK_EQ(reports(&a, OF_CASE).rights, 0);
        check_empty(notify);
        CHECK_EQ(made_of(port), 1);
        CHECK(kill(c.peer.pid, SIGCONT) == 0);
        CHECK_EQ(has_stored(&c, OF_CASE, 1).rights, PTL_RIGHT_SEND);
        check_empty(notify);
        CHECK_EQ(made_of(port), 1); /* given on, not made */
        uses(&c, OF_CASE);
        take(port, "used");
        check_empty(notify);
        order(&c, KIND_RELEASE, (struct order){.place = OF_CASE});
        take_no_senders(notify, 1);
        end();
}

API_TEST(a_right_whose_grantee_dies_before_it_asks_is_no_sender_any_more)
{
        start();
        CHECK(kill(c.peer.pid, SIGSTOP) == 0);
        gives(&a, OF_CASE, OF_C, OF_CASE, PTL_MOVE_SEND);
        check_empty(notify);
        peer_kill(&c.peer);
        take_no_senders(notify, 1);
        actor_end(&a);
}

API_TEST(a_right_whose_granter_dies_goes_on_to_its_grantee)
{
        start();
        CHECK(kill(c.peer.pid, SIGSTOP) == 0);
        gives(&a, OF_CASE, OF_C, OF_CASE, PTL_MOVE_SEND);
        peer_kill(&a.peer);
        check_empty(notify);
        CHECK(kill(c.peer.pid, SIGCONT) == 0);
        CHECK_EQ(has_stored(&c, OF_CASE, 1).rights, PTL_RIGHT_SEND);
        check_empty(notify);
        peer_kill(&c.peer);
        take_no_senders(notify, 1);
}

API_TEST(a_right_that_comes_home_by_another_task_is_the_ports_own)
{
        ptl_port home;

        start();
        gives(&a, OF_CASE, OF_C, OF_CASE, PTL_MOVE_SEND);
        has_stored(&c, OF_CASE, 1);
        check_empty(notify);
        /* The case is a place to send to, too: through the right itself. */
        gives(&c, OF_CASE, OF_CASE, 0, PTL_COPY_SEND);
        home = take_right(port);
        CHECK_EQ(home, port);
        check_rights(port, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
        order(&c, KIND_RELEASE, (struct order){.place = OF_CASE});
        (void)reports(&c, OF_CASE);
        check_empty(notify);
        OK(ptl_right_release(port));
        take_no_senders(notify, 1);
        end();
}
