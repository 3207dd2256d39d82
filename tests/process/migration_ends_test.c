/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends of ports whose receive right moves, of moves that are given up, and of such that cannot be: who frees the port,
 * who is sent to itself, deadlines, what is refused (docs/protocol/migration.md).
 */
#include "migration.h"

/* ---- the ends of a port ---- */

ATTENDING(who_frees_the_port_makes_dead_names_everywhere)
{
        start_three();
        does(&h, "make 5");
        does(&h, "ask 1 dead 5");
        does(&b, "make-send 1");
        does(&b, "make 5");
        does(&b, "ask 1 dead 5");
        moves();
        does(&h, "sends 1 m 1 2");
        answers(&h, "PTL_E_EMPTY", "take 5 now");
        answers(&b, "PTL_E_EMPTY", "take 5 now");
        does(&d, "free 1");
        answers(&h, "dead-name 1", "take 5");
        answers(&b, "dead-name 1", "take 5");
        answers(&h, "16 2", "status 1");
        answers(&b, "16 2", "status 1");
        answers(&h, "PTL_E_DEAD", "send 1 x");
        end_three();
}

/* It hears of the move and of the end at once, and the old receiver is not there to say more. */
ATTENDING(a_holder_that_was_stopped_finds_a_freed_port_dead)
{
        start_three();
        CHECK(kill(h.pid, SIGSTOP) == 0);
        moves();
        does(&d, "free 1");
        CHECK(kill(b.pid, SIGSTOP) == 0);
        CHECK(kill(h.pid, SIGCONT) == 0);
        comes_to_say(&h, "16 1", "status 1");
        answers(&h, "PTL_E_DEAD", "send 1 x");
        CHECK(kill(b.pid, SIGCONT) == 0);
        end_three();
}

ATTENDING(the_port_dies_with_a_message_that_nobody_opens)
{
        start_three();
        does(&d, "make 5");
        does(&d, "look 6 b");
        does(&d, "give 6 soon 5 make");
        answers(&b, "2", "store 0 5");
        does(&h, "send 1 lost");
        does(&b, "give 5 soon 1 receive");
        does(&d, "free 5");
        comes_to_say(&h, "16 1", "status 1");
        end_three();
}

ATTENDING(the_new_receivers_death_is_the_ports)
{
        start_three();
        does(&h, "make 5");
        does(&h, "ask 1 dead 5");
        moves();
        does(&h, "send 1 x");
        answers(&d, "x", "take 1");
        peer_kill(&d);
        answers(&h, "dead-name 1", "take 5");
        peer_end(&h);
        peer_end(&b);
}

ATTENDING(the_old_receivers_death_is_nobodys)
{
        start_three();
        does(&h, "make 5");
        does(&h, "ask 1 dead 5");
        does(&h, "sends 1 m 1 3");
        does(&b, "give 2 soon 1 receive");
        peer_kill(&b);
        answers(&d, "1", "store 0 1");
        does(&h, "sends 1 m 4 6");
        does(&d, "takes 1 m 1 6");
        answers(&h, "2 1", "status 1");
        answers(&h, "PTL_E_EMPTY", "take 5 now");
        peer_end(&h);
        peer_end(&d);
}

/* ---- to itself ---- */

EACH_WAY(m46_a_port_that_is_sent_to_itself_dies)
{
        start_three();
        does(&b, "make-send 1");
        does(&b, "give 1 soon 1 receive");
        answers(&b, "16 1", "status 1");
        comes_to_say(&h, "16 1", "status 1");
        end_three();
}

EACH_WAY(m46_two_ports_of_a_task_that_are_sent_to_each_other_die)
{
        start_three();
        does(&b, "make 5");
        does(&b, "make-send 1");
        does(&b, "make-send 5");
        does(&b, "give 5 soon 1 receive");
        does(&b, "give 1 soon 5 receive");
        comes_to_say(&b, "16 1", "status 1");
        comes_to_say(&b, "16 1", "status 5");
        comes_to_say(&h, "16 1", "status 1");
        end_three();
}

/* D has a port of its own in place 5; B and H hold send rights to it. */
static void gives_second_port(void)
{
        does(&d, "make 5");
        meets(&d, 2, &b, "b");
        does(&d, "look 3 h");
        does(&d, "give 2 soon 5 make");
        does(&d, "give 3 soon 5 make");
        answers(&b, "2", "store 0 5");
        answers(&h, "2", "store 0 5");
        does(&b, "give 2 soon 1 make");
        answers(&d, "2", "store 0 1");
}

/* B's port waits in D's, and D's is sent to B's, which is D's now. */
ATTENDING(m46_a_circle_that_closes_in_the_new_receiver_dies)
{
        start_three();
        gives_second_port();
        does(&b, "give 5 soon 1 receive");
        does(&d, "give 1 soon 5 receive");
        comes_to_say(&h, "16 1", "status 1");
        comes_to_say(&h, "16 1", "status 5");
        comes_to_say(&b, "16 1", "status 5");
        end_three();
}

/* Each goes through the other, at once: whoever is first, they end in each other. */
ATTENDING(two_receive_rights_that_cross_end)
{
        for (int i = 0; i < 5; i++) {
                start_three();
                gives_second_port();
                peer_say(&b, "give 5 soon 1 receive");
                peer_say(&d, "give 1 soon 5 receive");
                ends(&b, "0");
                ends(&d, "0");
                comes_to_say(&h, "16 1", "status 1");
                comes_to_say(&h, "16 1", "status 5");
                end_three();
        }
}

/* ---- deadlines, and what is refused ---- */

/* B's messages to D find no room. */
static void fill_mailbox(void)
{
        does(&d, "make 5 1");
        meets(&d, 2, &b, "b");
        does(&d, "give 2 soon 5 make");
        answers(&b, "2", "store 0 5");
        does(&b, "send 5 fills");
}

/* ... and then the port is B's as it was. */
static void is_still_there(void)
{
        answers(&b, "1 0", "status 1");
        does(&h, "sends 1 m 1 2");
        does(&b, "takes 1 m 1 2");
}

EACH_WAY(a_move_that_finds_no_room_now_consumes_nothing)
{
        start_three();
        fill_mailbox();
        answers(&b, "PTL_E_FULL", "give 5 now 1 receive");
        is_still_there();
        answers(&b, "PTL_E_TIMEOUT", "give 5 50 1 receive");
        is_still_there();
        does(&h, "sends 1 m 3 4");
        answers(&d, "fills", "take 5");
        does(&b, "give 5 soon 1 receive");
        answers(&d, "1", "store 5 1");
        does(&h, "sends 1 m 5 6");
        does(&d, "takes 1 m 3 6");
        end_three();
}

ATTENDING(a_move_that_waits_for_room_is_over_when_there_is_some)
{
        start_three();
        fill_mailbox();
        does(&h, "sends 1 m 1 3");
        waits(&b, "give 5 soon 1 receive");
        does(&h, "sends 1 m 4 5");
        answers(&d, "fills", "take 5");
        ends(&b, "0");
        answers(&d, "1", "store 5 1");
        does(&h, "sends 1 m 6 7");
        does(&d, "takes 1 m 1 7");
        end_three();
}

/* It says PTL_E_FULL as long as it likes, and nothing is lost by that. */
ATTENDING(a_move_that_is_tried_again_and_again_happens_once)
{
        char said[SAID] = "";
        ptl_time late;

        start_three();
        does(&h, "sends 1 m 1 3");
        for (late = soon(); strcmp(said, "0") && ptl_now() < late;) {
                peer_say(&b, "give 2 now 1 receive");
                CHECK(peer_hear_line(&b, said, sizeof said));
                CHECK(!strcmp(said, "0") || !strcmp(said, "PTL_E_FULL"));
        }
        CHECK_STR_EQ(said, "0");
        does(&h, "sends 1 m 4 6");
        answers(&d, "1", "store 0 1");
        does(&d, "takes 1 m 1 6");
        answers(&b, "PTL_E_NAME", "status 1");
        end_three();
}

/* All there is known to all: a move needs nobody's answer. */
ATTENDING(a_port_without_holders_moves_at_once)
{
        start_three();
        does(&b, "make 5");
        does(&b, "send 5 m1");
        does(&b, "send 2 warms");
        answers(&d, "warms", "take 0");
        does(&b, "give 2 now 5 receive");
        answers(&d, "1", "store 0 5");
        answers(&d, "m1", "take 5");
        end_three();
}

static const struct refused_row {
        const char *order, *outcome;
} refused[] = {
        {"give 2 soon 3 receive",                  "PTL_E_RIGHT"  }, /* a send right alone */
        {"give 2 soon 6 receive",                  "PTL_E_RIGHT"  }, /* a set */
        {"give 2 soon 7 receive",                  "PTL_E_RIGHT"  }, /* a send-once right */
        {"give 2 soon 8 receive",                  "PTL_E_RIGHT"  }, /* a dead name */
        {"give 2 soon 9 receive",                  "PTL_E_NAME"   }, /* freed */
        {"give 2 soon 10 receive",                 "PTL_E_NAME"   }, /* never a name */
        {"give 2 soon 1 receive 9 copy",           "PTL_E_NAME"   },
        {"give 2 soon 1 receive 6 make",           "PTL_E_RIGHT"  },
        {"give 2 soon 1 receive 3 nonsense",       "PTL_E_INVALID"},
        {"give 2 soon 1 receive 1 receive",        "PTL_E_RIGHT"  }, /* there is one */
        {"give 8 soon 1 receive",                  "PTL_E_DEAD"   },
        {"give 9 soon 1 receive",                  "PTL_E_NAME"   },
        {"give 6 soon 1 receive",                  "PTL_E_RIGHT"  },
        {"row 2 11 65 receive",                    "PTL_E_TOO_BIG"},
};

EACH_WAY(what_cannot_be_sent_is_refused_and_consumes_nothing)
{
        start_three();
        does(&b, "set 6");
        does(&b, "make 5");
        does(&b, "give 0 soon 5 make-once"); /* to itself */
        answers(&b, "4", "store 0 7");
        does(&b, "make 8");
        does(&b, "make-send 8");
        does(&b, "free 8");
        does(&b, "make 9");
        does(&b, "free 9");
        for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
                char said[SAID];

                peer_say(&b, "%s", refused[i].order);
                CHECK(peer_hear_line(&b, said, sizeof said));
                if (strcmp(said, refused[i].outcome))
                        fprintf(stderr, "# %s\n", refused[i].order);
                CHECK_STR_EQ(said, refused[i].outcome);
                is_still_there();
        }
        answers(&b, "4 1", "status 7");
        moves();
        end_three();
}
