/* SPDX-License-Identifier: Apache-2.0 */
/* wire/move.c - see move.h */
#include "wire/move.h"
#include "wire/frame.h"
#include <portolan/message.h>
#include <portolan/port.h>
#include <string.h>

static bool is_task(const struct ptl_task_id *task) { return task->high || task->low; }

/* Could it be a right's in the table of the port's task? */
static bool is_number(uint64_t number)
{
        return number <= UINT32_MAX && ptl_right_index((uint32_t)number) != 0;
}

static bool count_is_valid(const struct ptl_move_count *c)
{
        return c->units <= PTL_WORD_UNITS_MASK && c->taken_units <= PTL_WORD_UNITS_MASK &&
               c->count - c->taken <=
                       PTL_LIMIT_MESSAGES_MAX + 1; /* and one that was left with the port */
}

static bool once_is_valid(const struct ptl_move_holder *h)
{
        return h->references == 1 && h->count.count <= 1 && !h->count.units && !h->count.taken &&
               !h->count.taken_units;
}

static bool holder_is_valid(const struct ptl_move_holder *h)
{
        bool by_ticket = is_task(&h->granter);

        if (!is_task(&h->task) || !(by_ticket ? h->number != 0 : is_number(h->number)))
                return false;
        if (h->kind == PTL_CARRY_ONCE)
                return once_is_valid(h);
        return h->kind == PTL_CARRY_SEND && h->references > 0 && count_is_valid(&h->count);
}

int ptl_move_port_decode(const void *body, size_t length, struct ptl_move_port *ret)
{
        struct ptl_move_port port;

        if (length != sizeof port)
                return PTL_E_MALFORMED;
        memcpy(&port, body, sizeof port);
        if (port.reserved[0] || port.reserved[1] || port.limit_messages > PTL_LIMIT_MESSAGES_MAX ||
            port.limit_units > PTL_WORD_UNITS_MASK)
                return PTL_E_MALFORMED;
        *ret = port;
        return 0;
}

int ptl_move_count_decode(const void *body, size_t length, struct ptl_move_count *ret)
{
        struct ptl_move_count count;

        if (length != sizeof count)
                return PTL_E_MALFORMED;
        memcpy(&count, body, sizeof count);
        if (!count_is_valid(&count))
                return PTL_E_MALFORMED;
        *ret = count;
        return 0;
}

int ptl_move_holder_decode(const void *body, size_t length, struct ptl_move_holder *ret)
{
        struct ptl_move_holder holder;

        if (length != sizeof holder)
                return PTL_E_MALFORMED;
        memcpy(&holder, body, sizeof holder);
        if (!holder_is_valid(&holder))
                return PTL_E_MALFORMED;
        *ret = holder;
        return 0;
}

int ptl_move_queued_decode(const void *body, size_t length, struct ptl_move_queued *ret)
{
        struct ptl_move_queued queued;

        if (length != sizeof queued)
                return PTL_E_MALFORMED;
        memcpy(&queued, body, sizeof queued);
        if (queued.hops >= PTL_MOVE_HOPS || queued.reply > 1 || queued.sender.reserved)
                return PTL_E_MALFORMED;
        *ret = queued;
        return 0;
}

int ptl_move_commit_decode(const void *body, size_t length, struct ptl_move_commit *ret)
{
        if (length != sizeof *ret)
                return PTL_E_MALFORMED;
        memcpy(ret, body, sizeof *ret);
        return 0;
}

int ptl_move_pass_decode(const void *body, size_t length, struct ptl_task_id *ret)
{
        struct ptl_task_id task;

        if (length != sizeof task)
                return PTL_E_MALFORMED;
        memcpy(&task, body, sizeof task);
        if (!is_task(&task))
                return PTL_E_MALFORMED;
        *ret = task;
        return 0;
}

int ptl_move_claim_decode(const void *body, size_t length, struct ptl_move_claim *ret)
{
        struct ptl_move_claim claim;

        if (length != sizeof claim)
                return PTL_E_MALFORMED;
        memcpy(&claim, body, sizeof claim);
        if (!is_task(&claim.task) || !is_number(claim.number))
                return PTL_E_MALFORMED;
        *ret = claim;
        return 0;
}

int ptl_move_route_decode(const void *body, size_t length, struct ptl_move_route *ret)
{
        struct ptl_move_route route;

        if (length != sizeof route)
                return PTL_E_MALFORMED;
        memcpy(&route, body, sizeof route);
        if (!is_task(&route.task) || route.reserved[0] || route.reserved[1])
                return PTL_E_MALFORMED;
        *ret = route;
        return 0;
}
