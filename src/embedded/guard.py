"""Ends the children of ``framewatch up`` and ``framewatch services`` when those are killed before they could do it.

A process of its own, ``python -m framewatch.embedded.guard MARK``, whose standard input is a pipe that only the
parent holds open. The pipe closes when the parent ends, however it ends, on any system. Before that, the parent
writes to it:

- ``{"name": "kafka", "pid": 7, "created": 1.5, "stop_s": 20}`` for each child, once it is started;
- ``done``: all have ended, there is nothing to do.

A parent can be killed between the start of a child and the line about it. Each child therefore also has a mark in its
environment, and whatever has the mark and runs on in the end is ended last.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final, NamedTuple

import psutil

MARK: Final = "_FRAMEWATCH_CHILD_OF"
_DONE: Final = "done"
_KILLED_S: Final = 5.0
_UNKNOWN_S: Final = 10.0
_LOOK_S: Final = 0.02
_CREATED_WITHIN_S: Final = 1.0


class Guarded(NamedTuple):
    """A child that is ended when the parent is gone.

    Attributes:
        name: ``producer``, ``consumer``, ``store`` or ``kafka``, perhaps with a number behind it.
        pid: its process id.
        created: when it was started, seconds since 1970 UTC, for ids are used again.
        stop_s: seconds its end may take after it was asked to.
    """

    name: str
    pid: int
    created: float
    stop_s: float


class Guard:
    """The parent's side: starts the process and tells it of the children."""

    def __init__(self) -> None:
        self.mark = f"{os.getpid()}-{time.time_ns()}"
        self._children: dict[str, str] = {}
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the guard."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it. The end of the pipe that is ours is not inherited by any child."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "framewatch.embedded.guard", self.mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C and the terminal's end are not for it
        )
        for line in self._children.values():
            self._tell(line)

    def add(self, name: str, pid: int, stop_s: float) -> None:
        """End this process too, instead of an earlier one of the same name."""
        with suppress(psutil.Error):  # it is gone already
            child = Guarded(name, pid, psutil.Process(pid).create_time(), stop_s)
            self._children[name] = json.dumps(child._asdict())
            self._tell(self._children[name])

    def keep_up(self) -> None:
        """Start it again where somebody has killed it."""
        if self._process is not None and self._process.poll() is not None:
            self._close()
            self.start()

    def dismiss(self) -> None:
        """End it: all children have ended."""
        if self._process is None:
            return
        self._tell(_DONE)
        self._close()
        try:
            self._process.wait(_KILLED_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _close(self) -> None:
        assert self._process is not None and self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()

    def _tell(self, line: str) -> None:
        assert self._process is not None and self._process.stdin is not None
        with suppress(OSError):  # it was killed: see keep_up
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()


def watch(lines: Iterable[str], mark: str) -> None:
    """Read until the pipe closes, and end what is left: producers, then consumers, then the store, then Kafka."""
    children: dict[str, Guarded] = {}
    for line in lines:
        if line.strip() == _DONE:
            return
        with suppress(ValueError, TypeError, KeyError):  # cut short: the parent was killed while it wrote
            told: dict[str, Any] = json.loads(line)
            children[told["name"]] = Guarded(**told)
    for kind in ("producer", "consumer", "store", "kafka"):
        end_all(child for child in children.values() if child.name.partition("-")[0] == kind)
    end_all(_marked(mark))


def end_all(children: Iterable[Guarded]) -> None:
    """Ask all of them to end, and kill those that do not in time."""
    asked = [child for child in children if _running(child)]
    began_s = time.monotonic()
    _signal(asked, signal.SIGTERM)
    while late := [child for child in asked if _running(child)]:
        over = [child for child in late if time.monotonic() - began_s > child.stop_s]
        _signal(over, signal.SIGKILL)
        if over and time.monotonic() - began_s > max(child.stop_s for child in over) + _KILLED_S:
            return  # not even that ends them
        time.sleep(_LOOK_S)


def _signal(children: Iterable[Guarded], number: signal.Signals) -> None:
    for child in children:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(child.pid, number)


def _marked(mark: str) -> Iterator[Guarded]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # another user's, or gone
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                yield Guarded("", process.pid, process.create_time(), _UNKNOWN_S)


def _running(child: Guarded) -> bool:
    """Whether it is still the same process, and more than an entry that nobody has collected."""
    with suppress(psutil.Error):
        process = psutil.Process(child.pid)
        same = abs(process.create_time() - child.created) < _CREATED_WITHIN_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    return False


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with its parent
    watch(sys.stdin, sys.argv[1])
