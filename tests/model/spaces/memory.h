/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h - malloc() of tasks that are threads of the explorer (spaces.h)
 *
 * Each task has an arena: the same steps of a task find the same addresses, whatever the others did, and all
 * it has is state of the model. The linker leads malloc() and its kin here (--wrap); what the explorer itself
 * allocates goes on to libc.
 */
#pragma once
#include "explore.h"
#include <stddef.h>

enum { MEMORY_TASKS = 3, MEMORY_PEERS = 3 /* one may be begun anew with the dead */, MEMORY_REGIONS = MEMORY_TASKS * (2 + 2 * MEMORY_PEERS) };

/* Whose arena it is now; MEMORY_TASKS: nobody's, but the explorer's. To be defined by who knows (spaces.c). */
unsigned memory_owner(void);

void memory_reset(void);

/* What of it is in use, as MEMORY_REGIONS regions that follow it. */
void memory_list(struct model_region *ret);
