/* SPDX-License-Identifier: Apache-2.0 */
/* rights_log.h - orders as text, for whoever looks for a fault, and as a number, to compare two runs of a seed */
#pragma once
#include "rights_orders.h"

static inline uint64_t log_mix(uint64_t digest, uint64_t word) { return (digest ^ word) * 0x100000001b3; }

/* Of all that was drawn. */
static inline uint64_t log_digest(uint64_t digest, const struct order *o)
{
        const uint32_t words[] = {
                o->kind,        o->how,     o->port,  o->once,            o->value,            o->notify,
                o->notify_once, o->message, o->reply, (uint32_t)o->count, (uint32_t)o->outcome,
        };

        for (size_t i = 0; i < ARRAY_LEN(words); i++)
                digest = log_mix(digest, words[i]);
        for (unsigned i = 0; i < o->n_items; i++)
                digest = log_mix(digest, o->items[i].port ^ (uint64_t)o->items[i].disposition << 32);
        return digest;
}

static inline void log_order(FILE *f, uint32_t round, unsigned seat, uint32_t n, const struct order *o)
{
        fprintf(f, "%u.%u.%u %s port %u once %u how %u outcome %d count %d value %u", round, seat, n,
                order_names[o->kind], o->port, o->once, o->how, o->outcome, o->count, o->value);
        fprintf(f, " notify %u/%u message %u reply %u", o->notify, o->notify_once, o->message, o->reply);
        for (unsigned i = 0; i < o->n_items; i++)
                fprintf(f, " [%u %u/%u]", o->items[i].disposition, o->items[i].port, o->items[i].once);
        fputc('\n', f);
}
