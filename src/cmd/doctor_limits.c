/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/doctor_limits.c - portolan doctor: how much of what a process may have */
#include "base/cleanup.h"
#include "cmd/doctor.h"
#include "cmd/text.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

static const char *limit_text(char buffer[24], rlim_t n)
{
        if (n == RLIM_INFINITY)
                return "unlimited";
        snprintf(buffer, 24, "%" PRIu64, (uint64_t)n);
        return buffer;
}

static void look_files(struct doctor_finding *f)
{
        char soft[24], hard[24];
        struct rlimit r;

        if (getrlimit(RLIMIT_NOFILE, &r)) {
                doctor_say(f, DOCTOR_OK, NULL, NULL, "%s", strerror(errno));
                return;
        }
        if (r.rlim_cur < 256)
                doctor_say(
                        f, DOCTOR_NOTE,
                        "each linked task costs a few descriptors: PTL outcome -EMFILE comes early",
                        "ulimit -n 4096, or LimitNOFILE= in a unit", "%s (may be raised to %s)",
                        limit_text(soft, r.rlim_cur), limit_text(hard, r.rlim_max));
        else
                doctor_say(f, DOCTOR_OK, "ports cost none; each linked task costs a few", NULL,
                           "%s (may be raised to %s)", limit_text(soft, r.rlim_cur),
                           limit_text(hard, r.rlim_max));
}

static void look_maps(struct doctor_finding *f)
{
        uint64_t n = doctor_read_number("/proc/sys/vm/max_map_count", 0);

        if (n == 0)
                doctor_say(f, DOCTOR_OK, NULL, NULL, "not known");
        else if (n < 16384)
                doctor_say(f, DOCTOR_NOTE, "each link and each region in use costs a mapping",
                           "sysctl vm.max_map_count=65530", "%" PRIu64, n);
        else
                doctor_say(f, DOCTOR_OK, "each link and each region in use costs a mapping", NULL,
                           "%" PRIu64, n);
}

static void look_queues(struct doctor_finding *f)
{
        uint64_t queues = doctor_read_number("/proc/sys/fs/mqueue/queues_max", UINT64_MAX);
        uint64_t messages = doctor_read_number("/proc/sys/fs/mqueue/msg_max", 0);
        uint64_t bytes = doctor_read_number("/proc/sys/fs/mqueue/msgsize_max", 0);
        char text[24];
        struct rlimit r;

        if (queues == UINT64_MAX || getrlimit(RLIMIT_MSGQUEUE, &r))
                doctor_say(f, DOCTOR_OK, NULL, NULL, "not there, and not needed");
        else
                doctor_say(f, DOCTOR_OK,
                           "of the kernel's queues alone; ports have none of these limits", NULL,
                           "%" PRIu64 " queues of %" PRIu64 " messages of %" PRIu64
                           " bytes; %s bytes a user",
                           queues, messages, bytes,
                           r.rlim_cur == RLIM_INFINITY ? "unlimited"
                                                       : limit_text(text, r.rlim_cur));
}

static const struct doctor_check checks[] = {
        {"descriptors", "RLIMIT_NOFILE",        look_files },
        {"mappings",    "vm.max_map_count",     look_maps  },
        {"queues",      "POSIX message queues", look_queues},
};

const struct doctor_group doctor_limits = {"Limits", checks, PTL_ARRAY_LEN(checks)};
