/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench_side.c - see bench_side.h */
#include "cmd/bench_side.h"
#include "cmd/bench_pair.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096 };

/* Touched, so that no page fault is measured. */
static void *touched(size_t size)
{
        void *p = aligned_alloc(PAGE, size);

        return p ? memset(p, 1, size) : NULL;
}

bool bench_side_init(struct bench_side *side, struct bench_control *control, bool is_peer)
{
        *side = (struct bench_side){
                .control = control,
                .is_peer = is_peer,
                .data = touched(BENCH_SIZE_MAX),
                .room = touched(BENCH_SIZE_MAX),
                .samples.ticks = touched(BENCH_SAMPLES_MAX * sizeof(uint32_t) / PAGE * PAGE + PAGE),
        };
        return side->data && side->room && side->samples.ticks;
}

void bench_side_fini(struct bench_side *side)
{
        free(side->data);
        free(side->room);
        free(side->samples.ticks);
}

/* Two words at once, where the processor's baseline has that; read from any address of a word. */
typedef uint64_t two_words __attribute__((vector_size(16)));

static inline two_words two_at(const uint64_t *words)
{
        two_words two;

        memcpy(&two, words, sizeof two);
        return two;
}

/* Four sums side by side: reading is to be no slower than memory. */
uint64_t bench_sum(const uint64_t *words, size_t count)
{
        two_words a = {0}, b = {0}, c = {0}, d = {0};
        uint64_t sum = 0;
        size_t i = 0;

        for (; i + 8 <= count; i += 8) {
                a += two_at(words + i);
                b += two_at(words + i + 2);
                c += two_at(words + i + 4);
                d += two_at(words + i + 6);
        }
        a += b + c + d;
        for (; i < count; i++)
                sum += words[i];
        return sum + a[0] + a[1];
}

void bench_side_fill(struct bench_side *side)
{
        size_t count = BENCH_SIZE_MAX / sizeof *side->data;

        for (size_t i = 0; i < count; i++)
                side->data[i] = UINT64_C(0x9e3779b97f4a7c15) * (i + 1);
        count = side->order.size / sizeof *side->data;
        if (side->order.size >= BENCH_SUM_FROM && side->order.size <= BENCH_SIZE_MAX)
                side->sum = bench_sum(side->data + 1, count - 2) + UINT64_MAX; /* n + ~n */
}

void bench_side_conclude(struct bench_side *side, uint64_t begin, uint64_t end, uint64_t messages,
                         unsigned each)
{
        bench_samples_sort(&side->samples);
        side->result.p50_ns = bench_samples_at(&side->samples, 0.5) * side->ns_per_tick / each;
        side->result.p99_ns = bench_samples_at(&side->samples, 0.99) * side->ns_per_tick / each;
        side->result.messages = messages;
        side->result.elapsed_ns = (uint64_t)((double)(end - begin) * side->ns_per_tick);
        side->samples.count = 0;
}

int bench_side_fail(struct bench_side *side, const char *format, ...)
{
        va_list arguments;

        if (!side->why[0]) { /* the first reason is the one that matters */
                va_start(arguments, format);
                vsnprintf(side->why, sizeof side->why, format, arguments);
                va_end(arguments);
        }
        return -1;
}

int bench_side_wrong(struct bench_side *side, const void *data, size_t size, uint64_t number)
{
        const uint64_t *words = data;

        if (!data)
                return -1; /* whoever took it has said why */
        if (size != side->order.size)
                return bench_side_fail(side, "message %llu has %zu bytes, not %llu",
                                       (unsigned long long)number, size,
                                       (unsigned long long)side->order.size);
        return bench_side_fail(side, "message %llu arrived damaged: %zu bytes, begins %#llx, ends %#llx",
                               (unsigned long long)number, size, (unsigned long long)words[0],
                               (unsigned long long)words[size / sizeof *words - 1]);
}

bool bench_side_is_over(const struct bench_side *side)
{
        /* relaxed: nothing is read because of it */
        return ptl_load_relaxed(&side->control->failed) != 0;
}
