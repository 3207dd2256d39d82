/* SPDX-License-Identifier: Apache-2.0 */
/* server/list.h - doubly linked lists whose links lie in the objects */
#pragma once
#include "base/cleanup.h"
#include <stdbool.h>
#include <stddef.h>

struct list { /* a head, or the link of one member; one that is in no list points to itself */
        struct list *next, *previous;
};

static inline void list_init(struct list *l) { l->next = l->previous = l; }

static inline bool list_is_empty(const struct list *head) { return head->next == head; }

/* After @where; at the front of a list when that is its head, at the end when it is its last. */
static inline void list_insert(struct list *where, struct list *link)
{
        link->previous = where;
        link->next = where->next;
        where->next->previous = link;
        where->next = link;
}

static inline void list_append(struct list *head, struct list *link)
{
        list_insert(head->previous, link);
}

static inline void list_remove(struct list *link)
{
        link->next->previous = link->previous;
        link->previous->next = link->next;
        list_init(link);
}

/* The first member, NULL if there is none. */
#define list_first(head, type, member)                                                             \
        (list_is_empty(head) ? NULL : PTL_CONTAINER((head)->next, type, member))

/* The body may not remove members; loops that do take list_first() until it is NULL. */
#define list_for_each(l, head) for (struct list *l = (head)->next; l != (head); l = l->next)
