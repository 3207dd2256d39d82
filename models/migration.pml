/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migration.pml - a receive right moves from task to task under its senders, and one party fails
 *
 * Stands for: docs/protocol/migration.md, before it is code. Receiver: port/move.c (mark, drain, fix, stage,
 * news, commit), port/settle.c (a staged port, its holders' claims, repeats), port/stub.c (what is kept for the
 * dead, and when the stub is gone). Sender: port/reroute.c (look, rescue, hop, renew, release), and the looks in
 * task/send.c (ptl_link_bell) and shm/ring.c (before ring room is taken back).
 *
 * Receivers 0 to K-1; the port is 0's at first, and each passes it on to the next. S senders send N messages
 * each through one right, numbered as the window counts them. A sender's ring to a receiver has R slots, which
 * OTHER frames of other rights use too. What a task has stored in its outbox stays readable after its death.
 * At most one party fails: it dies, or it never enters the library again (a sender not in the middle of a send:
 * what that had said was sent must arrive without it).
 *
 * "Nothing can happen any more" is Spin's `timeout`. Then, if the task that the port was last committed to lives,
 *   - all of each living sender's messages were taken, in order, none twice (asserted as they are taken);
 *   - all that a dead sender, or one that never looks again, had published, too (but for what a dead one had
 *     written to a task that had not mapped its ring: docs/protocol/link.md);
 *   - every living sender was re-routed and none was told of a death; every stub is gone;
 * and if that task is dead, every living sender was told so. Nobody waits for ever.
 *
 * migration_late.pml has a claim that lies unread as the port moves (LATE: the last sender's), migration_chain.pml a
 * third receiver.
 *
 * What is taken out:            spin-expect-fail: -DNO_MARK
 *                               spin-expect-fail: -DNO_LOOK_AFTER_PUBLISH
 *                               spin-expect-fail: -DLOOK_BEFORE_PUBLISH
 *                               spin-expect-fail: -DNO_LOOK_BEFORE_ROOM
 *                               spin-expect-fail: -DCOMMIT_BEFORE_NEWS
 *                               spin-expect-fail: -DREPEATS_TAKEN
 *                               spin-expect-fail: -DNOTHING_KEPT_FOR_THE_DEAD
 *                               spin-expect-fail: -DRELEASED_BEFORE_CONFIRM
 *                               spin-expect-fail: -DDEATH_BEFORE_DRAIN
 * spin-cc: -DSAFETY -DCOLLAPSE
 * spin-pan: -m400000 -E
 * spin-quick: -DS=1
 */
#ifndef K
#define K 2
#endif
#ifndef S
#define S 2
#endif
#ifndef N
#define N 2
#endif
#ifndef FEW
#define FEW 1 /* messages of the second sender */
#endif
#define MANY(s) (s == 0 -> N : FEW)
#ifndef R
#define R 2
#endif
#ifndef OTHERS
#define OTHERS 1
#endif

#ifdef LATE
#define IS_LATE(s) (s == S - 1)
#else
#define IS_LATE(s) false
#endif

/* A right's word in the receiver's outbox. */
#define OPEN   0
#define MOVING 1
#define MOVED  2

/* What a slot holds, beside a message's number. */
#define CLAIM   60
#define RELEASE 61
#define OTHER   62

/* A receiver. */
#define WAITS   0 /* the port was not committed to it yet */
#define OWNER   1
#define MOVES   2
#define STUB    3
#define REFUSES 4 /* who was about to pass it on died before */

/* A receiver's step with one holder. */
#define NOT_YET 0
#define MARKED  1
#define FIXED   2
#define TOLD    3

/* A sender. */
#define IDLE 0 /* not in the library */
#define LOOK 1 /* has published */
#define WAIT 2 /* saw the mark */
#define DEADNAME 3

#define AT(i, s) ((i) * S + (s))
#define SLOT(i, s, position) slot[AT(i, s) * R + (position) % R]

/* The senders' outboxes. */
byte slot[K * S * R], pub[K * S];
/* The receivers' outboxes to them. */
byte con[K * S], word[K * S], cnt[K * S];
bool reached[K * S], confirmed[K * S];
/* The outbox of receiver i - 1 to i. */
bool commit[K], done[K * S], staged[K * S];
byte base[K * S], forwarded[K * S];
/* Private to the receivers. */
byte state[K], have[K * S], arrived[K * S], kept[K * S], step[K * S];
bool member[K * S], stub[K * S], took[K * S], read_forward[K * S], laid[K], home[K];
/* Private to the senders. */
byte phase[S], route[S], sent[S], last[S], believed[K * S], copies[S], others[S];
byte stands[S]; /* of what was sent, what a task had mapped that read or moved on */
bool released[K * S];

bool dead_task[K], idle_task[K], dead_sender[S], idle_sender[S];

#define RUNS(i) (!dead_task[i] && !idle_task[i])
#define SENDS(s) (!dead_sender[s] && !idle_sender[s])
#define HAS_ROOM(i) (pub[AT(i, s)] - believed[AT(i, s)] < R)

/* --- a sender --- */

inline put(i, v)
{
        SLOT(i, s, pub[AT(i, s)]) = v;
        pub[AT(i, s)]++
}

/* What lies in ring i from position @from to the tail and is no copy yet is copied: m and n are scratch. */
inline rescue(i, from)
{
        m = from;
        do
        :: m < pub[AT(i, s)] ->
                n = SLOT(i, s, m);
                if :: n >= 1 && n <= N -> copies[s] = copies[s] | (1 << n) :: else fi;
                m++
        :: else -> break
        od;
        m = 0;
        n = 0
}

/* The news was seen: what lies beyond the count is to be sent on. */
inline hop()
{
        i = route[s];
        c = cnt[AT(i, s)];
        assert(c <= sent[s]);
        rescue(i, believed[AT(i, s)]);
        n = c + 1;
        do
        :: n <= sent[s] ->
                assert(copies[s] & (1 << n)); /* else it is lost */
                n++
        :: else -> break
        od;
        n = 0;
        last[s] = c;
        c = 0;
        if :: took[AT(i, s)] -> stands[s] = sent[s] :: else fi;
        i++;
        route[s] = i;
        if
        :: dead_task[i] && !reached[AT(i, s)] -> phase[s] = DEADNAME
        :: else ->
                reached[AT(i, s)] = true;
                put(i, CLAIM);
                phase[s] = LOOK
        fi;
        i = 0
}

proctype Sender(byte s)
{
        byte i, m, n, c, seen, mark;

        do
        /* ptl_send(): what waits goes first */
#ifdef LOOK_BEFORE_PUBLISH
        :: atomic { SENDS(s) && phase[s] == IDLE && last[s] < MANY(s) && HAS_ROOM(route[s]) ->
                mark = word[AT(route[s], s)] }
           d_step { SENDS(s) ->
#else
        :: d_step { SENDS(s) && phase[s] == IDLE && last[s] < MANY(s) && HAS_ROOM(route[s]) ->
#endif
                last[s]++;
                if
                :: last[s] > sent[s] -> sent[s] = last[s]
                :: else ->
                        assert(copies[s] & (1 << last[s]));
                fi;
                copies[s] = copies[s] & ~(1 << last[s]);
                put(route[s], last[s]);
#ifdef LOOK_BEFORE_PUBLISH
                phase[s] = (mark == OPEN -> IDLE : WAIT);
                mark = 0
#else
#ifndef NO_LOOK_AFTER_PUBLISH
                phase[s] = LOOK
#endif
#endif
           }
        :: d_step { SENDS(s) && phase[s] == LOOK ->
                phase[s] = (word[AT(route[s], s)] == OPEN -> IDLE : WAIT) }
        /* the abandoned move; the news, by its frame or a look */
        :: d_step { SENDS(s) && phase[s] == WAIT && word[AT(route[s], s)] == OPEN -> phase[s] = IDLE }
        :: d_step { SENDS(s) && phase[s] < DEADNAME && word[AT(route[s], s)] == MOVED -> hop() }
        /* ring room is taken back when there is none */
#ifdef MARK_READ_BEFORE_CONSUMED
        :: atomic { SENDS(s) && phase[s] < DEADNAME && !HAS_ROOM(route[s]) ->
                mark = word[AT(route[s], s)];
                i = route[s] };
           d_step { seen = con[AT(i, s)];
#else
        :: atomic { SENDS(s) && phase[s] < DEADNAME && !HAS_ROOM(route[s]) && con[AT(route[s], s)] > believed[AT(route[s], s)] ->
                seen = con[AT(route[s], s)];
                i = route[s] };
           d_step { mark = word[AT(i, s)];
#endif
                if
#ifndef NO_LOOK_BEFORE_ROOM
                :: mark != OPEN -> rescue(i, believed[AT(i, s)])
#endif
                :: else
                fi;
                believed[AT(i, s)] = seen;
                mark = 0; seen = 0; i = 0 }
        /* frames of other rights on the first link */
        :: d_step { SENDS(s) && s == 0 && others[s] < OTHERS && !dead_task[0] && HAS_ROOM(0) ->
                others[s]++;
                put(0, OTHER) }
        /* all stands at the new task: the old ones may forget */
        :: d_step { SENDS(s) && phase[s] == IDLE && last[s] == sent[s] &&
                    route[s] > 0 && !released[AT(route[s] - 1, s)] &&
#ifndef RELEASED_BEFORE_CONFIRM
                    confirmed[AT(route[s], s)] &&
#endif
                    (pub[AT(route[s] - 1, s)] - con[AT(route[s] - 1, s)] < R) ->
                i = route[s] - 1;
                released[AT(i, s)] = true;
                believed[AT(i, s)] = con[AT(i, s)];
                put(i, RELEASE);
                i = 0 }
        :: d_step { SENDS(s) && phase[s] == IDLE && route[s] > 1 && released[AT(route[s] - 1, s)] && !released[AT(0, s)] &&
                    (pub[AT(0, s)] - con[AT(0, s)] < R) ->
                released[AT(0, s)] = true;
                believed[AT(0, s)] = con[AT(0, s)];
                put(0, RELEASE) }
        /* a death, behind all that the dead task had stored; a claim that is refused */
        :: d_step { SENDS(s) && phase[s] < DEADNAME && dead_task[route[s]] && word[AT(route[s], s)] != MOVED ->
                phase[s] = DEADNAME }
        :: d_step { SENDS(s) && phase[s] < DEADNAME && state[route[s]] == REFUSES -> phase[s] = DEADNAME }
        od
}

/* --- a receiver --- */

/* A message, by its place: the count of the right is its number. */
inline message(i, s)
{
        if
        :: (state[i] == OWNER || state[i] == MOVES) && step[AT(i, s)] < FIXED ->
                arrived[AT(i, s)]++;
                assert(arrived[AT(i, s)] == v);
                if
#ifndef REPEATS_TAKEN
                :: v <= have[AT(i, s)] /* another brought it */
#endif
                :: else ->
                        assert(v == have[AT(i, s)] + 1);
                        have[AT(i, s)] = v
                fi
        :: else ->
                assert(v > cnt[AT(i, s)]);
                if :: v > kept[AT(i, s)] -> kept[AT(i, s)] = v :: else fi
        fi
}

inline claim(i, s)
{
        if
        :: member[AT(i, s)] ->
                confirmed[AT(i, s)] = true;
                if :: step[AT(i, s)] == TOLD -> word[AT(i, s)] = MOVED :: else fi
        :: state[i] == OWNER && !member[AT(i, s)] ->
                member[AT(i, s)] = true;
                stub[AT(i, s)] = true;
                confirmed[AT(i, s)] = true
        :: state[i] == STUB && !member[AT(i, s)] -> /* late: staged behind the commit */
                member[AT(i, s)] = true;
                stub[AT(i, s)] = true;
                staged[AT(i + 1, s)] = true;
#ifdef CONSUMED_BEFORE_MARK
                step[AT(i, s)] = FIXED
#else
                step[AT(i, s)] = TOLD;
                word[AT(i, s)] = MOVED
#endif
        fi;
        took[AT(i, s)] = true
}

/* Who is about to move reads no claim of who is not staged; who waits for the commit parks what comes. */
#define IS_READABLE(i, s) (con[AT(i, s)] < pub[AT(i, s)] && state[i] != WAITS && state[i] != REFUSES && \
                           !(state[i] == MOVES && !member[AT(i, s)]))

inline take(i, s)
{
        d_step { RUNS(i) && IS_READABLE(i, s) ->
                v = SLOT(i, s, con[AT(i, s)]);
                if
                :: v == CLAIM -> claim(i, s)
                :: v == RELEASE ->
                        stub[AT(i, s)] = false;
                        if :: i + 1 < K -> done[AT(i + 1, s)] = true :: else fi
                :: v >= 1 && v <= N -> message(i, s)
                :: else
                fi;
                v = 0;
                con[AT(i, s)]++ }
}

#ifdef COMMIT_BEFORE_NEWS
#define NEWS_STAND(i) true
#else
#define NEWS_STAND(i) (IS_AT(i, 0, TOLD) && IS_AT(i, S - 1, TOLD))
#endif
#define IS_AT(i, s, which) (step[AT(i, s)] >= which || !member[AT(i, s)])
#define ALL_FIXED(i) (IS_AT(i, 0, FIXED) && IS_AT(i, S - 1, FIXED))
#define NONE_TOLD(i) (step[AT(i, 0)] < TOLD && step[AT(i, S - 1)] < TOLD)

/* Has the port an outbox to every holder? */
#ifdef PASSED_ON_BEFORE_NEWS
#define REACHES_ALL(i) true
#else
#define REACHES(i, s) (reached[AT(i, s)] || !member[AT(i, s)])
#define REACHES_ALL(i) (REACHES(i, 0) && REACHES(i, S - 1))
#endif

/* Steps with one holder. */
inline with_holder(i, s)
{
        if
        :: atomic { take(i, s) }
        :: d_step { RUNS(i) && state[i] == MOVES && step[AT(i, s)] == NOT_YET && member[AT(i, s)] ->
#ifndef NO_MARK
                word[AT(i, s)] = MOVING;
#endif
                step[AT(i, s)] = MARKED }
        :: d_step { RUNS(i) && state[i] == MOVES && step[AT(i, s)] == MARKED && con[AT(i, s)] == pub[AT(i, s)] ->
                cnt[AT(i, s)] = have[AT(i, s)];
                step[AT(i, s)] = FIXED }
        :: d_step { RUNS(i) && (state[i] == MOVES && ALL_FIXED(i) || state[i] == STUB) &&
                    step[AT(i, s)] == FIXED && laid[i] ->
                if :: reached[AT(i, s)] -> word[AT(i, s)] = MOVED :: else fi;
                step[AT(i, s)] = TOLD }
        /* ask for an introduction to who has not come yet */
        :: d_step { RUNS(i) && state[i] == OWNER && i + 1 < K && !reached[AT(i, s)] && member[AT(i, s)] ->
                reached[AT(i, s)] = true }
        /* what a dead sender left behind the count */
        :: d_step { RUNS(i) && state[i] == STUB && step[AT(i, s)] == TOLD && dead_sender[s] && stub[AT(i, s)] &&
                    con[AT(i, s)] == pub[AT(i, s)] && (i == 0 || read_forward[AT(i, s)] || dead_task[i - 1]) ->
                stub[AT(i, s)] = false;
#ifndef NOTHING_KEPT_FOR_THE_DEAD
                forwarded[AT(i + 1, s)] = kept[AT(i, s)];
#endif
                done[AT(i + 1, s)] = true }
        :: d_step { RUNS(i) && i > 0 && done[AT(i, s)] && !read_forward[AT(i, s)] &&
                    (state[i] == OWNER || state[i] == STUB || state[i] == MOVES && step[AT(i, s)] < FIXED) ->
                read_forward[AT(i, s)] = true;
                if
                :: state[i] == STUB ->
                        if :: forwarded[AT(i, s)] > kept[AT(i, s)] -> kept[AT(i, s)] = forwarded[AT(i, s)] :: else fi
                :: else ->
#ifdef REPEATS_TAKEN
                        assert(forwarded[AT(i, s)] <= base[AT(i, s)] || have[AT(i, s)] == base[AT(i, s)]);
#endif
                        if :: forwarded[AT(i, s)] > have[AT(i, s)] -> have[AT(i, s)] = forwarded[AT(i, s)] :: else fi
                fi }
        fi
}

inline stage_all(i)
{
        s = 0;
        do
        :: s < S ->
                if
                :: member[AT(i, s)] ->
                        base[AT(i + 1, s)] = cnt[AT(i, s)];
                        staged[AT(i + 1, s)] = true
                :: else
                fi;
                s++
        :: else -> break
        od;
        s = 0;
        laid[i] = true
}

inline arrive(i)
{
        s = 0;
        do
        :: s < S ->
                member[AT(i, s)] = staged[AT(i, s)];
                stub[AT(i, s)] = staged[AT(i, s)];
                have[AT(i, s)] = base[AT(i, s)];
                arrived[AT(i, s)] = base[AT(i, s)];
                s++
        :: else -> break
        od;
        s = 0;
        state[i] = OWNER
}

/* The move is given up before anybody was told. */
inline stay(i)
{
        s = 0;
        do
        :: s < S ->
                word[AT(i, s)] = OPEN;
                step[AT(i, s)] = NOT_YET;
                if :: kept[AT(i, s)] > have[AT(i, s)] -> have[AT(i, s)] = kept[AT(i, s)]; arrived[AT(i, s)] = kept[AT(i, s)] :: else fi;
                s++
        :: else -> break
        od;
        s = 0;
        state[i] = OWNER;
        home[i] = true
}

/* The dead one's outbox is read to its end before its death is settled. */
#ifdef DEATH_BEFORE_DRAIN
#define COMMIT_IS_THERE(i) false
#else
#define COMMIT_IS_THERE(i) commit[i]
#endif

proctype Receiver(byte i)
{
        byte s, v;

        do
        :: with_holder(i, 0)
#if S > 1
        :: with_holder(i, 1)
#endif
        :: d_step { RUNS(i) && i > 0 && state[i] == WAITS && commit[i] -> arrive(i) }
        :: d_step { RUNS(i) && i > 0 && state[i] == WAITS && dead_task[i - 1] && !COMMIT_IS_THERE(i) -> state[i] = REFUSES }
        :: d_step { RUNS(i) && i + 1 < K && state[i] == OWNER && !home[i] && REACHES_ALL(i) -> state[i] = MOVES }
        :: d_step { RUNS(i) && state[i] == MOVES && ALL_FIXED(i) && !laid[i] -> stage_all(i) }
        :: d_step { RUNS(i) && state[i] == MOVES && NONE_TOLD(i) && dead_task[i + 1] -> stay(i) }
        :: d_step { RUNS(i) && state[i] == MOVES && ALL_FIXED(i) && laid[i] && NEWS_STAND(i) ->
                commit[i + 1] = true;
                state[i] = STUB }
        od
}

/* --- who fails --- */

inline kill_sender(k)
{
        dead_sender[k] = true;
        /* What nobody had mapped goes with its writer. */
        if :: !took[AT(route[k], k)] -> sent[k] = stands[k] :: else fi;
        j = 0;
        do
        :: j < K ->
                if :: !took[AT(j, k)] -> pub[AT(j, k)] = con[AT(j, k)] :: else fi;
                j++
        :: else -> break
        od;
        j = 0
}

proctype Fault()
{
        byte k, j;

        if
        :: true -> skip
        :: atomic { true -> k = 0; do :: k + 1 < K -> k++ :: break od; dead_task[k] = true }
        :: atomic { true -> k = 0; do :: k + 1 < K -> k++ :: break od; idle_task[k] = true }
        :: atomic { true -> k = 0; do :: k + 1 < S -> k++ :: break od; kill_sender(k) }
        :: atomic { phase[0] == IDLE && last[0] == sent[0] -> idle_sender[0] = true }
        fi
}

/* Alone, when nobody else can do anything. */
proctype Check()
{
        byte o, s, i;

        timeout;
        d_step {
        do :: o + 1 < K && commit[o + 1] -> o++ :: else -> break od;
        s = 0;
        do
        :: s < S ->
                if
                :: dead_task[o] -> assert(!SENDS(s) || phase[s] == DEADNAME)
                :: !dead_task[o] && idle_task[o] -> skip
                :: else ->
                        if
                        :: SENDS(s) && phase[s] == DEADNAME -> assert(IS_LATE(s) && dead_task[0])
                        :: SENDS(s) && phase[s] != DEADNAME && !(IS_LATE(s) && idle_task[0]) ->
                                assert(phase[s] == IDLE && last[s] == MANY(s) && have[AT(o, s)] == MANY(s) && route[s] == o)
                        :: !SENDS(s) && !IS_LATE(s) -> assert(have[AT(o, s)] == sent[s])
                        :: else /* a late one stays where it is, if it or receiver 0 never looks again */
                        fi;
                        i = 0;
                        do
                        :: i < o ->
                                assert(!stub[AT(i, s)] || !RUNS(i) || idle_sender[s] || phase[s] == DEADNAME);
                                i++
                        :: else -> break
                        od
                fi;
                s++
        :: else -> break
        od
        }
}

init {
        byte s, i;

        atomic {
                do
                :: s < S ->
                        reached[AT(0, s)] = true;
                        staged[AT(0, s)] = true;
                        member[AT(0, s)] = true;
                        took[AT(0, s)] = true;
                        stub[AT(0, s)] = true;
                        run Sender(s);
                        s++
                :: else -> break
                od;
#ifdef LATE
                s = S - 1;
                member[AT(0, s)] = false;
                stub[AT(0, s)] = false;
                took[AT(0, s)] = false;
                staged[AT(0, s)] = false;
                put(0, CLAIM);
#endif
                state[0] = OWNER;
                do
                :: i < K -> run Receiver(i); i++
                :: else -> break
                od;
                run Fault();
                run Check()
        }
}
