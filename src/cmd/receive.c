/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/receive.c - portolan receive: publish a name and print what is sent to it */
#include "base/cleanup.h"
#include "cmd/cmd.h"
#include "cmd/json.h"
#include "cmd/text.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
        "portolan receive NAME - publish NAME and print the messages that come\n"
        "\n"
        "Examples:\n"
        "  portolan receive box                     until interrupted\n"
        "  portolan receive box --count 1 --raw     the bytes of one message, nothing else\n"
        "  portolan receive box --json | jq .text   for programs\n"
        "  portolan receive box --timeout 1000      until a second passes without a message\n"
        "\n"
        "Each line tells the sender's process and user, as the kernel attests them, and the kind "
        "if\n"
        "there is one; then the bytes, with what could command the terminal escaped (\\n, \\x1b).\n"
        "\n"
        "Options:\n"
        "  --count N      end after N messages\n"
        "  --timeout MS   end, with status 3, when so long no message came ('forever')\n"
        "  --limit N      how many messages may queue before senders wait, 1 to 65535 (256)\n"
        "  --hex          the bytes in hexadecimal\n"
        "  --raw          only the bytes, as they are\n"
        "  --json         one object a message: pid, uid, gid, kind, size, wants_reply, text or "
        "hex\n"
        "\n"
        "Exit status: 0 N messages came; 1 another process has the name; 3 the time passed;\n"
        "4 no name server.\n";

struct receive {
        const char *name;
        ptl_port port;
        struct ptl_port_options options;
        uint64_t count;
        int64_t timeout_ms; /* -1: none */
        bool is_hex, is_raw, is_json;
};

static void print_hex(FILE *f, const unsigned char *s, size_t size)
{
        for (size_t i = 0; i < size; i++)
                fprintf(f, "%02x", s[i]);
}

static void print_json(const struct receive *r, const struct ptl_message *m)
{
        struct json j;

        json_begin(&j, stdout);
        json_i64(&j, "pid", m->sender->pid);
        json_u64(&j, "uid", m->sender->uid);
        json_u64(&j, "gid", m->sender->gid);
        json_u64(&j, "kind", m->kind);
        json_u64(&j, "size", m->size);
        json_bool(&j, "wants_reply", m->reply != PTL_NULL);
        if (r->is_hex)
                json_hex(&j, "hex", m->data, m->size);
        else
                json_bytes(&j, "text", m->data, m->size);
        json_end(&j);
}

static void print_message(const struct receive *r, const struct ptl_message *m)
{
        if (r->is_json) {
                print_json(r, m);
                return;
        }
        if (r->is_raw) {
                fwrite(m->data, 1, m->size, stdout);
        } else {
                printf("[pid %d uid %u", m->sender->pid, m->sender->uid);
                if (m->kind)
                        printf(" kind %u", m->kind);
                printf("%s] ", m->reply ? " wants a reply" : "");
                if (r->is_hex)
                        print_hex(stdout, m->data, m->size);
                else
                        text_escaped(stdout, m->data, m->size);
                putchar('\n');
        }
        fflush(stdout);
}

static int options(int argc, char **argv, struct receive *r)
{
        static const struct option list[] = {
                {"count",   required_argument, NULL, 'n'},
                {"timeout", required_argument, NULL, 't'},
                {"limit",   required_argument, NULL, 'l'},
                {"hex",     no_argument,       NULL, 'x'},
                {"raw",     no_argument,       NULL, 'r'},
                {"json",    no_argument,       NULL, 'j'},
                {NULL,      0,                 NULL, 0  }
        };
        uint64_t n;

        for (int c; (c = getopt_long(argc, argv, "n:t:", list, NULL)) != -1;) {
                if (c == 'x')
                        r->is_hex = true;
                else if (c == 'r')
                        r->is_raw = true;
                else if (c == 'j')
                        r->is_json = true;
                else if (c == 'n' && cmd_option("receive", "--count", optarg, 1, UINT64_MAX, &n))
                        r->count = n;
                else if (c == 't' && !strcmp(optarg, "forever"))
                        r->timeout_ms = -1;
                else if (c == 't' && cmd_option("receive", "--timeout", optarg, 0, INT32_MAX, &n))
                        r->timeout_ms = (int64_t)n;
                else if (c == 'l' &&
                         cmd_option("receive", "--limit", optarg, 1, PTL_LIMIT_MESSAGES_MAX, &n))
                        r->options.limit_messages = (uint32_t)n;
                else
                        return c == '?' ? cmd_usage("receive", "what to do is not clear")
                                        : CMD_USAGE;
        }
        if (optind + 1 != argc)
                return cmd_usage("receive", "it needs one NAME");
        r->name = argv[optind];
        return CMD_OK;
}

static int receive_all(const struct receive *r)
{
        for (uint64_t i = 0; i < r->count; i++) {
                struct ptl_message m;
                int e = ptl_receive(r->port, &m,
                                    r->timeout_ms < 0 ? PTL_FOREVER : ptl_after_ms(r->timeout_ms));

                if (e)
                        return cmd_failed(e, "receive from \"%s\"", r->name);
                print_message(r, &m);
                ptl_message_release(&m);
                if (ferror(stdout))
                        return CMD_FAILED;
        }
        return CMD_OK;
}

static int run(int argc, char **argv)
{
        struct receive r = {.count = UINT64_MAX, .timeout_ms = -1};
        int status = options(argc, argv, &r), e;

        if (status)
                return status;
        e = ptl_port_new(&r.port, &r.options);
        if (e)
                return cmd_failed(e, "make a port");
        e = ptl_name_publish(r.name, r.port);
        if (e)
                return cmd_failed(e, "publish \"%s\"", r.name);
        return receive_all(&r);
}

const struct command cmd_receive = {"receive", "publish a name and print what is sent to it", help,
                                    run};
