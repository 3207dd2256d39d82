/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rights that are on their way between tasks (docs/protocol/handoff.md) while their port moves
 * (docs/protocol/migration.md): H gives E what it has, before the move or after, and it is opened later.
 */
#include "migration.h"

/* H knows E, whose mailbox is in its place 2. */
static void start_four(void)
{
        start_three();
        start_task(&e, "e");
        meets(&h, 2, &e, "e");
}

static void end_four(void)
{
        peer_end(&e);
        end_three();
}

/* E opens what it was given, and it is a right to the port that D has. */
static void opens_and_uses(void)
{
        char pid[16];

        answers(&e, "2", "store 0 1");
        snprintf(pid, sizeof pid, "%d", d.pid);
        comes_to_say(&e, pid, "owner 1");
        does(&e, "sends 1 e 1 2");
        does(&h, "sends 1 h 1 2");
        answers(&d, "e1-2 h1-2", "mixed 1 4");
}

static void is_given_and_opened_after(const char *when_given, bool stops_old_receiver)
{
        start_four();
        if (!strcmp(when_given, "before"))
                does(&h, "give 2 soon 1 copy");
        moves();
        if (stops_old_receiver)
                CHECK(kill(b.pid, SIGSTOP) == 0);
        if (!strcmp(when_given, "after"))
                does(&h, "give 2 soon 1 copy");
        opens_and_uses();
        CHECK(kill(b.pid, SIGCONT) == 0);
        end_four();
}

ATTENDING(a_right_that_was_given_before_the_move_is_opened_after) { is_given_and_opened_after("before", false); }
ATTENDING(a_right_that_is_given_after_the_move_is_opened) { is_given_and_opened_after("after", false); }

/* Once the news stands nobody needs it, grantees of tickets neither. */
ATTENDING(a_right_given_before_the_move_is_opened_though_the_old_receiver_is_stopped)
{
        is_given_and_opened_after("before", true);
}

ATTENDING(a_right_given_after_the_move_is_opened_though_the_old_receiver_is_stopped)
{
        is_given_and_opened_after("after", true);
}

/* H looks only as it gives: it had not heard of the move before. */
ATTENDING(a_holder_that_was_stopped_gives_its_right_on)
{
        start_four();
        CHECK(kill(h.pid, SIGSTOP) == 0);
        moves();
        CHECK(kill(b.pid, SIGSTOP) == 0);
        peer_say(&h, "give 2 soon 1 copy");
        CHECK(kill(h.pid, SIGCONT) == 0);
        ends(&h, "0");
        CHECK(kill(b.pid, SIGCONT) == 0);
        opens_and_uses();
        end_four();
}

/* The giver keeps nothing, and the port has a sender all the time. */
static void is_moved_on(bool before)
{
        start_four();
        if (before)
                does(&h, "give 2 soon 1 move");
        moves();
        if (!before)
                does(&h, "give 2 soon 1 move");
        answers(&h, "PTL_E_NAME", "status 1");
        does(&d, "make 5");
        does(&d, "ask 1 none 5");
        comes_to_say(&d, "0 0 0 1 1", "counts 1");
        answers(&e, "2", "store 0 1");
        does(&e, "send 1 x");
        answers(&d, "x", "take 1");
        answers(&d, "PTL_E_EMPTY", "take 5 now");
        does(&e, "release 1");
        answers(&d, "no-senders 0", "take 5");
        end_four();
}

ATTENDING(a_right_moved_on_before_the_move_counts_all_the_way) { is_moved_on(true); }
ATTENDING(a_right_moved_on_after_the_move_counts_all_the_way) { is_moved_on(false); }

/* ---- send-once rights ---- */

static void once_is_moved_on(bool before, const char *use, const char *found)
{
        start_four();
        does(&b, "give 3 soon 1 make-once");
        answers(&h, "4", "store 0 6");
        if (before)
                does(&h, "give 2 soon 6 move-once");
        moves();
        if (!before)
                does(&h, "give 2 soon 6 move-once");
        answers(&h, "PTL_E_NAME", "status 6");
        answers(&e, "4", "store 0 6");
        comes_to_say(&d, "0 0 1 1 0", "counts 1");
        does(&e, "%s", use);
        answers(&d, found, "take 1");
        comes_to_say(&d, "1 0 0 1 0", "counts 1");
        end_four();
}

ATTENDING(a_send_once_right_given_before_the_move_is_used_after) { once_is_moved_on(true, "send 6 once", "once"); }
ATTENDING(a_send_once_right_given_after_the_move_is_used) { once_is_moved_on(false, "send 6 once", "once"); }
ATTENDING(a_send_once_right_given_before_the_move_is_given_up_after) { once_is_moved_on(true, "release 6", "send-once"); }
ATTENDING(a_send_once_right_given_after_the_move_is_given_up) { once_is_moved_on(false, "release 6", "send-once"); }

/* ---- to the receivers themselves ---- */

ATTENDING(a_right_that_is_given_to_the_old_receiver_is_one_to_the_new_ones_port)
{
        for (int before = 0; before < 2; before++) {
                start_four();
                does(&h, "look 3 b");
                if (before)
                        does(&h, "give 3 soon 1 copy"); /* home, and not opened */
                moves();
                if (!before)
                        does(&h, "give 3 soon 1 copy");
                answers(&b, "2", "store 0 5");
                answers(&b, "2 1", "status 5");
                does(&b, "send 5 x");
                answers(&d, "x", "take 1");
                end_four();
        }
}

ATTENDING(a_right_that_is_given_to_the_new_receiver_comes_home)
{
        for (int before = 0; before < 2; before++) {
                start_four();
                meets(&h, 3, &d, "d");
                if (before)
                        does(&h, "give 3 soon 1 copy");
                else
                        does(&b, "give 2 soon 1 receive");
                comes_to_say(&d, "1", "queued 0"); /* two senders: without that their order is anybody's guess */
                if (before)
                        does(&b, "give 2 soon 1 receive");
                else
                        does(&h, "give 3 soon 1 copy");
                answers(&d, before ? "2" : "1", "store 0 5");
                answers(&d, before ? "1" : "2", "store 0 6");
                answers(&d, "yes", "same 5 6");
                answers(&d, "3 1", "status 5");
                does(&d, "send 5 x");
                answers(&d, "x", "take 5");
                end_four();
        }
}

/* E has the right already: it is one name, whoever has the port. */
ATTENDING(a_right_that_the_grantee_has_already_is_merged)
{
        for (int before = 0; before < 2; before++) {
                start_four();
                does(&b, "look 4 e");
                does(&b, "give 4 soon 1 make");
                answers(&e, "2", "store 0 5");
                if (before)
                        does(&h, "give 2 soon 1 copy");
                moves();
                if (!before)
                        does(&h, "give 2 soon 1 copy");
                answers(&e, "2", "store 0 1");
                answers(&e, "yes", "same 1 5");
                answers(&e, "2 2", "status 1");
                does(&e, "send 1 x");
                answers(&d, "x", "take 1");
                end_four();
        }
}

/* H has followed, and gets another right from the new receiver. */
ATTENDING(a_right_that_the_new_receiver_makes_is_merged)
{
        for (int back = 0; back < 2; back++) { /* also of a port that the new receiver had before */
                start_four();
                meets(&d, 2, &b, "b");
                meets(&d, 3, &h, "h");
                for (int i = 0; i < 2 * back; i++) {
                        does(i ? &d : &b, "give 2 soon 1 receive");
                        answers(i ? &b : &d, "1", "store 0 1");
                }
                moves();
                does(&h, "send 1 x");
                answers(&d, "x", "take 1");
                does(&d, "give 3 soon 1 make");
                answers(&h, "2", "store 0 5");
                answers(&h, "yes", "same 1 5");
                answers(&h, "2 2", "status 1");
                end_four();
        }
}

/* There and back: H has an old right, whose way it may not know yet, and gets a new one. */
ATTENDING(a_right_made_anew_after_the_port_came_back_is_merged)
{
        start_four();
        meets(&d, 2, &b, "b");
        for (unsigned n = 2; n < 12; n++) {
                char expected[16];

                moves();
                does(&d, "give 2 soon 1 receive");
                answers(&b, "1", "store 0 1");
                does(&b, "give 3 soon 1 make");
                answers(&h, "2", "store 0 5");
                answers(&h, "yes", "same 1 5");
                snprintf(expected, sizeof expected, "2 %u", n);
                comes_to_say(&h, expected, "status 1");
                does(&h, "send 5 x");
                answers(&b, "x", "take 1");
        }
        end_four();
}

/* ---- deaths ---- */

ATTENDING(a_right_given_before_the_move_is_there_though_its_giver_died)
{
        start_four();
        does(&h, "give 2 soon 1 copy");
        moves();
        peer_kill(&h);
        answers(&e, "2", "store 0 1");
        does(&e, "send 1 x");
        answers(&d, "x", "take 1");
        does(&d, "make 5");
        does(&d, "ask 1 none 5");
        does(&e, "release 1");
        answers(&d, "no-senders 0", "take 5");
        peer_end(&e);
        peer_end(&d);
        peer_end(&b);
}

ATTENDING(a_right_given_before_the_move_is_there_though_the_old_receiver_died)
{
        start_four();
        does(&h, "give 2 soon 1 copy");
        moves();
        peer_kill(&b);
        opens_and_uses();
        peer_end(&e);
        peer_end(&h);
        peer_end(&d);
}

ATTENDING(a_right_whose_grantee_dies_unopened_counts_no_more)
{
        start_four();
        does(&h, "give 2 soon 1 move");
        CHECK(kill(e.pid, SIGSTOP) == 0);
        moves();
        does(&d, "make 5");
        does(&d, "ask 1 none 5");
        answers(&d, "PTL_E_EMPTY", "take 5 now");
        peer_kill(&e);
        answers(&d, "no-senders 0", "take 5");
        end_three();
}

ATTENDING(a_send_once_right_whose_grantee_dies_unopened_tells_the_new_receiver)
{
        start_four();
        does(&b, "give 3 soon 1 make-once");
        answers(&h, "4", "store 0 6");
        does(&h, "give 2 soon 6 move-once");
        CHECK(kill(e.pid, SIGSTOP) == 0);
        moves();
        peer_kill(&e);
        answers(&d, "send-once", "take 1");
        end_three();
}

/* ---- names ---- */

/* The looker has claimed, and the old receiver has not read of it. */
EACH_WAY(a_name_that_was_looked_up_before_the_move_leads_to_the_new_receiver)
{
        start_four();
        does(&b, "publish 1 name");
        does(&e, "look 5 name");
        does(&e, "send 5 before");
        moves();
        does(&e, "send 5 after");
        answers(&d, "before", "take 1");
        answers(&d, "after", "take 1");
        end_four();
}

/* The same task looks it up again: it is the right that it has. */
ATTENDING(a_name_that_is_looked_up_again_after_the_move_is_the_same_right)
{
        start_four();
        does(&b, "publish 1 name");
        does(&e, "look 5 name");
        moves();
        does(&e, "send 5 x");
        answers(&d, "x", "take 1");
        does(&e, "look 6 name");
        does(&e, "send 6 y");
        answers(&d, "y", "take 1");
        answers(&e, "yes", "same 5 6");
        answers(&e, "2 2", "status 5");
        end_four();
}

/* The new receiver looks up what is its own by now. */
ATTENDING(a_name_that_the_new_receiver_looks_up_is_its_own)
{
        start_four();
        does(&b, "publish 1 name");
        moves();
        does(&d, "look 6 name soon");
        answers(&d, "yes", "same 1 6");
        answers(&d, "3 1", "status 1");
        end_four();
}
