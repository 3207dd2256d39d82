/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm/bell.h - when to ring a peer that may sleep, without a system call while it is awake
 *
 * Two counted words in the sleeper's outbox: `armed` asks to be rung for frames, `wanting` for room.
 * An odd value asks, once for that value; a flag would not do: arm, ring, wake, disarm, arm again, and
 * the bell rung for the first arming is taken for the second's.
 *
 *   sleeper: count to odd → fence → look once more at everything → sleep on the eventfd
 *   ringer:  publish (or consume) → fence → load the word → odd, and not rung for yet? → ring
 *
 * Invariant: if the sleeper sleeps, then either nothing was published since its look, or the ringer
 * has rung or is about to (its load comes after its publish). E3: the two fences order each side's
 * store before its load, so both cannot miss the other.
 *
 * The ringer remembers the value it rang for, so a sleeper is rung once an arming; a peer that writes
 * nonsense here gets rung for it at most once a change, or sleeps for ever, its own affair.
 */
#pragma once
#include "base/atomic.h"
#include "shm/outbox.h"
#include <stdbool.h>

/* The sleeper's side; private counts of what stands in its outbox. */
struct ptl_bell_sleeper {
        uint32_t armed, wanting;
};

/* Sets the word to an odd value that was not used before. A fence (E3) must follow before the look. */
static inline void ptl_bell_arm(struct ptl_bell_words *mine, struct ptl_bell_sleeper *s)
{
        s->armed += 1 + (s->armed & 1);
        ptl_store_relaxed(&mine->armed, s->armed); /* relaxed: the caller's fence orders it, E3 */
}
static inline void ptl_bell_disarm(struct ptl_bell_words *mine, struct ptl_bell_sleeper *s)
{
        if (s->armed & 1)
                ptl_store_relaxed(&mine->armed, ++s->armed); /* relaxed: late is a ring for nothing */
}
static inline void ptl_bell_want(struct ptl_bell_words *mine, struct ptl_bell_sleeper *s)
{
        s->wanting += 1 + (s->wanting & 1);
        ptl_store_relaxed(&mine->wanting, s->wanting); /* relaxed: the caller's fence orders it, E3 */
}
static inline void ptl_bell_unwant(struct ptl_bell_words *mine, struct ptl_bell_sleeper *s)
{
        if (s->wanting & 1)
                ptl_store_relaxed(&mine->wanting, ++s->wanting); /* relaxed: as in disarm */
}

/* The ringer's side: the values it rang for. */
struct ptl_bell_ringer {
        uint32_t rung_armed, rung_wanting;
};

/* After a publication and a fence (E3): must the peer be rung? */
static inline bool ptl_bell_due(const struct ptl_bell_words *peer, struct ptl_bell_ringer *r)
{
        uint32_t armed = ptl_load_relaxed(&peer->armed); /* relaxed: the fence before orders it, E3 */

        if (!(armed & 1) || armed == r->rung_armed)
                return false;
        r->rung_armed = armed;
        return true;
}

/* After giving room back and a fence (E3). */
static inline bool ptl_bell_room_due(const struct ptl_bell_words *peer, struct ptl_bell_ringer *r)
{
        uint32_t wanting = ptl_load_relaxed(&peer->wanting); /* relaxed: as above, E3 */

        if (!(wanting & 1) || wanting == r->rung_wanting)
                return false;
        r->rung_wanting = wanting;
        return true;
}
