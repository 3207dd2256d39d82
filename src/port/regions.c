/* SPDX-License-Identifier: Apache-2.0 */
/* port/regions.c - see regions.h */
#include "port/regions.h"
#include "port/receiver.h"
#include "base/clock.h"
#include <string.h>

int ptl_region_wrap(int fd, void *data, size_t size, struct ptl_region **ret_region)
{
        struct ptl_region *region = malloc(sizeof *region);

        if (!region)
                return -ENOMEM;
        *region = (struct ptl_region){.data = data, .size = size, .fd = fd, .references = 1};
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

/* Memory of our own that is to be passed on needs a descriptor. */
static int materialize(struct ptl_region *region)
{
        int r = region->fd >= 0 ? 0 : ptl_memory_share(region->data, region->size, &region->fd);

        if (!r)
                region->is_private = false;
        return r;
}

int ptl_region_export(struct ptl_peer *peer, struct ptl_region *region, uint32_t how,
                      struct ptl_frame_region *ret_frame)
{
        int number = find_out(peer, region), r;

        *ret_frame = (struct ptl_frame_region){.how = how, .size = region->size};
        if (number < 0) {
                number = new_number(peer);
                if (number < 0)
                        return PTL_E_QUOTA;
                r = materialize(region);
                if (r)
                        return r;
                r = ptl_link_descriptor_send(&peer->link, region->fd, &ret_frame->ticket);
                if (r)
                        return r;
                ret_frame->fresh = 1;
                peer->regions_out[number] = region;
        }
        ret_frame->number = (uint32_t)number;
        return 0;
}

static int attach(struct ptl_peer *peer, const struct ptl_frame_region *frame,
                  struct ptl_region **ret_region)
{
        ptl_cleanup(ptl_closep) int fd = -EBADF;
        struct ptl_link *link = &peer->link;
        void *data;
        int r = 0;

        if (frame->ticket > link->tickets_taken) {
                ptl_lock(&link->lock);
                r = ptl_link_input(link); /* it was sent before the frame was published */
                ptl_unlock(&link->lock);
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

/* The receiver's own copy: what the sender stores from now on is not seen (isolated). */
int ptl_region_copy(const struct ptl_region *region, struct ptl_region **ret_copy)
{
        void *data = NULL;
        int r = ptl_memory_private(region->size, &data);

        if (r)
                return r;
        memcpy(data, region->data, region->size);
        r = ptl_region_wrap(-EBADF, data, region->size, ret_copy);
        if (r)
                ptl_memory_unmap(data, region->size);
        else
                (*ret_copy)->is_private = true;
        return r;
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
        if (frame->how == PTL_REGION_ISOLATED && !frame->frozen)
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
        ptl_control_flush(peer);
}

struct ptl_region *ptl_region_unref(struct ptl_space *space, struct ptl_region *region)
{
        if (!region || --region->references)
                return NULL;
        for (struct ptl_peer *peer = region->fd >= 0 ? space->peers : NULL; peer; peer = peer->next)
                withdraw(peer, region);
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
