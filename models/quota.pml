/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota.pml - a peer whose messages reach a limit is held back, and nobody waits for ever for that
 *
 * Stands for: port/deliver.c (message), port/quota.c, task/restrain.c, task/wait.c (docs/protocol/quotas.md, "Held
 * back").
 *
 * The task has a leader that reads the peer's ring into a queue, and a program that at any time takes from the
 * queue, or calls the peer and then takes nothing before it has the answer. The peer sends, as far as its
 * ring and its window have room, and answers behind that; it may be killed anywhere. Always
 *   - a program that takes or calls gets on (no state without an end);
 *   - everything that was published is taken, once, and the count is 0 in the end;
 *   - the queue exceeds the limit only while the peer is awaited, and by one message more.
 *
 * What is taken out:            spin-expect-fail: -DHELD_THOUGH_AWAITED
 *                               spin-expect-fail: -DNEVER_LET_GO
 *                               spin-expect-fail: -DNO_REVIEW_AT_A_CALL
 *                               spin-expect-fail: -DNOT_DRAINED_AT_DEATH
 * spin-cc: -DSAFETY -DCOLLAPSE
 * spin-pan: -m400000
 * spin-quick: -DMESSAGES=5
 */
#ifndef MESSAGES
#define MESSAGES 5
#endif
#define RING 2
#define CALLS 2
#define LIMIT 2
#define LOW 1 /* of the limit: below it who was held back is let go */

mtype = { DATA, ANSWER };

chan ring = [RING] of { mtype }; /* the peer's outbox */
byte asked, answered;            /* calls; the request itself is in the task's ring, which has room */
byte published, queued, taken;
bool held, awaited;              /* awaited: the peer holds a live send-once right */
bool lenient;                    /* it was awaited since a message was last queued, or then */
bool mortal;                     /* it may be killed anywhere; else it does all that it has to */
bool peer_dead, dead_seen;
mtype kind;                      /* the leader's */

inline count()
{
        if
        :: kind == DATA -> queued++
        :: kind == ANSWER -> answered++; awaited = false
        fi
}

/* A message was queued: is its sender to be held back? Not asked when an answer came: one message more may. */
inline judge()
{
        lenient = awaited;
#ifdef HELD_THOUGH_AWAITED
        held = (queued >= LIMIT)
#else
        held = (queued >= LIMIT && !awaited)
#endif
}

/* Each step is one hold of the task's lock. */
active proctype Leader()
{
        do
        :: atomic { !held && nempty(ring) ->
                ring?kind;
                assert(queued < LIMIT || awaited || lenient || kind == ANSWER);
                count();
                if
                :: kind == DATA -> judge()
                :: else
                fi }
        :: atomic { peer_dead && !dead_seen ->
                dead_seen = true;
                held = false;
#ifndef NOT_DRAINED_AT_DEATH
                do /* whatever the limit says */
                :: nempty(ring) -> ring?kind; count()
                :: empty(ring) -> break
                od;
#endif
                awaited = false }
        :: dead_seen -> break
        od
}

/* Takes one from the queue; the count goes down in the same step. */
inline take()
{
        queued--;
        taken++;
#ifndef NEVER_LET_GO
        if
        :: queued <= LOW -> held = false
        :: else
        fi
#endif
}

active proctype Program()
{
        byte calls;

        do
        :: atomic { queued > 0 -> take() }
        :: atomic { calls < CALLS && !dead_seen ->
                calls++;
                asked++;
                awaited = true;
                lenient = true;
#ifndef NO_REVIEW_AT_A_CALL
                held = false
#endif
           }
           /* takes nothing meanwhile; the peer's death ends the wait, too */
           (answered == calls || dead_seen)
        :: atomic { dead_seen && queued == 0 -> break }
        od;
        assert(taken == published);
        assert(queued == 0 && !held)
}

active proctype Peer()
{
        byte served;

        if
        :: mortal = true
        :: mortal = false
        fi;
        do
        :: atomic { published < MESSAGES && nfull(ring) -> ring!DATA; published++ }
        :: atomic { served < asked && nfull(ring) -> ring!ANSWER; served++ }
        :: atomic { published == MESSAGES && served == asked -> break } /* it ends by itself */
        :: mortal -> break
        od;
        peer_dead = true
}
