#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts test cases in Meson's log, and writes the names of those that ran and passed.

usage: test-names.py TESTLOG.json [NAMES.txt]

A test that speaks TAP counts once for each of its cases, and once more as failed if it ended badly
without a failed case (killed, or fewer cases than planned). Any other test is one case. What a failed
program said of itself (`# ...` on stderr) follows its failures. The last line
says `N passed, N failed`, with `, N skipped` if any were; the exit status is 1 if any failed or none ran.

MUST_RUN, a regular expression: what programs of such names skip has failed (.ci/run sets it).
"""
import json
import os
import re
import sys

CASE = re.compile(r"^(not )?ok\b\s*\d*\s*-?\s*([^#]*?)\s*(#\s*(?:skip|todo)\b.*)?$", re.I)

REMARKS = 12  # lines of a failed program's stderr

MUST_RUN = re.compile(os.environ.get("MUST_RUN") or "$^")

passed, failed, skipped = [], [], []


def skip(program, case):
    if MUST_RUN.match(program):
        failed.append(f"{program}: {case} (skipped, and must run)")
    else:
        skipped.append(case)


with open(sys.argv[1], encoding="utf-8") as log:
    tests = [json.loads(line) for line in log if line.strip()]
for test in tests:
    name = test["name"].split(":")[-1].split(" / ")[-1].split(" - ")[-1]
    cases = [m for m in map(CASE.match, (test.get("stdout") or "").splitlines()) if m]
    bad = 0
    before = len(failed)
    for m in cases:
        if m.group(3):
            skip(name, m.group(2))
        elif m.group(1):
            failed.append(f"{name}: {m.group(2)}")
            bad += 1
        else:
            passed.append(m.group(2))
    result = test["result"]
    if result in ("OK", "EXPECTEDFAIL"):
        if not cases:
            passed.append(name)
    elif result == "SKIP":
        if not cases:
            skip(name, name)
    elif not bad:
        failed.append(f"{name}: {result.lower()}")
    if len(failed) > before:
        said = [line for line in (test.get("stderr") or "").splitlines() if line.startswith(("#", "=="))]
        failed[-1] += "".join("\n    " + line for line in said[-REMARKS:])

if len(sys.argv) > 2:
    with open(sys.argv[2], "w", encoding="utf-8") as names:
        names.writelines(n + "\n" for n in sorted(set(passed)))
for f in failed:
    print("failed:", f)
print(f"{len(passed)} passed, {len(failed)} failed" + (f", {len(skipped)} skipped" if skipped else ""))
sys.exit(1 if failed or not passed else 0)
