"""What the workers of a run share: made once, and the machine for one who needs it alone."""

from __future__ import annotations

import fcntl
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from conftest import wait_for
from shared import Run


def test_what_is_made_once_is_made_by_the_first_and_anew_after_a_failure(tmp_path: Path) -> None:
    made = []

    def make(folder: Path) -> None:
        assert list(folder.iterdir()) == []
        (folder / "half").touch()
        made.append(folder)
        if len(made) == 1:
            raise OSError("the first one fails")

    run = Run(tmp_path)
    with pytest.raises(OSError, match="first"):
        run.once("thing", make)
    threads = [threading.Thread(target=run.once, args=("thing", make)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert made == [tmp_path / "thing"] * 2


def test_who_is_to_be_alone_waits_for_those_who_run_and_goes_before_those_who_come(tmp_path: Path) -> None:
    run, order, going = Run(tmp_path), list[str](), threading.Event()

    def take(name: str, alone: bool) -> None:
        with run.turn(alone):
            order.append(name)
            if alone:
                going.wait(60)
            order.append(name)

    with ExitStack() as running:
        for _ in range(2):  # beside each other
            running.enter_context(run.turn(alone=False))
        first = threading.Thread(target=take, args=("alone", True))
        first.start()
        wait_for(lambda: is_held(tmp_path / "gate.lock"), "the one who waits")
        second = threading.Thread(target=take, args=("after", False))
        second.start()
        second.join(0.1)
        assert order == []
    wait_for(lambda: order == ["alone"], "the one alone")
    going.set()
    first.join(60)
    second.join(60)
    assert order == ["alone", "alone", "after", "after"]


def is_held(path: Path) -> bool:
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
