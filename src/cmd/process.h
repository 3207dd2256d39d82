/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/process.h - other processes, by PID: what /proc says of them, and why they cannot be looked
 * into */
#pragma once
#include "cmd/cmd.h"

/* "running", "sleeping", "stopped", ...; NULL if it cannot be seen from here, or another has its
 * PID now. */
const char *process_state(const struct ptl_identity *who);

/* As cmd_failed(): "cannot WHAT process PID: why". */
int process_failed(int outcome, int32_t pid, const char *what);
