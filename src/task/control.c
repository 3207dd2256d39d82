/* SPDX-License-Identifier: Apache-2.0 */
/* task/control.c - asking another task to do something with its rights (portolan/control.h) */
#include <portolan/control.h>
#include "task/served.h"
#include "task/task.h"
#include <string.h>

int ptl_task_port(ptl_port *ret_task)
{
        struct ptl_task *task;
        int r;

        if (!ret_task)
                return PTL_E_INVALID;
        r = ptl_task_begin(&task);
        return r ? r : ptl_task_end(task, ptl_served_task_port(task, ret_task));
}

/* An answer has its request's kind, and at most one right, which EXTRACT alone brings. */
static bool is_answer(const struct ptl_message *m, uint32_t kind)
{
        return m->kind == kind && m->size == sizeof(struct ptl_task_answer) && !m->n_regions &&
               m->n_rights <= (kind == PTL_TASK_EXTRACT);
}

static void give_back(const struct ptl_message *m)
{
        for (uint32_t i = 0; i < m->n_rights; i++)
                (void)ptl_right_release(m->rights[i].port);
        for (uint32_t i = 0; i < m->n_regions; i++)
                ptl_region_free(m->regions[i].region);
}

/* @ret_right: filled with the right that came, PTL_NULL if none; NULL: none is expected. */
static int ask(ptl_port task, const struct ptl_outgoing *out, struct ptl_task_answer *ret_answer,
               ptl_port *ret_right, ptl_time deadline)
{
        struct ptl_message m;
        int r = ptl_call_message(task, out, &m, 0, deadline);

        if (r)
                return r;
        if (!is_answer(&m, out->kind)) {
                give_back(&m);
                r = PTL_E_MALFORMED;
        } else {
                memcpy(ret_answer, m.data, sizeof *ret_answer);
                if (ret_right)
                        *ret_right = m.n_rights ? m.rights[0].port : PTL_NULL;
                r = ret_answer->outcome;
        }
        ptl_message_release(&m);
        return r < PTL_E_COUNT_ ? r : PTL_E_MALFORMED;
}

static int ask_about(ptl_port task, uint32_t kind, ptl_port name, uint32_t value,
                     struct ptl_task_answer *ret_answer, ptl_port *ret_right, ptl_time deadline)
{
        struct ptl_task_request request = {.name = name, .value = value};
        struct ptl_outgoing out = {.data = &request, .size = sizeof request, .kind = kind};

        return ask(task, &out, ret_answer, ret_right, deadline);
}

int ptl_task_insert(ptl_port task, ptl_port name, const struct ptl_right_item *right, ptl_port *ret_name,
                    ptl_time deadline)
{
        struct ptl_task_request request = {.name = name};
        struct ptl_outgoing out = {
                .data = &request, .size = sizeof request, .kind = PTL_TASK_INSERT, .rights = right, .n_rights = 1,
        };
        struct ptl_task_answer answer;
        int r;

        if (!right || !ret_name)
                return PTL_E_INVALID;
        r = ask(task, &out, &answer, NULL, deadline);
        if (!r)
                *ret_name = answer.name;
        return r;
}

int ptl_task_extract(ptl_port task, ptl_port name, enum ptl_disposition disposition, ptl_port *ret_port,
                     ptl_time deadline)
{
        struct ptl_task_answer answer;
        ptl_port right = PTL_NULL;
        int r;

        if (!ret_port)
                return PTL_E_INVALID;
        r = ask_about(task, PTL_TASK_EXTRACT, name, (uint32_t)disposition, &answer, &right, deadline);
        if (!r && !right)
                return PTL_E_MALFORMED;
        if (r && right)
                (void)ptl_right_release(right);
        if (!r)
                *ret_port = right;
        return r;
}

int ptl_task_release(ptl_port task, ptl_port name, uint32_t count, ptl_time deadline)
{
        struct ptl_task_answer answer;

        return ask_about(task, PTL_TASK_RELEASE, name, count, &answer, NULL, deadline);
}

int ptl_task_get_right(ptl_port task, ptl_port name, uint32_t *ret_rights, uint32_t *ret_references,
                       ptl_time deadline)
{
        struct ptl_task_answer answer;
        int r;

        if (!ret_rights)
                return PTL_E_INVALID;
        r = ask_about(task, PTL_TASK_GET_RIGHT, name, 0, &answer, NULL, deadline);
        if (r)
                return r;
        *ret_rights = answer.rights;
        if (ret_references)
                *ret_references = answer.references;
        return 0;
}
