/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/ls.c - portolan ls: names, tasks and links that the name server knows */
#include "base/cleanup.h"
#include "cmd/cmd.h"
#include "cmd/json.h"
#include "cmd/text.h"
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
        "portolan ls [names|tasks|links] - what the name server knows\n"
        "\n"
        "Examples:\n"
        "  portolan ls                 the server, and the names that are published\n"
        "  portolan ls tasks           the processes that use it\n"
        "  portolan ls links           who is linked with whom\n"
        "  portolan ls --json | jq .   for programs: one object a line\n"
        "\n"
        "Asking needs a server, so this starts yours if none is running; it leaves again by "
        "itself.\n"
        "Names and tasks of other users are listed to root and to the server's own user.\n"
        "\n"
        "Exit status: 0 listed; 4 no name server.\n";

/* What stands in one line: a JSON object or a row of a table. Each list fills both. */
struct output {
        bool is_json;
        struct table table;
};

static void json_identity(struct json *j, const struct ptl_identity *who)
{
        json_i64(j, "pid", who->pid);
        json_u64(j, "uid", who->uid);
        json_u64(j, "gid", who->gid);
}

static void end_list(struct output *o, size_t n, unsigned right, const char *none)
{
        if (n && !o->is_json)
                table_print(&o->table, stdout, right);
        else if (!o->is_json)
                puts(none);
        table_free(&o->table);
}

static void name_json(const struct ptl_name_entry *e)
{
        struct json j;

        json_begin(&j, stdout);
        json_string(&j, "name", e->name);
        json_string(&j, "is", e->kind == PTL_NAME_REGION ? "region" : "port");
        json_identity(&j, &e->owner);
        if (e->kind == PTL_NAME_REGION)
                json_u64(&j, "size", e->size);
        json_end(&j);
}

static void name_row(struct table *t, const struct ptl_name_entry *e)
{
        char size[24];

        table_add_text(t, e->name);
        table_add(t, "%s", e->kind == PTL_NAME_REGION ? "region" : "port");
        table_add(t, "%d", e->owner.pid);
        table_add(t, "%u", e->owner.uid);
        table_add(t, "%s", e->kind == PTL_NAME_REGION ? text_size(size, e->size) : "");
}

static int list_names(struct output *o)
{
        static const char *const columns[] = {"NAME", "IS", "PID", "UID", "SIZE", NULL};
        ptl_cleanup(ptl_freep) struct ptl_name_entry *names = NULL;
        size_t n;
        int r = ptl_server_list_names(&names, &n);

        if (r)
                return cmd_failed(r, "list the names");
        table_head(&o->table, columns);
        for (size_t i = 0; i < n; i++) {
                if (o->is_json)
                        name_json(names + i);
                else
                        name_row(&o->table, names + i);
        }
        end_list(o, n, 1 << 2 | 1 << 3,
                 "No names are published. 'portolan receive NAME' publishes one.");
        return CMD_OK;
}

static void task_json(const struct ptl_task_entry *e)
{
        char id[40];
        struct json j;

        snprintf(id, sizeof id, "%016" PRIx64 "%016" PRIx64, e->identity.task.high,
                 e->identity.task.low);
        json_begin(&j, stdout);
        json_identity(&j, &e->identity);
        json_bytes(&j, "command", e->command, strnlen(e->command, sizeof e->command));
        json_u64(&j, "links", e->links);
        json_u64(&j, "names", e->names);
        json_string(&j, "task", id);
        json_end(&j);
}

static void task_row(struct table *t, const struct ptl_task_entry *e)
{
        char command[sizeof e->command + 1];

        snprintf(command, sizeof command, "%.*s", (int)sizeof e->command, e->command);
        table_add(t, "%d", e->identity.pid);
        table_add(t, "%u", e->identity.uid);
        table_add(t, "%u", e->links);
        table_add(t, "%u", e->names);
        table_add_text(t, command);
}

static int list_tasks(struct output *o)
{
        static const char *const columns[] = {"PID", "UID", "LINKS", "NAMES", "COMMAND", NULL};
        ptl_cleanup(ptl_freep) struct ptl_task_entry *tasks = NULL;
        size_t n;
        int r = ptl_server_list_tasks(&tasks, &n);

        if (r)
                return cmd_failed(r, "list the tasks");
        table_head(&o->table, columns);
        for (size_t i = 0; i < n; i++) {
                if (o->is_json)
                        task_json(tasks + i);
                else
                        task_row(&o->table, tasks + i);
        }
        end_list(o, n, 0xf, "No process uses this server.");
        return CMD_OK;
}

static void link_json(const struct ptl_link_entry *e)
{
        struct json j;

        json_begin(&j, stdout);
        json_i64(&j, "a_pid", e->a.pid);
        json_u64(&j, "a_uid", e->a.uid);
        json_i64(&j, "b_pid", e->b.pid);
        json_u64(&j, "b_uid", e->b.uid);
        json_end(&j);
}

static int list_links(struct output *o)
{
        static const char *const columns[] = {"PID", "UID", "WITH PID", "UID", NULL};
        ptl_cleanup(ptl_freep) struct ptl_link_entry *links = NULL;
        size_t n;
        int r = ptl_server_list_links(&links, &n);

        if (r)
                return cmd_failed(r, "list the links");
        table_head(&o->table, columns);
        for (size_t i = 0; i < n; i++) {
                if (o->is_json) {
                        link_json(links + i);
                        continue;
                }
                table_add(&o->table, "%d", links[i].a.pid);
                table_add(&o->table, "%u", links[i].a.uid);
                table_add(&o->table, "%d", links[i].b.pid);
                table_add(&o->table, "%u", links[i].b.uid);
        }
        end_list(o, n, 0xf, "No two processes are linked.");
        return CMD_OK;
}

static int print_server(void)
{
        struct ptl_server_status s;
        char up[24];
        int r = ptl_server_get_status(&s);

        if (r)
                return cmd_failed(r, "ask the name server");
        printf("Server %.*s at %.*s: pid %d, uid %u, up %s, %u names, %u tasks\n\n",
               (int)sizeof s.version, s.version, (int)sizeof s.socket, s.socket, s.server.pid,
               s.server.uid, text_span(up, s.uptime_ns), s.names, s.tasks);
        return CMD_OK;
}

static int options(int argc, char **argv, struct output *o)
{
        static const struct option list[] = {
                {"json", no_argument, NULL, 'j'},
                {NULL,   0,           NULL, 0  }
        };

        for (int c; (c = getopt_long(argc, argv, "", list, NULL)) != -1;) {
                if (c != 'j')
                        return cmd_usage("ls", "what to list is not clear");
                o->is_json = true;
        }
        if (argc - optind > 1)
                return cmd_usage("ls", "one list at a time");
        return CMD_OK;
}

static int run(int argc, char **argv)
{
        static const struct {
                const char *what;
                int (*list)(struct output *o);
        } lists[] = {
                {"names", list_names},
                {"tasks", list_tasks},
                {"links", list_links}
        };
        struct output o = {0};
        int status = options(argc, argv, &o);
        const char *what = optind < argc ? argv[optind] : "names";

        for (size_t i = 0; status == CMD_OK && i < PTL_ARRAY_LEN(lists); i++) {
                if (strcmp(lists[i].what, what))
                        continue;
                if (!o.is_json && optind == argc)
                        status = print_server();
                return status ? status : lists[i].list(&o);
        }
        return status ? status
                      : cmd_usage("ls", "there are names, tasks and links, but no '%s'", what);
}

const struct command cmd_ls = {"ls", "list names, tasks and links", help, run};
