/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/tour_full.c - tour: what a sender can do when the queue is full */
#include "cmd/tour.h"
#include <math.h>
#include <portolan/portolan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT = 3, PATIENCE_MS = 40, HOLD_MS = 60 };

static const char name[] = "small";

/* Takes nothing but when it is told to: "1" a message, "all" what is there. */
int role_full_receiver(int argc, char **argv)
{
        ptl_port port = role_publish(name, LIMIT);
        char cue[16], order[80] = "";
        struct ptl_message m;

        /* one call first: the link is made, and the sender knows the limit */
        role_must(ptl_receive(port, &m, ptl_after_ms(ROLE_DEADLINE_MS)), "receive");
        role_must(ptl_reply(&m, NULL, 0), "reply");
        ptl_message_release(&m);
        while (role_await_cue(cue, sizeof cue)) {
                int n = atoi(cue);

                for (; n > 0; n--) {
                        size_t used = strlen(order);

                        role_must(ptl_receive(port, &m, ptl_after_ms(ROLE_DEADLINE_MS)), "receive");
                        snprintf(order + used, sizeof order - used, "%s%.*s", used ? " " : "",
                                 (int)m.size, (const char *)m.data);
                        ptl_message_release(&m);
                }
                role_report("order", "%s", order);
        }
        return 0;
}

static void send_word(ptl_port port, const char *word)
{
        role_must(ptl_send(port, word, strlen(word), PTL_NOW), "send to a queue with room");
}

/* The first two choices: not at all, and so long. */
static void refuse_and_wait(ptl_port port)
{
        ptl_time begun;
        int r;

        role_report("now", "%s", ptl_outcome_name(ptl_send(port, "refused", 7, PTL_NOW)));
        begun = ptl_now();
        r = ptl_send(port, "late", 4, ptl_after_ms(PATIENCE_MS));
        role_report("deadline", "%s", ptl_outcome_name(r));
        role_report("deadline_ms", "%.1f", (double)(ptl_now() - begun) / 1e6);
}

static void wait_forever(ptl_port port)
{
        ptl_time begun;
        int r;

        role_report("waits", "%d", 1);
        begun = ptl_now();
        r = ptl_send(port, "waited", 6, PTL_FOREVER);
        role_report("forever_ms", "%.1f", (double)(ptl_now() - begun) / 1e6);
        role_report("forever", "%s", ptl_outcome_name(r));
}

static void leave_it(ptl_port port)
{
        struct ptl_outgoing out = {.data = "left", .size = 4, .leave = 1};
        struct ptl_message m;
        ptl_time begun;
        int r;

        role_must(ptl_port_new(&out.notify, NULL), "make a port");
        r = ptl_send_message(port, &out, PTL_NOW);
        begun = ptl_now();
        role_report("second", "%s", ptl_outcome_name(ptl_send_message(port, &out, PTL_NOW)));
        role_report("leave", "%s", ptl_outcome_name(r));
        role_must(ptl_receive(out.notify, &m, ptl_after_ms(ROLE_DEADLINE_MS)),
                  "hear of the message that was left");
        role_report("accepted_ms", "%.1f", (double)(ptl_now() - begun) / 1e6);
        role_report("accepted", "%#x", m.kind);
        ptl_message_release(&m);
}

int role_full_sender(int argc, char **argv)
{
        ptl_port port = role_find(name);
        size_t none = 0;

        role_must(ptl_call(port, "hello", 5, NULL, &none, ptl_after_ms(ROLE_DEADLINE_MS)), "call");
        send_word(port, "one");
        send_word(port, "two");
        send_word(port, "three");
        refuse_and_wait(port);
        wait_forever(port);
        leave_it(port);
        return 0;
}

/* ---- what is shown ---- */

/* A result that is an outcome; success needs no name. @ms: NaN where time does not matter. */
static void show(struct tour *t, const struct actor *a, const char *key, const char *expected,
                 const char *label, const char *then, double ms)
{
        char value[40], after[24] = "";
        bool ok = actor_text(a, key, value, sizeof value) && !strcmp(value, expected);

        if (!isnan(ms))
                snprintf(after, sizeof after, " %.1f ms", ms);
        tour_result(t, ok, key, label, "%s%s%s", ok && !strcmp(value, "0") ? "" : value, then,
                    after);
}

/* Lets time pass while the sender waits, so that its waiting can be seen in its report. */
static void hold(struct tour *t)
{
        ptl_time end = ptl_after_ms(HOLD_MS);

        while (ptl_now() < end && !t->cast.interrupted)
                cast_listen(&t->cast, (int)((end - ptl_now()) / 1000000) + 1);
}

static void show_all(struct tour *t, const struct actor *sender, const struct actor *receiver)
{
        double waited = actor_number(sender, "forever_ms"),
               left = actor_number(sender, "accepted_ms");
        char value[80], accepted[16];
        bool ok;

        show(t, sender, "now", "PTL_E_FULL", "1  do not wait: PTL_NOW", ", at once", NAN);
        show(t, sender, "deadline", "PTL_E_TIMEOUT", "2  wait so long: 40 ms", " after",
             actor_number(sender, "deadline_ms"));
        show(t, sender, "forever", "0", "3  wait: PTL_FOREVER", "sent when one was taken, after",
             waited);
        show(t, sender, "leave", "0", "4  leave it with the port", "returned at once", NAN);
        show(t, sender, "second", "PTL_E_FULL", "   a second one", ": one a right", NAN);
        snprintf(accepted, sizeof accepted, "%#x", PTL_NOTIFY_MESSAGE_ACCEPTED);
        ok = actor_text(sender, "accepted", value, sizeof value) && !strcmp(value, accepted);
        tour_result(t, ok && left >= HOLD_MS - 5, "accepted", "   notice that it was taken",
                    "%s after %.1f ms", ok ? "MESSAGE_ACCEPTED" : value, left);
        tour_result(t, waited >= HOLD_MS - 5, "held", "the receiver held back", "%d ms before each",
                    HOLD_MS);
        actor_text(receiver, "order", value, sizeof value);
        tour_result(t, !strcmp(value, "one two three waited left"), "order",
                    "what the receiver got", "%s", value);
}

static void run(struct tour *t)
{
        struct actor *receiver = ACTOR(&t->cast, "full-receiver"), *sender;

        sender = ACTOR(&t->cast, "full-sender");
        if (actor_await(&t->cast, sender, "waits", ROLE_DEADLINE_MS)) {
                hold(t);
                actor_cue(receiver, "1");
        }
        if (actor_await(&t->cast, sender, "leave", ROLE_DEADLINE_MS)) {
                hold(t);
                actor_cue(receiver, "4");
        }
        if (actor_await(&t->cast, sender, "accepted", ROLE_DEADLINE_MS) &&
            actor_end(&t->cast, receiver, ROLE_DEADLINE_MS))
                show_all(t, sender, receiver);
        tour_end_actor(t, sender, 1000);
        tour_end_actor(t, receiver, 1000);
}

const struct tour_step tour_full = {"full", "A full queue: four choices",
                                    "The port holds three messages and its receiver takes none "
                                    "until it is told to. What happens to\n"
                                    "the fourth is the sender's choice, for each message.",
                                    run};
