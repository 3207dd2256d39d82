/* SPDX-License-Identifier: Apache-2.0 */
/* leave_clean.h - the end of a peer that gives up all it has, and looks for what it leaked meanwhile */
#pragma once
#include "roles.h"

struct belongings {
        int fds, maps;
};

/* Before the first call of the library. */
static inline struct belongings belongings(void)
{
        return (struct belongings){tst_open_fds(false), tst_shared_maps(false)};
}

static inline void destroy_all_names(void)
{
        struct ptl_right_entry *entries;
        size_t n;

        OK(ptl_right_names(&entries, &n));
        for (size_t i = 0; i < n; i++)
                ptl_right_destroy(entries[i].name);
        free(entries);
}

/* Nobody was found lying, and nothing stays open or mapped. */
static inline void leave_clean(struct belongings before)
{
        struct belongings after;

        destroy_all_names();
        CHECK_EQ(statistics().lies, 0);
        OK(ptl_task_leave());
        after = belongings();
        if (after.fds != before.fds || after.maps != before.maps) {
                tst_open_fds(true);
                tst_shared_maps(true);
        }
        CHECK_EQ(after.fds, before.fds);
        CHECK_EQ(after.maps, before.maps);
}
