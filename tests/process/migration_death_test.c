/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A receive right that moves while one of its tasks is killed: the rows of the crash table (docs/protocol/migration.md).
 * At chosen moments, and at random ones while eight senders send at full rate. After one death all is exact.
 *
 *   MIGRATION_ROUNDS  so many times as many random deaths (1)
 *   MIGRATION_SEED    of the moments (else the time); printed
 */
#include "migration.h"
#include "migration_load.h"

enum { PATIENCE = 10, DEATHS = 8, WINDOW = 16, B = 0, D = 1 };

/* ---- random moments ---- */

static unsigned deaths(void) { return DEATHS * number_from("MIGRATION_ROUNDS", 1); }

/* From none to some thousand microseconds, the short ones as likely as the long ones. */
static void pass_some_time(void)
{
        uint32_t us = random_below(2u << random_below(12));
        ptl_time end = ptl_now() + (ptl_time)us * 1000;

        while (ptl_now() < end)
                ptl_pause();
}

static void pass_until_moving(unsigned keeper)
{
        struct keeping *k = &books->keepers[keeper];
        int64_t late = tst_now_ms() + tst_deadline_ms(15000);

        while (!ptl_load_acquire(&k->is_moving) && !ptl_load_acquire(&k->gave)) {
                CHECK(tst_now_ms() < late);
                sched_yield();
        }
}

static void kill_one(struct peer *p)
{
        peer_kill(p);
        p->pid = 0;
}

static bool are_all_dead(void)
{
        for (unsigned i = 0; i < load.n_senders; i++)
                if (ptl_load_acquire(&books->senders[i].outcome) != PTL_E_DEAD)
                        return false;
        return true;
}

/* Whether the port lives: the same for all senders. */
static bool does_it_live(void)
{
        uint64_t since[SENDERS_MAX];
        bool lives = false;

        for (unsigned i = 0; i < load.n_senders; i++)
                since[i] = ptl_load_acquire(&books->senders[i].begun);
        if (!tst_wait_until(nobody_failed() && ((lives = go_on(since)) || are_all_dead()), 15000)) {
                print_books();
                CHECK(!"all go on, or the port is dead for all");
        }
        return lives;
}

/* The survivors have nothing more to do with it. */
static void end_dead_load(void)
{
        for (unsigned i = 0; i < load.n_keepers; i++)
                CHECK(!load.keepers[i].pid || !ptl_load_acquire(&books->keepers[i].has));
        end_load();
}

static void end_living_load(void)
{
        stop_load();
        end_load();
}

/* M2, M3: the commit decides, for all. */
LOAD_TEST(the_old_receiver_dies_at_any_moment, PATIENCE)
{
        unsigned lived = 0;

        begin_chance();
        for (unsigned i = 0; i < deaths(); i++) {
                bool gave, lives;

                start_load(2, SENDERS_MAX, PLAIN, WINDOW);
                ptl_store_release(&books->wanted, 1);
                pass_until_moving(B);
                pass_some_time();
                kill_one(&load.keepers[B]);
                gave = ptl_load_acquire(&books->keepers[B].gave);
                lives = does_it_live();
                CHECK(lives || !gave);
                CHECK_EQ(lives, ptl_load_acquire(&books->keepers[D].has));
                lived += lives;
                lives ? end_living_load() : end_dead_load();
        }
        fprintf(stderr, "# the port lived in %u of %u\n", lived, deaths());
}

/* Before the news: nothing was consumed. From then on the port dies with it. */
LOAD_TEST(the_new_receiver_dies_at_any_moment, PATIENCE)
{
        unsigned lived = 0;

        begin_chance();
        for (unsigned i = 0; i < deaths(); i++) {
                bool lives;

                start_load(2, SENDERS_MAX, PLAIN, WINDOW);
                ptl_store_release(&books->wanted, 1);
                pass_until_moving(B);
                pass_some_time();
                kill_one(&load.keepers[D]);
                ptl_store_release(&books->keepers[D].has, 0);
                comes_about(!ptl_load_acquire(&books->keepers[B].is_moving));
                lives = does_it_live();
                CHECK_EQ(lives, !ptl_load_acquire(&books->keepers[B].gave));
                CHECK_EQ(lives, ptl_load_acquire(&books->keepers[B].has));
                lived += lives;
                lives ? end_living_load() : end_dead_load();
        }
        fprintf(stderr, "# the port lived in %u of %u\n", lived, deaths());
}

/* What its sends had returned for arrives, in order; the others' as if nothing had happened. */
LOAD_TEST(a_holder_dies_at_any_moment, PATIENCE)
{
        begin_chance();
        for (unsigned i = 0; i < deaths(); i++) {
                unsigned victim = random_below(SENDERS_MAX);

                start_load(2, SENDERS_MAX, PLAIN, WINDOW);
                ptl_store_release(&books->wanted, 1 + random_below(FOLLOW_EVERY));
                pass_until_moving(B);
                pass_some_time();
                ptl_store_release(&books->senders[victim].is_gone, 1);
                kill_one(&load.senders[victim]);
                CHECK(does_it_live());
                comes_about(ptl_load_acquire(&books->moves) == ptl_load_acquire(&books->wanted));
                end_living_load();
        }
}

/* Whoever it is, while the port goes round among three. */
LOAD_TEST(one_of_all_dies_at_any_moment, PATIENCE)
{
        unsigned lived = 0;

        begin_chance();
        for (unsigned i = 0; i < deaths(); i++) {
                unsigned victim = random_below(KEEPERS_MAX + 1);
                bool lives;

                start_load(KEEPERS_MAX, 4, RIGHTS, WINDOW);
                ptl_store_release(&books->wanted, 6 + random_below(40));
                pass_until_moving(random_below(KEEPERS_MAX));
                pass_some_time();
                if (victim == KEEPERS_MAX)
                        ptl_store_release(&books->senders[0].is_gone, 1);
                kill_one(victim == KEEPERS_MAX ? &load.senders[0] : &load.keepers[victim]);
                if (victim < KEEPERS_MAX)
                        ptl_store_release(&books->keepers[victim].has, 0);
                lives = does_it_live();
                CHECK(lives || victim < KEEPERS_MAX);
                lived += lives;
                lives ? end_living_load() : end_dead_load();
        }
        fprintf(stderr, "# the port lived in %u of %u\n", lived, deaths());
}

/* ---- chosen moments ---- */

/* H is told of the port's death in its place 5. */
static void start_asking(void)
{
        start_with_limit("2000");
        does(&h, "make 5");
        does(&h, "ask 1 dead 5");
}

enum { MANY = 1000, SIZE = 8000 };

/* There is no room in D's ring, and D is stopped: B waits in PREPARES. */
static void have_no_room(void)
{
        start_asking();
        does(&h, "sends 1 m 1 100");
        does(&d, "make 5 60000");
        does(&d, "look 2 b");
        does(&d, "give 2 soon 5 make");
        answers(&b, "2", "store 0 5");
        CHECK(kill(d.pid, SIGSTOP) == 0);
        does(&b, "fill 5");
}

ATTENDING(the_old_receiver_dies_before_the_mark)
{
        have_no_room();
        waits(&b, "give 2 soon 1 receive");
        peer_kill(&b);
        answers(&h, "dead-name 1", "take 5");
        CHECK(kill(d.pid, SIGCONT) == 0);
        answers(&d, "PTL_E_EMPTY", "take 0 now");
        answers(&h, "PTL_E_DEAD", "send 1 x");
        does(&d, "free 5");
        does(&d, "release 2");
        comes_to_say(&d, "2", "names"); /* its mailbox and its pump */
        peer_end(&h);
        peer_end(&d);
}

ATTENDING(the_new_receiver_dies_before_the_mark)
{
        have_no_room();
        waits(&b, "give 2 soon 1 receive");
        does(&h, "sends 1 m 101 110");
        peer_kill(&d);
        ends(&b, "PTL_E_DEAD");
        answers(&b, "1 0", "status 1");
        does(&h, "sends 1 m 111 120");
        does(&b, "takes 1 m 1 120");
        answers(&h, "PTL_E_EMPTY", "take 5 now");
        peer_end(&h);
        peer_end(&b);
}

/* Given up at its deadline, and tried again. */
ATTENDING(a_move_that_does_not_fit_in_time_consumes_nothing)
{
        have_no_room();
        answers(&b, "PTL_E_TIMEOUT", "give 2 200 1 receive");
        answers(&b, "1 0", "status 1");
        answers(&b, "PTL_E_FULL", "give 2 now 1 receive");
        does(&b, "takes 1 m 1 1");
        CHECK(kill(d.pid, SIGCONT) == 0);
        does(&h, "sends 1 m 101 110");
        does(&b, "give 2 soon 1 receive");
        answers(&d, "1", "store 0 1");
        does(&h, "sends 1 m 111 120");
        does(&d, "takes 1 m 2 120");
        answers(&h, "PTL_E_EMPTY", "take 5 now");
        peer_end(&h);
        peer_end(&d);
        peer_end(&b);
}

/* Larger than any ring. */
ATTENDING(a_large_queue_travels)
{
        start_asking();
        does(&h, "bulk 1 %d %d", MANY, SIZE);
        moves();
        does(&h, "sends 1 m 1 3");
        does(&d, "sunk 1 0 %d %d", MANY, SIZE);
        does(&d, "takes 1 m 1 3");
        peer_end(&h);
        peer_end(&d);
        peer_end(&b);
}

/* In the midst of it, or behind. */
ATTENDING(a_large_queue_is_there_though_the_old_receiver_died)
{
        start_asking();
        does(&h, "bulk 1 %d %d", MANY, SIZE);
        CHECK(kill(d.pid, SIGSTOP) == 0);
        peer_say(&b, "give 2 soon 1 receive");
        CHECK(kill(d.pid, SIGCONT) == 0);
        ends(&b, "0");
        peer_kill(&b);
        answers(&d, "1", "store 0 1");
        does(&h, "sends 1 m 1 3");
        does(&d, "sunk 1 0 %d %d", MANY, SIZE);
        does(&d, "takes 1 m 1 3");
        peer_end(&h);
        peer_end(&d);
}

/* The holder knows of nothing yet, and hears of it from the outbox of a dead task. */
EACH_WAY(the_old_receiver_dies_after_the_commit_and_a_holder_looks_later)
{
        start_asking();
        does(&h, "sends 1 m 1 3");
        CHECK(kill(h.pid, SIGSTOP) == 0);
        does(&b, "give 2 soon 1 receive");
        peer_kill(&b);
        CHECK(kill(h.pid, SIGCONT) == 0);
        answers(&d, "1", "store 0 1");
        does(&h, "sends 1 m 4 6");
        does(&d, "takes 1 m 1 6");
        answers(&h, "2 1", "status 1");
        answers(&h, "PTL_E_EMPTY", "take 5 now");
        peer_end(&h);
        peer_end(&d);
}

/* ... with a message that waits for room as it dies. */
ATTENDING(the_old_receiver_dies_after_the_commit_while_a_holder_waits)
{
        start_asking();
        does(&b, "make 6 2");
        does(&b, "give 3 soon 6 make");
        answers(&h, "2", "store 0 6");
        does(&h, "sends 6 m 1 2");
        waits(&h, "sends 6 m 3 5");
        does(&b, "give 2 soon 6 receive");
        peer_kill(&b);
        answers(&d, "1", "store 0 6");
        does(&d, "takes 6 m 1 5");
        ends(&h, "0");
        peer_end(&h);
        peer_end(&d);
}

ATTENDING(a_call_under_way_is_answered_though_the_old_receiver_died)
{
        start_asking();
        waits(&h, "call 1 question");
        does(&b, "give 2 soon 1 receive");
        peer_kill(&b);
        answers(&d, "1", "store 0 1");
        answers(&d, "question", "hold 1");
        does(&d, "reply");
        ends(&h, "answer");
        peer_end(&h);
        peer_end(&d);
}

ATTENDING(the_new_receiver_dies_with_the_message_unopened)
{
        start_asking();
        does(&h, "sends 1 m 1 3");
        does(&b, "give 2 soon 1 receive");
        peer_kill(&d);
        answers(&h, "dead-name 1", "take 5");
        answers(&h, "PTL_E_DEAD", "send 1 x");
        answers(&b, "PTL_E_NAME", "status 1");
        peer_end(&h);
        peer_end(&b);
}

/* N8: the holder slept through both moves, and follows the word of the living to that of the dead. */
ATTENDING(a_receiver_between_dies_after_it_passed_the_port_on)
{
        start_asking();
        start_task(&e, "e");
        meets(&d, 2, &e, "e");
        does(&h, "sends 1 m 1 2");
        CHECK(kill(h.pid, SIGSTOP) == 0);
        moves();
        answers(&d, "m1", "take 1");
        does(&d, "give 2 soon 1 receive");
        peer_kill(&d);
        answers(&e, "1", "store 0 1");
        CHECK(kill(h.pid, SIGCONT) == 0);
        does(&h, "sends 1 m 3 5");
        does(&e, "takes 1 m 2 5");
        answers(&h, "PTL_E_EMPTY", "take 5 now");
        peer_end(&h);
        peer_end(&e);
        peer_end(&b);
}

/* Two deaths: at worst an early dead name, and never a message twice or out of order. */
ATTENDING(both_receivers_before_die_and_a_holder_looks_later)
{
        char said[SAID];

        start_asking();
        start_task(&e, "e");
        meets(&d, 2, &e, "e");
        does(&h, "sends 1 m 1 2");
        CHECK(kill(h.pid, SIGSTOP) == 0);
        moves();
        does(&d, "give 2 soon 1 receive");
        peer_kill(&d);
        peer_kill(&b);
        answers(&e, "1", "store 0 1");
        CHECK(kill(h.pid, SIGCONT) == 0);
        does(&e, "takes 1 m 1 2");
        peer_say(&h, "sends 1 m 3 5");
        CHECK(peer_hear_line(&h, said, sizeof said));
        CHECK(!strcmp(said, "0") || !strcmp(said, "PTL_E_DEAD"));
        if (!strcmp(said, "0"))
                does(&e, "takes 1 m 3 5");
        else
                answers(&e, "PTL_E_EMPTY", "take 1 now");
        peer_end(&h);
        peer_end(&e);
}

ATTENDING(a_holders_unread_messages_are_there_though_it_died_before_the_move)
{
        start_asking();
        does(&h, "sends 1 m 1 3");
        peer_kill(&h);
        moves();
        does(&d, "takes 1 m 1 3");
        comes_to_say(&d, "3 0 0 0 0", "counts 1");
        peer_end(&d);
        peer_end(&b);
}

ATTENDING(a_holder_that_dies_before_it_follows_is_a_holder_no_more)
{
        start_asking();
        does(&h, "sends 1 m 1 3");
        CHECK(kill(h.pid, SIGSTOP) == 0);
        moves();
        peer_kill(&h);
        answers(&d, "m1", "take 1");
        does(&d, "takes 1 m 2 3");
        comes_to_say(&d, "3 0 0 0 0", "counts 1");
        peer_end(&d);
        peer_end(&b);
}

/* Its link with the new receiver is open: what it sent there is there. */
ATTENDING(a_holder_that_dies_after_it_followed_leaves_what_it_sent)
{
        start_asking();
        meets(&h, 2, &d, "d");
        does(&h, "sends 1 m 1 2");
        moves();
        CHECK(kill(d.pid, SIGSTOP) == 0);
        does(&h, "sends 1 m 3 5");
        peer_kill(&h);
        CHECK(kill(d.pid, SIGCONT) == 0);
        does(&d, "takes 1 m 1 5");
        answers(&d, "PTL_E_EMPTY", "take 1 now");
        comes_to_say(&d, "5 0 0 0 0", "counts 1");
        peer_end(&d);
        peer_end(&b);
}

/* No link: what it sent may go with it; what came before does not. */
ATTENDING(a_stranger_that_dies_after_it_followed_harms_nobody)
{
        char said[SAID];

        start_asking();
        does(&h, "sends 1 m 1 2");
        moves();
        CHECK(kill(d.pid, SIGSTOP) == 0);
        does(&h, "sends 1 m 3 3");
        peer_kill(&h);
        CHECK(kill(d.pid, SIGCONT) == 0);
        does(&d, "takes 1 m 1 2");
        peer_say(&d, "take 1 1000");
        CHECK(peer_hear_line(&d, said, sizeof said));
        CHECK(!strcmp(said, "m3") || !strcmp(said, "PTL_E_TIMEOUT"));
        comes_to_say(&d, !strcmp(said, "m3") ? "3 0 0 0 0" : "2 0 0 0 0", "counts 1");
        peer_end(&d);
        peer_end(&b);
}

static pid_t servers_pid(void)
{
        pid_t pid = server_pid();

        OK(ptl_task_leave());
        return pid;
}

/* Links on demand, and the published name, are asked for at the next server. */
ATTENDING(the_server_dies_before_the_move)
{
        char pid[16];

        start_asking();
        does(&b, "publish 1 name");
        does(&h, "sends 1 m 1 2");
        CHECK(kill(servers_pid(), SIGKILL) == 0);
        moves();
        does(&h, "sends 1 m 3 4");
        does(&d, "takes 1 m 1 4");
        does(&h, "look 6 name soon");
        snprintf(pid, sizeof pid, "%d", d.pid);
        comes_to_say(&h, pid, "owner 6");
        peer_end(&h);
        peer_end(&d);
        peer_end(&b);
}

ATTENDING(the_server_dies_after_the_move)
{
        start_asking();
        does(&h, "sends 1 m 1 2");
        CHECK(kill(h.pid, SIGSTOP) == 0);
        moves();
        CHECK(kill(servers_pid(), SIGKILL) == 0);
        CHECK(kill(h.pid, SIGCONT) == 0);
        does(&h, "sends 1 m 3 4");
        does(&d, "takes 1 m 1 4");
        peer_end(&h);
        peer_end(&d);
        peer_end(&b);
}
