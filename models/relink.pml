/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relink.pml - links that are lost half-way through an introduction, and made anew
 *
 * Stands for: server/introduce.c, task/relink.c, task/server.c (introduced, answer, lost), task/names.c
 * link_to, link/link.c (ptl_link_init, ptl_link_rejoin, take_hello). What introduction.pml checks of one
 * socket (who looks when, who rings) is taken for granted here.
 *
 * Two tasks; each looks the other up, or only the first does. A server makes sockets and gives the ends
 * to the two, one after the other. Who looks up writes a frame, its claim, as soon as that is answered, and
 * up to N in all at any time, whether its link is lost or not. Then there are up to TROUBLES of these, fewer
 * where both look up:
 *   - the server dies between any two of its steps, with the ends that it still has and all that it was
 *     asked; another takes its place, to which the tasks come back when they like;
 *   - a task gives up an end for want of memory;
 *   - a link cannot be made anew for want of room in the socket;
 *   - the second task is killed.
 *
 * A task's FIRST link carries what it writes; an EXTRA one was made by an INTRODUCTION beside it and only
 * reads. "Nothing can happen any more" is Spin's `timeout`; then
 *   - every frame was read exactly once by the other task, if both live;
 *   - no link is lost; and nobody was told of a death, unless there was one: then once, if a link was lost.
 * At all times no frame was read twice, and no more than K sockets are ever made: two that look for each
 * other at once do not go on doing so (as they would if a lost link took the socket of an INTRODUCTION).
 *
 * What is taken out:            spin-expect-fail: -DEND_IS_DEATH
 *                               spin-expect-fail: -DNEW_OUTBOX
 *                               spin-expect-fail: -DHELLO_AFTER_THE_LOOK
 *                               spin-expect-fail: -DDESCRIPTORS_BEHIND_HELLO -DMORE
 *                               spin-expect-fail: -DNOT_ASKED_AGAIN
 *                               spin-expect-fail: -DUNKNOWN_IS_DEAD
 *                               spin-expect-fail: -DNEVER_DEAD
 *                               spin-expect-fail: -DLOST_TAKE_ALL -DMORE
 * spin-cc: -DSAFETY -DCOLLAPSE
 * spin-pan: -m400000 -E
 * spin-quick: -DONE=2
 */
#ifdef MORE
#define TROUBLES (ONE + 1)
#define TROUBLES_OF_BOTH 2
#else
#define TROUBLES ONE
#define TROUBLES_OF_BOTH 1
#endif
#ifndef ONE
#define ONE 3 /* where one task looks up */
#endif
#ifndef N
#define N 1
#endif
#define K 7 /* sockets: as many as are ever made, which is asserted */

#define NONE   0 /* of an end: not made */
#define SERVER 1
#define SENT   2 /* in the task's socket to the server, where it outlives that */
#define HELD   3
#define CLOSED 4

#define FIRST 1
#define EXTRA 2

/* Of task i at socket k: [2 * k + i]. */
#define AT(k, i) (2 * (k) + (i))
#define OTHER (1 - me)

byte end[2 * K], role[2 * K];
bool found[2 * K]; /* it came as an answer, not as an INTRODUCTION */
bool hello[2 * K]; /* lies in the socket, unread by the other */
bool opened[2 * K];
byte position[2 * K]; /* how far task i has read what the other wrote */

#ifdef HELLO_AFTER_THE_LOOK
bool greeted[2 * K];
#endif

byte made, troubles, most, turn[2];
bool known[2], request[2];  /* what the present server knows */

bool dead[2], asks[2], asked[2], lost[2];
byte first[2] = K; /* the socket of its FIRST link; K: it has none */
byte pub[2], wrote[2], got[2], told[2];

/* An end is in nobody's hands any more. */
inline close_end(at) { if :: end[at] != NONE -> end[at] = CLOSED :: else fi }

inline want_link(me)
{
        asks[me] = true;
        asked[me] = false
}

/* ptl_task_link(): HELLO goes out as the link is made. */
inline new_link(me, k, as)
{
        if
        :: end[AT(k, me)] = HELD;
                role[AT(k, me)] = as;
#ifndef HELLO_AFTER_THE_LOOK
                hello[AT(k, me)] = true;
#endif
                if :: as == FIRST -> first[me] = k :: else fi
        :: troubles < most ->
                troubles++;
                close_end(AT(k, me));
                if :: found[AT(k, me)] -> want_link(me) :: else fi /* the look-up fails; again */
        fi
}

/* ptl_link_rejoin() */
inline rejoin(me, k)
{
        if
        :: end[AT(k, me)] = HELD;
                role[AT(k, me)] = FIRST;
                hello[AT(k, me)] = true;
                first[me] = k;
                lost[me] = false;
                asks[me] = false;
#ifdef NEW_OUTBOX
                pub[me] = 0
#endif
        :: troubles < most -> /* the descriptors of regions did not fit */
                troubles++;
#ifdef DESCRIPTORS_BEHIND_HELLO
                hello[AT(k, me)] = true;
                role[AT(k, me)] = FIRST;
#endif
                close_end(AT(k, me));
                want_link(me)
        fi
}

/* In the order in which the server said it. */
inline take_end(me, k)
{
        !dead[me] && turn[me] == k && end[AT(k, me)] == SENT;
        turn[me]++;
        if :: found[AT(k, me)] -> asks[me] = false :: else fi;
        if
        :: found[AT(k, me)] && lost[me] -> rejoin(me, k)
#ifdef LOST_TAKE_ALL
        :: !found[AT(k, me)] && lost[me] -> rejoin(me, k)
#else
        :: !found[AT(k, me)] && lost[me] -> new_link(me, k, EXTRA)
#endif
        :: !lost[me] && first[me] == K -> new_link(me, k, FIRST)
        :: !lost[me] && first[me] != K && !found[AT(k, me)] -> new_link(me, k, EXTRA)
        :: !lost[me] && first[me] != K && found[AT(k, me)] -> close_end(AT(k, me))
        fi;
        if /* the name found is claimed at once */
        :: found[AT(k, me)] && first[me] != K && !wrote[me] -> wrote[me]++; pub[me]++
        :: else
        fi
}

#define IS_READABLE(k) (opened[AT(k, me)] && role[AT(k, OTHER)] == FIRST && \
                        position[AT(k, me)] < pub[OTHER])

/* What the server does not know: it may not have come back yet. After 5 s it is taken for dead. */
#ifdef UNKNOWN_IS_DEAD
#define TAKEN_FOR_DEAD true
#else
#ifdef NEVER_DEAD
#define TAKEN_FOR_DEAD false
#else
#define TAKEN_FOR_DEAD dead[OTHER]
#endif
#endif

/* The socket's end, behind all that came. */
inline take_eof(me, k)
{
        !dead[me] && end[AT(k, me)] == HELD && end[AT(k, OTHER)] == CLOSED && !hello[AT(k, OTHER)] && !IS_READABLE(k);
        end[AT(k, me)] = CLOSED;
        if
        :: role[AT(k, me)] == EXTRA -> skip
        :: role[AT(k, me)] == FIRST && opened[AT(k, me)] -> told[me]++
        :: role[AT(k, me)] == FIRST && !opened[AT(k, me)] && !pub[me] -> first[me] = K
        :: role[AT(k, me)] == FIRST && !opened[AT(k, me)] && pub[me] ->
#ifdef END_IS_DEATH
                told[me]++
#else
                lost[me] = true;
                want_link(me)
#endif
        fi
}

/* What a task does about its end of one socket. */
proctype Socket(byte me, k)
{
        do
        :: atomic { take_end(me, k) }
        :: atomic { !dead[me] && end[AT(k, me)] == HELD && hello[AT(k, OTHER)] ->
                        hello[AT(k, OTHER)] = false; opened[AT(k, me)] = true }
        :: atomic { !dead[me] && end[AT(k, me)] == HELD && IS_READABLE(k) ->
                        position[AT(k, me)]++; got[me]++; assert(got[me] <= wrote[OTHER]) }
#ifdef HELLO_AFTER_THE_LOOK
        :: atomic { !dead[me] && end[AT(k, me)] == HELD && !greeted[AT(k, me)] -> greeted[AT(k, me)] = true;
                        if
                        :: hello[AT(k, me)] = true
                        :: troubles < most -> troubles++; close_end(AT(k, me));
                                if :: role[AT(k, me)] == FIRST -> first[me] = K :: else fi
                        fi }
#endif
        :: atomic { take_eof(me, k) }
        od
}

active [2] proctype Task()
{
        byte me = _pid, k;

        atomic {
                do
                :: k < K -> run Socket(me, k); k++
                :: else -> break
                od;
                k = 0;
                if
                :: me == 0 -> want_link(me)
                :: me == 1 -> want_link(me); most = TROUBLES_OF_BOTH
                :: me == 1 -> most = TROUBLES /* it only publishes */
                fi
        };
        do
        :: atomic { !dead[me] && !known[me] -> known[me] = true } /* its HELLO and its names, at its next call */
        :: atomic { !dead[me] && asks[me] && !asked[me] && known[me] && (lost[me] || first[me] == K) ->
                        asked[me] = true; request[me] = true }
        :: atomic { !dead[me] && asks[me] && !asked[me] && !lost[me] && first[me] != K -> /* they have met already */
                        asks[me] = false;
                        if :: !wrote[me] -> wrote[me]++; pub[me]++ :: else fi }
        :: atomic { !dead[me] && wrote[me] && wrote[me] < N && !told[me] -> wrote[me]++; pub[me]++ }
        :: atomic { !dead[me] && lost[me] && request[me] && known[me] && !known[OTHER] && TAKEN_FOR_DEAD ->
                        asks[me] = false; request[me] = false; lost[me] = false; told[me]++ }
        :: atomic { !dead[me] && turn[me] < made && end[AT(turn[me], me)] == CLOSED -> turn[me]++ }
        od
}

inline give(i, is_found)
{
        atomic {
                if
                :: end[AT(k, i)] == SERVER && !dead[i] ->
                        end[AT(k, i)] = SENT;
                        found[AT(k, i)] = is_found
                :: end[AT(k, i)] == SERVER && dead[i] -> close_end(AT(k, i))
                :: else /* this server died */
                fi
        }
}

active proctype Server()
{
        byte k, asker;

        do
        :: atomic { (request[0] || request[1]) && known[0] && known[1] ->
                        if :: request[0] -> asker = 0 :: request[1] -> asker = 1 fi;
                        request[asker] = false;
                        k = made;
                        made++;
                        assert(made <= K);
                        end[AT(k, 0)] = SERVER;
                        end[AT(k, 1)] = SERVER };
                give(1 - asker, false);
                give(asker, true)
        od
}

/* The server dies, and another is there. */
active proctype Restart()
{
        byte k;

        do
        :: atomic { troubles < most ->
                        troubles++;
                        k = 0;
                        do
                        :: k < 2 * K ->
                                if :: end[k] == SERVER -> end[k] = CLOSED :: else fi;
                                k++
                        :: else -> break
                        od;
                        known[0] = false; known[1] = false;
                        request[0] = false; request[1] = false;
#ifndef NOT_ASKED_AGAIN
                        asked[0] = false; asked[1] = false;
#endif
                        k = 0 }
        od
}

active proctype Kill()
{
        byte k;

        if
        :: true -> skip
        :: atomic { troubles < most ->
                    troubles++;
                    dead[1] = true;
                    do
                    :: k < K ->
                            if :: end[AT(k, 1)] == HELD || end[AT(k, 1)] == SENT -> end[AT(k, 1)] = CLOSED
                            :: else
                            fi;
                            k++
                    :: else -> break
                    od;
                    k = 0;
                    known[1] = false; /* the server is told by the kernel */
                    request[1] = false }
        fi
}

/* Alone, when nobody else can do anything. */
active proctype Check()
{
        timeout;
        assert(!lost[0]);
        assert(told[0] <= dead[1]);
        assert(!told[1]);
        if
        :: !dead[1] ->
                assert(!lost[1]);
                assert(first[0] != K);
                assert(wrote[0] == N && got[1] == wrote[0]);
                assert(got[0] == wrote[1])
        :: else
        fi
}
