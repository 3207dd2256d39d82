/* SPDX-License-Identifier: Apache-2.0 */
/* port/regions.c - see regions.h */
#include "port/regions.h"
#include "base/clock.h"
#include "link/socket.h"
#include "port/receiver.h"
#include "shm/spare.h"
#include <string.h>

/* All regions of this process, so that a child can close what it inherited. */
static struct ptl_lock all_lock;
static struct ptl_region *all;
static uint32_t epoch;

static void list(struct ptl_region *region)
{
        ptl_lock(&all_lock);
        region->next = all;
        region->previous = &all;
        if (all)
                all->previous = &region->next;
        all = region;
        ptl_unlock(&all_lock);
}

static void unlist(struct ptl_region *region)
{
        ptl_lock(&all_lock);
        *region->previous = region->next;
        if (region->next)
                region->next->previous = region->previous;
        ptl_unlock(&all_lock);
}

void ptl_regions_forked(void)
{
        all_lock = (struct ptl_lock){0};
        for (struct ptl_region *r = all; r; r = r->next)
                r->fd = ptl_close(r->fd);
        all = NULL;
        epoch++;
        ptl_spare_forked();
}

int ptl_region_wrap(int fd, void *data, size_t size, struct ptl_region **ret_region)
{
        struct ptl_region *region = malloc(sizeof *region);

        if (!region)
                return -ENOMEM;
        *region = (struct ptl_region){.data = data, .size = size, .fd = fd, .references = 1, .epoch = epoch};
        list(region);
        *ret_region = region;
        return 0;
}

struct ptl_region *ptl_region_ref(struct ptl_region *region)
{
        region->references++;
        return region;
}

static int find_out(const struct ptl_peer *peer, const struct ptl_region *region)
{
        for (int i = 0; i < PTL_REGIONS_PER_LINK; i++)
                if (peer->regions_out[i] == region)
                        return i;
        return -1;
}

static bool is_retiring(const struct ptl_peer *peer, int number)
{
        return peer->retire[number / 8] >> number % 8 & 1;
}

static int new_number(const struct ptl_peer *peer)
{
        for (int i = 0; i < PTL_REGIONS_PER_LINK; i++)
                if (!peer->regions_out[i] && !is_retiring(peer, i))
                        return i;
        return -1;
}

/* Who is to have it, too, needs a descriptor of what stands there: private memory has none, and what came
 * frozen may have been changed since, in our view alone. */
static int materialize(struct ptl_region *region)
{
        int fd, r;

        if (region->fd >= 0 && (!region->frozen || !region->data)) /* no data: of a message that is sent again */
                return 0;
        r = ptl_memory_share(region->data, region->size, &fd);
        if (r)
                return r;
        ptl_close(region->fd);
        region->fd = fd;
        region->frozen = region->foreign = false;
        return 0;
}

bool ptl_region_freeze(struct ptl_region *region)
{
        if (region->frozen && !region->data) /* of a message that is sent again */
                return true;
        if (region->references != 1 || region->foreign ||
            !ptl_memory_freeze(region->fd, &region->data, region->size))
                return false;
        region->frozen = true;
        return true;
}

/* Gives numbers to those the peer does not have, and collects their descriptors. */
static int number_fresh(struct ptl_peer *peer, struct ptl_region *const *regions, uint32_t count,
                        struct ptl_frame_region *frames, int *fds, size_t *ret_fresh)
{
        for (uint32_t i = 0; i < count; i++) {
                int number = find_out(peer, regions[i]), r;

                frames[i].fresh = number < 0;
                frames[i].size = regions[i]->size;
                if (number < 0) {
                        number = new_number(peer);
                        r = number < 0 ? PTL_E_QUOTA : materialize(regions[i]);
                        if (r) {
                                frames[i].fresh = 0;
                                return r;
                        }
                        peer->regions_out[number] = regions[i];
                        fds[(*ret_fresh)++] = regions[i]->fd;
                }
                frames[i].number = (uint32_t)number;
        }
        return 0;
}

/* Nothing was sent: what is new to the peer still is. */
static void undo_numbers(struct ptl_peer *peer, const struct ptl_frame_region *frames, uint32_t count)
{
        for (uint32_t i = 0; i < count; i++)
                if (frames[i].fresh)
                        peer->regions_out[frames[i].number] = NULL;
}

void ptl_regions_unexport(struct ptl_peer *peer, const struct ptl_frame_region *frames, uint32_t count)
{
        undo_numbers(peer, frames, count);
}

int ptl_regions_export(struct ptl_peer *peer, struct ptl_region *const *regions, uint32_t count,
                       struct ptl_frame_region *frames)
{
        int fds[PTL_LINK_TOGETHER], r;
        uint64_t ticket = 0;
        size_t fresh = 0;

        for (uint32_t i = 0; i < count; i++)
                frames[i].fresh = frames[i].frozen = 0;
        r = number_fresh(peer, regions, count, frames, fds, &fresh);
        if (!r && fresh)
                r = ptl_link_descriptors_send(&peer->link, fds, fresh, &ticket);
        if (r) {
                undo_numbers(peer, frames, count);
                return r;
        }
        for (uint32_t i = 0; i < count; i++)
                frames[i].ticket = frames[i].fresh ? ticket++ : 0;
        return 0;
}

static int attach(struct ptl_peer *peer, const struct ptl_frame_region *frame,
                  struct ptl_region **ret_region)
{
        ptl_cleanup(ptl_socket_discardp) int fd = -EBADF;
        struct ptl_link *link = &peer->link;
        void *data;
        int r = 0;

        if (frame->ticket > link->tickets_taken) {
                ptl_lock(&link->lock);
                r = ptl_link_input(link); /* it was sent before the frame was published */
                ptl_unlock(&link->lock);
                peer->space->room(peer->space); /* acknowledgements may have come with it */
        }
        if (!r || r == PTL_E_DEAD)
                r = ptl_link_descriptor_take(link, frame->ticket, &fd);
        if (!r)
                r = ptl_memory_attach(fd, frame->size, frame->frozen, &data);
        if (r)
                return r;
        r = ptl_region_wrap(fd, data, frame->size, ret_region);
        if (r) {
                ptl_memory_unmap(data, frame->size);
                return r;
        }
        (*ret_region)->frozen = frame->frozen;
        (*ret_region)->foreign = true;
        fd = -EBADF;
        return 0;
}

/* memcpy() of many MiB goes past the cache, from where the program would have to fetch it: a third slower. */
static void copy_cached(char *to, const char *from, size_t size)
{
        enum { PIECE = 512 << 10 };

        for (size_t at = 0; at < size; at += PIECE)
                memcpy(to + at, from + at, size - at < PIECE ? size - at : PIECE);
}

/* The receiver's own copy: what the sender stores from now on is not seen (isolated). */
int ptl_region_copy(const struct ptl_region *region, struct ptl_region **ret_copy)
{
        size_t size = region->size;
        void *data = NULL;
        int r = ptl_spare_take(size, &data);

        if (r)
                return r;
        r = ptl_region_wrap(-EBADF, data, size, ret_copy);
        if (r) {
                ptl_spare_give(data, size);
                return r;
        }
        copy_cached(data, region->data, size);
        memset((char *)data + size, 0, ptl_memory_round(size) - size); /* what stood there is nobody's business */
        (*ret_copy)->is_copy = true;
        return 0;
}

int ptl_region_import(struct ptl_peer *peer, const struct ptl_frame_region *frame,
                      struct ptl_region **ret_region)
{
        struct ptl_region **place;
        int r = 0;

        if (frame->number >= PTL_REGIONS_PER_LINK)
                return PTL_E_MALFORMED;
        place = &peer->regions_in[frame->number];
        if (frame->fresh) {
                if (*place)
                        return PTL_E_MALFORMED;
                r = attach(peer, frame, place);
        } else if (!*place) {
                return PTL_E_LOST; /* its descriptor did not arrive the first time */
        }
        if (r)
                return r;
        if (frame->size != (*place)->size)
                return PTL_E_MALFORMED;
        if (frame->how != PTL_REGION_VOLATILE && !frame->frozen)
                return ptl_region_copy(*place, ret_region);
        *ret_region = ptl_region_ref(*place);
        return 0;
}

void ptl_region_forget(struct ptl_peer *peer, uint32_t number)
{
        if (number >= PTL_REGIONS_PER_LINK)
                return;
        peer->regions_in[number] = ptl_region_unref(peer->space, peer->regions_in[number]);
}

void ptl_region_number_free(struct ptl_peer *peer, uint32_t number)
{
        peer->regions_out[number] = NULL;
}

/* No link is to remember it. */
static void withdraw(struct ptl_peer *peer, const struct ptl_region *region)
{
        int number = find_out(peer, region);

        if (number < 0)
                return;
        peer->regions_out[number] = NULL;
        if (ptl_link_state(&peer->link) == PTL_LINK_DEAD)
                return;
        peer->retire[number / 8] |= (uint8_t)(1u << number % 8);
        peer->n_retire++;
        ptl_control_set_pending(peer, true);
        ptl_control_flush(peer);
}

struct ptl_region *ptl_region_unref(struct ptl_space *space, struct ptl_region *region)
{
        if (!region || --region->references)
                return NULL;
        if (region->epoch != epoch) { /* the parent's: not mapped here, or something else is by now */
                free(region);
                return NULL;
        }
        unlist(region);
        for (struct ptl_peer *peer = region->fd >= 0 ? space->peers : NULL; peer; peer = peer->next)
                withdraw(peer, region);
        if (region->is_copy && region->fd < 0)
                ptl_spare_give(region->data, region->size);
        else
                ptl_memory_unmap(region->data, region->size);
        ptl_close(region->fd);
        free(region);
        return NULL;
}

void ptl_regions_drop(struct ptl_peer *peer)
{
        for (int i = 0; i < PTL_REGIONS_PER_LINK; i++)
                peer->regions_in[i] = ptl_region_unref(peer->space, peer->regions_in[i]);
}
