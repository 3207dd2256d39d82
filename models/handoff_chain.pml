/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handoff_chain.pml - a right that travels on, that is held already, and that was never granted
 *
 * Stands for (docs/protocol/handoff.md, H4, H7, H8): B is port/ticket.c, C port/redeem.c (arrival, CONFIRM, the
 * message that waits), port/right.c (give_back), task/send.c and task/carry.c (what an unconfirmed right is
 * kept from), port/receiver.c (which messages may pass). The deaths are in handoff.pml.
 *
 * A sends C a message with a right to a port of B's, and another message behind it; A may be a liar, who has no
 * such right and grants nothing. C holds a right X to that port by itself, and may give it up at any time. Its
 * program, when it has the message, sends B something through the right in it (a deputy: on A's authority), and
 * gives the right to D, who uses it too. B may be stopped for good at any point.
 *
 * Always:
 *   - no frame of C's or D's names a number that B did not grant (the link would end for a lie);
 *   - nothing that is sent on a liar's authority comes through a right to the port (confused deputy);
 *   - what C and D send through a right that they believe they may use arrives;
 *   - A's messages come to C's program in order.
 * "Nothing can happen any more" is Spin's `timeout`; then
 *   - C's program has had both messages, though B may be stopped;
 *   - if B is not, nothing is parked, D has its right if A is no liar, and B counts what C and D have.
 *
 * What is taken out:            spin-expect-fail: -DMERGED_ON_A_WORD
 *                               spin-expect-fail: -DMERGED_THOUGH_GONE
 *                               spin-expect-fail: -DSENT_ON_UNCONFIRMED
 *                               spin-expect-fail: -DUSED_UNCONFIRMED
 *                               spin-expect-fail: -DRELEASED_UNCONFIRMED
 *                               spin-expect-fail: -DLATER_PASS
 *                               spin-expect-fail: -DNO_BOUND
 *                               spin-expect-fail: -DMERGED_NOT_GIVEN_BACK
 * spin-cc: -DSAFETY -DCOLLAPSE
 * spin-pan: -m400000 -E
 * spin-quick: -DR=1
 */
#ifndef R
#define R 2
#endif

mtype = { GIVE, REDEEM, RELEASE, USE, CONFIRM, DEAD, MESSAGE, PLAIN };

/* The numbers that C and D have at B; a ticket has the number of the right that is to come of it. */
#define X 0 /* C's own */
#define N 1 /* C redeemed it */
#define Z 2 /* D redeemed it */
#define NOTHING 3

mtype = { FREE, PARKED, GRANTED, REFUSED };             /* at B */
mtype = { NONE, ASKED, NAMED, USABLE, MERGED, GONE };   /* at C and D; NAMED: unconfirmed, and the program has it */

chan ab = [R] of { mtype, byte };
chan ac = [R] of { mtype };
chan cb = [R] of { mtype, byte, byte }; /* the number; GIVE: and what is given */
chan bc = [R] of { mtype, byte };       /* the token */
chan cd = [R] of { mtype };
chan db = [R] of { mtype, byte };
chan bd = [R] of { mtype };

bool liar, stopped;
mtype at_b[3];
bool given[3]; /* tickets */
byte arrived, used; /* through rights that C and D may use */
mtype n_at_c = NONE, z_at_d = NONE;
bool x_at_c = true;
byte got;     /* A's messages, at C's program */
byte sent_on; /* to D */

active proctype A()
{
        if
        :: true -> ab!GIVE,N
        :: true -> liar = true
        fi;
        ac!MESSAGE;
        ac!PLAIN
}

inline took_use(number, authority)
{
        assert(at_b[number] != FREE);
        if
        :: at_b[number] == GRANTED -> assert(!(authority && liar)); arrived++
        :: else
        fi
}

/* The answer to a claim of @number: what C holds already, if anything. */
#define ANSWER_TO_C (at_b[X] == GRANTED -> X : NOTHING)

active proctype B()
{
        mtype kind;
        byte number, what;
        bool answer_c, answer_d; /* marks */

        at_b[X] = GRANTED;
        do
        :: atomic { !stopped && nempty(ab) -> ab?kind,number; given[number] = true;
                        if
                        :: at_b[number] == PARKED -> at_b[number] = GRANTED; given[number] = false; answer_c = true
                        :: else
                        fi }
        :: atomic { !stopped && nempty(cb) ->
                        cb?kind,number,what;
                        if
                        :: kind == REDEEM && given[N] -> given[N] = false; at_b[N] = GRANTED; answer_c = true
                        :: kind == REDEEM && !given[N] && nempty(ab) -> at_b[N] = PARKED
                        :: kind == REDEEM && !given[N] && empty(ab) -> at_b[N] = REFUSED; answer_c = true
                        :: kind == USE -> took_use(number, what)
                        :: kind == GIVE -> assert(at_b[number] == GRANTED); given[what] = true
                        :: kind == RELEASE -> assert(at_b[number] == GRANTED || at_b[number] == REFUSED);
                                at_b[number] = FREE
                        fi }
        :: atomic { !stopped && at_b[N] == PARKED && empty(ab) -> at_b[N] = REFUSED; answer_c = true }
        :: atomic { !stopped && nempty(db) ->
                        db?kind,number;
                        if
                        :: kind == REDEEM ->
                                do /* the look at C's ring */
                                :: given[Z] -> given[Z] = false; at_b[Z] = GRANTED; break
                                :: !given[Z] && nempty(cb) -> /* one frame of it, as above */
                                        cb?kind,number,what;
                                        if
                                        :: kind == USE -> took_use(number, what)
                                        :: kind == GIVE -> assert(at_b[number] == GRANTED); given[what] = true
                                        :: kind == RELEASE -> assert(at_b[number] == GRANTED || at_b[number] == REFUSED);
                                                at_b[number] = FREE
                                        :: kind == REDEEM && given[N] ->
                                                given[N] = false; at_b[N] = GRANTED; answer_c = true
                                        :: kind == REDEEM && !given[N] -> at_b[N] = PARKED
                                        fi
                                :: !given[Z] && empty(cb) -> at_b[Z] = REFUSED; break
                                od;
                                answer_d = true
                        :: kind == USE -> took_use(Z, true)
                        fi }
        :: atomic { !stopped && answer_c && nfull(bc) -> answer_c = false;
                        if
                        :: at_b[N] == GRANTED -> bc!CONFIRM,ANSWER_TO_C
                        :: at_b[N] == REFUSED -> bc!DEAD,NOTHING
                        fi }
        :: atomic { !stopped && answer_d && nfull(bd) -> answer_d = false;
                        if
                        :: at_b[Z] == GRANTED -> bd!CONFIRM
                        :: at_b[Z] == REFUSED -> bd!DEAD
                        fi }
        od
}

/* The number that the program's name stands for, once it may be used. */
#define NUMBER (n_at_c == MERGED -> X : N)
#ifdef USED_UNCONFIRMED
#define MAY_USE (n_at_c == USABLE || n_at_c == MERGED || n_at_c == NAMED)
#else
#define MAY_USE (n_at_c == USABLE || n_at_c == MERGED)
#endif
#ifdef SENT_ON_UNCONFIRMED
#define MAY_GIVE (n_at_c == USABLE || n_at_c == MERGED || n_at_c == NAMED)
#else
#define MAY_GIVE (n_at_c == USABLE || n_at_c == MERGED)
#endif

active proctype C()
{
        mtype kind;
        byte token;
        bool waits, later, uses, gives, redeem, release_n, gave_up, over;

        do
        :: atomic { nempty(ac) && !later ->
                        ac?kind;
                        if
                        :: kind == MESSAGE -> waits = true;
#ifdef MERGED_ON_A_WORD
                                n_at_c = (x_at_c -> MERGED : ASKED); redeem = true; waits = false; got++; uses = true
#else
                                n_at_c = ASKED; redeem = true
#endif
                        :: kind == PLAIN && waits ->
#ifdef LATER_PASS
                                assert(got == 1); got++
#else
                                later = true
#endif
                        :: kind == PLAIN && !waits -> assert(got == 1); got++
                        fi }
        :: atomic { redeem && nfull(cb) -> redeem = false; cb!REDEEM,N,NOTHING }
        :: atomic { nempty(bc) ->
                        bc?kind,token;
                        if
                        :: n_at_c == MERGED -> release_n = true /* taken for the same without a word of B's */
                        :: kind == DEAD && n_at_c != MERGED -> n_at_c = GONE; release_n = true; uses = false
#ifdef MERGED_THOUGH_GONE
                        :: kind == CONFIRM && token == X && n_at_c == ASKED ->
#else
                        :: kind == CONFIRM && token == X && x_at_c && n_at_c == ASKED ->
#endif
                                n_at_c = MERGED;
#ifndef MERGED_NOT_GIVEN_BACK
                                release_n = true
#endif
#ifndef MERGED_THOUGH_GONE
                        :: kind == CONFIRM && (token != X || !x_at_c || n_at_c == NAMED) && n_at_c != MERGED ->
#else
                        :: kind == CONFIRM && (token != X || n_at_c == NAMED) && n_at_c != MERGED ->
#endif
                                n_at_c = USABLE;
                                if :: gave_up -> n_at_c = GONE; release_n = true :: else fi
                        fi }
        :: atomic { waits && n_at_c != ASKED -> waits = false; got++; uses = (n_at_c != GONE) }
#ifndef NO_BOUND
        :: atomic { waits && n_at_c == ASKED -> waits = false; got++; n_at_c = NAMED; uses = true } /* the second is over */
#endif
        :: atomic { later && !waits -> later = false; assert(got == 1); got++ }
        /* The program. */
        :: atomic { uses && !gave_up && MAY_USE && nfull(cb) ->
                        uses = false; gives = true; used++; cb!USE,NUMBER,true }
        :: atomic { gives && !gave_up && MAY_GIVE && nfull(cb) && nfull(cd) ->
                        gives = false; cb!GIVE,NUMBER,Z; cd!MESSAGE; sent_on++ }
#ifdef SENT_ON_UNCONFIRMED
        :: atomic { uses && !gave_up && MAY_GIVE && nfull(cb) && nfull(cd) ->
                        uses = false; cb!GIVE,NUMBER,Z; cd!MESSAGE; sent_on++ }
#endif
        :: atomic { n_at_c == NAMED && uses && !gave_up -> uses = false; gave_up = true
#ifdef RELEASED_UNCONFIRMED
                        ; n_at_c = GONE; release_n = true
#endif
                  }
        :: atomic { release_n && !redeem && nfull(cb) -> release_n = false; cb!RELEASE,N,NOTHING }
        :: atomic { x_at_c && n_at_c != MERGED && nfull(cb) -> x_at_c = false; cb!RELEASE,X,NOTHING }
        od
}

active proctype D()
{
        mtype kind;
        bool redeem, uses;

        do
        :: atomic { nempty(cd) -> cd?kind; z_at_d = ASKED; redeem = true }
        :: atomic { redeem && nfull(db) -> redeem = false; db!REDEEM,Z }
        :: atomic { nempty(bd) -> bd?kind;
                        if
                        :: kind == CONFIRM -> z_at_d = USABLE; uses = true
                        :: kind == DEAD -> z_at_d = GONE
                        fi }
        :: atomic { uses && nfull(db) -> uses = false; used++; db!USE,Z }
        od
}

active proctype Stop()
{
        if
        :: stopped = true
        :: true
        fi
}

/* Alone, when nobody else can do anything. */
active proctype Check()
{
        timeout;
        assert(got == 2);
        if
        :: !stopped ->
                assert(at_b[N] != PARKED && at_b[Z] != PARKED);
                assert(arrived == used);
                assert(!sent_on || z_at_d == USABLE);
                assert(!(liar && sent_on));
                assert((at_b[X] == GRANTED) == x_at_c);
                assert((at_b[N] == GRANTED) == (n_at_c == USABLE));
                assert((at_b[Z] == GRANTED) == (z_at_d == USABLE))
        :: else
        fi
}
