#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# scripts/configure.sh - sets a build folder up once, and again when a test or model came or went
#
# usage: scripts/configure.sh FOLDER [options of meson setup]
# Tests are found, not listed; Meson looks for them only when it configures.
set -eu
cd "$(dirname "$0")/.."
build=$1
shift
found=$(find src tests models docs/protocol \( -name '*_test.c' -o -name '*.pml' -o -path 'tests/*.c' \
    -o -path 'src/*/main.c' \) 2>/dev/null | LC_ALL=C sort)
if [ ! -f "$build/build.ninja" ]; then
    meson setup "$build" "$@"
elif [ "$found" != "$(cat "$build/tests-found.txt" 2>/dev/null)" ]; then
    meson setup --reconfigure "$build" "$@"
fi
echo "$found" >"$build/tests-found.txt"
