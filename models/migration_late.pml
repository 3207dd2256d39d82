/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migration_late.pml - migration.pml with a claim that the old receiver reads behind its commit
 *
 * Stands for: what migration.pml says, and port/stub.c (a claim with the ticket of a port that is gone). The
 * claim and what was sent behind it lie in the ring as the port moves: several frames that nobody counts, of which
 * the sender has been told nothing. So only here the order of its two loads, and of the receiver's two stores, decides.
 *
 * What is taken out:            spin-expect-fail: -DNO_LOOK_BEFORE_ROOM
 *                               spin-expect-fail: -DMARK_READ_BEFORE_CONSUMED
 *                               spin-expect-fail: -DCONSUMED_BEFORE_MARK
 * spin-cc: -DSAFETY -DCOLLAPSE
 * spin-pan: -m400000 -E
 * spin-quick: -DN=2
 */
#define LATE
#define S 1
#ifndef N
#define N 3
#endif
#define OTHERS 3

#include "migration.pml"
