/* SPDX-License-Identifier: Apache-2.0 */
/* A task that a port comes to, between an old receiver and a holder made by hand: migration.md, N1 to N8, its crash table
 * and what a hostile old receiver may do, frame by frame. */
#include "reroute_raw.h"

static struct party b, h;

enum { MOVE = 1, AT_B = 7, NOBODY = -1 };

static void start(void)
{
        holder_start();
        b = party_start();
        h = party_start();
}

static uint64_t lies(void) { return statistics().lies; }

static void end(void)
{
        CHECK_EQ(lies(), 0);
        party_dies(&b);
        party_dies(&h);
}

/* ---- what the old receiver says ---- */

static void says(struct party *p, enum ptl_frame_kind kind, uint32_t right, uint32_t token, const void *body, size_t size)
{
        (void)!link_raw_frame(&p->l, kind, (struct ptl_frame_head){.right = right, .token = token}, body, (uint32_t)size);
}

static void stages(uint32_t move)
{
        struct ptl_move_port port = {.limit_messages = LIMIT, .limit_units = 1000};

        says(&b, PTL_FRAME_MOVE, move, 0, &port, sizeof port);
}

static struct ptl_move_holder holder_of(const struct party *p, uint32_t count)
{
        return (struct ptl_move_holder){.task = p->id,
                                        .number = AT_B,
                                        .kind = PTL_CARRY_SEND,
                                        .references = 1,
                                        .count = {.count = count, .units = count}};
}

static void tells_of(uint32_t move, uint32_t place, struct ptl_move_holder body)
{
        says(&b, PTL_FRAME_HOLDER, move, place, &body, sizeof body);
}

static void queues_as(enum ptl_frame_kind kind, uint32_t move, int place, uint32_t number, const char *text)
{
        struct ptl_move_queued body = {.sender = {.pid = 77}};

        (void)!link_raw_frame(&b.l, kind, (struct ptl_frame_head){.right = move, .token = (uint32_t)place, .aux = number},
                              &body, sizeof body);
        if (text)
                (void)!link_raw_frame(&b.l, PTL_FRAME_INLINE, (struct ptl_frame_head){.right = 0}, text,
                                      (uint32_t)strlen(text) + 1);
}

static void queues(uint32_t move, int place, const char *text) { queues_as(PTL_FRAME_QUEUED, move, place, 0, text); }

static void commits(uint32_t move, uint32_t holders, uint32_t messages)
{
        struct ptl_move_commit body = {holders, messages};

        says(&b, PTL_FRAME_COMMIT, move, 0, &body, sizeof body);
}

static void sends_right(uint32_t move)
{
        struct ptl_rich rich = {.n_rights = 1, .rights = {{.what = PTL_CARRY_COMMITTED, .right = move}}};
        char body[128];

        ptl_rich_encode(&rich, body);
        says(&b, PTL_FRAME_RICH, RIGHT, 0, body, ptl_rich_head_size(1, 0));
}

/* The item that came: its name. */
static ptl_port gets(uint32_t disposition)
{
        struct ptl_message m = take_message(home);
        ptl_port name;

        CHECK_EQ(m.n_rights, 1);
        CHECK_EQ(m.rights[0].disposition, disposition);
        name = m.rights[0].port;
        ptl_message_release(&m);
        return name;
}

/* H has sent two messages, and D has them. */
static ptl_port moves(void)
{
        stages(MOVE);
        tells_of(MOVE, 0, holder_of(&h, 2));
        queues(MOVE, 0, "1");
        queues(MOVE, 0, "2");
        commits(MOVE, 1, 2);
        sends_right(MOVE);
        return gets(PTL_RIGHT_RECEIVE);
}

/* ---- what the holder says ---- */

static void claims(uint32_t index, const struct party *of, uint64_t number)
{
        struct ptl_move_claim body = {.task = of->id, .number = number};

        says(&h, PTL_FRAME_CLAIM_MOVED, index, 0, &body, sizeof body);
}

static void uses(uint32_t index, const char *text)
{
        says(&h, PTL_FRAME_INLINE, index | PTL_RIGHT_CLAIMED, 0, text, strlen(text) + 1);
}

static void is_confirmed(uint32_t index) { hears_kind(&h, PTL_FRAME_CONFIRM, index | PTL_RIGHT_CLAIMED); }
static void is_refused(uint32_t index) { hears_kind(&h, PTL_FRAME_DEAD, index | PTL_RIGHT_CLAIMED); }

static uint32_t taken_of(uint32_t index)
{
        return (uint32_t)ptl_outbox_look(&h.l.peer, index | PTL_RIGHT_CLAIMED);
}

/* ---- deaths ---- */

static bool has_links(void *n) { return statistics().links == *(uint32_t *)n; }

/* And it is known. */
static void b_dies(void)
{
        uint32_t n = statistics().links - 1;

        party_dies(&b);
        CHECK(look_until(has_links, &n));
}

/* ---- as it should be ---- */

API_TEST(a_port_comes_with_its_queue_and_its_holders_counts_go_on)
{
        ptl_port p;

        start();
        p = moves();
        CHECK_EQ(status_of(p).queued, 2);
        CHECK(counts_of(p).has_senders);
        take(p, "1"); /* before H has come */
        claims(2, &b, AT_B);
        is_confirmed(2);
        CHECK_EQ(taken_of(2), 1); /* N2 */
        take(p, "2");
        CHECK_EQ(taken_of(2), 2);
        uses(2, "3");
        take(p, "3");
        CHECK_EQ(taken_of(2), 3);
        says(&h, PTL_FRAME_RELEASE, 2 | PTL_RIGHT_CLAIMED, 1, NULL, 0);
        look();
        CHECK(!counts_of(p).has_senders);
        end();
}

API_TEST(n1_a_claim_ahead_of_the_commit_waits_and_its_messages_come_behind_what_was_staged)
{
        ptl_port p;

        start();
        stages(MOVE);
        tells_of(MOVE, 0, holder_of(&h, 1));
        queues(MOVE, 0, "1");
        look();
        claims(2, &b, AT_B);
        uses(2, "2");
        hears_nothing(&h);
        commits(MOVE, 1, 1);
        sends_right(MOVE);
        p = gets(PTL_RIGHT_RECEIVE);
        is_confirmed(2);
        CHECK_EQ(taken_of(2), 0);
        take(p, "1");
        take(p, "2");
        CHECK_EQ(taken_of(2), 2);
        uses(2, "3");
        take(p, "3");
        end();
}

API_TEST(n1_a_claim_makes_it_look_at_the_old_receiver_at_once)
{
        start();
        stages(MOVE);
        for (uint32_t i = 0; i < 200; i++) /* more than a turn */
                tells_of(MOVE, i, holder_of(i == 199 ? &h : &b, 0));
        commits(MOVE, 200, 0);
        claims(2, &b, AT_B);
        is_confirmed(2);
        end();
}

API_TEST(a_staged_message_has_the_sender_that_the_old_receiver_says)
{
        struct ptl_message m;
        ptl_port p;

        start();
        p = moves();
        m = take_message(p);
        CHECK_EQ(m.sender->pid, 77);
        ptl_message_release(&m);
        end();
}

API_TEST(its_own_right_to_the_port_becomes_the_ports_name)
{
        ptl_port mine, asked;

        start();
        asked = new_port();
        mine = party_gives(&b, AT_B);
        ask(mine, PTL_NOTIFY_DEAD_NAME, 0, asked);
        stages(MOVE);
        tells_of(MOVE, 0, (struct ptl_move_holder){.task = ptl_the_task.identity.task,
                                                   .number = AT_B,
                                                   .kind = PTL_CARRY_SEND,
                                                   .references = 1});
        ptl_outbox_show(&b.l.mine, AT_B, ptl_word_moved(0, 0));
        set_route(&b, 0, ptl_the_task.identity.task);
        ptl_outbox_count_move(&b.l.mine);
        say(&b, PTL_FRAME_MOVED, AT_B, 0);
        commits(MOVE, 1, 0);
        sends_right(MOVE);
        CHECK_EQ(gets(PTL_RIGHT_RECEIVE), mine);
        check_rights(mine, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
        hears_release(&b, AT_B, 1);
        put(mine, "to myself");
        take(mine, "to myself");
        check_empty(asked);
        OK(ptl_port_free(mine));
        take_dead_name(asked, mine);
        end();
}

/* ---- ends ---- */

API_TEST(what_was_abandoned_is_nobodys)
{
        start();
        stages(MOVE);
        tells_of(MOVE, 0, holder_of(&h, 1));
        queues(MOVE, 0, "1");
        claims(2, &b, AT_B);
        uses(2, "2");
        hears_nothing(&h);
        says(&b, PTL_FRAME_ABANDON, MOVE, 0, NULL, 0);
        is_refused(2);
        claims(3, &b, AT_B);
        is_refused(3);
        end();
}

API_TEST(the_old_receivers_death_before_the_commit_is_the_ports)
{
        start();
        stages(MOVE);
        tells_of(MOVE, 0, holder_of(&h, 1));
        queues(MOVE, 0, "1");
        claims(2, &b, AT_B);
        hears_nothing(&h);
        b_dies();
        is_refused(2);
        claims(3, &b, AT_B);
        is_refused(3);
        CHECK_EQ(lies(), 0);
        party_dies(&h);
}

API_TEST(the_old_receivers_death_between_commit_and_message_is_the_ports)
{
        start();
        stages(MOVE);
        tells_of(MOVE, 0, holder_of(&h, 0));
        commits(MOVE, 1, 0);
        look();
        b_dies();
        claims(2, &b, AT_B);
        is_refused(2);
        CHECK_EQ(lies(), 0);
        party_dies(&h);
}

API_TEST(nobody_needs_the_old_receiver_after_the_commit)
{
        ptl_port p;

        start();
        p = moves();
        party_dies(&b);
        claims(2, &b, AT_B);
        uses(2, "3");
        is_confirmed(2);
        take(p, "1");
        take(p, "2");
        take(p, "3");
        CHECK_EQ(lies(), 0);
        party_dies(&h);
}

API_TEST(a_holder_that_is_gone_counts_no_more)
{
        ptl_port p, n;

        start();
        n = new_port();
        p = moves();
        take(p, "1");
        take(p, "2");
        ask(p, PTL_NOTIFY_NO_SENDERS, 0, n);
        check_empty(n);
        says(&b, PTL_FRAME_DONE, MOVE, 0, NULL, 0);
        take_no_senders(n, 0);
        end();
}

API_TEST(a_send_once_right_that_nobody_uses_tells_the_port)
{
        struct ptl_move_holder once = holder_of(&h, 0);
        ptl_port p;

        start();
        stages(MOVE);
        once = holder_of(&h, 0);
        once.kind = PTL_CARRY_ONCE;
        tells_of(MOVE, 0, once);
        once.number++;
        tells_of(MOVE, 1, once);
        commits(MOVE, 2, 0);
        sends_right(MOVE);
        p = gets(PTL_RIGHT_RECEIVE);
        CHECK_EQ(counts_of(p).once, 2);
        claims(2, &b, AT_B + 1);
        is_confirmed(2);
        CHECK_EQ(counts_of(p).once, 2);
        says(&b, PTL_FRAME_DONE, MOVE, 0, NULL, 0);
        take_unused(p);
        uses(2, "used");
        take(p, "used");
        says(&b, PTL_FRAME_DONE, MOVE, 1, NULL, 0);
        look();
        check_empty(p);
        end();
}

/* ---- what is left of the dead ---- */

API_TEST(n3_n6_what_a_dead_holder_left_comes_once_and_when_it_is_known_to_be_dead)
{
        ptl_port p;

        start();
        p = moves();
        claims(2, &b, AT_B);
        uses(2, "3");
        is_confirmed(2);
        take(p, "1");
        take(p, "2");
        take(p, "3");
        queues_as(PTL_FRAME_BEHIND, MOVE, 0, 3, "3");
        queues_as(PTL_FRAME_BEHIND, MOVE, 0, 4, "4");
        says(&b, PTL_FRAME_DONE, MOVE, 0, NULL, 0);
        look();
        check_empty(p); /* N6 */
        party_dies(&h);
        take(p, "4");
        check_empty(p);
        CHECK(!counts_of(p).has_senders);
        CHECK_EQ(lies(), 0);
        party_dies(&b);
}

API_TEST(n4_what_a_dead_holder_sent_ahead_of_the_commit_is_not_lost)
{
        ptl_port p;

        start();
        stages(MOVE);
        tells_of(MOVE, 0, holder_of(&h, 1));
        queues(MOVE, 0, "1");
        claims(2, &b, AT_B);
        uses(2, "2");
        look();
        party_dies(&h);
        look();
        commits(MOVE, 1, 1);
        sends_right(MOVE);
        queues_as(PTL_FRAME_BEHIND, MOVE, 0, 2, "2");
        queues_as(PTL_FRAME_BEHIND, MOVE, 0, 3, "3");
        says(&b, PTL_FRAME_DONE, MOVE, 0, NULL, 0);
        p = gets(PTL_RIGHT_RECEIVE);
        take(p, "1");
        take(p, "2");
        take(p, "3");
        check_empty(p);
        CHECK_EQ(lies(), 0);
        party_dies(&b);
}

/* ---- claims that are nobody's ---- */

API_TEST(claims_of_what_is_not_theirs_are_refused_and_harm_nobody)
{
        ptl_port p;

        start();
        p = moves();
        claims(2, &b, AT_B + 1);
        is_refused(2);
        claims(3, &h, AT_B);
        is_refused(3);
        claims(4, &b, AT_B);
        is_confirmed(4);
        claims(5, &b, AT_B); /* a second time */
        is_refused(5);
        take(p, "1");
        take(p, "2");
        end();
}

API_TEST(a_receive_right_of_no_move_is_a_dead_name)
{
        start();
        sends_right(9);
        gets(PTL_RIGHT_DEAD);
        stages(MOVE);
        sends_right(MOVE); /* not committed */
        gets(PTL_RIGHT_DEAD);
        commits(MOVE, 0, 0);
        sends_right(MOVE);
        gets(PTL_RIGHT_RECEIVE);
        sends_right(MOVE); /* named before */
        gets(PTL_RIGHT_DEAD);
        end();
}

/* ---- lies ---- */

static void bad_move_again(void) { stages(MOVE); }
static void bad_holder_place(void) { tells_of(MOVE, 5, holder_of(&h, 0)); }
static void bad_holder_again(void) { tells_of(MOVE, 0, holder_of(&h, 0)); }
static void bad_commit(void) { commits(MOVE, 2, 2); }
static void bad_messages(void) { commits(MOVE, 1, 3); }
static void bad_queued_place(void) { queues(MOVE, 4, "x"); }
static void bad_queued_twice(void)
{
        queues(MOVE, 0, NULL);
        queues(MOVE, 0, "x");
}
static void bad_commit_for_message(void)
{
        queues(MOVE, 0, NULL);
        commits(MOVE, 1, 2);
}
static void bad_message(void) { says(&b, PTL_FRAME_INLINE, 0, 0, "x", 2); }
static void bad_behind(void) { queues_as(PTL_FRAME_BEHIND, MOVE, 0, 3, "3"); }
static void bad_done(void) { says(&b, PTL_FRAME_DONE, MOVE, 0, NULL, 0); }
static void bad_unknown(void) { commits(MOVE + 1, 0, 0); }
static void bad_length(void) { says(&b, PTL_FRAME_COMMIT, MOVE, 0, "xyz", 3); }
static void bad_pass(void) { says(&b, PTL_FRAME_PASS, MOVE, 0, &h.id, sizeof h.id); }
static void bad_reply_token(void)
{
        queues(MOVE, 0, NULL);
        says(&b, PTL_FRAME_INLINE, 0, 9, "x", 2);
}
static void bad_commit_again(void)
{
        commits(MOVE, 1, 2);
        commits(MOVE, 1, 2);
}
static void bad_queued_late(void)
{
        commits(MOVE, 1, 2);
        queues(MOVE, 0, "x");
}
static void bad_gap(void)
{
        commits(MOVE, 1, 2);
        says(&b, PTL_FRAME_DONE, MOVE, 0, NULL, 0);
        queues_as(PTL_FRAME_BEHIND, MOVE, 0, 3, "3");
}
static void bad_done_twice(void)
{
        commits(MOVE, 1, 2);
        bad_done();
        bad_done();
}
static void bad_abandon_late(void)
{
        commits(MOVE, 1, 2);
        says(&b, PTL_FRAME_ABANDON, MOVE, 0, NULL, 0);
}

static const struct {
        const char *name;
        void (*says)(void);
} liars[] = {
        {"a move's number again", bad_move_again},
        {"a holder's place beyond the next", bad_holder_place},
        {"a holder known before the commit", bad_holder_again},
        {"another count of holders", bad_commit},
        {"another count of messages", bad_messages},
        {"a message of no holder", bad_queued_place},
        {"a message that is missing", bad_queued_twice},
        {"a commit for a message", bad_commit_for_message},
        {"a message that was not announced", bad_message},
        {"BEHIND before the commit", bad_behind},
        {"DONE before the commit", bad_done},
        {"a move that never was", bad_unknown},
        {"a body that is too short", bad_length},
        {"PASS", bad_pass},
        {"a reply right in the head", bad_reply_token},
        {"a commit again", bad_commit_again},
        {"a queue behind the commit", bad_queued_late},
        {"BEHIND behind DONE", bad_gap},
        {"DONE twice", bad_done_twice},
        {"ABANDON behind the commit", bad_abandon_late},
};

static bool is_ended(void *link) { return link_raw_is_over(link); }

API_TEST(what_no_correct_old_receiver_says_ends_its_link_and_nothing_else)
{
        holder_start();
        h = party_start();
        for (size_t i = 0; i < ARRAY_LEN(liars); i++) {
                uint64_t then = lies();

                fprintf(stderr, "# %s\n", liars[i].name);
                b = party_start();
                stages(MOVE);
                tells_of(MOVE, 0, holder_of(&h, 2));
                queues(MOVE, 0, "1");
                queues(MOVE, 0, "2");
                liars[i].says();
                CHECK(look_until(is_ended, &b.l));
                CHECK_EQ(lies(), then + 1);
                party_dies(&b);
        }
        CHECK(!link_raw_is_over(&h.l));
        party_dies(&h);
}

API_TEST(claims_that_no_correct_holder_makes_end_its_link)
{
        struct ptl_move_claim body = {.number = AT_B};

        start();
        moves();
        body.task = b.id;
        says(&h, PTL_FRAME_CLAIM_MOVED, 2 | PTL_RIGHT_CLAIMED, 0, &body, sizeof body);
        CHECK(look_until(is_ended, &h.l));
        party_dies(&h);
        h = party_start();
        says(&h, PTL_FRAME_CLAIM_MOVED, 2, 0, &body, sizeof body - 1);
        CHECK(look_until(is_ended, &h.l));
        CHECK_EQ(lies(), 2);
        party_dies(&h);
        party_dies(&b);
}
