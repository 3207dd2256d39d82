/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handoff.pml - a right to a port of B's goes from A to C, and any of the three is killed anywhere
 *
 * Stands for (docs/protocol/handoff.md): A is port/given.c (ptl_given_commit, settled, the grantee's end), B
 * is port/ticket.c (give, redeem, withdraw, ptl_tickets_of_the_dead, read_out), C is port/redeem.c (arrival,
 * CONFIRM, ask, ptl_redeem_granter_settled) and task/seek.c (the question to the server). Each frame that is
 * no message is a mark in a table until its ring has room, so nobody blocks.
 *
 * A has one index for tickets and gives LIVES rights one after the other; it may give up its own right. Rings
 * hold R frames and are used again and again. C may give up each right it was confirmed. C has not read A's
 * INTRODUCTION at first, and has no link with B until it makes one. KILLS tasks are killed, between any two
 * steps; what a dead task had published is read to its end before the death is settled.
 *
 * Always: a claim is granted only with a grant of A's, and once; an index in use is not given again; and C,
 * who was sent the right, is never refused it (after one death). "Nothing can happen any more" is Spin's
 * `timeout`; then, if B lives,
 *   - every grant that was published has ended once: redeemed, or cancelled;
 *   - B counts a right for A if A lives and has not given its own up, and as many for C as C has;
 * and C, if it lives, was given every right that was sent to it, if B lives.
 *
 * What is taken out:            spin-expect-fail: -DMESSAGE_FIRST
 *                               spin-expect-fail: -DNOT_PARKED
 *                               spin-expect-fail: -DGRANTERS_DEATH_CANCELS
 *                               spin-expect-fail: -DGRANTERS_DEATH_FORGOTTEN
 *                               spin-expect-fail: -DANSWERED_AT_ONCE
 *                               spin-expect-fail: -DANSWERED_BEFORE_REDEEM
 *                               spin-expect-fail: -DSERVER_NOT_ASKED
 *                               spin-expect-fail: -DNOT_WITHDRAWN
 *                               spin-expect-fail: -DINDEX_AT_ONCE
 *                               spin-expect-fail: -DREDEEMED_TWICE
 *                               spin-expect-fail: -DSEND_FAILS_BEHIND_GIVE
 * spin-cc: -DSAFETY -DCOLLAPSE
 * spin-pan: -m400000 -E
 * spin-quick: -DLIVES=2 -DKILLS=1
 */
#ifndef LIVES
#define LIVES 3
#endif
#ifndef R
#define R 2 /* frames that a ring holds */
#endif
#ifndef KILLS
#define KILLS 2
#endif
#define A 0
#define B 1
#define C 2

mtype = { GIVE, WITHDRAW, RELEASE, MESSAGE, REDEEM, READ_OUT, SETTLED, CONFIRM, DEAD, ASK };
mtype = { FREE, GIVEN, LEFT, DONE };            /* of an index at A, a ticket at B */
mtype = { NONE, MARKED, ASKED, HELD, GAVE_UP }; /* of a right at C */

chan ab = [R] of { mtype, byte };
chan ac = [R] of { mtype, byte };
chan ba = [R] of { mtype, byte };
chan bc = [R] of { mtype, byte };
chan cb = [R] of { mtype, byte };

bool dead[3], settled_of_b[3]; /* B has settled the death of that task */
byte kills;
bool linked; /* B and C: each is told of the other's end */
bool met;    /* C has read A's INTRODUCTION */

/* Ghosts. */
bool published[LIVES], sent[LIVES], ended[LIVES], doubled;
byte of_a = 1, of_c;  /* rights that B counts */
mtype right[LIVES] = NONE;
mtype ticket = FREE;
bool gave_own;

inline end_of(g)
{
        if :: ended[g] -> doubled = true :: else fi;
        ended[g] = true
}

active proctype Granter()
{
        byte life, n;
        mtype given = FREE;
        bool withdrawn;

        do
#ifdef INDEX_AT_ONCE
        :: atomic { !dead[A] && life < LIVES && !gave_own && nfull(ab) && nfull(ac) ->
#else
        :: atomic { !dead[A] && life < LIVES && !gave_own && given == FREE && nfull(ab) && nfull(ac) ->
#endif
#ifdef MESSAGE_FIRST
                        ac!MESSAGE,life; sent[life] = true };
                atomic { !dead[A] -> ab!GIVE,life; published[life] = true;
#else
                        ab!GIVE,life; published[life] = true };
                if
                :: atomic { !dead[A] -> ac!MESSAGE,life; sent[life] = true;
#ifdef SEND_FAILS_BEHIND_GIVE
                        given = GIVEN; withdrawn = false; life++ }
                :: atomic { !dead[A] ->
#endif
#endif
                        given = GIVEN; withdrawn = false; life++ }
#ifndef MESSAGE_FIRST
                fi
#endif
        :: atomic { !dead[A] && !gave_own && nfull(ab) -> gave_own = true; ab!RELEASE,0 }
        :: atomic { !dead[A] && nempty(ba) -> ba?SETTLED,n; given = FREE }
#ifndef NOT_WITHDRAWN
        :: atomic { !dead[A] && dead[C] && given == GIVEN && !withdrawn && nfull(ab) ->
                        withdrawn = true; ab!WITHDRAW,life - 1 }
#endif
        od
}

/* A frame of A's, taken in. */
inline take_of_a()
{
        ab?kind,g;
        if
        :: kind == GIVE ->
                assert(ticket == FREE);
                ticket = GIVEN;
                life = g;
                if
                :: parked && which == g -> parked = false; grant(g)
                :: else
                fi
        :: kind == WITHDRAW -> if :: ticket == GIVEN && life == g -> cancel(g) :: else fi
        :: kind == RELEASE -> of_a--
        fi
}

inline finish()
{
        if :: settled_of_b[A] -> ticket = FREE :: else -> ticket = DONE; tell_a = true fi
}

inline grant(g)
{
        assert(published[g]);
        end_of(g);
        finish();
#ifdef REDEEMED_TWICE
        ticket = GIVEN;
        tell_a = true;
#endif
        of_c++;
        answer = CONFIRM;
        answered = g
}

inline cancel(g)
{
        end_of(g);
        finish();
        ask = false
}

inline refuse(g)
{
        answer = DEAD;
        answered = g
}

active proctype PortsTask()
{
        byte g, life, which, answered;
        mtype kind, answer = NONE; /* a mark: one is enough, C has one claim under way at a time */
        bool parked, tell_a, ask;

        do
        :: atomic { !dead[B] && nempty(ab) -> take_of_a() }
        :: atomic { !dead[B] && nempty(cb) && (answer == NONE || dead[C]) ->
                        cb?kind,g;
                        if
                        :: kind == REDEEM ->
#ifndef NOT_PARKED
                                do /* the look at A's ring: to its end, or not */
                                :: nempty(ab) && !((ticket == GIVEN || ticket == LEFT) && life == g) -> take_of_a()
                                :: break
                                od;
#endif
                                if
                                :: (ticket == GIVEN || ticket == LEFT) && life == g -> ask = false; grant(g)
                                :: else ->
#ifdef NOT_PARKED
                                        refuse(g)
#else
                                        if :: empty(ab) -> refuse(g) :: nempty(ab) -> parked = true; which = g fi
#endif
                                fi
                        :: kind == RELEASE -> assert(of_c > 0); of_c--
                        :: kind == READ_OUT -> if :: ticket == LEFT -> cancel(life) :: else fi
                        fi;
                        kind = NONE; g = 0 }
        :: atomic { !dead[B] && parked && empty(ab) -> parked = false; refuse(which) }
        :: atomic { !dead[B] && answer != NONE && nfull(bc) -> bc!answer,answered; answer = NONE; answered = 0 }
        :: atomic { !dead[B] && tell_a && nfull(ba) -> tell_a = false; ba!SETTLED,0;
                        if :: ticket == DONE -> ticket = FREE :: else fi }
        :: atomic { !dead[B] && ask && nfull(bc) -> ask = false; linked = true; bc!ASK,0 }
        :: atomic { !dead[B] && dead[A] && !settled_of_b[A] && empty(ab) -> /* read to its end */
                        settled_of_b[A] = true;
                        tell_a = false;
                        if :: !gave_own -> of_a-- :: else fi;
                        if
                        :: ticket == DONE -> ticket = FREE
                        :: ticket == GIVEN ->
#ifdef GRANTERS_DEATH_CANCELS
                                cancel(life)
#else
                                ticket = LEFT;
#ifndef GRANTERS_DEATH_FORGOTTEN
                                ask = true
#endif
#endif
                        :: else
                        fi }
        :: atomic { !dead[B] && dead[C] && empty(cb) && (!settled_of_b[C] && linked || ticket == LEFT) ->
                        settled_of_b[C] = true; /* a link's end; or the server's word, when it is asked of */
                        of_c = 0;
                        parked = false;
                        answer = NONE;
                        answered = 0;
                        if :: ticket == GIVEN || ticket == LEFT -> cancel(life) :: else fi }
        od
}

#define HAS_MARK (m < LIVES)

active proctype Grantee()
{
        byte m = LIVES, g; /* m: the right whose REDEEM is to be written */
        mtype kind;
        bool asked, waits; /* waits: a REDEEM is not answered */

        do
        :: atomic { !dead[C] && !met -> met = true }
        :: atomic { !dead[C] && met && !HAS_MARK && nempty(ac) ->
                        ac?MESSAGE,g; right[g] = MARKED; linked = true; m = g; g = 0 }
        :: atomic { !dead[C] && HAS_MARK && !waits && nfull(cb) ->
                        right[m] = ASKED; waits = true; cb!REDEEM,m;
                        m = LIVES }
        :: atomic { !dead[C] && nempty(bc) ->
                        bc?kind,g;
                        if
                        :: kind == CONFIRM -> assert(right[g] == ASKED); right[g] = HELD; waits = false
                        :: kind == DEAD -> assert(kills > 1); right[g] = GAVE_UP; waits = false
                        :: kind == ASK -> asked = true
                        fi;
                        kind = NONE; g = 0 }
        :: atomic { !dead[C] && right[0] == HELD && nfull(cb) -> right[0] = GAVE_UP; cb!RELEASE,0 }
#ifdef ANSWERED_AT_ONCE
        :: atomic { !dead[C] && asked && met && !HAS_MARK && nfull(cb) ->
#else
#ifdef ANSWERED_BEFORE_REDEEM
        :: atomic { !dead[C] && asked && dead[A] && empty(ac) && met && nfull(cb) ->
#else
#ifdef SERVER_NOT_ASKED
        :: atomic { !dead[C] && asked && dead[A] && (empty(ac) || !met) && !HAS_MARK && nfull(cb) ->
#else
        :: atomic { !dead[C] && asked && dead[A] && empty(ac) && met && !HAS_MARK && nfull(cb) ->
#endif
#endif
#endif
                        asked = false; cb!READ_OUT,0 }
        od
}

active proctype Kill()
{
        do
        :: atomic { kills < KILLS && !dead[A] -> dead[A] = true; kills++ }
        :: atomic { kills < KILLS && !dead[B] -> dead[B] = true; kills++ }
        :: atomic { kills < KILLS && !dead[C] -> dead[C] = true; kills++ }
        :: break
        od
}

/* Alone, when nobody else can do anything. */
active proctype Check()
{
        byte i, held;

        timeout;
        assert(!doubled);
        do
        :: i < LIVES ->
                assert(dead[B] || !published[i] || ended[i]);
                assert(dead[B] || dead[C] || !sent[i] || right[i] == HELD || right[i] == GAVE_UP);
                if :: right[i] == HELD -> held++ :: else fi;
                i++
        :: else -> break
        od;
        assert(dead[B] || of_a == (dead[A] || gave_own -> 0 : 1));
        assert(dead[B] || of_c == (dead[C] -> 0 : held))
}
