#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# abi/headers.sh - each public header compiles alone, as C11 and as C++17, with gcc and with clang
#
# usage: headers.sh INCLUDE-FOLDER
set -u
cd "$1" || exit 2
n=0 status=0

try() { # header, case's suffix, command ...
    header=$1 label=$2
    shift 2
    n=$((n + 1))
    name=abi_$(echo "$header" | tr '/.' '__')_$label
    if ! command -v "$1" >/dev/null; then
        echo "ok $n - $name # SKIP no $1"
    elif out=$(printf '#include "%s"\n#include "%s"\nint ptl_abi_unused;\n' "$header" "$header" |
        "$@" -fsyntax-only -I. -Wall -Wextra -Wpedantic -pedantic-errors -Wundef -Werror - 2>&1); then
        echo "ok $n - $name"
    else
        echo "$out" | sed 's/^/# /'
        echo "not ok $n - $name"
        status=1
    fi
}

for header in portolan/*.h; do
    for cc in gcc clang; do
        try "$header" "c11_$cc" "$cc" -std=c11 -Wstrict-prototypes -x c
    done
    try "$header" cxx17_gcc g++ -std=c++17 -x c++
    try "$header" cxx17_clang clang++ -std=c++17 -x c++
done
echo "1..$n"
exit $status
