/* SPDX-License-Identifier: Apache-2.0 */
/* Messages within one task: rights in them, replies, calls, loans, in place. */
#include "api.h"
#include <pthread.h>

static struct ptl_message send_right(ptl_port through, ptl_port port, uint32_t disposition)
{
        struct ptl_right_item item = {.port = port, .disposition = disposition};
        struct ptl_outgoing out = {.rights = &item, .n_rights = 1};

        OK(ptl_send_message(through, &out, PTL_NOW));
        return take_message(through);
}

API_TEST(rights_to_ones_own_ports_come_back_under_their_names)
{
        ptl_port p = new_send_port(), q = new_port();
        struct ptl_message m = send_right(p, q, PTL_MAKE_SEND);

        CHECK_EQ(m.n_rights, 1);
        CHECK_EQ(m.rights[0].port, q);
        CHECK_EQ(m.rights[0].disposition, PTL_RIGHT_SEND);
        check_rights(q, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
        ptl_message_release(&m);
        m = send_right(p, q, PTL_COPY_SEND);
        CHECK_EQ(m.rights[0].port, q);
        check_rights(q, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 2);
        ptl_message_release(&m);
        m = send_right(p, q, PTL_MOVE_SEND);
        CHECK_EQ(m.rights[0].port, q);
        check_rights(q, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 2);
        ptl_message_release(&m);
        check_rights(q, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 2);
}

API_TEST(a_moved_right_is_gone_while_it_is_under_way)
{
        ptl_port p = new_send_port(), q = new_send_port();
        struct ptl_right_item item = {.port = q, .disposition = PTL_MOVE_SEND};
        struct ptl_outgoing out = {.rights = &item, .n_rights = 1};
        struct ptl_message m;

        OK(ptl_send_message(p, &out, PTL_NOW));
        check_rights(q, PTL_RIGHT_RECEIVE, 0);
        OUTCOME(ptl_send_message(p, &out, PTL_NOW), PTL_E_RIGHT);
        m = take_message(p);
        check_rights(q, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
        ptl_message_release(&m);
        check_empty(p);
}

API_TEST(moving_more_references_than_there_are_is_refused_and_moves_none)
{
        ptl_port p = new_send_port(), q = new_send_port();
        struct ptl_right_item items[] = {
                {q, PTL_MOVE_SEND},
                {q, PTL_MOVE_SEND},
                {q, PTL_MOVE_SEND}
        };
        struct ptl_outgoing out = {.rights = items, .n_rights = 3};
        struct ptl_message m;

        OK(ptl_right_ref(q));
        OUTCOME(ptl_send_message(p, &out, PTL_NOW), PTL_E_RIGHT);
        check_rights(q, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 2);
        check_empty(p);
        out.n_rights = 2;
        OK(ptl_send_message(p, &out, PTL_NOW));
        check_rights(q, PTL_RIGHT_RECEIVE, 0);
        m = take_message(p);
        CHECK_EQ(m.n_rights, 2);
        check_rights(q, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 2);
        ptl_message_release(&m);
}

API_TEST(a_send_once_right_moves_once)
{
        ptl_port p = new_send_port(), q = new_port(), once, again;
        struct ptl_right_item items[2];
        struct ptl_outgoing out = {.rights = items, .n_rights = 2};
        struct ptl_message m = send_right(p, q, PTL_MAKE_SEND_ONCE);

        once = m.rights[0].port;
        ptl_message_release(&m);
        items[0] = items[1] = (struct ptl_right_item){once, PTL_MOVE_SEND_ONCE};
        CHECK(ptl_send_message(p, &out, PTL_NOW) > 0);
        check_rights(once, PTL_RIGHT_SEND_ONCE, 1);
        check_empty(p);
        m = send_right(p, once, PTL_MOVE_SEND_ONCE);
        again = m.rights[0].port;
        CHECK_EQ(m.rights[0].disposition, PTL_RIGHT_SEND_ONCE);
        ptl_message_release(&m);
        check_rights(again, PTL_RIGHT_SEND_ONCE, 1);
        put(again, "once");
        take(q, "once");
        check_empty(q);
}

/* The message would use it up. */
API_TEST(a_send_once_right_does_not_go_with_its_own_message)
{
        ptl_port p = new_send_port(), q = new_port(), once;
        struct ptl_message m = send_right(p, q, PTL_MAKE_SEND_ONCE);
        struct ptl_right_item item = {.disposition = PTL_MOVE_SEND_ONCE};
        struct ptl_outgoing out = {.rights = &item, .n_rights = 1};
        uint32_t names = statistics().names;

        once = item.port = m.rights[0].port;
        ptl_message_release(&m);
        OUTCOME(ptl_send_message(once, &out, PTL_NOW), PTL_E_RIGHT);
        check_rights(once, PTL_RIGHT_SEND_ONCE, 1);
        check_empty(q);
        put(once, "once");
        take(q, "once");
        CHECK_EQ(statistics().names, names - 1);
        check_empty(q);
}

API_TEST(a_message_refused_by_a_full_queue_keeps_what_it_carries)
{
        ptl_port p = new_port_of(1, 0), q = new_send_port();
        struct ptl_right_item items[] = {
                {q, PTL_MOVE_SEND     },
                {q, PTL_MAKE_SEND_ONCE}
        };
        struct ptl_region *r = NULL;
        struct ptl_outgoing out = {.rights = items, .n_rights = 2, .reply = q, .n_regions = 1};
        uint32_t names;

        OK(ptl_region_new(10, &r));
        struct ptl_region_item region = {.region = r, .how = PTL_REGION_ISOLATED};
        out.regions = &region;
        put(p, "fills it");
        names = statistics().names;
        OUTCOME(ptl_send_message(p, &out, PTL_NOW), PTL_E_FULL);
        OUTCOME(ptl_send_message(p, &out, ptl_after_ms(2)), PTL_E_TIMEOUT);
        check_rights(q, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
        CHECK_EQ(statistics().names, names);
        CHECK(ptl_region_data(r) != NULL);
        memset(ptl_region_data(r), 1, 10);
        check_empty(q);
        ptl_region_free(r);
}

API_TEST(releasing_a_message_does_not_release_its_rights)
{
        ptl_port p = new_send_port(), q = new_port();
        struct ptl_message m = send_right(p, q, PTL_MAKE_SEND_ONCE);
        ptl_port once = m.rights[0].port;

        ptl_message_release(&m);
        check_rights(once, PTL_RIGHT_SEND_ONCE, 1);
        check_empty(q);
        OK(ptl_right_release(once));
        take_notification(q, PTL_NOTIFY_SEND_ONCE);
}

API_TEST(a_reply_right_that_is_released_with_its_message_tells_the_reply_port)
{
        ptl_port p = new_send_port(), q = new_port(), reply;
        struct ptl_message m;

        OK(ptl_send_message(p, &(struct ptl_outgoing){.reply = q}, PTL_NOW));
        m = take_message(p);
        reply = m.reply;
        check_rights(reply, PTL_RIGHT_SEND_ONCE, 1);
        check_empty(q);
        ptl_message_release(&m);
        check_no_name(reply);
        take_notification(q, PTL_NOTIFY_SEND_ONCE);
        check_empty(q);
}

API_TEST(a_reply_right_can_be_used_as_any_send_once_right)
{
        ptl_port p = new_send_port(), q = new_port();
        struct ptl_message m;

        OK(ptl_send_message(p, &(struct ptl_outgoing){.reply = q}, PTL_NOW));
        m = take_message(p);
        put(m.reply, "by hand");
        check_no_name(m.reply);
        CHECK(ptl_reply(&m, "x", 1) > 0);
        ptl_message_release(&m);
        take(q, "by hand");
        check_empty(q);
}

API_TEST(a_reply_carries_what_a_message_may_carry)
{
        ptl_port p = new_send_port(), q = new_port(), r = new_port();
        struct ptl_right_item item = {.port = r, .disposition = PTL_MAKE_SEND};
        struct ptl_outgoing out = {
                .data = "with", .size = 5, .kind = 9, .reply = r, .rights = &item, .n_rights = 1};
        struct ptl_message m;

        OK(ptl_send_message(p, &(struct ptl_outgoing){.reply = q}, PTL_NOW));
        m = take_message(p);
        OK(ptl_reply_message(&m, &out));
        CHECK_EQ(m.reply, PTL_NULL);
        ptl_message_release(&m);
        m = take_message(q);
        check_text(&m, "with");
        CHECK_EQ(m.kind, 9);
        CHECK_EQ(m.n_rights, 1);
        CHECK_EQ(m.rights[0].port, r);
        OK(ptl_reply(&m, "back", 5));
        ptl_message_release(&m);
        take(r, "back");
}

API_TEST(replies_ignore_the_queue_limit)
{
        enum { N = 30 };
        ptl_port p = new_send_port(), q = new_port_of(1, 64);
        struct ptl_message m[N];

        put(q, "fills it");
        for (int i = 0; i < N; i++) {
                OK(ptl_send_message(p, &(struct ptl_outgoing){.reply = q}, PTL_NOW));
                m[i] = take_message(p);
        }
        for (int i = 0; i < N; i++) {
                OK(ptl_reply(&m[i], &i, sizeof i));
                ptl_message_release(&m[i]);
        }
        take(q, "fills it");
        for (int i = 0; i < N; i++) {
                struct ptl_message a = take_message(q);

                CHECK(memcmp(a.data, &i, sizeof i) == 0);
                ptl_message_release(&a);
        }
}

API_TEST(ones_own_messages_come_from_this_task)
{
        struct ptl_identity me;
        ptl_port p = new_send_port();
        struct ptl_message m;

        OK(ptl_task_identity(&me));
        CHECK_EQ(me.pid, getpid());
        CHECK_EQ(me.uid, getuid());
        CHECK_EQ(me.gid, getgid());
        CHECK(me.task.high || me.task.low);
        put(p, "mine");
        m = take_message(p);
        CHECK(m.sender->task.high == me.task.high && m.sender->task.low == me.task.low);
        CHECK_EQ(m.sender->pid, getpid());
        CHECK_EQ(m.sender->uid, getuid());
        ptl_message_release(&m);
}

/* ---- calls within the task ---- */

struct server {
        ptl_port port;
        void (*answer)(struct ptl_message *m);
};

static void *serve_one(void *arg)
{
        struct server *s = arg;
        struct ptl_message m;

        OK(ptl_receive(s->port, &m, soon()));
        s->answer(&m);
        ptl_message_release(&m);
        return NULL;
}

static pthread_t start_server(struct server *s)
{
        pthread_t t;

        CHECK(pthread_create(&t, NULL, serve_one, s) == 0);
        return t;
}

static void answer_same(struct ptl_message *m) { OK(ptl_reply(m, m->data, m->size)); }
static void answer_not(struct ptl_message *m) { CHECK(m->reply != PTL_NULL); }

API_TEST(a_call_within_the_task_brings_its_reply)
{
        struct server s = {.port = new_send_port(), .answer = answer_same};
        pthread_t t = start_server(&s);
        char answer[16];
        size_t n = sizeof answer;

        OK(ptl_call(s.port, "hello", 6, answer, &n, soon()));
        CHECK_EQ(n, 6);
        CHECK_STR_EQ(answer, "hello");
        pthread_join(t, NULL);
}

API_TEST(an_answer_may_overwrite_its_request)
{
        enum { SIZE = 3000 };
        static unsigned char data[SIZE + 64];

        for (size_t shift = 0; shift <= 64; shift += 32) {
                struct server s = {.port = new_send_port(), .answer = answer_same};
                pthread_t t = start_server(&s);
                size_t n = SIZE;

                fill(data, SIZE, 3);
                OK(ptl_call(s.port, data, SIZE, data + shift, &n, soon()));
                CHECK_EQ(n, SIZE);
                CHECK(is_filled(data + shift, SIZE, 3));
                pthread_join(t, NULL);
        }
}

API_TEST(an_answer_larger_than_its_room_is_cut_and_its_size_told)
{
        struct server s = {.port = new_send_port(), .answer = answer_same};
        pthread_t t = start_server(&s);
        char answer[8] = "0123456";
        size_t n = 4;

        OUTCOME(ptl_call(s.port, "abcdefgh", 8, answer, &n, soon()), PTL_E_TOO_BIG);
        CHECK_EQ(n, 8);
        CHECK(memcmp(answer, "abcd456", 8) == 0);
        pthread_join(t, NULL);
}

API_TEST(an_answer_may_be_wanted_for_its_arrival_only)
{
        struct server s = {.port = new_send_port(), .answer = answer_same};
        pthread_t t = start_server(&s);
        size_t n = 0;

        OK(ptl_call(s.port, NULL, 0, NULL, &n, soon()));
        CHECK_EQ(n, 0);
        pthread_join(t, NULL);
}

API_TEST(a_call_whose_request_is_dropped_has_no_reply)
{
        struct server s = {.port = new_send_port(), .answer = answer_not};
        pthread_t t = start_server(&s);
        size_t n = 0;

        OUTCOME(ptl_call(s.port, "x", 1, NULL, &n, soon()), PTL_E_NO_REPLY);
        pthread_join(t, NULL);
}

static void *free_port_when_asleep(void *arg)
{
        struct sleeper {
                ptl_port port;
                pid_t tid;
        } *s = arg;

        CHECK(tst_wait_until(status_of(s->port).queued == 1, 5000));
        CHECK(tst_wait_until(is_asleep(getpid(), s->tid), 5000));
        OK(ptl_port_free(s->port));
        return NULL;
}

API_TEST(a_call_whose_request_dies_in_the_queue_ends)
{
        struct {
                ptl_port port;
                pid_t tid;
        } s = {new_send_port(), gettid()};
        pthread_t t;
        size_t n = 0;
        int outcome;

        CHECK(pthread_create(&t, NULL, free_port_when_asleep, &s) == 0);
        outcome = ptl_call(s.port, "x", 1, NULL, &n, soon());
        CHECK(outcome == PTL_E_NO_REPLY || outcome == PTL_E_DEAD);
        pthread_join(t, NULL);
}

API_TEST(a_call_that_nobody_answers_is_unanswered_and_its_late_reply_destroyed)
{
        ptl_port p = new_send_port();
        struct ptl_message m;
        uint32_t names = 0;
        size_t n = 0;

        for (int i = 0; i < 20; i++) {
                OUTCOME(ptl_call(p, "x", 2, NULL, &n, i % 2 ? ptl_after_ms(1) : PTL_NOW),
                        PTL_E_UNANSWERED);
                m = take_message(p);
                check_text(&m, "x");
                CHECK(m.reply != PTL_NULL);
                OK(ptl_reply(&m, "late", 5));
                ptl_message_release(&m);
                check_empty(p);
                if (i == 0)
                        names = statistics().names;
                CHECK_EQ(statistics().names, names);
        }
}

API_TEST(a_call_into_a_full_queue_is_not_sent)
{
        ptl_port p = new_port_of(1, 0);
        size_t n = 0;

        put(p, "fills it");
        OUTCOME(ptl_call(p, "x", 2, NULL, &n, PTL_NOW), PTL_E_FULL);
        OUTCOME(ptl_call(p, "x", 2, NULL, &n, ptl_after_ms(2)), PTL_E_TIMEOUT);
        take(p, "fills it");
        check_empty(p);
}

static void answer_with_a_right(struct ptl_message *m)
{
        struct ptl_right_item item = {.port = m->port, .disposition = PTL_MAKE_SEND};
        struct ptl_outgoing out = {
                .data = "right", .size = 6, .kind = 3, .rights = &item, .n_rights = 1};

        OK(ptl_reply_message(m, &out));
}

API_TEST(rights_in_the_reply_of_a_call_for_bytes_are_released)
{
        struct server s = {.port = new_send_port(), .answer = answer_with_a_right};
        pthread_t t = start_server(&s);
        char answer[16];
        size_t n = sizeof answer;

        OK(ptl_call(s.port, "x", 1, answer, &n, soon()));
        CHECK_STR_EQ(answer, "right");
        pthread_join(t, NULL);
        check_rights(s.port, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
}

API_TEST(a_call_for_a_message_brings_its_rights_and_kind)
{
        struct server s = {.port = new_send_port(), .answer = answer_with_a_right};
        pthread_t t = start_server(&s);
        struct ptl_message m;

        OK(ptl_call_message(s.port, &(struct ptl_outgoing){.kind = 1}, &m, 0, soon()));
        check_text(&m, "right");
        CHECK_EQ(m.kind, 3);
        CHECK_EQ(m.reply, PTL_NULL);
        CHECK_EQ(m.n_rights, 1);
        CHECK_EQ(m.rights[0].port, s.port);
        ptl_message_release(&m);
        pthread_join(t, NULL);
        check_rights(s.port, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 2);
}

/* ---- loans ---- */

API_TEST(a_loan_is_sent_as_far_as_it_was_built)
{
        ptl_port p = new_send_port();
        const size_t sizes[] = {0, 1, 100, 4096, 65536, 1 << 20};

        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
                size_t part = sizes[i] - sizes[i] / 3;
                struct ptl_loan loan;
                struct ptl_message m;

                OK(ptl_loan_reserve(p, sizes[i], &loan, PTL_NOW));
                CHECK(loan.size >= sizes[i]);
                CHECK_EQ(loan.port, p);
                fill(loan.data, part, (unsigned)i);
                OK(ptl_loan_publish(&loan, part, NULL, PTL_NOW));
                m = take_message(p);
                CHECK_EQ(m.size, part);
                CHECK(is_filled(m.data, part, (unsigned)i));
                ptl_message_release(&m);
        }
}

API_TEST(a_loan_larger_than_the_link_has_room_for_is_private_memory)
{
        enum { SIZE = 80 << 20 };
        ptl_port p = new_send_port();
        struct ptl_loan loan;
        struct ptl_message m;

        OK(ptl_loan_reserve(p, SIZE, &loan, PTL_NOW));
        memcpy((char *)loan.data + SIZE - 4, "end", 4);
        OK(ptl_loan_publish(&loan, SIZE, NULL, PTL_NOW));
        m = take_message(p);
        CHECK_EQ(m.size, SIZE);
        CHECK_STR_EQ((const char *)m.data + SIZE - 4, "end");
        ptl_message_release(&m);
}

API_TEST(a_loan_that_is_cancelled_sends_nothing)
{
        static const struct ptl_loan zero;
        ptl_port p = new_send_port();
        struct ptl_loan loan;

        for (int i = 0; i < 1000; i++) {
                OK(ptl_loan_reserve(p, 5000, &loan, PTL_NOW));
                memset(loan.data, i, 5000);
                ptl_loan_cancel(&loan);
                CHECK(memcmp(&loan, &zero, sizeof loan) == 0);
        }
        ptl_loan_cancel(&loan);
        check_empty(p);
}

API_TEST(a_loan_refused_stays_as_it_was)
{
        ptl_port p = new_port_of(1, 0), q = new_send_port();
        struct ptl_right_item item = {.port = q, .disposition = PTL_MOVE_SEND};
        struct ptl_outgoing out = {.rights = &item, .n_rights = 1, .kind = 4};
        struct ptl_outgoing bad = {.kind = 0x80000000u};
        struct ptl_loan loan, before;
        struct ptl_message m;

        OK(ptl_loan_reserve(p, 100, &loan, PTL_NOW));
        fill(loan.data, 100, 1);
        before = loan;
        OUTCOME(ptl_loan_publish(&loan, loan.size + 1, NULL, PTL_NOW), PTL_E_INVALID);
        OUTCOME(ptl_loan_publish(&loan, SIZE_MAX, NULL, PTL_NOW), PTL_E_INVALID);
        OUTCOME(ptl_loan_publish(&loan, 100, &bad, PTL_NOW), PTL_E_INVALID);
        put(p, "fills it");
        OUTCOME(ptl_loan_publish(&loan, 100, &out, PTL_NOW), PTL_E_FULL);
        OUTCOME(ptl_loan_publish(&loan, 100, &out, ptl_after_ms(2)), PTL_E_TIMEOUT);
        CHECK(memcmp(&loan, &before, sizeof loan) == 0);
        CHECK(is_filled(loan.data, 100, 1));
        check_rights(q, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
        take(p, "fills it");
        OK(ptl_loan_publish(&loan, 100, &out, PTL_NOW));
        m = take_message(p);
        CHECK_EQ(m.kind, 4);
        CHECK_EQ(m.n_rights, 1);
        CHECK(is_filled(m.data, m.size, 1));
        CHECK_EQ(m.size, 100);
        ptl_message_release(&m);
}

API_TEST(a_loan_carries_a_reply_right_and_ignores_other_data)
{
        ptl_port p = new_send_port(), q = new_port();
        struct ptl_outgoing out = {.data = "ignored", .size = 8, .reply = q};
        struct ptl_loan loan;
        struct ptl_message m;

        OK(ptl_loan_reserve(p, 5, &loan, PTL_NOW));
        memcpy(loan.data, "loan", 5);
        OK(ptl_loan_publish(&loan, 5, &out, PTL_NOW));
        m = take_message(p);
        check_text(&m, "loan");
        OK(ptl_reply(&m, "back", 5));
        ptl_message_release(&m);
        take(q, "back");
}

API_TEST(a_loan_whose_port_dies_is_refused_and_can_be_cancelled)
{
        ptl_port p = new_send_port();
        struct ptl_loan loan;

        OK(ptl_loan_reserve(p, 100, &loan, PTL_NOW));
        OK(ptl_port_free(p));
        OUTCOME(ptl_loan_publish(&loan, 100, NULL, PTL_NOW), PTL_E_DEAD);
        CHECK(loan.data != NULL);
        ptl_loan_cancel(&loan);
}

API_TEST(a_message_can_be_received_in_place)
{
        ptl_port p = new_send_port();
        struct ptl_message m[2];
        size_t n;

        put(p, "one");
        put(p, "two");
        put(p, "three");
        OK(ptl_receive_with(p, &m[0], PTL_IN_PLACE, PTL_NOW));
        check_text(&m[0], "one");
        ptl_message_release(&m[0]);
        OK(ptl_receive_batch(p, m, 2, &n, PTL_IN_PLACE, PTL_NOW));
        CHECK_EQ(n, 2);
        check_text(&m[1], "three");
        check_text(&m[0], "two");
        ptl_message_release(&m[1]);
        ptl_message_release(&m[0]);
        check_empty(p);
}
