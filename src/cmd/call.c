/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/call.c - portolan call: a request to a port by name, and its reply */
#include "cmd/cmd.h"
#include "cmd/input.h"
#include "cmd/json.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
        "portolan call NAME [TEXT|-] - send a request and print its reply\n"
        "\n"
        "Examples:\n"
        "  portolan echo mirror &                    a server to try it with\n"
        "  portolan call mirror \"who is there?\"      prints the reply's bytes and a newline\n"
        "  portolan call db - < query > answer       request and reply of any size\n"
        "  portolan call mirror hi --timeout 50      or status 3 after 50 ms\n"
        "\n"
        "Options:\n"
        "  --timeout MS  for finding, asking and being answered together, in ms or 'forever';\n"
        "                without: 10 s, and NAME must be there at once\n"
        "  --kind N      the kind that the server sees, 0 to 0x7fffffff (0)\n"
        "  --raw         no newline after a reply that has none\n"
        "  --json        one object: pid and uid of who answered, kind, size, microseconds, text\n"
        "\n"
        "Exit status: 0 it was answered; 1 no such name, the server died or dropped the request;\n"
        "3 the time passed (the request may have been carried out); 4 no name server.\n";

struct call {
        const char *name;
        ptl_port port;
        uint64_t kind;
        ptl_time look_up, deadline;
        bool is_raw, is_json;
};

static void print_json(const struct ptl_message *reply, ptl_time took)
{
        struct json j;

        json_begin(&j, stdout);
        json_i64(&j, "pid", reply->sender->pid);
        json_u64(&j, "uid", reply->sender->uid);
        json_u64(&j, "kind", reply->kind);
        json_u64(&j, "size", reply->size);
        json_f64(&j, "microseconds", (double)took / 1e3, 1);
        json_bytes(&j, "text", reply->data, reply->size);
        json_end(&j);
}

static void print_reply(const struct call *c, const struct ptl_message *reply, ptl_time took)
{
        const char *text = reply->data;

        if (c->is_json) {
                print_json(reply, took);
                return;
        }
        fwrite(text, 1, reply->size, stdout);
        if (!c->is_raw && (reply->size == 0 || text[reply->size - 1] != '\n'))
                putchar('\n');
}

static int call(const void *data, size_t size, void *context)
{
        const struct call *c = context;
        struct ptl_outgoing out = {.data = data, .size = size, .kind = (uint32_t)c->kind};
        struct ptl_message reply;
        ptl_time begun = ptl_now();
        int r = ptl_call_message(c->port, &out, &reply, 0, c->deadline);

        if (r)
                return cmd_failed(r, "call \"%s\"", c->name);
        print_reply(c, &reply, ptl_now() - begun);
        ptl_message_release(&reply);
        return CMD_OK;
}

static int options(int argc, char **argv, struct call *c)
{
        static const struct option list[] = {
                {"timeout", required_argument, NULL, 't'},
                {"kind",    required_argument, NULL, 'k'},
                {"raw",     no_argument,       NULL, 'r'},
                {"json",    no_argument,       NULL, 'j'},
                {NULL,      0,                 NULL, 0  }
        };
        for (int o; (o = getopt_long(argc, argv, "t:k:", list, NULL)) != -1;) {
                if (o == 'r')
                        c->is_raw = true;
                else if (o == 'j')
                        c->is_json = true;
                else if (o == 'k' && cmd_option("call", "--kind", optarg, 0, 0x7fffffff, &c->kind))
                        continue;
                else if (o == 't' && cmd_deadline("call", "--timeout", optarg, &c->deadline))
                        c->look_up = c->deadline;
                else
                        return o == '?' ? cmd_usage("call", "what to do is not clear") : CMD_USAGE;
        }
        if (optind == argc || argc - optind > 2)
                return cmd_usage("call", "it needs a NAME, and at most one TEXT");
        c->name = argv[optind++];
        return CMD_OK;
}

static int run(int argc, char **argv)
{
        struct call c = {.look_up = PTL_NOW, .deadline = ptl_after_ms(10000)};
        int status = options(argc, argv, &c), r;

        if (status)
                return status;
        r = ptl_name_look_up(c.name, &c.port, c.look_up);
        if (r)
                return cmd_failed(r, "find \"%s\"", c.name);
        if (optind == argc || !strcmp(argv[optind], "-"))
                return input_whole(call, &c);
        return call(argv[optind], strlen(argv[optind]), &c);
}

const struct command cmd_call = {"call", "send a request and print its reply", help, run};
