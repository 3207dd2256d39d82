/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/frame_fuzz.c - hostile ring contents: the reader stays in its level and always comes to an
 * end
 *
 * First byte, the way: bit 0: the words the reader comes to get their right stamps (else the input
 * must guess them), bit 1: and their right sequence numbers, bit 2: the input is a rich body, no
 * ring; bit 3: that of a GIVE. Second byte: where the reader starts, near the start or the end of the level. Then: what
 * lies from there on, in every level.
 */
#include "shm/ring.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { STAMPS = 1, SEQUENCES = 2, BODY = 4, GIVE = 8, FRAMES_MAX = 10000, INPUT_MAX = 0x10000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ptl_outbox box;
static _Atomic uint64_t consumed;

static void must(bool holds)
{
        if (!holds)
                abort();
}

static uint64_t offset_of(const struct ptl_ring_reader *r) { return r->position & (r->size - 1); }

/* What is accepted is within bounds, and is what an honest peer would have written. */
static void fuzz_rich(const void *body, uint32_t length)
{
        static const uint8_t nothing;
        struct ptl_rich rich;
        struct ptl_few few;
        char *copy = malloc(length ? length : 1), *again;
        size_t head;

        memcpy(copy, length ? body : &nothing, length);
        if (ptl_few_decode(copy, length, &few)) { /* then it is all right, and the same */
                must(ptl_rich_decode(copy, length, &rich) == 0);
                must(rich.where == PTL_WHERE_INLINE && !rich.n_regions && !rich.n_given);
                must(few.n_rights == rich.n_rights && few.bytes == rich.bytes && few.size == rich.size);
                must(!memcmp(few.rights, rich.rights, few.n_rights * sizeof *few.rights));
        }
        if (ptl_rich_decode(copy, length, &rich) == 0) {
                head = ptl_rich_head_size(rich.n_rights, rich.n_regions) +
                       rich.n_given * sizeof(struct ptl_frame_given);
                must(rich.n_given <= rich.n_rights);
                must(rich.n_rights <= 64 && rich.n_regions <= 16 && head <= length);
                if (rich.where == PTL_WHERE_INLINE)
                        must(rich.bytes == copy + head && rich.size == length - head);
                if (rich.where == PTL_WHERE_REGION)
                        must(rich.block.slot < rich.n_regions &&
                             rich.block.size <= rich.regions[rich.block.slot].size);
                again = malloc(head);
                ptl_rich_encode(&rich, again);
                must(!memcmp(copy, again, head));
                free(again);
        }
        free(copy);
}

/* Whatever is accepted has as many items as it says, each of which can be. */
static void fuzz_give(const void *body, uint32_t length)
{
        struct ptl_give give;

        if (ptl_give_decode(body, length, &give))
                return;
        must(give.count >= 1 && give.count <= PTL_GIVE_MAX && length == 16 + 16 * give.count);
        for (uint32_t i = 0; i < give.count; i++)
                must(ptl_ticket_index(give.items[i].ticket) != 0);
}

static void check_frame(const struct ptl_ring_reader *r, const struct ptl_frame *f)
{
        const char *body = f->body;

        must(r->level < PTL_OUTBOX_LEVELS && r->base == ptl_outbox_ring(&box, r->level));
        must(f->kind > PTL_FRAME_GROW && f->kind < PTL_FRAME_KINDS && f->length <= PTL_INLINE_MAX);
        must(body >= r->base + PTL_FRAME_HEAD && body + f->length <= r->base + r->size);
        must(f->position == r->position && f->end > f->position && f->end % 8 == 0);
}

/* Lets the word at the reader's position pass the first tests, so that the later ones are reached.
 */
static void help(const struct ptl_ring_reader *r, unsigned way)
{
        char *at = (char *)(uintptr_t)r->base + offset_of(r);
        uint64_t word;

        if (!(way & STAMPS))
                return;
        memcpy(&word, at, 8);
        if (!word)
                return; /* nothing published */
        word = (uint32_t)word | ptl_frame_stamp(r->position);
        memcpy(at, &word, 8);
        if (way & SEQUENCES && offset_of(r) + PTL_FRAME_HEAD <= r->size)
                memcpy(at + offsetof(struct ptl_frame_head, sequence), &r->sequence, 4);
}

/* The straight way sees exactly the frames of kind INLINE that the long way sees at the same place. */
static void check_plain(const struct ptl_ring_reader *r, uint64_t position, const struct ptl_ring_plain *p,
                        const struct ptl_frame *f)
{
        must((p != NULL) == (f && f->kind == PTL_FRAME_INLINE && r->position == position));
        if (p)
                must(p->body == f->body && p->length == f->length &&
                     p->rights == ((uint64_t)f->head.token << 32 | f->head.right) &&
                     p->counts == ((uint64_t)f->head.aux << 32 | f->head.sequence));
}

static void read_all(struct ptl_ring_reader *r, unsigned way)
{
        struct ptl_frame f;

        for (int i = 0; i < FRAMES_MAX; i++) {
                uint64_t before = r->position;
                struct ptl_ring_plain p;
                bool plain;
                int e;

                help(r, way);
                plain = ptl_ring_peek_plain(r, &p);
                e = ptl_ring_peek(r, &f);
                check_plain(r, before, plain ? &p : NULL, e ? NULL : &f);
                must(r->position >= before && r->position - before < PTL_OUTBOX_SIZE);
                if (e) {
                        must(e == PTL_E_EMPTY || e == PTL_E_MALFORMED);
                        return;
                }
                check_frame(r, &f);
                if (f.kind == PTL_FRAME_RICH)
                        fuzz_rich(f.body, f.length);
                if (f.kind == PTL_FRAME_GIVE)
                        fuzz_give(f.body, f.length);
                ptl_ring_advance(r, &f);
                ptl_ring_consume(r, r->position);
        }
}

/* The input lies in every level, where the reader will be. */
static void lay_out(uint64_t position, const uint8_t *data, size_t size)
{
        for (unsigned level = 0; level < PTL_OUTBOX_LEVELS; level++) {
                uint64_t whole = ptl_ring_level_size(level), at = position & (whole - 1);
                size_t first = size < whole - at ? size : (size_t)(whole - at);

                memcpy(ptl_outbox_ring(&box, level) + at, data, first);
                memcpy(ptl_outbox_ring(&box, level), data + first, size - first);
        }
}

static void clear(void)
{
        madvise(box.base + PTL_OUTBOX_RINGS, PTL_OUTBOX_POOL - PTL_OUTBOX_RINGS, MADV_DONTNEED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct ptl_ring_reader r;
        uint64_t position;

        if (size < 2 || size > INPUT_MAX)
                return 0;
        if (data[0] & BODY) {
                fuzz_rich(data + 2, (uint32_t)size - 2);
                return 0;
        }
        if (data[0] & GIVE) {
                fuzz_give(data + 2, (uint32_t)size - 2);
                return 0;
        }
        if (!box.base) {
                box.base = mmap(NULL, PTL_OUTBOX_SIZE, PROT_NONE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
                must(box.base != MAP_FAILED);
                must(!mprotect(box.base + PTL_OUTBOX_RINGS, PTL_OUTBOX_POOL - PTL_OUTBOX_RINGS,
                               PROT_READ | PROT_WRITE));
        }
        position = data[1] < 128 ? data[1] * 8u : 0x10000u - (256u - data[1]) * 8u;
        r = (struct ptl_ring_reader){.base = ptl_outbox_ring(&box, 0),
                                     .size = ptl_ring_level_size(0),
                                     .position = position,
                                     .box = box,
                                     .consumed = &consumed};
        lay_out(position, data + 2, size - 2);
        read_all(&r, data[0]);
        clear();
        return 0;
}
