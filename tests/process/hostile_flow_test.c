/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process/hostile_flow_test.c - a peer that lies about what it took, changes what it sent, floods
 *
 * What a victim keeps of a hostile peer's is its own, and what it does for one stays bounded.
 */
#define _GNU_SOURCE
#include "link_raw.h"
#include <pthread.h>

enum { NUMBER = 5, LARGE = 3 << 20 };

static void rich(struct link_raw *l, const struct ptl_rich *r, uint32_t kind)
{
        char body[2048] __attribute__((aligned(8))) = "";

        ptl_rich_encode(r, body);
        CHECK(link_raw_frame(l, PTL_FRAME_RICH,
                             (struct ptl_frame_head){.right = RIGHT, .aux = kind}, body,
                             (uint32_t)ptl_rich_head_size(r->n_rights, r->n_regions)));
}

/* The victim has read all that was written so far. */
static bool is_read(struct link_raw *l)
{
        return ptl_load_acquire(&ptl_outbox_head(&l->peer)->consumed) == l->tx.position; /* E2 */
}

/* ---- queued ---- */

static ptl_port valve;
static struct ptl_message plug;

/* From here on the victim takes nothing but the answer to a call of its own. */
static void plug_victim(void)
{
        struct ptl_right_item item = {.disposition = PTL_MAKE_SEND};
        struct ptl_outgoing out = {.kind = KIND_PLUG, .rights = &item, .n_rights = 1};

        valve = item.port = new_port();
        OK(ptl_send_message(friendly, &out, soon()));
        plug = take_message(valve);
}

static void unplug_victim(void)
{
        OK(ptl_reply(&plug, "on", 3));
        ptl_message_release(&plug);
        OK(ptl_port_free(valve));
}

static uint32_t taken(struct link_raw *l)
{
        return (uint32_t)ptl_load_acquire(ptl_outbox_taken(&l->peer, true) + 1); /* E6 */
}

TEST(a_claimed_index_used_again_counts_only_the_messages_of_its_last_life)
{
        enum { LIVES_OF_IT = 5, EACH = 12 };
        struct link_raw l;

        start_victim();
        l = link_raw_open();
        link_raw_ping(&l);
        plug_victim();
        for (int life = 0; life < LIVES_OF_IT; life++) {
                CHECK(link_raw_frame(&l, PTL_FRAME_RELEASE,
                                     (struct ptl_frame_head){.right = RIGHT, .token = 1}, NULL, 0));
                CHECK(link_raw_claim(&l, 1, l.ticket));
                for (int i = 0; i < EACH; i++)
                        CHECK(link_raw_message(&l, RIGHT, 0));
        }
        CHECK(tst_wait_until(is_read(&l), RAW_MS));
        CHECK_EQ(taken(&l), 0);
        unplug_victim();
        CHECK(tst_wait_until(taken(&l) == EACH, RAW_MS));
        for (unsigned i = 1; i < 4; i++) {
                link_raw_ping(&l);
                CHECK_EQ(taken(&l), EACH + i);
        }
        link_raw_judge(&l, LIVES, "index used again");
        end_victim();
}

TEST(messages_beyond_the_window_and_one_are_a_lie)
{
        struct link_raw l;

        start_victim();
        l = link_raw_open();
        link_raw_ping(&l);
        plug_victim();
        for (int i = 0; i < VICTIM_LIMIT + 1; i++)
                CHECK(link_raw_message(&l, RIGHT, 0));
        CHECK(tst_wait_until(is_read(&l), RAW_MS));
        CHECK(!link_raw_is_over(&l));
        CHECK(link_raw_message(&l, RIGHT, 0));
        CHECK(tst_wait_until(is_read(&l), RAW_MS));
        unplug_victim(); /* what is queued keeps the socket open until then */
        link_raw_judge(&l, LIE, "beyond the window");
        end_victim();
}

/* ---- answers ---- */

/* The victim calls a right of ours: returns the right to answer with. */
static uint32_t be_called(struct link_raw *l)
{
        const uint32_t ours = ptl_right_make(3, 9);
        struct ptl_rich r = {
                .n_rights = 1,
                .rights[0] = {.what = PTL_CARRY_SEND, .right = ours, .limit_messages = 8, .limit_units = 64},
        };
        struct ptl_frame f;

        rich(l, &r, KIND_PLUG);
        do
                CHECK(link_raw_next(l, &f));
        while (f.kind != PTL_FRAME_INLINE || f.head.right != ours);
        link_raw_consume(l);
        CHECK(f.head.token);
        return f.head.token;
}

static bool answer(struct link_raw *l, uint32_t right)
{
        return link_raw_frame(l, PTL_FRAME_INLINE, (struct ptl_frame_head){.right = right}, "answer", 7);
}

TEST(a_call_is_answered_once_and_the_next_ones_right_is_not_to_be_guessed)
{
        static const struct {
                const char *name;
                uint32_t add; /* to the right that was used up: 0, or to the next life of its index */
        } rows[] = {{"answered twice", 0}, {"the next call answered before it was made", 1u << PTL_RIGHT_GENERATION_SHIFT}};

        CHECK(setenv("PORTOLAN_WAIT", "block", 1) == 0); /* who polls in vain takes answers the long way */
        start_victim();
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct link_raw l = link_raw_open();
                uint32_t right = 0;

                for (int calls = 0; calls < 3; calls++) {
                        right = be_called(&l);
                        CHECK(answer(&l, right));
                        link_raw_ping(&l);
                }
                answer(&l, right + rows[i].add);
                link_raw_judge(&l, LIE, rows[i].name);
        }
        end_victim();
}

/* ---- changed behind its back ---- */

/* Region @number, made now, is the bytes of a message or an isolated region of one. */
static void *send_region(struct link_raw *l, uint32_t number, enum ptl_region_how how)
{
        struct ptl_rich r = {
                .n_regions = 1,
                .regions[0] = {.number = number,
                               .fresh = 1,
                               .how = how,
                               .size = LARGE,
                               .ticket = number + 1}
        };
        void *data;
        int fd;

        CHECK_EQ(ptl_memory_create(LARGE, &fd, &data), 0);
        memset(data, 'a', LARGE);
        if (how == PTL_REGION_VOLATILE) {
                r.where = PTL_WHERE_REGION;
                r.block.size = LARGE;
        }
        CHECK(link_raw_descriptors(l, number + 1, &fd, 1));
        rich(l, &r, KIND_HOLD);
        ptl_close(fd);
        return data;
}

TEST(what_was_received_does_not_change_unless_it_was_asked_for_in_place)
{
        int copied = 0, in_place = 0, isolated = 0;
        struct link_raw l;

        start_victim();
        l = link_raw_open();
        for (uint32_t i = 0; i < 60 && !(copied && in_place && isolated > 4); i++) {
                bool bytes = i % 3 != 0; /* out of step with the victim's ways of receiving */
                void *data = send_region(&l, i, bytes ? PTL_REGION_VOLATILE : PTL_REGION_ISOLATED);
                struct health h;

                CHECK(tst_wait_until(taken(&l) == i + 1, RAW_MS));
                ask_health(); /* it has looked at it and remembers what it saw */
                memset(data, 'b', LARGE);
                h = ask_health();
                CHECK_EQ(h.held_size, LARGE);
                if (!bytes || !h.held_in_place)
                        CHECK(!h.held_changed);
                else
                        CHECK(h.held_changed);
                isolated += !bytes;
                copied += bytes && !h.held_in_place;
                in_place += bytes && h.held_in_place;
                ptl_memory_unmap(data, LARGE);
        }
        CHECK(copied && in_place);
        /* in place of the last one, which is let go, and the link with it */
        OK(ptl_send_message(friendly, &(struct ptl_outgoing){.kind = KIND_HOLD}, soon()));
        link_raw_judge(&l, LIVES, "changed regions");
        end_victim();
}

/* ---- counts ---- */

/* The victim gets a right of ours with this window and sends as much as it can. */
static void talk(struct link_raw *l, uint32_t number, uint32_t limit)
{
        struct ptl_rich r = {
                .n_rights = 1, .rights[0] = {PTL_CARRY_SEND, number, limit, UINT32_MAX}
        };

        rich(l, &r, KIND_TALK);
        CHECK(tst_wait_until(is_read(l) || link_raw_is_over(l), RAW_MS));
}

static const struct taken_row {
        const char *name;
        uint64_t word;
        int32_t sent; /* by who has a window of 4 */
} taken_rows[] = {
        {"nothing taken",          0,                          4},
        {"two taken",              2,                          6},
        {"all taken",              4,                          8},
        {"one more than was sent", 5,                          4},
        {"half the range more",    (uint64_t)1 << 31,          4},
        {"one less than nothing",  UINT32_MAX,                 4},
        {"no message, all units",  (uint64_t)UINT32_MAX << 32, 4},
        {"all bits",               UINT64_MAX,                 4},
};

TEST(a_taken_word_is_believed_only_up_to_what_was_sent)
{
        struct link_raw l;

        start_victim();
        l = link_raw_open();
        for (uint32_t i = 0; i < ARRAY_LEN(taken_rows); i++) {
                _Atomic uint64_t *word = ptl_outbox_taken(&l.mine, false) + NUMBER + i;

                ptl_store_release(word, taken_rows[i].word); /* E6 */
                talk(&l, NUMBER + i, 4);
                CHECK_ROW(i, &taken_rows[i], ask_health().talked == taken_rows[i].sent);
        }
        link_raw_judge(&l, LIVES, "taken");
        end_victim();
}

static const struct consumed_row {
        const char *name;
        uint64_t consumed;
} consumed_rows[] = {
        {"a lap ahead",          (uint64_t)1 << 16},
        {"half the range ahead", (uint64_t)1 << 63},
        {"a word back",          (uint64_t)-8     },
        {"all bits",             UINT64_MAX       },
};

TEST(a_consumed_word_that_no_reader_writes_ends_the_link)
{
        start_victim();
        for (size_t i = 0; i < ARRAY_LEN(consumed_rows); i++) {
                struct link_raw l = link_raw_open();

                link_raw_ping(&l);
                ptl_ring_consume(&l.rx, consumed_rows[i].consumed + (i ? 0 : (uint64_t)1 << 40));
                talk(&l, NUMBER, UINT32_MAX);
                link_raw_judge(&l, LIE, consumed_rows[i].name);
        }
        end_victim();
}

/* ---- without end ---- */

/* The victim has nothing to do: it sleeps, and does not wake by itself. */
static bool is_at_rest(void)
{
        for (int i = 0; i < 20; i++, tst_nap())
                if (!is_asleep(patient.pid, patient.pid))
                        return false;
        return true;
}

TEST(who_reads_nothing_is_written_to_as_long_as_there_is_room_and_wakes_nobody)
{
        struct link_raw l;
        struct health now;

        start_victim();
        l = link_raw_open();
        for (uint32_t i = 0; i < 20; i++)
                talk(&l, NUMBER + i, UINT32_MAX);
        for (uint32_t i = 1; i < 20000; i++) /* requests, and rights that it has to give back */
                if (!link_raw_frame(&l, PTL_FRAME_INLINE,
                                    (struct ptl_frame_head){.right = RIGHT,
                                                            .token = ptl_right_make(100 + i, 0)},
                                    "request", 8))
                        break;
        CHECK(tst_wait_until(is_read(&l) || link_raw_is_over(&l), RAW_MS));
        now = ask_health();
        CHECK(now.statistics.link_bytes - before.statistics.link_bytes <= PTL_OUTBOX_SIZE);
        CHECK(tst_wait_until(is_at_rest(), RAW_MS));
        link_raw_close(&l);
        end_victim();
}

TEST(growth_ends_at_the_last_level)
{
        struct link_raw l;
        struct ptl_frame_head head = {.aux = PTL_OUTBOX_LEVELS};

        start_victim();
        l = link_raw_open();
        for (int i = 1; i < PTL_OUTBOX_LEVELS; i++) {
                CHECK_EQ(ptl_ring_grow(&l.tx), 0);
                link_raw_ping(&l);
        }
        CHECK(link_raw_frame(&l, PTL_FRAME_GROW, head, NULL, 0));
        link_raw_judge(&l, LIE, "growth without end");
        end_victim();
}

static _Atomic int stop;

static void *ring_without_end(void *arg)
{
        while (!ptl_load_relaxed(&stop)) /* relaxed: nothing comes with it */
                link_raw_ring(arg);
        return NULL;
}

static void *send_without_end(void *arg)
{
        struct link_raw *l = arg;

        while (!ptl_load_relaxed(&stop)) /* relaxed: nothing comes with it */
                if (tst_wait_until(is_read(l), RAW_MS))
                        for (int i = 0; i < VICTIM_LIMIT / 2; i++)
                                link_raw_message(l, RIGHT, 0);
        return NULL;
}

static void serve_others_beside(void *(*flood)(void *))
{
        struct link_raw l;
        pthread_t thread;

        start_victim();
        l = link_raw_open();
        link_raw_ping(&l);
        CHECK(pthread_create(&thread, NULL, flood, &l) == 0);
        for (int i = 0; i < 300; i++)
                call_echo(friendly);
        ptl_store_relaxed(&stop, 1); /* relaxed: nothing goes with it */
        CHECK(pthread_join(thread, NULL) == 0);
        link_raw_judge(&l, LIVES, "flood");
        end_victim();
}

TEST(others_are_served_beside_a_doorbell_that_rings_without_end)
{
        serve_others_beside(ring_without_end);
}

TEST(others_are_served_beside_a_link_that_sends_without_end)
{
        serve_others_beside(send_without_end);
}
