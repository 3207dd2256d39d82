/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.pml - a call mints a send-once right; it may give up, and the reply may come late
 *
 * Stands for: task/call.c (wait_for_reply, give_up), port/grant.c (ptl_grant_once, _abandon, _free,
 * _release), port/deliver.c (message, destroy, release), ptl_peer_died().
 *
 * A client makes CALLS calls, one after another, through a link to a server; it has INDICES numbers
 * for reply rights and a generation of one bit (the shipped 12 bits wrap as well, later). The server
 * answers a request, or gives the reply right back unused (RELEASE), early or late, in any order. Each
 * reply carries a right, which must end in one place: with the server, with the client, or given back
 * by whoever destroyed the reply. Rings are fifo channels that survive their writer. Either side is
 * killed between any two steps.
 *
 * What is taken out:            spin-expect-fail: -DFREE_AT_TIMEOUT
 *                               spin-expect-fail: -DFREE_AT_TIMEOUT -DNO_GENERATION
 *                               spin-expect-fail: -DLATE_REPLY_DROPPED
 *                               spin-expect-fail: -DDEATH_BEFORE_DRAIN
 *                               spin-expect-fail: -DABANDONED_FOR_EVER
 * spin-cc: -DSAFETY -DNOREDUCE -DCOLLAPSE
 * spin-pan: -m200000 -E
 * spin-quick: -DCALLS=3
 */
#ifndef CALLS
#define CALLS 4
#endif
#define INDICES 2
#define NONE 255

mtype = { REPLY, RELEASE, WAITS, ANSWERED, UNANSWERED, NO_REPLY, DEAD };

chan requests = [CALLS] of { byte, byte, byte };      /* call, index, generation */
chan replies = [CALLS] of { mtype, byte, byte, byte }; /* kind, call it answers, index, generation */

bool dead[2]; /* client, server */
bool known;   /* the server's death is known to the client */

/* The client's table of grants. */
bool taken[INDICES];
bool wanted[INDICES]; /* receiver != NULL: a call waits for it */
byte generation[INDICES], of_call[INDICES];
mtype outcome[CALLS + 1];
byte lies;

/* Where the rights carried by replies are. */
byte sent_rights, delivered_rights, returned_rights;

#ifdef NO_GENERATION
#define NEXT(g) 0
#else
#define NEXT(g) (1 - g)
#endif

inline free_index(i)
{
        taken[i] = false;
        wanted[i] = false;
        generation[i] = NEXT(generation[i])
}

/* port/deliver.c message() and release() */
inline take_frame(kind, call, i, g)
{
        if
        :: !taken[i] || generation[i] != g -> lies++ /* an honest peer is called a liar */
        :: else ->
                if
                :: kind == REPLY && wanted[i] ->
                        assert(of_call[i] == call); /* never another call's */
                        outcome[call] = ANSWERED;
                        delivered_rights++
                :: kind == REPLY && !wanted[i] ->
#ifndef LATE_REPLY_DROPPED
                        returned_rights++ /* destroyed with what it carries */
#else
                        skip
#endif
                :: kind == RELEASE && wanted[i] -> outcome[call] = NO_REPLY
                :: kind == RELEASE && !wanted[i] -> skip
                fi;
#ifdef ABANDONED_FOR_EVER
                if
                :: wanted[i] -> free_index(i)
                :: else
                fi
#else
                free_index(i)
#endif
        fi
}

inline drain()
{
        do
        :: atomic { nempty(replies) -> replies?kind,answered,index,gen; take_frame(kind, answered, index, gen) }
        :: empty(replies) -> break
        od
}

inline settle_death()
{
#ifndef DEATH_BEFORE_DRAIN
        drain();
#endif
        atomic {
                known = true;
                index = 0;
                do
                :: index < INDICES ->
                        if
                        :: wanted[index] -> outcome[of_call[index]] = DEAD
                        :: else
                        fi;
                        if
                        :: taken[index] -> free_index(index)
                        :: else
                        fi;
                        index++
                :: else -> break
                od
        }
}

active proctype Client() provided (!dead[0])
{
        byte call = 1, index, gen, answered, mine;
        mtype kind;

        do
        :: call <= CALLS && !known ->
                atomic { /* one pass under the task's lock: mint, write, ring */
                        mine = 0;
                        do
                        :: mine < INDICES && taken[mine] -> mine++
                        :: else -> break
                        od;
                        if
                        :: mine == INDICES -> outcome[call] = UNANSWERED /* no number left: an outcome */
                        :: else ->
                                taken[mine] = true;
                                wanted[mine] = true;
                                of_call[mine] = call;
                                outcome[call] = WAITS;
                                requests!call,mine,generation[mine]
                        fi
                };
                do
                :: outcome[call] == WAITS && nempty(replies) ->
                        atomic { replies?kind,answered,index,gen; take_frame(kind, answered, index, gen) }
                :: outcome[call] == WAITS -> /* the deadline */
                        atomic {
                                if
                                :: outcome[call] == WAITS ->
                                        outcome[call] = UNANSWERED;
#ifdef FREE_AT_TIMEOUT
                                        free_index(mine)
#else
                                        wanted[mine] = false /* ptl_grant_abandon() */
#endif
                                :: else
                                fi
                        }
                :: dead[1] && !known && outcome[call] == WAITS -> settle_death()
                :: outcome[call] != WAITS -> break
                od;
                call++
        :: call > CALLS && nempty(replies) && !known ->
                atomic { replies?kind,answered,index,gen; take_frame(kind, answered, index, gen) }
        :: dead[1] && !known -> settle_death()
        :: known -> break
        od
}

/* Holds up to two requests, answers any of them. */
active proctype Server() provided (!dead[1])
{
        byte call[2], index[2], gen[2];
        byte k;
        bool holds[2];

        do
        :: atomic { !holds[0] && nempty(requests) -> requests?call[0],index[0],gen[0]; holds[0] = true }
        :: atomic { !holds[1] && nempty(requests) -> requests?call[1],index[1],gen[1]; holds[1] = true }
        :: holds[0] || holds[1] ->
                if
                :: holds[0] -> k = 0
                :: holds[1] -> k = 1
                fi;
                if /* each a check, then one publishing store */
                :: !dead[0] -> atomic { replies!REPLY,call[k],index[k],gen[k]; sent_rights++; holds[k] = false }
                :: !dead[0] -> atomic { replies!RELEASE,call[k],index[k],gen[k]; holds[k] = false }
                :: dead[0] -> holds[k] = false /* the right died with its port */
                fi
        od
}

active proctype Kill()
{
        if
        :: dead[0] = true
        :: dead[1] = true
        :: skip
        fi
}

active proctype Check()
{
        byte i;

        timeout;
#ifndef NO_GENERATION
        assert(lies == 0);
#endif
        assert(dead[0] || sent_rights == delivered_rights + returned_rights);
        if
        :: !dead[0] ->
                atomic {
                        i = 0;
                        do
                        :: i < INDICES -> assert(!taken[i]); i++ /* every number came back */
                        :: else -> break
                        od;
                        i = 1;
                        do
                        :: i <= CALLS -> assert(outcome[i] != WAITS); i++
                        :: else -> break
                        od
                }
        :: else
        fi
}
