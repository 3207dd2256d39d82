/* SPDX-License-Identifier: Apache-2.0 */
/* task/server.c - see server.h */
#define _GNU_SOURCE
#include "task/server.h"
#include "base/cancel.h"
#include "link/server_path.h"
#include "link/socket.h"
#include "task/relink.h"
#include "task/spawn.h"
#include "task/task.h"
#include "task/watched.h"
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
        RETRY_MS = 5,
        STARTS = 5, /* one may end because another server was there, which then went */
        LATER_MS = 1000,         /* while names are published and there is no server */
        START_PATIENCE_MS = 5000, /* for a server that we started, until it answers */
        ANSWER_PATIENCE_MS = 10000,
};

void ptl_server_init(struct ptl_server *server)
{
        *server = (struct ptl_server){
                .socket = -EBADF, .passport = -EBADF, .starter = -EBADF, .retry_at = PTL_FOREVER};
}

ptl_time ptl_server_due(const struct ptl_task *task)
{
        const struct ptl_server *s = &task->server;

        if (s->state == PTL_SERVER_CONNECTING)
                return s->retry_at;
        return PTL_UNLIKELY(s->lost_links) && s->state == PTL_SERVER_READY ? ptl_relink_due(task) : PTL_FOREVER;
}

/* --- requests --- */

static void finish(struct ptl_task *task, struct ptl_request *request, int outcome)
{
        struct ptl_request **at = &task->server.requests;

        while (*at && *at != request)
                at = &(*at)->next;
        if (*at)
                *at = request->next;
        request->done = true;
        request->outcome = outcome;
        ptl_wait_signal_kind(task, PTL_WAITS_ANSWER);
}

static void finish_all(struct ptl_task *task, int outcome)
{
        while (task->server.requests)
                finish(task, task->server.requests, outcome);
}

static int send_message(struct ptl_server *server, const struct ptl_server_msg *msg, int fd)
{
        char packet[PTL_SERVER_PACKET_MAX];
        size_t size = ptl_server_msg_encode(msg, packet);

        return ptl_socket_send(server->socket, packet, size, &fd, fd >= 0);
}

static uint32_t next_serial(struct ptl_server *server)
{
        if (++server->serial == 0)
                server->serial = 1;
        return server->serial;
}

static void send_request(struct ptl_task *task, struct ptl_request *request)
{
        int r;

        request->msg.serial = next_serial(&task->server);
        r = send_message(&task->server, &request->msg, request->fd);
        request->sent = r == 0;
        if (r && r != -EAGAIN && r != -EPIPE && r != -ECONNRESET)
                finish(task, request, r);
}

static void send_unsent(struct ptl_task *task)
{
        struct ptl_request *next;

        for (struct ptl_request *r = task->server.requests; r; r = next) {
                next = r->next;
                if (!r->sent)
                        send_request(task, r);
        }
}

/* --- connecting --- */

static void disconnect(struct ptl_task *task)
{
        struct ptl_server *s = &task->server;

        if (s->socket < 0)
                return;
        ptl_wait_unwatch(task, NULL);
        s->socket = ptl_close(s->socket);
}

static void retry_in(struct ptl_task *task, int ms)
{
        task->server.state = PTL_SERVER_CONNECTING;
        task->server.retry_at = ptl_after_ms(ms);
        ptl_wait_rethink(task); /* a leader that sleeps knows nothing of this time */
}

/* Another attempt to connect: what was started in the last one is no concern of this. */
static void forget_starts(struct ptl_server *s)
{
        s->starter = ptl_close(s->starter);
        s->starts = 0;
}

/* Names are to be back when a server is: whoever has published goes on looking for one. Who has lost a link
 * does, too. */
static bool is_needed(const struct ptl_server *s) { return s->published || s->watches || s->lost_links; }

static void give_up(struct ptl_task *task, int outcome)
{
        struct ptl_server *s = &task->server;

        disconnect(task);
        s->state = PTL_SERVER_OFF;
        forget_starts(s);
        finish_all(task, outcome);
        if (is_needed(s))
                retry_in(task, LATER_MS);
}

/* Is it run by root or by us? Others could read and forge whatever goes through it. */
static int check_owner(int sock)
{
        struct ucred cred;
        socklen_t size = sizeof cred;

        if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
                return -errno;
        return cred.uid == 0 || cred.uid == geteuid() ? 0 : PTL_E_REFUSED;
}

static int open_socket(const char *path, int *ret_socket)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        ptl_cleanup(ptl_closep) int fd =
                socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int r;

        if (fd < 0)
                return -errno;
        memcpy(address.sun_path, path, strnlen(path, sizeof address.sun_path - 1));
        if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
                return -errno;
        r = check_owner(fd);
        if (!r)
                *ret_socket = ptl_steal_fd(&fd);
        return r;
}

/* Is to look all that is asked for? Then a server that is full of tasks lets us in, too. */
static bool only_looks(const struct ptl_server *s)
{
        for (const struct ptl_request *r = s->requests; r; r = r->next)
                if (r->msg.type != PTL_SM_LIST && r->msg.type != PTL_SM_STATUS &&
                    r->msg.type != PTL_SM_INSPECT && r->msg.type != PTL_SM_TRACE)
                        return false;
        return s->requests && !s->published && !s->watches;
}

static int greet(struct ptl_task *task)
{
        struct ptl_server_msg hello = {
                .type = PTL_SM_HELLO,
                .hello = {.protocol = PTL_SERVER_PROTOCOL,
                          .features = only_looks(&task->server) ? PTL_SM_LOOKS : 0}};

        strncpy(hello.hello.command, program_invocation_short_name, sizeof hello.hello.command - 1);
        return send_message(&task->server, &hello, task->server.passport);
}

/* Nobody listens: start one, once, unless it is the system's. */
static int start_one(struct ptl_server *s, enum ptl_server_kind kind)
{
        int r;

        if (kind == PTL_SERVER_SYSTEM)
                return PTL_E_NO_SERVER;
        if (s->starts && !ptl_spawn_failed(&s->starter))
                return 0; /* it is on its way */
        if (s->starts == STARTS) /* each ended, and yet nobody listens */
                return PTL_E_NO_SERVER;
        r = ptl_server_directory_make(s->path);
        if (r)
                return r == -ENOENT || r == -ENOTDIR ? PTL_E_NO_SERVER : r;
        s->starts++;
        return ptl_spawn_server(s->path, &s->starter);
}

static void connect_now(struct ptl_task *task)
{
        PTL_NO_CANCEL;
        struct ptl_server *s = &task->server;
        enum ptl_server_kind kind;
        int r = ptl_server_path(s->path, &kind);

        if (!r)
                r = open_socket(s->path, &s->socket);
        if (r == -ENOENT || r == -ECONNREFUSED || r == -EAGAIN) {
                r = r == -EAGAIN ? 0 : start_one(s, kind); /* EAGAIN: its backlog is full */
                if (!r && ptl_now() < s->give_up_at)
                        retry_in(task, RETRY_MS);
                else
                        give_up(task, r ? r : PTL_E_NO_SERVER);
                return;
        }
        if (!r)
                r = ptl_wait_watch(task, NULL);
        if (!r)
                r = greet(task);
        if (r == -EPIPE || r == -ECONNRESET) {
                disconnect(task);
                retry_in(task, RETRY_MS);
        } else if (r) {
                give_up(task, r == -EACCES || r == -EPERM ? PTL_E_REFUSED : r);
        } else {
                s->state = PTL_SERVER_GREETING;
        }
}

static void begin(struct ptl_task *task)
{
        struct ptl_server *s = &task->server;

        s->state = PTL_SERVER_CONNECTING;
        s->give_up_at = ptl_after_ms(START_PATIENCE_MS);
        forget_starts(s);
        connect_now(task);
}

bool ptl_server_is_ready(struct ptl_task *task)
{
        if (task->server.state == PTL_SERVER_OFF)
                begin(task);
        return task->server.state == PTL_SERVER_READY;
}

void ptl_server_step(struct ptl_task *task)
{
        struct ptl_server *s = &task->server;

        if (s->state == PTL_SERVER_READY)
                ptl_relink_step(task);
        if (s->state == PTL_SERVER_CONNECTING && ptl_now() >= s->retry_at) {
                if (s->give_up_at < ptl_now()) { /* a new try, after a while without a server */
                        s->give_up_at = ptl_after_ms(START_PATIENCE_MS);
                        forget_starts(s);
                }
                connect_now(task);
        }
}

/* Requests that were on their way are asked again; look-ups and publications may be repeated. */
static void lost(struct ptl_task *task)
{
        struct ptl_server *s = &task->server;

        disconnect(task);
        ptl_relink_restart(task);
        for (struct ptl_request *r = s->requests; r; r = r->next) {
                r->sent = false;
                if (r->item)
                        (void)!r->item(r, NULL, NULL); /* what was listed is listed again */
        }
        if (s->state == PTL_SERVER_GREETING && ptl_now() < s->give_up_at) {
                forget_starts(s); /* it left just as we came */
                retry_in(task, RETRY_MS);
        } else if (s->state == PTL_SERVER_GREETING) {
                give_up(task, PTL_E_NO_SERVER);
        } else if (is_needed(s) || s->requests) {
                begin(task);
        } else {
                s->state = PTL_SERVER_OFF;
        }
}

/* --- what the server says --- */

static int tell_name(struct ptl_server *s, struct ptl_published *p)
{
        struct ptl_server_msg msg = {.type = PTL_SM_PUBLISH, .publish = p->body};

        msg.serial = p->serial = next_serial(s);
        msg.name_size = strlen(p->name);
        memcpy(msg.name, p->name, msg.name_size + 1);
        return send_message(s, &msg, p->fd);
}

static int tell_watch(struct ptl_server *s, const struct ptl_watch *w)
{
        struct ptl_server_msg msg = {.type = PTL_SM_WATCH, .watch.cookie = w->cookie};

        msg.serial = next_serial(s);
        msg.name_size = strlen(w->prefix);
        memcpy(msg.name, w->prefix, msg.name_size + 1);
        return send_message(s, &msg, -1);
}

/* As many as the socket takes; the others when the server has answered to some. */
static void tell_rest(struct ptl_server *s)
{
        if (PTL_LIKELY(!s->untold))
                return;
        for (struct ptl_published *p = s->published; p; p = p->next) {
                if (p->untold && tell_name(s, p) == -EAGAIN)
                        return;
                p->untold = false;
        }
        for (struct ptl_watch *w = s->watches; w; w = w->next) {
                if (w->untold && tell_watch(s, w) == -EAGAIN)
                        return;
                w->untold = false;
        }
        s->untold = false;
}

/* The end of them, for a server that knows from the one before what this task had then. Behind the requests
 * that were on their way: a name that one of them publishes is not to go and come again. */
static void tell_end(struct ptl_server *s)
{
        struct ptl_server_msg msg = {.type = PTL_SM_ASSERTED};

        if (PTL_LIKELY(!s->recalled) || s->untold)
                return;
        for (const struct ptl_request *r = s->requests; r; r = r->next)
                if (!r->sent)
                        return;
        msg.serial = next_serial(s);
        s->recalled = send_message(s, &msg, -1) == -EAGAIN;
}

/* A server that has just come knows nothing of what this task has published and watches. */
static void assert_names(struct ptl_server *s)
{
        for (struct ptl_published *p = s->published; p; p = p->next)
                p->untold = true;
        for (struct ptl_watch *w = s->watches; w; w = w->next)
                w->untold = true;
        s->untold = true;
        tell_rest(s);
}

static void welcome(struct ptl_task *task, const struct ptl_sm_welcome *w, int *passport)
{
        struct ptl_server *s = &task->server;
        bool again = task->identity.task.high || task->identity.task.low;

        if (s->state != PTL_SERVER_GREETING)
                return;
        if (w->protocol != PTL_SERVER_PROTOCOL) {
                give_up(task, PTL_E_VERSION);
                return;
        }
        s->state = PTL_SERVER_READY;
        s->welcomes++;
        forget_starts(s);
        s->identity = w->server;
        task->identity = w->you;
        ptl_close(s->passport);
        s->passport = ptl_steal_fd(passport);
        ptl_board_lodge(task);
        s->recalled = w->features & PTL_SM_RECALLED;
        if (again || s->published)
                assert_names(s);
        send_unsent(task);
        tell_end(s);
        ptl_relink_step(task);
}

static void introduced(struct ptl_task *task, const struct ptl_identity *peer, int *fd)
{
        struct ptl_peer *made;

        /* Always a link of its own, though one may be lost: of sockets that two lost links took from each
         * other's questions each side could drop the other's for ever (models/relink.pml). */
        if (*fd >= 0 && !ptl_quota_admit(&task->space, peer) &&
            ptl_task_link(task, *fd, peer, task->server.welcomes, &made) == 0)
                (void)ptl_steal_fd(fd); /* else it is closed: the peer learns that we are gone */
}

static void named(struct ptl_task *task, const struct ptl_server_msg *msg)
{
        uint32_t kind = msg->type == PTL_SM_NAME_ADDED ? PTL_NOTIFY_NAME_ADDED
                                                       : PTL_NOTIFY_NAME_REMOVED;

        for (struct ptl_watch *w = task->server.watches; w; w = w->next)
                if (w->cookie == msg->watch.cookie)
                        ptl_notify(&task->space, w->notify, kind, 0, msg->name);
}

/* The server saw the process end; its socket may be held open by a child that knows nothing of us. */
static void died(struct ptl_task *task, struct ptl_task_id id)
{
        struct ptl_peer *peer;

        while ((peer = ptl_task_find_peer(task, id))) {
                peer->known_dead = true;
                ptl_task_unlink(task, peer);
        }
}

/* Before anything else is read: the next packet may be the end of this server. */
static void keep(struct ptl_server *s, struct ptl_published *p)
{
        p->next = s->published;
        s->published = p;
}

static void answer(struct ptl_task *task, const struct ptl_server_msg *msg, int *fd)
{
        for (struct ptl_request *r = task->server.requests; r; r = r->next) {
                if (!r->sent || r->msg.serial != msg->serial)
                        continue;
                if (msg->type == PTL_SM_ITEM) {
                        int e = r->item ? r->item(r, &msg->item, msg->name) : PTL_E_MALFORMED;

                        if (e)
                                finish(task, r, e);
                        return;
                }
                if (r->publishes && msg->type == PTL_SM_RESULT && !msg->result.outcome)
                        keep(&task->server, r->publishes);
                r->answer = *msg;
                r->answer_fd = ptl_steal_fd(fd);
                r->server = task->server.welcomes;
                finish(task, r, 0);
                return;
        }
        ptl_relink_answer(task, msg, fd);
}

static void take_packet(struct ptl_task *task, const struct ptl_server_msg *msg, int *fd)
{
        switch (msg->type) {
        case PTL_SM_WELCOME:
                welcome(task, &msg->welcome, fd);
                break;
        case PTL_SM_INTRODUCTION:
                introduced(task, &msg->introduction.peer, fd);
                break;
        case PTL_SM_NAME_ADDED:
        case PTL_SM_NAME_REMOVED:
                named(task, msg);
                break;
        case PTL_SM_TASK_DEAD:
                died(task, msg->task.id);
                break;
        case PTL_SM_WATCHED:
                ptl_watched_begin(task, fd);
                break;
        case PTL_SM_RESULT:
                if (task->server.state == PTL_SERVER_GREETING) {
                        give_up(task, msg->result.outcome ? msg->result.outcome : PTL_E_MALFORMED);
                        break;
                }
                answer(task, msg, fd);
                break;
        case PTL_SM_FOUND:
        case PTL_SM_ITEM:
        case PTL_SM_STATUS_REPLY:
        case PTL_SM_VIEW:
        case PTL_SM_TRACING:
                answer(task, msg, fd);
                break;
        case PTL_SM_HELLO:
        case PTL_SM_PUBLISH:
        case PTL_SM_WITHDRAW:
        case PTL_SM_LOOK_UP:
        case PTL_SM_CANCEL:
        case PTL_SM_INTRODUCE:
        case PTL_SM_WATCH:
        case PTL_SM_UNWATCH:
        case PTL_SM_LIST:
        case PTL_SM_STATUS:
        case PTL_SM_LODGE:
        case PTL_SM_INSPECT:
        case PTL_SM_TRACE:
        case PTL_SM_ASSERTED:
                break; /* a server does not say these; nothing of ours depends on it */
        }
}

void ptl_server_input(struct ptl_task *task)
{
        struct ptl_server *s = &task->server;

        while (s->socket >= 0) {
                char packet[PTL_SERVER_PACKET_MAX];
                struct ptl_server_msg msg;
                size_t size = 0, n_fds = 0;
                int fd = -EBADF;
                int r = ptl_socket_receive(s->socket, packet, sizeof packet, &size, &fd, 1, &n_fds);

                if (r == -EAGAIN) {
                        if (s->state == PTL_SERVER_READY) { /* what found its queue full */
                                tell_rest(s);
                                send_unsent(task);
                                tell_end(s);
                        }
                        return;
                }
                if (r == -ECONNRESET || (!r && size == 0)) {
                        lost(task);
                        return;
                }
                if ((!r || r == PTL_E_LOST) && ptl_server_msg_decode(packet, size, &msg) == 0)
                        take_packet(task, &msg, &fd);
                ptl_close(fd);
        }
}

/* --- asking --- */

uint32_t ptl_server_tell_with(struct ptl_task *task, struct ptl_server_msg *msg, int fd)
{
        if (task->server.state != PTL_SERVER_READY)
                return 0;
        msg->serial = next_serial(&task->server);
        return send_message(&task->server, msg, fd) ? 0 : msg->serial;
}

uint32_t ptl_server_tell(struct ptl_task *task, struct ptl_server_msg *msg)
{
        return ptl_server_tell_with(task, msg, -EBADF);
}

static bool answered(struct ptl_task *task, struct ptl_waiter *waiter)
{
        (void)task;
        return ((const struct ptl_request *)waiter->arg)->done;
}

int ptl_server_ask(struct ptl_task *task, struct ptl_request *request, ptl_time deadline)
{
        struct ptl_server *s = &task->server;
        struct ptl_waiter waiter = {.kind = PTL_WAITS_ANSWER, .check = answered, .arg = request};
        ptl_time patience = deadline == PTL_NOW ? ptl_after_ms(ANSWER_PATIENCE_MS) : deadline;

        request->answer_fd = -EBADF;
        request->next = s->requests;
        s->requests = request;
        if (s->state == PTL_SERVER_READY)
                send_request(task, request);
        else if (s->state == PTL_SERVER_OFF)
                begin(task);
        if (!request->done && ptl_wait_for(task, &waiter, patience)) {
                finish(task, request, PTL_E_TIMEOUT);
                if (request->msg.type == PTL_SM_LOOK_UP && request->sent) {
                        struct ptl_server_msg cancel = {.type = PTL_SM_CANCEL,
                                                        .serial = next_serial(s),
                                                        .cancel.serial = request->msg.serial};

                        if (s->state == PTL_SERVER_READY)
                                (void)!send_message(s, &cancel, -1);
                }
        }
        ptl_board_event(task);
        return request->outcome;
}

void ptl_server_fini(struct ptl_task *task, bool forked)
{
        struct ptl_server *s = &task->server;

        if (!forked)
                disconnect(task);
        s->socket = ptl_close(s->socket);
        ptl_board_drop(task, forked);
        while (s->published) {
                struct ptl_published *p = s->published;

                s->published = p->next;
                ptl_close(p->fd);
                free(p);
        }
        while (s->watches) {
                struct ptl_watch *w = s->watches;

                s->watches = w->next;
                free(w);
        }
        s->starter = ptl_close(s->starter);
        s->passport = ptl_close(s->passport);
        ptl_server_init(s);
}
