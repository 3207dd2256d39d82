/* SPDX-License-Identifier: Apache-2.0 */
/* task/region.c - regions: the public calls (portolan/region.h) */
#include "port/regions.h"
#include "task/task.h"

int ptl_region_new(size_t size, struct ptl_region **ret_region)
{
        uint64_t wide = size; /* than which the maximum may be wider: a plain size_t cannot be compared */
        void *data;
        int fd, r;

        if (!ret_region || size == 0)
                return PTL_E_INVALID;
        if (wide > PTL_REGION_SIZE_MAX)
                return PTL_E_TOO_BIG;
        r = ptl_memory_create(size, &fd, &data);
        if (r)
                return r;
        r = ptl_region_wrap(fd, data, size, ret_region);
        if (r) {
                ptl_memory_unmap(data, size);
                ptl_close(fd);
        }
        return r;
}

void *ptl_region_data(const struct ptl_region *region) { return region ? region->data : NULL; }

size_t ptl_region_size(const struct ptl_region *region) { return region ? region->size : 0; }

struct ptl_region *ptl_region_free(struct ptl_region *region)
{
        struct ptl_task *task = &ptl_the_task;

        ptl_lock(&task->space.lock);
        ptl_region_unref(&task->space, region);
        ptl_unlock(&task->space.lock);
        return NULL;
}
