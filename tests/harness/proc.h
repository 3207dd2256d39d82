/* SPDX-License-Identifier: Apache-2.0 */
/* proc.h - what /proc tells of another process; a case fails if it tells nothing */
#pragma once
#include "tst.h"

static inline int proc_descriptors(pid_t pid)
{
        char path[64];
        int n = -2; /* . and .. */
        DIR *d;

        snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
        CHECK((d = opendir(path)));
        while (readdir(d))
                n++;
        closedir(d);
        return n;
}

/* What follows the command in /proc/PID/stat: fields 3 and on. */
static inline void proc_stat(pid_t pid, char *text, size_t size)
{
        char path[64], line[1024] = "";
        const char *end;
        FILE *f;

        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        CHECK((f = fopen(path, "re")));
        CHECK(fgets(line, sizeof line, f));
        fclose(f);
        CHECK((end = strrchr(line, ')')));
        snprintf(text, size, "%s", end + 1);
}

/* Of processor time, of the kernel's clock. */
static inline long proc_ticks(pid_t pid)
{
        unsigned long user = 0, kernel = 0;
        char text[1024];

        proc_stat(pid, text, sizeof text);
        CHECK_EQ(sscanf(text, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel), 2);
        return (long)(user + kernel);
}

/* Field 22, in ticks since the machine started. */
static inline uint64_t proc_start_time(pid_t pid)
{
        unsigned long long ticks = 0;
        char text[1024];

        proc_stat(pid, text, sizeof text);
        CHECK_EQ(sscanf(text,
                        " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
                        &ticks),
                 1);
        return ticks;
}

static inline long proc_resident_kib(pid_t pid)
{
        char path[64], line[256];
        long kib = -1;
        FILE *f;

        snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
        CHECK((f = fopen(path, "re")));
        while (fgets(line, sizeof line, f))
                if (sscanf(line, "VmRSS: %ld", &kib) == 1)
                        break;
        fclose(f);
        CHECK(kib >= 0);
        return kib;
}
