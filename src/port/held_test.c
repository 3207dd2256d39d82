/* SPDX-License-Identifier: Apache-2.0 */
/* port/held_test.c - rights to a peer's ports: claims found by their tickets, counts of what was given back */
#include "port/receiver.h"
#include "tst.h"

static struct ptl_space space;
static struct ptl_peer *peer;

/* A link's part that is about rights held. It is dead, so that nothing is told. */
static void begin(void)
{
        ptl_space_init(&space);
        peer = calloc(1, sizeof *peer);
        CHECK(peer);
        peer->space = &space;
        peer->references = 1;
        peer->link.state = PTL_LINK_DEAD;
        ptl_held_init(peer);
}

static void end(void)
{
        CHECK_EQ(peer->references, 1);
        ptl_held_fini(peer);
        free(peer);
        ptl_table_fini(&space.entries);
}

static ptl_port claim(uint64_t ticket) { return ptl_held_claim(peer, ticket, 4, 1024); }

static void give_up(ptl_port name)
{
        struct ptl_entry *e = ptl_space_entry(&space, name);

        CHECK(e);
        ptl_right_drop(&space, e, e->references);
        CHECK(!ptl_space_entry(&space, name));
}

/* As a port's task makes them: its name for the port, and what nobody can guess. */
static uint64_t ticket_of(uint32_t i) { return (uint64_t)0x5ca1ab1e << 32 | (i + 1); }

/* A search from the first to the last would take some 10^11 steps. */
TEST(each_of_half_a_million_claims_is_found_at_once)
{
        enum { N = 500000 };
        static ptl_port names[N];

        begin();
        for (uint32_t i = 0; i < N; i++)
                CHECK((names[i] = claim(ticket_of(i))));
        for (uint32_t i = 0; i < N; i++)
                CHECK_EQ(claim(ticket_of(i)), names[i]);
        CHECK_EQ(ptl_space_entry(&space, names[N - 1])->references, 2);
        for (uint32_t i = 0; i < N; i++)
                give_up(names[i]);
        end();
}

TEST(a_ticket_whose_right_was_given_up_is_claimed_anew)
{
        ptl_port first, second, other;

        begin();
        first = claim(ticket_of(1));
        other = claim(ticket_of(2));
        give_up(first);
        second = claim(ticket_of(1));
        CHECK(second && second != first);
        CHECK_EQ(claim(ticket_of(1)), second);
        CHECK_EQ(claim(ticket_of(2)), other);
        give_up(second);
        give_up(other);
        end();
}

/* A right that is redeemed shows no ticket (port/handoff.h): a name that came from elsewhere is not its. */
TEST(a_claim_without_a_ticket_is_found_by_none)
{
        struct ptl_entry *e;
        uint32_t number;
        ptl_port hidden;

        begin();
        number = ptl_claim_take(peer, 0);
        hidden = ptl_held_enter(peer, ptl_held_name(peer, number), PTL_RIGHT_SEND, number, &e);
        CHECK(hidden);
        CHECK(claim(0) != hidden);
        CHECK(claim(0) != hidden);
        CHECK_EQ(e->references, 1);
        CHECK(ptl_held_entry(peer, number) == e);
        ptl_held_fini(peer);
        free(peer);
        ptl_table_fini(&space.entries);
}

/* The peer grants it again before it reads that it was given back. */
TEST(a_right_that_comes_again_goes_on_counting_and_one_of_its_index_does_not)
{
        const uint32_t right = ptl_right_make(7, 1), next = ptl_right_make(7, 2);
        struct ptl_entry *e;
        ptl_port name;

        begin();
        name = ptl_held_send(peer, right, 4, 1024);
        CHECK((e = ptl_space_entry(&space, name)));
        e->sent = 5;
        e->sent_units = 9;
        ptl_held_remember(peer, e);
        give_up(name);
        name = ptl_held_send(peer, right, 4, 1024);
        CHECK((e = ptl_space_entry(&space, name)));
        CHECK_EQ(e->sent, 5);
        CHECK_EQ(e->sent_units, 9);
        ptl_held_remember(peer, e);
        give_up(name);
        name = ptl_held_send(peer, next, 4, 1024);
        CHECK((e = ptl_space_entry(&space, name)));
        CHECK_EQ(e->sent, 0);
        CHECK_EQ(e->sent_units, 0);
        ptl_held_remember(peer, e); /* nothing was sent through it: what was of the index before is of no use now */
        CHECK_EQ(peer->given_back.used, 0);
        give_up(name);
        end();
}

/* No port's window is wider, whatever its task says. */
TEST(a_window_wider_than_any_is_the_widest)
{
        struct ptl_entry *e;
        ptl_port name;

        begin();
        name = ptl_held_send(peer, ptl_right_make(3, 0), UINT32_MAX, UINT32_MAX);
        CHECK((e = ptl_space_entry(&space, name)));
        CHECK_EQ(e->limit_messages, PTL_LIMIT_MESSAGES_MAX);
        CHECK_EQ(e->limit_units, UINT32_MAX / 4);
        give_up(name);
        end();
}
