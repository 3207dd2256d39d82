/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counting.pml - when no send right to a port is left: told exactly then, once a request, and never early
 *
 * Stands for: port/senders.c, port/grant.c (start, ptl_grant_release), port/queued.c (own_send, discard_right),
 * task/carry.c (take_own, ptl_carry_commit), port/receiver.c (ptl_receiver_take), port/peer.c (ptl_peer_died);
 * docs/protocol/counting.md.
 *
 * A port's task makes rights: for its own name, or into messages to holders. Own rights move to holders and
 * into messages to itself. Holders send through what they hold, send copies home, give back, and are killed
 * between any two steps; rings survive their writers. The task's program asks for no-senders before it
 * has made the first right (sync 1), and each time again that it was told of too few (sync: what it has made). Told
 * of as many as it has made, it destroys the port. `rights` counts what really exists, wherever it is:
 * in names, in rings, in queues; what a dead task held or had not read is gone with it. Always
 *   - nothing is left when it is told, and nothing when the port is destroyed;
 *   - one request, one notification;
 *   - in the end nobody waits who ought to have been told.
 *
 * What is taken out:            spin-expect-fail: -DNO_SYNC
 *                               spin-expect-fail: -DNO_GUARD
 *                               spin-expect-fail: -DNO_TRANSIT
 *                               spin-expect-fail: -DNO_QUEUE
 *                               spin-expect-fail: -DDROP_BEFORE_GRANT
 *                               spin-expect-fail: -DDEATH_BEFORE_DRAIN
 *                               spin-expect-fail: -DTOLD_TWICE
 *                               spin-expect-fail: -DNO_LOOK_AT_TAKE
 *                               spin-expect-fail: -DNO_LOOK_AT_DEATH
 *                               spin-expect-fail: -DRELEASE_TAKES_ALL
 * spin-cc: -DSAFETY -DNOREDUCE -DCOLLAPSE
 * spin-pan: -m400000 -E
 * spin-quick: -DMAKES=2 -DFRAMES=1
 */
#ifndef MAKES
#define MAKES 3
#endif
#ifndef FRAMES
#define FRAMES 2
#endif
#define HOLDERS 2

mtype = { RIGHT, MESSAGE, HOME, RELEASE };

chan down0 = [2] of { mtype };
chan down1 = [2] of { mtype };
chan up0 = [3] of { mtype, byte }; /* RELEASE: how many */
chan up1 = [3] of { mtype, byte };
chan queue = [6] of { mtype }; /* MESSAGE: came through a send right; HOME: carries one, came through a send-once right */
chan told = [2] of { byte };

/* The port's task. */
byte own;     /* references of its name */
byte refs[HOLDERS], in_messages, queued, made, sync;
bool pending, freed, settled[HOLDERS];
byte requests, fired;

byte holds[HOLDERS], frames;
bool dead[HOLDERS];
short rights; /* the truth */

#ifdef NO_SYNC
#define REACHED true
#else
#define REACHED (made >= sync)
#endif
#ifdef NO_TRANSIT
#define MOVING 0
#else
#define MOVING in_messages
#endif
#ifdef NO_QUEUE
#define HELD 0
#else
#define HELD queued
#endif
#define NONE_COUNTED (own == 0 && refs[0] == 0 && refs[1] == 0 && MOVING == 0 && HELD == 0)

/* ptl_senders_look() */
inline look()
{
        if
        :: pending && !freed && REACHED && NONE_COUNTED ->
                assert(rights == 0);
#ifndef TOLD_TWICE
                pending = false;
#endif
                fired++;
                assert(fired <= requests);
                told!made
        :: else
        fi
}

inline request(s)
{
        requests++;
        pending = true;
        sync = s;
        look()
}

/* A frame of holder @i. */
inline take_frame(i, kind, n)
{
        if
        :: kind == RELEASE ->
#ifdef RELEASE_TAKES_ALL
                refs[i] = 0;
#else
                refs[i] = refs[i] - n;
#endif
                look()
        :: kind == MESSAGE && !freed -> queue!MESSAGE; queued++
        :: kind == HOME && !freed -> queue!HOME; in_messages++
        :: kind != RELEASE && freed -> rights--
        fi
}

inline settle(i)
{
        settled[i] = true;
        refs[i] = 0;
#ifndef NO_LOOK_AT_DEATH
        look()
#endif
}

/* A right goes into a message to @i; who is dead already has lost it. */
inline give(i, down)
{
        refs[i]++;
        if
        :: dead[i] -> rights--
        :: else -> down!RIGHT
        fi
}

inline move(i, down)
{
#ifdef DROP_BEFORE_GRANT
        own--;
        look();
        give(i, down)
#else
        give(i, down);
        own--;
        look()
#endif
}

#ifdef DEATH_BEFORE_DRAIN
#define DRAINED(up) true
#else
#define DRAINED(up) empty(up)
#endif

active proctype Task()
{
        byte n;
        mtype kind;

        atomic { request(1) };
        do
        /* another thread of the program makes rights */
        :: atomic { !freed && made < MAKES -> made++; rights++; own++ }
        :: atomic { !freed && made < MAKES && !settled[0] && nfull(down0) -> made++; rights++; give(0, down0) }
        :: atomic { !freed && made < MAKES && !settled[1] && nfull(down1) -> made++; rights++; give(1, down1) }
        /* its own right moves, or goes */
        :: atomic { own > 0 && !freed && !settled[0] && nfull(down0) -> move(0, down0) }
        :: atomic { own > 0 && !freed && !settled[1] && nfull(down1) -> move(1, down1) }
        :: atomic { own > 0 && !freed && frames < FRAMES && nfull(queue) ->
                frames++; queue!HOME; in_messages++; own--; look() }
        :: atomic { own > 0 && !freed -> own--; rights--; look() }
        /* the library looks at the rings, and at who died */
        :: atomic { nempty(up0) && nfull(queue) -> up0?kind,n; take_frame(0, kind, n) }
        :: atomic { nempty(up1) && nfull(queue) -> up1?kind,n; take_frame(1, kind, n) }
        :: atomic { dead[0] && !settled[0] && DRAINED(up0) -> settle(0) }
        :: atomic { dead[1] && !settled[1] && DRAINED(up1) -> settle(1) }
        /* the program receives */
        :: atomic { !freed && nempty(queue) -> queue?kind;
                if
                :: kind == MESSAGE ->
                        queued--;
                        rights--;
#ifndef NO_LOOK_AT_TAKE
                        look()
#endif
                :: else -> in_messages--; own++
                fi }
        /* it is told */
        :: atomic { !freed && nempty(told) -> told?n;
                if
#ifdef NO_GUARD
                :: true ->
#else
                :: n == made ->
#endif
                        assert(rights == 0);
                        assert(made > 0); /* not before it made the first */
                        freed = true
#ifndef NO_GUARD
                :: else -> request(made)
#endif
                fi }
        od
}

inline hold(i, down, up)
{
        do
        :: atomic { nempty(down) -> down?RIGHT; holds[i]++ }
        :: atomic { holds[i] > 0 && frames < FRAMES && nfull(up) -> frames++; rights++; up!MESSAGE,0 }
        :: atomic { holds[i] > 0 && frames < FRAMES && nfull(up) -> frames++; rights++; up!HOME,0 }
        :: atomic { holds[i] > 0 && nfull(up) -> up!RELEASE,holds[i]; rights = rights - holds[i]; holds[i] = 0 }
        od
}

active proctype Holder0() provided (!dead[0]) { hold(0, down0, up0) }
active proctype Holder1() provided (!dead[1]) { hold(1, down1, up1) }

inline kill(i, down)
{
        dead[i] = true;
        rights = rights - holds[i] - len(down);
        holds[i] = 0
}

active proctype Kill()
{
        do
        :: atomic { !dead[0] -> kill(0, down0) }
        :: atomic { !dead[1] -> kill(1, down1) }
        :: break
        od
}

active proctype Check()
{
        timeout;
        assert(fired + pending == requests);
        assert(freed || !(pending && made >= sync && rights == 0));
        assert(freed || rights > 0 || made == 0)
}
