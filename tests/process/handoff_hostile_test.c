/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handoff_hostile_test.c - hand-off with a party made by hand: it stops anywhere, or lies
 *
 * B (the port's task) and C (the grantee) are actors. A, and where a case says so another, is a raw task:
 * its frames are written one by one, so that it can be gone between any two of them.
 */
#include "actors.h"
#include "link_raw.h"
#include "port/handoff.h"

enum { PLACE = 10, MINE = 20 };

static struct actor b, c;

/* ---- a raw task ---- */

struct raw_party {
        struct raw server;
        struct link_raw with_b, with_c;
        struct ptl_task_id b, c;
};

/* The half of a link; nothing is said on it yet. */
static struct link_raw meet(struct raw *server, const char *name, struct ptl_task_id *ret_id)
{
        struct link_raw l = {.bell = -EBADF, .peer_bell = -EBADF};

        l.server.socket = l.server.fd = l.server.passport = -EBADF;
        raw_expect(server, PTL_SM_FOUND, raw_ask_look_up(server, name, true));
        CHECK_EQ(server->msg.found.link, 1);
        *ret_id = server->msg.found.owner.task;
        l.ticket = server->msg.found.ticket;
        l.socket = raw_take_fd(server);
        CHECK(fcntl(l.socket, F_SETFL, O_NONBLOCK) == 0);
        return l;
}

static void hello(struct link_raw *l)
{
        l->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        CHECK(l->bell >= 0);
        link_raw_hello(l, l->bell);
        CHECK(link_raw_claim(l, 1, l->ticket));
}

/* Introduced to B and C; claims a right to each, RIGHT. */
static struct raw_party party_start(void)
{
        struct raw_party p = {.server = raw_task()};

        p.with_b = meet(&p.server, "b", &p.b);
        p.with_c = meet(&p.server, "c", &p.c);
        hello(&p.with_b);
        hello(&p.with_c);
        return p;
}

/* As a death: the kernel does no more. */
static void party_dies(struct raw_party *p)
{
        link_raw_close(&p->with_b);
        link_raw_close(&p->with_c);
        raw_close(&p->server);
}

static uint64_t ticket_of(uint32_t index, uint32_t generation) { return ptl_ticket_make(7, index, generation); }

static void give_as(struct link_raw *with_b, struct ptl_task_id grantee, uint64_t ticket, uint32_t right, uint32_t kind)
{
        struct {
                struct ptl_frame_give head;
                struct ptl_frame_give_item item;
        } body = {.head.grantee = grantee, .item = {.ticket = ticket, .right = right, .kind = kind}};

        CHECK(link_raw_frame(with_b, PTL_FRAME_GIVE, (struct ptl_frame_head){.right = 0}, &body, sizeof body));
}

static void give(struct raw_party *p, uint64_t ticket)
{
        give_as(&p->with_b, p->c, ticket, RIGHT, PTL_CARRY_SEND);
}

/* The message: C is to keep the right of @owner's at PLACE. */
static void message_as(struct raw_party *p, struct ptl_task_id owner, uint64_t ticket, uint32_t what)
{
        const uint32_t place = PLACE;
        struct ptl_frame_given given = {.owner = owner, .ticket = ticket};
        struct ptl_rich rich = {.n_rights = 1, .n_given = 1, .rights = {{.what = what}}, .given = &given};
        char body[128];
        size_t head = ptl_rich_head_size(1, 0) + sizeof given;

        ptl_rich_encode(&rich, body);
        memcpy(body + head, &place, sizeof place);
        CHECK(link_raw_frame(&p->with_c, PTL_FRAME_RICH, (struct ptl_frame_head){.right = RIGHT, .aux = KIND_STORE},
                             body, (uint32_t)(head + sizeof place)));
}

static void message(struct raw_party *p, uint64_t ticket) { message_as(p, p->b, ticket, PTL_CARRY_GIVEN_SEND); }

static void redeem(struct link_raw *with_b, uint32_t index, uint64_t ticket, struct ptl_task_id granter)
{
        struct ptl_frame_redeem body = {.ticket = ticket, .granter = granter};

        CHECK(link_raw_frame(with_b, PTL_FRAME_REDEEM, (struct ptl_frame_head){.right = index}, &body, sizeof body));
}

/* The next frame of that kind; others before it are read, too. */
static struct ptl_frame_head await(struct link_raw *l, enum ptl_frame_kind kind, uint32_t right)
{
        struct ptl_frame f;

        do
                CHECK(link_raw_next(l, &f));
        while (f.kind != kind || f.head.right != right);
        link_raw_consume(l);
        return f.head;
}

static void start(void)
{
        actor_start(&b, "b");
        actor_start(&c, "c");
}

static void end(void)
{
        actor_end(&b);
        actor_end(&c);
}

/* B sends A a send-once right to its own port: its number. */
static uint32_t get_once(struct raw_party *p)
{
        struct order o = {.place = MINE, .name = "raw"};
        struct ptl_frame f;
        struct ptl_rich rich;

        raw_publish(&p->server, "raw");
        order(&b, KIND_LOOK, o);
        gives(&b, 0, MINE, 0, PTL_MAKE_SEND_ONCE);
        do
                CHECK(link_raw_next(&p->with_b, &f));
        while (f.kind != PTL_FRAME_RICH);
        CHECK_EQ(ptl_rich_decode(f.body, f.length, &rich), 0);
        link_raw_consume(&p->with_b);
        CHECK_EQ(rich.rights[0].what, PTL_CARRY_ONCE);
        return rich.rights[0].right;
}

/* ---- the right that a message came through goes while it is taken in ---- */

/* A frame to B, through @right, that carries one item. */
static void carry_to_b(struct raw_party *p, uint32_t right, uint32_t what, uint32_t of, const struct ptl_frame_given *given)
{
        struct ptl_rich rich = {
                .n_rights = 1, .n_given = given != NULL, .rights = {{.what = what, .right = of}}, .given = given};
        size_t size = ptl_rich_head_size(1, 0) + (given ? sizeof *given : 0);
        char body[128];

        ptl_rich_encode(&rich, body);
        CHECK(link_raw_frame(&p->with_b, PTL_FRAME_RICH, (struct ptl_frame_head){.right = right, .aux = 1}, body,
                             (uint32_t)size));
}

/* No task of the library sends that: its own right would be used up by its message. */
API_TEST(a_send_once_right_that_is_carried_by_its_own_message_harms_nobody)
{
        struct raw_party a;
        uint32_t once;

        start();
        a = party_start();
        once = get_once(&a);
        carry_to_b(&a, once, PTL_CARRY_BACK_ONCE, once, NULL);
        link_raw_message(&a.with_b, RIGHT, 1);
        has_got(&b, 2); /* its message, or the news of its end; and the other */
        party_dies(&a);
        end();
}

API_TEST(a_send_once_right_of_another_task_does_not_go_with_its_own_message)
{
        struct order o = {.place = PLACE, .to = PLACE, .disposition = PTL_MOVE_SEND_ONCE};

        start();
        looks_up(&b, &c, MINE);
        gives(&b, 0, MINE, PLACE, PTL_MAKE_SEND_ONCE);
        has_stored(&c, PLACE, 1);
        CHECK_EQ(tell(&c, KIND_GIVE, o).outcome, PTL_E_RIGHT);
        CHECK_EQ(reports(&c, PLACE).rights, PTL_RIGHT_SEND_ONCE);
        uses(&c, PLACE);
        has_got(&b, 1);
        end();
}

/* For a ticket of its own that B does not know it looks at the link that the message came by once more. */
API_TEST(a_right_that_is_given_back_while_a_message_of_it_is_taken_in_harms_nobody)
{
        struct raw_party a;
        struct ptl_frame_given given;

        start();
        a = party_start();
        given = (struct ptl_frame_given){.owner = a.b, .ticket = ticket_of(9, 0)};
        kill(b.peer.pid, SIGSTOP); /* it reads all of these at a time */
        carry_to_b(&a, RIGHT, PTL_CARRY_GIVEN_SEND, 0, &given);
        CHECK(link_raw_frame(&a.with_b, PTL_FRAME_RELEASE, (struct ptl_frame_head){.right = RIGHT, .token = 1}, NULL, 0));
        CHECK(link_raw_claim(&a.with_b, 2, a.with_b.ticket));
        link_raw_message(&a.with_b, 2 | PTL_RIGHT_CLAIMED, 1);
        kill(b.peer.pid, SIGCONT);
        has_got(&b, 2);
        party_dies(&a);
        end();
}

/* ---- a party is gone ---- */

API_TEST(a_right_given_and_sent_by_one_that_is_dead_is_there)
{
        struct raw_party a;

        start();
        a = party_start();
        kill(c.peer.pid, SIGSTOP); /* it reads nothing before A is dead */
        give(&a, ticket_of(1, 0));
        message(&a, ticket_of(1, 0));
        party_dies(&a);
        has_got(&b, 0);
        kill(c.peer.pid, SIGCONT);
        CHECK_EQ(has_stored(&c, PLACE, 1).rights, PTL_RIGHT_SEND);
        uses(&c, PLACE);
        has_got(&b, 1);
        end();
}

API_TEST(a_right_given_and_never_sent_is_cancelled_when_its_giver_is_dead)
{
        struct raw_party a;
        uint32_t once;

        start();
        a = party_start();
        once = get_once(&a);
        give_as(&a.with_b, a.c, ticket_of(1, 0), once, PTL_CARRY_ONCE);
        party_dies(&a);
        has_got(&b, 1); /* B has asked C, which it did not know: nobody has the right, says the notification */
        end();
}

API_TEST(a_send_once_right_given_and_sent_by_one_that_is_dead_is_used)
{
        struct raw_party a;
        uint32_t once;

        start();
        a = party_start();
        once = get_once(&a);
        kill(c.peer.pid, SIGSTOP);
        give_as(&a.with_b, a.c, ticket_of(1, 0), once, PTL_CARRY_ONCE);
        message_as(&a, a.b, ticket_of(1, 0), PTL_CARRY_GIVEN_ONCE);
        party_dies(&a);
        has_got(&b, 0);
        kill(c.peer.pid, SIGCONT);
        CHECK_EQ(has_stored(&c, PLACE, 1).rights, PTL_RIGHT_SEND_ONCE);
        uses(&c, PLACE);
        has_got(&b, 1);
        end();
}

API_TEST(a_right_given_to_one_that_dies_is_withdrawn_by_its_giver)
{
        ptl_port mine = new_port();
        struct ptl_right_item item;
        struct ptl_outgoing out = {.rights = &item, .n_rights = 1};
        struct ptl_message m;

        start();
        OK(ptl_name_publish("case", mine));
        order(&b, KIND_LOOK, (struct order){.place = MINE, .name = "case"});
        gives(&b, 0, MINE, 0, PTL_MAKE_SEND_ONCE);
        m = take_message(mine);
        CHECK_EQ(m.n_rights, 1);
        item = (struct ptl_right_item){m.rights[0].port, PTL_MOVE_SEND_ONCE};
        ptl_message_release(&m);
        kill(c.peer.pid, SIGSTOP);
        OK(ptl_send_message(c.port, &out, soon()));
        check_no_name(item.port);
        has_got(&b, 0);
        peer_kill(&c.peer);
        has_got(&b, 1);
        actor_end(&b);
}

API_TEST(a_right_whose_giver_and_receiver_are_dead_is_cancelled)
{
        struct raw_party a;
        uint32_t once;

        start();
        a = party_start();
        once = get_once(&a);
        kill(c.peer.pid, SIGSTOP);
        give_as(&a.with_b, a.c, ticket_of(1, 0), once, PTL_CARRY_ONCE);
        message_as(&a, a.b, ticket_of(1, 0), PTL_CARRY_GIVEN_ONCE);
        party_dies(&a);
        has_got(&b, 0);
        peer_kill(&c.peer);
        has_got(&b, 1);
        actor_end(&b);
}

API_TEST(a_right_to_a_task_that_is_gone_is_a_dead_name)
{
        struct raw_party a;

        start();
        a = party_start();
        give(&a, ticket_of(1, 0));
        peer_kill(&b.peer);
        message(&a, ticket_of(1, 0));
        while (reports(&c, PLACE).rights != PTL_RIGHT_DEAD)
                ;
        party_dies(&a);
        actor_end(&c);
}

/* ---- claims ahead of their grants ---- */

/* What A has written before it says hello: from then on B can read its ring. */
static void hello_behind_give(struct link_raw *l, struct ptl_task_id grantee, uint64_t ticket)
{
        int fds[2];

        l->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        CHECK(l->bell >= 0);
        link_raw_meet(l);
        fds[0] = link_raw_outbox(l);
        fds[1] = l->bell;
        link_raw_join(l);
        CHECK(link_raw_claim(l, 1, l->ticket));
        give_as(l, grantee, ticket, RIGHT, PTL_CARRY_SEND);
        CHECK(link_raw_say(l, PTL_LM_HELLO, 0, fds, 2));
        ptl_close(fds[0]);
}

/* A claims nothing, and is no peer that could be read, before it says hello. */
static void claim_ahead(struct raw_party *a, struct raw *server_of_c, struct link_raw *of_c)
{
        struct ptl_task_id id;

        *a = (struct raw_party){.server = raw_task()};
        a->with_b = meet(&a->server, "b", &a->b);
        *server_of_c = raw_task();
        *of_c = meet(server_of_c, "b", &id);
        hello(of_c);
        redeem(of_c, 2, ticket_of(1, 0), a->server.me.task);
        CHECK(link_raw_message(of_c, RIGHT, 0)); /* behind it */
        has_got(&b, 1);
}

API_TEST(a_claim_ahead_of_its_grant_is_kept_until_that_is_read)
{
        struct link_raw of_c;
        struct raw_party a;
        struct raw server;

        actor_start(&b, "b");
        claim_ahead(&a, &server, &of_c);
        hello_behind_give(&a.with_b, server.me.task, ticket_of(1, 0));
        /* ... and B says which right to the port the claimant has already. */
        CHECK_EQ(await(&of_c, PTL_FRAME_CONFIRM, 2 | PTL_RIGHT_CLAIMED).token, RIGHT);
        await(&a.with_b, PTL_FRAME_SETTLED, (uint32_t)ticket_of(1, 0));
        CHECK(link_raw_message(&of_c, 2 | PTL_RIGHT_CLAIMED, 0));
        has_got(&b, 2);
        link_raw_close(&of_c);
        raw_close(&server);
        link_raw_close(&a.with_b);
        raw_close(&a.server);
        actor_end(&b);
}

API_TEST(a_claim_ahead_of_its_grant_is_refused_when_the_giver_is_dead)
{
        struct link_raw of_c;
        struct raw_party a;
        struct raw server;

        actor_start(&b, "b");
        claim_ahead(&a, &server, &of_c);
        link_raw_close(&a.with_b);
        raw_close(&a.server);
        await(&of_c, PTL_FRAME_DEAD, 2 | PTL_RIGHT_CLAIMED);
        CHECK(link_raw_message(&of_c, 2 | PTL_RIGHT_CLAIMED, 0)); /* destroyed */
        CHECK(link_raw_message(&of_c, RIGHT, 0));
        has_got(&b, 2);
        link_raw_close(&of_c);
        raw_close(&server);
        actor_end(&b);
}

API_TEST(what_is_given_up_while_its_claim_is_kept_goes_back_when_that_is_granted)
{
        struct raw_party a;

        start();
        a = (struct raw_party){.server = raw_task()};
        a.with_b = meet(&a.server, "b", &a.b); /* no hello: B cannot read its ring */
        a.with_c = meet(&a.server, "c", &a.c);
        hello(&a.with_c);
        message(&a, ticket_of(1, 0));
        CHECK_EQ(has_stored(&c, PLACE, 1).rights, PTL_RIGHT_SEND);
        order(&c, KIND_RELEASE, (struct order){.place = PLACE});
        hello_behind_give(&a.with_b, a.c, ticket_of(1, 0));
        await(&a.with_b, PTL_FRAME_SETTLED, (uint32_t)ticket_of(1, 0));
        looks_up(&c, &b, MINE); /* behind the RELEASE */
        uses(&c, MINE);
        has_got(&b, 1);
        CHECK_EQ(reports(&b, 0).lies, 0);
        party_dies(&a);
        end();
}

/* ---- lies ---- */

API_TEST(a_deputy_cannot_be_made_to_use_its_own_right)
{
        struct raw_party a;
        struct report mine;

        start();
        looks_up(&c, &b, MINE);
        mine = reports(&c, MINE);
        a = party_start();
        message(&a, ticket_of(1, 0)); /* never given */
        CHECK_EQ(has_stored(&c, PLACE, 1).rights, PTL_RIGHT_DEAD);
        CHECK_EQ(tell(&c, KIND_TRY, (struct order){.place = PLACE}).outcome, PTL_E_DEAD);
        /* Given up: the right is nobody's to give. */
        give(&a, ticket_of(2, 0));
        CHECK(link_raw_frame(&a.with_b, PTL_FRAME_WITHDRAW,
                             (struct ptl_frame_head){.right = (uint32_t)ticket_of(2, 0)}, NULL, 0));
        await(&a.with_b, PTL_FRAME_SETTLED, (uint32_t)ticket_of(2, 0)); /* it has read that, too */
        message(&a, ticket_of(2, 0));
        CHECK_EQ(has_stored(&c, PLACE, 2).rights, PTL_RIGHT_DEAD);
        CHECK_EQ(reports(&c, MINE).references, mine.references);
        CHECK_EQ(reports(&c, MINE).port, mine.port);
        has_got(&b, 0);
        party_dies(&a);
        end();
}

API_TEST(a_ticket_is_good_once)
{
        struct raw_party a;

        start();
        a = party_start();
        give(&a, ticket_of(1, 0));
        message(&a, ticket_of(1, 0));
        CHECK_EQ(has_stored(&c, PLACE, 1).rights, PTL_RIGHT_SEND);
        message(&a, ticket_of(1, 0));
        CHECK_EQ(has_stored(&c, PLACE, 2).rights, PTL_RIGHT_DEAD);
        /* The index again, as another ticket. */
        await(&a.with_b, PTL_FRAME_SETTLED, (uint32_t)ticket_of(1, 0));
        give(&a, ticket_of(1, 1));
        message(&a, ticket_of(1, 1));
        CHECK_EQ(has_stored(&c, PLACE, 3).rights, PTL_RIGHT_SEND);
        CHECK_EQ(reports(&b, 0).lies, 0);
        party_dies(&a);
        end();
}

API_TEST(a_ticket_is_good_for_the_task_it_was_given_to_only)
{
        struct link_raw thief;
        struct ptl_task_id id;
        struct raw_party a;
        struct raw server;

        start();
        a = party_start();
        server = raw_task();
        thief = meet(&server, "b", &id);
        hello(&thief);
        give(&a, ticket_of(1, 0));
        redeem(&thief, 2, ticket_of(1, 0), a.server.me.task);
        await(&thief, PTL_FRAME_DEAD, 2 | PTL_RIGHT_CLAIMED);
        redeem(&thief, 3, ticket_of(2, 0), server.me.task); /* its own, never given */
        await(&thief, PTL_FRAME_DEAD, 3 | PTL_RIGHT_CLAIMED);
        message(&a, ticket_of(1, 0));
        CHECK_EQ(has_stored(&c, PLACE, 1).rights, PTL_RIGHT_SEND);
        CHECK_EQ(reports(&b, 0).lies, 0);
        link_raw_close(&thief);
        raw_close(&server);
        party_dies(&a);
        end();
}

static void say_number(struct raw_party *a, enum ptl_frame_kind kind, uint32_t right, uint32_t token)
{
        CHECK(link_raw_frame(&a->with_b, kind, (struct ptl_frame_head){.right = right, .token = token}, NULL, 0));
}

/* Each from a party of its own, to B. */
static void tell_lie(struct raw_party *a, int which)
{
        struct ptl_task_id nobody = {1, 2};

        switch (which) {
        case 0: /* a right it does not have */
                give_as(&a->with_b, a->c, ticket_of(1, 0), RIGHT + 1, PTL_CARRY_SEND);
                break;
        case 1: /* of another kind */
                give_as(&a->with_b, a->c, ticket_of(1, 0), RIGHT, PTL_CARRY_ONCE);
                break;
        case 2: /* an index in use */
                give(a, ticket_of(1, 0));
                give(a, ticket_of(1, 1));
                break;
        case 3: /* no index */
                give(a, ticket_of(0, 0));
                break;
        case 4: /* a right it gave back */
                say_number(a, PTL_FRAME_RELEASE, RIGHT, 1);
                give(a, ticket_of(1, 0));
                break;
        case 5: /* settles what was not given */
                say_number(a, PTL_FRAME_SETTLED, (uint32_t)ticket_of(1, 0), 0);
                break;
        case 6: /* an index that it has claimed already */
                redeem(&a->with_b, 1, ticket_of(1, 0), nobody);
                break;
        case 7: /* a claim in the granter's table */
                redeem(&a->with_b, RIGHT, ticket_of(1, 0), nobody);
                break;
        case 8: /* a body that is none */
                CHECK(link_raw_frame(&a->with_b, PTL_FRAME_ASK, (struct ptl_frame_head){.right = 0}, &nobody, 8));
                break;
        case 9: /* more questions than there are places: of those of one granter one counts */
                for (uint64_t i = 0; i <= 2 * PTL_ASKS_MAX; i++) {
                        nobody.low = 3 + i / 2;
                        CHECK(link_raw_frame(&a->with_b, PTL_FRAME_ASK, (struct ptl_frame_head){.right = 0}, &nobody,
                                             sizeof nobody));
                }
                break;
        }
}

API_TEST(what_no_correct_task_says_of_a_ticket_ends_the_link_and_no_other)
{
        enum { LIES = 10, QUESTIONS = 9 };
        pid_t server;

        start();
        server = server_pid();
        for (int i = 0; i < LIES; i++) {
                struct raw_party a = party_start();

                has_got(&b, 0); /* B has taken the claim in */
                if (i == QUESTIONS) /* none of them is answered meanwhile */
                        CHECK(kill(server, SIGSTOP) == 0);
                tell_lie(&a, i);
                if (!tst_wait_until(link_raw_is_over(&a.with_b), RAW_MS)) {
                        fprintf(stderr, "# lie %d\n", i);
                        tst_fail(__FILE__, __LINE__, __func__, "the link is over");
                }
                CHECK(kill(server, SIGCONT) == 0);
                CHECK_EQ(reports(&b, 0).lies, i + 1);
                CHECK(!link_raw_is_over(&a.with_c));
                party_dies(&a);
        }
        end();
}

API_TEST(what_is_only_too_late_is_let_pass)
{
        struct raw_party a;
        struct ptl_task_id nobody = {1, 2};

        start();
        a = party_start();
        say_number(&a, PTL_FRAME_WITHDRAW, (uint32_t)ticket_of(3, 0), 0);
        CHECK(link_raw_frame(&a.with_b, PTL_FRAME_READ_OUT, (struct ptl_frame_head){.right = 0}, &nobody,
                             sizeof nobody));
        give(&a, ticket_of(1, 0));
        message(&a, ticket_of(1, 0));
        has_stored(&c, PLACE, 1);
        say_number(&a, PTL_FRAME_WITHDRAW, (uint32_t)ticket_of(1, 0), 0);
        uses(&c, PLACE);
        has_got(&b, 1);
        CHECK_EQ(reports(&b, 0).lies, 0);
        party_dies(&a);
        end();
}

/* ---- floods ---- */

API_TEST(tickets_that_nobody_asks_for_are_bounded_and_go_with_their_giver)
{
        struct ptl_task_id nobody = {1, 2};
        struct raw_party a;

        start();
        a = party_start();
        for (uint32_t i = 1; i <= PTL_TICKETS_MAX; i++)
                give_as(&a.with_b, i % 2 ? a.c : nobody, ticket_of(i, 0), RIGHT, PTL_CARRY_SEND);
        CHECK_EQ(reports(&b, 0).lies, 0);
        give(&a, ticket_of(PTL_TICKETS_MAX, 1));
        CHECK(tst_wait_until(link_raw_is_over(&a.with_b), RAW_MS));
        CHECK_EQ(reports(&b, 0).lies, 1);
        party_dies(&a);
        a = party_start(); /* as good as ever */
        give(&a, ticket_of(1, 0));
        message(&a, ticket_of(1, 0));
        has_stored(&c, PLACE, 1);
        party_dies(&a);
        end();
}

API_TEST(claims_of_one_that_reads_nothing_cost_an_entry_each_and_no_wait)
{
        enum { FLOOD = 20000 };
        struct ptl_task_id nobody = {1, 2};
        struct raw_party a;

        start();
        a = party_start();
        for (uint32_t i = 0; i < FLOOD; i++)
                redeem(&a.with_b, 2 + i, ticket_of(1 + i % 9, 0), i % 2 ? nobody : a.server.me.task);
        CHECK_EQ(reports(&b, 0).lies, 0);
        OK(ptl_send(b.port, "used", 5, soon()));
        has_got(&b, 1);
        party_dies(&a);
        end();
}
