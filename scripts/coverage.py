#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the branches of what reads bytes that others wrote, and lists those that no test took.

coverage.py FILE.json      what `llvm-cov export` printed; exit status 1 below the bar

A branch is one way out of a condition. A function of a header is compiled into many programs: a branch
counts as taken if one of them took it. docs/evidence.md says why what is left is left.
"""
import collections
import json
import pathlib
import sys

BAR = 95  # per cent of all branches below
ROOT = pathlib.Path(__file__).resolve().parent.parent

# A file, and the functions that count; none: all.
DECODERS = ["src/wire/frame.c", "src/wire/frame.h", "src/wire/link_msg.c", "src/wire/link_msg.h",
            "src/wire/server_msg.c", "src/wire/server_msg.h"]
RECEIVE = {
    "src/shm/ring.c": ["ptl_ring_reader_init", "follow_pad", "follow_grow", "ptl_ring_peek_slow"],
    "src/shm/ring_inline.h": ["ptl_ring_next_word", "ptl_ring_prefetch", "ptl_ring_prefetch_ahead",
                              "ptl_ring_look", "ptl_ring_in_sequence", "ptl_ring_peek",
                              "ptl_ring_peek_plain", "ptl_ring_advance_plain"],
    "src/port/deliver.c": [],
    "src/port/plain.h": [],
    "src/port/regions.c": ["attach", "ptl_region_copy", "ptl_region_import", "ptl_region_forget",
                           "ptl_regions_drop"],
    "src/port/control.c": [],
    "src/link/link.c": ["is_anonymous", "take_hello", "take_descriptors", "take_acknowledge",
                        "take_packet", "ptl_link_input", "acknowledge", "ptl_link_descriptor_take",
                        "ptl_link_bell_introduced", "ptl_link_accuse"],
    "src/link/socket.c": ["discard_all", "detach", "detach_all", "ptl_socket_receive",
                          "ptl_socket_discard"],
}
FILES = {name: [] for name in DECODERS} | RECEIVE


def branches(path):
    """{file: {(line, column, way): times}} of the functions that count."""
    found = collections.defaultdict(collections.Counter)
    with open(path, encoding="utf-8") as f:
        functions = json.load(f)["data"][0]["functions"]
    for function in functions:
        name = function["name"].split(":")[-1]
        for line, column, _, _, true, false, at, *_ in function["branches"]:
            file = pathlib.Path(function["filenames"][at]).resolve()
            if ROOT not in file.parents:
                continue
            file = file.relative_to(ROOT).as_posix()
            if file not in FILES or (FILES[file] and name not in FILES[file]):
                continue
            found[file][line, column, True] += true
            found[file][line, column, False] += false
    return found


def main():
    found = branches(sys.argv[1])
    all_taken = all_there = 0
    for file in FILES:
        text = (ROOT / file).read_text(encoding="utf-8").splitlines()
        for (line, column, way), times in sorted(found[file].items()):
            if not times:
                print(f"{file}:{line}:{column}: never {str(way).lower()}: {text[line - 1].strip()}")
    print()
    for file in FILES:
        there = len(found[file])
        taken = sum(times > 0 for times in found[file].values())
        print(f"{file:28} {taken:4} of {there:4}   {100 * taken / max(there, 1):5.1f} %")
        all_taken, all_there = all_taken + taken, all_there + there
    print(f"{'all':28} {all_taken:4} of {all_there:4}   {100 * all_taken / max(all_there, 1):5.1f} %")
    return 100 * all_taken < BAR * all_there or not all_there


sys.exit(main())
