/* SPDX-License-Identifier: Apache-2.0 */
/* port/handoff_test.c - messages that wait for an answer about their rights (H7), and who may pass them */
#include "port/handoff.h"
#include "tst.h"

static struct ptl_space space;
static struct ptl_receiver *port;
static unsigned ready;

/* Nobody looks into them. */
static struct ptl_peer *const anna = (void *)&space, *const bert = (void *)&port;

static void on_ready(struct ptl_space *s, struct ptl_receiver *r) { ready += s == &space && r == port; }

static void begin(void)
{
        ptl_port name;

        ptl_space_init(&space);
        space.ready = on_ready;
        CHECK_EQ(ptl_receiver_new(&space, 0, 0, &name), 0);
        port = ptl_receiver_of(&space, name);
}

static struct ptl_queued *put(struct ptl_peer *sender, bool waits)
{
        struct ptl_queued *q = ptl_queued_new(&space, 0);

        CHECK(q);
        q->peer = sender;
        q->unsettled = waits;
        ptl_receiver_put(&space, port, q);
        return q;
}

static bool takes(struct ptl_queued *expected)
{
        struct ptl_queued *q = ptl_receiver_take(&space, port);

        if (q != expected)
                return false;
        if (q) {
                q->peer = NULL;
                ptl_queued_free(&space, q);
        }
        return true;
}

static void end(void)
{
        CHECK(takes(NULL) && port->queued == 0);
        while (space.cells) {
                struct ptl_queued *q = space.cells;

                space.cells = q->next;
                free(q);
        }
        free(port->more);
        ptl_receivers_fini(&space);
        ptl_table_fini(&space.receivers);
        ptl_table_fini(&space.entries);
}

TEST(messages_that_do_not_wait_are_taken_in_turn)
{
        struct ptl_queued *one, *two;

        begin();
        one = put(anna, false);
        two = put(bert, false);
        CHECK(takes(one) && takes(two));
        end();
}

TEST(a_message_that_waits_holds_its_sender_s_later_ones_and_no_other)
{
        struct ptl_queued *waits, *later, *other;

        begin();
        waits = put(anna, true);
        later = put(anna, false);
        CHECK(takes(NULL));
        other = put(bert, false);
        CHECK(takes(other) && takes(NULL));
        waits->unsettled = 0;
        CHECK(takes(waits) && takes(later));
        end();
}

TEST(what_is_put_behind_one_taken_from_the_middle_is_the_last)
{
        struct ptl_queued *waits, *other, *last;

        begin();
        waits = put(anna, true);
        other = put(bert, false);
        CHECK(takes(other));
        last = put(bert, true);
        CHECK(takes(NULL));
        last->unsettled = 0;
        CHECK(takes(last) && takes(NULL));
        waits->unsettled = 0;
        CHECK(takes(waits));
        CHECK(takes(put(anna, false)));
        end();
}

TEST(a_set_passes_over_a_port_all_of_whose_messages_wait)
{
        struct ptl_set set = {.descriptor = -EBADF, .poll = -EBADF};
        struct ptl_queued *waits;

        begin();
        CHECK_EQ(ptl_set_join(&set, port), 0);
        CHECK(!ptl_set_pick(&set));
        waits = put(anna, true);
        CHECK(!ptl_set_pick(&set));
        waits->unsettled = 0;
        CHECK(ptl_set_pick(&set) == port);
        CHECK_EQ(ready, 1);
        CHECK(takes(waits));
        ptl_set_leave(port);
        end();
}
