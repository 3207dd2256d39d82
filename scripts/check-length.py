#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No file is longer than a thousand lines; most are wanted near 250."""
import sys

sys.dont_write_bytecode = True
from tree import report, text_files

LIMIT = 1000
report([f"{name}: {len(lines)} lines, more than {LIMIT}" for name, lines in text_files()
        if len(lines) > LIMIT])
