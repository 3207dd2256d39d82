/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/tour_call.c - tour: a client and a server with reply ports, and what can go wrong between
 * them */
#include "cmd/tour.h"
#include <ctype.h>
#include <math.h>
#include <portolan/portolan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS = 2000, CALLS_QUICK = 500, PATIENCE_MS = 40 };
enum { KIND_UPPER = 1, KIND_DROP, KIND_KEEP, KIND_ANSWER_KEPT, KIND_STOP };

/* ---- the server ---- */

static int reply_in_capitals(struct ptl_message *m)
{
        const char *text = m->data;
        char answer[64];
        size_t n = m->size < sizeof answer ? m->size : sizeof answer;

        for (size_t i = 0; i < n; i++)
                answer[i] = (char)toupper((unsigned char)text[i]);
        return ptl_reply(m, answer, n);
}

/* What a reply right is, and that it is good for one reply. */
static void report_reply_right(struct ptl_message *m)
{
        struct ptl_port_status status;

        role_must(ptl_port_get_status(m->reply, &status), "look at the reply right");
        role_report("right", "%u", status.rights);
        role_must(reply_in_capitals(m), "reply");
        role_report("second", "%s", ptl_outcome_name(ptl_reply(m, "again", 5)));
}

/* Returns false at the end. */
static bool serve_one(ptl_port port, struct ptl_message *kept)
{
        struct ptl_message m;
        bool goes_on = true;

        role_must(ptl_receive(port, &m, ptl_after_ms(2 * ROLE_DEADLINE_MS)), "receive a request");
        if (m.kind == KIND_UPPER && m.size && *(const char *)m.data == 'b')
                report_reply_right(&m);
        else if (m.kind == KIND_UPPER)
                role_must(reply_in_capitals(&m), "reply");
        else if (m.kind == KIND_KEEP)
                *kept = m, m = (struct ptl_message){0};
        else if (m.kind == KIND_ANSWER_KEPT)
                /* the caller has given up; it is told apart at its side, not here */
                role_report("late", "%s", ptl_outcome_name(ptl_reply(kept, "too late", 8)));
        goes_on = m.kind != KIND_STOP;
        ptl_message_release(&m); /* KIND_DROP: its reply right goes with it */
        return goes_on;
}

int role_server(int argc, char **argv)
{
        ptl_port port = role_publish(argv[0], 0);
        struct ptl_message kept = {0};

        while (serve_one(port, &kept))
                ;
        ptl_message_release(&kept);
        return 0;
}

/* ---- the client ---- */

static int compare(const void *a, const void *b)
{
        ptl_time x = *(const ptl_time *)a, y = *(const ptl_time *)b;

        return (x > y) - (x < y);
}

static int call_kind(ptl_port server, uint32_t kind, const char *text, int ms, char *ret,
                     size_t size)
{
        struct ptl_outgoing out = {.data = text, .size = strlen(text), .kind = kind};
        struct ptl_message reply;
        int r = ptl_call_message(server, &out, &reply, 0, ptl_after_ms(ms));

        if (r)
                return r;
        snprintf(ret, size, "%.*s", (int)reply.size, (const char *)reply.data);
        ptl_message_release(&reply);
        return 0;
}

/* Different bytes each time, so that a reply cannot be taken for another. */
static void call_many(ptl_port server, size_t n)
{
        ptl_time *took = calloc(n, sizeof *took);
        char text[32], wanted[32], answer[64];

        role_check(took, "no memory");
        for (size_t i = 0; i < n; i++) {
                ptl_time begun = ptl_now();

                snprintf(text, sizeof text, "a request %zu", i);
                snprintf(wanted, sizeof wanted, "A REQUEST %zu", i);
                role_must(call_kind(server, KIND_UPPER, text, ROLE_DEADLINE_MS, answer,
                                    sizeof answer),
                          "call");
                role_check(!strcmp(answer, wanted), "'%s' answered '%.60s'", text, answer);
                took[i] = ptl_now() - begun;
        }
        qsort(took, n, sizeof *took, compare);
        role_report("calls", "%zu", n);
        role_report("p50_us", "%.2f", (double)took[n / 2] / 1e3);
        free(took);
}

/* What ptl_call() does, step by step. */
static void call_by_hand(ptl_port server)
{
        struct ptl_outgoing out = {.data = "by hand", .size = 7, .kind = KIND_UPPER};
        struct ptl_message reply;
        ptl_port mine;

        role_must(ptl_port_new(&mine, NULL), "make a reply port");
        out.reply = mine;
        role_must(ptl_send_message(server, &out, ptl_after_ms(ROLE_DEADLINE_MS)), "send");
        role_must(ptl_receive(mine, &reply, ptl_after_ms(ROLE_DEADLINE_MS)), "receive the reply");
        role_report("by_hand", "%.*s", (int)reply.size, (const char *)reply.data);
        role_report("server_pid", "%d", reply.sender->pid);
        ptl_message_release(&reply);
        role_must(ptl_port_free(mine), "free the reply port");
}

static void call_in_vain(ptl_port server)
{
        struct ptl_outgoing wake = {.kind = KIND_ANSWER_KEPT};
        ptl_time begun;
        char answer[64] = "";
        int r;

        r = call_kind(server, KIND_DROP, "drop me", ROLE_DEADLINE_MS, answer, sizeof answer);
        role_report("dropped", "%s", ptl_outcome_name(r));
        begun = ptl_now();
        r = call_kind(server, KIND_KEEP, "keep me", PATIENCE_MS, answer, sizeof answer);
        role_report("unanswered", "%s", ptl_outcome_name(r));
        role_report("waited_ms", "%.1f", (double)(ptl_now() - begun) / 1e6);
        role_must(ptl_send_message(server, &wake, ptl_after_ms(ROLE_DEADLINE_MS)), "send");
        /* the late reply is on its way before this one */
        role_must(call_kind(server, KIND_UPPER, "and now", ROLE_DEADLINE_MS, answer, sizeof answer),
                  "call after a late reply");
        role_report("after", "%s", answer);
}

int role_client(int argc, char **argv)
{
        ptl_port server = role_find(argv[0]);
        struct ptl_outgoing stop = {.kind = KIND_STOP};

        call_many(server, role_number(argv[1]));
        call_by_hand(server);
        call_in_vain(server);
        role_must(ptl_send_message(server, &stop, ptl_after_ms(ROLE_DEADLINE_MS)), "send");
        return 0;
}

/* ---- what is shown ---- */

static bool is(const struct actor *a, const char *key, const char *expected)
{
        char value[80];

        return actor_text(a, key, value, sizeof value) && !strcmp(value, expected);
}

static void show_by_hand(struct tour *t, const struct actor *server, const struct actor *client)
{
        bool ok = is(client, "by_hand", "BY HAND") &&
                  actor_number(client, "server_pid") == server->pid;
        char value[80];

        actor_text(client, "by_hand", value, sizeof value);
        tour_result(t, ok, "by_hand", "a call by hand",
                    "\"by hand\" -> \"%s\" to a reply port, from process %.0f", value,
                    actor_number(client, "server_pid"));
        ok = actor_number(server, "right") == PTL_RIGHT_SEND_ONCE &&
             is(server, "second", "PTL_E_RIGHT");
        actor_text(server, "second", value, sizeof value);
        tour_result(t, ok, "send_once", "the reply right",
                    "send-once: a second reply is refused, %s", value);
}

static void show_in_vain(struct tour *t, const struct actor *server, const struct actor *client)
{
        double waited = actor_number(client, "waited_ms");
        char value[80];

        actor_text(client, "dropped", value, sizeof value);
        tour_result(t, is(client, "dropped", "PTL_E_NO_REPLY"), "dropped",
                    "a server drops a request", "%s: the caller knows at once", value);
        actor_text(client, "unanswered", value, sizeof value);
        tour_result(t, is(client, "unanswered", "PTL_E_UNANSWERED") && waited >= PATIENCE_MS - 1,
                    "unanswered", "a deadline of 40 ms passes", "%s after %.1f ms", value, waited);
        actor_text(client, "after", value, sizeof value);
        tour_result(t, is(client, "after", "AND NOW") && is(server, "late", "0"), "late",
                    "the late reply", "destroyed; the next call gets its own: \"%s\"", value);
}

static void run(struct tour *t)
{
        char calls[24];
        struct actor *server = ACTOR(&t->cast, "server", "capitals"), *client;
        bool ok;

        snprintf(calls, sizeof calls, "%d", t->is_quick ? CALLS_QUICK : CALLS);
        client = ACTOR(&t->cast, "client", "capitals", calls);
        ok = server && client && actor_end(&t->cast, client, 2 * ROLE_DEADLINE_MS) &&
             actor_end(&t->cast, server, ROLE_DEADLINE_MS);
        if (ok) {
                tour_result(t, actor_number(client, "calls") == atoi(calls), "calls", "ptl_call()",
                            "%s calls, each answered with its own text; median %.1f µs", calls,
                            actor_number(client, "p50_us"));
                tour_number(t, "call_p50_us", actor_number(client, "p50_us"), 2);
                show_by_hand(t, server, client);
                show_in_vain(t, server, client);
        }
        tour_end_actor(t, client, 0);
        tour_end_actor(t, server, 0);
}

const struct tour_step tour_call = {"call", "A client and a server, with reply ports",
                                    "A request carries a send-once right to a reply port of the "
                                    "client. It cannot be kept, forged\n"
                                    "or used twice, and if it is destroyed the client is told.",
                                    run};
