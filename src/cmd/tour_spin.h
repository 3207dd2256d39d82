/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/tour_spin.h - round trips through the kernel's ways by two processes that never sleep */
#pragma once
#include "cmd/tour.h"

enum spin_way { SPIN_PIPE, SPIN_SOCKET, SPIN_QUEUE };

/**
 * spin_measure - median of round trips of 64 bytes between two processes that poll
 * @cpus: where the two run
 * Return: nanoseconds; NaN if it cannot be had here.
 */
double spin_measure(struct tour *t, enum spin_way way, const int cpus[2], int ms);
