#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The shared library exports exactly the functions that include/portolan/*.h declares.

usage: check-symbols.py LIBRARY
"""
import re
import subprocess
import sys

sys.dont_write_bytecode = True
from tree import ROOT, report, without_comments

VERSION = "PORTOLAN_0.1"


def declared(text):
    """(name, is it marked PTL_PUBLIC) of each function a header declares and does not define"""
    text = without_comments(text)
    text = re.sub(r"(?m)^[ \t]*#(?:.*\\\n)*.*$", "", text)  # directives with their continuations
    text = re.sub(r'extern\s+"[^"]*"\s*\{', "", text)
    while re.search(r"\{[^{}]*\}", text):  # bodies, structs, enums
        text = re.sub(r"\{[^{}]*\}", "@", text)
    # a body ends its statement without a semicolon: cut behind those of functions
    text = re.sub(r"\)\s*@", ");@;", text)
    for statement in text.split(";"):
        m = re.search(r"\b(ptl_\w+)\s*\(", statement)
        if m and not re.search(r"\b(static|typedef)\b", statement):
            yield m.group(1), "PTL_PUBLIC" in statement


faults, promised = [], set()
for header in sorted((ROOT / "include/portolan").glob("*.h")):
    for name, is_public in declared(header.read_text()):
        promised.add(name)
        if not is_public:
            faults.append(f"{header.relative_to(ROOT)}: {name} is not marked PTL_PUBLIC")

exported = set()
out = subprocess.run(["nm", "-D", "--defined-only", sys.argv[1]], check=True, text=True,
                     stdout=subprocess.PIPE).stdout
for line in out.splitlines():
    kind, symbol = line.split()[-2:]
    name, _, version = symbol.partition("@")
    if kind == "A":  # the version's own node
        continue
    exported.add(name)
    if version.lstrip("@") != VERSION:
        faults.append(f"{name}: exported without the version {VERSION}")

faults += [f"{name}: declared in include/portolan and not exported" for name in sorted(promised - exported)]
faults += [f"{name}: exported and not declared in include/portolan" for name in sorted(exported - promised)]
report(faults)
