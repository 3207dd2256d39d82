/* SPDX-License-Identifier: Apache-2.0 */
/* portolan/types.h - the types every header shares: names, time, identity */
#ifndef PORTOLAN_TYPES_H
#define PORTOLAN_TYPES_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define PTL_PUBLIC     __attribute__((visibility("default")))
#define PTL_MUST_CHECK __attribute__((warn_unused_result))
#else
#define PTL_PUBLIC
#define PTL_MUST_CHECK
#endif

#ifdef __cplusplus
extern "C" {
#endif

/**
 * ptl_port - names a right in this task; an index, never a pointer, meaningless in other tasks
 *
 * A name is not used again for a long time after it is freed (4,096 lives of its table entry), so
 * that a stale name is refused with PTL_E_NAME. A child made by fork() starts with no names; its
 * parent's are refused there with PTL_E_FORKED.
 */
typedef uint32_t ptl_port;
#define PTL_NULL ((ptl_port)0) /* never a valid name */

/**
 * ptl_time - a point in time: nanoseconds of CLOCK_MONOTONIC
 *
 * Deadlines are absolute. PTL_NOW (0) never waits: the call tells at once what it would wait for.
 * PTL_FOREVER never expires. Times in the past are as PTL_NOW, but for the outcome: PTL_E_TIMEOUT
 * instead of PTL_E_FULL or PTL_E_EMPTY.
 */
typedef int64_t ptl_time;
#define PTL_NOW     ((ptl_time)0)
#define PTL_FOREVER INT64_MAX

/**
 * ptl_now - the current time
 * Async-signal-safe, thread-safe; no system call where the vDSO has the clock.
 */
PTL_PUBLIC ptl_time ptl_now(void);

/**
 * ptl_after_ms - the point in time @milliseconds from now; saturates at PTL_FOREVER
 * @milliseconds: 0 gives a time that has passed when it is looked at; negative values count as 0
 */
PTL_PUBLIC ptl_time ptl_after_ms(int64_t milliseconds);

/* Identity of a task, 128 bits, given by the name server, never by the task itself. */
struct ptl_task_id {
        uint64_t high;
        uint64_t low;
};

/**
 * struct ptl_identity - who a peer is, as the kernel attested it to the name server
 *
 * Stamped by the receiving side from the link a message came through; nothing a sender writes can
 * change it. @pid is in the name server's PID name space and may be reused after that task's death;
 * @task never is. @start_time is field 22 of /proc/PID/stat (0 where there is no /proc).
 */
struct ptl_identity {
        struct ptl_task_id task;
        int32_t pid;
        uint32_t uid;
        uint32_t gid;
        uint32_t reserved;
        uint64_t start_time;
};

#ifdef __cplusplus
}
#endif
#endif
