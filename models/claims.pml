/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claims.pml - an index that its holder claims, gives back, and claims again, while both rings hold frames
 *
 * Stands for: port/held.c (ptl_held_claim), port/grant.c (ptl_grant_claim, _release), port/control.c,
 * port/deliver.c (claim, dead, window), task/window.c (docs/protocol/rights.md, "Claims").
 *
 * The holder's right has LIVES lives on one index; it may end each at any time. It sends as long as it
 * believes that there is room. The port's task takes what arrived, may free each port, and says so; it
 * counts what was taken in one word for all lives. Always
 *   - what was sent through a life arrives through that life;
 *   - no more is under way than the window allows, or the link would end for a lie;
 *   - news (CONFIRM, DEAD) that the holder takes for its right's is about its right.
 *
 * What is taken out:            spin-expect-fail: -DNO_GENERATION
 *                               spin-expect-fail: -DBELIEVED_BEFORE_CONFIRM
 *                               spin-expect-fail: -DCONFIRMED_BEFORE_ZERO
 * spin-cc: -DSAFETY -DCOLLAPSE
 * spin-pan: -m400000
 * spin-quick: -DMESSAGES=2
 */
#ifndef MESSAGES
#define MESSAGES 3
#endif
#define LIVES 3
#define LIMIT 1

#ifdef NO_GENERATION
#define GENERATION(life) 0
#else
#define GENERATION(life) (life)
#endif

mtype = { CLAIM, MESSAGE, RELEASE, CONFIRM, DEAD };

/* Kind, generation, and the life that is meant, which no real frame says. */
chan ring = [16] of { mtype, byte, byte }; /* the holder's */
chan back = [8] of { mtype, byte, byte };  /* the port's task's */
byte word;                                 /* what was taken, in the outbox of the port's task */

active proctype Holder()
{
        byte life, sent, taken, g, l;
        mtype kind;
        bool confirmed, dead;

        do
        :: life < LIVES ->
                sent = 0;
                taken = 0;
                dead = false;
                confirmed = (life == 0); /* the word of an index never used is zero */
#ifdef BELIEVED_BEFORE_CONFIRM
                confirmed = true;
#endif
                ring!CLAIM,GENERATION(life),life;
                do
                :: atomic { back?kind,g,l ->
                        if
                        :: g == GENERATION(life) ->
                                assert(l == life);
                                confirmed = confirmed || kind == CONFIRM;
                                dead = dead || kind == DEAD
                        :: else
                        fi }
                :: !dead && sent < MESSAGES && sent - taken < LIMIT ->
                        ring!MESSAGE,GENERATION(life),life;
                        sent++
                :: d_step { confirmed && word > taken && word <= sent -> taken = word }
                :: ring!RELEASE,GENERATION(life),life -> break
                od;
                life++
        :: else -> break
        od
}

active proctype PortsTask()
{
        byte life, gen, arrived, taken, g, l;
        mtype kind;
        bool claimed, freed;

end:    do
        :: ring?kind,g,l ->
                if
                :: kind == CLAIM ->
                        claimed = true;
                        freed = false;
                        life = l;
                        gen = g;
                        arrived = 0;
                        taken = 0;
#ifdef CONFIRMED_BEFORE_ZERO
                        back!CONFIRM,g,l;
                        word = 0
#else
                        word = 0;
                        back!CONFIRM,g,l
#endif
                :: kind == MESSAGE ->
                        assert(claimed && l == life && g == gen);
                        arrived++;
                        assert(freed || arrived - taken <= LIMIT)
                :: kind == RELEASE ->
                        assert(l == life);
                        claimed = false
                fi
        :: claimed && !freed && taken < arrived ->
                taken++;
                word = taken
        :: claimed && !freed ->
                freed = true;
                back!DEAD,gen,life
        od
}
