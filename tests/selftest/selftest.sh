#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# selftest/selftest.sh - a harness that cannot fail would pass everything: looks at how faulty.c fails
#
# usage: selftest.sh FAULTY-PROGRAM
program=$1
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
TST_TIMEOUT=1 "$program" >"$work/out" 2>"$work/err"
status=$?
n=0 bad=0

case_is() { # name of ours, command that holds
    n=$((n + 1))
    label=harness_$1
    shift
    if "$@" >/dev/null 2>&1; then echo "ok $n - $label"; else echo "not ok $n - $label" && bad=1; fi
}
# shellcheck disable=SC2317  # called through case_is
ends() { grep -Eq "^$1 [0-9]+ - $2\$" "$work/out"; }
# shellcheck disable=SC2317
is_gone() { # what the cases named so, and where it would be
    sed -n "s/^# $1 //p" "$work/err" | {
        found=1
        while read -r p; do test ! -e "$2$p" && found=0 || exit 1; done
        exit "$found"
    }
}

case_is fails_as_a_whole test "$status" = 1
case_is sees_a_failed_check ends 'not ok' 'check_fails \(.*\)'
case_is sees_values_that_differ ends 'not ok' 'values_differ \(.*\)'
case_is prints_both_values grep -q '^# 1 (0x1) is not -1' "$work/err"
case_is sees_strings_that_differ ends 'not ok' 'strings_differ \(.*\)'
case_is sees_a_check_that_fails_in_a_child ends 'not ok' 'child_fails \(in a child\)'
case_is ends_a_case_that_hangs ends 'not ok' 'hangs \(still running after 1 s\)'
case_is sees_a_crash ends 'not ok' 'crashes \(.*\)'
case_is sees_an_exit ends 'not ok' 'exits \(status 3\)'
case_is sees_a_leaked_descriptor ends 'not ok' 'leaks_a_descriptor \(status 1\)'
case_is sees_a_leaked_mapping ends 'not ok' 'leaks_a_mapping \(status 1\)'
case_is keeps_what_cases_print_out_of_tap ends ok passes_and_prints
case_is calls_what_is_due_at_the_end ends ok passes_with_an_end
case_is reports_the_reason_of_a_skip ends ok 'skips # SKIP for a reason'
case_is removes_the_folder_of_a_case_that_fails is_gone folder ''
case_is kills_who_left_the_group_of_a_case_that_fails is_gone daemon /proc/
case_is runs_one_case_in_process test "$("$program" passes_and_prints 2>/dev/null)" = 'ok 1 - not a case'
case_is lists_its_cases test "$("$program" --list | grep -c .)" = 13
echo "1..$n"
[ "$bad" = 0 ] || sed 's/^/# /' "$work/out" "$work/err" >&2
exit $bad
