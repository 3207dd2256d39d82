/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/tour_many.c - tour: one consumer of many senders, through two ports in a set */
#include "cmd/tour.h"
#include <inttypes.h>
#include <portolan/portolan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SENDERS = 8, EACH = 25000, EACH_QUICK = 2000, MANY_MS = 30000 };

static const char *const names[2] = {"even", "odd"};

struct item {
        uint32_t sender, sequence;
        uint64_t check; /* of the two above */
};

static uint64_t check_of(uint32_t sender, uint32_t sequence)
{
        return ((uint64_t)sender << 32 | sequence) * 0x9e3779b97f4a7c15u;
}

int role_sender(int argc, char **argv)
{
        uint32_t me = (uint32_t)role_number(argv[0]), each = (uint32_t)role_number(argv[1]);
        ptl_port port = role_find(names[me % 2]);

        for (uint32_t i = 0; i < each; i++) {
                struct item item = {me, i, check_of(me, i)};

                role_must(ptl_send(port, &item, sizeof item, ptl_after_ms(MANY_MS)), "send");
        }
        return 0;
}

struct tally {
        ptl_port ports[2];
        uint32_t next[SENDERS];
        int32_t pids[SENDERS];
        uint64_t count, turns; /* how often the sender changed */
        uint32_t last;
};

static void take(struct tally *t, const struct ptl_message *m)
{
        struct item item;

        role_check(m->size == sizeof item, "a message of %zu bytes", m->size);
        memcpy(&item, m->data, sizeof item);
        role_check(item.sender < SENDERS && item.check == check_of(item.sender, item.sequence),
                   "a damaged message");
        role_check(item.sequence == t->next[item.sender], "sender %u: %u came instead of %u",
                   item.sender, item.sequence, t->next[item.sender]);
        role_check(m->port == t->ports[item.sender % 2], "sender %u came on the other port",
                   item.sender);
        role_check(!t->next[item.sender] || t->pids[item.sender] == m->sender->pid,
                   "sender %u changed its process", item.sender);
        t->next[item.sender]++;
        t->pids[item.sender] = m->sender->pid;
        t->turns += item.sender != t->last;
        t->last = item.sender;
        t->count++;
}

int role_collector(int argc, char **argv)
{
        uint64_t total = SENDERS * role_number(argv[0]);
        struct tally t = {0};
        ptl_time begun = 0;
        ptl_port set;
        char key[16];

        role_must(ptl_set_new(&set), "make a set");
        for (size_t i = 0; i < 2; i++) {
                t.ports[i] = role_publish(names[i], 0);
                role_must(ptl_set_add(set, t.ports[i]), "add a port to the set");
        }
        while (t.count < total) {
                struct ptl_message m;

                role_must(ptl_receive(set, &m, ptl_after_ms(MANY_MS)), "receive");
                if (!t.count)
                        begun = ptl_now();
                take(&t, &m);
                ptl_message_release(&m);
        }
        role_report("seconds", "%.4f", (double)(ptl_now() - begun) / 1e9);
        role_report("count", "%" PRIu64, t.count);
        role_report("turns", "%" PRIu64, t.turns);
        for (size_t i = 0; i < SENDERS; i++) {
                snprintf(key, sizeof key, "pid%zu", i);
                role_report(key, "%d", t.pids[i]);
        }
        return 0;
}

/* Each message was stamped with the process that the tour had started for that sender. */
static unsigned count_known(const struct actor *collector, struct actor *const *senders)
{
        unsigned known = 0;
        char key[16];

        for (size_t i = 0; i < SENDERS; i++) {
                snprintf(key, sizeof key, "pid%zu", i);
                known += senders[i] && actor_number(collector, key) == senders[i]->pid;
        }
        return known;
}

static void show(struct tour *t, const struct actor *collector, struct actor *const *senders,
                 unsigned each)
{
        double count = actor_number(collector, "count"),
               seconds = actor_number(collector, "seconds");

        tour_result(t, count == SENDERS * each, "count", "messages received",
                    "%.0f = %d senders x %u, none lost, none twice", count, SENDERS, each);
        tour_result(t, true, "order", "order",
                    "kept for each sender; the sender changed %.0f times",
                    actor_number(collector, "turns"));
        tour_result(t, count_known(collector, senders) == SENDERS, "identity", "who sent it",
                    "%u of %d process ids as the kernel attests them",
                    count_known(collector, senders), SENDERS);
        tour_result(t, true, "rate", "rate", "%.2f million messages/s through one receiver",
                    count / seconds / 1e6);
        tour_number(t, "messages_per_s", count / seconds, 0);
}

static void run(struct tour *t)
{
        unsigned each = t->is_quick ? EACH_QUICK : EACH;
        struct actor *senders[SENDERS] = {0}, *collector;
        char number[16], text[16];
        bool ok;

        snprintf(text, sizeof text, "%u", each);
        collector = ACTOR(&t->cast, "collector", text);
        for (size_t i = 0; i < SENDERS; i++) {
                snprintf(number, sizeof number, "%zu", i);
                senders[i] = ACTOR(&t->cast, "sender", number, text);
        }
        ok = actor_end(&t->cast, collector, MANY_MS);
        if (ok)
                show(t, collector, senders, each);
        tour_end_actor(t, collector, 0);
        for (size_t i = 0; i < SENDERS; i++)
                tour_end_actor(t, senders[i], ok ? ROLE_DEADLINE_MS : 0);
}

const struct tour_step tour_many = {"many", "Many senders, one consumer",
                                    "Eight processes send to two ports; one process receives from "
                                    "both through a port set and checks\n"
                                    "each message, each sender's order, and who it came from.",
                                    run};
