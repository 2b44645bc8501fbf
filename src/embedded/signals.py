"""What ends a program: signals, and the end of the one that reads it."""

from __future__ import annotations

import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that is set by Ctrl-C and by the signals that end a program; a second Ctrl-C interrupts at once."""
    stop = threading.Event()

    def stopping(number: int, frame: object) -> None:  # noqa: ARG001
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = [signal.signal(number, stopping) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def stop_without_reader(stop: threading.Event) -> Iterator[None]:
    """Set the event also when nobody reads standard output any more: the program that started this one is gone.

    Writing would tell it too, but there may be nothing to write for long.
    """
    over = threading.Event()
    watcher = threading.Thread(target=_watch_reader, args=(stop, over), daemon=True, name="reader-watch")
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _watch_reader(stop: threading.Event, over: threading.Event) -> None:
    reader = select.poll()
    try:
        reader.register(sys.stdout.fileno(), 0)  # 0: only what is always reported, such as that it is closed
    except (OSError, ValueError):  # no file of the system
        return
    while not over.wait(0.5):
        if any(what & (select.POLLERR | select.POLLHUP) for _, what in reader.poll(0)):
            stop.set()
            return
