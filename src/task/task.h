/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task/task.h - this process as a task: everything it has, and how a call enters it
 *
 * One instance, guarded by its space's lock ("the task's lock") but for what is said to belong to the
 * leader (wait.h). A call begins with ptl_task_enter(), which starts the task or notices that the
 * process was forked.
 */
#pragma once
#include "port/receiver.h"
#include "task/board.h"
#include "task/served.h"
#include "task/server.h"
#include "task/wait.h"
#include <portolan/portolan.h>

struct ptl_task {
        struct ptl_space space;
        struct ptl_wait_state wait;
        struct ptl_server server;
        struct ptl_task_board board;
        struct ptl_served served;
        struct ptl_identity identity; /* pid, uid and gid at once; the rest once a server knows us */
        bool started;
        bool leaving; /* no link begins any more */
        const _Atomic uint32_t *alive; /* MADV_WIPEONFORK: 0 in a child that no handler of ours saw */
};

_Static_assert(sizeof(void *) != 8 || offsetof(struct ptl_task, wait) % 64 == 56,
               "what is polled lies in its lines as it was measured best: ptl_space.reserved makes up for the rest");

extern struct ptl_task ptl_the_task;

PTL_MUST_CHECK int ptl_task_start(void);

/* 0 and the task, started; -ENOMEM, -EMFILE. */
PTL_MUST_CHECK static inline int ptl_task_enter(struct ptl_task **ret_task)
{
        struct ptl_task *task = &ptl_the_task;

        *ret_task = task;
        /* relaxed: written once before it is shared, and by the kernel in a child */
        if (PTL_LIKELY(task->started && ptl_load_relaxed(task->alive)))
                return 0;
        return ptl_task_start();
}

/* The same, and takes the lock. */
PTL_MUST_CHECK static inline int ptl_task_begin(struct ptl_task **ret_task)
{
        int r = ptl_task_enter(ret_task);

        if (!r)
                ptl_lock(&(*ret_task)->space.lock);
        return r;
}

/* Lets go of it. Return: @outcome. */
static inline int ptl_task_end(struct ptl_task *task, int outcome)
{
        ptl_unlock(&task->space.lock);
        return outcome;
}

/* A new link: known to the task, watched, not polled yet. Consumes @socket on success. @server: which one
 * made it (struct ptl_server, welcomes). */
PTL_MUST_CHECK int ptl_task_link(struct ptl_task *task, int socket,
                                 const struct ptl_identity *identity, uint32_t server,
                                 struct ptl_peer **ret_peer);
/* The link with a task: of several, the oldest, so that all that is looked up goes to one. Or NULL. */
struct ptl_peer *ptl_task_find_peer(const struct ptl_task *task, struct ptl_task_id id);

/* The peer is gone or lied: settles it and forgets it. The leader, or nobody leads. */
void ptl_task_unlink(struct ptl_task *task, struct ptl_peer *peer);

/* ptl_name_publish() of any receiver, the library's own too; the lock is held, and let go meanwhile. */
PTL_MUST_CHECK int ptl_name_publish_locked(struct ptl_task *task, const char *name, ptl_port port);
/* The receive right or the set that @entry carries is given up (task/ports.c). */
void ptl_port_give_up(struct ptl_task *task, struct ptl_entry *entry);
void ptl_set_give_up(struct ptl_task *task, struct ptl_entry *entry);
/* An empty set; 0, PTL_E_QUOTA, -ENOMEM. */
PTL_MUST_CHECK int ptl_set_make(struct ptl_space *space, ptl_port *ret_set);

/* The next name given out is @name; nothing takes what gets it for what had its place before. As
 * ptl_space_choose() (task/rename.c). */
PTL_MUST_CHECK int ptl_name_choose(struct ptl_task *task, ptl_port name);

/* ptl_right_rename(); the lock is held. */
PTL_MUST_CHECK int ptl_right_rename_locked(struct ptl_task *task, ptl_port old, ptl_port name);

/* A right has another name by now: wherever a message or a thread says the old one. */
void ptl_right_renamed(struct ptl_space *space, ptl_port old, ptl_port now);

/* Is the port published under a name? */
bool ptl_names_has_port(struct ptl_space *space, const struct ptl_receiver *receiver);

/* A port dies in a message that is destroyed: all of the two below. */
void ptl_names_port_dies(struct ptl_space *space, struct ptl_receiver *receiver);

/* A port is being freed: its published names are withdrawn (task/names.c). */
void ptl_names_of_port_end(struct ptl_task *task, uint64_t ticket);
/* ... and its watch ends. */
void ptl_names_watch_end(struct ptl_task *task, ptl_port notify);
