/* SPDX-License-Identifier: Apache-2.0 */
/* task/watched.c - see watched.h */
#include "task/watched.h"
#include "base/cleanup.h"
#include "base/trace.h"
#include "task/task.h"
#include <sys/prctl.h>

static void close_ended(struct ptl_task *task, bool all)
{
        int fd;

        while ((fd = ptl_trace_take(all)) >= 0) {
                ptl_wait_unwatch_end(task,
                                     fd); /* first: a copy elsewhere would keep it in the set */
                ptl_close(fd);
        }
}

void ptl_watched_begin(struct ptl_task *task, int *fd)
{
        /* As the kernel refuses a debugger: who keeps secrets from its own user shows none. */
        if (*fd < 0 || prctl(PR_GET_DUMPABLE) != 1)
                return;
        ptl_watched_look(task);
        if (ptl_wait_watch_end(task, *fd))
                return;
        if (!ptl_trace_watch(*fd)) {
                ptl_wait_unwatch_end(task, *fd);
                return;
        }
        (void)ptl_steal_fd(fd);
        ptl_trace_line("is watched by %u", ptl_trace_watchers());
        ptl_board_event(task);
}

void ptl_watched_look(struct ptl_task *task) { close_ended(task, false); }
void ptl_watched_end(struct ptl_task *task) { close_ended(task, true); }
