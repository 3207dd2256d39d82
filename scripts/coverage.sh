#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# scripts/coverage.sh - runs the tests that give the receive path what no task writes, and counts its branches
#
# usage: scripts/coverage.sh FOLDER      built with -Dcoverage=true by clang
# Unit tests, the corpora, and the processes that meet a hostile peer. Ends with scripts/coverage.py's table.
set -eu
cd "$(dirname "$0")/.."
build=$1
profiles=$PWD/$build/profiles
rm -rf "$profiles"
mkdir -p "$profiles"

# %p: a file for each program that is started; %c: it is the counters' memory.
LLVM_PROFILE_FILE=$profiles/%p%c.profraw
export LLVM_PROFILE_FILE
meson test -C "$build" --quiet --print-errorlogs --suite unit --suite fuzz-replay
meson test -C "$build" --quiet --print-errorlogs process_hostile_peer process_hostile_flow \
    process_hostile_socket process_handoff_hostile process_quota process_rich \
    process_reroute process_reroute_carried process_reroute_hostile process_settle process_stub process_move \
    process_migration_carried process_migration_ends process_migration_death

PORTOLAN_TRACE=/dev/null "$build/tests/fuzz/receive_replay" tests/fuzz/corpus/receive >"$build/trace.txt" 2>&1

# The counters of those programs: the library is in each of them.
objects=$(find "$build/tests" -maxdepth 2 -type f -perm -u+x \
    \( -name '*_replay' -o -name '*_test' ! -name 'api_*' ! -name 'process_*' -o -name 'process_hostile_*_test' \
    -o -name process_handoff_hostile_test -o -name process_quota_test -o -name process_rich_test \
    -o -name 'process_reroute*_test' -o -name process_settle_test -o -name process_stub_test -o -name process_move_test \
    -o -name 'process_migration_*_test' \) \
    -printf '-object %p ')
find "$profiles" -name '*.profraw' -size +0 >"$build/profiles.txt"
llvm-profdata merge -sparse -f "$build/profiles.txt" -o "$build/all.profdata"
# shellcheck disable=SC2086  # a list of words
llvm-cov export -instr-profile "$build/all.profdata" $objects >"$build/coverage.json"
python3 scripts/coverage.py "$build/coverage.json"
