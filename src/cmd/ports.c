/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/ports.c - portolan ports PID: what a running, stopped or stuck task has */
#include "base/cleanup.h"
#include "cmd/cmd.h"
#include "cmd/json.h"
#include "cmd/ports_quota.h"
#include "cmd/process.h"
#include "cmd/text.h"
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
        "portolan ports PID [--json] - the ports, peers and counters of a running process\n"
        "\n"
        "Examples:\n"
        "  portolan ls tasks           which processes there are\n"
        "  portolan ports 1234         ports with rights and depths; peers with the lies they "
        "told\n"
        "  portolan ports 1234 --json | jq 'select(.is == \"peer\" and .lies > 0)'\n"
        "\n"
        "It works while the process is stopped (SIGSTOP, a debugger) or stuck in its own code: the "
        "figures\n"
        "are what it last wrote about itself, and how long ago is said. They are its own word; pid "
        "and\n"
        "user come from the kernel. Yours only, unless you are root or run the name server.\n"
        "\n"
        "  RIGHTS   R receive, S send, O send-once, P port set, D dead name; with the number of "
        "references\n"
        "  QUEUED   messages that wait in the process, and how many may\n"
        "  FLIGHT   messages sent that their receiver has not taken, and how many may be under "
        "way\n"
        "  UNREAD   bytes in the ring that the peer has not read\n"
        "  LIES     frames and packets of the peer that were refused\n"
        "  REFUSED  limits that were reached (docs/limits.md): by whom, how often, and how long ago\n"
        "\n"
        "Exit status: 0 shown; 1 no such task, or not permitted, or its figures cannot be read; 4 "
        "no name\n"
        "server.\n";

static const char *const ways[] = {"adaptive", "spin", "block", "memory"};
static const char *const link_states[] = {"introduced", "open", "dead"};
static const char *const peer_waits[] = {"not known", "awake", "asleep"};

static const char *why_no_figures(uint32_t board)
{
        switch ((enum ptl_view_board)board) {
        case PTL_BOARD_NONE:
                return "it keeps no figures: it had no memory for them, or has just come";
        case PTL_BOARD_VERSION:
                return "its figures are of another version of the library";
        case PTL_BOARD_MALFORMED:
                return "its figures are none that a correct program writes";
        case PTL_BOARD_WHOLE:
        case PTL_BOARD_TORN:
        case PTL_BOARD_UNSTEADY:
                break;
        }
        return NULL;
}

static const char *board_name(uint32_t board)
{
        static const char *const names[] = {"whole",    "none",    "torn",
                                            "unsteady", "version", "malformed"};

        return board < PTL_ARRAY_LEN(names) ? names[board] : "?";
}

/* What the process does, as far as it can be known from here. */
static const char *doing(const struct ptl_task_view *v)
{
        const char *seen = process_state(&v->identity);

        if (seen && strcmp(seen, "running") && strcmp(seen, "sleeping"))
                return seen; /* stopped, and so on: whatever it did before */
        if (v->is_asleep)
                return "asleep in the library";
        if (v->waiting)
                return "in the library";
        return "in its own code";
}

/* ---- JSON ---- */

static void task_json(const struct ptl_task_view *v)
{
        const struct ptl_task_statistics *s = &v->statistics;
        struct json j;

        json_begin(&j, stdout);
        json_string(&j, "is", "task");
        json_i64(&j, "pid", v->identity.pid);
        json_u64(&j, "uid", v->identity.uid);
        json_bytes(&j, "command", v->command, strnlen(v->command, sizeof v->command));
        json_string(&j, "figures", board_name(v->board));
        json_string(&j, "process", process_state(&v->identity));
        json_u64(&j, "published", v->names);
        json_u64(&j, "watches", v->watches);
        json_u64(&j, "look_ups", v->look_ups);
        json_u64(&j, "server_descriptors", v->descriptors);
        json_u64(&j, "server_output_bytes", v->output_bytes);
        if (!why_no_figures(v->board)) {
                json_string(&j, "state", doing(v));
                json_string(&j, "wait", ways[v->how]);
                json_u64(&j, "age_ms", v->age_ns / 1000000);
                json_u64(&j, "waiting", v->waiting);
                json_u64(&j, "traced", v->traced);
                json_u64(&j, "sent", s->sent);
                json_u64(&j, "received", s->received);
                json_u64(&j, "sent_bytes", s->sent_bytes);
                json_u64(&j, "received_bytes", s->received_bytes);
                json_u64(&j, "bells_rung", s->bells_rung);
                json_u64(&j, "sleeps", s->sleeps);
                json_u64(&j, "polls_won", s->polls_won);
                json_u64(&j, "waits_full", s->waits_full);
                json_u64(&j, "rings_grown", s->rings_grown);
                json_u64(&j, "links_made", s->links_made);
                json_u64(&j, "links_dead", s->links_dead);
                json_u64(&j, "lies", s->lies);
                json_u64(&j, "destroyed", s->destroyed);
                json_u64(&j, "links", s->links);
                json_u64(&j, "names", s->names);
                json_u64(&j, "link_bytes", s->link_bytes);
                json_u64(&j, "ports_not_shown", v->ports_missing);
                json_u64(&j, "peers_not_shown", v->peers_missing);
        }
        json_end(&j);
}

static void rights_text(char ret[8], uint32_t rights)
{
        static const char letters[] = "RSOPD"; /* in the order of enum ptl_right */
        size_t n = 0;

        for (size_t i = 0; letters[i]; i++)
                if (rights & 1u << i)
                        ret[n++] = letters[i];
        ret[n] = 0;
}

static void port_json(const struct ptl_task_view *v, const struct ptl_port_view *p)
{
        char rights[8];
        struct json j;

        rights_text(rights, p->rights);
        json_begin(&j, stdout);
        json_string(&j, "is", "port");
        json_i64(&j, "pid", v->identity.pid);
        json_u64(&j, "port", p->name);
        json_string(&j, "rights", rights);
        json_u64(&j, "references", p->references);
        if (p->rights & PTL_RIGHT_RECEIVE) {
                json_u64(&j, "queued", p->queued);
                json_u64(&j, "limit_messages", p->limit_messages);
                json_u64(&j, "limit_bytes", p->limit_bytes);
                json_u64(&j, "received", p->received);
                json_u64(&j, "set", p->set);
                json_string(&j, "published", p->is_published ? p->published : NULL);
        } else if (p->peer_pid) {
                json_i64(&j, "peer_pid", p->peer_pid);
                json_u64(&j, "in_flight", p->in_flight);
                json_u64(&j, "window", p->window);
                json_u64(&j, "in_flight_bytes", (uint64_t)p->in_flight_units * 64);
                json_u64(&j, "window_bytes", (uint64_t)p->window_units * 64);
        }
        json_end(&j);
}

static void peer_json(const struct ptl_task_view *v, const struct ptl_peer_view *p)
{
        struct json j;

        json_begin(&j, stdout);
        json_string(&j, "is", "peer");
        json_i64(&j, "pid", v->identity.pid);
        json_i64(&j, "peer_pid", p->peer.pid);
        json_u64(&j, "peer_uid", p->peer.uid);
        json_string(&j, "link", link_states[p->state]);
        json_string(&j, "peer_is", peer_waits[p->waits]);
        json_u64(&j, "sent", p->sent);
        json_u64(&j, "received", p->received);
        json_u64(&j, "lies", p->lies);
        json_u64(&j, "unread_bytes", p->ring_used);
        json_u64(&j, "ring_bytes", p->ring_bytes);
        json_u64(&j, "pool_bytes", p->pool_bytes);
        json_bool(&j, "has_input", p->has_input);
        json_string(&j, "held_back_for", ptl_quota_name(p->restrained));
        json_string(&j, "holds_back_for", ptl_quota_name(p->restrains));
        json_u64(&j, "rights_granted", p->rights_granted);
        json_u64(&j, "rights_held", p->rights_held);
        json_u64(&j, "descriptors_under_way", p->descriptors);
        json_u64(&j, "bells_rung", p->bells_rung);
        json_u64(&j, "bells_heard", p->bells_heard);
        json_u64(&j, "distance_ns", p->distance_ns);
        json_end(&j);
}

static void print_json(const struct ptl_task_view *v)
{
        task_json(v);
        for (uint32_t i = 0; i < v->n_ports; i++)
                port_json(v, v->ports + i);
        for (uint32_t i = 0; i < v->n_peers; i++)
                peer_json(v, v->peers + i);
        ports_quota_json(v);
}

/* ---- for people ---- */

static void print_task(const struct ptl_task_view *v)
{
        const struct ptl_task_statistics *s = &v->statistics;
        char text[24];

        printf("Task %d \"", v->identity.pid);
        text_escaped(stdout, v->command, strnlen(v->command, sizeof v->command));
        printf("\", uid %u: ", v->identity.uid);
        if (why_no_figures(v->board)) {
                printf("%s\n", why_no_figures(v->board));
                return;
        }
        printf("%s (waits: %s), as of %s ago\n", doing(v), ways[v->how],
               text_span(text, v->age_ns));
        if (v->board != PTL_BOARD_WHOLE)
                printf("It was %s while it wrote: the figures may be of different times.\n",
                       v->board == PTL_BOARD_TORN ? "stopped" : "watched");
        printf("%" PRIu64 " messages sent, %" PRIu64 " received, %" PRIu64 " destroyed; %" PRIu64
               " sleeps, %" PRIu64 " waits for room; %" PRIu64 " lies told by peers\n",
               s->sent, s->received, s->destroyed, s->sleeps, s->waits_full, s->lies);
}

static void port_row(struct table *t, const struct ptl_port_view *p)
{
        char rights[8];

        rights_text(rights, p->rights);
        table_add(t, "%" PRIx32, p->name);
        table_add(t, "%s %" PRIu32, rights, p->references);
        if (p->rights & PTL_RIGHT_RECEIVE)
                table_add(t, "%" PRIu32 "/%" PRIu32, p->queued, p->limit_messages);
        else
                table_add(t, "%s", "");
        if (p->peer_pid && p->window)
                table_add(t, "%" PRIu32 "/%" PRIu32, p->in_flight, p->window);
        else
                table_add(t, "%s", "");
        if (p->peer_pid)
                table_add(t, "%" PRId32, p->peer_pid);
        else
                table_add(t, "%s", "");
        if (p->set)
                table_add(t, "%" PRIx32, p->set);
        else
                table_add(t, "%s", "");
        table_add_text(t, p->is_published && !p->published[0] ? "(published)" : p->published);
}

static void print_ports(const struct ptl_task_view *v)
{
        static const char *const columns[] = {"PORT",   "RIGHTS", "QUEUED",    "FLIGHT",
                                              "OF PID", "SET",    "PUBLISHED", NULL};
        struct table t = {0};

        putchar('\n');
        if (!v->n_ports)
                puts("It has no ports.");
        table_head(&t, columns);
        for (uint32_t i = 0; i < v->n_ports; i++)
                port_row(&t, v->ports + i);
        if (v->n_ports)
                table_print(&t, stdout, 1 << 0 | 1 << 2 | 1 << 3 | 1 << 4);
        table_free(&t);
        if (v->ports_missing)
                printf("... and %" PRIu32 " more; those with messages come first.\n",
                       v->ports_missing);
}

static void peer_row(struct table *t, const struct ptl_peer_view *p)
{
        char text[24];

        table_add(t, "%" PRId32, p->peer.pid);
        table_add(t, "%" PRIu32, p->peer.uid);
        table_add(t, "%s", link_states[p->state]);
        table_add(t, "%s", p->restrained ? "held back" : peer_waits[p->waits]);
        table_add(t, "%" PRIu64, p->sent);
        table_add(t, "%" PRIu64, p->received);
        table_add(t, "%s", text_size(text, p->ring_used));
        table_add(t, "%s", p->has_input ? "yes" : "");
        table_add(t, "%" PRIu64, p->lies);
}

static void print_peers(const struct ptl_task_view *v)
{
        static const char *const columns[] = {"PEER",     "UID",    "LINK",  "IS",   "SENT",
                                              "RECEIVED", "UNREAD", "INPUT", "LIES", NULL};
        struct table t = {0};

        putchar('\n');
        if (!v->n_peers)
                puts("It is linked with nobody.");
        table_head(&t, columns);
        for (uint32_t i = 0; i < v->n_peers; i++)
                peer_row(&t, v->peers + i);
        if (v->n_peers)
                table_print(&t, stdout, 1 << 0 | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8);
        table_free(&t);
        if (v->peers_missing)
                printf("... and %" PRIu32 " more; those that lied come first.\n", v->peers_missing);
}

static void print_tables(const struct ptl_task_view *v)
{
        print_task(v);
        if (why_no_figures(v->board))
                return;
        print_ports(v);
        print_peers(v);
        ports_quota_print(v);
}

static int show(int32_t pid, bool is_json)
{
        ptl_cleanup(ptl_freep) struct ptl_task_view *v = NULL;
        int r = ptl_task_inspect(pid, &v);

        if (r)
                return process_failed(r, pid, "look into");
        if (is_json)
                print_json(v);
        else
                print_tables(v);
        return why_no_figures(v->board) ? CMD_FAILED : CMD_OK;
}

static int run(int argc, char **argv)
{
        static const struct option list[] = {
                {"json", no_argument, NULL, 'j'},
                {NULL,   0,           NULL, 0  }
        };
        bool is_json = false;
        uint64_t pid;

        for (int c; (c = getopt_long(argc, argv, "", list, NULL)) != -1;) {
                if (c != 'j')
                        return cmd_usage("ports", "whose ports is not clear");
                is_json = true;
        }
        if (argc - optind != 1)
                return cmd_usage("ports", "it needs one PID ('portolan ls tasks' lists them)");
        if (!cmd_number(argv[optind], 1, INT32_MAX, &pid))
                return cmd_usage("ports", "'%s' is no PID", argv[optind]);
        return show((int32_t)pid, is_json);
}

const struct command cmd_ports = {
        "ports", "show a process's ports, peers and counters, even if it is stuck", help, run};
