/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claim_model.c - rights that a holder looks up or is sent, gives back and gets again, as shipped
 * (docs/protocol/rights.md, counting.md)
 *
 * Thread 0 is the owner of two ports, thread 1 the holder (spaces/spaces.h). The holder claims the ports in turn
 * by their tickets, or is sent send rights to the first, again and again; it sends through each and gives it
 * back. The owner takes what arrives, may free a port, change its limit, ask for no senders, and ask again. Always
 *   - nothing that an honest task says is taken for a lie: no number meets another right, no window is passed;
 *   - messages arrive in order, at the port that the right was to;
 *   - no senders is told when made >= sync, and the holder has no right that it was sent.
 * In the end tables agree (spaces/rest.c); every message that was sent to a port that lives has arrived; the holder's
 * window of each right it has is the port's; a request is there still only if there is a right, or none was made.
 */
#include "spaces/spaces.h"
#include <string.h>

enum { OWNER, HOLDER, TASKS };
enum { PORTS = 2, LIVES = 4 };

struct plan {
        unsigned lives;    /* rights, one after the other */
        unsigned uses;     /* messages through each ... */
        unsigned uses_last; /* ... and through the last; 0: as many */
        uint32_t limit;    /* of the ports; 0: the default */
        bool sent;         /* the owner sends the rights; else they are looked up */
        bool one_port;     /* all of them to the first port */
        bool keeps;        /* the last right is not given back */
        bool frees;        /* the owner frees the first port */
        bool narrows;      /* ... sets the limit of the first port */
        bool asks;         /* ... asks for no senders, and again when it was told */
        unsigned without;  /* enum spaces_rule */
};

static const struct plan *plan(void) { return model_scenario()->arg; }
bool spaces_without(enum spaces_rule rule) { return plan()->without & rule; }

static struct {
        struct ptl_receiver *port[PORTS], *told; /* the owner's */
        struct ptl_receiver *inbox;              /* the holder's */
        ptl_port to_inbox;
        uint64_t ticket[PORTS];
        bool freed;
        unsigned sent, opened, held;             /* rights in messages: published, opened, not given back */
        unsigned used[PORTS], arrived[PORTS];    /* messages */
        unsigned no_senders, news;               /* notifications: all; not looked at */
} s;

static unsigned port_of(unsigned life) { return plan()->one_port || plan()->sent ? 0 : life % PORTS; }

/* --- what the owner is told --- */

void spaces_ready(unsigned task, struct ptl_receiver *port)
{
        const struct ptl_entry *e;

        if (task != OWNER || port != s.told || !port->head)
                return;
        e = ptl_receiver_entry(spaces_space(OWNER), s.port[0]);
        s.no_senders++;
        s.news++;
        if ((s.sent > s.opened || s.held) && !model_dead(HOLDER))
                model_fail("no senders is told, and the holder has a right");
        model_check(!e->senders);
}

void spaces_published(unsigned task) { s.sent += task == OWNER; }

/* --- the owner --- */

static bool send_or_wait(ptl_port to, struct note note, ptl_port right, enum ptl_disposition how,
                         void (*meanwhile)(void))
{
        int r;

        while ((r = spaces_send(to, note, right, how)) == PTL_E_FULL) {
                if (!spaces_wait())
                        return false;
                meanwhile();
        }
        return r == 0;
}

static void take_from(unsigned i)
{
        struct note note = {0};
        ptl_port right;
        uint32_t kind;

        while (!(s.freed && i == 0) && spaces_receive(s.port[i], &note, &right, &kind)) {
                model_check(note.sender == HOLDER && note.tag == i);
                model_check(note.number == s.arrived[i]);
                s.arrived[i]++;
        }
}

/* Told: asks for the next time. What was made meanwhile the count tells of. */
static void take_news(void)
{
        struct note note = {0};
        ptl_port right;
        uint32_t kind, made = ptl_receiver_entry(spaces_space(OWNER), s.port[0])->made;

        while (s.news && spaces_receive(s.told, &note, &right, &kind)) {
                model_check(kind == PTL_NOTIFY_NO_SENDERS);
                s.news--;
                spaces_ask_no_senders(s.port[0], s.told, made + 1);
        }
}

static void take_all(void)
{
        take_from(0);
        take_from(1);
        if (plan()->asks)
                take_news();
}

static void owner(void)
{
        if (plan()->asks)
                spaces_ask_no_senders(s.port[0], s.told, 1);
        for (unsigned i = 0; plan()->sent && i < plan()->lives; i++)
                if (!send_or_wait(s.to_inbox, (struct note){OWNER, i, 0}, s.port[0]->name, PTL_MAKE_SEND, take_all))
                        return;
        for (unsigned i = 0; (plan()->frees || plan()->narrows) && i < 2; i++) {
                spaces_look();
                take_all();
        }
        if (plan()->frees) {
                model_step("frees the port");
                s.freed = true;
                ptl_receiver_free(spaces_space(OWNER), s.port[0]);
        }
        if (plan()->narrows) {
                model_step("sets the limit");
                ptl_receiver_set_limit(spaces_space(OWNER), s.port[0], plan()->limit + 1, 0);
        }
}

/* --- the holder --- */

static void nothing(void) {}

/* Uses it up to the plan's number; then gives it back. */
static void use(ptl_port name, unsigned port, bool is_last)
{
        struct ptl_entry *e;

        unsigned uses = is_last && plan()->uses_last ? plan()->uses_last : plan()->uses;

        for (unsigned i = 0; i < uses; i++) {
                struct note note = {.sender = HOLDER, .number = s.used[port], .tag = port};

                if (!plan()->sent)
                        spaces_look();
                if (!send_or_wait(name, note, PTL_NULL, 0, nothing)) {
                        model_check((s.freed && port == 0) || model_dead(OWNER)); /* no right is lost */
                        break;
                }
                s.used[port]++;
        }
        if (plan()->keeps && is_last)
                return;
        if (ptl_space_look(spaces_space(HOLDER), name, PTL_RIGHT_SEND | PTL_RIGHT_DEAD, &e) == 0)
                spaces_drop(name);
        s.held -= plan()->sent;
}

static void claim_all(void)
{
        for (unsigned i = 0; i < plan()->lives && !spaces_knows_dead(HOLDER, OWNER); i++) {
                unsigned port = port_of(i);
                ptl_port name = spaces_claim(OWNER, s.ticket[port], s.port[port]);

                use(name, port, i + 1 == plan()->lives);
        }
}

static void take_rights(void)
{
        struct note note = {0};
        ptl_port right;
        uint32_t kind;

        while (spaces_receive(s.inbox, &note, &right, &kind)) {
                model_check(note.sender == OWNER && note.number == s.opened);
                s.opened++;
                s.held++;
                use(right, 0, s.opened == plan()->lives);
        }
}

/* --- both --- */

static void go_on(unsigned self)
{
        if (self == OWNER)
                take_all();
        else
                take_rights();
}

static void thread(unsigned self)
{
        if (self == OWNER)
                owner();
        else if (!plan()->sent)
                claim_all();
        while (spaces_wait())
                go_on(self);
}

static void reset(void)
{
        memset(&s, 0, sizeof s);
        spaces_reset(TASKS);
        spaces_keep(&s, sizeof s);
        for (unsigned i = 0; i < PORTS; i++) {
                s.port[i] = spaces_port(OWNER);
                s.ticket[i] = (uint64_t)(77 + i) << 32 | s.port[i]->name;
                ptl_receiver_more(s.port[i])->ticket = s.ticket[i];
                if (plan()->limit)
                        ptl_receiver_set_limit(spaces_space(OWNER), s.port[i], plan()->limit, 0);
        }
        s.told = spaces_port(OWNER);
        s.inbox = spaces_port(HOLDER);
        spaces_link(OWNER, HOLDER);
        s.to_inbox = spaces_grant(HOLDER, s.inbox, OWNER);
        spaces_begin();
}

/* --- in the end --- */

static void check_request(void)
{
        const struct ptl_entry *e = ptl_receiver_entry(spaces_space(OWNER), s.port[0]);
        const struct ptl_receiver_more *m = s.port[0]->more;

        model_check(m->no_senders); /* asked again whenever it was told */
        model_check(e->senders || e->made < m->sync);
        model_check(e->made == (plan()->sent ? s.sent : e->made));
}

static void check_windows(void)
{
        const struct ptl_peer *peer = spaces_peer(OWNER, HOLDER);

        for (unsigned i = 0; i < PORTS; i++) {
                const struct ptl_grant *g =
                        s.freed && i == 0 ? NULL : ptl_grant_at(spaces_space(OWNER), s.port[i]->grants);
                const struct ptl_entry *e = g ? ptl_held_entry(spaces_peer(HOLDER, OWNER), ptl_grant_right(g)) : NULL;

                if (!e || ptl_grant_peer(g) != peer)
                        continue;
                model_check(e->limit_messages == s.port[i]->limit_messages && e->limit_units == s.port[i]->limit_units);
                model_check(e->sent == g->arrived);
        }
}

static bool check(void)
{
        spaces_settle(go_on);
        if (model_dead(OWNER))
                return true;
        if (plan()->asks && !s.freed)
                check_request();
        if (model_dead(HOLDER))
                return true;
        model_check((s.freed || s.arrived[0] == s.used[0]) && s.arrived[1] == s.used[1]);
        model_check(s.opened == s.sent);
        check_windows();
        return true;
}

/* --- cases --- */

/* clang-format off */
#define CASE(n, ...) .name = n, .nthreads = TASKS, .memory = MODEL_SC, .steps = spaces_steps_of_windows, \
                     .state = spaces_state, .arg = &(const struct plan){__VA_ARGS__}, .reset = reset, \
                     .thread = thread, .check = check, .quick = ALL, .deep = ALL
#define ALL          {MODEL_UNBOUNDED, MODEL_UNBOUNDED}
#define FAILS        .expect_failure = true
#define ANY_DIES     .crashes = 1, .may_crash = {true, true}

static const struct scenario cases[] = {
        {CASE("a_port_is_claimed_and_used_at_once", .lives = 1, .uses = 2)},
        {CASE("an_index_is_claimed_again_for_another_port", .lives = 3, .uses = 1, .limit = 1)},
        {CASE("an_index_is_claimed_again_for_the_same_port", .lives = 3, .uses = 1, .limit = 1, .one_port = true)},
        {CASE("a_window_is_kept_to_while_its_index_is_claimed_again", .lives = 2, .uses = 2, .uses_last = 3,
              .limit = 1, .one_port = true)},
        {CASE("the_port_is_freed_while_its_index_is_claimed_again", .lives = 3, .uses = 1, .limit = 1, .frees = true)},
        {CASE("the_limit_is_set_while_its_index_is_claimed_again", .lives = 3, .uses = 1, .limit = 1, .narrows = true,
              .keeps = true)},
        {CASE("no_senders_is_told_and_asked_for_again_between_claims", .lives = 3, .uses = 1, .one_port = true,
              .asks = true)},
        {CASE("a_claim_that_stays_is_a_sender", .lives = 2, .uses = 1, .one_port = true, .asks = true, .keeps = true)},
        {CASE("a_right_is_granted_again_while_it_comes_back", .lives = 3, .sent = true, .keeps = true)},
        {CASE("a_right_that_is_used_is_granted_again_while_it_comes_back", .lives = 3, .uses = 1, .sent = true,
              .limit = 1, .keeps = true)},
        {CASE("no_senders_is_told_and_asked_for_again_while_rights_cross", .lives = 3, .sent = true, .asks = true)},
        {CASE("no_senders_is_told_behind_what_was_sent", .lives = 2, .uses = 1, .sent = true, .asks = true)},
        {CASE("the_port_is_freed_while_rights_cross", .lives = 2, .uses = 1, .sent = true, .frees = true)},
        {CASE("the_limit_is_set_while_rights_cross", .lives = 2, .uses = 1, .limit = 1, .sent = true, .narrows = true,
              .keeps = true)},

        {CASE("either_dies_while_an_index_is_claimed_again", .lives = 2, .uses = 1, .limit = 1, .asks = true),
         ANY_DIES},
        {CASE("either_dies_while_rights_cross", .lives = 2, .uses = 1, .limit = 1, .sent = true, .asks = true),
         ANY_DIES},
        {CASE("either_dies_while_the_port_is_freed", .lives = 2, .uses = 1, .sent = true, .frees = true), ANY_DIES},

        {CASE("without_generations_news_of_the_earlier_right_is_taken_for_the_later_ones", .lives = 3, .uses = 1,
              .limit = 1, .frees = true, .without = SPACES_GENERATIONS), FAILS},
        {CASE("a_word_that_is_believed_before_confirm_is_the_earlier_rights", .lives = 2, .uses = 2,
              .uses_last = 3, .limit = 1, .one_port = true, .without = SPACES_WORD_OF_ITS_OWN), FAILS},
        {CASE("a_right_granted_again_whose_count_begins_anew_passes_its_window", .lives = 3, .uses = 1, .sent = true,
              .limit = 1, .keeps = true, .without = SPACES_COUNT_GOES_ON), FAILS},
        {.name = NULL},
};
/* clang-format on */

int main(int argc, char **argv) { return explore_main(argc, argv, cases); }
