/* SPDX-License-Identifier: Apache-2.0 */
/* explore_trace.c - names, and the lines of a failing schedule */
#include "explore_run.h"
#include <stdarg.h>
#include <stdio.h>

enum { MAX_NAMES = 64 };

static struct {
        struct span where;
        const char *name;
} names[MAX_NAMES];
static unsigned nnames;

void ex_forget_names(void) { nnames = 0; }

/* ---- traces ---- */

__attribute__((format(printf, 1, 2))) void ex_print(const char *format, ...)
{
        va_list ap;

        fputs("#   ", stdout);
        va_start(ap, format);
        vprintf(format, ap);
        va_end(ap);
        putchar('\n');
}

/* Returns a string good until the fourth call from now. */
const char *ex_name_of(struct span s)
{
        static char text[4][80];
        static unsigned turn;
        char *to = text[turn++ % 4];

        for (unsigned i = 0; i < nnames; i++) {
                if (!span_contains(names[i].where, s))
                        continue;
                size_t offset = s.at - names[i].where.at;

                if (s.size == names[i].where.size)
                        snprintf(to, sizeof text[0], "%s", names[i].name);
                else
                        snprintf(to, sizeof text[0], "%s+0x%zx/%zu", names[i].name, offset, s.size);
                return to;
        }
        snprintf(to, sizeof text[0], "0x%jx/%zu", (uintmax_t)s.at, s.size);
        return to;
}

void model_name(const volatile void *p, size_t bytes, const char *name)
{
        if (nnames < MAX_NAMES) {
                names[nnames].where = (struct span){(uintptr_t)p, bytes};
                names[nnames++].name = name;
        }
}

void model_note(const char *format, ...)
{
        char text[200];
        va_list ap;

        if (!ex.tracing)
                return;
        va_start(ap, format);
        vsnprintf(text, sizeof text, format, ap);
        va_end(ap);
        if (ex.in_thread)
                ex_say("T%u note: %s", ex.cur, text);
        else
                ex_say("note: %s", text);
}

void ex_say_op(unsigned t, const struct op *op)
{
        const char *at = op->where.size ? ex_name_of(op->where) : "";
        uintmax_t v = op->value, got = op->seen;

        switch (op->kind) {
        case OP_LOAD:
                ex_say("T%u load %s = 0x%jx", t, at, got);
                break;
        case OP_KERNEL_LOAD:
                ex_say("T%u %s: %s = 0x%jx", t, op->what, at, got);
                break;
        case OP_STORE:
                ex_say("T%u store%s %s <- 0x%jx", t, op->release ? " release" : "", at, v);
                break;
        case OP_STORE_SEQ_CST:
                ex_say("T%u store seq_cst %s <- 0x%jx", t, at, v);
                break;
        case OP_EXCHANGE:
                ex_say("T%u exchange %s <- 0x%jx, was 0x%jx", t, at, v, got);
                break;
        case OP_ADD:
                ex_say("T%u add %s += 0x%jx, was 0x%jx", t, at, v, got);
                break;
        case OP_CAS:
                ex_say("T%u cas %s: 0x%jx -> 0x%jx, found 0x%jx", t, at, (uintmax_t)op->expected, v,
                       got);
                break;
        case OP_FENCE:
                ex_say("T%u fence", t);
                break;
        case OP_STEP:
        case OP_SYSCALL:
                ex_say("T%u %s", t, op->what);
                break;
        case OP_PAUSE:
                ex_say("T%u looks again", t);
                break;
        case OP_BLOCK:
                ex_say("T%u wakes", t);
                break;
        case OP_REAP:
                ex_say("T%u's death is known", t);
                break;
        case OP_START:
                break;
        }
}
