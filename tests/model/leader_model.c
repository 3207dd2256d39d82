/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leader_model.c - task/wait.c as shipped: several threads of a task wait, one leads
 *
 * Shipped: task/wait.c, base/lock.c, shm/ring.c, shm/bell.h. Fakes, each true to its contract and
 * no more: the kernel (epoll set with edges, futexes with time-outs, a clock that makes one jump),
 * ptl_deliver (frame.right is the port), ptl_control_flush and ptl_left_check (there is something to
 * do and it works once `room` is set).
 *
 * Threads 0 to 2 are of the task, each waits for a port of its own; the last thread is the world: the
 * peer that writes, and time.
 */
#include "explore.h"
#include "fake_events.h"
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>

#define PTL_LOCK_SPINS 1
#include "base/futex.h"
#include "task/relink.h"
#include "task/restrain.h"
#include "task/task.h"

enum { SIZE = 512, PORTS = 3, BELL = 0, KICK = 1, LATER = 1000, ENTRIES = 4 };

enum does {
        NOTHING,
        SEND_0,   /* the world publishes a message for port 0 and rings if that is due */
        SEND_1,
        SEND_2,
        TIME,     /* the deadline of whoever has one passes */
        ROOM,     /* the world gives room and rings if that is due */
        AWAIT,    /* the world waits until thread 1 has ended */
        AWAIT_ALL /* until what `room` was for is done */
};

struct plan {
        unsigned waiters;
        bool timed[PORTS];      /* this thread's wait has a deadline */
        bool sends[PORTS];      /* this thread waits for room instead of a message */
        bool local[PORTS];      /* this thread does not wait: it puts a message into port 0 */
        enum does world[5];
        bool shuffled;          /* the first two in any order */
        bool cold;              /* the link is cold at first, armed at birth */
        bool pending, left;     /* a control frame, a left message wait for `room` ... */
        bool by_another;        /* ... and a thread of the task (`local`) brings it about */
        bool polls;             /* PTL_WAIT_ADAPTIVE */
        bool straight;          /* the only thread waits as task/quick.h does */
        bool no_hand_over;      /* rule taken out: the elected leader is not told */
};

static const struct plan *plan(void) { return model_scenario()->arg; }
static unsigned world_thread(void) { return model_scenario()->nthreads - 1; }

struct ptl_task ptl_the_task;

static struct {
        struct ptl_receiver receivers[PORTS];
        struct ptl_queued message;      /* all of them */
        unsigned queued[PORTS], got[PORTS];
        ptl_time now;
        const _Atomic uint32_t *asleep[MODEL_THREADS]; /* on this futex */
        struct ptl_ring_writer tx;
        struct ptl_bell_ringer ringer;
        _Atomic uint32_t room; /* in the peer's outbox */
        struct ptl_peer *hot_peers[4];
        bool control_written, left_taken;
} s;

static _Alignas(64) struct ptl_peer peer;
static _Alignas(4096) char mine[PTL_OUTBOX_SIZE], theirs[PTL_OUTBOX_SIZE]; /* hardly touched */
static struct ptl_entry entries[ENTRIES];
static char *chunks[1] = {(char *)entries};

#define HEAD(box) ((struct ptl_outbox_head *)(void *)(box))

static const struct model_region everything[] = {
        {&s,                         sizeof s                                         },
        {&peer,                      sizeof peer                                      },
        {&ptl_the_task,              sizeof ptl_the_task                              },
        {&fake_events,               sizeof fake_events                               },
        {mine + 128,                 offsetof(struct ptl_outbox_head, returned) - 128 },
        {theirs + PTL_OUTBOX_RINGS,  SIZE                                             },
        {NULL,                       0                                                }
};

/* ---- fakes: the kernel ---- */

ptl_time ptl_now(void) { return s.now; }
int ptl_deadline_ms(ptl_time deadline) { return deadline == PTL_FOREVER ? -1 : deadline > s.now; }

static bool time_is_up(unsigned t) { return plan()->timed[t] && s.now >= LATER; }

static bool futex_ended(void *arg)
{
        unsigned t = *(const unsigned *)arg;

        return !s.asleep[t] || time_is_up(t);
}

static const unsigned numbers[MODEL_THREADS] = {0, 1, 2, 3};

void ptl_futex_wait(_Atomic uint32_t *word, uint32_t value, ptl_time deadline)
{
        unsigned self = model_self();
        uint32_t seen;

        (void)deadline;
        model_syscall("futex_wait");
        memcpy(&seen, (const void *)word, sizeof seen); /* one step with the call, behind its barrier */
        if (seen != value)
                return;
        s.asleep[self] = word;
        model_block_until(futex_ended, (void *)(uintptr_t)&numbers[self]);
        s.asleep[self] = NULL;
}

void ptl_futex_wake(_Atomic uint32_t *word, int count)
{
        const struct ptl_waiter *leader = ptl_the_task.wait.leader;

        (void)count;
        if (plan()->no_hand_over && leader && word == &leader->signal)
                return;
        model_syscall("futex_wake");
        for (unsigned t = 0; t < MODEL_THREADS; t++)
                if (s.asleep[t] == word)
                        s.asleep[t] = NULL;
}

static bool epoll_ended(void *arg)
{
        return fake_event_is_raised(BELL) || fake_event_is_raised(KICK) || futex_ended(arg);
}

int epoll_wait(int epoll, struct epoll_event *events, int room, int timeout)
{
        unsigned self = model_self();
        int n = 0;

        (void)epoll;
        (void)room;
        model_syscall("epoll_wait");
        if (timeout) {
                s.asleep[self] = (const _Atomic uint32_t *)&s.now; /* anything but a futex */
                model_block_until(epoll_ended, (void *)(uintptr_t)&numbers[self]);
                s.asleep[self] = NULL;
        }
        if (fake_event_is_raised(BELL))
                events[n++].data.u64 = (uint64_t)(uintptr_t)&peer; /* TAG_BELL is 0 */
        if (fake_event_is_raised(KICK))
                events[n++].data.u64 = 3; /* TAG_KICK */
        fake_events.heard[BELL] = fake_events.raised[BELL];
        fake_events.heard[KICK] = fake_events.raised[KICK];
        return n;
}

int sched_getcpu(void) { return 0; }

/* ---- fakes: the library around wait.c ---- */

void ptl_wait_signal_receiver(struct ptl_task *task, struct ptl_receiver *receiver);

static void put(unsigned port)
{
        s.queued[port]++;
        ptl_wait_signal_receiver(&ptl_the_task, &s.receivers[port]);
}

int ptl_deliver(struct ptl_peer *from, struct ptl_want *want, unsigned frames)
{
        while (frames-- && !(want && want->got)) {
                struct ptl_frame f = {0};

                if (ptl_ring_peek(&from->link.rx, &f))
                        break;
                ptl_ring_advance(&from->link.rx, &f);
                ptl_ring_consume(&from->link.rx, f.end);
                if (want && want->receiver == &s.receivers[f.head.right] && !s.queued[f.head.right])
                        want->got = &s.message;
                else
                        put(f.head.right);
        }
        return 0;
}

void ptl_control_flush(struct ptl_peer *to)
{
        if (!ptl_load_acquire(&s.room))
                return;
        ptl_control_set_pending(to, false);
        s.control_written = true;
}

void ptl_left_check(struct ptl_task *task);
void ptl_left_check(struct ptl_task *task)
{
        if (!task->space.lefts || !ptl_load_acquire(&s.room))
                return;
        task->space.lefts = NULL;
        s.left_taken = true;
        put(0); /* the notification */
}

ptl_time ptl_after_ms(int64_t ms) { return PTL_FOREVER; }
ptl_time ptl_server_due(const struct ptl_task *task) { return PTL_FOREVER; }
void ptl_seek_step(struct ptl_task *task);
void ptl_seek_step(struct ptl_task *task) { (void)task; } /* nothing of a third task's */
void ptl_ways_step(struct ptl_space *space);
void ptl_ways_step(struct ptl_space *space) { (void)space; } /* no port moves */
void ptl_seek_drained(struct ptl_task *task, const struct ptl_peer *drained);
void ptl_seek_drained(struct ptl_task *task, const struct ptl_peer *drained) { (void)task, (void)drained; }
ptl_time ptl_seek_due(const struct ptl_task *task);
ptl_time ptl_seek_due(const struct ptl_task *task) { return (void)task, PTL_FOREVER; }
int ptl_board_look(struct ptl_task *task, int timeout_ms) { return timeout_ms; } /* its sleeps may end early */
void ptl_served_serve(struct ptl_task *task) {} /* nothing is ever due */
_Atomic uint32_t ptl_trace_asked;
void ptl_watched_look(struct ptl_task *task);
void ptl_watched_look(struct ptl_task *task) { model_fail("nobody watches"); }
void ptl_server_step(struct ptl_task *task) { model_fail("no server"); }
void ptl_server_input(struct ptl_task *task) { model_fail("no server"); }
void ptl_task_unlink(struct ptl_task *task, struct ptl_peer *gone) { model_fail("unlink"); }
bool ptl_relink_begin(struct ptl_task *task, struct ptl_peer *lost)
{
        model_fail("relink");
        return false;
}
int ptl_restrain(struct ptl_task *task, struct ptl_peer *from, struct ptl_want *want, unsigned frames)
{
        model_fail("nobody reaches a limit");
        return 0;
}
void ptl_peer_free(struct ptl_peer *p) { (void)p; }
int ptl_link_input(struct ptl_link *link) { return 0; }

#include "base/lock.c" /* with PTL_LOCK_SPINS as above */

/* ---- setting up ---- */

static void reset_task(void)
{
        struct ptl_task *task = &ptl_the_task;

        memset(task, 0, sizeof *task);
        memset(entries, 0, sizeof entries);
        task->space.entries = (struct ptl_table){
                .chunks = chunks, .length = ENTRIES, .element_size = sizeof(struct ptl_entry)};
        task->wait.kick = FAKE_EVENT_FIRST + KICK;
        task->wait.how = plan()->polls ? PTL_WAIT_ADAPTIVE : PTL_WAIT_BLOCK;
        task->wait.cpus = 2;
        task->wait.hot_peers = s.hot_peers;
        task->wait.hot_room = 4;
        task->space.peers = &peer;
        for (unsigned i = 0; i < PORTS; i++) {
                s.receivers[i].name = i + 1;
                entries[i + 1] = (struct ptl_entry){
                        .name = i + 1, .rights = PTL_RIGHT_RECEIVE, .receiver = &s.receivers[i]};
        }
}

/* What ptl_control_flush() leaves in a full ring, and ptl_send_message() with a full port. */
static void begin_to_wait_for_room(void)
{
        ptl_control_set_pending(&peer, plan()->pending);
        if (plan()->left)
                ptl_the_task.space.lefts = (struct ptl_left *)(void *)&s.message;
}

static void reset(void)
{
        struct ptl_outbox box = {theirs}, ours = {mine};

        memset(&s, 0, sizeof s);
        memset(&peer, 0, sizeof peer);
        memset(&fake_events, 0, sizeof fake_events);
        memset(mine, 0, sizeof(struct ptl_outbox_head));
        memset(theirs, 0, sizeof(struct ptl_outbox_head));
        memset(theirs + PTL_OUTBOX_RINGS, 0, SIZE);
        reset_task();
        peer.references = 1;
        peer.space = &ptl_the_task.space;
        peer.link.state = PTL_LINK_OPEN;
        peer.link.mine = ours;
        peer.link.peer = box;
        peer.link.cpu = 0;
        if (!plan()->by_another)
                begin_to_wait_for_room();
        ptl_ring_reader_init(&peer.link.rx, &box, &ours);
        peer.link.rx.size = SIZE;
        ptl_ring_writer_init(&s.tx, &box);
        s.tx.size = s.tx.limit = SIZE;
        s.tx.peer_consumed = &HEAD(mine)->consumed;
        HEAD(theirs)->bell.cpu = 1; /* polling is worth while */
        if (plan()->cold)
                ptl_bell_arm(&HEAD(mine)->bell, &peer.link.sleeper);
        else
                ptl_wait_heat(&ptl_the_task, &peer);
        ptl_the_task.wait.poke = 0;
        model_name(&HEAD(mine)->bell.armed, 4, "armed");
        model_name(&HEAD(mine)->bell.wanting, 4, "wanting");
        model_name(&HEAD(mine)->consumed, 8, "consumed");
        model_name(theirs + PTL_OUTBOX_RINGS, SIZE, "ring");
        model_name(&ptl_the_task.space.lock, 4, "task lock");
        model_name(&ptl_the_task.wait.poke, 4, "poke");
        model_name(&s.room, 4, "room");
}

/* ---- threads of the task ---- */

/* As message_check() of task/receive.c. */
static bool message_check(struct ptl_task *task, struct ptl_waiter *waiter)
{
        unsigned port = waiter->port - 1;

        if (!waiter->want.got && !s.queued[port])
                return false;
        s.got[port]++;
        if (waiter->want.got)
                waiter->want.got = NULL;
        else
                s.queued[port]--;
        return true;
}

/* As room_check() of task/send.c. */
static bool room_check(struct ptl_task *task, struct ptl_waiter *waiter)
{
        return ptl_load_acquire(&s.room) != 0;
}

/* As ptl_quick_receive(). */
static void take_straight(struct ptl_task *task)
{
        struct ptl_frame f = {0};
        struct ptl_peer *from;

        while (!(from = ptl_wait_frame(task, PTL_FOREVER)))
                ;
        model_check(ptl_ring_peek(&from->link.rx, &f) == 0);
        ptl_ring_advance(&from->link.rx, &f);
        s.got[f.head.right]++;
}

static void waiter_thread(unsigned self)
{
        struct ptl_task *task = &ptl_the_task;
        struct ptl_waiter waiter = {.kind = plan()->sends[self] ? PTL_WAITS_ROOM : PTL_WAITS_MESSAGE,
                                    .check = plan()->sends[self] ? room_check : message_check,
                                    .want.receiver = &s.receivers[self],
                                    .port = self + 1};
        int r = 0;

        ptl_lock(&task->space.lock);
        if (plan()->local[self] && plan()->by_another) {
                begin_to_wait_for_room();
                ptl_wait_rethink(task); /* as ptl_control_flush() and leave_with() */
        } else if (plan()->local[self])
                put(0);
        else if (plan()->straight)
                take_straight(task);
        else
                r = ptl_wait_for(task, &waiter, plan()->timed[self] ? LATER : PTL_FOREVER);
        ptl_unlock(&task->space.lock);
        model_check(r == 0 || (r == PTL_E_TIMEOUT && time_is_up(self)));
}

/* ---- the world ---- */

static void send_to(uint32_t port)
{
        struct ptl_frame_head head = {.right = port};
        struct ptl_ring_slot slot = {0};

        model_check(ptl_ring_reserve(&s.tx, 0, 0, &slot) == 0);
        ptl_ring_publish(&s.tx, &slot, PTL_FRAME_INLINE, 0, &head);
        ptl_fence_seq_cst(); /* E3 */
        if (ptl_bell_due(&HEAD(mine)->bell, &s.ringer))
                fake_event_raise(BELL);
}

static void give_room(void)
{
        ptl_store_release(&s.room, 1);
        ptl_fence_seq_cst(); /* E3 */
        if (ptl_bell_room_due(&HEAD(mine)->bell, &s.ringer))
                fake_event_raise(BELL);
}

static bool first_sender_ended(void *arg)
{
        (void)arg;
        return model_ended(1);
}

static bool all_written(void *arg)
{
        (void)arg;
        return s.control_written;
}

static void act(enum does what)
{
        switch (what) {
        case SEND_0:
        case SEND_1:
        case SEND_2:
                send_to((uint32_t)(what - SEND_0));
                return;
        case TIME:
                model_step("time passes");
                s.now = LATER;
                return;
        case ROOM:
                give_room();
                return;
        case AWAIT:
                model_block_until(first_sender_ended, NULL);
                return;
        case AWAIT_ALL:
                model_block_until(all_written, NULL);
                return;
        case NOTHING:
                return;
        }
}

static void world(void)
{
        bool swap = plan()->shuffled && model_choose(2);

        act(plan()->world[swap]);
        act(plan()->world[!swap]);
        for (unsigned i = 2; i < PTL_ARRAY_LEN(plan()->world); i++)
                act(plan()->world[i]);
}

static void thread(unsigned self)
{
        if (self == world_thread())
                world();
        else
                waiter_thread(self);
}

static bool check(void)
{
        const struct ptl_wait_state *w = &ptl_the_task.wait;

        return !w->waiters && !w->leader && !w->waits_room && peer.references == 1;
}

/* ---- cases ---- */

static const struct plan alone = {.world = {SEND_0}};
static const struct plan cold = {.world = {SEND_0}, .cold = true};
static const struct plan pair = {.world = {SEND_0, SEND_1}, .shuffled = true};
static const struct plan leaves = {.timed = {true}, .world = {TIME, SEND_1}, .shuffled = true};
static const struct plan both_leave = {
        .timed = {true, true}, .world = {TIME, SEND_2}, .shuffled = true};
static const struct plan all_leave = {.timed = {true, true}, .world = {TIME}};
static const struct plan local = {.local = {false, true}};
static const struct plan polled = {.world = {SEND_0}, .polls = true};
static const struct plan not_told = {
        .timed = {true}, .world = {TIME, SEND_1}, .shuffled = true, .no_hand_over = true};
static const struct plan room_alone = {.sends = {true}, .world = {ROOM}};
static const struct plan room_too = {.sends = {false, true}, .world = {ROOM, AWAIT, SEND_0}};
static const struct plan pending = {.pending = true, .world = {ROOM, AWAIT_ALL, SEND_0}};
static const struct plan left = {.left = true, .world = {ROOM}};
static const struct plan pending_late = {.pending = true, .by_another = true, .local = {false, true},
                                         .world = {AWAIT, ROOM, AWAIT_ALL, SEND_0}};
static const struct plan left_late = {.left = true, .by_another = true, .local = {false, true},
                                      .world = {AWAIT, ROOM}};

static const struct plan straight = {.straight = true, .world = {SEND_0}};
static const struct plan straight_cold = {.straight = true, .cold = true, .world = {SEND_0}};
static const struct plan straight_polled = {.straight = true, .polls = true, .world = {SEND_0}};

/* clang-format off */
#define PLAIN(n, p, t) .name = n, .nthreads = (t) + 1, .state = everything, .arg = &(p), .reset = reset, \
                       .thread = thread, .spins = 40
#define CASE(n, p, t)  PLAIN(n, p, t), .check = check
#define FAILS          .expect_failure = true
/* The shipped source fails here and should not; when it is mended, take the mark away. */
#define BOTH(q, d)     .quick = {q, q}, .deep = {d, d}

static const struct scenario cases[] = {
        {CASE("a_single_waiter_gets_its_message", alone, 1), BOTH(3, 4)},
        {CASE("also_when_its_link_is_cold", cold, 1), BOTH(3, 4)},
        {CASE("also_when_it_polls", polled, 1), .quick = {1, 1}, .deep = {2, 1}},
        {CASE("the_straight_way_gets_its_message", straight, 1), BOTH(3, 4)},
        {CASE("the_straight_way_gets_it_when_its_link_is_cold", straight_cold, 1), BOTH(3, 4)},
        {CASE("the_straight_way_gets_it_when_it_polls", straight_polled, 1), .quick = {1, 1}, .deep = {2, 1}},
        {CASE("two_waiters_get_each_its_message", pair, 2),
         .quick = {2, 1}, .deep = {2, 2}},
        {CASE("a_leader_that_times_out_leaves_the_other_one_leading", leaves, 2),
         .quick = {2, 1}, .deep = {2, 2}},
        {CASE("a_leader_and_the_elected_one_time_out_and_the_third_leads", both_leave, 3), .quick = {1, 1}, .deep = {2, 1}},
        {CASE("when_all_time_out_nobody_leads", all_leave, 2),
         .quick = {2, 1}, .deep = {2, 2}},
        {CASE("a_message_of_another_thread_of_the_task_wakes_the_leader", local, 2),
         .quick = {2, 1}, .deep = {2, 2}},
        {CASE("a_waiter_for_room_is_woken", room_alone, 1), BOTH(3, 4)},

        {CASE("without_telling_the_elected_one_a_message_stays", not_told, 2), FAILS},
        {CASE("without_the_fence_before_the_look_a_message_stays", alone, 1), FAILS,
         .mutations = MODEL_DROP_FENCES, .mutate = 1 << 0},
        {CASE("without_the_fence_before_the_look_the_straight_way_misses_a_message", straight, 1), FAILS,
         .mutations = MODEL_DROP_FENCES, .mutate = 1 << 0},
        {CASE("without_the_peers_fence_a_message_stays", alone, 1), FAILS,
         .mutations = MODEL_DROP_FENCES, .mutate = 1 << 1},

        {CASE("a_left_message_is_reported_when_it_was_taken", left, 1), BOTH(3, 4)},
        {CASE("a_thread_that_comes_to_wait_for_room_while_the_leader_sleeps_is_woken", room_too, 2)},
        {CASE("a_control_frame_is_written_when_there_is_room", pending, 1)},
        {CASE("also_when_another_thread_left_it_while_the_leader_sleeps", pending_late, 2)},
        {CASE("a_message_left_while_the_leader_sleeps_is_reported", left_late, 2)},
        {.name = NULL},
};
/* clang-format on */

int main(int argc, char **argv) { return explore_main(argc, argv, cases); }
