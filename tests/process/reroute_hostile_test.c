/* SPDX-License-Identifier: Apache-2.0 */
/* reroute_hostile_test.c - receivers of a moving port that die, lie, or send the holder round */
#include "reroute_raw.h"

static struct party b, d;
static ptl_port port; /* the holder's right to B's port, N there */

static void start(void)
{
        holder_start();
        b = party_start();
        d = party_start();
        port = party_gives(&b, N);
}

static void send_now(const char *text) { OK(ptl_send(port, text, strlen(text) + 1, PTL_NOW)); }

static bool is_dead(void *name)
{
        struct ptl_port_status s;

        return !ptl_port_get_status(*(ptl_port *)name, &s) && s.rights == PTL_RIGHT_DEAD;
}

static void becomes_dead(ptl_port name)
{
        CHECK(tst_wait_until((look(), is_dead(&name)), 15000)); /* a server may take seconds to say that it knows nobody */
        OUTCOME(ptl_send(name, "x", 2, PTL_NOW), PTL_E_DEAD);
}

static bool is_settled(void *unused)
{
        return ptl_the_task.space.ways.count == 0;
}

/* ---- deaths ---- */

API_TEST(an_old_receiver_that_dies_behind_the_mark_leaves_a_dead_name)
{
        start();
        mark(&b, N);
        send_now("one");
        party_dies(&b);
        becomes_dead(port);
        CHECK_EQ(ptl_the_task.space.ways.count, 0);
        party_dies(&d);
}

API_TEST(news_outlive_the_old_receiver)
{
        uint32_t right;

        start();
        send_now("zero");
        mark(&b, N);
        send_now("one");
        news(&b, N, 1, d.id); /* no frame says so */
        party_dies(&b);
        right = hears_claim(&d, b.id, N);
        hears_text(&d, right, "one");
        confirm(&d, right, 0, 0);
        CHECK(look_until(is_settled, NULL));
        send_now("two");
        hears_text(&d, right, "two");
        check_rights(port, PTL_RIGHT_SEND, 1);
        party_dies(&d);
}

API_TEST(news_for_a_right_that_nobody_looked_at_outlive_the_old_receiver)
{
        ptl_port notify = new_port();

        start();
        OK(ptl_right_notify_dead(port, notify));
        mark(&b, N);
        news(&b, N, 0, d.id);
        party_dies(&b);
        hears_claim(&d, b.id, N);
        check_empty(notify);
        party_dies(&d);
        take_dead_name(notify, port);
}

API_TEST(of_two_receivers_that_die_one_behind_the_other_nothing_is_left)
{
        start();
        mark(&b, N);
        send_now("one");
        news(&b, N, 0, d.id);
        party_dies(&d);
        party_dies(&b);
        becomes_dead(port);
        CHECK(look_until(is_settled, NULL));
}

API_TEST(a_new_receiver_that_dies_before_it_answers_leaves_a_dead_name)
{
        uint32_t right;

        start();
        mark(&b, N);
        send_now("one");
        tell_moved(&b, N, 0, d.id);
        right = hears_claim(&d, b.id, N);
        hears_text(&d, right, "one");
        party_dies(&d);
        becomes_dead(port);
        hears_release(&b, N, 1);
        party_dies(&b);
}

API_TEST(a_claim_that_is_refused_is_a_dead_name)
{
        uint32_t right;

        start();
        mark(&b, N);
        send_now("one");
        tell_moved(&b, N, 0, d.id);
        right = hears_claim(&d, b.id, N);
        say(&d, PTL_FRAME_DEAD, right, 0);
        becomes_dead(port);
        hears_text(&d, right, "one");
        hears_release(&d, right, 1);
        hears_release(&b, N, 1);
        CHECK_EQ(statistics().lies, 0);
        party_dies(&b);
        party_dies(&d);
}

/* ---- strangers, chains ---- */

API_TEST(a_new_receiver_without_a_link_is_sought)
{
        struct party e;
        uint32_t right;

        start();
        e = party_new();
        mark(&b, N);
        send_now("one");
        tell_moved(&b, N, 0, e.id);
        look();
        send_now("two"); /* no link yet: it waits in the holder's outbox */
        party_is_sought(&e);
        right = hears_claim(&e, b.id, N);
        hears_text(&e, right, "one");
        hears_text(&e, right, "two");
        confirm(&e, right, 0, 0);
        hears_release(&b, N, 1);
        party_dies(&e);
        party_dies(&b);
        party_dies(&d);
}

API_TEST(a_route_to_nobody_is_a_dead_name)
{
        start();
        mark(&b, N);
        send_now("one");
        tell_moved(&b, N, 0, (struct ptl_task_id){0x1234567812345678, 0x8765432187654321});
        becomes_dead(port);
        hears_release(&b, N, 1);
        party_dies(&b);
        party_dies(&d);
}

API_TEST(a_port_that_moves_on_is_followed)
{
        struct party e;
        uint32_t right, then;

        start();
        e = party_start();
        mark(&b, N);
        send_now("one");
        tell_moved(&b, N, 0, d.id);
        right = hears_claim(&d, b.id, N);
        hears_text(&d, right, "one");
        send_now("two");
        hears_text(&d, right, "two");
        /* D counted one of them, and has passed the port on before it confirms. */
        mark(&d, right);
        set_route(&d, 0, e.id);
        {
                struct ptl_frame_window w = {.limit_messages = LIMIT, .limit_units = 1000};

                ptl_outbox_show(&d.l.mine, right, ptl_word_moved(1, 0));
                CHECK(link_raw_frame(&d.l, PTL_FRAME_CONFIRM, (struct ptl_frame_head){.right = right}, &w, sizeof w));
        }
        say(&d, PTL_FRAME_MOVED, right, 0);
        then = hears_claim(&e, d.id, right);
        hears_text(&e, then, "two");
        hears_text(&b, N, "one");
        hears_nothing(&b);
        confirm(&e, then, 1, 0);
        hears_release(&b, N, 1); /* all stubs are told then */
        hears_release(&d, right, 1);
        send_now("three");
        hears_text(&e, then, "three");
        CHECK_EQ(statistics().lies, 0);
        party_dies(&e);
        party_dies(&b);
        party_dies(&d);
}

/* D has moved on before it read the claim: the news stands under the name that the right had at B. */
static void name_at_d(uint32_t place, uint32_t count, struct ptl_task_id to)
{
        struct ptl_move_name *name = ptl_outbox_name(&d.l.mine, place);

        set_route(&d, 1, to);
        name->task = b.id;
        name->number = N;
        name->word = ptl_word_moved(count, 1);
        ptl_outbox_count_move(&d.l.mine);
}

API_TEST(a_port_that_moved_on_before_the_claim_is_followed_by_its_name)
{
        struct party e;
        uint32_t right, then;

        start();
        e = party_start();
        name_at_d(383, 1, e.id);
        send_now("zero");
        mark(&b, N);
        send_now("one");
        tell_moved(&b, N, 1, d.id);
        right = hears_claim(&d, b.id, N);
        hears_text(&d, right, "one");
        then = hears_claim(&e, b.id, N);
        hears_text(&e, then, "one");
        confirm(&e, then, 1, 0);
        send_now("two");
        hears_text(&e, then, "two");
        hears_release(&b, N, 1);
        say(&d, PTL_FRAME_MOVED, 0, 383);
        hears_nothing(&d); /* its answer to the claim is still to come */
        say(&d, PTL_FRAME_DEAD, right, 0);
        hears_release(&d, right, 1);
        CHECK_EQ(statistics().lies, 0);
        party_dies(&e);
        party_dies(&b);
        party_dies(&d);
}

API_TEST(a_name_outlives_who_moved_on)
{
        struct party e;
        uint32_t right, then;

        start();
        e = party_start();
        mark(&b, N);
        send_now("one");
        tell_moved(&b, N, 0, d.id);
        right = hears_claim(&d, b.id, N);
        hears_text(&d, right, "one");
        name_at_d(0, 0, e.id);
        party_dies(&d);
        then = hears_claim(&e, b.id, N);
        hears_text(&e, then, "one");
        confirm(&e, then, 0, 0);
        hears_release(&b, N, 1);
        party_dies(&e);
        party_dies(&b);
}

API_TEST(names_of_others_and_of_garbage_lead_nowhere)
{
        uint32_t right;

        start();
        mark(&b, N);
        send_now("one");
        tell_moved(&b, N, 0, d.id);
        right = hears_claim(&d, b.id, N);
        name_at_d(1, 0, b.id);
        ptl_outbox_name(&d.l.mine, 1)->number = N + 1;
        name_at_d(2, 0, b.id);
        ptl_outbox_name(&d.l.mine, 2)->task.low++;
        name_at_d(3, 0, b.id);
        ptl_outbox_name(&d.l.mine, 3)->word = UINT64_MAX;
        say(&d, PTL_FRAME_MOVED, 0, 3);
        hears_text(&d, right, "one");
        confirm(&d, right, 0, 0);
        hears_release(&b, N, 1);
        CHECK_EQ(statistics().lies, 0);
        party_dies(&b);
        party_dies(&d);
}

/* B and D send the holder to each other and back. */
API_TEST(a_chain_without_end_is_a_dead_name)
{
        struct party *from = &b, *to = &d, *x;
        uint32_t right = N;
        int hops = 0;

        start();
        mark(&b, N);
        send_now("round");
        hears_text(&b, N, "round");
        tell_moved(&b, N, 0, d.id);
        while (hops < 100) {
                struct ptl_frame_window w = {.limit_messages = LIMIT, .limit_units = 1000};
                uint32_t was = right;

                right = hears_claim(to, from->id, was);
                hops++;
                x = from;
                from = to;
                to = x;
                set_route(from, 0, to->id);
                ptl_outbox_show(&from->l.mine, right, ptl_word_moved(0, 0));
                ptl_outbox_count_move(&from->l.mine);
                CHECK(link_raw_frame(&from->l, PTL_FRAME_CONFIRM, (struct ptl_frame_head){.right = right}, &w, sizeof w));
                say(from, PTL_FRAME_MOVED, right, 0);
                look();
                while (ptl_ring_ready(&from->l.rx)) /* what was sent again, and goes on; RELEASEs at the end */
                        hears(from);
                if (is_dead(&port))
                        break;
                while (!ptl_ring_ready(&to->l.rx))
                        look();
        }
        CHECK_EQ(hops, 64);
        becomes_dead(port);
        party_dies(&b);
        party_dies(&d);
}

/* ---- lies ---- */

enum { A_LIE = 1, NOTHING = 0 };

static void say_it(uint64_t word, enum ptl_frame_kind kind, uint32_t right)
{
        ptl_outbox_show(&b.l.mine, N, word);
        say(&b, kind, right, 0);
}

static bool has_lied(void *unused) { return statistics().lies != 0; }

static void check_lie(void)
{
        CHECK(look_until(has_lied, NULL));
        becomes_dead(port);
        CHECK(look_until(is_settled, NULL));
        CHECK_EQ(statistics().lies, 1);
        party_dies(&b);
        party_dies(&d);
}

API_TEST(moved_for_what_has_not_moved_is_a_lie)
{
        start();
        send_now("one");
        say_it(ptl_word_open(0, 0), PTL_FRAME_MOVED, N);
        check_lie();
}

API_TEST(moved_for_what_is_marked_is_a_lie)
{
        start();
        mark(&b, N);
        send_now("one");
        say_it(ptl_word_marked(), PTL_FRAME_MOVED, N);
        check_lie();
}

API_TEST(a_count_of_what_was_never_sent_is_a_lie)
{
        start();
        set_route(&b, 0, d.id);
        mark(&b, N);
        send_now("one");
        say_it(ptl_word_moved(2, 0), PTL_FRAME_MOVED, N);
        check_lie();
}

API_TEST(a_count_below_what_was_taken_is_a_lie)
{
        start();
        for (int i = 0; i < LIMIT; i++)
                send_now("fill");
        ptl_outbox_show(&b.l.mine, N, ptl_word_open(4, 4));
        send_now("believed");
        set_route(&b, 0, d.id);
        mark(&b, N);
        say_it(ptl_word_moved(3, 0), PTL_FRAME_MOVED, N);
        check_lie();
}

API_TEST(a_route_that_is_none_is_a_lie)
{
        start();
        mark(&b, N);
        send_now("one");
        say_it(ptl_word_moved(0, 100), PTL_FRAME_MOVED, N); /* a hole: no task */
        check_lie();
}

API_TEST(a_route_with_reserved_bytes_is_a_lie)
{
        start();
        set_route(&b, 1, d.id);
        ptl_outbox_route(&b.l.mine, 1)->reserved[1] = 1;
        mark(&b, N);
        send_now("one");
        say_it(ptl_word_moved(0, 1), PTL_FRAME_MOVED, N);
        check_lie();
}

API_TEST(a_word_of_garbage_is_a_lie_where_it_is_believed)
{
        static const uint64_t words[] = {UINT64_MAX, PTL_WORD_MOVES | 1, PTL_WORD_MOVES | PTL_WORD_HAS_MOVED | 1ull << 39,
                                         PTL_WORD_MOVES | 1ull << 61};

        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
                struct party liar;
                ptl_port name;

                if (i == 0)
                        start();
                liar = party_start();
                name = party_gives(&liar, N);
                ptl_outbox_show(&liar.l.mine, N, words[i]);
                ptl_outbox_count_move(&liar.l.mine);
                OK(ptl_send(name, "x", 2, PTL_NOW)); /* looks */
                becomes_dead(name);
                CHECK_EQ(statistics().lies, i + 1);
                party_dies(&liar);
        }
        party_dies(&b);
        party_dies(&d);
}

API_TEST(stays_of_no_right_is_a_lie)
{
        start();
        CHECK(link_raw_frame(&b.l, PTL_FRAME_STAYS, (struct ptl_frame_head){.right = 0}, NULL, 0));
        check_lie();
}

API_TEST(moved_with_a_body_is_a_lie)
{
        start();
        CHECK(link_raw_frame(&b.l, PTL_FRAME_MOVED, (struct ptl_frame_head){.right = N}, "12345678", 8));
        check_lie();
}

API_TEST(moved_for_a_name_beyond_the_table_is_a_lie)
{
        start();
        CHECK(link_raw_frame(&b.l, PTL_FRAME_MOVED, (struct ptl_frame_head){.aux = PTL_MOVE_NAMES}, NULL, 0));
        check_lie();
}

API_TEST(news_of_what_the_holder_has_not_are_nothing)
{
        uint32_t right;

        start();
        say(&b, PTL_FRAME_MOVED, N + 1000, 0);
        say(&b, PTL_FRAME_STAYS, N + 1000, 0);
        say(&b, PTL_FRAME_STAYS, N, 0);
        say(&b, PTL_FRAME_MOVED, 0, 5);
        look();
        send_now("one");
        hears_text(&b, N, "one");
        mark(&b, N);
        mark(&b, N);
        mark(&b, N);
        mark(&b, N);
        send_now("two"); /* `moves` is what was told: the mark is not seen, so it is counted */
        mark(&b, N);
        send_now("three");
        tell_moved(&b, N, 2, d.id);
        right = hears_claim(&d, b.id, N);
        hears_text(&d, right, "three");
        CHECK_EQ(statistics().lies, 0);
        party_dies(&b);
        party_dies(&d);
}

API_TEST(a_counter_of_moves_that_runs_wild_costs_looks_only)
{
        start();
        for (int i = 0; i < 1000; i++) {
                ptl_store_relaxed(&ptl_outbox_head(&b.l.mine)->bell.moves, (uint32_t)i * 77777u + 1);
                if (i % 8 == 7)
                        ptl_outbox_show(&b.l.mine, N, ptl_word_open((uint32_t)i, (uint32_t)i));
                send_now("on");
                hears_text(&b, N, "on");
        }
        CHECK_EQ(ptl_the_task.space.ways.count, 0);
        CHECK_EQ(statistics().lies, 0);
        party_dies(&b);
        party_dies(&d);
}

API_TEST(a_mark_that_is_never_explained_holds_one_right_only)
{
        ptl_port other;

        start();
        other = party_gives(&d, N);
        mark(&b, N);
        send_now("one");
        for (int i = 0; i < LIMIT; i++)
                OK(ptl_send(other, "on", 3, PTL_NOW));
        OUTCOME(ptl_send(port, "x", 2, ptl_after_ms(5)), PTL_E_TIMEOUT);
        OK(ptl_right_release(port));
        party_dies(&b);
        CHECK(look_until(is_settled, NULL));
        party_dies(&d);
}
