#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every text file names its licence in its first lines."""
import sys

sys.dont_write_bytecode = True
from tree import report, text_files

LINE = "SPDX-License-Identifier: Apache-2.0"
report([f"{name}: no line '{LINE}' among the first five" for name, lines in text_files()
        if not any(LINE in line for line in lines[:5])])
