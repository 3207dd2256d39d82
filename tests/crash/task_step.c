/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_step.c - a task is killed after every instruction of send, receive, call and reply
 *
 * Whoever it had a link with hears of it in time, has whole messages only, loses no right, keeps
 * nothing of it, and goes on: with the next victim. See task_stage.h for how.
 */
#include "task_play.h"

enum { BIG = 8000, ROOM = SMALL + 128 + 24 };

/* ---- the victim sends ---- */

static struct ptl_ring_writer *my_ring(void)
{
        CHECK(ptl_the_task.space.peers);
        return &ptl_the_task.space.peers->link.tx;
}

static void send_one(struct stage *s) { OK(send_data(s, ready[0], s->scene->size, NULL, soon())); }

static void send_block(struct stage *s) { OK(send_part(s, BLOCK, NULL, soon())); }

static void until_full(struct stage *s, size_t size)
{
        int r;

        while ((r = send_part(s, size, NULL, PTL_NOW)) == 0)
                ;
        OUTCOME(r, PTL_E_FULL);
}

static void fill_window(struct stage *s) { until_full(s, SMALL); }

static void waited(struct stage *s) { CHECK(statistics().waits_full > 0); }

static uint64_t left_of_lap(const struct ptl_ring_writer *w)
{
        return w->size - (w->position & (w->size - 1));
}

static void most_of_a_lap(struct stage *s)
{
        while (left_of_lap(my_ring()) > 3 * BIG)
                OK(send_part(s, BIG, NULL, soon()));
}

static void rest_of_a_lap(struct stage *s)
{
        while (left_of_lap(my_ring()) > 2 * ROOM)
                OK(send_part(s, SMALL, NULL, soon()));
        while (left_of_lap(my_ring()) >= PTL_FRAME_HEAD + SMALL)
                OK(send_part(s, 8, NULL, soon()));
}

static void has_lapped(struct stage *s)
{
        CHECK_EQ(my_ring()->level, 0);
        CHECK(my_ring()->position > my_ring()->size);
}

/* A reservation that is dropped leaves nothing. */
static bool has_room(size_t size)
{
        struct ptl_ring_slot slot;

        return ptl_ring_reserve(my_ring(), (uint32_t)size, PTL_RING_RESERVE, &slot) == 0;
}

static void fill_level(struct stage *s)
{
        while (has_room(BIG))
                OK(send_part(s, BIG, NULL, soon()));
        while (has_room(SMALL))
                OK(send_part(s, SMALL, NULL, soon()));
        CHECK_EQ(my_ring()->level, 0);
}

static void has_grown(struct stage *s) { CHECK_EQ(my_ring()->level, 1); }

static void fill_ring(struct stage *s)
{
        until_full(s, BIG);
        until_full(s, SMALL);
}

static void fill_pool(struct stage *s) { until_full(s, BLOCK); }

static void poke_by_taking_one(struct play *p) { take_some(p, 1); }

/* Enough to come to what the ring's last level holds: what is in older ones makes no room. */
static void poke_by_taking_many(struct play *p) { take_some(p, 400); }

static void poke_by_taking_some(struct play *p) { take_some(p, 50); }

SCENE(the_first_send_on_a_link, .first = true, .size = SMALL, .act = send_one)
SCENE(a_send_to_a_task_that_is_awake, .size = SMALL, .act = send_one)
SCENE(a_send_to_a_task_that_sleeps, .size = SMALL, .act = send_one, .inside = true)
SCENE(a_send_that_wraps_the_ring, .prepare = most_of_a_lap, .begin = rest_of_a_lap, .size = SMALL,
      .act = send_one, .proof = has_lapped)
SCENE(a_send_that_makes_the_ring_grow, .limit = 4000, .begin = fill_level, .size = SMALL,
      .act = send_one, .proof = has_grown)
SCENE(a_send_that_waits_for_a_full_queue, .limit = 4, .begin = fill_window, .size = SMALL,
      .act = send_one, .proof = waited, .sleeps = true, .poke = poke_by_taking_one)
SCENE(a_send_that_waits_for_a_full_ring, .limit = 65535, .begin = fill_ring, .size = SMALL,
      .act = send_one, .proof = waited, .sleeps = true, .poke = poke_by_taking_many)
SCENE(a_send_of_the_first_block, .size = BLOCK, .act = send_one)
SCENE(a_send_of_another_block, .prepare = send_block, .size = BLOCK, .act = send_one,
      .inside = true)
SCENE(a_send_that_waits_for_a_full_pool, .limit = 65535, .begin = fill_pool, .size = BLOCK,
      .act = send_one, .proof = waited, .sleeps = true, .poke = poke_by_taking_some)

/* A right of each kind: a new one, one to our own port, the survivor's own, and one to reply to. */
static void send_rights(struct stage *s)
{
        struct ptl_right_item items[] = {
                {0,    PTL_MAKE_SEND     },
                {mine, PTL_MAKE_SEND     },
                {mine, PTL_MAKE_SEND_ONCE},
                {to,   PTL_COPY_SEND     }
        };
        struct ptl_outgoing out = {
                .kind = KIND_PART, .reply = mine, .rights = items, .n_rights = 4};

        OK(ptl_port_new(&items[0].port, NULL));
        OK(send_data(s, ready[0], SMALL, &out, soon()));
}

static void move_rights(struct stage *s)
{
        struct ptl_right_item items[] = {
                {mine, PTL_MAKE_SEND},
                {to,   PTL_MOVE_SEND}
        };
        struct ptl_outgoing out = {.kind = KIND_PART, .rights = items, .n_rights = 2};

        OK(send_data(s, ready[0], BLOCK, &out, soon()));
}

static void send_region(struct stage *s)
{
        struct ptl_region_item item = {.how = PTL_REGION_ISOLATED};
        struct ptl_outgoing out = {.kind = KIND_PART, .regions = &item, .n_regions = 1};

        OK(ptl_region_new(4096, &item.region));
        OK(send_data(s, ready[0], SMALL, &out, soon()));
}

static void send_three_together(struct stage *s)
{
        struct ptl_bytes batch[3] = {
                {ready[0], SMALL},
                {ready[1], SMALL},
                {ready[2], SMALL}
        };
        size_t sent = 0;
        uint32_t n = ptl_load_relaxed(&s->begun);

        ptl_store_release(&s->begun, n + 3);
        OK(ptl_send_batch(to, batch, 3, &sent, soon()));
        ptl_store_release(&s->done, n + 3);
}

static void send_a_loan(struct stage *s)
{
        uint32_t n = ptl_load_relaxed(&s->begun);
        struct ptl_loan loan;

        OK(ptl_loan_reserve(to, BLOCK, &loan, soon()));
        memcpy(loan.data, ready[0], BLOCK);
        ptl_store_release(&s->begun, n + 1);
        OK(ptl_loan_publish(&loan, BLOCK, NULL, soon()));
        ptl_store_release(&s->done, n + 1);
}

SCENE(a_send_of_rights, .size = SMALL, .act = send_rights)
SCENE(a_send_that_moves_a_right_with_a_block, .size = BLOCK, .act = move_rights, .inside = true)
SCENE(a_send_of_a_region, .size = SMALL, .act = send_region)
SCENE(a_send_of_a_batch, .size = SMALL, .act = send_three_together, .inside = true)
SCENE(a_send_of_a_loan, .size = BLOCK, .act = send_a_loan)

/* ---- the victim receives ---- */

static struct ptl_message received;

static void receive_one(struct stage *s)
{
        OK(ptl_receive(mine, &received, soon()));
        ptl_message_release(&received);
}

static void receive_and_keep(struct stage *s) { OK(ptl_receive(mine, &received, soon())); }

static void is_whole(struct stage *s)
{
        CHECK(received.size == s->scene->size && is_part(received.data, received.size, 0));
}

static void slept(struct stage *s) { CHECK(statistics().sleeps > 0); }

static void give_small(struct play *p)
{
        for (int i = 0; i < 3; i++)
                OK(give(p, SMALL, PTL_NOW, NULL));
}

static void give_block(struct play *p) { OK(give(p, BLOCK, PTL_NOW, NULL)); }

/* Its send-once right must come back once, whether or not the message was taken. */
static void give_rights(struct play *p)
{
        struct ptl_right_item items[] = {
                {p->port,   PTL_MAKE_SEND},
                {p->victim, PTL_COPY_SEND},
                {0,         PTL_MAKE_SEND}
        };
        struct ptl_outgoing out = {.reply = p->port, .rights = items, .n_rights = 3};

        p->gift = items[2].port = new_port();
        OK(give(p, SMALL, PTL_NOW, &out));
        p->onces_expected = 1;
}

/* Its window is full; the one that waits gets in, or hears of the death. */
static void give_too_many(struct play *p)
{
        int r;

        for (int i = 0; i < 4; i++)
                OK(give(p, SMALL, PTL_NOW, NULL));
        ptl_store_release(&p->stage->inside, 1);
        r = give(p, SMALL, soon(), NULL);
        CHECK(r == 0 || r == PTL_E_DEAD);
}

SCENE(a_receive_of_what_is_there, .before = give_small, .size = SMALL, .act = receive_and_keep,
      .proof = is_whole)
SCENE(a_receive_that_writes_the_board, .before = give_small, .size = SMALL, .act = receive_and_keep,
      .proof = is_whole, .writes_board = true)
SCENE(a_receive_of_a_block, .before = give_block, .size = BLOCK, .act = receive_one)
SCENE(a_receive_that_sleeps, .size = SMALL, .act = receive_one, .proof = slept, .sleeps = true,
      .poke = give_small)
SCENE(a_receive_of_rights, .before = give_rights, .size = SMALL, .act = receive_one)
SCENE(a_receive_that_makes_room_for_a_sender, .meanwhile = give_too_many, .size = SMALL,
      .act = receive_one)

/* ---- the victim calls ---- */

static void call(struct stage *s)
{
        static unsigned char answer[BLOCK];
        uint32_t sequence = ptl_load_relaxed(&s->begun);
        size_t n = s->scene->size;

        ptl_store_release(&s->begun, sequence + 1);
        OK(ptl_call(to, ready[0], n, answer, &n, soon()));
        ptl_store_release(&s->done, sequence + 1);
        CHECK(n == s->scene->size && !memcmp(ready[0], answer, n));
}

SCENE(a_call_that_is_answered_by_a_task_that_sleeps, .serves = true, .inside = true, .size = SMALL,
      .act = call)
SCENE(a_call_that_sleeps, .serves = true, .size = SMALL, .act = call, .sleeps = true,
      .poke = poke_by_taking_one)
SCENE(a_call_with_a_block, .serves = true, .inside = true, .size = BLOCK, .act = call)
SCENE(a_call_between_tasks_that_poll, .serves = true, .inside = true, .spins = true, .size = SMALL,
      .act = call)

/* ---- the victim replies ---- */

static struct ptl_message request;

static void take_request(struct stage *s)
{
        OK(ptl_receive(mine, &request, soon()));
        CHECK(request.reply != PTL_NULL);
}

/* It calls the victim: the answer, or its death. */
static void call_victim(struct play *p)
{
        unsigned char data[SMALL];
        struct ptl_outgoing out = {.data = data, .size = sizeof data, .kind = KIND_REQUEST};
        const struct stage *s = p->stage;
        struct ptl_message m;
        int r;

        make_part(data, sizeof data, 0);
        r = ptl_call_message(p->victim, &out, &m, 0, soon());
        if (r) {
                OUTCOME(r, s->scene->drops && r == PTL_E_NO_REPLY ? r : PTL_E_DEAD);
                CHECK_EQ(ptl_load_acquire(&s->answered), 0);
                return;
        }
        CHECK_EQ(ptl_load_acquire(&s->answering), 1);
        CHECK(is_part(m.data, m.size, ANSWER));
        took_rights(p, &m);
        ptl_message_release(&m);
}

static void reply_one(struct stage *s)
{
        ptl_store_release(&s->answering, 1);
        OK(ptl_reply(&request, ready_answer, s->scene->size));
        ptl_store_release(&s->answered, 1);
        ptl_message_release(&request);
}

static void reply_rights(struct stage *s)
{
        struct ptl_right_item items[] = {
                {mine, PTL_MAKE_SEND},
                {to,   PTL_MOVE_SEND}
        };
        struct ptl_outgoing out = {
                .data = ready_answer, .size = SMALL, .rights = items, .n_rights = 2};

        ptl_store_release(&s->answering, 1);
        OK(ptl_reply_message(&request, &out));
        ptl_store_release(&s->answered, 1);
        ptl_message_release(&request);
}

static void drop_request(struct stage *s) { ptl_message_release(&request); }

SCENE(a_reply, .meanwhile = call_victim, .begin = take_request, .size = SMALL, .act = reply_one)
SCENE(a_reply_with_a_block, .meanwhile = call_victim, .begin = take_request, .size = BLOCK,
      .act = reply_one)
SCENE(a_reply_with_rights, .meanwhile = call_victim, .begin = take_request, .size = SMALL,
      .act = reply_rights)
SCENE(a_request_that_is_dropped, .meanwhile = call_victim, .begin = take_request, .drops = true,
      .size = SMALL, .act = drop_request)
