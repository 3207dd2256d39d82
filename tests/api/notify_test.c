/* SPDX-License-Identifier: Apache-2.0 */
/* What a task is told of its rights: ptl_right_request() within one task. */
#include "counts.h"

static const uint32_t kinds[] = {PTL_NOTIFY_DEAD_NAME, PTL_NOTIFY_NO_SENDERS,
                                 PTL_NOTIFY_PORT_DESTROYED};

/* --- requests (M-96) --- */

API_TEST(m96_a_new_request_gives_the_previous_right_back)
{
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
                ptl_port p = new_send_port(), first = new_port(), second = new_port(),
                         previous = PTL_NULL;

                ask(p, kinds[i], 0, first);
                OK(ptl_right_request(p, kinds[i], 0, second, &previous));
                check_rights(previous, PTL_RIGHT_SEND_ONCE, 1);
                check_empty(first);
                put(previous, "by hand");
                take(first, "by hand");
                CHECK_EQ(counts_of(first).once, 0);
                CHECK_EQ(counts_of(second).once, 1);
        }
}

API_TEST(m96_null_cancels_and_gives_the_right_back)
{
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
                ptl_port p = new_send_port(), n = new_port(), previous = PTL_NULL;

                ask(p, kinds[i], 0, n);
                OK(ptl_right_request(p, kinds[i], 0, PTL_NULL, &previous));
                OK(ptl_right_destroy(p));
                check_empty(n);
                OK(ptl_right_release(previous));
                take_unused(n);
        }
}

API_TEST(cancelling_nothing_is_fine)
{
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
                ask(new_send_port(), kinds[i], 0, PTL_NULL);
}

API_TEST(m29_a_previous_right_that_nobody_takes_tells_its_port)
{
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
                ptl_port p = new_send_port(), n = new_port();

                ask(p, kinds[i], 0, n);
                OK(ptl_right_request(p, kinds[i], 0, PTL_NULL, NULL));
                take_unused(n);
        }
}

API_TEST(a_send_once_right_is_consumed_by_a_request_that_succeeds)
{
        ptl_port p = new_send_port(), n = new_port(), once = new_once(n);

        OUTCOME(ptl_right_request(p, PTL_NOTIFY_PORT_DESTROYED, 1, once, NULL), PTL_E_INVALID);
        OUTCOME(ptl_right_request(once, PTL_NOTIFY_NO_SENDERS, 0, once, NULL), PTL_E_RIGHT);
        OUTCOME(ptl_right_request(once, PTL_NOTIFY_DEAD_NAME, 0, once, NULL), PTL_E_INVALID);
        OUTCOME(ptl_right_request(stale_name(), PTL_NOTIFY_NO_SENDERS, 0, once, NULL), PTL_E_NAME);
        check_rights(once, PTL_RIGHT_SEND_ONCE, 1);
        ask(p, PTL_NOTIFY_NO_SENDERS, 0, once);
        check_no_name(once);
        check_empty(n);
        CHECK_EQ(counts_of(n).once, 1);
        OK(ptl_right_release(p));
        take_no_senders(n, 1);
        CHECK_EQ(counts_of(n).once, 0);
}

static const struct bad_row {
        const char *name;
        uint32_t kind, sync;
        int outcome;
} bad_kinds[] = {
        {"no kind",                  PTL_KIND_NONE,               0, PTL_E_INVALID},
        {"the program's",            7,                           0, PTL_E_INVALID},
        {"send-once",                PTL_NOTIFY_SEND_ONCE,        0, PTL_E_INVALID},
        {"message accepted",         PTL_NOTIFY_MESSAGE_ACCEPTED, 0, PTL_E_INVALID},
        {"port deleted",             PTL_NOTIFY_PORT_DELETED,     0, PTL_E_INVALID},
        {"port destroyed with sync", PTL_NOTIFY_PORT_DESTROYED,   9, PTL_E_INVALID},
};

API_TEST(m96_what_cannot_be_asked_for_is_refused)
{
        ptl_port p = new_send_port(), n = new_port();

        for (size_t i = 0; i < ARRAY_LEN(bad_kinds); i++)
                CHECK_ROW(i, &bad_kinds[i],
                          ptl_right_request(p, bad_kinds[i].kind, bad_kinds[i].sync, n, NULL) ==
                                  bad_kinds[i].outcome);
        check_empty(n);
        CHECK_EQ(counts_of(n).once, 0);
}

API_TEST(m96_who_is_told_must_be_a_port_of_this_task)
{
        ptl_port p = new_send_port(), set = new_set(), dead = new_send_port(), gone = new_port();
        ptl_port late = new_once(gone);

        OK(ptl_port_free(dead));
        OK(ptl_port_free(gone));
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
                OUTCOME(ptl_right_request(p, kinds[i], 0, set, NULL), PTL_E_RIGHT);
                OUTCOME(ptl_right_request(p, kinds[i], 0, dead, NULL), PTL_E_DEAD);
                OUTCOME(ptl_right_request(p, kinds[i], 0, late, NULL), PTL_E_DEAD);
                OUTCOME(ptl_right_request(p, kinds[i], 0, stale_name(), NULL), PTL_E_NAME);
                OUTCOME(ptl_right_request(set, kinds[i], 0, p, NULL), PTL_E_RIGHT);
        }
        OUTCOME(ptl_right_request(dead, PTL_NOTIFY_NO_SENDERS, 0, p, NULL), PTL_E_RIGHT);
        check_rights(late, PTL_RIGHT_DEAD, 1);
}

API_TEST(a_request_whose_listener_is_gone_gives_nothing_back)
{
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
                ptl_port p = new_send_port(), n = new_port(), second = new_port();

                uint32_t type;

                ask(p, kinds[i], 0, n);
                OK(ptl_port_free(n));
                OK(ptl_right_type(p, &type)); /* nobody asks any more */
                CHECK_EQ(type, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND);
                CHECK_EQ(counts_of(p).asked, 0);
                ask(p, kinds[i], 0, second);
                OK(ptl_right_destroy(p));
        }
}

/* --- dead names (M-28, M-95, M-90) --- */

API_TEST(m28_a_dead_name_is_told_with_one_more_reference)
{
        ptl_port p = new_send_port(), n = new_port();

        ask(p, PTL_NOTIFY_DEAD_NAME, 0, n);
        OK(ptl_port_free(p));
        take_dead_name(n, p);
        check_rights(p, PTL_RIGHT_DEAD, 2);
}

API_TEST(m28_a_name_that_is_dead_already_is_told_only_with_sync)
{
        ptl_port p = new_send_port(), n = new_port();

        OK(ptl_port_free(p));
        OUTCOME(ptl_right_request(p, PTL_NOTIFY_DEAD_NAME, 0, n, NULL), PTL_E_DEAD);
        OUTCOME(ptl_right_request(p, PTL_NOTIFY_DEAD_NAME, 1, PTL_NULL, NULL), PTL_E_DEAD);
        check_empty(n);
        ask(p, PTL_NOTIFY_DEAD_NAME, 1, n);
        take_dead_name(n, p);
        check_rights(p, PTL_RIGHT_DEAD, 2);
}

API_TEST(m23_a_dead_name_that_is_full_gets_no_more)
{
        ptl_port p = new_send_port(), n = new_port();

        OK(ptl_right_change(p, PTL_RIGHT_SEND, 65534));
        ask(p, PTL_NOTIFY_DEAD_NAME, 0, n);
        OK(ptl_port_free(p));
        take_dead_name(n, p);
        check_rights(p, PTL_RIGHT_DEAD, 65535);
        OUTCOME(ptl_right_request(p, PTL_NOTIFY_DEAD_NAME, 1, n, NULL), PTL_E_QUOTA);
        check_empty(n);
}

static void end_by_release(ptl_port once) { OK(ptl_right_release(once)); }
static void end_by_destroy(ptl_port once) { OK(ptl_right_destroy(once)); }
static void end_by_use(ptl_port once) { put(once, "used"); }

static void end_by_move(ptl_port once)
{
        ptl_port other = new_send_port();

        put_right(other, once, PTL_MOVE_SEND_ONCE);
}

static void end_by_request(ptl_port once) { ask(new_send_port(), PTL_NOTIFY_NO_SENDERS, 0, once); }

API_TEST(m90_a_name_that_ends_is_told_deleted)
{
        void (*const ends[])(ptl_port) = {end_by_release, end_by_destroy, end_by_use, end_by_move,
                                          end_by_request};

        for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
                ptl_port p = new_port(), n = new_port(), once = new_once(p);

                ask(once, PTL_NOTIFY_DEAD_NAME, 0, n);
                ends[i](once);
                take_deleted(n, once);
                check_no_name(once);
                OK(ptl_port_free(p));
                check_empty(n);
        }
}

API_TEST(m90_a_receive_right_that_goes_alone_is_told_deleted)
{
        ptl_port p = new_port(), n = new_port();

        ask(p, PTL_NOTIFY_DEAD_NAME, 0, n);
        OK(ptl_port_free(p));
        take_deleted(n, p);
}

API_TEST(m90_destroying_both_rights_of_a_name_is_told_deleted)
{
        ptl_port p = new_send_port(), n = new_port();

        ask(p, PTL_NOTIFY_DEAD_NAME, 0, n);
        OK(ptl_right_destroy(p));
        take_deleted(n, p);
}

API_TEST(a_send_right_that_goes_from_a_receive_rights_name_ends_no_name)
{
        ptl_port p = new_send_port(), n = new_port();

        ask(p, PTL_NOTIFY_DEAD_NAME, 0, n);
        OK(ptl_right_release(p));
        check_empty(n);
        OK(ptl_right_make_send(p));
        OK(ptl_port_free(p));
        take_dead_name(n, p);
}

/* --- no senders (M-93) --- */

API_TEST(m93_the_last_send_right_is_told_with_the_make_send_count)
{
        ptl_port p = new_send_port(), n = new_port();

        OK(ptl_right_ref(p));
        OK(ptl_right_make_send(p));
        ask(p, PTL_NOTIFY_NO_SENDERS, 0, n);
        OK(ptl_right_release(p));
        OK(ptl_right_release(p));
        check_empty(n);
        OK(ptl_right_release(p));
        take_no_senders(n, 2);
        OK(ptl_right_make_send(p));
        OK(ptl_right_release(p));
        check_empty(n); /* one request, one notification */
}

API_TEST(m93_a_port_without_senders_is_told_at_once)
{
        ptl_port p = new_port(), n = new_port();

        ask(p, PTL_NOTIFY_NO_SENDERS, 0, n);
        take_no_senders(n, 0);
        CHECK_EQ(counts_of(p).asked, 0);
}

API_TEST(m93_nobody_is_told_before_the_count_is_sync)
{
        ptl_port p = new_port(), n = new_port();

        ask(p, PTL_NOTIFY_NO_SENDERS, 2, n);
        check_empty(n);
        OK(ptl_right_make_send(p));
        OK(ptl_right_release(p));
        check_empty(n);
        CHECK_EQ(counts_of(p).asked, 1);
        OK(ptl_right_make_send(p));
        check_empty(n);
        OK(ptl_right_release(p));
        take_no_senders(n, 2);
}

API_TEST(m93_setting_the_count_tells_who_waited_for_it)
{
        ptl_port p = new_port(), n = new_port();

        ask(p, PTL_NOTIFY_NO_SENDERS, 9, n);
        OK(ptl_port_set_made(p, 8));
        check_empty(n);
        OK(ptl_port_set_made(p, 9));
        take_no_senders(n, 9);
}

API_TEST(m93_the_race_guard_shows_a_right_made_while_the_notification_was_under_way)
{
        ptl_port p = new_send_port(), n = new_port();
        struct ptl_notification told;

        ask(p, PTL_NOTIFY_NO_SENDERS, 0, n);
        OK(ptl_right_release(p));
        OK(ptl_right_make_send(p)); /* before the program looks */
        told = take_notification(n, PTL_NOTIFY_NO_SENDERS);
        CHECK_EQ(told.value, 1);
        CHECK_EQ(made_of(p), 2);
        ask(p, PTL_NOTIFY_NO_SENDERS, made_of(p), n);
        check_empty(n);
        OK(ptl_right_release(p));
        take_no_senders(n, 2);
}

API_TEST(m93_send_once_rights_are_no_senders)
{
        ptl_port p = new_send_port(), n = new_port(), once = new_once(p);

        ask(p, PTL_NOTIFY_NO_SENDERS, 0, n);
        OK(ptl_right_release(p));
        take_no_senders(n, 1);
        put(once, "still");
        take(p, "still");
}

API_TEST(a_right_in_a_message_is_a_sender_until_it_is_given_up)
{
        ptl_port p = new_send_port(), q = new_send_port(), n = new_port();

        ask(p, PTL_NOTIFY_NO_SENDERS, 0, n);
        put_right(q, p, PTL_MOVE_SEND);
        check_rights(p, PTL_RIGHT_RECEIVE, 0);
        check_empty(n);
        CHECK_EQ(take_right(q), p);
        check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
        check_empty(n);
        OK(ptl_right_release(p));
        take_no_senders(n, 1);
}

API_TEST(a_right_in_a_message_that_is_destroyed_is_no_sender_any_more)
{
        ptl_port p = new_port(), q = new_send_port(), n = new_port();

        put_right(q, p, PTL_MAKE_SEND);
        put_right(q, p, PTL_MAKE_SEND);
        ask(p, PTL_NOTIFY_NO_SENDERS, 0, n);
        check_empty(n);
        OK(ptl_port_free(q));
        take_no_senders(n, 2);
}

API_TEST(a_message_in_the_queue_holds_the_right_it_came_through)
{
        ptl_port p = new_send_port(), n = new_port(), once = new_once(p);

        ask(p, PTL_NOTIFY_NO_SENDERS, 0, n);
        put(p, "1");
        put(p, "2");
        put(once, "a send-once right's");
        OK(ptl_right_release(p));
        check_empty(n);
        take(p, "1");
        check_empty(n);
        take(p, "2");
        take_no_senders(n, 1);
        take(p, "a send-once right's");
}

API_TEST(a_message_through_a_send_once_right_is_no_sender)
{
        ptl_port p = new_send_port(), n = new_port(), once = new_once(p);

        ask(p, PTL_NOTIFY_NO_SENDERS, 0, n);
        put(once, "waits");
        OK(ptl_right_release(p));
        take_no_senders(n, 1);
}

API_TEST(a_published_name_is_a_sender)
{
        ptl_port p = new_port(), n = new_port();

        OK(ptl_name_publish("one", p));
        OK(ptl_name_publish("two", p));
        ask(p, PTL_NOTIFY_NO_SENDERS, 0, n);
        CHECK_EQ(counts_of(p).has_senders, 1);
        OK(ptl_name_withdraw("one"));
        check_empty(n);
        OK(ptl_name_withdraw("two"));
        take_no_senders(n, 0);
}

API_TEST(m93_a_port_that_dies_cancels_and_the_right_tells_so)
{
        ptl_port p = new_send_port(), n = new_port();

        ask(p, PTL_NOTIFY_NO_SENDERS, 0, n);
        OK(ptl_port_free(p));
        take_unused(n);
}

API_TEST(a_port_can_be_told_of_its_own_senders)
{
        ptl_port p = new_send_port();

        ask(p, PTL_NOTIFY_NO_SENDERS, 0, p);
        put(p, "first");
        OK(ptl_right_release(p));
        take(p, "first");
        take_no_senders(p, 1);
        OK(ptl_port_free(p));
}

/* --- port destroyed (M-92) --- */

API_TEST(m92_a_receive_right_is_mailed_with_its_queue)
{
        ptl_port p = new_send_port(), n = new_port();

        ask(p, PTL_NOTIFY_PORT_DESTROYED, 0, n);
        put(p, "1");
        OK(ptl_port_free(p));
        check_rights(p, PTL_RIGHT_SEND, 1);
        put(p, "2"); /* the port lives on */
        OUTCOME(ptl_receive(p, &(struct ptl_message){.size = 0}, PTL_NOW), PTL_E_RIGHT);
        take_destroyed(n, p);
        check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
        take(p, "1");
        take(p, "2");
        OK(ptl_port_free(p)); /* one request, one mail */
        check_empty(n);
        check_rights(p, PTL_RIGHT_DEAD, 1);
}

API_TEST(m92_a_name_without_a_send_right_is_refused_while_it_is_in_the_mail)
{
        ptl_port p = new_port(), n = new_port(), once = new_once(p);

        ask(p, PTL_NOTIFY_PORT_DESTROYED, 0, n);
        OK(ptl_right_destroy(p));
        check_no_name(p);
        for (int i = 0; i < 100; i++)
                CHECK(new_port() != p);
        put(once, "in the mail");
        take_destroyed(n, p);
        check_rights(p, PTL_RIGHT_RECEIVE, 0);
        take(p, "in the mail");
}

API_TEST(m92_a_send_right_that_comes_home_meets_its_port_in_the_mail)
{
        ptl_port p = new_send_port(), n = new_port(), q = new_send_port();

        put_right(q, p, PTL_MOVE_SEND);
        ask(p, PTL_NOTIFY_PORT_DESTROYED, 0, n);
        OK(ptl_port_free(p));
        check_no_name(p);
        CHECK_EQ(take_right(q), p);
        check_rights(p, PTL_RIGHT_SEND, 1);
        put_right(q, p, PTL_COPY_SEND);
        OK(ptl_right_release(p));
        check_no_name(p);
        take_destroyed(n, p);
        CHECK_EQ(take_right(q), p);
        check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
}

API_TEST(m92_a_moved_receive_right_counts_from_nothing_and_loses_its_other_request)
{
        ptl_port p = new_send_port(), n = new_port(), senders = new_port(), asked = new_port();

        put(p, "x");
        take(p, "x");
        ask(p, PTL_NOTIFY_PORT_DESTROYED, 0, n);
        ask(p, PTL_NOTIFY_NO_SENDERS, 0, senders);
        ask(p, PTL_NOTIFY_DEAD_NAME, 0, asked);
        OK(ptl_port_free(p));
        take_unused(senders);
        take_destroyed(n, p);
        CHECK_EQ(counts_of(p).made, 0);
        CHECK_EQ(counts_of(p).sequence, 0);
        CHECK_EQ(counts_of(p).asked, 0);
        check_empty(asked); /* its name was never gone */
        OK(ptl_port_free(p));
        take_dead_name(asked, p);
}

API_TEST(m92_a_port_whose_mail_is_destroyed_dies)
{
        ptl_port p = new_send_port(), n = new_port(), asked = new_port(), q = new_port();
        struct ptl_outgoing out = {.reply = q};

        ask(p, PTL_NOTIFY_PORT_DESTROYED, 0, n);
        OK(ptl_send_message(p, &out, PTL_NOW));
        OK(ptl_port_free(p));
        ask(p, PTL_NOTIFY_DEAD_NAME, 0, asked);
        check_empty(q);
        OK(ptl_port_free(n));
        take_dead_name(asked, p);
        take_unused(q);
        check_rights(p, PTL_RIGHT_DEAD, 2);
}

API_TEST(m92_a_port_whose_mail_is_destroyed_has_its_names_withdrawn)
{
        ptl_port p = new_port(), n = new_port(), found;

        OK(ptl_name_publish("mailed", p));
        OK(ptl_name_watch("other", p));
        ask(p, PTL_NOTIFY_PORT_DESTROYED, 0, n);
        OK(ptl_port_free(p));
        OK(ptl_port_free(n));
        OUTCOME(ptl_name_look_up("mailed", &found, PTL_NOW), PTL_E_NOT_FOUND);
        p = new_port();
        OK(ptl_name_publish("mailed", p));
        OK(ptl_name_look_up("mailed", &found, PTL_NOW));
        CHECK_EQ(found, p);
}

API_TEST(m46_a_port_is_not_mailed_to_itself_nor_in_a_circle)
{
        ptl_port p = new_send_port(), a = new_send_port(), b = new_send_port();

        ask(p, PTL_NOTIFY_PORT_DESTROYED, 0, p);
        OK(ptl_port_free(p));
        check_rights(p, PTL_RIGHT_DEAD, 1);
        ask(a, PTL_NOTIFY_PORT_DESTROYED, 0, b);
        ask(b, PTL_NOTIFY_PORT_DESTROYED, 0, a);
        OK(ptl_port_free(a)); /* in b's queue */
        check_rights(a, PTL_RIGHT_SEND, 1);
        OK(ptl_port_free(b)); /* would be in a's: both are gone */
        check_rights(a, PTL_RIGHT_DEAD, 1);
        check_rights(b, PTL_RIGHT_DEAD, 1);
}

enum { DEEP = 200000 };

API_TEST(m92_ports_mailed_into_each_other_die_together_however_deep)
{
        ptl_port last = new_port(), first = last, next, asked = new_port();
        ptl_port probe = new_port();

        ask(probe, PTL_NOTIFY_DEAD_NAME, 0, asked);
        ask(probe, PTL_NOTIFY_PORT_DESTROYED, 0, last);
        OK(ptl_port_free(probe)); /* innermost */
        take_deleted(asked, probe);
        for (int i = 0; i < DEEP; i++, last = next) {
                next = new_port();
                ask(last, PTL_NOTIFY_PORT_DESTROYED, 0, next);
                OK(ptl_port_free(last));
        }
        check_no_name(first);
        OK(ptl_port_free(last));
        CHECK_EQ(statistics().names, 1); /* asked */
}

API_TEST(m92_who_waits_for_a_port_that_is_mailed_waits_no_longer)
{
        ptl_port p = new_port(), n = new_port(), set = new_set();
        struct ptl_message m;

        OK(ptl_set_add(set, p));
        ask(p, PTL_NOTIFY_PORT_DESTROYED, 0, n);
        OK(ptl_port_free(p));
        OUTCOME(ptl_receive(set, &m, PTL_NOW), PTL_E_EMPTY);
        take_destroyed(n, p);
        CHECK_EQ(status_of(p).set, PTL_NULL);
}

enum { MANY = 200000 };

/* Each with a request to be told itself: no death looks at all the others. */
API_TEST(many_ports_that_ask_for_themselves_end_in_no_time)
{
        ptl_port *p = calloc(MANY, sizeof *p);

        CHECK(p);
        for (int i = 0; i < MANY; i++) {
                p[i] = new_send_port();
                ask(p[i], PTL_NOTIFY_NO_SENDERS, 0, p[i]);
        }
        for (int i = 0; i < MANY / 2; i++)
                OK(ptl_port_free(p[i]));
        for (int i = MANY / 2; i + 1 < MANY;
             i += 2) /* these are still asked for when the task leaves */
                ask(p[i + 1], PTL_NOTIFY_DEAD_NAME, 0, p[i]);
        free(p);
}
