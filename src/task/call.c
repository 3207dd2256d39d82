/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task/call.c - requests and replies
 *
 * Each thread has a reply port of its own, made at its first call. A call mints a send-once right to
 * it, without a system call, and kills that right when it gives up.
 */
#include "task/call.h"
#include "task/receive.h"
#include "task/send.h"
#include <pthread.h>
#include <string.h>

static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
        ptl_port port;
        struct ptl_receiver *receiver;
        uint32_t epoch; /* of the task that it belongs to */
} mine;

static pthread_key_t thread_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void free_port(struct ptl_task *task)
{
        struct ptl_receiver *r = ptl_receiver_of(&task->space, mine.port);

        if (r && mine.epoch == task->space.epoch)
                ptl_receiver_free(&task->space, r);
        mine.port = PTL_NULL;
}

static void at_thread_end(void *unused)
{
        struct ptl_task *task = &ptl_the_task;

        (void)unused;
        if (!task->started || mine.epoch != task->space.epoch)
                return;
        ptl_lock(&task->space.lock);
        free_port(task);
        ptl_unlock(&task->space.lock);
}

static void make_key(void) { (void)!pthread_key_create(&thread_end, at_thread_end); }

void ptl_call_forked(void) { mine.port = PTL_NULL; }

void ptl_call_left(void) { mine.port = PTL_NULL; }

static int reply_port(struct ptl_task *task, ptl_port *ret_port)
{
        int r;

        if (PTL_LIKELY(mine.port && mine.epoch == task->space.epoch)) { /* internal: nobody else frees it */
                *ret_port = mine.port;
                return 0;
        }
        r = ptl_receiver_new(&task->space, 1, 0, &mine.port);
        if (r)
                return r;
        mine.receiver = ptl_receiver_of(&task->space, mine.port);
        mine.receiver->internal = true;
        task->space.internal++;
        mine.epoch = task->space.epoch;
        pthread_once(&once, make_key);
        pthread_setspecific(thread_end, &mine);
        *ret_port = mine.port;
        return 0;
}

/* No answer is wanted any more. */
static void give_up(struct ptl_task *task, const struct ptl_sending *s)
{
        struct ptl_grant *g = s->minted_peer ? ptl_grant_find(s->minted_peer, s->minted) : NULL;
        struct ptl_entry *e = s->minted_peer ? NULL : ptl_space_entry(&task->space, s->minted);

        if (g)
                ptl_grant_abandon(g);
        if (!e || e->rights != PTL_RIGHT_SEND_ONCE || e->peer || e->remote != mine.port)
                return;
        e->remote = PTL_NULL; /* a right of our own: what is sent through it goes nowhere */
        mine.receiver->onces--;
}

/* What a message on the reply port means. */
static int judge(struct ptl_task *task, const struct ptl_sending *s, struct ptl_queued *reply)
{
        if (PTL_LIKELY(reply->kind != PTL_NOTIFY_SEND_ONCE))
                return 0;
        ptl_queued_free(&task->space, reply);
        return s->minted_peer && ptl_link_state(&s->minted_peer->link) == PTL_LINK_DEAD
                       ? PTL_E_DEAD
                       : PTL_E_NO_REPLY;
}

static int wait_for_reply(struct ptl_task *task, const struct ptl_sending *s, struct ptl_want *want,
                          ptl_time deadline, struct ptl_queued **ret_reply)
{
        ptl_port from;
        int r = ptl_receive_wanted(task, mine.port, want, deadline, ret_reply, &from);

        if (PTL_UNLIKELY(r)) {
                give_up(task, s);
                return r == PTL_E_TIMEOUT || r == PTL_E_EMPTY ? PTL_E_UNANSWERED : r;
        }
        return want->sunk || want->filled ? 0 : judge(task, s, *ret_reply);
}

/* The lock is held. What comes back is in @want (sunk) or *ret_reply. */
static int call(struct ptl_task *task, ptl_port port, struct ptl_sending *s, struct ptl_want *want,
                ptl_time deadline, struct ptl_queued **ret_reply)
{
        int r = reply_port(task, &s->reply_port);

        if (PTL_UNLIKELY(r))
                return r;
        if (PTL_UNLIKELY(s->extras || s->kind || !ptl_send_quick(task, port, mine.receiver, s)))
                r = ptl_send_locked(task, port, s, deadline);
        if (PTL_UNLIKELY(r))
                return r;
        want->receiver = mine.receiver;
        if (s->minted_peer)
                ptl_peer_ref(s->minted_peer);
        r = wait_for_reply(task, s, want, deadline, ret_reply);
        if (s->minted_peer)
                ptl_peer_unref(s->minted_peer);
        return r;
}

static int take_answer(struct ptl_task *task, const struct ptl_want *want, struct ptl_queued *reply,
                       size_t *answer_size)
{
        size_t size = want->sunk ? want->sunk_size : reply->size, room = want->sink_room;

        *answer_size = size;
        if (PTL_UNLIKELY(!want->sunk)) {
                if (room)
                        memcpy(want->sink, reply->data, size < room ? size : room);
                ptl_queued_free(&task->space, reply); /* unopened: gives its rights back */
        }
        return size > room ? PTL_E_TOO_BIG : 0;
}

int ptl_call(ptl_port port, const void *data, size_t size, void *answer, size_t *answer_size,
             ptl_time deadline)
{
        struct ptl_sending s = {.data = data, .size = size, .block = -1};
        struct ptl_want want = {.in_place = true};
        struct ptl_queued *reply = NULL;
        struct ptl_task *task;
        int r = ptl_task_enter(&task);

        if (PTL_UNLIKELY(r))
                return r;
        if (PTL_UNLIKELY((!data && size) || !answer_size || (!answer && *answer_size)))
                return PTL_E_INVALID;
        if (PTL_UNLIKELY(size > PTL_MESSAGE_SIZE_MAX))
                return PTL_E_TOO_BIG;
        want.sink = answer ? answer : &want;
        want.sink_room = *answer_size;
        ptl_lock(&task->space.lock);
        r = call(task, port, &s, &want, deadline, &reply);
        if (PTL_LIKELY(!r))
                r = take_answer(task, &want, reply, answer_size);
        ptl_unlock(&task->space.lock);
        return r;
}

int ptl_outgoing_check(const struct ptl_outgoing *out)
{
        if (out->kind & 0x80000000u || out->leave > 1 || (out->n_rights && !out->rights) ||
            (out->n_regions && !out->regions))
                return PTL_E_INVALID;
        if (out->n_rights > PTL_MESSAGE_RIGHTS_MAX || out->n_regions > PTL_MESSAGE_REGIONS_MAX)
                return PTL_E_TOO_BIG;
        return 0;
}

/* What is common to every message with extras. */
static int check_outgoing(const struct ptl_outgoing *out)
{
        if (!out || (!out->data && out->size))
                return PTL_E_INVALID;
        return out->size > PTL_MESSAGE_SIZE_MAX ? PTL_E_TOO_BIG : ptl_outgoing_check(out);
}

static struct ptl_sending sending(const struct ptl_outgoing *out)
{
        return (struct ptl_sending){
                .data = out->data,
                .size = out->size,
                .kind = out->kind,
                .leave = out->leave,
                .notify = out->notify,
                .reply_port = out->reply,
                .extras = out->n_rights || out->n_regions ? out : NULL,
                .block = -1,
        };
}

int ptl_call_message(ptl_port port, const struct ptl_outgoing *out, struct ptl_message *ret_reply,
                     unsigned flags, ptl_time deadline)
{
        struct ptl_want want = {.in_place = flags & PTL_IN_PLACE};
        struct ptl_queued *reply;
        struct ptl_sending s;
        struct ptl_task *task;
        int r = ptl_task_enter(&task);

        if (!r)
                r = check_outgoing(out);
        if (!r && (out->reply || out->leave || !ret_reply || flags & ~(unsigned)PTL_IN_PLACE))
                r = PTL_E_INVALID;
        if (r)
                return r;
        s = sending(out);
        ptl_lock(&task->space.lock);
        want.fill = want.in_place ? ret_reply : NULL;
        r = call(task, port, &s, &want, deadline, &reply);
        if (!r && !want.filled)
                ptl_receive_open(task, reply, PTL_NULL, ret_reply);
        ptl_unlock(&task->space.lock);
        return r;
}

int ptl_send_message(ptl_port port, const struct ptl_outgoing *out, ptl_time deadline)
{
        struct ptl_sending s;
        struct ptl_task *task;
        int r = ptl_task_enter(&task);

        if (!r)
                r = check_outgoing(out);
        if (r)
                return r;
        s = sending(out);
        ptl_lock(&task->space.lock);
        r = ptl_send_locked(task, port, &s, deadline);
        ptl_unlock(&task->space.lock);
        return r;
}

enum { REPLY_PATIENCE_MS = 10000 };

static int reply_with(struct ptl_message *message, struct ptl_sending *s)
{
        struct ptl_task *task;
        int r = ptl_task_enter(&task);

        if (PTL_UNLIKELY(r))
                return r;
        if (PTL_UNLIKELY(!message))
                return PTL_E_INVALID;
        if (PTL_UNLIKELY(!message->reply))
                return PTL_E_RIGHT;
        ptl_lock(&task->space.lock);
        if (PTL_UNLIKELY(s->extras || s->kind || !ptl_send_quick(task, message->reply, NULL, s)))
                r = ptl_send_locked(task, message->reply, s, PTL_NOW);
        if (PTL_UNLIKELY(r == PTL_E_FULL)) {
                r = ptl_send_locked(task, message->reply, s, ptl_after_ms(REPLY_PATIENCE_MS));
                if (r == PTL_E_TIMEOUT)
                        r = PTL_E_FULL;
        }
        if (PTL_LIKELY(!r))
                message->reply = PTL_NULL;
        ptl_unlock(&task->space.lock);
        return r;
}

int ptl_reply(struct ptl_message *message, const void *data, size_t size)
{
        struct ptl_sending s = {.data = data, .size = size, .block = -1};

        if (PTL_UNLIKELY(!data && size))
                return PTL_E_INVALID;
        if (PTL_UNLIKELY(size > PTL_MESSAGE_SIZE_MAX))
                return PTL_E_TOO_BIG;
        return reply_with(message, &s);
}

int ptl_reply_message(struct ptl_message *message, const struct ptl_outgoing *out)
{
        int r = check_outgoing(out);
        struct ptl_sending s;

        if (!r && out->leave)
                r = PTL_E_INVALID;
        if (r)
                return r;
        s = sending(out);
        return reply_with(message, &s);
}
