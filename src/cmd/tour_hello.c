/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/tour_hello.c - tour: the textbook's shared-memory producer and consumer */
#include "cmd/tour.h"
#include <portolan/portolan.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The object's name and size as the textbook has them; the second half is for the answer. */
static const char object[] = "OS";
enum { SIZE = 4096, ANSWER = SIZE / 2 };

int role_hello_producer(int argc, char **argv)
{
        struct ptl_region *region;
        char cue[16], *p, *data;

        role_must(ptl_region_new(SIZE, &region), "make a region");
        data = p = ptl_region_data(region);
        p += sprintf(p, "%s", "Hello "); // NOLINT: as in the textbook; 4096 bytes are enough
        p += sprintf(p, "%s", "World!"); // NOLINT
        role_must(ptl_region_publish(object, region), "publish the region");
        role_report("wrote", "%s", data);
        /* the name lives as long as its publisher: stay until the consumer has been */
        if (role_await_cue(cue, sizeof cue))
                role_report("answer", "%.60s", data + ANSWER);
        role_must(ptl_name_withdraw(object), "withdraw the name");
        ptl_region_free(region);
        return 0;
}

int role_hello_consumer(int argc, char **argv)
{
        struct ptl_region *region;
        char *data;

        role_must(ptl_region_look_up(object, &region, ptl_after_ms(ROLE_DEADLINE_MS)),
                  "find the region");
        data = ptl_region_data(region);
        role_check(ptl_region_size(region) == SIZE, "the region has %zu bytes",
                   ptl_region_size(region));
        role_report("read", "%.60s", data);
        snprintf(data + ANSWER, SIZE - ANSWER, "read by process %d", (int)getpid());
        role_report("answered", "%.60s", data + ANSWER);
        ptl_region_free(region);
        return 0;
}

/* A role's value in quotes, and whether it is what it must be. */
static void show(struct tour *t, const struct actor *a, const char *key, const char *label,
                 const char *expected)
{
        char value[80];
        bool ok = actor_text(a, key, value, sizeof value) && !strcmp(value, expected);

        tour_result(t, ok, key, label, "\"%s\"", value);
}

static void run(struct tour *t)
{
        struct actor *producer = ACTOR(&t->cast, "hello-producer"), *consumer;
        char answer[80];

        if (!actor_await(&t->cast, producer, "wrote", ROLE_DEADLINE_MS)) {
                tour_end_actor(t, producer, 0);
                return;
        }
        show(t, producer, "wrote", "the producer wrote", "Hello World!");
        consumer = ACTOR(&t->cast, "hello-consumer");
        actor_await(&t->cast, consumer, "answered", ROLE_DEADLINE_MS);
        show(t, consumer, "read", "the consumer read", "Hello World!");
        actor_text(consumer, "answered", answer, sizeof answer);
        tour_end_actor(t, consumer, ROLE_DEADLINE_MS);
        actor_cue(producer, "look");
        actor_await(&t->cast, producer, "answer", ROLE_DEADLINE_MS);
        show(t, producer, "answer", "and wrote back", answer);
        tour_end_actor(t, producer, ROLE_DEADLINE_MS);
}

const struct tour_step tour_hello = {
        "hello", "Shared memory by name: the textbook's producer and consumer",
        "One process makes 4096 bytes of memory, publishes them as \"OS\" and writes; another "
        "finds them\n"
        "by that name, reads, and writes back. No file, no size limit of /dev/shm, no clean-up.",
        run};
