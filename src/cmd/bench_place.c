/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench_place.c - see bench_place.h */
#include "cmd/bench_place.h"
#include "cmd/bench_pair.h"
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

enum { NEAREST_BELOW_NS = 65, NEAR_BELOW_NS = 200, TURNS = 1500, WARM_TURNS = 300, NS_PER_S = 1000000000 };

const char *bench_placement_name(enum bench_placement placement)
{
        static const char *const names[] = {"nearest", "near", "far", "same-cpu"};

        return names[placement];
}

enum bench_placement bench_placement_of(double round_trip_ns)
{
        if (round_trip_ns < NEAREST_BELOW_NS)
                return BENCH_NEAREST;
        return round_trip_ns < NEAR_BELOW_NS ? BENCH_NEAR : BENCH_FAR;
}

void bench_cpus(int ret_cpus[2])
{
        cpu_set_t set;
        int found = 0;

        CPU_ZERO(&set);
        ret_cpus[0] = ret_cpus[1] = 0;
        if (sched_getaffinity(0, sizeof set, &set))
                return;
        for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
                if (CPU_ISSET(cpu, &set))
                        ret_cpus[found++] = cpu;
        if (found == 1)
                ret_cpus[1] = ret_cpus[0];
}

int bench_pin(int cpu)
{
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET((size_t)cpu, &set);
        return sched_setaffinity(0, sizeof set, &set) ? -errno : 0;
}

/* Return: false if the other side gave up. */
static bool wait_for(const struct bench_side *side, const _Atomic uint64_t *line, uint64_t value)
{
        /* relaxed: nothing lies behind these numbers */
        for (unsigned polls = 1; ptl_load_relaxed(line) != value; polls++)
                if (polls % BENCH_RING_LOOK == 0 && bench_side_is_over(side))
                        return false;
        return true;
}

int bench_probe(struct bench_side *side)
{
        _Atomic uint64_t *ping = &side->control->ping, *pong = &side->control->pong;
        uint64_t begin = 0;

        for (uint64_t i = 1; i <= TURNS; i++) {
                if (i == WARM_TURNS + 1)
                        begin = bench_tick();
                if (!side->is_peer)
                        ptl_store_relaxed(ping, i); /* relaxed: as in wait_for() */
                if (!wait_for(side, side->is_peer ? ping : pong, i))
                        return -1;
                if (side->is_peer)
                        ptl_store_relaxed(pong, i); /* relaxed: as in wait_for() */
        }
        side->result.p50_ns = (double)(bench_tick() - begin) * side->ns_per_tick / (TURNS - WARM_TURNS);
        return 0;
}

/* Adds what one line "cpuN user nice system idle iowait irq softirq steal" says. */
static void add_line(struct bench_load *load, const char *line, const int cpus[2])
{
        uint64_t user, nice, system, irq, softirq, steal;
        int cpu;

        if (sscanf(line, "cpu%d %" SCNu64 " %" SCNu64 " %" SCNu64 " %*u %*u %" SCNu64 " %" SCNu64 " %" SCNu64,
                   &cpu, &user, &nice, &system, &irq, &softirq, &steal) != 7)
                return;
        if (cpu != cpus[0] && cpu != cpus[1])
                return;
        load->busy += user + nice + system + irq + softirq;
        load->stolen += steal;
}

void bench_load_begin(struct bench_load *load, const int cpus[2])
{
        FILE *f = fopen("/proc/stat", "re");
        char line[256];

        *load = (struct bench_load){.when = ptl_now()};
        if (!f)
                return; /* then nothing is known of others */
        while (fgets(line, sizeof line, f))
                add_line(load, line, cpus);
        fclose(f);
}

bool bench_load_is_foreign(const struct bench_load *load, const int cpus[2], uint64_t own_cpu_ns)
{
        double tick_ns = (double)NS_PER_S / (double)sysconf(_SC_CLK_TCK), others;
        struct bench_load now;

        bench_load_begin(&now, cpus);
        others = (double)(now.busy - load->busy + now.stolen - load->stolen) * tick_ns - (double)own_cpu_ns;
        /* ticks are coarse: two of them on each side say nothing */
        return others > (double)(now.when - load->when) / 10 + 4 * tick_ns;
}
