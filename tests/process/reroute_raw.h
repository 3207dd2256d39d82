/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process/reroute_raw.h - an old and a new receiver of a port, made by hand, around a holder that runs the library
 *
 * The holder is this task. B and D are bare tasks: each word, route and frame of a move is stored and written one by
 * one, right or wrong. Whatever they wait for the holder writes in calls of the library: it is let look meanwhile.
 */
#pragma once
#include "counts.h"
#include "link_raw.h"
#include "port/reroute.h"
#include "task/task.h"
#include <pthread.h>

enum { N = 5, ROUTE = 3, LIMIT = 16 };

/* ---- the holder ---- */

static ptl_port home; /* published as "h" */

static inline void look(void)
{
        struct ptl_message m;

        for (int i = 0; i < 4; i++) {
                int r = ptl_receive(home, &m, PTL_NOW);

                if (r == 0)
                        tst_fail(__FILE__, __LINE__, __func__, "nothing comes that is not waited for");
                OUTCOME(r, PTL_E_EMPTY);
        }
}

static inline bool look_until(bool (*is_so)(void *), void *what)
{
        return tst_wait_until((look(), is_so(what)), RAW_MS);
}

static inline void holder_start(void)
{
        api_begin();
        home = new_port();
        OK(ptl_name_publish("h", home));
}

/* ---- a receiver ---- */

struct party {
        struct raw server;
        struct link_raw l;
        struct ptl_task_id id;
        uint32_t claimed; /* the index that the holder chose with its last claim */
};

static inline bool has_input(void *socket)
{
        struct pollfd p = {*(int *)socket, POLLIN, 0};

        return poll(&p, 1, 0) == 1;
}

static inline struct party party_new(void)
{
        struct party p = {.server = raw_task()};

        p.l = (struct link_raw){.bell = -EBADF, .peer_bell = -EBADF};
        p.l.server.socket = p.l.server.fd = p.l.server.passport = -EBADF;
        p.id = p.server.me.task;
        return p;
}

/* Says hello on the socket that the server made, and reads the holder's. */
static inline void party_hello(struct party *p)
{
        CHECK(fcntl(p->l.socket, F_SETFL, O_NONBLOCK) == 0);
        p->l.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        CHECK(p->l.bell >= 0);
        while (!has_input(&p->l.socket))
                look();
        link_raw_hello(&p->l, p->l.bell);
}

static inline struct ptl_frame hears_kind(struct party *p, enum ptl_frame_kind kind, uint32_t right);

/* A task with a link to the holder, and a right to its port: RIGHT. */
static inline struct party party_start(void)
{
        struct party p = party_new();

        raw_expect(&p.server, PTL_SM_FOUND, raw_ask_look_up(&p.server, "h", true));
        CHECK_EQ(p.server.msg.found.link, 1);
        p.l.ticket = p.server.msg.found.ticket;
        p.l.socket = raw_take_fd(&p.server);
        party_hello(&p);
        CHECK(link_raw_claim(&p.l, 1, p.l.ticket));
        hears_kind(&p, PTL_FRAME_CONFIRM, RIGHT);
        return p;
}

/* The holder seeks it. */
static inline void party_is_sought(struct party *p)
{
        CHECK(look_until(has_input, &p->server.socket));
        CHECK(raw_receive(&p->server));
        CHECK_EQ(p->server.msg.type, PTL_SM_INTRODUCTION);
        p->l.socket = raw_take_fd(&p->server);
        party_hello(p);
}

/* As a death: the kernel does no more. */
static inline void party_dies(struct party *p)
{
        link_raw_close(&p->l);
        raw_close(&p->server);
}

/* ---- what it says ---- */

static inline void say(struct party *p, enum ptl_frame_kind kind, uint32_t right, uint32_t aux)
{
        CHECK(link_raw_frame(&p->l, kind, (struct ptl_frame_head){.right = right, .aux = aux}, NULL, 0));
}

/* A right to a port of its own, in a message: the name it has at the holder. */
static inline ptl_port party_grants(struct party *p, uint32_t right, uint32_t what)
{
        struct ptl_rich rich = {.n_rights = 1,
                                .rights = {{.what = what, .right = right, .limit_messages = LIMIT, .limit_units = 1000}}};
        char body[128];
        struct ptl_message m;
        ptl_port name;

        ptl_rich_encode(&rich, body);
        CHECK(link_raw_frame(&p->l, PTL_FRAME_RICH, (struct ptl_frame_head){.right = RIGHT}, body,
                             (uint32_t)ptl_rich_head_size(1, 0)));
        m = take_message(home);
        CHECK_EQ(m.n_rights, 1);
        name = m.rights[0].port;
        ptl_message_release(&m);
        return name;
}

static inline ptl_port party_gives(struct party *p, uint32_t right) { return party_grants(p, right, PTL_CARRY_SEND); }

static inline void mark(struct party *p, uint32_t right)
{
        ptl_outbox_show(&p->l.mine, right, ptl_word_marked());
        ptl_outbox_count_move(&p->l.mine);
        ptl_fence_seq_cst(); /* V1 */
}

static inline void set_route(struct party *p, uint32_t route, struct ptl_task_id to)
{
        *ptl_outbox_route(&p->l.mine, route) = (struct ptl_move_route){.task = to};
}

/* The word; the frame comes later. */
static inline void news(struct party *p, uint32_t right, uint32_t count, struct ptl_task_id to)
{
        set_route(p, ROUTE, to);
        ptl_outbox_show(&p->l.mine, right, ptl_word_moved(count, ROUTE));
}

/* All of it. */
static inline void tell_moved(struct party *p, uint32_t right, uint32_t count, struct ptl_task_id to)
{
        news(p, right, count, to);
        say(p, PTL_FRAME_MOVED, right, 0);
}

static inline void confirm(struct party *p, uint32_t right, uint32_t taken, uint32_t token)
{
        struct ptl_frame_window w = {.limit_messages = LIMIT, .limit_units = 1000};

        ptl_outbox_show(&p->l.mine, right, ptl_word_open(taken, taken));
        CHECK(link_raw_frame(&p->l, PTL_FRAME_CONFIRM, (struct ptl_frame_head){.right = right, .token = token}, &w,
                             sizeof w));
}

/* ---- what it hears ---- */

static inline bool has_frame(void *reader) { return ptl_ring_ready(reader); }

/* The next frame of the holder's. */
static inline struct ptl_frame hears(struct party *p)
{
        struct ptl_frame f;

        if (!look_until(has_frame, &p->l.rx))
                tst_fail(__FILE__, __LINE__, __func__, "a frame comes");
        CHECK(link_raw_next(&p->l, &f));
        link_raw_consume(&p->l);
        return f;
}

static inline struct ptl_frame hears_kind(struct party *p, enum ptl_frame_kind kind, uint32_t right)
{
        struct ptl_frame f = hears(p);

        CHECK_STR_EQ(ptl_frame_kind_name(f.kind), ptl_frame_kind_name(kind));
        CHECK_EQ(f.head.right, right);
        return f;
}

static inline void hears_nothing(struct party *p)
{
        look();
        CHECK(!ptl_ring_ready(&p->l.rx));
}

static inline struct ptl_frame hears_text(struct party *p, uint32_t right, const char *text)
{
        struct ptl_frame f = hears_kind(p, PTL_FRAME_INLINE, right);

        CHECK_EQ(f.length, strlen(text) + 1);
        CHECK(!memcmp(f.body, text, f.length));
        return f;
}

/* The claim of what was @number at @of: the number it has here from now on. */
static inline uint32_t hears_claim(struct party *p, struct ptl_task_id of, uint32_t number)
{
        struct ptl_move_claim claim;
        struct ptl_frame f = hears(p);

        CHECK_STR_EQ(ptl_frame_kind_name(f.kind), "CLAIM_MOVED");
        CHECK_EQ(ptl_move_claim_decode(f.body, f.length, &claim), 0);
        CHECK(claim.task.high == of.high && claim.task.low == of.low);
        CHECK_EQ(claim.number, number);
        return p->claimed = f.head.right | PTL_RIGHT_CLAIMED;
}

/* Behind what was sent before. */
static inline void hears_release(struct party *p, uint32_t right, uint32_t references)
{
        struct ptl_frame f;

        do
                f = hears(p);
        while (f.kind == PTL_FRAME_INLINE || f.kind == PTL_FRAME_RICH);
        CHECK_STR_EQ(ptl_frame_kind_name(f.kind), "RELEASE");
        CHECK_EQ(f.head.right, right);
        CHECK_EQ(f.head.token, references);
}
