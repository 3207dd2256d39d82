/* SPDX-License-Identifier: Apache-2.0 */
/* orphans_test.c - messages whose sender gave its right back and took another: there is a bound to them */
#include "roles.h"

enum { KIND_TAKE = 50, KIND_FREE = 51, LARGE = 1 << 20, AT_ONCE = 8, BOUND = 64, ROUNDS = 2 * BOUND / AT_ONCE };

static uint32_t take_queued(ptl_port p)
{
        struct ptl_message m;
        uint32_t n = 0;

        for (; ptl_receive(p, &m, PTL_NOW) == 0; n++)
                ptl_message_release(&m);
        return n;
}

/* hoards: "pile" is received from when it is told on "tell", or freed. */
PEER(hoards)
{
        ptl_port pile = new_port_of(AT_ONCE, 0), told = new_port();
        struct ptl_message m;

        (void)argc;
        (void)argv;
        OK(ptl_name_publish("pile", pile));
        OK(ptl_name_publish("tell", told));
        while (ptl_receive(told, &m, PTL_FOREVER) == 0 && m.kind != KIND_QUIT) {
                uint32_t n = m.kind == KIND_TAKE ? take_queued(pile) : 0;

                if (m.kind == KIND_FREE) {
                        OK(ptl_port_free(pile));
                        pile = new_port_of(AT_ONCE, 0);
                        OK(ptl_name_publish("pile", pile));
                }
                OK(ptl_reply(&m, &n, sizeof n));
                ptl_message_release(&m);
        }
        ptl_message_release(&m);
}

static uint32_t tell(ptl_port hoarder, uint32_t kind)
{
        struct ptl_outgoing out = {.kind = kind};
        struct ptl_message answer;
        uint32_t n;

        OK(ptl_call_message(hoarder, &out, &answer, 0, soon()));
        memcpy(&n, answer.data, sizeof n);
        ptl_message_release(&answer);
        return n;
}

/* Fills the window of a right that it then gives back; false: the right was refused. */
static bool pile_up(ptl_port hoarder, const char *bytes)
{
        ptl_port p = look_up("pile");
        bool alive;

        for (int i = 0; i < AT_ONCE; i++)
                (void)!ptl_send(p, bytes, LARGE, soon());
        tell(hoarder, PTL_KIND_NONE); /* it has read all that by now */
        alive = status_of(p).rights == PTL_RIGHT_SEND;
        OK(ptl_right_release(p));
        return alive;
}

static unsigned pile_up_all(ptl_port hoarder)
{
        char *bytes = calloc(1, LARGE);
        unsigned n = 0;

        CHECK(bytes);
        while (n < ROUNDS && pile_up(hoarder, bytes))
                n++;
        free(bytes);
        return n;
}

API_TEST(who_claims_again_and_again_is_refused_until_some_was_taken)
{
        struct peer peer;
        ptl_port hoarder;
        unsigned n;

        peer_start(&peer, "hoards", NULL);
        hoarder = look_up("tell");
        n = pile_up_all(hoarder);
        CHECK_EQ(n, BOUND / AT_ONCE); /* that many MiB, and what each message costs beside */
        CHECK_EQ(pile_up_all(hoarder), 0);
        CHECK_EQ(tell(hoarder, KIND_TAKE), n * AT_ONCE); /* what was let in is there */
        CHECK_EQ(pile_up_all(hoarder), n);
        tell(hoarder, KIND_FREE); /* what is destroyed counts no more, either */
        CHECK_EQ(pile_up_all(hoarder), n);
        OK(ptl_send_message(hoarder, &(struct ptl_outgoing){.kind = KIND_QUIT}, soon()));
        peer_end(&peer);
}
