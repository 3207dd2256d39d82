/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/doctor.c - portolan doctor: what in this place limits communication, and how to mend it */
#include "cmd/doctor.h"
#include "base/cleanup.h"
#include "cmd/cmd.h"
#include "cmd/json.h"
#include "cmd/text.h"
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

static const char help[] =
        "portolan doctor [--json] - what in this place limits communication, and how to mend it\n"
        "\n"
        "Examples:\n"
        "  portolan doctor\n"
        "  portolan doctor --json | jq 'select(.verdict != \"ok\")'\n"
        "  portolan doctor --json | jq -r 'select(.pid) | \"\\(.what): \\(.value)\"'\n"
        "\n"
        "It tries what the library needs instead of guessing, changes nothing and starts nothing.\n"
        "A note is well to know; a problem keeps something from working. Where a limit is near or hit, the\n"
        "process that it comes from is named (\"pid\" with --json), of those that you may look into.\n"
        "\n"
        "Exit status: 0 no problem; 1 at least one.\n";

static const struct doctor_group *const groups[] = {&doctor_server, &doctor_tasks, &doctor_memory,
                                                    &doctor_limits, &doctor_quota, &doctor_place};

static const char *const verdicts[] = {
        [DOCTOR_OK] = "ok", [DOCTOR_NOTE] = "note", [DOCTOR_PROBLEM] = "problem"};

void doctor_say(struct doctor_finding *f, enum doctor_verdict verdict, const char *effect,
                const char *mend, const char *format, ...)
{
        va_list arguments;

        f->verdict = verdict;
        f->effect = effect;
        f->mend = mend;
        va_start(arguments, format);
        vsnprintf(f->value, sizeof f->value, format, arguments);
        va_end(arguments);
}

bool doctor_read(const char *path, char *ret, size_t size)
{
        FILE *f = fopen(path, "re");
        bool ok = f && fgets(ret, (int)size, f);

        if (!ok)
                ret[0] = 0;
        ret[strcspn(ret, "\n")] = 0;
        if (f)
                fclose(f);
        return ok;
}

uint64_t doctor_read_number(const char *path, uint64_t otherwise)
{
        char text[64];
        uint64_t n;

        if (!doctor_read(path, text, sizeof text))
                return otherwise;
        if (!strcmp(text, "max"))
                return UINT64_MAX;
        return cmd_number(text, 0, UINT64_MAX, &n) ? n : otherwise;
}

/* This process's group: "0::PATH" of version 2, "N:CONTROLLERS:PATH" of version 1. */
static bool find_group(const char *controller, char *ret, size_t size)
{
        FILE *f = fopen("/proc/self/cgroup", "re");
        char line[512];
        bool is_found = false;

        while (f && !is_found && fgets(line, sizeof line, f)) {
                char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;

                if (!path)
                        continue;
                *path++ = 0;
                names++;
                path[strcspn(path, "\n")] = 0;
                is_found = controller ? strstr(names, controller) != NULL : !names[0];
                if (is_found)
                        snprintf(ret, size, "%s", strcmp(path, "/") ? path : "");
        }
        if (f)
                fclose(f);
        return is_found;
}

/* From the group upwards: in a container the path may not be there, but the top is. */
static bool read_upwards(const char *top, char *group, const char *file, char *ret, size_t size)
{
        char path[PATH_MAX];

        for (;;) {
                char *slash = strrchr(group, '/');

                snprintf(path, sizeof path, "%s%s/%s", top, group, file);
                if (doctor_read(path, ret, size))
                        return true;
                if (!slash)
                        return false;
                *slash = 0;
        }
}

bool doctor_read_cgroup(const char *file, const char *controller, const char *file_v1, char *ret,
                        size_t size)
{
        char group[512], top[64];

        if (find_group(NULL, group, sizeof group) &&
            read_upwards("/sys/fs/cgroup", group, file, ret, size))
                return true;
        snprintf(top, sizeof top, "/sys/fs/cgroup/%s", controller);
        return find_group(controller, group, sizeof group) &&
               read_upwards(top, group, file_v1, ret, size);
}

static void print_json(const struct doctor_group *group, const struct doctor_check *check,
                       const struct doctor_finding *f)
{
        struct json j;

        json_begin(&j, stdout);
        json_string(&j, "group", group->title);
        json_string(&j, "check", check->key);
        json_string(&j, "what", check->what);
        json_string(&j, "value", f->value);
        json_string(&j, "verdict", verdicts[f->verdict]);
        json_string(&j, "effect", f->effect);
        json_string(&j, "mend", f->mend);
        if (f->pid)
                json_i64(&j, "pid", f->pid);
        json_end(&j);
}

static void print_row(const struct paint *p, const struct doctor_check *check,
                      const struct doctor_finding *f)
{
        const char *const colours[] = {p->green, p->yellow, p->red};

        printf("  %s%-7s%s  %-26s  ", colours[f->verdict], verdicts[f->verdict], p->off,
               check->what);
        text_escaped(stdout, f->value, strlen(f->value));
        putchar('\n');
        if (f->verdict == DOCTOR_OK)
                return;
        if (f->effect)
                printf("%s%39s%s%s\n", p->dim, "", f->effect, p->off);
        if (f->mend)
                printf("%39s%s\n", "", f->mend);
}

static void print_summary(const struct paint *p, const size_t *counts)
{
        if (counts[DOCTOR_PROBLEM])
                printf("\n%s%zu problem%s%s, ", p->red, counts[DOCTOR_PROBLEM],
                       counts[DOCTOR_PROBLEM] == 1 ? "" : "s", p->off);
        else
                printf("\n%sNo problems%s, ", p->green, p->off);
        printf("%zu note%s, %zu ok.\n", counts[DOCTOR_NOTE], counts[DOCTOR_NOTE] == 1 ? "" : "s",
               counts[DOCTOR_OK]);
}

static void look(const struct doctor_group *group, bool is_json, const struct paint *p,
                 size_t *counts)
{
        if (!is_json)
                printf("%s%s%s\n", p->bold, group->title, p->off);
        for (size_t i = 0; i < group->count; i++) {
                struct doctor_finding f = {0};

                group->checks[i].look(&f);
                counts[f.verdict]++;
                if (is_json)
                        print_json(group, &group->checks[i], &f);
                else
                        print_row(p, &group->checks[i], &f);
        }
}

static int run(int argc, char **argv)
{
        static const struct option list[] = {
                {"json", no_argument, NULL, 'j'},
                {NULL,   0,           NULL, 0  }
        };
        const struct paint *p = text_paint(stdout);
        size_t counts[PTL_ARRAY_LEN(verdicts)] = {0};
        bool is_json = false;

        for (int c; (c = getopt_long(argc, argv, "", list, NULL)) != -1;) {
                if (c != 'j')
                        return cmd_usage("doctor", "it takes --json");
                is_json = true;
        }
        if (optind < argc)
                return cmd_usage("doctor", "it takes no arguments");
        for (size_t i = 0; i < PTL_ARRAY_LEN(groups); i++)
                look(groups[i], is_json, p, counts);
        if (!is_json)
                print_summary(p, counts);
        return counts[DOCTOR_PROBLEM] ? CMD_FAILED : CMD_OK;
}

const struct command cmd_doctor = {"doctor", "what limits communication here, and how to mend it",
                                   help, run};
