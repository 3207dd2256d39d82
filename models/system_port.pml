/* SPDX-License-Identifier: Apache-2.0 */
/*
 * system_port.pml - a port that outlives who serves it: senders, keeper, server and successor, each dying anywhere
 *
 * Stands for: docs/protocol/system.md, before it is code. A sender's side: what is kept until it is taken, and the
 * rebinding of a kept right (port/kept.c, task/rebind.c). A server's side: check-in, what the dead left
 * (task/service.c). The keeper (server/keeper.c); names with a keeper's publication beneath (server/name.c).
 * The move of a receive right with its queue is one step here: migration.pml has its parts.
 *
 * Receivers: keepers 0 and 1 (the second is started when the first is dead), servers 2 and 3, each of which
 * checks in, and again if another was first. S senders send N messages each through one right, numbered from 1. For each receiver and sender
 * there are three counts: published into the ring, queued, taken (a word in the receiver's outbox, which can be read
 * after its death). A server's program has a message behind the store of the word: what was counted by who
 * died before that is lost, and may be: it was dequeued. At most FAULTS parties die, among them the name server, which
 * forgets all names; the living say them again. system_port_two.pml has two senders.
 *
 * At all times
 *   - what a program gets of a sender is in order, and nothing twice; one server at most is given messages;
 * when nothing can happen any more (timeout), if a keeper and the successor live,
 *   - every message of every living sender was taken, whoever died: none has a dead name or waits;
 *   - so was what a dead sender had published, if nobody else died;
 *   - so was what a dead sender left at a server that had looked at its death, if no keeper died.
 *
 * What is taken out:            spin-expect-fail: -DLET_GO_WHEN_QUEUED
 *                               spin-expect-fail: -DLOST_LINK_IS_DEATH
 *                               spin-expect-fail: -DNOT_SENT_AWAY
 *                               spin-expect-fail: -DDEAD_NAME_AT_ONCE
 *                               spin-expect-fail: -DNOT_GIVEN_TO_KEEPER
 *                               spin-expect-fail: -DGIVEN_AND_QUEUED
 *                               spin-expect-fail: -DKEEPER_LETS_GO
 *                               spin-expect-fail: -DCOUNT_OF_THE_LIVING
 *                               spin-expect-fail: -DPORT_BEFORE_NAME
 *                               spin-expect-fail: -DBOTH_FORGET
 * spin-cc: -DSAFETY -DCOLLAPSE
 * spin-pan: -m400000 -E
 * spin-quick: -DN=2 -DFAULTS=2
 */
#ifndef S
#define S 1
#endif
#ifndef N
#define N 3
#endif
#ifndef FAULTS
#define FAULTS 3
#endif

#define R         4
#define KEEPERS   2
#define SUCCESSOR 3
#define NOBODY    7
#define AT(r, s) ((r) * S + (s))

/* --- receivers --- */

bool dead[R];
bool has_port[R];     /* it can be claimed there */
byte pub[R * S], have[R * S], taken[R * S];

/* servers */
#define OUT     0
#define MOVED   1 /* the port is its own; its name is not published yet */
#define SERVES  2
#define REFUSED 3 /* another was first: it gives the port back */
byte state[R];
byte in_hand[R];      /* 1 + sender of the message that was counted and not given to the program yet; its number: */
byte number[R];
byte e_have[R * S], e_taken[R * S]; /* what the keeper sent on for a dead sender */
bool e_there[R * S];

/* keepers: of a dead sender, what is not known to be taken */
byte serving[KEEPERS] = NOBODY;
bool estate[KEEPERS * S];
byte low[KEEPERS * S], high[KEEPERS * S];
byte given_to[KEEPERS * S];

/* --- names, at the name server --- */

byte above = NOBODY; /* the server's publication */
byte below = NOBODY; /* the keeper's */

/* --- senders --- */

#define BOUND    0
#define LOOKS    1
#define CLAIMS   2
#define DEADNAME 3
byte phase[S], sent[S], count[S], bound[S], target[S];
bool dead_sender[S];
byte again[S];        /* how far all is at the receiver that it is bound to */

/* --- what is checked --- */

byte got[S];          /* of each sender, the last that a program was given or might have been */
byte published[S];    /* when it died */
bool looked[S];       /* somebody has looked at the sender's death, and had then: */
byte left[S];
byte faults;
bool keeper_died, receiver_died, forgot;

/* The next of a sender's is with a program, or lost in its hands. */
inline give(s, n)
{
        assert(n == got[s] + 1);
        got[s] = n
}

/* ---- a sender ---- */

proctype Sender(byte s)
{
        byte t;

        do
        /* what was not taken goes first */
        :: d_step { !dead_sender[s] && phase[s] == BOUND && again[s] < sent[s] ->
                again[s]++; pub[AT(bound[s], s)] = again[s] }
        :: d_step { !dead_sender[s] && phase[s] == BOUND && again[s] == sent[s] && sent[s] < N ->
                sent[s]++; again[s] = sent[s]; pub[AT(bound[s], s)] = sent[s] }
        /* the receiver is dead for certain, or has freed the port: its word does not change any more */
        :: d_step { !dead_sender[s] && phase[s] == BOUND && (dead[bound[s]] || !has_port[bound[s]]) ->
                t = bound[s];
#ifdef LET_GO_WHEN_QUEUED
                count[s] = have[AT(t, s)];
#else
                count[s] = taken[AT(t, s)];
#endif
#ifdef DEAD_NAME_AT_ONCE
                phase[s] = DEADNAME;
#else
                phase[s] = LOOKS;
#endif
                t = 0 }
#ifdef LOST_LINK_IS_DEATH
        :: d_step { !dead_sender[s] && phase[s] == BOUND && bound[s] >= KEEPERS && faults < FAULTS ->
                faults++; count[s] = taken[AT(bound[s], s)]; phase[s] = LOOKS }
#endif
        :: d_step { !dead_sender[s] && phase[s] == LOOKS && (above != NOBODY || below != NOBODY) ->
                target[s] = (above != NOBODY -> above : below);
                phase[s] = CLAIMS }
        :: d_step { !dead_sender[s] && phase[s] == CLAIMS ->
                t = target[s];
                if
                :: !dead[t] && has_port[t] ->
                        bound[s] = t;
                        pub[AT(t, s)] = count[s];
                        have[AT(t, s)] = count[s];
                        taken[AT(t, s)] = count[s];
                        again[s] = count[s];
                        phase[s] = BOUND
                :: else -> phase[s] = LOOKS /* what it looked up is not there any more */
                fi;
                t = 0 }
        od
}

/* ---- both kinds of receivers ---- */

/* The ring is read, a dead one's to the end. */
#define HAS_INPUT(r, s) (bound[s] == r && phase[s] == BOUND && has_port[r] && have[AT(r, s)] < pub[AT(r, s)])

/* The keeper has what a dead sender left: messages a + 1 to b. */
inline keep(k, s, a, b)
{
        if
        :: a < b ->
                estate[AT(k, s)] = true;
                low[AT(k, s)] = a;
                high[AT(k, s)] = b;
                given_to[AT(k, s)] = NOBODY
        :: else
        fi
}

inline note_look(s, b)
{
        looked[s] = true;
        left[s] = b
}

/* ---- a server ---- */

#define RUNS(r) (!dead[r])
#ifdef PORT_BEFORE_NAME
#define CAN_TAKE(r) (state[r] == SERVES || state[r] == MOVED)
#else
#define CAN_TAKE(r) (state[r] == SERVES)
#endif
#define KEEPER_OF (!dead[0] -> 0 : 1)
#define IS_KEPT   (!dead[0] || (has_port[1] && !dead[1]))

/* ptl_receive(): counted first, then the program has it. */
inline takes(r, s)
{
        if
        :: d_step { RUNS(r) && CAN_TAKE(r) && in_hand[r] == 0 && taken[AT(r, s)] < have[AT(r, s)] ->
                taken[AT(r, s)]++;
                number[r] = taken[AT(r, s)];
                in_hand[r] = s + 1 }
        :: d_step { RUNS(r) && CAN_TAKE(r) && in_hand[r] == 0 && e_there[AT(r, s)] && e_taken[AT(r, s)] < e_have[AT(r, s)] ->
                e_taken[AT(r, s)]++;
                number[r] = e_taken[AT(r, s)];
                in_hand[r] = s + 1 }
        :: d_step { RUNS(r) && HAS_INPUT(r, s) -> have[AT(r, s)]++ }
        /* a sender is dead: what it left goes to the keeper, and comes from there */
        :: d_step { RUNS(r) && (state[r] == SERVES || state[r] == REFUSED) && dead_sender[s] && bound[s] == r && phase[s] == BOUND &&
                    have[AT(r, s)] == pub[AT(r, s)] && taken[AT(r, s)] < have[AT(r, s)] && IS_KEPT && !estate[AT(KEEPER_OF, s)] ->
                note_look(s, have[AT(r, s)]);
#ifndef NOT_GIVEN_TO_KEEPER
                keep(KEEPER_OF, s, taken[AT(r, s)], have[AT(r, s)]);
#ifndef GIVEN_AND_QUEUED
                have[AT(r, s)] = taken[AT(r, s)];
                pub[AT(r, s)] = taken[AT(r, s)]
#endif
#endif
           }
        /* the keeper that had sent it on is dead: the same, with the next keeper */
        :: d_step { RUNS(r) && state[r] == SERVES && dead[0] && IS_KEPT && e_there[AT(r, s)] && given_to[AT(1, s)] != r &&
                    !estate[AT(1, s)] && e_taken[AT(r, s)] < e_have[AT(r, s)] ->
                keep(1, s, e_taken[AT(r, s)], e_have[AT(r, s)]);
                e_there[AT(r, s)] = false }
        fi
}

/* Check-in: the port with its queue; the keeper goes on with a new one. What the dead left stays the keeper's. */
inline check_in(r, k)
{
        s = 0;
        do
        :: s < S ->
                if
                :: bound[s] == k && phase[s] == BOUND ->
                        have[AT(k, s)] = pub[AT(k, s)];
                        if
#ifndef KEEPER_LETS_GO
                        :: dead_sender[s] ->
                                note_look(s, have[AT(k, s)]);
                                keep(k, s, taken[AT(k, s)], have[AT(k, s)]);
                                bound[s] = NOBODY
#endif
                        :: else ->
                                if :: dead_sender[s] -> note_look(s, have[AT(k, s)]) :: else fi;
                                pub[AT(r, s)] = pub[AT(k, s)];
                                have[AT(r, s)] = have[AT(k, s)];
                                taken[AT(r, s)] = taken[AT(k, s)];
                                bound[s] = r
                        fi
                :: else
                fi;
                s++
        :: else -> break
        od;
        s = 0;
        has_port[r] = true;
        state[r] = MOVED;
        serving[k] = r
}

#define HAS_LEFT(r, s) (bound[s] != r || phase[s] != BOUND || dead_sender[s] && taken[AT(r, s)] == pub[AT(r, s)])

proctype Server(byte r)
{
        byte s;

        do
        :: d_step { RUNS(r) && state[r] == OUT && !dead[0] && serving[0] == NOBODY && (r != SUCCESSOR || state[2] != OUT || dead[2]) -> check_in(r, 0) }
        :: d_step { RUNS(r) && state[r] == OUT && dead[0] && !dead[1] && has_port[1] && serving[1] == NOBODY -> check_in(r, 1) }
        /* the program is given the port when its name stands */
        :: d_step { RUNS(r) && state[r] == MOVED && (above == NOBODY || above == r) ->
                above = r; state[r] = SERVES;
                assert(state[5 - r] != SERVES || dead[5 - r]) }
        :: d_step { RUNS(r) && state[r] == MOVED && above != NOBODY && above != r && !dead[above] ->
                state[r] = REFUSED; has_port[r] = false }
        /* its senders have gone, and the keeper has what the dead left: what lay here is destroyed; it may try again */
        :: d_step { RUNS(r) && state[r] == REFUSED && HAS_LEFT(r, 0) && HAS_LEFT(r, S - 1) ->
                s = 0;
                do
                :: s < S -> have[AT(r, s)] = taken[AT(r, s)]; pub[AT(r, s)] = taken[AT(r, s)]; s++
                :: else -> break
                od;
                s = 0;
                state[r] = OUT }
        /* the name server was restarted */
        :: d_step { RUNS(r) && state[r] == SERVES && above == NOBODY -> above = r }
        :: takes(r, 0)
#if S > 1
        :: takes(r, 1)
#endif
        :: d_step { RUNS(r) && in_hand[r] != 0 ->
                s = in_hand[r] - 1;
                give(s, number[r]);
                in_hand[r] = 0;
#ifdef PORT_BEFORE_NAME
                assert(state[5 - r] != SERVES && state[5 - r] != MOVED || dead[5 - r]);
#endif
                s = 0 }
        od
}

/* ---- a keeper ---- */

inline keeps(k, s)
{
        if
        :: d_step { !dead[k] && HAS_INPUT(k, s) -> have[AT(k, s)]++ }
        /* somebody serves: who waits here is sent there */
#ifndef NOT_SENT_AWAY
        :: d_step { !dead[k] && has_port[k] && serving[k] != NOBODY && above == serving[k] && !dead[above] &&
                    bound[s] == k && phase[s] == BOUND && !dead_sender[s] ->
                count[s] = taken[AT(k, s)];
                phase[s] = LOOKS }
#endif
        /* a sender died that was bound here */
        :: d_step { !dead[k] && has_port[k] && bound[s] == k && phase[s] == BOUND && dead_sender[s] &&
                    serving[k] != NOBODY && !estate[AT(k, s)] ->
                note_look(s, pub[AT(k, s)]);
                keep(k, s, taken[AT(k, s)], pub[AT(k, s)]);
                bound[s] = NOBODY }
        /* it sends on what the dead left, as any sender does: kept until it is taken */
        :: d_step { !dead[k] && estate[AT(k, s)] && given_to[AT(k, s)] == NOBODY && serving[k] != NOBODY &&
                    !dead[serving[k]] && state[serving[k]] == SERVES ->
                e_there[AT(serving[k], s)] = true;
                e_taken[AT(serving[k], s)] = low[AT(k, s)];
                e_have[AT(serving[k], s)] = high[AT(k, s)];
                given_to[AT(k, s)] = serving[k];
#ifdef KEEPER_LETS_GO
                estate[AT(k, s)] = false
#endif
           }
#ifdef COUNT_OF_THE_LIVING
        /* counts are read at leisure, and not again behind the death */
        :: d_step { !dead[k] && estate[AT(k, s)] && given_to[AT(k, s)] != NOBODY && dead[given_to[AT(k, s)]] ->
                given_to[AT(k, s)] = NOBODY }
#else
        :: d_step { !dead[k] && estate[AT(k, s)] && given_to[AT(k, s)] != NOBODY && dead[given_to[AT(k, s)]] ->
                low[AT(k, s)] = e_taken[AT(given_to[AT(k, s)], s)];
                given_to[AT(k, s)] = NOBODY;
                estate[AT(k, s)] = low[AT(k, s)] < high[AT(k, s)] }
#endif
        fi
}

proctype Keeper(byte k)
{
        do
        :: d_step { !dead[k] && k == 1 && dead[0] && !has_port[1] ->
                has_port[1] = true;
                serving[1] = above;
                below = 1 }
        :: d_step { !dead[k] && has_port[k] && below == NOBODY -> below = k }
        /* who serves: by check-in, or as the name server says */
        :: d_step { !dead[k] && has_port[k] && serving[k] != NOBODY && (dead[serving[k]] || !has_port[serving[k]]) -> serving[k] = NOBODY }
        :: d_step { !dead[k] && has_port[k] && serving[k] == NOBODY && above != NOBODY && !dead[above] -> serving[k] = above }
        :: keeps(k, 0)
#if S > 1
        :: keeps(k, 1)
#endif
        od
}

/* ---- the name server, and who dies ---- */

active proctype Names()
{
        do
        :: d_step { above != NOBODY && dead[above] -> above = NOBODY }
        :: d_step { below != NOBODY && dead[below] -> below = NOBODY }
        od
}

inline lose(r)
{
        /* what was counted and not given is lost with the program */
        if
        :: in_hand[r] != 0 ->
                give(in_hand[r] - 1, number[r]);
                in_hand[r] = 0
        :: else
        fi;
        dead[r] = true;
        faults++;
        receiver_died = true
}

/* A name server that forgets, and a keeper: a server that says its name late finds another in its place. Names that
 * are kept (server.md) are not forgotten. */
#ifdef BOTH_FORGET
#define ONE_OF(other) true
#else
#define ONE_OF(other) !(other)
#endif

active proctype Fault()
{
        do
        :: d_step { faults < FAULTS && !dead[0] && ONE_OF(forgot) -> lose(0); keeper_died = true }
        :: d_step { faults < FAULTS && !dead[2] -> lose(2) }
        :: d_step { faults < FAULTS && !dead_sender[0] -> 
                dead_sender[0] = true;
                faults++;
                published[0] = (phase[0] == BOUND -> again[0] : 0) }
        :: d_step { faults < FAULTS && ONE_OF(dead[0]) -> above = NOBODY; below = NOBODY; faults++; forgot = true }
        :: break
        od
}

active proctype Check()
{
        byte s;

        timeout;
        d_step {
        do
        :: s < S ->
                if
                :: !dead_sender[s] -> assert(phase[s] == BOUND && got[s] == N)
                :: dead_sender[s] ->
                        assert(receiver_died || got[s] >= published[s]);
                        assert(keeper_died || !looked[s] || got[s] >= left[s])
                fi;
                s++
        :: else -> break
        od
        }
}

init {
        byte s;

        atomic {
                has_port[0] = true;
                below = 0;
                s = 0;
                do
                :: s < S ->
                        phase[s] = LOOKS;
                        run Sender(s);
                        s++
                :: else -> break
                od;
                run Keeper(0);
                run Keeper(1);
                run Server(2);
                run Server(3)
        }
}
