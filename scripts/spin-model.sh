#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# scripts/spin-model.sh - checks one Spin model exhaustively
#
# usage: scripts/spin-model.sh [--quick] FILE.pml [FOLDER for what is made, default build/spin/NAME]
#
# A model may say how it wants to be run, in comments, one option list a line:
#   spin-cc: -DSAFETY -DCOLLAPSE    for the C compiler
#   spin-pan: -m100000 -a -N live   for the checker; several such lines are several runs
#   spin-quick: -DN=2               for spin's preprocessor in the small run that `make test` does
# Every run must be complete: a search cut off by depth or memory fails. Speaks TAP.
set -u
quick=
if [ "${1-}" = --quick ]; then
    quick=1
    shift
fi
[ $# -gt 0 ] || { echo "usage: $0 [--quick] FILE.pml [FOLDER]" >&2; exit 2; }
file=$(realpath "$1")
name=$(basename "$file" .pml)
work=${2:-$(dirname "$0")/../build/spin/$name}
command -v spin >/dev/null || { echo "1..0 # SKIP no spin"; exit 0; }

option() { sed -n "s|^.*spin-$1: *||p" "$file" | sed 's| *\*/.*||'; }

{ mkdir -p "$work" && cd "$work"; } || exit 2
defines=
[ -z "$quick" ] || defines=$(option quick)
cflags=$(option cc | tr '\n' ' ')
runs=$(option pan)
[ -n "$runs" ] || runs=-m2000000
count=$(echo "$runs" | wc -l)
echo "1..$count"

# shellcheck disable=SC2086  # lists of options, here and below
if ! spin -a $defines "$file" >spin.log 2>&1 || grep -qi 'syntax error' spin.log ||
    ! cc -O2 -w -DMEMLIM=4096 $cflags -o pan pan.c >>spin.log 2>&1; then
    sed 's/^/# /' spin.log
    echo "Bail out! $name does not compile"
    exit 1
fi

n=0 status=0
while read -r options; do
    n=$((n + 1))
    # shellcheck disable=SC2086
    ./pan $options >pan.log 2>&1
    if grep -q 'errors: 0$' pan.log &&
        ! grep -Eq 'max search depth too small|Search not completed|error:' pan.log; then
        verdict=ok
        grep -E 'states, stored|depth reached' pan.log | sed 's/^ */# /'
    else
        verdict='not ok' status=1
        sed 's/^/# /' pan.log | head -n 60
        # shellcheck disable=SC2086
        [ ! -f "$name.pml.trail" ] || spin -t -k "$name.pml.trail" -p -g $defines "$file" 2>&1 |
            sed 's/^/# /' | tail -n 120
    fi
    echo "$verdict $n - spin_$(echo "${name}_$n" | tr -c 'A-Za-z0-9_\n' _)"
done <<EOF
$runs
EOF
exit $status
