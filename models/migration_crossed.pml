/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migration_crossed.pml - two receive rights, each sent along the other
 *
 * Stands for: port/move.c (a port that moves with what waits in its queue), port/settle.c (LIMBO, a message that
 * waits for its port, the walk that finds a ring of ports), port/reroute.c (a message beyond the count is sent again;
 * PASS, hops). What migration.pml checks of one move is taken for granted: a move here is a start and a commit. No
 * deaths here.
 *
 * Ports 0 and 1 are at tasks 0 and 1 at first. Each task may send its port's receive right through the other's
 * port, at any time. A message is FLYING to a task; where its port is not any more it is sent on. What was sent
 * through a port that has not been committed elsewhere is QUEUED there, and moves with it. A port whose right is in a
 * message follows that message: PASS, or the queue it is in.
 *
 * "Nothing can happen any more" is Spin's `timeout`. Then each message that was sent was received by a program or
 * destroyed, and with it the port in it: none waits in a ring of ports that nobody can receive from. No more than so
 * many moves are ever made.
 *
 * What is taken out:            spin-expect-fail: -DNO_HOPS
 *                               spin-expect-fail: -DNO_WALK
 *                               spin-expect-fail: -DWALK_AT_THE_SEND_ONLY
 * spin-cc: -DSAFETY -DCOLLAPSE
 * spin-pan: -m400000 -E
 * spin-quick: -DHOPS=4
 */
#ifndef HOPS
#define HOPS 6
#endif
#define MOVES_MOST (4 * HOPS + 4)

#define NOT_SENT  0
#define FLYING    1
#define QUEUED    2
#define RECEIVED  3
#define DESTROYED 4

#define HELD  0 /* by the program of the task where it is */
#define LIMBO 1 /* for the message that carries it */
#define DEAD  2

#define NOWHERE 9
#define OTHER (1 - p) /* the port that message p goes through */

byte at[2], state[2], moves_to[2] = NOWHERE, wanted[2] = NOWHERE;
byte message[2], flies_to[2], hops[2], moves;

/* Message and port, and what is queued there. */
inline destroy(which)
{
        message[which] = DESTROYED;
        state[which] = DEAD;
        moves_to[which] = NOWHERE;
        wanted[which] = NOWHERE;
        if
        :: message[1 - which] == QUEUED ->
                message[1 - which] = DESTROYED;
                state[1 - which] = DEAD;
                moves_to[1 - which] = NOWHERE;
                wanted[1 - which] = NOWHERE
        :: else
        fi
}

/* Does the port it goes to wait, at the same task, in a message that is queued at the port it carries? */
#define IS_RING(p) (state[1 - (p)] == LIMBO && message[1 - (p)] == QUEUED && message[p] == QUEUED && at[0] == at[1])

inline walk(p)
{
#ifndef NO_WALK
        if :: IS_RING(p) -> destroy(p) :: else fi
#else
        skip
#endif
}

inline hop(p)
{
        hops[p]++;
#ifndef NO_HOPS
        if :: hops[p] >= HOPS -> destroy(p) :: else fi
#else
        if :: hops[p] >= HOPS -> hops[p] = 0 :: else fi
#endif
}

/* It is to be where its message is queued, or flies to. */
inline follow(p, task)
{
        if
        :: message[p] != DESTROYED && at[p] != task -> wanted[p] = task
        :: message[p] != DESTROYED && at[p] == task -> wanted[p] = NOWHERE
        :: else
        fi
}

inline put_there(p)
{
        message[p] = QUEUED;
        follow(p, at[OTHER]);
        walk(p)
}

proctype Port(byte p)
{
        do
        /* ptl_send() with the right, to where the other port was said to be */
        :: d_step { message[p] == NOT_SENT && state[p] == HELD && state[OTHER] != DEAD && moves_to[p] == NOWHERE ->
                state[p] = LIMBO;
                message[p] = FLYING;
                flies_to[p] = OTHER;
                if
                :: at[p] == OTHER -> put_there(p)
                :: else -> wanted[p] = OTHER
                fi }
        /* a move and its commit; the queue comes along, and what is carried in it follows */
        :: d_step { wanted[p] != NOWHERE && moves_to[p] == NOWHERE && state[p] == LIMBO ->
                moves_to[p] = wanted[p] }
        :: d_step { moves_to[p] != NOWHERE ->
                moves++;
                assert(moves <= MOVES_MOST);
                at[p] = moves_to[p];
                moves_to[p] = NOWHERE;
                if :: wanted[p] == at[p] -> wanted[p] = NOWHERE :: else fi;
                if
                :: message[OTHER] == QUEUED ->
                        follow(OTHER, at[p]);
                        hop(OTHER)
                :: else
                fi;
#ifndef WALK_AT_THE_SEND_ONLY
                if :: message[p] == QUEUED -> walk(p) :: else fi
#endif
           }
        /* the message comes behind its port's first commit */
        :: d_step { message[p] == FLYING && moves > 0 && moves_to[p] == NOWHERE && (at[p] == flies_to[p] || hops[p] > 0) ->
                if
                :: state[OTHER] == DEAD -> destroy(p)
                :: state[OTHER] != DEAD && at[OTHER] == flies_to[p] -> put_there(p)
                :: else ->
                        flies_to[p] = at[OTHER];
                        follow(p, flies_to[p]);
                        hop(p)
                fi }
        /* ptl_receive() */
        :: d_step { message[p] == QUEUED && state[OTHER] == HELD && at[p] == at[OTHER] && moves_to[p] == NOWHERE && wanted[p] == NOWHERE ->
                message[p] = RECEIVED;
                state[p] = HELD }
        od
}

/* Alone, when nobody else can do anything. */
proctype Check()
{
        byte p;

        timeout;
        d_step {
                do
                :: p < 2 ->
                        assert(message[p] != FLYING && message[p] != QUEUED);
                        assert(state[p] == (message[p] == DESTROYED -> DEAD : HELD));
                        p++
                :: else -> break
                od
        }
}

init {
        atomic {
                at[1] = 1;
                run Port(0);
                run Port(1);
                run Check()
        }
}
