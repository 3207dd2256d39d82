/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm/ring_test.c - one writer, one reader, one process: order, room, laps, growth, and lies
 *
 * ring_hostile_test.c has what a lying writer may put into the ring. Bodies are a pattern of the
 * frame's number, so that a frame that is torn, doubled or out of order shows.
 */
#include "shm/ring.h"
#include "tst.h"

/* A link in one direction. The reader sees its own, read-only mapping of the writer's outbox. */
struct link {
        struct ptl_outbox box, view, mine;
        struct ptl_ring_writer w;
        struct ptl_ring_reader r;
        uint32_t sent, got;
        uint64_t seed;
};

static void link_open(struct link *l)
{
        int box_fd, mine_fd;

        *l = (struct link){.seed = 1};
        CHECK(ptl_outbox_create(&l->box, &box_fd) == 0 &&
              ptl_outbox_create(&l->mine, &mine_fd) == 0);
        CHECK(ptl_outbox_attach(box_fd, &l->view) == 0);
        close(box_fd);
        close(mine_fd);
        ptl_ring_writer_init(&l->w, &l->box);
        ptl_ring_reader_init(&l->r, &l->view, &l->mine);
        l->w.peer_consumed = &ptl_outbox_head(&l->mine)->consumed;
}

static void link_close(struct link *l)
{
        ptl_outbox_unmap(&l->box);
        ptl_outbox_unmap(&l->view);
        ptl_outbox_unmap(&l->mine);
}

/* An empty ring whose next frame is at @position. */
static void move_to(struct link *l, uint64_t position)
{
        l->w.position = l->w.consumed = l->r.position = position;
        l->w.limit = position + l->w.size;
        *(uint64_t *)(void *)(l->w.base + (position & (l->w.size - 1))) = 0;
        ptl_ring_consume(&l->r, position);
}

static uint64_t dice(struct link *l)
{
        uint64_t x = l->seed += 0x9e3779b97f4a7c15;

        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
        x = (x ^ x >> 27) * 0x94d049bb133111eb;
        return x ^ x >> 31;
}

static uint64_t tail_word(const struct link *l)
{
        return *(uint64_t *)(void *)(l->w.base + (l->w.position & (l->w.size - 1)));
}

/* I1 and I2, whatever was done. */
static void check_tail(const struct link *l)
{
        uint64_t from = l->w.consumed > l->w.grown_at ? l->w.consumed : l->w.grown_at;

        CHECK_EQ(tail_word(l), 0);
        CHECK(l->w.position - from <= l->w.size - PTL_RING_WORD);
}

static uint64_t pattern(uint32_t n, uint32_t word) { return (uint64_t)n * 0x100000001b3 ^ word; }

static void fill(void *body, uint32_t length, uint32_t n)
{
        for (uint32_t i = 0; i < length; i += 8) {
                uint64_t word = pattern(n, i);

                memcpy((char *)body + i, &word, length - i < 8 ? length - i : 8);
        }
}

static bool is_filled(const void *body, uint32_t length, uint32_t n)
{
        for (uint32_t i = 0; i < length; i += 8) {
                uint64_t word = pattern(n, i);

                if (memcmp((const char *)body + i, &word, length - i < 8 ? length - i : 8))
                        return false;
        }
        return true;
}

static struct ptl_frame_head head_of(uint32_t n)
{
        return (struct ptl_frame_head){.right = n * 3, .token = ~n, .aux = n ^ 0x5555};
}

/* Message kinds come round in turn; none of those that peek follows by itself. */
static enum ptl_frame_kind kind_of(uint32_t n)
{
        return (enum ptl_frame_kind)(PTL_FRAME_INLINE + n % (PTL_FRAME_KINDS - PTL_FRAME_INLINE));
}

static int put_leaving(struct link *l, uint32_t length, uint32_t reserve)
{
        struct ptl_frame_head head = head_of(l->sent);
        struct ptl_ring_slot slot;
        int r = ptl_ring_reserve(&l->w, length, reserve, &slot);

        if (r)
                return r;
        fill(slot.body, length, l->sent);
        ptl_ring_publish(&l->w, &slot, kind_of(l->sent), length, &head);
        l->sent++;
        check_tail(l);
        return 0;
}

/* As control frames are: leaves no reserve. */
static int put(struct link *l, uint32_t length) { return put_leaving(l, length, 0); }

static int add(struct link *l, struct ptl_ring_batch *batch, uint32_t length)
{
        static char body[PTL_INLINE_MAX];
        struct ptl_frame_head head = head_of(l->sent);
        int r;

        fill(body, length, l->sent);
        r = ptl_ring_batch_add(&l->w, batch, &head, body, length);
        if (!r)
                l->sent++;
        return r;
}

static void check_frame(const struct link *l, const struct ptl_frame *f)
{
        struct ptl_frame_head want = head_of(l->got);

        CHECK_EQ(f->head.sequence, l->got);
        CHECK_EQ(f->head.right, want.right);
        CHECK_EQ(f->head.token, want.token);
        CHECK_EQ(f->head.aux, want.aux);
        CHECK_EQ(f->position, l->r.position);
        CHECK_EQ(f->end, ptl_frame_end(f->position, f->length));
        CHECK(is_filled(f->body, f->length, l->got));
}

/* Takes a frame, but leaves its bytes where they are; the length, or -1: none. */
static int take(struct link *l)
{
        struct ptl_frame f;
        bool ready = ptl_ring_ready(&l->r);
        int r = ptl_ring_peek(&l->r, &f);

        if (r) {
                CHECK_EQ(r, PTL_E_EMPTY);
                return -1;
        }
        CHECK(ready);
        check_frame(l, &f);
        ptl_ring_advance(&l->r, &f);
        l->got++;
        return (int)f.length;
}

/* And gives the room back. */
static int receive(struct link *l)
{
        int length = take(l);

        ptl_ring_consume(&l->r, l->r.position);
        return length;
}

static void receive_all(struct link *l)
{
        while (receive(l) >= 0)
                ;
        CHECK_EQ(l->got, l->sent);
        CHECK_EQ(l->r.position, l->w.position);
}

/* ---- order and content ---- */

TEST(frames_arrive_in_order_with_what_was_written)
{
        struct link l;
        struct ptl_frame f;

        link_open(&l);
        CHECK_EQ(receive(&l), -1);
        for (uint32_t i = 0; i < 5000; i++) {
                uint32_t length = (uint32_t)(dice(&l) % 500);

                CHECK_EQ(put(&l, length), 0);
                CHECK_EQ(ptl_ring_peek(&l.r, &f), 0);
                CHECK_EQ(f.kind, kind_of(l.got));
                if (i % 8 == 7)
                        for (int k = 0; k < 8; k++)
                                CHECK(receive(&l) >= 0);
        }
        receive_all(&l);
        link_close(&l);
}

TEST(every_length_arrives_whole)
{
        struct link l;

        link_open(&l);
        for (int length = 0; length <= PTL_INLINE_MAX; length++) {
                CHECK_EQ(put(&l, (uint32_t)length), 0);
                CHECK_EQ(receive(&l), length);
                CHECK_EQ(receive(&l), -1);
        }
        link_close(&l);
}

TEST(frames_are_seen_again_until_the_reader_advances)
{
        struct ptl_frame a, b;
        struct link l;

        link_open(&l);
        CHECK(!ptl_ring_ready(&l.r));
        CHECK_EQ(put(&l, 77), 0);
        CHECK(ptl_ring_ready(&l.r));
        CHECK_EQ(ptl_ring_peek(&l.r, &a), 0);
        CHECK_EQ(ptl_ring_peek(&l.r, &b), 0);
        CHECK(a.position == b.position && a.body == b.body && a.length == b.length);
        CHECK_EQ(receive(&l), 77);
        CHECK(!ptl_ring_ready(&l.r));
        link_close(&l);
}

TEST(dropped_reservation_leaves_nothing_behind)
{
        struct ptl_ring_slot slot;
        struct link l;

        link_open(&l);
        for (int i = 0; i < 3000; i++) {
                CHECK_EQ(ptl_ring_reserve(&l.w, PTL_INLINE_MAX, 0, &slot), 0);
                memset(slot.body, 0xff, PTL_INLINE_MAX);
                CHECK_EQ(receive(&l), -1);
                CHECK_EQ(put(&l, (uint32_t)(dice(&l) % 300)), 0);
                CHECK(receive(&l) >= 0);
        }
        receive_all(&l);
        link_close(&l);
}

TEST(frame_published_shorter_ends_where_its_bytes_end)
{
        struct ptl_frame_head head = {.right = 5};
        struct ptl_ring_slot slot;
        struct ptl_frame f;
        struct link l;

        link_open(&l);
        for (uint32_t length = 0; length < 1000; length++) {
                uint64_t at = l.w.position;

                CHECK_EQ(ptl_ring_reserve(&l.w, 1000, 0, &slot), 0);
                if (slot.position == at)
                        CHECK_EQ(slot.end, ptl_frame_end(at, 1000));
                ptl_ring_publish(&l.w, &slot, PTL_FRAME_INLINE, length, &head);
                CHECK_EQ(l.w.position, ptl_frame_end(slot.position, length));
                CHECK_EQ(tail_word(&l), 0);
                CHECK_EQ(ptl_ring_peek(&l.r, &f), 0);
                CHECK_EQ(f.length, length);
                ptl_ring_advance(&l.r, &f);
                ptl_ring_consume(&l.r, l.r.position);
        }
        link_close(&l);
}

/* Small frames fill whole lines, so that a shorter one may end behind a longer one. */
TEST(frame_published_shorter_never_passes_the_limit)
{
        static const uint32_t shorter[] = {0, 40, 41, 64, 103, 104, 105, 128};
        struct ptl_frame_head head = {0};
        struct ptl_ring_slot slot;
        struct link l;

        link_open(&l);
        l.w.peer_consumed = NULL;
        for (uint64_t at = 0; at < 64; at += 8)
                for (uint32_t length = 0; length < 220; length++)
                        for (size_t i = 0; i < ARRAY_LEN(shorter); i++) {
                                if (shorter[i] > length)
                                        continue;
                                move_to(&l, at);
                                for (l.w.limit = at;; l.w.limit += 8) /* as little as will do */
                                        if (ptl_ring_reserve(&l.w, length, 0, &slot) == 0)
                                                break;
                                ptl_ring_publish(&l.w, &slot, PTL_FRAME_INLINE, shorter[i], &head);
                                CHECK(l.w.position + PTL_RING_WORD <= l.w.limit); /* I2 */
                        }
        link_close(&l);
}

/* ---- laps ---- */

static const uint32_t lengths_at_the_end[] = {0, 1, 8, 40, 104, 105, 1000, PTL_INLINE_MAX};

TEST(frame_goes_behind_a_pad_exactly_if_it_does_not_fit_before_the_end)
{
        struct ptl_frame f;
        struct link l;

        link_open(&l);
        for (uint64_t left = 8; left <= PTL_INLINE_MAX + 128; left += 8)
                for (size_t i = 0; i < ARRAY_LEN(lengths_at_the_end); i++) {
                        uint32_t length = lengths_at_the_end[i];
                        bool fits = PTL_FRAME_HEAD + length <= left;
                        uint64_t at = 5 * l.w.size - left;

                        move_to(&l, at);
                        CHECK_EQ(put(&l, length), 0);
                        CHECK_EQ(put(&l, 24), 0); /* and one behind it */
                        CHECK_EQ(ptl_ring_peek(&l.r, &f), 0);
                        CHECK_EQ(f.position, fits ? at : 5 * l.w.size);
                        CHECK_EQ(receive(&l), length);
                        CHECK_EQ(receive(&l), 24);
                        CHECK_EQ(receive(&l), -1);
                }
        link_close(&l);
}

TEST(positions_may_pass_every_wrap_of_the_stamps)
{
        static const uint64_t starts[] = {(uint64_t)1 << 34, (uint64_t)1 << 35, (uint64_t)3 << 34,
                                          (uint64_t)1 << 48, (uint64_t)1 << 62};
        struct link l;

        link_open(&l);
        for (size_t s = 0; s < ARRAY_LEN(starts); s++) {
                move_to(&l, starts[s] - l.w.size - 40000);
                while (l.w.position < starts[s] + l.w.size) {
                        CHECK_EQ(put(&l, (uint32_t)(dice(&l) % 3000)), 0);
                        if (l.sent % 16 == 0)
                                receive_all(&l);
                        else if (l.sent % 3 == 0)
                                CHECK(receive(&l) >= 0);
                }
                receive_all(&l);
        }
        link_close(&l);
}

/* ---- room ---- */

/* Fills the ring from where it is until but @left bytes are free, in large frames that end on
 * words. */
static void fill_up_to(struct link *l, uint64_t left)
{
        for (;;) {
                uint64_t room = l->w.limit - l->w.position;
                uint64_t before_end = l->w.size - (l->w.position & (l->w.size - 1));
                uint64_t take_now = room - left < before_end ? room - left : before_end;

                if (room == left)
                        return;
                CHECK(take_now > 128 && take_now % 8 == 0);
                if (take_now > PTL_INLINE_MAX) /* leaves enough for the next to be large */
                        take_now = 4096;
                CHECK_EQ(put(l, (uint32_t)(take_now - PTL_FRAME_HEAD)), 0);
        }
}

TEST(full_ring_keeps_one_word_free)
{
        struct link l;

        link_open(&l);
        for (uint64_t start = 0; start < 4096; start += 200) {
                move_to(&l, l.w.size * 3 + start);
                fill_up_to(&l, PTL_RING_WORD);
                CHECK_EQ(l.w.position, l.r.position + l.w.size - PTL_RING_WORD);
                CHECK_EQ(put(&l, 0), PTL_E_FULL);
                receive_all(&l); /* nothing was written over */
                CHECK_EQ(put(&l, PTL_INLINE_MAX), 0);
                receive_all(&l);
        }
        link_close(&l);
}

TEST(last_word_is_refused_to_a_frame_that_would_just_fit)
{
        struct link l;

        link_open(&l);
        for (uint64_t free_bytes = 136; free_bytes < 8000; free_bytes += 136) {
                move_to(&l, l.w.size * 3);
                fill_up_to(&l, free_bytes);
                if (free_bytes > 256) { /* else a line is the unit */
                        CHECK_EQ(put(&l, (uint32_t)(free_bytes - PTL_FRAME_HEAD)), PTL_E_FULL);
                        CHECK_EQ(put(&l, (uint32_t)(free_bytes - PTL_FRAME_HEAD - 7)), PTL_E_FULL);
                        CHECK_EQ(put(&l, (uint32_t)(free_bytes - PTL_FRAME_HEAD - 8)), 0);
                }
                receive_all(&l);
        }
        link_close(&l);
}

TEST(data_leaves_its_reserve_to_control_frames)
{
        struct link l;

        link_open(&l);
        for (int round = 0; round < 50; round++) {
                unsigned controls = 0;

                while (put_leaving(&l, (uint32_t)(dice(&l) % 2000), PTL_RING_RESERVE) == 0)
                        ;
                CHECK(l.w.limit - l.w.position >= PTL_RING_RESERVE + PTL_RING_WORD);
                while (put(&l, 16) == 0)
                        controls++;
                CHECK(controls >= PTL_RING_RESERVE / 64 - 1);
                receive_all(&l);
        }
        link_close(&l);
}

TEST(room_comes_back_when_the_reader_consumes_not_when_it_advances)
{
        struct link l;

        link_open(&l);
        while (put(&l, 1000) == 0)
                ;
        while (take(&l) >= 0)
                CHECK_EQ(put(&l, 1000), PTL_E_FULL);
        ptl_ring_consume(&l.r, l.r.position);
        CHECK_EQ(put(&l, 1000), 0);
        receive_all(&l);
        link_close(&l);
}

TEST(writer_goes_on_to_the_limit_without_its_peer)
{
        struct link l;

        link_open(&l);
        l.w.peer_consumed = NULL;
        CHECK_EQ(ptl_ring_refresh(&l.w), 0);
        while (put(&l, 1000) == 0)
                ;
        CHECK_EQ(put(&l, 1000), PTL_E_FULL);
        l.w.peer_consumed = &ptl_outbox_head(&l.mine)->consumed;
        receive_all(&l);
        CHECK_EQ(put(&l, 1000), 0);
        link_close(&l);
}

/* ---- a reader that lies about `consumed` ---- */

static const struct lie {
        const char *name;
        uint64_t from_last, from_tail, value; /* consumed = last + .., or tail + .., or a value */
        char what;
        int outcome;
} lies[] = {
        {"nothing new",            0,            0,                 0,          'l', 0              },
        {"all",                    0,            0,                 0,          't', 0              },
        {"some",                   64,           0,                 0,          'l', 0              },
        {"a word before the last", (uint64_t)-8, 0,                 0,          'l', PTL_E_MALFORMED},
        {"a byte before the last", (uint64_t)-1, 0,                 0,          'l', PTL_E_MALFORMED},
        {"a byte beyond the tail", 0,            1,                 0,          't', PTL_E_MALFORMED},
        {"a word beyond the tail", 0,            8,                 0,          't', PTL_E_MALFORMED},
        {"a lap beyond the tail",  0,            65536,             0,          't', PTL_E_MALFORMED},
        {"half the range beyond",  0,            (uint64_t)1 << 63, 0,          't', PTL_E_MALFORMED},
        {"nothing ever",           0,            0,                 0,          'v', PTL_E_MALFORMED},
        {"the largest position",   0,            0,                 UINT64_MAX, 'v', PTL_E_MALFORMED},
};

TEST(reader_is_believed_only_between_its_last_position_and_the_tail)
{
        for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
                const struct lie *row = &lies[i];
                struct ptl_ring_writer before;
                uint64_t claim = row->value;
                struct link l;

                link_open(&l);
                for (int k = 0; k < 30; k++)
                        CHECK_EQ(put(&l, 1000), 0);
                for (int k = 0; k < 10; k++)
                        receive(&l);
                CHECK_EQ(ptl_ring_refresh(&l.w), 0);
                if (row->what == 'l')
                        claim = l.w.consumed + row->from_last;
                if (row->what == 't')
                        claim = l.w.position + row->from_tail;
                before = l.w;
                ptl_ring_consume(&l.r, claim);
                CHECK_ROW(i, row, ptl_ring_refresh(&l.w) == row->outcome);
                CHECK_ROW(i, row, l.w.position == before.position);
                CHECK_ROW(i, row, l.w.consumed == (row->outcome ? before.consumed : claim));
                CHECK_ROW(i, row, l.w.limit == l.w.consumed + l.w.size);
                link_close(&l);
        }
}

TEST(full_ring_finds_out_that_the_reader_lies)
{
        struct ptl_ring_batch batch = {0};
        struct link l;

        link_open(&l);
        while (put(&l, 1000) == 0)
                ;
        ptl_ring_consume(&l.r, l.w.position + 8);
        CHECK_EQ(put(&l, 1000), PTL_E_MALFORMED);
        CHECK_EQ(add(&l, &batch, 1000), PTL_E_MALFORMED);
        link_close(&l);
}

TEST(reader_whose_position_is_no_frame_harms_only_itself)
{
        char beyond[64];
        struct link l;

        link_open(&l);
        memset(ptl_outbox_ring(&l.box, 1), 0x77, sizeof beyond); /* the level behind */
        memset(beyond, 0x77, sizeof beyond);
        for (int i = 0; i < 20000; i++) {
                uint64_t room = l.w.position - l.w.consumed;

                if (put(&l, (uint32_t)(dice(&l) % 2000)))
                        ptl_ring_consume(&l.r, l.w.consumed + dice(&l) % (room + 1)); /* any byte */
        }
        CHECK(!memcmp(beyond, ptl_outbox_ring(&l.box, 1), sizeof beyond));
        link_close(&l);
}

/* ---- batches ---- */

TEST(batch_is_seen_as_a_whole)
{
        struct link l;

        link_open(&l);
        for (uint32_t start = 0; start < 20000; start += 72) { /* the ring's end falls everywhere */
                struct ptl_ring_batch batch = {0};

                move_to(&l, l.w.size * 2 - 10000 + start);
                for (uint32_t i = 0; i < 5; i++) {
                        CHECK_EQ(add(&l, &batch, start * 7 % 3000 + i), 0);
                        CHECK(!ptl_ring_ready(&l.r));
                        CHECK_EQ(take(&l), -1);
                }
                ptl_ring_batch_publish(&l.w, &batch);
                check_tail(&l);
                for (uint32_t i = 0; i < 5; i++)
                        CHECK_EQ(receive(&l), start * 7 % 3000 + i);
                CHECK_EQ(receive(&l), -1);
                CHECK_EQ(put(&l, 5), 0); /* and single frames go on */
                CHECK_EQ(receive(&l), 5);
        }
        link_close(&l);
}

TEST(batch_that_wraps_anywhere_is_whole_and_in_order)
{
        struct link l;

        link_open(&l);
        for (uint64_t left = 8; left < 1400; left += 8) { /* before, at, and behind each frame */
                struct ptl_ring_batch batch = {0};

                move_to(&l, l.w.size * 2 - left);
                CHECK_EQ(add(&l, &batch, 300), 0);
                CHECK_EQ(add(&l, &batch, 0), 0);
                CHECK_EQ(add(&l, &batch, 777), 0);
                CHECK_EQ(take(&l), -1);
                ptl_ring_batch_publish(&l.w, &batch);
                check_tail(&l);
                receive_all(&l);
        }
        link_close(&l);
}

TEST(batch_fills_the_ring_up_to_the_reserve_and_is_published_as_it_is)
{
        struct link l;

        link_open(&l);
        for (int round = 0; round < 40; round++) {
                struct ptl_ring_batch batch = {0};
                unsigned n = 0;

                while (add(&l, &batch, (uint32_t)(dice(&l) % 4000)) == 0)
                        n++;
                CHECK(n > 8 && batch.count == n);
                CHECK(l.w.limit - l.w.position >= PTL_RING_RESERVE + PTL_RING_WORD);
                ptl_ring_batch_publish(&l.w, &batch);
                CHECK_EQ(batch.count, 0);
                check_tail(&l);
                CHECK_EQ(put(&l, 100), 0); /* a control frame, from the reserve */
                receive_all(&l);
        }
        link_close(&l);
}

TEST(batch_written_in_runs_is_whole_and_in_order)
{
        enum { MOST = 40 };
        static char bytes[MOST][300];
        struct ptl_bytes bodies[MOST];
        struct link l;

        link_open(&l);
        for (uint32_t length = 0; length < 300; length++) {
                struct ptl_ring_batch batch = {0};
                struct ptl_frame_head head = head_of(l.sent);
                struct ptl_frame f;
                size_t n = 0;

                for (unsigned i = 0; i < MOST; i++) {
                        fill(bytes[i], length, length + i);
                        bodies[i] = (struct ptl_bytes){bytes[i], length};
                }
                CHECK_EQ(ptl_ring_batch_run(&l.w, &batch, &head, bodies, MOST), 0); /* behind nothing */
                while (n < MOST) {
                        int r = ptl_ring_batch_add(&l.w, &batch, &head, bytes[n], length);

                        CHECK_EQ(r, 0);
                        n++;
                        n += ptl_ring_batch_run(&l.w, &batch, &head, &bodies[n], MOST - n);
                }
                CHECK_EQ(batch.count, MOST);
                CHECK_EQ(ptl_ring_peek(&l.r, &f), PTL_E_EMPTY);
                ptl_ring_batch_publish(&l.w, &batch);
                check_tail(&l);
                for (unsigned i = 0; i < MOST; i++) {
                        CHECK_EQ(ptl_ring_peek(&l.r, &f), 0);
                        CHECK(f.length == length && is_filled(f.body, length, length + i));
                        CHECK(f.head.right == head.right && f.head.aux == head.aux);
                        ptl_ring_advance(&l.r, &f);
                }
                ptl_ring_consume(&l.r, l.r.position);
        }
        link_close(&l);
}

TEST(run_of_a_batch_leaves_the_reserve)
{
        static char bytes[4000];
        struct ptl_bytes bodies[64];
        struct ptl_ring_batch batch = {0};
        struct ptl_frame_head head = {.right = 1};
        struct link l;

        link_open(&l);
        for (unsigned i = 0; i < 64; i++)
                bodies[i] = (struct ptl_bytes){bytes, sizeof bytes};
        CHECK_EQ(ptl_ring_batch_add(&l.w, &batch, &head, bytes, sizeof bytes), 0);
        CHECK(ptl_ring_batch_run(&l.w, &batch, &head, bodies, 64) < 16);
        CHECK(l.w.limit - l.w.position >= PTL_RING_RESERVE + PTL_RING_WORD);
        link_close(&l);
}

TEST(empty_batch_publishes_nothing)
{
        struct ptl_ring_batch batch = {0};
        struct link l;

        link_open(&l);
        CHECK_EQ(put(&l, 10), 0);
        ptl_ring_batch_publish(&l.w, &batch);
        CHECK_EQ(l.w.sequence, 1);
        receive_all(&l);
        ptl_ring_batch_publish(&l.w, &batch);
        CHECK_EQ(receive(&l), -1);
        link_close(&l);
}

/* ---- growth ---- */

TEST(ring_grows_through_all_levels_with_frames_unread_in_each)
{
        struct link l;

        link_open(&l);
        for (unsigned level = 0; level < PTL_OUTBOX_LEVELS; level++) {
                CHECK_EQ(l.w.level, level);
                CHECK_EQ(l.w.size, ptl_ring_level_size(level));
                while (put_leaving(&l, (uint32_t)(dice(&l) % PTL_INLINE_MAX), PTL_RING_RESERVE) ==
                       0)
                        ;
                CHECK_EQ(ptl_ring_grow(&l.w), level + 1 < PTL_OUTBOX_LEVELS ? 0 : PTL_E_FULL);
                if (level + 1 < PTL_OUTBOX_LEVELS)
                        CHECK_EQ(tail_word(&l), 0);
        }
        receive_all(&l);
        CHECK_EQ(l.r.level, PTL_OUTBOX_LEVELS - 1);
        CHECK_EQ(put(&l, 100), 0);
        receive_all(&l);
        link_close(&l);
}

TEST(ring_grows_from_any_alignment_and_behind_a_pad)
{
        for (uint64_t left = 8; left < 160; left += 8) {
                struct link l;

                link_open(&l);
                move_to(&l, l.w.size * 7 - left);
                CHECK_EQ(ptl_ring_grow(&l.w), 0);
                CHECK_EQ(take(&l), -1);
                CHECK_EQ(l.r.level, 1);
                CHECK_EQ(l.r.position, l.w.position);
                CHECK_EQ(put(&l, 99), 0);
                CHECK_EQ(receive(&l), 99);
                link_close(&l);
        }
}

TEST(all_of_the_new_level_is_room_though_the_old_one_is_unread)
{
        struct link l;

        link_open(&l);
        while (put_leaving(&l, 1000, PTL_RING_RESERVE) == 0)
                ;
        CHECK_EQ(ptl_ring_grow(&l.w), 0);
        fill_up_to(&l, PTL_RING_WORD);
        CHECK_EQ(l.w.position - l.w.grown_at, ptl_ring_level_size(1) - PTL_RING_WORD);
        CHECK_EQ(put(&l, 0), PTL_E_FULL);
        CHECK(receive(&l) >= 0); /* of the old level: that gives no room in the new */
        CHECK_EQ(put(&l, 0), PTL_E_FULL);
        receive_all(&l);
        link_close(&l);
}

TEST(growing_needs_room_for_its_frame)
{
        struct link l;

        link_open(&l);
        fill_up_to(&l, PTL_RING_WORD);
        CHECK_EQ(ptl_ring_grow(&l.w), PTL_E_FULL);
        CHECK_EQ(l.w.level, 0);
        receive_all(&l);
        CHECK_EQ(ptl_ring_grow(&l.w), 0);
        CHECK_EQ(put(&l, 3), 0);
        receive_all(&l);
        link_close(&l);
}

TEST(data_that_found_the_ring_full_can_always_grow_it)
{
        struct link l;

        link_open(&l);
        while (put_leaving(&l, 100, PTL_RING_RESERVE) == 0)
                ;
        CHECK_EQ(ptl_ring_grow(&l.w), 0);
        CHECK_EQ(put_leaving(&l, 100, PTL_RING_RESERVE), 0);
        receive_all(&l);
        link_close(&l);
}

/* ---- what lies behind the tail is nobody's frame ---- */

/* Every word of a payload is a header that would be believed there one or two laps later. */
static void fill_with_headers(char *body, uint32_t length, uint64_t position, uint64_t size)
{
        uint64_t at = position + PTL_FRAME_HEAD;

        for (uint32_t i = 0; i + 8 <= length; i += 8, at += 8) {
                uint64_t word = ptl_frame_word(at + size * (1 + (i / 8) % 2), i % 64,
                                               i % 3 ? PTL_FRAME_INLINE : PTL_FRAME_PAD);

                memcpy(body + i, &word, 8);
        }
}

TEST(payload_that_looks_like_headers_is_never_taken_for_one)
{
        struct ptl_frame_head head = {0};
        struct ptl_frame f;
        struct link l;

        link_open(&l);
        for (uint32_t i = 0; i < 20000; i++) {
                uint32_t length = (uint32_t)(dice(&l) % (i % 8 ? 400 : PTL_INLINE_MAX));
                struct ptl_ring_slot slot;

                CHECK_EQ(ptl_ring_reserve(&l.w, length, 0, &slot), 0);
                fill_with_headers(slot.body, length, slot.position, l.w.size);
                ptl_ring_publish(&l.w, &slot, PTL_FRAME_INLINE, length, &head);
                CHECK_EQ(tail_word(&l), 0);
                CHECK_EQ(ptl_ring_peek(&l.r, &f), 0);
                CHECK(f.position == slot.position && f.length == length && f.head.sequence == i);
                ptl_ring_advance(&l.r, &f);
                CHECK_EQ(ptl_ring_peek(&l.r, &f), PTL_E_EMPTY);
                ptl_ring_consume(&l.r, l.r.position);
        }
        link_close(&l);
}

TEST(grown_ring_never_takes_an_old_payload_for_a_header)
{
        struct ptl_ring_batch batch = {0};
        struct link l;

        link_open(&l);
        for (unsigned level = 0; level < 3; level++) {
                for (int i = 0; i < 2000; i++) {
                        CHECK_EQ(put(&l, (uint32_t)(dice(&l) % 3000)), 0);
                        CHECK_EQ(add(&l, &batch, (uint32_t)(dice(&l) % 3000)), 0);
                        CHECK_EQ(add(&l, &batch, (uint32_t)(dice(&l) % 3000)), 0);
                        ptl_ring_batch_publish(&l.w, &batch);
                        receive_all(&l);
                }
                CHECK_EQ(ptl_ring_grow(&l.w), 0);
        }
        link_close(&l);
}

/* ---- a long walk: bytes that the reader has not given back are stored to by nobody (I3) ---- */

static void snapshot(const struct link *l, char *copy) { memcpy(copy, l->w.base, l->w.size); }

static void check_untouched(const struct link *l, const char *before, uint64_t from, uint64_t to)
{
        uint64_t mask = l->w.size - 1, first = from & mask, n = to - from;
        uint64_t piece = n < l->w.size - first ? n : l->w.size - first;

        CHECK(!memcmp(l->w.base + first, before + first, piece));
        CHECK(!memcmp(l->w.base, before, n - piece));
}

TEST(writer_stores_only_at_the_tail)
{
        static char before[0x10000];
        struct link l;

        link_open(&l);
        for (int i = 0; i < 6000; i++) {
                uint64_t given_back = ptl_load_relaxed(l.w.peer_consumed), tail = l.w.position;
                struct ptl_ring_batch batch = {0};

                snapshot(&l, before);
                if (i % 3)
                        (void)!put(&l, (uint32_t)(dice(&l) % 1500));
                else
                        for (int k = 0; k < 3; k++)
                                (void)!add(&l, &batch, (uint32_t)(dice(&l) % 500));
                ptl_ring_batch_publish(&l.w, &batch);
                check_tail(&l);
                check_untouched(&l, before, given_back, tail);
                for (uint64_t n = dice(&l) % 4; n--;)
                        dice(&l) % 2 ? take(&l) : receive(&l);
        }
        receive_all(&l);
        link_close(&l);
}
