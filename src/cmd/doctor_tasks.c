/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/doctor_tasks.c - portolan doctor: which limits of the server and of tasks are hit, and by
 * whom */
#include "base/cleanup.h"
#include "cmd/doctor.h"
#include "cmd/process.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
        VIEWS = 256, /* tasks that are looked into */
        NEAR = 80,   /* percent from which on a limit is near */
        OUTPUT_DESCRIPTORS =
                32, /* that wait for a task: from there on the server does not read its requests */
        LINK_DESCRIPTORS = 32, /* that a link may have under way */
};

/* Taken once, by the first check. */
static struct {
        bool is_taken, has_server;
        struct ptl_server_status status;
        struct ptl_task_entry *tasks;
        size_t n_tasks;
        struct ptl_task_view *views[VIEWS];
        size_t n_views;
} seen;

static const struct ptl_task_view *view_of(int32_t pid)
{
        for (size_t i = 0; i < seen.n_views; i++)
                if (seen.views[i]->identity.pid == pid)
                        return seen.views[i];
        return NULL;
}

static void look_into(void)
{
        for (size_t i = 0; i < seen.n_tasks && seen.n_views < VIEWS; i++) {
                int32_t pid = seen.tasks[i].identity.pid;

                if (pid > 0 && !view_of(pid) && !ptl_task_inspect(pid, &seen.views[seen.n_views]))
                        seen.n_views++;
        }
}

/* Only where a server answers: none is started by looking. */
static bool take(struct doctor_finding *f)
{
        if (!seen.is_taken) {
                seen.is_taken = true;
                seen.has_server = doctor_server_listens() && !ptl_server_get_status(&seen.status) &&
                                  !ptl_server_list_tasks(&seen.tasks, &seen.n_tasks);
                if (seen.has_server)
                        look_into();
        }
        if (!seen.has_server)
                doctor_say(f, DOCTOR_OK, NULL, NULL, "no server was asked");
        return seen.has_server;
}

static enum doctor_verdict judge(uint64_t n, uint64_t most)
{
        if (n >= most)
                return DOCTOR_PROBLEM;
        return n * 100 >= most * NEAR ? DOCTOR_NOTE : DOCTOR_OK;
}

/* The command of a process, if it is known; it may hold anything, and is printed escaped. */
static const char *command_of(int32_t pid)
{
        static char text[17];

        text[0] = 0;
        for (size_t i = 0; i < seen.n_tasks; i++)
                if (seen.tasks[i].identity.pid == pid)
                        snprintf(text, sizeof text, "%.*s", (int)sizeof seen.tasks[i].command,
                                 seen.tasks[i].command);
        return text;
}

/* ---- limits of the server ---- */

static bool is_alike(const struct ptl_task_entry *a, const struct ptl_task_entry *b)
{
        return a->identity.uid == b->identity.uid &&
               !memcmp(a->command, b->command, sizeof a->command);
}

/* Of the programs by user, the one with the most tasks. */
static const struct ptl_task_entry *find_most_alike(size_t *ret_count)
{
        const struct ptl_task_entry *most = NULL;

        *ret_count = 0;
        for (size_t i = 0; i < seen.n_tasks; i++) {
                size_t n = 0;

                for (size_t k = i; k < seen.n_tasks; k++)
                        n += is_alike(&seen.tasks[i], &seen.tasks[k]);
                if (n > *ret_count) {
                        *ret_count = n;
                        most = &seen.tasks[i];
                }
        }
        return most;
}

static void look_tasks(struct doctor_finding *f)
{
        const struct ptl_task_entry *most;
        enum doctor_verdict verdict;
        size_t n;

        if (!take(f))
                return;
        most = find_most_alike(&n);
        verdict = judge(seen.status.tasks, seen.status.tasks_max);
        if (verdict == DOCTOR_OK || !most) {
                doctor_say(f, verdict, NULL, NULL, "%" PRIu32 " of %" PRIu32, seen.status.tasks,
                           seen.status.tasks_max);
                return;
        }
        f->pid = most->identity.pid;
        doctor_say(f, verdict, "beyond it processes cannot connect (PTL_E_QUOTA)",
                   "End some, or start portoland with a larger PORTOLAND_MAX_TASKS.",
                   "%" PRIu32 " of %" PRIu32 "; %zu are \"%.15s\" of uid %" PRIu32
                   ", as pid %" PRId32,
                   seen.status.tasks, seen.status.tasks_max, n, most->command, most->identity.uid,
                   f->pid);
}

/* The task with the most of something, of which the server lets each have so many. */
static void look_most(struct doctor_finding *f, uint32_t (*count)(const struct ptl_task_view *v),
                      uint32_t most, const char *effect, const char *mend)
{
        const struct ptl_task_view *worst = NULL;

        for (size_t i = 0; i < seen.n_views; i++)
                if (!worst || count(seen.views[i]) > count(worst))
                        worst = seen.views[i];
        if (!worst || judge(count(worst), most) == DOCTOR_OK) {
                doctor_say(f, DOCTOR_OK, NULL, NULL, "at most %" PRIu32 " of %" PRIu32,
                           worst ? count(worst) : 0, most);
                return;
        }
        f->pid = worst->identity.pid;
        doctor_say(f, judge(count(worst), most), effect, mend,
                   "pid %" PRId32 " (\"%.15s\") has %" PRIu32 " of %" PRIu32, f->pid,
                   worst->command, count(worst), most);
}

static uint32_t count_names(const struct ptl_task_view *v) { return v->names; }
static uint32_t count_look_ups(const struct ptl_task_view *v) { return v->look_ups; }

static void look_names(struct doctor_finding *f)
{
        if (take(f))
                look_most(f, count_names, seen.status.names_max,
                          "beyond it that task cannot publish (PTL_E_QUOTA)",
                          "Withdraw names, or start portoland with a larger PORTOLAND_MAX_NAMES.");
}

static void look_look_ups(struct doctor_finding *f)
{
        if (take(f))
                look_most(f, count_look_ups, seen.status.look_ups_max,
                          "beyond it that task cannot wait for names (PTL_E_QUOTA)",
                          "Start what it waits for, or portoland with a larger "
                          "PORTOLAND_MAX_LOOKUPS.");
}

static void look_descriptors(struct doctor_finding *f)
{
        const struct ptl_task_view *worst = NULL;
        enum doctor_verdict verdict;

        if (!take(f))
                return;
        /* The last few go to whoever connects next. */
        verdict = judge((uint64_t)seen.status.descriptors + 4, seen.status.descriptors_max);
        for (size_t i = 0; i < seen.n_views; i++)
                if (!worst || seen.views[i]->descriptors > worst->descriptors)
                        worst = seen.views[i];
        if (verdict == DOCTOR_OK || !worst) {
                doctor_say(f, verdict, NULL, NULL, "about %" PRIu32 " of %" PRIu32,
                           seen.status.descriptors, seen.status.descriptors_max);
                return;
        }
        f->pid = worst->identity.pid;
        doctor_say(f, verdict, "beyond it nobody can connect, and links cannot be made (-EMFILE)",
                   "Raise RLIMIT_NOFILE of portoland (LimitNOFILE= in its unit).",
                   "about %" PRIu32 " of %" PRIu32 "; most, %" PRIu32 ", for pid %" PRId32
                   " (\"%.15s\")",
                   seen.status.descriptors, seen.status.descriptors_max, worst->descriptors, f->pid,
                   worst->command);
}

static void look_output(struct doctor_finding *f)
{
        const struct ptl_task_view *worst = NULL;

        if (!take(f))
                return;
        for (size_t i = 0; i < seen.n_views; i++)
                if (seen.views[i]->output_bytes &&
                    (!worst || seen.views[i]->output_bytes > worst->output_bytes))
                        worst = seen.views[i];
        if (!worst) {
                doctor_say(f, DOCTOR_OK, NULL, NULL, "all take what the server tells them");
                return;
        }
        f->pid = worst->identity.pid;
        doctor_say(f,
                   worst->output_descriptors >= OUTPUT_DESCRIPTORS ? DOCTOR_PROBLEM : DOCTOR_NOTE,
                   "who wants to be linked with it has to wait, or is refused (PTL_E_QUOTA)",
                   "It is stopped, or has not called the library for long: end it, or let it run.",
                   "pid %" PRId32 " (\"%.15s\") does not: %" PRIu32 " bytes and %" PRIu32
                   " descriptors wait",
                   f->pid, worst->command, worst->output_bytes, worst->output_descriptors);
}

/* ---- limits between tasks ---- */

/* A port whose messages are not taken; whose fault it is, and who finds it full. */
struct full {
        int32_t culprit, finder;
        uint32_t n, of;
        const char *name;
        size_t count; /* of such ports */
};

static void add_full(struct full *full, int32_t culprit, int32_t finder, uint32_t n, uint32_t of,
                     const char *name)
{
        if (!full->count++ || n > full->n)
                *full = (struct full){culprit, finder, n, of, name, full->count};
}

static struct full find_full(void)
{
        struct full full = {.count = 0};

        for (size_t i = 0; i < seen.n_views; i++) {
                const struct ptl_task_view *v = seen.views[i];

                for (uint32_t k = 0; k < v->n_ports; k++) {
                        const struct ptl_port_view *p = &v->ports[k];

                        if (p->rights & PTL_RIGHT_RECEIVE && p->limit_messages &&
                            p->queued >= p->limit_messages)
                                add_full(&full, v->identity.pid, 0, p->queued, p->limit_messages,
                                         p->published);
                        else if (p->peer_pid && p->window &&
                                 (p->in_flight >= p->window ||
                                  (p->in_flight_units && p->in_flight_units >= p->window_units)))
                                add_full(&full, p->peer_pid, v->identity.pid, p->in_flight,
                                         p->window, "");
                }
        }
        return full;
}

static void look_queues(struct doctor_finding *f)
{
        const struct ptl_task_view *v;
        const char *state;
        struct full full;
        char finder[48] = "";

        if (!take(f))
                return;
        full = find_full();
        if (!full.count) {
                doctor_say(f, DOCTOR_OK, NULL, NULL, "none is full");
                return;
        }
        f->pid = full.culprit;
        v = view_of(full.culprit);
        state = v ? process_state(&v->identity) : NULL;
        if (full.finder)
                snprintf(finder, sizeof finder, ", sent by pid %" PRId32, full.finder);
        doctor_say(f, state && !strncmp(state, "stopped", 7) ? DOCTOR_PROBLEM : DOCTOR_NOTE,
                   "senders to it wait, or are told PTL_E_FULL",
                   "'portolan ports PID' shows what it does. It is to receive faster, or to run at "
                   "all.",
                   "pid %" PRId32 " (\"%.15s\"%s%s) does not take %" PRIu32 " of %" PRIu32
                   " messages%s%s%.31s; full queues in all: %zu",
                   f->pid, command_of(f->pid), state ? ", " : "", state ? state : "", full.n,
                   full.of, finder, full.name[0] ? " of " : "", full.name, full.count);
}

/* A peer of some task by some figure of their link: the one with the most. */
struct link {
        const struct ptl_task_view *task;
        const struct ptl_peer_view *peer;
};

static struct link find_link(uint64_t (*figure)(const struct ptl_peer_view *p))
{
        struct link most = {NULL, NULL};

        for (size_t i = 0; i < seen.n_views; i++)
                for (uint32_t k = 0; k < seen.views[i]->n_peers; k++) {
                        const struct ptl_peer_view *p = &seen.views[i]->peers[k];

                        if (figure(p) && (!most.peer || figure(p) > figure(most.peer)))
                                most = (struct link){seen.views[i], p};
                }
        return most;
}

static uint64_t figure_lies(const struct ptl_peer_view *p) { return p->lies; }
static uint64_t figure_descriptors(const struct ptl_peer_view *p)
{
        return p->state != 2 && p->descriptors >= LINK_DESCRIPTORS ? p->descriptors : 0;
}

static void look_lies(struct doctor_finding *f)
{
        struct link l;

        if (!take(f))
                return;
        l = find_link(figure_lies);
        if (!l.peer) {
                doctor_say(f, DOCTOR_OK, NULL, NULL, "no task was told any");
                return;
        }
        f->pid = l.peer->peer.pid;
        doctor_say(f, DOCTOR_NOTE,
                   "what it said was refused and its link ended; others are not harmed",
                   "It is broken, of another version, or hostile: look at what that program is.",
                   "pid %" PRId32 " (\"%.15s\", uid %" PRIu32 ") told %" PRIu64 " to pid %" PRId32,
                   f->pid, command_of(f->pid), l.peer->peer.uid, l.peer->lies,
                   l.task->identity.pid);
}

/* The latest refusal of each task; of these the one that was refused most often. */
static void look_refusals(struct doctor_finding *f)
{
        const struct ptl_quota_refusal *most = NULL;
        const struct ptl_task_view *by = NULL;

        if (!take(f))
                return;
        for (size_t i = 0; i < seen.n_views; i++)
                for (uint32_t k = 0; k < seen.views[i]->n_refusals; k++) {
                        const struct ptl_quota_refusal *r = &seen.views[i]->refusals[k];

                        if (r->is_ours && (!most || r->count > most->count)) {
                                most = r;
                                by = seen.views[i];
                        }
                }
        if (!most) {
                doctor_say(f, DOCTOR_OK, NULL, NULL, "nobody has reached any");
                return;
        }
        f->pid = most->pid;
        doctor_say(f, DOCTOR_NOTE, "what is refused waits, or is a dead name; nothing that was sent is lost",
                   "'portolan ports PID' of the one that refuses shows all. docs/limits.md says how to raise one.",
                   "pid %" PRId32 " (\"%.15s\", uid %" PRIu32 ") reached %s = %" PRIu64 " of pid %" PRId32 ", %" PRIu64
                   " times",
                   f->pid, command_of(f->pid), most->uid, ptl_quota_name(most->limit), most->value,
                   by->identity.pid, most->count);
}

static void look_links(struct doctor_finding *f)
{
        struct link l;

        if (!take(f))
                return;
        l = find_link(figure_descriptors);
        if (!l.peer) {
                doctor_say(f, DOCTOR_OK, NULL, NULL, "all links have room");
                return;
        }
        f->pid = l.peer->peer.pid;
        doctor_say(f, DOCTOR_NOTE, "regions and messages above 2 MiB to it wait (PTL_E_FULL)",
                   "'portolan ports PID' shows what it does. It is to receive, or to run at all.",
                   "pid %" PRId32 " (\"%.15s\") has not taken %" PRIu32 " from pid %" PRId32,
                   f->pid, command_of(f->pid), l.peer->descriptors, l.task->identity.pid);
}

static const struct doctor_check checks[] = {
        {"tasks",              "tasks",                    look_tasks      },
        {"names",              "names of a task",          look_names      },
        {"look_ups",           "look-ups that wait",       look_look_ups   },
        {"server_descriptors", "the server's descriptors", look_descriptors},
        {"server_output",      "messages of the server",   look_output     },
        {"full_queues",        "queues of ports",          look_queues     },
        {"link_descriptors",   "descriptors under way",    look_links      },
        {"refusals",           "limits between tasks",     look_refusals   },
        {"lies",               "lies",                     look_lies       },
};

const struct doctor_group doctor_tasks = {"Tasks", checks, PTL_ARRAY_LEN(checks)};
