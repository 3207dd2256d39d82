/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port/regions.h - regions, and what each link knows of them by number
 *
 * A region that was sent on a link has a number there; sent again, only the number travels. The
 * sender chooses numbers (0 to PTL_REGIONS_PER_LINK - 1) and retires them when it frees the region.
 */
#pragma once
#include "port/peer.h"
#include <portolan/region.h>

struct ptl_region {
        struct ptl_region *next, **previous; /* all of this process */
        void *data; /* NULL: given away */
        size_t size;
        int fd; /* -EBADF: private memory, or a view that is not passed on */
        uint32_t references;
        bool frozen;
        bool foreign; /* it came from another task */
        bool is_copy; /* private memory of shm/spare.h, while there is no descriptor */
        uint32_t epoch; /* of the space it is mapped in */
};

/* Takes @fd over on success. */
PTL_MUST_CHECK int ptl_region_wrap(int fd, void *data, size_t size, struct ptl_region **ret_region);

/* In a child: its copies of the regions' descriptors are closed; the memory is not mapped there. */
void ptl_regions_forked(void);
struct ptl_region *ptl_region_ref(struct ptl_region *region);

/* Do others see its memory? */
static inline bool ptl_region_is_shared(const struct ptl_region *region)
{
        return region->foreign && !region->frozen;
}

/* A copy of one's own in private memory. -ENOMEM. */
PTL_MUST_CHECK int ptl_region_copy(const struct ptl_region *region, struct ptl_region **ret_copy);

/* Unmaps it and seals it against all writing; false, and nothing has changed, where others write it. */
bool ptl_region_freeze(struct ptl_region *region);

/* Gives up a reference; the last unmaps and makes every link forget it. Always NULL. */
struct ptl_region *ptl_region_unref(struct ptl_space *space, struct ptl_region *region);

/**
 * ptl_regions_export - fill what goes into a frame, and send the descriptors this link has not seen
 * @frames: one a region; `how` is the caller's, the rest is filled
 *
 * All descriptors travel in one packet, so nothing is half sent. The link's lock is held.
 * Return: 0, PTL_E_FULL (try again), PTL_E_DEAD, PTL_E_QUOTA (PTL_REGIONS_PER_LINK numbers in use),
 * -errno; then the peer has seen nothing.
 */
PTL_MUST_CHECK int ptl_regions_export(struct ptl_peer *peer, struct ptl_region *const *regions,
                                      uint32_t count, struct ptl_frame_region *frames);

/* Undoes it: no frame names them. Their descriptors go unnamed. */
void ptl_regions_unexport(struct ptl_peer *peer, const struct ptl_frame_region *frames, uint32_t count);

/* The region a frame names; a reference. PTL_E_LOST, PTL_E_MALFORMED, -errno. */
PTL_MUST_CHECK int ptl_region_import(struct ptl_peer *peer, const struct ptl_frame_region *frame,
                                     struct ptl_region **ret_region);

/* The peer retires a number. */
void ptl_region_forget(struct ptl_peer *peer, uint32_t number);

/* Our RETIRE was written: the number may be used again. */
void ptl_region_number_free(struct ptl_peer *peer, uint32_t number);


void ptl_regions_drop(struct ptl_peer *peer);
