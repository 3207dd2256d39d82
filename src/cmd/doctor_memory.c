/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/doctor_memory.c - portolan doctor: the memory that tasks share, tried out */
#include "base/cleanup.h"
#include "cmd/doctor.h"
#include "cmd/text.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { SIZE = 65536 };

/* As an outbox is made: reserved, mapped, sealed; then nobody else can write. NULL: it works. */
static const char *try_seals(int fd)
{
        const int seals = F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
        void *mine, *other;

        if (fd < 0)
                return "memfd_create";
        if (fallocate(fd, 0, 0, SIZE))
                return "fallocate";
        mine = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (mine == MAP_FAILED)
                return "mmap";
        if (fcntl(fd, F_ADD_SEALS, seals)) {
                int e = errno;

                munmap(mine, SIZE);
                errno = e;
                return "F_SEAL_FUTURE_WRITE";
        }
        other = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        munmap(mine, SIZE);
        if (other == MAP_FAILED)
                return NULL;
        munmap(other, SIZE);
        errno = 0; /* it has no name for this */
        return "sealing";
}

static void look_seals(struct doctor_finding *f)
{
        ptl_cleanup(ptl_closep) int fd =
                memfd_create("portolan-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        const char *failed = try_seals(fd);

        if (!failed)
                doctor_say(f, DOCTOR_OK, "shared memory only its owner can write", NULL,
                           "memfd_create and F_SEAL_FUTURE_WRITE work");
        else
                doctor_say(
                        f, DOCTOR_PROBLEM, "tasks cannot be linked: no outbox can be made",
                        "Use Linux 5.1 or later; in a sandbox, allow memfd_create and its seals.",
                        "%s fails: %s", failed, errno ? strerror(errno) : "others can still write");
}

static void look_populate(struct doctor_finding *f)
{
        void *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        int e = p == MAP_FAILED || madvise(p, SIZE, MADV_POPULATE_WRITE) ? errno : 0;

        if (p != MAP_FAILED)
                munmap(p, SIZE);
        if (!e)
                doctor_say(f, DOCTOR_OK, "pages are made ready before they are used", NULL,
                           "works");
        else
                doctor_say(f, DOCTOR_NOTE, "the first use of each page costs a fault, 1 to 2 us",
                           "Linux 5.14 and later have it.", "%s", strerror(e));
}

static void look_noexec(struct doctor_finding *f)
{
        uint64_t level = doctor_read_number("/proc/sys/vm/memfd_noexec", UINT64_MAX);

        if (level == UINT64_MAX)
                doctor_say(f, DOCTOR_OK, NULL, NULL, "not known to this kernel");
        else
                doctor_say(f, DOCTOR_OK, "memory that tasks share need not be executable", NULL,
                           "%u", (unsigned)level);
}

/* Few use it for anything large, but where it is 64 MiB, as in containers, others fail. */
static void look_dev_shm(struct doctor_finding *f)
{
        static const char effect[] = "nothing here: Portolan's memory has no file; others' POSIX "
                                     "shared memory is limited";
        char size[24], left[24];
        struct statvfs s;
        uint64_t bytes;

        if (statvfs("/dev/shm", &s)) {
                doctor_say(f, DOCTOR_OK, effect, NULL, "not there, and not needed");
                return;
        }
        bytes = (uint64_t)s.f_blocks * s.f_frsize;
        doctor_say(f, DOCTOR_OK, effect, NULL, "%s, %s free (not used)", text_size(size, bytes),
                   text_size(left, (uint64_t)s.f_bavail * s.f_frsize));
}

static void look_huge(struct doctor_finding *f)
{
        char text[80], *chosen;

        if (!doctor_read("/sys/kernel/mm/transparent_hugepage/shmem_enabled", text, sizeof text)) {
                doctor_say(f, DOCTOR_OK, NULL, NULL, "not known to this kernel");
                return;
        }
        chosen = strchr(text, '[');
        if (chosen)
                chosen[strcspn(chosen, "]")] = 0;
        chosen = chosen ? chosen + 1 : text;
        if (!strcmp(chosen, "always") || !strcmp(chosen, "force"))
                doctor_say(f, DOCTOR_NOTE,
                           "each link may take 2 MiB at once instead of what it uses",
                           "echo never > /sys/kernel/mm/transparent_hugepage/shmem_enabled", "%s",
                           chosen);
        else
                doctor_say(f, DOCTOR_OK, "links take memory page by page", NULL, "%s", chosen);
}

static void look_cgroup_memory(struct doctor_finding *f)
{
        char text[64], size[24];
        uint64_t bytes = UINT64_MAX;

        if (doctor_read_cgroup("memory.max", "memory", "memory.limit_in_bytes", text,
                               sizeof text) &&
            strcmp(text, "max"))
                sscanf(text, "%" SCNu64, &bytes);
        if (bytes >= UINT64_MAX / 4) /* version 1 says "none" with a large number */
                doctor_say(f, DOCTOR_OK, NULL, NULL, "none");
        else if (bytes < 256u << 20)
                doctor_say(f, DOCTOR_NOTE,
                           "shared memory counts for whoever touches it first; at the limit "
                           "processes are killed",
                           "Raise memory.max of the control group (docker: --memory).", "%s",
                           text_size(size, bytes));
        else
                doctor_say(f, DOCTOR_OK, "shared memory counts for whoever touches it first", NULL,
                           "%s", text_size(size, bytes));
}

static void look_memlock(struct doctor_finding *f)
{
        struct rlimit r;
        char size[24];

        if (getrlimit(RLIMIT_MEMLOCK, &r))
                doctor_say(f, DOCTOR_OK, NULL, NULL, "%s", strerror(errno));
        else
                doctor_say(f, DOCTOR_OK, "only programs that mlock() what they share need more",
                           NULL, "%s",
                           r.rlim_cur == RLIM_INFINITY ? "unlimited" : text_size(size, r.rlim_cur));
}

static const struct doctor_check checks[] = {
        {"seals",        "sealed memory",              look_seals        },
        {"populate",     "MADV_POPULATE_WRITE",        look_populate     },
        {"memfd_noexec", "vm.memfd_noexec",            look_noexec       },
        {"dev_shm",      "/dev/shm",                   look_dev_shm      },
        {"huge_pages",   "huge pages for shmem",       look_huge         },
        {"memory_limit", "memory limit of the cgroup", look_cgroup_memory},
        {"memlock",      "RLIMIT_MEMLOCK",             look_memlock      },
};

const struct doctor_group doctor_memory = {"Memory", checks, PTL_ARRAY_LEN(checks)};
