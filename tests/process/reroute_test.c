/* SPDX-License-Identifier: Apache-2.0 */
/* reroute_test.c - a holder of a right whose port moves: migration.md, S1 to S9, word by word and frame by frame */
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

static void end(void)
{
        CHECK_EQ(statistics().lies, 0);
        party_dies(&b);
        party_dies(&d);
}

static void send_now(const char *text) { OK(ptl_send(port, text, strlen(text) + 1, PTL_NOW)); }

static void is_full(void) { OUTCOME(ptl_send(port, "x", 2, PTL_NOW), PTL_E_FULL); }

/* Everything is at D, nothing is left at B. */
static void settles(uint32_t right, uint32_t taken)
{
        confirm(&d, right, taken, 0);
        hears_release(&b, N, 1);
        send_now("after");
        hears_text(&d, right, "after");
        hears_nothing(&b);
        CHECK_EQ(ptl_the_task.space.ways.count, 0);
        CHECK(!ptl_the_task.space.ways.formers);
}

/* ---- the mark, and what follows ---- */

API_TEST(a_message_beyond_the_count_is_sent_again_once_and_in_order)
{
        uint32_t right;

        start();
        send_now("one");
        hears_text(&b, N, "one");
        mark(&b, N);
        send_now("two");
        hears_text(&b, N, "two"); /* not counted: it came behind the mark */
        is_full();
        hears_nothing(&d);
        tell_moved(&b, N, 1, d.id);
        right = hears_claim(&d, b.id, N);
        hears_text(&d, right, "two");
        send_now("three");
        hears_text(&d, right, "three");
        hears_nothing(&b); /* no RELEASE before CONFIRM */
        settles(right, 1);
        end();
}

API_TEST(a_message_that_was_counted_is_not_sent_again)
{
        uint32_t right;

        start();
        mark(&b, N);
        send_now("one");
        hears_text(&b, N, "one");
        tell_moved(&b, N, 1, d.id);
        right = hears_claim(&d, b.id, N);
        hears_nothing(&d);
        settles(right, 1);
        end();
}

API_TEST(a_right_that_nobody_used_moves_too)
{
        uint32_t right;

        start();
        mark(&b, N);
        tell_moved(&b, N, 0, d.id);
        right = hears_claim(&d, b.id, N);
        settles(right, 0);
        end();
}

API_TEST(what_was_sent_before_the_mark_is_the_old_receivers)
{
        uint32_t right;

        start();
        for (int i = 0; i < 4; i++)
                send_now("early");
        mark(&b, N);
        tell_moved(&b, N, 4, d.id);
        right = hears_claim(&d, b.id, N);
        hears_nothing(&d);
        settles(right, 4);
        end();
}

API_TEST(a_move_that_is_given_up_leaves_everything_where_it_is)
{
        start();
        mark(&b, N);
        send_now("one");
        is_full();
        ptl_outbox_show(&b.l.mine, N, ptl_word_open(0, 0));
        say(&b, PTL_FRAME_STAYS, N, 0);
        look();
        send_now("two");
        hears_text(&b, N, "one");
        hears_text(&b, N, "two");
        hears_nothing(&b);
        hears_nothing(&d);
        CHECK_EQ(ptl_the_task.space.ways.count, 0);
        end();
}

API_TEST(news_are_seen_in_the_word_before_their_frame_and_released_behind_it)
{
        uint32_t right;

        start();
        mark(&b, N);
        send_now("one");
        news(&b, N, 0, d.id);
        send_now("two"); /* looks, and goes on */
        right = hears_claim(&d, b.id, N);
        hears_text(&d, right, "one");
        hears_text(&d, right, "two");
        confirm(&d, right, 0, 0);
        hears_text(&b, N, "one");
        hears_nothing(&b);
        CHECK_EQ(party_gives(&b, N), port); /* of before: it came in front of MOVED */
        say(&b, PTL_FRAME_MOVED, N, 0);
        hears_release(&b, N, 2);
        check_rights(port, PTL_RIGHT_SEND, 2);
        end();
}

API_TEST(two_moves_one_behind_the_other_count_on)
{
        uint32_t right;

        start();
        mark(&b, N);
        send_now("one");
        ptl_outbox_show(&b.l.mine, N, ptl_word_open(0, 0)); /* it stays, and is marked again before that is read */
        say(&b, PTL_FRAME_STAYS, N, 0);
        mark(&b, N);
        is_full();
        tell_moved(&b, N, 1, d.id);
        right = hears_claim(&d, b.id, N);
        hears_nothing(&d);
        settles(right, 1);
        end();
}

API_TEST(other_rights_of_the_link_go_on_while_one_is_marked)
{
        ptl_port other;

        start();
        other = party_gives(&b, N + 1);
        mark(&b, N);
        send_now("marked");
        for (int i = 0; i < 5; i++)
                OK(ptl_send(other, "on", 3, PTL_NOW));
        hears_text(&b, N, "marked");
        for (int i = 0; i < 5; i++)
                hears_text(&b, N + 1, "on");
        is_full();
        end();
}

API_TEST(ring_room_taken_back_while_marked_loses_nothing)
{
        char big[8000];
        ptl_port other;
        uint32_t right;

        start();
        other = party_gives(&b, N + 1);
        mark(&b, N);
        send_now("kept");
        hears_text(&b, N, "kept");
        for (int i = 0; i < 40; i++) { /* five times round the ring */
                OK(ptl_send(other, big, sizeof big, PTL_NOW));
                hears_kind(&b, PTL_FRAME_INLINE, N + 1);
                ptl_outbox_show(&b.l.mine, N + 1, ptl_word_open((uint32_t)i + 1, 126 * ((uint32_t)i + 1)));
        }
        tell_moved(&b, N, 0, d.id);
        right = hears_claim(&d, b.id, N);
        hears_text(&d, right, "kept");
        settles(right, 0);
        end();
}

API_TEST(a_batch_is_sent_again_from_the_count_on)
{
        const struct ptl_bytes batch[] = {{"a", 2}, {"b", 2}, {"c", 2}};
        uint32_t right;
        size_t sent;

        start();
        send_now("first");
        mark(&b, N);
        OK(ptl_send_batch(port, batch, 3, &sent, PTL_NOW));
        CHECK_EQ(sent, 3);
        tell_moved(&b, N, 2, d.id);
        right = hears_claim(&d, b.id, N);
        hears_text(&d, right, "b");
        hears_text(&d, right, "c");
        settles(right, 2);
        end();
}

API_TEST(the_window_goes_on_at_the_new_receiver)
{
        uint32_t right;

        start();
        for (int i = 0; i < LIMIT; i++)
                send_now("fill");
        is_full();
        mark(&b, N);
        tell_moved(&b, N, LIMIT, d.id);
        right = hears_claim(&d, b.id, N);
        confirm(&d, right, 4, 0); /* D's program took four of those */
        hears_release(&b, N, 1);
        for (int i = 0; i < 4; i++)
                send_now("more");
        is_full();
        end();
}

API_TEST(large_messages_are_sent_again)
{
        static char big[3][3 << 20];
        static const size_t sizes[] = {20000, 300000, 3 << 20};
        uint32_t right;

        start();
        for (int i = 0; i < 3; i++) {
                fill(big[i], sizes[i], (unsigned)i);
                port = party_gives(&b, N + 10 + (uint32_t)i);
                mark(&b, N + 10 + (uint32_t)i);
                OK(ptl_send(port, big[i], sizes[i], PTL_NOW));
                tell_moved(&b, N + 10 + (uint32_t)i, 0, d.id);
                right = hears_claim(&d, b.id, N + 10 + (uint32_t)i);
                if (sizes[i] <= PTL_BLOCK_MAX) {
                        struct ptl_frame f = hears_kind(&d, PTL_FRAME_BLOCK, right);
                        struct ptl_frame_block block;

                        memcpy(&block, f.body, sizeof block);
                        CHECK_EQ(block.size, sizes[i]);
                        CHECK(is_filled(ptl_outbox_pool(&d.l.peer) + block.offset, sizes[i], (unsigned)i));
                } else {
                        struct ptl_rich rich;
                        struct ptl_frame f = hears_kind(&d, PTL_FRAME_RICH, right);

                        CHECK_EQ(ptl_rich_decode(f.body, f.length, &rich), 0);
                        CHECK(rich.where == PTL_WHERE_REGION && rich.block.size == sizes[i]);
                        CHECK_EQ(rich.regions[0].fresh, 1);
                }
        }
        end();
}

API_TEST(a_loan_made_before_the_move_is_published_behind_it)
{
        struct ptl_loan loan;
        struct ptl_frame f;
        struct ptl_frame_block block;
        uint32_t right;

        start();
        OK(ptl_loan_reserve(port, 50000, &loan, PTL_NOW));
        fill(loan.data, 50000, 7);
        mark(&b, N);
        tell_moved(&b, N, 0, d.id);
        right = hears_claim(&d, b.id, N);
        OK(ptl_loan_publish(&loan, 50000, NULL, PTL_NOW));
        f = hears_kind(&d, PTL_FRAME_BLOCK, right);
        memcpy(&block, f.body, sizeof block);
        CHECK_EQ(block.size, 50000);
        CHECK(is_filled(ptl_outbox_pool(&d.l.peer) + block.offset, 50000, 7));
        settles(right, 0);
        end();
}

/* ---- waiting ---- */

struct sender {
        pthread_t thread;
        ptl_time deadline;
        int outcome;
};

static void *run_sender(void *arg)
{
        struct sender *s = arg;

        s->outcome = ptl_send(port, "thread", 7, s->deadline);
        return NULL;
}

static void sender_start(struct sender *s)
{
        CHECK(pthread_create(&s->thread, NULL, run_sender, s) == 0);
}

static void sender_end(struct sender *s, int outcome)
{
        CHECK(pthread_join(s->thread, NULL) == 0);
        OUTCOME(s->outcome, outcome);
}

API_TEST(a_send_with_a_deadline_waits_for_the_word)
{
        struct sender s = {.deadline = soon()};
        uint32_t right;

        start();
        mark(&b, N);
        sender_start(&s);
        hears_text(&b, N, "thread"); /* published, and it waits */
        tell_moved(&b, N, 0, d.id);
        sender_end(&s, 0);
        /* It has been sent again before the call was over. */
        CHECK(ptl_ring_ready(&d.l.rx));
        right = hears_claim(&d, b.id, N);
        hears_text(&d, right, "thread");
        settles(right, 0);
        end();
}

API_TEST(a_send_whose_deadline_passes_behind_the_mark_was_sent)
{
        struct sender s = {.deadline = ptl_after_ms(30)};
        uint32_t right;

        start();
        mark(&b, N);
        sender_start(&s);
        sender_end(&s, 0);
        OUTCOME(ptl_send(port, "late", 5, ptl_after_ms(10)), PTL_E_TIMEOUT);
        tell_moved(&b, N, 0, d.id);
        right = hears_claim(&d, b.id, N);
        hears_text(&d, right, "thread");
        settles(right, 0);
        end();
}

API_TEST(a_send_waits_until_a_new_receiver_without_a_link_is_handed_the_outbox)
{
        struct sender s = {.deadline = soon()};
        struct party e;
        uint32_t right;

        start();
        e = party_new();
        mark(&b, N);
        send_now("one");
        tell_moved(&b, N, 0, e.id);
        sender_start(&s);
        sender_end(&s, 0);
        /* The holder does not enter the library again. */
        CHECK(raw_receive(&e.server));
        CHECK_EQ(e.server.msg.type, PTL_SM_INTRODUCTION);
        e.l.socket = raw_take_fd(&e.server);
        CHECK(has_input(&e.l.socket));
        party_hello(&e);
        CHECK(ptl_ring_ready(&e.l.rx));
        right = hears_claim(&e, b.id, N);
        hears_text(&e, right, "one");
        hears_text(&e, right, "thread");
        party_dies(&e);
        end();
}

API_TEST(a_sender_that_finds_the_mark_goes_on_when_the_word_is_there)
{
        struct sender s = {.deadline = soon()};
        uint32_t right;

        start();
        mark(&b, N);
        send_now("first");
        sender_start(&s);
        tell_moved(&b, N, 1, d.id);
        sender_end(&s, 0);
        right = hears_claim(&d, b.id, N);
        hears_text(&d, right, "thread");
        settles(right, 1);
        end();
}

/* ---- names ---- */

API_TEST(a_right_given_up_while_its_message_is_unsettled_goes_back_behind_it)
{
        uint32_t right;

        start();
        mark(&b, N);
        send_now("last");
        OK(ptl_right_release(port));
        check_no_name(port);
        tell_moved(&b, N, 0, d.id);
        right = hears_claim(&d, b.id, N);
        hears_text(&d, right, "last");
        confirm(&d, right, 0, 0);
        hears_release(&d, right, 1);
        hears_text(&b, N, "last");
        hears_release(&b, N, 1);
        CHECK_EQ(ptl_the_task.space.ways.count, 0);
        end();
}

API_TEST(a_right_renamed_on_its_way_arrives_under_its_new_name)
{
        ptl_port name = 777 | 1u << 20;
        uint32_t right;

        start();
        mark(&b, N);
        send_now("one");
        OK(ptl_right_rename(port, name));
        port = name;
        tell_moved(&b, N, 0, d.id);
        right = hears_claim(&d, b.id, N);
        hears_text(&d, right, "one");
        settles(right, 0);
        end();
}

API_TEST(a_message_left_with_the_port_is_accepted_where_that_is)
{
        struct ptl_outgoing out = {.data = "left", .size = 5, .leave = 1};
        ptl_port notify = new_port();
        uint32_t right;

        start();
        for (int i = 0; i < LIMIT; i++)
                send_now("fill");
        out.notify = notify;
        mark(&b, N);
        OK(ptl_send_message(port, &out, PTL_NOW));
        tell_moved(&b, N, LIMIT, d.id);
        right = hears_claim(&d, b.id, N);
        hears_text(&d, right, "left");
        confirm(&d, right, LIMIT, 0);
        hears_release(&b, N, 1) ;
        check_empty(notify);
        ptl_outbox_show(&d.l.mine, right, ptl_word_open(LIMIT + 1, LIMIT + 1));
        CHECK_EQ(take_notification(notify, PTL_NOTIFY_MESSAGE_ACCEPTED).value, port);
        end();
}
