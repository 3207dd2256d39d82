/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A port that moves while many send to it at full rate: nothing is lost, doubled or out of its sender's order.
 *
 *   MIGRATION_ROUNDS  so many times as many moves (1)
 *   MIGRATION_SEED    of the choices (else the time); printed
 */
#include "migration_load.h"

enum { PATIENCE = 5, WINDOW = 16 };

static unsigned rounds(void) { return number_from("MIGRATION_ROUNDS", 1); }

static void print_rate(const char *what, unsigned moves, int64_t begun_ms)
{
        fprintf(stderr, "# %s: %u moves, %" PRIu64 " messages, %lld ms\n", what, moves, all_ended(),
                (long long)(tst_now_ms() - begun_ms));
}

/* Each sender has had a hundred more taken, wherever the port is. */
static void goes_on(void)
{
        uint64_t since[SENDERS_MAX];

        for (unsigned i = 0; i < load.n_senders; i++)
                since[i] = ptl_load_acquire(&books->senders[i].begun) + 100;
        comes_about(go_on(since));
}

/* Many moves; in the end the one who has the port has all there is. */
static void travels_with_threads(const char *what, unsigned n_keepers, unsigned senders, unsigned threads,
                                 enum how its_how, uint32_t limit, unsigned moves)
{
        int64_t begun = tst_now_ms();

        begin_chance();
        start_threads(n_keepers, senders, threads, its_how, limit);
        moves_to(moves * rounds());
        goes_on();
        stop_load();
        print_rate(what, moves * rounds(), begun);
        end_load();
}

static void travels(const char *what, unsigned n_keepers, unsigned senders, enum how its_how, uint32_t limit,
                    unsigned moves)
{
        travels_with_threads(what, n_keepers, senders, 1, its_how, limit, moves);
}

LOAD_TEST(one_senders_messages_keep_their_order, PATIENCE) { travels("one", 2, 1, PLAIN, 256, 60); }
LOAD_TEST(three_senders_messages_keep_their_order, PATIENCE) { travels("three", 2, 3, PLAIN, WINDOW, 40); }
LOAD_TEST(eight_senders_messages_keep_their_order, PATIENCE) { travels("eight", 2, 8, PLAIN, WINDOW, 24); }
LOAD_TEST(a_wide_window_travels_full, PATIENCE) { travels("wide", 2, 3, PLAIN, 1024, 10); }
LOAD_TEST(a_window_of_one_travels, PATIENCE) { travels("narrow", 2, 3, PLAIN, 1, 40); }

/* Large ones, batches, loans, rights and calls, each by a sender of its own; and each with its sender alone. */
LOAD_TEST(whatever_is_sent_arrives_once, PATIENCE) { travels("mixed", 2, MIXED, MIXED, WINDOW, 24); }
LOAD_TEST(messages_of_all_sizes_arrive_once, PATIENCE) { travels("sizes", 2, 2, SIZES, WINDOW, 30); }
LOAD_TEST(batches_arrive_once, PATIENCE) { travels("batches", 2, 2, BATCHES, WINDOW, 30); }
LOAD_TEST(loans_arrive_once, PATIENCE) { travels("loans", 2, 2, LOANS, WINDOW, 30); }
LOAD_TEST(rights_arrive_once, PATIENCE) { travels("rights", 2, 2, RIGHTS, WINDOW, 30); }
LOAD_TEST(what_is_tried_without_waiting_arrives_once, PATIENCE) { travels("tries", 2, 3, TRIES, WINDOW, 40); }
LOAD_TEST(what_is_left_with_the_port_arrives_once, PATIENCE) { travels("left", 2, 3, LEAVES, 2, 40); }
LOAD_TEST(calls_are_answered_once, PATIENCE) { travels("calls", 2, 3, CALLS, WINDOW, 40); }

/* Two tasks of four threads, which share a right. */
LOAD_TEST(each_threads_messages_keep_their_order, PATIENCE)
{
        travels_with_threads("threads", 2, 8, 4, PLAIN, WINDOW, 24);
}

LOAD_TEST(threads_that_share_a_window_of_one_get_their_turn, PATIENCE)
{
        travels_with_threads("narrow threads", 2, 6, 3, PLAIN, 1, 24);
}

LOAD_TEST(calls_of_several_threads_are_answered_once, PATIENCE)
{
        travels_with_threads("calling threads", 2, 6, 3, CALLS, WINDOW, 24);
}

LOAD_TEST(three_keepers_pass_it_on_in_a_circle, PATIENCE) { travels("circle", 3, 3, PLAIN, WINDOW, 45); }

LOAD_TEST(a_port_goes_back_and_forth_a_thousand_times, 20) { travels("back and forth", 2, 8, PLAIN, WINDOW, 1000); }

/* They follow later, and what they had sent is there before. */
LOAD_TEST(senders_that_are_stopped_through_some_moves_follow, PATIENCE)
{
        enum { STOPPED = 2, SENDERS = 4 };
        unsigned wanted = 0;

        begin_chance();
        start_load(2, SENDERS, PLAIN, WINDOW);
        for (unsigned n = 0; n < 4 * rounds(); n++) {
                for (unsigned i = 0; i < STOPPED; i++) {
                        ptl_store_release(&books->senders[i].is_gone, 1);
                        CHECK(kill(load.senders[i].pid, SIGSTOP) == 0);
                }
                wanted += 1 + random_below(2 * FOLLOW_EVERY);
                moves_to(wanted);
                for (unsigned i = 0; i < STOPPED; i++) {
                        CHECK(kill(load.senders[i].pid, SIGCONT) == 0);
                        ptl_store_release(&books->senders[i].is_gone, 0);
                }
                goes_on();
        }
        stop_load();
        end_load();
}
