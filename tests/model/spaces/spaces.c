/* SPDX-License-Identifier: Apache-2.0 */
/* spaces.c - see spaces.h: tasks, links, and what stands in for the rest of the library */
#include "spaces.h"
#include "memory.h"
#include "task/carry.h"
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* H1 can be taken out: GIVE then waits until the message is published. */
static struct ptl_carry_giving *gave_late;

static void gave(struct ptl_peer *peer, struct ptl_carry_giving *giving)
{
        if (giving && spaces_without(SPACES_GIVEN_AT_ALL))
                ptl_carry_keep(giving);
        else if (spaces_without(SPACES_GIVE_FIRST))
                gave_late = giving;
        else
                ptl_carry_gave(peer, giving);
}

#define ptl_carry_gave(peer, giving) gave(peer, giving)
#define ptl_link_bell(link)          (spaces_published(memory_owner()), ptl_link_bell(link))
#include "task/send.c"
#undef ptl_carry_gave
#undef ptl_link_bell

enum { TASK_IDS = 7, TAKEN = 16 };

/* What a task knows of the server's introductions to it. */
enum { STRANGER, PENDING, MET };

static struct {
        uint8_t met[SPACES][SPACES];  /* of the first by the second */
        bool made[SPACES][SPACES];    /* the first has its half of the link: its HELLO lies in the socket */
        bool idle[SPACES];
        bool settles[SPACES];         /* a death */
        bool hurries[SPACES];         /* messages may have waited too long at any time */
        bool wants[SPACES][SPACES];   /* there was no room: it looks when these words change */
        uint64_t saw_consumed[SPACES][SPACES], saw_word[SPACES][SPACES];
        uint32_t word_of[SPACES][SPACES];
        unsigned tasks;
        uint32_t ring[SPACES][SPACES];
        struct ptl_identity identity[SPACES];
} world;

static struct ptl_task tasks[SPACES];
static _Alignas(4096) char boxes[SPACES][SPACES][PTL_OUTBOX_SIZE]; /* hardly touched */

#define HEAD(box) ((struct ptl_outbox_head *)(void *)(box))

_Atomic uint32_t ptl_trace_asked;
static ptl_time now = 1; /* no patience ends by itself */

/* --- what is state, what is a step --- */

enum { BOX_PIECES = 4, PIECES = 1 + SPACES + SPACES * SPACES * BOX_PIECES + MEMORY_REGIONS + 2 };

struct model_region spaces_state[PIECES];
static struct model_region kept;

#define RING_OF(a, b)  {boxes[a][b] + PTL_OUTBOX_RINGS, SPACES_RING}
#define TAKEN_OF(a, b) {boxes[a][b] + PTL_OUTBOX_TAKEN, TAKEN * 8}, {boxes[a][b] + PTL_OUTBOX_CLAIMED, TAKEN * 8}
#define ALL_OF(piece)  piece(0, 1), piece(1, 0), piece(0, 2), piece(2, 0), piece(1, 2), piece(2, 1)

const struct model_region spaces_steps[] = {
        ALL_OF(RING_OF), {NULL, 0}
};
const struct model_region spaces_steps_of_windows[] = {
        ALL_OF(RING_OF), ALL_OF(TAKEN_OF), {NULL, 0}
};

void spaces_keep(const void *state, size_t bytes) { kept = (struct model_region){state, bytes}; }

static void list_state(void)
{
        struct model_region *r = spaces_state;

        *r++ = (struct model_region){&world, sizeof world};
        for (unsigned t = 0; t < world.tasks; t++)
                *r++ = (struct model_region){&tasks[t].space, offsetof(struct ptl_space, quota)};
        for (unsigned a = 0; a < world.tasks; a++)
                for (unsigned b = 0; b < world.tasks; b++) {
                        if (a == b)
                                continue;
                        *r++ = (struct model_region){&HEAD(boxes[a][b])->consumed, 8};
                        *r++ = (struct model_region)RING_OF(a, b);
                        *r++ = (struct model_region){boxes[a][b] + PTL_OUTBOX_TAKEN, TAKEN * 8};
                        *r++ = (struct model_region){boxes[a][b] + PTL_OUTBOX_CLAIMED, TAKEN * 8};
                }
        memory_list(r);
        r += MEMORY_REGIONS;
        if (kept.bytes)
                *r++ = kept;
        *r = (struct model_region){NULL, 0};
}

/* --- tasks --- */

static unsigned acting = SPACES; /* nobody */

void spaces_act_as(unsigned task) { acting = task; }

unsigned memory_owner(void) { return model_in_thread() ? model_self() : acting; }

static unsigned task_of(const struct ptl_space *space)
{
        return (unsigned)(PTL_CONTAINER(space, struct ptl_task, space) - tasks);
}

static unsigned number_of(struct ptl_task_id id) { return (unsigned)id.low - 1; }

struct ptl_space *spaces_space(unsigned task) { return &tasks[task].space; }

struct ptl_peer *spaces_peer(unsigned task, unsigned other)
{
        for (struct ptl_peer *p = tasks[task].space.peers; p; p = p->next)
                if (number_of(p->link.identity.task) == other)
                        return p;
        return NULL;
}

bool spaces_knows_dead(unsigned task, unsigned other) { return model_dead(other) && !spaces_peer(task, other); }

/* --- stand-ins: link/link.c --- */

int ptl_link_init(struct ptl_link *link, int socket, const struct ptl_identity *identity)
{
        unsigned self = memory_owner(), other = number_of(identity->task);

        *link = (struct ptl_link){.identity = *identity, .socket = socket, .bell = -1, .peer_bell = -1};
        link->mine.base = boxes[self][other];
        ptl_ring_writer_init(&link->tx, &link->mine);
        link->tx.size = link->tx.limit = world.ring[self][other];
        return 0;
}

/* The other's HELLO is taken in, if it is there. */
static void open_link(struct ptl_link *link)
{
        unsigned self = memory_owner(), other = number_of(link->identity.task);

        if (ptl_link_state(link) != PTL_LINK_INTRODUCED || !world.made[other][self])
                return;
        link->peer.base = boxes[other][self];
        ptl_ring_reader_init(&link->rx, &link->peer, &link->mine);
        link->rx.size = world.ring[other][self];
        link->tx.peer_consumed = &HEAD(boxes[other][self])->consumed;
        link->state = PTL_LINK_OPEN;
}

int ptl_link_input(struct ptl_link *link)
{
        open_link(link);
        return 0;
}

void ptl_link_bell_introduced(struct ptl_link *link)
{
        if (model_in_thread() && ptl_link_state(link) == PTL_LINK_INTRODUCED)
                model_syscall("looks at the socket");
        open_link(link);
}

void ptl_link_kill(struct ptl_link *link) { link->state = PTL_LINK_DEAD; }
void ptl_link_fini(struct ptl_link *link) { (void)link; }
void ptl_link_ring(struct ptl_link *link) { (void)link; }
void ptl_link_accuse(struct ptl_link *link)
{
        link->accused = true;
        model_fail("T%u accuses %u", memory_owner(), number_of(link->identity.task));
}

void ptl_link_block_return(struct ptl_link *link, uint32_t slot) { (void)slot, ptl_link_accuse(link); }

void ptl_link_copy_large(const struct ptl_link *link, void *to, const void *from, size_t size)
{
        (void)link;
        ptl_copy_shared(to, from, size);
}

/* A task has one thread here. */
void ptl_lock_slow(struct ptl_lock *lock) { (void)lock, model_fail("a lock is taken twice"); }
void ptl_unlock_slow(struct ptl_lock *lock) { (void)lock, model_fail("somebody waits for a lock"); }

int ptl_outbox_reserve(const struct ptl_outbox *box, uint64_t offset, uint64_t size)
{
        (void)box, (void)size;
        if (offset < PTL_OUTBOX_RINGS)
                model_fail("more rights than a model needs");
        return -ENOSPC; /* no ring grows */
}

void ptl_trace_frame(const struct ptl_identity *peer, bool sent, const struct ptl_frame_head *head, const void *body);
void ptl_trace_frame(const struct ptl_identity *peer, bool sent, const struct ptl_frame_head *head, const void *body)
{
        (void)peer, (void)sent, (void)head, (void)body;
}

/* --- stand-ins: regions; there are none --- */

static int no_region(void)
{
        model_fail("a region");
        return PTL_E_LOST;
}

int ptl_region_copy(const struct ptl_region *r, struct ptl_region **ret) { return (void)r, (void)ret, no_region(); }
bool ptl_region_freeze(struct ptl_region *r) { return (void)r, no_region() == 0; }
struct ptl_region *ptl_region_unref(struct ptl_space *s, struct ptl_region *r)
{
        return (void)s, r ? (no_region(), NULL) : NULL;
}
int ptl_regions_export(struct ptl_peer *p, struct ptl_region *const *r, uint32_t n, struct ptl_frame_region *f)
{
        return (void)p, (void)r, (void)n, (void)f, no_region();
}
int ptl_region_import(struct ptl_peer *p, const struct ptl_frame_region *f, struct ptl_region **ret)
{
        return (void)p, (void)f, (void)ret, no_region();
}
void ptl_region_forget(struct ptl_peer *p, uint32_t n) { (void)p, (void)n, (void)no_region(); }
void ptl_region_number_free(struct ptl_peer *p, uint32_t n) { (void)p, (void)n, (void)no_region(); }
void ptl_regions_drop(struct ptl_peer *p) { (void)p; }
struct ptl_region *ptl_region_ref(struct ptl_region *r) { return no_region(), r; }
int ptl_region_wrap(int fd, void *data, size_t size, struct ptl_region **ret)
{
        return (void)fd, (void)data, (void)size, (void)ret, no_region();
}
void ptl_regions_unexport(struct ptl_peer *p, const struct ptl_frame_region *f, uint32_t n)
{
        (void)p, (void)f, (void)n, (void)no_region();
}
int ptl_memory_create(size_t size, int *ret_fd, void **ret) { return (void)size, (void)ret_fd, (void)ret, no_region(); }
int ptl_memory_attach(int fd, size_t size, bool frozen, void **ret)
{
        return (void)fd, (void)size, (void)frozen, (void)ret, no_region();
}
void ptl_memory_unmap(void *data, size_t size) { (void)data, (void)size; }

/* --- stand-ins: blocks; messages are small --- */

int ptl_link_block_reserve(struct ptl_link *link, size_t size)
{
        model_fail("a block");
        return (void)link, (void)size, PTL_E_LOST;
}
void ptl_block_cancel(struct ptl_peer *peer, int slot) { (void)peer, (void)slot; }

/* --- stand-ins: the rest of task/, and of base/ --- */

ssize_t getrandom(void *to, size_t size, unsigned flags) { return (void)flags, memset(to, 5, size), (ssize_t)size; }
const char *ptl_quota_name(uint32_t limit) { return (void)limit, "a limit"; }
ptl_time ptl_now(void) { return now; }
ptl_time ptl_after_ms(int64_t ms) { return 1 + ms; }
void ptl_wait_heat(struct ptl_task *task, struct ptl_peer *peer) { (void)task, (void)peer; }
void ptl_restrain_awaited(struct ptl_task *task, struct ptl_peer *peer) { (void)task, (void)peer; }
int ptl_left_may(struct ptl_task *task, const struct ptl_entry *e, bool leave)
{
        return (void)task, (void)e, (void)leave, PTL_E_FULL; /* nobody leaves a message */
}
void ptl_left_add(struct ptl_task *task, struct ptl_entry *e, struct ptl_left *left, ptl_port notify)
{
        (void)task, (void)e, (void)left, (void)notify;
}

/* --- links, and the server --- */

static struct ptl_peer *make_half(unsigned self, unsigned other)
{
        struct ptl_space *space = &tasks[self].space;
        struct ptl_peer *peer;

        if (ptl_peer_new(space, -EBADF, &world.identity[other], &peer)) {
                model_fail("no memory for a peer");
                return NULL;
        }
        peer->next = space->peers;
        space->peers = peer;
        world.made[self][other] = true;
        return peer;
}

/* As task/seek.c: a link that is begun is asked for, and so is the other's half. Where the other's introduction
 * is there already it is read first: of two links between the same tasks there is no model. */
static struct ptl_peer *seek(struct ptl_space *space, struct ptl_task_id id, struct ptl_task_id granter)
{
        unsigned self = task_of(space), other = number_of(id);
        struct ptl_peer *peer = spaces_peer(self, other);

        if (world.settles[self] && spaces_without(SPACES_GRANTEES_ASKED))
                return NULL; /* the ticket is cancelled */
        if (peer && ptl_link_state(&peer->link) != PTL_LINK_DEAD)
                return peer;
        peer = make_half(self, other);
        if (peer && ptl_handoff_of(peer))
                peer->handoff->sought_for = granter;
        if (model_in_thread())
                model_syscall("asks for an introduction");
        if (world.met[self][other] == STRANGER)
                world.met[other][self] = PENDING;
        world.met[self][other] = MET;
        return peer;
}

/* --- what happens to a task --- */

enum job_kind { INTRODUCTION, SOCKET, RING, ROOM, LET_GO, ANSWER, DEATH, TIME };

struct job {
        enum job_kind kind;
        unsigned other;
        struct ptl_asked *asked;
};

enum { JOBS = 8 };

static bool has_room_news(unsigned self, unsigned other, const struct ptl_peer *p)
{
        if (!p->link.peer.base || !(world.wants[self][other] || p->pending))
                return false;
        return ptl_load_relaxed(&HEAD(p->link.peer.base)->consumed) != world.saw_consumed[self][other] ||
               ptl_load_relaxed(ptl_outbox_word(&p->link.peer, world.word_of[self][other])) !=
                       world.saw_word[self][other];
}

/* What was said to it so far is dealt with? Then the server's NOT_FOUND for a dead task is, too. */
static bool is_settled(unsigned self, unsigned dead)
{
        return model_dead(dead) && (spaces_without(SPACES_ASKED_BEHIND) || !spaces_peer(self, dead)) &&
               (spaces_without(SPACES_SERVER_ASKED) || world.met[self][dead] != PENDING);
}

static struct ptl_asked *find_answer(unsigned self, const struct ptl_peer *p)
{
        for (uint32_t i = 0; p->handoff && i < p->handoff->n_asks; i++)
                if (!p->handoff->asks[i].answered && is_settled(self, number_of(p->handoff->asks[i].granter)))
                        return &p->handoff->asks[i];
        return NULL;
}

static unsigned collect_of(unsigned self, unsigned other, struct job *ret)
{
        struct ptl_peer *p = spaces_peer(self, other);
        struct job *j = ret;

        if (!p) {
                if (world.met[self][other] == PENDING)
                        *j++ = (struct job){INTRODUCTION, other, NULL};
                return (unsigned)(j - ret);
        }
        if (ptl_link_state(&p->link) == PTL_LINK_INTRODUCED && world.made[other][self])
                *j++ = (struct job){SOCKET, other, NULL};
        if (p->restrained)
                *j++ = (struct job){LET_GO, other, NULL};
        else if (p->link.peer.base && ptl_ring_ready(&p->link.rx))
                *j++ = (struct job){RING, other, NULL};
        else if (has_room_news(self, other, p))
                *j++ = (struct job){ROOM, other, NULL};
        if (find_answer(self, p))
                *j++ = (struct job){ANSWER, other, find_answer(self, p)};
        if (model_dead(other))
                *j++ = (struct job){DEATH, other, NULL};
        return (unsigned)(j - ret);
}

static unsigned collect(unsigned self, struct job *ret)
{
        unsigned n = 0;

        for (unsigned other = 0; other < world.tasks; other++)
                if (other != self)
                        n += collect_of(self, other, ret + n);
        if (world.hurries[self] && tasks[self].space.waiting)
                ret[n++] = (struct job){TIME, self, NULL};
        return n;
}

/* Taken out: what is not confirmed is kept from use (H8), its word from belief. */
static void confirm_all(struct ptl_space *space)
{
        for (uint32_t i = 1; i < space->entries.fresh; i++) {
                struct ptl_entry *e = ptl_table_at(&space->entries, i);

                if (spaces_without(SPACES_UNCONFIRMED_KEPT) && e->flags & PTL_ENTRY_HANDED &&
                    !(e->flags & PTL_ENTRY_CLAIM)) {
                        e->flags &= (uint8_t)~PTL_ENTRY_HANDED;
                        ptl_entry_set_window(e, 1, 1);
                }
                if (spaces_without(SPACES_WORD_OF_ITS_OWN))
                        e->flags &= (uint8_t)~PTL_ENTRY_UNCONFIRMED;
        }
}

/* R9 taken out: what was sent through rights that were given back is forgotten. */
static void forget_given_back(struct ptl_space *space)
{
        for (struct ptl_peer *p = space->peers; p; p = p->next)
                for (uint32_t i = 1; i < p->given_back.fresh; i++)
                        ((struct ptl_given_back *)ptl_table_at(&p->given_back, i))->right |= PTL_RIGHT_CLAIMED;
}

static void take_rules_out(struct ptl_space *space)
{
        confirm_all(space);
        if (spaces_without(SPACES_COUNT_GOES_ON))
                forget_given_back(space);
}

/* @right: a word of it may make room, too; 0: none. Nothing is remembered that nobody waits for. */
static void remember_room(unsigned self, unsigned other, const struct ptl_peer *p, uint32_t right, bool waits)
{
        bool any = waits && p->link.peer.base;

        world.word_of[self][other] = any ? right & (PTL_RIGHT_CLAIMED | PTL_RIGHT_INDEX_MAX) : 0;
        world.saw_consumed[self][other] = any ? ptl_load_relaxed(&HEAD(p->link.peer.base)->consumed) : 0;
        world.saw_word[self][other] =
                any ? ptl_load_relaxed(ptl_outbox_word(&p->link.peer, world.word_of[self][other])) : 0;
}

static void flush(unsigned self, unsigned other, struct ptl_peer *p)
{
        if (ptl_control_is_pending(p))
                ptl_control_flush(p);
        remember_room(self, other, p, world.word_of[self][other], p->pending || world.wants[self][other]);
}

/* H3 taken out: the granter's links are not looked at. */
static void close_eyes(struct ptl_space *space, const struct ptl_peer *but, bool closed)
{
        for (struct ptl_peer *p = space->peers; p; p = p->next)
                if (p != but)
                        p->link.accused = closed;
}

static void read_ring(unsigned self, unsigned other, struct ptl_peer *p)
{
        struct ptl_space *space = &tasks[self].space;
        bool blind = spaces_without(SPACES_PARKING);

        if (blind)
                close_eyes(space, p, true);
        model_check(ptl_deliver(p, NULL, PTL_RINGS_SIZE) == 0);
        if (blind)
                close_eyes(space, p, false);
        flush(self, other, p);
        for (struct ptl_peer *q = space->peers; q; q = q->next) /* the look of wait.c */
                if (ptl_control_is_pending(q))
                        flush(self, number_of(q->link.identity.task), q);
        if (space->parked)
                ptl_tickets_look_again(space, p->link.identity.task);
}

static void unlist(struct ptl_space *space, struct ptl_peer *gone)
{
        struct ptl_peer **at = &space->peers;

        while (*at != gone)
                at = &(*at)->next;
        *at = gone->next;
}

/* H6 taken out: of what was given to it nothing is withdrawn. */
static void forget_grantee(struct ptl_space *space, const struct ptl_peer *grantee)
{
        for (struct ptl_peer *p = space->peers; p; p = p->next)
                for (uint32_t i = 1; p->handoff && i < p->handoff->given.fresh; i++) {
                        struct ptl_given *g = ptl_table_at(&p->handoff->given, i);

                        g->grantee = g->grantee == grantee ? NULL : g->grantee;
                }
}

/* As ptl_task_unlink(). */
static void settle_death(unsigned self, struct ptl_peer *p)
{
        struct ptl_space *space = &tasks[self].space;

        ptl_peer_ref(p);
        open_link(&p->link); /* it may have died before its HELLO was read */
        if (p->link.peer.base && !spaces_without(SPACES_READ_OUT_FIRST))
                model_check(ptl_deliver(p, NULL, PTL_RINGS_SIZE) == 0);
        p->known_dead |= !p->link.peer.base; /* the server says so */
        ptl_link_kill(&p->link);
        if (spaces_without(SPACES_WITHDRAWN))
                forget_grantee(space, p);
        world.settles[self] = true;
        ptl_peer_died(p);
        world.settles[self] = false;
        world.made[number_of(p->link.identity.task)][self] = false; /* of a socket made later there is no other end */
        unlist(space, p);
        ptl_peer_unref(p);
        ptl_peer_unref(p);
}

static void do_job(unsigned self, const struct job *job)
{
        static const char *const names[] = {"an introduction", "the socket", "the ring", "room", "what was held",
                                            "an answer",       "the death",  "the clock"};
        struct ptl_peer *p = spaces_peer(self, job->other);

        model_note("T%u looks: %s of T%u", self, names[job->kind], job->other);
        switch (job->kind) {
        case INTRODUCTION:
                world.met[self][job->other] = MET;
                open_link(&make_half(self, job->other)->link);
                break;
        case SOCKET:
                open_link(&p->link);
                p->watched_open = true;
                flush(self, job->other, p);
                break;
        case RING:
                read_ring(self, job->other, p);
                break;
        case ROOM:
                flush(self, job->other, p);
                break;
        case LET_GO:
                p->restrained = 0;
                read_ring(self, job->other, p);
                break;
        case ANSWER:
                ptl_redeem_answered(p, job->asked);
                break;
        case DEATH:
                settle_death(self, p);
                break;
        case TIME:
                now = 2 + PTL_REDEEM_PATIENCE_MS;
                ptl_redeem_step(&tasks[self].space);
                now = 1;
                break;
        }
        take_rules_out(&tasks[self].space);
}

static bool has_job(unsigned self)
{
        struct job jobs[SPACES * JOBS];

        return collect(self, jobs) != 0;
}

static bool is_quiet(void)
{
        for (unsigned t = 0; t < world.tasks; t++)
                if (!model_ended(t) && !(world.idle[t] && !has_job(t)))
                        return false;
        return true;
}

static bool may_go_on(void *arg) { return has_job(*(const unsigned *)arg) || is_quiet(); }

/* What earlier calls left on the stack would make states differ that are the same. */
__attribute__((noinline)) static void wipe_stack(void)
{
        volatile char below[12 << 10];

        memset((char *)below, 0, sizeof below);
        __asm__ volatile("" : : "r"(below) : "memory");
}

bool spaces_wait(void)
{
        static const unsigned numbers[SPACES] = {0, 1, 2};
        struct job jobs[SPACES * JOBS] = {0};
        unsigned self = memory_owner(), n, pick;

        world.idle[self] = true;
        if (model_in_thread())
                model_block_until(may_go_on, (void *)(uintptr_t)&numbers[self]);
        n = collect(self, jobs);
        if (!n)
                return false;
        world.idle[self] = false;
        pick = n > 1 && model_in_thread() ? model_choose(n) : 0;
        wipe_stack();
        do_job(self, &jobs[pick]);
        return true;
}

void spaces_look(void)
{
        struct job jobs[SPACES * JOBS] = {0};
        unsigned self = memory_owner(), n = collect(self, jobs), pick = n ? model_choose(n + 1) : 0;

        if (!pick)
                return;
        wipe_stack();
        do_job(self, &jobs[pick - 1]);
}

/* --- sending and receiving --- */

static struct ptl_entry *look_up(struct ptl_space *space, ptl_port name)
{
        struct ptl_entry *e;

        return ptl_space_look(space, name, PTL_RIGHT_SEND | PTL_RIGHT_SEND_ONCE | PTL_RIGHT_DEAD, &e) ? NULL : e;
}

/* H9 taken out: as if SETTLED had come. */
static void settle_given(struct ptl_space *space)
{
        for (struct ptl_peer *p = space->peers; p; p = p->next)
                for (uint32_t i = 1; p->handoff && i < p->handoff->given.fresh; i++) {
                        const struct ptl_given *g = ptl_table_at(&p->handoff->given, i);
                        struct ptl_frame f = {.head.right = (uint32_t)ptl_ticket_make(0, i, g->generation)};

                        if (g->used)
                                model_check(ptl_given_settled(p, &f) == 0);
                }
}

int spaces_send(ptl_port to, struct note note, ptl_port right, enum ptl_disposition how)
{
        unsigned self = memory_owner();
        struct ptl_space *space = &tasks[self].space;
        struct ptl_right_item item = {.port = right, .disposition = how};
        struct ptl_outgoing extras = {.rights = &item, .n_rights = right != PTL_NULL};
        struct ptl_sending s = {
                .data = &note, .size = sizeof note, .block = -1, .extras = right ? &extras : NULL};
        struct ptl_entry *e = look_up(space, to);
        struct ptl_peer *peer = e ? e->peer : NULL;
        unsigned other;
        int r;

        if (!e || e->rights & PTL_RIGHT_DEAD)
                return e ? PTL_E_DEAD : PTL_E_NAME;
        other = number_of(peer->link.identity.task);
        r = send_remote(&tasks[self], e, &s, NULL);
        world.wants[self][other] = r == PTL_E_FULL;
        if (r == PTL_E_FULL)
                remember_room(self, other, peer, e->remote, true);
        if (gave_late)
                ptl_carry_gave(peer, ptl_steal_ptr(&gave_late));
        if (spaces_without(SPACES_INDEX_KEPT))
                settle_given(space);
        return r;
}

void spaces_drop(ptl_port name)
{
        struct ptl_space *space = &tasks[memory_owner()].space;

        ptl_right_drop(space, ptl_space_entry(space, name), 1);
        take_rules_out(space);
}

ptl_port spaces_claim(unsigned owner, uint64_t ticket, const struct ptl_receiver *port)
{
        unsigned self = memory_owner();
        struct ptl_peer *peer = spaces_peer(self, owner);
        ptl_port name = ptl_held_claim(peer, ticket, port->limit_messages, port->limit_units);

        if (spaces_without(SPACES_GENERATIONS))
                peer->claimed_often = 0;
        take_rules_out(&tasks[self].space);
        return name;
}

void spaces_hurry(unsigned task) { world.hurries[task] = true; }

/* As task/restrain.c: its ring is not read for a while. */
void spaces_hold_back(unsigned task, unsigned other)
{
        spaces_peer(task, other)->restrained = PTL_QUOTA_LIMIT(PTL_QUOTA_MESSAGES, PTL_QUOTA_TASK);
}

bool spaces_receive(struct ptl_receiver *port, struct note *ret_note, ptl_port *ret_right, uint32_t *ret_kind)
{
        struct ptl_space *space = &tasks[memory_owner()].space;
        struct ptl_queued *q = ptl_receiver_take(space, port);
        struct ptl_message m;

        if (!q)
                return false;
        ptl_queued_open(space, q, port->name, &m);
        *ret_kind = m.kind;
        *ret_right = m.n_rights ? m.rights[0].port : PTL_NULL;
        if (m.size == sizeof *ret_note)
                memcpy(ret_note, m.data, sizeof *ret_note);
        ptl_queued_free(space, q);
        return true;
}

/* As task/requests.c. */
void spaces_ask_no_senders(struct ptl_receiver *port, struct ptl_receiver *notify, uint32_t sync)
{
        struct ptl_space *space = &tasks[memory_owner()].space;
        struct ptl_receiver_more *m = ptl_receiver_more(port);

        ptl_request_end(space, ptl_request_swap(space, &m->no_senders, notify), true);
        m->sync = sync;
        ptl_senders_check(space, port);
}

/* --- setting up --- */

static void on_ready(struct ptl_space *space, struct ptl_receiver *r) { spaces_ready(task_of(space), r); }
static void on_room(struct ptl_space *space) { (void)space; }
static void on_opened(struct ptl_space *space, struct ptl_peer *peer) { (void)space, peer->watched_open = true; }
static bool on_published(struct ptl_space *space, const struct ptl_receiver *r) { return (void)space, (void)r, false; }
static void on_dying(struct ptl_space *space, struct ptl_receiver *r) { (void)space, (void)r; }
static void on_let_go(struct ptl_space *space, struct ptl_peer *peer) { (void)space, (void)peer; }

static void reset_task(unsigned t)
{
        struct ptl_space *space = &tasks[t].space;

        memset(&tasks[t], 0, sizeof tasks[t]);
        ptl_space_init(space);
        space->ready = on_ready;
        space->room = space->rethink = on_room;
        space->opened = on_opened;
        space->published = on_published;
        space->dying = on_dying;
        space->let_go = on_let_go;
        space->seek = seek;
        world.identity[t] = (struct ptl_identity){.task = {.high = TASK_IDS, .low = t + 1}};
        space->me = &world.identity[t];
        for (unsigned k = 0; k < PTL_QUOTA_KINDS; k++)
                for (unsigned scope = 0; scope < PTL_QUOTA_SCOPES; scope++)
                        space->quota.limits.at[k][scope].value = PTL_QUOTA_UNLIMITED;
}

static void reset_box(unsigned a, unsigned b)
{
        static char names[SPACES][SPACES][24];
        char *box = boxes[a][b];

        memset(box, 0, sizeof(struct ptl_outbox_head));
        memset(box + PTL_OUTBOX_TAKEN, 0, TAKEN * 8);
        memset(box + PTL_OUTBOX_CLAIMED, 0, TAKEN * 8);
        memset(box + PTL_OUTBOX_RINGS, 0, SPACES_RING);
        world.ring[a][b] = SPACES_RING;
        snprintf(names[a][b], sizeof names[a][b], "ring %u to %u", a, b);
        model_name(box + PTL_OUTBOX_RINGS, SPACES_RING, names[a][b]);
}

void spaces_reset(unsigned n)
{
        memset(&world, 0, sizeof world);
        world.tasks = n;
        gave_late = NULL;
        memory_reset();
        for (unsigned t = 0; t < n; t++) {
                reset_task(t);
                for (unsigned b = 0; b < n; b++)
                        if (b != t)
                                reset_box(t, b);
        }
}

void spaces_small_ring(unsigned from, unsigned to, uint32_t bytes) { world.ring[from][to] = bytes; }

void spaces_begin(void)
{
        list_state();
        spaces_act_as(SPACES);
}

void spaces_introduce(unsigned a, unsigned b)
{
        spaces_act_as(a);
        (void)make_half(a, b);
        world.met[a][b] = MET;
        world.met[b][a] = PENDING;
}

void spaces_link(unsigned a, unsigned b)
{
        spaces_introduce(a, b);
        spaces_act_as(b);
        world.met[b][a] = MET;
        open_link(&make_half(b, a)->link);
        spaces_act_as(a);
        open_link(&spaces_peer(a, b)->link);
        spaces_peer(a, b)->watched_open = spaces_peer(b, a)->watched_open = true;
}

struct ptl_receiver *spaces_port(unsigned task)
{
        ptl_port name = PTL_NULL;

        spaces_act_as(task);
        if (ptl_receiver_new(&tasks[task].space, 0, 0, &name))
                model_fail("no port");
        return ptl_receiver_of(&tasks[task].space, name);
}

ptl_port spaces_grant(unsigned owner, struct ptl_receiver *port, unsigned holder)
{
        uint32_t number;

        spaces_act_as(owner);
        number = ptl_grant_send(spaces_peer(owner, holder), port);
        ptl_receiver_entry(&tasks[owner].space, port)->made++;
        spaces_act_as(holder);
        return ptl_held_send(spaces_peer(holder, owner), number, port->limit_messages, port->limit_units);
}

/* --- behind the run --- */

static bool settle_one(unsigned t, void (*program)(unsigned self))
{
        bool any = false;

        spaces_act_as(t);
        while (!model_dead(t) && spaces_wait()) {
                program(t);
                any = true;
        }
        return any;
}

void spaces_settle(void (*program)(unsigned self))
{
        bool again;

        do {
                again = false;
                for (unsigned t = 0; t < world.tasks; t++)
                        again |= settle_one(t, program);
        } while (again);
        for (unsigned t = 0; t < world.tasks; t++)
                if (!model_dead(t))
                        spaces_at_rest(t);
        spaces_act_as(SPACES);
}
