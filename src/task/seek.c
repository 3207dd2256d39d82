/* SPDX-License-Identifier: Apache-2.0 */
/* task/seek.c - see seek.h */
#include "task/seek.h"
#include "port/handoff.h"
#include "port/moving.h"
#include "task/relink.h"
#include <sys/resource.h>

enum { AGAIN_MS = 1000, SOON_MS = 20 };

/* Each costs descriptors and an outbox: nobody's word makes this task begin more than so many at once. */
static bool has_place(const struct ptl_task *task, struct ptl_task_id granter)
{
        enum { SHARE = 4 /* as of those that others ask for: task/server.c */ };
        struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
        rlim_t all = 1;
        int sought = 0;

        for (const struct ptl_peer *p = task->space.peers; p; p = p->next) {
                sought += p->handoff && ptl_link_state(&p->link) == PTL_LINK_INTRODUCED &&
                          ptl_task_is(p->handoff->sought_for, granter);
                all++;
        }
        (void)!getrlimit(RLIMIT_NOFILE, &limit);
        return sought < PTL_SOUGHT_MAX && all <= limit.rlim_cur / SHARE;
}

struct ptl_peer *ptl_seek(struct ptl_task *task, struct ptl_task_id id, struct ptl_task_id granter)
{
        struct ptl_identity identity = {.task = id};
        struct ptl_peer *peer = ptl_task_find_peer(task, id);

        if (peer || task->leaving || !has_place(task, granter))
                return peer;
        if (ptl_task_link(task, -EBADF, &identity, 0, &peer))
                return NULL;
        if (ptl_handoff_of(peer))
                peer->handoff->sought_for = granter;
        ptl_relink_seek(task, peer);
        return peer;
}

/* --- what is left of the dead --- */

/* Who is still linked with us is not settled. */
static bool is_to_ask(const struct ptl_task *task, const struct ptl_asked *a)
{
        return !a->answered && !a->serial && !ptl_task_find_peer(task, a->granter);
}

static void ask(struct ptl_task *task, struct ptl_asked *a)
{
        struct ptl_server_msg msg = {.type = PTL_SM_INTRODUCE, .task.id = a->granter};

        a->serial = ptl_server_tell(task, &msg);
        a->again_at = ptl_after_ms(SOON_MS); /* if it could not be sent */
}

void ptl_seek_drained(struct ptl_task *task, const struct ptl_peer *peer)
{
        ptl_tickets_look_again(&task->space, peer->link.identity.task);
        ptl_settle_look_again(&task->space, peer->link.identity.task, !ptl_ring_ready(&peer->link.rx));
}

static void ask_all(struct ptl_task *task)
{
        for (struct ptl_peer *p = task->space.peers; p; p = p->next)
                for (uint32_t i = 0; p->handoff && i < p->handoff->n_asks; i++) {
                        struct ptl_asked *a = &p->handoff->asks[i];

                        if (!is_to_ask(task, a) || !ptl_deadline_passed(a->again_at))
                                continue;
                        if (ptl_server_is_ready(task))
                                ask(task, a);
                        else
                                a->again_at = ptl_after_ms(SOON_MS);
                }
}

void ptl_seek_step(struct ptl_task *task)
{
        if (task->space.waiting)
                ptl_redeem_step(&task->space);
        if (task->space.asks)
                ask_all(task);
}

ptl_time ptl_seek_due(const struct ptl_task *task)
{
        ptl_time due = ptl_redeem_due(&task->space);

        for (const struct ptl_peer *p = task->space.asks ? task->space.peers : NULL; p; p = p->next)
                for (uint32_t i = 0; p->handoff && i < p->handoff->n_asks; i++) {
                        const struct ptl_asked *a = &p->handoff->asks[i];

                        if (is_to_ask(task, a) && a->again_at < due)
                                due = a->again_at;
                }
        return due;
}

static void take_answer(struct ptl_task *task, struct ptl_peer *peer, struct ptl_asked *a,
                        const struct ptl_server_msg *msg)
{
        a->serial = 0;
        a->again_at = ptl_after_ms(AGAIN_MS);
        /* A link there is by now was told of before: it is settled first. */
        if (msg->type == PTL_SM_RESULT && msg->result.outcome == PTL_E_NOT_FOUND &&
            !ptl_task_find_peer(task, a->granter))
                ptl_redeem_answered(peer, a);
}

void ptl_seek_answer(struct ptl_task *task, const struct ptl_server_msg *msg)
{
        for (struct ptl_peer *p = task->space.asks ? task->space.peers : NULL; p; p = p->next)
                for (uint32_t i = 0; p->handoff && i < p->handoff->n_asks; i++)
                        if (!p->handoff->asks[i].answered && p->handoff->asks[i].serial == msg->serial) {
                                take_answer(task, p, &p->handoff->asks[i], msg);
                                return;
                        }
}

void ptl_seek_restart(struct ptl_task *task)
{
        for (struct ptl_peer *p = task->space.asks ? task->space.peers : NULL; p; p = p->next)
                for (uint32_t i = 0; p->handoff && i < p->handoff->n_asks; i++) {
                        p->handoff->asks[i].serial = 0;
                        p->handoff->asks[i].again_at = PTL_NOW;
                }
}
