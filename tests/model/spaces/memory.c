/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c - see memory.h */
#include "memory.h"
#include "port/peer.h"
#include <string.h>

enum { ARENA = 256 << 10, GRAIN = 64 };

/* In front of each piece. */
struct piece {
        size_t size; /* behind it */
        struct piece *next_free;
        bool is_free;
};

_Static_assert(sizeof(struct piece) <= GRAIN, "what is allocated is aligned");

static struct arena {
        _Alignas(GRAIN) char memory[ARENA];
        struct ptl_peer peers[MEMORY_PEERS]; /* apart: most of one is never touched */
        struct {
                size_t used;
                struct piece *free;
                bool peer[MEMORY_PEERS];
        } is;
} arenas[MEMORY_TASKS];

static struct model_region *listed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *p);

static bool is_a_tasks(void) { return memory_owner() < MEMORY_TASKS; }

static struct arena *arena_of(const void *p)
{
        const char *at = p;

        for (unsigned t = 0; t < MEMORY_TASKS; t++)
                if (at >= (char *)&arenas[t] && at < (char *)(&arenas[t] + 1))
                        return &arenas[t];
        return NULL;
}

static void note_use(const struct arena *a)
{
        if (listed && a->is.used) /* a region of nothing would end the list */
                listed[a - arenas].bytes = a->is.used;
}

static struct piece *take_free(struct arena *a, size_t size)
{
        struct piece **at = &a->is.free, *p;

        while (*at && (*at)->size != size)
                at = &(*at)->next_free;
        p = *at;
        if (p)
                *at = p->next_free;
        return p;
}

static void *take(struct arena *a, size_t size)
{
        size_t rounded = (size + GRAIN - 1) & ~(size_t)(GRAIN - 1);
        struct piece *p = take_free(a, rounded);

        if (!p) {
                if (a->is.used + GRAIN + rounded > ARENA) {
                        model_fail("an arena is too small");
                        return NULL;
                }
                p = (struct piece *)(void *)(a->memory + a->is.used);
                a->is.used += GRAIN + rounded;
                note_use(a);
        }
        *p = (struct piece){.size = rounded};
        return (char *)p + GRAIN;
}

/* Zeroed: states that differ in what nobody reads would be two. */
static void give(struct arena *a, void *memory)
{
        struct piece *p = (struct piece *)(void *)((char *)memory - GRAIN);

        for (unsigned i = 0; i < MEMORY_PEERS; i++)
                if (memory == &a->peers[i]) {
                        a->is.peer[i] = false;
                        memset(memory, 0, sizeof a->peers[i]);
                        return;
                }
        if (p->is_free)
                model_fail("freed twice");
        memset(memory, 0, p->size);
        p->is_free = true;
        p->next_free = a->is.free;
        a->is.free = p;
}

static struct arena *own(void) { return &arenas[memory_owner()]; }

void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size) { return is_a_tasks() ? take(own(), size) : __real_malloc(size); }

void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
        void *p;

        if (!is_a_tasks())
                return __real_calloc(n, size);
        p = take(own(), n * size);
        return p ? memset(p, 0, n * size) : NULL;
}

void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size)
{
        struct arena *a = arena_of(old);
        void *p;

        if (!a && !(old == NULL && is_a_tasks()))
                return __real_realloc(old, size);
        p = take(a ? a : own(), size);
        if (p && old) {
                size_t had = ((struct piece *)(void *)((char *)old - GRAIN))->size;

                memcpy(p, old, had < size ? had : size);
                give(a, old);
        }
        return p;
}

/* Peers are what is allocated so. */
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
        struct arena *a;

        if (!is_a_tasks())
                return __real_aligned_alloc(alignment, size);
        a = own();
        for (unsigned i = 0; i < MEMORY_PEERS; i++)
                if (!a->is.peer[i]) {
                        a->is.peer[i] = true;
                        return &a->peers[i];
                }
        model_fail("more peers than tasks");
        return NULL;
}

void __wrap_free(void *p);
void __wrap_free(void *p)
{
        struct arena *a = arena_of(p);

        if (a)
                give(a, p);
        else
                __real_free(p);
}

void memory_reset(void)
{
        for (unsigned t = 0; t < MEMORY_TASKS; t++) {
                struct arena *a = &arenas[t];

                memset(a->memory, 0, a->is.used);
                memset(a->peers, 0, sizeof a->peers);
                memset(&a->is, 0, sizeof a->is);
        }
        listed = NULL;
}

void memory_list(struct model_region *ret)
{
        enum { HOLE = offsetof(struct ptl_peer, taken_reserved), BEHIND = offsetof(struct ptl_peer, retire) };

        listed = ret;
        for (unsigned t = 0; t < MEMORY_TASKS; t++) {
                *ret++ = (struct model_region){arenas[t].memory, GRAIN};
                note_use(&arenas[t]);
        }
        for (unsigned t = 0; t < MEMORY_TASKS; t++) {
                *ret++ = (struct model_region){&arenas[t].is, sizeof arenas[t].is};
                for (unsigned i = 0; i < MEMORY_PEERS; i++) {
                        char *peer = (char *)&arenas[t].peers[i];

                        *ret++ = (struct model_region){peer, HOLE};
                        *ret++ = (struct model_region){peer + BEHIND, sizeof(struct ptl_peer) - BEHIND};
                }
        }
}
