/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A receive right that moves (docs/protocol/migration.md), and what hangs on it: send-once rights and calls, what its
 * queued messages carry, messages left with it, windows.
 */
#include "migration.h"

/* ---- send-once rights and calls ---- */

/* A send-once right in place 2 of H's. */
static void gives_once(void)
{
        does(&b, "give 3 soon 1 make-once");
        answers(&h, "4", "store 0 2");
}

EACH_WAY(a_send_once_right_is_used_at_the_new_receiver)
{
        start_three();
        gives_once();
        moves();
        answers(&d, "0 0 1 1 0", "counts 1");
        does(&h, "send 2 once");
        answers(&h, "PTL_E_NAME", "send 2 again");
        answers(&d, "once", "take 1");
        answers(&d, "1 0 0 1 0", "counts 1");
        end_three();
}

EACH_WAY(a_send_once_right_that_was_used_before_the_move_is_used_once)
{
        start_three();
        gives_once();
        does(&h, "send 2 once");
        moves();
        answers(&d, "once", "take 1");
        answers(&d, "PTL_E_EMPTY", "take 1 now");
        answers(&d, "1 0 0 1 0", "counts 1");
        end_three();
}

ATTENDING(a_send_once_right_given_up_tells_the_new_receiver)
{
        start_three();
        gives_once();
        moves();
        does(&h, "release 2");
        answers(&d, "send-once", "take 1");
        end_three();
}

ATTENDING(a_send_once_right_of_a_task_that_is_killed_tells_the_new_receiver)
{
        start_three();
        gives_once();
        CHECK(kill(h.pid, SIGSTOP) == 0); /* it never follows */
        moves();
        peer_kill(&h);
        answers(&d, "send-once", "take 1");
        comes_to_say(&d, "1 0 0 0 0", "counts 1");
        peer_end(&d);
        peer_end(&b);
}

EACH_WAY(the_old_receivers_own_send_once_right_goes_on)
{
        start_three();
        does(&b, "give 0 soon 1 make-once");
        answers(&b, "4", "store 0 5");
        moves();
        does(&b, "send 5 once");
        answers(&d, "once", "take 1");
        end_three();
}

EACH_WAY(a_call_under_way_is_answered_by_the_new_receiver)
{
        start_three();
        waits(&h, "call 1 question");
        moves();
        answers(&d, "question", "hold 1");
        does(&d, "reply");
        ends(&h, "answer");
        end_three();
}

EACH_WAY(a_call_that_was_taken_before_the_move_is_answered_by_who_took_it)
{
        start_three();
        waits(&h, "call 1 question");
        answers(&b, "question", "hold 1");
        moves();
        does(&b, "reply");
        ends(&h, "answer");
        waits(&h, "call 1 another");
        answers(&d, "another", "hold 1");
        does(&d, "reply");
        ends(&h, "answer");
        end_three();
}

EACH_WAY(a_call_under_way_is_dropped_by_the_new_receiver)
{
        start_three();
        waits(&h, "call 1 question");
        moves();
        answers(&d, "question", "hold 1");
        does(&d, "drop");
        ends(&h, "PTL_E_NO_REPLY");
        end_three();
}

ATTENDING(a_call_under_way_ends_with_the_port)
{
        char said[SAID];

        start_three();
        waits(&h, "call 1 question");
        moves();
        does(&d, "free 1");
        CHECK(peer_hear_line(&h, said, sizeof said));
        CHECK(!strcmp(said, "PTL_E_NO_REPLY") || !strcmp(said, "PTL_E_DEAD"));
        end_three();
}

ATTENDING(a_call_under_way_ends_with_the_new_receiver)
{
        char said[SAID];

        start_three();
        waits(&h, "call 1 question");
        moves();
        answers(&d, "question", "hold 1");
        peer_kill(&d);
        CHECK(peer_hear_line(&h, said, sizeof said));
        CHECK(!strcmp(said, "PTL_E_NO_REPLY") || !strcmp(said, "PTL_E_DEAD"));
        peer_end(&h);
        peer_end(&b);
}

/* Several at once, to a reply port; some taken before, some after. */
ATTENDING(requests_are_answered_wherever_they_are_taken)
{
        start_three();
        does(&h, "make 5");
        for (int i = 0; i < 4; i++)
                does(&h, "request 1 r%d 5", i);
        answers(&b, "r0", "hold 1");
        does(&b, "reply");
        answers(&h, "answer", "take 5");
        moves();
        does(&h, "request 1 r4 5");
        for (int i = 1; i < 5; i++) {
                char text[8];

                snprintf(text, sizeof text, "r%d", i);
                answers(&d, text, "hold 1");
                does(&d, "reply");
                answers(&h, "answer", "take 5");
        }
        end_three();
}

EACH_WAY(a_receive_right_comes_with_a_reply)
{
        start_three();
        meets(&d, 2, &b, "b");
        does(&d, "make 5");
        does(&d, "request 2 please 5");
        does(&h, "sends 1 m 1 2");
        answers(&b, "please", "hold 0");
        does(&b, "reply 1 receive");
        does(&h, "sends 1 m 3 4");
        answers(&d, "1", "store 5 1");
        does(&d, "takes 1 m 1 4");
        end_three();
}

/* ---- what queued messages carry ---- */

/* Rights to ports of H, E, D, B, to the port itself, and a send-once right, in one message. */
static void gives_all_kinds(void)
{
        start_task(&e, "e");
        does(&h, "look 2 e");
        does(&h, "look 3 d");
        does(&h, "look 4 b");
        does(&h, "make 5");
        does(&h, "give 1 soon 5 make 2 copy 3 copy 4 copy 1 copy 5 make-once");
}

ATTENDING(rights_in_a_queued_message_arrive)
{
        start_three();
        gives_all_kinds();
        moves();
        answers(&d, "2 2 2 2 2 4", "store 1 10");
        answers(&d, "yes", "same 0 12");
        answers(&d, "yes", "same 1 14");
        answers(&d, "3 1", "status 1");
        does(&d, "send 10 first");
        answers(&h, "first", "take 5");
        does(&d, "send 11 second");
        answers(&e, "second", "take 0");
        does(&d, "send 12 third");
        answers(&d, "third", "take 0");
        does(&d, "send 13 fourth");
        answers(&b, "fourth", "take 0");
        does(&d, "send 14 fifth");
        answers(&d, "fifth", "take 1");
        does(&d, "send 15 sixth");
        answers(&h, "sixth", "take 5");
        peer_end(&e);
        end_three();
}

/* One death, and the rights to others' ports are there. */
ATTENDING(rights_in_a_queued_message_arrive_though_its_sender_died)
{
        start_three();
        gives_all_kinds();
        moves();
        peer_kill(&h);
        answers(&d, "16 2 2 2 2 16", "store 1 10");
        does(&d, "send 11 second");
        answers(&e, "second", "take 0");
        does(&d, "send 13 fourth");
        answers(&b, "fourth", "take 0");
        does(&d, "send 14 fifth");
        answers(&d, "fifth", "take 1");
        peer_end(&e);
        peer_end(&d);
        peer_end(&b);
}

ATTENDING(rights_in_a_queued_message_arrive_though_the_old_receiver_died)
{
        start_three();
        gives_all_kinds();
        does(&b, "give 2 soon 1 receive");
        peer_kill(&b);
        answers(&d, "1", "store 0 1");
        answers(&d, "2 2 2 16 2 4", "store 1 10");
        does(&d, "send 10 first");
        answers(&h, "first", "take 5");
        does(&d, "send 11 second");
        answers(&e, "second", "take 0");
        does(&d, "send 15 sixth");
        answers(&h, "sixth", "take 5");
        peer_end(&e);
        peer_end(&h);
        peer_end(&d);
}

/* What a message that nobody opens carried is given up, and counted so. */
ATTENDING(rights_in_a_queued_message_end_with_the_port)
{
        start_three();
        does(&h, "make 5");
        does(&h, "make 6");
        does(&h, "give 1 soon 5 make 6 make-once");
        does(&h, "ask 5 none 6");
        moves();
        answers(&h, "PTL_E_EMPTY", "take 6 now");
        does(&d, "free 1");
        for (int i = 0, seen = 0; i < 2; i++) {
                char said[SAID];

                peer_say(&h, "take 6");
                CHECK(peer_hear_line(&h, said, sizeof said));
                CHECK(!strcmp(said, "send-once") || !strcmp(said, "no-senders 1"));
                seen += said[0] == 'n';
                CHECK(i == 0 || seen == 1);
        }
        end_three();
}

static const unsigned sizes[] = {5000, 70000, CARRIED_MAX}; /* in the ring, in a block, in memory of their own */

/* Taken by the old receiver from the ring, and sent by the holder after the move. */
ATTENDING(regions_and_bytes_of_all_sizes_arrive)
{
        start_three();
        does(&h, "make 5");
        does(&h, "make-send 5");
        for (unsigned how = 1; how <= 2; how++)
                for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
                        does(&h, "carry 1 5 %u %zu %u", how, i, sizes[i]);
        moves();
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
                does(&h, "carry 1 5 2 %zu %u", i, sizes[i]);
        for (unsigned n = 0; n < 3; n++)
                for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
                        answers(&d, "2", "carried 1 6 %zu %u", i, sizes[i]);
                        does(&d, "send 6 got");
                        answers(&h, "got", "take 5");
                }
        end_three();
}

/* ---- windows ---- */

/* The limit is exact for one sender, whoever receives. */
ATTENDING(the_window_goes_on)
{
        start_with_limit("4");
        does(&h, "sends 1 m 1 4");
        answers(&h, "PTL_E_FULL", "send 1 x now");
        does(&b, "takes 1 m 1 2");
        does(&h, "sends 1 m 5 6");
        answers(&h, "PTL_E_FULL", "send 1 x now");
        moves();
        answers(&h, "PTL_E_FULL", "send 1 x now");
        answers(&h, "PTL_E_TIMEOUT", "send 1 x 20");
        does(&d, "takes 1 m 3 3");
        does(&h, "sends 1 m 7 7");
        answers(&h, "PTL_E_FULL", "send 1 x now");
        answers(&h, "PTL_E_TIMEOUT", "send 1 x 20");
        does(&d, "takes 1 m 4 7");
        does(&h, "sends 1 m 8 11");
        answers(&h, "PTL_E_FULL", "send 1 x now");
        does(&d, "takes 1 m 8 11");
        end_three();
}

EACH_WAY(a_sender_that_waits_for_room_goes_on_at_the_new_receiver)
{
        start_with_limit("4");
        does(&h, "sends 1 m 1 4");
        waits(&h, "sends 1 m 5 9");
        moves();
        does(&d, "takes 1 m 1 9");
        ends(&h, "0");
        end_three();
}

/* Full, and nobody takes: who waits until a deadline, and who does not wait, is told so all the time. */
ATTENDING(a_sender_that_waits_through_the_move_is_told_of_its_deadline)
{
        start_with_limit("2");
        does(&h, "sends 1 m 1 2");
        waits(&h, "send 1 x 300");
        moves();
        ends(&h, "PTL_E_TIMEOUT");
        does(&d, "takes 1 m 1 2");
        does(&h, "sends 1 m 3 4");
        does(&d, "takes 1 m 3 4");
        end_three();
}

/* M-54: left with the port before it moved, taken after. */
ATTENDING(m54_a_message_that_was_left_is_told_when_the_new_receiver_takes_it)
{
        start_with_limit("1");
        does(&h, "make 6");
        does(&h, "send 1 fills");
        does(&h, "leave 1 left 6");
        moves();
        answers(&h, "PTL_E_FULL", "leave 1 more 6");
        answers(&d, "fills", "take 1");
        answers(&h, "PTL_E_EMPTY", "take 6 now");
        answers(&d, "left", "take 1");
        answers(&h, "accepted 1", "take 6");
        does(&h, "send 1 on");
        does(&h, "leave 1 left 6");
        answers(&d, "on", "take 1");
        answers(&d, "left", "take 1");
        answers(&h, "accepted 1", "take 6");
        end_three();
}

ATTENDING(m54_a_message_that_was_left_ends_with_the_new_receivers_port)
{
        start_with_limit("1");
        does(&h, "make 6");
        does(&h, "send 1 fills");
        does(&h, "leave 1 left 6");
        moves();
        does(&d, "free 1");
        answers(&h, "send-once", "take 6");
        end_three();
}
