/* SPDX-License-Identifier: Apache-2.0 */
/*
 * system_port_two.pml - two senders to a port that outlives who serves it: one of them dies, and one other party
 *
 * What is checked, and what it stands for: system_port.pml.
 *
 * spin-cc: -DSAFETY -DCOLLAPSE
 * spin-pan: -m400000 -E
 */
#define S 2
#define N 1
#define FAULTS 2
#include "system_port.pml"
