/* SPDX-License-Identifier: Apache-2.0 */
/*
 * introduction.pml - two tasks are introduced and write before the other has looked
 *
 * Stands for: server/introduce.c (each side gets one end of a socket), task/server.c introduced(),
 * link/link.c (ptl_link_init: armed at birth, HELLO sent; take_hello; ptl_link_bell_introduced, E5),
 * task/wait.c (socket_event, arm_and_look), task/start.c ptl_task_unlink (drain_rest).
 *
 * Both tasks send N frames to each other whenever they like and sleep in between. Memory is
 * sequentially consistent: fences stand between each store and the load after it (E3), which
 * tests/model/bell_model.c checks. A kill takes one of the tasks or the server between any two steps;
 * its descriptors close some time later. "Nothing can happen any more" is Spin's `timeout`; then
 *   - every frame that was published lies with the other task, if that lives;
 *   - who was introduced to somebody that never was knows it (its link ended).
 *
 * What is taken out:            spin-expect-fail: -DSENDER_DOES_NOT_LOOK
 *                               spin-expect-fail: -DOPENED_AND_NOT_LOOKED
 *                               spin-expect-fail: -DHELLO_AFTER_THE_LOOK
 *                               spin-expect-fail: -DLEFT_COLD_AS_BORN
 *                               spin-expect-fail: -DHELLO_OF_THE_DEAD_UNREAD
 * spin-cc: -DSAFETY -DNOREDUCE -DCOLLAPSE
 * spin-pan: -m200000 -E
 * spin-quick: -DN=2
 */
#ifndef N
#define N 2
#endif
#define OTHER (1 - me)

/* The server; dead[2] is its. */
bool dead[3], closed[3];
byte given;              /* bit i: task i was sent its end */
bool end_way[2];         /* an end is under way to task i */
bool has_end[2];
bool hello[2];           /* task i's HELLO lies in the socket, unread by the other */

/* What task i shows in its outbox, and its eventfd. */
byte pub[2];
bool armed[2]; /* and not rung for yet: what the counts of shm/bell.h amount to */
bool bell[2];

/* What it knows. */
byte got[2];
bool greeted[2], open[2], hot[2], ended[2];

/* No holder of task i's end is left. */
#define HUNG_UP(i) (closed[i] && (has_end[i] || end_way[i] || closed[2])) || \
                   (closed[2] && !(given & (1 << i)))

inline greet(me)
{
        if
        :: !greeted[me] -> greeted[me] = true; hello[me] = true
        :: else
        fi
}

/* A descriptor under way to a dead task closes with that task. */
inline take_introduction(me)
{
        atomic { end_way[me] = false; has_end[me] = true }
        armed[me] = true;
#ifndef HELLO_AFTER_THE_LOOK
        greet(me)
#endif
}

inline drain(me)
{
        got[me] = pub[OTHER]
}

/* ptl_link_bell(): the frame is out, then the fence. */
inline ring(me)
{
        if
        :: !open[me] ->
#ifndef SENDER_DOES_NOT_LOOK
                if
                :: atomic { hello[OTHER] -> hello[OTHER] = false; open[me] = true };
#ifndef OPENED_AND_NOT_LOOKED
                        hot[me] = true /* whoever opens the link looks at its ring afterwards */
#endif
                :: else
                fi
#else
                skip
#endif
        :: else
        fi;
        if
        :: atomic { open[me] && armed[OTHER] -> armed[OTHER] = false };
                bell[OTHER] = true
        :: else
        fi
}

/* The socket's event: its HELLO, or the end behind it. */
inline socket_event(me)
{
        if
        :: atomic { hello[OTHER] -> hello[OTHER] = false };
                open[me] = true;
                if /* polled from now on, or (no memory to poll it) armed afresh and looked at */
                :: hot[me] = true
                :: true ->
#ifndef LEFT_COLD_AS_BORN
                        armed[me] = true;
#endif
                        drain(me)
                fi
        :: !hello[OTHER] && (HUNG_UP(OTHER)) ->
                if
                :: open[me] -> drain(me)
                :: else
                fi;
                ended[me] = true
#ifdef HELLO_OF_THE_DEAD_UNREAD
        :: HUNG_UP(OTHER) ->
                if
                :: open[me] -> drain(me)
                :: else
                fi;
                ended[me] = true
#endif
        fi
}

/* One round of the leader. */
inline wait_round(me)
{
        if
        :: hot[me] && open[me] ->
                drain(me);
                armed[me] = true
        :: else
        fi;
        if
        :: hot[me] && open[me] && got[me] < pub[OTHER] -> skip /* looked: not asleep */
        :: else ->
#ifdef HELLO_AFTER_THE_LOOK
                if
                :: open[me] -> greet(me)
                :: else -> if :: greet(me) :: skip fi
                fi;
#endif
                if /* asleep */
                :: bell[me] ->
                        bell[me] = false;
                        if
                        :: open[me] -> hot[me] = true
                        :: else
                        fi
                :: has_end[me] && (hello[OTHER] || (HUNG_UP(OTHER))) -> socket_event(me)
                :: pub[me] < N && has_end[me] -> skip /* the program has something to send */
                fi
        fi;
        if
        :: hot[me] -> armed[me] = false
        :: else
        fi
}

active [2] proctype Task() provided (!dead[_pid])
{
        byte me = _pid;

        end_way[me];
        take_introduction(me);
        do
        :: !ended[me] && pub[me] < N && greeted[me] ->
                pub[me]++;
                ring(me)
        :: !ended[me] -> wait_round(me)
        :: ended[me] -> break
        od
}

active proctype Server() provided (!dead[2])
{
        byte first;

        if :: first = 0 :: first = 1 fi;
        atomic { given = given | (1 << first); end_way[first] = true };
        atomic { given = 3; end_way[1 - first] = true };
}

active proctype Kill()
{
        byte victim;

        if
        :: victim = 0
        :: victim = 1
        :: victim = 2
        :: goto none
        fi;
        dead[victim] = true;
        closed[victim] = true;
none:   skip
}

/* Alone, when nobody else can do anything. */
active proctype Check()
{
        timeout;
        assert(dead[0] || got[0] == pub[1] || (!has_end[0]));
        assert(dead[1] || got[1] == pub[0] || (!has_end[1]));
        assert(dead[0] || !has_end[0] || open[0] || ended[0]);
        assert(dead[1] || !has_end[1] || open[1] || ended[1]);
}
