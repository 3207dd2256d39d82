/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench_by_port.h - the ports that the library's benchmarks share */
#pragma once
#include "cmd/bench_side.h"
#include <portolan/portolan.h>

/* bench_side_fail() for an outcome of the library. Return: 0 if @outcome is 0, else -1. */
int bench_outcome(struct bench_side *side, int outcome, const char *what);

/* Waits as the order says. */
int bench_set_wait(struct bench_side *side);

/**
 * bench_port_meet - the peer publishes a port under @name, the driver looks it up
 * @ret_port: filled on success; free it with bench_port_part()
 */
int bench_port_meet(struct bench_side *side, const char *name, ptl_port *ret_port);
void bench_port_part(const struct bench_side *side, ptl_port port);
