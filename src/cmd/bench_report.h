/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench_report.h - what was found, for machines (an object a line) or for people (a table) */
#pragma once
#include "cmd/bench_cell.h"

struct bench_report {
        bool json;
        size_t count;
        struct bench_row rows[BENCH_CELLS_MAX * BENCH_PLACEMENTS];
};

/**
 * bench_report_group - print what the cells of one group found, and keep the rows
 * @found: one for every cell of bench_cells
 * @has_two_cpus: without, no placement but same-cpu can appear
 *
 * A placement that did not appear is named as such.
 */
void bench_report_group(struct bench_report *report, const char *group,
                        const struct bench_found *found, bool has_two_cpus);

/* Holds the rows against the project's goals. Return: how many were missed. */
unsigned bench_report_bars(const struct bench_report *report);
