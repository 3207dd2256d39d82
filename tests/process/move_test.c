/* SPDX-License-Identifier: Apache-2.0 */
/* A receive right that goes to another task, with its queue: what old and new receiver see. */
#include "counts.h"
#include "roles.h"

enum { KIND_TAKE_RIGHT = 200, KIND_READ, KIND_SEND_BACK, KIND_FREE, KIND_COUNTS, KIND_MAKE, KIND_USE };

struct answer {
        int32_t outcome;
        uint32_t name, rights, references, queued, made, has_senders;
        uint64_t sequence, size, kind, lies;
        char text[64];
        int32_t pid, regions, once;
        uint64_t sum;
};

static uint64_t sum_of(const void *bytes, size_t size)
{
        uint64_t sum = size;

        for (size_t i = 0; i < size; i++)
                sum = sum * 31 + ((const unsigned char *)bytes)[i];
        return sum;
}

/*
 * keeper NAME: receives on the port that it has published. A message with a receive right: keeps that. Requests:
 * what the kind says, of the port it keeps.
 */
static void keeper_answer(struct answer *a, ptl_port kept)
{
        struct ptl_port_status s;
        struct ptl_port_counts c;

        a->lies = statistics().lies;
        a->name = kept;
        if (!kept || ptl_port_get_status(kept, &s))
                return;
        a->rights = s.rights;
        a->references = s.references;
        a->queued = s.queued;
        if (!(s.rights & PTL_RIGHT_RECEIVE) || ptl_port_get_counts(kept, &c))
                return;
        a->made = c.made;
        a->once = (int32_t)c.once;
        a->has_senders = c.has_senders;
        a->sequence = c.sequence;
}

static int keeper_read(ptl_port kept, struct answer *a)
{
        struct ptl_message m;
        int r = ptl_receive(kept, &m, soon());

        if (r)
                return r;
        a->size = m.size;
        a->sum = sum_of(m.data, m.size);
        a->kind = m.kind;
        a->pid = m.sender->pid;
        if (m.size && m.size <= sizeof a->text)
                memcpy(a->text, m.data, m.size);
        if (m.reply)
                OK(ptl_reply(&m, "answered", 9));
        for (uint32_t i = 0; i < m.n_rights; i++) {
                if (m.rights[i].disposition & (PTL_RIGHT_SEND | PTL_RIGHT_SEND_ONCE))
                        OK(ptl_send(m.rights[i].port, "carried", 8, soon()));
                if (m.rights[i].disposition == PTL_RIGHT_SEND)
                        OK(ptl_right_release(m.rights[i].port));
        }
        for (uint32_t i = 0; i < m.n_regions; i++) {
                a->regions += m.regions[i].region && is_filled(ptl_region_data(m.regions[i].region), 4096, i);
                ptl_region_free(m.regions[i].region);
        }
        ptl_message_release(&m);
        return 0;
}

PEER(keeper)
{
        ptl_port p = new_port_of(1024, 0), kept = PTL_NULL, right = PTL_NULL;
        struct ptl_message m;
        bool quit = false;

        OK(ptl_name_publish(argv[1], p));
        while (!quit) {
                struct answer a = {.outcome = 0};

                OK(ptl_receive(p, &m, PTL_FOREVER));
                for (uint32_t i = 0; i < m.n_rights; i++)
                        if (m.rights[i].disposition == PTL_RIGHT_RECEIVE)
                                kept = m.rights[i].port;
                        else
                                right = m.rights[i].port;
                quit = m.kind == KIND_QUIT;
                if (m.kind == KIND_READ)
                        a.outcome = keeper_read(kept, &a);
                if (m.kind == KIND_FREE)
                        a.outcome = ptl_port_free(kept);
                if (m.kind == KIND_SEND_BACK) {
                        put_right(right, kept, PTL_MOVE_RECEIVE);
                        OK(ptl_right_release(right));
                }
                if (m.kind == KIND_USE)
                        a.outcome = ptl_send(right, "used", 5, soon());
                keeper_answer(&a, kept);
                if (m.reply)
                        OK(ptl_reply(&m, &a, sizeof a));
                ptl_message_release(&m);
        }
}

static struct answer ask_keeper(ptl_port keeper, uint32_t kind, const struct ptl_right_item *item)
{
        struct ptl_outgoing out = {.kind = kind, .rights = item, .n_rights = item != NULL};
        struct ptl_message m;
        struct answer a;

        OK(ptl_call_message(keeper, &out, &m, 0, soon()));
        CHECK_EQ(m.size, sizeof a);
        memcpy(&a, m.data, sizeof a);
        ptl_message_release(&m);
        CHECK_EQ(a.lies, 0);
        return a;
}

static struct answer reads(ptl_port keeper, const char *text)
{
        struct answer a = ask_keeper(keeper, KIND_READ, NULL);

        OK(a.outcome);
        CHECK_STR_EQ(a.text, text);
        return a;
}

static ptl_port start_keeper(struct peer *ret, const char *name)
{
        peer_start(ret, "keeper", name, NULL);
        return look_up(name);
}

static void end_keeper(struct peer *peer, ptl_port port)
{
        OK(ptl_send_message(port, &(struct ptl_outgoing){.kind = KIND_QUIT}, soon()));
        peer_end(peer);
}

static struct peer d;
static ptl_port to_d;

static void begin(void) { to_d = start_keeper(&d, "d"); }

static void end(void)
{
        CHECK_EQ(statistics().lies, 0);
        end_keeper(&d, to_d);
}

API_TEST(a_port_without_senders_moves_with_its_queue)
{
        ptl_port p = new_port();
        struct answer a;

        begin();
        put(p, "1");
        put(p, "2");
        put(p, "");
        put_right(to_d, p, PTL_MOVE_RECEIVE);
        check_no_name(p);
        a = ask_keeper(to_d, KIND_COUNTS, NULL);
        CHECK_EQ(a.rights, PTL_RIGHT_RECEIVE);
        CHECK_EQ(a.queued, 3);
        CHECK_EQ(a.made, 0);
        CHECK_EQ(a.sequence, 0);
        CHECK(!a.has_senders);
        CHECK_EQ(reads(to_d, "1").pid, getpid());
        reads(to_d, "2");
        CHECK_EQ(reads(to_d, "").size, 1);
        end();
}

API_TEST(large_messages_move_in_blocks_and_in_memory_of_their_own)
{
        static char large[3 << 20];
        ptl_port p = new_port_of(0, 64 << 20);
        struct answer a;

        begin();
        OK(ptl_right_release(p));
        memcpy(large, "large", 6);
        OK(ptl_send(p, large, 5000, PTL_NOW));
        OK(ptl_send(p, large, 100000, PTL_NOW));
        put_right(to_d, p, PTL_MOVE_RECEIVE);
        a = ask_keeper(to_d, KIND_READ, NULL);
        CHECK_EQ(a.size, 5000);
        a = ask_keeper(to_d, KIND_READ, NULL);
        CHECK_EQ(a.size, 100000);
        end();
}

API_TEST(a_queue_larger_than_any_ring_moves_at_once)
{
        enum { MESSAGES = 1000, SIZE = 8000 };
        static char bytes[SIZE];
        ptl_port p = new_port_of(MESSAGES, 64 << 20);
        struct ptl_right_item item = {p, PTL_MOVE_RECEIVE};

        begin();
        OK(ask_keeper(to_d, KIND_COUNTS, NULL).outcome);
        for (unsigned i = 0; i < MESSAGES; i++) {
                fill(bytes, SIZE, i);
                OK(ptl_send(p, bytes, i % 2 ? SIZE : 300, PTL_NOW));
        }
        OK(ptl_send_message(to_d, &(struct ptl_outgoing){.rights = &item, .n_rights = 1}, PTL_NOW));
        for (unsigned i = 0; i < MESSAGES; i++) {
                struct answer a = ask_keeper(to_d, KIND_READ, NULL);

                fill(bytes, SIZE, i);
                CHECK_EQ(a.size, i % 2 ? SIZE : 300);
                CHECK_EQ(a.sum, sum_of(bytes, a.size));
        }
        end();
}

API_TEST(a_send_right_of_the_old_receivers_leads_to_the_new_one)
{
        ptl_port p = new_send_port(), asked = new_port();

        begin();
        put(p, "before");
        ask(p, PTL_NOTIFY_DEAD_NAME, 0, asked);
        put_right(to_d, p, PTL_MOVE_RECEIVE);
        check_rights(p, PTL_RIGHT_SEND, 1);
        CHECK_EQ(status_of(p).peer_pid, d.pid);
        put(p, "after");
        reads(to_d, "before");
        reads(to_d, "after");
        CHECK(ask_keeper(to_d, KIND_COUNTS, NULL).has_senders);
        for (int i = 0; i < 1000; i++) {
                put(p, "x");
                reads(to_d, "x");
        }
        OK(ask_keeper(to_d, KIND_FREE, NULL).outcome);
        take_dead_name(asked, p);
        end();
}

API_TEST(send_once_rights_of_the_old_receivers_lead_to_the_new_one)
{
        ptl_port p = new_port(), once = new_once(p), second = new_once(p), unused = new_once(p);

        begin();
        put_right(to_d, p, PTL_MOVE_RECEIVE);
        check_no_name(p);
        check_rights(once, PTL_RIGHT_SEND_ONCE, 1);
        put(once, "once");
        put(second, "second");
        reads(to_d, "once");
        reads(to_d, "second");
        OK(ptl_right_release(unused));
        CHECK_EQ(ask_keeper(to_d, KIND_READ, NULL).kind, PTL_NOTIFY_SEND_ONCE);
        CHECK(!ask_keeper(to_d, KIND_COUNTS, NULL).has_senders);
        end();
}

/* --- what lies in the queue --- */

API_TEST(calls_that_wait_are_answered_by_the_new_receiver)
{
        ptl_port p = new_port(), q = new_port(), r;
        struct ptl_message m;

        begin();
        r = q;
        OK(ptl_send_message(p, &(struct ptl_outgoing){.data = "call", .size = 5, .reply = r}, PTL_NOW));
        put_right(to_d, p, PTL_MOVE_RECEIVE);
        check_empty(q);
        reads(to_d, "call");
        m = take_message(q);
        CHECK_EQ(m.size, 9);
        CHECK_EQ(m.sender->pid, d.pid);
        ptl_message_release(&m);
        CHECK_EQ(counts_of(q).once, 0);
        end();
}

/* The keeper sends the port back to @home, whose send right it gets. */
static ptl_port comes_back(ptl_port keeper, ptl_port home)
{
        struct ptl_right_item item = {home, PTL_MAKE_SEND};
        struct ptl_outgoing out = {.kind = KIND_SEND_BACK, .rights = &item, .n_rights = 1};

        OK(ptl_send_message(keeper, &out, soon()));
        return take_right(home);
}

API_TEST(a_call_that_waits_goes_wherever_the_port_goes)
{
        ptl_port p = new_port(), q = new_port(), home = new_port(), once = new_once(q);
        struct ptl_right_item item = {once, PTL_MOVE_SEND_ONCE};
        struct ptl_message m;

        begin();
        OK(ptl_send_message(p, &(struct ptl_outgoing){.data = "call", .size = 5, .reply = q, .rights = &item, .n_rights = 1},
                            PTL_NOW));
        put_right(to_d, p, PTL_MOVE_RECEIVE);
        p = comes_back(to_d, home);
        put_right(to_d, p, PTL_MOVE_RECEIVE);
        p = comes_back(to_d, home);
        m = take_message(p);
        check_text(&m, "call");
        CHECK_EQ(m.n_rights, 1);
        put(m.rights[0].port, "carried");
        OK(ptl_reply(&m, "answered", 9));
        ptl_message_release(&m);
        take(q, "carried");
        take(q, "answered");
        CHECK_EQ(counts_of(q).once, 0);
        end();
}

API_TEST(rights_and_regions_in_the_queue_move_along)
{
        struct ptl_region_item regions[2] = {{.how = PTL_REGION_VOLATILE}, {.how = PTL_REGION_ISOLATED}};
        ptl_port p = new_port(), q = new_send_port(), once = new_once(q);
        struct ptl_right_item items[] = {{q, PTL_COPY_SEND}, {once, PTL_MOVE_SEND_ONCE}, {to_d, PTL_COPY_SEND}};
        struct ptl_outgoing out = {.rights = items, .n_rights = 2, .regions = regions, .n_regions = 2};

        begin();
        for (unsigned i = 0; i < 2; i++) {
                OK(ptl_region_new(4096, &regions[i].region));
                fill(ptl_region_data(regions[i].region), 4096, i);
        }
        OK(ptl_send_message(p, &out, PTL_NOW));
        put_right(to_d, p, PTL_MOVE_RECEIVE);
        CHECK_EQ(counts_of(q).once, 1); /* the new receiver's */
        CHECK_EQ(ask_keeper(to_d, KIND_READ, NULL).regions, 2);
        take(q, "carried");
        take(q, "carried");
        CHECK_EQ(counts_of(q).once, 0);
        OK(ptl_right_release(q));
        ask_keeper(to_d, KIND_COUNTS, NULL);
        CHECK(!counts_of(q).has_senders);
        ptl_region_free(regions[0].region);
        end();
}

API_TEST(messages_that_hold_rights_to_their_own_port_move_along)
{
        ptl_port p = new_port(), once = new_once(p);
        struct ptl_right_item items[] = {{p, PTL_MAKE_SEND}, {once, PTL_MOVE_SEND_ONCE}};
        struct ptl_outgoing out = {.rights = items, .n_rights = 2};
        struct answer a;

        begin();
        OK(ptl_send_message(p, &out, PTL_NOW));
        put_right(to_d, p, PTL_MOVE_RECEIVE);
        check_no_name(p);
        CHECK(ask_keeper(to_d, KIND_COUNTS, NULL).has_senders);
        a = ask_keeper(to_d, KIND_READ, NULL); /* which uses both */
        CHECK_EQ(a.rights, PTL_RIGHT_RECEIVE);
        CHECK_EQ(a.queued, 2);
        reads(to_d, "carried");
        reads(to_d, "carried");
        CHECK(!ask_keeper(to_d, KIND_COUNTS, NULL).has_senders);
        end();
}

API_TEST(rights_to_the_port_in_messages_that_stay_lead_to_the_new_receiver)
{
        ptl_port p = new_send_port(), q = new_send_port(), once = new_once(p), name;
        struct ptl_right_item items[] = {{p, PTL_MOVE_SEND}, {once, PTL_MOVE_SEND_ONCE}};
        struct ptl_outgoing out = {.rights = items, .n_rights = 2};
        struct ptl_message m;

        begin();
        OK(ptl_send_message(q, &out, PTL_NOW));
        put_right(to_d, p, PTL_MOVE_RECEIVE);
        check_no_name(p);
        m = take_message(q);
        name = m.rights[0].port;
        CHECK_EQ(m.rights[0].disposition, PTL_RIGHT_SEND);
        CHECK_EQ(m.rights[1].disposition, PTL_RIGHT_SEND_ONCE);
        put(name, "send");
        put(m.rights[1].port, "once");
        ptl_message_release(&m);
        reads(to_d, "send");
        reads(to_d, "once");
        OK(ptl_right_release(name));
        ask_keeper(to_d, KIND_COUNTS, NULL);
        CHECK(!ask_keeper(to_d, KIND_COUNTS, NULL).has_senders);
        end();
}

API_TEST(other_rights_to_the_port_go_with_it)
{
        ptl_port p = new_send_port(), once = new_once(p);
        struct ptl_right_item items[] = {{p, PTL_MAKE_SEND},      {p, PTL_MOVE_RECEIVE}, {p, PTL_COPY_SEND},
                                         {p, PTL_MAKE_SEND_ONCE}, {p, PTL_MOVE_SEND},    {once, PTL_MOVE_SEND_ONCE}};
        struct answer a;

        begin();
        OK(ptl_send_message(to_d, &(struct ptl_outgoing){.rights = items, .n_rights = ARRAY_LEN(items)}, soon()));
        check_no_name(p);
        check_no_name(once);
        a = ask_keeper(to_d, KIND_COUNTS, NULL);
        CHECK_EQ(a.rights, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND);
        CHECK_EQ(a.references, 3);
        CHECK_EQ(a.once, 2);
        CHECK_EQ(a.queued, 0);
        OK(ask_keeper(to_d, KIND_USE, NULL).outcome); /* the last one */
        reads(to_d, "used");
        end();
}

API_TEST(a_port_in_the_queue_of_a_port_moves_along)
{
        ptl_port outer = new_port(), inner = new_send_port(), deep = new_send_port();

        begin();
        put(deep, "deep");
        put(inner, "inner");
        put_right(inner, deep, PTL_MOVE_RECEIVE);
        put_right(outer, inner, PTL_MOVE_RECEIVE);
        put_right(to_d, outer, PTL_MOVE_RECEIVE);
        CHECK_EQ(status_of(inner).peer_pid, d.pid);
        CHECK_EQ(status_of(deep).peer_pid, d.pid);
        put(inner, "again");
        CHECK_EQ(ask_keeper(to_d, KIND_COUNTS, NULL).queued, 1);
        end();
}

/* --- there and back --- */

API_TEST(a_port_comes_back_under_the_name_of_the_right_that_was_kept)
{
        ptl_port p = new_send_port(), home = new_port();

        begin();
        for (int i = 0; i < 100; i++) {
                put(p, "1");
                put_right(to_d, p, PTL_MOVE_RECEIVE);
                check_rights(p, PTL_RIGHT_SEND, 1);
                put(p, "2");
                CHECK_EQ(comes_back(to_d, home), p);
                check_rights(p, PTL_RIGHT_SEND | PTL_RIGHT_RECEIVE, 1);
                take(p, "1");
                take(p, "2");
        }
        check_empty(p);
        end();
}

API_TEST(a_port_comes_back_under_a_new_name_where_none_was_kept)
{
        ptl_port p = new_port(), home = new_port(), q;

        begin();
        put(p, "1");
        put_right(to_d, p, PTL_MOVE_RECEIVE);
        check_no_name(p);
        q = comes_back(to_d, home);
        check_rights(q, PTL_RIGHT_RECEIVE, 0);
        take(q, "1");
        end();
}

/* --- ends --- */

API_TEST(a_port_that_would_go_to_the_dead_stays)
{
        ptl_port p = new_send_port(), asked = new_port();

        begin();
        ask(to_d, PTL_NOTIFY_DEAD_NAME, 0, asked);
        end_keeper(&d, to_d);
        take_dead_name(asked, to_d);
        OUTCOME(ptl_send_message(to_d,
                                 &(struct ptl_outgoing){.rights = &(struct ptl_right_item){p, PTL_MOVE_RECEIVE},
                                                        .n_rights = 1},
                                 soon()),
                PTL_E_DEAD);
        check_rights(p, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, 1);
}

API_TEST(the_new_receivers_death_is_the_ports)
{
        ptl_port p = new_send_port(), once = new_once(p), asked = new_port();

        begin();
        put_right(to_d, p, PTL_MOVE_RECEIVE);
        ask(p, PTL_NOTIFY_DEAD_NAME, 0, asked);
        peer_kill(&d);
        take_dead_name(asked, p);
        check_rights(p, PTL_RIGHT_DEAD, 2);
        OUTCOME(ptl_send(once, "x", 2, soon()), PTL_E_DEAD);
}
