/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task/call.c - requests and replies
 *
 * Each thread has a reply port of its own, made at its first call. A call mints a send-once right to
 * it, without a system call, and kills that right when it gives up.
 */
#include "task/call.h"
#include "task/quick.h"
#include "task/receive.h"
#include "task/resend.h"
#include "task/rich.h"
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

static int new_reply_port(struct ptl_task *task)
{
        int r;

        r = ptl_receiver_new(&task->space, 1, 0, &mine.port);
        if (r)
                return r;
        mine.receiver = ptl_receiver_of(&task->space, mine.port);
        mine.receiver->internal = true;
        task->space.internal++;
        mine.epoch = task->space.epoch;
        pthread_once(&once, make_key);
        pthread_setspecific(thread_end, &mine);
        return 0;
}

/* Makes sure that this thread has one: internal, so nobody else frees it. */
static inline int reply_port(struct ptl_task *task)
{
        return PTL_LIKELY(mine.port && mine.epoch == task->space.epoch) ? 0 : new_reply_port(task);
}

/* No answer is wanted any more. */
static void give_up(struct ptl_task *task, const struct ptl_sending *s)
{
        struct ptl_grant *g = s->minted_peer ? ptl_grant_find(s->minted_peer, s->minted) : NULL;
        struct ptl_entry *e = s->minted_peer ? NULL : ptl_space_entry(&task->space, s->minted);

        if (g)
                ptl_grant_abandon(g);
        else if (s->minted_peer) /* sent again (port/reroute.h), the answer may come through another right: not to the
                                    next call, which has another port */
                free_port(task);
        if (e && e->rights == PTL_RIGHT_SEND_ONCE && !e->peer && e->remote == mine.port) {
                e->remote = PTL_NULL; /* a right of our own: what is sent through it goes nowhere */
                ptl_receiver_entry(&task->space, mine.receiver)->onces--;
        }
        /* It has come home in a message, and may be anywhere by now: the next call has another port, else
         * it would take for its answer what comes through this right, or the news of its end. */
        if (PTL_UNLIKELY(mine.port && ptl_receiver_entry(&task->space, mine.receiver)->onces))
                free_port(task);
}

/* What a message on the reply port means. */
static int judge(struct ptl_task *task, const struct ptl_sending *s, struct ptl_queued *reply)
{
        struct ptl_notification told;

        if (PTL_LIKELY(reply->kind != PTL_NOTIFY_SEND_ONCE))
                return 0;
        memcpy(&told, reply->data, sizeof told);
        ptl_queued_free(&task->space, reply);
        /* It may have been sent again, to another task: that the right died with it is in the notification. */
        return told.value || (s->minted_peer && ptl_link_state(&s->minted_peer->link) == PTL_LINK_DEAD)
                       ? PTL_E_DEAD
                       : PTL_E_NO_REPLY;
}

/* The request is out; what comes back is in want->fill or *ret_reply. */
static int await(struct ptl_task *task, const struct ptl_sending *s, struct ptl_want *want,
                 ptl_time deadline, struct ptl_queued **ret_reply)
{
        ptl_port from;
        int r;

        want->receiver = mine.receiver;
        r = ptl_receive_wanted(task, mine.port, want, deadline, ret_reply, &from);
        if (PTL_UNLIKELY(r)) {
                give_up(task, s);
                return r == PTL_E_TIMEOUT || r == PTL_E_EMPTY ? PTL_E_UNANSWERED : r;
        }
        return want->filled ? 0 : judge(task, s, *ret_reply);
}

/* The link that the answer comes through may die meanwhile; a call within this task has none. */
static inline struct ptl_peer *hold(struct ptl_peer *peer) { return peer ? ptl_peer_ref(peer) : NULL; }

static inline void let_go(struct ptl_peer *peer)
{
        if (peer)
                ptl_peer_unref(peer);
}

/* The answer's bytes the long way. */
static int await_bytes(struct ptl_task *task, const struct ptl_sending *s, void *answer,
                       size_t *answer_size, ptl_time deadline)
{
        struct ptl_want want = {.in_place = true};
        struct ptl_queued *reply;
        size_t room = *answer_size;
        int r = await(task, s, &want, deadline, &reply);

        if (r)
                return r;
        *answer_size = reply->size;
        if (room && reply->size)
                memcpy(answer, reply->data, reply->size < room ? reply->size : room);
        ptl_queued_free(&task->space, reply); /* unopened: gives its rights back */
        return 0;
}

static PTL_COLD int call_long(struct ptl_task *task, ptl_port port, const void *data, size_t size, void *answer,
                              size_t *answer_size, ptl_time deadline)
{
        struct ptl_sending s = {.data = data, .size = size, .reply_port = mine.port, .block = -1};
        int r = ptl_send_locked(task, port, &s, deadline);

        if (r)
                return r;
        hold(s.minted_peer);
        r = await_bytes(task, &s, answer, answer_size, deadline);
        let_go(s.minted_peer);
        return r;
}

static PTL_COLD int answer_long(struct ptl_task *task, struct ptl_peer *peer, uint32_t minted, void *answer,
                                size_t *answer_size, ptl_time deadline)
{
        struct ptl_sending s = {.minted = minted, .minted_peer = peer};

        return await_bytes(task, &s, answer, answer_size, deadline);
}

static inline int call(struct ptl_task *task, ptl_port port, const void *data, size_t size, void *answer,
                size_t *answer_size, ptl_time deadline)
{
        size_t room = *answer_size;
        struct ptl_minted minted = {0};
        enum ptl_quick quick;
        int r = reply_port(task);

        if (PTL_UNLIKELY(r))
                return r;
        quick = ptl_quick_send(task, port, data, size, mine.receiver, &minted);
        if (PTL_UNLIKELY(quick == PTL_QUICK_NONE)) {
                r = call_long(task, port, data, size, answer, answer_size, deadline);
        } else {
                ptl_peer_ref(minted.peer);
                if (PTL_UNLIKELY(quick == PTL_QUICK_UNSURE ||
                                 !ptl_quick_receive_answer(task, &minted, mine.receiver, answer, room,
                                                           answer_size, deadline)))
                        r = answer_long(task, minted.peer, minted.right, answer, answer_size, deadline);
                ptl_peer_unref(minted.peer);
        }
        return PTL_UNLIKELY(r) ? r : *answer_size > room ? PTL_E_TOO_BIG : 0;
}

int ptl_call(ptl_port port, const void *data, size_t size, void *answer, size_t *answer_size,
             ptl_time deadline)
{
        struct ptl_task *task;
        int r = ptl_task_enter(&task);

        if (PTL_UNLIKELY(r))
                return r;
        if (PTL_UNLIKELY((!data && size) || !answer_size || (!answer && *answer_size)))
                return PTL_E_INVALID;
        if (PTL_UNLIKELY(size > PTL_MESSAGE_SIZE_MAX))
                return PTL_E_TOO_BIG;
        ptl_lock(&task->space.lock);
        r = call(task, port, data, size, answer, answer_size, deadline);
        ptl_unlock(&task->space.lock);
        return r;
}

int ptl_outgoing_check(const struct ptl_outgoing *out)
{
        if (out->kind & PTL_KIND_LIBRARY || out->leave > 1 || (out->n_rights && !out->rights) ||
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

/* The answer, whole, into @reply, the long way. */
static PTL_COLD int await_message(struct ptl_task *task, const struct ptl_sending *s, bool in_place,
                                  struct ptl_message *reply, ptl_time deadline)
{
        struct ptl_want want = {.in_place = in_place, .fill = reply};
        struct ptl_queued *q;
        int r = await(task, s, &want, deadline, &q);

        if (!r && !want.filled)
                ptl_receive_open(task, q, PTL_NULL, reply);
        return r;
}

/* What comes back, whole, into @reply. */
static int call_message(struct ptl_task *task, ptl_port port, struct ptl_sending *s, bool in_place,
                        struct ptl_message *reply, ptl_time deadline)
{
        struct ptl_minted minted = {0};
        enum ptl_quick quick = PTL_QUICK_NONE;
        int r = 0;

        if (s->extras)
                quick = ptl_rich_send(task, port, s->extras, mine.receiver, &minted);
        else if (!s->kind)
                quick = ptl_quick_send(task, port, s->data, s->size, mine.receiver, &minted);
        if (quick == PTL_QUICK_NONE)
                r = ptl_send_locked(task, port, s, deadline);
        if (PTL_UNLIKELY(r))
                return r;
        if (quick) {
                s->minted = minted.right;
                s->minted_peer = minted.peer;
        }
        hold(s->minted_peer);
        if (quick != PTL_QUICK_SENT ||
            !ptl_quick_receive_answer_message(task, &minted, mine.receiver, in_place, reply, deadline))
                r = await_message(task, s, in_place, reply, deadline);
        let_go(s->minted_peer);
        return r;
}

int ptl_call_message(ptl_port port, const struct ptl_outgoing *out, struct ptl_message *ret_reply,
                     unsigned flags, ptl_time deadline)
{
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
        r = reply_port(task);
        s.reply_port = mine.port;
        if (!r)
                r = call_message(task, port, &s, flags & PTL_IN_PLACE, ret_reply, deadline);
        ptl_unlock(&task->space.lock);
        return r;
}

int ptl_send_message(ptl_port port, const struct ptl_outgoing *out, ptl_time deadline)
{
        enum ptl_quick quick;
        struct ptl_sending s;
        struct ptl_task *task;
        int r = ptl_task_enter(&task);

        if (!r)
                r = check_outgoing(out);
        if (r)
                return r;
        ptl_lock(&task->space.lock);
        ptl_wait_tick(task, &task->wait, NULL);
        quick = ptl_rich_send(task, port, out, NULL, NULL);
        if (quick == PTL_QUICK_UNSURE)
                ptl_resend_await(task, task->space.ways.unsure, deadline);
        if (quick == PTL_QUICK_NONE) {
                s = sending(out);
                r = ptl_send_locked(task, port, &s, deadline);
        }
        ptl_unlock(&task->space.lock);
        return r;
}

enum { REPLY_PATIENCE_MS = 10000 };

static int check_reply_to(const struct ptl_message *message)
{
        if (PTL_UNLIKELY(!message))
                return PTL_E_INVALID;
        return PTL_LIKELY(message->reply) ? 0 : PTL_E_RIGHT;
}

/* The long way. */
static int reply_with(struct ptl_task *task, struct ptl_message *message, struct ptl_sending *s)
{
        int r = ptl_send_locked(task, message->reply, s, PTL_NOW);

        if (r == PTL_E_FULL)
                r = ptl_send_locked(task, message->reply, s, ptl_after_ms(REPLY_PATIENCE_MS));
        return r == PTL_E_TIMEOUT ? PTL_E_FULL : r;
}

int ptl_reply(struct ptl_message *message, const void *data, size_t size)
{
        struct ptl_task *task;
        enum ptl_quick quick;
        int r = ptl_task_enter(&task);

        if (PTL_LIKELY(!r))
                r = check_reply_to(message);
        if (PTL_UNLIKELY(r))
                return r;
        if (PTL_UNLIKELY(!data && size))
                return PTL_E_INVALID;
        if (PTL_UNLIKELY(size > PTL_MESSAGE_SIZE_MAX))
                return PTL_E_TOO_BIG;
        ptl_lock(&task->space.lock);
        quick = ptl_quick_send(task, message->reply, data, size, NULL, NULL);
        if (PTL_UNLIKELY(quick == PTL_QUICK_UNSURE))
                ptl_resend_await(task, task->space.ways.unsure, ptl_after_ms(REPLY_PATIENCE_MS));
        else if (PTL_UNLIKELY(quick == PTL_QUICK_NONE))
                r = reply_with(task, message,
                               &(struct ptl_sending){.data = data, .size = size, .block = -1});
        if (PTL_LIKELY(!r))
                message->reply = PTL_NULL;
        ptl_unlock(&task->space.lock);
        return r;
}

int ptl_reply_message(struct ptl_message *message, const struct ptl_outgoing *out)
{
        int r = check_outgoing(out);
        struct ptl_sending s;
        struct ptl_task *task;

        if (!r && out->leave)
                r = PTL_E_INVALID;
        if (r)
                return r;
        s = sending(out);
        r = ptl_task_enter(&task);
        if (!r)
                r = check_reply_to(message);
        if (r)
                return r;
        ptl_lock(&task->space.lock);
        r = reply_with(task, message, &s);
        if (!r)
                message->reply = PTL_NULL;
        ptl_unlock(&task->space.lock);
        return r;
}
