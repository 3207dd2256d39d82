#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails if a file includes a header from a layer it may not see. The table is the rule."""
import re
import sys

sys.dont_write_bytecode = True
from tree import ROOT, report, without_comments

# module: what it may include besides itself and <system> headers. base sees the public headers for
# their types and outcomes only.
MAY_SEE = {
    "base": {"portolan"},
    "wire": {"base", "portolan"},
    "shm": {"base", "wire", "portolan"},
    "link": {"base", "wire", "shm", "portolan"},
    "port": {"base", "wire", "shm", "link", "portolan"},
    "task": {"base", "wire", "shm", "link", "port", "portolan"},
    "server": {"base", "wire", "shm", "link", "portolan"},
    "bridge": {"base", "portolan"},
    "persona": {"base", "portolan"},
    "idl": {"base"},
    "cmd": {"base", "portolan", "idl"},
}
INCLUDE = re.compile(r'\s*#\s*include\s+(?:"([^"]+)"|<(portolan/[^>]+)>)')


def allowed(path, included):
    """path: parts below src/ or include/; included: parts of the header's name"""
    me = path[0]
    if included == ["tst.h"]:
        return path[-1].endswith("_test.c")
    if me == "persona" and included[0] == "persona":  # personalities never see each other
        return included[1] == path[1]
    return len(included) > 1 and (included[0] == me or included[0] in MAY_SEE.get(me, set()))


faults = []
for top in ("src", "include"):
    for f in sorted((ROOT / top).rglob("*.[ch]")):
        path = f.relative_to(ROOT / top).parts
        for n, line in enumerate(without_comments(f.read_text()).splitlines(), 1):
            m = INCLUDE.match(line)
            name = m and (m.group(1) or m.group(2))
            if name and not allowed(path, name.split("/")):
                faults.append(f"{f.relative_to(ROOT)}:{n}: {path[0]}/ may not include {name}")
        if top == "src" and len(path) > 1 and path[0] not in MAY_SEE:
            faults.append(f"{f.relative_to(ROOT)}: {path[0]}/ is no layer; the table is in {__file__}")
report(faults)
