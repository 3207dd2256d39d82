/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step.h - a process that dies after every machine instruction, and those who go on without it
 *
 * The victim is a forked child under PTRACE_SINGLESTEP. Shared memory holds offsets, not pointers,
 * so a copy of it is as good as the original: after each instruction the parent copies what is in
 * use and treats the copy as what a SIGKILL at that instant would have left.
 *
 *   step_box_new(&box), step_box_new(&copy)
 *   step_every_instruction(victim, look, scene, &points)
 *       look: step_box_copy(&copy, &box, ranges, n), then read and write the copy as the survivors
 * do
 *
 * Cases of these programs are TESTs of tst.h; step.c knows nothing of it.
 */
#pragma once
#include "shm/outbox.h"

typedef void step_fn(void *scene);

/**
 * step_every_instruction - run a function one instruction at a time
 * @victim: called in a child. It may change shared memory and its own copy of everything else
 * @look: called in the parent, before the first instruction, after each, and at the end
 * @ret_points: how many times that was
 *
 * Return: 0, -EPERM (ptrace is not permitted here), -ECHILD (the victim ended by a signal or
 * CHECK).
 */
int step_every_instruction(step_fn *victim, step_fn *look, void *scene, unsigned *ret_points);

/* Memory laid out as an outbox that, unlike a real one, a child inherits. False: no memory. */
bool step_box_new(struct ptl_outbox *ret_box);

/* Bytes of an outbox, from its start. */
struct step_range {
        uint64_t offset, size;
};

void step_box_copy(const struct ptl_outbox *to, const struct ptl_outbox *from,
                   const struct step_range *ranges, unsigned n);
