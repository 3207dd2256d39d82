/* SPDX-License-Identifier: Apache-2.0 */
/* task/served.c - see served.h */
#include "task/served.h"
#include "port/regions.h"
#include "task/family.h"
#include "task/send.h"
#include <portolan/control.h>
#include <string.h>

int ptl_served_receiver(struct ptl_task *task, ptl_port *ret_port)
{
        int r = ptl_receiver_new(&task->space, 0, 0, ret_port);

        if (r)
                return r;
        ptl_receiver_of(&task->space, *ret_port)->internal = true;
        task->space.internal++;
        return 0;
}

int ptl_served_task_port(struct ptl_task *task, ptl_port *ret_port)
{
        ptl_port *port = &task->served.task_port;
        struct ptl_entry *e;
        int r = *port ? 0 : ptl_served_receiver(task, port);

        if (r)
                return r;
        e = ptl_space_entry(&task->space, *port);
        if (e->references == PTL_REFERENCES_MAX)
                return PTL_E_QUOTA;
        e->rights |= PTL_RIGHT_SEND;
        e->references++;
        *ret_port = *port;
        return 0;
}

void ptl_served_arrived(struct ptl_task *task, const struct ptl_receiver *receiver)
{
        struct ptl_served *r = &task->served;

        if (receiver->name != r->task_port && receiver->name != r->nursery && receiver->name != r->lender)
                return; /* a thread's reply port */
        r->due = true;
        task->wait.long_way = true;
        if (task->wait.asleep && !r->serving)
                ptl_wait_rethink(task); /* another thread's message to its own task */
}

/* --- what can be asked --- */

static void drop(struct ptl_task *task, ptl_port name)
{
        struct ptl_entry *e = name ? ptl_space_entry(&task->space, name) : NULL;

        if (e)
                ptl_right_drop(&task->space, e, 1);
}

/* Gives back what came with a message and is not wanted. */
static void drop_rights(struct ptl_task *task, const struct ptl_message *m)
{
        for (uint32_t i = 0; i < m->n_rights; i++)
                drop(task, m->rights[i].port);
}

/* The right became this task's, under the name @has, when the message was opened: is that new? */
static bool is_new(struct ptl_task *task, ptl_port has)
{
        struct ptl_entry *e = ptl_space_entry(&task->space, has);

        return e && !(e->rights & PTL_RIGHT_RECEIVE) && e->references == 1;
}

static int insert(struct ptl_task *task, const struct ptl_message *m, const struct ptl_task_request *request,
                  struct ptl_task_answer *answer)
{
        ptl_port has = m->n_rights ? m->rights[0].port : PTL_NULL;
        int r = 0;

        if (m->n_rights != 1 || request->value)
                return PTL_E_INVALID;
        if (request->name && request->name != has)
                r = is_new(task, has) ? ptl_right_rename_locked(task, has, request->name) : PTL_E_EXISTS;
        answer->name = r ? PTL_NULL : request->name ? request->name : has;
        return r;
}

static int release(struct ptl_task *task, const struct ptl_task_request *request)
{
        struct ptl_entry *e;
        int r = ptl_space_look(&task->space, request->name,
                               PTL_RIGHT_SEND | PTL_RIGHT_SEND_ONCE | PTL_RIGHT_DEAD, &e);

        if (r)
                return r;
        if (!request->value || request->value > e->references)
                return PTL_E_INVALID;
        ptl_right_drop(&task->space, e, request->value);
        return 0;
}

static int get_right(struct ptl_task *task, const struct ptl_task_request *request,
                     struct ptl_task_answer *answer)
{
        struct ptl_entry *e;
        int r = ptl_space_look(&task->space, request->name, ~0u, &e);

        if (r)
                return r;
        answer->rights = ptl_receiver_rights_shown(e);
        answer->references = e->references;
        return answer->rights ? 0 : PTL_E_NAME;
}

static int perform(struct ptl_task *task, const struct ptl_message *m, struct ptl_task_answer *answer)
{
        struct ptl_task_request request;

        if (m->size != sizeof request || (m->n_rights && m->kind != PTL_TASK_INSERT) || m->n_regions)
                return PTL_E_INVALID;
        memcpy(&request, m->data, sizeof request);
        switch (m->kind) {
        case PTL_TASK_INSERT:
                return insert(task, m, &request, answer);
        case PTL_TASK_EXTRACT: /* done by sending the answer */
                return m->reply ? 0 : PTL_E_INVALID;
        case PTL_TASK_RELEASE:
                return release(task, &request);
        case PTL_TASK_GET_RIGHT:
                return get_right(task, &request, answer);
        default:
                return PTL_E_INVALID;
        }
}

/* --- answers --- */

static int send_answer(struct ptl_task *task, const struct ptl_message *m,
                       const struct ptl_task_answer *answer, const struct ptl_right_item *right)
{
        struct ptl_outgoing out = {.rights = right, .n_rights = right != NULL};
        struct ptl_sending s = {
                .data = answer,
                .size = sizeof *answer,
                .kind = m->kind,
                .extras = right ? &out : NULL,
                .block = -1,
        };

        return ptl_send_locked(task, m->reply, &s, PTL_NOW);
}

/* The right goes with the answer, or the answer says why it does not. */
static int send_right(struct ptl_task *task, const struct ptl_message *m, struct ptl_task_answer *answer,
                      const struct ptl_right_item *right)
{
        int r;

        if (right->port == m->reply) /* it would be used up by what carries it */
                r = PTL_E_RIGHT;
        else
                r = send_answer(task, m, answer, right);
        if (!r || r == PTL_E_FULL || r == PTL_E_DEAD)
                return r;
        answer->outcome = r;
        return send_answer(task, m, answer, NULL);
}

static int send_extracted(struct ptl_task *task, const struct ptl_message *m, struct ptl_task_answer *answer)
{
        struct ptl_task_request request;

        memcpy(&request, m->data, sizeof request);
        return send_right(task, m, answer, &(struct ptl_right_item){request.name, request.value});
}

static void serve_request(struct ptl_task *task, const struct ptl_message *m)
{
        struct ptl_task_answer answer = {.outcome = 0};
        int r;

        answer.outcome = perform(task, m, &answer);
        if (answer.outcome)
                drop_rights(task, m);
        if (!m->reply)
                return;
        r = m->kind == PTL_TASK_EXTRACT && !answer.outcome ? send_extracted(task, m, &answer)
                                                           : send_answer(task, m, &answer, NULL);
        if (r)
                drop(task, m->reply);
}

static void serve_child(struct ptl_task *task, const struct ptl_message *m)
{
        if (!ptl_family_is_child(m) ||
            !ptl_notify(&task->space, task->served.children, PTL_NOTIFY_CHILD, m->rights[0].port, NULL))
                drop_rights(task, m);
        drop(task, m->reply);
}

/* Whoever asks gets a copy of one right, and nothing else. */
static void serve_borrower(struct ptl_task *task, const struct ptl_message *m)
{
        struct ptl_right_item right = {task->served.bootstrap, PTL_COPY_SEND};
        struct ptl_task_answer answer = {.outcome = 0};
        int r;

        drop_rights(task, m);
        if (!m->reply)
                return;
        if (m->kind != PTL_TASK_EXTRACT)
                answer.outcome = PTL_E_INVALID;
        r = answer.outcome ? send_answer(task, m, &answer, NULL) : send_right(task, m, &answer, &right);
        if (r)
                drop(task, m->reply);
}

static void serve_all(struct ptl_task *task, ptl_port port,
                      void (*serve)(struct ptl_task *task, const struct ptl_message *m))
{
        struct ptl_receiver *receiver = ptl_receiver_of(&task->space, port);
        struct ptl_message m;
        struct ptl_queued *q;

        while (receiver && (q = ptl_receiver_take(&task->space, receiver))) {
                ptl_queued_open(&task->space, q, PTL_NULL, &m);
                for (uint32_t i = 0; i < m.n_regions; i++)
                        ptl_region_unref(&task->space, m.regions[i].region);
                serve(task, &m);
                ptl_queued_free(&task->space, q);
        }
}

void ptl_served_serve(struct ptl_task *task)
{
        struct ptl_served *r = &task->served;

        if (r->serving || !r->due)
                return;
        r->serving = true;
        r->due = false;
        serve_all(task, r->task_port, serve_request);
        serve_all(task, r->nursery, serve_child);
        serve_all(task, r->lender, serve_borrower);
        r->serving = false;
        task->wait.long_way = task->wait.pollable || r->due;
}
