/* SPDX-License-Identifier: Apache-2.0 */
/* A task whose port goes to a new receiver, between that one and a holder made by hand: what it says in which order, and
 * what stays of the port there (migration.md, V1 to V7, "The stub"). */
#include "reroute_raw.h"

static struct party d, h;
static ptl_port port, to_d;

enum { AT_B = 2 }; /* the number that the holder chose */

static void start(void)
{
        holder_start();
        d = party_start();
        h = party_start();
        to_d = party_gives(&d, N);
        port = new_port_of(LIMIT, 0);
        OK(ptl_right_release(port));
        OK(ptl_name_publish("p", port));
        raw_expect(&h.server, PTL_SM_FOUND, raw_ask_look_up(&h.server, "p", true));
        CHECK(link_raw_claim(&h.l, AT_B, h.server.msg.found.ticket));
        hears_kind(&h, PTL_FRAME_CONFIRM, AT_B | PTL_RIGHT_CLAIMED);
}

static void end(void)
{
        CHECK_EQ(statistics().lies, 0);
        party_dies(&d);
        party_dies(&h);
}

static void sends(const char *text)
{
        (void)!link_raw_frame(&h.l, PTL_FRAME_INLINE, (struct ptl_frame_head){.right = AT_B | PTL_RIGHT_CLAIMED}, text,
                              (uint32_t)strlen(text) + 1);
}

static void moves(void) { put_right(to_d, port, PTL_MOVE_RECEIVE); }

static struct ptl_right_word word(void)
{
        struct ptl_right_word w;

        CHECK_EQ(ptl_word_decode(ptl_outbox_look(&h.l.peer, AT_B | PTL_RIGHT_CLAIMED), &w), 0);
        return w;
}

static void hears_holder(uint32_t place, uint32_t count, uint32_t taken)
{
        struct ptl_frame f = hears_kind(&d, PTL_FRAME_HOLDER, 1);
        struct ptl_move_holder body;

        CHECK_EQ(ptl_move_holder_decode(f.body, f.length, &body), 0);
        CHECK_EQ(f.head.token, place);
        CHECK(ptl_task_is(body.task, h.id));
        CHECK_EQ(body.number, AT_B | PTL_RIGHT_CLAIMED);
        CHECK_EQ(body.kind, PTL_CARRY_SEND);
        CHECK_EQ(body.count.count, count);
        CHECK_EQ(body.count.taken, taken);
}

static void hears_message(enum ptl_frame_kind kind, uint32_t number, const char *text)
{
        struct ptl_frame f = hears_kind(&d, kind, 1);
        struct ptl_move_queued body;

        CHECK_EQ(ptl_move_queued_decode(f.body, f.length, &body), 0);
        CHECK_EQ(f.head.token, 0);
        CHECK_EQ(f.head.aux, number);
        CHECK_EQ(body.sender.pid, getpid());
        hears_text(&d, 0, text);
}

static void hears_commit(uint32_t holders, uint32_t messages)
{
        struct ptl_frame f = hears_kind(&d, PTL_FRAME_COMMIT, 1);
        struct ptl_move_commit body;

        CHECK_EQ(ptl_move_commit_decode(f.body, f.length, &body), 0);
        CHECK_EQ(body.holders, holders);
        CHECK_EQ(body.messages, messages);
}

static void hears_right(void)
{
        struct ptl_frame f = hears_kind(&d, PTL_FRAME_RICH, N);
        struct ptl_rich rich;

        CHECK_EQ(ptl_rich_decode(f.body, f.length, &rich), 0);
        CHECK_EQ(rich.n_rights, 1);
        CHECK_EQ(rich.rights[0].what, PTL_CARRY_COMMITTED);
        CHECK_EQ(rich.rights[0].right, 1);
}

/* One message of the holder's is counted. */
static void moves_with_one(void)
{
        sends("1");
        moves();
        hears_kind(&d, PTL_FRAME_MOVE, 1);
        hears_holder(0, 1, 0);
        hears_message(PTL_FRAME_QUEUED, 0, "1");
        hears_commit(1, 1);
        hears_right();
        hears_kind(&h, PTL_FRAME_MOVED, AT_B | PTL_RIGHT_CLAIMED);
}

API_TEST(all_that_lay_in_the_rings_is_told_and_the_news_stands_before_the_commit)
{
        start();
        sends("1");
        sends("2");
        sends("3");
        take(port, "1");
        moves();
        check_no_name(port);
        CHECK_EQ(word().state, PTL_WORD_MOVED);
        CHECK_EQ(word().messages, 3);
        CHECK(ptl_task_is(ptl_outbox_route(&h.l.peer, word().route)->task, d.id));
        CHECK_EQ(ptl_load_relaxed(&ptl_outbox_head(&h.l.peer)->bell.moves), 1);
        hears_kind(&d, PTL_FRAME_MOVE, 1);
        hears_holder(0, 3, 1);
        hears_message(PTL_FRAME_QUEUED, 0, "2");
        hears_message(PTL_FRAME_QUEUED, 0, "3");
        hears_commit(1, 2);
        hears_right();
        hears_nothing(&d);
        hears_kind(&h, PTL_FRAME_MOVED, AT_B | PTL_RIGHT_CLAIMED);
        hears_nothing(&h);
        end();
}

API_TEST(the_window_is_what_it_was_while_the_word_is_marked)
{
        enum { TAKEN = 6 };

        start();
        for (int i = 0; i < LIMIT; i++)
                sends("x");
        for (int i = 0; i < TAKEN; i++)
                take(port, "x");
        for (int i = 0; i < TAKEN; i++)
                sends("y"); /* read behind the mark */
        moves();
        CHECK_EQ(word().messages, LIMIT + TAKEN);
        hears_kind(&d, PTL_FRAME_MOVE, 1);
        hears_holder(0, LIMIT + TAKEN, TAKEN);
        end();
}

API_TEST(v7_what_comes_behind_the_count_is_kept_for_the_dead)
{
        start();
        moves_with_one();
        sends("2");
        sends("3");
        hears_nothing(&d);
        party_dies(&h);
        hears_message(PTL_FRAME_BEHIND, 2, "2");
        hears_message(PTL_FRAME_BEHIND, 3, "3");
        hears_kind(&d, PTL_FRAME_DONE, 1);
        CHECK_EQ(statistics().lies, 0);
        party_dies(&d);
}

API_TEST(who_gives_its_right_back_has_sent_again_and_is_done)
{
        start();
        moves_with_one();
        sends("2");
        CHECK(link_raw_frame(&h.l, PTL_FRAME_RELEASE,
                             (struct ptl_frame_head){.right = AT_B | PTL_RIGHT_CLAIMED, .token = 1}, NULL, 0));
        hears_kind(&d, PTL_FRAME_DONE, 1);
        CHECK_EQ(word().state, PTL_WORD_OPEN); /* V6: the index may be used again */
        CHECK_EQ(word().messages, 0);
        CHECK(!ptl_the_task.space.moved);
        end();
}

static bool is_ended(void *link) { return link_raw_is_over(link); }

API_TEST(more_than_the_window_behind_the_count_is_a_lie)
{
        start();
        moves_with_one();
        for (int i = 0; i < LIMIT + 1; i++)
                sends("x");
        look();
        CHECK(!link_raw_is_over(&h.l));
        sends("x");
        CHECK(look_until(is_ended, &h.l));
        CHECK_EQ(statistics().lies, 1);
        party_dies(&h);
        party_dies(&d);
}

static bool has_links(void *n) { return statistics().links == *(uint32_t *)n; }

API_TEST(the_new_receivers_death_changes_nothing_for_the_stub)
{
        uint32_t n;

        start();
        moves_with_one();
        sends("2");
        n = statistics().links - 1;
        party_dies(&d);
        CHECK(look_until(has_links, &n));
        CHECK_EQ(word().state, PTL_WORD_MOVED);
        sends("3");
        CHECK(link_raw_frame(&h.l, PTL_FRAME_RELEASE,
                             (struct ptl_frame_head){.right = AT_B | PTL_RIGHT_CLAIMED, .token = 1}, NULL, 0));
        look();
        CHECK_EQ(word().state, PTL_WORD_OPEN);
        CHECK_EQ(statistics().lies, 0);
        party_dies(&h);
}

API_TEST(a_right_given_on_behind_the_count_is_no_ticket)
{
        struct {
                struct ptl_frame_give head;
                struct ptl_frame_give_item item;
        } give = {.item = {.ticket = ptl_ticket_make(5, 1, 0), .right = AT_B | PTL_RIGHT_CLAIMED, .kind = PTL_CARRY_SEND}};

        start();
        moves_with_one();
        give.head.grantee = d.id;
        CHECK(link_raw_frame(&h.l, PTL_FRAME_GIVE, (struct ptl_frame_head){.right = 0}, &give, sizeof give));
        hears_kind(&h, PTL_FRAME_SETTLED, 1);
        end();
}

API_TEST(a_move_that_finds_no_room_marks_nobody_and_consumes_nothing)
{
        struct ptl_right_item item;
        static char bytes[8000];
        uint64_t moved;

        start();
        sends("1");
        item = (struct ptl_right_item){port, PTL_MOVE_RECEIVE};
        for (int i = 0; i < LIMIT - 1; i++)
                OK(ptl_send(to_d, bytes, 60, PTL_NOW));
        OK(ptl_send(to_d, bytes, 60, PTL_NOW));
        OUTCOME(ptl_send_message(to_d, &(struct ptl_outgoing){.rights = &item, .n_rights = 1}, PTL_NOW), PTL_E_FULL);
        check_rights(port, PTL_RIGHT_RECEIVE, 0);
        moved = ptl_load_relaxed(&ptl_outbox_head(&h.l.peer)->bell.moves);
        CHECK_EQ(moved, 0);
        CHECK_EQ(word().state, PTL_WORD_OPEN);
        take(port, "1");
        CHECK_EQ(word().messages, 1);
        end();
}
