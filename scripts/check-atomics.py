#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every atomic access outside src/base names its ordering edge or says why relaxed is enough.

That is a comment with E<digit>, "pairs with" or "relaxed:" on the line of the access or on one of the
three lines above it. Raw atomics are for base/atomic.h alone. Tests need no reasons.
"""
import re
import sys

sys.dont_write_bytecode = True
from tree import ROOT, report, without_comments

CALL = re.compile(r"\bptl_(load_(relaxed|acquire|seq_cst)|store_(relaxed|release|seq_cst)"
                  r"|exchange|add|cas|fence_seq_cst|fence_store)\s*\(")
WHY = re.compile(r"\bE\d|relaxed:|pairs with")
RAW = re.compile(r"\b(atomic_(?!init\b)\w+\s*\(|__atomic_\w+|__sync_\w+|memory_order_\w+)")
ABOVE = 3

faults = []
for f in sorted((ROOT / "src").rglob("*.[ch]")):
    name = f.relative_to(ROOT)
    if name.as_posix() == "src/base/atomic.h":
        continue
    text = f.read_text()
    lines = text.splitlines()
    for i, code in enumerate(without_comments(text).splitlines()):
        if RAW.search(code):
            faults.append(f"{name}:{i + 1}: raw atomic; use base/atomic.h")
        if name.parts[1] == "base" or name.name.endswith("_test.c"):
            continue
        if CALL.search(code) and not WHY.search("\n".join(lines[max(0, i - ABOVE):i + 1])):
            faults.append(f"{name}:{i + 1}: atomic access without a named edge or a reason")
report(faults)
