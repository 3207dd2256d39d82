#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes of what kernel/init printed a log like Meson's, which scripts/test-names.py counts.

usage: console.py CONSOLE.txt TESTLOG.json

A program without an end (the machine stopped, or took too long) has timed out. Programs that were never
begun are one test more, which failed.
"""
import json
import re
import sys

BEGUN = re.compile(r"^=== (\w+)$")
ENDED = re.compile(r"^=== (\w+) ended (\d+) (\d+)$")
PLAN = re.compile(r"^1\.\.(\d+)$", re.M)
CASE = re.compile(r"^(?:not )?ok\b", re.M)


def result_of(stdout, status):
    """As Meson says it: fewer cases than planned is an error even if the program ended well."""
    plan = PLAN.search(stdout)
    if status != 0 or not plan:
        return "FAIL"
    return "OK" if int(plan.group(1)) == len(CASE.findall(stdout)) else "ERROR"


def programs(lines):
    """Yields one record for each program that was begun, and one more if not all were."""
    name, out, err = None, [], []
    for line in lines:
        begun, ended = BEGUN.match(line), ENDED.match(line)
        if line == "=== all ended":
            return
        if begun:
            name, out, err = begun.group(1), [], []
        elif ended:
            stdout = "\n".join(out)
            yield {"name": name, "stdout": stdout, "stderr": "\n".join(err),
                   "result": result_of(stdout, int(ended.group(2))), "duration": int(ended.group(3))}
            name = None
        elif line.startswith("#err "):
            err.append(line[5:])
        else:
            out.append(line)
    if name:
        yield {"name": name, "stdout": "\n".join(out), "stderr": "\n".join(err), "result": "TIMEOUT"}
    yield {"name": "whole_run", "stdout": "", "stderr": "# the machine stopped before its last test",
           "result": "FAIL"}


with open(sys.argv[1], encoding="utf-8", errors="replace") as console:
    records = list(programs(line.rstrip("\r\n") for line in console))
with open(sys.argv[2], "w", encoding="utf-8") as log:
    for record in records:
        log.write(json.dumps(record) + "\n")
