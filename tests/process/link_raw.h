/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process/link_raw.h - one side of a link made by hand, and a victim that runs the library
 *
 * The raw side owns its outbox and its end of the socket and says what a test tells it to, right or
 * wrong. The victim is a task in another process that echoes whatever comes, by every way of
 * receiving in turn, and tells its health to who asks for it through the library.
 */
#pragma once
#include "base/cleanup.h"
#include "link/link.h"
#include "roles.h"
#include "server_raw.h"
#include "wire/link_msg.h"
#include <sys/eventfd.h>

enum {
        KIND_HEALTH = 0x48454c54, /* answered with struct health */
        KIND_HOLD = 0x484f4c44, /* kept, with a copy to compare with; unlike others not answered */
        KIND_TALK = 0x54414c4b, /* sends through the right it carries as long as there is room */
        KIND_PLUG = 0x504c5547, /* calls the right it carries: what comes meanwhile is queued */
        KIND_FULL = 0x46554c4c, /* has no place for a descriptor from now on ... */
        KIND_ROOM = 0x524f4f4d, /* ... and again as many as before */
        KIND_STOP = 0x53544f50,
        VICTIM_LIMIT = 64,
        TALK_MAX = 1000,
};

/* ---- the victim ---- */

struct health {
        struct ptl_task_statistics statistics;
        uint64_t held_size;
        int32_t fds, maps;
        int32_t talked;       /* messages that the last KIND_TALK could send */
        int32_t talk_outcome; /* what ended it */
        int32_t held_changed; /* the message kept is not what it was when it came */
        int32_t held_in_place;
        int32_t lost; /* regions whose descriptor did not arrive */
};

static struct victim {
        ptl_port port, set;
        struct ptl_message held;
        const void *held_data; /* its isolated region if it has one, else its bytes */
        size_t held_size;
        void *copy; /* of those */
        int32_t talked, talk_outcome, lost;
        struct rlimit room; /* for descriptors, before KIND_FULL */
} victim;

/* By another way each time: forever, in place, several, through a set, by looking only. */
static inline size_t victim_receive(struct ptl_message *messages, size_t max)
{
        static unsigned way;
        size_t n = 1;
        int r;

        switch (way++ % 5) {
        case 0:
                r = ptl_receive(victim.port, messages, PTL_FOREVER);
                break;
        case 1:
                r = ptl_receive_with(victim.port, messages, PTL_IN_PLACE, PTL_FOREVER);
                break;
        case 2:
                r = ptl_receive_batch(victim.port, messages, max, &n, PTL_IN_PLACE, PTL_FOREVER);
                break;
        case 3:
                r = ptl_receive(victim.set, messages, PTL_FOREVER);
                break;
        default:
                r = ptl_receive(victim.port, messages, PTL_NOW);
                break;
        }
        if (r == PTL_E_EMPTY)
                return 0;
        OK(r);
        return n;
}

static inline void victim_talk(const struct ptl_message *m)
{
        char bytes[1000] = "";

        victim.talked = 0;
        if (!m->n_rights)
                return;
        while (victim.talked < TALK_MAX &&
               !(victim.talk_outcome = ptl_send(m->rights[0].port, bytes, sizeof bytes, PTL_NOW)))
                victim.talked++;
}

static inline void victim_drop(struct ptl_message *m)
{
        for (uint32_t i = 0; i < m->n_rights; i++)
                if (m->rights[i].port)
                        ptl_right_release(m->rights[i].port);
        for (uint32_t i = 0; i < m->n_regions; i++)
                ptl_region_free(m->regions[i].region);
        ptl_message_release(m);
}

/* Keeps the message, and how its bytes are now. */
static inline void victim_hold(const struct ptl_message *m)
{
        free(victim.copy);
        if (victim.copy)
                victim_drop(&victim.held);
        victim.held = *m;
        victim.held_data = m->data;
        victim.held_size = m->size;
        if (m->n_regions && m->regions[0].region && m->regions[0].how == PTL_REGION_ISOLATED) {
                victim.held_data = ptl_region_data(m->regions[0].region);
                victim.held_size = ptl_region_size(m->regions[0].region);
        }
        victim.copy = malloc(victim.held_size + 1);
        CHECK(victim.copy);
        memcpy(victim.copy, victim.held_data, victim.held_size);
}

/* The lowest free descriptor is beyond the limit. */
static inline void victim_fill(void)
{
        int free_one = dup(0);
        struct rlimit none;

        CHECK(free_one >= 0 && getrlimit(RLIMIT_NOFILE, &victim.room) == 0);
        none = victim.room;
        none.rlim_cur = (rlim_t)free_one;
        close(free_one);
        CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
}

static inline void victim_count_lost(const struct ptl_message *m)
{
        for (uint32_t i = 0; i < m->n_regions; i++)
                victim.lost += !m->regions[i].region;
}

static inline void victim_plug(const struct ptl_message *m)
{
        char answer[8];
        size_t size = sizeof answer;

        if (m->n_rights)
                OK(ptl_call(m->rights[0].port, "plug", 5, answer, &size, PTL_FOREVER));
}

static inline struct health victim_health(void)
{
        bool changed = victim.copy && memcmp(victim.held_data, victim.copy, victim.held_size);

        return (struct health){.statistics = statistics(),
                               .fds = tst_open_fds(false),
                               .maps = tst_shared_maps(false),
                               .talked = victim.talked,
                               .talk_outcome = victim.talk_outcome,
                               .held_size = victim.held_size,
                               .held_changed = changed,
                               .held_in_place = (int32_t)victim.held.in_place,
                               .lost = victim.lost};
}

static inline void victim_answer(struct ptl_message *m)
{
        struct health health = victim_health();
        struct ptl_outgoing out = {.data = m->data, .size = m->size, .kind = m->kind};

        if (m->kind == KIND_HEALTH) {
                out.data = &health;
                out.size = sizeof health;
        }
        (void)!ptl_reply_message(m, &out); /* its asker may be anybody, and anything may come */
}

/* False: it was told to stop. */
static inline bool victim_take(struct ptl_message *m)
{
        bool stop = m->kind == KIND_STOP;

        if (m->kind == KIND_HOLD) {
                victim_hold(m);
                return true;
        }
        if (m->kind == KIND_TALK)
                victim_talk(m);
        if (m->kind == KIND_PLUG)
                victim_plug(m);
        if (m->kind == KIND_FULL)
                victim_fill();
        if (m->kind == KIND_ROOM)
                CHECK(setrlimit(RLIMIT_NOFILE, &victim.room) == 0);
        victim_count_lost(m);
        if (m->reply)
                victim_answer(m);
        victim_drop(m);
        return !stop;
}

PEER(victim)
{
        struct ptl_message messages[8];
        bool goes_on = true;

        (void)argc;
        victim.port = new_port_of(VICTIM_LIMIT, 0);
        victim.set = new_set();
        OK(ptl_set_add(victim.set, victim.port));
        OK(ptl_name_publish(argv[1], victim.port));
        while (goes_on)
                for (size_t i = 0, n = victim_receive(messages, 8); i < n; i++)
                        goes_on &= victim_take(&messages[i]);
        free(victim.copy);
        if (victim.copy)
                victim_drop(&victim.held);
        OK(ptl_task_leave());
}

/* ---- its friend: this task ---- */

static struct peer patient; /* the victim's process */
static ptl_port friendly;   /* this task's right to its port */
static struct health before;

static inline struct health ask_health(void)
{
        struct ptl_outgoing out = {.kind = KIND_HEALTH};
        struct ptl_message answer;
        struct health h;

        OK(ptl_call_message(friendly, &out, &answer, 0, soon()));
        CHECK_EQ(answer.size, sizeof h);
        memcpy(&h, answer.data, sizeof h);
        ptl_message_release(&answer);
        return h;
}

static inline bool is_as_before(const struct health *now)
{
        return now->fds == before.fds && now->maps == before.maps &&
               now->statistics.links == before.statistics.links &&
               now->statistics.names == before.statistics.names;
}

static inline void start_victim(void)
{
        api_begin();
        peer_start(&patient, "victim", "victim", NULL);
        friendly = look_up("victim");
        call_echo(friendly);
        call_echo_of(friendly, 20000, 1); /* its pool, too, is there now */
        ask_health();
        before = ask_health();
}

/* It lives, serves others, and has kept nothing of what is over. */
static inline void check_victim(void)
{
        struct health now;

        call_echo(friendly);
        if (!tst_wait_until((now = ask_health(), is_as_before(&now)), 5000)) {
                CHECK_EQ(now.statistics.links, before.statistics.links);
                CHECK_EQ(now.statistics.names, before.statistics.names);
                CHECK_EQ(now.fds, before.fds);
                CHECK_EQ(now.maps, before.maps);
        }
        call_echo_of(friendly, 20000, 7);
}

static inline void end_victim(void)
{
        check_victim();
        OK(ptl_send_message(friendly, &(struct ptl_outgoing){.kind = KIND_STOP}, soon()));
        peer_end(&patient);
}

/* ---- the raw side ---- */

struct link_raw {
        struct raw server;
        int socket, bell, peer_bell;
        struct ptl_outbox mine, peer;
        struct ptl_ring_writer tx;
        struct ptl_ring_reader rx;
        uint64_t ticket; /* of the victim's port */
        uint32_t reply;  /* the last number given for a reply */
};

enum { RIGHT = 1 | PTL_RIGHT_CLAIMED }; /* what link_raw_open() claims */

/* Introduced; nothing is said yet. */
static inline struct link_raw link_raw_find(const char *name)
{
        struct link_raw l = {.server = raw_task(), .bell = -EBADF, .peer_bell = -EBADF};

        raw_expect(&l.server, PTL_SM_FOUND, raw_ask_look_up(&l.server, name, true));
        CHECK_EQ(l.server.msg.found.link, 1);
        l.ticket = l.server.msg.found.ticket;
        l.socket = raw_take_fd(&l.server);
        CHECK(fcntl(l.socket, F_SETFL, O_NONBLOCK) == 0);
        return l;
}

static inline void link_raw_close(struct link_raw *l)
{
        l->socket = ptl_close(l->socket);
        l->bell = ptl_close(l->bell);
        l->peer_bell = ptl_close(l->peer_bell);
        ptl_outbox_unmap(&l->mine);
        ptl_outbox_unmap(&l->peer);
        raw_close(&l->server);
}

/* A packet, with descriptors that stay the caller's. False: the other side has closed. */
static inline bool link_raw_packet(struct link_raw *l, const void *data, size_t size,
                                   const int *fds, size_t n_fds)
{
        int r;

        while ((r = ptl_socket_send(l->socket, data, size, fds, n_fds)) == -EAGAIN)
                tst_nap();
        CHECK(r == 0 || r == -EPIPE || r == -ECONNRESET);
        return r == 0;
}

static inline bool link_raw_say(struct link_raw *l, enum ptl_link_type type, uint64_t value,
                                const int *fds, size_t n_fds)
{
        struct ptl_link_msg msg = ptl_link_msg(type, value);

        return link_raw_packet(l, &msg, sizeof msg, fds, n_fds);
}

/* Descriptors under the tickets from @first on. */
static inline bool link_raw_descriptors(struct link_raw *l, uint64_t first, const int *fds,
                                        size_t n)
{
        return link_raw_say(l, PTL_LM_DESCRIPTORS, ptl_link_msg_tickets(first, n), fds, n);
}

/* Waits for the victim's HELLO, which comes whatever we say, and maps its outbox. */
static inline void link_raw_meet(struct link_raw *l)
{
        struct ptl_link_msg msg;
        int fds[2];
        size_t size, n;

        CHECK(poll(&(struct pollfd){l->socket, POLLIN, 0}, 1, (int)tst_deadline_ms(RAW_MS)) == 1);
        CHECK_EQ(ptl_socket_receive(l->socket, &msg, sizeof msg, &size, fds, 2, &n), 0);
        CHECK(size == sizeof msg && n == 2 && msg.type == PTL_LM_HELLO);
        CHECK_EQ(ptl_outbox_attach(fds[0], &l->peer), 0);
        ptl_close(fds[0]);
        l->peer_bell = fds[1];
}

/* Our outbox, whose descriptor the caller closes. */
static inline int link_raw_outbox(struct link_raw *l)
{
        int fd = -EBADF;

        CHECK_EQ(ptl_outbox_create(&l->mine, &fd), 0);
        ptl_store_relaxed(&ptl_outbox_head(&l->mine)->bell.armed, 1); /* relaxed: not shown yet */
        ptl_ring_writer_init(&l->tx, &l->mine);
        return fd;
}

static inline void link_raw_say_hello(struct link_raw *l, int bell)
{
        int fds[2] = {link_raw_outbox(l), bell};

        CHECK(link_raw_say(l, PTL_LM_HELLO, 0, fds, 2));
        ptl_close(fds[0]);
}

/* Both have said it. */
static inline void link_raw_join(struct link_raw *l)
{
        ptl_ring_reader_init(&l->rx, &l->peer, &l->mine);
        l->tx.peer_consumed = &ptl_outbox_head(&l->peer)->consumed;
}

static inline void link_raw_hello(struct link_raw *l, int bell)
{
        link_raw_say_hello(l, bell);
        link_raw_meet(l);
        link_raw_join(l);
}

/* Wakes the victim, whether it asked for that or not. */
static inline void link_raw_ring(struct link_raw *l)
{
        uint64_t one = 1;

        CHECK_EQ(write(l->peer_bell, &one, sizeof one), sizeof one);
}

/* Has the victim ended the link? */
static inline bool link_raw_is_over(const struct link_raw *l)
{
        struct pollfd p = {.fd = l->socket, .events = POLLRDHUP};

        return poll(&p, 1, 0) == 1 && p.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

/* A frame with a right header. False: no room, and the victim has ended the link. */
static inline bool link_raw_frame(struct link_raw *l, enum ptl_frame_kind kind,
                                  struct ptl_frame_head head, const void *body, uint32_t length)
{
        struct ptl_ring_slot slot;
        int r;

        while ((r = ptl_ring_reserve(&l->tx, length, 0, &slot)) == PTL_E_FULL) {
                link_raw_ring(l);
                if (link_raw_is_over(l))
                        return false;
                tst_nap();
        }
        CHECK_EQ(r, 0);
        if (length)
                memcpy(slot.body, body, length);
        ptl_ring_publish(&l->tx, &slot, kind, length, &head);
        link_raw_ring(l);
        return true;
}

static inline bool link_raw_message(struct link_raw *l, uint32_t right, uint32_t kind)
{
        return link_raw_frame(l, PTL_FRAME_INLINE,
                              (struct ptl_frame_head){.right = right, .aux = kind}, "message", 8);
}

static inline bool link_raw_claim(struct link_raw *l, uint32_t index, uint64_t ticket)
{
        struct ptl_frame_claim body = {.ticket = ticket};

        return link_raw_frame(l, PTL_FRAME_CLAIM, (struct ptl_frame_head){.right = index}, &body,
                              sizeof body);
}

/* An honest beginning: as the library would do it. */
static inline struct link_raw link_raw_open(void)
{
        struct link_raw l = link_raw_find("victim");

        l.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        CHECK(l.bell >= 0);
        link_raw_hello(&l, l.bell);
        CHECK(link_raw_claim(&l, 1, l.ticket));
        return l;
}

/* The next frame the victim has written; false: none within the deadline. */
static inline bool link_raw_next(struct link_raw *l, struct ptl_frame *ret_frame)
{
        int r;

        if (!tst_wait_until((r = ptl_ring_peek(&l->rx, ret_frame)) != PTL_E_EMPTY, RAW_MS))
                return false;
        CHECK_EQ(r, 0);
        ptl_ring_advance(&l->rx, ret_frame);
        return true;
}

/* Gives back what was read. */
static inline void link_raw_consume(struct link_raw *l)
{
        ptl_ring_consume(&l->rx, l->rx.position);
}

/* A request and its answer: the link lives. What else is read on the way is forgotten. */
static inline void link_raw_ping(struct link_raw *l)
{
        struct ptl_frame f;

        l->reply = ptl_right_make(7, l->reply / 0x100000 + 1);
        CHECK(link_raw_frame(l, PTL_FRAME_INLINE,
                             (struct ptl_frame_head){.right = RIGHT, .token = l->reply}, "ping",
                             5));
        do
                CHECK(link_raw_next(l, &f));
        while (f.kind != PTL_FRAME_INLINE || f.head.right != l->reply);
        CHECK(f.length == 5 && !memcmp(f.body, "ping", 5));
        link_raw_consume(l);
}

/* ---- what became of a lie ---- */

enum verdict {
        LIVES, /* the link goes on */
        LIE,   /* it ended, and was counted as a lie */
        ENDS,  /* it ended; no lie that could be told from a failure */
};

/* Of the one thing that was said on @l; closes it. */
static inline void link_raw_judge(struct link_raw *l, enum verdict verdict, const char *what)
{
        struct health was = before, now;

        if (verdict == LIVES)
                link_raw_ping(l);
        else if (!tst_wait_until(link_raw_is_over(l), RAW_MS)) {
                struct ptl_task_statistics *s = &(struct health[]) { ask_health() } -> statistics;

                fprintf(stderr, "# %s: the link goes on, %d lies, %d links dead\n", what,
                        (int)(s->lies - was.statistics.lies),
                        (int)(s->links_dead - was.statistics.links_dead));
                tst_fail(__FILE__, __LINE__, __func__, "the link is over");
        }
        link_raw_close(l);
        check_victim();
        now = ask_health();
        if (now.statistics.lies - was.statistics.lies != (verdict == LIE)) {
                fprintf(stderr, "# %s: %d lies\n", what,
                        (int)(now.statistics.lies - was.statistics.lies));
                tst_fail(__FILE__, __LINE__, __func__, "lies");
        }
        CHECK_EQ(now.statistics.links_dead, was.statistics.links_dead + 1);
        before = now;
}
