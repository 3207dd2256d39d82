/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/ports_quota.h - of `portolan ports`: what others make a process hold, and who was refused */
#pragma once
#include <portolan/inspect.h>

/* One line a refusal, and one of what all make it hold. */
void ports_quota_json(const struct ptl_task_view *view);

/* A table, if anybody was refused. */
void ports_quota_print(const struct ptl_task_view *view);
