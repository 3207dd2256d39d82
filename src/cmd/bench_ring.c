/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench_ring.c - the reference ring: its memory and its waits; see bench_ring.h */
#include "cmd/bench_ring.h"
#include <errno.h>
#include <sys/mman.h>

/* Both mappings, populated: no page fault is measured. */
static bool map_twice(uint8_t *at, int fd, uint64_t offset, uint64_t capacity)
{
        for (int i = 0; i < 2; i++, at += capacity)
                if (mmap(at, capacity, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE,
                         fd, (off_t)offset) == MAP_FAILED)
                        return false;
        return true;
}

int bench_ring_init(struct bench_ring *ring, int fd, uint64_t offset, uint64_t capacity,
                    _Atomic uint64_t *head, const _Atomic uint32_t *over)
{
        void *at = mmap(NULL, 2 * capacity, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (at == MAP_FAILED)
                return -errno;
        *ring = (struct bench_ring){.data = at, .capacity = capacity, .head = head, .over = over};
        if (map_twice(at, fd, offset, capacity))
                return 0;
        bench_ring_fini(ring);
        return -ENOMEM;
}

void bench_ring_fini(struct bench_ring *ring)
{
        if (ring->data)
                munmap(ring->data, 2 * ring->capacity);
        *ring = (struct bench_ring){0};
}
