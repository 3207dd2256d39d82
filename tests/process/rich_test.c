/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rich_test.c - messages with a right and bytes of all sizes, one behind the other
 *
 * What is small goes straight from the program to the ring and from there to the program; what is larger, or carries
 * more, goes the long way: neither loses, doubles or mixes anything.
 */
#include "roles.h"

enum { KIND_COUNTS = 500, FIRST = 1000 }; /* kinds from FIRST on: messages, by number */

/* Around what fits a line, two, a cell and the ring. */
static const uint32_t sizes[] = {0,    1,    7,    8,    9,    24,   40,   63,   64,   65,   88,   89,   104,
                                 105,  500,  1239, 1240, 1241, 1248, 1256, 1264, 1271, 1272, 1273, 1279, 1280,
                                 1281, 1300, 4000, 8100, 8127, 8128, 8129, 8150, 8192, 8193, 20000};

struct counts {
        uint32_t rights, own;
};

/* It came whole, and the right can be used. Where it is this task's own, what is sent through it comes back. */
static void take_in(const struct ptl_message *m, struct counts *counts)
{
        CHECK_EQ(m->size, sizes[m->kind % ARRAY_LEN(sizes)]);
        CHECK_EQ((uintptr_t)m->data % 8, 0);
        CHECK(is_filled(m->data, m->size, m->kind));
        for (uint32_t i = 0; i < m->n_rights; i++) {
                OK(ptl_send(m->rights[i].port, &m->kind, sizeof m->kind, soon()));
                if (!(m->rights[i].disposition & PTL_RIGHT_SEND_ONCE))
                        OK(ptl_right_release(m->rights[i].port));
        }
        counts->rights += m->n_rights;
}

/* taker [in-place] */
PEER(taker)
{
        ptl_port port = new_port_of(1024, 64 << 20);
        unsigned flags = argc > 1 ? PTL_IN_PLACE : 0;
        struct counts counts = {0};
        bool quit = false;

        (void)argv;
        OK(ptl_name_publish("taker", port));
        while (!quit) {
                struct ptl_message m;

                OK(ptl_receive_with(port, &m, flags, PTL_FOREVER));
                if (m.kind == KIND_COUNTS)
                        OK(ptl_reply(&m, &counts, sizeof counts));
                else if (m.kind >= FIRST)
                        take_in(&m, &counts);
                else if (m.kind != KIND_QUIT)
                        counts.own++;
                if (m.kind >= FIRST && m.reply)
                        OK(ptl_reply(&m, &m.kind, sizeof m.kind));
                quit = m.kind == KIND_QUIT;
                ptl_message_release(&m);
        }
}

static ptl_port them, mine;

/* Message number @kind with @n rights to what @port names. */
static void send_it(uint32_t kind, ptl_port port, uint32_t disposition, uint32_t n, ptl_port reply)
{
        struct ptl_right_item items[8];
        uint32_t size = sizes[kind % ARRAY_LEN(sizes)];
        char *data = malloc(size + 1);

        CHECK(data);
        fill(data, size, kind);
        for (uint32_t i = 0; i < n; i++)
                items[i] = (struct ptl_right_item){port, disposition};
        OK(ptl_send_message(them,
                            &(struct ptl_outgoing){.data = data,
                                                   .size = size,
                                                   .kind = kind,
                                                   .rights = items,
                                                   .n_rights = n,
                                                   .reply = reply},
                            soon()));
        free(data);
}

/* What was sent through the rights of message @kind. */
static void take_back(ptl_port port, uint32_t kind, uint32_t n)
{
        for (uint32_t i = 0; i < n; i++) {
                struct ptl_message m = take_message(port);

                CHECK_EQ(m.size, sizeof kind);
                CHECK(memcmp(m.data, &kind, sizeof kind) == 0);
                ptl_message_release(&m);
        }
}

static struct counts ask_counts(void)
{
        struct counts counts;
        size_t size = sizeof counts;
        struct ptl_message m;

        OK(ptl_call_message(them, &(struct ptl_outgoing){.kind = KIND_COUNTS}, &m, 0, soon()));
        CHECK_EQ(m.size, size);
        memcpy(&counts, m.data, size);
        ptl_message_release(&m);
        return counts;
}

static void begin(struct peer *taker, const char *how)
{
        peer_start(taker, "taker", how, NULL);
        them = look_up("taker");
        mine = new_port();
}

static void end(struct peer *taker)
{
        OK(ptl_send_message(them, &(struct ptl_outgoing){.kind = KIND_QUIT}, soon()));
        peer_end(taker);
}

static const struct row {
        uint32_t disposition;
        bool own; /* the port is the sender's */
} rows[] = {
        {PTL_MAKE_SEND,      true },
        {PTL_MAKE_SEND_ONCE, true },
        {PTL_COPY_SEND,      true },
        {PTL_MOVE_SEND,      true },
        {PTL_COPY_SEND,      false},
        {PTL_MOVE_SEND,      false},
};

/* Each way with one right, and with more than go the straight way. */
static void send_all(const char *how, uint32_t rounds)
{
        const uint32_t numbers[] = {1, 4, 5};
        struct counts counts = {0}, got;
        struct peer taker;
        uint32_t kind = FIRST;

        begin(&taker, how);
        for (uint32_t round = 0; round < rounds; round++)
                for (size_t i = 0; i < ARRAY_LEN(rows) * ARRAY_LEN(numbers) * ARRAY_LEN(sizes); i++, kind++) {
                        const struct row *r = &rows[i % ARRAY_LEN(rows)];
                        uint32_t n = numbers[i / ARRAY_LEN(rows) % ARRAY_LEN(numbers)];
                        ptl_port port = r->own ? mine : them;
                        bool moves = r->disposition == PTL_MOVE_SEND;

                        for (uint32_t k = 0; k < n && r->own && r->disposition != PTL_MAKE_SEND_ONCE; k++)
                                if (r->disposition != PTL_MAKE_SEND)
                                        OK(ptl_right_make_send(mine));
                        for (uint32_t k = 0; k < n && moves && !r->own; k++)
                                OK(ptl_right_ref(them));
                        send_it(kind, port, r->disposition, n, PTL_NULL);
                        if (r->own)
                                take_back(mine, kind, n);
                        for (uint32_t k = 0; k < n && r->own && r->disposition == PTL_COPY_SEND; k++)
                                OK(ptl_right_release(mine));
                        counts.rights += n;
                        counts.own += r->own ? 0 : n;
                }
        do
                got = ask_counts();
        while (got.own < counts.own); /* its own, from itself, come behind */
        CHECK_EQ(got.rights, counts.rights);
        CHECK_EQ(got.own, counts.own);
        check_rights(mine, PTL_RIGHT_RECEIVE, 0);
        check_rights(them, PTL_RIGHT_SEND, 1);
        end(&taker);
}

API_TEST(rights_with_bytes_of_all_sizes_come_whole) { send_all(NULL, 1); }

API_TEST(rights_with_bytes_of_all_sizes_come_whole_to_who_reads_in_place) { send_all("in-place", 1); }

/* Nobody answers in between: they lie in the ring behind each other, and plain ones between them. */
API_TEST(rights_come_in_the_order_of_their_messages)
{
        enum { N = 600 };
        struct peer taker;

        begin(&taker, NULL);
        for (uint32_t kind = FIRST; kind < FIRST + N; kind++)
                send_it(kind, mine, PTL_MAKE_SEND, kind % 3, PTL_NULL);
        for (uint32_t kind = FIRST; kind < FIRST + N; kind++)
                take_back(mine, kind, kind % 3);
        CHECK(ask_counts().rights == N);
        end(&taker);
}

API_TEST(a_message_with_a_right_is_answered_through_its_reply_right)
{
        struct peer taker;

        begin(&taker, NULL);
        for (uint32_t kind = FIRST; kind < FIRST + 100; kind++) {
                ptl_port answers = new_port();

                send_it(kind, mine, PTL_MAKE_SEND, 1, answers);
                take_back(mine, kind, 1);
                take_back(answers, kind, 1);
                OK(ptl_port_free(answers));
        }
        end(&taker);
}

/* What is refused is the sender's still. */
API_TEST(a_right_that_cannot_be_sent_stays_where_it_is)
{
        ptl_port dead, port, set = new_set();
        struct peer taker;
        struct ptl_right_item item = {.disposition = PTL_COPY_SEND};
        struct ptl_outgoing out = {.rights = &item, .n_rights = 1};

        begin(&taker, NULL);
        send_it(FIRST, mine, PTL_MAKE_SEND, 1, PTL_NULL); /* the straight way is open */
        take_back(mine, FIRST, 1);
        item.port = mine; /* no send right */
        OUTCOME(ptl_send_message(them, &out, PTL_NOW), PTL_E_RIGHT);
        item = (struct ptl_right_item){them, PTL_MAKE_SEND}; /* not this task's */
        OUTCOME(ptl_send_message(them, &out, PTL_NOW), PTL_E_RIGHT);
        item = (struct ptl_right_item){set, PTL_COPY_SEND};
        OUTCOME(ptl_send_message(them, &out, PTL_NOW), PTL_E_RIGHT);
        item = (struct ptl_right_item){mine, 77};
        OUTCOME(ptl_send_message(them, &out, PTL_NOW), PTL_E_INVALID);
        item = (struct ptl_right_item){stale_name(), PTL_COPY_SEND};
        OUTCOME(ptl_send_message(them, &out, PTL_NOW), PTL_E_NAME);
        port = new_send_port();
        OK(ptl_port_free(port));
        dead = port;
        item = (struct ptl_right_item){dead, PTL_MOVE_SEND};
        check_rights(dead, PTL_RIGHT_DEAD, 1);
        check_rights(mine, PTL_RIGHT_RECEIVE, 0);
        CHECK_EQ(ask_counts().rights, 1);
        end(&taker);
}
