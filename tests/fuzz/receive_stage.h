/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/receive_stage.h - a task with two links in one process: an honest one and a hostile one
 *
 * The far sides of both are made by hand in this process. The task is the shipped library without a
 * name server: ptl_task_link() is told of each link as the server's introduction would tell it.
 * Nothing waits: every call has a deadline that has passed.
 */
#pragma once
#include "base/cancel.h"
#include "base/cleanup.h"
#include "link/socket.h"
#include "task/task.h"
#include "wire/link_msg.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MUST(condition)                                                                            \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        fprintf(stderr, "# %s:%d: %s\n", __FILE__, __LINE__, #condition);          \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

enum {
        RIGHT = 1 | PTL_RIGHT_CLAIMED, /* what each side claims first */
        SEEN_MAX = 16,
        WINDOW = 8, /* messages: of the task's ports and of the hostile side's */
};

/* The far side of a link. */
struct side {
        int socket, outbox, bell, peer_bell;
        struct ptl_outbox mine, peer;
        struct ptl_ring_writer tx;
        struct ptl_ring_reader rx;
        struct ptl_peer *link; /* the task's; not to be looked at when the link has ended */
        uint32_t reply;        /* the last number given for a reply */
        uint64_t tickets;      /* of descriptors that were sent */
        uint32_t seen[SEEN_MAX], n_seen; /* numbers that the task wrote: they are granted */
};

static struct stage {
        struct ptl_task *task;
        ptl_port calm;         /* the honest side's port */
        ptl_port main, second; /* the hostile side's ports */
        ptl_port unpublished;  /* nobody else's: it has no ticket */
        ptl_port hers;         /* the task's right to a port of the hostile side */
        struct side honest, hostile;
} stage;

static inline uint64_t ticket_of(ptl_port port) { return (uint64_t)0x7ea5e77e << 32 | port; }

/* A port whose ticket is known, as if the name server had it. */
static inline ptl_port new_port(void)
{
        struct ptl_port_options limits = {.limit_messages = WINDOW};
        struct ptl_receiver_more *more;
        ptl_port port = PTL_NULL;

        MUST(ptl_port_new(&port, &limits) == 0);
        ptl_lock(&stage.task->space.lock);
        more = ptl_receiver_more(ptl_receiver_of(&stage.task->space, port));
        MUST(more);
        more->ticket = ticket_of(port);
        ptl_unlock(&stage.task->space.lock);
        return port;
}

/* The task takes in what its sockets and rings hold. */
static inline void look(void)
{
        ptl_lock(&stage.task->space.lock);
        ptl_wait_catch_up(stage.task);
        ptl_unlock(&stage.task->space.lock);
}

/* ---- what may run out ---- */

/* Which allocation from now on fails; 0: none does. The linker leads those of the library here. */
static unsigned starving;

static inline bool starves(void) { return starving && --starving == 0; }

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);

void *__wrap_malloc(size_t size) { return starves() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size)
{
        return starves() ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *old, size_t size)
{
        return starves() ? NULL : __real_realloc(old, size);
}
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
        if (starves()) {
                errno = ENOMEM;
                return MAP_FAILED;
        }
        return __real_mmap(at, size, protection, flags, fd, offset);
}

static struct rlimit places; /* for descriptors, as they were; rlim_max 0: as they are */

/* No place for another one. */
static inline void fill_places(void)
{
        struct rlimit none;
        int free_one;

        if (places.rlim_max)
                return;
        free_one = dup(stage.honest.socket);
        MUST(free_one >= 0 && getrlimit(RLIMIT_NOFILE, &places) == 0);
        close(free_one);
        none = places;
        none.rlim_cur = (rlim_t)free_one;
        MUST(setrlimit(RLIMIT_NOFILE, &none) == 0);
}

/* From here on nothing may fail. */
static inline void give_plenty(void)
{
        starving = 0;
        if (places.rlim_max)
                MUST(setrlimit(RLIMIT_NOFILE, &places) == 0);
        places.rlim_max = 0;
}

/* ---- a side ---- */

/* What the task says first on the socket. */
static inline void side_meet(struct side *s)
{
        struct ptl_link_msg msg;
        size_t size, n;
        int fds[2];

        MUST(ptl_socket_receive(s->socket, &msg, sizeof msg, &size, fds, 2, &n) == 0);
        MUST(size == sizeof msg && n == 2 && msg.type == PTL_LM_HELLO);
        MUST(ptl_outbox_attach(fds[0], &s->peer) == 0);
        ptl_close(fds[0]);
        s->peer_bell = fds[1];
}

/* Introduced, with an outbox of its own that nobody was told of. */
static inline void side_open(struct side *s, uint64_t id)
{
        struct ptl_identity identity = {.task.low = id, .pid = getpid(), .uid = geteuid()};
        int ends[2];

        *s = (struct side){.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
        MUST(s->bell >= 0 && ptl_socket_pair(ends) == 0);
        s->socket = ends[1];
        ptl_lock(&stage.task->space.lock);
        MUST(ptl_task_link(stage.task, ends[0], &identity, 0, &s->link) == 0);
        ptl_unlock(&stage.task->space.lock);
        side_meet(s);
        MUST(ptl_outbox_create(&s->mine, &s->outbox) == 0);
        ptl_ring_writer_init(&s->tx, &s->mine);
        ptl_ring_reader_init(&s->rx, &s->peer, &s->mine);
        s->tx.peer_consumed = &ptl_outbox_head(&s->peer)->consumed;
}

static inline void side_close(struct side *s)
{
        s->socket = ptl_close(s->socket);
        s->outbox = ptl_close(s->outbox);
        s->bell = ptl_close(s->bell);
        s->peer_bell = ptl_close(s->peer_bell);
        ptl_outbox_unmap(&s->mine);
        ptl_outbox_unmap(&s->peer);
}

/* False: the task does not listen any more, or has not read what came before. */
static inline bool side_say(const struct side *s, const void *packet, size_t size, const int *fds,
                            size_t n)
{
        return ptl_socket_send(s->socket, packet, size, fds, n) == 0;
}

static inline void side_hello(const struct side *s)
{
        struct ptl_link_msg hello = ptl_link_msg(PTL_LM_HELLO, 0);

        MUST(side_say(s, &hello, sizeof hello, (const int[]){s->outbox, s->bell}, 2));
}

static inline void side_ring(const struct side *s) { ptl_event_nudge(s->peer_bell); }

/* A frame that is right in its ring. False: no room. */
static inline bool side_frame(struct side *s, enum ptl_frame_kind kind,
                              const struct ptl_frame_head *head, const void *body, uint32_t length)
{
        struct ptl_ring_slot slot;

        if (ptl_ring_reserve(&s->tx, length, 0, &slot))
                return false;
        if (length)
                memcpy(slot.body, body, length);
        ptl_ring_publish(&s->tx, &slot, kind, length, head);
        side_ring(s);
        return true;
}

static inline void side_claim(struct side *s, uint64_t ticket)
{
        struct ptl_frame_claim body = {.ticket = ticket};
        struct ptl_frame_head head = {.right = ptl_right_index(RIGHT)};

        MUST(side_frame(s, PTL_FRAME_CLAIM, &head, &body, sizeof body));
}

static inline void side_saw(struct side *s, uint32_t right)
{
        if (right)
                s->seen[s->n_seen++ % SEEN_MAX] = right;
}

/* It has given nobody anything, and read all that anybody gave it. */
static inline void honest_answer(struct side *s, const struct ptl_frame *f)
{
        struct ptl_frame_head refused = {.right = f->head.right | PTL_RIGHT_CLAIMED};
        struct ptl_task_id id;

        if (f->kind == PTL_FRAME_REDEEM)
                MUST(side_frame(s, PTL_FRAME_DEAD, &refused, NULL, 0));
        if (f->kind != PTL_FRAME_ASK)
                return;
        MUST(ptl_frame_body(f->body, f->length, &id, sizeof id) == 0);
        MUST(side_frame(s, PTL_FRAME_READ_OUT, &(struct ptl_frame_head){.right = 0}, &id, sizeof id));
}

/* Reads what the task wrote, and gives the room back. True: an answer through @answer was there. */
static inline bool side_read(struct side *s, uint32_t answer)
{
        struct ptl_frame f;
        struct ptl_rich rich;
        bool found = false;

        while (ptl_ring_peek(&s->rx, &f) == 0) {
                found |= f.kind == PTL_FRAME_INLINE && f.head.right == answer;
                side_saw(s, f.kind <= PTL_FRAME_RICH ? f.head.token : 0);
                if (f.kind == PTL_FRAME_RICH && ptl_rich_decode(f.body, f.length, &rich) == 0)
                        for (uint32_t i = 0; i < rich.n_rights; i++)
                                side_saw(s, rich.rights[i].right);
                if (s == &stage.honest)
                        honest_answer(s, &f);
                ptl_ring_advance(&s->rx, &f);
        }
        ptl_ring_consume(&s->rx, s->rx.position);
        return found;
}

/* A right to a port of the hostile side, as if it had been looked up. */
static inline ptl_port look_up_hers(void)
{
        ptl_port name;

        ptl_lock(&stage.task->space.lock);
        name = ptl_held_claim(stage.hostile.link, 1, WINDOW, 64);
        ptl_control_flush(stage.hostile.link);
        ptl_unlock(&stage.task->space.lock);
        MUST(name);
        return name;
}

/* ---- what must hold, whatever the hostile side does ---- */

struct census {
        int descriptors, maps;
        uint32_t names, queued, pending, honest_references;
        uint32_t honest[4]; /* rights of either side on that link */
        uint32_t senders, onces; /* rights to the main port */
};

/* Without pipes: a sanitizer talks to its symbolizer by them. None of the stage's is far up, and
 * asking for each is quicker than reading a folder. */
static inline int count_descriptors(void)
{
        struct stat st;
        int n = 0;

        for (int fd = 0; fd < 128; fd++)
                n += fstat(fd, &st) == 0 && !S_ISFIFO(st.st_mode);
        return n;
}

static inline int count_maps(void)
{
        static char text[1 << 16];
        int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC), n = 0;
        size_t size = 0;
        ssize_t got;

        MUST(fd >= 0);
        while ((got = read(fd, text + size, sizeof text - 1 - size)) > 0)
                size += (size_t)got;
        close(fd);
        text[size] = '\0';
        for (const char *at = text; (at = strstr(at, "/memfd:")); at++)
                n++;
        return n;
}

/* In all ports, the one for replies too. */
static inline uint32_t count_queued(const struct ptl_space *space)
{
        uint32_t n = 0;

        for (uint32_t i = 1; i < space->entries.fresh; i++) {
                const struct ptl_entry *e = ptl_table_at(&space->entries, i);

                n += e->rights & PTL_RIGHT_RECEIVE ? e->receiver->queued : 0;
        }
        return n;
}

static inline struct census take_census(void)
{
        const struct ptl_space *space = &stage.task->space;
        const struct ptl_peer *p = stage.honest.link;
        const struct ptl_entry *e = ptl_space_entry(space, stage.main);

        return (struct census){
                .descriptors = count_descriptors(),
                .maps = count_maps(),
                .names = space->entries.used - space->internal,
                .queued = count_queued(space),
                .pending = space->pending,
                .honest_references = p->references,
                .honest = {p->granted.used, p->claimed.used, p->held.used, p->claims.used},
                .senders = e->senders,
                .onces = e->onces,
        };
}

static inline void print_census(const char *when, const struct census *c)
{
        fprintf(stderr,
                "# %s: %d descriptors, %d maps, %u names, %u queued, %u pending, %u references; "
                "honest: %u %u %u %u; main: %u senders, %u once\n",
                when, c->descriptors, c->maps, c->names, c->queued, c->pending,
                c->honest_references, c->honest[0], c->honest[1], c->honest[2], c->honest[3], c->senders,
                c->onces);
}

static inline void check_census(const struct census *before)
{
        struct census now = take_census();

        if (memcmp(&now, before, sizeof now)) {
                print_census("before", before);
                print_census("now", &now);
                abort();
        }
}

/* The honest side asks, and is answered at once. */
static inline void check_honest(void)
{
        struct side *s = &stage.honest;
        struct ptl_frame_head head = {.right = RIGHT, .token = ptl_right_make(7, ++s->reply)};
        struct ptl_message m;

        MUST(side_frame(s, PTL_FRAME_INLINE, &head, "ping", 5));
        MUST(ptl_receive(stage.calm, &m, PTL_NOW) == 0);
        MUST(m.size == 5 && !memcmp(m.data, "ping", 5) && m.sender->task.low == 1);
        MUST(ptl_reply(&m, "pong", 5) == 0);
        ptl_message_release(&m);
        MUST(side_read(s, head.token));
}

/* ---- life ---- */

static inline void stage_begin(void)
{
        /* No server is reached, and none can be started: what a lost link asks for is not answered. */
        MUST(setenv("PORTOLAN_SOCKET", "/proc/none/s", 1) == 0 && setenv("PORTOLAND", "/proc/none/d", 1) == 0);
        MUST(ptl_task_enter(&stage.task) == 0);
        stage.calm = new_port();
        stage.main = new_port();
        MUST(ptl_port_new(&stage.unpublished, NULL) == 0);
        side_open(&stage.honest, 1);
        side_hello(&stage.honest);
        side_claim(&stage.honest, ticket_of(stage.calm));
        look();
        check_honest();
}
