#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every source file is in the files(...) list of its folder's meson.build, and no other is.

check-listed.py --fix rewrites the lists. Tests (*_test.c) need no list: they are found.
"""
import re
import sys

sys.dont_write_bytecode = True
from tree import ROOT, report

LIST = re.compile(r"(_(?:sources|headers) = files\(\n)(.*?)(\))", re.S)
FOLDERS = [(b, "*.c") for b in sorted((ROOT / "src").glob("*/meson.build"))]
FOLDERS += [(ROOT / "include/portolan/meson.build", "*.h")]

faults = []
for build, pattern in FOLDERS:
    there = sorted(f.name for f in build.parent.glob(pattern) if not f.name.endswith("_test.c"))
    text = build.read_text()
    main = set(re.findall(r"_main = files\('([^']+)'\)", text))
    there = [name for name in there if name not in main]
    listed = re.findall(r"'([^']+)'", LIST.search(text).group(2))
    name = build.relative_to(ROOT)
    if "--fix" in sys.argv:
        body = "".join(f"  '{f}',\n" for f in there)
        new = LIST.sub(lambda m: m.group(1) + body + m.group(3), text, count=1)
        if new != text:
            build.write_text(new)
        continue
    faults += [f"{name}: {f} is not listed (scripts/check-listed.py --fix adds it)"
               for f in there if f not in listed]
    faults += [f"{name}: {f} is listed and not there" for f in listed if f not in there]
report(faults)
