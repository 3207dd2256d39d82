/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migration_chain.pml - migration.pml with a port that travels on before the news of its first move is everywhere
 *
 * Stands for: what migration.pml says; three receivers, of which the second may pass the port on at any time after
 * it was committed to it, while the sender has looked at nothing yet, and any one party fails.
 *
 * What is taken out:            spin-expect-fail: -DPASSED_ON_BEFORE_NEWS
 *                               spin-expect-fail: -DREPEATS_TAKEN
 *                               spin-expect-fail: -DCOMMIT_BEFORE_NEWS
 *                               spin-expect-fail: -DNOTHING_KEPT_FOR_THE_DEAD
 * spin-cc: -DSAFETY -DCOLLAPSE
 * spin-pan: -m400000 -E
 */
#define K 3
#define S 1
#ifndef N
#define N 3
#endif
#define OTHERS 1

#include "migration.pml"
