/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_third.h - a third task, which lives on beside a victim and its survivor
 *
 * It has two ports: its door, which is published, and its home, to which rights are had by asking at the
 * door, and which is told when the last of them has gone. What it sees it counts where all can read it.
 */
#pragma once
#include "task_stage.h"

enum { KIND_GREETING = 100, KIND_SEND_WANTED, KIND_ONCE_WANTED, KIND_USE, KIND_TAKE };

/* ---- the third ---- */

struct third {
        struct third_account *account;
        ptl_port door, home, notify, set;
};

static inline void count(_Atomic uint32_t *counter)
{
        ptl_store_release(counter, ptl_load_relaxed(counter) + 1);
}

static inline void ask_for_no_senders(const struct third *t, uint32_t made)
{
        ptl_port previous;

        OK(ptl_right_request(t->home, PTL_NOTIFY_NO_SENDERS, made, t->notify, &previous));
}

/* Who asked may have died. */
static inline void answer(struct ptl_message *m, const struct ptl_outgoing *out)
{
        int r = ptl_reply_message(m, out);

        CHECK(r == 0 || r == PTL_E_DEAD);
}

static inline void give_home(const struct third *t, struct ptl_message *m, uint32_t how)
{
        struct ptl_right_item item = {t->home, how};

        answer(m, &(struct ptl_outgoing){.rights = &item, .n_rights = 1});
}

/* A right to the victim's port: used once, and kept until it is dead. */
static inline void take_right(const struct third *t, const struct ptl_message *m)
{
        ptl_port right = m->rights[0].port;
        int r;

        CHECK_EQ(m->n_rights, 1);
        if (m->rights[0].disposition == PTL_RIGHT_DEAD) {
                OK(ptl_right_release(right));
                count(&t->account->deads);
                return;
        }
        OK(ptl_right_notify_dead(right, t->notify));
        r = ptl_send(right, "used", 5, soon());
        CHECK(r == 0 || r == PTL_E_DEAD);
}

static inline void hear_of(const struct third *t, const struct ptl_message *m)
{
        struct ptl_notification n;

        memcpy(&n, m->data, sizeof n);
        if (m->kind == PTL_NOTIFY_NO_SENDERS) {
                count(&t->account->no_senders);
                ask_for_no_senders(t, n.value + 1);
                return;
        }
        CHECK_EQ(m->kind, PTL_NOTIFY_DEAD_NAME);
        check_rights(n.value, PTL_RIGHT_DEAD, 2);
        OK(ptl_right_release(n.value));
        OK(ptl_right_release(n.value));
        count(&t->account->deads);
}

static inline void third_took(const struct third *t, struct ptl_message *m)
{
        if (m->port == t->notify)
                hear_of(t, m);
        else if (m->kind == KIND_GREETING)
                answer(m, &(struct ptl_outgoing){.kind = 0});
        else if (m->kind == KIND_SEND_WANTED)
                give_home(t, m, PTL_MAKE_SEND);
        else if (m->kind == KIND_ONCE_WANTED)
                give_home(t, m, PTL_MAKE_SEND_ONCE);
        else if (m->kind == KIND_TAKE)
                take_right(t, m);
        else if (m->kind == PTL_NOTIFY_SEND_ONCE)
                count(&t->account->onces);
        else
                CHECK_EQ(m->kind, KIND_USE), count(&t->account->used);
}

static inline void be_third(struct stage *s)
{
        struct third t = {.account = &s->third,
                          .door = new_port(),
                          .home = new_port(),
                          .notify = new_port(),
                          .set = new_set()};
        struct ptl_task_statistics now;
        struct ptl_message m;
        int r;

        OK(ptl_set_add(t.set, t.door));
        OK(ptl_set_add(t.set, t.home));
        OK(ptl_set_add(t.set, t.notify));
        OK(ptl_name_publish(s->third_name, t.door));
        ask_for_no_senders(&t, 1);
        sem_post(&s->worker);
        for (;;) {
                now = statistics();
                ptl_store_release(&s->third.names, now.names);
                ptl_store_release(&s->third.links, now.links);
                CHECK_EQ(now.lies, 0);
                r = ptl_receive(t.set, &m, ptl_after_ms(2));
                if (r == PTL_E_TIMEOUT)
                        continue;
                OK(r);
                third_took(&t, &m);
                ptl_message_release(&m);
        }
}

/* ---- the two others ---- */

static ptl_port door;

/* A right to its home; the caller's. */
static inline ptl_port ask_third(uint32_t kind)
{
        struct ptl_outgoing out = {.kind = kind};
        struct ptl_message m;
        ptl_port right;

        OK(ptl_call_message(door, &out, &m, 0, soon()));
        CHECK_EQ(m.n_rights, 1);
        right = m.rights[0].port;
        ptl_message_release(&m);
        return right;
}

static inline void meet_third(struct stage *s)
{
        struct ptl_message m;

        OK(ptl_name_look_up(s->third_name, &door, soon()));
        OK(ptl_call_message(door, &(struct ptl_outgoing){.kind = KIND_GREETING}, &m, 0, soon()));
        ptl_message_release(&m); /* the link is there, and open */
}

/* The survivor: what the third says of itself is from after that. */
static inline void meet_third_first(struct stage *s)
{
        meet_third(s);
        CHECK(tst_wait_until(ptl_load_acquire(&s->third.links) == 1, STAGE_MS));
}

static inline void use_right(ptl_port right)
{
        OK(ptl_send_message(right, &(struct ptl_outgoing){.kind = KIND_USE}, soon()));
}

/* Of the victim nothing is left at the third's. */
static inline bool is_quiet(const struct play *p)
{
        const struct third_account *now = &p->stage->third;

        return ptl_load_acquire(&now->names) == ptl_load_relaxed(&p->third.names) &&
               ptl_load_acquire(&now->links) == ptl_load_relaxed(&p->third.links);
}

/* How often since the victim came. */
#define SINCE(p, what) (ptl_load_acquire(&(p)->stage->third.what) - ptl_load_relaxed(&(p)->third.what))
