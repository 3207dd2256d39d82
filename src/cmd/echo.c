/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/echo.c - portolan echo: a server that answers each request with the request */
#include "cmd/cmd.h"
#include <stdio.h>
#include <string.h>

static const char help[] =
        "portolan echo NAME - publish NAME and answer every request with its own bytes\n"
        "\n"
        "Examples:\n"
        "  portolan echo mirror &\n"
        "  portolan call mirror \"Hello!\"\n"
        "\n"
        "Messages that ask for no reply are dropped. It runs until it is interrupted.\n"
        "\n"
        "Exit status: 1 another process has the name; 4 no name server.\n";

static int answer(ptl_port port)
{
        struct ptl_message m;
        int r = ptl_receive(port, &m, PTL_FOREVER);

        if (r)
                return r;
        /* a caller that is gone is no failure of this server */
        if (m.reply) {
                struct ptl_outgoing out = {.data = m.data, .size = m.size};

                out.kind = m.kind < PTL_NOTIFY_DEAD_NAME ? m.kind : 0;
                r = ptl_reply_message(&m, &out);
        }
        ptl_message_release(&m);
        return r < 0 ? r : 0;
}

static int run(int argc, char **argv)
{
        const char *name;
        ptl_port port;
        int r;

        if (argc == 3 && !strcmp(argv[1], "--"))
                argv++, argc--;
        if (argc != 2 || (argv[1][0] == '-' && argv[1][1]))
                return cmd_usage("echo", "it needs one NAME");
        name = argv[1];
        r = ptl_port_new(&port, NULL);
        if (r)
                return cmd_failed(r, "make a port");
        r = ptl_name_publish(name, port);
        if (r)
                return cmd_failed(r, "publish \"%s\"", name);
        do
                r = answer(port);
        while (r == 0);
        return cmd_failed(r, "answer as \"%s\"", name);
}

const struct command cmd_echo = {"echo", "a server that answers each request with the request",
                                 help, run};
