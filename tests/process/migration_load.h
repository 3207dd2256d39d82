/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migration_load.h - a port that travels among keepers while senders send to it at full rate, and the books of that
 *
 * Senders number what they send. Whoever has the port takes it, and checks that of each sender the next number comes,
 * whoever took the one before. The books lie in a file that all of them map, so that they outlive who is killed: a
 * sender writes the number down before it sends, and again when the send has returned.
 */
#pragma once
#include "base/atomic.h"
#include "counts.h"
#include "leave_clean.h"
#include "not_yet.h"
#include <poll.h>
#include <pthread.h>
#include <sched.h>

enum {
        SENDERS_MAX = 8,
        KEEPERS_MAX = 3,
        BATCH = 6,
        LARGE = 20000,
        TAKEN_MAX = 40,  /* before a port moves on, if nobody is waited for */
        FOLLOW_EVERY = 8 /* moves: then all senders must have followed. A right of more than 64 hops is dead (S9) */
};

/* How a sender sends; by its number, if MIXED. */
enum how { PLAIN, SIZES, BATCHES, LOANS, RIGHTS, CALLS, TRIES, LEAVES, MIXED };

/* All are stored with release and loaded with acquire. */
struct account {
        _Atomic uint64_t begun;   /* the last number that may have been sent */
        _Atomic uint64_t ended;   /* the last one whose send returned */
        _Atomic uint64_t taken;   /* the last one that was taken; the keeper's */
        _Atomic uint32_t move;    /* moves that had been made when that was sent; the keeper's */
        _Atomic uint32_t is_done; /* sends no more */
        _Atomic uint32_t outcome; /* of its last send */
        _Atomic uint32_t is_gone; /* killed or stopped: nobody waits for it; the case's */
};

struct keeping {
        _Atomic uint32_t has;       /* the port */
        _Atomic uint32_t is_moving; /* in the send that carries it */
        _Atomic uint32_t gave;      /* such sends that returned 0 */
        _Atomic uint32_t outcome;   /* of the last one */
};

struct books {
        _Atomic uint32_t stop;   /* send no more */
        _Atomic uint32_t wanted; /* moves, in all */
        _Atomic uint32_t moves;  /* made: the receive right was taken from its message */
        _Atomic uint32_t ahead;  /* numbers that may have been begun beyond what was taken: the window, and the one at hand */
        struct account senders[SENDERS_MAX];
        struct keeping keepers[KEEPERS_MAX];
};

/* What each message begins with. */
struct numbered {
        uint32_t sender, move;
        uint64_t number;
};

static struct books *books;

static inline struct books *open_books(const char *path, int flags)
{
        int fd = open(path, flags | O_RDWR | O_CLOEXEC, 0600);
        void *map;

        CHECK(fd >= 0);
        CHECK(ftruncate(fd, sizeof *books) == 0);
        map = mmap(NULL, sizeof *books, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        CHECK(map != MAP_FAILED);
        close(fd);
        return map;
}

/* ---- chance ---- */

static uint64_t chance = 1;

static inline uint32_t random_below(uint32_t n)
{
        chance ^= chance << 13; /* xorshift64 */
        chance ^= chance >> 7;
        chance ^= chance << 17;
        return (uint32_t)((chance >> 32) % n);
}

static inline unsigned number_from(const char *variable, unsigned otherwise)
{
        const char *s = getenv(variable);

        return s && *s ? (unsigned)strtoul(s, NULL, 0) : otherwise;
}

/* MIGRATION_SEED repeats the choices, though not what the machine makes of them. */
static inline void begin_chance(void)
{
        unsigned seed = number_from("MIGRATION_SEED", (unsigned)tst_now_ms());

        fprintf(stderr, "# MIGRATION_SEED=%u\n", seed);
        chance = seed * 2654435761u + 1;
}

/* True when the case has something to say, or has closed. */
static inline bool is_spoken_to(void)
{
        struct pollfd p = {.fd = 3, .events = POLLIN}; /* as in peer.c */

        return poll(&p, 1, 0) > 0;
}

/* ---- a sender ---- */

static enum how how;
static ptl_port to, own; /* own: what it carries rights to */
static _Thread_local uint32_t me; /* threads of a task are senders each, through the one right that it has */
static _Thread_local struct account *account;
static _Thread_local unsigned char bytes[BATCH][LARGE];

static inline size_t number_message(unsigned i, uint64_t n)
{
        struct numbered head = {me, ptl_load_acquire(&books->moves), n};
        size_t size = sizeof head + (how == SIZES || how == LOANS ? n * 7919 % (n % 20 ? 500 : LARGE - 100) : n % 50);

        memcpy(bytes[i], &head, sizeof head);
        fill(bytes[i] + sizeof head, size - sizeof head, (unsigned)n % 251);
        return size;
}

static inline int send_batch(uint64_t n, uint64_t *ret_ended)
{
        struct ptl_bytes all[BATCH];
        size_t sent;
        int r;

        for (unsigned i = 0; i < BATCH; i++)
                all[i] = (struct ptl_bytes){bytes[i], number_message(i, n + i)};
        ptl_store_release(&account->begun, n + BATCH - 1);
        r = ptl_send_batch(to, all, BATCH, &sent, soon());
        *ret_ended = n + sent - 1;
        return r;
}

static inline int send_loan(size_t size)
{
        struct ptl_loan loan;
        int r = ptl_loan_reserve(to, size, &loan, soon());

        if (r)
                return r;
        memcpy(loan.data, bytes[0], size);
        r = ptl_loan_publish(&loan, size, NULL, soon());
        if (r)
                ptl_loan_cancel(&loan);
        return r;
}

static inline int call_with(size_t size, uint64_t n)
{
        uint64_t answer = 0;
        size_t room = sizeof answer;
        int r = ptl_call(to, bytes[0], size, &answer, &room, soon());

        if (!r)
                CHECK_EQ(answer, n);
        return r == PTL_E_NO_REPLY ? PTL_E_DEAD : r; /* the port may die with the request */
}

/* PTL_E_FULL is nothing but a no, however often. */
static inline int try_to_send(size_t size)
{
        int r;

        do {
                r = ptl_send(to, bytes[0], size, PTL_NOW);
                if (r == PTL_E_FULL)
                        sched_yield();
        } while (r == PTL_E_FULL && !ptl_load_acquire(&books->stop));
        return r;
}

/* One is left with the port at a time; meanwhile it waits as others do. */
static inline int leave_one(size_t size)
{
        struct ptl_outgoing out = {.data = bytes[0], .size = size, .leave = 1, .notify = own};
        int r = ptl_send_message(to, &out, PTL_NOW);

        return r == PTL_E_FULL ? ptl_send(to, bytes[0], size, soon()) : r;
}

static inline int send_one(uint64_t n)
{
        size_t size = number_message(0, n);
        struct ptl_right_item items[] = {
                {own, PTL_MAKE_SEND     },
                {own, PTL_MAKE_SEND_ONCE}
        };
        struct ptl_outgoing out = {.data = bytes[0], .size = size, .rights = items, .n_rights = 1 + n % 2};

        ptl_store_release(&account->begun, n);
        if (how == LOANS)
                return send_loan(size);
        if (how == RIGHTS)
                return ptl_send_message(to, &out, soon());
        if (how == TRIES)
                return try_to_send(size);
        if (how == LEAVES)
                return leave_one(size);
        return how == CALLS ? call_with(size, n) : ptl_send(to, bytes[0], size, soon());
}

/* It is told of each send-once right that was not used, and of each message left that was taken. */
static inline void drain(ptl_time deadline)
{
        struct ptl_message m;

        while (ptl_receive(own, &m, deadline) == 0) {
                CHECK_EQ(m.kind, how == LEAVES ? PTL_NOTIFY_MESSAGE_ACCEPTED : PTL_NOTIFY_SEND_ONCE);
                ptl_message_release(&m);
        }
}

/* Until it is told to stop, or the port is dead. */
static inline void *send_all_the_time(void *first_account)
{
        uint64_t ended = 0;
        int r = 0;

        account = first_account;
        me = (uint32_t)(account - books->senders);
        while (!r && !ptl_load_acquire(&books->stop)) {
                if (how == BATCHES) {
                        r = send_batch(ended + 1, &ended);
                } else {
                        r = send_one(ended + 1);
                        ended += r == 0;
                }
                ptl_store_release(&account->ended, ended);
                if (how == RIGHTS || how == LEAVES)
                        drain(PTL_NOW);
        }
        r = r == PTL_E_FULL ? 0 : r; /* TRIES, and was told to stop */
        ptl_store_release(&account->outcome, (uint32_t)r);
        ptl_store_release(&account->is_done, 1);
        return NULL;
}

/* Until all of them have ended. */
static inline void send_with_threads(unsigned first, unsigned count)
{
        pthread_t threads[SENDERS_MAX];

        for (unsigned i = 1; i < count; i++)
                CHECK(pthread_create(&threads[i], NULL, send_all_the_time, &books->senders[first + i]) == 0);
        send_all_the_time(&books->senders[first]);
        for (unsigned i = 1; i < count; i++)
                pthread_join(threads[i], NULL);
}

/* sender NUMBER BOOKS HOW THREADS: the senders from that number on, one a thread */
PEER(sender)
{
        struct belongings before = belongings();
        unsigned first = (unsigned)atoi(argv[1]);
        char name[24];
        ptl_port mailbox;

        books = open_books(argv[2], 0);
        how = (enum how)atoi(argv[3]);
        how = how == MIXED ? (enum how)(first % MIXED) : how;
        mailbox = new_port();
        own = new_port();
        snprintf(name, sizeof name, "sender-%u", first);
        OK(ptl_name_publish(name, mailbox));
        peer_say(NULL, "is there");
        to = take_right(mailbox);
        send_with_threads(first, (unsigned)atoi(argv[4]));
        while (!is_spoken_to())
                drain(ptl_after_ms(1));
        if (ptl_load_relaxed(&books->senders[first].outcome) == PTL_E_DEAD)
                check_rights(to, PTL_RIGHT_DEAD, 1);
        else
                check_rights(to, PTL_RIGHT_SEND, 1);
        munmap(books, sizeof *books);
        leave_clean(before);
}

/* ---- a keeper ---- */

static struct keeping *keeping;
static unsigned n_senders, n_threads; /* of a sender's task */
static ptl_port mail, port, next, everything;
static unsigned taken_here, take_before_move;

static inline void gets(ptl_port p)
{
        port = p;
        taken_here = 0;
        take_before_move = random_below(TAKEN_MAX);
        OK(ptl_set_add(everything, port));
        ptl_store_release(&keeping->has, 1);
}

/* The port begins here; each sender gets a right to it. */
static inline void own_the_port(uint32_t limit)
{
        struct ptl_port_options o = {.limit_messages = limit};
        ptl_port mine;

        OK(ptl_port_new(&mine, &o));
        gets(mine);
        for (unsigned i = 0; i < n_senders; i += n_threads) {
                char name[24];
                ptl_port sender;

                snprintf(name, sizeof name, "sender-%u", i);
                sender = look_up(name);
                put_right(sender, port, PTL_MAKE_SEND);
                OK(ptl_right_release(sender));
        }
}

static inline void answer(struct ptl_message *m, const struct numbered *head)
{
        int r = m->reply ? ptl_reply(m, &head->number, sizeof head->number) : 0;

        if (!ptl_load_acquire(&books->senders[head->sender].is_gone))
                OK(r);
}

static inline void take_numbered(struct ptl_message *m)
{
        struct numbered head;
        struct account *of;

        CHECK(ptl_load_relaxed(&keeping->has));
        CHECK(m->size >= sizeof head);
        memcpy(&head, m->data, sizeof head);
        CHECK(head.sender < n_senders);
        of = &books->senders[head.sender];
        CHECK_EQ(head.number, ptl_load_acquire(&of->taken) + 1);
        CHECK(head.number <= ptl_load_acquire(&of->begun));
        CHECK(ptl_load_acquire(&of->begun) <= head.number + ptl_load_acquire(&books->ahead));
        CHECK(is_filled((const char *)m->data + sizeof head, m->size - sizeof head, (unsigned)head.number % 251));
        for (uint32_t i = 0; i < m->n_rights; i++)
                ptl_right_release(m->rights[i].port);
        answer(m, &head);
        taken_here++;
        ptl_store_release(&of->move, head.move);
        ptl_store_release(&of->taken, head.number);
}

/* Something of each sender was taken that it sent after the last move. */
static inline bool have_followed(void)
{
        uint32_t moves = ptl_load_acquire(&books->moves);

        for (unsigned i = 0; i < n_senders; i++) {
                struct account *a = &books->senders[i];

                if (!ptl_load_acquire(&a->is_gone) && !ptl_load_acquire(&a->is_done) &&
                    ptl_load_acquire(&a->move) < moves)
                        return false;
        }
        return true;
}

static inline bool is_to_move(void)
{
        uint32_t moves = ptl_load_acquire(&books->moves);

        if (!ptl_load_relaxed(&keeping->has) || moves >= ptl_load_acquire(&books->wanted))
                return false;
        return moves % FOLLOW_EVERY ? taken_here >= take_before_move : have_followed();
}

/* To a keeper that is dead it does not go, and is here then as before. */
static inline void move_on(void)
{
        struct ptl_right_item item = {port, PTL_MOVE_RECEIVE};
        struct ptl_outgoing out = {.rights = &item, .n_rights = 1};
        int r;

        ptl_store_release(&keeping->has, 0);
        ptl_store_release(&keeping->is_moving, 1);
        r = ptl_send_message(next, &out, soon());
        ptl_store_release(&keeping->outcome, (uint32_t)r);
        ptl_store_release(&keeping->gave, ptl_load_relaxed(&keeping->gave) + (r == 0));
        ptl_store_release(&keeping->is_moving, 0);
        if (!r) {
                check_no_name(port);
                return;
        }
        CHECK_EQ(r, PTL_E_DEAD);
        check_rights(port, PTL_RIGHT_RECEIVE, 0);
        ptl_store_release(&books->wanted, ptl_load_relaxed(&books->moves));
        ptl_store_release(&keeping->has, 1);
}

/* False if there was none. */
static inline bool take_one(void)
{
        struct ptl_message m;
        unsigned flags = random_below(2) ? PTL_IN_PLACE : 0;
        int r = ptl_receive_with(everything, &m, flags, ptl_after_ms(1));

        if (r == PTL_E_TIMEOUT)
                return false;
        OK(r);
        if (m.port == mail) {
                CHECK_EQ(m.n_rights, 1);
                CHECK_EQ(m.rights[0].disposition, PTL_RIGHT_RECEIVE);
                gets(m.rights[0].port);
                ptl_store_release(&books->moves, ptl_load_relaxed(&books->moves) + 1);
        } else {
                take_numbered(&m);
        }
        ptl_message_release(&m);
        return true;
}

/* Mailbox, set, another's mailbox, and the port; links with the others. Nothing of those who are gone. */
static inline bool is_nothing_left(void)
{
        struct ptl_message m;

        CHECK_EQ(ptl_receive(mail, &m, ptl_after_ms(1)), PTL_E_TIMEOUT);
        return statistics().names == 3 + ptl_load_relaxed(&keeping->has) && statistics().links < KEEPERS_MAX;
}

/* All senders are gone: then it is told so, and nothing is queued. */
static inline void have_all_left(void)
{
        ptl_port told;

        CHECK(tst_wait_until(is_nothing_left(), 10000));
        if (!ptl_load_relaxed(&keeping->has))
                return;
        told = new_port();
        check_empty(port);
        ask(port, PTL_NOTIFY_NO_SENDERS, 0, told);
        take_no_senders(told, ptl_load_relaxed(&books->moves) ? 0 : n_senders / n_threads);
        CHECK_EQ(counts_of(port).once, 0);
        OK(ptl_port_free(told));
}

static inline bool obey_keeper(const char *line)
{
        unsigned limit;

        if (sscanf(line, "meet keeper-%u", &limit) == 1)
                next = look_up(line + 5);
        else if (sscanf(line, "own %u", &limit) == 1)
                own_the_port(limit);
        else if (!strcmp(line, "all have left"))
                have_all_left();
        else
                return false;
        peer_say(NULL, "done");
        return true;
}

/* keeper NUMBER BOOKS SENDERS THREADS SEED */
PEER(keeper)
{
        struct belongings before = belongings();
        char name[24], line[32];

        me = (uint32_t)atoi(argv[1]);
        books = open_books(argv[2], 0);
        keeping = &books->keepers[me];
        n_senders = (unsigned)atoi(argv[3]);
        n_threads = (unsigned)atoi(argv[4]);
        chance = strtoull(argv[5], NULL, 0) | 1;
        mail = new_port();
        everything = new_set();
        OK(ptl_set_add(everything, mail));
        snprintf(name, sizeof name, "keeper-%u", me);
        OK(ptl_name_publish(name, mail));
        peer_say(NULL, "is there");
        for (unsigned i = 0;; i++) {
                bool took = take_one();

                if (is_to_move())
                        move_on();
                if ((!took || i % 64 == 0) && is_spoken_to() &&
                    (!peer_hear_line(NULL, line, sizeof line) || !obey_keeper(line)))
                        break;
        }
        munmap(books, sizeof *books);
        leave_clean(before);
}

/* ---- the case's side ---- */

#define LOAD_TEST(fn, n)                                                                           \
        static void fn##_loaded(void);                                                             \
        API_TEST_TIMES(fn, n)                                                                      \
        {                                                                                          \
                not_yet(#fn);                                                                      \
                fn##_loaded();                                                                     \
        }                                                                                          \
        static void fn##_loaded(void)

static struct load {
        struct peer keepers[KEEPERS_MAX], senders[SENDERS_MAX];
        unsigned n_keepers, n_senders;
} load;

static inline void start_peer(struct peer *ret_peer, const char *role, unsigned i, unsigned third, unsigned fourth,
                              unsigned fifth)
{
        unsigned numbers[] = {i, third, fourth, fifth};
        char path[128], texts[ARRAY_LEN(numbers)][16];

        snprintf(path, sizeof path, "%s/books", tst_temp_dir());
        for (size_t k = 0; k < ARRAY_LEN(numbers); k++)
                snprintf(texts[k], sizeof texts[k], "%u", numbers[k]);
        peer_start(ret_peer, role, texts[0], path, texts[1], texts[2], texts[3], NULL);
        peer_hear(ret_peer, "is there");
}

static inline void say_keeper(unsigned i, const char *format, unsigned n)
{
        char line[32];

        snprintf(line, sizeof line, format, n);
        peer_say(&load.keepers[i], "%s", line);
        peer_hear(&load.keepers[i], "done");
}

/* Every sender that is not gone has had something taken beyond what it had begun at @since; NULL: anything. */
static inline bool go_on(const uint64_t *since)
{
        for (unsigned i = 0; i < load.n_senders; i++)
                if (!ptl_load_acquire(&books->senders[i].is_gone) &&
                    ptl_load_acquire(&books->senders[i].taken) <= (since ? since[i] : 0))
                        return false;
        return true;
}

static inline void print_books(void)
{
        for (unsigned i = 0; i < load.n_senders; i++) {
                struct account *a = &books->senders[i];

                fprintf(stderr, "# sender %u: begun %" PRIu64 ", ended %" PRIu64 ", taken %" PRIu64 ", outcome %s%s\n", i,
                        ptl_load_acquire(&a->begun), ptl_load_acquire(&a->ended), ptl_load_acquire(&a->taken),
                        ptl_outcome_name((int)ptl_load_acquire(&a->outcome)),
                        ptl_load_acquire(&a->is_gone) ? ", gone" : "");
        }
        for (unsigned i = 0; i < load.n_keepers; i++)
                fprintf(stderr, "# keeper %u: has %u, gave %u, outcome %s\n", i,
                        ptl_load_acquire(&books->keepers[i].has), ptl_load_acquire(&books->keepers[i].gave),
                        ptl_outcome_name((int)ptl_load_acquire(&books->keepers[i].outcome)));
}

static inline void has_not_failed(const struct peer *p)
{
        siginfo_t info = {.si_pid = 0};

        if (p->pid > 0 && waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
                CHECK_EQ(info.si_pid, 0);
}

static inline bool nobody_failed(void)
{
        for (unsigned i = 0; i < load.n_keepers; i++)
                has_not_failed(&load.keepers[i]);
        for (unsigned i = 0; i < load.n_senders; i++) {
                uint32_t outcome = ptl_load_acquire(&books->senders[i].outcome);

                has_not_failed(&load.senders[i]);
                CHECK(outcome == 0 || outcome == PTL_E_DEAD);
        }
        return true;
}

static inline void came_about(const char *file, int line, const char *what, bool did)
{
        if (did)
                return;
        print_books();
        tst_fail(file, line, what, "in time");
}

#define comes_about(cond)                                                                          \
        came_about(__FILE__, __LINE__, #cond, tst_wait_until(nobody_failed() && (cond), 15000))

/* The first keeper has a port of that limit, and all senders, so many in each task, send to it as @how says. */
static inline void start_threads(unsigned n_keepers, unsigned senders, unsigned threads, enum how its_how,
                                 uint32_t limit)
{
        char path[128];

        snprintf(path, sizeof path, "%s/books", tst_temp_dir());
        unlink(path);
        books = open_books(path, O_CREAT);
        ptl_store_release(&books->ahead, limit + (its_how == BATCHES || its_how == MIXED ? BATCH : 2));
        load = (struct load){.n_keepers = n_keepers, .n_senders = senders};
        for (unsigned i = 0; i < n_keepers; i++)
                start_peer(&load.keepers[i], "keeper", i, senders, threads, random_below(UINT32_MAX));
        for (unsigned i = 0; i < senders; i += threads)
                start_peer(&load.senders[i], "sender", i, its_how, threads, 0);
        for (unsigned i = 0; i < n_keepers; i++)
                say_keeper(i, "meet keeper-%u", (i + 1) % n_keepers);
        say_keeper(0, "own %u", limit);
        comes_about(go_on(NULL));
}

static inline void start_load(unsigned n_keepers, unsigned senders, enum how its_how, uint32_t limit)
{
        start_threads(n_keepers, senders, 1, its_how, limit);
}

static inline bool are_done(void)
{
        for (unsigned i = 0; i < load.n_senders; i++)
                if (!ptl_load_acquire(&books->senders[i].is_gone) &&
                    !ptl_load_acquire(&books->senders[i].is_done))
                        return false;
        return true;
}

static inline bool is_all_taken(void)
{
        for (unsigned i = 0; i < load.n_senders; i++)
                if (ptl_load_acquire(&books->senders[i].taken) < ptl_load_acquire(&books->senders[i].ended))
                        return false;
        return true;
}

static inline uint64_t all_ended(void)
{
        uint64_t n = 0;

        for (unsigned i = 0; i < load.n_senders; i++)
                n += ptl_load_acquire(&books->senders[i].ended);
        return n;
}

/* All that was sent is taken, once; of one that was killed, perhaps also what it was about to say that it had sent. */
static inline void stop_load(void)
{
        ptl_store_release(&books->stop, 1);
        comes_about(are_done());
        comes_about(is_all_taken());
        for (unsigned i = 0; i < load.n_senders; i++) {
                struct account *a = &books->senders[i];

                CHECK_EQ(ptl_load_acquire(&a->outcome), 0);
                if (ptl_load_acquire(&a->is_gone))
                        CHECK(ptl_load_acquire(&a->taken) <= ptl_load_acquire(&a->begun));
                else
                        CHECK_EQ(ptl_load_acquire(&a->taken), ptl_load_acquire(&a->ended));
        }
}

/* Those who were killed have no process. */
static inline void end_load(void)
{
        for (unsigned i = 0; i < load.n_senders; i++)
                if (load.senders[i].pid)
                        peer_end(&load.senders[i]);
        for (unsigned i = 0; i < load.n_keepers; i++)
                if (load.keepers[i].pid)
                        say_keeper(i, "all have left", 0);
        for (unsigned i = 0; i < load.n_keepers; i++)
                if (load.keepers[i].pid)
                        peer_end(&load.keepers[i]);
        munmap(books, sizeof *books);
}

/* So many moves in all, by now. */
static inline void moves_to(uint32_t n)
{
        ptl_store_release(&books->wanted, n);
        came_about(__FILE__, __LINE__, "moves", tst_wait_until(nobody_failed() && ptl_load_acquire(&books->moves) == n, 60000));
}
