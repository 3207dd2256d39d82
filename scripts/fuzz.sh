#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# scripts/fuzz.sh - runs each fuzz target of a build folder for a while
#
# usage: scripts/fuzz.sh FOLDER [TARGET ...]      FUZZ_SECONDS each (60)
# New inputs stay in FOLDER/corpus/TARGET; tests/fuzz/corpus/TARGET gives the seeds, and keeps what is
# worth replaying. An input that fails is left as FOLDER/TARGET-crash-*.
set -u
cd "$(dirname "$0")/.." || exit
build=$1
shift
[ $# -gt 0 ] || {
    # shellcheck disable=SC2046  # names of targets, which hold no spaces
    set -- $(find "$build/tests/fuzz" -maxdepth 1 -type f -name '*_fuzz' -printf '%f\n' | sort)
}
failed=0 passed=0
for target; do
    name=${target%_fuzz}
    seeds=tests/fuzz/corpus/$name
    mkdir -p "$build/corpus/$name"
    [ -d "$seeds" ] || seeds=
    echo "== $name, ${FUZZ_SECONDS:-60} s"
    if "$build/tests/fuzz/${name}_fuzz" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=10 \
        -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 -artifact_prefix="$build/$name-" \
        "$build/corpus/$name" ${seeds:+"$seeds"}; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: $name"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
