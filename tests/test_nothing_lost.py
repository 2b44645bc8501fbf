"""Whatever dies while a video runs: the set of event ids is that of an undisturbed run.

These tests kill with SIGKILL, so they have services of their own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from conftest import REPOSITORY, SAMPLE, Services
from ports import choose_port
from storage.mongo import connect
from stream.kafka import ensure_topic

FPS = 60  # 420 frames in 7 seconds: long enough to be killed in the middle, short enough to wait for
RUN = "run-1"

# A worker whose store kills the process after the store's answer and before anything is committed.
DIES_BEFORE_COMMIT = """
import os, signal, sys
from cli.consume import run_worker
from settings import load_settings
from services.home import endpoints
from storage.mongo import EventStore, connect
import threading

class DyingStore(EventStore):
    batches = 0
    def _insert(self, events):
        known = super()._insert(events)
        if AFTER == "insert": self.die()
        return known
    def add(self, events):
        stored = super().add(events)
        if AFTER == "add" and events: self.die()
        return stored
    def die(self):
        self.batches += 1
        if self.batches == 8: os.kill(os.getpid(), signal.SIGKILL)

AFTER = sys.argv[1]
settings = load_settings(topic=sys.argv[2], group=sys.argv[3], database=sys.argv[4], port=sys.argv[5], instance="w")
where = endpoints(settings)
database = connect(where.mongodb)[settings.database]
run_worker(settings, where, database, threading.Event(), store=DyingStore(database))
"""


class Bench:
    """A topic, group and database of one test, and the processes that work on them."""

    def __init__(self, services: Services, name: str) -> None:
        self.services = services
        self.name = name
        self.port = choose_port()
        self.client = connect(services.endpoints.mongodb)
        self.database = self.client[name]
        self.processes: list[subprocess.Popen[str]] = []
        ensure_topic(services.endpoints.kafka, name, 2, 1, {})

    def worker(self) -> subprocess.Popen[str]:
        return self._start(
            "-m", "consumer", "--quiet", "--topic", self.name, "--group", self.name, "--database", self.name,
            "--port", self.port, "--instance", "w",
        )  # fmt: skip

    def dying_worker(self, after: str) -> subprocess.Popen[str]:
        return self._start("-c", DIES_BEFORE_COMMIT, after, self.name, self.name, self.name, self.port)

    def video(self) -> subprocess.Popen[str]:
        options = ("--fps", FPS, "--topic", self.name, "--stream", "s", "--run", RUN, "--json")
        return self._start("-m", "producer", SAMPLE, *options)

    def ids(self) -> set[str]:
        return {str(document["_id"]) for document in self.database.events.find({}, {"_id": 1})}

    def counted(self) -> int:
        """Events counted by the minute; those by the hour are as many."""
        cells = list(self.database.counts.find({}))
        minutes, hours = (sum(int(cell["n"]) for cell in cells if unit in cell) for unit in ("minute", "hour"))
        assert minutes == hours
        return minutes

    def wait_for_ids(self, ids: set[str], timeout_s: float = 90) -> None:
        """Return when exactly these ids are stored; what is missing or too much is said when it takes too long."""
        deadline = time.monotonic() + timeout_s
        while (stored := self.ids()) != ids:
            if time.monotonic() > deadline:
                missing = f"{len(ids - stored)} missing, {len(stored - ids)} too many of {len(ids)}"
                raise AssertionError("\n".join((missing, str(health(self.port)), *self.end())))
            time.sleep(0.2)

    def wait_until_stored(self, n: int, timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while self.database.events.estimated_document_count() < n:
            assert time.monotonic() < deadline, f"not {n} events within {timeout_s} s"
            time.sleep(0.05)

    def end(self) -> list[str]:
        """Kill what still runs; what each has said."""
        for process in self.processes:
            process.kill()
        return [process.communicate()[1] for process in self.processes]

    def close(self) -> None:
        self.end()
        self.client.close()

    def _start(self, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env=self.services.environment(),
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process


@pytest.fixture
def bench(own: Services, request: pytest.FixtureRequest) -> Iterator[Bench]:
    bench = Bench(own, f"b{abs(hash(request.node.name)) % 10**8}")
    try:
        yield bench
    finally:
        bench.close()


@pytest.fixture(scope="module")
def undisturbed(own: Services) -> set[str]:
    """Event ids of a run in which nothing happens."""
    bench = Bench(own, "undisturbed")
    try:
        bench.worker()
        assert delivered(bench.video()) == 420
        deadline = time.monotonic() + 20
        while health(bench.port)[1]["counts"]["done"] < 420:
            assert time.monotonic() < deadline, health(bench.port)
            time.sleep(0.3)
        ids = bench.ids()
        assert len(ids) > 200
        assert bench.counted() == len(ids)
        return ids
    finally:
        bench.close()


def delivered(video: subprocess.Popen[str]) -> int:
    out, err = video.communicate(timeout=120)
    assert video.returncode == 0, err
    return int(json.loads(out)["delivered"])


@pytest.mark.parametrize("after", ["insert", "add"])
def test_a_worker_killed_between_the_stores_answer_and_the_commit_loses_and_doubles_nothing(
    bench: Bench, undisturbed: set[str], after: str
) -> None:
    first = bench.dying_worker(after)
    video = bench.video()
    assert first.wait(60) == -signal.SIGKILL, first.communicate()
    assert 0 < len(bench.ids()) < len(undisturbed)
    bench.worker()
    assert delivered(video) == 420
    bench.wait_for_ids(undisturbed)
    assert bench.counted() == len(undisturbed)


def test_a_worker_killed_anywhere_loses_and_doubles_nothing(bench: Bench, undisturbed: set[str]) -> None:
    video = bench.video()
    for stored in (20, 80, 160):
        worker = bench.worker()
        bench.wait_until_stored(stored)
        worker.kill()
        worker.wait()
    bench.worker()
    assert delivered(video) == 420
    bench.wait_for_ids(undisturbed)
    assert bench.counted() == len(undisturbed)


def test_a_killed_store_is_waited_for(bench: Bench, undisturbed: set[str]) -> None:
    bench.worker()
    video = bench.video()
    bench.wait_until_stored(50)
    kill(bench.services.store.pid)
    time.sleep(1)
    bench.services.store.start()
    assert delivered(video) == 420
    bench.wait_for_ids(undisturbed)
    assert bench.counted() == len(undisturbed)


def test_a_killed_broker_is_waited_for(bench: Bench, undisturbed: set[str]) -> None:
    worker = bench.worker()
    video = bench.video()
    bench.wait_until_stored(50)
    kill(bench.services.kafka.pid)
    time.sleep(1)
    bench.services.kafka.start()
    assert delivered(video) == 420
    bench.wait_for_ids(undisturbed)
    assert bench.counted() == len(undisturbed)
    assert worker.poll() is None


@pytest.mark.parametrize("part", ["store", "broker"])
def test_thirty_seconds_away_stall_and_resume(bench: Bench, undisturbed: set[str], part: str) -> None:
    worker = bench.worker()
    video = bench.video()
    bench.wait_until_stored(50)
    child = bench.services.store if part == "store" else bench.services.kafka
    assert child.pid is not None
    os.kill(child.pid, signal.SIGSTOP)
    try:
        time.sleep(5)
        assert health(bench.port)[0] == 503
        time.sleep(25)
        assert worker.poll() is None
    finally:
        os.kill(child.pid, signal.SIGCONT)
    assert delivered(video) == 420
    bench.wait_for_ids(undisturbed)
    assert bench.counted() == len(undisturbed)
    until = time.monotonic() + 40
    while (now := health(bench.port))[0] != 200 or now[1]["lag"] != 0 or now[1]["partitions"] != 2:
        assert time.monotonic() < until, now
        time.sleep(0.5)


def test_a_worker_that_is_asked_to_end_finishes_what_it_has(bench: Bench, undisturbed: set[str]) -> None:
    video = bench.video()
    worker = bench.worker()
    bench.wait_until_stored(50)
    worker.terminate()
    _, log = worker.communicate(timeout=30)
    assert worker.returncode == 0, log
    # Nothing of what it received comes again: the next one finds no event stored already.
    bench.worker()
    assert delivered(video) == 420
    bench.wait_for_ids(undisturbed)
    assert "not stored" not in log and "come again" not in log


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def health(port: int) -> tuple[int, Any]:
    """Status code and content of a worker's health page."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
