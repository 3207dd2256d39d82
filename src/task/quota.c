/* SPDX-License-Identifier: Apache-2.0 */
/* task/quota.c - limits, use and refusals (portolan/quota.h) */
#include "task/task.h"
#include <string.h>

/* Entered and locked; the caller unlocks. */
/* What a limit stands at: one that leaves out somebody is shown as it is for the others. */
static uint64_t value_of(const struct ptl_quota_state *quota, uint32_t limit)
{
        const struct ptl_account somebody = {.scope = (limit - 1) % PTL_QUOTA_SCOPES,
                                             .who = {.uid = quota->own_uid == 1 ? 2 : 1}};

        return ptl_quota_limit(quota, (limit - 1) / PTL_QUOTA_SCOPES, &somebody);
}

int ptl_quota_get(uint32_t limit, uint64_t *ret_value, uint32_t *ret_origin)
{
        struct ptl_task *task;
        int r;

        if (!ptl_quota_name(limit) || !ret_value)
                return PTL_E_INVALID;
        r = ptl_task_begin(&task);
        if (r)
                return r;
        *ret_value = value_of(&task->space.quota, limit);
        if (ret_origin)
                *ret_origin = ptl_limits_find(&task->space.quota.limits, limit)->origin;
        ptl_unlock(&task->space.lock);
        return 0;
}

int ptl_quota_set(uint32_t limit, uint64_t value)
{
        struct ptl_task *task;
        int r;

        if (!ptl_quota_name(limit) || !value)
                return PTL_E_INVALID;
        r = ptl_task_begin(&task);
        if (r)
                return r;
        *ptl_limits_find(&task->space.quota.limits, limit) =
                (struct ptl_limit){.value = value, .origin = PTL_QUOTA_BY_CALL};
        ptl_quota_review(&task->space);
        ptl_unlock(&task->space.lock);
        return 0;
}

static void add_use(const struct ptl_account *a, struct ptl_quota_use *entries, size_t max, size_t *n)
{
        if (*n < max) {
                entries[*n] = (struct ptl_quota_use){.scope = a->scope,
                                                     .pid = a->scope == PTL_QUOTA_TASK ? a->who.pid : 0,
                                                     .uid = a->who.uid,
                                                     .refused = a->refused};
                memcpy(entries[*n].use, a->use, sizeof a->use);
        }
        ++*n;
}

int ptl_quota_get_use(struct ptl_quota_use *entries, size_t max, size_t *ret_count)
{
        struct ptl_task *task;
        size_t n = 0;
        int r;

        if ((!entries && max) || !ret_count)
                return PTL_E_INVALID;
        r = ptl_task_begin(&task);
        if (r)
                return r;
        add_use(&task->space.quota.all, entries, max, &n);
        for (int scope = PTL_QUOTA_UID; scope >= PTL_QUOTA_TASK; scope--)
                for (const struct ptl_account *a = task->space.quota.accounts; a; a = a->next)
                        if (a->scope == (uint32_t)scope)
                                add_use(a, entries, max, &n);
        ptl_unlock(&task->space.lock);
        *ret_count = n;
        return 0;
}

static int is_later(const void *a, const void *b)
{
        ptl_time x = ((const struct ptl_quota_refusal *)a)->last, y = ((const struct ptl_quota_refusal *)b)->last;

        return (y > x) - (y < x);
}

uint32_t ptl_quota_latest(const struct ptl_quota_state *quota, struct ptl_quota_refusal *ret)
{
        memcpy(ret, quota->refusals, quota->n_refusals * sizeof *ret);
        qsort(ret, quota->n_refusals, sizeof *ret, is_later);
        return quota->n_refusals;
}

int ptl_quota_get_refusals(struct ptl_quota_refusal *entries, size_t max, size_t *ret_count)
{
        struct ptl_quota_refusal latest[PTL_QUOTA_REFUSALS];
        struct ptl_task *task;
        uint32_t n;
        int r;

        if ((!entries && max) || !ret_count)
                return PTL_E_INVALID;
        r = ptl_task_begin(&task);
        if (r)
                return r;
        n = ptl_quota_latest(&task->space.quota, latest);
        ptl_unlock(&task->space.lock);
        if (max)
                memcpy(entries, latest, (n < max ? n : max) * sizeof *entries);
        *ret_count = n;
        return 0;
}

int ptl_quota_get_faults(struct ptl_quota_fault *entries, size_t max, size_t *ret_count)
{
        const struct ptl_limits *limits;
        struct ptl_task *task;
        size_t kept;
        int r;

        if ((!entries && max) || !ret_count)
                return PTL_E_INVALID;
        r = ptl_task_begin(&task);
        if (r)
                return r;
        limits = &task->space.quota.limits;
        kept = limits->n_faults < PTL_LIMITS_FAULTS ? limits->n_faults : PTL_LIMITS_FAULTS;
        if (max)
                memcpy(entries, limits->faults, (kept < max ? kept : max) * sizeof *entries);
        *ret_count = limits->n_faults;
        ptl_unlock(&task->space.lock);
        return 0;
}
