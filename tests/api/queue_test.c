/* SPDX-License-Identifier: Apache-2.0 */
/* A port's queue within one task: order, limits, and what a send does when it is full. */
#include "api.h"
#include <pthread.h>

API_TEST(messages_arrive_whole_and_in_order)
{
        ptl_port p = new_send_port();

        for (unsigned i = 0; i < 200; i++)
                OK(ptl_send(p, &i, sizeof i, PTL_NOW));
        for (unsigned i = 0; i < 200; i++) {
                struct ptl_message m = take_message(p);

                CHECK_EQ(m.size, sizeof i);
                CHECK(memcmp(m.data, &i, sizeof i) == 0);
                CHECK_EQ(m.port, p);
                CHECK_EQ(m.reply, PTL_NULL);
                CHECK_EQ(m.kind, PTL_KIND_NONE);
                CHECK_EQ(m.n_rights, 0);
                CHECK_EQ(m.n_regions, 0);
                ptl_message_release(&m);
        }
        check_empty(p);
}

API_TEST(one_can_send_to_a_port_through_its_receive_right)
{
        ptl_port p = new_port();

        put(p, "own");
        take(p, "own");
        check_rights(p, PTL_RIGHT_RECEIVE, 0);
}

API_TEST(a_message_may_be_empty)
{
        ptl_port p = new_send_port();
        struct ptl_message m;

        OK(ptl_send(p, NULL, 0, PTL_NOW));
        OK(ptl_send(p, "ignored", 0, PTL_NOW));
        OK(ptl_send_message(p, &(struct ptl_outgoing){.kind = 7}, PTL_NOW));
        for (int i = 0; i < 3; i++) {
                m = take_message(p);
                CHECK_EQ(m.size, 0);
                CHECK_EQ(m.kind, i == 2 ? 7 : 0);
                ptl_message_release(&m);
        }
        check_empty(p);
}

API_TEST(messages_of_all_sizes_arrive_aligned_and_unchanged)
{
        static unsigned char data[5 << 20];
        ptl_port p = new_send_port();
        const size_t sizes[] = {1,    7,     8,     63,    64,      65,     4095,
                                4096, 65535, 65536, 70000, 1 << 20, 5 << 20};

        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
                struct ptl_message m;

                fill(data, sizes[i], (unsigned)i);
                OK(ptl_send(p, data, sizes[i], PTL_NOW));
                memset(data, 0xee, sizes[i]);
                m = take_message(p);
                CHECK_EQ(m.size, sizes[i]);
                CHECK_EQ((uintptr_t)m.data % 8, 0);
                CHECK(is_filled(m.data, m.size, (unsigned)i));
                ptl_message_release(&m);
        }
}

API_TEST(a_released_message_is_zeroed)
{
        static const struct ptl_message zero;
        ptl_port p = new_send_port(), q = new_port();
        struct ptl_outgoing out = {.data = "abc", .size = 3, .kind = 5, .reply = q};
        struct ptl_message m;

        OK(ptl_send_message(p, &out, PTL_NOW));
        memset(&m, 0x55, sizeof m);
        OK(ptl_receive(p, &m, PTL_NOW));
        ptl_message_release(&m);
        CHECK(memcmp(&m, &zero, sizeof m) == 0);
        ptl_message_release(&m);
}

API_TEST(the_limit_of_messages_is_exact)
{
        const uint32_t limits[] = {1, 2, 5, 100, PTL_LIMIT_MESSAGES_DEFAULT, 1000};

        for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
                ptl_port p = new_port_of(limits[i], 0);

                for (uint32_t n = 0; n < limits[i]; n++)
                        OK(ptl_send(p, "x", 2, PTL_NOW));
                OUTCOME(ptl_send(p, "x", 2, PTL_NOW), PTL_E_FULL);
                CHECK_EQ(status_of(p).queued, limits[i]);
                take(p, "x");
                OK(ptl_send(p, "x", 2, PTL_NOW));
                OUTCOME(ptl_send(p, "x", 2, PTL_NOW), PTL_E_FULL);
                for (uint32_t n = 0; n < limits[i]; n++)
                        take(p, "x");
                check_empty(p);
        }
}

static const struct bytes_row {
        const char *name;
        uint64_t limit;
        size_t size;
        unsigned fit; /* messages until it is full */
} bytes_rows[] = {
        {"units that fit exactly",                  640,  64,   10},
        {"a unit for each, however small",          640,  1,    10},
        {"the last does not fit",                   639,  64,   9 },
        {"a size is rounded up to units",           640,  65,   5 },
        {"one above the limit into an empty queue", 64,   5000, 1 },
        {"as many as fit, no one above the limit",  1000, 400,  2 },
};

API_TEST(the_limit_of_bytes_is_exact_in_units_of_64)
{
        unsigned char data[5000] = {0};
        struct ptl_message m;

        for (size_t i = 0; i < ARRAY_LEN(bytes_rows); i++) {
                const struct bytes_row *r = &bytes_rows[i];
                ptl_port p = new_port_of(0, r->limit);

                for (unsigned n = 0; n < r->fit; n++)
                        CHECK_ROW(i, r, ptl_send(p, data, r->size, PTL_NOW) == 0);
                CHECK_ROW(i, r, ptl_send(p, data, r->size, PTL_NOW) == PTL_E_FULL);
                m = take_message(p);
                ptl_message_release(&m);
                CHECK_ROW(i, r, ptl_send(p, data, r->size, PTL_NOW) == 0);
                CHECK_ROW(i, r, ptl_send(p, data, r->size, PTL_NOW) == PTL_E_FULL);
        }
}

API_TEST(a_limit_can_be_raised_and_lowered_and_what_is_queued_stays)
{
        ptl_port p = new_port_of(2, 0);

        put(p, "1");
        put(p, "2");
        OUTCOME(ptl_send(p, "3", 2, PTL_NOW), PTL_E_FULL);
        OK(ptl_port_set_limit(p, &(struct ptl_port_options){.limit_messages = 4}));
        CHECK_EQ(status_of(p).limit_messages, 4);
        CHECK_EQ(status_of(p).limit_bytes, PTL_LIMIT_BYTES_DEFAULT);
        OK(ptl_send(p, "3", 2, PTL_NOW));
        OK(ptl_send(p, "4", 2, PTL_NOW));
        OUTCOME(ptl_send(p, "5", 2, PTL_NOW), PTL_E_FULL);
        OK(ptl_port_set_limit(p, &(struct ptl_port_options){.limit_messages = 1}));
        CHECK_EQ(status_of(p).queued, 4);
        take(p, "1");
        take(p, "2");
        take(p, "3");
        OUTCOME(ptl_send(p, "5", 2, PTL_NOW), PTL_E_FULL);
        take(p, "4");
        OK(ptl_send(p, "5", 2, PTL_NOW));
        OUTCOME(ptl_send(p, "6", 2, PTL_NOW), PTL_E_FULL);
        OK(ptl_port_set_limit(p, &(struct ptl_port_options){.limit_bytes = 128}));
        CHECK_EQ(status_of(p).limit_messages, 1);
        CHECK_EQ(status_of(p).limit_bytes, 128);
        take(p, "5");
        check_empty(p);
}

/* ---- four ways to meet a full queue ---- */

API_TEST(a_full_queue_can_be_told_at_once)
{
        ptl_port p = new_port_of(1, 0);

        put(p, "1");
        OUTCOME(ptl_send(p, "2", 2, PTL_NOW), PTL_E_FULL);
        OUTCOME(ptl_send_message(p, &(struct ptl_outgoing){.kind = 1}, PTL_NOW), PTL_E_FULL);
        take(p, "1");
        check_empty(p);
}

API_TEST(a_full_queue_can_be_waited_for_until_a_deadline)
{
        ptl_port p = new_port_of(1, 0);
        uint64_t waits = statistics().waits_full;

        put(p, "1");
        OUTCOME(ptl_send(p, "2", 2, ptl_after_ms(5)), PTL_E_TIMEOUT);
        CHECK(statistics().waits_full > waits);
        take(p, "1");
        check_empty(p);
}

struct sender {
        ptl_port port;
        const char *text;
        pid_t tid;
        ptl_time deadline;
        int outcome;
};

static void *send_one(void *arg)
{
        struct sender *s = arg;

        __atomic_store_n(&s->tid, gettid(), __ATOMIC_RELEASE);
        s->outcome = ptl_send(s->port, s->text, strlen(s->text) + 1, s->deadline);
        return NULL;
}

static pthread_t start_sender(struct sender *s)
{
        pthread_t t;

        CHECK(pthread_create(&t, NULL, send_one, s) == 0);
        CHECK(tst_wait_until(__atomic_load_n(&s->tid, __ATOMIC_ACQUIRE), 5000));
        CHECK(tst_wait_until(is_asleep(getpid(), s->tid), 5000));
        return t;
}

API_TEST(a_full_queue_can_be_waited_for_forever)
{
        struct sender s = {.port = new_port_of(1, 0), .text = "2", .deadline = PTL_FOREVER};
        pthread_t t;

        put(s.port, "1");
        t = start_sender(&s);
        take(s.port, "1");
        CHECK(pthread_join(t, NULL) == 0);
        OK(s.outcome);
        take(s.port, "2");
        check_empty(s.port);
}

API_TEST(a_sender_that_waits_on_a_full_queue_learns_of_the_ports_end)
{
        struct sender s = {.port = new_port_of(1, 0), .text = "2", .deadline = PTL_FOREVER};
        pthread_t t;

        put(s.port, "1");
        t = start_sender(&s);
        OK(ptl_port_free(s.port));
        CHECK(pthread_join(t, NULL) == 0);
        OUTCOME(s.outcome, PTL_E_DEAD);
}

API_TEST(a_raised_limit_wakes_those_who_wait_for_room)
{
        struct sender s = {.port = new_port_of(1, 0), .text = "2", .deadline = PTL_FOREVER};
        pthread_t t;

        put(s.port, "1");
        t = start_sender(&s);
        OK(ptl_port_set_limit(s.port, &(struct ptl_port_options){.limit_messages = 2}));
        CHECK(pthread_join(t, NULL) == 0);
        OK(s.outcome);
        take(s.port, "1");
        take(s.port, "2");
}

API_TEST(a_message_can_be_left_with_a_full_port)
{
        ptl_port p = new_port_of(1, 0), n = new_port();
        struct ptl_outgoing out = {.data = "left", .size = 5, .leave = 1, .notify = n};

        put(p, "1");
        OK(ptl_send_message(p, &out, PTL_NOW));
        OUTCOME(ptl_send_message(p, &out, PTL_NOW), PTL_E_FULL);
        OUTCOME(ptl_send(p, "x", 2, PTL_NOW), PTL_E_FULL);
        check_empty(n);
        take(p, "1");
        take(p, "left");
        CHECK_EQ(take_notification(n, PTL_NOTIFY_MESSAGE_ACCEPTED).value, p);
        check_empty(n);
        check_empty(p);
}

API_TEST(a_message_left_is_not_told_before_the_program_took_it)
{
        ptl_port p = new_port_of(2, 0), n = new_port();
        struct ptl_outgoing out = {.data = "left", .size = 5, .leave = 1, .notify = n};

        put(p, "1");
        put(p, "2");
        OK(ptl_send_message(p, &out, PTL_NOW));
        take(p, "1");
        check_empty(n);
        take(p, "2");
        check_empty(n);
        take(p, "left");
        CHECK_EQ(take_notification(n, PTL_NOTIFY_MESSAGE_ACCEPTED).value, p);
}

API_TEST(after_a_message_left_was_taken_another_can_be_left)
{
        ptl_port p = new_port_of(1, 0), n = new_port();
        struct ptl_outgoing out = {.data = "left", .size = 5, .leave = 1, .notify = n};

        for (int i = 0; i < 20; i++) {
                put(p, "fills it");
                OK(ptl_send_message(p, &out, PTL_NOW));
                take(p, "fills it");
                take(p, "left");
                CHECK_EQ(take_notification(n, PTL_NOTIFY_MESSAGE_ACCEPTED).value, p);
        }
        check_empty(p);
        check_empty(n);
}

API_TEST(a_message_can_be_left_without_notice)
{
        ptl_port p = new_port_of(1, 0);
        struct ptl_outgoing out = {.data = "left", .size = 5, .leave = 1};

        put(p, "1");
        OK(ptl_send_message(p, &out, PTL_FOREVER));
        take(p, "1");
        take(p, "left");
        check_empty(p);
}

API_TEST(a_message_left_with_a_port_dies_with_it)
{
        ptl_port p = new_port_of(1, 0), q = new_port(), n = new_port();
        struct ptl_outgoing out = {.data = "left", .size = 5, .leave = 1, .reply = q, .notify = n};

        put(p, "1");
        OK(ptl_send_message(p, &out, PTL_NOW));
        OK(ptl_port_free(p));
        take_notification(q, PTL_NOTIFY_SEND_ONCE);
        check_empty(q);
        take_notification(n, PTL_NOTIFY_SEND_ONCE); /* M-54 */
        check_empty(n);
}

/* ---- batches ---- */

API_TEST(a_batch_arrives_in_order)
{
        ptl_port p = new_send_port();
        struct ptl_bytes b[100];
        unsigned numbers[100];
        size_t sent = 0;

        for (unsigned i = 0; i < 100; i++) {
                numbers[i] = i;
                b[i] = (struct ptl_bytes){&numbers[i], i % 5 ? sizeof numbers[i] : 0};
        }
        OK(ptl_send_batch(p, b, 100, &sent, PTL_NOW));
        CHECK_EQ(sent, 100);
        OK(ptl_send_batch(p, b, 1, NULL, PTL_NOW));
        for (unsigned i = 0; i < 100; i++) {
                struct ptl_message m = take_message(p);

                CHECK_EQ(m.size, b[i].size);
                CHECK(memcmp(m.data, &i, m.size) == 0);
                ptl_message_release(&m);
        }
        CHECK_EQ(status_of(p).queued, 1);
}

API_TEST(a_batch_fills_the_queue_exactly_and_says_how_far_it_came)
{
        static const char digits[10][2] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
        ptl_port p = new_port_of(7, 0);
        struct ptl_bytes b[10];
        size_t sent = 77;

        for (size_t i = 0; i < 10; i++)
                b[i] = (struct ptl_bytes){digits[i], 2};
        OUTCOME(ptl_send_batch(p, b, 10, &sent, PTL_NOW), PTL_E_FULL);
        CHECK_EQ(sent, 7);
        OUTCOME(ptl_send_batch(p, b + 7, 3, &sent, ptl_after_ms(5)), PTL_E_TIMEOUT);
        CHECK_EQ(sent, 0);
        take(p, "0");
        take(p, "1");
        OUTCOME(ptl_send_batch(p, b + 7, 3, &sent, PTL_NOW), PTL_E_FULL);
        CHECK_EQ(sent, 2);
        for (size_t i = 2; i < 9; i++)
                take(p, b[i].data);
        check_empty(p);
}

API_TEST(a_batch_with_one_message_above_8_kib_sends_none)
{
        static char data[8193];
        ptl_port p = new_send_port();
        struct ptl_bytes b[] = {
                {data, 1   },
                {data, 8192},
                {data, 8193}
        };
        size_t sent = 77;

        OUTCOME(ptl_send_batch(p, b, 3, &sent, PTL_NOW), PTL_E_TOO_BIG);
        CHECK_EQ(sent, 0);
        check_empty(p);
        OK(ptl_send_batch(p, b, 2, &sent, PTL_NOW));
        CHECK_EQ(sent, 2);
        CHECK_EQ(status_of(p).queued, 2);
}

API_TEST(a_batch_of_none_sends_none)
{
        ptl_port p = new_send_port();
        size_t sent = 77;

        OK(ptl_send_batch(p, NULL, 0, &sent, PTL_NOW));
        CHECK_EQ(sent, 0);
        check_empty(p);
}

API_TEST(a_batch_is_received_as_far_as_it_is_there)
{
        ptl_port p = new_send_port();
        struct ptl_message m[8];
        size_t n = 0;
        unsigned next = 0;

        OUTCOME(ptl_receive_batch(p, m, 8, &n, 0, PTL_NOW), PTL_E_EMPTY);
        for (unsigned i = 0; i < 20; i++)
                OK(ptl_send(p, &i, sizeof i, PTL_NOW));
        while (next < 20) {
                OK(ptl_receive_batch(p, m, 8, &n, 0, soon()));
                CHECK(n >= 1 && n <= 8);
                for (size_t i = 0; i < n; i++, next++)
                        CHECK(memcmp(m[i].data, &next, sizeof next) == 0);
                for (size_t i = n; i-- > 0;)
                        ptl_message_release(&m[i]);
        }
        check_empty(p);
}

API_TEST(messages_can_be_released_in_any_order)
{
        enum { N = 64 };
        ptl_port p = new_send_port();
        struct ptl_message m[N];
        static unsigned char data[N * 700];

        for (unsigned i = 0; i < N; i++) {
                fill(data, i * 700, i);
                OK(ptl_send(p, data, i * 700, PTL_NOW));
        }
        for (unsigned i = 0; i < N; i++)
                m[i] = take_message(p);
        for (unsigned k = 0; k < N; k++) {
                unsigned i = k * 37 % N;

                CHECK_EQ(m[i].size, i * 700);
                CHECK(is_filled(m[i].data, m[i].size, i));
                ptl_message_release(&m[i]);
        }
}

API_TEST(a_message_outlives_its_port)
{
        ptl_port p = new_send_port();
        struct ptl_message m;

        put(p, "kept");
        m = take_message(p);
        OK(ptl_port_free(p));
        OK(ptl_right_release(p));
        check_text(&m, "kept");
        ptl_message_release(&m);
}

API_TEST(one_full_port_does_not_hold_up_another)
{
        ptl_port full = new_port_of(1, 0), other = new_send_port();

        put(full, "1");
        OUTCOME(ptl_send(full, "2", 2, PTL_NOW), PTL_E_FULL);
        for (int i = 0; i < 100; i++) {
                put(other, "goes on");
                take(other, "goes on");
        }
}
