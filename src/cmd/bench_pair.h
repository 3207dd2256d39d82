/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd/bench_pair.h - the two processes of a benchmark, a page between them, and a server of their own
 *
 * The peer is exec'ed apart, so that the two share nothing but what a message goes through. Orders
 * go by a page that both have mapped:
 *
 *   E1  driver: order, release @ordered        -> peer: acquire @ordered      the order
 *   E2  peer: release @begun                   -> driver: acquire @begun      the peer is ready
 *   E3  peer: result, release @done            -> driver: acquire @done       the result
 *   E4  either: why, release @failed           -> other: acquire @failed      the reason
 *
 * Waiting for these is polling with naps: they lie outside of what is measured.
 */
#pragma once
#include "cmd/bench_ring.h"
#include "cmd/bench_side.h"
#include <portolan/types.h>
#include <sys/types.h>

enum {
        BENCH_PATH_SIZE = 96,
        BENCH_KERNEL_FDS = 8,
        BENCH_REFERENCE_RINGS = 4, /* small and large, there and back */
};

struct bench_control {
        _Atomic uint32_t ordered, begun, done, failed;
        struct bench_order order;
        struct bench_result result;    /* the peer's */
        double ns_per_tick;
        int32_t ring_fd;               /* descriptors that the peer inherits */
        int32_t kernel_fds[BENCH_KERNEL_FDS];
        char name[64];                 /* of the peer's port */
        char why[BENCH_WHY_SIZE];
        _Alignas(128) _Atomic uint64_t ping; /* two lines for bench_pair_probe() */
        _Alignas(128) _Atomic uint64_t pong;
        struct {
                _Alignas(128) _Atomic uint64_t position;
        } heads[BENCH_REFERENCE_RINGS];
};

/* The name server of one run of the command, and what it needs; see bench_server_start(). */
struct bench_server {
        pid_t pid;
        char folder[BENCH_PATH_SIZE];
};

struct bench_pair {
        struct bench_side side; /* the driver's */
        pid_t peer;
        uint32_t orders;
        int control_fd, ring_fd;
        int driver_cpu, peer_cpu; /* where they run when they run apart; the same if there is one CPU */
};

/**
 * bench_server_start - start a name server in a folder of its own and point PORTOLAN_SOCKET at it
 *
 * $PORTOLAND is the program; else one beside this program, or where it was installed.
 * Return: whether it listens; if not, stderr says why.
 */
bool bench_server_start(struct bench_server *server);
void bench_server_stop(struct bench_server *server);

/* Starts a peer; @cpus are where they run when they run apart. Return: 0; -1 with the reason on stderr. */
int bench_pair_start(struct bench_pair *pair, const int cpus[2]);
void bench_pair_stop(struct bench_pair *pair);

/**
 * bench_pair_run - have both sides carry out an order
 * @ret: filled on success: both sides' CPU time, and the rest from the side that can tell
 *
 * Return: 0; -1 with the reason in @pair->side.why.
 */
int bench_pair_run(struct bench_pair *pair, const struct bench_order *order,
                   struct bench_result *ret);

/* What both sides do with an order, apart: take it, open its subject; then carry it out. Return: 0; -1
 * with the reason in @side->why. */
int bench_side_prepare(struct bench_side *side);
int bench_side_run(struct bench_side *side);

/* Closes the subjects that are open. */
void bench_side_close(struct bench_side *side);

/* `portolan bench --peer FD`: carries out orders until told to quit. Return: an exit status. */
int bench_peer_main(int control_fd);

/* Starts this program again as `portolan bench WORD NUMBER`; it dies with us. Return: its pid, or -1. */
pid_t bench_start_again(const char *word, int number);

/**
 * bench_link_memory - shared memory that links to @count idle tasks take
 * @ret_bytes: filled on success: of one link, both directions
 *
 * Return: 0; -1 with the reason in @side->why.
 */
int bench_link_memory(struct bench_side *side, unsigned count, double *ret_bytes);

/* Kinds of messages that a member does something about. */
enum bench_member_kind {
        BENCH_MEMBER_LEARN = 100, /* keeps its rights: what to give, and whom; the number: a descriptor it inherited */
        BENCH_MEMBER_GIVE,        /* sends the first through the second, with the bytes, then writes a byte there */
        BENCH_MEMBER_SAY,         /* the same with the bytes alone */
};

/* `portolan bench --member NUMBER`: one of these tasks; it answers with what it is asked. */
int bench_member_main(int number);

/* A right to the port of the member that this process has started under @number, and that has answered. */
int bench_member_meet(struct bench_side *side, int number, ptl_port *ret_port);

/* What a subject does for a side. A zeroed one is not there. */
struct bench_subject_calls {
        int (*open)(struct bench_side *side); /* before its first order. Return: 0 or -1 */
        int (*run)(struct bench_side *side);  /* its order. Return: 0 or -1 */
        void (*close)(struct bench_side *side);
};

extern const struct bench_subject_calls bench_ring_calls, bench_port_calls, bench_pipe_calls,
        bench_socket_calls, bench_queue_calls, bench_region_calls, bench_link_calls, bench_right_calls,
        bench_handoff_calls, bench_death_calls, bench_held_calls;

/* Descriptors of the kernel's ways, made before the peer is started; those not to be had are -1. */
void bench_kernel_open(int32_t fds[BENCH_KERNEL_FDS]);
void bench_kernel_close(int32_t fds[BENCH_KERNEL_FDS]);
