/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claims_test.c - an index that was claimed, given back, and claimed for another port
 *
 * The owner of both ports looks at nothing in between: what was sent through the first right is
 * still under way then, and so is, towards us, what the owner says of it.
 */
#include "roles.h"
#include "task/task.h"

enum { LIMIT = 4 };

/* ---- the owner ---- */

static void say_taken(ptl_port p, int n)
{
        char text[256] = "";

        while (n-- > 0) {
                struct ptl_message m = take_message(p);

                strncat(text, m.data, sizeof text - strlen(text) - 1);
                ptl_message_release(&m);
        }
        peer_say(NULL, "%s", text);
}

/* owner: publishes "one" and "two", and obeys: take PORT N, empty PORT, limit PORT N. */
PEER(owner)
{
        ptl_port ports[] = {new_port_of(LIMIT, 0), new_port_of(LIMIT, 0)};
        char line[64];
        int i, n;

        OK(ptl_name_publish("one", ports[0]));
        OK(ptl_name_publish("two", ports[1]));
        peer_say(NULL, "published");
        while (peer_hear_line(NULL, line, sizeof line)) {
                if (sscanf(line, "take %d %d", &i, &n) == 2) {
                        say_taken(ports[i], n);
                        continue;
                }
                if (sscanf(line, "limit %d %d", &i, &n) == 2)
                        OK(ptl_port_set_limit(ports[i], &(struct ptl_port_options){
                                                                .limit_messages = (uint32_t)n}));
                else if (sscanf(line, "empty %d", &i) == 1)
                        check_empty(ports[i]);
                else
                        CHECK(!"a command");
                peer_say(NULL, "done");
        }
        CHECK_EQ(statistics().lies, 0);
}

static void order(struct peer *peer, const char *command, const char *answer)
{
        peer_say(peer, "%s", command);
        peer_hear(peer, answer);
}

static struct peer start_owner(void)
{
        struct peer peer;

        peer_start(&peer, "owner", NULL);
        peer_hear(&peer, "published");
        return peer;
}

/* ---- this task ---- */

static uint32_t index_of(ptl_port p)
{
        return ptl_right_index(ptl_space_entry(&ptl_the_task.space, p)->remote);
}

/* What the owner has said by now is read. */
static void look(void)
{
        ptl_port p = new_port();

        for (int i = 0; i < 3; i++)
                OUTCOME(ptl_receive(p, &(struct ptl_message){.size = 0}, ptl_after_ms(5)),
                        PTL_E_TIMEOUT);
        OK(ptl_port_free(p));
}

/* The owner has read the claim, and answered. */
static void confirmed(struct peer *owner)
{
        while (ptl_the_task.space.ways.count) {
                order(owner, "empty 1", "done");
                look();
        }
}

/* The right to "one", which is confirmed, is given back, and its index is that of the right to "two". (What was sent
 * through one that is not keeps it until then.) */
static ptl_port go_on_to_two(struct peer *owner, ptl_port one)
{
        uint32_t index = index_of(one);
        ptl_port two;

        confirmed(owner);
        OK(ptl_right_release(one));
        two = look_up("two");
        CHECK_EQ(index_of(two), index);
        return two;
}

static int send_all_that_fits(ptl_port p, const char *text)
{
        int n = 0, r;

        while (!(r = ptl_send(p, text, strlen(text) + 1, PTL_NOW)))
                CHECK(++n < 100);
        OUTCOME(r, PTL_E_FULL);
        return n;
}

API_TEST(frames_under_way_to_a_right_given_back_do_not_come_through_the_next_one)
{
        struct peer peer = start_owner();
        ptl_port one = look_up("one"), two;

        put(one, "first,");
        order(&peer, "take 0 1", "first,");
        confirmed(&peer);
        for (int i = 0; i < 3; i++)
                put(one, "old,");
        two = go_on_to_two(&peer, one);
        put(two, "new,");
        put(two, "new,");
        order(&peer, "take 0 3", "old,old,old,");
        order(&peer, "take 1 2", "new,new,");
        order(&peer, "empty 0", "done");
        order(&peer, "empty 1", "done");
        peer_end(&peer);
}

API_TEST(what_was_taken_through_a_right_given_back_is_no_room_for_the_next_one)
{
        struct peer peer = start_owner();
        ptl_port one = look_up("one"), two;

        for (int i = 0; i < 3; i++)
                put(one, "old,");
        order(&peer, "take 0 3", "old,old,old,");
        two = go_on_to_two(&peer, one);
        CHECK_EQ(send_all_that_fits(two, "new,"), LIMIT);
        order(&peer, "take 1 4", "new,new,new,new,");
        put(two, "more,"); /* its own count is believed */
        order(&peer, "take 1 1", "more,");
        peer_end(&peer);
}

API_TEST(what_is_taken_late_through_a_right_given_back_is_no_room_for_the_next_one)
{
        struct peer peer = start_owner();
        ptl_port one = look_up("one"), two;

        for (int i = 0; i < 3; i++)
                put(one, "old,");
        two = go_on_to_two(&peer, one);
        put(two, "new,");
        order(&peer, "take 0 3", "old,old,old,");
        look();
        CHECK_EQ(send_all_that_fits(two, "new,"), LIMIT - 1);
        order(&peer, "take 1 4", "new,new,new,new,");
        peer_end(&peer);
}

API_TEST(the_window_of_a_right_given_back_is_not_the_next_ones)
{
        struct peer peer = start_owner();
        ptl_port one = look_up("one"), two;

        put(one, "old,");
        order(&peer, "take 0 1", "old,");
        two = go_on_to_two(&peer, one);
        order(&peer, "limit 0 1000", "done");
        look();
        CHECK_EQ(send_all_that_fits(two, "new,"), LIMIT);
        order(&peer, "take 1 4", "new,new,new,new,");
        peer_end(&peer);
}
