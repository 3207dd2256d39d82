/* SPDX-License-Identifier: Apache-2.0 */
/* Rights that travel between three tasks and more: A holds a right to B's port and gives it to C. */
#include "actors.h"

enum { OF_B = 1, OF_C, OF_D, OF_A, SECOND, THIRD };

static struct actor a, b, c, d __attribute__((unused));

/* A knows B and C; C knows nobody but the case. */
static void start_three(void)
{
        actor_start(&a, "a");
        actor_start(&b, "b");
        actor_start(&c, "c");
        looks_up(&a, &b, OF_B);
        looks_up(&a, &c, OF_C);
}

/* B has its half of the link with A, who may give rights of B's on from then on, though B may be stopped. */
static void b_knows_a(void)
{
        uses(&a, OF_B);
        has_got(&b, 1);
}

static void end_three(void)
{
        actor_end(&a);
        actor_end(&b);
        actor_end(&c);
}

API_TEST(a_send_right_copied_to_a_stranger_is_used_over_a_new_link)
{
        struct report r;
        uint32_t links;

        start_three();
        links = reports(&c, 0).links;
        gives(&a, OF_B, OF_C, OF_B, PTL_COPY_SEND);
        r = has_stored(&c, OF_B, 1);
        CHECK_EQ(r.rights, PTL_RIGHT_SEND);
        CHECK_EQ(r.references, 1);
        CHECK_EQ(r.pid, b.peer.pid);
        CHECK_EQ(r.links, links + 1);
        uses(&c, OF_B);
        has_got(&b, 1);
        uses(&a, OF_B);
        has_got(&b, 2);
        CHECK_EQ(reports(&a, OF_B).references, 1);
        end_three();
}

API_TEST(a_moved_send_right_leaves_its_giver_and_the_port_has_a_sender_all_the_time)
{
        start_three();
        gives(&a, OF_B, OF_C, OF_B, PTL_MOVE_SEND);
        has_stored(&c, OF_B, 1);
        CHECK_EQ(reports(&a, OF_B).rights, 0);
        uses(&c, OF_B);
        has_got(&b, 1);
        end_three();
}

/* B hands A a send-once right to its own port, the @count-th right that A gets. */
static void b_gives_a_once_as(uint32_t count)
{
        looks_up(&b, &a, OF_A);
        gives(&b, 0, OF_A, SECOND, PTL_MAKE_SEND_ONCE);
        CHECK_EQ(has_stored(&a, SECOND, count).rights, PTL_RIGHT_SEND_ONCE);
}

static void b_gives_a_once(void) { b_gives_a_once_as(1); }

API_TEST(a_send_once_right_is_given_on_and_used_once)
{
        start_three();
        b_gives_a_once();
        gives(&a, SECOND, OF_C, SECOND, PTL_MOVE_SEND_ONCE);
        CHECK_EQ(has_stored(&c, SECOND, 1).rights, PTL_RIGHT_SEND_ONCE);
        CHECK_EQ(reports(&a, SECOND).rights, 0);
        uses(&c, SECOND);
        CHECK_EQ(reports(&c, SECOND).rights, 0);
        has_got(&b, 1);
        end_three();
}

API_TEST(a_send_once_right_given_on_and_given_up_tells_its_port)
{
        start_three();
        b_gives_a_once();
        gives(&a, SECOND, OF_C, SECOND, PTL_MOVE_SEND_ONCE);
        has_stored(&c, SECOND, 1);
        order(&c, KIND_RELEASE, (struct order){.place = SECOND});
        has_got(&b, 1); /* the notification */
        end_three();
}

API_TEST(a_right_that_the_receiver_has_already_is_merged_over_the_link_there_is)
{
        struct report mine, got;

        start_three();
        looks_up(&c, &b, OF_B);
        mine = reports(&c, OF_B);
        gives(&a, OF_B, OF_C, SECOND, PTL_COPY_SEND);
        got = has_stored(&c, SECOND, 1);
        CHECK_EQ(got.port, mine.port);
        CHECK_EQ(got.references, 2);
        CHECK_EQ(got.links, mine.links);
        gives(&a, OF_B, OF_C, THIRD, PTL_COPY_SEND);
        CHECK_EQ(has_stored(&c, THIRD, 2).references, 3);
        uses(&c, SECOND);
        has_got(&b, 1);
        for (int i = 0; i < 3; i++)
                order(&c, KIND_RELEASE, (struct order){.place = OF_B});
        CHECK_EQ(reports(&c, OF_B).rights, 0);
        end_three();
}

API_TEST(a_right_travels_along_four_and_back_to_the_first)
{
        struct report mine;

        start_three();
        actor_start(&d, "d");
        looks_up(&c, &d, OF_D);
        looks_up(&d, &a, OF_A);
        gives(&a, OF_B, OF_C, OF_B, PTL_COPY_SEND);
        has_stored(&c, OF_B, 1);
        gives(&c, OF_B, OF_D, OF_B, PTL_MOVE_SEND);
        has_stored(&d, OF_B, 1);
        uses(&d, OF_B);
        has_got(&b, 1);
        gives(&d, OF_B, OF_A, SECOND, PTL_COPY_SEND);
        mine = has_stored(&a, SECOND, 1);
        CHECK_EQ(mine.port, reports(&a, OF_B).port);
        CHECK_EQ(mine.references, 2);
        /* Home: B's own name. */
        looks_up(&d, &b, THIRD);
        gives(&d, OF_B, THIRD, SECOND, PTL_MOVE_SEND);
        CHECK_EQ(has_stored(&b, SECOND, 1).rights & PTL_RIGHT_SEND, PTL_RIGHT_SEND);
        actor_end(&d);
        end_three();
}

API_TEST(rights_of_many_tasks_travel_in_one_message)
{
        enum { EACH = 20 };
        struct ptl_right_item items[3 * EACH];
        uint32_t place = 100;
        struct ptl_outgoing out = {.data = &place,
                                   .size = sizeof place,
                                   .kind = KIND_STORE,
                                   .rights = items,
                                   .n_rights = ARRAY_LEN(items)};
        ptl_port own = new_send_port();

        start_three();
        for (uint32_t i = 0; i < ARRAY_LEN(items); i += 3) {
                items[i] = (struct ptl_right_item){a.port, PTL_COPY_SEND};
                items[i + 1] = (struct ptl_right_item){own, PTL_MAKE_SEND};
                items[i + 2] = (struct ptl_right_item){b.port, PTL_COPY_SEND};
        }
        OK(ptl_send_message(c.port, &out, soon()));
        for (uint32_t i = 0; i < 3; i++) {
                struct report r = has_stored(&c, place + i, ARRAY_LEN(items));

                CHECK_EQ(r.references, EACH);
                CHECK_EQ(reports(&c, place + 3 * (EACH - 1) + i).port, r.port);
                uses(&c, place + i);
        }
        has_got(&a, 1);
        has_got(&b, 1);
        take(own, "used");
        check_rights(a.port, PTL_RIGHT_SEND, 1);
        end_three();
}

API_TEST(a_right_to_a_dead_port_arrives_dead)
{
        start_three();
        looks_up(&b, &a, OF_A);
        order(&b, KIND_PORT, (struct order){.place = SECOND});
        gives(&b, SECOND, OF_A, SECOND, PTL_MAKE_SEND);
        has_stored(&a, SECOND, 1);
        order(&b, KIND_RELEASE, (struct order){.place = SECOND});
        gives(&a, SECOND, OF_C, SECOND, PTL_COPY_SEND); /* whether A knows of it or not */
        CHECK_EQ(has_stored(&c, SECOND, 1).rights, PTL_RIGHT_DEAD);
        end_three();
}

/* Whoever has it hears of its death. */
API_TEST(the_death_of_the_ports_task_is_seen_by_all_holders)
{
        start_three();
        gives(&a, OF_B, OF_C, OF_B, PTL_COPY_SEND);
        has_stored(&c, OF_B, 1);
        peer_kill(&b.peer);
        while (reports(&c, OF_B).rights != PTL_RIGHT_DEAD || reports(&a, OF_B).rights != PTL_RIGHT_DEAD)
                ;
        actor_end(&a);
        actor_end(&c);
}

/* Messages of A's and the case's to C, and one with a right that waits for B, which is stopped. Did the case's pass? */
static bool passes_another(void)
{
        struct report r;
        bool passed;

        start_three();
        looks_up(&c, &b, OF_B);
        b_knows_a();
        kill(b.peer.pid, SIGSTOP);
        gives(&a, OF_B, OF_C, SECOND, PTL_COPY_SEND);
        uses(&a, OF_C);
        put(c.port, "used");
        r = has_got(&c, 2);
        CHECK_EQ(has_stored(&c, SECOND, 1).got, 2);
        passed = r.senders[0] == getpid();
        CHECK_EQ(r.senders[passed], -a.peer.pid); /* before A's other one */
        /* After a while it is there, under a name of its own, and cannot be used yet, nor sent on. */
        CHECK(reports(&c, SECOND).port != reports(&c, OF_B).port);
        CHECK_EQ(tell(&c, KIND_TRY, (struct order){.place = SECOND}).outcome, PTL_E_FULL);
        kill(b.peer.pid, SIGCONT);
        uses(&c, SECOND);
        has_got(&b, 2);
        end_three();
        return passed;
}

/* It waits a second: that the others were read by then is likely, and tried again. */
API_TEST(a_receiver_that_is_stopped_stalls_its_own_rights_and_their_senders_only)
{
        for (int i = 0; i < 5; i++)
                if (passes_another())
                        return;
        CHECK(!"another sender's message passes");
}

API_TEST(what_is_not_confirmed_is_neither_used_nor_sent_on)
{
        const struct order on = {.place = SECOND, .to = OF_A, .there = THIRD, .disposition = PTL_MOVE_SEND_ONCE};

        start_three();
        looks_up(&c, &a, OF_A);
        looks_up(&c, &b, OF_B);
        b_gives_a_once();
        kill(b.peer.pid, SIGSTOP);
        gives(&a, SECOND, OF_C, SECOND, PTL_MOVE_SEND_ONCE);
        CHECK_EQ(has_stored(&c, SECOND, 1).rights, PTL_RIGHT_SEND_ONCE);
        CHECK_EQ(tell(&c, KIND_TRY, (struct order){.place = SECOND}).outcome, PTL_E_FULL);
        CHECK_EQ(tell(&c, KIND_TRY_GIVE, on).outcome, PTL_E_FULL);
        CHECK_EQ(reports(&c, SECOND).rights, PTL_RIGHT_SEND_ONCE);
        kill(b.peer.pid, SIGCONT);
        order(&c, KIND_GIVE, on);
        has_stored(&a, THIRD, 2);
        uses(&a, THIRD);
        has_got(&b, 1);
        end_three();
}

API_TEST(what_is_given_up_before_it_is_confirmed_goes_back_then)
{
        start_three();
        b_gives_a_once();
        kill(b.peer.pid, SIGSTOP);
        gives(&a, SECOND, OF_C, SECOND, PTL_MOVE_SEND_ONCE);
        has_stored(&c, SECOND, 1);
        order(&c, KIND_RELEASE, (struct order){.place = SECOND});
        kill(b.peer.pid, SIGCONT);
        has_got(&b, 1); /* the notification */
        end_three();
}

API_TEST(a_message_that_waits_and_is_never_received_gives_its_right_back)
{
        start_three();
        looks_up(&c, &a, OF_A);
        order(&c, KIND_PORT, (struct order){.place = THIRD});
        gives(&c, THIRD, OF_A, THIRD, PTL_MAKE_SEND);
        has_stored(&a, THIRD, 1);
        b_gives_a_once_as(2);
        kill(b.peer.pid, SIGSTOP);
        gives(&a, SECOND, THIRD, SECOND, PTL_MOVE_SEND_ONCE); /* into C's other port */
        has_got(&c, 0);
        order(&c, KIND_RELEASE, (struct order){.place = THIRD});
        kill(b.peer.pid, SIGCONT);
        has_got(&b, 1);
        end_three();
}

/* H2: D has not made its half of the link. */
API_TEST(a_right_whose_task_has_not_answered_waits_with_its_sender)
{
        struct ptl_right_item item = {.disposition = PTL_MOVE_SEND};
        struct ptl_outgoing out = {.kind = KIND_STORE, .rights = &item, .n_rights = 1};
        uint32_t place = SECOND;

        actor_start(&a, "a");
        actor_start(&b, "b");
        actor_start(&c, "c");
        looks_up(&a, &c, OF_C);
        peer_start(&d.peer, "actor", "d", NULL);
        snprintf(d.name, sizeof d.name, "d");
        looks_up(&a, &d, OF_D); /* it is there, and stops */
        kill(d.peer.pid, SIGSTOP);
        item.port = look_up("d");
        out.data = &place;
        out.size = sizeof place;
        OUTCOME(ptl_send_message(c.port, &out, PTL_NOW), PTL_E_FULL);
        check_rights(item.port, PTL_RIGHT_SEND, 1);
        kill(d.peer.pid, SIGCONT);
        OK(ptl_send_message(c.port, &out, soon()));
        check_no_name(item.port);
        has_stored(&c, SECOND, 1);
        uses(&c, SECOND);
        d.port = look_up("d");
        has_got(&d, 1);
        actor_end(&d);
        end_three();
}

/* More than B reads of A's ring in one look. */
API_TEST(a_grant_behind_many_messages_is_found)
{
        enum { MANY = 300 };

        start_three();
        looks_up(&c, &b, THIRD);
        b_knows_a();
        kill(b.peer.pid, SIGSTOP);
        for (int i = 0; i < MANY; i++)
                uses(&a, OF_B);
        gives(&a, OF_B, OF_C, OF_B, PTL_MOVE_SEND);
        kill(b.peer.pid, SIGCONT);
        has_stored(&c, OF_B, 1);
        uses(&c, OF_B);
        has_got(&b, 1 + MANY + 1);
        end_three();
}
