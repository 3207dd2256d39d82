/* SPDX-License-Identifier: Apache-2.0 */
/* task/names.c - publish, look up, watch (portolan/name.h) */
#include "port/regions.h"
#include "port/senders.h"
#include "shm/outbox.h"
#include "task/relink.h"
#include "task/task.h"
#include "base/cancel.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static int check_name(const char *name, bool may_be_empty)
{
        if (!name || (!*name && !may_be_empty))
                return PTL_E_INVALID;
        return strnlen(name, PTL_NAME_MAX + 1) > PTL_NAME_MAX ? PTL_E_TOO_BIG : 0;
}

static void set_name(struct ptl_server_msg *msg, const char *name)
{
        msg->name_size = strlen(name);
        memcpy(msg->name, name, msg->name_size + 1);
}

/* Enters with the lock held, the name checked. */
static int enter(struct ptl_task **ret_task, const char *name, bool may_be_empty)
{
        int r = check_name(name, may_be_empty);

        return r ? r : ptl_task_begin(ret_task);
}

/* Asks, and takes a RESULT's outcome for its own. */
static int ask_result(struct ptl_task *task, struct ptl_request *request)
{
        int r = ptl_server_ask(task, request, PTL_NOW);

        ptl_close(request->answer_fd);
        if (r)
                return r == PTL_E_TIMEOUT ? PTL_E_NO_SERVER : r;
        return request->answer.type == PTL_SM_RESULT ? request->answer.result.outcome : PTL_E_MALFORMED;
}

/* --- publishing --- */

/* The low half is the port's name, so that a claim is found by one look; the rest cannot be guessed. */
static int make_ticket(struct ptl_receiver *receiver)
{
        PTL_NO_CANCEL;
        struct ptl_receiver_more *more = ptl_receiver_more(receiver);
        uint32_t secret;

        if (!more)
                return -ENOMEM;
        if (more->ticket)
                return 0;
        do {
                if (getrandom(&secret, sizeof secret, 0) != sizeof secret)
                        return -errno;
        } while (!secret);
        more->ticket = (uint64_t)secret << 32 | receiver->name;
        return 0;
}

static struct ptl_published **find_published(struct ptl_task *task, const char *name)
{
        struct ptl_published **at = &task->server.published;

        while (*at && strcmp((*at)->name, name))
                at = &(*at)->next;
        return at;
}

static int publish(struct ptl_task *task, const char *name, const struct ptl_sm_publish *body, int fd)
{
        struct ptl_request request = {.msg = {.type = PTL_SM_PUBLISH, .publish = *body}, .fd = fd};
        struct ptl_published *p;
        int r;

        if (*find_published(task, name))
                return PTL_E_EXISTS;
        p = calloc(1, sizeof *p);
        if (!p)
                return -ENOMEM;
        p->body = *body;
        p->fd = -EBADF;
        strcpy(p->name, name);
        if (fd >= 0) {
                p->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
                if (p->fd < 0) {
                        free(p);
                        return -errno;
                }
        }
        set_name(&request.msg, name);
        request.publishes = p;
        r = ask_result(task, &request);
        if (r) {
                ptl_close(p->fd);
                free(p);
                return r;
        }
        if (body->kind == PTL_SM_KIND_PORT && !ptl_receiver_anywhere(&task->space, (ptl_port)body->ticket)) {
                ptl_names_of_port_end(task, body->ticket); /* another thread freed it meanwhile */
                return PTL_E_NAME;
        }
        return 0;
}

int ptl_name_publish_locked(struct ptl_task *task, const char *name, ptl_port port)
{
        struct ptl_sm_publish body = {.kind = PTL_SM_KIND_PORT};
        struct ptl_receiver *receiver = ptl_receiver_of(&task->space, port);
        int r = make_ticket(receiver);

        if (r)
                return r;
        body.ticket = ptl_receiver_ticket(receiver);
        body.limit_messages = receiver->limit_messages;
        body.limit_bytes = ptl_receiver_entry(&task->space, receiver)->limit_bytes;
        return publish(task, name, &body, -EBADF);
}

int ptl_name_publish(const char *name, ptl_port port)
{
        struct ptl_task *task;
        struct ptl_entry *e;
        int r = enter(&task, name, false);

        if (r)
                return r;
        r = ptl_receiver_look(&task->space, port, &e);
        return ptl_task_end(task, r ? r : ptl_name_publish_locked(task, name, port));
}

int ptl_region_publish(const char *name, const struct ptl_region *region)
{
        struct ptl_sm_publish body = {.kind = PTL_SM_KIND_REGION};
        struct ptl_task *task;
        int r;

        if (!region)
                return PTL_E_INVALID;
        r = enter(&task, name, false);
        if (r)
                return r;
        if (!region->data || region->fd < 0 || region->frozen || region->foreign)
                return ptl_task_end(task, PTL_E_RIGHT);
        body.size = region->size;
        return ptl_task_end(task, publish(task, name, &body, region->fd));
}

int ptl_name_withdraw(const char *name)
{
        struct ptl_request request = {.msg = {.type = PTL_SM_WITHDRAW}, .fd = -EBADF};
        struct ptl_published **at, *p;
        struct ptl_receiver *receiver;
        struct ptl_task *task;
        ptl_port port;
        bool is_port;
        int r = enter(&task, name, false);

        if (r)
                return r;
        at = find_published(task, name);
        p = *at;
        if (!p)
                return ptl_task_end(task, PTL_E_NOT_FOUND);
        is_port = p->body.kind == PTL_SM_KIND_PORT;
        port = (ptl_port)p->body.ticket;
        *at = p->next; /* first: a server that comes back must not be told of it again */
        ptl_close(p->fd);
        free(p);
        set_name(&request.msg, name);
        r = ask_result(task, &request);
        receiver = is_port ? ptl_receiver_anywhere(&task->space, port) : NULL;
        if (receiver && receiver->more && receiver->more->no_senders) { /* the server held a send right */
                ptl_wait_catch_up(task); /* claims of what it gave out before are to be counted */
                ptl_senders_check(&task->space, receiver);
        }
        return ptl_task_end(task, r == PTL_E_NOT_FOUND ? 0 : r);
}

bool ptl_names_has_port(struct ptl_space *space, const struct ptl_receiver *receiver)
{
        const struct ptl_task *task = PTL_CONTAINER(space, struct ptl_task, space);

        for (const struct ptl_published *p = task->server.published; p; p = p->next)
                if (p->body.kind == PTL_SM_KIND_PORT && p->body.ticket == ptl_receiver_ticket(receiver))
                        return true;
        return false;
}

void ptl_names_port_dies(struct ptl_space *space, struct ptl_receiver *receiver)
{
        struct ptl_task *task = PTL_CONTAINER(space, struct ptl_task, space);

        ptl_names_watch_end(task, receiver->name);
        if (ptl_receiver_ticket(receiver))
                ptl_names_of_port_end(task, ptl_receiver_ticket(receiver));
}

void ptl_names_of_port_end(struct ptl_task *task, uint64_t ticket)
{
        struct ptl_published **at = &task->server.published;

        while (*at) {
                struct ptl_published *p = *at;
                struct ptl_server_msg msg = {.type = PTL_SM_WITHDRAW};

                if (p->body.ticket != ticket || p->body.kind != PTL_SM_KIND_PORT) {
                        at = &p->next;
                        continue;
                }
                *at = p->next;
                set_name(&msg, p->name);
                ptl_server_tell(task, &msg);
                ptl_close(p->fd);
                free(p);
        }
}

/* --- looking up --- */

static int found_own(struct ptl_task *task, const struct ptl_sm_found *found, ptl_port *ret_port)
{
        struct ptl_receiver *receiver = ptl_receiver_anywhere(&task->space, (ptl_port)found->ticket);
        struct ptl_entry *e;

        if (!receiver || ptl_receiver_ticket(receiver) != found->ticket)
                return PTL_E_NOT_FOUND;
        e = ptl_receiver_entry(&task->space, receiver);
        if (e->references == PTL_REFERENCES_MAX)
                return PTL_E_QUOTA;
        e->rights |= PTL_RIGHT_SEND;
        e->references++;
        e->made++;
        *ret_port = receiver->name;
        return 0;
}

/* The server thinks that we have met; if we have no link (any more), it introduces us again. */
static int introduce(struct ptl_task *task, struct ptl_task_id id, int *ret_socket, uint32_t *ret_server)
{
        struct ptl_request request = {.msg = {.type = PTL_SM_INTRODUCE, .task.id = id}, .fd = -EBADF};
        int r = ptl_server_ask(task, &request, PTL_NOW);

        if (r)
                return r;
        if (request.answer.type == PTL_SM_FOUND && request.answer_fd >= 0) {
                *ret_socket = request.answer_fd;
                *ret_server = request.server;
                return 0;
        }
        ptl_close(request.answer_fd);
        return request.answer.type == PTL_SM_RESULT && request.answer.result.outcome
                       ? request.answer.result.outcome
                       : PTL_E_MALFORMED;
}

/* @server: which one said so. */
static int link_to(struct ptl_task *task, const struct ptl_sm_found *found, int *fd, uint32_t server,
                   struct ptl_peer **ret_peer)
{
        /* A server that was restarted does not know that we have met: our link is as good as ever. */
        struct ptl_peer *peer = ptl_task_find_peer(task, found->owner.task);
        int r;

        if (peer) {
                if (*fd >= 0 && peer->relink.lost)
                        (void)ptl_relink_join(task, peer, fd, server); /* else it is asked for again */
                *ret_peer = peer;
                return 0;
        }
        if (*fd < 0) {
                r = found->link ? PTL_E_LOST : introduce(task, found->owner.task, fd, &server);
                if (r == PTL_E_LOST)
                        r = introduce(task, found->owner.task, fd, &server);
                if (r)
                        return r;
        }
        r = ptl_task_link(task, *fd, &found->owner, server, ret_peer);
        if (!r)
                (void)ptl_steal_fd(fd);
        return r;
}

static int found_port(struct ptl_task *task, struct ptl_request *request, ptl_port *ret_port)
{
        const struct ptl_sm_found *found = &request->answer.found;
        struct ptl_task_id me = task->identity.task;
        struct ptl_peer *peer;
        ptl_port name;
        int r;

        if (found->kind != PTL_SM_KIND_PORT)
                return PTL_E_RIGHT;
        if (found->owner.task.high == me.high && found->owner.task.low == me.low)
                return found_own(task, found, ret_port);
        r = link_to(task, found, &request->answer_fd, request->server, &peer);
        if (r)
                return r;
        name = ptl_held_claim(peer, found->ticket, found->limit_messages,
                              ptl_limit_units(found->limit_bytes));
        if (!name)
                return PTL_E_QUOTA;
        ptl_control_flush(peer);
        *ret_port = name;
        return 0;
}

/* Asks for a name; the answer is a FOUND. */
static int look_up(struct ptl_task *task, const char *name, struct ptl_request *request,
                   ptl_time deadline)
{
        int r;

        *request = (struct ptl_request){.msg = {.type = PTL_SM_LOOK_UP}, .fd = -EBADF};
        request->msg.look_up.wait = deadline != PTL_NOW;
        set_name(&request->msg, name);
        r = ptl_server_ask(task, request, deadline);
        if (r == PTL_E_TIMEOUT && deadline == PTL_NOW)
                return PTL_E_NO_SERVER;
        if (r)
                return r;
        if (request->answer.type == PTL_SM_FOUND)
                return 0;
        ptl_close(request->answer_fd);
        return request->answer.type == PTL_SM_RESULT && request->answer.result.outcome
                       ? request->answer.result.outcome
                       : PTL_E_MALFORMED;
}

int ptl_name_look_up(const char *name, ptl_port *ret_port, ptl_time deadline)
{
        struct ptl_request request;
        struct ptl_task *task;
        int r;

        if (!ret_port)
                return PTL_E_INVALID;
        r = enter(&task, name, false);
        if (r)
                return r;
        r = look_up(task, name, &request, deadline);
        if (!r) {
                r = found_port(task, &request, ret_port);
                ptl_close(request.answer_fd);
        }
        return ptl_task_end(task, r);
}

int ptl_region_look_up(const char *name, struct ptl_region **ret_region, ptl_time deadline)
{
        struct ptl_request request;
        struct ptl_task *task;
        void *data = NULL;
        int r;

        if (!ret_region)
                return PTL_E_INVALID;
        r = enter(&task, name, false);
        if (r)
                return r;
        r = look_up(task, name, &request, deadline);
        if (r)
                return ptl_task_end(task, r);
        if (request.answer.found.kind != PTL_SM_KIND_REGION)
                r = PTL_E_RIGHT;
        else if (request.answer_fd < 0)
                r = PTL_E_LOST;
        else
                r = ptl_memory_attach(request.answer_fd, request.answer.found.size, false, &data);
        if (!r) {
                r = ptl_region_wrap(request.answer_fd, data, request.answer.found.size, ret_region);
                if (r)
                        ptl_memory_unmap(data, request.answer.found.size);
        }
        if (r)
                ptl_close(request.answer_fd);
        else
                (*ret_region)->foreign = true;
        return ptl_task_end(task, r);
}

/* --- watching --- */

static struct ptl_watch **find_watch(struct ptl_task *task, ptl_port notify)
{
        struct ptl_watch **at = &task->server.watches;

        while (*at && (*at)->notify != notify)
                at = &(*at)->next;
        return at;
}

static int unwatch(struct ptl_task *task, ptl_port notify)
{
        struct ptl_watch **at = find_watch(task, notify), *w = *at;
        struct ptl_request request = {.msg = {.type = PTL_SM_UNWATCH}, .fd = -EBADF};
        int r;

        if (!w)
                return 0;
        *at = w->next;
        request.msg.watch.cookie = w->cookie;
        free(w);
        r = ask_result(task, &request);
        return r == PTL_E_NOT_FOUND ? 0 : r;
}

void ptl_names_watch_end(struct ptl_task *task, ptl_port notify)
{
        struct ptl_watch **at = find_watch(task, notify), *w = *at;
        struct ptl_server_msg msg = {.type = PTL_SM_UNWATCH};

        if (!w)
                return;
        *at = w->next;
        msg.watch.cookie = w->cookie;
        ptl_server_tell(task, &msg);
        free(w);
}

int ptl_name_watch(const char *prefix, ptl_port notify)
{
        struct ptl_request request = {.msg = {.type = PTL_SM_WATCH}, .fd = -EBADF};
        static uint64_t cookies;
        struct ptl_task *task;
        struct ptl_entry *e;
        struct ptl_watch *w;
        int r = enter(&task, prefix ? prefix : "", true);

        if (r)
                return r;
        r = ptl_receiver_look(&task->space, notify, &e);
        if (!r)
                r = unwatch(task, notify);
        if (r || !prefix)
                return ptl_task_end(task, r);
        w = calloc(1, sizeof *w);
        if (!w)
                return ptl_task_end(task, -ENOMEM);
        w->cookie = ++cookies;
        w->notify = notify;
        strcpy(w->prefix, prefix);
        w->next = task->server.watches; /* before asking: events may overtake the result */
        task->server.watches = w;
        request.msg.watch.cookie = w->cookie;
        set_name(&request.msg, prefix);
        r = ask_result(task, &request);
        if (r) {
                struct ptl_watch **at = find_watch(task, notify);

                if (*at == w) {
                        *at = w->next;
                        free(w);
                }
        }
        return ptl_task_end(task, r);
}
