/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/doctor_place.c - portolan doctor: kernel, processors, containers, who may look into whom */
#include "base/cleanup.h"
#include "cmd/doctor.h"
#include <errno.h>
#include <inttypes.h>
#include <portolan/types.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

static void look_kernel(struct doctor_finding *f)
{
        struct utsname u;
        int major = 0, minor = 0;

        if (uname(&u) || sscanf(u.release, "%d.%d", &major, &minor) != 2)
                doctor_say(f, DOCTOR_NOTE, "it is not known what works", NULL, "not known");
        else if (major < 5 || (major == 5 && minor < 4))
                doctor_say(f, DOCTOR_PROBLEM, "seals and pidfds, which links need, are not in it",
                           "Linux 5.4 is the oldest that is tried.", "Linux %.64s, %.32s",
                           u.release, u.machine);
        else
                doctor_say(f, DOCTOR_OK, NULL, NULL, "Linux %.64s, %.32s", u.release, u.machine);
}

static void look_pidfd(struct doctor_finding *f)
{
        int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

        if (fd < 0)
                doctor_say(f, DOCTOR_NOTE, "a peer's death is seen by its socket alone",
                           "Linux 5.3 and later have it; in a sandbox, allow it.", "%s",
                           strerror(errno));
        else
                doctor_say(f, DOCTOR_OK, "a peer's death is seen at once", NULL, "works");
        ptl_close(fd);
}

static void look_cpus(struct doctor_finding *f)
{
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        cpu_set_t set;
        int allowed = sched_getaffinity(0, sizeof set, &set) ? (int)online : CPU_COUNT(&set);

        if (allowed == 1)
                doctor_say(f, DOCTOR_NOTE,
                           "nobody polls on one CPU: each message costs a wake-up, 3 to 5 us",
                           "If the machine has more, widen the affinity (taskset, cpuset).",
                           "1 of %ld to be used", online);
        else
                doctor_say(f, DOCTOR_OK, NULL, NULL, "%d of %ld to be used", allowed, online);
}

static void look_quota(struct doctor_finding *f)
{
        char text[64], period_text[64];
        double quota = 0, period = 100000;

        if (!doctor_read_cgroup("cpu.max", "cpu", "cpu.cfs_quota_us", text, sizeof text)) {
                doctor_say(f, DOCTOR_OK, NULL, NULL, "none");
                return;
        }
        if (sscanf(text, "%lf %lf", &quota, &period) == 1 &&
            doctor_read_cgroup("cpu.max", "cpu", "cpu.cfs_period_us", period_text,
                               sizeof period_text))
                sscanf(period_text, "%lf", &period);
        if (quota <= 0) /* "max", or -1 in version 1 */
                doctor_say(f, DOCTOR_OK, NULL, NULL, "none");
        else if (quota < 2 * period)
                doctor_say(f, DOCTOR_NOTE,
                           "polling uses it up, and then both sides stand still for a while",
                           "Raise cpu.max (docker: --cpus), or set PORTOLAN_WAIT=block.",
                           "%.2f CPUs", quota / period);
        else
                doctor_say(f, DOCTOR_OK, NULL, NULL, "%.2f CPUs", quota / period);
}

/* The name of what most likely made this container; NULL: none is seen. */
static const char *container(void)
{
        char text[256];

        if (access("/.dockerenv", F_OK) == 0)
                return "Docker (/.dockerenv)";
        if (access("/run/.containerenv", F_OK) == 0)
                return "Podman (/run/.containerenv)";
        if (getenv("KUBERNETES_SERVICE_HOST"))
                return "Kubernetes";
        if (doctor_read("/proc/1/cgroup", text, sizeof text) &&
            (strstr(text, "docker") || strstr(text, "kubepods") || strstr(text, "lxc")))
                return "a control group of docker, kubepods or lxc";
        return getenv("container") ? "the variable \"container\" is set" : NULL;
}

static void look_container(struct doctor_finding *f)
{
        const char *name = container();

        if (name)
                doctor_say(f, DOCTOR_NOTE,
                           "processes outside are found only through a server both can reach",
                           "Mount its socket's folder into the container and set PORTOLAN_SOCKET.",
                           "%s", name);
        else
                doctor_say(f, DOCTOR_OK, NULL, NULL, "none seen");
}

/* A line "KEY:\tVALUE" of /proc/self/status. */
static bool read_status(const char *key, char *ret, size_t size)
{
        FILE *f = fopen("/proc/self/status", "re");
        char line[256];
        size_t n = strlen(key);
        bool is_found = false;

        while (f && !is_found && fgets(line, sizeof line, f)) {
                is_found = !strncmp(line, key, n) && line[n] == ':';
                line[strcspn(line, "\n")] = 0;
                if (is_found)
                        snprintf(ret, size, "%s", line + n + 1 + strspn(line + n + 1, "\t "));
        }
        if (f)
                fclose(f);
        return is_found;
}

static void look_pids(struct doctor_finding *f)
{
        char ids[128];

        if (!read_status("NSpid", ids, sizeof ids))
                doctor_say(f, DOCTOR_NOTE, "start times of processes are reported as 0",
                           "mount -t proc proc /proc", "there is no /proc");
        else if (strpbrk(ids, "\t "))
                doctor_say(f, DOCTOR_NOTE,
                           "process ids are told as the name server's place counts them", NULL,
                           "nested: this process is %s", ids);
        else
                doctor_say(f, DOCTOR_OK, NULL, NULL, "one for all that is seen here");
}

static void look_ptrace(struct doctor_finding *f)
{
        static const char effect[] =
                "processes of one user can look into each other's memory: between "
                "them rights protect from faults, not from intent";
        uint64_t scope = doctor_read_number("/proc/sys/kernel/yama/ptrace_scope", UINT64_MAX);

        if (scope == UINT64_MAX)
                doctor_say(f, DOCTOR_OK, effect, NULL, "no Yama: as the uid allows");
        else
                doctor_say(f, DOCTOR_OK, scope ? NULL : effect, NULL, "%" PRIu64, scope);
}

static void look_seccomp(struct doctor_finding *f)
{
        char mode[16];

        if (!read_status("Seccomp", mode, sizeof mode))
                doctor_say(f, DOCTOR_OK, NULL, NULL, "not known");
        else if (mode[0] == '2')
                doctor_say(f, DOCTOR_OK,
                           "a filter stands above this process; what is needed was tried above",
                           NULL, "a filter");
        else
                doctor_say(f, DOCTOR_OK, NULL, NULL, "%s", mode[0] == '0' ? "none" : "strict");
}

static void look_clock(struct doctor_finding *f)
{
        enum { READS = 2000 };
        ptl_time begun = ptl_now(), end = begun;
        char source[64];
        double ns;

        for (int i = 0; i < READS; i++)
                end = ptl_now();
        ns = (double)(end - begun) / READS;
        if (!doctor_read("/sys/devices/system/clocksource/clocksource0/current_clocksource", source,
                         sizeof source))
                snprintf(source, sizeof source, "a clock");
        if (ns > 150)
                doctor_say(f, DOCTOR_NOTE,
                           "reading the clock is a system call: deadlines and polling cost more",
                           "Boot with tsc=reliable if the processor's counter can be trusted.",
                           "%s, %.0f ns a look", source, ns);
        else
                doctor_say(f, DOCTOR_OK, NULL, NULL, "%s, %.0f ns a look", source, ns);
}

static const struct doctor_check checks[] = {
        {"kernel",    "kernel",                   look_kernel   },
        {"pidfd",     "pidfd_open",               look_pidfd    },
        {"cpus",      "CPUs",                     look_cpus     },
        {"cpu_quota", "CPU limit of the cgroup",  look_quota    },
        {"clock",     "clock",                    look_clock    },
        {"container", "container",                look_container},
        {"pids",      "process ids",              look_pids     },
        {"ptrace",    "kernel.yama.ptrace_scope", look_ptrace   },
        {"seccomp",   "seccomp",                  look_seccomp  },
};

const struct doctor_group doctor_place = {"This place", checks, PTL_ARRAY_LEN(checks)};
