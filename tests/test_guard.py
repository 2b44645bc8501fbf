"""Children end when their parent is killed: in order, in time, also those that nobody told of, and no others."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from conftest import wait_for
from framewatch.embedded.guard import MARK, Guard

# Notes when it was asked to end, takes its time, or does not end.
CHILD = """
import pathlib, signal, sys, time
notes, name, seconds = pathlib.Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(time.monotonic()))
(notes / f"{name}.ready").touch()
while not asked or time.monotonic() < asked[0] + seconds:
    time.sleep(0.02)
(notes / f"{name}.ended").write_text(str(asked[0]))
"""
# A parent like `framewatch up`: starts children, tells its guard, prints their ids, and does nothing more.
PARENT = """
import json, os, subprocess, sys, time
from framewatch.embedded.guard import MARK, Guard
guard = Guard()
guard.start()
pids = {}
for name, told, argv, stop_s in json.loads(sys.argv[1]):
    child = subprocess.Popen(argv, env={**os.environ, MARK: guard.mark}, start_new_session=True)
    pids[name] = child.pid
    if told:
        guard.add(name, child.pid, stop_s)
print(json.dumps([guard.pid, pids]), flush=True)
time.sleep(300)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a child that takes some seconds to end once it was asked to."""
    running: list[subprocess.Popen[bytes]] = []

    def started(name: str, seconds: float = 0, mark: str = "") -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-c", CHILD, str(tmp_path), name, str(seconds)]
        running.append(subprocess.Popen(argv, env={**os.environ, MARK: mark}))
        wait_for((tmp_path / f"{name}.ready").exists, f"the start of {name}")
        return running[-1]

    yield started
    for process in running:
        process.kill()
        process.wait()


def lost(guard: Guard) -> None:
    """What the guard sees when its parent is killed."""
    guard._close()
    assert guard._process is not None
    guard._process.wait(60)


def test_children_end_in_the_order_of_the_way_of_a_frame(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    guard = Guard()
    guard.start()
    names = ("kafka", "store", "consumer", "producer-2", "producer-1")
    children = {name: start(name, 0.3) for name in names}
    for name, child in children.items():
        guard.add(name, child.pid, 20)
    lost(guard)
    assert all(child.wait(1) == 0 for child in children.values())
    asked = {name: float((tmp_path / f"{name}.ended").read_text()) for name in names}
    assert abs(asked["producer-1"] - asked["producer-2"]) < 0.2  # side by side
    order = [asked["producer-1"], asked["consumer"], asked["store"], asked["kafka"]]
    assert all(later - earlier >= 0.3 for earlier, later in itertools.pairwise(order))


def test_a_child_that_does_not_end_in_time_is_killed(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    guard = Guard()
    guard.start()
    child = start("consumer", 300)
    guard.add("consumer", child.pid, 0.5)
    lost(guard)
    assert child.wait(1) < 0


def test_a_child_that_the_guard_was_not_told_of_ends_too_and_others_do_not(
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    guard = Guard()
    guard.start()
    known, untold, other = start("store"), start("untold", mark=guard.mark), start("other", mark="another")
    guard.add("store", known.pid, 5)
    lost(guard)
    assert (known.wait(1), untold.wait(1)) == (0, 0)
    assert other.poll() is None


def test_an_id_that_another_process_has_now_is_left_alone(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    guard = Guard()
    guard.start()
    child = start("store")
    guard._tell(f'{{"name": "store", "pid": {child.pid}, "created": 1.0, "stop_s": 5}}')
    lost(guard)
    assert child.poll() is None


def test_a_guard_that_is_dismissed_ends_nothing(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    guard = Guard()
    guard.start()
    child = start("store", mark=guard.mark)
    guard.add("store", child.pid, 5)
    guard.dismiss()
    assert child.poll() is None


def test_a_guard_that_is_killed_is_started_again_and_knows_all_children(
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    guard = Guard()
    guard.start()
    child = start("store")
    guard.add("store", child.pid, 5)
    assert guard._process is not None
    guard._process.kill()
    guard._process.wait()
    guard.add("kafka", os.getpid(), 5)  # which cannot be told now
    del guard._children["kafka"]
    guard.keep_up()
    lost(guard)
    assert child.wait(1) == 0


def test_a_parent_that_is_killed_takes_its_children_along(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", CHILD, str(tmp_path)]
    plan = [(name, told, [*argv, name, "0"], 10) for name, told in (("kafka", 1), ("store", 1), ("untold", 0))]
    parent = subprocess.Popen([sys.executable, "-c", PARENT, json.dumps(plan)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    guard, pids = json.loads(parent.stdout.readline())
    wait_for(lambda: len([*tmp_path.glob("*.ready")]) == len(pids), "the start of all")
    parent.kill()
    parent.communicate()
    began_s = time.monotonic()
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in (guard, *pids.values())), "the end of all", 30)
    assert time.monotonic() - began_s < 10
