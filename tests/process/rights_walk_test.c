/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A random walk of sixteen tasks over all that makes, moves, counts and ends rights, beside a reference that
 * predicts each count, each message and each notification (rights_model.h).
 *
 * WALK_SEED repeats one, in the same order; WALK_OPERATIONS makes it longer, WALK_PORTS has so many ports alive,
 * WALK_EVERY compares everything each so many operations, WALK_KILL kills and WALK_STOP stops a task in one of
 * so many rounds (0: in none), WALK_LOG=FILE writes each order down.
 */
#include "rights_task.h"
#include "rights_rounds.h"

static uint64_t setting(const char *name, uint64_t otherwise)
{
        const char *s = getenv(name);

        return s ? strtoull(s, NULL, 0) : otherwise;
}

/* Another each day. */
static uint64_t seed_of_the_day(void) { return (uint64_t)time(NULL) / 86400; }

static void say(const struct conductor *c, ptl_time begun)
{
        double seconds = (double)(ptl_now() - begun) / 1e9;
        uint32_t splits = 0;

        for (unsigned i = 0; i < SEATS; i++)
                splits += c->stage->seats[i].splits;
        fprintf(stderr,
                "# %llu operations, %.0f a second; %llu refused; %u rounds, %u looks, %u kills, %u stops, %u comparisons; "
                "%u ports, %u messages queued; %u second names, %u slow rounds\n",
                (unsigned long long)c->walk.operations, (double)c->walk.operations / seconds,
                (unsigned long long)c->walk.refused, c->rounds, c->waves, c->kills, c->stops, c->checks, c->model->alive,
                c->model->queued, splits, c->stage->slow);
        fprintf(stderr, "# digest of the orders: %#llx\n", (unsigned long long)c->digest);
        fprintf(stderr,
                "# told: %llu dead names, %llu send-once rights unused, %llu messages accepted, %llu ports deleted, "
                "%llu times no senders, %llu ports destroyed\n",
                (unsigned long long)c->model->told[PTL_NOTIFY_DEAD_NAME & 15],
                (unsigned long long)c->model->told[PTL_NOTIFY_SEND_ONCE & 15],
                (unsigned long long)c->model->told[PTL_NOTIFY_MESSAGE_ACCEPTED & 15],
                (unsigned long long)c->model->told[PTL_NOTIFY_PORT_DELETED & 15],
                (unsigned long long)c->model->told[PTL_NOTIFY_NO_SENDERS & 15],
                (unsigned long long)c->model->told[PTL_NOTIFY_PORT_DESTROYED & 15]);
}

static struct conductor c;

static void walk(uint64_t seed, uint64_t operations)
{
        uint64_t every = setting("WALK_EVERY", 10000), next = every;
        struct rounds often = {.kill_in = (uint32_t)setting("WALK_KILL", 8),
                               .stop_in = (uint32_t)setting("WALK_STOP", 100)};

        conductor_begin(&c, seed, (uint32_t)setting("WALK_PORTS", 10000));
        while (c.walk.operations < operations) {
                do_round(&c, &often);
                if (c.walk.operations < next)
                        continue;
                check_all(&c);
                next = c.walk.operations + every;
        }
        check_all(&c);
}

API_TEST_TIMES(sixteen_tasks_that_do_anything_with_rights_count_as_the_reference_does, 3)
{
        uint64_t operations = setting("WALK_OPERATIONS", 150000), seed = setting("WALK_SEED", seed_of_the_day());
        ptl_time begun = ptl_now();

        fprintf(stderr, "# WALK_SEED=%llu WALK_OPERATIONS=%llu\n", (unsigned long long)seed,
                (unsigned long long)operations);
        walk(seed, operations);
        say(&c, begun);
        conductor_end(&c);
}

API_TEST_TIMES(a_seed_draws_the_same_orders_again, 3)
{
        uint64_t first;

        walk(1, 3000);
        first = c.digest;
        conductor_end(&c);
        walk(1, 3000);
        CHECK(c.digest == first);
        conductor_end(&c);
}
