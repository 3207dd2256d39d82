/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/tour_death.c - tour: processes killed in the middle of what they do, and those who live on */
#include "cmd/tour.h"
#include <inttypes.h>
#include <math.h>
#include <portolan/portolan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64 << 10, LET_RUN = 400, SECOND = 100, LIMIT = 3, HOLD_MS = 50 };
enum { KIND_DATA = 1, KIND_HELLO = 2 };

/* A word of message @sequence: no other message, and no half of one, has it at this place. */
static uint64_t word(uint64_t sequence, size_t i)
{
        return (sequence + 1) * 0x9e3779b97f4a7c15u + i;
}

/* From a line to 64 KiB, so that all ways a message can travel are cut short. */
static size_t words_of(uint64_t sequence) { return 8 + sequence * 7919 % (BLOCK / 8 - 8); }

/* ---- the sender that is killed ---- */

static void say_hello(ptl_port port)
{
        struct ptl_right_item mine = {.disposition = PTL_MAKE_SEND};
        struct ptl_outgoing out = {.kind = KIND_HELLO, .rights = &mine, .n_rights = 1};

        /* a right to a port of ours: what the survivor asks to be told the death of */
        role_must(ptl_port_new(&mine.port, NULL), "make a port");
        role_must(ptl_send_message(port, &out, ptl_after_ms(ROLE_DEADLINE_MS)), "send");
}

int role_doomed_sender(int argc, char **argv)
{
        static uint64_t words[BLOCK / 8];
        uint64_t count = role_number(argv[0]);
        ptl_port port = role_find("sea");

        say_hello(port);
        for (uint64_t s = 0; s < count; s++) {
                struct ptl_outgoing out = {
                        .data = words, .size = 8 * words_of(s), .kind = KIND_DATA};

                for (size_t i = 0; i < words_of(s); i++)
                        words[i] = word(s, i);
                role_must(ptl_send_message(port, &out, ptl_after_ms(ROLE_DEADLINE_MS)), "send");
        }
        return 0;
}

/* ---- the receiver that survives ---- */

struct survivor {
        ptl_port port, notify, set;
        uint64_t next;
        ptl_port peer;
        bool is_peer_dead;
};

static void check_whole(const struct ptl_message *m, uint64_t sequence)
{
        size_t n = words_of(sequence);

        role_check(m->size == 8 * n, "message %" PRIu64 " has %zu of %zu bytes", sequence, m->size,
                   8 * n);
        for (size_t i = 0; i < n; i++) {
                uint64_t found;

                memcpy(&found, (const char *)m->data + 8 * i, 8);
                role_check(found == word(sequence, i), "message %" PRIu64 " differs at byte %zu",
                           sequence, 8 * i);
        }
}

static void take(struct survivor *s, struct ptl_message *m)
{
        if (m->kind == KIND_HELLO) {
                role_check(m->n_rights == 1, "a greeting with %u rights", m->n_rights);
                s->peer = m->rights[0].port;
                s->next = 0;
                s->is_peer_dead = false;
                role_must(ptl_right_notify_dead(s->peer, s->notify), "ask to be told of a death");
        } else if (m->kind == PTL_NOTIFY_DEAD_NAME) {
                struct ptl_notification note = {0};

                role_report("dead_at", "%" PRId64, ptl_now());
                memcpy(&note, m->data, m->size < sizeof note ? m->size : sizeof note);
                role_check(note.value == s->peer, "the notice names another right");
                s->is_peer_dead = true;
        } else {
                check_whole(m, s->next++);
        }
        ptl_message_release(m);
}

/* Until the peer is dead and nothing of it is left. */
static void outlive(struct survivor *s)
{
        struct ptl_message m;
        int r;

        while ((r = ptl_receive(s->set, &m,
                                s->is_peer_dead ? PTL_NOW : ptl_after_ms(ROLE_DEADLINE_MS))) == 0) {
                take(s, &m);
                if (s->next == LET_RUN)
                        role_report("running", "%d", 1);
        }
        role_must(r == PTL_E_EMPTY ? 0 : r, "receive");
        role_must(ptl_right_release(s->peer), "release the dead name");
        role_must(ptl_right_release(s->peer), "release the dead name that the notice brought");
}

int role_survivor(int argc, char **argv)
{
        struct survivor s = {.port = role_publish("sea", 0)};

        role_must(ptl_port_new(&s.notify, NULL), "make a port");
        role_must(ptl_set_new(&s.set), "make a set");
        role_must(ptl_set_add(s.set, s.port), "add to the set");
        role_must(ptl_set_add(s.set, s.notify), "add to the set");
        outlive(&s);
        role_report("whole", "%" PRIu64, s.next);
        s.is_peer_dead = false;
        outlive(&s); /* a second sender, which ends by itself */
        role_report("second", "%" PRIu64, s.next);
        return 0;
}

/* ---- the receiver that is killed, and the sender that waits for it ---- */

int role_doomed_receiver(int argc, char **argv)
{
        ptl_port port = role_publish("quay", LIMIT);
        struct ptl_message m;
        char cue[16];

        role_must(ptl_receive(port, &m, ptl_after_ms(ROLE_DEADLINE_MS)), "receive");
        role_must(ptl_reply(&m, NULL, 0), "reply");
        ptl_message_release(&m);
        while (role_await_cue(cue, sizeof cue))
                ;
        return 0;
}

static void call_receiver(ptl_port port)
{
        size_t none = 0;

        role_must(ptl_call(port, "hello", 5, NULL, &none, ptl_after_ms(ROLE_DEADLINE_MS)), "call");
}

int role_blocked_sender(int argc, char **argv)
{
        ptl_port port = role_find("quay");
        struct ptl_port_status status;
        char cue[16];
        int r;

        call_receiver(port);
        for (int i = 0; i < LIMIT; i++)
                role_must(ptl_send(port, "cargo", 5, PTL_NOW), "send to a queue with room");
        role_report("blocked", "%s", ptl_outcome_name(ptl_send(port, "cargo", 5, PTL_NOW)));
        r = ptl_send(port, "cargo", 5, PTL_FOREVER);
        role_report("dead_at", "%" PRId64, ptl_now());
        role_must(ptl_port_get_status(port, &status), "look at the right");
        role_report("rights", "%u", status.rights);
        role_report("outcome", "%s", ptl_outcome_name(r));
        role_check(role_await_cue(cue, sizeof cue), "no cue");
        call_receiver(role_find("quay"));
        role_report("second", "%d", 1);
        return 0;
}

/* ---- what is shown ---- */

static void hold(struct tour *t)
{
        ptl_time end = ptl_after_ms(HOLD_MS);

        while (ptl_now() < end && !t->cast.interrupted)
                cast_listen(&t->cast, (int)((end - ptl_now()) / 1000000) + 1);
}

/* Time from the kill to the notice; under 0 it would have come before. */
static void show_notice(struct tour *t, const char *label, const char *what, double ms)
{
        tour_result(t, ms >= 0 && ms < 1000, "notice", label, "%s, %.2f ms after the kill", what,
                    ms);
        tour_number(t, "notice_ms", ms, 3);
}

static double since(const struct actor *a, ptl_time killed)
{
        return (actor_number(a, "dead_at") - (double)killed) / 1e6;
}

static void run_sender_killed(struct tour *t)
{
        struct actor *survivor = ACTOR(&t->cast, "survivor"), *victim, *second = NULL;
        char count[16];
        ptl_time killed = 0;

        victim = ACTOR(&t->cast, "doomed-sender", "1000000000");
        if (actor_await(&t->cast, survivor, "running", 2 * ROLE_DEADLINE_MS)) {
                killed = actor_kill(victim);
                actor_await(&t->cast, survivor, "whole", ROLE_DEADLINE_MS);
        }
        if (killed && actor_await(&t->cast, survivor, "whole", 0)) {
                snprintf(count, sizeof count, "%d", SECOND);
                second = ACTOR(&t->cast, "doomed-sender", count);
                tour_result(t, true, "whole", "messages delivered",
                            "%.0f, all whole and in order; none in part, none with a gap",
                            actor_number(survivor, "whole"));
                show_notice(t, "the survivor is told", "DEAD_NAME", since(survivor, killed));
                actor_end(&t->cast, second, ROLE_DEADLINE_MS);
                actor_end(&t->cast, survivor, ROLE_DEADLINE_MS);
                tour_result(t, actor_number(survivor, "second") == SECOND, "second", "and goes on",
                            "%.0f messages of a second sender", actor_number(survivor, "second"));
                tour_end_actor(t, second, 0);
        }
        tour_end_actor(t, survivor, 0);
        actor_end(&t->cast, victim, 0);
        actor_free(victim);
}

static void show_blocked(struct tour *t, const struct actor *sender, ptl_time killed)
{
        char outcome[40];

        actor_text(sender, "outcome", outcome, sizeof outcome);
        tour_result(t, !strcmp(outcome, "PTL_E_DEAD"), "outcome", "the waiting send returns", "%s",
                    outcome);
        show_notice(t, "it was woken", "the sender", since(sender, killed));
        tour_result(t, actor_number(sender, "rights") == PTL_RIGHT_DEAD, "rights",
                    "its right became", "%s",
                    actor_number(sender, "rights") == PTL_RIGHT_DEAD ? "a dead name" : "another");
        tour_result(t, actor_number(sender, "second") == 1, "second", "and goes on",
                    "a new receiver took the name and answers");
}

static void run_receiver_killed(struct tour *t)
{
        struct actor *victim = ACTOR(&t->cast, "doomed-receiver"), *sender, *second = NULL;
        ptl_time killed = 0;

        sender = ACTOR(&t->cast, "blocked-sender");
        if (actor_await(&t->cast, sender, "blocked", ROLE_DEADLINE_MS)) {
                hold(t); /* it falls asleep */
                killed = actor_kill(victim);
        }
        actor_end(&t->cast, victim, 0);
        actor_free(victim);
        if (killed && actor_await(&t->cast, sender, "outcome", ROLE_DEADLINE_MS)) {
                second = ACTOR(&t->cast, "doomed-receiver");
                actor_cue(sender, "go on");
                actor_await(&t->cast, sender, "second", ROLE_DEADLINE_MS);
                show_blocked(t, sender, killed);
                tour_end_actor(t, second, ROLE_DEADLINE_MS);
        }
        tour_end_actor(t, sender, 1000);
}

const struct tour_step tour_sender_killed = {
        "sender_killed", "A sender killed in mid-stream",
        "SIGKILL hits a process that sends as fast as it can, messages of 64 bytes to 64 KiB. The\n"
        "survivor checks every byte, and asked to be told of its death.",
        run_sender_killed};

const struct tour_step tour_receiver_killed = {
        "receiver_killed", "The other way: a receiver killed while a sender waits",
        "The queue is full, the sender waits without a deadline, and the receiver is killed.",
        run_receiver_killed};
