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
#   spin-expect-fail: -DNO_FENCE    for spin's preprocessor: a rule is taken out, an error must be found
#                                   (with the first spin-pan options); several lines are several runs
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
defines= level=-O2
[ -z "$quick" ] || { defines=$(option quick) level=-O0; } # few states: the compiler takes longer than they do
cflags=$(option cc | tr '\n' ' ')
runs=$(option pan)
[ -n "$runs" ] || runs=-m2000000
broken=$(option expect-fail)
count=$(printf '%s\n%s\n' "$runs" "$broken" | grep -c .)
echo "1..$count"

# build DEFINES: makes ./pan
# shellcheck disable=SC2086  # lists of options, here and below
build() {
    spin -a $1 "$file" >spin.log 2>&1 && ! grep -qi 'syntax error' spin.log &&
        cc $level -w -DMEMLIM=4096 $cflags -o pan pan.c >>spin.log 2>&1 && return
    sed 's/^/# /' spin.log
    echo "Bail out! $name does not compile with '$1'"
    exit 1
}

# result VERDICT NUMBER WHAT
result() { echo "$1 $2 - spin_$(echo "${name}_$3" | tr -c 'A-Za-z0-9_\n' _)"; }

build "$defines"
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
    result "$verdict" $n $n
done <<EOF
$runs
EOF

first=$(echo "$runs" | head -n 1)
while read -r without; do
    [ -n "$without" ] || continue
    n=$((n + 1))
    build "$defines $without"
    # shellcheck disable=SC2086
    ./pan $first >pan.log 2>&1
    if grep -q 'errors: [1-9]' pan.log; then
        verdict=ok
        grep '^pan:1:' pan.log | sed 's/^pan:1: */# finds: /'
    else
        verdict='not ok' status=1
        sed 's/^/# /' pan.log | head -n 60
        echo "# no error is found, and one should be"
    fi
    result "$verdict" $n "fails_with$without"
done <<EOF
$broken
EOF
exit $status
