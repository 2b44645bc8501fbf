"""Install the packages of a lock file, and Framewatch where it stands: .venv/bin/python scripts/install.py LOCK.

pip does it, each package checked against its hash; of its many lines a person sees one that moves, and a log a few.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIP = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
# To run: Python compiles what is used by itself, in a third of the space. To test, many processes share all of it.
NOT_COMPILED = {"run.txt"}
LOCKED = ["--require-hashes", "--progress-bar", "off", "-r"]
HERE = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-e", str(ROOT)]
LAST_LINES = 15


def main(lock: Path) -> int:
    """Exit code: 0 once all is installed."""
    began_s = time.monotonic()
    total = sum(1 for line in lock.read_text().splitlines() if re.match(r"[A-Za-z0-9]", line))
    say(f"Installing about {total} packages of {lock} into {Path(sys.prefix).name}")
    more = ["--no-compile"] if lock.name in NOT_COMPILED else []
    code, said = run([*PIP, *more, *LOCKED, str(lock)], total)
    if code == 0:
        code, said = run([*PIP, *HERE], 0)
    if code:
        print("\n".join(said[-LAST_LINES:]))
        print(f"framewatch: the packages of {lock} could not be installed (the reason stands above: network, disk?)")
        return 1
    say(f"Installed in {time.monotonic() - began_s:.0f} s")
    return 0


def run(command: list[str], total: int) -> tuple[int, list[str]]:
    """Exit code and lines of pip, whose progress is shown meanwhile."""
    said = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in progress(process.stdout, total):
            said.append(line)
    return process.returncode, said


def progress(lines: Iterator[str], total: int) -> Iterator[str]:
    """The same lines; a terminal shows how far they are."""
    terminal, done = sys.stdout.isatty() and total > 0, 0
    for line in map(str.rstrip, lines):
        yield line
        if line.startswith("Collecting "):
            done += 1
        what = re.sub(r" \(from .*", "", line.strip())
        if terminal and what.startswith(("Collecting", "Downloading", "Installing")):
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K{f'[{min(done, total)}/{total}] {what}'[:width]}", end="", flush=True)
    if terminal:
        print("\r\033[K", end="", flush=True)


def say(line: str) -> None:
    """Print it at once, also into a log."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
