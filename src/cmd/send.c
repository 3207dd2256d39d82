/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/send.c - portolan send: messages from the command line or standard input to a port by name */
#include "base/cleanup.h"
#include "cmd/cmd.h"
#include "cmd/input.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
        "portolan send NAME [TEXT...|-] - send messages to the port that is published as NAME\n"
        "\n"
        "Examples:\n"
        "  portolan send box \"Hello!\"                one message\n"
        "  portolan send box one two three           three messages\n"
        "  tail -f log | portolan send box --lines - a message a line\n"
        "  portolan send box - < picture.png         the whole of standard input as one message\n"
        "  portolan send box --wait 5000 hi          wait for the name, and for room, 5 s\n"
        "\n"
        "Options:\n"
        "  --lines      with '-': each line is a message, without its newline\n"
        "  --kind N     the kind that the receiver sees, 0 to 0x7fffffff (0)\n"
        "  --wait MS    wait so long, in ms or 'forever', for NAME to appear and for room in the\n"
        "               queue. Without: not for the name, 10 s for room. 0 never waits\n"
        "  --leave      if the queue is full, leave the message with the port, and wait only to "
        "be\n"
        "               told that it was taken (a message dies with the process that left it)\n"
        "\n"
        "Exit status: 0 all messages are with the receiver; 1 no such name, a dead port, a full "
        "queue;\n"
        "3 the time passed; 4 no name server.\n";

struct send {
        const char *name;
        ptl_port port, notify;
        uint64_t kind;
        ptl_time look_up, room;
        bool is_lines, may_leave;
};

/* Waits until what was left with the port is taken, or the port is dead. */
static int await_taken(const struct send *s)
{
        ptl_time deadline = s->room == PTL_NOW ? PTL_FOREVER : s->room;
        struct ptl_message m;
        uint32_t kind;
        int r;

        r = ptl_receive(s->notify, &m, deadline);
        if (r)
                return r;
        kind = m.kind;
        ptl_message_release(&m);
        return kind == PTL_NOTIFY_MESSAGE_ACCEPTED ? 0 : PTL_E_DEAD;
}

static int send_leaving(const struct send *s, const struct ptl_outgoing *out)
{
        struct ptl_outgoing left = *out;
        int r = ptl_send_message(s->port, out, PTL_NOW);

        if (r != PTL_E_FULL)
                return r;
        left.leave = 1;
        left.notify = s->notify;
        /* a port that dies with the message tells nobody that it was taken */
        r = ptl_right_notify_dead(s->port, s->notify);
        if (r == 0)
                r = ptl_send_message(s->port, &left, PTL_NOW);
        return r ? r : await_taken(s);
}

static int send_one(const void *data, size_t size, void *context)
{
        const struct send *s = context;
        struct ptl_outgoing out = {.data = data, .size = size, .kind = (uint32_t)s->kind};
        int r = s->may_leave ? send_leaving(s, &out) : ptl_send_message(s->port, &out, s->room);

        return r ? cmd_failed(r, "send %zu bytes to \"%s\"", size, s->name) : CMD_OK;
}

static int send_all(struct send *s, int n, char **texts)
{
        int status = CMD_OK;

        if (n == 0 || (n == 1 && !strcmp(texts[0], "-")))
                return s->is_lines ? input_lines(send_one, s) : input_whole(send_one, s);
        for (int i = 0; i < n && status == CMD_OK; i++)
                status = send_one(texts[i], strlen(texts[i]), s);
        return status;
}

static int options(int argc, char **argv, struct send *s)
{
        static const struct option list[] = {
                {"lines", no_argument,       NULL, 'l'},
                {"kind",  required_argument, NULL, 'k'},
                {"wait",  required_argument, NULL, 'w'},
                {"leave", no_argument,       NULL, 'L'},
                {NULL,    0,                 NULL, 0  }
        };
        for (int c; (c = getopt_long(argc, argv, "lk:w:", list, NULL)) != -1;) {
                if (c == 'l')
                        s->is_lines = true;
                else if (c == 'L')
                        s->may_leave = true;
                else if (c == 'k' && cmd_option("send", "--kind", optarg, 0, 0x7fffffff, &s->kind))
                        continue;
                else if (c == 'w' && cmd_deadline("send", "--wait", optarg, &s->room))
                        s->look_up = s->room;
                else
                        return c == '?' ? cmd_usage("send", "what to do is not clear") : CMD_USAGE;
        }
        if (optind == argc)
                return cmd_usage("send", "it needs the NAME of a port");
        s->name = argv[optind++];
        return CMD_OK;
}

static int run(int argc, char **argv)
{
        struct send s = {.look_up = PTL_NOW, .room = ptl_after_ms(10000)};
        int status = options(argc, argv, &s), r;

        if (status)
                return status;
        r = ptl_name_look_up(s.name, &s.port, s.look_up);
        if (r)
                return cmd_failed(r, "find \"%s\"", s.name);
        r = s.may_leave ? ptl_port_new(&s.notify, NULL) : 0;
        if (r)
                return cmd_failed(r, "make a port");
        return send_all(&s, argc - optind, argv + optind);
}

const struct command cmd_send = {"send", "send messages to a port by name", help, run};
