/* SPDX-License-Identifier: Apache-2.0 */
/* task/statistics.h - the counters as they are now; the task's lock is held */
#pragma once
#include <portolan/task.h>

struct ptl_peer;
struct ptl_task;

struct ptl_task_statistics ptl_statistics_of(const struct ptl_task *task);
struct ptl_link_statistics ptl_link_statistics_of(const struct ptl_peer *peer);
