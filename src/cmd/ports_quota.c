/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/ports_quota.c - see ports_quota.h */
#include "cmd/ports_quota.h"
#include "cmd/json.h"
#include "cmd/text.h"
#include <inttypes.h>
#include <string.h>

/* Times of the board are of the same clock; one that lies may show any. */
static uint64_t ago(const struct ptl_task_view *v, ptl_time then)
{
        return then > 0 && then <= v->written ? (uint64_t)(v->written - then) + v->age_ns : v->age_ns;
}

/* "messages.task" without what stands behind the dot; JSON has them apart. */
static void kind_of(char ret[16], enum ptl_quota kind)
{
        const char *name = ptl_quota_name(PTL_QUOTA_LIMIT(kind, PTL_QUOTA_TASK));

        memset(ret, 0, 16);
        memcpy(ret, name, strcspn(name, "."));
}

static void use_json(const struct ptl_task_view *v)
{
        char kind[16];
        struct json j;

        json_begin(&j, stdout);
        json_string(&j, "is", "use");
        json_i64(&j, "pid", v->identity.pid);
        for (int i = 0; i < PTL_QUOTA_KINDS; i++) {
                kind_of(kind, (enum ptl_quota)i);
                json_u64(&j, kind, v->quota_use[i]);
        }
        json_end(&j);
}

static void refusal_json(const struct ptl_task_view *v, const struct ptl_quota_refusal *r)
{
        struct json j;

        json_begin(&j, stdout);
        json_string(&j, "is", "refusal");
        json_i64(&j, "pid", v->identity.pid);
        json_string(&j, "limit", ptl_quota_name(r->limit));
        json_u64(&j, "value", r->value);
        json_bool(&j, "is_ours", r->is_ours);
        json_i64(&j, "peer_pid", r->pid);
        json_u64(&j, "peer_uid", r->uid);
        json_u64(&j, "use", r->use);
        json_u64(&j, "count", r->count);
        json_u64(&j, "first_ago_ms", ago(v, r->first) / 1000000);
        json_u64(&j, "last_ago_ms", ago(v, r->last) / 1000000);
        json_end(&j);
}

void ports_quota_json(const struct ptl_task_view *v)
{
        use_json(v);
        for (uint32_t i = 0; i < v->n_refusals; i++)
                refusal_json(v, &v->refusals[i]);
}

static void refusal_row(struct table *t, const struct ptl_task_view *v, const struct ptl_quota_refusal *r)
{
        char text[24];

        table_add(t, "%s", ptl_quota_name(r->limit));
        if (r->value)
                table_add(t, "%" PRIu64, r->value);
        else
                table_add(t, "%s", "");
        table_add(t, r->is_ours ? "pid %" PRId32 : "this one, by pid %" PRId32, r->pid);
        table_add(t, "%" PRIu32, r->uid);
        table_add(t, "%" PRIu64, r->count);
        table_add(t, "%s", text_span(text, ago(v, r->last)));
}

void ports_quota_print(const struct ptl_task_view *v)
{
        static const char *const columns[] = {"REFUSED", "LIMIT", "WHOM", "UID", "TIMES", "LAST AGO", NULL};
        struct table t = {0};

        if (!v->n_refusals)
                return;
        putchar('\n');
        table_head(&t, columns);
        for (uint32_t i = 0; i < v->n_refusals; i++)
                refusal_row(&t, v, &v->refusals[i]);
        table_print(&t, stdout, 1 << 1 | 1 << 3 | 1 << 4);
        table_free(&t);
}
