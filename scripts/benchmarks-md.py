#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns what `portolan bench --json` printed into the tables of docs/benchmarks.md.

benchmarks-md.py [FILE]...   reads files, or standard input; prints Markdown

A cell is what was found near (nearest, if that is all there is) and, in parentheses, far. Lines of
several runs may be joined: the one with more samples counts. What never appeared is a dash.
"""
import fileinput
import json
import sys

sys.dont_write_bytecode = True
CLASSES = {"near": ("near", "nearest"), "far": ("far",), "same CPU": ("same-cpu",)}
GROUPS = [  # heading, benches, columns
    ("Call and reply", ("call", "call-in-place", "ring-copied", "pipe-call", "socket-call", "mq-call"), ("p50", "p99", "cpu", "ref", "ratio")),
    ("One way", ("send", "send-batch16", "send-batch64", "pipe-send", "socket-send", "mq-send"),
     ("rate", "cpu", "ref_rate", "ratio")),
    ("Large messages", ("bulk", "bulk-copied", "bulk-loan"), ("bytes", "ref_bytes", "ratio")),
    ("Memory by reference", ("region-again", "region-first", "region-copied", "region-isolated"), ("p50", "p99", "bytes")),
    ("Waking", ("wake", "pipe-wake", "socket-wake", "mq-wake"), ("p50", "p99", "cpu", "ref", "ratio")),
    ("Meeting", ("links",), ("p50", "look_up", "memory")),
    ("Rights", ("right-send", "right-send-home", "right-call", "right-call-home", "right-first", "right-first-new-link"),
     ("beyond", "rate", "p50", "ref")),
    ("A death told", ("death-notice",), ("p50", "p99")),
    ("Rights held", ("rights-held",), ("owner", "holder")),
    ("Idle", ("idle",), ("idle_cpu",)),
]
TITLES = {"p50": "p50 µs", "p99": "p99 µs", "cpu": "CPU µs a message", "ref": "reference p50 µs",
          "rate": "M messages/s", "ref_rate": "reference M/s", "bytes": "GB/s",
          "ref_bytes": "reference GB/s", "ratio": "ratio to the reference", "look_up": "name found µs",
          "memory": "KiB a link", "idle_cpu": "ms of CPU a second", "beyond": "µs more than without",
          "owner": "bytes at the port's task", "holder": "bytes at the holder"}
FIGURES = {"p50": ("p50_ns", 1e3), "p99": ("p99_ns", 1e3), "cpu": ("cpu_ns_per_msg", 1e3),
           "ref": ("reference_p50_ns", 1e3), "rate": ("rate_per_s", 1e6),
           "ref_rate": ("reference_rate_per_s", 1e6), "bytes": ("bytes_per_s", 1e9), "ratio": ("ratio", 1),
           "look_up": ("look_up_ns", 1e3), "memory": ("memory_bytes_per_link", 1024),
           "idle_cpu": ("cpu_ns_per_s", 1e6), "beyond": ("beyond_reference_ns", 1e3),
           "owner": ("bytes_per_right_owner", 1), "holder": ("bytes_per_right_holder", 1)}


def read(lines):
    """{(bench, size, wait, batch): {placement: line}}"""
    rows = {}
    for text in lines:
        line = json.loads(text) if text.strip() else {}
        if not line.get("samples") or "bench" not in line:
            continue
        row = rows.setdefault((line["bench"], line["size"], line["wait"], line.get("batch", 1)), {})
        if line["samples"] >= row.get(line["placement"], {"samples": 0})["samples"]:
            row[line["placement"]] = line
    return rows


def figure(line, column):
    if column == "ref_bytes":
        rate = line.get("reference_rate_per_s")
        value = rate and rate * line["size"] / 1e9
    else:
        key, unit = FIGURES[column]
        value = line.get(key)
        value = value / unit if value is not None else None
    return "–" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def cell(row, column, label):
    for placement in CLASSES[label]:
        if placement in row:
            return figure(row[placement], column)
    return "–"


def cells(row, column):
    if "same-cpu" in row:
        return cell(row, column, "same CPU")
    return f"{cell(row, column, 'near')} ({cell(row, column, 'far')})"


def size_text(size):
    for unit, bytes_ in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= bytes_:
            return f"{size // bytes_} {unit}"
    return f"{size} B"


def print_group(heading, benches, columns, rows):
    chosen = [(key, row) for key, row in rows.items() if key[0] in benches]
    if not chosen:
        return
    print(f"### {heading}\n")
    print("| what | size | waits by |", " | ".join(TITLES[c] for c in columns), "|")
    print("|---|---|---|" + "---|" * len(columns))
    for (bench, size, wait, _), row in chosen:
        where = ", one CPU" if "same-cpu" in row else ""
        print(f"| {bench}{where} | {size_text(size)} | {wait} |",
              " | ".join(cells(row, c) for c in columns), "|")
    print()


def main():
    rows = read(fileinput.input())
    for heading, benches, columns in GROUPS:
        print_group(heading, benches, columns, rows)


main()
