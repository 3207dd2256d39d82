/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What programs see of a receive right that moves (docs/protocol/migration.md): the queue, the names, the counts, those
 * who wait. B has the port, D gets it, H sends to it. Cases run with tasks that are never in the library unbidden and
 * with such that always are.
 */
#include "migration.h"

/* ---- the queue ---- */

EACH_WAY(a_queue_travels_in_order)
{
        start_three();
        does(&h, "sends 1 m 1 20");
        does(&b, "takes 1 m 1 5");
        moves();
        does(&d, "takes 1 m 6 20");
        answers(&d, "PTL_E_EMPTY", "take 1 now");
        end_three();
}

EACH_WAY(what_is_sent_after_the_move_comes_behind_what_was_sent_before)
{
        start_three();
        does(&h, "sends 1 m 1 3");
        moves();
        does(&h, "sends 1 m 4 6");
        does(&d, "takes 1 m 1 6");
        does(&h, "sends 1 m 7 9");
        does(&d, "takes 1 m 7 9");
        answers(&d, "PTL_E_EMPTY", "take 1 now");
        end_three();
}

EACH_WAY(what_is_sent_before_the_right_was_opened_waits_in_the_port)
{
        start_three();
        does(&h, "sends 1 m 1 3");
        does(&b, "give 2 soon 1 receive");
        does(&h, "sends 1 m 4 6");
        answers(&d, "1", "store 0 1");
        does(&d, "takes 1 m 1 6");
        end_three();
}

/* Once the news stands in its outbox nobody needs the old receiver. */
EACH_WAY(a_holder_follows_though_the_old_receiver_never_looks_again)
{
        start_three();
        does(&h, "sends 1 m 1 3");
        does(&b, "give 2 soon 1 receive");
        CHECK(kill(b.pid, SIGSTOP) == 0);
        answers(&d, "1", "store 0 1");
        does(&h, "sends 1 m 4 200");
        does(&d, "takes 1 m 1 200");
        does(&h, "sends 1 m 201 400"); /* more than the window of old: its room is the new receiver's word */
        does(&d, "takes 1 m 201 400");
        CHECK(kill(b.pid, SIGCONT) == 0);
        end_three();
}

/* The holder is stopped before the move, its messages unread in its ring. */
EACH_WAY(a_holder_that_is_stopped_through_the_move_goes_on_where_it_was)
{
        start_three();
        does(&h, "sends 1 m 1 3");
        CHECK(kill(h.pid, SIGSTOP) == 0);
        moves();
        does(&d, "takes 1 m 1 3");
        answers(&d, "PTL_E_EMPTY", "take 1 now");
        CHECK(kill(h.pid, SIGCONT) == 0);
        does(&h, "sends 1 m 4 6");
        does(&d, "takes 1 m 4 6");
        end_three();
}

EACH_WAY(each_holders_messages_keep_their_order)
{
        start_three();
        start_task(&e, "e");
        does(&b, "look 4 e");
        does(&b, "give 4 soon 1 make");
        answers(&e, "2", "store 0 1");
        does(&h, "sends 1 h 1 3");
        answers(&b, "h1", "take 1");
        does(&e, "sends 1 e 1 2");
        moves();
        does(&h, "sends 1 h 4 4");
        does(&e, "sends 1 e 3 5");
        answers(&d, "e1-5 h2-4", "mixed 1 8");
        peer_end(&e);
        end_three();
}

EACH_WAY(a_message_has_its_senders_identity_before_and_after_the_move)
{
        char pid[16];

        start_three();
        snprintf(pid, sizeof pid, "%d", h.pid);
        does(&h, "sends 1 m 1 3");
        answers(&b, pid, "from 1");
        moves();
        does(&h, "send 1 after");
        for (int i = 0; i < 3; i++)
                answers(&d, pid, "from 1");
        end_three();
}

EACH_WAY(the_receivers_own_messages_move_as_well)
{
        start_three();
        does(&b, "make-send 1");
        does(&b, "give 2 soon 1 make");
        answers(&d, "2", "store 0 1");
        does(&b, "sends 1 b 1 2"); /* B to itself */
        answers(&b, "b1", "take 1");
        does(&d, "sends 1 d 1 2"); /* D to B */
        moves();
        does(&d, "sends 1 d 3 4"); /* D to itself */
        does(&b, "sends 1 b 3 3"); /* B to D */
        answers(&d, "b2-3 d1-4", "mixed 1 6");
        end_three();
}

/* A send needs the receiver not to be scheduled first: so it is with this one. */
EACH_WAY(a_receive_right_is_sent_to_a_task_that_has_not_looked_yet)
{
        start_three();
        start_task(&e, "e");
        does(&b, "look 4 e");
        does(&h, "sends 1 m 1 2");
        does(&b, "give 4 soon 1 receive");
        does(&h, "sends 1 m 3 4");
        answers(&e, "1", "store 0 1");
        does(&e, "takes 1 m 1 4");
        peer_end(&e);
        end_three();
}

/* ---- names and counts ---- */

EACH_WAY(the_old_receivers_name_is_gone_and_its_send_rights_stay)
{
        char pid[16];

        start_three();
        moves();
        answers(&b, "PTL_E_NAME", "status 1");
        does(&d, "make 5");
        meets(&d, 2, &b, "b");
        does(&b, "make 5");
        does(&b, "make-send 5");
        does(&b, "make-send 5");
        does(&b, "give 2 soon 5 receive");
        answers(&d, "1", "store 0 6");
        answers(&b, "2 2", "status 5");
        snprintf(pid, sizeof pid, "%d", d.pid);
        answers(&b, pid, "owner 5");
        answers(&b, "PTL_E_RIGHT", "take 5 now");
        does(&b, "send 5 still");
        answers(&d, "still", "take 6");
        end_three();
}

EACH_WAY(the_new_receivers_name_is_the_one_it_has_for_a_send_right)
{
        start_three();
        does(&b, "give 2 soon 1 make");
        does(&b, "give 2 soon 1 make");
        answers(&d, "2", "store 0 1");
        answers(&d, "2", "store 0 2");
        does(&b, "give 2 soon 1 receive");
        answers(&d, "1", "store 0 3");
        answers(&d, "yes", "same 1 3");
        answers(&d, "3 2", "status 1");
        end_three();
}

EACH_WAY(the_new_receivers_name_carries_the_receive_right_alone_otherwise)
{
        start_three();
        moves();
        answers(&d, "1 0", "status 1");
        end_three();
}

EACH_WAY(limits_move_and_sets_are_left)
{
        start_three();
        does(&b, "make 5 17");
        does(&b, "set 6");
        does(&b, "add 6 5");
        does(&b, "give 2 soon 5 receive");
        answers(&d, "1", "store 0 5");
        answers(&d, "17 -1", "options 5");
        does(&d, "set 6");
        does(&d, "add 6 5");
        answers(&d, "17 6", "options 5");
        end_three();
}

EACH_WAY(the_set_that_it_left_hears_no_more_of_it)
{
        start_three();
        does(&b, "set 6");
        does(&b, "make 5");
        does(&b, "add 6 5");
        does(&b, "add 6 1");
        does(&b, "make-send 5");
        does(&h, "send 1 moves");
        moves();
        does(&h, "send 1 too");
        answers(&b, "PTL_E_EMPTY", "take 6 now");
        does(&b, "send 5 stays");
        answers(&b, "stays", "take 6");
        does(&d, "set 6");
        does(&d, "add 6 1");
        answers(&d, "moves", "take 6");
        answers(&d, "too", "take 6");
        end_three();
}

EACH_WAY(m30_the_sequence_and_the_make_send_count_begin_again)
{
        start_three();
        does(&b, "make-send 1");
        does(&h, "sends 1 m 1 3");
        does(&b, "takes 1 m 1 2");
        answers(&b, "2 2 0 1 0", "counts 1");
        moves();
        answers(&d, "0 0 0 1 0", "counts 1");
        answers(&d, "m3", "take 1");
        answers(&d, "1 0 0 1 0", "counts 1");
        end_three();
}

EACH_WAY(a_thread_that_waits_on_the_port_gets_what_freeing_it_gives)
{
        start_three();
        does(&b, "wait 1");
        does(&b, "give 2 soon 1 receive");
        answers(&b, "PTL_E_DEAD", "waited");
        answers(&d, "1", "store 0 1");
        end_three();
}

EACH_WAY(a_descriptor_of_the_old_name_ends_and_one_of_the_new_tells_what_is_queued)
{
        start_three();
        does(&h, "sends 1 m 1 2");
        answers(&b, "readable", "poll 1");
        moves();
        answers(&b, "PTL_E_NAME", "poll 1");
        answers(&d, "readable", "poll 1");
        does(&d, "takes 1 m 1 2");
        answers(&d, "PTL_E_EMPTY", "take 1 now");
        does(&h, "sends 1 m 3 3");
        answers(&d, "readable", "poll 1");
        answers(&d, "m3", "take 1");
        end_three();
}

EACH_WAY(a_published_name_follows)
{
        char pid[16];

        start_three();
        start_task(&e, "e");
        does(&b, "publish 1 name");
        does(&h, "look 5 name");
        does(&h, "send 5 before");
        moves();
        does(&e, "look 5 name soon");
        does(&e, "send 5 after");
        does(&h, "send 5 after");
        answers(&d, "before", "take 1");
        answers(&d, "after", "take 1");
        answers(&d, "after", "take 1");
        snprintf(pid, sizeof pid, "%d", d.pid);
        answers(&e, pid, "owner 5");
        answers(&b, "PTL_E_NOT_FOUND", "withdraw name");
        peer_kill(&b); /* the name is D's */
        does(&e, "look 6 name soon");
        answers(&e, "yes", "same 5 6");
        does(&d, "withdraw name");
        answers(&e, "PTL_E_NOT_FOUND", "look 7 name now");
        peer_end(&e);
        peer_end(&h);
        peer_end(&d);
}

/* ---- travels ---- */

/* B to D to E and back, each with a message of H's, which looks only when it sends. */
EACH_WAY(a_receive_right_travels_in_a_circle)
{
        start_three();
        start_task(&e, "e");
        meets(&d, 2, &e, "e");
        meets(&e, 2, &b, "b");
        does(&h, "sends 1 m 1 4");
        answers(&b, "m1", "take 1");
        moves();
        answers(&d, "m2", "take 1");
        does(&d, "give 2 soon 1 receive");
        answers(&e, "1", "store 0 1");
        does(&h, "sends 1 m 5 5");
        answers(&e, "m3", "take 1");
        does(&e, "give 2 soon 1 receive");
        answers(&b, "1", "store 0 1");
        does(&h, "sends 1 m 6 8");
        does(&b, "takes 1 m 4 8");
        answers(&h, "2 1", "status 1");
        peer_end(&e);
        end_three();
}

/* ... who is told in one go of all that happened meanwhile. */
EACH_WAY(a_holder_that_sleeps_through_many_moves_follows_them_all)
{
        enum { MOVES = 30 }; /* hops are fewer than S9's 64 */

        start_three();
        meets(&d, 2, &b, "b");
        does(&h, "sends 1 m 1 3");
        for (int i = 0; i < MOVES; i++) {
                struct peer *from = i % 2 ? &d : &b, *to = i % 2 ? &b : &d;

                does(from, "give 2 soon 1 receive");
                answers(to, "1", "store 0 1");
        }
        does(&h, "sends 1 m 4 6");
        does(&b, "takes 1 m 1 6");
        end_three();
}

EACH_WAY(a_receive_right_goes_back_and_forth_with_its_holder)
{
        enum { MOVES = 100 };

        start_three();
        meets(&d, 2, &b, "b");
        for (int i = 0; i < MOVES; i++) {
                struct peer *from = i % 2 ? &d : &b, *to = i % 2 ? &b : &d;

                does(&h, "sends 1 m %d %d", 2 * i, 2 * i);
                does(from, "give 2 soon 1 receive");
                does(&h, "sends 1 m %d %d", 2 * i + 1, 2 * i + 1);
                answers(to, "1", "store 0 1");
                does(to, "takes 1 m %d %d", 2 * i, 2 * i + 1);
        }
        end_three();
}

/* The stubs end when their holders have come. */
ATTENDING(nothing_stays_with_the_old_receiver)
{
        start_three();
        does(&b, "give 2 soon 0 make"); /* its own mailbox: what D holds of B in the end */
        answers(&d, "2", "store 0 5");
        does(&h, "sends 1 m 1 3");
        comes_to_say(&b, "2 2", "rights"); /* H's and D's; to H's and D's mailboxes */
        moves();
        does(&h, "sends 1 m 4 6");
        comes_to_say(&b, "1 2", "rights");
        does(&d, "takes 1 m 1 6");
        end_three();
}

/* Many ports, many moves: nothing grows. */
ATTENDING(nothing_grows_with_the_number_of_ports_that_moved)
{
        start_three();
        for (int i = 0; i < 200; i++) {
                does(&b, "make 5");
                does(&b, "give 3 soon 5 make");
                answers(&h, "2", "store 0 5");
                does(&h, "send 5 x");
                does(&b, "give 2 soon 5 receive");
                answers(&d, "1", "store 0 5");
                answers(&d, "x", "take 5");
                does(&d, "free 5");
                comes_to_say(&h, "16 1", "status 5");
                does(&h, "release 5");
        }
        comes_to_say(&b, "1 2", "rights");
        comes_to_say(&b, "5", "names"); /* its mailbox, the port, two send rights, the pump */
        end_three();
}
