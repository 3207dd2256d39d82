/* SPDX-License-Identifier: Apache-2.0 */
/* base/futex.h - sleeping on a private word, between threads of this process only */
#pragma once
#include <portolan/types.h>
#include <stdint.h>

/* Sleeps while *word == value, until woken or @deadline. Spurious returns are allowed. */
void ptl_futex_wait(_Atomic uint32_t *word, uint32_t value, ptl_time deadline);

/* Wakes up to @count sleepers. */
void ptl_futex_wake(_Atomic uint32_t *word, int count);
