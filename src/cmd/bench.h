/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench.h - `portolan bench`: how fast messages are here, beside what this machine could do */
#pragma once

/**
 * ptl_cmd_bench - run benchmarks between two processes and print what they found
 * @argv: [0] is "portolan bench", as getopt's messages want it
 *
 * Return: an exit status of cmd.h; CMD_FAILED also when a message arrived damaged.
 */
int ptl_cmd_bench(int argc, char **argv);
