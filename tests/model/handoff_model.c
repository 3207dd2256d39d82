/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handoff_model.c - a right to a port of B's goes from A to C, as shipped (docs/protocol/handoff.md)
 *
 * Thread 0 is A, the granter; 1 is B, whose port it is; 2 is C, the grantee (spaces/spaces.h). A sends each right
 * in a message to a port of C's; C uses it (a message to B's port) and gives it up. B may ask who is told
 * when no sender is left, and may free its port. Always
 *   - nothing that an honest task says is taken for a lie;
 *   - no senders is told when no task has a right to the port, nor one under way, and only then;
 *   - a sender's messages come in order, each to the port that the right is to.
 * In the end, behind one death,
 *   - C, if it lives, has had a living right for each message with one, where B lives and its port does;
 *   - tables of any two tasks that live agree, nothing is left in any (spaces/rest.c);
 *   - B was told of no senders once if it asked and there are none, else not; of each send-once right one
 *     thing came of it: its message, or the news that it is unused.
 */
#include "spaces/spaces.h"
#include <string.h>

enum { A, B, C };
enum { GIVES = 2 };

struct plan {
        unsigned gives;    /* rights that A sends, one after the other; 0: 1 */
        bool once;         /* send-once rights */
        bool moves;        /* A's own right goes with the last */
        bool drops;        /* A gives its own up behind the last */
        bool linked;       /* B and C have a link */
        bool stranger;     /* C has not read of A's introduction */
        bool keeps;        /* C keeps what it gets; else gives each up, used or not */
        bool unused;       /* C does not send through it */
        bool has_one;      /* C has a right to the port already */
        bool returns;      /* C sends each right back to A, which uses it and gives it up */
        bool destroys;     /* C frees its port with what lies in it */
        bool asks;         /* B asks for no senders */
        bool frees;        /* B frees its port */
        bool held_back;    /* B does not read A's ring at first */
        bool small;        /* B's rings hold a frame or two, the others' a message or two */
        bool hurries;      /* C opens messages whose rights are not confirmed */
        unsigned without;  /* enum spaces_rule */
};

static const struct plan *plan(void) { return model_scenario()->arg; }
bool spaces_without(enum spaces_rule rule) { return plan()->without & rule; }
static unsigned gives(void) { return plan()->gives ? plan()->gives : 1; }

static struct {
        struct ptl_receiver *port, *told;        /* B's */
        struct ptl_receiver *inbox, *home;       /* C's; A's */
        ptl_port to_port[GIVES], to_inbox, own;  /* A's; C's own */
        ptl_port to_home;                        /* C's */
        bool a_has, c_has;                       /* A's own right; C's own */
        bool freed, destroyed;
        ptl_port sending;                        /* in the message that A is about to send ... */
        bool moves;
        ptl_port returning;                      /* ... and in C's; PTL_NULL: none */
        unsigned returned, returned_living;      /* as `sent` and `living`, from C to A */
        unsigned came, came_alive, a_held;       /* as `opened`, `alive` and `held`, at A */
        unsigned a_used;
        unsigned sent, living;                   /* messages with rights: published; the right was alive then */
        unsigned opened, alive;                  /* ... opened by C; the right was alive then */
        unsigned held;                           /* rights C has not given up */
        unsigned used, arrived[SPACES], unused_told, no_senders, got[SPACES];
} s;

/* --- what B is told --- */

/* Has nobody who lives a right, or one in a message? */
static bool none_has(void)
{
        bool a = (s.a_has || s.a_held || s.returned > s.came) && !model_dead(A);
        bool c = (s.c_has || s.held || s.sent > s.opened) && !model_dead(C);

        return !a && !(c && !s.destroyed);
}

void spaces_ready(unsigned task, struct ptl_receiver *port)
{
        const struct ptl_queued *last;

        if (task != B || port != s.told || !port->head)
                return;
        for (last = port->head; last->next;)
                last = last->next;
        if (last->kind != PTL_NOTIFY_NO_SENDERS)
                return;
        s.no_senders++;
        if (!none_has())
                model_fail("no senders is told, and somebody has a right");
}

/* --- A --- */

static bool send_or_wait(ptl_port to, struct note note, ptl_port right, enum ptl_disposition how)
{
        int r;

        while ((r = spaces_send(to, note, right, how)) == PTL_E_FULL)
                if (!spaces_wait())
                        return false;
        return r == 0;
}

static ptl_port last_of(unsigned i) { return s.to_port[plan()->once ? i : 0]; }

static bool lives(unsigned task, ptl_port name, unsigned rights)
{
        struct ptl_entry *e;

        return ptl_space_look(spaces_space(task), name, rights, &e) == 0;
}

void spaces_published(unsigned task)
{
        if (task == C && s.returning) {
                s.returned++;
                s.returned_living += lives(C, s.returning, PTL_RIGHT_SEND);
        }
        if (task != A || !s.sending)
                return;
        s.sent++;
        s.living += lives(A, s.sending, PTL_RIGHT_SEND | PTL_RIGHT_SEND_ONCE);
        s.a_has &= !s.moves;
}

static void granter(void)
{
        for (unsigned i = 0; i < gives(); i++) {
                bool moves = plan()->once || (plan()->moves && i + 1 == gives());
                struct note note = {.sender = A, .number = i};

                s.sending = last_of(i);
                s.moves = moves;
                spaces_look();
                if (!send_or_wait(s.to_inbox, note, last_of(i),
                                  plan()->once ? PTL_MOVE_SEND_ONCE
                                  : moves      ? PTL_MOVE_SEND
                                               : PTL_COPY_SEND))
                        break;
        }
        s.sending = PTL_NULL;
        if (plan()->drops && s.a_has && lives(A, s.to_port[0], PTL_RIGHT_SEND)) {
                s.a_has = false;
                spaces_drop(s.to_port[0]);
        }
}

static void take_at_granter(void)
{
        struct note note = {0};
        ptl_port right;
        uint32_t kind;

        while (!s.sending && spaces_receive(s.home, &note, &right, &kind)) {
                model_check(note.sender == C && note.number == s.came);
                s.came++;
                s.a_held++;
                s.came_alive += lives(A, right, PTL_RIGHT_SEND);
                if (send_or_wait(right, (struct note){A, s.a_used, B}, PTL_NULL, 0))
                        s.a_used++;
                s.a_held--;
                spaces_drop(right);
        }
}

/* --- B --- */

static void take_at_owner(void)
{
        struct note note = {0};
        ptl_port right;
        uint32_t kind;

        while (!s.freed && spaces_receive(s.port, &note, &right, &kind)) {
                if (kind == PTL_NOTIFY_SEND_ONCE) {
                        s.unused_told++;
                        continue;
                }
                model_check(note.sender != B && note.tag == B);
                model_check(note.number == s.arrived[note.sender]);
                s.arrived[note.sender]++;
        }
}

static void owner(void)
{
        if (plan()->asks)
                spaces_ask_no_senders(s.port, s.told, 1);
        if (plan()->frees) {
                spaces_look();
                take_at_owner();
                model_step("frees the port");
                s.freed = true;
                ptl_receiver_free(spaces_space(B), s.port);
        }
}

/* --- C --- */

static void give_up(ptl_port name)
{
        s.held--;
        spaces_drop(name);
}

static void deal_with(ptl_port right)
{
        bool living = lives(C, right, PTL_RIGHT_SEND | PTL_RIGHT_SEND_ONCE);

        s.opened++;
        s.alive += living;
        s.held++;
        if (!plan()->unused && !plan()->returns && living && send_or_wait(right, (struct note){C, s.used, B}, PTL_NULL, 0)) {
                s.used++;
                s.held -= plan()->once;
                living = !plan()->once;
        }
        if (plan()->returns) {
                s.returning = right;
                (void)!send_or_wait(s.to_home, (struct note){C, s.returned, 0}, right, PTL_COPY_SEND);
                s.returning = PTL_NULL;
                living = lives(C, right, PTL_RIGHT_SEND);
        }
        if (!plan()->keeps && living)
                give_up(right);
        else if (!lives(C, right, PTL_RIGHT_SEND | PTL_RIGHT_SEND_ONCE) && !plan()->once)
                s.held--;
}

static void take_at_grantee(void)
{
        struct note note = {0};
        ptl_port right;
        uint32_t kind;

        while (!s.destroyed && spaces_receive(s.inbox, &note, &right, &kind)) {
                model_check(note.sender == A && note.number == s.got[A]);
                s.got[A]++;
                deal_with(right);
        }
        if (plan()->destroys && !s.destroyed) {
                s.destroyed = true;
                ptl_receiver_free(spaces_space(C), s.inbox);
        }
}

/* --- all --- */

static void go_on(unsigned self)
{
        if (self == B)
                take_at_owner();
        else if (self == C)
                take_at_grantee();
        else if (plan()->returns)
                take_at_granter();
}

static void thread(unsigned self)
{
        if (self == A)
                granter();
        else if (self == B)
                owner();
        while (spaces_wait())
                go_on(self);
}

static void grant_onces(void)
{
        for (unsigned i = 0; i < gives(); i++) {
                struct ptl_grant *g;
                uint32_t number;

                spaces_act_as(B);
                number = ptl_grant_once(spaces_peer(B, A), s.port, &g);
                spaces_act_as(A);
                s.to_port[i] = ptl_held_once(spaces_peer(A, B), number);
        }
}

/* A has looked C's port up, or was sent a right to it. */
static ptl_port to_inbox(void)
{
        const uint64_t ticket = 1234567ull << 32 | s.inbox->name;

        if (!plan()->stranger)
                return spaces_grant(C, s.inbox, A);
        spaces_act_as(C);
        ptl_receiver_more(s.inbox)->ticket = ticket;
        spaces_act_as(A);
        return ptl_held_claim(spaces_peer(A, C), ticket, s.inbox->limit_messages, s.inbox->limit_units);
}

static void reset(void)
{
        memset(&s, 0, sizeof s);
        spaces_reset(SPACES);
        spaces_keep(&s, sizeof s);
        if (plan()->small) {
                spaces_small_ring(B, A, 128);
                spaces_small_ring(B, C, 128);
                spaces_small_ring(C, B, 512);
                spaces_small_ring(A, B, 512);
                spaces_small_ring(A, C, 512);
        }
        s.port = spaces_port(B);
        s.told = spaces_port(B);
        s.inbox = spaces_port(C);
        spaces_link(A, B);
        if (plan()->stranger)
                spaces_introduce(A, C);
        else
                spaces_link(A, C);
        if (plan()->linked || plan()->has_one)
                spaces_link(B, C);
        s.to_inbox = to_inbox();
        if (plan()->returns) {
                s.home = spaces_port(A);
                s.to_home = spaces_grant(A, s.home, C);
        }
        if (plan()->once)
                grant_onces();
        else
                s.to_port[0] = spaces_grant(B, s.port, A);
        s.a_has = !plan()->once;
        if (plan()->has_one)
                s.own = spaces_grant(B, s.port, C);
        s.c_has = plan()->has_one;
        if (plan()->held_back)
                spaces_hold_back(B, A);
        if (plan()->hurries)
                spaces_hurry(C);
        spaces_begin();
}

/* --- in the end --- */

static unsigned deaths(void) { return (unsigned)model_dead(A) + model_dead(B) + model_dead(C); }

static void check_given(void)
{
        unsigned gone = plan()->destroys ? s.sent : 0;

        if (deaths() > 1 || model_dead(C))
                return;
        model_check(s.destroyed || s.opened == s.sent);
        if (spaces_without(SPACES_GIVEN_AT_ALL))
                model_check(!s.alive && !s.arrived[C]); /* C's own right was not used for A */
        else if (!model_dead(B) && !s.freed && !gone)
                model_check(s.alive == s.living);
        if (model_dead(A))
                return;
        model_check(s.came == s.returned);
        model_check(model_dead(B) || s.freed || s.came_alive == s.returned_living);
}

static void check_owner(void)
{
        if (!plan()->frees && !model_dead(C))
                model_check(s.arrived[C] == s.used);
        if (!plan()->frees && !model_dead(A))
                model_check(s.arrived[A] == s.a_used);
        if (!plan()->frees && plan()->once)
                model_check(s.arrived[C] + s.unused_told == gives() || (!model_dead(A) && s.sent < gives()));
        if (!plan()->frees && plan()->asks)
                model_check(s.no_senders == none_has());
        if (!plan()->frees && !plan()->once)
                model_check(spaces_senders(B, s.port) ==
                            (unsigned)((s.a_has || s.a_held) && !model_dead(A)) + ((s.c_has || s.held) && !model_dead(C)));
}

static bool check(void)
{
        spaces_settle(go_on);
        if (!model_dead(C) && !s.destroyed)
                model_check(!s.inbox->head);
        if (!model_dead(B))
                check_owner();
        check_given();
        return true;
}

/* --- cases --- */

/* clang-format off */
#define OF(n, ...)   .name = n, .nthreads = SPACES, .memory = MODEL_SC, .steps = spaces_steps, .state = spaces_state, \
                     .arg = &(const struct plan){__VA_ARGS__}, .reset = reset, .thread = thread, .check = check
#define ALL          {MODEL_UNBOUNDED, MODEL_UNBOUNDED}
#define CASE(n, ...) OF(n, __VA_ARGS__), .quick = ALL, .deep = ALL
#define LONG(n, ...) OF(n, __VA_ARGS__), .quick = {1, 0}, .deep = ALL /* minutes, without bounds */
#define GROSS(n, ...) OF(n, __VA_ARGS__), .quick = {0, 1}, .deep = ALL /* quick: who runs goes on as long as it can */
#define FAILS        .expect_failure = true
#define DIES(t)      .crashes = 1, .may_crash = {[t] = true}
#define ANY_DIES     .crashes = 1, .may_crash = {true, true, true}
#define TWO_DIE      .crashes = 2, .may_crash = {true, true, true}

static const struct scenario cases[] = {
        {CASE("a_right_is_handed_over", .linked = true)},
        {CASE("a_right_is_handed_over_to_who_has_no_link", .linked = false)},
        {CASE("a_right_is_handed_over_to_who_has_not_read_of_the_granter", .stranger = true)},
        {CASE("two_rights_are_handed_over_and_merged", .linked = true, .gives = 2, .keeps = true)},
        {CASE("a_right_comes_to_who_has_one", .linked = true, .has_one = true)},
        {CASE("a_right_is_given_again_while_it_comes_back", .linked = true, .gives = 2)},
        {CASE("a_right_is_moved", .linked = true, .moves = true, .asks = true)},
        {CASE("no_senders_is_told_behind_the_last", .linked = true, .drops = true, .asks = true)},
        {LONG("no_senders_is_told_behind_the_last_of_two", .linked = true, .gives = 2, .drops = true, .asks = true)},
        {CASE("a_right_that_is_kept_is_a_sender", .linked = true, .moves = true, .asks = true, .keeps = true)},
        {CASE("a_right_is_sent_back_to_who_has_it", .linked = true, .returns = true)},
        {CASE("a_right_is_sent_back_to_who_gave_it_up", .linked = true, .returns = true, .moves = true, .asks = true)},
        {LONG("a_right_is_sent_back_while_another_comes", .linked = true, .returns = true, .gives = 2, .drops = true,
              .asks = true)},
        {CASE("a_send_once_right_is_handed_over", .linked = true, .once = true)},
        {CASE("a_send_once_right_that_nobody_uses_is_told", .linked = true, .once = true, .unused = true)},
        {CASE("a_message_with_a_right_is_destroyed", .linked = true, .destroys = true, .drops = true, .asks = true)},
        {CASE("a_message_with_a_send_once_right_is_destroyed", .linked = true, .destroys = true, .once = true)},
        {CASE("the_port_is_freed_meanwhile", .linked = true, .frees = true, .drops = true)},

        {CASE("a_claim_that_is_parked_is_granted", .linked = true, .held_back = true)},
        {LONG("claims_that_are_parked_are_granted_while_the_granter_gives_its_own_up", .linked = true,
              .held_back = true, .gives = 2, .drops = true, .asks = true)},
        {CASE("a_parked_claim_of_a_freed_port_is_refused", .linked = true, .held_back = true, .frees = true)},
        {CASE("a_right_is_opened_before_it_is_confirmed", .linked = true, .held_back = true, .hurries = true)},
        {CASE("a_right_is_given_up_before_it_is_confirmed", .linked = true, .held_back = true, .hurries = true,
              .unused = true, .moves = true, .asks = true)},
        {LONG("a_right_to_a_port_that_it_has_is_opened_before_it_is_confirmed", .linked = true, .hurries = true,
              .has_one = true, .gives = 2)},
        {CASE("what_was_not_given_makes_nobody_use_its_own", .linked = true, .has_one = true,
              .without = SPACES_GIVEN_AT_ALL)},

        {CASE("any_of_three_dies", .linked = true), ANY_DIES},
        {LONG("any_of_three_dies_and_the_grantee_has_no_link", .linked = false), ANY_DIES},
        {GROSS("any_of_three_dies_and_the_granter_is_a_stranger", .stranger = true), ANY_DIES},
        {LONG("any_of_three_dies_while_a_right_moves", .linked = true, .moves = true, .asks = true), ANY_DIES},
        {CASE("any_of_three_dies_while_a_send_once_right_moves", .linked = true, .once = true), ANY_DIES},
        {LONG("any_of_three_dies_and_the_port_is_freed", .linked = true, .frees = true), ANY_DIES},
        {LONG("any_of_three_dies_with_two_rights_under_way", .linked = true, .gives = 2), ANY_DIES},
        {LONG("any_of_three_dies_while_a_claim_is_parked", .linked = true, .held_back = true, .drops = true,
              .asks = true), ANY_DIES},
        {LONG("any_of_three_dies_while_a_right_is_not_confirmed", .linked = true, .held_back = true, .hurries = true),
         ANY_DIES},
        {LONG("rings_that_are_full_and_used_again_delay_and_lose_nothing", .linked = true, .gives = 2, .small = true,
              .drops = true, .asks = true)},
        {GROSS("any_of_three_dies_while_rings_are_full", .linked = true, .gives = 2, .small = true, .moves = true,
               .asks = true), ANY_DIES},
        {GROSS("any_of_three_dies_while_a_right_is_sent_back", .linked = true, .returns = true, .moves = true,
               .asks = true), ANY_DIES},
        {GROSS("any_two_die", .linked = true, .moves = true, .asks = true), TWO_DIE},

        {CASE("a_message_before_its_grant_is_refused", .linked = true, .without = SPACES_GIVE_FIRST), FAILS},
        {CASE("a_right_that_is_released_before_it_is_given_is_a_lie", .linked = true, .moves = true,
              .without = SPACES_GIVE_FIRST), FAILS},
        {CASE("a_claim_that_does_not_wait_for_its_grant_is_refused", .linked = true, .without = SPACES_PARKING), FAILS},
        {CASE("a_right_that_is_used_before_it_is_confirmed_is_lost", .linked = true, .held_back = true, .hurries = true,
              .without = SPACES_UNCONFIRMED_KEPT), FAILS},
        {CASE("a_right_that_is_released_before_it_is_confirmed_is_a_lie", .linked = true, .held_back = true,
              .hurries = true, .unused = true, .without = SPACES_UNCONFIRMED_KEPT), FAILS},
        {CASE("an_index_that_is_used_before_its_ticket_is_settled_is_a_lie", .linked = true, .gives = 2,
              .without = SPACES_INDEX_KEPT), FAILS},
        {CASE("a_granter_whose_ring_is_not_read_out_takes_rights_with_it", .linked = true,
              .without = SPACES_READ_OUT_FIRST), DIES(A), FAILS},
        {CASE("a_granters_death_that_cancels_loses_rights", .linked = true, .without = SPACES_GRANTEES_ASKED),
         DIES(A), FAILS},
        {CASE("an_answer_before_the_ring_was_read_loses_rights", .linked = true, .without = SPACES_ASKED_BEHIND),
         DIES(A), FAILS},
        {CASE("an_answer_before_the_introduction_was_read_loses_rights", .stranger = true, .linked = true,
              .without = SPACES_SERVER_ASKED), DIES(A), FAILS},
        {CASE("what_is_not_withdrawn_stays_for_ever", .without = SPACES_WITHDRAWN), DIES(C), FAILS},
        {.name = NULL},
};
/* clang-format on */

int main(int argc, char **argv) { return explore_main(argc, argv, cases); }
