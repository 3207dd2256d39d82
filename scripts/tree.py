# SPDX-License-Identifier: Apache-2.0
"""What the lints share: the project's files, and C with its comments blanked out."""
import pathlib
import re
import subprocess
import sys

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent


def files():
    """Every file that is tracked, or would be: git's answer; without git, all but build/."""
    try:
        out = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, check=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        names = [n for n in out.decode().split("\0") if n]
    except (OSError, subprocess.CalledProcessError):
        names = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*")
                 if not {"build", ".git", "__pycache__"} & set(p.relative_to(ROOT).parts)]
    return sorted(f for f in (ROOT / n for n in names) if f.is_file() and not f.is_symlink())


def text_files():
    """The files people write and read: no corpora, no licence, no data."""
    for f in files():
        name = f.relative_to(ROOT).as_posix()
        if name == "LICENSE" or name.startswith("tests/fuzz/corpus/") or f.suffix == ".json":
            continue
        data = f.read_bytes()
        if data and b"\0" not in data:
            yield name, data.decode(errors="replace").splitlines()


def without_comments(text):
    """The same lines, comments blanked, and strings that look like some."""
    def blank(m):
        if m.group(0)[0] in "'\"":
            return '""' if "/*" in m.group(0) or "//" in m.group(0) else m.group(0)
        return re.sub(r"[^\n]", " ", m.group(0))
    return re.sub(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'""", blank, text,
                  flags=re.S)


def report(faults):
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if faults else 0)
