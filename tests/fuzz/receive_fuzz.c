/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/receive_fuzz.c - a hostile peer writes its outbox and speaks on its socket; the task goes on
 *
 * The first byte: bit 0: no HELLO (the input says what is said first); bit 1: the process is known
 * to have several threads, so that the straight way is not taken; bit 2: the link ends before the
 * program gives back what it has. Then steps of either side, a byte each and what it needs (struct
 * step); what is missing is zero. After each input the honest side is answered, and everything is
 * as before.
 */
#define _GNU_SOURCE
#include "receive_stage.h"

enum { HELD_MAX = 4, STEPS_MAX = 400, PAGE = 4096, GONE = 1 /* a deadline, long passed */ };

enum first_byte { SILENT = 1, THREADED = 2, ENDS_FIRST = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the input ---- */

struct input {
        const uint8_t *at, *end;
};

static uint64_t number(struct input *in, size_t bytes)
{
        uint64_t n = 0;

        for (size_t i = 0; i < bytes && in->at < in->end; i++)
                n |= (uint64_t)*in->at++ << 8 * i;
        return n;
}

static uint8_t byte(struct input *in) { return (uint8_t)number(in, 1); }
static uint32_t word(struct input *in) { return (uint32_t)number(in, 4); }

/* Up to @size bytes of the input; the rest is zero. */
static void bytes(struct input *in, void *to, size_t size)
{
        size_t there = (size_t)(in->end - in->at);

        there = there < size ? there : size;
        memset(to, 0, size);
        if (there)
                memcpy(to, in->at, there);
        in->at += there;
}

/* ---- descriptors that the hostile side passes ---- */

enum thing { EVENT, REGION, FROZEN, HOLE, DEVICE, OUTBOX, BELL, THINGS };

static int things[THINGS];

static int region_of_a_page(unsigned seals, bool reserved)
{
        int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        MUST(fd >= 0 && ftruncate(fd, PAGE) == 0);
        MUST(!reserved || fallocate(fd, 0, 0, PAGE) == 0);
        MUST(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | seals) == 0);
        return fd;
}

static void make_things(void)
{
        things[EVENT] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        things[REGION] = region_of_a_page(0, true);
        things[FROZEN] = region_of_a_page(F_SEAL_WRITE, true);
        things[HOLE] = region_of_a_page(0, false);
        things[DEVICE] = open("/dev/null", O_RDWR | O_CLOEXEC);
        MUST(things[EVENT] >= 0 && things[DEVICE] >= 0);
}

static int thing(struct input *in)
{
        unsigned which = byte(in) % THINGS;

        return which == OUTBOX ? stage.hostile.outbox
               : which == BELL ? stage.hostile.bell
                               : things[which];
}

/* ---- the hostile side's steps ---- */

/* A right's number: claimed, granted as the task said, granted in some generation, or anything. */
static uint32_t right_number(struct input *in)
{
        const struct side *s = &stage.hostile;
        uint8_t way = byte(in);

        if (way < 64)
                return way | PTL_RIGHT_CLAIMED;
        if (way < 128)
                return s->n_seen ? s->seen[(s->n_seen - 1 - way % SEEN_MAX) % SEEN_MAX] : 1;
        if (way < 192)
                return ptl_right_make(way & 7, way >> 3 & 7);
        return word(in);
}

static uint32_t token_number(struct input *in)
{
        uint8_t way = byte(in);

        return way == 0 ? 0 : way < 250 ? ptl_right_make(way & 15, way >> 4) : word(in);
}

/* Large tables take long to make, and are the business of hostile_peer_test. */
static uint32_t index_to_claim(struct input *in)
{
        uint32_t index = byte(in);

        index = index < 250 ? index % 32 : word(in);
        return index > PTL_RIGHT_INDEX_MAX ? index : index & 0xfff;
}

static uint64_t ticket_to_claim(struct input *in)
{
        switch (byte(in) % 4) {
        case 0:
                return ticket_of(stage.main);
        case 1:
                return ticket_of(stage.second);
        case 2:
                return stage.unpublished;
        default:
                return number(in, 8);
        }
}

static uint32_t body_length(struct input *in)
{
        uint32_t length = byte(in);

        return length < 240 ? length : (uint32_t)number(in, 2) % (PTL_INLINE_MAX + 1);
}

static char body[PTL_INLINE_MAX] __attribute__((aligned(8)));

static void say_frame(struct input *in)
{
        enum ptl_frame_kind kind = (enum ptl_frame_kind)(byte(in) % PTL_FRAME_KINDS);
        struct ptl_frame_head head = {.right = right_number(in)};
        uint32_t length;

        head.token = token_number(in);
        length = body_length(in);
        head.aux = byte(in);
        head.aux = head.aux < 250 ? head.aux : word(in);
        bytes(in, body, length);
        (void)side_frame(&stage.hostile, kind, &head, body, length);
}

static void say_claim(struct input *in)
{
        struct ptl_frame_head head = {.right = index_to_claim(in)};
        struct ptl_frame_claim claim = {.ticket = ticket_to_claim(in)};

        (void)side_frame(&stage.hostile, PTL_FRAME_CLAIM, &head, &claim, sizeof claim);
}

static void say_message(struct input *in)
{
        struct ptl_frame_head head = {.right = RIGHT, .token = token_number(in)};
        uint32_t length = body_length(in);

        (void)side_frame(&stage.hostile, PTL_FRAME_INLINE, &head, body, length);
}

static struct ptl_frame_block some_block(struct input *in)
{
        struct ptl_frame_block block = {.offset = (uint32_t)number(in, 2) * PAGE};

        block.slot = byte(in);
        block.size = number(in, 3);
        return block;
}

/* The region that is the bytes: the last one, or another. */
static struct ptl_frame_block some_region(struct input *in, uint32_t n_regions)
{
        struct ptl_frame_block block = {.offset = byte(in)};

        block.slot = n_regions - 1 + byte(in);
        block.size = number(in, 2);
        return block;
}

static void say_block(struct input *in)
{
        struct ptl_frame_block block = some_block(in);
        struct ptl_frame_head head = {.right = RIGHT, .token = token_number(in)};

        (void)side_frame(&stage.hostile, PTL_FRAME_BLOCK, &head, &block, sizeof block);
}

static void fill_rights(struct input *in, struct ptl_rich *rich)
{
        for (uint32_t i = 0; i < rich->n_rights; i++) {
                struct ptl_frame_right *r = &rich->rights[i];

                r->what = byte(in) % (PTL_CARRY_KINDS + 1);
                r->right = r->what == PTL_CARRY_BACK_SEND || r->what == PTL_CARRY_BACK_ONCE
                                   ? right_number(in)
                                   : token_number(in);
                r->limit_messages = r->limit_units = byte(in);
        }
}

static void fill_regions(struct input *in, struct ptl_rich *rich)
{
        for (uint32_t i = 0; i < rich->n_regions; i++) {
                struct ptl_frame_region *r = &rich->regions[i];
                uint8_t how = byte(in);

                r->number = byte(in);
                r->fresh = how & 1;
                r->how = 1 + (how >> 1 & 1);
                r->frozen = how >> 2 & 1;
                r->size = how & 8 ? number(in, 5) : PAGE;
                r->ticket = how & 16 ? number(in, 8) : stage.hostile.tickets - (how >> 5);
        }
}

static void say_rich(struct input *in)
{
        struct ptl_frame_head head = {.right = RIGHT, .token = token_number(in)};
        uint8_t counts = byte(in);
        struct ptl_rich rich = {.where = (enum ptl_frame_where)(byte(in) % 4),
                                .n_rights = counts % 8,
                                .n_regions = (counts >> 3) % 18};
        uint32_t length;

        fill_rights(in, &rich);
        fill_regions(in, &rich);
        if (rich.where == PTL_WHERE_BLOCK)
                rich.block = some_block(in);
        else if (rich.where != PTL_WHERE_INLINE)
                rich.block = some_region(in, rich.n_regions);
        ptl_rich_encode(&rich, body);
        length = (uint32_t)ptl_rich_head_size(rich.n_rights, rich.n_regions) + byte(in);
        (void)side_frame(&stage.hostile, PTL_FRAME_RICH, &head, body, length);
}

/* A word near the tail. Half of them get the stamp that the reader looks for there. */
static void write_ring(struct input *in)
{
        struct ptl_ring_writer *tx = &stage.hostile.tx;
        uint8_t way = byte(in);
        uint64_t position = tx->position + (uint64_t)(way >> 1) * PTL_RING_WORD,
                 value = number(in, 8);

        if (way & 0x80)
                position -= 0x40 * PTL_RING_WORD;
        if (way & 1)
                value = (uint32_t)value | ptl_frame_stamp(position);
        ptl_store_relaxed(ptl_ring_word_at(tx, position), value); /* relaxed: one thread */
        side_ring(&stage.hostile);
}

/* The head: how far it has read, its bell, the blocks it gave back; also words that nobody may
 * change. */
static void write_head(struct input *in)
{
        static const uint16_t likely[] = {128, 256, 260, 264, 384, 388};
        uint8_t where = byte(in);
        size_t at = where < 240 ? likely[where % 6] : number(in, 2) % PAGE & ~(size_t)7;
        uint64_t value = number(in, where & 0x10 ? 8 : 2);

        memcpy(stage.hostile.mine.base + at, &value, at % 8 ? 4 : 8);
}

/* How much it took of what came through a right. */
static void write_taken(struct input *in)
{
        uint8_t which = byte(in);
        uint64_t units = number(in, 2), messages = number(in, 2);

        /* relaxed: one thread */
        ptl_store_relaxed(ptl_outbox_taken(&stage.hostile.mine, which & 1) + (which >> 1 & 15),
                          units << 32 | messages);
}

static void write_pool(struct input *in)
{
        char *page = ptl_outbox_pool(&stage.hostile.mine) + number(in, 2) % PTL_POOL_PAGES * PAGE;

        bytes(in, page, byte(in));
}

static void read_ring(struct input *in)
{
        (void)in;
        (void)side_read(&stage.hostile, 0);
}

static void say_packet(struct input *in)
{
        struct side *s = &stage.hostile;
        uint8_t type = byte(in), n = byte(in) % 20;
        struct ptl_link_msg msg = ptl_link_msg((enum ptl_link_type)(type % 4), 0);
        int fds[20];

        for (unsigned i = 0; i < n; i++)
                fds[i] = thing(in);
        if (type & 0x80)
                msg.value = number(in, 8);
        else if (type % 4 == PTL_LM_DESCRIPTORS)
                msg.value = ptl_link_msg_tickets(s->tickets + 1, n);
        if (side_say(s, &msg, sizeof msg, fds, n) && type % 4 == PTL_LM_DESCRIPTORS)
                s->tickets += n;
}

static void say_bytes(struct input *in)
{
        uint8_t size = byte(in);

        bytes(in, body, size);
        if (size)
                (void)side_say(&stage.hostile, body, size, NULL, 0);
}

static void grow(struct input *in)
{
        (void)in;
        (void)!ptl_ring_grow(&stage.hostile.tx);
        side_ring(&stage.hostile);
}

static void shut(struct input *in)
{
        static const int how[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};

        shutdown(stage.hostile.socket, how[byte(in) % 3]);
}

/* ---- the task's steps: what a program may do ---- */

/* Messages that the program has. */
static struct {
        struct ptl_message message;
        bool there;
} held[HELD_MAX];

/* A dead name came with one more reference. */
static void drop_notification(const struct ptl_message *m)
{
        struct ptl_notification n;

        MUST(m->size == sizeof n);
        memcpy(&n, m->data, sizeof n);
        if (m->kind == PTL_NOTIFY_DEAD_NAME)
                (void)!ptl_right_release(n.value);
}

static void drop(struct ptl_message *m)
{
        if (m->kind & PTL_KIND_LIBRARY)
                drop_notification(m);
        for (uint32_t i = 0; i < m->n_rights; i++)
                if (m->rights[i].port)
                        (void)!ptl_right_release(m->rights[i].port);
        for (uint32_t i = 0; i < m->n_regions; i++)
                ptl_region_free(m->regions[i].region);
        ptl_message_release(m);
}

static void drop_held(unsigned i)
{
        if (held[i].there)
                drop(&held[i].message);
        held[i].there = false;
}

/* All that was told to be there can be read. */
static void read_message(const struct ptl_message *m)
{
        static volatile char sum;
        const char *at = m->data;

        MUST(!m->size || at);
        for (size_t i = 0; i < m->size; i += i + PAGE < m->size ? PAGE : 1)
                sum = (char)(sum + at[i]);
        for (uint32_t i = 0; i < m->n_regions; i++)
                if (m->regions[i].region)
                        sum = (char)(sum + *(char *)ptl_region_data(m->regions[i].region));
}

static void receive(struct input *in)
{
        struct ptl_message got[HELD_MAX];
        uint8_t way = byte(in);
        ptl_port port = way & 0x40 ? stage.second : stage.main;
        ptl_time deadline = way & 0x80 ? GONE : PTL_NOW;
        size_t n = 0;

        if (way % 4 == 3)
                (void)!ptl_receive_batch(port, got, HELD_MAX, &n, way & 4 ? PTL_IN_PLACE : 0,
                                         deadline);
        else
                n = ptl_receive_with(port, got, way & PTL_IN_PLACE, deadline) == 0;
        for (size_t i = 0; i < n; i++) {
                read_message(&got[i]);
                drop_held((way + i) % HELD_MAX);
                held[(way + i) % HELD_MAX].message = got[i];
                held[(way + i) % HELD_MAX].there = true;
        }
}

/* The quick way of a batch, which ptl_receive_batch() takes only where one link is polled. */
static void receive_run(struct input *in)
{
        struct ptl_message got[HELD_MAX];
        struct ptl_receiver *r;
        size_t n = 0;

        (void)in;
        ptl_lock(&stage.task->space.lock);
        r = ptl_receiver_of(&stage.task->space, stage.main);
        if (stage.task->space.peers == stage.hostile.link && stage.hostile.link->link.peer.base &&
            !r->head)
                n = ptl_deliver_run(stage.hostile.link, r, got, HELD_MAX);
        ptl_unlock(&stage.task->space.lock);
        for (size_t i = 0; i < n; i++) {
                drop_held((unsigned)i);
                held[i].message = got[i];
                held[i].there = true;
        }
}

static void release(struct input *in) { drop_held(byte(in) % HELD_MAX); }

/* A name of a right to a port of the hostile side, or of none. */
static ptl_port some_name(struct input *in)
{
        uint8_t which = byte(in);
        const struct ptl_message *m = &held[which % HELD_MAX].message;

        if (which < 128 || !held[which % HELD_MAX].there)
                return stage.hers;
        return m->n_rights && which & 4 ? m->rights[which >> 3 & (m->n_rights - 1)].port : m->reply;
}

static char payload[3 * PTL_BLOCK_MAX / 2];

static size_t payload_size(struct input *in)
{
        uint8_t way = byte(in);

        return way < 250 ? (size_t)way * (way & 1 ? 1 : 100) : number(in, 3) % sizeof payload;
}

static void answer(struct input *in)
{
        unsigned i = byte(in) % HELD_MAX;

        if (held[i].there)
                (void)!ptl_reply(&held[i].message, payload, payload_size(in));
}

static void call_hers(struct input *in)
{
        ptl_port name = some_name(in);
        size_t size = payload_size(in), room = sizeof body;

        (void)!ptl_call(name, payload, size, body, &room, GONE);
}

/* With rights and regions of its own and of others. */
static void send_rich(struct input *in)
{
        static const uint32_t hows[] = {PTL_REGION_VOLATILE, PTL_REGION_ISOLATED};
        uint8_t way = byte(in);
        ptl_port name = some_name(in);
        struct ptl_right_item rights[] = {
                {stage.main,   PTL_MAKE_SEND      },
                {stage.second, PTL_MAKE_SEND_ONCE },
                {name,         1 + (way >> 4) % 5u},
        };
        struct ptl_region_item region = {.how = hows[way & 1]};
        struct ptl_outgoing out = {.data = payload,
                                   .size = payload_size(in),
                                   .rights = rights,
                                   .n_rights = way >> 1 & 3,
                                   .regions = &region,
                                   .leave = way >> 3 & 1,
                                   .notify = way >> 3 & 1 ? stage.main : PTL_NULL};

        if (way & 0x80 && ptl_region_new(PAGE, &region.region) == 0)
                out.n_regions = 1;
        name = way & 8 ? stage.hers : some_name(in);
        if (ptl_send_message(name, &out, PTL_NOW) || region.how == PTL_REGION_VOLATILE)
                ptl_region_free(region.region);
}

static void send_batch(struct input *in)
{
        struct ptl_bytes batch[16];
        size_t n = byte(in) % 16 + 1, sent, size = payload_size(in);

        for (size_t i = 0; i < n; i++)
                batch[i] = (struct ptl_bytes){payload, size};
        (void)!ptl_send_batch(stage.hers, batch, n, &sent, PTL_NOW);
}

static void lend(struct input *in)
{
        struct ptl_loan loan;
        size_t size = payload_size(in) + 1;

        if (ptl_loan_reserve(some_name(in), size, &loan, PTL_NOW))
                return;
        if (byte(in) & 1)
                look(); /* the link may end meanwhile */
        if (ptl_loan_publish(&loan, size, NULL, PTL_NOW))
                ptl_loan_cancel(&loan);
}

/* To itself: what it got from the hostile side passes through a queue of its own. */
static void pass_on(struct input *in)
{
        uint8_t way = byte(in);
        struct ptl_right_item right = {some_name(in), 1 + way % 5u};
        struct ptl_outgoing out = {.rights = &right, .n_rights = 1};

        (void)!ptl_send_message(stage.second, &out, PTL_NOW);
}

static void give_up(struct input *in)
{
        ptl_port name = some_name(in);

        if (name != stage.hers)
                (void)!ptl_right_release(name);
}

static void ask_of_death(struct input *in)
{
        (void)!ptl_right_notify_dead(some_name(in), stage.main);
}

/* Who is told that nobody can send to it any more; what there is. */
static void ask_of_senders(struct input *in)
{
        uint8_t way = byte(in);
        ptl_port port = way & 1 ? stage.main : stage.second, previous = PTL_NULL;
        struct ptl_port_counts counts;

        if (ptl_right_request(port, PTL_NOTIFY_NO_SENDERS, way >> 2 & 3, way & 2 ? stage.main : PTL_NULL, &previous))
                return;
        if (previous)
                (void)!ptl_right_release(previous);
        MUST(ptl_port_get_counts(port, &counts) == 0);
        MUST(!(counts.asked & 1) || counts.has_senders || counts.made < (way >> 2 & 3u));
}

static void new_second(void)
{
        stage.second = new_port();
        MUST(ptl_right_make_send(stage.second) == 0);
}

/* Its send rights are a dead name then, which came back as often as it was sent home. */
static void end_second(void)
{
        MUST(ptl_port_free(stage.second) == 0);
        while (ptl_right_release(stage.second) == 0)
                ;
}

static void free_second(struct input *in)
{
        (void)in;
        end_second();
        new_second();
}

static void set_limit(struct input *in)
{
        struct ptl_port_options limits = {.limit_messages = 1 + byte(in) % 32u};

        limits.limit_bytes = number(in, 3);
        MUST(ptl_port_set_limit(stage.main, &limits) == 0);
}

static void take_in(struct input *in)
{
        (void)in;
        look();
}

static void honest(struct input *in)
{
        (void)in;
        check_honest();
}

/* One of the allocations of the next step fails. */
static void starve(struct input *in) { starving = 1 + byte(in) % 16; }

/* ---- rights of third tasks ---- */

/* This task's, the honest peer's, the hostile one's own, somebody's. */
static struct ptl_task_id some_id(struct input *in)
{
        uint8_t which = byte(in);

        return (struct ptl_task_id){.high = which < 250 ? 0 : number(in, 8), .low = which % 4};
}

static uint64_t given_ticket(struct input *in)
{
        uint8_t way = byte(in);

        return way < 250 ? ptl_ticket_make(1, way & 7, way >> 3 & 3) : number(in, 8);
}

static void say_give(struct input *in)
{
        struct ptl_frame_give head = {.grantee = some_id(in)};
        uint32_t n = byte(in) % 5;

        memcpy(body, &head, sizeof head);
        for (uint32_t i = 0; i < n; i++) {
                struct ptl_frame_give_item item = {.ticket = given_ticket(in), .right = right_number(in)};

                item.kind = byte(in) % 4;
                memcpy(body + sizeof head + i * sizeof item, &item, sizeof item);
        }
        (void)side_frame(&stage.hostile, PTL_FRAME_GIVE, &(struct ptl_frame_head){.right = 0}, body,
                         (uint32_t)(sizeof head + n * sizeof(struct ptl_frame_give_item)));
}

static void say_redeem(struct input *in)
{
        struct ptl_frame_head head = {.right = index_to_claim(in)};
        struct ptl_frame_redeem redeem = {.ticket = given_ticket(in)};

        redeem.granter = some_id(in);
        (void)side_frame(&stage.hostile, PTL_FRAME_REDEEM, &head, &redeem, sizeof redeem);
}

static void say_given(struct input *in)
{
        struct ptl_frame_head head = {.right = RIGHT, .token = token_number(in)};
        struct ptl_frame_given given[4];
        struct ptl_rich rich = {.n_rights = byte(in) % 5, .given = given};

        rich.n_given = rich.n_rights;
        for (uint32_t i = 0; i < rich.n_rights; i++) {
                rich.rights[i].what = PTL_CARRY_GIVEN_SEND + byte(in) % 2;
                rich.rights[i].right = i;
                given[i].owner = some_id(in);
                given[i].ticket = given_ticket(in);
        }
        ptl_rich_encode(&rich, body);
        (void)side_frame(&stage.hostile, PTL_FRAME_RICH, &head, body,
                         (uint32_t)(ptl_rich_head_size(rich.n_rights, 0) + rich.n_given * sizeof *given) + byte(in));
}

static void say_of_task(struct input *in, enum ptl_frame_kind kind)
{
        struct ptl_task_id id = some_id(in);

        (void)side_frame(&stage.hostile, kind, &(struct ptl_frame_head){.right = 0}, &id, sizeof id);
}

static void say_of_ticket(struct input *in, enum ptl_frame_kind kind)
{
        (void)side_frame(&stage.hostile, kind, &(struct ptl_frame_head){.right = (uint32_t)given_ticket(in)}, NULL, 0);
}

static void hand_off(struct input *in)
{
        switch (byte(in) % 8) {
        case 0:
        case 1:
                say_give(in);
                break;
        case 2:
                say_redeem(in);
                break;
        case 3:
        case 4:
                say_given(in);
                break;
        case 5:
                say_of_task(in, byte(in) % 2 ? PTL_FRAME_ASK : PTL_FRAME_READ_OUT);
                break;
        case 6:
                say_of_ticket(in, PTL_FRAME_SETTLED);
                break;
        default:
                say_of_ticket(in, PTL_FRAME_WITHDRAW);
                break;
        }
}

/* In the next step no descriptor arrives or is made. */
static void crowd(struct input *in)
{
        (void)in;
        fill_places();
}

/* Their order is the corpus's: new ones go to the end, and have bytes from 255 down for themselves. */
enum { FIRST_STEPS = 32, STEPS = 33 };

static void (*const steps[STEPS])(struct input *in) = {
        say_frame,   say_claim,  say_message,  say_block,   say_rich,  write_ring, write_head,
        write_taken, write_pool, read_ring,    say_packet,  say_bytes, grow,       shut,
        receive,     release,    answer,       call_hers,   send_rich, send_batch, lend,
        pass_on,     give_up,    ask_of_death, free_second, set_limit, take_in,    honest,
        starve,      crowd,      receive_run,  hand_off,     ask_of_senders,
};

/* ---- one input ---- */

/* All that came and that nobody received. */
static void drain(ptl_port port)
{
        struct ptl_message m;

        while (ptl_receive(port, &m, PTL_NOW) == 0) {
                read_message(&m);
                drop(&m);
        }
}

static void begin(uint8_t first)
{
        __libc_single_threaded = !(first & THREADED);
        new_second();
        side_open(&stage.hostile, 2);
        if (!(first & SILENT)) {
                side_hello(&stage.hostile);
                side_claim(&stage.hostile, ticket_of(stage.main));
                look();
        }
        stage.hers = look_up_hers();
}

/* The server's word: a link that ended unanswered is lost, not dead, until then. */
static void unlink_lost(struct ptl_task *task)
{
        ptl_lock(&task->space.lock);
        for (struct ptl_peer *p = task->space.peers, *next; p; p = next) {
                next = p->next;
                if (ptl_link_is_lost(&p->link)) {
                        p->known_dead = true;
                        ptl_task_unlink(task, p);
                }
        }
        ptl_unlock(&task->space.lock);
}

static bool is_alone(void) { return stage.task->space.peers == stage.honest.link && !stage.honest.link->next; }

/* A link whose HELLO could not be taken in is looked at again after 20 ms. */
static void leave_hostile(void)
{
        side_close(&stage.hostile);
        give_plenty();
        for (int i = 0; i < 200 && !is_alone(); i++) {
                if (i)
                        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
                look();
                unlink_lost(stage.task);
        }
}

static void end(uint8_t first)
{
        if (first & ENDS_FIRST)
                leave_hostile();
        drain(stage.main);
        for (unsigned i = 0; i < HELD_MAX; i++)
                drop_held(i);
        if (!(first & ENDS_FIRST)) {
                check_honest();
                leave_hostile();
        }
        while (ptl_right_release(stage.hers) == 0)
                ;
        for (int i = 0; i < 3; i++) { /* what waits for the honest peer's word */
                (void)side_read(&stage.honest, 0);
                look();
        }
        MUST(ptl_right_request(stage.main, PTL_NOTIFY_NO_SENDERS, 0, PTL_NULL, NULL) == 0);
        drain(stage.main);
        end_second();
        drain(stage.main);
        MUST(is_alone());
        check_honest();
}

static void step(struct input *in)
{
        uint8_t b = byte(in), which = b > UINT8_MAX - (STEPS - FIRST_STEPS) ? STEPS - 1 - (UINT8_MAX - b) : b % FIRST_STEPS;

        if (steps[which] == honest || steps[which] == free_second || steps[which] == set_limit)
                give_plenty();
        if (steps[which])
                steps[which](in);
        if (steps[which] != starve && steps[which] != crowd)
                give_plenty();
}

static void run(const uint8_t *data, size_t size)
{
        struct input in = {data, data + size};
        uint8_t first = byte(&in);

        begin(first);
        for (int i = 0; i < STEPS_MAX && in.at < in.end; i++)
                step(&in);
        give_plenty();
        end(first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct census before;

        if (!stage.task) {
                make_things();
                stage_begin();
                for (unsigned i = 0; i < 2; i++) { /* what is made once is there then */
                        run((const uint8_t[]){THREADED, 17, 0, 9}, 4);
                        run((const uint8_t[]){0, 17, 0, 9}, 4);
                }
        }
        before = take_census();
        run(data, size);
        check_census(&before);
        return 0;
}
