/* SPDX-License-Identifier: Apache-2.0 */
/*
 * descriptors.pml - descriptors on the socket, named by number from frames in the ring
 *
 * Stands for: link/link.c (ptl_link_descriptor_send, _take, take_descriptor, acknowledge), and
 * port/regions.c, task/send.c export_regions().
 *
 * The sender has MESSAGES messages of one or two descriptors. Descriptors go first, in order, numbered;
 * then the frame that names them. At most W are under way without acknowledgement. The socket may be
 * full (EAGAIN, ETOOMANYREFS); then none of a message's descriptors went, or numbers that no frame will
 * ever name fill the window. Any
 * descriptor may be lost on the way (the receiver's limit). Frames name numbers in order: what a frame
 * passes over is closed. At the end
 *   - a frame got the very descriptors it named, or was told that one is lost, and only if it was;
 *   - the receiver never saw one more than it acknowledged (it would end the link);
 *   - all messages went through, and no descriptor is left open in the inbox.
 *
 * What is taken out:            spin-expect-fail: -DNO_WINDOW
 *                               spin-expect-fail: -DFRAME_FIRST
 *                               spin-expect-fail: -DNO_ROOM_FOR_ALL_CHECKED
 *                               spin-expect-fail: -DFULL_HALF_WAY
 *                               spin-expect-fail: -DACKNOWLEDGED_ON_ARRIVAL
 * spin-cc: -DSAFETY -DNOREDUCE -DCOLLAPSE
 * spin-pan: -m400000 -E
 * spin-quick: -DMESSAGES=3
 */
#ifndef MESSAGES
#define MESSAGES 4
#endif
#define W 2
#define EMPTY 255
#define LOST_ONE 254

chan socket = [8] of { byte, byte };       /* number, what it is (message * 8 + part), or LOST_ONE */
chan acks = [8] of { byte };
chan ring = [MESSAGES] of { byte, byte, byte }; /* message, count, first number */

byte sent, acknowledged;      /* the sender's */
byte inbox[W] = EMPTY;
byte arrived, used;           /* the receiver's */
bool malformed, sender_done;
byte received;
bool dropped[32];             /* number: the receiver's limit took it */
byte retries;                 /* how often a socket that was full is met: bounded, or it never ends */

inline take_packets()
{
        do
        :: atomic { nempty(socket) ->
                socket?n,what;
                if
                :: n != arrived + 1 || inbox[n % W] != EMPTY -> malformed = true
                :: else ->
                        arrived = n;
                        if
                        :: what == LOST_ONE -> skip
                        :: else -> inbox[n % W] = what
                        fi;
#ifdef ACKNOWLEDGED_ON_ARRIVAL
                        acks!n
#endif
                fi
           }
        :: empty(socket) || malformed -> break
        od
}

active proctype Sender()
{
        byte message = 0, count, part, n;

        do
        :: message < MESSAGES ->
                count = 1 + message % 2;
again:
                /* acknowledgements are read by whoever waits */
                do
                :: acks?n -> acknowledged = (n > acknowledged -> n : acknowledged)
                :: empty(acks) -> break
                od;
#if !defined(NO_WINDOW) && !defined(NO_ROOM_FOR_ALL_CHECKED)
                if /* check: room for all of them, before the first goes */
                :: sent + count - acknowledged > W -> acks?n; acknowledged = n; goto again
                :: else
                fi;
#endif
#ifdef FRAME_FIRST
                ring!message,count,sent + 1;
#endif
                part = 0;
                do
                :: part < count ->
#ifdef NO_ROOM_FOR_ALL_CHECKED
                        if
                        :: sent - acknowledged >= W -> acks?n; acknowledged = n; goto again
                        :: else
                        fi;
#endif
                        if
                        :: atomic { nfull(socket) ->
                                sent++;
                                if
                                :: socket!sent,message * 8 + part
                                :: socket!sent,LOST_ONE; dropped[sent] = true
                                fi };
                                part++
#ifdef FULL_HALF_WAY
                        :: retries < 2 -> retries++; goto again /* those that went are never named */
#else
                        :: part == 0 && retries < 2 -> retries++; goto again
#endif
                        fi
                :: else -> break
                od;
#ifndef FRAME_FIRST
                ring!message,count,sent + 1 - count;
#endif
                message++
        :: else -> break
        od;
        sender_done = true
}

active proctype Receiver()
{
        byte message, count, first, n, what, k, t;

        do
        :: nempty(socket) -> take_packets(); if :: malformed -> break :: else fi
        :: ring?message,count,first ->
                k = 0;
                do
                :: k < count ->
                        t = first + k;
                        if /* it was sent before the frame was published */
                        :: t > arrived -> take_packets()
                        :: else
                        fi;
                        if
                        :: malformed -> break
                        :: else
                        fi;
                        d_step {
                                if
                                :: t > arrived || inbox[t % W] == EMPTY -> assert(dropped[t])
                                :: else ->
                                        assert(inbox[t % W] == message * 8 + k);
                                        inbox[t % W] = EMPTY
                                fi;
                                n = used + 1;
                                do
                                :: n < t -> inbox[n % W] = EMPTY; n++
                                :: else -> break
                                od;
                                used = t
                        };
#ifndef ACKNOWLEDGED_ON_ARRIVAL
                        acks!t;
#endif
                        k++
                :: else -> break
                od;
                if :: malformed -> break :: else fi;
                received++
        od
}

active proctype Check()
{
        timeout;
        assert(!malformed);
        assert(sender_done && received == MESSAGES);
        assert(inbox[0] == EMPTY && inbox[1] == EMPTY);
}
