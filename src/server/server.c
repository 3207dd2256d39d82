/* SPDX-License-Identifier: Apache-2.0 */
/* server/server.c - the loop: accepting, timers, leaving */
#define _GNU_SOURCE
#include "server/server.h"
#include "server/client.h"
#include "server/identity.h"
#include "server/reserve.h"
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>

enum {
        ROUND_EVENTS = 256,
        ACCEPT_PAUSE_MS = 100,
        LEAVE_PAUSE_MS = 100,
        LOCK_TRIES = 1000,
};

int server_source_add(struct server *server, int fd, uint32_t events, struct source *source)
{
        struct epoll_event event = {.events = events, .data.ptr = source};

        return epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Neither of these can fail: the descriptor is in the set, and MOD and DEL allocate nothing. */
void server_source_change(struct server *server, int fd, uint32_t events, struct source *source)
{
        struct epoll_event event = {.events = events, .data.ptr = source};

        (void)epoll_ctl(server->epoll, EPOLL_CTL_MOD, fd, &event);
}

void server_source_remove(struct server *server, int fd)
{
        (void)epoll_ctl(server->epoll, EPOLL_CTL_DEL, fd, NULL);
}

/* No descriptors, no memory: leave those who knock in the backlog for a while. The listener stays
 * readable meanwhile, so it is not waited for. */
static void pause_accepting(struct server *server)
{
        server->accept_at = ptl_after_ms(ACCEPT_PAUSE_MS);
        server_source_change(server, server->listener.socket, 0, &server->listener_source);
}

static void resume_accepting(struct server *server)
{
        server->accept_at = PTL_NOW;
        server_source_change(server, server->listener.socket, EPOLLIN, &server->listener_source);
}

/* The one that has been silent the longest makes way, so silence cannot lock others out. It is heard first:
 * where many come at once, as after a restart, it has spoken and nobody had time for it. False: all have
 * spoken. */
static bool dismiss_oldest(struct server *server)
{
        struct client *oldest = list_first(&server->greeting, struct client, in_state);

        if (!oldest)
                return false;
        client_hear(oldest);
        if (oldest->state == CLIENT_GREETING)
                client_expel(oldest);
        client_bury_doomed(server);
        return true;
}

static bool is_shortage(int r) { return r == -EMFILE || r == -ENFILE; }

/* Whoever knocks next may be one that only looks, to see who has the descriptors. */
static bool make_room_to_accept(struct server *server)
{
        return reserve_open(server) || dismiss_oldest(server);
}

static int accept_next(struct server *server)
{
        int fd = listener_accept(&server->listener);

        if (is_shortage(fd) && make_room_to_accept(server))
                fd = listener_accept(&server->listener);
        return fd;
}

static int take_in(struct server *server, int fd)
{
        int r = client_new(server, fd);

        if (is_shortage(r) && make_room_to_accept(server))
                r = client_new(server, fd);
        return r;
}

/* Return: 0, -EAGAIN (nobody knocks), -errno (of the environment). */
static int accept_one(struct server *server)
{
        int fd = accept_next(server), r;

        if (fd < 0)
                return fd == -ECONNABORTED || fd == -EINTR ? 0 : fd;
        if (server->n_clients - server->n_tasks >= QUOTA_GREETINGS)
                (void)dismiss_oldest(server);
        r = take_in(server, fd);
        if (r)
                ptl_close(fd);
        return r == -ENOMEM || is_shortage(r) || r == -ENOSPC ? r : 0;
}

static void run_listener(struct source *source, uint32_t events)
{
        struct server *server = PTL_CONTAINER(source, struct server, listener_source);
        int n = 0, r;

        (void)events;
        /* Without a descriptor accept() does not say that nobody knocks: then one an event, which does. */
        do
                r = accept_one(server);
        while (r == 0 && !server->is_short && ++n < QUOTA_ROUND_ACCEPTS);
        if (r && r != -EAGAIN)
                pause_accepting(server);
}

static void run_signal(struct source *source, uint32_t events)
{
        (void)events;
        PTL_CONTAINER(source, struct server, signal_source)->is_leaving = true;
}

static int open_signals(void)
{
        sigset_t set;
        int fd;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        sigprocmask(SIG_BLOCK, &set, NULL);
        fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        return fd < 0 ? -errno : fd;
}

static void init_lists(struct server *server)
{
        struct list *lists[] = {&server->greeting, &server->doomed, &server->buried,
                                &server->stalled, &server->watches};

        for (size_t i = 0; i < PTL_ARRAY_LEN(lists); i++)
                list_init(lists[i]);
        roll_init(&server->tasks);
        roll_init(&server->published);
        roll_init(&server->introduced);
}

static int init_maps(struct server *server)
{
        int r = map_init(&server->tasks_by_id);

        if (r == 0)
                r = map_init(&server->tasks_by_pid);
        if (r == 0)
                r = map_init(&server->names);
        return r ? r : map_init(&server->introductions);
}

static int init_sources(struct server *server, int listening)
{
        int r;

        server->epoll = epoll_create1(EPOLL_CLOEXEC);
        if (server->epoll < 0)
                return -errno;
        server->signals = open_signals();
        if (server->signals < 0)
                return server->signals;
        r = server_source_add(server, server->signals, EPOLLIN, &server->signal_source);
        if (r == 0)
                r = server_source_add(server, listening, EPOLLIN, &server->listener_source);
        if (r == 0)
                reserve_init(server);
        return r;
}

int server_init(struct server *server, struct listener *listener, struct store *store)
{
        int r;

        *server = (struct server){.quota = quota_read(),
                                  .identity = identity_of_self(),
                                  .started_at = ptl_now(),
                                  .epoll = -EBADF,
                                  .signals = -EBADF,
                                  .reserve = {[0 ... QUOTA_RESERVE - 1] = -EBADF},
                                  .listener.socket = -EBADF,
                                  .journal.fd = -EBADF,
                                  .store = store,
                                  .listener_source.run = run_listener,
                                  .signal_source.run = run_signal};
        init_lists(server);
        r = init_maps(server);
        if (r == 0)
                r = init_sources(server, listener->socket);
        if (r) {
                server_fini(server);
                return r;
        }
        server->listener = *listener;
        listener->socket = -EBADF;
        return 0;
}

static void doom_all(struct server *server)
{
        struct roll_entry marker, *entry;
        struct client *c;

        while ((c = list_first(&server->greeting, struct client, in_state)))
                client_doom(c);
        roll_mark_start(&server->tasks, &marker);
        while ((entry = roll_advance(&server->tasks, &marker)))
                client_doom(PTL_CONTAINER(entry, struct client, in_tasks));
        list_remove(&marker.link);
}

void server_forget_all(struct server *server)
{
        doom_all(server);
        client_bury_doomed(server);
        client_free_buried(server);
}

void server_fini(struct server *server)
{
        journal_close(&server->journal); /* a successor is to find it as it is */
        server_forget_all(server);
        map_fini(&server->tasks_by_id);
        map_fini(&server->tasks_by_pid);
        map_fini(&server->names);
        map_fini(&server->introductions);
        server->listener.socket = ptl_close(server->listener.socket);
        reserve_fini(server);
        server->signals = ptl_close(server->signals);
        server->epoll = ptl_close(server->epoll);
}

/*
 * Nobody has been connected for long enough: leave, but lose nobody who is just knocking. Under the
 * lock nobody can open a socket in our place; who is in the backlog now is let in and we stay; who
 * comes between this look and the removal finds the connection closed before WELCOME, and starts a
 * server, as it does for one that is refused.
 */
static void try_to_leave(struct server *server)
{
        ptl_cleanup(ptl_closep) int held = -EBADF;

        /* Not now: somebody is about to start a server and will find us, or knocks already. */
        server->leave_at = ptl_after_ms(LEAVE_PAUSE_MS);
        if (listener_lock(&server->listener, &held) == -EWOULDBLOCK ||
            accept_one(server) != -EAGAIN)
                return;
        listener_withdraw(&server->listener);
        server->listener.socket = ptl_close(server->listener.socket);
        server->is_leaving = true;
}

/* Told to leave: wait for those who open or leave a socket here, but not for ever. */
static void leave(struct server *server)
{
        ptl_cleanup(ptl_closep) int held = -EBADF;

        if (server->listener.socket < 0)
                return; /* it is gone */
        for (int i = 0; i < LOCK_TRIES; i++) {
                if (listener_lock(&server->listener, &held) != -EWOULDBLOCK)
                        break;
                nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
        }
        listener_withdraw(&server->listener);
        server->listener.socket = ptl_close(server->listener.socket);
}

static bool is_idle(const struct server *server)
{
        bool keeps = server->store->n_kept > (server->journal.base != NULL); /* beside the journal */

        return server->idle_exit_ns && server->n_clients == 0 && !keeps;
}

static void run_timers(struct server *server)
{
        ptl_time now = ptl_now();

        if (server->accept_at != PTL_NOW && now >= server->accept_at)
                resume_accepting(server);
        if (!list_is_empty(&server->stalled) && now >= server->retry_at)
                client_retry_stalled(server);
        if (now >= server->store->retry_at)
                store_retry(server->store);
        if (is_idle(server) && now >= server->leave_at)
                try_to_leave(server);
}

/* Until the next of the timers, in milliseconds, rounded up; -1 if none runs. */
static int time_to_wait(const struct server *server)
{
        ptl_time next = PTL_FOREVER, now = ptl_now();

        if (server->accept_at != PTL_NOW)
                next = server->accept_at;
        if (!list_is_empty(&server->stalled) && server->retry_at < next)
                next = server->retry_at;
        if (server->store->retry_at < next)
                next = server->store->retry_at;
        if (is_idle(server) && server->leave_at < next)
                next = server->leave_at;
        if (next == PTL_FOREVER)
                return -1;
        if (next <= now)
                return 0;
        next = (next - now + 999999) / 1000000;
        return next > INT32_MAX ? INT32_MAX : (int)next;
}

static int round_of_events(struct server *server)
{
        struct epoll_event events[ROUND_EVENTS];
        int n = epoll_wait(server->epoll, events, ROUND_EVENTS, time_to_wait(server));

        if (n < 0)
                return errno == EINTR ? 0 : -errno;
        for (int i = 0; i < n; i++) {
                struct source *source = events[i].data.ptr;

                source->run(source, events[i].events);
                client_bury_doomed(server);
        }
        client_free_buried(server); /* only now: an event of this round may have pointed there */
        run_timers(server);
        client_bury_doomed(server);
        client_free_buried(server);
        reserve_fill(server);
        return 0;
}

int server_run(struct server *server, ptl_time idle_exit_ns)
{
        int r = 0;

        server->idle_exit_ns = idle_exit_ns;
        server->leave_at = ptl_now() + idle_exit_ns;
        while (!server->is_leaving && r == 0)
                r = round_of_events(server);
        leave(server);
        return r;
}
