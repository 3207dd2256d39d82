/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/limits_fuzz.c - a text of limits, whatever it says: each limit keeps a value, each fault is bounded
 *
 * The first byte chooses lines or commas.
 */
#include "base/limits.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true)
{
        if (!is_true)
                abort();
}

/* What was set is at least 1 and says by whom; what was not is as it was. */
static void check_limit(struct ptl_limits *limits, struct ptl_limits *before, uint32_t number)
{
        const struct ptl_limit *l = ptl_limits_find(limits, number), *b = ptl_limits_find(before, number);

        if (l->origin == PTL_QUOTA_BY_DEFAULT)
                must(l->value == b->value);
        else
                must(l->origin == PTL_QUOTA_BY_USER && l->value > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct ptl_limits limits, before;
        char *text;

        if (size < 1)
                return 0;
        text = malloc(size - 1 ? size - 1 : 1); /* no byte behind it: reading on is found */
        must(text != NULL);
        memcpy(text, data + 1, size - 1);
        ptl_limits_init(&before);
        ptl_limits_init(&limits);
        ptl_limits_parse(&limits, text, size - 1, data[0] & 1 ? ',' : '\n', PTL_QUOTA_BY_USER, "a path");
        for (uint32_t i = 1; i <= PTL_QUOTA_LIMITS; i++)
                check_limit(&limits, &before, i);
        for (uint32_t i = 0; i < limits.n_faults && i < PTL_LIMITS_FAULTS; i++) {
                const struct ptl_quota_fault *f = &limits.faults[i];

                must(f->why > 0 && f->why < PTL_QUOTA_FAULT_KINDS && f->line > 0 && f->line <= size);
                must(memchr(f->text, 0, sizeof f->text) || f->text[sizeof f->text - 1] == 0);
        }
        free(text);
        return 0;
}
