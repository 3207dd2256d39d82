/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about a port that moves, and receive rights within messages that move (docs/protocol/migration.md). */
#include "migration.h"

/* ---- requests ---- */

EACH_WAY(m93_a_request_for_no_senders_is_cancelled)
{
        start_three();
        does(&b, "make 5");
        does(&b, "ask 1 none 5");
        moves();
        answers(&b, "send-once", "take 5");
        answers(&d, "0 0 0 1 0", "counts 1");
        end_three();
}

ATTENDING(m93_the_new_receiver_is_told_that_no_senders_are_left)
{
        start_three();
        does(&h, "send 1 x");
        moves();
        does(&d, "make 5");
        does(&d, "ask 1 none 5");
        does(&h, "release 1");
        comes_to_say(&d, "0 0 0 1 1", "counts 1"); /* the message came through a send right */
        answers(&d, "PTL_E_EMPTY", "take 5 now");
        answers(&d, "x", "take 1");
        answers(&d, "no-senders 0", "take 5");
        end_three();
}

ATTENDING(m93_a_right_that_was_given_up_before_the_move_counts_no_more)
{
        start_three();
        does(&h, "release 1");
        comes_to_say(&b, "0 1 0 0 0", "counts 1");
        moves();
        does(&d, "make 5");
        does(&d, "ask 1 none 5");
        answers(&d, "no-senders 0", "take 5");
        end_three();
}

/* It counts as a holder until it dies. */
ATTENDING(m93_a_holder_that_never_follows_counts_until_it_dies)
{
        start_three();
        CHECK(kill(h.pid, SIGSTOP) == 0);
        moves();
        does(&d, "make 5");
        does(&d, "ask 1 none 5");
        answers(&d, "0 0 0 1 1", "counts 1");
        answers(&d, "PTL_E_EMPTY", "take 5 now");
        peer_kill(&h);
        answers(&d, "no-senders 0", "take 5");
        peer_end(&d);
        peer_end(&b);
}

ATTENDING(m93_the_old_receivers_send_right_counts)
{
        start_three();
        does(&b, "make-send 1");
        moves();
        does(&d, "make 5");
        does(&d, "ask 1 none 5");
        does(&h, "release 1");
        does(&b, "send 1 last");
        answers(&d, "last", "take 1");
        answers(&d, "PTL_E_EMPTY", "take 5 now");
        does(&b, "release 1");
        answers(&d, "no-senders 0", "take 5");
        end_three();
}

ATTENDING(a_request_for_a_dead_name_stays_and_one_of_a_name_that_ends_is_told_so)
{
        start_three();
        does(&h, "make 5");
        does(&h, "ask 1 dead 5");
        does(&b, "make 5");
        does(&b, "ask 1 dead 5");
        moves();
        answers(&b, "deleted 1", "take 5"); /* its name carried the receive right alone */
        answers(&h, "PTL_E_EMPTY", "take 5 now");
        does(&h, "send 1 x");
        answers(&d, "x", "take 1");
        answers(&h, "PTL_E_EMPTY", "take 5 now");
        does(&d, "free 1");
        answers(&h, "dead-name 1", "take 5");
        end_three();
}

/* The request moves with the port; its right is one to another task's port then. */
ATTENDING(m92_a_port_that_is_given_up_elsewhere_is_mailed_to_who_asked)
{
        start_three();
        does(&b, "make 5");
        does(&b, "ask 1 destroyed 5");
        moves();
        answers(&d, "0 0 0 1 2", "counts 1");
        does(&h, "sends 1 m 1 4");
        answers(&d, "m1", "take 1");
        does(&d, "free 1");
        answers(&d, "PTL_E_NAME", "status 1");
        does(&h, "sends 1 m 5 6");
        answers(&b, "1", "store 5 1");
        does(&b, "takes 1 m 2 6");
        end_three();
}

/* ---- receive rights in messages ---- */

EACH_WAY(a_receive_right_that_is_sent_to_a_port_of_the_same_task_comes_back)
{
        start_three();
        does(&b, "make 5");
        does(&h, "sends 1 m 1 2");
        does(&b, "give 5 soon 1 receive");
        answers(&b, "PTL_E_NAME", "take 1 now");
        does(&h, "sends 1 m 3 4");
        answers(&b, "1", "store 5 1");
        does(&b, "takes 1 m 1 4");
        does(&h, "sends 1 m 5 6");
        moves();
        does(&h, "sends 1 m 7 8");
        does(&d, "takes 1 m 5 8");
        end_three();
}

/* Rights beside it in the message lead to where the port is then. */
EACH_WAY(rights_that_are_made_beside_the_receive_right_come_with_it)
{
        start_three();
        does(&h, "sends 1 m 1 1");
        does(&b, "give 2 soon 1 make 1 make-once 1 receive");
        answers(&d, "2 4 1", "store 0 5");
        answers(&d, "yes", "same 5 7");
        answers(&d, "3 1", "status 5");
        answers(&d, "m1", "take 7");
        does(&d, "send 6 once");
        answers(&d, "once", "take 7");
        does(&d, "send 5 x1");
        does(&h, "sends 1 m 2 2");
        answers(&d, "m2-2 x1-1", "mixed 7 2");
        end_three();
}

EACH_WAY(as_many_receive_rights_as_a_message_holds_move_together)
{
        enum { FIRST = 10, MANY = 64 };
        char all[2 * MANY] = "";

        start_three();
        for (int i = FIRST; i < FIRST + MANY; i++) {
                does(&b, "make %d", i);
                does(&b, "send %d p%d", i, i);
                if (i % 8 == 0) {
                        does(&b, "give 3 soon %d make", i);
                        answers(&h, "2", "store 0 %d", i);
                        does(&h, "send %d h%d", i, i);
                }
                strcat(strcat(all, i > FIRST ? " " : ""), "1");
        }
        does(&b, "row 2 %d %d receive", FIRST, MANY);
        answers(&d, all, "store 0 %d", FIRST);
        for (int i = FIRST; i < FIRST + MANY; i++) {
                char text[32];

                if (i % 8) {
                        snprintf(text, sizeof text, "p%d", i);
                        answers(&d, text, "take %d", i);
                        continue;
                }
                snprintf(text, sizeof text, "h%d-%d p%d-%d", i, i, i, i);
                answers(&d, text, "mixed %d 2", i);
                does(&h, "send %d again", i);
                answers(&d, "again", "take %d", i);
        }
        end_three();
}

/* The port waits in the queue of another, which moves. */
EACH_WAY(a_port_in_the_queue_of_a_port_moves_with_it)
{
        start_three();
        does(&b, "make 5");
        does(&h, "sends 1 m 1 2");
        does(&b, "give 5 soon 1 receive");
        does(&b, "give 2 soon 5 receive");
        does(&h, "sends 1 m 3 4");
        answers(&d, "1", "store 0 5");
        answers(&d, "1", "store 5 1");
        does(&d, "takes 1 m 1 4");
        end_three();
}

/* E's port is on its way to B's as that moves to D: whether B has read of it or not. */
static void a_port_that_is_on_its_way(bool is_read)
{
        start_three();
        start_task(&e, "e");
        does(&b, "look 4 e");
        does(&b, "make 5");
        does(&b, "give 4 soon 5 make");
        answers(&e, "2", "store 0 5");
        does(&e, "look 3 h");
        does(&e, "make 6");
        does(&e, "give 3 soon 6 make");
        answers(&h, "2", "store 0 6");
        does(&h, "sends 6 m 1 2");
        does(&e, "give 5 soon 6 receive");
        if (is_read)
                comes_to_say(&b, "1", "queued 5");
        does(&b, "give 2 soon 5 receive");
        does(&h, "sends 6 m 3 4");
        answers(&d, "1", "store 0 5");
        answers(&d, "1", "store 5 6");
        does(&d, "takes 6 m 1 4");
        does(&h, "sends 6 m 5 6");
        does(&d, "takes 6 m 5 6");
        peer_end(&e);
        end_three();
}

EACH_WAY(a_port_in_an_unread_message_goes_on_to_the_new_receiver) { a_port_that_is_on_its_way(false); }
EACH_WAY(a_port_in_a_read_message_goes_on_to_the_new_receiver) { a_port_that_is_on_its_way(true); }

/* E does not know yet that B's port is D's. */
ATTENDING(a_receive_right_that_is_sent_through_a_moved_right_follows)
{
        for (int i = 0; i < 10; i++) {
                start_three();
                start_task_as(&e, "e", i % 2 ? ATTENDS : ASLEEP);
                does(&b, "look 4 e");
                does(&b, "make 5");
                does(&b, "give 4 soon 5 make");
                answers(&e, "2", "store 0 5");
                does(&e, "make 6");
                does(&e, "make-send 6");
                does(&e, "sends 6 m 1 2");
                peer_say(&b, "give 2 soon 5 receive");
                does(&e, "give 5 soon 6 receive");
                ends(&b, "0");
                does(&e, "sends 6 m 3 4");
                answers(&d, "1", "store 0 5");
                answers(&d, "1", "store 5 6");
                does(&d, "takes 6 m 1 4");
                peer_end(&e);
                end_three();
        }
}

/* A port that travels on within messages: opened nowhere but at the end. */
EACH_WAY(a_receive_right_that_waits_unopened_travels_on_with_its_port)
{
        start_three();
        start_task(&e, "e");
        meets(&d, 2, &e, "e");
        does(&b, "make 5");
        does(&h, "sends 1 m 1 2");
        does(&b, "give 5 soon 1 receive");
        does(&b, "give 2 soon 5 receive");
        answers(&d, "1", "store 0 5");
        does(&h, "sends 1 m 3 4");
        does(&d, "give 2 soon 5 receive");
        does(&h, "sends 1 m 5 6");
        answers(&e, "1", "store 0 5");
        answers(&e, "1", "store 5 1");
        does(&e, "takes 1 m 1 6");
        peer_end(&e);
        end_three();
}
