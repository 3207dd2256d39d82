/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_events.h - eventfds and futexes of the shipped source, in the explorer's kernel
 *
 * Include it in one file of a model: it takes the place of libc's write() and syscall() in the whole
 * program. An eventfd is watched edge-triggered, so all that counts is whether one was raised since
 * the last look. List fake_events among the model's state.
 */
#pragma once
#include "explore.h"
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum { FAKE_EVENTS = 4, FAKE_EVENT_FIRST = 1000 }; /* descriptor of event i: FAKE_EVENT_FIRST + i */

static struct {
        uint32_t raised[FAKE_EVENTS], heard[FAKE_EVENTS];
} fake_events;

static void fake_event_raise(unsigned i)
{
        model_syscall("an eventfd is raised");
        fake_events.raised[i]++;
}

static inline bool fake_event_is_raised(unsigned i)
{
        return fake_events.raised[i] != fake_events.heard[i];
}

ssize_t write(int fd, const void *data, size_t size);
ssize_t write(int fd, const void *data, size_t size)
{
        (void)data;
        if (fd < FAKE_EVENT_FIRST || fd >= FAKE_EVENT_FIRST + FAKE_EVENTS)
                model_fail("write to descriptor %d", fd);
        fake_event_raise((unsigned)fd - FAKE_EVENT_FIRST);
        return (ssize_t)size;
}

long syscall(long number, ...);
long syscall(long number, ...)
{
        long a[3];
        va_list ap;

        va_start(ap, number);
        for (int i = 0; i < 3; i++)
                a[i] = va_arg(ap, long);
        va_end(ap);
        if (number == SYS_write)
                return write((int)a[0], NULL, (size_t)a[2]);
        if (number == SYS_membarrier) /* may be refused: nothing may rest on it but speed */
                return -1;
        model_fail("system call %ld", number);
        return -1;
}
