/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/roll.h - a list that can be called over slowly while members come and go
 *
 * Members are appended and numbered in rising order. Who calls the roll leaves a marker of his own
 * in the list, between what he has seen and what he has not: so removing a member costs nothing
 * extra, and a member has been seen exactly if its number is at most the last one seen.
 */
#pragma once
#include "server/list.h"
#include <stdint.h>

struct roll {
        struct list list;
        uint64_t last; /* number given last */
};

struct roll_entry {
        struct list link;
        uint64_t number; /* 0 for a marker */
};

static inline void roll_init(struct roll *roll)
{
        list_init(&roll->list);
        roll->last = 0;
}

static inline void roll_add(struct roll *roll, struct roll_entry *entry)
{
        entry->number = ++roll->last;
        list_append(&roll->list, &entry->link);
}

static inline void roll_mark_start(struct roll *roll, struct roll_entry *marker)
{
        marker->number = 0;
        list_insert(&roll->list, &marker->link);
}

/* Moves @marker over the next member and returns that; NULL at the end. Skips others' markers: as
 * many as there are calls under way. */
static inline struct roll_entry *roll_advance(struct roll *roll, struct roll_entry *marker)
{
        for (struct list *l = marker->link.next; l != &roll->list; l = l->next) {
                struct roll_entry *entry = PTL_CONTAINER(l, struct roll_entry, link);

                if (!entry->number)
                        continue;
                list_remove(&marker->link);
                list_insert(l, &marker->link);
                return entry;
        }
        return NULL;
}
