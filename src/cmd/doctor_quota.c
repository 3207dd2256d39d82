/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/doctor_quota.c - portolan doctor: limits in force for programs started here, and which lines are wrong */
#include "base/cleanup.h"
#include "cmd/doctor.h"
#include "cmd/text.h"
#include <inttypes.h>
#include <portolan/portolan.h>
#include <string.h>

static const char *const origins[] = {
        [PTL_QUOTA_BY_DEFAULT] = "default",         [PTL_QUOTA_BY_SYSTEM] = "/etc/portolan/limits",
        [PTL_QUOTA_BY_USER] = "the user's file",    [PTL_QUOTA_BY_ENVIRONMENT] = "PORTOLAN_LIMITS",
        [PTL_QUOTA_BY_CALL] = "this program",
};

static const char *const whys[PTL_QUOTA_FAULT_KINDS] = {
        [PTL_QUOTA_NO_EQUALS] = "is no \"NAME = VALUE\"",
        [PTL_QUOTA_NO_NAME] = "names no limit",
        [PTL_QUOTA_NO_VALUE] = "has no value from 1 on, with K, M or G, or unlimited",
        [PTL_QUOTA_UNREADABLE] = "cannot be read",
        [PTL_QUOTA_NOT_SAFE] = "is no regular file, another's, or writable by others",
        [PTL_QUOTA_TOO_LONG] = "is larger than 64 KiB",
};

/* "64 a process, 256 a user, 1024 in all; uid: PORTOLAN_LIMITS". */
static void say_kind(struct doctor_finding *f, enum ptl_quota kind)
{
        static const char *const whose[PTL_QUOTA_SCOPES] = {" a process, ", " a user, ", " in all"};
        static const char *const scopes[PTL_QUOTA_SCOPES] = {".task", ".uid", ".all"};
        char text[200] = "", set[100] = "";
        size_t n = 0, m = 0;

        for (int s = 0; s < PTL_QUOTA_SCOPES; s++) {
                uint64_t value = 0;
                uint32_t origin = 0;

                if (ptl_quota_get(PTL_QUOTA_LIMIT(kind, s), &value, &origin))
                        continue;
                if (value == PTL_QUOTA_UNLIMITED)
                        n += (size_t)snprintf(text + n, sizeof text - n, "unlimited%s", whose[s]);
                else
                        n += (size_t)snprintf(text + n, sizeof text - n, "%" PRIu64 "%s", value, whose[s]);
                if (origin != PTL_QUOTA_BY_DEFAULT)
                        m += (size_t)snprintf(set + m, sizeof set - m, "; %s: %s", scopes[s], origins[origin]);
        }
        doctor_say(f, DOCTOR_OK, NULL, NULL, "%s%s", text, set);
}

static void look_limits_links(struct doctor_finding *f) { say_kind(f, PTL_QUOTA_LINKS); }
static void look_limits_rights(struct doctor_finding *f) { say_kind(f, PTL_QUOTA_RIGHTS); }
static void look_limits_messages(struct doctor_finding *f) { say_kind(f, PTL_QUOTA_MESSAGES); }
static void look_limits_bytes(struct doctor_finding *f) { say_kind(f, PTL_QUOTA_BYTES); }
static void look_limits_carried(struct doctor_finding *f) { say_kind(f, PTL_QUOTA_CARRIED); }
static void look_limits_regions(struct doctor_finding *f) { say_kind(f, PTL_QUOTA_REGIONS); }
static void look_limits_parked(struct doctor_finding *f) { say_kind(f, PTL_QUOTA_PARKED); }
static void look_limits_orphans(struct doctor_finding *f) { say_kind(f, PTL_QUOTA_ORPHANS); }

/* All that is kept, as far as a line holds it. */
static void look_faults(struct doctor_finding *f)
{
        struct ptl_quota_fault faults[8];
        char text[180] = "";
        size_t n = 0, at = 0;

        if (ptl_quota_get_faults(faults, PTL_ARRAY_LEN(faults), &n) || !n) {
                doctor_say(f, DOCTOR_OK, NULL, NULL, "what is set is understood");
                return;
        }
        for (size_t i = 0; i < n && i < PTL_ARRAY_LEN(faults) && at < sizeof text; i++) {
                const struct ptl_quota_fault *x = &faults[i];

                if (x->line)
                        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s:%" PRIu32 " \"%.20s\" %s",
                                               i ? "; " : "", x->path, x->line, x->text, whys[x->why]);
                else
                        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s %s", i ? "; " : "", x->path,
                                               whys[x->why]);
        }
        doctor_say(f, DOCTOR_PROBLEM, "the limits that it was to set are as they are without it",
                   "docs/limits.md has the names, the values and the places.", "%zu wrong: %s", n, text);
}

static const struct doctor_check checks[] = {
        {"limits_set",      "what is set",                  look_faults         },
        {"limits_links",    "links",                        look_limits_links   },
        {"limits_rights",   "rights taken by name",         look_limits_rights  },
        {"limits_messages", "queued messages",              look_limits_messages},
        {"limits_bytes",    "queued bytes",                 look_limits_bytes   },
        {"limits_carried",  "rights in queued messages",    look_limits_carried },
        {"limits_regions",  "regions in queued messages",   look_limits_regions },
        {"limits_parked",   "parked claims",                look_limits_parked  },
        {"limits_orphans",  "orphaned bytes",               look_limits_orphans },
};

const struct doctor_group doctor_quota = {"What others may make a process started here hold", checks,
                                          PTL_ARRAY_LEN(checks)};
