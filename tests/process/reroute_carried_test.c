/* SPDX-License-Identifier: Apache-2.0 */
/* reroute_carried_test.c - what messages carry that are sent again: replies, rights, regions; and send-once rights */
#include "reroute_raw.h"

static struct party b, d, third;
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

static void send_right(ptl_port right, uint32_t disposition)
{
        struct ptl_right_item item = {right, disposition};

        OK(ptl_send_message(port, &(struct ptl_outgoing){.data = "rich", .size = 5, .rights = &item, .n_rights = 1},
                            PTL_NOW));
}

static struct ptl_rich hears_rich(struct party *p, uint32_t right)
{
        struct ptl_frame f = hears_kind(p, PTL_FRAME_RICH, right);
        struct ptl_rich rich;

        CHECK_EQ(ptl_rich_decode(f.body, f.length, &rich), 0);
        return rich;
}

static uint32_t hears_moved(uint32_t count)
{
        tell_moved(&b, N, count, d.id);
        return hears_claim(&d, b.id, N);
}

static void settles(uint32_t right, uint32_t taken)
{
        confirm(&d, right, taken, 0);
        hears_release(&b, N, 1);
        CHECK_EQ(ptl_the_task.space.ways.count, 0);
}

static void answers(struct party *p, uint32_t token, const char *text)
{
        CHECK(link_raw_frame(&p->l, PTL_FRAME_INLINE, (struct ptl_frame_head){.right = token}, text,
                             (uint32_t)strlen(text) + 1));
}

/* ---- replies ---- */

struct caller {
        pthread_t thread;
        ptl_port port;
        ptl_time deadline;
        int outcome;
        char answer[16];
};

static void *run_caller(void *arg)
{
        struct caller *c = arg;
        size_t size = sizeof c->answer;

        c->outcome = ptl_call(c->port, "ask", 4, c->answer, &size, c->deadline);
        return NULL;
}

static void call_start(struct caller *call, ptl_time deadline)
{
        *call = (struct caller){.port = port, .deadline = deadline};
        CHECK(pthread_create(&call->thread, NULL, run_caller, call) == 0);
}

static void call_end(struct caller *call, int outcome, const char *answer)
{
        CHECK(pthread_join(call->thread, NULL) == 0);
        OUTCOME(call->outcome, outcome);
        if (answer)
                CHECK_STR_EQ(call->answer, answer);
}

API_TEST(a_call_that_is_sent_again_is_answered_by_the_new_receiver)
{
        struct caller call;
        struct ptl_frame f;
        uint32_t right;

        start();
        mark(&b, N);
        call_start(&call, soon());
        CHECK(hears_text(&b, N, "ask").head.token != 0);
        right = hears_moved(0);
        f = hears_text(&d, right, "ask");
        CHECK(f.head.token != 0);
        answers(&d, f.head.token, "new");
        call_end(&call, 0, "new");
        settles(right, 0);
        end();
}

API_TEST(a_call_that_was_counted_is_answered_by_the_old_receiver)
{
        struct caller call;
        struct ptl_frame f;
        uint32_t right;

        start();
        mark(&b, N);
        call_start(&call, soon());
        f = hears_text(&b, N, "ask");
        right = hears_moved(1);
        answers(&b, f.head.token, "old");
        call_end(&call, 0, "old");
        hears_nothing(&d);
        settles(right, 1);
        end();
}

API_TEST(a_call_given_up_is_not_answered_by_what_was_sent_again)
{
        struct caller call;
        struct ptl_frame f;
        uint32_t right, late;

        start();
        mark(&b, N);
        call_start(&call, ptl_after_ms(200));
        hears_text(&b, N, "ask");
        right = hears_moved(0);
        late = hears_text(&d, right, "ask").head.token;
        call_end(&call, PTL_E_UNANSWERED, NULL);
        settles(right, 0);
        hears_kind(&d, PTL_FRAME_DEAD, late); /* its port was given up with it */
        call_start(&call, soon());
        f = hears_text(&d, right, "ask");
        answers(&d, late, "late");
        answers(&d, f.head.token, "now");
        call_end(&call, 0, "now");
        end();
}

API_TEST(a_call_under_way_ends_when_its_new_receiver_dies)
{
        struct caller call;
        uint32_t right;

        start();
        mark(&b, N);
        call_start(&call, soon());
        right = hears_moved(0);
        hears_text(&d, right, "ask");
        party_dies(&d);
        call_end(&call, PTL_E_DEAD, NULL);
        check_rights(port, PTL_RIGHT_DEAD, 1);
        party_dies(&b);
}

/* ---- rights ---- */

API_TEST(rights_to_the_holders_own_ports_are_granted_anew)
{
        ptl_port mine = new_port(), notify = new_port();
        struct ptl_rich rich;
        uint32_t right, granted;

        start();
        mark(&b, N);
        send_right(mine, PTL_MAKE_SEND);
        rich = hears_rich(&b, N);
        CHECK_EQ(rich.rights[0].what, PTL_CARRY_SEND);
        right = hears_moved(0);
        rich = hears_rich(&d, right);
        CHECK_EQ(rich.rights[0].what, PTL_CARRY_SEND);
        granted = rich.rights[0].right;
        settles(right, 0);
        ask(mine, PTL_NOTIFY_NO_SENDERS, 0, notify);
        check_empty(notify);
        /* The old grant is gone, and the new one the only one. */
        CHECK(link_raw_frame(&d.l, PTL_FRAME_RELEASE, (struct ptl_frame_head){.right = granted, .token = 1}, NULL, 0));
        look();
        take_no_senders(notify, 1);
        end();
}

API_TEST(a_send_once_right_to_the_holders_port_is_used_once_at_the_new_receiver)
{
        ptl_port mine = new_port();
        uint32_t right;

        start();
        mark(&b, N);
        send_right(mine, PTL_MAKE_SEND_ONCE);
        right = hears_moved(0);
        answers(&d, hears_rich(&d, right).rights[0].right, "once");
        look();
        take(mine, "once");
        settles(right, 0);
        check_empty(mine); /* nobody says that one was lost */
        end();
}

API_TEST(a_right_of_the_old_receivers_goes_home_or_is_given_to_the_new_one)
{
        ptl_port other;
        struct ptl_frame f;
        struct ptl_give give;
        struct ptl_rich rich;
        uint32_t right;

        start();
        other = party_gives(&b, N + 1);
        mark(&b, N);
        send_right(other, PTL_MOVE_SEND);
        check_no_name(other);
        CHECK_EQ(hears_rich(&b, N).rights[0].what, PTL_CARRY_BACK_SEND);
        hears_nothing(&b); /* it is not given back yet */
        right = hears_moved(0);
        rich = hears_rich(&d, right);
        CHECK_EQ(rich.rights[0].what, PTL_CARRY_GIVEN_SEND);
        f = hears_kind(&b, PTL_FRAME_GIVE, 0);
        CHECK_EQ(ptl_give_decode(f.body, f.length, &give), 0);
        CHECK_EQ(give.items[0].right, N + 1);
        CHECK(give.grantee.high == d.id.high && give.grantee.low == d.id.low);
        confirm(&d, right, 0, 0);
        for (int i = 0; i < 2; i++) { /* of both rights, in any order */
                f = hears(&b);
                CHECK_STR_EQ(ptl_frame_kind_name(f.kind), "RELEASE");
        }
        hears_nothing(&b);
        end();
}

API_TEST(a_right_in_a_counted_message_is_gone)
{
        ptl_port other;
        uint32_t right;

        start();
        other = party_gives(&b, N + 1);
        mark(&b, N);
        send_right(other, PTL_MOVE_SEND);
        hears_rich(&b, N);
        right = hears_moved(1);
        hears_release(&b, N + 1, 1);
        hears_nothing(&d);
        settles(right, 1);
        end();
}

API_TEST(a_send_once_right_of_the_old_receivers_is_given_to_the_new_one)
{
        ptl_port once;
        struct ptl_give give;
        struct ptl_frame f;
        uint32_t right;

        start();
        once = party_grants(&b, N + 1, PTL_CARRY_ONCE);
        mark(&b, N);
        send_right(once, PTL_MOVE_SEND_ONCE);
        check_no_name(once);
        CHECK_EQ(hears_rich(&b, N).rights[0].what, PTL_CARRY_BACK_ONCE);
        right = hears_moved(0);
        CHECK_EQ(hears_rich(&d, right).rights[0].what, PTL_CARRY_GIVEN_ONCE);
        f = hears_kind(&b, PTL_FRAME_GIVE, 0);
        CHECK_EQ(ptl_give_decode(f.body, f.length, &give), 0);
        CHECK(give.items[0].right == N + 1 && give.items[0].kind == PTL_CARRY_ONCE);
        settles(right, 0);
        end();
}

API_TEST(a_ticket_in_a_message_beyond_the_count_is_withdrawn_and_given_anew)
{
        struct ptl_give first, second;
        struct ptl_frame f;
        ptl_port thirds;
        uint32_t right;

        start();
        third = party_start();
        thirds = party_gives(&third, N + 7);
        mark(&b, N);
        send_right(thirds, PTL_COPY_SEND);
        f = hears_kind(&third, PTL_FRAME_GIVE, 0);
        CHECK_EQ(ptl_give_decode(f.body, f.length, &first), 0);
        CHECK(first.grantee.low == b.id.low);
        right = hears_moved(0);
        CHECK_EQ(hears_rich(&d, right).rights[0].what, PTL_CARRY_GIVEN_SEND);
        hears_kind(&third, PTL_FRAME_WITHDRAW, (uint32_t)first.items[0].ticket);
        f = hears_kind(&third, PTL_FRAME_GIVE, 0);
        CHECK_EQ(ptl_give_decode(f.body, f.length, &second), 0);
        CHECK(second.grantee.low == d.id.low);
        CHECK(second.items[0].ticket != first.items[0].ticket);
        settles(right, 0);
        check_rights(thirds, PTL_RIGHT_SEND, 1);
        end();
        party_dies(&third);
}

/* ---- rights given on whose port moves (S8) ---- */

API_TEST(what_is_given_behind_the_mark_is_withdrawn_and_waits)
{
        struct ptl_right_item item = {port, PTL_COPY_SEND};
        struct ptl_outgoing out = {.rights = &item, .n_rights = 1};
        struct ptl_give give;
        struct ptl_frame f;
        uint32_t right;
        ptl_port to;

        start();
        item.port = port;
        third = party_start();
        to = party_gives(&third, N);
        mark(&b, N);
        OUTCOME(ptl_send_message(to, &out, PTL_NOW), PTL_E_FULL);
        f = hears_kind(&b, PTL_FRAME_GIVE, 0);
        CHECK_EQ(ptl_give_decode(f.body, f.length, &give), 0);
        hears_kind(&b, PTL_FRAME_WITHDRAW, (uint32_t)give.items[0].ticket);
        hears_nothing(&third);
        OUTCOME(ptl_send_message(to, &out, PTL_NOW), PTL_E_FULL);
        hears_nothing(&b);
        right = hears_moved(0);
        OUTCOME(ptl_send_message(to, &out, PTL_NOW), PTL_E_FULL); /* not confirmed */
        settles(right, 0);
        OK(ptl_send_message(to, &out, PTL_NOW));
        f = hears_kind(&d, PTL_FRAME_GIVE, 0);
        CHECK_EQ(ptl_give_decode(f.body, f.length, &give), 0);
        CHECK_EQ(give.items[0].right, right);
        CHECK_EQ(hears_rich(&third, N).rights[0].what, PTL_CARRY_GIVEN_SEND);
        end();
        party_dies(&third);
}

/* ---- regions ---- */

static struct ptl_region *new_region(size_t size)
{
        struct ptl_region *region;

        OK(ptl_region_new(size, &region));
        fill(ptl_region_data(region), size, 3);
        return region;
}

static void send_region(struct ptl_region *region, uint32_t how)
{
        struct ptl_region_item item = {.region = region, .how = how};

        OK(ptl_send_message(port, &(struct ptl_outgoing){.regions = &item, .n_regions = 1}, PTL_NOW));
}

API_TEST(regions_are_lent_anew)
{
        struct ptl_region *shared = NULL, *isolated = NULL;
        struct ptl_rich rich;
        uint32_t right;

        start();
        shared = new_region(10000);
        isolated = new_region(20000);
        mark(&b, N);
        send_region(shared, PTL_REGION_VOLATILE);
        right = hears_moved(0);
        rich = hears_rich(&d, right);
        CHECK(rich.n_regions == 1 && rich.regions[0].fresh && rich.regions[0].size == ptl_region_size(shared));
        settles(right, 0);
        ptl_region_free(shared);
        hears_kind(&d, PTL_FRAME_RETIRE, rich.regions[0].number);

        port = party_gives(&b, N + 1);
        mark(&b, N + 1);
        send_region(isolated, PTL_REGION_ISOLATED);
        tell_moved(&b, N + 1, 0, d.id);
        right = hears_claim(&d, b.id, N + 1);
        rich = hears_rich(&d, right);
        CHECK(rich.n_regions == 1 && rich.regions[0].fresh && rich.regions[0].how == PTL_REGION_ISOLATED);
        CHECK(rich.regions[0].frozen);
        end();
}

/* ---- send-once rights ---- */

API_TEST(a_send_once_right_used_behind_the_mark_is_used_at_the_new_receiver)
{
        ptl_port once;
        uint32_t right;

        start();
        once = party_grants(&b, N + 1, PTL_CARRY_ONCE);
        mark(&b, N + 1);
        OK(ptl_send(once, "once", 5, PTL_NOW));
        check_no_name(once);
        hears_text(&b, N + 1, "once");
        tell_moved(&b, N + 1, 0, d.id);
        right = hears_claim(&d, b.id, N + 1);
        hears_text(&d, right, "once");
        hears_nothing(&b); /* which may forget it when D is known to have it */
        confirm(&d, right, 0, 0);
        hears_release(&b, N + 1, 1);
        hears_nothing(&d);
        CHECK_EQ(ptl_the_task.space.ways.count, 0);
        end();
}

API_TEST(a_send_once_right_used_and_counted_is_no_more)
{
        ptl_port once;
        uint32_t names = statistics().names;

        start();
        names = statistics().names;
        once = party_grants(&b, N + 1, PTL_CARRY_ONCE);
        mark(&b, N + 1);
        OK(ptl_send(once, "once", 5, PTL_NOW));
        tell_moved(&b, N + 1, 1, d.id);
        hears_text(&b, N + 1, "once");
        hears_nothing(&b);
        hears_nothing(&d);
        once = party_grants(&b, N + 2, PTL_CARRY_ONCE);
        mark(&b, N + 2);
        OK(ptl_send(once, "once", 5, PTL_NOW));
        ptl_outbox_show(&b.l.mine, N + 2, ptl_word_open(0, 0));
        say(&b, PTL_FRAME_STAYS, N + 2, 0);
        look();
        CHECK_EQ(statistics().names, names);
        CHECK_EQ(ptl_the_task.space.ways.count, 0);
        end();
}

API_TEST(a_send_once_right_that_is_kept_moves)
{
        ptl_port once;
        uint32_t right;

        start();
        once = party_grants(&b, N + 1, PTL_CARRY_ONCE);
        mark(&b, N + 1);
        tell_moved(&b, N + 1, 0, d.id);
        right = hears_claim(&d, b.id, N + 1);
        OK(ptl_send(once, "once", 5, PTL_NOW));
        check_no_name(once);
        hears_text(&d, right, "once");
        confirm(&d, right, 0, 0);
        hears_release(&b, N + 1, 1);
        CHECK_EQ(ptl_the_task.space.ways.count, 0);
        end();
}
